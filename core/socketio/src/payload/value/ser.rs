//! Values into a serializer, and a serializer that makes values.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use bytes::Bytes;
use serde::{
    Serialize, Serializer,
    ser::{self, Error, SerializeMap, SerializeSeq},
};

use super::{
    super::{
        attachment,
        error::EncodeError,
        reader::RAW_VALUE,
        spread::Sink,
        writer::{KeySerializer, KeySink, NUMBER},
    },
    Number, Value,
};

type Result<T> = core::result::Result<T, EncodeError>;

/// Binary data are serialized as bytes.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        match self {
            // Not as `()`, which is no argument at all.
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(Number::Unsigned(number)) => serializer.serialize_u64(*number),
            Self::Number(Number::Negative(number)) => serializer.serialize_i64(*number),
            Self::Number(Number::Float(number)) => serializer.serialize_f64(*number),
            Self::String(text) => serializer.serialize_str(text),
            Self::Binary(bytes) => serializer.serialize_bytes(bytes),
            Self::Array(elements) => {
                let mut array = serializer.serialize_seq(Some(elements.len()))?;
                elements.iter().try_for_each(|element| array.serialize_element(element))?;
                array.end()
            }
            Self::Object(members) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(key, value)| object.serialize_entry(key, value))?;
                object.end()
            }
        }
    }
}

/// Serializer that makes values: a stack, on whose top a compound finds its elements at its end.
pub(in crate::payload) struct ValueWriter<'a> {
    stack: Vec<Value>,
    /// Binary data that an [`Attachment`](super::super::Attachment) stands for.
    attachments: &'a [Bytes],
    arguments: usize,
}

impl<'a> ValueWriter<'a> {
    pub(in crate::payload) fn new(attachments: &'a [Bytes]) -> Self {
        Self { stack: Vec::new(), attachments, arguments: 0 }
    }

    pub(in crate::payload) fn value<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Value> {
        value.serialize(&mut self)?;
        self.stack.pop().ok_or_else(|| EncodeError::new("nothing was serialized"))
    }

    /// All values that were written.
    pub(in crate::payload) fn into_values(self) -> Vec<Value> {
        self.stack
    }

    /// The argument that was begun last, if one was.
    pub(in crate::payload) fn argument(&self) -> Option<usize> {
        self.arguments.checked_sub(1)
    }

    fn push(&mut self, value: impl Into<Value>) -> Result<()> {
        self.stack.push(value.into());
        Ok(())
    }

    fn compound<'w>(&'w mut self, variant: Option<&'static str>) -> Compound<'w, 'a> {
        let start = self.stack.len();
        Compound { writer: self, start, keys: Vec::new(), variant, kind: Kind::Plain }
    }
}

impl Sink for ValueWriter<'_> {
    fn event(&mut self, name: &str) {
        self.stack.push(name.into());
    }

    fn begin_argument(&mut self) {
        self.arguments += 1;
    }

    fn write_argument<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.begin_argument();
        value.serialize(self)
    }
}

macro_rules! push {
    ($($method:ident($type:ty))*) => { $(
        fn $method(self, value: $type) -> Result<()> {
            self.push(value)
        }
    )* };
}

impl<'w, 'a> Serializer for &'w mut ValueWriter<'a> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'w, 'a>;
    type SerializeTuple = Compound<'w, 'a>;
    type SerializeTupleStruct = Compound<'w, 'a>;
    type SerializeTupleVariant = Compound<'w, 'a>;
    type SerializeMap = Compound<'w, 'a>;
    type SerializeStruct = Compound<'w, 'a>;
    type SerializeStructVariant = Compound<'w, 'a>;

    push! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_str(&str)
    }

    fn serialize_i128(self, number: i128) -> Result<()> {
        match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => self.push(number),
            (_, Ok(number)) => self.push(number),
            _ => Err(EncodeError::new("number out of range")),
        }
    }

    fn serialize_u128(self, number: u128) -> Result<()> {
        match u64::try_from(number) {
            Ok(number) => self.push(number),
            Err(_) => Err(EncodeError::new("number out of range")),
        }
    }

    fn serialize_f32(self, number: f32) -> Result<()> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<()> {
        self.push(number.is_finite().then_some(number))
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.push(Bytes::copy_from_slice(bytes))
    }

    fn serialize_none(self) -> Result<()> {
        self.push(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.push(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.push(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<()> {
        self.push(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        let start = self.stack.len();
        value.serialize(&mut *self)?;
        let values = self.stack.split_off(start);
        self.push(values.into_iter().map(|value| (variant.to_owned(), value)).collect::<Vec<_>>())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Compound<'w, 'a>> {
        Ok(self.compound(None))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Compound<'w, 'a>> {
        Ok(self.compound(None))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Compound<'w, 'a>> {
        Ok(self.compound(None))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'w, 'a>> {
        Ok(self.compound(Some(variant)))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Compound<'w, 'a>> {
        Ok(self.compound(None))
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Compound<'w, 'a>> {
        let kind = match name {
            attachment::NAME => Kind::Attachment,
            RAW_VALUE | NUMBER => Kind::Raw,
            _ => Kind::Plain,
        };
        Ok(Compound { kind, ..self.compound(None) })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'w, 'a>> {
        Ok(self.compound(Some(variant)))
    }
}

/// An array or an object, whose values lie on the stack from `start` on.
pub(in crate::payload) struct Compound<'w, 'a> {
    writer: &'w mut ValueWriter<'a>,
    start: usize,
    keys: Vec<String>,
    variant: Option<&'static str>,
    kind: Kind,
}

enum Kind {
    Plain,
    Attachment,
    /// The only field is a string of JSON.
    Raw,
}

impl Compound<'_, '_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.writer)
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<()> {
        self.keys.push(key.to_owned());
        self.element(value)
    }

    fn finish(self, value: impl Into<Value>) -> Result<()> {
        match self.variant {
            Some(variant) => self.writer.push(alloc::vec![(variant.to_owned(), value.into())]),
            None => self.writer.push(value),
        }
    }

    fn array(self) -> Result<()> {
        let elements = self.writer.stack.split_off(self.start);
        self.finish(elements)
    }

    fn object(mut self) -> Result<()> {
        let values = self.writer.stack.split_off(self.start);
        match self.kind {
            Kind::Plain => {
                let keys = core::mem::take(&mut self.keys);
                self.finish(keys.into_iter().zip(values).collect::<Vec<_>>())
            }
            Kind::Attachment => {
                let number = values.last().and_then(Value::as_u64);
                let number = number.and_then(|number| usize::try_from(number).ok());
                match number.and_then(|number| self.writer.attachments.get(number)) {
                    Some(bytes) => self.writer.push(bytes.clone()),
                    None => Err(match number {
                        Some(number) => {
                            Error::custom(format_args!("attachment {number} was not given"))
                        }
                        None => EncodeError::new("an attachment has a number"),
                    }),
                }
            }
            Kind::Raw => {
                let json = values.first().and_then(Value::as_str).unwrap_or_default();
                let value = serde_json::from_str::<Value>(json).map_err(EncodeError::custom)?;
                self.writer.push(value)
            }
        }
    }
}

impl ser::SerializeSeq for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.array()
    }
}

impl ser::SerializeTuple for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.array()
    }
}

impl ser::SerializeTupleStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.array()
    }
}

impl ser::SerializeTupleVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.array()
    }
}

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        key.serialize(KeySerializer(&mut self.keys))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.object()
    }
}

impl ser::SerializeStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<()> {
        self.field(key, value)
    }

    fn end(self) -> Result<()> {
        self.object()
    }
}

impl ser::SerializeStructVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<()> {
        self.field(key, value)
    }

    fn end(self) -> Result<()> {
        self.object()
    }
}

impl KeySink for &mut Vec<String> {
    fn write_key(self, key: &str) {
        self.push(key.to_owned());
    }
}
