use alloc::{string::String, vec::Vec};

use super::*;
use crate::{
    carrier::{
        WRITE_CHUNK,
        relay::tests::{Server, TARGET, UPGRADE},
    },
    sid::Sid,
    wire::http::RequestHead,
};

/// A request of another HTTP server, and the node that relays it.
struct Task {
    server: Server,
    relay: RelayedExchange<()>,
    now: Time,
}

impl Task {
    fn new(head: &str, length: Option<u64>, is_extended: bool) -> Self {
        let mut server = Server::new();
        let head = RequestHead::parse(head.as_bytes(), 100).unwrap();
        let sid = Sid::parse("b--aaaaaaaaaaaaaaaaa").unwrap();
        let mut request = HandOver::new(sid, head).unwrap();
        request.is_extended = is_extended;
        let entropy = &mut |buffer: &mut [u8]| buffer.fill(7);
        let relay = RelayedExchange::begin(Time::ZERO, &mut server, request, length, entropy);
        Self { server, relay: relay.unwrap(), now: Time::ZERO }
    }

    fn post(fields: &str, length: Option<u64>) -> Self {
        Self::new(&format!("POST {TARGET} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), length, false)
    }

    fn get() -> Self {
        Self::new(&format!("GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n"), Some(0), false)
    }

    fn poll_response(&mut self) -> Result<Option<RelayedResponse>, Reject> {
        self.relay.poll_response(self.now, true, &mut self.server)
    }

    fn poll_body(&mut self) -> Result<Poll<Option<Bytes>>, HandOverFault> {
        self.relay.poll_body(self.now, &mut self.server)
    }

    /// Polls the body to its end or a fault.
    fn body(&mut self) -> (Vec<u8>, Result<Poll<()>, HandOverFault>) {
        let mut body = Vec::new();
        loop {
            match self.poll_body() {
                Ok(Poll::Ready(Some(piece))) => body.extend(piece),
                Ok(Poll::Ready(None)) => return (body, Ok(Poll::Ready(()))),
                Ok(Poll::Pending) => return (body, Ok(Poll::Pending)),
                Err(fault) => return (body, Err(fault)),
            }
        }
    }

    fn took(&self) -> String {
        String::from_utf8_lossy(&self.server.neighbour.took).into_owned()
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.server.neighbour.sent.extend(bytes.as_ref());
    }
}

fn fields(response: &RelayedResponse) -> Vec<(&str, &[u8])> {
    response.fields().collect()
}

#[test]
fn body_of_known_length_is_sent_with_it_and_no_other_is() {
    let mut task = Task::post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", Some(5));
    assert!(task.relay.wants_body() && task.relay.handle_body(&Bytes::from_static(b"4he")));
    assert!(!task.relay.has_body());
    assert!(!task.relay.handle_body(&Bytes::from_static(b"more")));
    assert!(task.relay.handle_body(&Bytes::from_static(b"y!")) && task.relay.end_body());
    assert!(task.relay.has_body() && !task.relay.wants_body());
    assert!(task.poll_response().unwrap().is_none());
    assert_eq!(
        task.took(),
        format!(
            "POST {TARGET} HTTP/1.1\r\nHost: a\r\nVia: 1.1 enginewire\r\nContent-Length: 5\r\n\
             Connection: close\r\n\r\n4hey!"
        )
    );
    let mut short = Task::post("", Some(5));
    assert!(short.relay.handle_body(&Bytes::from_static(b"4")) && !short.relay.end_body());
}

#[test]
fn body_of_unknown_length_is_sent_in_chunks_and_ends_with_the_last_one() {
    let mut task = Task::post("Content-Length: 3\r\n", None);
    for piece in [&b"4a"[..], b"", &[b'x'; 20]] {
        assert!(task.relay.handle_body(&Bytes::copy_from_slice(piece)));
    }
    assert!(task.poll_response().unwrap().is_none());
    let framing = "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let x = "x".repeat(20);
    assert!(task.took().ends_with(&format!("{framing}2\r\n4a\r\n14\r\n{x}\r\n")));
    assert!(task.relay.end_body() && task.poll_response().unwrap().is_none());
    assert!(task.took().ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn request_without_a_body_takes_none_and_a_post_says_so() {
    let mut get = Task::get();
    assert!(get.relay.has_body() && !get.relay.wants_body() && get.relay.end_body());
    assert!(!get.relay.handle_body(&Bytes::from_static(b"a")));
    assert!(get.poll_response().unwrap().is_none());
    assert!(get.took().ends_with("Via: 1.1 enginewire\r\nConnection: close\r\n\r\n"));
    let mut post = Task::post("", Some(0));
    assert!(post.poll_response().unwrap().is_none());
    assert!(post.took().contains("\r\nContent-Length: 0\r\n"));
}

#[test]
fn body_waits_while_the_owner_takes_none_and_is_of_no_use_behind_the_response() {
    let mut task = Task::post("", None);
    task.server.neighbour.room = 0;
    let piece = Bytes::from(alloc::vec![b'x'; WRITE_CHUNK]);
    assert!(task.relay.wants_body() && task.relay.handle_body(&piece));
    assert!(task.poll_response().unwrap().is_none() && !task.relay.wants_body());
    task.server.neighbour.room = usize::MAX;
    assert!(task.poll_response().unwrap().is_none() && task.relay.wants_body());
    task.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    let response = task.poll_response().unwrap().unwrap();
    assert_eq!((response.status(), task.relay.wants_body()), (413, false));
    let took = task.server.neighbour.took.len();
    assert!(task.relay.handle_body(&piece) && !task.relay.has_body());
    assert_eq!((task.body().0.len(), task.server.neighbour.took.len()), (0, took));
}

#[test]
fn response_is_the_same_in_pieces_of_any_size_without_fields_of_the_connection() {
    let chunked = "HTTP/1.1 102 Processing\r\nA: b\r\n\r\nHTTP/1.1 201 Made\r\nX: y\r\n\
        Connection: close\r\nTransfer-Encoding: chunked\r\nX: z\r\n\r\n3\r\nabc\r\n2;e\r\nde\r\n0\r\n\r\nmore";
    let sized = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nx: y\r\nKeep-Alive: a\r\n\
        Content-Length: 5\r\nX: z\r\n\r\nabcdemore";
    for (bytes, length) in [(chunked, None), (sized, Some(5))] {
        for step in 1..=bytes.len() {
            let mut task = Task::get();
            let mut response = None;
            let mut body = Vec::new();
            let mut is_whole = false;
            for piece in bytes.as_bytes().chunks(step) {
                task.send(piece);
                if response.is_none() {
                    response = task.poll_response().unwrap();
                    if response.is_none() {
                        continue;
                    }
                    assert_eq!(task.relay.body_length(), length);
                }
                let (more, end) = task.body();
                body.extend(more);
                is_whole = end.unwrap().is_ready();
            }
            let response = response.unwrap();
            assert_eq!((response.status(), response.is_upgrade()), (201, false));
            let values: Vec<_> = fields(&response).into_iter().map(|(_, value)| value).collect();
            assert_eq!(values, [b"y", b"z"]);
            assert!(body == b"abcde" && is_whole, "in steps of {step}: {body:?}");
        }
    }
}

#[test]
fn large_response_comes_as_it_is_taken() {
    let mut task = Task::get();
    task.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    task.send(alloc::vec![b'x'; 1_000_000]);
    assert_eq!(task.poll_response().unwrap().unwrap().status(), 200);
    let before = task.server.neighbour.sent.len();
    assert!(before >= 1_000_000 - WRITE_CHUNK, "{before}");
    let Ok(Poll::Ready(Some(piece))) = task.poll_body() else { panic!("there is a piece") };
    assert!(!piece.is_empty() && task.server.neighbour.sent.len() == before);
    assert_eq!(task.relay.body_length(), Some(1_000_000 - piece.len() as u64));
    let (rest, end) = task.body();
    assert_eq!((piece.len() + rest.len(), end), (1_000_000, Ok(Poll::Ready(()))));
    assert!(task.server.neighbour.most <= WRITE_CHUNK);
}

#[test]
fn body_without_a_length_ends_with_the_connection_and_not_with_the_patience() {
    for (is_over, end) in [(true, Ok(Poll::Ready(()))), (false, Err(HandOverFault::Timeout))] {
        let mut task = Task::get();
        task.send("HTTP/1.1 200 OK\r\n\r\nabc");
        assert_eq!(task.poll_response().unwrap().unwrap().status(), 200);
        assert_eq!(
            (task.relay.body_length(), task.body()),
            (None, (b"abc".to_vec(), Ok(Poll::Pending)))
        );
        task.server.neighbour.ended = is_over;
        task.now = task.relay.deadline().unwrap();
        assert_eq!(task.body(), (Vec::new(), end));
        assert_eq!(task.relay.deadline(), None);
    }
}

#[test]
fn response_that_is_cut_or_nonsense_is_a_fault_of_the_owner() {
    let cut = HandOverFault::NoResponse;
    let invalid = HandOverFault::InvalidResponse;
    for (framing, body, fault) in [
        ("Content-Length: 5\r\n\r\nab", "ab", cut),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nab", "ab", cut),
        // Nothing of a read in which something is wrong.
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nx", "", invalid),
    ] {
        let mut task = Task::get();
        task.send(format!("HTTP/1.1 200 OK\r\n{framing}"));
        task.server.neighbour.ended = true;
        assert_eq!(task.poll_response().unwrap().unwrap().status(), 200);
        assert_eq!(task.body(), (body.as_bytes().to_vec(), Err(fault)), "{framing}");
    }
    for (bytes, fault) in [("", cut), ("HTTP/1.1 200", cut), ("what?\r\n\r\n", invalid)] {
        let mut task = Task::get();
        task.send(bytes);
        task.server.neighbour.ended = true;
        assert_eq!(task.poll_response().unwrap_err(), fault.into(), "{bytes}");
    }
}

#[test]
fn owner_that_is_silent_is_reported_at_the_deadline_and_a_late_process_asks_again() {
    let mut task = Task::get();
    assert!(task.poll_response().unwrap().is_none());
    let deadline = task.relay.deadline().unwrap();
    task.now = deadline + core::time::Duration::from_secs(3);
    assert!(task.poll_response().unwrap().is_none(), "the process was late itself");
    task.now = task.relay.deadline().unwrap();
    assert_eq!(task.poll_response().unwrap_err(), HandOverFault::Timeout.into());
}

#[test]
fn closing_server_waits_for_the_rest_of_a_response_alone() {
    let mut task = Task::get();
    let waiting = task.relay.poll_response(task.now, false, &mut task.server);
    assert_eq!(waiting.unwrap_err(), Reject::Unavailable);
    let mut task = Task::get();
    task.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na");
    assert_eq!(task.poll_response().unwrap().unwrap().status(), 200);
    task.send("b");
    assert_eq!(task.body(), (b"ab".to_vec(), Ok(Poll::Ready(()))));
}

#[test]
fn upgrade_goes_on_as_a_connection_with_the_bytes_that_came_behind_it() {
    let mut task = Task::new(UPGRADE, None, false);
    assert!(task.relay.has_body(), "what follows is no body");
    task.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: x\r\n\r\nfirst frames",
    );
    let response = task.poll_response().unwrap().unwrap();
    assert!(response.is_upgrade() && response.status() == 101);
    assert_eq!(fields(&response), [("Sec-WebSocket-Accept", &b"x"[..])]);
    let took = task.took();
    assert!(took.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), "{took}");
    assert!(!took.contains("Transfer-Encoding"), "{took}");
    let mut connection = crate::carrier::relay::tests::Client::going_on(task.server, |http| {
        task.relay.into_connection(task.now, http)
    });
    let _ = connection.pass();
    assert_eq!(connection.came(), "first frames");
    let _ = connection.send(b"frames of the client");
    assert!(String::from_utf8_lossy(&connection.node().took).ends_with("frames of the client"));
}

#[test]
fn extended_connect_is_a_handshake_whose_key_the_owner_has_read() {
    let head = format!(
        "GET {TARGET} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    // Of the key of sixteen sevens. That of the client means nothing.
    for (accept, is_read) in [("CdXSYUsvsaMthlEXWDNURGWA/1o=", true), ("x", false)] {
        let mut task = Task::new(&head, None, true);
        assert!(task.poll_response().unwrap().is_none());
        let took = task.took();
        assert!(took.contains("\r\nSec-WebSocket-Key: BwcHBwcHBwcHBwcHBwcHBw==\r\n"));
        assert_eq!(took.matches("Sec-WebSocket-Key").count(), 1);
        task.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\nX: y\r\n\r\n"
        ));
        match task.poll_response() {
            Ok(response) => {
                let response = response.unwrap();
                assert!(is_read && response.is_upgrade() && response.status() == 200);
                assert_eq!(fields(&response), [("X", &b"y"[..])]);
            }
            Err(reject) => {
                assert!(!is_read);
                assert_eq!(reject, HandOverFault::InvalidResponse.into());
            }
        }
    }
}

#[test]
fn debug_shows_no_bytes() {
    let mut task = Task::get();
    task.send("HTTP/1.1 200 OK\r\nSet-Cookie: secret\r\nContent-Length: 6\r\n\r\nsecret");
    let response = task.poll_response().unwrap().unwrap();
    let shown = format!("{:?} {response:?}", task.relay);
    assert!(!shown.contains("secret") && !shown.contains("b--a"), "{shown}");
}
