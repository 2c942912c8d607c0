//! Operations that all nodes of a cluster carry out, as plain values without a format.

use alloc::vec::Vec;
use core::{fmt, time::Duration};

use super::log::LogRequest;
use crate::{
    adapter::{EntryId, Target},
    id::{Room, SocketId},
    parser::check_name,
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
    /// Asks the bus for something of the log that the cluster shares.
    ///
    /// It is for the bus itself, and only for one that has a log. No node gets it.
    Log(LogRequest<E, P>),
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
    /// The time in which acknowledgements are of use, if the request tells.
    ///
    /// A node that knows it does not wait for its clients any longer.
    pub timeout: Option<Duration>,
    /// The entry in the log that the cluster shares, if it has one. It is the offset to append for recovery.
    pub offset: Option<EntryId>,
}

impl<E> Broadcast<E> {
    /// Makes an event that is not volatile, and that nobody acknowledges.
    pub const fn new(target: Target, event: E) -> Self {
        Self { target, event, volatile: false, request: None, timeout: None, offset: None }
    }
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

/// Description of a socket, as one node gives it to another. `Debug` shows its id and rooms only.
#[derive(Clone, PartialEq, Eq)]
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

impl Operation {
    /// Returns whether its event has a name that clients accept. Operations without an event are valid.
    ///
    /// Official clients close the connection at a reserved name.
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Broadcast(broadcast) => check_name(&broadcast.event).is_ok(),
            Self::ServerSideEmit { event, .. } => event.name().is_some(),
            _ => true,
        }
    }
}

impl Response {
    /// Returns the bytes that it takes, about.
    pub fn size(&self) -> usize {
        match self {
            Self::Clients(_) => 0,
            Self::Ack(args) | Self::Event(args) => args.payload().size(),
            Self::Sockets(sockets) => {
                sockets.iter().map(SocketInfo::size).fold(0, usize::saturating_add)
            }
        }
    }
}

/// Without the handshake, which may have secrets of the client, and the data.
impl<P> fmt::Debug for SocketInfo<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, rooms, .. } = self;
        f.debug_struct("SocketInfo").field("id", id).field("rooms", rooms).finish_non_exhaustive()
    }
}

impl SocketInfo {
    fn size(&self) -> usize {
        socket_size(self.rooms.iter(), &[&self.handshake, &self.data])
    }
}

/// Returns the bytes that the description of a socket takes, about.
pub(super) fn socket_size<'a>(
    rooms: impl Iterator<Item = &'a Room>,
    payloads: &[&Payload],
) -> usize {
    let rooms = rooms.map(|room| room.len() + ROOM).sum::<usize>();
    MESSAGE + rooms + payloads.iter().map(|payload| payload.size()).sum::<usize>()
}

/// Returns the bytes that a message takes, about: what [`Cluster`](super::Cluster) counts.
///
/// `payload` is the size of its event or response.
pub fn message_size(namespace: &str, target: &Target, payload: usize) -> usize {
    let rooms = target.rooms.iter().chain(&target.except);
    let rooms = rooms.map(|room| room.len() + ROOM).sum::<usize>();
    (MESSAGE + namespace.len() + rooms).saturating_add(payload)
}

/// Bytes that a message or a socket takes besides its parts.
const MESSAGE: usize = 128;

/// Bytes that a room takes besides its name.
const ROOM: usize = 32;
