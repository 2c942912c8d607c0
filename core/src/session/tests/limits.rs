//! Everything is bounded, in bytes.

use super::*;

fn limited(change: impl FnOnce(&mut Limits)) -> ServerConfig {
    let mut config = ServerConfig::default();
    change(&mut config.limits);
    config
}

#[test]
fn a_full_queue_refuses_and_tells_when_there_is_room() {
    let config = limited(|limits| limits.max_queued = 4 * (Limits::MESSAGE_OVERHEAD + 1));
    let mut peer = Peer::open("EIO=4&transport=websocket", config);
    let on = WebSocketId(0);
    peer.frames(on);
    for _ in 0..4 {
        assert!(peer.session.has_room());
        peer.send("x");
    }
    assert!(!peer.session.has_room() && !peer.session.is_writable());
    let max = 4 * (Limits::MESSAGE_OVERHEAD + 1);
    assert_eq!(peer.session.send("x").unwrap_err().reason, SendError::Full { queued: max, max });
    assert!(peer.events().is_empty());
    peer.session.poll_write(on);
    assert!(peer.events().is_empty(), "told only when half of the room is there");
    assert!(peer.session.has_room() && !peer.session.is_writable());
    peer.session.poll_write(on);
    assert!(peer.session.is_writable());
    assert_eq!(peer.events(), [Event::Writable]);
    peer.frames(on);
    assert!(peer.events().is_empty(), "told once");
}

#[test]
fn room_is_told_of_after_each_refusal_and_once_while_nobody_has_heard() {
    for transport in ["polling", "websocket"] {
        let config = limited(|limits| limits.max_queued = 1);
        let mut peer = Peer::open(&format!("EIO=4&transport={transport}"), config);
        peer.frames(WebSocketId(0));
        let take = |peer: &mut Peer| {
            let taken = match transport {
                "polling" => vec![{
                    let get = peer.get();
                    peer.body(get)
                }],
                _ => peer.frames(WebSocketId(0)),
            };
            assert_eq!(taken, ["4x"]);
        };
        let refuse_and_take = |peer: &mut Peer| {
            peer.send("x");
            assert!(peer.session.send("x").is_err());
            take(peer);
        };
        for _ in 0..3 {
            refuse_and_take(&mut peer);
            assert_eq!(peer.events(), [Event::Writable]);
        }
        for _ in 0..3 {
            refuse_and_take(&mut peer);
        }
        assert_eq!(peer.events(), [Event::Writable]);
        peer.send("x");
        take(&mut peer);
        assert!(peer.events().is_empty(), "nothing was refused");
    }
}

#[test]
fn a_message_beyond_the_limit_is_taken_while_there_is_room() {
    let config = limited(|limits| limits.max_queued = 100);
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    peer.send("x".repeat(1000));
    assert!(!peer.session.has_room());
    let get = peer.get();
    assert_eq!(peer.body(get).len(), 1001);
    assert!(peer.session.has_room());
    assert_eq!(peer.session.queued(), 0);
}

#[test]
fn a_post_is_answered_when_the_application_has_caught_up() {
    let config = limited(|limits| limits.max_unread = 200);
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    let post = peer.post("4a\u{1e}4b\u{1e}4c\u{1e}4d");
    assert!(peer.waits(post) && !peer.session.is_receiving());
    assert_eq!(peer.session.poll_event(), Some(text("a")));
    assert_eq!(peer.session.poll_event(), Some(text("b")));
    peer.drain();
    assert!(peer.waits(post));
    assert_eq!(peer.session.poll_event(), Some(text("c")));
    peer.drain();
    assert_eq!(peer.body(post), "ok");
    assert_eq!(peer.events(), [text("d")]);
}

#[test]
fn a_withheld_post_is_answered_when_the_session_closes() {
    let config = limited(|limits| limits.max_unread = 1);
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    let post = peer.post("4a");
    assert!(peer.waits(post));
    peer.close();
    assert_eq!(peer.body(post), "ok");
}

#[test]
fn too_many_packets_in_a_payload_are_a_parse_error() {
    let config = limited(|limits| limits.max_packets = 2);
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    let post = peer.post("4a\u{1e}4b\u{1e}4c");
    assert_eq!(peer.answer(post).status, 400);
    let events = peer.events();
    assert_eq!(events[..2], [text("a"), text("b")]);
    assert!(matches!(events[2], Event::Closed(CloseReason::ParseError(_))));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn answers_to_pings_that_nobody_reads_do_not_pile_up() {
    let mut peer = Peer::open("EIO=3&transport=websocket", allowing_v3());
    let on = WebSocketId(0);
    peer.frames(on);
    for _ in 0..10_000 {
        peer.text(on, "2");
    }
    assert_eq!(peer.frames(on).len(), 16);
    peer.text(on, "2");
    assert_eq!(peer.frames(on), ["3"]);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn probes_that_are_repeated_do_not_pile_up() {
    let mut peer = Peer::polling();
    let on = peer.socket();
    for _ in 0..10_000 {
        peer.text(on, "2probe");
    }
    assert_eq!(peer.frames(on).len(), 4);
}

#[test]
fn a_group_of_messages_is_never_interleaved_and_may_be_empty() {
    let (mut peer, on) = Peer::websocket();
    peer.send(Encoded::group([Message::from("a"), "b".into(), "c".into()]));
    peer.send(Encoded::group([]));
    assert!(peer.session.poll_write(on).is_some());
    peer.send("d");
    peer.now = peer.now + secs(25);
    peer.session.handle_timeout(peer.now);
    assert_eq!(peer.frames(on), ["4b", "4c", "4d", "2"]);
}

#[test]
fn undrained_outputs_are_late_not_lost() {
    let mut peer = Peer::polling();
    let (now, first) = (peer.now, ExchangeId(1));
    peer.session.handle_poll(now, first);
    peer.session.send("a").unwrap();
    peer.session.send("b").unwrap();
    peer.session.handle_post(now, ExchangeId(2), false);
    peer.session.handle_body(now, ExchangeId(2), Body::Complete("4x".into()));
    peer.session.handle_poll(now, ExchangeId(3));
    peer.drain();
    assert_eq!(peer.body(first), "4a");
    assert_eq!(peer.body(ExchangeId(2)), "ok");
    assert_eq!(peer.body(ExchangeId(3)), "4b");
    assert_eq!(peer.events(), [text("x")]);
}

#[test]
fn an_initial_packet_without_any_message_does_not_stand_in_the_way() {
    let mut config = ServerConfig::default();
    config.initial_packet = Some(Encoded::group(Vec::<Message>::new()));
    let mut peer = Peer::open("EIO=4&transport=websocket", config);
    peer.send("a");
    let frames = peer.frames(WebSocketId(0));
    assert!(frames.len() == 2 && frames[1] == "4a", "{frames:?}");
    peer.close();
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
}
