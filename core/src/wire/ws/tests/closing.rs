//! Sections 5.5.1 and 7: the closing handshake (Autobahn 7).

use super::*;

fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

#[test]
fn a_close_without_a_code_is_echoed_without_one() {
    for setup in both() {
        let outcome = setup.decode(&setup.frame(FIN | CLOSE, b""));
        assert_eq!(outcome.received, [closed_by_peer(None, "")]);
        assert_eq!(outcome.sent, [(FIN | CLOSE, Vec::new())]);
        assert!(outcome.closed);
    }
}

#[test]
fn the_code_of_a_close_is_echoed_without_its_reason() {
    let longest = "x".repeat(123);
    for setup in both() {
        for reason in ["", "Hello World!", "Größe", &longest] {
            let payload = close_payload(1000, reason.as_bytes());
            let outcome = setup.decode(&setup.frame(FIN | CLOSE, &payload));
            assert_eq!(outcome.received, [closed_by_peer(Some(1000), reason)]);
            assert_eq!(outcome.sent, [(FIN | CLOSE, close_payload(1000, b""))]);
        }
    }
}

#[test]
fn a_close_of_one_byte_is_refused() {
    for setup in both() {
        setup.refuses(&setup.frame(FIN | CLOSE, b"a"), &Violation::CloseTooShort);
    }
}

#[test]
fn codes_that_may_be_sent_are_taken() {
    let valid = (1000..=1003).chain(1007..=1014).chain([3000, 3999, 4000, 4999]);
    for code in valid {
        for setup in both() {
            let stream = setup.frame(FIN | CLOSE, &close_payload(code, b"why"));
            assert_eq!(setup.decode(&stream).received, [closed_by_peer(Some(code), "why")]);
        }
    }
}

#[test]
fn codes_that_must_not_be_sent_are_refused() {
    let invalid =
        [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 10_000, u16::MAX];
    for code in invalid {
        for setup in both() {
            for reason in [&b""[..], b"why"] {
                let stream = setup.frame(FIN | CLOSE, &close_payload(code, reason));
                setup.refuses(&stream, &Violation::CloseCode { code });
            }
        }
    }
}

#[test]
fn a_reason_that_is_not_utf8_is_refused_with_1007() {
    assert_eq!(Violation::CloseReason { at: 0 }.code(), 1007);
    for setup in both() {
        for invalid in [&b"\xff"[..], b"\xce", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
            let payload = close_payload(1000, &[b"so: ", invalid].concat());
            let stream = setup.frame(FIN | CLOSE, &payload);
            setup.refuses(&stream, &Violation::CloseReason { at: 4 });
        }
    }
}

#[test]
fn whatever_follows_a_close_is_discarded() {
    for setup in both() {
        for (first, payload) in [
            (FIN | TEXT, &b"late"[..]),
            (FIN | PING, b"late"),
            (FIN | CLOSE, b""),
            (FIN | 0x70 | 7, b"nonsense"),
        ] {
            let stream =
                setup.frames(&[(FIN | TEXT, b"first"), (FIN | CLOSE, b""), (first, payload)]);
            let outcome = setup.decode(&stream);
            assert_eq!(outcome.received, [text("first"), closed_by_peer(None, "")]);
            assert_eq!(outcome.sent, [(FIN | CLOSE, Vec::new())]);
        }
    }
}

#[test]
fn a_close_may_come_between_fragments() {
    for setup in both() {
        let stream = setup.frames(&[
            (TEXT, b"frag"),
            (FIN | CLOSE, &close_payload(1001, b"")),
            (FIN | CONTINUATION, b"ment"),
        ]);
        assert_eq!(setup.decode(&stream).received, [closed_by_peer(Some(1001), "")]);
    }
}

/// A WebSocket that has sent its Close, with code 1000.
fn closing(setup: &Setup) -> Tested {
    let mut tested = Tested::new(setup);
    tested.socket.close(Some(1000), "bye", &mut tested.out);
    assert!(tested.socket.is_closing() && !tested.socket.is_closed());
    tested
}

fn only_our_close() -> [(u8, Vec<u8>); 1] {
    [(FIN | CLOSE, close_payload(1000, b"bye"))]
}

#[test]
fn the_peers_close_completes_ours() {
    for setup in both() {
        let mut tested = closing(&setup);
        for byte in setup.frame(FIN | CLOSE, &close_payload(1000, b"too")) {
            assert!(!tested.socket.is_closed());
            tested.read(&[byte]);
        }
        let outcome = tested.outcome();
        assert_eq!(outcome.received, [closed_by_peer(Some(1000), "too")]);
        assert_eq!(outcome.sent, only_our_close());
        assert!(outcome.closed);
    }
}

#[test]
fn nothing_is_sent_after_our_close() {
    for setup in both() {
        let mut tested = closing(&setup);
        let Tested { socket, out, .. } = &mut tested;
        socket.write(true, None, &Bytes::from_static(b"late"), out);
        socket.ping(b"late", out);
        socket.close(Some(1001), "again", out);
        tested.read(&setup.frame(FIN | PING, b"late"));
        tested.read(&setup.frame(FIN | 3, b"violation"));
        assert_eq!(tested.outcome().sent, only_our_close());
    }
}

#[test]
fn messages_after_our_close_are_discarded_whatever_they_are() {
    for setup in both() {
        let setup = Setup { max_message: 5, max_fragments: 2, ..setup };
        let mut tested = closing(&setup);
        for step in [usize::MAX, 1, 3] {
            let stream = setup.frames(&[
                (FIN | TEXT, b"text"),
                (FIN | TEXT, b"\xff"),
                (FIN | BINARY, b"longer than the limit"),
                (TEXT, b"a"),
                (CONTINUATION, b"b"),
                (FIN | PONG, b""),
                (CONTINUATION, b"c"),
                (FIN | CONTINUATION, b"\xff"),
            ]);
            stream.chunks(step.min(stream.len())).for_each(|piece| {
                tested.read(piece);
                assert_eq!(tested.socket.fragments.capacity(), 0, "nothing is kept of it");
            });
        }
        assert!(tested.received.is_empty());
        tested.read(&setup.frame(FIN | CLOSE, b""));
        assert_eq!(tested.received, [closed_by_peer(None, "")]);
    }
}

#[test]
fn our_close_in_the_middle_of_a_message_discards_it() {
    for setup in both() {
        let whole = setup.frames(&[
            (TEXT, b"first part"),
            (CONTINUATION, b"second"),
            (FIN | CONTINUATION, b"third"),
            (FIN | TEXT, b"another"),
            (FIN | CLOSE, b""),
        ]);
        for cut in 0..whole.len() {
            let mut tested = Tested::new(&setup);
            tested.read(&whole[..cut]);
            if tested.socket.is_closed() {
                continue;
            }
            let before = tested.received.len();
            tested.socket.close(None, "", &mut tested.out);
            assert_eq!(tested.socket.fragments.capacity(), 0);
            tested.read(&whole[cut..]);
            assert_eq!(tested.received[before..], [closed_by_peer(None, "")], "cut at {cut}");
        }
    }
}

#[test]
fn a_rule_broken_after_our_close_ends_it_without_a_second_close() {
    for setup in both() {
        for (first, violation) in [
            (FIN | 3, Violation::ReservedOpcode { opcode: 3 }),
            (FIN | CONTINUATION, Violation::UnexpectedContinuation),
            (PING, Violation::FragmentedControl),
        ] {
            let mut tested = closing(&setup);
            tested.read(&setup.frame(first, b""));
            let outcome = tested.outcome();
            assert_eq!(outcome.received, [Received::Closed(Closed::Violation(violation))]);
            assert_eq!(outcome.sent, only_our_close());
            assert!(outcome.closed);
        }
    }
}

#[test]
fn the_end_of_the_connection_is_reported_once() {
    for setup in both() {
        let lost = Some(Received::Closed(Closed::Lost));
        let mut open = setup.socket();
        assert_eq!(open.handle_eof(), lost);
        assert_eq!(open.handle_eof(), None);
        assert!(open.is_closed());

        let mut tested = closing(&setup);
        assert_eq!(tested.socket.handle_eof(), lost);
        assert_eq!(tested.read(&setup.frame(FIN | TEXT, b"late")), 0);

        for last in [setup.frame(FIN | CLOSE, b""), setup.frame(FIN | 3, b"")] {
            let mut tested = Tested::new(&setup);
            assert_eq!(tested.read(&last), 1);
            assert_eq!(tested.socket.handle_eof(), None);
        }
    }
}

#[test]
fn nothing_is_sent_after_the_end() {
    for setup in both() {
        for last in [setup.frame(FIN | CLOSE, b""), setup.frame(FIN | 3, b"")] {
            let mut tested = Tested::new(&setup);
            tested.read(&last);
            let sent = tested.out.remaining();
            let Tested { socket, out, .. } = &mut tested;
            socket.write(false, Some(b'4'), &Bytes::from_static(b"late"), out);
            socket.ping(b"late", out);
            socket.close(Some(1000), "late", out);
            assert_eq!(out.remaining(), sent);
        }
    }
}
