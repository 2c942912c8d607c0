//! Deserializers, which give types what they ask for.

use serde::{
    Deserializer,
    de::{Error, Unexpected, Visitor},
    forward_to_deserialize_any,
};

use super::{
    BinarySeq, DecodeError, RAW_VALUE, Reader, Result,
    access::{Enum, Raw},
};
use crate::payload::attachment;

impl<'de> Deserializer<'de> for &mut Reader<'de, '_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let result = self.any(visitor);
        self.locate(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(b"tf", visitor, Reader::any)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, |reader, visitor| match reader.digits().parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => Err(reader.fault("number out of range")),
        })
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, |reader, visitor| match reader.digits().parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => Err(reader.fault("number out of range")),
        })
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(NUMBER, visitor, Reader::any)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(b"\"", visitor, |reader, visitor| reader.string()?.visit(visitor))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(b"\"[{", visitor, |reader, visitor| match reader.peek()? {
            b'"' => reader.string()?.visit_bytes(visitor),
            b'[' => reader.sequence(visitor),
            _ => match reader.placeholder()? {
                Some((_, bytes)) => visitor.visit_borrowed_bytes(bytes),
                None => Err(reader.invalid_type(&visitor)),
            },
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            b'n' => self.word("null").and_then(|()| visitor.visit_none()),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(b"n", visitor, Reader::any)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name != RAW_VALUE {
            return visitor.visit_newtype_struct(self);
        }
        self.peek()?;
        let start = self.at;
        self.skip_value();
        visitor.visit_map(Raw::new(&self.text[start..self.at]))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.only(b"[{", visitor, |reader, visitor| match reader.peek()? {
            b'[' => reader.sequence(visitor),
            _ => match reader.placeholder()? {
                Some((_, bytes)) => visitor.visit_seq(BinarySeq::new(bytes)),
                None => Err(reader.invalid_type(&visitor)),
            },
        })
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
        self.only(b"{", visitor, |reader, visitor| match reader.placeholder()? {
            Some((_, bytes)) => Err(Error::invalid_type(Unexpected::Bytes(bytes), &visitor)),
            None => reader.map(visitor),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == attachment::NAME {
            return self.only(b"{", visitor, |reader, visitor| match reader.placeholder()? {
                Some((number, _)) => visitor.visit_u64(number as u64),
                None => Err(reader.invalid_type(&visitor)),
            });
        }
        match self.peek()? {
            b'[' => self.deserialize_seq(visitor),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.only(b"\"{", visitor, |reader, visitor| {
            if reader.peek()? == b'"' {
                return visitor.visit_enum(reader.string()?);
            }
            if let Some((_, bytes)) = reader.placeholder()? {
                return Err(Error::invalid_type(Unexpected::Bytes(bytes), &visitor));
            }
            reader.enter()?;
            let value = visitor.visit_enum(Enum::new(reader))?;
            match reader.peek()? {
                b'}' => reader.leave(),
                _ => return Err(reader.fault("more members than the one of an enum")),
            }
            Ok(value)
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip_value();
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { identifier }
}

const NUMBER: &[u8] = b"-0123456789";
