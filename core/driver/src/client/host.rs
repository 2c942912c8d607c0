//! Clients as their task drives them: one session, or all those of Socket.IO.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Waker},
};

use enginewire::{ClientConnectionId, ClientHubAction, Compressing, Entropy, Time, Url};

use crate::client_cell::{ClientCell, Guard, Inner};

/// Client behind a lock.
pub(crate) trait HostCell: Send + Sync + 'static {
    type Host: Host;
    type Guard<'a>: HostGuard<Host = Self::Host>
    where
        Self: 'a;

    /// Locks the client for its task, which need not be woken then.
    fn lock_by_task(&self) -> Self::Guard<'_>;

    /// Has the task woken when the client asks for something.
    fn register_task(&self, waker: &Waker);

    /// Polls futures of the application that the client waits for.
    fn poll_application(&self, _cx: &mut Context<'_>) {}

    /// Notes that the task has ended, and with it all connections.
    fn finish(&self);
}

/// Client that is locked.
pub(crate) trait HostGuard {
    type Host: Host;

    fn host(&mut self) -> &mut Self::Host;

    /// Notes what the task waits for until it takes the lock again. `idle` tells that it has nothing to write.
    fn settle_task(&mut self, due: Option<Time>, throttled: bool, idle: bool);
}

/// Connections of a client, see [`enginewire::ClientHub`].
pub(crate) trait Host {
    type Id: Copy + PartialEq + Send + Unpin;

    fn handle_connected(&mut self, now: Time, id: Self::Id, peer_addr: SocketAddr);
    fn handle_bytes(&mut self, now: Time, id: Self::Id, bytes: &mut [u8]);
    fn handle_eof(&mut self, now: Time, id: Self::Id);
    fn handle_refused(&mut self, now: Time, id: Self::Id, error: io::Error);
    fn handle_lost(&mut self, now: Time, id: Self::Id, error: io::Error);
    fn handle_writable(&mut self, now: Time, id: Self::Id);
    fn handle_blocked(&mut self, now: Time, id: Self::Id, left: usize);
    /// Notes an error of a connection that cannot be written any more.
    fn note_error(&mut self, error: io::Error);
    fn handle_timeout(&mut self, now: Time);
    fn poll_action(&mut self, now: Time, entropy: &mut dyn Entropy)
    -> Option<HostAction<Self::Id>>;
    fn pull(&mut self, id: Self::Id) -> Option<Compressing>;
    fn put_back(&mut self, id: Self::Id, compressing: Compressing);
    fn flush(&mut self, now: Time, id: Self::Id, write: impl FnMut(&[u8]) -> usize);
    fn poll_timeout(&self) -> Option<Time>;
    fn address(&self, id: Self::Id) -> Option<&Url>;
    fn is_reading(&self, id: Self::Id) -> bool;
    fn max_read(&self, id: Self::Id) -> usize;
    fn is_probing(&self, id: Self::Id) -> bool;
    fn has_actions(&self) -> bool;
    /// Returns whether a session has ended that may have connections still.
    fn is_ending(&self) -> bool;
    /// Returns whether the client is closed and wants no connection.
    fn is_finished(&self) -> bool;
}

/// Task that a client has for its connections.
pub(crate) enum HostAction<Id> {
    Connect(Id),
    Encrypt(Id),
    Write(Id),
    Close(Id),
}

impl HostCell for ClientCell {
    type Host = Inner;
    type Guard<'a> = Guard<'a>;

    fn lock_by_task(&self) -> Guard<'_> {
        self.lock_by_task()
    }

    fn register_task(&self, waker: &Waker) {
        self.register_task(waker);
    }

    fn finish(&self) {
        self.finish();
    }
}

impl HostGuard for Guard<'_> {
    type Host = Inner;

    fn host(&mut self) -> &mut Inner {
        &mut self.inner
    }

    fn settle_task(&mut self, due: Option<Time>, throttled: bool, idle: bool) {
        self.settle_task(due, throttled, idle);
    }
}

impl Host for Inner {
    type Id = ClientConnectionId;

    fn handle_connected(&mut self, now: Time, id: Self::Id, peer_addr: SocketAddr) {
        // Until the session is open, the server may send it elsewhere.
        if self.hosted.hub.session().handshake().is_none() {
            self.peer_addr = Some(peer_addr);
        }
        self.hosted.hub.handle_connected(now, id);
    }

    fn handle_bytes(&mut self, now: Time, id: Self::Id, bytes: &mut [u8]) {
        self.hosted.hub.handle_bytes(now, id, bytes);
    }

    fn handle_eof(&mut self, now: Time, id: Self::Id) {
        self.hosted.hub.handle_eof(now, id);
    }

    fn handle_refused(&mut self, now: Time, id: Self::Id, error: io::Error) {
        self.error = Some(error);
        self.hosted.hub.handle_refused(now, id);
    }

    fn handle_lost(&mut self, now: Time, id: Self::Id, error: io::Error) {
        self.error = Some(error);
        self.hosted.hub.handle_lost(now, id);
    }

    fn handle_writable(&mut self, now: Time, id: Self::Id) {
        self.hosted.hub.handle_writable(now, id);
    }

    fn handle_blocked(&mut self, now: Time, id: Self::Id, left: usize) {
        self.hosted.hub.handle_blocked(now, id, left);
    }

    fn note_error(&mut self, error: io::Error) {
        self.error = Some(error);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.hosted.hub.handle_timeout(now);
    }

    fn poll_action(
        &mut self,
        now: Time,
        entropy: &mut dyn Entropy,
    ) -> Option<HostAction<Self::Id>> {
        Some(match self.hosted.hub.poll_action(now, entropy)? {
            ClientHubAction::Connect(id) => HostAction::Connect(id),
            ClientHubAction::Encrypt(id) => HostAction::Encrypt(id),
            ClientHubAction::Write(id) => HostAction::Write(id),
            ClientHubAction::Close(id) => HostAction::Close(id),
        })
    }

    fn pull(&mut self, id: Self::Id) -> Option<Compressing> {
        self.hosted.hub.pull(id)
    }

    fn put_back(&mut self, id: Self::Id, compressing: Compressing) {
        self.hosted.hub.put_back(id, compressing);
    }

    fn flush(&mut self, now: Time, id: Self::Id, write: impl FnMut(&[u8]) -> usize) {
        self.hosted.hub.flush(now, id, write);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.hosted.hub.poll_timeout()
    }

    fn address(&self, id: Self::Id) -> Option<&Url> {
        self.hosted.hub.address(id)
    }

    fn is_reading(&self, id: Self::Id) -> bool {
        self.hosted.hub.is_reading(id)
    }

    fn max_read(&self, id: Self::Id) -> usize {
        self.hosted.hub.max_read(id)
    }

    fn is_probing(&self, id: Self::Id) -> bool {
        self.hosted.hub.is_probing(id)
    }

    fn has_actions(&self) -> bool {
        self.hosted.hub.has_actions()
    }

    fn is_ending(&self) -> bool {
        self.hosted.hub.session().is_closed()
    }

    fn is_finished(&self) -> bool {
        self.hosted.hub.is_finished()
    }
}
