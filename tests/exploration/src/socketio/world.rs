//! The state of everything, and the moves that lead from one to the next.

use std::{collections::BTreeSet, hash::Hasher, sync::Arc, time::Duration};

use enginewire::{Entropy, Fingerprint, Revision, Time};
use enginewire_socketio::{
    Connection, ConnectionConfig,
    adapter::{Adapter, Recovery, RecoveryConfig},
};

use super::{
    arrivals::shown,
    books::{Books, Question},
    client::{Part, State},
    link::Link,
    rules,
    scenario::{Move, Sabotage, Scenario},
    server::{Pending, Seat, Space},
};
use crate::search::System;

/// A server and a client of Socket.IO, and what is on its way between them.
#[derive(Clone)]
pub struct World {
    pub(super) scenario: Scenario,
    config: Arc<ConnectionConfig>,
    pub(super) now: Time,
    pub(super) links: Vec<Link>,
    /// Links there have been.
    opened: u8,
    pub(super) spaces: Vec<Space>,
    pub(super) seats: Vec<Seat>,
    pub(super) pending: Vec<Pending>,
    pub(super) parts: [Part; 2],
    pub(super) books: Books,
    /// Events that are not logged, as they are to be acknowledged.
    pub(super) unlogged: BTreeSet<u8>,
    pub(super) drawn: Drawn,
    /// Work that is still to be done, see [`Scenario`].
    left: Scenario,
    pub(super) broken: Option<String>,
}

/// Entropy that counts.
#[derive(Clone, Copy)]
pub(super) struct Drawn(u8);

impl Entropy for Drawn {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.0 += 1;
        buffer.fill(self.0);
    }
}

impl World {
    /// Creates the state before the first step.
    pub fn new(scenario: Scenario) -> Self {
        let mut drawn = Drawn(0);
        let mut config = RecoveryConfig::default();
        config.window = WINDOW;
        config.max_delay = MAX_DELAY;
        let spaces = [0, 100].map(|first| {
            let recovery = scenario.recovery.map(|_| Recovery::new(config.clone(), &mut drawn));
            Space::new(Adapter::new(&mut drawn), recovery, first)
        });
        Self {
            scenario,
            config: Arc::default(),
            now: Time::ZERO,
            links: Vec::new(),
            opened: 0,
            spaces: spaces.into(),
            seats: Vec::new(),
            pending: Vec::new(),
            parts: [Part::default(), Part::default()],
            books: Books::default(),
            unlogged: BTreeSet::new(),
            drawn,
            left: scenario,
            broken: None,
        }
    }

    /// Steps that are possible next without a fault and without time.
    fn steps(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        self.steps_of_client(&mut moves);
        self.steps_of_server(&mut moves);
        for (place, link) in self.links.iter().enumerate() {
            if !link.to_server.is_empty() {
                moves.push(Move::ArriveAtServer(place));
            }
            if !link.to_client.is_empty() {
                moves.push(Move::ArriveAtClient(place));
            }
            if !link.carrier.queue.is_empty() {
                moves.push(Move::Write(place));
            }
        }
        moves
    }

    fn steps_of_client(&self, moves: &mut Vec<Move>) {
        let left = &self.left;
        if self.links.iter().all(|link| link.left_by_client) {
            if self.opened <= self.scenario.cuts + self.scenario.closes {
                moves.push(Move::Open);
            }
            return;
        }
        for (space, part) in self.parts.iter().enumerate() {
            let is_connected = matches!(part.state, State::Connected(_));
            if part.state == State::Idle && left.connects > 0 {
                moves.push(Move::Connect(space));
            }
            if (is_connected || part.state == State::Asking) && left.leaves > 0 {
                moves.push(Move::Leave(space));
            }
            if is_connected && left.events > 0 {
                moves.push(Move::Emit(space));
            }
            if is_connected && left.requests > 0 {
                moves.push(Move::Request(space));
            }
            if !part.owes.is_empty() {
                moves.push(Move::Reply(space));
            }
            if part.replied.is_some() && left.repeats > 0 {
                moves.push(Move::Repeat(space));
            }
        }
    }

    fn steps_of_server(&self, moves: &mut Vec<Move>) {
        let left = &self.left;
        for &Pending { link, slot, .. } in &self.pending {
            moves.push(Move::Accept(link, slot));
            if left.refusals > 0 {
                moves.push(Move::Refuse(link, slot));
            }
        }
        for seat in &self.seats {
            let &Seat { link, slot, .. } = seat;
            if left.questions > 0 {
                moves.push(Move::Ask(link, slot));
            }
            if !seat.asked.is_empty() {
                moves.push(Move::Answer(link, slot));
            }
            if left.kicks > 0 {
                moves.push(Move::Kick(link, slot));
            }
        }
        for (index, space) in self.spaces.iter().enumerate() {
            let waiting = space.recovery.as_ref().map_or(0, |recovery| recovery.waiting());
            if left.broadcasts > 0 && (waiting > 0 || !space.adapter.is_empty()) {
                moves.push(Move::Broadcast(index));
            }
            if left.volatile > 0 && !space.adapter.is_empty() {
                moves.push(Move::Volatile(index));
            }
        }
        for link in &self.links {
            if left.closes > 0 && self.seats.iter().any(|seat| seat.link == link.number) {
                moves.push(Move::Close(link.number));
            }
        }
    }

    /// Whether nothing goes on until the clock moves.
    fn is_idle(&self) -> bool {
        self.deadline().is_some() && self.steps().is_empty()
    }

    pub(super) fn connection(&self, link: u8) -> Option<&Connection<u8>> {
        self.links.iter().find(|it| it.number == link)?.connection.as_ref()
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        let connections = self.links.iter().filter_map(|link| link.connection.as_ref());
        let recoveries = self.spaces.iter().filter_map(|space| space.recovery.as_ref());
        let deadlines = connections.filter_map(Connection::poll_timeout);
        let heartbeats = self.links.iter().filter_map(Link::heartbeat);
        let deadlines = deadlines.chain(heartbeats);
        deadlines.chain(recoveries.filter_map(Recovery::poll_timeout)).min()
    }

    fn open(&mut self) {
        self.opened += 1;
        let connection = Connection::new(self.now, Arc::clone(&self.config), Revision::V4);
        self.links.push(Link::new(self.now, self.opened, self.scenario.room, connection));
    }

    pub(super) fn sabotage(&self, sabotage: Sabotage) -> bool {
        self.scenario.sabotage == Some(sabotage)
    }

    pub(super) fn accuse(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }
}

impl System for World {
    type Move = Move;

    const MARK: &'static str = "behind a recovery";

    fn moves(&self) -> Vec<Move> {
        let mut moves = self.steps();
        if self.left.cuts > 0 {
            for (place, link) in self.links.iter().enumerate() {
                if link.cut_at.is_none() && !link.left_by_client {
                    moves.push(Move::Cut(place));
                }
            }
        }
        if self.deadline().is_some() && (self.left.ticks > 0 || self.is_idle()) {
            moves.push(Move::Tick);
        }
        moves
    }

    fn make(&mut self, step: Move) {
        let is_idle = step == Move::Tick && self.is_idle();
        let left = &mut self.left;
        match step {
            Move::Open => self.open(),
            Move::Connect(space) => {
                left.connects -= 1;
                self.connect(space);
            }
            Move::Leave(space) => {
                left.leaves -= 1;
                self.leave(space);
            }
            Move::Emit(space) => {
                left.events -= 1;
                self.emit(space, false);
            }
            Move::Request(space) => {
                left.requests -= 1;
                self.emit(space, true);
            }
            Move::Reply(space) => self.reply(space, false),
            Move::Repeat(space) => {
                left.repeats -= 1;
                self.reply(space, true);
            }
            Move::Accept(link, slot) => self.accept(link, slot),
            Move::Refuse(link, slot) => {
                left.refusals -= 1;
                self.refuse(link, slot);
            }
            Move::Broadcast(space) => {
                left.broadcasts -= 1;
                self.broadcast(space, false);
            }
            Move::Volatile(space) => {
                left.volatile -= 1;
                self.broadcast(space, true);
            }
            Move::Ask(link, slot) => {
                left.questions -= 1;
                self.ask(link, slot);
            }
            Move::Answer(link, slot) => self.answer(link, slot),
            Move::Kick(link, slot) => {
                left.kicks -= 1;
                self.kick(link, slot);
            }
            Move::Close(link) => {
                left.closes -= 1;
                self.close(link);
            }
            Move::ArriveAtServer(place) => self.arrive_at_server(place),
            Move::ArriveAtClient(place) => self.arrive_at_client(place),
            Move::Write(place) => self.write(place),
            Move::Cut(place) => {
                left.cuts -= 1;
                self.links[place].cut(self.now);
            }
            Move::Tick => {
                left.ticks -= u8::from(!is_idle);
                self.tick();
            }
        }
        self.settle();
    }

    fn describe(&self, step: Move) -> String {
        let number = |place: usize| self.links[place].number;
        match step {
            Move::ArriveAtServer(place) => {
                let item = self.links[place].to_server.front();
                format!("at the server arrives on link {}: {item:?}", number(place))
            }
            Move::ArriveAtClient(place) => {
                let item = self.links[place].to_client.front().map(|(_, item)| item);
                format!("at the client arrives on link {}: {item:?}", number(place))
            }
            Move::Write(place) => {
                let message =
                    self.links[place].carrier.queue.front().map(|(_, message)| shown(message));
                format!("link {} sends {message:?}", number(place))
            }
            Move::Tick => format!("the clock moves from {} to {:?}", self.now, self.deadline()),
            other => format!("{other:?}"),
        }
    }

    fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { scenario: _, config: _, now, links, opened, spaces, seats, pending, .. } = self;
        let Self { parts, books, unlogged, drawn, left, broken: _, .. } = self;
        let Scenario { connects, refusals, leaves, kicks, closes, broadcasts, volatile, .. } = left;
        let Scenario { questions, repeats, events, requests, cuts, ticks, .. } = left;
        into.push(&(connects, refusals, leaves, kicks, closes, broadcasts, volatile));
        into.push(&(questions, repeats, events, requests, cuts, ticks));
        into.push(&(opened, drawn.0, parts, unlogged, links.len(), seats.len(), pending.len()));
        links.iter().for_each(|link| link.fingerprint(*now, into));
        spaces.iter().for_each(|space| space.fingerprint(*now, into));
        seats.iter().for_each(|seat| seat.fingerprint(into));
        pending.iter().for_each(|pending| pending.fingerprint(into));
        let Books { sockets, questions, recovered } = books;
        into.push(&(sockets, recovered, questions.len()));
        for Question { link, slot, number, deadline, is_answered } in questions {
            into.push(&(link, slot, number, is_answered));
            into.push_time(*now, Some(*deadline));
        }
    }

    fn broken(&self) -> Option<String> {
        rules::broken(self)
    }

    fn is_final(&self) -> bool {
        self.deadline().is_none() && self.steps().is_empty()
    }

    fn is_marked(&self) -> bool {
        self.books.recovered > 0
    }
}

/// The namespaces.
pub(super) const NAMES: [&str; 2] = ["/a", "/b"];

/// Time in which the client is to acknowledge an event. The time to connect to a namespace is longer.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which a client can come back.
const WINDOW: Duration = Duration::from_secs(20);

/// Shorter than in earnest would change nothing: no connection is slower than the clock.
const MAX_DELAY: Duration = Duration::from_secs(20);
