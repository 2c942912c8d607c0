//! Requests for sessions of another node, on a connection that the loop makes.

use super::*;
use crate::{carrier::WRITE_CHUNK, hub::ServerHubConfig};

/// A node of the name `name`, which echoes.
fn node(name: &str, change: impl FnOnce(&mut ServerHubConfig)) -> World {
    let mut world = World::with(|config| {
        config.protocol.node = Some(name.parse().unwrap());
        config.nodes = ["a", "b"].map(|name| name.parse().unwrap()).into();
        change(config);
    });
    world.echoes = true;
    world
}

/// Two nodes and the connections between them.
struct Pair {
    a: World,
    b: World,
    /// Connections as the first and as the second names them.
    wires: Vec<(ConnectionId, ConnectionId)>,
}

impl Pair {
    fn new() -> Self {
        Self { a: node("a", |_| {}), b: node("b", |_| {}), wires: Vec::new() }
    }

    /// A pair and a client of the first node, whose poll waits at the second.
    fn with_poll() -> (Self, ConnectionId) {
        let mut pair = Self::new();
        let on = pair.b.accept();
        let (_, query) = pair.b.open_polling(on);
        let client = pair.a.accept();
        pair.a.request(client, "GET", &query, "");
        pair.carry();
        (pair, client)
    }

    /// Makes the connections that the first node asks for, and carries bytes until nothing is left to carry.
    fn carry(&mut self) {
        let Self { a, b, wires } = self;
        for (on, node, _) in core::mem::take(&mut a.handed_over) {
            assert_eq!(node.as_str(), "b");
            wires.push((on, b.accept()));
            a.hub.handle_writable(a.now, on);
            a.drain();
        }
        loop {
            let mut carried = false;
            for &(here, there) in &*wires {
                carried |= carry(a, here, b, there);
                carried |= carry(b, there, a, here);
            }
            if !carried {
                break;
            }
        }
        wires.retain(|(here, there)| {
            let (closed, gone) = (a.sockets[here].closed, b.sockets[there].closed);
            if closed && !gone {
                b.hub.handle_lost(b.now, *there);
                b.drain();
            }
            if gone && !closed {
                a.hub.handle_lost(a.now, *here);
                a.drain();
            }
            !closed && !gone
        });
    }

    /// Makes a request at the first node, on a connection of its own, and returns the response to it.
    fn ask(&mut self, method: &str, query: &str, body: &str) -> String {
        let on = self.a.accept();
        self.a.request(on, method, query, body);
        self.carry();
        self.a.take(on)
    }
}

/// Carries what there is in one direction. Returns whether there was something.
fn carry(from: &mut World, at: ConnectionId, to: &mut World, comes: ConnectionId) -> bool {
    let is_reading = to.hub.is_reading(comes);
    let Some(socket) = from.sockets.get_mut(&at).filter(|_| is_reading) else { return false };
    let bytes = core::mem::take(&mut socket.written);
    let ends = core::mem::take(&mut socket.shut_down);
    if !bytes.is_empty() {
        to.bytes(comes, &bytes);
    }
    if ends {
        to.hub.handle_eof(to.now, comes);
        to.drain();
    }
    !bytes.is_empty() || ends
}

#[test]
fn polling_session_is_served_by_whichever_hub_is_asked() {
    let mut pair = Pair::new();
    let on = pair.b.accept();
    let (_, query) = pair.b.open_polling(on);
    assert!(query.contains("sid=b--"), "{query}");
    for round in 0..3 {
        let response = pair.ask("POST", &query, &format!("4{round}"));
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.ends_with("\r\n\r\nok"), "{response}");
        let response = pair.ask("GET", &query, "");
        assert!(response.ends_with(&format!("\r\n\r\n4{round}")), "{response}");
    }
    assert_eq!(pair.b.events().len(), 3);
    pair.a.pass(seconds(2));
    assert!(pair.wires.is_empty());
    pair.a.assert_empty();
}

#[test]
fn session_moves_to_a_websocket_at_another_hub() {
    let mut pair = Pair::new();
    let on = pair.b.accept();
    let (session, query) = pair.b.open_polling(on);
    let client = pair.a.accept();
    pair.a.bytes(client, upgrade(&query.replace("polling", "websocket")));
    pair.carry();
    assert!(pair.a.take(client).starts_with("HTTP/1.1 101 "));
    pair.a.bytes(client, text("2probe"));
    pair.carry();
    assert_eq!(pair.a.texts(client), ["3probe"]);
    pair.a.bytes(client, text("5"));
    for n in 0..10 {
        pair.a.bytes(client, text(format!("4{n}")));
    }
    pair.carry();
    let expected: Vec<_> = (0..10).map(|n| format!("4{n}")).collect();
    assert_eq!(pair.a.texts(client), expected);
    // The owner closes it.
    pair.b.hub.close_session(pair.b.now, session);
    pair.b.drain();
    pair.carry();
    assert!(!pair.a.socket(client).written.is_empty());
    pair.a.bytes(client, frame(8, 1000_u16.to_be_bytes()));
    pair.carry();
    pair.a.hub.handle_eof(pair.a.now, client);
    pair.a.drain();
    pair.carry();
    pair.b.pass(seconds(2));
    pair.carry();
    pair.a.pass(seconds(2));
    pair.a.assert_empty();
}

#[test]
fn loop_is_told_of_the_client_and_writes_only_once_it_is_connected() {
    let mut a = node("a", |_| {});
    let client = a.accept();
    a.request(client, "GET", "transport=polling&sid=b--aaaaaaaaaaaaaaaaa", "");
    let (on, name, of) = a.handed_over.pop().unwrap();
    assert_eq!((name.as_str(), of), ("b", client));
    assert!(a.take(on).is_empty() && !a.hub.is_reading(on));
    a.hub.handle_writable(a.now, on);
    a.drain();
    assert!(a.hub.is_reading(on));
    assert_eq!(a.socket(on).resumed, 1, "the loop is told to read");
    let head = a.take(on);
    assert!(head.starts_with("GET /engine.io/?EIO=4&transport=polling&sid=b--"), "{head}");
    assert!(head.contains("\r\nVia: 1.1 enginewire\r\nConnection: close\r\n\r\n"), "{head}");
    a.bytes(on, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n4");
    a.bytes(on, "a");
    assert!(a.take(client).ends_with("\r\n\r\n4a"));
    a.hub.handle_eof(a.now, on);
    a.drain();
    assert!(a.sockets[&on].closed && a.sockets[&client].shut_down);
    a.hub.handle_eof(a.now, client);
    a.drain();
    a.assert_empty();
}

#[test]
fn node_that_cannot_be_reached_or_is_lost_or_silent_is_reported_to_the_client() {
    let requested = || {
        let mut a = node("a", |_| {});
        let client = a.accept();
        a.request(client, "GET", "transport=polling&sid=b--aaaaaaaaaaaaaaaaa", "");
        let (on, ..) = a.handed_over.pop().unwrap();
        (a, client, on)
    };
    let (mut a, client, on) = requested();
    a.hub.handle_lost(a.now, on);
    a.drain();
    assert!(a.take(client).starts_with("HTTP/1.1 503 "));
    assert!(!a.sockets[&on].closed, "the loop has told of its end");

    let (mut a, client, on) = requested();
    a.hub.handle_writable(a.now, on);
    a.hub.handle_lost(a.now, on);
    a.drain();
    assert!(a.take(client).starts_with("HTTP/1.1 502 "));

    for connects in [false, true] {
        let (mut a, client, on) = requested();
        if connects {
            a.hub.handle_writable(a.now, on);
            a.drain();
        }
        a.pass(seconds(if connects { 91 } else { 11 }));
        assert!(a.sockets[&on].closed, "the loop closes what it has");
        assert!(a.take(client).starts_with("HTTP/1.1 504 "));
        a.pass(seconds(2));
        a.assert_empty();
    }
}

#[test]
fn client_that_leaves_ends_the_connection_to_the_node() {
    for (is_lost, connects) in [(true, true), (true, false), (false, true)] {
        let mut a = node("a", |_| {});
        let client = a.accept();
        a.request(client, "GET", "transport=polling&sid=b--aaaaaaaaaaaaaaaaa", "");
        let (on, ..) = a.handed_over.pop().unwrap();
        if connects {
            a.hub.handle_writable(a.now, on);
            a.drain();
        }
        if is_lost {
            a.hub.handle_lost(a.now, client);
            a.drain();
            assert!(a.sockets[&on].closed);
        } else {
            a.hub.handle_eof(a.now, client);
            a.drain();
            assert!(a.sockets[&on].shut_down && !a.sockets[&on].closed);
            a.hub.handle_eof(a.now, on);
            a.drain();
            assert!(a.sockets[&on].closed && a.sockets[&client].closed);
        }
        a.assert_empty();
    }
}

#[test]
fn each_side_that_does_not_read_throttles_the_other() {
    let mut a = node("a", |_| {});
    let client = a.accept();
    a.bytes(client, upgrade("transport=websocket&sid=b--aaaaaaaaaaaaaaaaa"));
    let (on, ..) = a.handed_over.pop().unwrap();
    a.hub.handle_writable(a.now, on);
    a.drain();
    a.bytes(on, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    for (from, to, size) in [
        (on, client, 16 * 1024),
        (on, client, 20_000),
        (on, client, 300_000),
        (client, on, 16 * 1024),
        (client, on, 20_000),
    ] {
        a.take(to);
        a.socket(to).room = Some(0);
        let (mut sent, chunk) = (0, alloc::vec![b'x'; size]);
        while a.hub.is_reading(from) {
            a.bytes(from, &chunk);
            sent += chunk.len();
            assert!(sent <= 4 * WRITE_CHUNK + size, "{sent} bytes are held");
        }
        let resumed = a.socket(from).resumed;
        a.let_out(to, usize::MAX);
        assert_eq!(a.take(to).len(), sent);
        assert!(a.hub.is_reading(from) && a.socket(from).resumed > resumed);
        a.socket(to).room = None;
    }
}

#[test]
fn client_that_is_lost_before_its_hand_over_is_polled_leaves_nothing() {
    let mut a = node("a", |_| {});
    let client = a.accept();
    let target = "/engine.io/?EIO=4&transport=polling&sid=b--aaaaaaaaaaaaaaaaa";
    let mut head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    a.hub.handle_bytes(a.now, client, &mut head);
    a.hub.handle_lost(a.now, client);
    a.drain();
    let (on, ..) = a.handed_over.pop().unwrap();
    assert!(a.sockets[&on].closed);
    a.hub.handle_writable(a.now, on);
    a.hub.handle_lost(a.now, on);
    a.drain();
    a.assert_empty();
}

#[test]
fn request_goes_no_further_than_one_hub_and_hubs_that_are_no_nodes_hand_nothing_over() {
    let mut a = node("a", |_| {});
    for (sid, fields) in [
        // Its own, one of a name that is no node's, and one that has been handed over.
        ("a--aaaaaaaaaaaaaaaaa", ""),
        ("aaaaaaaaaaaaaaaaaaaa", ""),
        ("---aaaaaaaaaaaaaaaaa", ""),
        ("b--aaaaaaaaaaaaaaaaa", "Via: 1.1 enginewire\r\n"),
    ] {
        let on = a.accept();
        let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
        a.bytes(on, format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let response = a.take(on);
        assert!(response.contains("Session ID unknown"), "{sid}: {response}");
    }
    let mut other = node("a", |config| config.nodes.clear());
    let on = other.accept();
    let response = other.get(on, "transport=polling&sid=b--aaaaaaaaaaaaaaaaa");
    assert!(response.contains("Session ID unknown"), "{response}");
    assert!(a.handed_over.is_empty() && other.handed_over.is_empty());
}

#[test]
fn hub_that_closes_or_aborts_ends_what_it_passes_on() {
    for aborts in [false, true] {
        let (mut pair, client) = Pair::with_poll();
        let (to_node, _) = pair.wires[0];
        match aborts {
            true => pair.a.hub.abort(pair.a.now),
            false => pair.a.hub.close(pair.a.now),
        }
        pair.a.drain();
        assert!(pair.a.sockets[&to_node].closed && pair.a.take(client).is_empty());
        pair.carry();
        assert_eq!(pair.b.hub.sessions(), 0, "its poll is lost");
        pair.a.pass(seconds(3));
        assert!(pair.a.hub.is_finished());
    }
}

#[test]
fn stale_name_of_a_connection_to_a_node_does_nothing() {
    let (mut pair, client) = Pair::with_poll();
    let (stale, _) = pair.wires[0];
    pair.a.hub.handle_lost(pair.a.now, stale);
    pair.a.drain();
    assert!(pair.a.take(client).starts_with("HTTP/1.1 502 "));
    pair.a.hub.handle_bytes(pair.a.now, stale, &mut b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    pair.a.hub.handle_eof(pair.a.now, stale);
    pair.a.hub.handle_writable(pair.a.now, stale);
    pair.a.hub.handle_lost(pair.a.now, stale);
    assert!(!pair.a.hub.is_reading(stale));
    pair.a.drain();
    assert!(pair.a.take(client).is_empty());
}
