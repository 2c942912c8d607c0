//! Socket.IO as a sans-IO state machine: messages and clock ticks in, packets and events out.
//!
//! It stands on Engine.IO, the crate [`enginewire`]. [`hub::Hub`] is a whole server as one value. The program around
//! it has the sockets, the clock and the randomness. What it has for an application are sockets and their events:
//!
//! ```
//! use enginewire::Time;
//! use enginewire_socketio::{adapter::Target, hub::{Hub, HubConfig, Output}, parser::EnumEvent};
//! use serde::{Deserialize, Serialize};
//!
//! /// The name of a variant is the name of the event, a single field is its argument.
//! #[derive(Deserialize)]
//! enum FromClient {
//!     #[serde(rename = "say")]
//!     Say(String),
//! }
//!
//! #[derive(Serialize)]
//! enum ToClient<'a> {
//!     #[serde(rename = "said")]
//!     Said { text: &'a str },
//! }
//!
//! fn handle(hub: &mut Hub, now: Time, output: Output) -> Result<(), Box<dyn std::error::Error>> {
//!     match output {
//!         Output::Connect(socket, request, _) if &*request.namespace == "/" => {
//!             hub.accept(now, socket);
//!             hub.join(socket, "chat");
//!         }
//!         Output::Connect(socket, ..) => {
//!             hub.refuse(now, socket, &"Invalid namespace".into());
//!         }
//!         Output::Event(_, event) => {
//!             let FromClient::Say(text) = event.parse()?;
//!             hub.publish("/", &Target::all().to("chat"), &EnumEvent::new(&ToClient::Said { text: &text }))?;
//!         }
//!         _ => {} // The event loop's, or of no interest here.
//!     }
//!     Ok(())
//! }
//! # let (sessions, sockets) = (|bytes: &mut [u8]| bytes.fill(7), |bytes: &mut [u8]| bytes.fill(1));
//! # let mut hub = Hub::new(HubConfig::default(), sessions, sockets);
//! # let now = Time::ZERO;
//! # let on = hub.handle_accepted(now);
//! # let mut written = Vec::new();
//! # for bytes in [
//! #     &b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
//! #         Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
//! #         Sec-WebSocket-Version: 13\r\n\
//! #         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
//! #         \x81\x82\0\0\0\x0040"[..],
//! #     b"\x81\x8e\0\0\0\x0042[\"say\",\"hi\"]",
//! # ] {
//! #     hub.handle_bytes(now, on, &mut bytes.to_vec());
//! #     while let Some(output) = hub.poll() {
//! #         match output {
//! #             Output::Write(on) => hub.transmit(now, on, |bytes| {
//! #                 written.extend_from_slice(bytes);
//! #                 bytes.len()
//! #             }),
//! #             output => handle(&mut hub, now, output)?,
//! #         }
//! #     }
//! # }
//! # assert!(written.ends_with(br#"42["said",{"text":"hi"}]"#), "{}", written.escape_ascii());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The module [`hub`] has the loop around it, and the example `mio_chat` is a whole program. On tokio, smol or
//! async-std take `enginewire-tokio`, `enginewire-smol` or `enginewire-async-std`, which build on this crate.
//!
//! # What there is
//!
//! | for | take |
//! |---|---|
//! | a server for an event loop of your own, a simulation or a test | [`hub::Hub`] |
//! | a client for an event loop of your own | [`client_hub::ClientHub`] |
//! | what events carry: serde types, binary at any depth | [`payload`], [`Event`], [`Args`], [`Attachment`] |
//! | names of events as constants that say what the events carry | [`Named`], [`Asking`] |
//! | namespaces by pattern, rooms and who is in them | [`pattern`], [`adapter`] |
//! | one node of several: what they tell and ask each other | [`cluster`] |
//! | the messages of the official adapters, on Redis or Postgres | [`cluster::wire`] |
//! | JSON, MessagePack or an encoding of your own | [`parser`] |
//! | one client's session, for a driver with locks and tasks | [`Connection`], on a server |
//! | the sockets of a client over all its sessions, for a driver | [`Manager`] |
//! | a test on a virtual clock, with the feature of that name | `testing::Pair` |
//!
//! # Features
//!
//! `std` (default) makes dependencies faster; the API is the same without it. `testing` adds the module `testing`: a
//! server and its clients on a virtual clock, to test applications.

// Badges of features. docs.rs builds with a nightly compiler.
#![cfg_attr(docsrs, feature(doc_cfg))]
// For links from docs that are built without these. docs.rs itself links to the exact version.
#![doc(html_root_url = "https://docs.rs/enginewire-socketio/latest")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod acks;
mod connection;
mod event;
mod id;
mod manager;
mod msgpack;
mod name;
mod packet;
mod reason;

pub mod adapter;
pub mod client_hub;
pub mod cluster;
pub mod hub;
pub mod parser;
pub mod pattern;
pub mod payload;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use connection::{
    AckError, ConnectError, ConnectRequest, Connection, ConnectionConfig, ConnectionEvent,
    EmitError, Fault, Session, Slot, TryEmitError,
};
pub use event::Event;
pub use id::{PrivateId, Room, SocketId};
pub use manager::{Auth, EndReason, Manager, ManagerConfig, ManagerEvent, Offline, Update};
pub use name::{AskName, Asking, EncodeAs, Name, Named};
pub use packet::{AckId, Packet, PacketData};
pub use payload::{Args, Attachment, DecodeError, EncodeError, EventError, Payload, Spread, Value};
pub use reason::DisconnectReason;
