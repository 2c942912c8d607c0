//! The state that all connections and handles of one server share.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use enginewire::{
    Networks, Refusal, Response, Router, Time, TrustedProxies,
    wire::http::{self, RequestHead},
};

#[cfg(feature = "tls-no-provider")]
use crate::tls::Handshakes;
use crate::{
    backlog::Backlog, cell::Sessions, handler::Handler, handshake::Handshake, lifecycle::Phase,
    nodes::Nodes, socket::Socket, stats::ServerCounters, trace::trace, warnings::Warnings,
};

/// Asked before a session is opened.
pub(crate) type AllowHook = Box<dyn Fn(Arc<Handshake>) -> Verdict + Send + Sync>;

/// The application's decision about a handshake.
pub(crate) type Verdict = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;

/// Called when the server begins to close.
pub(crate) type CloseHook = Box<dyn Fn() + Send + Sync>;

/// Responds to requests for other paths.
pub(crate) type FallbackHook =
    Box<dyn Fn(FallbackRequest) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// One server.
pub(crate) struct Shared {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) router: Router,
    pub(crate) http: Arc<http::Config>,
    pub(crate) hooks: Hooks,
    pub(crate) options: Options,
    pub(crate) local_addrs: Vec<SocketAddr>,
    /// Sessions that wait for `Server::accept`.
    pub(crate) backlog: Backlog<Socket>,
    /// The time over which sessions are closed, once the server drains.
    pub(crate) drain: OnceLock<Duration>,
    pub(crate) counters: ServerCounters,
    pub(crate) warnings: Warnings,
    #[cfg(feature = "tls-no-provider")]
    pub(crate) handshakes: Handshakes,
    /// Names of connections and exchanges.
    next_id: AtomicU64,
}

/// Functions of the application that a server calls.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) allow: Option<AllowHook>,
    pub(crate) fallback: Option<FallbackHook>,
    /// Other nodes, to which requests for their sessions are handed over.
    pub(crate) nodes: Option<Nodes>,
    pub(crate) handler: Option<Handler>,
    /// Called when the server begins to close.
    pub(crate) on_close: Option<CloseHook>,
    /// Takes over connections of another HTTP server.
    #[cfg(feature = "tower")]
    pub(crate) upgrades: Option<crate::tower::Upgrades>,
}

/// Options of the driver.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) backlog: usize,
    pub(crate) max_sessions: usize,
    pub(crate) max_connections: usize,
    pub(crate) shutdown_timeout: Duration,
    /// Proxies that name their client in a header field.
    pub(crate) trusted_proxies: Option<TrustedProxies>,
    /// Networks of proxies that name it before the first byte of a connection.
    pub(crate) proxy_protocol: Networks,
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls_handshake_timeout: Duration,
    #[cfg(feature = "tls-no-provider")]
    pub(crate) max_tls_handshakes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backlog: 1024,
            max_sessions: 65_536,
            max_connections: 65_536,
            shutdown_timeout: Duration::from_secs(10),
            trusted_proxies: None,
            proxy_protocol: Networks::new(),
            #[cfg(feature = "tls-no-provider")]
            tls_handshake_timeout: Duration::from_secs(10),
            // A handshake holds 64 KiB at most, of certificates, and some 10 KiB as a rule: 256 MiB at worst. With the
            // timeout, 400 silent connections a second are needed to keep others from being accepted.
            #[cfg(feature = "tls-no-provider")]
            max_tls_handshakes: 4096,
        }
    }
}

/// A request for another path than the server's own, with its whole body. See
/// [`ServerBuilder::fallback`](crate::ServerBuilder::fallback).
#[non_exhaustive]
pub struct FallbackRequest {
    /// The head of the request.
    pub head: RequestHead,
    /// The body.
    pub body: Bytes,
    /// Address of the client, see [`Handshake::peer_addr`].
    pub peer_addr: SocketAddr,
}

impl Shared {
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        router: Router,
        http: http::Config,
        hooks: Hooks,
        options: Options,
        local_addrs: Vec<SocketAddr>,
    ) -> Self {
        Self {
            sessions,
            router,
            http: Arc::new(http),
            hooks,
            backlog: Backlog::new(options.backlog),
            options,
            local_addrs,
            drain: OnceLock::new(),
            counters: ServerCounters::default(),
            warnings: Warnings::default(),
            #[cfg(feature = "tls-no-provider")]
            handshakes: Handshakes::default(),
            next_id: AtomicU64::new(0),
        }
    }

    /// Returns a name that no connection, exchange or session of this server has had.
    pub(crate) fn fresh_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns whether a new session would be taken.
    pub(crate) fn has_room(&self) -> bool {
        // With a handler nobody accepts.
        let has_backlog = self.hooks.handler.is_some() || self.backlog.has_room();
        if self.sessions.lifecycle.phase() != Phase::Running || !has_backlog {
            return false;
        }
        let room = self.sessions.lifecycle.sessions() < self.options.max_sessions;
        if !room && let Some(times) = self.warnings.sessions.count(self.sessions.clock.now()) {
            trace!(WARN, max = self.options.max_sessions, times = times, "too many sessions");
        }
        room
    }

    /// Tells the date of responses. With each connection anew, because the system's clock can be adjusted.
    pub(crate) fn set_wall_clock(&self, now: Time) {
        if let Ok(since_1970) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            self.http.wall_clock.set(now, since_1970);
        }
    }

    /// Moves on to `phase`, which tells all tasks.
    pub(crate) fn advance_to(&self, phase: Phase) {
        let was_open = self.sessions.lifecycle.phase() < Phase::Closing;
        if self.sessions.advance_to(phase) {
            self.backlog.wake_all();
            let closes = was_open && phase >= Phase::Closing;
            if let Some(on_close) = self.hooks.on_close.as_ref().filter(|_| closes) {
                on_close();
            }
        }
    }
}

impl fmt::Debug for FallbackRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackRequest")
            .field("head", &self.head)
            .field("body", &self.body.len())
            .field("peer_addr", &self.peer_addr)
            .finish()
    }
}
