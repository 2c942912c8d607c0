//! A bus in memory between the nodes of a cluster, with faults.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use enginewire_socketio::cluster::{LogRequest, Message, NodeId, Operation};

use super::memory_log::MemoryLog;
use crate::{
    socketio::{Bus, BusEvent},
    sync::lock,
    wakes::{Wakes, register},
};

/// Network in memory between the nodes of a cluster. Cheap to clone.
///
/// It delivers in order and at once, unless a test tells it otherwise. One made [with a log](Self::with_log) lets clients
/// come back on any node.
///
/// ```no_run
/// # use enginewire_driver::{Runtime, socketio::Io, testing::{MemoryNetwork, TestLink}};
/// # async fn example<R: Runtime + Default>() -> Result<(), Box<dyn std::error::Error>> {
/// let network = MemoryNetwork::new();
/// let nodes = [(); 2].map(|()| Io::builder().cluster(network.bus()).build());
/// let clients = nodes.each_ref().map(|io| io.namespace("/"));
/// let links = nodes.each_ref().map(TestLink::<R>::new);
/// let mut anna = links[0].connect("/").await?;
/// let mut bert = links[1].connect("/").await?;
///
/// clients[0].emit("hello", &1).await?;
/// assert_eq!(anna.recv().await.unwrap().name(), "hello");
/// assert_eq!(bert.recv().await.unwrap().name(), "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    state: Arc<Mutex<State>>,
}

/// One node's end of a [`MemoryNetwork`], for [`IoBuilder::cluster`](crate::socketio::IoBuilder::cluster).
///
/// Dropped, the node is lost for the others.
pub struct MemoryBus {
    network: MemoryNetwork,
    node: NodeId,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<NodeId, Node>,
    last: u64,
    log: Option<MemoryLog>,
}

#[derive(Default)]
struct Node {
    inbox: VecDeque<BusEvent>,
    task: Option<Waker>,
    /// It gets nothing for now.
    is_held: bool,
    /// Messages of this node are lost.
    loses: bool,
    /// Messages of this node come twice.
    duplicates: bool,
    /// It and the others do not reach each other.
    is_cut: bool,
    /// Entries of the log up to this one were taken.
    read: u64,
}

impl Node {
    fn push(&mut self, event: BusEvent, wakes: &mut Wakes) {
        self.inbox.push_back(event);
        if !self.is_held {
            wakes.extend(self.task.take());
        }
    }
}

impl MemoryNetwork {
    /// Creates a network without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a network without nodes that has a log, see [`Bus::has_log`].
    pub fn with_log() -> Self {
        let this = Self::new();
        lock(&this.state).log = Some(MemoryLog::default());
        this
    }

    /// Forgets the states of all sockets, as if their time was over. Returns their number.
    pub fn forget_states(&self) -> usize {
        self.change_log(MemoryLog::forget_states)
    }

    /// Returns the number of sockets whose states are kept.
    pub fn states(&self) -> usize {
        self.change_log(|log| log.states())
    }

    /// Returns whether the state of the socket with this private id is kept.
    pub fn is_kept(&self, pid: &str) -> bool {
        self.change_log(|log| log.is_kept(pid))
    }

    /// Forgets all entries of the log but the last `entries`.
    pub fn trim_log(&self, entries: usize) {
        self.change_log(|log| log.trim(entries));
    }

    /// Returns the number of entries that were ever added to the log.
    pub fn logged(&self) -> u64 {
        self.change_log(|log| log.last())
    }

    fn change_log<T: Default>(&self, change: impl FnOnce(&mut MemoryLog) -> T) -> T {
        lock(&self.state).log.as_mut().map(change).unwrap_or_default()
    }

    /// Adds a node. The first is `NodeId(1)`.
    pub fn bus(&self) -> MemoryBus {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.state);
        state.last += 1;
        let node = NodeId(state.last);
        let read = state.log.as_ref().map_or(0, MemoryLog::last);
        state.nodes.insert(node, Node { read, ..Node::default() });
        state.introduce(node, &mut wakes);
        drop(state);
        MemoryBus { network: self.clone(), node }
    }

    /// Holds back what comes for a node until [`release`](Self::release).
    ///
    /// Its inbox then fills, and the others wait.
    pub fn hold(&self, node: NodeId) {
        self.change(node, |node, _| node.is_held = true);
    }

    /// Ends [`hold`](Self::hold). What was sent meanwhile arrives.
    pub fn release(&self, node: NodeId) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.state);
        if let Some(node) = state.nodes.get_mut(&node) {
            node.is_held = false;
        }
        // Those that wait for room, too.
        wakes.extend(state.nodes.values_mut().filter_map(|node| node.task.take()));
        drop(state);
    }

    /// Sets whether what a node sends is lost without a word.
    pub fn lose(&self, node: NodeId, loses: bool) {
        self.change(node, |node, _| node.loses = loses);
    }

    /// Sets whether what a node sends comes twice.
    pub fn duplicate(&self, node: NodeId, duplicates: bool) {
        self.change(node, |node, _| node.duplicates = duplicates);
    }

    /// Cuts a node off.
    ///
    /// For the others it is lost, and its own bus is down. What has not arrived is lost, but for entries of the log.
    pub fn cut(&self, node: NodeId) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.state);
        let Some(cut) = state.nodes.get_mut(&node).filter(|node| !node.is_cut) else { return };
        cut.is_cut = true;
        cut.inbox.clear();
        cut.push(BusEvent::Down("the node is cut off".into()), &mut wakes);
        let others: Vec<_> = state.others(node).collect();
        for other in others {
            state.tell(other, BusEvent::Lost(node), &mut wakes);
            state.tell(node, BusEvent::Lost(other), &mut wakes);
        }
        drop(state);
    }

    /// Ends [`cut`](Self::cut).
    pub fn heal(&self, node: NodeId) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.state);
        let Some(cut) = state.nodes.get_mut(&node).filter(|node| node.is_cut) else { return };
        cut.is_cut = false;
        cut.push(BusEvent::Up, &mut wakes);
        let read = cut.read;
        state.introduce(node, &mut wakes);
        let missed = state.log.as_ref().map(|log| log.events(node, read)).unwrap_or_default();
        missed.into_iter().for_each(|event| state.tell(node, event, &mut wakes));
        drop(state);
    }

    /// Returns the number of messages and events that a node has not taken.
    pub fn queued(&self, node: NodeId) -> usize {
        lock(&self.state).nodes.get(&node).map_or(0, |node| node.inbox.len())
    }

    fn change(&self, node: NodeId, change: impl FnOnce(&mut Node, &mut Wakes)) {
        let mut wakes = Wakes::default();
        if let Some(node) = lock(&self.state).nodes.get_mut(&node) {
            change(node, &mut wakes);
        }
    }
}

impl State {
    /// Returns the nodes that a node reaches.
    fn others(&self, of: NodeId) -> impl Iterator<Item = NodeId> {
        let nodes = self.nodes.iter().filter(move |(id, node)| **id != of && !node.is_cut);
        nodes.map(|(&id, _)| id)
    }

    fn tell(&mut self, node: NodeId, event: BusEvent, wakes: &mut Wakes) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.push(event, wakes);
        }
    }

    /// Carries out a request of a node to the log.
    fn carry_out(
        &mut self,
        node: NodeId,
        namespace: &Arc<str>,
        request: LogRequest,
        wakes: &mut Wakes,
    ) {
        let Some(log) = &mut self.log else { return };
        match request {
            LogRequest::Append { append, broadcast } => {
                let others: Vec<_> = self.others(node).collect();
                let Some(log) = &mut self.log else { return };
                let number = log.append(node, namespace, append, broadcast);
                let duplicates = self.nodes.get(&node).is_some_and(|node| node.duplicates);
                for to in others.into_iter().chain([node]) {
                    for _ in 0..if duplicates { 2 } else { 1 } {
                        let event = self.log.as_ref().and_then(|log| log.event(to, number));
                        event.into_iter().for_each(|event| self.tell(to, event, wakes));
                    }
                }
            }
            request => {
                if let Some(event) = log.respond(namespace, request) {
                    self.tell(node, event, wakes);
                }
            }
        }
    }

    /// Tells a node and the others of each other.
    fn introduce(&mut self, node: NodeId, wakes: &mut Wakes) {
        let others: Vec<_> = self.others(node).collect();
        for other in others {
            self.tell(other, BusEvent::Joined(node), wakes);
            self.tell(node, BusEvent::Joined(other), wakes);
        }
    }
}

impl MemoryBus {
    /// Returns the name of the node.
    pub const fn node(&self) -> NodeId {
        self.node
    }
}

impl Bus for MemoryBus {
    fn has_log(&self) -> bool {
        lock(&self.network.state).log.is_some()
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.network.state);
        let is_full = state.nodes.values().any(|node| node.inbox.len() >= CAPACITY);
        match state.nodes.get_mut(&self.node) {
            Some(node) if is_full => {
                register(&mut node.task, cx.waker());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    fn send(&mut self, message: Message) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.network.state);
        let Some(own) = state.nodes.get(&self.node) else { return };
        let copies = match own {
            Node { is_cut: true, .. } | Node { loses: true, .. } => 0,
            Node { duplicates: true, .. } => 2,
            _ => 1,
        };
        let Message { to, namespace, operation } = message;
        if let Operation::Log(request) = operation {
            if copies > 0 {
                state.carry_out(self.node, &namespace, request, &mut wakes);
            }
            return;
        }
        let others = state.others(self.node).filter(|&other| to.is_none_or(|to| to == other));
        for other in others.collect::<Vec<_>>() {
            for _ in 0..copies {
                let (namespace, operation) = (Arc::clone(&namespace), operation.clone());
                let event = BusEvent::Message { from: self.node, namespace, operation };
                state.tell(other, event, &mut wakes);
            }
        }
        drop(state);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<BusEvent> {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.network.state);
        let Some(node) = state.nodes.get_mut(&self.node) else { return Poll::Pending };
        let event = if node.is_held { None } else { node.inbox.pop_front() };
        let Some(event) = event else {
            register(&mut node.task, cx.waker());
            return Poll::Pending;
        };
        node.read = node.read.max(MemoryLog::number(&event).unwrap_or_default());
        // The others wait for room.
        if node.inbox.len() + 1 == CAPACITY {
            wakes.extend(state.nodes.values_mut().filter_map(|node| node.task.take()));
        }
        drop(state);
        Poll::Ready(event)
    }
}

impl Drop for MemoryBus {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.network.state);
        let others: Vec<_> = state.others(self.node).collect();
        let removed = state.nodes.remove(&self.node);
        let was_reached = removed.as_ref().is_some_and(|node| !node.is_cut);
        for other in others.into_iter().filter(|_| was_reached) {
            state.tell(other, BusEvent::Lost(self.node), &mut wakes);
        }
        // Those that wait for room.
        wakes.extend(state.nodes.values_mut().filter_map(|node| node.task.take()));
        drop(state);
        drop(removed);
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = lock(&self.state).nodes.len();
        f.debug_struct("MemoryNetwork").field("nodes", &nodes).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Messages and events that an inbox holds before others wait. Duplicates and events about nodes may exceed it.
const CAPACITY: usize = 256;
