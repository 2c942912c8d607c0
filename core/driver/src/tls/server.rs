//! TLS of a server: its configuration, and its handshakes in flight.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use rustls::ServerConfig;

use super::HTTP_1_1;
use crate::{shared::Shared, sync::lock};

/// TLS of a server, which can be replaced while it runs. Cheap to clone.
///
/// ```
/// # use std::sync::Arc;
/// # use enginewire_driver::{Runtime, ServerBuilder, tls::{ServerTls, rustls::ServerConfig}};
/// # async fn example<R: Runtime>(builder: ServerBuilder<R>, old: Arc<ServerConfig>, new: Arc<ServerConfig>)
/// #     -> std::io::Result<()> {
/// let tls = ServerTls::new(old);
/// let server = builder.tls(tls.clone()).bind("0.0.0.0:443").await?;
/// // The certificate was renewed.
/// tls.replace(new);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<Mutex<Arc<ServerConfig>>>,
}

impl ServerTls {
    /// Makes TLS of a configuration of rustls.
    ///
    /// It has the certificates, and chooses among them by SNI. See the [module](super) for the two fields that are changed.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self { config: Arc::new(Mutex::new(for_http_1(config))) }
    }

    /// Replaces the configuration. Connections that are accepted from now on have it; others keep theirs.
    ///
    /// Sessions that clients resume (RFC 8446 section 2.2) belong to a configuration, as do its certificates, unless its
    /// storage or ticketer is passed on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        let old = std::mem::replace(&mut *lock(&self.config), for_http_1(config));
        // Not under the lock: it may be the last reference to certificates and sessions.
        drop(old);
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&lock(&self.config))
    }
}

impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(config)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// The configuration as a server of HTTP/1.1 can use it.
fn for_http_1(config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    if config.alpn_protocols == [HTTP_1_1] && config.max_early_data_size == 0 {
        return config;
    }
    let mut config = (*config).clone();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    config.max_early_data_size = 0;
    Arc::new(config)
}

/// Counts of the TLS handshakes of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsStats {
    /// Handshakes that go on.
    pub in_flight: usize,
    /// Handshakes that have succeeded.
    pub completed: u64,
    /// Handshakes that have failed: clients that were refused, that refused, or that were lost.
    pub failed: u64,
    /// Handshakes that have taken longer than the
    /// [timeout](crate::ServerBuilder::tls_handshake_timeout).
    pub timed_out: u64,
}

/// The handshakes of a server.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    in_flight: AtomicUsize,
    completed: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
}

/// How a handshake has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Failed,
    TimedOut,
}

impl Handshakes {
    /// Returns the number of those that go on.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(crate) fn stats(&self) -> TlsStats {
        TlsStats {
            in_flight: self.in_flight(),
            completed: self.completed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
        }
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts one that has ended; without an end it was dropped with its server.
    pub(super) fn end(shared: &Shared, end: Option<End>) {
        let this = &shared.handshakes;
        match end {
            Some(End::Completed) => this.completed.fetch_add(1, Ordering::Relaxed),
            Some(End::Failed) => this.failed.fetch_add(1, Ordering::Relaxed),
            Some(End::TimedOut) => this.timed_out.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
        let before = this.in_flight.fetch_sub(1, Ordering::SeqCst);
        // Listeners that accept at the same moment may have exceeded the limit by one each.
        if before >= shared.options.max_tls_handshakes {
            shared.sessions.lifecycle.wake_watchers();
        }
    }
}
