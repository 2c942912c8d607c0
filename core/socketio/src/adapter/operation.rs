//! Operations that all nodes of a cluster carry out, as plain values without a format.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};

use super::Target;
use crate::{
    id::{Room, SocketId},
    payload::{Args, Payload},
};

/// Error of a queue that has no room. It gives the item back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct Full<T>(pub T);

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

/// Queue of operations that other nodes must be told of.
///
/// Without a cluster there is none, and nothing is queued.
#[derive(Debug)]
pub struct Outbox<E = Args, P = Payload> {
    queue: VecDeque<(Operation<E, P>, usize)>,
    queued: usize,
    limit: usize,
    last_request: u64,
}

impl<E, P> Outbox<E, P> {
    /// Creates a queue that holds operations up to a total cost of `limit`.
    ///
    /// Costs are bytes by convention.
    pub const fn new(limit: usize) -> Self {
        Self { queue: VecDeque::new(), queued: 0, limit, last_request: 0 }
    }

    /// Returns a number for a request.
    pub const fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    /// Queues an operation.
    ///
    /// # Errors
    ///
    /// [`Full`] gives it back if the queue has no room for its cost.
    pub fn push(
        &mut self,
        operation: Operation<E, P>,
        cost: usize,
    ) -> Result<(), Full<Operation<E, P>>> {
        if cost > self.limit.saturating_sub(self.queued) {
            return Err(Full(operation));
        }
        self.queued += cost;
        self.queue.push_back((operation, cost));
        Ok(())
    }

    /// Returns the next operation to tell other nodes, the oldest first.
    pub fn poll(&mut self) -> Option<Operation<E, P>> {
        let (operation, cost) = self.queue.pop_front()?;
        self.queued -= cost;
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(operation)
    }

    /// Returns the total cost of the queued operations.
    pub const fn queued(&self) -> usize {
        self.queued
    }
}
