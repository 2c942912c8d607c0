//! Configuration of a hub.

use alloc::collections::BTreeSet;
use core::time::Duration;

use crate::{config::ServerConfig, node::NodeName, wire::http};

/// How a [`ServerHub`](super::ServerHub) behaves.
///
/// ```
/// # use core::time::Duration;
/// let mut config = enginewire::hub::ServerHubConfig::default();
/// config.protocol.ping_interval = Duration::from_secs(10);
/// config.linger = Duration::from_secs(1);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerHubConfig {
    /// The protocol, limits included.
    pub protocol: ServerConfig,
    /// How long a client may take to send the head of a request. Default 10 s.
    pub head_timeout: Duration,
    /// Time that a client may take to send the body of a POST. It starts again whenever as much of
    /// the body has come as 1 KiB a second makes in that time. Default 60 s.
    pub body_timeout: Duration,
    /// How long a connection may be silent between two requests, or before the first. Default 75 s,
    /// longer than the 60 s for which common proxies keep theirs.
    pub idle_timeout: Duration,
    /// How long a client may go without taking any byte of an HTTP answer. Default 30 s. A WebSocket
    /// whose client does not read is ended by the heartbeat.
    pub write_timeout: Duration,
    /// Time that a connection may take to end once everything has been written. It is for the
    /// peer's part of the closing handshake, and for the peer to close TCP. Default 2 s.
    pub linger: Duration,
    /// How many sessions there may be; further handshakes are refused with status 503. Default
    /// 65 536: a session on polling needs no connection, so their number bounds nothing.
    pub max_sessions: usize,
    /// Whether the application is asked before a session opens. The hub asks with
    /// [`Output::Ask`](super::Output::Ask). The application answers with
    /// [`ServerHub::allow`](super::ServerHub::allow) or
    /// [`ServerHub::refuse`](super::ServerHub::refuse). Default false.
    pub ask: bool,
    /// Whether requests for other paths than [`ServerConfig::path`] go to the application, as
    /// [`Output::Request`](super::Output::Request). Default false: they are refused with status 404.
    pub forward: bool,
    /// The names of other nodes. Default none: their sessions are unknown.
    ///
    /// Requests for sessions of these are handed over by an [`Output::HandOver`](super::Output::HandOver). The hub has a name
    /// of its own then, [`ServerConfig::node`]. Nodes that may be there are named as well: a request for one that is not gets
    /// status 503.
    pub nodes: BTreeSet<NodeName>,
    /// The number of connections from which on no more are accepted, see
    /// [`ServerHub::is_accepting`](super::ServerHub::is_accepting). Default 1 048 576.
    pub max_connections: usize,
}

impl Default for ServerHubConfig {
    fn default() -> Self {
        let http = http::Config::default();
        Self {
            protocol: ServerConfig::default(),
            head_timeout: http.head_timeout,
            body_timeout: http.body_timeout,
            idle_timeout: http.idle_timeout,
            write_timeout: http.write_timeout,
            linger: http.linger,
            max_sessions: 65_536,
            ask: false,
            forward: false,
            nodes: BTreeSet::new(),
            max_connections: 1 << 20,
        }
    }
}

impl ServerHubConfig {
    /// Returns the configuration for the HTTP side of each connection.
    pub(super) fn http(&self) -> http::Config {
        let mut http = http::Config::new(&self.protocol.limits);
        http.head_timeout = self.head_timeout;
        http.body_timeout = self.body_timeout;
        http.idle_timeout = self.idle_timeout;
        http.write_timeout = self.write_timeout;
        http.linger = self.linger;
        http
    }
}
