//! Bytes to a socket that takes little, and to an event loop that keeps them.

use super::*;

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
