//! Events: receiving them, sending them, and their data.
//!
//! # Receive an event with its arguments
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
//! # Receive events as an enum
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
//! # Say in one place what an event carries
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
//! # Handle events with functions in a table
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
//! # Send to one client
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
//! # Send without waiting
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
//! # Acknowledge an event
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
//! # Ask one client, with a deadline
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
//! # Send an enum
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
//! # Send what may be lost
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
//! # Send and receive binary data
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
//! # Pass binary data on without a copy
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
//! # See every event, and forward it
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
//! # Check every event first
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
//! # Limit the rate of events
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
//! # Tell a client that its event was malformed
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
//! [`Ack::attach`]: crate::socketio::Ack::attach
//! [`Event::parse`]: crate::socketio::Event::parse
//! [`IoBuilder::ack_timeout`]: crate::socketio::IoBuilder::ack_timeout
//! [`IoBuilder::max_attachments`]: crate::socketio::IoBuilder::max_attachments
//! [`Namespace::rejections`]: crate::socketio::Namespace::rejections
//! [`Routes::before`]: crate::socketio::Routes::before
//! [`Routes::fallback`]: crate::socketio::Routes::fallback
//! [`Value`]: crate::socketio::Value
//! [`concurrent`]: crate::socketio::concurrent
