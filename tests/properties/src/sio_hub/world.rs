//! The loop around the hub, its application, its clients, and what must have come of what each of them says.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use enginewire::{Time, hub::ConnectionId};
use enginewire_socketio::{
    AckError, AckId, EmitError, Event, Room,
    adapter::Target,
    hub::{AskId, Delivered, GroupId, Hub, HubConfig, Output, Overflow, SocketKey},
};
use serde_json::{Value, json};

use super::wire::{Client, Connected, Packet, upgrade};
use crate::{
    Reached,
    websocket::frames::{BINARY, FIN, TEXT, frame},
};

pub(super) struct World {
    hub: Hub,
    now: Time,
    /// Also links whose connection is gone.
    links: Vec<Link>,
    /// In the order in which they asked, or came back.
    sockets: Vec<Socket>,
    asks: BTreeMap<AskId, Asked>,
    groups: BTreeMap<GroupId, Group>,
    /// The last number of an event.
    serial: u64,
    reached: Reached,
    digest: DefaultHasher,
    /// Time that a client has to come back.
    window: Option<Duration>,
    /// Whether a client that comes back in time is connected without being asked for.
    recovers: bool,
    overflow: Overflow,
    /// The application accepts all.
    accepts: bool,
    /// Outputs are taken late.
    is_late: bool,
}

/// A connection, and the client behind it.
struct Link {
    on: ConnectionId,
    client: Client,
    /// Bytes that were sent and not read, and the event in them.
    unread: VecDeque<(Vec<u8>, Option<Said>)>,
    /// Bytes that the client takes, if there is a limit.
    room: Option<usize>,
    has_ended: bool,
    is_gone: bool,
    /// The client has opened another, and reads nothing more from this one.
    is_deserted: bool,
    /// It has said what the script wanted, which may have been anything.
    is_wild: bool,
    revision: u8,
    /// The socket for which it has come back.
    claim: Option<usize>,
}

/// An event of a client.
#[derive(Clone, Copy)]
struct Said {
    socket: usize,
    serial: u64,
}

/// One client in one namespace.
struct Socket {
    key: SocketKey,
    link: usize,
    namespace: String,
    state: State,
    id: Option<String>,
    rooms: BTreeSet<Room>,
    /// The client knows that it is connected.
    is_told: bool,
    /// Packets that the client is to get.
    out: VecDeque<Entry>,
    /// Events that the application is to get, and whether it must.
    incoming: VecDeque<(u64, bool)>,
    /// Events that the application is to acknowledge.
    unanswered: VecDeque<(AckId, u64)>,
    last: Option<(Event, u64)>,
    last_ask: Option<AskId>,
    /// Secret to come back with, and the last offset, as the client knows them.
    pid: Option<String>,
    offset: Option<String>,
    return_of: Option<usize>,
    /// The socket that has its place.
    successor: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Asking,
    Connected,
    /// Its client may come back since then.
    Kept(Time),
    Ended,
}

/// A packet that a client is to get.
#[derive(Clone, Copy, Debug)]
struct Entry {
    what: Out,
    /// It is in the log of the namespace.
    is_logged: bool,
    /// It must come as long as the socket lives.
    is_sure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    Event(u64),
    Ask(u64),
    Ack(u64, u64),
}

struct Asked {
    socket: usize,
    serial: u64,
    deadline: Time,
}

struct Group {
    serial: u64,
    pending: BTreeSet<String>,
    deadline: Time,
}

/// Response that an event asks for.
#[derive(Clone, Copy)]
pub(super) enum Ask {
    Nothing,
    Volatile,
    Within(Duration),
}

impl Ask {
    pub(super) const fn within(millis: u8) -> Self {
        Self::Within(if millis == 255 {
            Duration::MAX
        } else {
            Duration::from_millis(millis as u64)
        })
    }
}

impl World {
    pub(super) fn new(config: HubConfig, letters: &[u8]) -> Self {
        let counting = |first: u8| {
            let mut drawn = 0u32;
            move |buffer: &mut [u8]| {
                drawn += 1;
                buffer.fill(first);
                buffer[..4].copy_from_slice(&drawn.to_be_bytes());
            }
        };
        let (has, recovery) = (|letter| letters.contains(&letter), config.recovery.as_ref());
        Self {
            window: recovery.map(|recovery| recovery.window),
            recovers: recovery.is_some_and(|recovery| recovery.skip_authorize)
                && !has(b'M')
                && !has(b'N')
                && !has(b'u'),
            overflow: config.overflow,
            hub: Hub::new(config, counting(1), counting(2)),
            now: Time::from_millis(1),
            links: Vec::new(),
            sockets: Vec::new(),
            asks: BTreeMap::new(),
            groups: BTreeMap::new(),
            serial: 0,
            reached: Reached::default(),
            digest: DefaultHasher::new(),
            accepts: has(b'A'),
            is_late: has(b'u'),
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn link(&self, n: usize) -> Option<usize> {
        n.checked_rem(self.links.len())
    }

    fn socket(&self, n: usize) -> Option<usize> {
        n.checked_rem(self.sockets.len())
    }
}

/// Moves of clients.
impl World {
    pub(super) fn open(&mut self, revision: u8) {
        self.open_link(revision);
        self.settle();
    }

    fn open_link(&mut self, revision: u8) -> Option<usize> {
        if self.links.iter().filter(|link| !link.is_gone).count() >= MAX_LINKS {
            return None;
        }
        let (on, link) = (self.hub.handle_accepted(self.now), self.links.len());
        let mut client = Client::default();
        if revision == 3 {
            client.ask("/");
        }
        self.links.push(Link {
            on,
            client,
            unread: VecDeque::new(),
            room: None,
            has_ended: false,
            is_gone: false,
            is_deserted: false,
            is_wild: false,
            revision,
            claim: None,
        });
        // By which it is known to whom a socket belongs.
        self.sends(link, upgrade(revision, link), None);
        Some(link)
    }

    pub(super) fn connect(&mut self, n: usize, namespace: usize) {
        let (Some(link), namespace) = (self.link(n), NAMESPACES[namespace % NAMESPACES.len()])
        else {
            return;
        };
        let Link { client, .. } = &mut self.links[link];
        let is_known = client.namespaces.contains_key(namespace);
        if is_known || client.asking.get(namespace).is_some_and(|&asking| asking > 0) {
            return;
        }
        client.ask(namespace);
        self.says(link, "0", namespace, "", None);
    }

    pub(super) fn leave_namespace(&mut self, n: usize, namespace: usize) {
        let Some(link) = self.link(n) else { return };
        let Link { client, .. } = &mut self.links[link];
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        if client.namespaces.remove(namespace).is_some() {
            client.left.push(namespace.into());
            client.owed.retain(|(of, ..)| of != namespace);
            self.says(link, "1", namespace, "", None);
        }
    }

    pub(super) fn say(&mut self, n: usize, namespace: usize, wants_ack: bool) {
        let Some(link) = self.link(n) else { return };
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        let Some(connected) = self.links[link].client.namespaces.get(namespace) else { return };
        let socket = connected.socket;
        let serial = self.next_serial();
        let number = if wants_ack { serial.to_string() } else { String::new() };
        let payload = format!("{number}{}", json!(["n", serial]));
        self.says(link, "2", namespace, &payload, Some(Said { socket, serial }));
    }

    pub(super) fn answer(&mut self, n: usize) {
        let Some(link) = self.link(n) else { return };
        if let Some((namespace, number, serial)) = self.links[link].client.owed.pop_front() {
            self.says(link, "3", &namespace, &format!("{number}[{serial}]"), None);
        }
    }

    pub(super) fn raw(&mut self, n: usize, is_binary: bool, bytes: &[u8]) {
        let Some(link) = self.link(n) else { return };
        self.links[link].is_wild = true;
        let sent = match is_binary {
            true => frame(FIN | BINARY, bytes, MASK),
            false => {
                frame(FIN | TEXT, format!("4{}", String::from_utf8_lossy(bytes)).as_bytes(), MASK)
            }
        };
        self.sends(link, sent, None);
        self.settle();
    }

    /// The client of a socket comes back on a new connection. It may not know that it is cut off.
    pub(super) fn come_back(&mut self, n: usize) {
        let Some(claim) = self.socket(n).map(|socket| self.heir(socket)) else { return };
        let Socket { pid, offset, namespace, .. } = &self.sockets[claim];
        let Some(pid) = pid.clone() else { return };
        let mut payload = json!({ "pid": pid });
        if let Some(offset) = offset {
            payload["offset"] = json!(offset);
        }
        let namespace = namespace.clone();
        let before = self.sockets[claim].link;
        let Some(link) = self.open_link(4) else { return };
        for n in 0..link {
            let has_tried = self.links[n].claim.is_some_and(|other| self.heir(other) == claim);
            self.links[n].is_deserted |= n == before || has_tried;
        }
        self.links[link].claim = Some(claim);
        self.links[link].client.ask(&namespace);
        self.says(link, "0", &namespace, &payload.to_string(), None);
    }

    /// The socket that has the place of another.
    fn heir(&self, mut socket: usize) -> usize {
        while let Some(successor) = self.sockets[socket].successor {
            socket = successor;
        }
        socket
    }

    fn says(&mut self, link: usize, kind: &str, namespace: &str, rest: &str, said: Option<Said>) {
        let namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
        let packet = format!("4{kind}{namespace}{rest}");
        self.sends(link, frame(FIN | TEXT, packet.as_bytes(), MASK), said);
        self.settle();
    }

    fn sends(&mut self, link: usize, bytes: Vec<u8>, said: Option<Said>) {
        let Link { has_ended: false, is_gone: false, unread, .. } = &mut self.links[link] else {
            return;
        };
        unread.push_back((bytes, said));
        self.read(link);
    }

    /// Reads what has come, as long as the hub wants that.
    fn read(&mut self, link: usize) {
        let on = self.links[link].on;
        while !self.links[link].is_gone && self.hub.is_reading(on) {
            let Link { unread, is_wild, .. } = &mut self.links[link];
            let Some((mut bytes, said)) = unread.pop_front() else { return };
            if let Some(Said { socket, serial }) = said
                && self.hub.is_connected(self.sockets[socket].key)
            {
                let is_sure = !*is_wild && !self.is_late;
                self.sockets[socket].incoming.push_back((serial, is_sure));
            }
            self.hub.handle_bytes(self.now, on, &mut bytes);
        }
    }

    pub(super) fn eof(&mut self, n: usize) {
        let Some(link) = self.link(n) else { return };
        let Link { on, has_ended, is_gone, unread, .. } = &mut self.links[link];
        if !*is_gone && unread.is_empty() && !std::mem::replace(has_ended, true) {
            self.hub.handle_eof(self.now, *on);
            self.settle();
        }
    }

    pub(super) fn lose(&mut self, n: usize) {
        if let Some(link) = self.link(n) {
            self.lose_link(link);
            self.settle();
        }
    }

    fn lose_link(&mut self, link: usize) {
        let Link { on, is_gone, unread, .. } = &mut self.links[link];
        if !std::mem::replace(is_gone, true) {
            unread.clear();
            self.hub.handle_lost(self.now, *on);
        }
    }

    pub(super) fn let_out(&mut self, n: usize, room: Option<usize>) {
        let Some(link) = self.link(n) else { return };
        let Link { on, is_gone, room: current, .. } = &mut self.links[link];
        *current = room;
        if !*is_gone {
            self.hub.handle_writable(self.now, *on);
            self.settle();
        }
    }
}

/// Moves of the application. It knows all that has happened.
impl World {
    pub(super) fn decide(&mut self, n: usize, accepts: bool) {
        self.drain();
        let asking = |(_, socket): &(usize, &Socket)| socket.state == State::Asking;
        let asking: Vec<_> = self.sockets.iter().enumerate().filter(asking).collect();
        let Some(at) = n.checked_rem(asking.len()) else { return };
        let (socket, key) = (asking[at].0, asking[at].1.key);
        if accepts {
            assert!(self.accept(socket), "it waits");
        } else {
            assert!(self.hub.refuse(self.now, key, &"no".into()), "it waits");
            self.sockets[socket].state = State::Ended;
        }
        self.drain();
    }

    /// Returns false if the client no longer waits, of which the hub tells next.
    fn accept(&mut self, socket: usize) -> bool {
        let Socket { key, state, id, .. } = &mut self.sockets[socket];
        if !self.hub.accept(self.now, *key) {
            return false;
        }
        *state = State::Connected;
        *id = self.hub.id(*key).map(|id| id.as_str().to_owned());
        assert!(id.is_some());
        true
    }

    pub(super) fn change_room(&mut self, n: usize, room: usize, joins: bool) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let Socket { key, rooms, state, .. } = &mut self.sockets[socket];
        let room = ROOMS[room % ROOMS.len()];
        let is_connected = *state == State::Connected;
        let (has_changed, expected) = match joins {
            true => (self.hub.join(*key, room), is_connected && rooms.insert(room.into())),
            false => (self.hub.leave(*key, room), is_connected && rooms.remove(room)),
        };
        assert_eq!(has_changed, expected, "{room}");
    }

    pub(super) fn emit(&mut self, n: usize, ask: Ask) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let serial = self.next_serial();
        let (key, now) = (self.sockets[socket].key, self.now);
        let (sent, what) = match ask {
            Ask::Nothing => (self.hub.emit(key, "n", &serial), Out::Event(serial)),
            Ask::Volatile => (self.hub.emit_volatile(key, "n", &serial), Out::Event(serial)),
            Ask::Within(timeout) => {
                let asked = self.hub.emit_with_ack(now, key, "q", &serial, timeout);
                let asked = asked.map(|ask| {
                    let asked = Asked { socket, serial, deadline: now + timeout };
                    assert!(self.asks.insert(ask, asked).is_none(), "{ask:?} is used twice");
                    self.sockets[socket].last_ask = Some(ask);
                });
                (asked, Out::Ask(serial))
            }
        };
        self.queued(socket, what, &sent, matches!(ask, Ask::Nothing));
        self.settle();
    }

    /// Notes what a client is to get, if the hub has taken it.
    fn queued(&mut self, socket: usize, what: Out, sent: &Result<(), EmitError>, is_logged: bool) {
        let is_connected = self.sockets[socket].state == State::Connected;
        assert_eq!(matches!(sent, Err(EmitError::Disconnected)), !is_connected, "{sent:?}");
        if sent.is_ok() {
            self.sockets[socket].out.push_back(Entry { what, is_logged, is_sure: true });
        }
    }

    pub(super) fn forget(&mut self, n: usize) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        if let Some(ask) = self.sockets[socket].last_ask {
            let is_asked = self.asks.remove(&ask).is_some();
            assert_eq!(self.hub.forget(ask), is_asked, "{ask:?}");
        }
    }

    pub(super) fn acknowledge(&mut self, n: usize) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let Socket { key, unanswered, .. } = &mut self.sockets[socket];
        let Some((number, serial)) = unanswered.pop_front() else { return };
        let sent = self.hub.acknowledge(*key, number, &serial);
        self.queued(socket, Out::Ack(serial, serial), &sent, false);
        self.settle();
    }

    pub(super) fn broadcast(&mut self, namespace: usize, room: usize, except: usize, ask: Ask) {
        self.drain();
        let mut target = Target::all();
        target.rooms.extend(ROOMS.get(room).map(|&room| room.into()));
        target.except.extend(ROOMS.get(except).map(|&room| room.into()));
        let (serial, namespace) = (self.next_serial(), NAMESPACES[namespace % NAMESPACES.len()]);
        match ask {
            Ask::Nothing => self.publish(namespace, &target, serial, true, |hub, target| {
                hub.broadcast(namespace, target, "n", &serial).unwrap()
            }),
            Ask::Volatile => self.publish(namespace, &target, serial, false, |hub, target| {
                hub.broadcast_volatile(namespace, target, "n", &serial).unwrap()
            }),
            Ask::Within(timeout) => {
                let selected = self.selected(namespace, &target);
                let now = self.now;
                let asked =
                    self.hub.broadcast_with_ack(now, namespace, &target, "q", &serial, timeout);
                let id = |&socket: &usize| self.sockets[socket].id.clone().unwrap();
                let pending = selected.iter().map(id).collect();
                let group = Group { serial, pending, deadline: now + timeout };
                assert!(self.groups.insert(asked.unwrap(), group).is_none(), "it is used twice");
                let entry = Entry { what: Out::Ask(serial), is_logged: false, is_sure: false };
                selected.iter().for_each(|&socket| self.sockets[socket].out.push_back(entry));
            }
        }
        self.settle();
    }

    pub(super) fn forward(&mut self, n: usize, namespace: usize) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        // Once, so that a number that comes says which of the events it is.
        let Some((event, serial)) = self.sockets[socket].last.take() else { return };
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        self.publish(namespace, &Target::all(), serial, true, |hub, target| {
            hub.forward_to(namespace, target, &event).unwrap()
        });
        self.settle();
    }

    fn publish(
        &mut self,
        namespace: &str,
        target: &Target,
        serial: u64,
        is_reliable: bool,
        send: impl FnOnce(&mut Hub, &Target) -> Delivered,
    ) {
        let selected = self.selected(namespace, target);
        let Delivered { sockets, skipped, disconnected, .. } = send(&mut self.hub, target);
        assert_eq!(sockets + skipped + disconnected, selected.len());
        assert!(disconnected == 0 || is_reliable && self.overflow == Overflow::Disconnect);
        assert!(skipped == 0 || !is_reliable || self.overflow == Overflow::Skip);
        let is_logged = is_reliable && self.window.is_some();
        let is_sure = sockets == selected.len();
        let entry = Entry { what: Out::Event(serial), is_logged, is_sure };
        for socket in selected {
            self.sockets[socket].out.push_back(entry);
        }
        if is_logged {
            // Those who are away miss it, and get it when they come back.
            let is_away = |socket: &&mut Socket| {
                matches!(socket.state, State::Kept(_)) && socket.is_in(namespace, target)
            };
            for socket in self.sockets.iter_mut().filter(is_away) {
                socket.out.push_back(Entry { is_sure: true, ..entry });
            }
        }
    }

    /// The members that a target selects, as the hub says and as the rooms say.
    fn selected(&mut self, namespace: &str, target: &Target) -> Vec<usize> {
        let is_in = |(_, socket): &(usize, &Socket)| {
            socket.state == State::Connected && socket.is_in(namespace, target)
        };
        let selected: Vec<_> = self.sockets.iter().enumerate().filter(is_in).collect();
        let keys: BTreeSet<_> = selected.iter().map(|(_, socket)| socket.key).collect();
        let found = self.hub.sockets(namespace, target);
        assert_eq!(found.len(), keys.len(), "each once");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), keys);
        selected.into_iter().map(|(socket, _)| socket).collect()
    }

    pub(super) fn disconnect(&mut self, n: usize, is_client: bool) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let key = self.sockets[socket].key;
        match is_client {
            true => self.hub.disconnect_client(self.now, key),
            false => self.hub.disconnect(key),
        }
        self.drain();
    }

    pub(super) fn pause(&mut self, n: usize, pauses: bool) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let key = self.sockets[socket].key;
        if pauses {
            self.hub.pause(key)
        } else {
            self.hub.resume(key)
        }
        self.settle();
    }

    pub(super) fn close(&mut self) {
        self.hub.close(self.now);
        self.drain();
    }

    pub(super) fn abort(&mut self) {
        self.hub.abort(self.now);
        self.drain();
    }
}

/// Moves of the event loop.
impl World {
    fn settle(&mut self) {
        if !self.is_late {
            self.drain();
        }
    }

    pub(super) fn drain(&mut self) {
        while self.take_output() {}
    }

    pub(super) fn take_output(&mut self) -> bool {
        let Some(output) = self.hub.poll() else { return false };
        format!("{output:?}").hash(&mut self.digest);
        match output {
            Output::Write(on) => self.write(on),
            Output::Read(on) => {
                if let Some(link) = self.link_on(on) {
                    self.read(link);
                }
            }
            Output::Shutdown(_) => {}
            Output::Close(on) => {
                if let Some(link) = self.link_on(on) {
                    let Link { is_gone, unread, .. } = &mut self.links[link];
                    *is_gone = true;
                    unread.clear();
                }
            }
            output => self.hear(output),
        }
        true
    }

    fn link_on(&self, on: ConnectionId) -> Option<usize> {
        self.links.iter().position(|link| link.on == on && !link.is_gone)
    }

    fn write(&mut self, on: ConnectionId) {
        let Some(link) = self.link_on(on) else { return };
        let Self { hub, now, links, digest, .. } = self;
        let Link { client, room, .. } = &mut links[link];
        hub.transmit(*now, on, |bytes| {
            let n = bytes.len().min(room.unwrap_or(usize::MAX));
            *room = room.map(|room| room - n);
            bytes[..n].hash(digest);
            client.reader.read(&bytes[..n]);
            n
        });
        while let Some(packet) = self.links[link].client.reader.packets.pop_front() {
            self.receive(link, packet);
        }
    }

    pub(super) fn pass(&mut self, duration: Duration) {
        self.drain();
        let end = self.now + duration;
        for kept in 0.. {
            let Some(next) = self.hub.poll_timeout().filter(|&next| next <= end) else { break };
            assert!(kept < MAX_DEADLINES, "a deadline that is never over");
            self.now = self.now.max(next);
            self.hub.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        assert!(self.asks.values().all(|asked| asked.deadline > self.now), "no timeout");
        assert!(self.groups.values().all(|group| group.deadline > self.now), "no timeout");
    }

    /// Holds what must hold whenever nothing is left to be done.
    pub(super) fn check(&mut self) {
        if self.is_late {
            return;
        }
        for socket in &self.sockets {
            let is_connected = socket.state == State::Connected;
            assert_eq!(self.hub.is_connected(socket.key), is_connected);
            if is_connected {
                let rooms: BTreeSet<_> = self.hub.rooms(socket.key).cloned().collect();
                assert_eq!(rooms, socket.rooms);
                self.check_delivered(socket);
            }
        }
    }

    /// Checks that a link which takes everything has everything.
    fn check_delivered(&self, socket: &Socket) {
        let Link { room, has_ended, is_gone, is_deserted, is_wild, .. } = &self.links[socket.link];
        let has_left = self.links[socket.link].client.left.contains(&socket.namespace);
        if room.is_some() || *has_ended || *is_gone || *is_deserted || *is_wild || has_left {
            return;
        }
        assert!(socket.is_told, "the client waits for a response that was given");
        let missing = socket.out.iter().find(|entry| entry.is_sure);
        assert!(missing.is_none(), "{missing:?} has not come");
    }

    /// A digest of all that was said, and how far it got.
    pub(super) fn finish(mut self) -> (u64, Reached) {
        self.drain();
        for n in 0..self.sockets.len() {
            self.pause(n, false);
        }
        for n in 0..self.links.len() {
            self.let_out(n, None);
        }
        self.drain();
        self.is_late = false;
        self.check();
        for link in 0..self.links.len() {
            self.lose_link(link);
        }
        self.drain();
        // Those who could come back do not.
        self.pass(Duration::from_secs(600));
        let Self { hub, sockets, asks, groups, .. } = &mut self;
        assert!(sockets.iter().all(|socket| socket.state == State::Ended), "a socket is left");
        assert!(asks.is_empty() && groups.is_empty(), "an acknowledgement is open");
        assert_eq!((hub.len(), hub.namespaces().count()), (0, 0));
        assert_eq!((hub.engine().sessions(), hub.engine().connections()), (0, 0));
        assert_eq!(hub.poll_timeout(), None);
        (self.digest.finish(), self.reached)
    }
}

/// Outputs for the application.
impl World {
    fn find(&self, key: SocketKey) -> Option<usize> {
        self.sockets.iter().position(|socket| socket.key == key)
    }

    fn known(&self, key: SocketKey) -> usize {
        self.find(key).unwrap_or_else(|| panic!("{key:?} was never heard of"))
    }

    fn hear(&mut self, output: Output) {
        match output {
            Output::Connect(key, request, head) => {
                self.reached.opened = true;
                let socket = self.insert(key, &request.namespace, head.query());
                self.assert_unrecoverable(socket);
                if self.accepts {
                    self.accept(socket);
                }
            }
            Output::Cancelled(key) => {
                let socket = self.known(key);
                assert_eq!(self.sockets[socket].state, State::Asking);
                self.sockets[socket].state = State::Ended;
            }
            Output::Recovered(key, before) => self.recovered(key, before),
            Output::Event(key, event) => self.event(key, event),
            Output::Acknowledged(ask, result) => {
                let asked = self.asks.remove(&ask).expect("it is asked and not settled");
                let socket = &mut self.sockets[asked.socket];
                match result {
                    Ok(args) => {
                        let is_wild = self.links[socket.link].is_wild;
                        let answer = args.decode::<u64>(0).ok();
                        assert!(is_wild || answer == Some(asked.serial), "{answer:?}");
                    }
                    Err(AckError::Timeout) => assert!(asked.deadline <= self.now, "too early"),
                    Err(error) => {
                        assert!(!self.hub.is_connected(socket.key), "{error:?}");
                    }
                }
                let is_it = |entry: &&mut Entry| entry.what == Out::Ask(asked.serial);
                if let Some(entry) = socket.out.iter_mut().find(is_it) {
                    entry.is_sure = false;
                }
            }
            Output::GroupAcknowledged(id, from, result) => {
                let group = self.groups.get_mut(&id).expect("the group is open");
                assert!(group.pending.remove(from.as_str()), "{from:?} is not asked, or again");
                match result {
                    Ok(args) => {
                        let of = |socket: &&Socket| socket.id.as_deref() == Some(from.as_str());
                        let mut is_wild = self.sockets.iter().filter(of);
                        let is_wild = is_wild.any(|socket| self.links[socket.link].is_wild);
                        let answer = args.decode::<u64>(0).ok();
                        assert!(is_wild || answer == Some(group.serial), "{answer:?}");
                    }
                    Err(AckError::Timeout) => assert!(group.deadline <= self.now, "too early"),
                    Err(_) => {}
                }
            }
            Output::GroupCompleted(id) => {
                let group = self.groups.remove(&id).expect("the group is open");
                assert!(group.pending.is_empty(), "{:?} are open", group.pending);
            }
            Output::Writable(key) => drop(self.known(key)),
            Output::Disconnected(key, reason, rooms) => {
                let socket = self.known(key);
                let has_pid = self.links[self.sockets[socket].link].revision == 4;
                let Socket { state, incoming, rooms: known, .. } = &mut self.sockets[socket];
                assert_eq!(*state, State::Connected);
                assert_eq!(rooms.into_iter().collect::<BTreeSet<_>>(), *known);
                let missing = incoming.iter().find(|(_, is_sure)| *is_sure);
                assert!(missing.is_none(), "{missing:?} was sent before the end");
                let is_kept = has_pid && self.window.is_some() && reason.is_recoverable();
                *state = if is_kept { State::Kept(self.now) } else { State::Ended };
            }
            Output::Forgotten(key) => {
                let socket = self.known(key);
                let state = self.sockets[socket].state;
                assert!(matches!(state, State::Kept(_)), "{state:?}");
                self.sockets[socket].state = State::Ended;
            }
            other => panic!("nothing asks for {other:?}"),
        }
    }

    fn insert(&mut self, key: SocketKey, namespace: &str, query: &str) -> usize {
        assert_eq!(self.find(key), None, "{key:?} is used twice");
        let (_, link) = query.rsplit_once("link=").expect("each link has a number");
        self.sockets.push(Socket {
            key,
            link: link.parse().unwrap(),
            namespace: namespace.into(),
            state: State::Asking,
            id: None,
            rooms: BTreeSet::new(),
            is_told: false,
            out: VecDeque::new(),
            incoming: VecDeque::new(),
            unanswered: VecDeque::new(),
            last: None,
            last_ask: None,
            pid: None,
            offset: None,
            return_of: None,
            successor: None,
        });
        self.sockets.len() - 1
    }

    /// Nobody who comes back in time is asked for.
    fn assert_unrecoverable(&self, socket: usize) {
        let Socket { link, ref namespace, .. } = self.sockets[socket];
        let Link { claim: Some(claim), is_wild: false, .. } = self.links[link] else { return };
        let heir = &self.sockets[self.heir(claim)];
        if let (State::Kept(since), Some(window), true) = (heir.state, self.window, self.recovers)
            && heir.namespace == *namespace
        {
            // One that has nothing to show for what it got may be turned away.
            assert!(self.now >= since + window, "it has come back in time");
        }
    }

    fn recovered(&mut self, key: SocketKey, before: SocketKey) {
        let before = self.known(before);
        let socket = match self.find(key) {
            Some(socket) => socket,
            None => {
                let namespace = self.hub.namespace(key).unwrap().to_owned();
                let query = self.hub.handshake(key).unwrap().query().to_owned();
                self.insert(key, &namespace, &query)
            }
        };
        let link = &self.links[self.sockets[socket].link];
        let claimed = link.claim.map(|claim| self.heir(claim));
        assert!(claimed == Some(before) || link.is_wild, "another comes back");
        let Socket { state, id, namespace, rooms, out, pid, offset, successor, .. } =
            &mut self.sockets[before];
        let since = match *state {
            State::Kept(since) => since,
            state => panic!("{state:?}"),
        };
        assert!(self.is_late || self.window.is_some_and(|window| self.now < since + window));
        *state = State::Ended;
        *successor = Some(socket);
        let (id, namespace, rooms) = (id.clone(), namespace.clone(), rooms.clone());
        let (pid, offset) = (pid.clone(), offset.clone());
        let mut missed = std::mem::take(out);
        missed.retain(|entry| entry.is_logged);
        for entry in &mut missed {
            entry.is_sure |= self.overflow == Overflow::Disconnect;
        }
        assert_eq!(self.hub.id(key).map(|id| id.as_str()), id.as_deref());
        let socket = &mut self.sockets[socket];
        assert_eq!(socket.namespace, namespace);
        missed.append(&mut socket.out);
        (socket.out, socket.rooms, socket.id) = (missed, rooms, id);
        (socket.pid, socket.offset, socket.return_of) = (pid, offset, Some(before));
        socket.state = State::Connected;
    }

    fn event(&mut self, key: SocketKey, event: Event) {
        let socket = self.known(key);
        let socket = &mut self.sockets[socket];
        assert!(socket.state == State::Connected, "{:?}", socket.state);
        let is_wild = self.links[socket.link].is_wild;
        let serial = event.data::<u64>().ok().filter(|_| event.name() == "n");
        let place = serial.and_then(|serial| {
            let is_it = |&(said, _): &(u64, bool)| said == serial;
            socket.incoming.iter().position(is_it)
        });
        let Some((place, serial)) = place.zip(serial) else {
            return assert!(is_wild, "{event:?} was not said, or is not for this socket");
        };
        let missing = socket.incoming.drain(..=place).take(place).find(|(_, is_sure)| *is_sure);
        assert!(missing.is_none(), "{missing:?} was said before {serial}");
        self.reached.received += 1;
        if let Some(number) = event.ack() {
            socket.unanswered.push_back((number, serial));
        }
        socket.last = Some((event, serial));
    }
}

/// Packets for clients.
impl World {
    fn receive(&mut self, link: usize, packet: Packet) {
        if self.links[link].is_deserted {
            return;
        }
        let is_wild = self.links[link].is_wild;
        let comes_back = self.links[link].claim.is_some();
        let client = &mut self.links[link].client;
        let namespace = packet.namespace.clone();
        match packet.kind {
            b'0' => {
                assert!(client.answered(&namespace) || is_wild, "nobody asked for {namespace}");
                self.told(link, &namespace, &packet.payload);
            }
            b'1' => {
                let is_known = client.namespaces.remove(&namespace).is_some();
                client.owed.retain(|(of, ..)| *of != namespace);
                assert!(is_known || is_wild || client.left.contains(&namespace), "{namespace}");
            }
            b'2' | b'3' => {
                if let Some(connected) = client.namespaces.get(&namespace) {
                    let socket = connected.socket;
                    self.get(link, socket, &packet);
                } else if comes_back
                    && client.asking.get(&namespace).is_some_and(|&asking| asking > 0)
                {
                    client.early.entry(namespace).or_default().push(packet);
                } else {
                    assert!(is_wild || client.left.contains(&namespace), "not connected");
                }
            }
            b'4' => assert!(client.answered(&namespace) || is_wild, "nobody asked"),
            kind => panic!("a packet of type {kind}"),
        }
    }

    /// The client is told that it is connected.
    fn told(&mut self, link: usize, namespace: &str, payload: &Value) {
        let is_it = |socket: &Socket| {
            socket.link == link
                && socket.namespace == *namespace
                && !socket.is_told
                && socket.id.is_some()
        };
        let Some(socket) = self.sockets.iter().position(is_it) else {
            return assert!(self.links[link].is_wild, "nobody was accepted");
        };
        let told = &mut self.sockets[socket];
        told.is_told = true;
        if let Some(sid) = payload.get("sid") {
            assert_eq!(sid.as_str(), told.id.as_deref());
        }
        let pid = payload.get("pid").and_then(Value::as_str).map(str::to_owned);
        assert!(told.return_of.is_none() || told.pid == pid, "it has another secret");
        told.pid = pid;
        let client = &mut self.links[link].client;
        client.namespaces.insert(namespace.into(), Connected { socket });
        for packet in client.early.remove(namespace).unwrap_or_default() {
            self.get(link, socket, &packet);
        }
    }

    /// A socket's client gets an event, or an acknowledgement.
    fn get(&mut self, link: usize, socket: usize, packet: &Packet) {
        let Packet { kind, namespace, ack, payload } = packet;
        let first = payload[if *kind == b'2' { 1 } else { 0 }].as_u64();
        let serial = first.expect("each has a number");
        let what = match (kind, ack) {
            (b'2', None) => Out::Event(serial),
            (b'2', Some(number)) => {
                self.links[link].client.owed.push_back((namespace.clone(), *number, serial));
                Out::Ask(serial)
            }
            (_, number) => Out::Ack(number.expect("it has the number of its event"), serial),
        };
        let socket = &mut self.sockets[socket];
        loop {
            let Some(entry) = socket.out.pop_front() else {
                panic!("{what:?} is not for this socket, or has come twice");
            };
            if entry.what == what {
                break;
            }
            assert!(!entry.is_sure, "{what:?} has come before {entry:?}");
        }
        if let Some(offset) = payload.as_array().and_then(|args| args.last()?.as_str()) {
            socket.offset = Some(offset.to_owned());
        }
        self.reached.sent += 1;
    }
}

impl Socket {
    fn is_in(&self, namespace: &str, target: &Target) -> bool {
        let is_in = |room: &str| {
            self.id.as_deref() == Some(room) || self.rooms.iter().any(|one| one.as_str() == room)
        };
        self.namespace == namespace && target.matches(is_in)
    }
}

const NAMESPACES: [&str; 3] = ["/", "/a", "/b"];

const ROOMS: [&str; 3] = ["x", "y", "z"];

/// Clients mask what they send, here with nothing.
const MASK: Option<[u8; 4]> = Some([0; 4]);

/// Connections at a time.
const MAX_LINKS: usize = 6;

/// Deadlines that are kept while time passes.
const MAX_DEADLINES: usize = 1000;
