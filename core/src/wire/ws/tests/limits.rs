//! Section 10.4: what a peer can make us hold.

use super::*;
use crate::wire::ws::Stage;

#[test]
fn a_socket_is_small() {
    assert!(size_of::<WebSocket>() <= 128, "{}", size_of::<WebSocket>());
}

#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
    assert_eq!(Violation::TooBig { size: 0, max: 0 }.code(), 1009);
    for setup in both() {
        for max_message in [0, 5, 124, 125, 1000, 65536] {
            let setup = Setup { max_message, ..setup.clone() };
            let payload = vec![1; max_message + 1];
            let stream = setup.frame(FIN | BINARY, &payload[1..]);
            assert_eq!(setup.decode(&stream).received, [binary(&payload[1..])]);
            let stream = setup.frame(FIN | BINARY, &payload);
            let size = payload.len() as u64;
            setup.refuses(&stream, &Violation::TooBig { size, max: max_message });
        }
    }
}

#[test]
fn the_limit_holds_for_the_sum_of_the_fragments() {
    for setup in both() {
        let setup = Setup { max_message: 1000, ..setup };
        let fits = [(TEXT, &[b'a'; 600][..]), (FIN | CONTINUATION, &[b'a'; 400])];
        let again = [setup.frames(&fits), setup.frames(&fits)].concat();
        assert_eq!(setup.decode(&again).received.len(), 2, "it starts anew with each message");
        let stream = setup.frames(&[(TEXT, &[b'a'; 600]), (FIN | CONTINUATION, &[b'a'; 401])]);
        setup.refuses(&stream, &Violation::TooBig { size: 1001, max: 1000 });
    }
}

#[test]
fn a_message_too_big_is_refused_by_its_head() {
    for size in [1001_u64, 1 << 32, (1 << 63) - 1] {
        let mut head = vec![FIN | BINARY, 0x80];
        if size < 65536 {
            head[1] |= 126;
            head.extend(u16::try_from(size).unwrap().to_be_bytes());
        } else {
            head[1] |= 127;
            head.extend(size.to_be_bytes());
        }
        head.extend(MASK);
        let setup = Setup { max_message: 1000, ..server() };
        setup.refuses(&head, &Violation::TooBig { size, max: 1000 });
    }
}

#[test]
fn control_frames_are_not_held_to_the_limit_of_messages() {
    for setup in both() {
        let setup = Setup { max_message: 0, max_fragments: 0, ..setup };
        let stream = setup.frames(&[(FIN | PING, &[1; 125]), (FIN | TEXT, b"")]);
        let outcome = setup.decode(&stream);
        assert_eq!(outcome.received, [text("")]);
        assert_eq!(outcome.sent, [(FIN | PONG, vec![1; 125])]);
    }
}

#[test]
fn the_number_of_fragments_is_bounded() {
    assert_eq!(Violation::TooManyFragments { max: 0 }.code(), 1008);
    for setup in both() {
        let setup = Setup { max_fragments: 3, ..setup };
        let three = setup.frames(&[
            (BINARY, b""),
            (CONTINUATION, b""),
            (FIN | PING, b""),
            (FIN | CONTINUATION, b"x"),
        ]);
        assert_eq!(setup.decode(&three.repeat(3)).received.len(), 3, "for each message anew");
        let four = setup.frames(&[
            (BINARY, b"a"),
            (CONTINUATION, b"b"),
            (CONTINUATION, b"c"),
            (CONTINUATION, b""),
        ]);
        setup.refuses(&four, &Violation::TooManyFragments { max: 3 });
    }
}

#[test]
fn what_is_only_announced_costs_nothing() {
    for setup in both() {
        let stream = setup.frame(FIN | BINARY, &[1; 1 << 20]);
        let head = stream.len() - (1 << 20);
        let mut tested = Tested::new(&setup);
        tested.read(&stream[..head]);
        assert_eq!(tested.socket.fragments.capacity(), 0);
        tested.read(&stream[head..head + 10]);
        assert!(tested.socket.fragments.capacity() <= 20);
    }
}

#[test]
fn storage_is_at_most_twice_what_has_come_and_never_more_than_will() {
    for setup in both() {
        let setup = Setup { max_fragments: usize::MAX, ..setup };
        for (fragment, step) in [(100_000, 1), (100_000, 777), (100_000, 65536), (1, 3), (1000, 50)]
        {
            let mut tested = Tested::new(&setup);
            let mut grown = 0;
            let mut capacity = 0;
            let payload = vec![b'a'; 100_000];
            let count = payload.len() / fragment;
            let stream: Vec<u8> = payload
                .chunks(fragment)
                .enumerate()
                .flat_map(|(i, piece)| {
                    let fin = if i + 1 == count { FIN } else { 0 };
                    setup.frame(fin | if i == 0 { TEXT } else { CONTINUATION }, piece)
                })
                .collect();
            for piece in stream.chunks(step) {
                tested.read(piece);
                let fragments = &tested.socket.fragments;
                grown += usize::from(fragments.capacity() > capacity);
                capacity = fragments.capacity();
                assert!(capacity <= 2 * fragments.len());
                assert!(capacity <= payload.len() || fragment < payload.len());
            }
            assert!(grown <= 18, "grew {grown} times: not in linear time");
            assert_eq!(tested.received, [text(core::str::from_utf8(&payload).unwrap())]);
            assert_eq!(tested.socket.fragments.capacity(), 0);
        }
    }
}

#[test]
fn nothing_is_held_between_messages() {
    for setup in both() {
        let stream = setup.frames(&[
            (BINARY, &[1; 3000]),
            (FIN | PING, b"ping"),
            (FIN | CONTINUATION, &[2; 10]),
        ]);
        let mut tested = Tested::new(&setup);
        stream.chunks(5).for_each(|piece| {
            tested.read(piece);
        });
        assert_eq!(tested.received.len(), 1);
        let WebSocket { fragments, control, stage, .. } = &tested.socket;
        assert_eq!((fragments.capacity(), control.capacity()), (0, 0));
        assert!(matches!(stage, Stage::Head { len: 0, .. }));
    }
}

#[test]
fn nothing_is_held_after_the_end() {
    for setup in both() {
        let mut tested = Tested::new(&setup);
        tested.read(&setup.frame(BINARY, &[1; 3000]));
        tested.read(&setup.frame(FIN | CLOSE, b"")[..2]);
        tested.socket.handle_eof();
        assert_eq!(tested.socket.fragments.capacity(), 0);
        assert!(tested.socket.masks.is_none());
    }
}

#[test]
fn a_large_message_pins_no_more_than_itself() {
    // Into a vector without a copy means that nothing else holds or surrounds the bytes.
    for setup in both() {
        for step in [usize::MAX, 1000] {
            let stream = setup.frames(&[
                (BINARY, &[1; 3000]),
                (CONTINUATION, &[2; 100]),
                (FIN | CONTINUATION, b""),
            ]);
            let mut tested = Tested::new(&setup);
            stream.chunks(step.min(stream.len())).for_each(|piece| {
                tested.read(piece);
            });
            let Some(Received::Message(Message::Binary(bytes))) = tested.received.pop() else {
                panic!("no message");
            };
            let bytes = Vec::from(bytes);
            assert_eq!((bytes.len(), bytes.capacity()), (3100, 3100));
        }
    }
}

#[test]
fn debug_shows_neither_payload_nor_secret() {
    let mut tested = Tested::new(&client());
    tested.read(&client().frame(TEXT, b"0{\"sid\":\"secret\""));
    let shown = format!("{:?} {:?}", tested.socket, client().role);
    assert_eq!(shown, "WebSocket { state: Open, buffered: 16, .. } Client");
}
