//! A client, the owner of its session, a node between them, and what is on its way.

use std::sync::Arc;

use enginewire::{
    ClientConfig, ClientConnectionId, ClientHub, ClientHubAction, Event, HandOverFault, Message,
    ServerConfig, ServerHub, Time, TransportKind, Url,
    hub::{ConnectionId, Output, ServerHubConfig, SessionId},
};

use super::node::Passed;
use crate::walk::Walking;

/// How often what may happen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scenario {
    /// Messages of the client.
    pub says: u8,
    /// Messages of the server.
    pub tells: u8,
    /// Connections that break, on either side of the node.
    pub cuts: u8,
    /// Connections to the owner that cannot be made.
    pub refusals: u8,
    /// Times at which only a part of what is on its way arrives.
    pub pieces: u8,
    /// Moves of the clock to the next deadline.
    pub ticks: u8,
    /// The client does not move to a WebSocket.
    pub polling: bool,
    /// A rule that the harness itself breaks, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The node passes on the first bytes of a request twice.
    Twice,
    /// The node drops a byte of a response.
    Lost,
    /// The owner is not told that a client has gone.
    Kept,
}

/// Way of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the owner.
    Up,
    /// To the client.
    Down,
}

/// Side of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// That of the client.
    Near,
    /// That of the owner.
    Far,
}

/// One thing that happens. Connections of the client go by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The client sends a message.
    Say,
    /// The server sends a message.
    Tell,
    /// All that is on its way in one direction arrives.
    Carry(usize, Direction),
    /// Half of it arrives.
    Piece(usize, Direction),
    /// A connection is lost on one side of the node, with what is on its way there.
    Cut(usize, Leg),
    /// The client's side is lost once the node has what is on its way.
    Leave(usize),
    /// The owner will not be reached for this connection.
    Refuse(usize),
    /// The clock moves to the next deadline.
    Tick,
}

/// The client, the node and the owner.
pub struct World {
    client: ClientHub,
    owner: ServerHub,
    config: ServerConfig,
    session: Option<SessionId>,
    now: Time,
    /// What may still happen.
    left: Scenario,
    ways: Vec<Way>,
    /// Numbers of messages, and how many have come.
    said: u64,
    told: u64,
    heard_by_owner: u64,
    heard_by_client: u64,
    /// Something has happened that may cost the session.
    faulty: bool,
    broken: Option<String>,
}

/// One connection of the client, and where it leads.
struct Way {
    /// Until the client has closed it.
    id: Option<ClientConnectionId>,
    /// Until the owner has.
    on: Option<ConnectionId>,
    node: Passed,
    /// From the client to the node, and back.
    up: Pipe,
    down: Pipe,
    /// From the owner to the node.
    out: Pipe,
    /// The owner knows that no more comes.
    owner_knows: bool,
    /// All bytes that one end has sent and the other has got.
    sent_up: Vec<u8>,
    got_up: Vec<u8>,
    sent_down: Vec<u8>,
    got_down: Vec<u8>,
}

/// Bytes on their way.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    /// None come behind them.
    ended: bool,
    /// The other end knows.
    known: bool,
}

impl Pipe {
    const fn has_some(&self) -> bool {
        !self.bytes.is_empty() || (self.ended && !self.known)
    }

    /// Loses what is on its way, and all that would have come.
    fn lose(&mut self) {
        self.bytes.clear();
        (self.ended, self.known) = (true, true);
    }

    /// Takes all, or half of it. With the last byte comes the end.
    fn take(&mut self, all: bool) -> (Vec<u8>, bool) {
        let n = if all { self.bytes.len() } else { self.bytes.len().div_ceil(2) };
        let bytes = self.bytes.drain(..n).collect();
        let ends = self.bytes.is_empty() && self.ended && !self.known;
        self.known |= ends;
        (bytes, ends)
    }
}

impl World {
    /// Creates a session that the owner has opened by itself, and whose further requests come to the node.
    pub fn new(scenario: Scenario) -> Self {
        let mut hub = ServerHubConfig::default();
        hub.protocol.node = OWNER.parse().ok();
        let config = hub.protocol.clone();
        let url = Url::parse("http://localhost:3000").unwrap_or_else(|error| panic!("{error}"));
        let mut client = ClientConfig::new(&url);
        if scenario.polling {
            client.transports = vec![TransportKind::Polling];
        }
        let mut world = Self {
            client: ClientHub::new(Time::ZERO, &url, Arc::new(client), false, &mut fill),
            owner: ServerHub::new(hub, fill),
            config,
            session: None,
            now: Time::ZERO,
            left: scenario,
            ways: Vec::new(),
            said: 0,
            told: 0,
            heard_by_owner: 0,
            heard_by_client: 0,
            faulty: false,
            broken: None,
        };
        world.open();
        world
    }

    /// Opens the session over a connection to the owner itself, which the balancer closes then.
    fn open(&mut self) {
        let (now, on) = (self.now, self.owner.handle_accepted(self.now));
        let Some(ClientHubAction::Connect(id)) = self.client.poll_action(now, &mut fill) else {
            panic!("the client begins with a connection");
        };
        self.client.handle_connected(now, id);
        let mut bytes = Vec::new();
        self.client.transmit(now, id, |some| take(&mut bytes, some));
        self.owner.handle_bytes(now, on, &mut bytes);
        bytes.clear();
        while let Some(output) = self.owner.poll() {
            match output {
                Output::Opened(session, ..) => self.session = Some(session),
                Output::Write(on) => self.owner.transmit(now, on, |some| take(&mut bytes, some)),
                _ => {}
            }
        }
        self.owner.handle_lost(now, on);
        self.client.handle_bytes(now, id, &mut bytes);
        self.client.handle_eof(now, id);
        self.settle();
    }

    /// Brings bytes towards the owner, as far as the node and on.
    fn carry_up(&mut self, nth: usize, all: bool) {
        let now = self.now;
        let way = &mut self.ways[nth];
        let (bytes, ends) = way.up.take(all);
        if !bytes.is_empty() {
            way.node.receive(now, bytes);
        }
        if ends {
            way.node.receive_eof(now);
        }
        self.pass(nth);
        self.deliver(nth);
    }

    /// Brings to the owner what the node has sent it.
    fn deliver(&mut self, nth: usize) {
        let now = self.now;
        let way = &mut self.ways[nth];
        let far = way.node.far();
        if !far.begun || far.fault.is_some() || way.owner_knows {
            return;
        }
        let mut bytes = std::mem::take(&mut far.up);
        let ends = far.up_ended;
        if self.left.sabotage == Some(Sabotage::Twice) && way.got_up.is_empty() {
            bytes.extend_from_within(..);
        }
        if way.on.is_none() && way.got_up.is_empty() {
            way.on = Some(self.owner.handle_accepted(now));
        }
        way.got_up.extend_from_slice(&bytes);
        let Some(on) = way.on else {
            // It has closed the connection, and hears of nothing more.
            way.owner_knows = true;
            return;
        };
        if !bytes.is_empty() {
            self.owner.handle_bytes(now, on, &mut bytes);
        }
        if ends && self.left.sabotage != Some(Sabotage::Kept) {
            way.owner_knows = true;
            self.owner.handle_eof(now, on);
        }
    }

    /// Brings bytes towards the client.
    fn carry_down(&mut self, nth: usize, all: bool) {
        let way = &mut self.ways[nth];
        let (mut bytes, ends) = way.out.take(all);
        if self.left.sabotage == Some(Sabotage::Lost) {
            bytes.pop();
        }
        let far = way.node.far();
        far.down.extend(bytes);
        far.down_ended |= ends;
        self.pass(nth);
        let (now, way) = (self.now, &mut self.ways[nth]);
        let (mut bytes, ends) = way.down.take(true);
        way.got_down.extend_from_slice(&bytes);
        if let Some(id) = way.id {
            if !bytes.is_empty() {
                self.client.handle_bytes(now, id, &mut bytes);
            }
            if ends {
                self.client.handle_eof(now, id);
            }
        }
    }

    /// Lets the node do what it can.
    fn pass(&mut self, nth: usize) {
        let way = &mut self.ways[nth];
        if !way.node.closed {
            let bytes = way.node.drive(self.now);
            way.down.bytes.extend(bytes);
        }
        way.down.ended |= way.node.shut || way.node.closed;
    }

    fn cut(&mut self, nth: usize, leg: Leg) {
        let now = self.now;
        let way = &mut self.ways[nth];
        match leg {
            Leg::Near => {
                way.node.lose(now);
                way.up.lose();
                way.down.lose();
                if let Some(id) = way.id.take() {
                    self.client.handle_lost(now, id);
                }
            }
            Leg::Far => {
                way.out.lose();
                way.node.far().down_ended = true;
                way.owner_knows = true;
                if let Some(on) = way.on.take() {
                    self.owner.handle_lost(now, on);
                }
                self.pass(nth);
            }
        }
    }

    fn tick(&mut self) {
        let ways = self.ways.iter().filter_map(|way| way.node.deadline());
        let hubs = [self.client.poll_timeout(), self.owner.poll_timeout()];
        let Some(due) = hubs.into_iter().flatten().chain(ways).min() else { return };
        self.now = self.now.max(due);
        self.client.handle_timeout(self.now);
        self.owner.handle_timeout(self.now);
        (0..self.ways.len()).for_each(|nth| self.pass(nth));
    }

    /// Does what the hubs ask for, until there is nothing more.
    fn settle(&mut self) {
        let now = self.now;
        loop {
            if let Some(action) = self.client.poll_action(now, &mut fill) {
                self.act(action);
            } else if let Some(event) = self.client.poll_event() {
                if let Event::Message(message) = event {
                    self.heard_by_client = self.hear(&message, self.heard_by_client);
                }
            } else if let Some(output) = self.owner.poll() {
                self.take(output);
            } else {
                return;
            }
        }
    }

    fn act(&mut self, action: ClientHubAction) {
        let now = self.now;
        match action {
            ClientHubAction::Connect(id) => {
                self.client.handle_connected(now, id);
                self.ways.push(Way::new(id, Passed::new(now, &self.config)));
            }
            ClientHubAction::Write(id) => {
                let way = self.ways.iter_mut().find(|way| way.id == Some(id));
                let mut bytes = Vec::new();
                self.client.transmit(now, id, |some| take(&mut bytes, some));
                if let Some(way) = way {
                    way.sent_up.extend_from_slice(&bytes);
                    way.up.bytes.extend(bytes);
                }
            }
            ClientHubAction::Close(id) => {
                if let Some(way) = self.ways.iter_mut().find(|way| way.id == Some(id)) {
                    way.id = None;
                    way.up.ended = true;
                }
            }
            ClientHubAction::Encrypt(_) => {}
        }
    }

    fn take(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Write(on) => {
                let mut bytes = Vec::new();
                self.owner.transmit(now, on, |some| take(&mut bytes, some));
                if let Some(way) = self.ways.iter_mut().find(|way| way.on == Some(on)) {
                    way.sent_down.extend_from_slice(&bytes);
                    way.out.bytes.extend(bytes);
                }
            }
            Output::Shutdown(on) | Output::Close(on) => {
                if let Some(way) = self.ways.iter_mut().find(|way| way.on == Some(on)) {
                    way.out.ended = true;
                    if matches!(output, Output::Close(_)) {
                        way.on = None;
                    }
                }
            }
            Output::Event(_, Event::Message(message)) => {
                self.heard_by_owner = self.hear(&message, self.heard_by_owner);
            }
            Output::Event(_, Event::Closed(_)) => self.session = None,
            _ => {}
        }
    }

    /// Looks whether a message is the next, and returns how many have come.
    fn hear(&mut self, message: &Message, before: u64) -> u64 {
        let number = message.as_text().and_then(|text| text.parse().ok());
        if number != Some(before) {
            self.broken = Some(format!("{message:?} comes in the place of {before}"));
        }
        before + 1
    }

    /// Brings everything to where it belongs.
    fn carry_all(&mut self) {
        for _ in 0..ENOUGH {
            let moves = self.moves();
            let carried =
                moves.iter().filter(|step| matches!(step, Move::Carry(..))).collect::<Vec<_>>();
            if carried.is_empty() || self.broken().is_some() {
                return;
            }
            carried.into_iter().for_each(|&step| self.make(step));
        }
        self.broken = Some("bytes are on their way for ever".into());
    }

    const fn is_complete(&self) -> bool {
        self.said == self.heard_by_owner && self.told == self.heard_by_client
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
        may(left.says > 0 && self.client.session().is_open(), Move::Say);
        may(left.tells > 0 && self.session.is_some(), Move::Tell);
        for (nth, way) in self.ways.iter().enumerate() {
            let ups = way.up.has_some() || way.has_far();
            may(ups, Move::Carry(nth, Direction::Up));
            let downs = way.out.has_some() || way.down.has_some();
            may(downs, Move::Carry(nth, Direction::Down));
            let pieces = left.pieces > 0;
            may(pieces && way.up.bytes.len() > 1, Move::Piece(nth, Direction::Up));
            may(pieces && way.out.bytes.len() > 1, Move::Piece(nth, Direction::Down));
            let cuts = left.cuts > 0;
            may(cuts && way.id.is_some(), Move::Cut(nth, Leg::Near));
            may(cuts && way.id.is_some() && !way.up.bytes.is_empty(), Move::Leave(nth));
            may(cuts && way.on.is_some(), Move::Cut(nth, Leg::Far));
            may(left.refusals > 0 && way.may_be_refused(), Move::Refuse(nth));
        }
        may(left.ticks > 0, Move::Tick);
        moves
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Say => {
                self.left.says -= 1;
                if self.client.send(self.said.to_string()).is_ok() {
                    self.said += 1;
                }
            }
            Move::Tell => {
                self.left.tells -= 1;
                let session = self.session;
                if session.is_some_and(|to| self.owner.send(to, self.told.to_string()).is_ok()) {
                    self.told += 1;
                }
            }
            Move::Carry(nth, Direction::Up) => self.carry_up(nth, true),
            Move::Carry(nth, Direction::Down) => self.carry_down(nth, true),
            Move::Piece(nth, direction) => {
                self.left.pieces -= 1;
                match direction {
                    Direction::Up => self.carry_up(nth, false),
                    Direction::Down => self.carry_down(nth, false),
                }
            }
            Move::Cut(nth, leg) => {
                (self.left.cuts, self.faulty) = (self.left.cuts - 1, true);
                self.cut(nth, leg);
            }
            Move::Leave(nth) => {
                (self.left.cuts, self.faulty) = (self.left.cuts - 1, true);
                let (now, way) = (self.now, &mut self.ways[nth]);
                let (bytes, _) = way.up.take(true);
                way.node.receive(now, bytes);
                self.pass(nth);
                self.cut(nth, Leg::Near);
            }
            Move::Refuse(nth) => {
                (self.left.refusals, self.faulty) = (self.left.refusals - 1, true);
                self.ways[nth].node.far().fault = Some(HandOverFault::Unreachable);
            }
            Move::Tick => {
                (self.left.ticks, self.faulty) = (self.left.ticks.saturating_sub(1), true);
                self.tick();
            }
        }
        self.settle();
    }

    fn broken(&self) -> Option<String> {
        if let Some(broken) = &self.broken {
            return Some(broken.clone());
        }
        for (nth, way) in self.ways.iter().enumerate() {
            if !body(&way.sent_up).starts_with(body(&way.got_up)) {
                return Some(format!("the owner gets what connection {nth} has not sent"));
            }
            // Of the node itself: the head has not come in time, or the owner has not responded.
            let is_refusal = [" 408 ", " 502 ", " 503 ", " 504 "]
                .iter()
                .any(|status| way.got_down.starts_with(format!("HTTP/1.1{status}").as_bytes()));
            if !is_refusal && !way.sent_down.starts_with(&way.got_down) {
                return Some(format!("the client gets on connection {nth} what was not sent"));
            }
        }
        None
    }

    fn end(mut self) -> Option<String> {
        self.left = Scenario {
            sabotage: self.left.sabotage,
            polling: self.left.polling,
            ..Scenario::default()
        };
        self.carry_all();
        for _ in 0..SEVERAL {
            let is_open = self.client.session().is_open() && self.session.is_some();
            if self.broken().is_some() || self.is_complete() || !is_open {
                break;
            }
            // A poll that an upgrade waits for is released after a time.
            self.tick();
            self.settle();
            self.carry_all();
        }
        if let Some(broken) = self.broken() {
            return Some(broken);
        }
        let (client, owner) = (self.client.session().is_open(), self.session.is_some());
        let is_open = client && owner;
        if !self.faulty && !is_open {
            return Some("the session ends though nothing has happened".into());
        }
        if is_open && !self.is_complete() {
            return Some(format!(
                "{} of {} and {} of {} messages have come",
                self.heard_by_owner, self.said, self.heard_by_client, self.told
            ));
        }
        if is_open {
            self.client.close(self.now);
            self.settle();
        }
        for _ in 0..ENOUGH {
            self.carry_all();
            if let Some(broken) = self.broken() {
                return Some(broken);
            }
            let is_left = |way: &Way| !way.node.closed || way.on.is_some();
            let left = self.ways.iter().filter(|way| is_left(way)).count();
            if self.client.session().is_closed() && self.session.is_none() && left == 0 {
                return None;
            }
            self.make(Move::Tick);
        }
        Some("the session, or a connection, never ends".into())
    }
}

impl Way {
    fn new(id: ClientConnectionId, node: Passed) -> Self {
        Self {
            id: Some(id),
            on: None,
            node,
            up: Pipe::default(),
            down: Pipe::default(),
            out: Pipe::default(),
            owner_knows: false,
            sent_up: Vec::new(),
            got_up: Vec::new(),
            sent_down: Vec::new(),
            got_down: Vec::new(),
        }
    }

    /// Whether there is something between the node and the owner.
    const fn has_far(&self) -> bool {
        let far = self.node.seen();
        far.begun
            && far.fault.is_none()
            && !self.owner_knows
            && (!far.up.is_empty() || far.up_ended)
    }

    const fn may_be_refused(&self) -> bool {
        let far = self.node.seen();
        !far.begun && far.fault.is_none() && !self.up.bytes.is_empty()
    }
}

/// The name of the owner.
pub(super) const OWNER: &str = "b";

/// Deadlines within which all messages come, if nothing happens.
const SEVERAL: usize = 20;

/// More steps than anything takes to end.
const ENOUGH: usize = 500;

/// Bytes behind the head, which the node writes anew.
fn body(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    end.map_or(&[], |end| &bytes[end + 4..])
}

fn take(into: &mut Vec<u8>, bytes: &[u8]) -> usize {
    into.extend_from_slice(bytes);
    bytes.len()
}

/// Entropy that is the same on each way.
fn fill(bytes: &mut [u8]) {
    bytes.fill(7);
}
