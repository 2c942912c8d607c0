//! Hubs whose bus has a log, and the order of events.

use alloc::vec::Vec;

use super::{
    recovery::{come_back, connect, event, offset},
    *,
};
use crate::{
    adapter::{EntryId, RecoveryConfig, SocketState},
    cluster::{
        AppendId, Broadcast, ClusterConfig, LOG_TIMEOUT, LogEntry, LogRequest, LogResponse,
        Message, NodeId, Operation, TellError,
    },
};

/// Nodes on a bus that has a log.
pub(super) struct Nodes {
    pub(super) worlds: Vec<World>,
    pub(super) log: Vec<Entry>,
    pub(super) states: Vec<SocketState<Payload>>,
    /// The bus answers no request to the log.
    pub(super) is_silent: bool,
    pub(super) reads: usize,
}

pub(super) struct Entry {
    pub(super) id: EntryId,
    pub(super) from: usize,
    pub(super) append: AppendId,
    pub(super) namespace: Arc<str>,
    pub(super) broadcast: Broadcast,
}

impl Nodes {
    pub(super) fn new(count: usize) -> Self {
        Self::with(count, |_| {})
    }

    pub(super) fn with(count: usize, change: impl Fn(&mut HubConfig)) -> Self {
        let worlds = (0..count).map(|own| {
            let mut world = World::with(|config| {
                let mut cluster = ClusterConfig::default();
                cluster.has_log = true;
                config.cluster = Some(cluster);
                config.recovery = Some(RecoveryConfig::default());
                change(config);
            });
            // Ids are those of one cluster.
            world.hub.entropy = Box::new(counting((1 + own as u64) << 40));
            let others = (0..count).filter(|&other| other != own);
            others.for_each(|other| assert!(world.hub.insert_node(id(other))));
            world
        });
        let worlds = worlds.collect();
        Self { worlds, log: Vec::new(), states: Vec::new(), is_silent: false, reads: 0 }
    }

    pub(super) fn hub(&mut self, node: usize) -> &mut Hub {
        &mut self.worlds[node].hub
    }

    /// Carries messages until there are none.
    pub(super) fn carry(&mut self) {
        while (0..self.worlds.len()).any(|from| self.carry_from(from)) {}
        self.worlds.iter_mut().for_each(World::drain);
    }

    /// Carries what a node has. Returns whether there was anything.
    pub(super) fn carry_from(&mut self, from: usize) -> bool {
        let Some(message) = self.worlds[from].hub.poll_cluster_message() else { return false };
        let Message { to, namespace, operation } = message;
        if let Operation::Log(request) = operation {
            self.carry_out(from, namespace, request);
            return true;
        }
        for other in (0..self.worlds.len()).filter(|&other| other != from) {
            if to.is_none_or(|to| to == id(other)) {
                let World { hub, now, .. } = &mut self.worlds[other];
                hub.handle_cluster_message(*now, id(from), namespace.clone(), operation.clone());
            }
        }
        true
    }

    pub(super) fn carry_out(&mut self, from: usize, namespace: Arc<str>, request: LogRequest) {
        let response = match request {
            LogRequest::Append { append, broadcast } => {
                let id = entry(self.log.len() as u64 + 1);
                self.log.push(Entry { id, from, append, namespace, broadcast });
                let last = self.log.len() - 1;
                return (0..self.worlds.len()).for_each(|node| self.tell(node, last));
            }
            LogRequest::Keep { state, .. } => {
                self.states.retain(|kept| kept.pid != state.pid);
                return self.states.push(*state);
            }
            _ if self.is_silent => return,
            LogRequest::Take { pid, request } => {
                let at = self.states.iter().position(|kept| kept.pid == pid);
                let state = at.map(|at| Box::new(self.states.remove(at)));
                (request, LogResponse::State(state))
            }
            LogRequest::Read { from, until, request, .. } => {
                self.reads += 1;
                let entries = self.log.iter().filter(|entry| entry.namespace == namespace);
                let entries = entries.skip_while(|entry| entry.id < from);
                let entries = entries.take_while(|entry| until.is_none_or(|it| entry.id < it));
                let entries: Vec<_> = entries.map(Entry::to_entry).collect();
                let is_there = entries.first().is_some_and(|entry| entry.id == from);
                (request, LogResponse::Entries(is_there.then_some(entries)))
            }
        };
        let World { hub, now, .. } = &mut self.worlds[from];
        hub.handle_log_response(*now, response.0, response.1);
    }

    /// Tells a node of an entry of the log.
    pub(super) fn tell(&mut self, node: usize, nth: usize) {
        let Entry { id: entry, from, append, namespace, broadcast } = &self.log[nth];
        let World { hub, now, .. } = &mut self.worlds[node];
        if *from == node {
            return hub.handle_appended(*now, *append, *entry);
        }
        let broadcast = Broadcast { offset: Some(*entry), ..broadcast.clone() };
        let operation = Operation::Broadcast(broadcast);
        hub.handle_cluster_message(*now, id(*from), namespace.clone(), operation);
    }

    /// Sends an event to all sockets of `/`.
    pub(super) fn say(&mut self, node: usize, name: &str) -> Delivered {
        self.hub(node).broadcast("/", &Target::all(), name, &()).unwrap()
    }

    /// The client of a socket breaks off, and its state is with the bus.
    pub(super) fn lose(&mut self, node: usize, on: ConnectionId) {
        self.worlds[node].lose(on);
        self.carry();
        self.worlds.iter_mut().for_each(|world| drop(world.seen()));
    }

    pub(super) fn end(mut self) {
        for node in 0..self.worlds.len() {
            self.worlds[node].pass(Duration::from_secs(1000));
            while self.worlds[node].hub.poll_cluster_message().is_some() {}
            let world = self.worlds.remove(node);
            assert!(world.hub.node.as_ref().unwrap().is_idle());
            // Its clients are lost, and the others do not hear of it.
            self.worlds.insert(node, World::new());
            world.end();
        }
    }
}

impl Entry {
    pub(super) fn to_entry(&self) -> LogEntry {
        let Broadcast { target, event, .. } = &self.broadcast;
        LogEntry { id: self.id, target: target.clone(), event: event.clone() }
    }
}

fn id(node: usize) -> NodeId {
    NodeId(node as u64)
}

pub(super) fn entry(sequence: u64) -> EntryId {
    EntryId { time: 7, sequence }
}

const WAITING: Delivered =
    Delivered { sockets: 0, skipped: 0, disconnected: 0, remote: Ok(1), is_waiting: true };

/// A pair of nodes, and a client of the first that has left it after its first event.
pub(super) fn moving() -> (Nodes, String, String) {
    let mut nodes = Nodes::new(2);
    let (peer, pid) = connect(&mut nodes.worlds[0]);
    nodes.hub(0).join(peer.key, "room");
    nodes.hub(0).set_data(peer.key, Payload::of(&"data"));
    nodes.say(0, "received");
    nodes.carry();
    let received = offset(&nodes.worlds[0].take(peer.on));
    assert_eq!(received, "7-1");
    nodes.lose(0, peer.on);
    assert_eq!(nodes.states.len(), 1);
    (nodes, pid, received)
}

#[test]
fn events_of_all_nodes_come_in_the_order_of_the_log() {
    let mut nodes = Nodes::new(2);
    let peers = [0, 1].map(|node| nodes.worlds[node].connect("/"));
    assert_eq!(nodes.say(0, "a"), WAITING);
    assert_eq!(nodes.say(1, "b"), WAITING);
    assert_eq!(nodes.worlds[0].messages(peers[0].on), [""; 0], "it waits for its place");
    assert!(nodes.carry_from(1) && nodes.carry_from(0));
    for (node, peer) in peers.into_iter().enumerate() {
        assert_eq!(nodes.worlds[node].messages(peer.on), [r#"2["b","7-1"]"#, r#"2["a","7-2"]"#]);
    }
    nodes.end();
}

#[test]
fn event_that_is_not_logged_waits_behind_those_that_are() {
    let mut nodes = Nodes::new(2);
    let peer = nodes.worlds[0].connect("/");
    nodes.hub(0).broadcast_volatile("/", &Target::all(), "first", &()).unwrap();
    nodes.say(0, "a");
    let all = Target::all();
    let volatile = nodes.hub(0).broadcast_volatile("/", &all, "b", &()).unwrap();
    assert!(volatile.is_waiting);
    let local = nodes.hub(0).local(|hub| hub.broadcast("/", &all, "c", &())).unwrap();
    assert_eq!((local.is_waiting, local.remote), (true, Ok(0)));
    nodes.hub(0).emit_volatile(peer.key, "d", &()).unwrap();
    assert_eq!(nodes.worlds[0].messages(peer.on).len(), 1);
    nodes.carry();
    // Volatile ones are dropped that cannot be sent at once.
    assert_eq!(nodes.worlds[0].messages(peer.on), [r#"2["a","7-1"]"#, r#"2["c","7-1"]"#]);
    nodes.end();
}

#[test]
fn event_for_one_socket_has_its_place_in_the_log() {
    let mut nodes = Nodes::new(2);
    let peer = nodes.worlds[0].connect("/");
    nodes.hub(0).emit(peer.key, "a", &()).unwrap();
    nodes.say(1, "b");
    nodes.carry_from(1);
    nodes.carry();
    assert_eq!(nodes.worlds[0].messages(peer.on), [r#"2["b","7-1"]"#, r#"2["a","7-2"]"#]);
    nodes.end();
}

#[test]
fn event_for_one_socket_without_room_is_refused_before_it_is_logged() {
    let mut nodes = Nodes::with(2, |config| config.engine.protocol.limits.max_queued = 1000);
    let peer = nodes.worlds[0].connect("/");
    nodes.worlds[0].set_blocked(peer.on, true);
    let mut sent = 0;
    let full = loop {
        match nodes.hub(0).emit(peer.key, "fill", &()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        nodes.carry();
        assert!(sent < 1000);
    };
    assert!(matches!(full, EmitError::Full { max: 1000, .. }), "{full}");
    assert_eq!(nodes.log.len(), sent);
    nodes.worlds[0].set_blocked(peer.on, false);
    assert_eq!(nodes.worlds[0].messages(peer.on).len(), sent);
    assert_eq!(nodes.worlds[0].seen(), ["#1 writable"]);
    nodes.end();
}

#[test]
fn events_without_a_bus_stay_on_their_node_in_order() {
    let mut nodes = Nodes::new(2);
    let peers = [0, 1].map(|node| nodes.worlds[node].connect("/"));
    nodes.say(0, "a");
    nodes.hub(0).handle_cluster_connected(false);
    let sent = nodes.say(0, "b");
    assert_eq!((sent.sockets, sent.remote), (1, Err(TellError::Disconnected)));
    let messages = nodes.worlds[0].messages(peers[0].on);
    assert_eq!(messages.iter().map(|it| event(it)).collect::<Vec<_>>(), [r#"2["a"]"#, r#"2["b"]"#]);
    // They are in no log but this node's.
    assert!(offset(&messages[1]).parse::<EntryId>().is_err());
    // The first was sent nevertheless, when the bus is back, and its end comes too late.
    nodes.hub(0).handle_cluster_connected(true);
    nodes.carry();
    assert_eq!(nodes.worlds[0].messages(peers[0].on), [""; 0]);
    assert_eq!(nodes.worlds[1].take(peers[1].on), r#"2["a","7-1"]"#);
    nodes.end();
}

#[test]
fn event_whose_append_does_not_end_is_delivered_at_its_deadline() {
    let mut nodes = Nodes::new(1);
    let peer = nodes.worlds[0].connect("/");
    nodes.say(0, "a");
    assert!(nodes.hub(0).poll_cluster_message().is_some(), "it is lost");
    nodes.worlds[0].pass(LOG_TIMEOUT - Duration::from_nanos(1));
    assert_eq!(nodes.worlds[0].messages(peer.on), [""; 0]);
    nodes.worlds[0].pass(Duration::from_nanos(1));
    assert_eq!(event(&nodes.worlds[0].take(peer.on)), r#"2["a"]"#);
    nodes.end();
}

#[test]
fn event_whose_place_is_told_late_is_there_for_those_that_come_from_other_nodes() {
    let (mut nodes, pid, received) = moving();
    let (here, here_pid) = connect(&mut nodes.worlds[1]);
    // The event waits for the bus, and is delivered without it.
    nodes.say(1, "late");
    nodes.worlds[1].pass(LOG_TIMEOUT);
    assert_eq!(event(&nodes.worlds[1].take(here.on)), r#"2["late"]"#);
    nodes.say(0, "before");
    nodes.carry_from(0);
    nodes.carry();
    let before = nodes.worlds[1].take(here.on);
    assert_eq!(before, r#"2["before","7-2"]"#, "the other does not come once more");
    // One that was at the other node has the event where all nodes have it, and not before.
    let on = come_back(&mut nodes.worlds[1], &pid, Some("7-2"));
    nodes.carry();
    assert_eq!(event(&nodes.worlds[1].messages(on)[0]), r#"2["late"]"#);
    nodes.worlds[1].seen();
    assert_eq!((nodes.log.len(), received.as_str()), (3, "7-1"));
    // One that was here has got it, whatever it has received since then.
    nodes.worlds[1].lose(here.on);
    let on = come_back(&mut nodes.worlds[1], &here_pid, Some("7-2"));
    nodes.carry();
    let messages = nodes.worlds[1].messages(on);
    assert!(messages.len() == 1 && messages[0].starts_with("0{"), "{messages:?}");
    nodes.end();
}

#[test]
fn event_that_the_bus_refuses_stays_on_its_node_behind_those_before_it() {
    let mut nodes = Nodes::new(1);
    let peer = nodes.worlds[0].connect("/");
    nodes.say(0, "a");
    nodes.say(0, "b");
    let now = nodes.worlds[0].now;
    nodes.hub(0).handle_append_failed(now, AppendId(2));
    assert_eq!(nodes.worlds[0].messages(peer.on), [""; 0]);
    nodes.hub(0).handle_append_failed(now, AppendId(1));
    let messages = nodes.worlds[0].messages(peer.on);
    assert_eq!(messages.iter().map(|it| event(it)).collect::<Vec<_>>(), [r#"2["a"]"#, r#"2["b"]"#]);
    nodes.end();
}

#[test]
fn client_that_may_miss_removed_entries_is_a_new_one() {
    let (mut nodes, pid, received) = moving();
    // Those of this moment are lost, and the log goes on behind them.
    let now = nodes.worlds[1].now;
    let _ = connect(&mut nodes.worlds[1]);
    nodes.hub(1).handle_missed(now);
    nodes.say(0, "later");
    nodes.carry();
    nodes.log.clear();
    come_back(&mut nodes.worlds[1], &pid, Some(&received));
    nodes.carry();
    assert!(nodes.worlds[1].seen().concat().contains("asks /"));
    nodes.end();
}

#[test]
fn client_recovers_from_a_log_that_has_gone_back_once_it_has_an_entry_of_it() {
    let mut nodes = Nodes::new(1);
    let (peer, pid) = connect(&mut nodes.worlds[0]);
    nodes.say(0, "a");
    nodes.say(0, "b");
    nodes.carry();
    let now = nodes.worlds[0].now;
    nodes.hub(0).handle_log_rewound(now);
    nodes.log.clear();
    nodes.say(0, "c");
    nodes.carry();
    let messages = nodes.worlds[0].messages(peer.on);
    assert_eq!(messages[2], r#"2["c","7-1"]"#);
    nodes.lose(0, peer.on);
    nodes.say(0, "d");
    nodes.carry();
    let on = come_back(&mut nodes.worlds[0], &pid, Some("7-1"));
    nodes.carry();
    assert_eq!(nodes.worlds[0].messages(on)[0], r#"2["d","7-2"]"#);
    nodes.end();
}

#[test]
fn entry_that_the_bus_tells_twice_comes_once() {
    let mut nodes = Nodes::new(2);
    let peer = nodes.worlds[0].connect("/");
    nodes.say(1, "a");
    nodes.carry();
    nodes.tell(0, 0);
    nodes.worlds[0].drain();
    assert_eq!(nodes.worlds[0].take(peer.on), r#"2["a","7-1"]"#);
    nodes.end();
}

#[test]
fn client_that_connects_before_an_event_has_its_place_gets_it() {
    let mut nodes = Nodes::new(1);
    nodes.say(0, "a");
    let peer = nodes.worlds[0].connect("/");
    nodes.carry();
    assert_eq!(nodes.worlds[0].take(peer.on), r#"2["a","7-1"]"#);
    nodes.end();
}

#[test]
fn events_that_wait_for_their_place_are_bounded() {
    let mut nodes = Nodes::with(1, |config| {
        config.cluster.as_mut().unwrap().max_queued = 2000;
    });
    nodes.worlds[0].connect("/");
    let mut sent = 0;
    while nodes.say(0, "a").is_waiting {
        // The bus takes it, and does not tell its place.
        nodes.hub(0).poll_cluster_message().unwrap();
        sent += 1;
        assert!(sent < 100);
    }
    let refused = nodes.say(0, "a");
    assert!(matches!(refused.remote, Err(TellError::Full { max: 2000, .. })), "{refused:?}");
    assert_eq!((refused.sockets, refused.skipped), (0, 1));
    nodes.end();
}
