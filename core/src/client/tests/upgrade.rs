//! The move to a WebSocket.

use super::*;

#[test]
fn a_probe_goes_on_beside_polling_until_it_is_answered() {
    let (mut host, on) = Host::probing();
    host.answer_get("4a");
    host.send("b");
    assert_eq!(host.events(), [message("a")]);
    assert_eq!(host.posted(), "4b");
    host.answer_post();
    assert!(host.waits());
    host.text(on, "3probe");
    assert!(host.frames(on).is_empty(), "a GET is under way");
    host.send("c");
    assert!(host.request("POST").is_none(), "the session is about to leave polling");
    host.answer_get("4d");
    assert_eq!(host.events(), [message("d"), Event::Upgraded]);
    assert!(!host.waits());
    assert_eq!(host.frames(on), ["5", "4c"]);
    host.text(on, "4e");
    assert_eq!(host.events(), [message("e")]);
    assert!(host.session.websocket_works());
}

#[test]
fn a_session_is_upgrading_while_a_websocket_is_probed() {
    for completes in [true, false] {
        let mut host = Host::new(|_| {});
        assert!(!host.session.is_upgrading());
        host.answer_get(&open(r#"["websocket"]"#));
        assert!(host.session.is_upgrading());
        let on = host.open_socket();
        host.frames(on);
        host.text(on, "3probe");
        assert!(host.session.is_upgrading(), "a GET is under way");
        if completes {
            host.answer_get("6");
        } else {
            host.lose_socket(on, WebSocketEnd::Failed);
        }
        assert!(!host.session.is_upgrading());
        assert_eq!(host.session.websocket_works(), completes);
    }
}

#[test]
fn the_session_moves_only_once_get_and_post_have_ended() {
    let (mut host, on) = Host::probing();
    host.send("a");
    host.text(on, "3probe");
    host.answer_get("6");
    assert!(host.frames(on).is_empty() && !host.waits(), "a POST is under way");
    host.answer_post();
    assert_eq!(host.frames(on), ["5"]);
    assert_eq!(host.events(), [Event::Upgraded]);
}

#[test]
fn a_session_is_idle_while_a_message_would_go_out_at_once() {
    let mut host = Host::new(|_| {});
    assert!(!host.session.is_idle(), "it is not open");
    host.answer_get(&open(r#"["websocket"]"#));
    assert!(host.session.is_idle());
    host.send("a");
    assert_eq!((host.posted(), host.session.queued()), ("4a", 0));
    assert!(!host.session.is_idle(), "a POST is under way");
    host.answer_post();
    assert!(host.session.is_idle());
    let on = host.open_socket();
    assert_eq!(host.frames(on), ["2probe"]);
    host.text(on, "3probe");
    assert!(!host.session.is_idle(), "it waits for the GET");
    host.answer_get("6");
    assert!(!host.session.is_idle(), "the upgrade packet goes first");
    assert_eq!(host.frames(on), ["5"]);
    assert!(host.session.is_idle());
    host.send("b");
    assert!(!host.session.is_idle(), "it is queued");
    assert_eq!(host.frames(on), ["4b"]);
    assert!(host.session.is_idle());
    host.close();
    assert!(!host.session.is_idle(), "it is closed");
}

#[test]
fn no_upgrade_is_tried_that_nobody_wants() {
    let mut host = Host::new(|config| config.upgrade = false);
    host.answer_get(&open(r#"["websocket"]"#));
    assert!(host.opening.is_empty());
    let mut host = Host::new(|config| config.transports = vec![TransportKind::Polling]);
    host.answer_get(&open(r#"["websocket"]"#));
    assert!(host.opening.is_empty());
    let mut host = Host::new(|_| {});
    host.answer_get(&open(r#"["webtransport"]"#));
    assert!(host.opening.is_empty());
}

/// After whatever has happened, polling works in both directions and no probe is left.
fn assert_polls(mut host: Host) {
    assert!(host.waits() && host.opening.is_empty());
    host.answer_get("4a");
    assert_eq!(host.events(), [message("a")]);
    host.send("b");
    assert_eq!(host.posted(), "4b");
    host.answer_post();
    host.wait(secs(11));
    assert!(host.waits() && host.events().is_empty());
}

#[test]
fn a_probe_that_fails_at_any_stage_leaves_a_working_session() {
    let mut host = Host::new(|_| {});
    host.answer_get(&open(r#"["websocket"]"#));
    host.events();
    host.refuse_socket();
    assert_polls(host);

    let (mut host, on) = Host::probing();
    host.lose_socket(on, WebSocketEnd::Closed);
    assert_polls(host);

    for wrong in ["3", "3other", "4hi", "6", "", "2probe"] {
        let (mut host, on) = Host::probing();
        host.text(on, wrong);
        assert_eq!(host.closed_sockets, [on], "{wrong:?}");
        assert_polls(host);
    }

    let (mut host, on) = Host::probing();
    host.session.handle_websocket_message(host.now, on, vec![1u8].into());
    host.drain();
    assert_eq!(host.closed_sockets, [on]);
    assert_polls(host);
}

#[test]
fn a_probe_that_fails_while_polling_pauses_resumes_it() {
    let (mut host, on) = Host::probing();
    host.text(on, "3probe");
    host.answer_get("4late");
    // It would be complete now, had it not been lost before that.
    let (mut lost, on) = Host::probing();
    lost.send("kept");
    lost.text(on, "3probe");
    lost.answer_get("4x");
    lost.send("waits");
    assert!(!lost.waits());
    lost.lose_socket(on, WebSocketEnd::Failed);
    assert!(lost.waits());
    lost.answer_post();
    assert_eq!(lost.posted(), "4waits");
    lost.answer_post();
    assert_eq!(lost.events(), [message("x")]);
    assert_polls(lost);
    assert_eq!(host.events(), [message("late"), Event::Upgraded]);
}

#[test]
fn a_probe_that_stalls_is_given_up_in_time() {
    let mut host = Host::new(|_| {});
    host.answer_get(&open(r#"["websocket"]"#));
    host.events();
    host.wait(secs(10));
    assert_eq!(host.closed_sockets.len(), 1);
    assert_polls(host);

    let (mut host, on) = Host::probing();
    host.wait(millis(9_999));
    assert!(host.closed_sockets.is_empty());
    host.wait(millis(1));
    assert_eq!(host.closed_sockets, [on]);
    // Too late.
    host.text(on, "3probe");
    assert_polls(host);
}

#[test]
fn a_websocket_that_opens_too_late_is_closed() {
    let mut host = Host::new(|_| {});
    host.answer_get(&open(r#"["websocket"]"#));
    host.events();
    let on = *host.opening.keys().next().unwrap();
    host.wait(secs(10));
    host.session.handle_websocket_open(host.now, on, None);
    host.drain();
    assert_eq!(host.closed_sockets, [on, on]);
    assert_polls(host);
}

#[test]
fn an_event_of_several_messages_that_polling_has_cut_goes_on_behind_the_upgrade_packet() {
    let (mut host, on) = Host::probing();
    let group = ["a", "b", "c"].map(|part| Message::from(part.repeat(60)));
    host.session.send(crate::Encoded::group(group)).unwrap();
    host.drain();
    assert_eq!(host.posted(), format!("4{}", "a".repeat(60)));
    host.text(on, "3probe");
    host.answer_get("6");
    host.answer_post();
    let rest = ["b", "c"].map(|part| format!("4{}", part.repeat(60)));
    assert_eq!(host.frames(on), ["5".to_string(), rest[0].clone(), rest[1].clone()]);
}

#[test]
fn the_heartbeat_survives_the_upgrade() {
    let (mut host, on) = Host::probing();
    host.wait(secs(9));
    host.answer_get("2");
    host.text(on, "3probe");
    host.answer_get("6");
    host.answer_post();
    assert!(host.frames(WebSocketId(99)).is_empty(), "there is no such WebSocket");
    assert_eq!(host.frames(on), ["5"]);
    assert_eq!(host.events(), [Event::Upgraded]);
    host.wait(millis(44_999));
    assert!(!host.session.is_closed());
    host.wait(millis(1));
    assert_eq!(host.closed(), CloseReason::PingTimeout);
}

#[test]
fn an_answer_to_a_probe_that_was_not_sent_yet_tells_nothing() {
    let mut host = Host::new(|_| {});
    host.answer_get(&open(r#"["websocket"]"#));
    host.events();
    let on = host.open_socket();
    host.text(on, "3probe");
    assert_eq!(host.closed_sockets, [on]);
    assert_polls(host);
}

#[test]
fn subprotocol_is_that_of_the_websocket_that_carries_the_session() {
    let mut host = Host::new(|config| config.push_protocol("chat").unwrap());
    let (_, get) = host.request("GET").unwrap();
    let offers = |request: &Request| request.headers.values("sec-websocket-protocol").count();
    assert_eq!(offers(get), 0);
    host.answer_get(&open(r#"["websocket"]"#));
    let (on, request) = host.opening.pop_first().unwrap();
    assert_eq!(offers(&request), 1);
    host.session.handle_websocket_open(host.now, on, Some("chat"));
    assert_eq!(host.session.subprotocol(), None, "the upgrade is not complete");
    host.drain();
    assert_eq!(host.frames(on), ["2probe"]);
    host.text(on, "3probe");
    host.answer_get("6");
    assert_eq!(host.frames(on), ["5"]);
    assert_eq!(host.session.subprotocol(), Some("chat"));
    host.close();
    host.lose_socket(on, WebSocketEnd::Closed);
    assert_eq!(host.session.subprotocol(), Some("chat"), "it stays to be read");
}
