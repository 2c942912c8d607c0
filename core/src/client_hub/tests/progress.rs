//! Signs of life: transfers at and below the lowest rate.

use super::*;

/// The rates of a slow transfer, in bytes a second, and whether the session outlives it.
const RATES: [(usize, bool); 3] = [(1200, true), (900, false), (0, false)];

/// Brings a message of 300 000 bytes, of which `sent` have come, at `rate` bytes a second for a while, then the rest.
fn trickle(
    mut server: Server,
    on: ClientConnectionId,
    mut sent: usize,
    (rate, lives): (usize, bool),
) {
    while sent < 200_000 && !server.hub.session().is_closed() {
        server.wait(Duration::from_secs(1));
        if rate > 0 && !server.hub.session().is_closed() {
            server.bytes(on, &vec![b'4'; rate]);
            sent += rate;
        }
    }
    let timeout = vec![Event::Closed(CloseReason::PingTimeout)];
    assert_eq!(server.events(), if lives { vec![] } else { timeout }, "{rate} bytes a second");
    if lives {
        server.bytes(on, &vec![b'4'; 300_000 - sent]);
        assert!(matches!(server.events()[..], [Event::Message(_)]));
    }
}

#[test]
fn a_frame_that_comes_slowly_keeps_the_session_at_the_lowest_rate_and_above() {
    for rate in RATES {
        let (mut server, connection, _) = Server::websocket();
        let mut head = vec![0x81, 127];
        head.extend_from_slice(&300_000_u64.to_be_bytes());
        server.bytes(connection, &head);
        trickle(server, connection, 0, rate);
    }
}

#[test]
fn a_response_that_comes_slowly_keeps_the_session_at_the_lowest_rate_and_above() {
    for rate in RATES {
        let (mut server, get) = Server::polling("[]");
        server.bytes(get, b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n4");
        trickle(server, get, 1, rate);
    }
}

#[test]
fn a_byte_a_minute_keeps_no_session() {
    let (mut server, get) = Server::polling("[]");
    server.bytes(get, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n4");
    server.wait(Duration::from_secs(40));
    server.bytes(get, b"x");
    server.wait(Duration::from_secs(5));
    assert_eq!(server.events(), [Event::Closed(CloseReason::PingTimeout)]);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_request_that_is_taken_slowly_keeps_the_session_at_the_lowest_rate_and_above() {
    for websocket in [false, true] {
        for (rate, lives) in RATES {
            let (mut server, connection) = match websocket {
                false => {
                    let (mut server, _) = Server::polling("[]");
                    server.hub.send("x".repeat(200_000)).unwrap();
                    server.drain();
                    server.room = 0;
                    let post = server.connect();
                    (server, post)
                }
                true => {
                    let (mut server, connection, _) = Server::websocket();
                    server.room = 0;
                    server.hub.send("x".repeat(200_000)).unwrap();
                    server.drain();
                    (server, connection)
                }
            };
            for _ in 0..150 {
                server.wait(Duration::from_secs(1));
                server.room = rate;
                server.hub.handle_writable(server.now, connection);
                server.drain();
            }
            let timeout = vec![Event::Closed(CloseReason::PingTimeout)];
            let expected = if lives { vec![] } else { timeout };
            assert_eq!(server.events(), expected, "{rate} bytes a second, {websocket}");
        }
    }
}

#[test]
fn bytes_that_a_socket_with_room_takes_are_no_signs_of_life() {
    for websocket in [false, true] {
        let mut server = match websocket {
            false => Server::polling("[]").0,
            true => Server::websocket().0,
        };
        for _ in 0..45 {
            server.hub.send("x".repeat(10_000)).unwrap();
            server.drain();
            if !server.connecting.is_empty() {
                server.connect();
            }
            server.wait(Duration::from_secs(1));
        }
        assert!(!server.written.is_empty());
        assert_eq!(server.events().pop(), Some(Event::Closed(CloseReason::PingTimeout)));
    }
}

#[test]
fn bytes_that_a_loop_keeps_tell_of_the_server_as_they_become_fewer() {
    for (rate, lives) in RATES {
        let (mut server, connection, _) = Server::websocket();
        server.hub.send("x".repeat(200_000)).unwrap();
        let mut left = 0;
        for _ in 0..150 {
            if left == 0 {
                server.hub.handle_writable(server.now, connection);
                assert!(server.hub.poll_action(server.now, &mut seven()).is_some());
                server.hub.transmit(server.now, connection, |bytes| {
                    left += bytes.len();
                    bytes.len()
                });
            }
            // The socket is full from the first byte on.
            server.hub.handle_blocked(server.now, connection, left);
            assert_eq!(server.hub.poll_action(server.now, &mut seven()), None);
            server.wait(Duration::from_secs(1));
            if server.hub.session().is_closed() {
                break;
            }
            left = left.saturating_sub(rate);
        }
        let timeout = vec![Event::Closed(CloseReason::PingTimeout)];
        let expected = if lives { vec![] } else { timeout };
        assert_eq!(server.events(), expected, "{rate} bytes a second");
    }
}

#[test]
fn bytes_tell_the_same_of_the_server_however_they_are_read() {
    // Behind a response whatever comes is not of the session, and behind a ping it counts for the next.
    let response = [answer("6", "").as_bytes(), &[b'x'; 40 * 1024]].concat();
    let frames = [b"\x81\x7e\x90\x00".as_slice(), &[b'4'; 0x9000], b"\x81\x012"].concat().repeat(2);
    // More than a deadline takes, in one frame.
    let frame = [b"\x81\x7e\xf0\x00".as_slice(), &[b'4'; 0xf000]].concat();
    for (websocket, bytes) in [(false, response), (true, frames), (true, frame)] {
        let deadlines = [1, 1000, bytes.len()].map(|piece| {
            let mut server = match websocket {
                false => Server::polling("[]").0,
                true => Server::websocket().0,
            };
            let connection = ClientConnectionId(if websocket { 1 } else { 2 });
            let mut deadlines = Vec::new();
            for _ in 0..2 {
                server.wait(Duration::from_secs(10));
                for bytes in bytes.chunks(piece) {
                    server.hub.handle_bytes(server.now, connection, &mut bytes.to_vec());
                }
                server.drain();
                server.wait(Duration::from_secs(10));
                // As much again as it takes, but for what counts from before.
                server.hub.session.handle_progress(server.now, 40 * 1024);
                deadlines.push(server.hub.peer_deadline().map(|due| due.since(server.now)));
            }
            deadlines
        });
        assert!(deadlines.iter().all(|one| *one == deadlines[0]), "{websocket}: {deadlines:?}");
    }
}
