//! How a session ends.

use super::*;

#[test]
fn close_on_polling_lets_out_what_is_queued_and_tells_the_server() {
    let mut host = Host::polling();
    host.send("a");
    host.send("b");
    host.close();
    assert_eq!(host.session.send("c").unwrap_err().reason, SendError::Closed);
    assert_eq!(host.posted(), "4a");
    host.answer_post();
    assert_eq!(host.posted(), "4b");
    assert!(host.waits(), "the heartbeat goes on");
    host.answer_get("4unheard\u{1e}2");
    host.answer_post();
    assert_eq!(host.posted(), "3");
    host.answer_post();
    assert_eq!(host.posted(), "1");
    host.answer_get("6");
    assert!(!host.waits() && host.events().is_empty());
    host.answer_post();
    assert_eq!(host.closed(), CloseReason::ForcedClose);
}

#[test]
fn close_for_a_reason_of_the_application_shows_it_unless_the_session_ends_otherwise() {
    let banned = || CloseReason::Application("banned");
    let mut host = Host::polling();
    host.session.close_with(host.now, banned());
    host.session.close_with(host.now, CloseReason::Application("too late"));
    host.drain();
    assert_eq!(host.posted(), "1");
    host.answer_post();
    assert_eq!(host.closed(), banned());
    assert_eq!(host.session.close_reason(), Some(&banned()));

    let mut host = Host::polling();
    host.send("a");
    host.session.close_with(host.now, banned());
    host.drain();
    host.answer("POST", &Answer { status: 413, fields: &[] }, "");
    assert_eq!(host.closed(), CloseReason::TransportError(TransportFault::Status(413)));

    // One that has not opened has nothing to drain.
    let mut host = Host::new(|_| {});
    host.session.close_with(host.now, banned());
    host.drain();
    assert_eq!(host.closed(), banned());
}

#[test]
fn session_that_ends_tells_the_messages_that_have_not_left() {
    let mut host = Host::polling();
    for message in ["a", "b", "c"] {
        host.send(message);
    }
    assert_eq!((host.posted(), host.session.undelivered()), ("4a", 0));
    host.session.abort_with(CloseReason::Application("banned"));
    host.drain();
    assert_eq!(host.session.undelivered(), 2);
    assert_eq!(host.closed(), CloseReason::Application("banned"));
}

#[test]
fn whatever_the_server_makes_of_the_last_post_the_session_was_closed_by_us() {
    for outcome in 0..4 {
        let mut host = Host::polling();
        host.close();
        assert_eq!(host.posted(), "1");
        match outcome {
            0 => host.answer("POST", &Answer { status: 400, fields: &[] }, ""),
            1 => host.lose("POST", TransportFault::ConnectionLost),
            2 => {
                host.lose("GET", TransportFault::ConnectionLost);
                assert!(host.events().is_empty());
                host.answer_post();
            }
            _ => host.wait(secs(2)),
        }
        assert_eq!(host.closed(), CloseReason::ForcedClose, "{outcome}");
    }
}

#[test]
fn a_last_post_without_a_response_delays_the_end_for_as_long_as_its_bytes_may_take() {
    // One that was under way, and one that takes the rest of what was queued.
    for queued in [false, true] {
        for (bytes, seconds) in [(1023, 3), (10 * 1024 - 1, 12), (100_000, 30)] {
            let mut host = Host::polling();
            if queued {
                host.send("x");
            }
            host.send(&"x".repeat(bytes));
            host.close();
            if queued {
                host.wait(secs(4));
                assert!(host.events().is_empty(), "something is queued");
                host.answer_post();
            }
            let left = if queued { seconds.min(26) } else { seconds };
            host.wait(secs(left) - millis(1));
            assert!(host.events().is_empty(), "{bytes} bytes, {queued}");
            host.wait(millis(1));
            assert_eq!(host.closed(), CloseReason::ForcedClose);
        }
    }
}

#[test]
fn a_ping_that_waits_does_not_delay_a_close() {
    let mut host = Host::new(|config| config.revision = Revision::V3);
    let packet = open("[]");
    host.answer_get(&format!("{}:{packet}", packet.len()));
    host.events();
    host.send("a");
    // The ping waits behind the POST, whose response does not come.
    host.wait(millis(25_000));
    host.close();
    host.wait(secs(2));
    assert!(host.events().is_empty());
    // Its bytes may take a few milliseconds more.
    host.wait(millis(10));
    assert_eq!(host.closed(), CloseReason::ForcedClose);
}

#[test]
fn the_bounds_of_a_close_can_be_set() {
    let mut host = Host::new(|config| {
        config.linger = millis(50);
        config.close_timeout = millis(500);
    });
    host.answer_get(&open("[]"));
    host.events();
    host.close();
    assert_eq!(host.posted(), "1");
    host.wait(millis(50));
    assert_eq!(host.closed(), CloseReason::ForcedClose);
    let mut host = Host::new(|config| config.close_timeout = millis(500));
    host.answer_get(&open("[]"));
    host.events();
    host.close();
    host.wait(millis(500));
    assert_eq!(host.closed(), CloseReason::ForcedClose);
}

#[test]
fn deadline_of_a_close_that_was_extended_holds_for_the_posts_that_follow() {
    let mut host = Host::new(|config| config.close_timeout = secs(1));
    host.answer_get(&open("[]"));
    host.events();
    host.send("a");
    host.close();
    // The process did not run.
    host.now = host.now + secs(100);
    host.session.extend_deadlines(host.now + secs(20));
    host.answer_post();
    assert_eq!(host.posted(), "1");
    host.wait(millis(1999));
    assert!(host.events().is_empty());
    host.answer_post();
    assert_eq!(host.closed(), CloseReason::ForcedClose);
}

#[test]
fn who_has_closed_is_known_whatever_ends_the_session() {
    let (mut host, on) = Host::websocket();
    host.send("a");
    assert!(!host.session.was_closed());
    host.close();
    host.lose_socket(on, WebSocketEnd::Closed);
    assert!(host.session.was_closed());
    assert_eq!(host.closed(), CloseReason::TransportClose);
    let (mut host, on) = Host::websocket();
    host.lose_socket(on, WebSocketEnd::Closed);
    host.close();
    assert!(!host.session.was_closed(), "it was over before");
    let (mut host, _) = Host::websocket();
    host.session.abort();
    assert!(host.session.was_closed());
}

#[test]
fn close_on_a_websocket_lets_out_what_is_queued() {
    let (mut host, on) = Host::websocket();
    host.send("a");
    host.close();
    assert!(host.closed_sockets.is_empty());
    host.text(on, "4unheard");
    assert_eq!(host.frames(on), ["4a"]);
    assert_eq!(host.closed_sockets, [on]);
    assert_eq!(host.closed(), CloseReason::ForcedClose);
    let (mut host, on) = Host::websocket();
    host.close();
    assert_eq!(host.closed_sockets, [on]);
    assert_eq!(host.closed(), CloseReason::ForcedClose);
}

#[test]
fn close_before_the_session_is_open_waits_only_for_what_is_queued() {
    let mut host = Host::new(|_| {});
    host.close();
    assert_eq!(host.closed(), CloseReason::ForcedClose);
    assert_eq!(host.abandoned.len(), 1);
    let mut host = Host::new(|_| {});
    host.send("a");
    host.close();
    host.answer_get(&open(r#"["websocket"]"#));
    assert!(host.opening.is_empty(), "no upgrade any more");
    assert_eq!(host.posted(), "4a");
    host.answer_post();
    assert_eq!(host.posted(), "1");
    host.answer_post();
    assert_eq!(host.closed(), CloseReason::ForcedClose);
    let mut host = Host::new(|config| config.transports = vec![TransportKind::WebSocket]);
    host.send("a");
    host.close();
    let on = host.open_socket();
    host.text(on, &open("[]"));
    assert_eq!(host.frames(on), ["4a"]);
    assert_eq!(host.closed(), CloseReason::ForcedClose);
}

#[test]
fn close_during_an_upgrade_gives_that_up() {
    for answered in [false, true] {
        let (mut host, on) = Host::probing();
        if answered {
            host.text(on, "3probe");
        }
        host.send("a");
        host.close();
        assert_eq!(host.closed_sockets, [on]);
        assert_eq!(host.posted(), "4a");
        host.answer_post();
        assert_eq!(host.posted(), "1");
        host.answer_post();
        assert_eq!(host.closed(), CloseReason::ForcedClose);
    }
    // The upgrade packet is not out, but the session has moved.
    let (mut host, on) = Host::probing();
    host.text(on, "3probe");
    host.answer_get("6");
    host.close();
    assert!(host.closed_sockets.is_empty());
    assert_eq!(host.frames(on), ["5"]);
    assert_eq!(host.closed_sockets, [on]);
    assert_eq!(host.events(), [Event::Upgraded, Event::Closed(CloseReason::ForcedClose)]);
}

#[test]
fn the_server_closes() {
    let mut host = Host::polling();
    host.send("x");
    host.answer_get("4a\u{1e}1\u{1e}4lost");
    let closed = Event::Closed(CloseReason::TransportClose);
    assert_eq!(host.events(), [message("a"), closed]);
    assert!(host.requests.is_empty());
    let (mut host, on) = Host::websocket();
    host.text(on, "1");
    assert_eq!(host.closed(), CloseReason::TransportClose);
    assert_eq!(host.closed_sockets, [on]);
    for end in [WebSocketEnd::Closed, WebSocketEnd::Failed] {
        let (mut host, on) = Host::websocket();
        host.lose_socket(on, end);
        assert_eq!(host.closed(), CloseReason::TransportClose);
        assert!(host.closed_sockets.is_empty());
    }
}

#[test]
fn a_violation_of_the_websocket_is_a_transport_error() {
    let (mut host, on) = Host::websocket();
    let violation = crate::wire::ws::Violation::Masked;
    host.lose_socket(on, WebSocketEnd::Violation(violation.clone()));
    assert_eq!(host.closed(), error(violation.into()));
    let (mut host, on) = Host::websocket();
    host.text(on, "9");
    assert!(matches!(host.closed(), CloseReason::TransportError(TransportFault::Malformed(_))));
}

#[test]
fn abort_ends_the_session_at_once() {
    let mut host = Host::polling();
    host.send("lost");
    host.session.abort();
    host.drain();
    assert_eq!(host.closed(), CloseReason::ForcedClose);
    assert_eq!(host.abandoned.len(), 2);
    host.close();
    host.session.abort();
    assert!(host.events().is_empty(), "once");
}

#[test]
fn an_upgrade_packet_that_was_due_does_not_outlive_the_session() {
    let (mut host, on) = Host::probing();
    host.text(on, "3probe");
    host.answer_get("6");
    assert_eq!(host.events(), [Event::Upgraded]);
    assert!(host.session.wants_write(on));
    host.session.abort();
    host.drain();
    assert_eq!(host.closed(), CloseReason::ForcedClose);
    assert!(host.frames(on).is_empty());
}
