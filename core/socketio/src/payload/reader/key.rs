//! Strings: values, keys of maps, names of variants.

use serde::{
    Deserializer,
    de::{DeserializeSeed, EnumAccess, Error, Unexpected, VariantAccess, Visitor},
    forward_to_deserialize_any,
};

use super::{DecodeError, Number, RAW_VALUE, Result};

/// String of a payload, which is borrowed from it if it has no escapes.
#[derive(Clone, Copy)]
pub(in crate::payload) enum Key<'de, 's> {
    Borrowed(&'de str),
    Copied(&'s str),
}

impl<'de> Key<'de, '_> {
    pub(in crate::payload) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Copied(text) => text,
        }
    }

    pub(super) fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Self::Borrowed(text) => visitor.visit_borrowed_str(text),
            Self::Copied(text) => visitor.visit_str(text),
        }
    }

    pub(super) fn visit_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Self::Borrowed(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            Self::Copied(text) => visitor.visit_bytes(text.as_bytes()),
        }
    }

    /// Keys of maps are strings in JSON: `{"1":..}` is read into a map of numbers.
    fn visit_number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.as_str();
        // What Rust takes for a number and JSON does not: `inf`, `NaN`, `+1`.
        match number(text).filter(|_| text.starts_with(|c: char| c == '-' || c.is_ascii_digit())) {
            Some(number) => number.visit(visitor),
            None => Err(Error::invalid_type(Unexpected::Str(text), &visitor)),
        }
    }
}

/// The number that JSON's `digits` are, unless it is out of range.
pub(in crate::payload) fn number(digits: &str) -> Option<Number> {
    if !digits.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        if digits.starts_with('-') {
            // Not `-0`, which is a float.
            if let Ok(number @ ..0) = digits.parse() {
                return Some(Number::Negative(number));
            }
        } else if let Ok(number) = digits.parse() {
            return Some(Number::Unsigned(number));
        }
    }
    digits.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Float)
}

macro_rules! numbers {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.visit_number(visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for Key<'de, '_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit(visitor)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.as_str().parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => Err(Error::invalid_type(Unexpected::Str(self.as_str()), &visitor)),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.as_str().parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => Err(Error::invalid_type(Unexpected::Str(self.as_str()), &visitor)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(Error::invalid_type(Unexpected::Str(other), &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name == RAW_VALUE {
            return Err(Error::custom("a key cannot be read as raw JSON"));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_bytes(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_bytes(visitor)
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Key<'de, '_> {
    type Error = DecodeError;
    type Variant = UnitOnly;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, UnitOnly)> {
        Ok((seed.deserialize(self)?, UnitOnly))
    }
}

/// Variant that is a string, and so has no content.
pub(in crate::payload) struct UnitOnly;

impl<'de> VariantAccess<'de> for UnitOnly {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value> {
        Err(Error::invalid_type(Unexpected::UnitVariant, &"newtype variant"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value> {
        Err(Error::invalid_type(Unexpected::UnitVariant, &"tuple variant"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value> {
        Err(Error::invalid_type(Unexpected::UnitVariant, &"struct variant"))
    }
}
