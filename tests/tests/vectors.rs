//! The codec, held to what the reference parsers make of the same packets: `tests/vectors`, written by
//! `tests/js/vectors.mjs`, where the shape of the files is described.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use enginewire::{
    Message, Packet, Revision, Text,
    codec::{self, PacketRef, PayloadDecoder, PayloadEncoder, PayloadForm, stream},
};
use serde_json::Value;

fn cases(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert!(cases.len() > 50, "{} cases are not many", cases.len());
    cases
}

fn bytes(value: &Value) -> Bytes {
    STANDARD.decode(value.as_str().unwrap()).unwrap().into()
}

fn packet(value: &Value) -> Packet {
    let text = || Text::from(value["text"].as_str().unwrap_or_default());
    match value["type"].as_str().unwrap() {
        "open" => Packet::Open(text()),
        "close" => Packet::Close,
        "ping" => Packet::Ping(text()),
        "pong" => Packet::Pong(text()),
        "message" if value.get("base64").is_some() => {
            Packet::Message(Message::Binary(bytes(&value["base64"])))
        }
        "message" => Packet::Message(Message::Text(text())),
        "upgrade" => Packet::Upgrade,
        "noop" => Packet::Noop,
        other => panic!("no packet is called {other}"),
    }
}

fn packets(case: &Value) -> Vec<Packet> {
    case["packets"].as_array().unwrap().iter().map(packet).collect()
}

/// The packet that a frame, as the vectors write it, is decoded to.
fn decode_frame(revision: Revision, frame: &Value) -> Packet {
    match frame["text"].as_str() {
        Some(text) => codec::decode_text(revision, text.into()).unwrap(),
        None => codec::decode_binary(revision, bytes(&frame["base64"])).unwrap(),
    }
}

fn assert_frame(revision: Revision, packet: &Packet, base64: bool, expected: &Value) {
    let frame = codec::encode_frame(revision, PacketRef::from(packet), base64);
    let written: Vec<u8> = frame.prefix.into_iter().chain(frame.payload).collect();
    match expected["text"].as_str() {
        Some(text) => assert_eq!((frame.binary, &written[..]), (false, text.as_bytes())),
        None => assert_eq!((frame.binary, written), (true, bytes(&expected["base64"]).to_vec())),
    }
}

fn frames(revision: Revision, file: &str) {
    for case in cases(file) {
        let packet = packet(&case["packet"]);
        for (base64, key) in [(false, "frame"), (true, "base64Frame")] {
            assert_frame(revision, &packet, base64, &case[key]);
            assert_eq!(decode_frame(revision, &case[key]), packet, "{case}");
        }
    }
}

fn assert_payload(form: PayloadForm, packets: &[Packet], body: &[u8]) {
    let mut payload = PayloadEncoder::new(form, usize::MAX);
    for packet in packets {
        assert!(payload.push(PacketRef::from(packet)));
    }
    assert_eq!(payload.finish(), body, "{packets:?}");
    let decoded: Result<Vec<_>, _> =
        PayloadDecoder::new(form, Bytes::copy_from_slice(body), usize::MAX).collect();
    assert_eq!(decoded.as_deref(), Ok(packets));
}

#[test]
fn frames_of_revision_4() {
    frames(Revision::V4, include_str!("../vectors/v4-packets.json"));
}

#[test]
fn frames_of_revision_3() {
    frames(Revision::V3, include_str!("../vectors/v3-packets.json"));
}

#[test]
fn payloads_of_revision_4() {
    for case in cases(include_str!("../vectors/v4-payloads.json")) {
        let body = case["body"].as_str().unwrap();
        assert_payload(PayloadForm::V4, &packets(&case), body.as_bytes());
    }
}

#[test]
fn payloads_of_revision_3() {
    for case in cases(include_str!("../vectors/v3-payloads.json")) {
        let packets = packets(&case);
        let text = case["base64Body"].as_str().unwrap();
        assert_payload(PayloadForm::V3Text, &packets, text.as_bytes());
        assert_payload(PayloadForm::V3Binary, &packets, &bytes(&case["binaryBody"]));
    }
}

#[test]
fn the_stream_of_webtransport() {
    for case in cases(include_str!("../vectors/v4-stream.json")) {
        let (packets, expected) = (packets(&case), bytes(&case["base64"]));
        let mut written = Vec::new();
        for packet in &packets {
            let chunk = stream::encode(PacketRef::from(packet));
            written.extend_from_slice(chunk.head());
            written.extend_from_slice(chunk.payload());
        }
        assert_eq!(written, expected, "{case}");
        for step in [1, 7, expected.len()] {
            let mut decoder = stream::Decoder::new(usize::MAX);
            let mut decoded = Vec::new();
            for mut input in expected.chunks(step) {
                while let Some(packet) = decoder.decode(&mut input) {
                    decoded.push(packet.unwrap());
                }
            }
            assert_eq!(decoded, packets, "in steps of {step}");
        }
    }
}
