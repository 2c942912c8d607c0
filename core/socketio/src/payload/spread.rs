//! Arguments of a payload. An outermost tuple is several, `()` is none, anything else is one.

use core::fmt::Display;

use serde::{Serialize, Serializer, ser};

use super::error::EncodeError;

/// Takes arguments one after the other, and serializes each.
pub(super) trait Sink {
    /// Takes the name of an event, before its arguments.
    fn event(&mut self, name: &str);

    /// Says that the next value to be serialized is an argument.
    fn begin_argument(&mut self);

    fn write_argument<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()>;
}

/// Serializer of the outermost value of a payload.
pub(super) struct Spread<'w, S>(pub(super) &'w mut S);

/// Arguments that are the elements of a tuple.
pub(super) struct Arguments<'w, S>(pub(super) &'w mut S);

type Result<T> = core::result::Result<T, EncodeError>;

macro_rules! one {
    ($($method:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => { $(
        fn $method(self, $($arg: $type),*) -> Result<$result> {
            self.0.begin_argument();
            self.0.$method($($arg),*)
        }
    )* };
}

impl<'w, S: Sink> Serializer for Spread<'w, S>
where
    &'w mut S: Serializer<Ok = (), Error = EncodeError>,
{
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = <&'w mut S as Serializer>::SerializeSeq;
    type SerializeTuple = Arguments<'w, S>;
    type SerializeTupleStruct = Arguments<'w, S>;
    type SerializeTupleVariant = <&'w mut S as Serializer>::SerializeTupleVariant;
    type SerializeMap = <&'w mut S as Serializer>::SerializeMap;
    type SerializeStruct = <&'w mut S as Serializer>::SerializeStruct;
    type SerializeStructVariant = <&'w mut S as Serializer>::SerializeStructVariant;

    one! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_str(value: &str) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        self.0.begin_argument();
        self.0.serialize_some(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.0.begin_argument();
        self.0.serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<()> {
        self.0.begin_argument();
        self.0.collect_str(value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        Ok(())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Arguments<'w, S>> {
        Ok(Arguments(self.0))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Arguments<'w, S>> {
        Ok(Arguments(self.0))
    }
}

impl<S: Sink> ser::SerializeTuple for Arguments<'_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.0.write_argument(value)
    }

    fn end(self) -> Result<()> {
        Ok(())
    }
}

impl<S: Sink> ser::SerializeTupleStruct for Arguments<'_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.0.write_argument(value)
    }

    fn end(self) -> Result<()> {
        Ok(())
    }
}

impl<S: Sink> ser::SerializeTupleVariant for Arguments<'_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.0.write_argument(value)
    }

    fn end(self) -> Result<()> {
        Ok(())
    }
}
