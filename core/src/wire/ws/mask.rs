//! Masking (RFC 6455 section 5.3).

use alloc::vec::Vec;
use core::fmt;

use sha1::{Digest, Sha1};

use super::Output;

/// The mask as it stands `n` bytes further on.
#[inline]
pub(super) const fn rotate(mask: [u8; 4], n: usize) -> [u8; 4] {
    [mask[n % 4], mask[(n + 1) % 4], mask[(n + 2) % 4], mask[(n + 3) % 4]]
}

/// Masks or unmasks `bytes`, and tells whether they are ASCII afterwards: the loop is bound by
/// memory, so this costs nothing and saves most texts their UTF-8 check.
#[inline]
pub(super) fn apply(bytes: &mut [u8], mask: [u8; 4]) -> bool {
    let wide = widen(mask);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    let mut seen = 0;
    for word in words {
        let plain = u64::from_ne_bytes(*word) ^ wide;
        seen |= plain;
        *word = plain.to_ne_bytes();
    }
    let mut seen_in_tail = 0;
    for (byte, mask) in tail.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= mask;
        seen_in_tail |= *byte;
    }
    is_ascii(seen, seen_in_tail)
}

/// Copies `bytes` to new storage and does the work of [`apply`] in the same pass.
pub(super) fn copy(bytes: &[u8], mask: [u8; 4]) -> (Vec<u8>, bool) {
    let wide = widen(mask);
    let (words, tail) = bytes.as_chunks::<8>();
    let mut seen = 0;
    // Words, because this loop writes to fresh storage without a check for room at each.
    let mut copy: Vec<[u8; 8]> = Vec::with_capacity(bytes.len().div_ceil(8));
    copy.extend(words.iter().map(|word| {
        let plain = u64::from_ne_bytes(*word) ^ wide;
        seen |= plain;
        plain.to_ne_bytes()
    }));
    let mut copy = copy.into_flattened();
    let mut seen_in_tail = 0;
    copy.extend(tail.iter().zip(wide.to_ne_bytes()).map(|(byte, mask)| {
        seen_in_tail |= byte ^ mask;
        byte ^ mask
    }));
    (copy, is_ascii(seen, seen_in_tail))
}

/// Appends `bytes`, masked.
pub(super) fn put(bytes: &[u8], mask: [u8; 4], out: &mut Output) {
    // A multiple of four, so that each block begins with the same byte of the mask.
    let mut block = [0; 512];
    for bytes in bytes.chunks(block.len()) {
        let block = &mut block[..bytes.len()];
        block.copy_from_slice(bytes);
        apply(block, mask);
        out.put_slice(block);
    }
}

/// The mask twice. Put together from eight single bytes it would cost a short frame more than all of
/// the loop.
const fn widen(mask: [u8; 4]) -> u64 {
    let mask = u32::from_ne_bytes(mask) as u64;
    mask << 32 | mask
}

const fn is_ascii(seen: u64, seen_in_tail: u8) -> bool {
    seen & 0x8080_8080_8080_8080 == 0 && seen_in_tail < 0x80
}

/// The masks of a client's frames: an unpredictable one for each, from one secret.
///
/// Section 5.3 wants them derived from a strong source of entropy, and the mask of one frame not to
/// tell that of the next. Each mask is a part of the SHA-1 of the secret and a counter: without
/// the secret, one says nothing of another. (Collisions, where SHA-1 is weak, are of no use here.)
pub(super) struct Masks {
    seed: [u8; 16],
    blocks: u64,
    pool: [u8; 20],
    /// How much of `pool` has been given out.
    used: usize,
}

impl Masks {
    pub(super) const fn new(seed: [u8; 16]) -> Self {
        Self { seed, blocks: 0, pool: [0; 20], used: 20 }
    }

    pub(super) fn next(&mut self) -> [u8; 4] {
        if let Some(mask) = self.pool[self.used..].first_chunk() {
            self.used += 4;
            return *mask;
        }
        let digest = Sha1::new_with_prefix(self.seed).chain_update(self.blocks.to_be_bytes());
        self.pool = digest.finalize().into();
        self.blocks += 1;
        self.used = 4;
        [self.pool[0], self.pool[1], self.pool[2], self.pool[3]]
    }
}

/// Never shows the secret.
impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks")
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use bytes::Buf;
    use proptest::prelude::*;

    use super::*;

    /// The definition in section 5.3, byte for byte.
    fn by_definition(bytes: &[u8], mask: [u8; 4]) -> Vec<u8> {
        bytes.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect()
    }

    proptest! {
        #[test]
        fn every_way_is_the_definition(
            bytes in prop::collection::vec(any::<u8>(), 0..1100),
            high in prop::option::of(any::<prop::sample::Index>()),
            mask: [u8; 4],
            cut: prop::sample::Index,
        ) {
            // Mostly ASCII under the mask, at most one byte is not.
            let mut plain: Vec<u8> = bytes.iter().map(|byte| byte & 0x7f).collect();
            if let Some(high) = high.filter(|_| !plain.is_empty()) {
                *high.get_mut(&mut plain) |= 0x80;
            }
            let masked = by_definition(&plain, mask);
            let ascii = plain.is_ascii();

            let mut applied = masked.clone();
            prop_assert_eq!(apply(&mut applied, mask), ascii);
            prop_assert_eq!(&applied, &plain);
            prop_assert_eq!(copy(&masked, mask), (plain.clone(), ascii));

            let mut out = Output::new();
            put(&plain, mask, &mut out);
            prop_assert_eq!(&out.copy_to_bytes(out.remaining())[..], &masked[..]);

            let mut pieces = masked;
            let cut = cut.index(pieces.len() + 1);
            let (left, right) = pieces.split_at_mut(cut);
            let ascii_in_pieces = apply(left, mask) & apply(right, rotate(mask, cut));
            prop_assert_eq!(ascii_in_pieces, ascii);
            prop_assert_eq!(pieces, plain);
        }
    }

    #[test]
    fn masks_differ_from_frame_to_frame_and_from_seed_to_seed() {
        let mut seen = BTreeSet::new();
        for seed in 0..10 {
            let mut masks = Masks::new([seed; 16]);
            seen.extend((0..100).map(|_| masks.next()));
        }
        // 1000 out of 2^32: that two are equal is unlikely, and being deterministic none are.
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn equal_seeds_give_equal_masks() {
        let (mut a, mut b) = (Masks::new([7; 16]), Masks::new([7; 16]));
        assert!((0..20).all(|_| a.next() == b.next()));
    }
}
