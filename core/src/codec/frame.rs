//! One packet per WebSocket message.

use core::{fmt, ops::Range};

use bytes::{Buf, Bytes};

use crate::{
    Message, Packet, Revision, Text,
    codec::{DecodeError, DecodeErrorKind, PacketRef, base64, error::Fault, packet},
    deflate::SharedForm,
};

/// Content of one WebSocket message.
#[derive(Clone)]
pub struct Frame {
    /// Whether the message is binary; text otherwise.
    pub binary: bool,
    /// A byte that comes before `payload`. It is a field of its own, because otherwise the payload
    /// would have to be copied to put it there.
    pub prefix: Option<u8>,
    /// The rest of the message. With the prefix it is UTF-8 unless the message is binary.
    pub payload: Bytes,
    pub(crate) compression: Compression,
}

/// How a frame may be compressed.
#[derive(Clone)]
pub(crate) enum Compression {
    Never,
    /// For one peer.
    Alone,
    /// Once for many.
    Shared(SharedForm),
}

impl Frame {
    /// Makes a frame of a message of its own, which may be compressed.
    pub fn from_message(message: Message) -> Self {
        let binary = message.is_binary();
        Self::new(binary, None, message.into_payload()).with_compression(true, None)
    }

    const fn new(binary: bool, prefix: Option<u8>, payload: Bytes) -> Self {
        Self { binary, prefix, payload, compression: Compression::Never }
    }

    /// The same frame of a message that may be compressed, or not.
    pub(crate) fn with_compression(mut self, is_allowed: bool, shared: Option<SharedForm>) -> Self {
        self.compression = match shared {
            _ if !is_allowed => Compression::Never,
            None => Compression::Alone,
            Some(form) => Compression::Shared(form),
        };
        self
    }

    /// Returns whether the message is worth compressing, but for its length. Packets other than messages are too short.
    pub fn is_compressible(&self) -> bool {
        !matches!(self.compression, Compression::Never)
    }

    /// Length of the message in bytes, prefix included.
    pub fn len(&self) -> usize {
        self.payload.len() + usize::from(self.prefix.is_some())
    }

    /// Whether the message is empty: an empty binary message in revision 4.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// By the message. How it may be compressed is no part of it.
impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        (self.binary, self.prefix) == (other.binary, other.prefix) && self.payload == other.payload
    }
}

impl Eq for Frame {}

impl fmt::Debug for Frame {
    /// Without the payload, which in a handshake holds the session id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("binary", &self.binary)
            .field("prefix", &self.prefix)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

/// The WebSocket message for `packet`.
///
/// `base64` says that the client must not get binary messages (it asked with `b64`). Without it a
/// binary payload goes as it is, in revision 4 without any type, in revision 3 behind the byte `04`;
/// with it as text: `b` (revision 4) or `b4` (revision 3) and base64.
pub fn encode_frame(revision: Revision, packet: PacketRef<'_>, base64: bool) -> Frame {
    let text = |payload| Frame::new(false, Some(packet.type_digit()), payload);
    match packet {
        PacketRef::Message(part) if base64 && part.message().is_binary() => {
            let typed = part.typed_base64();
            let payload = match revision {
                Revision::V3 => typed,
                Revision::V4 => typed.slice(1..),
            };
            Frame::new(false, Some(b'b'), payload)
        }
        PacketRef::Message(part) => message_frame(revision, part.message().clone()),
        PacketRef::Open("") | PacketRef::Ping("") | PacketRef::Pong("") => text(Bytes::new()),
        PacketRef::Ping("probe") | PacketRef::Pong("probe") => text(Bytes::from_static(b"probe")),
        PacketRef::Open(data) | PacketRef::Ping(data) | PacketRef::Pong(data) => {
            text(Bytes::copy_from_slice(data.as_bytes()))
        }
        PacketRef::Close | PacketRef::Upgrade | PacketRef::Noop => text(Bytes::new()),
    }
}

/// The WebSocket message for the packet that opens a session, without a copy.
pub(crate) fn open_frame(handshake: Text) -> Frame {
    let prefix = Some(PacketRef::Open("").type_digit());
    Frame::new(false, prefix, handshake.into_bytes())
}

/// The WebSocket message for `message`, as it is.
#[inline]
pub(crate) fn message_frame(revision: Revision, message: Message) -> Frame {
    let (binary, prefix) = match (&message, revision) {
        (Message::Text(_), _) => (false, Some(b'4')),
        (Message::Binary(_), Revision::V3) => (true, Some(4)),
        (Message::Binary(_), Revision::V4) => (true, None),
    };
    Frame::new(binary, prefix, message.into_payload())
}

/// The application's message in a WebSocket message that is one, as nearly all are; or the latter back,
/// for [`decode_text`] or [`decode_binary`]. What those say of it is the same; this has less to carry
/// around.
#[inline]
pub(crate) fn undress(revision: Revision, message: Message) -> Result<Message, Message> {
    match message {
        Message::Text(text) if text.as_bytes().first() == Some(&b'4') => {
            let mut body = text.into_bytes();
            body.advance(1);
            Ok(Message::Text(Text::from_validated(body)))
        }
        Message::Binary(bytes) if revision == Revision::V4 => Ok(Message::Binary(bytes)),
        other => Err(other),
    }
}

/// The packet in one text message. Its data are a slice of `text`, or decoded from base64.
///
/// Data of a packet that has none are dropped, and so are, in revision 3, base64 data of anything but
/// a message. Base64 may lack its padding.
///
/// # Errors
///
/// If the message is empty, starts with no known type, or holds base64 that is none.
#[inline]
pub fn decode_text(revision: Revision, text: Text) -> Result<Packet, DecodeError> {
    let mut body = text.into_bytes();
    let packet = match body.first() {
        None | Some(b'b') => text_packet(revision, &body, 0..body.len()),
        // Nearly always. The type is cut off where it is, so that no reference has to be counted;
        // it is one byte, so what follows is text still.
        Some(&first) => typed(0, first, || {
            body.advance(1);
            Text::from_validated(body)
        }),
    };
    packet.map_err(|fault| DecodeError::new(0, fault))
}

/// The packet in one binary message. Its data are a slice of `bytes`.
///
/// Revision 4: always a message. Revision 3: the first byte is the type's number. `None` for an empty message and
/// for an unknown type, which the protocol's reference ignores too. Without data if the type is not a message's and
/// the data are not UTF-8.
pub fn decode_binary(revision: Revision, mut bytes: Bytes) -> Option<Packet> {
    if revision == Revision::V4 {
        return Some(Packet::Message(bytes.into()));
    }
    let kind = *bytes.first()?;
    bytes.advance(1);
    match kind {
        4 => Some(Packet::Message(bytes.into())),
        kind => packet(kind, || Text::from_utf8(bytes).unwrap_or_default()),
    }
}

/// The text packet at `range` of `body`, which the caller knows to be valid UTF-8.
pub(super) fn text_packet(
    revision: Revision,
    body: &Bytes,
    range: Range<usize>,
) -> Result<Packet, Fault> {
    let Range { start, end } = range;
    let first = byte_at(body, start, end)?;
    if first != b'b' {
        // Asked for only behind a known type, which is one byte, so it starts at a character.
        return typed(start, first, || Text::from_validated(body.slice(start + 1..end)));
    }
    let data = match revision {
        Revision::V4 => start + 1,
        Revision::V3 => match byte_at(body, start + 1, end)? {
            b'4' => start + 2,
            other => return typed(start + 1, other, || Text::EMPTY),
        },
    };
    let bytes = base64::decode(&body[data..end], data)?;
    Ok(Packet::Message(Message::Binary(bytes.into())))
}

/// The byte at `at`, where a type belongs, of a packet that ends at `end`.
fn byte_at(body: &Bytes, at: usize, end: usize) -> Result<u8, Fault> {
    let byte = body[..end].get(at).copied();
    byte.ok_or(Fault { at, kind: DecodeErrorKind::Empty })
}

/// The packet whose type is the digit `byte`, found at `at`.
fn typed(at: usize, byte: u8, data: impl FnOnce() -> Text) -> Result<Packet, Fault> {
    let unknown = Fault { at, kind: DecodeErrorKind::UnknownType(byte) };
    packet(byte.wrapping_sub(b'0'), data).ok_or(unknown)
}
