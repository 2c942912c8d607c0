//! The loop around the hub.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use enginewire::{
    Event, Hub, Message, Packet, Revision, SendError, Sid, Time, TransportKind,
    hub::{AskId, ConnectionId, HubConfig, Output, SessionId},
    wire::http::RequestHead,
};

use super::{
    peer::{self, Came, Reader, Request, Sent},
    talk::{self, Talk},
};
use crate::{Reached, memory::Watch};

pub(super) struct World {
    hub: Hub,
    now: Time,
    config: HubConfig,
    /// In the order in which they were accepted; those that are gone too.
    connections: Vec<ConnectionId>,
    sockets: BTreeMap<ConnectionId, Socket>,
    /// In the order in which they opened; those that are over too.
    sessions: Vec<SessionId>,
    told: BTreeMap<SessionId, Told>,
    /// Ids of sessions that peers were told of in an answer, and on which connection.
    greeted: BTreeMap<String, ConnectionId>,
    /// The last name given to a request.
    serial: u64,
    /// Bytes that may name any session, escaped, have been sent.
    guesses: bool,
    reached: Reached,
    digest: DefaultHasher,
    memory: Watch,
    closed: bool,
}

/// The loop's side of a connection.
#[derive(Default)]
struct Socket {
    /// What has come and was not read.
    unread: Vec<u8>,
    ended: bool,
    /// How much the peer takes, if there is a limit.
    room: Option<usize>,
    reader: Reader,
    /// Not only whole requests were sent.
    untidy: bool,
    /// What has been sent since, as long as it was no WebSocket.
    heard: Vec<u8>,
    /// The session of the WebSocket that it is or asks to be, and whether that is the session's transport.
    carries: Option<(SessionId, bool)>,
    shut_down: bool,
    gone: bool,
    /// The last question about it, and whether it has been answered.
    asked: Option<(AskId, bool)>,
}

/// What the application knows of a session.
struct Told {
    /// Where it was opened.
    on: ConnectionId,
    closed: bool,
    paused: bool,
    talk: Talk,
}

/// Whom a request is for.
pub(super) enum Target {
    /// A session that is to open.
    New(Revision),
    /// By its number.
    Session(usize),
}

impl World {
    pub(super) fn new(config: HubConfig) -> Self {
        let memory = Watch::start();
        let mut drawn = 0u32;
        let entropy = move |buffer: &mut [u8]| {
            drawn += 1;
            buffer.fill(0);
            buffer[..4].copy_from_slice(&drawn.to_be_bytes());
        };
        Self {
            hub: Hub::new(config.clone(), entropy),
            now: Time::from_millis(1),
            config,
            connections: Vec::new(),
            sockets: BTreeMap::new(),
            sessions: Vec::new(),
            told: BTreeMap::new(),
            greeted: BTreeMap::new(),
            serial: 0,
            guesses: false,
            reached: Reached::default(),
            digest: DefaultHasher::new(),
            memory,
            closed: false,
        }
    }

    pub(super) fn accept(&mut self) {
        if self.hub.connections() >= MAX_CONNECTIONS {
            return;
        }
        let on = self.hub.handle_accepted(self.now);
        let taken = self.open().any(|other| other.index() == on.index());
        assert!(!taken, "{on:?} has the place of another");
        self.connections.push(on);
        assert!(self.sockets.insert(on, Socket::default()).is_none());
    }

    fn open(&self) -> impl Iterator<Item = ConnectionId> {
        self.sockets.iter().filter(|(_, socket)| !socket.gone).map(|(&on, _)| on)
    }

    fn connection(&self, n: usize) -> Option<ConnectionId> {
        self.connections.get(n.checked_rem(self.connections.len())?).copied()
    }

    fn session(&self, n: usize) -> Option<SessionId> {
        self.sessions.get(n.checked_rem(self.sessions.len())?).copied()
    }

    /// Whom it is for, and the query that says so; one that leads nowhere if there is no such session.
    fn query(&self, of: &Target, transport: &str) -> (Option<SessionId>, Revision, String) {
        let revision = |revision: Revision| format!("EIO={}", revision.number());
        let (id, session) = match *of {
            Target::New(new) => {
                return (None, new, format!("{}&transport={transport}", revision(new)));
            }
            Target::Session(n) => {
                let id = self.session(n);
                (id, id.and_then(|id| self.hub.session(id)))
            }
        };
        let (of, sid) = match session {
            Some(session) => (session.revision(), session.sid()),
            None => return (None, Revision::V4, format!("EIO=4&transport={transport}&{NOBODY}")),
        };
        let query = format!("{}&transport={transport}&sid={}", revision(of), sid.as_str());
        (id, of, query)
    }

    /// Connection n sends what `write` makes of the query, and a `body`.
    pub(super) fn request(&mut self, n: usize, what: Sent, of: &Target, body: &[u8]) {
        let Some(on) = self.connection(n) else { return };
        let transport = if what == Sent::Upgrade { "websocket" } else { "polling" };
        let (session, revision, query) = self.query(of, transport);
        self.serial += 1;
        let request = Request { what, session, revision, serial: self.serial };
        let bytes = match what {
            Sent::Poll | Sent::Open => peer::get(&query),
            Sent::Post => peer::post(&query, body),
            Sent::Upgrade => peer::upgrade(&query),
        };
        let socket = self.sockets.get_mut(&on).unwrap();
        if !socket.is_deaf() {
            // Behind one that makes the connection a WebSocket, it is no request.
            if socket.reader.is_websocket() || socket.waits(|one| one.what == Sent::Upgrade) {
                socket.untidy = true;
            }
            if socket.untidy {
                self.garbled(on, &bytes);
            } else {
                self.requested(on, request, body);
            }
        }
        self.feed(on, &bytes);
    }

    /// A request in order was sent.
    fn requested(&mut self, on: ConnectionId, request: Request, body: &[u8]) {
        let socket = self.sockets.get_mut(&on).unwrap();
        if socket.shut_down {
            return;
        }
        socket.reader.waiting.push_back(request);
        if request.what == Sent::Upgrade {
            socket.carries = request.session.map(|session| (session, false));
        }
        let Some(id) = request.session else { return };
        // No client has two under way, as nobody knows which comes first.
        let overlaps = self.is_waiting(id, request.what, Some(on));
        let session = self.hub.session(id).expect("it was just named");
        let talk = &mut self.told.get_mut(&id).unwrap().talk;
        if !session.is_open() {
            talk.up.loosen();
        }
        let limits = &self.config.protocol.limits;
        match request.what {
            Sent::Post if overlaps => talk.up.forget(),
            Sent::Poll if overlaps => talk.down.forget(),
            // Which is refused if it is too large or in the wrong place.
            Sent::Post
                if session.transport() == TransportKind::Polling
                    && body.len() <= limits.max_payload =>
            {
                for message in talk::posted(request.revision, body, limits.max_packets) {
                    talk.up.say(message, request.serial, false);
                }
            }
            _ => {}
        }
    }

    /// Whether a request of this session has not been answered, on a connection that is not `but`.
    fn is_waiting(&self, session: SessionId, what: Sent, but: Option<ConnectionId>) -> bool {
        let is_it = |one: &Request| one.session == Some(session) && one.what == what;
        self.sockets.iter().any(|(&on, socket)| Some(on) != but && socket.waits(is_it))
    }

    pub(super) fn frame(&mut self, n: usize, first: u8, payload: &[u8]) {
        let Some(on) = self.connection(n) else { return };
        let bytes = peer::frame(first, payload);
        let reads = self.hub.is_reading(on);
        let socket = self.sockets.get_mut(&on).unwrap();
        if socket.is_deaf() {
            return self.feed(on, &bytes);
        }
        // A frame before the connection is a WebSocket is no whole request; the others are part of a
        // message, or nothing that a peer may send.
        if !socket.reader.is_websocket() {
            socket.untidy = true;
        }
        let Some((id, is_transport)) = socket.carries.filter(|_| !socket.untidy) else {
            self.garbled(on, &bytes);
            return self.feed(on, &bytes);
        };
        let reads = reads && socket.unread.is_empty();
        let transport = |hub: &Hub| hub.session(id).map(|session| session.transport());
        let before = transport(&self.hub);
        self.feed(on, &bytes);
        let is_open = self.hub.session(id).is_some_and(|session| session.is_open());
        let upgraded = before == Some(TransportKind::Polling) && before != transport(&self.hub);
        let posts = self.is_waiting(id, Sent::Post, None);
        let polls = self.is_waiting(id, Sent::Poll, None);
        let talk = &mut self.told.get_mut(&id).unwrap().talk;
        if !matches!(first, 0x81 | 0x82 | 0x88..=0x8a) || !(reads || is_transport) {
            return talk.up.forget();
        }
        if is_transport {
            if !is_open {
                talk.up.loosen();
            }
            let packet =
                talk::frame(talk.revision, first, &payload[..payload.len().min(MAX_FRAME)]);
            if let Some(message) = packet.and_then(talk::message) {
                talk.up.say(message, FRAME, reads && is_open);
            }
        } else if upgraded {
            self.sockets.get_mut(&on).unwrap().carries = Some((id, true));
            if posts {
                talk.up.loosen();
            }
            if polls {
                talk.down.forget();
            }
        }
    }

    /// Connection n sends these bytes, of which nothing is known.
    pub(super) fn bytes(&mut self, n: usize, bytes: &[u8]) {
        let Some(on) = self.connection(n) else { return };
        self.sockets.get_mut(&on).unwrap().untidy = true;
        self.garbled(on, bytes);
        self.feed(on, bytes);
    }

    /// The last byte of a POST does not come.
    pub(super) fn half_post(&mut self, n: usize, session: usize, body: &[u8]) {
        let (.., query) = self.query(&Target::Session(session), "polling");
        let mut post = peer::post(&query, if body.is_empty() { b"4" } else { body });
        post.pop();
        self.bytes(n, &post);
    }

    /// These bytes go to a connection that is untidy: of the sessions that they may be for, nobody knows
    /// what they are told.
    fn garbled(&mut self, on: ConnectionId, bytes: &[u8]) {
        let Self { sockets, told, guesses, .. } = self;
        let socket = sockets.get_mut(&on).unwrap();
        for session in socket.reader.waiting.iter().filter_map(|request| request.session) {
            told.get_mut(&session).unwrap().talk.forget();
        }
        if let Some((session, _)) = socket.carries {
            told.get_mut(&session).unwrap().talk.up.forget();
        }
        if socket.reader.is_websocket() || socket.is_deaf() {
            return;
        }
        // What it becomes is not what its requests say.
        socket.carries = None;
        // Where a name that has not come whole could begin.
        let from = socket.heard.len().saturating_sub(Sid::LEN);
        socket.heard.extend_from_slice(bytes);
        *guesses |= bytes.contains(&b'%');
        for Told { talk, .. } in told.values_mut() {
            if *guesses || is_named(talk, &socket.heard[from..]) {
                talk.forget();
            }
        }
    }

    fn feed(&mut self, on: ConnectionId, bytes: &[u8]) {
        let socket = self.sockets.get_mut(&on).unwrap();
        if socket.is_deaf() {
            // As far as the hub knows it may still be there.
            return self.hub.handle_bytes(self.now, on, &mut []);
        }
        socket.unread.extend_from_slice(bytes);
        self.read(on);
    }

    /// Reads what has come, if the hub wants that.
    fn read(&mut self, on: ConnectionId) {
        let socket = self.sockets.get_mut(&on).unwrap();
        if !socket.unread.is_empty() && self.hub.is_reading(on) {
            let mut bytes = std::mem::take(&mut socket.unread);
            self.hub.handle_bytes(self.now, on, &mut bytes);
        }
        let socket = self.sockets.get_mut(&on).unwrap();
        if socket.ended && socket.unread.is_empty() && !socket.gone && self.hub.is_reading(on) {
            self.hub.handle_eof(self.now, on);
        }
    }

    pub(super) fn eof(&mut self, n: usize) {
        let Some(on) = self.connection(n) else { return };
        self.sockets.get_mut(&on).unwrap().ended = true;
        self.read(on);
    }

    pub(super) fn lose(&mut self, n: usize) {
        if let Some(on) = self.connection(n) {
            self.lose_connection(on);
        }
    }

    fn lose_connection(&mut self, on: ConnectionId) {
        self.hub.handle_lost(self.now, on);
        self.gone(on);
    }

    fn gone(&mut self, on: ConnectionId) {
        self.sockets.get_mut(&on).unwrap().gone = true;
        assert!(!self.hub.is_reading(on));
        self.unanswered(on);
    }

    /// Nothing more is written: what waits for an answer may have been read or not.
    fn unanswered(&mut self, on: ConnectionId) {
        let Self { sockets, told, .. } = self;
        for request in sockets.get_mut(&on).unwrap().reader.waiting.drain(..) {
            if let Some(session) = request.session {
                told.get_mut(&session).unwrap().talk.loosen();
            }
        }
    }

    pub(super) fn let_out(&mut self, n: usize, room: Option<usize>) {
        let Some(on) = self.connection(n) else { return };
        let socket = self.sockets.get_mut(&on).unwrap();
        socket.room = match (room, socket.room) {
            (None, _) => None,
            (Some(more), room) => Some(more + room.unwrap_or(0)),
        };
        self.hub.handle_writable(self.now, on);
    }

    pub(super) fn send(&mut self, n: usize, message: Message) {
        let Some(session) = self.session(n) else { return };
        let max = self.config.protocol.limits.max_queued;
        // What is too long for a client would end the session only there.
        let before = self.hub.session(session).map(|session| session.queued());
        match self.hub.send(session, message.clone()) {
            Ok(()) => {
                assert!(before.is_some_and(|queued| queued < max));
                self.told.get_mut(&session).unwrap().talk.down.say(message, FRAME, false);
                self.reached.sent += 1;
            }
            Err(error) => match error.reason {
                SendError::Full { queued, .. } => assert!(queued >= max),
                SendError::Closed => {
                    assert!(self.hub.session(session).is_none_or(|session| !session.is_open()));
                }
            },
        }
    }

    pub(super) fn command(&mut self, n: usize, command: impl FnOnce(&mut Hub, Time, SessionId)) {
        if let Some(session) = self.session(n) {
            command(&mut self.hub, self.now, session);
        }
    }

    pub(super) fn pause(&mut self, n: usize, paused: bool) {
        let Some(session) = self.session(n) else { return };
        self.told.get_mut(&session).unwrap().paused = paused;
        if paused { self.hub.pause(session) } else { self.hub.resume(session) }
    }

    pub(super) fn answer(&mut self, n: usize, allow: bool) {
        let Some(on) = self.connection(n) else { return };
        let Some((ask, answered)) = &mut self.sockets.get_mut(&on).unwrap().asked else { return };
        let waited = if allow { self.hub.allow(*ask) } else { self.hub.refuse(*ask, "no") };
        assert!(!waited || !*answered, "answered twice");
        *answered = true;
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.hub.close(self.now);
    }

    pub(super) fn abort(&mut self) {
        self.closed = true;
        self.hub.abort(self.now);
    }

    /// Time passes, and deadlines are kept.
    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        for _ in 0..MAX_DEADLINES {
            let Some(deadline) = self.hub.poll_timeout().filter(|&deadline| deadline <= end) else {
                break;
            };
            self.now = self.now.max(deadline);
            self.hub.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(super) fn drain(&mut self) {
        while self.take_one() {}
        for on in self.open().collect::<Vec<_>>() {
            // Everything that could be done is done: who waits does so for a reason.
            let socket = &self.sockets[&on];
            if socket.untidy || socket.room.is_some() || !socket.unread.is_empty() {
                continue;
            }
            let first = socket.reader.waiting.front();
            match first.map(|request| request.what) {
                _ if socket.shut_down => continue,
                _ if socket.reader.is_websocket() => {}
                None | Some(Sent::Poll) => {}
                Some(Sent::Post) => assert!(self.may_withhold(), "a POST waits"),
                Some(Sent::Open | Sent::Upgrade) => assert!(self.config.ask, "a handshake waits"),
            }
            let of = match socket.carries {
                Some((session, true)) => Some(session),
                _ => first.filter(|one| one.what == Sent::Poll).and_then(|one| one.session),
            };
            let open = of.filter(|&id| self.hub.session(id).is_some_and(|one| one.is_open()));
            assert!(open.is_none_or(|id| self.told[&id].talk.down.is_over()), "it would take more");
        }
    }

    /// Whether a POST may wait: for an application that is behind, or for the end of a session that is
    /// closing and has dropped what it brought.
    fn may_withhold(&self) -> bool {
        let is_closing = |id| {
            let session = self.hub.session(id);
            session.is_some_and(|session| !session.is_open() && !session.is_closed())
        };
        self.told.iter().any(|(&id, told)| told.paused || is_closing(id))
    }

    /// Takes an output; `false` if there is none.
    pub(super) fn take_one(&mut self) -> bool {
        let Some(output) = self.hub.poll() else { return false };
        format!("{output:?}").hash(&mut self.digest);
        match output {
            Output::Write(on) => self.write(on),
            Output::Read(on) => self.read(on),
            Output::Shutdown(on) => {
                let socket = self.sockets.get_mut(&on).unwrap();
                assert!(!std::mem::replace(&mut socket.shut_down, true), "twice");
                self.unanswered(on);
            }
            Output::Close(on) => self.gone(on),
            Output::Ask(ask, on, _) => {
                assert!(self.config.ask);
                self.sockets.get_mut(&on).unwrap().asked = Some((ask, false));
            }
            Output::Opened(session, on, head) => self.opened(session, on, &head),
            Output::Event(session, event) => {
                let told = self.told.get_mut(&session).expect("it was opened");
                assert!(!told.closed, "{event:?} behind the end");
                told.closed = matches!(event, Event::Closed(_));
                if let Event::Message(message) = &event {
                    told.talk.up.hear(message);
                }
                if told.closed {
                    // Nobody waits for it any more.
                    told.paused = false;
                    told.talk.up.end();
                }
                let over = self.hub.session(session).is_none_or(|session| session.is_closed());
                assert!(!told.paused || over || !matches!(event, Event::Message(_)));
                self.reached.received += usize::from(matches!(event, Event::Message(_)));
                self.reached.upgraded |= event == Event::Upgraded;
            }
        }
        true
    }

    fn opened(&mut self, id: SessionId, on: ConnectionId, head: &RequestHead) {
        let session = self.hub.session(id).expect("its end was not told");
        let mut talk = Talk::new(session.revision(), session.sid());
        let socket = self.sockets.get_mut(&on).unwrap();
        if !socket.untidy {
            let asked = format!("?EIO={}&", talk.revision.number());
            assert!(head.target().contains(&asked), "{asked} for {}", head.target());
        }
        if head.target().contains("transport=websocket") {
            socket.carries = Some((id, true));
            if socket.untidy {
                talk.up.forget();
            }
        }
        if self.guesses || self.sockets.values().any(|socket| is_named(&talk, &socket.heard)) {
            talk.forget();
        }
        let told = Told { on, closed: false, paused: false, talk };
        assert!(self.told.insert(id, told).is_none(), "opened twice");
        self.sessions.push(id);
        self.reached.opened = true;
    }

    fn write(&mut self, on: ConnectionId) {
        let Self { hub, sockets, digest, now, .. } = self;
        let Socket { room, reader, untidy, shut_down, gone, .. } = sockets.get_mut(&on).unwrap();
        let mut full = false;
        hub.transmit(*now, on, |bytes| {
            assert!(!full && !bytes.is_empty() && !*shut_down && !*gone);
            let n = bytes.len().min(room.unwrap_or(usize::MAX));
            *room = room.map(|room| room - n);
            full = n < bytes.len();
            bytes[..n].hash(digest);
            reader.read(&bytes[..n], !*untidy);
            n
        });
        self.listen(on);
        // The loop goes on where it stopped to read.
        self.read(on);
    }

    /// The peer takes note of what has come.
    fn listen(&mut self, on: ConnectionId) {
        let Self { sockets, told, greeted, .. } = self;
        let Socket { reader, carries, .. } = sockets.get_mut(&on).unwrap();
        while let Some(came) = reader.came.pop_front() {
            match came {
                Came::Answer(request, binary, body) => match (request.what, request.session) {
                    (Sent::Poll, Some(session)) => {
                        let down = &mut told.get_mut(&session).unwrap().talk.down;
                        let packets = talk::answer(request.revision, binary, &body).into_iter();
                        packets.filter_map(talk::message).for_each(|message| down.hear(&message));
                    }
                    (Sent::Post, Some(session)) => {
                        assert_eq!(body, b"ok");
                        told.get_mut(&session).unwrap().talk.up.take(request.serial);
                    }
                    (Sent::Open, None) => {
                        let packets = talk::answer(request.revision, binary, &body);
                        let [Packet::Open(handshake)] = &packets[..] else { panic!("{packets:?}") };
                        assert_eq!(greeted.insert(talk::sid(handshake), on), None);
                    }
                    other => panic!("{other:?} answered with {}", body.escape_ascii()),
                },
                Came::Frame(first, payload) => {
                    // Of a session that the application was not told of yet: it has said nothing.
                    let Some((session, _)) = *carries else { continue };
                    let talk = &mut told.get_mut(&session).unwrap().talk;
                    match talk::frame(talk.revision, first, &payload).expect("a packet") {
                        Packet::Message(message) => talk.down.hear(&message),
                        Packet::Open(handshake) => {
                            assert_eq!(talk::sid(&handshake), talk.sid.as_str());
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// What holds at any time.
    pub(super) fn check(&mut self) {
        let limits = &self.config.protocol.limits;
        for &session in &self.sessions {
            let Some(session) = self.hub.session(session) else { continue };
            // The last message may go beyond the limit.
            assert!(session.queued() <= limits.max_queued + MAX_MESSAGE + 64);
        }
        assert!(self.hub.sessions() <= self.config.max_sessions);
        let connections = self.connections.len();
        let each = 2 * limits.max_head + limits.max_payload + OUTBOX;
        let session = limits.max_queued + limits.max_unread + 2 * MAX_MESSAGE;
        let bound = FIXED + connections * each + self.sessions.len() * session;
        assert!(self.memory.live() <= bound, "{} bytes, {bound} at most", self.memory.live());
    }

    /// A digest of all that was said, how far it got, and how many messages were heard that had been said.
    /// In the end connections are `lost`, or the hub is closed.
    pub(super) fn finish(mut self, lost: bool) -> (u64, Reached, usize) {
        self.drain();
        // The silence of a peer that is not read is excused for as long as it is not.
        for n in 0..self.sessions.len() {
            self.pause(n, false);
        }
        self.drain();
        if lost {
            for on in self.open().collect::<Vec<_>>() {
                self.lose_connection(on);
            }
        } else if !self.closed {
            self.close();
        }
        self.drain();
        // The heartbeat twice, for sessions that an application was slow for, then what a close waits.
        for _ in 0..10 {
            self.pass(20_000);
            self.drain();
        }
        // Peers that take nothing, and connections whose application never answers.
        for on in self.open().collect::<Vec<_>>() {
            self.lose_connection(on);
        }
        self.drain();
        assert_eq!((self.hub.sessions(), self.hub.connections()), (0, 0), "{:?}", self.hub);
        assert_eq!(self.hub.poll_timeout(), None);
        assert!(self.told.values().all(|told| told.closed));
        assert!(!self.closed || self.hub.is_finished());
        for (sid, on) in &self.greeted {
            let opened = self.told.values().find(|told| told.talk.sid.as_str() == sid);
            assert_eq!(opened.map(|told| told.on), Some(*on), "{sid} on the wrong connection");
        }
        let lanes = self.told.values().flat_map(|told| [&told.talk.up, &told.talk.down]);
        let heard = lanes.map(|lane| lane.heard).sum();
        (self.digest.finish(), self.reached, heard)
    }
}

impl Socket {
    /// Whatever is sent does not arrive.
    const fn is_deaf(&self) -> bool {
        self.ended || self.gone
    }

    /// Whether a request like this has not been answered.
    fn waits(&self, is_it: impl Fn(&Request) -> bool) -> bool {
        self.reader.waiting.iter().any(is_it)
    }
}

/// Whether the id of this session stands in these bytes.
fn is_named(talk: &Talk, bytes: &[u8]) -> bool {
    let sid = talk.sid.as_str().as_bytes();
    bytes.windows(sid.len()).any(|window| window == sid)
}

/// A session that never was.
const NOBODY: &str = "sid=aaaaaaaaaaaaaaaaaaaa";

/// What a frame is called, beside requests.
const FRAME: u64 = 0;

/// What the peers put into one frame.
const MAX_FRAME: usize = u16::MAX as usize;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 8;

/// What may wait for a peer beside what its session has queued: a chunk of frames, and the answers to
/// one read.
const OUTBOX: usize = 192 * 1024;

/// What is there once: buffers that connections share, and this side of the loop.
const FIXED: usize = 2 << 20;

/// The longest message that a script sends.
const MAX_MESSAGE: usize = 255 * 100;

/// Deadlines that are kept in one step: with deadlines of milliseconds there could be very many.
const MAX_DEADLINES: usize = 500;
