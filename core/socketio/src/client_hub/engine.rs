//! The session under a client.

use alloc::sync::Arc;

use enginewire::{
    ClientConfig, ClientHub as Engine, ClientSession, Entropy, Event as EngineEvent, Time, Url,
};

use crate::connection::Session;

/// Session of Engine.IO under a [`ClientHub`](super::ClientHub).
///
/// It is implemented for [`enginewire::ClientHub`], which has connections, and for
/// [`PlatformSession`](super::PlatformSession), which has none.
pub trait ClientEngine: Session + Sized {
    /// Begins to open a session.
    fn open(
        now: Time,
        url: &Url,
        config: Arc<ClientConfig>,
        websocket_worked: bool,
        entropy: &mut dyn Entropy,
    ) -> Self;

    /// Returns the session, to look at.
    fn session(&self) -> &ClientSession;

    /// Takes the next event. A message counts as unread until it is released.
    fn take_event(&mut self) -> Option<EngineEvent>;

    /// Counts `cost` as unread.
    fn hold(&mut self, cost: usize);

    /// Ends the session now. What is queued is lost.
    fn abort_now(&mut self);

    /// Handles deadlines that have passed.
    fn handle_timeout(&mut self, now: Time);

    /// Returns when to call [`handle_timeout`](Self::handle_timeout).
    fn poll_timeout(&self) -> Option<Time>;

    /// Returns whether there are tasks for the event loop.
    fn has_actions(&self) -> bool;

    /// Returns whether the session is over, and everything that carried it.
    fn is_finished(&self) -> bool;
}

impl ClientEngine for Engine {
    fn open(
        now: Time,
        url: &Url,
        config: Arc<ClientConfig>,
        websocket_worked: bool,
        entropy: &mut dyn Entropy,
    ) -> Self {
        Self::new(now, url, config, websocket_worked, entropy)
    }

    fn session(&self) -> &ClientSession {
        self.session()
    }

    fn take_event(&mut self) -> Option<EngineEvent> {
        self.take_event()
    }

    fn hold(&mut self, cost: usize) {
        self.hold(cost);
    }

    fn abort_now(&mut self) {
        self.abort();
    }

    fn handle_timeout(&mut self, now: Time) {
        self.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.poll_timeout()
    }

    fn has_actions(&self) -> bool {
        self.has_actions()
    }

    fn is_finished(&self) -> bool {
        self.is_finished()
    }
}
