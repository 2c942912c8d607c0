//! Events that are variants of an enum. The name is the variant, the arguments are its fields.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, EnumAccess, VariantAccess, Visitor},
    ser::{self, Impossible},
};

use super::{
    arguments::{Argument, Arguments, Spread},
    error::{DecodeError, EncodeError, EventError},
    reader::Key,
    spread::{self, Sink},
};

/// Reads an enum out of an event's name and its arguments.
pub(super) fn read<'de, E: Deserialize<'de>, A: Arguments<'de>>(
    name: &'de str,
    arguments: A,
) -> Result<E, EventError> {
    E::deserialize(EventReader { name, arguments }).map_err(|error| EventError::of(name, error))
}

/// Writes the name of the enum's variant and its fields, and returns the name.
pub(super) fn write<S: Sink, E: Serialize + ?Sized>(
    sink: &mut S,
    event: &E,
) -> Result<&'static str, EncodeError>
where
    for<'w> &'w mut S: Serializer<Ok = (), Error = EncodeError>,
{
    let mut name = None;
    event.serialize(EventWriter { sink, name: &mut name }).map_err(|error| match name {
        Some(name) => error.with_event(name),
        None => error,
    })?;
    // Each method that succeeds has set it.
    name.ok_or_else(not_an_event)
}

struct EventReader<'de, A> {
    name: &'de str,
    arguments: A,
}

macro_rules! refuse {
    ($($method:ident($($arg:ident: $type:ty),*))*) => { $(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* _visitor: V) -> Result<V::Value, DecodeError> {
            let _ = ($($arg,)*);
            Err(DecodeError::new("a typed event is an enum without a tag, whose variants are events"))
        }
    )* };
}

impl<'de, A: Arguments<'de>> Deserializer<'de> for EventReader<'de, A> {
    type Error = DecodeError;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    refuse! {
        deserialize_any() deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option()
        deserialize_unit() deserialize_unit_struct(name: &'static str) deserialize_seq()
        deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_identifier() deserialize_ignored_any()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }
}

impl<'de, A: Arguments<'de>> EnumAccess<'de> for EventReader<'de, A> {
    type Error = DecodeError;
    type Variant = VariantReader<A>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, VariantReader<A>), DecodeError> {
        let variant = seed.deserialize(Key::Borrowed(self.name));
        let variant = variant.map_err(DecodeError::of_event_name)?;
        Ok((variant, VariantReader(self.arguments)))
    }
}

struct VariantReader<A>(A);

impl<'de, A: Arguments<'de>> VariantAccess<'de> for VariantReader<A> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        mut self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        let argument = self.0.next_argument()?;
        seed.deserialize(Argument(argument)).map_err(|error| error.in_argument(0))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(Spread::new(self.0, len))
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let argument = Argument(self.0.next_argument()?);
        argument.deserialize_struct("", fields, visitor).map_err(|error| error.in_argument(0))
    }
}

struct EventWriter<'w, S> {
    sink: &'w mut S,
    name: &'w mut Option<&'static str>,
}

impl<'w, S: Sink> EventWriter<'w, S> {
    fn event(self, name: &'static str) -> &'w mut S {
        *self.name = Some(name);
        self.sink.event(name);
        self.sink
    }
}

macro_rules! refuse_to_write {
    ($($method:ident($($type:ty),*) -> $result:ty;)*) => { $(
        fn $method(self, $(_: $type),*) -> Result<$result, EncodeError> {
            Err(not_an_event())
        }
    )* };
}

impl<'w, S: Sink> Serializer for EventWriter<'w, S>
where
    &'w mut S: Serializer<Ok = (), Error = EncodeError>,
{
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Impossible<(), EncodeError>;
    type SerializeTuple = Impossible<(), EncodeError>;
    type SerializeTupleStruct = Impossible<(), EncodeError>;
    type SerializeTupleVariant = spread::Arguments<'w, S>;
    type SerializeMap = Impossible<(), EncodeError>;
    type SerializeStruct = Impossible<(), EncodeError>;
    type SerializeStructVariant = StructVariant<<&'w mut S as Serializer>::SerializeStruct>;

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.event(variant);
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.event(variant).write_argument(value)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, EncodeError> {
        Ok(spread::Arguments(self.event(variant)))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, EncodeError> {
        let sink = self.event(variant);
        sink.begin_argument();
        sink.serialize_struct(name, len).map(StructVariant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<(), EncodeError> {
        Err(not_an_event())
    }

    refuse_to_write! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_i128(i128) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_u128(u128) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
    }
}

fn not_an_event() -> EncodeError {
    EncodeError::new("a typed event is an enum without a tag, whose variants are events")
}

/// A struct variant, which is one argument.
struct StructVariant<S>(S);

impl<S: ser::SerializeStruct<Ok = (), Error = EncodeError>> ser::SerializeStructVariant
    for StructVariant<S>
{
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.0.serialize_field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), EncodeError> {
        self.0.skip_field(key)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.0.end()
    }
}
