//! Handlers of events: functions in a table, as in other servers of Socket.IO.
//!
//! A [`Routes`] is such a table. It is mounted on a namespace once, and not for each socket:
//!
//! ```no_run
//! use std::sync::{Arc, atomic::{AtomicUsize, Ordering::Relaxed}};
//!
//! use enginewire_driver::{
//!     Runtime, ServerBuilder,
//!     socketio::{Data, DisconnectReason, EmitError, Io, Reply, Routes, SocketRef, State},
//! };
//!
//! type Messages = Arc<AtomicUsize>;
//!
//! async fn run<R: Runtime>(builder: ServerBuilder<R>) -> std::io::Result<()> {
//!     let io = Io::new();
//!     let routes = Routes::new()
//!         .on("join", async |s: SocketRef, Data(room): Data<String>| s.join(room))
//!         .on("say", say)
//!         .on("count", count)
//!         .on_disconnect(left)
//!         .with_state(Messages::default());
//!     // Before the server listens: the first client finds it then.
//!     let clients = io.mount("/", routes);
//!     let server = builder.socketio(&io).bind("127.0.0.1:3000").await?;
//!     println!("http://{}", server.local_addr());
//!     clients.await;
//!     Ok(())
//! }
//!
//! async fn say(
//!     s: SocketRef,
//!     Data((room, text)): Data<(String, String)>,
//!     State(messages): State<Messages>,
//! ) -> Result<(), EmitError> {
//!     messages.fetch_add(1, Relaxed);
//!     s.to(room).emit("said", &text).await?;
//!     Ok(())
//! }
//!
//! async fn count(State(messages): State<Messages>) -> Reply<usize> {
//!     Reply(messages.load(Relaxed))
//! }
//!
//! async fn left(s: SocketRef, reason: DisconnectReason) {
//!     println!("{} left {:?}: {reason}", s.id(), s.rooms());
//! }
//! ```
//!
//! # Handlers
//!
//! A [`Handler`] is an `async fn`, or an async closure that captures nothing. Its arguments are extractors, at most
//! eight:
//!
//! | extractor | is | in |
//! |---|---|---|
//! | [`SocketRef<D>`](super::SocketRef) | the socket | all handlers |
//! | [`Data<T>`](Data) | the arguments of the event; the `auth` of the client | events; connecting |
//! | [`TryData<T>`](TryData) | the same, or the error | events; connecting |
//! | [`State<T>`](State) | the state, or a part of it | all handlers |
//! | [`Ack`](super::Ack) | the acknowledgement, to be sent once | events |
//! | [`AckOf<A>`](super::AckOf) | the acknowledgement with an `A` | events |
//! | [`Event`](super::Event) | the event, to borrow from it or to forward it | events |
//! | [`EventName`] | the name of the event | events |
//! | [`DisconnectReason`](super::DisconnectReason) | the reason of the end | disconnecting |
//! | [`Io`](super::Io) | the server | all handlers |
//!
//! Its return value is the acknowledgement, see [`IntoAnswer`]. Values that handlers share are their state, so closures
//! need capture nothing. Values of one socket are its data `D`, see [`Namespace::authorize`].
//!
//! # Order
//!
//! Events of one socket are handled one after the other, in the order in which the client sent them. While a handler
//! waits, further events of the socket wait too, and at last the client: see [`Socket`](super::Socket). With
//! [`concurrent`] they do not. Handlers of different sockets know nothing of each other.
//!
//! A handler that panics disconnects its socket. Other sockets go on, also those of the same client.
//!
//! Tables for those who know another server are in the guide:
//! [Coming from Node.js](https://docs.rs/enginewire-tokio/latest/enginewire_tokio/guide/from_nodejs/),
//! [Coming from socketioxide](https://docs.rs/enginewire-tokio/latest/enginewire_tokio/guide/from_socketioxide/).
//!
//! [`Namespace::authorize`]: super::Namespace::authorize

mod answer;
mod extract;
mod handler;
mod parts;
mod routes;
#[cfg(test)]
mod tests;
mod worker;

pub use self::{
    answer::{IntoAnswer, Reply},
    extract::{Data, EventName, FromRef, State, TryData},
    handler::{Concurrent, Handler, concurrent},
    parts::{ConnectParts, DisconnectParts, EventParts, FromParts, Rejection},
    routes::Routes,
};
