//! Polling, request by request.

use super::*;

#[test]
fn a_get_is_held_until_there_is_something_to_say() {
    let mut peer = Peer::polling();
    let get = peer.get();
    assert!(peer.waits(get));
    peer.send("hello");
    let response = peer.answer(get);
    assert_eq!((response.status, &response.body[..]), (200, &b"4hello"[..]));
    assert_eq!(response.content_type, Some("text/plain; charset=UTF-8"));
    assert_eq!(response.headers.as_bytes(), b"cache-control: no-store\r\n");
}

#[test]
fn what_was_queued_goes_out_with_the_next_get_in_order() {
    let mut peer = Peer::polling();
    peer.send("a");
    peer.send(Bytes::from_static(&[1, 2, 3, 4]));
    peer.send("");
    let get = peer.get();
    assert_eq!(peer.body(get), "4a\u{1e}bAQIDBA==\u{1e}4");
}

#[test]
fn a_second_get_ends_the_session() {
    for (mut peer, close) in [(Peer::polling(), "1"), (Peer::polling_v3(), "1:1")] {
        let (first, second) = (peer.get(), peer.get());
        assert_eq!(peer.body(first), close);
        let response = peer.answer(second);
        assert_eq!((response.status, response.body.len()), (400, 0));
        assert_eq!(peer.closed(), fault(TransportFault::PollOverlap));
        let later = peer.get();
        assert_eq!(peer.answer(later).body, r#"{"code":1,"message":"Session ID unknown"}"#);
    }
}

#[test]
fn a_get_whose_connection_is_lost_ends_the_session() {
    let mut peer = Peer::polling();
    let get = peer.get();
    peer.session.handle_exchange_lost(peer.now, get);
    peer.drain();
    assert!(peer.waits(get));
    assert_eq!(peer.closed(), fault(TransportFault::PollLost));
}

#[test]
fn a_post_delivers_its_messages_and_is_answered_ok() {
    let mut peer = Peer::polling();
    let post = peer.post("4a\u{1e}bAQID\u{1e}4é");
    let response = peer.answer(post);
    assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
    assert_eq!(response.content_type, Some("text/html"));
    let binary = Event::Message(Bytes::from_static(&[1, 2, 3]).into());
    assert_eq!(peer.events(), [text("a"), binary, text("é")]);
}

#[test]
fn post_with_an_unfinished_body_is_refused_when_the_session_ends() {
    let mut peer = Peer::polling();
    let post = peer.begin_post();
    peer.session.abort();
    peer.drain();
    assert_eq!(peer.answer(post), Reject::UnknownSession.response());
    // The connection may not have known yet.
    peer.end_post(post, "4late");
    assert_eq!(peer.closed(), CloseReason::ForcedClose);
    let mut peer = Peer::polling();
    let post = peer.post("4a\u{1e}1\u{1e}4b");
    assert_eq!(peer.body(post), "ok", "the POST that ends the session has been taken");
}

#[test]
fn poll_ends_with_a_noop_when_a_request_is_pipelined_behind_it() {
    let mut peer = Peer::polling();
    let get = peer.get();
    for on in [ExchangeId(99), get, get] {
        peer.session.handle_pipelined(peer.now, on);
        peer.drain();
    }
    assert_eq!(peer.body(get), "6");
    let next = peer.get();
    peer.session.handle_pipelined(peer.now, get);
    peer.drain();
    assert!(peer.waits(next));
}

#[test]
fn a_second_post_ends_the_session_and_both_get_400() {
    let mut peer = Peer::polling();
    let get = peer.get();
    let (first, second) = (peer.begin_post(), peer.begin_post());
    assert_eq!((peer.answer(first).status, peer.answer(second).status), (400, 400));
    assert_eq!(peer.body(get), "1");
    assert_eq!(peer.closed(), fault(TransportFault::PostOverlap));
    // The bodies that still come are nobody's.
    peer.end_post(first, "4late");
    assert!(peer.events().is_empty() && peer.waits(first));
}

#[test]
fn a_post_whose_connection_is_lost_ends_the_session() {
    let mut peer = Peer::polling();
    let post = peer.begin_post();
    peer.session.handle_exchange_lost(peer.now, post);
    assert_eq!(peer.closed(), fault(TransportFault::PostLost));
}

#[test]
fn a_binary_body_is_invalid_content_in_revision_4() {
    let mut peer = Peer::polling();
    peer.session.handle_post(peer.now, ExchangeId(9), true);
    peer.drain();
    assert_eq!(peer.answer(ExchangeId(9)).status, 400);
    assert_eq!(peer.closed(), fault(TransportFault::InvalidContent));
}

#[test]
fn a_binary_body_is_a_payload_in_revision_3() {
    let mut peer = Peer::polling_v3();
    let body = b"\x00\x02\xff4a\x01\x03\xff\x04\x01\x02";
    peer.session.handle_post(peer.now, ExchangeId(9), true);
    peer.end_post(ExchangeId(9), &body[..]);
    assert_eq!(peer.body(ExchangeId(9)), "ok");
    let binary = Event::Message(Bytes::from_static(&[1, 2]).into());
    assert_eq!(peer.events(), [text("a"), binary]);
}

#[test]
fn answers_of_revision_3_are_binary_only_where_they_may_and_must() {
    let mut peer = Peer::polling_v3();
    peer.send("é");
    let get = peer.get();
    assert_eq!(peer.body(get), "2:4é");
    peer.send("é");
    peer.send(Bytes::from_static(&[7]));
    let get = peer.get();
    let response = peer.answer(get);
    assert_eq!(response.content_type, Some("application/octet-stream"));
    assert_eq!(&response.body[..], b"\x00\x03\xff4\xc3\xa9\x01\x02\xff\x04\x07");

    let mut peer = Peer::open("EIO=3&transport=polling&b64=1", allowing_v3());
    peer.send(Bytes::from_static(&[7]));
    let get = peer.get();
    assert_eq!(peer.body(get), "6:b4Bw==");
}

#[test]
fn a_body_that_is_too_large_gets_413_and_the_session_lives() {
    let mut peer = Peer::polling();
    let post = peer.begin_post();
    peer.session.handle_body(peer.now, post, Body::TooLarge);
    peer.drain();
    let response = peer.answer(post);
    assert_eq!((response.status, response.body.len()), (413, 0));
    let post = peer.post("4still here");
    assert_eq!(peer.body(post), "ok");
    assert_eq!(peer.events(), [text("still here")]);
}

#[test]
fn what_comes_before_a_fault_in_a_payload_counts() {
    let mut peer = Peer::polling();
    let get = peer.get();
    let post = peer.post("4a\u{1e}4b\u{1e}x\u{1e}4c");
    assert_eq!(peer.answer(post).status, 400);
    assert_eq!(peer.body(get), "1");
    let events = peer.events();
    assert_eq!(events[..2], [text("a"), text("b")]);
    let Event::Closed(reason @ CloseReason::ParseError(_)) = &events[2] else { panic!() };
    assert_eq!(reason.as_str(), "parse error");
    let later = peer.get();
    assert_eq!(peer.answer(later).status, 400);
}

#[test]
fn packets_out_of_place_are_ignored() {
    for body in ["0", "5", "6", "3"] {
        let mut peer = Peer::polling();
        let post = peer.post(body);
        assert_eq!(peer.body(post), "ok", "{body}");
        assert!(peer.events().is_empty(), "{body}");
    }
}

#[test]
fn a_close_packet_ends_the_session_and_the_rest_of_its_payload() {
    for (mut peer, body, noop) in
        [(Peer::polling(), "4a\u{1e}1\u{1e}4b", "6"), (Peer::polling_v3(), "2:4a1:12:4b", "1:6")]
    {
        let get = peer.get();
        let post = peer.post(body);
        assert_eq!(peer.body(post), "ok");
        assert_eq!(peer.body(get), noop);
        assert_eq!(peer.events(), [text("a"), Event::Closed(CloseReason::TransportClose)]);
    }
}

#[test]
fn jsonp_answers_are_scripts_and_bodies_are_forms() {
    let mut peer = Peer::open("EIO=4&transport=polling&j=3", ServerConfig::default());
    peer.send("a\"b");
    let get = peer.get();
    let response = peer.answer(get);
    assert_eq!(&response.body[..], br#"___eio[3]("4a\"b");"#);
    assert_eq!(response.content_type, Some("text/javascript; charset=UTF-8"));
    let post = peer.post("d=4x%20y");
    assert_eq!(peer.body(post), "ok");
    let empty = peer.post("e=4x");
    assert_eq!(peer.body(empty), "ok");
    assert_eq!(peer.events(), [text("x y")]);
}

#[test]
fn an_answer_is_cut_to_the_largest_payload() {
    let mut config = ServerConfig::default();
    config.limits.max_payload = 10;
    let mut peer = Peer::open("EIO=4&transport=polling", config);
    for message in ["aaaa", "bbb", "cc", "dddddddddddddddddddd", "e"] {
        peer.send(message);
    }
    let bodies: Vec<_> = (0..3)
        .map(|_| {
            let get = peer.get();
            peer.body(get)
        })
        .collect();
    assert_eq!(bodies, ["4aaaa\u{1e}4bbb", "4cc", "4dddddddddddddddddddd"]);
}

#[test]
fn a_small_message_does_not_keep_a_large_body_alive() {
    let mut peer = Peer::polling();
    let large = "x".repeat(8000);
    let body = Bytes::from(format!("4small\u{1e}4{large}"));
    let storage = body.as_ptr_range();
    peer.post(body);
    let events = peer.events();
    let [Event::Message(small), Event::Message(whole)] = events.as_slice() else { panic!() };
    assert_eq!((small.as_text(), whole.as_text()), (Some("small"), Some(&*large)));
    assert!(!storage.contains(&small.payload().as_ptr()), "the small one is a copy");
    assert!(storage.contains(&whole.payload().as_ptr()), "the large one is not");
}

#[cfg(feature = "deflate")]
#[test]
fn response_may_be_compressed_if_any_of_its_packets_may_be() {
    let mut peer = Peer::polling();
    let plain = || crate::Encoded::new("a").without_compression();
    for (messages, compressible) in [
        (vec![plain()], false),
        (vec![plain(), plain()], false),
        (vec![plain(), "b".into(), plain()], true),
        (vec!["b".into()], true),
    ] {
        for message in messages {
            peer.send(message);
        }
        let get = peer.get();
        assert_eq!(peer.answer(get).compressible, compressible);
    }
    let post = peer.post("4a");
    assert!(!peer.answer(post).compressible);
    // A packet of the protocol beside them changes nothing.
    let get = peer.get();
    peer.wait(Duration::from_secs(25));
    assert!(!peer.answer(get).compressible);
    peer.post("3");
    peer.wait(Duration::from_secs(25));
    peer.send(plain());
    let get = peer.get();
    assert!(!peer.answer(get).compressible);
}

#[test]
fn body_that_is_not_in_its_coding_ends_the_session() {
    let mut peer = Peer::polling();
    let post = ExchangeId(1000);
    peer.session.handle_post(peer.now, post, false);
    peer.session.handle_body(peer.now, post, Body::Invalid);
    peer.drain();
    assert_eq!(peer.answer(post).status, 400);
    assert_eq!(peer.closed(), fault(TransportFault::InvalidContent));
}
