//! The world: one hub, its clients, and the network between them.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use enginewire::{ClientConfig, ClientHub, Time, TransportKind};
use enginewire_socketio::hub::{Hub, HubConfig, SocketKey};

use super::{
    application::Late,
    books::{Books, Totals},
    ends::ServerEnds,
    person::{Part, Person},
};
use crate::{
    log::{Deed, Log},
    network::Network,
    path::Path,
    random::Random,
    replay::any_path,
    schedule::Schedule,
    world::{ALL_TIMEOUTS, Next, url},
};

/// A hub and its clients, on a virtual clock, with an application that does everything at random.
pub struct SocketWorld {
    pub(super) now: Time,
    pub(super) agenda: Schedule<Next>,
    pub(super) network: Network,
    pub(super) hub: Hub,
    pub(super) ends: ServerEnds,
    pub(super) persons: BTreeMap<u64, Person>,
    pub(super) books: Books,
    pub(super) random: Random,
    pub(super) log: Log,
    pub(super) manner: Manner,
    /// Moves of the application that come later.
    pub(super) late: BTreeMap<(Time, u64), Late>,
    pub(super) asking: BTreeSet<SocketKey>,
    /// Sockets that could not be accepted or refused: an output tells that they do not ask any more.
    pub(super) cancelled: BTreeSet<SocketKey>,
    pub(super) sabotage: Option<Sabotage>,
    /// Out of a thousand connections, how many have a fault.
    badness: Rc<Cell<u64>>,
    same_moment: u64,
}

/// Moves of a world, and how often they come. Without anything set, nothing but connecting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Moves of the application in each moment of 50 ms: it sends, asks, joins and leaves.
    pub acts: usize,
    /// Moves of clients in each such moment: they send, answer, leave.
    pub talks: usize,
    /// Out of a thousand acts, how many disconnect a socket or a client.
    pub kicks: u64,
    /// Out of a thousand clients that ask, how many are refused.
    pub refusals: u64,
    /// Out of a thousand connections, how many have a fault.
    pub badness: u64,
    /// Out of a thousand clients, how many read slowly.
    pub thin: u64,
}

/// A rule broken on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Packets come to a client twice.
    Twice,
    /// Some of what a client gets is lost.
    Lost,
    /// A socket is joined to a room of which the books do not know.
    Stray,
    /// The books do not know that an acknowledgement came.
    Unheard,
    /// The application forgets what it was to acknowledge.
    Mute,
}

impl SocketWorld {
    /// A world without clients, of which this seed makes everything.
    pub fn new(seed: u64, config: HubConfig, manner: Manner) -> Self {
        let mut random = Random::new(seed);
        let network = Network::new(random.fork());
        let books = Books::new(config.recovery.as_ref().map(|recovery| recovery.window));
        Self {
            now: Time::from_millis(1),
            agenda: Schedule::new(),
            network,
            hub: Hub::new(config, random.fork(), random.fork()),
            ends: ServerEnds::default(),
            persons: BTreeMap::new(),
            books,
            random,
            log: Log::new(),
            manner,
            late: BTreeMap::new(),
            asking: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            sabotage: None,
            badness: Rc::new(Cell::new(manner.badness)),
            same_moment: 0,
        }
    }

    /// Breaks a rule on purpose.
    pub const fn sabotage(&mut self, sabotage: Sabotage) {
        self.sabotage = Some(sabotage);
    }

    /// A client begins, which wants to be in so many namespaces.
    pub fn connect(&mut self, namespaces: usize) {
        use TransportKind::{Polling, WebSocket};
        let kinds: [&[TransportKind]; 3] = [&[Polling], &[WebSocket], &[Polling, WebSocket]];
        let mut config = ClientConfig::new(&url());
        config.path = String::from("/socket.io/");
        config.transports = kinds[self.random.size(kinds.len()) - 1].to_vec();
        config.limits.max_unread = 20_000;
        let is_thin = self.random.chance(self.manner.thin);
        let badness = Rc::clone(&self.badness);
        let first = self.random.size(NAMESPACES.len());
        let parts = (0..NAMESPACES.len())
            .map(|nth| Part::new((nth + first) % NAMESPACES.len() < namespaces));
        let owner = self.persons.len() as u64 + 1;
        let person = Person {
            config,
            hub: None,
            links: BTreeMap::new(),
            names: BTreeMap::new(),
            weather: Box::new(move |random| match is_thin && badness.get() > 0 {
                true => Path { bandwidth: 4000, buffer: 2000, ..Path::default() },
                false => any_path(random, badness.get()).without_repeats(),
            }),
            random: self.random.fork(),
            armed: None,
            reads: BTreeSet::new(),
            is_paused: false,
            is_open: false,
            has_gone: false,
            parts: parts.collect(),
            sabotage: self.sabotage,
        };
        self.persons.insert(owner, person);
        self.open(owner);
    }

    /// The client opens a session.
    fn open(&mut self, owner: u64) {
        let now = self.now;
        let Some(person) =
            self.persons.get_mut(&owner).filter(|it| it.hub.is_none() && !it.has_gone)
        else {
            return;
        };
        let config = std::sync::Arc::new(person.config.clone());
        person.hub = Some(ClientHub::new(now, &url(), config, false, &mut person.random));
        self.settle_client(owner);
    }

    /// Lets so much time pass, while everybody does what the manner of the world says.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next = (self.now + MOMENT).min(end);
            self.pass(next);
            self.wake_server();
            self.act_late();
            for _ in 0..self.manner.acts {
                self.act_at_random();
            }
            for _ in 0..self.manner.talks {
                self.talk_at_random();
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
                    self.hub.handle_timeout(self.now);
                    self.settle_server();
                }
                Next::ClientTimer(owner) => {
                    self.log.note(self.now, Deed::ClientTimer(owner));
                    if let Some(person) = self.persons.get_mut(&owner)
                        && let Some(hub) = &mut person.hub
                    {
                        person.armed = None;
                        hub.handle_timeout(self.now);
                        self.settle_client(owner);
                    }
                }
                Next::Wake(id) => {
                    self.log.note(self.now, Deed::Wakes(id));
                    self.open(id.life());
                }
            }
        }
        self.now = self.now.max(end);
    }

    /// The server's loop wakes up because the application has something to do: the hub is told the time.
    fn wake_server(&mut self) {
        self.hub.handle_timeout(self.now);
        self.settle_server();
        let asks = self.cancelled.first();
        assert!(asks.is_none(), "{asks:?} can neither be accepted nor refused, and asks");
    }

    /// Has nobody begin anything any more, waits until what can get through has, and checks that all sockets are
    /// connected on both sides and complete. Gives back of how many clients.
    pub fn rest(&mut self) -> u64 {
        self.manner = Manner::default();
        self.badness.set(0);
        for owner in 1..=self.persons.len() as u64 {
            self.set_paused(owner, false);
        }
        let end = self.now + SETTLED;
        while self.now < end {
            self.pass(self.now + Duration::from_secs(1));
            self.wake_server();
            self.act_late();
            for owner in 1..=self.persons.len() as u64 {
                self.go_on(owner);
            }
        }
        // What was said last.
        self.pass(self.now + Duration::from_secs(20));
        self.books.check_no_asks();
        let mut complete = 0;
        for (&owner, person) in &self.persons {
            let mut wires = self.network.wires().filter(|(_, wire)| wire.life == owner);
            // A slow path may take longer, and a stalled one is still being found out.
            let is_disturbed = wires.any(|(_, wire)| wire.faulty || wire.in_flight() > 0);
            let mut hubs = person.hub.iter();
            let is_open = person.is_open && hubs.any(|hub| hub.session().is_open());
            if is_open && !is_disturbed {
                person.parts.iter().for_each(|part| part.check_complete(&self.books));
                complete += 1;
            }
        }
        complete
    }

    /// Has all clients go, and checks that nothing is left.
    pub fn finish(mut self) -> (Log, Totals) {
        self.manner = Manner::default();
        let now = self.now;
        for owner in 1..=self.persons.len() as u64 {
            self.set_paused(owner, false);
            if let Some(person) = self.persons.get_mut(&owner) {
                person.has_gone = true;
                person.hub.iter_mut().for_each(|hub| hub.close(now));
                self.settle_client(owner);
            }
        }
        self.pass(self.now + ALL_TIMEOUTS + 2 * self.books.window.unwrap_or_default());
        self.pass(self.now + MAX_DELAY);
        self.books.check_no_asks();
        self.books.close_all();
        assert_eq!(self.books.len(), 0, "sockets are left in the books");
        assert_eq!(self.hub.len(), 0, "sockets are left in the hub");
        assert_eq!(self.hub.namespaces().collect::<Vec<_>>(), [""; 0], "namespaces are left");
        assert_eq!(self.hub.engine().sessions(), 0, "sessions are left");
        self.hub.close(self.now);
        self.settle_server();
        self.pass(self.now + ALL_TIMEOUTS);
        assert!(self.hub.is_finished(), "the hub is not finished");
        assert_eq!(self.hub.poll_timeout(), None, "the hub has a timer");
        assert!(self.network.is_empty(), "connections are left");
        assert!(self.persons.values().all(|person| person.hub.is_none()), "clients are left");
        (self.log, self.books.totals)
    }

    /// Outcome of the world so far.
    pub const fn totals(&self) -> Totals {
        self.books.totals
    }
}

/// The namespaces of every world.
pub(super) const NAMESPACES: [&str; 3] = ["/", "/chat", "/game"];

/// How often the application and the clients do something.
const MOMENT: Duration = Duration::from_millis(50);

/// Longer than what was begun takes to come through: the heartbeat, opening, and a stalled path.
const SETTLED: Duration = Duration::from_secs(240);

/// Longer than events stay in the log, see [`RecoveryConfig::max_delay`].
///
/// [`RecoveryConfig::max_delay`]: enginewire_socketio::adapter::RecoveryConfig::max_delay
const MAX_DELAY: Duration = Duration::from_secs(120);

/// Events at the same moment that show that they make each other happen without end.
const MAX_AT_ONCE: u64 = 1_000_000;
