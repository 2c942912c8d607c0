//! The same with TLS. The client blocks: it writes to all connections, then reads from all.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

use super::{Figure, client, cost_of, idle};
use crate::args::Scale;
use crate::patience::SILENCE;
use crate::process::Server;
use crate::servers::Speaks;
use crate::{Result, frame};

const CONNECTIONS: usize = 16;

/// Binary messages of `size` bytes there and back, one in flight on each connection.
pub(super) fn echo(
    server: &mut Server,
    scale: Scale,
    size: usize,
    messages: usize,
) -> Result<Figure> {
    let payload = vec![7; size];
    let message = frame::from_client(frame::BINARY, &payload);
    let expected = match server.peer.speaks {
        Speaks::TlsBytes => message.clone(),
        _ => frame::from_server(frame::BINARY, &payload),
    };
    let open = |_| open(server.address, server.peer.speaks);
    let mut connections = (0..CONNECTIONS).map(open).collect::<Result<Vec<_>>>()?;
    let mut echo = vec![0; expected.len()];
    cost_of(server, scale.of(messages), |messages| {
        for _ in 0..messages.div_ceil(CONNECTIONS) {
            for connection in &mut connections {
                connection.write_all(&message)?;
                connection.flush()?;
            }
            for connection in &mut connections {
                connection.read_exact(&mut echo)?;
                if echo != expected {
                    return Err("not our message".into());
                }
            }
        }
        Ok(())
    })
}

/// What an open connection holds while nothing happens.
pub(super) fn silence(server: &mut Server, scale: Scale) -> Result<Figure> {
    let (address, speaks) = (server.address, server.peer.speaks);
    idle::heap_of(server, scale, || open(address, speaks))
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

/// A connection with all that comes before the first message done.
fn open(address: SocketAddr, speaks: Speaks) -> Result<Connection> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let name = ServerName::try_from("localhost")?;
    let connection = ClientConnection::new(Arc::clone(&CONFIG), name)?;
    let mut stream = StreamOwned::new(connection, stream);
    if speaks == Speaks::TlsBytes {
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        return Ok(stream);
    }
    stream.write_all(client::web_socket(None).as_bytes())?;
    // The open packet is the end of what comes by itself.
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes)? {
            0 => return Err("closed by the server".into()),
            n => read.extend_from_slice(&bytes[..n]),
        }
    }
    if !read.starts_with(b"HTTP/1.1 101 ") {
        return Err(format!("no WebSocket: {}", read.escape_ascii()).into());
    }
    Ok(stream)
}

/// Without resumption: each connection shakes hands as a new client does.
#[expect(clippy::expect_used, reason = "ring has all versions")]
static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let provider = enginewire_tests::tls::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has the defaults");
    let verifier = Arc::new(Any(provider.signature_verification_algorithms.supported_schemes()));
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = builder.with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
});

/// Takes any certificate: servers make their own, and it is their time that is measured.
#[derive(Debug)]
struct Any(Vec<SignatureScheme>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
