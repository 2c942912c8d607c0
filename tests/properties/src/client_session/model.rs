//! What a client's session must do, kept beside one that does it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use enginewire::{
    AnswerHead, ClientAction, ClientConfig, ClientSession, ClientTimerKind, CloseReason, Encoded,
    Event, ExchangeId, Limits, Message, Packet, Request, Revision, SendError, SocketEnd, SocketId,
    Text, Time, TransportFault, TransportKind,
    codec::{self, Frame, PayloadDecoder, PayloadForm},
};

use crate::{Reached, sent::Sent};

pub(super) struct Model {
    pub(super) session: ClientSession,
    reached: Reached,
    config: Arc<ClientConfig>,
    /// What was asked for and has not been answered, lost or given up.
    get: Option<ExchangeId>,
    post: Option<ExchangeId>,
    exchanges: u64,
    /// In the order in which they were asked for: the last one is, or may become, the transport.
    sockets: Vec<SocketId>,
    ways: BTreeMap<SocketId, Way>,
    probe: Option<Probe>,
    /// When the handshake came.
    opened: Option<Time>,
    /// Until when an upgrade must be through.
    upgrades_until: Option<Time>,
    /// Until when nothing is given up, if nothing else happens before.
    excused: Time,
    closing: bool,
    /// The packet that moves the session to a WebSocket has come out.
    upgrade_out: bool,
    /// The POST that says that the session is over has come out.
    parted: bool,
    /// What was sent and has not come out yet.
    queue: VecDeque<Sent>,
    /// Messages that were refused, less the times that the application heard of room.
    refused: usize,
    /// The messages that the application must be given next.
    inbox: VecDeque<Message>,
    unread: usize,
    held: bool,
    told: Told,
}

/// How far a WebSocket has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Opening,
    Open,
    /// It was given up or closed by the session.
    Closed,
    Lost,
}

struct Probe {
    on: SocketId,
    asked: bool,
    answered: bool,
}

/// Events that come once.
#[derive(Default)]
struct Told {
    opened: bool,
    upgraded: bool,
    closed: bool,
}

/// The head of an answer.
struct Answer<'a> {
    status: u16,
    binary: bool,
    cookie: Option<&'a [u8]>,
}

impl AnswerHead for Answer<'_> {
    fn status(&self) -> u16 {
        self.status
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        match (name, nth) {
            ("content-type", 0) if self.binary => Some(b"application/octet-stream"),
            ("set-cookie", 0) => self.cookie,
            _ => None,
        }
    }
}

/// Constructors.
impl Model {
    pub(super) fn new(config: Arc<ClientConfig>, websocket_worked: bool, now: Time) -> Self {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let session = ClientSession::new(now, Arc::clone(&config), websocket_worked, &mut entropy);
        Self {
            session,
            reached: Reached::default(),
            config,
            get: None,
            post: None,
            exchanges: 0,
            sockets: Vec::new(),
            ways: BTreeMap::new(),
            probe: None,
            opened: None,
            upgrades_until: None,
            excused: Time::ZERO,
            closing: false,
            upgrade_out: false,
            parted: false,
            queue: VecDeque::new(),
            refused: 0,
            inbox: VecDeque::new(),
            unread: 0,
            held: false,
            told: Told::default(),
        }
    }
}

/// What the network does.
impl Model {
    /// The server's open packet on what is under way, and a message right behind it.
    pub(super) fn open(&mut self, now: Time, upgrades: bool) {
        let offered = if upgrades { r#""websocket""# } else { "" };
        let open = format!(
            r#"0{{"sid":"a","upgrades":[{offered}],"pingInterval":300,"pingTimeout":200,"maxPayload":50}}"#
        );
        if self.session.transport() == TransportKind::WebSocket {
            let last = self.sockets.len().wrapping_sub(1);
            self.socket_open(now, last);
            return self.socket_message(now, last, Message::Text(Text::from(&*open)));
        }
        let body = match self.config.revision {
            Revision::V4 => format!("{open}\x1e4first"),
            Revision::V3 => format!("{}:{open}6:4first", open.len()),
        };
        self.answer_get(now, 200, false, None, body.into());
    }

    pub(super) fn answer_get(
        &mut self,
        now: Time,
        status: u16,
        binary: bool,
        cookie: Option<&[u8]>,
        body: Bytes,
    ) {
        let Some(on) = self.get.take() else { return };
        let form = match self.config.revision {
            Revision::V4 => PayloadForm::V4,
            Revision::V3 if binary => PayloadForm::V3Binary,
            Revision::V3 => PayloadForm::V3Text,
        };
        let lives = self.session.transport() == TransportKind::Polling && !self.parted;
        let packets = PayloadDecoder::new(form, body.clone(), self.config.limits.max_packets);
        let packets: Vec<_> = packets.map_while(Result::ok).collect();
        self.input(now, if lives && status == 200 { packets } else { vec![] }, |session| {
            session.handle_answer(now, on, &Answer { status, binary, cookie }, body);
        });
    }

    pub(super) fn answer_post(&mut self, now: Time, status: u16) {
        let Some(on) = self.post.take() else { return };
        self.input(now, vec![], |session| {
            let head = Answer { status, binary: false, cookie: None };
            session.handle_answer(now, on, &head, Bytes::from_static(b"4ok"));
        });
    }

    pub(super) fn lose_get(&mut self, now: Time, fault: TransportFault) {
        let Some(on) = self.get.take() else { return };
        self.input(now, vec![], |session| session.handle_exchange_lost(now, on, fault));
    }

    pub(super) fn lose_post(&mut self, now: Time, fault: TransportFault) {
        let Some(on) = self.post.take() else { return };
        self.input(now, vec![], |session| session.handle_exchange_lost(now, on, fault));
    }

    /// An answer to a request that is over, or never was.
    pub(super) fn answer_any(&mut self, now: Time, number: u64) {
        let on = ExchangeId(number);
        if self.get == Some(on) || self.post == Some(on) {
            return;
        }
        self.input(now, vec![], |session| {
            let head = Answer { status: 500, binary: false, cookie: Some(b"a=b") };
            session.handle_answer(now, on, &head, Bytes::from_static(b"4late"));
        });
    }

    pub(super) fn lose_any(&mut self, now: Time, number: u64) {
        let on = ExchangeId(number);
        if self.get == Some(on) || self.post == Some(on) {
            return;
        }
        let fault = TransportFault::ConnectionLost;
        self.input(now, vec![], |session| session.handle_exchange_lost(now, on, fault));
    }

    pub(super) fn socket_open(&mut self, now: Time, index: usize) {
        let Some(on) = self.socket(index, &[Way::Opening]) else { return };
        self.ways.insert(on, Way::Open);
        self.input(now, vec![], |session| session.handle_socket_open(now, on));
    }

    pub(super) fn socket_refused(&mut self, now: Time, index: usize) {
        let Some(on) = self.socket(index, &[Way::Opening]) else { return };
        self.ways.insert(on, Way::Lost);
        self.forget_probe(on);
        let fault = TransportFault::Unreachable;
        self.input(now, vec![], |session| session.handle_socket_refused(now, on, fault));
    }

    /// Also on one that the session has closed: the server may not know yet.
    pub(super) fn socket_message(&mut self, now: Time, index: usize, message: Message) {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed]) else { return };
        let decoded = match message.clone() {
            Message::Text(text) => codec::decode_text(self.config.revision, text).ok(),
            Message::Binary(bytes) => codec::decode_binary(self.config.revision, bytes),
        };
        let mut packets = Vec::new();
        if self.is_transport(on) {
            packets.extend(decoded);
        } else if let Some(probe) = self.probe.as_mut().filter(|probe| probe.on == on) {
            match decoded {
                Some(Packet::Pong(data)) if data == "probe" && probe.asked => probe.answered = true,
                _ => self.probe = None,
            }
        }
        self.input(now, packets, |session| session.handle_socket_message(now, on, message));
    }

    pub(super) fn socket_lost(&mut self, now: Time, index: usize, end: SocketEnd) {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed]) else { return };
        self.ways.insert(on, Way::Lost);
        self.forget_probe(on);
        self.input(now, vec![], |session| session.handle_socket_lost(now, on, end));
    }

    pub(super) fn timeout(&mut self, now: Time) {
        let due = self.session.poll_timeout().is_some_and(|(deadline, _)| deadline <= now);
        let before = self.outputs();
        let polls = self.session.transport() == TransportKind::Polling;
        if polls && self.upgrades_until.is_some_and(|until| until <= now) {
            self.probe = None;
        }
        let (excused, was_closed) = (self.excused, self.session.is_closed());
        self.input(now, vec![], |session| session.handle_timeout(now));
        if now < excused {
            assert_eq!(self.session.is_closed(), was_closed, "it was to wait until {excused:?}");
            self.excused = excused;
        }
        assert!(due || self.outputs() == before, "nothing was due");
        let next = self.session.poll_timeout();
        assert!(next.is_none_or(|(deadline, _)| deadline > now), "{next:?} is in the past");
    }

    /// The server is given until then for whatever it has to do.
    pub(super) fn excuse(&mut self, now: Time, until: Time) {
        let awaited = self.session.awaited();
        self.upgrades_until = self.upgrades_until.map(|due| due.max(until));
        self.input(now, vec![], |session| session.excuse(until));
        assert_eq!(self.session.awaited(), awaited.map(|due| due.max(until)));
        self.excused = until;
    }

    /// The WebSocket of that number, if it has come so far.
    fn socket(&self, index: usize, ways: &[Way]) -> Option<SocketId> {
        let on = *self.sockets.get(index.checked_rem(self.sockets.len())?)?;
        ways.contains(&self.ways[&on]).then_some(on)
    }

    fn forget_probe(&mut self, on: SocketId) {
        self.probe.take_if(|probe| probe.on == on);
    }

    fn is_transport(&self, on: SocketId) -> bool {
        self.session.transport() == TransportKind::WebSocket && self.sockets.last() == Some(&on)
    }

    fn outputs(&self) -> (bool, bool, usize, Option<(Time, ClientTimerKind)>) {
        let session = &self.session;
        let (actions, events) = (session.has_actions(), session.has_events());
        (actions, events, session.queued(), session.poll_timeout())
    }

    /// Something came, and in it these packets for the session.
    fn input(&mut self, now: Time, packets: Vec<Packet>, handle: impl FnOnce(&mut ClientSession)) {
        let was_open = self.session.is_open();
        let was_shaken = self.opened.is_some();
        handle(&mut self.session);
        self.excused = Time::ZERO;
        let mut packets = packets.into_iter();
        if !was_shaken && self.session.handshake().is_some() {
            self.opened = Some(now);
            self.upgrades_until = Some(now + self.config.upgrade_timeout);
            assert!(matches!(packets.next(), Some(Packet::Open(_))), "opened without a handshake");
        }
        if self.opened.is_some() && was_open {
            let counts = packets.take_while(|packet| *packet != Packet::Close);
            for packet in counts {
                if let Packet::Message(message) = packet {
                    self.unread += cost(&message);
                    self.held |= self.unread >= self.config.limits.max_unread;
                    self.inbox.push_back(message);
                }
            }
        }
        self.after();
    }
}

/// What the application does.
impl Model {
    pub(super) fn send(&mut self, message: &Encoded) {
        let (queued, max) = (self.session.queued(), self.config.limits.max_queued);
        let expected = if !self.session.is_open() {
            Err(SendError::Closed)
        } else if message.parts() == 0 || queued < max {
            Ok(())
        } else {
            self.refused += 1;
            Err(SendError::Full { queued, max })
        };
        assert_eq!(self.session.has_room(), queued < max);
        if expected.is_ok() && message.parts() > 0 {
            self.queue.push_back(Sent::new(message));
        }
        assert_eq!(self.session.send(message.clone()).map_err(SendError::from), expected);
    }

    pub(super) fn close(&mut self, now: Time) {
        let nothing_waits = self.queue.is_empty();
        let was_open = self.session.is_open();
        self.session.close(now);
        self.excused = Time::ZERO;
        assert!(!self.session.is_open());
        if was_open {
            assert!(nothing_waits || !self.session.is_closed(), "messages were thrown away");
            (self.closing, self.held, self.probe) = (true, false, None);
        }
        self.after();
    }

    pub(super) fn abort(&mut self) {
        self.session.abort();
        assert!(self.session.is_closed());
        self.after();
    }

    /// Takes one event; whether there was one.
    pub(super) fn take_event(&mut self) -> bool {
        let has_events = self.session.has_events();
        let event = self.session.poll_event();
        assert_eq!(event.is_some(), has_events);
        let Some(event) = event else {
            assert!(self.inbox.is_empty(), "{:?} is missing", self.inbox);
            assert_eq!(self.told.closed, self.session.is_closed());
            return false;
        };
        assert!(!self.told.closed, "{event:?} behind the last");
        match event {
            Event::Opened => {
                assert!(self.opened.is_some() && !std::mem::replace(&mut self.told.opened, true));
                self.reached.opened = true;
            }
            Event::Message(message) => {
                assert!(self.told.opened);
                self.reached.received += 1;
                self.unread -= cost(&message);
                self.held &= self.unread > self.config.limits.max_unread / 2;
                assert_eq!(self.inbox.pop_front(), Some(message));
            }
            Event::Upgraded => {
                assert!(self.told.opened && !std::mem::replace(&mut self.told.upgraded, true));
                self.reached.upgraded = true;
            }
            Event::Writable => {
                self.refused = self.refused.checked_sub(1).expect("somebody was refused");
            }
            Event::Closed(reason) => {
                assert!(self.inbox.is_empty(), "{:?} is missing", self.inbox);
                assert_eq!(self.session.close_reason(), Some(&reason));
                self.told.closed = true;
            }
        }
        true
    }
}

/// What the driver does.
impl Model {
    /// Takes one action; whether there was one.
    pub(super) fn take_action(&mut self, now: Time) -> bool {
        let has_actions = self.session.has_actions();
        let action = self.session.poll_action(now);
        self.excused = Time::ZERO;
        assert_eq!(action.is_some(), has_actions);
        let Some(action) = action else { return false };
        match action {
            ClientAction::Request(on, request) => self.requested(on, &request),
            ClientAction::Abandon(on) => {
                assert!((1..=self.exchanges).contains(&on.0), "{on:?} was never asked for");
                self.get.take_if(|get| *get == on);
                self.post.take_if(|post| *post == on);
            }
            ClientAction::OpenSocket(on, request) => {
                assert!(request.target.contains("transport=websocket"));
                assert!(self.ways.insert(on, Way::Opening).is_none(), "{on:?} twice");
                self.exchanges = on.0;
                self.sockets.push(on);
                // It may have been given up by now, and will be closed then.
                if self.opened.is_some() && self.session.is_open() {
                    self.probe = Some(Probe { on, asked: false, answered: false });
                }
            }
            ClientAction::CloseSocket(on) => {
                let way = self.ways.get_mut(&on).expect("a WebSocket that was asked for");
                if *way != Way::Lost {
                    *way = Way::Closed;
                }
                self.forget_probe(on);
            }
        }
        self.after();
        true
    }

    fn requested(&mut self, on: ExchangeId, request: &Request) {
        assert!(request.target.contains("transport=polling"));
        assert_eq!(request.target.contains("&sid="), self.opened.is_some());
        assert!(!self.session.is_closed() && !self.parted, "a request behind the end");
        assert_eq!(self.session.transport(), TransportKind::Polling);
        assert!(!self.probe.as_ref().is_some_and(|probe| probe.answered), "polling should pause");
        assert!(on.0 > self.exchanges, "{on:?} twice");
        self.exchanges = on.0;
        if request.method == "GET" {
            assert!(!self.held, "nobody reads");
            assert_eq!(self.get.replace(on), None);
            return;
        }
        assert_eq!((request.method, self.opened.is_some()), ("POST", true));
        assert_eq!(self.post.replace(on), None);
        let form = match request.content_type {
            Some("application/octet-stream") => PayloadForm::V3Binary,
            _ if self.config.revision == Revision::V3 => PayloadForm::V3Text,
            _ => PayloadForm::V4,
        };
        let length = request.body.len();
        let packets = PayloadDecoder::new(form, request.body.clone(), usize::MAX);
        let packets: Vec<_> = packets.collect::<Result<_, _>>().expect("a payload");
        let max = self.session.handshake().and_then(|handshake| handshake.max_payload);
        assert!(packets.len() == 1 || max.is_none_or(|max| length <= max));
        assert!(!packets.is_empty(), "a POST with nothing in it");
        for packet in packets {
            match packet {
                Packet::Close => {
                    assert!(self.closing && self.queue.is_empty(), "messages were thrown away");
                    self.parted = true;
                }
                packet => self.came_out(packet),
            }
        }
    }

    /// Pulls one frame; whether there was one.
    pub(super) fn write(&mut self, index: usize) -> bool {
        let Some(on) = self.socket(index, &[Way::Open, Way::Closed, Way::Lost]) else {
            return false;
        };
        let (wants, was_closed) = (self.session.wants_write(on), self.session.is_closed());
        let frame = self.session.poll_write(on);
        assert_eq!(frame.is_some(), wants);
        let Some(frame) = frame else { return false };
        let packet = self.frame(&frame);
        assert!(!was_closed && self.ways[&on] == Way::Open, "{packet:?} on {on:?}");
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.on == on) {
            if packet == Packet::Ping("probe".into()) {
                assert!(!std::mem::replace(&mut probe.asked, true), "asked twice");
                return true;
            }
            assert!(probe.answered && self.get.is_none() && self.post.is_none());
            self.probe = None;
            assert!(packet == Packet::Upgrade && !std::mem::replace(&mut self.upgrade_out, true));
        } else if packet == Packet::Upgrade {
            // The session was closed in between.
            assert!(self.closing && !std::mem::replace(&mut self.upgrade_out, true));
        } else {
            assert!(self.is_transport(on));
            self.came_out(packet);
        }
        assert!(self.queue.is_empty() || !self.session.is_closed(), "messages were thrown away");
        self.after();
        true
    }

    fn frame(&self, frame: &Frame) -> Packet {
        let bytes = frame.prefix.into_iter().chain(frame.payload.iter().copied()).collect();
        if frame.binary {
            assert!(!self.config.force_base64);
            return codec::decode_binary(self.config.revision, bytes).expect("a binary packet");
        }
        let text = Text::from_utf8(bytes).expect("a text frame is text");
        codec::decode_text(self.config.revision, text).expect("a packet")
    }

    /// A packet left on the transport.
    fn came_out(&mut self, packet: Packet) {
        match (packet, self.config.revision) {
            (Packet::Message(message), _) => {
                let first = self.queue.front_mut().expect("a message that was sent");
                assert_eq!(first.parts.pop_front(), Some(message));
                self.reached.sent += 1;
                if first.parts.is_empty() {
                    self.queue.pop_front();
                }
            }
            (Packet::Pong(data), Revision::V4) | (Packet::Ping(data), Revision::V3) => {
                assert_eq!(&*data, "");
            }
            (packet, _) => panic!("{packet:?} is not a client's"),
        }
    }
}

/// What holds whatever happens.
impl Model {
    fn after(&mut self) {
        if self.session.is_closed() {
            self.queue.clear();
            self.probe = None;
        }
        self.check();
    }

    pub(super) fn check(&self) {
        let (session, limits) = (&self.session, &self.config.limits);
        let queued: usize = self.queue.iter().map(|sent| sent.cost).sum();
        assert_eq!(session.queued(), queued);
        assert_eq!(session.is_receiving(), !self.held);
        assert_eq!(session.is_writable(), queued <= limits.max_queued / 2);
        assert_eq!(session.is_closed(), session.close_reason().is_some());
        assert!(!session.is_closed() || session.poll_timeout().is_none());
        assert!(session.is_closed() || session.poll_timeout().is_some(), "it would wait for ever");
        assert_eq!(session.handshake().is_some(), self.opened.is_some());
    }

    /// The application closes, and the server takes everything: it all comes out, in no time.
    pub(super) fn part(mut self, now: Time) -> Reached {
        self.timeout(now);
        let before = self.session.is_closed();
        self.close(now);
        for _ in 0..10_000 {
            while self.take_action(now) {}
            while self.take_event() {}
            if self.session.is_closed() {
                break;
            }
            let last = self.sockets.len().wrapping_sub(1);
            if self.opened.is_none() {
                self.open(now, true);
                assert!(self.opened.is_some() || self.session.is_closed());
            } else if self.session.transport() == TransportKind::WebSocket {
                while self.write(last) {}
            } else {
                self.answer_post(now, 200);
            }
        }
        assert!(self.session.is_closed(), "{:?}", self.session);
        let forced = self.session.close_reason() == Some(&CloseReason::ForcedClose);
        assert!(before || forced, "{:?}", self.session.close_reason());
        self.check_end(now)
    }

    /// The server falls silent, and the application may have closed: it comes to an end either way.
    pub(super) fn leave_alone(mut self, mut now: Time) -> Reached {
        for _ in 0..100 {
            while self.take_action(now) {}
            while self.take_event() {}
            let Some((deadline, _)) = self.session.poll_timeout() else { break };
            now = now.max(deadline);
            self.timeout(now);
        }
        assert!(self.session.is_closed(), "{:?}", self.session);
        self.check_end(now)
    }

    /// Nothing is under way any more, and nothing brings it back.
    fn check_end(mut self, now: Time) -> Reached {
        while self.take_action(now) {}
        assert_eq!((self.get, self.post), (None, None), "given up without a word");
        for (on, way) in &self.ways {
            assert!(matches!(way, Way::Closed | Way::Lost), "{on:?} stays {way:?}");
        }
        self.answer_any(now, self.exchanges + 1);
        for index in 0..self.sockets.len() {
            self.socket_message(now, index, "4late".into());
            self.write(index);
            self.socket_lost(now, index, SocketEnd::Closed);
        }
        self.timeout(now);
        assert!(!self.take_action(now));
        while self.take_event() {}
        assert!(self.told.closed && !self.session.has_events());
        self.reached
    }
}

fn cost(message: &Message) -> usize {
    message.len() + Limits::MESSAGE_OVERHEAD
}
