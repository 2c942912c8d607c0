//! Floor 3: one Engine.IO session, server side.
//!
//! A [`Session`] is fed by the HTTP exchanges and WebSockets that carry its id, from however many
//! TCP connections, and knows nothing of bytes on a socket. The files beside this one hold one rule
//! each: `polling` (a GET, a POST), `upgrade` (the transaction that moves a session to a WebSocket),
//! `heartbeat`.

mod heartbeat;
mod polling;
mod queue;
mod timers;
mod upgrade;

#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, string::String, sync::Arc};
use core::fmt;

use serde::Serialize;

pub use self::timers::TimerKind;
use self::{
    polling::Polling,
    queue::{KEPT, Queue, Queued},
    timers::Timers,
    upgrade::Probe,
};
use crate::{
    codec::{self, DecodeError, Frame},
    config::{Config, TransportKind},
    encoded::Encoded,
    exchange::{HeaderLines, Response},
    limits::Limits,
    packet::{Message, Packet, Revision},
    router::{BadRequest, Reject, RequestKind, SessionRequest},
    sid::Sid,
    text::Text,
    time::Time,
};

/// One HTTP request and its answer. A name that the driver gives and that comes back in
/// [`Action::Respond`]; it must not be used twice for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// One WebSocket. A name that the driver gives; it must not be used twice for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// What carries a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A GET.
    Exchange(ExchangeId),
    /// A WebSocket.
    Socket(SocketId),
}

/// One Engine.IO session, server side.
///
/// Its methods come in four families:
///
/// - *Network inputs*, `handle_*`, take what came from the peer and never fail: a peer's fault
///   becomes an answer and, where the protocol says so, the end of the session.
/// - *Application commands*, [`send`](Self::send) and [`close`](Self::close), fail only where a
///   limit has been reached or the session is over.
/// - *Outputs*, `poll_*`, are called until they return `None`, after any of the above. Two inputs
///   without a look at the outputs between them are fine: nothing is lost, only late.
/// - *Getters* take `&self`.
///
/// `now` must never go backwards. An input for a session that is over is answered like one for a
/// session that never was.
pub struct Session {
    config: Arc<Config>,
    sid: Sid,
    revision: Revision,
    state: State,
    transport: Transport,
    /// The transport, a WebSocket, is gone: there is nothing left to close.
    lost: bool,
    close_reason: Option<CloseReason>,
    polling: Polling,
    probe: Option<Probe>,
    timers: Timers,
    /// The extension of the pong's deadline, of which there is one per ping, has been used.
    extended: bool,
    queue: Queue,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    /// What the messages in `events` count for, as [`Limits::max_unread`] counts.
    unread: usize,
    /// The peer is being slowed down until the application has caught up.
    held: bool,
    /// It was, at some time since the heartbeat's deadline was set.
    was_held: bool,
}

/// What [`Session::poll_action`] asks of the driver.
#[derive(Clone, Debug)]
pub enum Action {
    /// Answer this request.
    Respond(ExchangeId, Response),
    /// Start the closing handshake of this WebSocket (a Close frame without a code), behind what
    /// [`Session::poll_write`] has given for it.
    CloseSocket(SocketId),
}

/// What [`Session::poll_event`] tells the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer sent a message.
    Message(Message),
    /// The session has moved to a WebSocket.
    Upgraded,
    /// After [`SendError::Full`]: there is room again.
    Writable,
    /// The session is over; the last event.
    Closed(CloseReason),
}

/// Why a session is over. The names on the wire of the reference are in [`CloseReason::as_str`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed: a close packet, or the end of its WebSocket.
    #[error("the peer closed the session")]
    TransportClose,
    /// The peer broke a rule of its transport, or the transport broke.
    #[error("transport error: {0}")]
    TransportError(TransportFault),
    /// The peer fell silent.
    #[error("the peer has not answered in time")]
    PingTimeout,
    /// The peer sent something that is no packet.
    #[error("the peer sent a malformed packet: {0}")]
    ParseError(DecodeError),
    /// This side closed.
    #[error("closed by this side")]
    ForcedClose,
}

impl CloseReason {
    /// The reference's name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError(_) => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError(_) => "parse error",
            Self::ForcedClose => "forced close",
        }
    }
}

/// What was wrong with the transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportFault {
    /// A second GET came while the first was waiting.
    #[error("overlap from client")]
    PollOverlap,
    /// A second POST came before the first was answered.
    #[error("data request overlap from client")]
    PostOverlap,
    /// The connection of the waiting GET was lost.
    #[error("poll connection closed prematurely")]
    PollLost,
    /// The connection of a POST was lost before its body was complete.
    #[error("data request connection closed prematurely")]
    PostLost,
    /// A binary POST body in revision 4.
    #[error("invalid content")]
    InvalidContent,
    /// A ping from the side that answers pings, or a pong from the side that sends them.
    #[error("invalid heartbeat direction")]
    HeartbeatDirection,
    /// The peer broke a rule of RFC 6455.
    #[error("{0}")]
    WebSocket(#[from] crate::wire::ws::Violation),
    /// The connection failed.
    #[error("connection lost")]
    ConnectionLost,
}

/// How a WebSocket came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEnd {
    /// The peer closed it, with or without a closing handshake.
    Closed,
    /// The peer broke a rule; the answer is the WebSocket's business.
    Violation(crate::wire::ws::Violation),
    /// The connection failed.
    Failed,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queue is at its limit. [`Event::Writable`] will tell when to try again.
    #[error("{queued} bytes wait for the peer, the limit is {max}")]
    Full {
        /// Bytes queued, as [`Limits::max_queued`] counts.
        queued: usize,
        /// [`Limits::max_queued`].
        max: usize,
    },
    /// The session is closing or closed.
    #[error("the session is closed")]
    Closed,
}

/// A message that was not taken: nothing is lost, and it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct TrySendError {
    /// The message.
    pub message: Encoded,
    /// Why.
    pub reason: SendError,
}

impl From<TrySendError> for SendError {
    fn from(error: TrySendError) -> Self {
        error.reason
    }
}

/// Which `handle_*` method an admitted request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// [`Session::handle_poll`].
    Poll,
    /// [`Session::handle_post`], then the body to [`Session::handle_body`].
    Post {
        /// The body is `application/octet-stream`.
        binary: bool,
    },
    /// Complete the WebSocket handshake, then [`Session::handle_socket_open`].
    Upgrade {
        /// The client cannot take binary frames.
        base64: bool,
    },
}

/// How the body of a POST arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Complete(bytes::Bytes),
    /// It is larger than [`Limits::max_payload`].
    TooLarge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// `close` was called; what is queued is on its way out.
    Closing,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Polling,
    WebSocket { on: SocketId, base64: bool },
}

/// What [`Router::open`](crate::Router::open) has found out about a new session.
pub(crate) struct Opened {
    pub(crate) sid: Sid,
    pub(crate) revision: Revision,
    pub(crate) base64: bool,
    pub(crate) jsonp: Option<String>,
    pub(crate) headers: HeaderLines,
}

/// Network inputs. Those of polling and of the upgrade are in their own files.
impl Session {
    pub(crate) fn open(now: Time, config: Arc<Config>, opened: Opened, first: Carrier) -> Self {
        let transport = match first {
            Carrier::Exchange(_) => Transport::Polling,
            Carrier::Socket(on) => Transport::WebSocket { on, base64: opened.base64 },
        };
        let mut session = Self {
            sid: opened.sid,
            revision: opened.revision,
            state: State::Open,
            transport,
            lost: false,
            close_reason: None,
            polling: Polling::new(opened.base64, opened.jsonp),
            probe: None,
            timers: Timers::default(),
            extended: false,
            queue: Queue::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            unread: 0,
            held: false,
            was_held: false,
            config,
        };
        session.queue.push_control(Queued::Open(session.handshake()));
        if let Some(message) = &session.config.initial_packet {
            // A new queue has room.
            let _ = session.queue.push_message(message.clone(), &session.config.limits);
        }
        session.start_heartbeat(now);
        if let Carrier::Exchange(on) = first {
            session.respond_handshake(on, opened.headers);
        }
        session
    }

    /// A message came on a WebSocket of this session.
    pub fn handle_socket_message(&mut self, now: Time, on: SocketId, message: Message) {
        if self.probe.as_ref().is_some_and(|probe| probe.on == on) {
            return self.handle_probe_message(now, &message);
        }
        if !self.is_socket(on) || self.state == State::Closed {
            return;
        }
        let decoded = match message {
            Message::Text(text) => codec::decode_text(self.revision, text).map(Some),
            Message::Binary(bytes) => Ok(codec::decode_binary(self.revision, bytes)),
        };
        match decoded {
            Ok(Some(packet)) => self.handle_packet(now, packet),
            Ok(None) => {}
            Err(error) => self.finish(CloseReason::ParseError(error)),
        }
    }

    /// A WebSocket of this session has come to its end.
    pub fn handle_socket_lost(&mut self, _now: Time, on: SocketId, end: SocketEnd) {
        if self.probe.as_ref().is_some_and(|probe| probe.on == on) {
            return self.forget_probe();
        }
        if !self.is_socket(on) || self.state == State::Closed {
            return;
        }
        self.lost = true;
        self.finish(match end {
            SocketEnd::Closed => CloseReason::TransportClose,
            SocketEnd::Violation(violation) => CloseReason::TransportError(violation.into()),
            SocketEnd::Failed => CloseReason::TransportError(TransportFault::ConnectionLost),
        });
    }

    /// The clock has moved. Calling it before the deadline of [`poll_timeout`](Self::poll_timeout)
    /// does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(kind) = self.timers.expire(now) {
            match kind {
                TimerKind::Ping => self.ping(now),
                TimerKind::Heartbeat => self.heartbeat_missed(now),
                TimerKind::Upgrade => self.abandon_probe(),
                TimerKind::Noop => self.answer_poll_with_noop(),
                TimerKind::Close => self.finish(CloseReason::ForcedClose),
            }
        }
    }
}

/// Application commands.
impl Session {
    /// Queues a message. It starts no timer, which is why it does not ask for the time.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while the peer is slow, [`SendError::Closed`] once the session is closing,
    /// and with either the message.
    #[inline]
    pub fn send(&mut self, message: impl Into<Encoded>) -> Result<(), TrySendError> {
        self.enqueue(message.into())
    }

    fn enqueue(&mut self, message: Encoded) -> Result<(), TrySendError> {
        if self.state != State::Open {
            return Err(TrySendError { message, reason: SendError::Closed });
        }
        if message.parts() == 0 {
            return Ok(());
        }
        if let Err(message) = self.queue.push_message(message, &self.config.limits) {
            let (queued, max) = (self.queue.bytes(), self.config.limits.max_queued);
            return Err(TrySendError { message, reason: SendError::Full { queued, max } });
        }
        self.answer_poll();
        Ok(())
    }

    /// Ends the session once everything queued has been let out, or after
    /// [`Config::close_timeout`]. Messages of the peer are no longer delivered.
    pub fn close(&mut self, now: Time) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closing;
        self.timers.set(TimerKind::Close, now + self.config.close_timeout);
        if self.held {
            // The application reads no more, so nothing must wait for it.
            self.release();
        }
        match self.transport {
            Transport::Polling => self.close_polling(),
            Transport::WebSocket { .. } => self.close_drained_socket(),
        }
    }

    /// Ends the session now. What is queued is lost.
    pub fn abort(&mut self) {
        self.finish(CloseReason::ForcedClose);
    }
}

/// Outputs.
impl Session {
    /// What the driver has to do. Never blocked by a slow WebSocket.
    #[inline]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next frame for this WebSocket. Pull only while the socket takes bytes: what has not been
    /// pulled counts against [`Limits::max_queued`], and can still move to another transport.
    pub fn poll_write(&mut self, on: SocketId) -> Option<Frame> {
        match self.transport {
            Transport::WebSocket { on: current, base64 } if current == on => {
                let frame = self.queue.pop_frame(self.revision, base64)?;
                self.tell_writable();
                self.close_drained_socket();
                Some(frame)
            }
            _ => self.poll_write_probe(on),
        }
    }

    /// What the application should know.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Message(message) = &event {
            self.unread -= cost(message);
            if self.held && self.unread <= self.config.limits.max_unread / 2 {
                self.release();
            }
        }
        Some(event)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for. Changes with any other
    /// call.
    #[inline]
    pub fn poll_timeout(&self) -> Option<(Time, TimerKind)> {
        self.timers.next()
    }
}

/// Getters.
impl Session {
    /// Checks a request that carries this session's id: revision, method, transport.
    ///
    /// # Errors
    ///
    /// How to refuse it. The session is unaffected.
    pub fn admit(&self, request: &SessionRequest) -> Result<Admission, Reject> {
        if self.state == State::Closed {
            return Err(Reject::UnknownSession);
        }
        if request.revision != self.revision {
            return Err(BadRequest::RevisionMismatch.into());
        }
        if request.kind == RequestKind::Upgrade {
            if request.transport != TransportKind::WebSocket {
                return Err(BadRequest::TransportHandshake.into());
            }
            let polls = self.transport == Transport::Polling;
            if !polls || self.probe.is_some() || !self.may_upgrade() {
                return Err(BadRequest::UpgradeRefused.into());
            }
            return Ok(Admission::Upgrade { base64: request.base64 });
        }
        if request.transport != self.transport() {
            return Err(BadRequest::TransportMismatch.into());
        }
        match request.kind {
            RequestKind::Other => Err(Reject::MethodNotAllowed),
            _ if request.transport == TransportKind::WebSocket => {
                Err(BadRequest::TransportHandshake.into())
            }
            RequestKind::Post => Ok(Admission::Post { binary: request.binary }),
            _ => Ok(Admission::Poll),
        }
    }

    /// The session's id: a secret.
    pub const fn sid(&self) -> Sid {
        self.sid
    }

    /// The revision of the protocol that the client asked for.
    #[inline]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The transport that carries messages now.
    #[inline]
    pub const fn transport(&self) -> TransportKind {
        match self.transport {
            Transport::Polling => TransportKind::Polling,
            Transport::WebSocket { .. } => TransportKind::WebSocket,
        }
    }

    /// Whether the session is over.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Why the session is over; `None` while it is not. [`Event::Closed`] says the same, after the
    /// messages that came before.
    #[inline]
    pub const fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_ref()
    }

    /// Whether the session takes messages: it is neither closing nor closed.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether a driver should read the session's WebSocket. False while the application has
    /// [`Limits::max_unread`] bytes to catch up with; then TCP slows the peer down.
    #[inline]
    pub const fn is_receiving(&self) -> bool {
        !self.held
    }

    /// Bytes queued for the peer, as [`Limits::max_queued`] counts.
    #[inline]
    pub const fn queued(&self) -> usize {
        self.queue.bytes()
    }

    /// Whether [`send`](Self::send) would take a message.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.queue.bytes() < self.config.limits.max_queued
    }

    /// Whether so much room is there that writers who found none should try again: half of it.
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.queue.is_writable(&self.config.limits)
    }

    /// Whether [`poll_write`](Self::poll_write) has something for this WebSocket.
    #[inline]
    pub fn wants_write(&self, on: SocketId) -> bool {
        if self.is_socket(on) { !self.queue.is_empty() } else { self.probe_wants_write(on) }
    }

    /// Whether [`poll_action`](Self::poll_action) has something.
    #[inline]
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }
}

impl Session {
    /// The open packet's data, in the reference's order.
    fn handshake(&self) -> Text {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Handshake<'a> {
            sid: &'a str,
            upgrades: &'a [&'a str],
            ping_interval: u64,
            ping_timeout: u64,
            max_payload: usize,
        }

        let millis = |duration: core::time::Duration| {
            u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
        };
        let upgrades: &[_] = if self.transport == Transport::Polling && self.may_upgrade() {
            &["websocket"]
        } else {
            &[]
        };
        let handshake = Handshake {
            sid: self.sid.as_str(),
            upgrades,
            ping_interval: millis(self.config.ping_interval),
            ping_timeout: millis(self.config.ping_timeout),
            max_payload: self.config.limits.max_payload,
        };
        // Strings and numbers cannot fail to be written.
        Text::from(serde_json::to_string(&handshake).unwrap_or_default())
    }

    fn may_upgrade(&self) -> bool {
        self.config.allow_upgrades && self.config.transports.websocket
    }

    fn is_socket(&self, on: SocketId) -> bool {
        matches!(self.transport, Transport::WebSocket { on: current, .. } if current == on)
    }

    /// A packet came on the session's transport.
    fn handle_packet(&mut self, now: Time, packet: Packet) {
        self.note_traffic(now, &packet);
        match packet {
            Packet::Message(message) => self.deliver(message),
            Packet::Ping(_) => self.handle_ping(now),
            Packet::Pong(_) => self.handle_pong(now),
            Packet::Close => self.finish(CloseReason::TransportClose),
            // Out of place, and harmless: ignored as the reference does.
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => {}
        }
    }

    fn deliver(&mut self, message: Message) {
        if self.state != State::Open {
            return;
        }
        self.unread += cost(&message);
        if self.unread >= self.config.limits.max_unread {
            self.held = true;
            self.was_held = true;
        }
        self.events.push_back(Event::Message(message));
    }

    /// Gives back the storage of a burst that is over, so that an idle session holds no more than it
    /// needs. Not after each burst: a busy session would have to ask for it again and again.
    fn shrink(&mut self) {
        self.queue.shrink();
        if self.events.is_empty() && self.events.capacity() > KEPT {
            self.events = VecDeque::new();
        }
    }

    /// The application has caught up.
    fn release(&mut self) {
        self.held = false;
        self.answer_withheld_post();
    }

    fn tell_writable(&mut self) {
        if self.queue.take_writable(&self.config.limits) {
            self.events.push_back(Event::Writable);
        }
    }

    /// Once a closing session on a WebSocket has let everything out, closes that.
    fn close_drained_socket(&mut self) {
        if self.state == State::Closing && self.queue.is_empty() {
            self.finish(CloseReason::ForcedClose);
        }
    }

    /// Ends the session: answers what waits, closes its WebSockets, and says why, once.
    fn finish(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.timers.stop_all();
        self.finish_polling(&reason);
        if let Some(probe) = self.probe.take() {
            self.actions.push_back(Action::CloseSocket(probe.on));
        }
        if let (Transport::WebSocket { on, .. }, false) = (self.transport, self.lost) {
            self.actions.push_back(Action::CloseSocket(on));
        }
        self.queue.clear();
        self.close_reason = Some(reason.clone());
        self.events.push_back(Event::Closed(reason));
    }
}

impl fmt::Debug for Session {
    /// Without the session id and without messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("revision", &self.revision)
            .field("state", &self.state)
            .field("transport", &self.transport)
            .field("probe", &self.probe)
            .field("timers", &self.timers)
            .field("queued", &self.queue.bytes())
            .field("unread", &self.unread)
            .finish_non_exhaustive()
    }
}

/// What an unread message counts for.
fn cost(message: &Message) -> usize {
    message.len() + Limits::MESSAGE_OVERHEAD
}
