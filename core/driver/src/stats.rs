//! Counts for operators: what a server holds, and what it has refused.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of an Engine.IO server, see [`ServerHandle::stats`](crate::ServerHandle::stats).
///
/// Connections and sessions are those of this moment. The others count from the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// TCP connections that are open, those between two requests included.
    pub connections: usize,
    /// Sessions that are open or closing.
    pub sessions: usize,
    /// TCP connections that were accepted or given to [`serve`](crate::ServerHandle::serve).
    ///
    /// Those whose header of the PROXY protocol or TLS handshake has failed are among them. Behind another HTTP server
    /// these are WebSockets.
    pub connections_opened: u64,
    /// Connections of proxies without a valid header of the PROXY protocol in time.
    ///
    /// A health check that only connects is among them.
    pub proxy_headers_failed: u64,
    /// Sessions that were opened.
    pub sessions_opened: u64,
    /// Requests that were refused, by this server or its application.
    ///
    /// Among them are those for other paths that have no [fallback](crate::ServerBuilder::fallback).
    pub requests_refused: u64,
    /// Requests that were handed over to another node, see [`nodes`](crate::ServerBuilder::nodes).
    pub requests_handed_over: u64,
    /// Requests that were handed over, and have no response.
    ///
    /// Where another HTTP server has the connections, those whose response is cut off are among them.
    pub hand_overs_failed: u64,
}

/// The counters of a server.
#[derive(Debug, Default)]
pub(crate) struct ServerCounters {
    pub(crate) connections_opened: Counter,
    pub(crate) proxy_headers_failed: Counter,
    pub(crate) sessions_opened: Counter,
    pub(crate) requests_refused: Counter,
    pub(crate) requests_handed_over: Counter,
    pub(crate) hand_overs_failed: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        if count > 0 {
            self.0.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
