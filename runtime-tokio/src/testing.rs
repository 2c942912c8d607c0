//! Tests of applications without ports, sockets and real time. See [`enginewire_driver::testing`].
//!
//! With `start_paused` the clock of tokio stands still while any task can run, and jumps to the next deadline when none
//! can. Bytes of a [`TestLink`] are known to it, those of a socket are not. So a test of minutes takes microseconds, and
//! its times are exact:
//!
//! ```
//! use std::time::Duration;
//!
//! use enginewire_tokio::{
//!     socketio::{DisconnectReason, Io, Socket},
//!     testing::TestLink,
//! };
//! use tokio::time::Instant;
//!
//! /// The application under test.
//! async fn talk(mut socket: Socket) {
//!     while let Some(event) = socket.recv().await {
//!         let _ = socket.broadcast().forward(&event).await;
//!     }
//!     let _ = socket.broadcast().emit("left", &()).await;
//! }
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)] // In a test: `#[tokio::test(start_paused = true)]`.
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let io = Io::new();
//!     let link = TestLink::new(&io);
//!     let chat = io.namespace("/");
//!     tokio::spawn(async move { chat.serve(talk).await });
//!
//!     // Real clients of the real server. The second has a network of its own.
//!     let mut anna = link.connect("/").await?;
//!     let laptop = link.another();
//!     let mut bert = laptop.connect("/").await?;
//!     bert.emit("say", &"hello").await?;
//!     assert_eq!(anna.recv().await.unwrap().data::<&str>()?, "hello");
//!
//!     // The laptop is shut: no FIN, nothing. The heartbeat notices after 25 s and 20 s.
//!     let before = Instant::now();
//!     laptop.freeze();
//!     assert_eq!(anna.recv().await.unwrap().name(), "left");
//!     assert!(before.elapsed() <= Duration::from_secs(45));
//!
//!     // The client notices as well: no ping has come.
//!     assert!(bert.recv().await.is_none());
//!     assert_eq!(bert.reason(), Some(DisconnectReason::PingTimeout));
//!     Ok(())
//! }
//! ```

#[cfg(feature = "socketio")]
pub use enginewire_driver::testing::{
    MemoryBus, MemoryNetwork, TestClient, TestConnectError, TestEvent, TestSocket,
};

/// Server and a network in memory that leads to it. See [`enginewire_driver::testing::TestLink`].
pub type TestLink = enginewire_driver::testing::TestLink<crate::Tokio>;
