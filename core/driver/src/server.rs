//! The server: how it is set up, what it accepts, how it ends.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::{SocketAddr, ToSocketAddrs},
    pin::pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use enginewire::{
    Cookie, Cors, HeaderLines, HeadersHook, HttpRequest, IntoEncoded, Limits, Refusal, Response,
    Router, SendError, ServerConfig, SubprotocolHook, Transports, hub::Broadcast, wire::http,
};
use futures_io::{AsyncRead, AsyncWrite};

use crate::{
    cell::Sessions,
    connection::Connection,
    handler::{Handler, HandlerHook},
    handshake::Handshake,
    lifecycle::Phase,
    listen::BACKLOG,
    runtime::{BoxedStream, Runtime},
    shared::{AllowHook, FallbackHook, FallbackRequest, Hooks, Options, Shared},
    socket::{Cell, Sender, Socket},
    timers::keep_time,
    trace::trace,
    wakers::WakerKey,
};

/// A server that is listening.
///
/// Dropping it ends all sessions at once; [`close`](ServerHandle::close) drains queues first. It has the methods of a
/// [`ServerHandle`], of which [`handle`](Self::handle) makes more.
#[must_use = "dropping a server ends its sessions"]
pub struct Server {
    handle: ServerHandle,
}

/// A handle on a server for other tasks. Cheap to clone; does not keep the server alive.
#[derive(Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

/// Sets up a [`Server`]. Everything has a default, which is the reference's where it has one.
pub struct ServerBuilder<R: Runtime> {
    runtime: R,
    config: ServerConfig,
    options: Options,
    /// Timeouts; the sizes come from the limits in `config`.
    http: http::Config,
    allow: Option<AllowHook>,
    fallback: Option<FallbackHook>,
    handler: Option<Box<dyn FnOnce(Weak<Shared>) -> HandlerHook + Send>>,
    listeners: Vec<R::Listener>,
}

impl Server {
    /// Accepts the next session. Returns `None` once the server is closing, and all sessions have been accepted that
    /// were open before: they take no messages any more, but may have brought some. Sessions that are not accepted are
    /// kept until the server is dropped. With a [handler](ServerBuilder::handler) there are none.
    ///
    /// Cancel safe: a session is either returned or still there. Sessions that are not accepted wait;
    /// when [`ServerBuilder::backlog`] of them do, handshakes are refused with status 503.
    pub async fn accept(&self) -> Option<Socket> {
        let mut accepting = Accepting { shared: &self.handle.shared, key: None };
        poll_fn(|cx| accepting.poll(cx)).await
    }

    /// Returns a handle for other tasks.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }
}

impl std::ops::Deref for Server {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

impl ServerHandle {
    /// Returns the address of the first listener; `0.0.0.0:0` if there is none.
    pub fn local_addr(&self) -> SocketAddr {
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        self.shared.local_addrs.first().copied().unwrap_or(none)
    }

    /// Returns the addresses of all listeners.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.shared.local_addrs
    }

    /// Returns the number of sessions that are open or closing.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.lifecycle.sessions()
    }

    /// Returns the number of TCP connections that are open, those between two requests included.
    pub fn connections(&self) -> usize {
        self.shared.sessions.lifecycle.connections()
    }

    /// Returns a sender to the session with this [`id`](Sender::id), unless it is closed.
    pub fn get(&self, id: u64) -> Option<Sender> {
        self.shared.sessions.get(id).map(|cell| Sender::new(Cell::Server(cell)))
    }

    /// Returns senders to all sessions that are open or closing, in no particular order.
    pub fn senders(&self) -> Vec<Sender> {
        let sender = |cell| Sender::new(Cell::Server(cell));
        self.shared.sessions.all().into_iter().map(sender).collect()
    }

    /// Queues a message for the sessions with these [`id`](Sender::id)s. It is encoded once.
    ///
    /// Returns how many took it, and how many did not: a session without room is passed by.
    pub fn broadcast(
        &self,
        to: impl IntoIterator<Item = u64>,
        message: impl IntoEncoded,
    ) -> Broadcast {
        let message = message.into_encoded().into_shared();
        let mut broadcast = Broadcast::default();
        for id in to {
            broadcast.count(match self.get(id) {
                Some(sender) => sender.try_send(&message).map_err(SendError::from),
                None => Err(SendError::Closed),
            });
        }
        broadcast
    }

    /// Queues a message for all sessions, as [`broadcast`](Self::broadcast) does.
    pub fn broadcast_all(&self, message: impl IntoEncoded) -> Broadcast {
        let message = message.into_encoded().into_shared();
        let mut broadcast = Broadcast::default();
        for sender in self.senders() {
            broadcast.count(sender.try_send(&message).map_err(SendError::from));
        }
        broadcast
    }

    /// Serves a connection that was accepted elsewhere. Examples are a Unix socket, a stream in
    /// memory, and a stream that decrypts.
    ///
    /// Spawn the future or await it, inside the runtime. It ends with the connection; dropping it ends the connection,
    /// and with it a [handler](ServerBuilder::handler) that it polls. `peer_addr` is the address that
    /// [`Socket::peer_addr`] shows. Costs one allocation more than a connection of a listener.
    pub fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer_addr: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        Connection::new(Arc::clone(&self.shared), BoxedStream::new(stream), peer_addr)
    }

    /// Closes the server, and waits until all sessions and connections have ended. New sessions are
    /// refused. Every session is closed as with [`Sender::close`], which drains its queue; its
    /// client may still connect for that. [Handlers](ServerBuilder::handler) are waited for as well. After
    /// [`ServerBuilder::shutdown_timeout`] the rest is ended; handlers that remain go on by themselves.
    ///
    /// Cancel safe: once polled, the server closes whether or not anything waits for it.
    pub async fn close(&self) {
        let shared = &self.shared;
        shared.advance_to(Phase::Closing);
        let mut watch = Watch { shared, key: None };
        poll_fn(|cx| {
            watch.register(cx.waker());
            if shared.sessions.lifecycle.is_finished() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Ends the server now. What is queued is lost.
    pub fn abort(&self) {
        self.shared.advance_to(Phase::Aborting);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.abort();
        drop(self.handle.shared.backlog.drain());
    }
}

impl<R: Runtime + Default> ServerBuilder<R> {
    /// Starts to set up a server.
    pub fn new() -> Self {
        Self::on(R::default())
    }
}

impl<R: Runtime + Default> Default for ServerBuilder<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Starting.
impl<R: Runtime> ServerBuilder<R> {
    /// Starts to set up a server that runs on `runtime`.
    pub fn on(runtime: R) -> Self {
        Self {
            runtime,
            config: ServerConfig::default(),
            options: Options::default(),
            http: http::Config::default(),
            allow: None,
            fallback: None,
            handler: None,
            listeners: Vec::new(),
        }
    }

    /// Listens on `address` and starts. If there are several addresses, listens on the first that
    /// works. Port 0 lets the system choose one. A host name is resolved by the system, which may
    /// block the thread.
    ///
    /// # Errors
    ///
    /// The operating system's, with the address in its message; or that there is no runtime.
    pub async fn bind(mut self, address: impl ToSocketAddrs) -> io::Result<Server> {
        self.runtime.ensure_entered()?;
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        let mut result = Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "the host to listen on has no address",
        ));
        for address in addresses {
            result = self.runtime.bind(address).await.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            });
            if result.is_ok() {
                break;
            }
        }
        self.listeners.push(result?);
        self.start()
    }

    /// Adds a listening socket. It may have been set up or inherited elsewhere, and may be one of
    /// several.
    #[must_use]
    pub fn listener(mut self, listener: R::Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Starts on the listeners that were added; without any, for connections given to
    /// [`ServerHandle::serve`].
    ///
    /// # Errors
    ///
    /// The operating system's, if a listener has no address; or that there is no runtime.
    pub fn start(self) -> io::Result<Server> {
        let Self { runtime, config, options, http: timeouts, listeners, .. } = self;
        runtime.ensure_entered()?;
        let local_addrs = listeners.iter().map(|listener| runtime.local_addr(listener));
        let local_addrs = local_addrs.collect::<io::Result<_>>()?;
        let mut http = http::Config::new(&config.limits);
        http.head_timeout = timeouts.head_timeout;
        http.body_timeout = timeouts.body_timeout;
        http.idle_timeout = timeouts.idle_timeout;
        http.write_timeout = timeouts.write_timeout;
        http.linger = timeouts.linger;
        let clock = runtime.clock();
        let sessions = Arc::new(Sessions::new(clock.clone()));
        let router = Router::new(config);
        let shared = Arc::new_cyclic(|shared| {
            let handler = self.handler.map(|hook| {
                let runtime = runtime.clone();
                let spawn = Box::new(move |handling| runtime.spawn(handling));
                Handler { hook: hook(Weak::clone(shared)), spawn }
            });
            let hooks = Hooks { allow: self.allow, fallback: self.fallback, handler };
            Shared::new(Arc::clone(&sessions), router, http, hooks, options, local_addrs)
        });
        for shard in 0..sessions.timers.shards() {
            let (sessions, time) = (Arc::clone(&sessions), runtime.clone());
            let clock = clock.clone();
            runtime.spawn(async move {
                let is_finished = || sessions.lifecycle.is_finished();
                let timers = &sessions.timers;
                keep_time(time, clock, timers, shard, is_finished, Sessions::expired).await;
            });
        }
        for listener in listeners {
            sessions.lifecycle.enter();
            runtime.spawn(accept_connections(runtime.clone(), Arc::clone(&shared), listener));
        }
        runtime.spawn(limit_shutdown(runtime.clone(), Arc::clone(&shared)));
        Ok(Server { handle: ServerHandle { shared } })
    }
}

/// Options.
impl<R: Runtime> ServerBuilder<R> {
    /// Replaces the protocol's configuration as a whole. The methods below change parts of it.
    #[must_use]
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the path under which requests are served. Default `/engine.io/`.
    ///
    /// A path that starts with this one is served. A missing slash at the start is added, and one
    /// at the end if [`add_trailing_slash`](Self::add_trailing_slash) is true. See [`ServerConfig::path`].
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.config.path = path.into();
        self
    }

    /// Sets whether [`path`](Self::path) ends with a slash. Default true.
    ///
    /// With false, `/engine.io` is served, and so is every path below it. See
    /// [`ServerConfig::add_trailing_slash`].
    #[must_use]
    pub fn add_trailing_slash(mut self, add: bool) -> Self {
        self.config.add_trailing_slash = add;
        self
    }

    /// Sets the transports that a session may use. Default: both.
    ///
    /// See [`ServerConfig::transports`].
    #[must_use]
    pub fn transports(mut self, transports: Transports) -> Self {
        self.config.transports = transports;
        self
    }

    /// Sets whether a session may move from polling to a WebSocket. Default true.
    ///
    /// If false, upgrades are left out of the handshake and also refused. The reference does not
    /// refuse them. See [`ServerConfig::allow_upgrades`].
    #[must_use]
    pub fn allow_upgrades(mut self, allow: bool) -> Self {
        self.config.allow_upgrades = allow;
        self
    }

    /// Sets whether clients of revision 3 (Socket.IO 2.x) are served. Default false.
    ///
    /// See [`ServerConfig::allow_eio3`].
    #[must_use]
    pub fn allow_eio3(mut self, allow: bool) -> Self {
        self.config.allow_eio3 = allow;
        self
    }

    /// Sets the time between two pings of a client. Default 25 s.
    ///
    /// A client of revision 4 is pinged by the server. A client of revision 3 is told the interval,
    /// because it pings by itself. See [`ServerConfig::ping_interval`].
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.config.ping_interval = interval;
        self
    }

    /// Limit on the time that a client takes to answer a ping. Default 20 s, at least 1 ms.
    ///
    /// The time is granted again while bytes move on its connections at a minimum rate. See
    /// [`ServerConfig::ping_timeout`].
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.ping_timeout = timeout;
        self
    }

    /// Limit on the time that an upgrade takes. Default 10 s.
    ///
    /// It starts with the handshake of the WebSocket. See [`ServerConfig::upgrade_timeout`].
    #[must_use]
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.config.upgrade_timeout = timeout;
        self
    }

    /// Limit on the time that a closing session waits for its peer. Default 30 s.
    ///
    /// In that time the peer takes what is queued. The time starts again whenever it has taken some
    /// of that at a minimum rate. See [`ServerConfig::close_timeout`].
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// Sets a message that every session begins with, right after the handshake. Default none.
    ///
    /// See [`ServerConfig::initial_packet`].
    #[must_use]
    pub fn initial_packet(mut self, message: impl IntoEncoded) -> Self {
        self.config.initial_packet = Some(message.into_encoded());
        self
    }

    /// Sets a cookie with the session id. Default none.
    ///
    /// It is for load balancers that keep a client on one server. See [`ServerConfig::cookie`].
    #[must_use]
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.config.cookie = Some(cookie);
        self
    }

    /// Sets which web pages of other origins may connect over polling. Default none.
    ///
    /// A browser does not ask before it opens a WebSocket: use
    /// [`allow_request`](Self::allow_request) to refuse those. See [`ServerConfig::cors`].
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.config.cors = Some(cors);
        self
    }

    /// Sets all limits on memory and work. Sizes are in bytes, and the defaults are those of
    /// [`Limits`].
    ///
    /// See [`ServerConfig::limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Limit on the size of messages and payloads, in bytes. Default 1 000 000.
    ///
    /// It bounds WebSocket messages, bodies of POSTs, and responses to GETs that hold more than one
    /// packet. Clients are told it as `maxPayload`. See [`Limits::max_payload`].
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.config.limits.max_payload = bytes;
        self
    }

    /// Adds header fields to responses. Default none. `hook` is called with each request and with
    /// whether its response is the first of a session.
    #[must_use]
    pub fn headers(
        mut self,
        hook: impl Fn(&dyn HttpRequest, bool, &mut HeaderLines) + Send + Sync + 'static,
    ) -> Self {
        self.config.headers = Some(HeadersHook::new(hook));
        self
    }

    /// Chooses the subprotocol of a WebSocket. Default: the first that the client offers.
    ///
    /// `hook` is called with the request and the offers, and returns one of them. See
    /// [`ServerConfig::subprotocol`].
    ///
    /// ```
    /// # use enginewire_driver::{Runtime, ServerBuilder};
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    /// builder.subprotocol(|_, offers| offers.iter().copied().find(|&offer| offer == "v2.chat"))
    /// # }
    /// ```
    #[must_use]
    pub fn subprotocol(
        mut self,
        hook: impl for<'a> Fn(&dyn HttpRequest, &[&'a str]) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        self.config.subprotocol = Some(SubprotocolHook::new(hook));
        self
    }

    /// Asks `allow` before each session is opened, over either transport. An error refuses it: with
    /// status 403 and that message, or as the [`Refusal`] says.
    ///
    /// ```no_run
    /// # use enginewire_driver::{Refusal, Runtime, ServerBuilder};
    /// struct User(String);
    ///
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    /// builder.allow_request(|handshake| async move {
    ///     match handshake.query_value("token").as_deref() {
    ///         // The task of the session finds it: `socket.handshake().extension::<User>()`.
    ///         Some("secret") => Ok(handshake.insert(User("ada".into()))),
    ///         Some(_) => Err(Refusal::new("wrong token").with_status(401)),
    ///         None => Err("no token".into()),
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
        F: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.allow = Some(Box::new(move |handshake| Box::pin(allow(handshake))));
        self
    }

    /// Responds to requests for other paths than [`path`](Self::path): a page, a health check. Default: status 404.
    ///
    /// The body of a request is at most [`max_payload`](Self::max_payload) long. WebSockets are refused.
    ///
    /// ```no_run
    /// # use enginewire_driver::{Response, Runtime, ServerBuilder};
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    /// builder.fallback(|request| async move {
    ///     match request.head.path() {
    ///         "/" => Response::new(200, "text/html; charset=UTF-8", "<h1>Hello</h1>"),
    ///         _ => Response::empty(404),
    ///     }
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn fallback<F>(
        mut self,
        respond: impl Fn(FallbackRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        self.fallback = Some(Box::new(move |request| Box::pin(respond(request))));
        self
    }

    /// Calls `handle` with each session and the server. Default none: sessions wait for [`Server::accept`].
    ///
    /// The future that it returns is polled by the task of the session's connection if that is a WebSocket from
    /// the beginning, and spawned otherwise. This saves a task for each such session, and a switch of tasks for each
    /// message. As in any task, the future must not block: while it runs, its connection is neither read nor written.
    ///
    /// [`ServerHandle::close`] waits for these futures, until the [shutdown timeout](Self::shutdown_timeout); to close
    /// the server, a handler spawns that. A handler that panics ends its session, and the connection that polls it.
    ///
    /// ```no_run
    /// # use enginewire_driver::{Runtime, ServerBuilder};
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    /// builder.handler(|mut socket, server| async move {
    ///     while let Some(message) = socket.recv().await {
    ///         server.broadcast_all(message);
    ///     }
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn handler<F>(
        mut self,
        handle: impl Fn(Socket, ServerHandle) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.handler = Some(Box::new(move |shared| {
            Box::new(move |socket| match shared.upgrade() {
                Some(shared) => Box::pin(handle(socket, ServerHandle { shared })),
                // Never: the connection that opens the session holds the server.
                None => Box::pin(std::future::ready(())),
            })
        }));
        self
    }

    /// Limit on the sessions that wait for [`Server::accept`]. Default 1024.
    #[must_use]
    pub fn backlog(mut self, sessions: usize) -> Self {
        self.options.backlog = sessions;
        self
    }

    /// Limit on the sessions. Default 65 536. Further handshakes are refused with status 503.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.options.max_sessions = sessions;
        self
    }

    /// Limit on the TCP connections. Default 65 536. Further ones wait in the system's queue.
    ///
    /// Connections of [`serve`](ServerHandle::serve) count, but are not limited. Listeners that accept at the same
    /// moment may exceed the limit by one each.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// Time that a client may take to send the head of a request. Default 10 s.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.http.head_timeout = timeout;
        self
    }

    /// Limit on the time that a client takes to send the body of a POST. Default 60 s. The time
    /// starts again whenever as much has come as 1 KiB a second makes in that time.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.http.body_timeout = timeout;
        self
    }

    /// Time that a connection may be silent between two requests, or before the first. Default 75 s,
    /// longer than the 60 s for which common proxies keep theirs.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.http.idle_timeout = timeout;
        self
    }

    /// Time that a client may go without taking any byte of an HTTP response. Default 30 s. A WebSocket
    /// whose client does not read is ended by the heartbeat.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.http.write_timeout = timeout;
        self
    }

    /// Limit on the time that a connection takes to end after its last write. Default 2 s. In that
    /// time the peer does its part of the closing handshake, and closes TCP.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.http.linger = linger;
        self
    }

    /// Time that [`ServerHandle::close`] gives peers to take what is queued, and handlers to return. Default 10 s.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.options.shutdown_timeout = timeout;
        self
    }
}

/// Ends what is left of a closing server after its shutdown timeout.
async fn limit_shutdown<R: Runtime>(runtime: R, shared: Arc<Shared>) {
    let mut watch = Watch { shared: &shared, key: None };
    let lifecycle = &shared.sessions.lifecycle;
    let mut sleep = None;
    poll_fn(|cx| {
        watch.register(cx.waker());
        if lifecycle.is_finished() {
            return Poll::Ready(());
        }
        if lifecycle.phase() != Phase::Closing {
            return Poll::Pending;
        }
        let deadline = || shared.sessions.clock.now() + shared.options.shutdown_timeout;
        let sleep = sleep.get_or_insert_with(|| Box::pin(runtime.sleep_until(deadline())));
        if sleep.as_mut().poll(cx).is_ready() {
            shared.advance_to(Phase::Aborting);
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// The accept loop: ends with the server, and with nothing else.
async fn accept_connections<R: Runtime>(runtime: R, shared: Arc<Shared>, listener: R::Listener) {
    let _alive = Alive(&shared);
    // Dropped before that: after the end of the server another may listen there at once.
    let listener = listener;
    let mut watch = Watch { shared: &shared, key: None };
    loop {
        match watch.until_accepted(runtime.accept(&listener)).await {
            None => return accept_the_last(&runtime, &shared, &listener).await,
            Some(Ok((stream, peer_addr))) => {
                runtime.spawn(Connection::new(Arc::clone(&shared), stream, peer_addr));
            }
            Some(Err(error)) if is_of_one_connection(&error) => {}
            Some(Err(error)) => {
                trace!(WARN, error = %error, "no connection could be accepted");
                let retry = shared.sessions.clock.now() + ACCEPT_RETRY;
                if watch.until_closing(runtime.sleep_until(retry)).await.is_none() {
                    return accept_the_last(&runtime, &shared, &listener).await;
                }
            }
        }
    }
}

/// Takes the connections that the system has completed by now: connections that are left to it are reset once
/// nothing listens any more, whatever their clients are about to say.
async fn accept_the_last<R: Runtime>(runtime: &R, shared: &Arc<Shared>, listener: &R::Listener) {
    let mut fresh = Vec::new();
    for _ in 0..BACKLOG {
        // A runtime knows of connections, and of what has come on them, only after it has asked the
        // system, as it does when it has waited; and it may not let a task have too many at a time.
        runtime.sleep_until(shared.sessions.clock.now() + LAST_ACCEPT).await;
        for (stream, peer_addr) in fresh.drain(..) {
            runtime.spawn(Connection::new(Arc::clone(shared), stream, peer_addr));
        }
        if shared.sessions.lifecycle.phase() == Phase::Aborting {
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

/// Tells the server that a task has ended which its end waits for.
struct Alive<'a>(&'a Shared);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.sessions.leave();
    }
}

/// A task's interest in the phases of the server.
struct Watch<'a> {
    shared: &'a Shared,
    key: WakerKey,
}

impl Watch<'_> {
    fn register(&mut self, waker: &Waker) {
        self.shared.sessions.lifecycle.watch(&mut self.key, waker);
    }

    /// The output of `work`, or `None` once the server needs no more connections.
    async fn until_closing<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.register(cx.waker());
            if !self.shared.sessions.lifecycle.is_serving() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// The output of `accept`, which is not polled while there are too many connections. `None` once the
    /// server needs no more.
    async fn until_accepted<T>(&mut self, accept: impl Future<Output = T>) -> Option<T> {
        let (lifecycle, max) =
            (&self.shared.sessions.lifecycle, self.shared.options.max_connections);
        let mut told = false;
        let mut accept = pin!(accept);
        self.until_closing(poll_fn(|cx| {
            // Counted with each poll, because other listeners accept while this one waits.
            if lifecycle.connections() < max {
                return accept.as_mut().poll(cx);
            }
            if !std::mem::replace(&mut told, true) {
                trace!(WARN, max = max, "too many connections");
            }
            Poll::Pending
        }))
        .await
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.shared.sessions.lifecycle.unwatch(self.key);
    }
}

/// A task's wait for a session.
pub(crate) struct Accepting<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) key: WakerKey,
}

impl Accepting<'_> {
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Socket>> {
        // A closing server gives out what it has, because messages that a session has taken are the application's.
        let is_closed = || self.shared.sessions.lifecycle.phase() != Phase::Running;
        self.shared.backlog.poll_pop(&mut self.key, cx, is_closed)
    }
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        self.shared.backlog.stop_waiting(self.key);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addrs", &self.local_addrs()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("local_addrs", &self.local_addrs())
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> fmt::Debug for ServerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
