//! Packets of Socket.IO.

use core::fmt;

use enginewire::Text;

use crate::payload::{Args, Payload};

/// Packet of Socket.IO, of revision 5 (Socket.IO 3 and 4) or 4 (Socket.IO 2).
#[derive(Clone, Debug)]
pub struct Packet {
    /// The namespace that it belongs to, with its leading `/`.
    pub namespace: Text,
    /// The kind of packet and its payload.
    pub data: PacketData,
}

/// Kind of a [`Packet`], and its payload.
#[derive(Clone, Debug)]
pub enum PacketData {
    /// `0`: a client asks to connect to the namespace, or a server has connected it.
    Connect(Option<Payload>),
    /// `1`: leaves the namespace.
    Disconnect,
    /// `2`, or `5` with attachments: an event, whose name is the first argument.
    Event {
        /// The number under which an acknowledgement is expected.
        ack: Option<AckId>,
        /// The name and the arguments behind it. Empty if the packet has none, not even a name.
        args: Args,
    },
    /// `3`, or `6` with attachments: acknowledges an event.
    Ack {
        /// The number of the event.
        id: AckId,
        /// The arguments.
        args: Args,
    },
    /// `4`: the server refuses to connect the client.
    ConnectError(Payload),
}

/// Number of an event that is to be acknowledged.
///
/// Ours count from zero for each namespace. Those of peers are sent back as they came, of up to 38 digits: the
/// reference has no limit, and writes large ones in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckId(pub u128);

impl AckId {
    /// The most digits of one that a peer sends.
    pub const MAX_DIGITS: usize = 38;
}

impl fmt::Display for AckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
