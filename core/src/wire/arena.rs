//! Storage for small messages.

use bytes::{Bytes, BytesMut};

/// Gives small messages a place of their own without an allocation for each.
///
/// Messages are copied, one behind the other, into a chunk that they share. Once all messages of a
/// chunk have been dropped it is used again, so an application that keeps pace causes no allocation
/// at all. One kept message keeps one chunk alive, never the read buffer it came in.
#[derive(Debug, Default)]
pub struct Arena {
    chunk: BytesMut,
}

impl Arena {
    /// Size of a chunk: what one kept message can pin at worst.
    pub const CHUNK: usize = 4096;
    /// Larger messages get an allocation of exactly their size, which costs them less than a
    /// quarter of a wasted chunk.
    pub const MAX_SHARED: usize = Self::CHUNK / 4;

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
        if self.chunk.capacity() < bytes.len() && !self.chunk.try_reclaim(Self::CHUNK) {
            self.chunk = BytesMut::with_capacity(Self::CHUNK);
        }
        self.chunk.extend_from_slice(bytes);
        self.chunk.split().freeze()
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(arena.chunk.capacity(), 0);
    }
}
