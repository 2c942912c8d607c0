//! The world: the nodes, their clients, the network between them, and the bus between the nodes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use enginewire::{Time, TransportKind};
use enginewire_socketio::{
    Auth, Payload, Room, Slot,
    adapter::RecoveryConfig,
    client_hub::{ClientHub, ClientHubConfig},
    cluster::{
        ClusterConfig, NodeId, Operation, RequestId,
        wire::{Format, StreamsConfig, Wire},
    },
    hub::{GroupId, Hub, HubConfig},
};

use super::{
    application::Late,
    books::{Books, ClusterTotals, Selected},
    broker::{Broker, Delivery},
    bus::{Carried, OF_WIRE},
    lanes::Lanes,
    log::{Pending, WINDOW},
    requests::Requests,
};
use crate::{
    log::{Deed, Log},
    network::{Network, WireId},
    random::Random,
    schedule::Schedule,
    socketio::ends::{ClientEnds, ServerEnds},
    world::{ALL_TIMEOUTS, Next, url},
};

/// Nodes of a cluster and their clients, on a virtual clock.
pub struct ClusterWorld {
    pub(super) now: Time,
    pub(super) agenda: Schedule<Next>,
    pub(super) network: Network,
    pub(super) config: HubConfig,
    pub(super) nodes: Vec<Node>,
    /// Lives of nodes so far.
    pub(super) lives: u64,
    pub(super) bus: Lanes<Carried>,
    /// The messages of a broker between the nodes, if there is one.
    pub(super) format: Option<Format>,
    /// Clients recover from the log of the broker.
    pub(super) has_log: bool,
    pub(super) broker: Broker,
    /// The lives of nodes by the names that their namespaces have at the broker.
    pub(super) adapters: BTreeMap<NodeId, u64>,
    pub(super) clients: BTreeMap<u64, Client>,
    /// The place and the life of the node that each connection leads to.
    pub(super) homes: BTreeMap<WireId, (usize, u64)>,
    pub(super) books: Books,
    pub(super) late: BTreeMap<(Time, u64), Late>,
    pub(super) random: Random,
    pub(super) log: Log,
    pub(super) manner: ClusterManner,
    pub(super) sabotage: Option<ClusterSabotage>,
    /// By node a message that the sabotage holds back.
    pub(super) held: BTreeMap<u64, (NodeId, Arc<str>, Operation)>,
    same_moment: u64,
}

/// The place of a node. It has several lives.
#[derive(Default)]
pub(super) struct Node {
    pub(super) life: u64,
    /// `None` while it is down.
    pub(super) hub: Option<Hub>,
    pub(super) ends: ServerEnds,
    /// When it comes back, or is connected to the bus again, or gives messages to it again.
    pub(super) starts_at: Option<Time>,
    pub(super) heals_at: Option<Time>,
    pub(super) resumes_at: Option<Time>,
    /// Its hub knows that the bus is disconnected.
    pub(super) is_down: bool,
    /// Its connection to the bus is lost, whether it knows it or not.
    pub(super) is_cut: bool,
    pub(super) known: BTreeSet<NodeId>,
    pub(super) wire: Option<Wire>,
    pub(super) wire_armed: Option<Time>,
    /// The number of its connection to the broker.
    pub(super) connection: u64,
    /// Other nodes, as the wire counts them.
    pub(super) counted: usize,
    /// What has come of the broker behind a message that is being fetched.
    pub(super) inbox: VecDeque<Delivery>,
    pub(super) is_fetching: bool,
    /// Rooms that it has members in, as the wire knows.
    pub(super) rooms: BTreeSet<(&'static str, Room)>,
    /// Entries of streams that it has got, by stream.
    pub(super) read: BTreeMap<Arc<str>, u64>,
    pub(super) pending: Pending,
    pub(super) requests: Requests,
    pub(super) groups: BTreeMap<GroupId, RequestId>,
    /// Broadcasts that it has told others of, in this order.
    pub(super) told: VecDeque<u64>,
    /// Server-side events that its application is to get, each with its node.
    pub(super) events: VecDeque<(NodeId, u64)>,
    /// What it may respond to those that ask for its sockets, the oldest first.
    pub(super) described: BTreeMap<(NodeId, RequestId), Vec<Selected>>,
}

/// One client, with a socket in each namespace.
pub(super) struct Client {
    pub(super) hub: ClientHub,
    pub(super) ends: ClientEnds,
    pub(super) random: Random,
    /// The place of the node that has its session.
    pub(super) home: usize,
    /// The life of the last node that had a socket of it.
    pub(super) last: u64,
    pub(super) seats: Vec<Seat>,
    pub(super) is_closed: bool,
    pub(super) told_closed: bool,
}

/// A socket of a client.
pub(super) struct Seat {
    pub(super) slot: Slot,
    /// Its id, while it is connected.
    pub(super) id: Option<String>,
    /// Its id before, to which it may come back.
    pub(super) before: Option<String>,
}

/// Moves of a world, and how often they come. Without anything set, nothing but connecting.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterManner {
    /// Moves of nodes in each moment of 100 ms: they send, ask, join, leave, disconnect.
    pub acts: usize,
    /// Out of a hundred thousand moments, in how many a node crashes.
    pub crashes: u64,
    /// In how many one is cut off the bus.
    pub cuts: u64,
    /// In how many the bus takes nothing of one for a while.
    pub jams: u64,
    /// In how many a client leaves, to come back to any node.
    pub moves: u64,
    /// In how many the connection of one breaks, and it comes back to any node.
    pub breaks: u64,
    /// In how many nobody reaches the bus for a while.
    pub outages: u64,
    /// Out of a thousand connections of clients, how many have a fault.
    pub badness: u64,
    /// Faults of the bus.
    pub bus: BusManner,
}

/// Faults of a bus.
#[derive(Clone, Copy, Debug, Default)]
pub struct BusManner {
    /// Out of a thousand messages, how many do not arrive at a node.
    pub losses: u64,
    /// How many arrive twice.
    pub doubles: u64,
    /// Whether messages of one node to another overtake each other.
    pub reorders: bool,
}

/// A rule broken on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterSabotage {
    /// Some broadcasts are carried out twice, and the bus has not doubled them.
    Twice,
    /// Some are not carried out.
    Lost,
    /// Targets lose the rooms that are left out.
    Widened,
    /// Hubs are given messages of a node in another order than they arrive.
    Reordered,
    /// Nodes leave out a socket when they describe theirs.
    Hidden,
    /// Applications are not told of the end of requests.
    Endless,
    /// They are told that nothing is missing.
    Liar,
    /// They are told of acknowledgements twice.
    Again,
    /// More waits for the bus than may.
    Hoarded,
    /// The broker keeps the states of sockets that it gives away.
    Kept,
    /// Reads of the log leave out an entry.
    Skipped,
    /// Entries that are read have the ids of those behind them.
    Shifted,
    /// Nodes deliver their events before they have their place in the log.
    Early,
}

impl ClusterWorld {
    /// A world with so many nodes and without clients, of which this seed makes everything.
    ///
    /// Messages go from node to node as they are.
    pub fn new(seed: u64, nodes: usize, manner: ClusterManner) -> Self {
        Self::with(seed, nodes, manner, None, None)
    }

    /// The same, with messages of an official adapter by way of a broker.
    pub fn with_broker(seed: u64, nodes: usize, manner: ClusterManner, format: Format) -> Self {
        Self::with(seed, nodes, manner, Some(format), None)
    }

    /// The same, with streams of so many entries that the nodes share: clients recover on any node.
    pub fn with_log(seed: u64, nodes: usize, manner: ClusterManner, entries: usize) -> Self {
        let format = Format::Streams(StreamsConfig::default());
        Self::with(seed, nodes, manner, Some(format), Some(entries))
    }

    fn with(
        seed: u64,
        nodes: usize,
        manner: ClusterManner,
        format: Option<Format>,
        entries: Option<usize>,
    ) -> Self {
        let mut random = Random::new(seed);
        let mut config = HubConfig::default();
        config.engine.protocol.limits.max_unread = 20_000;
        config.engine.protocol.limits.max_queued = MAX_QUEUED;
        let mut cluster = ClusterConfig::default();
        cluster.max_queued = MAX_WAITING;
        cluster.counts_nodes = format.is_some();
        if entries.is_some() {
            cluster.has_log = true;
            cluster.max_queued = ENOUGH;
            let mut recovery = RecoveryConfig::default();
            recovery.window = WINDOW;
            config.recovery = Some(recovery);
        }
        config.cluster = Some(cluster);
        let mut world = Self {
            now: Time::from_millis(1),
            agenda: Schedule::new(),
            network: Network::new(random.fork()),
            config,
            nodes: (0..nodes).map(|_| Node::default()).collect(),
            lives: 0,
            bus: Lanes::new(random.fork(), manner.bus),
            format,
            has_log: entries.is_some(),
            broker: Broker::new(entries),
            adapters: BTreeMap::new(),
            clients: BTreeMap::new(),
            homes: BTreeMap::new(),
            books: Books::default(),
            late: BTreeMap::new(),
            random,
            log: Log::new(),
            manner,
            sabotage: None,
            held: BTreeMap::new(),
            same_moment: 0,
        };
        (0..nodes).for_each(|at| world.start(at));
        world
    }

    /// Breaks a rule on purpose.
    pub fn sabotage(&mut self, sabotage: ClusterSabotage) {
        self.sabotage = Some(sabotage);
        self.broker.keeps_states = sabotage == ClusterSabotage::Kept;
        if sabotage == ClusterSabotage::Hoarded
            && let Some(cluster) = &mut self.config.cluster
        {
            cluster.max_queued = 10 * MAX_WAITING;
            (0..self.nodes.len()).for_each(|at| {
                self.crash(at);
                self.start(at);
            });
        }
    }

    /// A client begins.
    pub fn connect(&mut self) {
        use TransportKind::{Polling, WebSocket};
        let kinds: [&[TransportKind]; 3] = [&[Polling], &[WebSocket], &[Polling, WebSocket]];
        let owner = self.clients.len() as u64 + 1;
        let mut config = ClientHubConfig::new(&url());
        config.engine.transports = kinds[self.random.size(kinds.len()) - 1].to_vec();
        config.engine.limits.max_unread = 20_000;
        let mut hub = ClientHub::new(config, self.random.fork());
        let seats = NAMESPACES.iter().map(|name| {
            let Ok(auth) = Payload::new(&BTreeMap::from([("owner", owner)])) else {
                panic!("a payload")
            };
            let Some(slot) = hub.open(name, Auth::Payload(auth)) else { panic!("a socket") };
            hub.connect(self.now, slot);
            Seat { slot, id: None, before: None }
        });
        let seats = seats.collect();
        let client = Client {
            hub,
            ends: ClientEnds::default(),
            random: self.random.fork(),
            home: 0,
            last: 0,
            seats,
            is_closed: false,
            told_closed: false,
        };
        self.clients.insert(owner, client);
        self.settle_client(owner);
    }

    /// Lets so much time pass, while everybody does what the manner of the world says.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.pass((self.now + MOMENT).min(end));
            self.act_late();
            self.change_nodes();
            self.move_clients();
            for _ in 0..self.manner.acts {
                self.act();
            }
        }
    }

    /// Does what is due up to then.
    fn pass(&mut self, end: Time) {
        loop {
            let next = [self.agenda.next(), self.bus.next()];
            let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.same_moment = if at > self.now { 0 } else { self.same_moment + 1 };
            assert!(self.same_moment < MAX_AT_ONCE, "time stands still");
            self.now = self.now.max(at);
            if next[0] == Some(at) {
                if let Some((_, next)) = self.agenda.pop() {
                    self.due(next);
                }
            } else if let Some((_, to, carried)) = self.bus.pop() {
                self.arrive(to, carried);
            }
        }
        self.now = self.now.max(end);
        self.nodes.iter().for_each(|node| node.requests.check(end));
    }

    fn due(&mut self, next: Next) {
        match next {
            Next::Network(happening) => self.happen(happening),
            Next::ServerTimer(of) if of & OF_WIRE != 0 => {
                if let Some(at) = self.place(of & !OF_WIRE) {
                    self.wire_due(at);
                }
            }
            Next::ServerTimer(life) => {
                self.log.note(self.now, Deed::ServerTimer);
                let Some(at) = self.place(life) else { return };
                let Node { hub, ends, .. } = &mut self.nodes[at];
                ends.disarm();
                hub.iter_mut().for_each(|hub| hub.handle_timeout(self.now));
                self.end_appends(at, self.now);
                self.settle_node(at);
            }
            Next::ClientTimer(owner) => {
                self.log.note(self.now, Deed::ClientTimer(owner));
                if let Some(client) = self.clients.get_mut(&owner) {
                    client.ends.disarm();
                    client.hub.handle_timeout(self.now);
                }
                self.settle_client(owner);
            }
            Next::Wake(_) => {}
        }
    }

    /// The place of a node that is up.
    pub(super) fn place(&self, life: u64) -> Option<usize> {
        self.nodes.iter().position(|node| node.life == life && node.hub.is_some())
    }

    /// Has nobody begin anything any more, waits until what can get through has, and checks that all nodes know each
    /// other, and that all sockets are connected on both sides and complete.
    pub fn rest(&mut self) {
        let lossless = BusManner { reorders: self.manner.bus.reorders, ..BusManner::default() };
        self.bus.manner = lossless;
        self.manner = ClusterManner::default();
        self.recover_nodes();
        self.run_for(SETTLED);
        let lives: BTreeSet<_> = self.nodes.iter().map(|node| NodeId(node.life)).collect();
        for node in &self.nodes {
            let others: BTreeSet<_> =
                lives.iter().copied().filter(|life| life.0 != node.life).collect();
            match node.wire.is_some() {
                true => assert_eq!(node.counted, others.len(), "nodes besides {}", node.life),
                false => assert_eq!(node.known, others, "nodes besides {}", node.life),
            }
            assert!(!node.is_down && node.told.is_empty(), "node {} is down", node.life);
            assert_eq!(node.requests.len(), 0, "requests of node {} do not end", node.life);
        }
        // The last event of each node reaches everybody.
        let sent: Vec<_> = (0..self.nodes.len()).map(|at| self.send_to_all(at)).collect();
        self.run_for(SETTLED);
        for (&owner, client) in &self.clients {
            for (namespace, seat) in client.seats.iter().enumerate() {
                let Some(id) = &seat.id else { panic!("client {owner} is not connected") };
                self.books.check_complete(id);
                if namespace == 0 {
                    sent.iter().for_each(|number| self.books.check_got(id, *number));
                }
            }
        }
    }

    /// Has all clients close, and checks that nothing is left.
    pub fn finish(mut self) -> (Log, ClusterTotals) {
        self.manner = ClusterManner::default();
        for owner in 1..=self.clients.len() as u64 {
            if let Some(client) = self.clients.get_mut(&owner) {
                client.is_closed = true;
                client.hub.close(self.now);
            }
            self.settle_client(owner);
        }
        self.run_for(ALL_TIMEOUTS);
        for (owner, client) in &self.clients {
            assert!(client.told_closed && client.hub.is_finished(), "client {owner} is left");
            assert_eq!(client.hub.poll_timeout(), None, "client {owner} has a timer");
            assert!(client.ends.is_empty(), "client {owner} has connections");
        }
        self.books.check_none_left();
        for at in 0..self.nodes.len() {
            if let Some(hub) = &mut self.nodes[at].hub {
                assert_eq!((hub.len(), hub.engine().sessions()), (0, 0), "left in node {at}");
                assert_eq!(hub.namespaces().collect::<Vec<_>>(), [""; 0], "left in node {at}");
                hub.close(self.now);
            }
            self.settle_node(at);
            self.nodes[at].wire.iter_mut().for_each(|wire| wire.close(self.now));
            self.settle_wire(at, 0);
        }
        self.pass(self.now + ALL_TIMEOUTS);
        assert!(self.broker.is_idle(), "subscriptions are left at the broker");
        for node in &mut self.nodes {
            let Some(hub) = &mut node.hub else { panic!("a node is down") };
            assert!(hub.is_finished(), "node {} is not finished", node.life);
            assert_eq!(hub.poll_timeout(), None, "node {} has a timer", node.life);
            let timer = node.wire.as_ref().and_then(Wire::poll_timeout);
            assert_eq!(timer, None, "the wire of node {} has a timer", node.life);
        }
        assert!(self.network.is_empty(), "connections are left");
        (self.log, self.books.totals)
    }
}

/// The namespaces in which each client has a socket.
pub(super) const NAMESPACES: [&str; 2] = ["/", "/chat"];

/// Limit on the bytes that wait for a client.
pub(super) const MAX_QUEUED: usize = 30_000;

/// Limit on the bytes that wait for the bus.
pub(super) const MAX_WAITING: usize = 20_000;

/// More than ever waits for the bus where clients recover.
const ENOUGH: usize = 1 << 20;

/// How often somebody does something.
const MOMENT: Duration = Duration::from_millis(100);

/// Longer than what was begun takes to come through: heartbeats, opening, a stalled path.
const SETTLED: Duration = Duration::from_secs(240);

/// Events at the same moment that show that they make each other happen without end.
const MAX_AT_ONCE: u64 = 1_000_000;
