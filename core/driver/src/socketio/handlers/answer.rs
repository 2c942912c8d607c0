//! Return values of handlers.

use std::fmt::Display;

use serde::Serialize;

use crate::{
    socketio::{Ack, emit::Emit},
    trace::trace,
};

/// Acknowledgement that a handler returns. A tuple is several arguments, `()` none.
///
/// It is sent if the client expects an acknowledgement. `Result<Reply<T>, Reply<E>>` sends either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply<T>(pub T);

/// Return value of a handler.
///
/// | type | acknowledgement |
/// |---|---|
/// | `()` | none |
/// | [`Reply<T>`](Reply) | `T` |
/// | `Result<Reply<T>, Reply<E>>` | `T` or `E` |
/// | `Result<(), Reply<E>>` | none or `E` |
/// | `Result<(), E>`, `Result<Reply<T>, E>` | the same for `Ok`; none for an error with `Display`, which is traced |
///
/// So `?` works with errors of any library. A handler whose return value may acknowledge cannot take
/// [`Ack`]: nothing is acknowledged twice.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "returns `{Self}`",
    note = "a handler returns `()`, `Reply<T>` with `T: Serialize`, or a `Result` of one of them",
    note = "the error of the `Result` is `Reply<E>` with `E: Serialize`, or has `Display`"
)]
pub trait IntoAnswer: Sealed {}

/// The private part of [`IntoAnswer`].
pub trait Sealed {
    /// Whether it may acknowledge.
    #[doc(hidden)]
    const ACKNOWLEDGES: bool;

    /// Encodes the acknowledgement.
    #[doc(hidden)]
    fn into_answer(self, ack: Option<Ack>) -> Answer;
}

/// The return value of a handler, encoded.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Answer {
    /// The acknowledgement to be sent.
    pub(super) emit: Option<Emit>,
    /// Whether the event goes no further, if this is of `before`.
    pub(super) stops: bool,
}

impl Answer {
    pub(super) fn reply<T: Serialize + ?Sized>(ack: Option<Ack>, payload: &T) -> Self {
        Self { emit: ack.filter(Ack::is_expected).map(|ack| ack.send(payload)), stops: true }
    }
}

/// Error that a handler returns.
pub trait Failure {
    /// Whether it acknowledges.
    #[doc(hidden)]
    const ACKNOWLEDGES: bool;

    /// Encodes the acknowledgement, or traces the error.
    #[doc(hidden)]
    fn into_answer(self, ack: Option<Ack>) -> Answer;
}

impl IntoAnswer for () {}

impl Sealed for () {
    const ACKNOWLEDGES: bool = false;

    fn into_answer(self, _: Option<Ack>) -> Answer {
        Answer::default()
    }
}

impl<T: Serialize> IntoAnswer for Reply<T> {}

impl<T: Serialize> Sealed for Reply<T> {
    const ACKNOWLEDGES: bool = true;

    fn into_answer(self, ack: Option<Ack>) -> Answer {
        Answer::reply(ack, &self.0)
    }
}

impl<T: IntoAnswer, E: Failure> IntoAnswer for Result<T, E> {}

impl<T: IntoAnswer, E: Failure> Sealed for Result<T, E> {
    const ACKNOWLEDGES: bool = T::ACKNOWLEDGES || E::ACKNOWLEDGES;

    fn into_answer(self, ack: Option<Ack>) -> Answer {
        match self {
            Ok(value) => value.into_answer(ack),
            Err(error) => error.into_answer(ack),
        }
    }
}

impl<E: Serialize> Failure for Reply<E> {
    const ACKNOWLEDGES: bool = true;

    fn into_answer(self, ack: Option<Ack>) -> Answer {
        Answer::reply(ack, &self.0)
    }
}

impl<E: Display> Failure for E {
    const ACKNOWLEDGES: bool = false;

    fn into_answer(self, _: Option<Ack>) -> Answer {
        trace_failure(&self);
        Answer { emit: None, stops: true }
    }
}

/// Most errors are of a client that is gone, which is no fault.
fn trace_failure(error: &dyn Display) {
    trace!(DEBUG, error = %error, "a handler has failed");
}
