//! PROXY protocol, versions 1 and 2: a proxy that passes bytes on names the client.
//!
//! Some load balancers do not read HTTP: HAProxy in its mode `tcp`, for example, or a Network Load Balancer of AWS. They
//! send a header first on each connection. HTTP or TLS follows. A server must know which peers send one (section 2 of the
//! specification). It must not guess by the bytes, because any peer can send them.
//!
//! The event loop reads until [`parse`] is complete, drops the header, and hands all further bytes to the connection:
//!
//! ```
//! use enginewire::wire::proxy_protocol::{self, Parsed};
//!
//! let bytes = b"PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\nGET /";
//! let Parsed::Complete(header) = proxy_protocol::parse(bytes)? else { panic!("more is needed") };
//! assert_eq!(header.source.unwrap().to_string(), "203.0.113.9:56324");
//! assert_eq!(&bytes[header.len..], b"GET /");
//! # Ok::<(), proxy_protocol::Fault>(())
//! ```
//!
//! The specification is `doc/proxy-protocol.txt` of HAProxy, of 2020.

mod v1;
mod v2;

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::net::{IpAddr, SocketAddr};

/// Limit on the length of a header in bytes.
///
/// It is 16, and 4096 for addresses and extensions. The addresses take at most 216. Proxies add extensions of some ten bytes, or up to three KiB with a certificate of
/// the client.
pub const MAX_LEN: usize = v2::FIXED + v2::MAX_REST;

/// Length of the shortest header in bytes.
///
/// So many can be read before anything is known.
pub const MIN_LEN: usize = v1::MIN_LEN;

/// Result of [`parse`] on the first bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The header is not complete. At least so many bytes are missing, and none of them is behind its end.
    Partial(usize),
    /// The header is complete. Further bytes are not its own.
    Complete(Header),
}

/// Header of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Length in bytes.
    pub len: usize,
    /// Address of the client. `None` if the proxy does not tell: it speaks for itself, as in a health check, or the
    /// client's address is none of IP.
    pub source: Option<SocketAddr>,
    /// Address that the client has connected to. `None` together with the source.
    pub destination: Option<SocketAddr>,
}

/// Fault in a header, always the peer's. The connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The connection does not begin with a header of the PROXY protocol.
    #[error("the proxy has sent no header of the PROXY protocol")]
    Missing,
    /// The line of version 1 is malformed.
    #[error("malformed line of version 1 of the PROXY protocol")]
    Line,
    /// The line of version 1 is longer than 107 bytes.
    #[error("line of version 1 of the PROXY protocol without an end")]
    LineTooLong,
    /// The version is neither 1 nor 2.
    #[error("unknown version {0} of the PROXY protocol")]
    Version(u8),
    /// The command is neither `LOCAL` nor `PROXY`.
    #[error("unknown command {0} of the PROXY protocol")]
    Command(u8),
    /// The address family or the transport protocol is unknown.
    #[error("unknown address family or transport {0:#04x} of the PROXY protocol")]
    Family(u8),
    /// The addresses are longer than the header.
    #[error("the header of the PROXY protocol is too short for its addresses")]
    TooShort,
    /// The header is longer than [`MAX_LEN`].
    #[error("the header of the PROXY protocol has {0} bytes, more than are taken")]
    TooLong(usize),
}

/// Parses the header at the front of `bytes`.
///
/// Stateless: call it again with all bytes once more have come. Reading only as many as [`Parsed::Partial`] says leaves
/// what follows in the socket, for TLS for example. Extensions are skipped. IPv4 addresses that are mapped into IPv6
/// are returned as IPv4 addresses.
///
/// # Errors
///
/// [`Fault`], as soon as the bytes show it.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Fault> {
    if bytes.is_empty() {
        return Ok(Parsed::Partial(MIN_LEN));
    }
    if begins_alike(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else if begins_alike(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err(Fault::Missing)
    }
}

/// Writes a header of version 1, with the source and the destination of a connection.
///
/// `None` says that they are not known. Addresses of two families are written as those of IPv6.
pub fn line(addresses: Option<(SocketAddr, SocketAddr)>) -> String {
    let Some((from, to)) = addresses else { return String::from("PROXY UNKNOWN\r\n") };
    let is_ipv4 = from.is_ipv4() && to.is_ipv4();
    let shown = |address: IpAddr| match address {
        IpAddr::V4(address) if !is_ipv4 => address.to_ipv6_mapped().to_string(),
        address => address.to_string(),
    };
    let (family, source, destination) =
        (if is_ipv4 { "TCP4" } else { "TCP6" }, shown(from.ip()), shown(to.ip()));
    format!("PROXY {family} {source} {destination} {} {}\r\n", from.port(), to.port())
}

/// Whether the bytes begin with the signature, or are the beginning of it.
fn begins_alike(bytes: &[u8], signature: &[u8]) -> bool {
    let len = bytes.len().min(signature.len());
    bytes[..len] == signature[..len]
}

#[cfg(test)]
mod tests;
