//! Rooms and broadcasts: events for many clients.
//!
//! # Send to everybody, or to everybody but the sender
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
//! # Pass slow clients by instead of disconnecting them
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
//! # Join and leave rooms
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
//! # Send to everybody in a room but the sender
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
//! # Send to several rooms, but not to some
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
//! # Send to a user in all of their windows
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
//! # Ask everybody in a room
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
//! # List who is in a room
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
//! # Move or disconnect all members of a room
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
//! # Know the rooms of a client that leaves
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
//! # Send from an HTTP handler or a job
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
//! [`Namespace::room_len`]: crate::socketio::Namespace::room_len
//! [`Namespace::rooms`]: crate::socketio::Namespace::rooms
