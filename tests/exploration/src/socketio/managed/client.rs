//! The client: its application, and the loop around its manager.

use enginewire::{CloseReason, Encoded, TransportFault};
use enginewire_socketio::{
    AckError, AckId, Auth, DisconnectReason, ManagerEvent, Slot, TryEmitError, Update,
    parser::{Encoder, NamedEvent, Parser},
};

use super::{
    scenario::Sabotage,
    world::{ACK_TIMEOUT, NAMES, World},
};
use crate::socketio::link::{Down, Up};

/// The client in one namespace.
#[derive(Clone, Default, Hash)]
pub(super) struct Part {
    pub(super) slot: Option<Slot>,
    /// The account of the socket on the server, while it is connected, and the last that there was.
    pub(super) account: Option<usize>,
    last: Option<usize>,
    /// Events of the server that were not acknowledged, with their connections.
    pub(super) owes: Vec<(u32, AckId, u8)>,
    /// The number of the last event that was sent.
    sent: Option<u8>,
    /// The link and the number of the last that has arrived, and of the last with retries.
    arrived: Option<(u8, u8)>,
    retried: Option<(u8, u8)>,
}

/// An event of the client.
#[derive(Clone, Copy, Hash)]
pub(super) struct Sent {
    pub(super) kind: Kind,
    pub(super) slot: Slot,
    pub(super) space: usize,
    /// It has left.
    pub(super) has_left: bool,
    /// Something has happened by which it may be lost.
    pub(super) may_be_lost: bool,
    /// The application was told that it is not sent.
    pub(super) is_dropped: bool,
    pub(super) arrivals: u8,
    /// The application was told what has become of it.
    pub(super) is_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Plain,
    Asks,
    Retries,
}

/// The application.
impl World {
    pub(super) fn connect(&mut self, space: usize) {
        if self.parts[space].slot.is_none() {
            let slot = self.manager.0.open(NAMES[space], Auth::None);
            self.parts[space].slot = slot;
        }
        let Some(slot) = self.parts[space].slot else {
            return self.accuse(format!("no socket of {} can be made", NAMES[space]));
        };
        self.manager.0.connect(self.now, slot, &mut self.session);
    }

    /// Disconnects a socket, or lets go of it.
    pub(super) fn leave(&mut self, space: usize, is_released: bool) {
        let Some(slot) = self.parts[space].slot else { return };
        let expected = self.drop_events(slot);
        let unsent = match is_released {
            true => self.manager.0.release(self.now, slot, &mut self.session),
            false => self.manager.0.disconnect(self.now, slot, &mut self.session),
        };
        if unsent != expected {
            self.accuse(format!("{unsent} events are told to be unsent instead of {expected}"));
        }
        if self.manager.0.is_active(slot) {
            self.accuse(String::from("a socket goes on that was disconnected"));
        }
        self.drain_manager();
        if let Some(event) =
            self.events.iter().position(|event| event.slot == slot && event.waits())
        {
            self.accuse(format!("event {event} is waited for, and its socket was disconnected"));
        }
        if is_released {
            self.parts[space] = Part::default();
        }
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
        for space in 0..NAMES.len() {
            let slot = self.parts[space].slot;
            self.unsent += slot.map_or(0, |slot| self.drop_events(slot));
        }
        self.manager.0.close(self.now, &mut self.session);
    }

    /// A socket is about to be disconnected. Returns how many events do not leave.
    fn drop_events(&mut self, slot: Slot) -> usize {
        let is_connected = self.manager.0.is_connected(slot);
        let mut dropped = 0;
        for event in self.events.iter_mut().filter(|event| event.slot == slot) {
            // What was queued on a connection leaves first.
            let is_queued = is_connected && event.kind != Kind::Retries;
            if !event.has_left && !event.is_dropped && !is_queued && !event.has_expired() {
                event.is_dropped = true;
                dropped += 1;
            }
        }
        dropped
    }

    pub(super) fn emit(&mut self, space: usize, kind: Kind) {
        let Some(slot) = self.parts[space].slot else { return };
        let (now, number) = (self.now, u8::try_from(self.events.len()).unwrap_or(u8::MAX));
        let ack = (kind != Kind::Plain).then(|| self.manager.0.next_ack(slot));
        let Some(event) = encode(NAMES[space], ack, number) else {
            return self.accuse(String::from("an event cannot be encoded"));
        };
        let (manager, session) = (&mut self.manager.0, &mut self.session);
        let result = match (kind, ack) {
            (Kind::Asks, Some(ack)) => {
                let deadline = now + ACK_TIMEOUT;
                manager.emit_with_ack(slot, event, ack, deadline, number, session)
            }
            (Kind::Retries, Some(ack)) => {
                manager.emit_with_retries(now, slot, event, ack, 1, ACK_TIMEOUT, number, session)
            }
            _ => manager.emit(slot, event, session),
        };
        match result {
            Ok(()) => self.events.push(Sent {
                kind,
                slot,
                space,
                has_left: false,
                may_be_lost: false,
                is_dropped: false,
                arrivals: 0,
                is_ended: false,
            }),
            Err(TryEmitError { reason, .. }) => {
                if self.scenario.room.is_none() {
                    self.accuse(format!("an event is refused: {reason}"));
                }
            }
        }
    }

    pub(super) fn reply(&mut self, space: usize) {
        let part = &mut self.parts[space];
        let (connection, ack, number) = part.owes.remove(0);
        let Some(slot) = part.slot else { return };
        let Ok(message) = Encoder::new().ack(&Parser::Json, NAMES[space], ack, &number, Vec::new())
        else {
            return self.accuse(String::from("an acknowledgement cannot be encoded"));
        };
        // If it fails, the server waits no longer, or there is no room.
        drop(self.manager.0.acknowledge(slot, connection, message, &mut self.session));
    }
}

/// The loop.
impl World {
    /// The session that was asked for cannot be opened.
    pub(super) fn fail(&mut self) {
        self.ended(&CloseReason::TransportError(TransportFault::Unreachable));
    }

    /// The session of the client is over.
    pub(super) fn ended(&mut self, reason: &CloseReason) {
        let Some(carrier) = self.session.take() else { return };
        let mut undelivered = 0;
        for (_, message) in &carrier.queue {
            undelivered += 1;
            if let Some(number) = number_of(message) {
                self.note_left(number);
                self.events[usize::from(number)].may_be_lost = true;
            }
        }
        if let Some(link) = self.links.iter_mut().find(|link| !link.left_by_client) {
            link.left_by_client = true;
            link.to_client.clear();
        }
        self.is_opening = false;
        if self.is_closed {
            self.unsent += undelivered;
        }
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0x80);
        self.manager.0.handle_closed(self.now, reason, undelivered, &mut entropy);
    }

    pub(super) fn arrive_at_client(&mut self, place: usize) {
        let overtakes = self.sabotage(Sabotage::Overtaking);
        let link = &mut self.links[place];
        let messages = link.to_client.iter().take(2);
        let both = messages.filter(|(_, item)| matches!(item, Down::Message(_))).count() == 2;
        match link.to_client.remove(usize::from(overtakes && both)).map(|(_, item)| item) {
            Some(Down::Message(message)) => {
                if let Some(carrier) = &mut self.session {
                    carrier.unread += message.cost();
                }
                self.manager.0.handle_message(self.now, message, &mut self.session);
            }
            Some(Down::End) => self.ended(&CloseReason::TransportClose),
            Some(Down::Lost) => {
                self.ended(&CloseReason::TransportError(TransportFault::ConnectionLost));
            }
            None => {}
        }
    }

    /// The client's session sends what has waited longest.
    pub(super) fn write(&mut self) {
        let Some(carrier) = &mut self.session else { return };
        let Some((_, message)) = carrier.queue.pop_front() else { return };
        let is_full = std::mem::take(&mut carrier.is_full);
        let number = number_of(&message);
        if let Some(number) = number {
            self.note_left(number);
        }
        let text = message.part(0).and_then(|part| part.message().as_text());
        let text = text.unwrap_or_default().to_owned();
        let is_lost = self.sabotage(Sabotage::Lossy);
        match self.links.iter_mut().find(|link| !link.left_by_client) {
            Some(link) if link.cut_at.is_none() && link.connection.is_some() => {
                if !(is_lost && number.is_some()) {
                    link.push_up(text);
                }
            }
            _ => {
                if let Some(number) = number {
                    self.events[usize::from(number)].may_be_lost = true;
                }
            }
        }
        if is_full {
            self.manager.0.handle_writable(self.now, &mut self.session);
        }
    }

    /// An event leaves the manager.
    fn note_left(&mut self, number: u8) {
        let event = &mut self.events[usize::from(number)];
        let is_again = std::mem::replace(&mut event.has_left, true);
        let (kind, is_dropped, part) = (event.kind, event.is_dropped, &mut self.parts[event.space]);
        if kind == Kind::Retries {
            return;
        }
        if is_again {
            return self.accuse(format!("event {number} is sent twice"));
        }
        let last = part.sent.replace(number);
        if last.is_some_and(|last| last > number) {
            self.accuse(format!("event {number} is sent behind {last:?}"));
        }
        if is_dropped {
            self.accuse(format!("event {number} is sent, and was told not to be"));
        }
    }

    /// Events of the client that are on their way there may not arrive.
    pub(super) fn note_lost(&mut self, place: usize) {
        for item in &self.links[place].to_server {
            if let Up::Message(message) = item
                && let Some(number) = message.as_text().and_then(number_in)
            {
                self.events[usize::from(number)].may_be_lost = true;
            }
        }
    }

    /// An event of the client arrives, on the server's side of a namespace.
    pub(super) fn arrives(&mut self, link: u8, number: u8, space: usize) {
        let Some(event) = self.events.get_mut(usize::from(number)) else {
            return self.accuse(format!("the server gets event {number}, which nobody has sent"));
        };
        event.arrivals += 1;
        let (kind, arrivals, of) = (event.kind, event.arrivals, event.space);
        if of != space {
            return self.accuse(format!("event {number} arrives in another namespace"));
        }
        let part = &mut self.parts[space];
        let last = if kind == Kind::Retries { &mut part.retried } else { &mut part.arrived };
        let before = last.replace((link, number));
        // What a session carries that the client has closed may come behind the next.
        let is_late = before.is_some_and(|(on, last)| on == link && last > number);
        if is_late || (kind != Kind::Retries && arrivals > 1) {
            self.accuse(format!("event {number} arrives twice, or behind a later one"));
        }
        if kind == Kind::Retries && arrivals > 2 {
            self.accuse(format!("event {number} is sent more often than it may"));
        }
    }

    /// Takes all that the manager has to tell.
    pub(super) fn drain_manager(&mut self) {
        loop {
            for space in 0..NAMES.len() {
                while let Some(slot) = self.parts[space].slot
                    && let Some(update) = self.manager.0.take_update(slot, &mut self.session)
                {
                    self.told(space, update);
                }
            }
            let Some(event) = self.manager.0.poll_event() else { return };
            if self.told_closed {
                self.accuse(format!("the application is told {event:?} behind the end"));
            }
            match event {
                ManagerEvent::Acknowledged(..) if self.sabotage(Sabotage::Deaf) => {}
                ManagerEvent::Acknowledged(slot, number, result) => {
                    let json = result.map(|args| args.payload().as_json().map(String::from));
                    self.acknowledged(slot, number, json);
                }
                ManagerEvent::Closed { unsent } => {
                    if unsent != self.unsent {
                        let expected = self.unsent;
                        self.accuse(format!("{unsent} are told to be unsent, not {expected}"));
                    }
                    self.told_closed = true;
                }
                _ => {}
            }
        }
    }

    fn acknowledged(&mut self, slot: Slot, number: u8, result: Result<Option<String>, AckError>) {
        let is_connected = self.manager.0.is_connected(slot);
        let is_active = self.manager.0.is_active(slot);
        let Some(event) = self.events.get_mut(usize::from(number)) else { return };
        let is_again = std::mem::replace(&mut event.is_ended, true);
        let event = *event;
        if is_again || event.slot != slot {
            return self.accuse(format!("event {number} ends twice: {result:?}"));
        }
        let is_explained = match result {
            Ok(json) => is_connected && event.arrivals > 0 && json == Some(format!("[{number}]")),
            Err(AckError::NotSent) => !event.has_left && event.is_dropped,
            Err(AckError::Timeout) => {
                // One that has not left does not leave any more.
                self.events[usize::from(number)].is_dropped |= !event.has_left;
                true
            }
            Err(AckError::Disconnected(_)) => {
                !is_connected && (event.has_left || !is_active || is_queued(&event))
            }
            Err(_) => false,
        };
        if !is_explained {
            self.accuse(format!("event {number} ends without a reason"));
        }
    }

    fn told(&mut self, space: usize, update: Update) {
        let name = NAMES[space];
        match update {
            Update::Connected { id, recovered } => {
                let Some(account) = self.books.find(&id) else {
                    return self.accuse(format!("{name} is connected as nobody"));
                };
                let part = &mut self.parts[space];
                let is_last = part.last.replace(account) == Some(account);
                if part.account.replace(account).is_some() {
                    self.accuse(format!("{name} is connected twice"));
                }
                if recovered != is_last {
                    self.accuse(format!("{name} is told that it is recovered: {recovered}"));
                }
                self.books.recovered += u8::from(recovered);
            }
            Update::Event { event, connection } => {
                let part = &mut self.parts[space];
                let number = event.data::<u8>().unwrap_or(u8::MAX);
                part.owes.extend(event.ack().map(|ack| (connection, ack, number)));
                // Those that were missed come before the response.
                let Some(account) = part.account.or(part.last) else {
                    return self.accuse(format!("event {number} comes for no socket of {name}"));
                };
                if let Err(broken) = self.books.sockets[account].receive(number) {
                    self.accuse(broken);
                }
            }
            Update::Disconnected { reason, .. } => {
                let part = &mut self.parts[space];
                let Some(account) = part.account.take() else {
                    return self.accuse(format!("{name} is disconnected, and was not connected"));
                };
                if matches!(reason, DisconnectReason::ClientLeft | DisconnectReason::ServerLeft) {
                    part.last = None;
                }
                let account = &self.books.sockets[account];
                if reason == DisconnectReason::ServerLeft {
                    if !account.was_kicked() {
                        self.accuse(format!("{name} is disconnected by nobody"));
                    } else if let Some(number) = account.missing_before_kick() {
                        self.accuse(format!("{name} is disconnected without event {number}"));
                    }
                }
            }
            _ => {
                if self.parts[space].account.is_some() {
                    self.accuse(format!("{name} is connected, and told {update:?}"));
                }
            }
        }
    }
}

impl Sent {
    /// Whether the application waits to be told what has become of it.
    pub(super) fn waits(&self) -> bool {
        self.kind != Kind::Plain && !self.is_ended
    }

    /// Whether its time is over.
    const fn has_expired(&self) -> bool {
        self.is_ended && !self.has_left
    }
}

/// Whether an event waits in the manager, in front of the packet that tells the server that its socket leaves.
fn is_queued(event: &Sent) -> bool {
    event.kind == Kind::Asks
}

fn encode(namespace: &str, ack: Option<AckId>, number: u8) -> Option<Encoded> {
    Encoder::new().event(&Parser::Json, namespace, ack, &NamedEvent::new("c", &number)).ok()
}

/// The number of an event of the client. `None` of another packet.
fn number_of(message: &Encoded) -> Option<u8> {
    message.part(0).and_then(|part| part.message().as_text()).and_then(number_in)
}

pub(super) fn number_in(text: &str) -> Option<u8> {
    text.strip_prefix('2')?.rsplit_once(',')?.1.strip_suffix(']')?.parse().ok()
}
