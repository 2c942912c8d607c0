//! The Engine.IO session under a connection.

use enginewire::{CloseReason, Encoded, ServerSession, Time, TrySendError};

/// Session that carries a [`Connection`](super::Connection).
///
/// It is implemented for [`ServerSession`]. Tests and other carriers implement it themselves.
pub trait Session {
    /// Queues a message, or several that no other comes between.
    ///
    /// # Errors
    ///
    /// There is no room, or the session is closed. The message comes back.
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError>;

    /// Returns whether a message that is sent now goes out now.
    fn is_idle(&self) -> bool;

    /// Returns the bytes that are queued, and the limit on them.
    fn queued(&self) -> (usize, usize);

    /// Gives back what messages count for that the application has taken.
    fn release(&mut self, cost: usize);

    /// Closes the session once what is queued was sent.
    fn close(&mut self, now: Time);

    /// Closes the session now. What is queued is lost.
    fn abort(&mut self, reason: CloseReason);
}

impl Session for ServerSession {
    #[inline]
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        self.send(message)
    }

    fn is_idle(&self) -> bool {
        self.is_idle()
    }

    fn queued(&self) -> (usize, usize) {
        (self.queued(), self.config().limits.max_queued)
    }

    #[inline]
    fn release(&mut self, cost: usize) {
        self.release(cost);
    }

    fn close(&mut self, now: Time) {
        self.close(now);
    }

    fn abort(&mut self, reason: CloseReason) {
        self.abort_with(reason);
    }
}
