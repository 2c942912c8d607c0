//! One Engine.IO session, client side.
//!
//! A [`ClientSession`] asks for HTTP requests and WebSockets and knows nothing of bytes on a socket.
//! The files beside this one hold one rule each: `polling` (a GET that waits, a POST with what there
//! is), `upgrade` (the move to a WebSocket), `heartbeat`; its deadlines are in `timer`, its options in `config`.
//! When to try again after a session is over is the business of `reconnect`.

mod config;
mod cookies;
mod getters;
mod heartbeat;
mod open_packet;
mod polling;
mod reconnect;
mod redirect;
mod stamp;
mod timer;
mod upgrade;

#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, string::String, sync::Arc};
use core::fmt;

pub(crate) use self::config::PROXY_AUTHORIZATION;
pub(crate) use self::redirect::is_same_origin;
pub use self::{
    config::{ClientConfig, InvalidSubprotocol},
    open_packet::OpenPacket,
    reconnect::{Backoff, Reconnect, Reconnector},
    timer::ClientTimerKind,
};
use self::{
    cookies::Cookies, polling::Polling, redirect::Place, stamp::Stamp, timer::AWAITED,
    upgrade::Probe,
};
use crate::{
    channel::{
        Channel, CloseReason, Event, ExchangeId, Progress, SendError, Timers, TransportFault,
        TrySendError, WebSocketEnd, WebSocketId,
    },
    codec::{self, Frame, PacketRef, encode_frame},
    config::TransportKind,
    encoded::IntoEncoded,
    entropy::Entropy,
    exchange::Request,
    packet::{Message, Packet},
    query,
    time::Time,
    url::Url,
};

/// One Engine.IO session, client side.
///
/// Its methods come in the same four families as those of [`ServerSession`](crate::ServerSession): network
/// inputs, application commands, outputs and getters. What it wants done it asks for with
/// [`poll_action`](Self::poll_action): requests to be sent and WebSockets to be opened, under names
/// that it chooses and that come back in the network inputs. It has at most one GET and one POST under
/// way.
///
/// ```
/// use std::sync::Arc;
///
/// use enginewire::{ClientAction, ClientConfig, ClientSession, Time, Url};
///
/// let url = Url::parse("http://localhost:3000")?;
/// let config = Arc::new(ClientConfig::new(&url));
/// let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
/// let mut session = ClientSession::new(Time::ZERO, config, false, &mut entropy);
/// // It keeps what is sent before it is open.
/// session.send("hello")?;
/// let Some(ClientAction::Request(exchange, request)) = session.poll_action(Time::ZERO) else {
///     panic!("it opens with a GET");
/// };
/// assert!(request.target.starts_with("/engine.io/?EIO=4&transport=polling&t="));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Requests are made up when they are asked for: two inputs without a look at the actions between
/// them are fine, and may save a request.
///
/// Its states, where the server offers an upgrade. One that is closing takes no more messages, and
/// delivers those that are queued.
///
/// | state | next states |
/// |---|---|
/// | opening | upgrading, closing on polling, closed |
/// | upgrading | WebSocket, polling, closing on polling, closed |
/// | polling | closing on polling, closed |
/// | WebSocket | closing on WebSocket, closed |
/// | closing on polling | closed |
/// | closing on WebSocket | closed |
/// | closed | |
///
/// Where it offers none, opening leads to polling, or to WebSocket if that is the first of
/// [`transports`](ClientConfig::transports). While upgrading, polling is the transport, and a WebSocket is
/// probed.
#[derive(Clone)]
pub struct ClientSession {
    config: Arc<ClientConfig>,
    /// Where requests go.
    place: Place,
    stamp: Stamp,
    cookies: Cookies,
    state: State,
    transport: Transport,
    /// The transports to be tried if the session does not open, the next one first.
    others: VecDeque<TransportKind>,
    handshake: Option<OpenPacket>,
    /// The transport, a WebSocket, is gone: there is nothing left to close.
    lost: bool,
    /// The first line of the response that refused the session.
    refusal: Option<String>,
    /// The application has closed or aborted the session.
    was_closed: bool,
    /// When a closing session ends, whatever is still queued.
    close_by: Time,
    /// Messages that were queued when the session ended.
    undelivered: usize,
    polling: Polling,
    probe: Option<Probe>,
    /// The WebSocket that was opened last, and the subprotocol that the server has chosen for it.
    subprotocol: Option<(WebSocketId, String)>,
    /// The first frame on the WebSocket that the session has moved to, the upgrade packet, is due.
    upgrade_due: bool,
    timers: Timers<ClientTimerKind, 8>,
    /// Counts towards the next extension of the heartbeat.
    progress: Progress,
    /// The deadline of the server's silence was moved because the driver was late.
    excused: bool,
    channel: Channel,
    actions: VecDeque<ClientAction>,
    next_id: u64,
}

/// Action that [`ClientSession::poll_action`] asks of the driver.
#[derive(Clone, Debug)]
pub enum ClientAction {
    /// Send this request. The outcome goes to [`ClientSession::handle_response`] or
    /// [`ClientSession::handle_exchange_lost`].
    Request(ExchangeId, Request),
    /// Give up this exchange: its response is not wanted, and its connection may be closed.
    Abandon(ExchangeId),
    /// Open a WebSocket with this request.
    ///
    /// Add the fields of the opening handshake (RFC 6455 section 4.1) to it. The outcome goes to
    /// [`ClientSession::handle_websocket_open`] or
    /// [`ClientSession::handle_websocket_refused`].
    OpenWebSocket(WebSocketId, Request),
    /// Close this WebSocket, or give it up if it is not open yet.
    ///
    /// A Close frame without a code follows the frames that [`ClientSession::poll_write`] has given for it.
    CloseWebSocket(WebSocketId),
}

/// Until the handshake has come, `Open` means that the session is being opened, and `Closing` that it
/// is to be closed as soon as it is open and what is queued has been let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Open,
    Closing,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Polling,
    WebSocket(WebSocketId),
}

/// Network inputs. Those of polling are in a file of their own.
impl ClientSession {
    /// Begins to open a session.
    ///
    /// `websocket_worked` says that a WebSocket to this server has worked before and nothing has
    /// failed since; it is of meaning with [`ClientConfig::remember_upgrade`]. See
    /// [`websocket_works`](Self::websocket_works).
    pub fn new(
        now: Time,
        config: Arc<ClientConfig>,
        websocket_worked: bool,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let url = config.url.clone();
        Self::at(now, &url, config, websocket_worked, entropy)
    }

    /// The same with the server at `url`, whatever the configuration was made for.
    pub(crate) fn at(
        now: Time,
        url: &Url,
        config: Arc<ClientConfig>,
        websocket_worked: bool,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let mut others: VecDeque<_> = config.transports.iter().copied().collect();
        if websocket_worked && config.remember_upgrade {
            // Stable: of two that are equal the first stays the first.
            others.make_contiguous().sort_by_key(|&kind| kind != TransportKind::WebSocket);
        }
        let first = others.pop_front().unwrap_or(TransportKind::Polling);
        let mut session = Self {
            place: Place::new(url, &config),
            stamp: Stamp::new(entropy),
            cookies: Cookies::default(),
            state: State::Open,
            transport: Transport::Polling,
            others,
            handshake: None,
            lost: false,
            refusal: None,
            was_closed: false,
            close_by: Time::MAX,
            undelivered: 0,
            polling: Polling::default(),
            probe: None,
            subprotocol: None,
            upgrade_due: false,
            timers: Timers::default(),
            progress: Progress::default(),
            excused: false,
            channel: Channel::default(),
            actions: VecDeque::new(),
            next_id: 0,
            config,
        };
        session.begin(now, first);
        session
    }

    /// A WebSocket that was asked for is open: the server has answered with 101.
    ///
    /// `subprotocol` is the one that the server has chosen. The driver has made sure that it was
    /// offered; see [`ClientKey::check`](crate::wire::ws::ClientKey::check).
    pub fn handle_websocket_open(
        &mut self,
        _now: Time,
        on: WebSocketId,
        subprotocol: Option<&str>,
    ) {
        if !self.is_probe(on) && (!self.is_socket(on) || self.state == State::Closed) {
            // It was given up while it was being opened.
            self.actions.push_back(ClientAction::CloseWebSocket(on));
            return;
        }
        self.subprotocol = subprotocol.map(|name| (on, String::from(name)));
        if self.is_probe(on) {
            self.ask_probe();
        }
    }

    /// A WebSocket that was asked for could not be opened.
    pub fn handle_websocket_refused(&mut self, now: Time, on: WebSocketId, fault: TransportFault) {
        if self.is_probe(on) {
            return self.forget_probe();
        }
        if self.is_socket(on) && self.state != State::Closed {
            self.lost = true;
            self.fail(now, fault);
        }
    }

    /// A message came on a WebSocket of this session.
    pub fn handle_websocket_message(&mut self, now: Time, on: WebSocketId, message: Message) {
        if self.is_probe(on) {
            return self.handle_probe_message(&message);
        }
        if !self.is_socket(on) || self.state == State::Closed {
            return;
        }
        let decoded = match message {
            Message::Text(text) => codec::decode_text(self.config.revision, text).map(Some),
            Message::Binary(bytes) => Ok(codec::decode_binary(self.config.revision, bytes)),
        };
        match decoded {
            Ok(Some(packet)) => self.handle_packet(now, packet),
            Ok(None) => {}
            Err(error) => self.fail(now, error.into()),
        }
    }

    /// A WebSocket of this session has come to its end.
    pub fn handle_websocket_lost(&mut self, now: Time, on: WebSocketId, end: WebSocketEnd) {
        if self.is_probe(on) {
            return self.forget_probe();
        }
        if !self.is_socket(on) || self.state == State::Closed {
            return;
        }
        self.lost = true;
        match end {
            WebSocketEnd::Violation(violation) => self.fail(now, violation.into()),
            // Before the handshake there was no session that could have been closed.
            _ if self.handshake.is_none() => self.fail(now, TransportFault::ConnectionLost),
            // As the reference, to which a connection that breaks is closed.
            WebSocketEnd::Closed | WebSocketEnd::Failed => self.finish(CloseReason::TransportClose),
        }
    }

    /// The clock has moved. Calling it before the deadline of [`poll_timeout`](Self::poll_timeout)
    /// does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((_, kind)) = self.timers.expire(now) {
            match kind {
                ClientTimerKind::Open => self.fail(now, TransportFault::Timeout),
                ClientTimerKind::Get => self.get_failed(now, TransportFault::Timeout),
                ClientTimerKind::Post => self.post_failed(now, TransportFault::Timeout),
                ClientTimerKind::Ping => self.ping(now),
                ClientTimerKind::Heartbeat => self.heartbeat_missed(now),
                ClientTimerKind::Upgrade => self.abandon_probe(),
                // What it has kept from being asked for is asked for now.
                ClientTimerKind::Rest => {}
                ClientTimerKind::Close => self.finish(CloseReason::ForcedClose),
            }
        }
    }
}

/// For drivers that may not have been listening, as after a pause of the process.
impl ClientSession {
    /// When something that the server has to do is due.
    pub fn peer_deadline(&self) -> Option<Time> {
        self.timers.earliest(AWAITED)
    }

    /// Extends the deadlines of the server to `until`.
    ///
    /// For a driver that was late itself: what the server has done may not have been read yet.
    pub fn extend_deadlines(&mut self, until: Time) {
        let heartbeat = self.timers.deadline(ClientTimerKind::Heartbeat);
        self.excused |= heartbeat.is_some_and(|deadline| deadline < until);
        self.timers.postpone(AWAITED, until);
        self.close_by = self.close_by.max(until);
    }
}

/// Application commands.
impl ClientSession {
    /// Queues a message, also before the session is open.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while the server is slow or the session opens, [`SendError::Closed`] once it
    /// is closing, and with either the message.
    pub fn send(&mut self, message: impl IntoEncoded) -> Result<(), TrySendError> {
        let message = message.into_encoded();
        if self.state != State::Open {
            return Err(TrySendError { message, reason: SendError::Closed });
        }
        self.channel.send(message, &self.config.limits)
    }

    /// Ends the session once everything queued has been let out, or after
    /// [`ClientConfig::close_timeout`]. Messages of the server are no longer delivered. An upgrade
    /// that is under way is given up. The server's response to the last POST has
    /// [`ClientConfig::linger`].
    pub fn close(&mut self, now: Time) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closing;
        self.was_closed = true;
        self.close_by = now + self.config.close_timeout;
        self.limit_close(now);
        // The application reads no more, so nothing must wait for it.
        self.channel.resume();
        self.abandon_probe();
        self.close_drained();
    }

    /// Closes the session as [`close`](Self::close) does, for a reason of the application's.
    pub fn close_with(&mut self, now: Time, reason: CloseReason) {
        if self.state == State::Open {
            self.channel.give_reason(reason);
            self.close(now);
        }
    }

    /// Ends the session now. What is queued is lost, and on polling the server is not told.
    pub fn abort(&mut self) {
        self.abort_with(CloseReason::ForcedClose);
    }

    /// Ends the session as [`abort`](Self::abort) does, for a reason of the application's.
    pub fn abort_with(&mut self, reason: CloseReason) {
        self.was_closed |= self.state != State::Closed;
        self.finish(reason);
    }
}

/// Outputs.
impl ClientSession {
    /// Returns the next action for the driver. The time that a request may take counts from here.
    pub fn poll_action(&mut self, now: Time) -> Option<ClientAction> {
        self.actions.pop_front().or_else(|| self.next_request(now))
    }

    /// The next frame for this WebSocket. Pull only while the socket takes bytes: what has not been
    /// pulled counts against [`Limits::max_queued`](crate::Limits::max_queued).
    pub fn poll_write(&mut self, on: WebSocketId) -> Option<Frame> {
        if !self.is_socket(on) {
            return self.poll_write_probe(on);
        }
        if core::mem::take(&mut self.upgrade_due) {
            self.close_drained();
            return Some(encode_frame(self.config.revision, PacketRef::Upgrade, false));
        }
        self.handshake.as_ref()?;
        let frame = self.channel.queue.pop_frame(self.config.revision, self.config.force_base64)?;
        self.channel.tell_writable(&self.config.limits);
        self.close_drained();
        Some(frame)
    }

    /// Returns the next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.channel.poll_event()?;
        if self.channel.has_caught_up(&self.config.limits) {
            self.channel.resume();
        }
        Some(event)
    }

    /// Takes the next event as [`poll_event`](Self::poll_event) does, but keeps counting a message as unread.
    ///
    /// Its [`cost`](Message::cost) is given back with [`release`](Self::release), as on a
    /// [server](crate::ServerSession::take_event).
    pub fn take_event(&mut self) -> Option<Event> {
        self.channel.take_event()
    }

    /// Gives back what messages from [`take_event`](Self::take_event) count for.
    pub fn release(&mut self, cost: usize) {
        self.channel.give_back(cost);
        if self.channel.has_caught_up(&self.config.limits) {
            self.channel.resume();
        }
    }

    /// Counts `cost` as unread, until it is given back with [`release`](Self::release).
    ///
    /// For messages of an earlier session that the application has not taken: all sessions of one client together
    /// keep within [`Limits::max_unread`](crate::Limits::max_unread) then.
    pub fn hold(&mut self, cost: usize) {
        self.channel.hold(cost, &self.config.limits);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for. Changes with any other
    /// call.
    pub const fn poll_timeout(&self) -> Option<(Time, ClientTimerKind)> {
        self.timers.next()
    }
}

impl ClientSession {
    /// Starts to open the session on `transport`.
    fn begin(&mut self, now: Time, transport: TransportKind) {
        self.lost = false;
        self.polling = Polling::default();
        self.timers.set(ClientTimerKind::Open, now + self.config.open_timeout);
        self.transport = match transport {
            // The GET is asked for when somebody looks.
            TransportKind::Polling => Transport::Polling,
            TransportKind::WebSocket => {
                let on = WebSocketId(self.fresh_id());
                let request = self.request(now, TransportKind::WebSocket);
                self.actions.push_back(ClientAction::OpenWebSocket(on, request));
                Transport::WebSocket(on)
            }
        };
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A GET for `transport`, with all that the configuration and the session add to it.
    fn request(&mut self, now: Time, transport: TransportKind) -> Request {
        let mut target = String::from(self.place.target());
        target.push_str(transport.name());
        if self.config.is_stamped(transport) {
            query::push_pair(&mut target, &self.config.timestamp_param, &self.stamp.next());
        }
        if let Some(handshake) = &self.handshake {
            query::push_pair(&mut target, "sid", &handshake.sid);
        }
        // The server goes by the request that creates the transport.
        let creates = self.handshake.is_none() || transport == TransportKind::WebSocket;
        if self.config.force_base64 && creates {
            query::push_pair(&mut target, "b64", "1");
        }
        let own = self.place.is_own();
        let mut headers = self.config.request_headers(transport, own);
        let cookie = self.config.cookie.as_deref().filter(|_| own);
        let cookies = self.cookies.header(now, self.place.scope(), cookie);
        if let Some(cookies) = cookies {
            // What came in a field can go in one.
            let _ = headers.push("Cookie", cookies);
        }
        Request { method: "GET", target, content_type: None, headers, body: bytes::Bytes::new() }
    }

    fn is_socket(&self, on: WebSocketId) -> bool {
        self.transport == Transport::WebSocket(on)
    }

    /// A packet came on the session's transport.
    fn handle_packet(&mut self, now: Time, packet: Packet) {
        if self.handshake.is_none() {
            return match packet {
                Packet::Open(data) => self.open(now, &data),
                _ => self.fail(now, TransportFault::Handshake),
            };
        }
        self.note_traffic(now, &packet);
        match packet {
            Packet::Message(message) if self.state == State::Open => {
                self.channel.deliver(message, &self.config.limits);
            }
            Packet::Ping(_) => self.handle_ping(now),
            Packet::Pong(_) => self.handle_pong(now),
            Packet::Close => self.finish(if self.state == State::Closing {
                CloseReason::ForcedClose
            } else {
                CloseReason::TransportClose
            }),
            // After `close` nothing is delivered; the others are out of place, and harmless.
            Packet::Message(_) | Packet::Open(_) | Packet::Upgrade | Packet::Noop => {}
        }
    }

    /// The handshake came.
    fn open(&mut self, now: Time, data: &str) {
        let Some(handshake) = OpenPacket::parse(data) else {
            return self.fail(now, TransportFault::Handshake);
        };
        self.timers.stop(ClientTimerKind::Open);
        let upgrades = handshake.upgrades_to_websocket;
        self.handshake = Some(handshake);
        self.start_heartbeat(now);
        if self.state == State::Closing {
            return self.close_drained();
        }
        self.channel.tell(Event::Opened);
        if upgrades {
            self.begin_probe(now);
        }
    }

    /// The transport has failed. While the session opens another may be tried.
    fn fail(&mut self, now: Time, fault: TransportFault) {
        let opening = self.handshake.is_none() && self.state == State::Open;
        if opening
            && self.config.try_all_transports
            && let Some(next) = self.others.pop_front()
        {
            self.leave_transport();
            return self.begin(now, next);
        }
        self.finish(CloseReason::TransportError(fault));
    }

    /// Once a closing session has let everything out, closes its transport.
    fn close_drained(&mut self) {
        if self.state != State::Closing || self.upgrade_due || !self.channel.queue.is_empty() {
            return;
        }
        match self.transport {
            // There, the server is told with a packet.
            Transport::Polling if self.handshake.is_some() => {}
            _ => self.finish(CloseReason::ForcedClose),
        }
    }

    /// Gives up whatever the session has under way.
    fn leave_transport(&mut self) {
        self.abandon_exchanges();
        if let Some(probe) = self.probe.take() {
            self.actions.push_back(ClientAction::CloseWebSocket(probe.on));
        }
        if let (Transport::WebSocket(on), false) = (self.transport, self.lost) {
            self.actions.push_back(ClientAction::CloseWebSocket(on));
        }
    }

    /// Ends the session and says why, once.
    fn finish(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.timers.stop_all();
        self.leave_transport();
        self.upgrade_due = false;
        self.undelivered = self.channel.queue.messages();
        self.channel.finish(reason);
    }
}

impl fmt::Debug for ClientSession {
    /// Without the session id and without messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("state", &self.state)
            .field("transport", &self.transport)
            .field("handshake", &self.handshake)
            .field("polling", &self.polling)
            .field("probe", &self.probe)
            .field("timers", &self.timers)
            .field("queued", &self.queued())
            .field("unread", &self.channel.unread())
            .finish_non_exhaustive()
    }
}
