//! Contents of messages of other nodes, whatever their format.

use alloc::{string::String, sync::Arc};

use super::super::{Operation, RequestId, Response};

/// A message that was read.
pub(super) struct Incoming {
    /// The adapter that has sent it, or none where the format does not tell.
    pub(super) uid: Option<Arc<str>>,
    /// The namespace, unless it is that of the channel.
    pub(super) namespace: Option<String>,
    pub(super) body: Body,
}

/// The content of a message.
pub(super) enum Body {
    /// An operation, to be answered if it has a request.
    Operation(Operation, Option<Asked>),
    /// A response to a request of this node, or of another one.
    Response(Arc<str>, Response),
    /// A node that was not there wants to hear of the others.
    Hello,
    /// A node is there.
    Heartbeat,
    /// A node leaves.
    Goodbye,
    /// The message is stored apart, under this number.
    Stored(u64),
    /// A message that nodes of this kind do not handle.
    Ignored,
}

/// A request of another node, and the form of the response.
pub(super) struct Asked {
    pub(super) request: Arc<str>,
    pub(super) reply: Reply,
}

/// Form of the response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The number of clients, and the acknowledgement of each.
    Acks {
        /// The number of clients, once it is known. A fast client may acknowledge before.
        clients: Option<usize>,
        /// Acknowledgements so far.
        came: usize,
    },
    /// Descriptions of sockets.
    Sockets,
    /// The answer to a server-side event.
    Event,
    /// Ids of sockets, in the classic format.
    SocketIds,
    /// Names of rooms, in the classic format.
    Rooms,
    /// No more than that the socket is here, in the classic format of old nodes.
    Owner,
}

impl Reply {
    /// The number of clients and their acknowledgements, of which there are none yet.
    pub(super) const ACKS: Self = Self::Acks { clients: None, came: 0 };
}

impl Body {
    /// An operation without a response.
    pub(super) const fn operation(operation: Operation) -> Self {
        Self::Operation(operation, None)
    }

    /// An operation with a response, if there is a request.
    pub(super) fn asking(operation: Operation, request: Option<Arc<str>>, reply: Reply) -> Self {
        Self::Operation(operation, request.map(|request| Asked { request, reply }))
    }
}

/// Fills in the number under which this node responds to a request, or that it does not.
pub(super) fn number(operation: &mut Operation, number: Option<RequestId>) {
    match operation {
        Operation::Broadcast(broadcast) => broadcast.request = number,
        Operation::ServerSideEmit { request, .. } => *request = number,
        Operation::FetchSockets { request, .. } => *request = number.unwrap_or(*request),
        _ => {}
    }
}
