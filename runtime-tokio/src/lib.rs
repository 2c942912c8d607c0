//! Engine.IO on tokio: server and client, the transport under Socket.IO.
//!
//! ```no_run
//! use enginewire_tokio::Server;
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let server = Server::builder().bind("127.0.0.1:3000").await?;
//!     while let Some(mut socket) = server.accept().await {
//!         tokio::spawn(async move {
//!             while let Some(message) = socket.recv().await {
//!                 if socket.send(message).await.is_err() {
//!                     break;
//!                 }
//!             }
//!         });
//!     }
//!     Ok(())
//! }
//! ```
//!
//! And a client:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut socket = enginewire_tokio::Client::connect("http://127.0.0.1:3000").await?;
//! socket.send("hello").await?;
//! println!("{:?}", socket.recv().await);
//! # Ok(())
//! # }
//! ```
//!
//! # Cancel safety
//!
//! Every future here may be dropped in a `select!` and nothing is lost: a session or message is either
//! returned or still there, `send` has queued its message if and only if it has completed, and what
//! `close` has begun goes on. Each method says so of itself.
//!
//! # Back-pressure
//!
//! A peer that is slow makes [`send`](enginewire_driver::Socket::send) wait and
//! [`try_send`](enginewire_driver::Socket::try_send) give the message back. An application that is slow
//! to [`recv`](enginewire_driver::Socket::recv) slows its peer down by TCP. The bounds are in
//! [`Limits`](enginewire::Limits).
//!
//! # Features
//!
//! `tracing`: a span per connection and events, of the `tracing` crate, without session ids.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use enginewire::Time;
use enginewire_driver::Clock;
use futures_io::{AsyncRead, AsyncWrite};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::{TcpListener, TcpStream},
};

pub use enginewire;
pub use enginewire_driver::{ConnectError, Handshake};

enginewire_driver::aliases!(Tokio);

/// The tokio runtime that the calling thread is in.
///
/// # Panics
///
/// Servers listen and clients open sessions inside a runtime whose I/O and time are enabled; elsewhere
/// they panic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio {
    clock: Clock,
}

impl enginewire_driver::Runtime for Tokio {
    type Stream = Stream;
    type Listener = TcpListener;
    type Sleep = tokio::time::Sleep;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn sleep_until(&self, deadline: Time) -> Self::Sleep {
        match self.clock.instant(deadline) {
            Some(deadline) => tokio::time::sleep_until(deadline.into()),
            None => tokio::time::sleep(Duration::MAX),
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::from_std(enginewire_driver::listen(address)?)
    }

    fn local_addr(&self, listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer_addr) = listener.accept().await?;
        // A connection that is gone already fails here, and will be found to be gone.
        let _ = stream.set_nodelay(true);
        Ok((Stream(stream), peer_addr))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Stream(stream))
    }
}

/// A tokio stream with the traits that the driver wants.
#[derive(Debug)]
pub struct Stream(TcpStream);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        Pin::new(&mut self.0).poll_read(cx, &mut buffer).map_ok(|()| buffer.filled().len())
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
