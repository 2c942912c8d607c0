//! Parsers: packets of messages, and messages of packets.

pub mod msgpack;

mod error;

pub use self::error::PacketError;
