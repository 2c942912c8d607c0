//! Random moves of the server's application and of the clients.

use std::time::Duration;

use enginewire_socketio::{
    AckId, ConnectRequest, Event,
    adapter::Target,
    hub::{Output, SocketKey},
};

use super::{
    books::{Kind, Life},
    world::{NAMESPACES, Sabotage, SocketWorld},
};

/// Moves of the application that come later.
#[derive(Clone, Copy)]
pub(super) enum Late {
    /// It responds to a client that asks.
    Respond(SocketKey),
    /// It acknowledges an event of this number.
    Answer(SocketKey, AckId, u64),
}

/// Outputs for the application.
impl SocketWorld {
    pub(super) fn told(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Connect(key, request, _) => self.asked(key, &request),
            Output::Cancelled(key) => {
                let asks = self.asking.remove(&key) || self.cancelled.remove(&key);
                assert!(asks, "{key:?} is cancelled, and does not ask");
            }
            Output::Recovered(key, before) => {
                self.asking.remove(&key);
                self.books.recovered(key, before);
                let (Self { hub, books, .. }, id) = (&mut *self, key);
                assert_eq!(hub.id(key).map(|id| id.as_str()), books.id(id), "{key:?}");
                books.check_rooms(key, hub.rooms(key));
                self.say(format_args!("{key:?} recovers {before:?}"));
            }
            Output::Event(key, event) => self.got(key, &event),
            Output::Acknowledged(ask, result) => {
                if self.sabotage == Some(Sabotage::Unheard) {
                    return;
                }
                if let Ok(args) = &result {
                    assert!(args.decode::<u64>(0).is_ok(), "{ask:?} is answered by {args:?}");
                }
                self.books.acknowledged(now, ask, result.err());
            }
            Output::GroupAcknowledged(group, id, result) => {
                self.books.group_acknowledged(group, &id, result.err());
            }
            Output::GroupCompleted(group, _) => self.books.group_completed(group),
            Output::Disconnected(key, reason, rooms) => {
                self.say(format_args!("{key:?} is over: {reason}"));
                self.books.check_rooms(key, rooms.iter());
                self.books.disconnected(now, key, reason.is_recoverable());
            }
            Output::Forgotten(key) => self.books.forgotten(now, key),
            Output::Writable(_) => {}
            other => panic!("the application is told {other:?}"),
        }
    }

    fn asked(&mut self, key: SocketKey, request: &ConnectRequest) {
        assert!(NAMESPACES.contains(&&*request.namespace), "{request:?}");
        self.asking.insert(key);
        if self.random.chance(700) {
            self.respond(key);
        } else {
            self.later(Duration::from_secs(3), Late::Respond(key));
        }
    }

    fn respond(&mut self, key: SocketKey) {
        let now = self.now;
        // It may have been cancelled.
        if !self.asking.remove(&key) {
            return;
        }
        let claims = self.hub.auth(key).and_then(|auth| auth.as_json().map(String::from));
        if self.random.chance(self.manner.refusals) {
            if !self.hub.refuse(now, key, &"no".into()) {
                self.cancelled.insert(key);
            }
            return;
        }
        let Some(namespace) = self.hub.namespace(key) else { panic!("{key:?} is in no namespace") };
        let namespace = NAMESPACES.iter().position(|name| *name == namespace).unwrap_or_default();
        if !self.hub.accept(now, key) {
            self.cancelled.insert(key);
            return;
        }
        let id = self.hub.id(key).map(|id| id.to_string()).unwrap_or_default();
        if self.books.account(&id).is_some_and(|account| account.life != Life::Over) {
            // It is recovered, of which an output tells, behind the end of the socket before if that was there.
            return;
        }
        let pid = claims.as_deref().and_then(|claims| {
            claims.split_once(r#""pid":""#)?.1.split_once('"').map(|(pid, _)| pid)
        });
        if let Some(pid) = pid {
            self.books.check_new(now, pid);
        }
        self.books.open(namespace, key, &id);
        self.say(format_args!("{key:?} is {id}"));
        for _ in 0..self.random.below(4) {
            self.change_room(key, true);
        }
    }

    fn got(&mut self, key: SocketKey, event: &Event) {
        assert_eq!(event.name(), "c");
        let number: u64 = event.data().unwrap_or_else(|error| panic!("{error}"));
        let account = self.books.of(key);
        assert_eq!(account.taken, number, "events of {key:?}");
        account.taken += 1;
        let namespace = account.namespace;
        self.books.totals.taken += 1;
        if let Some(ack) = event.ack() {
            match self.random.below(10) {
                _ if self.sabotage == Some(Sabotage::Mute) => {}
                0..3 => self.later(Duration::from_secs(10), Late::Answer(key, ack, number)),
                _ => self.answer(key, ack, number),
            }
        }
        if self.random.chance(200)
            && let Some(id) = self.books.id(key)
        {
            let target = Target::all().except(id);
            let target = if self.random.chance(800) { target.to(self.room()) } else { target };
            self.broadcast(namespace, &target);
        }
    }

    /// Acknowledges an event. Without room it is tried again.
    fn answer(&mut self, key: SocketKey, ack: AckId, number: u64) {
        let is_full =
            self.hub.is_connected(key) && self.hub.acknowledge(key, ack, &number).is_err();
        if is_full && self.hub.is_connected(key) {
            self.later(Duration::from_secs(1), Late::Answer(key, ack, number));
        }
    }

    fn later(&mut self, within: Duration, late: Late) {
        let at = self.now + self.random.shorter(within);
        let turn = self.random.next();
        self.late.insert((at, turn), late);
    }
}

/// Moves that nothing asks for.
impl SocketWorld {
    pub(super) fn act_late(&mut self) {
        while let Some(entry) = self.late.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                Late::Respond(key) => self.respond(key),
                Late::Answer(key, ack, number) => self.answer(key, ack, number),
            }
            self.settle_server();
        }
    }

    pub(super) fn act_at_random(&mut self) {
        let now = self.now;
        let connected = self.books.connected();
        let Some(&key) = connected.get(self.random.size(connected.len()) - 1) else { return };
        let namespace = self.books.of(key).namespace;
        if self.random.chance(self.manner.kicks) {
            self.kick(key);
            return self.settle_server();
        }
        let number = self.books.next_number();
        let payload = (self.padding(), number);
        let name = NAMESPACES[namespace];
        match self.random.below(20) {
            0..6 => {
                let target = self.target(key);
                self.broadcast(namespace, &target);
            }
            6 => {
                let target = self.target(key);
                self.books.broadcast(namespace, &target, number, Kind::Optional);
                let sent = self.hub.broadcast_volatile(name, &target, "e", &payload);
                let Ok(delivered) = sent else { panic!("{sent:?}") };
                self.books.totals.dropped += delivered.skipped as u64;
                assert_eq!(delivered.disconnected, 0, "a volatile event disconnects");
            }
            7 => self.ask_many(namespace, key, number, &payload),
            8..11 => {
                if self.hub.emit(key, "e", &payload).is_ok() {
                    self.books.send(key, number, Kind::Reliable);
                }
            }
            11 => {
                if self.hub.emit_volatile(key, "e", &payload).is_ok() {
                    self.books.send(key, number, Kind::Optional);
                }
            }
            12..14 => {
                let timeout =
                    Duration::from_millis(1) + self.random.shorter(Duration::from_secs(9));
                if let Ok(ask) = self.hub.emit_with_ack(now, key, "e", &payload, timeout) {
                    self.books.asked(ask, now + timeout);
                    self.books.send(key, number, Kind::Acknowledged);
                }
            }
            14..16 => self.change_room(key, true),
            16..18 => self.change_room(key, false),
            _ => self.check_selection(namespace, key),
        }
        self.settle_server();
    }

    fn broadcast(&mut self, namespace: usize, target: &Target) {
        let number = self.books.next_number();
        let payload = (self.padding(), number);
        self.books.broadcast(namespace, target, number, Kind::Reliable);
        let sent = self.hub.broadcast(NAMESPACES[namespace], target, "e", &payload);
        let Ok(delivered) = sent else { panic!("{sent:?}") };
        self.books.totals.overflows += delivered.disconnected as u64;
        assert_eq!(delivered.skipped, 0, "a socket is passed by");
    }

    fn ask_many(&mut self, namespace: usize, key: SocketKey, number: u64, payload: &(String, u64)) {
        let (now, name) = (self.now, NAMESPACES[namespace]);
        let target = self.target(key);
        let keys = self.hub.sockets(name, &target);
        let ids =
            keys.iter().filter_map(|&key| self.hub.id(key)).map(|id| id.to_string()).collect();
        self.books.broadcast(namespace, &target, number, Kind::Acknowledged);
        let timeout = Duration::from_millis(1) + self.random.shorter(Duration::from_secs(9));
        let sent = self.hub.broadcast_with_ack(now, name, &target, "e", payload, timeout);
        let Ok(group) = sent else { panic!("{sent:?}") };
        self.books.asked_many(group, ids);
    }

    /// Disconnects a socket, or seldom all sockets of its client.
    fn kick(&mut self, key: SocketKey) {
        if self.random.chance(800) {
            self.books.kick(key);
            return self.hub.disconnect(key);
        }
        let sid = self.hub.session(key).map(|session| session.sid());
        for other in self.books.connected() {
            if self.hub.session(other).map(|session| session.sid()) == sid {
                self.books.kick(other);
            }
        }
        self.hub.disconnect_client(self.now, key);
    }

    fn change_room(&mut self, key: SocketKey, joins: bool) {
        let room = self.room();
        let changes = match joins {
            true => self.hub.join(key, &room),
            false => self.hub.leave(key, &room),
        };
        if self.sabotage == Some(Sabotage::Stray) && joins {
            return;
        }
        let expected = self.books.change_room(key, &room, joins);
        assert_eq!(changes, expected, "{key:?} joins or leaves {room}");
    }

    fn check_selection(&mut self, namespace: usize, key: SocketKey) {
        let target = self.target(key);
        let selected = self.hub.sockets(NAMESPACES[namespace], &target);
        let all = selected.len();
        let selected: std::collections::BTreeSet<_> = selected.into_iter().collect();
        assert_eq!(selected.len(), all, "a socket is selected twice");
        assert_eq!(selected, self.books.select(namespace, &target), "{target:?}");
        let id = self.books.id(key).unwrap_or_default();
        assert_eq!(self.hub.find(NAMESPACES[namespace], id), Some(key));
    }

    /// Clients say something.
    pub(super) fn talk_at_random(&mut self) {
        let owner = self.random.size(self.persons.len()) as u64;
        let now = self.now;
        let Some(person) = self.persons.get_mut(&owner) else { return };
        let namespace = person.random.size(NAMESPACES.len()) - 1;
        match person.random.below(100) {
            0..40 => person.emit(namespace, false),
            40..60 => person.emit(namespace, true),
            60..94 => {}
            94 => person.leave(namespace),
            95..98 => return self.set_paused(owner, true),
            98 => return self.set_paused(owner, false),
            _ => {
                if let Some(hub) = person.hub.as_mut().filter(|hub| hub.session().is_open()) {
                    hub.close(now);
                }
            }
        }
        self.go_on(owner);
    }

    /// A client does what it always does: it acknowledges, and connects where it wants to be.
    pub(super) fn go_on(&mut self, owner: u64) {
        let Some(person) = self.persons.get_mut(&owner) else { return };
        (0..NAMESPACES.len()).for_each(|namespace| person.reply(namespace));
        if person.is_open {
            person.connect();
        }
        self.settle_client(owner);
    }

    /// A client takes nothing that comes, or goes on.
    pub(super) fn set_paused(&mut self, owner: u64, is_paused: bool) {
        if let Some(person) = self.persons.get_mut(&owner) {
            person.is_paused = is_paused;
        }
        self.settle_client(owner);
    }

    fn room(&mut self) -> String {
        format!("room {}", self.random.below(ROOMS))
    }

    fn target(&mut self, key: SocketKey) -> Target {
        let mut target = Target::all();
        for _ in 0..self.random.below(3) {
            target = target.to(self.room());
        }
        for _ in 0..self.random.below(2) {
            target = target.except(self.room());
        }
        match (self.random.below(10), self.books.id(key)) {
            (0, Some(id)) => target.to(id),
            (1..4, Some(id)) => target.except(id),
            _ => target,
        }
    }

    fn padding(&mut self) -> String {
        let size = if self.random.chance(50) { 2000 } else { 60 };
        "x".repeat(self.random.size(size))
    }

    pub(super) fn say(&mut self, line: std::fmt::Arguments<'_>) {
        self.log.say(self.now, line.to_string());
    }
}

/// Rooms of each namespace.
const ROOMS: u64 = 12;
