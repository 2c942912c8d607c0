//! Tests of applications without ports, sockets and real time.
//!
//! A [`TestLink`] is a server and a network in memory that leads to it. The application is the real one, and so are
//! the server and the clients: only TCP is replaced. The network can be [cut](TestLink::cut),
//! [frozen](TestLink::freeze) and [slowed down](TestLink::slow), by the clock of the runtime.
//!
//! On tokio that clock can be paused, so that a test of minutes takes microseconds: see `enginewire_tokio::testing`.
//!
//! ```no_run
//! use enginewire_driver::{Runtime, socketio::Io, testing::TestLink};
//!
//! async fn test<R: Runtime + Default>(io: &Io) -> Result<(), Box<dyn std::error::Error>> {
//!     let link = TestLink::<R>::new(io);
//!     let mut anna = link.connect("/").await?;
//!     anna.emit("say", &"hello").await?;
//!     let event = anna.recv().await.ok_or("disconnected")?;
//!     assert_eq!((event.name(), event.data()?), ("said", "hello"));
//!     let length: usize = anna.emit_with_ack("measure", &"hello").await?;
//!     assert_eq!(length, 5);
//!     Ok(())
//! }
//! ```
//!
//! Several nodes of a cluster in one process have a `MemoryNetwork` between them, whose messages can be held, lost and
//! doubled.
//!
//! A test without any runtime has `enginewire_socketio::testing::Pair`, whose steps are all the test's.

mod link;
#[cfg(feature = "socketio")]
mod memory_bus;
#[cfg(feature = "socketio")]
mod memory_log;
mod network;
#[cfg(feature = "socketio")]
mod socketio;

pub use self::link::TestLink;
#[cfg(feature = "socketio")]
pub use self::memory_bus::{MemoryBus, MemoryNetwork};
#[cfg(feature = "socketio")]
pub use self::socketio::{TestClient, TestConnectError, TestEvent, TestSocket};
