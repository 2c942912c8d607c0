//! Operations that all nodes of a cluster carry out, as plain values without a format.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    adapter::Target,
    id::{Room, SocketId},
    payload::{Args, Payload},
};

/// Operation on members of a namespace that all nodes of a cluster carry out.
///
/// Each node selects the members among its own. `E` is the arguments of an event with its name first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<E = Args, P = Payload> {
    /// Sends an event to the members of a target.
    Broadcast(Broadcast<E>),
    /// Joins the members of a target to rooms.
    Join {
        /// The members.
        target: Target,
        /// The rooms.
        rooms: Vec<Room>,
    },
    /// Removes the members of a target from rooms.
    Leave {
        /// The members.
        target: Target,
        /// The rooms.
        rooms: Vec<Room>,
    },
    /// Disconnects the members of a target.
    Disconnect {
        /// The members.
        target: Target,
        /// Whether their clients' connections are closed, with all namespaces.
        close: bool,
    },
    /// Asks for a [`Response::Sockets`].
    FetchSockets {
        /// The members.
        target: Target,
        /// The number to respond under.
        request: RequestId,
    },
    /// Hands an event to the application of the other nodes.
    ServerSideEmit {
        /// The event.
        event: E,
        /// The number to respond under with a [`Response::Event`], if one is expected.
        request: Option<RequestId>,
    },
    /// Responds to an operation of another node.
    Respond {
        /// The number of its request.
        request: RequestId,
        /// The response.
        response: Response<E, P>,
    },
}

/// Event to the members of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast<E = Args> {
    /// The members.
    pub target: Target,
    /// The event.
    pub event: E,
    /// Whether it is dropped where it cannot be sent at once.
    pub volatile: bool,
    /// The number to respond under, if acknowledgements are expected.
    ///
    /// A node responds with [`Response::Clients`], and then with each [`Response::Ack`]. Towards clients the event has
    /// another number, which each node draws for itself.
    pub request: Option<RequestId>,
    /// The offset to append for recovery, if the cluster has one log. Its text is the cluster's.
    pub offset: Option<Arc<str>>,
}

/// Response of a node to an operation of another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response<E = Args, P = Payload> {
    /// The number of members that may acknowledge a broadcast.
    Clients(usize),
    /// The acknowledgement of one member.
    Ack(E),
    /// The members of a target.
    Sockets(Vec<SocketInfo<P>>),
    /// The answer of the application to a server-side event.
    Event(E),
}

/// Description of a socket, as one node gives it to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketInfo<P = Payload> {
    /// Its id.
    pub id: SocketId,
    /// Its rooms, with its own.
    pub rooms: Vec<Room>,
    /// The client's handshake, an object.
    pub handshake: P,
    /// The application's data of the socket.
    pub data: P,
}

/// Number of a request to other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);
