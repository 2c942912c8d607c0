//! Coming from Node.js: the API of npm `socket.io` 4 and ours.
//!
//! Clients need no change: the official ones of versions 2, 3 and 4 connect as they are. A server looks different,
//! because its center is a loop and not a set of listeners:
//!
//! ```js
//! io.on("connection", (socket) => {
//!   let messages = 0;
//!   socket.on("say", (room, text, ack) => {
//!     messages++;
//!     socket.to(room).emit("said", text);
//!     ack("ok");
//!   });
//!   socket.on("disconnect", (reason) => console.log(reason, messages));
//! });
//! ```
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Socket};
//! async fn talk(mut socket: Socket) {
//!     let mut messages = 0;
//!     while let Some(mut event) = socket.recv().await {
//!         let ack = event.ack();
//!         if let ("say", Ok((room, text))) = (event.name(), event.data::<(&str, &str)>()) {
//!             messages += 1;
//!             let _ = socket.to(room).emit("said", text).await;
//!             let _ = ack.send("ok").await;
//!         }
//!     }
//!     println!("{:?} {messages}", socket.reason());
//! }
//!
//! # async fn example(io: Io) {
//! io.namespace("/").serve(talk).await;
//! # }
//! ```
//!
//! [`Routes`] is nearer to listeners: a function for each event, in a table that all sockets share.
//!
//! # The server
//!
//! | Node.js | here |
//! |---|---|
//! | `new Server(httpServer, options)` | `Io::new()`, and [`ServerBuilder::socketio`] |
//! | `https.createServer({ cert, key })`, `setSecureContext(..)` | `ServerBuilder::tls`, `ServerTls::replace`, with the feature `tls` |
//! | routes of Express on the same port | [`ServerBuilder::fallback`], or a proxy in front |
//! | `cors`, `cookie`, `transports`, `path`, `pingInterval`, `pingTimeout`, `allowEIO3`, `allowRequest` | methods of [`ServerBuilder`] with these names, in snake case |
//! | `maxHttpBufferSize` | [`ServerBuilder::max_payload`] |
//! | `connectTimeout`, `parser`, `connectionStateRecovery`, `cleanupEmptyChildNamespaces` | [`IoBuilder`]: `connect_timeout`, `parser`, `recovery`, `keep_empty_namespaces`, which is the opposite |
//! | `perMessageDeflate`, `httpCompression` | `per_message_deflate`, `http_compression` of [`ServerBuilder`], with the feature `deflate`; both are off by default |
//! | `serveClient`, `adapter` | not there |
//! | `io.engine.use(middleware)` | `allow_request`, and [`Handshake::insert`](crate::Handshake::insert) |
//! | `io.engine.clientsCount` | `server.sessions()` |
//! | `io.of("/").sockets.size` | `namespace.len()` |
//! | `io.of("/admin")` | `io.namespace("/admin")` |
//! | `io.of(/^\/project-\w+$/)` | `io.namespaces("/project-{id}")`, [`SocketRef::param`] |
//! | `io.of((name, auth, next) => ..)` | [`Io::namespaces_by`] |
//! | `io.use((socket, next) => ..)` | [`Namespace::authorize`] |
//! | `next(new Error("no"))`, `error.data` | `Err(ConnectError::new("no").with_data(..))` |
//! | `io.close()` | `server.close().await`, or `server.drain(over).await` |
//! | `instrument(io, { auth, mode, readonly })` | `Io::builder().admin(..)`, with the feature `admin` |
//!
//! # Sockets
//!
//! | Node.js | here |
//! |---|---|
//! | `socket.on("say", (a, b) => ..)` | the loop and `event.data::<(A, B)>()`, or [`Routes::on`] |
//! | `socket.once`, `socket.off`, `removeAllListeners` | a variable of the task |
//! | `socket.onAny(..)` | the loop, or [`Routes::before`] |
//! | `socket.onAnyOutgoing(..)` | not there |
//! | `socket.use(([name, ...args], next) => ..)` | an `if` in the loop, or [`Routes::before`] |
//! | `socket.on("disconnect", (reason) => ..)` | the code behind the loop, `socket.reason()`; or [`Routes::on_disconnect`] |
//! | `socket.on("disconnecting", ..)` | the same: the rooms are still known there |
//! | `socket.emit("say", a, b)` | `socket.emit("say", &(a, b)).await` |
//! | `socket.volatile.emit(..)` | `socket.volatile().emit(..).await`, which says whether it was sent |
//! | `socket.timeout(5000).emitWithAck("say", a)` | `socket.timeout(..).emit_with_ack::<A, _>("say", &a).await` |
//! | `socket.data.user` | `socket.data()`, of the type that `authorize` returns |
//! | `socket.handshake.auth` | `socket.auth::<T>()` |
//! | `socket.handshake.headers`, `.query`, `.address` | `socket.handshake().header(..)`, `.query_value(..)`; `socket.peer_addr()` |
//! | `socket.request.socket.getPeerCertificate()` | `socket.handshake().tls()` |
//! | `socket.id`, `.connected`, `.recovered`, `.nsp.name` | `id()`, `is_connected()`, `recovered()`, `namespace().name()` |
//! | `socket.conn.transport.name` | `socket.transport()` |
//! | `socket.disconnect()`, `socket.disconnect(true)` | `socket.disconnect()`, `socket.disconnect_client()` |
//! | `Buffer` anywhere in a payload | `Bytes` or [`Attachment`] anywhere in a payload |
//!
//! # Rooms and broadcasts
//!
//! | Node.js | here |
//! |---|---|
//! | `socket.join("a")`, `socket.join(["a", "b"])`, `socket.leave("a")` | the same |
//! | `socket.rooms` | `socket.rooms()`, without the room of its own id |
//! | `io.emit(..)`, `socket.broadcast.emit(..)` | `io.emit(..).await`, `socket.broadcast().emit(..).await` |
//! | `socket.to("a").emit(..)` | `socket.to("a").emit(..).await` |
//! | `io.in("a").emit(..)` | `io.to("a").emit(..).await`; from a socket `socket.within("a")` |
//! | `io.to("a").to("b").except("c")` | the same |
//! | `io.timeout(1000).to("a").emitWithAck(..)` | `io.to("a").timeout(..).emit_with_ack(..).all().await` |
//! | `io.in("a").fetchSockets()` | `io.to("a").fetch_sockets().await`; those of this node `io.to("a").sockets()` |
//! | `io.in("a").socketsJoin("b")`, `socketsLeave`, `disconnectSockets(true)` | `io.to("a").join("b")`, `leave`, `disconnect_clients()` |
//! | `io.of("/").adapter.rooms`, `.rooms.get("a").size` | `io.namespace("/").rooms()`, `.room_len("a")` |
//! | `io.local.emit(..)` | `io.broadcast().local().emit(..).await` |
//! | `io.serverSideEmit("a", 1)`, `io.on("a", ..)` | `namespace.server_side_emit("a", &1)`, `namespace.server_events()` |
//! | `adapter: createAdapter(..)` | `Io::builder().cluster(Redis::connect(url).await?)`, with the feature `redis`; `createCluster` and `createSentinel` are the URL and `RedisBuilder::sentinel` |
//! | `socket.compress(false).emit(..)` | `socket.emitter().without_compression().emit(..).await`, and the same of broadcasts |
//!
//! # Differences that matter
//!
//! **Order.** Listeners of Node.js that are `async` overlap at each `await`: the second message may be stored before the
//! first. Here a socket takes one event after the other, with tables too. [`concurrent`] and `spawn` are the way out.
//!
//! **Listeners that come too late.** An event that comes before its listener is lost in Node.js. Here events wait in the
//! socket until the loop takes them, so the loop may begin behind any `await`.
//!
//! **The end of the task.** When the function of a socket returns, its client is disconnected. In Node.js a socket lives
//! on without listeners.
//!
//! **Sending.** `emit` queues without limit there. Here it waits while about 1 MiB is queued for the client, and
//! `try_emit` fails. Await it, or the event is not sent.
//!
//! **Broadcasts.** The event is sent when `emit` is called. Awaiting it tells when all recipients have it queued, not
//! that they have received it; for that there are acknowledgements. It fails if 16 MiB of broadcasts wait. A client that
//! has no room is disconnected, see [`Overflow`].
//!
//! **Acknowledgements.** One that never comes never fails in Node.js, unless there is a `timeout`. Here it fails after
//! 10 seconds, and at once when the client is gone. Of a broadcast, answers that came are kept with the ids of their
//! sockets. A client that asks for no acknowledgement needs no check: sending it does nothing.
//!
//! **Malformed events.** A listener of Node.js gets whatever the client has sent. Here the payload has a type, and
//! another shape is an error that names the place. Decide whether it is acknowledged, see [`Routes::on_rejection`].
//!
//! **Errors.** An exception in a listener ends the process of Node.js. A panic here disconnects one socket.
//!
//! **Middleware.** A forgotten `next()` lets the client wait. Here the decision is what the function returns.
//!
//! **The end of a client.** Events that came before the end are still received; Node.js drops them. Rooms are known for
//! as long as a handle is kept.
//!
//! **Closing.** `server.close()` sends what is queued and waits for the tasks of sockets. `server.drain(over)` spreads
//! that over a time.
//!
//! **Arguments.** A tuple or an array `[T; N]` is several arguments, a `Vec` is one. A `Vec<u8>` is an array of numbers:
//! for a `Buffer` take `Bytes`. `undefined` at the end is an `Option`.
//!
//! **Limits.** A client may be in 64 namespaces and owe 1024 acknowledgements. All limits are in [`IoBuilder`] and
//! [`Limits`](crate::Limits).
//!
//! [`Attachment`]: crate::socketio::Attachment
//! [`Io::namespaces_by`]: crate::socketio::Io::namespaces_by
//! [`IoBuilder`]: crate::socketio::IoBuilder
//! [`Namespace::authorize`]: crate::socketio::Namespace::authorize
//! [`Overflow`]: crate::socketio::Overflow
//! [`Routes::before`]: crate::socketio::Routes::before
//! [`Routes::on_disconnect`]: crate::socketio::Routes::on_disconnect
//! [`Routes::on_rejection`]: crate::socketio::Routes::on_rejection
//! [`Routes::on`]: crate::socketio::Routes::on
//! [`Routes`]: crate::socketio::Routes
//! [`ServerBuilder::fallback`]: crate::ServerBuilder::fallback
//! [`ServerBuilder::max_payload`]: crate::ServerBuilder::max_payload
//! [`ServerBuilder::socketio`]: crate::ServerBuilder::socketio
//! [`ServerBuilder`]: crate::ServerBuilder
//! [`SocketRef::param`]: crate::socketio::SocketRef::param
//! [`concurrent`]: crate::socketio::concurrent
