//! Setting up a server: its options, and its start.

#[cfg(feature = "tls-no-provider")]
mod tls;

use std::{
    fmt,
    future::Future,
    io,
    net::ToSocketAddrs,
    sync::{Arc, Weak},
    time::Duration,
};

use enginewire::{
    Cookie, Cors, HeaderLines, HeadersHook, HttpRequest, IntoEncoded, Limits, Networks, NodeName,
    Refusal, Response, Router, ServerConfig, SubprotocolHook, Transports, TrustedProxies,
    wire::http,
};
#[cfg(feature = "deflate")]
use enginewire::{HttpCompression, PerMessageDeflate};

#[cfg(feature = "tls-no-provider")]
use crate::tls::{ClientTls, ServerTls};
use crate::{
    cell::Sessions,
    handler::{Handler, HandlerHook},
    handshake::Handshake,
    nodes::{Addresses, NodeAddress, Nodes},
    runtime::Runtime,
    server::{Admission, Server, ServerHandle, accept_connections, limit_shutdown},
    shared::{AllowHook, CloseHook, FallbackHook, FallbackRequest, Hooks, Options, Shared},
    socket::Socket,
    timers::keep_time,
};

/// Sets up a [`Server`]. Everything has a default, which is the reference's where it has one.
pub struct ServerBuilder<R: Runtime> {
    runtime: R,
    config: ServerConfig,
    options: Options,
    /// Timeouts; the sizes come from the limits in `config`.
    http: http::Config,
    allow: Option<AllowHook>,
    fallback: Option<FallbackHook>,
    nodes: Option<Addresses>,
    #[cfg(feature = "tls-no-provider")]
    nodes_tls: ClientTls,
    handler: Option<Box<dyn FnOnce(Weak<Shared>) -> HandlerHook + Send>>,
    /// Called when the server begins to close.
    on_close: Option<CloseHook>,
    /// Called when the server starts.
    #[cfg(feature = "socketio")]
    on_start: Option<StartHook<R>>,
    listeners: Vec<Listener<R>>,
    #[cfg(feature = "tls-no-provider")]
    tls: Option<ServerTls>,
    /// Of the Socket.IO server, for its clients in a test.
    #[cfg(all(feature = "socketio", feature = "testing"))]
    parser: enginewire_socketio::parser::Parser,
}

/// A listening socket.
struct Listener<R: Runtime> {
    socket: R::Listener,
    #[cfg(feature = "tls-no-provider")]
    tls: ListenerTls,
}

/// Encryption of the connections of a listener.
#[cfg(feature = "tls-no-provider")]
enum ListenerTls {
    /// The configuration of the server, if it has one.
    OfServer,
    None,
    Own(ServerTls),
}

/// Called when a server starts.
#[cfg(feature = "socketio")]
type StartHook<R> = Box<dyn FnOnce(&R, &Arc<Sessions>) + Send>;

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
            nodes: None,
            #[cfg(feature = "tls-no-provider")]
            nodes_tls: ClientTls::default(),
            handler: None,
            on_close: None,
            #[cfg(feature = "socketio")]
            on_start: None,
            listeners: Vec::new(),
            #[cfg(feature = "tls-no-provider")]
            tls: None,
            #[cfg(all(feature = "socketio", feature = "testing"))]
            parser: enginewire_socketio::parser::Parser::default(),
        }
    }

    /// Listens on `address` and starts. If there are several addresses, listens on the first that
    /// works. Port 0 lets the system choose one. A host name is resolved by the system, which may
    /// block the thread.
    ///
    /// # Errors
    ///
    /// The operating system's, with the address in its message; or that there is no runtime.
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server> {
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
        self.listener(result?).start()
    }

    /// Adds a listening socket. It may have been set up or inherited elsewhere, and may be one of
    /// several. Its connections are encrypted if the server has TLS.
    #[must_use]
    pub fn listener(mut self, listener: R::Listener) -> Self {
        self.listeners.push(Listener {
            socket: listener,
            #[cfg(feature = "tls-no-provider")]
            tls: ListenerTls::OfServer,
        });
        self
    }

    /// Adds a listening socket whose connections are not encrypted, though the server has TLS.
    ///
    /// It is for a port that only a proxy on the same machine reaches, for example.
    #[must_use]
    pub fn plain_listener(mut self, listener: R::Listener) -> Self {
        self.listeners.push(Listener {
            socket: listener,
            #[cfg(feature = "tls-no-provider")]
            tls: ListenerTls::None,
        });
        self
    }

    /// Starts on the listeners that were added, if any.
    ///
    /// Without one, the server is for connections given to [`ServerHandle::serve`], or for another HTTP server (feature
    /// `tower`).
    ///
    /// # Errors
    ///
    /// The operating system's, if a listener has no address; or that there is no runtime.
    pub fn start(self) -> io::Result<Server> {
        let Self { runtime, config, options, http: timeouts, listeners, .. } = self;
        runtime.ensure_entered()?;
        let local_addrs = listeners.iter().map(|listener| runtime.local_addr(&listener.socket));
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
            let (allow, fallback, on_close) = (self.allow, self.fallback, self.on_close);
            let nodes = self.nodes.map(|addresses| Nodes::new(runtime.clone(), addresses));
            #[cfg(feature = "tls-no-provider")]
            let nodes = nodes.map(|nodes| nodes.with_tls(self.nodes_tls));
            let hooks = Hooks {
                allow,
                fallback,
                nodes,
                handler,
                on_close,
                #[cfg(feature = "tower")]
                upgrades: Some(crate::tower::Upgrades::of(runtime.clone())),
            };
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
            let admission = Admission {
                shared: Arc::clone(&shared),
                #[cfg(feature = "tls-no-provider")]
                tls: match listener.tls {
                    ListenerTls::OfServer => self.tls.clone(),
                    ListenerTls::None => None,
                    ListenerTls::Own(tls) => Some(tls),
                },
            };
            runtime.spawn(accept_connections(runtime.clone(), admission, listener.socket));
        }
        #[cfg(feature = "socketio")]
        if let Some(on_start) = self.on_start {
            on_start(&runtime, &sessions);
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

    /// Compresses the messages of WebSockets for clients that offer it (RFC 7692). Default: none is compressed.
    ///
    /// Responses to polls have [`http_compression`](Self::http_compression). See [`PerMessageDeflate`] for what it costs.
    ///
    /// ```
    /// # use enginewire_driver::{PerMessageDeflate, Runtime, ServerBuilder};
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    /// builder.per_message_deflate(PerMessageDeflate::default())
    /// # }
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn per_message_deflate(mut self, options: PerMessageDeflate) -> Self {
        self.config.per_message_deflate = Some(options);
        self
    }

    /// Compresses responses to polls for clients that accept it, and takes compressed POSTs. Default: neither.
    ///
    /// Responses to other requests are the application's. See [`HttpCompression`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn http_compression(mut self, options: HttpCompression) -> Self {
        self.config.http_compression = Some(options);
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

    /// Calls `hook` when the server begins to close.
    #[cfg(feature = "socketio")]
    pub(crate) fn on_close(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_close = Some(Box::new(hook));
        self
    }

    /// Calls `hook` when the server starts.
    #[cfg(feature = "socketio")]
    pub(crate) fn on_start(
        mut self,
        hook: impl FnOnce(&R, &Arc<Sessions>) + Send + 'static,
    ) -> Self {
        self.on_start = Some(Box::new(hook));
        self
    }

    /// Sets the name of this server among several. Default none.
    ///
    /// The ids of its sessions begin with it, so that [`nodes`](Self::nodes) finds their owner. Nodes that serve the same
    /// clients need names that differ: a number, or a [`NodeName`]. See [`ServerConfig::node`].
    #[must_use]
    pub fn node(mut self, name: impl Into<NodeName>) -> Self {
        self.config.node = Some(name.into());
        self
    }

    /// Sets where other nodes are, so that sessions need not be sticky. Default: their sessions are unknown.
    ///
    /// A request for a session of another [`node`](Self::node) is handed over to it, and its connection with it: bytes pass in
    /// both directions as they come. The owner alone has the state of the session, and its rules hold. Polls and POSTs
    /// get their response, and the connection of the client closes behind it. A WebSocket lasts as long as both nodes.
    ///
    /// `address` is called with each such request, and may return another address each time; it must not block. Nodes for
    /// which it returns `None` are unknown. No client can make this node connect to any other address.
    ///
    /// A node that cannot be reached costs the client its session: it gets status 503 and connects anew. The limit is the
    /// [head timeout](Self::head_timeout). It gets 502 if the response is none, and 504 if nothing comes in twice the ping
    /// interval and timeout. Behind these two, the request may have been handled. No request is made twice.
    ///
    /// The address is a `SocketAddr` for TCP, or a [`NodeAddress`] with TLS (see `nodes_tls`). What is not encrypted needs a
    /// network of its own, and a [plain listener](Self::plain_listener) if the server has TLS. The owner sees the address of
    /// the client if this node is one of its [trusted proxies](Self::trusted_proxies), in whose field it is appended. Nodes
    /// in the networks of [`proxy_protocol`](Self::proxy_protocol), which have to be the same on all, are sent that header
    /// instead. A request is handed over once: one whose field `Via` says that it was is refused.
    ///
    /// Behind another HTTP server (feature `tower`) it is the same, and the connection of the client may go on. Its address
    /// has to be known there for the owner to see it, see `tower`.
    ///
    /// ```
    /// # use std::{collections::HashMap, net::SocketAddr};
    /// # use enginewire_driver::{NodeName, Runtime, ServerBuilder};
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    /// let addresses = HashMap::from([
    ///     (NodeName::from(1), SocketAddr::from(([10, 0, 0, 1], 3000))),
    ///     (NodeName::from(2), SocketAddr::from(([10, 0, 0, 2], 3000))),
    /// ]);
    /// builder.node(1).nodes(move |node| addresses.get(&node).copied())
    /// # }
    /// ```
    #[must_use]
    pub fn nodes<A: Into<NodeAddress>>(
        mut self,
        address: impl Fn(NodeName) -> Option<A> + Send + Sync + 'static,
    ) -> Self {
        self.nodes = Some(Box::new(move |node| address(node).map(Into::into)));
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

    /// Sets which proxies tell the addresses of clients in a header field. Default none.
    ///
    /// [`Handshake::peer_addr`] is the client's address then, and [`Handshake::proxy_addr`] the proxy's. Requests of
    /// other peers are taken as they come, whatever is in the field. See [`TrustedProxies`].
    ///
    /// ```
    /// # use enginewire_driver::{Runtime, ServerBuilder, TrustedProxies};
    /// # fn example<R: Runtime>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    /// let proxies = TrustedProxies::parse("127.0.0.1, 10.0.0.0/8").expect("two networks");
    /// builder.trusted_proxies(proxies)
    /// # }
    /// ```
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.options.trusted_proxies = Some(proxies);
        self
    }

    /// Sets which peers begin each connection with a header of the PROXY protocol. Default none.
    ///
    /// Such a peer must send one, of version 1 or 2, within the [head timeout](Self::head_timeout); otherwise its
    /// connection is closed. The address in it takes the place of the peer's, also for
    /// [`trusted_proxies`](Self::trusted_proxies). Peers in no network of the list are served without one, and a header
    /// that they send is a malformed request. Applies to listeners, not to [`ServerHandle::serve`].
    #[must_use]
    pub fn proxy_protocol(mut self, peers: Networks) -> Self {
        self.options.proxy_protocol = peers;
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
    ///
    /// It is longer if the process did not run in between, each time by up to 20 s.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.options.shutdown_timeout = timeout;
        self
    }
}

/// Options that the clients of a test need to know.
#[cfg(feature = "testing")]
impl<R: Runtime> ServerBuilder<R> {
    pub(crate) const fn runtime(&self) -> &R {
        &self.runtime
    }

    pub(crate) const fn protocol(&self) -> &ServerConfig {
        &self.config
    }

    #[cfg(feature = "socketio")]
    pub(crate) const fn parser(&self) -> &enginewire_socketio::parser::Parser {
        &self.parser
    }

    #[cfg(feature = "socketio")]
    pub(crate) fn with_parser(mut self, parser: enginewire_socketio::parser::Parser) -> Self {
        self.parser = parser;
        self
    }
}

impl<R: Runtime> fmt::Debug for ServerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
