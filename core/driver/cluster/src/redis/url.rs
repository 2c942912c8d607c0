//! Where a server is, and as whom to log in.

use std::{fmt, sync::Arc};

/// Address of a server with what it takes to log in, of a `redis` URL.
#[derive(Clone)]
pub(super) struct ServerUrl {
    /// Name or address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_encrypted: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
}

/// Error of a URL that is not one of Redis. It shows nothing of it, because there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL of Redis {0}; its form is redis://[[user]:password@]host[:port][/database]")]
pub struct InvalidRedisUrl(&'static str);

impl ServerUrl {
    pub(super) fn parse(url: &str) -> Result<Self, InvalidRedisUrl> {
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
        let (login, server) = match authority.rsplit_once('@') {
            Some((login, server)) => (Some(login), server),
            None => (None, authority),
        };
        let (host, port) = split_port(server)?;
        if host.is_empty() {
            return Err(InvalidRedisUrl("has no host"));
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
        Ok(Self { host: host.to_owned(), port, is_encrypted, user, password, database })
    }

    /// Returns host and port, for errors.
    pub(super) fn address(&self) -> Arc<str> {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
            .into()
    }
}

/// Without user and password.
impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerUrl").field(&self.address()).finish()
    }
}

fn split_port(server: &str) -> Result<(&str, u16), InvalidRedisUrl> {
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
    match port {
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => Ok((host, port)),
            _ => Err(InvalidRedisUrl("has a port that is none")),
        },
        None => Ok((host, PORT)),
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
const PORT: u16 = 6379;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> (String, bool, Option<String>, Option<String>, u32) {
        let url = ServerUrl::parse(url).unwrap();
        (url.address().to_string(), url.is_encrypted, url.user, url.password, url.database)
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
            let error = ServerUrl::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
        }
    }

    #[test]
    fn debug_output_has_no_password() {
        let url = ServerUrl::parse("redis://someone:secret@a").unwrap();
        assert_eq!(format!("{url:?}"), "ServerUrl(\"a:6379\")");
    }
}
