//! Why a session could not be opened.

use std::{fmt, io};

use enginewire::{CloseReason, InvalidProxy, InvalidUrl, ProxyFault, TransportFault};

#[cfg(feature = "tls-no-provider")]
use crate::tls::TlsFault;

/// Reason why there is no session, and what to do about it, in one line. Its `Debug` is the same line.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is no valid URL.
    #[error("the address is invalid: {0}")]
    Url(#[from] InvalidUrl),
    /// The address asks for TLS, and there is none.
    ///
    /// The feature `tls` is off, and there is no [`encryptor`](crate::ClientBuilder::encryptor). With the feature, there
    /// is no crypto provider, or the platform has no certificates of authorities to trust.
    #[error("the address asks for TLS, and there is none: {reason}")]
    NoTls {
        /// The part that is missing.
        reason: String,
    },
    /// The TLS handshake with the server has failed.
    ///
    /// With TLS 1.3, a server refuses the certificate of the client after that.
    #[cfg(feature = "tls-no-provider")]
    #[error("no TLS connection to {to}: {fault}")]
    Tls {
        /// Host and port of the server.
        to: String,
        /// Reason, and the side that is to blame.
        #[source]
        fault: TlsFault,
    },
    /// The address of a proxy cannot be used.
    #[error("{}{reason}", Of(variable))]
    Proxy {
        /// Name of the environment variable that holds it, if one does.
        variable: Option<&'static str>,
        /// Reason for which it cannot be used.
        reason: InvalidProxy,
    },
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
    /// The session closed before it was open.
    #[error("no session with {to}: {}", Cause(reason, body.as_deref(), source.as_ref()))]
    Session {
        /// Host and port of the server.
        to: String,
        /// Reason of the close.
        reason: CloseReason,
        /// First line of the response, where that refuses the session.
        body: Option<String>,
        /// Error of the operating system, if there was no connection to be had.
        #[source]
        source: Option<io::Error>,
    },
}

/// The variable of [`ConnectError::Proxy`].
struct Of<'a>(&'a Option<&'static str>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |variable| write!(f, "the variable {variable}: "))
    }
}

/// Whether the last error of a connection tells more about the end of a session. Otherwise it belongs to another
/// connection.
const fn is_of_connection(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::TransportError(
            TransportFault::Unreachable
                | TransportFault::ConnectionLost
                | TransportFault::Proxy(ProxyFault::Unreachable | ProxyFault::ConnectionLost)
        )
    )
}

/// The cause of [`ConnectError::Session`].
struct Cause<'a>(&'a CloseReason, Option<&'a str>, Option<&'a io::Error>);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(reason, body, source) = self;
        match reason {
            CloseReason::TransportError(fault) => write!(f, "{fault}")?,
            reason => write!(f, "{reason}")?,
        }
        if let Some(body) = body {
            write!(f, ": {body}")?;
        }
        if let Some(source) = source {
            write!(f, ": {source}")?;
        }
        match reason {
            CloseReason::TransportError(TransportFault::Status(404)) => {
                f.write_str(" (is the path right, and the server's?)")
            }
            CloseReason::TransportError(TransportFault::Unreachable) => {
                f.write_str(" (does the server listen there?)")
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ConnectError {
    /// Makes the error of a session that closed before it was open. `error` is the last one of its connections.
    pub(crate) fn of_session(
        to: String,
        reason: CloseReason,
        body: Option<String>,
        error: Option<io::Error>,
    ) -> Self {
        let source = error.filter(|_| is_of_connection(&reason));
        #[cfg(feature = "tls-no-provider")]
        if let Some(fault) = source.as_ref().and_then(TlsFault::of) {
            return Self::Tls { to, fault: fault.clone() };
        }
        Self::Session { to, reason, body, source }
    }

    /// Returns whether another attempt would fail alike. That is so if the address or the options
    /// are at fault, or if the server refuses the request.
    ///
    /// A status from 400 to 499 is permanent, be it the server's or the proxy's, but for those that ask for another
    /// try: 408, 421, 425, 429. A refused certificate is, unless it has expired or is not valid yet, as renewing it is
    /// routine.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Url(_)
            | Self::Proxy { .. }
            | Self::NoTls { .. }
            | Self::Header { .. }
            | Self::Subprotocol { .. }
            | Self::Request => true,
            #[cfg(feature = "tls-no-provider")]
            Self::Tls { fault, .. } => fault.is_permanent(),
            Self::Session { reason: CloseReason::TransportError(fault), .. } => {
                let status = match fault {
                    TransportFault::Status(status) => Some(*status),
                    TransportFault::Proxy(fault) => fault.status(),
                    _ => None,
                };
                matches!(status, Some(400..=499)) && !matches!(status, Some(408 | 421 | 425 | 429))
            }
            Self::Session { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(fault: TransportFault, body: Option<&str>, source: Option<&str>) -> ConnectError {
        ConnectError::Session {
            to: "localhost:3000".into(),
            reason: CloseReason::TransportError(fault),
            body: body.map(str::to_owned),
            source: source.map(|error| io::Error::other(error.to_owned())),
        }
    }

    #[test]
    fn debug_and_display_tell_address_status_body_and_cause_in_one_line() {
        let error = session(TransportFault::Status(403), Some("no token"), None);
        let text = "no session with localhost:3000: the server answered with status 403: no token";
        assert_eq!((error.to_string(), format!("{error:?}")), (text.into(), text.into()));
        let error = session(TransportFault::Unreachable, None, Some("127.0.0.1:3000: refused"));
        assert_eq!(
            format!("{error:?}"),
            "no session with localhost:3000: no connection to the server: 127.0.0.1:3000: refused \
             (does the server listen there?)"
        );
    }

    #[test]
    fn proxy_is_named_as_the_one_to_blame() {
        let fault = TransportFault::Proxy(ProxyFault::Unreachable);
        let error = session(fault, None, Some("127.0.0.1:3128: refused"));
        let text =
            "no session with localhost:3000: no connection to the proxy: 127.0.0.1:3128: refused";
        assert_eq!(error.to_string(), text);
        let variable = Some("HTTPS_PROXY");
        let error = ConnectError::Proxy { variable, reason: InvalidProxy::Scheme };
        assert!(
            error.to_string().starts_with("the variable HTTPS_PROXY: the proxy's address must")
        );
    }

    #[test]
    fn refusals_are_permanent_but_for_requests_to_try_again() {
        for (status, permanent) in
            [(400, true), (404, true), (429, false), (408, false), (503, false)]
        {
            let error = session(TransportFault::Status(status), None, None);
            assert_eq!(error.is_permanent(), permanent, "{status}");
        }
        for (fault, permanent) in [
            (ProxyFault::CredentialsMissing, true),
            (ProxyFault::Refused(403), true),
            (ProxyFault::ServerUnreachable(503), false),
            (ProxyFault::Unreachable, false),
        ] {
            let error = session(TransportFault::Proxy(fault), None, None);
            assert_eq!(error.is_permanent(), permanent, "{fault}");
        }
        assert!(ConnectError::NoTls { reason: "".into() }.is_permanent());
        assert!(!session(TransportFault::Unreachable, None, None).is_permanent());
    }
}
