//! Socket.IO and Engine.IO, the transport under it, on smol.
//!
//! A Socket.IO server: what one client says, all others hear.
//!
//! ```no_run
//! use enginewire_smol::{ServerBuilder, socketio::{Io, Socket}};
//!
//! fn main() -> std::io::Result<()> {
//!     smol::block_on(async {
//!         let io = Io::new();
//!         let clients = io.namespace("/");
//!         let server = ServerBuilder::new().socketio(&io).bind("127.0.0.1:3000").await?;
//!         println!("http://{}", server.local_addr());
//!         clients.serve(talk).await;
//!         Ok(())
//!     })
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
//! The [guide](https://docs.rs/enginewire-tokio/latest/enginewire_tokio/guide/) in the docs of `enginewire-tokio` has a
//! recipe for each task; here only `main` and timers differ. [`socketio`] is the module of all that,
//! [`Routes`](socketio::Routes) the same with handlers.
//!
//! An Engine.IO server, the channel alone:
//!
//! ```no_run
//! use enginewire_smol::ServerBuilder;
//!
//! fn main() -> std::io::Result<()> {
//!     smol::block_on(async {
//!         let server = ServerBuilder::new().bind("127.0.0.1:3000").await?;
//!         while let Some(mut socket) = server.accept().await {
//!             smol::spawn(async move {
//!                 while let Some(message) = socket.recv().await {
//!                     if socket.send(message).await.is_err() {
//!                         break;
//!                     }
//!                 }
//!             })
//!             .detach();
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Cancel safety and back-pressure are the driver's: see [`Socket`].
//!
//! # Executors
//!
//! Smol is sockets and timers (`async-io`) to which everybody brings an executor. By default the
//! connections have one to themselves, an `async-executor` with a thread per core, which is all that
//! the `async-global-executor` would add here. [`Smol::spawning`] puts them beside the
//! application's tasks instead, where a message changes no thread on its way:
//!
//! ```
//! use enginewire_smol::{ServerBuilder, Smol};
//!
//! let builder = ServerBuilder::on(Smol::spawning(|task| smol::spawn(task).detach()));
//! ```
//!
//! # Features
//!
//! `admin`: the module `socketio::admin`, the server side of the admin UI of Socket.IO.
//! `metrics`: the module `metrics`, which gives the counts of servers to the `metrics` crate.
//! `tracing`: a span per connection and events, of the `tracing` crate, without session ids. `testing`: the module
//! `testing`, to test applications on memory instead of sockets. `deflate`: compression, which stays off until
//! `PerMessageDeflate` or `HttpCompression` is set. `tls`: TLS by rustls, with ring unless the process has another crypto
//! provider. `tls-no-provider`: the same without ring. `redis`: the module `redis`, with which nodes are a
//! cluster, also with those of Node.js.

// Badges of features. docs.rs builds with a nightly compiler.
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    io,
    net::SocketAddr,
    num::NonZero,
    pin::Pin,
    sync::{Arc, Once},
    task::{Context, Poll},
    thread,
};

use async_executor::Executor;
use async_io::{Async, Timer};
use async_net::{TcpListener, TcpStream};
use enginewire::Time;
use enginewire_driver::{Clock, InstantClock};
use futures_io::{AsyncRead, AsyncWrite};

pub use enginewire;
#[cfg(feature = "deflate")]
#[doc(inline)]
pub use enginewire_driver::{HttpCompression, PerMessageDeflate};
/// Socket.IO: servers and clients. The types are those of [`enginewire_driver::socketio`].
///
/// An [`Io`](socketio::Io) is a server. A client has a socket for each namespace:
///
/// ```no_run
/// use enginewire_smol::socketio::{self, ClientError};
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
    enginewire_driver::socketio_exports!(crate::Smol);
}

/// A bus on Redis between the nodes of a cluster. See [`enginewire_cluster::redis`].
#[cfg(feature = "redis")]
pub mod redis {
    enginewire_cluster::redis_exports!(crate::Smol);
}

/// Tests of applications without ports and sockets. See [`enginewire_driver::testing`].
#[cfg(feature = "testing")]
pub mod testing {
    #[cfg(feature = "socketio")]
    pub use enginewire_driver::testing::{
        MemoryBus, MemoryNetwork, TestClient, TestConnectError, TestEvent, TestSocket,
    };

    /// Server and a network in memory that leads to it. See [`enginewire_driver::testing::TestLink`].
    pub type TestLink = enginewire_driver::testing::TestLink<crate::Smol>;
}

/// Counts of servers for the `metrics` crate. See [`enginewire_driver::metrics`].
#[cfg(feature = "metrics")]
pub mod metrics {
    pub use enginewire_driver::metrics::describe;
}

enginewire_driver::exports!(Smol);

/// The unit of work that an executor runs.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The sockets and timers of smol, and an executor.
#[derive(Clone, Copy, Debug)]
pub struct Smol {
    clock: InstantClock,
    spawn: fn(Task),
}

impl Smol {
    /// Runs tasks by `spawn`, which must see to it that each gets to its end.
    pub fn spawning(spawn: fn(Task)) -> Self {
        Self { clock: InstantClock::default(), spawn }
    }
}

/// Runs tasks on threads of its own, as many as there are processors.
///
/// # Panics
///
/// When the first task is spawned, if the system starts no thread.
impl Default for Smol {
    fn default() -> Self {
        Self::spawning(spawn_on_own_threads)
    }
}

impl enginewire_driver::Runtime for Smol {
    type Stream = Stream;
    type Listener = TcpListener;
    type Sleep = Timer;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.spawn)(Box::pin(task));
    }

    fn sleep_until(&self, deadline: Time) -> Timer {
        self.clock.instant(deadline).map_or_else(Timer::never, Timer::at)
    }

    fn clock(&self) -> Clock {
        self.clock.into()
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        Ok(Async::new(enginewire_driver::listen(address)?)?.into())
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
        async_net::resolve((host, port)).await
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Stream(stream))
    }
}

/// A TCP connection of smol's.
#[derive(Clone, Debug)]
pub struct Stream(TcpStream);

impl enginewire_driver::Stream for Stream {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Arc::<Async<_>>::from(self.0.clone()).poll_readable(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
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
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// Runs `task` on the executor that is only ours, which has its threads from the first task on.
#[expect(clippy::expect_used, reason = "without a thread nothing would ever run")]
fn spawn_on_own_threads(task: Task) {
    static EXECUTOR: Executor<'static> = Executor::new();
    static THREADS: Once = Once::new();
    THREADS.call_once(|| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            let thread = thread::Builder::new().name("enginewire-smol".into());
            let run = || async_io::block_on(EXECUTOR.run(std::future::pending::<()>()));
            thread.spawn(run).expect("the operating system has room for a thread per core");
        }
    });
    EXECUTOR.spawn(task).detach();
}

/// The README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
