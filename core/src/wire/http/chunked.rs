//! Chunked bodies (RFC 9112 section 7.1), decoded as they arrive.

use alloc::vec::Vec;

use super::fault::{ChunkError, Fault};
use crate::{
    exchange::{is_text, is_token},
    query::hex_value,
};

/// Where the decoder is. One instance decodes one body.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Of the chunk: its size while that is read, then what is left of it.
    left: u64,
    /// How many digits its size has so far.
    digits: u8,
    /// Bytes of extensions and trailers so far.
    overhead: usize,
}

/// How far [`Chunked::decode`] came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All input was used, and more is needed.
    More,
    /// The body is complete after this many bytes of the input.
    Done(usize),
    /// The next chunk would exceed the limit; nothing of it was stored.
    TooLarge,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Size,
    /// White space between the size and the semicolon of an extension.
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// First byte of a trailer line, or of the empty line at the end.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

impl Chunked {
    /// A size of more digits could be nothing but leading zeros, or an attempt to overflow.
    const MAX_DIGITS: u8 = 16;

    /// Decodes `input` and appends the data to `body`, up to `max_body` bytes in it.
    ///
    /// Extensions and trailers are checked and dropped; together they may have `max_overhead` bytes.
    /// Each other byte of framing belongs to a chunk with at least one byte of data and at most 20
    /// of framing, so the whole body is bounded as well.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        max_body: usize,
        max_overhead: usize,
    ) -> Result<Progress, Fault> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if matches!(self.state, State::Data) {
                let rest = &input[at..];
                let n = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                append(body, &rest[..n], max_body);
                at += n;
                self.left -= n as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            at += 1;
            if matches!(self.state, State::EndLf) && byte == b'\n' {
                return Ok(Progress::Done(at));
            }
            self.state = self.framing(byte).map_err(Fault::Chunk)?;
            match self.state {
                State::Data if self.left > (max_body - body.len()) as u64 => {
                    return Ok(Progress::TooLarge);
                }
                State::SizeSpace
                | State::Extension
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLf => {
                    self.overhead += 1;
                    if self.overhead > max_overhead {
                        return Err(Fault::ChunkOverhead { max: max_overhead });
                    }
                }
                _ => {}
            }
        }
        Ok(Progress::More)
    }

    /// The state after one byte of anything but data.
    fn framing(&mut self, byte: u8) -> Result<State, ChunkError> {
        if let (State::Size, Some(digit)) = (self.state, hex_value(byte)) {
            if self.digits == Self::MAX_DIGITS {
                return Err(ChunkError::Size);
            }
            self.digits += 1;
            // 16 digits of four bits never overflow.
            self.left = self.left << 4 | u64::from(digit);
            return Ok(State::Size);
        }
        Ok(match (self.state, byte) {
            (State::Size, _) if self.digits == 0 => return Err(ChunkError::Size),
            (State::Size | State::SizeSpace, b' ' | b'\t') => State::SizeSpace,
            (State::Size | State::SizeSpace, b';') => State::Extension,
            (State::Size, b'\r') => State::SizeLf,
            (State::Size | State::SizeSpace, _) => return Err(ChunkError::Size),
            (State::Extension, b'\r') => State::SizeLf,
            // Quoted strings need no state of their own: they hold no CR and no LF either.
            (State::Extension, byte) if is_text(byte) => State::Extension,
            (State::Extension, _) => return Err(ChunkError::Extension),
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                if self.left == 0 { State::TrailerStart } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataCr, _) => return Err(ChunkError::End),
            (State::DataLf, b'\n') => State::Size,
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::TrailerName, byte) if is_token(byte) => {
                State::TrailerName
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, byte) if is_text(byte) => State::TrailerValue,
            (State::TrailerStart | State::TrailerName | State::TrailerValue, _) => {
                return Err(ChunkError::Trailer);
            }
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::SizeLf | State::DataLf | State::TrailerLf | State::EndLf | State::Data, _) => {
                return Err(ChunkError::LineEnd);
            }
        })
    }
}

/// Appends to a buffer that will hold at most `most` bytes: storage doubles as it fills, so the work
/// stays linear and a peer must send half of what it makes us hold, but it never passes `most`.
pub(crate) fn append(buffer: &mut Vec<u8>, bytes: &[u8], most: usize) {
    if buffer.capacity() - buffer.len() < bytes.len() {
        let room = most.saturating_sub(buffer.len());
        buffer.reserve_exact(buffer.len().min(room).max(bytes.len()));
    }
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String};

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Outcome {
        More(String),
        Done(String, usize),
        TooLarge,
    }

    fn decode(input: &[u8], max: usize, overhead: usize, step: usize) -> Result<Outcome, Fault> {
        let mut chunked = Chunked::default();
        let mut body = Vec::new();
        let mut before = 0;
        let text = |body| String::from_utf8(body).unwrap();
        for piece in input.chunks(step) {
            let progress = chunked.decode(piece, &mut body, max, overhead)?;
            assert!(body.len() <= max && body.capacity() <= max, "{} held", body.capacity());
            match progress {
                Progress::More => before += piece.len(),
                Progress::Done(n) => return Ok(Outcome::Done(text(body), before + n)),
                Progress::TooLarge => return Ok(Outcome::TooLarge),
            }
        }
        Ok(Outcome::More(text(body)))
    }

    /// Whole and in small pieces, with limits of 20 bytes each.
    fn all(input: &[u8]) -> Result<Outcome, Fault> {
        let whole = decode(input, 20, 20, usize::MAX);
        for step in 1..5 {
            assert_eq!(decode(input, 20, 20, step), whole, "in steps of {step}");
        }
        whole
    }

    #[test]
    fn chunks_are_joined_and_what_follows_is_left() {
        for body in [
            "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            "005;a=b\r\nhello\r\n6 ; x=\"y;z\"\r\n world\r\n0;end\r\n\r\n",
            "0B\r\nhello world\r\n0000\r\nTrailer: x\r\nB:\r\n\r\n",
            "b\r\nhello world\r\n0000000000000000\r\n\r\n",
        ] {
            let input = format!("{body}GET / HTTP/1.1");
            assert_eq!(all(input.as_bytes()), Ok(Outcome::Done("hello world".into(), body.len())));
        }
        assert_eq!(all(b"0\r\n\r\n"), Ok(Outcome::Done("".into(), 5)));
    }

    #[test]
    fn an_unfinished_body_waits_for_more() {
        let body = b"5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for end in 1..body.len() {
            let Ok(Outcome::More(data)) = all(&body[..end]) else { panic!("at {end}") };
            assert!("hello".starts_with(&data));
        }
    }

    #[test]
    fn malformed_framing_is_refused() {
        use ChunkError::*;
        for (body, error) in [
            (&b"\r\n"[..], Size),
            (b"g\r\n", Size),
            (b"-1\r\n", Size),
            (b"+1\r\n", Size),
            (b"0x1\r\n", Size),
            (b" 1\r\n", Size),
            (b";a\r\n", Size),
            (b"1 \r\n", Size),
            (b"1 2\r\n", Size),
            (b"00000000000000001\r\n", Size),
            (b"10000000000000000\r\n", Size),
            (b"1\n", Size),
            (b"1;a\n", Extension),
            (b"1;\0\r\n", Extension),
            (b"1\rx", LineEnd),
            (b"1;a\rb", LineEnd),
            (b"1\r\nab\r\n", End),
            (b"1\r\na\n", End),
            (b"1\r\na\rx", LineEnd),
            (b"1\r\na\r\n\r\n", Size),
            (b"0\r\n\n", Trailer),
            (b"0\r\n\rx", LineEnd),
            (b"0\r\nGET / HTTP/1.1\r\n", Trailer),
            (b"0\r\n: b\r\n", Trailer),
            (b"0\r\n folded: b\r\n", Trailer),
            (b"0\r\na : b\r\n", Trailer),
            (b"0\r\na: b\n", Trailer),
            (b"0\r\na: b\rc", LineEnd),
        ] {
            let text = String::from_utf8_lossy(body);
            assert_eq!(all(body), Err(Fault::Chunk(error)), "{text:?}");
        }
    }

    #[test]
    fn a_chunk_over_the_limit_is_refused_before_its_data() {
        assert_eq!(all(b"15\r\n"), Ok(Outcome::TooLarge));
        assert_eq!(all(b"ffffffffffffffff\r\n"), Ok(Outcome::TooLarge));
        assert_eq!(all(b"A\r\n0123456789\r\nB\r\n"), Ok(Outcome::TooLarge));
        let exact = b"A\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(all(exact), Ok(Outcome::Done("01234567890123456789".into(), exact.len())));
    }

    #[test]
    fn extensions_and_trailers_are_bounded_over_the_whole_body() {
        let over = Err(Fault::ChunkOverhead { max: 20 });
        assert_eq!(all(format!("1;{}", "x".repeat(20)).as_bytes()), over);
        assert_eq!(all(b"1;23456789ab\r\n\r\r\n1;23456789abc\r\n"), over);
        assert_eq!(all(b"0\r\nabc: def\r\nabc: def\r\nabc: def"), over);
        assert_eq!(all(format!("1{}", " ".repeat(21)).as_bytes()), over);
    }
}
