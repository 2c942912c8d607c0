//! The head of a request, as another HTTP server has parsed it.

use enginewire::{
    HttpRequest,
    carrier::Head,
    wire::http::{Config, Fault, RequestHead},
};
use http::{HeaderName, Method, Version, header, request::Parts};

/// The head of a request of a `tower` service.
pub(super) struct TowerHead<'a> {
    pub(super) parts: &'a Parts,
    pub(super) config: &'a Config,
    /// The HTTP server hands over the connection of this request after an upgrade.
    pub(super) upgradable: bool,
}

impl TowerHead<'_> {
    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.parts.headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes)
    }
}

impl HttpRequest for TowerHead<'_> {
    fn method(&self) -> &str {
        // The method of the same request on HTTP/1.1.
        if self.is_extended_connect() { "GET" } else { self.parts.method.as_str() }
    }

    fn path(&self) -> &str {
        self.parts.uri.path()
    }

    fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        self.values(name).nth(nth)
    }

    /// In one pass: a head can have thousands of fields of one name.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    fn is_upgrade(&self) -> bool {
        self.upgradable
            && (self.is_extended_connect()
                || (self.has_token("upgrade", "websocket")
                    && self.has_token("connection", "upgrade")))
    }
}

impl Head for TowerHead<'_> {
    /// Writes the head as on HTTP/1.1, and parses it: the limits and faults are those of the own HTTP server.
    fn into_request_head(self) -> Result<RequestHead, Fault> {
        let Self { parts, config, .. } = &self;
        let max = config.max_head.min(RequestHead::MAX_LEN);
        let mut head = Vec::with_capacity(FIRST_CAPACITY);
        let query = parts.uri.query();
        let version = if parts.version < Version::HTTP_11 { "HTTP/1.0" } else { "HTTP/1.1" };
        for part in [self.method(), " ", self.path()] {
            head.extend_from_slice(part.as_bytes());
        }
        if let Some(query) = query {
            head.push(b'?');
            head.extend_from_slice(query.as_bytes());
        }
        for part in [" ", version, "\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        let authority = parts.uri.authority().filter(|_| !parts.headers.contains_key(header::HOST));
        if let Some(authority) = authority {
            put(&mut head, &header::HOST, authority.as_str().as_bytes());
        }
        for (name, value) in &parts.headers {
            if head.len() > max {
                break;
            }
            if name != header::COOKIE || parts.version < Version::HTTP_2 {
                put(&mut head, name, value.as_bytes());
            }
        }
        if parts.version >= Version::HTTP_2 {
            self.put_cookies(&mut head);
        }
        head.extend_from_slice(b"\r\n");
        if head.len() > max {
            return Err(Fault::HeadTooLarge { max });
        }
        RequestHead::parse(&head, config.max_headers)
    }

    /// A plain CONNECT has no path (RFC 9113 section 8.5). The `:protocol` is not among the parts; that it is
    /// `websocket` follows from the version that such a request names.
    fn is_extended_connect(&self) -> bool {
        let Parts { method, version, uri, headers, .. } = self.parts;
        *method == Method::CONNECT
            && *version == Version::HTTP_2
            && uri.path_and_query().is_some()
            && headers.contains_key(header::SEC_WEBSOCKET_VERSION)
    }
}

impl TowerHead<'_> {
    /// Puts the cookies into one field: HTTP/2 has them in several (RFC 9113 section 8.2.3).
    fn put_cookies(&self, head: &mut Vec<u8>) {
        let crumbs: Vec<_> = self.values("cookie").collect();
        if !crumbs.is_empty() {
            put(head, &header::COOKIE, &crumbs.join(&b"; "[..]));
        }
    }
}

fn put(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

/// Storage for a head in the beginning, in bytes: those of browsers fit.
const FIRST_CAPACITY: usize = 1024;
