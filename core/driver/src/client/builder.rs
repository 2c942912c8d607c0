//! Options of a client.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use enginewire::{
    ClientConfig, InvalidUrl, Limits, Proxies, Proxy, Reconnect, Revision, Time, TransportKind, Url,
};
#[cfg(feature = "deflate")]
use enginewire::{HttpCompression, PerMessageDeflate};
use futures_io::{AsyncRead, AsyncWrite};

use super::{Client, encrypt::Encryptor, stream::ConnectHook};
use crate::{
    connect_error::ConnectError,
    runtime::{BoxedStream, Runtime, Stream},
    socket::Socket,
};

/// Sets up a [`Client`]. Everything has a default, which is the reference's where it has one.
pub struct ClientBuilder<R> {
    runtime: R,
    connector: Option<ConnectHook>,
    encryptor: Encryptor,
    /// The configuration, or the error that [`ClientBuilder::build`] returns.
    config: Result<(Url, ClientConfig), ConnectError>,
    reconnect: Reconnect,
}

impl<R: Runtime> ClientBuilder<R> {
    /// Starts to set up a client that runs on `runtime`, for the server at `url`.
    pub fn new(runtime: R, url: &str) -> Self {
        let config = Url::parse(url).map_err(|error: InvalidUrl| error.into()).map(|url| {
            let config = ClientConfig::new(&url);
            (url, config)
        });
        let (encryptor, reconnect) = (Encryptor::default(), Reconnect::default());
        Self { runtime, connector: None, encryptor, config, reconnect }
    }

    /// Builds the client, without opening a session.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Url`], [`ConnectError::NoTls`], [`ConnectError::Proxy`], [`ConnectError::Header`],
    /// [`ConnectError::Subprotocol`] and [`ConnectError::Request`].
    pub fn build(self) -> Result<Client<R>, ConnectError> {
        let (url, mut config) = self.config?;
        // What a connector opens is encrypted by the connector, but for what a proxy leads on.
        let by_proxy = config.proxies.select(&url).is_some();
        if url.is_secure() && (self.connector.is_none() || by_proxy) {
            self.encryptor.check()?;
        }
        config.wall_clock = config.wall_clock.or_else(|| wall_clock(self.runtime.clock().now()));
        Client::new(self.runtime, (self.connector, self.encryptor), url, config, self.reconnect)
    }

    /// Builds the client, and opens a session.
    ///
    /// Cancel safe: if the future is dropped, the session is given up.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(self) -> Result<Socket, ConnectError> {
        self.build()?.open().await
    }

    /// Opens connections with `connect`. Default: TCP connections of the runtime.
    ///
    /// It is for other than HTTP proxies, Unix sockets and streams in memory. `connect` is called for each
    /// connection of a session, of which polling and upgrade need several. It gets the URL of the server, which may
    /// have redirected, or of the [proxy](Self::proxy) that leads there. It returns a stream and the address at its
    /// other end. The stream is used as it is: `connect` encrypts it if [`Url::is_secure`]. Small writes must go out at once, or when they are flushed.
    ///
    /// A future that is dropped must drop its attempt. An error counts as a server that is not there. Costs one
    /// allocation more than a connection of the runtime.
    ///
    /// ```
    /// # use std::{io, net::SocketAddr};
    /// # use enginewire_driver::{ClientBuilder, Runtime, Stream};
    /// # async fn tunnel(host: &str, port: u16) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
    /// #     Err(io::ErrorKind::Unsupported.into())
    /// # }
    /// # fn example<R: Runtime>(builder: ClientBuilder<R>) -> ClientBuilder<R> {
    /// builder.connector(|url| async move { tunnel(url.host(), url.port()).await })
    /// # }
    /// ```
    #[must_use]
    pub fn connector<S, F>(mut self, connect: impl Fn(Url) -> F + Send + Sync + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        F: Future<Output = io::Result<(S, SocketAddr)>> + Send + 'static,
    {
        self.connector = Some(Arc::new(move |url| {
            let connecting = connect(url);
            Box::pin(async move {
                let (stream, peer_addr) = connecting.await?;
                Ok((BoxedStream::new(stream), peer_addr))
            })
        }));
        self
    }

    /// Encrypts connections to `https` servers with this configuration of rustls. Default: the certificates that the
    /// platform trusts, and no certificate of the client's.
    ///
    /// It has the authorities to trust, the client's certificate, and the crypto provider. All connections share it, and
    /// with it the TLS sessions to resume. ALPN is always `http/1.1`. Connections of a [connector](Self::connector) are
    /// not encrypted by it, but for those to a proxy. It takes the place of an [`encryptor`](Self::encryptor).
    ///
    /// A handshake that fails is a [`ConnectError::Tls`], which says what is wrong with which side's certificate. Its
    /// time is a part of [`open_timeout`](Self::open_timeout).
    #[cfg(feature = "tls-no-provider")]
    #[must_use]
    pub fn tls(mut self, config: Arc<crate::tls::rustls::ClientConfig>) -> Self {
        self.encryptor = config.into();
        self
    }

    /// Encrypts connections to `https` servers with `encrypt`, in place of rustls. Default: rustls, if the feature `tls`
    /// is on.
    ///
    /// `encrypt` gets a connection of the runtime, or of a [proxy](Self::proxy) that leads to the server, and the URL of
    /// the server. The host of that is the name to authenticate. Connections of a [connector](Self::connector) are not
    /// given to it, but for those to a proxy. Small writes must go out at once, or when they are flushed.
    ///
    /// A future that is dropped must drop its attempt. An error counts as a server that is not there.
    ///
    /// ```
    /// # use std::io;
    /// # use enginewire_driver::{ClientBuilder, Runtime, Stream};
    /// # async fn handshake(stream: Box<dyn Stream>, host: &str) -> io::Result<Box<dyn Stream>> {
    /// #     Err(io::ErrorKind::Unsupported.into())
    /// # }
    /// # fn example<R: Runtime>(builder: ClientBuilder<R>) -> ClientBuilder<R> {
    /// builder.encryptor(|stream, url| async move { handshake(stream, url.host()).await })
    /// # }
    /// ```
    #[must_use]
    pub fn encryptor<S, F>(
        mut self,
        encrypt: impl Fn(Box<dyn Stream>, Url) -> F + Send + Sync + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
    {
        self.encryptor = Encryptor::Hook(Box::new(move |stream, url| {
            let encrypting = encrypt(stream, url);
            Box::pin(async move { Ok(BoxedStream::new(encrypting.await?)) })
        }));
        self
    }

    /// Connects by the HTTP proxy at `address`, such as `http://user:password@proxy.example:3128`. Default: none.
    ///
    /// It takes the place of proxies that were set before, and is used for all servers but
    /// [exceptions](Self::no_proxy). See [`Proxies`] for how, and what most proxies allow: a session with a server
    /// without TLS stays on polling there. An address that cannot be used makes [`build`](Self::build) fail.
    ///
    /// The time that the proxy takes is a part of [`open_timeout`](Self::open_timeout) and of the other limits.
    #[must_use]
    pub fn proxy(mut self, address: &str) -> Self {
        if let Ok((_, config)) = &mut self.config {
            match Proxy::parse(address) {
                Ok(proxy) => {
                    config.proxies.http = Some(proxy.clone());
                    config.proxies.https = Some(proxy);
                }
                Err(reason) => self.config = Err(ConnectError::Proxy { variable: None, reason }),
            }
        }
        self
    }

    /// Adds servers to connect to without a proxy, as the variable `NO_PROXY` does.
    ///
    /// See [`Proxies::add_exceptions`].
    #[must_use]
    pub fn no_proxy(self, list: &str) -> Self {
        self.config(|config| config.proxies.add_exceptions(list))
    }

    /// Connects by the proxies that environment variables name.
    ///
    /// These are `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`. They take the place of what was set before. See [`Proxies::from_variables`]. A value that cannot be used, such
    /// as the address of a SOCKS proxy, makes [`build`](Self::build) fail.
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        if let Ok((_, config)) = &mut self.config {
            let variable = |name| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
            match Proxies::from_variables(variable) {
                Ok(proxies) => config.proxies = proxies,
                Err(error) => {
                    let (variable, reason) = (Some(error.variable), error.reason);
                    self.config = Err(ConnectError::Proxy { variable, reason });
                }
            }
        }
        self
    }

    /// Changes the protocol's configuration. The methods below change parts of it.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        if let Ok((_, config)) = &mut self.config {
            change(config);
        }
        self
    }

    /// Sets the path that the server serves. Default: the URL's, or `/engine.io/` if it has none.
    ///
    /// A missing slash at the start is added. See [`ClientConfig::path`].
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        self.config(|config| config.path = path.into())
    }

    /// Sets whether the path of requests ends with a slash. Default true.
    ///
    /// See [`ClientConfig::add_trailing_slash`].
    #[must_use]
    pub fn add_trailing_slash(self, add: bool) -> Self {
        self.config(|config| config.add_trailing_slash = add)
    }

    /// Adds a query parameter to all requests. See [`ClientConfig::query`].
    #[must_use]
    pub fn query(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config(|config| config.query.push((key.into(), value.into())))
    }

    /// Adds a header field to all requests. One that is malformed or the client's own (see
    /// [`ClientConfig::push_header`]) makes [`build`](Self::build) fail.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Ok((_, config)) = &mut self.config
            && config.push_header(name, value).is_err()
        {
            self.config = Err(ConnectError::Header { name: name.into() });
        }
        self
    }

    /// Sets the `User-Agent` field of all requests. Default `enginewire/` and the version.
    ///
    /// The same as a [`header`](Self::header) of that name.
    #[must_use]
    pub fn user_agent(self, value: impl AsRef<[u8]>) -> Self {
        self.header("User-Agent", value)
    }

    /// Sets whether cookies that the server sets are sent back. Default true.
    ///
    /// See [`ClientConfig::cookies`].
    #[must_use]
    pub fn cookies(self, cookies: bool) -> Self {
        self.config(|config| config.cookies = cookies)
    }

    /// Offers subprotocols when a WebSocket is opened, the preferred one first. Default none.
    ///
    /// One that is no token or is offered twice makes [`build`](Self::build) fail. See
    /// [`ClientConfig::push_protocol`].
    #[must_use]
    pub fn protocols<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        for name in names {
            let name = name.as_ref();
            if let Ok((_, config)) = &mut self.config
                && config.push_protocol(name).is_err()
            {
                self.config = Err(ConnectError::Subprotocol { name: name.into() });
            }
        }
        self
    }

    /// Sets the transports that may be used. Default polling, then WebSocket.
    ///
    /// The session opens on the first, or on polling if there is none. See
    /// [`ClientConfig::transports`].
    #[must_use]
    pub fn transports(self, transports: impl Into<Vec<TransportKind>>) -> Self {
        self.config(|config| config.transports = transports.into())
    }

    /// Sets whether a session moves from polling to a WebSocket. Default true.
    ///
    /// It does so if the server offers it and [`transports`](Self::transports) contains it. See
    /// [`ClientConfig::upgrade`].
    #[must_use]
    pub fn upgrade(self, upgrade: bool) -> Self {
        self.config(|config| config.upgrade = upgrade)
    }

    /// Sets whether a session that does not open is tried on the next transport. Default false.
    ///
    /// See [`ClientConfig::try_all_transports`].
    #[must_use]
    pub fn try_all_transports(self, all: bool) -> Self {
        self.config(|config| config.try_all_transports = all)
    }

    /// Sets whether sessions open on a WebSocket once one has worked. Default false.
    ///
    /// That holds as long as nothing has failed since. It is the [`Client`] that remembers. See
    /// [`ClientConfig::remember_upgrade`].
    #[must_use]
    pub fn remember_upgrade(self, remember: bool) -> Self {
        self.config(|config| config.remember_upgrade = remember)
    }

    /// Sets the revision of the protocol to speak. Default 4.
    ///
    /// See [`ClientConfig::revision`].
    #[must_use]
    pub fn revision(self, revision: Revision) -> Self {
        self.config(|config| config.revision = revision)
    }

    /// Sets whether binary messages travel as base64, in both directions. Default false.
    ///
    /// See [`ClientConfig::force_base64`].
    #[must_use]
    pub fn force_base64(self, force: bool) -> Self {
        self.config(|config| config.force_base64 = force)
    }

    /// Limit on the time that a session takes to open. Default 20 s.
    ///
    /// It runs from the first connection attempt to the handshake. With
    /// [`try_all_transports`](Self::try_all_transports), each transport has that time. See
    /// [`ClientConfig::open_timeout`].
    #[must_use]
    pub fn open_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.open_timeout = timeout)
    }

    /// Limit on the time that the server takes to respond to a request. Default none.
    ///
    /// The waiting GET counts too, so the time must be longer than the server's ping interval. See
    /// [`ClientConfig::request_timeout`].
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.request_timeout = Some(timeout))
    }

    /// Limit on the time that an upgrade takes. Default 10 s.
    ///
    /// After that the session stays on polling. See [`ClientConfig::upgrade_timeout`].
    #[must_use]
    pub fn upgrade_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.upgrade_timeout = timeout)
    }

    /// Limit on the time that a closing session waits for the server. Default 30 s.
    ///
    /// In that time the server takes what is queued. See [`ClientConfig::close_timeout`].
    #[must_use]
    pub fn close_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.close_timeout = timeout)
    }

    /// Sets the time for the server's part of a close, once nothing is queued. Default 2 s.
    ///
    /// See [`ClientConfig::linger`].
    #[must_use]
    pub fn linger(self, time: Duration) -> Self {
        self.config(|config| config.linger = time)
    }

    /// Offers to compress the messages of a WebSocket (RFC 7692). Default: no extension is offered.
    ///
    /// See [`PerMessageDeflate`] for what it costs.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn per_message_deflate(self, options: PerMessageDeflate) -> Self {
        self.config(|config| config.per_message_deflate = Some(Box::new(options)))
    }

    /// Accepts compressed responses to polls, and compresses large POSTs if the options say so. Default: neither.
    ///
    /// See [`HttpCompression`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn http_compression(self, options: HttpCompression) -> Self {
        self.config(|config| config.http_compression = Some(Box::new(options)))
    }

    /// Sets all limits on memory and work. Sizes are in bytes.
    ///
    /// The defaults are those of [`Limits`], but for a `max_payload` of 100 MiB and a `max_packets`
    /// of 1 048 576. See [`ClientConfig::limits`].
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.config(|config| config.limits = limits)
    }

    /// Sets when and how often [`Client::sessions`] tries again. Only that method reconnects. The
    /// defaults are those of [`Reconnect`]: attempts without end, and a wait of 1 s that doubles up
    /// to 5 s, with a jitter of 0.5.
    #[must_use]
    pub fn reconnect(mut self, policy: Reconnect) -> Self {
        self.reconnect = policy;
        self
    }
}

impl<R: fmt::Debug> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// UNIX time at the runtime's epoch. `None` if the system's clock shows a time before that.
fn wall_clock(now: Time) -> Option<Duration> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    since_1970.checked_sub(now.since(Time::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_is_the_time_at_the_epoch_of_the_runtime() {
        let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Time::from_millis(5000);
        let before = since_1970();
        let at_epoch = wall_clock(now).unwrap();
        let at_present = at_epoch + Duration::from_secs(5);
        assert!(before <= at_present && at_present <= since_1970());
        assert_eq!(wall_clock(Time::MAX), None, "before 1970");
    }
}
