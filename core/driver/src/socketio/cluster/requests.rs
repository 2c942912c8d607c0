//! Requests between nodes: those of this one, and those of others that are being answered.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use enginewire_socketio::{
    adapter::Target,
    cluster::{Missing, NodeId, RequestId, Response, message_size},
};

use super::{ClusterShared, State};
use crate::{
    socketio::{acks::OpenGroup, layer::AckResult},
    sync::lock,
    wakes::register,
};

/// The one that waits for the responses to a request.
pub(super) enum Waiting {
    /// A broadcast, whose acknowledgements come from this node as well.
    Acks(OpenGroup),
    Responses(Arc<Collected>),
}

impl Waiting {
    pub(super) fn respond(&self, from: NodeId, response: Response) -> Option<Waker> {
        match (self, response) {
            (Self::Acks(open), Response::Ack(ack)) => open.group().complete_remote(ack),
            (Self::Acks(_), _) => None,
            (Self::Responses(collected), response) => {
                let mut state = lock(&collected.0);
                state.responses.push((from, response));
                None
            }
        }
    }

    pub(super) fn complete(&self, missing: Missing) -> Option<Waker> {
        match self {
            Self::Acks(open) => {
                open.group().miss(missing);
                // Dropped, it tells the group.
                None
            }
            Self::Responses(collected) => {
                let mut state = lock(&collected.0);
                state.missing = Some(missing);
                state.waker.take()
            }
        }
    }
}

/// Responses to a request, and the task that waits for all of them.
#[derive(Default)]
pub(super) struct Collected(Mutex<CollectedState>);

#[derive(Default)]
struct CollectedState {
    responses: Vec<(NodeId, Response)>,
    /// There once the request is complete.
    missing: Option<Missing>,
    waker: Option<Waker>,
}

impl Collected {
    /// Waits for the end of the request.
    pub(super) async fn all(&self) -> (Vec<(NodeId, Response)>, Missing) {
        poll_fn(|cx| {
            let mut state = lock(&self.0);
            match state.missing {
                Some(missing) => Poll::Ready((mem::take(&mut state.responses), missing)),
                None => {
                    register(&mut state.waker, cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// A request whose responses are collected.
pub(super) struct Asked {
    pub(super) _request: Request,
    pub(super) collected: Arc<Collected>,
    /// Other nodes that are asked.
    pub(super) nodes: usize,
}

/// A request of this node. Dropped, it is forgotten.
pub(crate) struct Request {
    cluster: Arc<ClusterShared>,
    id: RequestId,
}

impl Request {
    /// Notes who waits for a request, which was made under the same lock.
    pub(super) fn new(
        cluster: &Arc<ClusterShared>,
        state: &mut State,
        id: RequestId,
        waiting: Waiting,
    ) -> Self {
        state.waiting.insert(id, waiting);
        Self { cluster: Arc::clone(cluster), id }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // Dropped behind the lock.
        let _waiting = self.cluster.with(|state| {
            state.cluster.cancel(self.id);
            state.waiting.remove(&self.id)
        });
    }
}

/// A request of another node.
#[derive(Clone, Debug)]
pub(super) struct AskerId {
    pub(super) node: NodeId,
    pub(super) namespace: Arc<str>,
    pub(super) request: RequestId,
}

impl AskerId {
    /// Returns the bytes that a response takes, about.
    pub(super) fn size(&self, response: &Response) -> usize {
        message_size(&self.namespace, &Target::all(), response.size())
    }
}

/// Another node that waits for acknowledgements of this one's sockets. As many are counted as there are.
#[derive(Debug)]
pub(crate) struct Asker {
    cluster: Arc<ClusterShared>,
    id: AskerId,
}

impl Asker {
    /// Counts a request. `None` if too many are being answered.
    pub(super) fn new(cluster: &Arc<ClusterShared>, id: AskerId) -> Option<Self> {
        let has_room = cluster.with(|state| {
            let has_room = state.answering < cluster.config.max_requests;
            state.answering += usize::from(has_room);
            has_room
        });
        has_room.then(|| Self { cluster: Arc::clone(cluster), id })
    }

    /// Sends an acknowledgement. One that will not come is told by the deadline of the other node.
    ///
    /// Called under the lock of a session. Returns the task to be woken.
    pub(in crate::socketio) fn respond(&self, result: AckResult) -> Option<Waker> {
        let ack = result.ok()?;
        let mut state = lock(&self.cluster.state);
        let _ = state.respond(&self.id, Response::Ack(ack));
        state.pump.take()
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        lock(&self.cluster.state).answering -= 1;
    }
}
