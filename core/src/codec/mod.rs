//! Packets and payloads as bytes.
//!
//! A packet is a type, `0` to `6`, and data. It travels in four forms:
//!
//! | form | encode | decode |
//! |---|---|---|
//! | one WebSocket message per packet | [`encode_frame`] | [`decode_text`], [`decode_binary`] |
//! | several packets in the body of a polling request or response | [`PayloadEncoder`] | [`PayloadDecoder`] |
//! | such a body wrapped for JSONP | [`jsonp::encode_response`] | [`jsonp::decode_body`] |
//! | length-prefixed on a stream (WebTransport) | [`stream::encode`] | [`stream::Decoder`] |
//!
//! Decoding messages and polling bodies copies no payload but what is in base64: messages are slices of
//! what came in. Forms of JSONP and streams are copied once. Encoding copies a payload for base64, for
//! JSONP and into polling bodies. Work and memory are linear in the bytes at hand.

pub(crate) mod base64;
mod decoder;
mod encoder;
mod error;
mod frame;
pub mod jsonp;
pub mod stream;
#[cfg(test)]
mod tests;

use core::fmt;

pub(crate) use self::frame::{Compression, message_frame, open_frame, undress};
pub use self::{
    decoder::PayloadDecoder,
    encoder::PayloadEncoder,
    error::{DecodeError, DecodeErrorKind},
    frame::{Frame, decode_binary, decode_text, encode_frame},
};
pub use crate::encoded::Part;
use crate::{Packet, Text};

/// A packet on its way out, borrowed.
#[derive(Clone, Copy)]
pub enum PacketRef<'a> {
    /// `0`: the handshake, JSON.
    Open(&'a str),
    /// `1`: ends the session.
    Close,
    /// `2`: heartbeat, or `probe` during an upgrade.
    Ping(&'a str),
    /// `3`: answer to a ping.
    Pong(&'a str),
    /// `4`: the application's.
    Message(Part<'a>),
    /// `5`: completes an upgrade.
    Upgrade,
    /// `6`: nothing; answers a poll that has nothing to tell.
    Noop,
}

impl<'a> PacketRef<'a> {
    /// The packet's type as it stands on the wire.
    pub const fn type_digit(self) -> u8 {
        match self {
            Self::Open(_) => b'0',
            Self::Close => b'1',
            Self::Ping(_) => b'2',
            Self::Pong(_) => b'3',
            Self::Message(_) => b'4',
            Self::Upgrade => b'5',
            Self::Noop => b'6',
        }
    }

    /// Returns the data behind the type, in the shape that decides how it is encoded.
    fn data(self) -> Data<'a> {
        match self {
            Self::Message(part) if part.message().is_binary() => Data::Binary(part),
            Self::Message(part) => Data::Text(part.message().payload()),
            Self::Open(data) | Self::Ping(data) | Self::Pong(data) => Data::Text(data.as_bytes()),
            Self::Close | Self::Upgrade | Self::Noop => Data::Text(&[]),
        }
    }
}

/// The data of a packet on its way out.
enum Data<'a> {
    /// UTF-8.
    Text(&'a [u8]),
    /// The payload of a binary message.
    Binary(Part<'a>),
}

impl<'a> From<&'a Packet> for PacketRef<'a> {
    fn from(packet: &'a Packet) -> Self {
        match packet {
            Packet::Open(data) => Self::Open(data),
            Packet::Close => Self::Close,
            Packet::Ping(data) => Self::Ping(data),
            Packet::Pong(data) => Self::Pong(data),
            Packet::Message(message) => Self::Message(message.into()),
            Packet::Upgrade => Self::Upgrade,
            Packet::Noop => Self::Noop,
        }
    }
}

impl fmt::Debug for PacketRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The handshake holds the session id, which is a secret.
            Self::Open(_) => f.write_str("Open(..)"),
            Self::Close => f.write_str("Close"),
            Self::Ping(data) => f.debug_tuple("Ping").field(data).finish(),
            Self::Pong(data) => f.debug_tuple("Pong").field(data).finish(),
            Self::Message(part) => f.debug_tuple("Message").field(part).finish(),
            Self::Upgrade => f.write_str("Upgrade"),
            Self::Noop => f.write_str("Noop"),
        }
    }
}

/// The packet of type `kind`, a number, or `None` if there is no such type. `data` is asked for only
/// where it means something.
fn packet(kind: u8, data: impl FnOnce() -> Text) -> Option<Packet> {
    Some(match kind {
        0 => Packet::Open(data()),
        1 => Packet::Close,
        2 => Packet::Ping(data()),
        3 => Packet::Pong(data()),
        4 => Packet::Message(data().into()),
        5 => Packet::Upgrade,
        6 => Packet::Noop,
        _ => return None,
    })
}

/// How several packets stand in one polling body.
///
/// Revision 4 knows one form. Revision 3 knows two. A server may answer in the binary form only if at least one
/// packet is a binary message, and the client takes binary: no `b64` in its query. The `Content-Type` tells what a
/// client sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadForm {
    /// `<packet> 1E <packet>`: text, binary messages in base64.
    V4,
    /// `<length>:<packet><length>:<packet>`: text, lengths in UTF-16 code units, binary messages in
    /// base64. No packets at all are `0:`.
    V3Text,
    /// `<00 text, 01 binary> <length> FF <packet>`, repeated. Lengths in bytes, one digit of value
    /// 0 to 9 per byte.
    V3Binary,
}

impl PayloadForm {
    /// The `Content-Type` of a body in this form.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V4 | Self::V3Text => "text/plain; charset=UTF-8",
            Self::V3Binary => "application/octet-stream",
        }
    }
}
