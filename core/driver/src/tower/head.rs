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
        let headers = &self.parts.headers;
        let values = match standard(name) {
            Some(name) => headers.get_all(name),
            None => headers.get_all(name),
        };
        values.into_iter().map(http::HeaderValue::as_bytes)
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

    fn for_each_value<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        self.values(name).for_each(visit);
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

/// The name of a field that the core asks each request for, which need not be parsed then.
const fn standard(name: &str) -> Option<HeaderName> {
    Some(match name.as_bytes() {
        b"accept-encoding" => header::ACCEPT_ENCODING,
        b"connection" => header::CONNECTION,
        b"content-encoding" => header::CONTENT_ENCODING,
        b"content-type" => header::CONTENT_TYPE,
        b"origin" => header::ORIGIN,
        b"upgrade" => header::UPGRADE,
        b"user-agent" => header::USER_AGENT,
        _ => return None,
    })
}

fn put(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

/// Storage for a head in the beginning, in bytes: those of browsers fit.
const FIRST_CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(request: http::request::Builder) -> Parts {
        request.body(()).unwrap().into_parts().0
    }

    fn head(parts: &Parts) -> TowerHead<'_> {
        static CONFIG: std::sync::LazyLock<Config> = std::sync::LazyLock::new(Config::default);
        TowerHead { parts, config: &CONFIG, upgradable: true }
    }

    fn websocket(version: Version) -> http::request::Builder {
        Request::connect("http://a/engine.io/?EIO=4").version(version)
    }

    #[test]
    fn head_is_kept_as_it_came_on_http_1_1() {
        let parts = parts(
            Request::post("/engine.io/?a=b")
                .header("Host", "a")
                .header("X-A", "1")
                .header("x-a", "2"),
        );
        let kept = head(&parts).into_request_head().unwrap();
        assert_eq!((kept.method(), kept.target()), ("POST", "/engine.io/?a=b"));
        let fields: Vec<_> = kept.headers().collect();
        assert_eq!(fields, [("host", &b"a"[..]), ("x-a", b"1"), ("x-a", b"2")]);
        assert_eq!(head(&parts).header_nth("X-A", 1), Some(&b"2"[..]));
    }

    #[test]
    fn fields_are_found_by_standard_names_and_by_others_in_any_case() {
        for name in [
            "accept-encoding",
            "connection",
            "content-encoding",
            "content-type",
            "origin",
            "upgrade",
            "user-agent",
            "x-other",
        ] {
            if let Some(standard) = standard(name) {
                assert_eq!(standard.as_str(), name);
            }
            let request = Request::get("/").header(name, "1").header("x-last", "3");
            let parts = parts(request.header(name, "2"));
            let head = head(&parts);
            for name in [name, &name.to_uppercase()] {
                let values = [0, 1, 2].map(|nth| head.header_nth(name, nth));
                assert_eq!(values, [Some(&b"1"[..]), Some(b"2"), None], "{name}");
            }
        }
    }

    #[test]
    fn head_without_a_host_is_refused_unless_it_has_an_authority() {
        let bare = parts(Request::get("/"));
        assert_eq!(head(&bare).into_request_head().unwrap_err(), Fault::MissingHost);
        let old = parts(Request::get("/").version(Version::HTTP_10));
        assert!(head(&old).into_request_head().unwrap().is_http_1_0());
        let http2 = parts(Request::get("http://example.org:8080/").version(Version::HTTP_2));
        let kept = head(&http2).into_request_head().unwrap();
        assert_eq!(kept.header("host"), Some(&b"example.org:8080"[..]));
    }

    #[test]
    fn cookies_are_joined_on_http_2_alone() {
        for (version, cookies) in
            [(Version::HTTP_2, vec!["a; b"]), (Version::HTTP_11, vec!["a", "b"])]
        {
            let request = Request::get("http://a/").header("cookie", "a").header("cookie", "b");
            let parts = parts(request.version(version));
            let kept = head(&parts).into_request_head().unwrap();
            assert!(
                kept.header_values("cookie").eq(cookies.iter().map(|cookie| cookie.as_bytes()))
            );
        }
    }

    #[test]
    fn head_of_the_limit_is_taken_and_a_longer_one_refused() {
        let max = Config::default().max_head;
        let around = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
        for (length, fits) in [(max - around, true), (max - around + 1, false), (4 * max, false)] {
            let parts =
                parts(Request::get("/").header("host", "a").header("x", "a".repeat(length)));
            let result = head(&parts).into_request_head();
            match fits {
                true => assert!(result.is_ok()),
                false => assert_eq!(result.unwrap_err(), Fault::HeadTooLarge { max }),
            }
        }
    }

    #[test]
    fn extended_connect_is_one_of_http_2_with_a_path_and_the_version_of_websockets() {
        const VERSION: &str = "sec-websocket-version";

        let extended = parts(websocket(Version::HTTP_2).header(VERSION, "13"));
        let mut extended = head(&extended);
        assert!(extended.is_extended_connect() && extended.is_upgrade());
        assert_eq!((extended.method(), extended.query()), ("GET", "EIO=4"));
        extended.upgradable = false;
        assert!(!extended.is_upgrade());
        for request in [
            websocket(Version::HTTP_11).header(VERSION, "13"),
            websocket(Version::HTTP_2),
            Request::connect("a:80").version(Version::HTTP_2).header(VERSION, "13"),
            Request::get("http://a/").version(Version::HTTP_2).header(VERSION, "13"),
        ] {
            let parts = parts(request);
            assert!(!head(&parts).is_extended_connect(), "{parts:?}");
        }
    }

    #[test]
    fn upgrade_needs_both_fields_and_a_connection_to_hand_over() {
        let request = Request::get("/").header("upgrade", "WebSocket");
        let parts = parts(request.header("connection", "keep-alive, Upgrade"));
        assert!(head(&parts).is_upgrade());
        assert!(!TowerHead { upgradable: false, ..head(&parts) }.is_upgrade());
        let mut other = parts.clone();
        other.headers.remove("connection");
        assert!(!head(&other).is_upgrade());
    }
}
