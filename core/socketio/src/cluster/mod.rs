//! One node of a cluster: its messages for others, and the requests between them.
//!
//! A [`Cluster`] is a plain value without I/O, clock or format. Whoever owns it carries [`Message`]s to the other nodes
//! and back, by whatever bus. The owner of the namespaces tells it what they do, and carries out what it gives:
//!
//! ```
//! use core::time::Duration;
//! use std::sync::Arc;
//!
//! use enginewire::Time;
//! use enginewire_socketio::{
//!     adapter::Target,
//!     cluster::{Cluster, ClusterEvent, NodeId, Operation, Response},
//! };
//!
//! let [one, two] = [NodeId(1), NodeId(2)];
//! let (mut first, mut second) = (Cluster::<(), ()>::new(1 << 20), Cluster::<(), ()>::new(1 << 20));
//! first.insert_node(two);
//! second.insert_node(one);
//!
//! // The first node asks for the sockets of all nodes. Those of its own it knows.
//! let namespace: Arc<str> = "/".into();
//! let deadline = Time::ZERO + Duration::from_secs(5);
//! let request = first.fetch_sockets(deadline, &namespace, Target::all(), 100)?;
//!
//! // A message goes to all nodes, or to one.
//! let message = first.poll_message().unwrap();
//! assert_eq!(message.to, None);
//! second.handle_message(one, message.namespace, message.operation);
//!
//! // The second node carries out what it is asked for, and responds.
//! let Some(ClusterEvent::Operation { from, namespace, operation }) = second.poll_event() else { panic!() };
//! let Operation::FetchSockets { request: asked, .. } = operation else { panic!() };
//! second.respond(from, &namespace, asked, Response::Sockets(vec![]), 10)?;
//!
//! let message = second.poll_message().unwrap();
//! first.handle_message(two, message.namespace, message.operation);
//! assert_eq!(first.poll_event(), Some(ClusterEvent::Response(request, two, Response::Sockets(vec![]))));
//! assert!(matches!(first.poll_event(), Some(ClusterEvent::Completed(of, missing)) if of == request && missing.is_none()));
//! # Ok::<(), enginewire_socketio::cluster::TellError>(())
//! ```

mod appending;
mod config;
mod handshake;
mod log;
mod logging;
mod operation;
mod request;
mod restoration;
#[cfg(test)]
mod tests;
pub mod wire;

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::{fmt, time::Duration};

use enginewire::{Time, carrier::GracePeriod};

use crate::{
    adapter::{EntryId, Target},
    payload::{Args, Payload},
};

pub use self::{
    appending::Appending,
    config::ClusterConfig,
    handshake::HandshakeInfo,
    log::{AppendId, LogEntry, LogRequest, LogResponse, ReadLimits},
    operation::{Broadcast, Operation, RequestId, Response, SocketInfo, message_size},
    restoration::{Restoration, RestorationStep},
};
use self::{
    logging::Logging,
    request::{Expected, Request, Waiting},
};

/// Longest time that clients have to acknowledge a broadcast of another node.
///
/// That node cannot take its request back, and may be lost.
pub const MAX_ACK_TIMEOUT: Duration = Duration::from_secs(600);

/// Time that the bus has for an append or request to its log.
pub const LOG_TIMEOUT: Duration = Duration::from_secs(5);

/// Name of a node, as the owner of the bus gives it. It is unique among the nodes of this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Message for other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<E = Args, P = Payload> {
    /// The node that it is for, or `None` for all.
    pub to: Option<NodeId>,
    /// The namespace.
    pub namespace: Arc<str>,
    /// The operation.
    pub operation: Operation<E, P>,
}

/// Event of a [`Cluster`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterEvent<E = Args, P = Payload> {
    /// An operation of another node, to be carried out here.
    ///
    /// If it has a [`RequestId`], [`Cluster::respond`] responds.
    Operation {
        /// The node.
        from: NodeId,
        /// The namespace.
        namespace: Arc<str>,
        /// The operation, which is neither [`Operation::Respond`] nor [`Operation::Log`].
        operation: Operation<E, P>,
    },
    /// The end of an append to the log that the cluster shares.
    Appended {
        /// The append.
        append: AppendId,
        /// The namespace.
        namespace: Arc<str>,
        /// The entry. `None`: the bus was disconnected or has refused it, or the deadline has passed. It may be in the log
        /// even so.
        entry: Option<EntryId>,
    },
    /// The entry of an append that has ended without one.
    ///
    /// The event was delivered on this node. Other nodes get it at this entry.
    AppendedLate {
        /// The append.
        append: AppendId,
        /// The namespace.
        namespace: Arc<str>,
        /// The entry.
        entry: EntryId,
    },
    /// The response of the bus to a request to its log. `None`: there is none.
    Logged(RequestId, Option<LogResponse<E, P>>),
    /// A response of another node to a request.
    Response(RequestId, NodeId, Response<E, P>),
    /// The end of a request. All responses that came were told before.
    Completed(RequestId, Missing),
}

/// Responses to a request that did not come.
///
/// A node was lost, or the deadline has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Nodes that have not responded at all.
    pub nodes: usize,
    /// Acknowledgements that nodes have announced, and that did not come.
    pub acks: usize,
}

impl Missing {
    /// Returns whether every response came.
    pub const fn is_none(&self) -> bool {
        self.nodes == 0 && self.acks == 0
    }
}

/// Error of an operation that other nodes are not told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TellError {
    /// The queue of messages has no room.
    #[error("{queued} bytes wait for other nodes, at most {max} may")]
    Full {
        /// Bytes that wait.
        queued: usize,
        /// The limit, [`ClusterConfig::max_queued`].
        max: usize,
    },
    /// The bus carries no messages.
    #[error("the bus of the cluster is disconnected")]
    Disconnected,
}

/// One node of a cluster: its messages for others, and its requests.
///
/// `E` is the arguments of an event with its name first, `P` a payload.
///
/// # Order
///
/// Messages leave in the order of the calls. What becomes of them is the bus's: across nodes there is no order.
///
/// # Requests
///
/// A request waits for all nodes that are known when it is made. It ends when each of them has responded, is removed,
/// or at its deadline. Responses that came stay valid whatever the others do.
///
/// Some buses know how many nodes there are, but not which: those of [`counting`](Self::counting). A request then waits
/// for as many nodes as [`handle_count`](Self::handle_count) says.
///
/// # Log
///
/// Some buses have a log that all nodes share. [`append`](Self::append) asks for an entry in it, and other requests for
/// what it has: see [`LogRequest`]. They are for the bus, which responds.
pub struct Cluster<E = Args, P = Payload> {
    nodes: Nodes,
    is_connected: bool,
    messages: VecDeque<(Message<E, P>, usize)>,
    /// The sum of the costs of the messages.
    queued: usize,
    max_queued: usize,
    requests: BTreeMap<RequestId, Request>,
    /// The deadlines of the requests, in order.
    deadlines: BTreeSet<(Time, RequestId)>,
    last_request: u64,
    logging: Logging,
    grace: GracePeriod,
    events: VecDeque<ClusterEvent<E, P>>,
}

/// The other nodes.
enum Nodes {
    Known(BTreeSet<NodeId>),
    /// So many, at the last count.
    Counted(usize),
}

impl<E, P> Cluster<E, P> {
    /// Creates a node that knows no others. Messages up to a total cost of `max_queued` wait to be carried.
    ///
    /// Costs are bytes by convention.
    pub const fn new(max_queued: usize) -> Self {
        Self::with_nodes(Nodes::Known(BTreeSet::new()), max_queued)
    }

    /// As [`new`](Self::new), on a bus that counts the other nodes and does not name them.
    pub const fn counting(max_queued: usize) -> Self {
        Self::with_nodes(Nodes::Counted(0), max_queued)
    }

    const fn with_nodes(nodes: Nodes, max_queued: usize) -> Self {
        Self {
            nodes,
            is_connected: true,
            messages: VecDeque::new(),
            queued: 0,
            max_queued,
            requests: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            last_request: 0,
            logging: Logging::new(),
            grace: GracePeriod::new(),
            events: VecDeque::new(),
        }
    }

    /// Adds another node, which later requests wait for.
    ///
    /// Returns false if it is known, or if nodes are counted.
    pub fn insert_node(&mut self, node: NodeId) -> bool {
        match &mut self.nodes {
            Nodes::Known(nodes) => nodes.insert(node),
            Nodes::Counted(_) => false,
        }
    }

    /// Removes a node that was lost. Requests no longer wait for it. Returns false if it is not known.
    pub fn remove_node(&mut self, node: NodeId) -> bool {
        let Nodes::Known(nodes) = &mut self.nodes else { return false };
        let removed = nodes.remove(&node);
        let requests: Vec<_> = self.requests.keys().copied().collect();
        for id in requests {
            self.settle(id, |request| request.lose(node));
        }
        removed
    }

    /// Sets the number of other nodes, where they are [counted](Self::counting).
    ///
    /// It is what [`nodes`](Self::nodes) returns. Requests do not wait for it.
    pub const fn set_nodes(&mut self, count: usize) {
        if let Nodes::Counted(nodes) = &mut self.nodes {
            *nodes = count;
        }
    }

    /// Tells how many other nodes are to respond to a request, where they are [counted](Self::counting).
    ///
    /// The bus counts them when it has sent the request. Without an answer of the bus the request waits for its deadline.
    pub fn handle_count(&mut self, request: RequestId, nodes: usize) {
        self.settle(request, |request| request.expect(nodes));
    }

    /// Returns the other nodes in order. There are none where they are [counted](Self::counting).
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> {
        let nodes = match &self.nodes {
            Nodes::Known(nodes) => Some(nodes),
            Nodes::Counted(_) => None,
        };
        nodes.into_iter().flatten().copied()
    }

    /// Returns the number of other nodes.
    pub fn nodes(&self) -> usize {
        match &self.nodes {
            Nodes::Known(nodes) => nodes.len(),
            Nodes::Counted(nodes) => *nodes,
        }
    }

    /// Sets whether the bus carries messages. It does at the beginning.
    ///
    /// While it does not, messages are refused. Those that are queued stay, and requests wait for their deadlines.
    /// Appends and requests to the log end at once, in the order in which they were made.
    pub fn set_connected(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
        if !is_connected {
            self.end_logging();
        }
    }

    /// Returns whether the bus carries messages.
    pub const fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Tells all other nodes of an operation that expects no response.
    ///
    /// # Errors
    ///
    /// The queue has no room for its cost, or the bus is disconnected.
    pub fn tell(
        &mut self,
        namespace: &Arc<str>,
        operation: Operation<E, P>,
        cost: usize,
    ) -> Result<(), TellError> {
        self.push(None, namespace, operation, cost)
    }

    /// Asks all other nodes for the sockets that a target selects.
    ///
    /// Each responds with [`Response::Sockets`].
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn fetch_sockets(
        &mut self,
        deadline: Time,
        namespace: &Arc<str>,
        target: Target,
        cost: usize,
    ) -> Result<RequestId, TellError> {
        let operation = |request| Operation::FetchSockets { target, request };
        self.request(deadline, namespace, operation, Expected::Sockets, cost)
    }

    /// Sends an event to sockets of all other nodes, which are to acknowledge it.
    ///
    /// Each node responds with [`Response::Clients`], and with [`Response::Ack`] for each acknowledgement. The
    /// [`Broadcast::request`] that is given is replaced.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn broadcast_with_ack(
        &mut self,
        deadline: Time,
        namespace: &Arc<str>,
        broadcast: Broadcast<E>,
        cost: usize,
    ) -> Result<RequestId, TellError> {
        let operation =
            |request| Operation::Broadcast(Broadcast { request: Some(request), ..broadcast });
        self.request(deadline, namespace, operation, Expected::Acks, cost)
    }

    /// Hands an event to the applications of all other nodes, which are to answer it.
    ///
    /// Each responds with [`Response::Event`].
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn server_side_emit_with_ack(
        &mut self,
        deadline: Time,
        namespace: &Arc<str>,
        event: E,
        cost: usize,
    ) -> Result<RequestId, TellError> {
        let operation = |request| Operation::ServerSideEmit { event, request: Some(request) };
        self.request(deadline, namespace, operation, Expected::Event, cost)
    }

    /// Forgets a request. What comes for it is ignored.
    pub fn cancel(&mut self, request: RequestId) {
        self.forget(request);
        self.logging.cancel(request);
        self.events.retain(|event| match event {
            ClusterEvent::Operation { .. }
            | ClusterEvent::Appended { .. }
            | ClusterEvent::AppendedLate { .. } => true,
            ClusterEvent::Response(of, ..)
            | ClusterEvent::Completed(of, _)
            | ClusterEvent::Logged(of, _) => *of != request,
        });
    }

    /// Responds to a request of another node.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn respond(
        &mut self,
        to: NodeId,
        namespace: &Arc<str>,
        request: RequestId,
        response: Response<E, P>,
        cost: usize,
    ) -> Result<(), TellError> {
        self.push(Some(to), namespace, Operation::Respond { request, response }, cost)
    }

    /// Handles a message of another node.
    ///
    /// A node that is not known has its operations carried out, too: it may have come this moment. Poll all events
    /// behind each message: they are not bounded otherwise.
    pub fn handle_message(
        &mut self,
        from: NodeId,
        namespace: Arc<str>,
        operation: Operation<E, P>,
    ) {
        match operation {
            Operation::Respond { request, response } => {
                self.handle_response(from, request, response);
            }
            // The bus's own.
            Operation::Log(_) => {}
            operation => {
                self.events.push_back(ClusterEvent::Operation { from, namespace, operation });
            }
        }
    }

    /// Ends the requests whose deadline has passed.
    ///
    /// If it is called late there is a grace period first, because responses may lie unread in the bus.
    pub fn handle_timeout(&mut self, now: Time) {
        // Appends that have failed wait for nothing.
        self.expire_logging(Time::ZERO);
        if let Some(due) = self.poll_timeout().filter(|&due| due <= now)
            && let Some(until) = self.grace.extend_once(due, now)
        {
            self.extend_deadlines(until);
        }
        let due = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        let mut due: Vec<_> = due.map(|&(_, id)| id).collect();
        // In the order in which they were made.
        due.sort_unstable();
        for id in due {
            self.settle(id, Request::expire);
        }
        self.expire_logging(now);
    }

    /// Returns the next deadline. [`handle_timeout`](Self::handle_timeout) is due then.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        deadline.into_iter().chain(self.logging.poll_timeout()).min()
    }

    /// Returns the next message for other nodes.
    pub fn poll_message(&mut self) -> Option<Message<E, P>> {
        let (message, cost) = self.messages.pop_front()?;
        self.queued -= cost;
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<ClusterEvent<E, P>> {
        self.events.pop_front()
    }

    /// Returns whether a message waits.
    pub fn has_message(&self) -> bool {
        !self.messages.is_empty()
    }

    /// Returns the total cost of the messages that wait.
    pub const fn queued(&self) -> usize {
        self.queued
    }

    fn push(
        &mut self,
        to: Option<NodeId>,
        namespace: &Arc<str>,
        operation: Operation<E, P>,
        cost: usize,
    ) -> Result<(), TellError> {
        if !self.is_connected {
            return Err(TellError::Disconnected);
        }
        if cost > self.max_queued.saturating_sub(self.queued) {
            return Err(TellError::Full { queued: self.queued, max: self.max_queued });
        }
        self.queued += cost;
        let message = Message { to, namespace: Arc::clone(namespace), operation };
        self.messages.push_back((message, cost));
        Ok(())
    }

    /// Queues a request. Each node responds once, or says how often.
    fn request(
        &mut self,
        deadline: Time,
        namespace: &Arc<str>,
        operation: impl FnOnce(RequestId) -> Operation<E, P>,
        expected: Expected,
        cost: usize,
    ) -> Result<RequestId, TellError> {
        let id = RequestId(self.last_request + 1);
        self.push(None, namespace, operation(id), cost)?;
        self.last_request = id.0;
        let waiting = match &self.nodes {
            Nodes::Known(nodes) => Waiting::for_nodes(nodes, expected),
            Nodes::Counted(_) => Waiting::Counted(Default::default()),
        };
        let request = Request { expected, deadline, waiting, missing: Missing::default() };
        self.deadlines.insert((deadline, id));
        self.requests.insert(id, request);
        self.settle(id, |_| {});
        Ok(id)
    }

    fn handle_response(&mut self, from: NodeId, id: RequestId, response: Response<E, P>) {
        // Of an unknown request, of another kind, or more than were to come.
        let request = self.requests.get_mut(&id);
        let request = request.filter(|request| request.expected.matches(&response));
        if request.is_some_and(|request| request.waiting.respond(from, &response)) {
            self.events.push_back(ClusterEvent::Response(id, from, response));
            self.settle(id, |_| {});
        }
    }

    fn extend_deadlines(&mut self, until: Time) {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline < until
        {
            self.deadlines.pop_first();
            if let Some(request) = self.requests.get_mut(&id) {
                request.deadline = until;
                self.deadlines.insert((until, id));
            }
        }
        self.logging.extend_deadlines(until);
    }

    fn forget(&mut self, id: RequestId) {
        if let Some(request) = self.requests.remove(&id) {
            self.deadlines.remove(&(request.deadline, id));
        }
    }

    /// Changes a request, and tells if it is complete.
    fn settle(&mut self, id: RequestId, change: impl FnOnce(&mut Request)) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        change(request);
        if request.waiting.is_complete() {
            let missing = request.missing;
            self.forget(id);
            self.events.push_back(ClusterEvent::Completed(id, missing));
        }
    }
}

impl<E, P> fmt::Debug for Cluster<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("nodes", &self.nodes())
            .field("messages", &self.messages.len())
            .field("queued", &self.queued)
            .field("requests", &self.requests.len())
            .finish_non_exhaustive()
    }
}
