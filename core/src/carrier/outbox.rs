//! Bytes that a connection has to write and its socket did not take.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::Buf;

use crate::{time::Time, wire::Output};

/// Takes the bytes of one connection: its socket.
pub trait Stream {
    /// The socket's error.
    type Error;

    /// Writes from the front of `output`, which is not empty.
    ///
    /// # Errors
    ///
    /// The socket's. Nothing is written after that.
    fn write(&mut self, output: &Output) -> Result<Written, Self::Error>;

    /// Flushes bytes that were taken but not sent. Returns whether none are left.
    ///
    /// A stream that encrypts may hold some. Default: none are held.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn flush(&mut self) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// So many bytes, at least one, were taken.
    Some(usize),
    /// The socket takes nothing now.
    Blocked,
}

/// Bytes that one connection has to write. Nearly always none, because a socket that takes everything at
/// once is written to from an output that all connections of a thread share.
#[derive(Debug, Default)]
pub struct Outbox {
    pending: Option<Box<Output>>,
    /// The socket did not take everything, and is not known to take more.
    blocked: bool,
    /// Since when it has taken nothing although there was something.
    stalled: Option<Time>,
    /// Bytes that the socket has taken after it was full, since that was last asked.
    progress: usize,
}

impl Outbox {
    /// Makes an empty outbox.
    pub const fn new() -> Self {
        Self { pending: None, blocked: false, stalled: None, progress: 0 }
    }

    /// Returns the place of the next bytes for this connection.
    #[inline]
    pub fn output<'a>(&'a mut self, shared: &'a mut Output) -> &'a mut Output {
        self.pending.as_deref_mut().unwrap_or(shared)
    }

    /// Returns whether the socket would not take everything.
    #[inline]
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Returns whether the last flush was incomplete.
    #[inline]
    pub const fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Returns the number of bytes that wait, apart from those in the shared output.
    pub fn len(&self) -> usize {
        self.pending.as_ref().map_or(0, |output| output.remaining())
    }

    /// Returns whether no bytes wait.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether no bytes wait, here or in the stream.
    pub fn is_flushed(&self) -> bool {
        self.is_empty() && !self.is_stalled()
    }

    /// Returns when a peer that takes no byte for `timeout` expires, if any wait. What a stream holds back
    /// is one piece, because its progress is invisible.
    pub fn deadline(&self, timeout: Duration) -> Option<Time> {
        self.stalled.map(|since| since + timeout)
    }

    /// Notes that the socket takes bytes again. Returns whether it did not.
    pub const fn unblock(&mut self) -> bool {
        core::mem::replace(&mut self.blocked, false)
    }

    /// Takes the count of bytes that the socket has taken after it was full. They tell that the peer reads;
    /// bytes that fill the buffer of a socket do not.
    pub const fn take_progress(&mut self) -> usize {
        core::mem::replace(&mut self.progress, 0)
    }

    /// Keeps `output` until it can be written.
    pub fn keep(&mut self, output: Box<Output>) {
        debug_assert!(self.pending.is_none());
        self.pending = Some(output);
    }

    /// Drops what waits.
    pub fn discard(&mut self) {
        if let Some(output) = &mut self.pending {
            output.clear();
        }
        (self.blocked, self.stalled) = (false, None);
    }

    /// Takes back the storage once it is empty.
    pub fn take_empty(&mut self) -> Option<Box<Output>> {
        self.pending.take_if(|output| output.is_empty())
    }

    /// Writes everything, and returns whether that was possible. The rest moves from `shared` to this value.
    ///
    /// # Errors
    ///
    /// That of `stream`. Everything is dropped then, so that it is not written to the next connection.
    #[inline]
    pub fn flush<S: Stream>(
        &mut self,
        shared: &mut Output,
        now: Time,
        stream: &mut S,
    ) -> Result<bool, S::Error> {
        if self.pending.is_none() && shared.is_empty() && self.stalled.is_none() {
            return Ok(true);
        }
        self.flush_some(shared, now, stream)
    }

    fn flush_some<S: Stream>(
        &mut self,
        shared: &mut Output,
        now: Time,
        stream: &mut S,
    ) -> Result<bool, S::Error> {
        let was_full = self.stalled.is_some();
        let output = self.pending.as_deref_mut().unwrap_or(shared);
        let mut write_all = || {
            while output.has_remaining() {
                match stream.write(output)? {
                    Written::Some(n) => {
                        output.advance(n);
                        self.stalled = None;
                        if was_full {
                            self.progress = self.progress.saturating_add(n);
                        }
                    }
                    Written::Blocked => return Ok(false),
                }
            }
            stream.flush()
        };
        match write_all() {
            Ok(true) => {
                (self.blocked, self.stalled) = (false, None);
                Ok(true)
            }
            Ok(false) => {
                if self.pending.is_none() && !shared.is_empty() {
                    self.pending = Some(Box::new(core::mem::take(shared)));
                }
                self.blocked = true;
                self.stalled.get_or_insert(now);
                Ok(false)
            }
            Err(error) => {
                shared.clear();
                self.discard();
                Err(error)
            }
        }
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

    /// A socket that takes so many bytes, each in a write of its own, and may hold them back.
    #[derive(Default)]
    struct Socket {
        room: usize,
        holds: bool,
        taken: Vec<u8>,
        flushes: usize,
    }

    impl Stream for Socket {
        type Error = Infallible;

        fn write(&mut self, output: &Output) -> Result<Written, Infallible> {
            if self.room == 0 {
                return Ok(Written::Blocked);
            }
            self.room -= 1;
            self.taken.push(output.chunk()[0]);
            Ok(Written::Some(1))
        }

        fn flush(&mut self) -> Result<bool, Infallible> {
            self.flushes += 1;
            Ok(!self.holds)
        }
    }

    fn flush(outbox: &mut Outbox, shared: &mut Output, at: u64, room: usize) -> Vec<u8> {
        let mut socket = Socket { room, ..Socket::default() };
        flush_to(outbox, shared, at, &mut socket);
        socket.taken
    }

    fn flush_to(outbox: &mut Outbox, shared: &mut Output, at: u64, socket: &mut Socket) {
        let flushed = outbox.flush(shared, seconds(at), socket);
        assert_eq!(flushed, Ok(!outbox.is_blocked()));
        assert_eq!(flushed, Ok(outbox.is_flushed()));
    }

    fn seconds(at: u64) -> Time {
        Time::ZERO + Duration::from_secs(at)
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
            assert_eq!(outbox.deadline(PATIENCE), Some(seconds(deadline)), "at {at}");
        }
        flush(&mut outbox, &mut shared, 5, 9);
        assert_eq!(outbox.deadline(PATIENCE), None);
    }

    #[test]
    fn held_bytes_count_as_blocked_until_the_stream_has_flushed_them() {
        let (mut outbox, mut shared) = (Outbox::default(), Output::new());
        let mut socket = Socket { room: 3, holds: true, ..Socket::default() };
        for (at, bytes, deadline) in [(1, "ab", 31), (2, "", 31), (3, "c", 33), (4, "d", 33)] {
            put(&mut outbox, &mut shared, bytes.as_bytes());
            flush_to(&mut outbox, &mut shared, at, &mut socket);
            assert_eq!(outbox.deadline(PATIENCE), Some(seconds(deadline)), "at {at}");
        }
        socket.room = 1;
        flush_to(&mut outbox, &mut shared, 5, &mut socket);
        assert_eq!((outbox.len(), outbox.deadline(PATIENCE)), (0, Some(seconds(35))));
        socket.holds = false;
        flush_to(&mut outbox, &mut shared, 6, &mut socket);
        assert_eq!(outbox.deadline(PATIENCE), None);
    }

    #[test]
    fn outbox_keeps_no_output_while_only_the_stream_holds_bytes() {
        let (mut outbox, mut shared) = (Outbox::default(), Output::new());
        let mut socket = Socket { room: 9, holds: true, ..Socket::default() };
        for bytes in ["ab", "", "c"] {
            put(&mut outbox, &mut shared, bytes.as_bytes());
            flush_to(&mut outbox, &mut shared, 0, &mut socket);
            assert!(outbox.is_blocked() && outbox.take_empty().is_none());
        }
        assert_eq!(socket.taken, b"abc");
    }

    #[test]
    fn stream_is_flushed_once_after_the_last_byte_and_never_without_one() {
        let (mut outbox, mut shared) = (Outbox::default(), Output::new());
        let mut socket = Socket { room: 1, ..Socket::default() };
        flush_to(&mut outbox, &mut shared, 0, &mut socket);
        put(&mut outbox, &mut shared, b"ab");
        flush_to(&mut outbox, &mut shared, 0, &mut socket);
        assert_eq!(socket.flushes, 0);
        socket.room = 1;
        for _ in 0..3 {
            flush_to(&mut outbox, &mut shared, 0, &mut socket);
            assert!(outbox.take_empty().is_some() || socket.flushes == 1);
            assert_eq!((socket.flushes, &*socket.taken), (1, &b"ab"[..]));
        }
    }

    #[test]
    fn failed_write_leaves_nothing_for_the_next_connection() {
        struct Broken;
        impl Stream for Broken {
            type Error = &'static str;
            fn write(&mut self, _: &Output) -> Result<Written, &'static str> {
                Err("broken")
            }
        }
        let (mut outbox, mut shared) = (Outbox::default(), Output::new());
        put(&mut outbox, &mut shared, b"abc");
        assert_eq!(outbox.flush(&mut shared, Time::ZERO, &mut Broken), Err("broken"));
        assert!(shared.is_empty() && outbox.is_flushed());
        // The same of what was kept.
        put(&mut outbox, &mut shared, b"abc");
        assert_eq!(flush(&mut outbox, &mut shared, 0, 1), b"a");
        assert_eq!(outbox.flush(&mut shared, Time::ZERO, &mut Broken), Err("broken"));
        assert!(outbox.is_flushed() && !outbox.is_blocked());
        assert!(outbox.take_empty().is_some());
    }
}
