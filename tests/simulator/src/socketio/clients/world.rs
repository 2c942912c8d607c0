//! The world: one server at a time, its clients, and the network between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use enginewire::{Time, TransportKind};
use enginewire_socketio::{
    Auth, Payload, Slot,
    client_hub::{ClientHub, ClientHubConfig},
    hub::{Hub, HubConfig},
    parser::NamedEvent,
};

use super::books::{Account, ClientTotals, Key, Seat};
use crate::{
    log::{Deed, Log},
    network::{Network, WireId},
    path::Path,
    random::Random,
    replay::any_path,
    schedule::Schedule,
    socketio::ends::{ClientEnds, Net, ServerEnds},
    world::{ALL_TIMEOUTS, Next, url},
};

/// A server and its clients, on a virtual clock.
pub struct ClientWorld {
    pub(super) now: Time,
    pub(super) agenda: Schedule<Next>,
    pub(super) network: Network,
    config: HubConfig,
    /// `None` while there is none.
    pub(super) hub: Option<Hub>,
    /// Servers there have been, and when the next one is there.
    pub(super) life: u64,
    starts_at: Time,
    pub(super) ends: ServerEnds,
    /// Connections to servers that have vanished.
    pub(super) vanished: BTreeSet<WireId>,
    pub(super) clients: BTreeMap<u64, Client>,
    pub(super) seats: BTreeMap<Key, Seat>,
    /// Those that are not over, and all of them by their ids.
    pub(super) living: BTreeSet<Key>,
    pub(super) ids: BTreeMap<String, Key>,
    /// The number of the last event.
    pub(super) last: u64,
    pub(super) random: Random,
    pub(super) log: Log,
    manner: ClientManner,
    pub(super) badness: u64,
    pub(super) totals: ClientTotals,
    pub(super) sabotage: Option<ClientSabotage>,
    same_moment: u64,
}

/// One client, with a socket in each namespace.
pub(super) struct Client {
    pub(super) hub: ClientHub,
    pub(super) ends: ClientEnds,
    pub(super) random: Random,
    pub(super) sockets: Vec<(Slot, Account)>,
    pub(super) is_closed: bool,
    pub(super) told_closed: bool,
}

/// Moves of a world, and how often they come.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientManner {
    /// Events of clients in each moment of 100 ms.
    pub talks: usize,
    /// Events of the server in each such moment.
    pub acts: usize,
    /// Out of a hundred thousand moments, in how many the server vanishes.
    pub restarts: u64,
    /// Out of a hundred thousand moments, in how many an application disconnects a socket, which it connects later.
    pub leaves: u64,
    /// Out of a thousand connections, how many have a fault.
    pub badness: u64,
}

/// A rule broken on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSabotage {
    /// Events come to the server's application twice.
    Twice,
    /// Some come to it never.
    Lost,
    /// Applications of clients are not told of acknowledgements.
    Deaf,
    /// They are given events of the server twice.
    Again,
}

impl ClientWorld {
    /// A world without clients, of which this seed makes everything.
    pub fn new(seed: u64, manner: ClientManner) -> Self {
        let mut random = Random::new(seed);
        let mut config = HubConfig::default();
        config.engine.protocol.limits.max_unread = 20_000;
        let mut world = Self {
            now: Time::from_millis(1),
            agenda: Schedule::new(),
            network: Network::new(random.fork()),
            config,
            hub: None,
            life: 0,
            starts_at: Time::ZERO,
            ends: ServerEnds::default(),
            vanished: BTreeSet::new(),
            clients: BTreeMap::new(),
            seats: BTreeMap::new(),
            living: BTreeSet::new(),
            ids: BTreeMap::new(),
            last: 0,
            random,
            log: Log::new(),
            manner,
            badness: manner.badness,
            totals: ClientTotals::default(),
            sabotage: None,
            same_moment: 0,
        };
        world.start();
        world
    }

    /// Breaks a rule on purpose.
    pub const fn sabotage(&mut self, sabotage: ClientSabotage) {
        self.sabotage = Some(sabotage);
    }

    /// A client begins.
    pub fn connect(&mut self) {
        use TransportKind::{Polling, WebSocket};
        let kinds: [&[TransportKind]; 3] = [&[Polling], &[WebSocket], &[Polling, WebSocket]];
        let owner = self.clients.len() as u64 + 1;
        let mut config = ClientHubConfig::new(&url());
        config.engine.transports = kinds[self.random.size(kinds.len()) - 1].to_vec();
        config.engine.limits.max_unread = 20_000;
        // Less than an hour of them.
        config.manager.max_offline = 100_000;
        let mut hub = ClientHub::new(config, self.random.fork());
        let sockets = NAMESPACES.iter().map(|name| {
            let Ok(auth) = Payload::new(&BTreeMap::from([("owner", owner)])) else {
                panic!("a payload")
            };
            let Some(socket) = hub.open(name, Auth::Payload(auth)) else { panic!("a socket") };
            hub.connect(self.now, socket);
            (socket, Account::default())
        });
        let sockets = sockets.collect();
        let client = Client {
            hub,
            ends: ClientEnds::default(),
            random: self.random.fork(),
            sockets,
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
            if self.hub.is_none() && self.starts_at <= self.now {
                self.start();
            }
            if self.random.below(100_000) < self.manner.restarts {
                self.vanish();
            }
            for _ in 0..self.manner.acts {
                self.act();
            }
            for _ in 0..self.manner.talks {
                self.talk();
            }
        }
    }

    /// Does what is due up to then.
    fn pass(&mut self, end: Time) {
        while self.agenda.next().is_some_and(|next| next <= end) {
            let Some((at, next)) = self.agenda.pop() else { return };
            self.same_moment = if at > self.now { 0 } else { self.same_moment + 1 };
            assert!(self.same_moment < MAX_AT_ONCE, "time stands still");
            self.now = self.now.max(at);
            match next {
                Next::Network(happening) => self.happen(happening),
                Next::ServerTimer(_) => {
                    self.log.note(self.now, Deed::ServerTimer);
                    self.ends.disarm();
                    self.hub.iter_mut().for_each(|hub| hub.handle_timeout(self.now));
                    self.settle_server();
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
        self.now = self.now.max(end);
        for (_, account) in self.clients.values().flat_map(|client| &client.sockets) {
            account.check_deadlines(self.now);
        }
    }

    fn start(&mut self) {
        self.life += 1;
        self.hub = Some(Hub::new(self.config.clone(), self.random.fork(), self.random.fork()));
    }

    /// The server is gone, and another is there a while later.
    fn vanish(&mut self) {
        if self.hub.take().is_none() {
            return;
        }
        let Self { ends, network, agenda, log, now, .. } = self;
        let wires = ends.vanish(&mut Net { network, agenda, log, now: *now });
        self.vanished.extend(wires);
        self.living.clear();
        self.totals.restarts += 1;
        self.starts_at = self.now + self.random.shorter(DOWN);
    }

    /// The server sends an event.
    fn act(&mut self) {
        let nth = self.random.size(self.living.len()) - 1;
        let Some(&key) = self.living.iter().nth(nth) else { return };
        self.last += 1;
        let number = self.last;
        if let (Some(hub), Some(seat)) = (&mut self.hub, self.seats.get_mut(&key))
            && hub.emit(key.1, "e", &(number,)).is_ok()
        {
            seat.owed.push_back(number);
        }
        self.settle_server();
    }

    /// A client sends an event, or a socket of it leaves or comes back.
    fn talk(&mut self) {
        let (now, owner) = (self.now, self.random.size(self.clients.len()) as u64);
        self.last += 1;
        let number = self.last;
        let leaves = self.manner.leaves;
        let Some(client) = self.clients.get_mut(&owner) else { return };
        let nth = client.random.size(client.sockets.len()) - 1;
        let Client { hub, random, sockets, .. } = client;
        let (socket, account) = &mut sockets[nth];
        if random.below(100_000) < leaves && !account.has_left {
            let unsent = hub.disconnect(now, *socket);
            account.leave(unsent);
        } else if account.has_left {
            if random.chance(20) {
                account.has_left = false;
                hub.connect(now, *socket);
            }
        } else {
            let event = NamedEvent::new("c", &number);
            match random.below(10) {
                0..5 => {
                    if hub.send(*socket, &event).is_ok() {
                        account.send(number, false);
                    }
                }
                5..8 => {
                    let timeout = Duration::from_millis(1) + random.shorter(ASK_TIMEOUT);
                    if let Ok(ask) = hub.send_with_ack(now, *socket, &event, timeout) {
                        account.send(number, false);
                        account.asks.insert(ask, (number, Some(now + timeout)));
                    }
                }
                _ => {
                    let timeout = Duration::from_secs(2) + random.shorter(ASK_TIMEOUT);
                    let sent = hub.send_with_retries(now, *socket, &event, u32::MAX, timeout);
                    if let Ok(ask) = sent {
                        account.send(number, true);
                        account.asks.insert(ask, (number, None));
                    }
                }
            }
        }
        self.settle_client(owner);
    }

    /// Has nobody begin anything any more, waits until what can get through has, and checks that all sockets are
    /// connected on both sides and complete.
    pub fn rest(&mut self) {
        self.manner = ClientManner::default();
        self.badness = 0;
        for owner in 1..=self.clients.len() as u64 {
            if let Some(client) = self.clients.get_mut(&owner) {
                for (socket, account) in &mut client.sockets {
                    account.has_left = false;
                    client.hub.connect(self.now, *socket);
                }
            }
            self.settle_client(owner);
        }
        self.run_for(SETTLED);
        // Events with retries wait for one another, each for as long as a slow path takes.
        let waits = |client: &Client| client.sockets.iter().any(|(_, it)| !it.asks.is_empty());
        for _ in 0..MAX_WAITS {
            if self.clients.values().any(waits) {
                self.run_for(SETTLED);
            }
        }
        for (&owner, client) in &self.clients {
            for (nth, (socket, account)) in client.sockets.iter().enumerate() {
                assert!(client.hub.is_connected(*socket), "client {owner} is not connected");
                let key = account.id.as_ref().and_then(|id| self.ids.get(id));
                let Some(key) = key.filter(|key| self.living.contains(key)) else {
                    panic!("client {owner} is connected on one side only")
                };
                let seat = &self.seats[key];
                assert_eq!((seat.owner, seat.namespace), (owner, nth), "another's socket");
                assert_eq!(seat.owed.len(), 0, "events for client {owner} are missing");
                account.check_complete(&mut self.totals);
            }
        }
    }

    /// Has all clients close, and checks that nothing is left.
    pub fn finish(mut self) -> (Log, ClientTotals) {
        self.manner = ClientManner::default();
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
        let Some(hub) = &mut self.hub else { panic!("the server is there") };
        assert_eq!((hub.len(), hub.engine().sessions()), (0, 0), "sockets are left in the hub");
        hub.close(self.now);
        self.settle_server();
        self.pass(self.now + ALL_TIMEOUTS);
        assert!(self.hub.is_some_and(|hub| hub.is_finished()), "the hub is not finished");
        assert!(self.network.is_empty(), "connections are left");
        (self.log, self.totals)
    }

    /// What becomes of the next connection of a client.
    pub(super) fn weather(random: &mut Random, badness: u64) -> Path {
        any_path(random, badness).without_repeats()
    }
}

/// The namespaces in which each client has a socket.
pub(super) const NAMESPACES: [&str; 2] = ["/", "/chat"];

/// How often somebody does something.
const MOMENT: Duration = Duration::from_millis(100);

/// Longest time in which events are to be acknowledged.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time without a server.
const DOWN: Duration = Duration::from_secs(20);

/// Longer than what was begun takes to come through: heartbeats, opening, a stalled path.
const SETTLED: Duration = Duration::from_secs(400);

/// So often that all comes through which waits with retries.
const MAX_WAITS: usize = 10;

/// Events at the same moment that show that they make each other happen without end.
const MAX_AT_ONCE: u64 = 1_000_000;
