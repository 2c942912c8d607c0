//! A whole client as one value: bytes of its connections in, bytes out.
//!
//! [`ClientSession`] asks for requests and WebSockets; here they become connections, which is all that
//! an event loop has to know of. `link` is one such connection.

mod link;

#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use self::link::{Link, Outcome};
use crate::{
    carrier::GracePeriod,
    channel::{CloseReason, Event, ExchangeId, TransportFault, TrySendError},
    client::{ClientAction, ClientConfig, ClientSession, is_same_origin},
    encoded::IntoEncoded,
    entropy::Entropy,
    exchange::Request,
    time::Time,
    url::Url,
    wire::{Arena, Input, http},
};

/// One TCP connection of a client. A name that the hub gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What [`ClientHub::poll_action`] asks of an event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkAction {
    /// Connect to the server at [`ClientHub::address`], under this name. The outcome goes to
    /// [`ClientHub::handle_connected`] or [`ClientHub::handle_refused`].
    Connect(LinkId),
    /// There is something to write: call [`ClientHub::transmit`].
    Write(LinkId),
    /// Close this connection, or stop opening it. The hub has forgotten the name.
    Close(LinkId),
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
/// use enginewire::{ClientConfig, ClientHub, Event, LinkAction, Time, Url};
///
/// let url = Url::parse("http://localhost:3000")?;
/// let config = Arc::new(ClientConfig::new(&url));
/// // In earnest the operating system's: it masks what goes over a WebSocket.
/// let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
/// let mut hub = ClientHub::new(Time::ZERO, &url, config, false, &mut entropy);
/// hub.send("hello")?;
///
/// let Some(LinkAction::Connect(link)) = hub.poll_action(Time::ZERO, &mut entropy) else {
///     panic!("nothing can be done without a connection");
/// };
/// // The socket is connected, and takes whatever it is given.
/// assert!(hub.handle_connected(Time::ZERO, link));
/// assert_eq!(hub.poll_action(Time::ZERO, &mut entropy), Some(LinkAction::Write(link)));
/// let mut written = Vec::new();
/// hub.transmit(Time::ZERO, link, |bytes| {
///     written.extend_from_slice(bytes);
///     bytes.len()
/// });
/// assert!(written.starts_with(b"GET /engine.io/?EIO=4&transport=polling&t="));
///
/// // What was read from the socket.
/// let mut read = *b"HTTP/1.1 200 OK\r\nContent-Length: 67\r\n\r\n\
///     0{\"sid\":\"a\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000}";
/// hub.handle_bytes(Time::ZERO, link, &mut read);
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
    links: Vec<Link>,
    closed: VecDeque<LinkId>,
    opened: VecDeque<LinkId>,
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
            http: Arc::new(http::ClientConfig::new(limits)),
            max_message,
            max_fragments,
            close_timeout: config.close_timeout,
            linger: config.linger,
            close_by: None,
            links: Vec::new(),
            closed: VecDeque::new(),
            opened: VecDeque::new(),
            arena: Arena::new(),
            next_id: 0,
            grace: GracePeriod::new(),
            session: ClientSession::at(now, url, config, websocket_worked, entropy),
        }
    }

    /// A connection that was asked for is there. False if it is not wanted any more and can be closed.
    pub fn handle_connected(&mut self, _now: Time, id: LinkId) -> bool {
        let link = self.link(id);
        let wanted = link.is_some();
        if let Some(link) = link {
            link.connected();
        }
        wanted
    }

    /// A connection that was asked for is not to be had. The name is forgotten.
    pub fn handle_refused(&mut self, now: Time, id: LinkId) {
        self.forget(now, id, TransportFault::Unreachable);
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Time, id: LinkId, bytes: &mut [u8]) {
        let Some(at) = self.index(id) else { return };
        if self.links[at].carries() {
            self.session.handle_progress(now, bytes.len());
        }
        let mut input = Input::new(bytes);
        while let Some(outcome) = self.links[at].handle_bytes(now, &mut input, &mut self.arena) {
            self.take(now, at, outcome);
        }
        // Also if nothing came of it: what nobody has asked for ends a connection that was kept.
        if self.links[at].is_over() {
            self.close_link(at);
        }
    }

    /// The server has closed its side of the connection, which can be closed.
    pub fn handle_eof(&mut self, now: Time, id: LinkId) {
        let Some(at) = self.index(id) else { return };
        if let Some(outcome) = self.links[at].handle_eof(now) {
            self.take(now, at, outcome);
        }
        self.close_link(at);
    }

    /// The connection has failed. The name is forgotten.
    pub fn handle_lost(&mut self, now: Time, id: LinkId) {
        self.forget(now, id, TransportFault::ConnectionLost);
    }

    /// A connection did not take the last `left` bytes of what was handed out: for loops that keep them.
    ///
    /// Nothing more is handed out until [`handle_writable`](Self::handle_writable), and the connection
    /// does not count as written to. Call it again when there are fewer, which tells that the server
    /// reads. A loop whose writes go straight to the socket need not call it: [`transmit`](Self::transmit)
    /// sees that less was taken than given.
    pub fn handle_blocked(&mut self, now: Time, id: LinkId, left: usize) {
        if let Some(link) = self.link(id) {
            let progress = link.block(left);
            self.session.handle_progress(now, progress);
        }
    }

    /// A connection takes bytes again, after it did not take all of them: nothing is left.
    pub fn handle_writable(&mut self, now: Time, id: LinkId) {
        let Some(at) = self.index(id) else { return };
        let progress = self.links[at].unblock(now, self.linger);
        self.session.handle_progress(now, progress);
        if self.links[at].is_over() {
            self.close_link(at);
        }
    }

    /// The clock has moved. Calling it before the deadline does nothing.
    ///
    /// A server whose deadline is handled late has a grace period, because its bytes may lie unread in a socket.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Some(due) = self.peer_deadline().filter(|&due| due <= now)
            && let Some(until) = self.grace.extend(due, now)
        {
            self.extend_deadlines(until);
        }
        self.session.handle_timeout(now);
        for at in (0..self.links.len()).rev() {
            if self.links[at].deadline().is_some_and(|deadline| deadline <= now) {
                self.close_link(at);
            }
        }
    }
}

/// For drivers that may not have been listening, as after a pause of the process.
impl ClientHub {
    /// When something that the server has to do is due.
    pub fn peer_deadline(&self) -> Option<Time> {
        self.links.iter().filter_map(Link::peer_deadline).chain(self.session.peer_deadline()).min()
    }

    /// As [`ClientSession::extend_deadlines`].
    pub fn extend_deadlines(&mut self, until: Time) {
        self.session.extend_deadlines(until);
        self.links.iter_mut().for_each(|link| link.extend_deadlines(until));
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

    /// As [`ClientSession::close`]. Go on until [`is_finished`](Self::is_finished).
    pub fn close(&mut self, now: Time) {
        if self.session.is_open() {
            self.close_by = Some(now + self.close_timeout);
        }
        self.session.close(now);
    }

    /// As [`ClientSession::abort`]. All connections can be closed as they are.
    pub fn abort(&mut self) {
        self.close_by = None;
        self.session.abort();
    }
}

/// Outputs.
impl ClientHub {
    /// What to do about connections.
    pub fn poll_action(&mut self, now: Time, entropy: &mut dyn Entropy) -> Option<LinkAction> {
        while let Some(action) = self.session.poll_action(now) {
            self.act(now, action, entropy);
        }
        if self.session.is_closed() {
            // A WebSocket has its closing handshake still, nothing else has a purpose.
            for at in (0..self.links.len()).rev() {
                if self.links[at].is_http() {
                    self.close_link(at);
                }
            }
        }
        if let Some(id) = self.closed.pop_front() {
            return Some(LinkAction::Close(id));
        }
        if let Some(id) = self.opened.pop_front() {
            return Some(LinkAction::Connect(id));
        }
        let session = &self.session;
        let link = self.links.iter_mut().find(|link| link.wants_write(session))?;
        Some(LinkAction::Write(link.announce()))
    }

    /// Hands out the bytes that are to be written to a connection.
    ///
    /// `write` takes from the front of what it is given and says how much. If that is less than all,
    /// the connection counts as blocked until [`handle_writable`](Self::handle_writable): messages
    /// then stay in the queue of the session, where they are bounded and count. At most 64 KiB are
    /// handed out at a time; if there is more, [`LinkAction::Write`] follows.
    ///
    /// # Panics
    ///
    /// If `write` claims to have taken more than it was given.
    pub fn transmit(&mut self, now: Time, id: LinkId, write: impl FnMut(&[u8]) -> usize) {
        let Some(at) = self.index(id) else { return };
        let progress = self.links[at].transmit(now, self.linger, &mut self.session, write);
        self.session.handle_progress(now, progress);
        if self.links[at].is_over() {
            self.close_link(at);
        }
    }

    /// What the application should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Changes with any other call.
    pub fn poll_timeout(&self) -> Option<Time> {
        let session = self.session.poll_timeout().map(|(deadline, _)| deadline);
        self.links.iter().filter_map(Link::deadline).chain(session).min()
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
    /// Not always the one that the hub was made for, as a server may redirect. `None` if the hub has
    /// forgotten the name.
    pub fn address(&self, id: LinkId) -> Option<&Url> {
        self.index(id).map(|at| &**self.links[at].url())
    }

    /// Whether a connection should be read: not while the application has more than enough to catch
    /// up with, or the server reads no answers.
    pub fn is_reading(&self, id: LinkId) -> bool {
        self.index(id).is_some_and(|at| self.links[at].is_reading(&self.session))
    }

    /// Whether [`poll_action`](Self::poll_action) may have something.
    pub fn has_actions(&self) -> bool {
        let over = self.session.is_closed();
        let wants_something =
            |link: &Link| link.wants_write(&self.session) || (over && link.is_http());
        self.session.has_actions()
            || !self.closed.is_empty()
            || !self.opened.is_empty()
            || self.links.iter().any(wants_something)
    }

    /// Whether the session is over and no connection is left.
    pub fn is_finished(&self) -> bool {
        self.session.is_closed() && self.links.is_empty() && !self.has_actions()
    }
}

impl ClientHub {
    fn index(&self, id: LinkId) -> Option<usize> {
        self.links.iter().position(|link| link.id() == id)
    }

    fn link(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.id() == id)
    }

    /// Does what the session asks for.
    fn act(&mut self, now: Time, action: ClientAction, entropy: &mut dyn Entropy) {
        match action {
            ClientAction::Request(on, request) => self.request(now, on, request),
            ClientAction::Abandon(on) => self.close_links(|link| link.exchange() == Some(on)),
            ClientAction::OpenWebSocket(on, request) => {
                let id = self.fresh_id();
                let url = Arc::clone(self.session.place());
                let link = Link::handshake(id, url, on, request, &self.http, entropy);
                self.open(link);
            }
            ClientAction::CloseWebSocket(on) => {
                // If it is not open yet there is nobody to say it to.
                self.close_links(|link| link.opens() == Some(on));
                let close_by = self.close_by(now);
                if let Some(link) = self.links.iter_mut().find(|link| link.socket() == Some(on)) {
                    link.close_socket(close_by);
                }
            }
        }
    }

    /// Sends a request on the connection that has rested longest, or on a fresh one.
    fn request(&mut self, now: Time, on: ExchangeId, request: Request) {
        // The clock may have jumped, and not been looked at yet.
        self.close_links(|link| link.is_stale(now));
        let url = self.session.place();
        let rested = (0..self.links.len())
            .filter(|&at| is_same_origin(self.links[at].url(), url))
            .filter_map(|at| Some((self.links[at].free_from()?, at)))
            .min()
            .filter(|&(from, _)| from <= now || self.links.len() >= MAX_LINKS);
        match rested {
            Some((_, at)) => self.links[at].request(now, on, request),
            None => self.request_afresh(now, Arc::clone(url), on, request),
        }
    }

    fn request_afresh(&mut self, now: Time, url: Arc<Url>, on: ExchangeId, request: Request) {
        let id = self.fresh_id();
        let mut link = Link::http(id, url, &self.http);
        link.request(now, on, request);
        self.open(link);
    }

    fn open(&mut self, link: Link) {
        self.opened.push_back(link.id());
        self.links.push(link);
    }

    fn fresh_id(&mut self) -> LinkId {
        self.next_id += 1;
        LinkId(self.next_id)
    }

    /// Takes to the session what came on a connection.
    fn take(&mut self, now: Time, at: usize, outcome: Outcome) {
        let session = &mut self.session;
        match outcome {
            Outcome::Response(on, head, body) => {
                self.links[at].keep(now);
                session.handle_response(now, on, &head, body);
            }
            Outcome::Stale(on, request) => {
                let url = Arc::clone(self.links[at].url());
                self.request_afresh(now, url, on, request);
            }
            Outcome::Fault(on, fault) => session.handle_exchange_lost(now, on, fault),
            Outcome::Open(on, subprotocol) => {
                self.links[at].become_socket(self.max_message, self.max_fragments);
                session.handle_websocket_open(now, on, subprotocol.as_deref());
            }
            Outcome::Refused(on, fault) => session.handle_websocket_refused(now, on, fault),
            Outcome::Message(on, message) => session.handle_websocket_message(now, on, message),
            Outcome::End(on, end) => {
                session.handle_websocket_lost(now, on, end);
                // There may be a Close to be written still.
                let close_by = self.close_by(now);
                self.links[at].close_socket(close_by);
            }
        }
    }

    /// When the server must have taken what precedes the Close of a WebSocket: messages, if it was the
    /// application that has closed the session.
    fn close_by(&self, now: Time) -> Time {
        let drains = self.session.close_reason() == Some(&CloseReason::ForcedClose);
        let soon = now + self.linger;
        self.close_by.filter(|_| drains).map_or(soon, |close_by| close_by.max(soon))
    }

    /// A connection is no more, and the event loop knows it.
    fn forget(&mut self, now: Time, id: LinkId, fault: TransportFault) {
        let Some(at) = self.index(id) else { return };
        if let Some(outcome) = self.links[at].lose(now, fault) {
            self.take(now, at, outcome);
        }
        self.links.remove(at);
        self.opened.retain(|&opened| opened != id);
    }

    fn close_links(&mut self, which: impl Fn(&Link) -> bool) {
        for at in (0..self.links.len()).rev() {
            if which(&self.links[at]) {
                self.close_link(at);
            }
        }
    }

    fn close_link(&mut self, at: usize) {
        let id = self.links.remove(at).id();
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
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

/// Connections from which on none is left alone after a response: as many as browsers open to a host.
const MAX_LINKS: usize = 6;
