//! The other side of a connection: a client, or a proxy that speaks for one.

use std::net::SocketAddr;

use enginewire::{HttpRequest, TrustedProxies};

/// Addresses of the client, and of the proxy that it comes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The client's, as far as it is known.
    pub(crate) addr: SocketAddr,
    /// That of the TCP connection if a proxy has sent a header before it. Boxed, because most connections have none.
    ///
    /// It is the same as `addr` where the header names nobody.
    proxy: Option<Box<SocketAddr>>,
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        Self { addr, proxy: None }
    }
}

impl Peer {
    /// A client that has come through a proxy at `proxy`, at an address that is the proxy's if it is not known.
    pub(crate) fn behind(addr: SocketAddr, proxy: SocketAddr) -> Self {
        Self { addr, proxy: Some(Box::new(proxy)) }
    }

    /// Returns the address of the proxy, if it is another than the client's.
    pub(crate) fn proxy(&self) -> Option<SocketAddr> {
        self.proxy.as_deref().copied().filter(|&proxy| proxy != self.addr)
    }

    /// Returns whether a proxy has passed bytes on without saying whose they are.
    ///
    /// Fields of its requests are the client's word, whatever the proxy is trusted with.
    pub(crate) fn is_nobody(&self) -> bool {
        self.proxy.as_deref() == Some(&self.addr)
    }

    /// Returns the client that has sent a request on this connection.
    pub(crate) fn of_request(
        &self,
        trusted: Option<&TrustedProxies>,
        request: &dyn HttpRequest,
    ) -> Self {
        match trusted {
            Some(trusted) if !self.is_nobody() => {
                let addr = trusted.client_of(self.addr, request);
                match self.proxy() {
                    None if addr == self.addr => self.clone(),
                    proxy => Self::behind(addr, proxy.unwrap_or(self.addr)),
                }
            }
            _ => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use enginewire::wire::http::RequestHead;

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn head() -> RequestHead {
        RequestHead::parse(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n", 10)
            .unwrap()
    }

    #[test]
    fn trusted_proxy_names_the_client_of_a_request() {
        let trusted = TrustedProxies::parse("10.0.0.0/8").unwrap();
        let peer = Peer::from(addr("10.0.0.1:5000")).of_request(Some(&trusted), &head());
        assert_eq!(peer, Peer::behind(addr("203.0.113.9:0"), addr("10.0.0.1:5000")));
        let other = Peer::from(addr("192.0.2.1:5000"));
        assert_eq!(other.of_request(Some(&trusted), &head()), other);
        let untold = Peer::from(addr("10.0.0.1:5000"));
        assert_eq!((untold.of_request(None, &head()), untold.proxy()), (untold.clone(), None));
    }

    #[test]
    fn client_of_a_proxy_before_that_of_the_connection_is_found() {
        let trusted = TrustedProxies::parse("10.0.0.0/8").unwrap();
        // A load balancer that passes bytes on, and before it a proxy that reads HTTP.
        let peer = Peer::behind(addr("10.0.0.2:6000"), addr("10.0.0.1:5000"));
        let client = peer.of_request(Some(&trusted), &head());
        assert_eq!(client, Peer::behind(addr("203.0.113.9:0"), addr("10.0.0.1:5000")));
        let direct = Peer::behind(addr("198.51.100.1:6000"), addr("10.0.0.1:5000"));
        assert_eq!(direct.of_request(Some(&trusted), &head()), direct);
    }

    #[test]
    fn field_behind_a_header_that_names_nobody_is_the_word_of_the_client() {
        let trusted = TrustedProxies::parse("10.0.0.0/8").unwrap();
        let peer = Peer::behind(addr("10.0.0.1:5000"), addr("10.0.0.1:5000"));
        assert_eq!(peer.of_request(Some(&trusted), &head()), peer);
        assert_eq!(peer.proxy(), None);
    }
}
