//! Payloads of packets: one JSON value with binary data anywhere inside.

mod value;

use alloc::sync::Arc;

use bytes::Bytes;
use enginewire::Text;

pub use self::value::{Number, Value};

/// Value that a packet carries, as it was received or is to be sent.
///
/// Cloning is cheap and shares the storage, which may be that of the received message.
#[derive(Clone, Debug)]
pub struct Payload(pub(crate) Repr);

#[derive(Clone, Debug)]
pub(crate) enum Repr {
    /// Valid JSON, from the byte `start` of `message` to its end. Placeholders in it stand for `attachments`.
    Json { message: Text, start: usize, attachments: Attachments },
    /// Of a parser that has values of its own.
    Value(Arc<Value>),
}

/// Binary parts of a payload in JSON, in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Attachments {
    #[default]
    None,
    One(Bytes),
    Many(Arc<[Bytes]>),
}

/// Arguments of an event or of an acknowledgement: a [`Payload`] that is an array.
#[derive(Clone, Debug)]
pub struct Args(pub(crate) Payload);
