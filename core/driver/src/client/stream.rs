//! The streams of a client: the runtime's, or those of a connector.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use enginewire::Url;
use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::{BoxedStream, Stream};
#[cfg(feature = "tls-no-provider")]
use crate::tls::TlsStream;

/// Opens the connections of a client, in place of the runtime.
pub(super) type ConnectHook = Arc<dyn Fn(Url) -> Opening + Send + Sync>;

/// A connection that the application is opening, and the address at its other end.
type Opening = Pin<Box<dyn Future<Output = io::Result<(BoxedStream, SocketAddr)>> + Send>>;

/// Stream of a client's connection.
pub(super) enum ClientStream<S: Stream> {
    /// Of the runtime.
    Runtime(S),
    /// Of a [`ConnectHook`], or encrypted by the application.
    Brought(BoxedStream),
    /// One of the others, encrypted. Boxed, because it is ten times as large.
    #[cfg(feature = "tls-no-provider")]
    Tls(Box<TlsStream<ClientStream<S>>>),
}

/// The same for either kind.
macro_rules! each {
    ($stream:expr, $name:ident => $work:expr) => {
        match $stream {
            ClientStream::Runtime($name) => $work,
            ClientStream::Brought($name) => $work,
            #[cfg(feature = "tls-no-provider")]
            ClientStream::Tls($name) => $work,
        }
    };
}

impl<S: Stream> Stream for ClientStream<S> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_readable(cx))
    }
}

impl<S: Stream> AsyncRead for ClientStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl<S: Stream> AsyncWrite for ClientStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_close(cx))
    }
}
