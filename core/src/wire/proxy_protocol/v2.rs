//! Version 2: binary (section 2.2).

use core::net::{IpAddr, SocketAddr};

use super::{Fault, Header, Parsed};
use crate::networks::unmapped;

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and transport, and the length of the rest.
pub(super) const FIXED: usize = 16;

/// Limit on the length of the rest.
pub(super) const MAX_REST: usize = 4096;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Fault> {
    if let Some(&version) = bytes.get(12) {
        match version {
            0x20 | 0x21 => {}
            _ if version >> 4 != 2 => return Err(Fault::Version(version >> 4)),
            _ => return Err(Fault::Command(version & 0xf)),
        }
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Parsed::Partial(missing(bytes.len())));
    };
    let [.., command, family, high, low] = *fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_REST {
        return Err(Fault::TooLong(FIXED + len));
    }
    // The address family of `LOCAL` is to be ignored.
    let size = if command == 0x20 { None } else { address_size(family)? };
    if size.is_some_and(|size| len < 2 * size + 4) {
        return Err(Fault::TooShort);
    }
    let Some(rest) = rest.get(..len) else {
        return Ok(Parsed::Partial(len - rest.len()));
    };
    let (source, destination) = match size {
        Some(4) => addresses::<4>(rest),
        Some(16) => addresses::<16>(rest),
        _ => None,
    }
    .unzip();
    Ok(Parsed::Complete(Header { len: FIXED + len, source, destination }))
}

/// Bytes that any header has beyond those that were read, fewer than its fixed part.
const fn missing(read: usize) -> usize {
    let least = if read < super::MIN_LEN { super::MIN_LEN } else { FIXED };
    least - read
}

/// The size of an address; `None` if it is none of IP.
fn address_size(family: u8) -> Result<Option<usize>, Fault> {
    if family & 0xf > 2 {
        return Err(Fault::Family(family));
    }
    match family >> 4 {
        0 | 3 => Ok(None),
        1 => Ok(Some(4)),
        2 => Ok(Some(16)),
        _ => Err(Fault::Family(family)),
    }
}

/// Source and destination: two addresses and two ports.
fn addresses<const N: usize>(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; N]>,
{
    let (&source, rest) = bytes.split_first_chunk::<N>()?;
    let (&destination, rest) = rest.split_first_chunk::<N>()?;
    let (&source_port, rest) = rest.split_first_chunk::<2>()?;
    let (&destination_port, _) = rest.split_first_chunk::<2>()?;
    let address = |address: [u8; N], port| {
        SocketAddr::new(unmapped(IpAddr::from(address)), u16::from_be_bytes(port))
    };
    Some((address(source, source_port), address(destination, destination_port)))
}
