//! Servers that are connected to without a proxy, as `NO_PROXY` lists them.

use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

use crate::{
    networks::{Network, entries, unmapped},
    url::Url,
};

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
    Network(Network),
}

impl Exceptions {
    /// Adds the entries of a list, but for those that have no meaning.
    pub(super) fn add(&mut self, list: &str) {
        self.0.extend(entries(list).filter_map(Entry::parse));
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
                (Hosts::Network(Network::parse(address)?), port)
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
        if let Some(network) = Network::parse(hosts) {
            return Some(Self::Network(network));
        }
        let domain = hosts.strip_prefix('*').unwrap_or(hosts);
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let is_name = !domain.is_empty() && !domain.contains(['/', '*']);
        is_name.then(|| Self::Domain(domain.to_ascii_lowercase()))
    }

    fn contain(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::All => true,
            Self::Domain(domain) => {
                let rest = host.strip_suffix(&**domain).filter(|_| address.is_none());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Network(network) => address.is_some_and(|address| network.contains(address)),
        }
    }
}
