//! The bytes that wait to be written to one connection.

use alloc::{collections::VecDeque, vec::Vec};
use core::fmt;

use bytes::{Buf, Bytes};

/// A queue of bytes for one connection. Heads and small payloads are copied one behind the other.
/// Large payloads are kept as shared slices, so that one `writev` sends everything.
///
/// Read it through [`Buf`]. Once everything has been consumed it starts again at the front of the same storage. So
/// a driver may keep one per thread, and hand it to a connection only when the socket does not take all.
///
/// [`Buf`]: https://docs.rs/bytes/1/bytes/buf/trait.Buf.html
#[derive(Default)]
pub struct Output {
    /// Everything that was copied, in order, consumed or not.
    copied: Vec<u8>,
    /// How much of `copied` has been consumed.
    consumed: usize,
    /// The large slices, each with the position in `copied` at which it comes.
    shared: VecDeque<(usize, Bytes)>,
    /// Bytes in `shared`.
    shared_len: usize,
}

impl Output {
    /// Payloads from this size on are not copied. Below it a copy costs less than one more slice
    /// for the kernel to walk and one more reference to count.
    pub const SHARE_FROM: usize = 8192;

    /// An empty queue without storage.
    pub const fn new() -> Self {
        Self { copied: Vec::new(), consumed: 0, shared: VecDeque::new(), shared_len: 0 }
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
    }

    /// Appends `bytes`, as they are if they are large.
    #[inline]
    pub fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < Self::SHARE_FROM {
            return self.put_slice(bytes);
        }
        self.shared_len += bytes.len();
        self.shared.push_back((self.copied.len(), bytes.clone()));
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// Drops everything that waits.
    pub fn clear(&mut self) {
        self.copied.clear();
        self.shared.clear();
        (self.consumed, self.shared_len) = (0, 0);
    }

    /// Frees the storage if it exceeds `keep` bytes and the queue is empty.
    #[inline]
    pub fn shrink(&mut self, keep: usize) {
        if self.is_empty() && self.copied.capacity() > keep {
            *self = Self::new();
        }
    }

    /// Bytes for which there is storage.
    #[cfg(test)]
    pub(crate) const fn capacity(&self) -> usize {
        self.copied.capacity()
    }

    /// How many copied bytes come before the next shared slice.
    fn copied_before_shared(&self) -> usize {
        self.shared.front().map_or(self.copied.len(), |&(at, _)| at) - self.consumed
    }
}

/// Without the bytes, which may be those of a handshake and hold a session id.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

impl Buf for Output {
    #[inline]
    fn remaining(&self) -> usize {
        self.copied.len() - self.consumed + self.shared_len
    }

    fn chunk(&self) -> &[u8] {
        match self.copied_before_shared() {
            0 => self.shared.front().map_or(&[], |(_, bytes)| bytes),
            n => &self.copied[self.consumed..self.consumed + n],
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut position = self.consumed;
        let mut put = |slice: &'a [u8]| match slices.get_mut(filled) {
            Some(place) if !slice.is_empty() => {
                *place = std::io::IoSlice::new(slice);
                filled += 1;
                true
            }
            Some(_) => true,
            None => false,
        };
        for (at, bytes) in &self.shared {
            if !put(&self.copied[position..*at]) || !put(bytes) {
                return filled;
            }
            position = *at;
        }
        put(&self.copied[position..]);
        filled
    }

    /// # Panics
    ///
    /// If `n` is more than what remains.
    fn advance(&mut self, mut n: usize) {
        assert!(n <= self.remaining(), "{n} is more than the {} that remain", self.remaining());
        loop {
            let copied = self.copied_before_shared().min(n);
            self.consumed += copied;
            n -= copied;
            if n == 0 {
                break;
            }
            // More remains to be consumed than is copied before the next slice: there is one.
            let Some((_, bytes)) = self.shared.front_mut() else { break };
            let taken = bytes.len().min(n);
            bytes.advance(taken);
            self.shared_len -= taken;
            n -= taken;
            if bytes.is_empty() {
                self.shared.pop_front();
            }
        }
        if self.is_empty() {
            self.copied.clear();
            self.consumed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large(byte: u8) -> Bytes {
        Bytes::from(alloc::vec![byte; Output::SHARE_FROM])
    }

    fn filled() -> (Output, Vec<u8>) {
        let mut output = Output::new();
        let mut expected = Vec::new();
        for piece in [
            Bytes::from_static(b"head"),
            large(b'a'),
            large(b'b'),
            Bytes::from_static(b"small"),
            large(b'c'),
            Bytes::from_static(b"tail"),
        ] {
            output.put_bytes(&piece);
            expected.extend_from_slice(&piece);
        }
        (output, expected)
    }

    #[test]
    fn comes_out_as_it_went_in_at_any_step() {
        for step in [1, 3, 4, 5, 1000, Output::SHARE_FROM, Output::SHARE_FROM + 3, usize::MAX] {
            let (mut output, expected) = filled();
            let mut seen = Vec::new();
            while output.has_remaining() {
                let n = step.min(output.chunk().len());
                assert!(n > 0, "an empty chunk before the end");
                seen.extend_from_slice(&output.chunk()[..n]);
                output.advance(n);
            }
            assert_eq!(seen, expected, "in steps of {step}");
        }
    }

    #[test]
    fn advances_across_slices() {
        for n in [0, 2, 4, 5, 4 + Output::SHARE_FROM, 10 + 2 * Output::SHARE_FROM] {
            let (mut output, expected) = filled();
            output.advance(n);
            assert_eq!(output.copy_to_bytes(output.remaining()), expected[n..], "after {n}");
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn vectored_slices_are_the_same_bytes() {
        for (places, complete) in [(1, false), (3, false), (6, true), (9, true)] {
            let (mut output, expected) = filled();
            output.advance(2);
            let mut slices = alloc::vec![std::io::IoSlice::new(&[]); places];
            let n = output.chunks_vectored(&mut slices);
            let seen: Vec<u8> = slices[..n].iter().flat_map(|s| s.iter().copied()).collect();
            assert!(n <= places);
            assert_eq!(seen, expected[2..2 + seen.len()]);
            assert_eq!(seen.len() == expected.len() - 2, complete, "{places} places");
        }
    }

    #[test]
    fn storage_is_used_again_once_empty() {
        let mut output = Output::new();
        output.put_slice(&[1; 100]);
        let storage = output.chunk().as_ptr();
        output.advance(100);
        output.put_slice(&[2; 100]);
        assert_eq!(output.chunk().as_ptr(), storage);
    }
}
