//! Bytes to values.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use super::{ServerError, Value};

/// Makes values of the bytes that a server sends.
///
/// Values are as large as `max` at most, with all that is in them. Of a larger one the rest is skipped as it comes,
/// and [`Value::Oversized`] stands for it.
pub(crate) struct Decoder {
    pub(super) buffer: BytesMut,
    /// Bytes of the buffer that have no end of line.
    searched: usize,
    /// Arrays and the like that are not complete.
    open: Vec<Open>,
    text: Option<TextLeft>,
    /// Memory that the value may still take.
    room: usize,
    max: usize,
}

/// Bytes that no server sends in this protocol: the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it sends what is not RESP3: {0}")]
pub(crate) struct MalformedReply(&'static str);

impl MalformedReply {
    pub(crate) const fn of(fault: &'static str) -> Self {
        Self(fault)
    }
}

/// A string whose header was read.
struct TextLeft {
    kind: u8,
    length: usize,
    /// It is larger than the limit.
    is_skipped: bool,
}

/// An array that is not complete.
struct Open {
    kind: u8,
    left: usize,
    items: Vec<Value>,
    /// The rest is skipped.
    is_truncated: bool,
}

impl Decoder {
    pub(crate) fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, open: Vec::new(), text: None, room: max, max }
    }

    /// Takes bytes of the server.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next value that is complete.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP3, here and from now on.
    pub(crate) fn poll(&mut self) -> Result<Option<Value>, MalformedReply> {
        loop {
            let value = match self.text.take() {
                Some(text) => self.read_text(text)?,
                None => match self.find_line()? {
                    Some(end) => self.read_header(end)?,
                    None => return Ok(None),
                },
            };
            match value {
                Step::Value(value) => {
                    if let Some(value) = self.close(value) {
                        self.room = self.max;
                        return Ok(Some(value));
                    }
                }
                Step::Deeper => {}
                Step::Incomplete => return Ok(None),
            }
        }
    }

    /// Returns the length of the line that is next, without its end.
    fn find_line(&mut self) -> Result<Option<usize>, MalformedReply> {
        let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
        let Some(end) = found.map(|at| at + self.searched) else {
            self.searched = self.buffer.len();
            return if self.searched > MAX_LINE { Err(TOO_LONG) } else { Ok(None) };
        };
        self.searched = 0;
        if end > MAX_LINE {
            return Err(TOO_LONG);
        }
        if end < 2 || self.buffer[end - 1] != b'\r' {
            return Err(MalformedReply("a line without an end or a kind"));
        }
        Ok(Some(end - 1))
    }

    /// Reads a line, of which at least the kind is there.
    fn read_header(&mut self, end: usize) -> Result<Step, MalformedReply> {
        let (kind, rest) = (self.buffer[0], &self.buffer[1..end]);
        let step = match kind {
            b'+' | b',' | b'(' => {
                self.buffer.advance(1);
                return Ok(Step::Value(Value::Text(self.take(end - 1))));
            }
            b'-' => Step::Value(Value::Error(ServerError(Bytes::copy_from_slice(rest)))),
            b':' => Step::Value(Value::Integer(number(rest)?)),
            b'#' => Step::Value(Value::Integer(i64::from(rest == b"t"))),
            b'_' => Step::Value(Value::Null),
            b'$' | b'=' | b'!' => match length(rest)? {
                None => Step::Value(Value::Null),
                Some(length) => {
                    let is_skipped = length.saturating_add(VALUE) > self.room;
                    self.text = Some(TextLeft { kind, length, is_skipped });
                    Step::Deeper
                }
            },
            b'*' | b'~' | b'%' | b'>' | b'|' => match length(rest)? {
                None => Step::Value(Value::Null),
                Some(length) => self.enter(kind, length)?,
            },
            _ => return Err(MalformedReply("a kind of value that there is not")),
        };
        self.buffer.advance(end + END.len());
        Ok(step)
    }

    fn enter(&mut self, kind: u8, length: usize) -> Result<Step, MalformedReply> {
        if self.open.len() >= MAX_DEPTH {
            return Err(MalformedReply("arrays in arrays without end"));
        }
        let left = match kind {
            b'%' | b'|' => length.checked_mul(2).ok_or(MalformedReply("a map without end"))?,
            _ => length,
        };
        // Paid for when it begins: the end of what is there must not be lost for what is not.
        let is_truncated = self.open.last_mut().is_some_and(|parent| {
            if self.room < VALUE {
                parent.truncate();
            }
            parent.is_truncated
        });
        self.room = self.room.saturating_sub(VALUE);
        let open = Open { kind, left, items: Vec::new(), is_truncated };
        if left == 0 {
            return Ok(open.value().map_or(Step::Deeper, Step::Value));
        }
        self.open.push(open);
        Ok(Step::Deeper)
    }

    /// Reads the bytes behind the header of a string.
    fn read_text(&mut self, mut text: TextLeft) -> Result<Step, MalformedReply> {
        if text.is_skipped {
            let skipped = text.length.min(self.buffer.len());
            self.buffer.advance(skipped);
            text.length -= skipped;
        }
        if self.buffer.len() < text.length.saturating_add(END.len()) {
            self.text = Some(text);
            return Ok(Step::Incomplete);
        }
        if !self.buffer[text.length..].starts_with(END) {
            return Err(MalformedReply("a string that is longer than it says"));
        }
        let bytes = self.take(text.length);
        if text.is_skipped {
            return Ok(Step::Value(Value::Oversized));
        }
        Ok(Step::Value(match text.kind {
            b'!' => Value::Error(ServerError(bytes)),
            // Its first four bytes say how it is to be shown.
            b'=' => Value::Text(bytes.slice(bytes.len().min(4)..)),
            _ => Value::Text(bytes),
        }))
    }

    /// Takes bytes, and the end of the line behind them. A small text does not keep a large buffer.
    fn take(&mut self, length: usize) -> Bytes {
        let bytes = if length < COPIED {
            let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
            self.buffer.advance(length);
            bytes
        } else {
            self.buffer.split_to(length).freeze()
        };
        self.buffer.advance(END.len());
        bytes
    }

    /// Puts a value where it belongs. Returns it if it belongs nowhere, or what it completes.
    fn close(&mut self, mut value: Value) -> Option<Value> {
        loop {
            let Some(open) = self.open.last_mut() else { return Some(value) };
            open.left -= 1;
            let size = match &value {
                Value::Array(_) | Value::Push(_) => 0,
                value => VALUE + value.as_bytes().map_or(0, Bytes::len),
            };
            if value == Value::Oversized || size > self.room {
                open.truncate();
            } else if !open.is_truncated {
                self.room -= size;
                open.items.push(value);
            }
            if open.left > 0 {
                return None;
            }
            // Attributes stand before a value, and are not one.
            value = self.open.pop().and_then(Open::value)?;
        }
    }
}

/// State of a header or a string that is being read.
enum Step {
    Value(Value),
    /// A string or an array has begun.
    Deeper,
    Incomplete,
}

impl Open {
    /// Skips the rest.
    fn truncate(&mut self) {
        if !self.is_truncated {
            self.is_truncated = true;
            self.items.push(Value::Oversized);
        }
    }

    fn value(mut self) -> Option<Value> {
        let items = mem::take(&mut self.items);
        match self.kind {
            b'>' => Some(Value::Push(items)),
            b'|' => None,
            _ => Some(Value::Array(items)),
        }
    }
}

/// The length of a string or an array. `None` is the null of RESP2.
fn length(digits: &[u8]) -> Result<Option<usize>, MalformedReply> {
    match number(digits)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| MalformedReply("a length below 0")),
    }
}

fn number(digits: &[u8]) -> Result<i64, MalformedReply> {
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or(MalformedReply("a number that is none"))
}

const TOO_LONG: MalformedReply = MalformedReply("a line without end");

/// End of a string, and of a line.
const END: &[u8] = b"\r\n";

/// Longest line: the longest error of a server is much shorter.
const MAX_LINE: usize = 64 << 10;

/// Deepest value. That of XREAD has 4 levels, that of CLUSTER SHARDS 5.
const MAX_DEPTH: usize = 16;

/// Shorter texts are copied out of the buffer, which they would keep otherwise.
const COPIED: usize = 4 << 10;

/// Memory of a value besides its bytes.
const VALUE: usize = size_of::<Value>();
