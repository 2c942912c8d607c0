//! Where servers are, and as whom to log in.

use std::fmt;

use super::address::Address;

/// Addresses of servers with what it takes to log in, of a `redis` URL.
#[derive(Clone)]
pub(super) struct ServerUrl {
    /// One at least.
    pub(super) addresses: Vec<Address>,
    pub(super) is_encrypted: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
}

/// Error of a URL that is not one of Redis. It shows nothing of it, because there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of Redis {0}; its form is redis://[[user]:password@]host[:port][,host[:port]..][/database]"
)]
pub struct InvalidRedisUrl(&'static str);

impl ServerUrl {
    /// Reads a URL. Addresses without a port get `port`.
    pub(super) fn parse(url: &str, port: u16) -> Result<Self, InvalidRedisUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(SCHEME)?;
        let is_encrypted = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(SCHEME),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidRedisUrl("has a query or a fragment"));
        }
        // A password may have a slash in it only if that is encoded.
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, servers) = match authority.rsplit_once('@') {
            Some((login, servers)) => (Some(login), servers),
            None => (None, authority),
        };
        let mut addresses = Vec::new();
        for server in servers.split(',') {
            let (host, own) = split_port(server)?;
            if host.is_empty() {
                return Err(InvalidRedisUrl("has no host"));
            }
            addresses.push(Address::new(host, own.unwrap_or(port)));
        }
        let (user, password) = match login.map(|login| login.split_once(':')) {
            None => (None, None),
            Some(Some((user, password))) => (decode(user)?, decode(password)?),
            Some(None) => (decode(login.unwrap_or_default())?, None),
        };
        if user.is_some() && password.is_none() {
            return Err(InvalidRedisUrl("has a user without a password"));
        }
        let database = match path {
            "" => 0,
            path => {
                path.parse().map_err(|_| InvalidRedisUrl("has a database that is no number"))?
            }
        };
        Ok(Self { addresses, is_encrypted, user, password, database })
    }
}

/// Without user and password.
impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerUrl").field(&self.addresses).finish()
    }
}

fn split_port(server: &str) -> Result<(&str, Option<u16>), InvalidRedisUrl> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(HOST)?;
            let port =
                if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(HOST)?) };
            (host, port)
        }
        None => match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (server, None),
        },
    };
    match port.map(str::parse) {
        None => Ok((host, None)),
        Some(Ok(port)) if port > 0 => Ok((host, Some(port))),
        Some(_) => Err(InvalidRedisUrl("has a port that is none")),
    }
}

/// Decodes `%` and two hexadecimal digits (RFC 3986 section 2.1). `None` if there is nothing.
fn decode(text: &str) -> Result<Option<String>, InvalidRedisUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or(ENCODING)?;
        let digits = str::from_utf8(digits).map_err(|_| ENCODING)?;
        // It would take a sign, too.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(ENCODING);
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| ENCODING)?);
        rest = tail;
    }
    let text = String::from_utf8(bytes).map_err(|_| ENCODING)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

const SCHEME: InvalidRedisUrl =
    InvalidRedisUrl("begins neither with redis:// nor, for TLS, with rediss://");
const HOST: InvalidRedisUrl = InvalidRedisUrl("has an address in brackets that do not end");
const ENCODING: InvalidRedisUrl = InvalidRedisUrl("has a user or a password that is not encoded");

/// Port of Redis.
pub(super) const PORT: u16 = 6379;

/// Port of Redis Sentinel.
pub(super) const SENTINEL_PORT: u16 = 26_379;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> (String, bool, Option<String>, Option<String>, u32) {
        let url = ServerUrl::parse(url, PORT).unwrap();
        let addresses: Vec<_> = url.addresses.iter().map(Address::to_string).collect();
        (addresses.join(","), url.is_encrypted, url.user, url.password, url.database)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn url_has_a_host_and_may_have_the_rest() {
        let address = |address: &str| address.to_owned();
        assert_eq!(parse("redis://a"), (address("a:6379"), false, None, None, 0));
        assert_eq!(parse("rediss://a:1/"), (address("a:1"), true, None, None, 0));
        assert_eq!(parse("redis://[::1]/3"), (address("[::1]:6379"), false, None, None, 3));
        assert_eq!(parse("redis://[::1]:7"), (address("[::1]:7"), false, None, None, 0));
        let several = parse("redis://a,b:1,[::1]");
        assert_eq!(several, (address("a:6379,b:1,[::1]:6379"), false, None, None, 0));
        let expected = (address("a:6379"), false, None, some("p"), 0);
        assert_eq!(parse("redis://:p@a"), expected);
        let expected = (address("a:6379"), false, some("u"), some("p@/:%"), 15);
        assert_eq!(parse("redis://u:p@%2f%3A%25@a/15"), expected);
    }

    #[test]
    fn url_of_another_form_is_an_error_that_does_not_show_it() {
        for url in [
            "secret",
            "http://secret",
            "redis://",
            "redis://:secret@",
            "redis://secret@a",
            "redis://secret,",
            "redis://secret,:1",
            "redis://a:0",
            "redis://a:65536",
            "redis://[::1",
            "redis://[::1]7",
            "redis://a/secret",
            "redis://a/-1",
            "redis://a?secret",
            "redis://:secret%@a",
            "redis://:%+1secret@a",
            "redis://:secret%ff@a",
        ] {
            let error = ServerUrl::parse(url, PORT).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
        }
    }

    #[test]
    fn debug_output_has_no_password() {
        let url = ServerUrl::parse("redis://someone:secret@a", PORT).unwrap();
        assert!(!format!("{url:?}").contains("secret"));
    }
}
