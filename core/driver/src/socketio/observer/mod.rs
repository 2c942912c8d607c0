//! The seam by which the admin UI watches sessions, sockets, rooms and events.
//!
//! The rest of Socket.IO tells these types what happens, and knows nothing else of it. Without the feature `admin` they
//! are empty, and their methods do nothing.
//!
//! | type | belongs to | hears of |
//! |---|---|---|
//! | [`Observer`] | a server | its start, its namespaces |
//! | [`SessionWatch`] | a session | its transport, its end |
//! | [`Tally`] | the layer of a session | packets, both ways |
//! | [`NamespaceWatch`] | a namespace | sockets, rooms, events |
//!
//! A [`Recorder`] notes changes under the lock of the adapter, so that they come in the order in which they happened. It
//! wakes the task of the admin UI behind all locks.

#[cfg(not(feature = "admin"))]
mod disabled;
#[cfg(feature = "admin")]
mod enabled;

#[cfg(not(feature = "admin"))]
pub(crate) use self::disabled::{
    Mark, NamespaceWatch, Observer, Recorder, SessionWatch, Tally, of_application,
};
#[cfg(feature = "admin")]
pub(crate) use self::enabled::{
    Mark, NamespaceWatch, Observer, Recorder, SessionWatch, Tally, of_application,
};

use enginewire::{CloseReason, Encoded, ServerSession, Time, TrySendError};
use enginewire_socketio::Session;

/// A session that a connection sends on, and the count of what it sends.
pub(super) struct Wire<'a> {
    session: &'a mut ServerSession,
    tally: &'a Tally,
}

impl<'a> Wire<'a> {
    pub(super) const fn new(session: &'a mut ServerSession, tally: &'a Tally) -> Self {
        Self { session, tally }
    }
}

impl Session for Wire<'_> {
    #[inline]
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        let sizes = self.tally.measure(&message);
        self.session.send(message)?;
        self.tally.sent(sizes);
        Ok(())
    }

    #[inline]
    fn is_idle(&self) -> bool {
        self.session.is_idle()
    }

    #[inline]
    fn queued(&self) -> (usize, usize) {
        Session::queued(self.session)
    }

    #[inline]
    fn is_receiving(&self) -> bool {
        self.session.is_receiving()
    }

    #[inline]
    fn release(&mut self, cost: usize) {
        self.session.release(cost);
    }

    fn close(&mut self, now: Time) {
        self.session.close(now);
    }

    fn abort(&mut self, reason: CloseReason) {
        self.session.abort_with(reason);
    }
}
