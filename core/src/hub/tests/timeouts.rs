//! Peers that are silent.

use super::*;

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let mut world = World::new();
    let on = world.accept();
    world.pass(seconds(74));
    assert!(world.is_open(on));
    world.pass(seconds(1));
    assert!(!world.is_open(on));
    world.assert_empty();
}

#[test]
fn a_head_that_does_not_end_is_answered_with_408_and_lingers() {
    let mut world = World::new();
    let on = world.accept();
    world.pass(seconds(30));
    world.bytes(on, "GET /");
    world.pass(seconds(9));
    assert_eq!(world.take(on), "");
    world.pass(seconds(1));
    assert!(world.take(on).starts_with("HTTP/1.1 408 "));
    assert!(world.socket(on).shut_down && world.is_open(on));
    world.assert_lingers(on);
}

/// A session on polling that has just been sent a ping, its connection, and its query.
fn awaiting_a_pong() -> (World, ConnectionId, String) {
    let mut world = World::new();
    let on = world.accept();
    let (_, query) = world.open_polling(on);
    assert_eq!(world.get(on, &query), "");
    world.pass(seconds(25));
    assert!(world.take(on).ends_with('2'));
    (world, on, query)
}

#[test]
fn a_poll_behind_the_deadline_of_a_pong_finds_the_session_gone_before_the_loop_has_noticed() {
    let (mut world, on, query) = awaiting_a_pong();
    world.now = world.now + seconds(20);
    let refused = world.get(on, &query);
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert!(world.events().contains(&Event::Closed(CloseReason::PingTimeout)));
    assert_eq!(world.hub.sessions(), 0);
}

#[test]
fn a_poll_that_is_read_long_behind_the_deadline_has_a_grace_period() {
    let (mut world, on, query) = awaiting_a_pong();
    // The process did not run, or the pong would have been read.
    world.now = world.now + seconds(25);
    assert_eq!(world.get(on, &query), "");
    let other = world.accept();
    world.post(other, &query, "3");
    assert_eq!(world.hub.sessions(), 1);
}

#[test]
fn a_body_that_does_not_end_is_refused_when_the_heartbeat_ends_its_session() {
    let mut world = World::new();
    let on = world.accept();
    let (_, query) = world.open_polling(on);
    let head = request("POST", &query, "4hello");
    world.bytes(on, &head[..head.len() - 1]);
    world.pass(seconds(44));
    assert_eq!(world.take(on), "");
    world.pass(seconds(1));
    assert!(world.take(on).starts_with("HTTP/1.1 400 "));
    world.assert_lingers(on);
}

#[test]
fn a_body_that_does_not_end_loses_the_exchange() {
    let mut world = World::with(|config| config.protocol.ping_timeout = seconds(100));
    let on = world.accept();
    let (_, query) = world.open_polling(on);
    let head = request("POST", &query, "4hello");
    world.bytes(on, &head[..head.len() - 1]);
    world.pass(seconds(59));
    assert_eq!(world.take(on), "");
    world.pass(seconds(1));
    assert!(world.take(on).starts_with("HTTP/1.1 408 "));
    assert_eq!(world.hub.sessions(), 0);
    world.assert_lingers(on);
}

#[test]
fn an_answer_that_is_not_taken_is_given_up() {
    let mut world = World::new();
    let on = world.accept();
    world.let_out(on, 5);
    world.get(on, "transport=nothing");
    world.pass(seconds(29));
    world.let_out(on, 5);
    world.pass(seconds(29));
    assert!(world.is_open(on), "some of it was taken");
    world.pass(seconds(1));
    assert!(!world.is_open(on));
    world.assert_empty();
}

#[test]
fn a_last_answer_that_is_taken_slowly_is_lingered_after_from_its_last_byte_on() {
    let mut world = World::new();
    let on = world.accept();
    world.let_out(on, 5);
    world.bytes(on, "no request\r\n\r\n");
    for _ in 0..3 {
        world.pass(seconds(29));
        world.let_out(on, 5);
    }
    world.let_out(on, usize::MAX);
    assert!(world.take(on).starts_with("HTTP/1.1 400 "));
    assert!(world.socket(on).shut_down && world.is_open(on));
    world.assert_lingers(on);
}

#[test]
fn a_silent_websocket_is_ended_by_the_heartbeat_and_its_socket_by_patience() {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    world.pass(seconds(25));
    assert_eq!(world.texts(on), ["2"]);
    world.pass(seconds(19));
    assert!(world.events().is_empty());
    world.pass(seconds(1));
    assert_eq!(world.events(), [Event::Closed(CloseReason::PingTimeout)]);
    assert_eq!(world.take(on), "\u{8}\0", "a Close");
    assert_eq!(world.hub.sessions(), 0);
    assert!(world.is_open(on), "its own Close is waited for");
    world.pass(seconds(2));
    assert!(!world.is_open(on));
    world.assert_empty();
}

#[test]
fn a_websocket_that_takes_nothing_is_ended_by_the_heartbeat() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    world.hub.send(session, "x".repeat(1000)).unwrap();
    world.drain();
    world.pass(seconds(45));
    assert_eq!(world.events(), [Event::Closed(CloseReason::PingTimeout)]);
    world.pass(seconds(2));
    assert!(!world.is_open(on));
    world.assert_empty();
}

#[test]
fn a_peer_that_reads_a_large_message_steadily_is_not_taken_for_silent() {
    for polling in [false, true] {
        let mut world = World::new();
        let (session, on) = if polling {
            let on = world.accept();
            let (session, query) = world.open_polling(on);
            assert_eq!(world.get(on, &query), "", "it waits");
            (session, on)
        } else {
            world.open_websocket()
        };
        world.let_out(on, 0);
        world.hub.send(session, "x".repeat(200_000)).unwrap();
        world.drain();
        for _ in 0..100 {
            world.pass(seconds(1));
            world.let_out(on, 2000);
        }
        assert_eq!(world.events(), [], "polling: {polling}");
        assert_eq!(world.socket(on).written.len(), 200_000);
        world.pass(seconds(100));
        let end = world.events();
        assert_eq!(end, [Event::Closed(CloseReason::PingTimeout)], "polling: {polling}");
    }
}

#[test]
fn a_heartbeat_that_is_answered_goes_on() {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    for _ in 0..10 {
        world.pass(seconds(25));
        assert_eq!(world.texts(on), ["2"]);
        world.pass(seconds(3));
        world.bytes(on, text("3"));
    }
    assert!(world.events().is_empty() && world.is_open(on));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_busy_session_leaves_its_deadlines_where_they_are() {
    let mut world = World::echoing();
    let (_, on) = world.open_websocket();
    let armed = world.hub.sessions.deadlines.len();
    for _ in 0..1000 {
        world.now = world.now + Duration::from_millis(1);
        world.bytes(on, text("4x"));
        world.take(on);
    }
    assert_eq!(world.hub.sessions.deadlines.len(), armed);
}

#[test]
fn a_deadline_in_the_past_is_not_said_again() {
    let mut world = World::new();
    let on = world.accept();
    let (_, query) = world.open_polling(on);
    world.get(on, &query);
    for _ in 0..1000 {
        let Some(deadline) = world.hub.poll_timeout() else { break };
        assert!(deadline >= world.now, "{deadline} is over at {}", world.now);
        world.now = deadline;
        world.hub.handle_timeout(world.now);
        world.drain();
        assert!(world.hub.poll_timeout().is_none_or(|next| next > world.now));
    }
    world.assert_empty();
}

/// A session that was pinged and has until 45 s to respond.
fn pinged() -> (World, ConnectionId) {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    world.pass(seconds(25));
    assert_eq!(world.texts(on), ["2"]);
    (world, on)
}

#[test]
fn a_peer_has_no_grace_period_when_its_deadline_is_handled_on_time() {
    let (mut world, _) = pinged();
    world.now = world.now + seconds(20);
    world.hub.handle_timeout(world.now);
    world.drain();
    assert_eq!(world.events(), [Event::Closed(CloseReason::PingTimeout)]);
}

#[test]
fn a_peer_has_a_grace_period_as_long_as_its_deadline_is_handled_late() {
    let (mut world, on) = pinged();
    // The process did not run: what the peer has sent meanwhile is read only now.
    world.now = world.now + seconds(26);
    world.hub.handle_timeout(world.now);
    world.drain();
    assert!(world.events().is_empty());
    world.bytes(on, text("3"));
    // A late pong does not tell that the peer is still there.
    world.pass(Duration::ZERO);
    assert_eq!(world.texts(on), ["2"]);
    world.bytes(on, text("3"));
    world.pass(seconds(24));
    assert_eq!((world.events(), world.is_open(on)), (Vec::new(), true));
}

#[test]
fn a_peer_that_is_silent_in_its_grace_period_is_closed_at_its_end() {
    let (mut world, _) = pinged();
    world.now = world.now + seconds(26);
    world.hub.handle_timeout(world.now);
    world.drain();
    world.pass(Duration::from_millis(5999));
    assert!(world.events().is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.events(), [Event::Closed(CloseReason::PingTimeout)]);
}

/// A WebSocket that is closed with so many messages of 1000 bytes to write, whose peer takes `taken` bytes before
/// the process is stopped.
fn closing(messages: usize, taken: usize) -> (World, ConnectionId) {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    for _ in 0..messages {
        world.hub.send(session, "x".repeat(1000)).unwrap();
    }
    world.drain();
    world.hub.close_session(world.now, session);
    world.drain();
    world.let_out(on, taken);
    world.now = world.now + seconds(100);
    (world, on)
}

#[test]
fn input_behind_a_deadline_of_its_connection_that_is_handled_late_is_taken() {
    let mut world = World::with(|config| config.protocol.ping_timeout = seconds(200));
    let on = world.accept();
    let (_, query) = world.open_polling(on);
    let body = format!("4{}", "x".repeat(200_000));
    let post = request("POST", &query, &body);
    world.bytes(on, &post[..16_000]);
    // The process did not run. Then input is handed over before the timeout is handled.
    world.now = world.now + seconds(100);
    world.bytes(on, &post[16_000..32_000]);
    assert_eq!(world.take(on), "");
    world.bytes(on, &post[32_000..]);
    assert!(world.take(on).ends_with("ok"));
    assert!(matches!(world.events()[..], [Event::Message(_)]));
    // A head in pieces likewise.
    let poll = request("GET", &query, "");
    world.bytes(on, &poll[..20]);
    world.now = world.now + seconds(20);
    world.bytes(on, &poll[20..40]);
    assert_eq!(world.take(on), "");
    // Time that the process has had is over at its end.
    world.pass(seconds(10));
    assert!(world.take(on).starts_with("HTTP/1.1 408 "));
}

#[test]
fn input_behind_the_deadline_of_a_close_that_is_handled_late_costs_nothing_of_what_was_queued() {
    let (mut world, on) = closing(1, 10);
    world.bytes(on, frame(10, "a pong"));
    assert!(world.is_open(on));
    world.let_out(on, usize::MAX);
    assert!(world.take(on).ends_with("x\u{8}\0"), "all of it, and a Close");
}

#[test]
fn what_is_pulled_behind_the_deadline_of_a_close_has_a_grace_period() {
    // What the connection had of the session before is nearly gone: the rest is taken of it, and the session is over.
    let (mut world, on) = closing(90, 60_000);
    world.let_out(on, 20_000);
    assert!(world.is_open(on));
    world.let_out(on, usize::MAX);
    let written = world.take(on);
    assert_eq!(written.matches('x').count(), 90_000);
    assert!(written.ends_with("\u{8}\0"), "a Close");
}

#[test]
fn peer_that_takes_nothing_in_the_grace_period_of_a_close_is_left_at_its_end() {
    let (mut world, on) = closing(1, 10);
    world.bytes(on, frame(10, "a pong"));
    world.pass(Duration::from_millis(19_999));
    assert!(world.is_open(on));
    world.pass(Duration::from_millis(1));
    assert!(!world.is_open(on));
    world.assert_empty();
}
