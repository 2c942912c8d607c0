//! The client's session through its public API, on a virtual clock.

mod closing;
mod heartbeat;
mod opening;
mod pair;
mod polling;
mod redirects;
mod upgrade;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::ToString,
    vec,
    vec::Vec,
};
use core::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{exchange::HttpResponse, limits::Limits, packet::Revision, url::Url};

/// A session, and everything that it has asked for.
struct Host {
    session: ClientSession,
    now: Time,
    /// Requests that have not been answered.
    requests: BTreeMap<ExchangeId, Request>,
    abandoned: BTreeSet<ExchangeId>,
    /// WebSockets that have been asked for and neither opened nor refused.
    opening: BTreeMap<WebSocketId, Request>,
    closed_sockets: Vec<WebSocketId>,
}

/// The head of an answer.
struct Answer<'a> {
    status: u16,
    fields: &'a [(&'a str, &'a str)],
}

impl HttpResponse for Answer<'_> {
    fn status(&self) -> u16 {
        self.status
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        let mut values = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.nth(nth).map(|(_, value)| value.as_bytes())
    }
}

impl Host {
    fn new(change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        change(&mut config);
        Self::with(config, false)
    }

    fn with(config: ClientConfig, websocket_worked: bool) -> Self {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let config = Arc::new(config);
        let session = ClientSession::new(Time::ZERO, config, websocket_worked, &mut entropy);
        let mut host = Self {
            session,
            now: Time::ZERO,
            requests: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            opening: BTreeMap::new(),
            closed_sockets: Vec::new(),
        };
        host.drain();
        host
    }

    /// A session that is open on polling and will stay there; its GET waits.
    fn polling() -> Self {
        let mut host = Self::new(|_| {});
        host.answer_get(&open("[]"));
        assert_eq!(host.events(), [Event::Opened]);
        host
    }

    /// A session that is open on a WebSocket.
    fn websocket() -> (Self, WebSocketId) {
        let mut host = Self::new(|config| config.transports = vec![TransportKind::WebSocket]);
        let on = host.open_socket();
        host.text(on, &open("[]"));
        assert_eq!(host.events(), [Event::Opened]);
        (host, on)
    }

    /// A session that is open on polling and probing a WebSocket, which is open.
    fn probing() -> (Self, WebSocketId) {
        let mut host = Self::new(|_| {});
        host.answer_get(&open(r#"["websocket"]"#));
        assert_eq!(host.events(), [Event::Opened]);
        let on = host.open_socket();
        assert_eq!(host.frames(on), ["2probe"]);
        (host, on)
    }

    fn drain(&mut self) {
        while self.session.has_actions() {
            match self.session.poll_action(self.now).unwrap() {
                ClientAction::Request(on, request) => {
                    assert!(self.requests.insert(on, request).is_none(), "{on:?} twice");
                    let of = |method| self.requests.values().filter(|r| r.method == method).count();
                    assert!(of("GET") <= 1 && of("POST") <= 1, "{:?}", self.requests);
                }
                ClientAction::Abandon(on) => {
                    assert!(self.requests.remove(&on).is_some(), "{on:?} was not under way");
                    self.abandoned.insert(on);
                }
                ClientAction::OpenWebSocket(on, request) => {
                    assert!(self.opening.insert(on, request).is_none(), "{on:?} twice");
                }
                ClientAction::CloseWebSocket(on) => {
                    self.opening.remove(&on);
                    self.closed_sockets.push(on);
                }
            }
        }
        assert!(self.session.poll_action(self.now).is_none());
    }

    fn request(&self, method: &str) -> Option<(ExchangeId, &Request)> {
        let mut of = self.requests.iter().filter(|(_, request)| request.method == method);
        of.next().map(|(on, request)| (*on, request))
    }

    /// The body of the POST under way.
    fn posted(&self) -> &str {
        let (_, post) = self.request("POST").expect("a POST");
        core::str::from_utf8(&post.body).unwrap()
    }

    fn waits(&self) -> bool {
        self.request("GET").is_some()
    }

    fn answer(&mut self, method: &str, head: &Answer<'_>, body: impl Into<Bytes>) {
        let (on, _) = self.request(method).unwrap_or_else(|| panic!("no {method} is under way"));
        self.requests.remove(&on);
        self.session.handle_response(self.now, on, head, body.into());
        self.drain();
    }

    fn answer_get(&mut self, body: &str) {
        self.answer("GET", &Answer { status: 200, fields: &[] }, body.to_string());
    }

    fn answer_post(&mut self) {
        self.answer("POST", &Answer { status: 200, fields: &[] }, "ok");
    }

    fn lose(&mut self, method: &str, fault: TransportFault) {
        let (on, _) = self.request(method).unwrap_or_else(|| panic!("no {method} is under way"));
        self.requests.remove(&on);
        self.session.handle_exchange_lost(self.now, on, fault);
        self.drain();
    }

    /// Opens the WebSocket that is asked for.
    fn open_socket(&mut self) -> WebSocketId {
        let (on, _) = self.opening.pop_first().expect("a WebSocket is asked for");
        self.session.handle_websocket_open(self.now, on, None);
        self.drain();
        on
    }

    fn refuse_socket(&mut self) {
        let (on, _) = self.opening.pop_first().expect("a WebSocket is asked for");
        self.session.handle_websocket_refused(self.now, on, TransportFault::Status(400));
        self.drain();
    }

    fn text(&mut self, on: WebSocketId, text: &str) {
        self.session.handle_websocket_message(self.now, on, text.into());
        self.drain();
    }

    fn lose_socket(&mut self, on: WebSocketId, end: WebSocketEnd) {
        self.session.handle_websocket_lost(self.now, on, end);
        self.drain();
    }

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

    fn send(&mut self, message: &str) {
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

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.session.has_events() {
            events.extend(self.session.poll_event());
        }
        assert_eq!(self.session.poll_event(), None);
        self.drain();
        events
    }

    /// The reason for which the session has just closed, if nothing else happened. Nothing is left
    /// under way.
    fn closed(&mut self) -> CloseReason {
        match self.events().as_slice() {
            [Event::Closed(reason)] => {
                assert_eq!(self.session.close_reason(), Some(reason));
                assert_eq!(self.session.poll_timeout(), None);
                assert!(self.requests.is_empty() && self.opening.is_empty());
                assert!(self.session.is_closed() && !self.session.is_open());
                reason.clone()
            }
            other => panic!("not just closed: {other:?}"),
        }
    }
}

/// An open packet.
fn open(upgrades: &str) -> String {
    format!(
        r#"0{{"sid":"the-sid","upgrades":{upgrades},"pingInterval":25000,"pingTimeout":20000,"maxPayload":100}}"#
    )
}

fn message(text: &str) -> Event {
    Event::Message(text.into())
}

fn error(fault: TransportFault) -> CloseReason {
    CloseReason::TransportError(fault)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn debug_shows_neither_the_session_id_nor_messages_nor_the_query() {
    let mut host = Host::polling();
    host.send("a secret");
    let debug = format!("{:?} {:?}", host.session, host.requests);
    assert!(debug.starts_with("ClientSession { state: Open, transport: Polling"), "{debug}");
    assert!(debug.contains("post: Some(Post { on: ExchangeId(3), body: 9 })"), "{debug}");
    assert!(!debug.contains("the-sid") && !debug.contains("secret"), "{debug}");
}

#[test]
fn debug_of_the_configuration_shows_names_of_header_fields_but_no_values_and_no_query() {
    let mut config = ClientConfig::new(&Url::parse("http://a/?token=secret").unwrap());
    config.headers.push("Authorization", "secret").unwrap();
    let debug = format!("{config:?}");
    assert!(
        debug.starts_with("ClientConfig { path: \"/engine.io/\", headers: [\"Authorization\"]"),
        "{debug}"
    );
    assert!(!debug.contains("secret"), "{debug}");
}
