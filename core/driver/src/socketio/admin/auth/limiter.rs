//! Limit on the passwords that an address may try.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Attempts of addresses: so many at once, and one in each [`PERIOD`] after that.
///
/// A value for each address that has attempts to regain: when it will have all of them.
#[derive(Default)]
pub(super) struct Limiter(HashMap<IpAddr, Instant>);

impl Limiter {
    /// Takes an attempt of an address. Returns false if it has none left.
    pub(super) fn take(&mut self, now: Instant, address: IpAddr) -> bool {
        let network = network(address);
        let full_at = self.0.get(&network).copied().unwrap_or(now).max(now);
        if full_at > now + PERIOD * (BURST - 1) {
            return false;
        }
        self.make_room(now, &network);
        self.0.insert(network, full_at + PERIOD);
        true
    }

    /// Gives an attempt back: the password was right.
    pub(super) fn give_back(&mut self, address: IpAddr) {
        if let Some(full_at) = self.0.get_mut(&network(address))
            && let Some(earlier) = full_at.checked_sub(PERIOD)
        {
            *full_at = earlier;
        }
    }

    /// Forgets addresses that have all attempts, and another one if there are too many nevertheless.
    fn make_room(&mut self, now: Instant, network: &IpAddr) {
        if self.0.len() < MAX || self.0.contains_key(network) {
            return;
        }
        self.0.retain(|_, full_at| *full_at > now);
        if self.0.len() >= MAX
            && let Some((&first, _)) = self.0.iter().min_by_key(|(_, full_at)| **full_at)
        {
            self.0.remove(&first);
        }
    }
}

/// Returns the part of an address that a client cannot choose: of IPv6 it has 64 bits to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

/// Attempts at once: more than a user mistypes.
const BURST: u32 = 5;

/// Time after which there is another attempt: 8640 a day.
const PERIOD: Duration = Duration::from_secs(10);

/// Limit on the addresses, each of which takes some 40 bytes.
const MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(index: u16) -> IpAddr {
        let [high, low] = index.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    #[test]
    fn attempts_come_back_one_by_one() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        for _ in 0..BURST {
            assert!(limiter.take(now, address(1)));
        }
        assert!(!limiter.take(now, address(1)));
        assert!(limiter.take(now, address(2)));
        let later = now + PERIOD;
        assert!(!limiter.take(later - Duration::from_nanos(1), address(1)));
        assert!(limiter.take(later, address(1)));
        assert!(!limiter.take(later, address(1)));
    }

    #[test]
    fn right_password_costs_no_attempt() {
        let (mut limiter, now) = (Limiter::default(), Instant::now() + PERIOD);
        for _ in 0..10 * BURST {
            assert!(limiter.take(now, address(1)));
            limiter.give_back(address(1));
        }
    }

    #[test]
    fn networks_of_ipv6_share_their_attempts() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        let in_network = |host: u128| IpAddr::from(Ipv6Addr::from_bits((0x2001 << 112) | host));
        for host in 0..u128::from(BURST) {
            assert!(limiter.take(now, in_network(host)));
        }
        assert!(!limiter.take(now, in_network(99)));
        assert!(limiter.take(now, in_network(1 << 64)));
        // The same address, written otherwise.
        for _ in 0..BURST {
            assert!(limiter.take(now, IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1])));
        }
        assert!(!limiter.take(now, address(1)));
    }

    #[test]
    fn too_many_addresses_forget_that_with_the_most_attempts() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        for index in 0..u16::try_from(MAX).unwrap() {
            for _ in 0..if index == 7 { 1 } else { BURST } {
                assert!(limiter.take(now, address(index)));
            }
        }
        assert!(limiter.take(now, IpAddr::from([11, 0, 0, 1])));
        assert_eq!(limiter.0.len(), MAX);
        assert!(!limiter.0.contains_key(&address(7)) && !limiter.take(now, address(8)));
    }
}
