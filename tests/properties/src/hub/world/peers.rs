//! What peers do, and what they and the application make of it.

use enginewire::{
    Packet, Revision, ServerHub, Sid, TransportKind,
    hub::{ConnectionId, SessionId},
    wire::http::RequestHead,
};

use super::{FRAME, Socket, Told, World};
use crate::hub::{
    peer::{self, Came, Request, Sent},
    talk::{self, Talk},
};

/// Whom a request is for.
pub(in crate::hub) enum Target {
    /// A session that is to open.
    New(Revision),
    /// By its number.
    Session(usize),
}

impl World {
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
    pub(in crate::hub) fn request(&mut self, n: usize, what: Sent, of: &Target, body: &[u8]) {
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

    pub(in crate::hub) fn frame(&mut self, n: usize, first: u8, payload: &[u8]) {
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
        let transport = |hub: &ServerHub| hub.session(id).map(|session| session.transport());
        let before = transport(&self.hub);
        self.feed(on, &bytes);
        let is_open = self.hub.session(id).is_some_and(|session| session.is_open());
        let upgraded = before == Some(TransportKind::Polling) && before != transport(&self.hub);
        let posts = self.is_waiting(id, Sent::Post, None);
        let polls = self.is_waiting(id, Sent::Poll, None);
        let talk = &mut self.told.get_mut(&id).unwrap().talk;
        let is_whole = matches!(first, 0x81 | 0x82 | 0x88..=0x8a);
        if !(is_transport || reads && is_whole) {
            // It waits, or is a part, and may upgrade the session when nobody looks.
            return talk.forget();
        }
        if !is_whole {
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
    pub(in crate::hub) fn bytes(&mut self, n: usize, bytes: &[u8]) {
        let Some(on) = self.connection(n) else { return };
        self.sockets.get_mut(&on).unwrap().untidy = true;
        self.garbled(on, bytes);
        self.feed(on, bytes);
    }

    /// The last byte of a POST does not come.
    pub(in crate::hub) fn half_post(&mut self, n: usize, session: usize, body: &[u8]) {
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

    /// Nothing more is written: what waits for an answer may have been read or not.
    pub(super) fn unanswered(&mut self, on: ConnectionId) {
        let Self { sockets, told, .. } = self;
        for request in sockets.get_mut(&on).unwrap().reader.waiting.drain(..) {
            if let Some(session) = request.session {
                told.get_mut(&session).unwrap().talk.loosen();
            }
        }
    }

    pub(super) fn opened(&mut self, id: SessionId, on: ConnectionId, head: &RequestHead) {
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

    /// The peer takes note of what has come.
    pub(super) fn listen(&mut self, on: ConnectionId) {
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
}

/// Whether the id of this session stands in these bytes.
fn is_named(talk: &Talk, bytes: &[u8]) -> bool {
    let sid = talk.sid.as_str().as_bytes();
    bytes.windows(sid.len()).any(|window| window == sid)
}

/// A session that never was.
const NOBODY: &str = "sid=aaaaaaaaaaaaaaaaaaaa";

/// What the peers put into one frame.
const MAX_FRAME: usize = u16::MAX as usize;
