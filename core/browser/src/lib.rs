//! A Socket.IO client for pages and workers in the browser, as WebAssembly.
//!
//! It is the client of `enginewire-tokio` and its sister crates on the browser's own requests and WebSockets: the same
//! types, names and rules. Builds for `wasm32-unknown-unknown`; elsewhere it compiles, so that tools can look at it, and
//! panics when it is used.
//!
//! ```no_run
//! use enginewire_browser::socketio::{self, ClientError, Update};
//!
//! async fn run() -> Result<(), ClientError> {
//!     // A namespace of the server that the page came from.
//!     let mut socket = socketio::connect("/chat").await?;
//!     socket.emit("add user", "Ann").await.ok();
//!     while let Some(update) = socket.next().await {
//!         match update {
//!             Update::Event(event) => show(event.name()),
//!             Update::Disconnected { reason, .. } => show(reason.as_str_of_client()),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! # fn show(_: &str) {}
//! ```
//!
//! `wasm_bindgen_futures::spawn_local` runs such a function. A client has a task of its own there.
//!
//! # The browser
//!
//! **Time.** Deadlines go by `performance.now()`, the wall clock where the machine has slept, and `setTimeout`. In a tab
//! in the background timers are late, by a second or a minute; what comes on a WebSocket is handled at once, also there. A
//! heartbeat that has expired meanwhile, or while the machine was asleep, is judged by what arrives: the server has a
//! grace period as long as the delay, up to 20 s, and a few more while timers go on being late. So in a hidden tab a dead
//! server may be noticed only after minutes. What is emitted until then is lost with the connection, as is told.
//!
//! **Network.** When the browser goes offline, the connection is lost at once, with "transport close", unless it is to
//! `localhost`. When it is back, an attempt that waits for its delay is made at once.
//!
//! **Leaving the page.** The connection is lost, unless [`close_on_pagehide`](socketio::ClientBuilder::close_on_pagehide)
//! is set.
//!
//! **Cookies, redirects, proxies, TLS** are the browser's business. See
//! [`with_credentials`](socketio::ClientBuilder::with_credentials).
//!
//! **Bounds.** Sending waits while the browser has 64 KiB that it has not sent, which is looked at every 10 ms; in a
//! hidden tab, whose timers are late, only as often as something comes. A browser reads a WebSocket whether or
//! not the application keeps pace. Messages that the session does not take are held, up to
//! [`Limits::max_payload`](enginewire::Limits::max_payload) bytes; then the connection is closed with "forced close", and
//! made anew. Polling waits for the application.
//!
//! **Errors.** A browser does not tell a page why it has no connection. The error says what to look at.

// For links from docs that are built without these. docs.rs itself links to the exact version.
#![doc(html_root_url = "https://docs.rs/enginewire-browser/latest")]

mod builder;
mod globals;
mod inbox;
mod lifecycle;
mod requests;
mod sockets;
mod task;

pub use enginewire;
pub use enginewire::{
    ClientConfig, CloseReason, Limits, Reconnect, Revision, TransportFault, TransportKind,
};
pub use enginewire_driver::ConnectError;

/// Socket.IO: the client. The types are those of [`enginewire_driver::socketio`].
pub mod socketio {
    #[doc(inline)]
    pub use enginewire_driver::socketio::{
        AckError, AckFuture, Args, AskName, Asking, Attachment, Client, ClientAck, ClientAckFuture,
        ClientEmit, ClientEmitter, ClientError, ClientEvent, ClientRef, ClientSocket, ConnectError,
        CustomDecoder, CustomParser, DecodeError, DisconnectReason, EmitError, EncodeAs,
        EncodeError, EventError, Name, Named, Offline, Parser, SocketBuilder, SocketId, Spread,
        UnknownEvent, Update, Value,
    };

    pub use crate::builder::ClientBuilder;

    /// Connects a socket to the server at `url`, with the defaults.
    ///
    /// The path of the URL is the namespace. A URL that is a path alone is one of the page's own server. The first
    /// attempt counts. A connection that is lost later is tried again. Cancel safe: if the future is dropped, the socket
    /// is disconnected.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn connect(url: &str) -> Result<ClientSocket, ClientError> {
        ClientBuilder::new(url).connect().await
    }
}

/// The README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
