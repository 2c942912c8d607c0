//! Errors of a connection, and who is to blame.

use alloc::{string::String, sync::Arc, vec::Vec};

use enginewire::{Encoded, Text};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

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
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectError(Arc<Refusal>);

/// Shared, and on the heap, because errors are moved more often than made.
#[derive(Clone, Debug)]
struct Refusal {
    message: Text,
    data: Option<Payload>,
}

impl ConnectError {
    /// Creates a response with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Arc::new(Refusal { message: message.into().into(), data: None }))
    }

    /// Adds data. Binary data is not possible with [`Parser::Json`](crate::parser::Parser::Json).
    ///
    /// # Panics
    ///
    /// If `data` cannot be serialized.
    #[must_use]
    pub fn with_data<D: Serialize + ?Sized>(mut self, data: &D) -> Self {
        match Payload::new(data) {
            Ok(data) => Arc::make_mut(&mut self.0).data = Some(data),
            Err(error) => panic!("data of a connect error: {error}"),
        }
        self
    }

    /// Reads the response of a server. Those of Socket.IO 2 send any value: text is the message, all else is data.
    ///
    /// Takes no more memory than a copy of the response, because the server is not trusted.
    pub(crate) fn from_payload(payload: &Payload) -> Self {
        let (message, data) = match payload.as_value() {
            Some(value) => of_value(value),
            None => of_json(payload),
        };
        Self(Arc::new(Refusal { message: message.unwrap_or_default(), data }))
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the data, if there are any. [`Payload::decode`] reads them.
    pub fn data(&self) -> Option<&Payload> {
        self.0.data.as_ref()
    }

    /// Returns what clients of Socket.IO 3 and later expect: an object.
    pub(super) fn payload(&self) -> Payload {
        let message = (String::from("message"), Value::String(self.message().into()));
        let data = self.data().map(|data| ("data".into(), data.value().into_owned()));
        Payload::from_value(Value::Object([message].into_iter().chain(data).collect()))
    }

    /// Returns what clients of Socket.IO 2.x expect: the data, or else the message alone.
    ///
    /// Of a namespace that does not exist they are told as all others are.
    pub(super) fn payload_for_old_clients(&self) -> Payload {
        match self.data() {
            _ if self.message() == INVALID_NAMESPACE => self.payload(),
            Some(data) => data.clone(),
            None => Payload::of(self.message()),
        }
    }

    /// Response to a client that asks for a namespace that does not exist.
    pub fn invalid_namespace() -> Self {
        Self::new(INVALID_NAMESPACE)
    }
}

/// Compares values, in whatever format they came.
impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        let value = |error: &Self| error.data.as_ref().map(|data| data.value().into_owned());
        self.message == other.message && value(self) == value(other)
    }
}

/// Message and data of a response in JSON, whose data are not looked into.
fn of_json(payload: &Payload) -> (Option<Text>, Option<Payload>) {
    #[derive(Deserialize)]
    struct Object<'a> {
        message: Json<'a>,
        #[serde(borrow)]
        data: Option<Json<'a>>,
    }
    type Json<'a> = &'a RawValue;

    let json = payload.as_json().unwrap_or_default();
    let text = |json: &str| serde_json::from_str::<String>(json).ok().map(Text::from);
    let copy = |json: &str| Payload::from_json(json.into(), 0, Vec::new());
    match json.trim_ascii_start().as_bytes() {
        // serde takes an array for an object, too.
        [b'{', ..] => match serde_json::from_str(json) {
            Ok(Object { message, data }) => {
                (text(message.get()), data.map(|data| copy(data.get())))
            }
            Err(_) => (None, Some(copy(json))),
        },
        [b'"', ..] => (text(json), None),
        b"null" => (None, None),
        _ => (None, Some(copy(json))),
    }
}

/// The same of a response in another format.
fn of_value(value: &Value) -> (Option<Text>, Option<Payload>) {
    let text = |value: &Value| value.as_str().map(Text::from);
    match (value, value.get("message")) {
        (_, Some(message)) => {
            let data = value.get("data").filter(|data| !data.is_null());
            (text(message), data.cloned().map(Payload::from_value))
        }
        (Value::String(_) | Value::Null, None) => (text(value), None),
        (_, None) => (None, Some(Payload::from_value(value.clone()))),
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

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use serde_json::json;

    use super::*;

    #[test]
    fn response_of_any_shape_has_a_message_and_data_in_each_format() {
        let rows = [
            (json!({"message": "no", "data": {"code": 7}}), "no", Some(json!({"code": 7}))),
            (json!({"message": "no"}), "no", None),
            (json!({"message": "no", "data": null}), "no", None),
            (json!({"message": 1, "data": 2}), "", Some(json!(2))),
            (json!("no"), "no", None),
            (json!(null), "", None),
            (json!({"code": 7}), "", Some(json!({"code": 7}))),
            (json!([1]), "", Some(json!([1]))),
            (json!(["no", {"code": 7}]), "", Some(json!(["no", {"code": 7}]))),
            (json!(1), "", Some(json!(1))),
        ];
        for (response, message, data) in rows {
            let json = Payload::from_json(response.to_string().into(), 0, vec![]);
            let value = Payload::from_value(Value::from_serialize(&response).unwrap());
            let read = [json, value].map(|payload| ConnectError::from_payload(&payload));
            assert_eq!(read[0], read[1], "{response}");
            assert_eq!(read[0].message(), message, "{response}");
            let read = read[0].data().map(|data| data.decode::<serde_json::Value>().unwrap());
            assert_eq!(read, data, "{response}");
        }
    }

    #[test]
    fn old_clients_get_the_data_or_the_message_but_for_an_unknown_namespace() {
        let payload = |error: &ConnectError| {
            error.payload_for_old_clients().decode::<serde_json::Value>().unwrap()
        };
        assert_eq!(payload(&ConnectError::new("no")), json!("no"));
        assert_eq!(payload(&ConnectError::new("no").with_data(&7)), json!(7));
        let unknown = ConnectError::invalid_namespace();
        assert_eq!(payload(&unknown), json!({"message": "Invalid namespace"}));
    }

    #[test]
    fn errors_are_equal_if_both_message_and_data_are() {
        let no = || ConnectError::new("no");
        assert_eq!(no().with_data(&[7]), no().with_data(&[7]));
        for other in [no(), no().with_data(&[8]), ConnectError::new("yes").with_data(&[7])] {
            assert_ne!(no().with_data(&[7]), other);
        }
    }
}
