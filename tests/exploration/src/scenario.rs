//! What is explored, and in what steps.

use std::fmt;

use enginewire::Revision;

/// What both applications do, and what the network and the clocks may.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The revision of the protocol that both speak.
    pub revision: Revision,
    /// Who closes, at any time, if anybody does.
    pub closer: Option<Side>,
    /// How often the network may break a connection or refuse a WebSocket.
    pub faults: u8,
    /// How often a clock may move to its next deadline while something is on its way or still to be
    /// done. While nothing is, it may as often as it likes.
    pub ticks: u8,
    /// Whether WebSockets take one frame at a time and the body of a POST may come later than its
    /// head. Otherwise both happen at once.
    pub fine: bool,
    /// Whether no ping is due before an upgrade has taken too long. Otherwise one is, which answers a poll
    /// that an upgrade may wait for.
    pub calm: bool,
    /// A rule that the harness itself breaks, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

impl Scenario {
    /// Nothing goes wrong and no clock moves while anything else can.
    pub const fn new(revision: Revision, closer: Option<Side>) -> Self {
        Self { revision, closer, faults: 0, ticks: 0, fine: false, calm: false, sabotage: None }
    }
}

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A cache on the way answers a GET with what it has answered the one before.
    Cache,
    /// The server's application drops what it gets.
    Forgetful,
    /// Of two frames on their way to the server the second overtakes the first.
    Overtaking,
    /// The server answers a POST twice.
    Twice,
    /// What the server answers to a POST is not sent.
    Mute,
    /// The server's clock stands still.
    Stopped,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What leads from one state to the next. Connections go by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The application sends its next message.
    Send(Side),
    /// The application closes.
    Close(Side),
    /// What is next on this connection arrives at this side.
    Arrive(Side, usize),
    /// This connection takes a frame of this side.
    Write(Side, usize),
    /// The network breaks this connection.
    Cut(usize),
    /// Something on the way refuses the WebSocket that this connection is to become.
    Refuse(usize),
    /// The clock of this side moves to its next deadline.
    Tick(Side),
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "the client",
            Self::Server => "the server",
        })
    }
}
