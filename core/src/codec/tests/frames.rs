//! One packet per WebSocket message, rule by rule.

use alloc::format;

use super::*;

fn kind(revision: Revision, text: &'static str) -> (usize, DecodeErrorKind) {
    let error = decode_text(revision, Text::from_static(text)).unwrap_err();
    assert_eq!(error.packet(), 0);
    (error.at(), error.kind().clone())
}

#[test]
fn a_type_alone_is_a_packet_without_data() {
    for revision in [Revision::V3, Revision::V4] {
        for (bytes, packet) in [
            ("0", Packet::Open(Text::EMPTY)),
            ("1", Packet::Close),
            ("2", Packet::Ping(Text::EMPTY)),
            ("3", Packet::Pong(Text::EMPTY)),
            ("4", text("")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
        ] {
            let frame = encode_frame(revision, (&packet).into(), false);
            assert_eq!(frame.len(), 1);
            assert_eq!(bytes_of(&frame), bytes.as_bytes());
            assert_eq!(decode_text(revision, Text::from_static(bytes)), Ok(packet));
        }
    }
}

#[test]
fn data_follow_the_type_and_are_dropped_where_they_mean_nothing() {
    for revision in [Revision::V3, Revision::V4] {
        for (bytes, packet) in [
            ("0{}", Packet::Open("{}".into())),
            ("2probe", Packet::Ping("probe".into())),
            ("3probe", Packet::Pong("probe".into())),
            ("2€", Packet::Ping("€".into())),
            ("4\x1e😀", text("\x1e😀")),
            ("1x", Packet::Close),
            ("5x", Packet::Upgrade),
            ("6x", Packet::Noop),
        ] {
            assert_eq!(decode_text(revision, Text::from_static(bytes)), Ok(packet));
        }
    }
}

#[test]
fn payloads_are_neither_copied_in_nor_out() {
    let body = Bytes::from_static(b"4hello");
    let found = decode_text(Revision::V4, Text::from_utf8(body.clone()).unwrap()).unwrap();
    let Packet::Message(message) = &found else { panic!("a message") };
    assert_eq!(message.payload().as_ptr(), body[1..].as_ptr());
    let frame = encode_frame(Revision::V4, (&found).into(), false);
    assert_eq!(frame.payload.as_ptr(), body[1..].as_ptr());

    let body = Bytes::from_static(b"\x04hello");
    let found = decode_binary(Revision::V3, body.clone()).unwrap();
    let Packet::Message(message) = &found else { panic!("a message") };
    assert_eq!(message.payload().as_ptr(), body[1..].as_ptr());
    let frame = encode_frame(Revision::V3, (&found).into(), false);
    assert_eq!(frame.payload.as_ptr(), body[1..].as_ptr());
}

#[test]
fn a_broadcast_makes_its_base64_once_for_both_revisions() {
    let encoded = crate::Encoded::shared(&[1u8, 2, 3, 4][..]);
    let frame = |revision, encoded: &crate::Encoded| {
        encode_frame(revision, PacketRef::Message(encoded.part(0).unwrap()), true)
    };
    let v4 = frame(Revision::V4, &encoded);
    let v3 = frame(Revision::V3, &encoded.clone());
    assert_eq!((&v4.payload[..], &v3.payload[..]), (&b"AQIDBA=="[..], &b"4AQIDBA=="[..]));
    assert_eq!(v4.payload.as_ptr(), v3.payload[1..].as_ptr());
}

#[test]
fn without_a_known_type_it_is_no_packet() {
    for revision in [Revision::V3, Revision::V4] {
        assert_eq!(kind(revision, ""), (0, DecodeErrorKind::Empty));
        for bytes in ["7", "abc", " 4", "/", "€", "\u{0}"] {
            let expected = DecodeErrorKind::UnknownType(bytes.as_bytes()[0]);
            assert_eq!(kind(revision, bytes), (0, expected));
        }
    }
}

#[test]
fn base64_packets_of_revision_3_have_a_type_of_their_own() {
    let decode = |bytes| decode_text(Revision::V3, Text::from_static(bytes));
    assert_eq!(decode("b4AQID"), Ok(binary(&[1, 2, 3])));
    assert_eq!(decode("b4"), Ok(binary(&[])));
    assert_eq!(decode("b2cHJvYmU="), Ok(Packet::Ping(Text::EMPTY)));
    assert_eq!(decode("b6*"), Ok(Packet::Noop));
    assert_eq!(kind(Revision::V3, "b"), (1, DecodeErrorKind::Empty));
    assert_eq!(kind(Revision::V3, "b7"), (1, DecodeErrorKind::UnknownType(b'7')));
    assert_eq!(kind(Revision::V3, "b4AQ*D"), (4, DecodeErrorKind::InvalidBase64(b'*')));
}

#[test]
fn base64_packets_of_revision_4_are_messages() {
    let decode = |bytes| decode_text(Revision::V4, Text::from_static(bytes));
    assert_eq!(decode("b"), Ok(binary(&[])));
    assert_eq!(decode("bAQID"), Ok(binary(&[1, 2, 3])));
    assert_eq!(decode("bAQIDBA"), Ok(binary(&[1, 2, 3, 4])));
    assert_eq!(kind(Revision::V4, "bAQ D"), (3, DecodeErrorKind::InvalidBase64(b' ')));
    assert_eq!(kind(Revision::V4, "bAQIDB"), (6, DecodeErrorKind::TruncatedBase64));
}

#[test]
fn binary_messages_of_revision_4_have_no_type() {
    for bytes in [&b""[..], b"\x04", b"\xff\xff", b"4hello"] {
        let bytes = Bytes::from_static(bytes);
        let expected = Packet::Message(bytes.clone().into());
        assert_eq!(decode_binary(Revision::V4, bytes), Some(expected));
    }
}

#[test]
fn binary_messages_of_revision_3_start_with_the_number_of_their_type() {
    let decode = |bytes| decode_binary(Revision::V3, Bytes::from_static(bytes));
    assert_eq!(decode(b"\x04"), Some(binary(&[])));
    assert_eq!(decode(b"\x04\xff"), Some(binary(&[0xff])));
    assert_eq!(decode(b"\x02"), Some(Packet::Ping(Text::EMPTY)));
    assert_eq!(decode(b"\x02probe"), Some(Packet::Ping("probe".into())));
    assert_eq!(decode(b"\x03\xff"), Some(Packet::Pong(Text::EMPTY)));
    assert_eq!(decode(b"\x01x"), Some(Packet::Close));
    assert_eq!(decode(b"\x05"), Some(Packet::Upgrade));
    assert_eq!(decode(b"\x06"), Some(Packet::Noop));
}

#[test]
fn empty_and_unknown_binary_messages_of_revision_3_are_ignored() {
    for bytes in [&b""[..], b"\x07", b"4", b"\xff\x04"] {
        assert_eq!(decode_binary(Revision::V3, Bytes::from_static(bytes)), None);
    }
}

#[test]
fn length_of_a_frame_counts_its_prefix() {
    for (packet, base64, length) in [
        (text("ab"), false, 3),
        (text(""), false, 1),
        (Packet::Noop, false, 1),
        (binary(b"ab"), false, 2),
        (binary(b"ab"), true, 5),
        (binary(b""), false, 0),
    ] {
        let frame = encode_frame(Revision::V4, PacketRef::from(&packet), base64);
        assert_eq!(frame.len(), bytes_of(&frame).len());
        assert_eq!((frame.len(), frame.is_empty()), (length, length == 0), "{packet:?}");
    }
}

#[test]
fn content_types_are_those_of_the_reference() {
    let content_types = FORMS.map(PayloadForm::content_type);
    let text = "text/plain; charset=UTF-8";
    assert_eq!(content_types, [text, text, "application/octet-stream"]);
}

#[test]
fn a_handshake_is_not_shown_when_debugging() {
    let packet = PacketRef::Open("secret");
    let frame = encode_frame(Revision::V4, packet, false);
    let mut encoder = PayloadEncoder::new(PayloadForm::V4, 100);
    encoder.push(packet);
    let decoder = PayloadDecoder::new(PayloadForm::V4, Bytes::from_static(b"0secret"), 1);
    let chunk = stream::encode(packet);
    let mut stream = stream::Decoder::new(100);
    assert!(stream.decode(&mut &b"\x070sec"[..]).is_none());
    for (shown, begin) in [
        (format!("{:?}", Packet::Open("secret".into())), "Open(..)"),
        (format!("{packet:?}"), "Open(..)"),
        (format!("{frame:?}"), "Frame { binary: false, prefix: Some(48), payload_len: 6"),
        (format!("{encoder:?}"), "PayloadEncoder { form: V4, len: 7, max: 100"),
        (format!("{decoder:?}"), "PayloadDecoder { form: V4, len: 7, at: 0"),
        (format!("{chunk:?}"), "Chunk { head: [7, 48], payload_len: 6"),
        (format!("{stream:?}"), "Decoder { max: 100, packets: 0"),
    ] {
        assert!(shown.starts_with(begin), "{shown}");
        assert!(!shown.contains("sec") && !shown.contains("115"), "{shown}");
    }
}

#[test]
fn packets_without_a_secret_are_shown_with_their_data_when_debugging() {
    for (packet, shown) in [
        (Packet::Close, "Close"),
        (Packet::Ping("probe".into()), r#"Ping("probe")"#),
        (Packet::Pong("probe".into()), r#"Pong("probe")"#),
        (text("a"), r#"Message(Text("a"))"#),
        (binary(b"a"), r#"Message(Binary(b"a"))"#),
        (Packet::Upgrade, "Upgrade"),
        (Packet::Noop, "Noop"),
    ] {
        assert_eq!(format!("{packet:?}"), shown);
        let borrowed = format!("{:?}", PacketRef::from(&packet));
        let kind = shown.split('(').next().unwrap();
        assert!(borrowed.starts_with(kind), "{borrowed}");
    }
}
