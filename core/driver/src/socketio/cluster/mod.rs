//! Other nodes that share the namespaces of a server.
//!
//! The [`Cluster`] says what is told to whom. Its lock is taken under that of a namespace's order: broadcasts leave in
//! the order in which they are delivered here. Nothing else is locked under it but the cells of those that wait. The
//! [`pump`] carries its messages to the bus and back, and carries out what others ask for.

mod bus;
mod fetch;
mod log;
mod operations;
mod pump;
mod requests;
mod server_events;
mod tell;
mod watch;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt, mem,
    sync::{Arc, Mutex},
    task::Waker,
};

use enginewire::Time;
use enginewire_socketio::{
    Room,
    adapter::EntryId,
    cluster::{
        AppendId, Cluster, ClusterConfig, ClusterEvent, LogResponse, Message, NodeId, Operation,
        RequestId, Response, TellError,
    },
};

#[cfg(feature = "admin")]
pub(super) use self::fetch::remote_sockets;
pub use self::{
    bus::{Bus, BusEvent},
    fetch::{FetchedSockets, RemoteSocket},
    server_events::{ServerAck, ServerAnswers, ServerEvent, ServerEvents},
};
use self::{log::LogWaiter, requests::Waiting};
pub(super) use self::{
    pump::pump,
    requests::{Asker, Request},
    server_events::ClusterSide,
    tell::{Tell, Told},
};
use crate::{
    clock::Clock,
    socketio::{namespace::NamespaceShared, reading::Reader, session::caught},
    stats::Counter,
    sync::lock,
    wakers::{WakerKey, WakerSet},
    wakes::{Wakes, register},
};

/// The other nodes, as all namespaces of a server share them.
pub(crate) struct ClusterShared {
    config: ClusterConfig,
    /// The bus has a log that the nodes share.
    has_log: bool,
    watches_rooms: bool,
    state: Mutex<State>,
    slot: Mutex<BusSlot>,
    /// Entries of the log that were removed before they were read.
    missed: Counter,
}

struct State {
    cluster: Cluster,
    /// Clock of the first server whose task had the bus.
    clock: Option<Clock>,
    /// Requests of this node, and who waits for them.
    waiting: HashMap<RequestId, Waiting>,
    /// Broadcasts of other nodes whose acknowledgements are awaited.
    answering: usize,
    /// Requests of this node to the log, and who waits for them.
    logged: HashMap<RequestId, LogWaiter>,
    /// Namespaces whose events wait for their place in the log.
    appending: HashMap<AppendId, Arc<NamespaceShared>>,
    /// Operations of other nodes, and ends of appends and reads, that are still to be carried out, in the order of the log.
    arrived: VecDeque<Arrived>,
    /// Changes that the bus has not heard of. None once it has ended.
    changes: Option<Changes>,
    /// The task that has the bus.
    pump: Option<Waker>,
}

/// Namespaces and rooms that came or went.
#[derive(Default)]
struct Changes {
    /// Namespaces, and whether they exist.
    namespaces: BTreeMap<Arc<str>, bool>,
    /// Rooms, and whether they have members on this node.
    rooms: BTreeMap<(Arc<str>, Room), bool>,
}

/// Something for the namespaces that the bus has brought.
enum Arrived {
    Operation(NodeId, Arc<str>, Operation),
    Appended(Arc<NamespaceShared>, AppendId, Option<EntryId>),
    /// The entry of an event that was delivered without one.
    AppendedLate(Arc<str>, AppendId, EntryId),
    Read(Reader, Option<LogResponse>),
    LogRewound,
}

/// The bus while no task has it.
struct BusSlot {
    bus: Option<Box<dyn Bus>>,
    is_down: bool,
    /// Tasks of servers that would take it.
    servers: WakerSet,
}

impl ClusterShared {
    pub(super) fn new(bus: Box<dyn Bus>, config: ClusterConfig) -> Arc<Self> {
        let mut cluster = match bus.counts_nodes() {
            true => Cluster::counting(config.max_queued),
            false => Cluster::new(config.max_queued),
        };
        // Until a server starts.
        cluster.set_connected(false);
        Arc::new(Self {
            config,
            has_log: bus.has_log(),
            watches_rooms: bus.watches_rooms(),
            state: Mutex::new(State {
                cluster,
                clock: None,
                waiting: HashMap::new(),
                answering: 0,
                logged: HashMap::new(),
                appending: HashMap::new(),
                arrived: VecDeque::new(),
                changes: Some(Changes::default()),
                pump: None,
            }),
            slot: Mutex::new(BusSlot {
                bus: Some(bus),
                is_down: false,
                servers: WakerSet::default(),
            }),
            missed: Counter::default(),
        })
    }

    /// Returns whether the bus has a log that the nodes share.
    pub(super) const fn has_log(&self) -> bool {
        self.has_log
    }

    /// Returns the number of other nodes.
    pub(super) fn nodes(&self) -> usize {
        lock(&self.state).cluster.nodes()
    }

    /// Calls `f`, hands out what came of it, and wakes the task of the bus if there is something for it, or it is to look
    /// sooner than it knows.
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // Called behind the lock.
        let mut wakes = Wakes::default();
        self.with_wakes(&mut wakes, f)
    }

    /// As [`with`](Self::with), but leaves it to the caller to wake tasks.
    fn with_wakes<T>(&self, wakes: &mut Wakes, f: impl FnOnce(&mut State) -> T) -> T {
        // Dropped behind the lock: it may be the last of a broadcast.
        let mut ended = Vec::new();
        let mut state = lock(&self.state);
        // What was there before is known to the task, which would otherwise wake itself while the bus takes nothing.
        let had_work = state.has_work();
        let deadline = state.cluster.poll_timeout();
        let result = f(&mut state);
        state.settle(wakes, &mut ended);
        let new = state.cluster.poll_timeout();
        let is_sooner = new.is_some_and(|new| deadline.is_none_or(|deadline| new < deadline));
        if (!had_work && state.has_work()) || is_sooner {
            wakes.extend(state.pump.take());
        }
        drop(state);
        result
    }

    /// As [`with`](Self::with), in the task of the bus ahead of its looks for work and deadlines, for which it need not be
    /// woken.
    fn with_bus<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // Called and dropped behind the lock, as above.
        let (mut wakes, mut ended) = (Wakes::default(), Vec::new());
        let mut state = lock(&self.state);
        let result = f(&mut state);
        state.settle(&mut wakes, &mut ended);
        drop(state);
        result
    }

    /// Responds to a request of another node. Without room the deadline of that tells.
    fn respond(&self, asker: &requests::AskerId, response: Response) {
        let _ = self.with(|state| state.respond(asker, response));
    }

    /// Takes the bus, unless the task of another server has it.
    ///
    /// The caller is then woken when it is free. One that ends no longer waits for it. Returns one moment on the clock of
    /// the cluster and on that of the server, too.
    fn take_bus(
        &self,
        clock: &Clock,
        key: &mut WakerKey,
        waker: &Waker,
        ends: bool,
    ) -> Option<(Box<dyn Bus>, (Time, Time))> {
        let mut slot = lock(&self.slot);
        let bus = slot.bus.take();
        if bus.is_some() || ends {
            slot.servers.remove(key.take());
        } else {
            slot.servers.register(key, waker);
        }
        let is_connected = !slot.is_down;
        drop(slot);
        let bus = bus?;
        let now = self.with(|state| {
            // Requests may outlive the server whose clock their deadlines are on.
            let now = state.clock.get_or_insert_with(|| clock.clone()).now();
            state.cluster.set_connected(is_connected);
            now
        });
        Some((bus, (now, clock.now())))
    }

    /// Returns whether another server waits for the bus.
    fn has_successor(&self) -> bool {
        lock(&self.slot).servers.len() > 0
    }

    /// Leaves the bus to another server. Gives it back if none waits for it.
    fn leave_bus(&self, bus: Box<dyn Bus>) -> Result<(), Box<dyn Bus>> {
        let mut wakes = Wakes::default();
        let mut slot = lock(&self.slot);
        if slot.servers.len() == 0 {
            return Err(bus);
        }
        // Nothing is locked under the state but the cells of those that wait.
        let mut state = lock(&self.state);
        let pump = state.pump.take();
        slot.is_down = !state.cluster.is_connected();
        state.cluster.set_connected(false);
        drop(state);
        slot.bus = Some(bus);
        slot.servers.wake_all(&mut wakes);
        drop(slot);
        drop(pump);
        Ok(())
    }

    /// Ends the cluster: no bus carries anything any more.
    fn end(&self) {
        let arrived = self.with(|state| {
            state.pump = None;
            state.changes = None;
            state.cluster.set_connected(false);
            let nodes: Vec<_> = state.cluster.node_ids().collect();
            for node in nodes {
                state.cluster.remove_node(node);
            }
            // Of nodes that are counted, none is known that could be removed.
            state.cluster.handle_timeout(Time::MAX);
            while state.cluster.poll_message().is_some() {}
            mem::take(&mut state.arrived)
        });
        let ended = lock(&self.state).arrived.drain(..).collect::<Vec<_>>();
        for arrived in arrived.into_iter().chain(ended) {
            // Nothing else ends what waits for the log.
            if let Arrived::Appended(namespace, append, entry) = arrived {
                caught(|| namespace.handle_appended(Time::ZERO, append, entry));
            }
        }
    }

    fn stop_waiting(&self, key: WakerKey) {
        lock(&self.slot).servers.remove(key);
    }

    /// Has the task of the bus woken when there is something for it.
    fn register(&self, waker: &Waker) {
        register(&mut lock(&self.state).pump, waker);
    }

    /// Returns whether more than half of the room for messages is taken.
    #[cfg(feature = "admin")]
    pub(super) fn is_crowded(&self) -> bool {
        lock(&self.state).cluster.queued() > self.config.max_queued / 2
    }

    /// Notes for the bus whether a namespace exists. It is told before further messages.
    pub(super) fn tell_namespace(&self, wakes: &mut Wakes, name: &str, exists: bool) {
        let mut state = lock(&self.state);
        let Some(changes) = &mut state.changes else { return };
        changes.namespaces.insert(name.into(), exists);
        wakes.extend(state.pump.take());
    }

    /// Returns the namespaces and rooms that the bus has not heard of, of one moment: a room never comes without its
    /// namespace.
    fn take_changes(&self) -> Changes {
        lock(&self.state).changes.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Returns whether the bus wants to hear of rooms.
    pub(super) const fn watches_rooms(&self) -> bool {
        self.watches_rooms
    }

    /// Notes for the bus which rooms have members on this node.
    pub(super) fn tell_rooms(
        &self,
        wakes: &mut Wakes,
        namespace: &Arc<str>,
        rooms: impl Iterator<Item = (Room, bool)>,
    ) {
        let mut rooms = rooms.peekable();
        if rooms.peek().is_none() {
            return;
        }
        let mut state = lock(&self.state);
        let Some(changes) = &mut state.changes else { return };
        let rooms = rooms.map(|(room, exists)| ((Arc::clone(namespace), room), exists));
        changes.rooms.extend(rooms);
        wakes.extend(state.pump.take());
    }

    fn poll_message(&self) -> Option<Message> {
        lock(&self.state).cluster.poll_message()
    }

    fn has_message(&self) -> bool {
        lock(&self.state).cluster.has_message()
    }

    fn poll_arrived(&self) -> Option<Arrived> {
        lock(&self.state).arrived.pop_front()
    }

    /// Ends what is due, in the task of the bus.
    fn handle_timeout(&self) {
        self.with_bus(|state| state.cluster.handle_timeout(state.now()));
    }

    /// Returns the next deadline, on the clock of the cluster.
    fn poll_timeout(&self) -> Option<Time> {
        lock(&self.state).cluster.poll_timeout().filter(|&deadline| deadline < Time::MAX)
    }
}

impl State {
    /// Whether there is something for the task of the bus.
    fn has_work(&self) -> bool {
        self.cluster.has_message() || !self.arrived.is_empty()
    }

    fn now(&self) -> Time {
        self.clock.as_ref().map_or(Time::ZERO, Clock::now)
    }

    fn respond(&mut self, asker: &requests::AskerId, response: Response) -> Result<(), TellError> {
        let size = asker.size(&response);
        self.cluster.respond(asker.node, &asker.namespace, asker.request, response, size)
    }

    /// Hands out the events of the cluster.
    fn settle(&mut self, wakes: &mut Wakes, ended: &mut Vec<Waiting>) {
        while let Some(event) = self.cluster.poll_event() {
            match event {
                ClusterEvent::Operation { from, namespace, operation } => {
                    self.arrived.push_back(Arrived::Operation(from, namespace, operation));
                }
                ClusterEvent::Appended { append, entry, .. } => {
                    if let Some(namespace) = self.appending.remove(&append) {
                        self.arrived.push_back(Arrived::Appended(namespace, append, entry));
                    }
                }
                ClusterEvent::AppendedLate { append, namespace, entry } => {
                    self.arrived.push_back(Arrived::AppendedLate(namespace, append, entry));
                }
                ClusterEvent::Logged(request, response) => match self.logged.remove(&request) {
                    Some(LogWaiter::Task(reply)) => wakes.extend(reply.complete(response)),
                    Some(LogWaiter::Nobody(namespace, lifetime)) => {
                        self.give_back(&namespace, lifetime, response);
                    }
                    Some(LogWaiter::Read(reader)) => {
                        // Also without a response it ends behind the lock.
                        self.arrived.push_back(Arrived::Read(reader, response));
                    }
                    None => {}
                },
                ClusterEvent::Response(request, from, response) => {
                    if let Some(waiting) = self.waiting.get(&request) {
                        wakes.extend(waiting.respond(from, response));
                    }
                }
                ClusterEvent::Completed(request, missing) => {
                    if let Some(waiting) = self.waiting.remove(&request) {
                        wakes.extend(waiting.complete(missing));
                        ended.push(waiting);
                    }
                }
                // There are no others in this version.
                _ => {}
            }
        }
    }
}

impl fmt::Debug for ClusterShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterShared").field("nodes", &self.nodes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use super::*;

    /// A bus that nothing polls.
    struct Unused;

    impl Bus for Unused {
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        fn send(&mut self, _: Message) {}

        fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<BusEvent> {
            Poll::Pending
        }
    }

    #[test]
    fn changes_are_kept_for_the_bus_until_it_has_ended() {
        let cluster = ClusterShared::new(Box::new(Unused), ClusterConfig::default());
        let tell = |name: &str| {
            let wakes = &mut Wakes::default();
            cluster.tell_namespace(wakes, name, true);
            cluster.tell_rooms(wakes, &name.into(), [("room".into(), true)].into_iter());
        };
        tell("/a");
        let Changes { namespaces, rooms } = cluster.take_changes();
        assert_eq!((namespaces.len(), rooms.len()), (1, 1));
        tell("/b");
        cluster.end();
        tell("/c");
        let Changes { namespaces, rooms } = cluster.take_changes();
        assert!(namespaces.is_empty() && rooms.is_empty(), "names of clients fill no memory");
    }
}
