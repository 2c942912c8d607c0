//! Payloads of packets: one JSON value with binary data anywhere inside.
//!
//! # From a payload of the application to arguments
//!
//! | Rust | arguments |
//! |---|---|
//! | tuple, tuple struct, array `[T; N]` | one for each element |
//! | `()`, unit struct | none |
//! | newtype struct | those of what is inside |
//! | anything else, also slices, `Vec` and `None` | one |
//!
//! Reading goes the same way: a tuple takes the arguments one by one, anything else the first. A missing argument is
//! `None` for an `Option`, and an error for other types. More arguments than asked for are ignored.
//!
//! # Binary data
//!
//! What serializes as bytes becomes an attachment: `Bytes`, `serde_bytes::ByteBuf`, [`Value::Binary`]. A `Vec<u8>`
//! does not, because serde takes it for an array of numbers. Reading is more generous: a `Vec<u8>` takes both.
//!
//! | to read binary data | copies |
//! |---|---|
//! | [`Attachment`] and [`Args::attachment`], `&[u8]`, `Cow<[u8]>` with `#[serde(borrow)]` | none |
//! | `Bytes`, `Vec<u8>`, `ByteBuf`, [`Value`] | one |

mod args;
mod arguments;
mod attachment;
mod encode;
mod error;
mod list;
mod reader;
mod scan;
mod sharing;
mod spread;
mod string;
#[cfg(test)]
mod tests;
mod transcode;
mod typed_event;
mod value;
mod writer;

use alloc::{format, sync::Arc, vec::Vec};
use core::{hash::Hasher, num::NonZeroU32, ops::Deref};

use bytes::Bytes;
use enginewire::{Fingerprint, Text};
use serde::{Deserialize, Serialize};

pub use self::{
    args::{Argument, Arguments},
    attachment::Attachment,
    encode::{
        args_values, enum_event_values, event_values, write_args, write_enum_event, write_event,
        write_value,
    },
    error::{DecodeError, EncodeError, EventError},
    list::Spread,
    scan::{Shape, check_placeholders, validate_json},
    value::{MAX_DEPTH, Number, Value},
};
use self::{
    reader::Reader,
    scan::Placeholder,
    value::{Leaves, ValueReader},
};
pub(crate) use self::{
    scan::{Elements, Members},
    string::{unescape_lossy, write as write_string},
};

/// Value that a packet carries, as it was received or is to be sent.
///
/// Cloning is cheap and shares the storage, which may be that of the received message.
#[derive(Clone, Debug)]
pub struct Payload(Repr);

#[derive(Clone, Debug)]
enum Repr {
    /// Valid JSON, from the byte `start` of `message` to its end. Placeholders in it stand for `attachments`.
    ///
    /// `only` is where the only one stands, if there is one, and it was looked for. `name` is the length of an event's
    /// name, if that was looked for, and is the first element, at once and without escapes.
    Json {
        message: Text,
        start: usize,
        attachments: Attachments,
        only: Option<Only>,
        name: Option<u32>,
    },
    /// Of a parser that has values of its own. The `attachments` are its binary data, in the order of writing.
    Value { value: Arc<Value>, attachments: Attachments },
}

/// Binary parts of a payload, in the order of their numbers.
#[derive(Clone, Debug, Default)]
enum Attachments {
    #[default]
    None,
    One(Bytes),
    Many(Arc<[Bytes]>),
}

/// Arguments of an event or of an acknowledgement: a [`Payload`] that is an array.
#[derive(Clone, Debug)]
pub struct Args {
    payload: Payload,
    /// The event may be compressed.
    compress: bool,
}

impl Payload {
    /// Makes a payload in JSON of anything that serde can serialize.
    ///
    /// # Errors
    ///
    /// As [`write_value`].
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodeError> {
        Self::write(|out, attachments| write_value(out, attachments, value))
    }

    /// Takes JSON from the byte `start` of `message` on, without a copy.
    ///
    /// The JSON must be valid ([`validate_json`]), and its placeholders stand for attachments if there are any
    /// ([`check_placeholders`]). Otherwise reading gives errors or nonsense, but does not panic.
    ///
    /// # Panics
    ///
    /// If `start` is past the end or not at the start of a character.
    pub fn from_json(message: Text, start: usize, attachments: Vec<Bytes>) -> Self {
        assert!(message.is_char_boundary(start), "{start} is not a character boundary");
        let attachments = attachments.into();
        Self(Repr::Json { message, start, attachments, only: None, name: None })
    }

    /// Takes valid JSON as [`from_json`](Self::from_json) does. `None` if a placeholder stands for no attachment.
    ///
    /// Without attachments nothing is a placeholder.
    pub(crate) fn from_checked_json(
        message: Text,
        start: usize,
        attachments: Vec<Bytes>,
    ) -> Option<Self> {
        let mut payload = Self::from_json(message, start, attachments);
        if let Repr::Json { message, attachments, only, .. } = &mut payload.0
            && !matches!(attachments, Attachments::None)
        {
            let all = scan::placeholders(&message[start..], attachments.as_slice().len())?;
            *only = Only::of(&all);
        }
        Some(payload)
    }

    /// Takes a value, for parsers of other formats than JSON.
    ///
    /// One that comes from a peer must be at most [`MAX_DEPTH`] levels deep.
    pub fn from_value(value: Value) -> Self {
        let mut attachments = Vec::new();
        Leaves::for_each(&value, |bytes| attachments.push(bytes.clone()));
        Self(Repr::Value { value: Arc::new(value), attachments: attachments.into() })
    }

    /// Returns the JSON, unless it came in another format.
    ///
    /// Binary data are placeholders in it, which stand for [`Payload::attachments`].
    pub fn as_json(&self) -> Option<&str> {
        match &self.0 {
            Repr::Json { message, start, .. } => Some(&message[*start..]),
            Repr::Value { .. } => None,
        }
    }

    /// Returns the value, if it came in another format than JSON.
    pub fn as_value(&self) -> Option<&Value> {
        match &self.0 {
            Repr::Json { .. } => None,
            Repr::Value { value, .. } => Some(value),
        }
    }

    /// Returns the binary data by their numbers.
    pub fn attachments(&self) -> &[Bytes] {
        match &self.0 {
            Repr::Json { attachments, .. } | Repr::Value { attachments, .. } => {
                attachments.as_slice()
            }
        }
    }

    /// Returns the bytes of its texts and binary data, for limits on memory.
    pub fn size(&self) -> usize {
        match &self.0 {
            Repr::Json { message, start, attachments, .. } => {
                let attachments = attachments.as_slice().iter().map(Bytes::len);
                attachments.fold(message.len() - start, usize::saturating_add)
            }
            Repr::Value { value, .. } => value.size(),
        }
    }

    /// Returns the data for which `attachment` stands, sharing their storage.
    pub fn attachment(&self, attachment: &Attachment) -> Option<Bytes> {
        self.attachments().get(attachment.number()).cloned()
    }

    /// Reads the payload as one value. A tuple takes an array.
    ///
    /// Strings and bytes can be borrowed; a string with escapes in JSON cannot, and is an error for `&str`.
    ///
    /// # Errors
    ///
    /// If the payload does not have the type.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        match &self.0 {
            Repr::Json { message, start, attachments, only, .. } => {
                let json = &message[*start..];
                let placeholders = Placeholders::find(json, attachments, *only)?;
                T::deserialize(&mut Reader::new(json, &placeholders, attachments.as_slice()))
            }
            Repr::Value { value, .. } => {
                T::deserialize(ValueReader::new(value, Some(&Leaves::new(value))))
            }
        }
    }

    /// Makes a value of the payload, in which binary data share their storage.
    ///
    /// # Errors
    ///
    /// If it is JSON that is nested too deeply, or has a number or a surrogate that values cannot have.
    pub fn to_value(&self) -> Result<Value, DecodeError> {
        match &self.0 {
            Repr::Json { message, start, attachments, only, .. } => {
                let json = &message[*start..];
                let placeholders = Placeholders::find(json, attachments, *only)?;
                Reader::new(json, &placeholders, attachments.as_slice()).value()
            }
            Repr::Value { value, .. } => Ok((**value).clone()),
        }
    }

    /// Feeds what the payload consists of into `into`.
    pub(crate) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        into.push(&(self.attachments(), self.as_json()));
        into.push(&self.as_value().map(|value| format!("{value:?}")));
    }

    /// Appends the payload as JSON, and its binary data to `attachments`, which must be empty.
    ///
    /// A payload that came as JSON is copied as it is, and its attachments are shared.
    ///
    /// # Errors
    ///
    /// If it has an object in the form of a placeholder beside binary data. That cannot happen with JSON.
    pub fn write_json(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
    ) -> Result<(), EncodeError> {
        debug_assert!(attachments.is_empty(), "the numbers in the payload begin with 0");
        match &self.0 {
            Repr::Json { message, start, attachments: own, .. } => {
                out.extend_from_slice(&message.as_bytes()[*start..]);
                attachments.extend_from_slice(own.as_slice());
                Ok(())
            }
            Repr::Value { value, attachments: own } => {
                // The writer copies bytes and numbers them in the order of writing, which is that of `own`.
                write_value(out, attachments, &**value)?;
                attachments.clear();
                attachments.extend_from_slice(own.as_slice());
                Ok(())
            }
        }
    }

    fn write(
        write: impl FnOnce(&mut Vec<u8>, &mut Vec<Bytes>) -> Result<(), EncodeError>,
    ) -> Result<Self, EncodeError> {
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        write(&mut out, &mut attachments)?;
        // No more memory than the text needs: it may be kept for long.
        let text = Text::from_utf8(out.into_boxed_slice().into());
        let text = text.map_err(|_| EncodeError::new("JSON is UTF-8"))?;
        Ok(Self::from_json(text, 0, attachments))
    }
}

/// Where the only placeholder of a text stands, which is that of the first attachment.
///
/// Kept small, since it is moved with each event.
#[derive(Clone, Copy, Debug)]
struct Only {
    start: u32,
    /// Behind its brace.
    end: NonZeroU32,
}

impl Only {
    fn of(placeholders: &[Placeholder]) -> Option<Self> {
        match *placeholders {
            [Placeholder { start, end, number: 0 }] => {
                let end = u32::try_from(end).ok().and_then(NonZeroU32::new)?;
                Some(Self { start: start.try_into().ok()?, end })
            }
            _ => None,
        }
    }

    fn placeholder(self) -> Placeholder {
        let Self { start, end } = self;
        Placeholder { start: start as usize, end: end.get() as usize, number: 0 }
    }
}

/// The placeholders in received JSON, of which there are none without attachments.
enum Placeholders {
    None,
    One([Placeholder; 1]),
    Many(Vec<Placeholder>),
}

impl Placeholders {
    fn find(
        json: &str,
        attachments: &Attachments,
        only: Option<Only>,
    ) -> Result<Self, DecodeError> {
        match (attachments.as_slice(), only) {
            ([], _) => Ok(Self::None),
            (_, Some(only)) => Ok(Self::One([only.placeholder()])),
            (all, None) => scan::placeholders(json, all.len())
                .map(Self::Many)
                .ok_or_else(|| DecodeError::new("a placeholder stands for no attachment")),
        }
    }
}

impl Deref for Placeholders {
    type Target = [Placeholder];

    fn deref(&self) -> &[Placeholder] {
        match self {
            Self::None => &[],
            Self::One(one) => one,
            Self::Many(all) => all,
        }
    }
}

impl Attachments {
    fn as_slice(&self) -> &[Bytes] {
        match self {
            Self::None => &[],
            Self::One(bytes) => core::slice::from_ref(bytes),
            Self::Many(all) => all,
        }
    }
}

impl From<Vec<Bytes>> for Attachments {
    fn from(mut attachments: Vec<Bytes>) -> Self {
        match attachments.len() {
            0 => Self::None,
            1 => attachments.pop().map_or(Self::None, Self::One),
            _ => Self::Many(attachments.into()),
        }
    }
}
