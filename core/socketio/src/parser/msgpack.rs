//! Packets in MessagePack, as npm `socket.io-msgpack-parser` 3 reads and writes them.
//!
//! A packet is one binary message: a map of `type`, `nsp`, `data` and, if the packet has one, `id`. Binary data stands
//! inside it, so there are no attachments, and no types 5 and 6.
//!
//! | JavaScript | written | read as |
//! |---|---|---|
//! | `undefined` | fixext 1 of type 0 | null in an array, and no member in a map |
//! | `Buffer` | bin | binary data |
//! | `ArrayBuffer`, typed arrays | ext of type 0 | binary data |
//! | `Date` | fixext 8 of type 0 | text, as in JSON |
//! | other extensions | never | an array of the type and binary data |
//!
//! A name of a member that is an integer, null, a boolean or binary data is read as text. Text that is not UTF-8 is
//! read with replacement characters. A number is written as an integer if it has an integral value.
//!
//! Two rules of the JSON parser hold here too, although the reference has no such checks. The name of an event is text
//! that is not reserved, or a number. An acknowledgement has a number. Besides, numbers are not negative, and names of
//! members are no floats, lists, maps or dates.

use bytes::Bytes;
use enginewire::Text;

use crate::{
    msgpack::{Dialect, MAX_PACKET_DEPTH, Reader, Writer},
    packet::{AckId, Packet, PacketData},
    parser::{PacketError, check_name},
    payload::{Args, Number, Payload, Value},
};

/// Limit on levels of arrays and maps in a payload.
///
/// The payload is the first of them. JSON in JavaScript is seldom nested more than ten levels. A level takes some hundred bytes of the stack.
pub const MAX_DEPTH: usize = MAX_PACKET_DEPTH;

/// Decodes the packet of a binary message.
///
/// Binary data in it shares the storage of the message, which lives as long. Other values are copied. They take up to
/// some 40 bytes of memory for each byte of the message, and none ahead of the bytes.
///
/// # Errors
///
/// The message is not one whole value of MessagePack, the value is no packet, or it is nested too deeply.
pub fn decode(message: &Bytes) -> Result<Packet, PacketError> {
    if message.is_empty() {
        return Err(PacketError::Empty);
    }
    let members = Members::read(message)?;
    let kind = members.kind.and_then(|value| integer(&value)).ok_or(PacketError::UnknownType)?;
    let Some(Value::String(namespace)) = members.namespace else {
        return Err(PacketError::InvalidPayload);
    };
    let data = match (kind, members.data) {
        (0, data) => PacketData::Connect(data.map(object).transpose()?),
        (1, None) => PacketData::Disconnect,
        (2, Some(data)) => PacketData::Event { ack: ack(members.id)?, args: event(data)? },
        (3, Some(Value::Array(args))) => {
            let id = ack(members.id)?.ok_or(PacketError::InvalidAckId)?;
            PacketData::Ack { id, args: Args::from_values(args) }
        }
        (4, Some(data @ Value::String(_))) => PacketData::ConnectError(Payload::from_value(data)),
        (4, Some(data)) => PacketData::ConnectError(object(data)?),
        (0..=4, _) => return Err(PacketError::InvalidPayload),
        _ => return Err(PacketError::UnknownType),
    };
    Ok(Packet { namespace: Text::from(namespace), data })
}

/// Encodes a packet as a binary message.
///
/// The members stand in the order in which the reference server writes them. A text, binary data or a list of more
/// than `u32::MAX` bytes or values is written as null, because MessagePack has no form for it.
#[must_use]
pub fn encode(packet: &Packet) -> Bytes {
    let mut out = Writer::default();
    match &packet.data {
        PacketData::Connect(payload) => {
            out.map(3);
            out.member("type", |out| out.unsigned(0));
            out.member("data", |out| match payload {
                Some(payload) => out.value(&payload.value()),
                None => out.undefined(),
            });
        }
        PacketData::Disconnect => {
            out.map(2);
            out.member("type", |out| out.unsigned(1));
        }
        PacketData::Event { ack, args } => {
            out.map(if ack.is_some() { 4 } else { 3 });
            out.member("type", |out| out.unsigned(2));
            out.member("data", |out| out.value(&args.payload().value()));
            if let Some(ack) = ack {
                out.member("id", |out| out.ack(*ack));
            }
        }
        PacketData::Ack { id, args } => {
            out.map(4);
            out.member("id", |out| out.ack(*id));
            out.member("type", |out| out.unsigned(3));
            out.member("data", |out| out.value(&args.payload().value()));
        }
        PacketData::ConnectError(payload) => {
            out.map(3);
            out.member("type", |out| out.unsigned(4));
            out.member("data", |out| out.value(&payload.value()));
        }
    }
    out.member("nsp", |out| out.text(&packet.namespace));
    out.finish()
}

/// The members of a packet that mean something. Of two with the same name the last counts.
#[derive(Default)]
struct Members {
    kind: Option<Value>,
    namespace: Option<Value>,
    data: Option<Value>,
    id: Option<Value>,
}

impl Members {
    fn read(message: &Bytes) -> Result<Self, PacketError> {
        let mut reader = Reader::new(message, Dialect::Packets);
        let count = reader.map()?;
        let mut members = Self::default();
        for _ in 0..count {
            let member = match &*reader.name()? {
                "type" => &mut members.kind,
                "nsp" => &mut members.namespace,
                "data" => &mut members.data,
                "id" => &mut members.id,
                // `options` of a client, of which the server takes no notice either.
                _ => {
                    reader.skip()?;
                    continue;
                }
            };
            *member = reader.value(0)?;
        }
        reader.finish()?;
        Ok(members)
    }
}

fn object(value: Value) -> Result<Payload, PacketError> {
    match value {
        Value::Object(_) => Ok(Payload::from_value(value)),
        _ => Err(PacketError::InvalidPayload),
    }
}

fn event(value: Value) -> Result<Args, PacketError> {
    let Value::Array(args) = value else {
        return Err(PacketError::InvalidPayload);
    };
    let args = Args::from_values(args);
    // The reference takes an event without even a name, of which listeners of any name hear nothing.
    if !args.is_empty() {
        check_name(&args)?;
    }
    Ok(args)
}

fn ack(value: Option<Value>) -> Result<Option<AckId>, PacketError> {
    let Some(value) = value else {
        return Ok(None);
    };
    integer(&value).map(|id| Some(AckId(id))).ok_or(PacketError::InvalidAckId)
}

/// The value of an integer that is not negative, in whichever form: JavaScript has but one.
fn integer(value: &Value) -> Option<u128> {
    const END: f64 = 340_282_366_920_938_463_463_374_607_431_768_211_456.0; // 2^128
    match *value {
        Value::Number(Number::Unsigned(number)) => Some(number.into()),
        Value::Number(Number::Float(number)) if (0.0..END).contains(&number) => {
            #[expect(clippy::cast_possible_truncation, reason = "compared with the float again")]
            let whole = number as u128;
            (whole as f64 == number).then_some(whole)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
