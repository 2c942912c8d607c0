//! Events of a wire, and faults of messages.

use alloc::sync::Arc;

use super::super::{AppendId, LogResponse, NodeId, Operation, RequestId};
use crate::adapter::EntryId;

/// Event of a [`Wire`](super::Wire).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WireEvent {
    /// The adapter of another node has been heard for the first time. Only with heartbeats.
    ///
    /// Each namespace has an adapter, so a node comes once for each. Requests wait for a number, see
    /// [`Asked`](Self::Asked).
    Joined(NodeId),
    /// The adapter of another node has left, or is silent for too long. Only with heartbeats.
    Lost(NodeId),
    /// Number of other nodes, when it has changed.
    Nodes(usize),
    /// A broadcast of this node is in the log. Only with streams.
    Appended {
        /// The append.
        append: AppendId,
        /// The entry.
        entry: EntryId,
    },
    /// A broadcast of this node that cannot be written, and is not in the log.
    AppendFailed(AppendId),
    /// The log has gone back. Only with streams.
    ///
    /// Entries from now on may have the ids of earlier ones. The broker has lost entries that this node was told of, as one
    /// that fails over does.
    LogRewound,
    /// A response to a request to the log. Only with streams.
    Logged {
        /// The request.
        request: RequestId,
        /// The response.
        response: LogResponse,
    },
    /// Number of other nodes that are to respond to a request of this node.
    ///
    /// A later one for the same request replaces the number. With heartbeats a node that was lost makes one.
    Asked {
        /// The request.
        request: RequestId,
        /// The number.
        nodes: usize,
    },
    /// Message of another node.
    Message {
        /// The node, or the adapter of its namespace.
        from: NodeId,
        /// The namespace.
        namespace: Arc<str>,
        /// The operation.
        operation: Operation,
    },
    /// A message that was dropped, to be counted and logged.
    Faulty(WireError),
}

/// Error of a message that was dropped.
///
/// It shows nothing of the message, nor the names of rooms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message on `{}` was dropped, {blame} is to blame: {fault}", .channel.escape_debug())]
#[non_exhaustive]
pub struct WireError {
    /// The channel or stream, without the name of a room.
    pub channel: Arc<str>,
    /// The fault.
    pub fault: WireFault,
    /// The side that is to blame.
    pub blame: Blame,
}

/// Side that is to blame for a message that was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blame {
    /// The node, or any other program, that has published it.
    Publisher,
    /// The application of this node.
    Application,
}

/// Fault of a message that was dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireFault {
    /// It is neither JSON nor MessagePack, or nested too deeply.
    #[error("it cannot be read: {0}")]
    Unreadable(crate::parser::PacketError),
    /// It has no such member, or of another type.
    #[error("`{0}` is missing, or of the wrong type")]
    Member(&'static str),
    /// It is larger than allowed.
    #[error("it has {size} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// An id in it is longer than any of the reference.
    #[error("an id has {size} bytes, at most {max} are allowed")]
    LongId {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The namespace has too many nodes.
    #[error("more than {max} nodes")]
    Nodes {
        /// The limit.
        max: usize,
    },
    /// The name of its channel is too long for the broker.
    #[error("the name of the channel has {size} bytes, at most {max} are allowed")]
    Channel {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Its payload has no form in this format.
    #[error("the payload cannot be written: {0}")]
    Payload(crate::EncodeError),
}

impl core::fmt::Display for Blame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Publisher => "its publisher",
            Self::Application => "this application",
        })
    }
}
