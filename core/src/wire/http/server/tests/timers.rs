//! Patience, with a clock made of numbers.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const TOO_SLOW: &str =
    "408 the request body was not complete, and too little of it came within 60s";

fn due(wire: &Wire) -> (Duration, TimerKind) {
    let (at, kind) = wire.server.poll_timeout().unwrap();
    (at.since(wire.now), kind)
}

#[test]
fn an_idle_connection_is_closed_in_silence() {
    let mut wire = Wire::new();
    assert_eq!(due(&wire), (75 * SECOND, TimerKind::Idle));
    wire.pass(74 * SECOND);
    wire.feed(GET);
    assert_eq!(due(&wire), (75 * SECOND, TimerKind::Idle));
    assert_eq!(wire.written(), ok("/"));
    wire.pass(75 * SECOND - Duration::from_nanos(1));
    assert!(!wire.server.is_closed());
    wire.pass(Duration::from_nanos(1));
    assert!(wire.server.is_closed() && wire.out.is_empty());
    assert_eq!((wire.timer(), wire.log.len()), (None, 1));
}

#[test]
fn a_head_has_ten_seconds_from_its_first_byte() {
    let mut wire = Wire::new();
    wire.pass(50 * SECOND);
    for byte in GET.bytes().take(10) {
        wire.feed([byte]);
        assert_eq!(wire.timer(), Some(TimerKind::Head));
        wire.pass(SECOND);
    }
    assert_eq!(wire.log, ["408 the request head was not complete after 10s"]);
    let written = wire.written();
    assert!(written.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{written}");
    assert!(written.contains("\r\nConnection: close\r\n"));
    assert_eq!(due(&wire), (2 * SECOND, TimerKind::Linger));
}

#[test]
fn an_excused_client_has_until_then_and_no_longer() {
    let mut wire = Wire::new();
    wire.feed("G");
    for until in [11 * SECOND, SECOND] {
        wire.server.extend_deadlines(wire.now + until);
        assert_eq!(due(&wire), (11 * SECOND, TimerKind::Head), "never sooner");
    }
    wire.pass(11 * SECOND);
    assert_eq!(wire.log, ["408 the request head was not complete after 10s"]);
}

#[test]
fn empty_lines_begin_no_head() {
    let mut wire = Wire::new();
    for bytes in ["\r\n", "\r", "\n"] {
        wire.feed(bytes);
    }
    assert_eq!(due(&wire), (75 * SECOND, TimerKind::Idle));
    wire.feed("G");
    assert_eq!(due(&wire), (10 * SECOND, TimerKind::Head));
}

#[test]
fn a_head_that_waited_behind_an_exchange_has_its_time_from_the_answer_on() {
    let mut wire = Wire::new();
    wire.hold = true;
    wire.feed(format!("{GET}GET"));
    wire.pass(1000 * SECOND);
    wire.respond_to_all();
    assert_eq!(due(&wire), (10 * SECOND, TimerKind::Head));
}

#[test]
fn a_body_has_a_minute_from_when_it_is_asked_for() {
    for length in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut wire = Wire::new();
        wire.hold = true;
        wire.feed(format!("POST / HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n"));
        assert_eq!(due(&wire), (60 * SECOND, TimerKind::Body));
        wire.pass(59 * SECOND);
        wire.feed("1");
        assert_eq!(due(&wire), (SECOND, TimerKind::Body));
        wire.pass(SECOND);
        assert_eq!(wire.log, ["POST /", TOO_SLOW]);
        assert!(wire.server.is_closing() && !wire.server.in_exchange());
        wire.server.respond(wire.now, &Response::new(200), &mut wire.out);
        let written = wire.written();
        assert!(written.starts_with("HTTP/1.1 408 "), "{written}");
        assert_eq!(written.matches("HTTP/1.1").count(), 1, "the lost exchange has no other answer");
    }
}

/// A server with the default limits in the middle of a body.
fn receiving(length: &str) -> Wire {
    let mut wire = Wire::new();
    wire.server = Server::new(wire.now, Arc::new(Config::default()));
    wire.hold = true;
    wire.feed(format!("POST / HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n"));
    wire
}

#[test]
fn body_that_comes_steadily_is_not_cut() {
    for length in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let mut wire = receiving(length);
        if length.ends_with("chunked") {
            wire.feed("F4240\r\n");
        }
        // 2 kB/s: 500 s.
        for _ in 0..99 {
            wire.pass(5 * SECOND);
            wire.feed([b'x'; 10_000]);
        }
        assert_eq!(wire.log, ["POST /"], "{length}");
        assert!(due(&wire).0 > 30 * SECOND);
        // Then it stands still.
        wire.pass(60 * SECOND);
        assert_eq!(wire.log.last().unwrap(), TOO_SLOW);
    }
}

#[test]
fn body_below_the_lowest_rate_is_cut() {
    let mut wire = receiving("Content-Length: 1000000");
    for _ in 0..59 {
        wire.pass(SECOND);
        wire.feed([b'x'; 1000]);
    }
    assert_eq!(due(&wire), (SECOND, TimerKind::Body));
    wire.pass(SECOND);
    assert_eq!(wire.log, ["POST /", TOO_SLOW]);
}

#[test]
fn a_complete_body_stops_its_timer() {
    let mut wire = Wire::new();
    wire.hold = true;
    wire.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(wire.timer(), None);
    wire.respond();
    assert_eq!(due(&wire), (75 * SECOND, TimerKind::Idle));
}

#[test]
fn a_skipped_body_that_never_comes_ends_the_connection_without_a_second_answer() {
    let mut wire = Wire::new();
    wire.feed("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
    assert_eq!(wire.written(), ok("/unread"));
    assert_eq!(due(&wire), (60 * SECOND, TimerKind::Body));
    wire.pass(60 * SECOND);
    assert!(wire.out.is_empty() && wire.server.is_closing());
    assert_eq!(wire.log, ["POST /unread"]);
}

#[test]
fn lingering_ends_however_much_the_peer_sends() {
    let mut wire = Wire::new();
    wire.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wire.written();
    assert_eq!(due(&wire), (2 * SECOND, TimerKind::Linger));
    wire.pass(SECOND);
    wire.feed(GET);
    assert!(wire.server.is_closing() && wire.server.wants_input());
    wire.pass(SECOND);
    assert!(wire.server.is_closed());
    assert_eq!(wire.log.len(), 1);
}

#[test]
fn a_slow_reader_keeps_its_connection_for_as_long_as_it_reads() {
    for (connection, kind, patience) in
        [("close", TimerKind::Linger, 2 * SECOND), ("x", TimerKind::Idle, 75 * SECOND)]
    {
        let mut wire = Wire::new();
        wire.feed(format!("GET /long HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n"));
        for _ in 0..5 {
            wire.out.advance(10);
            wire.pass(patience);
            assert_eq!(due(&wire), (patience, kind));
        }
        wire.pass(patience);
        assert!(wire.server.is_closed(), "it has taken nothing in the last period");
    }
}

#[test]
fn bytes_that_begin_no_request_are_refused_without_waiting_for_a_head() {
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"\0", b"\r\n\x80", b"GET /\xff", b"{"] {
        let mut wire = Wire::new();
        wire.feed(bytes);
        let written = wire.written();
        assert!(written.starts_with("HTTP/1.1 400 "), "{bytes:?}: {written}");
        assert!(written.contains("\r\nConnection: close\r\n"));
        assert!(wire.server.is_closing());
    }
    let mut wire = Wire::new();
    wire.feed("PRI * HTTP/2.0\r\n");
    assert!(wire.written().starts_with("HTTP/1.1 505 "));
    assert!(wire.server.is_closing());
}

#[test]
fn a_timer_that_fires_early_does_nothing() {
    let mut wire = Wire::new();
    wire.feed("G");
    let before = wire.server.poll_timeout();
    wire.pass(Duration::from_millis(9999));
    assert_eq!(wire.server.poll_timeout(), before);
    assert!(wire.log.is_empty() && wire.out.is_empty());
}
