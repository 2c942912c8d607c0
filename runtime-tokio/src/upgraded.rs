//! Connections that hyper hands over.

use std::{
    future::Future as _,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_io::{AsyncRead, AsyncWrite};
use hyper::upgrade::OnUpgrade;
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::net::TcpStream;

use crate::Stream;

/// The connection of a request, once hyper has written the response to it.
pub(crate) struct Upgraded(State);

enum State {
    Waiting(OnUpgrade),
    /// A connection without the layers of the HTTP server, and bytes that it has read.
    Own {
        early: Bytes,
        stream: Stream,
    },
    /// A stream of HTTP/2, or one that decrypts.
    Any(Stream<TokioIo<hyper::upgrade::Upgraded>>),
    /// It is not handed over: its client has gone, or middleware has responded.
    Failed,
}

impl Upgraded {
    pub(crate) const fn new(connection: OnUpgrade) -> Self {
        Self(State::Waiting(connection))
    }
}

impl State {
    /// Waits for the connection. Returns the state with it.
    fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Self>> {
        if let Self::Waiting(connection) = self {
            let result = ready!(Pin::new(connection).poll(cx));
            *self = result.map_or(Self::Failed, |connection| {
                unwrap(connection).unwrap_or_else(|any| Self::Any(Stream(TokioIo::new(any))))
            });
        }
        Poll::Ready(match self {
            Self::Failed => Err(io::ErrorKind::NotConnected.into()),
            _ => Ok(self),
        })
    }
}

/// Takes the TCP connection out, as `axum::serve` has it, or hyper alone.
fn unwrap(connection: hyper::upgrade::Upgraded) -> Result<State, hyper::upgrade::Upgraded> {
    let (stream, early) = match auto::upgrade::downcast::<TokioIo<TcpStream>>(connection) {
        Ok(parts) => (parts.io, parts.read_buf),
        Err(connection) => {
            let parts = connection.downcast::<TokioIo<TcpStream>>()?;
            (parts.io, parts.read_buf)
        }
    };
    let stream = stream.into_inner();
    // A connection that is gone already fails here, and will be found to be gone.
    let _ = stream.set_nodelay(true);
    Ok(State::Own { early, stream: Stream(stream) })
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.0.poll_connected(cx))? {
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
            State::Any(stream) => Pin::new(stream).poll_read(cx, buffer),
            State::Waiting(_) | State::Failed => Poll::Pending,
        }
    }
}

/// Calls a method of the stream that is there.
macro_rules! write_with {
    ($self:ident, $cx:ident, $method:ident($($argument:ident),*)) => {
        match ready!($self.0.poll_connected($cx))? {
            State::Own { stream, .. } => Pin::new(stream).$method($cx, $($argument),*),
            State::Any(stream) => Pin::new(stream).$method($cx, $($argument),*),
            State::Waiting(_) | State::Failed => Poll::Pending,
        }
    };
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        write_with!(self, cx, poll_write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        write_with!(self, cx, poll_write_vectored(slices))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        write_with!(self, cx, poll_flush())
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        write_with!(self, cx, poll_close())
    }
}
