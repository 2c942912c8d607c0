//! Signs of life.

use super::*;

#[test]
fn revision_4_pings_and_a_pong_arms_the_next() {
    let (mut peer, on) = Peer::websocket();
    for _ in 0..3 {
        peer.wait(millis(24_999));
        assert!(peer.frames(on).is_empty());
        peer.wait(millis(1));
        assert_eq!(peer.frames(on), ["2"]);
        peer.text(on, "3");
    }
    assert!(peer.events().is_empty());
}

#[test]
fn a_missing_pong_ends_the_session() {
    let mut peer = Peer::polling();
    let get = peer.get();
    peer.wait(secs(25));
    assert_eq!(peer.body(get), "2");
    let get = peer.get();
    peer.wait(millis(19_999));
    assert!(peer.waits(get));
    peer.wait(millis(1));
    assert_eq!(peer.body(get), "1");
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn time_for_a_pong_counts_from_when_the_ping_was_due_unless_the_driver_was_late() {
    for (late, deadline) in [(0, 45_000), (2, 45_000), (3, 45_003), (4000, 49_000)] {
        let mut peer = Peer::polling();
        peer.session.handle_timeout(Time::from_millis(25_000 + late));
        let expected = (Time::from_millis(deadline), ServerTimerKind::Heartbeat);
        assert_eq!(peer.session.poll_timeout(), Some(expected), "{late} ms late");
    }
}

#[test]
fn time_for_a_pong_is_never_used_up_by_rounding() {
    let mut config = ServerConfig::default();
    config.ping_timeout = millis(1);
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    peer.session.handle_timeout(Time::from_millis(25_002));
    assert_eq!(peer.session.peer_deadline(), Some(Time::from_millis(25_003)));
}

#[test]
fn a_client_that_never_polls_is_noticed_too() {
    let mut peer = Peer::polling();
    peer.wait(secs(45));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn other_traffic_moves_the_deadline_of_a_pong_once() {
    let (mut peer, on) = Peer::websocket();
    peer.wait(secs(35));
    peer.text(on, "4a");
    peer.wait(millis(19_999));
    peer.text(on, "4b");
    assert_eq!(peer.events(), [text("a"), text("b")]);
    peer.wait(millis(1));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn every_ping_has_an_extension_of_its_own() {
    let (mut peer, on) = Peer::websocket();
    for _ in 0..2 {
        peer.wait(secs(25 + 10));
        peer.text(on, "6");
        peer.wait(secs(15));
        peer.text(on, "3");
    }
    assert!(peer.events().is_empty());
}

#[test]
fn a_pong_at_the_deadline_counts_if_it_is_handled_first() {
    let (mut peer, on) = Peer::websocket();
    peer.wait(secs(25));
    peer.now = peer.now + secs(20);
    peer.text(on, "3");
    peer.session.handle_timeout(peer.now);
    assert!(peer.events().is_empty());
}

#[test]
fn an_excused_peer_may_answer_until_then_and_no_longer() {
    let (mut peer, on) = Peer::websocket();
    peer.wait(secs(45 - 1));
    assert_eq!(peer.session.peer_deadline(), Some(peer.now + secs(1)));
    for until in [secs(2), secs(1)] {
        peer.session.extend_deadlines(peer.now + until);
        assert_eq!(peer.session.peer_deadline(), Some(peer.now + secs(2)), "never sooner");
    }
    peer.wait(millis(1999));
    peer.text(on, "3");
    assert_eq!(peer.session.peer_deadline(), None);
    peer.session.extend_deadlines(peer.now + secs(100));
    assert_eq!(peer.session.peer_deadline(), None, "nothing is awaited that was not");
    peer.wait(secs(45));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn a_pong_in_the_grace_period_or_read_late_makes_the_next_ping_due_at_once() {
    // Nanoseconds behind the deadline of the pong.
    for (extended_to, read_at, due_at_once) in
        [(None, 0, false), (None, 1, true), (Some(0), 0, false), (Some(1), 0, true)]
    {
        let (mut peer, on) = Peer::websocket();
        peer.wait(secs(25));
        assert_eq!(peer.frames(on), ["2"]);
        let behind = |nanos| Time::ZERO + secs(45) + Duration::from_nanos(nanos);
        if let Some(nanos) = extended_to {
            peer.session.extend_deadlines(behind(nanos));
        }
        peer.now = behind(read_at);
        peer.text(on, "3");
        peer.wait(secs(0));
        assert_eq!(peer.frames(on) == ["2"], due_at_once, "{extended_to:?} {read_at}");
        // The answer to that one is on time again.
        peer.text(on, "3");
        peer.wait(millis(24_999));
        assert!(peer.frames(on).is_empty());
        peer.wait(millis(1));
        assert_eq!(peer.frames(on), ["2"]);
    }
}

#[test]
fn an_excuse_does_not_delay_what_is_ours_to_do() {
    let (mut peer, on) = Peer::websocket();
    peer.session.extend_deadlines(peer.now + secs(100));
    peer.wait(secs(25));
    assert_eq!(peer.frames(on), ["2"]);
}

#[test]
fn an_unsolicited_pong_moves_the_next_ping() {
    let (mut peer, on) = Peer::websocket();
    peer.wait(secs(20));
    peer.text(on, "3");
    peer.wait(millis(24_999));
    assert!(peer.frames(on).is_empty());
    peer.wait(millis(1));
    assert_eq!(peer.frames(on), ["2"]);
}

#[test]
fn a_heartbeat_in_the_wrong_direction_ends_the_session() {
    for (mut peer, body) in [(Peer::polling(), "2"), (Peer::polling_v3(), "1:3")] {
        let post = peer.post(body);
        assert_eq!(peer.body(post), "ok");
        assert_eq!(peer.closed(), fault(TransportFault::HeartbeatDirection));
    }
}

#[test]
fn revision_3_answers_pings_without_their_data() {
    let mut peer = Peer::polling_v3();
    let get = peer.get();
    peer.post("6:2hello");
    assert_eq!(peer.body(get), "1:3");
}

#[test]
fn any_packet_keeps_a_session_of_revision_3() {
    for body in ["1:2", "2:4a", "1:6"] {
        let mut peer = Peer::polling_v3();
        peer.wait(millis(44_999));
        peer.post(body);
        peer.events();
        peer.wait(millis(44_999));
        assert!(peer.events().is_empty(), "{body}");
        peer.wait(millis(1));
        assert_eq!(peer.closed(), CloseReason::PingTimeout);
    }
}

#[test]
fn a_ping_in_flight_at_the_upgrade_must_still_be_answered() {
    let mut peer = Peer::polling();
    peer.wait(secs(25));
    let get = peer.get();
    assert_eq!(peer.body(get), "2");
    let (mut peer, on) = peer.upgraded();
    peer.wait(millis(19_999));
    assert!(peer.events().is_empty());
    peer.text(on, "3");
    peer.wait(secs(25));
    assert_eq!(peer.frames(on), ["2"], "the heartbeat goes on");
    peer.wait(secs(20));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn an_upgraded_session_of_revision_3_times_out() {
    let (mut peer, _) = Peer::polling_v3().upgraded();
    peer.wait(secs(45));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn a_peer_that_we_do_not_read_is_not_called_silent() {
    let mut config = ServerConfig::default();
    config.limits.max_unread = 100;
    let mut peer = Peer::open("EIO=4&transport=websocket", config);
    let on = WebSocketId(0);
    peer.text(on, "4aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert!(!peer.session.is_receiving());
    peer.wait(secs(300));
    assert!(!peer.session.is_closed());
    assert_eq!(peer.events().len(), 1);
    assert!(peer.session.is_receiving());
    // Its pong may have been behind all that. Deadlines were at 45 s and every 20 s from there; the
    // one at 305 s still covers a time without reading, so it gets until 325 s.
    peer.wait(secs(24));
    assert!(!peer.session.is_closed());
    peer.wait(secs(1));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn a_peer_whose_post_is_withheld_is_excused_only_if_it_takes_something_of_a_full_queue() {
    for takes in [true, false] {
        let mut config = ServerConfig::default();
        (config.limits.max_unread, config.limits.max_queued) = (1, 1);
        let mut peer = Peer::open("EIO=4&transport=polling", config);
        peer.send("x");
        peer.wait(secs(25));
        let post = peer.post("4a");
        assert!(peer.waits(post) && !peer.session.has_room());
        if takes {
            let get = peer.get();
            assert_eq!(peer.body(get), "4x\u{1e}2");
        }
        peer.wait(secs(20));
        assert_eq!(peer.session.is_open(), takes);
    }
}

#[test]
fn having_been_slow_once_does_not_excuse_a_later_silence() {
    let mut config = allowing_v3();
    config.limits.max_unread = 100;
    for revision in ["3", "4"] {
        let query = format!("EIO={revision}&transport=websocket");
        let mut peer = Peer::open(&query, config.clone());
        let on = WebSocketId(0);
        if revision == "4" {
            peer.wait(secs(25));
        }
        peer.text(on, "4aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert!(!peer.session.is_receiving());
        assert_eq!(peer.events().len(), 1);
        peer.wait(secs(10));
        // All that was in the way has been read, which sets a new deadline.
        let silence = match revision {
            "3" => {
                peer.text(on, "2");
                45
            }
            _ => {
                peer.text(on, "3");
                25 + 20
            }
        };
        peer.wait(secs(silence) - millis(1));
        assert!(!peer.session.is_closed(), "revision {revision}");
        peer.wait(millis(1));
        assert_eq!(peer.closed(), CloseReason::PingTimeout, "revision {revision}");
    }
}

#[test]
fn a_heartbeat_without_patience_does_not_go_round_in_circles() {
    let mut config = ServerConfig::default();
    config.limits.max_unread = 1;
    config.ping_timeout = Duration::ZERO;
    let mut peer = Peer::open("EIO=4&transport=websocket", config);
    peer.text(WebSocketId(0), "4a");
    peer.now = peer.now + secs(25);
    peer.session.handle_timeout(peer.now);
    assert!(peer.session.poll_timeout().is_some_and(|(deadline, _)| deadline > peer.now));
}

#[test]
fn in_revision_3_a_pong_overtakes_messages_but_not_the_handshake() {
    let mut peer = Peer::open("EIO=3&transport=websocket", allowing_v3());
    let on = WebSocketId(0);
    peer.send("a");
    // In the same segment as the request for the WebSocket.
    peer.text(on, "2");
    let frames = peer.frames(on);
    assert!(frames[0].starts_with("0{"), "{frames:?}");
    assert_eq!(frames[1..], ["3", "4a"]);
}

#[test]
fn bytes_at_the_lowest_rate_extend_the_time_for_a_pong() {
    let (mut peer, _) = Peer::websocket();
    peer.wait(secs(25));
    // 1 KiB a second in the 20 s that there are.
    for _ in 0..10 {
        peer.wait(millis(19_999));
        peer.session.handle_progress(peer.now, 20 * 1024);
    }
    peer.session.handle_progress(peer.now, 20 * 1024 - 1);
    peer.wait(secs(20));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn bytes_count_from_when_a_pong_is_awaited() {
    let (mut peer, _) = Peer::websocket();
    peer.session.handle_progress(peer.now, 1_000_000);
    peer.wait(secs(45));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn bytes_extend_the_time_for_a_ping_of_revision_3() {
    let mut peer = Peer::polling_v3();
    peer.wait(secs(44));
    peer.session.handle_written(peer.now, 45 * 1024);
    peer.wait(secs(44));
    assert!(peer.session.is_open());
    peer.wait(secs(1));
    assert_eq!(peer.closed(), CloseReason::PingTimeout);
}

#[test]
fn a_peer_that_was_not_read_is_excused_no_more_once_bytes_have_extended_its_time() {
    for (bytes, excused) in [(0, true), (20 * 1024, false)] {
        let mut config = ServerConfig::default();
        config.limits.max_unread = 1;
        let mut peer = Peer::open("EIO=4&transport=websocket", config);
        peer.wait(secs(25));
        // The application is slow, and then reads on.
        peer.text(WebSocketId(0), "4a");
        assert!(!peer.session.is_receiving());
        assert_eq!(peer.events(), [text("a")]);
        assert!(peer.session.is_receiving());
        peer.session.handle_progress(peer.now, bytes);
        peer.wait(secs(20));
        assert_eq!(peer.session.is_open(), excused, "{bytes} bytes");
        peer.wait(secs(20));
        assert_eq!(peer.closed(), CloseReason::PingTimeout);
    }
}

#[test]
fn bytes_never_make_a_deadline_earlier_and_are_harmless_after_the_end() {
    let (mut peer, _) = Peer::websocket();
    peer.wait(secs(25));
    peer.session.extend_deadlines(peer.now + secs(100));
    peer.session.handle_progress(peer.now, 1_000_000);
    peer.wait(secs(99));
    assert!(peer.session.is_open());
    peer.session.abort();
    peer.session.handle_written(peer.now, usize::MAX);
    assert!(peer.session.poll_timeout().is_none());
}
