//! Bounds on memory and work.

/// Every bound that one peer is held to, on every transport alike.
///
/// All sizes are bytes. Raising a limit raises what a single hostile peer can make the process hold:
/// roughly `max_head + max_payload` per connection while a request arrives, and
/// `max_unread + max_queued` plus one message each way per session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest WebSocket message, POST body and GET response. A GET response may be larger if
    /// it holds only one packet. Advertised to the client as `maxPayload`. Default 1 000 000, as
    /// the reference.
    pub max_payload: usize,
    /// The most packets in one polling payload. Default 65 536: a payload of `max_payload` bytes
    /// could otherwise hold half a million empty messages, each costing us fifty times its size.
    pub max_packets: usize,
    /// The most frames that one WebSocket message may be cut into. Default 16 384: fragments cost a
    /// peer two bytes each, so bytes alone do not bound the work.
    pub max_fragments: usize,
    /// The largest HTTP request head, request line included. Default 16 384, as Node.
    pub max_head: usize,
    /// The most HTTP header fields in one head. Default: as many as `max_head` bytes can hold.
    pub max_headers: usize,
    /// Bytes queued for the peer from which on `send` answers `Full`. A message counts as its length
    /// plus [`Limits::MESSAGE_OVERHEAD`] for each of its parts; the last one taken may go beyond the limit. Default 1 MiB.
    pub max_queued: usize,
    /// Unread bytes from which on the peer is slowed down. Unread are bytes that were received but
    /// not yet taken by the application. The WebSocket is no longer read and the POST not answered
    /// until at most half of this limit is unread. The read or POST that reached the limit is kept
    /// whole. Counted as `max_queued`. Default 1 MiB.
    pub max_unread: usize,
}

impl Limits {
    /// Bytes that a queued message counts for besides its own length. They are about what its place
    /// in the queue costs. They are counted because empty messages would not be bounded otherwise.
    pub const MESSAGE_OVERHEAD: usize = 64;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: 1_000_000,
            max_packets: 65_536,
            max_fragments: 16_384,
            max_head: 16_384,
            max_headers: usize::MAX,
            max_queued: 1 << 20,
            max_unread: 1 << 20,
        }
    }
}
