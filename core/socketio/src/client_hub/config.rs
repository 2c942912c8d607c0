//! Configuration of a client.

use enginewire::{ClientConfig, Url};

use crate::manager::ManagerConfig;

/// Configuration of a [`ClientHub`](super::ClientHub).
///
/// ```
/// # use core::time::Duration;
/// # use enginewire::{Reconnect, Url};
/// # use enginewire_socketio::{Offline, client_hub::ClientHubConfig};
/// let url = Url::parse("https://chat.example.org")?;
/// let mut config = ClientHubConfig::new(&url);
/// config.engine.open_timeout = Duration::from_secs(5);
/// config.manager.reconnect = Some(Reconnect::default().with_attempts(10));
/// config.manager.offline = Offline::Refuse;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientHubConfig {
    /// Address of the server.
    pub url: Url,
    /// Engine.IO: path, transports, timeouts, limits, header fields.
    ///
    /// Its path is `/socket.io/` by default. Its revision holds for the sockets too.
    pub engine: ClientConfig,
    /// Sockets: reconnection, what waits while there is no connection, limits.
    pub manager: ManagerConfig,
}

impl ClientHubConfig {
    /// Creates the default configuration for a server.
    ///
    /// The path of the URL is of no meaning: in URLs of Socket.IO it names a namespace.
    pub fn new(url: &Url) -> Self {
        let mut engine = ClientConfig::new(url);
        engine.path = "/socket.io/".into();
        Self { url: url.clone(), engine, manager: ManagerConfig::default() }
    }
}
