//! Outputs of a client.

use enginewire::ClientConnectionId;

use crate::{
    connection::{AckError, Slot},
    manager::Update,
    packet::AckId,
    payload::Args,
};

/// One TCP connection of a client. A name that the hub gives, and never gives again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// The hub of Engine.IO that has it.
    pub(super) serial: u32,
    pub(super) id: ClientConnectionId,
}

/// Id of an event that the server is to acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAskId {
    pub(super) socket: Slot,
    pub(super) number: AckId,
}

impl ClientAskId {
    /// Makes the id of an event that was given to the [manager](super::ClientHub::parts) itself.
    pub const fn new(socket: Slot, number: AckId) -> Self {
        Self { socket, number }
    }

    /// Returns the socket that has sent the event.
    pub const fn socket(self) -> Slot {
        self.socket
    }
}

/// Task for the event loop, or event for the application, from [`ClientHub::poll`](super::ClientHub::poll).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientOutput {
    /// Connect to [`ClientHub::address`](super::ClientHub::address), under this name.
    ///
    /// [`handle_connected`](super::ClientHub::handle_connected) or
    /// [`handle_refused`](super::ClientHub::handle_refused) tells the outcome.
    Connect(ConnectionId),
    /// Encrypt this connection, which a proxy has led to the server at
    /// [`ClientHub::address`](super::ClientHub::address).
    ///
    /// The outcome goes where that of [`Connect`](Self::Connect) goes. Until then the connection is neither read nor
    /// written for the hub. Only asked for with [`ClientConfig::proxies`](enginewire::ClientConfig::proxies).
    Encrypt(ConnectionId),
    /// Write to this connection: [`ClientHub::transmit`](super::ClientHub::transmit).
    Write(ConnectionId),
    /// Close this connection, or stop opening it. The hub has forgotten it.
    Close(ConnectionId),

    /// A socket with [`Auth::Ask`](crate::Auth::Ask) needs its payload.
    ///
    /// [`ClientHub::authorize`](super::ClientHub::authorize) gives it, at any later time.
    Auth(Slot),
    /// A socket has received an event, or its connection has changed.
    Update(Slot, Update),
    /// The server has acknowledged an event, or will not.
    Acknowledged(ClientAskId, Result<Args, AckError>),
    /// There is room again for a socket that had none, or its state has changed.
    Writable(Slot),
    /// A client that was closed has no session any more.
    Closed {
        /// Messages that were queued, and have not left: events, acknowledgements, and packets of the protocol.
        unsent: usize,
    },
}
