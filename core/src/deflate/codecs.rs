//! Compressors that connections share, and the calls of the library.

use alloc::vec::Vec;
use core::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Status};

use super::options::MAX_BITS;

/// Compressors and inflaters for messages that need no context. One serves all connections of a thread.
///
/// Makes what it needs when it is needed first, and keeps it.
#[derive(Default)]
pub(crate) struct Codecs {
    deflaters: Vec<Deflater>,
    inflaters: Vec<Inflate>,
    /// Bytes on their way out of the library.
    pub(super) buffer: Buffer,
}

impl Codecs {
    pub(crate) const fn new() -> Self {
        Self { deflaters: Vec::new(), inflaters: Vec::new(), buffer: Buffer(Vec::new()) }
    }

    /// How many compressors and inflaters there are.
    #[cfg(test)]
    pub(crate) const fn made(&self) -> [usize; 2] {
        [self.deflaters.len(), self.inflaters.len()]
    }

    /// Compresses a whole message without context into the buffer.
    pub(super) fn deflate(&mut self, setting: Setting, pieces: [&[u8]; 2], end: End) -> &[u8] {
        let at = match self.deflaters.iter().position(|deflater| deflater.setting == setting) {
            Some(at) => at,
            None => {
                // Nearly all peers ask for the same window. The latest is found first.
                self.deflaters.truncate(MAX_DEFLATERS - 1);
                self.deflaters.insert(0, Deflater::new(setting));
                0
            }
        };
        let deflater = &mut self.deflaters[at];
        deflater.run(pieces, end, &mut self.buffer);
        deflater.deflate.reset();
        &self.buffer.0[..deflater.written]
    }

    /// Takes an inflater without context.
    pub(super) fn take_inflater(&mut self) -> Inflate {
        self.inflaters.pop().unwrap_or_else(|| Inflate::new(false, MAX_BITS))
    }

    /// Gives an inflater back.
    pub(super) fn keep_inflater(&mut self, mut inflater: Inflate) {
        if self.inflaters.len() < MAX_INFLATERS {
            inflater.reset(false);
            self.inflaters.push(inflater);
        }
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codecs")
            .field("deflaters", &self.deflaters.len())
            .field("inflaters", &self.inflaters.len())
            .finish_non_exhaustive()
    }
}

/// Settings of a compressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) bits: u8,
    pub(super) level: u8,
}

/// End of a compressed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// An empty block without its last four bytes (RFC 7692 section 7.2.1).
    Message,
    /// The end of the stream.
    Stream,
}

/// A compressor of raw streams.
pub(super) struct Deflater {
    setting: Setting,
    deflate: Deflate,
    /// Bytes of the buffer that the last message has taken.
    written: usize,
}

impl Deflater {
    pub(super) fn new(setting: Setting) -> Self {
        let config = DeflateConfig {
            level: i32::from(setting.level.clamp(1, 9)),
            window_bits: -i32::from(setting.bits),
            ..DeflateConfig::default()
        };
        Self { setting, deflate: Deflate::new_with_config(config), written: 0 }
    }

    /// Compresses a message behind those before it.
    pub(super) fn message<'a>(&mut self, pieces: [&[u8]; 2], buffer: &'a mut Buffer) -> &'a [u8] {
        self.run(pieces, End::Message, buffer);
        &buffer.0[..self.written]
    }

    fn run(&mut self, [first, second]: [&[u8]; 2], end: End, buffer: &mut Buffer) {
        let len = first.len() + second.len();
        // What incompressible bytes grow by: five for each stored block of 16 KiB or less, and those of the end. If it
        // is not enough, there is more.
        buffer.make_room(len + len / 1024 + 64);
        self.written = 0;
        self.feed(first, DeflateFlush::NoFlush, buffer);
        match end {
            End::Message => {
                self.feed(second, DeflateFlush::SyncFlush, buffer);
                debug_assert!(buffer.0[..self.written].ends_with(&[0, 0, 0xff, 0xff]));
                self.written = self.written.saturating_sub(4);
            }
            End::Stream => self.feed(second, DeflateFlush::Finish, buffer),
        }
    }

    /// Hands all of `input` to the library, and takes all that it has to say.
    fn feed(&mut self, mut input: &[u8], flush: DeflateFlush, buffer: &mut Buffer) {
        loop {
            let (taken, given) = (self.deflate.total_in(), self.deflate.total_out());
            let room = &mut buffer.0[self.written..];
            let whole = room.len();
            let status = self.deflate.compress(input, room, flush);
            // Differences that are no longer than the slices.
            let taken = usize::try_from(self.deflate.total_in() - taken).unwrap_or_default();
            let given = usize::try_from(self.deflate.total_out() - given).unwrap_or_default();
            input = &input[taken..];
            self.written += given;
            let full = given == whole;
            if full {
                buffer.make_room(2 * self.written + 64);
            }
            // The library never fails with a sound state. If it did, the message would be cut, and the peer see it.
            debug_assert!(status.is_ok());
            if status.is_err() || (input.is_empty() && !full) {
                return;
            }
        }
    }
}

/// Bytes on their way out of the library, as one slice that is never shorter than [`CHUNK`] once it is used.
#[derive(Default)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    fn make_room(&mut self, len: usize) {
        if self.0.len() > KEPT && len <= KEPT {
            self.0 = Vec::new();
        }
        if self.0.len() < len {
            self.0.resize(len.max(CHUNK), 0);
        }
    }

    /// Inflates `input` behind the first `given` bytes, up to [`CHUNK`] and up to `room` bytes together with those.
    /// Returns how many there are more.
    pub(super) fn inflate_behind(
        &mut self,
        given: usize,
        inflate: &mut Inflate,
        input: &mut &[u8],
        room: usize,
    ) -> (usize, Step) {
        self.make_room(CHUNK);
        let before = (inflate.total_in(), inflate.total_out());
        let out = &mut self.0[given..room.min(CHUNK).max(given)];
        let status = inflate.decompress(input, out, InflateFlush::SyncFlush);
        // Differences that are no longer than the slices.
        let taken = usize::try_from(inflate.total_in() - before.0).unwrap_or_default();
        let more = usize::try_from(inflate.total_out() - before.1).unwrap_or_default();
        *input = &input[taken..];
        let step = match status {
            Ok(Status::StreamEnd) => Step::End,
            Ok(Status::Ok | Status::BufError) => Step::More,
            Err(_) => Step::Invalid,
        };
        (more, step)
    }

    pub(super) fn first(&self, len: usize) -> &[u8] {
        &self.0[..len]
    }
}

/// Result of a call of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    More,
    /// The stream has ended.
    End,
    /// The bytes are no stream.
    Invalid,
}

/// Bytes that are inflated at a time: enough for nearly all messages, and for a cache.
pub(super) const CHUNK: usize = 16 * 1024;

/// Bytes of the buffer that are kept for the next message.
const KEPT: usize = 256 * 1024;

/// Compressors that are kept: one for each window that peers may ask for, 9 to 15 bits. They take some 2 MiB together.
const MAX_DEFLATERS: usize = 7;

/// Inflaters that are kept. Messages that come in pieces need one each until they are complete.
const MAX_INFLATERS: usize = 4;
