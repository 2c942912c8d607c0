//! Serializer of the keys of maps, which are strings in JSON.

use serde::{Serialize, Serializer, ser::Impossible};

use super::{EncodeError, Result};

/// Takes the text of one key.
pub(in crate::payload) trait KeySink {
    fn write_key(self, key: &str);
}

/// Numbers, booleans and characters become strings, as serde_json makes them.
pub(in crate::payload) struct KeySerializer<S>(pub(in crate::payload) S);

impl<S: KeySink> KeySerializer<S> {
    fn write(self, key: &str) -> Result<()> {
        self.0.write_key(key);
        Ok(())
    }

    fn refuse<T>(self) -> Result<T> {
        Err(EncodeError::new("key must be a string"))
    }
}

macro_rules! integers {
    ($($method:ident($type:ty))*) => { $(
        fn $method(self, number: $type) -> Result<()> {
            self.write(itoa::Buffer::new().format(number))
        }
    )* };
}

macro_rules! floats {
    ($($method:ident($type:ty))*) => { $(
        fn $method(self, number: $type) -> Result<()> {
            if !number.is_finite() {
                return Err(EncodeError::new("float key must be finite"));
            }
            self.write(zmij::Buffer::new().format_finite(number))
        }
    )* };
}

impl<S: KeySink> Serializer for KeySerializer<S> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Impossible<(), EncodeError>;
    type SerializeTuple = Impossible<(), EncodeError>;
    type SerializeTupleStruct = Impossible<(), EncodeError>;
    type SerializeTupleVariant = Impossible<(), EncodeError>;
    type SerializeMap = Impossible<(), EncodeError>;
    type SerializeStruct = Impossible<(), EncodeError>;
    type SerializeStructVariant = Impossible<(), EncodeError>;

    integers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32)
        serialize_u64(u64) serialize_u128(u128)
    }

    floats! { serialize_f32(f32) serialize_f64(f64) }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.write(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.write(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        self.write(text)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<()> {
        self.write(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<()> {
        self.refuse()
    }

    fn serialize_unit(self) -> Result<()> {
        self.refuse()
    }

    fn serialize_bytes(self, _bytes: &[u8]) -> Result<()> {
        self.refuse()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.refuse()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<()> {
        self.refuse()
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Self::SerializeSeq> {
        self.refuse()
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self::SerializeTuple> {
        self.refuse()
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleStruct> {
        self.refuse()
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        self.refuse()
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self::SerializeMap> {
        self.refuse()
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self::SerializeStruct> {
        self.refuse()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant> {
        self.refuse()
    }
}
