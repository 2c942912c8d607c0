//! Payloads with the encoding of another type.

use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};

/// Payload that is encoded as a `T` is, and can be sent in its place.
///
/// Every type is encoded as itself. Without a copy, `&str` and `&String` are encoded as a `String`, also in tuples of
/// up to four elements, and `[T]` as a `Vec<T>`. An application implements it for types of its own:
///
/// ```
/// use enginewire_socketio::{EncodeAs, Named};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Login { user: String }
///
/// #[derive(Serialize)]
/// struct LoginRef<'a> { user: &'a str }
///
/// impl EncodeAs<Login> for LoginRef<'_> {}
///
/// const LOGIN: Named<Login> = Named::new("login");
/// # fn takes<P>(_: impl enginewire_socketio::Name<P>, _: &P) {}
/// # takes(LOGIN, &LoginRef { user: "Ann" });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not encoded as `{T}`",
    label = "expected `{T}`, or what is encoded as one",
    note = "`&str` and `&String` are encoded as `String`, also in tuples of up to four elements, and `[T]` as `Vec<T>`",
    note = "types of your own may implement `EncodeAs<{T}>`"
)]
pub trait EncodeAs<T: ?Sized> {}

impl<T: ?Sized> EncodeAs<T> for T {}

// Errors name the payload as a whole.
#[diagnostic::do_not_recommend]
impl<X: Text + ?Sized> EncodeAs<String> for X {}

#[diagnostic::do_not_recommend]
impl<T> EncodeAs<Vec<T>> for [T] {}

#[diagnostic::do_not_recommend]
impl<X: Text> EncodeAs<Vec<String>> for [X] {}

/// Strings other than `String`.
pub trait Text {}

impl Text for str {}
impl Text for &String {}
impl Text for Box<str> {}
impl Text for Cow<'_, str> {}
impl<X: Text + ?Sized> Text for &X {}

/// Tuples of which some elements are strings, and the others are themselves.
macro_rules! tuples {
    // Each element is first itself, then a string.
    ($some:ident [$($bound:tt)*] [$($from:ident)*] [$($to:ident)*] $next:ident $($rest:ident)*) => {
        tuples!($some [$($bound)* $next,] [$($from)* $next] [$($to)* $next] $($rest)*);
        tuples!(some [$($bound)* $next: Text,] [$($from)* $next] [$($to)* String] $($rest)*);
    };
    (some [$($bound:tt)*] [$($from:ident)*] [$($to:ident)*]) => {
        #[diagnostic::do_not_recommend]
        impl<$($bound)*> EncodeAs<($($to,)*)> for ($($from,)*) {}
    };
    (none [$($bound:tt)*] [$($from:ident)*] [$($to:ident)*]) => {};
}

tuples!(none [] [] [] A);
tuples!(none [] [] [] A B);
tuples!(none [] [] [] A B C);
tuples!(none [] [] [] A B C D);
