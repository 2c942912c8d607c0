//! The parts of an event or a socket, from which handlers extract their arguments.

use std::{error::Error, fmt};

use crate::socketio::{DecodeError, DisconnectReason, Event, SocketRef};

/// Argument of a handler: an extractor of `P`, for handlers with state `S`.
///
/// `P` is [`EventParts`], [`ConnectParts`] or [`DisconnectParts`]. Extractors of an application's own implement it for
/// any of them:
///
/// ```
/// use enginewire_driver::socketio::handlers::{EventParts, FromParts, Rejection};
///
/// /// Number of arguments of an event.
/// struct Count(usize);
///
/// impl<S, D> FromParts<EventParts<D>, S> for Count {
///     fn from_parts(parts: &mut EventParts<D>, _: &S) -> Result<Self, Rejection> {
///         match parts.event().args().len() {
///             0..10 => Ok(Self(parts.event().args().len() - 1)),
///             _ => Err(Rejection::new("too many arguments")),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be extracted from `{P}`",
    note = "`Data<T>` and `TryData<T>` need `T: DeserializeOwned`, `State<T>` needs `T: FromRef<S>`",
    note = "`Ack`, `AckOf<A>`, `Event` and `EventName` are of events, `DisconnectReason` is of disconnections",
    note = "`S` and the `D` of `SocketRef<D>` are those of `Routes<S, D>`"
)]
pub trait FromParts<P, S>: Sized {
    /// Extracts the value. It must not block.
    ///
    /// # Errors
    ///
    /// The handler is then not called, see [`Routes::on_rejection`](super::Routes::on_rejection).
    fn from_parts(parts: &mut P, state: &S) -> Result<Self, Rejection>;
}

/// Event and its socket, from which arguments of a handler are extracted.
#[derive(Debug)]
pub struct EventParts<D = ()> {
    pub(super) socket: SocketRef<D>,
    pub(super) event: Event,
}

/// Socket that has connected, from which arguments of a handler are extracted.
#[derive(Debug)]
pub struct ConnectParts<D = ()> {
    pub(super) socket: SocketRef<D>,
}

/// Socket that was disconnected, from which arguments of a handler are extracted.
#[derive(Debug)]
pub struct DisconnectParts<D = ()> {
    pub(super) socket: SocketRef<D>,
    pub(super) reason: DisconnectReason,
}

impl<D> EventParts<D> {
    /// Returns the socket.
    pub const fn socket(&self) -> &SocketRef<D> {
        &self.socket
    }

    /// Returns the event.
    pub const fn event(&self) -> &Event {
        &self.event
    }
}

impl<D> ConnectParts<D> {
    /// Returns the socket.
    pub const fn socket(&self) -> &SocketRef<D> {
        &self.socket
    }
}

impl<D> DisconnectParts<D> {
    /// Returns the socket.
    pub const fn socket(&self) -> &SocketRef<D> {
        &self.socket
    }

    /// Returns the reason.
    pub const fn reason(&self) -> DisconnectReason {
        self.reason
    }
}

/// Reason why an extractor failed.
#[derive(Debug)]
pub struct Rejection(Box<dyn Error + Send + Sync>);

impl Rejection {
    /// Creates a reason of an application's own extractor: an error, or a message.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }

    /// Returns the error of the payload. `None` if the extractor was not [`Data`](super::Data).
    pub fn decode_error(&self) -> Option<&DecodeError> {
        self.0.downcast_ref()
    }
}

impl From<DecodeError> for Rejection {
    fn from(error: DecodeError) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Rejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
