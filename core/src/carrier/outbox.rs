//! What a connection has to write and its socket would not take.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::Buf;

use crate::{time::Time, wire::Output};

/// What one connection has to write. Nothing, nearly always: a socket that takes everything at once
/// is written to from an output that all connections of a thread share.
#[derive(Debug, Default)]
pub struct Outbox {
    pending: Option<Box<Output>>,
    /// The socket would not take it.
    blocked: bool,
    /// Since when it has taken nothing although it should have.
    stalled: Option<Time>,
    /// The socket was full and has not taken everything since.
    full: bool,
    /// Bytes that the socket has taken while it was full, since that was last asked.
    progress: usize,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// So many bytes, at least one, are out.
    Some(usize),
    /// The socket takes nothing now.
    Blocked,
}

impl Outbox {
    /// Where the next bytes for this connection go.
    #[inline]
    pub fn output<'a>(&'a mut self, shared: &'a mut Output) -> &'a mut Output {
        self.pending.as_deref_mut().unwrap_or(shared)
    }

    /// Whether the socket would not take everything.
    #[inline]
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Bytes that wait, apart from those in the shared output.
    pub fn len(&self) -> usize {
        self.pending.as_ref().map_or(0, |output| output.remaining())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When a peer that goes on taking nothing is given up, if something waits for it.
    pub fn deadline(&self, patience: Duration) -> Option<Time> {
        self.stalled.map(|since| since + patience)
    }

    /// The socket takes something again. Says whether it did not.
    pub const fn unblock(&mut self) -> bool {
        core::mem::replace(&mut self.blocked, false)
    }

    /// Takes the count of bytes that the socket has taken after it was full. They tell that the peer reads;
    /// bytes that fill the buffer of a socket do not.
    pub const fn take_progress(&mut self) -> usize {
        core::mem::replace(&mut self.progress, 0)
    }

    /// Keeps what is in `output` until it can be written.
    pub fn keep(&mut self, output: Box<Output>) {
        debug_assert!(self.pending.is_none());
        self.pending = Some(output);
    }

    /// Drops what waits.
    pub fn discard(&mut self) {
        if let Some(output) = &mut self.pending {
            output.advance(output.remaining());
        }
    }

    /// Gives the storage back once it is empty.
    pub fn take_empty(&mut self) -> Option<Box<Output>> {
        self.pending.take_if(|output| output.is_empty())
    }

    /// Writes what there is, and says whether that was all. What is not is moved from `shared` to
    /// this value.
    ///
    /// # Errors
    ///
    /// That of `write`. Everything is dropped then, so that it is not written to the next connection.
    #[inline]
    pub fn flush<E>(
        &mut self,
        shared: &mut Output,
        now: Time,
        write: impl FnMut(&Output) -> Result<Written, E>,
    ) -> Result<bool, E> {
        if self.pending.is_none() && shared.is_empty() {
            return Ok(true);
        }
        self.flush_some(shared, now, write)
    }

    fn flush_some<E>(
        &mut self,
        shared: &mut Output,
        now: Time,
        mut write: impl FnMut(&Output) -> Result<Written, E>,
    ) -> Result<bool, E> {
        let output = self.pending.as_deref_mut().unwrap_or(shared);
        while output.has_remaining() {
            match write(output) {
                Ok(Written::Some(n)) => {
                    output.advance(n);
                    self.stalled = None;
                    if self.full {
                        self.progress = self.progress.saturating_add(n);
                    }
                }
                Ok(Written::Blocked) => {
                    if self.pending.is_none() {
                        self.pending = Some(Box::new(core::mem::take(shared)));
                    }
                    self.blocked = true;
                    self.full = true;
                    self.stalled.get_or_insert(now);
                    return Ok(false);
                }
                Err(error) => {
                    output.advance(output.remaining());
                    return Err(error);
                }
            }
        }
        self.blocked = false;
        self.full = false;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::convert::Infallible;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn put(outbox: &mut Outbox, shared: &mut Output, bytes: &[u8]) {
        outbox.output(shared).put_slice(bytes);
    }

    /// A socket that takes so many bytes, each in a write of its own.
    fn flush(outbox: &mut Outbox, shared: &mut Output, at: u64, mut room: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        let now = Time::ZERO + Duration::from_secs(at);
        let done = outbox.flush::<Infallible>(shared, now, |output| {
            if room == 0 {
                return Ok(Written::Blocked);
            }
            room -= 1;
            taken.push(output.chunk()[0]);
            Ok(Written::Some(1))
        });
        assert_eq!(done, Ok(!outbox.is_blocked()));
        taken
    }

    #[test]
    fn what_is_not_taken_is_kept_in_order_and_apart_from_what_others_write() {
        let (mut outbox, mut shared) = (Outbox::default(), Output::new());
        put(&mut outbox, &mut shared, b"abc");
        assert_eq!(flush(&mut outbox, &mut shared, 0, 1), b"a");
        assert!(shared.is_empty());
        put(&mut outbox, &mut shared, b"d");
        assert!(shared.is_empty());
        assert_eq!(outbox.len(), 3);
        assert_eq!(flush(&mut outbox, &mut shared, 0, 9), b"bcd");
        assert!(outbox.is_empty() && outbox.take_empty().is_some());
        assert!(outbox.take_empty().is_none());
    }

    #[test]
    fn bytes_count_as_progress_only_after_the_socket_was_full() {
        let (mut outbox, mut shared) = (Outbox::default(), Output::new());
        put(&mut outbox, &mut shared, b"abcdef");
        flush(&mut outbox, &mut shared, 0, 2);
        assert_eq!(outbox.take_progress(), 0);
        outbox.unblock();
        flush(&mut outbox, &mut shared, 1, 1);
        flush(&mut outbox, &mut shared, 2, 9);
        assert_eq!((outbox.take_progress(), outbox.take_progress()), (4, 0));
        put(&mut outbox, &mut shared, b"gh");
        flush(&mut outbox, &mut shared, 3, 9);
        assert_eq!(outbox.take_progress(), 0);
    }

    #[test]
    fn patience_starts_with_the_first_byte_that_is_not_taken_and_again_with_each_that_is() {
        let (mut outbox, mut shared) = (Outbox::default(), Output::new());
        put(&mut outbox, &mut shared, b"abcdef");
        assert_eq!(outbox.deadline(PATIENCE), None);
        for (at, room, deadline) in [(1, 1, 31), (2, 0, 31), (3, 1, 33), (4, 0, 33)] {
            outbox.unblock();
            flush(&mut outbox, &mut shared, at, room);
            let deadline = Time::ZERO + Duration::from_secs(deadline);
            assert_eq!(outbox.deadline(PATIENCE), Some(deadline), "at {at}");
        }
        flush(&mut outbox, &mut shared, 5, 9);
        assert_eq!(outbox.deadline(PATIENCE), None);
    }

    #[test]
    fn nothing_is_left_for_the_next_connection_when_a_write_fails() {
        let (mut outbox, mut shared) = (Outbox::default(), Output::new());
        put(&mut outbox, &mut shared, b"abc");
        assert_eq!(outbox.flush(&mut shared, Time::ZERO, |_| Err("broken")), Err("broken"));
        assert!(shared.is_empty() && outbox.is_empty());
    }
}
