//! Polling bodies. First byte: the form, `4` (V4), `t` (V3Text) or `b` (V3Binary). Second byte: the
//! most packets, or `-` for no limit. Two bytes: the largest body that is encoded. Rest: the body.

use bytes::Bytes;
use enginewire::{
    Packet,
    codec::{DecodeErrorKind, PacketRef, PayloadDecoder, PayloadEncoder, PayloadForm},
};

use crate::{memory::Watch, oracle, packets::has_a_place, script::Script};

/// Decodes the body, and encodes what was in it: so many packets.
pub fn run(data: &[u8]) -> usize {
    let mut script = Script::new(data);
    let form = match script.byte() {
        b'4' => PayloadForm::V4,
        b't' => PayloadForm::V3Text,
        b'b' => PayloadForm::V3Binary,
        other => {
            [PayloadForm::V4, PayloadForm::V3Text, PayloadForm::V3Binary][usize::from(other % 3)]
        }
    };
    let max_packets = match script.byte() {
        b'-' => usize::MAX,
        max => max.into(),
    };
    let max_body = script.number();
    let body = Bytes::copy_from_slice(script.rest());

    holds_little(form, &body, max_packets);
    let packets = decode(form, &body, max_packets);
    let forms: &[_] = match form {
        PayloadForm::V4 => &[PayloadForm::V4],
        _ => &[PayloadForm::V3Text, PayloadForm::V3Binary],
    };
    for &form in forms {
        let encoded = encode(form, &packets);
        if !packets.is_empty() {
            assert_eq!(collect(form, &encoded), packets);
        }
        encode_in_pieces(form, &packets, max_body);
    }
    packets.len()
}

/// Decodes as the rules say, and tells where a fault is.
fn decode(form: PayloadForm, body: &Bytes, max_packets: usize) -> Vec<Packet> {
    let mut decoder = PayloadDecoder::new(form, body.clone(), max_packets);
    let mut packets = Vec::new();
    let mut error = None;
    for result in decoder.by_ref() {
        assert_eq!(error, None, "something comes behind a fault");
        match result {
            Ok(packet) => packets.push(packet),
            Err(found) => error = Some(found),
        }
    }
    assert!(decoder.next().is_none(), "it has ended");
    assert!(packets.len() <= max_packets);
    let (expected, faulty) = oracle::payload(form, body, max_packets);
    assert_eq!(packets, expected);
    assert_eq!(error.is_some(), faulty, "{error:?}");
    if let Some(error) = error {
        assert_eq!(error.packet(), packets.len());
        has_a_place(&error, body);
        match *error.kind() {
            DecodeErrorKind::Truncated { length, available } => {
                assert!(available < length && available <= body.len() as u64, "{error}");
            }
            // In binary bodies a length may cut a character that goes on behind it.
            DecodeErrorKind::InvalidUtf8 if form != PayloadForm::V3Binary => {
                let valid = std::str::from_utf8(body).map_err(|error| error.valid_up_to());
                assert_eq!(valid, Err(error.at()), "{error}");
            }
            _ => {}
        }
    }
    packets
}

/// No more than the base64 of one packet at a time is decoded into new memory.
fn holds_little(form: PayloadForm, body: &Bytes, max_packets: usize) {
    let watch = Watch::start();
    for result in PayloadDecoder::new(form, body.clone(), max_packets) {
        drop(result);
    }
    assert!(watch.peak() <= body.len() + 256, "{} bytes for {}", watch.peak(), body.len());
}

fn encode(form: PayloadForm, packets: &[Packet]) -> Bytes {
    let mut encoder = PayloadEncoder::new(form, usize::MAX);
    for packet in packets {
        assert!(encoder.push(PacketRef::from(packet)));
    }
    encoder.finish()
}

/// As many bodies as it takes: none over the limit, unless its only packet is, and none that had
/// room for the packet that the next begins with.
fn encode_in_pieces(form: PayloadForm, packets: &[Packet], max: usize) {
    let mut rest = packets;
    while !rest.is_empty() {
        let mut encoder = PayloadEncoder::new(form, max);
        let taken = rest.iter().take_while(|packet| encoder.push(PacketRef::from(*packet))).count();
        let body = encoder.finish();
        assert!(taken > 0 && (body.len() <= max || taken == 1));
        assert_eq!(collect(form, &body), rest[..taken]);
        if taken < rest.len() {
            assert!(encode(form, &rest[..=taken]).len() > max, "the next one had room");
        }
        rest = &rest[taken..];
    }
}

fn collect(form: PayloadForm, body: &Bytes) -> Vec<Packet> {
    let decoded: Result<_, _> = PayloadDecoder::new(form, body.clone(), usize::MAX).collect();
    decoded.expect("what was encoded can be decoded")
}
