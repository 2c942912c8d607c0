//! Redirects of polling (RFC 9110 section 15.4).
//!
//! The redirect of any GET is followed, and that of a POST if it keeps method and body (307 and 308). A browser's
//! `XMLHttpRequest` does the same. Later requests go where the last redirect has led. The redirect of a WebSocket's
//! opening handshake is a failure (WHATWG WebSockets section 4.1).

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{fmt::Write as _, hash::Hasher};

use super::{ClientConfig, ClientSession, cookies::Scope};
use crate::{
    channel::{RedirectFault, TransportFault},
    exchange::HttpResponse,
    fingerprint::Fingerprint,
    query,
    url::Url,
};

/// Where the requests of a session go.
#[derive(Clone)]
pub(super) struct Place {
    url: Arc<Url>,
    /// What all targets begin with: path and query, up to the name of the transport.
    target: String,
    /// A redirect has led to another origin than the application's, for which its credentials are not.
    is_foreign: bool,
    /// Redirects since the last response that was none.
    redirects: u8,
}

impl Place {
    /// The place that the application has chosen: the server at `url`.
    pub(super) fn new(url: &Url, config: &ClientConfig) -> Self {
        let (url, target) = (Arc::new(url.clone()), config.target());
        Self { url, target, is_foreign: false, redirects: 0 }
    }

    pub(super) const fn url(&self) -> &Arc<Url> {
        &self.url
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// What decides on the cookies of a request.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope::of(&self.url, &self.target)
    }

    /// Whether the application's credentials may be sent.
    pub(super) const fn is_own(&self) -> bool {
        !self.is_foreign
    }

    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { url, target, is_foreign, redirects } = self;
        into.push(&(url, target, is_foreign, redirects));
    }

    /// Goes where a redirect leads.
    fn follow(&mut self, config: &ClientConfig, location: &[u8]) -> Result<(), RedirectFault> {
        if self.redirects == MAX_REDIRECTS {
            return Err(RedirectFault::TooMany { max: MAX_REDIRECTS });
        }
        let url = self.resolve(location).ok_or(RedirectFault::Location)?;
        if self.url.is_secure() && !url.is_secure() {
            return Err(RedirectFault::Downgrade);
        }
        self.redirects += 1;
        self.is_foreign |= !is_same_origin(&url, &self.url);
        // What the server has said, and on its own origin what it has left out.
        let mut pairs: Vec<_> = query::pairs(url.query()).collect();
        if self.is_own() {
            let kept = config.query.iter().filter(|(key, _)| {
                let key = key.as_str();
                query::pairs(url.query()).all(|(named, _)| named != key)
            });
            pairs.extend(kept.map(|(key, value)| (key.into(), value.into())));
        }
        self.target = config.target_to(url.path(), &pairs);
        self.url = Arc::new(url);
        Ok(())
    }

    /// The URL that a `Location` field names (RFC 3986 section 5.2); `None` if that is none of `http` or
    /// `https`.
    fn resolve(&self, location: &[u8]) -> Option<Url> {
        let location = escape(location.trim_ascii());
        let location = location.split('#').next().unwrap_or_default();
        let scheme = if self.url.is_secure() { "https" } else { "http" };
        let authority = self.url.authority();
        let absolute = if has_scheme(location) {
            String::from(location)
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else {
            let (here, _) = self.target.split_once('?').unwrap_or((&self.target, ""));
            let (path, query) = location.split_once('?').unwrap_or((location, ""));
            let path = match path {
                "" => String::from(here),
                path if path.starts_with('/') => remove_dots(path),
                path => {
                    let folder = here.rfind('/').map_or("/", |at| &here[..=at]);
                    remove_dots(&format!("{folder}{path}"))
                }
            };
            format!("{scheme}://{authority}{path}?{query}")
        };
        Url::parse(&absolute).ok()
    }
}

impl ClientSession {
    /// The server's address: the application's, or the one to which the server has redirected polling.
    pub fn url(&self) -> &Url {
        self.place.url()
    }

    pub(crate) const fn place(&self) -> &Arc<Url> {
        self.place.url()
    }

    /// Goes where a response leads, if it is a redirect to be followed. False if it is none.
    ///
    /// # Errors
    ///
    /// If it is one and cannot be followed.
    pub(super) fn follow_redirect(
        &mut self,
        head: &dyn HttpResponse,
        is_post: bool,
    ) -> Result<bool, TransportFault> {
        let is_redirect = match head.status() {
            307 | 308 => true,
            // A POST would become a GET, and what it holds would be lost.
            301..=303 => !is_post,
            _ => false,
        };
        let Some(location) = head.header_nth("location", 0).filter(|_| is_redirect) else {
            self.place.redirects = 0;
            return Ok(false);
        };
        self.place.follow(&self.config, location)?;
        Ok(true)
    }
}

/// Whether two URLs have the same scheme, host and port (RFC 6454 section 4).
pub(crate) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.is_secure() == other.is_secure() && one.host() == other.host() && one.port() == other.port()
}

/// Escapes what no URL may hold, and servers put there nevertheless: spaces, and names in any encoding.
fn escape(location: &[u8]) -> String {
    let mut escaped = String::with_capacity(location.len());
    for &byte in location {
        if byte.is_ascii_graphic() {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Whether a reference begins with a scheme (RFC 3986 section 3.1).
fn has_scheme(reference: &str) -> bool {
    let end = reference.find([':', '/', '?']).filter(|&at| reference[at..].starts_with(':'));
    end.is_some_and(|end| {
        reference.starts_with(|first: char| first.is_ascii_alphabetic())
            && reference[..end].bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    })
}

/// Resolves `.` and `..` in an absolute path (RFC 3986 section 5.2.4).
fn remove_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
        if last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// As many as the Fetch standard allows (WHATWG Fetch section 4.4).
const MAX_REDIRECTS: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> (Place, ClientConfig) {
        let url = Url::parse(url).unwrap();
        let config = ClientConfig::new(&url);
        (Place::new(&url, &config), config)
    }

    fn followed(from: &str, location: &str) -> Result<(String, String, bool), RedirectFault> {
        let (mut place, config) = place(from);
        place.follow(&config, location.as_bytes())?;
        let url = &place.url;
        let scheme = if url.is_secure() { "https" } else { "http" };
        Ok((format!("{scheme}://{}", url.authority()), place.target, !place.is_foreign))
    }

    #[test]
    fn location_may_be_absolute_or_relative() {
        for (location, origin, path, is_own) in [
            ("http://a/p/", "http://a", "/p/", true),
            ("HTTP://A:80/p", "http://a", "/p", true),
            ("http://a:81/p", "http://a:81", "/p", false),
            ("https://a/p", "https://a", "/p", false),
            ("http://b", "http://b", "/", false),
            ("http://[::1]:8/p", "http://[::1]:8", "/p", false),
            ("//b/p", "http://b", "/p", false),
            ("/p/q", "http://a", "/p/q", true),
            ("/p/../q/./r", "http://a", "/q/r", true),
            ("/../../p/..", "http://a", "/", true),
            ("/p/.", "http://a", "/p/", true),
            ("q/", "http://a", "/x/q/", true),
            ("./q", "http://a", "/x/q", true),
            ("../q", "http://a", "/q", true),
            ("../../../q", "http://a", "/q", true),
            ("?", "http://a", "/x/y", true),
            ("", "http://a", "/x/y", true),
            ("#f", "http://a", "/x/y", true),
            ("/p#f?g", "http://a", "/p", true),
            ("p:q/r", "", "", false),
            ("./p:q", "http://a", "/x/p:q", true),
            ("/é \u{7f}", "http://a", "/%C3%A9%20%7F", true),
        ] {
            let (_, mut config) = place("http://a/x/y");
            config.add_trailing_slash = false;
            let mut place = Place::new(&config.url, &config);
            let followed = place.follow(&config, location.as_bytes());
            if origin.is_empty() {
                assert_eq!(followed, Err(RedirectFault::Location), "{location}");
                continue;
            }
            assert_eq!(followed, Ok(()), "{location}");
            let scheme = if place.url.is_secure() { "https" } else { "http" };
            assert_eq!(format!("{scheme}://{}", place.url.authority()), origin, "{location}");
            assert_eq!(place.target, format!("{path}?EIO=4&transport="), "{location}");
            assert_eq!(place.is_own(), is_own, "{location}");
        }
    }

    #[test]
    fn parameters_of_the_location_come_before_the_protocol_s_own() {
        let to = |location: &str| followed("http://a/x/?token=1&u=%20", location).unwrap().1;
        assert_eq!(to("/p"), "/p?token=1&u=%20&EIO=4&transport=");
        assert_eq!(to("/p?token=2&n=3"), "/p?token=2&n=3&u=%20&EIO=4&transport=");
        let copied = "/p?token=1&u=%20&EIO=3&transport=x&t=5&sid=other&j=0&b64=1&n=3";
        assert_eq!(to(copied), "/p?token=1&u=%20&n=3&EIO=4&transport=");
        // Another origin gets what the server has copied, and no more.
        assert_eq!(to("http://b/p?n=3"), "/p?n=3&EIO=4&transport=");
        assert_eq!(to("http://b/p?token=1"), "/p?token=1&EIO=4&transport=");
    }

    #[test]
    fn a_location_that_is_no_address_of_a_server_is_refused() {
        for location in
            ["http://", "ftp://a/p", "mailto:a@b", "http://a b/", "http://é/", "http://a:0/", "//"]
        {
            assert_eq!(followed("http://a", location), Err(RedirectFault::Location), "{location}");
        }
    }

    #[test]
    fn https_is_not_left_and_http_is() {
        assert_eq!(followed("https://a", "http://a/"), Err(RedirectFault::Downgrade));
        assert_eq!(followed("https://a", "//b/p").unwrap().0, "https://b");
        assert_eq!(followed("http://a", "https://a/p").unwrap().0, "https://a");
    }

    #[test]
    fn the_application_s_origin_does_not_count_any_more_once_it_was_left() {
        let (mut place, config) = place("http://a");
        assert!(place.is_own());
        place.follow(&config, b"http://b/").unwrap();
        place.follow(&config, b"http://a/").unwrap();
        assert!(!place.is_own());
    }

    #[test]
    fn redirects_come_to_an_end() {
        let (mut place, config) = place("http://a");
        for _ in 0..20 {
            assert_eq!(place.follow(&config, b"/p"), Ok(()));
        }
        assert_eq!(place.follow(&config, b"/p"), Err(RedirectFault::TooMany { max: 20 }));
    }
}
