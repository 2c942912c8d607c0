//! Extractors.

use std::ops::Deref;

use serde::de::DeserializeOwned;

use super::parts::{ConnectParts, DisconnectParts, EventParts, FromParts, Rejection};
use crate::socketio::{Ack, AckOf, DecodeError, DisconnectReason, Event, Io, SocketRef};

/// Extractor of an event's arguments. A tuple takes them one by one.
///
/// In [`on_connect`](super::Routes::on_connect) it is what the client gave as `auth`. If the payload is of another
/// shape the handler is not called; [`TryData`] leaves that to the handler. To borrow from the payload, extract the
/// [`Event`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data<T>(pub T);

/// Extractor of an event's arguments, or of the error of decoding them. See [`Data`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryData<T>(pub Result<T, DecodeError>);

/// Extractor of the state, or of a part of it. See [`FromRef`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State<T>(pub T);

/// Extractor of an event's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventName(pub String);

/// Part of the state `S`, which [`State`] extracts.
///
/// All that has `Clone` is the whole of itself. A state of several parts implements it for each:
///
/// ```
/// use std::sync::Arc;
/// use enginewire_driver::socketio::handlers::FromRef;
///
/// struct Users;
/// struct App { users: Arc<Users>, motd: Arc<str> }
///
/// impl FromRef<App> for Arc<Users> {
///     fn from_ref(app: &App) -> Self {
///         Arc::clone(&app.users)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a part of the state `{S}`",
    note = "`Routes<S>` has the state `S`: it needs `Clone`, or implement `FromRef<{S}>` for `{Self}`"
)]
pub trait FromRef<S> {
    /// Takes the part out of the state.
    fn from_ref(state: &S) -> Self;
}

impl<T: Clone> FromRef<T> for T {
    fn from_ref(state: &T) -> Self {
        state.clone()
    }
}

impl<P, S, T: FromRef<S>> FromParts<P, S> for State<T> {
    fn from_parts(_: &mut P, state: &S) -> Result<Self, Rejection> {
        Ok(Self(T::from_ref(state)))
    }
}

/// Extractors that all kinds of parts have.
macro_rules! of_socket {
    ($($parts:ident),+) => {
        $(
            impl<S, D> FromParts<$parts<D>, S> for SocketRef<D> {
                fn from_parts(parts: &mut $parts<D>, _: &S) -> Result<Self, Rejection> {
                    Ok(parts.socket.clone())
                }
            }

            impl<S, D> FromParts<$parts<D>, S> for Io {
                fn from_parts(parts: &mut $parts<D>, _: &S) -> Result<Self, Rejection> {
                    Ok(parts.socket.io())
                }
            }
        )+
    };
}

of_socket!(EventParts, ConnectParts, DisconnectParts);

impl<S, D, T: DeserializeOwned> FromParts<EventParts<D>, S> for Data<T> {
    fn from_parts(parts: &mut EventParts<D>, _: &S) -> Result<Self, Rejection> {
        Ok(Self(parts.event.data()?))
    }
}

impl<S, D, T: DeserializeOwned> FromParts<ConnectParts<D>, S> for Data<T> {
    fn from_parts(parts: &mut ConnectParts<D>, _: &S) -> Result<Self, Rejection> {
        Ok(Self(parts.socket.auth()?))
    }
}

impl<S, D, T: DeserializeOwned> FromParts<EventParts<D>, S> for TryData<T> {
    fn from_parts(parts: &mut EventParts<D>, _: &S) -> Result<Self, Rejection> {
        Ok(Self(parts.event.data()))
    }
}

impl<S, D, T: DeserializeOwned> FromParts<ConnectParts<D>, S> for TryData<T> {
    fn from_parts(parts: &mut ConnectParts<D>, _: &S) -> Result<Self, Rejection> {
        Ok(Self(parts.socket.auth()))
    }
}

impl<S, D> FromParts<EventParts<D>, S> for Ack {
    fn from_parts(parts: &mut EventParts<D>, _: &S) -> Result<Self, Rejection> {
        Ok(parts.event.ack())
    }
}

impl<S, D, A> FromParts<EventParts<D>, S> for AckOf<A> {
    fn from_parts(parts: &mut EventParts<D>, _: &S) -> Result<Self, Rejection> {
        Ok(parts.event.ack().into())
    }
}

/// The event takes its acknowledgement with it, unless that was extracted before.
impl<S, D> FromParts<EventParts<D>, S> for Event {
    fn from_parts(parts: &mut EventParts<D>, _: &S) -> Result<Self, Rejection> {
        let event = parts.event.clone();
        parts.event.set_answered(true);
        Ok(event)
    }
}

impl<S, D> FromParts<EventParts<D>, S> for EventName {
    fn from_parts(parts: &mut EventParts<D>, _: &S) -> Result<Self, Rejection> {
        Ok(Self(parts.event.name().to_owned()))
    }
}

impl<S, D> FromParts<DisconnectParts<D>, S> for DisconnectReason {
    fn from_parts(parts: &mut DisconnectParts<D>, _: &S) -> Result<Self, Rejection> {
        Ok(parts.reason)
    }
}

impl Deref for EventName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
