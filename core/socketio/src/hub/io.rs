//! Connections and sessions of a hub.

use alloc::vec::Vec;
use core::time::Duration;

use enginewire::{
    Refusal, Response, Time,
    hub::{AskId, ConnectionId, RequestId, SessionId},
};

use super::Hub;
use crate::DisconnectReason;

/// Network inputs.
impl Hub {
    /// Handles a connection that was accepted.
    pub fn handle_accepted(&mut self, now: Time) -> ConnectionId {
        self.set_now(now);
        self.engine.handle_accepted(now)
    }

    /// Handles bytes that came. They are changed: payloads are unmasked where they lie.
    #[inline]
    pub fn handle_bytes(&mut self, now: Time, on: ConnectionId, bytes: &mut [u8]) {
        self.set_now(now);
        self.engine.handle_bytes(now, on, bytes);
    }

    /// Handles that the peer has closed its side: there is nothing more to read.
    pub fn handle_eof(&mut self, now: Time, on: ConnectionId) {
        self.set_now(now);
        self.engine.handle_eof(now, on);
    }

    /// Handles that the connection has failed, or that the event loop has closed it.
    ///
    /// The id is of no more use. No [`Output::Close`](super::Output::Close) follows, unless it is queued.
    pub fn handle_lost(&mut self, now: Time, on: ConnectionId) {
        self.set_now(now);
        self.engine.handle_lost(now, on);
    }

    /// Handles that the connection can be written to again.
    pub fn handle_writable(&mut self, now: Time, on: ConnectionId) {
        self.set_now(now);
        self.engine.handle_writable(now, on);
    }

    /// Sets the wall clock: at `now`, `since_1970` has passed since 1970-01-01T00:00:00Z.
    ///
    /// Responses have a `Date` from then on. Call it again from time to time, because a wall clock can be adjusted.
    pub fn set_wall_clock(&mut self, now: Time, since_1970: Duration) {
        self.set_now(now);
        self.engine.set_wall_clock(now, since_1970);
    }

    /// Handles deadlines that have passed. Does nothing before that of [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Time) {
        self.set_now(now);
        self.engine.handle_timeout(now);
        self.namespaces.handle_timeout(now);
        self.handle_cluster_timeout();
    }
}

/// Connections and sessions.
impl Hub {
    /// Writes what is queued for a connection, see [`ServerHub::transmit`](enginewire::ServerHub::transmit).
    pub fn transmit(&mut self, now: Time, on: ConnectionId, write: impl FnMut(&[u8]) -> usize) {
        self.set_now(now);
        self.engine.transmit(now, on, write);
    }

    /// Returns whether to read from this connection.
    #[inline]
    pub fn is_reading(&self, on: ConnectionId) -> bool {
        self.engine.is_reading(on)
    }

    /// Returns the limit on the bytes of one [`handle_bytes`](Self::handle_bytes) of a connection.
    ///
    /// See [`ServerHub::max_read`](enginewire::ServerHub::max_read).
    pub fn max_read(&self, on: ConnectionId) -> usize {
        self.engine.max_read(on)
    }

    /// Returns whether to accept connections: fewer are open than the configuration allows.
    pub fn is_accepting(&self) -> bool {
        self.engine.is_accepting()
    }

    /// Lets the session be opened that [`Output::Open`](super::Output::Open) was about.
    ///
    /// Returns false if there was a response, or nothing waits for one.
    pub fn allow_session(&mut self, open: AskId) -> bool {
        self.engine.allow(open)
    }

    /// Refuses to open the session that [`Output::Open`](super::Output::Open) was about.
    ///
    /// The response has status 403 and this message, or is as the [`Refusal`] says. Returns false as
    /// [`allow_session`](Self::allow_session) does.
    pub fn refuse_session(&mut self, open: AskId, refusal: impl Into<Refusal>) -> bool {
        self.engine.refuse(open, refusal)
    }

    /// Responds to an [`Output::Request`](super::Output::Request).
    ///
    /// Returns false if there was a response, or the connection is lost.
    pub fn respond(&mut self, request: RequestId, response: Response) -> bool {
        self.engine.respond(request, response)
    }

    /// Closes the server behind what is queued.
    ///
    /// All sockets end, every session is closed, and no new ones open. Clients get no DISCONNECT packets, so that they come back to another server. The event loop goes on until
    /// [`is_finished`](Self::is_finished), and calls [`abort`](Self::abort) when it has waited for long enough.
    pub fn close(&mut self, now: Time) {
        self.set_now(now);
        for session in self.engine.session_ids().collect::<Vec<SessionId>>() {
            self.with_client(session, |client, cx| {
                client.connection.close(cx.now, DisconnectReason::ServerClosing, cx.session);
            });
        }
        self.engine.close(now);
    }

    /// Ends the server now: what is queued is lost, and every connection closed.
    pub fn abort(&mut self, now: Time) {
        self.set_now(now);
        for session in self.engine.session_ids().collect::<Vec<SessionId>>() {
            self.with_client(session, |client, cx| {
                client.connection.abort(DisconnectReason::ServerClosing, cx.session);
            });
        }
        self.engine.abort(now);
    }

    /// Returns whether the hub was closed, and all sessions and connections have ended.
    pub fn is_finished(&self) -> bool {
        self.engine.is_finished() && self.outputs.is_empty()
    }
}
