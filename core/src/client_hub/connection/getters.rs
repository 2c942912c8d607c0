//! Getters of a connection.

use alloc::sync::Arc;

use super::{Connection, Task};
use crate::{
    carrier::MAX_REPLIES,
    channel::{ExchangeId, WebSocketId},
    client::ClientSession,
    client_hub::ClientConnectionId,
    time::Time,
    url::Url,
};

impl Connection {
    pub(in crate::client_hub) const fn id(&self) -> ClientConnectionId {
        self.id
    }

    /// The server's address.
    pub(in crate::client_hub) const fn url(&self) -> &Arc<Url> {
        &self.url
    }

    /// Where to connect to, or what to encrypt for.
    pub(in crate::client_hub) fn address(&self) -> &Url {
        self.way.address(&self.url)
    }

    /// Whether a proxy has to do something before the server can be talked to.
    pub(in crate::client_hub) const fn awaits_proxy(&self) -> bool {
        self.way.is_opening() || (!self.connected && !self.way.is_direct())
    }

    pub(in crate::client_hub) const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// When something is due that the server has to do.
    pub(in crate::client_hub) fn peer_deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| !self.is_free())
    }

    /// Whether it has been kept for too long.
    pub(in crate::client_hub) fn is_stale(&self, now: Time) -> bool {
        self.is_free() && self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// The request under way.
    pub(in crate::client_hub) fn exchange(&self) -> Option<ExchangeId> {
        match &self.task {
            Task::Http { exchange, .. } => exchange.as_ref().map(|exchange| exchange.on),
            _ => None,
        }
    }

    /// The WebSocket that it is to become.
    pub(in crate::client_hub) const fn opens(&self) -> Option<WebSocketId> {
        match self.task {
            Task::Handshake { on, .. } => Some(on),
            _ => None,
        }
    }

    /// The WebSocket that it is.
    pub(in crate::client_hub) const fn socket(&self) -> Option<WebSocketId> {
        match self.task {
            Task::Socket { on, .. } => Some(on),
            _ => None,
        }
    }

    /// When it takes another request, if it ever does.
    pub(in crate::client_hub) fn free_from(&self) -> Option<Time> {
        self.is_free().then_some(self.rests_until)
    }

    /// Whether it waits for another request.
    pub(in crate::client_hub) const fn is_free(&self) -> bool {
        matches!(&self.task, Task::Http { client, exchange: None } if client.is_idle())
    }

    /// Whether it is of no more use: all has been said, and written.
    pub(in crate::client_hub) fn is_over(&self) -> bool {
        match &self.task {
            Task::Over => true,
            Task::Socket { ws, .. } => ws.is_closed() && self.output.is_empty() && !self.blocked,
            Task::Http { .. } | Task::Handshake { .. } => false,
        }
    }

    /// Whether what comes on it belongs to the session.
    pub(in crate::client_hub) const fn carries(&self) -> bool {
        self.way.is_open()
            && matches!(self.task, Task::Http { exchange: Some(_), .. } | Task::Socket { .. })
    }

    /// Whether it is no WebSocket.
    pub(in crate::client_hub) const fn is_http(&self) -> bool {
        !matches!(self.task, Task::Socket { .. })
    }

    /// A WebSocket whose probe the server has not answered, as far as is known.
    pub(in crate::client_hub) fn is_probing(&self, session: &ClientSession) -> bool {
        matches!(self.task, Task::Socket { on, .. } if session.is_probe(on))
    }

    /// A server that makes us answer without reading the answers is not read, nor one whose messages
    /// the application does not take.
    pub(in crate::client_hub) fn is_reading(&self, session: &ClientSession) -> bool {
        match &self.task {
            Task::Socket { ws, replies, .. } => {
                (ws.is_closing() || session.is_receiving()) && *replies < MAX_REPLIES
            }
            _ => !self.way.is_encrypting(),
        }
    }

    /// The limit on the bytes of one read.
    pub(in crate::client_hub) const fn max_read(&self) -> usize {
        match &self.task {
            Task::Socket { ws, .. } => ws.max_read(),
            Task::Handshake { key, .. } => key.max_read(),
            Task::Http { .. } | Task::Over => usize::MAX,
        }
    }

    /// Whether the event loop should be told to encrypt the connection.
    pub(in crate::client_hub) const fn wants_encryption(&self) -> bool {
        self.way.wants_encryption()
    }

    pub(in crate::client_hub) const fn announce_encryption(&mut self) -> ClientConnectionId {
        self.way.announce_encryption();
        self.id
    }

    /// Whether the event loop should be told that there is something to write.
    pub(in crate::client_hub) fn wants_write(&self, session: &ClientSession) -> bool {
        let frames = self.socket().is_some_and(|on| session.wants_write(on));
        let something = frames || !self.output.is_empty();
        something && self.connected && !self.blocked && !self.announced
    }

    pub(in crate::client_hub) const fn announce(&mut self) -> ClientConnectionId {
        self.announced = true;
        self.id
    }
}
