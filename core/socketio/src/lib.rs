//! Socket.IO as a sans-IO state machine on top of Engine.IO: messages and clock ticks in, packets and events out.
// For links from docs that are built without these. docs.rs itself links to the exact version.
#![doc(html_root_url = "https://docs.rs/enginewire-socketio/latest")]
#![no_std]

extern crate alloc;

mod connection;
mod event;
mod id;
mod packet;
mod reason;

pub mod adapter;
pub mod hub;
pub mod parser;
pub mod pattern;
pub mod payload;

pub use connection::{
    AckError, ConnectError, ConnectRequest, Connection, ConnectionConfig, ConnectionEvent,
    EmitError, Fault, Session, Slot, TryEmitError,
};
pub use event::Event;
pub use id::{PrivateId, Room, SocketId};
pub use packet::{AckId, Packet, PacketData};
pub use payload::{Args, Attachment, DecodeError, EncodeError, EventError, Payload, Spread, Value};
pub use reason::DisconnectReason;
