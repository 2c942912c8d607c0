//! The state of everything, and the moves that lead from one to the next.

use std::{hash::Hasher, sync::Arc, time::Duration};

use enginewire::{CloseReason, Entropy, Fingerprint, Revision, Time};
use enginewire_socketio::{Connection, ConnectionConfig, Manager, ManagerConfig, PrivateId};

use super::{
    client::{Kind, Part, Sent},
    rules,
    scenario::{Move, Sabotage, Scenario},
    server::{Pending, Seat},
};
use crate::{
    search::System,
    socketio::{
        books::{Books, Question},
        link::{Carrier, Link, Up},
    },
};

/// A client and a server of Socket.IO, and what is on its way between them.
#[derive(Clone)]
pub struct World {
    pub(super) scenario: Scenario,
    config: Arc<ConnectionConfig>,
    pub(super) now: Time,
    pub(super) links: Vec<Link>,
    /// Links there have been.
    opened: u8,
    pub(super) manager: Managed,
    /// The client's side of its session.
    pub(super) session: Option<Carrier>,
    pub(super) is_opening: bool,
    pub(super) parts: [Part; 2],
    pub(super) events: Vec<Sent>,
    pub(super) is_closed: bool,
    pub(super) told_closed: bool,
    /// Messages that had not left when the client was closed, and events that do not.
    pub(super) unsent: usize,
    pub(super) seats: Vec<Seat>,
    pub(super) pending: Vec<Pending>,
    pub(super) books: Books,
    /// The secret ids of the accounts in the books.
    pub(super) pids: Vec<PrivateId>,
    /// Events of the server for each account.
    pub(super) log: Vec<(usize, u8)>,
    /// Those that are to be acknowledged, which are not logged.
    pub(super) questions: Vec<u8>,
    pub(super) said: u8,
    pub(super) drawn: Drawn,
    /// Work that is still to be done, see [`Scenario`].
    left: Scenario,
    pub(super) broken: Option<String>,
}

/// A manager that can be copied.
pub(super) struct Managed(pub(super) Manager<u8>);

impl Clone for Managed {
    fn clone(&self) -> Self {
        #[expect(clippy::expect_used, reason = "its parser is JSON")]
        let copy = self.0.fork().expect("a copy");
        Self(copy)
    }
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
        Self {
            scenario,
            config: Arc::default(),
            now: Time::ZERO,
            links: Vec::new(),
            opened: 0,
            manager: Managed(Manager::new(Arc::new(ManagerConfig::default()))),
            session: None,
            is_opening: false,
            parts: [Part::default(), Part::default()],
            events: Vec::new(),
            is_closed: false,
            told_closed: false,
            unsent: 0,
            seats: Vec::new(),
            pending: Vec::new(),
            books: Books::default(),
            pids: Vec::new(),
            log: Vec::new(),
            questions: Vec::new(),
            said: 0,
            drawn: Drawn(0),
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
        }
        moves
    }

    fn steps_of_client(&self, moves: &mut Vec<Move>) {
        let left = &self.left;
        for (space, part) in self.parts.iter().enumerate() {
            let is_active = part.slot.is_some_and(|slot| self.manager.0.is_active(slot));
            let mut can = |times: u8, step: Move| moves.extend((times > 0).then_some(step));
            if !is_active && !self.is_closed {
                can(left.connects, Move::Connect(space));
            }
            if is_active {
                can(left.disconnects, Move::Disconnect(space));
                can(left.events, Move::Emit(space));
                can(left.asks, Move::Ask(space));
                can(left.retries, Move::Retry(space));
            }
            if part.slot.is_some() {
                can(left.releases, Move::Release(space));
            }
            if !part.owes.is_empty() {
                moves.push(Move::Reply(space));
            }
        }
        if left.closes > 0 {
            moves.push(Move::Close);
        }
        if self.is_opening {
            moves.push(Move::Open);
            if left.failures > 0 {
                moves.push(Move::Fail);
            }
        }
        let waits = self.session.as_ref().is_some_and(|carrier| !carrier.queue.is_empty());
        if self.scenario.room.is_some() && waits {
            moves.push(Move::Write);
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
        for &Seat { link, slot, ref asked, .. } in &self.seats {
            if left.questions > 0 {
                moves.push(Move::Question(link, slot));
            }
            if !asked.is_empty() {
                moves.push(Move::Answer(link, slot));
            }
            if left.kicks > 0 {
                moves.push(Move::Kick(link, slot));
            }
        }
        for space in 0..NAMES.len() {
            let mut sockets = self.books.sockets.iter();
            let is_there = sockets
                .any(|it| it.space == space && it.life != crate::socketio::books::Life::Ended);
            if left.broadcasts > 0 && is_there {
                moves.push(Move::Broadcast(space));
            }
        }
    }

    /// Whether nothing goes on until the clock moves.
    fn is_idle(&self) -> bool {
        self.deadline().is_some() && self.steps().is_empty()
    }

    /// Whether the clock may move although something else can happen: the client waits for its next attempt.
    fn is_free(&self) -> bool {
        self.session.is_none() && self.manager.0.poll_timeout().is_some()
    }

    /// When something is due.
    fn deadline(&self) -> Option<Time> {
        let connections = self.links.iter().filter_map(|link| link.connection.as_ref());
        let deadlines = connections.filter_map(Connection::poll_timeout);
        let heartbeats = self.links.iter().filter_map(Link::heartbeat);
        deadlines.chain(heartbeats).chain(self.manager.0.poll_timeout()).min()
    }

    fn open(&mut self) {
        self.is_opening = false;
        self.opened += 1;
        let connection = Connection::new(self.now, Arc::clone(&self.config), Revision::V4);
        self.links.push(Link::new(self.now, self.opened, None, connection));
        self.manager.0.handle_opened(self.now, None, &mut self.session);
    }

    /// The network breaks a link.
    pub(super) fn cut(&mut self, place: usize) {
        self.note_lost(place);
        self.links[place].cut(self.now);
    }

    fn tick(&mut self) {
        let Some(deadline) = self.deadline() else { return };
        self.now = deadline;
        self.tick_server(deadline);
        self.manager.0.handle_timeout(deadline, &mut self.session);
        let is_over = self.session.as_ref().is_some_and(|carrier| carrier.is_closed);
        if !is_over && self.manager.0.poll_timeout().is_some_and(|next| next <= deadline) {
            self.accuse(String::from("a deadline of the client stays in the past"));
        }
    }

    /// Handles all that follows from a move.
    fn settle(&mut self) {
        loop {
            self.drain_manager();
            if self.manager.0.poll_open() {
                self.session = Some(Carrier::new(self.now, self.scenario.room));
                self.is_opening = true;
            }
            self.settle_server();
            let has_queued = |carrier: &Carrier| !carrier.queue.is_empty();
            if self.scenario.room.is_none() && self.session.as_ref().is_some_and(has_queued) {
                self.write();
                continue;
            }
            let is_over = |carrier: &Carrier| carrier.is_closed && carrier.queue.is_empty();
            if !self.session.as_ref().is_some_and(is_over) {
                break;
            }
            if let Some(link) = self.links.iter_mut().find(|link| !link.left_by_client)
                && link.connection.is_some()
                && link.cut_at.is_none()
            {
                // The client closes its side behind what it has sent.
                link.to_server.push_back(Up::Lost);
            }
            self.ended(&CloseReason::ForcedClose);
        }
        self.links.retain(|link| !link.is_over());
    }

    pub(super) fn sabotage(&self, sabotage: Sabotage) -> bool {
        self.scenario.sabotage == Some(sabotage)
    }

    pub(super) fn accuse(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// Counts down what a move uses up.
    fn spend(&mut self, step: Move) {
        let is_free = self.is_free() || self.is_idle();
        let left = &mut self.left;
        let count = match step {
            Move::Connect(_) => &mut left.connects,
            Move::Disconnect(_) => &mut left.disconnects,
            Move::Release(_) => &mut left.releases,
            Move::Close => &mut left.closes,
            Move::Emit(_) => &mut left.events,
            Move::Ask(_) => &mut left.asks,
            Move::Retry(_) => &mut left.retries,
            Move::Fail => &mut left.failures,
            Move::Refuse(..) => &mut left.refusals,
            Move::Kick(..) => &mut left.kicks,
            Move::Broadcast(_) => &mut left.broadcasts,
            Move::Question(..) => &mut left.questions,
            Move::Cut(_) => &mut left.cuts,
            Move::Tick if !is_free => &mut left.ticks,
            _ => return,
        };
        *count -= 1;
    }
}

impl System for World {
    type Move = Move;

    const MARK: &'static str = "behind a second session";

    fn moves(&self) -> Vec<Move> {
        let mut moves = self.steps();
        if self.left.cuts > 0 {
            for (place, link) in self.links.iter().enumerate() {
                if link.cut_at.is_none() && !link.left_by_client {
                    moves.push(Move::Cut(place));
                }
            }
        }
        let may_pass = self.left.ticks > 0 || self.is_free() || self.is_idle();
        if self.deadline().is_some() && may_pass {
            moves.push(Move::Tick);
        }
        moves
    }

    fn make(&mut self, step: Move) {
        self.spend(step);
        match step {
            Move::Connect(space) => self.connect(space),
            Move::Disconnect(space) => self.leave(space, false),
            Move::Release(space) => self.leave(space, true),
            Move::Close => self.close(),
            Move::Emit(space) => self.emit(space, Kind::Plain),
            Move::Ask(space) => self.emit(space, Kind::Asks),
            Move::Retry(space) => self.emit(space, Kind::Retries),
            Move::Reply(space) => self.reply(space),
            Move::Open => self.open(),
            Move::Fail => self.fail(),
            Move::Write => self.write(),
            Move::Accept(link, slot) => self.accept(link, slot),
            Move::Refuse(link, slot) => self.refuse(link, slot),
            Move::Kick(link, slot) => self.kick(link, slot),
            Move::Broadcast(space) => self.broadcast(space),
            Move::Question(link, slot) => self.question(link, slot),
            Move::Answer(link, slot) => self.answer(link, slot),
            Move::ArriveAtServer(place) => self.arrive_at_server(place),
            Move::ArriveAtClient(place) => self.arrive_at_client(place),
            Move::Cut(place) => self.cut(place),
            Move::Tick => self.tick(),
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
            Move::Tick => format!("the clock moves from {} to {:?}", self.now, self.deadline()),
            other => format!("{other:?}"),
        }
    }

    fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { scenario: _, config: _, now, links, opened, manager, session, .. } = self;
        let Self { is_opening, parts, events, is_closed, told_closed, unsent, seats, .. } = self;
        let Self { pending, books, pids, log, questions, said, drawn, left, broken: _, .. } = self;
        into.push(&format!("{left:?}"));
        into.push(&(opened, is_opening, parts, events, is_closed, told_closed, unsent));
        into.push(&(pids, log, questions, said, drawn.0));
        into.push(&(links.len(), seats.len(), pending.len(), session.is_some()));
        manager.0.fingerprint(*now, into);
        session.iter().for_each(|carrier| carrier.fingerprint(*now, into));
        links.iter().for_each(|link| link.fingerprint(*now, into));
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
        self.opened > 1
    }
}

/// The namespaces.
pub(super) const NAMES: [&str; 2] = ["/a", "/b"];

/// Time in which an event is to be acknowledged, in either direction.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(10);
