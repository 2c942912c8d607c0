//! Kept connections: how long, how many, and a request that meets the close of one.

use super::*;

#[test]
fn connections_are_used_again_once_they_have_rested() {
    let (mut server, first) = Server::polling("[]");
    server.wait(Duration::from_millis(25));
    server.answer(first, "4a");
    let second = server.connect();
    assert!(server.request(second).starts_with("GET "), "the first rests");
    server.wait(Duration::from_millis(25));
    server.hub.send("b").unwrap();
    server.drain();
    assert!(server.request(first).ends_with(" 4b"));
    assert_eq!(server.events(), [message("a")]);
    assert!(server.connecting.is_empty() && server.closed.is_empty());
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn however_fast_it_goes_there_are_few_connections() {
    let (mut server, mut get) = Server::polling("[]");
    let mut connections = alloc::collections::BTreeSet::from([get]);
    for _ in 0..100 {
        server.answer(get, "4a");
        get = match server.connecting.len() {
            0 => *server.written.keys().next().unwrap(),
            _ => server.connect(),
        };
        assert!(server.request(get).starts_with("GET "));
        connections.insert(get);
    }
    assert_eq!(connections.len(), MAX_CONNECTIONS);
    assert_eq!(server.events().len(), 100);
}

#[test]
fn a_connection_that_is_kept_and_brings_what_nobody_asked_for_is_closed() {
    let (mut server, first) = Server::polling("[]");
    server.answer(first, "4a");
    let second = server.connect();
    assert!(server.request(second).starts_with("GET "), "the first rests");
    server.bytes(first, b"HTTP/1.1 408 Request Timeout\r\n");
    assert_eq!(server.closed, [first]);
    assert_eq!(server.events(), [message("a")]);
}

#[test]
fn answers_may_come_in_any_pieces() {
    let (mut server, get) = Server::polling("[]");
    let text = answer("4a\u{1e}4é", "");
    for byte in text.bytes() {
        server.bytes(get, &[byte]);
    }
    assert_eq!(server.events(), [message("a"), message("é")]);
}

#[test]
fn a_connection_that_is_not_kept_is_replaced() {
    let (mut server, first) = Server::polling("[]");
    server.bytes(first, answer("4a", "Connection: close\r\n").as_bytes());
    assert_eq!(server.closed, [first]);
    let second = server.connect();
    assert!(server.request(second).starts_with("GET "));
    server.answer(second, "4b");
    assert_eq!(server.events(), [message("a"), message("b")]);
}

#[test]
fn an_idle_connection_is_not_used_after_a_jump_of_the_clock() {
    for excused in [false, true] {
        let (mut server, get) = Server::polling("[]");
        server.hub.send("a").unwrap();
        server.drain();
        let post = server.connect();
        server.answer(post, "ok");
        // The process was away, and reads before it looks at the clock.
        server.now = server.now + Duration::from_secs(60);
        if excused {
            server.hub.extend_deadlines(server.now + Duration::from_secs(60));
        }
        server.answer(get, "4a");
        assert_eq!(server.closed, [post], "{excused}");
        let next = server.connect();
        assert!(server.request(next).starts_with("GET "));
    }
}

#[test]
fn an_idle_connection_is_closed_before_the_server_might() {
    let (mut server, _) = Server::polling("[]");
    server.hub.send("a").unwrap();
    server.drain();
    let post = server.connect();
    server.answer(post, "ok");
    server.wait(Duration::from_millis(3_999));
    assert!(server.closed.is_empty());
    server.wait(Duration::from_millis(1));
    assert_eq!(server.closed, [post]);
}

/// For so long a connection is left alone.
const REST: Duration = Duration::from_millis(25);

/// The ways in which a connection ends.
const ENDS: [fn(&mut ClientHub, Time, ClientConnectionId); 2] =
    [ClientHub::handle_eof, ClientHub::handle_lost];

/// A session on polling with a message under way. Its GET and its POST are on kept connections.
fn on_kept_connections() -> (Server, ClientConnectionId, ClientConnectionId) {
    let (mut server, first) = Server::polling("[]");
    server.hub.send("a").unwrap();
    server.drain();
    let second = server.connect();
    assert!(server.request(second).ends_with(" 4a"));
    server.answer(second, "ok");
    server.wait(REST);
    server.answer(first, "4first");
    assert!(server.request(second).starts_with("GET "));
    server.wait(REST);
    server.hub.send("b").unwrap();
    server.drain();
    assert_eq!(server.events(), [message("first")]);
    let (get, post) = (second, first);
    (server, get, post)
}

#[test]
fn a_request_that_meets_the_close_of_a_kept_connection_is_sent_again_on_a_fresh_one() {
    for end in ENDS {
        let (mut server, get, post) = on_kept_connections();
        let posted = server.request(post);
        for (connection, body) in [(post, "ok"), (get, "4second")] {
            end(&mut server.hub, server.now, connection);
            server.drain();
            let fresh = server.connect();
            let request = server.request(fresh);
            if connection == post {
                assert_eq!(request, posted);
            } else {
                assert!(request.starts_with("GET ") && request.ends_with("sid=the-sid"));
            }
            server.answer(fresh, body);
        }
        assert_eq!(server.events(), [message("second")]);
    }
}

#[test]
fn a_connection_that_is_closed_right_behind_an_answer_is_no_loss() {
    let (mut server, mut get) = Server::polling("[]");
    for _ in 0..20 {
        server.answer(get, "4a");
        let last = core::mem::replace(&mut get, server.connect());
        assert!(server.request(get).starts_with("GET "));
        server.hub.handle_eof(server.now, last);
        server.drain();
        assert_eq!(server.closed.pop(), Some(last));
    }
    assert_eq!(server.events().len(), 20);
}

#[test]
fn a_request_is_sent_again_once_and_from_a_fresh_connection_never() {
    for end in ENDS {
        let (mut server, _, post) = on_kept_connections();
        end(&mut server.hub, server.now, post);
        server.drain();
        let fresh = server.connect();
        end(&mut server.hub, server.now, fresh);
        server.drain();
        assert_eq!(server.events(), [closed(TransportFault::ConnectionLost)]);
        assert!(server.connecting.is_empty() && server.hub.is_finished());
    }
    for method in ["GET", "POST"] {
        for end in ENDS {
            let (mut server, get) = Server::polling("[]");
            server.hub.send("a").unwrap();
            server.drain();
            let post = server.connect();
            end(&mut server.hub, server.now, if method == "GET" { get } else { post });
            server.drain();
            assert_eq!(server.events(), [closed(TransportFault::ConnectionLost)]);
            assert!(server.connecting.is_empty() && server.hub.is_finished());
        }
    }
}

#[test]
fn a_fresh_connection_that_cannot_be_had_ends_the_session() {
    let (mut server, _, post) = on_kept_connections();
    server.hub.handle_eof(server.now, post);
    server.drain();
    let fresh = server.connecting.remove(0);
    server.hub.handle_refused(server.now, fresh);
    server.drain();
    assert_eq!(server.events(), [closed(TransportFault::Unreachable)]);
    assert!(server.hub.is_finished());
}

#[test]
fn a_request_is_not_sent_again_once_a_byte_of_the_response_has_come() {
    for end in ENDS {
        let (mut server, _, post) = on_kept_connections();
        server.bytes(post, b"H");
        end(&mut server.hub, server.now, post);
        server.drain();
        assert_eq!(server.events(), [closed(TransportFault::ConnectionLost)]);
    }
}

#[test]
fn a_poll_that_the_server_has_held_is_not_sent_again() {
    for (held, again) in [(4999, true), (5000, false)] {
        let (mut server, get, _) = on_kept_connections();
        // The poll was sent before the last rest.
        server.wait(Duration::from_millis(held) - REST);
        server.hub.handle_eof(server.now, get);
        server.drain();
        let events = server.events();
        assert_eq!(events.is_empty(), again, "{events:?} after {held} ms");
        assert_eq!(server.connecting.len(), usize::from(again));
    }
}

#[test]
fn a_large_body_that_was_cut_is_sent_again_from_its_start() {
    let (mut server, _, post) = on_kept_connections();
    server.answer(post, "ok");
    server.wait(REST);
    server.written.clear();
    server.room = 1000;
    server.hub.send("x".repeat(100_000)).unwrap();
    server.drain();
    assert_eq!(server.written.remove(&post).unwrap().len(), 1000);
    server.hub.handle_lost(server.now, post);
    server.room = usize::MAX;
    server.drain();
    let fresh = server.connect();
    assert!(server.request(fresh).ends_with(&"x".repeat(100_000)));
    server.answer(fresh, "ok");
    assert!(server.events().is_empty());
}

#[test]
fn request_timeout_as_a_status_means_a_close_on_a_kept_connection_only() {
    let timeout = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    let (mut server, get, post) = on_kept_connections();
    for (connection, method) in [(get, "GET"), (post, "POST")] {
        server.bytes(connection, timeout);
        assert_eq!(server.closed.pop(), Some(connection));
        let fresh = server.connect();
        assert!(server.request(fresh).starts_with(method));
    }
    let (mut server, get) = Server::polling("[]");
    server.bytes(get, timeout);
    assert_eq!(server.events(), [closed(TransportFault::Status(408))]);
}

#[test]
fn a_session_that_ends_gives_up_a_request_that_was_to_be_sent_again() {
    let (mut server, get, post) = on_kept_connections();
    server.hub.handle_eof(server.now, post);
    server.drain();
    server.closed.clear();
    let fresh = server.connecting[0];
    server.hub.abort();
    server.drain();
    assert_eq!(server.closed, [get, fresh]);
    assert!(server.connecting.is_empty() && server.hub.is_finished());
}

#[test]
fn a_connection_with_a_response_before_the_end_of_its_request_is_not_kept() {
    let (mut server, _, post) = on_kept_connections();
    server.answer(post, "ok");
    server.wait(REST);
    server.room = 1000;
    server.hub.send("x".repeat(100_000)).unwrap();
    server.drain();
    server.closed.clear();
    server.answer(post, "ok");
    assert_eq!(server.closed, [post]);
    assert!(server.events().is_empty());
}

#[test]
fn bytes_that_nobody_asked_for_end_an_idle_connection() {
    let (mut server, _) = Server::polling("[]");
    server.hub.send("a").unwrap();
    server.drain();
    let post = server.connect();
    server.answer(post, "ok");
    server.bytes(post, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(server.closed, [post]);
    assert!(server.events().is_empty());
}
