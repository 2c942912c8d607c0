//! Errors of writing and reading payloads.

use alloc::{
    borrow::{Cow, ToOwned},
    boxed::Box,
    format,
    string::{String, ToString},
};
use core::fmt::{self, Display};

use serde::{
    de::{self, Expected, Unexpected},
    ser,
};

/// Error of a payload that cannot be written.
///
/// The application is to blame: its `Serialize` failed, or its data have no form in a packet.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError(Box<Place>);

/// Error of a payload that does not have the type that was asked for.
///
/// It shows no more than a short part of the payload.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Place>);

/// Error of an event that is none of a typed enum. It names the event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The enum has no variant with the event's name.
    #[error("unknown event `{}`", .name.escape_debug())]
    #[non_exhaustive]
    Unknown {
        /// The name. A long one is cut off.
        name: String,
    },
    /// The arguments do not have the types of the variant.
    #[error(transparent)]
    Malformed(DecodeError),
}

/// Place and cause, which both errors know.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    event: Option<String>,
    argument: Option<usize>,
    column: Option<usize>,
    unknown_event: bool,
    message: String,
}

impl EncodeError {
    /// Returns the name of the event, if it is known.
    pub fn event(&self) -> Option<&str> {
        self.0.event.as_deref()
    }

    /// Returns the argument to blame, counted from zero behind the event's name.
    pub fn argument(&self) -> Option<usize> {
        self.0.argument
    }

    /// Returns the reason.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Adds the name of the event, unless it has one.
    #[must_use]
    pub fn with_event(mut self, name: &str) -> Self {
        self.0.event.get_or_insert_with(|| cut(name, MAX_NAME).into_owned());
        self
    }

    pub(super) fn new(message: &str) -> Self {
        Self(Place::new(message.to_owned()))
    }

    pub(super) fn in_argument(mut self, index: Option<usize>) -> Self {
        self.0.argument = self.0.argument.or(index);
        self
    }
}

impl DecodeError {
    /// Returns the name of the event, if it is known.
    pub fn event(&self) -> Option<&str> {
        self.0.event.as_deref()
    }

    /// Returns the argument to blame, counted from zero behind the event's name.
    pub fn argument(&self) -> Option<usize> {
        self.0.argument
    }

    /// Returns the byte of the argument's JSON where reading ended, counted from one.
    pub fn column(&self) -> Option<usize> {
        self.0.column
    }

    /// Returns the reason.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Adds the name of the event, unless it has one.
    #[must_use]
    pub fn with_event(mut self, name: &str) -> Self {
        self.0.event.get_or_insert_with(|| cut(name, MAX_NAME).into_owned());
        self
    }

    pub(super) fn new(message: &str) -> Self {
        Self(Place::new(message.to_owned()))
    }

    pub(super) fn in_argument(mut self, index: usize) -> Self {
        self.0.argument.get_or_insert(index);
        self
    }

    pub(super) fn at_column(mut self, column: usize) -> Self {
        self.0.column.get_or_insert(column);
        self
    }

    /// Marks an error that is about the name of a typed event, and not about its arguments.
    pub(super) fn of_event_name(mut self) -> Self {
        self.0.unknown_event = true;
        self
    }

    fn is_of_event_name(&self) -> bool {
        self.0.unknown_event
    }
}

impl EventError {
    /// Makes the error of an event with this name. `error` is that of reading it.
    pub(super) fn of(name: &str, error: DecodeError) -> Self {
        match error.is_of_event_name() {
            true => Self::Unknown { name: cut(name, MAX_NAME).into_owned() },
            false => Self::Malformed(error.with_event(name)),
        }
    }
}

impl Place {
    fn new(message: String) -> Box<Self> {
        let message = match cut(&message, MAX_MESSAGE) {
            Cow::Borrowed(_) => message,
            Cow::Owned(shorter) => shorter,
        };
        Box::new(Self { event: None, argument: None, column: None, unknown_event: false, message })
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.event, self.argument) {
            (Some(event), Some(argument)) => {
                write!(f, "event `{}`, argument {argument}: ", event.escape_debug())?;
            }
            (Some(event), None) => write!(f, "event `{}`: ", event.escape_debug())?,
            (None, Some(argument)) => write!(f, "argument {argument}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        match self.column {
            Some(column) => write!(f, " at column {column}"),
            None => Ok(()),
        }
    }
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodeError({:?})", self.0.to_string())
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({:?})", self.0.to_string())
    }
}

impl core::error::Error for EncodeError {}

impl core::error::Error for DecodeError {}

impl ser::Error for EncodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self(Place::new(message.to_string()))
    }
}

/// As serde words them, but with short parts of the payload only.
impl de::Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self(Place::new(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        if matches!(found, Unexpected::Bytes(_)) {
            return Self::custom(format_args!(
                "binary data, expected {expected}; `Value`, `Attachment` and types of bytes take it"
            ));
        }
        let found = shown(&found);
        Self::custom(format_args!("invalid type: {found}, expected {expected}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = shown(&found);
        Self::custom(format_args!("invalid value: {found}, expected {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let variant = cut(variant, MAX_NAME);
        let variant = variant.escape_debug();
        match expected {
            [] => Self::custom(format_args!("unknown variant `{variant}`, there are none")),
            _ => Self::custom(format_args!(
                "unknown variant `{variant}`, expected {}",
                names(expected)
            )),
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let field = cut(field, MAX_NAME);
        let field = field.escape_debug();
        match expected {
            [] => Self::custom(format_args!("unknown field `{field}`, there are none")),
            _ => {
                Self::custom(format_args!("unknown field `{field}`, expected {}", names(expected)))
            }
        }
    }
}

/// The value that was found, in short.
fn shown(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("string {:?}", cut(text, MAX_NAME)),
        Unexpected::Unit => "null".to_owned(),
        other => other.to_string(),
    }
}

fn names(expected: &[&str]) -> String {
    let mut all = String::new();
    for name in expected {
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push('`');
        all.push_str(name);
        all.push('`');
    }
    all
}

fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = (0..=max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    Cow::Owned(format!("{}...", &text[..end]))
}

/// Bytes of a name or string of the peer in a message: enough to find it in the source.
const MAX_NAME: usize = 48;
/// Bytes of a whole message: it goes to logs.
const MAX_MESSAGE: usize = 400;
