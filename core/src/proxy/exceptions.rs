//! Servers that are connected to without a proxy, as `NO_PROXY` lists them.

use alloc::{string::String, vec::Vec};
use core::net::{IpAddr, Ipv6Addr};

use crate::url::Url;

/// A list of servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exceptions(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// The only port, if one was given.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// A host and all below it.
    Domain(String),
    /// The addresses that have the first bits in common with this one.
    Network(IpAddr, u8),
}

impl Exceptions {
    /// Adds the entries of a list, but for those that have no meaning.
    pub(super) fn add(&mut self, list: &str) {
        let entries = list.split(|separator: char| separator == ',' || separator.is_whitespace());
        self.0.extend(entries.filter_map(Entry::parse));
    }

    pub(super) fn contains(&self, url: &Url) -> bool {
        let host = url.host().strip_suffix('.').unwrap_or(url.host());
        let address = host.parse().ok().map(unmapped);
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|port| port == url.port()) && entry.hosts.contain(host, address)
        })
    }
}

impl Entry {
    fn parse(entry: &str) -> Option<Self> {
        let (hosts, port) = match entry.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
                (Hosts::parse_network(address)?, port)
            }
            // An IPv6 address without brackets has several colons, and no port.
            None => match entry.split_once(':').filter(|(_, port)| !port.contains(':')) {
                Some((hosts, port)) => (Hosts::parse(hosts)?, Some(port)),
                None => (Hosts::parse(entry)?, None),
            },
        };
        let port = port.map(str::parse).transpose().ok()?;
        Some(Self { hosts, port })
    }
}

impl Hosts {
    fn parse(hosts: &str) -> Option<Self> {
        if hosts == "*" {
            return Some(Self::All);
        }
        if let Some(network) = Self::parse_network(hosts) {
            return Some(network);
        }
        let domain = hosts.strip_prefix('*').unwrap_or(hosts);
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let is_name = !domain.is_empty() && !domain.contains(['/', '*']);
        is_name.then(|| Self::Domain(domain.to_ascii_lowercase()))
    }

    /// An address, or the first address of a network and the bits that its addresses have in common.
    fn parse_network(network: &str) -> Option<Self> {
        let (address, prefix) = match network.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (network, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
        (prefix <= bits).then(|| match (address, unmapped(address)) {
            (IpAddr::V6(_), address @ IpAddr::V4(_)) if prefix >= 96 => {
                Self::Network(address, prefix - 96)
            }
            _ => Self::Network(address, prefix),
        })
    }

    fn contain(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::All => true,
            Self::Domain(domain) => {
                let rest = host.strip_suffix(&**domain).filter(|_| address.is_none());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Network(network, prefix) => match (network, address) {
                (IpAddr::V4(network), Some(IpAddr::V4(address))) => {
                    let differing = network.to_bits() ^ address.to_bits();
                    differing.checked_shr(32 - u32::from(*prefix)).unwrap_or(0) == 0
                }
                (IpAddr::V6(network), Some(IpAddr::V6(address))) => {
                    let differing = network.to_bits() ^ address.to_bits();
                    differing.checked_shr(128 - u32::from(*prefix)).unwrap_or(0) == 0
                }
                _ => false,
            },
        }
    }
}

/// An IPv4 address that is written as one of IPv6 is that IPv4 address.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::to_canonical(&address),
        address => address,
    }
}
