//! What a client may be told.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use enginewire::{ClientConfig, InvalidUrl, Limits, Reconnect, Revision, Time, TransportKind, Url};

use super::Client;
use crate::{connect_error::ConnectError, runtime::Runtime, socket::Socket};

/// Sets up a [`Client`]. Everything has a default, which is the reference's where it has one.
pub struct ClientBuilder<R> {
    runtime: R,
    /// What was wrong is said when the client is built.
    config: Result<(Url, ClientConfig), ConnectError>,
    reconnect: Reconnect,
}

impl<R: Runtime> ClientBuilder<R> {
    /// Starts to set up a client that runs on `runtime`, for the server at `url`.
    pub fn new(runtime: R, url: &str) -> Self {
        let config = Url::parse(url).map_err(|error: InvalidUrl| error.into()).map(|url| {
            let config = ClientConfig::new(&url);
            (url, config)
        });
        Self { runtime, config, reconnect: Reconnect::default() }
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Url`], [`ConnectError::Tls`], [`ConnectError::Header`],
    /// [`ConnectError::Subprotocol`] and [`ConnectError::Request`].
    pub fn build(self) -> Result<Client<R>, ConnectError> {
        let (url, mut config) = self.config?;
        if url.is_secure() && !R::TLS {
            return Err(ConnectError::Tls);
        }
        config.wall_clock = config.wall_clock.or_else(|| wall_clock(self.runtime.clock().now()));
        Client::new(self.runtime, url, config, self.reconnect)
    }

    /// Builds the client, and opens a session.
    ///
    /// Cancel safe: if the future is dropped, the session is given up.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(self) -> Result<Socket, ConnectError> {
        self.build()?.open().await
    }

    /// Changes the protocol's configuration. The methods below change parts of it.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        if let Ok((_, config)) = &mut self.config {
            change(config);
        }
        self
    }

    /// See [`ClientConfig::path`].
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        self.config(|config| config.path = path.into())
    }

    /// Sets whether the path of requests ends with a slash. Default true.
    ///
    /// See [`ClientConfig::add_trailing_slash`].
    #[must_use]
    pub fn add_trailing_slash(self, add: bool) -> Self {
        self.config(|config| config.add_trailing_slash = add)
    }

    /// Adds a query parameter to all requests. See [`ClientConfig::query`].
    #[must_use]
    pub fn query(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config(|config| config.query.push((key.into(), value.into())))
    }

    /// Adds a header field to all requests. One that is malformed or the client's own (see
    /// [`ClientConfig::push_header`]) makes [`build`](Self::build) fail.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Ok((_, config)) = &mut self.config
            && config.push_header(name, value).is_err()
        {
            self.config = Err(ConnectError::Header { name: name.into() });
        }
        self
    }

    /// Sets the `User-Agent` field of all requests. Default `enginewire/` and the version.
    ///
    /// The same as a [`header`](Self::header) of that name.
    #[must_use]
    pub fn user_agent(self, value: impl AsRef<[u8]>) -> Self {
        self.header("User-Agent", value)
    }

    /// Sets whether cookies that the server sets are sent back. Default true.
    ///
    /// See [`ClientConfig::cookies`].
    #[must_use]
    pub fn cookies(self, cookies: bool) -> Self {
        self.config(|config| config.cookies = cookies)
    }

    /// Offers subprotocols when a WebSocket is opened, the preferred one first. Default none.
    ///
    /// One that is no token or is offered twice makes [`build`](Self::build) fail. See
    /// [`ClientConfig::push_protocol`].
    #[must_use]
    pub fn protocols<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        for name in names {
            let name = name.as_ref();
            if let Ok((_, config)) = &mut self.config
                && config.push_protocol(name).is_err()
            {
                self.config = Err(ConnectError::Subprotocol { name: name.into() });
            }
        }
        self
    }

    /// See [`ClientConfig::transports`].
    #[must_use]
    pub fn transports(self, transports: impl Into<Vec<TransportKind>>) -> Self {
        self.config(|config| config.transports = transports.into())
    }

    /// See [`ClientConfig::upgrade`].
    #[must_use]
    pub fn upgrade(self, upgrade: bool) -> Self {
        self.config(|config| config.upgrade = upgrade)
    }

    /// See [`ClientConfig::try_all_transports`].
    #[must_use]
    pub fn try_all_transports(self, all: bool) -> Self {
        self.config(|config| config.try_all_transports = all)
    }

    /// See [`ClientConfig::remember_upgrade`]. It is the [`Client`] that remembers.
    #[must_use]
    pub fn remember_upgrade(self, remember: bool) -> Self {
        self.config(|config| config.remember_upgrade = remember)
    }

    /// See [`ClientConfig::revision`].
    #[must_use]
    pub fn revision(self, revision: Revision) -> Self {
        self.config(|config| config.revision = revision)
    }

    /// See [`ClientConfig::force_base64`].
    #[must_use]
    pub fn force_base64(self, force: bool) -> Self {
        self.config(|config| config.force_base64 = force)
    }

    /// See [`ClientConfig::open_timeout`]: connecting is a part of it.
    #[must_use]
    pub fn open_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.open_timeout = timeout)
    }

    /// See [`ClientConfig::request_timeout`].
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.request_timeout = Some(timeout))
    }

    /// See [`ClientConfig::upgrade_timeout`].
    #[must_use]
    pub fn upgrade_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.upgrade_timeout = timeout)
    }

    /// See [`ClientConfig::close_timeout`].
    #[must_use]
    pub fn close_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.close_timeout = timeout)
    }

    /// Sets the time for the server's part of a close, once nothing is queued. Default 2 s.
    ///
    /// See [`ClientConfig::linger`].
    #[must_use]
    pub fn linger(self, time: Duration) -> Self {
        self.config(|config| config.linger = time)
    }

    /// See [`ClientConfig::limits`].
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.config(|config| config.limits = limits)
    }

    /// When [`Client::sessions`] tries again, and how often. Nothing else does.
    #[must_use]
    pub fn reconnect(mut self, policy: Reconnect) -> Self {
        self.reconnect = policy;
        self
    }
}

impl<R: fmt::Debug> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// UNIX time at the runtime's epoch. `None` if the system's clock shows a time before that.
fn wall_clock(now: Time) -> Option<Duration> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    since_1970.checked_sub(now.since(Time::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_is_the_time_at_the_epoch_of_the_runtime() {
        let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Time::from_millis(5000);
        let before = since_1970();
        let at_epoch = wall_clock(now).unwrap();
        let at_present = at_epoch + Duration::from_secs(5);
        assert!(before <= at_present && at_present <= since_1970());
        assert_eq!(wall_clock(Time::MAX), None, "before 1970");
    }
}
