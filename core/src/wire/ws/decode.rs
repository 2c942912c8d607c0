//! The receiving half: bytes to messages and the answers to control frames.

use bytes::Bytes;

use super::{
    Closed, Received, State, Violation, WebSocket, close,
    fragments::Kind,
    header::{self, Frame, Opcode},
    mask,
};
use crate::{
    deflate::{NotDeflated, TAIL},
    packet::Message,
    text::Text,
    wire::{Arena, Input, Output},
};

/// The part of a frame that the next byte belongs to.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// The head of a frame, of which a read has left the first `len` bytes here. Between frames, 0.
    Head { bytes: [u8; header::MAX], len: u8 },
    /// The payload of this frame.
    Payload(Frame),
}

impl Stage {
    pub(super) const START: Self = Self::Head { bytes: [0; header::MAX], len: 0 };
}

/// A message in one short frame.
struct Short<'a> {
    kind: Kind,
    mask: [u8; 4],
    payload: &'a mut [u8],
}

impl WebSocket {
    /// Takes bytes from the peer, up to the end of the next message. Call it until it returns
    /// `None`, which means that all of `input` has been taken. Messages and frames that are cut off
    /// are kept here.
    ///
    /// Answers each Ping at once (section 5.5.2) and echoes a Close, into `out`: a driver that
    /// cannot write should stop reading. Pongs are ignored (section 5.5.3). Messages of up to
    /// [`Arena::MAX_SHARED`] bytes are copied to `arena`, larger ones have an allocation each.
    ///
    /// Returns [`Received::Closed`] once. All bytes after that are discarded (section 1.4).
    #[inline]
    pub fn handle_bytes(
        &mut self,
        input: &mut Input<'_>,
        arena: &mut Arena,
        out: &mut Output,
    ) -> Option<Received> {
        if input.is_empty() {
            return None;
        }
        match self.short_message(input) {
            Some(short) => Some(self.take_short(short, arena, out)),
            None => self.take_frames(input, arena, out),
        }
    }

    /// Takes what most reads bring: a message in one short frame, all of which has come.
    ///
    /// A shortcut past the way of all frames, which treats such a frame alike; whatever is unusual
    /// in any way is left to that. It saves two instructions of five.
    #[inline]
    fn short_message<'a>(&self, input: &mut Input<'a>) -> Option<Short<'a>> {
        let Stage::Head { len: 0, .. } = self.stage else { return None };
        if self.state != State::Open || self.fragments.kind.is_some() {
            return None;
        }
        let masked = self.masks.is_none();
        let rest = input.rest();
        let (&[first, second], _) = rest.split_first_chunk()?;
        let kind = match first {
            header::FINAL_TEXT => Kind::Text,
            header::FINAL_BINARY => Kind::Binary,
            _ => return None,
        };
        let head = if masked { 6 } else { 2 };
        // Too large if the mask is missing or should be.
        let len = usize::from(if masked { second ^ 0x80 } else { second });
        if len > header::MAX_CONTROL || len > self.max_message || rest.len() < head + len {
            return None;
        }
        let mask = match input.take(head) {
            &mut [_, _, a, b, c, d] => [a, b, c, d],
            _ => [0; 4],
        };
        Some(Short { kind, mask, payload: input.take(len) })
    }

    fn take_short(&mut self, short: Short<'_>, arena: &mut Arena, out: &mut Output) -> Received {
        let Short { kind, mask, payload } = short;
        let ascii = self.masks.is_none() && mask::apply(payload, mask);
        self.received(kind, arena.copy(payload), ascii, out)
    }

    fn take_frames(
        &mut self,
        input: &mut Input<'_>,
        arena: &mut Arena,
        out: &mut Output,
    ) -> Option<Received> {
        while !input.is_empty() {
            if self.is_closed() {
                input.take(input.len());
                break;
            }
            let frame = match self.next_frame(input) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(violation) => return Some(self.fail(violation, out)),
            };
            let n = usize::try_from(frame.len).map_or(input.len(), |len| len.min(input.len()));
            let payload = input.take(n);
            let complete = n as u64 == frame.len;
            self.stage = if complete {
                Stage::START
            } else {
                let (mask, len) = (mask::rotate(frame.mask, n), frame.len - n as u64);
                Stage::Payload(Frame { mask, len, ..frame })
            };
            let taken = if frame.opcode.is_control() {
                self.take_control(&frame, payload, complete, out)
            } else {
                self.take_data(&frame, payload, complete, arena, out)
            };
            match taken {
                Ok(None) => {}
                Ok(received) => return received,
                Err(violation) => return Some(self.fail(violation, out)),
            }
        }
        None
    }

    /// The frame whose payload is next, with what is missing of it. `None` if its head has not come
    /// as a whole; then the input is empty.
    #[inline]
    fn next_frame(&mut self, input: &mut Input<'_>) -> Result<Option<Frame>, Violation> {
        let (bytes, len) = match &mut self.stage {
            Stage::Payload(frame) => return Ok(Some(*frame)),
            Stage::Head { bytes, len } => (bytes, len),
        };
        let (masked, deflate) = (self.masks.is_none(), self.extension.is_some());
        let whole = if *len == 0 { header::parse(input.rest(), masked, deflate)? } else { None };
        let frame = if let Some((frame, n)) = whole {
            input.take(n);
            frame
        } else if let Some(frame) = continue_head(bytes, len, input, masked, deflate)? {
            frame
        } else {
            return Ok(None);
        };
        self.admit(&frame)?;
        Ok(Some(frame))
    }

    /// Checks a frame whose head has come against those before it and against the limits, before
    /// any of its payload is kept.
    #[inline]
    fn admit(&mut self, frame: &Frame) -> Result<(), Violation> {
        if frame.opcode.is_control() {
            // Control frames may stand between the fragments of a message (section 5.4).
            return Ok(());
        }
        let fragments = &mut self.fragments;
        match (frame.opcode, fragments.kind) {
            (Opcode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (Opcode::Continuation, Some(_)) => {}
            (_, Some(_)) => return Err(Violation::ExpectedContinuation),
            (Opcode::Text, None) => fragments.kind = Some(Kind::Text),
            (_, None) => fragments.kind = Some(Kind::Binary),
        }
        fragments.compressed |= frame.compressed;
        if self.state == State::Closing {
            // It will be discarded: neither its size nor its content matters.
            return Ok(());
        }
        if fragments.count as usize >= self.max_fragments {
            return Err(Violation::TooManyFragments { max: self.max_fragments });
        }
        fragments.count = fragments.count.saturating_add(1);
        let (size, max) = match &mut self.extension {
            // What is inflated is limited elsewhere.
            Some(extension) if fragments.compressed => {
                (extension.announce(frame.len), most_compressed(self.max_message))
            }
            // Both are below 2^63.
            _ => (fragments.len() as u64 + frame.len, self.max_message as u64),
        };
        if size > max {
            return Err(Violation::TooBig { size, max: self.max_message });
        }
        Ok(())
    }

    /// Takes the payload of a data frame, or a piece of it.
    fn take_data(
        &mut self,
        frame: &Frame,
        payload: &mut [u8],
        complete: bool,
        arena: &mut Arena,
        out: &mut Output,
    ) -> Result<Option<Received>, Violation> {
        let last = complete && frame.fin;
        let compressed = self.fragments.compressed;
        let kind = if last { self.fragments.end() } else { self.fragments.kind };
        let Some(kind) = kind.filter(|_| self.state == State::Open) else {
            // Discarded, as our Close is out.
            return Ok(None);
        };
        let masked = self.masks.is_none();
        if compressed {
            if masked {
                mask::apply(payload, frame.mask);
            }
            return self.inflate(kind, payload, last, arena);
        }
        if !last || !self.fragments.is_empty() {
            let ascii = masked && mask::apply(payload, frame.mask);
            let rest = frame.len - payload.len() as u64;
            // What is known to come still: the rest of the last fragment.
            let rest = if frame.fin { usize::try_from(rest).ok() } else { None };
            self.fragments.append(kind, payload, ascii, rest)?;
            return if last { self.fragments.finish(kind, arena).map(Some) } else { Ok(None) };
        }
        // Nothing of the message has been kept: it goes where it will stay.
        let (bytes, ascii) = if masked && payload.len() > IN_CACHE {
            let (bytes, ascii) = mask::copy(payload, frame.mask);
            (Bytes::from(bytes), ascii)
        } else {
            let ascii = masked && mask::apply(payload, frame.mask);
            let shares = payload.len() <= Arena::MAX_SHARED;
            (if shares { arena.copy(payload) } else { Bytes::copy_from_slice(payload) }, ascii)
        };
        Ok(Some(self.received(kind, bytes, ascii, out)))
    }

    /// Inflates a piece of a message, and no more of it than a message may have.
    fn inflate(
        &mut self,
        kind: Kind,
        payload: &[u8],
        last: bool,
        arena: &mut Arena,
    ) -> Result<Option<Received>, Violation> {
        let Self { extension: Some(extension), fragments, max_message: max, .. } = self else {
            // The head of no compressed message is taken without one.
            return Err(Violation::NotDeflated);
        };
        let mut rest = payload;
        let mut tail = if last { TAIL } else { &[] };
        loop {
            let room = *max - fragments.len();
            let piece = extension
                .inflate(&mut rest, room.saturating_add(1), &mut arena.codecs)
                .map_err(|NotDeflated| Violation::NotDeflated)?;
            if !piece.is_empty() {
                fragments.append(kind, &piece[..piece.len().min(room)], false, None)?;
                if piece.len() > room {
                    let size = (*max as u64).saturating_add(1);
                    return Err(Violation::TooBig { size, max: *max });
                }
            } else if !tail.is_empty() && extension.lacks_tail() {
                rest = core::mem::take(&mut tail);
            } else {
                break;
            }
        }
        if !last {
            return Ok(None);
        }
        extension.end_message(&mut arena.codecs);
        fragments.finish(kind, arena).map(Some)
    }

    /// A message that has come as a whole and is valid if it is ASCII, or binary, or UTF-8.
    #[inline]
    fn received(&mut self, kind: Kind, bytes: Bytes, ascii: bool, out: &mut Output) -> Received {
        if kind == Kind::Binary {
            return Received::Message(Message::Binary(bytes));
        }
        if ascii || simdutf8::basic::from_utf8(&bytes).is_ok() {
            return Received::Message(Message::Text(Text::from_validated(bytes)));
        }
        self.fail(invalid_utf8(&bytes), out)
    }

    fn take_control(
        &mut self,
        frame: &Frame,
        payload: &mut [u8],
        complete: bool,
        out: &mut Output,
    ) -> Result<Option<Received>, Violation> {
        if self.masks.is_none() {
            mask::apply(payload, frame.mask);
        }
        if !complete {
            self.control.extend_from_slice(payload);
            return Ok(None);
        }
        if self.control.is_empty() {
            return self.control(frame.opcode, payload, out);
        }
        let mut whole = core::mem::take(&mut self.control);
        whole.extend_from_slice(payload);
        self.control(frame.opcode, &whole, out)
    }

    fn control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Output,
    ) -> Result<Option<Received>, Violation> {
        match opcode {
            Opcode::Close => {
                let closed = close::parse(payload)?;
                if let (State::Open, Closed::Peer { code, .. }) = (self.state, &closed) {
                    // The answer typically echoes the code (section 5.5.1).
                    self.put_close(*code, "", out);
                }
                self.end();
                Ok(Some(Received::Closed(closed)))
            }
            // A Close is the last that we send, so that a peer which reads no further than it
            // never finds bytes that it has to make sense of.
            Opcode::Ping if self.state == State::Open => {
                self.put_control(Opcode::Pong, payload, out);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Fails the connection (section 7.1.7).
    #[cold]
    fn fail(&mut self, violation: Violation, out: &mut Output) -> Received {
        if self.state == State::Open {
            self.put_close(Some(violation.code()), "", out);
        }
        self.end();
        Received::Closed(Closed::Violation(violation))
    }
}

/// Completes a head that a read has cut, byte by byte: how long it is, its second byte tells.
#[cold]
fn continue_head(
    bytes: &mut [u8; header::MAX],
    len: &mut u8,
    input: &mut Input<'_>,
    masked: bool,
    deflate: bool,
) -> Result<Option<Frame>, Violation> {
    while let [byte] = input.take(1) {
        bytes[usize::from(*len)] = *byte;
        *len += 1;
        if let Some((frame, _)) = header::parse(&bytes[..usize::from(*len)], masked, deflate)? {
            return Ok(Some(frame));
        }
    }
    Ok(None)
}

/// The most bytes that a compressed message may come in.
///
/// What does not compress grows by a few bytes for each block. A peer that flushes often sends empty blocks besides, and
/// those have no other bound.
const fn most_compressed(max_message: usize) -> u64 {
    (max_message as u64).saturating_mul(2).saturating_add(1024)
}

/// Finds where `bytes` stop being text.
#[cold]
fn invalid_utf8(bytes: &[u8]) -> Violation {
    let at = core::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    Violation::InvalidUtf8 { at }
}

/// Payload that stays in the cache between two passes over it, which save the second allocation that one pass needs:
/// its storage is rounded up.
const IN_CACHE: usize = 8 * 1024;
