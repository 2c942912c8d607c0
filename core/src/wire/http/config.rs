//! Limits and timeouts of one connection, on either side.

use core::time::Duration;

use super::{date::WallClock, head::RequestHead, response_head::ResponseHead};
use crate::{deflate::HttpCompression, limits::Limits};

/// Limits and patience of the server side, shared by all its connections.
///
/// Every limit is enforced before the bytes that would exceed it are buffered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest request head in bytes, from the request line to the empty line. More than
    /// [`RequestHead::MAX_LEN`] counts as that. Default 16 384, as Node.
    pub max_head: usize,
    /// The most header fields in one head. Default: as many as `max_head` bytes can hold. A field that
    /// has the four bytes of the shortest costs eight bytes more to keep.
    pub max_headers: usize,
    /// The largest request body in bytes, after chunked decoding. The framing of a chunked body may
    /// add to what is read, never to what is held. Default 1 000 000, as the reference.
    pub max_body: usize,
    /// Limit on the time from the first byte of a head to its last. Default 10 s. It is long enough
    /// for a lost packet or two on a bad line. It is short enough that slow heads cannot be
    /// hoarded.
    pub head_timeout: Duration,
    /// Limit on the time for a body to arrive. Default 60 s. It starts with
    /// [`Server::read_body`](super::Server::read_body). It starts again whenever as much of the
    /// body has come as 1 KiB a second makes in that time. So a body may be slow, but not stand
    /// still.
    pub body_timeout: Duration,
    /// Between two requests, and before the first. A proxy must be the first to close a connection that
    /// it keeps, or its next request meets the close: nginx and the load balancers of AWS keep theirs for
    /// 60 s. Default 75 s, which is what nginx grants its own clients.
    pub idle_timeout: Duration,
    /// How long the peer may take no byte of a response. Default 30 s.
    pub write_timeout: Duration,
    /// Limit on the time that the peer goes on sending after the last response. Default 2 s, a few
    /// round trips. Then the connection is dropped. It is not closed at once because the peer's
    /// unread bytes would then cause a reset. A reset can destroy our response on its way (RFC 9112
    /// section 9.6).
    pub linger: Duration,
    /// The time of day, for the `Date` of responses. Default: a clock that has not been set, without which
    /// they have none (RFC 9110 section 6.6.1).
    pub wall_clock: WallClock,
}

impl Config {
    /// The sizes that `limits` allows, with the default timeouts.
    pub fn new(limits: &Limits) -> Self {
        Self {
            max_head: limits.max_head,
            max_headers: limits.max_headers,
            max_body: limits.max_payload,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            wall_clock: WallClock::new(),
        }
    }

    /// `max_head`, as far as a head can go.
    pub(super) fn head_limit(&self) -> usize {
        self.max_head.min(RequestHead::MAX_LEN)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

/// Limits of the client side, shared by all its connections. What patience a client has is the
/// business of the session above.
///
/// Every limit is enforced before the bytes that would exceed it are buffered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The largest head of a response in bytes. It counts from the status line to the empty line.
    /// More than [`ResponseHead::MAX_LEN`] counts as that. Default 16 384, as Node.
    pub max_head: usize,
    /// The most header fields in one head. Default: as many as `max_head` bytes can hold.
    pub max_headers: usize,
    /// The largest body of an answer in bytes, after chunked decoding, and after inflating. Default 1 000 000, as the
    /// reference.
    pub max_body: usize,
    /// The options of compression, if any.
    pub(crate) compression: Option<HttpCompression>,
}

impl ClientConfig {
    /// The sizes that `limits` allows.
    pub const fn new(limits: &Limits) -> Self {
        Self {
            max_head: limits.max_head,
            max_headers: limits.max_headers,
            max_body: limits.max_payload,
            compression: None,
        }
    }

    /// The same, and compressed bodies are accepted if there are options for that.
    pub(crate) fn with_compression(self, compression: Option<&HttpCompression>) -> Self {
        Self { compression: compression.cloned(), ..self }
    }

    /// `max_head`, as far as a head can go.
    pub(super) fn head_limit(&self) -> usize {
        self.max_head.min(ResponseHead::MAX_LEN)
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}
