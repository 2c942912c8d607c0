//! The world: one server, its clients, and the network between them.

mod checks;
mod client;
mod intruder;
mod rest;
mod server;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use enginewire::{
    ClientConfig, ClientConnectionId, ClientHub, CloseReason, Event, Message, ServerHub, Time, Url,
    hub::{ConnectionId, ServerHubConfig, SessionId},
};

use self::intruder::Intruder;
pub use self::intruder::IntruderId;
use crate::{
    application::{Application, Core, End, EndId, Wishes},
    ledger::{Ledger, Repeats},
    log::{Deed, Log, News},
    network::{Happening, Network, Trouble, WireId},
    path::{Path, Side},
    random::Random,
    schedule::Schedule,
};

/// A server and its clients, with an [`Application`] at every end, on a virtual clock.
///
/// Time moves by [`run_for`](Self::run_for) and jumps from one event to the next. Every step is checked,
/// see the [crate]; what does not hold panics.
pub struct World<A> {
    /// What stands above the protocol.
    pub application: A,
    now: Time,
    agenda: Schedule<Next>,
    network: Network,
    server: Server,
    clients: BTreeMap<u64, Client>,
    intruders: BTreeMap<WireId, Intruder>,
    finished: Vec<u64>,
    random: Random,
    ledger: Ledger,
    log: Log,
    swept: Time,
    /// When the clock last jumped.
    woke: Time,
    timer_class: u8,
    /// Bytes of the largest message that was sent.
    largest: usize,
    steps: u64,
    /// Events since the clock has moved.
    same_moment: u64,
}

/// What is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    Network(Happening),
    /// Of the server of this number. Where there is one, it is 0.
    ServerTimer(u64),
    ClientTimer(u64),
    Wake(EndId),
}

struct Server {
    hub: ServerHub,
    wires: BTreeMap<ConnectionId, WireId>,
    names: BTreeMap<WireId, ConnectionId>,
    sessions: BTreeMap<SessionId, Seen>,
    max_unread: usize,
    armed: Option<Time>,
}

/// A session of the server, from its opening until it says that it is over.
struct Seen {
    life: u64,
    opened: Time,
    paused: bool,
}

struct Client {
    hub: ClientHub,
    wires: BTreeMap<ClientConnectionId, WireId>,
    names: BTreeMap<WireId, ClientConnectionId>,
    weather: Box<dyn FnMut(&mut Random) -> Path>,
    random: Random,
    armed: Option<Time>,
    paused: bool,
    /// Connections that are about to be read.
    reads: BTreeSet<WireId>,
    /// When the session opened, and whether the client has said so.
    opened: Option<Time>,
    told_open: bool,
    /// It has said that it is over.
    over: bool,
}

impl<A: Application> World<A> {
    /// A world without clients, of which this seed makes everything.
    pub fn new(seed: u64, config: ServerHubConfig, application: A) -> Self {
        let mut random = Random::new(seed);
        let ledger = Ledger::new(&config);
        let network = Network::new(random.fork());
        let max_unread = config.protocol.limits.max_unread;
        let hub = ServerHub::new(config, random.fork());
        Self {
            application,
            now: Time::from_millis(1),
            agenda: Schedule::new(),
            network,
            server: Server {
                hub,
                wires: BTreeMap::new(),
                names: BTreeMap::new(),
                sessions: BTreeMap::new(),
                max_unread,
                armed: None,
            },
            clients: BTreeMap::new(),
            intruders: BTreeMap::new(),
            finished: Vec::new(),
            random,
            ledger,
            log: Log::new(),
            swept: Time::ZERO,
            woke: Time::ZERO,
            timer_class: TIMERS_LAST,
            largest: 0,
            steps: 0,
            same_moment: 0,
        }
    }

    /// Whether, of a deadline and bytes at the same moment, the deadline comes first. It comes last
    /// in a new world.
    pub const fn set_timers_first(&mut self, first: bool) {
        self.timer_class = if first { TIMERS_FIRST } else { TIMERS_LAST };
    }

    /// A client begins its life. Each of its connections takes the path that `weather` says.
    pub fn connect(
        &mut self,
        mut config: ClientConfig,
        weather: impl FnMut(&mut Random) -> Path + 'static,
    ) -> u64 {
        let life = self.ledger.begin(&config.limits);
        config.query.push((String::from(LIFE), life.to_string()));
        let mut random = self.random.fork();
        let hub = ClientHub::new(self.now, &url(), Arc::new(config), false, &mut random);
        let client = Client {
            hub,
            wires: BTreeMap::new(),
            names: BTreeMap::new(),
            weather: Box::new(weather),
            random,
            armed: None,
            paused: false,
            reads: BTreeSet::new(),
            opened: None,
            told_open: false,
            over: false,
        };
        self.clients.insert(life, client);
        self.say(format_args!("life {life} begins"));
        self.settle_client(life);
        life
    }

    /// Does something at one end, if it is still there.
    pub fn at(&mut self, id: EndId, act: impl FnOnce(&mut A, &mut End<'_>)) {
        self.lend(id, act);
        match id {
            EndId::Client(life) => self.settle_client(life),
            EndId::Server(..) => self.settle_server(),
        }
    }

    /// The server ends, see [`ServerHub::close`], and accepts connections until it is finished.
    pub fn close_server(&mut self) {
        self.say(format_args!("server closes"));
        self.ledger.server_over = true;
        self.server.hub.close(self.now);
        self.settle_server();
    }

    /// The server ends now, see [`ServerHub::abort`].
    pub fn abort_server(&mut self) {
        self.say(format_args!("server aborts"));
        self.ledger.server_over = true;
        self.server.hub.abort(self.now);
        self.settle_server();
    }

    /// Does what is due next. False if nothing is.
    pub fn step(&mut self) -> bool {
        let Some((at, next)) = self.agenda.pop() else { return false };
        self.same_moment = if at > self.now { 0 } else { self.same_moment + 1 };
        assert!(self.same_moment < MAX_AT_ONCE, "time stands still");
        self.now = self.now.max(at);
        self.steps += 1;
        self.handle(next);
        if self.now.since(self.swept) >= SWEEP {
            self.sweep();
        }
        true
    }

    /// Lets so much time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.agenda.next().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Steps until `done`, but no longer than an hour.
    pub fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(3600);
        while !done(self) {
            assert!(self.now < end && self.step(), "what was waited for has not come");
        }
    }

    /// The clock jumps, as if the machine had slept: what was due meanwhile is due now. Of deadlines and
    /// what can be read, those come first that [`set_timers_first`](Self::set_timers_first) says: a loop
    /// that keeps to the rules of a [`ServerHub`] reads first.
    pub fn jump(&mut self, time: Duration) {
        self.now = self.now + time;
        self.woke = self.now;
        self.ledger.note_jump(self.now);
        let mut late = Vec::new();
        while self.agenda.next().is_some_and(|next| next <= self.now) {
            late.extend(self.agenda.pop());
        }
        for (_, next) in late {
            let class = match next {
                Next::ServerTimer(_) | Next::ClientTimer(_) => self.timer_class,
                Next::Network(_) | Next::Wake(_) => NETWORK_CLASS,
            };
            self.agenda.push(self.now, class, next);
        }
    }

    /// Closes all clients, sends all intruders away, waits for all timeouts, and checks that nothing is left anywhere.
    pub fn finish(mut self) -> (Log, A) {
        for life in self.clients.keys().copied().collect::<Vec<_>>() {
            self.at(EndId::Client(life), |_, end| {
                end.resume();
                end.close();
            });
        }
        for id in self.intruders.keys().copied().collect::<Vec<_>>() {
            self.leave(IntruderId(id));
        }
        self.run_for(ALL_TIMEOUTS);
        let hub = &mut self.server.hub;
        assert_eq!((hub.sessions(), hub.connections()), (0, 0), "left in the hub");
        assert_eq!(hub.poll_timeout(), None, "a timer is left in the hub");
        assert!(self.clients.is_empty(), "clients are left: {:?}", self.clients.keys());
        let silent: Vec<_> = self.server.sessions.values().map(|seen| seen.life).collect();
        assert!(silent.is_empty(), "sessions that have not said they are over: {silent:?}");
        assert!(self.network.is_empty() && self.server.wires.is_empty(), "open connections");
        (self.log, self.application)
    }
}

/// Getters.
impl<A> World<A> {
    /// The time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// How many events there were.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// What was done.
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// The server.
    pub const fn hub(&self) -> &ServerHub {
        &self.server.hub
    }

    /// The client of this life, until it is finished.
    pub fn client(&self, life: u64) -> Option<&ClientHub> {
        self.clients.get(&life).map(|client| &client.hub)
    }

    /// How many lives have begun.
    pub const fn lives(&self) -> u64 {
        self.ledger.lives()
    }

    /// Whether this end is there and open.
    pub fn is_open(&self, id: EndId) -> bool {
        match id {
            EndId::Client(life) => self.client(life).is_some_and(|hub| hub.session().is_open()),
            EndId::Server(_, session) => {
                self.hub().session(session).is_some_and(|session| session.is_open())
            }
        }
    }

    /// Lives whose end nobody has asked for yet.
    pub fn take_finished(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.finished)
    }

    /// The server's side of the youngest session of this life.
    pub fn server_end(&self, life: u64) -> Option<EndId> {
        let sessions = self.server.sessions.iter().filter(|(_, seen)| seen.life == life);
        sessions.max_by_key(|(_, seen)| seen.opened).map(|(&id, _)| EndId::Server(life, id))
    }

    /// The lives of sessions that are open at the server.
    pub(super) fn open_at_server(&self) -> impl Iterator<Item = u64> {
        let ends = self.server.sessions.iter().map(|(&id, seen)| EndId::Server(seen.life, id));
        ends.filter(|&end| self.is_open(end)).map(EndId::life)
    }

    /// Bytes of a life that the network still has.
    pub fn in_flight(&self, life: u64) -> usize {
        let wires = self.network.wires().filter(|(_, wire)| wire.life == life);
        wires.map(|(_, wire)| wire.in_flight()).sum()
    }

    /// Whether the server has written a part of an answer to this life, and has the rest still to write.
    pub fn is_answering(&self, life: u64) -> bool {
        let mut wires = self.network.wires().filter(|(_, wire)| wire.life == life);
        wires.any(|(_, wire)| wire.observer.is_within_answer())
    }

    /// Requests that the client of a life has sent, and answers to them, on all connections that there
    /// were: counted as they were written.
    pub fn exchanges(&self, life: u64) -> (u64, u64) {
        self.ledger.exchanges(life)
    }

    /// What a proxy has sent a second time of a life, see [`Fault::Repeat`](crate::Fault::Repeat).
    pub fn repeats(&self, life: u64) -> Repeats {
        self.ledger.repeats(life)
    }
}

impl<A: Application> World<A> {
    fn handle(&mut self, next: Next) {
        match next {
            Next::Network(happening) => self.happen(happening),
            Next::ServerTimer(_) => {
                self.log.note(self.now, Deed::ServerTimer);
                self.server.armed = None;
                self.server.hub.handle_timeout(self.now);
                self.settle_server();
            }
            Next::ClientTimer(life) => {
                self.log.note(self.now, Deed::ClientTimer(life));
                if let Some(client) = self.clients.get_mut(&life) {
                    client.armed = None;
                    client.hub.handle_timeout(self.now);
                    self.settle_client(life);
                }
            }
            Next::Wake(id) => {
                self.log.note(self.now, Deed::Wakes(id));
                self.at(id, Application::handle_wake);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        self.log.note(now, Deed::Happens(happening));
        match happening {
            Happening::Connected(id) => self.established(id),
            Happening::Refused(id) => self.refused(id),
            Happening::Arrive(id, from) => {
                self.network.arrive(&mut self.agenda, now, id, from);
                self.note_troubles();
            }
            Happening::Fault(id, index) => {
                self.network.fail(&mut self.agenda, now, id, index);
                self.note_troubles();
            }
            Happening::Repeat(number) => self.repeat(number),
            Happening::Readable(id, Side::Server) => self.read_server(id),
            Happening::Readable(id, Side::Client) => {
                self.read_client(id);
                self.read_intruder(id);
            }
            Happening::Writable(id, Side::Server) => {
                if let Some(&on) = self.server.names.get(&id) {
                    self.server.hub.handle_writable(now, on);
                    self.settle_server();
                }
            }
            Happening::Writable(id, Side::Client) => {
                self.on_link(id, |client, now, link| client.hub.handle_writable(now, link));
                self.write_intruder(id);
            }
            Happening::Lost(id, Side::Server) => {
                if let Some(on) = self.server.names.remove(&id) {
                    self.server.wires.remove(&on);
                    self.network.forget(id, Side::Server);
                    self.server.hub.handle_lost(now, on);
                    self.settle_server();
                }
            }
            Happening::Lost(id, Side::Client) => {
                self.intruders.retain(|&intruder, at| intruder != id || !at.is_proxy);
                self.network_forgets(id, |client, now, link| client.hub.handle_lost(now, link));
            }
        }
    }

    fn note_troubles(&mut self) {
        for Trouble { life, until, hidden } in self.network.take_troubles() {
            if hidden {
                self.ledger.note_hidden_fault(life, until);
            } else {
                self.ledger.note_fault(life, until);
            }
        }
    }

    fn established(&mut self, id: WireId) {
        let Some(life) = self.network.wire(id).map(|wire| wire.life) else { return };
        if self.server.hub.is_finished() {
            return self.refused(id);
        }
        if !self.network.establish(&mut self.agenda, self.now, id) {
            return;
        }
        let on = self.server.hub.handle_accepted(self.now);
        self.server.wires.insert(on, id);
        self.server.names.insert(id, on);
        self.settle_server();
        if let Some(client) = self.clients.get_mut(&life)
            && let Some(&link) = client.names.get(&id)
        {
            assert!(client.hub.handle_connected(self.now, link), "it is wanted until it is closed");
            self.settle_client(life);
        }
        if let Some(intruder) = self.intruders.get_mut(&id) {
            intruder.connected = true;
            self.write_intruder(id);
        }
    }

    fn refused(&mut self, id: WireId) {
        self.network_forgets(id, |client, now, link| client.hub.handle_refused(now, link));
    }

    /// An end says that its session is over, which has `opened` then, if it has.
    fn over(&mut self, id: EndId, opened: Option<Time>, reason: CloseReason) {
        self.say(format_args!("{id:?} is over: {reason:?}"));
        self.ledger.note_over(self.now, id.life(), side_of(id), opened, &reason);
        self.application.handle_closed(self.now, id, &reason);
    }

    /// Tells an end what has happened to it.
    fn tell(&mut self, id: EndId, event: Event) {
        let (news, data): (_, &[u8]) = match &event {
            Event::Opened => (News::Opened, &[]),
            Event::Message(Message::Text(text)) => (News::Text, text.as_str().as_bytes()),
            Event::Message(Message::Binary(bytes)) => (News::Binary, bytes),
            Event::Upgraded => (News::Upgraded, &[]),
            Event::Writable => (News::Writable, &[]),
            Event::Closed(_) => return,
            other => panic!("no application knows {other:?}"),
        };
        self.log.note_data(self.now, Deed::Told(id, news, data.len()), data);
        match event {
            Event::Opened => self.lend(id, A::handle_opened),
            Event::Message(message) => {
                self.ledger.note_messages(self.now, id.life(), 1);
                self.ledger.note_taken(id.life(), side_of(id), message.len());
                self.lend(id, |application, end| application.handle_message(end, message));
            }
            Event::Upgraded => self.lend(id, A::handle_upgraded),
            Event::Writable => self.lend(id, A::handle_writable),
            _ => {}
        }
    }

    /// Lends an end to the application, if it is still there.
    fn lend(&mut self, id: EndId, act: impl FnOnce(&mut A, &mut End<'_>)) {
        let (now, side) = (self.now, side_of(id));
        let core = match id {
            EndId::Client(life) => match self.clients.get_mut(&life) {
                Some(client) if !client.over => Core::Client(&mut client.hub),
                _ => return,
            },
            EndId::Server(_, session) => {
                if !self.server.sessions.contains_key(&session) {
                    return;
                }
                Core::Server(&mut self.server.hub, session)
            }
        };
        let mut wishes = Wishes::default();
        let repeats = self.ledger.repeats(id.life());
        let random = &mut self.random;
        let mut end = End { id, now, core, random, repeats, wishes: &mut wishes };
        act(&mut self.application, &mut end);
        let Wishes { sent: sends, closed: closes, paused: pauses, .. } = wishes;
        if sends > 0 || closes || pauses.is_some() {
            self.log.note(now, Deed::Acts { at: id, sends, closes, pauses });
        }
        self.largest = self.largest.max(wishes.largest);
        self.ledger.note_messages(now, id.life(), wishes.sent);
        for (at, id) in wishes.wakes {
            self.agenda.push(at, NETWORK_CLASS, Next::Wake(id));
        }
        if wishes.closed {
            self.ledger.note_close(id.life(), side);
        }
        if let Some(paused) = wishes.paused {
            self.ledger.note_slow(now, id.life());
            match id {
                EndId::Client(life) => {
                    let client = self.clients.get_mut(&life);
                    client.into_iter().for_each(|client| client.paused = paused);
                }
                EndId::Server(_, session) => {
                    let seen = self.server.sessions.get_mut(&session);
                    seen.into_iter().for_each(|seen| seen.paused = paused);
                }
            }
        }
        if let EndId::Server(_, session) = id
            && let Some(session) = self.server.hub.session(session)
        {
            self.ledger.check_queue(session.queued(), self.largest);
        }
    }

    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        self.log.say(self.now, line.to_string());
    }
}

/// The moment for which a timer is to be armed, if that is none that one is armed for already.
pub(crate) fn rearm(armed: &mut Option<Time>, next: Option<Time>) -> Option<Time> {
    let next = next.filter(|&next| armed.is_none_or(|armed| next < armed))?;
    *armed = Some(next);
    Some(next)
}

const fn side_of(id: EndId) -> Side {
    match id {
        EndId::Client(_) => Side::Client,
        EndId::Server(..) => Side::Server,
    }
}

/// The life that a client's request belongs to.
fn life_of(query: &str) -> u64 {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let life = pairs.find(|(key, _)| *key == LIFE).and_then(|(_, life)| life.parse().ok());
    life.unwrap_or_else(|| panic!("{query} is of no life"))
}

/// Where the server of every world is.
pub(crate) fn url() -> Url {
    match Url::parse("http://server.test") {
        Ok(url) => url,
        Err(error) => panic!("{error}"),
    }
}

/// The query parameter by which a client tells who it is.
const LIFE: &str = "life";

/// Classes of events at the same moment.
pub(crate) const NETWORK_CLASS: u8 = 1;
const TIMERS_FIRST: u8 = 0;
pub(crate) const TIMERS_LAST: u8 = 2;

/// Events at the same moment that show that they make each other happen without end.
const MAX_AT_ONCE: u64 = 1_000_000;

/// Time between two looks at all sessions.
const SWEEP: Duration = Duration::from_secs(5);

/// After this time nothing is left of clients that have closed or are gone: the longest heartbeat that
/// scenarios use, closing, and a connection that is kept.
pub(crate) const ALL_TIMEOUTS: Duration = Duration::from_secs(300);
