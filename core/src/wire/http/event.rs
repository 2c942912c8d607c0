//! Events and timers that a connection reports to its driver.

use bytes::Bytes;

use super::{fault::Fault, head::RequestHead};

/// An event on a connection.
#[derive(Debug)]
pub enum Event {
    /// A request arrived; an exchange begins.
    Request(RequestHead),
    /// The whole body that [`Server::read_body`](super::Server::read_body) asked for.
    Body(Bytes),
    /// The body that `read_body` asked for is longer than `max` bytes. Nothing of it is kept. The
    /// exchange goes on, its answer should be 413, and the connection closes behind it.
    BodyTooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// The peer broke a rule. The answer was written and the connection is closing; an exchange in
    /// progress is lost.
    Fault(Fault),
    /// The loss of the peer, during an exchange or in the middle of a head. An exchange in progress
    /// is lost.
    Lost,
}

/// Why a timer is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimerKind {
    /// No request has begun.
    Idle,
    /// A head has begun.
    Head,
    /// A body is being received.
    Body,
    /// The last answer was written; the peer may still be sending.
    Linger,
}
