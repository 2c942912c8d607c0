//! Heartbeats: pings, pongs and their deadlines.

use super::*;

fn v3() -> Host {
    let mut host = Host::new(|config| {
        config.revision = Revision::V3;
        config.transports = vec![TransportKind::WebSocket];
    });
    let on = host.open_socket();
    host.text(on, &open("[]"));
    assert_eq!(host.events(), [Event::Opened]);
    host
}

#[test]
fn a_ping_is_answered_on_each_transport() {
    let mut host = Host::polling();
    host.answer_get("2\u{1e}4a");
    assert_eq!(host.posted(), "3");
    let (mut host, on) = Host::websocket();
    host.text(on, "2whatever");
    assert_eq!(host.frames(on), ["3"]);
}

#[test]
fn a_server_that_sends_no_ping_is_given_up_whatever_else_it_sends() {
    let (mut host, on) = Host::websocket();
    host.wait(secs(30));
    host.text(on, "2");
    host.wait(millis(44_999));
    host.text(on, "4alive");
    assert_eq!(host.events(), [message("alive")]);
    host.wait(millis(1));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
    assert_eq!(host.closed_sockets, [on]);
    let mut host = Host::polling();
    host.wait(secs(45));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
    assert_eq!(host.abandoned.len(), 1);
}

#[test]
fn a_ping_may_be_late_behind_bytes_that_move_at_the_lowest_rate() {
    let (mut host, on) = Host::websocket();
    // A frame of 1 MB on the slowest line.
    for _ in 0..1000 {
        host.wait(secs(1));
        host.session.handle_progress(host.now, 1100);
    }
    assert!(host.events().is_empty());
    host.text(on, "2");
    assert_eq!(host.frames(on), ["3"]);
    host.wait(secs(45));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
}

#[test]
fn bytes_below_the_lowest_rate_put_off_no_deadline() {
    let (mut host, _) = Host::websocket();
    for _ in 0..44 {
        host.wait(secs(1));
        host.session.handle_progress(host.now, 1023);
    }
    host.wait(secs(1));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
}

#[test]
fn bytes_that_move_put_off_a_pong_of_revision_3() {
    let mut host = v3();
    host.wait(secs(25));
    assert_eq!(host.frames(WebSocketId(1)), ["2"]);
    for _ in 0..100 {
        host.wait(secs(1));
        host.session.handle_progress(host.now, 1100);
    }
    assert!(!host.session.is_closed());
    host.wait(secs(20));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
}

#[test]
fn bytes_that_move_shorten_no_deadline_that_was_postponed() {
    let (mut host, _) = Host::websocket();
    host.session.extend_deadlines(host.now + secs(100));
    host.session.handle_progress(host.now, 1_000_000);
    host.wait(secs(99));
    assert!(!host.session.is_closed());
}

#[test]
fn bytes_before_the_handshake_and_after_the_end_set_no_deadline() {
    let mut host = Host::new(|_| {});
    host.session.handle_progress(host.now, 1_000_000);
    assert_eq!(host.session.poll_timeout().unwrap().1, ClientTimerKind::Open);
    let mut host = Host::polling();
    host.session.abort();
    host.session.handle_progress(host.now, 1_000_000);
    assert_eq!(host.session.poll_timeout(), None);
}

#[test]
fn an_excused_server_may_ping_until_then_and_no_longer() {
    let (mut host, on) = Host::websocket();
    assert_eq!(host.session.peer_deadline(), Some(host.now + secs(45)));
    host.session.extend_deadlines(host.now + secs(50));
    host.wait(millis(49_999));
    host.text(on, "2");
    host.wait(millis(44_999));
    assert!(host.events().is_empty());
    host.wait(millis(1));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
    assert_eq!(host.session.peer_deadline(), None);
}

#[test]
fn a_ping_that_waits_behind_a_slow_application_is_not_missed() {
    let (mut host, on) = Host::websocket();
    let mut limits = Limits::default();
    limits.max_unread = 1;
    let mut config = ClientConfig::clone(&host.session.config);
    config.limits = limits;
    host.session.config = Arc::new(config);
    host.text(on, "4a");
    assert!(!host.session.is_receiving());
    host.wait(secs(50));
    assert_eq!(host.events(), [message("a")]);
    // From here on it is read, and has the whole time again.
    host.wait(secs(39));
    host.text(on, "2");
    assert_eq!(host.frames(on), ["3"]);
    host.wait(secs(45));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
}

#[test]
fn a_pong_overtakes_the_messages_that_wait_but_not_the_rest_of_one_event() {
    let (mut host, on) = Host::websocket();
    let group = ["a", "b"].map(Message::from);
    host.session.send(crate::Encoded::group(group)).unwrap();
    host.send("c");
    assert_eq!(host.session.poll_write(on).unwrap().payload, "a");
    host.text(on, "2");
    assert_eq!(host.frames(on), ["4b", "3", "4c"]);
}

#[test]
fn a_server_that_takes_nothing_while_the_application_waits_for_room_is_given_up() {
    let mut host = Host::new(|config| {
        config.transports = vec![TransportKind::WebSocket];
        config.limits.max_unread = 1;
        config.limits.max_queued = 1;
    });
    let on = host.open_socket();
    host.text(on, &open("[]"));
    host.text(on, "4a");
    assert_eq!(host.session.poll_event(), Some(Event::Opened));
    assert!(!host.session.is_receiving());
    host.send("b");
    // It takes one message in that time, so it lives.
    host.wait(secs(40));
    assert_eq!(host.frames(on), ["4b"]);
    host.send("c");
    host.wait(secs(40));
    assert!(!host.session.is_closed());
    // And then none any more.
    host.wait(secs(50));
    assert!(host.session.is_closed());
    assert_eq!(host.events(), [message("a"), Event::Closed(CloseReason::PingTimeout)]);
}

#[test]
fn in_revision_3_the_client_pings_and_any_packet_is_a_sign_of_life() {
    let mut host = v3();
    let on = WebSocketId(1);
    host.wait(millis(24_999));
    assert!(host.frames(on).is_empty());
    host.wait(millis(1));
    assert_eq!(host.frames(on), ["2"]);
    host.wait(secs(19));
    host.text(on, "3");
    host.wait(secs(25));
    assert_eq!(host.frames(on), ["2"]);
    host.wait(secs(19));
    host.text(on, "4alive");
    assert_eq!(host.events(), [message("alive")]);
    host.wait(millis(44_999));
    assert!(host.events().is_empty());
    host.wait(millis(1));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
}

#[test]
fn in_revision_3_a_pong_is_due_within_the_timeout() {
    let mut host = v3();
    host.wait(secs(25));
    assert_eq!(host.frames(WebSocketId(1)), ["2"]);
    host.wait(millis(19_999));
    assert!(!host.session.is_closed());
    host.wait(millis(1));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
}

#[test]
fn in_revision_3_a_pong_in_the_grace_period_makes_the_next_ping_due_at_once() {
    for (extended_to, due_at_once) in [(20, false), (30, true)] {
        let (mut host, on) = (v3(), WebSocketId(1));
        host.wait(secs(25));
        assert_eq!(host.frames(on), ["2"]);
        host.session.extend_deadlines(host.now + secs(extended_to));
        host.text(on, "3");
        host.wait(secs(0));
        assert_eq!(host.frames(on) == ["2"], due_at_once, "{extended_to} s");
        // The answer to that one is on time again.
        host.text(on, "3");
        host.wait(millis(24_999));
        assert!(host.frames(on).is_empty());
    }
}

#[test]
fn in_revision_3_a_pong_that_is_read_late_makes_the_next_ping_due_at_once() {
    for (nanos, due_at_once) in [(0, false), (1, true)] {
        let (mut host, on) = (v3(), WebSocketId(1));
        host.wait(secs(25));
        assert_eq!(host.frames(on), ["2"]);
        host.now = Time::ZERO + secs(45) + Duration::from_nanos(nanos);
        host.text(on, "3");
        host.wait(secs(0));
        assert_eq!(host.frames(on) == ["2"], due_at_once, "{nanos} ns late");
    }
}

#[test]
fn pings_of_a_server_that_reads_no_pongs_do_not_pile_up() {
    let (mut host, on) = Host::websocket();
    for _ in 0..1000 {
        host.text(on, "2");
    }
    assert!(host.frames(on).len() <= 16);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn pongs_of_a_server_that_reads_no_pings_do_not_make_them_pile_up() {
    let mut host = Host::new(|config| {
        config.revision = Revision::V3;
        config.transports = vec![TransportKind::WebSocket];
    });
    let on = host.open_socket();
    host.text(on, r#"0{"sid":"a","pingInterval":0,"pingTimeout":1000}"#);
    for _ in 0..1000 {
        host.wait(millis(0));
        host.text(on, "3");
    }
    assert_eq!(host.frames(on), ["2"]);
    host.wait(millis(0));
    assert_eq!(host.frames(on), ["2"]);
}
