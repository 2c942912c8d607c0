//! Arrays and objects that are being written.

use serde::{Serialize, ser};

use super::{EncodeError, KeySerializer, Result, Writer, attachment, string};

/// An array or an object, behind its opening bracket.
pub(in crate::payload) struct Compound<'w, 'a> {
    writer: &'w mut Writer<'a>,
    is_first: bool,
    kind: Kind,
    close: &'static [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// The only field is a string of JSON, which goes out as it is.
    Raw,
    Attachment,
}

impl<'w, 'a> Compound<'w, 'a> {
    pub(super) fn new(writer: &'w mut Writer<'a>, close: &'static [u8]) -> Self {
        Self { writer, is_first: true, kind: Kind::Plain, close }
    }

    pub(super) fn raw(writer: &'w mut Writer<'a>) -> Self {
        Self { writer, is_first: true, kind: Kind::Raw, close: b"" }
    }

    pub(super) fn attachment(writer: &'w mut Writer<'a>) -> Self {
        Self { writer, is_first: true, kind: Kind::Attachment, close: b"}" }
    }

    fn comma(&mut self) {
        if !self.is_first {
            self.writer.out.push(b',');
        }
        self.is_first = false;
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.comma();
        value.serialize(&mut *self.writer)
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<()> {
        self.comma();
        if self.kind == Kind::Raw {
            let start = self.writer.out.len();
            value.serialize(&mut *self.writer)?;
            return self.writer.unquote(start);
        }
        if self.kind == Kind::Attachment {
            string::write(self.writer.out, key);
        } else {
            self.writer.key(key);
        }
        self.writer.out.push(b':');
        let start = self.writer.out.len();
        value.serialize(&mut *self.writer)?;
        if self.kind == Kind::Attachment && key == attachment::NUMBER {
            self.writer.check_attachment(start)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.writer.raw(self.close)
    }
}

impl ser::SerializeSeq for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl ser::SerializeTuple for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.comma();
        key.serialize(KeySerializer(&mut *self.writer))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.writer.out.push(b':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<()> {
        self.finish()
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
        self.finish()
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
        self.finish()
    }
}
