//! Outputs of a manager.

use core::time::Duration;

use enginewire::CloseReason;

use crate::{
    connection::{AckError, ConnectError, Slot},
    event::Event,
    id::SocketId,
    payload::Args,
    reason::DisconnectReason,
};

/// Something that a [`Manager`](super::Manager) has for the client around it.
///
/// `T` says who waits for an acknowledgement.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ManagerEvent<T> {
    /// The application is asked for a payload of a socket: [`authorize`](super::Manager::authorize), at any later time.
    Auth(Slot),
    /// Updates wait in a slot that had none: [`take_update`](super::Manager::take_update).
    Readable(Slot),
    /// There is room for a socket that had none, or its state has changed.
    Writable(Slot),
    /// The server has acknowledged an event, or will not.
    Acknowledged(Slot, T, Result<Args, AckError>),
    /// A manager that was closed has no session any more. The last event.
    Closed {
        /// Messages that were queued, and have not left: events, acknowledgements, and packets of the protocol.
        unsent: usize,
    },
}

/// Event of a socket, or change of its connection. They come in one order.
#[derive(Clone, Debug)]
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
    Event {
        /// The event.
        event: Event,
        /// The connection that it came on, for [`acknowledge`](super::Manager::acknowledge).
        connection: u32,
    },
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
    /// An attempt to open a session has failed.
    Failed(CloseReason),
    /// The next attempt is made after a delay.
    Waiting {
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The delay.
        delay: Duration,
    },
}

/// Reason why a socket neither is connected nor tries to be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// The application has disconnected the socket.
    #[error("disconnected by this side")]
    Left,
    /// The server has disconnected the socket.
    #[error("disconnected by the server")]
    ServerLeft,
    /// The server refuses to connect the socket.
    #[error("refused by the server: {}", .0.message())]
    Refused(ConnectError),
    /// No session could be opened, and no further attempt is made.
    #[error("no connection: {0}")]
    Failed(CloseReason),
    /// The server speaks Socket.IO 2.
    #[error("the server speaks Socket.IO 2: set the revision of Engine.IO to 3")]
    OldServer,
}
