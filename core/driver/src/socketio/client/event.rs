//! Events and updates of a client's socket.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use enginewire::Encoded;
use enginewire_socketio::{
    AckId, ConnectError, DisconnectReason, EmitError, EncodeError, EventError, SocketId,
};
use serde::{Deserialize, Serialize};

use super::{emit::ClientEmit, interface::Mode, socket::SocketShared};
use crate::socketio::outgoing::with_encoder;

/// Event of a socket, or change of its connection. They come in one order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Update {
    /// The server has connected the socket.
    Connected {
        /// The id that the socket has on the server.
        id: SocketId,
        /// Whether the server has kept the socket: its id, rooms, data and missed events.
        ///
        /// Those events come before this update.
        recovered: bool,
    },
    /// The server has sent an event.
    Event(ClientEvent),
    /// The socket is no longer connected. Unless one of the two sides has left, it is tried again.
    Disconnected {
        /// The reason.
        reason: DisconnectReason,
        /// Messages of all namespaces that had not left when the connection was lost.
        ///
        /// They had been sent, and are lost. Of those that had left, the last may not have arrived.
        unsent: usize,
    },
    /// The server refuses to connect the socket.
    Refused(ConnectError),
    /// An attempt to connect to the server has failed.
    Failed(crate::ConnectError),
    /// The next attempt is made after a delay.
    Waiting {
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The delay.
        delay: Duration,
    },
}

/// Event that the server has sent.
///
/// Reads as an [`enginewire_socketio::Event`], and can be acknowledged with [`ack`](Self::ack).
#[derive(Clone)]
pub struct ClientEvent {
    event: enginewire_socketio::Event,
    socket: Arc<SocketShared>,
    /// The connection that it came on.
    connection: u32,
    is_answered: bool,
}

impl ClientEvent {
    pub(super) const fn new(
        event: enginewire_socketio::Event,
        socket: Arc<SocketShared>,
        connection: u32,
    ) -> Self {
        Self { event, socket, connection, is_answered: false }
    }

    /// Takes the acknowledgement. The second does nothing, nor does that of an event that expects none.
    pub fn ack(&mut self) -> ClientAck {
        let id = self.event.ack().filter(|_| !std::mem::replace(&mut self.is_answered, true));
        ClientAck { id, socket: Arc::clone(&self.socket), connection: self.connection }
    }

    /// Decodes the event as the variant of an enum that has its name. See
    /// [`Event::parse`](enginewire_socketio::Event::parse).
    ///
    /// # Errors
    ///
    /// There is no such variant, or the arguments are of another shape.
    pub fn parse<'de, E: Deserialize<'de>>(&'de self) -> Result<E, EventError> {
        self.event.parse()
    }
}

impl Deref for ClientEvent {
    type Target = enginewire_socketio::Event;

    fn deref(&self) -> &Self::Target {
        &self.event
    }
}

/// Acknowledgement of an event of the server, to be sent once.
///
/// Dropped, it sends nothing: the server waits for its own deadline. It is for the connection that the event came on: on
/// another the server does not wait for it.
#[must_use = "the server waits for the acknowledgement"]
pub struct ClientAck {
    /// Until it is sent.
    id: Option<AckId>,
    socket: Arc<SocketShared>,
    connection: u32,
}

impl ClientAck {
    /// Returns whether the server expects an acknowledgement.
    pub const fn is_expected(&self) -> bool {
        self.id.is_some()
    }

    /// Sends the acknowledgement, waiting for room. A tuple is several arguments, `()` none.
    ///
    /// Does nothing if the server expects none. The payload is encoded before this returns.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the connection is lost.
    pub fn send<P: Serialize + ?Sized>(mut self, payload: &P) -> ClientEmit {
        let mode = Mode::Acknowledgement(self.connection);
        let message = self.encode(payload).transpose();
        ClientEmit::new(&self.socket, message, mode)
    }

    /// Sends the acknowledgement if there is room.
    ///
    /// # Errors
    ///
    /// There is no room, the payload cannot be encoded, or the connection is lost.
    pub fn try_send<P: Serialize + ?Sized>(mut self, payload: &P) -> Result<(), EmitError> {
        let mode = Mode::Acknowledgement(self.connection);
        match self.encode(payload) {
            Some(message) => self.socket.try_emit(message?, &mode),
            None => Ok(()),
        }
    }

    /// Encodes the acknowledgement, if one is expected.
    fn encode<P: Serialize + ?Sized>(
        &mut self,
        payload: &P,
    ) -> Option<Result<Encoded, EncodeError>> {
        let (id, socket) = (self.id.take()?, &self.socket);
        let options = socket.options();
        Some(with_encoder(&options.limits, |encoder| {
            encoder.ack(&options.parser, socket.namespace(), id, payload, Vec::new())
        }))
    }
}

impl fmt::Debug for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}

impl fmt::Debug for ClientAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAck").field("id", &self.id).finish_non_exhaustive()
    }
}
