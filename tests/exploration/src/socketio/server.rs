//! The server around connections: who is in which namespace, and what comes of their outputs.

use std::{collections::BTreeMap, hash::Hasher};

use enginewire::{Encoded, Fingerprint, Time};
use enginewire_socketio::{
    AckError, AckId, ConnectRequest, ConnectionEvent, DisconnectReason, EmitError, Event,
    PrivateId, Slot, SocketId, TryEmitError,
    adapter::{Adapter, Kept, MemberKey, Recovery, Target},
    parser::{Encoder, NamedEvent, Parser},
};

use super::{
    books::{Life, Question},
    scenario::Sabotage,
    world::{ACK_TIMEOUT, NAMES, World},
};

/// One namespace.
#[derive(Clone)]
pub(super) struct Space {
    pub(super) adapter: Adapter<(u8, Slot)>,
    pub(super) recovery: Option<Recovery<usize, Encoded>>,
    /// The number of the next event, of any kind. No two namespaces have the same.
    next: u8,
}

/// One socket, while it is connected.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) link: u8,
    pub(super) slot: Slot,
    pub(super) space: usize,
    pub(super) member: MemberKey,
    /// Its place in the books.
    pub(super) socket: usize,
    pid: Option<PrivateId>,
    /// Events of the client that have come.
    pub(super) taken: u8,
    /// Events that are to be acknowledged, and were not.
    pub(super) asked: Vec<(AckId, u8)>,
}

/// A request that the application has not responded to.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) link: u8,
    pub(super) slot: Slot,
    space: usize,
    pid: Option<PrivateId>,
    offset: Option<String>,
}

impl Space {
    pub(super) const fn new(
        adapter: Adapter<(u8, Slot)>,
        recovery: Option<Recovery<usize, Encoded>>,
        first: u8,
    ) -> Self {
        Self { adapter, recovery, next: first }
    }

    /// Encodes an event with its offset, if there is one.
    fn encode(&self, name: &str, number: u8, is_volatile: bool) -> Option<Encoded> {
        let mut encoder = Encoder::new();
        let args = encoder.args(&Parser::Json, &NamedEvent::new("e", &number)).ok()?;
        let offset = self.recovery.as_ref().map(|recovery| match is_volatile {
            true => recovery.latest().to_string(),
            false => recovery.upcoming().to_string(),
        });
        encoder.forward(&Parser::Json, name, None, &args, offset.as_deref()).ok()
    }

    pub(super) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        into.push(&self.next);
        self.adapter.fingerprint(into);
        if let Some(recovery) = &self.recovery {
            recovery.fingerprint(now, into);
        }
    }
}

impl Seat {
    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { link, slot, space, member, socket, pid, taken, asked } = self;
        into.push(&(link, slot, space, member, socket, pid, taken, asked));
    }
}

impl Pending {
    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { link, slot, space, pid, offset } = self;
        into.push(&(link, slot, space, pid, offset));
    }
}

/// Outputs of connections.
impl World {
    pub(super) fn handle(&mut self, link: u8, event: ConnectionEvent<u8>) {
        match event {
            ConnectionEvent::Connect(slot, request) => self.asked(link, slot, &request),
            ConnectionEvent::Cancelled(slot) => {
                let before = self.pending.len();
                self.pending.retain(|pending| (pending.link, pending.slot) != (link, slot));
                if self.pending.len() == before {
                    self.accuse(String::from("a request is cancelled that nobody has made"));
                }
            }
            ConnectionEvent::Readable(slot) => self.take_events(link, slot),
            ConnectionEvent::Acknowledged(..) if self.sabotage(Sabotage::Deaf) => {}
            ConnectionEvent::Acknowledged(slot, number, result) => {
                let result = result.map(|args| args.payload().as_json().map(String::from));
                self.acknowledged(link, slot, number, result);
            }
            ConnectionEvent::Disconnected(slot, reason) => {
                self.take_events(link, slot);
                if let Some(link) = self.links.iter_mut().find(|it| it.number == link)
                    && let Some(connection) = &mut link.connection
                {
                    connection.release(slot, &mut link.carrier);
                }
                self.end(link, slot, reason);
            }
            other => self.accuse(format!("the server is told of an unknown {other:?}")),
        }
    }

    fn asked(&mut self, link: u8, slot: Slot, request: &ConnectRequest) {
        let Some(space) = NAMES.iter().position(|name| request.namespace == **name) else {
            return self.accuse(format!("the client asks for {}", request.namespace));
        };
        let auth: BTreeMap<String, String> =
            request.auth.as_ref().and_then(|auth| auth.decode().ok()).unwrap_or_default();
        let pid = auth.get("pid").and_then(|pid| PrivateId::parse(pid));
        let offset = auth.get("offset").cloned();
        let pending = Pending { link, slot, space, pid, offset };
        let skips = self.scenario.recovery == Some(true);
        if !(skips && self.recover(&pending)) {
            self.pending.push(pending);
        }
    }

    pub(super) fn take_events(&mut self, number: u8, slot: Slot) {
        while let Some(link) = self.links.iter_mut().find(|link| link.number == number)
            && let Some(connection) = &mut link.connection
            && let Some(event) = connection.take_event(slot, &mut link.carrier)
        {
            self.got(number, slot, &event);
        }
    }

    fn got(&mut self, link: u8, slot: Slot, event: &Event) {
        let Some(seat) = self.seat(link, slot) else {
            return self.accuse(String::from("an event comes for a socket that is not there"));
        };
        let number = event.data::<u8>().ok().filter(|_| event.name() == "c");
        let expected = seat.taken;
        seat.taken += 1;
        seat.asked.extend(event.ack().map(|ack| (ack, expected)));
        if number != Some(expected) {
            self.accuse(format!("the server gets event {number:?} instead of {expected}"));
        }
    }

    fn acknowledged(
        &mut self,
        link: u8,
        slot: Slot,
        number: u8,
        result: Result<Option<String>, AckError>,
    ) {
        let questions = &mut self.books.questions;
        let Some(at) = questions.iter().position(|question| question.number == number) else {
            return self.accuse(format!("question {number} is answered twice: {result:?}"));
        };
        let question = questions.remove(at);
        if (question.link, question.slot) != (link, slot) {
            return self.accuse(format!("question {number} is answered by another socket"));
        }
        match result {
            Ok(json) => {
                if !question.is_answered || json != Some(format!("[{number}]")) {
                    self.accuse(format!("question {number} is answered by {json:?}"));
                }
            }
            Err(AckError::Timeout) => {
                if self.now < question.deadline {
                    self.accuse(format!("question {number} expires before its deadline"));
                }
            }
            Err(AckError::Disconnected(_)) => {
                let link = self.links.iter().find(|it| it.number == link);
                let connection = link.and_then(|link| link.connection.as_ref());
                if connection.is_some_and(|connection| connection.is_connected(slot)) {
                    self.accuse(format!("question {number} fails, and the socket lives on"));
                }
            }
            Err(other) => self.accuse(format!("question {number} fails: {other}")),
        }
    }

    fn end(&mut self, link: u8, slot: Slot, reason: DisconnectReason) {
        let Some(at) = self.seats.iter().position(|seat| (seat.link, seat.slot) == (link, slot))
        else {
            return self.accuse(String::from("a socket ends that is not there"));
        };
        let Seat { space, member, socket, pid, .. } = self.seats.remove(at);
        let leaks = self.sabotage(Sabotage::Leak);
        let Space { adapter, recovery, .. } = &mut self.spaces[space];
        let removed = if leaks { None } else { adapter.remove(member) };
        let account = &mut self.books.sockets[socket];
        account.life = Life::Ended;
        if let (Some(pid), Some(recovery)) = (pid, recovery) {
            if reason.is_recoverable() {
                account.life = Life::Waiting;
                let rooms = removed.map(|removed| removed.rooms).unwrap_or_default();
                recovery.keep(self.now, Kept { pid, rooms, data: socket });
                // They are not sent again.
                let lost = &self.unlogged;
                account.lose(|number| lost.contains(&number));
            } else {
                recovery.ended(&pid);
            }
        }
    }
}

/// The application.
impl World {
    pub(super) fn accept(&mut self, link: u8, slot: Slot) {
        let Some(pending) = self.take_pending(link, slot) else { return };
        if self.recover(&pending) {
            return;
        }
        let (id, pid) = (SocketId::random(&mut self.drawn), PrivateId::random(&mut self.drawn));
        let pid = self.scenario.recovery.is_some().then_some(pid);
        if !self.respond(&pending, &id, pid.as_ref(), Vec::new()) {
            return self.accuse(String::from("a request cannot be accepted"));
        }
        let socket = self.books.open(pending.space, &id);
        if let (Some(pid), Some(recovery)) = (pid, &mut self.spaces[pending.space].recovery) {
            recovery.connected(pid, id.clone());
        }
        self.insert(&pending, id, pid, socket);
    }

    pub(super) fn refuse(&mut self, link: u8, slot: Slot) {
        if self.take_pending(link, slot).is_none() {
            return;
        }
        let refused =
            self.on(link, |connection, carrier| connection.refuse(slot, &"no".into(), carrier));
        if refused != Some(true) {
            self.accuse(String::from("a request cannot be refused"));
        }
    }

    /// Connects a client that has come back, with what it had. False if it is not one.
    fn recover(&mut self, pending: &Pending) -> bool {
        let Some(pid) = pending.pid else { return false };
        let now = self.now;
        let Space { adapter, recovery: Some(recovery), .. } = &self.spaces[pending.space] else {
            return false;
        };
        // It is still there if nothing has noticed yet that the connection broke.
        let living = recovery.living(&pid).and_then(|id| adapter.find(id));
        if let Some(&(link, _)) = living.and_then(|key| adapter.member(key))
            && link != pending.link
        {
            self.on(link, |connection, carrier| {
                connection.abort(DisconnectReason::Replaced, carrier);
            });
            self.drain(link);
        }
        let Some(recovery) = &mut self.spaces[pending.space].recovery else { return false };
        let restored = recovery.restore(now, &pid, pending.offset.as_deref());
        self.note_dropped(pending.space);
        let Ok(restored) = restored else { return false };
        let socket = restored.data;
        let account = &mut self.books.sockets[socket];
        if account.life != Life::Waiting || account.id != *restored.id {
            let id = &restored.id;
            self.accuse(format!("socket {id} comes back, which does not wait"));
        }
        self.books.sockets[socket].life = Life::Connected;
        let missed = restored.missed.into_iter().map(|missed| missed.event).collect();
        if !self.respond(pending, &restored.id, Some(&pid), missed) {
            self.accuse(String::from("a client that comes back cannot be accepted"));
        }
        self.insert(pending, restored.id, Some(pid), socket);
        true
    }

    fn respond(
        &mut self,
        pending: &Pending,
        id: &SocketId,
        pid: Option<&PrivateId>,
        missed: Vec<Encoded>,
    ) -> bool {
        let slot = pending.slot;
        let accepted = self.on(pending.link, |connection, carrier| {
            connection.accept(slot, id, pid, missed, carrier)
        });
        accepted == Some(true)
    }

    fn insert(&mut self, pending: &Pending, id: SocketId, pid: Option<PrivateId>, socket: usize) {
        let &Pending { link, slot, space, .. } = pending;
        let member = self.spaces[space].adapter.insert(id, (link, slot));
        let seat = Seat { link, slot, space, member, socket, pid, taken: 0, asked: Vec::new() };
        self.seats.push(seat);
    }

    pub(super) fn broadcast(&mut self, place: usize, is_volatile: bool) {
        let now = self.now;
        let forgets = self.sabotage(Sabotage::Unlogged);
        let space = &mut self.spaces[place];
        let number = space.next;
        space.next += 1;
        let Some(message) = space.encode(NAMES[place], number, is_volatile) else {
            return self.accuse(String::from("an event cannot be encoded"));
        };
        if let Some(recovery) = &mut space.recovery
            && !is_volatile
            && !forgets
        {
            recovery.stamp(now, Target::all(), message.clone(), message.len());
        }
        self.books.broadcast(place, number, is_volatile);
        let members = self.spaces[place].adapter.select(&Target::all());
        for (_, &(link, slot)) in &members {
            let message = message.clone();
            let sent = self.on(link, |connection, carrier| match is_volatile {
                true => connection.emit_volatile(slot, message, carrier),
                false => connection.emit(slot, message, carrier),
            });
            match sent {
                Some(Err(TryEmitError { reason: EmitError::Full { .. }, .. })) => {
                    self.on(link, |connection, carrier| {
                        connection.abort(DisconnectReason::Overflow, carrier);
                    });
                }
                Some(Ok(()) | Err(TryEmitError { reason: EmitError::NotIdle, .. })) => {}
                other => self.accuse(format!("a member cannot be sent to: {other:?}")),
            }
        }
    }

    pub(super) fn ask(&mut self, link: u8, slot: Slot) {
        let deadline = self.now + ACK_TIMEOUT;
        let Some(seat) = self.seat(link, slot) else { return };
        let (socket, place) = (seat.socket, seat.space);
        let space = &mut self.spaces[place];
        let number = space.next;
        space.next += 1;
        let ack = space.adapter.next_ack();
        let event = Encoder::new().event(
            &Parser::Json,
            NAMES[place],
            Some(ack),
            &NamedEvent::new("e", &number),
        );
        let Ok(event) = event else {
            return self.accuse(String::from("an event cannot be encoded"));
        };
        let sent = self.on(link, |connection, carrier| {
            connection.emit_with_ack(slot, event, ack, deadline, number, carrier)
        });
        match sent {
            Some(Ok(())) => {
                self.unlogged.insert(number);
                self.books.sockets[socket].owe(number);
                let is_answered = false;
                self.books.questions.push(Question { link, slot, number, deadline, is_answered });
            }
            Some(Err(TryEmitError { reason: EmitError::Full { .. }, .. })) => {}
            other => self.accuse(format!("a socket cannot be asked: {other:?}")),
        }
    }

    pub(super) fn answer(&mut self, link: u8, slot: Slot) {
        let mute = self.sabotage(Sabotage::Mute);
        let Some(seat) = self.seat(link, slot) else { return };
        let (ack, number) = seat.asked.remove(0);
        let name = NAMES[seat.space];
        let message = Encoder::new().ack(&Parser::Json, name, ack, &number, Vec::new());
        let Ok(message) = message else {
            return self.accuse(String::from("an acknowledgement cannot be encoded"));
        };
        if mute {
            return;
        }
        let sent =
            self.on(link, |connection, carrier| connection.acknowledge(slot, message, carrier));
        match sent {
            Some(Ok(())) => {}
            // It is tried again when there is room.
            Some(Err(TryEmitError { reason: EmitError::Full { .. }, .. })) => {
                if let Some(seat) = self.seat(link, slot) {
                    seat.asked.insert(0, (ack, number));
                }
            }
            other => self.accuse(format!("a request cannot be answered: {other:?}")),
        }
    }

    pub(super) fn kick(&mut self, link: u8, slot: Slot) {
        let Some(seat) = self.seat(link, slot) else { return };
        let socket = seat.socket;
        self.books.sockets[socket].kick();
        self.on(link, |connection, carrier| connection.disconnect(slot, carrier));
    }

    pub(super) fn close(&mut self, link: u8) {
        let sockets = self.seats.iter().filter(|seat| seat.link == link).map(|seat| seat.socket);
        for socket in sockets.collect::<Vec<_>>() {
            self.books.sockets[socket].kick();
        }
        let now = self.now;
        self.on(link, |connection, carrier| connection.disconnect_client(now, carrier));
    }

    /// Drops the sockets that can no longer come back.
    pub(super) fn note_dropped(&mut self, space: usize) {
        let Some(recovery) = &mut self.spaces[space].recovery else { return };
        while let Some(socket) = recovery.poll_dropped() {
            self.books.sockets[socket].life = Life::Ended;
        }
    }

    fn take_pending(&mut self, link: u8, slot: Slot) -> Option<Pending> {
        let mut pending = self.pending.iter();
        let at = pending.position(|pending| (pending.link, pending.slot) == (link, slot))?;
        Some(self.pending.remove(at))
    }

    fn seat(&mut self, link: u8, slot: Slot) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| (seat.link, seat.slot) == (link, slot))
    }
}
