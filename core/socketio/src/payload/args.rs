//! Arguments of events and acknowledgements.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    vec::Vec,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Args, Attachment, DecodeError, EncodeError, EventError, Payload, Placeholders, Repr,
    arguments::{ArgumentsReader, JsonArguments, ValueArguments},
    encode::{write_args, write_event},
    reader::Reader,
    scan, string, typed_event,
    value::{Leaves, Number, Value},
};

/// Argument as it was received.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument<'a> {
    /// JSON, in which binary data are placeholders.
    Json(&'a str),
    /// Value of another format.
    Value(&'a Value),
}

/// Iterator over arguments as they were received.
#[derive(Clone, Debug)]
pub struct Arguments<'a>(Elements<'a>);

#[derive(Clone, Debug)]
enum Elements<'a> {
    Json(scan::Elements<'a>),
    Values(core::slice::Iter<'a, Value>),
}

impl Args {
    /// Makes the arguments of an event in JSON: its name and what `payload` is.
    ///
    /// # Errors
    ///
    /// As [`write_event`].
    pub fn event<P: Serialize + ?Sized>(name: &str, payload: &P) -> Result<Self, EncodeError> {
        Payload::write(|out, attachments| write_event(out, attachments, name, payload))
            .map(Self::from_payload)
    }

    /// Makes the arguments of an acknowledgement in JSON.
    ///
    /// # Errors
    ///
    /// As [`write_args`].
    pub fn ack<P: Serialize + ?Sized>(payload: &P) -> Result<Self, EncodeError> {
        Payload::write(|out, attachments| write_args(out, attachments, payload))
            .map(Self::from_payload)
    }

    /// Takes a payload that is an array. Any other has no arguments.
    pub fn from_payload(payload: Payload) -> Self {
        Self { payload, compress: true }
    }

    /// Takes arguments, for parsers of other formats than JSON.
    ///
    /// Arguments of a peer must be at most [`MAX_DEPTH`](super::MAX_DEPTH) levels deep.
    pub fn from_values(arguments: Vec<Value>) -> Self {
        Self::from_payload(Payload::from_value(Value::Array(arguments)))
    }

    /// Asks that the event not be compressed, see [`Encoded::without_compression`].
    ///
    /// [`Encoded::without_compression`]: enginewire::Encoded::without_compression
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn without_compression(self) -> Self {
        Self { compress: false, ..self }
    }

    /// Sets whether the event may be compressed.
    pub(crate) fn with_compression(self, is_allowed: bool) -> Self {
        Self { compress: is_allowed, ..self }
    }

    /// Whether the event may be compressed.
    pub(crate) const fn may_be_compressed(&self) -> bool {
        self.compress
    }

    /// Returns the payload that they are.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Returns the arguments as they were received, with an event's name first.
    pub fn iter(&self) -> Arguments<'_> {
        Arguments(match &self.payload.0 {
            Repr::Json { message, start, .. } => {
                Elements::Json(scan::Elements::new(&message[*start..]))
            }
            Repr::Value { value, .. } => {
                Elements::Values(value.as_array().unwrap_or_default().iter())
            }
        })
    }

    /// Returns the number of arguments, an event's name included. JSON is scanned for it.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns whether there are no arguments, nor a name.
    pub fn is_empty(&self) -> bool {
        match self.iter().0 {
            Elements::Json(elements) => elements.is_empty(),
            Elements::Values(elements) => elements.as_slice().is_empty(),
        }
    }

    /// Returns the name of an event: the first argument, a string or a number.
    ///
    /// It is borrowed if it has no escapes. `None` if there is no name.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        let plain = match &self.payload.0 {
            Repr::Json { name: Some(_), .. } => self.name_range().map(|range| self.part(range)),
            _ => self.payload.as_json().and_then(scan::plain_name),
        };
        if let Some(name) = plain {
            return Some(Cow::Borrowed(name));
        }
        match self.iter().next()? {
            Argument::Json(json) => match json.strip_prefix('"') {
                Some(rest) => {
                    let raw = rest.strip_suffix('"')?;
                    if !raw.contains('\\') {
                        return Some(Cow::Borrowed(raw));
                    }
                    let mut name = String::new();
                    string::unescape_lossy(raw, &mut name);
                    Some(Cow::Owned(name))
                }
                None => json.parse::<f64>().ok().map(|_| Cow::Borrowed(json)),
            },
            Argument::Value(Value::String(name)) => Some(Cow::Borrowed(name)),
            Argument::Value(Value::Number(number)) => Some(Cow::Owned(match number {
                Number::Unsigned(number) => number.to_string(),
                Number::Negative(number) => number.to_string(),
                Number::Float(number) => number.to_string(),
            })),
            Argument::Value(_) => None,
        }
    }

    /// Returns the JSON of an argument, an event's name being the first.
    ///
    /// `None` if there is no such argument, or if it came in another format.
    pub fn json(&self, index: usize) -> Option<&str> {
        match self.iter().nth(index)? {
            Argument::Json(json) => Some(json),
            Argument::Value(_) => None,
        }
    }

    /// Returns the data for which `attachment` stands, sharing their storage.
    pub fn attachment(&self, attachment: &Attachment) -> Option<Bytes> {
        self.payload.attachment(attachment)
    }

    /// Makes values of the arguments, in which binary data share their storage.
    ///
    /// # Errors
    ///
    /// As [`Payload::to_value`].
    pub fn to_values(&self) -> Result<Vec<Value>, DecodeError> {
        match self.payload.to_value()? {
            Value::Array(arguments) => Ok(arguments),
            _ => Ok(Vec::new()),
        }
    }

    /// Reads the arguments behind the first `skip`: 1 for an event, 0 for an acknowledgement.
    ///
    /// A tuple takes them one by one, `()` none, any other type the first. A missing argument is `None` for an
    /// `Option`. More arguments than asked for are ignored.
    ///
    /// Strings and bytes can be borrowed; a string with escapes in JSON cannot, and is an error for `&str`.
    ///
    /// # Errors
    ///
    /// If an argument is missing or does not have the type. Add the event's name with [`DecodeError::with_event`].
    pub fn decode<'de, T: Deserialize<'de>>(&'de self, skip: usize) -> Result<T, DecodeError> {
        match &self.payload.0 {
            Repr::Json { message, start, attachments, only, name } => {
                let json = &message[*start..];
                let placeholders = Placeholders::find(json, attachments, *only)?;
                let reader = Reader::new(json, &placeholders, attachments.as_slice());
                T::deserialize(ArgumentsReader(JsonArguments::new(reader, *name, skip)?))
            }
            Repr::Value { value, .. } => {
                let leaves = Leaves::new(value);
                T::deserialize(ArgumentsReader(ValueArguments::new(
                    arguments(value, skip),
                    &leaves,
                )))
            }
        }
    }

    /// Reads an event with the name `name` as a variant of an enum.
    ///
    /// The variant has the event's name. A unit variant takes no argument, a newtype variant the first, a tuple variant
    /// several, a struct variant the first, an object. `#[serde(other)]` takes events of any other name.
    ///
    /// # Errors
    ///
    /// [`EventError::Unknown`] if no variant has the name, [`EventError::Malformed`] if its arguments do not fit. Both
    /// name the event.
    pub fn decode_event<'de, E: Deserialize<'de>>(
        &'de self,
        name: &'de str,
    ) -> Result<E, EventError> {
        let malformed = |error| EventError::of(name, error);
        match &self.payload.0 {
            Repr::Json { message, start, attachments, only, name: first } => {
                let json = &message[*start..];
                let placeholders =
                    Placeholders::find(json, attachments, *only).map_err(malformed)?;
                let reader = Reader::new(json, &placeholders, attachments.as_slice());
                let arguments = JsonArguments::new(reader, *first, 1).map_err(malformed)?;
                typed_event::read(name, arguments)
            }
            Repr::Value { value, .. } => {
                let leaves = Leaves::new(value);
                typed_event::read(name, ValueArguments::new(arguments(value, 1), &leaves))
            }
        }
    }
}

fn arguments(value: &Value, skip: usize) -> &[Value] {
    value.as_array().and_then(|arguments| arguments.get(skip..)).unwrap_or_default()
}

impl<'a> Iterator for Arguments<'a> {
    type Item = Argument<'a>;

    fn next(&mut self) -> Option<Argument<'a>> {
        match &mut self.0 {
            Elements::Json(elements) => elements.next().map(Argument::Json),
            Elements::Values(elements) => elements.next().map(Argument::Value),
        }
    }
}

impl<'a> IntoIterator for &'a Args {
    type Item = Argument<'a>;
    type IntoIter = Arguments<'a>;

    fn into_iter(self) -> Arguments<'a> {
        self.iter()
    }
}
