//! The interface of a runtime.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use enginewire::Time;
use futures_io::{AsyncRead, AsyncWrite};

use crate::clock::Clock;

/// Sockets, timers and tasks of one asynchronous runtime.
///
/// The driver relies on two habits that all runtimes share. A read that is pending has taken no data, so that one
/// read buffer serves all connections of a thread. A task that is woken while it runs runs again.
pub trait Runtime: Clone + Send + Sync + fmt::Debug + 'static {
    /// A TCP connection. Small writes must go out at once (`TCP_NODELAY`), or when they are flushed,
    /// as all are, if the stream encrypts.
    type Stream: Stream;
    /// A listening TCP socket.
    type Listener: Send + Sync + 'static;
    /// Completes at a point in time, or later. Its output is ignored.
    type Sleep: Future + Send + 'static;

    /// Returns an error if the caller is outside of the runtime. Sockets and timers cannot be used
    /// there.
    ///
    /// Called before a server starts. Default: no error.
    ///
    /// # Errors
    ///
    /// The reason.
    fn ensure_entered(&self) -> io::Result<()> {
        Ok(())
    }

    /// Runs `task` to its end, beside the caller.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Completes when [`clock`](Self::clock) has reached `deadline`.
    fn sleep_until(&self, deadline: Time) -> Self::Sleep;

    /// Returns the clock of this value and its clones.
    fn clock(&self) -> Clock;

    /// Listens on `address`, best with what [`listen`](crate::listen) gives.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// The address that `listener` is bound to.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Accepts the next connection. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn accept(
        &self,
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// Looks up the addresses of a host. They are in the order in which the system prefers them.
    ///
    /// `host` is a name. The client itself reads addresses, and chooses the order of attempts among
    /// several (RFC 8305).
    ///
    /// # Errors
    ///
    /// The errors of looking up the name.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to one address, without TLS.
    ///
    /// Dropping the future drops the attempt: several are made at a time, and the first to succeed
    /// ends the others.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Takes the connection of a request over from its HTTP server.
    ///
    /// The server has put it into the extensions of the request. Returns `None` if there is none: the request cannot go on as a WebSocket then. Default: none.
    #[cfg(feature = "tower")]
    fn upgraded(_extensions: &mut http::Extensions) -> Option<crate::tower::Upgraded> {
        None
    }
}

/// A connection that the driver reads and writes.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Completes when there may be something to read, as far as the system knows.
    ///
    /// Asked before a read that follows one which left room in its buffer: for runtimes that would try it, and
    /// pay a system call, to learn that there is nothing. Default: completes at once, as it must whenever the stream
    /// itself has something left, decrypted or not.
    fn poll_readable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A stream that the application brings, on the heap.
pub(crate) struct BoxedStream(Pin<Box<dyn AsyncReadWrite>>);

/// The content of a [`BoxedStream`].
pub(crate) trait AsyncReadWrite: AsyncRead + AsyncWrite + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + 'static> AsyncReadWrite for S {}

impl BoxedStream {
    pub(crate) fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl Stream for BoxedStream {}

impl AsyncRead for BoxedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for BoxedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_close(cx)
    }
}

/// Fills `buffer` with bytes that cannot be guessed: session ids are made of them.
///
/// # Panics
///
/// If the operating system has none to give, as nothing secure can be done then.
#[expect(clippy::expect_used, reason = "a server without entropy must not serve")]
pub(crate) fn fill_random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}
