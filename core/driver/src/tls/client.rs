//! TLS of a client.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use futures_rustls::TlsConnector;
use rustls::{ClientConfig, crypto::CryptoProvider, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::{
    HTTP_1_1, TlsFault,
    stream::{TlsStream, Transport},
};
use crate::runtime::Stream;

/// The configuration of a client, which all of its connections share, as they do the sessions to resume.
#[derive(Clone, Default)]
pub(crate) struct ClientTls(Option<Arc<ClientConfig>>);

impl ClientTls {
    /// Makes TLS of a configuration of the application's.
    pub(crate) fn new(config: Arc<ClientConfig>) -> Self {
        Self(Some(for_http_1(config)))
    }

    /// The configuration. The default has the certificates that the platform trusts.
    ///
    /// # Errors
    ///
    /// There is no crypto provider, or the platform has no certificates.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        match &self.0 {
            Some(config) => Ok(Arc::clone(config)),
            None => default_config(),
        }
    }
}

/// Encrypts a connection of another protocol than HTTP, such as that of a bus.
///
/// The certificate of the server has to be for `host`. Without a configuration it is one that the platform trusts, and
/// the crypto provider is that of the [module](super).
///
/// # Errors
///
/// Errors of the connection, and [`TlsFault`]s. There is no crypto provider, or the platform has no certificates.
pub async fn encrypt<S: Stream>(
    stream: S,
    host: &str,
    config: Option<Arc<ClientConfig>>,
) -> io::Result<TlsStream<S>> {
    let config = match config {
        Some(config) => config,
        None => platform_config()
            .map_err(|reason| io::Error::new(io::ErrorKind::Unsupported, reason))?,
    };
    connect(config, stream, host).await
}

/// Encrypts a connection to `host`, which the server's certificate has to be for.
///
/// # Errors
///
/// Errors of the connection, and [`TlsFault`]s.
pub(crate) async fn connect<S: Stream>(
    config: Arc<ClientConfig>,
    stream: S,
    host: &str,
) -> io::Result<TlsStream<S>> {
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        let fault = TlsFault::Name(host.to_owned());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, fault));
    };
    let connecting = TlsConnector::from(config).connect(name, Transport::new(stream));
    connecting.await.map(TlsStream::new).map_err(TlsFault::explain_handshake)
}

/// The configuration of all clients of HTTP that have none of their own.
fn default_config() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();

    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let config = for_http_1(platform_config()?);
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

/// The configuration that the others share: reading the platform's certificates takes milliseconds, and keeping them
/// some hundred kilobytes.
fn platform_config() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();

    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let provider = provider().ok_or("the process has no default crypto provider of rustls")?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

/// The provider of the process, or ring.
fn provider() -> Option<Arc<CryptoProvider>> {
    let provider = CryptoProvider::get_default().cloned();
    #[cfg(feature = "tls")]
    let provider = provider.or_else(|| Some(Arc::new(rustls::crypto::ring::default_provider())));
    provider
}

/// The configuration as a client of HTTP/1.1 can use it.
fn for_http_1(config: Arc<ClientConfig>) -> Arc<ClientConfig> {
    if config.alpn_protocols == [HTTP_1_1] {
        return config;
    }
    let mut config = (*config).clone();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Arc::new(config)
}
