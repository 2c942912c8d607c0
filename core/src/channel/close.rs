//! How a session ends.

use crate::{
    codec::DecodeError,
    wire::{http::ResponseFault, ws},
};

/// Why a session is over. The names on the wire of the reference are in [`CloseReason::as_str`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed: a close packet, or the end of its WebSocket.
    #[error("the peer closed the session")]
    TransportClose,
    /// The peer broke a rule of its transport, or the transport broke.
    #[error("transport error: {0}")]
    TransportError(TransportFault),
    /// The peer fell silent.
    #[error("the peer has not answered in time")]
    PingTimeout,
    /// The client sent something that is no packet. (A client that is sent such a thing reports
    /// [`TransportFault::Malformed`].)
    #[error("the peer sent a malformed packet: {0}")]
    ParseError(DecodeError),
    /// This side closed.
    #[error("closed by this side")]
    ForcedClose,
    /// This side closed, for a reason that the application or a [`Layer`](crate::carrier::Layer) gave.
    #[error("closed by this side: {0}")]
    Application(&'static str),
}

impl CloseReason {
    /// Returns whether this side closed, for whatever reason.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::ForcedClose | Self::Application(_))
    }

    /// The reference's name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError(_) => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError(_) => "parse error",
            Self::ForcedClose | Self::Application(_) => "forced close",
        }
    }
}

/// Fault of a transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TransportFault {
    /// A second GET came while the first was waiting.
    #[error("overlap from client")]
    PollOverlap,
    /// A second POST came before the first was answered.
    #[error("data request overlap from client")]
    PostOverlap,
    /// The connection of the waiting GET was lost.
    #[error("poll connection closed prematurely")]
    PollLost,
    /// The connection of a POST was lost before its body was complete.
    #[error("data request connection closed prematurely")]
    PostLost,
    /// A binary POST body in revision 4.
    #[error("invalid content")]
    InvalidContent,
    /// A ping came from the side that answers pings, or a pong from the other.
    #[error("invalid heartbeat direction")]
    HeartbeatDirection,
    /// The peer broke a rule of RFC 6455.
    #[error("{0}")]
    WebSocket(#[from] ws::Violation),
    /// The connection failed.
    #[error("connection lost")]
    ConnectionLost,
    /// Client: there is no connection to be had to the server.
    #[error("no connection to the server")]
    Unreachable,
    /// Client: the proxy has not led to the server.
    #[error("{0}")]
    Proxy(#[from] ProxyFault),
    /// Client: the server responded with this status, which the protocol does not know there.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// Client: the server has redirected polling, and the client has not followed.
    #[error("the server's redirect cannot be followed: {0}")]
    Redirect(#[from] RedirectFault),
    /// Client: the server broke a rule of HTTP.
    #[error("the server's answer breaks a rule of HTTP: {0}")]
    Http(#[from] ResponseFault),
    /// Client: the server has not completed the handshake of a WebSocket.
    #[error("{0}")]
    HandshakeRefused(#[from] ws::HandshakeRefused),
    /// Client: the server has not answered in time.
    #[error("the server has not answered in time")]
    Timeout,
    /// Client: the session did not begin with an open packet that can be understood.
    #[error("the server's open packet is missing or malformed")]
    Handshake,
    /// Client: the server sent something that is no packet.
    #[error("the server sent a malformed packet: {0}")]
    Malformed(#[from] DecodeError),
}

/// Fault of an HTTP proxy, or of its connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyFault {
    /// There is no connection to be had to the proxy.
    #[error("no connection to the proxy")]
    Unreachable,
    /// The proxy asks for credentials, and there are none (407).
    #[error("the proxy asks for credentials (status 407)")]
    CredentialsMissing,
    /// The proxy does not take the credentials (407).
    #[error("the proxy does not take the credentials (status 407)")]
    CredentialsRefused,
    /// The proxy does not connect to this server.
    #[error("the proxy refuses to connect to the server (status {0})")]
    Refused(u16),
    /// The proxy has no connection to the server.
    #[error("the proxy has no connection to the server (status {0})")]
    ServerUnreachable(u16),
    /// The proxy has closed the connection in place of a response.
    #[error("the proxy has closed the connection before it responded")]
    ConnectionLost,
    /// The proxy has not responded in time.
    #[error("the proxy has not responded in time")]
    Timeout,
    /// The proxy broke a rule of HTTP.
    #[error("the proxy's response breaks a rule of HTTP: {0}")]
    Http(#[from] ResponseFault),
}

impl ProxyFault {
    /// Fault of a proxy that responded with this status. `asked` tells that it was sent credentials.
    pub(crate) const fn of_status(status: u16, asked: bool) -> Self {
        match status {
            407 if asked => Self::CredentialsRefused,
            407 => Self::CredentialsMissing,
            500.. => Self::ServerUnreachable(status),
            _ => Self::Refused(status),
        }
    }

    /// Returns the status of the proxy's response, if that is the fault.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::CredentialsMissing | Self::CredentialsRefused => Some(407),
            Self::Refused(status) | Self::ServerUnreachable(status) => Some(*status),
            _ => None,
        }
    }
}

/// Reason for which a client does not follow a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectFault {
    /// One redirect has led to the next too often.
    #[error("there are more than {max} in a row")]
    TooMany {
        /// The limit.
        max: u8,
    },
    /// The redirect leads from `https` to `http`.
    #[error("it leads from https to http")]
    Downgrade,
    /// The `Location` field is no URL of a server.
    #[error("it leads to no http or https URL")]
    Location,
}

/// How a WebSocket came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebSocketEnd {
    /// The peer closed it, with or without a closing handshake.
    Closed,
    /// The peer broke a rule; the answer is the WebSocket's business.
    Violation(ws::Violation),
    /// The connection failed.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Revision, codec::decode_text};

    #[test]
    fn reasons_have_the_names_of_the_reference_and_tell_who_closed() {
        let malformed = decode_text(Revision::V4, "x".into()).unwrap_err();
        let lost = TransportFault::ConnectionLost;
        for (reason, name, is_local) in [
            (CloseReason::TransportClose, "transport close", false),
            (CloseReason::TransportError(lost), "transport error", false),
            (CloseReason::PingTimeout, "ping timeout", false),
            (CloseReason::ParseError(malformed), "parse error", false),
            (CloseReason::ForcedClose, "forced close", true),
            (CloseReason::Application("a"), "forced close", true),
        ] {
            assert_eq!((reason.as_str(), reason.is_local()), (name, is_local));
        }
    }
}
