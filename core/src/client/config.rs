//! What a client may be told; the defaults are the reference's.

use alloc::{format, string::String, vec, vec::Vec};
use core::{fmt, time::Duration};

use crate::{
    config::TransportKind, exchange::HeaderLines, limits::Limits, packet::Revision, query, url::Url,
};

/// How a client behaves, shared by all the sessions that it opens.
///
/// ```
/// # use enginewire::{ClientConfig, TransportKind, Url};
/// let mut config = ClientConfig::new(&Url::parse("http://localhost:3000")?);
/// config.transports = vec![TransportKind::WebSocket];
/// config.query.push(("token".into(), "abc".into()));
/// # Ok::<(), enginewire::InvalidUrl>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The path that the server serves. Default: the URL's, or `/engine.io/` if it has none; a
    /// missing slash at either end is added.
    pub path: String,
    /// Query parameters of all requests, besides those of the protocol. Default: the URL's.
    pub query: Vec<(String, String)>,
    /// Header fields of all requests. Default none.
    pub headers: HeaderLines,
    /// The transports that may be used. The session opens on the first. Default polling, then
    /// WebSocket.
    pub transports: Vec<TransportKind>,
    /// Whether a session that opened on polling moves to a WebSocket, if the server offers it and
    /// [`transports`](Self::transports) has it. Default true.
    pub upgrade: bool,
    /// Whether a session that does not open on one transport is tried on the next. Default false.
    pub try_all_transports: bool,
    /// Whether a session opens on a WebSocket right away if one has worked before and nothing has
    /// failed since. Default false.
    pub remember_upgrade: bool,
    /// The revision of the protocol to speak. Default 4.
    pub revision: Revision,
    /// Whether binary messages travel as base64, in both directions. Default false.
    pub force_base64: bool,
    /// Whether a query parameter that is never the same twice keeps caches from answering. Default
    /// `None`: on polling, where caches are in the way, and not on WebSockets.
    pub timestamp_requests: Option<bool>,
    /// Name of that parameter. Default `t`.
    pub timestamp_param: String,
    /// Whether cookies that the server sets are sent back, for load balancers that keep a client on
    /// one server. Default true. Only `Max-Age` ends the life of one before the session's.
    pub cookies: bool,
    /// How long the session may take to open, from the first connection attempt to the handshake.
    /// With [`try_all_transports`](Self::try_all_transports), on each of them. Default 20 s.
    pub open_timeout: Duration,
    /// How long the server may take to answer a request, the waiting GET included, which must
    /// therefore be longer than its ping interval. Default none.
    pub request_timeout: Option<Duration>,
    /// How long an upgrade may take. Then the session stays on polling. Default 10 s.
    pub upgrade_timeout: Duration,
    /// How long a closing session waits for the server to take what is queued. Default 30 s.
    pub close_timeout: Duration,
    /// What bounds memory and work. The defaults are those of a server but for `max_payload`, the
    /// largest message and answer that the server may send: 100 MiB, as the WebSocket library
    /// of the reference. What the client itself sends is cut to what the server can take.
    pub limits: Limits,
}

impl ClientConfig {
    /// For sessions with the server at `url`, whose path and query become the configuration's.
    pub fn new(url: &Url) -> Self {
        let path = if url.path() == "/" { "/engine.io/" } else { url.path() };
        let query = query::pairs(url.query());
        let mut limits = Limits::default();
        limits.max_payload = MAX_PAYLOAD;
        Self {
            path: String::from(path),
            query: query.map(|(key, value)| (key.into_owned(), value.into_owned())).collect(),
            headers: HeaderLines::new(),
            transports: vec![TransportKind::Polling, TransportKind::WebSocket],
            upgrade: true,
            try_all_transports: false,
            remember_upgrade: false,
            revision: Revision::V4,
            force_base64: false,
            timestamp_requests: None,
            timestamp_param: String::from("t"),
            cookies: true,
            open_timeout: Duration::from_secs(20),
            request_timeout: None,
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            limits,
        }
    }

    /// What the targets of all requests begin with: path and query, up to the name of the transport.
    pub fn target(&self) -> String {
        let path = query::escape_illegal(self.path.trim_matches('/'));
        let mut query = String::new();
        for (key, value) in &self.query {
            query::push_pair(&mut query, key, value);
        }
        query::push_pair(&mut query, "EIO", if self.revision == Revision::V4 { "4" } else { "3" });
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{slash}{path}/?{query}&transport=")
    }

    /// Whether requests of `transport` carry a timestamp.
    pub(super) fn is_stamped(&self, transport: TransportKind) -> bool {
        self.timestamp_requests.unwrap_or(transport == TransportKind::Polling)
    }
}

/// Without query and header values, in which applications put tokens.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("path", &self.path)
            .field("headers", &self.headers)
            .field("transports", &self.transports)
            .field("upgrade", &self.upgrade)
            .field("try_all_transports", &self.try_all_transports)
            .field("revision", &self.revision)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// See [`ClientConfig::limits`]. Memory follows what has come, never what was announced.
const MAX_PAYLOAD: usize = 100 << 20;
