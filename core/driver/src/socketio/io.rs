//! The server's handle: its namespaces and its options.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use enginewire_socketio::{
    AskName, ConnectionConfig, Event, Name,
    adapter::RecoveryConfig,
    cluster::ClusterConfig,
    parser::Parser,
    pattern::{InvalidPattern, Parameters, Pattern},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Overflow,
    acks::AckStream,
    broadcast::{Broadcast, Publish},
    cluster::{Bus, ClusterShared, pump},
    namespace::{AllowHook, Dynamic, Namespace, NamespaceRequest, NamespaceShared},
    observer::Observer,
    rooms::Rooms,
    session::Session,
    stats::Stats,
};
use crate::{
    cell::Sessions, runtime::Runtime, server_builder::ServerBuilder, sync::lock, wakes::Wakes,
};

/// A Socket.IO server: its namespaces, and whom they reach. Cheap to clone.
///
/// [`ServerBuilder::socketio`](crate::ServerBuilder::socketio) puts it on sockets. It can be used anywhere: in handlers of
/// HTTP requests, in background jobs. The methods that send are those of the namespace `/`.
#[derive(Clone)]
pub struct Io {
    pub(super) shared: Arc<IoShared>,
}

/// Sets up an [`Io`].
///
/// Options of Engine.IO, such as timeouts and limits, are those of [`ServerBuilder`](crate::ServerBuilder).
#[derive(Default)]
#[must_use = "a builder does nothing by itself"]
pub struct IoBuilder {
    config: ConnectionConfig,
    options: Options,
    bus: Option<Box<dyn Bus>>,
    cluster: ClusterConfig,
    pub(super) observer: Observer,
}

/// Options of a Socket.IO server besides those of its connections.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(super) ack_timeout: Duration,
    pub(super) overflow: Overflow,
    pub(super) backlog: usize,
    pub(super) max_children: usize,
    pub(super) keep_empty_namespaces: bool,
    pub(super) recovery: Option<RecoveryConfig>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(10),
            overflow: Overflow::Disconnect,
            backlog: 1024,
            max_children: 10_000,
            keep_empty_namespaces: false,
            recovery: None,
        }
    }
}

/// A Socket.IO server.
pub(crate) struct IoShared {
    pub(super) config: Arc<ConnectionConfig>,
    pub(super) options: Arc<Options>,
    pub(super) cluster: Option<Arc<ClusterShared>>,
    pub(super) observer: Observer,
    namespaces: Mutex<HashMap<Arc<str>, Arc<NamespaceShared>>>,
    dynamic: Mutex<Vec<Arc<Dynamic>>>,
    /// Servers that serve it, and those of them that are closing.
    servers: AtomicUsize,
    closing: AtomicUsize,
}

/// A namespace that a client asks for.
pub(super) enum Found {
    Namespace(NamespaceUse),
    /// A function has to decide.
    Undecided(Search),
}

/// A namespace that a client is connected to, or asks for. It exists for as long.
pub(super) struct NamespaceUse {
    pub(super) namespace: Arc<NamespaceShared>,
    io: Arc<IoShared>,
}

/// The rest of a search for a namespace.
pub(super) struct Search {
    rest: Vec<Arc<Dynamic>>,
}

impl Io {
    /// Creates a server with the default options.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets up a server with options.
    pub fn builder() -> IoBuilder {
        IoBuilder::default()
    }

    /// Returns the namespace of this name. The first call makes it.
    ///
    /// A missing slash at the start is added. Clients are refused that ask for a namespace that was not made: make all
    /// of them before the server listens, the namespace `/` too. None is there by itself, as it would let in clients
    /// before [`Namespace::authorize`] is called. A name that matches a pattern is a namespace of that, see
    /// [`namespaces`](Self::namespaces).
    pub fn namespace(&self, name: &str) -> Namespace {
        let name = match name.starts_with('/') {
            true => name.to_owned(),
            false => format!("/{name}"),
        };
        Namespace::new(self.shared.named(&name))
    }

    /// Returns all namespaces whose names match a [`Pattern`], such as `/project/{id}`.
    ///
    /// Each name has a namespace of its own: sockets have its parameters in [`SocketRef::param`](super::SocketRef::param),
    /// and it in [`SocketRef::namespace`](super::SocketRef::namespace). The value that this returns stands for all of
    /// them: it authorizes and accepts, and sends to all.
    ///
    /// # Errors
    ///
    /// The pattern is none.
    pub fn namespaces(&self, pattern: &str) -> Result<Namespace, InvalidPattern> {
        let parsed = Pattern::new(pattern)?;
        let shared = NamespaceShared::of_pattern(pattern, &self.shared);
        self.shared.tell_namespace(&mut Wakes::default(), pattern, true);
        let dynamic = Arc::new(Dynamic::Pattern(parsed, Arc::clone(&shared)));
        lock(&self.shared.dynamic).push(dynamic);
        Ok(Namespace::new(shared))
    }

    /// Returns all namespaces that `allow` says exist.
    ///
    /// It is called for names that are neither made nor match a pattern before it, and may wait. See
    /// [`namespaces`](Self::namespaces).
    pub fn namespaces_by<F>(
        &self,
        allow: impl Fn(NamespaceRequest) -> F + Send + Sync + 'static,
    ) -> Namespace
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let shared = NamespaceShared::of_pattern("*", &self.shared);
        self.shared.tell_namespace(&mut Wakes::default(), "*", true);
        let hook: AllowHook = Arc::new(move |request| Box::pin(allow(request)));
        let dynamic = Arc::new(Dynamic::Function(hook, Arc::clone(&shared)));
        lock(&self.shared.dynamic).push(dynamic);
        Namespace::new(shared)
    }

    /// Returns the namespace of this name, if it exists.
    ///
    /// It may be one that a client asked for, and that matches a pattern. Such a one goes with its last client, unless
    /// [`namespace`](Self::namespace) was called for it.
    pub fn find(&self, name: &str) -> Option<Namespace> {
        lock(&self.shared.namespaces).get(name).map(|shared| Namespace::new(Arc::clone(shared)))
    }

    /// Returns what the server holds, and what was lost, in all namespaces. It visits every socket.
    ///
    /// ```
    /// # use enginewire_driver::socketio::Io;
    /// let io = Io::new();
    /// io.namespace("/chat");
    /// let stats = io.stats();
    /// assert_eq!((stats.namespaces, stats.sockets, stats.queued), (1, 0, 0));
    /// ```
    pub fn stats(&self) -> Stats {
        let hosts = self.shared.hosts();
        let mut stats = Stats::default();
        let mut all = Vec::new();
        for host in hosts {
            let reached = host.reached();
            stats.add(&Stats::of(&host.counters, &reached));
            all.extend(reached);
        }
        stats.queued = Stats::queued(&all);
        stats.admin_dropped = self.shared.observer.dropped();
        if let Some(cluster) = &self.shared.cluster {
            stats.nodes = cluster.nodes();
            stats.cluster_dropped += cluster.missed();
        }
        stats
    }

    /// Returns an operator for all sockets of the namespace `/`.
    pub fn broadcast(&self) -> Broadcast {
        self.namespace("/").broadcast()
    }

    /// Returns an operator for the sockets of `/` in any of these rooms. See [`Broadcast::to`].
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// Returns an operator for the sockets of `/` that are in none of these rooms. See [`Broadcast::except`].
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Sends an event to all sockets of `/`. See [`Broadcast::emit`].
    pub fn emit<P: Serialize + ?Sized>(&self, name: impl Name<P>, payload: &P) -> Publish {
        self.broadcast().emit(name, payload)
    }

    /// Sends an event to all sockets of `/`, and returns their acknowledgements. See [`Broadcast::emit_with_ack`].
    pub fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        &self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> AckStream<A> {
        self.broadcast().emit_with_ack(name, payload)
    }

    /// Sends an event on to all sockets of `/` as it came. See [`Broadcast::forward`].
    pub fn forward(&self, event: &Event) -> Publish {
        self.broadcast().forward(event)
    }
}

impl Default for Io {
    fn default() -> Self {
        Self::new()
    }
}

impl IoBuilder {
    /// Creates the server. [`ServerBuilder::socketio`](crate::ServerBuilder::socketio) puts it on sockets.
    pub fn build(self) -> Io {
        let io = Io {
            shared: Arc::new(IoShared {
                config: Arc::new(self.config),
                options: Arc::new(self.options),
                cluster: self.bus.map(|bus| ClusterShared::new(bus, self.cluster)),
                namespaces: Mutex::default(),
                dynamic: Mutex::default(),
                servers: AtomicUsize::new(0),
                closing: AtomicUsize::new(0),
                observer: self.observer,
            }),
        };
        io.shared.observer.install(&io);
        io
    }

    /// Time in which a client must have connected to a namespace. Default 45 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Time in which an event must be acknowledged. Default 10 s.
    ///
    /// [`Duration::MAX`] waits until the socket is disconnected.
    pub const fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.options.ack_timeout = timeout;
        self
    }

    /// Sets what happens to a socket that has no room for a broadcast. Default [`Overflow::Disconnect`].
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.options.overflow = overflow;
        self
    }

    /// Sets the format of packets. Default [`Parser::Json`].
    pub fn parser(mut self, parser: Parser) -> Self {
        self.config.parser = parser;
        self
    }

    /// Limit on the attachments of a packet, received or sent. Default 10, as the reference's.
    ///
    /// An event with more is an error. Official clients cannot raise theirs: they close the connection at the eleventh.
    pub const fn max_attachments(mut self, attachments: usize) -> Self {
        self.config.limits.max_attachments = attachments;
        self
    }

    /// Limit on a packet and its attachments together, in bytes. Default 10 000 000.
    pub const fn max_packet(mut self, bytes: usize) -> Self {
        self.config.limits.max_size = bytes;
        self
    }

    /// Limit on the namespaces that a client is connected to. Default 64.
    pub const fn max_namespaces(mut self, namespaces: usize) -> Self {
        self.config.max_namespaces = namespaces;
        self
    }

    /// Limit on the acknowledgements that a socket owes. Default 1024.
    pub const fn max_pending_acks(mut self, acks: usize) -> Self {
        self.config.max_pending_acks = acks;
        self
    }

    /// Limit on the sockets of a namespace that wait for [`Namespace::accept`]. Default 1024.
    pub const fn backlog(mut self, sockets: usize) -> Self {
        self.options.backlog = sockets;
        self
    }

    /// Limit on the namespaces that match one pattern, or that one function allows. Default 10 000.
    ///
    /// Clients that ask for further ones are refused.
    pub const fn max_children(mut self, namespaces: usize) -> Self {
        self.options.max_children = namespaces;
        self
    }

    /// Lets clients come back that lost their connection. Default: they cannot.
    ///
    /// A socket that comes back within the window has the id, the rooms and the data that it had. It gets the events
    /// that it missed, but for volatile ones and those to be acknowledged. See
    /// [`SocketRef::recovered`](super::SocketRef::recovered).
    ///
    /// A namespace of a pattern forgets its sockets with the last client, unless
    /// [empty ones are kept](Self::keep_empty_namespaces). Events to single sockets take their turn with the broadcasts
    /// of the namespace, so that all have one order.
    ///
    /// In a [cluster](Self::cluster) whose bus [has a log](Bus::has_log) clients come back on any node, with their data if
    /// [`Namespace::restore_data`] is called. Events are delivered when the bus has logged them, and reach
    /// all nodes in one order. While the bus is down they are delivered at once, and a client that may miss them can come
    /// back on this node alone. [Local](Broadcast::local) events are not sent again, and one by `try_emit` may be overtaken
    /// by an event to be acknowledged. A client whose loss was not noticed yet, and that comes back on another node, gets a
    /// new socket.
    pub fn recovery(mut self, recovery: RecoveryConfig) -> Self {
        self.options.recovery = Some(recovery);
        self
    }

    /// Shares the namespaces with other nodes, whose messages `bus` carries. Default: there are none.
    ///
    /// Broadcasts, [`join`](Broadcast::join), [`leave`](Broadcast::leave) and [`disconnect`](Broadcast::disconnect) reach
    /// the sockets of all nodes. [`Broadcast::fetch_sockets`] returns them, and acknowledgements come from all of them.
    /// A server that is bound polls the bus until it has closed.
    ///
    /// While the bus is down or its queue is full, everything stays on this node:
    /// [`Delivered::remote`](super::Delivered::remote) and [`Stats::cluster_dropped`] say so.
    pub fn cluster(mut self, bus: impl Bus) -> Self {
        self.bus = Some(Box::new(bus));
        self
    }

    /// Limit on the messages that wait for the bus of the [cluster](Self::cluster), in bytes. Default 16 MiB.
    pub const fn max_cluster_queue(mut self, bytes: usize) -> Self {
        self.cluster.max_queued = bytes;
        self
    }

    /// Limit on the broadcasts of other nodes whose acknowledgements are awaited. Default 1024.
    ///
    /// Clients get further ones, but their acknowledgements are not sent to the other node, whose deadline tells.
    pub const fn max_cluster_requests(mut self, requests: usize) -> Self {
        self.cluster.max_requests = requests;
        self
    }

    /// Sets whether namespaces of patterns are kept when their last socket leaves. Default false.
    ///
    /// In a cluster a node leaves the channels of a namespace with it. One of Node.js that has just counted it waits for its
    /// response until a timeout, as it does for its own kind with `cleanupEmptyChildNamespaces`.
    pub const fn keep_empty_namespaces(mut self, keep: bool) -> Self {
        self.options.keep_empty_namespaces = keep;
        self
    }
}

impl IoShared {
    /// Returns the namespace that the application asks for, which is kept from then on.
    fn named(self: &Arc<Self>, name: &str) -> Arc<NamespaceShared> {
        let dynamic = lock(&self.dynamic).clone();
        let matching = dynamic.iter().find_map(|dynamic| match &**dynamic {
            Dynamic::Pattern(pattern, parent) => Some((parent, pattern.parameters(name)?)),
            Dynamic::Function(..) => None,
        });
        let mut wakes = Wakes::default();
        let mut namespaces = lock(&self.namespaces);
        let namespace = namespaces.entry(name.into()).or_insert_with(|| {
            self.tell_namespace(&mut wakes, name, true);
            match matching {
                Some((parent, parameters)) => {
                    let parent = Some(Arc::clone(parent));
                    let child = NamespaceShared::new(name, self, parent.clone(), parameters);
                    parent.iter().for_each(|parent| parent.add_child(&child));
                    child
                }
                None => NamespaceShared::new(name, self, None, Parameters::default()),
            }
        });
        namespace.is_pinned.store(true, Ordering::Relaxed);
        Arc::clone(namespace)
    }

    /// Returns the namespace that exists under a name.
    pub(super) fn of_name(&self, name: &str) -> Option<Arc<NamespaceShared>> {
        lock(&self.namespaces).get(name).cloned()
    }

    /// Returns what stands for the namespaces of a pattern.
    pub(super) fn pattern(&self, pattern: &str) -> Option<Arc<NamespaceShared>> {
        let dynamic = lock(&self.dynamic);
        let mut parents = dynamic.iter().map(|dynamic| dynamic.parent());
        parents.find(|parent| parent.name() == pattern).cloned()
    }

    /// Finds the namespace that a client asks for.
    pub(super) fn find(self: &Arc<Self>, name: &str) -> Option<Found> {
        if let Some(namespace) = lock(&self.namespaces).get(name) {
            return Some(Found::Namespace(NamespaceUse::new(namespace, self)));
        }
        let dynamic = lock(&self.dynamic).clone();
        for (index, candidate) in dynamic.iter().enumerate() {
            match &**candidate {
                Dynamic::Pattern(pattern, parent) => {
                    if let Some(parameters) = pattern.parameters(name) {
                        return self.child(name, parent, parameters).map(Found::Namespace);
                    }
                }
                Dynamic::Function(..) => {
                    return Some(Found::Undecided(Search { rest: dynamic[index..].to_vec() }));
                }
            }
        }
        None
    }

    /// Returns the namespace of a pattern or a function with this name, which is made if it is not there.
    fn child(
        self: &Arc<Self>,
        name: &str,
        parent: &Arc<NamespaceShared>,
        parameters: Parameters,
    ) -> Option<NamespaceUse> {
        let mut wakes = Wakes::default();
        let mut namespaces = lock(&self.namespaces);
        if let Some(namespace) = namespaces.get(name) {
            return Some(NamespaceUse::new(namespace, self));
        }
        if parent.children() >= self.options.max_children {
            return None;
        }
        self.tell_namespace(&mut wakes, name, true);
        let child = NamespaceShared::new(name, self, Some(Arc::clone(parent)), parameters);
        parent.add_child(&child);
        namespaces.insert(name.into(), Arc::clone(&child));
        Some(NamespaceUse::new(&child, self))
    }

    /// Tells the bus of the cluster whether a namespace exists.
    ///
    /// Called for a namespace under the lock of all, so that it is told in the order in which they come and go. Patterns
    /// and functions have one of their own, which receives server-side events.
    fn tell_namespace(&self, wakes: &mut Wakes, name: &str, exists: bool) {
        if let Some(cluster) = &self.cluster {
            cluster.tell_namespace(wakes, name, exists);
        }
    }

    /// Returns whether all servers that serve it are closing.
    pub(super) fn is_closed(&self) -> bool {
        let servers = self.servers.load(Ordering::SeqCst);
        servers > 0 && self.closing.load(Ordering::SeqCst) >= servers
    }

    /// Returns the namespaces that exist, by their names. What stands for those of a pattern is none.
    pub(super) fn namespaces(&self) -> Vec<Arc<NamespaceShared>> {
        self.with_namespaces(|namespaces| namespaces.cloned().collect())
    }

    /// Calls `f` with the namespaces that exist, by their names. No other is made meanwhile.
    pub(super) fn with_namespaces<T>(
        &self,
        f: impl FnOnce(std::slice::Iter<'_, Arc<NamespaceShared>>) -> T,
    ) -> T {
        let locked = lock(&self.namespaces);
        let mut namespaces: Vec<_> = locked.values().cloned().collect();
        namespaces.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let result = f(namespaces.iter());
        drop(locked);
        result
    }

    fn close(&self) {
        self.closing.fetch_add(1, Ordering::SeqCst);
        self.wake_all();
    }

    /// Returns the namespaces that the application has named, and what stands for those of patterns.
    pub(super) fn hosts(&self) -> Vec<Arc<NamespaceShared>> {
        let dynamic = lock(&self.dynamic).clone();
        let patterns = dynamic.iter().map(|dynamic| Arc::clone(dynamic.parent()));
        let namespaces = lock(&self.namespaces);
        let named = namespaces.values().filter(|namespace| !namespace.is_child());
        named.cloned().chain(patterns).collect()
    }

    /// Wakes the tasks that wait for sockets.
    fn wake_all(&self) {
        for host in self.hosts() {
            host.backlog.wake_all();
            host.reached().iter().for_each(|namespace| namespace.side.wake_all());
        }
    }
}

/// A server that serves an [`Io`].
struct ServingIo {
    io: Arc<IoShared>,
    is_closed: AtomicBool,
}

impl ServingIo {
    fn new(io: &Arc<IoShared>) -> Self {
        io.servers.fetch_add(1, Ordering::SeqCst);
        Self { io: Arc::clone(io), is_closed: AtomicBool::new(false) }
    }

    fn close(&self) {
        if !self.is_closed.swap(true, Ordering::SeqCst) {
            self.io.close();
        }
    }
}

/// A server that was never bound, such as one whose address is taken, has served nothing that could have closed.
impl Drop for ServingIo {
    fn drop(&mut self) {
        if !*self.is_closed.get_mut() {
            self.io.servers.fetch_sub(1, Ordering::SeqCst);
            if self.io.is_closed() {
                // All that were bound have closed.
                self.io.wake_all();
            }
        }
    }
}

impl Search {
    /// Asks the functions that are left, in their order.
    pub(super) fn run(
        self,
        io: Arc<IoShared>,
        request: NamespaceRequest,
    ) -> Pin<Box<dyn Future<Output = Option<NamespaceUse>> + Send>> {
        Box::pin(async move {
            for candidate in self.rest {
                match &*candidate {
                    Dynamic::Pattern(pattern, parent) => {
                        if let Some(parameters) = pattern.parameters(request.name()) {
                            return io.child(request.name(), parent, parameters);
                        }
                    }
                    Dynamic::Function(allow, parent) => {
                        if allow(request.clone()).await {
                            return io.child(request.name(), parent, Parameters::default());
                        }
                    }
                }
            }
            None
        })
    }
}

impl NamespaceUse {
    /// Called under the lock of all namespaces.
    fn new(namespace: &Arc<NamespaceShared>, io: &Arc<IoShared>) -> Self {
        namespace.clients.fetch_add(1, Ordering::Relaxed);
        Self { namespace: Arc::clone(namespace), io: Arc::clone(io) }
    }
}

/// A namespace of a pattern goes with its last client, so that names that clients choose fill no memory.
impl Drop for NamespaceUse {
    fn drop(&mut self) {
        let Self { namespace, io } = self;
        if !namespace.is_child() || io.options.keep_empty_namespaces {
            return;
        }
        let mut wakes = Wakes::default();
        let mut namespaces = lock(&io.namespaces);
        let is_last = namespace.clients.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last && !namespace.is_pinned.load(Ordering::Relaxed) {
            let removed = namespaces.remove(namespace.name());
            io.tell_namespace(&mut wakes, namespace.name(), false);
            drop(namespaces);
            drop(removed);
        }
    }
}

impl<R: Runtime> ServerBuilder<R> {
    /// Serves Socket.IO: `io` has the namespaces. Sets the [path](Self::path) to `/socket.io/`.
    ///
    /// It takes the place of a [handler](Self::handler). Several servers may serve the same `io`: one with TLS and one
    /// without, for example.
    ///
    /// ```no_run
    /// # use enginewire_driver::{Runtime, ServerBuilder, socketio::Io};
    /// # async fn example<R: Runtime>(builder: ServerBuilder<R>) -> std::io::Result<()> {
    /// let io = Io::new();
    /// // A client that asks for a namespace that was not made is refused.
    /// let clients = io.namespace("/");
    /// let server = builder.socketio(&io).bind("127.0.0.1:3000").await?;
    /// clients
    ///     .serve(|mut socket| async move {
    ///         while let Some(event) = socket.recv().await {
    ///             let _ = socket.broadcast().forward(&event).await;
    ///         }
    ///     })
    ///     .await;
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn socketio(self, io: &Io) -> Self {
        let shared = Arc::clone(&io.shared);
        let serving = ServingIo::new(&shared);
        #[cfg(feature = "testing")]
        let this = self.with_parser(shared.config.parser.clone());
        #[cfg(not(feature = "testing"))]
        let this = self;
        let served = io.clone();
        let on_start = move |runtime: &R, sessions: &Arc<Sessions>| {
            if let Some(cluster) = served.shared.cluster.clone() {
                let (sessions, io) = (Arc::clone(sessions), Arc::clone(&served.shared));
                runtime.spawn(pump(runtime.clone(), sessions, io, cluster));
            }
            served.shared.observer.start(runtime, &served);
        };
        this.path("/socket.io/")
            .on_start(on_start)
            .on_close(move || serving.close())
            .handler(move |socket, _| Session::new(Arc::clone(&shared), socket))
    }
}

impl fmt::Debug for IoBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoBuilder")
            .field("config", &self.config)
            .field("options", &self.options)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespaces = lock(&self.shared.namespaces).len();
        f.debug_struct("Io").field("namespaces", &namespaces).finish_non_exhaustive()
    }
}
