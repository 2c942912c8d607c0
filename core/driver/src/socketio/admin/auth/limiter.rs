//! Limit on the passwords that an address may try.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Attempts of addresses: so many at once, and one in each [`PERIOD`] after that. Right passwords cost none.
///
/// A value for each address that has failed, or is being verified: when it will have all attempts again.
#[derive(Default)]
pub(super) struct Limiter(HashMap<IpAddr, Instant>);

impl Limiter {
    /// Takes an attempt of an address, before its password is verified. Returns false if it has none.
    ///
    /// Else connections that come at the same moment would all be verified before the first one fails. So of one address
    /// [`BURST`] passwords are verified at a time.
    pub(super) fn take(&mut self, now: Instant, address: IpAddr) -> bool {
        let network = network(address);
        if self.0.get(&network).is_some_and(|&full_at| full_at > now + PERIOD * (BURST - 1)) {
            return false;
        }
        self.make_room(now, &network);
        let full_at = self.0.entry(network).or_insert(now);
        *full_at = (*full_at).max(now) + PERIOD;
        true
    }

    /// Gives an attempt back: the password was right, or was not verified.
    pub(super) fn give_back(&mut self, now: Instant, address: IpAddr) {
        if let Entry::Occupied(mut entry) = self.0.entry(network(address)) {
            match entry.get().checked_sub(PERIOD).filter(|full_at| *full_at > now) {
                Some(full_at) => *entry.get_mut() = full_at,
                None => drop(entry.remove()),
            }
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

    /// Fails as often as an address may.
    fn fail_all(limiter: &mut Limiter, now: Instant, address: IpAddr) {
        for _ in 0..BURST {
            assert!(limiter.take(now, address));
        }
        assert!(!limiter.take(now, address));
    }

    #[test]
    fn attempts_come_back_one_by_one() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        fail_all(&mut limiter, now, address(1));
        assert!(limiter.take(now, address(2)));
        let later = now + PERIOD;
        assert!(!limiter.take(later - Duration::from_nanos(1), address(1)));
        assert!(limiter.take(later, address(1)));
        assert!(!limiter.take(later, address(1)));
        fail_all(&mut limiter, now + PERIOD * 100, address(1));
    }

    #[test]
    fn attempts_that_are_given_back_can_be_taken_again() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        fail_all(&mut limiter, now, address(1));
        limiter.give_back(now, address(1));
        assert!(limiter.take(now, address(1)));
        assert!(!limiter.take(now, address(1)));
        (0..BURST).for_each(|_| limiter.give_back(now, address(1)));
        assert!(limiter.0.is_empty());
        // There are never more than at the beginning.
        limiter.give_back(now, address(1));
        fail_all(&mut limiter, now, address(1));
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
        fail_all(&mut limiter, now, IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]));
        assert!(!limiter.take(now, address(1)));
    }

    #[test]
    fn too_many_addresses_forget_that_with_the_fewest_failures() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        for index in 0..u16::try_from(MAX).unwrap() {
            match index {
                7 => assert!(limiter.take(now, address(index))),
                _ => fail_all(&mut limiter, now, address(index)),
            }
        }
        assert!(limiter.take(now, IpAddr::from([11, 0, 0, 1])));
        assert_eq!(limiter.0.len(), MAX);
        assert!(!limiter.0.contains_key(&address(7)) && !limiter.take(now, address(8)));
        // Those that have all attempts again go first.
        assert!(limiter.take(now + PERIOD * BURST, address(7)));
        assert_eq!(limiter.0.len(), 1);
    }
}
