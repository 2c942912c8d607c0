//! The model of a client: what it does, and what it makes of what comes.

use std::collections::{BTreeMap, BTreeSet};

use enginewire::{ClientConfig, ClientConnectionId, ClientHub, Time};

use super::{
    books::{Books, Life},
    world::{NAMESPACES, Sabotage},
};
use crate::{network::WireId, path::Path, random::Random};

/// A client that comes back again and again.
pub(super) struct Person {
    pub(super) config: ClientConfig,
    /// There while it has a session, or closes one.
    pub(super) hub: Option<ClientHub>,
    pub(super) links: BTreeMap<ClientConnectionId, WireId>,
    pub(super) names: BTreeMap<WireId, ClientConnectionId>,
    pub(super) weather: Box<dyn FnMut(&mut Random) -> Path>,
    pub(super) random: Random,
    pub(super) armed: Option<Time>,
    /// Connections that are about to be read.
    pub(super) reads: BTreeSet<WireId>,
    /// It takes nothing that comes.
    pub(super) is_paused: bool,
    pub(super) is_open: bool,
    /// It does not come back.
    pub(super) has_gone: bool,
    pub(super) parts: Vec<Part>,
    pub(super) sabotage: Option<Sabotage>,
}

/// The client in one namespace.
#[derive(Default)]
pub(super) struct Part {
    /// It wants to be there.
    is_wanted: bool,
    state: State,
    /// Its socket, or the one before.
    id: Option<String>,
    pid: Option<String>,
    offset: Option<String>,
    /// Events that came before CONNECT, of a socket that comes back.
    early: Vec<Event>,
    /// Events that it has sent over this connection.
    sent: u64,
    /// Events that were not acknowledged.
    asked: BTreeSet<u64>,
    /// Numbers of the server's events that it has not acknowledged.
    owes: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Idle,
    Asking,
    Connected,
    /// It has left, and listens no more in this session.
    Left,
}

struct Event {
    number: u64,
    ack: Option<u64>,
    offset: Option<String>,
}

/// A packet of the server.
pub(super) struct Packet<'a> {
    kind: char,
    namespace: usize,
    ack: Option<u64>,
    json: &'a str,
}

impl<'a> Packet<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let kind = text.chars().next()?;
        let rest = text.get(1..)?;
        let (name, rest) = match rest.starts_with('/') {
            true => rest.split_once(',')?,
            false => ("/", rest),
        };
        let namespace = NAMESPACES.iter().position(|known| *known == name)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (ack, json) = rest.split_at(digits);
        Some(Self { kind, namespace, ack: ack.parse().ok(), json })
    }
}

impl Event {
    /// The number stands behind a string that makes the event large.
    fn parse(packet: &Packet<'_>) -> Option<Self> {
        let rest = packet.json.strip_prefix(r#"["e",""#)?.strip_suffix(']')?;
        let (_, rest) = rest.split_once(r#"","#)?;
        let (number, offset) = rest.split_once(',').unwrap_or((rest, ""));
        let offset = offset.strip_prefix('"').and_then(|offset| offset.strip_suffix('"'));
        let (number, offset) = (number.parse().ok()?, offset.map(String::from));
        Some(Self { number, ack: packet.ack, offset })
    }
}

impl Person {
    pub(super) fn says(&mut self, namespace: usize, kind: char, rest: &str) {
        let message = match NAMESPACES[namespace] {
            "/" => format!("{kind}{rest}"),
            name => format!("{kind}{name},{rest}"),
        };
        // Without room it is as if it had not wanted to, but for the state of the namespace.
        if let Some(hub) = &mut self.hub {
            drop(hub.send(message));
        }
    }

    /// Whether there is room for what it wants to say.
    fn has_room(&self) -> bool {
        let hub = self.hub.as_ref().filter(|_| self.is_open && !self.is_paused);
        hub.is_some_and(|hub| hub.session().is_open() && hub.session().queued() < ROOM)
    }

    /// Asks to connect to the namespaces that it wants to be in.
    pub(super) fn connect(&mut self) {
        for namespace in 0..self.parts.len() {
            let part = &self.parts[namespace];
            if part.state != State::Idle || !part.is_wanted || !self.has_room() {
                continue;
            }
            let auth = match (&part.pid, &part.offset) {
                (None, _) => String::new(),
                (Some(pid), None) => format!(r#"{{"pid":"{pid}"}}"#),
                (Some(pid), Some(offset)) => format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#),
            };
            self.parts[namespace].state = State::Asking;
            self.says(namespace, '0', &auth);
        }
    }

    pub(super) fn emit(&mut self, namespace: usize, is_request: bool) {
        if !self.has_room() || self.parts[namespace].state != State::Connected {
            return;
        }
        let part = &mut self.parts[namespace];
        let number = part.sent;
        part.sent += 1;
        let ack = if is_request { number.to_string() } else { String::new() };
        if is_request {
            part.asked.insert(number);
        }
        self.says(namespace, '2', &format!(r#"{ack}["c",{number}]"#));
    }

    /// Acknowledges what it has not acknowledged, in any order.
    pub(super) fn reply(&mut self, namespace: usize) {
        while self.has_room() && self.parts[namespace].state == State::Connected {
            let owes = &mut self.parts[namespace].owes;
            let nth = self.random.size(owes.len()) - 1;
            if owes.is_empty() {
                return;
            }
            let ack = owes.swap_remove(nth);
            self.says(namespace, '3', &format!("{ack}[{ack}]"));
        }
    }

    pub(super) fn leave(&mut self, namespace: usize) {
        if self.has_room() && self.parts[namespace].state == State::Connected {
            self.parts[namespace].forget(State::Left);
            self.says(namespace, '1', "");
        }
    }

    /// Its session is over.
    pub(super) fn lost(&mut self) {
        self.is_open = false;
        self.parts.iter_mut().for_each(|part| part.forget(State::Idle));
    }

    pub(super) fn hears(&mut self, books: &mut Books, text: &str) {
        let Some(packet) = Packet::parse(text) else { panic!("a client cannot read {text}") };
        let part = &mut self.parts[packet.namespace];
        if part.state == State::Left {
            return;
        }
        match packet.kind {
            '0' => part.connected(books, &packet),
            '1' => {
                assert_eq!(part.state, State::Connected, "{text}");
                part.forget(State::Idle);
                let id = part.id.clone().unwrap_or_default();
                books.client_kicked(&id);
            }
            '2' => {
                let Some(event) = Event::parse(&packet) else {
                    panic!("a client cannot read {text}")
                };
                let is_twice = self.sabotage == Some(Sabotage::Twice);
                let is_lost = self.sabotage == Some(Sabotage::Lost) && self.random.chance(100);
                if is_lost {
                    return;
                }
                if is_twice {
                    part.got(books, &Event { offset: None, ..event });
                }
                match part.state {
                    State::Connected => part.got(books, &event),
                    State::Asking if part.pid.is_some() => part.early.push(event),
                    _ => panic!("a client that is not connected gets {text}"),
                }
            }
            '3' => {
                let asked = packet.ack.is_some_and(|ack| part.asked.remove(&ack));
                let is_right = packet.ack.is_some_and(|ack| packet.json == format!("[{ack}]"));
                assert!(asked && is_right, "a client gets an acknowledgement of nothing: {text}");
            }
            '4' => {
                assert_eq!(part.state, State::Asking, "{text}");
                assert!(part.early.is_empty(), "events come before {text}");
                part.state = State::Idle;
            }
            _ => panic!("a client gets {text}"),
        }
    }
}

impl Part {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, ..Self::default() }
    }

    fn forget(&mut self, state: State) {
        self.state = state;
        self.early.clear();
        self.asked.clear();
        self.owes.clear();
        self.sent = 0;
    }

    fn connected(&mut self, books: &mut Books, packet: &Packet<'_>) {
        let field = |name: &str| {
            let (_, rest) = packet.json.split_once(&format!(r#""{name}":""#))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        assert_eq!(self.state, State::Asking, "{}", packet.json);
        let id = field("sid").unwrap_or_else(|| panic!("{} has no id", packet.json));
        let before = self.id.replace(id.clone());
        (self.state, self.pid) = (State::Connected, field("pid"));
        books.account_mut(&id).pid.clone_from(&self.pid);
        let early = std::mem::take(&mut self.early);
        if before.as_ref() != Some(&id) {
            self.offset = None;
            assert!(early.is_empty(), "events come to {id} before CONNECT");
            before.into_iter().for_each(|before| books.close(&before));
        }
        early.iter().for_each(|event| self.got(books, event));
    }

    fn got(&mut self, books: &mut Books, event: &Event) {
        let id = self.id.clone().unwrap_or_default();
        books.receive(&id, event.number);
        self.owes.extend(event.ack);
        self.offset = event.offset.clone().or_else(|| self.offset.take());
    }

    /// Whether all has come that can, once nothing is on its way.
    pub(super) fn check_complete(&self, books: &Books) {
        if self.state != State::Connected {
            assert!(self.state == State::Left || !self.is_wanted, "a client is {:?}", self.state);
            return;
        }
        let id = self.id.as_deref().unwrap_or_default();
        let Some(account) = books.account(id) else { panic!("there is no socket {id}") };
        assert_eq!(account.life, Life::Connected, "{id} is there on one side only");
        assert_eq!(account.missing(), None, "{id} has not got all");
        assert_eq!(account.taken, self.sent, "events of {id} have not come");
        assert!(self.asked.is_empty(), "requests of {id} have no answer: {:?}", self.asked);
    }
}

/// Bytes that may wait before a client says nothing more.
const ROOM: usize = 4000;
