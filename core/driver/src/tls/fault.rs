//! Reasons for which a TLS connection fails.

use std::{
    error::Error,
    fmt, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

/// Reason why a connection with TLS failed. The same on both sides: the peer is the other one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// This side refuses the certificate of the peer.
    #[error("the peer's certificate is refused: {0}")]
    Certificate(CertificateFault),
    /// This side requires a certificate, and the peer has sent none.
    #[error("the peer has sent no certificate, and one is required")]
    CertificateMissing,
    /// The peer refuses the certificate of this side, or that there is none.
    #[error("the peer refuses the certificate of this side ({0:?})")]
    CertificateRefused(AlertDescription),
    /// The peer refuses the connection by another alert.
    ///
    /// RFC 8446 section 6.2.
    #[error("the peer refuses the connection ({0:?})")]
    Alert(AlertDescription),
    /// The peer speaks another protocol, such as HTTP without TLS.
    #[error("the peer does not speak TLS (plain HTTP?)")]
    NotTls,
    /// Both sides have no version, cipher suite or key exchange in common.
    #[error("the peer has no version, cipher suite, or other parameter in common: {0:?}")]
    Incompatible(PeerIncompatible),
    /// Both sides have no application protocol in common: the peer does not offer `http/1.1`.
    #[error("the peer offers other protocols than http/1.1")]
    Protocol,
    /// The peer has closed the connection in place of its part of the handshake.
    #[error("the peer has closed the connection during the handshake")]
    Cut,
    /// No certificate can be for the host of the URL.
    #[error("{0:?} is no name that a certificate can be for")]
    Name(String),
    /// Anything else.
    #[error(transparent)]
    Other(rustls::Error),
}

/// Reason why a certificate is refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It has expired. The time is the end of its validity, if the verifier tells it.
    Expired(Option<SystemTime>),
    /// It is not valid yet. The time is the beginning of its validity, if the verifier tells it.
    NotYetValid(Option<SystemTime>),
    /// No authority that this side trusts has signed it.
    UnknownIssuer,
    /// It is for other hosts than that of the URL. These are the names that it has, if the verifier tells them.
    OtherName(Vec<String>),
    /// Its authority has revoked it.
    Revoked,
    /// It is for another purpose than to authenticate such a peer.
    Purpose,
    /// Anything else.
    Other(CertificateError),
}

impl TlsFault {
    /// Returns whether another attempt would fail alike.
    ///
    /// Certificates or configurations have to be changed first then.
    ///
    /// It is false for a certificate that has expired or is not valid yet, because renewing those is routine. It is false
    /// as well for a connection that was cut.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Certificate(fault) => !matches!(
                fault,
                CertificateFault::Expired(_)
                    | CertificateFault::NotYetValid(_)
                    | CertificateFault::Other(_)
            ),
            // Others may be a bit that was changed on the way, or a server at its end.
            Self::Alert(alert) => matches!(
                alert,
                AlertDescription::HandshakeFailure
                    | AlertDescription::ProtocolVersion
                    | AlertDescription::InsufficientSecurity
                    | AlertDescription::NoApplicationProtocol
                    | AlertDescription::UnrecognisedName
                    | AlertDescription::AccessDenied
                    | AlertDescription::InappropriateFallback
                    | AlertDescription::MissingExtension
                    | AlertDescription::UnsupportedExtension
            ),
            Self::CertificateMissing
            | Self::CertificateRefused(_)
            | Self::NotTls
            | Self::Incompatible(_)
            | Self::Protocol
            | Self::Name(_) => true,
            Self::Cut | Self::Other(_) => false,
        }
    }

    /// Returns the fault in an error of a connection, if there is one.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Makes the error of a connection tell its fault.
    pub(super) fn explain(error: io::Error) -> io::Error {
        let kind = error.kind();
        match error.downcast::<rustls::Error>() {
            Ok(error) => io::Error::new(kind, Self::from(error)),
            Err(error) => error,
        }
    }

    /// The same during a handshake.
    pub(super) fn explain_handshake(error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return io::Error::new(error.kind(), Self::Cut);
        }
        Self::explain(error)
    }
}

impl From<rustls::Error> for TlsFault {
    fn from(error: rustls::Error) -> Self {
        use AlertDescription as Alert;

        match error {
            rustls::Error::InvalidCertificate(error) => Self::Certificate(error.into()),
            rustls::Error::NoCertificatesPresented => Self::CertificateMissing,
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            rustls::Error::PeerIncompatible(error) => Self::Incompatible(error),
            rustls::Error::NoApplicationProtocol => Self::Protocol,
            rustls::Error::AlertReceived(alert) => match alert {
                Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired => Self::CertificateRefused(alert),
                alert => Self::Alert(alert),
            },
            error => Self::Other(error),
        }
    }
}

impl From<CertificateError> for CertificateFault {
    fn from(error: CertificateError) -> Self {
        use CertificateError as E;

        let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        match error {
            E::Expired => Self::Expired(None),
            E::ExpiredContext { not_after, .. } => Self::Expired(at(not_after.as_secs())),
            E::NotValidYet => Self::NotYetValid(None),
            E::NotValidYetContext { not_before, .. } => Self::NotYetValid(at(not_before.as_secs())),
            // Another authority has the name of one that is trusted.
            E::UnknownIssuer | E::BadSignature => Self::UnknownIssuer,
            E::NotValidForName => Self::OtherName(Vec::new()),
            E::NotValidForNameContext { presented, .. } => Self::OtherName(presented),
            E::Revoked => Self::Revoked,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Self::Purpose,
            error => Self::Other(error),
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(at) => write!(f, "it has expired{}", On(*at)),
            Self::NotYetValid(at) => write!(f, "it is not valid yet, only{}", On(*at)),
            Self::UnknownIssuer => f.write_str("no trusted authority has signed it"),
            Self::OtherName(names) if names.is_empty() => f.write_str("it is for another host"),
            Self::OtherName(names) => write!(f, "it is for other hosts: {}", names.join(", ")),
            Self::Revoked => f.write_str("it was revoked"),
            Self::Purpose => f.write_str("it is for another purpose"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl Error for CertificateFault {}

/// The date of a change, with the time at which it was looked at.
struct On(Option<SystemTime>);

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Dates behind the year 9999 have no such form.
        match self.0.filter(|at| at.duration_since(UNIX_EPOCH).is_ok_and(|at| at < YEAR_10000)) {
            Some(at) => write!(f, " on {}", httpdate::HttpDate::from(at)),
            None => Ok(()),
        }
    }
}

/// The first second that [`httpdate`] cannot write.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;

    use super::*;

    fn of(error: rustls::Error) -> TlsFault {
        let error = TlsFault::explain(io::Error::new(io::ErrorKind::InvalidData, error));
        TlsFault::of(&error).unwrap().clone()
    }

    fn refused(error: CertificateError) -> TlsFault {
        of(rustls::Error::InvalidCertificate(error))
    }

    #[test]
    fn refused_certificate_is_told_with_its_dates_and_names() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for (error, text, permanent) in [
            (
                CertificateError::ExpiredContext { time: at(90_000), not_after: at(86_400) },
                "it has expired on Fri, 02 Jan 1970 00:00:00 GMT",
                false,
            ),
            (
                CertificateError::NotValidYetContext { time: at(0), not_before: at(86_400) },
                "it is not valid yet, only on Fri, 02 Jan 1970 00:00:00 GMT",
                false,
            ),
            (CertificateError::Expired, "it has expired", false),
            (
                CertificateError::ExpiredContext { time: at(0), not_after: at(u64::MAX) },
                "it has expired",
                false,
            ),
            (CertificateError::UnknownIssuer, "no trusted authority has signed it", true),
            (CertificateError::NotValidForName, "it is for another host", true),
            (CertificateError::Revoked, "it was revoked", true),
        ] {
            let fault = refused(error);
            let text = format!("the peer's certificate is refused: {text}");
            assert_eq!((fault.to_string(), fault.is_permanent()), (text, permanent));
        }
    }

    #[test]
    fn alert_about_a_certificate_is_told_apart_from_others() {
        let alert = |alert| of(rustls::Error::AlertReceived(alert));
        let fault = alert(AlertDescription::UnknownCA);
        assert!(matches!(fault, TlsFault::CertificateRefused(AlertDescription::UnknownCA)));
        assert!(fault.is_permanent());
        let fault = alert(AlertDescription::ProtocolVersion);
        assert_eq!(fault.to_string(), "the peer refuses the connection (ProtocolVersion)");
        assert!(fault.is_permanent());
        assert!(!alert(AlertDescription::InternalError).is_permanent());
    }

    #[test]
    fn end_during_the_handshake_is_a_fault_and_another_error_is_none() {
        let cut = TlsFault::explain_handshake(io::ErrorKind::UnexpectedEof.into());
        assert!(matches!(TlsFault::of(&cut), Some(TlsFault::Cut)));
        let reset = TlsFault::explain_handshake(io::ErrorKind::ConnectionReset.into());
        assert!(TlsFault::of(&reset).is_none());
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
    }
}
