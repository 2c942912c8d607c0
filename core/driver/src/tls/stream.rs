//! A stream that encrypts.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::fault::TlsFault;
use crate::{runtime::Stream, shared::Shared};

/// A stream that encrypts what goes through another.
///
/// Dropped, it tells the peer that nothing more comes (`close_notify`, RFC 8446 section 6.1), if that can be written at
/// once.
pub struct TlsStream<S: Stream> {
    inner: futures_rustls::TlsStream<Transport<S>>,
}

impl<S: Stream> TlsStream<S> {
    pub(super) fn new(inner: impl Into<futures_rustls::TlsStream<Transport<S>>>) -> Self {
        let mut inner = inner.into();
        inner.get_mut().0.server = None;
        Self { inner }
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (transport, connection) = self.inner.get_mut();
        // It wants nothing if it has decrypted bytes left, or will get nothing more.
        if !connection.wants_read() || !transport.drained {
            return Poll::Ready(Ok(()));
        }
        transport.stream.poll_readable(cx)
    }
}

impl<S: Stream> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.get_mut().0.reads = MAX_READS;
        Pin::new(&mut self.inner).poll_read(cx, buffer).map_err(TlsFault::explain)
    }
}

impl<S: Stream> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

impl<S: Stream> Drop for TlsStream<S> {
    fn drop(&mut self) {
        // Nothing to write if it was closed.
        let cx = &mut Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut self.inner).poll_close(cx);
    }
}

/// The stream under a [`TlsStream`], which knows whether it has anything left to read.
pub(super) struct Transport<S> {
    stream: S,
    /// The last read took all there was.
    drained: bool,
    /// Reads until other tasks have their turn. Many during the handshake, where rustls bounds what a peer may send.
    reads: u32,
    /// The server, during its handshake.
    server: Option<Arc<Shared>>,
    /// The server has ended the handshake.
    ended: bool,
}

impl<S> Transport<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, drained: false, reads: u32::MAX, server: None, ended: false }
    }

    /// Makes the stream of a handshake, which fails where it would wait once the server serves no more.
    pub(super) const fn of_handshake(stream: S, server: Arc<Shared>) -> Self {
        Self { stream, drained: false, reads: u32::MAX, server: Some(server), ended: false }
    }

    /// Returns whether the server has ended the handshake.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }
}

impl<S: Stream> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(reads) = self.reads.checked_sub(1) else {
            self.drained = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.reads = reads;
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        // The end stays to be read.
        self.drained = match read {
            Poll::Ready(Ok(n)) => 0 < n && n < buffer.len(),
            Poll::Ready(Err(_)) => false,
            Poll::Pending => true,
        };
        let is_over = |server: &Arc<Shared>| !server.sessions.lifecycle.is_serving();
        if read.is_pending() && self.server.take_if(|server| is_over(server)).is_some() {
            self.ended = true;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        read
    }
}

impl<S: Stream> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// Reads of up to 4 KiB each in which a peer may send nothing but records without content, before other tasks have their
/// turn: as much as fills the buffer of a thread.
const MAX_READS: u32 = 16;

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::Wake,
    };

    use super::*;

    /// Brings so many bytes with each read.
    struct Script(VecDeque<io::Result<usize>>);

    impl Stream for Script {}

    impl AsyncRead for Script {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.0.pop_front().map_or(Poll::Pending, Poll::Ready)
        }
    }

    impl AsyncWrite for Script {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// Reads into a buffer of ten bytes. Returns the result, and how often the task was woken.
    fn read(transport: &mut Transport<Script>) -> (Poll<Option<usize>>, usize) {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = &mut Context::from_waker(&waker);
        let read = Pin::new(transport).poll_read(cx, &mut [0; 10]);
        (read.map(Result::ok), count.0.load(SeqCst))
    }

    #[test]
    fn transport_is_drained_by_a_short_read_and_not_by_a_full_one_an_end_or_an_error() {
        let reset = Err(io::ErrorKind::ConnectionReset.into());
        let mut transport = Transport::new(Script([Ok(3), Ok(10), Ok(0), reset].into()));
        assert!(!transport.drained, "nobody knows");
        for (bytes, drained) in
            [(Some(3), true), (Some(10), false), (Some(0), false), (None, false)]
        {
            assert_eq!(read(&mut transport), (Poll::Ready(bytes), 0));
            assert_eq!(transport.drained, drained, "{bytes:?}");
        }
        assert_eq!(read(&mut transport), (Poll::Pending, 0));
        assert!(transport.drained);
    }

    #[test]
    fn transport_that_never_ends_lets_other_tasks_have_their_turn() {
        let mut transport = Transport::new(Script((0..4).map(|_| Ok(3)).collect()));
        transport.reads = 2;
        for _ in 0..2 {
            assert_eq!(read(&mut transport), (Poll::Ready(Some(3)), 0));
        }
        // The task is woken at once, and knows that there may be more.
        assert_eq!(read(&mut transport), (Poll::Pending, 1));
        assert!(!transport.drained);
        transport.reads = 2;
        assert_eq!(read(&mut transport), (Poll::Ready(Some(3)), 0));
    }
}
