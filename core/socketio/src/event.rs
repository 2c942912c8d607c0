//! Events of a peer.

use alloc::sync::Arc;
use core::{fmt, hash::Hasher};

use bytes::Bytes;
use enginewire::Fingerprint;
use serde::Deserialize;

use crate::{
    name::Named,
    packet::AckId,
    payload::{Args, Attachment, DecodeError, EventError},
};

/// Event that a peer has sent, with its arguments as they came.
///
/// Cloning is cheap and shares what was received. Decoding borrows from it.
#[derive(Clone)]
pub struct Event {
    name: Name,
    args: Args,
    ack: Option<AckId>,
}

/// Name of an event: a part of what was received, or made of it.
#[derive(Clone)]
enum Name {
    Part { start: u32, end: u32 },
    Own(Arc<str>),
}

impl Event {
    pub(crate) fn new(args: Args, ack: Option<AckId>) -> Self {
        let part = args.name_range().and_then(|range| {
            Some(Name::Part {
                start: range.start.try_into().ok()?,
                end: range.end.try_into().ok()?,
            })
        });
        let name = part.unwrap_or_else(|| Name::Own(args.name().unwrap_or_default().into()));
        Self { name, args, ack }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        match &self.name {
            Name::Part { start, end } => self.args.part(*start as usize..*end as usize),
            Name::Own(name) => name,
        }
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
        self.args.decode(1).map_err(|error| error.with_event(self.name()))
    }

    /// Decodes the arguments of an event with this name. `None` if it has another name.
    ///
    /// The name is a [`Named`] or an [`Asking`](crate::Asking).
    ///
    /// # Errors
    ///
    /// As [`data`](Self::data).
    pub fn data_of<'de, P: Deserialize<'de>>(
        &'de self,
        name: impl Into<Named<P>>,
    ) -> Option<Result<P, DecodeError>> {
        (self.name() == name.into().name()).then(|| self.data())
    }

    /// Decodes the event as the variant of an enum that has its name.
    ///
    /// The fields of the variant are the arguments: a unit variant has none, a newtype variant one, a tuple variant
    /// several, a struct variant one object.
    ///
    /// # Errors
    ///
    /// There is no such variant, or the arguments are of another shape. The error names the event.
    pub fn parse<'de, E: Deserialize<'de>>(&'de self) -> Result<E, EventError> {
        self.args.decode_event(self.name())
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

    /// Feeds what the event consists of into `into`.
    pub(crate) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        into.push(&self.ack);
        self.args.payload().fingerprint(into);
    }

    /// Returns the number to acknowledge the event with, if the peer expects that.
    pub const fn ack(&self) -> Option<AckId> {
        self.ack
    }
}

/// Takes arguments with a name first. The event expects no acknowledgement.
impl From<Args> for Event {
    fn from(args: Args) -> Self {
        Self::new(args, None)
    }
}

/// Without the arguments, which may be long and private.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("name", &self.name())
            .field("args", &self.args.len().saturating_sub(1))
            .field("ack", &self.ack)
            .finish()
    }
}
