//! Socket.IO and Engine.IO, the transport under it, on tokio.
//!
//! A Socket.IO server: what one client says, all others hear.
//!
//! ```no_run
//! use enginewire_tokio::{ServerBuilder, socketio::{Io, Socket}};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = Io::new();
//!     let clients = io.namespace("/");
//!     let server = ServerBuilder::new().socketio(&io).bind("127.0.0.1:3000").await?;
//!     println!("http://{}", server.local_addr());
//!     clients.serve(talk).await;
//!     Ok(())
//! }
//!
//! async fn talk(mut socket: Socket) {
//!     while let Some(event) = socket.recv().await {
//!         // As it came. Fails only if too many broadcasts wait to be delivered.
//!         if let Err(error) = socket.broadcast().forward(&event).await {
//!             eprintln!("{error}");
//!         }
//!     }
//! }
//! ```
//!
//! The [guide] has a recipe for each task, and tables for those who come from Node.js or socketioxide.
//! [`socketio`] is the module of all that, [`Routes`](socketio::Routes) the same with handlers.
//!
//! An Engine.IO server, the channel alone:
//!
//! ```no_run
//! use enginewire_tokio::ServerBuilder;
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let server = ServerBuilder::new().bind("127.0.0.1:3000").await?;
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
//! Every future here but that of [`read_proxy_header`] may be dropped in a `select!` and nothing is lost. A session or message is either returned or
//! still there. `send` has queued its message if and only if it has completed. What `close` has begun goes on. Each
//! method says so of itself.
//!
//! # Back-pressure
//!
//! A peer that is slow makes [`send`](Sender::send) wait and
//! [`try_send`](Sender::try_send) give the message back. An application that is slow
//! to [`recv`](Socket::recv) slows its peer down by TCP. The bounds are in
//! [`Limits`].
//!
//! # Features
//!
//! `admin`: the module `socketio::admin`, the server side of the admin UI of Socket.IO.
//! `metrics`: the module `metrics`, which gives the counts of servers to the `metrics` crate.
//! `tracing`: a span per connection and events, of the `tracing` crate, without session ids. `testing`: the module
//! `testing`, to test applications on memory instead of sockets. `tower`: the module `tower`, with servers as services
//! beside an application of axum or hyper. `deflate`: compression, which stays off until `PerMessageDeflate` or
//! `HttpCompression` is set. `tls`: TLS by rustls, with ring unless the process has another crypto provider.
//! `tls-no-provider`: the same without ring. `redis`: the module `redis`, with which nodes are a cluster, also with those
//! of Node.js.

// Badges of features. docs.rs builds with a nightly compiler.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "socketio")]
pub mod guide;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use enginewire::Time;
use enginewire_driver::{Clock, InstantClock};
use futures_io::{AsyncRead, AsyncWrite};
use tokio::{
    io::ReadBuf,
    net::{TcpListener, TcpStream},
};

pub use enginewire;
#[cfg(feature = "deflate")]
#[doc(inline)]
pub use enginewire_driver::{HttpCompression, PerMessageDeflate};
/// Socket.IO: servers and clients. The types are those of [`enginewire_driver::socketio`].
///
/// An [`Io`](socketio::Io) is a server. A client has a socket for each namespace:
///
/// ```no_run
/// use enginewire_tokio::socketio::{self, ClientError};
///
/// async fn run() -> Result<(), ClientError> {
///     let mut socket = socketio::connect("http://localhost:3000/chat").await?;
///     socket.emit("join", "lobby").await.ok();
///     while let Some(event) = socket.recv().await {
///         println!("{}", event.name());
///     }
///     Ok(())
/// }
/// ```
#[cfg(feature = "socketio")]
pub mod socketio {
    enginewire_driver::socketio_exports!(crate::Tokio);
}

/// A bus on Redis between the nodes of a cluster. See [`enginewire_cluster::redis`].
#[cfg(feature = "redis")]
pub mod redis {
    enginewire_cluster::redis_exports!(crate::Tokio);
}

#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tower")]
#[doc(inline)]
pub use enginewire_driver::tower;
#[cfg(feature = "tower")]
mod upgraded;

/// Counts of servers for the `metrics` crate. See [`enginewire_driver::metrics`].
#[cfg(feature = "metrics")]
pub mod metrics {
    pub use enginewire_driver::metrics::describe;
}

enginewire_driver::exports!(Tokio);

/// The tokio runtime that the calling thread is in.
///
/// Its clock is that of `tokio::time`, so tests with `start_paused` run on virtual time.
///
/// # Panics
///
/// Clients open sessions inside a runtime whose I/O and time are enabled; elsewhere they panic. A server that is bound
/// outside of a runtime is an error.
#[derive(Clone, Copy, Debug)]
pub struct Tokio {
    clock: InstantClock,
}

impl Default for Tokio {
    fn default() -> Self {
        Self { clock: InstantClock::of(|| tokio::time::Instant::now().into_std()) }
    }
}

impl enginewire_driver::Runtime for Tokio {
    type Stream = Stream;
    type Listener = TcpListener;
    type Sleep = tokio::time::Sleep;

    fn ensure_entered(&self) -> io::Result<()> {
        match tokio::runtime::Handle::try_current() {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::other(format!("there is no tokio runtime here: {error}"))),
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn sleep_until(&self, deadline: Time) -> Self::Sleep {
        match self.clock.instant(deadline) {
            Some(deadline) => tokio::time::sleep_until(deadline.into()),
            None => tokio::time::sleep(Duration::MAX),
        }
    }

    fn clock(&self) -> Clock {
        self.clock.into()
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

    #[cfg(feature = "tower")]
    fn upgraded(extensions: &mut http::Extensions) -> Option<tower::Upgraded> {
        extensions
            .remove()
            .map(|connection| tower::Upgraded::new(upgraded::Upgraded::new(connection)))
    }
}

/// A stream with the traits of tokio, for the driver. It is a [`TcpStream`], or one for
/// [`ServerHandle::serve`].
///
/// [`TcpStream`]: https://docs.rs/tokio/1/tokio/net/struct.TcpStream.html
#[derive(Debug)]
pub struct Stream<S = TcpStream>(pub S);

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static>
    enginewire_driver::Stream for Stream<S>
{
}

impl<S: tokio::io::AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = unconstrained(cx, |cx| Pin::new(&mut self.0).poll_read(cx, &mut buffer));
        read.map_ok(|()| buffer.filled().len())
    }
}

impl<S: tokio::io::AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        unconstrained(cx, |cx| Pin::new(&mut self.0).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        unconstrained(cx, |cx| Pin::new(&mut self.0).poll_write_vectored(cx, slices))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Polls without counting towards the budget of the task.
///
/// The driver lets other tasks have their turn by itself. A [handler](ServerBuilder::handler) in the same task may have
/// used the budget up, each time that it is polled; its connection is to be read and written all the same.
fn unconstrained<T>(
    cx: &mut Context<'_>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let poll = std::pin::pin!(tokio::task::unconstrained(std::future::poll_fn(poll)));
    poll.poll(cx)
}

/// The README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
