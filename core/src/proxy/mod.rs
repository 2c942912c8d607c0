//! HTTP proxies of a client: which one a connection goes through.

mod exceptions;

use alloc::{format, string::String, sync::Arc};
use core::fmt;

use self::exceptions::Exceptions;
use crate::url::{InvalidUrl, Url};

/// HTTP proxy, with the credentials that it asks for.
///
/// ```
/// use enginewire::Proxy;
///
/// let proxy = Proxy::parse("http://user:password@proxy.example:3128")?;
/// assert_eq!(proxy.url().authority(), "proxy.example:3128");
/// # Ok::<(), enginewire::InvalidProxy>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    url: Arc<Url>,
}

/// Reason for which a text is no address of an HTTP proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// The address is no valid URL.
    #[error("the proxy's address is invalid: {0}")]
    Url(InvalidUrl),
    /// The scheme is another than `http`: a SOCKS proxy, or one that wants TLS itself.
    #[error("the proxy's address must begin with http://, as no other proxies are implemented")]
    Scheme,
}

/// Error of an environment variable that names a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variable {variable}: {reason}")]
pub struct InvalidProxyVariable {
    /// Name of the variable.
    pub variable: &'static str,
    /// Reason for which its value is no address of a proxy.
    pub reason: InvalidProxy,
}

impl Proxy {
    /// Parses the address of a proxy. Without a scheme it counts as `http://`.
    ///
    /// User name and password in it are sent to the proxy as Basic credentials (RFC 7617). The port is 80 if it has
    /// none.
    ///
    /// # Errors
    ///
    /// [`InvalidProxy`].
    pub fn parse(address: &str) -> Result<Self, InvalidProxy> {
        let url = match address.split_once("://") {
            None => Url::parse(&format!("http://{address}")),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Url::parse(address),
            Some(_) => return Err(InvalidProxy::Scheme),
        };
        Ok(Self { url: Arc::new(url.map_err(InvalidProxy::Url)?) })
    }

    /// Returns the address of the proxy.
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) const fn shared_url(&self) -> &Arc<Url> {
        &self.url
    }
}

/// Without the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.url).finish()
    }
}

/// Proxies by scheme of the server, and servers that are connected to without one.
///
/// A connection to an `https` server, and any that becomes a WebSocket, goes through a tunnel (`CONNECT`, RFC 9110
/// section 9.3.6). The server's bytes pass it as they are. Polling of an `http` server goes to the proxy as requests
/// with the whole URL (RFC 9112 section 3.2.2). Most proxies, such as Squid by default, open tunnels to port 443 only.
/// There a session with an `http` server stays on polling. [`always_tunnel`](Self::always_tunnel) changes that.
/// An error status in response to polling counts as the server's, unless the proxy has marked it as its own.
///
/// ```
/// use enginewire::{Proxies, Proxy, Url};
///
/// let mut proxies = Proxies::all(Proxy::parse("http://proxy.example:3128")?);
/// proxies.add_exceptions("localhost, 10.0.0.0/8, .intern.example");
/// let proxy = |url| proxies.select(&Url::parse(url).unwrap()).is_some();
/// assert!(proxy("https://chat.example"));
/// assert!(!proxy("http://10.1.2.3:3000") && !proxy("https://chat.intern.example"));
/// # Ok::<(), enginewire::InvalidProxy>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxies {
    /// Proxy to servers without TLS. Default none.
    pub http: Option<Proxy>,
    /// Proxy to servers with TLS. Default none.
    pub https: Option<Proxy>,
    /// Whether polling of `http` servers goes through tunnels as well. Default false.
    ///
    /// For proxies that do not read requests, or change them.
    pub always_tunnel: bool,
    exceptions: Exceptions,
}

impl Proxies {
    /// Creates a set with `proxy` for all servers.
    pub fn all(proxy: Proxy) -> Self {
        Self { http: Some(proxy.clone()), https: Some(proxy), ..Self::default() }
    }

    /// Reads proxies from environment variables, which `variable` returns by name.
    ///
    /// The names are those of curl, in lower case before upper case: `http_proxy` for servers without TLS, `https_proxy`
    /// for those with TLS, `all_proxy` in place of either, and `no_proxy` for the
    /// [exceptions](Self::add_exceptions). An empty value counts as none. If there is a `REQUEST_METHOD`, `HTTP_PROXY` is
    /// ignored: in a CGI script it is the field `Proxy` of the request, which an attacker may have sent.
    ///
    /// # Errors
    ///
    /// [`InvalidProxyVariable`] of the first variable that is needed and is no address of an HTTP proxy.
    pub fn from_variables(
        mut variable: impl FnMut(&'static str) -> Option<String>,
    ) -> Result<Self, InvalidProxyVariable> {
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let mut first = |names: [&'static str; 4]| {
            let mut names = names.into_iter().filter(|&name| !name.is_empty());
            names.find_map(|name| {
                let value = variable(name)?;
                let value = value.trim();
                (!value.is_empty()).then(|| (name, String::from(value)))
            })
        };
        // Names of variables have no case on Windows.
        let lower = if is_cgi && cfg!(windows) { "" } else { "http_proxy" };
        let upper = if is_cgi { "" } else { "HTTP_PROXY" };
        let proxy = |found: Option<(&'static str, String)>| {
            let parse = |(variable, value): (_, String)| {
                Proxy::parse(&value).map_err(|reason| InvalidProxyVariable { variable, reason })
            };
            found.map(parse).transpose()
        };
        let mut proxies = Self {
            http: proxy(first([lower, upper, "all_proxy", "ALL_PROXY"]))?,
            https: proxy(first(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]))?,
            ..Self::default()
        };
        if let Some((_, exceptions)) = first(["no_proxy", "NO_PROXY", "", ""]) {
            proxies.add_exceptions(&exceptions);
        }
        Ok(proxies)
    }

    /// Adds servers that are connected to without a proxy, as the variable `NO_PROXY` does.
    ///
    /// Entries stand between commas or white space. A name, with or without a dot in front, is that host and all below
    /// it. An IP address is that address, and one with a slash and a number, as in `10.0.0.0/8`, a network (RFC 4632).
    /// A port behind a colon limits an entry to that port. `*` is all servers. Names are not looked up. Entries of any
    /// other form match nothing.
    pub fn add_exceptions(&mut self, list: &str) {
        self.exceptions.add(list);
    }

    /// Returns the proxy for connections to the server at `url`, if there is one.
    pub fn select(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.is_secure() { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.exceptions.contains(url))
    }
}

#[cfg(test)]
mod tests;
