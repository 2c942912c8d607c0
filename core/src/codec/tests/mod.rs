//! Frames and payloads: the reference's own vectors, every rule of decoding, round trips.

mod frames;
mod payloads;

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{Message, Revision};

const FORMS: [PayloadForm; 3] = [PayloadForm::V4, PayloadForm::V3Text, PayloadForm::V3Binary];

fn text(text: &str) -> Packet {
    Packet::Message(text.into())
}

fn binary(bytes: &[u8]) -> Packet {
    Packet::Message(bytes.into())
}

fn payload(form: PayloadForm, packets: &[Packet]) -> Bytes {
    let mut encoder = PayloadEncoder::new(form, usize::MAX);
    for packet in packets {
        assert!(encoder.push(packet.into()));
    }
    encoder.finish()
}

fn decode(form: PayloadForm, body: impl AsRef<[u8]>) -> Vec<Result<Packet, DecodeError>> {
    PayloadDecoder::new(form, Bytes::copy_from_slice(body.as_ref()), usize::MAX).collect()
}

fn all(form: PayloadForm, body: impl AsRef<[u8]>) -> Vec<Packet> {
    decode(form, body).into_iter().collect::<Result<_, _>>().unwrap()
}

/// The packets before the fault, and the fault.
fn faulty(form: PayloadForm, body: impl AsRef<[u8]>) -> (Vec<Packet>, usize, DecodeErrorKind) {
    let mut results = decode(form, body);
    let error = results.pop().unwrap().unwrap_err();
    let packets: Vec<_> = results.into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(error.packet(), packets.len());
    (packets, error.at(), error.kind().clone())
}

/// The message of `frame` as bytes.
fn bytes_of(frame: &Frame) -> Vec<u8> {
    frame.prefix.iter().copied().chain(frame.payload.iter().copied()).collect()
}

fn decode_frame(revision: Revision, frame: &Frame) -> Packet {
    let bytes = Bytes::from(bytes_of(frame));
    assert_eq!(bytes.len(), frame.len());
    if frame.binary {
        decode_binary(revision, bytes).unwrap()
    } else {
        decode_text(revision, Text::from_utf8(bytes).unwrap()).unwrap()
    }
}

mod vectors_of_the_reference {
    use super::*;

    fn packets() -> [Packet; 3] {
        [text("€"), text("😀"), binary(&[1, 2, 3, 4])]
    }

    fn both_ways(form: PayloadForm, body: &[u8]) {
        assert_eq!(payload(form, &packets()), body);
        assert_eq!(all(form, body), packets());
    }

    #[test]
    fn payload_of_revision_4() {
        both_ways(PayloadForm::V4, "4€\x1e4😀\x1ebAQIDBA==".as_bytes());
    }

    #[test]
    fn text_payload_of_revision_3() {
        both_ways(PayloadForm::V3Text, "2:4€3:4😀10:b4AQIDBA==".as_bytes());
    }

    #[test]
    fn binary_payload_of_revision_3() {
        both_ways(
            PayloadForm::V3Binary,
            b"\x00\x04\xff\x34\xe2\x82\xac\
              \x00\x05\xff\x34\xf0\x9f\x98\x80\
              \x01\x05\xff\x04\x01\x02\x03\x04",
        );
    }

    #[test]
    fn binary_websocket_messages() {
        for (revision, bytes) in [(Revision::V4, &[1, 2, 3][..]), (Revision::V3, &[4, 1, 2, 3])] {
            let packet = binary(&[1, 2, 3]);
            let frame = encode_frame(revision, (&packet).into(), false);
            assert!(frame.binary);
            assert_eq!(bytes_of(&frame), bytes);
            assert_eq!(decode_binary(revision, Bytes::from_static(bytes)), Some(packet));
        }
    }

    #[test]
    fn base64_websocket_messages() {
        for (revision, bytes) in [(Revision::V4, "bAQIDBA=="), (Revision::V3, "b4AQIDBA==")] {
            let packet = binary(&[1, 2, 3, 4]);
            let frame = encode_frame(revision, (&packet).into(), true);
            assert!(!frame.binary);
            assert_eq!(bytes_of(&frame), bytes.as_bytes());
            assert_eq!(decode_text(revision, Text::from_static(bytes)), Ok(packet));
        }
    }
}

#[test]
fn one_packet_more_than_allowed_is_an_error() {
    for form in FORMS {
        let body = payload(form, &vec![Packet::Noop; 3]);
        let count = |max| {
            let results: Vec<_> = PayloadDecoder::new(form, body.clone(), max).collect();
            let packets = results.iter().filter(|result| result.is_ok()).count();
            (packets, results.into_iter().find_map(Result::err))
        };
        assert_eq!(count(3), (3, None));
        for max in [0, 2] {
            let (packets, error) = count(max);
            let error = error.unwrap();
            assert_eq!((packets, error.packet()), (max, max));
            assert_eq!(error.kind(), &DecodeErrorKind::TooManyPackets { max });
        }
    }
}

#[test]
fn content_types_are_those_of_the_reference() {
    assert_eq!(PayloadForm::V4.content_type(), "text/plain; charset=UTF-8");
    assert_eq!(PayloadForm::V3Text.content_type(), "text/plain; charset=UTF-8");
    assert_eq!(PayloadForm::V3Binary.content_type(), "application/octet-stream");
}

/// Text of every length of UTF-8, with runs long enough for the loops that take blocks.
fn any_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => prop::char::range('\0', '\x7f'),
        1 => prop::char::range('\u{80}', '\u{7ff}'),
        1 => prop::char::range('\u{800}', '\u{ffff}'),
        2 => prop::char::range('\u{10000}', '\u{10ffff}'),
    ];
    let length = prop_oneof![0usize..8, 25usize..40, 60usize..140];
    length
        .prop_flat_map(move |n| prop::collection::vec(character.clone(), n))
        .prop_map(String::from_iter)
}

/// Any packet, in text without the separator, which revision 4 has no escape for.
pub(super) fn packet_v4() -> impl Strategy<Value = Packet> {
    let data = || any_text().prop_map(|text| Text::from(text.replace('\x1e', "")));
    prop_oneof![
        data().prop_map(Packet::Open),
        Just(Packet::Close),
        data().prop_map(Packet::Ping),
        data().prop_map(Packet::Pong),
        Just(Packet::Upgrade),
        Just(Packet::Noop),
        data().prop_map(|text| Packet::Message(text.into())),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Packet::Message(bytes.into())),
    ]
}

fn packet_v3() -> impl Strategy<Value = Packet> {
    prop_oneof![packet_v4(), any_text().prop_map(|text| Packet::Message(text.into()))]
}

/// Bytes that come close to a payload, made of what payloads are made of.
fn nearly_a_payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        (0u8..12).prop_map(|byte| vec![byte]),
        (b'0'..=b'9').prop_map(|byte| vec![byte]),
        prop::sample::select(vec!["\x1e", ":", "b", "b4", "4", "=", "€", "😀", "2:4a", "0:"])
            .prop_map(|piece| piece.as_bytes().to_vec()),
        Just(vec![0xff]),
        Just(b"\x00\x02\xff4a".to_vec()),
        Just(b"\x01\x02\xff\x04\x00".to_vec()),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn payloads_of_revision_4_come_back(packets in prop::collection::vec(packet_v4(), 1..8)) {
        let body = payload(PayloadForm::V4, &packets);
        prop_assert_eq!(all(PayloadForm::V4, body), packets);
    }

    #[test]
    fn payloads_of_revision_3_come_back(packets in prop::collection::vec(packet_v3(), 0..8)) {
        for form in [PayloadForm::V3Text, PayloadForm::V3Binary] {
            let body = payload(form, &packets);
            prop_assert_eq!(all(form, body), &packets[..]);
        }
    }

    #[test]
    fn lengths_of_revision_3_are_those_of_javascript(text in any_text()) {
        let packet = Packet::Message(text.as_str().into());
        let body = payload(PayloadForm::V3Text, &[packet]);
        let expected = format!("{}:4{text}", 1 + text.encode_utf16().count());
        prop_assert_eq!(body, expected);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn frames_come_back(packet in packet_v3()) {
        for revision in [Revision::V3, Revision::V4] {
            for base64 in [false, true] {
                let frame = encode_frame(revision, (&packet).into(), base64);
                prop_assert!(!(base64 && frame.binary));
                prop_assert_eq!(&decode_frame(revision, &frame), &packet);
            }
        }
    }

    #[test]
    fn shared_messages_are_encoded_like_others(bytes: Vec<u8>, base64: bool) {
        let encoded = crate::Encoded::shared(&bytes[..]);
        let shared = PacketRef::Message(encoded.part(0).unwrap());
        let message = Message::from(bytes);
        let alone = PacketRef::Message((&message).into());
        for revision in [Revision::V3, Revision::V4] {
            prop_assert_eq!(
                encode_frame(revision, shared, base64),
                encode_frame(revision, alone, base64)
            );
        }
        for form in FORMS {
            let mut encoders = [PayloadEncoder::new(form, 0), PayloadEncoder::new(form, 0)];
            prop_assert!(encoders[0].push(shared) && encoders[1].push(alone));
            let [first, second] = encoders.map(PayloadEncoder::finish);
            prop_assert_eq!(first, second);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn a_payload_takes_exactly_what_fits(
        packets in prop::collection::vec(packet_v3(), 1..12),
        max in 0usize..500,
    ) {
        for form in FORMS {
            let mut encoder = PayloadEncoder::new(form, max);
            let mut taken = Vec::new();
            for packet in &packets {
                let fits = encoder.push(packet.into());
                taken.push(packet.clone());
                let length = payload(form, &taken).len();
                prop_assert_eq!(fits, taken.len() == 1 || length <= max);
                if !fits {
                    taken.pop();
                }
            }
            prop_assert_eq!(encoder.finish(), payload(form, &taken));
        }
    }

    #[test]
    fn any_body_is_decoded_without_a_panic_and_ends_at_the_first_fault(
        body in nearly_a_payload(),
        max in 0usize..10,
    ) {
        for form in FORMS {
            let mut decoder = PayloadDecoder::new(form, body.clone().into(), max);
            let mut packets = 0;
            while let Some(result) = decoder.next() {
                if let Err(error) = result {
                    prop_assert_eq!(error.packet(), packets);
                    prop_assert!(error.at() <= body.len());
                    prop_assert_eq!(decoder.next(), None);
                    break;
                }
                packets += 1;
            }
            prop_assert!(packets <= max);
        }
    }

    #[test]
    fn a_payload_cut_short_gives_what_came_before_the_cut(
        packets in prop::collection::vec(packet_v4(), 1..6),
        cut: prop::sample::Index,
    ) {
        for form in FORMS {
            let body = payload(form, &packets);
            let cut = cut.index(body.len());
            let found = decode(form, &body[..cut]);
            let whole = found.iter().take_while(|result| result.is_ok()).count();
            let sure = whole - usize::from(form == PayloadForm::V4 && whole > 0);
            let found: Vec<_> = found.into_iter().take(sure).map(Result::unwrap).collect();
            prop_assert_eq!(&found[..], &packets[..sure]);
        }
    }
}
