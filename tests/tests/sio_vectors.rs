//! The parsers of Socket.IO, held to what the reference's make of the same packets: `tests/vectors`, written by
//! `tests/js/sio-vectors.mjs`, where the shape of the files is described.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use enginewire_socketio::{Packet, PacketData, parser::msgpack};
use serde_json::{Map, Value, json};

const MESSAGE_PACK: &str = include_str!("../vectors/sio-msgpack.json");

fn cases(file: &str, list: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file[list].as_array().unwrap().clone();
    assert!(cases.len() > 50, "{} cases are not many", cases.len());
    cases
}

fn binary(chunk: &Value) -> Option<Bytes> {
    chunk["$bin"].as_str().map(|base64| STANDARD.decode(base64).unwrap().into())
}

/// Whether two values are one in JavaScript, where all numbers are floats.
///
/// The vectors' own are read by serde_json, which is off by one unit in the last place at times. Ours are held to their
/// exact bytes elsewhere.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (a - b).abs() <= a.abs() * f64::EPSILON
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let is_in_b = |(name, a)| b.get(name).is_some_and(|b| is_same(a, b));
            a.len() == b.len() && a.iter().all(is_in_b)
        }
        _ => a == b,
    }
}

/// The packet as the vectors have it, by a reader of MessagePack that knows no more than our writer's forms.
fn plain(packet: &Packet) -> Value {
    let bytes = msgpack::encode(packet);
    let mut rest = &bytes[..];
    let plain = plain_value(&mut rest).unwrap();
    assert!(rest.is_empty());
    plain
}

/// Nothing for `undefined`.
fn plain_value(rest: &mut &[u8]) -> Option<Value> {
    let marker = unsigned(rest, 1);
    let low = |mask: u64| marker & mask;
    let width = |first: u64| 1 << (marker - first);
    Some(match marker {
        0x00..=0x7f => marker.into(),
        0x80..=0x8f => plain_map(rest, low(0xf)),
        0x90..=0x9f => plain_array(rest, low(0xf)),
        0xa0..=0xbf => plain_text(rest, low(0x1f)),
        0xc0 => Value::Null,
        0xc2 | 0xc3 => (marker == 0xc3).into(),
        0xc4..=0xc6 => {
            let length = unsigned(rest, width(0xc4));
            json!({ "$bin": STANDARD.encode(take(rest, length)) })
        }
        // Infinite ones are null in the vectors too.
        0xcb => f64::from_bits(unsigned(rest, 8)).into(),
        0xcc..=0xcf => unsigned(rest, width(0xcc)).into(),
        0xd0..=0xd3 => {
            let width = width(0xd0);
            let unused = 64 - 8 * width;
            (i64::from_ne_bytes((unsigned(rest, width) << unused).to_ne_bytes()) >> unused).into()
        }
        0xd4 => {
            assert_eq!(take(rest, 2), [0, 0]);
            return None;
        }
        0xd9..=0xdb => {
            let length = unsigned(rest, width(0xd9));
            plain_text(rest, length)
        }
        0xdc | 0xdd => {
            let count = unsigned(rest, 2 * width(0xdc));
            plain_array(rest, count)
        }
        0xde | 0xdf => {
            let count = unsigned(rest, 2 * width(0xde));
            plain_map(rest, count)
        }
        0xe0..=0xff => (i64::try_from(marker).unwrap() - 0x100).into(),
        _ => panic!("the writer has no {marker:x}"),
    })
}

fn plain_array(rest: &mut &[u8], count: u64) -> Value {
    (0..count).map(|_| plain_value(rest).unwrap_or(Value::Null)).collect()
}

fn plain_map(rest: &mut &[u8], count: u64) -> Value {
    let mut members = Map::new();
    for _ in 0..count {
        let name = plain_value(rest).unwrap().as_str().unwrap().to_owned();
        members.extend(plain_value(rest).map(|value| (name, value)));
    }
    members.into()
}

fn plain_text(rest: &mut &[u8], length: u64) -> Value {
    str::from_utf8(take(rest, length)).unwrap().into()
}

fn unsigned(rest: &mut &[u8], width: u64) -> u64 {
    take(rest, width).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> &'a [u8] {
    rest.split_off(..usize::try_from(length).unwrap()).unwrap()
}

/// What the reference reads, but for ids where none has a meaning: those are not kept.
fn expected(packet: &Value) -> Value {
    let mut packet = packet.clone();
    if ![2, 3].map(Value::from).contains(&packet["type"]) {
        packet.as_object_mut().unwrap().remove("id");
    }
    packet
}

#[test]
fn messagepack_is_read_and_written_as_the_reference_does() {
    for case in cases(MESSAGE_PACK, "packets") {
        let message = binary(&case["chunks"][0]).unwrap();
        let decoded = msgpack::decode(&message);
        if let Some(why) = refused("", Some(&case["packet"])) {
            assert!(decoded.is_err(), "{why}: {case}");
            continue;
        }
        let decoded = decoded.unwrap_or_else(|error| panic!("{error}: {case}"));
        let plain = plain(&decoded);
        assert!(is_same(&plain, &expected(&case["decoded"])), "{plain}\n{case}");
        if case["exact"] == true {
            assert_eq!(msgpack::encode(&decoded), message, "{case}");
        }
    }
}

#[test]
fn odd_messagepack_is_read_or_refused_as_the_reference_does() {
    let (mut read, mut more_refused) = (0, 0);
    for case in cases(MESSAGE_PACK, "inputs") {
        let Some(message) = binary(&case["chunks"][0]) else { continue };
        let decoded = msgpack::decode(&message);
        let about = case["about"].as_str().unwrap();
        let theirs = case["decoded"].get(0);
        match (decoded, theirs) {
            (Err(_), None) => {}
            (Ok(packet), Some(theirs)) => {
                let plain = plain(&packet);
                let same = is_same(&plain, &expected(theirs));
                // Of the former the number is rounded there, of the latter the name is that of its class.
                let differs = ["cf0020000000000001", "c70300616263"]
                    .iter()
                    .any(|form| about.strip_prefix("name of a member: ") == Some(form));
                assert_eq!(same, !differs, "{plain}\n{case}");
                read += 1;
            }
            (Err(error), Some(theirs)) => {
                let why = refused(about, Some(theirs));
                assert!(why.is_some(), "{error}: {case}");
                more_refused += 1;
            }
            // A date is text for us.
            (Ok(_), None) if about == "error: d7000000000000000001" => {}
            (Ok(packet), None) => panic!("{packet:?}, which the reference refuses: {case}"),
        }
    }
    assert!(read > 150 && more_refused > 20, "{read} read, {more_refused} more refused");
}

/// Why we refuse a packet that the reference reads.
fn refused(about: &str, packet: Option<&Value>) -> Option<&'static str> {
    let packet = packet?;
    let name = &packet["data"][0];
    let reserved = [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ];
    if packet["type"] == 3 && packet.get("id").is_none() {
        return Some("an acknowledgement of nothing");
    }
    if packet["id"].as_f64().is_some_and(|id| !(0.0..2_f64.powi(128)).contains(&id)) {
        return Some("an id that no event has");
    }
    let has_name = name.is_string() || name.is_number();
    if packet["type"] == 2 && packet["data"] != json!([]) && !has_name {
        return Some("the name of an event is no text and no number");
    }
    if packet["type"] == 2 && name.as_str().is_some_and(|name| reserved.contains(&name)) {
        return Some("the name is reserved");
    }
    let form = about.strip_prefix("name of a member: ")?;
    let odd = ["ca", "cb", "c7", "d4ff", "8", "9"].iter().any(|first| form.starts_with(first));
    odd.then_some("a name of a member that is no text, and no integer")
}

/// The kinds of packets are what the vectors say, which `plain` would not tell if reading and writing had the same
/// fault.
#[test]
fn kinds_of_packets_are_those_of_their_numbers() {
    for case in cases(MESSAGE_PACK, "packets") {
        let message = binary(&case["chunks"][0]).unwrap();
        let Ok(packet) = msgpack::decode(&message) else { continue };
        let number = match packet.data {
            PacketData::Connect(_) => 0,
            PacketData::Disconnect => 1,
            PacketData::Event { .. } => 2,
            PacketData::Ack { .. } => 3,
            PacketData::ConnectError(_) => 4,
        };
        assert_eq!(case["packet"]["type"], number, "{case}");
    }
}
