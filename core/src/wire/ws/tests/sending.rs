//! Sections 5.1 and 6.1: what we send.

use super::*;

fn sent(setup: &Setup, act: impl FnOnce(&mut WebSocket, &mut Output)) -> Vec<u8> {
    let mut socket = setup.socket();
    let mut out = Output::new();
    act(&mut socket, &mut out);
    out.copy_to_bytes(out.remaining()).to_vec()
}

#[test]
fn a_server_sends_the_frames_of_section_5_7() {
    let sent = sent(&server(), |socket, out| socket.write(false, None, &Bytes::from("Hello"), out));
    assert_eq!(sent, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
}

#[test]
fn frames_of_all_lengths_are_what_the_specification_draws() {
    for len in [0, 1, 124, 125, 126, 127, 128, 8191, 8192, 65534, 65535, 65536] {
        let payload = Bytes::from(vec![b'*'; len]);
        for (prefix, binary) in [(None, true), (Some(b'4'), false), (Some(b'b'), false)] {
            let whole = [prefix.as_slice(), &payload].concat();
            let first = FIN | if binary { BINARY } else { TEXT };
            let write = |setup: &Setup| {
                sent(setup, |socket, out| socket.write(binary, prefix, &payload, out))
            };
            assert_eq!(write(&server()), raw(first, &whole, None));
            let by_client = write(&client());
            assert_eq!(by_client.len(), raw(first, &whole, Some(MASK)).len());
            assert_eq!(unframe(&by_client, true), [(first, whole)]);
        }
    }
}

#[test]
fn a_large_payload_of_a_server_is_shared_not_copied() {
    let payload = Bytes::from(vec![1; 100_000]);
    let mut out = Output::new();
    server().socket().write(true, Some(4), &payload, &mut out);
    out.advance(11);
    assert_eq!(out.chunk().as_ptr(), payload.as_ptr());
}

#[test]
fn a_client_masks_each_frame_anew() {
    let sent = sent(&client(), |socket, out| {
        for _ in 0..20 {
            socket.write(true, None, &Bytes::from_static(&[0; 4]), out);
        }
        socket.ping(&[0; 4], out);
        socket.close(Some(1000), "", out);
    });
    let masks: alloc::collections::BTreeSet<_> =
        sent.chunks(10).map(|frame| <[u8; 4]>::try_from(&frame[2..6]).unwrap()).collect();
    assert_eq!(masks.len(), 22);
    let stream_of_zeros = sent[..200].chunks(10).all(|frame| frame[2..6] == frame[6..10]);
    assert!(stream_of_zeros, "the mask is visible through a payload of zeros");
}

#[test]
fn a_ping_carries_its_data_up_to_125_bytes() {
    for setup in both() {
        for (len, carried) in [(0, 0), (5, 5), (125, 125), (126, 125), (1000, 125)] {
            let sent = sent(&setup, |socket, out| socket.ping(&vec![7; len], out));
            assert_eq!(unframe(&sent, setup.masks()), [(FIN | PING, vec![7; carried])]);
        }
    }
}

#[test]
fn a_close_carries_a_code_and_a_reason_that_fit() {
    let euros = "€".repeat(50);
    for setup in both() {
        for (code, reason, carried) in [
            (None, "", None),
            (None, "no code, no reason", None),
            (Some(1000), "", Some("")),
            (Some(4321), "bye", Some("bye")),
            (Some(1000), euros.as_str(), Some(&euros[..123])),
            (Some(1000), &format!("a{euros}"), Some(&format!("a{}", &euros[..120])[..])),
            (Some(1005), "only local", None),
            (Some(1006), "only local", None),
            (Some(999), "unassigned", None),
        ] {
            let sent = sent(&setup, |socket, out| socket.close(code, reason, out));
            let payload = match (code, carried) {
                (Some(code), Some(carried)) => [&code.to_be_bytes(), carried.as_bytes()].concat(),
                _ => Vec::new(),
            };
            assert_eq!(unframe(&sent, setup.masks()), [(FIN | CLOSE, payload)]);
        }
    }
}

#[test]
fn every_violation_says_what_is_wrong() {
    for (violation, said) in [
        (
            Violation::ReservedBits { bits: 0x40 },
            "reserved bits 0x40 are set in a frame where no extension gives them a meaning",
        ),
        (Violation::ReservedOpcode { opcode: 11 }, "a frame has the reserved opcode 0xb"),
        (
            Violation::TooBig { size: 11, max: 10 },
            "a message has 11 bytes or more, the limit is 10",
        ),
        (Violation::InvalidUtf8 { at: 3 }, "a text message is not UTF-8 from its byte 3 on"),
    ] {
        assert_eq!(alloc::string::ToString::to_string(&violation), said);
    }
}
