//! Bytes of MessagePack as values.

use alloc::{borrow::Cow, format, string::String, string::ToString, vec, vec::Vec};

use bytes::Bytes;
use rmp::Marker;

use super::date::iso;
use crate::{
    parser::PacketError,
    payload::{self, Number, Value},
};

/// Kind of messages, by the encoders that the other side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Packets of clients. A timestamp is an extension that they do not know.
    Packets,
    /// Messages between nodes, of encoders that write dates as timestamps.
    Nodes,
}

impl Dialect {
    /// Limit on levels of arrays and maps in a value.
    const fn max_depth(self) -> usize {
        match self {
            Self::Packets => MAX_PACKET_DEPTH,
            // A node has read the value of a client, possibly in JSON.
            Self::Nodes => payload::MAX_DEPTH,
        }
    }
}

/// Reads the values of one message from its first byte on.
pub(crate) struct Reader<'a> {
    message: &'a Bytes,
    rest: &'a [u8],
    dialect: Dialect,
    /// Values that must still come, of the lists and maps that are open. Each has at least one byte: when there are
    /// more than bytes, the message is refused. So lists of all levels together never reserve room ahead of the bytes.
    owed: u64,
}

/// The first bytes of a value: all of it, but for lists and maps.
#[derive(Debug, PartialEq)]
enum Head<'a> {
    Undefined,
    Text(&'a [u8]),
    Whole(Value),
    Array(usize),
    Map(usize),
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a Bytes, dialect: Dialect) -> Self {
        Self { message, rest: message, dialect, owed: 1 }
    }

    /// Reads the head of a map: the number of its members.
    pub(crate) fn map(&mut self) -> Result<usize, PacketError> {
        match self.head()? {
            Head::Map(count) => Ok(count),
            _ => Err(PacketError::UnknownType),
        }
    }

    /// Reads the head of an array: the number of its elements.
    pub(crate) fn array(&mut self) -> Result<usize, PacketError> {
        match self.head()? {
            Head::Array(count) => Ok(count),
            _ => Err(PacketError::InvalidPayload),
        }
    }

    /// Reads a member's name, and makes text of it as JavaScript does.
    pub(crate) fn name(&mut self) -> Result<Cow<'a, str>, PacketError> {
        let position = self.position();
        Ok(match self.head()? {
            Head::Text(bytes) => String::from_utf8_lossy(bytes),
            Head::Undefined => "undefined".into(),
            Head::Whole(Value::Null) => "null".into(),
            Head::Whole(Value::Bool(value)) => value.to_string().into(),
            Head::Whole(Value::Number(Number::Unsigned(number))) => number.to_string().into(),
            Head::Whole(Value::Number(Number::Negative(number))) => number.to_string().into(),
            Head::Whole(Value::Binary(bytes)) => {
                String::from_utf8_lossy(&bytes).into_owned().into()
            }
            _ => return Err(fault("a name of a member is no text", position)),
        })
    }

    /// Reads a value inside `depth` others, or `undefined`, which is none.
    pub(crate) fn value(&mut self, depth: usize) -> Result<Option<Value>, PacketError> {
        let head = self.head()?;
        let max = self.dialect.max_depth();
        if matches!(head, Head::Array(_) | Head::Map(_)) && depth >= max {
            return Err(PacketError::TooDeep { max });
        }
        Ok(Some(match head {
            Head::Undefined => return Ok(None),
            Head::Text(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
            Head::Whole(value) => value,
            Head::Array(count) => {
                let mut values = Vec::with_capacity(count);
                for _ in 0..count {
                    values.push(self.value(depth + 1)?.unwrap_or(Value::Null));
                }
                Value::Array(values)
            }
            Head::Map(count) => {
                let mut members = Vec::with_capacity(count);
                for _ in 0..count {
                    let name = self.name()?.into_owned();
                    if let Some(value) = self.value(depth + 1)? {
                        members.push((name, value));
                    }
                }
                Value::Object(members)
            }
        }))
    }

    /// Reads a value that is no array and no map, or nothing of those and of `undefined`.
    pub(crate) fn scalar(&mut self) -> Result<Option<Value>, PacketError> {
        Ok(match self.head()? {
            Head::Text(bytes) => Some(Value::String(String::from_utf8_lossy(bytes).into_owned())),
            Head::Whole(value) => Some(value),
            Head::Undefined | Head::Array(_) | Head::Map(_) => None,
        })
    }

    /// Passes over a value of whatever depth.
    pub(crate) fn skip(&mut self) -> Result<(), PacketError> {
        let end = self.owed.saturating_sub(1);
        while self.owed > end {
            self.head()?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), PacketError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(fault("trailing bytes", self.position()))
    }

    fn head(&mut self) -> Result<Head<'a>, PacketError> {
        self.owed = self.owed.saturating_sub(1);
        let position = self.position();
        let [marker] = self.bytes()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Head::Whole(Value::Null),
            Marker::False => Head::Whole(Value::Bool(false)),
            Marker::True => Head::Whole(Value::Bool(true)),
            Marker::Reserved => return Err(fault("an unknown marker", position)),

            Marker::FixPos(number) => unsigned(number),
            Marker::U8 => unsigned(u8::from_be_bytes(self.bytes()?)),
            Marker::U16 => unsigned(u16::from_be_bytes(self.bytes()?)),
            Marker::U32 => unsigned(u32::from_be_bytes(self.bytes()?)),
            Marker::U64 => unsigned(u64::from_be_bytes(self.bytes()?)),
            Marker::FixNeg(number) => signed(number),
            Marker::I8 => signed(i8::from_be_bytes(self.bytes()?)),
            Marker::I16 => signed(i16::from_be_bytes(self.bytes()?)),
            Marker::I32 => signed(i32::from_be_bytes(self.bytes()?)),
            Marker::I64 => signed(i64::from_be_bytes(self.bytes()?)),
            Marker::F32 => float(f32::from_be_bytes(self.bytes()?)),
            Marker::F64 => float(f64::from_be_bytes(self.bytes()?)),

            Marker::FixStr(length) => Head::Text(self.take(length.into())?),
            Marker::Str8 => Head::Text(self.length8().and_then(|length| self.take(length))?),
            Marker::Str16 => Head::Text(self.length16().and_then(|length| self.take(length))?),
            Marker::Str32 => Head::Text(self.length32().and_then(|length| self.take(length))?),
            Marker::Bin8 => self.length8().and_then(|length| self.binary(length))?,
            Marker::Bin16 => self.length16().and_then(|length| self.binary(length))?,
            Marker::Bin32 => self.length32().and_then(|length| self.binary(length))?,

            Marker::FixArray(count) => Head::Array(self.owe(count.into(), 1)?),
            Marker::Array16 => Head::Array(self.length16().and_then(|count| self.owe(count, 1))?),
            Marker::Array32 => Head::Array(self.length32().and_then(|count| self.owe(count, 1))?),
            Marker::FixMap(count) => Head::Map(self.owe(count.into(), 2)?),
            Marker::Map16 => Head::Map(self.length16().and_then(|count| self.owe(count, 2))?),
            Marker::Map32 => Head::Map(self.length32().and_then(|count| self.owe(count, 2))?),

            Marker::FixExt1 => self.extension(1, true)?,
            Marker::FixExt2 => self.extension(2, true)?,
            Marker::FixExt4 => self.extension(4, true)?,
            Marker::FixExt8 => self.extension(8, true)?,
            Marker::FixExt16 => self.extension(16, true)?,
            Marker::Ext8 => self.length8().and_then(|length| self.extension(length, false))?,
            Marker::Ext16 => self.length16().and_then(|length| self.extension(length, false))?,
            Marker::Ext32 => self.length32().and_then(|length| self.extension(length, false))?,
        })
    }

    /// Type 0 is whatever else JavaScript has: `undefined`, a date, and with a length of its own an `ArrayBuffer`.
    fn extension(&mut self, length: usize, fixed: bool) -> Result<Head<'a>, PacketError> {
        let kind = i8::from_be_bytes(self.bytes()?);
        match (kind, fixed, length) {
            (0, true, 1) => self.take(1).map(|_| Head::Undefined),
            (0, true, 8) => {
                let text = iso(i64::from_be_bytes(self.bytes()?));
                Ok(Head::Whole(text.map_or(Value::Null, Value::String)))
            }
            (0, false, _) => self.binary(length),
            (-1, _, 4 | 8 | 12) if self.dialect == Dialect::Nodes => {
                let text = self.timestamp(length)?.and_then(iso);
                Ok(Head::Whole(text.map_or(Value::Null, Value::String)))
            }
            _ => {
                let bytes = Value::Binary(self.shared(length)?);
                Ok(Head::Whole(Value::Array(vec![Value::Number(integer(kind.into())), bytes])))
            }
        }
    }

    /// Reads a timestamp in one of its three forms, in milliseconds. `None` if it is out of range.
    fn timestamp(&mut self, length: usize) -> Result<Option<i64>, PacketError> {
        let (seconds, nanoseconds) = match length {
            4 => (u32::from_be_bytes(self.bytes()?).into(), 0),
            8 => {
                let both = u64::from_be_bytes(self.bytes()?);
                // 30 bits of nanoseconds, 34 of seconds.
                ((both & 0x3_ffff_ffff).cast_signed(), both >> 34)
            }
            _ => {
                let nanoseconds = u32::from_be_bytes(self.bytes()?).into();
                (i64::from_be_bytes(self.bytes()?), nanoseconds)
            }
        };
        let milliseconds = (nanoseconds / 1_000_000).cast_signed();
        Ok(seconds.checked_mul(1000).and_then(|whole| whole.checked_add(milliseconds)))
    }

    fn binary(&mut self, length: usize) -> Result<Head<'a>, PacketError> {
        Ok(Head::Whole(Value::Binary(self.shared(length)?)))
    }

    fn shared(&mut self, length: usize) -> Result<Bytes, PacketError> {
        Ok(self.message.slice_ref(self.take(length)?))
    }

    /// Notes that a list of `count` times `each` values begins.
    fn owe(&mut self, count: usize, each: u64) -> Result<usize, PacketError> {
        // At most 2^33 more than bytes in the message: no overflow.
        self.owed += count as u64 * each;
        if self.owed > self.rest.len() as u64 {
            return Err(self.ends_early());
        }
        Ok(count)
    }

    fn length8(&mut self) -> Result<usize, PacketError> {
        Ok(u8::from_be_bytes(self.bytes()?).into())
    }

    fn length16(&mut self) -> Result<usize, PacketError> {
        Ok(u16::from_be_bytes(self.bytes()?).into())
    }

    fn length32(&mut self) -> Result<usize, PacketError> {
        let length = u32::from_be_bytes(self.bytes()?);
        usize::try_from(length).map_err(|_| self.ends_early())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], PacketError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(|| self.ends_early())?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PacketError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.ends_early())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn position(&self) -> usize {
        self.message.len() - self.rest.len()
    }

    fn ends_early(&self) -> PacketError {
        PacketError::Syntax(format!("the message of {} bytes ends early", self.message.len()))
    }
}

fn fault(what: &str, position: usize) -> PacketError {
    PacketError::Syntax(format!("{what} at byte {position}"))
}

fn unsigned<'a>(number: impl Into<u64>) -> Head<'a> {
    Head::Whole(Value::Number(Number::Unsigned(number.into())))
}

fn signed<'a>(number: impl Into<i64>) -> Head<'a> {
    Head::Whole(Value::Number(integer(number.into())))
}

fn float<'a>(number: impl Into<f64>) -> Head<'a> {
    Head::Whole(Value::Number(Number::Float(number.into())))
}

fn integer(number: i64) -> Number {
    u64::try_from(number).map_or(Number::Negative(number), Number::Unsigned)
}

/// Levels of arrays and maps in a packet, whose payload is the first of them.
pub(crate) const MAX_PACKET_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two lists, of five and six values, then as many values of a byte.
    fn lists(values: usize) -> Bytes {
        [vec![0xdd, 0, 0, 0, 5, 0xdc, 0, 6], vec![0xc0; values]].concat().into()
    }

    #[test]
    fn lists_in_lists_are_refused_when_they_announce_more_values_than_bytes() {
        let enough = lists(4 + 6);
        let mut reader = Reader::new(&enough, Dialect::Packets);
        assert_eq!(reader.head(), Ok(Head::Array(5)));
        assert_eq!(reader.head(), Ok(Head::Array(6)));
        assert_eq!(Reader::new(&enough, Dialect::Packets).skip(), Ok(()));

        let fewer = lists(4 + 6 - 1);
        let mut reader = Reader::new(&fewer, Dialect::Packets);
        assert_eq!(reader.head(), Ok(Head::Array(5)));
        assert_eq!(reader.head(), Err(reader.ends_early()));
        assert_eq!(reader.position(), 8, "nothing behind the second head was read");
    }

    #[test]
    fn maps_announce_two_values_for_each_member() {
        for (values, refused) in [(7, true), (8, false)] {
            let message = [vec![0x84], vec![0xc0; values]].concat().into();
            assert_eq!(Reader::new(&message, Dialect::Packets).head().is_err(), refused);
        }
    }
}
