//! From an output to a socket.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use enginewire::{
    carrier::{self, Written},
    wire::Output,
};
use futures_io::AsyncWrite;

/// A stream of a runtime, polled by a task.
pub(crate) struct Writer<'a, 'cx, S> {
    pub(crate) stream: &'a mut S,
    pub(crate) cx: &'a mut Context<'cx>,
}

impl<S: AsyncWrite + Unpin> carrier::Stream for Writer<'_, '_, S> {
    type Error = io::Error;

    #[inline]
    fn write(&mut self, output: &Output) -> io::Result<Written> {
        loop {
            match self.poll_write(output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => return Ok(Written::Some(n)),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(Written::Blocked),
            }
        }
    }

    #[inline]
    fn flush(&mut self) -> io::Result<bool> {
        loop {
            match Pin::new(&mut *self.stream).poll_flush(self.cx) {
                Poll::Ready(Ok(())) => return Ok(true),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(false),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Writer<'_, '_, S> {
    #[inline]
    fn poll_write(&mut self, output: &Output) -> Poll<io::Result<usize>> {
        let first = output.chunk();
        let stream = Pin::new(&mut *self.stream);
        if first.len() == output.remaining() {
            return stream.poll_write(self.cx, first);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = output.chunks_vectored(&mut slices);
        stream.poll_write_vectored(self.cx, &slices[..filled])
    }
}

/// Slices given to one `writev`: eight large messages with what stands between them.
const SLICES: usize = 16;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use enginewire::{Time, carrier::Outbox};

    use super::*;

    /// Takes bytes, fails once with each of these errors before, and flushes when it is told to.
    #[derive(Default)]
    struct Stream {
        errors: Vec<io::ErrorKind>,
        flushes: bool,
        taken: Vec<u8>,
    }

    impl Stream {
        fn next_error(&mut self) -> Option<Poll<io::Result<usize>>> {
            Some(Poll::Ready(Err(self.errors.pop()?.into())))
        }
    }

    impl AsyncWrite for Stream {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.next_error().unwrap_or_else(|| {
                self.taken.extend_from_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            })
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.next_error() {
                Some(error) => error.map_ok(drop),
                None if self.flushes => Poll::Ready(Ok(())),
                None => Poll::Pending,
            }
        }

        fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(cx)
        }
    }

    fn flush(outbox: &mut Outbox, stream: &mut Stream, bytes: &[u8]) -> io::Result<bool> {
        let mut shared = Output::new();
        outbox.output(&mut shared).put_slice(bytes);
        let cx = &mut Context::from_waker(Waker::noop());
        outbox.flush(&mut shared, Time::ZERO, &mut Writer { stream, cx })
    }

    #[test]
    fn interrupted_calls_are_repeated_and_held_bytes_flushed_later() {
        let (mut outbox, mut stream) = (Outbox::new(), Stream::default());
        stream.errors = vec![io::ErrorKind::Interrupted; 2];
        assert!(!flush(&mut outbox, &mut stream, b"ab").unwrap());
        stream.errors = vec![io::ErrorKind::Interrupted];
        stream.flushes = true;
        assert!(flush(&mut outbox, &mut stream, b"").unwrap());
        assert_eq!(stream.taken, b"ab");
    }

    #[test]
    fn other_errors_end_the_connection() {
        let (mut outbox, mut stream) = (Outbox::new(), Stream::default());
        stream.errors = vec![io::ErrorKind::BrokenPipe];
        let error = flush(&mut outbox, &mut stream, b"ab").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
