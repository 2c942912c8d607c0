//! Coming from socketioxide: its API, as of version 0.18, and ours.
//!
//! [`Routes`] is the shape that you know: handlers with extractors. It is mounted on a namespace once, and not
//! registered for each socket:
//!
//! ```text
//! io.ns("/", async |s: SocketRef| {
//!     s.on("say", async |s: SocketRef, Data((room, text)): Data<(String, String)>, ack: AckSender| {
//!         s.to(room).emit("said", &text).await.ok();
//!         ack.send("ok").ok();
//!     });
//!     s.on_disconnect(async |s: SocketRef, reason: DisconnectReason| println!("{} {reason}", s.id));
//! });
//! ```
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Ack, Data, DisconnectReason, EmitError, Io, Reply, Routes, SocketRef};
//! async fn say(
//!     s: SocketRef,
//!     Data((room, text)): Data<(String, String)>,
//! ) -> Result<Reply<&'static str>, EmitError> {
//!     s.to(room).emit("said", &text).await?;
//!     Ok(Reply("ok"))
//! }
//!
//! # async fn example(io: Io) {
//! let routes = Routes::new().on("say", say).on_disconnect(
//!     async |s: SocketRef, reason: DisconnectReason| println!("{} {reason}", s.id()),
//! );
//! io.mount("/", routes).await;
//! # }
//! ```
//!
//! The other shape is a loop over [`Socket::recv`], with state in variables. It is the cheaper one, and borrows from
//! events.
//!
//! # The server
//!
//! | socketioxide | here |
//! |---|---|
//! | `SocketIo::new_layer()`, `builder().build_layer()` | `Io::new()`, `Io::builder()`, and [`ServerBuilder::socketio`] |
//! | a layer or service of tower, on hyper | the server has its own HTTP; other paths go to [`ServerBuilder::fallback`] |
//! | `SocketRef<A>`, `SocketIo<A>`, `A: Adapter` | no adapter in any signature |
//! | `io.ns("/", handler)` | `io.mount("/", routes)`, or `io.namespace("/").serve(..)` |
//! | `io.dyn_ns("/p/{id}", handler)` | `io.namespaces("/p/{id}")?.mount(routes)`, with [`SocketRef::param`] |
//! | `handler.with(middleware)` | [`Namespace::authorize`], which returns the data of the socket |
//! | `builder.with_state(state)` | [`Routes::with_state`]; a state that is missing does not compile |
//! | `max_buffer_size`, 128 packets | [`Limits::max_queued`](crate::Limits::max_queued), 1 MiB |
//! | `max_payload`, 100 kB | [`ServerBuilder::max_payload`], 1 000 000 bytes as in Node.js |
//! | `ack_timeout`, 5 s | [`IoBuilder::ack_timeout`], 10 s |
//! | `ParserConfig::msgpack()` | `Parser::MessagePack`, see [`IoBuilder::parser`] |
//! | `io.get_socket(id)`, `io.sockets()` | `namespace.socket(id)`, `io.broadcast().sockets()` |
//! | `io.rooms()` | `io.namespace("/").rooms()`, with the number of members of each |
//! | `io.close()` | `server.close().await`, which sends what is queued |
//! | `local()` | the same |
//! | `RedisAdapter` | `Io::builder().cluster(Redis::connect(url).await?)`, without a type parameter, with the feature `redis` |
//! | `MongoDbAdapter` | a bus of your own: there is none on MongoDB |
//!
//! # Handlers
//!
//! | socketioxide | here |
//! |---|---|
//! | `Data<T>`, `TryData<T>`, `State<T>`, `SocketRef`, `DisconnectReason` | the same |
//! | `AckSender` | [`Ack`], or a returned [`Reply`] |
//! | `Event`, the name | [`EventName`]; [`Event`] is the whole event |
//! | `SocketIo` as an extractor | [`Io`] |
//! | `Extension<T>`, `MaybeExtension<T>` | `socket.data()`, of the type `D` of `SocketRef<D>` |
//! | `HttpExtension<T>`, `s.req_parts()` | `socket.handshake()`, with `extension::<T>()` |
//! | `TransportType`, `ProtocolVersion` | `socket.transport()`; not there |
//! | `s.on_fallback` | [`Routes::fallback`] |
//! | `s.on_disconnect` | [`Routes::on_disconnect`], with the rooms still there |
//! | a `MessageHandler` of your own | [`Routes::before`] |
//! | an extractor of your own | [`FromParts`](crate::socketio::handlers::FromParts) |
//! | an async closure that captures | a function with [`State`] |
//!
//! # Sockets and broadcasts
//!
//! | socketioxide | here |
//! |---|---|
//! | `s.emit("x", &data).ok()` | `s.emit("x", &data).await?`, or `s.try_emit("x", &data)`, which does not wait |
//! | `s.emit_with_ack::<_, T>("x", &data)?.await` | `s.emit_with_ack::<T, _>("x", &data).await` |
//! | `s.to("a").emit(..).await` | the same, and it gives [`Delivered`](crate::socketio::Delivered) |
//! | `s.within("a")`, `s.broadcast()`, `io.to("a")`, `except`, `timeout` | the same |
//! | a broadcast with acknowledgements is a `Stream` | the same, or `.all().await` |
//! | `s.join`, `s.leave`, `s.rooms()` | the same |
//! | `s.leave_all()` | `s.leave(s.rooms())` |
//! | `io.within("a").join("b")`, `disconnect()` | `io.to("a").join("b")`, `disconnect()` |
//! | `s.disconnect()` | the same; `s.disconnect_client()` ends all of the client's namespaces |
//!
//! # Differences that matter
//!
//! **Order.** socketioxide spawns a task for each event, and tasks run in any order. Here events of a socket are handled
//! one after the other; [`concurrent`] lets a handler overlap. State of one client needs no lock for the sake of order.
//!
//! **Overflow.** `emit` fails there when 128 packets wait, and code that calls `.ok()` loses the event. Here it waits for
//! room, counted in bytes. A future that is not awaited sends nothing, and the compiler warns of it.
//!
//! **Broadcasts.** A recipient without room misses the event there. Here its client is disconnected and can come back,
//! unless [`Overflow::Skip`] says otherwise. The event is encoded once, and all recipients share it. It is sent when
//! `emit` is called; the future completes when all have it queued.
//!
//! **Registration.** A table is complete before the first client comes, so no event finds its handler missing. A second
//! handler for the same name is a panic at the start.
//!
//! **Payloads of another shape.** The handler is not called in either. Here such events are counted, and
//! [`Routes::on_rejection`] can tell the client.
//!
//! **Acknowledgements.** They fail at once when the client is gone, and not at the deadline. The loop or handler of the
//! same socket may wait for one.
//!
//! **Keeping a socket.** A [`SocketRef`] may be stored anywhere. It keeps little memory, no connection, and no state but
//! its data.
//!
//! **Binary data.** `Bytes` at any depth works in both. `serde_json::Value` does not take it here: an error instead of an
//! array of numbers. The dynamic type is [`Value`].
//!
//! **Runtimes.** The same handles are in the crates for smol and async-std.
//!
//! [`Ack`]: crate::socketio::Ack
//! [`EventName`]: crate::socketio::EventName
//! [`Event`]: crate::socketio::Event
//! [`IoBuilder::ack_timeout`]: crate::socketio::IoBuilder::ack_timeout
//! [`IoBuilder::parser`]: crate::socketio::IoBuilder::parser
//! [`Io`]: crate::socketio::Io
//! [`Namespace::authorize`]: crate::socketio::Namespace::authorize
//! [`Overflow::Skip`]: crate::socketio::Overflow::Skip
//! [`Reply`]: crate::socketio::Reply
//! [`Routes::before`]: crate::socketio::Routes::before
//! [`Routes::fallback`]: crate::socketio::Routes::fallback
//! [`Routes::on_disconnect`]: crate::socketio::Routes::on_disconnect
//! [`Routes::on_rejection`]: crate::socketio::Routes::on_rejection
//! [`Routes::with_state`]: crate::socketio::Routes::with_state
//! [`Routes`]: crate::socketio::Routes
//! [`ServerBuilder::fallback`]: crate::ServerBuilder::fallback
//! [`ServerBuilder::max_payload`]: crate::ServerBuilder::max_payload
//! [`ServerBuilder::socketio`]: crate::ServerBuilder::socketio
//! [`SocketRef::param`]: crate::socketio::SocketRef::param
//! [`SocketRef`]: crate::socketio::SocketRef
//! [`Socket::recv`]: crate::socketio::Socket::recv
//! [`State`]: crate::socketio::State
//! [`Value`]: crate::socketio::Value
//! [`concurrent`]: crate::socketio::concurrent
