//! No peer can make the server hold more than it was told to.

use super::*;

/// A head of that many bytes.
fn head(len: usize) -> String {
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    format!("{start}{}\r\n\r\n", "x".repeat(len - start.len() - 4))
}

#[test]
fn a_head_may_be_exactly_as_long_as_the_limit() {
    for step in [1, 7, usize::MAX] {
        let mut wire = Wire::new();
        wire.feed_in_steps(head(Wire::MAX_HEAD), step);
        assert_eq!(wire.log, ["GET /"]);
        wire.feed_in_steps(head(Wire::MAX_HEAD + 1), step);
        assert_eq!(wire.log[1..], ["431 the head is longer than 200 bytes"]);
        assert!(wire.server.is_closing());
    }
}

#[test]
fn a_line_without_end_is_refused_once_it_fills_a_head() {
    for step in [1, 7, usize::MAX] {
        let mut wire = Wire::new();
        wire.feed_in_steps(format!("GET /{}", "x".repeat(1000)), step);
        assert_eq!(wire.log, ["414 the start line is longer than 200 bytes"]);
        let mut wire = Wire::new();
        wire.feed_in_steps(format!("GET / HTTP/1.1\r\nHost: {}", "x".repeat(1000)), step);
        assert_eq!(wire.log, ["431 the head is longer than 200 bytes"]);
    }
}

#[test]
fn the_limit_counts_from_the_request_line_behind_empty_lines() {
    for step in [1, 2, 3, usize::MAX] {
        let mut wire = Wire::new();
        wire.feed_in_steps(format!("\r\n\r\n\r\n\r\n{}", head(Wire::MAX_HEAD)), step);
        wire.feed_in_steps(format!("\r\n{}", head(Wire::MAX_HEAD)), step);
        assert_eq!(wire.log, ["GET /", "GET /"], "in steps of {step}");
    }
}

#[test]
fn a_declared_body_over_the_limit_is_refused_before_its_first_byte() {
    let mut wire = Wire::new();
    wire.hold = true;
    wire.feed("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n");
    assert_eq!(wire.log, ["POST /", "body over 100"]);
    assert!(wire.out.is_empty(), "nobody is told to continue");
    for _ in 0..1000 {
        assert!(wire.server.wants_input());
        wire.feed([b'x'; 1000]);
        assert_eq!(wire.server.held.capacity(), 0);
    }
    wire.respond();
    let written = wire.written();
    assert!(written.starts_with("HTTP/1.1 413 Content Too Large\r\n"), "{written}");
    assert!(written.contains("\r\nConnection: close\r\n") && wire.server.is_closing());
}

#[test]
fn a_body_of_exactly_the_limit_is_taken() {
    let body = "x".repeat(Wire::MAX_BODY);
    for step in [1, 33, usize::MAX] {
        let mut wire = Wire::new();
        let sized = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{body}");
        wire.feed_in_steps(sized, step);
        let chunks = "2\r\nxx\r\n".repeat(50);
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        wire.feed_in_steps(format!("{head}{chunks}0\r\n\r\n"), step);
        let body = format!("body {body:?}");
        assert_eq!(wire.log, ["POST /", &body, "POST /", &body]);
    }
}

#[test]
fn a_chunked_body_over_the_limit_is_refused_at_the_chunk_that_exceeds_it() {
    for step in [1, 7, usize::MAX] {
        let mut wire = Wire::new();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        wire.feed_in_steps(format!("{head}{}1\r\nx", "2\r\nxx\r\n".repeat(50)), step);
        assert_eq!(wire.log, ["POST /", "body over 100"]);
        assert!(wire.written().starts_with("HTTP/1.1 413 "));
        assert!(wire.server.is_closing());
        wire.feed("\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.log.len(), 2);
    }
}

#[test]
fn the_largest_number_that_can_be_declared_is_too_large() {
    for length in [
        "Content-Length: 18446744073709551615\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
    ] {
        let mut wire = Wire::new();
        wire.feed(format!("POST / HTTP/1.1\r\nHost: a\r\n{length}"));
        assert_eq!(wire.log, ["POST /", "body over 100"]);
    }
}

#[test]
fn pipelined_bytes_stop_the_reading_after_a_heads_worth() {
    let mut wire = Wire::new();
    wire.hold = true;
    wire.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut sent = 0;
    while wire.server.wants_input() {
        wire.feed("GET / HTTP/1.1\r\nHo");
        sent += 18;
    }
    assert_eq!(sent, Wire::MAX_HEAD.next_multiple_of(18));
    assert_eq!(wire.server.held.len(), sent);
}

#[test]
fn positions_in_a_head_have_16_bits_whatever_is_configured() {
    let config = Config { max_head: usize::MAX, ..Config::default() };
    for (request, log) in [
        (head(65_535), "GET /"),
        (head(65_536), "431 the head is longer than 65535 bytes"),
        (format!("GET /n HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(10_000)), "GET /n"),
    ] {
        let mut server = Server::new(Time::ZERO, Arc::new(config.clone()));
        let mut bytes = request.into_bytes();
        let mut input = Input::new(&mut bytes);
        let logged = match server.handle_bytes(Time::ZERO, &mut input, &mut Output::new()) {
            Some(Event::Request(head)) => format!("{} {}", head.method(), head.path()),
            Some(Event::Fault(fault)) => format!("{} {fault}", fault.status()),
            other => format!("{other:?}"),
        };
        assert_eq!(logged, log);
    }
}
