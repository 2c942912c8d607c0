//! Serializer that writes compact JSON, and puts placeholders in the stead of bytes.

mod compound;
mod key;

use alloc::vec::Vec;
use core::fmt::{self, Display};

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::Error};

use self::compound::Compound;
pub(super) use self::key::{KeySerializer, KeySink};
use super::{attachment, error::EncodeError, reader::RAW_VALUE, spread::Sink, string};

/// Output of one payload.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    attachments: &'a mut Vec<Bytes>,
    /// A comma goes before the next argument.
    comma: bool,
    arguments: usize,
    /// Something of the application may look like a placeholder.
    imitates: bool,
}

type Result<T> = core::result::Result<T, EncodeError>;

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, attachments: &'a mut Vec<Bytes>) -> Self {
        Self { out, attachments, comma: false, arguments: 0, imitates: false }
    }

    /// Returns whether something of the application may look like a placeholder.
    pub(super) fn imitates(&self) -> bool {
        self.imitates
    }

    /// The argument that was begun last, if one was.
    pub(super) fn argument(&self) -> Option<usize> {
        self.arguments.checked_sub(1)
    }

    pub(super) fn open(&mut self) {
        self.out.push(b'[');
    }

    pub(super) fn close(&mut self) {
        self.out.push(b']');
    }

    fn raw(&mut self, json: &[u8]) -> Result<()> {
        self.out.extend_from_slice(json);
        Ok(())
    }

    fn integer(&mut self, number: impl itoa::Integer) -> Result<()> {
        self.raw(itoa::Buffer::new().format(number).as_bytes())
    }

    /// `{"variant":`
    fn variant(&mut self, variant: &str) {
        self.out.push(b'{');
        self.key(variant);
        self.out.push(b':');
    }

    fn key(&mut self, key: &str) {
        self.imitates |= key == attachment::PLACEHOLDER;
        string::write(self.out, key);
    }

    fn placeholder(&mut self, bytes: Bytes) -> Result<()> {
        self.raw(b"{\"_placeholder\":true,\"num\":")?;
        self.integer(self.attachments.len())?;
        self.attachments.push(bytes);
        self.raw(b"}")
    }

    /// Checks the number of an [`Attachment`](super::Attachment), which stands from `start` on.
    fn check_attachment(&self, start: usize) -> Result<()> {
        let digits = core::str::from_utf8(&self.out[start..]).unwrap_or_default();
        match digits.parse::<usize>() {
            Ok(number) if number < self.attachments.len() => Ok(()),
            _ => Err(Error::custom(format_args!("attachment {digits} was not given"))),
        }
    }

    /// Takes a JSON string that stands from `start` on out of its quotes and escapes.
    fn unquote(&mut self, start: usize) -> Result<()> {
        self.imitates = true;
        let quoted = core::str::from_utf8(&self.out[start..]).unwrap_or_default();
        let content = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let mut text = alloc::string::String::new();
        match content.map(|content| string::unescape(content, &mut text)) {
            Some(Ok(())) => {
                self.out.truncate(start);
                self.raw(text.as_bytes())
            }
            _ => Err(EncodeError::new("raw JSON is a string")),
        }
    }
}

impl Sink for Writer<'_> {
    fn event(&mut self, name: &str) {
        string::write(self.out, name);
        self.comma = true;
    }

    fn begin_argument(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
        self.arguments += 1;
    }

    fn write_argument<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.begin_argument();
        value.serialize(self)
    }
}

impl<'w, 'a> Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'w, 'a>;
    type SerializeTuple = Compound<'w, 'a>;
    type SerializeTupleStruct = Compound<'w, 'a>;
    type SerializeTupleVariant = Compound<'w, 'a>;
    type SerializeMap = Compound<'w, 'a>;
    type SerializeStruct = Compound<'w, 'a>;
    type SerializeStructVariant = Compound<'w, 'a>;

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.raw(if value { b"true" } else { b"false" })
    }

    fn serialize_i8(self, number: i8) -> Result<()> {
        self.integer(number)
    }

    fn serialize_i16(self, number: i16) -> Result<()> {
        self.integer(number)
    }

    fn serialize_i32(self, number: i32) -> Result<()> {
        self.integer(number)
    }

    fn serialize_i64(self, number: i64) -> Result<()> {
        self.integer(number)
    }

    fn serialize_i128(self, number: i128) -> Result<()> {
        self.integer(number)
    }

    fn serialize_u8(self, number: u8) -> Result<()> {
        self.integer(number)
    }

    fn serialize_u16(self, number: u16) -> Result<()> {
        self.integer(number)
    }

    fn serialize_u32(self, number: u32) -> Result<()> {
        self.integer(number)
    }

    fn serialize_u64(self, number: u64) -> Result<()> {
        self.integer(number)
    }

    fn serialize_u128(self, number: u128) -> Result<()> {
        self.integer(number)
    }

    fn serialize_f32(self, number: f32) -> Result<()> {
        if number.is_finite() {
            self.raw(zmij::Buffer::new().format_finite(number).as_bytes())
        } else {
            self.serialize_unit()
        }
    }

    fn serialize_f64(self, number: f64) -> Result<()> {
        if number.is_finite() {
            self.raw(zmij::Buffer::new().format_finite(number).as_bytes())
        } else {
            self.serialize_unit()
        }
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        string::write(self.out, text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.placeholder(Bytes::copy_from_slice(bytes))
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.raw(b"null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<()> {
        self.serialize_str(variant)
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
        self.variant(variant);
        value.serialize(&mut *self)?;
        self.raw(b"}")
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Compound<'w, 'a>> {
        self.out.push(b'[');
        Ok(Compound::new(self, b"]"))
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'w, 'a>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Compound<'w, 'a>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'w, 'a>> {
        self.variant(variant);
        self.out.push(b'[');
        Ok(Compound::new(self, b"]}"))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Compound<'w, 'a>> {
        self.out.push(b'{');
        Ok(Compound::new(self, b"}"))
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Compound<'w, 'a>> {
        match name {
            RAW_VALUE | NUMBER => return Ok(Compound::raw(self)),
            _ => self.out.push(b'{'),
        }
        if name == attachment::NAME {
            Ok(Compound::attachment(self))
        } else {
            Ok(Compound::new(self, b"}"))
        }
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'w, 'a>> {
        self.variant(variant);
        self.out.push(b'{');
        Ok(Compound::new(self, b"}}"))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<()> {
        self.out.push(b'"');
        if fmt::Write::write_fmt(&mut Escaped(self.out), format_args!("{value}")).is_err() {
            return Err(EncodeError::new("formatting a value failed"));
        }
        self.raw(b"\"")
    }
}

impl KeySink for &mut Writer<'_> {
    fn write_key(self, key: &str) {
        self.key(key);
    }
}

/// Writer of formatted text into a string, with escapes.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        string::write_escaped(self.0, text);
        Ok(())
    }
}

/// The name under which serde_json's numbers of arbitrary precision come, if another crate turned that on.
pub(super) const NUMBER: &str = "$serde_json::private::Number";
