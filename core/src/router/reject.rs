//! How a request is refused.

use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::Serialize;

use super::Refusal;
use crate::{
    exchange::{HeaderLines, Response},
    wire::{http::Fault, ws::HandshakeError},
};

/// Why a request is refused, and with that the status and body of the answer.
///
/// The codes are those of the reference, which clients have come to rely on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// The path is not ours: 404.
    #[error("the path does not belong to this server")]
    NotFound,
    /// Code 0: the `transport` parameter is missing, unknown, or names a transport that is off.
    #[error("Transport unknown")]
    UnknownTransport,
    /// Code 1: no session has this id, or it has been closed.
    #[error("Session ID unknown")]
    UnknownSession,
    /// Code 2: a session is opened with GET.
    #[error("Bad handshake method")]
    BadHandshakeMethod,
    /// Code 3: the request does not fit.
    #[error("Bad request: {0}")]
    BadRequest(#[from] BadRequest),
    /// Code 4: the application refused the handshake.
    #[error("Forbidden: {0}")]
    Forbidden(Refusal),
    /// Code 5: `EIO` is not 4, and revision 3 is not allowed. Everything but 4 is taken for
    /// revision 3, a missing `EIO` too.
    #[error("Unsupported protocol version")]
    UnsupportedRevision,
    /// A session takes GET and POST only: 405.
    #[error("a session takes GET and POST only")]
    MethodNotAllowed,
    /// The body is in a content coding that is not taken: 415.
    ///
    /// None is taken unless `ServerConfig::http_compression` is set (RFC 9110 section 15.5.16).
    #[error("the Content-Encoding of the body is not supported")]
    UnknownCoding,
    /// The WebSocket handshake itself is at fault (RFC 6455 section 4.2.1).
    #[error(transparent)]
    WebSocket(#[from] HandshakeError),
    /// The head has a fault that another HTTP server has let pass.
    #[error(transparent)]
    Head(#[from] Fault),
    /// The session is on another node, which has not responded.
    #[error("the node that has the session {0}")]
    HandOver(#[from] HandOverFault),
    /// The server takes no new sessions now: 503. It is closing, has as many sessions as it may
    /// have, or its application does not keep pace with accepting them.
    #[error("the server takes no new sessions now")]
    Unavailable,
}

/// Fault of a request that does not fit. The protocol has only one code for all of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// The `Origin` field holds bytes that no header may.
    #[error("the Origin header holds illegal characters")]
    InvalidOrigin,
    /// `transport=websocket` needs an upgrade request, `transport=polling` must not be one.
    #[error("the kind of request does not fit the transport")]
    TransportHandshake,
    /// The session is on another transport.
    #[error("the session uses another transport")]
    TransportMismatch,
    /// The session speaks another revision than the request's `EIO`.
    #[error("the session speaks another revision")]
    RevisionMismatch,
    /// Upgrades are off.
    #[error("upgrades are off")]
    UpgradeRefused,
}

/// Failure of another node to which a request was handed over.
///
/// The session may be there still, but its client has lost it: a request that failed is not made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverFault {
    /// No connection could be made: 503.
    #[error("cannot be reached")]
    Unreachable,
    /// The connection has ended without a response: 502.
    #[error("has closed the connection without a response")]
    NoResponse,
    /// The response is none of HTTP/1.1: 502.
    #[error("has sent an invalid response")]
    InvalidResponse,
    /// No response has come in time: 504.
    #[error("has not responded in time")]
    Timeout,
}

impl HandOverFault {
    const fn status(self) -> u16 {
        match self {
            Self::Unreachable => 503,
            Self::NoResponse | Self::InvalidResponse => 502,
            Self::Timeout => 504,
        }
    }
}

impl Reject {
    /// The protocol's error code, for those that have one.
    pub const fn code(&self) -> Option<u8> {
        match self {
            Self::UnknownTransport => Some(0),
            Self::UnknownSession => Some(1),
            Self::BadHandshakeMethod => Some(2),
            Self::BadRequest(_) => Some(3),
            Self::Forbidden(_) => Some(4),
            Self::UnsupportedRevision => Some(5),
            Self::NotFound
            | Self::MethodNotAllowed
            | Self::UnknownCoding
            | Self::WebSocket(_)
            | Self::Head(_)
            | Self::HandOver(_)
            | Self::Unavailable => None,
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::UnknownCoding => 415,
            Self::Forbidden(refusal) => refusal.status(),
            Self::WebSocket(error) => error.status(),
            Self::Head(fault) => fault.status(),
            Self::HandOver(fault) => fault.status(),
            Self::Unavailable => 503,
            _ => 400,
        }
    }

    /// The answer.
    pub fn response(&self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            code: u8,
            message: &'a str,
        }

        if let Self::Forbidden(refusal) = self
            && let Some((content_type, body)) = refusal.body()
        {
            return Response {
                status: self.status(),
                content_type: Some(content_type),
                headers: HeaderLines::new(),
                body: body.clone(),
                compressible: false,
            };
        }
        let headers = HeaderLines::from_static(match self {
            Self::MethodNotAllowed => "Allow: GET, POST\r\n",
            Self::WebSocket(error) => error.headers(),
            _ => "",
        });
        let Some(code) = self.code() else {
            let body = Bytes::from(self.to_string());
            return Response {
                status: self.status(),
                content_type: Some("text/plain; charset=UTF-8"),
                headers,
                body,
                compressible: false,
            };
        };
        let message = match self {
            Self::Forbidden(refusal) => refusal.message().into(),
            // Which rule it was is for the log, the wire has one sentence per code.
            Self::BadRequest(_) => String::from("Bad request"),
            _ => self.to_string(),
        };
        // Two fields of plain types cannot fail to be written.
        let body = serde_json::to_vec(&Body { code, message: &message }).unwrap_or_default();
        Response {
            status: self.status(),
            content_type: Some("application/json"),
            headers,
            body: body.into(),
            compressible: false,
        }
    }
}
