//! Namespaces: who may connect, whom they reach.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use enginewire_socketio::{
    AckId, AskName, ConnectError, ConnectionConfig, Event, Name,
    adapter::{Adapter, Target},
    parser::Parser,
    pattern::{Parameters, Pattern},
    payload::{DecodeError, Payload},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Io, IoShared, Socket, SocketRef,
    acks::AckStream,
    broadcast::{Broadcast, Publish},
    cluster::ClusterSide,
    io::Options,
    observer::NamespaceWatch,
    order::Order,
    rooms::Rooms,
    session::{caught, poll_task},
    socket::{SocketShared, decode_auth},
    stats::{Counters, Stats},
};
use crate::{backlog::Backlog, handshake::Handshake, sync::lock, trace::trace, wakers::WakerKey};

/// One namespace. Cheap to clone.
///
/// It is what sockets connect to, and reaches all of them. `D` is what [`authorize`](Self::authorize) returns; a
/// handle with `D = ()` sends to sockets whatever their data are.
pub struct Namespace<D = ()> {
    pub(super) shared: Arc<NamespaceShared>,
    data: PhantomData<fn() -> D>,
}

/// Decides who may connect.
type AuthorizeHook = Box<dyn Fn(ConnectRequest) -> Authorizing + Send + Sync>;

/// The decision about a client: its data.
pub(super) type Authorizing =
    Pin<Box<dyn Future<Output = Result<Arc<dyn Any + Send + Sync>, ConnectError>> + Send>>;

/// Runs the application's task for a socket.
pub(super) type ServeHook = Arc<dyn Fn(Arc<SocketShared>) -> Option<Serving> + Send + Sync>;

/// The application's task for a socket, of which `serve` waits for the end.
pub(super) struct Serving {
    pub(super) future: Pin<Box<dyn Future<Output = ()> + Send>>,
    _counted: Counted,
}

/// A namespace, as the server has it.
pub(crate) struct NamespaceShared {
    pub(super) name: Arc<str>,
    io: Weak<IoShared>,
    config: Arc<ConnectionConfig>,
    options: Arc<Options>,
    pub(super) adapter: Mutex<Adapter<Arc<SocketShared>>>,
    pub(super) order: Mutex<Order>,
    next_ack: AtomicU64,
    /// The namespace whose pattern this one matches: what was set there holds here.
    parent: Option<Arc<NamespaceShared>>,
    authorize: OnceLock<AuthorizeHook>,
    serve: Mutex<Option<ServeHook>>,
    pub(super) backlog: Backlog<Arc<SocketShared>>,
    /// The application has begun to take sockets out of the backlog.
    is_accepting: AtomicBool,
    /// Values of the pattern's parameters.
    pub(super) parameters: Parameters,
    /// Namespaces of clients that match the pattern of this one.
    children: Mutex<Vec<Weak<NamespaceShared>>>,
    /// The application holds it, so it does not go with its last client.
    pub(super) is_pinned: AtomicBool,
    /// Clients that are connected, or ask to be.
    pub(super) clients: AtomicUsize,
    /// It stands for the namespaces that match a pattern, and has no sockets of its own.
    is_pattern: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) side: ClusterSide,
    pub(super) watch: NamespaceWatch,
}

/// Request of a client to connect to a namespace, as [`Namespace::authorize`] gets it.
///
/// It may outlive its client. The decision is then of no consequence.
#[derive(Clone)]
pub struct ConnectRequest {
    pub(super) namespace: Arc<NamespaceShared>,
    pub(super) handshake: Arc<Handshake>,
    pub(super) auth: Option<Payload>,
    pub(super) rooms: Arc<Mutex<Vec<String>>>,
}

impl NamespaceShared {
    pub(super) fn new(
        name: &str,
        io: &Arc<IoShared>,
        parent: Option<Arc<NamespaceShared>>,
        parameters: Parameters,
    ) -> Arc<Self> {
        Arc::new(Self::build(name, io, parent, parameters))
    }

    /// Creates what stands for the namespaces that match a pattern, or that a function allows.
    pub(super) fn of_pattern(pattern: &str, io: &Arc<IoShared>) -> Arc<Self> {
        let shared = Self::build(pattern, io, None, Parameters::default());
        Arc::new(Self { is_pattern: true, ..shared })
    }

    fn build(
        name: &str,
        io: &Arc<IoShared>,
        parent: Option<Arc<NamespaceShared>>,
        parameters: Parameters,
    ) -> Self {
        let options = io.observer.options(name, &io.options);
        let shares_log = io.cluster.as_ref().is_some_and(|cluster| cluster.has_log());
        let mut adapter = Adapter::new(&mut crate::runtime::fill_random);
        if io.cluster.as_ref().is_some_and(|cluster| cluster.watches_rooms()) {
            adapter.watch_rooms();
        }
        let counters = parent.as_ref().map(|parent| Arc::clone(&parent.counters));
        Self {
            name: name.into(),
            io: Arc::downgrade(io),
            config: Arc::clone(&io.config),
            adapter: Mutex::new(adapter),
            order: Mutex::new(Order::new(options.recovery.as_ref(), shares_log)),
            next_ack: AtomicU64::new(0),
            parent,
            authorize: OnceLock::new(),
            serve: Mutex::default(),
            backlog: Backlog::new(options.backlog),
            is_accepting: AtomicBool::new(false),
            is_pinned: AtomicBool::new(false),
            parameters,
            children: Mutex::default(),
            clients: AtomicUsize::new(0),
            is_pattern: false,
            counters: counters.unwrap_or_default(),
            side: ClusterSide::new(io.cluster.clone()),
            watch: io.observer.namespace(name),
            options,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    pub(super) fn parser(&self) -> &Parser {
        &self.config.parser
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn io(&self) -> Io {
        match self.io.upgrade() {
            Some(shared) => Io { shared },
            // The server is gone: one that nothing connects to.
            None => Io::new(),
        }
    }

    pub(super) fn next_ack(&self) -> AckId {
        AckId(self.next_ack.fetch_add(1, Ordering::Relaxed).into())
    }

    /// Asks the application whether a client may connect. `None` if it has not said that it wants to be asked.
    pub(super) fn authorize(&self, request: ConnectRequest) -> Option<Authorizing> {
        let parent = || self.parent.as_ref().and_then(|parent| parent.authorize.get());
        let hook = self.authorize.get().or_else(parent)?;
        Some(hook(request))
    }

    /// Returns whether the application wants to be asked.
    pub(super) fn is_authorizing(&self) -> bool {
        let parent = || self.parent.as_ref().and_then(|parent| parent.authorize.get());
        self.authorize.get().or_else(parent).is_some()
    }

    /// Hands a socket to the application: a task to be run, or nothing if it waits for `accept`.
    ///
    /// Sockets of a namespace that nothing accepts stay where they are.
    pub(super) fn hand_over(&self, socket: &Arc<SocketShared>) -> Option<Serving> {
        let host = self.host();
        let serve = lock(&host.serve).clone();
        if let Some(serve) = serve.filter(|_| socket.hand_over()) {
            return caught(|| serve(Arc::clone(socket))).flatten();
        }
        if host.is_accepting.load(Ordering::SeqCst) {
            host.offer(socket);
        }
        None
    }

    /// Queues a socket for `accept`, once.
    fn offer(&self, socket: &Arc<SocketShared>) {
        if !socket.hand_over() {
            return;
        }
        if let Err(socket) = self.backlog.push(Arc::clone(socket), || true) {
            trace!(WARN, namespace = self.name(), "a socket is disconnected: too many wait");
            socket.release();
        }
    }

    /// Begins to queue sockets for `accept`, those too that are connected already.
    fn begin_to_accept(self: &Arc<Self>) {
        if self.is_accepting.swap(true, Ordering::SeqCst) {
            return;
        }
        for namespace in self.reached() {
            let selection = lock(&namespace.adapter).select(&Target::all());
            selection.iter().for_each(|(_, socket)| self.offer(socket));
        }
    }

    /// Returns the namespaces that a broadcast of this one reaches.
    pub(super) fn reached(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let mut children = lock(&self.children);
        children.retain(|child| child.strong_count() > 0);
        let children = children.iter().filter_map(Weak::upgrade);
        std::iter::once(Arc::clone(self)).chain(children).collect()
    }

    pub(super) const fn is_pattern(&self) -> bool {
        self.is_pattern
    }

    pub(super) const fn is_child(&self) -> bool {
        self.parent.is_some()
    }

    /// Returns the number of namespaces that match the pattern of this one.
    pub(super) fn children(&self) -> usize {
        let mut children = lock(&self.children);
        children.retain(|child| child.strong_count() > 0);
        children.len()
    }

    pub(super) fn add_child(&self, child: &Arc<Self>) {
        lock(&self.children).push(Arc::downgrade(child));
    }

    /// Returns the namespace where the application has set what holds here.
    pub(super) fn host(&self) -> &Self {
        self.parent.as_deref().unwrap_or(self)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.io.upgrade().is_none_or(|io| io.is_closed())
    }
}

impl<D> Namespace<D> {
    pub(super) const fn new(shared: Arc<NamespaceShared>) -> Self {
        Self { shared, data: PhantomData }
    }

    /// Returns the name, with its leading slash. That of a pattern is the pattern.
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// Returns the server.
    pub fn io(&self) -> Io {
        self.shared.io()
    }

    /// Returns the number of sockets that are connected to this server.
    pub fn len(&self) -> usize {
        self.shared.reached().iter().map(|shared| lock(&shared.adapter).len()).sum()
    }

    /// Returns whether no socket is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the rooms that were joined, each with its size.
    ///
    /// That is the number of its members on this server. The room of each socket's own id is left out, unless others
    /// have joined it. Rooms of a pattern are those of all its namespaces: one that is in several has the members of
    /// all. It visits every room, and not their members.
    ///
    /// ```
    /// # use enginewire_driver::socketio::Namespace;
    /// # fn example(chat: &Namespace) {
    /// for (room, members) in chat.rooms() {
    ///     println!("{room}: {members}");
    /// }
    /// println!("{} in the lobby", chat.room_len("lobby"));
    /// # }
    /// ```
    pub fn rooms(&self) -> BTreeMap<String, usize> {
        let mut rooms = BTreeMap::new();
        for shared in self.shared.reached() {
            // Names are copied and sorted behind the lock.
            let listed: Vec<_> = {
                let adapter = lock(&shared.adapter);
                adapter.all_rooms().map(|(room, len)| (room.clone(), len)).collect()
            };
            for (room, len) in listed {
                *rooms.entry(room.as_str().to_owned()).or_default() += len;
            }
        }
        rooms
    }

    /// Returns the number of sockets in a room on this server. The id of a socket is a room, too.
    ///
    /// A pattern counts those of all its namespaces.
    pub fn room_len(&self, room: &str) -> usize {
        self.shared.reached().iter().map(|shared| lock(&shared.adapter).room_len(room)).sum()
    }

    /// Returns how often an extractor has rejected an event or a socket, see
    /// [`Routes::on_rejection`](super::Routes::on_rejection).
    ///
    /// A pattern counts for all of its namespaces.
    pub fn rejections(&self) -> u64 {
        self.shared.counters.rejections.count()
    }

    /// Returns what the namespace holds on this server, and what was lost. A pattern counts for all of its namespaces.
    ///
    /// It visits every socket.
    pub fn stats(&self) -> Stats {
        let reached = self.shared.reached();
        Stats { queued: Stats::queued(&reached), ..Stats::of(&self.shared.counters, &reached) }
    }

    /// Returns an operator for all sockets of the namespace.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(&self.shared, Target::default())
    }

    /// Returns an operator for the sockets in any of these rooms. See [`Broadcast::to`].
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// Returns an operator for the sockets that are in none of these rooms. See [`Broadcast::except`].
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Sends an event to all sockets of the namespace. See [`Broadcast::emit`].
    pub fn emit<P: Serialize + ?Sized>(&self, name: impl Name<P>, payload: &P) -> Publish {
        self.broadcast().emit(name, payload)
    }

    /// Sends an event on to all sockets of the namespace as it came. See [`Broadcast::forward`].
    pub fn forward(&self, event: &Event) -> Publish {
        self.broadcast().forward(event)
    }

    /// Sends an event to all sockets of the namespace, and returns their acknowledgements.
    ///
    /// See [`Broadcast::emit_with_ack`].
    pub fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        &self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> AckStream<A> {
        self.broadcast().emit_with_ack(name, payload)
    }
}

impl Namespace {
    /// Decides who may connect, and what the sockets know of their clients.
    ///
    /// `check` is called for each client, before anything else of the namespace. It may wait: other namespaces of the
    /// same client go on meanwhile. What it returns is the data of the socket, see [`SocketRef::data`]. An error
    /// refuses the client, which has it in its `connect_error` event.
    ///
    /// To be called once for a namespace, before the server is bound. Sockets are accepted by the handle that it returns;
    /// one that was there before accepts them without their data.
    ///
    /// # Panics
    ///
    /// If it was called before.
    pub fn authorize<D, F>(
        &self,
        check: impl Fn(ConnectRequest) -> F + Send + Sync + 'static,
    ) -> Namespace<D>
    where
        F: Future<Output = Result<D, ConnectError>> + Send + 'static,
        D: Any + Send + Sync,
    {
        let hook: AuthorizeHook = Box::new(move |request| {
            let check = check(request);
            Box::pin(async move {
                let data: Arc<dyn Any + Send + Sync> = Arc::new(check.await?);
                Ok(data)
            })
        });
        let set = self.shared.authorize.set(hook);
        assert!(set.is_ok(), "`authorize` was called twice for `{}`", self.name());
        Namespace::new(Arc::clone(&self.shared))
    }
}

impl<D: Any + Send + Sync> Namespace<D> {
    /// Accepts the next socket. `None` once the server is closing, and all sockets have been accepted.
    ///
    /// Sockets wait with their events, so that nothing is lost before [`Socket::recv`]. If as many wait as
    /// [`IoBuilder::backlog`](super::IoBuilder::backlog) says, further ones are disconnected. In a namespace that nothing
    /// accepts, clients stay connected and get broadcasts; their events are not read.
    ///
    /// Cancel safe: a socket is either returned or still there.
    pub async fn accept(&self) -> Option<Socket<D>> {
        self.shared.begin_to_accept();
        loop {
            let mut accepting = Accepting { shared: &self.shared, key: None };
            let socket = poll_fn(|cx| accepting.poll(cx)).await?;
            if let Some(socket) = Socket::new(socket) {
                return Some(socket);
            }
        }
    }

    /// Runs `session` for each socket, until the server closes and all of them have returned.
    ///
    /// The futures are polled by the tasks of their clients' connections: a message changes no task. As in any task
    /// they must not block. One that panics disconnects its socket, and nothing else. Sockets that wait already are
    /// served by this future itself.
    ///
    /// Dropped, further sockets wait for [`accept`](Self::accept). Those that it serves itself are disconnected, and the
    /// others go on. A second call takes the place of the first for new sockets.
    pub async fn serve<F>(&self, session: impl Fn(Socket<D>) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let count = Arc::new(Count::default());
        let counting = Arc::clone(&count);
        let hook: ServeHook = Arc::new(move |shared| {
            let future = Box::pin(session(Socket::new(shared)?));
            Some(Serving { future, _counted: Counted::new(&counting) })
        });
        *lock(&self.shared.serve) = Some(Arc::clone(&hook));
        let _reset = Reset { shared: &self.shared, hook: Arc::clone(&hook) };
        self.shared.begin_to_accept();
        // Those that came before the hook are served here.
        let mut here = Vec::new();
        let mut accepting = Accepting { shared: &self.shared, key: None };
        poll_fn(|cx| {
            while let Poll::Ready(Some(socket)) = accepting.poll(cx) {
                here.extend(caught(|| hook(socket)).flatten());
            }
            here.retain_mut(|serving| poll_task(&mut serving.future, cx).is_pending());
            if !self.shared.is_closed() || !here.is_empty() {
                return Poll::Pending;
            }
            count.poll_none(cx)
        })
        .await;
    }

    /// Runs `session` for each socket with a clone of `state`, see [`serve`](Self::serve).
    pub async fn serve_with<S, F>(
        &self,
        state: S,
        session: impl Fn(Socket<D>, S) -> F + Send + Sync + 'static,
    ) where
        S: Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.serve(move |socket| session(socket, state.clone())).await;
    }

    /// Returns the socket with this id, if it is connected to this server.
    pub fn socket(&self, id: &str) -> Option<SocketRef<D>> {
        self.shared.reached().iter().find_map(|shared| {
            let adapter = lock(&shared.adapter);
            let member = adapter.find(id)?;
            SocketRef::new(Arc::clone(adapter.member(member)?))
        })
    }
}

/// Waits for a socket.
struct Accepting<'a> {
    shared: &'a NamespaceShared,
    key: WakerKey,
}

impl Accepting<'_> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Arc<SocketShared>>> {
        let Self { shared, key } = self;
        shared.backlog.poll_pop(key, cx, || shared.is_closed())
    }
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        self.shared.backlog.stop_waiting(self.key);
    }
}

/// Takes the hook of `serve` away again.
struct Reset<'a> {
    shared: &'a NamespaceShared,
    hook: ServeHook,
}

impl Drop for Reset<'_> {
    fn drop(&mut self) {
        // Another `serve` may have taken its place.
        let hook = lock(&self.shared.serve).take_if(|hook| Arc::ptr_eq(hook, &self.hook));
        drop(hook);
    }
}

/// Tasks of sockets that are still at work, and the task that waits for their end.
#[derive(Default)]
struct Count {
    state: Mutex<(usize, Option<std::task::Waker>)>,
}

impl Count {
    fn poll_none(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.0 == 0 {
            return Poll::Ready(());
        }
        crate::wakes::register(&mut state.1, cx.waker());
        Poll::Pending
    }
}

struct Counted(Arc<Count>);

impl Counted {
    fn new(count: &Arc<Count>) -> Self {
        lock(&count.state).0 += 1;
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.0 -= 1;
        let waker = if state.0 == 0 { state.1.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl ConnectRequest {
    /// Decodes what the client gave as `auth`.
    ///
    /// # Errors
    ///
    /// It is of another shape. Of a client that gave nothing it is an empty object.
    pub fn auth<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        decode_auth(self.auth.as_ref())
    }

    /// Returns the request that opened the session of the client.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Returns the name of the namespace.
    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// Returns a parameter of the namespace's pattern.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.namespace.parameters.get(name)
    }

    /// Has the socket join rooms when it is connected, before it receives anything.
    pub fn join(&self, rooms: impl Rooms) {
        rooms.each(&mut |room| lock(&self.rooms).push(room.to_owned()));
    }
}

/// Namespaces that match a pattern, or that a function decides about.
pub(super) enum Dynamic {
    Pattern(Pattern, Arc<NamespaceShared>),
    Function(AllowHook, Arc<NamespaceShared>),
}

impl Dynamic {
    pub(super) const fn parent(&self) -> &Arc<NamespaceShared> {
        match self {
            Self::Pattern(_, parent) | Self::Function(_, parent) => parent,
        }
    }
}

/// Decides whether a namespace exists.
pub(super) type AllowHook =
    Arc<dyn Fn(NamespaceRequest) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Request of a client for a namespace that does not exist yet.
///
/// [`Io::namespaces_by`](super::Io::namespaces_by) gets it.
#[derive(Clone)]
pub struct NamespaceRequest {
    pub(super) name: Arc<str>,
    pub(super) auth: Option<Payload>,
    pub(super) handshake: Arc<Handshake>,
}

impl NamespaceRequest {
    /// Returns the name that the client asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Decodes what the client gave as `auth`.
    ///
    /// # Errors
    ///
    /// It is of another shape. Of a client that gave nothing it is an empty object.
    pub fn auth<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        decode_auth(self.auth.as_ref())
    }

    /// Returns the request that opened the session of the client.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }
}

impl<D> Clone for Namespace<D> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<D> fmt::Debug for Namespace<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("namespace", &self.namespace())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NamespaceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceRequest").field("name", &self.name).finish_non_exhaustive()
    }
}
