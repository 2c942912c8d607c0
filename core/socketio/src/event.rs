//! Events of a peer.

use core::fmt;

use bytes::Bytes;
use enginewire::Text;
use serde::Deserialize;

use crate::{
    packet::AckId,
    payload::{Args, Attachment, DecodeError, EventError},
};

/// Event that a peer has sent, with its arguments as they came.
///
/// Cloning is cheap and shares what was received. Decoding borrows from it.
#[derive(Clone)]
pub struct Event {
    name: Text,
    args: Args,
    ack: Option<AckId>,
}

impl Event {
    pub(crate) const fn new(name: Text, args: Args, ack: Option<AckId>) -> Self {
        Self { name, args, ack }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Decodes the arguments.
    ///
    /// A tuple takes them one by one, anything else takes the first. A missing `Option` is `None`, and further
    /// arguments are ignored. Strings and binary data can be borrowed from the event.
    ///
    /// # Errors
    ///
    /// The arguments are of another shape. The error names the event, the argument and the place.
    pub fn data<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        self.args.decode(1).map_err(|error| error.with_event(&self.name))
    }

    /// Decodes the event as the variant of an enum that has its name.
    ///
    /// The fields of the variant are the arguments: a unit variant has none, a newtype variant one, a tuple variant
    /// several, a struct variant one object.
    ///
    /// # Errors
    ///
    /// There is no such variant, or the arguments are of another shape.
    pub fn parse<'de, E: Deserialize<'de>>(&'de self) -> Result<E, EventError> {
        self.args.decode_event(&self.name)
    }

    /// Returns the name and the arguments as they came. The name is the first.
    pub const fn args(&self) -> &Args {
        &self.args
    }

    /// Returns binary data without a copy.
    ///
    /// `None` if the attachment was not decoded from this event.
    pub fn attachment(&self, attachment: &Attachment) -> Option<Bytes> {
        self.args.attachment(attachment)
    }

    /// Returns the number to acknowledge the event with, if the peer expects that.
    pub const fn ack(&self) -> Option<AckId> {
        self.ack
    }
}

/// Without the arguments, which may be long and private.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("name", &self.name)
            .field("args", &self.args.len().saturating_sub(1))
            .field("ack", &self.ack)
            .finish()
    }
}
