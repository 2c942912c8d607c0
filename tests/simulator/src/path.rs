//! How the network and the proxies on it treat one connection.

use std::time::Duration;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who connects.
    Client,
    /// Who accepts.
    Server,
}

impl Side {
    /// The other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What becomes of one connection. [`Path::default`] is a good one.
#[derive(Clone, Debug)]
pub struct Path {
    /// How long connecting takes.
    pub connect: Duration,
    /// Whether connecting fails, after that time.
    pub refused: bool,
    /// How long a byte is on its way.
    pub latency: Duration,
    /// By how much longer it may be; order is kept.
    pub jitter: Duration,
    /// Bytes a second in each direction.
    pub bandwidth: u64,
    /// Bytes of the largest segment. Some are cut much smaller, and what has come by the time that
    /// it is read is read together.
    pub segment: usize,
    /// Bytes in each direction that may be on their way or unread before a write blocks.
    pub buffer: usize,
    /// What goes wrong.
    pub faults: Vec<(When, Fault)>,
}

/// When something goes wrong on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after it was there.
    After(Duration),
    /// After so many bytes that this side has sent, as they arrive.
    Bytes(Side, u64),
    /// The same, counted from where the connection has become a WebSocket: behind the 101 of the
    /// server, and behind the client's request for it. Never on other connections.
    Upgraded(Side, u64),
}

/// What goes wrong on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is reset, and both ends are told.
    Reset,
    /// Nothing passes any more, and nobody is told: the line is cut, or one end has lost power.
    Vanish,
    /// Nothing passes for so long; then all of it comes at once.
    Stall(Duration),
    /// What this side sends comes to an end for the other one, as behind a proxy that has closed: no more
    /// of it arrives, and this side is told when it sends something.
    End(Side),
    /// A proxy takes what this side sends, and throws it away.
    Swallow(Side),
    /// From now on everything takes so much longer.
    Slow(Duration),
    /// A proxy collects what this side sends, and passes it on only every so often.
    Collect(Side, Duration),
    /// A proxy sends the request that is on its way, or the next one, once more: so long after it has
    /// passed, on a connection of the proxy's own. It swallows the answer. An opening handshake of a
    /// WebSocket is not sent again.
    Repeat(Duration),
}

impl Default for Path {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(10),
            refused: false,
            latency: Duration::from_millis(5),
            jitter: Duration::from_millis(1),
            bandwidth: 10_000_000,
            segment: 1460,
            buffer: 65_536,
            faults: Vec::new(),
        }
    }
}

impl Path {
    /// This path, on which that goes wrong as well.
    #[must_use]
    pub fn with(mut self, when: When, fault: Fault) -> Self {
        self.faults.push((when, fault));
        self
    }

    /// This path without the proxy that sends requests twice, which polling cannot tell.
    #[must_use]
    pub(crate) fn without_repeats(mut self) -> Self {
        self.faults.retain(|(_, fault)| !matches!(fault, Fault::Repeat(_)));
        self
    }

    /// A path to a server that is not there.
    pub fn refused() -> Self {
        Self { refused: true, ..Self::default() }
    }

    /// A path on which every byte takes exactly so long, and connecting no time.
    pub fn exact(latency: Duration) -> Self {
        let (connect, jitter) = (Duration::ZERO, Duration::ZERO);
        Self { connect, jitter, latency, bandwidth: u64::MAX, segment: 1 << 20, ..Self::default() }
    }
}
