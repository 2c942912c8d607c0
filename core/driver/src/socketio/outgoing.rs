//! Events on their way out.

use std::cell::RefCell;

use enginewire::Encoded;
use enginewire_socketio::{
    AckId, Args, EncodeError,
    parser::{Encoder, Outgoing, ParserLimits},
};

use super::namespace::NamespaceShared;

/// An encoded event, or its arguments if its offset is not known yet.
pub(super) enum Body {
    Message(Encoded),
    Args(Args),
}

impl Body {
    /// Returns the bytes that it takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Args(args) => args.payload().size(),
        }
    }

    /// The same of an event that may be compressed, or not.
    pub(super) fn with_compression(self, is_allowed: bool) -> Self {
        match self {
            Self::Message(message) => Self::Message(with_compression(message, is_allowed)),
            Self::Args(args) => Self::Args(args_with_compression(args, is_allowed)),
        }
    }
}

/// A message that may be compressed, or not. Without the feature `deflate` none is.
pub(super) fn with_compression(message: Encoded, is_allowed: bool) -> Encoded {
    #[cfg(feature = "deflate")]
    if !is_allowed {
        return message.without_compression();
    }
    let _ = is_allowed;
    message
}

/// The same of arguments that are still to be encoded.
pub(super) fn args_with_compression(args: Args, is_allowed: bool) -> Args {
    #[cfg(feature = "deflate")]
    if !is_allowed {
        return args.without_compression();
    }
    let _ = is_allowed;
    args
}

impl NamespaceShared {
    /// Encodes an event for the sockets of this namespace.
    pub(super) fn encode(
        &self,
        event: &impl Outgoing,
        ack: Option<AckId>,
    ) -> Result<Body, EncodeError> {
        with_encoder(&self.config().limits, |encoder| match ack {
            None if self.is_recovering() => encoder.args(self.parser(), event).map(Body::Args),
            _ => encoder.event(self.parser(), self.name(), ack, event).map(Body::Message),
        })
    }
}

/// Calls `encode` with the encoder of this thread, which keeps its buffer.
pub(super) fn with_encoder<T>(limits: &ParserLimits, encode: impl FnOnce(&mut Encoder) -> T) -> T {
    thread_local! {
        static ENCODER: RefCell<Encoder> = const { RefCell::new(Encoder::new()) };
    }
    let limited = |encoder: &mut Encoder| {
        encoder.set_max_attachments(limits.max_attachments);
        encode(encoder)
    };
    ENCODER.with(|encoder| match encoder.try_borrow_mut() {
        Ok(mut encoder) => {
            let result = limited(&mut encoder);
            encoder.shrink();
            result
        }
        // A payload that emits while it is being encoded.
        Err(_) => limited(&mut Encoder::new()),
    })
}
