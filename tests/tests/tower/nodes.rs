//! Several nodes behind axum without sticky sessions: each hands requests for sessions of another over to it.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use axum::Router;
use enginewire_tests::{
    client::{Answer, Client, fill, soon, until},
    refusing::Refusing,
};
use enginewire_tokio::{
    Cors, CorsOrigin, NodeName, Server, ServerBuilder, TransportKind, TrustedProxies,
};
use http::Method;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{Fixture, RUNTIME, field, http2, polling};

/// Addresses of nodes, which are known once they listen.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<NodeName, SocketAddr>>>);

impl Addresses {
    fn set(&self, name: &str, address: SocketAddr) {
        self.0.lock().unwrap().insert(name.parse().unwrap(), address);
    }

    /// Sets a server up as a node.
    fn node(&self, name: &str, builder: ServerBuilder) -> ServerBuilder {
        let addresses = self.clone();
        let address = move |node| addresses.0.lock().unwrap().get(&node).copied();
        builder.node(name.parse::<NodeName>().unwrap()).nodes(address)
    }

    /// A node behind axum.
    fn layered(&self, name: &str, change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Fixture {
        let application = |server: &Server| {
            Router::new().layer(server.layer().peer_addr(|extensions| {
                let info = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>();
                info.map(|info| info.0)
            }))
        };
        let node = Fixture::new(|builder| change(self.node(name, builder)), application);
        self.set(name, node.address);
        node
    }
}

/// Two nodes behind axum, the second of which has the sessions and echoes.
fn two(change: impl Fn(ServerBuilder) -> ServerBuilder) -> (Fixture, Fixture) {
    let addresses = Addresses::default();
    let (a, b) = (addresses.layered("a", &change), addresses.layered("b", &change));
    echo(&b.server);
    (a, b)
}

/// A node behind axum whose only neighbour is a listener of the test.
fn beside(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> (Fixture, TcpListener) {
    let addresses = Addresses::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    addresses.set("b", listener.local_addr().unwrap());
    (addresses.layered("a", change), listener)
}

fn echo(server: &Arc<Server>) {
    let server = Arc::clone(server);
    RUNTIME.spawn(async move {
        while let Some(mut socket) = server.accept().await {
            tokio::spawn(async move {
                while let Some(message) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
}

/// Its session would be on node `b`.
const SID: &str = "b--aaaaaaaaaaaaaaaaa";

/// Makes a request on a connection of its own.
fn ask(to: SocketAddr, method: &str, sid: &str, body: &str) -> Answer {
    let mut client = Client::connect(to);
    client.request(method, &polling(sid), body);
    client.answer()
}

/// Polls for messages until `wanted` have come, past pings, asking each node in turn.
fn poll(nodes: &[SocketAddr], sid: &str, wanted: usize) -> Vec<String> {
    let mut messages = Vec::new();
    for &node in nodes.iter().cycle() {
        if messages.len() >= wanted {
            break;
        }
        let answer = ask(node, "GET", sid, "");
        assert_eq!(answer.status, 200, "{answer:?}");
        for packet in answer.body.split('\x1e') {
            match packet {
                "2" => assert_eq!(ask(node, "POST", sid, "3").status, 200),
                "6" => {}
                message => messages.push(message.to_owned()),
            }
        }
    }
    messages
}

/// Moves a session to a WebSocket at a node.
fn upgraded(at: SocketAddr, sid: &str) -> Client {
    let mut socket = Client::connect(at);
    socket.write(Client::upgrade(&format!("&sid={sid}")));
    let answer = socket.answer();
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!(field(&answer.head, "sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    socket.send("2probe");
    assert_eq!(socket.text(), "3probe");
    socket.send("5");
    socket
}

#[test]
fn polling_session_is_served_by_whichever_node_is_asked() {
    let (a, b) = two(|builder| builder);
    let sid = b.connect().open_polling();
    // The connection to the node goes on behind a response of the other.
    let mut client = a.connect();
    for round in 0..3 {
        client.request("POST", &polling(&sid), &format!("4one {round}\x1e4two {round}"));
        let answer = client.answer();
        assert_eq!((answer.status, &*answer.body), (200, "ok"));
        let messages = poll(&[b.address, a.address], &sid, 2);
        assert_eq!(messages, [format!("4one {round}"), format!("4two {round}")]);
    }
    // The body comes behind the head, in pieces; and chunked.
    for framing in [
        "Content-Length: 6",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue\r\nContent-Length: 6",
    ] {
        let target = polling(&sid);
        client.write(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        if framing.starts_with("Expect") {
            assert_eq!(client.answer().status, 100);
        }
        let (chunks, expected): (&[&str], _) = match framing {
            "Transfer-Encoding: chunked" => {
                (&["3\r\n4he", "\r\n4\r\nllo!", "\r\n0\r\n", "\r\n"], "4hello!")
            }
            _ => (&["4", "hel", "lo"], "4hello"),
        };
        chunks.iter().for_each(|chunk| client.write(chunk));
        let answer = client.answer();
        assert_eq!((answer.status, &*answer.body), (200, "ok"), "{framing}");
        assert_eq!(field(&answer.head, "connection"), None, "{answer:?}");
        assert_eq!(poll(&[a.address, b.address], &sid, 1), [expected]);
    }
    let stats = a.server.stats();
    assert_eq!((stats.sessions_opened, stats.requests_refused, stats.hand_overs_failed), (0, 0, 0));
    assert!(stats.requests_handed_over >= 6, "{stats:?}");
    assert_eq!(b.server.stats().requests_handed_over, 0);
    drop(client);
}

#[test]
fn nodes_behind_axum_and_on_listeners_of_their_own_serve_sessions_of_each_other() {
    let addresses = Addresses::default();
    let behind = addresses.layered("a", |builder| builder);
    let own = RUNTIME.block_on(addresses.node("b", ServerBuilder::new()).bind("127.0.0.1:0"));
    let own = Arc::new(own.unwrap());
    addresses.set("b", own.local_addr());
    echo(&behind.server);
    echo(&own);
    for (opener, other) in [(behind.address, own.local_addr()), (own.local_addr(), behind.address)]
    {
        let sid = Client::connect(opener).open_polling();
        assert_eq!(ask(other, "POST", &sid, "4hello").status, 200);
        assert_eq!(poll(&[other, opener], &sid, 1), ["4hello"]);
        let mut socket = upgraded(other, &sid);
        socket.send("4over it");
        assert_eq!(socket.text(), "4over it");
    }
}

#[test]
fn session_moves_to_a_websocket_at_another_node() {
    let (a, b) = two(|builder| builder);
    let sid = b.connect().open_polling();
    let mut socket = a.connect();
    // With the probe in the same segment as the head.
    let mut bytes = Client::upgrade(&format!("&sid={sid}")).into_bytes();
    bytes.extend(Client::frame("2probe"));
    socket.write(bytes);
    let answer = socket.answer();
    assert_eq!(answer.status, 101);
    assert_eq!(socket.text(), "3probe");
    assert_eq!(ask(a.address, "POST", &sid, "4over polling").status, 200);
    assert_eq!(poll(&[a.address], &sid, 1), ["4over polling"]);
    socket.send("5");
    for n in 0..100 {
        socket.send(&format!("4{n}"));
    }
    for n in 0..100 {
        assert_eq!(socket.text(), format!("4{n}"));
    }
    assert_eq!(ask(a.address, "GET", &sid, "").status, 400, "the session has left polling");
    // The closing handshake is the owner's.
    socket.write(Client::frame_of(8, &1000_u16.to_be_bytes()));
    assert_eq!(socket.next_frame().0, 8);
    assert!(socket.end());
    b.until_empty();
    a.until_empty();
    assert_eq!(a.server.stats().hand_overs_failed, 0);
}

#[test]
fn upgrade_that_the_owner_refuses_has_its_response() {
    let (a, b) = two(|builder| builder.allow_upgrades(false));
    let sid = b.connect().open_polling();
    let mut socket = a.connect();
    socket.write(Client::upgrade(&format!("&sid={sid}")));
    let answer = socket.answer();
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("Bad request"), "{answer:?}");
    assert_eq!(ask(a.address, "POST", &sid, "4on").status, 200);
    assert_eq!(poll(&[a.address], &sid, 1), ["4on"]);
}

#[test]
fn session_is_polled_at_another_node_on_http_2() {
    let (a, b) = two(|builder| builder);
    let sid = b.connect().open_polling();
    RUNTIME.block_on(async {
        let mut client = http2::connect(a.address).await;
        let large = format!("4{}", "x".repeat(900_000));
        for message in ["4small", &large, "4small again"] {
            let poll = client.send_request(http2::to(&sid, Method::GET, ""));
            let post = client.send_request(http2::to(&sid, Method::POST, message));
            assert_eq!(http2::text(post.await.unwrap()).await, "ok");
            assert_eq!(http2::text(poll.await.unwrap()).await, message);
        }
    });
    assert_eq!(a.server.stats().requests_handed_over, 6);
    a.until_empty();
}

#[test]
fn stream_of_http_2_that_is_reset_during_a_poll_ends_the_session_at_the_owner() {
    let (a, b) = two(|builder| builder);
    let sid = b.connect().open_polling();
    let mut client = RUNTIME.block_on(http2::connect(a.address));
    let poll = RUNTIME.spawn(client.send_request(http2::to(&sid, Method::GET, "")));
    until("the poll at the owner", || b.server.connections() == 1);
    poll.abort();
    b.until_empty();
    a.until_empty();
}

#[test]
fn extended_connect_moves_a_session_of_another_node() {
    let (a, b) = two(|builder| builder);
    let sid = b.connect().open_polling();
    RUNTIME.block_on(async {
        let mut client = http2::connect(a.address).await;
        let request = http2::websocket("websocket", "13", &format!("&sid={sid}"));
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        for name in ["upgrade", "connection", "sec-websocket-accept"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        stream.write_all(&Client::frame("2probe")).await.unwrap();
        let mut frame = [0; 8];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(&frame, b"\x81\x063probe");
        stream.write_all(&Client::frame("5")).await.unwrap();
        stream.write_all(&Client::frame("4hello")).await.unwrap();
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(&frame, b"\x81\x064hello");
        // One of an unknown session is refused by the owner, on a stream of the same connection.
        let request = http2::websocket("websocket", "13", &format!("&sid={SID}"));
        assert_eq!(client.send_request(request).await.unwrap().status(), 400);
    });
    b.until_empty();
    a.until_empty();
}

#[test]
fn large_messages_pass_in_both_directions_over_both_transports() {
    let (a, b) = two(|builder| builder);
    let sid = b.connect().open_polling();
    let large = format!("4{}", "x".repeat(900_000));
    assert_eq!(ask(a.address, "POST", &sid, &large).status, 200);
    assert_eq!(poll(&[a.address], &sid, 1), [&*large]);
    let mut client = a.connect();
    let target = polling(&sid);
    client.write(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n"));
    let answer = client.answer();
    assert_eq!(answer.status, 413, "the limit of the owner");
    assert_eq!(field(&answer.head, "connection"), Some("close"), "the body was not read");

    let sid = b.connect().open_polling();
    let mut socket = upgraded(a.address, &sid);
    for _ in 0..5 {
        socket.send(&large);
        assert_eq!(socket.text(), large);
    }
}

#[test]
fn poll_that_is_cancelled_is_cancelled_at_the_owner() {
    let (a, b) = two(|builder| builder);
    for resets in [false, true] {
        let sid = b.connect().open_polling();
        let mut client = a.connect();
        client.request("GET", &polling(&sid), "");
        until("the poll at the owner", || b.server.connections() == 1);
        if resets {
            client.pull_the_plug();
        }
        drop(client);
        b.until_empty();
        a.until_empty();
        assert_eq!(a.server.stats().hand_overs_failed, 0);
    }
}

#[test]
fn body_of_a_request_that_is_cut_does_not_reach_the_session() {
    let (a, b) = two(|builder| builder);
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let sid = b.connect().open_polling();
        let mut client = a.connect();
        let target = polling(&sid);
        client.write(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n5\r\n4half"));
        until("the POST at the owner", || b.server.connections() == 1);
        drop(client);
        until("the end of the request", || a.server.connections() == 0);
        // A POST that is lost is a transport that is.
        b.until_empty();
    }
}

#[test]
fn client_that_does_not_read_throttles_the_owner() {
    let addresses = Addresses::default();
    let (a, b) = (addresses.layered("a", |it| it), addresses.layered("b", |it| it));
    let sid = b.connect().open_polling();
    let mut socket = b.accept();
    let mut client = upgraded(a.address, &sid);
    until("the upgrade", || socket.transport() == TransportKind::WebSocket);
    let message = "x".repeat(50_000);
    let sent = fill(&socket, &message);
    // Meanwhile the other direction goes on.
    client.send("4still here");
    let came = soon("a message", socket.recv()).unwrap();
    assert_eq!(came.as_text(), Some("still here"));
    for _ in 0..sent {
        assert_eq!(client.text().len(), 1 + message.len());
    }
}

#[test]
fn body_that_the_owner_does_not_read_stays_with_the_client() {
    let (a, _listener) = beside(|builder| builder);
    let length = 100_000_000;
    for framing in [format!("Content-Length: {length}"), "Transfer-Encoding: chunked".to_owned()] {
        let mut client = a.connect();
        let target = polling(SID);
        client.write(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n5f5e100\r\n"));
        let written = client.write_until_blocked(&vec![b'x'; length]);
        assert!(written < 50_000_000, "{written} bytes are somewhere");
    }
}

#[test]
fn response_that_the_client_does_not_read_stays_with_the_owner() {
    let (a, listener) = beside(|builder| builder);
    let length = 100_000_000;
    let mut client = a.connect();
    client.request("GET", &polling(SID), "");
    let (mut stream, _) = listener.accept().unwrap();
    read_head(&mut stream);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut written = 0;
    while let Ok(n) = stream.write(&[b'x'; 64 * 1024]) {
        written += n;
        assert!(written < 50_000_000, "{written} bytes are somewhere");
    }
    // It has them in full once it reads.
    stream.set_write_timeout(None).unwrap();
    let rest = thread::spawn(move || stream.write_all(&vec![b'x'; length - written]).unwrap());
    assert_eq!(client.answer().body.len(), length);
    rest.join().unwrap();
}

#[test]
fn server_ends_though_a_client_does_not_read_the_response_of_a_node() {
    let (a, listener) = beside(|builder| builder.shutdown_timeout(Duration::from_millis(200)));
    let mut client = a.connect();
    client.request("GET", &polling(SID), "");
    let (mut stream, _) = listener.accept().unwrap();
    read_head(&mut stream);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n").unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while stream.write(&[b'x'; 64 * 1024]).is_ok() {}
    soon("the end of the server", a.server.close());
}

#[test]
fn session_that_no_node_has_is_refused_where_it_would_be() {
    let (a, b) = two(|builder| builder.cors(Cors::new(CorsOrigin::Any)));
    for sid in [SID, "a--aaaaaaaaaaaaaaaaa", "c--aaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaa"] {
        let mut client = a.connect();
        let target = polling(sid);
        client.write(format!("GET {target} HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{sid}: {answer:?}");
        assert!(answer.body.contains("Session ID unknown"), "{sid}: {answer:?}");
        let head = answer.head.to_ascii_lowercase();
        assert_eq!(head.matches("access-control-allow-origin").count(), 1, "{answer:?}");
    }
    // Only the first has been somewhere else.
    let (here, there) = (a.server.stats(), b.server.stats());
    assert_eq!((here.requests_handed_over, there.requests_refused), (1, 1));
    assert_eq!((here.requests_refused, here.hand_overs_failed), (3, 0));
}

#[test]
fn request_is_never_relayed_in_a_circle() {
    // Each of three takes the next for the owner.
    let addresses = ["a", "b", "c"].map(|_| Addresses::default());
    let [a, b, c] = &addresses;
    let nodes = [a.layered("a", |it| it), b.layered("b", |it| it), c.layered("c", |it| it)];
    for (nth, addresses) in addresses.iter().enumerate() {
        addresses.set("x", nodes[(nth + 1) % 3].address);
    }
    for node in &nodes {
        let answer = ask(node.address, "GET", "x--aaaaaaaaaaaaaaaaa", "");
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains("Session ID unknown"), "{answer:?}");
        let mut socket = node.connect();
        socket.write(Client::upgrade("&sid=x--aaaaaaaaaaaaaaaaa"));
        assert_eq!(socket.answer().status, 400);
    }
    for node in &nodes {
        let stats = node.server.stats();
        // Each request at its first node, and none of its second.
        assert_eq!((stats.requests_handed_over, stats.requests_refused), (2, 2), "{stats:?}");
    }
}

#[test]
fn owner_sees_the_address_of_the_client_behind_a_node_that_it_trusts() {
    let trusting = |builder: ServerBuilder| {
        builder.trusted_proxies(TrustedProxies::parse("127.0.0.0/8").unwrap())
    };
    let telling = |builder: ServerBuilder| {
        builder.headers(|head, _, lines| {
            let mut all = Vec::new();
            head.for_each_value("x-forwarded-for", &mut |value| {
                all.push(String::from_utf8(value.to_vec()).unwrap());
            });
            lines.push("Seen", all.join("; ")).unwrap();
        })
    };
    let (a, b) = two(|builder| telling(trusting(builder)));
    let sid = b.connect().open_polling();
    let mut client = a.connect();
    client.write(format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\
         Connection: X-Forwarded-For\r\nContent-Length: 1\r\n\r\n3",
        polling(&sid)
    ));
    let answer = client.answer();
    assert_eq!(field(&answer.head, "seen"), Some("203.0.113.9; 127.0.0.1"), "{answer:?}");
}

#[test]
fn owner_gets_the_request_as_it_came_and_the_client_its_response() {
    let (a, listener) = beside(|builder| builder);
    let owner = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let head = read_head(&mut stream);
        let mut body = [0; 12];
        stream.read_exact(&mut body).unwrap();
        let response = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 202 Accepted\r\nX: y\r\n\
            Set-Cookie: a\r\nSet-Cookie: b\r\nConnection: close\r\nKeep-Alive: timeout=5\r\n\
            Transfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        for byte in response.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        (head, body)
    });
    let mut client = a.connect();
    client.write(format!(
        "POST {} HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\nAccept: */*\r\n\
         Keep-Alive: timeout=5\r\nConnection: keep-alive\r\nCookie: a=b\r\nUpgrade: h2c\r\n\
         TE: trailers\r\n\r\n2\r\n4a\r\n0\r\n\r\n",
        polling(SID)
    ));
    let answer = client.answer_or_end().unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 202 "), "{answer:?}");
    let head = answer.head.to_ascii_lowercase();
    assert!(head.contains("set-cookie: a\r\nset-cookie: b\r\n"), "{answer:?}");
    assert_eq!(field(&head, "x"), Some("y"));
    assert_eq!((field(&head, "connection"), field(&head, "keep-alive")), (None, None));
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    let (head, body) = owner.join().unwrap();
    assert_eq!(
        head,
        format!(
            "POST {} HTTP/1.1\r\nhost: example.org\r\naccept: */*\r\ncookie: a=b\r\n\
             x-forwarded-for: 127.0.0.1\r\nVia: 1.1 enginewire\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n",
            polling(SID)
        )
    );
    assert_eq!(&body, b"2\r\n4a\r\n0\r\n\r\n");
}

#[test]
fn owner_that_is_away_costs_a_session_and_nothing_else() {
    let (a, b) = two(|builder| builder.cors(Cors::new(CorsOrigin::Any)));
    let own = a.connect().open_polling();
    let gone = Refusing::new();
    let addresses = Addresses::default();
    addresses.set("b", gone.address);
    let c = addresses.layered("c", |builder| builder.cors(Cors::new(CorsOrigin::Any)));
    let mut client = c.connect();
    let target = polling(SID);
    client.write(format!("GET {target} HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\n\r\n"));
    let answer = client.answer();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "the node that has the session cannot be reached");
    let head = answer.head.to_ascii_lowercase();
    assert!(head.contains("access-control-allow-origin"), "a page can read it: {answer:?}");
    let mut socket = c.connect();
    socket.write(Client::upgrade(&format!("&sid={SID}")));
    assert_eq!(socket.answer().status, 503);
    let stats = c.server.stats();
    let counts = (stats.requests_handed_over, stats.hand_overs_failed, stats.requests_refused);
    assert_eq!(counts, (2, 2, 0));
    assert_eq!(ask(a.address, "POST", &own, "3").status, 200);
    assert_eq!(b.server.stats().requests_refused, 0);
}

#[test]
fn owner_without_a_valid_response_is_reported() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "the node that has the session has closed the connection without a response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Le",
            "the node that has the session has closed the connection without a response",
        ),
        (
            b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
            "the node that has the session has sent an invalid response",
        ),
        // Of another protocol than was asked for.
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            "the node that has the session has sent an invalid response",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "the node that has the session has sent an invalid response",
        ),
    ];
    let (a, listener) = beside(|builder| builder);
    let owner = thread::spawn(move || {
        for (sent, _) in cases {
            let (mut stream, _) = listener.accept().unwrap();
            read_head(&mut stream);
            stream.write_all(sent).unwrap();
        }
    });
    for (sent, text) in cases {
        let answer = ask(a.address, "GET", SID, "");
        let shown = String::from_utf8_lossy(sent);
        assert_eq!((answer.status, &*answer.body), (502, text), "{shown}");
    }
    assert_eq!(a.server.stats().hand_overs_failed, 5);
    owner.join().unwrap();
}

#[test]
fn owner_that_is_silent_is_reported_in_time() {
    let (a, _listener) = beside(|builder| {
        builder.ping_interval(Duration::from_millis(50)).ping_timeout(Duration::from_millis(50))
    });
    let answer = ask(a.address, "GET", SID, "");
    assert_eq!(answer.status, 504);
    assert_eq!(answer.body, "the node that has the session has not responded in time");
}

#[test]
fn response_that_is_cut_or_stalls_ends_the_connection_of_the_client() {
    let (a, listener) = beside(|builder| {
        builder.ping_interval(Duration::from_millis(500)).ping_timeout(Duration::from_millis(500))
    });
    let starts = [
        "Content-Length: 5\r\n\r\n4a",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n4a",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n4a\r\nnonsense",
    ];
    let owner = thread::spawn(move || {
        let mut kept = Vec::new();
        for start in starts {
            for is_cut in [true, false] {
                let (mut stream, _) = listener.accept().unwrap();
                read_head(&mut stream);
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{start}").as_bytes()).unwrap();
                kept.extend((!is_cut).then_some(stream));
            }
        }
        kept
    });
    for start in starts.iter().flat_map(|start| [start; 2]) {
        let mut client = a.connect();
        client.request("GET", &polling(SID), "");
        let rest = String::from_utf8(client.rest()).unwrap();
        // The HTTP server may have sent nothing of it yet. No client takes the rest for a whole response.
        let body = rest.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let is_whole = body.len() >= 5 && !rest.contains("chunked");
        assert!(!is_whole && !body.ends_with("0\r\n\r\n"), "{start}: {rest}");
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 200 "), "{start}: {rest}");
    }
    drop(owner.join().unwrap());
    a.until_empty();
    assert_eq!(a.server.stats().hand_overs_failed, 6);
}

#[test]
fn node_that_closes_ends_what_it_passes_on() {
    let (a, b) = two(|builder| builder);
    let sid = b.connect().open_polling();
    let mut socket = upgraded(a.address, &sid);
    socket.send("4a");
    assert_eq!(socket.text(), "4a");
    let polled = b.connect().open_polling();
    let mut waiting = a.connect();
    waiting.request("GET", &polling(&polled), "");
    until("the poll at the owner", || b.server.connections() == 2);
    soon("the node to close", a.server.close());
    assert!(socket.end());
    assert_eq!(waiting.answer().status, 503);
    until("the end of what was at the owner", || b.server.connections() == 0);
}

#[test]
fn owner_that_ends_takes_its_clients_with_it() {
    let (a, b) = two(|builder| builder);
    let sid = b.connect().open_polling();
    let mut socket = upgraded(a.address, &sid);
    let polled = b.connect().open_polling();
    let mut waiting = a.connect();
    waiting.request("GET", &polling(&polled), "");
    until("both at the owner", || b.server.connections() == 2);
    b.server.abort();
    socket.end();
    // axum responds for a server that has ended.
    assert_eq!(waiting.answer().status, 503);
    a.until_empty();
}

#[test]
fn handler_counts_and_extensions_are_those_of_the_owner() {
    let opened = Arc::new(AtomicUsize::new(0));
    let (a, b) = two(|builder| {
        let opened = Arc::clone(&opened);
        builder.handler(move |mut socket, _| {
            opened.fetch_add(1, SeqCst);
            async move {
                while let Some(message) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            }
        })
    });
    let sid = b.connect().open_polling();
    let mut socket = upgraded(a.address, &sid);
    socket.send("4handled");
    assert_eq!(socket.text(), "4handled");
    assert_eq!((opened.load(SeqCst), a.server.sessions(), b.server.sessions()), (1, 0, 1));
}

/// Reads the head of a request, and nothing behind it.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
