//! The upgrade is a transaction.

use super::*;

#[test]
fn a_probe_is_answered_and_the_waiting_get_ends_at_once() {
    let mut peer = Peer::polling();
    let get = peer.get();
    let on = peer.socket();
    assert!(peer.waits(get));
    peer.text(on, "2probe");
    assert_eq!(peer.frames(on), ["3probe"]);
    assert_eq!(peer.body(get), "6");
    peer.text(on, "5");
    assert_eq!(peer.events(), [Event::Upgraded]);
    assert_eq!(peer.session.transport(), TransportKind::WebSocket);
}

#[test]
fn a_session_is_upgrading_while_a_websocket_is_probed() {
    for completes in [true, false] {
        let mut peer = Peer::polling();
        assert!(!peer.session.is_upgrading());
        let on = peer.socket();
        assert!(peer.session.is_upgrading());
        peer.text(on, "2probe");
        assert!(peer.session.is_upgrading());
        if completes {
            peer.text(on, "5");
        } else {
            peer.session.handle_websocket_lost(peer.now, on, WebSocketEnd::Failed);
        }
        assert!(!peer.session.is_upgrading());
        assert_eq!(peer.session.transport() == TransportKind::WebSocket, completes);
    }
}

#[test]
fn a_get_while_upgrading_ends_after_100_ms_or_with_data() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.text(on, "2probe");
    for _ in 0..3 {
        let get = peer.get();
        peer.wait(millis(99));
        assert!(peer.waits(get));
        peer.wait(millis(1));
        assert_eq!(peer.body(get), "6");
    }
    let get = peer.get();
    peer.wait(millis(50));
    peer.send("data");
    assert_eq!(peer.body(get), "4data");
}

#[test]
fn a_repeated_probe_is_answered_again() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.text(on, "2probe");
    peer.text(on, "2probe");
    assert_eq!(peer.frames(on), ["3probe", "3probe"]);
    peer.text(on, "5");
    assert_eq!(peer.events(), [Event::Upgraded]);
}

#[test]
fn until_the_upgrade_is_complete_polling_delivers() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.text(on, "2probe");
    assert_eq!(peer.frames(on), ["3probe"]);
    peer.send("by polling");
    assert!(peer.frames(on).is_empty());
    let get = peer.get();
    assert_eq!(peer.body(get), "4by polling");
    let post = peer.post("4still");
    assert_eq!(peer.body(post), "ok");
    assert_eq!(peer.events(), [text("still")]);
}

#[test]
fn everything_queued_moves_to_the_websocket_in_order() {
    let mut peer = Peer::polling();
    peer.send("a");
    let on = peer.socket();
    peer.text(on, "2probe");
    peer.send("b");
    peer.frames(on);
    peer.text(on, "5");
    peer.send("c");
    assert_eq!(peer.frames(on), ["4a", "4b", "4c"]);
}

#[test]
fn an_event_of_which_some_went_out_by_polling_goes_on_where_it_was() {
    let mut config = ServerConfig::default();
    config.limits.max_payload = 5;
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    peer.send(Encoded::group([Message::from("a"), "b".into(), "c".into(), "d".into()]));
    let get = peer.get();
    assert_eq!(peer.body(get), "4a\u{1e}4b");
    let on = peer.socket();
    // The answer to the probe has not been pulled when the upgrade is complete.
    peer.text(on, "2probe");
    peer.text(on, "5");
    assert_eq!(peer.frames(on), ["4c", "4d", "3probe"]);
    assert_eq!(peer.session.queued(), 0);
}

#[test]
fn a_get_pending_at_the_end_of_the_upgrade_gets_a_close_packet() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.text(on, "2probe");
    let get = peer.get();
    peer.text(on, "5");
    assert_eq!(peer.body(get), "1");
    assert_eq!(peer.events(), [Event::Upgraded]);
}

#[test]
fn anything_but_a_probe_costs_the_websocket_and_nothing_else() {
    for wrong in ["5", "2", "2prob", "4hi", "1", "x", ""] {
        let mut peer = Peer::polling();
        let get = peer.get();
        let on = peer.socket();
        peer.text(on, wrong);
        assert_eq!(peer.closed_sockets, [on], "{wrong}");
        peer.text(on, "2probe");
        assert!(peer.frames(on).is_empty() && peer.waits(get), "{wrong}");
        peer.send("still here");
        assert_eq!(peer.body(get), "4still here");
        let (mut peer, on) = peer.upgraded();
        peer.text(on, "4works");
        assert_eq!(peer.events(), [text("works")]);
    }
}

#[test]
fn a_message_after_the_probe_costs_the_websocket_and_nothing_else() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.text(on, "2probe");
    peer.text(on, "4too early");
    assert_eq!(peer.closed_sockets, [on]);
    assert!(peer.events().is_empty());
    let get = peer.get();
    peer.wait(millis(200));
    assert!(peer.waits(get), "no noop without a probe");
}

#[test]
fn a_probe_that_is_lost_leaves_polling_as_it_was() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.text(on, "2probe");
    peer.session.handle_websocket_lost(peer.now, on, WebSocketEnd::Failed);
    peer.send("a");
    let get = peer.get();
    assert_eq!(peer.body(get), "4a");
    assert!(peer.events().is_empty() && peer.closed_sockets.is_empty());
    peer.upgraded();
}

#[test]
fn an_upgrade_that_takes_too_long_is_given_up_and_not_extended_by_the_probe() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.wait(secs(9));
    peer.text(on, "2probe");
    peer.wait(millis(999));
    assert!(peer.closed_sockets.is_empty());
    peer.wait(millis(1));
    assert_eq!(peer.closed_sockets, [on]);
    assert!(peer.events().is_empty());
    peer.text(on, "5");
    assert_eq!(peer.session.transport(), TransportKind::Polling);
}

#[test]
fn a_second_websocket_during_a_probe_is_closed_and_the_first_unharmed() {
    let mut peer = Peer::polling();
    let first = peer.socket();
    peer.text(first, "2probe");
    let upgrade = Ok(Admission::Upgrade { base64: false });
    assert_eq!(peer.admit("UPGRADE", "EIO=4&transport=websocket"), upgrade);
    let second = peer.socket();
    assert_eq!(peer.closed_sockets, [second]);
    assert_eq!(peer.frames(first), ["3probe"]);
    peer.text(first, "5");
    assert_eq!(peer.events(), [Event::Upgraded]);
}

#[test]
fn upgrades_that_are_not_allowed_are_refused() {
    let mut config = ServerConfig::default();
    config.allow_upgrades = false;
    let peer = Peer::open("EIO=4&transport=polling", config);
    let refused = peer.admit("UPGRADE", "EIO=4&transport=websocket");
    assert_eq!(refused, Err(Reject::BadRequest(BadRequest::UpgradeRefused)));
}

#[test]
fn a_post_that_was_under_way_still_counts() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    peer.text(on, "2probe");
    let post = peer.begin_post();
    peer.text(on, "5");
    peer.end_post(post, "4from the post");
    assert_eq!(peer.body(post), "ok");
    assert_eq!(peer.events(), [Event::Upgraded, text("from the post")]);
}

#[test]
fn a_probe_does_not_answer_a_post_that_waits_for_the_application() {
    let mut config = ServerConfig::default();
    config.limits.max_unread = 1;
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    let post = peer.post("4a");
    let on = peer.socket();
    peer.text(on, "2probe");
    assert_eq!(peer.frames(on), ["3probe"]);
    assert!(peer.waits(post));
    assert_eq!(peer.events(), [text("a")]);
    assert_eq!(peer.body(post), "ok");
}

#[test]
fn revision_3_upgrades_alike() {
    let (mut peer, on) = Peer::polling_v3().upgraded();
    peer.text(on, "2");
    assert_eq!(peer.frames(on), ["3"]);
}
