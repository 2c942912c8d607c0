//! Events on their way out.

use alloc::vec::Vec;

use bytes::Bytes;
use enginewire::Encoded;
use serde::Serialize;

use crate::{
    AckId, Args, EncodeError, Event,
    parser::{Encoder, Parser},
};

/// Event that can be sent: a [`Named`] one, a [`Typed`] one, or a received [`Event`].
///
/// It cannot be implemented elsewhere.
pub trait Outgoing: sealed::Encode {}

impl<T: sealed::Encode> Outgoing for T {}

/// Event with a name, a payload, and attachments of the payload.
///
/// A tuple is several arguments, `()` none, anything else one.
#[derive(Clone, Debug)]
pub struct Named<'a, P: ?Sized> {
    name: &'a str,
    payload: &'a P,
    attachments: Vec<Bytes>,
}

/// Variant of an enum as an event.
///
/// Its name is that of the event, its fields are the arguments.
#[derive(Clone, Debug)]
pub struct Typed<'a, E: ?Sized> {
    event: &'a E,
    attachments: Vec<Bytes>,
}

impl<'a, P: Serialize + ?Sized> Named<'a, P> {
    /// Creates an event.
    pub const fn new(name: &'a str, payload: &'a P) -> Self {
        Self { name, payload, attachments: Vec::new() }
    }

    /// Adds binary data that an [`Attachment`](crate::Attachment) of the payload stands for.
    #[must_use]
    pub fn attach(mut self, data: impl Into<Bytes>) -> Self {
        self.attachments.push(data.into());
        self
    }
}

impl<'a, E: Serialize + ?Sized> Typed<'a, E> {
    /// Creates an event.
    pub const fn new(event: &'a E) -> Self {
        Self { event, attachments: Vec::new() }
    }

    /// Adds binary data that an [`Attachment`](crate::Attachment) of the event stands for.
    #[must_use]
    pub fn attach(mut self, data: impl Into<Bytes>) -> Self {
        self.attachments.push(data.into());
        self
    }
}

pub(super) mod sealed {
    use super::{AckId, Args, EncodeError, Encoded, Encoder, Parser};

    pub trait Encode {
        /// Encodes the event with its namespace and number.
        fn message(
            &self,
            encoder: &mut Encoder,
            parser: &Parser,
            namespace: &str,
            ack: Option<AckId>,
        ) -> Result<Encoded, EncodeError>;

        /// Makes the name and the arguments alone, to which an offset is to be added.
        fn args(&self, encoder: &mut Encoder, parser: &Parser) -> Result<Args, EncodeError>;
    }
}

impl<P: Serialize + ?Sized> sealed::Encode for Named<'_, P> {
    fn message(
        &self,
        encoder: &mut Encoder,
        parser: &Parser,
        namespace: &str,
        ack: Option<AckId>,
    ) -> Result<Encoded, EncodeError> {
        let attachments = self.attachments.clone();
        encoder.event(parser, namespace, ack, self.name, self.payload, attachments)
    }

    fn args(&self, encoder: &mut Encoder, parser: &Parser) -> Result<Args, EncodeError> {
        encoder.args(parser, self.name, self.payload, self.attachments.clone())
    }
}

impl<E: Serialize + ?Sized> sealed::Encode for Typed<'_, E> {
    fn message(
        &self,
        encoder: &mut Encoder,
        parser: &Parser,
        namespace: &str,
        ack: Option<AckId>,
    ) -> Result<Encoded, EncodeError> {
        encoder.enum_event(parser, namespace, ack, self.event, self.attachments.clone())
    }

    fn args(&self, encoder: &mut Encoder, parser: &Parser) -> Result<Args, EncodeError> {
        encoder.enum_args(parser, self.event, self.attachments.clone())
    }
}

impl sealed::Encode for Event {
    fn message(
        &self,
        encoder: &mut Encoder,
        parser: &Parser,
        namespace: &str,
        ack: Option<AckId>,
    ) -> Result<Encoded, EncodeError> {
        encoder.forward(parser, namespace, ack, Self::args(self), None)
    }

    fn args(&self, _: &mut Encoder, _: &Parser) -> Result<Args, EncodeError> {
        Ok(Self::args(self).clone())
    }
}
