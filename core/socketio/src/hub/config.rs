//! Configuration of a hub.

use enginewire::hub::ServerHubConfig;

use crate::{adapter::RecoveryConfig, cluster::ClusterConfig, connection::ConnectionConfig};

/// Configuration of a [`Hub`](super::Hub).
///
/// ```
/// # use core::time::Duration;
/// # use enginewire_socketio::{adapter::RecoveryConfig, hub::HubConfig};
/// let mut config = HubConfig::default();
/// config.engine.protocol.ping_interval = Duration::from_secs(10);
/// config.connection.connect_timeout = Duration::from_secs(5);
/// config.recovery = Some(RecoveryConfig::default());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// Engine.IO: path, heartbeat, limits. Its path is `/socket.io/` by default.
    pub engine: ServerHubConfig,
    /// Connections of clients: parser, timeout, limits.
    pub connection: ConnectionConfig,
    /// Treatment of a socket without room for a broadcast. Default [`Overflow::Disconnect`].
    pub overflow: Overflow,
    /// Connection state recovery. Default `None`: clients that come back get new sockets.
    pub recovery: Option<RecoveryConfig>,
    /// Other nodes that share the namespaces. Default `None`: there are none.
    ///
    /// With [`ClusterConfig::has_log`] clients recover on any of them.
    pub cluster: Option<ClusterConfig>,
}

impl Default for HubConfig {
    fn default() -> Self {
        let mut engine = ServerHubConfig::default();
        engine.protocol.path = "/socket.io/".into();
        Self {
            engine,
            connection: ConnectionConfig::default(),
            overflow: Overflow::default(),
            recovery: None,
            cluster: None,
        }
    }
}

/// Treatment of a socket that has no room for a broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Its client is disconnected. It comes back and asks anew, or recovers what it missed.
    #[default]
    Disconnect,
    /// It is passed by, and misses the event.
    Skip,
}
