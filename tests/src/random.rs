//! Random numbers that can be had again.

use std::env;

/// The same numbers from the same seed (xorshift64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts anew.
    pub const fn new(seed: u64) -> Self {
        // It must not be zero, and should have many bits set.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63)
    }

    /// Starts with `SEED`, or from what nobody knows, and says so to whoever reads the output of a test
    /// that has failed. The seed repeats what is chosen, and not when it happens: where threads and
    /// processes meet, the same choices may come out otherwise.
    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub fn unforeseen() -> Self {
        let seed = env::var("SEED").map_or_else(
            |_| {
                let mut seed = [0; 4];
                getrandom::fill(&mut seed).unwrap();
                u32::from_ne_bytes(seed).into()
            },
            |seed| seed.parse().unwrap(),
        );
        eprintln!("SEED={seed}");
        Self::new(seed)
    }

    /// A number below `n`.
    pub const fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % n as u64) as usize
    }

    /// Another one, to be used elsewhere.
    pub const fn fork(&mut self) -> Self {
        Self::new(self.below(usize::MAX) as u64)
    }
}
