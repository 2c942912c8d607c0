//! Socket.IO on top of sessions: servers with namespaces, rooms and broadcast, and clients.
//!
//! # Servers
//!
//! An [`Io`] is the server. Its [`Namespace`]s are what clients connect to; a [`Socket`] is one client in one
//! namespace. Sockets receive events in order, one after the other:
//!
//! ```no_run
//! use enginewire_driver::{Runtime, ServerBuilder, socketio::{Io, Socket}};
//!
//! async fn run<R: Runtime>(builder: ServerBuilder<R>) -> std::io::Result<()> {
//!     let io = Io::new();
//!     // Before the server listens: the first client finds it then.
//!     let clients = io.namespace("/");
//!     let server = builder.socketio(&io).bind("127.0.0.1:3000").await?;
//!     println!("http://{}", server.local_addr());
//!     clients.serve(talk).await;
//!     Ok(())
//! }
//!
//! async fn talk(mut socket: Socket) {
//!     while let Some(mut event) = socket.recv().await {
//!         let ack = event.ack();
//!         match event.name() {
//!             "join" => {
//!                 let Ok(room) = event.data::<String>() else { continue };
//!                 socket.join(room);
//!             }
//!             "say" => {
//!                 let Ok((room, text)) = event.data::<(String, String)>() else { continue };
//!                 // Fails only if too many broadcasts wait to be delivered.
//!                 let _ = socket.to(room).emit("said", &text).await;
//!             }
//!             _ => {}
//!         }
//!         // Does nothing for an event that expects none.
//!         let _ = ack.send(&"ok").await;
//!     }
//!     // Here the client has left.
//! }
//! ```
//!
//! # Names of events
//!
//! The name of an event is a string, or a constant that says what the event carries. A payload of another type does not
//! compile then, on either side that uses the constant:
//!
//! ```
//! use enginewire_driver::socketio::{Asking, Named, Socket};
//!
//! const SAY: Asking<String, usize> = Asking::new("say");
//! const SAID: Named<(String, String)> = Named::new("said");
//!
//! async fn talk(mut socket: Socket) {
//!     while let Some(mut event) = socket.recv().await {
//!         let Some(Ok(text)) = event.data_of(SAY) else { continue };
//!         // Borrowed strings are encoded as the constant's own.
//!         let sent = socket.broadcast().emit(SAID, &("Ann", &text)).await;
//!         let _ = event.ack_for(SAY).send(&sent.map_or(0, |sent| sent.sockets)).await;
//!     }
//! }
//! ```
//!
//! # Clients
//!
//! A [`Client`] is a connection to a server, which is made anew when it is lost. A [`ClientSocket`] is one namespace on
//! it. What is emitted while there is no connection waits, bounded; what happens to the connection comes in one stream
//! with the events:
//!
//! ```no_run
//! use enginewire_driver::{Runtime, socketio::{ClientBuilder, ClientError, Update}};
//!
//! async fn run<R: Runtime>(builder: ClientBuilder<R>) -> Result<(), ClientError> {
//!     let mut socket = builder.build()?.socket("/chat").auth(&("token", "secret")).open()?;
//!     // It waits until the socket is connected.
//!     socket.emit("join", "lobby").await.ok();
//!     while let Some(update) = socket.next().await {
//!         match update {
//!             Update::Event(mut event) => {
//!                 // Does nothing for an event that expects no acknowledgement.
//!                 event.ack().send(&"seen").await.ok();
//!             }
//!             Update::Connected { recovered: false, .. } => println!("a new socket on the server"),
//!             Update::Failed(error) => println!("{error}"),
//!             _ => {}
//!         }
//!     }
//!     // Disconnected by either side, refused, or given up.
//!     println!("{:?}", socket.end_reason());
//!     Ok(())
//! }
//! ```
//!
//! The crate for a runtime has these types under its own name: `enginewire_tokio::socketio`. The
//! [guide](https://docs.rs/enginewire-tokio/latest/enginewire_tokio/guide/) has a recipe for each task.

mod acks;
#[cfg(feature = "admin")]
pub mod admin;
mod appending;
mod broadcast;
mod client;
mod cluster;
mod emit;
mod event;
pub mod handlers;
mod io;
mod joining;
mod layer;
mod namespace;
mod observer;
mod order;
mod outgoing;
mod reading;
mod recovering;
mod rooms;
mod session;
mod socket;
mod stats;

pub use enginewire_socketio::{
    Args, AskName, Asking, Attachment, ConnectError, DecodeError, DisconnectReason, EmitError,
    EncodeAs, EncodeError, EventError, Name, Named, Offline, Room, SocketId, Spread, Value,
    adapter::{EntryId, RecoveryConfig, SocketState},
    cluster::{
        AppendId, LogEntry, LogRequest, LogResponse, Message, Missing, NodeId, Operation,
        ReadLimits, RequestId, TellError,
    },
    hub::{Delivered, Overflow, ServerSideEmitError},
    parser::{CustomDecoder, CustomParser, Parser},
    pattern::InvalidPattern,
};

use self::io::IoShared;
pub use self::{
    acks::{AckError, AckFuture, AckResponses, AckStream},
    broadcast::{Broadcast, Publish},
    client::{
        Client, ClientAck, ClientAckFuture, ClientBuilder, ClientEmit, ClientEmitter, ClientError,
        ClientEvent, ClientRef, ClientSocket, SocketBuilder, Update, platform,
    },
    cluster::{
        Bus, BusEvent, FetchedSockets, RemoteSocket, ServerAck, ServerAnswers, ServerEvent,
        ServerEvents,
    },
    emit::Emit,
    event::{Ack, AckOf, Event},
    handlers::{Data, EventName, Reply, Routes, State, TryData, concurrent},
    io::{Io, IoBuilder},
    namespace::{ConnectRequest, Namespace, NamespaceRequest},
    rooms::Rooms,
    socket::{Emitter, Socket, SocketRef, UnknownEvent},
    stats::Stats,
};
