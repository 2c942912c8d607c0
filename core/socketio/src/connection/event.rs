//! Outputs of a connection for the server around it.

use enginewire::Text;

use super::{AckError, Slot};
use crate::{
    payload::{Args, Payload},
    reason::DisconnectReason,
};

/// Something that a [`Connection`](crate::Connection) has for the server around it.
///
/// `T` says who waits for an acknowledgement.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionEvent<T> {
    /// The client asks to connect to a namespace.
    ///
    /// [`accept`](crate::Connection::accept) or [`refuse`](crate::Connection::refuse) responds, at any later time.
    Connect(Slot, ConnectRequest),
    /// The client no longer waits for the response to [`Connect`](Self::Connect). The slot is of no more use.
    Cancelled(Slot),
    /// Events of the client wait in a slot that had none: [`take_event`](crate::Connection::take_event).
    Readable(Slot),
    /// The client has acknowledged an event, or will not.
    Acknowledged(Slot, T, Result<Args, AckError>),
    /// A socket is disconnected. Events that came before still wait in its slot.
    Disconnected(Slot, DisconnectReason),
}

/// Request of a client to connect to a namespace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The namespace, with its leading slash.
    pub namespace: Text,
    /// The payload: what the client gave as `auth`, and what it needs for recovery. An object, if any.
    ///
    /// Of clients of Socket.IO 2.x it has the parameters of the namespace: `/admin?token=1`.
    pub auth: Option<Payload>,
}
