//! A connection that an HTTP server hands over, as a WebSocket.

use std::{
    future::Future,
    io, mem,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use enginewire::carrier;
use futures_io::{AsyncRead, AsyncWrite};
use hyper::{
    rt::{ReadBuf, Write as _},
    upgrade::{OnUpgrade, Upgraded},
};

use crate::{
    cell::SessionCell,
    connection::Connection,
    handler::Slot,
    runtime::{Runtime, Stream},
    shared::Shared,
};

/// A WebSocket whose handshake has been accepted. Its connection is handed over once the response has been written.
pub(crate) struct Upgrading {
    pub(super) shared: Arc<Shared>,
    pub(super) peer_addr: SocketAddr,
    pub(super) connection: OnUpgrade,
    pub(super) upgrade: carrier::Upgrade<Arc<SessionCell>>,
    pub(super) slot: Option<Box<Slot>>,
}

impl Upgrading {
    /// Makes the task of the connection.
    pub(crate) fn into_task<R: Runtime>(self) -> impl Future<Output = ()> + Send + 'static {
        let Self { shared, peer_addr, connection, upgrade, slot } = self;
        let stream = UpgradedStream::<R>(State::Waiting(connection));
        Connection::upgraded(shared, stream, peer_addr, upgrade, slot)
    }
}

/// A stream that takes no bytes and brings none until its connection has been handed over.
struct UpgradedStream<R: Runtime>(State<R>);

enum State<R: Runtime> {
    Waiting(OnUpgrade),
    /// A connection as the runtime accepts them, and bytes that the HTTP server has read from it.
    Own {
        early: Bytes,
        stream: R::Stream,
    },
    /// A stream of HTTP/2, or one that decrypts.
    Any(Upgraded),
    /// The HTTP server does not hand it over: its client has gone, or middleware has responded.
    Failed,
}

impl<R: Runtime> State<R> {
    fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Waiting(connection) = self {
            let result = ready!(Pin::new(connection).poll(cx));
            *self = match result.map(R::take_over) {
                Ok(Ok((stream, early))) => Self::Own { early, stream },
                Ok(Err(upgraded)) => Self::Any(upgraded),
                Err(_) => Self::Failed,
            };
        }
        Poll::Ready(match self {
            Self::Failed => Err(io::ErrorKind::NotConnected.into()),
            _ => Ok(()),
        })
    }
}

impl<R: Runtime> Stream for UpgradedStream<R> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            State::Own { early, stream } if early.is_empty() => stream.poll_readable(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<R: Runtime> AsyncRead for UpgradedStream<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.0.poll_connected(cx))?;
        match &mut self.0 {
            State::Own { early, .. } if !early.is_empty() => {
                let length = early.len().min(buffer.len());
                early.copy_to_slice(&mut buffer[..length]);
                if early.is_empty() {
                    // The storage as well.
                    drop(mem::take(early));
                }
                Poll::Ready(Ok(length))
            }
            State::Own { stream, .. } => Pin::new(stream).poll_read(cx, buffer),
            State::Any(upgraded) => {
                let mut buffer = ReadBuf::new(buffer);
                ready!(hyper::rt::Read::poll_read(Pin::new(upgraded), cx, buffer.unfilled()))?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
            State::Waiting(_) | State::Failed => Poll::Pending,
        }
    }
}

impl<R: Runtime> AsyncWrite for UpgradedStream<R> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.0.poll_connected(cx))?;
        match &mut self.0 {
            State::Own { stream, .. } => Pin::new(stream).poll_write(cx, bytes),
            State::Any(upgraded) => Pin::new(upgraded).poll_write(cx, bytes),
            State::Waiting(_) | State::Failed => Poll::Pending,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.0.poll_connected(cx))?;
        match &mut self.0 {
            State::Own { stream, .. } => Pin::new(stream).poll_write_vectored(cx, slices),
            State::Any(upgraded) => Pin::new(upgraded).poll_write_vectored(cx, slices),
            State::Waiting(_) | State::Failed => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_connected(cx))?;
        match &mut self.0 {
            State::Own { stream, .. } => Pin::new(stream).poll_flush(cx),
            State::Any(upgraded) => Pin::new(upgraded).poll_flush(cx),
            State::Waiting(_) | State::Failed => Poll::Pending,
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_connected(cx))?;
        match &mut self.0 {
            State::Own { stream, .. } => Pin::new(stream).poll_close(cx),
            State::Any(upgraded) => Pin::new(upgraded).poll_shutdown(cx),
            State::Waiting(_) | State::Failed => Poll::Pending,
        }
    }
}
