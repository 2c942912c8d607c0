//! Messages written in JSON or in MessagePack, member by member.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{
    EncodeError,
    msgpack::Writer,
    payload::{Payload, Value, write_string},
};

/// Writes one message. Numbers of members are those that are written then.
pub(super) enum Out {
    Json(Vec<u8>),
    MessagePack(Writer),
}

type Result = core::result::Result<(), EncodeError>;

impl Out {
    pub(super) fn json() -> Self {
        Self::Json(Vec::new())
    }

    pub(super) fn msgpack() -> Self {
        Self::MessagePack(Writer::default())
    }

    /// Writes one message with `write`, in MessagePack or in JSON.
    pub(super) fn message(
        is_msgpack: bool,
        write: impl FnOnce(&mut Self) -> Result,
    ) -> core::result::Result<Bytes, EncodeError> {
        let mut out = if is_msgpack { Self::msgpack() } else { Self::json() };
        write(&mut out)?;
        Ok(match out {
            Self::Json(out) => out.into(),
            Self::MessagePack(out) => out.finish(),
        })
    }

    pub(super) fn map(&mut self, members: u32, write: impl FnOnce(&mut Self) -> Result) -> Result {
        match self {
            Self::Json(out) => out.push(b'{'),
            Self::MessagePack(out) => out.map(members),
        }
        write(self)?;
        if let Self::Json(out) = self {
            out.push(b'}');
        }
        Ok(())
    }

    pub(super) fn array<T>(
        &mut self,
        elements: &[T],
        mut write: impl FnMut(&mut Self, &T) -> Result,
    ) -> Result {
        match self {
            Self::Json(out) => out.push(b'['),
            // More than there is memory for.
            Self::MessagePack(out) => out.array(elements.len().try_into().unwrap_or(u32::MAX)),
        }
        for (index, element) in elements.iter().enumerate() {
            if let Self::Json(out) = self
                && index > 0
            {
                out.push(b',');
            }
            write(self, element)?;
        }
        if let Self::Json(out) = self {
            out.push(b']');
        }
        Ok(())
    }

    /// Writes the name of a member, whose value follows.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        match self {
            Self::Json(out) => {
                // Behind a value there is none of this.
                if out.last() != Some(&b'{') {
                    out.push(b',');
                }
                write_string(out, name);
                out.push(b':');
            }
            Self::MessagePack(out) => out.text(name),
        }
        self
    }

    pub(super) fn text(&mut self, text: &str) -> Result {
        match self {
            Self::Json(out) => write_string(out, text),
            Self::MessagePack(out) => out.text(text),
        }
        Ok(())
    }

    pub(super) fn texts<T: AsRef<str>>(&mut self, texts: &[T]) -> Result {
        self.array(texts, |out, text| out.text(text.as_ref()))
    }

    pub(super) fn unsigned(&mut self, number: u64) -> Result {
        match self {
            Self::Json(out) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
            Self::MessagePack(out) => out.unsigned(number),
        }
        Ok(())
    }

    pub(super) fn bool(&mut self, value: bool) -> Result {
        match self {
            Self::Json(out) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Self::MessagePack(out) => out.bool(value),
        }
        Ok(())
    }

    /// Writes a payload. In JSON its binary data become objects, as `JSON.stringify` writes a `Buffer`.
    pub(super) fn payload(&mut self, payload: &Payload) -> Result {
        match self {
            Self::Json(out) if payload.attachments().is_empty() => {
                payload.write_json(out, &mut Vec::new())
            }
            Self::Json(out) => {
                let plain = Payload::from_value(plain(payload.value().into_owned()));
                plain.write_json(out, &mut Vec::new())
            }
            Self::MessagePack(out) => payload.write_msgpack(out),
        }
    }
}

/// The value with objects for binary data.
fn plain(value: Value) -> Value {
    match value {
        Value::Binary(bytes) => {
            let bytes: Vec<_> = bytes.iter().map(|byte| Value::from(*byte)).collect();
            let members = [("type", Value::from("Buffer")), ("data", Value::from(bytes))];
            Value::Object(members.map(|(name, value)| (name.into(), value)).into())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(plain).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
        value => value,
    }
}
