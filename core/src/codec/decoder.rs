//! The body of a polling request or response to packets.

use core::{fmt, iter::FusedIterator};

use bytes::Bytes;
use memchr::memchr;

use crate::{
    Packet, Revision,
    codec::{
        DecodeError, DecodeErrorKind, PayloadForm, decode_binary,
        encoder::utf16_units,
        error::{Fault, valid_up_to},
        frame::text_packet,
    },
};

/// Takes the packets out of one polling body, one by one.
///
/// Yields the packets that come before a fault, then the error, then nothing more. Their data are
/// slices of the body, except for base64, which has to be decoded.
///
/// Text bodies are checked for UTF-8 once, as a whole. Packets in the binary form of revision 3 that
/// [`decode_binary`] ignores are passed over, and so is `0:` in the text form.
///
/// Stricter than the reference in two places of revision 3, where leniency would hand over data that nobody sent. A
/// length beyond the end is an error: there, in the binary form, a shortened message. So is a length that cuts a
/// character in two: there, half of it.
pub struct PayloadDecoder {
    form: PayloadForm,
    /// Of a text form, what is valid UTF-8 of it.
    body: Bytes,
    /// Whether bytes followed that are not.
    invalid_utf8: bool,
    /// Where the next packet starts.
    at: usize,
    /// How many packets came out.
    packets: usize,
    max_packets: usize,
    done: bool,
}

/// The most digits of a length: as many as always fit into a `u64`.
const MAX_LENGTH_DIGITS: usize = 19;

impl PayloadDecoder {
    /// Looks for at most `max_packets` packets in `body`; one more is an error. The size of the body
    /// is the caller's to limit.
    pub fn new(form: PayloadForm, mut body: Bytes, max_packets: usize) -> Self {
        let mut invalid_utf8 = false;
        if form != PayloadForm::V3Binary && simdutf8::basic::from_utf8(&body).is_err() {
            body.truncate(valid_up_to(&body));
            invalid_utf8 = true;
        }
        Self { form, body, invalid_utf8, at: 0, packets: 0, max_packets, done: false }
    }

    /// Whether all packets came out.
    fn at_end(&self) -> bool {
        match self.form {
            // Separators stand between packets: one more packet follows each, and one is always.
            PayloadForm::V4 => false,
            PayloadForm::V3Text => self.at > 0 && self.at == self.body.len() && !self.invalid_utf8,
            PayloadForm::V3Binary => self.at == self.body.len(),
        }
    }

    fn v4(&mut self) -> Result<Packet, Fault> {
        let start = self.at;
        let end = match memchr(0x1e, &self.body[start..]) {
            Some(n) => {
                self.at = start + n + 1;
                start + n
            }
            None => {
                self.valid_to_the_end()?;
                self.done = true;
                self.body.len()
            }
        };
        text_packet(Revision::V4, &self.body, start..end)
    }

    /// `None` for an empty packet.
    fn v3_text(&mut self) -> Result<Option<Packet>, Fault> {
        if self.body.is_empty() && !self.invalid_utf8 {
            return Err(Fault { at: 0, kind: DecodeErrorKind::Empty });
        }
        let (length, start) = self.length(self.at, b':', b'0')?;
        let end = self.skip_utf16(length, start)?;
        self.at = end;
        if length == 0 {
            return Ok(None);
        }
        text_packet(Revision::V3, &self.body, start..end).map(Some)
    }

    /// `None` for a packet that is ignored.
    fn v3_binary(&mut self) -> Result<Option<Packet>, Fault> {
        // 1 is binary, and so is whatever else, as for the reference.
        let text = self.body[self.at] == 0;
        let (length, start) = self.length(self.at + 1, 0xff, 0)?;
        let available = self.body.len() - start;
        let end = match usize::try_from(length) {
            Ok(length) if length <= available => start + length,
            _ => {
                let kind = DecodeErrorKind::Truncated { length, available: available as u64 };
                return Err(Fault { at: start, kind });
            }
        };
        self.at = end;
        if !text {
            return Ok(decode_binary(Revision::V3, self.body.slice(start..end)));
        }
        let bytes = &self.body[start..end];
        if simdutf8::basic::from_utf8(bytes).is_err() {
            let at = start + valid_up_to(bytes);
            return Err(Fault { at, kind: DecodeErrorKind::InvalidUtf8 });
        }
        text_packet(Revision::V3, &self.body, start..end).map(Some)
    }

    /// The length written at `at` in digits that count from `zero`, and where its `end` sign is
    /// behind. The reference takes whatever JavaScript makes a number of; here it is decimal digits.
    fn length(&self, mut at: usize, end: u8, zero: u8) -> Result<(u64, usize), Fault> {
        let start = at;
        let mut length = 0;
        while let Some(&byte) = self.body.get(at) {
            if byte == end && at > start {
                return Ok((length, at + 1));
            }
            let digit = byte.wrapping_sub(zero);
            if digit > 9 || at - start == MAX_LENGTH_DIGITS {
                return Err(Fault { at, kind: DecodeErrorKind::InvalidLength });
            }
            length = length * 10 + u64::from(digit);
            at += 1;
        }
        self.valid_to_the_end()?;
        Err(Fault { at, kind: DecodeErrorKind::InvalidLength })
    }

    /// Where `length` UTF-16 code units from `start` on end. Looks at every byte of these once.
    fn skip_utf16(&self, length: u64, start: usize) -> Result<usize, Fault> {
        let mut missing = length;
        let mut end = start;

        // Whole blocks, a loop that the compiler makes vectors of. A block of n bytes adds at most
        // n + 1 units, if a character beyond the basic plane begins in its last byte.
        const BLOCK: usize = 32;
        let (blocks, _) = self.body[start..].as_chunks::<BLOCK>();
        for block in blocks {
            if missing <= BLOCK as u64 + 1 {
                break;
            }
            let units: usize = block.iter().map(|&byte| utf16_units(byte)).sum();
            missing -= units as u64;
            end += BLOCK;
        }

        for &byte in &self.body[end..] {
            let units = utf16_units(byte) as u64;
            if missing == 0 && units > 0 {
                break;
            }
            // One is missing and two come.
            if units > missing {
                return Err(Fault { at: end, kind: DecodeErrorKind::SplitCharacter { length } });
            }
            missing -= units;
            end += 1;
        }
        if missing > 0 {
            self.valid_to_the_end()?;
            let kind = DecodeErrorKind::Truncated { length, available: length - missing };
            return Err(Fault { at: start, kind });
        }
        Ok(end)
    }

    /// For who has come to the end of `body` and looks for more.
    fn valid_to_the_end(&self) -> Result<(), Fault> {
        if self.invalid_utf8 {
            return Err(Fault { at: self.body.len(), kind: DecodeErrorKind::InvalidUtf8 });
        }
        Ok(())
    }
}

impl Iterator for PayloadDecoder {
    type Item = Result<Packet, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done && !self.at_end() {
            let found = if self.packets == self.max_packets {
                let kind = DecodeErrorKind::TooManyPackets { max: self.max_packets };
                Err(Fault { at: self.at, kind })
            } else {
                match self.form {
                    PayloadForm::V4 => self.v4().map(Some),
                    PayloadForm::V3Text => self.v3_text(),
                    PayloadForm::V3Binary => self.v3_binary(),
                }
            };
            match found {
                Ok(Some(packet)) => {
                    self.packets += 1;
                    return Some(Ok(packet));
                }
                Ok(None) => {}
                Err(fault) => {
                    self.done = true;
                    return Some(Err(DecodeError::new(self.packets, fault)));
                }
            }
        }
        None
    }
}

impl FusedIterator for PayloadDecoder {}

impl fmt::Debug for PayloadDecoder {
    /// Without the body, which may hold a handshake and with it the session id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadDecoder")
            .field("form", &self.form)
            .field("len", &self.body.len())
            .field("at", &self.at)
            .field("packets", &self.packets)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
