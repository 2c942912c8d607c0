//! Streams that hold the driver to what it says about them: they keep what they have taken until they
//! are flushed, as those do that encrypt, and will not be read for nothing.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use enginewire::Time;
use enginewire_driver::{Clock, Runtime, Stream};
use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::{Host, connect};

on_every_runtime!(echoes_come_back_through_strict_streams);

fn echoes_come_back_through_strict_streams<R: Host>() {
    connect::texts_and_bytes_come_back_over_each_transport_and_revision::<Strict<R>>();
}

/// A runtime with such streams on both sides.
#[derive(Clone, Debug, Default)]
struct Strict<R>(R);

impl<R: Host> Host for Strict<R> {
    #[cfg(target_os = "linux")]
    const SERVER: &str = R::SERVER;
    #[cfg(target_os = "linux")]
    const CLIENT: &str = R::CLIENT;
}

impl<R: Host> enginewire_tests::host::Host for Strict<R> {
    fn host<T>(work: impl FnOnce() -> T) -> T {
        R::host(work)
    }
}

impl<R: Runtime> Runtime for Strict<R> {
    type Stream = StrictStream<R::Stream>;
    type Listener = R::Listener;
    type Sleep = R::Sleep;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    fn sleep_until(&self, deadline: Time) -> R::Sleep {
        self.0.sleep_until(deadline)
    }

    fn clock(&self) -> Clock {
        self.0.clock()
    }

    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<R::Listener>> + Send {
        self.0.bind(address)
    }

    fn local_addr(&self, listener: &R::Listener) -> io::Result<SocketAddr> {
        self.0.local_addr(listener)
    }

    async fn accept(&self, listener: &R::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer_addr) = self.0.accept(listener).await?;
        Ok((StrictStream::new(stream), peer_addr))
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        self.0.resolve(host, port)
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        self.0.connect(to).await.map(StrictStream::new)
    }
}

struct StrictStream<S> {
    inner: S,
    /// What was taken and is not out.
    kept: Vec<u8>,
    /// Its flush has begun, which is all that the first call for one does.
    begun: bool,
    /// The last read took all there was, and nobody has asked whether there is more.
    drained: bool,
    /// Reads against what the stream has said.
    vain: usize,
}

impl<S: Stream> Stream for StrictStream<S> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let readable = self.inner.poll_readable(cx);
        self.drained &= readable.is_pending();
        readable
    }
}

impl<S> StrictStream<S> {
    /// Bytes that are taken without being flushed: as many as a record of TLS holds.
    const MAX: usize = 16 * 1024;

    /// Reads for nothing, each after a response of polling that came while this was a WebSocket being probed.
    const MAX_VAIN: usize = 3;

    fn new(inner: S) -> Self {
        Self { inner, kept: Vec::new(), begun: false, drained: false, vain: 0 }
    }
}

impl<S: AsyncWrite + Unpin> StrictStream<S> {
    fn poll_let_go(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.kept))?;
            self.kept.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StrictStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.vain += usize::from(self.drained);
        if self.vain > Self::MAX_VAIN {
            return Poll::Ready(Err(io::Error::other("it was read without asking whether to")));
        }
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.drained = matches!(read, Poll::Ready(Ok(n)) if n < buffer.len());
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StrictStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.kept.len() == Self::MAX {
            ready!(self.poll_let_go(cx))?;
        }
        let n = bytes.len().min(Self::MAX - self.kept.len());
        self.kept.extend_from_slice(&bytes[..n]);
        self.begun = false;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.begun, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_let_go(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_let_go(cx))?;
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
