//! Outputs of a hub, and the keys in them.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use bytes::Bytes;
use enginewire::{
    NodeName,
    hub::{self, ConnectionId, RequestId},
    wire::http::RequestHead,
};

use super::ClusterOutput;
use crate::{
    AckError, AckId, Args, ConnectRequest, DisconnectReason, Event, Room, SocketId,
    cluster::{Missing, TellError},
    payload::Payload,
};

/// Key of a socket of a [`Hub`](super::Hub): one client in one namespace.
///
/// It is never used again. A stale one does nothing, wherever it is passed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey {
    pub(super) index: usize,
    pub(super) serial: u64,
}

impl SocketKey {
    /// Returns a small number that no other socket has at the same time.
    ///
    /// It can be a place in a table of the application. It is used again after the poll that follows
    /// [`Output::Disconnected`] or [`Output::Cancelled`].
    pub const fn index(self) -> usize {
        self.index
    }
}

impl fmt::Debug for SocketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketKey({}.{})", self.index, self.serial)
    }
}

/// Id of an event that one client is to acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId {
    pub(super) socket: SocketKey,
    pub(super) number: AckId,
}

impl AskId {
    /// Returns the socket that the event was sent to.
    pub const fn socket(self) -> SocketKey {
        self.socket
    }
}

/// Id of a broadcast that its recipients are to acknowledge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    pub(super) index: usize,
    pub(super) serial: u64,
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupId({}.{})", self.index, self.serial)
    }
}

/// Task for the event loop, or event for the application, from [`Hub::poll`](super::Hub::poll).
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Write to this connection: [`Hub::transmit`](super::Hub::transmit).
    Write(ConnectionId),
    /// Resume reading this connection, for as long as [`Hub::is_reading`](super::Hub::is_reading) says so.
    Read(ConnectionId),
    /// Shut down the sending side of this connection, and go on reading it.
    Shutdown(ConnectionId),
    /// Close this connection. The hub has forgotten it.
    Close(ConnectionId),
    /// Decide whether the Engine.IO session that this request asks for may open.
    ///
    /// [`Hub::allow_session`](super::Hub::allow_session) or [`Hub::refuse_session`](super::Hub::refuse_session) responds
    /// at any later time. Only with [`ServerHubConfig::ask`](enginewire::hub::ServerHubConfig::ask).
    Open(hub::AskId, ConnectionId, Arc<RequestHead>),
    /// Respond to a request for another path: [`Hub::respond`](super::Hub::respond), at any later time.
    ///
    /// Only with [`ServerHubConfig::forward`](enginewire::hub::ServerHubConfig::forward).
    Request(RequestId, Arc<RequestHead>, Bytes),
    /// Connect to another node, which has the Engine.IO session of a request.
    ///
    /// Go on with that connection as with those that were accepted. The first id is that of the connection to be made, the second that of the client. See [the module](hub#other-nodes)
    /// of `enginewire`. Only with [`ServerHubConfig::nodes`](enginewire::hub::ServerHubConfig::nodes).
    HandOver(ConnectionId, NodeName, ConnectionId),

    /// A client asks to connect to a namespace, over the session that this request opened.
    ///
    /// [`Hub::accept`](super::Hub::accept) or [`Hub::refuse`](super::Hub::refuse) responds at any later time.
    Connect(SocketKey, ConnectRequest, Arc<RequestHead>),
    /// The client no longer waits for the response to [`Connect`](Self::Connect).
    Cancelled(SocketKey),
    /// A client has come back and is connected.
    ///
    /// It has its id, its rooms, and the events that it missed.
    ///
    /// The second key is that of its socket before. It comes in place of [`Connect`](Self::Connect), or during
    /// [`Hub::accept`](super::Hub::accept) if [`skip_authorize`] is false.
    ///
    /// [`skip_authorize`]: crate::adapter::RecoveryConfig::skip_authorize
    Recovered(SocketKey, SocketKey),
    /// A client has come back that was at another node, and is connected.
    ///
    /// It has its id, its rooms, and the events that it missed. The payload is its data, as [`Hub::set_data`] has set them
    /// on that node, and is its data here. It comes as [`Recovered`](Self::Recovered) does.
    ///
    /// [`Hub::set_data`]: super::Hub::set_data
    Restored(SocketKey, Payload),
    /// A client has sent an event.
    Event(SocketKey, Event),
    /// A client has acknowledged an event of [`Hub::emit_with_ack`](super::Hub::emit_with_ack), or will not.
    Acknowledged(AskId, Result<Args, AckError>),
    /// One recipient has acknowledged a broadcast, or will not.
    ///
    /// One that could not be sent the event has [`AckError::Emit`], or the reason why it is disconnected.
    GroupAcknowledged(GroupId, SocketId, Result<Args, AckError>),
    /// A recipient on another node has acknowledged a broadcast. Which one, the other node does not tell.
    RemoteAcknowledged(GroupId, Args),
    /// All recipients have acknowledged a broadcast, or will not. The id is of no more use.
    ///
    /// Acknowledgements of other nodes that did not come are counted.
    GroupCompleted(GroupId, Missing),
    /// There is room again for a socket that had none for an event.
    Writable(SocketKey),
    /// A socket is disconnected. It was in these rooms, besides its own.
    ///
    /// All events that its client sent before have come. Getters know the socket until the next poll.
    ///
    /// With recovery it may come back as the second key of [`Recovered`](Self::Recovered), if the reason
    /// [is recoverable](DisconnectReason::is_recoverable).
    Disconnected(SocketKey, DisconnectReason, Vec<Room>),
    /// A socket that could have come back no longer can. What the application has kept under its key may go.
    Forgotten(SocketKey),
    /// Other nodes have something for the application. Only with [`HubConfig::cluster`](super::HubConfig::cluster).
    Cluster(ClusterOutput),
}

/// Numbers of sockets and nodes that an operation went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Sockets of this node that have it queued.
    pub sockets: usize,
    /// Sockets that were passed by.
    ///
    /// They had no room, or could not take a volatile event at once.
    pub skipped: usize,
    /// Sockets without room whose clients were disconnected for it, see
    /// [`Overflow::Disconnect`](super::Overflow::Disconnect).
    pub disconnected: usize,
    /// Other nodes that are told, or why none is. 0 without a cluster.
    pub remote: Result<usize, TellError>,
    /// Whether the event waits for its place in the log of the cluster.
    ///
    /// It may wait for others that do. It is delivered later, and sockets are not counted.
    pub is_waiting: bool,
}

impl Default for Delivered {
    fn default() -> Self {
        Self { sockets: 0, skipped: 0, disconnected: 0, remote: Ok(0), is_waiting: false }
    }
}
