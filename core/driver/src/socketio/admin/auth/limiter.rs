//! Limit on the passwords that an address may try.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Failures of addresses: so many at once, and one in each [`PERIOD`] after that.
///
/// A value for each address that has failed: when it will have all attempts again.
#[derive(Default)]
pub(super) struct Limiter(HashMap<IpAddr, Instant>);

impl Limiter {
    /// Returns whether an address may try a password.
    ///
    /// Right passwords cost nothing, also those of many pages behind one proxy that connect at the same moment.
    pub(super) fn admits(&self, now: Instant, address: IpAddr) -> bool {
        let full_at = self.0.get(&network(address));
        full_at.is_none_or(|&full_at| full_at <= now + PERIOD * (BURST - 1))
    }

    /// Notes that the password of an address was wrong.
    pub(super) fn fail(&mut self, now: Instant, address: IpAddr) {
        let network = network(address);
        self.make_room(now, &network);
        let full_at = self.0.entry(network).or_insert(now);
        *full_at = (*full_at).max(now) + PERIOD;
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

    /// Fails as often as an address may.
    fn fail_all(limiter: &mut Limiter, now: Instant, address: IpAddr) {
        for _ in 0..BURST {
            assert!(limiter.admits(now, address));
            limiter.fail(now, address);
        }
        assert!(!limiter.admits(now, address));
    }

    #[test]
    fn attempts_come_back_one_by_one() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        fail_all(&mut limiter, now, address(1));
        assert!(limiter.admits(now, address(2)));
        let later = now + PERIOD;
        assert!(!limiter.admits(later - Duration::from_nanos(1), address(1)));
        assert!(limiter.admits(later, address(1)));
        limiter.fail(later, address(1));
        assert!(!limiter.admits(later, address(1)));
        fail_all(&mut limiter, now + PERIOD * 100, address(1));
    }

    #[test]
    fn networks_of_ipv6_share_their_attempts() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        let in_network = |host: u128| IpAddr::from(Ipv6Addr::from_bits((0x2001 << 112) | host));
        for host in 0..u128::from(BURST) {
            limiter.fail(now, in_network(host));
        }
        assert!(!limiter.admits(now, in_network(99)));
        assert!(limiter.admits(now, in_network(1 << 64)));
        // The same address, written otherwise.
        fail_all(&mut limiter, now, IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]));
        assert!(!limiter.admits(now, address(1)));
    }

    #[test]
    fn too_many_addresses_forget_that_with_the_fewest_failures() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        for index in 0..u16::try_from(MAX).unwrap() {
            match index {
                7 => limiter.fail(now, address(index)),
                _ => fail_all(&mut limiter, now, address(index)),
            }
        }
        limiter.fail(now, IpAddr::from([11, 0, 0, 1]));
        assert_eq!(limiter.0.len(), MAX);
        assert!(!limiter.0.contains_key(&address(7)) && !limiter.admits(now, address(8)));
        // Those that have all attempts again go first.
        limiter.fail(now + PERIOD * BURST, address(7));
        assert_eq!(limiter.0.len(), 1);
    }
}
