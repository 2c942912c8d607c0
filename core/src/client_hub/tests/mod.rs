//! A whole client through its public API: bytes in, bytes out, on a virtual clock.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::time::Duration;

use bytes::Buf;

use super::*;
use crate::{
    channel::CloseReason,
    config::TransportKind,
    wire::{
        Output,
        http::RequestHead,
        ws::{self, Received, Role, WebSocket},
    },
};

mod closing;
mod kept;
mod progress;
mod proxy;
mod redirects;
mod websocket;
mod writing;

/// A client, and the server's view of its connections.
struct Server {
    hub: ClientHub,
    now: Time,
    /// Bytes written to each connection and not looked at yet.
    written: BTreeMap<ClientConnectionId, Vec<u8>>,
    connecting: Vec<ClientConnectionId>,
    /// Connections that the hub has asked to encrypt.
    encrypting: Vec<ClientConnectionId>,
    closed: Vec<ClientConnectionId>,
    /// Bytes that each connection takes before it is blocked.
    room: usize,
}

impl Server {
    fn new(change: impl FnOnce(&mut ClientConfig)) -> Self {
        Self::of("http://localhost:3000", change)
    }

    fn of(url: &str, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let url = Url::parse(url).unwrap();
        let mut config = ClientConfig::new(&url);
        config.timestamp_requests = Some(false);
        change(&mut config);
        let hub = ClientHub::new(Time::ZERO, &url, Arc::new(config), false, &mut seven());
        let mut server = Self {
            hub,
            now: Time::ZERO,
            written: BTreeMap::new(),
            connecting: Vec::new(),
            encrypting: Vec::new(),
            closed: Vec::new(),
            room: usize::MAX,
        };
        server.drain();
        server
    }

    /// A session that is open on polling; its GET waits on the connection.
    fn polling(upgrades: &str) -> (Self, ClientConnectionId) {
        let mut server = Self::new(|_| {});
        let first = server.connect();
        server.request(first);
        server.bytes(first, answer(&open(upgrades), "Connection: close\r\n").as_bytes());
        server.closed.clear();
        assert_eq!(server.hub.poll_event(), Some(Event::Opened));
        server.connecting.sort();
        // The WebSocket, if there is to be one, is asked for first.
        let connection = server.connecting.pop().unwrap();
        assert!(server.hub.handle_connected(server.now, connection));
        server.drain();
        let target = "/engine.io/?EIO=4&transport=polling&sid=the-sid";
        assert_eq!(server.request(connection), format!("GET {target}"));
        (server, connection)
    }

    /// A session that is open on a WebSocket.
    fn websocket() -> (Self, ClientConnectionId, WebSocket) {
        let mut server = Self::new(|config| config.transports = vec![TransportKind::WebSocket]);
        let connection = server.connect();
        let mut ws = server.accept(connection);
        server.say(connection, &mut ws, &open("[]"));
        assert_eq!(server.hub.poll_event(), Some(Event::Opened));
        (server, connection, ws)
    }

    fn drain(&mut self) {
        loop {
            let wanted = self.hub.has_actions();
            let Some(action) = self.hub.poll_action(self.now, &mut seven()) else { break };
            assert!(wanted, "{action:?}");
            match action {
                ClientHubAction::Connect(id) => self.connecting.push(id),
                ClientHubAction::Encrypt(id) => self.encrypting.push(id),
                ClientHubAction::Close(id) => {
                    self.connecting.retain(|&connecting| connecting != id);
                    self.closed.push(id);
                }
                ClientHubAction::Write(id) => {
                    let written = self.written.entry(id).or_default();
                    let room = &mut self.room;
                    self.hub.transmit(self.now, id, |bytes| {
                        let n = bytes.len().min(*room);
                        *room -= n;
                        written.extend_from_slice(&bytes[..n]);
                        n
                    });
                }
            }
        }
        assert!(!self.hub.has_actions());
        let over = self.hub.session().is_closed() && self.hub.connections.is_empty();
        assert_eq!(self.hub.is_finished(), over);
    }

    fn connect(&mut self) -> ClientConnectionId {
        let id = self.connecting.remove(0);
        assert!(self.hub.handle_connected(self.now, id));
        self.drain();
        id
    }

    fn bytes(&mut self, connection: ClientConnectionId, bytes: &[u8]) {
        assert!(self.hub.is_reading(connection));
        self.hub.handle_bytes(self.now, connection, &mut bytes.to_vec());
        self.drain();
    }

    /// The method and target of the one request on a connection, and its body.
    fn request(&mut self, connection: ClientConnectionId) -> String {
        let bytes = self.written.remove(&connection).unwrap_or_default();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a request") + 4;
        let head = RequestHead::parse(&bytes[..end], 100).unwrap();
        assert_eq!(head.header("host"), Some(&b"localhost:3000"[..]));
        let body = core::str::from_utf8(&bytes[end..]).unwrap();
        let separator = if body.is_empty() { "" } else { " " };
        format!("{} {}?{}{separator}{body}", head.method(), head.path(), head.query())
    }

    fn answer(&mut self, connection: ClientConnectionId, body: &str) {
        self.bytes(connection, answer(body, "").as_bytes());
    }

    /// Completes the opening handshake that was asked for.
    fn accept(&mut self, connection: ClientConnectionId) -> WebSocket {
        let head = self.switch(connection, "");
        self.bytes(connection, head.as_bytes());
        WebSocket::new(Role::Server, 1_000_000, 100)
    }

    /// The response to the opening handshake that was asked for, with further fields.
    fn switch(&mut self, connection: ClientConnectionId, fields: &str) -> String {
        let bytes = self.written.remove(&connection).unwrap();
        let accept = ws::accept(&RequestHead::parse(&bytes, 100).unwrap()).unwrap();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{fields}\r\n",
            accept.as_str()
        )
    }

    /// The server sends a text on a WebSocket.
    fn say(&mut self, connection: ClientConnectionId, ws: &mut WebSocket, text: &str) {
        let mut output = Output::new();
        ws.write(false, None, &text.to_string().into(), &mut output);
        let bytes = output.copy_to_bytes(output.remaining());
        self.bytes(connection, &bytes);
    }

    /// Messages that the client has sent on a WebSocket.
    fn heard(&mut self, connection: ClientConnectionId, ws: &mut WebSocket) -> Vec<String> {
        let mut bytes = self.written.remove(&connection).unwrap_or_default();
        let (mut arena, mut output) = (Arena::new(), Output::new());
        let mut input = Input::new(&mut bytes);
        let mut heard = Vec::new();
        while let Some(received) = ws.handle_bytes(&mut input, &mut arena, &mut output) {
            heard.push(match received {
                Received::Message(message) => message.as_text().unwrap().to_string(),
                Received::Closed(how) => format!("{how:?}"),
            });
        }
        let replies = output.copy_to_bytes(output.remaining());
        if !replies.is_empty() {
            self.bytes(connection, &replies);
        }
        heard
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.hub.poll_timeout().filter(|&deadline| deadline <= end) {
            self.now = deadline;
            self.hub.handle_timeout(deadline);
            self.drain();
        }
        self.now = end;
    }

    fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.hub.poll_event()).collect()
    }
}

fn seven() -> impl FnMut(&mut [u8]) {
    |buffer: &mut [u8]| buffer.fill(7)
}

fn answer(body: &str, fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn open(upgrades: &str) -> String {
    format!(
        r#"0{{"sid":"the-sid","upgrades":{upgrades},"pingInterval":25000,"pingTimeout":20000}}"#
    )
}

fn message(text: &str) -> Event {
    Event::Message(text.into())
}

fn closed(fault: TransportFault) -> Event {
    Event::Closed(CloseReason::TransportError(fault))
}

#[test]
fn a_server_that_cannot_be_reached_is_reported_once() {
    let mut server = Server::new(|_| {});
    let connection = server.connecting.remove(0);
    server.hub.handle_refused(server.now, connection);
    server.drain();
    assert_eq!(server.events(), [closed(TransportFault::Unreachable)]);
    assert!(server.hub.is_finished() && server.closed.is_empty());
}

#[test]
fn a_fault_of_http_ends_the_session() {
    let (mut server, get) = Server::polling("[]");
    server.bytes(get, b"SIP/2.0 200 OK\r\n\r\n");
    let events = server.events();
    assert!(
        matches!(events[..], [Event::Closed(CloseReason::TransportError(TransportFault::Http(_)))]),
        "{events:?}"
    );
    assert!(server.hub.is_finished());
}

#[test]
fn debug_shows_no_secret() {
    let (mut server, _) = Server::polling(r#"["websocket"]"#);
    server.hub.send("a secret").unwrap();
    let debug = format!("{:?}", server.hub);
    assert!(debug.starts_with("ClientHub { session: ClientSession { state: Open"), "{debug}");
    for task in ["http", "handshake"] {
        assert!(debug.contains(&format!("task: \"{task}\"")), "{debug}");
    }
    assert!(!debug.contains("the-sid") && !debug.contains("secret"), "{debug}");
}
