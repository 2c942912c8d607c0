//! Options of a client.

use std::{fmt, sync::Arc, time::Duration};

use enginewire::{Reconnect, TransportKind, Url};
use enginewire_socketio::{
    Offline,
    client_hub::{ClientHub, ClientHubConfig},
    parser::Parser,
};

use super::{
    Client, ClientSocket, Handle, cell::ClientCell, error::ClientError, interface::Options,
};
use crate::{
    client::{ClientBuilder as EngineBuilder, task},
    connect_error::ConnectError,
    runtime::{Runtime, fill_random},
    trace::Span,
};

/// Sets up a [`Client`]. Everything has a default, which is the reference's where it has one.
pub struct ClientBuilder<R> {
    engine: EngineBuilder<R>,
    url: Result<Url, ConnectError>,
    change: Vec<Change>,
    ack_timeout: Duration,
    retries: u32,
}

/// Change of an option of the sockets.
type Change = Box<dyn FnOnce(&mut ClientHubConfig) + Send>;

impl<R: Runtime + Default> ClientBuilder<R> {
    /// Starts to set up a client for the server at `url`.
    ///
    /// The path of the URL names the namespace of [`connect`](Self::connect); that of requests is
    /// [`path`](Self::path).
    pub fn new(url: &str) -> Self {
        Self::on(R::default(), url)
    }
}

impl<R: Runtime> ClientBuilder<R> {
    /// Starts to set up a client that runs on `runtime`. See [`new`](Self::new).
    pub fn on(runtime: R, url: &str) -> Self {
        let engine = EngineBuilder::new(runtime, url).path("/socket.io/");
        Self {
            engine,
            url: Url::parse(url).map_err(ConnectError::from),
            change: Vec::new(),
            ack_timeout: ACK_TIMEOUT,
            retries: 0,
        }
    }

    /// Builds the client, without connecting it. A socket does that.
    ///
    /// # Errors
    ///
    /// The URL or an option is wrong, see [`ClientBuilder::build`](crate::ClientBuilder::build) of Engine.IO.
    pub fn build(self) -> Result<Client, ClientError> {
        let Self { engine, url, change, ack_timeout, retries } = self;
        let engine = engine.build()?;
        let url = url?;
        let shared = engine.shared();
        let mut config = ClientHubConfig::new(&url);
        config.engine = (*shared.config).clone();
        config.manager.reconnect = Some(shared.reconnect.clone());
        change.into_iter().for_each(|change| change(&mut config));
        let (parser, limits) = (config.manager.parser.clone(), config.manager.limits);
        let hub = ClientHub::new(config, fill_random);
        let options = Options { parser, limits, ack_timeout, retries };
        let cell = ClientCell::new(hub, options, shared.state.clock.clone(), url.authority());
        task::spawn(shared, &cell, Span::session(0, &url));
        let namespace = url.path().to_owned();
        Ok(Client { handle: Arc::new(Handle { cell, namespace }) })
    }

    /// Builds the client, and connects a socket.
    ///
    /// Its namespace is the path of the URL.
    ///
    /// # Errors
    ///
    /// [`ClientError`]. The first attempt counts, see [`SocketBuilder::connect`](super::SocketBuilder::connect).
    pub async fn connect(self) -> Result<ClientSocket, ClientError> {
        self.build()?.connect().await
    }

    /// Sets options of Engine.IO: timeouts, limits, cookies, a connector, and all others.
    #[must_use]
    pub fn engine(mut self, change: impl FnOnce(EngineBuilder<R>) -> EngineBuilder<R>) -> Self {
        self.engine = change(self.engine);
        self
    }

    /// Sets the path of requests. Default `/socket.io/`.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        self.engine(|engine| engine.path(path))
    }

    /// Adds a query parameter to all requests.
    #[must_use]
    pub fn query(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.engine(|engine| engine.query(key, value))
    }

    /// Adds a header field to all requests. One that is malformed makes [`build`](Self::build) fail.
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.engine(|engine| engine.header(name, value))
    }

    /// Sets the transports that may be used. Default polling, then WebSocket.
    #[must_use]
    pub fn transports(self, transports: impl Into<Vec<TransportKind>>) -> Self {
        self.engine(|engine| engine.transports(transports))
    }

    /// Encrypts connections to `https` servers with this configuration of rustls. Default: the certificates that the
    /// platform trusts, and no certificate of the client's.
    ///
    /// A handshake that fails is a [`ConnectError::Tls`]. As any failure, it is tried again as
    /// [`reconnect`](Self::reconnect) says, and [`Update::Failed`](super::Update::Failed) tells each: the server's
    /// certificate may be replaced meanwhile. See [`ClientBuilder::tls`](crate::ClientBuilder::tls) of Engine.IO.
    #[cfg(feature = "tls-no-provider")]
    #[must_use]
    pub fn tls(self, config: Arc<crate::tls::rustls::ClientConfig>) -> Self {
        self.engine(|engine| engine.tls(config))
    }

    /// Connects by the HTTP proxy at `address`, such as `http://user:password@proxy.example:3128`. Default: none.
    ///
    /// See [`ClientBuilder::proxy`](crate::ClientBuilder::proxy) of Engine.IO.
    #[must_use]
    pub fn proxy(self, address: &str) -> Self {
        self.engine(|engine| engine.proxy(address))
    }

    /// Adds servers to connect to without a proxy, as the variable `NO_PROXY` does.
    #[must_use]
    pub fn no_proxy(self, list: &str) -> Self {
        self.engine(|engine| engine.no_proxy(list))
    }

    /// Connects by the proxies that environment variables name.
    ///
    /// See [`ClientBuilder::proxy_from_env`](crate::ClientBuilder::proxy_from_env) of Engine.IO.
    #[must_use]
    pub fn proxy_from_env(self) -> Self {
        self.engine(EngineBuilder::proxy_from_env)
    }

    /// Limit on the time that a session takes to open. Default 20 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.engine(|engine| engine.open_timeout(timeout))
    }

    /// Sets when and how often a lost connection is tried again. The defaults are those of [`Reconnect`].
    #[must_use]
    pub fn reconnect(self, policy: Reconnect) -> Self {
        self.engine(|engine| engine.reconnect(policy))
    }

    /// Tries a lost connection not again.
    #[must_use]
    pub fn without_reconnection(self) -> Self {
        self.change(|config| config.manager.reconnect = None)
    }

    /// Sets the destination of events that are emitted while there is no connection. Default [`Offline::Buffer`].
    #[must_use]
    pub fn offline(self, offline: Offline) -> Self {
        self.change(move |config| config.manager.offline = offline)
    }

    /// Limit on the events of a socket that wait for a connection, in bytes. Default 1 MiB.
    #[must_use]
    pub fn max_offline(self, bytes: usize) -> Self {
        self.change(move |config| config.manager.max_offline = bytes)
    }

    /// Limit on the times in a row that a refused socket asks again. Default 0.
    ///
    /// It does so with a fresh payload. Of use with [`SocketBuilder::auth_with`](super::SocketBuilder::auth_with).
    #[must_use]
    pub fn refused_attempts(self, attempts: u32) -> Self {
        self.change(move |config| config.manager.refused_attempts = attempts)
    }

    /// Time in which the server must respond to a request to connect to a namespace. Default 60 s.
    ///
    /// Longer than the 45 s that the reference gives its authorization. A session on which a response is missing is given
    /// up and tried again.
    #[must_use]
    pub fn response_timeout(self, timeout: Duration) -> Self {
        self.change(move |config| config.manager.response_timeout = timeout)
    }

    /// Time in which an event must be acknowledged. Default 10 s.
    ///
    /// [`Duration::MAX`] waits until the connection is lost.
    #[must_use]
    pub const fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = timeout;
        self
    }

    /// Sets how often events are sent again that the server has not acknowledged. Default 0.
    ///
    /// It holds for [`emit_with_ack`](super::ClientRef::emit_with_ack), see
    /// [`ClientEmitter::retries`](super::ClientEmitter::retries).
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the format of packets, which must be the server's. Default [`Parser::Json`].
    #[must_use]
    pub fn parser(self, parser: Parser) -> Self {
        self.change(move |config| config.manager.parser = parser)
    }

    fn change(mut self, change: impl FnOnce(&mut ClientHubConfig) + Send + 'static) -> Self {
        self.change.push(Box::new(change));
        self
    }
}

impl<R: fmt::Debug> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Time in which an event must be acknowledged, unless the application says otherwise.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(10);
