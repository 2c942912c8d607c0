//! The server: how it is set up, what it accepts, how it ends.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::{SocketAddr, ToSocketAddrs},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use enginewire::{
    Config, Cookie, Cors, Encoded, Head, HeaderLines, HeadersHook, Limits, Router, Transports,
    wire::http,
};

use crate::{
    connection::Connection,
    listen::BACKLOG,
    runtime::Runtime,
    shared::{Options, Phase, Shared, keep_time},
    socket::{Handshake, Socket},
    trace::trace,
};

/// Asked before a session is opened.
pub(crate) type AllowHook = Box<dyn Fn(Arc<Handshake>) -> Verdict + Send + Sync>;

/// Says whether a session may be opened, or what the client is told if not.
pub(crate) type Verdict = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A server that is listening.
///
/// Dropping it ends all sessions at once; [`close`](Self::close) lets out what is queued first.
pub struct Server<R: Runtime> {
    shared: Arc<Shared<R>>,
}

/// Sets up a [`Server`]. Everything has a default, which is the reference's where it has one.
pub struct Builder<R> {
    runtime: R,
    config: Config,
    options: Options,
    head_timeout: Duration,
    body_timeout: Duration,
    idle_timeout: Duration,
    allow: Option<AllowHook>,
}

impl<R: Runtime + Default> Server<R> {
    /// Starts to set up a server.
    pub fn builder() -> Builder<R> {
        Builder::new(R::default())
    }
}

impl<R: Runtime> Server<R> {
    /// The next session. `None` once the server is closing, and those have been accepted that were open
    /// before: they take no messages any more, but may have brought some. Those that nobody accepts are
    /// kept until the server is dropped.
    ///
    /// Cancel safe: a session is either returned or still there. Sessions that nobody accepts wait;
    /// when [`Builder::backlog`] of them do, handshakes are refused with status 503.
    pub async fn accept(&self) -> Option<Socket<R>> {
        let mut accepting = Accepting { shared: &self.shared, key: None };
        poll_fn(|cx| accepting.poll(cx)).await
    }

    /// The address that the server listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    /// Number of sessions that are open or closing.
    pub fn sessions(&self) -> usize {
        self.shared.sessions()
    }

    /// Number of TCP connections that are open, those between two requests included.
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Ends the server: new sessions are refused; every session is closed as with [`Socket::close`],
    /// letting out what is queued, for which its client may still connect; returns when all sessions
    /// and connections are gone, or after [`Builder::shutdown_timeout`] has ended the rest.
    ///
    /// Cancel safe: once polled, the server closes whether or not anybody waits for it, but only who
    /// waits ends what takes too long.
    pub async fn close(&self) {
        let shared = &self.shared;
        shared.advance_to(Phase::Closing);
        let deadline = shared.runtime.now() + shared.options.shutdown_timeout;
        let mut timeout = pin!(shared.runtime.sleep_until(deadline));
        let mut watch = Watch { shared, key: None };
        poll_fn(|cx| {
            watch.register(cx.waker());
            if shared.is_finished() {
                return Poll::Ready(());
            }
            if shared.phase() < Phase::Aborting && timeout.as_mut().poll(cx).is_ready() {
                shared.advance_to(Phase::Aborting);
            }
            // Aborting wakes all tasks, and the last to end wakes us.
            if shared.is_finished() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl<R: Runtime> Drop for Server<R> {
    fn drop(&mut self) {
        self.shared.advance_to(Phase::Aborting);
        self.shared.drop_accepted();
    }
}

impl<R: Runtime> Builder<R> {
    /// Starts to set up a server that runs on `runtime`.
    pub fn new(runtime: R) -> Self {
        let http = http::Config::default();
        Self {
            runtime,
            config: Config::default(),
            options: Options {
                backlog: 1024,
                write_timeout: Duration::from_secs(30),
                linger: http.linger,
                shutdown_timeout: Duration::from_secs(10),
            },
            head_timeout: http.head_timeout,
            body_timeout: http.body_timeout,
            idle_timeout: http.idle_timeout,
            allow: None,
        }
    }

    /// Starts to listen on `address`, on the first that works if there are several; port 0 lets the
    /// system choose one. A host name is resolved by the system, which may block the thread.
    ///
    /// # Errors
    ///
    /// The operating system's, if it does not let us listen there.
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server<R>> {
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
        for address in addresses {
            result = self.runtime.bind(address).await;
            if result.is_ok() {
                break;
            }
        }
        let listener = result?;
        let local_addr = self.runtime.local_addr(&listener)?;
        let mut http = http::Config::new(&self.config.limits);
        http.head_timeout = self.head_timeout;
        http.body_timeout = self.body_timeout;
        http.idle_timeout = self.idle_timeout;
        http.linger = self.options.linger;
        let runtime = self.runtime.clone();
        let router = Router::new(self.config);
        let shared = Shared::new(self.runtime, router, http, self.allow, self.options, local_addr);
        let shared = Arc::new(shared);
        for shard in 0..shared.shards() {
            runtime.spawn(keep_time(Arc::clone(&shared), shard));
        }
        shared.enter();
        runtime.spawn(accept_connections(Arc::clone(&shared), listener));
        Ok(Server { shared })
    }

    /// Replaces the protocol's configuration as a whole. The methods below change parts of it.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// See [`Config::path`].
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.config.path = path.into();
        self
    }

    /// See [`Config::transports`].
    #[must_use]
    pub fn transports(mut self, transports: Transports) -> Self {
        self.config.transports = transports;
        self
    }

    /// See [`Config::allow_upgrades`].
    #[must_use]
    pub fn allow_upgrades(mut self, allow: bool) -> Self {
        self.config.allow_upgrades = allow;
        self
    }

    /// See [`Config::allow_eio3`].
    #[must_use]
    pub fn allow_eio3(mut self, allow: bool) -> Self {
        self.config.allow_eio3 = allow;
        self
    }

    /// See [`Config::ping_interval`].
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.config.ping_interval = interval;
        self
    }

    /// See [`Config::ping_timeout`].
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.ping_timeout = timeout;
        self
    }

    /// See [`Config::upgrade_timeout`].
    #[must_use]
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.config.upgrade_timeout = timeout;
        self
    }

    /// See [`Config::close_timeout`].
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// See [`Config::initial_packet`].
    #[must_use]
    pub fn initial_packet(mut self, message: impl Into<Encoded>) -> Self {
        self.config.initial_packet = Some(message.into());
        self
    }

    /// See [`Config::cookie`].
    #[must_use]
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.config.cookie = Some(cookie);
        self
    }

    /// See [`Config::cors`].
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.config.cors = Some(cors);
        self
    }

    /// See [`Config::limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// See [`Limits::max_payload`].
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.config.limits.max_payload = bytes;
        self
    }

    /// Adds header fields to answers: `hook` is called with each request and whether its answer is
    /// the first of a session.
    #[must_use]
    pub fn headers(
        mut self,
        hook: impl Fn(&dyn Head, bool, &mut HeaderLines) + Send + Sync + 'static,
    ) -> Self {
        self.config.headers = Some(HeadersHook::new(hook));
        self
    }

    /// Asks `allow` before each session is opened, over either transport. An error refuses it with
    /// status 403 and that message.
    ///
    /// ```no_run
    /// # use enginewire_driver::{Builder, Runtime};
    /// # fn example<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    /// builder.allow_request(|handshake| async move {
    ///     match handshake.query_value("token").as_deref() {
    ///         Some("secret") => Ok(()),
    ///         _ => Err("Forbidden".into()),
    ///     }
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn allow_request<F>(
        mut self,
        allow: impl Fn(Arc<Handshake>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.allow = Some(Box::new(move |handshake| Box::pin(allow(handshake))));
        self
    }

    /// How many sessions may wait for [`Server::accept`]. Default 1024.
    #[must_use]
    pub fn backlog(mut self, sessions: usize) -> Self {
        self.options.backlog = sessions;
        self
    }

    /// How long a client may take to send the head of a request. Default 10 s.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// How long a client may take to send the body of a POST, and again whenever as much of it has come as
    /// 1 KiB a second makes in that time. Default 60 s.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// How long a connection may be silent between two requests, or before the first. Default 75 s,
    /// longer than the 60 s for which common proxies keep theirs.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long a client may go without taking any byte of an HTTP answer. Default 30 s. A WebSocket
    /// whose client does not read is ended by the heartbeat.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.options.write_timeout = timeout;
        self
    }

    /// How long a connection may take to end once everything has been written: for the peer's part of
    /// the closing handshake, and for it to close TCP. Default 2 s.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.options.linger = linger;
        self
    }

    /// How long [`Server::close`] waits for peers to take what is queued. Default 10 s.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.options.shutdown_timeout = timeout;
        self
    }
}

/// The accept loop: ends with the server, and with nothing else.
async fn accept_connections<R: Runtime>(shared: Arc<Shared<R>>, listener: R::Listener) {
    let _alive = Alive(&shared);
    // Goes before that does: who has waited for the end may listen there again.
    let listener = listener;
    let mut watch = Watch { shared: &shared, key: None };
    loop {
        let accepted = watch.until_closing(shared.runtime.accept(&listener)).await;
        match accepted {
            None => return accept_the_last(&shared, &listener).await,
            Some(Ok((stream, peer_addr))) => {
                shared.runtime.spawn(Connection::new(Arc::clone(&shared), stream, peer_addr));
            }
            Some(Err(error)) if is_of_one_connection(&error) => {}
            Some(Err(error)) => {
                trace!(WARN, error = %error, "no connection could be accepted");
                let retry = shared.runtime.now() + ACCEPT_RETRY;
                if watch.until_closing(shared.runtime.sleep_until(retry)).await.is_none() {
                    return accept_the_last(&shared, &listener).await;
                }
            }
        }
    }
}

/// Takes the connections that the system has completed by now: those that are left to it are reset when
/// nobody listens any more, whatever their clients are about to say.
async fn accept_the_last<R: Runtime>(shared: &Arc<Shared<R>>, listener: &R::Listener) {
    let runtime = &shared.runtime;
    let mut fresh = Vec::new();
    for _ in 0..BACKLOG {
        // A runtime knows of connections, and of what has come on them, only after it has asked the
        // system, as it does when it has waited; and it may not let a task have too many at a time.
        runtime.sleep_until(runtime.now() + LAST_ACCEPT).await;
        for (stream, peer_addr) in fresh.drain(..) {
            runtime.spawn(Connection::new(Arc::clone(shared), stream, peer_addr));
        }
        if shared.phase() == Phase::Aborting {
            return;
        }
        let mut failed = false;
        loop {
            let mut accept = pin!(runtime.accept(listener));
            match poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx))).await {
                Poll::Ready(Ok(accepted)) => fresh.push(accepted),
                Poll::Ready(Err(error)) if is_of_one_connection(&error) => failed = true,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        if fresh.is_empty() && !failed {
            return;
        }
    }
}

/// How long a server that has closed waits for what its runtime may not have seen.
const LAST_ACCEPT: Duration = Duration::from_millis(1);

/// Errors that the connection brought with it, and that say nothing about the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// How long to wait when the system has no file descriptor or memory for another connection. Trying
/// again at once would only burn the processor until one is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Tells the server that something it waits for has ended.
struct Alive<'a, R: Runtime>(&'a Shared<R>);

impl<R: Runtime> Drop for Alive<'_, R> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A task's interest in the phases of the server.
struct Watch<'a, R: Runtime> {
    shared: &'a Shared<R>,
    key: Option<usize>,
}

impl<R: Runtime> Watch<'_, R> {
    fn register(&mut self, waker: &std::task::Waker) {
        self.shared.watch(&mut self.key, waker);
    }

    /// The output of `work`, or `None` once the server needs no more connections.
    async fn until_closing<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.register(cx.waker());
            if !self.shared.is_serving() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

impl<R: Runtime> Drop for Watch<'_, R> {
    fn drop(&mut self) {
        self.shared.unwatch(self.key);
    }
}

/// A task's wait for a session.
pub(crate) struct Accepting<'a, R: Runtime> {
    pub(crate) shared: &'a Shared<R>,
    pub(crate) key: Option<usize>,
}

impl<R: Runtime> Accepting<'_, R> {
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Socket<R>>> {
        self.shared.poll_accept(&mut self.key, cx)
    }
}

impl<R: Runtime> Drop for Accepting<'_, R> {
    fn drop(&mut self) {
        self.shared.stop_accepting(self.key);
    }
}

impl<R: Runtime> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr()).finish_non_exhaustive()
    }
}

impl<R: fmt::Debug> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
