//! Why a session could not be opened.

use std::io;

use enginewire::{CloseReason, InvalidUrl, TransportFault};

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is no valid URL.
    #[error("the address is invalid: {0}")]
    Url(#[from] InvalidUrl),
    /// The address asks for TLS, and the runtime's streams have none; see [`Runtime::TLS`](crate::Runtime::TLS).
    #[error("the address asks for TLS, which this runtime does not bring")]
    Tls,
    /// A header field is malformed, or one that the client writes itself.
    #[error("the header field {name:?} cannot be sent: it is malformed, or the client's own")]
    Header {
        /// Its name.
        name: String,
    },
    /// A WebSocket subprotocol is no token, or is offered twice.
    #[error("the subprotocol {name:?} cannot be offered: it is no token, or is offered twice")]
    Subprotocol {
        /// Its name.
        name: String,
    },
    /// Path, query and header fields together are more than any server takes.
    #[error("the path, query and header fields are too large for a request")]
    Request,
    /// The session was over before it was open.
    #[error("{reason}")]
    Session {
        /// Why.
        reason: CloseReason,
        /// What the operating system said, if there was no connection to be had.
        #[source]
        source: Option<io::Error>,
    },
}

impl ConnectError {
    /// Returns whether another attempt would fail alike: the address or the options are at fault, or the server
    /// refuses the request.
    ///
    /// A status from 400 to 499 is permanent, but for those that ask for another try: 408, 421, 425, 429.
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Url(_)
            | Self::Tls
            | Self::Header { .. }
            | Self::Subprotocol { .. }
            | Self::Request => true,
            Self::Session { reason: CloseReason::TransportError(fault), .. } => match fault {
                TransportFault::Status(status) => {
                    matches!(status, 400..=499) && !matches!(status, 408 | 421 | 425 | 429)
                }
                _ => false,
            },
            Self::Session { .. } => false,
        }
    }
}
