//! A whole Socket.IO server as one value. It is for event loops of any kind, simulations, other languages and wasm.
//!
//! A [`Hub`] is a [`ServerHub`] with a [`Connection`] on each session, and the [`adapter`](crate::adapter) of each
//! namespace. It has no sockets of its own: an event loop tells it what happened to its connections, and does what the
//! outputs say.
//!
//! # The loop
//!
//! ```
//! use core::time::Duration;
//!
//! use enginewire::Time;
//! use enginewire_socketio::{adapter::Target, hub::{Hub, HubConfig, Output}};
//!
//! // In production both are the operating system's: ids of sessions are secrets.
//! let (sessions, sockets) = (|bytes: &mut [u8]| bytes.fill(7), |bytes: &mut [u8]| bytes.fill(1));
//! let mut hub = Hub::new(HubConfig::default(), sessions, sockets);
//!
//! let now = Time::ZERO;
//! let on = hub.handle_accepted(now);
//! let mut written = Vec::new();
//! for bytes in [
//!     // A client opens a WebSocket and asks to connect to `/`. Connected, it says hello.
//!     &b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
//!         Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
//!         Sec-WebSocket-Version: 13\r\n\
//!         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
//!         \x81\x82\0\0\0\x0040"[..],
//!     b"\x81\x93\0\0\0\x0042[\"hello\",\"world\"]",
//! ] {
//!     // In: bytes of a connection.
//!     hub.handle_bytes(now, on, &mut bytes.to_vec());
//!     // Out: after any input or command, until there is nothing more.
//!     while let Some(output) = hub.poll() {
//!         match output {
//!             // The application. A response may come at any later time.
//!             Output::Connect(socket, request, _head) => match &*request.namespace {
//!                 "/" => drop(hub.accept(now, socket)),
//!                 _ => drop(hub.refuse(now, socket, &"Invalid namespace".into())),
//!             },
//!             Output::Event(_socket, event) => {
//!                 hub.forward_to("/", &Target::all(), &event)?;
//!             }
//!             // The event loop.
//!             Output::Write(on) => hub.transmit(now, on, |bytes| {
//!                 written.extend_from_slice(bytes);
//!                 bytes.len() // As many as the socket has taken.
//!             }),
//!             _ => {} // Close or read a connection; a socket was disconnected.
//!         }
//!     }
//! }
//! assert!(written.ends_with(br#"42["hello","world"]"#));
//!
//! // One deadline: when to call `handle_timeout`. The first ping is due then.
//! assert_eq!(hub.poll_timeout(), Some(now + Duration::from_secs(25)));
//! # Ok::<(), enginewire_socketio::EncodeError>(())
//! ```
//!
//! The duties of the loop are those of [`enginewire::hub`]. The example `mio_chat` is a whole program.
//!
//! Commands without a `now` happen at the latest time that the hub was told. A loop that wakes up for a reason of its own
//! calls [`Hub::handle_timeout`] first: recovery counts its time from there.
//!
//! # Order
//!
//! Events of a socket come in the order in which its client sent them, and before [`Output::Disconnected`].
//! Acknowledgements do not wait for events that were sent before them. Broadcasts reach all sockets of a namespace in
//! the order of the calls.
//!
//! # Several nodes
//!
//! With [`HubConfig::cluster`] broadcasts and operations on many sockets reach those of other nodes, too. The loop
//! carries messages between them: what [`Hub::poll_cluster_message`] gives to the others, and what they give to
//! [`Hub::handle_cluster_message`]. It tells which nodes there are with [`Hub::insert_node`] and [`Hub::remove_node`].
//! Broadcasts of one node keep their order if the bus does. Across nodes there is none.
//!
//! With recovery, and a bus that [has a log](crate::cluster::ClusterConfig::has_log), clients come back on any node. All
//! nodes deliver broadcasts in the order of the log. An event then waits for its place, and
//! [`Delivered::is_waiting`] says so: [`Hub::handle_appended`] delivers it. So do events for one socket. Volatile events
//! wait behind them. Events that are to be acknowledged do not wait. The loop carries out each
//! [`Operation::Log`](crate::cluster::Operation::Log), and gives responses to [`Hub::handle_log_response`]. Faults of the
//! log it tells with [`Hub::handle_append_failed`], [`Hub::handle_missed`] and [`Hub::handle_log_rewound`]. Without the bus events are delivered on this node alone.
//!
//! # Bounds
//!
//! Events stay in the connection of their client until they are polled. They count as unread there, and
//! [`Limits::max_unread`](enginewire::Limits::max_unread) makes TCP slow the client down. [`Hub::pause`] leaves those of
//! one socket there. What is sent waits in the queue of the session, and an event without room is given back as
//! [`EmitError::Full`](crate::EmitError::Full). [`Output::Writable`] follows.

mod broadcast;
mod cluster;
mod config;
mod connecting;
mod emit;
mod io;
mod layer;
mod logging;
mod namespaces;
mod output;
mod returning;
mod sockets;
#[cfg(test)]
mod tests;

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::fmt;

use enginewire::{
    Entropy, LayerContext, ServerHub, ServerSession, Text, Time,
    hub::{Output as EngineOutput, SessionId},
    wire::http::RequestHead,
};

use self::{
    broadcast::Groups,
    cluster::Node,
    layer::{Change, Client, Token},
    namespaces::Namespaces,
    sockets::Sockets,
};
pub use self::{
    cluster::{AnswerId, ClusterOutput, ServerSideEmitError},
    config::{HubConfig, Overflow},
    output::{AskId, Delivered, GroupId, Output, SocketKey},
};
use crate::{
    ConnectionConfig, Room, SocketId,
    adapter::{RecoveryConfig, Target},
    connection::Connection,
    parser::Encoder,
    payload::Payload,
};

/// A whole Socket.IO server.
///
/// Methods come in the four families of [`ServerHub`]: *network inputs*, `handle_*`, which never fail; *commands* of
/// the application; *outputs*, [`poll`](Self::poll), [`transmit`](Self::transmit) and
/// [`poll_timeout`](Self::poll_timeout); and *getters*. `now` must never go backwards. The same inputs give the same
/// outputs, byte for byte.
///
/// **Cost.** Methods for one socket or connection take time for that alone. Broadcasts take time for their recipients,
/// [`close`](Self::close) and [`abort`](Self::abort) for all sessions.
///
/// **Panics.** None, but those of functions and payloads that it is given.
pub struct Hub {
    engine: ServerHub,
    connection: Arc<ConnectionConfig>,
    overflow: Overflow,
    recovery: Option<RecoveryConfig>,
    entropy: Box<dyn Entropy + Send>,
    encoder: Encoder,
    sockets: Sockets,
    namespaces: Namespaces,
    groups: Groups,
    /// The other nodes, if there is a cluster.
    node: Option<Box<Node>>,
    outputs: VecDeque<Output>,
    /// Sockets with events that were not taken. Some may be stale or paused.
    readable: VecDeque<SocketKey>,
    /// A socket whose last output the application is looking at.
    retired: Option<SocketKey>,
    /// The latest time that the hub was told.
    now: Time,
    /// Storage for [`with_client`](Self::with_client).
    changes: Vec<Change>,
}

impl Hub {
    /// Creates a server without connections.
    ///
    /// `sessions` gives the secret ids of Engine.IO sessions. `sockets` gives the ids of sockets, which are public, and
    /// the secret ids of recovery. In production both are the operating system's. Two seeded generators must have
    /// different seeds, or public ids would tell the secret ones.
    pub fn new(
        config: HubConfig,
        sessions: impl Entropy + Send + 'static,
        sockets: impl Entropy + Send + 'static,
    ) -> Self {
        let mut encoder = Encoder::new();
        encoder.set_max_attachments(config.connection.limits.max_attachments);
        let mut recovery = config.recovery;
        if let Some(recovery) = &mut recovery {
            let protocol = &config.engine.protocol;
            recovery.expect_heartbeat(protocol.ping_interval.saturating_add(protocol.ping_timeout));
        }
        Self {
            engine: ServerHub::new(config.engine, sessions),
            connection: Arc::new(config.connection),
            overflow: config.overflow,
            recovery,
            entropy: Box::new(sockets),
            encoder,
            sockets: Sockets::default(),
            namespaces: Namespaces::default(),
            groups: Groups::default(),
            node: config.cluster.map(Node::new),
            outputs: VecDeque::new(),
            readable: VecDeque::new(),
            retired: None,
            now: Time::ZERO,
            changes: Vec::new(),
        }
    }
}

/// Outputs. [`transmit`](Self::transmit) is among the methods of connections.
impl Hub {
    /// Returns the next task for the event loop, or the next event for the application.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(key) = self.retired.take() {
            self.sockets.remove(key);
        }
        loop {
            if let Some(output) = self.outputs.pop_front() {
                if self.outputs.is_empty() && self.outputs.capacity() > KEPT {
                    self.outputs = VecDeque::new();
                }
                if let Output::Disconnected(key, ..) | Output::Cancelled(key) = output {
                    self.retired = Some(key);
                }
                return Some(output);
            }
            if let Some(key) = self.namespaces.forgotten.pop() {
                return Some(Output::Forgotten(key));
            }
            if let Some(output) = self.next_event() {
                return Some(output);
            }
            return Some(match self.engine.poll()? {
                EngineOutput::Write(on) => Output::Write(on),
                EngineOutput::Read(on) => Output::Read(on),
                EngineOutput::Shutdown(on) => Output::Shutdown(on),
                EngineOutput::Close(on) => Output::Close(on),
                EngineOutput::Ask(ask, on, head) => Output::Open(ask, on, head),
                EngineOutput::Request(request, head, body) => Output::Request(request, head, body),
                EngineOutput::HandOver(on, node, client) => Output::HandOver(on, node, client),
                EngineOutput::Opened(session, _, head) => {
                    self.open(session, head);
                    continue;
                }
                EngineOutput::Layer(session) => {
                    self.drain(session);
                    continue;
                }
                // They go to the layer.
                EngineOutput::Event(..) => continue,
            });
        }
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). It may be too early, never too late.
    ///
    /// Changes with any other call.
    pub fn poll_timeout(&mut self) -> Option<Time> {
        let recovery = self.namespaces.poll_timeout();
        let cluster = self.node.as_ref().and_then(|node| node.poll_timeout());
        self.engine.poll_timeout().into_iter().chain(recovery).chain(cluster).min()
    }
}

/// Getters.
impl Hub {
    /// Returns whether a socket is connected.
    pub fn is_connected(&self, key: SocketKey) -> bool {
        self.sockets.get(key).is_some_and(|socket| socket.member.is_some())
    }

    /// Returns the id of a socket. `None` before it is accepted.
    pub fn id(&self, key: SocketKey) -> Option<&SocketId> {
        self.sockets.get(key)?.id.as_ref()
    }

    /// Returns the namespace of a socket.
    pub fn namespace(&self, key: SocketKey) -> Option<&str> {
        self.sockets.get(key).map(|socket| &*socket.namespace)
    }

    /// Returns the request that opened the session of a socket.
    pub fn handshake(&self, key: SocketKey) -> Option<&Arc<RequestHead>> {
        self.sockets.get(key).map(|socket| &socket.head)
    }

    /// Returns the payload with which the client asked to connect, if there was one.
    pub fn auth(&self, key: SocketKey) -> Option<&Payload> {
        self.sockets.get(key)?.auth.as_ref()
    }

    /// Returns the Engine.IO session of a socket, to look at. `None` once it has closed.
    pub fn session(&self, key: SocketKey) -> Option<&ServerSession> {
        self.engine.session(self.sockets.get(key)?.session)
    }

    /// Returns the rooms of a socket, without its own.
    pub fn rooms(&self, key: SocketKey) -> impl Iterator<Item = &Room> {
        let member = self.sockets.get(key).and_then(|socket| socket.member);
        let rooms = member.and_then(|member| {
            let namespace = self.namespaces.get(member.namespace)?;
            Some(namespace.adapter.rooms(member.key))
        });
        rooms.into_iter().flatten()
    }

    /// Returns the rooms of a namespace that were joined, each with its size.
    ///
    /// The order depends on nothing but the calls before.
    pub fn rooms_of(&self, namespace: &str) -> impl Iterator<Item = (&Room, usize)> {
        let index = self.namespaces.find(namespace);
        let namespace = index.and_then(|index| self.namespaces.get(index));
        namespace.map(|namespace| namespace.adapter.all_rooms()).into_iter().flatten()
    }

    /// Returns the number of sockets in a room. The id of a socket is a room, too.
    pub fn room_len(&self, namespace: &str, room: &str) -> usize {
        let index = self.namespaces.find(namespace);
        let namespace = index.and_then(|index| self.namespaces.get(index));
        namespace.map_or(0, |namespace| namespace.adapter.room_len(room))
    }

    /// Returns the sockets that a target selects, each once.
    pub fn sockets(&mut self, namespace: &str, target: &Target) -> Vec<SocketKey> {
        self.namespaces.select(namespace, target)
    }

    /// Returns the socket of a namespace that has this id.
    pub fn find(&self, namespace: &str, id: &str) -> Option<SocketKey> {
        let namespace = self.namespaces.get(self.namespaces.find(namespace)?)?;
        namespace.adapter.member(namespace.adapter.find(id)?).copied()
    }

    /// Returns the number of sockets.
    ///
    /// Sockets that ask to connect count, and those whose end was not polled.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Returns whether there are no sockets.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the namespaces that have sockets, or something to recover, in alphabetic order.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.names()
    }

    /// Returns the Engine.IO server, to look at.
    pub const fn engine(&self) -> &ServerHub {
        &self.engine
    }
}

impl Hub {
    fn set_now(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// Puts a connection on a session that has opened.
    fn open(&mut self, session: SessionId, head: Arc<RequestHead>) {
        let Some(revision) = self.engine.session(session).map(ServerSession::revision) else {
            return;
        };
        let connection = Connection::new(self.now, Arc::clone(&self.connection), revision);
        let client = Client::new(connection, head);
        self.engine.set_layer(self.now, session, Box::new(client));
        // A client of Socket.IO 2.x has asked for `/` by having come.
        self.drain(session);
    }

    /// Finds a namespace, or makes it.
    fn open_namespace(&mut self, name: &Text) -> usize {
        let is_shared = self.has_log();
        self.namespaces.open(name, self.recovery.as_ref(), is_shared, &mut *self.entropy)
    }

    /// Takes the next event of a socket that the application takes events of.
    fn next_event(&mut self) -> Option<Output> {
        while let Some(&key) = self.readable.front() {
            if let Some(socket) = self.sockets.get_mut(key) {
                let (session, slot) = (socket.session, socket.slot);
                let event = match socket.is_paused {
                    true => None,
                    false => {
                        self.engine.with_layer(self.now, session, |client: &mut Client, cx| {
                            client.connection.take_event(slot, cx.session)
                        })
                    }
                };
                if let Some(event) = event.flatten() {
                    return Some(Output::Event(key, event));
                }
                socket.is_queued = false;
            }
            self.readable.pop_front();
        }
        if self.readable.capacity() > KEPT {
            self.readable = VecDeque::new();
        }
        None
    }

    fn drain(&mut self, session: SessionId) {
        self.with_client(session, |_, _| ());
    }

    /// Calls `f` with a client, and does what follows from that.
    fn with_client<T>(
        &mut self,
        session: SessionId,
        f: impl FnOnce(&mut Client, &mut LayerContext<'_>) -> T,
    ) -> Option<T> {
        let mut changes = core::mem::take(&mut self.changes);
        let Self { engine, sockets, .. } = self;
        let result = engine.with_layer(self.now, session, |client: &mut Client, cx| {
            let result = f(client, cx);
            client.settle(session, cx.session, sockets, &mut changes);
            result
        });
        for change in changes.drain(..) {
            self.apply(change);
        }
        if changes.capacity() <= KEPT {
            self.changes = changes;
        }
        result
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Connect(key, request) => self.connect(key, request),
            Change::Cancelled(key) => {
                if !self.cancel_return(key) {
                    self.outputs.push_back(Output::Cancelled(key));
                }
            }
            Change::Readable(key) => self.enqueue(key),
            Change::Writable(key) => self.outputs.push_back(Output::Writable(key)),
            Change::Acknowledged(_, Token::One(ask), result) => {
                self.outputs.push_back(Output::Acknowledged(ask, result));
            }
            Change::Acknowledged(key, Token::Many(group), result) => {
                if let Some(id) = self.id(key).cloned() {
                    self.group_acknowledged(group, id, result);
                }
            }
            Change::Disconnected(key, events, reason) => {
                let events = events.into_iter().map(|event| Output::Event(key, event));
                self.outputs.extend(events);
                self.end(key, reason);
            }
        }
    }

    /// Queues a socket to have its events taken.
    fn enqueue(&mut self, key: SocketKey) {
        if let Some(socket) = self.sockets.get_mut(key)
            && !socket.is_paused
            && !core::mem::replace(&mut socket.is_queued, true)
        {
            self.readable.push_back(key);
        }
    }
}

/// Places of queues that are kept when they are empty.
const KEPT: usize = 64;

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("engine", &self.engine)
            .field("sockets", &self.sockets.len())
            .field("namespaces", &self.namespaces.len())
            .finish_non_exhaustive()
    }
}
