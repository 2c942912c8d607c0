//! The parsers of Socket.IO, held to what the reference's make of the same packets: `tests/vectors`, written by
//! `tests/js/sio-vectors.mjs`, where the shape of the files is described.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use enginewire::{Encoded, Message};
use enginewire_socketio::{
    Args, Packet, PacketData, Spread,
    parser::{Decoder, Encoder, NamedEvent, PacketError, Parser, ParserLimits, msgpack},
};
use serde_json::{Map, Value, json};

const MESSAGE_PACK: &str = include_str!("../vectors/sio-msgpack.json");
/// The parsers of Socket.IO 3 and 4, and of Socket.IO 2.
const JSON: [&str; 2] =
    [include_str!("../vectors/sio-v5.json"), include_str!("../vectors/sio-v4.json")];

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
    if packet["type"] == 4 && packet["data"].is_array() {
        return Some("a refusal is an object or text");
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

/// A message for each chunk of a case.
fn messages(case: &Value) -> Vec<Message> {
    let chunk = |chunk: &Value| match chunk.as_str() {
        Some(text) => Message::from(text),
        None => Message::Binary(binary(chunk).unwrap()),
    };
    case["chunks"].as_array().unwrap().iter().map(chunk).collect()
}

/// What one new decoder makes of all of these, up to its first error, and whether it expects more.
fn decode(messages: &[Message]) -> (Vec<Packet>, Option<PacketError>, bool) {
    let mut decoder = Decoder::new(&Parser::Json, ParserLimits::default());
    let mut packets = Vec::new();
    for message in messages {
        match decoder.handle_message(message.clone()) {
            Ok(packet) => packets.extend(packet),
            Err(error) => return (packets, Some(error), false),
        }
    }
    (packets, None, decoder.is_waiting())
}

fn parts(encoded: &Encoded) -> Vec<Message> {
    (0..encoded.parts()).map(|index| encoded.part(index).unwrap().message().clone()).collect()
}

/// The packet that the reference reads, with what the absence of its arguments means.
fn expected_json(packet: &Value) -> Value {
    let mut packet = expected(packet);
    if [2, 3].map(Value::from).contains(&packet["type"]) && packet.get("data").is_none() {
        packet["data"] = json!([]);
    }
    packet
}

/// The same packet, made of its values alone.
fn of_values(packet: &Packet) -> Packet {
    let values = |args: &Args| Args::from_values(args.to_values().unwrap());
    let Packet { namespace, data } = packet.clone();
    let data = match data {
        PacketData::Event { ack, args } => PacketData::Event { ack, args: values(&args) },
        PacketData::Ack { id, args } => PacketData::Ack { id, args: values(&args) },
        other => other,
    };
    Packet { namespace, data }
}

/// The packet as an application would send it, through an [`Encoder`]. Numbers are no names there.
fn sent(packet: &Packet) -> Option<Encoded> {
    let Packet { namespace, data } = packet;
    let mut encoder = Encoder::new();
    let encoded = match data {
        PacketData::Event { ack, args } => {
            let values = args.to_values().unwrap();
            let name = values[0].as_str()?;
            let payload = Spread(&values[1..]);
            encoder.event(&Parser::Json, namespace, *ack, &NamedEvent::new(name, &payload))
        }
        PacketData::Ack { id, args } => {
            let values = args.to_values().unwrap();
            encoder.ack(&Parser::Json, namespace, *id, &Spread(&values), Vec::new())
        }
        _ => return None,
    };
    Some(encoded.unwrap())
}

#[test]
fn json_is_read_and_written_as_the_reference_does() {
    for case in JSON.iter().flat_map(|file| cases(file, "packets")) {
        let messages = messages(&case);
        let (packets, error, is_waiting) = decode(&messages);
        if let Some(why) = refused("", Some(&case["packet"])) {
            assert!(error.is_some(), "{why}: {case}");
            continue;
        }
        let Some(theirs) = case.get("decoded") else {
            assert!(error.is_some(), "the reference does not read what it wrote: {case}");
            continue;
        };
        let theirs = expected_json(theirs);
        let ([packet], None, false) = (&packets[..], &error, is_waiting) else {
            panic!("{packets:?} {error:?}: {case}")
        };
        assert!(is_like(packet, &theirs), "{}\n{case}", plain(packet));

        let again = Parser::Json.packet(packet).unwrap();
        assert_eq!(parts(&again), messages, "{case}");
        if case["chunks"][0].as_str().is_some_and(|text| text.contains("\\ud")) {
            // A surrogate that stands alone: no value has one.
            continue;
        }
        let of_values = Parser::Json.packet(&of_values(packet)).unwrap();
        for ours in [Some(of_values), sent(packet)].into_iter().flatten() {
            let ours = parts(&ours);
            let (read, error, _) = decode(&ours);
            assert_eq!((read.len(), error), (1, None), "{ours:?}\n{case}");
            assert!(is_same(&plain(&read[0]), &theirs), "{ours:?}\n{case}");
            if case["exact"] == true && !is_written_otherwise(&case["packet"]) {
                assert_eq!(ours, messages, "{case}");
            }
        }
    }
}

/// Whether there is a number in it that JavaScript writes in another way: `1e21` as `1e+21`, a large integer with zeros
/// for the digits that a float does not hold, `-0` as `0`.
fn is_written_otherwise(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| {
            number != 0.0 && !(1e-5..9_007_199_254_740_992.0).contains(&number.abs())
        }),
        Value::Array(values) => values.iter().any(is_written_otherwise),
        Value::Object(members) => members.values().any(is_written_otherwise),
        _ => false,
    }
}

#[test]
fn odd_json_is_read_or_refused_as_the_reference_does() {
    let (mut read, mut both_refuse) = (0, 0);
    let mut unused: BTreeSet<_> = STRICTER.iter().flat_map(|(_, texts)| *texts).collect();
    for case in JSON.iter().flat_map(|file| cases(file, "inputs")) {
        let (packets, error, is_waiting) = decode(&messages(&case));
        let text = case["chunks"][0].as_str().unwrap_or_default();
        let text = text.replace(r#"{"_placeholder":true,"num":0}"#, "P");
        let text = text.replace(&"9".repeat(400), "DIGITS");
        let stricter = STRICTER.iter().flat_map(|(_, texts)| *texts).find(|other| **other == text);
        // The former parser hands a type that it does not know to the application as an error of the server.
        let theirs: Vec<_> = case["decoded"].as_array().unwrap().iter().collect();
        let is_error = |packet: &Value| packet.get("nsp").is_none();
        let theirs_fails =
            case.get("error").is_some() || theirs.iter().any(|packet| is_error(packet));
        let theirs: Vec<_> = theirs.into_iter().filter(|packet| !is_error(packet)).collect();
        if let (Some(stricter), false) = (stricter, theirs_fails) {
            assert!(error.is_some() && packets.is_empty(), "{packets:?}: {case}");
            unused.remove(stricter);
            continue;
        }
        assert_eq!(error.is_some(), theirs_fails, "{error:?}: {case}");
        assert_eq!(is_waiting, case["waiting"] == true, "{case}");
        assert_eq!(packets.len(), theirs.len(), "{packets:?}: {case}");
        for (packet, theirs) in packets.iter().zip(theirs) {
            let mut theirs = expected_json(theirs);
            if SPACE_BEFORE_THE_PAYLOAD.contains(&&*text) {
                assert_eq!(theirs.as_object_mut().unwrap().remove("id"), Some(json!(0)), "{case}");
            }
            assert!(is_like(packet, &theirs), "{}\n{case}", plain(packet));
        }
        read += packets.len();
        both_refuse += usize::from(error.is_some());
    }
    assert!(unused.is_empty(), "the reference refuses these too: {unused:?}");
    assert!(read > 250 && both_refuse > 300, "{read} read, {both_refuse} refused by both");
}

/// Whether the packet is what the reference reads, as far as values can tell.
fn is_like(packet: &Packet, theirs: &Value) -> bool {
    let (PacketData::Event { args, .. } | PacketData::Ack { args, .. }) = &packet.data else {
        return is_same(&plain(packet), theirs);
    };
    if args.to_values().is_ok() {
        return is_same(&plain(packet), theirs);
    }
    // It can be forwarded, and read in part: a surrogate that stands alone is no text of ours, and 1e400 no number.
    let json = args.payload().as_json().unwrap();
    let is_known = ["\\ud", "1e400"].iter().any(|part| json.contains(part));
    is_known && Some(args.len()) == theirs["data"].as_array().map(Vec::len)
}

/// White space between the type and the JSON is a number of zero for the reference, and part of the JSON for us.
const SPACE_BEFORE_THE_PAYLOAD: [&str; 2] = ["2 [\"a\"]", "2\n[\"a\"]"];

/// What we refuse and a parser of the reference reads, and why. `P` is the placeholder of the first attachment.
const STRICTER: &[(&str, &[&str])] = &[
    (
        "A space is no digit, and no type. No client writes one.",
        &[
            " ",
            " {\"a\":1}",
            "\t",
            "\n",
            "0 ",
            "1 ",
            "4 ",
            "2 ",
            "2 1[\"a\"]",
            "21 2[\"a\"]",
            "2 \t\n1[\"a\"]",
            "2\u{a0}1[\"a\"]",
            "2\u{feff}1[\"a\"]",
            "2\u{3000}1[\"a\"]",
            "2\u{feff}[\"a\"]",
            "2\u{a0}[\"a\"]",
        ],
    ),
    (
        "The number of attachments is written in digits. No client writes it in another way.",
        &[
            "50x1-[\"a\",P]",
            "51e0-[\"a\",P]",
            "51.0-[\"a\",P]",
            "50.1e1-[\"a\",P]",
            "5 1-[\"a\",P]",
            "51 -[\"a\",P]",
            "5\t1-[\"a\",P]",
            "5+1-[\"a\",P]",
            "50b1-[\"a\",P]",
            "5\u{feff}1-[\"a\",P]",
        ],
    ),
    (
        "A number of more than 38 digits would have to be rounded, and sent back as another one.",
        &["21234567890123456789012345678901234567890[\"a\"]", "2DIGITS[\"a\"]"],
    ),
    (
        "An acknowledgement without a number acknowledges nothing.",
        &["3", "3[]", "3[\"a\"]", "3/admin", "3/admin,[]", "61-", "61-[P]"],
    ),
    ("A refusal says why. Only servers send one.", &["4", "4/admin", "41"]),
    (
        "A fraction stands for no attachment: `undefined` there.",
        &[
            "51-[\"a\",{\"_placeholder\":true,\"num\":0.5}]",
            "51-[\"a\",{\"_placeholder\":true,\"num\":0.999}]",
            "52-[\"a\",{\"_placeholder\":true,\"num\":0.5}]",
        ],
    ),
    (
        "The parser of Socket.IO 2 leaves these to the application, which is as easily confused by them.",
        &[
            "2[\"connect\"]",
            "2[\"connect_error\"]",
            "2[\"disconnect\"]",
            "2[\"disconnecting\"]",
            "2[\"newListener\"]",
            "2[\"removeListener\"]",
            "2/a,1[\"disconnect\",1]",
            "2[\"\\u0063onnect\"]",
            "51-[\"connect\",P]",
            "51-[\"disconnect\"]",
        ],
    ),
    (
        "The payload to connect is an object, and of a refusal an object or text, in Socket.IO 2 as later.",
        &[
            "0[]",
            "0null",
            "0[1]",
            "0/admin,[]",
            "0/admin,null",
            "0[\"x\"]",
            "4[]",
            "4null",
            "4[\"x\"]",
        ],
    ),
];
