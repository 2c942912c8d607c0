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

/// A client, and the server's view of its connections.
struct Server {
    hub: ClientHub,
    now: Time,
    /// What has been written to each connection and not looked at yet.
    written: BTreeMap<ClientConnectionId, Vec<u8>>,
    connecting: Vec<ClientConnectionId>,
    closed: Vec<ClientConnectionId>,
    /// Bytes that each connection takes before it is blocked.
    room: usize,
}

impl Server {
    fn new(change: impl FnOnce(&mut ClientConfig)) -> Self {
        let url = Url::parse("http://localhost:3000").unwrap();
        let mut config = ClientConfig::new(&url);
        config.timestamp_requests = Some(false);
        change(&mut config);
        let hub = ClientHub::new(Time::ZERO, &url, Arc::new(config), false, &mut seven());
        let mut server = Self {
            hub,
            now: Time::ZERO,
            written: BTreeMap::new(),
            connecting: Vec::new(),
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
        while let Some(action) = self.hub.poll_action(self.now, &mut seven()) {
            match action {
                ClientHubAction::Connect(id) => self.connecting.push(id),
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
        let bytes = self.written.remove(&connection).unwrap();
        let head = RequestHead::parse(&bytes, 100).unwrap();
        let accept = ws::accept(&head).unwrap();
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept.as_str()
        );
        self.bytes(connection, head.as_bytes());
        WebSocket::new(Role::Server, 1_000_000, 100)
    }

    /// The server sends a text on a WebSocket.
    fn say(&mut self, connection: ClientConnectionId, ws: &mut WebSocket, text: &str) {
        let mut output = Output::new();
        ws.write(false, None, &text.to_string().into(), &mut output);
        let bytes = output.copy_to_bytes(output.remaining());
        self.bytes(connection, &bytes);
    }

    /// What the client has sent on a WebSocket.
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
fn connections_are_used_again_once_they_have_rested() {
    let (mut server, first) = Server::polling("[]");
    server.wait(Duration::from_millis(25));
    server.answer(first, "4a");
    let second = server.connect();
    assert!(server.request(second).starts_with("GET "), "the first rests");
    server.wait(Duration::from_millis(25));
    server.hub.send("b").unwrap();
    server.drain();
    assert!(server.request(first).ends_with(" 4b"));
    assert_eq!(server.events(), [message("a")]);
    assert!(server.connecting.is_empty() && server.closed.is_empty());
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn however_fast_it_goes_there_are_few_connections() {
    let (mut server, mut get) = Server::polling("[]");
    let mut connections = alloc::collections::BTreeSet::from([get]);
    for _ in 0..100 {
        server.answer(get, "4a");
        get = match server.connecting.len() {
            0 => *server.written.keys().next().unwrap(),
            _ => server.connect(),
        };
        assert!(server.request(get).starts_with("GET "));
        connections.insert(get);
    }
    assert_eq!(connections.len(), MAX_CONNECTIONS);
    assert_eq!(server.events().len(), 100);
}

#[test]
fn a_connection_that_is_kept_and_brings_what_nobody_asked_for_is_closed() {
    let (mut server, first) = Server::polling("[]");
    server.answer(first, "4a");
    let second = server.connect();
    assert!(server.request(second).starts_with("GET "), "the first rests");
    server.bytes(first, b"HTTP/1.1 408 Request Timeout\r\n");
    assert_eq!(server.closed, [first]);
    assert_eq!(server.events(), [message("a")]);
}

#[test]
fn answers_may_come_in_any_pieces() {
    let (mut server, get) = Server::polling("[]");
    let text = answer("4a\u{1e}4é", "");
    for byte in text.bytes() {
        server.bytes(get, &[byte]);
    }
    assert_eq!(server.events(), [message("a"), message("é")]);
}

#[test]
fn a_connection_that_is_not_kept_is_replaced() {
    let (mut server, first) = Server::polling("[]");
    server.bytes(first, answer("4a", "Connection: close\r\n").as_bytes());
    assert_eq!(server.closed, [first]);
    let second = server.connect();
    assert!(server.request(second).starts_with("GET "));
    server.answer(second, "4b");
    assert_eq!(server.events(), [message("a"), message("b")]);
}

#[test]
fn an_idle_connection_is_not_used_after_a_jump_of_the_clock() {
    for excused in [false, true] {
        let (mut server, get) = Server::polling("[]");
        server.hub.send("a").unwrap();
        server.drain();
        let post = server.connect();
        server.answer(post, "ok");
        // The process was away, and reads before it looks at the clock.
        server.now = server.now + Duration::from_secs(60);
        if excused {
            server.hub.extend_deadlines(server.now + Duration::from_secs(60));
        }
        server.answer(get, "4a");
        assert_eq!(server.closed, [post], "{excused}");
        let next = server.connect();
        assert!(server.request(next).starts_with("GET "));
    }
}

#[test]
fn an_idle_connection_is_closed_before_the_server_might() {
    let (mut server, _) = Server::polling("[]");
    server.hub.send("a").unwrap();
    server.drain();
    let post = server.connect();
    server.answer(post, "ok");
    server.wait(Duration::from_millis(3_999));
    assert!(server.closed.is_empty());
    server.wait(Duration::from_millis(1));
    assert_eq!(server.closed, [post]);
}

/// For so long a connection is left alone.
const REST: Duration = Duration::from_millis(25);

/// The ways in which a connection ends.
const ENDS: [fn(&mut ClientHub, Time, ClientConnectionId); 2] =
    [ClientHub::handle_eof, ClientHub::handle_lost];

/// A session on polling with a message under way. Its GET and its POST are on kept connections.
fn on_kept_connections() -> (Server, ClientConnectionId, ClientConnectionId) {
    let (mut server, first) = Server::polling("[]");
    server.hub.send("a").unwrap();
    server.drain();
    let second = server.connect();
    assert!(server.request(second).ends_with(" 4a"));
    server.answer(second, "ok");
    server.wait(REST);
    server.answer(first, "4first");
    assert!(server.request(second).starts_with("GET "));
    server.wait(REST);
    server.hub.send("b").unwrap();
    server.drain();
    assert_eq!(server.events(), [message("first")]);
    let (get, post) = (second, first);
    (server, get, post)
}

#[test]
fn a_request_that_meets_the_close_of_a_kept_connection_is_sent_again_on_a_fresh_one() {
    for end in ENDS {
        let (mut server, get, post) = on_kept_connections();
        let posted = server.request(post);
        for (connection, body) in [(post, "ok"), (get, "4second")] {
            end(&mut server.hub, server.now, connection);
            server.drain();
            let fresh = server.connect();
            let request = server.request(fresh);
            if connection == post {
                assert_eq!(request, posted);
            } else {
                assert!(request.starts_with("GET ") && request.ends_with("sid=the-sid"));
            }
            server.answer(fresh, body);
        }
        assert_eq!(server.events(), [message("second")]);
    }
}

#[test]
fn a_connection_that_is_closed_right_behind_an_answer_is_no_loss() {
    let (mut server, mut get) = Server::polling("[]");
    for _ in 0..20 {
        server.answer(get, "4a");
        let last = core::mem::replace(&mut get, server.connect());
        assert!(server.request(get).starts_with("GET "));
        server.hub.handle_eof(server.now, last);
        server.drain();
        assert_eq!(server.closed.pop(), Some(last));
    }
    assert_eq!(server.events().len(), 20);
}

#[test]
fn a_request_is_sent_again_once_and_from_a_fresh_connection_never() {
    for end in ENDS {
        let (mut server, _, post) = on_kept_connections();
        end(&mut server.hub, server.now, post);
        server.drain();
        let fresh = server.connect();
        end(&mut server.hub, server.now, fresh);
        server.drain();
        assert_eq!(server.events(), [closed(TransportFault::ConnectionLost)]);
        assert!(server.connecting.is_empty() && server.hub.is_finished());
    }
    for method in ["GET", "POST"] {
        for end in ENDS {
            let (mut server, get) = Server::polling("[]");
            server.hub.send("a").unwrap();
            server.drain();
            let post = server.connect();
            end(&mut server.hub, server.now, if method == "GET" { get } else { post });
            server.drain();
            assert_eq!(server.events(), [closed(TransportFault::ConnectionLost)]);
            assert!(server.connecting.is_empty() && server.hub.is_finished());
        }
    }
}

#[test]
fn a_fresh_connection_that_cannot_be_had_ends_the_session() {
    let (mut server, _, post) = on_kept_connections();
    server.hub.handle_eof(server.now, post);
    server.drain();
    let fresh = server.connecting.remove(0);
    server.hub.handle_refused(server.now, fresh);
    server.drain();
    assert_eq!(server.events(), [closed(TransportFault::Unreachable)]);
    assert!(server.hub.is_finished());
}

#[test]
fn a_request_is_not_sent_again_once_a_byte_of_the_response_has_come() {
    for end in ENDS {
        let (mut server, _, post) = on_kept_connections();
        server.bytes(post, b"H");
        end(&mut server.hub, server.now, post);
        server.drain();
        assert_eq!(server.events(), [closed(TransportFault::ConnectionLost)]);
    }
}

#[test]
fn a_poll_that_the_server_has_held_is_not_sent_again() {
    for (held, again) in [(4999, true), (5000, false)] {
        let (mut server, get, _) = on_kept_connections();
        // The poll was sent before the last rest.
        server.wait(Duration::from_millis(held) - REST);
        server.hub.handle_eof(server.now, get);
        server.drain();
        let events = server.events();
        assert_eq!(events.is_empty(), again, "{events:?} after {held} ms");
        assert_eq!(server.connecting.len(), usize::from(again));
    }
}

#[test]
fn a_large_body_that_was_cut_is_sent_again_from_its_start() {
    let (mut server, _, post) = on_kept_connections();
    server.answer(post, "ok");
    server.wait(REST);
    server.written.clear();
    server.room = 1000;
    server.hub.send("x".repeat(100_000)).unwrap();
    server.drain();
    assert_eq!(server.written.remove(&post).unwrap().len(), 1000);
    server.hub.handle_lost(server.now, post);
    server.room = usize::MAX;
    server.drain();
    let fresh = server.connect();
    assert!(server.request(fresh).ends_with(&"x".repeat(100_000)));
    server.answer(fresh, "ok");
    assert!(server.events().is_empty());
}

#[test]
fn request_timeout_as_a_status_means_a_close_on_a_kept_connection_only() {
    let timeout = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    let (mut server, get, post) = on_kept_connections();
    for (connection, method) in [(get, "GET"), (post, "POST")] {
        server.bytes(connection, timeout);
        assert_eq!(server.closed.pop(), Some(connection));
        let fresh = server.connect();
        assert!(server.request(fresh).starts_with(method));
    }
    let (mut server, get) = Server::polling("[]");
    server.bytes(get, timeout);
    assert_eq!(server.events(), [closed(TransportFault::Status(408))]);
}

#[test]
fn a_session_that_ends_gives_up_a_request_that_was_to_be_sent_again() {
    let (mut server, get, post) = on_kept_connections();
    server.hub.handle_eof(server.now, post);
    server.drain();
    server.closed.clear();
    let fresh = server.connecting[0];
    server.hub.abort();
    server.drain();
    assert_eq!(server.closed, [get, fresh]);
    assert!(server.connecting.is_empty() && server.hub.is_finished());
}

#[test]
fn a_connection_with_a_response_before_the_end_of_its_request_is_not_kept() {
    let (mut server, _, post) = on_kept_connections();
    server.answer(post, "ok");
    server.wait(REST);
    server.room = 1000;
    server.hub.send("x".repeat(100_000)).unwrap();
    server.drain();
    server.closed.clear();
    server.answer(post, "ok");
    assert_eq!(server.closed, [post]);
    assert!(server.events().is_empty());
}

#[test]
fn connections_go_to_the_host_that_a_redirect_names() {
    let mut server = Server::new(|_| {});
    let first = server.connect();
    assert_eq!(server.hub.address(first).unwrap().authority(), "localhost:3000");
    server.written.remove(&first).unwrap();
    let moved = "HTTP/1.1 307 \r\nLocation: https://example.com/p\r\nContent-Length: 0\r\n\r\n";
    server.bytes(first, moved.as_bytes());
    // The kept connection leads to another server.
    assert!(server.closed.is_empty() && server.written.is_empty());
    let second = server.connect();
    let url = server.hub.address(second).unwrap();
    assert_eq!((url.host(), url.port(), url.is_secure()), ("example.com", 443, true));
    let head = RequestHead::parse(&server.written.remove(&second).unwrap(), 100).unwrap();
    assert_eq!(head.header("host"), Some(&b"example.com"[..]));
    assert_eq!((head.path(), head.query()), ("/p", "EIO=4&transport=polling"));
    server.answer(second, &open(r#"["websocket"]"#));
    // The WebSocket and the next GET.
    assert_eq!(server.connecting.len(), 2);
    for connection in &server.connecting {
        assert_eq!(server.hub.address(*connection).unwrap().authority(), "example.com");
    }
    server.wait(Duration::from_secs(4));
    assert!(server.closed.contains(&first));
    assert_eq!(server.hub.address(first), None);
}

#[test]
fn a_relative_redirect_stays_with_its_server() {
    let (mut server, get) = Server::polling("[]");
    server.bytes(get, b"HTTP/1.1 302 \r\nLocation: p\r\nContent-Length: 0\r\n\r\n");
    let target = "/engine.io/p?EIO=4&transport=polling&sid=the-sid";
    let next = server.connect();
    assert_eq!(server.hub.address(next).unwrap().authority(), "localhost:3000");
    assert_eq!(server.request(next), format!("GET {target}"));
}

#[test]
fn a_redirect_of_a_websocket_is_a_failure() {
    let mut server = Server::new(|config| config.transports = vec![TransportKind::WebSocket]);
    let connection = server.connect();
    server.bytes(connection, b"HTTP/1.1 302 \r\nLocation: /p\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(server.events(), [closed(TransportFault::Status(302))]);
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
fn a_session_upgrades_and_leaves_no_other_connection() {
    let (mut server, get) = Server::polling(r#"["websocket"]"#);
    let socket = server.connect();
    let mut ws = server.accept(socket);
    assert_eq!(server.heard(socket, &mut ws), ["2probe"]);
    server.say(socket, &mut ws, "3probe");
    server.hub.send("a").unwrap();
    server.answer(get, "6");
    assert_eq!(server.heard(socket, &mut ws), ["5", "4a"]);
    assert_eq!(server.events(), [Event::Upgraded]);
    server.wait(Duration::from_secs(4));
    assert_eq!(server.closed, [get]);
    server.say(socket, &mut ws, "4b");
    assert_eq!(server.events(), [message("b")]);
}

#[test]
fn what_comes_behind_the_101_in_the_same_read_counts() {
    let mut server = Server::new(|config| config.transports = vec![TransportKind::WebSocket]);
    let connection = server.connect();
    let bytes = server.written.remove(&connection).unwrap();
    let accept = ws::accept(&RequestHead::parse(&bytes, 100).unwrap()).unwrap();
    let mut read = format!(
        "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept.as_str()
    )
    .into_bytes();
    let (mut ws, mut output) = (WebSocket::new(Role::Server, 1000, 10), Output::new());
    ws.write(false, None, &open("[]").into(), &mut output);
    ws.write(false, None, &"4early".into(), &mut output);
    read.extend_from_slice(&output.copy_to_bytes(output.remaining()));
    server.bytes(connection, &read);
    assert_eq!(server.events(), [Event::Opened, message("early")]);
}

#[test]
fn a_probe_that_is_refused_leaves_a_working_session() {
    for refusal in [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: wrong\r\n\r\n",
        "garbage\r\n\r\n",
        "",
    ] {
        let (mut server, get) = Server::polling(r#"["websocket"]"#);
        let socket = server.connect();
        if refusal.is_empty() {
            server.hub.handle_eof(server.now, socket);
            server.drain();
        } else {
            server.bytes(socket, refusal.as_bytes());
        }
        assert_eq!(server.closed, [socket], "{refusal}");
        server.answer(get, "4a");
        assert_eq!(server.events(), [message("a")]);
    }
}

#[test]
fn a_probe_that_is_given_up_before_it_is_connected_is_not_connected_any_more() {
    let (mut server, _) = Server::polling(r#"["websocket"]"#);
    let socket = server.connecting[0];
    server.wait(Duration::from_secs(10));
    assert!(server.connecting.is_empty());
    assert_eq!(server.closed, [socket]);
    assert!(!server.hub.handle_connected(server.now, socket));
    server.drain();
    assert!(!server.written.contains_key(&socket), "a name that is forgotten is ignored");
}

#[test]
fn websocket_opens_only_with_a_subprotocol_that_was_offered() {
    use ws::HandshakeRefused::{NoSubprotocol, Subprotocol};
    for (fields, refusal) in [
        ("Sec-WebSocket-Protocol: v2\r\n", None),
        ("Sec-WebSocket-Protocol: v3\r\n", Some(Subprotocol)),
        ("", Some(NoSubprotocol)),
    ] {
        let mut server = Server::new(|config| {
            config.transports = vec![TransportKind::WebSocket];
            config.push_protocol("v1").unwrap();
            config.push_protocol("v2").unwrap();
        });
        let connection = server.connect();
        let head = RequestHead::parse(&server.written.remove(&connection).unwrap(), 100).unwrap();
        assert_eq!(head.header("sec-websocket-protocol"), Some(&b"v1, v2"[..]));
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             {fields}Sec-WebSocket-Accept: {}\r\n\r\n",
            ws::accept(&head).unwrap().as_str()
        );
        server.bytes(connection, head.as_bytes());
        if let Some(refusal) = refusal {
            assert_eq!(server.events(), [closed(refusal.into())], "{fields}");
            continue;
        }
        let mut ws = WebSocket::new(Role::Server, 1_000_000, 100);
        server.say(connection, &mut ws, &open("[]"));
        assert_eq!(server.events(), [Event::Opened]);
        assert_eq!(server.hub.session().subprotocol(), Some("v2"));
    }
}

#[test]
fn a_websocket_says_what_is_queued_and_closes() {
    let (mut server, connection, mut ws) = Server::websocket();
    server.hub.send("a").unwrap();
    server.hub.close(server.now);
    server.drain();
    assert!(!server.hub.is_finished());
    let heard = server.heard(connection, &mut ws);
    assert_eq!(heard[0], "4a");
    assert!(heard[1].starts_with("Peer"), "{heard:?}");
    assert_eq!(server.events(), [Event::Closed(CloseReason::ForcedClose)]);
    assert_eq!(server.closed, [connection]);
    assert!(server.hub.is_finished());
}

#[test]
fn a_server_that_does_not_answer_a_close_is_not_waited_for_long() {
    let (mut server, connection, _) = Server::websocket();
    server.hub.close(server.now);
    server.drain();
    assert!(server.closed.is_empty());
    server.wait(Duration::from_secs(2));
    assert_eq!(server.closed, [connection]);
    assert!(server.hub.is_finished());
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_close_waits_for_a_server_that_takes_what_is_queued_slowly() {
    let (mut server, connection, mut ws) = Server::websocket();
    server.room = 0;
    for i in 0..50 {
        server.hub.send(format!("{i:01000}")).unwrap();
    }
    server.hub.close(server.now);
    server.drain();
    // 10 kB a second.
    for _ in 0..25 {
        server.wait(Duration::from_millis(250));
        assert!(server.closed.is_empty());
        server.room = 2500;
        server.hub.handle_writable(server.now, connection);
        server.drain();
    }
    let heard = server.heard(connection, &mut ws);
    assert_eq!(heard.len(), 51);
    assert!(heard[50].starts_with("Peer"), "{heard:?}");
    assert_eq!(server.closed, [connection]);
}

#[test]
fn a_close_does_not_wait_for_ever_for_a_server_that_takes_nothing() {
    let (mut server, connection, _) = Server::websocket();
    server.room = 0;
    server.hub.send("a").unwrap();
    server.hub.close(server.now);
    server.drain();
    server.wait(Duration::from_secs(29));
    assert!(server.closed.is_empty());
    server.wait(Duration::from_secs(1));
    assert_eq!(server.closed, [connection]);
    assert!(server.hub.is_finished());
}

#[test]
fn a_large_message_on_its_way_does_not_keep_us_from_reading() {
    let (mut server, connection, mut ws) = Server::websocket();
    server.room = 10;
    server.hub.send("x".repeat(300_000)).unwrap();
    server.drain();
    assert!(server.hub.is_reading(connection));
    server.say(connection, &mut ws, "2");
    server.say(connection, &mut ws, "4a");
    assert_eq!(server.events(), [message("a")]);
    // But a server that lets pongs of WebSocket pile up is not read any more.
    let ping = [&[0x89, 125][..], &[0; 125]].concat();
    let mut pings = 0;
    while server.hub.is_reading(connection) {
        server.bytes(connection, &ping);
        pings += 1;
        assert!(pings < 1000, "there is no end to it");
    }
    server.room = usize::MAX;
    server.hub.handle_writable(server.now, connection);
    server.drain();
    assert!(server.hub.is_reading(connection));
}

/// The rates of a slow transfer, in bytes a second, and whether the session outlives it.
const RATES: [(usize, bool); 3] = [(1200, true), (900, false), (0, false)];

#[test]
fn a_frame_that_comes_slowly_keeps_the_session_at_the_lowest_rate_and_above() {
    for (rate, lives) in RATES {
        let (mut server, connection, _) = Server::websocket();
        let mut head = vec![0x81, 127];
        head.extend_from_slice(&300_000_u64.to_be_bytes());
        server.bytes(connection, &head);
        let mut sent = 0;
        while sent < 200_000 && !server.hub.session().is_closed() {
            server.wait(Duration::from_secs(1));
            if rate > 0 && !server.hub.session().is_closed() {
                server.bytes(connection, &vec![b'4'; rate]);
                sent += rate;
            }
        }
        let timeout = vec![Event::Closed(CloseReason::PingTimeout)];
        assert_eq!(server.events(), if lives { vec![] } else { timeout }, "{rate} bytes a second");
        if lives {
            server.bytes(connection, &vec![b'4'; 300_000 - sent]);
            assert!(matches!(server.events()[..], [Event::Message(_)]));
        }
    }
}

#[test]
fn a_response_that_comes_slowly_keeps_the_session_at_the_lowest_rate_and_above() {
    for (rate, lives) in RATES {
        let (mut server, get) = Server::polling("[]");
        server.bytes(get, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n4");
        let mut sent = 1;
        while sent + rate < 200_000 && !server.hub.session().is_closed() {
            server.wait(Duration::from_secs(1));
            if rate > 0 && !server.hub.session().is_closed() {
                server.bytes(get, &vec![b'x'; rate]);
                sent += rate;
            }
        }
        let timeout = vec![Event::Closed(CloseReason::PingTimeout)];
        assert_eq!(server.events(), if lives { vec![] } else { timeout }, "{rate} bytes a second");
        if lives {
            server.bytes(get, &vec![b'x'; 200_000 - sent]);
            assert!(matches!(server.events()[..], [Event::Message(_)]));
        }
    }
}

#[test]
fn a_byte_a_minute_keeps_no_session() {
    let (mut server, get) = Server::polling("[]");
    server.bytes(get, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n4");
    server.wait(Duration::from_secs(40));
    server.bytes(get, b"x");
    server.wait(Duration::from_secs(5));
    assert_eq!(server.events(), [Event::Closed(CloseReason::PingTimeout)]);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_request_that_is_taken_slowly_keeps_the_session_at_the_lowest_rate_and_above() {
    for websocket in [false, true] {
        for (rate, lives) in RATES {
            let (mut server, connection) = match websocket {
                false => {
                    let (mut server, _) = Server::polling("[]");
                    server.hub.send("x".repeat(200_000)).unwrap();
                    server.drain();
                    server.room = 0;
                    let post = server.connect();
                    (server, post)
                }
                true => {
                    let (mut server, connection, _) = Server::websocket();
                    server.room = 0;
                    server.hub.send("x".repeat(200_000)).unwrap();
                    server.drain();
                    (server, connection)
                }
            };
            for _ in 0..150 {
                server.wait(Duration::from_secs(1));
                server.room = rate;
                server.hub.handle_writable(server.now, connection);
                server.drain();
            }
            let timeout = vec![Event::Closed(CloseReason::PingTimeout)];
            let expected = if lives { vec![] } else { timeout };
            assert_eq!(server.events(), expected, "{rate} bytes a second, {websocket}");
        }
    }
}

#[test]
fn bytes_that_a_socket_with_room_takes_are_no_signs_of_life() {
    for websocket in [false, true] {
        let mut server = match websocket {
            false => Server::polling("[]").0,
            true => Server::websocket().0,
        };
        for _ in 0..45 {
            server.hub.send("x".repeat(10_000)).unwrap();
            server.drain();
            if !server.connecting.is_empty() {
                server.connect();
            }
            server.wait(Duration::from_secs(1));
        }
        assert!(!server.written.is_empty());
        assert_eq!(server.events().pop(), Some(Event::Closed(CloseReason::PingTimeout)));
    }
}

#[test]
fn little_is_handed_out_at_a_time() {
    let (mut server, connection, mut ws) = Server::websocket();
    server.hub.send("x".repeat(300_000)).unwrap();
    let mut pieces = 0;
    while let Some(action) = server.hub.poll_action(server.now, &mut seven()) {
        assert_eq!(action, ClientHubAction::Write(connection));
        let mut taken = 0;
        server.hub.transmit(server.now, connection, |bytes| {
            taken += bytes.len();
            server.written.entry(connection).or_default().extend_from_slice(bytes);
            bytes.len()
        });
        assert!((1..=64 * 1024).contains(&taken), "{taken} at a time");
        pieces += 1;
    }
    assert_eq!(pieces, 5);
    assert_eq!(server.heard(connection, &mut ws), [format!("4{}", "x".repeat(300_000))]);
}

#[test]
fn a_loop_that_keeps_bytes_itself_gets_no_more_until_they_are_written() {
    let (mut server, connection, mut ws) = Server::websocket();
    server.hub.send("a").unwrap();
    server.drain();
    server.hub.handle_blocked(server.now, connection, 5);
    server.hub.send("b").unwrap();
    server.drain();
    assert_eq!(server.heard(connection, &mut ws), ["4a"]);
    server.hub.handle_writable(server.now, connection);
    server.drain();
    assert_eq!(server.heard(connection, &mut ws), ["4b"]);
}

#[test]
fn bytes_that_a_loop_keeps_tell_of_the_server_as_they_become_fewer() {
    for (rate, lives) in RATES {
        let (mut server, connection, _) = Server::websocket();
        server.hub.send("x".repeat(200_000)).unwrap();
        let mut left = 0;
        for _ in 0..150 {
            if left == 0 {
                server.hub.handle_writable(server.now, connection);
                assert!(server.hub.poll_action(server.now, &mut seven()).is_some());
                server.hub.transmit(server.now, connection, |bytes| {
                    left += bytes.len();
                    bytes.len()
                });
            }
            // The socket is full from the first byte on.
            server.hub.handle_blocked(server.now, connection, left);
            assert_eq!(server.hub.poll_action(server.now, &mut seven()), None);
            server.wait(Duration::from_secs(1));
            if server.hub.session().is_closed() {
                break;
            }
            left = left.saturating_sub(rate);
        }
        let timeout = vec![Event::Closed(CloseReason::PingTimeout)];
        let expected = if lives { vec![] } else { timeout };
        assert_eq!(server.events(), expected, "{rate} bytes a second");
    }
}

#[test]
fn a_close_counts_as_written_when_a_loop_that_keeps_it_says_so() {
    let (mut server, connection, _) = Server::websocket();
    server.hub.send("a").unwrap();
    server.hub.close(server.now);
    server.drain();
    server.hub.handle_blocked(server.now, connection, 5);
    server.wait(Duration::from_secs(29));
    assert!(server.closed.is_empty());
    server.hub.handle_writable(server.now, connection);
    server.wait(Duration::from_millis(1999));
    assert!(server.closed.is_empty());
    server.wait(Duration::from_millis(1));
    assert_eq!(server.closed, [connection]);
    // The server's Close comes first.
    let (mut server, connection, _) = Server::websocket();
    server.hub.close(server.now);
    server.drain();
    server.hub.handle_blocked(server.now, connection, 5);
    server.bytes(connection, b"\x88\x00");
    assert!(server.closed.is_empty(), "ours is not written");
    server.hub.handle_writable(server.now, connection);
    server.drain();
    assert_eq!(server.closed, [connection]);
    assert!(server.hub.is_finished());
}

#[test]
fn a_server_that_is_silent_and_takes_nothing_is_left_after_a_moment() {
    let (mut server, connection, _) = Server::websocket();
    server.room = 0;
    server.hub.send("a").unwrap();
    server.drain();
    server.wait(Duration::from_secs(45));
    assert_eq!(server.events(), [Event::Closed(CloseReason::PingTimeout)]);
    server.wait(Duration::from_secs(2));
    assert_eq!(server.closed, [connection]);
    assert!(server.hub.is_finished());
}

#[test]
fn the_time_for_a_closing_handshake_can_be_set() {
    let change = |config: &mut ClientConfig| {
        config.transports = vec![TransportKind::WebSocket];
        config.linger = Duration::from_millis(100);
    };
    let mut server = Server::new(change);
    let connection = server.connect();
    let mut ws = server.accept(connection);
    server.say(connection, &mut ws, &open("[]"));
    server.hub.close(server.now);
    server.drain();
    server.wait(Duration::from_millis(99));
    assert!(server.closed.is_empty());
    server.wait(Duration::from_millis(1));
    assert_eq!(server.closed, [connection]);
    assert!(server.hub.is_finished());
}

#[test]
fn bytes_that_nobody_asked_for_end_an_idle_connection() {
    let (mut server, _) = Server::polling("[]");
    server.hub.send("a").unwrap();
    server.drain();
    let post = server.connect();
    server.answer(post, "ok");
    server.bytes(post, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(server.closed, [post]);
    assert!(server.events().is_empty());
}

#[test]
fn a_session_on_polling_closes_all_its_connections() {
    let (mut server, get) = Server::polling("[]");
    server.hub.close(server.now);
    server.drain();
    let post = server.connect();
    assert!(server.request(post).ends_with(" 1"));
    server.answer(post, "ok");
    assert_eq!(server.events(), [Event::Closed(CloseReason::ForcedClose)]);
    server.closed.sort();
    assert_eq!(server.closed, [get, post]);
    assert!(server.hub.is_finished());
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn messages_wait_in_the_session_while_the_socket_takes_nothing() {
    let (mut server, connection, mut ws) = Server::websocket();
    server.room = 10;
    for i in 0..1000 {
        server.hub.send(format!("{i:0100}")).unwrap();
    }
    server.drain();
    assert!(server.hub.session().queued() > 30_000);
    assert!(!server.hub.has_actions());
    server.room = usize::MAX;
    server.hub.handle_writable(server.now, connection);
    server.drain();
    assert_eq!(server.heard(connection, &mut ws).len(), 1000);
    assert_eq!(server.hub.session().queued(), 0);
}

#[test]
fn a_loop_that_could_not_write_when_it_was_told_to_is_told_again() {
    let (mut server, connection, mut ws) = Server::websocket();
    server.hub.send("a").unwrap();
    let write = Some(ClientHubAction::Write(connection));
    assert_eq!(server.hub.poll_action(server.now, &mut seven()), write);
    assert_eq!(server.hub.poll_action(server.now, &mut seven()), None, "it knows");
    server.hub.handle_writable(server.now, connection);
    server.drain();
    assert_eq!(server.heard(connection, &mut ws), ["4a"]);
}

#[test]
fn a_websocket_is_not_read_while_the_application_is_behind() {
    let (mut server, connection, mut ws) = Server::websocket();
    for _ in 0..11 {
        server.say(connection, &mut ws, &format!("4{}", "x".repeat(100_000)));
    }
    assert!(!server.hub.is_reading(connection));
    assert_eq!(server.events().len(), 11);
    assert!(server.hub.is_reading(connection));
}

#[test]
fn a_closed_websocket_and_a_broken_one_end_the_session() {
    let (mut server, connection, _) = Server::websocket();
    server.bytes(connection, b"\x88\x00");
    assert_eq!(server.events(), [Event::Closed(CloseReason::TransportClose)]);
    assert_eq!(server.closed, [connection]);
    let (mut server, connection, _) = Server::websocket();
    server.hub.handle_lost(server.now, connection);
    assert_eq!(server.events(), [Event::Closed(CloseReason::TransportClose)]);
    let (mut server, connection, _) = Server::websocket();
    server.bytes(connection, b"\x81\x81aaaa4");
    assert_eq!(server.events(), [closed(ws::Violation::Masked.into())]);
    assert_eq!(server.closed, [connection]);
    assert!(server.hub.is_finished());
}

#[test]
fn connections_that_were_kept_go_with_a_session_whose_websocket_is_lost() {
    let (mut server, get) = Server::polling(r#"["websocket"]"#);
    let connection = server.connect();
    let mut ws = server.accept(connection);
    assert_eq!(server.heard(connection, &mut ws), ["2probe"]);
    server.say(connection, &mut ws, "3probe");
    server.answer(get, "6");
    assert_eq!(server.events(), [Event::Upgraded]);
    server.hub.handle_lost(server.now, connection);
    assert!(server.hub.has_actions());
    server.drain();
    assert_eq!(server.closed, [get]);
    assert!(server.hub.is_finished());
}

#[test]
fn abort_drops_everything() {
    let (mut server, get) = Server::polling(r#"["websocket"]"#);
    let socket = server.connecting[0];
    server.hub.abort();
    server.drain();
    server.closed.sort();
    assert_eq!(server.closed, [socket, get]);
    assert!(server.hub.is_finished());
}

#[test]
fn debug_shows_no_secret() {
    let (mut server, _) = Server::polling(r#"["websocket"]"#);
    server.hub.send("a secret").unwrap();
    let debug = format!("{:?}", server.hub);
    assert!(!debug.contains("the-sid") && !debug.contains("secret"), "{debug}");
}
