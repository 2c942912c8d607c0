//! Bytes to a socket that takes little, and to an event loop that keeps them.

use super::*;
#[cfg(feature = "deflate")]
use crate::carrier::Compressors;

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

/// A session on a WebSocket that has agreed on compression.
#[cfg(feature = "deflate")]
fn compressed() -> (Server, ClientConnectionId, WebSocket) {
    let mut server = Server::new(|config| {
        config.transports = vec![TransportKind::WebSocket];
        config.per_message_deflate = Some(alloc::boxed::Box::default());
    });
    let connection = server.connect();
    let head = RequestHead::parse(&server.written[&connection], 100).unwrap();
    let (parameters, field) =
        ws::accept_deflate(&head, &crate::PerMessageDeflate::default()).unwrap();
    let field = core::str::from_utf8(field.as_bytes()).unwrap().to_string();
    let response = server.switch(connection, &field);
    server.bytes(connection, response.as_bytes());
    let mut ws = WebSocket::new(Role::Server, 1_000_000, 100).with_deflate(parameters);
    server.say(connection, &mut ws, &open("[]"));
    assert_eq!(server.hub.poll_event(), Some(Event::Opened));
    (server, connection, ws)
}

#[test]
#[cfg(feature = "deflate")]
fn messages_that_are_compressed_outside_of_the_hub_are_the_same_bytes() {
    let messages = ["a".to_string(), "b".repeat(5000), "c".into(), "d".repeat(90_000), "e".into()];
    let written = |outside: bool| {
        let (mut server, connection, mut ws) = compressed();
        for message in &messages {
            server.hub.send(message.clone()).unwrap();
        }
        let (mut written, mut pulled) = (Vec::new(), 0);
        while let Some(action) = server.hub.poll_action(server.now, &mut seven()) {
            assert_eq!(action, ClientHubAction::Write(connection));
            let write = |bytes: &[u8]| {
                written.extend_from_slice(bytes);
                bytes.len()
            };
            if !outside {
                server.hub.transmit(server.now, connection, write);
                continue;
            }
            if let Some(mut compressing) = server.hub.pull(connection) {
                pulled += 1;
                assert!(!server.hub.has_actions());
                compressing.run(&mut Compressors::new());
                server.hub.put_back(connection, compressing);
                assert!(server.hub.has_actions());
            }
            server.hub.flush(server.now, connection, write);
        }
        assert_eq!(server.hub.session().queued(), 0);
        server.written.insert(connection, written.clone());
        let expected: Vec<_> = messages.iter().map(|message| format!("4{message}")).collect();
        assert_eq!(server.heard(connection, &mut ws), expected);
        (written, pulled)
    };
    let (inside, outside) = (written(false), written(true));
    assert_eq!(inside.0, outside.0);
    assert!(inside.0.len() < 2000 && inside.1 == 0 && outside.1 > 0);
}

#[test]
#[cfg(feature = "deflate")]
fn close_during_compression_comes_behind_the_messages() {
    let (mut server, connection, mut ws) = compressed();
    server.hub.send("x".repeat(5000)).unwrap();
    let action = server.hub.poll_action(server.now, &mut seven());
    assert_eq!(action, Some(ClientHubAction::Write(connection)));
    let mut compressing = server.hub.pull(connection).unwrap();
    server.hub.close(server.now);
    while server.hub.poll_action(server.now, &mut seven()).is_some() {}
    compressing.run(&mut Compressors::new());
    server.hub.put_back(connection, compressing);
    server.drain();
    let heard = server.heard(connection, &mut ws);
    assert_eq!(heard[0], format!("4{}", "x".repeat(5000)));
    assert!(heard.len() > 1 && server.hub.session().is_closed(), "{}", heard.len());
}

#[test]
#[cfg(feature = "deflate")]
fn what_is_compressed_for_a_connection_that_is_lost_is_dropped() {
    let (mut server, connection, _) = compressed();
    server.hub.send("x".repeat(5000)).unwrap();
    assert!(server.hub.poll_action(server.now, &mut seven()).is_some());
    let mut compressing = server.hub.pull(connection).unwrap();
    server.hub.handle_lost(server.now, connection);
    compressing.run(&mut Compressors::new());
    server.hub.put_back(connection, compressing);
    assert!(server.hub.pull(connection).is_none());
    server.drain();
    assert!(server.hub.is_finished());
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
