//! Everything that the reference parsers have written (`tests/vectors`) through the targets of the
//! codecs: the second opinion of fuzzing must agree with us on it, as `tests/tests/vectors.rs` holds
//! that we agree with the reference.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use enginewire_properties::{cluster_wire, packets, payloads, stream};
use serde_json::Value;

#[test]
fn packets_of_both_revisions() {
    for (revision, file) in [
        (b'4', include_str!("../../vectors/v4-packets.json")),
        (b'3', include_str!("../../vectors/v3-packets.json")),
    ] {
        for case in cases(file) {
            for frame in ["frame", "base64Frame"] {
                packets::run(&[&[revision], &*bytes(&case[frame])].concat());
            }
        }
    }
}

#[test]
fn payloads_of_both_revisions() {
    for case in cases(include_str!("../../vectors/v4-payloads.json")) {
        payload(b'4', case["body"].as_str().unwrap().as_bytes());
    }
    for case in cases(include_str!("../../vectors/v3-payloads.json")) {
        payload(b't', case["base64Body"].as_str().unwrap().as_bytes());
        payload(b'b', &base64(&case["binaryBody"]));
    }
}

#[test]
fn the_stream_of_webtransport() {
    for case in cases(include_str!("../../vectors/v4-stream.json")) {
        stream::run(&[b"\xff\xff\x07\x00\x01\x03", &*base64(&case["base64"])].concat());
    }
}

/// Every message for a node of its format, as it is, without its last byte, and with bits turned here and there.
#[test]
fn messages_of_clusters() {
    let file: Value = serde_json::from_str(include_str!("../../vectors/sio-cluster.json")).unwrap();
    let mut messages = 0;
    for (format, letter) in [
        ("classic", b'c'),
        ("emitter", b'c'),
        ("classic-response-channels", b'C'),
        ("sharded-static", b'0'),
        ("sharded-dynamic", b'1'),
        ("sharded-dynamic-private", b'2'),
        ("streams", b's'),
        ("postgres", b'h'),
    ] {
        for case in file["formats"][format]["sent"].as_array().unwrap() {
            let command = &case["commands"][0];
            let channel = command["channel"].as_str().unwrap_or_default();
            let (head, bytes) = match command["fields"]["data"].as_str() {
                Some(data) => {
                    let kind: u8 = command["fields"]["type"].as_str().unwrap().parse().unwrap();
                    (vec![letter, b'e', b'0' + kind], data.as_bytes().to_vec())
                }
                None => {
                    let channel = if channel.contains("-request#") { b'q' } else { b'/' };
                    let message = &command["message"];
                    let text = message.as_str().map(|text| text.as_bytes().to_vec());
                    (vec![letter, b'm', channel], text.unwrap_or_else(|| base64(&message["$bin"])))
                }
            };
            let give = |bytes: &[u8]| {
                let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                cluster_wire::run(&[&head, &length[..], bytes, b"faf+\x0b"].concat())
            };
            // The node is the one that has sent it, so it is given with another name.
            let other = replaced(&bytes, b"e8df9c78b44d8c04", b"f00dfeed00000000");
            let is_heard = format == "emitter" || head[1] == b'e';
            assert_eq!(give(&bytes), usize::from(is_heard), "{format} {case}");
            assert_eq!(give(&other), 1, "{format} {case}");
            give(&other[..other.len() - 1]);
            for at in (messages % 8..other.len()).step_by(8) {
                let mut changed = other.clone();
                changed[at] ^= 1 << (at % 8);
                give(&changed);
            }
            messages += 1;
        }
    }
    assert!(messages > 100, "{messages} messages are not many");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(from.len() - 1) {
        if bytes[at..].starts_with(from) {
            replaced[at..at + from.len()].copy_from_slice(to);
        }
    }
    replaced
}

/// Whole, with a limit for what is encoded that some bodies exceed, and with few packets allowed.
fn payload(form: u8, body: &[u8]) {
    for limits in [b"-\x00\x20", b"\x02\xff\xff"] {
        payloads::run(&[&[form], &limits[..], body].concat());
    }
}

fn cases(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert!(cases.len() > 50, "{} cases are not many", cases.len());
    cases
}

/// A text or a binary frame.
fn bytes(frame: &Value) -> Vec<u8> {
    frame["text"].as_str().map_or_else(|| base64(&frame["base64"]), |text| text.as_bytes().to_vec())
}

fn base64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}
