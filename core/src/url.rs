//! Where a client connects to.

use alloc::{format, string::String};
use core::{fmt, net::Ipv6Addr};

use crate::query;

/// A server's address: an `http`, `https`, `ws` or `wss` URL.
///
/// `http` and `ws` mean the same here, and so do `https` and `wss`: which transport is used is not
/// the address's to say.
///
/// ```
/// use enginewire::Url;
///
/// let url = Url::parse("ws://[::1]:3000/chat?room=a")?;
/// assert_eq!((url.host(), url.port(), url.is_secure()), ("::1", 3000, false));
/// assert_eq!((url.authority(), url.path(), url.query()), ("[::1]:3000", "/chat", "room=a"));
/// # Ok::<(), enginewire::InvalidUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    path: String,
    query: String,
}

/// Why a text is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// It does not begin with `http://`, `https://`, `ws://` or `wss://`.
    #[error("the URL must begin with http://, https://, ws:// or wss://")]
    Scheme,
    /// It holds a user's name or password, which would end up in logs.
    #[error("the URL must not hold a user name: send an Authorization header")]
    UserInfo,
    /// The host is missing, or not a name in ASCII, an IPv4 address or an IPv6 address in brackets.
    #[error(
        "the URL's host must be a name in ASCII, an IPv4 address or an IPv6 address in brackets"
    )]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the URL's port must be a number from 1 to 65535")]
    Port,
}

impl Url {
    /// Reads an address. What no request line may hold in path and query is escaped; a fragment is
    /// dropped.
    ///
    /// # Errors
    ///
    /// The first fault from the left.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let secure = match &*scheme.to_ascii_lowercase() {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return Err(InvalidUrl::Scheme),
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(InvalidUrl::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let default = if secure { 443 } else { 80 };
        let port = match port {
            None | Some("") => default,
            Some(port) => parse_port(port)?,
        };
        let written = if host.contains(':') { format!("[{host}]") } else { String::from(host) };
        let authority = if port == default { written } else { format!("{written}:{port}") };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            secure,
            host: String::from(host),
            port,
            authority,
            path: query::escape_illegal(path),
            query: query::escape_illegal(query),
        })
    }

    /// Whether the scheme asks for TLS.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; if the URL names none, 443 with TLS and 80 without.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as in the `Host` header field: without a port that is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path, escaped; `/` if the URL has none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, escaped, without the `?`; empty if the URL has none.
    pub fn query(&self) -> &str {
        &self.query
    }
}

impl core::str::FromStr for Url {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        Self::parse(url)
    }
}

/// Without the query, in which applications put tokens.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// The host, without brackets, and what stands behind the colon after it.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), InvalidUrl> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(InvalidUrl::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| InvalidUrl::Host)?;
        return match rest.strip_prefix(':') {
            None if rest.is_empty() => Ok((host, None)),
            None => Err(InvalidUrl::Host),
            port => Ok((host, port)),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    // The letters of names (RFC 1123) and addresses, and the underscore that some names have.
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || !host.bytes().all(is_legal) {
        return Err(InvalidUrl::Host);
    }
    Ok((host, port))
}

fn parse_port(port: &str) -> Result<u16, InvalidUrl> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { port.parse().ok() } else { None };
    number.filter(|&number| number > 0).ok_or(InvalidUrl::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (bool, String, u16, String, String, String) {
        let Url { secure, host, port, authority, path, query } = Url::parse(url).unwrap();
        (secure, host, port, authority, path, query)
    }

    fn expected(
        secure: bool,
        [host, authority, path, query]: [&str; 4],
        port: u16,
    ) -> (bool, String, u16, String, String, String) {
        (secure, host.into(), port, authority.into(), path.into(), query.into())
    }

    #[test]
    fn the_parts_of_an_address() {
        for (url, parts_expected) in [
            ("http://a", expected(false, ["a", "a", "/", ""], 80)),
            ("HTTPS://a.b-c_d:443/", expected(true, ["a.b-c_d", "a.b-c_d", "/", ""], 443)),
            ("wss://a:80?x=1", expected(true, ["a", "a:80", "/", "x=1"], 80)),
            (
                "ws://127.0.0.1:65535/p/q?x#y?z",
                expected(false, ["127.0.0.1", "127.0.0.1:65535", "/p/q", "x"], 65535),
            ),
            (
                "http://[2001:db8::1]:/",
                expected(false, ["2001:db8::1", "[2001:db8::1]", "/", ""], 80),
            ),
            ("http://[::1]:8/", expected(false, ["::1", "[::1]:8", "/", ""], 8)),
            ("http://a/é b?ü=\"", expected(false, ["a", "a", "/%C3%A9%20b", "%C3%BC=%22"], 80)),
        ] {
            assert_eq!(parts(url), parts_expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (url, error) in [
            ("", InvalidUrl::Scheme),
            ("localhost:3000", InvalidUrl::Scheme),
            ("ftp://a", InvalidUrl::Scheme),
            ("http:/a", InvalidUrl::Scheme),
            ("http://u:p@a", InvalidUrl::UserInfo),
            ("http://", InvalidUrl::Host),
            ("http://:80", InvalidUrl::Host),
            ("http://é", InvalidUrl::Host),
            ("http://a b", InvalidUrl::Host),
            ("http://a\r\nX: y", InvalidUrl::Host),
            ("http://[::1", InvalidUrl::Host),
            ("http://[::1]8", InvalidUrl::Host),
            ("http://[127.0.0.1]", InvalidUrl::Host),
            ("http://a:0", InvalidUrl::Port),
            ("http://a:65536", InvalidUrl::Port),
            ("http://a:+8", InvalidUrl::Port),
            ("http://::1/", InvalidUrl::Host),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn debug_shows_no_query() {
        assert_eq!(format!("{:?}", Url::parse("ws://a:3/p?token=x").unwrap()), "http://a:3/p");
    }
}
