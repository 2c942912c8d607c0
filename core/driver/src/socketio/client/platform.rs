//! Clients on platforms that make HTTP requests and WebSockets themselves, as browsers do.
//!
//! A crate for such a platform has the task of the client: [`PlatformTask`] is its side of it. Everything that an
//! application holds is the same as on a runtime.

use std::{
    fmt, io,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use enginewire::{Entropy, Time};
use enginewire_socketio::client_hub::{ClientHub, ClientHubConfig, PlatformHub, PlatformSession};

use super::{
    Client, Handle,
    builder::ACK_TIMEOUT,
    cell::{ClientCell, Guard},
    interface::Options,
};
use crate::clock::Clock;

/// Settings of a client on a platform.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlatformConfig {
    /// Settings of the hub.
    pub hub: ClientHubConfig,
    /// Time in which an event must be acknowledged.
    pub ack_timeout: Duration,
    /// Number of times that events are sent again which are to be acknowledged.
    pub retries: u32,
}

impl PlatformConfig {
    /// Creates the settings of a client that is otherwise the default.
    pub const fn new(hub: ClientHubConfig) -> Self {
        Self { hub, ack_timeout: ACK_TIMEOUT, retries: 0 }
    }
}

/// The task's side of a client.
///
/// The task [registers](Self::register) its waker, and polls [futures of the application](Self::poll_application).
/// Then it [locks](Self::lock) the client: it tells what came, does what the hub asks for, and notes when it wakes by
/// itself. Once the hub is finished, it [ends](Self::finish).
pub struct PlatformTask {
    cell: Arc<ClientCell<PlatformSession>>,
}

impl PlatformTask {
    /// Creates a client, and its task's side.
    ///
    /// `entropy` is the platform's, as cryptography needs it.
    pub fn new(
        config: PlatformConfig,
        clock: Clock,
        entropy: impl Entropy + Send + 'static,
    ) -> (Client, Self) {
        let PlatformConfig { hub: config, ack_timeout, retries } = config;
        let (parser, limits) = (config.manager.parser.clone(), config.manager.limits);
        let options = Options { parser, limits, ack_timeout, retries };
        let (namespace, to) = (config.url.path().to_owned(), config.url.authority().to_owned());
        let cell = ClientCell::new(ClientHub::on_platform(config, entropy), options, clock, &to);
        let handle = Handle { cell: Arc::clone(&cell) as _, namespace };
        (Client { handle: Arc::new(handle) }, Self { cell })
    }

    /// Has the task woken when the client asks for something.
    pub fn register(&self, waker: &Waker) {
        self.cell.register_task(waker);
    }

    /// Polls futures of the application, which make payloads for requests to connect.
    pub fn poll_application(&self, cx: &mut Context<'_>) {
        self.cell.poll_application(cx);
    }

    /// Locks the client. It is settled when the guard is dropped, which may wake tasks.
    pub fn lock(&self) -> PlatformGuard<'_> {
        PlatformGuard { guard: self.cell.lock_by_task() }
    }

    /// Closes the client, as [`Client::close`] does, without waiting.
    pub fn close(&self) {
        super::interface::Cell::close(&*self.cell);
    }

    /// Notes that the task has ended.
    pub fn finish(&self) {
        self.cell.finish();
    }
}

/// Client that is locked for its task.
pub struct PlatformGuard<'a> {
    guard: Guard<'a, PlatformSession>,
}

impl PlatformGuard<'_> {
    /// Returns the client.
    pub fn hub(&mut self) -> &mut PlatformHub {
        &mut self.guard.inner.hub
    }

    /// Handles deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.guard.inner.handle_timeout(now);
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        self.guard.inner.poll_timeout()
    }

    /// Notes the last error of a request or WebSocket.
    ///
    /// It is told if there is no session.
    pub fn note_error(&mut self, error: io::Error) {
        self.guard.inner.note_error(error);
    }

    /// Notes the time at which the task wakes by itself.
    ///
    /// `throttled` tells that it has stopped to hand over what came.
    pub fn settle(&mut self, due: Option<Time>, throttled: bool) {
        self.guard.settle_task(due, throttled);
    }
}

impl fmt::Debug for PlatformTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformTask").field("cell", &self.cell).finish()
    }
}

impl fmt::Debug for PlatformGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformGuard").finish_non_exhaustive()
    }
}
