//! Errors of a connection, and who is to blame.

use alloc::string::String;

use enginewire::Encoded;
use serde::Serialize;

use crate::{
    parser::PacketError,
    payload::{EncodeError, Payload, Value},
    reason::DisconnectReason,
};

/// Reason why an event is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The deadline has passed.
    #[error("the peer has not acknowledged in time")]
    Timeout,
    /// The socket was disconnected.
    #[error("the socket was disconnected: {0}")]
    Disconnected(DisconnectReason),
    /// The event was dropped before it was sent. Only clients drop events.
    #[error("the event was not sent")]
    NotSent,
    /// The event was not sent to this socket, which stays connected.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// Response to a client that is refused: a message, and data if there is any.
///
/// The client has both in its `connect_error` event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectError {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl ConnectError {
    /// Creates a response with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// Adds data. Binary data is not possible with [`Parser::Json`](crate::parser::Parser::Json).
    ///
    /// # Panics
    ///
    /// If `data` cannot be serialized.
    #[must_use]
    pub fn with_data<D: Serialize + ?Sized>(mut self, data: &D) -> Self {
        match Value::from_serialize(data) {
            Ok(data) => self.data = Some(data),
            Err(error) => panic!("data of a connect error: {error}"),
        }
        self
    }

    /// Reads the response of a server. Those of Socket.IO 2 send any value: text is the message, all else is data.
    pub(crate) fn from_payload(payload: &Payload) -> Self {
        let value = payload.to_value().unwrap_or(Value::Null);
        let message = value.get("message").unwrap_or(&value).as_str().unwrap_or_default();
        let data = match &value {
            Value::Object(_) if value.get("message").is_some() => value.get("data").cloned(),
            Value::String(_) | Value::Null => None,
            _ => Some(value.clone()),
        };
        Self { message: message.into(), data }
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the data, if there are any.
    pub const fn data(&self) -> Option<&Value> {
        self.data.as_ref()
    }

    /// Returns what clients of Socket.IO 2.x expect: the data, or else the message alone.
    ///
    /// Of a namespace that does not exist they are told as all others are.
    pub(super) fn payload_for_old_clients(&self) -> Payload {
        match &self.data {
            _ if self.message == INVALID_NAMESPACE => Payload::of(self),
            Some(data) => Payload::of(data),
            None => Payload::of(self.message.as_str()),
        }
    }

    /// Response to a client that asks for a namespace that does not exist.
    pub fn invalid_namespace() -> Self {
        Self::new(INVALID_NAMESPACE)
    }
}

impl From<&str> for ConnectError {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for ConnectError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// Reason why an event was not queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The payload cannot be encoded, or the name is reserved.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The client is slow, and there is no room.
    #[error("no room: {queued} bytes are queued, at most {max} are allowed")]
    Full {
        /// Bytes that are queued.
        queued: usize,
        /// The limit, [`Limits::max_queued`](enginewire::Limits::max_queued).
        max: usize,
    },
    /// The client owes as many acknowledgements as it may.
    #[error("the client has not acknowledged {max} events")]
    TooManyAcks {
        /// The limit, [`max_pending_acks`](super::ConnectionConfig::max_pending_acks).
        max: usize,
    },
    /// The event is volatile, and would have had to wait.
    #[error("volatile event dropped: it could not have been sent at once")]
    NotIdle,
    /// The socket is disconnected.
    #[error("the socket is disconnected")]
    Disconnected,
}

/// Reason why an event was not queued, and the event.
#[derive(Clone, Debug)]
pub struct TryEmitError {
    /// The event.
    pub message: Encoded,
    /// The reason.
    pub reason: EmitError,
}

/// Fault of a peer for which its session was closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A message is not a packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The client asks to connect to a namespace that it is connected to.
    #[error("the client is connected to this namespace")]
    ConnectedTwice,
    /// A packet is for a namespace that the client is not connected to.
    #[error("a packet is for a namespace that the client is not connected to")]
    NotConnected,
    /// A client sent a packet that only servers send.
    #[error("only servers refuse connections")]
    ConnectErrorFromClient,
    /// The client has not connected to any namespace in time.
    #[error("no namespace was connected in time")]
    ConnectTimeout,
    /// The client takes no responses, and asks for more and more.
    #[error("the client takes no responses")]
    TakesNoResponses,
    /// The server has not responded in time to a request to connect to a namespace.
    #[error("the server has not responded to a request to connect")]
    NoResponse,
    /// The payload with which a server connects a client has another shape.
    #[error("the response to a request to connect has another shape")]
    Response,
}

/// The reference's words, for which clients look.
const INVALID_NAMESPACE: &str = "Invalid namespace";
