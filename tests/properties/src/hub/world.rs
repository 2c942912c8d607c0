//! The loop around the hub.

mod peers;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use enginewire::{
    Event, Message, SendError, ServerHub, Time,
    hub::{AskId, ConnectionId, Output, ServerHubConfig, SessionId},
    wire::Arena,
};

pub(in crate::hub) use self::peers::Target;
use super::{
    peer::{Reader, Request, Sent},
    talk::Talk,
};
use crate::{Reached, memory::Watch};

pub(super) struct World {
    hub: ServerHub,
    now: Time,
    config: ServerHubConfig,
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
    /// What the hub held when it was made.
    empty: usize,
    most: Most,
    /// Outputs since there were none.
    taken: usize,
    /// Bytes that have come.
    come: usize,
    closed: bool,
}

/// The most that there has been of something at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    connections: usize,
    sessions: usize,
    /// Outputs between two times at which there were none.
    outputs: usize,
    /// Bytes that one look at a connection has written, or may have.
    written: usize,
    /// Bytes that came between two times at which nobody was there.
    come: usize,
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

impl World {
    pub(super) fn new(config: ServerHubConfig) -> Self {
        let memory = Watch::start();
        let mut drawn = 0u32;
        let entropy = move |buffer: &mut [u8]| {
            drawn += 1;
            buffer.fill(0);
            buffer[..4].copy_from_slice(&drawn.to_be_bytes());
        };
        let hub = ServerHub::new(config.clone(), entropy);
        Self {
            empty: memory.live(),
            most: Most::default(),
            taken: 0,
            come: 0,
            hub,
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

    fn feed(&mut self, on: ConnectionId, bytes: &[u8]) {
        let socket = self.sockets.get_mut(&on).unwrap();
        if socket.is_deaf() {
            // As far as the hub knows it may still be there.
            return self.hub.handle_bytes(self.now, on, &mut []);
        }
        self.come += bytes.len();
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
                // A response may take all of it, in base64, and stay where it is: the peer takes nothing.
                let queued = before.unwrap_or(0) + message.len();
                self.most.written = self.most.written.max(queued / 3 * 4 + HEAD);
                self.told.get_mut(&session).unwrap().talk.down.say(message, FRAME, false);
                self.reached.sent += 1;
            }
            Err(error) => match error.reason {
                SendError::Full { queued, .. } => assert!(queued >= max),
                SendError::Closed => {
                    assert!(self.hub.session(session).is_none_or(|session| !session.is_open()));
                }
                other => panic!("the model does not know {other:?}"),
            },
        }
    }

    pub(super) fn command(
        &mut self,
        n: usize,
        command: impl FnOnce(&mut ServerHub, Time, SessionId),
    ) {
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
            let session = first.and_then(|request| request.session);
            match first.map(|request| request.what) {
                _ if socket.shut_down => continue,
                _ if socket.reader.is_websocket() => {}
                None => {}
                Some(Sent::Poll) => {
                    assert!(session.is_some_and(|id| self.lives(id)), "a GET waits")
                }
                Some(Sent::Post) => {
                    assert!(session.is_some_and(|id| self.may_withhold(id)), "a POST waits");
                }
                Some(Sent::Open | Sent::Upgrade) => assert!(self.config.ask, "a handshake waits"),
            }
            let of = match socket.carries {
                Some((session, true)) => Some(session),
                _ => session.filter(|_| first.is_some_and(|one| one.what == Sent::Poll)),
            };
            let open = of.filter(|&id| self.hub.session(id).is_some_and(|one| one.is_open()));
            assert!(open.is_none_or(|id| self.told[&id].talk.down.is_over()), "it would take more");
        }
    }

    /// Whether a POST may wait: for an application that is behind, or for the end of a session that is
    /// closing and has dropped what it brought.
    fn may_withhold(&self, id: SessionId) -> bool {
        let is_open = self.hub.session(id).is_some_and(|session| session.is_open());
        self.lives(id) && (!is_open || self.told[&id].paused)
    }

    fn lives(&self, id: SessionId) -> bool {
        self.hub.session(id).is_some_and(|session| !session.is_closed())
    }

    /// Takes an output; `false` if there is none.
    pub(super) fn take_one(&mut self) -> bool {
        let Some(output) = self.hub.poll() else {
            self.most.outputs = self.most.outputs.max(std::mem::take(&mut self.taken));
            return false;
        };
        self.taken += 1;
        // Requests that have waited behind another one open many at once.
        self.note_most();
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
            Output::Layer(_) | Output::Request(..) | Output::HandOver(..) => {
                panic!("none is asked for")
            }
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

    fn write(&mut self, on: ConnectionId) {
        let Self { hub, sockets, digest, now, most, .. } = self;
        let Socket { room, reader, untidy, shut_down, gone, .. } = sockets.get_mut(&on).unwrap();
        let mut full = false;
        let mut written = 0;
        hub.transmit(*now, on, |bytes| {
            assert!(!full && !bytes.is_empty() && !*shut_down && !*gone);
            let n = bytes.len().min(room.unwrap_or(usize::MAX));
            *room = room.map(|room| room - n);
            full = n < bytes.len();
            written += bytes.len();
            bytes[..n].hash(digest);
            reader.read(&bytes[..n], !*untidy);
            n
        });
        most.written = most.written.max(written);
        self.listen(on);
        // The loop goes on where it stopped to read.
        self.read(on);
    }

    /// What holds at any time.
    pub(super) fn check(&mut self) {
        self.note_most();
        let limits = &self.config.protocol.limits;
        for &session in &self.sessions {
            let Some(session) = self.hub.session(session) else { continue };
            // The last message may go beyond the limit.
            assert!(session.queued() <= limits.max_queued + MAX_MESSAGE + 64);
        }
        assert!(self.hub.sessions() <= self.config.max_sessions);
        self.most.come = self.most.come.max(self.come);
        if (self.hub.sessions(), self.hub.connections()) == (0, 0) {
            self.come = 0;
        }
        let connections = self.connections.len();
        let each = 2 * limits.max_head + limits.max_payload + OUTBOX;
        let session = limits.max_queued + limits.max_unread + 2 * MAX_MESSAGE;
        let bound = FIXED + connections * each + self.sessions.len() * session;
        assert!(self.memory.live() <= bound, "{} bytes, {bound} at most", self.memory.live());
    }

    fn note_most(&mut self) {
        self.most.sessions = self.most.sessions.max(self.hub.sessions());
        self.most.connections = self.most.connections.max(self.hub.connections());
    }

    /// What a hub keeps beside what it held when it was made: storage for as much as there once was.
    const fn kept(&self) -> usize {
        let Most { connections, sessions, outputs, written, come } = self.most;
        FOR_ANY
            + connections * FOR_CONNECTION
            + sessions * FOR_SESSION
            + outputs * FOR_OUTPUT
            + (connections + 1) * 2 * written
            + 2 * come
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
        let kept = self.kept();
        let Self { hub, connections, sockets, sessions, told, greeted, .. } = self;
        drop((connections, sockets, sessions, told, greeted));
        let left = self.memory.live().saturating_sub(self.empty);
        assert!(left <= kept, "{left} bytes are left, {:?}", self.most);
        drop(hub);
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

/// What a frame is called, beside requests.
const FRAME: u64 = 0;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 8;

/// What may wait for a peer beside what its session has queued: a chunk of frames, and the answers to
/// one read.
const OUTBOX: usize = 192 * 1024;

/// What is there once: buffers that connections share, and this side of the loop.
const FIXED: usize = 2 << 20;

/// The longest message that a script sends.
const MAX_MESSAGE: usize = 255 * 100;

/// The head of a response.
const HEAD: usize = 512;

/// What a hub keeps for the first few of everything: places in tables come in fours at least, and small
/// messages in chunks.
const FOR_ANY: usize = 8 * 1024 + Arena::CHUNK;

/// A place for a connection, in a table that has doubled, and what stands in others about it.
const FOR_CONNECTION: usize = 1024;

/// The same for a session.
const FOR_SESSION: usize = 2048;

/// The same for what the loop is told.
const FOR_OUTPUT: usize = 128;

/// Deadlines that are kept in one step: with deadlines of milliseconds there could be very many.
const MAX_DEADLINES: usize = 500;
