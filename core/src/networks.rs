//! Lists of networks, as exceptions and trusted proxies are given.

use alloc::vec::Vec;
use core::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// List of IP networks, such as those of an operator's proxies.
///
/// Parsed from entries between commas or white space. An entry is an address, or a network: an address, a slash and the
/// length of the prefix in bits (RFC 4632, RFC 4291 section 2.3). An IPv4 address that is mapped into IPv6 counts as
/// that IPv4 address, on both sides.
///
/// ```
/// use enginewire::Networks;
///
/// let networks: Networks = "10.0.0.0/8, 192.0.2.7, fd00::/8".parse()?;
/// assert!(networks.contains("10.1.2.3".parse().unwrap()));
/// assert!(networks.contains("::ffff:192.0.2.7".parse().unwrap()));
/// assert!(!networks.contains("192.0.2.8".parse().unwrap()));
/// # Ok::<(), enginewire::InvalidNetworks>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// Error of a list of networks: the number of its first invalid entry, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry} is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct InvalidNetworks {
    /// Number of the entry, from 1.
    pub entry: usize,
}

impl Networks {
    /// Creates an empty list, which contains no address.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns whether one of the networks contains the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = unmapped(address);
        self.0.iter().any(|network| network.contains(address))
    }

    /// Returns whether the list is empty.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Parses a list. An empty one is valid.
///
/// # Errors
///
/// [`InvalidNetworks`] of the first entry that is no network.
impl FromStr for Networks {
    type Err = InvalidNetworks;

    fn from_str(list: &str) -> Result<Self, InvalidNetworks> {
        let parse = |(entry, text)| Network::parse(text).ok_or(InvalidNetworks { entry });
        (1..).zip(entries(list)).map(parse).collect::<Result<_, _>>().map(Self)
    }
}

/// The entries of a list, between commas or white space.
pub(crate) fn entries(list: &str) -> impl Iterator<Item = &str> {
    let separated = list.split(|separator: char| separator == ',' || separator.is_whitespace());
    separated.filter(|entry| !entry.is_empty())
}

/// The addresses that have the first bits in common with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// An address, or the first address of a network and the bits that its addresses have in common.
    pub(crate) fn parse(network: &str) -> Option<Self> {
        let (address, prefix) = match network.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (network, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
        (prefix <= bits).then(|| match (address, unmapped(address)) {
            (IpAddr::V6(_), first @ IpAddr::V4(_)) if prefix >= 96 => {
                Self { first, prefix: prefix - 96 }
            }
            (first, _) => Self { first, prefix },
        })
    }

    /// Returns whether it contains an address, which is not mapped.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// An IPv4 address that is written as one of IPv6 is that IPv4 address.
pub(crate) fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::to_canonical(&address),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(list: &str, address: &str) -> bool {
        list.parse::<Networks>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn list_contains_the_addresses_of_its_networks() {
        for (list, address, expected) in [
            ("", "10.0.0.1", false),
            (" , ", "10.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.9.9.9/8", "10.0.0.1", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::1", "::1", true),
            ("192.0.2.7,\n fd00::/8", "fd12::1", true),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
        ] {
            assert_eq!(contains(list, address), expected, "{address} in {list:?}");
        }
    }

    #[test]
    fn list_with_an_entry_that_is_no_network_is_refused_by_number() {
        for (list, entry) in [
            ("localhost", 1),
            ("10.0.0.1, 10.0.0.0/33", 2),
            ("::/129", 1),
            ("10.0.0.0/", 1),
            ("10.0.0.0/8/8", 1),
            ("10.0.0.1:80", 1),
            ("[::1]", 1),
            ("::1 ::2 *", 3),
        ] {
            assert_eq!(list.parse::<Networks>(), Err(InvalidNetworks { entry }), "{list}");
        }
    }
}
