//! All chance there is, from one seed.

use std::time::Duration;

use enginewire::Entropy;

/// SplitMix64: small, quick, and the same on every machine. No secret is safe with it.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own, so that what one part of the world draws does not change what another
    /// one gets.
    pub const fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0 if that is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// A number from 1 to `max`, or 1 if that is 0.
    pub fn size(&mut self, max: usize) -> usize {
        let below = self.below(u64::try_from(max).unwrap_or(u64::MAX));
        1 + usize::try_from(below).unwrap_or(usize::MAX - 1)
    }

    /// True `times` times out of a thousand.
    pub const fn chance(&mut self, times: u64) -> bool {
        self.below(1000) < times
    }

    /// A while shorter than `end`.
    pub fn shorter(&mut self, end: Duration) -> Duration {
        Duration::from_nanos(self.below(u64::try_from(end.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Entropy for Random {
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_generator() {
        let mut random = Random::new(1_234_567);
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.next(), random.next()], published);
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let mut random = Random::new(1);
        let (mut fork, mut other) = (random.fork(), random.fork());
        assert_ne!(fork.next(), other.next());
        assert_eq!((random.below(0), random.size(0), random.size(1)), (0, 1, 1));
        assert!(!random.chance(0) && random.chance(1000));
    }
}
