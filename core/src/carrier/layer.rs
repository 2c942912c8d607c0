//! A protocol on top of a session.

use core::{any::Any, fmt, task::Waker};

use crate::{
    session::{Event, ServerSession},
    time::Time,
};

/// A protocol on top of a session: Socket.IO, for example.
///
/// A layer belongs to one session and is called where the session is, under its lock. It sees every event
/// before the application, sends on the session, has one deadline of its own, and keeps what it likes. It is
/// set with [`ServerHub::set_layer`](crate::ServerHub::set_layer) or the driver's `Socket::set_layer`, and reached again by
/// its type.
///
/// **Credit.** Messages that a layer has taken count as unread until it gives their
/// [`cost`](crate::Message::cost) back with [`ServerSession::release`]. A layer that queues messages for an application does so
/// when the application has taken them; then a slow application makes TCP slow the peer down.
pub trait Layer: Any + Send {
    /// Handles an event of the session. [`Event::Closed`] is the last.
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: Event);

    /// Handles a deadline of [`poll_timeout`](Self::poll_timeout) that has passed. Default: nothing.
    fn handle_timeout(&mut self, _cx: &mut LayerContext<'_>) {}

    /// Returns the next deadline of the layer. Asked after every call. Default: none.
    ///
    /// Deadlines end with the session: none expires behind [`Event::Closed`].
    fn poll_timeout(&self) -> Option<Time> {
        None
    }
}

/// The surroundings of a [`Layer`] during a call.
pub struct LayerContext<'a> {
    /// The latest time that the session was told.
    ///
    /// Its connections, its deadlines and calls of its layer tell it.
    pub now: Time,
    /// The session, to send on or to close.
    pub session: &'a mut ServerSession,
    pub(super) notified: bool,
    pub(super) wakes: &'a mut dyn FnMut(Waker),
}

impl LayerContext<'_> {
    /// Tells the application that the layer has something for it.
    ///
    /// A [`ServerHub`](crate::ServerHub) reports [`Output::Layer`](crate::hub::Output::Layer); a driver wakes the task that
    /// waits on the session.
    pub const fn notify(&mut self) {
        self.notified = true;
    }

    /// Wakes a task once the session's lock has been released.
    pub fn wake(&mut self, waker: Waker) {
        (self.wakes)(waker);
    }
}

impl fmt::Debug for LayerContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerContext").field("now", &self.now).finish_non_exhaustive()
    }
}

impl fmt::Debug for dyn Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer")
    }
}
