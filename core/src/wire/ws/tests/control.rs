//! Section 5.5: pings and pongs (Autobahn 2, 5.1, 5.2).

use super::*;

#[test]
fn a_ping_is_answered_with_its_payload() {
    for setup in both() {
        for payload in [&b""[..], b"Hello", &[0, 0xff, 0xfe], &[0xfe; 125]] {
            let outcome = setup.decode(&setup.frame(FIN | PING, payload));
            assert_eq!(outcome.sent, [(FIN | PONG, payload.to_vec())]);
            assert!(outcome.received.is_empty() && !outcome.closing);
        }
    }
}

#[test]
fn each_ping_is_answered_in_order() {
    for setup in both() {
        let stream: Vec<u8> = (0..10).flat_map(|i| setup.frame(FIN | PING, &[i])).collect();
        let expected: Vec<_> = (0..10).map(|i| (FIN | PONG, vec![i])).collect();
        assert_eq!(setup.decode(&stream).sent, expected);
    }
}

#[test]
fn a_ping_longer_than_125_bytes_is_refused() {
    for setup in both() {
        for (opcode, len) in [(PING, 126), (PONG, 126), (CLOSE, 126), (PING, 70_000)] {
            let stream = setup.frame(FIN | opcode, &vec![0xfe; len]);
            setup.refuses(&stream, &Violation::ControlTooLong);
        }
    }
}

#[test]
fn a_pong_is_ignored_whether_asked_for_or_not() {
    for setup in both() {
        for payload in [&b""[..], b"unsolicited", &[0xfe; 125]] {
            let stream = setup.frame(FIN | PONG, payload);
            let outcome = setup.decode(&stream);
            assert!(outcome.received.is_empty() && outcome.sent.is_empty() && !outcome.closing);
        }
        let stream = setup.frames(&[(FIN | PONG, b"a"), (FIN | PING, b"b"), (FIN | PONG, b"c")]);
        assert_eq!(setup.decode(&stream).sent, [(FIN | PONG, b"b".to_vec())]);
    }
}

#[test]
fn a_control_frame_is_not_fragmented() {
    for setup in both() {
        for opcode in [CLOSE, PING, PONG] {
            setup.refuses(&setup.frame(opcode, b""), &Violation::FragmentedControl);
        }
    }
}

#[test]
fn pings_between_fragments_are_answered_before_the_message_is_complete() {
    for setup in both() {
        let mut tested = Tested::new(&setup);
        tested.read(&setup.frame(TEXT, b"frag"));
        tested.read(&setup.frame(FIN | PING, b"now"));
        assert!(!tested.out.is_empty());
        tested.read(&setup.frame(FIN | CONTINUATION, b"ment"));
        let outcome = tested.outcome();
        assert_eq!(outcome.received, [text("fragment")]);
        assert_eq!(outcome.sent, [(FIN | PONG, b"now".to_vec())]);
    }
}

#[test]
fn a_ping_inside_a_cut_frame_is_payload() {
    for setup in both() {
        let inner = setup.frame(FIN | PING, b"not a frame");
        let outcome = setup.decode(&setup.frame(FIN | BINARY, &inner));
        assert_eq!(outcome.received, [binary(&inner)]);
        assert!(outcome.sent.is_empty());
    }
}
