//! The other side of a connection: a client, or a proxy that speaks for one.

use std::net::SocketAddr;

use enginewire::{TrustedProxies, wire::http::RequestHead};

/// Addresses of the client, and of the proxy that it comes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The client's, as far as it is known.
    pub(crate) addr: SocketAddr,
    /// That of the TCP connection if it is another. Boxed, because most connections have none.
    proxy: Option<Box<SocketAddr>>,
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        Self { addr, proxy: None }
    }
}

impl Peer {
    /// A client that has come through a proxy at `proxy`.
    pub(crate) fn behind(addr: SocketAddr, proxy: SocketAddr) -> Self {
        Self { addr, proxy: (addr != proxy).then(|| Box::new(proxy)) }
    }

    /// Returns the address of the proxy.
    pub(crate) fn proxy(&self) -> Option<SocketAddr> {
        self.proxy.as_deref().copied()
    }

    /// Returns the client that has sent a request on this connection.
    pub(crate) fn of_request(&self, trusted: Option<&TrustedProxies>, head: &RequestHead) -> Self {
        match trusted {
            None => self.clone(),
            Some(trusted) => {
                let addr = trusted.client_addr(self.addr, head.headers());
                Self::behind(addr, self.proxy().unwrap_or(self.addr))
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
}
