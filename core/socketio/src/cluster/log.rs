//! Requests to a log that the nodes of a cluster share.

use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

use super::{Broadcast, RequestId, operation::socket_size};
use crate::{
    adapter::{EntryId, SocketState, Target},
    id::PrivateId,
    payload::{Args, Payload},
};

/// Request to the log of a cluster, and to the states of sockets beside it.
///
/// The bus carries them out in the order in which it gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogRequest<E = Args, P = Payload> {
    /// Adds a broadcast to the log, and so sends it to all other nodes.
    ///
    /// The bus tells its [`EntryId`] when all entries before it were told. Nodes get entries in their order.
    Append {
        /// The number to tell the entry under.
        append: AppendId,
        /// The broadcast, without an offset. It is not volatile, and expects no acknowledgement.
        broadcast: Broadcast<E>,
    },
    /// Keeps the state of a socket, in place of an older one.
    Keep {
        /// The state.
        state: Box<SocketState<P>>,
        /// The time after which it is forgotten.
        lifetime: Duration,
    },
    /// Takes out the state of a socket, to be responded to with [`LogResponse::State`].
    ///
    /// It is given to one node only.
    Take {
        /// The private id of the socket.
        pid: PrivateId,
        /// The number to respond under.
        request: RequestId,
    },
    /// Reads entries of the namespace, to be responded to with [`LogResponse::Entries`].
    Read {
        /// The first of them.
        from: EntryId,
        /// The entry that ends them, and is not read. `None`: the end of the log.
        until: Option<EntryId>,
        /// The most that may be read.
        limits: ReadLimits,
        /// The number to respond under.
        request: RequestId,
    },
}

/// Number of an append to the log of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendId(pub u64);

/// Limits on the entries of one [`LogRequest::Read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Entries of the namespace.
    pub max_events: usize,
    /// Their bytes.
    pub max_bytes: usize,
}

/// Response of the log of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogResponse<E = Args, P = Payload> {
    /// The state of a socket, if there was one.
    State(Option<Box<SocketState<P>>>),
    /// Entries of a namespace, in order.
    ///
    /// They begin with the one that was asked for. `None`: it is not in the log, or there are more than the limits allow.
    /// The response is given when this node was given all of them.
    Entries(Option<Vec<LogEntry<E>>>),
}

/// Entry of the log of a cluster: a broadcast that can be sent again.
///
/// It is neither volatile, nor does it expect an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry<E = Args> {
    /// Its id.
    pub id: EntryId,
    /// The members that it is for.
    pub target: Target,
    /// The event.
    pub event: E,
}

impl SocketState<Payload> {
    /// Returns the bytes that it takes, about.
    pub fn size(&self) -> usize {
        let stays = self.stays.iter().map(|stay| &stay.room);
        socket_size(self.rooms.iter().chain(stays), &[&self.data])
    }
}
