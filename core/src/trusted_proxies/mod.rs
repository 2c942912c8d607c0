//! The address of a client behind proxies that say for whom they speak.

mod forwarded;

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

use crate::{
    exchange::HttpRequest,
    networks::{InvalidNetworks, Networks, unmapped},
};

/// Proxies that are trusted to tell the addresses of their clients in a header field.
///
/// Each proxy appends the address of its own peer to the field, so the last address has been written by the nearest
/// proxy. Addresses are read from the last to the first: each that is of a trusted proxy vouches for the one before
/// it, and the first that is not is the client's. Addresses before that may be made up, and are not looked at. Fields
/// of a peer that is not trusted are ignored as a whole.
///
/// Only one field is read. A proxy that writes another passes this one on as the client has sent it, so a second
/// field would let clients choose their address.
///
/// ```
/// use enginewire::TrustedProxies;
///
/// let proxies = TrustedProxies::parse("10.0.0.0/8")?;
/// let headers: [(&str, &[u8]); 1] = [("X-Forwarded-For", b"6.6.6.6, 203.0.113.9, 10.0.0.2")];
/// let client = |peer: &str| proxies.client_addr(peer.parse().unwrap(), headers).to_string();
/// assert_eq!(client("10.0.0.1:5000"), "203.0.113.9:0");
/// assert_eq!(client("198.51.100.1:5000"), "198.51.100.1:5000");
/// # Ok::<(), enginewire::InvalidNetworks>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Networks,
    field: String,
}

impl TrustedProxies {
    /// Trusts proxies that have addresses in these networks. They write `X-Forwarded-For`.
    pub fn new(networks: Networks) -> Self {
        Self { networks, field: "x-forwarded-for".into() }
    }

    /// Trusts proxies that have addresses in a list of networks, see [`Networks`].
    ///
    /// # Errors
    ///
    /// [`InvalidNetworks`].
    pub fn parse(networks: &str) -> Result<Self, InvalidNetworks> {
        networks.parse().map(Self::new)
    }

    /// Sets the field that the proxies write. Default `X-Forwarded-For`.
    ///
    /// `Forwarded` is read as RFC 7239 says, by its parameter `for`. Any other field is a list of addresses between
    /// commas, of which there may be one only: `X-Real-IP`, or `CF-Connecting-IP` of Cloudflare. The proxy has to
    /// replace or extend the field in each request. The case of the name does not matter.
    #[must_use]
    pub fn field(mut self, name: &str) -> Self {
        self.field = name.into();
        self
    }

    /// Returns whether an address is of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.contains(address)
    }

    /// Returns the address of the client that a request with these header fields comes from.
    ///
    /// `peer` is the address of the connection. It is returned if it is not trusted, or if the field holds no address
    /// of the nearest proxy's peer. An element that is no address ends the reading: the client is the trusted proxy
    /// that has written it. If all addresses are of trusted proxies, the first one is the client's. The port is 0 if the
    /// field has none, as it commonly has. IPv4 addresses that are mapped into IPv6 are returned as IPv4 addresses.
    pub fn client_addr<'a>(
        &self,
        peer: SocketAddr,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> SocketAddr {
        if !self.contains(peer.ip()) {
            return peer;
        }
        let is_forwarded = self.is_forwarded();
        let mut client = None;
        for (name, value) in headers {
            if !name.eq_ignore_ascii_case(&self.field) {
                continue;
            }
            let walk = if is_forwarded {
                self.walk(forwarded::elements(value).map(forwarded::address))
            } else {
                self.walk(value.rsplit(|&byte| byte == b',').map(address))
            };
            // What comes later stands nearer to us.
            client = match walk {
                Walk::Ended(found) => found,
                Walk::Trusted(first) => client.or(first),
            };
        }
        client.unwrap_or(peer)
    }

    /// Returns the address of the client that has sent a request. See [`client_addr`](Self::client_addr).
    pub fn client_of(&self, peer: SocketAddr, request: &dyn HttpRequest) -> SocketAddr {
        let mut fields = Vec::new();
        // Those of a peer that is not trusted are not looked at.
        if self.contains(peer.ip()) {
            request.for_each_value(&self.field, &mut |value| fields.push((&*self.field, value)));
        }
        self.client_addr(peer, fields)
    }

    /// Returns the field, and the element that a proxy appends for its client.
    ///
    /// `None` stands for a client that is not known. The reading ends there.
    pub fn element(&self, client: Option<IpAddr>) -> (&str, String) {
        let element = match (client.map(unmapped), self.is_forwarded()) {
            (None, true) => "for=unknown".into(),
            (None, false) => "unknown".into(),
            (Some(address @ IpAddr::V6(_)), true) => format!("for=\"[{address}]\""),
            (Some(address), true) => format!("for={address}"),
            (Some(address), false) => address.to_string(),
        };
        (&self.field, element)
    }

    fn is_forwarded(&self) -> bool {
        self.field.eq_ignore_ascii_case("forwarded")
    }

    /// Reads the elements of one field from the last to the first.
    fn walk(&self, elements: impl Iterator<Item = Element>) -> Walk {
        let mut nearest = None;
        for element in elements {
            match element {
                Element::Empty => {}
                Element::Unknown => return Walk::Ended(nearest),
                Element::Address(address) if self.contains(address.ip()) => {
                    nearest = Some(address);
                }
                Element::Address(address) => return Walk::Ended(Some(address)),
            }
        }
        Walk::Trusted(nearest)
    }
}

/// Result of reading one field.
enum Walk {
    /// This is the client, or the proxy that has written the field if there is none; elements before do not matter.
    Ended(Option<SocketAddr>),
    /// All are trusted proxies, the first of which is this.
    Trusted(Option<SocketAddr>),
}

/// One element of a list.
enum Element {
    /// To be ignored (RFC 9110 section 5.6.1.2).
    Empty,
    /// `unknown`, the obfuscated name of a proxy, or garbage.
    Unknown,
    Address(SocketAddr),
}

/// An element of a list of addresses.
fn address(element: &[u8]) -> Element {
    let element = element.trim_ascii();
    if element.is_empty() {
        return Element::Empty;
    }
    let node = core::str::from_utf8(element).ok().and_then(node);
    node.map_or(Element::Unknown, Element::Address)
}

/// A node with an address, and perhaps a port (RFC 7239 section 6). IPv6 may go without brackets, and then has no port.
fn node(node: &str) -> Option<SocketAddr> {
    let (address, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (IpAddr::V6(address.parse().ok()?), port)
        }
        None => match node.split_once(':').filter(|(_, port)| !port.contains(':')) {
            Some((address, port)) => (IpAddr::V4(address.parse().ok()?), Some(port)),
            None => (node.parse().ok()?, None),
        },
    };
    Some(SocketAddr::new(unmapped(address), port.map_or(Some(0), self::port)?))
}

/// A port: a number, or an obfuscated name, which is 0.
fn port(port: &str) -> Option<u16> {
    if port.starts_with('_') {
        return Some(0);
    }
    // Not with a sign, as the standard library allows.
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())?
}

#[cfg(test)]
mod tests;
