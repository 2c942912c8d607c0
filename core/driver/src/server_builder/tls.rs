//! TLS of a server and of its connections to other nodes.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;

use super::{Listener, ListenerTls, ServerBuilder};
use crate::{
    runtime::Runtime,
    tls::{ClientTls, ServerTls},
};

/// TLS.
impl<R: Runtime> ServerBuilder<R> {
    /// Encrypts the connections of all listeners but [plain](Self::plain_listener) ones. Default: none is encrypted.
    ///
    /// `tls` is an `Arc` of rustls's `ServerConfig`, or a [`ServerTls`] by which it is replaced while the server runs.
    /// It has the certificates, and a verifier if clients need one too. [`Handshake::tls`](crate::Handshake::tls) tells what was agreed on.
    ///
    /// Beside what [`Limits`](crate::Limits) allow, rustls holds up to 64 KiB for a client that does not read.
    ///
    /// A client that speaks HTTP without TLS is sent an alert and closed. Every connection that ends in order tells its
    /// client so (`close_notify`); a client that does not is treated as any other that is lost.
    #[must_use]
    pub fn tls(mut self, tls: impl Into<ServerTls>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Limit on the time that a TLS handshake takes. Default 10 s.
    ///
    /// It begins when the connection is accepted, or behind the header of the PROXY protocol. The time for the [head](Self::head_timeout) of the first request
    /// begins after it.
    #[must_use]
    pub fn tls_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.options.tls_handshake_timeout = timeout;
        self
    }

    /// Limit on the TLS handshakes in flight. Default 4096. Further connections wait in the system's queue.
    ///
    /// A handshake holds about 10 KiB, and 64 KiB at most. Connections in their handshake count towards
    /// [`max_connections`](Self::max_connections) as well. Listeners that accept at the same moment may exceed the
    /// limit by one each.
    #[must_use]
    pub fn max_tls_handshakes(mut self, handshakes: usize) -> Self {
        self.options.max_tls_handshakes = handshakes;
        self
    }

    /// Adds a listening socket whose connections are encrypted in a way of their own.
    ///
    /// Other [nodes](Self::nodes) can connect there, for example: with a verifier in `tls` that requires certificates of
    /// them, no client gets past the handshake.
    #[must_use]
    pub fn tls_listener(mut self, listener: R::Listener, tls: impl Into<ServerTls>) -> Self {
        self.listeners.push(Listener { socket: listener, tls: ListenerTls::Own(tls.into()) });
        self
    }

    /// Sets how connections to other nodes are encrypted. Default: by the certificates that the platform trusts.
    ///
    /// It is for nodes whose address is a [`NodeAddress::tls`](crate::NodeAddress::tls). `config` has the authority of their
    /// certificates, and the certificate of this node if they require one. A node with another certificate counts as one
    /// that cannot be reached: the client gets status 503, and a warning says why. The handshake is a part of the time to
    /// connect.
    ///
    /// ```
    /// # use std::{net::SocketAddr, sync::Arc};
    /// # use enginewire_driver::{NodeAddress, NodeName, Runtime, ServerBuilder, tls::rustls::{ClientConfig, ServerConfig}};
    /// # fn example<R: Runtime>(
    /// #     builder: ServerBuilder<R>,
    /// #     address_of: fn(NodeName) -> Option<SocketAddr>,
    /// #     as_node: Arc<ClientConfig>,
    /// #     for_nodes: R::Listener,
    /// #     of_nodes: Arc<ServerConfig>,
    /// # ) -> ServerBuilder<R> {
    /// builder
    ///     .node(1)
    ///     .nodes(move |node| Some(NodeAddress::tls(address_of(node)?, format!("{node}.nodes.internal"))))
    ///     .nodes_tls(as_node)
    ///     .tls_listener(for_nodes, of_nodes)
    /// # }
    /// ```
    #[must_use]
    pub fn nodes_tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.nodes_tls = ClientTls::new(config);
        self
    }
}
