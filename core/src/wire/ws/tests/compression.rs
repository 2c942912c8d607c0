//! permessage-deflate (RFC 7692) rule by rule, for both roles.

use alloc::string::String;

use super::*;
use crate::{
    PerMessageDeflate,
    codec::{Frame, PacketRef, encode_frame},
    encoded::{Encoded, IntoEncoded},
    packet::Revision,
};

/// The first byte of a compressed message in one frame.
const TEXT_1: u8 = FIN | 0x40 | TEXT;
const BINARY_1: u8 = FIN | 0x40 | BINARY;

/// "Hello" of section 7.2.3.1.
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

/// Options with contexts on both sides and no threshold.
fn options() -> PerMessageDeflate {
    let mut options = PerMessageDeflate::default();
    options.threshold = 0;
    options.server_context_takeover = true;
    options.client_context_takeover = true;
    options
}

/// The same without contexts.
fn alone() -> PerMessageDeflate {
    PerMessageDeflate {
        server_context_takeover: false,
        client_context_takeover: false,
        ..options()
    }
}

/// Setups of both roles that have agreed on these options.
fn agreed(options: &PerMessageDeflate) -> [Setup; 2] {
    let offer = DeflateParameters::offer(options);
    let (ours, answer) =
        DeflateParameters::accept(options, [offer.as_bytes()].into_iter()).unwrap();
    let theirs = DeflateParameters::check(options, [answer.as_bytes()].into_iter()).unwrap();
    [Setup { compression: Some(ours), ..server() }, Setup { compression: theirs, ..client() }]
}

fn all() -> impl Iterator<Item = Setup> {
    agreed(&options()).into_iter().chain(agreed(&alone()))
}

/// A frame with a message of revision 4.
fn frame(message: impl IntoEncoded) -> Frame {
    let encoded = message.into_encoded();
    let mut queue = crate::channel::Queue::default();
    queue.push_message(encoded, &crate::Limits::default()).unwrap();
    queue.pop_frame(Revision::V4, false).unwrap()
}

/// What a socket has written, frame by frame: first byte and payload.
fn written(tested: &mut Tested, frames: &[Frame]) -> Vec<(u8, Vec<u8>)> {
    for frame in frames {
        tested.socket.write_frame(frame, &mut tested.arena, &mut tested.out);
    }
    let bytes = tested.out.copy_to_bytes(tested.out.remaining());
    unframe(&bytes, tested.masked)
}

/// Bytes that do not compress: SplitMix64.
fn random(len: u64) -> Vec<u8> {
    let mix = |n: u64| {
        let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (n ^ (n >> 31)).to_be_bytes()[0]
    };
    (1..=len).map(mix).collect()
}

/// Compresses bytes as any peer may, with a flush behind each piece.
fn deflated(pieces: &[&[u8]]) -> Vec<u8> {
    let mut deflate = zlib_rs::Deflate::new(9, false, 15);
    let mut out = Vec::new();
    for piece in pieces {
        let mut room = vec![0; piece.len() + 100];
        let before = deflate.total_out();
        deflate.compress(piece, &mut room, zlib_rs::DeflateFlush::SyncFlush).unwrap();
        let n = usize::try_from(deflate.total_out() - before).unwrap();
        assert!(n < room.len());
        out.extend_from_slice(&room[..n]);
    }
    assert!(out.ends_with(b"\0\0\xff\xff"));
    out.truncate(out.len() - 4);
    out
}

#[test]
fn examples_of_the_rfc_are_inflated_whole_and_byte_by_byte() {
    for setup in all() {
        for frames in [
            // A message in one frame, in two, in a stored block, with a last block, in two blocks.
            &[(TEXT_1, HELLO)][..],
            &[(0x41, &HELLO[..3]), (FIN, &HELLO[3..])],
            &[(TEXT_1, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")],
            &[(TEXT_1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")],
            &[(TEXT_1, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")],
        ] {
            let outcome = setup.decode(&setup.frames(frames));
            assert_eq!(outcome.received, [text("Hello")], "{frames:?}");
        }
    }
}

#[test]
fn message_may_refer_to_those_before_it_if_a_context_is_kept() {
    let second = b"\xf2\x00\x11\x00\x00";
    for setup in agreed(&options()) {
        let stream = setup.frames(&[(TEXT_1, HELLO), (FIN | TEXT, b"a"), (TEXT_1, second)]);
        let outcome = setup.decode(&stream);
        assert_eq!(outcome.received, [text("Hello"), text("a"), text("Hello")]);
    }
    for setup in agreed(&alone()) {
        let stream = setup.frames(&[(TEXT_1, HELLO), (TEXT_1, second)]);
        let outcome = setup.run(&stream, [stream.len()]);
        let closed = Received::Closed(Closed::Violation(Violation::NotDeflated));
        assert_eq!(outcome.received, [text("Hello"), closed]);
    }
}

#[test]
fn empty_messages_and_fragments_and_control_frames_between_them_are_taken() {
    for setup in all() {
        let stream = setup.frames(&[
            (TEXT_1, b"\0"),
            (BINARY_1, b"\0"),
            (0x40 | BINARY, b""),
            (FIN | PING, b"p"),
            (CONTINUATION, HELLO),
            (FIN, b""),
            (FIN | TEXT, b""),
        ]);
        let outcome = setup.decode(&stream);
        assert_eq!(outcome.received, [text(""), binary(b""), binary(b"Hello"), text("")]);
        assert_eq!(outcome.sent, [(FIN | PONG, b"p".to_vec())]);
    }
}

#[test]
fn reserved_bits_have_a_meaning_in_the_first_frame_of_a_message_alone() {
    for setup in all() {
        for (frames, bits) in [
            (&[(0x40 | FIN | PING, &b""[..])][..], 0x40),
            (&[(0x40 | FIN | CLOSE, b"")], 0x40),
            (&[(0x40, b"")], 0x40),
            (&[(0x20 | FIN | TEXT, b"")], 0x20),
            (&[(0x50 | FIN | TEXT, b"")], 0x50),
        ] {
            setup.refuses(&setup.frames(frames)[..1], &Violation::ReservedBits { bits });
        }
        for second in [0x40 | FIN, 0x40] {
            let mut stream = setup.frames(&[(TEXT, b"a")]);
            stream.push(second);
            setup.refuses(&stream, &Violation::ReservedBits { bits: 0x40 });
        }
    }
    for setup in both() {
        setup.refuses(&[TEXT_1], &Violation::ReservedBits { bits: 0x40 });
    }
}

#[test]
fn bytes_that_are_no_stream_are_refused() {
    for setup in all() {
        for bytes in [
            // A block of a type that does not exist, a length that does not match, a distance before the start.
            &b"\x06"[..],
            b"\x00\x05\x00\xfa\xfe",
            b"\xf2\x00\x11",
        ] {
            let mut stream = setup.frame(BINARY_1, bytes);
            stream.extend(setup.frame(FIN | TEXT, b"after"));
            let outcome = setup.run(&stream, [stream.len()]);
            let violation = Violation::NotDeflated;
            assert_eq!(outcome.received, [Received::Closed(Closed::Violation(violation))]);
            assert_eq!(outcome.sent, [(FIN | CLOSE, 1007u16.to_be_bytes().to_vec())]);
        }
    }
}

#[test]
fn text_is_validated_once_it_is_inflated() {
    let text_of = "\u{20ac}\u{1f600}".repeat(9_000);
    let pieces: Vec<&[u8]> = text_of.as_bytes().chunks(7_001).collect();
    for setup in all() {
        let payload = deflated(&pieces);
        let outcome = setup.run(&setup.frame(TEXT_1, &payload), [usize::MAX]);
        assert_eq!(outcome.received, [text(&text_of)]);
        for (bytes, at) in [(&b"abc\xff"[..], 3), (b"\xe2\x82", 0), (b"a\xf0\x9f\x98", 1)] {
            setup
                .refuses(&setup.frame(TEXT_1, &deflated(&[bytes])), &Violation::InvalidUtf8 { at });
        }
    }
}

#[test]
fn message_is_cut_at_the_limit_while_it_is_inflated() {
    let max = 100_000;
    for setup in all().map(|setup| Setup { max_message: max, ..setup }) {
        for (len, fits) in [(max, true), (max + 1, false), (50 * max, false)] {
            let bomb = deflated(&[&vec![0; len]]);
            let mut stream = setup.frame(BINARY_1, &bomb);
            stream.extend(setup.frame(FIN | TEXT, b"after"));
            for step in [1, 1000, stream.len()] {
                let mut tested = Tested::new(&setup);
                for piece in stream.chunks(step) {
                    tested.read(piece);
                    assert!(tested.socket.fragments.capacity() <= 2 * max);
                }
                let outcome = tested.outcome();
                if fits {
                    assert_eq!(outcome.received, [binary(&vec![0; max]), text("after")]);
                    continue;
                }
                let violation = Violation::TooBig { size: max as u64 + 1, max };
                assert_eq!(outcome.received, [Received::Closed(Closed::Violation(violation))]);
                assert_eq!(outcome.sent, [(FIN | CLOSE, 1009u16.to_be_bytes().to_vec())]);
            }
        }
    }
}

#[test]
fn empty_blocks_without_end_are_refused_and_so_are_their_frames() {
    for setup in all().map(|setup| Setup { max_message: 100, ..setup }) {
        let most = 2 * 100 + 1024;
        // Stored blocks of five bytes with nothing in them.
        let empty = b"\x00\x00\x00\xff\xff".repeat(200);
        let mut stream = setup.frame(0x40 | BINARY, &empty);
        let outcome = setup.run(&stream, [stream.len()]);
        assert_eq!(outcome.received, []);
        let mut head = setup.frame(CONTINUATION, &vec![0; most - empty.len() + 1]);
        head.truncate(if setup.masks() { 4 } else { 8 });
        stream.extend(head);
        let size = most as u64 + 1;
        let outcome = setup.run(&stream, [stream.len()]);
        let violation = Violation::TooBig { size, max: 100 };
        assert_eq!(outcome.received, [Received::Closed(Closed::Violation(violation))]);
    }
}

#[test]
fn streams_that_end_in_the_middle_of_a_message_are_one_behind_the_other() {
    let ended = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
    for setup in all() {
        let payload = [&ended.repeat(3)[..], b"\0"].concat();
        let outcome = setup.decode(&setup.frame(TEXT_1, &payload));
        assert_eq!(outcome.received, [text("HelloHelloHello")]);
    }
}

#[test]
fn message_that_ends_its_stream_leaves_nothing_to_the_next() {
    // Without the empty block of section 7.2.3.4, as many libraries write it.
    let ended = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
    for setup in all() {
        let stream = setup.frames(&[
            (TEXT_1, ended),
            (TEXT_1, HELLO),
            (0x40 | TEXT, ended),
            (FIN, b""),
            (TEXT_1, b""),
            (TEXT_1, HELLO),
        ]);
        let outcome = setup.decode(&stream);
        let hello = || text("Hello");
        assert_eq!(outcome.received, [hello(), hello(), hello(), text(""), hello()]);
    }
}

#[test]
fn compressed_message_is_discarded_once_our_close_is_out() {
    for setup in all() {
        let mut tested = Tested::new(&setup);
        tested.socket.close(None, "", &mut tested.out);
        tested.read(&setup.frames(&[(TEXT_1, b"\x06\x06"), (FIN | CLOSE, b"")]));
        assert_eq!(tested.outcome().received, [closed_by_peer(None, "")]);
    }
}

#[test]
fn no_context_is_kept_between_messages_unless_that_was_agreed_on() {
    for (options, kept) in [(alone(), false), (options(), true)] {
        for setup in agreed(&options) {
            let mut tested = Tested::new(&setup);
            let stream = setup.frames(&[(0x40 | TEXT, &HELLO[..3]), (FIN, &HELLO[3..])]);
            let (first, second) = stream.split_at(stream.len() / 2);
            tested.read(first);
            written(&mut tested, &[frame("a".repeat(100))]);
            assert_eq!(tested.contexts(), [kept, true]);
            tested.read(second);
            assert_eq!(tested.contexts(), [kept, kept]);
            // Another connection of the thread takes what was left.
            let before = tested.arena.codecs.made();
            let mut next = Tested::new(&setup);
            next.arena = tested.arena;
            next.read(&setup.frame(TEXT_1, HELLO));
            written(&mut next, &[frame("a".repeat(100))]);
            if !kept {
                assert_eq!((before, next.arena.codecs.made()), ([1, 1], [1, 1]));
            }
        }
    }
}

#[test]
fn first_fragment_without_data_holds_no_inflater() {
    for setup in all() {
        let mut tested = Tested::new(&setup);
        tested.read(&setup.frames(&[(0x40 | TEXT, b""), (CONTINUATION, b"")]));
        assert_eq!((tested.contexts()[1], tested.arena.codecs.made()[1]), (false, 0));
        tested.read(&setup.frame(FIN, HELLO));
        tested.read(&setup.frames(&[(0x40 | TEXT, b""), (FIN, b"")]));
        assert_eq!(tested.outcome().received, [text("Hello"), text("")]);
    }
}

impl Tested {
    /// Whether contexts are kept of our messages and of the peer's.
    fn contexts(&self) -> [bool; 2] {
        self.socket.extension.as_ref().unwrap().contexts()
    }
}

/// What the peer of a socket receives.
fn received_by_peer(setup: &Setup, options: &PerMessageDeflate, frames: &[Frame]) -> Vec<Received> {
    let mut tested = Tested::new(setup);
    for frame in frames {
        tested.socket.write_frame(frame, &mut tested.arena, &mut tested.out);
    }
    let bytes = tested.out.copy_to_bytes(tested.out.remaining());
    let [server, client] = agreed(options);
    let mut peer = Tested::new(if tested.masked { &server } else { &client });
    for piece in bytes.chunks(1000) {
        peer.read(piece);
    }
    peer.received
}

#[test]
fn peer_inflates_what_was_compressed() {
    let messages: Vec<Message> = vec![
        Message::from("a"),
        Message::from(""),
        Message::from("chat message ".repeat(500)),
        Message::from(vec![7u8; 100_000]),
        Message::from(random(200_000)),
        Message::from("chat message ".repeat(400)),
    ];
    let expected: Vec<_> = messages
        .iter()
        .map(|message| match message {
            Message::Text(it) => text(&["4", it].concat()),
            Message::Binary(it) => binary(it),
        })
        .collect();
    for bits in [9, 10, 12, 15] {
        for level in [1, 6, 9] {
            for mut options in [options(), alone()] {
                options.level = level;
                options.server_max_window_bits = bits;
                options.client_max_window_bits = bits;
                for setup in agreed(&options) {
                    let frames: Vec<_> = messages.iter().cloned().map(frame).collect();
                    assert_eq!(received_by_peer(&setup, &options, &frames), expected);
                    let shared = |message: &Message| frame(Encoded::shared(message.clone()));
                    let frames: Vec<_> = messages.iter().map(shared).collect();
                    assert_eq!(received_by_peer(&setup, &options, &frames), expected);
                }
            }
        }
    }
}

#[test]
fn message_is_compressed_from_the_threshold_on_if_that_makes_it_shorter() {
    let mut options = alone();
    options.threshold = 100;
    for setup in agreed(&options) {
        let mut tested = Tested::new(&setup);
        // The type of the packet is a part of the message.
        let frames = [frame("a".repeat(98)), frame("a".repeat(99)), frame("a".repeat(1000))];
        let firsts = written(&mut tested, &frames).into_iter().map(|(first, _)| first);
        assert_eq!(firsts.collect::<Vec<_>>(), [FIN | TEXT, TEXT_1, TEXT_1]);
        let random = random(200);
        let frames = [frame(&random[..]), frame(Encoded::shared(&random[..]))];
        for (first, payload) in written(&mut tested, &frames) {
            assert_eq!((first, payload), (FIN | BINARY, random.clone()));
        }
    }
}

#[test]
fn messages_are_alike_without_a_context_and_shorter_with_one() {
    let message: String =
        (0..200u32).map(|n| char::from(b'a' + u8::try_from(n * n % 23).unwrap())).collect();
    for (options, alike) in [(alone(), true), (options(), false)] {
        for setup in agreed(&options) {
            let mut tested = Tested::new(&setup);
            let sent = written(&mut tested, &[frame(&*message), frame(&*message)]);
            assert_eq!(sent[0].1 == sent[1].1, alike);
            assert!(alike || sent[1].1.len() < 20, "{}", sent[1].1.len());
        }
    }
}

#[test]
fn message_for_many_is_compressed_once() {
    let message = Encoded::shared("chat message ".repeat(2_000));
    let [setup, _] = agreed(&alone());
    let mut tested = Tested::new(&setup);
    let other = Setup {
        compression: DeflateParameters::accept(
            &alone(),
            [&b"permessage-deflate; server_max_window_bits=10"[..]].into_iter(),
        )
        .map(|(agreed, _)| agreed),
        ..server()
    };
    let first = written(&mut tested, &[frame(message.clone())]);
    assert_eq!(tested.arena.codecs.made(), [1, 0]);
    // A thread that has compressed nothing yet, and needs not.
    let mut next = Tested::new(&setup);
    assert_eq!(written(&mut next, &[frame(message.clone())]), first);
    assert_eq!(next.arena.codecs.made(), [0, 0]);
    // Another window, and another prefix, are another form.
    let mut next = Tested::new(&other);
    assert_ne!(written(&mut next, &[frame(message.clone())]), first);
    assert_eq!(next.arena.codecs.made(), [1, 0]);
    // A peer that has asked for less does not take the place of the others, even if it comes first.
    let message = Encoded::shared("chat message ".repeat(2_000));
    for (setup, made) in [(&other, 1), (&setup, 1), (&setup, 0)] {
        let mut next = Tested::new(setup);
        written(&mut next, &[frame(message.clone())]);
        assert_eq!(next.arena.codecs.made(), [made, 0]);
    }
}

#[test]
fn forms_of_one_message_do_not_get_mixed_up() {
    let message = Encoded::shared(vec![1u8; 300]);
    let [setup, _] = agreed(&alone());
    let limits = crate::Limits::default();
    for (revision, base64) in
        [(Revision::V4, false), (Revision::V3, false), (Revision::V4, true), (Revision::V3, true)]
    {
        let mut queue = crate::channel::Queue::default();
        queue.push_message(message.clone(), &limits).unwrap();
        let one = queue.pop_frame(revision, base64).unwrap();
        let mut plain = Vec::from_iter(one.prefix);
        plain.extend_from_slice(&one.payload);
        let seen = received_by_peer(&setup, &alone(), core::slice::from_ref(&one));
        let expected =
            if one.binary { binary(&plain) } else { text(core::str::from_utf8(&plain).unwrap()) };
        assert_eq!(seen, [expected], "{revision:?} {base64}");
    }
}

#[test]
fn message_that_must_not_be_compressed_and_packets_of_the_protocol_are_not() {
    for setup in all() {
        let mut tested = Tested::new(&setup);
        let secret = Encoded::new("a".repeat(2000)).without_compression();
        let frames = [
            frame(secret.clone()),
            frame(secret.into_shared()),
            encode_frame(Revision::V4, PacketRef::Ping(""), false),
            encode_frame(Revision::V4, PacketRef::Open(&"a".repeat(2000)), false),
        ];
        for (first, _) in written(&mut tested, &frames) {
            assert_eq!(first, FIN | TEXT);
        }
    }
}

#[test]
fn nothing_is_compressed_for_a_window_that_zlib_does_not_have() {
    let offer = &b"permessage-deflate; server_max_window_bits=8"[..];
    let (agreed, _) = DeflateParameters::accept(&options(), [offer].into_iter()).unwrap();
    let setup = Setup { compression: Some(agreed), ..server() };
    let mut tested = Tested::new(&setup);
    assert_eq!(written(&mut tested, &[frame("a".repeat(2000))])[0].0, FIN | TEXT);
    assert_eq!(tested.read(&setup.frame(TEXT_1, HELLO)), 1);
}

#[test]
fn nothing_is_written_once_closing() {
    for setup in all() {
        let mut tested = Tested::new(&setup);
        tested.socket.close(None, "", &mut tested.out);
        assert_eq!(written(&mut tested, &[frame("a".repeat(2000))]).len(), 1);
    }
}
