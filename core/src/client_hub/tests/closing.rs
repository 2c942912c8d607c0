//! Ends of a session that the application begins, and how long they may take.

use super::*;

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
fn a_close_after_a_pause_of_the_process_takes_no_longer_than_another() {
    let mut server = Server::new(|config| config.close_timeout = Duration::from_secs(1));
    let first = server.connect();
    server.request(first);
    server.hub.send("a").unwrap();
    // The deadline of the handshake was missed by as much as it is long.
    server.now = server.now + Duration::from_secs(40);
    server.hub.close(server.now);
    server.drain();
    server.wait(Duration::from_millis(999));
    assert!(!server.hub.session().is_closed());
    server.wait(Duration::from_millis(1));
    assert!(server.hub.session().is_closed());
}

#[test]
fn a_server_whose_deadlines_are_extended_may_answer_a_close_until_then() {
    let (mut server, connection, _) = Server::websocket();
    server.hub.close(server.now);
    server.drain();
    server.hub.extend_deadlines(server.now + Duration::from_secs(10));
    server.wait(Duration::from_millis(9999));
    assert!(server.closed.is_empty());
    server.wait(Duration::from_millis(1));
    assert_eq!(server.closed, [connection]);
    assert!(server.hub.is_finished());
}

#[test]
fn what_was_queued_at_a_close_has_the_extended_deadline() {
    // A socket that was full before the pause, and one that is after it.
    for full_before in [true, false] {
        let (mut server, connection, _) = Server::websocket();
        server.hub.send("a").unwrap();
        if full_before {
            server.room = 0;
        }
        server.hub.close(server.now);
        if full_before {
            server.drain();
        }
        server.now = server.now + Duration::from_secs(100);
        server.hub.extend_deadlines(server.now + Duration::from_secs(20));
        server.room = 1;
        if full_before {
            server.hub.handle_writable(server.now, connection);
        }
        server.drain();
        server.hub.handle_blocked(server.now, connection, 1);
        server.wait(Duration::from_millis(19_999));
        assert!(server.closed.is_empty(), "{full_before}");
        server.wait(Duration::from_millis(1));
        assert_eq!(server.closed, [connection]);
    }
}

#[test]
fn what_is_pulled_behind_the_deadline_of_a_close_has_a_grace_period() {
    let (mut server, connection, _) = Server::websocket();
    server.hub.send("a").unwrap();
    server.room = 0;
    server.hub.close(server.now);
    // The process did not run. Then the loop writes before it looks at the clock.
    server.now = server.now + Duration::from_secs(100);
    server.room = 1;
    server.drain();
    server.wait(Duration::from_millis(19_999));
    assert!(server.closed.is_empty());
    server.wait(Duration::from_millis(1));
    assert_eq!(server.closed, [connection]);
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
fn abort_drops_everything() {
    let (mut server, get) = Server::polling(r#"["websocket"]"#);
    let socket = server.connecting[0];
    server.hub.abort();
    server.drain();
    server.closed.sort();
    assert_eq!(server.closed, [socket, get]);
    assert!(server.hub.is_finished());
}
