//! Storage that connections of a thread share: for small messages, and for compression.

use alloc::collections::VecDeque;
use core::mem;

use bytes::{Bytes, BytesMut};

use crate::deflate::Codecs;

/// Gives small messages a place of their own without an allocation for each.
///
/// Messages are copied, one behind the other, into a chunk that they share. The first chunk is small. Once all messages
/// of a chunk have been dropped it is used again, so an application that keeps pace causes no allocation at all. One
/// kept message keeps one chunk alive, never the read buffer it came in.
///
/// With the feature `deflate` it also has the compressors and inflaters for messages that need no context.
#[derive(Debug, Default)]
pub struct Arena {
    chunk: Option<BytesMut>,
    /// Chunks that messages were still in when they were full, the oldest first. The messages of
    /// one read, or of one turn of many sessions, nearly always cross from one chunk to the next.
    full: VecDeque<BytesMut>,
    /// The first chunk was too small, and all others are whole ones.
    grown: bool,
    /// Compressors and inflaters.
    pub(crate) codecs: Codecs,
}

impl Arena {
    /// Size of a chunk: what one kept message can pin at worst.
    pub const CHUNK: usize = 4096;
    /// Length in bytes of the largest message that shares a chunk. A larger one gets an allocation
    /// of exactly its size. That costs it less than a quarter of a wasted chunk.
    pub const MAX_SHARED: usize = Self::CHUNK / 4;

    /// Length of the first chunk: all that a connection needs which is mostly silent.
    const FIRST: usize = Self::MAX_SHARED;

    /// Full chunks that are looked at again: as many as one read of the drivers can fill.
    const MAX_FULL: usize = 16;

    /// An arena that allocates its first chunk when it is first used.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of `bytes`.
    pub fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        if bytes.len() > Self::MAX_SHARED {
            return Bytes::copy_from_slice(bytes);
        }
        let chunk = match &mut self.chunk {
            Some(chunk) if chunk.capacity() >= bytes.len() => chunk,
            _ => {
                let next = self.next_chunk();
                self.chunk.insert(next)
            }
        };
        chunk.extend_from_slice(bytes);
        chunk.split().freeze()
    }

    #[cold]
    fn next_chunk(&mut self) -> BytesMut {
        // What was filled just now is still in the processor's cache.
        if let Some(mut filled) = self.chunk.take() {
            if filled.try_reclaim(if self.grown { Self::CHUNK } else { Self::FIRST }) {
                return filled;
            }
            // The first is too small to be used again.
            if mem::replace(&mut self.grown, true) {
                self.full.push_back(filled);
            }
        } else {
            return BytesMut::with_capacity(Self::FIRST);
        }
        let free = self.full.front_mut().is_some_and(|oldest| oldest.try_reclaim(Self::CHUNK));
        // Not free although so many came after it: a message in it is being kept.
        let give_up = self.full.len() > Self::MAX_FULL;
        let oldest = if free || give_up { self.full.pop_front() } else { None };
        oldest.filter(|_| free).unwrap_or_else(|| BytesMut::with_capacity(Self::CHUNK))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};

    use super::*;

    #[test]
    fn copies_share_a_chunk_that_is_used_again() {
        let mut arena = Arena::new();
        let first = arena.copy(&[1; 64]);
        let start = first.as_ptr();
        let second = arena.copy(&[2; 64]);
        assert_eq!(second.as_ptr(), start.wrapping_add(64));
        assert_eq!((&first[..], &second[..]), (&[1; 64][..], &[2; 64][..]));
        drop((first, second));
        for i in 0..1000u32 {
            let copy = arena.copy(&i.to_be_bytes());
            assert_eq!(&copy[..], i.to_be_bytes());
            assert!((start..start.wrapping_add(Arena::CHUNK)).contains(&copy.as_ptr()));
        }
    }

    /// The chunks that `n` messages go to while the last `behind` of them are held.
    fn chunks(arena: &mut Arena, n: usize, behind: usize) -> BTreeSet<usize> {
        let mut held = VecDeque::new();
        let mut chunks = BTreeSet::new();
        for _ in 0..n {
            held.push_back(arena.copy(&[3; 64]));
            held.drain(..held.len().saturating_sub(behind));
            chunks.extend(arena.chunk.as_ref().map(end));
        }
        chunks
    }

    /// Where a chunk ends, however much of it has been used.
    fn end(chunk: &BytesMut) -> usize {
        chunk.as_ptr().addr() + chunk.capacity()
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn an_application_that_is_behind_goes_round_the_same_chunks() {
        for behind in [1, 16, 64, 65, 640] {
            let mut arena = Arena::new();
            // The first chunk is not for long.
            chunks(&mut arena, Arena::FIRST / 64 + 1, behind);
            let first = chunks(&mut arena, 5_000, behind);
            let needed = behind.div_ceil(Arena::CHUNK / 64) + 1;
            assert!((needed..needed + 2).contains(&first.len()), "{behind}: {}", first.len());
            assert_eq!(chunks(&mut arena, 5_000, behind), first, "{behind} behind");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn chunks_in_which_messages_are_kept_are_given_up() {
        let mut arena = Arena::new();
        let mut kept = Vec::new();
        for _ in 0..3 * Arena::MAX_FULL {
            kept.push(arena.copy(&[4; 64]));
            chunks(&mut arena, 200, 1);
        }
        assert!(arena.full.len() <= Arena::MAX_FULL);
        chunks(&mut arena, 2_000, 1);
        let free = chunks(&mut arena, 2_000, 1);
        assert_eq!(chunks(&mut arena, 2_000, 1), free);
        assert!(kept.iter().all(|message| message[..] == [4; 64]));
    }

    #[test]
    fn a_kept_message_keeps_its_bytes() {
        let mut arena = Arena::new();
        let kept = arena.copy(b"kept");
        for _ in 0..100 {
            drop(arena.copy(&[0xff; Arena::MAX_SHARED]));
        }
        assert_eq!(&kept[..], b"kept");
    }

    #[test]
    fn large_and_empty_messages_stay_out_of_it() {
        let mut arena = Arena::new();
        assert_eq!(arena.copy(&[]).len(), 0);
        assert_eq!(arena.copy(&[7; Arena::MAX_SHARED + 1]).len(), Arena::MAX_SHARED + 1);
        assert!(arena.chunk.is_none());
    }
}
