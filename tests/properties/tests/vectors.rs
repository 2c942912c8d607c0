//! Everything that the reference parsers have written (`tests/vectors`) through the targets of the
//! codecs: the second opinion of fuzzing must agree with us on it, as `tests/tests/vectors.rs` holds
//! that we agree with the reference.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use enginewire_properties::{packets, payloads, stream};
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
