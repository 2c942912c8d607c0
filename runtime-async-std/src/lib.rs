//! Socket.IO and Engine.IO, the transport under it, on async-std.
//!
//! **Async-std is discontinued** ([RUSTSEC-2025-0052](https://rustsec.org/advisories/RUSTSEC-2025-0052)).
//! This crate is for applications that use it already; new ones take `enginewire-tokio` or
//! `enginewire-smol`, whose handles are the same.
//!
//! A Socket.IO server: what one client says, all others hear.
//!
//! ```no_run
//! use enginewire_async_std::{ServerBuilder, socketio::{Io, Socket}};
//!
//! fn main() -> std::io::Result<()> {
//!     async_std::task::block_on(async {
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
//! use async_std::task;
//! use enginewire_async_std::ServerBuilder;
//!
//! fn main() -> std::io::Result<()> {
//!     task::block_on(async {
//!         let server = ServerBuilder::new().bind("127.0.0.1:3000").await?;
//!         while let Some(mut socket) = server.accept().await {
//!             task::spawn(async move {
//!                 while let Some(message) = socket.recv().await {
//!                     if socket.send(message).await.is_err() {
//!                         break;
//!                     }
//!                 }
//!             });
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Cancel safety and back-pressure are the driver's: see [`Socket`]. The feature `admin` gives the module
//! `socketio::admin`, the server side of the admin UI of Socket.IO. The
//! feature `tracing` gives a span per connection and events, without session ids. The feature `metrics` gives the counts of
//! servers to the `metrics` crate. The feature `testing` gives the module
//! `testing`, to test applications on memory instead of sockets. `tls` is TLS by rustls, with ring unless the process has
//! another crypto provider; `tls-no-provider` is the same without ring. `redis`: the module `redis`, with
//! which nodes are a cluster, also with those of Node.js.
//!
//! Only tasks are async-std's own. Its sockets and timers are smol's (`async-io`) by other names, so
//! those of `enginewire-smol` serve, and one reactor drives all.

// Badges of features. docs.rs builds with a nightly compiler.
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{io, net::SocketAddr};

use enginewire::Time;
use enginewire_driver::{Clock, Runtime};
use enginewire_smol::Smol;

pub use enginewire;
#[cfg(feature = "deflate")]
#[doc(inline)]
pub use enginewire_driver::{HttpCompression, PerMessageDeflate};
/// Socket.IO: servers and clients. The types are those of [`enginewire_driver::socketio`].
///
/// An [`Io`](socketio::Io) is a server. A client has a socket for each namespace:
///
/// ```no_run
/// use enginewire_async_std::socketio::{self, ClientError};
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
    enginewire_driver::socketio_exports!(crate::AsyncStd);
}

/// A bus on Redis between the nodes of a cluster. See [`enginewire_cluster::redis`].
#[cfg(feature = "redis")]
pub mod redis {
    enginewire_cluster::redis_exports!(crate::AsyncStd);
}

/// Tests of applications without ports and sockets. See [`enginewire_driver::testing`].
#[cfg(feature = "testing")]
pub mod testing {
    #[cfg(feature = "socketio")]
    pub use enginewire_driver::testing::{
        MemoryBus, MemoryNetwork, TestClient, TestConnectError, TestEvent, TestSocket,
    };

    /// Server and a network in memory that leads to it. See [`enginewire_driver::testing::TestLink`].
    pub type TestLink = enginewire_driver::testing::TestLink<crate::AsyncStd>;
}

/// Counts of servers for the `metrics` crate. See [`enginewire_driver::metrics`].
#[cfg(feature = "metrics")]
pub mod metrics {
    pub use enginewire_driver::metrics::describe;
}

enginewire_driver::exports!(AsyncStd);

/// The tasks of async-std, on the sockets and timers that it shares with smol.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd(Smol);

impl Runtime for AsyncStd {
    type Stream = <Smol as Runtime>::Stream;
    type Listener = <Smol as Runtime>::Listener;
    type Sleep = <Smol as Runtime>::Sleep;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        async_std::task::spawn(task);
    }

    fn sleep_until(&self, deadline: Time) -> Self::Sleep {
        self.0.sleep_until(deadline)
    }

    fn clock(&self) -> Clock {
        self.0.clock()
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<Self::Listener> {
        self.0.bind(address).await
    }

    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr> {
        self.0.local_addr(listener)
    }

    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        self.0.accept(listener).await
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.resolve(host, port).await
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        self.0.connect(to).await
    }
}

/// The README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
