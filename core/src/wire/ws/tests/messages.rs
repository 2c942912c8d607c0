//! Section 5.4, fragmentation (Autobahn 5), and section 8.1, UTF-8 (Autobahn 6).

use super::*;

fn refused_text(at: usize) -> [Received; 1] {
    [Received::Closed(Closed::Violation(Violation::InvalidUtf8 { at }))]
}

#[test]
fn fragments_make_one_message() {
    for setup in both() {
        let stream = setup.frames(&[
            (TEXT, b"one, "),
            (CONTINUATION, b"two, "),
            (CONTINUATION, b"three"),
            (FIN | CONTINUATION, b"!"),
            (BINARY, &[0xff; 700]),
            (FIN | CONTINUATION, &[0xfe; 700]),
        ]);
        let bytes = [[0xff; 700], [0xfe; 700]].concat();
        assert_eq!(setup.decode(&stream).received, [text("one, two, three!"), binary(&bytes)]);
    }
}

#[test]
fn fragments_may_be_empty() {
    for setup in both() {
        for (middle, expected) in [(&b""[..], ""), (b"middle", "middle")] {
            let stream =
                setup.frames(&[(TEXT, b""), (CONTINUATION, middle), (FIN | CONTINUATION, b"")]);
            assert_eq!(setup.decode(&stream).received, [text(expected)]);
        }
        let stream = setup.frames(&[(TEXT, b""), (FIN | CONTINUATION, b"last")]);
        assert_eq!(setup.decode(&stream).received, [text("last")]);
    }
}

#[test]
fn a_continuation_without_a_beginning_is_refused() {
    for setup in both() {
        for first in [CONTINUATION, FIN | CONTINUATION] {
            let stream = setup.frame(first, b"what?");
            setup.refuses(&stream, &Violation::UnexpectedContinuation);
        }
    }
}

#[test]
fn a_continuation_after_the_last_fragment_is_refused() {
    for setup in both() {
        for fragments in [
            &[(FIN | TEXT, &b"whole"[..])][..],
            &[(TEXT, b"who"), (FIN | CONTINUATION, b"le")],
            &[(TEXT, b"whole"), (FIN | CONTINUATION, b"")],
        ] {
            let stream =
                [setup.frames(fragments), setup.frame(FIN | CONTINUATION, b"more")].concat();
            let closed = Received::Closed(Closed::Violation(Violation::UnexpectedContinuation));
            assert_eq!(setup.decode(&stream).received, [text("whole"), closed]);
        }
    }
}

#[test]
fn a_message_inside_a_message_is_refused() {
    for setup in both() {
        for start in [TEXT, BINARY] {
            for second in [TEXT, FIN | TEXT, BINARY, FIN | BINARY] {
                let stream = setup.frames(&[(start, b"first"), (second, b"second")]);
                setup.refuses(&stream, &Violation::ExpectedContinuation);
            }
        }
    }
}

#[test]
fn text_of_all_scripts_arrives() {
    for setup in both() {
        for sample in [
            "",
            "κόσμε",
            "Hello-µ@ßöäüàá-UTF-8!!",
            "\u{0}\u{7f}\u{80}\u{7ff}\u{800}",
            "\u{ffff}\u{fffe}\u{10000}\u{10ffff}\u{d7ff}\u{e000}",
        ] {
            let long = sample.repeat(400);
            for sample in [sample, &long] {
                let stream = setup.frame(FIN | TEXT, sample.as_bytes());
                assert_eq!(setup.decode(&stream).received, [text(sample)]);
            }
        }
    }
}

#[test]
fn a_character_may_be_cut_between_fragments() {
    for setup in both() {
        let sample = "aµ€😀z";
        for cut in 0..=sample.len() {
            let (left, right) = sample.as_bytes().split_at(cut);
            let stream = setup.frames(&[(TEXT, left), (FIN | CONTINUATION, right)]);
            assert_eq!(setup.decode(&stream).received, [text(sample)], "cut at {cut}");
        }
        let stream: Vec<u8> = sample
            .bytes()
            .flat_map(|byte| setup.frame(if byte == b'a' { TEXT } else { CONTINUATION }, &[byte]))
            .chain(setup.frame(FIN | CONTINUATION, b""))
            .collect();
        assert_eq!(setup.decode(&stream).received, [text(sample)]);
    }
}

/// Sequences that no text may contain (Autobahn 6.3 to 6.21).
const INVALID: [&[u8]; 22] = [
    b"\x80",
    b"\xbf",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xc3\x28",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xe2\x28\xa1",
    b"\xe2\x82\x28",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x28\x8c\xbc",
    b"\xf0\x90\x28\xbc",
    b"\xf0\x90\x8c\x28",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
];

#[test]
fn invalid_text_is_refused_with_1007() {
    assert_eq!(Violation::InvalidUtf8 { at: 0 }.code(), 1007);
    for setup in both() {
        for invalid in INVALID {
            for (before, after) in [("", ""), ("", "edited"), ("κόσμε", "edited"), ("a", "😀")]
            {
                let bytes = [before.as_bytes(), invalid, after.as_bytes()].concat();
                let stream = setup.frame(FIN | TEXT, &bytes);
                setup.refuses(&stream, &Violation::InvalidUtf8 { at: before.len() });
                for cut in 0..=bytes.len() {
                    let (left, right) = bytes.split_at(cut);
                    let stream = setup.frames(&[(TEXT, left), (FIN | CONTINUATION, right)]);
                    setup.refuses(&stream, &Violation::InvalidUtf8 { at: before.len() });
                }
            }
        }
    }
}

#[test]
fn invalid_text_is_refused_in_frames_of_all_sizes() {
    for setup in both() {
        for len in [0, 124, 125, 1023, 1024, 1025, 70_000] {
            let bytes = [&vec![b'a'; len], &b"\xff"[..]].concat();
            let stream = setup.frame(FIN | TEXT, &bytes);
            setup.refuses(&stream, &Violation::InvalidUtf8 { at: len });
        }
    }
}

#[test]
fn invalid_text_is_refused_at_the_byte_that_makes_it_so() {
    for setup in both() {
        for invalid in INVALID {
            let bytes = ["κόσμε".as_bytes(), invalid, &[b'x'; 100]].concat();
            let hopeless = (0..bytes.len())
                .find(|&end| {
                    core::str::from_utf8(&bytes[..end])
                        .is_err_and(|error| error.error_len().is_some())
                })
                .unwrap();

            // One frame, of which so much has come.
            let stream = setup.frame(FIN | TEXT, &bytes);
            let head = stream.len() - bytes.len();
            let mut tested = Tested::new(&setup);
            assert_eq!(tested.read(&stream[..head + hopeless - 1]), 0, "{invalid:x?}");
            assert_eq!(tested.read(&stream[head + hopeless - 1..head + hopeless]), 1);
            assert_eq!(tested.received, refused_text("κόσμε".len()));

            // A fragment for each byte.
            let mut tested = Tested::new(&setup);
            for (i, byte) in bytes[..hopeless].iter().enumerate() {
                assert!(tested.received.is_empty());
                tested.read(&setup.frame(if i == 0 { TEXT } else { CONTINUATION }, &[*byte]));
            }
            assert_eq!(tested.received, refused_text("κόσμε".len()));
        }
    }
}

#[test]
fn text_that_ends_inside_a_character_is_refused_at_its_end() {
    for setup in both() {
        for incomplete in [&b"\xce"[..], b"\xe2\x82", b"\xf0\x9f\x98", b"\xf0"] {
            let bytes = [b"abc", incomplete].concat();
            let at = 3;
            setup.refuses(&setup.frame(FIN | TEXT, &bytes), &Violation::InvalidUtf8 { at });
            let stream = setup.frames(&[(TEXT, &bytes), (FIN | CONTINUATION, b"")]);
            setup.refuses(&stream, &Violation::InvalidUtf8 { at });
            // Not before: the rest could still come.
            assert!(setup.decode(&setup.frame(TEXT, &bytes)).received.is_empty());
        }
    }
}

#[test]
fn a_character_is_not_completed_by_the_next_message() {
    for setup in both() {
        let stream = setup.frames(&[(FIN | TEXT, b"\xe2\x82"), (FIN | TEXT, b"\xac")]);
        setup.refuses(&stream, &Violation::InvalidUtf8 { at: 0 });
    }
}

#[test]
fn ascii_after_half_a_character_is_refused() {
    // The piece that breaks it is ASCII by itself.
    let setup = server();
    let mut tested = Tested::new(&setup);
    let stream = setup.frame(FIN | TEXT, b"abc\xe2plain");
    tested.read(&stream[..stream.len() - 5]);
    assert!(tested.received.is_empty());
    tested.read(&stream[stream.len() - 5..]);
    assert_eq!(tested.received, refused_text(3));
}

#[test]
fn binary_messages_may_hold_anything() {
    for setup in both() {
        for invalid in INVALID {
            let stream = setup.frames(&[(BINARY, invalid), (FIN | CONTINUATION, invalid)]);
            let expected = [invalid, invalid].concat();
            assert_eq!(setup.decode(&stream).received, [binary(&expected)]);
        }
    }
}
