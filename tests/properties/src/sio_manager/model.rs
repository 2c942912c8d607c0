//! What must come of each operation: the books about sockets and their events, and the commands.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use enginewire::{CloseReason, Revision, Time, TransportFault};
use enginewire_socketio::{AckId, Auth, Manager, ManagerConfig, Payload, Slot, parser::Decoder};

use super::wire::{ViewState, Wire};
use crate::{Reached, late::longest};

pub(super) struct Model {
    pub(super) manager: Manager<u64>,
    pub(super) session: Option<Wire>,
    /// Sessions so far.
    pub(super) serial: u64,
    /// The server breaks the protocol on this session.
    pub(super) is_wild: bool,
    /// What the server means: its parser has a target of its own.
    pub(super) decoder: Decoder,
    /// What the parts count for of a packet that is not complete.
    pub(super) partial: usize,
    pub(super) now: Time,
    /// Until when the server may have been given, as a deadline was looked at late.
    excused: Time,
    pub(super) sockets: Vec<Socket>,
    /// The socket that has sent each event.
    pub(super) owners: Vec<usize>,
    /// Events of the server so far.
    pub(super) said: u64,
    is_lazy: bool,
    pub(super) is_closed: bool,
    /// Events of a manager that was closed, which have not left.
    pub(super) unsent: usize,
    pub(super) told_closed: bool,
    /// Events that wait are being forgotten.
    pub(super) is_forgetting: bool,
    pub(super) reached: Reached,
}

#[derive(Default)]
pub(super) struct Socket {
    pub(super) slot: Option<Slot>,
    pub(super) namespace: String,
    /// The payload of its requests.
    pub(super) auth: Option<String>,
    pub(super) is_released: bool,
    /// Events that were not sent, in the order of the calls.
    pub(super) pending: VecDeque<u64>,
    /// Those that are to leave before the server is told that the socket does.
    pub(super) leaving: VecDeque<u64>,
    pub(super) retries: VecDeque<Retry>,
    pub(super) acks: BTreeMap<u64, Ack>,
    /// Events of the server that were not taken.
    pub(super) events: VecDeque<Heard>,
    /// Those that are to be acknowledged, with the session and its request that they came on.
    pub(super) owed: VecDeque<(u32, AckId, u64, u32)>,
    /// What each loss of its connection has to say.
    pub(super) losses: VecDeque<usize>,
    pub(super) wants_room: bool,
    pub(super) is_told: bool,
    /// Steps since all updates were taken. If there are too many, old ones are dropped.
    pub(super) untaken: usize,
}

pub(super) struct Retry {
    pub(super) number: u64,
    pub(super) times: u32,
    pub(super) most: u32,
    /// It has left on this connection, and is to be acknowledged until then.
    pub(super) until: Option<Time>,
}

pub(super) struct Ack {
    pub(super) id: AckId,
    pub(super) deadline: Time,
}

/// An event of the server, or a refusal. One that is not its own has no number.
pub(super) struct Heard {
    pub(super) is_refusal: bool,
    pub(super) number: Option<u64>,
    pub(super) cost: usize,
    pub(super) serial: u64,
    pub(super) granted: u32,
}

impl Socket {
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty() || !self.retries.is_empty() || !self.acks.is_empty()
    }
}

impl Model {
    pub(super) fn new(config: ManagerConfig, is_lazy: bool) -> Self {
        let decoder = Decoder::new(&config.parser, config.limits);
        Self {
            manager: Manager::new(Arc::new(config)),
            session: None,
            serial: 0,
            is_wild: false,
            decoder,
            partial: 0,
            now: Time::from_millis(1),
            excused: Time::ZERO,
            sockets: Vec::new(),
            owners: Vec::new(),
            said: 0,
            is_lazy,
            is_closed: false,
            unsent: 0,
            told_closed: false,
            is_forgetting: false,
            reached: Reached::default(),
        }
    }

    pub(super) fn is_v3(&self) -> bool {
        self.manager.config().revision == Revision::V3
    }

    /// The place of a socket in the list, and its name, if it was not released.
    pub(super) fn at(&self, number: usize) -> Option<(usize, Slot)> {
        let at = number.checked_rem(self.sockets.len())?;
        Some((at, self.sockets[at].slot?))
    }

    /// The socket of a namespace that was not released.
    pub(super) fn living(&self, namespace: &str) -> Option<(usize, Slot)> {
        let is_it = |socket: &Socket| socket.namespace == namespace && !socket.is_released;
        let at = self.sockets.iter().position(is_it)?;
        Some((at, self.sockets[at].slot?))
    }

    pub(super) fn is_connected(&self, at: usize) -> bool {
        self.sockets[at].slot.is_some_and(|slot| self.manager.is_connected(slot))
    }

    // ------------------------------------------------------------------ sockets

    pub(super) fn open(&mut self, namespace: usize, auth: usize) {
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        if self.sockets.len() >= MAX_SOCKETS {
            return;
        }
        let text = ["", "ann", "bob", "asked"][auth % 4];
        let auth = match auth % 4 {
            0 => Auth::None,
            3 => Auth::Ask,
            _ => Auth::Payload(user(text)),
        };
        let socket = Socket {
            namespace: namespace.into(),
            auth: (!text.is_empty()).then(|| text.into()),
            ..Socket::default()
        };
        let is_taken = self.is_closed || self.living(namespace).is_some();
        let slot = self.manager.open(namespace, auth);
        assert_eq!(slot.is_none(), is_taken, "{namespace}");
        if slot.is_some() {
            assert!(self.sockets.iter().all(|socket| socket.slot != slot), "{slot:?} twice");
            self.sockets.push(Socket { slot, ..socket });
        }
    }

    pub(super) fn connect(&mut self, number: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        self.manager.connect(self.now, slot, &mut self.session);
        let is_dead = self.is_closed || self.sockets[at].is_released;
        assert_eq!(self.manager.is_active(slot), !is_dead);
    }

    pub(super) fn authorize(&mut self, number: usize) {
        let Some((_, slot)) = self.at(number) else { return };
        let is_asked = self.manager.is_asking(slot);
        let auth = Some(user("asked"));
        let taken = self.manager.authorize(self.now, slot, auth, &mut self.session);
        assert_eq!(taken, is_asked);
    }

    pub(super) fn disconnect(&mut self, number: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        let expected = self.leaves(at);
        let unsent = self.manager.disconnect(self.now, slot, &mut self.session);
        assert_eq!(unsent, expected, "events that were not sent");
        self.check_left(at);
    }

    pub(super) fn release(&mut self, number: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        let expected = self.leaves(at);
        let unsent = self.manager.release(self.now, slot, &mut self.session);
        assert_eq!(unsent, expected, "events that were not sent");
        self.check_left(at);
        let socket = &mut self.sockets[at];
        socket.is_released = true;
        socket.events.clear();
        assert!(self.manager.namespace(slot).is_none());
    }

    pub(super) fn forget_offline(&mut self, number: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        let expected = if self.sockets[at].is_released { 0 } else { self.unsent_of(at) };
        assert_eq!(self.manager.forget_offline(slot), expected);
        self.is_forgetting = true;
        self.drain();
        self.is_forgetting = false;
        let socket = &mut self.sockets[at];
        if !socket.is_released {
            socket.pending.clear();
        }
    }

    /// The socket is about to be disconnected. Returns what will not be sent.
    fn leaves(&mut self, at: usize) -> usize {
        if self.sockets[at].is_released {
            return 0;
        }
        if self.is_connected(at) {
            let socket = &mut self.sockets[at];
            socket.leaving.append(&mut socket.pending);
        }
        let unsent = self.unsent_of(at);
        self.sockets[at].pending.clear();
        unsent
    }

    /// The events of a socket that wait, and were never sent.
    fn unsent_of(&self, at: usize) -> usize {
        let socket = &self.sockets[at];
        socket.pending.len() + socket.retries.iter().filter(|retry| retry.times == 0).count()
    }

    fn check_left(&mut self, at: usize) {
        self.drain();
        self.look();
        let socket = &self.sockets[at];
        let slot = socket.slot.unwrap();
        assert!(!self.manager.is_active(slot) && !self.manager.is_connected(slot));
        assert!(!socket.is_waiting(), "something is waited for of a socket that has left");
        assert_eq!(self.manager.queued(slot), 0);
    }

    // ----------------------------------------------------------------- the clock

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        // Whatever comes now may come ahead of the timeout.
        let until = self.manager.poll_timeout().and_then(|due| longest(due, self.now));
        self.excused = self.excused.max(until.unwrap_or(self.excused));
    }

    pub(super) fn timeout(&mut self) {
        for retry in self.sockets.iter_mut().filter_map(|socket| socket.retries.front_mut()) {
            retry.until = retry.until.filter(|&until| until > self.now);
        }
        self.manager.handle_timeout(self.now, &mut self.session);
        self.drain();
        self.look();
        for socket in &self.sockets {
            let is_late = |ack: &Ack| ack.deadline.max(self.excused) <= self.now;
            let late = socket.acks.iter().find(|(_, ack)| is_late(ack));
            assert!(late.is_none(), "{:?} is waited for beyond its deadline", late.unwrap().0);
        }
        // A session that is over is told of first.
        if self.session.as_ref().is_none_or(|wire| !wire.is_over()) {
            let next = self.manager.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "{next:?} is in the past");
        }
    }

    pub(super) fn wait(&mut self) {
        if let Some(deadline) = self.manager.poll_timeout() {
            self.now = self.now.max(deadline);
        }
        if self.session.as_ref().is_some_and(Wire::is_over) {
            return self.ended(0);
        }
        self.timeout();
    }

    // ---------------------------------------------------------------- the session

    pub(super) fn poll_open(&mut self) {
        if self.manager.poll_open() {
            assert!(self.session.is_none(), "another session is there");
            assert!(!self.is_closed, "a session is opened behind the end");
            self.session = Some(Wire::new());
            assert!(!self.manager.poll_open());
        }
    }

    pub(super) fn opened(&mut self) {
        let Some(wire) = &mut self.session else { return };
        if wire.is_open || wire.is_over() {
            return;
        }
        wire.is_open = true;
        // What was given back before is not among that.
        (wire.held, wire.released) = (self.manager.unread(), 0);
        self.serial += 1;
        (self.is_wild, self.partial) = (false, 0);
        let config = self.manager.config();
        self.decoder = Decoder::new(&config.parser, config.limits);
        if self.is_v3() {
            // Its servers connect everybody to `/`.
            self.session.as_mut().unwrap().view("/").state = ViewState::Requested;
        }
        self.manager.handle_opened(self.now, Some("engine"), &mut self.session);
        self.reached.opened = true;
    }

    /// The session ends, or could not be opened.
    pub(super) fn ended(&mut self, undelivered: usize) {
        let Some(wire) = self.session.take() else { return };
        let undelivered = undelivered.min(wire.count);
        let leaving = self.sockets.iter_mut();
        let waiting: usize = leaving.map(|socket| socket.leaving.drain(..).count()).sum();
        for at in 0..self.sockets.len() {
            let is_connected = self.is_connected(at);
            let socket = &mut self.sockets[at];
            socket.losses.extend(is_connected.then_some(undelivered + waiting));
            socket.retries.iter_mut().for_each(|retry| retry.until = None);
        }
        if self.is_closed {
            self.unsent += undelivered + waiting;
        }
        let reason = match (wire.is_closed, undelivered % 2) {
            (true, _) => CloseReason::ForcedClose,
            (false, 0) => CloseReason::TransportError(TransportFault::ConnectionLost),
            _ => CloseReason::PingTimeout,
        };
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0x80);
        self.manager.handle_closed(self.now, &reason, undelivered, &mut entropy);
        self.drain();
    }

    pub(super) fn abort(&mut self) {
        self.manager.abort(&mut self.session);
    }

    pub(super) fn close(&mut self) {
        if !self.is_closed {
            for at in 0..self.sockets.len() {
                self.unsent += self.leaves(at);
            }
        }
        self.is_closed = true;
        self.manager.close(self.now, &mut self.session);
        self.drain();
        self.look();
        assert!(self.manager.is_closed() && !self.manager.wants_open());
    }

    pub(super) fn set_room(&mut self, room: Option<usize>) {
        let Some(wire) = &mut self.session else { return };
        wire.room = room;
        if room != Some(0) && wire.is_open {
            self.manager.handle_writable(self.now, &mut self.session);
        }
    }

    pub(super) fn toggle_idle(&mut self) {
        if let Some(wire) = &mut self.session {
            wire.is_idle = !wire.is_idle;
        }
    }

    pub(super) fn toggle_receiving(&mut self) {
        if let Some(wire) = &mut self.session {
            wire.is_receiving = !wire.is_receiving;
        }
    }

    /// What every step ends with.
    pub(super) fn check(&mut self) {
        self.drain();
        self.look();
        if !self.is_lazy {
            self.poll_open();
        }
        for socket in &mut self.sockets {
            socket.untaken += 1;
        }
        self.holds();
    }
}

impl Retry {
    pub(super) const fn is_spent(&self) -> bool {
        self.times == self.most
    }
}

/// The payload of a request.
fn user(name: &str) -> Payload {
    Payload::new(&BTreeMap::from([("user", name)])).unwrap()
}

pub(super) const NAMESPACES: [&str; 3] = ["/", "/a", "/b"];

/// Time in which an event with retries is to be acknowledged, each time.
pub(super) const RETRY_TIMEOUT: Duration = Duration::from_millis(100);

/// Sockets that a script opens.
const MAX_SOCKETS: usize = 100;
