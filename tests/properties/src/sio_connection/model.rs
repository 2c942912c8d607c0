//! What must come of each operation: a socket is one entry of a list, and never leaves it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use enginewire::{CloseReason, Encoded, Message, Revision, SendError, Time, TrySendError};
use enginewire_socketio::{
    AckError, AckId, ConnectError, Connection, ConnectionConfig, ConnectionEvent, DisconnectReason,
    EmitError, Packet, PacketData, Session, Slot, SocketId,
    parser::{Decoder, Encoder, NamedEvent, Parser},
};

use crate::{Reached, late::Grace};

/// A session that keeps what is sent until it is compared.
struct Wire {
    sent: Vec<String>,
    room: Option<usize>,
    idle: bool,
    released: usize,
    is_closed: bool,
}

impl Session for Wire {
    fn queued(&self) -> (usize, usize) {
        (9, 9)
    }

    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        if self.is_closed {
            return Err(TrySendError { message, reason: SendError::Closed });
        }
        match &mut self.room {
            Some(0) => {
                let reason = SendError::Full { queued: 9, max: 9 };
                return Err(TrySendError { message, reason });
            }
            Some(room) => *room -= 1,
            None => {}
        }
        self.sent.push(text(&message));
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.idle
    }

    fn is_receiving(&self) -> bool {
        true
    }

    fn release(&mut self, cost: usize) {
        self.released += cost;
    }

    fn close(&mut self, _now: Time) {
        self.is_closed = true;
    }

    fn abort(&mut self, _reason: CloseReason) {
        self.is_closed = true;
    }
}

fn text(message: &Encoded) -> String {
    assert_eq!(message.parts(), 1);
    match message.part(0).unwrap().message() {
        Message::Text(text) => text.to_string(),
        Message::Binary(_) => panic!("nothing binary is sent"),
    }
}

pub(super) struct Model {
    connection: Connection<u64>,
    wire: Wire,
    config: ConnectionConfig,
    revision: Revision,
    now: Time,
    /// What the client means: its parser has a target of its own.
    decoder: Decoder,
    sockets: Vec<Socket>,
    /// Which of them has which place.
    places: Vec<Option<usize>>,
    /// What is still to be told, in order.
    outputs: VecDeque<Output>,
    /// Sockets that have events since the last look, which is told before everything else.
    readable: VecDeque<usize>,
    /// What must have been sent since the last look, and what waits for room.
    sent: Vec<String>,
    waiting: VecDeque<String>,
    /// At most as many of those are events that a client had missed.
    missed: usize,
    left: Vec<String>,
    room: Option<usize>,
    wire_is_closed: bool,
    deadline: Option<Time>,
    grace: Grace,
    received: usize,
    /// What the parts count for of a packet that is not complete.
    partial: usize,
    is_ended: bool,
    fault: bool,
    tokens: u64,
    reached: Reached,
}

struct Socket {
    namespace: String,
    state: State,
    /// As soon as the application knows it.
    slot: Option<Slot>,
    events: VecDeque<(String, usize)>,
    acks: BTreeMap<u64, Time>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Connecting,
    Connected,
    Ended,
    Gone,
}

/// What is told, of the socket with this place in the list.
#[derive(Debug, PartialEq)]
enum Output {
    Connect(usize),
    Cancelled(usize),
    Readable(usize),
    Acknowledged(usize, u64, Result<String, AckError>),
    Disconnected(usize, DisconnectReason),
}

impl Model {
    pub(super) fn new(config: ConnectionConfig, revision: Revision) -> Self {
        let now = Time::from_millis(1);
        let mut model = Self {
            connection: Connection::new(now, Arc::new(config.clone()), revision),
            wire: Wire { sent: Vec::new(), room: None, idle: true, released: 0, is_closed: false },
            decoder: Decoder::new(&config.parser, config.limits),
            deadline: Some(now + config.connect_timeout),
            grace: Grace::default(),
            config,
            revision,
            now,
            sockets: Vec::new(),
            places: Vec::new(),
            room: None,
            wire_is_closed: false,
            outputs: VecDeque::new(),
            readable: VecDeque::new(),
            sent: Vec::new(),
            waiting: VecDeque::new(),
            missed: 0,
            left: Vec::new(),
            received: 0,
            partial: 0,
            is_ended: false,
            fault: false,
            tokens: 0,
            reached: Reached::default(),
        };
        if revision == Revision::V3 {
            model.request("/");
        }
        model
    }

    // ---------------------------------------------------------------- the client

    pub(super) fn client_sends(&mut self, message: Message) {
        let cost = message.cost();
        self.received += cost;
        self.connection.handle_message(self.now, message.clone(), &mut self.wire);
        if self.is_ended {
            return;
        }
        self.partial += cost;
        match self.decoder.handle_message(message) {
            Err(_) => self.fails(),
            Ok(None) => {}
            Ok(Some(packet)) => {
                let cost = std::mem::take(&mut self.partial);
                self.packet(packet, cost);
            }
        }
    }

    fn packet(&mut self, packet: Packet, cost: usize) {
        let mut namespace = packet.namespace.to_string();
        if self.revision == Revision::V3 {
            namespace.truncate(namespace.find('?').unwrap_or(namespace.len()));
        }
        let is_open = |socket: &Socket| {
            socket.namespace == namespace
                && matches!(socket.state, State::Connecting | State::Connected)
        };
        let at = self.sockets.iter().position(is_open);
        let state = at.map(|at| self.sockets[at].state);
        match (packet.data, at, state) {
            (PacketData::ConnectError(_), ..) => self.fails(),
            (PacketData::Connect(_), _, Some(State::Connected)) => self.fails(),
            (PacketData::Connect(_), at, _) => {
                if let Some(at) = at {
                    self.cancel(at);
                }
                self.left.retain(|left| *left != namespace);
                let taken = self.sockets.iter().filter(|socket| socket.state != State::Gone);
                if taken.count() >= self.config.max_namespaces {
                    let message = r#""too many namespaces""#;
                    self.refused(&namespace, &format!(r#"{{"message":{message}}}"#), message);
                } else {
                    self.request(&namespace);
                }
            }
            (PacketData::Disconnect, Some(at), Some(State::Connecting)) => self.cancel(at),
            (PacketData::Disconnect, Some(at), _) => self.end(at, DisconnectReason::ClientLeft),
            (PacketData::Event { ack, args, .. }, Some(at), Some(State::Connected)) => {
                if args.is_empty() {
                    return;
                }
                let socket = &mut self.sockets[at];
                if socket.events.is_empty() {
                    self.readable.push_back(at);
                }
                let ack = ack.map(|id| id.to_string()).unwrap_or_default();
                let json = args.payload().as_json().unwrap();
                socket.events.push_back((format!("{ack}{json}"), cost));
            }
            (PacketData::Ack { id, args }, Some(at), Some(State::Connected)) => {
                let id = u64::try_from(id.0).ok();
                if let Some(id) = id.filter(|id| self.sockets[at].acks.remove(id).is_some()) {
                    let json = args.payload().as_json().unwrap().to_owned();
                    self.outputs.push_back(Output::Acknowledged(at, id, Ok(json)));
                }
            }
            _ if self.left.contains(&namespace) => {}
            _ => self.fails(),
        }
    }

    fn request(&mut self, namespace: &str) {
        let at = self.sockets.len();
        self.outputs.push_back(Output::Connect(at));
        match self.places.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(at),
            None => self.places.push(Some(at)),
        }
        self.sockets.push(Socket {
            namespace: namespace.to_owned(),
            state: State::Connecting,
            slot: None,
            events: VecDeque::new(),
            acks: BTreeMap::new(),
        });
    }

    fn cancel(&mut self, at: usize) {
        self.leaves_place(at);
        self.outputs.push_back(Output::Cancelled(at));
    }

    fn end(&mut self, at: usize, reason: DisconnectReason) {
        let socket = &mut self.sockets[at];
        socket.state = State::Ended;
        for (token, _) in std::mem::take(&mut socket.acks) {
            let result = Err(AckError::Disconnected(reason));
            self.outputs.push_back(Output::Acknowledged(at, token, result));
        }
        self.outputs.push_back(Output::Disconnected(at, reason));
    }

    fn ends(&mut self, reason: DisconnectReason) {
        self.is_ended = true;
        self.deadline = None;
        self.waiting.clear();
        self.left.clear();
        for at in self.places() {
            match self.sockets[at].state {
                State::Connecting => self.cancel(at),
                State::Connected => self.end(at, reason),
                State::Ended | State::Gone => {}
            }
        }
    }

    /// The fault of a client ends its connection.
    fn fails(&mut self) {
        self.fault = true;
        self.partial = 0;
        self.ends(DisconnectReason::ForcedClose);
        self.wire_is_closed = true;
    }

    /// The sockets that have a place, in the order of these.
    fn places(&self) -> Vec<usize> {
        self.places.iter().flatten().copied().collect()
    }

    fn leaves_place(&mut self, at: usize) {
        self.sockets[at].state = State::Gone;
        self.places.iter_mut().filter(|place| **place == Some(at)).for_each(|place| *place = None);
    }

    // ------------------------------------------------------------ what is sent

    fn send(&mut self, text: &str) -> Result<(), SendError> {
        if self.wire_is_closed {
            return Err(SendError::Closed);
        }
        match &mut self.room {
            Some(0) => return Err(SendError::Full { queued: 9, max: 9 }),
            Some(room) => *room -= 1,
            None => {}
        }
        self.sent.push(text.to_owned());
        Ok(())
    }

    fn respond(&mut self, text: String) {
        self.queue(text);
        if self.waiting.len() > self.missed + self.config.max_namespaces + 64 {
            self.fault = true;
            self.ends(DisconnectReason::ForcedClose);
            self.wire_is_closed = true;
        }
    }

    fn queue(&mut self, text: String) {
        if self.waiting.is_empty() {
            self.missed = 0;
            if matches!(self.send(&text), Err(SendError::Full { .. })) {
                self.waiting.push_back(text);
            }
        } else if !self.is_ended {
            self.waiting.push_back(text);
        }
    }

    /// A refusal, as clients of either revision expect it.
    fn refused(&mut self, namespace: &str, payload: &str, old: &str) {
        let payload = if self.revision == Revision::V4 { payload } else { old };
        self.respond(format!("4{}{payload}", head(namespace)));
    }

    fn emitted(&mut self, at: Option<usize>, text: &str) -> Result<(), EmitError> {
        if at.is_none_or(|at| self.sockets[at].state != State::Connected) {
            return Err(EmitError::Disconnected);
        }
        self.flush();
        if !self.waiting.is_empty() {
            return Err(EmitError::Full { queued: 9, max: 9 });
        }
        self.send(text).map_err(|error| match error {
            SendError::Full { queued, max } => EmitError::Full { queued, max },
            _ => EmitError::Disconnected,
        })
    }

    /// Sends what waits, as far as there is room.
    fn flush(&mut self) {
        while let Some(text) = self.waiting.pop_front() {
            if self.send(&text).is_err() {
                return self.waiting.push_front(text);
            }
        }
    }

    // --------------------------------------------------------- the application

    /// The socket of that number among those that the application knows, also after they are gone.
    fn known(&self, number: u8) -> Option<(usize, Slot)> {
        let known = self.sockets.iter().enumerate();
        let known: Vec<_> = known.filter_map(|(at, socket)| Some((at, socket.slot?))).collect();
        // The last is the first, as the others are mostly gone.
        let number = usize::from(number).checked_rem(known.len())?;
        known.iter().rev().nth(number).copied()
    }

    pub(super) fn take_output(&mut self) -> bool {
        let is_told = self.readable.is_empty() && self.outputs.is_empty();
        assert_eq!(self.connection.has_events(), !is_told);
        let output = self.connection.poll_event();
        let readable = self.readable.pop_front().map(Output::Readable);
        let expected = readable.or_else(|| self.outputs.pop_front());
        let (Some(output), Some(expected)) = (&output, &expected) else {
            assert!(output.is_none() && expected.is_none(), "{output:?} is not {expected:?}");
            return false;
        };
        let slot = |at: usize| self.sockets[at].slot.expect("it was told before");
        match (output, expected) {
            (ConnectionEvent::Connect(slot, request), &Output::Connect(at)) => {
                assert_eq!(*request.namespace, *self.sockets[at].namespace);
                let used = self.sockets.iter().any(|socket| socket.slot == Some(*slot));
                assert!(!used, "a slot is not used again");
                self.sockets[at].slot = Some(*slot);
            }
            (ConnectionEvent::Cancelled(on), &Output::Cancelled(at))
            | (ConnectionEvent::Readable(on), &Output::Readable(at)) => assert_eq!(*on, slot(at)),
            (ConnectionEvent::Disconnected(on, why), &Output::Disconnected(at, reason)) => {
                assert_eq!((*on, *why), (slot(at), reason));
            }
            (
                ConnectionEvent::Acknowledged(on, token, ours),
                Output::Acknowledged(at, id, result),
            ) => {
                assert_eq!((*on, token), (slot(*at), id));
                let ours = ours.as_ref().map(|args| args.payload().as_json().unwrap());
                assert_eq!(ours, result.as_deref());
            }
            _ => panic!("{output:?} is not {expected:?}"),
        }
        true
    }

    pub(super) fn accept(&mut self, number: u8, missed: bool) {
        let Some((at, slot)) = self.known(number) else { return };
        let missed: &[&str] = if missed { &["2[\"missed\"]", "2[\"too\"]"] } else { &[] };
        let events = missed.iter().map(|text| Encoded::new(*text));
        let id = SocketId::from("id");
        let accepted = self.connection.accept(slot, &id, None, events, &mut self.wire);
        assert_eq!(accepted, self.sockets[at].state == State::Connecting);
        if accepted {
            self.reached.opened = true;
            self.sockets[at].state = State::Connected;
            self.deadline = None;
            for text in missed {
                self.missed += 1;
                self.queue((*text).to_owned());
            }
            let payload = if self.revision == Revision::V4 { r#"{"sid":"id"}"# } else { "" };
            let head = head(&self.sockets[at].namespace);
            self.respond(format!("0{head}{payload}"));
        }
    }

    pub(super) fn refuse(&mut self, number: u8) {
        let Some((at, slot)) = self.known(number) else { return };
        let error = ConnectError::new("no").with_data(&7);
        let refused = self.connection.refuse(slot, &error, &mut self.wire);
        assert_eq!(refused, self.sockets[at].state == State::Connecting);
        if refused {
            self.leaves_place(at);
            let namespace = self.sockets[at].namespace.clone();
            self.refused(&namespace, r#"{"message":"no","data":7}"#, "7");
        }
    }

    fn event(&mut self, at: Option<usize>, id: Option<u64>) -> (Encoded, String) {
        self.tokens += 1;
        let namespace = at.map_or("/", |at| &*self.sockets[at].namespace);
        let ack = id.map(|id| AckId(id.into()));
        let event = NamedEvent::new("n", &self.tokens);
        let event = Encoder::new().event(&Parser::Json, namespace, ack, &event).unwrap();
        let text = text(&event);
        (event, text)
    }

    pub(super) fn emit(&mut self, number: u8) {
        let Some((at, slot)) = self.known(number) else { return };
        let (event, text) = self.event(Some(at), None);
        let sent = self.connection.emit(slot, event, &mut self.wire);
        let expected = self.emitted(Some(at), &text);
        self.reached.sent += usize::from(sent.is_ok());
        assert_eq!(sent.map_err(|error| error.reason), expected);
    }

    pub(super) fn emit_volatile(&mut self, number: u8) {
        let Some((at, slot)) = self.known(number) else { return };
        let (event, text) = self.event(Some(at), None);
        let sent = self.connection.emit_volatile(slot, event, &mut self.wire);
        let expected = match self.sockets[at].state {
            State::Connected if !self.wire.idle => Err(EmitError::NotIdle),
            _ => self.emitted(Some(at), &text),
        };
        self.reached.sent += usize::from(sent.is_ok());
        assert_eq!(sent.map_err(|error| error.reason), expected);
    }

    pub(super) fn ask(&mut self, number: u8, millis: u8) {
        let Some((at, slot)) = self.known(number) else { return };
        let id = self.tokens + 1;
        let (event, text) = self.event(Some(at), Some(id));
        let deadline = match millis {
            255 => Time::MAX,
            millis => self.now + Duration::from_millis(millis.into()),
        };
        let ack = AckId(id.into());
        let sent = self.connection.emit_with_ack(slot, event, ack, deadline, id, &mut self.wire);
        let max = self.config.max_pending_acks;
        let expected = match self.sockets[at].acks.len() >= max {
            true => Err(EmitError::TooManyAcks { max }),
            false => self.emitted(Some(at), &text),
        };
        if expected.is_ok() {
            self.sockets[at].acks.insert(id, deadline);
        }
        self.reached.sent += usize::from(sent.is_ok());
        assert_eq!(sent.map_err(|error| error.reason), expected);
    }

    pub(super) fn forget(&mut self, number: u8, back: u8) {
        let Some((at, slot)) = self.known(number) else { return };
        let id = self.tokens.saturating_sub(back.into());
        let forgotten = self.connection.forget_ack(slot, AckId(id.into()));
        assert_eq!(forgotten, self.sockets[at].acks.remove(&id).map(|_| id));
    }

    pub(super) fn take_event(&mut self, number: u8) -> bool {
        let Some((at, slot)) = self.known(number) else { return false };
        let event = self.connection.take_event(slot, &mut self.wire);
        let expected = self.sockets[at].events.pop_front();
        let event = event.map(|event| {
            let ack = event.ack().map(|id| id.to_string()).unwrap_or_default();
            format!("{ack}{}", event.args().payload().as_json().unwrap())
        });
        self.reached.received += usize::from(event.is_some());
        assert_eq!(event, expected.map(|(event, _)| event));
        event.is_some()
    }

    pub(super) fn disconnect(&mut self, number: u8) {
        let Some((at, slot)) = self.known(number) else { return };
        self.connection.disconnect(slot, &mut self.wire);
        self.disconnects(at);
    }

    fn disconnects(&mut self, at: usize) {
        match self.sockets[at].state {
            State::Connecting => self.cancel(at),
            State::Connected => {
                let namespace = self.sockets[at].namespace.clone();
                self.respond(format!("1{}", head(&namespace)));
                if self.left.len() >= self.config.max_namespaces {
                    self.left.remove(0);
                }
                self.left.push(namespace);
                self.end(at, DisconnectReason::ServerLeft);
            }
            State::Ended | State::Gone => {}
        }
    }

    pub(super) fn release(&mut self, number: u8) {
        let Some((at, slot)) = self.known(number) else { return };
        self.connection.release(slot, &mut self.wire);
        self.disconnects(at);
        let was_there = self.sockets[at].state != State::Gone;
        self.sockets[at].events.clear();
        self.leaves_place(at);
        if was_there && self.places.iter().all(Option::is_none) {
            self.places.clear();
        }
    }

    pub(super) fn disconnect_client(&mut self) {
        self.connection.disconnect_client(self.now, &mut self.wire);
        for at in self.places() {
            self.disconnects(at);
        }
        self.ends(DisconnectReason::ForcedClose);
        self.wire_is_closed = true;
    }

    pub(super) fn close(&mut self) {
        let reason = DisconnectReason::ServerClosing;
        self.connection.close(self.now, reason, &mut self.wire);
        self.ends(reason);
        self.wire_is_closed = true;
    }

    pub(super) fn abort(&mut self) {
        self.connection.abort(DisconnectReason::Overflow, &mut self.wire);
        self.ends(DisconnectReason::Overflow);
        self.wire_is_closed = true;
    }

    pub(super) fn lost(&mut self, reason: &CloseReason) {
        self.wire.is_closed = true;
        self.wire_is_closed = true;
        self.connection.handle_closed(reason);
        self.ends(reason.into());
    }

    // -------------------------------------------------- the session, the clock

    pub(super) fn set_room(&mut self, room: Option<usize>) {
        self.wire.room = room;
        self.room = room;
    }

    pub(super) fn writable(&mut self) {
        self.set_room(None);
        self.connection.handle_writable(&mut self.wire);
        self.flush();
    }

    pub(super) fn toggle_idle(&mut self) {
        self.wire.idle = !self.wire.idle;
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(super) fn wait(&mut self) {
        if let Some(deadline) = self.connection.poll_timeout() {
            self.now = self.now.max(deadline);
            self.timeout();
        }
    }

    pub(super) fn timeout(&mut self) {
        let first = self.connection.poll_timeout();
        if let Some(until) = first.and_then(|due| self.grace.give(due, self.now)) {
            self.deadline = self.deadline.map(|deadline| deadline.max(until));
            let acks = self.sockets.iter_mut().flat_map(|socket| socket.acks.values_mut());
            acks.for_each(|deadline| *deadline = until.max(*deadline));
        }
        self.connection.handle_timeout(self.now, &mut self.wire);
        let next = self.connection.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} is in the past");
        if self.deadline.is_some_and(|deadline| deadline <= self.now) {
            self.fails();
        }
        for at in self.places() {
            let acks = &mut self.sockets[at].acks;
            let late: Vec<_> = acks
                .iter()
                .filter(|(_, deadline)| **deadline <= self.now)
                .map(|(id, _)| *id)
                .collect();
            for id in late {
                acks.remove(&id);
                let result = Err(AckError::Timeout);
                self.outputs.push_back(Output::Acknowledged(at, id, result));
            }
        }
    }

    // ---------------------------------------------------- what holds at any time

    pub(super) fn check(&mut self) {
        assert_eq!(std::mem::take(&mut self.wire.sent), std::mem::take(&mut self.sent));
        assert_eq!(self.wire.is_closed, self.wire_is_closed);
        assert_eq!(self.connection.fault().is_some(), self.fault, "{:?}", self.connection.fault());
        let events = self.sockets.iter().flat_map(|socket| &socket.events);
        let unread = self.partial + events.map(|(_, cost)| cost).sum::<usize>();
        assert_eq!(self.wire.released, self.received - unread, "of {}", self.received);
        let deadlines = self.sockets.iter().flat_map(|socket| socket.acks.values()).copied();
        let deadlines = deadlines.filter(|&deadline| deadline != Time::MAX);
        let due = deadlines.chain(self.deadline).min();
        let next = self.connection.poll_timeout();
        match (due, next) {
            (Some(due), next) => assert!(next.is_some_and(|next| next <= due), "{next:?}, {due:?}"),
            // It may be too early, of one that was acknowledged while others have no deadline.
            (None, next) => {
                let pending = self.sockets.iter().any(|socket| !socket.acks.is_empty());
                assert!(next.is_none() || pending, "{next:?}");
            }
        }
        let places = self.places().into_iter();
        let connected = places.filter(|&at| self.sockets[at].state == State::Connected);
        assert_eq!(self.connection.connected().count(), connected.count());
        let taken = self.sockets.iter().filter(|socket| socket.state != State::Gone);
        assert!(taken.count() <= self.config.max_namespaces);
        // Of those that are gone, a few are enough.
        for socket in self.sockets.iter().rev().take(self.config.max_namespaces + 8) {
            assert!(socket.acks.len() <= self.config.max_pending_acks);
            let Some(slot) = socket.slot else { continue };
            assert_eq!(self.connection.is_connected(slot), socket.state == State::Connected);
            assert_eq!(self.connection.is_readable(slot), !socket.events.is_empty());
        }
    }

    /// The session is lost, the application takes all there is, and nothing is left.
    pub(super) fn finish(mut self) -> Reached {
        while self.take_output() {}
        self.lost(&CloseReason::PingTimeout);
        self.check();
        while self.take_output() {}
        for number in (0..=u8::MAX).take(self.sockets.len()) {
            while self.take_event(number) {}
            self.check();
            self.release(number);
            self.check();
        }
        self.client_sends("2[\"late\"]".into());
        self.check();
        assert!(!self.take_output());
        assert!(self.sockets.iter().all(|socket| socket.acks.is_empty()));
        let is_gone = |socket: &Socket| socket.state == State::Gone;
        assert!(self.sockets.len() > 255 || self.sockets.iter().all(is_gone));
        assert_eq!(self.connection.poll_timeout(), None);
        self.reached
    }
}

/// What stands behind the type of a packet.
fn head(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}
