//! Socket.IO as a sans-IO state machine on top of Engine.IO: messages and clock ticks in, packets and events out.
#![no_std]

extern crate alloc;

pub mod parser;
pub mod payload;

mod packet;

pub use packet::{AckId, Packet, PacketData};
pub use payload::{Args, Attachment, DecodeError, EncodeError, EventError, Payload, Value};
