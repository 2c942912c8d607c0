//! One packet per WebSocket message. First byte: the revision, `3` or `4`. Rest: the message.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use enginewire::{
    Encoded, Message, Packet, Revision, Text,
    codec::{self, DecodeError, DecodeErrorKind, Frame, PacketRef},
};

use crate::{oracle, script::Script};

/// Takes the message as text and as binary. Whether the text is a packet; nearly all that is binary is.
pub fn run(data: &[u8]) -> bool {
    let mut script = Script::new(data);
    let revision = if script.byte() & 1 == 0 { Revision::V4 } else { Revision::V3 };
    let message = Bytes::copy_from_slice(script.rest());
    let text = Text::from_utf8(message.clone());
    binary_message(revision, &message);
    text.is_ok_and(|text| text_message(revision, &text))
}

/// Whether there is a packet in it.
fn text_message(revision: Revision, text: &Text) -> bool {
    let decoded = codec::decode_text(revision, text.clone());
    let expected = oracle::text_packet(revision, text);
    match &decoded {
        Ok(packet) => {
            assert_eq!(Some(packet), expected.as_ref());
            encodes_back(revision, packet);
            let written = concat(&codec::encode_frame(revision, PacketRef::from(packet), true));
            match packet {
                // These lose their data, which has no meaning, and their base64.
                Packet::Close | Packet::Upgrade | Packet::Noop => assert_eq!(written.len(), 1),
                _ if text.starts_with('b') => {}
                _ => assert_eq!(written, text.as_bytes()),
            }
        }
        Err(error) => {
            assert_eq!(expected, None, "{error}");
            assert_eq!(error.packet(), 0);
            has_a_place(error, text.as_bytes());
        }
    }
    decoded.is_ok()
}

fn binary_message(revision: Revision, bytes: &Bytes) {
    let packet = codec::decode_binary(revision, bytes.clone());
    assert_eq!(packet, oracle::binary_packet(revision, bytes));
    let Some(packet) = packet else { return };
    encodes_back(revision, &packet);
    if matches!(packet, Packet::Message(_)) {
        let frame = codec::encode_frame(revision, PacketRef::from(&packet), false);
        assert_eq!(concat(&frame), bytes);
    }
}

/// However a packet is encoded, it is decoded to itself.
fn encodes_back(revision: Revision, packet: &Packet) {
    for base64 in [false, true] {
        let frame = codec::encode_frame(revision, PacketRef::from(packet), base64);
        let is_binary = matches!(packet, Packet::Message(Message::Binary(_)));
        assert_eq!(frame.binary, is_binary && !base64);
        let bytes = concat(&frame);
        assert_eq!((frame.len(), frame.is_empty()), (bytes.len(), bytes.is_empty()));
        if frame.binary {
            assert_eq!(codec::decode_binary(revision, bytes.clone()).as_ref(), Some(packet));
        } else {
            let text = Text::from_utf8(bytes.clone()).expect("a text message is UTF-8");
            assert_eq!(codec::decode_text(revision, text).as_ref(), Ok(packet));
        }
        let Packet::Message(message) = packet else { continue };
        if let (Message::Binary(payload), true) = (message, base64) {
            let mark = if revision == Revision::V4 { "b" } else { "b4" };
            assert_eq!(bytes, format!("{mark}{}", STANDARD.encode(payload)));
        }
        // A copy that many peers share is encoded once and alike.
        let shared = Encoded::shared(message.clone());
        for encoded in [&shared, &shared.clone()] {
            let part = encoded.part(0).expect("it has one");
            assert_eq!(codec::encode_frame(revision, PacketRef::Message(part), base64), frame);
        }
    }
}

/// An error points into `bytes`, and at what it complains of.
pub(crate) fn has_a_place(error: &DecodeError, bytes: &[u8]) {
    let at = error.at();
    assert!(at <= bytes.len(), "{error}, of {}", bytes.len());
    match *error.kind() {
        DecodeErrorKind::UnknownType(byte) | DecodeErrorKind::InvalidBase64(byte) => {
            assert_eq!(bytes.get(at), Some(&byte), "{error}");
        }
        DecodeErrorKind::InvalidUtf8 => assert!(at < bytes.len(), "{error}"),
        DecodeErrorKind::InvalidEscape => assert_eq!(bytes.get(at), Some(&b'%'), "{error}"),
        _ => {}
    }
    assert!(!error.to_string().is_empty());
}

fn concat(frame: &Frame) -> Bytes {
    frame.prefix.into_iter().chain(frame.payload.iter().copied()).collect()
}
