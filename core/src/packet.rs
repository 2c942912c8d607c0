//! Messages of Engine.IO and the packets that carry them.

use alloc::{string::String, vec::Vec};
use core::fmt;

use bytes::Bytes;

use crate::{limits::Limits, text::Text};

/// Which revision of the protocol a session speaks, fixed by the `EIO` query parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// `EIO=3`: Socket.IO 2.x. The client pings; payloads carry lengths or are binary.
    V3,
    /// `EIO=4`: Socket.IO 3.x and later. The server pings; payloads are text.
    V4,
}

impl Revision {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// A message that an application sends or receives.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message {
    /// UTF-8 text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// The payload, sharing its storage: UTF-8 for text.
    pub const fn payload(&self) -> &Bytes {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload, giving up which of the two it is.
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Length of the payload in bytes.
    pub const fn len(&self) -> usize {
        self.payload().len()
    }

    /// Returns what the message counts for while it is unread, as [`Limits::max_unread`] counts.
    ///
    /// [`Limits::max_unread`]: crate::Limits::max_unread
    #[inline]
    pub const fn cost(&self) -> usize {
        self.len() + Limits::MESSAGE_OVERHEAD
    }

    /// Whether the payload is empty, which is a legal message.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Whether this is a binary message.
    pub const fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&Message> for Message {
    fn from(message: &Message) -> Self {
        message.clone()
    }
}

impl From<&Text> for Message {
    fn from(text: &Text) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self::Text(text.as_str().into())
    }
}

impl From<&Bytes> for Message {
    fn from(bytes: &Bytes) -> Self {
        Self::Binary(bytes.clone())
    }
}

impl From<&Vec<u8>> for Message {
    fn from(bytes: &Vec<u8>) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl<const N: usize> From<[u8; N]> for Message {
    fn from(bytes: [u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Binary(bytes) => f.debug_tuple("Binary").field(bytes).finish(),
        }
    }
}

/// One Engine.IO packet, the same in both revisions.
///
/// Data on a packet for which the protocol gives it no meaning is dropped when decoding, as the
/// reference does in effect.
#[derive(Clone, PartialEq, Eq)]
pub enum Packet {
    /// `0`: the handshake, JSON.
    Open(Text),
    /// `1`: ends the session.
    Close,
    /// `2`: heartbeat, or `probe` during an upgrade.
    Ping(Text),
    /// `3`: answer to a ping.
    Pong(Text),
    /// `4`: the application's.
    Message(Message),
    /// `5`: completes an upgrade.
    Upgrade,
    /// `6`: nothing; answers a poll that has nothing to tell.
    Noop,
}

impl Packet {
    /// The packet's type as it stands on the wire.
    pub const fn type_digit(&self) -> u8 {
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
}

impl fmt::Debug for Packet {
    /// Without the handshake, which holds the session id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => f.write_str("Open(..)"),
            Self::Close => f.write_str("Close"),
            Self::Ping(data) => f.debug_tuple("Ping").field(data).finish(),
            Self::Pong(data) => f.debug_tuple("Pong").field(data).finish(),
            Self::Message(message) => f.debug_tuple("Message").field(message).finish(),
            Self::Upgrade => f.write_str("Upgrade"),
            Self::Noop => f.write_str("Noop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_tells_its_kind_size_and_payload() {
        for (message, text, payload) in [
            (Message::from("\u{e9}"), Some("\u{e9}"), &b"\xc3\xa9"[..]),
            (Message::from(""), Some(""), b""),
            (Message::from(b"\xff\xfe\xfd"), None, b"\xff\xfe\xfd"),
            (Message::from(Bytes::new()), None, b""),
        ] {
            assert_eq!((message.as_text(), message.is_binary()), (text, text.is_none()));
            assert_eq!((message.len(), message.is_empty()), (payload.len(), payload.is_empty()));
            assert_eq!(message.cost(), payload.len() + Limits::MESSAGE_OVERHEAD);
            assert_eq!(message.payload(), payload);
            assert_eq!(message.into_payload(), payload);
        }
    }

    #[test]
    fn revisions_and_packets_have_the_numbers_of_the_protocol() {
        assert_eq!([Revision::V3, Revision::V4].map(Revision::number), [3, 4]);
        let packets = [
            Packet::Open(Text::EMPTY),
            Packet::Close,
            Packet::Ping(Text::EMPTY),
            Packet::Pong(Text::EMPTY),
            Packet::Message("".into()),
            Packet::Upgrade,
            Packet::Noop,
        ];
        assert_eq!(packets.map(|packet| packet.type_digit()), *b"0123456");
    }
}
