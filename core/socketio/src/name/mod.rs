//! Names of events, and what their types say about payloads.

mod encode_as;
#[cfg(test)]
mod tests;

use alloc::string::String;
use core::{fmt, marker::PhantomData};

use serde::Deserialize;

pub use self::encode_as::EncodeAs;
use crate::{
    parser::is_reserved,
    payload::{Args, DecodeError},
};

/// Name of an event that carries a `P`.
///
/// As a constant it types an event wherever it is sent and received. A tuple is several arguments, `()` none, anything
/// else one. A payload that is only [encoded as](EncodeAs) a `P` can be sent, too.
///
/// ```
/// use enginewire_socketio::{EmitError, Event, Named, adapter::Target, hub::{Hub, SocketKey}};
///
/// const SAY: Named<String> = Named::new("say");
/// const SAID: Named<(String, String)> = Named::new("said");
///
/// fn handle(hub: &mut Hub, from: SocketKey, event: &Event) -> Result<(), Box<dyn std::error::Error>> {
///     if let Some(text) = event.data_of(SAY) {
///         hub.broadcast("/", &Target::all(), SAID, &("Ann", &text?))?;
///     }
///     Ok(())
/// }
/// ```
///
/// Another payload does not compile:
///
/// ```compile_fail,E0277
/// # use enginewire_socketio::{Named, hub::{Hub, SocketKey}};
/// const SAID: Named<(String, String)> = Named::new("said");
///
/// fn say(hub: &mut Hub, to: SocketKey) {
///     let _ = hub.emit(to, SAID, &("Ann", 7));
/// }
/// ```
///
/// Nor does a constant with a reserved name:
///
/// ```compile_fail,E0080
/// # use enginewire_socketio::Named;
/// const LEAVE: Named<()> = Named::new("disconnect");
/// # LEAVE.name();
/// ```
pub struct Named<P: ?Sized> {
    name: &'static str,
    payload: PhantomData<fn() -> P>,
}

/// Name of an event that carries a `P`, and is acknowledged with an `A`.
///
/// ```
/// use core::time::Duration;
///
/// use enginewire::Time;
/// use enginewire_socketio::{Asking, hub::{Hub, Output, SocketKey}};
///
/// const AGE: Asking<String, u8> = Asking::new("age");
///
/// fn ask(hub: &mut Hub, now: Time, key: SocketKey) {
///     let _ = hub.emit_with_ack(now, key, AGE, "Ann", Duration::from_secs(5));
/// }
///
/// fn handle(hub: &mut Hub, output: Output) -> Result<(), Box<dyn std::error::Error>> {
///     match output {
///         Output::Acknowledged(_, Ok(args)) => println!("{}", AGE.response(&args)?),
///         Output::Event(key, event) => {
///             if let (Some(name), Some(ack)) = (event.data_of(AGE), event.ack()) {
///                 hub.acknowledge_for(key, AGE, ack, &(name?.len() as u8))?;
///             }
///         }
///         _ => {}
///     }
///     Ok(())
/// }
/// ```
pub struct Asking<P: ?Sized, A> {
    named: Named<P>,
    response: PhantomData<fn() -> A>,
}

/// Name of an event with the payload `P`.
///
/// A string is the name of any event. [`Named`] and [`Asking`] are names of events that carry what they say.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the name of an event that carries a `{P}`",
    label = "not the name of an event that carries a `{P}`",
    note = "names are `&str`, `&String`, and `Named<T>` or `Asking<T, A>` of a `T` that `{P}` is encoded as"
)]
pub trait Name<P: ?Sized> {
    /// Returns the name.
    fn name(&self) -> &str;
}

/// Name of an event with the payload `P` that is acknowledged with an `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the name of an event that is acknowledged with `{A}`",
    label = "not the name of an event that is acknowledged with `{A}`",
    note = "names are `&str`, `&String`, and `Asking<T, {A}>` of a `T` that `{P}` is encoded as"
)]
pub trait AskName<P: ?Sized, A>: Name<P> {}

impl<P: ?Sized> Named<P> {
    /// Creates a name.
    ///
    /// # Panics
    ///
    /// The name is [reserved](is_reserved). In a constant that is an error of the compiler.
    pub const fn new(name: &'static str) -> Self {
        assert!(!is_reserved(name), "the name of an event is reserved");
        Self { name, payload: PhantomData }
    }

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<P: ?Sized, A> Asking<P, A> {
    /// Creates a name.
    ///
    /// # Panics
    ///
    /// The name is [reserved](is_reserved). In a constant that is an error of the compiler.
    pub const fn new(name: &'static str) -> Self {
        Self { named: Named::new(name), response: PhantomData }
    }

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        self.named.name
    }

    /// Decodes an acknowledgement of the event.
    ///
    /// # Errors
    ///
    /// It is of another shape. The error names the event.
    pub fn response<'de>(self, args: &'de Args) -> Result<A, DecodeError>
    where
        A: Deserialize<'de>,
    {
        args.decode(0).map_err(|error| error.with_event(self.name()))
    }
}

impl<P: ?Sized> Name<P> for str {
    fn name(&self) -> &str {
        self
    }
}

impl<P: ?Sized> Name<P> for String {
    fn name(&self) -> &str {
        self
    }
}

impl<P: ?Sized, N: Name<P> + ?Sized> Name<P> for &N {
    fn name(&self) -> &str {
        (**self).name()
    }
}

impl<T: ?Sized, P: EncodeAs<T> + ?Sized> Name<P> for Named<T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<T: ?Sized, A, P: EncodeAs<T> + ?Sized> Name<P> for Asking<T, A> {
    fn name(&self) -> &str {
        self.named.name
    }
}

impl<P: ?Sized, A> AskName<P, A> for str {}
impl<P: ?Sized, A> AskName<P, A> for String {}
impl<P: ?Sized, A, N: AskName<P, A> + ?Sized> AskName<P, A> for &N {}
impl<T: ?Sized, A, P: EncodeAs<T> + ?Sized> AskName<P, A> for Asking<T, A> {}

/// An event that is acknowledged, without its acknowledgement.
impl<P: ?Sized, A> From<Asking<P, A>> for Named<P> {
    fn from(asking: Asking<P, A>) -> Self {
        asking.named
    }
}

impl<P: ?Sized> AsRef<str> for Named<P> {
    fn as_ref(&self) -> &str {
        self.name
    }
}

impl<P: ?Sized, A> AsRef<str> for Asking<P, A> {
    fn as_ref(&self) -> &str {
        self.named.name
    }
}

// Not derived: they are names, whatever the types.
impl<P: ?Sized> Clone for Named<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: ?Sized, A> Clone for Asking<P, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: ?Sized> Copy for Named<P> {}
impl<P: ?Sized, A> Copy for Asking<P, A> {}

impl<P: ?Sized> fmt::Debug for Named<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

impl<P: ?Sized, A> fmt::Debug for Asking<P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asking").field(&self.named.name).finish()
    }
}
