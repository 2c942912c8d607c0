//! Deserializer of arguments: a tuple takes several, `()` none, anything else the first.

use serde::{
    Deserializer,
    de::{DeserializeSeed, SeqAccess, Visitor},
};

use super::{
    error::DecodeError,
    reader::{RAW_VALUE, Reader},
    sharing::BEFORE_NAME,
    value::{Leaves, Value, ValueReader},
};

type Result<T> = core::result::Result<T, DecodeError>;

/// Arguments that are read one after the other.
pub(super) trait Arguments<'de> {
    type Reader<'a>: Deserializer<'de, Error = DecodeError>
    where
        Self: 'a;

    /// The next argument, or `None` behind the last.
    fn next_argument(&mut self) -> Result<Option<Self::Reader<'_>>>;
}

/// Arguments in JSON.
pub(super) struct JsonArguments<'de, 'p> {
    reader: Reader<'de, 'p>,
    is_first: bool,
}

impl<'de, 'p> JsonArguments<'de, 'p> {
    /// Behind the first `skip` elements of the array that `reader` is at the start of.
    ///
    /// `name` is the length of the first, if it is known to be a plain string.
    pub(super) fn new(mut reader: Reader<'de, 'p>, name: Option<u32>, skip: usize) -> Result<Self> {
        let mut left = skip;
        match name {
            Some(len) if skip > 0 => {
                reader.skip_to(BEFORE_NAME + len as usize + 1);
                left -= 1;
            }
            _ => reader.enter_array()?,
        }
        let mut arguments = Self { reader, is_first: left == skip };
        for _ in 0..left {
            match arguments.next_argument()? {
                Some(reader) => reader.skip_value(),
                None => break,
            }
        }
        Ok(arguments)
    }
}

impl<'de, 'p> Arguments<'de> for JsonArguments<'de, 'p> {
    type Reader<'a>
        = &'a mut Reader<'de, 'p>
    where
        Self: 'a;

    fn next_argument(&mut self) -> Result<Option<Self::Reader<'_>>> {
        if !self.reader.next_element(self.is_first)? {
            return Ok(None);
        }
        self.is_first = false;
        self.reader.set_origin();
        Ok(Some(&mut self.reader))
    }
}

/// Arguments that are values.
pub(super) struct ValueArguments<'v, 'de> {
    rest: core::slice::Iter<'de, Value>,
    leaves: &'v Leaves<'de>,
}

impl<'v, 'de> ValueArguments<'v, 'de> {
    pub(super) fn new(arguments: &'de [Value], leaves: &'v Leaves<'de>) -> Self {
        Self { rest: arguments.iter(), leaves }
    }
}

impl<'v, 'de> Arguments<'de> for ValueArguments<'v, 'de> {
    type Reader<'a>
        = ValueReader<'v, 'de>
    where
        Self: 'a;

    fn next_argument(&mut self) -> Result<Option<Self::Reader<'_>>> {
        Ok(self.rest.next().map(|value| ValueReader::new(value, Some(self.leaves))))
    }
}

/// Argument that may be missing. Only an `Option` does without.
pub(super) struct Argument<D>(pub(super) Option<D>);

macro_rules! present {
    ($($method:ident($($arg:ident: $type:ty),*))*) => { $(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value> {
            self.0.ok_or_else(missing)?.$method($($arg,)* visitor)
        }
    )* };
}

impl<'de, D: Deserializer<'de, Error = DecodeError>> Deserializer<'de> for Argument<D> {
    type Error = DecodeError;

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Some(argument) => argument.deserialize_option(visitor),
            None => visitor.visit_none(),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        match self.0 {
            Some(argument) => argument.deserialize_newtype_struct(name, visitor),
            None if name == RAW_VALUE => Err(missing()),
            None => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Some(argument) => argument.deserialize_ignored_any(visitor),
            None => visitor.visit_unit(),
        }
    }

    present! {
        deserialize_any() deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf()
        deserialize_unit() deserialize_unit_struct(name: &'static str) deserialize_seq()
        deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_identifier()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}

fn missing() -> DecodeError {
    DecodeError::new("missing argument")
}

/// Arguments as the elements of a tuple, of which more are ignored.
pub(super) struct Spread<A> {
    arguments: A,
    index: usize,
    len: usize,
}

impl<A> Spread<A> {
    pub(super) fn new(arguments: A, len: usize) -> Self {
        Self { arguments, index: 0, len }
    }
}

impl<'de, A: Arguments<'de>> SeqAccess<'de> for Spread<A> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.index == self.len {
            return Ok(None);
        }
        let argument = self.arguments.next_argument()?;
        let value = seed.deserialize(Argument(argument));
        let value = value.map_err(|error| error.in_argument(self.index))?;
        self.index += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.index)
    }
}

/// Deserializer of the outermost type.
pub(super) struct ArgumentsReader<A>(pub(super) A);

macro_rules! first {
    ($($method:ident($($arg:ident: $type:ty),*))*) => { $(
        fn $method<V: Visitor<'de>>(mut self, $($arg: $type,)* visitor: V) -> Result<V::Value> {
            let argument = Argument(self.0.next_argument()?);
            argument.$method($($arg,)* visitor).map_err(|error| error.in_argument(0))
        }
    )* };
}

impl<'de, A: Arguments<'de>> Deserializer<'de> for ArgumentsReader<A> {
    type Error = DecodeError;

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name != RAW_VALUE {
            return visitor.visit_newtype_struct(self);
        }
        let argument = Argument(self.0.next_argument()?);
        argument.deserialize_newtype_struct(name, visitor).map_err(|error| error.in_argument(0))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(Spread::new(self.0, len))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_seq(Spread::new(self.0, len))
    }

    first! {
        deserialize_any() deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option()
        deserialize_seq() deserialize_map() deserialize_identifier()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}
