//! A stream that encrypts.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::fault::TlsFault;
use crate::runtime::Stream;

/// A stream that encrypts what goes through another.
///
/// Dropped, it tells the peer that nothing more comes (`close_notify`, RFC 8446 section 6.1), if that can be written at
/// once.
pub(crate) struct TlsStream<S: Stream> {
    inner: futures_rustls::TlsStream<Transport<S>>,
}

impl<S: Stream> TlsStream<S> {
    pub(super) fn new(inner: impl Into<futures_rustls::TlsStream<Transport<S>>>) -> Self {
        Self { inner: inner.into() }
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
}

impl<S> Transport<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, drained: false }
    }
}

impl<S: Stream> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        // The end stays to be read.
        self.drained = match read {
            Poll::Ready(Ok(n)) => 0 < n && n < buffer.len(),
            Poll::Ready(Err(_)) => false,
            Poll::Pending => true,
        };
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
