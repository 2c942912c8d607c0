//! TLS for the connections of a client.

#[cfg(feature = "tls-no-provider")]
use std::sync::Arc;
use std::{future::Future, io, pin::Pin};

use enginewire::Url;

use super::stream::ClientStream;
#[cfg(feature = "tls-no-provider")]
use crate::tls::{self, ClientTls};
use crate::{
    connect_error::ConnectError,
    runtime::{BoxedStream, Stream},
};

/// Encrypts the connections of a client to servers with TLS.
pub(super) enum Encryptor {
    /// A function of the application.
    Hook(EncryptHook),
    #[cfg(feature = "tls-no-provider")]
    Rustls(ClientTls),
    #[cfg(not(feature = "tls-no-provider"))]
    None,
}

/// A function of the application that encrypts.
pub(super) type EncryptHook = Box<dyn Fn(Box<dyn Stream>, Url) -> Encrypting + Send + Sync>;

/// A connection that the application is encrypting.
type Encrypting = Pin<Box<dyn Future<Output = io::Result<BoxedStream>> + Send>>;

impl Default for Encryptor {
    fn default() -> Self {
        #[cfg(feature = "tls-no-provider")]
        return Self::Rustls(ClientTls::default());
        #[cfg(not(feature = "tls-no-provider"))]
        return Self::None;
    }
}

impl Encryptor {
    /// Returns an error if connections cannot be encrypted. Reads the certificates that the platform trusts, if those are
    /// needed.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        match self {
            Self::Hook(_) => Ok(()),
            #[cfg(feature = "tls-no-provider")]
            Self::Rustls(tls) => match tls.config() {
                Ok(_) => Ok(()),
                Err(reason) => Err(ConnectError::NoTls { reason }),
            },
            #[cfg(not(feature = "tls-no-provider"))]
            Self::None => Err(ConnectError::NoTls { reason: NO_FEATURE.into() }),
        }
    }

    /// Encrypts a connection to the server at `to`.
    pub(super) async fn encrypt<S: Stream>(
        &self,
        stream: ClientStream<S>,
        to: &Url,
    ) -> io::Result<ClientStream<S>> {
        match self {
            Self::Hook(encrypt) => {
                Ok(ClientStream::Brought(encrypt(Box::new(stream), to.clone()).await?))
            }
            #[cfg(feature = "tls-no-provider")]
            Self::Rustls(tls) => {
                let config = tls.config().map_err(unsupported)?;
                let stream = tls::connect(config, stream, to.host()).await?;
                Ok(ClientStream::Tls(Box::new(stream)))
            }
            #[cfg(not(feature = "tls-no-provider"))]
            Self::None => Err(unsupported(NO_FEATURE)),
        }
    }
}

#[cfg(feature = "tls-no-provider")]
impl From<Arc<tls::rustls::ClientConfig>> for Encryptor {
    fn from(config: Arc<tls::rustls::ClientConfig>) -> Self {
        Self::Rustls(ClientTls::new(config))
    }
}

fn unsupported(reason: impl AsRef<str>) -> io::Error {
    let why = format!("the server redirects to https: {}", reason.as_ref());
    io::Error::new(io::ErrorKind::Unsupported, why)
}

#[cfg(not(feature = "tls-no-provider"))]
const NO_FEATURE: &str = "the feature `tls` is off";
