//! From an output to a socket.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Buf;
use enginewire::{
    Time,
    carrier::{Outbox, Written},
    wire::Output,
};
use futures_io::AsyncWrite;

/// What one connection has to write.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    outbox: Outbox,
    /// Since when the stream, which has taken everything, has not let go of it.
    held: Option<Time>,
}

impl Writer {
    /// Where the next bytes for this connection go.
    pub(crate) fn output<'a>(&'a mut self, shared: &'a mut Output) -> &'a mut Output {
        self.outbox.output(shared)
    }

    /// Whether something is not out yet: the socket would not take everything.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.outbox.is_blocked() || self.held.is_some()
    }

    /// Bytes that wait for the socket.
    pub(crate) fn len(&self) -> usize {
        self.outbox.len()
    }

    /// When a peer that goes on taking nothing is given up, if something waits for it. How much of
    /// what it has taken a stream still holds is not to be seen: all of that is one piece.
    pub(crate) fn deadline(&self, patience: Duration) -> Option<Time> {
        let held = self.held.map(|since| since + patience);
        self.outbox.deadline(patience).or(held)
    }

    /// The thread goes on to other connections, which must not get what is in `shared`: keeps it for the
    /// next time, or drops it if there is none.
    #[inline]
    pub(crate) fn part_with(&mut self, shared: &mut Output, over: bool) {
        if over {
            shared.advance(shared.remaining());
        } else if !shared.is_empty() {
            self.outbox.keep(Box::new(std::mem::take(shared)));
        }
    }

    /// Writes what there is, and has the stream let go of it: one that encrypts may keep what it has
    /// taken. `Pending` if the socket would not take everything.
    #[inline]
    pub(crate) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        shared: &mut Output,
        cx: &mut Context<'_>,
        now: Time,
    ) -> Poll<io::Result<()>> {
        let writes = !(self.outbox.is_empty() && shared.is_empty());
        if writes {
            self.held = None;
        } else if self.held.is_none() {
            return Poll::Ready(Ok(()));
        }
        if !self.outbox.flush(shared, now, |output| poll_write(stream, output, cx))? {
            return Poll::Pending;
        }
        drop(self.outbox.take_empty());
        let released = poll_release(stream, cx);
        self.held = released.is_pending().then(|| self.held.unwrap_or(now));
        released
    }
}

fn poll_write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    output: &Output,
    cx: &mut Context<'_>,
) -> io::Result<Written> {
    loop {
        match poll_write_once(stream, output, cx) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => return Ok(Written::Some(n)),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(Written::Blocked),
        }
    }
}

fn poll_release<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        match Pin::new(&mut *stream).poll_flush(cx) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn poll_write_once<S: AsyncWrite + Unpin>(
    stream: &mut S,
    output: &Output,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let first = output.chunk();
    if first.len() == output.remaining() {
        return Pin::new(stream).poll_write(cx, first);
    }
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = output.chunks_vectored(&mut slices);
    Pin::new(stream).poll_write_vectored(cx, &slices[..filled])
}

/// Slices given to one `writev`: eight large messages with what stands between them.
const SLICES: usize = 16;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Takes so many bytes, and lets go of them when it is told to.
    #[derive(Default)]
    struct Stream {
        room: usize,
        lets_go: bool,
        interrupted: bool,
        kept: Vec<u8>,
        out: Vec<u8>,
        flushes: usize,
    }

    impl AsyncWrite for Stream {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let n = bytes.len().min(self.room);
            self.room -= n;
            self.kept.extend_from_slice(&bytes[..n]);
            if n == 0 { Poll::Pending } else { Poll::Ready(Ok(n)) }
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            if std::mem::take(&mut self.interrupted) {
                return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
            }
            if !self.lets_go {
                return Poll::Pending;
            }
            let kept = std::mem::take(&mut self.kept);
            self.out.extend(kept);
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(cx)
        }
    }

    /// Writes `bytes` and says whether everything is out.
    fn write(writer: &mut Writer, stream: &mut Stream, bytes: &[u8], now: Time) -> bool {
        let mut shared = Output::new();
        writer.output(&mut shared).put_slice(bytes);
        let cx = &mut Context::from_waker(Waker::noop());
        let written = writer.poll_flush(stream, &mut shared, cx, now);
        assert!(shared.is_empty());
        assert_eq!(writer.is_blocked(), written.is_pending());
        matches!(written, Poll::Ready(Ok(())))
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn what_a_stream_has_taken_is_not_out_before_it_lets_go_of_it() {
        let (mut writer, mut stream) = (Writer::default(), Stream::default());
        stream.room = usize::MAX;
        assert!(!write(&mut writer, &mut stream, b"ab", at(0)));
        assert!(!write(&mut writer, &mut stream, b"", at(1)));
        stream.lets_go = true;
        stream.interrupted = true;
        assert!(write(&mut writer, &mut stream, b"", at(2)));
        assert_eq!(stream.out, b"ab");
    }

    #[test]
    fn a_stream_is_flushed_once_after_the_last_byte_and_never_without_one() {
        let (mut writer, mut stream) = (Writer::default(), Stream::default());
        stream.lets_go = true;
        assert!(write(&mut writer, &mut stream, b"", at(0)));
        stream.room = 1;
        assert!(!write(&mut writer, &mut stream, b"ab", at(0)));
        assert_eq!(stream.flushes, 0);
        stream.room = 1;
        for _ in 0..3 {
            assert!(write(&mut writer, &mut stream, b"", at(0)));
            assert_eq!((stream.flushes, &*stream.out), (1, &b"ab"[..]));
        }
    }

    #[test]
    fn a_peer_for_which_a_stream_holds_everything_is_given_up_like_one_that_takes_nothing() {
        let (mut writer, mut stream) = (Writer::default(), Stream::default());
        stream.room = 3;
        for (now, bytes, deadline) in [(1, "ab", 31), (2, "", 31), (3, "c", 33), (4, "d", 34)] {
            assert!(!write(&mut writer, &mut stream, bytes.as_bytes(), at(now)));
            assert_eq!(writer.deadline(PATIENCE), Some(at(deadline)), "at {now}");
        }
        stream.room = 1;
        assert!(!write(&mut writer, &mut stream, b"", at(5)));
        assert_eq!(writer.deadline(PATIENCE), Some(at(35)));
        stream.lets_go = true;
        assert!(write(&mut writer, &mut stream, b"", at(6)));
        assert_eq!(writer.deadline(PATIENCE), None);
    }
}
