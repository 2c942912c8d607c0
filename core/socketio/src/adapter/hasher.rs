//! Keyed hash of names that clients choose.

use core::{fmt, hash::Hasher};

use enginewire::Entropy;
use foldhash::{SharedSeed, quality::FoldHasher};

/// Hash of names, with a key of 128 random bits.
///
/// The shared seeds are part of the key. With known ones a client could find names that cancel the other half: the
/// hash multiplies words of the name that it has combined with these seeds.
#[derive(Clone)]
pub(super) struct NameHasher {
    seed: u64,
    shared: SharedSeed,
}

impl NameHasher {
    pub(super) fn new(entropy: &mut dyn Entropy) -> Self {
        let mut draw = || {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        Self { seed: draw(), shared: SharedSeed::from_u64(draw()) }
    }

    pub(super) fn hash(&self, name: &str) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(name.as_bytes());
        hasher.finish()
    }
}

impl fmt::Debug for NameHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameHasher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_depends_on_both_halves_of_the_key_and_on_the_name() {
        let hasher = |a: u8, b: u8| {
            let mut bytes = [a, b].into_iter();
            NameHasher::new(&mut move |buffer: &mut [u8]| buffer.fill(bytes.next().unwrap()))
        };
        for name in ["", "a", "a room with a name of more than sixteen bytes"] {
            let first = hasher(1, 2).hash(name);
            assert_eq!(first, hasher(1, 2).hash(name));
            assert_ne!(first, hasher(3, 2).hash(name));
            assert_ne!(first, hasher(1, 2).hash(&(alloc::string::String::from(name) + "x")));
        }
        let long = "a room with a name of more than sixteen bytes";
        assert_ne!(hasher(1, 2).hash(long), hasher(1, 3).hash(long));
    }
}
