//! How a socket ends.

use core::fmt;

use enginewire::CloseReason;

/// Reason why a socket is disconnected. [`as_str`](Self::as_str) spells it as the reference does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer closed the session: a page was left, a process ended in order.
    TransportClose,
    /// The connection broke, or the peer broke a rule of Engine.IO.
    TransportError,
    /// The peer has not answered a ping in time.
    PingTimeout,
    /// This side closed the session, or the peer sent something that is no packet.
    ForcedClose,
    /// The peer sent an Engine.IO packet that is none.
    ParseError,
    /// The client left the namespace.
    ClientLeft,
    /// The server disconnected the socket.
    ServerLeft,
    /// The server is closing.
    ServerClosing,
    /// The client was too slow for what was sent to it.
    Overflow,
    /// Another session of the same client took its place.
    Replaced,
}

impl DisconnectReason {
    /// Returns the reference's name, from the point of view of a server.
    ///
    /// [`Overflow`](Self::Overflow) and [`Replaced`](Self::Replaced) are unknown to the reference, which closes for
    /// neither.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ForcedClose => "forced close",
            Self::ParseError => "parse error",
            Self::ClientLeft => "client namespace disconnect",
            Self::ServerLeft => "server namespace disconnect",
            Self::ServerClosing => "server shutting down",
            Self::Overflow => OVERFLOW,
            Self::Replaced => REPLACED,
        }
    }

    /// Returns the reference's name, from the point of view of a client.
    pub const fn as_str_of_client(self) -> &'static str {
        match self {
            Self::ClientLeft => "io client disconnect",
            Self::ServerLeft => "io server disconnect",
            other => other.as_str(),
        }
    }

    /// Returns whether the client may come back and recover what it missed.
    ///
    /// So it is if the connection was lost, and not if one of the two sides left, or the client sent nonsense. A client
    /// that came back before the loss was noticed does so in one namespace after another.
    pub const fn is_recoverable(self) -> bool {
        !matches!(self, Self::ClientLeft | Self::ServerLeft | Self::ParseError)
    }

    /// Returns the reason that a session is to be closed for, see [`CloseReason::Application`].
    pub const fn close_reason(self) -> CloseReason {
        CloseReason::Application(self.as_str())
    }
}

impl From<&CloseReason> for DisconnectReason {
    fn from(reason: &CloseReason) -> Self {
        match reason {
            CloseReason::TransportClose => Self::TransportClose,
            CloseReason::PingTimeout => Self::PingTimeout,
            CloseReason::ParseError(_) => Self::ParseError,
            CloseReason::TransportError(_) => Self::TransportError,
            CloseReason::Application(OVERFLOW) => Self::Overflow,
            CloseReason::Application(REPLACED) => Self::Replaced,
            CloseReason::Application(SERVER_CLOSING) => Self::ServerClosing,
            _ => Self::ForcedClose,
        }
    }
}

const OVERFLOW: &str = "overflow";
const REPLACED: &str = "replaced";
const SERVER_CLOSING: &str = "server shutting down";

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use enginewire::TransportFault;

    use super::*;

    #[test]
    fn reason_given_to_a_session_comes_back_from_it() {
        use DisconnectReason::{Overflow, Replaced, ServerClosing};
        for reason in [Overflow, Replaced, ServerClosing] {
            assert_eq!(DisconnectReason::from(&reason.close_reason()), reason);
        }
    }

    #[test]
    fn reasons_of_sessions_have_the_names_of_the_reference() {
        for (reason, name) in [
            (CloseReason::TransportClose, "transport close"),
            (CloseReason::TransportError(TransportFault::ConnectionLost), "transport error"),
            (CloseReason::PingTimeout, "ping timeout"),
            (CloseReason::ForcedClose, "forced close"),
            (CloseReason::Application("of the application"), "forced close"),
        ] {
            assert_eq!(DisconnectReason::from(&reason).as_str(), name);
        }
    }

    #[test]
    fn client_has_its_own_names_for_those_who_leave() {
        use DisconnectReason::{ClientLeft, PingTimeout, ServerLeft};
        let names = [ServerLeft, ClientLeft, PingTimeout].map(DisconnectReason::as_str_of_client);
        assert_eq!(names, ["io server disconnect", "io client disconnect", "ping timeout"]);
    }

    #[test]
    fn a_side_that_leaves_is_not_recovered() {
        use DisconnectReason::{
            ClientLeft, Overflow, PingTimeout, Replaced, ServerClosing, ServerLeft,
        };
        for reason in [ClientLeft, ServerLeft, DisconnectReason::ParseError] {
            assert!(!reason.is_recoverable());
        }
        let lost =
            [PingTimeout, ServerClosing, Overflow, Replaced, DisconnectReason::TransportClose];
        for reason in lost {
            assert!(reason.is_recoverable());
        }
    }
}
