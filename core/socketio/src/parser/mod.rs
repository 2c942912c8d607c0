//! Parsers: packets of messages, and messages of packets.
//!
//! [`Parser::Json`] is the default of all implementations. [`Parser::MessagePack`] is the format of npm
//! `socket.io-msgpack-parser`. A [`CustomParser`] is an application's own. Both ends must use the same.

mod custom;
mod error;
mod fork;
mod head;
mod json;
pub mod msgpack;
mod outgoing;

#[cfg(test)]
mod tests;

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::fmt;

use bytes::Bytes;
use enginewire::{Encoded, Message};
use serde::Serialize;

pub use self::{
    custom::{CustomDecoder, CustomParser},
    error::PacketError,
    outgoing::{EnumEvent, NamedEvent, Outgoing},
};
use self::{head::Kind, json::JsonDecoder, outgoing::with_compression};
use crate::{
    packet::{AckId, Packet, PacketData},
    payload::{self, Args, EncodeError, Payload, Value},
};

/// Format of packets. Default [`Json`](Self::Json).
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Parser {
    /// Text with JSON, and binary messages for attachments. Every client has it.
    #[default]
    Json,
    /// One binary message of MessagePack for each packet, as npm `socket.io-msgpack-parser` has it.
    MessagePack,
    /// A format of the application.
    Custom(Arc<dyn CustomParser>),
}

/// Limits on a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParserLimits {
    /// Limit on the attachments of a packet, received or sent. Default 10, as the reference's.
    ///
    /// Official clients cannot raise theirs: they close the connection at the eleventh.
    pub max_attachments: usize,
    /// Limit on a packet and its attachments together, received, in bytes. Default 10 000 000.
    pub max_size: usize,
}

impl Default for ParserLimits {
    fn default() -> Self {
        Self { max_attachments: 10, max_size: 10_000_000 }
    }
}

impl ParserLimits {
    /// Adds `more` bytes to a packet of `size` bytes.
    fn check(&self, size: usize, more: usize) -> Result<usize, PacketError> {
        let (size, max) = (size.saturating_add(more), self.max_size);
        if size > max { Err(PacketError::TooLarge { size, max }) } else { Ok(size) }
    }
}

/// Makes packets of the messages of one peer.
///
/// At most one packet waits for its attachments, within [`ParserLimits`].
pub struct Decoder {
    state: State,
    limits: ParserLimits,
}

enum State {
    Json(JsonDecoder),
    MessagePack,
    Custom(Box<dyn CustomDecoder>),
}

impl Decoder {
    /// Creates a decoder for the messages of one peer.
    pub fn new(parser: &Parser, limits: ParserLimits) -> Self {
        let state = match parser {
            Parser::Json => State::Json(JsonDecoder::default()),
            Parser::MessagePack => State::MessagePack,
            Parser::Custom(parser) => State::Custom(parser.decoder()),
        };
        Self { state, limits }
    }

    /// Takes the next message. `None` if attachments are still to come.
    ///
    /// # Errors
    ///
    /// A fault of the peer, after which the decoder is of no more use.
    pub fn handle_message(&mut self, message: Message) -> Result<Option<Packet>, PacketError> {
        match &mut self.state {
            State::Json(decoder) => decoder.handle_message(message, &self.limits),
            State::MessagePack => match message {
                Message::Binary(bytes) => {
                    self.limits.check(0, bytes.len())?;
                    msgpack::decode(&bytes).map(Some)
                }
                Message::Text(_) => Err(PacketError::UnexpectedText),
            },
            State::Custom(decoder) => {
                self.limits.check(0, message.len())?;
                let packet = decoder.handle_message(message)?;
                if let Some(Packet { data: PacketData::Event { args, .. }, .. }) = &packet
                    && !args.is_empty()
                {
                    check_name(args)?;
                }
                Ok(packet)
            }
        }
    }

    /// Returns whether a packet waits for attachments.
    pub fn is_waiting(&self) -> bool {
        match &self.state {
            State::Json(decoder) => decoder.is_waiting(),
            State::MessagePack => false,
            State::Custom(decoder) => decoder.is_waiting(),
        }
    }
}

impl Parser {
    /// Encodes a packet. For events and acknowledgements an [`Encoder`] is cheaper.
    ///
    /// # Errors
    ///
    /// The payload came in another format, and cannot be written as JSON.
    pub fn packet(&self, packet: &Packet) -> Result<Encoded, EncodeError> {
        let namespace = &*packet.namespace;
        match self {
            Self::Json => match &packet.data {
                PacketData::Connect(None) => Ok(json::encode_head(Kind::Connect, namespace)),
                PacketData::Connect(Some(payload)) => {
                    json::encode_payload(Kind::Connect, namespace, payload)
                }
                PacketData::Disconnect => Ok(json::encode_head(Kind::Disconnect, namespace)),
                PacketData::ConnectError(payload) => {
                    json::encode_payload(Kind::ConnectError, namespace, payload)
                }
                PacketData::Event { ack, args, .. } => {
                    json::encode_raw(&mut Vec::new(), namespace, EVENT, *ack, args, None)
                }
                PacketData::Ack { id, args } => {
                    json::encode_raw(&mut Vec::new(), namespace, ACK, Some(*id), args, None)
                }
            },
            Self::MessagePack => Ok(Encoded::new(msgpack::encode(packet))),
            Self::Custom(parser) => Ok(Encoded::group(parser.encode(packet))),
        }
    }

    /// Makes a payload in this format, such as that of a request to connect.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded.
    pub fn payload<P: Serialize + ?Sized>(&self, payload: &P) -> Result<Payload, EncodeError> {
        match self {
            Self::Json => Payload::new(payload),
            _ => Value::from_serialize(payload).map(Payload::from_value),
        }
    }

    fn values(
        &self,
        namespace: &str,
        ack: Option<AckId>,
        values: Vec<Value>,
    ) -> Result<Encoded, EncodeError> {
        let args = Args::from_values(values);
        let data = PacketData::Event { ack, args };
        self.packet(&Packet { namespace: namespace.into(), data })
    }
}

/// Buffer for the events and acknowledgements of any number of sockets.
///
/// Each is written here, and copied out at its exact size: one allocation for a message.
#[derive(Debug)]
pub struct Encoder {
    scratch: Vec<u8>,
    max_attachments: usize,
}

impl Encoder {
    /// Creates an empty buffer, without a limit on attachments.
    pub const fn new() -> Self {
        Self { scratch: Vec::new(), max_attachments: usize::MAX }
    }

    /// Limits the attachments of a payload, see [`ParserLimits::max_attachments`].
    pub const fn set_max_attachments(&mut self, max: usize) {
        self.max_attachments = max;
    }

    /// Encodes an event: a [`NamedEvent`], an [`EnumEvent`], or a received [`Event`](crate::Event).
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the name is reserved.
    pub fn event(
        &mut self,
        parser: &Parser,
        namespace: &str,
        ack: Option<AckId>,
        event: &impl Outgoing,
    ) -> Result<Encoded, EncodeError> {
        event.message(self, parser, namespace, ack)
    }

    /// Makes the name and the arguments of an event, to be encoded by [`forward`](Self::forward).
    ///
    /// It is for events that get one more argument, or go to several namespaces.
    ///
    /// # Errors
    ///
    /// As [`event`](Self::event).
    pub fn args(&mut self, parser: &Parser, event: &impl Outgoing) -> Result<Args, EncodeError> {
        event.args(self, parser)
    }

    /// Encodes an acknowledgement. A tuple is several arguments, `()` none, anything else one.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded.
    pub fn ack<P: Serialize + ?Sized>(
        &mut self,
        parser: &Parser,
        namespace: &str,
        id: AckId,
        payload: &P,
        attachments: Vec<Bytes>,
    ) -> Result<Encoded, EncodeError> {
        match parser {
            Parser::Json => self.json(namespace, ACK, Some(id), attachments, |out, attachments| {
                payload::write_args(out, attachments, payload)
            }),
            _ => {
                let args = Args::from_values(payload::args_values(payload, &attachments)?);
                let data = PacketData::Ack { id, args };
                parser.packet(&Packet { namespace: namespace.into(), data })
            }
        }
    }

    /// Encodes an event whose name and arguments are encoded, or came from a peer.
    ///
    /// `offset` is one more argument at the end, for connection state recovery. Nothing is decoded. The message of an
    /// event that came for the namespace `/` goes out as it is.
    ///
    /// # Errors
    ///
    /// The arguments came in another format, and cannot be written in this one.
    pub fn forward(
        &mut self,
        parser: &Parser,
        namespace: &str,
        ack: Option<AckId>,
        args: &Args,
        offset: Option<&str>,
    ) -> Result<Encoded, EncodeError> {
        let encoded = if !matches!(parser, Parser::Json) {
            let mut values = args.to_values().map_err(serde::ser::Error::custom)?;
            values.extend(offset.map(|offset| Value::String(offset.into())));
            parser.values(namespace, ack, values)?
        } else if let (None, None, "/", Some(message)) = (ack, offset, namespace, args.as_message())
        {
            Encoded::new(message.clone())
        } else {
            json::encode_raw(&mut self.scratch, namespace, EVENT, ack, args, offset)?
        };
        Ok(with_compression(encoded, args.may_be_compressed()))
    }

    /// Gives back the storage of a large message.
    pub fn shrink(&mut self) {
        if self.scratch.capacity() > KEPT {
            self.scratch = Vec::new();
        }
    }

    fn json(
        &mut self,
        namespace: &str,
        kinds: (Kind, Kind),
        ack: Option<AckId>,
        attachments: Vec<Bytes>,
        write: impl FnOnce(&mut Vec<u8>, &mut Vec<Bytes>) -> Result<(), EncodeError>,
    ) -> Result<Encoded, EncodeError> {
        let max = self.max_attachments;
        let write = |out: &mut Vec<u8>, attachments: &mut Vec<Bytes>| {
            write(out, attachments)?;
            check_attachments(attachments, max)
        };
        json::encode_args(&mut self.scratch, namespace, kinds, ack, attachments, write)
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

fn check_attachments(attachments: &[Bytes], max: usize) -> Result<(), EncodeError> {
    match attachments.len() {
        n if n > max => {
            let error = format!("{n} attachments, at most {max} are allowed");
            Err(serde::ser::Error::custom(error))
        }
        _ => Ok(()),
    }
}

/// Bytes of a buffer that are kept between messages.
const KEPT: usize = 64 * 1024;

const EVENT: (Kind, Kind) = (Kind::Event, Kind::BinaryEvent);
const ACK: (Kind, Kind) = (Kind::Ack, Kind::BinaryAck);

/// Checks the name of an event: its first argument, a string or a number.
///
/// # Errors
///
/// It is neither, or reserved.
pub(crate) fn check_name(args: &Args) -> Result<(), PacketError> {
    let name = args.name().ok_or(PacketError::InvalidPayload)?;
    if is_reserved(&name) { Err(PacketError::ReservedName) } else { Ok(()) }
}

/// Returns whether an event must not have this name.
///
/// Applications would take it for an event of their own library. It is the reference's list.
pub const fn is_reserved(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        b"connect"
            | b"connect_error"
            | b"disconnect"
            | b"disconnecting"
            | b"newListener"
            | b"removeListener"
    )
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "Json",
            Self::MessagePack => "MessagePack",
            Self::Custom(_) => "Custom(..)",
        })
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("is_waiting", &self.is_waiting()).finish_non_exhaustive()
    }
}
