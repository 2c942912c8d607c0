//! A connection that an HTTP server hands over, as a WebSocket.

use std::{fmt, sync::Arc};

use enginewire::carrier;
use futures_io::{AsyncRead, AsyncWrite};

use crate::{
    cell::SessionCell,
    connection::Connection,
    handler::Slot,
    host::{Asked, Forwarded},
    peer::Peer,
    runtime::{BoxedStream, Runtime},
    shared::Shared,
};

/// The connection of a request, once its HTTP server hands it over.
///
/// Takes no bytes and brings none before. Made by [`Runtime::upgraded`].
pub struct Upgraded(BoxedStream);

impl Upgraded {
    /// Wraps a stream whose reads and writes are pending until it is handed over.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(BoxedStream::new(stream))
    }
}

/// How a runtime takes connections over from HTTP servers.
pub(crate) struct Upgrades {
    /// Takes the connection of a request.
    take: fn(&mut http::Extensions) -> Option<Upgraded>,
    /// Spawns the task of a WebSocket.
    spawn: Box<dyn Fn(Connection<BoxedStream>) + Send + Sync>,
}

impl Upgrades {
    pub(crate) fn of<R: Runtime>(runtime: R) -> Self {
        Self { take: R::upgraded, spawn: Box::new(move |connection| runtime.spawn(connection)) }
    }

    /// Takes the connection of a request that may go on as a WebSocket.
    pub(super) fn take(&self, extensions: &mut http::Extensions) -> Option<Upgraded> {
        (self.take)(extensions)
    }

    /// Goes on with a connection as a WebSocket.
    ///
    /// `slot` has the handler of its session, if that began with it.
    pub(super) fn spawn(
        &self,
        shared: &Arc<Shared>,
        connection: Upgraded,
        peer: Peer,
        upgrade: carrier::Upgrade<Arc<SessionCell>>,
        slot: Option<Box<Slot>>,
    ) {
        let (shared, stream) = (Arc::clone(shared), connection.0);
        (self.spawn)(Connection::upgraded(shared, stream, peer, upgrade, slot));
    }

    /// Goes on with a connection that is another node's.
    pub(super) fn spawn_relayed(
        &self,
        shared: &Arc<Shared>,
        connection: Upgraded,
        peer: Peer,
        state: carrier::Connection<Arc<SessionCell>, Asked, Forwarded>,
    ) {
        let (shared, stream) = (Arc::clone(shared), connection.0);
        (self.spawn)(Connection::relayed(shared, stream, peer, state));
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}
