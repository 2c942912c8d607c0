//! Reasons why a socket of a client is not connected.

use enginewire_socketio::{ConnectError, EncodeError, EndReason};

/// Reason why a socket of a client is not connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no connection to the server. It names address and cause, and says what to look at.
    #[error(transparent)]
    Connect(#[from] crate::ConnectError),
    /// The server refuses to connect the socket: its message, and data if it gave any.
    #[error("refused by the server: {}", .0.message())]
    Refused(ConnectError),
    /// The server has disconnected the socket.
    #[error("disconnected by the server")]
    ServerLeft,
    /// The server speaks Socket.IO 2.
    #[error("the server speaks Socket.IO 2: set the revision of Engine.IO to 3")]
    OldServer,
    /// The socket was disconnected, or its client closed.
    #[error("the socket was disconnected by this side")]
    Closed,
    /// The client has a socket of this namespace.
    #[error("the client has a socket of the namespace {namespace}: clone its `ClientRef`")]
    NamespaceTaken {
        /// The namespace.
        namespace: String,
    },
    /// The payload for the server's authorization cannot be encoded.
    #[error("the auth payload cannot be encoded: {0}")]
    Encode(EncodeError),
}

impl ClientError {
    /// Makes the error of a socket that has ended. One that has no connection is told by its address.
    pub(super) fn of(reason: &EndReason, to: &str) -> Self {
        match reason {
            EndReason::Refused(error) => Self::Refused(error.clone()),
            EndReason::ServerLeft => Self::ServerLeft,
            EndReason::OldServer => Self::OldServer,
            EndReason::Failed(reason) => Self::Connect(crate::ConnectError::Session {
                to: to.to_owned(),
                reason: reason.clone(),
                body: None,
                source: None,
            }),
            _ => Self::Closed,
        }
    }
}
