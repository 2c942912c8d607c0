//! Results of a TLS handshake.

use std::fmt;

use rustls::{
    CipherSuite, HandshakeKind, ProtocolVersion, ServerConnection, pki_types::CertificateDer,
};

/// Results of the TLS handshake of a connection. See [`Handshake::tls`](crate::Handshake::tls).
#[non_exhaustive]
pub struct TlsInfo {
    /// Host that the client has asked for (SNI, RFC 6066 section 3), if it has.
    pub server_name: Option<String>,
    /// Application protocol that was selected by ALPN: `http/1.1`, if the client offers any.
    pub alpn_protocol: Option<Vec<u8>>,
    /// Version of TLS.
    pub version: Option<ProtocolVersion>,
    /// Cipher suite.
    pub cipher_suite: Option<CipherSuite>,
    /// Whether the client has resumed a session (RFC 8446 section 2.2).
    pub resumed: bool,
    /// Certificates of the client, its own before those that lead to its authority. Empty if it has sent none.
    ///
    /// They are verified. The server asks for them if its configuration has a verifier of clients.
    pub peer_certificates: Vec<CertificateDer<'static>>,
}

impl TlsInfo {
    pub(super) fn of(connection: &ServerConnection) -> Self {
        let certificates = connection.peer_certificates().unwrap_or_default();
        Self {
            server_name: connection.server_name().map(str::to_owned),
            alpn_protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
            version: connection.protocol_version(),
            cipher_suite: connection.negotiated_cipher_suite().map(|suite| suite.suite()),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            peer_certificates: certificates
                .iter()
                .map(|certificate| certificate.clone().into_owned())
                .collect(),
        }
    }
}

impl fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("server_name", &self.server_name)
            .field("version", &self.version)
            .field("cipher_suite", &self.cipher_suite)
            .field("peer_certificates", &self.peer_certificates.len())
            .finish_non_exhaustive()
    }
}
