//! Acknowledgements that the application waits for.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use enginewire_socketio::{
    AckId, Args, DecodeError, DisconnectReason, SocketId,
    cluster::{Missing, TellError},
};
use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::{
    EmitError,
    cluster::{Asker, Request},
    emit::Emit,
    layer::AckResult,
    order::Publishing,
};
use crate::sync::lock;

/// Reason why an event has no acknowledgement.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The deadline has passed.
    #[error("the event was not acknowledged in time")]
    Timeout,
    /// The socket was disconnected.
    #[error("the socket was disconnected: {0}")]
    Disconnected(DisconnectReason),
    /// The acknowledgement is of another shape.
    #[error("acknowledgement of another shape: {0}")]
    Decode(#[from] DecodeError),
    /// The event was dropped before it was sent. Only clients drop events.
    #[error("the event was not sent")]
    NotSent,
    /// The event could not be queued.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

impl From<enginewire_socketio::AckError> for AckError {
    fn from(error: enginewire_socketio::AckError) -> Self {
        match error {
            enginewire_socketio::AckError::Disconnected(reason) => Self::Disconnected(reason),
            enginewire_socketio::AckError::NotSent => Self::NotSent,
            enginewire_socketio::AckError::Emit(error) => Self::Emit(error),
            _ => Self::Timeout,
        }
    }
}

/// Task that waits for an acknowledgement of one socket.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    One(Arc<Pending>),
    /// A broadcast, and the socket that it went to.
    Many(Arc<Group>, SocketId),
}

impl Answer {
    /// Sets the result. Returns the task that waits for it.
    pub(super) fn complete(self, result: AckResult) -> Option<Waker> {
        match self {
            Self::One(pending) => {
                let mut state = lock(&pending.0);
                state.result = Some(result);
                state.waker.take()
            }
            Self::Many(group, id) => group.complete(id, result),
        }
    }
}

/// An acknowledgement that one task waits for.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<PendingState>);

#[derive(Debug, Default)]
struct PendingState {
    result: Option<AckResult>,
    waker: Option<Waker>,
}

/// Future of an acknowledgement. Made by `emit_with_ack`.
///
/// Dropped, it forgets the acknowledgement. The event is sent if the future was polled and there was room.
#[must_use = "futures do nothing unless polled"]
pub struct AckFuture<A, E: Asks = Emit> {
    emit: E,
    pending: Arc<Pending>,
    id: AckId,
    is_sent: bool,
    is_done: bool,
    decode: fn(&Args) -> Result<A, DecodeError>,
}

/// Future that sends an event which is to be acknowledged.
pub trait Asks: Future<Output = Result<(), EmitError>> + Unpin {
    /// Forgets the acknowledgement with this number.
    fn forget_ack(&self, id: AckId);
}

impl<A, E: Asks> AckFuture<A, E> {
    pub(super) const fn new(
        emit: E,
        pending: Arc<Pending>,
        id: AckId,
        decode: fn(&Args) -> Result<A, DecodeError>,
    ) -> Self {
        Self { emit, pending, id, is_sent: false, is_done: false, decode }
    }
}

impl<A, E: Asks> Future for AckFuture<A, E> {
    type Output = Result<A, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !this.is_sent {
            match Pin::new(&mut this.emit).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => {
                    this.is_done = true;
                    return Poll::Ready(Err(error.into()));
                }
                Poll::Ready(Ok(())) => this.is_sent = true,
            }
        }
        let mut state = lock(&this.pending.0);
        let Some(result) = state.result.take() else {
            crate::wakes::register(&mut state.waker, cx.waker());
            return Poll::Pending;
        };
        drop(state);
        this.is_done = true;
        let result = result.map_err(AckError::from);
        Poll::Ready(result.and_then(|args| Ok((this.decode)(&args)?)))
    }
}

impl<A, E: Asks> Drop for AckFuture<A, E> {
    fn drop(&mut self) {
        if self.is_sent && !self.is_done {
            self.emit.forget_ack(self.id);
        }
    }
}

/// Acknowledgements of a broadcast.
#[derive(Debug)]
pub(crate) struct Group {
    state: Mutex<GroupState>,
    /// The node that they are for, if it is another.
    asker: Option<Asker>,
}

#[derive(Debug, Default)]
struct GroupState {
    /// Sockets that have neither acknowledged nor failed.
    expected: usize,
    /// Deliveries that may still add sockets.
    open: usize,
    /// Results and their sockets, of which other nodes do not tell.
    results: VecDeque<(Option<SocketId>, AckResult)>,
    /// Responses of other nodes that did not come.
    missing: Missing,
    waker: Option<Waker>,
}

impl Group {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), asker: None })
    }

    /// Creates the group of a broadcast of another node.
    pub(super) fn for_node(asker: Asker) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), asker: Some(asker) })
    }

    /// Expects one more socket.
    pub(super) fn expect(&self) {
        lock(&self.state).expected += 1;
    }

    pub(super) fn complete(&self, id: SocketId, result: AckResult) -> Option<Waker> {
        if let Some(asker) = &self.asker {
            return asker.respond(result);
        }
        let mut state = lock(&self.state);
        state.results.push_back((Some(id), result));
        state.waker.take()
    }

    /// Adds the acknowledgement of a socket of another node.
    pub(super) fn complete_remote(&self, ack: Args) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.expected += 1;
        state.results.push_back((None, Ok(ack)));
        state.waker.take()
    }

    /// Counts responses of other nodes that do not come.
    pub(super) fn miss(&self, Missing { nodes, acks }: Missing) {
        let missing = &mut lock(&self.state).missing;
        // Those of several namespaces are the same nodes.
        missing.nodes = missing.nodes.max(nodes);
        missing.acks = missing.acks.saturating_add(acks);
    }

    fn missing(&self) -> Missing {
        lock(&self.state).missing
    }

    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<(Option<SocketId>, AckResult)>> {
        let mut state = lock(&self.state);
        if let Some(result) = state.results.pop_front() {
            state.expected -= 1;
            return Poll::Ready(Some(result));
        }
        if state.open == 0 && state.expected == 0 {
            return Poll::Ready(None);
        }
        crate::wakes::register(&mut state.waker, cx.waker());
        Poll::Pending
    }
}

/// A delivery that may add sockets to a [`Group`], which is not complete before.
#[derive(Debug)]
pub(crate) struct OpenGroup(Arc<Group>);

impl OpenGroup {
    pub(super) fn new(group: &Arc<Group>) -> Self {
        lock(&group.state).open += 1;
        Self(Arc::clone(group))
    }

    pub(super) const fn group(&self) -> &Arc<Group> {
        &self.0
    }
}

impl Drop for OpenGroup {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.open -= 1;
        let waker = if state.open == 0 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Acknowledgements of a broadcast, as they come: a stream of sockets and their results.
///
/// Of other nodes those come that there are, without their sockets. [`missing`](Self::missing) counts the others.
///
/// [`all`](Self::all) waits for every one of them, at most until the deadline.
#[must_use = "streams do nothing unless polled"]
pub struct AckStream<A> {
    group: Arc<Group>,
    error: Option<EmitError>,
    /// Namespaces where the event is not delivered yet.
    pending: Vec<Publishing>,
    /// Acknowledgements of other nodes, which are awaited for as long as these are there.
    _requests: Vec<Request>,
    remote: Result<usize, TellError>,
    decode: fn(&Args) -> Result<A, DecodeError>,
}

/// Acknowledgements of a broadcast: those that came, and those that did not.
#[derive(Debug)]
#[non_exhaustive]
pub struct AckResponses<A> {
    /// The sockets of this node that have acknowledged, in the order in which they did.
    pub responses: Vec<(SocketId, A)>,
    /// The sockets of this node that have not, and why.
    pub failed: Vec<(SocketId, AckError)>,
    /// Acknowledgements of other nodes, which do not tell whose they are.
    pub others: Vec<Result<A, AckError>>,
    /// Other nodes that were asked, or why none was. 0 without a cluster.
    pub remote: Result<usize, TellError>,
    /// Nodes that have not responded, and acknowledgements of others that did not come.
    pub missing: Missing,
}

impl<A: DeserializeOwned> AckStream<A> {
    pub(super) fn new(group: Arc<Group>, published: Result<Vec<Publishing>, EmitError>) -> Self {
        let decode = |args: &Args| args.decode(0);
        let (mut pending, error) = match published {
            Ok(pending) => (pending, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let _requests = pending.iter_mut().filter_map(Publishing::take_request).collect();
        let remote = Publishing::all_remote(&pending);
        Self { group, error, pending, _requests, remote, decode }
    }

    /// Waits for the acknowledgements of all sockets. Those that came are kept whatever the others do.
    ///
    /// # Errors
    ///
    /// The event was not sent to anybody.
    pub async fn all(mut self) -> Result<AckResponses<A>, EmitError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut all = AckResponses {
            responses: Vec::new(),
            failed: Vec::new(),
            others: Vec::new(),
            remote: self.remote,
            missing: Missing::default(),
        };
        while let Some((id, result)) = self.next().await {
            match (id, result) {
                (Some(id), Ok(response)) => all.responses.push((id, response)),
                (Some(id), Err(error)) => all.failed.push((id, error)),
                (None, result) => all.others.push(result),
            }
        }
        all.missing = self.missing();
        Ok(all)
    }

    /// Returns what did not come of other nodes, once the stream has ended.
    pub fn missing(&self) -> Missing {
        self.group.missing()
    }

    /// Waits for the next acknowledgement. `None` after the last. One of another node comes without its socket.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<(Option<SocketId>, Result<A, AckError>)> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<A> Stream for AckStream<A> {
    type Item = (Option<SocketId>, Result<A, AckError>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.error.is_some() {
            return Poll::Ready(None);
        }
        self.pending.retain(|publishing| publishing.poll(cx).is_pending());
        let decode = self.decode;
        self.group.poll_next(cx).map(|next| {
            let (id, result) = next?;
            let result = result.map_err(AckError::from);
            Some((id, result.and_then(|args| Ok(decode(&args)?))))
        })
    }
}

impl<A, E: Asks> fmt::Debug for AckFuture<A, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckFuture").field("is_sent", &self.is_sent).finish_non_exhaustive()
    }
}

impl<A> fmt::Debug for AckStream<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckStream").field("group", &self.group).finish_non_exhaustive()
    }
}
