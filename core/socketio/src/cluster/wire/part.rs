//! Parts of a message, read as they are needed: in JSON or in MessagePack.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use enginewire::Text;

use super::{event::WireFault, ids};
use crate::{
    Room,
    msgpack::{Dialect, Reader},
    parser::PacketError,
    payload::{Args, Elements, Members, Number, Payload, Value, unescape_lossy, validate_json},
};

/// A message that is well-formed.
pub(super) enum Whole {
    Json(Text),
    MessagePack(Bytes),
}

/// A value in a message, which stands first.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Json(&'a Text, &'a str),
    MessagePack(&'a Bytes, &'a [u8]),
}

type Result<T> = core::result::Result<T, WireFault>;

impl Whole {
    /// Takes a whole message: JSON if it begins with a brace, as the reference tells it.
    pub(super) fn of_message(message: Bytes) -> Result<Self> {
        match message.first() {
            Some(b'{') => Self::of_json(message),
            _ => Self::of_msgpack(message),
        }
    }

    /// Takes a whole message in JSON. Bytes that are not UTF-8 become replacement characters.
    pub(super) fn of_json(message: Bytes) -> Result<Self> {
        let text = Text::from_utf8(message)
            .unwrap_or_else(|bytes| String::from_utf8_lossy(&bytes).into_owned().into());
        validate_json(&text)
            .map_err(|error| PacketError::Syntax(format!("not JSON at byte {}", error.column())))?;
        Ok(Self::Json(text))
    }

    /// Takes a whole message in MessagePack.
    pub(super) fn of_msgpack(message: Bytes) -> Result<Self> {
        if message.is_empty() {
            return Err(PacketError::Empty.into());
        }
        let mut reader = Reader::new(&message, Dialect::Nodes);
        reader.skip()?;
        reader.finish()?;
        Ok(Self::MessagePack(message))
    }

    /// The value that is the whole message.
    pub(super) fn part(&self) -> Part<'_> {
        match self {
            Self::Json(text) => Part::Json(text, text),
            Self::MessagePack(bytes) => Part::MessagePack(bytes, bytes),
        }
    }
}

impl<'a> Part<'a> {
    /// The members of an object that have these names. Of two with the same name the last counts.
    ///
    /// `undefined` is no member. `what` is the object, for the error if it is none.
    pub(super) fn members<const N: usize>(
        self,
        what: &'static str,
        names: [&str; N],
    ) -> Result<[Option<Self>; N]> {
        let mut found = [const { None }; N];
        let index = |name: &[u8]| names.iter().position(|wanted| wanted.as_bytes() == name);
        match self {
            Self::Json(whole, text) => {
                if !text.starts_with('{') {
                    return Err(WireFault::Member(what));
                }
                let mut unescaped = String::new();
                for (name, value) in Members::new(text) {
                    let name = match name.contains('\\') {
                        true => {
                            unescaped.clear();
                            unescape_lossy(name, &mut unescaped);
                            &unescaped
                        }
                        false => name,
                    };
                    if let Some(index) = index(name.as_bytes()) {
                        found[index] = Some(Self::Json(whole, value));
                    }
                }
            }
            Self::MessagePack(whole, bytes) => {
                let mut reader = Reader::of_part(whole, bytes, Dialect::Nodes);
                let count = reader.map().map_err(|_| WireFault::Member(what))?;
                for _ in 0..count {
                    let index = index(&reader.name_bytes()?);
                    let part = Self::MessagePack(whole, reader.pass()?);
                    if let Some(index) = index {
                        found[index] = Some(part).filter(|part| !part.is_undefined());
                    }
                }
            }
        }
        Ok(found)
    }

    /// Calls `f` with each element of an array, until it fails. `what` is the array, for the error if it is none.
    pub(super) fn each(
        self,
        what: &'static str,
        mut f: impl FnMut(Self) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Json(whole, text) if text.starts_with('[') => {
                Elements::new(text).try_for_each(|element| f(Self::Json(whole, element)))
            }
            Self::Json(..) => Err(WireFault::Member(what)),
            Self::MessagePack(whole, bytes) => {
                let mut reader = Reader::of_part(whole, bytes, Dialect::Nodes);
                let count = reader.array().map_err(|_| WireFault::Member(what))?;
                for _ in 0..count {
                    f(Self::MessagePack(whole, reader.pass()?))?;
                }
                Ok(())
            }
        }
    }

    /// The number of elements of an array, as far as its bytes can have them. Each takes at least so many bytes.
    pub(super) fn capacity(self, least: usize) -> usize {
        match self {
            Self::Json(_, text) => Elements::new(text).count().min(text.len() / least),
            Self::MessagePack(whole, bytes) => {
                let count = Reader::of_part(whole, bytes, Dialect::Nodes).array();
                count.unwrap_or_default().min(bytes.len() / least)
            }
        }
    }

    /// The rooms of a list. Absent and null are none.
    pub(super) fn rooms(list: Option<Self>, what: &'static str) -> Result<Vec<Room>> {
        let mut rooms = Vec::new();
        if let Some(list) = list.filter(|list| !list.is_null()) {
            rooms.reserve_exact(list.capacity(1));
            list.each(what, |room| {
                rooms.push(room.room().ok_or(WireFault::Member(what))?);
                Ok(())
            })?;
        }
        Ok(rooms)
    }

    /// The name of a room, which applications of Node.js also give as a number.
    pub(super) fn room(self) -> Option<Room> {
        let name = match self.scalar()? {
            Value::String(name) => name,
            Value::Number(Number::Unsigned(number)) => number.to_string(),
            Value::Number(Number::Negative(number)) => number.to_string(),
            Value::Number(Number::Float(number)) => number.to_string(),
            _ => return None,
        };
        Some(Room::of_another_node(name))
    }

    pub(super) fn text(self) -> Option<String> {
        match self.scalar()? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text of an id of a node or a request.
    pub(super) fn id(self, what: &'static str) -> Result<Arc<str>> {
        let text = self.text().ok_or(WireFault::Member(what))?;
        ids::checked(&text)
    }

    pub(super) fn number(self) -> Option<f64> {
        self.scalar()?.as_f64()
    }

    /// The integer, of which JavaScript has no type.
    pub(super) fn integer(self) -> Option<u64> {
        let number = self.number()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "compared with the float again"
        )]
        let integer = number as u64;
        (integer as f64 == number).then_some(integer)
    }

    pub(super) fn bool(self) -> Option<bool> {
        self.scalar()?.as_bool()
    }

    pub(super) fn is_null(self) -> bool {
        match self {
            Self::Json(_, text) => text == "null",
            Self::MessagePack(_, bytes) => *bytes == [NIL] || self.is_undefined(),
        }
    }

    /// The value with all that is inside.
    pub(super) fn payload(self) -> Result<Payload> {
        match self {
            Self::Json(whole, text) => {
                let is_small = is_small(text.len(), whole.len());
                let text = if is_small { text.to_owned().into() } else { within(whole, text) };
                Ok(Payload::from_json(text, 0, Vec::new()))
            }
            Self::MessagePack(whole, bytes) => value(whole, bytes).map(Payload::from_value),
        }
    }

    /// The arguments of an event, an array with the name first.
    pub(super) fn args(self, what: &'static str) -> Result<Args> {
        let is_array = match self {
            Self::Json(_, text) => text.starts_with('['),
            Self::MessagePack(whole, bytes) => {
                Reader::of_part(whole, bytes, Dialect::Nodes).array().is_ok()
            }
        };
        if !is_array {
            return Err(WireFault::Member(what));
        }
        self.payload().map(Args::from_payload)
    }

    /// The value as the only argument of an acknowledgement.
    pub(super) fn argument(self) -> Result<Args> {
        match self {
            Self::Json(_, text) => {
                let list = ["[", text, "]"].concat();
                Ok(Args::from_payload(Payload::from_json(list.into(), 0, Vec::new())))
            }
            Self::MessagePack(whole, bytes) => Ok(Args::from_values([value(whole, bytes)?].into())),
        }
    }

    /// The value, unless it is an array or an object.
    fn scalar(self) -> Option<Value> {
        match self {
            Self::Json(_, text) => match text.as_bytes().first()? {
                b'[' | b'{' => None,
                b'"' => {
                    let raw = text.strip_prefix('"')?.strip_suffix('"')?;
                    let mut text = String::new();
                    unescape_lossy(raw, &mut text);
                    Some(Value::String(text))
                }
                b't' => Some(Value::Bool(true)),
                b'f' => Some(Value::Bool(false)),
                b'n' => Some(Value::Null),
                _ => Some(match (text.parse::<u64>(), text.parse::<i64>()) {
                    (Ok(number), _) => number.into(),
                    (_, Ok(number)) => number.into(),
                    _ => text.parse::<f64>().ok()?.into(),
                }),
            },
            Self::MessagePack(whole, bytes) => {
                Reader::of_part(whole, bytes, Dialect::Nodes).scalar().ok().flatten()
            }
        }
    }

    /// Whether it is what notepack 2 writes for `undefined`.
    fn is_undefined(self) -> bool {
        matches!(self, Self::MessagePack(_, [FIXEXT_1, 0, _]))
    }
}

impl From<PacketError> for WireFault {
    fn from(error: PacketError) -> Self {
        Self::Unreadable(error)
    }
}

/// The value of a part. `undefined` is null.
fn value(whole: &Bytes, part: &[u8]) -> Result<Value> {
    let value = if is_small(part.len(), whole.len()) {
        Reader::new(&Bytes::copy_from_slice(part), Dialect::Nodes).value(0)?
    } else {
        Reader::of_part(whole, part, Dialect::Nodes).value(0)?
    };
    Ok(value.unwrap_or(Value::Null))
}

/// Whether a value is copied out of its message, because keeping it would keep all of that.
///
/// So it keeps four times its size at most. Copying costs a quarter of the message at most, or all of it once where it
/// has many values.
const fn is_small(size: usize, whole: usize) -> bool {
    whole > SMALL && size < whole / 4
}

/// A part of a text that shares its storage.
fn within(whole: &Text, part: &str) -> Text {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    whole.slice(start..start.wrapping_add(part.len()))
}

const NIL: u8 = 0xc0;
const FIXEXT_1: u8 = 0xd4;

/// Messages up to this size stay with any of their values. Of most that have one event, it is not a quarter.
const SMALL: usize = 1024;
