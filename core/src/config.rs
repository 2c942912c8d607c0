//! Configuration of a server; the defaults are the reference's.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use crate::{
    deflate::options_of,
    encoded::Encoded,
    exchange::{HeaderLines, HttpRequest},
    limits::Limits,
    node::NodeName,
};

/// How a server behaves, shared by its [`Router`](crate::Router) and all of its sessions.
///
/// ```
/// # use core::time::Duration;
/// let mut config = enginewire::ServerConfig::default();
/// config.ping_interval = Duration::from_secs(10);
/// config.allow_eio3 = true;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Requests are served whose path starts with this. Default `/engine.io/`; a missing slash at the
    /// start is added, and one at the end if [`add_trailing_slash`](Self::add_trailing_slash) says so.
    pub path: String,
    /// Whether [`path`](Self::path) ends with a slash. Default true, as the reference: `/engine.io` is
    /// not found. With false that path is served, and so is everything below `/engine.io/`; hosts that
    /// redirect to paths without a slash need that, and clients with their `addTrailingSlash: false`.
    pub add_trailing_slash: bool,
    /// Which transports a session may use. Default: both.
    pub transports: Transports,
    /// Whether a session that began on polling may move to a WebSocket. Default true. Unlike in the
    /// reference, false is not only left out of the handshake: an upgrade is refused.
    pub allow_upgrades: bool,
    /// Whether clients of revision 3 (Socket.IO 2.x) are served. Default false.
    pub allow_eio3: bool,
    /// Time between two pings of a client (revision 4). A client of revision 3 is told this time,
    /// because it sends the pings itself. Default 25 s.
    pub ping_interval: Duration,
    /// Time that a client may take to answer a ping. It starts again while bytes move on the
    /// client's connections at a minimum rate. At least 1 ms; default 20 s.
    pub ping_timeout: Duration,
    /// How long an upgrade may take, from the WebSocket's handshake on. Default 10 s.
    pub upgrade_timeout: Duration,
    /// Time that a closing session waits for the peer to take what is queued. It starts again
    /// whenever the peer has taken some of it at a minimum rate. Default 30 s.
    pub close_timeout: Duration,
    /// A message that every session begins with, right after the handshake. Default none.
    pub initial_packet: Option<Encoded>,
    /// A cookie with the session id. Load balancers need it to keep a client on one server. Default
    /// none.
    pub cookie: Option<Cookie>,
    /// Name of this server among several, which the ids of its sessions begin with. Default none: ids are random as
    /// a whole. Nodes of one cluster need names that differ.
    pub node: Option<NodeName>,
    /// Which web pages of other origins may connect over polling. Default none. A browser does not
    /// ask before it opens a WebSocket: use the driver's `allow_request` to refuse those.
    pub cors: Option<Cors>,
    /// Adds header fields to answers. Default none.
    pub headers: Option<HeadersHook>,
    /// Chooses the subprotocol of a WebSocket. Default none: the first that the client offers, as the
    /// reference. A browser ends a WebSocket whose server chooses none of those it offered.
    pub subprotocol: Option<SubprotocolHook>,
    /// Compression of WebSocket messages. Default none, as the reference.
    #[cfg(feature = "deflate")]
    pub per_message_deflate: Option<crate::PerMessageDeflate>,
    /// Compression of responses to polls, and of bodies of POSTs. Default none; the reference compresses responses, and
    /// takes no compressed body.
    #[cfg(feature = "deflate")]
    pub http_compression: Option<crate::HttpCompression>,
    /// Bounds on memory and work.
    pub limits: Limits,
}

options_of!(ServerConfig, as_ref);

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            path: String::from("/engine.io/"),
            add_trailing_slash: true,
            transports: Transports::ALL,
            allow_upgrades: true,
            allow_eio3: false,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            initial_packet: None,
            cookie: None,
            node: None,
            cors: None,
            headers: None,
            subprotocol: None,
            #[cfg(feature = "deflate")]
            per_message_deflate: None,
            #[cfg(feature = "deflate")]
            http_compression: None,
            limits: Limits::default(),
        }
    }
}

/// A set of transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports {
    /// HTTP long-polling.
    pub polling: bool,
    /// WebSocket.
    pub websocket: bool,
}

impl Transports {
    /// Both.
    pub const ALL: Self = Self { polling: true, websocket: true };
    /// HTTP long-polling only.
    pub const POLLING: Self = Self { polling: true, websocket: false };
    /// WebSocket only.
    pub const WEBSOCKET: Self = Self { polling: false, websocket: true };

    /// Whether `transport` is in the set.
    pub const fn contains(self, transport: TransportKind) -> bool {
        match transport {
            TransportKind::Polling => self.polling,
            TransportKind::WebSocket => self.websocket,
        }
    }
}

/// A way of carrying packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// HTTP long-polling.
    Polling,
    /// WebSocket.
    WebSocket,
}

impl TransportKind {
    /// The name in the `transport` query parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The cookie set by the answer to a polling handshake. Its value is the session id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cookie {
    /// Name. Default `io`.
    pub name: String,
    /// `Path` attribute; none if empty. Default `/`.
    pub path: String,
    /// `HttpOnly` attribute: scripts cannot read the session id. Default true.
    pub http_only: bool,
    /// `Secure` attribute: sent over TLS only. Default false.
    pub secure: bool,
    /// `SameSite` attribute: `Lax`, `Strict`, `None`; left out if empty. Default `Lax`.
    pub same_site: String,
    /// `Max-Age` attribute in seconds. Default none: the cookie lives as long as the browser.
    pub max_age: Option<u64>,
}

impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: String::from("io"),
            path: String::from("/"),
            http_only: true,
            secure: false,
            same_site: String::from("Lax"),
            max_age: None,
        }
    }
}

/// Cross-origin resource sharing: what a browser is told about pages of other origins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cors {
    /// Origins whose pages may read the responses.
    pub origin: CorsOrigin,
    /// Whether cookies and other credentials may be sent. Default false. Browsers refuse it
    /// together with [`CorsOrigin::Any`].
    pub credentials: bool,
    /// Methods named to a preflight request. Default `GET,HEAD,PUT,PATCH,POST,DELETE`.
    pub methods: String,
    /// Header fields allowed in requests, separated by commas. Default: those that the preflight
    /// request asks for.
    pub allowed_headers: Option<String>,
    /// Header fields of answers that pages may read, separated by commas. Default none.
    pub exposed_headers: Option<String>,
    /// How many seconds a browser may remember the answer to a preflight request. Default: not
    /// said.
    pub max_age: Option<u64>,
}

impl Cors {
    /// Shares with `origin`, without credentials.
    pub fn new(origin: CorsOrigin) -> Self {
        Self {
            origin,
            credentials: false,
            methods: String::from("GET,HEAD,PUT,PATCH,POST,DELETE"),
            allowed_headers: None,
            exposed_headers: None,
            max_age: None,
        }
    }
}

/// Whose pages [`Cors`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigin {
    /// Pages of every origin: `*`.
    Any,
    /// Pages of exactly this origin, for example `https://example.org`. Every response names it,
    /// whichever origin asks.
    Exact(String),
    /// Pages of any of these origins. A response names the one that asks, if it is in the list.
    List(Vec<String>),
}

/// Called with each request that is answered, to add header fields to the answer.
///
/// The first argument is the request, the second whether the answer is the first of a session.
#[derive(Clone)]
pub struct HeadersHook(pub(crate) Arc<HeadersFn>);

type HeadersFn = dyn Fn(&dyn HttpRequest, bool, &mut HeaderLines) + Send + Sync;

impl HeadersHook {
    /// Wraps a function.
    pub fn new(
        hook: impl Fn(&dyn HttpRequest, bool, &mut HeaderLines) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hook))
    }
}

impl fmt::Debug for HeadersHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadersHook")
    }
}

/// Called with each WebSocket handshake that offers subprotocols, and with the offers. It chooses
/// one of them or none.
#[derive(Clone)]
pub struct SubprotocolHook(pub(crate) Arc<SubprotocolFn>);

type SubprotocolFn = dyn for<'a> Fn(&dyn HttpRequest, &[&'a str]) -> Option<&'a str> + Send + Sync;

impl SubprotocolHook {
    /// Wraps a function. What it returns must be among the offers: anything else counts as none, as a
    /// client would not accept it.
    ///
    /// ```
    /// use enginewire::{ServerConfig, SubprotocolHook};
    ///
    /// let mut config = ServerConfig::default();
    /// config.subprotocol = Some(SubprotocolHook::new(|_, offers| {
    ///     offers.iter().copied().find(|offer| offer.starts_with("v2."))
    /// }));
    /// ```
    pub fn new(
        hook: impl for<'a> Fn(&dyn HttpRequest, &[&'a str]) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hook))
    }
}

impl fmt::Debug for SubprotocolHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubprotocolHook")
    }
}
