//! One Engine.IO session, server side.
//!
//! A [`ServerSession`] is fed by the HTTP exchanges and WebSockets that carry its id, from however many TCP
//! connections. It knows nothing of bytes on a socket. The files beside this one hold one rule each: `polling` (a
//! GET, a POST), `upgrade` (the transaction that moves a session to a WebSocket), `heartbeat`.

mod heartbeat;
mod opening;
mod polling;
mod upgrade;

#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, string::String, sync::Arc};
use core::{fmt, hash::Hasher, time::Duration};

use serde::Serialize;

use self::{polling::Polling, upgrade::Probe};
pub use crate::channel::{
    CloseReason, Event, ExchangeId, SendError, TransportFault, TrySendError, WebSocketEnd,
    WebSocketId,
};
use crate::{
    channel::{Channel, Kind, Progress, Queued, Timers},
    codec::{self, Frame},
    config::{ServerConfig, TransportKind},
    encoded::{Encoded, IntoEncoded},
    exchange::{HeaderLines, Response},
    fingerprint::Fingerprint,
    packet::{Message, Packet, Revision},
    router::{BadRequest, Reject, RequestKind, SessionRequest},
    sid::Sid,
    text::Text,
    time::Time,
};

/// Carrier of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierId {
    /// A GET.
    Exchange(ExchangeId),
    /// A WebSocket.
    WebSocket(WebSocketId),
}

impl CarrierId {
    /// Returns the number, which is of no other carrier of the server.
    pub const fn number(self) -> u64 {
        match self {
            Self::Exchange(ExchangeId(number)) | Self::WebSocket(WebSocketId(number)) => number,
        }
    }
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
/// Its states. One that is closing takes no more messages, and delivers those that are queued.
///
/// | state | next states |
/// |---|---|
/// | polling | upgrading, closing on polling, closed |
/// | upgrading | WebSocket, polling, closing while upgrading, closed |
/// | WebSocket | closing on WebSocket, closed |
/// | closing on polling | closing while upgrading, closed |
/// | closing while upgrading | closing on WebSocket, closing on polling, closed |
/// | closing on WebSocket | closed |
/// | closed | |
///
/// The first is polling, or WebSocket if that carries the handshake. While upgrading, polling is the
/// transport, and a WebSocket is probed.
///
/// `now` must never go backwards. An input for a session that is over is answered like one for a
/// session that never was.
#[derive(Clone)]
pub struct ServerSession {
    config: Arc<ServerConfig>,
    sid: Sid,
    revision: Revision,
    state: State,
    transport: Transport,
    /// The transport, a WebSocket, is gone: there is nothing left to close.
    lost: bool,
    /// The transport, a WebSocket, takes no bytes.
    blocked: bool,
    close_deadline: Option<Time>,
    /// The application takes no more events.
    abandoned: bool,
    polling: Polling,
    probe: Option<Probe>,
    timers: Timers<ServerTimerKind, 5>,
    /// The extension of the pong's deadline, of which there is one per ping, has been used.
    extended: bool,
    /// The pong's deadline was moved because the driver was late.
    excused: bool,
    /// Counts towards the next extension of the heartbeat's deadline.
    progress: Progress,
    /// The same for the deadline of a close.
    closing: Progress,
    channel: Channel,
    actions: VecDeque<ServerAction>,
}

/// A task for the driver, from [`ServerSession::poll_action`].
#[derive(Clone, Debug)]
pub enum ServerAction {
    /// Answer this request.
    Respond(ExchangeId, Response),
    /// Start the closing handshake of this WebSocket. Send a Close frame without a code, after the
    /// frames that [`ServerSession::poll_write`] has given for it.
    CloseWebSocket(WebSocketId),
}

impl ServerAction {
    /// Returns the number of the exchange or WebSocket that the action is for.
    pub const fn carrier(&self) -> u64 {
        match self {
            Self::Respond(on, _) => on.0,
            Self::CloseWebSocket(on) => on.0,
        }
    }
}

/// Which `handle_*` method an admitted request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// [`ServerSession::handle_poll`].
    Poll,
    /// [`ServerSession::handle_post`], then the body to [`ServerSession::handle_body`].
    Post {
        /// The body is `application/octet-stream`.
        binary: bool,
    },
    /// Complete the WebSocket handshake, then [`ServerSession::handle_websocket_open`].
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
    /// It is larger than [`Limits::max_payload`](crate::Limits::max_payload).
    TooLarge,
    /// It is not in the coding that its `Content-Encoding` names.
    Invalid,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Open,
    /// `close` was called; what is queued is on its way out.
    Closing,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Polling,
    WebSocket { on: WebSocketId, base64: bool },
}

/// Purpose of a deadline of a [`ServerSession`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTimerKind {
    /// Revision 4: the next ping is due.
    Ping,
    /// The peer has been silent for too long. A pong is missing (revision 4), or a ping (3).
    Heartbeat,
    /// An upgrade has been going on for too long.
    Upgrade,
    /// A poll during an upgrade is answered with a noop.
    Noop,
    /// A closing session waits no longer for the peer to take what is queued.
    Close,
}

impl Kind<5> for ServerTimerKind {
    const ALL: [Self; 5] = [Self::Ping, Self::Heartbeat, Self::Upgrade, Self::Noop, Self::Close];

    fn index(self) -> usize {
        self as usize
    }
}

/// Deadlines for something that the peer has to do.
const AWAITED: &[ServerTimerKind] =
    &[ServerTimerKind::Heartbeat, ServerTimerKind::Upgrade, ServerTimerKind::Close];

/// Properties of a new session that [`Router::open`](crate::Router::open) has found out.
pub(crate) struct Opened {
    pub(crate) sid: Sid,
    pub(crate) revision: Revision,
    pub(crate) base64: bool,
    pub(crate) jsonp: Option<String>,
    pub(crate) headers: HeaderLines,
}

/// Network inputs. Those of polling and of the upgrade are in their own files.
impl ServerSession {
    pub(crate) fn open(
        now: Time,
        config: Arc<ServerConfig>,
        opened: Opened,
        first: CarrierId,
    ) -> Self {
        let transport = match first {
            CarrierId::Exchange(_) => Transport::Polling,
            CarrierId::WebSocket(on) => Transport::WebSocket { on, base64: opened.base64 },
        };
        let mut session = Self {
            sid: opened.sid,
            revision: opened.revision,
            state: State::Open,
            transport,
            lost: false,
            blocked: false,
            close_deadline: None,
            abandoned: false,
            polling: Polling::new(opened.base64, opened.jsonp),
            probe: None,
            timers: Timers::default(),
            extended: false,
            excused: false,
            progress: Progress::default(),
            closing: Progress::default(),
            channel: Channel::default(),
            actions: VecDeque::new(),
            config,
        };
        session.channel.queue.push_control(Queued::Open(session.handshake()));
        if let Some(message) = &session.config.initial_packet {
            // A new queue has room.
            let _ = session.channel.send(message.clone(), &session.config.limits);
        }
        session.start_heartbeat(now);
        if let CarrierId::Exchange(on) = first {
            session.respond_handshake(on, opened.headers);
        }
        session
    }

    /// A message came on a WebSocket of this session.
    pub fn handle_websocket_message(&mut self, now: Time, on: WebSocketId, message: Message) {
        if self.probe.as_ref().is_some_and(|probe| probe.on == on) {
            return self.handle_probe_message(now, &message);
        }
        if !self.is_socket(on) || self.state == State::Closed {
            return;
        }
        // Past the way of all packets, on which it would be treated alike.
        let message = match codec::undress(self.revision, message) {
            Ok(message) => {
                self.note_traffic(now, false);
                return self.deliver(message);
            }
            Err(message) => message,
        };
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
    pub fn handle_websocket_lost(&mut self, _now: Time, on: WebSocketId, end: WebSocketEnd) {
        if self.probe.as_ref().is_some_and(|probe| probe.on == on) {
            return self.forget_probe();
        }
        if !self.is_socket(on) || self.state == State::Closed {
            return;
        }
        self.lost = true;
        self.finish(match end {
            WebSocketEnd::Closed => CloseReason::TransportClose,
            WebSocketEnd::Violation(violation) => CloseReason::TransportError(violation.into()),
            WebSocketEnd::Failed => CloseReason::TransportError(TransportFault::ConnectionLost),
        });
    }

    /// The clock has moved. Calling it before the deadline of [`poll_timeout`](Self::poll_timeout)
    /// does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((due, kind)) = self.timers.expire(now) {
            match kind {
                ServerTimerKind::Ping => self.ping(now, due),
                ServerTimerKind::Heartbeat => self.heartbeat_missed(now),
                ServerTimerKind::Upgrade => self.abandon_probe(),
                ServerTimerKind::Noop => self.answer_poll_with_noop(),
                ServerTimerKind::Close => self.finish(CloseReason::ForcedClose),
            }
        }
    }
}

/// For drivers that may not have been listening, as after a pause of the process.
impl ServerSession {
    /// Returns the earliest deadline for something that the peer has to do. That is a sign of life,
    /// the end of an upgrade, or to take what is queued before a close.
    pub fn peer_deadline(&self) -> Option<Time> {
        self.timers.earliest(AWAITED)
    }

    /// Extends the deadlines of the peer to `until`. They are extended because what the peer has
    /// sent may not have been read yet.
    pub fn extend_deadlines(&mut self, until: Time) {
        let heartbeat = self.timers.deadline(ServerTimerKind::Heartbeat);
        self.excused |= heartbeat.is_some_and(|deadline| deadline < until);
        self.timers.postpone(AWAITED, until);
        self.close_deadline = self.close_deadline.map(|deadline| deadline.max(until));
    }
}

/// Application commands.
impl ServerSession {
    /// Queues a message. It starts no timer, which is why it does not ask for the time.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while the peer is slow, [`SendError::Closed`] once the session is closing,
    /// and with either the message.
    #[inline]
    pub fn send(&mut self, message: impl IntoEncoded) -> Result<(), TrySendError> {
        self.enqueue(message.into_encoded())
    }

    fn enqueue(&mut self, message: Encoded) -> Result<(), TrySendError> {
        if self.state != State::Open {
            return Err(TrySendError { message, reason: SendError::Closed });
        }
        self.channel.send(message, &self.config.limits)?;
        self.answer_poll();
        Ok(())
    }

    /// Ends the session once everything queued has been flushed. It also ends when the client has
    /// taken too little of it for [`ServerConfig::close_timeout`]. Messages that the peer sends
    /// until then are still delivered, because it may be told that they have been taken. They are
    /// dropped if [`Limits::max_unread`](crate::Limits::max_unread) leaves no room for them,
    /// because nothing waits for the application any more.
    pub fn close(&mut self, now: Time) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closing;
        let deadline = now + self.config.close_timeout;
        self.close_deadline = Some(deadline);
        self.closing.restart(self.config.close_timeout);
        self.timers.set(ServerTimerKind::Close, deadline);
        if self.channel.is_throttled() {
            // The application reads no more, so nothing must wait for it.
            self.resume();
        }
        match self.transport {
            Transport::Polling => self.close_polling(),
            Transport::WebSocket { .. } => self.close_drained_socket(),
        }
    }

    /// Ends the session as [`close`](Self::close) does, for an application that takes no more
    /// events. Events that wait are dropped, and so are messages that the peer sends until the end.
    /// The peer is not told that those messages have been taken.
    pub fn abandon(&mut self, now: Time) {
        self.close(now);
        self.abandoned = true;
        self.channel.drop_events();
    }

    /// Ends the session now. What is queued is lost.
    pub fn abort(&mut self) {
        self.abort_with(CloseReason::ForcedClose);
    }

    /// Ends the session now for a reason of the application's, see [`CloseReason::Application`]. What is
    /// queued is lost.
    pub fn abort_with(&mut self, reason: CloseReason) {
        self.close_deadline = None;
        self.finish(reason);
    }

    /// Ends the session as [`close`](Self::close) does, for a reason of the application's.
    pub fn close_with(&mut self, now: Time, reason: CloseReason) {
        if self.state == State::Open {
            self.channel.give_reason(reason);
            self.close(now);
        }
    }

    /// Notes whether the WebSocket takes bytes, for [`is_idle`](Self::is_idle). Nothing else depends on it.
    pub fn set_blocked(&mut self, on: WebSocketId, blocked: bool) {
        // That of an upgrade may be blocked before the session moves to it.
        if self.is_socket(on) || self.probe.as_ref().is_some_and(|probe| probe.on == on) {
            self.blocked = blocked;
        }
    }
}

/// Outputs.
impl ServerSession {
    /// Returns the next task for the driver. It is never blocked by a slow WebSocket.
    #[inline]
    pub fn poll_action(&mut self) -> Option<ServerAction> {
        self.actions.pop_front()
    }

    /// The next frame for this WebSocket. Pull only while the socket takes bytes: what has not been
    /// pulled counts against [`Limits::max_queued`](crate::Limits::max_queued), and can still move to another transport.
    pub fn poll_write(&mut self, on: WebSocketId) -> Option<Frame> {
        match self.transport {
            Transport::WebSocket { on: current, base64 } if current == on => {
                let frame = self.channel.queue.pop_frame(self.revision, base64)?;
                self.channel.tell_writable(&self.config.limits);
                self.close_drained_socket();
                Some(frame)
            }
            _ => self.poll_write_probe(on),
        }
    }

    /// Returns the next event for the application.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.channel.poll_event()?;
        self.resume_if_caught_up();
        Some(event)
    }

    /// Gives back what messages from [`take_event`](Self::take_event) count for.
    pub fn release(&mut self, cost: usize) {
        self.channel.give_back(cost);
        self.resume_if_caught_up();
    }

    /// Takes the next event as [`poll_event`](Self::poll_event) does, but keeps counting a message as unread.
    ///
    /// Its [`cost`](Message::cost) is given back with [`release`](Self::release), once the application has
    /// taken what it stands for. For protocols on top of a session that queue messages of their own.
    #[inline]
    pub fn take_event(&mut self) -> Option<Event> {
        self.channel.take_event()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for. Changes with any other
    /// call.
    #[inline]
    pub fn poll_timeout(&self) -> Option<(Time, ServerTimerKind)> {
        self.timers.next()
    }
}

/// Getters.
impl ServerSession {
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
            // One WebSocket too many is closed after its handshake, as the reference does.
            if !self.may_upgrade() {
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

    /// Returns the configuration.
    #[inline]
    pub fn config(&self) -> &ServerConfig {
        &self.config
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
        self.channel.close_reason()
    }

    /// Returns until when the peer may take what was queued before a [`close`](Self::close). `None`
    /// if the session was not closed in this way, or was aborted. The deadline is kept when the
    /// session is over, because what its WebSocket was given may not be written yet.
    #[inline]
    pub const fn close_deadline(&self) -> Option<Time> {
        self.close_deadline
    }

    /// Time that a peer has to take what is queued before a close.
    pub(crate) fn close_timeout(&self) -> Duration {
        self.config.close_timeout
    }

    /// Whether the session takes messages: it is neither closing nor closed.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns whether an upgrade is in progress: a WebSocket is probed.
    pub const fn is_upgrading(&self) -> bool {
        self.probe.is_some()
    }

    /// Whether a driver should read the session's WebSocket. False while the application has
    /// [`Limits::max_unread`](crate::Limits::max_unread) bytes to catch up with; then TCP slows the peer down.
    #[inline]
    pub const fn is_receiving(&self) -> bool {
        !self.channel.is_throttled()
    }

    /// Bytes queued for the peer, as [`Limits::max_queued`](crate::Limits::max_queued) counts.
    #[inline]
    pub const fn queued(&self) -> usize {
        self.channel.queue.bytes()
    }

    /// Whether [`send`](Self::send) would take a message.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.channel.queue.bytes() < self.config.limits.max_queued
    }

    /// Returns whether a message that is sent now goes out now. That is so if nothing is queued,
    /// and a GET waits or the WebSocket takes bytes. It is for messages that are worth sending only
    /// at once.
    pub fn is_idle(&self) -> bool {
        self.state == State::Open
            && self.channel.queue.is_empty()
            && match self.transport {
                Transport::Polling => self.polling.is_waiting(),
                Transport::WebSocket { .. } => !self.blocked,
            }
    }

    /// Returns whether writers that found no room should try again. They should once half of the
    /// room is free.
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.channel.queue.is_writable(&self.config.limits)
    }

    /// Whether [`poll_write`](Self::poll_write) has something for this WebSocket.
    #[inline]
    pub fn wants_write(&self, on: WebSocketId) -> bool {
        if self.is_socket(on) { !self.channel.queue.is_empty() } else { self.probe_wants_write(on) }
    }

    /// Whether [`poll_action`](Self::poll_action) has something.
    #[inline]
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    #[inline]
    pub fn has_events(&self) -> bool {
        self.channel.has_events()
    }

    /// Feeds all that the session's future depends on into `into`, but for its configuration.
    pub fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        let Self {
            config: _,
            sid,
            revision,
            state,
            transport,
            lost,
            blocked,
            close_deadline,
            abandoned,
            polling,
            probe,
            timers,
            extended,
            excused,
            progress,
            closing,
            channel,
            actions,
        } = self;
        into.push_time(now, *close_deadline);
        into.push(&(sid, revision, state, lost, blocked));
        into.push(&(abandoned, extended, excused, progress, closing, channel));
        match *transport {
            Transport::Polling => into.push_name(None),
            Transport::WebSocket { on, base64 } => {
                into.push_name(Some(on.0));
                into.push(&base64);
            }
        }
        polling.fingerprint(into);
        into.push(&probe.is_some());
        if let Some(probe) = probe {
            probe.fingerprint(into);
        }
        timers.fingerprint(now, into);
        into.push(&actions.len());
        for action in actions {
            into.push(&core::mem::discriminant(action));
            match action {
                ServerAction::Respond(on, response) => {
                    into.push_name(Some(on.0));
                    into.push(response);
                }
                ServerAction::CloseWebSocket(on) => into.push_name(Some(on.0)),
            }
        }
    }
}

impl ServerSession {
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

        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
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

    fn is_socket(&self, on: WebSocketId) -> bool {
        matches!(self.transport, Transport::WebSocket { on: current, .. } if current == on)
    }

    /// A packet came on the session's transport.
    fn handle_packet(&mut self, now: Time, packet: Packet) {
        self.note_traffic(now, matches!(packet, Packet::Pong(_)));
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
        match self.state {
            State::Open => self.channel.deliver(message, &self.config.limits),
            State::Closing if !self.drops_messages() => self.channel.deliver_unthrottled(message),
            State::Closing | State::Closed => {}
        }
    }

    /// The session is closing, and the application is gone or has too much to catch up with.
    fn drops_messages(&self) -> bool {
        let full = self.channel.unread() >= self.config.limits.max_unread;
        self.state == State::Closing && (self.abandoned || full)
    }

    #[inline]
    fn resume_if_caught_up(&mut self) {
        if self.channel.has_caught_up(&self.config.limits) {
            self.resume();
        }
    }

    /// The application has caught up.
    fn resume(&mut self) {
        self.channel.resume();
        self.answer_withheld_post();
    }

    /// Once a closing session on a WebSocket has let everything out, closes that.
    fn close_drained_socket(&mut self) {
        if self.state == State::Closing && self.channel.queue.is_empty() {
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
            self.actions.push_back(ServerAction::CloseWebSocket(probe.on));
        }
        if let (Transport::WebSocket { on, .. }, false) = (self.transport, self.lost) {
            self.actions.push_back(ServerAction::CloseWebSocket(on));
        }
        self.channel.finish(reason);
    }
}

impl fmt::Debug for ServerSession {
    /// Without the session id and without messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession")
            .field("revision", &self.revision)
            .field("state", &self.state)
            .field("transport", &self.transport)
            .field("probe", &self.probe)
            .field("timers", &self.timers)
            .field("queued", &self.channel.queue.bytes())
            .field("unread", &self.channel.unread())
            .finish_non_exhaustive()
    }
}
