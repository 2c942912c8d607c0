//! A whole client as one value: bytes of its connections in, bytes out.
//!
//! [`ClientSession`] asks for requests and WebSockets; here they become connections, which is all that
//! an event loop has to know of. `connection` is one such connection.

mod compressing;
mod connection;
mod way;

#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

pub use self::compressing::Compressing;
use self::connection::{Connection, Outcome};
use crate::{
    carrier::GracePeriod,
    channel::{CloseReason, Event, ExchangeId, ProxyFault, TransportFault, TrySendError},
    client::{ClientAction, ClientConfig, ClientSession, ClientTimerKind, is_same_origin},
    encoded::IntoEncoded,
    entropy::Entropy,
    exchange::Request,
    time::Time,
    url::Url,
    wire::{Arena, Input, http},
};

/// One TCP connection of a client. A name that the hub gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientConnectionId(pub u64);

/// Action that [`ClientHub::poll_action`] asks of an event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientHubAction {
    /// Connect to [`ClientHub::address`], under this name. The outcome goes to
    /// [`ClientHub::handle_connected`] or [`ClientHub::handle_refused`].
    ///
    /// Encrypt if the address is secure ([`Url::is_secure`]).
    Connect(ClientConnectionId),
    /// Encrypt this connection, which a proxy has led to the server at [`ClientHub::address`].
    ///
    /// The outcome goes to [`ClientHub::handle_connected`] or [`ClientHub::handle_refused`]. Until then the connection
    /// is neither read nor written for the hub. Only asked for with [`ClientConfig::proxies`].
    Encrypt(ClientConnectionId),
    /// There is something to write: call [`ClientHub::transmit`].
    Write(ClientConnectionId),
    /// Close this connection, or stop opening it. The hub has forgotten the name.
    Close(ClientConnectionId),
}

/// One Engine.IO session with all its connections, for event loops that have nothing but sockets.
///
/// The loop opens and closes connections as it is told, hands over what it reads, writes what it is
/// given, and calls [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout). There are at most three connections at a time that carry the
/// session, and a few that have and are kept for the next request.
///
/// ```
/// use std::sync::Arc;
///
/// use enginewire::{ClientConfig, ClientHub, Event, ClientHubAction, Time, Url};
///
/// let url = Url::parse("http://localhost:3000")?;
/// let config = Arc::new(ClientConfig::new(&url));
/// // In earnest the operating system's: it masks what goes over a WebSocket.
/// let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
/// let mut hub = ClientHub::new(Time::ZERO, &url, config, false, &mut entropy);
/// hub.send("hello")?;
///
/// let Some(ClientHubAction::Connect(connection)) = hub.poll_action(Time::ZERO, &mut entropy) else {
///     panic!("nothing can be done without a connection");
/// };
/// // The socket is connected, and takes whatever it is given.
/// assert!(hub.handle_connected(Time::ZERO, connection));
/// assert_eq!(hub.poll_action(Time::ZERO, &mut entropy), Some(ClientHubAction::Write(connection)));
/// let mut written = Vec::new();
/// hub.transmit(Time::ZERO, connection, |bytes| {
///     written.extend_from_slice(bytes);
///     bytes.len()
/// });
/// assert!(written.starts_with(b"GET /engine.io/?EIO=4&transport=polling&t="));
///
/// // What was read from the socket.
/// let mut read = *b"HTTP/1.1 200 OK\r\nContent-Length: 67\r\n\r\n\
///     0{\"sid\":\"a\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000}";
/// hub.handle_bytes(Time::ZERO, connection, &mut read);
/// assert_eq!(hub.poll_event(), Some(Event::Opened));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ClientHub {
    session: ClientSession,
    http: Arc<http::ClientConfig>,
    /// Limits of a WebSocket: bytes and frames of a message.
    max_message: usize,
    max_fragments: usize,
    close_timeout: Duration,
    linger: Duration,
    /// When the server must have taken what was queued, once the application has closed the session.
    close_by: Option<Time>,
    connections: Vec<Connection>,
    closed: VecDeque<ClientConnectionId>,
    opened: VecDeque<ClientConnectionId>,
    arena: Arena,
    next_id: u64,
    grace: GracePeriod,
}

/// Network inputs. A name that the hub has forgotten is ignored.
impl ClientHub {
    /// Begins to open a session with the server at `url`. The other arguments are those of
    /// [`ClientSession::new`].
    pub fn new(
        now: Time,
        url: &Url,
        config: Arc<ClientConfig>,
        websocket_worked: bool,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let limits = &config.limits;
        let (max_message, max_fragments) = (limits.max_payload, limits.max_fragments);
        Self {
            http: Arc::new(
                http::ClientConfig::new(limits).with_compression(config.http_compression()),
            ),
            max_message,
            max_fragments,
            close_timeout: config.close_timeout,
            linger: config.linger,
            close_by: None,
            connections: Vec::new(),
            closed: VecDeque::new(),
            opened: VecDeque::new(),
            arena: Arena::new(),
            next_id: 0,
            grace: GracePeriod::new(),
            session: ClientSession::at(now, url, config, websocket_worked, entropy),
        }
    }

    /// A connection that was asked for is there, or encrypted. False if it is not wanted any more and can be closed.
    pub fn handle_connected(&mut self, _now: Time, id: ClientConnectionId) -> bool {
        let connection = self.connection(id);
        let wanted = connection.is_some();
        if let Some(connection) = connection {
            connection.connected();
        }
        wanted
    }

    /// A connection that was asked for is not to be had, or cannot be encrypted. The name is forgotten.
    pub fn handle_refused(&mut self, now: Time, id: ClientConnectionId) {
        self.forget(now, id, TransportFault::Unreachable);
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Time, id: ClientConnectionId, bytes: &mut [u8]) {
        let Some(at) = self.index(id) else { return };
        let mut input = Input::new(bytes);
        loop {
            let (carries, before) = (self.connections[at].carries(), input.len());
            let outcome = self.connections[at].handle_bytes(now, &mut input, &mut self.arena);
            if carries {
                self.session.handle_progress(now, before - input.len());
            }
            let Some(outcome) = outcome else { break };
            self.take(now, at, outcome);
        }
        // Also if nothing came of it: what nobody has asked for ends a connection that was kept.
        if self.connections[at].is_over() {
            self.close_connection(at);
        }
    }

    /// The server has closed its side of the connection, which can be closed.
    pub fn handle_eof(&mut self, now: Time, id: ClientConnectionId) {
        let Some(at) = self.index(id) else { return };
        if let Some(outcome) = self.connections[at].handle_eof(now) {
            self.take(now, at, outcome);
        }
        self.close_connection(at);
    }

    /// The connection has failed. The name is forgotten.
    pub fn handle_lost(&mut self, now: Time, id: ClientConnectionId) {
        self.forget(now, id, TransportFault::ConnectionLost);
    }

    /// Handles a connection that did not take the last `left` bytes handed out.
    ///
    /// For loops that keep those bytes.
    /// Nothing more is handed out until [`handle_writable`](Self::handle_writable), and the connection
    /// does not count as written to. Call it again when there are fewer, which tells that the server
    /// reads. A loop whose writes go straight to the socket need not call it: [`transmit`](Self::transmit)
    /// sees that less was taken than given.
    pub fn handle_blocked(&mut self, now: Time, id: ClientConnectionId, left: usize) {
        if let Some(connection) = self.connection(id) {
            let progress = connection.block(left);
            self.session.handle_progress(now, progress);
        }
    }

    /// Handles a connection that takes bytes again: none are left of those handed out.
    pub fn handle_writable(&mut self, now: Time, id: ClientConnectionId) {
        let Some(at) = self.index(id) else { return };
        let progress = self.connections[at].unblock(now, self.linger);
        self.session.handle_progress(now, progress);
        if self.connections[at].is_over() {
            self.close_connection(at);
        }
    }

    /// The clock has moved. Calling it before the deadline does nothing.
    ///
    /// A server whose deadline is handled late has a grace period, because its bytes may lie unread in a socket.
    pub fn handle_timeout(&mut self, now: Time) {
        self.give_grace(now);
        self.blame_proxy(now);
        self.session.handle_timeout(now);
        for at in (0..self.connections.len()).rev() {
            if self.connections[at].deadline().is_some_and(|deadline| deadline <= now) {
                self.close_connection(at);
            }
        }
    }
}

impl ClientHub {
    /// Does what follows from writing to a connection.
    fn transmitted(&mut self, now: Time, at: usize, progress: usize) {
        self.session.handle_progress(now, progress);
        if self.connections[at].is_over() {
            self.close_connection(at);
        }
    }

    /// Has a session that has not opened in time fail by its proxy, if that is what it waits for.
    fn blame_proxy(&mut self, now: Time) {
        let timer = self.session.poll_timeout();
        if !matches!(timer, Some((due, ClientTimerKind::Open)) if due <= now) {
            return;
        }
        for at in (0..self.connections.len()).rev() {
            if self.connections[at].awaits_proxy() {
                if let Some(outcome) = self.connections[at].lose(now, ProxyFault::Timeout.into()) {
                    self.take(now, at, outcome);
                }
                self.close_connection(at);
            }
        }
    }
}

/// For drivers that may not have been listening, as after a pause of the process.
impl ClientHub {
    fn give_grace(&mut self, now: Time) {
        if let Some(due) = self.peer_deadline().filter(|&due| due <= now)
            && let Some(until) = self.grace.extend(due, now)
        {
            self.extend_deadlines(until);
        }
    }

    /// Extends the deadline of a close before the session is over with what is taken of it, if the process was late.
    fn keep_close(&mut self, now: Time) {
        if self.close_by.is_some_and(|due| due <= now) {
            self.give_grace(now);
        }
    }

    /// When something that the server has to do is due.
    pub fn peer_deadline(&self) -> Option<Time> {
        self.connections
            .iter()
            .filter_map(Connection::peer_deadline)
            .chain(self.session.peer_deadline())
            .min()
    }

    /// As [`ClientSession::extend_deadlines`].
    pub fn extend_deadlines(&mut self, until: Time) {
        self.session.extend_deadlines(until);
        self.close_by = self.close_by.map(|close_by| close_by.max(until));
        self.connections.iter_mut().for_each(|connection| connection.extend_deadlines(until));
    }
}

/// Application commands.
impl ClientHub {
    /// As [`ClientSession::send`].
    ///
    /// # Errors
    ///
    /// [`SendError::Full`](crate::SendError::Full) or [`SendError::Closed`](crate::SendError::Closed),
    /// and the message.
    pub fn send(&mut self, message: impl IntoEncoded) -> Result<(), TrySendError> {
        self.session.send(message)
    }

    /// Closes the session once its queue has been drained, see [`ClientSession::close`].
    ///
    /// Go on until [`is_finished`](Self::is_finished).
    pub fn close(&mut self, now: Time) {
        self.close_with(now, CloseReason::ForcedClose);
    }

    /// Closes the session as [`close`](Self::close) does, for a reason of the application's.
    pub fn close_with(&mut self, now: Time, reason: CloseReason) {
        if self.session.is_open() {
            // The time for the close begins now, whatever was missed before.
            self.give_grace(now);
            self.close_by = Some(now + self.close_timeout);
        }
        self.session.close_with(now, reason);
    }

    /// As [`ClientSession::abort`]. All connections can be closed as they are.
    pub fn abort(&mut self) {
        self.abort_with(CloseReason::ForcedClose);
    }

    /// As [`ClientSession::abort_with`].
    pub fn abort_with(&mut self, reason: CloseReason) {
        self.close_by = None;
        self.session.abort_with(reason);
    }

    /// As [`ClientSession::release`].
    pub fn release(&mut self, cost: usize) {
        self.session.release(cost);
    }

    /// As [`ClientSession::hold`].
    pub fn hold(&mut self, cost: usize) {
        self.session.hold(cost);
    }
}

/// Outputs.
impl ClientHub {
    /// Returns the next action on connections.
    pub fn poll_action(&mut self, now: Time, entropy: &mut dyn Entropy) -> Option<ClientHubAction> {
        self.keep_close(now);
        while let Some(action) = self.session.poll_action(now) {
            self.act(now, action, entropy);
        }
        if self.session.is_closed() {
            // A WebSocket has its closing handshake still, nothing else has a purpose.
            for at in (0..self.connections.len()).rev() {
                if self.connections[at].is_http() {
                    self.close_connection(at);
                }
            }
        }
        if let Some(id) = self.closed.pop_front() {
            return Some(ClientHubAction::Close(id));
        }
        if let Some(id) = self.opened.pop_front() {
            return Some(ClientHubAction::Connect(id));
        }
        let mut connections = self.connections.iter_mut();
        if let Some(connection) = connections.find(|connection| connection.wants_encryption()) {
            return Some(ClientHubAction::Encrypt(connection.announce_encryption()));
        }
        let session = &self.session;
        let connection =
            self.connections.iter_mut().find(|connection| connection.wants_write(session))?;
        Some(ClientHubAction::Write(connection.announce()))
    }

    /// Hands out the bytes that are to be written to a connection.
    ///
    /// `write` takes from the front of what it is given and says how much. If that is less than all,
    /// the connection counts as blocked until [`handle_writable`](Self::handle_writable): messages
    /// then stay in the queue of the session, where they are bounded and count. At most 64 KiB are
    /// handed out at a time; if there is more, [`ClientHubAction::Write`] follows.
    ///
    /// # Panics
    ///
    /// If `write` claims to have taken more than it was given.
    pub fn transmit(
        &mut self,
        now: Time,
        id: ClientConnectionId,
        write: impl FnMut(&[u8]) -> usize,
    ) {
        self.keep_close(now);
        let Some(at) = self.index(id) else { return };
        let Self { connections, session, arena, linger, .. } = self;
        let source = Some((session, arena));
        let progress = connections[at].transmit(now, *linger, source, write);
        self.transmitted(now, at, progress);
    }

    /// Takes messages for a connection from the queue, and leaves compressing to the caller.
    ///
    /// For loops that share the hub with other threads, which need not wait for that. [`put_back`](Self::put_back)
    /// follows. Returns `None` if nothing is to be compressed: the messages wait for [`flush`](Self::flush) then.
    pub fn pull(&mut self, id: ClientConnectionId) -> Option<Compressing> {
        let at = self.index(id)?;
        self.connections[at].pull(&mut self.session)
    }

    /// Takes back what [`pull`](Self::pull) has given. [`flush`](Self::flush) follows.
    pub fn put_back(&mut self, id: ClientConnectionId, compressing: Compressing) {
        if let Some(connection) = self.connection(id) {
            connection.put_back(compressing);
        }
    }

    /// Hands out the bytes of messages that were pulled, and other bytes for a connection.
    ///
    /// As [`transmit`](Self::transmit), but takes nothing from the queue.
    ///
    /// # Panics
    ///
    /// If `write` claims to have taken more than it was given.
    pub fn flush(&mut self, now: Time, id: ClientConnectionId, write: impl FnMut(&[u8]) -> usize) {
        let Some(at) = self.index(id) else { return };
        let progress = self.connections[at].transmit(now, self.linger, None, write);
        self.transmitted(now, at, progress);
    }

    /// Returns the next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// As [`ClientSession::take_event`].
    pub fn take_event(&mut self) -> Option<Event> {
        self.session.take_event()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Changes with any other call.
    pub fn poll_timeout(&self) -> Option<Time> {
        let session = self.session.poll_timeout().map(|(deadline, _)| deadline);
        self.connections.iter().filter_map(Connection::deadline).chain(session).min()
    }
}

/// Getters.
impl ClientHub {
    /// The session, to be looked at.
    pub const fn session(&self) -> &ClientSession {
        &self.session
    }

    /// Address to which a connection goes: host, port, and whether to encrypt ([`Url::is_secure`]).
    ///
    /// Not always the one that the hub was made for, as a server may redirect. It is that of the
    /// [proxy](ClientConfig::proxies), if there is one, until its tunnel is open. `None` if the hub has forgotten the
    /// name.
    pub fn address(&self, id: ClientConnectionId) -> Option<&Url> {
        self.index(id).map(|at| self.connections[at].address())
    }

    /// Returns whether a connection should be read.
    ///
    /// Not while the application has too much to catch up with, or the server does not read the replies that it
    /// causes.
    pub fn is_reading(&self, id: ClientConnectionId) -> bool {
        self.index(id).is_some_and(|at| self.connections[at].is_reading(&self.session))
    }

    /// Returns the limit on the bytes of one [`handle_bytes`](Self::handle_bytes) of a connection.
    ///
    /// 4 KiB where messages may be compressed, see [`PerMessageDeflate`](crate::PerMessageDeflate), and no limit elsewhere.
    pub fn max_read(&self, id: ClientConnectionId) -> usize {
        self.index(id).map_or(usize::MAX, |at| self.connections[at].max_read())
    }

    /// Returns whether a connection is a WebSocket that may become the session's transport.
    ///
    /// The session acts best on a response of polling if what came before it on such a connection has been
    /// read: of polls that it begins meanwhile, one more has to end before the upgrade.
    pub fn is_probing(&self, id: ClientConnectionId) -> bool {
        self.index(id).is_some_and(|at| self.connections[at].is_probing(&self.session))
    }

    /// Whether [`poll_action`](Self::poll_action) may have something.
    pub fn has_actions(&self) -> bool {
        let over = self.session.is_closed();
        let wants_something = |connection: &Connection| {
            connection.wants_write(&self.session)
                || connection.wants_encryption()
                || (over && connection.is_http())
        };
        self.session.has_actions()
            || !self.closed.is_empty()
            || !self.opened.is_empty()
            || self.connections.iter().any(wants_something)
    }

    /// Whether the session is over and no connection is left.
    pub fn is_finished(&self) -> bool {
        self.session.is_closed() && self.connections.is_empty() && !self.has_actions()
    }
}

impl ClientHub {
    fn index(&self, id: ClientConnectionId) -> Option<usize> {
        self.connections.iter().position(|connection| connection.id() == id)
    }

    fn connection(&mut self, id: ClientConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id() == id)
    }

    /// Does what the session asks for.
    fn act(&mut self, now: Time, action: ClientAction, entropy: &mut dyn Entropy) {
        match action {
            ClientAction::Request(on, request) => self.request(now, on, request),
            ClientAction::Abandon(on) => {
                self.close_connections(|connection| connection.exchange() == Some(on))
            }
            ClientAction::OpenWebSocket(on, request) => {
                let id = self.fresh_id();
                let url = Arc::clone(self.session.place());
                let (config, http) = (self.session.config(), &self.http);
                let connection = Connection::handshake(id, url, on, request, config, http, entropy);
                self.open(connection);
            }
            ClientAction::CloseWebSocket(on) => {
                // If it is not open yet there is nobody to say it to.
                self.close_connections(|connection| connection.opens() == Some(on));
                let close_by = self.close_by(now);
                if let Some(connection) =
                    self.connections.iter_mut().find(|connection| connection.socket() == Some(on))
                {
                    connection.close_socket(close_by);
                }
            }
        }
    }

    /// Sends a request on the connection that has rested longest, or on a fresh one.
    fn request(&mut self, now: Time, on: ExchangeId, request: Request) {
        // The clock may have jumped, and not been looked at yet.
        self.close_connections(|connection| connection.is_stale(now));
        let url = self.session.place();
        let rested = (0..self.connections.len())
            .filter(|&at| is_same_origin(self.connections[at].url(), url))
            .filter_map(|at| Some((self.connections[at].free_from()?, at)))
            .min()
            .filter(|&(from, _)| from <= now || self.connections.len() >= MAX_CONNECTIONS);
        match rested {
            Some((_, at)) => self.connections[at].request(now, on, request),
            None => self.request_afresh(now, Arc::clone(url), on, request),
        }
    }

    fn request_afresh(&mut self, now: Time, url: Arc<Url>, on: ExchangeId, request: Request) {
        let id = self.fresh_id();
        let mut connection = Connection::http(id, url, self.session.config(), &self.http);
        connection.request(now, on, request);
        self.open(connection);
    }

    fn open(&mut self, connection: Connection) {
        self.opened.push_back(connection.id());
        if self.connections.is_empty() {
            // Few sessions have more than one for long.
            self.connections.reserve_exact(1);
        }
        self.connections.push(connection);
    }

    fn fresh_id(&mut self) -> ClientConnectionId {
        self.next_id += 1;
        ClientConnectionId(self.next_id)
    }

    /// Takes to the session what came on a connection.
    fn take(&mut self, now: Time, at: usize, outcome: Outcome) {
        let session = &mut self.session;
        match outcome {
            Outcome::Response(on, head, body) => {
                self.connections[at].keep(now);
                session.handle_response(now, on, &head, body);
            }
            Outcome::Stale(on, request) => {
                let url = Arc::clone(self.connections[at].url());
                self.request_afresh(now, url, on, request);
            }
            Outcome::Fault(on, fault) => session.handle_exchange_lost(now, on, fault),
            Outcome::Open(on, subprotocol, compression) => {
                let (max_message, max_fragments) = (self.max_message, self.max_fragments);
                self.connections[at].become_socket(max_message, max_fragments, compression);
                session.handle_websocket_open(now, on, subprotocol.as_deref());
            }
            Outcome::Refused(on, fault) => session.handle_websocket_refused(now, on, fault),
            Outcome::Message(on, message) => session.handle_websocket_message(now, on, message),
            Outcome::End(on, end) => {
                session.handle_websocket_lost(now, on, end);
                // There may be a Close to be written still.
                let close_by = self.close_by(now);
                self.connections[at].close_socket(close_by);
            }
        }
    }

    /// When the server must have taken what precedes the Close of a WebSocket: messages, if it was the
    /// application that has closed the session.
    fn close_by(&self, now: Time) -> Time {
        let drains = self.session.close_reason().is_some_and(CloseReason::is_local);
        let soon = now + self.linger;
        self.close_by.filter(|_| drains).map_or(soon, |close_by| close_by.max(soon))
    }

    /// A connection is no more, and the event loop knows it.
    fn forget(&mut self, now: Time, id: ClientConnectionId, fault: TransportFault) {
        let Some(at) = self.index(id) else { return };
        if let Some(outcome) = self.connections[at].lose(now, fault) {
            self.take(now, at, outcome);
        }
        self.connections.remove(at);
        self.opened.retain(|&opened| opened != id);
    }

    fn close_connections(&mut self, which: impl Fn(&Connection) -> bool) {
        for at in (0..self.connections.len()).rev() {
            if which(&self.connections[at]) {
                self.close_connection(at);
            }
        }
    }

    fn close_connection(&mut self, at: usize) {
        let id = self.connections.remove(at).id();
        let before = self.opened.len();
        self.opened.retain(|&opened| opened != id);
        if self.opened.len() == before {
            self.closed.push_back(id);
        }
    }
}

impl fmt::Debug for ClientHub {
    /// Without the session id and without messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHub")
            .field("session", &self.session)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Connections from which on none is left alone after a response: as many as browsers open to a host.
const MAX_CONNECTIONS: usize = 6;
