//! Hub as one node of a cluster: what it tells others, and does for them.

mod operations;

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::{
    fmt, mem,
    ops::{Deref, DerefMut},
    time::Duration,
};

use enginewire::Time;
use serde::Serialize;

use super::{Delivered, GroupId, Hub, SocketKey, returning::LogAsker};
use crate::{
    Args, EncodeError, Event, Room,
    adapter::Target,
    cluster::{
        Broadcast, Cluster, ClusterConfig, Message, Missing, NodeId, Operation, RequestId,
        Response, SocketInfo, TellError, message_size,
    },
    parser::Outgoing,
    payload::Payload,
};

/// The other nodes, as a hub knows them.
pub(super) struct Node {
    pub(super) cluster: Cluster,
    config: ClusterConfig,
    /// Broadcasts of this hub that other nodes acknowledge.
    groups: BTreeMap<RequestId, GroupId>,
    /// Broadcasts of other nodes whose acknowledgements are awaited.
    answering: usize,
    /// Commands stay on this node.
    is_local: bool,
    /// Requests to the log of the bus.
    pub(super) logged: BTreeMap<RequestId, LogAsker>,
    /// Steps of clients that come back.
    #[cfg(test)]
    pub(super) returns: usize,
}

/// Request of another node that a broadcast responds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    node: NodeId,
    namespace: Arc<str>,
    request: RequestId,
}

/// Answer to a server-side event, which [`Hub::answer`] sends.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the other node waits for the answer"]
pub struct AnswerId(Asker);

/// Event of a cluster for the application of a [`Hub`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ClusterOutput {
    /// Another node has emitted a server-side event in a namespace.
    ///
    /// [`Hub::answer`] answers at any later time, if the other node waits for it.
    Event(NodeId, Arc<str>, Event, Option<AnswerId>),
    /// Another node has answered an event of [`Hub::server_side_emit_with_ack`].
    Answer(RequestId, NodeId, Args),
    /// Another node has responded to [`Hub::fetch_sockets`].
    Sockets(RequestId, NodeId, Vec<SocketInfo>),
    /// A request is complete: all nodes have responded, were lost, or were too late.
    Completed(RequestId, Missing),
}

/// Reason why a server-side event was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerSideEmitError {
    /// The payload cannot be encoded, or the name is reserved.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The other nodes are not told.
    #[error(transparent)]
    Tell(#[from] TellError),
}

impl Node {
    pub(super) fn new(config: ClusterConfig) -> Box<Self> {
        Box::new(Self {
            cluster: match config.counts_nodes {
                true => Cluster::counting(config.max_queued),
                false => Cluster::new(config.max_queued),
            },
            config,
            groups: BTreeMap::new(),
            answering: 0,
            is_local: false,
            logged: BTreeMap::new(),
            #[cfg(test)]
            returns: 0,
        })
    }

    pub(super) const fn has_log(&self) -> bool {
        self.config.has_log
    }

    pub(super) const fn max_queued(&self) -> usize {
        self.config.max_queued
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.cluster.poll_timeout()
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.groups.is_empty()
            && self.logged.is_empty()
            && self.answering == 0
            && self.cluster.poll_timeout().is_none()
    }
}

/// Network inputs of a node of a cluster. They do nothing without [`HubConfig::cluster`](super::HubConfig::cluster).
impl Hub {
    /// Handles a message of another node.
    ///
    /// The operation is carried out at once, but for server-side events, which are the application's. An operation
    /// that [is not valid](Operation::is_valid) is ignored.
    pub fn handle_cluster_message(
        &mut self,
        now: Time,
        from: NodeId,
        namespace: Arc<str>,
        operation: Operation,
    ) {
        self.set_now(now);
        if let Some(node) = &mut self.node {
            node.cluster.handle_message(from, namespace, operation);
            self.drain_cluster();
        }
    }

    /// Handles that the bus carries messages again, or no longer does.
    ///
    /// While it does not, all operations stay on this node. What waits for its log ends without a response.
    pub fn handle_cluster_connected(&mut self, is_connected: bool) {
        if let Some(node) = &mut self.node {
            node.cluster.set_connected(is_connected);
            self.drain_cluster();
        }
    }

    /// Sets the number of other nodes, for a bus that [counts](ClusterConfig::counts_nodes) them.
    pub fn handle_nodes(&mut self, count: usize) {
        if let Some(node) = &mut self.node {
            node.cluster.set_nodes(count);
        }
    }

    /// Handles the number of other nodes that a request waits for.
    ///
    /// A bus that [counts](ClusterConfig::counts_nodes) tells it when it has sent the request. Without it the request waits for its deadline.
    pub fn handle_asked(&mut self, now: Time, request: RequestId, nodes: usize) {
        self.set_now(now);
        if let Some(node) = &mut self.node {
            node.cluster.handle_count(request, nodes);
            self.drain_cluster();
        }
    }

    /// Adds another node, which later requests wait for. Returns false if it is known.
    pub fn insert_node(&mut self, node: NodeId) -> bool {
        self.node.as_mut().is_some_and(|this| this.cluster.insert_node(node))
    }

    /// Removes another node that was lost. Requests no longer wait for it. Returns false if it is not known.
    pub fn remove_node(&mut self, node: NodeId) -> bool {
        let removed = self.node.as_mut().is_some_and(|this| this.cluster.remove_node(node));
        self.drain_cluster();
        removed
    }

    pub(super) fn handle_cluster_timeout(&mut self) {
        if let Some(node) = &mut self.node {
            node.cluster.handle_timeout(self.now);
            self.drain_cluster();
        }
    }
}

/// Operations on sockets of all nodes, and messages for the other ones.
impl Hub {
    /// Returns the next message for other nodes, which the bus carries.
    ///
    /// To be called after any input or command, until there is none.
    pub fn poll_cluster_message(&mut self) -> Option<Message> {
        self.node.as_mut()?.cluster.poll_message()
    }

    /// Calls `commands`, of which other nodes are not told.
    ///
    /// ```
    /// # use enginewire_socketio::{EncodeError, adapter::Target, hub::{Delivered, Hub}};
    /// fn restart(hub: &mut Hub) -> Result<Delivered, EncodeError> {
    ///     hub.local(|hub| hub.broadcast("/", &Target::all(), "restart", &()))
    /// }
    /// ```
    pub fn local<T>(&mut self, commands: impl FnOnce(&mut Self) -> T) -> T {
        let was_local = self.set_local(true);
        let mut local = Local { hub: self, was_local };
        commands(&mut local)
    }

    /// Joins all sockets that a target selects to rooms, on all nodes.
    pub fn sockets_join(&mut self, namespace: &str, target: &Target, rooms: &[Room]) -> Delivered {
        self.change_rooms(namespace, target, rooms, true)
    }

    /// Removes all sockets that a target selects from rooms, on all nodes.
    pub fn sockets_leave(&mut self, namespace: &str, target: &Target, rooms: &[Room]) -> Delivered {
        self.change_rooms(namespace, target, rooms, false)
    }

    /// Disconnects all sockets that a target selects, on all nodes.
    ///
    /// With `close` their clients are disconnected, with all namespaces. See [`disconnect`](Self::disconnect) and [`disconnect_client`](Self::disconnect_client).
    pub fn disconnect_sockets(
        &mut self,
        now: Time,
        namespace: &str,
        target: &Target,
        close: bool,
    ) -> Delivered {
        self.set_now(now);
        let operation = |target| Operation::Disconnect { target, close };
        let remote = self.tell(namespace, target, 0, operation);
        Delivered { sockets: self.disconnect_all(namespace, target, close), ..remote }
    }

    /// Asks all other nodes for the sockets that a target selects, within `timeout`.
    ///
    /// [`ClusterOutput::Sockets`] follows for each node, and [`ClusterOutput::Completed`] at the end. Those of this
    /// node are in [`sockets`](Self::sockets).
    ///
    /// # Errors
    ///
    /// The other nodes are not told, or there is no cluster.
    pub fn fetch_sockets(
        &mut self,
        now: Time,
        namespace: &str,
        target: &Target,
        timeout: Duration,
    ) -> Result<RequestId, TellError> {
        self.set_now(now);
        let deadline = self.now + timeout;
        let node = self.node.as_mut().ok_or(TellError::Disconnected)?;
        let cost = message_size(namespace, target, 0);
        let request =
            node.cluster.fetch_sockets(deadline, &namespace.into(), target.clone(), cost)?;
        self.drain_cluster();
        Ok(request)
    }

    /// Sets the data of a socket for other nodes that ask for it.
    ///
    /// Default: an empty object. Returns false if the socket is not known.
    pub fn set_data(&mut self, key: SocketKey, data: Payload) -> bool {
        let Some(socket) = self.sockets.get_mut(key) else { return false };
        socket.data = Some(Box::new(data));
        true
    }

    /// Hands an event to the applications of all other nodes. Returns their number, 0 without a cluster.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, the name is reserved, or the other nodes are not told.
    pub fn server_side_emit(
        &mut self,
        namespace: &str,
        event: &impl Outgoing,
    ) -> Result<usize, ServerSideEmitError> {
        let (event, cost) = self.server_side_event(namespace, event)?;
        let Some(node) = &mut self.node else { return Ok(0) };
        let operation = Operation::ServerSideEmit { event, request: None };
        node.cluster.tell(&namespace.into(), operation, cost)?;
        Ok(node.cluster.nodes())
    }

    /// Hands an event to the applications of all other nodes, to be answered.
    ///
    /// They have until `timeout`. [`ClusterOutput::Answer`] follows for each node, and [`ClusterOutput::Completed`] at the end.
    ///
    /// # Errors
    ///
    /// As [`server_side_emit`](Self::server_side_emit).
    pub fn server_side_emit_with_ack(
        &mut self,
        now: Time,
        namespace: &str,
        event: &impl Outgoing,
        timeout: Duration,
    ) -> Result<RequestId, ServerSideEmitError> {
        self.set_now(now);
        let (event, cost) = self.server_side_event(namespace, event)?;
        let deadline = self.now + timeout;
        let node = self.node.as_mut().ok_or(TellError::Disconnected)?;
        let cluster = &mut node.cluster;
        let request =
            cluster.server_side_emit_with_ack(deadline, &namespace.into(), event, cost)?;
        self.drain_cluster();
        Ok(request)
    }

    /// Answers a server-side event of another node. A tuple is several arguments, `()` none.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the other node is not told.
    pub fn answer<P: Serialize + ?Sized>(
        &mut self,
        id: AnswerId,
        payload: &P,
    ) -> Result<(), ServerSideEmitError> {
        let answer = Args::ack(payload)?;
        Ok(self.respond_to(&id.0, Response::Event(answer))?)
    }

    /// Forgets a request to other nodes. Nothing of it follows.
    pub fn forget_request(&mut self, request: RequestId) {
        if let Some(node) = &mut self.node {
            node.cluster.cancel(request);
        }
    }
}

/// A hub whose commands stay on this node.
struct Local<'a> {
    hub: &'a mut Hub,
    was_local: bool,
}

impl Deref for Local<'_> {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        self.hub
    }
}

impl DerefMut for Local<'_> {
    fn deref_mut(&mut self) -> &mut Hub {
        self.hub
    }
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        self.hub.set_local(self.was_local);
    }
}

/// Telling others.
impl Hub {
    fn set_local(&mut self, is_local: bool) -> bool {
        let node = self.node.as_mut();
        node.is_some_and(|node| mem::replace(&mut node.is_local, is_local))
    }

    /// Returns whether other nodes are told of commands.
    pub(super) fn has_others(&self) -> bool {
        self.node.as_ref().is_some_and(|node| !node.is_local)
    }

    /// Tells the other nodes of an operation.
    fn tell(
        &mut self,
        namespace: &str,
        target: &Target,
        payload: usize,
        operation: impl FnOnce(Target) -> Operation,
    ) -> Delivered {
        let node = self.node.as_mut().filter(|node| !node.is_local);
        let remote = node.map_or(Ok(0), |node| {
            let cost = message_size(namespace, target, payload);
            node.cluster.tell(&namespace.into(), operation(target.clone()), cost)?;
            Ok(node.cluster.nodes())
        });
        Delivered { remote, ..Delivered::default() }
    }

    /// Tells the other nodes of a broadcast. Returns their number.
    pub(super) fn tell_broadcast(
        &mut self,
        namespace: &str,
        target: &Target,
        event: Args,
        volatile: bool,
    ) -> Result<usize, TellError> {
        let Some(node) = &mut self.node else { return Ok(0) };
        let cost = message_size(namespace, target, event.payload().size());
        let broadcast = Broadcast { volatile, ..Broadcast::new(target.clone(), event) };
        node.cluster.tell(&namespace.into(), Operation::Broadcast(broadcast), cost)?;
        Ok(node.cluster.nodes())
    }

    /// Tells the other nodes of a broadcast that `group` waits for. Returns what is missing if they are not told.
    pub(super) fn ask_broadcast(
        &mut self,
        namespace: &str,
        target: &Target,
        event: Args,
        timeout: Duration,
        group: GroupId,
    ) -> Result<(), Missing> {
        let Some(node) = &mut self.node else { return Err(Missing::default()) };
        let cost = message_size(namespace, target, event.payload().size());
        let broadcast = Broadcast::new(target.clone(), event);
        let broadcast = Broadcast { timeout: Some(timeout), ..broadcast };
        let (deadline, namespace) = (self.now + timeout, namespace.into());
        let asked = node.cluster.broadcast_with_ack(deadline, &namespace, broadcast, cost);
        let nodes = node.cluster.nodes();
        let request = asked.map_err(|_| Missing { nodes, acks: 0 })?;
        node.groups.insert(request, group);
        Ok(())
    }

    fn server_side_event(
        &mut self,
        namespace: &str,
        event: &impl Outgoing,
    ) -> Result<(Args, usize), EncodeError> {
        let event = self.encoder.args(&self.connection.parser, event)?;
        self.encoder.shrink();
        let cost = message_size(namespace, &Target::all(), event.payload().size());
        Ok((event, cost))
    }

    fn respond_to(&mut self, to: &Asker, response: Response) -> Result<(), TellError> {
        let Some(node) = &mut self.node else { return Err(TellError::Disconnected) };
        let cost = message_size(&to.namespace, &Target::all(), response.size());
        node.cluster.respond(to.node, &to.namespace, to.request, response, cost)
    }

    /// Sends a client's acknowledgement to the node that waits for it.
    pub(super) fn respond_ack(&mut self, to: &Asker, ack: Args) {
        // Without room the deadline of the other node tells.
        let _ = self.respond_to(to, Response::Ack(ack));
    }

    /// Counts a broadcast of another node that no client owes an acknowledgement of any more.
    pub(super) fn end_answering(&mut self) {
        if let Some(node) = &mut self.node {
            node.answering -= 1;
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cluster.fmt(f)
    }
}
