//! Recipes: one task each, with the code for it.
//!
//! All of them are compiled. `io` is an [`Io`], `socket` a [`Socket`]; the lines around a recipe are left out.
//!
//! # Servers and namespaces
//!
//! ## Start a server beside pages and a health check
//!
//! ```no_run
//! use enginewire_tokio::{Cors, CorsOrigin, Response, ServerBuilder, socketio::Io};
//!
//! # async fn talk(mut socket: enginewire_tokio::socketio::Socket) { while socket.recv().await.is_some() {} }
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = Io::new();
//!     let clients = io.namespace("/");
//!     let server = ServerBuilder::new()
//!         .socketio(&io)
//!         .cors(Cors::new(CorsOrigin::Exact("https://app.example.org".into())))
//!         .fallback(|request| async move {
//!             match request.head.path() {
//!                 "/health" => Response::new(200, "text/plain", "ok"),
//!                 _ => Response::empty(404),
//!             }
//!         })
//!         .bind("127.0.0.1:3000")
//!         .await?;
//!     println!("http://{}", server.local_addr());
//!     clients.serve(talk).await;
//!     Ok(())
//! }
//! ```
//!
//! Make namespaces before the server listens: a client that asks for one that is not there is refused. Pages of another
//! origin need [`cors`](crate::ServerBuilder::cors). Beside an HTTP framework, listen on a port of its own and have the
//! proxy send `/socket.io/` there.
//!
//! ## Serve TLS, a Unix socket, or a stream in memory
//!
//! ```no_run
//! # use enginewire_tokio::{Server, Stream};
//! # use tokio::io::{AsyncRead, AsyncWrite};
//! # fn example(server: &Server, decrypted: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
//! #     peer: std::net::SocketAddr) {
//! // For each connection that you have accepted yourself.
//! tokio::spawn(server.serve(Stream(decrypted), peer));
//! # }
//! ```
//!
//! [`ServerBuilder::start`](crate::ServerBuilder::start) makes a server without a port for this. Several servers may
//! have the same `Io`, one with TLS and one without.
//!
//! ## Know when a client comes and goes
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Socket};
//! # async fn example(io: Io) {
//! io.namespace("/")
//!     .serve(|mut socket: Socket| async move {
//!         println!("{} has come from {}", socket.id(), socket.peer_addr());
//!         while let Some(event) = socket.recv().await {
//!             println!("{event:?}");
//!         }
//!         println!("{} has left: {:?}", socket.id(), socket.reason());
//!     })
//!     .await;
//! # }
//! ```
//!
//! Events wait in the socket from the first, so none is lost before the loop begins. Events that came before the end are
//! still received. A task that returns early disconnects its client.
//!
//! ## Wait for the end of a client elsewhere
//!
//! ```no_run
//! # use enginewire_tokio::socketio::SocketRef;
//! # async fn example(socket: SocketRef) {
//! let reason = socket.closed().await;
//! println!("{}: {reason}", socket.id());
//! # }
//! ```
//!
//! A [`SocketRef`] may be kept anywhere: it does not keep the client connected.
//!
//! ## Serve several namespaces
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Socket};
//! # async fn visitor(_: Socket) {}
//! # async fn operator(_: Socket) {}
//! # async fn example(io: Io) {
//! let (visitors, operators) = (io.namespace("/"), io.namespace("/admin"));
//! tokio::join!(visitors.serve(visitor), operators.serve(operator));
//! # }
//! ```
//!
//! A client has one connection for all of its namespaces. While an application does not receive in one of them, and its
//! events fill the limit, the others wait too. A namespace must be accepted or served for its events to be read.
//!
//! ## Serve namespaces whose names are not known before
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Socket, InvalidPattern};
//! # async fn example(io: Io) -> Result<(), InvalidPattern> {
//! let projects = io.namespaces("/project/{id}")?;
//! projects
//!     .serve(|mut socket: Socket| async move {
//!         println!("project {:?}", socket.param("id"));
//!         while let Some(event) = socket.recv().await {
//!             // To the others of the same project.
//!             let _ = socket.broadcast().forward(&event).await;
//!         }
//!     })
//!     .await;
//! # Ok(())
//! # }
//! ```
//!
//! Each name has a namespace of its own, which goes with its last client. `projects.emit(..)` reaches all of them. There
//! are at most 10 000, see [`IoBuilder::max_children`].
//!
//! ## Decide by a query whether a namespace exists
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, NamespaceRequest};
//! # async fn exists(_: &str) -> bool { true }
//! # fn example(io: Io) {
//! let tenants = io.namespaces_by(async |request: NamespaceRequest| exists(request.name()).await);
//! # drop(tenants);
//! # }
//! ```
//!
//! It is asked for names that were not made and match no pattern before it. Who may connect is decided afterwards, by
//! [`authorize`](crate::socketio::Namespace::authorize).
//!
//! ## Shut down without losing what is queued
//!
//! ```no_run
//! # use enginewire_tokio::{Server, socketio::{Namespace, Socket}};
//! # async fn talk(_: Socket) {}
//! # async fn example(server: Server, clients: Namespace) {
//! tokio::select! {
//!     () = clients.serve(talk) => {}
//!     _ = tokio::signal::ctrl_c() => {}
//! }
//! server.close().await;
//! # }
//! ```
//!
//! Clients get what is queued for them, then their sessions are closed, and official clients try to come back. `close`
//! waits for the tasks of sockets too, at most as long as
//! [`shutdown_timeout`](crate::ServerBuilder::shutdown_timeout) says. Dropping the server loses what is queued.
//!
//! ## Deploy without all clients coming back at once
//!
//! ```no_run
//! # use std::time::Duration;
//! # use enginewire_tokio::{Server, socketio::{Namespace, Socket}};
//! # async fn talk(_: Socket) {}
//! # async fn asked_to_end() {}
//! # async fn example(server: Server, clients: Namespace) {
//! let end = async {
//!     asked_to_end().await;
//!     server.drain(Duration::from_secs(30)).await;
//! };
//! tokio::join!(end, clients.serve(talk));
//! # }
//! ```
//!
//! New sessions are refused with status 503 from the beginning, so that they go to another server. Those that are there
//! are closed one after the other, evenly spread over the time. The example `graceful` does it at SIGTERM.
//!
//! ## Watch what is there and what is lost
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Io;
//! # fn example(io: Io) {
//! let stats = io.stats();
//! println!("{} sockets, {} bytes wait for them", stats.sockets, stats.queued);
//! println!("{} clients were too slow, {} acknowledgements too late", stats.overflows, stats.ack_timeouts);
//! # }
//! ```
//!
//! [`Namespace::stats`](crate::socketio::Namespace::stats) counts for one namespace, or for all of a pattern. It visits
//! every socket: once a second is fine, once an event is not. The feature `tracing` tells of single sockets.
//!
//! ## Serve clients of Socket.IO 2.x
//!
//! ```no_run
//! # use enginewire_tokio::{ServerBuilder, socketio::Io};
//! # fn example(io: Io) -> ServerBuilder {
//! ServerBuilder::new().socketio(&io).allow_eio3(true)
//! # }
//! ```
//!
//! They are connected to `/` by themselves, have their `auth` in the query of the namespace, and cannot recover.
//!
//! ## Send MessagePack instead of JSON
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Parser};
//! let io = Io::builder().parser(Parser::MessagePack).build();
//! # drop(io);
//! ```
//!
//! The clients need npm `socket.io-msgpack-parser`. A server has one parser.
//!
//! # Events
//!
//! ## Receive an event with its arguments
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Socket;
//! # async fn example(mut socket: Socket) {
//! while let Some(event) = socket.recv().await {
//!     match event.name() {
//!         // socket.emit("say", "rust", "hello")
//!         "say" => match event.data::<(&str, &str)>() {
//!             Ok((room, text)) => println!("{room}: {text}"),
//!             Err(error) => println!("{error}"),
//!         },
//!         other => println!("unknown: {other}"),
//!     }
//! }
//! # }
//! ```
//!
//! A tuple takes the arguments one by one, anything else takes the first. A missing argument is `None` for an `Option`;
//! further ones are ignored. The error names event, argument and place.
//!
//! ## Receive events as an enum
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Socket;
//! #[derive(serde::Deserialize)]
//! #[serde(rename_all = "snake_case")]
//! enum FromClient {
//!     Typing,                            // socket.emit("typing")
//!     Say(String),                       // socket.emit("say", "hello")
//!     Move(f32, f32),                    // socket.emit("move", 0.5, 1)
//!     Rename { from: String, to: String } // socket.emit("rename", { from: "a", to: "b" })
//! }
//!
//! # async fn example(mut socket: Socket) {
//! while let Some(event) = socket.recv_as::<FromClient>().await {
//!     match event {
//!         Ok(FromClient::Typing) => println!("typing"),
//!         Ok(FromClient::Say(text)) => println!("{text}"),
//!         Ok(FromClient::Move(x, y)) => println!("{x}, {y}"),
//!         Ok(FromClient::Rename { from, to }) => println!("{from} is {to}"),
//!         Err(unknown) => println!("{unknown}"),
//!     }
//! }
//! # }
//! ```
//!
//! The compiler says which event is forgotten. To acknowledge events, or to borrow from them, call [`recv`](crate::socketio::Socket::recv)
//! and [`Event::parse`].
//!
//! ## Say in one place what an event carries
//!
//! ```no_run
//! use enginewire_tokio::socketio::{Asking, Named, Socket};
//!
//! const RENAME: Asking<String, bool> = Asking::new("rename");
//! const RENAMED: Named<(String, String)> = Named::new("renamed");
//!
//! # async fn example(mut socket: Socket) {
//! while let Some(mut event) = socket.recv().await {
//!     if let Some(Ok(name)) = event.data_of(RENAME) {
//!         let _ = socket.broadcast().emit(RENAMED, &("ada", &name)).await;
//!         let _ = event.ack_for(RENAME).send(&true).await;
//!     }
//! }
//! # }
//! ```
//!
//! The constants are names wherever a name is taken, and another payload does not compile. A reserved name does not
//! either. What is borrowed is taken for what is owned: `&str` for `String`.
//!
//! ## Handle events with functions in a table
//!
//! ```no_run
//! use enginewire_tokio::socketio::{Data, EmitError, Io, Reply, Routes, SocketRef};
//!
//! async fn say(s: SocketRef, Data(text): Data<String>) -> Result<(), EmitError> {
//!     s.broadcast().emit("said", &text).await?;
//!     Ok(())
//! }
//!
//! async fn add(Data((a, b)): Data<(i64, i64)>) -> Reply<i64> {
//!     Reply(a.saturating_add(b))
//! }
//!
//! # async fn example(io: Io) {
//! io.mount("/", Routes::new().on("say", say).on("add", add)).await;
//! # }
//! ```
//!
//! The table is mounted once, and not for each socket. Handlers of one socket run one after the other; [`concurrent`]
//! lets some of them overlap. The [module](crate::socketio::handlers) lists extractors and return values.
//!
//! ## Send to one client
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{EmitError, SocketRef};
//! # async fn example(socket: SocketRef) -> Result<(), EmitError> {
//! // (a, b) => ..
//! socket.emit("moved", &(3, "left")).await?;
//! // (list) => ..
//! socket.emit("list", &vec![1, 2, 3]).await?;
//! // () => ..
//! socket.emit("bye", &()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It waits while more than [`Limits::max_queued`](crate::Limits::max_queued) bytes are queued for the client. A future
//! that is dropped has sent nothing. A tuple is several arguments, and so is an array `[T; N]`; a `Vec` or slice is one.
//!
//! ## Send without waiting
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{EmitError, SocketRef};
//! # fn example(socket: SocketRef) {
//! match socket.try_emit("tick", &1) {
//!     Ok(()) => {}
//!     Err(EmitError::Full { queued, max }) => println!("slow: {queued} of {max} bytes"),
//!     Err(error) => println!("{error}"),
//! }
//! # }
//! ```
//!
//! An error is not to be ignored here: the event is lost, unlike with `emit(..).await`.
//!
//! ## Acknowledge an event
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Socket;
//! # async fn example(mut socket: Socket) {
//! while let Some(mut event) = socket.recv().await {
//!     let ack = event.ack();
//!     let result = event.data::<i64>().map(|n| n * 2).map_err(|error| error.to_string());
//!     // { "Ok": 4 } or { "Err": ".." }
//!     let _ = ack.send(&result).await;
//! }
//! # }
//! ```
//!
//! It does nothing if the client expects no acknowledgement, so there is no need to ask. An acknowledgement that is
//! dropped sends nothing, and the client waits for its own deadline.
//!
//! ## Ask one client, with a deadline
//!
//! ```no_run
//! # use std::time::Duration;
//! # use enginewire_tokio::socketio::{AckError, SocketRef};
//! # async fn example(socket: SocketRef) {
//! let asked = socket.timeout(Duration::from_secs(5)).emit_with_ack::<String, _>("name?", &());
//! match asked.await {
//!     Ok(name) => println!("{name}"),
//!     Err(AckError::Timeout) => println!("no answer"),
//!     Err(error) => println!("{error}"),
//! }
//! # }
//! ```
//!
//! Without `timeout` it is 10 seconds, see [`IoBuilder::ack_timeout`]. It fails at once when the client is gone. The loop
//! that receives may wait for it: acknowledgements do not come through `recv`.
//!
//! ## Send an enum
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{EmitError, SocketRef};
//! #[derive(serde::Serialize)]
//! #[serde(rename_all = "snake_case")]
//! enum ToClient<'a> {
//!     Said(&'a str, &'a str),      // socket.on("said", (name, text) => ..)
//!     Score { points: u32 },       // socket.on("score", ({ points }) => ..)
//! }
//!
//! # async fn example(socket: SocketRef) -> Result<(), EmitError> {
//! socket.emit_event(&ToClient::Score { points: 3 }).await?;
//! socket.broadcast().emit_event(&ToClient::Said("ada", "hello")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It may borrow, because it is encoded before `emit_event` returns.
//!
//! ## Send what may be lost
//!
//! ```no_run
//! # use enginewire_tokio::socketio::SocketRef;
//! # async fn example(socket: SocketRef) {
//! // An error says that it was dropped, or that the client is gone.
//! let _ = socket.volatile().emit("position", &(3, 4)).await;
//! let _ = socket.broadcast().volatile().emit("position", &(3, 4)).await;
//! # }
//! ```
//!
//! A volatile event never waits: it goes out now, with all of its attachments, or not at all. Take it for cursors and
//! states of games, where the next one makes up for it.
//!
//! ## Send and receive binary data
//!
//! ```no_run
//! use bytes::Bytes;
//! # use enginewire_tokio::socketio::{DecodeError, EmitError, Event, SocketRef};
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Image { name: String, pixels: Bytes }
//!
//! # fn receive(event: Event) -> Result<Image, DecodeError> {
//! let image: Image = event.data()?;
//! # Ok(image)
//! # }
//! # async fn send(socket: SocketRef, image: Image) -> Result<(), EmitError> {
//! socket.emit("image", &image).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `Bytes` needs its feature `serde`. A `Vec<u8>` goes out as an array of numbers, as serde does not know it from other
//! lists. The dynamic type with binary data is [`Value`]; for `serde_json::Value` they are an error.
//!
//! ## Pass binary data on without a copy
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Attachment, Event, SocketRef};
//! # async fn example(socket: SocketRef, event: Event) -> Result<(), Box<dyn std::error::Error>> {
//! let (name, file) = event.data::<(&str, Attachment)>()?;
//! let data = event.attachment(&file).ok_or("from another event")?;
//! println!("{name}: {} bytes", data.len());
//! socket.broadcast().attach(data).emit("file", &(name, Attachment::new(0))).await?;
//! # Ok(())
//! # }
//! ```
//!
//! An acknowledgement takes them, too: `ack.attach(data).send(&Attachment::new(0))`, see [`Ack::attach`].
//!
//! An event has at most 10 attachments, see [`IoBuilder::max_attachments`]. A message has at most 1 000 000 bytes, see
//! [`max_payload`](crate::ServerBuilder::max_payload).
//!
//! ## See every event, and forward it
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Socket};
//! # async fn example(io: Io, mut socket: Socket) {
//! let mirror = io.namespace("/mirror");
//! while let Some(event) = socket.recv().await {
//!     println!("{} sends {event:?}", socket.id());
//!     let _ = mirror.forward(&event).await;
//! }
//! # }
//! ```
//!
//! The loop sees all events, so there is no catch-all to set. `forward` decodes nothing. `Debug` of an event leaves out
//! its arguments, which may be private. With a table, [`Routes::before`] sees all events and [`Routes::fallback`] the
//! rest.
//!
//! ## Check every event first
//!
//! ```no_run
//! use enginewire_tokio::socketio::{Event, Reply, Routes, SocketRef};
//!
//! # struct User { is_muted: bool }
//! async fn may_speak(s: SocketRef<User>, event: Event) -> Result<(), Reply<&'static str>> {
//!     match event.name() {
//!         "say" if s.data().is_muted => Err(Reply("muted")),
//!         _ => Ok(()),
//!     }
//! }
//!
//! # async fn say() {}
//! let routes = Routes::<(), User>::new().before(may_speak).on("say", say);
//! # drop(routes);
//! ```
//!
//! `Err` stops the event, and a `Reply` in it is the acknowledgement. In a loop the check is an `if` before the `match`.
//!
//! ## Limit the rate of events
//!
//! ```no_run
//! # use std::time::Duration;
//! # use enginewire_tokio::socketio::{Event, Socket};
//! # use tokio::time::MissedTickBehavior;
//! # async fn handle(_: &Socket, _: Event) {}
//! # async fn example(mut socket: Socket) {
//! let mut pace = tokio::time::interval(Duration::from_millis(50));
//! pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
//! while let Some(event) = socket.recv().await {
//!     pace.tick().await;
//!     handle(&socket, event).await;
//! }
//! # }
//! ```
//!
//! Events that are not received wait, at most [`Limits::max_unread`](crate::Limits::max_unread) bytes of them, and then
//! TCP slows the client down. No event is dropped.
//!
//! ## Tell a client that its event was malformed
//!
//! ```no_run
//! use enginewire_tokio::socketio::{Data, Reply, Routes};
//!
//! #[derive(serde::Serialize)]
//! struct Problem { error: String }
//!
//! # async fn say(_: Data<String>) {}
//! let routes = Routes::<()>::new().on("say", say).on_rejection(|_, rejection| {
//!     Some(Reply(Problem { error: rejection.to_string() }))
//! });
//! # drop(routes);
//! ```
//!
//! Without this the handler is not called and the event is not acknowledged. [`Namespace::rejections`] counts such
//! events. In a loop, the error of `data` or `parse` is what to acknowledge.
//!
//! # Rooms and broadcasts
//!
//! ## Send to everybody, or to everybody but the sender
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{EmitError, Io, SocketRef};
//! # async fn example(io: Io, socket: SocketRef) -> Result<(), EmitError> {
//! io.emit("news", "to all of the namespace /").await?;
//! io.namespace("/chat").emit("news", "to all of /chat").await?;
//! socket.broadcast().emit("news", "to all but this one").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The event is encoded once, and sent whether or not the future is polled. The future completes when all recipients
//! have it queued, and gives their [number](crate::socketio::Delivered). All members of a namespace get broadcasts in
//! the same order. An error says that the payload cannot be encoded, or that 16 MiB of broadcasts wait to be delivered.
//!
//! ## Pass slow clients by instead of disconnecting them
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Overflow};
//! let io = Io::builder().overflow(Overflow::Skip).build();
//! # drop(io);
//! ```
//!
//! By default a client without room for a broadcast is disconnected, because an event that is missing unnoticed is worse
//! than a reconnection. With `Skip` it misses the event.
//!
//! ## Join and leave rooms
//!
//! ```no_run
//! # use enginewire_tokio::socketio::SocketRef;
//! # fn example(socket: SocketRef) {
//! socket.join("rust");
//! socket.join(["de", "at"]);
//! socket.leave("de");
//! println!("{:?}", socket.rooms());
//! # }
//! ```
//!
//! [`Namespace::rooms`] lists all rooms with their sizes, [`Namespace::room_len`] is the size of one.
//!
//! A room is there while it has members. There is no limit on the rooms of a socket: set one where clients choose the
//! names, as the example `rooms` does.
//!
//! ## Send to everybody in a room but the sender
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{EmitError, SocketRef};
//! # async fn example(socket: SocketRef) -> Result<(), EmitError> {
//! socket.to("rust").emit("said", "to the others in the room").await?;
//! socket.within("rust").emit("said", "to all in the room").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The sender need not be in the room.
//!
//! ## Send to several rooms, but not to some
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{EmitError, Io};
//! # async fn example(io: Io) -> Result<(), EmitError> {
//! io.to(["de", "at"]).to("ch").except("muted").emit("news", "Servus").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A socket that is in several of the rooms gets the event once. Without `to`, `except` leaves out from all.
//!
//! ## Send to a user in all of their windows
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{ConnectError, ConnectRequest, EmitError, Io};
//! # struct User { id: u64 }
//! # async fn find_user(_: &ConnectRequest) -> Result<User, ConnectError> { Ok(User { id: 7 }) }
//! # async fn example(io: Io) -> Result<(), EmitError> {
//! let users = io.namespace("/").authorize(async |request: ConnectRequest| {
//!     let user = find_user(&request).await?;
//!     request.join(format!("user:{}", user.id));
//!     Ok(user)
//! });
//! let delivered = users.to("user:7").emit("told", "hello").await?;
//! println!("{} windows", delivered.sockets);
//! # Ok(())
//! # }
//! ```
//!
//! The prefix keeps rooms of users apart from other rooms. To one socket by its id: `socket.to(id)`, as each id is a room
//! of its own.
//!
//! ## Ask everybody in a room
//!
//! ```no_run
//! # use std::time::Duration;
//! # use enginewire_tokio::socketio::{EmitError, Io};
//! # async fn example(io: Io) -> Result<(), EmitError> {
//! let asked = io.to("voters").timeout(Duration::from_secs(30)).emit_with_ack::<bool, _>("ready?", &());
//! let all = asked.all().await?;
//! let ready = all.responses.iter().filter(|(_, ready)| *ready).count();
//! println!("{ready} are ready");
//! for (id, error) in all.failed {
//!     println!("{id}: {error}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Answers that came are kept whatever the others do. [`AckStream::next`](crate::socketio::AckStream::next) gives them one
//! by one, as they come. Those of other nodes are in `all.others`, without their sockets.
//!
//! ## List who is in a room
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Io;
//! # struct User { name: String }
//! # fn example(io: Io) {
//! for socket in io.to("rust").sockets() {
//!     // The type that `authorize` has returned.
//!     if let Some(socket) = socket.downcast::<User>() {
//!         println!("{}: {}", socket.id(), socket.data().name);
//!     }
//! }
//! println!("{} in all", io.namespace("/").len());
//! # }
//! ```
//!
//! Members may come and go while you look at the list.
//!
//! ## Move or disconnect all members of a room
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Io;
//! # fn example(io: Io) {
//! io.to("lobby").join("game:7");
//! io.to("lobby").leave("lobby");
//! io.to("banned").disconnect();
//! # }
//! ```
//!
//! These act on the sockets that are in the room at that moment, one after the other.
//!
//! ## Know the rooms of a client that leaves
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Socket;
//! # async fn example(mut socket: Socket) {
//! while let Some(event) = socket.recv().await {
//!     println!("{event:?}");
//! }
//! for room in socket.rooms() {
//!     let _ = socket.to(&room).emit("left", socket.id().as_str()).await;
//! }
//! # }
//! ```
//!
//! The rooms are known until the last handle is dropped, behind an `await` too. The socket itself gets nothing any more.
//!
//! ## Send from an HTTP handler or a job
//!
//! ```no_run
//! # use std::time::Duration;
//! # use enginewire_tokio::socketio::Io;
//! # fn example(io: &Io) {
//! let prices = io.namespace("/prices");
//! tokio::spawn(async move {
//!     let mut every = tokio::time::interval(Duration::from_secs(1));
//!     loop {
//!         every.tick().await;
//!         if let Err(error) = prices.emit("price", &42).await {
//!             println!("{error}");
//!         }
//!     }
//! });
//! # }
//! ```
//!
//! `Io`, `Namespace` and `SocketRef` are cheap to clone and can be used on any thread. `Io` is a state for axum, too.
//!
//! # Clients
//!
//! ## Let in only clients with a token
//!
//! ```no_run
//! use enginewire_tokio::socketio::{ConnectError, ConnectRequest, Io};
//!
//! #[derive(serde::Deserialize)]
//! struct Auth { token: String } // io(url, { auth: { token: ".." } })
//!
//! # struct User;
//! # async fn find_user(_: &str) -> Option<User> { None }
//! async fn authorize(request: ConnectRequest) -> Result<User, ConnectError> {
//!     let auth: Auth = request.auth().map_err(|_| ConnectError::new("no token"))?;
//!     let user = find_user(&auth.token).await;
//!     user.ok_or_else(|| ConnectError::new("unknown token").with_data(&401))
//! }
//!
//! # fn example(io: Io) {
//! let users = io.namespace("/").authorize(authorize);
//! # drop(users);
//! # }
//! ```
//!
//! The client has message and data in its event `connect_error`, and does not try again by itself. Steps of a check are
//! function calls in one `authorize`: no chain, and no `next` to forget. Other namespaces of the client go on meanwhile.
//!
//! ## Keep data of a client
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Namespace, Socket};
//! # struct User { name: String }
//! # async fn example(users: Namespace<User>) {
//! users
//!     .serve(|mut socket: Socket<User>| async move {
//!         let mut messages = 0;
//!         while socket.recv().await.is_some() {
//!             messages += 1;
//!             println!("{} has sent {messages}", socket.data().name);
//!         }
//!     })
//!     .await;
//! # }
//! ```
//!
//! A variable of the task is for the task alone. The data are for all who have the socket, and have the type that
//! `authorize` returns. For values that change, put a `Mutex` or an atomic into the data.
//!
//! ## Share state between all clients
//!
//! ```no_run
//! # use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
//! # use enginewire_tokio::socketio::{Io, Socket};
//! # async fn example(io: Io) {
//! let count = Arc::new(AtomicUsize::new(0));
//! io.namespace("/")
//!     .serve_with(count, |mut socket: Socket, count| async move {
//!         while socket.recv().await.is_some() {
//!             count.fetch_add(1, Ordering::Relaxed);
//!         }
//!     })
//!     .await;
//! # }
//! ```
//!
//! Each task gets a clone. With a table it is the extractor [`State`], given by [`Routes::with_state`]: one that is
//! missing does not compile.
//!
//! ## Read headers, cookies and the query
//!
//! ```no_run
//! # use enginewire_tokio::socketio::SocketRef;
//! # fn example(socket: SocketRef) {
//! let handshake = socket.handshake();
//! let cookies: Option<&[u8]> = handshake.header("cookie");
//! let language: Option<String> = handshake.query_value("lang");
//! # drop((cookies, language));
//! # }
//! ```
//!
//! It is the request that opened the session; later requests of polling are not kept. [`peer_addr`](crate::socketio::SocketRef::peer_addr)
//! is that of a proxy if there is one: read the header that your proxy sets.
//!
//! ## Look up an HTTP session once for all namespaces
//!
//! ```no_run
//! # use enginewire_tokio::{Refusal, ServerBuilder, socketio::{ConnectError, ConnectRequest, Io}};
//! # struct Login { user: u64 }
//! # async fn find_login(_: Option<&[u8]>) -> Option<Login> { None }
//! # fn example(io: Io) -> ServerBuilder {
//! let users = io.namespace("/").authorize(async |request: ConnectRequest| {
//!     let login = request.handshake().extension::<Login>();
//!     login.ok_or_else(|| ConnectError::new("log in first"))
//! });
//! # drop(users);
//! ServerBuilder::new().socketio(&io).allow_request(|handshake| async move {
//!     let login = find_login(handshake.header("cookie")).await;
//!     login.map(|login| handshake.insert(login)).ok_or_else(|| Refusal::new("log in first"))
//! })
//! # }
//! ```
//!
//! `allow_request` decides about a session, before any namespace: a refusal is a response of HTTP. The value is that of
//! the moment; look it up again where it may have changed.
//!
//! ## Kick a user
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Io;
//! # fn example(io: Io) {
//! io.to("user:7").disconnect();
//! # }
//! ```
//!
//! Official clients do not come back by themselves after that, but a page may connect anew: have `authorize` refuse it.
//! [`disconnect_clients`](crate::socketio::Broadcast::disconnect_clients) ends the other namespaces of the clients too.
//!
//! ## Disconnect a client when its token expires
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Event, Socket};
//! # struct User { expires: tokio::time::Instant }
//! # async fn handle(_: &Socket<User>, _: Event) {}
//! async fn talk(mut socket: Socket<User>) {
//!     let expires = socket.data().expires;
//!     // An error is that of the deadline.
//!     while let Ok(Some(event)) = tokio::time::timeout_at(expires, socket.recv()).await {
//!         handle(&socket, event).await;
//!     }
//!     // Dropped, the socket is disconnected.
//! }
//! ```
//!
//! `recv` is cancel safe: an event that comes at the deadline is either returned or still there. Without this a token
//! is checked once, and its socket lives on.
//!
//! ## Let clients come back with what they missed
//!
//! ```no_run
//! # use std::time::Duration;
//! # use enginewire_tokio::socketio::{Io, RecoveryConfig, Socket};
//! let mut recovery = RecoveryConfig::default();
//! recovery.window = Duration::from_secs(60);
//! let io = Io::builder().recovery(recovery).build();
//!
//! async fn talk(mut socket: Socket) {
//!     if !socket.recovered() {
//!         socket.join("news");
//!     }
//!     while socket.recv().await.is_some() {}
//! }
//! # drop((io, talk));
//! ```
//!
//! A recovered socket has its id, rooms and data; its task begins anew. It gets the events that it missed, but for
//! volatile ones and those to be acknowledged. The log is bounded in time, number and bytes, and is lost with the
//! process.
//!
//! # Tests
//!
//! ## Test an application without ports and without waiting
//!
//! The feature `testing` has `testing::TestLink`: real clients, the real server, and a network in memory that can be cut,
//! frozen and slowed down. With `#[tokio::test(start_paused = true)]` a heartbeat of 45 seconds passes in microseconds. The
//! docs of that [module](https://docs.rs/enginewire-tokio/latest/enginewire_tokio/testing/) begin with such a test.
//!
//! # Several nodes
//!
//! ## Reach the clients of all nodes
//!
//! ```no_run
//! use enginewire_tokio::socketio::{Bus, Io};
//! # async fn example(bus: impl Bus) -> Result<(), enginewire_tokio::socketio::EmitError> {
//! let io = Io::builder().cluster(bus).build();
//!
//! // Wherever they are, also by the id of one.
//! let sent = io.to("news").emit("news", "hello").await?;
//! match sent.remote {
//!     Ok(nodes) => println!("{} sockets here, and {nodes} other nodes", sent.sockets),
//!     Err(error) => println!("{} sockets here alone: {error}", sent.sockets),
//! }
//! io.to("banned").disconnect();
//! io.broadcast().local().emit("restart", "this node alone").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing else of an application changes. A [`Bus`](crate::socketio::Bus) carries messages between the nodes; brokers
//! such as Redis have none yet, and it is a trait of four functions. Broadcasts of one node come in the same order on all
//! nodes, if the bus keeps it. Clients stay with their node: the load balancer must send each of them to one and the same.
//!
//! ## List the clients of all nodes
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{ConnectRequest, Io};
//! # use serde::{Deserialize, Serialize};
//! # async fn example(io: Io) {
//! #[derive(Serialize, Deserialize)]
//! struct User {
//!     name: String,
//! }
//!
//! # async fn check(_: ConnectRequest) -> Result<User, enginewire_tokio::socketio::ConnectError> { Err("no".into()) }
//! let users = io.namespace("/users").authorize(check).share_data();
//! // Later, on any node.
//! let fetched = users.to("lobby").fetch_sockets().await;
//! for socket in &fetched.sockets {
//!     if let Ok(user) = socket.data::<User>() {
//!         println!("{} is {}", socket.id(), user.name);
//!     }
//! }
//! println!("{} nodes have not responded", fetched.missing.nodes);
//! # }
//! ```
//!
//! ## Tell the applications of other nodes
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Io;
//! # async fn example(io: Io) -> Result<(), Box<dyn std::error::Error>> {
//! let main = io.namespace("/");
//! let mut events = main.server_events();
//! tokio::spawn(async move {
//!     while let Some(mut event) = events.recv().await {
//!         if event.name() == "sockets?" {
//!             let _ = event.ack().send(&main.len());
//!         }
//!     }
//! });
//! // On another node.
//! let all = io.namespace("/").server_side_emit_with_ack::<usize, _>("sockets?", &()).await?;
//! println!("{}", all.answers.iter().map(|(_, sockets)| sockets).sum::<usize>());
//! # Ok(())
//! # }
//! ```
//!
//! # Not there yet
//!
//! There is no Socket.IO client: a program in Rust cannot connect to these servers except over Engine.IO. There is no bus
//! over Redis or another broker.
//!
//! [`Ack::attach`]: crate::socketio::Ack::attach
//! [`Event::parse`]: crate::socketio::Event::parse
//! [`Io`]: crate::socketio::Io
//! [`IoBuilder::ack_timeout`]: crate::socketio::IoBuilder::ack_timeout
//! [`IoBuilder::max_attachments`]: crate::socketio::IoBuilder::max_attachments
//! [`IoBuilder::max_children`]: crate::socketio::IoBuilder::max_children
//! [`Namespace::rejections`]: crate::socketio::Namespace::rejections
//! [`Namespace::room_len`]: crate::socketio::Namespace::room_len
//! [`Namespace::rooms`]: crate::socketio::Namespace::rooms
//! [`Routes::before`]: crate::socketio::Routes::before
//! [`Routes::fallback`]: crate::socketio::Routes::fallback
//! [`Routes::with_state`]: crate::socketio::Routes::with_state
//! [`Socket`]: crate::socketio::Socket
//! [`SocketRef`]: crate::socketio::SocketRef
//! [`State`]: crate::socketio::State
//! [`Value`]: crate::socketio::Value
//! [`concurrent`]: crate::socketio::concurrent
