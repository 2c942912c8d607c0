//! A server and its clients in one process, with memory between them.

use std::{
    fmt, io,
    net::SocketAddr,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "socketio")]
use serde::Serialize;

use super::network::{End, Network};
#[cfg(feature = "socketio")]
use super::socketio::{TestClient, TestConnectError, TestSocket};
use crate::{
    client::ClientBuilder,
    runtime::Runtime,
    server::{Server, ServerHandle},
    server_builder::ServerBuilder,
};
#[cfg(feature = "socketio")]
use crate::{
    connect_error::ConnectError,
    socketio::{Io, Parser},
};

/// A server without a listener, and a network in memory that leads to it.
///
/// Clients of the link are real ones, and so is the server: only TCP is replaced. The network can be [cut](Self::cut),
/// [frozen](Self::freeze) and slowed down. Its time is the runtime's, which may be paused.
///
/// Each link has faults of its own. [`another`](Self::another) gives a second one to the same server. The server ends
/// with its last link.
///
/// # Panics
///
/// Creating a link panics outside of the runtime.
pub struct TestLink<R: Runtime> {
    host: Arc<Host<R>>,
    network: Arc<Network>,
}

/// A server, as its links share it.
struct Host<R> {
    server: Server,
    runtime: R,
    path: String,
    add_trailing_slash: bool,
    #[cfg(feature = "socketio")]
    parser: Parser,
    next_port: AtomicU16,
}

impl<R: Runtime + Default> TestLink<R> {
    /// Starts a server of `io` with the default options.
    #[cfg(feature = "socketio")]
    pub fn new(io: &Io) -> Self {
        Self::with(ServerBuilder::new().socketio(io))
    }
}

impl<R: Runtime> TestLink<R> {
    /// Starts the server that `builder` sets up, besides any listeners.
    pub fn with(builder: ServerBuilder<R>) -> Self {
        let (runtime, config) = (builder.runtime().clone(), builder.protocol());
        let (path, add_trailing_slash) = (config.path.clone(), config.add_trailing_slash);
        #[cfg(feature = "socketio")]
        let parser = builder.parser().clone();
        let server = match builder.start() {
            Ok(server) => server,
            Err(error) => panic!("the server of a test does not start: {error}"),
        };
        let network = Network::new(runtime.clone());
        let host = Host {
            server,
            runtime,
            path,
            add_trailing_slash,
            #[cfg(feature = "socketio")]
            parser,
            next_port: AtomicU16::new(1),
        };
        Self { host: Arc::new(host), network: Arc::new(network) }
    }

    /// Creates another link to the same server, with connections and faults of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        let network = Network::new(self.host.runtime.clone());
        Self { host: Arc::clone(&self.host), network: Arc::new(network) }
    }

    /// Returns the server.
    pub fn server(&self) -> &Server {
        &self.host.server
    }

    /// Starts to set up an Engine.IO client that connects over the link.
    pub fn client(&self) -> ClientBuilder<R> {
        let Host { server, runtime, path, add_trailing_slash, .. } = &*self.host;
        let connector = Connector {
            network: Arc::clone(&self.network),
            server: server.handle(),
            runtime: runtime.clone(),
            peer_addr: SocketAddr::from((
                CLIENT,
                self.host.next_port.fetch_add(1, Ordering::Relaxed),
            )),
        };
        let connector = Arc::new(connector);
        ClientBuilder::new(runtime.clone(), URL)
            .path(path)
            .add_trailing_slash(*add_trailing_slash)
            .connector(move |_| {
                let connector = Arc::clone(&connector);
                async move { connector.connect().await }
            })
    }
}

/// Clients of Socket.IO.
#[cfg(feature = "socketio")]
impl<R: Runtime> TestLink<R> {
    /// Opens a session with the default options: polling, which then moves to a WebSocket.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::connect`].
    pub async fn open(&self) -> Result<TestClient, ConnectError> {
        self.open_with(|builder| builder).await
    }

    /// Opens a session with options: its transports, a query, header fields.
    ///
    /// ```
    /// # use enginewire_driver::{ConnectError, Runtime, TransportKind, testing::{TestClient, TestLink}};
    /// # async fn example<R: Runtime>(link: TestLink<R>) -> Result<TestClient, ConnectError> {
    /// link.open_with(|client| client.transports([TransportKind::WebSocket])).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::connect`].
    pub async fn open_with(
        &self,
        options: impl FnOnce(ClientBuilder<R>) -> ClientBuilder<R>,
    ) -> Result<TestClient, ConnectError> {
        let socket = options(self.client()).connect().await?;
        Ok(TestClient::new(socket, self.host.parser.clone()))
    }

    /// Opens a session with the default options, and connects to a namespace.
    ///
    /// # Errors
    ///
    /// There is no session, or the server refuses.
    pub async fn connect(&self, namespace: &str) -> Result<TestSocket, TestConnectError> {
        self.open().await?.connect(namespace).await
    }

    /// Opens a session with the default options, and connects to a namespace with a payload.
    ///
    /// # Errors
    ///
    /// There is no session, or the server refuses.
    pub async fn connect_with<A: Serialize + ?Sized>(
        &self,
        namespace: &str,
        auth: &A,
    ) -> Result<TestSocket, TestConnectError> {
        self.open().await?.connect_with(namespace, auth).await
    }
}

/// Faults.
impl<R: Runtime> TestLink<R> {
    /// Resets all connections, as a proxy does that restarts. Bytes in flight are lost.
    ///
    /// Both sides notice at once. New connections work.
    pub fn cut(&self) {
        self.network.cut();
    }

    /// Stops all traffic without a word, as when a laptop is shut.
    ///
    /// Connections stay, and take as many bytes as their buffers hold. None arrive, and new connections wait.
    pub fn freeze(&self) {
        self.network.set_frozen(true);
    }

    /// Ends [`freeze`](Self::freeze). What was sent meanwhile arrives.
    pub fn thaw(&self) {
        self.network.set_frozen(false);
    }

    /// Limits each connection to so many bytes a second in each direction. Default: no limit.
    ///
    /// It holds for bytes that are sent from now on.
    ///
    /// # Panics
    ///
    /// If the rate is 0, which is what [`freeze`](Self::freeze) is for.
    pub fn slow(&self, bytes_per_second: u64) {
        let rate = NonZeroU64::new(bytes_per_second);
        assert!(rate.is_some(), "a network that carries nothing is frozen");
        self.network.set_rate(rate);
    }

    /// Sets the time that bytes take from one end to the other. Default 0.
    ///
    /// It holds for bytes that are sent from now on. To connect takes a round trip.
    pub fn delay(&self, latency: Duration) {
        self.network.set_latency(latency);
    }

    /// Ends [`slow`](Self::slow) and [`delay`](Self::delay) for bytes that are sent from now on.
    pub fn full_speed(&self) {
        self.network.set_rate(None);
        self.network.set_latency(Duration::ZERO);
    }

    /// Returns the number of connections of the link that are open at either end.
    pub fn connections(&self) -> usize {
        self.network.connections()
    }
}

/// Connects one client.
struct Connector<R> {
    network: Arc<Network>,
    server: ServerHandle,
    runtime: R,
    /// The address that the server sees.
    peer_addr: SocketAddr,
}

impl<R: Runtime> Connector<R> {
    async fn connect(&self) -> io::Result<(End, SocketAddr)> {
        let (ours, theirs) = self.network.connect().await;
        if !self.server.shared.sessions.lifecycle.is_serving() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.runtime.spawn(self.server.serve(theirs, self.peer_addr));
        Ok((ours, SocketAddr::from((SERVER, 80))))
    }
}

impl<R: Runtime> Clone for TestLink<R> {
    fn clone(&self) -> Self {
        Self { host: Arc::clone(&self.host), network: Arc::clone(&self.network) }
    }
}

impl<R: Runtime> fmt::Debug for TestLink<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestLink").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

/// Address of the server in requests. It is never looked up.
const URL: &str = "http://localhost";

/// Addresses for documentation (RFC 5737), which no interface has.
const SERVER: [u8; 4] = [192, 0, 2, 1];
const CLIENT: [u8; 4] = [192, 0, 2, 2];
