//! What a client may be told; the defaults are the reference's.

use alloc::{format, string::String, vec, vec::Vec};
use core::{fmt, time::Duration};

use crate::{
    config::TransportKind,
    exchange::{HeaderLines, InvalidHeader},
    limits::Limits,
    packet::Revision,
    query,
    url::Url,
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
    pub(super) headers: HeaderLines,
    /// What the application wants in the `Cookie` field, which the server's cookies go into as well.
    pub(super) cookie: Option<String>,
    /// The transports that may be used. The session opens on the first, or on polling if there is none.
    /// Default polling, then WebSocket.
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
    /// one server. Default true. Of their attributes only `Max-Age` counts: there is no clock here that
    /// knows the date.
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
    /// Time for the server's part of a close, once nothing is queued. Default 2 s, a few round trips.
    ///
    /// On polling that is the response to the last POST, whose body has besides the time that it needs
    /// at 1 KiB a second, within [`close_timeout`](Self::close_timeout). On a WebSocket it is the
    /// closing handshake and the end of the connection (RFC 6455 section 7.1.1).
    pub linger: Duration,
    /// What bounds memory and work. The defaults are those of a server but for `max_payload`, the
    /// largest message and answer that the server may send: 100 MiB, as the WebSocket library
    /// of the reference; and `max_packets`, which is 1 048 576, as some servers send all they have in one
    /// payload. What the client itself sends is cut to what the server can take.
    pub limits: Limits,
}

impl ClientConfig {
    /// For sessions with the server at `url`, whose path and query become the configuration's.
    pub fn new(url: &Url) -> Self {
        let path = if url.path() == "/" { "/engine.io/" } else { url.path() };
        let query = query::pairs(url.query());
        let mut limits = Limits::default();
        limits.max_payload = MAX_PAYLOAD;
        limits.max_packets = MAX_PACKETS;
        Self {
            path: String::from(path),
            query: query.map(|(key, value)| (key.into_owned(), value.into_owned())).collect(),
            headers: HeaderLines::new(),
            cookie: None,
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
            linger: Duration::from_secs(2),
            limits,
        }
    }

    /// Adds a header field to all requests.
    ///
    /// # Errors
    ///
    /// If it is malformed, or one of those that the client writes itself because they frame a request
    /// or belong to the handshake of a WebSocket: a second one would be read as another request, or
    /// not be understood.
    pub fn push_header(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), InvalidHeader> {
        if is_own(name) {
            return Err(InvalidHeader);
        }
        if !name.eq_ignore_ascii_case("cookie") {
            return self.headers.push(name, value);
        }
        let value = value.as_ref();
        let text = core::str::from_utf8(value).map_err(|_| InvalidHeader)?;
        HeaderLines::new().push(name, value)?;
        self.cookie = Some(match self.cookie.take() {
            Some(cookie) => format!("{cookie}; {text}"),
            None => String::from(text),
        });
        Ok(())
    }

    /// The header fields that were added, but for `Cookie`.
    pub const fn headers(&self) -> &HeaderLines {
        &self.headers
    }

    /// What the targets of all requests begin with: path and query, up to the name of the transport.
    pub fn target(&self) -> String {
        let path = query::escape_path(self.path.trim_matches('/'));
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

/// See [`ClientConfig::limits`]. Each costs us fifty times what it costs the server.
const MAX_PACKETS: usize = 1 << 20;

/// Header fields that the client writes itself.
fn is_own(name: &str) -> bool {
    const OWN: [&str; 9] = [
        "host",
        "connection",
        "upgrade",
        "content-type",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "expect",
        "te",
    ];
    let name = name.to_ascii_lowercase();
    OWN.contains(&&*name) || name.starts_with("sec-websocket-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_s_own_fields_are_not_the_application_s() {
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        for name in ["Host", "Sec-WebSocket-Key", "CONTENT-LENGTH", "Connection", "a b", ""] {
            assert_eq!(config.push_header(name, "x"), Err(InvalidHeader), "{name}");
        }
        assert_eq!(config.push_header("X-A", "1\r\nX-B: 2"), Err(InvalidHeader));
        assert_eq!(config.push_header("Cookie", "a=1\r\nX-B: 2"), Err(InvalidHeader));
        config.push_header("Authorization", "Bearer x").unwrap();
        config.push_header("Cookie", "a=1").unwrap();
        config.push_header("cookie", "b=2").unwrap();
        assert_eq!(config.headers().as_bytes(), b"Authorization: Bearer x\r\n");
        assert_eq!(config.cookie.as_deref(), Some("a=1; b=2"));
    }

    #[test]
    fn a_path_cannot_begin_a_query_or_a_fragment() {
        let mut config = ClientConfig::new(&Url::parse("http://a/b%20c").unwrap());
        assert_eq!(config.target(), "/b%20c/?EIO=4&transport=");
        config.path = String::from("a?b#c d");
        assert_eq!(config.target(), "/a%3Fb%23c%20d/?EIO=4&transport=");
    }
}
