//! A client that has connections, as their task drives it.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Waker},
};

use enginewire::{ClientHub as Engine, Compressing, Entropy, Time, Url};
use enginewire_socketio::client_hub::{ClientOutput, ConnectionId};

use super::cell::{ClientCell, Guard, Inner};
use crate::client::host::{Host, HostAction, HostCell, HostGuard};

impl HostCell for ClientCell<Engine> {
    type Host = Inner<Engine>;
    type Guard<'a> = Guard<'a, Engine>;

    fn lock_by_task(&self) -> Guard<'_, Engine> {
        self.lock_by_task()
    }

    fn register_task(&self, waker: &Waker) {
        self.register_task(waker);
    }

    fn poll_application(&self, cx: &mut Context<'_>) {
        self.poll_application(cx);
    }

    fn finish(&self) {
        self.finish();
    }
}

impl HostGuard for Guard<'_, Engine> {
    type Host = Inner<Engine>;

    fn host(&mut self) -> &mut Inner<Engine> {
        &mut self.inner
    }

    fn settle_task(&mut self, due: Option<Time>, throttled: bool, _idle: bool) {
        self.settle_task(due, throttled);
    }
}

impl Host for Inner<Engine> {
    type Id = ConnectionId;

    fn handle_connected(&mut self, now: Time, id: ConnectionId, _peer_addr: SocketAddr) {
        self.hub.handle_connected(now, id);
    }

    fn handle_bytes(&mut self, now: Time, id: ConnectionId, bytes: &mut [u8]) {
        self.hub.handle_bytes(now, id, bytes);
    }

    fn handle_eof(&mut self, now: Time, id: ConnectionId) {
        self.hub.handle_eof(now, id);
    }

    fn handle_refused(&mut self, now: Time, id: ConnectionId, error: io::Error) {
        self.note_error(error);
        self.hub.handle_refused(now, id);
    }

    fn handle_lost(&mut self, now: Time, id: ConnectionId, error: io::Error) {
        self.note_error(error);
        self.hub.handle_lost(now, id);
    }

    fn handle_writable(&mut self, now: Time, id: ConnectionId) {
        self.hub.handle_writable(now, id);
    }

    fn handle_blocked(&mut self, now: Time, id: ConnectionId, left: usize) {
        self.hub.handle_blocked(now, id, left);
    }

    fn note_error(&mut self, error: io::Error) {
        self.note_error(error);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.handle_timeout(now);
    }

    fn poll_action(
        &mut self,
        now: Time,
        _entropy: &mut dyn Entropy,
    ) -> Option<HostAction<ConnectionId>> {
        self.hub.set_now(now);
        Some(match self.hub.poll_action()? {
            ClientOutput::Connect(id) => HostAction::Connect(id),
            ClientOutput::Encrypt(id) => HostAction::Encrypt(id),
            ClientOutput::Close(id) => HostAction::Close(id),
            ClientOutput::Write(id) => HostAction::Write(id),
            _ => return None,
        })
    }

    fn pull(&mut self, id: ConnectionId) -> Option<Compressing> {
        self.hub.pull(id)
    }

    fn put_back(&mut self, id: ConnectionId, compressing: Compressing) {
        self.hub.put_back(id, compressing);
    }

    fn flush(&mut self, now: Time, id: ConnectionId, write: impl FnMut(&[u8]) -> usize) {
        self.hub.flush(now, id, write);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.poll_timeout()
    }

    fn address(&self, id: ConnectionId) -> Option<&Url> {
        self.hub.address(id)
    }

    fn is_reading(&self, id: ConnectionId) -> bool {
        self.hub.is_reading(id)
    }

    fn max_read(&self, id: ConnectionId) -> usize {
        self.hub.max_read(id)
    }

    fn is_probing(&self, id: ConnectionId) -> bool {
        self.hub.is_probing(id)
    }

    fn has_actions(&self) -> bool {
        self.hub.has_actions()
    }

    fn is_ending(&self) -> bool {
        self.hub.is_ending()
    }

    fn is_finished(&self) -> bool {
        self.hub.is_finished()
    }
}
