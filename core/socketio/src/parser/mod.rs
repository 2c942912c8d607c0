//! Parsers: packets of messages, and messages of packets.

mod error;

pub use self::error::PacketError;
