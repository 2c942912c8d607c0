//! Upgrades, and a session on a WebSocket.

use super::*;

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
fn a_connection_is_probing_from_its_handshake_to_the_upgrade() {
    let (mut server, get) = Server::polling(r#"["websocket"]"#);
    let socket = server.connect();
    let probing = |server: &Server| [get, socket].map(|id| server.hub.is_probing(id));
    assert_eq!(probing(&server), [false, false], "it is no WebSocket yet");
    let mut ws = server.accept(socket);
    assert_eq!(probing(&server), [false, true]);
    server.say(socket, &mut ws, "3probe");
    assert_eq!(probing(&server), [false, true], "a GET is under way");
    server.answer(get, "6");
    assert_eq!(server.events(), [Event::Upgraded]);
    assert_eq!(probing(&server), [false, false]);
    server.hub.handle_lost(server.now, socket);
    assert_eq!(probing(&server), [false, false], "the name is forgotten");
}

#[test]
fn what_comes_behind_the_101_in_the_same_read_counts() {
    let mut server = Server::new(|config| config.transports = vec![TransportKind::WebSocket]);
    let connection = server.connect();
    let mut read = server.switch(connection, "").into_bytes();
    let (mut ws, mut output) = (WebSocket::new(Role::Server, 1000, 10), Output::new());
    ws.write(false, None, &open("[]").into(), &mut output);
    ws.write(false, None, &"4early".into(), &mut output);
    read.extend_from_slice(&output.copy_to_bytes(output.remaining()));
    server.bytes(connection, &read);
    assert_eq!(server.events(), [Event::Opened, message("early")]);
}

#[test]
#[cfg(feature = "deflate")]
fn reads_are_short_from_a_handshake_that_offers_compression_unless_it_is_declined() {
    const ACCEPTED: &str = "Sec-WebSocket-Extensions: permessage-deflate; \
        server_no_context_takeover; client_no_context_takeover\r\n";
    let (server, get) = Server::polling("[]");
    assert_eq!(server.hub.max_read(get), usize::MAX);
    for (offers, extension, [before, after]) in
        [(false, "", [usize::MAX; 2]), (true, "", [4096, usize::MAX]), (true, ACCEPTED, [4096; 2])]
    {
        let mut server = Server::new(|config| {
            config.transports = vec![TransportKind::WebSocket];
            config.per_message_deflate = offers.then(Default::default);
        });
        let connection = server.connect();
        assert_eq!(server.hub.max_read(connection), before);
        let response = server.switch(connection, extension);
        server.bytes(connection, response.as_bytes());
        assert_eq!(server.hub.max_read(connection), after);
        server.hub.handle_lost(server.now, connection);
        assert_eq!(server.hub.max_read(connection), usize::MAX, "the name is forgotten");
    }
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

#[test]
fn a_server_is_read_until_16_kib_of_pongs_wait_for_it() {
    for (pings, reads) in [(2 * 1024 - 1, true), (2 * 1024, false)] {
        let (mut server, connection, _) = Server::websocket();
        server.room = 0;
        // Each pong has a head of two bytes, a mask of four, and the two of the ping.
        server.bytes(connection, &[0x89, 2, 0, 0].repeat(pings));
        assert_eq!(server.hub.is_reading(connection), reads, "{pings} pings");
    }
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
