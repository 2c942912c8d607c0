//! Outputs of a hub for its event loop, and the names in them.

use alloc::sync::Arc;

use bytes::Bytes;

use crate::{node::NodeName, session::Event, wire::http::RequestHead};

/// One TCP connection of a [`ServerHub`](super::ServerHub).
///
/// A name is never used again: one that is stale does nothing, wherever it is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(super) index: usize,
    pub(super) serial: u64,
}

impl ConnectionId {
    /// Returns a small number that no other connection has at the same time. It is used again once
    /// [`Output::Close`] was taken or [`ServerHub::handle_lost`](super::ServerHub::handle_lost)
    /// called. It can be a place in the event loop's own table, or its token.
    pub const fn index(self) -> usize {
        self.index
    }
}

/// One session of a [`ServerHub`](super::ServerHub). No secret, unlike the session's [`Sid`](crate::Sid).
///
/// A name is never used again: one that is stale does nothing, wherever it is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    pub(super) index: usize,
    pub(super) serial: u64,
}

impl SessionId {
    /// Returns a small number that no other session has at the same time. It is used again once
    /// [`Event::Closed`] was taken. It can be a place in a table of the application's own.
    pub const fn index(self) -> usize {
        self.index
    }
}

/// One question of a [`ServerHub`](super::ServerHub) whether a session may open, see [`Output::Ask`].
///
/// A name is never used again: one that is stale, as the question has been answered or its connection
/// is gone, does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId {
    pub(super) on: ConnectionId,
    pub(super) serial: u64,
}

/// One request for another path than the hub's own, see [`Output::Request`].
///
/// A name is never used again: one that is stale, as the request has its response or its connection is
/// lost, does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    pub(super) on: ConnectionId,
    pub(super) serial: u64,
}

impl RequestId {
    /// Returns the connection that the request came on.
    pub const fn connection(self) -> ConnectionId {
        self.on
    }
}

/// A task or an event from [`ServerHub::poll`](super::ServerHub::poll).
#[derive(Clone, Debug)]
pub enum Output {
    /// Look after this connection: [`ServerHub::transmit`](super::ServerHub::transmit).
    Write(ConnectionId),
    /// Resume reading this connection. Read it as long as
    /// [`ServerHub::is_reading`](super::ServerHub::is_reading) still says so.
    Read(ConnectionId),
    /// Shut down the sending side of this connection, and go on reading it.
    Shutdown(ConnectionId),
    /// Close this connection: the hub has forgotten it.
    Close(ConnectionId),
    /// Decide whether the session that this request on this connection asks for may open. Answer
    /// with [`ServerHub::allow`](super::ServerHub::allow) or
    /// [`ServerHub::refuse`](super::ServerHub::refuse), now or later. Only with
    /// [`ServerHubConfig::ask`](super::ServerHubConfig::ask).
    Ask(AskId, ConnectionId, Arc<RequestHead>),
    /// A session has opened, with this request on this connection.
    Opened(SessionId, ConnectionId, Arc<RequestHead>),
    /// Something happened to a session. [`Event::Closed`] is the last that is heard of it.
    Event(SessionId, Event),
    /// The [`Layer`](crate::carrier::Layer) of a session has something for the application. After the session
    /// has closed, the layer is kept until the next [`ServerHub::poll`](super::ServerHub::poll).
    Layer(SessionId),
    /// A request for another path: respond with [`ServerHub::respond`](super::ServerHub::respond), now or later. Only with
    /// [`ServerHubConfig::forward`](super::ServerHubConfig::forward).
    Request(RequestId, Arc<RequestHead>, Bytes),
    /// Connect to another node, which has the session of a request. Only with
    /// [`ServerHubConfig::nodes`](super::ServerHubConfig::nodes).
    ///
    /// The first name is that of the connection to be made. [`handle_writable`](super::ServerHub::handle_writable) tells
    /// that it is there, [`handle_lost`](super::ServerHub::handle_lost) that it cannot be made. It goes on as those that
    /// were accepted: see [the module](super#other-nodes). The second name is that of the client's connection.
    HandOver(ConnectionId, NodeName, ConnectionId),
}
