//! Configuration of a client. The defaults are the reference's.

use alloc::{format, string::String, vec, vec::Vec};
use core::{fmt, time::Duration};

use crate::{
    config::TransportKind,
    deflate::options_of,
    exchange::{HeaderLines, InvalidHeader, is_token},
    limits::Limits,
    packet::Revision,
    proxy::{Proxies, Proxy},
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
    /// The path that the server serves. Default: the URL's, or `/engine.io/` if it has none.
    ///
    /// A missing slash at the front is added; see [`add_trailing_slash`](Self::add_trailing_slash)
    /// for the end.
    pub path: String,
    /// Whether the path of requests ends with a slash. Default true.
    ///
    /// If false, a slash at the end of [`path`](Self::path) is removed, as some hosting services
    /// redirect to the path without it.
    pub add_trailing_slash: bool,
    /// Query parameters of all requests, besides those of the protocol. Default: the URL's.
    ///
    /// Parameters of the protocol are left out here, because the client sends its own: `EIO`,
    /// `transport`, `sid`, `j`, `b64`, and the [timestamp](Self::timestamp_param) unless
    /// [`timestamp_requests`](Self::timestamp_requests) is `Some(false)`.
    pub query: Vec<(String, String)>,
    /// The address of the server, for its credentials and the scope of its cookies.
    pub(super) url: Url,
    pub(super) headers: HeaderLines,
    /// The `User-Agent` field, or none.
    user_agent: HeaderLines,
    /// Value of the `Sec-WebSocket-Protocol` field, if any subprotocol is offered.
    protocols: String,
    /// What the application wants in the `Cookie` field, which the server's cookies go into as well.
    pub(super) cookie: Option<String>,
    /// The transports that may be used. The session opens on the first, or on polling if there is none.
    /// Default polling, then WebSocket.
    pub transports: Vec<TransportKind>,
    /// Whether a session that opened on polling moves to a WebSocket. Default true.
    ///
    /// It does if the server offers it and [`transports`](Self::transports) has it.
    pub upgrade: bool,
    /// Whether a session that does not open on one transport is tried on the next. Default false.
    pub try_all_transports: bool,
    /// Whether a session opens on a WebSocket if one has worked before. Default false.
    ///
    /// That is forgotten once anything has failed since.
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
    /// Whether cookies that the server sets are sent back (RFC 6265bis). Default true.
    ///
    /// Load balancers keep a client on one server by them. `Expires` counts from the `Date` of the
    /// same response; see [`wall_clock`](Self::wall_clock) for responses without one.
    pub cookies: bool,
    /// UNIX time at [`Time::ZERO`](crate::Time::ZERO). Default `None`; the drivers set it.
    ///
    /// Used for the `Expires` of a cookie in a response without `Date`. Without either, a cookie
    /// that expired before 2026 is deleted, and any other lives as long as the session.
    pub wall_clock: Option<Duration>,
    /// How long the session may take to open. Default 20 s.
    ///
    /// From the first connection attempt to the handshake; with
    /// [`try_all_transports`](Self::try_all_transports), on each of them.
    pub open_timeout: Duration,
    /// How long the server may take to respond to a request. Default none.
    ///
    /// The waiting GET is one too, so a value must be longer than the server's ping interval.
    pub request_timeout: Option<Duration>,
    /// How long an upgrade may take. Then the session stays on polling. Default 10 s.
    pub upgrade_timeout: Duration,
    /// How long a closing session waits for the server to take what is queued. Default 30 s.
    pub close_timeout: Duration,
    /// Time for the server's part of a close, once nothing is queued. Default 2 s, a few round trips.
    ///
    /// On polling that is the response to the last POST. Its body has, besides, the time that it needs at 1 KiB a
    /// second, within [`close_timeout`](Self::close_timeout). On a WebSocket it is the closing handshake and the
    /// end of the connection (RFC 6455 section 7.1.1).
    pub linger: Duration,
    /// HTTP proxies through which the server is reached. Default none.
    ///
    /// A header field `Proxy-Authorization` of the application goes to the proxy then, in place of the credentials
    /// in its URL, and not to any server.
    pub proxies: Proxies,
    /// Compression of WebSocket messages. Default none; the reference offers it. A browser negotiates its own.
    #[cfg(feature = "deflate")]
    pub per_message_deflate: Option<alloc::boxed::Box<crate::PerMessageDeflate>>,
    /// Compression of responses to polls, and of bodies of POSTs. Default none: responses are asked for as they are.
    #[cfg(feature = "deflate")]
    pub http_compression: Option<alloc::boxed::Box<crate::HttpCompression>>,
    /// Bounds of memory and work.
    ///
    /// The defaults are those of a server, but for two. `max_payload`, the largest message and response
    /// that the server may send, is 100 MiB, as in the WebSocket library of the reference. `max_packets`
    /// is 1 048 576, as some servers send all they have in one payload. Payloads of the client itself are
    /// as large as the server takes.
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
            add_trailing_slash: true,
            query: query.map(|(key, value)| (key.into_owned(), value.into_owned())).collect(),
            url: url.clone(),
            headers: HeaderLines::new(),
            user_agent: HeaderLines::from_static(USER_AGENT),
            protocols: String::new(),
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
            wall_clock: None,
            open_timeout: Duration::from_secs(20),
            request_timeout: None,
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            proxies: Proxies::default(),
            #[cfg(feature = "deflate")]
            per_message_deflate: None,
            #[cfg(feature = "deflate")]
            http_compression: None,
            limits,
        }
    }

    /// Adds a header field to all requests.
    ///
    /// `Authorization` takes the place of the URL's credentials, and `User-Agent` of the client's.
    /// Cookies are sent in one field with those that the server has set.
    ///
    /// # Errors
    ///
    /// If it is malformed, or one that the client writes itself. Those frame a request or belong to the handshake
    /// of a WebSocket: a second one would be read as another request, or not be understood. Subprotocols are
    /// offered with [`push_protocol`](Self::push_protocol).
    pub fn push_header(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), InvalidHeader> {
        if is_own(name) {
            return Err(InvalidHeader);
        }
        if name.eq_ignore_ascii_case("user-agent") {
            let mut user_agent = HeaderLines::new();
            user_agent.push(name, value)?;
            self.user_agent = user_agent;
            return Ok(());
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

    /// Removes the `User-Agent` field from all requests. Default `enginewire/` and the version.
    ///
    /// [`push_header`](Self::push_header) replaces it.
    pub fn remove_user_agent(&mut self) {
        self.user_agent = HeaderLines::new();
    }

    /// Offers a subprotocol to the server when a WebSocket is opened (RFC 6455 section 1.9).
    ///
    /// Default none. The first one offered is the preferred one. If any is offered, a WebSocket
    /// whose server chooses none is not used, as in browsers and the reference. See
    /// [`ClientSession::subprotocol`](crate::ClientSession::subprotocol).
    ///
    /// # Errors
    ///
    /// If `name` is not a token (RFC 9110 section 5.6.2), or was offered before.
    pub fn push_protocol(&mut self, name: &str) -> Result<(), InvalidSubprotocol> {
        let is_new = self.protocols.split(", ").all(|offered| offered != name);
        if name.is_empty() || !name.bytes().all(is_token) || !is_new {
            return Err(InvalidSubprotocol);
        }
        if !self.protocols.is_empty() {
            self.protocols.push_str(", ");
        }
        self.protocols.push_str(name);
        Ok(())
    }

    /// The header fields that were added, but for `Cookie` and `User-Agent`.
    pub const fn headers(&self) -> &HeaderLines {
        &self.headers
    }

    /// Path and query that all requests begin with, up to the name of the transport.
    pub fn target(&self) -> String {
        let path = query::escape_path(self.path.trim_matches('/'));
        let slash = if path.is_empty() { "" } else { "/" };
        let end = if path.is_empty() || self.add_trailing_slash { "/" } else { "" };
        self.target_to(&format!("{slash}{path}{end}"), &self.query)
    }

    /// The same with this path, which is escaped, and these parameters beside those of the protocol.
    pub(super) fn target_to<T: AsRef<str>>(&self, path: &str, parameters: &[(T, T)]) -> String {
        let mut query = String::new();
        for (key, value) in parameters {
            if !self.is_reserved(key.as_ref()) {
                query::push_pair(&mut query, key.as_ref(), value.as_ref());
            }
        }
        query::push_pair(&mut query, "EIO", if self.revision == Revision::V4 { "4" } else { "3" });
        format!("{path}?{query}&transport=")
    }

    /// Whether the client itself sends the query parameter, or none of that name must be sent.
    ///
    /// A server that reads `j` answers in the form of JSONP.
    fn is_reserved(&self, key: &str) -> bool {
        matches!(key, "EIO" | "transport" | "sid" | "j" | "b64")
            || (key == self.timestamp_param && self.timestamp_requests != Some(false))
    }

    /// The header fields of a request, but for `Cookie` and those that frame it.
    ///
    /// `own` says that it goes to the origin of the application's choice: no other gets credentials
    /// (WHATWG Fetch section 4.4).
    pub(super) fn request_headers(&self, transport: TransportKind, own: bool) -> HeaderLines {
        let mut headers = HeaderLines::from_static("Accept: */*\r\n");
        headers.extend(&self.user_agent);
        if let Some(credentials) = self.url.credentials()
            && own
            && self.headers.values("authorization").next().is_none()
        {
            // Base64 may stand in a field.
            let _ = headers.push("Authorization", credentials);
        }
        if transport == TransportKind::WebSocket && !self.protocols.is_empty() {
            // So may tokens.
            let _ = headers.push("Sec-WebSocket-Protocol", &self.protocols);
        }
        if own {
            headers.extend(&self.headers);
        } else {
            headers.extend(&self.headers.without(&["authorization", PROXY_AUTHORIZATION]));
        }
        headers
    }

    /// The header fields that are for a proxy alone: the client's name and credentials.
    pub(crate) fn proxy_headers(&self, proxy: &Proxy) -> HeaderLines {
        let mut headers = self.user_agent.clone();
        headers.extend(&self.proxy_authorization(proxy));
        headers
    }

    /// The credentials for a proxy.
    pub(crate) fn proxy_authorization(&self, proxy: &Proxy) -> HeaderLines {
        let mut headers = HeaderLines::new();
        let own = self.headers.values(PROXY_AUTHORIZATION).next();
        if let Some(value) = own.or_else(|| proxy.url().credentials().map(str::as_bytes)) {
            // It was a field before, or is base64.
            let _ = headers.push("Proxy-Authorization", value);
        }
        headers
    }

    /// Whether requests of `transport` carry a timestamp.
    pub(super) fn is_stamped(&self, transport: TransportKind) -> bool {
        self.timestamp_requests.unwrap_or(transport == TransportKind::Polling)
    }
}

options_of!(ClientConfig, as_deref);

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

/// The field that is for a proxy, and for no server behind one.
pub(crate) const PROXY_AUTHORIZATION: &str = "proxy-authorization";

/// See [`ClientConfig::limits`]. Memory follows what has come, never what was announced.
const MAX_PAYLOAD: usize = 100 << 20;

/// See [`ClientConfig::limits`]. Each costs us fifty times what it costs the server.
const MAX_PACKETS: usize = 1 << 20;

/// Name and version, as RFC 9110 section 10.1.5 has them.
const USER_AGENT: &str = concat!("User-Agent: enginewire/", env!("CARGO_PKG_VERSION"), "\r\n");

/// Error of a subprotocol that is not a token, or was offered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subprotocol must be a token, and be offered once")]
pub struct InvalidSubprotocol;

/// Header fields that the client writes itself.
fn is_own(name: &str) -> bool {
    const OWN: [&str; 10] = [
        "host",
        "connection",
        "upgrade",
        "content-type",
        "content-encoding",
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
    fn defaults_are_those_that_are_documented() {
        let config = ClientConfig::new(&Url::parse("http://a").unwrap());
        assert_eq!(config.path, "/engine.io/");
        assert_eq!(config.transports, [TransportKind::Polling, TransportKind::WebSocket]);
        assert!(config.add_trailing_slash && config.upgrade && config.cookies);
        assert!(!config.try_all_transports && !config.remember_upgrade && !config.force_base64);
        assert_eq!((config.revision, &*config.timestamp_param), (Revision::V4, "t"));
        assert_eq!((config.timestamp_requests, config.wall_clock), (None, None));
        let times = [config.open_timeout, config.upgrade_timeout, config.close_timeout];
        assert_eq!(times.map(|time| time.as_secs()), [20, 10, 30]);
        assert_eq!((config.request_timeout, config.linger.as_secs()), (None, 2));
        let Limits { max_payload, max_packets, .. } = config.limits;
        assert_eq!((max_payload, max_packets), (104_857_600, 1_048_576));
        let mut limits = config.limits;
        (limits.max_payload, limits.max_packets) = (1_000_000, 65_536);
        assert_eq!(limits, Limits::default(), "the others are those of a server");
    }

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

    fn fields(config: &ClientConfig, transport: TransportKind) -> String {
        String::from_utf8(config.request_headers(transport, true).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn user_agent_is_sent_unless_replaced_or_removed() {
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        let version = env!("CARGO_PKG_VERSION");
        let default = format!("Accept: */*\r\nUser-Agent: enginewire/{version}\r\n");
        for transport in [TransportKind::Polling, TransportKind::WebSocket] {
            assert_eq!(fields(&config, transport), default);
        }
        config.push_header("user-agent", "mine/1 (x)").unwrap();
        assert_eq!(config.push_header("User-Agent", "a\r\nb: c"), Err(InvalidHeader));
        let replaced = "Accept: */*\r\nuser-agent: mine/1 (x)\r\n";
        assert_eq!(fields(&config, TransportKind::Polling), replaced);
        config.remove_user_agent();
        assert_eq!(fields(&config, TransportKind::Polling), "Accept: */*\r\n");
    }

    #[test]
    fn credentials_of_the_url_are_sent_unless_the_application_has_its_own() {
        let url = Url::parse("http://Aladdin:open%20sesame@a").unwrap();
        let mut config = ClientConfig::new(&url);
        config.remove_user_agent();
        for transport in [TransportKind::Polling, TransportKind::WebSocket] {
            let sent = "Accept: */*\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
            assert_eq!(fields(&config, transport), sent);
        }
        assert!(
            !format!("{config:?}").contains("QWxh") && !format!("{config:?}").contains("sesame")
        );
        config.push_header("authorization", "Bearer x").unwrap();
        let sent = "Accept: */*\r\nauthorization: Bearer x\r\n";
        assert_eq!(fields(&config, TransportKind::Polling), sent);
    }

    #[test]
    fn subprotocols_are_offered_in_order_and_on_websockets_only() {
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        config.remove_user_agent();
        for name in ["chat", "v2.chat", "Chat"] {
            config.push_protocol(name).unwrap();
        }
        for name in ["", "a b", "a,b", "é", "a\r\n", "\"a\"", "chat"] {
            assert_eq!(config.push_protocol(name), Err(InvalidSubprotocol), "{name:?}");
        }
        assert_eq!(fields(&config, TransportKind::Polling), "Accept: */*\r\n");
        let sent = "Accept: */*\r\nSec-WebSocket-Protocol: chat, v2.chat, Chat\r\n";
        assert_eq!(fields(&config, TransportKind::WebSocket), sent);
    }

    #[test]
    fn parameters_of_the_protocol_are_sent_once_and_are_the_client_s() {
        let target = |url: &str, change: fn(&mut ClientConfig)| {
            let mut config = ClientConfig::new(&Url::parse(url).unwrap());
            change(&mut config);
            config.target()
        };
        for (query, sent) in [
            ("EIO=3", ""),
            ("transport=websocket", ""),
            ("sid=x&a=1", "a=1&"),
            ("a=1&t=5&b=2", "a=1&b=2&"),
            ("j=0", ""),
            ("b64=1", ""),
            ("%45IO=3&transpor%74=x", ""),
            ("EIO=3&EIO=4&EIO", ""),
            // Keys have a case, and others may come twice.
            ("eio=3&T=1&sids=2", "eio=3&T=1&sids=2&"),
            ("a=1&a=2", "a=1&a=2&"),
        ] {
            let url = format!("http://a/?{query}");
            let expected = format!("/engine.io/?{sent}EIO=4&transport=");
            assert_eq!(target(&url, |_| {}), expected, "{query}");
        }
        let by_option = |config: &mut ClientConfig| {
            config.query.push(("transport".into(), "x".into()));
            config.query.push(("a".into(), "1".into()));
        };
        assert_eq!(target("http://a", by_option), "/engine.io/?a=1&EIO=4&transport=");
        // Where the client sends no timestamp of that name, it is the application's.
        let never = |config: &mut ClientConfig| config.timestamp_requests = Some(false);
        assert_eq!(target("http://a?t=5", never), "/engine.io/?t=5&EIO=4&transport=");
        let renamed = |config: &mut ClientConfig| config.timestamp_param = "ts".into();
        assert_eq!(target("http://a?t=5&ts=6", renamed), "/engine.io/?t=5&EIO=4&transport=");
    }

    #[test]
    fn path_ends_with_a_slash_unless_told_otherwise() {
        for (url, with, without) in [
            ("http://a", "/engine.io/", "/engine.io"),
            ("http://a/", "/engine.io/", "/engine.io"),
            ("http://a/p", "/p/", "/p"),
            ("http://a/p/q/", "/p/q/", "/p/q"),
            ("http://a//", "/", "/"),
        ] {
            let mut config = ClientConfig::new(&Url::parse(url).unwrap());
            assert_eq!(config.target(), format!("{with}?EIO=4&transport="), "{url}");
            config.add_trailing_slash = false;
            assert_eq!(config.target(), format!("{without}?EIO=4&transport="), "{url}");
        }
    }

    #[test]
    fn a_path_cannot_begin_a_query_or_a_fragment() {
        let mut config = ClientConfig::new(&Url::parse("http://a/b%20c").unwrap());
        assert_eq!(config.target(), "/b%20c/?EIO=4&transport=");
        config.path = String::from("a?b#c d");
        assert_eq!(config.target(), "/a%3Fb%23c%20d/?EIO=4&transport=");
    }
}
