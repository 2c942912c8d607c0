//! Values as bytes of MessagePack.

use core::convert::Infallible;

use bytes::Bytes;
use rmp::encode::{self, ByteBuf, RmpWrite, ValueWriteError};

use crate::{
    packet::AckId,
    payload::{Number, Value},
};

/// Writes values into one message, each in its shortest form.
#[derive(Default)]
pub(crate) struct Writer(ByteBuf);

impl Writer {
    pub(crate) fn finish(self) -> Bytes {
        self.0.into_vec().into()
    }

    /// Writes the head of a map, of which that many members follow.
    pub(crate) fn map(&mut self, members: u32) {
        done(encode::write_map_len(&mut self.0, members));
    }

    /// Writes the head of an array, of which that many elements follow.
    pub(crate) fn array(&mut self, elements: u32) {
        done(encode::write_array_len(&mut self.0, elements));
    }

    pub(crate) fn member(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.text(name);
        value(self);
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Bool(value) => self.bool(*value),
            Value::Number(Number::Unsigned(number)) => self.unsigned(*number),
            Value::Number(Number::Negative(number)) => self.signed(*number),
            Value::Number(Number::Float(number)) => self.float(*number),
            Value::String(text) => self.text(text),
            Value::Binary(bytes) => self.binary(bytes),
            Value::Array(values) => {
                let Ok(count) = u32::try_from(values.len()) else { return self.null() };
                self.array(count);
                for value in values {
                    self.value(value);
                }
            }
            Value::Object(members) => {
                let Ok(count) = u32::try_from(members.len()) else { return self.null() };
                self.map(count);
                for (name, value) in members {
                    self.member(name, |out| out.value(value));
                }
            }
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        let Ok(length) = u32::try_from(text.len()) else { return self.null() };
        done(encode::write_str_len(&mut self.0, length));
        never(self.0.write_bytes(text.as_bytes()));
    }

    pub(crate) fn unsigned(&mut self, number: u64) {
        done(encode::write_uint(&mut self.0, number));
    }

    /// Writes `undefined`, of which `null` is not a form where data may be missing.
    pub(crate) fn undefined(&mut self) {
        done(encode::write_ext_meta(&mut self.0, 1, 0));
        never(self.0.write_u8(0));
    }

    /// Writes the number of an event. One beyond 64 bits came as a float, and goes back as that.
    pub(crate) fn ack(&mut self, AckId(id): AckId) {
        match u64::try_from(id) {
            Ok(id) => self.unsigned(id),
            Err(_) => done(encode::write_f64(&mut self.0, id as f64)),
        }
    }

    pub(crate) fn bool(&mut self, value: bool) {
        never(encode::write_bool(&mut self.0, value));
    }

    pub(crate) fn null(&mut self) {
        never(encode::write_nil(&mut self.0));
    }

    pub(crate) fn signed(&mut self, number: i64) {
        done(encode::write_sint(&mut self.0, number));
    }

    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        let Ok(length) = u32::try_from(bytes.len()) else { return self.null() };
        done(encode::write_bin_len(&mut self.0, length));
        never(self.0.write_bytes(bytes));
    }

    /// Writes an integer if it is one, as JavaScript does, which knows no other numbers.
    ///
    /// The reference wraps integers beyond 64 bits around, which is left out here.
    pub(crate) fn float(&mut self, number: f64) {
        const END: f64 = 18_446_744_073_709_551_616.0; // 2^64
        #[expect(clippy::cast_possible_truncation, reason = "compared with the float again")]
        let (unsigned, signed) = (number as u64, number as i64);
        if number < END && unsigned as f64 == number {
            self.unsigned(unsigned);
        } else if number < 0.0 && signed as f64 == number {
            self.signed(signed);
        } else {
            done(encode::write_f64(&mut self.0, number));
        }
    }
}

/// The result of writing to memory, which does not fail.
fn done<T>(written: Result<T, ValueWriteError<Infallible>>) {
    match written {
        Ok(_) => {}
        Err(
            ValueWriteError::InvalidMarkerWrite(error) | ValueWriteError::InvalidDataWrite(error),
        ) => match error {},
    }
}

fn never(written: Result<(), Infallible>) {
    match written {
        Ok(()) => {}
        Err(error) => match error {},
    }
}
