//! Where a client connects to.

use alloc::{format, string::String};
use core::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use base64::{Engine, engine::general_purpose::STANDARD};

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
    credentials: Option<String>,
    host: String,
    port: u16,
    authority: String,
    path: String,
    query: String,
}

/// Reason for which a text is no address of a server.
///
/// No variant holds a part of the text but one character, because it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// White space or a control character stands in the URL; escape it or remove it.
    #[error(
        "the URL must not hold {character:?} (at byte {at}): escape it, as in %20, or remove it"
    )]
    Character {
        /// The character.
        character: char,
        /// Bytes of the URL before it.
        at: usize,
    },
    /// The URL has no scheme, as in `localhost:3000`.
    #[error("the URL has no scheme: put http:// or https:// in front of it")]
    NoScheme,
    /// The URL does not begin with `http://`, `https://`, `ws://` or `wss://`.
    #[error("the URL must begin with http://, https://, ws:// or wss://")]
    Scheme,
    /// The user information cannot be sent as Basic credentials (RFC 7617 section 2).
    ///
    /// The name holds a colon, or one of the two a control character.
    #[error(
        "the URL's user name must not hold a colon, nor its user name or password a control character"
    )]
    UserInfo,
    /// The host is missing.
    #[error("the URL has no host")]
    NoHost,
    /// The host holds characters that are not ASCII.
    #[error("the URL's host is not ASCII: write it in its encoded form, which begins with xn--")]
    NonAsciiHost,
    /// The host is an IPv6 address with a zone, which means nothing to the server.
    #[error("the URL's host must be an IPv6 address without a zone (%...)")]
    ZoneId,
    /// The host is not a name, an IPv4 address or an IPv6 address in brackets.
    #[error("the URL's host must be a name, an IPv4 address or an IPv6 address in brackets")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the URL's port must be a number from 1 to 65535")]
    Port,
}

impl Url {
    /// Reads an address.
    ///
    /// Scheme and host become lower case, user information becomes
    /// [`credentials`](Self::credentials), and a fragment is dropped. Characters that may not stand
    /// in a request line are escaped in path and query.
    ///
    /// # Errors
    ///
    /// [`InvalidUrl::Character`], else the first fault in the order of the URL's parts.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let is_illegal =
            |&(_, character): &(usize, char)| character.is_whitespace() || character.is_control();
        if let Some((at, character)) = url.char_indices().find(is_illegal) {
            return Err(InvalidUrl::Character { character, at });
        }
        let (secure, rest) = split_scheme(url)?;
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        // As browsers, for which a password may hold an `@` of its own.
        let (user_info, authority) = match authority.rsplit_once('@') {
            Some((user_info, authority)) => (Some(user_info), authority),
            None => (None, authority),
        };
        let credentials = user_info.map(credentials).transpose()?.flatten();
        let (host, port) = split_port(authority)?;
        let default = if secure { 443 } else { 80 };
        let port = match port {
            None | Some("") => default,
            Some(port) => parse_port(port)?,
        };
        let host = host.to_ascii_lowercase();
        let written = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let authority = if port == default { written } else { format!("{written}:{port}") };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            secure,
            credentials,
            host,
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

    /// Value of the `Authorization` field that the user information stands for (RFC 7617): a secret.
    ///
    /// `None` if the URL holds neither a user name nor a password.
    pub fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    /// The host in lower case, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; if the URL names none, 443 with TLS and 80 without.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port as in the `Host` header field. The port is left out if it is the
    /// scheme's own.
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

/// Without user information and query, which hold passwords and tokens.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// Whether the scheme asks for TLS, and the text behind it.
fn split_scheme(url: &str) -> Result<(bool, &str), InvalidUrl> {
    let is_scheme = |text: &str| {
        // RFC 3986 section 3.1. A name with a dot, as in `example.com://`, is more likely a host.
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'))
    };
    let secure = |scheme: &str| match &*scheme.to_ascii_lowercase() {
        "http" | "ws" => Some(false),
        "https" | "wss" => Some(true),
        _ => None,
    };
    let (scheme, rest) = url.split_once(':').ok_or(InvalidUrl::NoScheme)?;
    match (secure(scheme), rest.strip_prefix("//")) {
        (Some(secure), Some(rest)) => Ok((secure, rest)),
        (None, Some(_)) if is_scheme(scheme) => Err(InvalidUrl::Scheme),
        (Some(_), None) => Err(InvalidUrl::Scheme),
        (None, _) => Err(InvalidUrl::NoScheme),
    }
}

/// The value of `Authorization` for `name:password`, each percent-encoded; `None` if both are empty.
fn credentials(user_info: &str) -> Result<Option<String>, InvalidUrl> {
    let (name, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    if name.is_empty() && password.is_empty() {
        return Ok(None);
    }
    let mut pair = query::percent_decode(name);
    if pair.contains(&b':') {
        return Err(InvalidUrl::UserInfo);
    }
    pair.push(b':');
    pair.extend(query::percent_decode(password));
    if pair.iter().any(u8::is_ascii_control) {
        return Err(InvalidUrl::UserInfo);
    }
    Ok(Some(format!("Basic {}", STANDARD.encode(pair))))
}

/// The host, without brackets, and the text behind the colon after it.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), InvalidUrl> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(InvalidUrl::Host)?;
        if host.contains('%') {
            return Err(InvalidUrl::ZoneId);
        }
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
    if host.is_empty() {
        // An IPv6 address without its brackets begins like a port.
        let is_port = port.is_none_or(|port| !port.contains(':'));
        return Err(if is_port { InvalidUrl::NoHost } else { InvalidUrl::Host });
    }
    if !host.is_ascii() {
        return Err(InvalidUrl::NonAsciiHost);
    }
    // The letters of names (RFC 1123) and addresses, and the underscore that some names have.
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if !host.bytes().all(is_legal) || (ends_in_number(host) && host.parse::<Ipv4Addr>().is_err()) {
        return Err(InvalidUrl::Host);
    }
    Ok((host, port))
}

/// Whether a resolver would take the host for an address, be it in an old form such as `127.1`.
///
/// "Ends in a number" of the WHATWG's URL standard.
fn ends_in_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    decimal
        || last
            .strip_prefix(['0'])
            .and_then(|rest| rest.strip_prefix(['x', 'X']))
            .is_some_and(is_hex)
}

fn parse_port(port: &str) -> Result<u16, InvalidUrl> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { port.parse().ok() } else { None };
    number.filter(|&number| number > 0).ok_or(InvalidUrl::Port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_of_any_url_may_stand_in_a_request_line(
            url in "(http|wss)://(\\PC{0,8}@)?[a-zA-Z0-9.\\-]{0,8}(:[0-9]{0,5})?([/?#]\\PC{0,20})?",
            text in "\\PC{0,40}",
        ) {
            for url in [url, text] {
                let Ok(url) = Url::parse(&url) else { continue };
                for part in [url.host(), url.authority(), url.path(), url.query()] {
                    prop_assert!(part.bytes().all(|byte| byte.is_ascii_graphic()), "{}", part);
                }
                prop_assert!(url.path().starts_with('/'));
            }
        }
    }

    fn parts(url: &str) -> (bool, String, u16, String, String, String) {
        let Url { secure, host, port, authority, path, query, .. } = Url::parse(url).unwrap();
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
            ("http://a/", expected(false, ["a", "a", "/", ""], 80)),
            ("HTTPS://a.b-c_d:443/", expected(true, ["a.b-c_d", "a.b-c_d", "/", ""], 443)),
            ("WsS://EXAMPLE.Com/P", expected(true, ["example.com", "example.com", "/P", ""], 443)),
            ("wss://a:80?x=1", expected(true, ["a", "a:80", "/", "x=1"], 80)),
            ("http://a:443", expected(false, ["a", "a:443", "/", ""], 443)),
            ("http://a:080", expected(false, ["a", "a", "/", ""], 80)),
            ("http://a?", expected(false, ["a", "a", "/", ""], 80)),
            ("http://a#b", expected(false, ["a", "a", "/", ""], 80)),
            ("http://a/p#b@c?d", expected(false, ["a", "a", "/p", ""], 80)),
            ("http://a/@b:c", expected(false, ["a", "a", "/@b:c", ""], 80)),
            ("http://a?u=http://b", expected(false, ["a", "a", "/", "u=http://b"], 80)),
            ("http://a.:8", expected(false, ["a.", "a.:8", "/", ""], 8)),
            (
                "ws://127.0.0.1:65535/p/q?x#y?z",
                expected(false, ["127.0.0.1", "127.0.0.1:65535", "/p/q", "x"], 65535),
            ),
            (
                "http://[2001:DB8::1]:/",
                expected(false, ["2001:db8::1", "[2001:db8::1]", "/", ""], 80),
            ),
            ("http://[::1]:8/", expected(false, ["::1", "[::1]:8", "/", ""], 8)),
            (
                "http://[::ffff:1.2.3.4]",
                expected(false, ["::ffff:1.2.3.4", "[::ffff:1.2.3.4]", "/", ""], 80),
            ),
            ("http://u:p@[::1]:8", expected(false, ["::1", "[::1]:8", "/", ""], 8)),
            ("http://a/é%20b?ü=\"", expected(false, ["a", "a", "/%C3%A9%20b", "%C3%BC=%22"], 80)),
        ] {
            assert_eq!(parts(url), parts_expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        let character = |character, at| InvalidUrl::Character { character, at };
        for (url, error) in [
            ("", InvalidUrl::NoScheme),
            ("localhost", InvalidUrl::NoScheme),
            ("localhost:3000", InvalidUrl::NoScheme),
            ("127.0.0.1:3000/path", InvalidUrl::NoScheme),
            ("example.com/?u=http://a", InvalidUrl::NoScheme),
            ("example.com://a", InvalidUrl::NoScheme),
            ("//a", InvalidUrl::NoScheme),
            ("://a", InvalidUrl::NoScheme),
            ("/engine.io/", InvalidUrl::NoScheme),
            ("ftp://a", InvalidUrl::Scheme),
            ("file:///a", InvalidUrl::Scheme),
            ("http:/a", InvalidUrl::Scheme),
            ("https:a", InvalidUrl::Scheme),
            ("http:\\\\a", InvalidUrl::Scheme),
            (" http://a", character(' ', 0)),
            ("http://a\n", character('\n', 8)),
            ("http://a b", character(' ', 8)),
            ("http://a/é b", character(' ', 11)),
            ("http://a?\tb", character('\t', 9)),
            ("http://a\r\nX: y", character('\r', 8)),
            ("http://a/\0", character('\0', 9)),
            ("http://a/\u{7f}", character('\u{7f}', 9)),
            ("http://a/\u{85}", character('\u{85}', 9)),
            ("http://a\u{a0}", character('\u{a0}', 8)),
            ("http://", InvalidUrl::NoHost),
            ("http:///p", InvalidUrl::NoHost),
            ("http://:80", InvalidUrl::NoHost),
            ("http://u:p@", InvalidUrl::NoHost),
            ("http://é", InvalidUrl::NonAsciiHost),
            ("http://münchen.example:80/", InvalidUrl::NonAsciiHost),
            ("http://a\\b", InvalidUrl::Host),
            ("http://a%41", InvalidUrl::Host),
            ("http://a,b", InvalidUrl::Host),
            ("http://1.2.3.256", InvalidUrl::Host),
            ("http://127.1", InvalidUrl::Host),
            ("http://2130706433", InvalidUrl::Host),
            ("http://0x7f000001", InvalidUrl::Host),
            ("http://1.2.3.4.", InvalidUrl::Host),
            ("http://[::1", InvalidUrl::Host),
            ("http://[::1]8", InvalidUrl::Host),
            ("http://[127.0.0.1]", InvalidUrl::Host),
            ("http://::1/", InvalidUrl::Host),
            ("http://2001:db8::1/", InvalidUrl::Host),
            ("http://[fe80::1%eth0]", InvalidUrl::ZoneId),
            ("http://[fe80::1%25eth0]:80", InvalidUrl::ZoneId),
            ("http://a:0", InvalidUrl::Port),
            ("http://a:65536", InvalidUrl::Port),
            ("http://a:99999999999999999999", InvalidUrl::Port),
            ("http://a:+8", InvalidUrl::Port),
            ("http://a:8:9", InvalidUrl::Port),
            ("http://a:x", InvalidUrl::Port),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url:?}");
        }
    }

    #[test]
    fn user_information_becomes_basic_credentials() {
        for (user_info, pair) in [
            ("aladdin:opensesame@", Some("aladdin:opensesame")),
            ("user@", Some("user:")),
            ("user:@", Some("user:")),
            (":pass@", Some(":pass")),
            ("a%40b.c:p%3Aq%2F%23%25@", Some("a@b.c:p:q/#%")),
            ("u:p:q@", Some("u:p:q")),
            ("u@b.c:p@q@", Some("u@b.c:p@q")),
            ("u+v:%zz+%4@", Some("u+v:%zz+%4")),
            ("t%C3%A9st:123%C2%A3@", Some("tést:123£")),
            ("tést:123£@", Some("tést:123£")),
            ("@", None),
            (":@", None),
            ("", None),
        ] {
            let url = Url::parse(&format!("http://{user_info}Host:8/p?q")).unwrap();
            let expected = pair.map(|pair| format!("Basic {}", STANDARD.encode(pair)));
            assert_eq!(url.credentials(), expected.as_deref(), "{user_info}");
            assert_eq!((url.authority(), url.path(), url.query()), ("host:8", "/p", "q"));
        }
        // The example of RFC 7617 section 2.1, in UTF-8.
        let url = Url::parse("http://test:123%C2%A3@a").unwrap();
        assert_eq!(url.credentials(), Some("Basic dGVzdDoxMjPCow=="));
        for user_info in ["a%3Ab:c", "a:b%0D%0A", "a%00:b", "a%7F"] {
            let url = format!("http://{user_info}@a");
            assert_eq!(Url::parse(&url), Err(InvalidUrl::UserInfo), "{url}");
        }
        // As in browsers, a slash ends the host, whatever follows it.
        assert_eq!(Url::parse("http://u:p/w@a"), Err(InvalidUrl::Port));
    }

    #[test]
    fn debug_and_errors_show_neither_credentials_nor_query() {
        let url = Url::parse("ws://user:password@a:3/p?token=x").unwrap();
        assert_eq!(format!("{url:?}"), "http://a:3/p");
        for url in ["http://user:hunt er2@a", "http://user:hunter2@é", "user:hunter2@a"] {
            let error = Url::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunt"), "{error:?}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let said = |url| format!("{}", Url::parse(url).unwrap_err());
        assert!(said("localhost:3000").contains("put http:// or https:// in front"));
        assert!(said("http://a b").contains("' ' (at byte 8)"));
        assert!(said("http://é").contains("xn--"));
    }
}
