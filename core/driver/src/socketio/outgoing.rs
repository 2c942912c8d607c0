//! Events on their way out.

use std::cell::RefCell;

use bytes::Bytes;
use enginewire::Encoded;
use enginewire_socketio::{
    AckId, Args, EncodeError, Event,
    parser::{Encoder, Parser},
};
use serde::Serialize;

use super::namespace::NamespaceShared;

/// Event that can be encoded for any namespace.
pub(super) trait Outgoing {
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

/// A name and a payload of the application.
pub(super) struct Named<'a, P: ?Sized> {
    pub(super) name: &'a str,
    pub(super) payload: &'a P,
    pub(super) attachments: &'a [Bytes],
}

/// A variant of an enum, whose name is that of the event.
pub(super) struct Typed<'a, E: ?Sized> {
    pub(super) event: &'a E,
    pub(super) attachments: &'a [Bytes],
}

/// An encoded event, or its arguments if its offset is not known yet.
pub(super) enum Body {
    Message(Encoded),
    Args(Args),
}

impl<P: Serialize + ?Sized> Outgoing for Named<'_, P> {
    fn message(
        &self,
        encoder: &mut Encoder,
        parser: &Parser,
        namespace: &str,
        ack: Option<AckId>,
    ) -> Result<Encoded, EncodeError> {
        let attachments = self.attachments.to_vec();
        encoder.event(parser, namespace, ack, self.name, self.payload, attachments)
    }

    fn args(&self, encoder: &mut Encoder, parser: &Parser) -> Result<Args, EncodeError> {
        encoder.args(parser, self.name, self.payload, self.attachments.to_vec())
    }
}

impl<E: Serialize + ?Sized> Outgoing for Typed<'_, E> {
    fn message(
        &self,
        encoder: &mut Encoder,
        parser: &Parser,
        namespace: &str,
        ack: Option<AckId>,
    ) -> Result<Encoded, EncodeError> {
        encoder.enum_event(parser, namespace, ack, self.event, self.attachments.to_vec())
    }

    fn args(&self, encoder: &mut Encoder, parser: &Parser) -> Result<Args, EncodeError> {
        encoder.enum_args(parser, self.event, self.attachments.to_vec())
    }
}

/// An event that was received.
impl Outgoing for Event {
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

impl NamespaceShared {
    /// Encodes an event for the sockets of this namespace.
    pub(super) fn encode(
        &self,
        event: &impl Outgoing,
        ack: Option<AckId>,
    ) -> Result<Body, EncodeError> {
        with_encoder(|encoder| match ack {
            None if self.is_recovering() => event.args(encoder, self.parser()).map(Body::Args),
            _ => event.message(encoder, self.parser(), self.name(), ack).map(Body::Message),
        })
    }
}

/// Calls `encode` with the encoder of this thread, which keeps its buffer.
pub(super) fn with_encoder<T>(encode: impl FnOnce(&mut Encoder) -> T) -> T {
    thread_local! {
        static ENCODER: RefCell<Encoder> = const { RefCell::new(Encoder::new()) };
    }
    ENCODER.with(|encoder| match encoder.try_borrow_mut() {
        Ok(mut encoder) => {
            let result = encode(&mut encoder);
            encoder.shrink();
            result
        }
        // A payload that emits while it is being encoded.
        Err(_) => encode(&mut Encoder::new()),
    })
}
