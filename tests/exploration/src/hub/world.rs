//! A hub, its clients, and what is known of both.

use std::{collections::BTreeMap, time::Duration};

use enginewire::{Entropy, Time, hub::ConnectionId, wire::http::RequestHead};
use enginewire_socketio::{
    ConnectError,
    adapter::{RecoveryConfig, Target},
    hub::{AskId, Hub, HubConfig, Output, SocketKey},
};

use super::client::{Client, State, frame};
use crate::walk::Walking;

/// How many clients there are, and how often what may happen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scenario {
    /// Clients, each with one socket at a time.
    pub clients: usize,
    /// Requests to connect.
    pub connects: u8,
    /// Requests that are refused. All others are accepted, at any later time.
    pub refusals: u8,
    /// Clients that leave, or do not wait for the response.
    pub leaves: u8,
    /// Sockets that the server disconnects.
    pub kicks: u8,
    /// Events for all sockets.
    pub broadcasts: u8,
    /// Events for one socket, which is to acknowledge them.
    pub questions: u8,
    /// Events of a client that the server acknowledges at once.
    pub requests: u8,
    /// Connections that break.
    pub cuts: u8,
    /// Clients that stop reading for a while.
    pub stalls: u8,
    /// Moves of the clock to the next deadline.
    pub ticks: u8,
    /// Clients that come back may be recovered.
    pub recovery: bool,
    /// A rule that the harness itself breaks, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Bytes for a client that is connected come twice.
    Twice,
    /// A broadcast is not made.
    Lost,
    /// The server does not acknowledge.
    Mute,
}

/// One thing that happens. Clients go by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A client asks to connect, over a new connection if it has none.
    Connect(usize),
    /// The server accepts the request of a client.
    Accept(usize),
    /// The server refuses the request of a client.
    Refuse(usize),
    /// A client leaves the namespace.
    Leave(usize),
    /// The server disconnects the socket of a client.
    Kick(usize),
    /// The server sends an event to all.
    Broadcast,
    /// The server sends a client an event that it is to acknowledge.
    Ask(usize),
    /// A client acknowledges the oldest event that it was asked about.
    Answer(usize),
    /// A client sends an event that is to be acknowledged.
    Request(usize),
    /// The connection of a client breaks.
    Cut(usize),
    /// A client stops reading.
    Stall(usize),
    /// A client reads again.
    Resume(usize),
    /// The clock moves to the next deadline.
    Tick,
}

/// A hub with its clients.
pub struct World {
    hub: Hub,
    now: Time,
    /// What may still happen.
    left: Scenario,
    clients: Vec<Client>,
    /// The socket of each client that the server was asked to accept, and the one that it has.
    asking: Vec<Option<SocketKey>>,
    sockets: Vec<Option<SocketKey>>,
    /// Sockets that may come back, with their ids.
    away: Vec<(SocketKey, String)>,
    /// The numbers of the broadcasts that each socket was sent, by its id.
    sent: BTreeMap<String, Vec<u64>>,
    broadcasts: u64,
    asked: Vec<(AskId, bool)>,
    broken: Option<String>,
}

impl World {
    /// Creates a hub and clients that are not connected.
    pub fn new(scenario: Scenario) -> Self {
        let mut config = HubConfig::default();
        config.recovery = scenario.recovery.then(RecoveryConfig::default);
        let clients = (0..scenario.clients).map(|_| Client::default()).collect();
        Self {
            hub: Hub::new(config, counter(), counter()),
            now: Time::ZERO,
            left: scenario,
            clients,
            asking: vec![None; scenario.clients],
            sockets: vec![None; scenario.clients],
            away: Vec::new(),
            sent: BTreeMap::new(),
            broadcasts: 0,
            asked: Vec::new(),
            broken: None,
        }
    }
}

impl Walking for World {
    type Move = Move;

    fn moves(&self) -> Vec<Move> {
        let left = &self.left;
        let mut moves = Vec::new();
        let mut may = |is_left: bool, step| {
            if is_left {
                moves.push(step);
            }
        };
        for (nth, client) in self.clients.iter().enumerate() {
            let is_apart = client.state == State::Apart;
            let is_connected = client.state == State::Connected;
            may(is_apart && !client.is_stalled && left.connects > 0, Move::Connect(nth));
            may(self.asking[nth].is_some(), Move::Accept(nth));
            may(self.asking[nth].is_some() && left.refusals > 0, Move::Refuse(nth));
            // What comes for the socket afterwards nobody could tell from what is for the next.
            may(!is_apart && !client.is_stalled && left.leaves > 0, Move::Leave(nth));
            may(self.sockets[nth].is_some() && left.kicks > 0, Move::Kick(nth));
            may(self.sockets[nth].is_some() && left.questions > 0, Move::Ask(nth));
            may(is_connected && !client.questions.is_empty(), Move::Answer(nth));
            may(is_connected && left.requests > 0, Move::Request(nth));
            may(client.on.is_some() && left.cuts > 0, Move::Cut(nth));
            may(client.on.is_some() && !client.is_stalled && left.stalls > 0, Move::Stall(nth));
            may(client.is_stalled, Move::Resume(nth));
        }
        may(left.broadcasts > 0, Move::Broadcast);
        may(left.ticks > 0, Move::Tick);
        moves
    }

    fn make(&mut self, step: Move) {
        let now = self.now;
        match step {
            Move::Connect(nth) => {
                self.left.connects -= 1;
                self.connect(nth);
            }
            Move::Accept(nth) => {
                if let Some(key) = self.asking[nth].take()
                    && self.hub.accept(now, key)
                {
                    self.sockets[nth] = Some(key);
                }
            }
            Move::Refuse(nth) => {
                self.left.refusals -= 1;
                if let Some(key) = self.asking[nth].take() {
                    self.hub.refuse(now, key, &ConnectError::new("no"));
                }
            }
            Move::Leave(nth) => {
                self.left.leaves -= 1;
                self.clients[nth].leave();
                self.say(nth, "41");
            }
            Move::Kick(nth) => {
                self.left.kicks -= 1;
                if let Some(key) = self.sockets[nth] {
                    self.hub.disconnect(key);
                }
            }
            Move::Broadcast => self.broadcast(),
            Move::Ask(nth) => {
                self.left.questions -= 1;
                if let Some(key) = self.sockets[nth] {
                    let ask = self.hub.emit_with_ack(now, key, "q", &(), ACK_TIMEOUT);
                    self.asked.extend(ask.ok().map(|ask| (ask, false)));
                }
            }
            Move::Answer(nth) => {
                if let Some(id) = self.clients[nth].questions.pop_front() {
                    self.say(nth, &format!("43{id}[]"));
                }
            }
            Move::Request(nth) => {
                self.left.requests -= 1;
                let client = &mut self.clients[nth];
                let id = client.next_request;
                client.next_request += 1;
                client.requests.push_back(id);
                self.say(nth, &format!(r#"42{id}["r",{id}]"#));
            }
            Move::Cut(nth) => {
                self.left.cuts -= 1;
                if let Some(on) = self.clients[nth].on {
                    self.clients[nth].lose();
                    self.hub.handle_lost(now, on);
                }
            }
            Move::Stall(nth) => {
                self.left.stalls -= 1;
                self.clients[nth].is_stalled = true;
            }
            Move::Resume(nth) => self.resume(nth),
            Move::Tick => {
                self.left.ticks -= 1;
                self.tick();
            }
        }
        self.settle();
    }

    fn broken(&self) -> Option<String> {
        if let Some(broken) = &self.broken {
            return Some(broken.clone());
        }
        for (nth, client) in self.clients.iter().enumerate() {
            let sent = self.sent_to(client);
            if !sent.starts_with(&client.came) {
                return Some(format!("client {nth} was sent {sent:?}, and has {:?}", client.came));
            }
        }
        let connected = self.sockets.iter().flatten().count();
        if self.hub.room_len("/", "a room") != 0 {
            return Some("a room that nobody joined has sockets".into());
        }
        let hub = &self.hub;
        let live = self.sockets.iter().flatten().filter(|key| hub.is_connected(**key)).count();
        if live != connected {
            return Some(format!("{connected} sockets should be connected, {live} are"));
        }
        None
    }

    fn end(mut self) -> Option<String> {
        for nth in 0..self.clients.len() {
            self.resume(nth);
            self.settle();
        }
        for (nth, client) in self.clients.iter().enumerate() {
            let sent = self.sent_to(client);
            if client.state == State::Connected && sent != client.came {
                return Some(format!("client {nth} was sent {sent:?}, and got {:?}", client.came));
            }
            if let Some(request) = client.requests.front() {
                return Some(format!("client {nth} waits for its request {request}"));
            }
        }
        self.hub.abort(self.now);
        self.settle();
        if let Some(broken) = self.broken() {
            return Some(broken);
        }
        if let Some((ask, _)) = self.asked.iter().find(|(_, is_over)| !is_over) {
            return Some(format!("{ask:?} never ends"));
        }
        let (is_finished, left) = (self.hub.is_finished(), self.hub.len());
        (!is_finished || left > 0)
            .then(|| format!("{left} sockets are left of a hub that has ended"))
    }
}

impl World {
    fn connect(&mut self, nth: usize) {
        let now = self.now;
        let client = &mut self.clients[nth];
        client.state = State::Asking;
        let text = match (&client.pid, &client.offset) {
            (Some(pid), Some(offset)) => format!(r#"40{{"pid":"{pid}","offset":"{offset}"}}"#),
            (Some(pid), None) => format!(r#"40{{"pid":"{pid}","offset":""}}"#),
            _ => "40".to_owned(),
        };
        if client.on.is_none() {
            let on = self.hub.handle_accepted(now);
            client.on = Some(on);
            self.hub.handle_bytes(now, on, &mut handshake(nth).into_bytes());
            self.settle();
        }
        self.say(nth, &text);
    }

    fn sent_to(&self, client: &Client) -> &[u64] {
        self.sent.get(&client.sid).map_or(&[], |sent| sent)
    }

    /// Has a client send a packet of Socket.IO.
    fn say(&mut self, nth: usize, packet: &str) {
        if let Some(on) = self.clients[nth].on {
            self.hub.handle_bytes(self.now, on, &mut frame(packet));
        }
    }

    fn broadcast(&mut self) {
        self.left.broadcasts -= 1;
        let number = self.broadcasts;
        self.broadcasts += 1;
        for id in self.sockets.iter().flatten().filter_map(|key| self.hub.id(*key)) {
            self.sent.entry(id.to_string()).or_default().push(number);
        }
        for (_, id) in &self.away {
            self.sent.entry(id.clone()).or_default().push(number);
        }
        if self.left.sabotage == Some(Sabotage::Lost) {
            return;
        }
        let delivered = self.hub.broadcast("/", &Target::all(), "e", &number);
        let expected = self.sockets.iter().flatten().count();
        if delivered.as_ref().ok().map(|delivered| delivered.sockets) != Some(expected) {
            self.broken = Some(format!("{delivered:?} for {expected} sockets"));
        }
    }

    fn resume(&mut self, nth: usize) {
        let client = &mut self.clients[nth];
        if std::mem::take(&mut client.is_stalled)
            && let Some(on) = client.on
        {
            self.hub.handle_writable(self.now, on);
        }
    }

    fn tick(&mut self) {
        if let Some(due) = self.hub.poll_timeout() {
            self.now = self.now.max(due);
            self.hub.handle_timeout(self.now);
        }
    }

    /// Does what the hub asks for, until there is nothing more.
    fn settle(&mut self) {
        while let Some(output) = self.hub.poll() {
            self.take(output);
        }
    }

    fn take(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Write(on) => self.write(on),
            Output::Shutdown(on) => self.hub.handle_eof(now, on),
            Output::Close(on) => {
                if let Some(client) = self.client_on(on) {
                    self.clients[client].lose();
                }
            }
            Output::Connect(key, _, head) => {
                self.asking[client_of(&head)] = Some(key);
            }
            Output::Cancelled(key) => {
                self.asking.iter_mut().filter(|it| **it == Some(key)).for_each(|it| *it = None);
            }
            Output::Recovered(key, before) => {
                self.away.retain(|(key, _)| *key != before);
                if let Some(nth) = self.hub.handshake(key).map(|head| client_of(head)) {
                    self.sockets[nth] = Some(key);
                }
            }
            Output::Forgotten(key) => self.away.retain(|(it, _)| *it != key),
            Output::Event(key, event) => {
                if !self.sockets.contains(&Some(key)) {
                    self.broken = Some(format!("an event comes of {key:?}"));
                }
                if let (Some(ack), Ok(number)) = (event.ack(), event.data::<u64>())
                    && self.left.sabotage != Some(Sabotage::Mute)
                {
                    drop(self.hub.acknowledge(key, ack, &number));
                }
            }
            Output::Acknowledged(ask, _) => {
                match self.asked.iter_mut().find(|(it, is_over)| *it == ask && !is_over) {
                    Some((_, is_over)) => *is_over = true,
                    None => self.broken = Some(format!("{ask:?} ends a second time")),
                }
            }
            Output::Disconnected(key, reason, _) => {
                if self.left.recovery
                    && reason.is_recoverable()
                    && let Some(id) = self.hub.id(key)
                {
                    self.away.push((key, id.to_string()));
                }
                match self.sockets.iter_mut().find(|it| **it == Some(key)) {
                    Some(socket) => *socket = None,
                    None => self.broken = Some(format!("{key:?} is disconnected twice")),
                }
                if let Some((ask, _)) =
                    self.asked.iter().find(|(ask, over)| ask.socket() == key && !over)
                {
                    self.broken = Some(format!("{ask:?} outlives its socket"));
                }
            }
            _ => {}
        }
    }

    fn client_on(&self, on: ConnectionId) -> Option<usize> {
        self.clients.iter().position(|client| client.on == Some(on))
    }

    fn write(&mut self, on: ConnectionId) {
        let Some(nth) = self.client_on(on) else {
            return self.hub.transmit(self.now, on, |bytes| bytes.len());
        };
        let client = &mut self.clients[nth];
        if client.is_stalled {
            return self.hub.transmit(self.now, on, |_| 0);
        }
        let mut written = Vec::new();
        self.hub.transmit(self.now, on, |bytes| {
            written.extend_from_slice(bytes);
            bytes.len()
        });
        if self.left.sabotage == Some(Sabotage::Twice) && client.state == State::Connected {
            written.extend_from_within(..);
        }
        let replies = client.read(&written, client.pid.is_some() && client.state == State::Asking);
        self.broken = self.broken.take().or(replies.broken);
        if replies.closes {
            self.clients[nth].lose();
            self.hub.handle_eof(self.now, on);
        } else if !replies.frames.is_empty() {
            self.hub.handle_bytes(self.now, on, &mut { replies.frames });
        }
    }
}

/// Ids that all differ, the same on each way.
fn counter() -> impl Entropy + Send + 'static {
    let mut next = 0;
    move |bytes: &mut [u8]| {
        next += 1;
        bytes.fill(next);
    }
}

const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the WebSocket of a client, whose place is in the name of the host.
fn handshake(client: usize) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {client}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn client_of(head: &RequestHead) -> usize {
    let host = head.header("host").and_then(|host| str::from_utf8(host).ok());
    host.and_then(|host| host.parse().ok()).unwrap_or(usize::MAX)
}
