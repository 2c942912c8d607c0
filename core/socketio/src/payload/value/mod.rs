//! A payload of any shape.

mod de;
mod reader;
mod ser;

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use bytes::Bytes;
use serde::{
    Serialize,
    de::{Unexpected, Visitor},
};

pub(super) use self::{
    reader::{Leaves, ValueReader},
    ser::ValueWriter,
};
use super::error::{DecodeError, EncodeError};

/// Value of any shape: what JSON has, and binary data.
///
/// Values that come from a peer are at most 128 levels deep. Reading JSON is bounded by that, and so must be a parser
/// of another format. Comparing, cloning and dropping a value recurse into it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(String),
    /// Binary data: a `Buffer`, an `ArrayBuffer` or a typed array in JavaScript.
    Binary(Bytes),
    /// Values in order.
    Array(Vec<Value>),
    /// Members in the order in which they were written. Of two with the same name the last counts.
    Object(Vec<(String, Value)>),
}

/// Number of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Negative(i64),
    /// Any other number. JSON has no infinite ones and writes them as `null`.
    Float(f64),
}

/// Levels of nesting that a value from a peer may have.
///
/// It is serde_json's limit. The stack of a thread bears a multiple, also without optimization.
pub const MAX_DEPTH: usize = 128;

impl Value {
    /// Makes a value of anything that serde can serialize.
    ///
    /// Bytes become [`Value::Binary`] and are copied. Infinite numbers and NaN become `null`.
    ///
    /// # Errors
    ///
    /// If `value` fails to serialize, has a key that is no string, or an integer of more than 64 bits.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodeError> {
        ValueWriter::new(&[]).value(value)
    }

    /// Returns the bytes of its texts and binary data, and a byte for everything else.
    pub(super) fn size(&self) -> usize {
        let sum = |sum: usize, size| sum.saturating_add(size);
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => 1,
            Self::String(text) => 1 + text.len(),
            Self::Binary(bytes) => 1 + bytes.len(),
            Self::Array(values) => values.iter().map(Self::size).fold(1, sum),
            Self::Object(members) => {
                members.iter().map(|(name, value)| name.len() + value.size()).fold(1, sum)
            }
        }
    }

    /// Returns whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the number as an integer, if it is one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(Number::Unsigned(number)) => Some(*number),
            _ => None,
        }
    }

    /// Returns the number as an integer, if it is one and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(Number::Unsigned(number)) => i64::try_from(*number).ok(),
            Self::Number(Number::Negative(number)) => Some(*number),
            _ => None,
        }
    }

    /// Returns the number, rounded to the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    /// Returns the text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the binary data, if it is such. A clone of them shares the storage.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// Returns the members, if it is an object.
    pub fn as_object(&self) -> Option<&[(String, Value)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns a member of an object; of two with the same name the last.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let members = self.as_object()?;
        members.iter().rev().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Converts it to a value of serde_json.
    ///
    /// # Errors
    ///
    /// If there are binary data in it, which JSON does not have.
    pub fn to_json(&self) -> Result<serde_json::Value, EncodeError> {
        use serde_json::Value as Json;
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(Number::Unsigned(number)) => Json::from(*number),
            Self::Number(Number::Negative(number)) => Json::from(*number),
            Self::Number(Number::Float(number)) => Json::from(*number),
            Self::String(text) => Json::String(text.clone()),
            Self::Binary(_) => return Err(EncodeError::new("JSON has no binary data")),
            Self::Array(elements) => {
                Json::Array(elements.iter().map(Self::to_json).collect::<Result<_, _>>()?)
            }
            Self::Object(members) => {
                let members =
                    members.iter().map(|(key, value)| Ok((key.clone(), value.to_json()?)));
                Json::Object(members.collect::<Result<_, EncodeError>>()?)
            }
        })
    }
}

impl Number {
    /// Returns the number, rounded to the nearest float.
    pub fn as_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "as the documentation says")]
        match self {
            Self::Unsigned(number) => number as f64,
            Self::Negative(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            Self::Unsigned(number) => visitor.visit_u64(number),
            Self::Negative(number) => visitor.visit_i64(number),
            Self::Float(number) => visitor.visit_f64(number),
        }
    }

    pub(super) fn unexpected(self) -> Unexpected<'static> {
        match self {
            Self::Unsigned(number) => Unexpected::Unsigned(number),
            Self::Negative(number) => Unexpected::Signed(number),
            Self::Float(number) => Unexpected::Float(number),
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Unsigned(number)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        u64::try_from(number).map_or(Self::Negative(number), Self::Unsigned)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

macro_rules! from_number {
    ($($type:ty => $wide:ty),*) => { $(
        impl From<$type> for Value {
            fn from(number: $type) -> Self {
                Self::Number(Number::from(<$wide>::from(number)))
            }
        }
    )* };
}

from_number! {
    u8 => u64, u16 => u64, u32 => u64, u64 => u64,
    i8 => i64, i16 => i64, i32 => i64, i64 => i64,
    f32 => f64, f64 => f64
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(Number::Unsigned(number as u64))
    }
}

impl From<isize> for Value {
    fn from(number: isize) -> Self {
        Self::Number(Number::from(number as i64))
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::Array(elements)
    }
}

impl From<Vec<(String, Value)>> for Value {
    fn from(members: Vec<(String, Value)>) -> Self {
        Self::Object(members)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => {
                let integer = number.as_u64().map(Number::from);
                let integer = integer.or_else(|| number.as_i64().map(Number::from));
                // Only a number of arbitrary precision can be out of range.
                Self::Number(integer.unwrap_or(Number::Float(number.as_f64().unwrap_or(f64::NAN))))
            }
            Json::String(text) => Self::String(text),
            Json::Array(elements) => Self::Array(elements.into_iter().map(Self::from).collect()),
            Json::Object(members) => {
                Self::Object(members.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

impl TryFrom<Value> for serde_json::Value {
    type Error = EncodeError;

    /// Converts as [`Value::to_json`] does.
    fn try_from(value: Value) -> Result<Self, EncodeError> {
        value.to_json()
    }
}
