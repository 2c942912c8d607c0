//! The server: its connections, and an application that accepts, sends, asks and disconnects.

use std::{collections::BTreeMap, hash::Hasher};

use enginewire::{CloseReason, Encoded, Fingerprint, Time, TransportFault};
use enginewire_socketio::{
    AckError, AckId, Connection, ConnectionEvent, DisconnectReason, PrivateId, Slot, SocketId,
    parser::{Encoder, NamedEvent, Parser},
};

use super::{
    scenario::Sabotage,
    world::{ACK_TIMEOUT, NAMES, World},
};
use crate::socketio::{
    books::{Life, Question},
    link::{Carrier, Down, Up},
};

/// One socket of the server, while it is connected.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) link: u8,
    pub(super) slot: Slot,
    pub(super) space: usize,
    /// Its place in the books.
    pub(super) account: usize,
    /// Events that are to be acknowledged, and were not.
    pub(super) asked: Vec<(AckId, u8)>,
}

/// A request that the application has not responded to.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) link: u8,
    pub(super) slot: Slot,
    space: usize,
    pid: Option<String>,
    offset: Option<u8>,
}

impl Seat {
    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { link, slot, space, account, asked } = self;
        into.push(&(link, slot, space, account, asked));
    }
}

impl Pending {
    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { link, slot, space, pid, offset } = self;
        into.push(&(link, slot, space, pid, offset));
    }
}

/// What comes, and what connections put out.
impl World {
    /// Calls `f` with the connection of a link, if the session is not over.
    fn on<T>(
        &mut self,
        link: u8,
        f: impl FnOnce(&mut Connection<u8>, &mut Carrier) -> T,
    ) -> Option<T> {
        let link = self.links.iter_mut().find(|it| it.number == link)?;
        Some(f(link.connection.as_mut()?, &mut link.carrier))
    }

    pub(super) fn arrive_at_server(&mut self, place: usize) {
        let (now, repeats) = (self.now, self.sabotage(Sabotage::Twice));
        let link = &mut self.links[place];
        match link.to_server.pop_front() {
            Some(Up::Message(message)) => {
                let number = link.number;
                for _ in 0..=u8::from(repeats) {
                    let message = message.clone();
                    self.on(number, |connection, carrier| {
                        carrier.unread += message.cost();
                        connection.handle_message(now, message, carrier);
                    });
                }
                let event = message.as_text().and_then(super::client::number_in);
                let before = event.map(|number| self.events[usize::from(number)].arrivals);
                self.drain(number);
                if let Some(number) = event
                    && before == Some(self.events[usize::from(number)].arrivals)
                {
                    // Its socket was disconnected by the server.
                    let space = self.events[usize::from(number)].space;
                    let of_it = self.books.sockets.iter().filter(|it| it.space == space);
                    if of_it.clone().any(|account| account.was_kicked()) {
                        self.events[usize::from(number)].may_be_lost = true;
                    }
                }
            }
            Some(Up::Lost) => {
                self.server_lost(
                    place,
                    &CloseReason::TransportError(TransportFault::ConnectionLost),
                );
            }
            None => {}
        }
    }

    /// The session is over for the server.
    pub(super) fn server_lost(&mut self, place: usize, reason: &CloseReason) {
        self.note_lost(place);
        let link = &mut self.links[place];
        link.to_server.clear();
        link.carrier.queue.clear();
        link.carrier.is_closed = true;
        if let Some(connection) = &mut link.connection {
            connection.handle_closed(reason);
        }
        let number = link.number;
        self.drain(number);
        self.links[place].connection = None;
    }

    pub(super) fn drain(&mut self, link: u8) {
        while let Some(event) = self.on(link, |connection, _| connection.poll_event()).flatten() {
            self.handle(link, event);
        }
    }

    fn handle(&mut self, link: u8, event: ConnectionEvent<u8>) {
        match event {
            ConnectionEvent::Connect(slot, request) => {
                let space = NAMES.iter().position(|name| request.namespace == **name);
                let fields: BTreeMap<String, String> =
                    request.auth.and_then(|auth| auth.decode().ok()).unwrap_or_default();
                let offset = fields.get("offset").and_then(|offset| offset.get(1..));
                self.pending.push(Pending {
                    link,
                    slot,
                    space: space.unwrap_or_default(),
                    pid: fields.get("pid").cloned(),
                    offset: offset.and_then(|offset| offset.parse().ok()),
                });
            }
            ConnectionEvent::Cancelled(slot) => {
                self.pending.retain(|pending| (pending.link, pending.slot) != (link, slot));
            }
            ConnectionEvent::Readable(slot) => self.take_events(link, slot),
            ConnectionEvent::Acknowledged(slot, number, result) => {
                let json = result.map(|args| args.payload().as_json().map(String::from));
                self.answered(link, slot, number, json);
            }
            ConnectionEvent::Disconnected(slot, reason) => {
                self.take_events(link, slot);
                self.on(link, |connection, carrier| connection.release(slot, carrier));
                self.left(link, slot, reason);
            }
            other => self.accuse(format!("the server is told of an unknown {other:?}")),
        }
    }

    fn take_events(&mut self, link: u8, slot: Slot) {
        loop {
            let event = self.on(link, |connection, carrier| connection.take_event(slot, carrier));
            let Some(event) = event.flatten() else { return };
            let Some(seat) =
                self.seats.iter_mut().find(|seat| (seat.link, seat.slot) == (link, slot))
            else {
                return self.accuse(String::from("an event comes for a socket that is not there"));
            };
            let number = event.data::<u8>().unwrap_or(u8::MAX);
            seat.asked.extend(event.ack().map(|ack| (ack, number)));
            let space = seat.space;
            self.arrives(link, number, space);
        }
    }

    fn answered(
        &mut self,
        link: u8,
        slot: Slot,
        number: u8,
        result: Result<Option<String>, AckError>,
    ) {
        let mut questions = self.books.questions.iter();
        let Some(at) = questions.position(|question| question.number == number) else {
            return self.accuse(format!("question {number} is answered twice"));
        };
        let question = self.books.questions.remove(at);
        let is_same = (question.link, question.slot) == (link, slot);
        if !is_same || result.is_ok_and(|json| json != Some(format!("[{number}]"))) {
            self.accuse(format!("question {number} is answered by another"));
        }
    }

    fn left(&mut self, link: u8, slot: Slot, reason: DisconnectReason) {
        let Some(at) = self.seats.iter().position(|seat| (seat.link, seat.slot) == (link, slot))
        else {
            return self.accuse(String::from("a socket ends that is not there"));
        };
        let Seat { account, .. } = self.seats.remove(at);
        let account = &mut self.books.sockets[account];
        let is_kept = self.scenario.recovery && reason.is_recoverable();
        account.life = if is_kept { Life::Waiting } else { Life::Ended };
        if !is_kept {
            account.lose(|_| true);
        } else {
            // They are not sent again.
            account.lose(|number| self.questions.contains(&number));
        }
    }
}

/// The application.
impl World {
    pub(super) fn accept(&mut self, link: u8, slot: Slot) {
        let Some(pending) = self.take_pending(link, slot) else { return };
        let account = match self.recovers(&pending) {
            Some((account, missed)) => {
                let pid = self.pids[account];
                let id = SocketId::from(self.books.sockets[account].id.as_str());
                self.books.sockets[account].life = Life::Connected;
                self.respond(&pending, &id, Some(&pid), missed);
                account
            }
            None => {
                let mut drawn = self.drawn;
                let (id, pid) = (SocketId::random(&mut drawn), PrivateId::random(&mut drawn));
                self.drawn = drawn;
                let account = self.books.open(pending.space, &id);
                self.pids.push(pid);
                let pid = self.scenario.recovery.then_some(pid);
                self.respond(&pending, &id, pid.as_ref(), Vec::new());
                account
            }
        };
        let Pending { link, slot, space, .. } = pending;
        self.seats.push(Seat { link, slot, space, account, asked: Vec::new() });
    }

    /// The account of a client that comes back, with what it has missed.
    fn recovers(&mut self, pending: &Pending) -> Option<(usize, Vec<Encoded>)> {
        let pid = pending.pid.as_deref().and_then(PrivateId::parse)?;
        let account = self.pids.iter().position(|it| *it == pid)?;
        // It is still there if nothing has noticed yet that the connection broke.
        let seat = self.seats.iter().find(|seat| seat.account == account);
        if let Some(link) = seat.map(|seat| seat.link).filter(|&link| link != pending.link) {
            self.on(link, |connection, carrier| {
                connection.abort(DisconnectReason::Replaced, carrier);
            });
            self.drain(link);
        }
        let socket = &self.books.sockets[account];
        if socket.life != Life::Waiting {
            return None;
        }
        let missed = self.log.iter().filter(|(of, number)| {
            *of == account && pending.offset.is_none_or(|offset| *number > offset)
        });
        let name = NAMES[pending.space];
        Some((
            account,
            missed.filter_map(|&(_, number)| encode(name, None, number, true)).collect(),
        ))
    }

    fn respond(
        &mut self,
        pending: &Pending,
        id: &SocketId,
        pid: Option<&PrivateId>,
        missed: Vec<Encoded>,
    ) {
        let slot = pending.slot;
        let accepted = self.on(pending.link, |connection, carrier| {
            connection.accept(slot, id, pid, missed, carrier)
        });
        if accepted != Some(true) {
            self.accuse(String::from("a request cannot be accepted"));
        }
    }

    pub(super) fn refuse(&mut self, link: u8, slot: Slot) {
        if self.take_pending(link, slot).is_some() {
            self.on(link, |connection, carrier| connection.refuse(slot, &"no".into(), carrier));
        }
    }

    pub(super) fn kick(&mut self, link: u8, slot: Slot) {
        let seat = self.seats.iter().find(|seat| (seat.link, seat.slot) == (link, slot));
        let Some(account) = seat.map(|seat| seat.account) else { return };
        self.books.sockets[account].kick();
        self.on(link, |connection, carrier| connection.disconnect(slot, carrier));
    }

    pub(super) fn broadcast(&mut self, space: usize) {
        let number = self.said;
        self.said += 1;
        for (account, socket) in self.books.sockets.iter_mut().enumerate() {
            if socket.space == space && socket.life != Life::Ended {
                socket.owe(number);
                self.log.push((account, number));
            }
        }
        let seats = self.seats.iter().filter(|seat| seat.space == space);
        for (link, slot) in seats.map(|seat| (seat.link, seat.slot)).collect::<Vec<_>>() {
            let event = encode(NAMES[space], None, number, self.scenario.recovery);
            let Some(event) = event else { return };
            let sent = self.on(link, |connection, carrier| connection.emit(slot, event, carrier));
            if !matches!(sent, Some(Ok(()))) {
                self.accuse(String::from("a socket cannot be sent to"));
            }
        }
    }

    pub(super) fn question(&mut self, link: u8, slot: Slot) {
        let number = self.said;
        self.said += 1;
        self.questions.push(number);
        let deadline = self.now + ACK_TIMEOUT;
        let seat = self.seats.iter().find(|seat| (seat.link, seat.slot) == (link, slot));
        let Some(&Seat { account, space, .. }) = seat else { return };
        // Each connection counts from the start, as that of another process would.
        let before = self.books.questions.iter().filter(|question| question.link == link).count();
        let ack = AckId(before as u128);
        let Some(event) = encode(NAMES[space], Some(ack), number, false) else { return };
        let sent = self.on(link, |connection, carrier| {
            connection.emit_with_ack(slot, event, ack, deadline, number, carrier)
        });
        if !matches!(sent, Some(Ok(()))) {
            return self.accuse(String::from("a socket cannot be asked"));
        }
        self.books.sockets[account].owe(number);
        self.books.questions.push(Question { link, slot, number, deadline, is_answered: false });
    }

    pub(super) fn answer(&mut self, link: u8, slot: Slot) {
        let seat = self.seats.iter_mut().find(|seat| (seat.link, seat.slot) == (link, slot));
        let Some(seat) = seat else { return };
        let (ack, number) = seat.asked.remove(0);
        let name = NAMES[seat.space];
        let Ok(message) = Encoder::new().ack(&Parser::Json, name, ack, &number, Vec::new()) else {
            return;
        };
        let sent =
            self.on(link, |connection, carrier| connection.acknowledge(slot, message, carrier));
        if !matches!(sent, Some(Ok(()))) {
            self.accuse(String::from("a request cannot be answered"));
        }
    }

    /// Sends what the server's sessions have queued, and ends those that it has closed.
    pub(super) fn settle_server(&mut self) {
        for place in 0..self.links.len() {
            let number = self.links[place].number;
            self.drain(number);
            let link = &mut self.links[place];
            while !link.carrier.queue.is_empty() {
                link.write();
            }
            if link.connection.is_some() && link.carrier.is_closed {
                link.push_down(self.now, Down::End);
                self.server_lost(place, &CloseReason::ForcedClose);
            }
        }
    }

    fn take_pending(&mut self, link: u8, slot: Slot) -> Option<Pending> {
        let mut pending = self.pending.iter();
        let at = pending.position(|pending| (pending.link, pending.slot) == (link, slot))?;
        Some(self.pending.remove(at))
    }

    /// Deadlines of the server that have passed.
    pub(super) fn tick_server(&mut self, now: Time) {
        for place in 0..self.links.len() {
            let link = &mut self.links[place];
            link.set_now(now);
            if let Some(connection) = &mut link.connection {
                connection.handle_timeout(now, &mut link.carrier);
            }
            if link.heartbeat().is_some_and(|heartbeat| heartbeat <= now) {
                if link.cut_at.is_none() {
                    self.cut(place);
                }
                self.server_lost(place, &CloseReason::PingTimeout);
            }
        }
    }
}

/// An event of the server, with its offset if it is logged.
fn encode(namespace: &str, ack: Option<AckId>, number: u8, is_logged: bool) -> Option<Encoded> {
    let mut encoder = Encoder::new();
    if !is_logged {
        return encoder.event(&Parser::Json, namespace, ack, &NamedEvent::new("e", &number)).ok();
    }
    let args = encoder.args(&Parser::Json, &NamedEvent::new("e", &number)).ok()?;
    let offset = format!("o{number:03}");
    encoder.forward(&Parser::Json, namespace, ack, &args, Some(&offset)).ok()
}
