//! The session through its public API, on a virtual clock.

mod closing;
mod heartbeat;
mod limits;
mod polling;
mod upgrade;

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{
    limits::Limits,
    router::{Route, Router},
    wire::{Input, Output, http, http::RequestHead},
};

/// A session, and everything that it has put out.
struct Peer {
    session: ServerSession,
    now: Time,
    next_id: u64,
    /// Answers that nobody has looked at yet.
    answers: BTreeMap<u64, Response>,
    closed_sockets: Vec<WebSocketId>,
    events: Vec<Event>,
}

impl Peer {
    /// A session of revision 4 on polling, its handshake answered.
    fn polling() -> Self {
        Self::open("EIO=4&transport=polling", ServerConfig::default())
    }

    /// A session of revision 3 on polling, its handshake answered.
    fn polling_v3() -> Self {
        Self::open("EIO=3&transport=polling", allowing_v3())
    }

    /// A session of revision 4 that began on a WebSocket, its open packet taken.
    fn websocket() -> (Self, WebSocketId) {
        let mut peer = Self::open("EIO=4&transport=websocket", ServerConfig::default());
        let on = WebSocketId(0);
        let frames = peer.frames(on);
        assert!(frames.len() == 1 && frames[0].starts_with("0{\"sid\":"), "{frames:?}");
        (peer, on)
    }

    fn open(query: &str, config: ServerConfig) -> Self {
        let fields = if query.contains("websocket") {
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        } else {
            ""
        };
        let raw = format!("GET /engine.io/?{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = RequestHead::parse(raw.as_bytes(), 100).unwrap();
        let router = Router::new(config);
        let Ok(Route::Open(opening)) = router.route(&head) else { panic!("a handshake") };
        let first = match opening.transport() {
            TransportKind::Polling => CarrierId::Exchange(ExchangeId(0)),
            TransportKind::WebSocket => CarrierId::WebSocket(WebSocketId(0)),
        };
        let mut entropy = |buffer: &mut [u8]| buffer.fill(1);
        let session = router.open(Time::ZERO, &mut entropy, opening, first).unwrap();
        let mut peer = Self {
            session,
            now: Time::ZERO,
            next_id: 0,
            answers: BTreeMap::new(),
            closed_sockets: Vec::new(),
            events: Vec::new(),
        };
        peer.drain();
        if let CarrierId::Exchange(on) = first {
            assert_eq!(peer.answer(on).status, 200);
        }
        peer
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Takes the session's actions; its events stay until they are asked for.
    fn drain(&mut self) {
        while self.session.has_actions() {
            match self.session.poll_action().unwrap() {
                ServerAction::Respond(on, response) => {
                    assert!(self.answers.insert(on.0, response).is_none(), "{on:?} answered twice");
                }
                ServerAction::CloseWebSocket(on) => self.closed_sockets.push(on),
            }
        }
        assert!(self.session.poll_action().is_none());
    }

    fn get(&mut self) -> ExchangeId {
        let on = ExchangeId(self.fresh_id());
        self.session.handle_poll(self.now, on);
        self.drain();
        on
    }

    fn post(&mut self, body: impl Into<Bytes>) -> ExchangeId {
        let on = self.begin_post();
        self.end_post(on, body);
        on
    }

    fn begin_post(&mut self) -> ExchangeId {
        let on = ExchangeId(self.fresh_id());
        self.session.handle_post(self.now, on, false);
        self.drain();
        on
    }

    fn end_post(&mut self, on: ExchangeId, body: impl Into<Bytes>) {
        self.session.handle_body(self.now, on, Body::Complete(body.into()));
        self.drain();
    }

    /// A WebSocket opens for an upgrade.
    fn socket(&mut self) -> WebSocketId {
        let on = WebSocketId(self.fresh_id());
        self.session.handle_websocket_open(self.now, on, false);
        self.drain();
        on
    }

    fn text(&mut self, on: WebSocketId, text: &str) {
        self.session.handle_websocket_message(self.now, on, text.into());
        self.drain();
    }

    /// A session on a WebSocket after an upgrade.
    fn upgraded(mut self) -> (Self, WebSocketId) {
        let on = self.socket();
        self.text(on, "2probe");
        assert_eq!(self.frames(on), ["3probe"]);
        self.text(on, "5");
        assert_eq!(self.events(), [Event::Upgraded]);
        (self, on)
    }

    fn send(&mut self, message: impl crate::IntoEncoded) {
        self.session.send(message).unwrap();
        self.drain();
    }

    fn close(&mut self) {
        self.session.close(self.now);
        self.drain();
    }

    /// Lets time pass, stopping at every deadline on the way.
    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((deadline, _)) = self.session.poll_timeout().filter(|next| next.0 <= end) {
            self.now = deadline;
            self.session.handle_timeout(deadline);
            self.drain();
        }
        self.now = end;
    }

    fn answer(&mut self, on: ExchangeId) -> Response {
        self.answers.remove(&on.0).unwrap_or_else(|| panic!("{on:?} has no answer"))
    }

    /// The body of an answer with status 200.
    fn body(&mut self, on: ExchangeId) -> String {
        let response = self.answer(on);
        assert_eq!(response.status, 200);
        String::from_utf8(response.body.to_vec()).unwrap()
    }

    /// Whether the exchange still waits.
    fn waits(&self, on: ExchangeId) -> bool {
        !self.answers.contains_key(&on.0)
    }

    /// All frames for a WebSocket, as text.
    fn frames(&mut self, on: WebSocketId) -> Vec<String> {
        let mut frames = Vec::new();
        loop {
            let wanted = self.session.wants_write(on);
            let frame = self.session.poll_write(on);
            assert_eq!(frame.is_some(), wanted);
            let Some(frame) = frame else { break };
            let mut bytes: Vec<u8> = frame.prefix.into_iter().collect();
            bytes.extend_from_slice(&frame.payload);
            frames.push(String::from_utf8(bytes).unwrap());
        }
        self.drain();
        frames
    }

    /// All events so far.
    fn events(&mut self) -> Vec<Event> {
        while self.session.has_events() {
            self.events.extend(self.session.poll_event());
        }
        assert_eq!(self.session.poll_event(), None);
        self.drain();
        core::mem::take(&mut self.events)
    }

    /// The reason for which the session has just closed, if nothing else happened.
    fn closed(&mut self) -> CloseReason {
        match self.events().as_slice() {
            [Event::Closed(reason)] => {
                assert_eq!(self.session.close_reason(), Some(reason));
                assert_eq!(self.session.poll_timeout(), None, "a closed session has a deadline");
                reason.clone()
            }
            other => panic!("not just closed: {other:?}"),
        }
    }

    fn admit(&self, method: &str, query: &str) -> Result<Admission, Reject> {
        let fields = match method {
            "UPGRADE" => "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            _ => "",
        };
        let method = if method == "UPGRADE" { "GET" } else { method };
        let sid = self.session.sid();
        let raw = format!(
            "{method} /engine.io/?sid={}&{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n",
            sid.as_str()
        );
        let head = RequestHead::parse(raw.as_bytes(), 100).unwrap();
        match Router::new(allowing_v3()).route(&head) {
            Ok(Route::Session(request)) => self.session.admit(&request),
            other => panic!("not a request of a session: {other:?}"),
        }
    }
}

fn allowing_v3() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.allow_eio3 = true;
    config
}

fn text(message: &str) -> Event {
    Event::Message(message.into())
}

fn fault(fault: TransportFault) -> CloseReason {
    CloseReason::TransportError(fault)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn debug_shows_neither_the_session_id_nor_messages() {
    let mut peer = Peer::polling();
    peer.send("a secret");
    let sid = peer.session.sid();
    let debug = format!("{:?} {sid:?}", peer.session);
    assert!(debug.starts_with("ServerSession { revision: V4, state: Open"), "{debug}");
    assert!(!debug.contains(sid.as_str()) && !debug.contains("secret"), "{debug}");
}

#[test]
fn debug_of_what_carries_the_handshake_does_not_show_the_session_id() {
    let raw = b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";
    let router = Router::new(ServerConfig::default());
    let Ok(Route::Open(opening)) = router.route(&RequestHead::parse(raw, 100).unwrap()) else {
        panic!("a handshake");
    };
    let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
    let first = CarrierId::Exchange(ExchangeId(0));
    let mut session = router.open(Time::ZERO, &mut entropy, opening, first).unwrap();
    let sid = session.sid();
    let action = session.poll_action().unwrap();
    let mut debug = format!("{action:?} {session:?}");
    let ServerAction::Respond(_, response) = action else { panic!("{action:?}") };
    assert!(response.body.starts_with(b"0{\"sid\":\""));
    let mut output = Output::new();
    output.put_bytes(&response.body);
    let mut bytes = response.body.to_vec();
    debug +=
        &format!("{output:?} {:?} {:?}", Input::new(&mut bytes), http::Response::from(response));
    assert!(!debug.contains(sid.as_str()), "{debug}");
}

#[test]
fn requests_are_admitted_by_revision_method_and_transport() {
    let peer = Peer::polling();
    let polling = "EIO=4&transport=polling";
    assert_eq!(peer.admit("GET", polling), Ok(Admission::Poll));
    assert_eq!(peer.admit("POST", polling), Ok(Admission::Post { binary: false }));
    let upgrade = Ok(Admission::Upgrade { base64: false });
    assert_eq!(peer.admit("UPGRADE", "EIO=4&transport=websocket"), upgrade);
    let bad = |reason: BadRequest| Err(Reject::BadRequest(reason));
    for query in ["EIO=3&transport=polling", "transport=polling"] {
        assert_eq!(peer.admit("GET", query), bad(BadRequest::RevisionMismatch));
    }
    let mismatch = bad(BadRequest::TransportMismatch);
    assert_eq!(peer.admit("GET", "EIO=4&transport=websocket"), mismatch);
    assert_eq!(peer.admit("UPGRADE", polling), bad(BadRequest::TransportHandshake));
    for method in ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
        assert_eq!(peer.admit(method, polling), Err(Reject::MethodNotAllowed), "{method}");
    }
}

#[test]
fn a_session_on_a_websocket_takes_no_other_requests() {
    let (direct, _) = Peer::websocket();
    let (upgraded, _) = Peer::polling().upgraded();
    for peer in [direct, upgraded] {
        let bad = |reason: BadRequest| Err(Reject::BadRequest(reason));
        let polling = "EIO=4&transport=polling";
        assert_eq!(peer.admit("GET", polling), bad(BadRequest::TransportMismatch));
        assert_eq!(peer.admit("POST", polling), bad(BadRequest::TransportMismatch));
        let websocket = "EIO=4&transport=websocket";
        assert_eq!(peer.admit("GET", websocket), bad(BadRequest::TransportHandshake));
    }
}

#[test]
fn further_websocket_of_a_session_on_a_websocket_is_closed_and_the_session_unharmed() {
    for (mut peer, first) in [Peer::websocket(), Peer::polling().upgraded()] {
        let upgrade = Ok(Admission::Upgrade { base64: false });
        assert_eq!(peer.admit("UPGRADE", "EIO=4&transport=websocket"), upgrade);
        let second = peer.socket();
        assert_eq!(peer.closed_sockets, [second]);
        for late in ["2probe", "5", "4stray", "1"] {
            peer.text(second, late);
        }
        peer.send("yours");
        assert!(peer.frames(second).is_empty());
        peer.session.handle_websocket_lost(peer.now, second, WebSocketEnd::Failed);
        peer.text(first, "4mine");
        assert_eq!(peer.events(), [text("mine")]);
        assert_eq!(peer.frames(first), ["4yours"]);
    }
}

#[test]
fn a_session_on_a_websocket_offers_no_upgrades() {
    let mut peer = Peer::open("EIO=4&transport=websocket", ServerConfig::default());
    assert!(peer.frames(WebSocketId(0))[0].contains("\"upgrades\":[],"));
}

#[test]
fn the_initial_packet_comes_with_the_handshake() {
    let mut config = ServerConfig::default();
    config.initial_packet = Some("initial".into());
    let mut peer = Peer::open("EIO=4&transport=websocket", config);
    let frames = peer.frames(WebSocketId(0));
    assert!(frames.len() == 2 && frames[1] == "4initial", "{frames:?}");
}
