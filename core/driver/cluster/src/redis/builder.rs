//! Setting up a bus.

use std::{fmt, sync::Arc, time::Duration};

use enginewire::Reconnect;
use enginewire_driver::Runtime;
#[cfg(feature = "tls-no-provider")]
use enginewire_driver::tls::rustls::ClientConfig;
use enginewire_socketio::cluster::wire::{
    ClassicConfig, Format, StreamsConfig, SubscriptionMode, WireConfig,
};

use super::{
    bus::Redis,
    emitter::Emitter,
    error::RedisError,
    options::{Options, Sentinel, Shared},
    servers::Servers,
};

/// Sets up a [`Redis`].
///
/// All nodes of a cluster need the same format and prefix. With several formats on one Redis, each needs a prefix of
/// its own: requests of [streams](Self::streams) end nodes of Node.js that are [classic](Self::classic).
#[derive(Clone)]
pub struct RedisBuilder<R: Runtime> {
    runtime: R,
    url: String,
    wire: WireConfig,
    options: Options,
}

impl<R: Runtime + Default> RedisBuilder<R> {
    /// Sets up a bus on the server of a URL, as [`Redis::connect`] takes it.
    pub fn new(url: &str) -> Self {
        Self::with_runtime(R::default(), url)
    }
}

impl<R: Runtime> RedisBuilder<R> {
    /// Sets up a bus on a runtime that is a value.
    pub fn with_runtime(runtime: R, url: &str) -> Self {
        let wire = WireConfig::new(Format::Classic(ClassicConfig::default()));
        Self { runtime, url: url.to_owned(), wire, options: Options::default() }
    }

    /// Talks to nodes with `createAdapter` of npm `@socket.io/redis-adapter`. This is the default.
    ///
    /// Every node gets every message. It needs Redis 6. In a Redis Cluster a node may connect to any server, and each message
    /// goes through all of them.
    pub fn classic(self) -> Self {
        self.format(Format::Classic(ClassicConfig::default()))
    }

    /// Talks to nodes with `createShardedAdapter` of npm `@socket.io/redis-adapter`.
    ///
    /// A node gets no messages for rooms that it has no members of, but for `Static`. All nodes need the same mode; that
    /// of the reference is `Dynamic`. It needs Redis 7. In a Redis Cluster each channel is on the server that owns its slot.
    ///
    /// The subscription to a room follows its first member on the node, and joining does not wait for it, as with the
    /// reference. What other nodes send to the room until Redis has it, some milliseconds later, does not reach that member;
    /// what its own node sends does. With `Static` there is no such moment, because rooms have no channels.
    pub fn sharded(self, mode: SubscriptionMode) -> Self {
        self.format(Format::Sharded(mode))
    }

    /// Talks to nodes with npm `@socket.io/redis-streams-adapter` from version 0.3 on, with one stream.
    ///
    /// After a connection was lost, a node reads what it has missed, but for requests and their responses.
    pub fn streams(self) -> Self {
        self.format(Format::Streams(StreamsConfig::default()))
    }

    /// Sets the format with all of its options.
    pub fn format(mut self, format: Format) -> Self {
        self.wire.format = format;
        self
    }

    /// Sets the beginning of the names of all channels. Default `socket.io`.
    ///
    /// It is `key` or `channelPrefix` of the reference. The names of streams are options of the [format](Self::format).
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.wire.prefix = prefix.into();
        self
    }

    /// Limit on the time for acknowledgements of a broadcast that does not tell its own. Default 10 s.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.wire.ack_timeout = timeout;
        self
    }

    /// Limit on the time to connect, encrypt and log in. Default 5 s.
    ///
    /// Of several servers, one is tried after the other, each for a part of it: a third at least. More than three take
    /// longer in all. The owners of slots of a Redis Cluster are asked for within as much again.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = timeout;
        self
    }

    /// Limit on the silence of the server while a response is awaited. Default 5 s.
    ///
    /// After it the connection is lost.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.options.response_timeout = timeout;
        self
    }

    /// Sets the silence after which the server is asked whether it is there. Default 5 s.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.options.keep_alive = interval;
        self
    }

    /// Sets how long to wait before a lost connection is made anew. Default: 100 ms, doubled up to 5 s, half by chance.
    ///
    /// With a limit on attempts the bus stays down behind the last.
    pub fn reconnect(mut self, policy: Reconnect) -> Self {
        self.options.reconnect = policy;
        self
    }

    /// Limit on commands without a response. Default 1024.
    ///
    /// Further messages wait in the server's
    /// [`max_cluster_queue`](enginewire_driver::socketio::IoBuilder::max_cluster_queue).
    pub fn max_in_flight(mut self, commands: usize) -> Self {
        self.options.max_in_flight = commands.max(1);
        self
    }

    /// Limit on the bytes of commands without a response. Default 4 MiB.
    ///
    /// It may be exceeded by one message.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.options.max_in_flight_bytes = bytes.max(1);
        self
    }

    /// Limit on a message of another node, in bytes. Default 32 MiB, at least 64 KiB.
    ///
    /// Larger ones are skipped as they come, and counted in [`RedisStats::dropped`](super::RedisStats::dropped).
    pub fn max_message(mut self, bytes: usize) -> Self {
        let bytes = bytes.max(64 << 10);
        self.options.max_message = bytes;
        self.wire.max_message = bytes;
        self
    }

    /// Asks sentinels for the server: the master that they know by a name.
    ///
    /// The addresses of the URL are then those of sentinels, separated by commas, with port 26379 where there is none. User,
    /// password and database are those of the master. The first sentinel whose master responds as one is believed, each
    /// time that the connection is made anew.
    pub fn sentinel(mut self, master: impl Into<String>) -> Self {
        let new = Sentinel { master: String::new(), user: None, password: None };
        let master = master.into();
        let sentinel = self.options.sentinel.take().unwrap_or(new);
        self.options.sentinel = Some(Sentinel { master, ..sentinel });
        self
    }

    /// Logs in to sentinels, as the user `default` if `user` is empty. Default: without a login.
    ///
    /// For [`sentinel`](Self::sentinel), which is to be called before.
    pub fn sentinel_login(mut self, user: &str, password: impl Into<String>) -> Self {
        if let Some(sentinel) = &mut self.options.sentinel {
            sentinel.user = Some(user.to_owned()).filter(|user| !user.is_empty());
            sentinel.password = Some(password.into());
        }
        self
    }

    /// Replaces addresses that servers tell: those of a Redis Cluster, and those that sentinels name.
    ///
    /// For servers that know themselves by an address which is not reachable from here, as behind a translation of
    /// addresses. `translate` takes and returns host and port. Default: the addresses as they are.
    pub fn translate_addresses(
        mut self,
        translate: impl Fn(&str, u16) -> (String, u16) + Send + Sync + 'static,
    ) -> Self {
        self.options.translate = Some(Arc::new(translate));
        self
    }

    /// Sets the name of the connections, as CLIENT LIST shows it. Default `enginewire`. It must not have spaces.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// Sets the configuration of TLS. Default: the certificates that the platform trusts.
    #[cfg(feature = "tls-no-provider")]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.options.tls = Some(config);
        self
    }

    /// Connects to the server.
    ///
    /// # Errors
    ///
    /// As [`Redis::connect`].
    pub async fn connect(self) -> Result<Redis<R>, RedisError> {
        let Self { runtime, url, wire, options } = self;
        let shared = Shared::new(runtime, &url, options)?;
        let servers = Servers::connect(&shared).await?;
        Ok(Redis::new(shared, wire, servers))
    }
}

impl<R: Runtime> RedisBuilder<R> {
    /// Connects to the server, to send to a cluster without being a node.
    ///
    /// The connection is on a task of its own, which ends with the last clone of the emitter.
    ///
    /// # Errors
    ///
    /// As [`Redis::connect`].
    pub async fn emitter(self) -> Result<Emitter, RedisError> {
        let Self { runtime, url, wire, options } = self;
        let shared = Shared::new(runtime, &url, options)?;
        let servers = Servers::connect(&shared).await?;
        let (emitter, courier) = Emitter::new(&shared, wire, servers);
        shared.runtime.spawn(courier);
        Ok(emitter)
    }
}

/// Without the URL, in which a password may be.
impl<R: Runtime> fmt::Debug for RedisBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder").field("wire", &self.wire).finish_non_exhaustive()
    }
}
