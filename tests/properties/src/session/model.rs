//! What a session must do, kept beside one that does it.

use core::time::Duration;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use enginewire::{
    Action, Admission, BadRequest, Body, Carrier, CloseReason, Config, Encoded, Event, ExchangeId,
    Limits, Message, Packet, Reject, Response, Revision, Route, Router, SendError, Session,
    SessionRequest, SocketEnd, SocketId, Time, TransportFault, TransportKind,
    codec::{self, DecodeError, Frame, PayloadDecoder, PayloadForm, jsonp},
    wire::http::RequestHead,
};

use super::options::Options;
use crate::sent::Sent;

pub(super) struct Model {
    pub(super) session: Session,
    config: Arc<Config>,
    revision: Revision,
    /// The client can take nothing binary by polling.
    base64: bool,
    jsonp: bool,
    requests: Requests,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    sockets: BTreeMap<SocketId, Socket>,
    /// The POST that the session has not answered.
    post: Option<Post>,
    probe: Option<Probe>,
    /// The WebSocket that is the transport.
    current: Option<SocketId>,
    state: State,
    /// The open packet has come out.
    shaken: bool,
    /// What was sent and has not come out yet.
    queue: VecDeque<Sent>,
    /// A message was refused, and there has not been room since.
    full: bool,
    /// The application is to be told that there is room again.
    writable: bool,
    /// The events that the application must be given next, but for `Writable`.
    inbox: VecDeque<Event>,
    unread: usize,
    held: bool,
    /// The last event was taken.
    ended: bool,
}

/// One of each kind, for [`Session::admit`].
struct Requests {
    get: SessionRequest,
    post: SessionRequest,
    upgrade: SessionRequest,
    upgrade_base64: SessionRequest,
    wrong_revision: SessionRequest,
}

struct Exchange {
    is_get: bool,
    at: Time,
    /// The status that it must be answered with, once that is certain.
    status: Option<u16>,
    answered: bool,
    lost: bool,
    /// No answer was on its way when it was lost.
    must_not_be_answered: bool,
    /// It may be ended without having anything to tell.
    may_be_noop: bool,
}

struct Socket {
    /// It takes no binary frames.
    base64: bool,
    must_close: bool,
    closed: bool,
    lost: bool,
}

struct Post {
    on: ExchangeId,
    binary: bool,
    withheld: bool,
}

struct Probe {
    on: SocketId,
    probed: bool,
    deadline: Time,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Closed,
}

/// Whether an operation ends the session.
enum Ends {
    No,
    With(CloseReason),
    Perhaps(Vec<CloseReason>),
}

impl Model {
    pub(super) fn open(options: &Options, now: Time) -> Self {
        let router = Router::new(options.config.clone());
        let Ok(Route::Open(opening)) =
            router.route(&head("GET", &options.query(), options.websocket))
        else {
            panic!("{} is a handshake", options.query());
        };
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0x5a);
        let first = options.first();
        let session = router.open(now, &mut entropy, opening, first).expect("both are served");
        let requests = Requests::new(&router, &session);
        let base64 = options.base64 || options.jsonp;
        let mut model = Self {
            session,
            config: Arc::clone(router.config()),
            revision: options.revision,
            base64,
            jsonp: options.jsonp,
            requests,
            exchanges: BTreeMap::new(),
            sockets: BTreeMap::new(),
            post: None,
            probe: None,
            current: None,
            state: State::Open,
            shaken: false,
            queue: VecDeque::new(),
            full: false,
            writable: false,
            inbox: VecDeque::new(),
            unread: 0,
            held: false,
            ended: false,
        };
        match first {
            Carrier::Exchange(on) => {
                model.exchanges.insert(on, Exchange::new(true, now));
            }
            Carrier::Socket(on) => {
                model.sockets.insert(on, Socket::new(base64));
                model.current = Some(on);
            }
        }
        if let Some(message) = &options.config.initial_packet {
            model.queue.push_back(Sent::new(message));
        }
        model
    }

    pub(super) fn get(&mut self, now: Time, on: ExchangeId) {
        let mut exchange = Exchange::new(true, now);
        let mut ends = Ends::No;
        if self.polling_refused() {
            exchange.status = Some(400);
        } else {
            let overlap = CloseReason::TransportError(TransportFault::PollOverlap);
            let mut reasons = Vec::new();
            // Whether the last one still waits is certain only once the actions have been taken.
            match self.waiting_get() {
                Some(_) if !self.session.has_actions() => ends = Ends::With(overlap),
                Some(_) => reasons.push(overlap),
                None => {}
            }
            if self.state == State::Closing {
                reasons.push(CloseReason::ForcedClose);
            }
            if !reasons.is_empty() {
                ends = Ends::Perhaps(reasons);
            }
        }
        self.exchanges.insert(on, exchange);
        self.session.handle_poll(now, on);
        if self.session.close_reason().is_some_and(|reason| reason.as_str() == "transport error") {
            let exchange = self.exchanges.get_mut(&on).expect("just put in");
            exchange.status = Some(400);
        }
        self.after(ends);
    }

    pub(super) fn post(&mut self, now: Time, on: ExchangeId, binary: bool) {
        let mut ends = Ends::No;
        self.exchanges.insert(on, Exchange::new(false, now));
        if self.polling_refused() {
            self.answers(on, 400);
        } else if let Some(first) = self.post.take() {
            self.answers(first.on, 400);
            self.answers(on, 400);
            ends = Ends::With(CloseReason::TransportError(TransportFault::PostOverlap));
        } else if binary && self.revision == Revision::V4 {
            self.answers(on, 400);
            ends = Ends::With(CloseReason::TransportError(TransportFault::InvalidContent));
        } else {
            self.post = Some(Post { on, binary, withheld: false });
        }
        self.session.handle_post(now, on, binary);
        self.after(ends);
    }

    pub(super) fn body(&mut self, now: Time, on: ExchangeId, body: Body) {
        let awaited = self.post.as_ref().filter(|post| post.on == on && !post.withheld);
        let Some(binary) = awaited.map(|post| post.binary) else {
            self.session.handle_body(now, on, body);
            return self.after(Ends::No);
        };
        let mut ends = Ends::No;
        let status = match &body {
            _ if self.state == State::Closed => 400,
            Body::TooLarge => 413,
            Body::Complete(bytes) => match self.payload(bytes, binary) {
                Ok(packets_end) => {
                    ends = packets_end;
                    200
                }
                Err(error) => {
                    ends = Ends::With(CloseReason::ParseError(error));
                    400
                }
            },
        };
        if status == 200 && self.held && matches!(ends, Ends::No) {
            self.post = Some(Post { on, binary, withheld: true });
        } else {
            self.answers(on, status);
            self.post = None;
        }
        self.session.handle_body(now, on, body);
        self.after(ends);
    }

    pub(super) fn exchange_lost(&mut self, now: Time, on: ExchangeId) {
        let mut ends = Ends::No;
        let certain = !self.session.has_actions();
        if let Some(exchange) = self.exchanges.get_mut(&on) {
            let waits = exchange.is_get && exchange.waits();
            exchange.lost = true;
            exchange.must_not_be_answered |= certain;
            if waits && self.state != State::Closed {
                let reason = CloseReason::TransportError(TransportFault::PollLost);
                ends = if certain { Ends::With(reason) } else { Ends::Perhaps(vec![reason]) };
            }
        }
        if let Some(post) = self.post.take_if(|post| post.on == on)
            && !post.withheld
            && self.state != State::Closed
        {
            ends = Ends::With(CloseReason::TransportError(TransportFault::PostLost));
        }
        self.session.handle_exchange_lost(now, on);
        self.after(ends);
    }

    pub(super) fn socket_open(&mut self, now: Time, on: SocketId, base64: bool) {
        let mut socket = Socket::new(base64);
        if self.may_upgrade() {
            let deadline = now + self.config.upgrade_timeout;
            self.probe = Some(Probe { on, probed: false, deadline });
        } else {
            socket.must_close = true;
        }
        self.sockets.insert(on, socket);
        self.session.handle_socket_open(now, on, base64);
        self.after(Ends::No);
    }

    pub(super) fn socket_message(&mut self, now: Time, on: SocketId, message: Message) {
        let decoded = match message.clone() {
            Message::Text(text) => codec::decode_text(self.revision, text).map(Some),
            Message::Binary(bytes) => Ok(codec::decode_binary(self.revision, bytes)),
        };
        let mut ends = Ends::No;
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.on == on) {
            match decoded {
                Ok(Some(Packet::Ping(data))) if data == "probe" => {
                    probe.probed = true;
                    self.may_be_noop();
                }
                Ok(Some(Packet::Upgrade)) if probe.probed => {
                    self.probe = None;
                    self.current = Some(on);
                    self.inbox.push_back(Event::Upgraded);
                    ends = self.drained_perhaps();
                }
                _ => {
                    self.probe = None;
                    self.must_close(on);
                }
            }
        } else if self.current == Some(on) && self.state != State::Closed {
            ends = match decoded {
                Ok(packet) => packet.map_or(Ends::No, |packet| self.packet(packet)),
                Err(error) => Ends::With(CloseReason::ParseError(error)),
            };
        }
        self.session.handle_socket_message(now, on, message);
        self.after(ends);
    }

    pub(super) fn socket_lost(&mut self, now: Time, on: SocketId, end: SocketEnd) {
        let mut ends = Ends::No;
        if let Some(socket) = self.sockets.get_mut(&on) {
            socket.lost = true;
        }
        self.probe.take_if(|probe| probe.on == on);
        if self.current == Some(on) && self.state != State::Closed {
            ends = Ends::With(match end.clone() {
                SocketEnd::Closed => CloseReason::TransportClose,
                SocketEnd::Violation(violation) => CloseReason::TransportError(violation.into()),
                SocketEnd::Failed => CloseReason::TransportError(TransportFault::ConnectionLost),
            });
        }
        self.session.handle_socket_lost(now, on, end);
        self.after(ends);
    }

    /// Pulls one frame; whether there was one.
    pub(super) fn write(&mut self, on: SocketId) -> bool {
        // Messages in answers that have not been looked at came out before those in frames.
        self.take_actions();
        let wants = self.session.wants_write(on);
        let frame = self.session.poll_write(on);
        assert_eq!(frame.is_some(), wants);
        let Some(frame) = frame else { return false };
        let packet = self.frame(&frame);
        if self.probe.as_ref().is_some_and(|probe| probe.on == on) {
            assert_eq!(packet, Packet::Pong("probe".into()));
        } else {
            assert!(self.current == Some(on) && self.state != State::Closed);
            assert!(!(frame.binary && self.sockets[&on].base64));
            assert!(!matches!(packet, Packet::Noop | Packet::Close | Packet::Upgrade));
            self.came_out(packet);
        }
        let ends = self.drained_perhaps();
        self.after(ends);
        true
    }

    pub(super) fn send(&mut self, message: &Encoded) {
        let (queued, max) = (self.session.queued(), self.config.limits.max_queued);
        let expected = if self.state != State::Open {
            Err(SendError::Closed)
        } else if message.parts() == 0 || queued < max {
            Ok(())
        } else {
            self.full = true;
            Err(SendError::Full { queued, max })
        };
        assert_eq!(self.session.has_room(), queued < max);
        if expected.is_ok() && message.parts() > 0 {
            self.queue.push_back(Sent::new(message));
        }
        assert_eq!(self.session.send(message.clone()).map_err(SendError::from), expected);
        self.after(Ends::No);
    }

    pub(super) fn close(&mut self, now: Time) {
        if self.state == State::Open {
            self.state = State::Closing;
            self.release();
        }
        self.session.close(now);
        let ends = self.drained_perhaps();
        self.after(ends);
    }

    pub(super) fn abort(&mut self) {
        self.session.abort();
        let ends = match self.state {
            State::Closed => Ends::No,
            _ => Ends::With(CloseReason::ForcedClose),
        };
        self.settle(ends, false);
    }

    pub(super) fn timeout(&mut self, now: Time) {
        let seen = |session: &Session| {
            let outputs = (session.has_actions(), session.has_events(), session.queued());
            (outputs, session.poll_timeout(), session.is_closed())
        };
        let before = seen(&self.session);
        let due = self.session.poll_timeout().is_some_and(|(deadline, _)| deadline <= now);
        if due && self.probe.as_ref().is_some_and(|probe| probe.probed) {
            self.may_be_noop();
        }
        self.session.handle_timeout(now);
        assert!(due || seen(&self.session) == before, "nothing was due");
        let next = self.session.poll_timeout();
        assert!(next.is_none_or(|(deadline, _)| deadline > now), "{next:?} is in the past");
        if let Some(probe) = self.probe.take_if(|probe| probe.deadline <= now) {
            self.must_close(probe.on);
        }
        let mut reasons = vec![CloseReason::PingTimeout];
        if self.state == State::Closing {
            // It has waited long enough for the peer to take what is queued.
            reasons.push(CloseReason::ForcedClose);
        }
        self.settle(if due { Ends::Perhaps(reasons) } else { Ends::No }, false);
    }

    /// Takes one event; whether there was one.
    pub(super) fn take_event(&mut self) -> bool {
        let has_events = self.session.has_events();
        let event = self.session.poll_event();
        assert_eq!(event.is_some(), has_events);
        let Some(event) = event else {
            assert!(self.inbox.is_empty(), "{:?} is missing", self.inbox);
            return false;
        };
        assert!(!self.ended, "{event:?} behind the last");
        match &event {
            Event::Writable => {
                if !std::mem::take(&mut self.writable) {
                    // A session may have found room and ended in one go.
                    let last = self.state == State::Closed && std::mem::take(&mut self.full);
                    assert!(last, "nobody was refused");
                }
                return true;
            }
            Event::Message(message) => {
                self.unread -= message.len() + Limits::MESSAGE_OVERHEAD;
                if self.unread <= self.config.limits.max_unread / 2 {
                    self.release();
                }
            }
            Event::Upgraded => {}
            Event::Opened => panic!("a server's session is open from the beginning"),
            Event::Closed(_) => self.ended = true,
        }
        assert_eq!(self.inbox.pop_front(), Some(event));
        self.after(Ends::No);
        true
    }

    pub(super) fn take_actions(&mut self) {
        while self.session.has_actions() {
            match self.session.poll_action().expect("it says that it has one") {
                Action::Respond(on, response) => self.responded(on, &response),
                Action::CloseSocket(on) => {
                    let socket = self.sockets.get_mut(&on).expect("a WebSocket that was opened");
                    assert!(socket.must_close && !socket.closed, "{on:?}");
                    socket.closed = true;
                }
            }
        }
        assert!(self.session.poll_action().is_none());
    }

    /// What holds at any time.
    pub(super) fn check(&self) {
        let session = &self.session;
        let closed = self.state == State::Closed;
        assert_eq!((session.is_open(), session.is_closed()), (self.state == State::Open, closed));
        // A peer that falls silent is always noticed.
        assert_eq!(session.poll_timeout().is_none(), closed);
        assert!(closed || session.is_receiving() != self.held);
        let polls = self.current.is_none();
        assert_eq!(session.transport() == TransportKind::Polling, polls);
        self.check_admission();
        for &on in self.sockets.keys() {
            let is_probe = self.probe.as_ref().is_some_and(|probe| probe.on == on);
            assert!(!session.wants_write(on) || is_probe || (self.current == Some(on) && !closed));
        }

        if session.has_actions() {
            return;
        }
        let cost: usize = self.queue.iter().map(|sent| sent.cost).sum();
        assert_eq!(session.queued(), cost);
        let waiting =
            self.exchanges.values().filter(|exchange| exchange.is_get && exchange.waits());
        assert!(waiting.count() <= usize::from(polls && !closed));
        if let Some(get) = self.waiting_get() {
            assert!(self.queue.is_empty(), "a GET waits, and so does a message");
            if self.probe.as_ref().is_some_and(|probe| probe.probed) {
                // The client waits for it to end before it completes the upgrade.
                let soon = get.at + Duration::from_millis(100);
                assert!(session.poll_timeout().is_some_and(|(deadline, _)| deadline <= soon));
            }
        }
        if !session.has_events() && !closed {
            assert!(!self.writable, "there is room, and who was refused does not know");
            assert_eq!(self.unread, 0);
        }
        for socket in self.sockets.values() {
            assert_eq!(socket.must_close, socket.closed);
        }
        for (on, exchange) in &self.exchanges {
            let answered = exchange.answered || exchange.lost || exchange.status.is_none();
            assert!(answered, "{on:?} waits for an answer that could be given");
        }
    }

    /// What holds when everything is over and has been looked at.
    pub(super) fn check_end(&self) {
        assert!(self.ended && self.inbox.is_empty() && self.queue.is_empty());
        assert!(!self.session.has_actions() && !self.session.has_events());
        for (on, exchange) in &self.exchanges {
            assert!(exchange.answered || exchange.lost, "{on:?} has no answer");
        }
        for (on, socket) in &self.sockets {
            assert!(socket.closed || socket.lost, "{on:?} stays open");
        }
    }

    fn check_admission(&self) {
        let admit = |request| self.session.admit(request);
        let bad = |reason: BadRequest| Err(Reject::BadRequest(reason));
        let polling = |admission| match self.current {
            _ if self.state == State::Closed => Err(Reject::UnknownSession),
            Some(_) => bad(BadRequest::TransportMismatch),
            None => Ok(admission),
        };
        assert_eq!(admit(&self.requests.get), polling(Admission::Poll));
        assert_eq!(admit(&self.requests.post), polling(Admission::Post { binary: false }));
        for (request, base64) in
            [(&self.requests.upgrade, false), (&self.requests.upgrade_base64, true)]
        {
            let expected = match self.state {
                State::Closed => Err(Reject::UnknownSession),
                _ if self.may_upgrade() => Ok(Admission::Upgrade { base64 }),
                _ => bad(BadRequest::UpgradeRefused),
            };
            assert_eq!(admit(request), expected);
        }
        let expected = match self.state {
            State::Closed => Err(Reject::UnknownSession),
            _ => bad(BadRequest::RevisionMismatch),
        };
        assert_eq!(admit(&self.requests.wrong_revision), expected);
    }

    /// Behind every operation that lets everything out before it ends the session of our own will.
    fn after(&mut self, ends: Ends) {
        self.settle(ends, true);
    }

    /// Behind every operation: whether the session is over, and as it should be.
    fn settle(&mut self, ends: Ends, lets_out: bool) {
        if self.state == State::Closed {
            return assert!(self.session.is_closed());
        }
        let reason = self.session.close_reason().cloned();
        match &ends {
            Ends::No => assert_eq!(reason, None),
            Ends::With(expected) => assert_eq!(reason.as_ref(), Some(expected)),
            Ends::Perhaps(reasons) => {
                assert!(
                    reason.as_ref().is_none_or(|reason| reasons.contains(reason)),
                    "{reason:?}"
                );
            }
        }
        let Some(reason) = reason else {
            let has_room = self.session.queued() <= self.config.limits.max_queued / 2;
            assert_eq!(self.session.is_writable(), has_room);
            if has_room && std::mem::take(&mut self.full) {
                self.writable = true;
            }
            return;
        };
        self.state = State::Closed;
        if reason == CloseReason::TransportClose {
            self.may_be_noop();
        }
        if let Some(post) = self.post.take_if(|post| post.withheld) {
            self.answers(post.on, 200);
        }
        if let Some(probe) = self.probe.take() {
            self.must_close(probe.on);
        }
        if let Some(on) = self.current
            && !self.sockets[&on].lost
        {
            self.must_close(on);
        }
        self.take_actions();
        let graceful = lets_out && reason == CloseReason::ForcedClose;
        assert!(!graceful || self.queue.is_empty(), "closed before everything was out");
        self.queue.clear();
        self.inbox.push_back(Event::Closed(reason));
    }

    /// An exchange has its answer.
    fn responded(&mut self, on: ExchangeId, response: &Response) {
        let exchange = self.exchanges.get_mut(&on).expect("an exchange that was begun");
        assert!(!std::mem::replace(&mut exchange.answered, true), "{on:?} is answered twice");
        assert!(!exchange.must_not_be_answered, "{on:?} was lost long ago");
        let (is_get, status) = (exchange.is_get, response.status);
        let may_be_noop = exchange.may_be_noop;
        if let Some(expected) = exchange.status {
            return assert_eq!(status, expected, "{on:?}");
        }
        assert!(is_get && status == 200, "{on:?} has the answer {status} too early");
        let packets = self.answer(response);
        let controls =
            packets.iter().filter(|packet| matches!(packet, Packet::Noop | Packet::Close));
        if controls.count() > 0 {
            let fits = match packets[..] {
                [Packet::Noop] => may_be_noop,
                [Packet::Close] => self.state == State::Closed || self.current.is_some(),
                [Packet::Noop, Packet::Close] => self.state == State::Closed,
                _ => false,
            };
            return assert!(fits && self.shaken, "{packets:?}");
        }
        for packet in packets {
            self.came_out(packet);
        }
    }

    /// A packet has reached the peer.
    fn came_out(&mut self, packet: Packet) {
        assert_eq!(matches!(packet, Packet::Open(_)), !self.shaken, "the handshake is the first");
        match packet {
            Packet::Open(handshake) => {
                self.shaken = true;
                assert!(handshake.contains(self.session.sid().as_str()));
            }
            Packet::Ping(data) => assert!(self.revision == Revision::V4 && data.is_empty()),
            Packet::Pong(data) if data == "probe" => assert!(self.current.is_some()),
            Packet::Pong(data) => assert!(self.revision == Revision::V3 && data.is_empty()),
            Packet::Message(message) => {
                let first = self.queue.front_mut().expect("a message that was sent");
                assert_eq!(first.parts.pop_front(), Some(message), "not the one that is next");
                if first.parts.is_empty() {
                    self.queue.pop_front();
                }
            }
            other => panic!("{other:?} came out"),
        }
    }

    /// The packets in the answer to a GET.
    fn answer(&self, response: &Response) -> Vec<Packet> {
        let (body, form) = if self.jsonp {
            assert_eq!(response.content_type, Some("text/javascript; charset=UTF-8"));
            let body = response.body.strip_prefix(b"___eio[7](").expect("a call");
            let string = body.strip_suffix(b");").expect("a call to its end");
            let payload: String = serde_json::from_slice(string).expect("with a string");
            let text =
                if self.revision == Revision::V4 { PayloadForm::V4 } else { PayloadForm::V3Text };
            (payload.into(), text)
        } else {
            let form = match (self.revision, response.content_type) {
                (Revision::V4, Some("text/plain; charset=UTF-8")) => PayloadForm::V4,
                (Revision::V3, Some("text/plain; charset=UTF-8")) => PayloadForm::V3Text,
                (Revision::V3, Some("application/octet-stream")) => PayloadForm::V3Binary,
                other => panic!("{other:?}"),
            };
            assert!(!(self.base64 && form == PayloadForm::V3Binary));
            (response.body.clone(), form)
        };
        let length = body.len();
        let decoded: Result<Vec<_>, _> = PayloadDecoder::new(form, body, usize::MAX).collect();
        let packets = decoded.expect("a payload");
        assert!(packets.len() == 1 || length <= self.config.limits.max_payload);
        assert!(!packets.is_empty(), "an answer with nothing in it");
        packets
    }

    fn frame(&self, frame: &Frame) -> Packet {
        let bytes = frame.prefix.into_iter().chain(frame.payload.iter().copied()).collect();
        if frame.binary {
            return codec::decode_binary(self.revision, bytes).expect("a binary packet");
        }
        let text = enginewire::Text::from_utf8(bytes).expect("a text frame is text");
        codec::decode_text(self.revision, text).expect("a packet")
    }

    /// What the packets in the body of a POST do.
    fn payload(&mut self, body: &bytes::Bytes, binary: bool) -> Result<Ends, DecodeError> {
        let form = match (self.revision, binary) {
            (Revision::V4, _) => PayloadForm::V4,
            (Revision::V3, false) => PayloadForm::V3Text,
            (Revision::V3, true) => PayloadForm::V3Binary,
        };
        let body = if self.jsonp { jsonp::decode_body(body)? } else { Some(body.clone()) };
        let Some(body) = body else { return Ok(Ends::No) };
        for packet in PayloadDecoder::new(form, body, self.config.limits.max_packets) {
            let ends = self.packet(packet?);
            if !matches!(ends, Ends::No) {
                return Ok(ends);
            }
        }
        Ok(Ends::No)
    }

    /// What a packet on the session's transport does.
    fn packet(&mut self, packet: Packet) -> Ends {
        match (packet, self.revision) {
            (Packet::Message(message), _) => {
                if self.state == State::Open {
                    self.unread += message.len() + Limits::MESSAGE_OVERHEAD;
                    self.held |= self.unread >= self.config.limits.max_unread;
                    self.inbox.push_back(Event::Message(message));
                }
                Ends::No
            }
            (Packet::Close, _) => Ends::With(CloseReason::TransportClose),
            (Packet::Ping(_), Revision::V4) | (Packet::Pong(_), Revision::V3) => {
                Ends::With(CloseReason::TransportError(TransportFault::HeartbeatDirection))
            }
            _ => Ends::No,
        }
    }

    /// The application has caught up.
    fn release(&mut self) {
        self.held = false;
        if let Some(post) = self.post.take_if(|post| post.withheld) {
            self.answers(post.on, 200);
        }
    }

    fn answers(&mut self, on: ExchangeId, status: u16) {
        let exchange = self.exchanges.get_mut(&on).expect("an exchange that was begun");
        assert_eq!(exchange.status.replace(status), None);
    }

    /// Whoever waits now may be answered only so that he does not wait any longer.
    fn may_be_noop(&mut self) {
        let gets = self.exchanges.values_mut().filter(|exchange| exchange.is_get);
        gets.filter(|get| get.waits()).for_each(|get| get.may_be_noop = true);
    }

    fn must_close(&mut self, on: SocketId) {
        self.sockets.get_mut(&on).expect("a WebSocket that was opened").must_close = true;
    }

    /// A session that closes is over once all is out.
    fn drained_perhaps(&self) -> Ends {
        match self.state {
            State::Closing => Ends::Perhaps(vec![CloseReason::ForcedClose]),
            _ => Ends::No,
        }
    }

    fn polling_refused(&self) -> bool {
        self.state == State::Closed || self.current.is_some()
    }

    fn may_upgrade(&self) -> bool {
        !self.polling_refused() && self.probe.is_none() && self.config.allow_upgrades
    }

    fn waiting_get(&self) -> Option<&Exchange> {
        self.exchanges.values().find(|exchange| exchange.is_get && exchange.waits())
    }
}

impl Requests {
    fn new(router: &Router, session: &Session) -> Self {
        let (eio, other) = match session.revision() {
            Revision::V4 => (4, 3),
            Revision::V3 => (3, 4),
        };
        let request = |method, eio: u8, transport, upgrade| {
            let sid = session.sid();
            let query = format!("EIO={eio}&transport={transport}&sid={}", sid.as_str());
            match router.route(&head(method, &query, upgrade)) {
                Ok(Route::Session(request)) if request.sid == sid => request,
                other => panic!("{other:?} is no request of a session"),
            }
        };
        Self {
            get: request("GET", eio, "polling", false),
            post: request("POST", eio, "polling", false),
            upgrade: request("GET", eio, "websocket", true),
            upgrade_base64: request("GET", eio, "websocket&b64=1", true),
            wrong_revision: request("GET", other, "polling", false),
        }
    }
}

impl Exchange {
    const fn new(is_get: bool, at: Time) -> Self {
        Self {
            is_get,
            at,
            status: None,
            answered: false,
            lost: false,
            must_not_be_answered: false,
            may_be_noop: false,
        }
    }

    /// Whether it still waits, as far as actions that were taken tell.
    const fn waits(&self) -> bool {
        !self.answered && !self.lost && self.status.is_none()
    }
}

impl Socket {
    const fn new(base64: bool) -> Self {
        Self { base64, must_close: false, closed: false, lost: false }
    }
}

fn head(method: &str, query: &str, upgrade: bool) -> RequestHead {
    let fields = if upgrade { "Connection: Upgrade\r\nUpgrade: websocket\r\n" } else { "" };
    let raw = format!("{method} /engine.io/?{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    RequestHead::parse(raw.as_bytes(), 100).expect("a head in order")
}
