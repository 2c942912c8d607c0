//! Deserializer out of values.

use alloc::{string::String, vec::Vec};
use core::cell::OnceCell;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
        Visitor,
    },
    forward_to_deserialize_any,
};

use super::{
    super::{
        attachment,
        error::DecodeError,
        reader::{BinarySeq, Key, UnitOnly},
    },
    Value,
};

type Result<T> = core::result::Result<T, DecodeError>;

/// Binary data of a payload, by which an [`Attachment`](super::super::Attachment) finds its number.
pub(in crate::payload) struct Leaves<'de> {
    root: &'de Value,
    /// Address and number of each, sorted, from the first time that one is asked for.
    numbers: OnceCell<Vec<(usize, usize)>>,
}

impl<'de> Leaves<'de> {
    pub(in crate::payload) fn new(root: &'de Value) -> Self {
        Self { root, numbers: OnceCell::new() }
    }

    /// Calls `f` with each of them, in the order in which they are written.
    pub(in crate::payload) fn for_each(root: &'de Value, mut f: impl FnMut(&'de Bytes)) {
        let mut open: Vec<&Value> = alloc::vec![root];
        while let Some(value) = open.pop() {
            match value {
                Value::Binary(bytes) => f(bytes),
                Value::Array(elements) => open.extend(elements.iter().rev()),
                Value::Object(members) => open.extend(members.iter().rev().map(|(_, value)| value)),
                _ => {}
            }
        }
    }

    fn number(&self, bytes: &'de Bytes) -> Option<usize> {
        let address = |bytes: &Bytes| core::ptr::from_ref(bytes).addr();
        let numbers = self.numbers.get_or_init(|| {
            let mut numbers = Vec::new();
            Self::for_each(self.root, |bytes| numbers.push((address(bytes), numbers.len())));
            numbers.sort_unstable();
            numbers
        });
        let found = numbers.binary_search_by_key(&address(bytes), |&(address, _)| address).ok()?;
        Some(numbers[found].1)
    }
}

/// Deserializer of a value, and of a payload of values if it has the `leaves`.
#[derive(Clone, Copy)]
pub(in crate::payload) struct ValueReader<'a, 'de> {
    value: &'de Value,
    leaves: Option<&'a Leaves<'de>>,
}

impl<'a, 'de> ValueReader<'a, 'de> {
    pub(in crate::payload) fn new(value: &'de Value, leaves: Option<&'a Leaves<'de>>) -> Self {
        Self { value, leaves }
    }

    fn with(self, value: &'de Value) -> Self {
        Self { value, ..self }
    }

    fn invalid_type<T>(self, expected: &dyn serde::de::Expected) -> Result<T> {
        let found = match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => number.unexpected(),
            Value::String(text) => Unexpected::Str(text),
            Value::Binary(bytes) => Unexpected::Bytes(bytes),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        Err(Error::invalid_type(found, expected))
    }

    fn array<V: Visitor<'de>>(self, elements: &'de [Value], visitor: V) -> Result<V::Value> {
        let mut elements = Elements { reader: self, rest: elements.iter() };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.rest.len() {
            0 => Ok(value),
            _ => Err(DecodeError::new("more elements than expected")),
        }
    }

    fn object<V: Visitor<'de>>(
        self,
        members: &'de [(String, Value)],
        visitor: V,
    ) -> Result<V::Value> {
        let mut members = Members { reader: self, rest: members.iter(), value: None };
        let value = visitor.visit_map(&mut members)?;
        match members.rest.len() {
            0 => Ok(value),
            _ => Err(DecodeError::new("more members than expected")),
        }
    }

    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Number(number) => number.visit(visitor),
            _ => self.invalid_type(&visitor),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.number(visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for ValueReader<'_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => number.visit(visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Binary(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::Array(elements) => self.array(elements, visitor),
            Value::Object(members) => self.object(members, visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::String(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            Value::Binary(_) | Value::Array(_) => self.deserialize_any(visitor),
            _ => self.invalid_type(&visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Array(elements) => self.array(elements, visitor),
            Value::Binary(bytes) => visitor.visit_seq(BinarySeq::new(bytes)),
            _ => self.invalid_type(&visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Object(members) => self.object(members, visitor),
            _ => self.invalid_type(&visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.value {
            Value::Binary(bytes) if name == attachment::NAME => {
                match self.leaves.and_then(|leaves| leaves.number(bytes)) {
                    Some(number) => visitor.visit_u64(number as u64),
                    None => Err(DecodeError::new("an attachment belongs to a packet")),
                }
            }
            _ if name == attachment::NAME => self.invalid_type(&visitor),
            Value::Array(elements) => self.array(elements, visitor),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.value {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(members) => match members.as_slice() {
                [(name, content)] => {
                    visitor.visit_enum(Variant { name, content: Some(self.with(content)) })
                }
                _ => Err(DecodeError::new("an enum is an object with one member")),
            },
            _ => self.invalid_type(&visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => self.invalid_type(&visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            _ => self.invalid_type(&visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            _ => self.invalid_type(&visitor),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    forward_to_deserialize_any! { identifier }
}

/// Elements of an array that were not read yet.
struct Elements<'a, 'de> {
    reader: ValueReader<'a, 'de>,
    rest: core::slice::Iter<'de, Value>,
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.rest.next().map(|value| seed.deserialize(self.reader.with(value))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// Members of an object that were not read yet.
struct Members<'a, 'de> {
    reader: ValueReader<'a, 'de>,
    rest: core::slice::Iter<'de, (String, Value)>,
    value: Option<&'de Value>,
}

impl<'de> MapAccess<'de> for &mut Members<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Key::Borrowed(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        match self.value.take() {
            Some(value) => seed.deserialize(self.reader.with(value)),
            None => Err(DecodeError::new("a value was asked for before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// Variant of an enum: a string, or the only member of an object.
struct Variant<'a, 'de> {
    name: &'de str,
    content: Option<ValueReader<'a, 'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        Ok((seed.deserialize(Key::Borrowed(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        self.content.map_or(Ok(()), Deserialize::deserialize)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        match self.content {
            Some(content) => seed.deserialize(content),
            None => UnitOnly.newtype_variant_seed(seed),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        match self.content {
            Some(content) => content.deserialize_tuple(len, visitor),
            None => UnitOnly.tuple_variant(len, visitor),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.content {
            Some(content) => content.deserialize_struct("", fields, visitor),
            None => UnitOnly.struct_variant(fields, visitor),
        }
    }
}

macro_rules! forward {
    ($($method:ident($($arg:ident: $type:ty),*))*) => { $(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value> {
            ValueReader::new(self, None).$method($($arg,)* visitor)
        }
    )* };
}

/// Text and binary data are borrowed from the value.
impl<'de> Deserializer<'de> for &'de Value {
    type Error = DecodeError;

    forward! {
        deserialize_any() deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option()
        deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str) deserialize_seq()
        deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_identifier() deserialize_ignored_any()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}
