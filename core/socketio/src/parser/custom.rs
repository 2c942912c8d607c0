//! Parsers of applications.

use alloc::{boxed::Box, vec::Vec};

use enginewire::Message;

use super::PacketError;
use crate::packet::Packet;

/// Format of packets that an application brings.
///
/// It sees payloads as [`Value`](crate::Value)s, through [`Payload::to_value`](crate::Payload::to_value) and
/// [`Args::to_values`](crate::Args::to_values). That costs more than the parsers that are built in.
pub trait CustomParser: Send + Sync {
    /// Encodes a packet as messages, which are sent one right behind the other.
    fn encode(&self, packet: &Packet) -> Vec<Message>;

    /// Creates the decoder of one peer.
    fn decoder(&self) -> Box<dyn CustomDecoder>;
}

/// Decoder of one peer's messages in the format of a [`CustomParser`].
///
/// It bounds what it keeps: [`ParserLimits`](super::ParserLimits) are checked for each message, not for its own state.
pub trait CustomDecoder: Send {
    /// Takes the next message. `None` if more messages belong to the packet.
    ///
    /// # Errors
    ///
    /// A fault of the peer. The connection ends.
    fn handle_message(&mut self, message: Message) -> Result<Option<Packet>, PacketError>;

    /// Returns whether a packet waits for more messages. Default false.
    fn is_waiting(&self) -> bool {
        false
    }
}
