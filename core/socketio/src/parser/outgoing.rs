//! Events on their way out.

use alloc::vec::Vec;

use bytes::Bytes;
use enginewire::Encoded;
use serde::Serialize;

use super::{EVENT, Encoder, Parser, check_attachments, is_reserved, json};
use crate::{
    Event,
    packet::AckId,
    payload::{self, Args, EncodeError, Payload, Value},
};

/// Event that can be sent: a [`NamedEvent`], an [`EnumEvent`], or a received [`Event`].
///
/// It cannot be implemented elsewhere.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "an event is a `NamedEvent`, an `EnumEvent`, or a received `Event`"
)]
pub trait Outgoing: sealed::Encode {}

impl<T: sealed::Encode> Outgoing for T {}

/// Event with a name, a payload, and attachments of the payload.
///
/// A tuple is several arguments, `()` none, anything else one.
#[derive(Clone, Debug)]
pub struct NamedEvent<'a, P: ?Sized> {
    name: &'a str,
    payload: &'a P,
    attachments: Vec<Bytes>,
    compress: bool,
}

/// Variant of an enum as an event.
///
/// Its name is that of the event, its fields are the arguments.
#[derive(Clone, Debug)]
pub struct EnumEvent<'a, E: ?Sized> {
    event: &'a E,
    attachments: Vec<Bytes>,
    compress: bool,
}

macro_rules! attach {
    () => {
        /// Adds binary data that an [`Attachment`](crate::Attachment) of the payload stands for.
        #[must_use]
        pub fn attach(mut self, data: impl Into<Bytes>) -> Self {
            self.attachments.push(data.into());
            self
        }

        /// Sets all binary data that [`Attachment`](crate::Attachment)s of the payload stand for.
        #[must_use]
        pub fn with_attachments(mut self, attachments: Vec<Bytes>) -> Self {
            self.attachments = attachments;
            self
        }

        /// Asks that the event not be compressed, see [`Encoded::without_compression`].
        #[cfg(feature = "deflate")]
        #[doc(alias = "compress")]
        #[must_use]
        pub fn without_compression(mut self) -> Self {
            self.compress = false;
            self
        }
    };
}

impl<'a, P: Serialize + ?Sized> NamedEvent<'a, P> {
    /// Creates an event.
    pub const fn new(name: &'a str, payload: &'a P) -> Self {
        Self { name, payload, attachments: Vec::new(), compress: true }
    }

    attach!();
}

impl<'a, E: Serialize + ?Sized> EnumEvent<'a, E> {
    /// Creates an event.
    pub const fn new(event: &'a E) -> Self {
        Self { event, attachments: Vec::new(), compress: true }
    }

    attach!();
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

        /// Makes the name and the arguments alone.
        fn args(&self, encoder: &mut Encoder, parser: &Parser) -> Result<Args, EncodeError>;
    }
}

/// Event of the application, whose payload is still to be written.
trait Write {
    fn attachments(&self) -> &[Bytes];

    fn may_be_compressed(&self) -> bool;

    /// Adds the name of the event to an error, if it is known.
    fn named(&self, error: EncodeError) -> EncodeError;

    /// Appends the name and the arguments as JSON, and the binary data in them to `attachments`.
    fn write(&self, out: &mut Vec<u8>, attachments: &mut Vec<Bytes>) -> Result<(), EncodeError>;

    /// Makes values of the name and the arguments.
    fn values(&self) -> Result<Vec<Value>, EncodeError>;
}

impl<P: Serialize + ?Sized> Write for NamedEvent<'_, P> {
    fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    fn may_be_compressed(&self) -> bool {
        self.compress
    }

    fn named(&self, error: EncodeError) -> EncodeError {
        error.with_event(self.name)
    }

    fn write(&self, out: &mut Vec<u8>, attachments: &mut Vec<Bytes>) -> Result<(), EncodeError> {
        check(self.name)?;
        payload::write_event(out, attachments, self.name, self.payload)
    }

    fn values(&self) -> Result<Vec<Value>, EncodeError> {
        check(self.name)?;
        payload::event_values(self.name, self.payload, &self.attachments)
    }
}

impl<E: Serialize + ?Sized> Write for EnumEvent<'_, E> {
    fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    fn may_be_compressed(&self) -> bool {
        self.compress
    }

    fn named(&self, error: EncodeError) -> EncodeError {
        error
    }

    fn write(&self, out: &mut Vec<u8>, attachments: &mut Vec<Bytes>) -> Result<(), EncodeError> {
        check(payload::write_enum_event(out, attachments, self.event)?)
    }

    fn values(&self) -> Result<Vec<Value>, EncodeError> {
        let (name, values) = payload::enum_event_values(self.event, &self.attachments)?;
        check(name).map(|()| values)
    }
}

impl<T: Write> sealed::Encode for T {
    fn message(
        &self,
        encoder: &mut Encoder,
        parser: &Parser,
        namespace: &str,
        ack: Option<AckId>,
    ) -> Result<Encoded, EncodeError> {
        let encoded = if matches!(parser, Parser::Json) {
            let attachments = self.attachments().to_vec();
            let write = |out: &mut _, attachments: &mut _| self.write(out, attachments);
            let encoded = encoder.json(namespace, EVENT, ack, attachments, write);
            encoded.map_err(|error| self.named(error))?
        } else {
            parser.values(namespace, ack, self.values()?)?
        };
        Ok(with_compression(encoded, self.may_be_compressed()))
    }

    fn args(&self, encoder: &mut Encoder, parser: &Parser) -> Result<Args, EncodeError> {
        if !matches!(parser, Parser::Json) {
            let args = self.values().map(Args::from_values)?;
            return Ok(args.with_compression(self.may_be_compressed()));
        }
        let mut attachments = self.attachments().to_vec();
        encoder.scratch.clear();
        self.write(&mut encoder.scratch, &mut attachments)?;
        let checked = check_attachments(&attachments, encoder.max_attachments);
        checked.map_err(|error| self.named(error))?;
        let json = json::text(&encoder.scratch);
        let args = Args::from_payload(Payload::from_json(json, 0, attachments));
        Ok(args.with_compression(self.may_be_compressed()))
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

/// Passes on whether an event may be compressed. Without the feature `deflate` none is.
pub(super) fn with_compression(encoded: Encoded, is_allowed: bool) -> Encoded {
    #[cfg(feature = "deflate")]
    if !is_allowed {
        return encoded.without_compression();
    }
    #[cfg(not(feature = "deflate"))]
    let _ = is_allowed;
    encoded
}

fn check(name: &str) -> Result<(), EncodeError> {
    if is_reserved(name) { Err(EncodeError::reserved(name)) } else { Ok(()) }
}
