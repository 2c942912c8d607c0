//! The end from either side: once, with a reason, and behind what was queued.

use super::*;

#[test]
fn a_waiting_get_learns_of_a_close_at_once() {
    for (mut peer, close) in [(Peer::polling(), "1"), (Peer::polling_v3(), "1:1")] {
        let get = peer.get();
        peer.close();
        assert_eq!(peer.body(get), close);
        assert_eq!(peer.closed(), CloseReason::ForcedClose);
    }
}

#[test]
fn a_get_after_a_close_learns_of_it() {
    for (mut peer, body) in [(Peer::polling(), "6\u{1e}1"), (Peer::polling_v3(), "1:61:1")] {
        peer.close();
        assert_eq!(peer.session.send("x").unwrap_err().reason, SendError::Closed);
        assert!(peer.events().is_empty());
        let get = peer.get();
        assert_eq!(peer.body(get), body);
        assert_eq!(peer.closed(), CloseReason::ForcedClose);
    }
}

#[test]
fn what_was_queued_goes_out_before_the_close() {
    let mut peer = Peer::polling();
    peer.send("a");
    peer.close();
    let get = peer.get();
    assert_eq!(peer.body(get), "4a");
    assert!(peer.events().is_empty());
    let get = peer.get();
    assert_eq!(peer.body(get), "6\u{1e}1");
    assert_eq!(peer.closed(), CloseReason::ForcedClose);

    let (mut peer, on) = Peer::websocket();
    peer.send("a");
    peer.send("b");
    peer.close();
    assert!(peer.closed_sockets.is_empty() && peer.events().is_empty());
    assert_eq!(peer.frames(on), ["4a", "4b"]);
    assert_eq!(peer.closed_sockets, [on]);
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
}

#[test]
fn messages_that_come_after_a_close_are_delivered() {
    let mut peer = Peer::polling();
    peer.close();
    let post = peer.post("4a\u{1e}4b");
    assert_eq!(peer.body(post), "ok");
    assert_eq!(peer.events(), [text("a"), text("b")]);
    let (mut peer, on) = Peer::websocket();
    peer.send("queued");
    peer.close();
    peer.text(on, "4a");
    assert_eq!(peer.frames(on), ["4queued"]);
    peer.text(on, "4b");
    assert_eq!(peer.events(), [text("a"), Event::Closed(CloseReason::ForcedClose)]);
}

#[test]
fn an_abandoned_session_drops_what_it_has_and_says_of_no_more_that_it_was_taken() {
    let mut peer = Peer::polling();
    peer.send("queued");
    peer.post("4unheard");
    peer.session.abandon(peer.now);
    assert!(!peer.session.has_events());
    let post = peer.post("4late");
    assert!(peer.waits(post), "who is refused does not come for what is queued");
    let get = peer.get();
    assert_eq!(peer.body(get), "4queued");
    let get = peer.get();
    assert_eq!(peer.body(get), "6\u{1e}1");
    assert_eq!(peer.answer(post).status, 400);
    assert_eq!(peer.events(), [Event::Closed(CloseReason::ForcedClose)]);
}

#[test]
fn messages_that_are_dropped_after_a_close_are_not_said_to_have_been_taken() {
    let mut config = ServerConfig::default();
    config.limits.max_unread = 1;
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    peer.send("queued");
    peer.close();
    // The application is not asked: it may well not be there any more.
    for body in ["4taken", "4late"] {
        peer.session.handle_post(peer.now, ExchangeId(100), false);
        let body = Body::Complete(body.into());
        peer.session.handle_body(peer.now, ExchangeId(100), body);
        assert!(peer.session.is_receiving());
    }
    let mut answers = core::iter::from_fn(|| peer.session.poll_action());
    let Some(ServerAction::Respond(_, taken)) = answers.next() else { panic!("no answer") };
    assert_eq!(taken.body, "ok");
    assert!(answers.next().is_none(), "who is refused does not come for what is queued");
    peer.session.handle_poll(peer.now, ExchangeId(101));
    peer.session.handle_poll(peer.now, ExchangeId(102));
    let answers = core::iter::from_fn(|| peer.session.poll_action());
    let statuses: Vec<_> = answers
        .map(|action| match action {
            ServerAction::Respond(on, response) => (on.0, response.status),
            action => panic!("{action:?}"),
        })
        .collect();
    assert_eq!(statuses, [(101, 200), (102, 200), (100, 400)]);
}

#[test]
fn a_close_waits_30_s_for_a_get() {
    let mut peer = Peer::polling();
    // Late enough that no heartbeat comes first.
    peer.wait(secs(20));
    peer.post("3");
    peer.close();
    peer.wait(millis(29_999));
    assert!(peer.events().is_empty());
    peer.wait(millis(1));
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
}

#[test]
fn until_when_a_close_waits_is_known_beyond_the_end_unless_it_was_aborted() {
    let (mut peer, _) = Peer::websocket();
    assert_eq!(peer.session.close_deadline(), None);
    let deadline = peer.now + secs(30);
    peer.close();
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
    assert_eq!(peer.session.close_deadline(), Some(deadline));
    peer.session.abort();
    assert_eq!(peer.session.close_deadline(), None);
}

#[test]
fn closing_twice_or_afterwards_does_nothing() {
    let (mut peer, on) = Peer::websocket();
    peer.close();
    peer.close();
    peer.session.abort();
    peer.session.handle_websocket_lost(peer.now, on, WebSocketEnd::Closed);
    peer.drain();
    assert_eq!(peer.closed_sockets, [on]);
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
}

#[test]
fn the_peer_closes_its_websocket() {
    let violation = crate::wire::ws::Violation::Unmasked;
    for (end, reason) in [
        (WebSocketEnd::Closed, CloseReason::TransportClose),
        (WebSocketEnd::Failed, fault(TransportFault::ConnectionLost)),
        (
            WebSocketEnd::Violation(violation.clone()),
            fault(TransportFault::WebSocket(violation.clone())),
        ),
    ] {
        let (mut peer, on) = Peer::websocket();
        peer.session.handle_websocket_lost(peer.now, on, end);
        peer.drain();
        assert!(peer.closed_sockets.is_empty(), "there is nothing left to close");
        assert_eq!(peer.closed(), reason);
        assert_eq!(peer.session.transport(), TransportKind::WebSocket);
    }
}

#[test]
fn a_close_packet_on_a_websocket_closes() {
    let (mut peer, on) = Peer::websocket();
    peer.text(on, "1");
    assert_eq!(peer.closed_sockets, [on]);
    assert_eq!(peer.closed(), CloseReason::TransportClose);
}

#[test]
fn a_malformed_packet_on_a_websocket_closes_it_as_a_parse_error() {
    for wrong in ["abc", "7", ""] {
        let (mut peer, on) = Peer::websocket();
        peer.text(on, wrong);
        assert_eq!(peer.closed_sockets, [on]);
        assert_eq!(peer.closed().as_str(), "parse error");
    }
}

#[test]
fn a_close_during_a_probe_closes_both() {
    let mut peer = Peer::polling();
    let get = peer.get();
    let on = peer.socket();
    peer.close();
    assert_eq!(peer.body(get), "1");
    assert_eq!(peer.closed_sockets, [on]);
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
}

#[test]
fn a_close_during_an_upgrade_lets_the_queue_out_over_the_websocket() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.text(on, "2probe");
    peer.frames(on);
    peer.send("last words");
    peer.close();
    peer.text(on, "5");
    assert_eq!(peer.events(), [Event::Upgraded]);
    assert_eq!(peer.frames(on), ["4last words"]);
    assert_eq!(peer.closed_sockets, [on]);
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
}

#[test]
fn inputs_after_the_end_are_harmless() {
    let (mut peer, on) = Peer::websocket();
    peer.close();
    peer.events();
    peer.text(on, "4a");
    peer.socket();
    peer.wait(secs(100));
    let (get, post) = (peer.get(), peer.begin_post());
    assert_eq!((peer.answer(get).status, peer.answer(post).status), (400, 400));
    assert!(peer.events().is_empty() && peer.session.poll_timeout().is_none());
}

#[test]
fn a_post_that_is_too_late_does_not_keep_an_upgrade_from_its_end() {
    // Before the probe, and behind it.
    for early in [true, false] {
        let mut peer = Peer::polling();
        peer.send("last words");
        let on = peer.socket();
        if !early {
            peer.text(on, "2probe");
        }
        peer.session.abandon(peer.now);
        let post = peer.post("4late");
        assert_eq!(peer.waits(post), early);
        if early {
            peer.text(on, "2probe");
        }
        assert_eq!(peer.body(post), "ok");
        assert_eq!(peer.frames(on), ["3probe"]);
        peer.text(on, "5");
        assert_eq!(peer.frames(on), ["4last words"]);
        assert_eq!(peer.events(), [Event::Upgraded, Event::Closed(CloseReason::ForcedClose)]);
    }
}

#[test]
fn a_peer_whose_post_is_withheld_cannot_answer_pings_and_is_given_until_the_close() {
    let mut config = ServerConfig::default();
    config.close_timeout = secs(100);
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    peer.send("first");
    peer.session.abandon(peer.now);
    peer.post("4late");
    peer.wait(secs(99));
    let get = peer.get();
    assert_eq!(peer.body(get), "4first\u{1e}2");
}

#[test]
fn a_peer_that_could_send_nothing_has_as_long_as_ever_once_it_can() {
    let mut peer = Peer::polling();
    peer.wait(secs(20));
    peer.send("queued");
    peer.session.abandon(peer.now);
    peer.post("4late");
    // The ping is due at 25 s, and its answer at 45.
    peer.wait(millis(24_990));
    let on = peer.socket();
    peer.text(on, "2probe");
    peer.wait(millis(20));
    assert!(!peer.session.is_closed(), "it has had 10 ms");
    peer.text(on, "5");
    assert_eq!(peer.frames(on), ["3probe", "4queued", "2"]);
}

#[test]
fn deadline_of_a_close_that_was_extended_holds_for_the_closing_handshake() {
    let (mut peer, _) = Peer::websocket();
    peer.send("queued");
    peer.close();
    // The process did not run.
    peer.now = peer.now + secs(100);
    for until in [secs(20), secs(10)] {
        peer.session.extend_deadlines(peer.now + until);
        assert_eq!(peer.session.close_deadline(), Some(peer.now + secs(20)), "never sooner");
    }
}

#[test]
fn close_waits_for_as_long_as_the_peer_takes_what_is_queued() {
    let (mut peer, _) = Peer::websocket();
    peer.send("queued");
    peer.close();
    for _ in 0..5 {
        peer.wait(secs(15));
        // Bytes that come tell of the peer, but not that it reads.
        peer.session.handle_progress(peer.now, 1_000_000);
        peer.session.handle_written(peer.now, 30 * 1024);
    }
    assert_eq!(peer.session.close_deadline(), Some(peer.now + secs(30)));
    peer.wait(secs(15));
    peer.session.handle_progress(peer.now, 1_000_000);
    peer.wait(secs(15));
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
}
