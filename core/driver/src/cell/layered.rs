//! Sending through the layer of a session, for Socket.IO.
//!
//! An event is sent when there is room and it is the sender's turn.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use enginewire::{Encoded, Layer, LayerContext, Sid};

use super::{Guard, Inner, SessionCell, Sessions};
use crate::waiters::{Shareable, Ticket};

impl SessionCell {
    /// Returns the id of the session, a secret.
    pub(crate) const fn sid(&self) -> &Sid {
        &self.sid
    }

    /// Returns the sessions of the server.
    pub(crate) fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.sessions)
    }

    /// Sends through the layer with `send`, once there is room and it is the turn of `ticket`.
    ///
    /// `send` gives the message back if there is no room. `None` if the session has ended or has no such layer.
    pub(crate) fn poll_layer<L: Layer, T, E>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        ticket: &mut Ticket,
        place: &mut Option<Encoded>,
        send: impl FnOnce(&mut L, &mut LayerContext<'_>, Encoded) -> Result<T, Result<Encoded, E>>,
    ) -> Poll<Option<Result<T, E>>> {
        let now = self.now();
        let mut guard = self.lock();
        let Guard { inner, wakes, .. } = &mut guard;
        let Inner { entry, waiters, .. } = &mut **inner;
        entry.set_now(now);
        if entry.session().is_open() && !waiters.is_first(ticket) {
            waiters.wait_for_room(ticket, cx);
            return Poll::Pending;
        }
        let Some(message) = place.take() else { return Poll::Ready(None) };
        let (result, settled) = entry.with_layer(wakes, |layer, cx| send(layer, cx, message));
        let polled = match result {
            Some(Err(Ok(message))) => {
                *place = Some(message);
                waiters.wait_for_room(ticket, cx);
                Poll::Pending
            }
            Some(Err(Err(error))) => Poll::Ready(Some(Err(error))),
            Some(Ok(result)) => Poll::Ready(Some(Ok(result))),
            None => Poll::Ready(None),
        };
        if polled.is_ready() {
            waiters.leave(ticket);
        }
        guard.notify(settled);
        polled
    }

    /// Sends through the layer with `send`, unless tasks wait for room: then `full` says so.
    ///
    /// `None` if the session has ended or has no such layer.
    pub(crate) fn try_layer<L: Layer, T>(
        self: &Arc<Self>,
        full: impl FnOnce(usize, usize) -> T,
        send: impl FnOnce(&mut L, &mut LayerContext<'_>) -> T,
    ) -> Option<T> {
        let now = self.now();
        let mut guard = self.lock();
        let Guard { inner, wakes, .. } = &mut guard;
        let Inner { entry, waiters, .. } = &mut **inner;
        entry.set_now(now);
        let session = entry.session();
        if session.is_open() && waiters.is_awaited() {
            return Some(full(session.queued(), session.config().limits.max_queued));
        }
        let (result, settled) = entry.with_layer(wakes, send);
        guard.notify(settled);
        result
    }

    /// Removes a future that waits for room.
    pub(crate) fn leave_room(self: &Arc<Self>, ticket: &mut Ticket) {
        self.lock().inner.waiters.leave(ticket);
    }
}
