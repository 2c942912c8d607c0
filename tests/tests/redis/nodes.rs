//! Nodes of a cluster on one server.

use std::time::Duration;

use enginewire_cluster::redis::{
    Format, Redis, RedisBuilder, RedisMonitor, StreamsConfig, SubscriptionMode,
};
use enginewire_driver::{
    socketio::{Io, IoBuilder},
    testing::{TestLink, TestSocket},
};
use enginewire_tests::{
    client::{soon, until},
    host::Host,
};

use crate::{
    proxy::Proxy,
    server::{RawClient, RedisServer},
};

/// Longest time of a test's requests.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Formats that all operations are tried in, each with a name of its own.
pub(crate) const KINDS: [Kind; 5] = [
    Kind::Classic,
    Kind::Sharded(SubscriptionMode::Static),
    Kind::Sharded(SubscriptionMode::Dynamic),
    Kind::Sharded(SubscriptionMode::DynamicPrivate),
    Kind::Streams,
];

/// Format of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Classic,
    Sharded(SubscriptionMode),
    Streams,
}

impl Kind {
    /// The prefix of its channels, which is the name of its stream.
    pub(crate) fn prefix(self) -> String {
        format!("test-{self:?}").replace(['(', ')'], "-").to_lowercase()
    }

    /// Sets up a bus in this format.
    pub(crate) fn apply<R: Host>(self, builder: RedisBuilder<R>) -> RedisBuilder<R> {
        let builder = builder.prefix(self.prefix());
        match self {
            Self::Classic => builder.classic(),
            Self::Sharded(mode) => builder.sharded(mode),
            Self::Streams => {
                let mut streams = StreamsConfig::default();
                streams.stream = self.prefix();
                builder.format(Format::Streams(streams))
            }
        }
    }

    /// The channel of requests to a namespace.
    pub(crate) fn requests(self, namespace: &str) -> String {
        let prefix = self.prefix();
        match self {
            Self::Classic => format!("{prefix}-request#{namespace}#"),
            _ => format!("{prefix}#{namespace}#"),
        }
    }
}

/// Nodes that know each other.
pub(crate) struct Nodes<R: Host> {
    pub(crate) kind: Kind,
    pub(crate) ios: Vec<Io>,
    pub(crate) links: Vec<TestLink<R>>,
    pub(crate) monitors: Vec<RedisMonitor>,
    /// A client of each server.
    clients: Vec<RawClient>,
}

impl<R: Host> Nodes<R> {
    pub(crate) fn new(server: &RedisServer, kind: Kind, count: usize) -> Self {
        Self::with(server, kind, &vec![server.url(); count], |bus| bus, |io| io)
    }

    /// Starts a node for each URL.
    pub(crate) fn with(
        server: &RedisServer,
        kind: Kind,
        urls: &[String],
        bus: impl Fn(RedisBuilder<R>) -> RedisBuilder<R>,
        options: impl Fn(IoBuilder) -> IoBuilder,
    ) -> Self {
        Self::with_clients(vec![server.client()], kind, urls, bus, options)
    }

    /// Starts a node for each URL, on the servers of these clients.
    pub(crate) fn with_clients(
        clients: Vec<RawClient>,
        kind: Kind,
        urls: &[String],
        bus: impl Fn(RedisBuilder<R>) -> RedisBuilder<R>,
        options: impl Fn(IoBuilder) -> IoBuilder,
    ) -> Self {
        let mut nodes = Self { kind, ios: vec![], links: vec![], monitors: vec![], clients };
        for url in urls {
            let builder = bus(kind.apply(Redis::builder(url)));
            let redis = soon("a connection", builder.connect()).unwrap();
            nodes.monitors.push(redis.monitor());
            let io = options(Io::builder().ack_timeout(LONG)).cluster(redis).build();
            let _ = io.namespace("/");
            nodes.links.push(TestLink::new(&io));
            nodes.ios.push(io);
        }
        nodes.until_known("/", u32::try_from(urls.len()).unwrap());
        nodes
    }

    /// Waits until so many nodes have subscribed to the channels of a namespace.
    pub(crate) fn until_known(&mut self, namespace: &str, count: u32) {
        let channel = self.kind.requests(namespace);
        until("the others", || self.subscribers(&channel) == count);
    }

    fn subscribers(&mut self, channel: &str) -> u32 {
        self.clients.iter_mut().map(|client| client.subscribers(channel)).sum()
    }

    /// Asks a server no longer, which has ended.
    pub(crate) fn forget(&mut self, server: usize) {
        self.clients.remove(server);
    }

    /// The number of channels and patterns that nodes have subscribed to.
    pub(crate) fn subscriptions(&mut self) -> usize {
        let prefix = format!("{}*", self.kind.prefix());
        // They are counted whatever their prefix, those of nodes that are about to end included.
        let has_patterns = matches!(self.kind, Kind::Classic);
        let count = |client: &mut RawClient| {
            let mut list = |how: &[u8]| client.command(&[b"PUBSUB", how, prefix.as_bytes()]).len();
            let channels = list(b"CHANNELS") + list(b"SHARDCHANNELS");
            let patterns = has_patterns.then(|| client.command(&[b"PUBSUB", b"NUMPAT"]));
            channels + patterns.map_or(0, |patterns| patterns[0].parse::<usize>().unwrap())
        };
        self.clients.iter_mut().map(count).sum()
    }

    /// Broadcasts numbers from 1 on by the first node, while the second is cut off.
    pub(crate) fn emit_while_cut_off(&self, proxy: &Proxy, count: u32) {
        proxy.cut();
        until("down", || !self.monitors[1].stats().is_up);
        for n in 1..=count {
            assert!(soon("local", self.ios[0].emit("n", &n)).unwrap().remote.is_ok());
        }
        until("responses", || self.monitors[0].stats().in_flight == 0);
        proxy.heal();
    }

    pub(crate) fn connect(&self, node: usize) -> TestSocket {
        self.connect_to(node, "/")
    }

    pub(crate) fn connect_to(&self, node: usize, namespace: &str) -> TestSocket {
        soon("a connection", self.links[node].connect(namespace)).unwrap()
    }

    /// Joins a socket of a node to a room, and waits until the node hears what is for it.
    pub(crate) fn join(&mut self, node: usize, socket: &TestSocket, room: &str) {
        // Without a name for it, which would keep one of a pattern.
        let namespace = self.ios[node].find(socket.namespace()).unwrap();
        until("a socket", || namespace.socket(socket.id()).is_some());
        namespace.socket(socket.id()).unwrap().join(room);
        self.until_heard(socket.namespace(), room);
    }

    /// Waits until a node hears what is for a room, if it has a channel.
    pub(crate) fn until_heard(&mut self, namespace: &str, room: &str) {
        self.until_heard_by(1, namespace, room);
    }

    /// Waits until so many nodes hear what is for a room, if it has a channel.
    pub(crate) fn until_heard_by(&mut self, nodes: u32, namespace: &str, room: &str) {
        let has_channel = match self.kind {
            Kind::Sharded(SubscriptionMode::Dynamic) => room.len() != 20,
            Kind::Sharded(SubscriptionMode::DynamicPrivate) => true,
            _ => false,
        };
        if has_channel {
            until("a subscription", || self.heard_by(namespace, room) >= nodes);
        }
    }

    /// Returns how many nodes have subscribed to the channel of a room.
    pub(crate) fn heard_by(&mut self, namespace: &str, room: &str) -> u32 {
        self.subscribers(&format!("{}#{namespace}#{room}#", self.kind.prefix()))
    }
}
