//! WebSocket (RFC 6455): frames to messages and back, for both roles.
//!
//! The opening handshake is a check on each side of the heads of an HTTP exchange: [`accept`] for a
//! server, [`ClientKey`] for a client. [`WebSocket`] starts where it ended. Of extensions there is permessage-deflate
//! (RFC 7692), with the feature `deflate`; without it every reserved bit is a violation.
//!
//! ```
//! use bytes::Buf;
//! use enginewire::wire::{Arena, Input, Output, ws::{Received, Role, WebSocket}};
//!
//! let mut socket = WebSocket::new(Role::Server, 1_000_000, 16_384);
//! // One of each serves all the connections of a thread.
//! let (mut arena, mut out) = (Arena::new(), Output::new());
//!
//! // Two reads: the frame "Hello" of section 5.7, and another cut off after two bytes.
//! let mut read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x81\x80";
//! let mut input = Input::new(&mut read);
//! while let Some(received) = socket.handle_bytes(&mut input, &mut arena, &mut out) {
//!     match received {
//!         Received::Message(echo) => {
//!             socket.write(echo.is_binary(), None, echo.payload(), &mut out);
//!         }
//!         Received::Closed(how) => println!("closed: {how:?}"),
//!     }
//! }
//! assert_eq!(out.chunk(), b"\x81\x05Hello");
//! ```

mod close;
mod decode;
mod fragments;
mod handshake;
mod header;
mod mask;
mod violation;

#[cfg(test)]
mod tests;

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use bytes::Bytes;

use self::{decode::Stage, fragments::Fragments, header::Opcode, mask::Masks};
use super::{Arena, Output};
use crate::{
    codec::{Compression, Frame},
    deflate::{Codecs, Deflated, Extension},
    packet::Message,
    text::Text,
};

pub(crate) use self::handshake::accept_compression;
#[cfg(feature = "deflate")]
pub use self::handshake::accept_deflate;
pub use self::{
    handshake::{
        AcceptKey, ClientKey, HandshakeError, HandshakeRefused, accept, check_version,
        offered_protocols,
    },
    violation::Violation,
};
#[cfg(not(feature = "deflate"))]
use crate::deflate::DeflateParameters;
#[cfg(feature = "deflate")]
pub use crate::deflate::DeflateParameters;

/// Which side of the connection we are.
#[derive(Clone)]
pub enum Role {
    /// We refuse frames that are not masked and send ours unmasked (section 5.1).
    Server,
    /// We refuse frames that are masked and mask ours (section 5.3).
    Client {
        /// Random bytes from which the masks of all frames are derived. They belong to this
        /// connection alone. They must be as unpredictable as a key, because they disclose the
        /// masks.
        mask_seed: [u8; 16],
    },
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "Server",
            Self::Client { .. } => "Client",
        })
    }
}

/// An event from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole message.
    Message(Message),
    /// The end. Nothing comes after it.
    Closed(Closed),
}

/// How a WebSocket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer's Close frame came: first, or as the answer to ours (section 7.1.5).
    Peer {
        /// The status code, if the frame had one. It is one that may stand in a frame (section
        /// 7.4).
        code: Option<u16>,
        /// The reason, mostly empty.
        reason: Text,
    },
    /// The peer broke a rule. Unless our Close had already gone out, one with
    /// [`Violation::code`] is in the output.
    Violation(Violation),
    /// The connection ended without a Close from the peer (1006 in section 7.1.5).
    Lost,
}

/// One WebSocket after its handshake: bytes in, messages and the bytes of answers out.
///
/// A frame that is complete in the input is unmasked where it lies and copied once, to its
/// message. What is cut is kept here, in storage that grows with what has come and never ahead of
/// it. Between messages nothing is allocated.
///
/// Three kinds of methods: [`handle_bytes`](Self::handle_bytes) and
/// [`handle_eof`](Self::handle_eof) take what the peer did and cannot fail;
/// [`write`](Self::write), [`ping`](Self::ping) and [`close`](Self::close) are ours and append to
/// the output; the others only look.
pub struct WebSocket {
    /// The masks of a client; a server has none.
    masks: Option<Box<Masks>>,
    max_message: usize,
    max_fragments: usize,
    state: State,
    stage: Stage,
    /// The message under way.
    fragments: Fragments,
    /// The payload so far of a control frame that a read has cut.
    control: Vec<u8>,
    /// Compression, if both sides have agreed on it.
    extension: Option<Box<Extension>>,
}

/// Where the closing handshake stands (section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Our Close is out, the peer's is awaited.
    Closing,
    Closed,
}

impl WebSocket {
    /// A WebSocket directly after its handshake.
    ///
    /// A message may have `max_message` bytes, over all its frames, and come in `max_fragments`
    /// frames (at least one is always allowed).
    pub fn new(role: Role, max_message: usize, max_fragments: usize) -> Self {
        Self {
            masks: match role {
                Role::Server => None,
                Role::Client { mask_seed } => Some(Box::new(Masks::new(mask_seed))),
            },
            max_message,
            max_fragments: max_fragments.max(1),
            state: State::Open,
            stage: Stage::START,
            fragments: Fragments::NONE,
            control: Vec::new(),
            extension: None,
        }
    }

    /// Compresses messages as the opening handshake has agreed on (RFC 7692).
    ///
    /// [`write_frame`](Self::write_frame) compresses; [`write`](Self::write) does not.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(self, parameters: DeflateParameters) -> Self {
        self.with_compression(Some(parameters))
    }

    /// The same if there was an agreement.
    pub(crate) fn with_compression(mut self, parameters: Option<DeflateParameters>) -> Self {
        self.extension = parameters.map(Extension::new);
        self
    }

    /// Whether nothing more can be written: a Close went out, or the connection is lost.
    pub fn is_closing(&self) -> bool {
        self.state != State::Open
    }

    /// Returns whether the WebSocket has ended. Both Close frames have passed, a violation was
    /// answered, or the connection is lost. It remains to write the output and to shut the
    /// connection down, the server first (section 7.1.1).
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The peer will send no more bytes. Gives [`Closed::Lost`] unless the end was given before.
    pub fn handle_eof(&mut self) -> Option<Received> {
        if self.is_closed() {
            return None;
        }
        self.end();
        Some(Received::Closed(Closed::Lost))
    }

    /// Appends one message as one frame: `prefix`, then `payload`. Does nothing once
    /// [closing](Self::is_closing), as no data may follow a Close (section 5.5.1).
    ///
    /// Unless `binary`, prefix and payload must be UTF-8; that is not checked.
    pub fn write(&mut self, binary: bool, prefix: Option<u8>, payload: &Bytes, out: &mut Output) {
        if self.is_closing() {
            return;
        }
        let opcode = if binary { Opcode::Binary } else { Opcode::Text };
        match &mut self.masks {
            None => header::put(opcode, prefix, payload.len(), out),
            Some(masks) => {
                let mask = masks.next();
                let rest = header::put_masked(opcode, prefix, payload.len(), mask, out);
                return mask::put(payload, rest, out);
            }
        }
        out.put_bytes(payload);
    }

    /// Returns the limit on the bytes of one read, before somebody has its messages.
    ///
    /// 4 KiB once both sides have agreed on compression, as messages may become a thousand times as long. Nothing
    /// throttles the peer in the middle of a read.
    pub const fn max_read(&self) -> usize {
        max_read(self.extension.is_some())
    }

    /// Returns whether [`write_frame`](Self::write_frame) would compress a frame, which takes its time.
    pub(crate) fn compresses(&self, frame: &Frame) -> bool {
        let compresses = |extension: &Extension| extension.compresses(frame.len());
        self.extension.as_deref().is_some_and(compresses) && frame.is_compressible()
    }

    /// Appends a message, compressed if that was agreed on and is worth it.
    ///
    /// `arena` has the compressors that all connections of a thread share.
    pub fn write_frame(&mut self, frame: &Frame, arena: &mut Arena, out: &mut Output) {
        self.write_frame_by(frame, &mut arena.codecs, out);
    }

    /// The same with these compressors.
    pub(crate) fn write_frame_by(&mut self, frame: &Frame, codecs: &mut Codecs, out: &mut Output) {
        let Frame { binary, prefix, payload, compression } = frame;
        if self.is_closing() || !self.compresses(frame) {
            return self.write(*binary, *prefix, payload, out);
        }
        let shared = match compression {
            Compression::Shared(form) => Some(form),
            Compression::Alone | Compression::Never => None,
        };
        let prefix_byte = [prefix.unwrap_or_default()];
        let pieces = [&prefix_byte[..usize::from(prefix.is_some())], payload];
        let deflated =
            self.extension.as_mut().and_then(|extension| extension.deflate(pieces, shared, codecs));
        let opcode = if *binary { Opcode::Binary } else { Opcode::Text };
        let deflated = match &deflated {
            None => return self.write(*binary, *prefix, payload, out),
            // Only a server has the same bytes for many peers.
            Some(Deflated::Shared(bytes)) if self.masks.is_none() => {
                header::put_compressed(opcode, bytes.len(), None, out);
                return out.put_bytes(bytes);
            }
            Some(Deflated::Shared(bytes)) => bytes,
            Some(Deflated::Own(bytes)) => *bytes,
        };
        let mask = self.masks.as_mut().map(|masks| masks.next());
        header::put_compressed(opcode, deflated.len(), mask, out);
        match mask {
            None => out.put_slice(deflated),
            Some(mask) => mask::put(deflated, mask, out),
        }
    }

    /// Appends a Ping. The Pong that answers it is not reported; to notice that a peer is gone is
    /// the business of the protocol above. Does nothing once [closing](Self::is_closing).
    ///
    /// A control frame carries at most 125 bytes (section 5.5): `data` is cut there.
    pub fn ping(&mut self, data: &[u8], out: &mut Output) {
        if !self.is_closing() {
            let data = &data[..data.len().min(header::MAX_CONTROL)];
            self.put_control(Opcode::Ping, data, out);
        }
    }

    /// Appends our Close. From then on nothing is sent, messages of the peer are discarded, and
    /// its Close, a violation or the end of the connection is awaited: give that a time limit.
    /// Does nothing if already [closing](Self::is_closing).
    ///
    /// A frame without a code has no reason either (section 5.5.1). A `code` that must not stand in a frame is left
    /// out: 1005, 1006, 1015, any unassigned one below 3000, 5000 and up (section 7.4). A reason longer than 123
    /// bytes is cut before the character that does not fit.
    pub fn close(&mut self, code: Option<u16>, reason: &str, out: &mut Output) {
        if self.is_closing() {
            return;
        }
        self.put_close(code, reason, out);
        self.state = State::Closing;
        self.fragments.discard();
    }

    fn put_close(&mut self, code: Option<u16>, reason: &str, out: &mut Output) {
        let mut payload = [0; header::MAX_CONTROL];
        let payload = close::encode(code, reason, &mut payload);
        self.put_control(Opcode::Close, payload, out);
    }

    /// `payload` has at most 125 bytes.
    fn put_control(&mut self, opcode: Opcode, payload: &[u8], out: &mut Output) {
        match &mut self.masks {
            None => {
                header::put(opcode, None, payload.len(), out);
                out.put_slice(payload);
            }
            Some(masks) => {
                let mask = header::put_masked(opcode, None, payload.len(), masks.next(), out);
                mask::put(payload, mask, out);
            }
        }
    }

    /// Ends both directions and frees all storage.
    fn end(&mut self) {
        self.state = State::Closed;
        self.stage = Stage::START;
        self.fragments = Fragments::NONE;
        self.control = Vec::new();
        self.masks = None;
        self.extension = None;
    }
}

/// Returns the limit on the bytes of one read that may hold compressed messages, or none.
pub(crate) const fn max_read(compressed: bool) -> usize {
    if compressed { MAX_COMPRESSED_READ } else { usize::MAX }
}

/// Bytes of compressed messages that are read at a time: 4 MiB at worst once they are inflated.
const MAX_COMPRESSED_READ: usize = 4 * 1024;

/// Never shows a payload: it may hold the `sid`.
impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("state", &self.state)
            .field("buffered", &self.fragments.len())
            .finish_non_exhaustive()
    }
}
