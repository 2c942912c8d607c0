//! A body on its way in.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    chunked::{self, Chunked, append},
    fault::Fault,
    framing::BodyLength,
};

/// Gathers one body, whole, up to a limit.
#[derive(Debug)]
pub(super) struct Body {
    received: Vec<u8>,
    rest: Rest,
}

/// How far [`Body::receive`] came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All input was used, and more is needed.
    More,
    /// The body is complete after `used` bytes of the input.
    Done { body: Bytes, used: usize },
    /// It would exceed the limit. What there was of it is gone.
    TooLarge,
}

/// The part of a body that is still to come.
#[derive(Debug)]
enum Rest {
    /// So many bytes.
    Sized(usize),
    Chunked(Chunked),
    /// All bytes until the end of the connection.
    UntilClose,
}

impl Body {
    /// A body to be received; `None` if it announces more than `max` bytes.
    pub(super) fn new(length: BodyLength, max: usize) -> Option<Self> {
        let rest = match length {
            BodyLength::Sized(length) if length > max as u64 => return None,
            BodyLength::Sized(length) => Rest::Sized(usize::try_from(length).ok()?),
            BodyLength::Chunked => Rest::Chunked(Chunked::default()),
        };
        Some(Self { received: Vec::new(), rest })
    }

    /// The body of an answer that says nothing of its length.
    pub(super) const fn until_close() -> Self {
        Self { received: Vec::new(), rest: Rest::UntilClose }
    }

    /// The connection has ended: the whole body, if that was to be its end.
    pub(super) fn end(self) -> Option<Bytes> {
        matches!(self.rest, Rest::UntilClose).then(|| self.received.into())
    }

    /// How many bytes are still to come, if that is known.
    pub(super) const fn left(&self) -> Option<u64> {
        match self.rest {
            Rest::Sized(left) => Some(left as u64),
            Rest::Chunked(_) | Rest::UntilClose => None,
        }
    }

    /// Takes the bytes that are stored, before the body is complete.
    pub(super) fn take_received(&mut self) -> Bytes {
        core::mem::take(&mut self.received).into()
    }

    /// How many bytes are stored.
    #[cfg(test)]
    pub(super) const fn capacity(&self) -> usize {
        self.received.capacity()
    }

    /// Takes the next bytes. `max` is the limit it was made with.
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        max: usize,
        max_overhead: usize,
    ) -> Result<Progress, Fault> {
        let used = match &mut self.rest {
            // The common case, one read, is one allocation of exactly the right size.
            Rest::Sized(left) if *left <= input.len() && self.received.is_empty() => {
                let used = core::mem::take(left);
                return Ok(Progress::Done { body: Bytes::copy_from_slice(&input[..used]), used });
            }
            Rest::Sized(left) => {
                let used = input.len().min(*left);
                let whole = self.received.len() + *left;
                append(&mut self.received, &input[..used], whole);
                *left -= used;
                if *left > 0 {
                    return Ok(Progress::More);
                }
                used
            }
            Rest::UntilClose if input.len() > max - self.received.len() => {
                self.received = Vec::new();
                return Ok(Progress::TooLarge);
            }
            Rest::UntilClose => {
                append(&mut self.received, input, max);
                return Ok(Progress::More);
            }
            Rest::Chunked(chunked) => {
                match chunked.decode(input, &mut self.received, max, max_overhead)? {
                    chunked::Progress::More => return Ok(Progress::More),
                    chunked::Progress::Done(used) => used,
                    chunked::Progress::TooLarge => {
                        self.received = Vec::new();
                        return Ok(Progress::TooLarge);
                    }
                }
            }
        };
        Ok(Progress::Done { body: core::mem::take(&mut self.received).into(), used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(length: BodyLength, input: &[u8], step: usize) -> Option<(Bytes, usize)> {
        let mut body = Body::new(length, 1000).unwrap();
        let mut before = 0;
        for piece in input.chunks(step) {
            match body.receive(piece, 1000, 100).unwrap() {
                Progress::More => before += piece.len(),
                Progress::Done { body, used } => return Some((body, before + used)),
                Progress::TooLarge => panic!("too large"),
            }
            assert!(body.capacity() <= 2 * before.max(step), "{} held", body.capacity());
        }
        None
    }

    #[test]
    fn a_sized_body_is_exactly_that_many_bytes_at_any_split() {
        let input: Vec<u8> = (0..=255).collect();
        for step in [1, 2, 7, 99, 100, 101, 256] {
            let (body, used) = receive(BodyLength::Sized(100), &input, step).unwrap();
            assert_eq!((&body[..], used), (&input[..100], 100), "in steps of {step}");
            assert_eq!(receive(BodyLength::Sized(257), &input, step), None);
        }
    }

    #[test]
    fn an_empty_body_needs_no_byte() {
        let mut body = Body::new(BodyLength::Sized(0), 0).unwrap();
        let done = Progress::Done { body: Bytes::new(), used: 0 };
        assert_eq!(body.receive(b"", 0, 0), Ok(done));
    }

    #[test]
    fn a_body_that_announces_too_much_is_refused_before_its_first_byte() {
        assert!(Body::new(BodyLength::Sized(1000), 1000).is_some());
        assert!(Body::new(BodyLength::Sized(1001), 1000).is_none());
        assert!(Body::new(BodyLength::Sized(u64::MAX), 1000).is_none());
    }

    #[test]
    fn what_is_left_is_known_for_a_sized_body_only() {
        let mut body = Body::new(BodyLength::Sized(10), 1000).unwrap();
        assert_eq!(body.receive(b"abc", 1000, 0), Ok(Progress::More));
        assert_eq!(body.left(), Some(7));
        assert_eq!(Body::new(BodyLength::Chunked, 1000).unwrap().left(), None);
    }

    #[test]
    fn a_body_until_the_end_of_the_connection_is_all_that_came_and_no_other_ends_there() {
        let mut body = Body::until_close();
        for piece in [&b"ab"[..], b"", b"cde"] {
            assert_eq!(body.receive(piece, 5, 0), Ok(Progress::More));
        }
        assert_eq!((body.left(), body.capacity()), (None, 5));
        assert_eq!(body.end(), Some(Bytes::from_static(b"abcde")));
        assert_eq!(Body::until_close().end(), Some(Bytes::new()));
        for length in [BodyLength::Sized(1), BodyLength::Chunked] {
            assert_eq!(Body::new(length, 5).unwrap().end(), None);
        }
        let mut body = Body::until_close();
        assert_eq!(body.receive(b"abc", 5, 0), Ok(Progress::More));
        assert_eq!(body.receive(b"def", 5, 0), Ok(Progress::TooLarge));
        assert_eq!(body.capacity(), 0);
    }

    #[test]
    fn storage_grows_with_what_came_and_never_past_the_limit() {
        let mut buffer = Vec::new();
        let mut grown = 0;
        for n in 0..1000 {
            let before = buffer.capacity();
            append(&mut buffer, b"x", 1000);
            grown += usize::from(buffer.capacity() != before);
            assert!(buffer.capacity() <= (2 * (n + 1)).min(1000));
        }
        assert!(grown <= 12, "{grown} reallocations");
    }
}
