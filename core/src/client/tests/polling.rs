//! GETs and POSTs of an open session.

use super::*;

#[test]
fn the_next_get_follows_each_answer() {
    let mut host = Host::polling();
    for i in 0..20 {
        host.answer_get(&format!("4{i}\u{1e}4again"));
        assert_eq!(host.events(), [message(&i.to_string()), message("again")]);
        assert!(host.waits());
    }
}

#[test]
fn one_post_at_a_time_takes_what_has_gathered() {
    let mut host = Host::polling();
    host.send("a");
    assert_eq!(host.posted(), "4a");
    let (_, post) = host.request("POST").unwrap();
    assert_eq!(post.content_type, Some("text/plain; charset=UTF-8"));
    host.send("b");
    host.session.send(vec![1u8, 2, 3]).unwrap();
    host.send("");
    assert_eq!(host.posted(), "4a");
    host.answer_post();
    assert_eq!(host.posted(), "4b\u{1e}bAQID\u{1e}4");
    host.answer_post();
    assert!(host.request("POST").is_none());
}

#[test]
fn payloads_are_cut_to_what_the_server_takes() {
    let mut host = Host::polling();
    host.session.send("x".repeat(60)).unwrap();
    host.session.send("y".repeat(37)).unwrap();
    host.session.send("z".repeat(36)).unwrap();
    host.session.send("w".repeat(500)).unwrap();
    host.drain();
    // 61 + 1 + 38 bytes; the limit is 100.
    assert_eq!(host.posted().len(), 100);
    host.answer_post();
    assert_eq!(host.posted(), format!("4{}", "z".repeat(36)));
    host.answer_post();
    assert_eq!(host.posted().len(), 501, "a single packet goes out whatever its size");
    host.answer_post();
    assert!(host.request("POST").is_none());
}

#[test]
fn revision_3_has_payloads_of_its_own() {
    let config = |force_base64| {
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        config.revision = Revision::V3;
        config.force_base64 = force_base64;
        config
    };
    let handshake = format!("{}:{}", open("[]").len(), open("[]"));
    let mut host = Host::with(config(false), false);
    host.answer_get(&handshake);
    host.events();
    host.send("é😀");
    assert_eq!(host.posted(), "4:4é😀");
    host.answer_post();
    host.session.send(vec![1u8]).unwrap();
    host.drain();
    let (_, post) = host.request("POST").unwrap();
    assert_eq!(post.content_type, Some("application/octet-stream"));
    assert_eq!(&post.body[..], b"\x01\x02\xff\x04\x01");
    let fields = [("Content-Type", "application/octet-stream")];
    host.answer("GET", &Answer { status: 200, fields: &fields }, &b"\x01\x02\xff\x04\x07"[..]);
    assert_eq!(host.events(), [Event::Message(vec![7u8].into())]);
    let mut host = Host::with(config(true), false);
    host.answer_get(&handshake);
    host.session.send(vec![1u8]).unwrap();
    host.drain();
    assert_eq!(host.posted(), "6:b4AQ==");
}

#[test]
fn a_fault_of_the_server_ends_the_session_after_what_came_before_it() {
    let mut host = Host::polling();
    host.answer_get("4a\u{1e}4b\u{1e}9\u{1e}4lost");
    let events = host.events();
    assert_eq!(events[..2], [message("a"), message("b")]);
    assert!(matches!(
        events[2..],
        [Event::Closed(CloseReason::TransportError(TransportFault::Malformed(_)))]
    ));
    for (method, status) in
        [("GET", 400), ("GET", 204), ("POST", 413), ("POST", 500), ("POST", 201)]
    {
        let mut host = Host::polling();
        host.send("x");
        host.answer(method, &Answer { status, fields: &[] }, "4late");
        assert_eq!(host.closed(), error(TransportFault::Status(status)), "{method} {status}");
    }
    for method in ["GET", "POST"] {
        let mut host = Host::polling();
        host.send("x");
        host.lose(method, TransportFault::ConnectionLost);
        assert_eq!(host.closed(), error(TransportFault::ConnectionLost), "{method}");
        assert_eq!(host.abandoned.len(), 1, "the other one is given up");
    }
}

#[test]
fn packets_out_of_place_are_ignored() {
    let mut host = Host::polling();
    host.answer_get(&format!("6\u{1e}3\u{1e}5\u{1e}{}\u{1e}4a", open("[]")));
    assert_eq!(host.events(), [message("a")]);
    assert!(host.waits());
}

#[test]
fn answers_to_unknown_and_abandoned_requests_are_ignored() {
    let mut host = Host::polling();
    let (on, _) = host.request("GET").unwrap();
    host.session.handle_response(
        host.now,
        ExchangeId(99),
        &Answer { status: 500, fields: &[] },
        Bytes::new(),
    );
    host.session.handle_exchange_lost(host.now, ExchangeId(99), TransportFault::Unreachable);
    host.drain();
    assert!(host.waits() && host.events().is_empty());
    host.session.abort();
    host.drain();
    host.session.handle_response(host.now, on, &Answer { status: 200, fields: &[] }, "4a".into());
    assert_eq!(host.closed(), CloseReason::ForcedClose);
}

#[test]
fn an_application_that_is_slow_keeps_the_next_get_waiting() {
    let mut host =
        Host::new(|config| config.limits.max_unread = 4 * (Limits::MESSAGE_OVERHEAD + 1));
    host.answer_get(&format!("{}\u{1e}4a\u{1e}4b\u{1e}4c\u{1e}4d", open("[]")));
    assert!(!host.waits() && !host.session.is_receiving());
    // Its silence is not the server's fault.
    host.wait(secs(100));
    assert!(!host.session.is_closed());
    assert_eq!(host.session.poll_event(), Some(Event::Opened));
    assert_eq!(host.session.poll_event(), Some(message("a")));
    host.drain();
    assert!(!host.waits());
    assert_eq!(host.session.poll_event(), Some(message("b")));
    host.drain();
    assert!(host.waits());
}

#[test]
fn messages_of_a_layer_and_of_an_earlier_session_count_as_unread_until_they_are_released() {
    let cost = Limits::MESSAGE_OVERHEAD + 1;
    let mut host = Host::new(|config| config.limits.max_unread = 4 * cost);
    host.answer_get(&open("[]"));
    host.events();
    host.session.hold(2 * cost);
    host.answer_get("4a");
    assert!(host.session.is_receiving());
    host.answer_get("4b");
    assert!(!host.session.is_receiving());
    assert_eq!(host.session.take_event(), Some(message("a")));
    assert_eq!(host.session.take_event(), Some(message("b")));
    assert!(!host.session.is_receiving(), "both are taken, and not released");
    host.session.release(cost);
    assert!(!host.session.is_receiving());
    host.session.release(cost);
    assert!(host.session.is_receiving(), "half of the room is free");
}

#[test]
fn requests_may_have_a_time_limit() {
    for (method, answered) in [("GET", "POST"), ("POST", "GET")] {
        let mut host = Host::new(|config| config.request_timeout = Some(secs(5)));
        host.answer_get(&open("[]"));
        host.events();
        host.wait(secs(2));
        host.answer_get("4a");
        host.events();
        host.send("x");
        host.wait(millis(4999));
        host.answer(answered, &Answer { status: 200, fields: &[] }, "6");
        host.wait(millis(1));
        assert_eq!(host.closed(), error(TransportFault::Timeout), "{method}");
    }
}

#[test]
fn a_server_that_has_nothing_to_say_is_not_asked_without_end() {
    let mut host = Host::polling();
    let mut polls = 0;
    let start = host.now;
    while host.now.since(start) < secs(1) {
        while host.waits() {
            host.answer_get("6");
            polls += 1;
        }
        host.wait(millis(1));
    }
    assert!(polls <= 20, "{polls} polls in a second");
    host.wait(millis(100));
    host.answer_get("4a");
    assert_eq!(host.events(), [message("a")]);
    assert!(host.waits(), "who has something to say is asked again at once");
}
