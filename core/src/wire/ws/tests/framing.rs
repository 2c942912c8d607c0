//! Section 5.2 (Autobahn 1, 3, 4).

use super::*;

/// Where the form of the length changes, and around.
const LENGTHS: [usize; 7] = [0, 125, 126, 127, 128, 65535, 65536];

#[test]
fn messages_of_all_lengths_arrive() {
    for setup in both() {
        for len in LENGTHS {
            let payload = vec![b'*'; len];
            let outcome = setup.decode(&setup.frame(FIN | TEXT, &payload));
            assert_eq!(outcome.received, [text(&"*".repeat(len))]);
            let payload = vec![0xfe; len];
            let outcome = setup.decode(&setup.frame(FIN | BINARY, &payload));
            assert_eq!(outcome.received, [binary(&payload)]);
            assert!(outcome.sent.is_empty() && !outcome.closing);
        }
    }
}

#[test]
fn the_example_frames_of_section_5_7_are_understood() {
    let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(server().decode(&masked).received, [text("Hello")]);
    let unmasked = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(client().decode(&unmasked).received, [text("Hello")]);
    let fragmented = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(client().decode(&fragmented).received, [text("Hello")]);
    let masked_pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(server().decode(&masked_pong).received, []);
}

#[test]
fn several_frames_in_one_read_are_all_taken() {
    for setup in both() {
        let stream = setup.frames(&[
            (FIN | TEXT, b"one"),
            (FIN | BINARY, b""),
            (FIN | TEXT, "zwölf".as_bytes()),
            (FIN | BINARY, &[9; 3000]),
        ]);
        let expected = [text("one"), binary(b""), text("zwölf"), binary(&[9; 3000])];
        assert_eq!(setup.decode(&stream).received, expected);
    }
}

#[test]
fn a_reserved_bit_is_refused() {
    for setup in both() {
        for bits in (1..8).map(|bits| bits << 4) {
            for first in [FIN | TEXT, BINARY, FIN | PING, FIN | CLOSE] {
                let stream = setup.frame(first | bits, b"");
                setup.refuses(&stream, &Violation::ReservedBits { bits });
            }
        }
    }
}

#[test]
fn a_reserved_opcode_is_refused() {
    for setup in both() {
        for opcode in (3..=7).chain(11..=15) {
            for payload in [&b""[..], b"payload"] {
                let stream = setup.frame(FIN | opcode, payload);
                setup.refuses(&stream, &Violation::ReservedOpcode { opcode });
            }
        }
    }
}

#[test]
fn a_violation_comes_after_the_messages_before_it() {
    for setup in both() {
        let stream = setup.frames(&[(FIN | TEXT, b"fine"), (FIN | 3, b""), (FIN | TEXT, b"late")]);
        let outcome = setup.decode(&stream);
        let violation = Violation::ReservedOpcode { opcode: 3 };
        let closed = Received::Closed(Closed::Violation(violation));
        assert_eq!(outcome.received, [text("fine"), closed]);
    }
}

#[test]
fn a_server_refuses_what_is_not_masked() {
    for first in [FIN | TEXT, FIN | BINARY, TEXT, FIN | PING, FIN | CLOSE] {
        server().refuses(&raw(first, b"", None), &Violation::Unmasked);
    }
}

#[test]
fn a_client_refuses_what_is_masked() {
    for first in [FIN | TEXT, FIN | BINARY, TEXT, FIN | PING, FIN | CLOSE] {
        client().refuses(&raw(first, b"", Some(MASK)), &Violation::Masked);
        client().refuses(&raw(first, b"", Some([0; 4])), &Violation::Masked);
    }
}

#[test]
fn any_mask_is_taken_off() {
    for mask in [[0; 4], [0xff; 4], [1, 2, 3, 4], [0x80, 0, 0, 0]] {
        let stream = raw(FIN | TEXT, "Größe 😀".as_bytes(), Some(mask));
        assert_eq!(server().decode(&stream).received, [text("Größe 😀")]);
    }
}

#[test]
fn a_length_has_its_shortest_form() {
    for (len, form) in [(0_u64, 126), (125, 126), (0, 127), (125, 127), (126, 127), (65535, 127)] {
        for (setup, bit) in [(server(), 0x80), (client(), 0)] {
            let mut stream = vec![FIN | BINARY, bit | form];
            stream.extend(&len.to_be_bytes()[if form == 126 { 6 } else { 0 }..]);
            setup.refuses(&stream, &Violation::LengthNotMinimal { size: len });
        }
    }
}

#[test]
fn the_highest_bit_of_a_length_is_clear() {
    for len in [1 << 63, u64::MAX] {
        for (setup, bit) in [(server(), 0x80), (client(), 0)] {
            let mut stream = vec![FIN | BINARY, bit | 127];
            stream.extend(u64::to_be_bytes(len));
            setup.refuses(&stream, &Violation::LengthOutOfRange);
        }
    }
}

#[test]
fn a_head_is_refused_at_its_first_wrong_byte() {
    for (stream, violation) in [
        (&[0xc1][..], Violation::ReservedBits { bits: 0x40 }),
        (&[0x83], Violation::ReservedOpcode { opcode: 3 }),
        (&[0x09], Violation::FragmentedControl),
        (&[0x81, 0x05], Violation::Unmasked),
        (&[0x89, 0xfe], Violation::ControlTooLong),
    ] {
        let outcome = server().decode_part(stream);
        assert_eq!(outcome.received, [Received::Closed(Closed::Violation(violation))]);
    }
}

#[test]
fn every_cut_through_three_frames_is_healed() {
    for setup in both() {
        let stream = setup.frames(&[
            (TEXT, "é".as_bytes()),
            (FIN | PING, b"between"),
            (FIN | CONTINUATION, &[b'x'; 200]),
        ]);
        let whole = setup.decode(&stream);
        for cut in 0..=stream.len() {
            assert_eq!(setup.run(&stream, [cut, stream.len()]), whole, "cut at {cut}");
        }
    }
}
