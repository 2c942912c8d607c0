//! Options of connections, and what all connections of a node share.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use enginewire::Reconnect;
#[cfg(feature = "tls-no-provider")]
use enginewire_driver::tls::rustls::ClientConfig;

use super::{
    error::{RedisError, RedisFault},
    monitor::Counters,
    url::ServerUrl,
};

/// Options of the connections with a server.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) keep_alive: Duration,
    pub(super) reconnect: Reconnect,
    pub(super) max_in_flight: usize,
    pub(super) max_in_flight_bytes: usize,
    pub(super) max_message: usize,
    /// Name of the connections, for CLIENT LIST.
    pub(super) name: String,
    #[cfg(feature = "tls-no-provider")]
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(5),
            reconnect: Reconnect::default()
                .with_delay(Duration::from_millis(100))
                .with_max_delay(Duration::from_secs(5)),
            max_in_flight: 1024,
            max_in_flight_bytes: 4 << 20,
            max_message: 32 << 20,
            name: "enginewire".to_owned(),
            #[cfg(feature = "tls-no-provider")]
            tls: None,
        }
    }
}

/// Options that the connections with one server share.
pub(super) struct Shared<R> {
    pub(super) runtime: R,
    pub(super) url: ServerUrl,
    pub(super) address: Arc<str>,
    pub(super) options: Options,
    pub(super) counters: Arc<Counters>,
}

impl<R> Shared<R> {
    pub(super) fn new(runtime: R, url: ServerUrl, options: Options) -> Arc<Self> {
        let address = url.address();
        Arc::new(Self { runtime, url, address, options, counters: Arc::default() })
    }

    /// Makes an error of a fault, with so many commands in flight, which it counts.
    pub(super) fn error(&self, fault: RedisFault, in_flight: usize) -> RedisError {
        self.counters.lost.fetch_add(in_flight as u64, Ordering::Relaxed);
        RedisError { address: Some(Arc::clone(&self.address)), fault, in_flight }
    }
}

impl<R> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("address", &self.address).finish_non_exhaustive()
    }
}
