//! The Engine.IO session under a connection.

use enginewire::{
    ClientHub, ClientSession, CloseReason, Encoded, SendError, ServerSession, Time, TrySendError,
};

/// Session that carries a [`Connection`](super::Connection) or a [`Manager`](crate::Manager).
///
/// It is implemented for [`ServerSession`], [`ClientSession`] and [`ClientHub`]. Tests and other carriers implement it
/// themselves. `None` is a session that is not there: it is closed.
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

    /// Returns whether more is read: the application has not too much to catch up with.
    fn is_receiving(&self) -> bool;

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

    fn is_receiving(&self) -> bool {
        self.is_receiving()
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

/// Methods that a session of a client and the hub around one have in common.
macro_rules! client {
    ($type:ty, $session:ident => $inner:expr) => {
        impl Session for $type {
            fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
                self.send(message)
            }

            fn is_idle(&self) -> bool {
                let $session = self;
                $inner.is_idle()
            }

            fn queued(&self) -> (usize, usize) {
                let $session = self;
                ($inner.queued(), $inner.config().limits.max_queued)
            }

            fn is_receiving(&self) -> bool {
                let $session = self;
                $inner.is_receiving()
            }

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
    };
}

client!(ClientSession, session => session);
client!(ClientHub, hub => hub.session());

impl<S: Session> Session for Option<S> {
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        match self {
            Some(session) => session.send(message),
            None => Err(TrySendError { message, reason: SendError::Closed }),
        }
    }

    fn is_idle(&self) -> bool {
        self.as_ref().is_some_and(Session::is_idle)
    }

    fn queued(&self) -> (usize, usize) {
        self.as_ref().map(Session::queued).unwrap_or_default()
    }

    fn is_receiving(&self) -> bool {
        self.as_ref().is_none_or(Session::is_receiving)
    }

    fn release(&mut self, cost: usize) {
        if let Some(session) = self {
            session.release(cost);
        }
    }

    fn close(&mut self, now: Time) {
        if let Some(session) = self {
            session.close(now);
        }
    }

    fn abort(&mut self, reason: CloseReason) {
        if let Some(session) = self {
            session.abort(reason);
        }
    }
}
