//! Several nodes without sticky sessions: each hands requests for sessions of another over to it.

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

use enginewire_driver::{Cors, CorsOrigin, NodeName, Server, ServerBuilder, TrustedProxies};
use enginewire_tests::refusing::Refusing;

use crate::{
    Host, accept,
    client::{Answer, Client, fill, until},
    echo_all, serve, soon, until_empty,
};

on_every_runtime!(
    polling_session_is_served_by_whichever_node_is_asked,
    kept_connection_serves_sessions_of_its_node_until_one_of_another,
    three_nodes_serve_sessions_of_each_other,
    session_moves_to_a_websocket_at_another_node,
    large_messages_pass_in_both_directions_over_both_transports,
    poll_that_is_cancelled_is_cancelled_at_the_owner,
    client_that_does_not_read_throttles_the_owner,
    session_that_no_node_has_is_refused_where_it_would_be,
    request_that_was_handed_over_goes_no_further,
    owner_sees_the_address_of_the_client,
    client_cannot_speak_for_the_node_to_the_owner,
    owner_that_expects_the_proxy_protocol_is_sent_it,
    owner_that_is_gone_costs_a_session_and_nothing_else,
    owner_that_sends_no_response_is_reported,
    owner_that_sends_garbage_is_reported,
    owner_that_is_silent_is_reported_in_time,
    body_that_the_owner_does_not_read_stays_with_the_client,
    response_that_comes_byte_by_byte_passes,
    response_that_is_cut_ends_the_connection,
    node_that_closes_ends_what_it_passes_on,
    owner_that_ends_takes_its_clients_with_it,
    node_in_the_middle_that_ends_costs_its_clients_their_sessions,
    address_of_a_node_changes_while_the_server_runs,
);

/// Addresses of nodes, which are known once they listen.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<NodeName, SocketAddr>>>);

impl Addresses {
    fn set(&self, name: &str, address: SocketAddr) {
        self.0.lock().unwrap().insert(name.parse().unwrap(), address);
    }

    fn serve<R: Host>(
        &self,
        name: &str,
        change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>,
    ) -> Arc<Server> {
        let (node, addresses) = (name.parse::<NodeName>().unwrap(), self.clone());
        let address = move |node| addresses.0.lock().unwrap().get(&node).copied();
        let server = Arc::new(serve::<R>(|builder| change(builder.node(node).nodes(address))));
        self.set(name, server.local_addr());
        server
    }
}

/// Two nodes, the second of which has the sessions and echoes.
fn two<R: Host>(
    change: impl Fn(ServerBuilder<R>) -> ServerBuilder<R>,
) -> (Arc<Server>, Arc<Server>, Addresses) {
    let addresses = Addresses::default();
    let (a, b) = (addresses.serve::<R>("a", &change), addresses.serve::<R>("b", &change));
    R::default().spawn(echo_all::<R>(Arc::clone(&b)));
    (a, b, addresses)
}

/// A node whose only neighbour is a listener of the test, and the id of a session that would be there.
fn beside<R: Host>(
    change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>,
) -> (Arc<Server>, TcpListener) {
    let addresses = Addresses::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    addresses.set("b", listener.local_addr().unwrap());
    (addresses.serve::<R>("a", change), listener)
}

/// Its session would be on node `b`.
const SID: &str = "b--aaaaaaaaaaaaaaaaa";

fn target(sid: &str) -> String {
    format!("/engine.io/?EIO=4&transport=polling&sid={sid}")
}

/// Makes a request on a connection of its own.
fn ask(to: &Server, method: &str, sid: &str, body: &str) -> Answer {
    let mut client = Client::connect(to.local_addr());
    client.request(method, &target(sid), body);
    client.answer()
}

/// Polls for messages until `wanted` have come, past pings, asking each node in turn.
fn poll(nodes: &[&Server], sid: &str, wanted: usize) -> Vec<String> {
    let mut messages = Vec::new();
    for node in nodes.iter().cycle() {
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

fn polling_session_is_served_by_whichever_node_is_asked<R: Host>() {
    let (a, b, _) = two::<R>(|builder| builder);
    let sid = Client::connect(b.local_addr()).open_polling();
    assert!(sid.starts_with("b--"), "the name comes first");
    for round in 0..6 {
        let node = [&a, &b][round % 2];
        let answer = ask(node, "POST", &sid, &format!("4one {round}\x1e4two {round}"));
        assert_eq!((answer.status, &*answer.body), (200, "ok"));
        let messages = poll(&[&b, &a], &sid, 2);
        assert_eq!(messages, [format!("4one {round}"), format!("4two {round}")]);
    }
    // The body comes behind the head, in pieces; and chunked.
    for head in ["Content-Length: 6", "Transfer-Encoding: chunked", "Expect: 100-continue"] {
        let mut client = Client::connect(a.local_addr());
        let length = if head.starts_with("Expect") { "\r\nContent-Length: 6" } else { "" };
        client
            .write(format!("POST {} HTTP/1.1\r\nHost: a\r\n{head}{length}\r\n\r\n", target(&sid)));
        if head.starts_with("Expect") {
            assert_eq!(client.answer().status, 100);
        }
        let (chunks, expected): (&[&str], _) = match head {
            "Transfer-Encoding: chunked" => {
                (&["3\r\n4he", "\r\n4\r\nllo!", "\r\n0\r\n", "\r\n"], "4hello!")
            }
            _ => (&["4", "hel", "lo"], "4hello"),
        };
        chunks.iter().for_each(|chunk| client.write(chunk));
        let answer = client.answer();
        assert_eq!((answer.status, &*answer.body), (200, "ok"), "{head}");
        assert!(client.end(), "the connection ends in order");
        assert_eq!(poll(&[&a, &b], &sid, 1), [expected]);
    }
    let stats = a.stats();
    assert_eq!((stats.sessions_opened, stats.requests_refused, stats.hand_overs_failed), (0, 0, 0));
    assert!(stats.requests_handed_over >= 9, "{stats:?}");
    assert_eq!(b.stats().requests_handed_over, 0);
    // A new session stays where it was opened.
    let own = Client::connect(a.local_addr()).open_polling();
    assert!(own.starts_with("a--"));
    assert_eq!(a.sessions(), 1);
}

fn kept_connection_serves_sessions_of_its_node_until_one_of_another<R: Host>() {
    let (a, b, _) = two::<R>(|builder| builder);
    R::default().spawn(echo_all::<R>(Arc::clone(&a)));
    let mut client = Client::connect(a.local_addr());
    let own = client.open_polling();
    let other = Client::connect(b.local_addr()).open_polling();
    for n in 0..3 {
        client.request("POST", &target(&own), &format!("4{n}"));
        assert_eq!(client.answer().status, 200);
    }
    // Behind the request of the other, in the same segment: it has no response, and its client knows.
    let post = |sid: &str, body: &str| {
        let length = body.len();
        let target = target(sid);
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    client.write([post(&own, "43"), post(&other, "4other"), post(&own, "4lost")].concat());
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
    assert!(client.end() && client.answer_or_end().is_none());
    assert_eq!(poll(&[&a], &own, 4), ["40", "41", "42", "43"]);
    assert_eq!(poll(&[&b], &other, 1), ["4other"]);
}

fn three_nodes_serve_sessions_of_each_other<R: Host>() {
    let addresses = Addresses::default();
    let nodes = ["0", "A_z", "zz"].map(|name| addresses.serve::<R>(name, |builder| builder));
    for node in &nodes {
        R::default().spawn(echo_all::<R>(Arc::clone(node)));
    }
    let mut next = nodes.iter().cycle();
    let sids: Vec<_> =
        (0..6).map(|_| Client::connect(next.next().unwrap().local_addr()).open_polling()).collect();
    for round in 0..4 {
        for (nth, sid) in sids.iter().enumerate() {
            let message = format!("4{round} of {nth}");
            assert_eq!(ask(&nodes[(round + nth) % 3], "POST", sid, &message).status, 200);
            assert_eq!(poll(&[&nodes[(round + nth + 1) % 3]], sid, 1), [message]);
        }
    }
    for (nth, sid) in sids.iter().enumerate() {
        let mut socket = Client::move_to_websocket(nodes[(nth + 1) % 3].local_addr(), sid);
        socket.send("4hello");
        assert_eq!(socket.text(), "4hello");
    }
    for node in &nodes {
        assert_eq!((node.stats().sessions_opened, node.stats().hand_overs_failed), (2, 0));
    }
}

fn session_moves_to_a_websocket_at_another_node<R: Host>() {
    let (a, b, _) = two::<R>(|builder| builder);
    let sid = Client::connect(b.local_addr()).open_polling();
    let mut socket = Client::connect(a.local_addr());
    // With the probe in the same segment as the head.
    let mut bytes = Client::upgrade(&format!("&sid={sid}")).into_bytes();
    bytes.extend(Client::frame("2probe"));
    socket.write(bytes);
    let answer = socket.answer();
    assert_eq!(answer.status, 101);
    assert!(answer.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer:?}");
    assert_eq!(socket.text(), "3probe");
    assert_eq!(ask(&a, "POST", &sid, "4over polling").status, 200);
    assert_eq!(poll(&[&a], &sid, 1), ["4over polling"]);
    socket.send("5");
    for n in 0..100 {
        socket.send(&format!("4{n}"));
    }
    for n in 0..100 {
        assert_eq!(socket.text(), format!("4{n}"));
    }
    assert_eq!(ask(&a, "GET", &sid, "").status, 400, "the session has left polling");
    // The closing handshake is the owner's.
    socket.write(Client::frame_of(8, &1000_u16.to_be_bytes()));
    assert_eq!(socket.next_frame().0, 8);
    assert!(socket.end());
    until_empty(&b);
    until_empty(&a);
    assert_eq!(a.stats().hand_overs_failed, 0);
}

fn large_messages_pass_in_both_directions_over_both_transports<R: Host>() {
    let (a, b, _) = two::<R>(|builder| builder);
    let sid = Client::connect(b.local_addr()).open_polling();
    let large = format!("4{}", "x".repeat(900_000));
    assert_eq!(ask(&a, "POST", &sid, &large).status, 200);
    assert_eq!(poll(&[&a], &sid, 1), [&*large]);
    let too_large = format!("4{}", "x".repeat(1_000_000));
    let mut client = Client::connect(a.local_addr());
    let length = too_large.len();
    client.write(format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n",
        target(&sid)
    ));
    assert_eq!(client.answer().status, 413, "the limit of the owner");

    let sid = Client::connect(b.local_addr()).open_polling();
    let mut socket = Client::move_to_websocket(a.local_addr(), &sid);
    for _ in 0..5 {
        socket.send(&large);
        assert_eq!(socket.text(), large);
    }
}

fn poll_that_is_cancelled_is_cancelled_at_the_owner<R: Host>() {
    let seen = Arc::new(AtomicUsize::new(0));
    let (a, b, _) = two::<R>(|builder| {
        let seen = Arc::clone(&seen);
        builder.headers(move |_, _, _| {
            seen.fetch_add(1, SeqCst);
        })
    });
    for resets in [false, true] {
        let sid = Client::connect(b.local_addr()).open_polling();
        let before = seen.load(SeqCst);
        let mut client = Client::connect(a.local_addr());
        client.request("GET", &target(&sid), "");
        until("the poll at both nodes", || seen.load(SeqCst) == before + 2);
        if resets {
            client.pull_the_plug();
        }
        drop(client);
        // And of its session, as of a client of its own: what was lost may have been the response.
        let left = || a.connections() + b.connections() + b.sessions();
        until("the end of the poll", || left() == 0);
        assert_eq!(a.stats().hand_overs_failed, 0);
    }
}

fn client_that_does_not_read_throttles_the_owner<R: Host>() {
    let addresses = Addresses::default();
    let (a, b) = (addresses.serve::<R>("a", |it| it), addresses.serve::<R>("b", |it| it));
    let sid = Client::connect(b.local_addr()).open_polling();
    let socket = accept(&b);
    let mut client = Client::move_to_websocket(a.local_addr(), &sid);
    until("the upgrade", || socket.transport() == enginewire::TransportKind::WebSocket);
    let message = "x".repeat(50_000);
    let sent = fill(&socket, &message);
    // Meanwhile the other direction goes on.
    client.send("4still here");
    let mut socket = socket;
    let came = soon("a message", socket.recv()).unwrap();
    assert_eq!(came.as_text(), Some("still here"));
    for _ in 0..sent {
        assert_eq!(client.text().len(), 1 + message.len());
    }
}

fn session_that_no_node_has_is_refused_where_it_would_be<R: Host>() {
    let (a, b, _) = two::<R>(|builder| builder.cors(Cors::new(CorsOrigin::Any)));
    for sid in [
        "b--aaaaaaaaaaaaaaaaa",
        "a--aaaaaaaaaaaaaaaaa",
        "c--aaaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaaaaa",
    ] {
        let mut client = Client::connect(a.local_addr());
        client.write(format!(
            "GET {} HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\n\r\n",
            target(sid)
        ));
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{sid}: {answer:?}");
        assert!(answer.body.contains("Session ID unknown"), "{sid}: {answer:?}");
        let fields = answer.head.matches("Access-Control-Allow-Origin").count();
        assert_eq!(fields, 1, "{answer:?}");
    }
    // Only the first has been somewhere else.
    assert_eq!((a.stats().requests_handed_over, b.stats().requests_refused), (1, 1));
    assert_eq!((a.stats().requests_refused, a.stats().hand_overs_failed), (3, 0));
    // No request of a session.
    let answer = ask(&a, "PUT", SID, "");
    assert_eq!((answer.status, a.stats().requests_handed_over), (400, 1));
}

fn request_that_was_handed_over_goes_no_further<R: Host>() {
    // Each takes the other for the owner.
    let addresses = Addresses::default();
    let (a, b) = (addresses.serve::<R>("a", |it| it), addresses.serve::<R>("b", |it| it));
    addresses.set("c", b.local_addr());
    let sid = "c--aaaaaaaaaaaaaaaaa";
    let answer = ask(&a, "GET", sid, "");
    assert!(answer.status == 400 && answer.body.contains("Session ID unknown"), "{answer:?}");
    assert_eq!((a.stats().requests_handed_over, b.stats().requests_handed_over), (1, 0));
    // An outsider who says that it was is refused, and served by the owner as ever.
    let own = Client::connect(b.local_addr()).open_polling();
    for (node, status) in [(&a, 400), (&b, 200)] {
        let mut client = Client::connect(node.local_addr());
        client.write(format!(
            "POST {} HTTP/1.1\r\nHost: a\r\nVia: 1.0 fred, 1.1 enginewire\r\nContent-Length: 1\r\n\r\n3",
            target(&own)
        ));
        assert_eq!(client.answer().status, status);
    }
    assert_eq!(a.stats().requests_handed_over, 1);
    // Other proxies may be named.
    let mut client = Client::connect(a.local_addr());
    client.write(format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nVia: 1.1 enginewire.example\r\nContent-Length: 1\r\n\r\n3",
        target(&own)
    ));
    assert_eq!(client.answer().status, 200);
}

/// Serves two nodes of which the second tells in a response what it knows of the client.
fn telling<R: Host>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    builder.headers(|head, _, lines| {
        let mut all = Vec::new();
        head.for_each_value("x-forwarded-for", &mut |value| {
            all.push(String::from_utf8(value.to_vec()).unwrap());
        });
        lines.push("Seen", all.join("; ")).unwrap();
    })
}

fn owner_sees_the_address_of_the_client<R: Host>() {
    let (a, b, _) = two::<R>(|builder| {
        telling(builder).trusted_proxies(TrustedProxies::parse("127.0.0.0/8").unwrap())
    });
    let sid = Client::connect(b.local_addr()).open_polling();
    let mut client = Client::connect(a.local_addr());
    client.write(format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: X-Forwarded-For\r\n\
         Cookie: a=b\r\nContent-Length: 1\r\n\r\n3",
        target(&sid)
    ));
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("Seen: 203.0.113.9; 127.0.0.1\r\n"), "{answer:?}");
}

fn client_cannot_speak_for_the_node_to_the_owner<R: Host>() {
    let (a, b, _) =
        two::<R>(|builder| builder.trusted_proxies(TrustedProxies::parse("127.0.0.0/8").unwrap()));
    let forged = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\
        X-Forwarded-For: 6.6.6.6\r\n\r\n";
    for fields in
        ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "Connection: keep-alive\r\n"]
    {
        for together in [false, true] {
            let sid = Client::connect(b.local_addr()).open_polling();
            let mut client = Client::connect(a.local_addr());
            let post = format!(
                "POST {} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 1\r\n\r\n3",
                target(&sid)
            );
            if together {
                client.write([&*post, forged].concat());
                assert_eq!(client.answer().status, 200);
            } else {
                client.write(post);
                assert_eq!(client.answer().status, 200);
                // The node may have closed the connection already.
                let _ = client.stream().write_all(forged.as_bytes());
            }
            client.end();
            assert!(client.answer_or_end().is_none(), "{fields}");
        }
    }
    assert_eq!((a.sessions(), b.stats().sessions_opened), (0, 6));
}

fn owner_that_expects_the_proxy_protocol_is_sent_it<R: Host>() {
    let (a, b, _) =
        two::<R>(|builder| telling(builder).proxy_protocol("127.0.0.0/8".parse().unwrap()));
    const LINE: &str = "PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\n";
    let mut client = Client::connect(b.local_addr());
    client.write(LINE);
    let sid = client.open_polling();
    for line in [LINE, "PROXY UNKNOWN\r\n", "PROXY TCP6 2001:db8::9 ::1 1 2\r\n"] {
        let mut client = Client::connect(a.local_addr());
        client.write(format!(
            "{line}POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n3",
            target(&sid)
        ));
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("Seen: \r\n"), "{answer:?}");
    }
}

fn owner_that_is_gone_costs_a_session_and_nothing_else<R: Host>() {
    let (a, b, _) = two::<R>(|builder| builder.cors(Cors::new(CorsOrigin::Any)));
    let sid = Client::connect(b.local_addr()).open_polling();
    let own = Client::connect(a.local_addr()).open_polling();
    b.abort();
    soon("the end of the listener", b.close());
    let mut client = Client::connect(a.local_addr());
    client
        .write(format!("GET {} HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\n\r\n", target(&sid)));
    let answer = client.answer();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "the node that has the session cannot be reached");
    assert!(answer.head.contains("Access-Control-Allow-Origin"), "a page can read it: {answer:?}");
    assert!(client.end());
    let mut socket = Client::connect(a.local_addr());
    socket.write(Client::upgrade(&format!("&sid={sid}")));
    assert_eq!(socket.answer().status, 503);
    let stats = a.stats();
    assert_eq!(
        (stats.requests_handed_over, stats.hand_overs_failed, stats.requests_refused),
        (2, 2, 0)
    );
    assert_eq!(ask(&a, "POST", &own, "3").status, 200);
    drop(socket);
    until("the end of both connections", || a.connections() == 0);
}

fn owner_that_sends_no_response_is_reported<R: Host>() {
    let (a, listener) = beside::<R>(|builder| builder);
    let owner = thread::spawn(move || {
        for sends in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
            let (mut stream, _) = listener.accept().unwrap();
            read_head(&mut stream);
            stream.write_all(sends.as_bytes()).unwrap();
        }
    });
    for failed in 1..=2 {
        let answer = ask(&a, "GET", SID, "");
        assert_eq!(answer.status, 502);
        let text = "the node that has the session has closed the connection without a response";
        assert_eq!(answer.body, text);
        assert_eq!(a.stats().hand_overs_failed, failed);
    }
    owner.join().unwrap();
}

fn owner_that_sends_garbage_is_reported<R: Host>() {
    let garbage = [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(),
        b"HTTP/2 200\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_vec(),
        // Of another protocol than was asked for.
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n".to_vec(),
        // No end, and too long.
        [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'a'; 100_000]].concat(),
        vec![0; 100_000],
    ];
    let (a, listener) = beside::<R>(|builder| builder);
    let sent = garbage.clone();
    let owner = thread::spawn(move || {
        for bytes in sent {
            let (mut stream, _) = listener.accept().unwrap();
            read_head(&mut stream);
            // The node may close before all has been sent.
            let _ = stream.write_all(&bytes);
            let _ = stream.read(&mut [0]);
        }
    });
    for bytes in garbage {
        let answer = ask(&a, "GET", SID, "");
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(30)]);
        assert_eq!(answer.status, 502, "{shown}");
        assert_eq!(answer.body, "the node that has the session has sent an invalid response");
    }
    owner.join().unwrap();
}

fn owner_that_is_silent_is_reported_in_time<R: Host>() {
    let (a, _listener) = beside::<R>(|builder| {
        builder.ping_interval(Duration::from_millis(50)).ping_timeout(Duration::from_millis(50))
    });
    let answer = ask(&a, "GET", SID, "");
    assert_eq!(answer.status, 504);
    assert_eq!(answer.body, "the node that has the session has not responded in time");
}

fn body_that_the_owner_does_not_read_stays_with_the_client<R: Host>() {
    let (a, _listener) = beside::<R>(|builder| builder);
    let mut client = Client::connect(a.local_addr());
    let length = 100_000_000;
    client.write(format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n",
        target(SID)
    ));
    let written = client.write_until_blocked(&vec![b'x'; length]);
    assert!(written < 50_000_000, "{written} bytes are somewhere");
}

fn response_that_comes_byte_by_byte_passes<R: Host>() {
    let (a, listener) = beside::<R>(|builder| builder);
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\nConnection: close\r\n\r\n4abcd";
    let owner = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let head = read_head(&mut stream);
        for byte in response.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        head
    });
    let mut client = Client::connect(a.local_addr());
    client.write(format!(
        "GET {} HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nKeep-Alive: timeout=5\r\n\
         Connection: keep-alive\r\nCookie: a=b\r\nUpgrade: h2c\r\nTE: trailers\r\n\r\n",
        target(SID)
    ));
    assert_eq!(String::from_utf8(client.rest()).unwrap(), response);
    assert_eq!(
        owner.join().unwrap(),
        format!(
            "GET {} HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nCookie: a=b\r\n\
             x-forwarded-for: 127.0.0.1\r\nVia: 1.1 enginewire\r\nConnection: close\r\n\r\n",
            target(SID)
        )
    );
}

fn response_that_is_cut_ends_the_connection<R: Host>() {
    let (a, listener) = beside::<R>(|builder| builder);
    let owner = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n4a").unwrap();
    });
    let mut client = Client::connect(a.local_addr());
    client.request("GET", &target(SID), "");
    let rest = client.rest();
    assert!(rest.ends_with(b"\r\n\r\n4a"), "{}", String::from_utf8_lossy(&rest));
    owner.join().unwrap();
    until_empty(&a);
}

fn node_that_closes_ends_what_it_passes_on<R: Host>() {
    // A poll that the owner has not read by then leaves its session to the heartbeat.
    let (a, b, _) = two::<R>(|builder| {
        builder.ping_interval(Duration::from_secs(10)).ping_timeout(Duration::from_secs(5))
    });
    let sid = Client::connect(b.local_addr()).open_polling();
    let mut socket = Client::move_to_websocket(a.local_addr(), &sid);
    socket.send("4a");
    assert_eq!(socket.text(), "4a");
    let polling = Client::connect(b.local_addr()).open_polling();
    until("the end of the opener", || b.connections() == 1);
    let mut waiting = Client::connect(a.local_addr());
    waiting.request("GET", &target(&polling), "");
    until("the poll at the owner", || b.connections() == 2);
    soon("the node to close", a.close());
    assert!(socket.end() && waiting.answer_or_end().is_none());
    until_empty(&b);
}

fn owner_that_ends_takes_its_clients_with_it<R: Host>() {
    let (a, b, _) = two::<R>(|builder| builder);
    let sid = Client::connect(b.local_addr()).open_polling();
    let mut socket = Client::connect(a.local_addr());
    socket.write(Client::upgrade(&format!("&sid={sid}")));
    assert_eq!(socket.answer().status, 101);
    let polling = Client::connect(b.local_addr()).open_polling();
    until("the end of the opener", || b.connections() == 1);
    let mut waiting = Client::connect(a.local_addr());
    waiting.request("GET", &target(&polling), "");
    until("both at the owner", || b.connections() == 2);
    b.abort();
    socket.end();
    assert_eq!(waiting.answer().status, 502);
    drop((socket, waiting));
    until_empty(&a);
}

fn node_in_the_middle_that_ends_costs_its_clients_their_sessions<R: Host>() {
    let (a, b, _) = two::<R>(|builder| builder);
    let sid = Client::connect(b.local_addr()).open_polling();
    let mut socket = Client::move_to_websocket(a.local_addr(), &sid);
    socket.send("4a");
    assert_eq!(socket.text(), "4a");
    a.abort();
    socket.end();
    until_empty(&b);
}

fn address_of_a_node_changes_while_the_server_runs<R: Host>() {
    let (a, b, addresses) = two::<R>(|builder| builder);
    let sid = Client::connect(b.local_addr()).open_polling();
    let gone = Refusing::new();
    for (address, status) in [(gone.address, 503), (b.local_addr(), 200)] {
        addresses.set("b", address);
        assert_eq!(ask(&a, "POST", &sid, "3").status, status);
    }
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
