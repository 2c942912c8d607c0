//! Default parser: a head and JSON in text, binary data in own messages.

use alloc::{boxed::Box, string::ToString, vec::Vec};

use bytes::Bytes;
use enginewire::{Encoded, Message, Text};

use super::{
    PacketError, ParserLimits, check_name,
    head::{self, Head, Kind},
};
use crate::{
    packet::{AckId, Packet, PacketData},
    payload::{Args, EncodeError, Payload, Shape, validate_json},
};

/// Puts packets and their attachments together.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct JsonDecoder {
    /// A packet whose attachments are still to come.
    waiting: Option<Box<Waiting>>,
}

#[derive(Clone, Debug, Hash)]
struct Waiting {
    text: Text,
    head: Head,
    attachments: Vec<Bytes>,
    size: usize,
}

impl JsonDecoder {
    pub(super) fn handle_message(
        &mut self,
        message: Message,
        limits: &ParserLimits,
    ) -> Result<Option<Packet>, PacketError> {
        match (message, self.waiting.take()) {
            (Message::Text(text), None) => {
                let head = Head::parse(&text, limits.max_attachments)?;
                let size = limits.check(0, text.len())?;
                if head.attachments == 0 {
                    return packet(text, head, Vec::new()).map(Some);
                }
                // Nothing is reserved for attachments that may never come.
                let waiting = Waiting { text, head, attachments: Vec::new(), size };
                self.waiting = Some(Box::new(waiting));
                Ok(None)
            }
            (Message::Binary(bytes), Some(mut waiting)) => {
                waiting.size = limits.check(waiting.size, bytes.len())?;
                waiting.attachments.push(bytes);
                if waiting.attachments.len() < waiting.head.attachments {
                    self.waiting = Some(waiting);
                    return Ok(None);
                }
                let Waiting { text, head, attachments, .. } = *waiting;
                packet(text, head, attachments).map(Some)
            }
            (Message::Text(_), Some(_)) => Err(PacketError::UnexpectedText),
            (Message::Binary(_), None) => Err(PacketError::UnexpectedBinary),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
}

/// Makes a packet of its head and its parts.
fn packet(text: Text, head: Head, attachments: Vec<Bytes>) -> Result<Packet, PacketError> {
    let json = &text[head.payload..];
    let shape = match json {
        "" => None,
        json => Some(validate_json(json).map_err(|error| PacketError::Syntax(error.to_string()))?),
    };
    let namespace = match &head.namespace {
        range if range.len() <= 1 => Text::from_static("/"),
        range => text.slice(range.clone()),
    };
    let payload = || {
        let payload = Payload::from_checked_json(text, head.payload, attachments);
        payload.ok_or(PacketError::UnknownAttachment)
    };
    // The reference takes events and acknowledgements without a payload for those without arguments.
    let data = match (head.kind, shape) {
        (Kind::Connect, None) => PacketData::Connect(None),
        (Kind::Connect, Some(Shape::Object)) => PacketData::Connect(Some(payload()?)),
        (Kind::Disconnect, None) => PacketData::Disconnect,
        (Kind::Event | Kind::BinaryEvent, None) => {
            PacketData::Event { ack: head.ack, args: Args::empty() }
        }
        (Kind::Event | Kind::BinaryEvent, Some(Shape::Array)) => {
            let args = Args::from_payload(payload()?).with_name();
            check_name(&args)?;
            PacketData::Event { ack: head.ack, args }
        }
        (Kind::Ack | Kind::BinaryAck, None | Some(Shape::Array)) => {
            let id = head.ack.ok_or(PacketError::InvalidAckId)?;
            let args = if shape.is_some() { Args::from_payload(payload()?) } else { Args::empty() };
            PacketData::Ack { id, args }
        }
        (Kind::ConnectError, Some(Shape::Object | Shape::String)) => {
            PacketData::ConnectError(payload()?)
        }
        _ => return Err(PacketError::InvalidPayload),
    };
    Ok(Packet { namespace, data })
}

/// Encodes an event or an acknowledgement whose arguments `write` appends as a JSON array.
pub(super) fn encode_args(
    scratch: &mut Vec<u8>,
    namespace: &str,
    kinds: (Kind, Kind),
    ack: Option<AckId>,
    mut attachments: Vec<Bytes>,
    write: impl FnOnce(&mut Vec<u8>, &mut Vec<Bytes>) -> Result<(), EncodeError>,
) -> Result<Encoded, EncodeError> {
    let room = head::room(namespace);
    scratch.clear();
    scratch.resize(room, 0);
    write(scratch, &mut attachments)?;
    Ok(finish(scratch, room, namespace, kinds, ack, attachments))
}

/// Writes the head before the JSON that begins at `room`, and copies both out at their exact size.
fn finish(
    scratch: &mut [u8],
    room: usize,
    namespace: &str,
    (plain, binary): (Kind, Kind),
    ack: Option<AckId>,
    attachments: Vec<Bytes>,
) -> Encoded {
    let kind = if attachments.is_empty() { plain } else { binary };
    let start = head::write_before(scratch, room, kind, attachments.len(), namespace, ack);
    let text = text(&scratch[start..]);
    if attachments.is_empty() {
        return Encoded::new(text);
    }
    let attachments = attachments.into_iter().map(Message::Binary);
    Encoded::group(core::iter::once(Message::Text(text)).chain(attachments))
}

/// Encodes an event or an acknowledgement whose arguments are there, with one more argument at the end.
pub(super) fn encode_raw(
    scratch: &mut Vec<u8>,
    namespace: &str,
    kinds: (Kind, Kind),
    ack: Option<AckId>,
    args: &Args,
    last: Option<&str>,
) -> Result<Encoded, EncodeError> {
    let room = head::room(namespace);
    scratch.clear();
    scratch.resize(room, 0);
    let mut attachments = Vec::new();
    // An event without even a name has no payload: no decoder takes an empty one.
    if last.is_some() || kinds.0 != Kind::Event || !args.is_empty() {
        args.payload().write_json(scratch, &mut attachments)?;
    }
    if let Some(last) = last {
        // A JSON array: what follows goes before its end.
        while scratch.pop_if(|&mut byte| byte != b']').is_some() {}
        scratch.pop();
        if !args.is_empty() {
            scratch.push(b',');
        }
        scratch.push(b'"');
        scratch.extend_from_slice(last.as_bytes());
        scratch.extend_from_slice(b"\"]");
    }
    Ok(finish(scratch, room, namespace, kinds, ack, attachments))
}

/// Encodes a packet with one value for a payload. It has no attachments.
pub(super) fn encode_payload(
    kind: Kind,
    namespace: &str,
    payload: &Payload,
) -> Result<Encoded, EncodeError> {
    let mut bytes = head::write(kind, namespace);
    payload.write_json(&mut bytes, &mut Vec::new())?;
    Ok(Encoded::new(text(&bytes)))
}

/// Encodes a packet without a payload.
pub(super) fn encode_head(kind: Kind, namespace: &str) -> Encoded {
    Encoded::new(text(&head::write(kind, namespace)))
}

/// Copies JSON out of a buffer.
pub(super) fn text(bytes: &[u8]) -> Text {
    // All of it was written from strings, or is JSON, which the writer makes of strings alone.
    Text::from_utf8(Bytes::copy_from_slice(bytes)).unwrap_or_default()
}
