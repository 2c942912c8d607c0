//! Configuration of a wire: the format, the names and the limits.

use alloc::string::String;
use core::time::Duration;

/// Configuration of a [`Wire`](super::Wire).
///
/// All nodes of a cluster need the same format, prefix and mode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireConfig {
    /// Messages and channels, by the adapter that the other nodes use.
    pub format: Format,
    /// Beginning of the names of all channels. Default `socket.io`.
    pub prefix: String,
    /// Limit on a message of another node, in bytes. Default 32 MiB.
    ///
    /// Larger ones are dropped. Reading takes up to some 60 bytes of memory for each byte of a message.
    pub max_message: usize,
    /// Limit on the requests of other nodes that are not answered yet. Default 8192.
    ///
    /// Each takes up to 1 KiB. At a further one the request is forgotten whose deadline is next.
    ///
    /// Requests of this node have the same limit, in each namespace: on those whose nodes are not counted yet or, with
    /// heartbeats, have not all responded. A further one is sent, but waits for its deadline. With heartbeats it does so
    /// only if a node is lost.
    pub max_requests: usize,
    /// Time after which a request of another node is forgotten. Default 10 s.
    ///
    /// The reference's requests wait for 5 s. Acknowledgements have their own time.
    pub request_timeout: Duration,
    /// Time for acknowledgements, for a broadcast that does not tell its own. Default 10 s.
    ///
    /// It is written into each message, because nodes of the reference take its absence for a millisecond.
    pub ack_timeout: Duration,
    /// Time between two counts of the nodes. Default 5 s.
    ///
    /// Every request counts them besides.
    pub count_interval: Duration,
}

/// Messages and channels of one of the official adapters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `createAdapter` of npm `@socket.io/redis-adapter`: PUBLISH, with messages of its own.
    Classic(ClassicConfig),
    /// `createShardedAdapter` of npm `@socket.io/redis-adapter`: SPUBLISH, from Redis 7 on.
    Sharded(SubscriptionMode),
    /// npm `@socket.io/redis-streams-adapter`, from version 0.3 on: XADD for operations, PUBLISH for requests.
    Streams(StreamsConfig),
    /// Nodes that hear of each other by heartbeats, as those of npm `@socket.io/postgres-adapter` do.
    Heartbeats(HeartbeatsConfig),
}

/// Options of [`Format::Classic`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassicConfig {
    /// Whether responses go to a channel of the node that asks. Default false.
    ///
    /// It is `publishOnSpecificResponseChannel` of the reference, and a choice of the node that responds. Any node
    /// listens on both channels.
    pub has_response_channels: bool,
}

/// Rooms that have a channel of their own in [`Format::Sharded`]. Default [`Dynamic`](Self::Dynamic).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionMode {
    /// None: all nodes get all messages of a namespace.
    Static,
    /// Rooms whose name has not the length of a socket's id, which is 20.
    #[default]
    Dynamic,
    /// All rooms, also those of single sockets.
    DynamicPrivate,
}

/// Options of [`Format::Streams`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamsConfig {
    /// Name of the stream. Default `socket.io`.
    pub stream: String,
    /// Number of streams, at least 1. Default 1.
    ///
    /// With more than one they are named `socket.io-0` and so on, and each namespace has one of them.
    pub streams: u16,
    /// Length to which a stream is trimmed, about. Default 10 000.
    pub max_len: usize,
    /// Whether requests go by SPUBLISH. Default false, which is PUBLISH.
    pub is_sharded: bool,
    /// Whether entries are JSON also if there are binary data in them. Default false.
    ///
    /// Binary data then arrive as objects, as `JSON.stringify` writes a `Buffer`.
    pub only_plaintext: bool,
    /// Beginning of the keys of sockets that wait for their clients. Default `sio:session:`.
    pub sessions: String,
}

/// Options of [`Format::Heartbeats`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeartbeatsConfig {
    /// Longest time between two messages of a node. Default 5 s.
    pub interval: Duration,
    /// Time without a message after which another node is lost. Default 10 s.
    pub timeout: Duration,
    /// Limit on the other nodes of a namespace. Default 1000. Further ones are ignored.
    pub max_nodes: usize,
    /// Size from which on a message is to be stored apart, in bytes. Default 8000, Postgres's limit.
    ///
    /// Those with binary data are stored apart at any size.
    pub max_payload: usize,
    /// Limit on the name of a channel, in bytes. Default 63, Postgres's limit.
    ///
    /// A namespace with a longer one stays on this node.
    pub max_channel: usize,
}

impl WireConfig {
    /// Creates a configuration with the defaults.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            prefix: "socket.io".into(),
            max_message: 32 << 20,
            max_requests: 8192,
            request_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(10),
            count_interval: Duration::from_secs(5),
        }
    }
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self {
            stream: "socket.io".into(),
            streams: 1,
            max_len: 10_000,
            is_sharded: false,
            only_plaintext: false,
            sessions: "sio:session:".into(),
        }
    }
}

impl Default for HeartbeatsConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            max_nodes: 1000,
            max_payload: 8000,
            max_channel: 63,
        }
    }
}
