//! A whole Engine.IO server as one value. It is for event loops of any kind, simulations, other
//! languages and wasm. C and all that can call it have it through `enginewire-ffi`.
//!
//! A [`ServerHub`] is made of the same [`wire`], [`Router`](crate::Router), [`ServerSession`] and
//! [`carrier`](crate::carrier) that the drivers use. It has no sockets: an event loop tells it what
//! happened to its connections, and does what it is asked to.
//!
//! # The loop
//!
//! ```
//! use std::time::Duration;
//!
//! use enginewire::{Event, ServerHub, Time, hub::{ConnectionId, ServerHubConfig, Output}};
//!
//! // In earnest the operating system's: session ids are secrets.
//! let entropy = |buffer: &mut [u8]| buffer.fill(7);
//! let mut hub = ServerHub::new(ServerHubConfig::default(), entropy);
//!
//! // A connection was accepted, and bytes came on it. The loop has a clock; here it stands still.
//! let now = Time::ZERO;
//! let on = hub.handle_accepted(now);
//! let mut bytes = *b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";
//! hub.handle_bytes(now, on, &mut bytes);
//!
//! // After any input or command, until there is nothing more.
//! let mut written = Vec::new();
//! while let Some(output) = hub.poll() {
//!     match output {
//!         // The application: it echoes. What has no room waits for `Event::Writable`.
//!         Output::Event(session, Event::Message(message)) => {
//!             let _ = hub.send(session, message);
//!         }
//!         Output::Event(..) | Output::Opened(..) => {}
//!         // Only if the configuration, or a layer, asks for it.
//!         Output::Ask(..) | Output::Request(..) | Output::Layer(_) | Output::HandOver(..) => {}
//!         // The sockets.
//!         Output::Write(on) => hub.transmit(now, on, |bytes| {
//!             written.extend_from_slice(bytes);
//!             bytes.len() // As many as the socket has taken.
//!         }),
//!         Output::Read(_on) => {}     // Read from it again.
//!         Output::Shutdown(_on) => {} // Shut down its sending side.
//!         Output::Close(_on) => {}    // Drop it.
//!     }
//! }
//! assert!(written.starts_with(b"HTTP/1.1 200 OK\r\n"));
//!
//! // When to call `handle_timeout`, whatever happens until then.
//! assert_eq!(hub.poll_timeout(), Some(Time::ZERO + Duration::from_secs(25)));
//! ```
//!
//! Inputs are methods and not one enum: accepting gives a name, and bytes are borrowed for a moment.
//!
//! # What the loop sees to
//!
//! - It does not read a connection while [`ServerHub::is_reading`] says no, and asks that again when
//!   [`Output::Read`] comes. Nothing breaks if it reads nevertheless; then a peer that does not read
//!   its answers, or an application that is slow, makes the hub hold more than [`Limits`] say. The same is true of
//!   [`ServerHub::max_read`] where messages may be compressed.
//! - After a [`transmit`](ServerHub::transmit) that could not write everything it calls
//!   [`ServerHub::handle_writable`] once it can go on.
//! - It calls [`ServerHub::handle_timeout`] when [`ServerHub::poll_timeout`] says, but first hands over what can be
//!   read: after a pause of the whole process the answers of peers that only seem silent wait there.
//!
//! Data that has not been written is still in the session's queue, except for what one `write`
//! takes and the responses to requests. It is counted there, and moves along when the session
//! upgrades.
//!
//! # Other nodes
//!
//! Hubs that serve the same clients need no sticky sessions. Each has a [name](crate::ServerConfig::node) of its own and those
//! of the others, [`ServerHubConfig::nodes`]. A request for a session of another is handed over to it. The loop makes the
//! connection, under a name that the hub gives, and goes on with it as with one that it has accepted:
//!
//! ```
//! # use std::{collections::HashMap, io, net::{SocketAddr, TcpStream}};
//! # use enginewire::{NodeName, ServerHub, Time, hub::{ConnectionId, Output}};
//! # fn example(
//! #     hub: &mut ServerHub, now: Time, output: Output, nodes: &HashMap<NodeName, SocketAddr>,
//! #     sockets: &mut HashMap<ConnectionId, TcpStream>,
//! # ) {
//! if let Output::HandOver(on, node, _client) = output {
//!     let address = nodes.get(&node).ok_or(io::Error::from(io::ErrorKind::NotFound));
//!     match address.and_then(TcpStream::connect) {
//!         Ok(socket) => {
//!             sockets.insert(on, socket);
//!             // Now, or once a connection that is made in the background is there.
//!             hub.handle_writable(now, on);
//!         }
//!         Err(_) => hub.handle_lost(now, on), // The client gets status 503.
//!     }
//! }
//! # }
//! ```
//!
//! The hub does not know addresses of clients. A loop whose nodes expect the
//! [PROXY protocol](crate::wire::proxy_protocol) writes that header before anything else, for the client's connection,
//! which is the last value of [`Output::HandOver`]. Fields that name a client pass as it has sent them: a node is not to count
//! a hub among its trusted proxies, unless a proxy in front of the hub writes those fields.
//!
//! [`Limits`]: crate::Limits

mod config;
mod host;
mod nodes;
mod output;
mod sessions;

#[cfg(test)]
mod tests;

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::{convert::Infallible, fmt, time::Duration};

use bytes::Buf;
use slab::Slab;

pub use self::{
    config::ServerHubConfig,
    output::{AskId, ConnectionId, Output, RequestId, SessionId},
};
use self::{
    host::{Asked, Forwarded, HubHost},
    nodes::Link,
    sessions::{Due, Sessions},
};
use crate::{
    carrier::{Connection, Follow, Layer, LayerContext, Scratch, Stream, Written},
    encoded::IntoEncoded,
    entropy::Entropy,
    exchange::Response,
    router::Refusal,
    session::{CloseReason, SendError, ServerSession, TrySendError, WebSocketEnd},
    time::Time,
    wire,
};

/// A whole Engine.IO server.
///
/// Its methods come in the four families of [`ServerSession`]: *network inputs*, `handle_*`, and all of them
/// infallible; *application commands*; *outputs*, [`poll`](Self::poll), [`transmit`](Self::transmit) and
/// [`poll_timeout`](Self::poll_timeout); and *getters*. `now` must never go backwards. The same inputs
/// give the same outputs, byte for byte.
///
/// **Cost.** Nothing is stored for an idle connection but its state, see the benchmark `peers`, and
/// small messages on WebSockets cost no allocation. All methods but [`close`](Self::close) and
/// [`abort`](Self::abort) take time for what they are asked, not for what else there is.
///
/// **Panics.** None, but those of the functions that it is given.
pub struct ServerHub {
    sessions: Sessions,
    connections: Slab<Slot>,
    max_connections: usize,
    /// Connections that the loop is to drive. Some may be closed.
    due: VecDeque<ConnectionId>,
    scratch: Scratch,
}

/// One connection.
struct Slot {
    serial: u64,
    role: Role,
    /// It was not to be read when it was last driven.
    stopped: bool,
    /// It stands in the queue of the connections that the loop is to drive.
    due: bool,
    /// The loop was told to drive it, and has not done so since.
    owed: bool,
}

/// The peer of a connection.
#[expect(clippy::large_enum_variant, reason = "nearly all connections are of clients")]
enum Role {
    Client(HubConnection),
    /// Another node. Its [`Link`](nodes::Link) is that of this client.
    Node(ConnectionId),
}

impl Slot {
    const fn new(serial: u64, role: Role) -> Self {
        Self { serial, role, stopped: false, due: false, owed: false }
    }

    /// Returns the connection of a client.
    const fn connection(&mut self) -> Option<&mut HubConnection> {
        match &mut self.role {
            Role::Client(connection) => Some(connection),
            Role::Node(_) => None,
        }
    }
}

/// The sockets of an event loop that hands out bytes with a function.
struct Write<F> {
    write: F,
    /// It took less than it was given.
    full: bool,
}

impl<F: FnMut(&[u8]) -> usize> Stream for Write<F> {
    type Error = Infallible;

    fn write(&mut self, output: &wire::Output) -> Result<Written, Infallible> {
        let chunk = output.chunk();
        let written = if self.full { 0 } else { (self.write)(chunk).min(chunk.len()) };
        self.full |= written < chunk.len();
        Ok(if written == 0 { Written::Blocked } else { Written::Some(written) })
    }
}

impl ServerHub {
    /// A server without connections.
    ///
    /// Session ids are drawn from `entropy`, which is not passed to single calls because nearly each of
    /// them may open a session: behind a poll, which anything can answer, may wait the request of
    /// another.
    pub fn new(config: ServerHubConfig, entropy: impl Entropy + Send + 'static) -> Self {
        Self {
            max_connections: config.max_connections,
            sessions: Sessions::new(config, Box::new(entropy)),
            connections: Slab::new(),
            due: VecDeque::new(),
            scratch: Scratch::new(),
        }
    }
}

/// Network inputs.
impl ServerHub {
    /// A connection was accepted.
    pub fn handle_accepted(&mut self, now: Time) -> ConnectionId {
        let serial = self.sessions.fresh_id();
        let connection = Connection::new(now, Arc::clone(&self.sessions.http));
        let slot = Slot::new(serial, Role::Client(connection));
        let on = ConnectionId { index: self.connections.insert(slot), serial };
        self.conclude(now, on);
        on
    }

    /// Bytes came. They are changed: payloads are unmasked where they lie.
    #[inline]
    pub fn handle_bytes(&mut self, now: Time, on: ConnectionId, bytes: &mut [u8]) {
        if let Some(client) = self.client_of(on) {
            return self.link_input(now, client, |link| link.handle_bytes(bytes));
        }
        self.input(now, on, |connection, host, scratch| {
            connection.receive(now, host, scratch, bytes);
        });
    }

    /// The peer has closed its side: there is nothing more to read.
    pub fn handle_eof(&mut self, now: Time, on: ConnectionId) {
        if let Some(client) = self.client_of(on) {
            return self.link_input(now, client, Link::handle_eof);
        }
        self.input(now, on, |connection, host, scratch| connection.receive_eof(now, host, scratch));
    }

    /// The connection has failed, or the event loop has closed it. The name is of no more use, and no
    /// [`Output::Close`] follows, unless it has been on its way.
    pub fn handle_lost(&mut self, now: Time, on: ConnectionId) {
        if find(&mut self.connections, on).is_some() {
            match self.connections.remove(on.index).role {
                Role::Client(connection) => {
                    self.lose(now, on, connection, WebSocketEnd::Failed);
                }
                Role::Node(client) => self.link_input(now, client, Link::handle_lost),
            }
        }
    }

    /// The connection can be written to again, or one to another node is there. Also makes up for a [`transmit`](Self::transmit) that
    /// was asked for and did not come.
    pub fn handle_writable(&mut self, now: Time, on: ConnectionId) {
        let Some(slot) = find(&mut self.connections, on) else { return };
        match &mut slot.role {
            Role::Client(connection) => {
                if connection.handle_writable() || slot.owed {
                    self.wake(on);
                }
            }
            &mut Role::Node(client) => self.link_input(now, client, Link::handle_writable),
        }
    }

    /// Sets the wall clock: at `now`, `since_1970` has passed since 1970-01-01T00:00:00Z.
    ///
    /// Responses have a `Date` from then on. To be called again from time to time, because a wall clock can be
    /// adjusted.
    pub fn set_wall_clock(&mut self, now: Time, since_1970: Duration) {
        self.sessions.http.wall_clock.set(now, since_1970);
    }

    /// The clock has moved. Calling it before the deadline of [`poll_timeout`](Self::poll_timeout)
    /// does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(due) = self.sessions.deadlines.pop(now) {
            match due {
                Due::Session(id) => self.sessions.handle_timeout(now, id),
                Due::Connection(on) => {
                    let slot = find(&mut self.connections, on);
                    let Some(connection) = slot.and_then(Slot::connection) else { continue };
                    if connection.handle_timeout(now, &self.sessions.http) {
                        self.wake(on);
                    } else {
                        self.rearm(on);
                    }
                }
            }
        }
    }
}

/// Application commands.
impl ServerHub {
    /// Queues a message for a session. For many sessions there is [`broadcast`](Self::broadcast).
    ///
    /// # Errors
    ///
    /// The errors of [`ServerSession::send`]. A session that no longer exists counts as closed.
    /// Every error returns the message.
    #[inline]
    pub fn send(&mut self, to: SessionId, message: impl IntoEncoded) -> Result<(), TrySendError> {
        self.sessions.send(to, message.into_encoded())
    }

    /// Queues a message for several sessions. It is encoded once.
    ///
    /// Returns how many took it, and how many did not: [`Event::Writable`](crate::Event::Writable) follows for a
    /// session without room.
    pub fn broadcast(
        &mut self,
        to: impl IntoIterator<Item = SessionId>,
        message: impl IntoEncoded,
    ) -> Broadcast {
        let message = message.into_encoded().into_shared();
        let mut broadcast = Broadcast::default();
        for session in to {
            broadcast.count(self.sessions.send(session, message.clone()).map_err(SendError::from));
        }
        broadcast
    }

    /// Closes a session once everything queued has been let out, see [`ServerSession::close`].
    pub fn close_session(&mut self, now: Time, session: SessionId) {
        self.sessions.change(session, |session| session.close(now));
    }

    /// Closes a session as [`close_session`](Self::close_session) does, for a reason that
    /// [`Event::Closed`](crate::Event::Closed) then has as [`CloseReason::Application`].
    pub fn close_session_with(&mut self, now: Time, session: SessionId, reason: &'static str) {
        let reason = CloseReason::Application(reason);
        self.sessions.change(session, |session| session.close_with(now, reason));
    }

    /// Closes a session now. What is queued is lost.
    pub fn abort_session(&mut self, session: SessionId) {
        self.sessions.change(session, ServerSession::abort);
    }

    /// Puts a protocol on top of a session, best when [`Output::Opened`] comes.
    ///
    /// Events of the session then go to `layer`, and [`Output::Layer`] tells when it has something. Returns false
    /// if the session is closed.
    pub fn set_layer(&mut self, now: Time, session: SessionId, layer: Box<dyn Layer>) -> bool {
        self.sessions.set_layer(now, session, layer)
    }

    /// Calls `f` with the layer of a session. `None` if it has none of that type, or is closed.
    pub fn with_layer<L: Layer, T>(
        &mut self,
        now: Time,
        session: SessionId,
        f: impl FnOnce(&mut L, &mut LayerContext<'_>) -> T,
    ) -> Option<T> {
        self.sessions.with_layer(now, session, f)
    }

    /// Takes no messages of this session for now. An application may do so because it has no room
    /// for its replies. [`poll`](Self::poll) passes the session by. Once
    /// [`Limits::max_unread`](crate::Limits::max_unread) bytes have come, the peer is slowed down.
    /// [`Event::Writable`](crate::Event::Writable) is still reported. When the session is over, all
    /// its events are reported.
    ///
    /// A peer that is not read is excused for being silent, so a session that is never resumed may outlive
    /// its peer.
    pub fn pause(&mut self, session: SessionId) {
        self.sessions.set_paused(session, true);
    }

    /// Takes messages of this session again.
    pub fn resume(&mut self, session: SessionId) {
        self.sessions.set_paused(session, false);
    }

    /// Lets the session be opened that [`Output::Ask`] was about. The first answer counts: false if
    /// there was one, or nobody waits for one, because the connection is gone, say.
    pub fn allow(&mut self, ask: AskId) -> bool {
        self.answer(ask, Ok(()))
    }

    /// Refuses to open the session that [`Output::Ask`] was about. The response has status 403 and
    /// this message, or is as the [`Refusal`] says. Returns false as [`allow`](Self::allow) does.
    pub fn refuse(&mut self, ask: AskId, refusal: impl Into<Refusal>) -> bool {
        self.answer(ask, Err(refusal.into()))
    }

    /// Responds to the request of an [`Output::Request`]. The first response counts: false if there was one, or
    /// the connection is lost.
    pub fn respond(&mut self, request: RequestId, response: Response) -> bool {
        let slot = find(&mut self.connections, request.on);
        let forwarded = slot.and_then(Slot::connection).and_then(Connection::forwarded);
        match forwarded {
            Some(Forwarded::Application { id, response: free @ None }) if *id == request => {
                *free = Some(response);
                self.wake(request.on);
                true
            }
            _ => false,
        }
    }

    /// Ends the server: closes every session and opens no new ones. Each session is closed as by
    /// [`close_session`](Self::close_session). A connection is closed once it has nothing more to
    /// do and all sessions have gone. It is kept until then, because clients that poll fetch what
    /// is queued with requests of their own. The server has ended when
    /// [`is_finished`](Self::is_finished) says so.
    ///
    /// The event loop goes on accepting connections if those clients may use new ones. It calls
    /// [`abort`](Self::abort) when it has waited for long enough.
    pub fn close(&mut self, now: Time) {
        self.sessions.closing = true;
        // Once the last session has closed, connections are driven; that may be now.
        self.sessions.deserted = self.sessions.living() == 0;
        self.sessions.change_all(|session| session.close(now));
    }

    /// Ends the server now: what is queued is lost, and every connection closed.
    pub fn abort(&mut self, now: Time) {
        self.sessions.closing = true;
        self.sessions.change_all(ServerSession::abort);
        for on in self.all_connections() {
            self.end(now, on);
        }
    }
}

/// Outputs.
impl ServerHub {
    /// Returns the next task for the event loop, or the next event for the application.
    #[inline]
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.sessions.outputs.pop_front() {
            if let Output::Close(on) = output {
                self.connections.try_remove(on.index);
            }
            return Some(output);
        }
        // What messages are answered with, all of those that have come, is written together.
        if let Some(event) = self.sessions.next_event() {
            return Some(event);
        }
        self.gather_woken();
        loop {
            let on = self.due.pop_front()?;
            if let Some(slot) = find(&mut self.connections, on) {
                slot.due = false;
                slot.owed = true;
                return Some(Output::Write(on));
            }
        }
    }

    /// Looks after a connection: does what is due, and writes what is queued. The bytes are passed
    /// to `write` piece by piece, until all are written or `write` takes fewer than it was given.
    /// In the latter case the connection counts as blocked. Then nothing is written before
    /// [`handle_writable`](Self::handle_writable).
    ///
    /// `write` gives back how many bytes it has taken; 0 if it failed, in which case call
    /// [`handle_lost`](Self::handle_lost) next.
    pub fn transmit(&mut self, now: Time, on: ConnectionId, write: impl FnMut(&[u8]) -> usize) {
        let Self { sessions, connections, scratch, .. } = self;
        let Some(slot) = find(connections, on) else { return };
        slot.owed = false;
        let mut stream = Write { write, full: false };
        let written = match &mut slot.role {
            Role::Client(connection) => {
                let mut host = HubHost { sessions, on };
                let written = connection.transmit(now, &mut host, scratch, &mut stream);
                written.map(|()| self.conclude(now, on))
            }
            &mut Role::Node(client) => {
                let link = sessions.links.of(client);
                let written = link.map_or(Ok(()), |link| link.transmit(&mut stream));
                // There is room for more.
                written.map(|()| self.link_input(now, client, |_| {}))
            }
        };
        match written {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Changes with any other call. May be too
    /// early, never too late: deadlines move away with nearly every packet, which is noticed when
    /// they come up.
    pub fn poll_timeout(&mut self) -> Option<Time> {
        self.sessions.deadlines.first()
    }
}

/// Getters.
impl ServerHub {
    /// Whether to read from this connection.
    #[inline]
    pub fn is_reading(&self, on: ConnectionId) -> bool {
        let slot = self.connections.get(on.index).filter(|slot| slot.serial == on.serial);
        slot.is_some_and(|slot| match &slot.role {
            Role::Client(connection) => connection.is_reading(),
            Role::Node(client) => self.sessions.links.get(*client).is_some_and(Link::is_reading),
        })
    }

    /// Returns the limit on the bytes of one [`handle_bytes`](Self::handle_bytes) of a connection.
    ///
    /// 4 KiB where messages may be compressed, see [`PerMessageDeflate`](crate::PerMessageDeflate), and no limit elsewhere.
    pub fn max_read(&self, on: ConnectionId) -> usize {
        match self.connections.get(on.index) {
            Some(Slot { serial, role: Role::Client(connection), .. }) if *serial == on.serial => {
                connection.max_read()
            }
            _ => usize::MAX,
        }
    }

    /// Returns whether to accept connections: fewer are open than
    /// [`ServerHubConfig::max_connections`]. Nothing breaks if the loop does nevertheless.
    pub fn is_accepting(&self) -> bool {
        self.connections.len() < self.max_connections
    }

    /// A session, to look at. `None` once it is over and [`Event::Closed`](crate::Event::Closed) has
    /// been taken.
    pub fn session(&self, session: SessionId) -> Option<&ServerSession> {
        self.sessions.session(session)
    }

    /// Number of sessions that are open, closing, or have events that were not taken.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Iterates over the sessions in the order of their [`index`](SessionId::index). They are
    /// open, closing, or have events that were not taken.
    pub fn session_ids(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.ids()
    }

    /// Number of connections that are open, as far as the event loop knows.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Whether the hub was closed, and everything has come to its end.
    pub fn is_finished(&self) -> bool {
        self.sessions.closing && self.sessions() == 0 && self.connections.is_empty()
    }
}

impl ServerHub {
    fn answer(&mut self, ask: AskId, verdict: Result<(), Refusal>) -> bool {
        let slot = find(&mut self.connections, ask.on);
        let waits = |asked: &&mut Asked| asked.ask == Some(ask) && asked.verdict.is_none();
        let asked = slot.and_then(Slot::connection).and_then(Connection::asked);
        let Some(asked) = asked.filter(waits) else { return false };
        asked.verdict = Some(verdict);
        self.wake(ask.on);
        true
    }

    /// Hands an input to a connection, and gives its session what follows.
    #[inline]
    fn input(
        &mut self,
        now: Time,
        on: ConnectionId,
        input: impl FnOnce(&mut HubConnection, &mut HubHost<'_>, &mut Scratch),
    ) {
        let Self { sessions, connections, scratch, .. } = self;
        if let Some(connection) = find(connections, on).and_then(Slot::connection) {
            let mut host = HubHost { sessions, on };
            input(connection, &mut host, scratch);
            // Frames are taken when the loop writes, behind what the application says to these messages.
            connection.exchange(now, &mut host, scratch, false);
            self.conclude(now, on);
        }
    }

    fn wake(&mut self, on: ConnectionId) {
        if let Some(slot) = find(&mut self.connections, on) {
            wake(slot, &mut self.due, on);
        }
    }

    /// Has those looked after that sessions want something of.
    #[inline]
    fn gather_woken(&mut self) {
        while let Some(on) = self.sessions.woken.pop_front() {
            self.wake(on);
        }
        if core::mem::take(&mut self.sessions.deserted) {
            for on in self.all_connections() {
                self.wake(on);
            }
        }
    }

    /// Does what follows from looking at a connection.
    fn conclude(&mut self, now: Time, on: ConnectionId) {
        self.sessions.settle_touched();
        self.gather_woken();
        let Self { sessions, connections, scratch, .. } = self;
        let Some(slot) = find(connections, on) else { return };
        // A client that polls comes for what is queued with a request that is still to be sent.
        let running = !sessions.closing || sessions.living() > 0;
        let Role::Client(connection) = &mut slot.role else { return };
        let follow = connection.conclude(now, running, &sessions.http, scratch);
        let stopped = !connection.is_reading();
        match follow {
            Follow::Nothing => {}
            Follow::Write => wake(slot, &mut self.due, on),
            Follow::Shutdown => sessions.outputs.push_back(Output::Shutdown(on)),
            Follow::End => return self.end(now, on),
        }
        if core::mem::replace(&mut slot.stopped, stopped) && !stopped {
            sessions.outputs.push_back(Output::Read(on));
        }
        self.rearm(on);
        if !self.sessions.links.is_empty() {
            self.follow_links(now, on);
        }
    }

    fn rearm(&mut self, on: ConnectionId) {
        let Self { sessions, connections, .. } = self;
        let Some(connection) = find(connections, on).and_then(Slot::connection) else { return };
        if let Some(next) = connection.next_alarm(&sessions.http) {
            sessions.deadlines.rearm(&mut connection.alarm, next, || Due::Connection(on));
        }
    }

    /// Asks the loop to close a connection. Its place is kept until the loop knows.
    fn end(&mut self, now: Time, on: ConnectionId) {
        let Some(slot) = find(&mut self.connections, on) else { return };
        slot.serial = GONE;
        match core::mem::replace(&mut slot.role, Role::Client(Connection::ended(now))) {
            Role::Client(connection) => self.lose(now, on, connection, WebSocketEnd::Closed),
            Role::Node(client) => {
                if let Some(link) = self.sessions.links.of(client) {
                    link.handle_lost();
                }
            }
        }
        self.sessions.outputs.push_back(Output::Close(on));
    }

    fn lose(
        &mut self,
        now: Time,
        on: ConnectionId,
        mut connection: HubConnection,
        end: WebSocketEnd,
    ) {
        let Self { sessions, scratch, .. } = self;
        sessions.deadlines.rearm(&mut connection.alarm, None, || Due::Connection(on));
        connection.lose(now, end, &mut HubHost { sessions, on }, scratch);
        sessions.settle_touched();
        if !self.sessions.links.is_empty() {
            self.unlink(now, on);
        }
    }

    fn all_connections(&self) -> Vec<ConnectionId> {
        let id = |(index, slot): (usize, &Slot)| ConnectionId { index, serial: slot.serial };
        self.connections.iter().map(id).filter(|on| on.serial != GONE).collect()
    }
}

type HubConnection = Connection<SessionId, Asked, Forwarded>;

/// Numbers of sessions a broadcast went to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broadcast {
    /// Sessions that took the message.
    pub sent: usize,
    /// Sessions without room for it.
    pub full: usize,
    /// Sessions that are closed.
    pub closed: usize,
}

impl Broadcast {
    /// Counts the result of one session.
    pub const fn count(&mut self, result: Result<(), SendError>) {
        match result {
            Ok(()) => self.sent += 1,
            Err(SendError::Full { .. }) => self.full += 1,
            Err(SendError::Closed) => self.closed += 1,
        }
    }
}

fn wake(slot: &mut Slot, due: &mut VecDeque<ConnectionId>, on: ConnectionId) {
    if !core::mem::replace(&mut slot.due, true) {
        due.push_back(on);
    }
}

#[inline]
fn find(connections: &mut Slab<Slot>, on: ConnectionId) -> Option<&mut Slot> {
    connections.get_mut(on.index).filter(|slot| slot.serial == on.serial)
}

/// The serial of a connection that the loop is to close. Names begin with 1.
const GONE: u64 = 0;

impl fmt::Debug for ServerHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHub")
            .field("sessions", &self.sessions())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
