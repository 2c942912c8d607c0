//! Messages of one peer, given to a decoder of Socket.IO packets. Up to the first `:` stand the options, then
//! messages, each up to a newline: `t` and a text, `b` and bytes. Other first letters are part of a text.
//!
//! | option | |
//! |---|---|
//! | `a` | at most two attachments |
//! | `s` | at most 60 bytes |

use bytes::Bytes;
use enginewire::{Encoded, Message};
use enginewire_socketio::{
    Args, Packet, PacketData, Payload,
    parser::{Decoder, Parser, ParserLimits, is_reserved},
};

use crate::{
    json::{self, Json, Read},
    memory::Watch,
    script::Script,
};

/// Reads the messages beside a second reader. Returns how many packets there are.
pub fn run(data: &[u8]) -> usize {
    let mut script = Script::new(data);
    let options = script.until(b':');
    let mut limits = ParserLimits::default();
    if options.contains(&b'a') {
        limits.max_attachments = 2;
    }
    if options.contains(&b's') {
        limits.max_size = 60;
    }
    let mut naive = Naive { limits, waiting: None };
    let mut packets = 0;
    // They are there before, and count for nothing below.
    let messages: Vec<_> =
        std::iter::from_fn(|| (!script.is_empty()).then(|| message(&mut script))).collect();
    let mut received = 0;
    let mut decoder = Decoder::new(&Parser::Json, limits);
    for message in messages {
        received += message.len();
        let expected = naive.message(&message);
        let Ok(ours) = ({
            let watch = Watch::start();
            let outcome = decoder.handle_message(message);
            let most = 40 * received + 2048;
            assert!(watch.peak() <= most, "{} bytes of {received}", watch.peak());
            outcome
        }) else {
            assert!(matches!(expected, Outcome::Fails | Outcome::Unknown), "{expected:?}");
            return packets;
        };
        match (&ours, expected) {
            (_, Outcome::Unknown) => {}
            (None, Outcome::Waits) => assert!(decoder.is_waiting()),
            (Some(packet), Outcome::Packet(plain)) => {
                assert!(!decoder.is_waiting());
                plain.is(packet);
                encodes_back(packet, &plain);
            }
            (_, expected) => panic!("{ours:?} is {expected:?}"),
        }
        packets += usize::from(ours.is_some());
    }
    packets
}

fn message(script: &mut Script<'_>) -> Message {
    let line = script.until(b'\n');
    match line {
        [b'b', bytes @ ..] => Message::Binary(Bytes::copy_from_slice(bytes)),
        [b't', text @ ..] | text => Message::from(&*String::from_utf8_lossy(text)),
    }
}

/// However a packet is encoded, it is decoded to itself.
fn encodes_back(packet: &Packet, plain: &Plain) {
    let encoded = Parser::Json.packet(packet).expect("it came as JSON");
    let again = decode(&Parser::Json, &encoded);
    plain.is(&again);
    assert_eq!(payload(&again).map(Payload::as_json), payload(packet).map(Payload::as_json));

    // Of what values have no form for, there is nothing to write.
    if payload(packet).is_some_and(|payload| payload.to_value().is_err()) {
        return;
    }
    let Packet { namespace, data } = packet.clone();
    let data = match data {
        PacketData::Event { ack, args } => {
            let values = args.to_values().expect("the payload is one");
            PacketData::Event { ack, args: Args::from_values(values) }
        }
        PacketData::Ack { id, args } => {
            let values = args.to_values().expect("the payload is one");
            PacketData::Ack { id, args: Args::from_values(values) }
        }
        other => other,
    };
    let of_values = Packet { namespace, data };
    let has_binary = payload(packet).is_some_and(|payload| !payload.attachments().is_empty());
    if !has_binary {
        let encoded = Parser::Json.packet(&of_values).expect("there are no placeholders");
        plain.is(&decode(&Parser::Json, &encoded));
    }
    if plain.depth < 60 {
        let encoded = Parser::MessagePack.packet(&of_values).expect("it has all values");
        plain.is_but_for_numbers(&decode(&Parser::MessagePack, &encoded));
    }
}

fn decode(parser: &Parser, encoded: &Encoded) -> Packet {
    let mut decoder = Decoder::new(parser, ParserLimits::default());
    let mut packet = None;
    for index in 0..encoded.parts() {
        assert!(packet.is_none(), "one packet is one");
        let message = encoded.part(index).unwrap().message().clone();
        packet = decoder.handle_message(message).expect("we wrote it");
    }
    packet.expect("it is complete")
}

fn payload(packet: &Packet) -> Option<&Payload> {
    match &packet.data {
        PacketData::Connect(payload) => payload.as_ref(),
        PacketData::Disconnect => None,
        PacketData::Event { args, .. } | PacketData::Ack { args, .. } => Some(args.payload()),
        PacketData::ConnectError(payload) => Some(payload),
    }
}

/// The rules of the wire format, with a tree of JSON.
struct Naive {
    limits: ParserLimits,
    waiting: Option<Waiting>,
}

struct Waiting {
    text: String,
    missing: usize,
    attachments: Vec<Bytes>,
    size: usize,
}

#[derive(Debug)]
enum Outcome {
    Packet(Plain),
    Waits,
    Fails,
    /// Too deep for the naive reader.
    Unknown,
}

#[derive(Debug)]
struct Plain {
    kind: u32,
    namespace: String,
    id: Option<u128>,
    data: Option<Json>,
    has_lone: bool,
    depth: usize,
}

impl Naive {
    fn message(&mut self, message: &Message) -> Outcome {
        let before = self.waiting.as_ref().map_or(0, |waiting| waiting.size);
        let size = before + message.len();
        match (message, self.waiting.take()) {
            (Message::Text(text), None) => {
                let Some((kind, rest)) = kind(text) else { return Outcome::Fails };
                let Some((count, _)) = count(kind, rest) else { return Outcome::Fails };
                if size > self.limits.max_size || count > self.limits.max_attachments as u128 {
                    return Outcome::Fails;
                }
                if count == 0 {
                    return packet(text, &[]);
                }
                // The head is read before anything else comes.
                if head(text).is_none() {
                    return Outcome::Fails;
                }
                let missing = usize::try_from(count).unwrap();
                let text = text.to_string();
                self.waiting = Some(Waiting { text, missing, attachments: Vec::new(), size });
                Outcome::Waits
            }
            (Message::Binary(bytes), Some(mut waiting)) if size <= self.limits.max_size => {
                waiting.size = size;
                waiting.attachments.push(bytes.clone());
                if waiting.attachments.len() == waiting.missing {
                    return packet(&waiting.text, &waiting.attachments);
                }
                self.waiting = Some(waiting);
                Outcome::Waits
            }
            _ => Outcome::Fails,
        }
    }
}

fn kind(text: &str) -> Option<(u32, &str)> {
    let first = text.chars().next()?;
    let kind = first.to_digit(7)?;
    Some((kind, &text[1..]))
}

/// The attachments of the types that have some.
fn count(kind: u32, rest: &str) -> Option<(u128, &str)> {
    if kind < 5 {
        return Some((0, rest));
    }
    let (count, rest) = rest.split_once('-')?;
    let is_number = !count.is_empty() && count.bytes().all(|digit| digit.is_ascii_digit());
    // As many digits as the largest number has that a machine counts to.
    let is_number = is_number && count.len() <= 20;
    let count = if is_number { count.parse().ok()? } else { 0 };
    (count > 0).then_some((count, rest))
}

/// The kind, the namespace, the number and the payload.
fn head(text: &str) -> Option<(u32, &str, Option<u128>, &str)> {
    let (kind, rest) = kind(text)?;
    let (_, rest) = count(kind, rest)?;
    let (namespace, rest) = match rest.starts_with('/') {
        true => rest.split_once(',').unwrap_or((rest, "")),
        false => ("/", rest),
    };
    let payload = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &rest[..rest.len() - payload.len()];
    let id = if digits.is_empty() { None } else { Some(digits.parse::<u128>().ok()?) };
    (digits.len() <= 38).then_some((kind, namespace, id, payload))
}

fn packet(text: &str, attachments: &[Bytes]) -> Outcome {
    let Some((kind, namespace, id, payload)) = head(text) else { return Outcome::Fails };
    let (data, has_lone, depth) = match payload {
        "" => (None, false, 0),
        _ => match json::read(payload) {
            Err(()) => return Outcome::Fails,
            Ok(None) => return Outcome::Unknown,
            Ok(Some(Read { json, has_lone, depth })) => (Some(json), has_lone, depth),
        },
    };
    let data = match (data, attachments) {
        (data, []) | (data @ None, _) => data,
        (Some(data), attachments) => match data.with(attachments) {
            None => return Outcome::Fails,
            data => data,
        },
    };
    let kind = if kind < 5 { kind } else { kind - 3 };
    let fits = match (kind, &data) {
        (0, None | Some(Json::Object(_))) | (1 | 2, None) => true,
        (2, Some(Json::Array(elements))) => match elements.first() {
            Some(Json::String(name)) => !is_reserved(name),
            Some(Json::Number(_)) => true,
            _ => false,
        },
        (3, None | Some(Json::Array(_))) => id.is_some(),
        (4, Some(Json::Object(_) | Json::String(_))) => true,
        _ => false,
    };
    if !fits {
        return Outcome::Fails;
    }
    let namespace = namespace.to_owned();
    Outcome::Packet(Plain { kind, namespace, id, data, has_lone, depth })
}

impl Plain {
    /// The packet is this one.
    fn is(&self, packet: &Packet) {
        self.is_but_for_numbers(packet);
        let data = payload(packet).map(Payload::to_value);
        match (&self.data, data) {
            (Some(json), Some(Ok(value))) => assert!(json.is(&value), "{json:?} is not {value:?}"),
            (Some(json), Some(Err(error))) => {
                let has_none = self.has_lone || json.has_infinite() || self.depth >= 127;
                assert!(has_none, "{error}: {json:?}");
            }
            (None, None) => {}
            // No arguments are a list of none.
            (None, Some(Ok(value))) => assert_eq!(value.as_array().map(<[_]>::len), Some(0)),
            (json, value) => panic!("{json:?} is not {value:?}"),
        }
    }

    fn is_but_for_numbers(&self, packet: &Packet) {
        let Packet { namespace, data } = packet;
        assert_eq!(**namespace, *self.namespace);
        let (kind, id) = match data {
            PacketData::Connect(_) => (0, None),
            PacketData::Disconnect => (1, None),
            PacketData::Event { ack, .. } => (2, *ack),
            PacketData::Ack { id, .. } => (3, Some(*id)),
            PacketData::ConnectError(_) => (4, None),
        };
        assert_eq!(kind, self.kind);
        let has_id = matches!(kind, 2 | 3);
        // MessagePack has floats for those of more than 64 bits.
        if self.id.is_none_or(|id| id <= u64::MAX.into()) {
            assert_eq!(id.map(|id| id.0), self.id.filter(|_| has_id));
        }
        let elements = match &self.data {
            Some(Json::Array(elements)) => elements.as_slice(),
            _ => &[],
        };
        if let PacketData::Event { args, .. } = data {
            let name = args.name().unwrap_or_default();
            match elements.first() {
                Some(Json::String(expected)) => assert_eq!(*name, **expected),
                Some(Json::Number(expected)) => {
                    assert_eq!(name.parse::<f64>(), expected.parse());
                }
                _ => assert!(name.is_empty() && args.is_empty()),
            }
            assert_eq!(args.len(), elements.len());
        }
    }
}
