//! Elements, members and variants, which visitors walk through.

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
        Visitor, value::BorrowedStrDeserializer,
    },
};

use super::{DecodeError, RAW_VALUE, Reader, Result};

/// Elements of an array.
pub(super) struct Seq<'r, 'de, 'p> {
    reader: &'r mut Reader<'de, 'p>,
    is_first: bool,
}

impl<'r, 'de, 'p> Seq<'r, 'de, 'p> {
    pub(super) fn new(reader: &'r mut Reader<'de, 'p>) -> Self {
        Self { reader, is_first: true }
    }
}

impl<'de> SeqAccess<'de> for Seq<'_, 'de, '_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.reader.next_element(self.is_first)? {
            return Ok(None);
        }
        self.is_first = false;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// Members of an object.
pub(super) struct Map<'r, 'de, 'p> {
    reader: &'r mut Reader<'de, 'p>,
    is_first: bool,
}

impl<'r, 'de, 'p> Map<'r, 'de, 'p> {
    pub(super) fn new(reader: &'r mut Reader<'de, 'p>) -> Self {
        Self { reader, is_first: true }
    }
}

impl<'de> MapAccess<'de> for Map<'_, 'de, '_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.reader.next_member(self.is_first)? {
            return Ok(None);
        }
        self.is_first = false;
        let result = seed.deserialize(self.reader.string()?);
        self.reader.locate(result).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        self.reader.colon()?;
        seed.deserialize(&mut *self.reader)
    }
}

/// Variant of an enum that is an object with one member.
pub(super) struct Enum<'r, 'de, 'p>(&'r mut Reader<'de, 'p>);

impl<'r, 'de, 'p> Enum<'r, 'de, 'p> {
    pub(super) fn new(reader: &'r mut Reader<'de, 'p>) -> Self {
        Self(reader)
    }
}

impl<'de> EnumAccess<'de> for Enum<'_, 'de, '_> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        if !self.0.next_member(true)? {
            return Err(self.0.fault("an object without members is no enum"));
        }
        let result = seed.deserialize(self.0.string()?);
        let variant = self.0.locate(result)?;
        self.0.colon()?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Enum<'_, 'de, '_> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.0.deserialize_struct("", fields, visitor)
    }
}

/// Bytes of an attachment, one by one: for `Vec<u8>`.
pub(in crate::payload) struct BinarySeq<'de>(core::slice::Iter<'de, u8>);

impl<'de> BinarySeq<'de> {
    pub(in crate::payload) fn new(bytes: &'de [u8]) -> Self {
        Self(bytes.iter())
    }
}

impl<'de> SeqAccess<'de> for BinarySeq<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.0.next().map(|&byte| seed.deserialize(byte.into_deserializer())).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The text of a value, as serde_json's `RawValue` takes it.
pub(super) struct Raw<'de> {
    json: &'de str,
    has_key: bool,
}

impl<'de> Raw<'de> {
    pub(super) fn new(json: &'de str) -> Self {
        Self { json, has_key: true }
    }
}

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !core::mem::take(&mut self.has_key) {
            return Ok(None);
        }
        seed.deserialize(BorrowedStrDeserializer::new(RAW_VALUE)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(BorrowedStrDeserializer::new(self.json))
    }
}
