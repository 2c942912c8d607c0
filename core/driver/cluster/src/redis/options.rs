//! Options of connections, and what all connections of a node share.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use enginewire::Reconnect;
#[cfg(feature = "tls-no-provider")]
use enginewire_driver::tls::rustls::ClientConfig;

use super::{
    address::Address,
    error::RedisError,
    monitor::Counters,
    resp::{ServerError, Value},
    slots::{Redirect, Slots},
    url::{self, InvalidRedisUrl, ServerUrl},
};

/// Options of the connections with servers.
#[derive(Clone)]
pub(super) struct Options {
    /// The addresses of the URL are those of sentinels.
    pub(super) sentinel: Option<Sentinel>,
    pub(super) translate: Option<Translate>,
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

/// Name by which sentinels know a master, and as whom to log in there.
#[derive(Clone)]
pub(super) struct Sentinel {
    pub(super) master: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// Makes an address that is reachable from here of a host and a port that a server has told.
pub(super) type Translate = Arc<dyn Fn(&str, u16) -> (String, u16) + Send + Sync>;

impl Default for Options {
    fn default() -> Self {
        Self {
            sentinel: None,
            translate: None,
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

/// Options and knowledge that the connections of a bus share.
pub(super) struct Shared<R> {
    pub(super) runtime: R,
    pub(super) url: ServerUrl,
    pub(super) options: Options,
    pub(super) counters: Arc<Counters>,
    /// Owners of the slots of a Redis Cluster.
    slots: Mutex<Slots>,
}

impl<R> Shared<R> {
    pub(super) fn new(
        runtime: R,
        url: &str,
        options: Options,
    ) -> Result<Arc<Self>, InvalidRedisUrl> {
        let port = if options.sentinel.is_some() { url::SENTINEL_PORT } else { url::PORT };
        let url = ServerUrl::parse(url, port)?;
        let (counters, slots) = (Arc::default(), Mutex::default());
        Ok(Arc::new(Self { runtime, url, options, counters, slots }))
    }

    /// Adds the number of commands that were in flight to an error, and counts them.
    pub(super) fn lost(&self, error: RedisError, in_flight: usize) -> RedisError {
        self.counters.lost.fetch_add(in_flight as u64, Ordering::Relaxed);
        RedisError { in_flight, ..error }
    }

    /// Returns the owner of a slot, as far as it is known.
    pub(super) fn owner(&self, slot: u16) -> Option<Address> {
        self.slots().owner(slot).cloned()
    }

    /// Returns the masters of the Redis Cluster, as far as they are known.
    pub(super) fn masters(&self) -> Vec<Address> {
        self.slots().masters().to_vec()
    }

    /// Learns the owners of slots from the response to CLUSTER SLOTS of the server at `via`.
    ///
    /// A response of another form changes nothing. Neither does one without owners, for which it returns false: its server
    /// was taken out of the Redis Cluster.
    pub(super) fn learn(&self, response: &Value, via: &Address) -> bool {
        let Some(slots) = Slots::parse(response, via, &|address| self.translate(address)) else {
            return true;
        };
        let has_masters = !slots.masters().is_empty();
        if has_masters {
            *self.slots() = slots;
        }
        has_masters
    }

    /// Notes the owner of a slot, as a server has told it.
    pub(super) fn set_owner(&self, slot: u16, owner: Address) {
        self.slots().set(slot, owner);
    }

    /// Reads an error of the server at `via` that names another one.
    pub(super) fn redirect(&self, error: &ServerError, via: &Address) -> Option<Redirect> {
        Redirect::parse(error, via, &|address| self.translate(address))
    }

    /// Makes a reachable address of one that a server has told.
    pub(super) fn translate(&self, address: Address) -> Address {
        match &self.options.translate {
            Some(translate) => {
                let (host, port) = translate(&address.host, address.port);
                Address::new(&host, port)
            }
            None => address,
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        // A panic of the application's function is before any change.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("url", &self.url).finish_non_exhaustive()
    }
}
