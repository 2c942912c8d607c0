//! Arguments of a packet. First byte: `m` for a message of MessagePack in the rest, or the number of attachments.
//! Then each attachment up to a newline, and the arguments in JSON.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use enginewire_socketio::{
    Args, Attachment, Packet, PacketData, Spread, Value,
    parser::msgpack,
    payload::{Shape, check_placeholders, validate_json, write_args},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    json::{self, Json},
    memory::Watch,
    script::Script,
};

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are compared as text")]
enum Kind {
    Unit,
    Newtype(Option<i8>),
    Tuple(u64, String),
    Struct { a: f64, b: Vec<Kind> },
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are compared as text")]
#[serde(tag = "type")]
enum Tagged {
    A { x: u8 },
    B,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are compared as text")]
#[serde(untagged)]
enum Untagged {
    Text(String),
    Number(f64),
    List(Vec<Untagged>),
    Object { a: Option<bool> },
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are compared as text")]
struct Object {
    a: Option<Value>,
    #[serde(default)]
    num: u16,
    #[serde(default, rename = "_placeholder")]
    placeholder: bool,
    #[serde(default)]
    bytes: Bytes,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are compared as text")]
struct Everything<'a>(#[serde(borrow)] Option<&'a str>, Option<Attachment>, Option<char>, ());

/// Reads and writes the arguments in all ways. Returns whether they are some.
pub fn run(data: &[u8]) -> bool {
    let mut script = Script::new(data);
    let first = script.byte();
    if first == b'm' {
        return message_pack(&Bytes::copy_from_slice(script.rest()));
    }
    let count = usize::from(first.wrapping_sub(b'0')) % 16;
    let attachments = (0..count).map(|_| Bytes::copy_from_slice(script.until(b'\n'))).collect();
    let Ok(text) = std::str::from_utf8(script.rest()) else { return false };
    arguments(text, attachments)
}

fn arguments(text: &str, attachments: Vec<Bytes>) -> bool {
    let valid = validate_json(text);
    let read = match json::read(text) {
        Err(()) => {
            assert!(valid.is_err(), "{text}");
            return false;
        }
        Ok(None) => return valid.is_ok(),
        Ok(Some(read)) => read,
    };
    let shape = match &read.json {
        Json::Array(_) => Shape::Array,
        Json::Object(_) => Shape::Object,
        Json::String(_) => Shape::String,
        _ => Shape::Other,
    };
    assert_eq!(valid.expect("it is JSON"), shape, "{text}");
    let has_values = !read.has_lone && !read.json.has_infinite() && read.depth < 127;
    let json = match attachments.is_empty() {
        true => Some(read.json),
        false => {
            let json = read.json.with(&attachments);
            assert_eq!(check_placeholders(text, attachments.len()), json.is_some(), "{text}");
            json
        }
    };
    let (Some(json), Shape::Array) = (json, shape) else { return false };
    let payload = enginewire_socketio::Payload::from_json(text.into(), 0, attachments);
    let args = Args::from_payload(payload);
    let values = {
        let watch = Watch::start();
        let values = args.to_values();
        assert!(watch.peak() <= 100 * text.len() + 2048, "{} of {}", watch.peak(), text.len());
        values
    };
    assert!(values.is_ok() || !has_values, "{values:?}");
    let Ok(values) = values else {
        // Reading still does no harm.
        types(&args, None);
        return true;
    };
    assert!(json.is(&Value::Array(values.clone())), "{json:?} is not {values:?}");
    assert_eq!(args.len(), values.len());
    assert_eq!(args.iter().count(), values.len());
    types(&args, Some(&Args::from_values(values.clone())));
    written(&values, json.has_placeholder());
    if read.depth < 60 {
        packed(&values);
    }
    true
}

/// A type reads the same from JSON and from values.
fn types(args: &Args, values: Option<&Args>) {
    fn one<T: DeserializeOwned + std::fmt::Debug>(args: &Args, values: Option<&Args>) {
        for skip in 0..3 {
            let ours = args.decode::<T>(skip);
            if let Err(error) = &ours {
                assert!(error.to_string().len() < 1000);
            }
            let Some(values) = values else { continue };
            let theirs = values.decode::<T>(skip);
            match (&ours, &theirs) {
                // As text, in which NaN is NaN.
                (Ok(ours), Ok(theirs)) => assert_eq!(format!("{ours:?}"), format!("{theirs:?}")),
                (Err(_), Err(_)) => {}
                _ => panic!(
                    "{} behind {skip}: {ours:?} of JSON, {theirs:?} of values",
                    std::any::type_name::<T>()
                ),
            }
        }
    }
    one::<Kind>(args, values);
    one::<Tagged>(args, values);
    one::<Untagged>(args, values);
    one::<Object>(args, values);
    one::<(Kind, Option<Object>)>(args, values);
    one::<(Value, Option<Value>, Option<Value>)>(args, values);
    one::<Vec<Value>>(args, values);
    one::<BTreeMap<String, Value>>(args, values);
    one::<BTreeMap<i16, Untagged>>(args, values);
    one::<String>(args, values);
    one::<Option<Bytes>>(args, values);
    one::<Vec<u8>>(args, values);
    one::<Vec<Bytes>>(args, values);
    one::<f64>(args, values);
    one::<i64>(args, values);
    one::<Option<u8>>(args, values);
    one::<bool>(args, values);
    one::<char>(args, values);
    one::<()>(args, values);
    one::<((), [Option<bool>; 2])>(args, values);
    // What is borrowed lies in the message, or is not there.
    for skip in 0..2 {
        if let Ok(Everything(_, Some(attachment), ..)) = args.decode::<Everything<'_>>(skip) {
            assert!(args.attachment(&attachment).is_some());
        }
    }
    let _ = args.decode_event::<Kind>("Tuple");
}

/// Values that are written are read again.
fn written(values: &[Value], has_placeholder: bool) {
    let (mut out, mut attachments) = (b"head".to_vec(), Vec::new());
    let outcome = write_args(&mut out, &mut attachments, &Spread(values));
    if let Err(error) = outcome {
        assert!(has_placeholder, "{error}");
        assert_eq!((&out[..], attachments.len()), (&b"head"[..], 0));
        return;
    }
    let text = String::from_utf8(out.split_off(4)).expect("it is text");
    validate_json(&text).expect("it is JSON");
    if has_placeholder {
        return;
    }
    let payload = enginewire_socketio::Payload::from_json(text.into(), 0, attachments);
    assert_eq!(Args::from_payload(payload).to_values().as_deref(), Ok(values));
}

/// Values that are packed are unpacked again.
fn packed(values: &[Value]) {
    let args = Args::from_values(values.to_vec());
    let data = PacketData::Ack { id: enginewire_socketio::AckId(7), args };
    let packet = Packet { namespace: "/".into(), data };
    let message = msgpack::encode(&packet);
    let again = msgpack::decode(&message).expect("we wrote it");
    let PacketData::Ack { args, .. } = &again.data else { panic!("{again:?}") };
    let read = args.to_values().expect("they are values");
    assert!(read.len() == values.len() && read.iter().zip(values).all(|(a, b)| is_same(a, b)));
    assert_eq!(msgpack::encode(&again), message);
}

/// But for integers that were floats.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64().to_bits() << 1 == other.as_f64().to_bits() << 1
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(members), Value::Object(others)) => {
            // Each name once, whatever is there twice.
            let mut names =
                members.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().into_iter();
            let is_there = |name: &String| {
                let other = other.get(name);
                one.get(name).is_some_and(|one| other.is_some_and(|other| is_same(one, other)))
            };
            others.iter().all(|(name, _)| one.get(name).is_some()) && names.all(is_there)
        }
        _ => one == other,
    }
}

/// A message that is a packet is written in a form that is read and written to the same.
fn message_pack(message: &Bytes) -> bool {
    let outcome = {
        let watch = Watch::start();
        let outcome = msgpack::decode(message);
        // A value takes some 40 bytes, and its list may have twice the room.
        assert!(
            watch.peak() <= 200 * message.len() + 2048,
            "{} of {}",
            watch.peak(),
            message.len()
        );
        outcome
    };
    let Ok(packet) = outcome else { return false };
    let once = msgpack::encode(&packet);
    let again = msgpack::decode(&once).expect("we wrote it");
    assert_eq!(msgpack::encode(&again), once);
    if let PacketData::Event { args, .. } | PacketData::Ack { args, .. } = &again.data {
        let values = args.to_values().expect("they are values");
        types(args, Some(&Args::from_values(values.clone())));
        let has_placeholder = |value: &Value| format!("{value:?}").contains("_placeholder");
        written_packed(&values, values.iter().any(has_placeholder));
    }
    true
}

/// As [`written`], of values that JSON may have no form for.
fn written_packed(values: &[Value], has_placeholder: bool) {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    match write_args(&mut out, &mut attachments, &Spread(values)) {
        Ok(()) => {
            validate_json(std::str::from_utf8(&out).expect("it is text")).expect("it is JSON");
        }
        Err(error) => assert!(has_placeholder, "{error}"),
    }
}
