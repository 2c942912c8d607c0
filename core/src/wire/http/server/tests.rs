//! The server against peers made of bytes.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use core::time::Duration;

use super::*;
use crate::wire::ws;

mod limits;
mod refusals;
mod splits;
mod timers;

/// A server with small limits and a driver that obeys it: it reads the body of each POST, answers
/// each request with its path or its body, and keeps a log.
struct Wire {
    server: Server,
    out: Output,
    now: Time,
    log: Vec<String>,
    /// Answer only when told.
    hold: bool,
    answer: Option<Response>,
}

impl Wire {
    const MAX_HEAD: usize = 200;
    const MAX_BODY: usize = 100;

    fn new() -> Self {
        let config =
            Config { max_head: Self::MAX_HEAD, max_body: Self::MAX_BODY, ..Config::default() };
        let now = Time::from_millis(1000);
        let server = Server::new(now, Arc::new(config));
        Self { server, out: Output::new(), now, log: Vec::new(), hold: false, answer: None }
    }

    /// One read.
    fn feed(&mut self, bytes: impl AsRef<[u8]>) {
        let mut bytes = bytes.as_ref().to_vec();
        let read = bytes.len();
        let mut input = Input::new(&mut bytes);
        while let Some(event) = self.server.handle_bytes(self.now, &mut input, &mut self.out) {
            self.on(event);
        }
        assert!(input.is_empty(), "{} bytes would be lost", input.len());
        self.check(read);
    }

    /// Reads of at most `step` bytes.
    fn feed_in_steps(&mut self, bytes: impl AsRef<[u8]>, step: usize) {
        for piece in bytes.as_ref().chunks(step) {
            self.feed(piece);
        }
    }

    /// Checks the bytes held against the limits. They never exceed them by more than the read that
    /// just came.
    fn check(&self, read: usize) {
        let held = self.server.held.len();
        match &self.server.state {
            State::Head { .. } => assert!(held < Self::MAX_HEAD, "{held} held"),
            State::Exchange(exchange) => {
                assert!(held < Self::MAX_HEAD + read || !self.server.wants_input());
                if let Incoming::Receiving(body) = &exchange.body {
                    assert!(body.capacity() <= self.server.config.max_body);
                    assert_eq!(held, 0);
                }
            }
            _ => assert_eq!(held, 0),
        }
        if held == 0 {
            assert_eq!(self.server.held.capacity(), 0, "storage without bytes");
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Request(head) => {
                self.log.push(format!("{} {}", head.method(), head.target()));
                if head.method() == "POST" && head.path() != "/unread" {
                    return self.server.read_body(self.now, &mut self.out);
                }
                let path = head.path().to_owned();
                self.answer = Some(Response::new(200).with_body("text/plain", path));
            }
            Event::Body(body) => {
                self.log.push(format!("body {:?}", String::from_utf8_lossy(&body)));
                self.answer = Some(Response::new(200).with_body("text/html", body));
            }
            Event::BodyTooLarge { max } => {
                self.log.push(format!("body over {max}"));
                self.answer = Some(Response::new(413));
            }
            Event::Fault(fault) => return self.log.push(format!("{} {fault}", fault.status())),
            Event::Lost => return self.log.push("lost".to_owned()),
        }
        if !self.hold {
            self.respond();
        }
    }

    /// Answers if there is something to answer.
    fn respond(&mut self) -> bool {
        let Some(answer) = self.answer.take() else { return false };
        self.server.respond(self.now, &answer, &mut self.out);
        true
    }

    /// Answers, and whatever pipelined requests come out, one after the other.
    fn respond_to_all(&mut self) {
        while self.respond() {
            self.feed(b"");
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        if let Some(event) = self.server.handle_timeout(self.now, &mut self.out) {
            self.on(event);
        }
    }

    fn eof(&mut self) {
        if let Some(event) = self.server.handle_eof(self.now) {
            self.on(event);
        }
    }

    fn written(&mut self) -> String {
        String::from_utf8(self.out.copy_to_bytes(self.out.remaining()).into()).unwrap()
    }

    fn timer(&self) -> Option<TimerKind> {
        self.server.poll_timeout().map(|(_, kind)| kind)
    }
}

fn ok(body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n{body}")
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let mut wire = Wire::new();
    for path in ["/1", "/2"] {
        wire.feed(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(wire.written(), ok(path));
        assert!(!wire.server.is_closing() && !wire.server.in_exchange());
    }
    assert_eq!(wire.log, ["GET /1", "GET /2"]);
}

#[test]
fn an_exchange_lasts_until_it_is_answered() {
    let mut wire = Wire::new();
    wire.hold = true;
    wire.feed("GET /poll HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(wire.server.in_exchange() && wire.server.wants_input());
    assert_eq!((wire.timer(), wire.out.is_empty()), (None, true));
    wire.pass(Duration::from_secs(100_000));
    assert!(wire.server.in_exchange() && wire.out.is_empty());
    wire.respond();
    assert!(!wire.server.in_exchange());
    assert_eq!(wire.written(), ok("/poll"));
}

#[test]
fn pipelined_requests_wait_inside_and_are_answered_in_order() {
    let mut wire = Wire::new();
    wire.hold = true;
    let requests: String =
        (1..=9).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    wire.feed(&requests);
    assert_eq!(wire.log, ["GET /1"]);
    assert!(!wire.server.wants_input(), "more than a head waits");
    for n in 1..=9 {
        assert!(wire.server.in_exchange());
        wire.respond();
        assert_eq!(wire.written(), ok(&format!("/{n}")));
        wire.feed(b"");
    }
    assert!(!wire.server.in_exchange() && wire.server.wants_input());
    assert_eq!(wire.log.len(), 9);
}

#[test]
fn an_answer_without_an_exchange_goes_nowhere() {
    let mut wire = Wire::new();
    wire.server.respond(wire.now, &Response::new(200), &mut wire.out);
    wire.server.read_body(wire.now, &mut wire.out);
    assert!(wire.out.is_empty() && wire.timer() == Some(TimerKind::Idle));
    wire.hold = true;
    wire.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wire.eof();
    assert_eq!(wire.log, ["GET /", "lost"]);
    wire.respond();
    assert!(wire.out.is_empty() && wire.server.is_closed());
}

#[test]
fn a_client_that_waits_for_100_gets_it_when_its_body_is_wanted() {
    for length in ["Content-Length: 2", "Transfer-Encoding: chunked"] {
        let mut wire = Wire::new();
        wire.feed(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{length}\r\n\r\n"
        ));
        assert_eq!(wire.written(), "HTTP/1.1 100 Continue\r\n\r\n");
        wire.server.read_body(wire.now, &mut wire.out);
        assert!(wire.out.is_empty(), "asking twice changes nothing");
        wire.feed(if length.starts_with('C') { "ok" } else { "2\r\nok\r\n0\r\n\r\n" });
        assert_eq!(wire.written(), ok("ok").replace("plain", "html"));
        assert_eq!(wire.log, ["POST /", "body \"ok\""]);
        assert!(!wire.server.is_closing());
    }
}

#[test]
fn nothing_is_continued_without_a_body_or_in_http_1_0() {
    for (head, status) in
        [("HTTP/1.1\r\nHost: a\r\n", "200"), ("HTTP/1.0\r\nContent-Length: 1\r\n", "")]
    {
        let mut wire = Wire::new();
        wire.feed(format!("POST / {head}Expect: 100-continue\r\n\r\n"));
        let written = wire.written();
        assert_eq!(written.split(' ').nth(1).unwrap_or_default(), status);
    }
}

#[test]
fn an_unread_body_that_the_client_holds_back_ends_the_connection() {
    let mut wire = Wire::new();
    wire.feed(
        "POST /unread HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    );
    assert!(wire.written().contains("\r\nConnection: close\r\n"));
    assert!(wire.server.is_closing());
    wire.feed("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.log, ["POST /unread"]);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_small_unread_body_is_skipped_wherever_it_is_cut() {
    let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let requests = format!(
        "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}\
         GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
        body.len()
    );
    for hold in [false, true] {
        for at in 0..requests.len() {
            let mut wire = Wire::new();
            wire.hold = hold;
            wire.feed(&requests[..at]);
            wire.respond_to_all();
            wire.feed(&requests[at..]);
            wire.respond_to_all();
            assert_eq!(wire.log, ["POST /unread", "GET /next"], "cut at {at}");
            assert_eq!(wire.written(), ok("/unread") + &ok("/next"));
        }
    }
}

#[test]
fn a_large_or_chunked_unread_body_ends_the_connection() {
    for length in ["Content-Length: 65537", "Transfer-Encoding: chunked"] {
        let mut wire = Wire::new();
        wire.feed(format!("POST /unread HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n"));
        assert!(wire.written().contains("\r\nConnection: close\r\n"), "{length}");
        assert!(wire.server.is_closing());
        wire.feed("2\r\nok\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.log, ["POST /unread"]);
    }
    let mut wire = Wire::new();
    wire.feed("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
    assert!(!wire.server.is_closing());
}

#[test]
fn an_answer_in_the_middle_of_a_body_skips_the_rest_if_it_is_known() {
    for (length, body, closes) in
        [("Content-Length: 10", "01234", false), ("Transfer-Encoding: chunked", "5\r\n01234", true)]
    {
        let mut wire = Wire::new();
        wire.feed(format!("POST / HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n{body}"));
        assert_eq!(wire.timer(), Some(TimerKind::Body));
        wire.server.respond(wire.now, &Response::new(200), &mut wire.out);
        assert_eq!(wire.server.is_closing(), closes, "{length}");
        wire.feed("56789GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.log.len(), if closes { 1 } else { 2 });
    }
}

#[test]
fn an_answer_to_head_leaves_the_body_out() {
    let mut wire = Wire::new();
    wire.feed("HEAD /four HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(wire.written().ends_with("Content-Length: 5\r\n\r\n"));
    wire.feed("GET /five HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.written(), ok("/five"));
}

#[test]
fn the_connection_ends_when_either_side_says_so() {
    let head = |version: &str, connection: &str| {
        format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n")
    };
    for (request, close, answered) in [
        (head("1.1", "keep-alive"), false, None),
        (head("1.1", "close"), false, Some("close")),
        (head("1.1", ""), true, Some("close")),
        (head("1.0", ""), false, Some("close")),
        (head("1.0", "keep-alive"), false, Some("keep-alive")),
        (head("1.0", "keep-alive"), true, Some("close")),
    ] {
        let mut wire = Wire::new();
        wire.hold = true;
        wire.feed(&request);
        let mut answer = Response::new(200);
        answer.close = close;
        wire.server.respond(wire.now, &answer, &mut wire.out);
        let written = wire.written();
        let connection = written.lines().find_map(|line| line.strip_prefix("Connection: "));
        assert_eq!(connection, answered, "{request}");
        assert_eq!(wire.server.is_closing(), answered == Some("close"), "{request}");
        if wire.server.is_closing() {
            wire.feed(&request);
            assert_eq!(wire.log.len(), 1, "nothing is served behind the last answer");
            wire.eof();
            assert!(wire.server.is_closed() && !wire.server.wants_input());
            assert_eq!(wire.timer(), None);
        }
    }
}

#[test]
fn the_end_of_the_stream_loses_what_was_begun() {
    for (bytes, log) in [
        ("", &[][..]),
        ("\r\n\r\n", &[]),
        ("G", &["lost"]),
        ("\r", &["lost"]),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &["GET /"]),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nG", &["GET /", "lost"]),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", &["POST /", "lost"]),
        ("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", &["POST /unread"]),
    ] {
        let mut wire = Wire::new();
        wire.feed(bytes);
        wire.eof();
        wire.eof();
        assert_eq!(wire.log, log, "{bytes:?}");
        assert!(wire.server.is_closed());
        wire.feed("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.log, log, "{bytes:?}");
    }
}

#[test]
fn an_upgrade_gives_back_what_came_behind_the_request() {
    let request = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let bytes = [request.as_bytes(), b"\x81\x80\0\0\0\0"].concat();
    for at in [0, 1, 100, request.len(), request.len() + 1, bytes.len()] {
        let mut wire = Wire::new();
        wire.hold = true;
        let mut accept = None;
        for piece in [&bytes[..at], &bytes[at..]] {
            let mut piece = piece.to_vec();
            let mut input = Input::new(&mut piece);
            while let Some(event) = wire.server.handle_bytes(wire.now, &mut input, &mut wire.out) {
                let Event::Request(head) = event else { panic!("{event:?}") };
                accept = Some(ws::accept(&head).unwrap());
            }
        }
        let accept = accept.unwrap();
        let headers = b"X-A: b\r\n";
        let behind = wire.server.accept_upgrade(&accept, headers, &mut wire.out);
        assert_eq!(&behind[..], b"\x81\x80\0\0\0\0", "cut at {at}");
        assert_eq!(
            wire.written(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-A: b\r\n\r\n"
        );
        let mut rest = *b"\x81\x80\0\0\0\0";
        let mut input = Input::new(&mut rest);
        assert!(wire.server.handle_bytes(wire.now, &mut input, &mut wire.out).is_none());
        assert_eq!(input.len(), 6, "what follows belongs to the other protocol");
        assert!(wire.server.handle_eof(wire.now).is_none() && !wire.server.is_closed());
        assert_eq!((wire.timer(), wire.server.wants_input()), (None, false));
        assert!(wire.server.accept_upgrade(&accept, b"", &mut wire.out).is_empty());
        assert!(wire.out.is_empty());
    }
}

#[test]
fn debug_shows_no_bytes_of_the_peer() {
    let mut wire = Wire::new();
    wire.feed("GET /?sid=secret HTTP/1.1\r\n");
    assert_eq!(format!("{:?}", wire.server), "Server { state: \"head\", held: 27, .. }");
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Server>() <= 224, "{}", size_of::<Server>());
}

#[test]
fn every_response_has_a_date_once_the_wall_clock_is_known() {
    let mut wire = Wire::new();
    wire.feed("GET /before HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!wire.written().contains("Date"));
    wire.server.config.wall_clock.set(wire.now, Duration::from_secs(784_111_777));
    wire.pass(Duration::from_millis(2500));
    let date = "\r\nDate: Sun, 06 Nov 1994 08:49:39 GMT\r\n";
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/9.9\r\nHost: a\r\n\r\n"] {
        wire.feed(request);
        let written = wire.written();
        assert_eq!(written.matches(date).count(), 1, "{written}");
    }
}
