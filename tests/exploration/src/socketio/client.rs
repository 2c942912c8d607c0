//! The model of a client: what it does, and what it makes of what comes.

use super::{
    books::Life,
    link::Link,
    scenario::Sabotage,
    world::{NAMES, World},
};

/// The client in one namespace.
#[derive(Clone, Default, Hash)]
pub(super) struct Part {
    pub(super) state: State,
    /// The socket that it had last.
    socket: Option<usize>,
    pid: Option<String>,
    offset: Option<String>,
    /// Events that came before the response, of a socket that comes back.
    early: Vec<Event>,
    /// A socket that it has left on this link, of which something may still be on its way.
    stale: Option<usize>,
    /// Events that it has sent to this socket over this link.
    pub(super) sent: u8,
    /// Events that the server has not acknowledged.
    pub(super) asked: Vec<u8>,
    /// Events of the server that it has not acknowledged.
    pub(super) owes: Vec<(u8, u8)>,
    /// The event that it has acknowledged last.
    pub(super) replied: Option<(u8, u8)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum State {
    #[default]
    Idle,
    Asking,
    Connected(usize),
    /// It has not waited for the response, and looks at nothing more on this link.
    Withdrawn,
}

#[derive(Clone, Hash)]
struct Event {
    number: u8,
    ack: Option<u8>,
    offset: Option<String>,
}

/// A packet of the server.
struct Packet<'a> {
    kind: char,
    space: usize,
    ack: Option<u8>,
    json: &'a str,
}

impl<'a> Packet<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let kind = text.chars().next()?;
        let (name, rest) = text.get(1..)?.split_once(',')?;
        let space = NAMES.iter().position(|known| *known == name)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (ack, json) = rest.split_at(digits);
        Some(Self { kind, space, ack: ack.parse().ok(), json })
    }
}

impl Event {
    fn parse(ack: Option<u8>, json: &str) -> Option<Self> {
        let (number, offset) = match json.strip_prefix(r#"["e","#)?.strip_suffix(']')? {
            rest if rest.contains(',') => rest.split_once(',')?,
            rest => (rest, ""),
        };
        let offset = offset.strip_prefix('"').and_then(|offset| offset.strip_suffix('"'));
        Some(Self { number: number.parse().ok()?, ack, offset: offset.map(String::from) })
    }
}

impl World {
    /// The link that the client uses.
    pub(super) fn link(&mut self) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| !link.left_by_client)
    }

    pub(super) fn client_says(&mut self, space: usize, kind: char, rest: &str) {
        let message = format!("{kind}{},{rest}", NAMES[space]);
        if let Some(link) = self.link() {
            link.push_up(message);
        }
    }

    pub(super) fn connect(&mut self, space: usize) {
        let part = &mut self.parts[space];
        part.state = State::Asking;
        let auth = match (&part.pid, &part.offset) {
            (None, _) => String::new(),
            (Some(pid), None) => format!(r#"{{"pid":"{pid}"}}"#),
            (Some(pid), Some(offset)) => format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#),
        };
        self.client_says(space, '0', &auth);
    }

    pub(super) fn leave(&mut self, space: usize) {
        let part = &mut self.parts[space];
        (part.state, part.stale) = match part.state {
            State::Connected(socket) => (State::Idle, Some(socket)),
            _ => (State::Withdrawn, None),
        };
        part.forget();
        self.client_says(space, '1', "");
    }

    pub(super) fn emit(&mut self, space: usize, is_request: bool) {
        let part = &mut self.parts[space];
        let number = part.sent;
        part.sent += 1;
        let ack = if is_request { number.to_string() } else { String::new() };
        if is_request {
            part.asked.push(number);
        }
        self.client_says(space, '2', &format!(r#"{ack}["c",{number}]"#));
    }

    /// Acknowledges the oldest event, or once more the last.
    pub(super) fn reply(&mut self, space: usize, is_again: bool) {
        let part = &mut self.parts[space];
        let reply = match is_again {
            true => part.replied,
            false => (!part.owes.is_empty()).then(|| part.owes.remove(0)),
        };
        let Some((ack, number)) = reply else { return };
        part.replied = reply;
        let question = self.books.questions.iter_mut().find(|it| it.number == number);
        if let Some(question) = question {
            question.is_answered = true;
        }
        self.client_says(space, '3', &format!("{ack}[{number}]"));
    }

    /// The session of the client is over.
    pub(super) fn client_lost(&mut self) {
        for part in &mut self.parts {
            (part.state, part.stale) = (State::Idle, None);
            part.forget();
        }
    }

    pub(super) fn client_hears(&mut self, text: &str) {
        let Some(packet) = Packet::parse(text) else {
            return self.accuse(format!("the client cannot read {text}"));
        };
        let space = packet.space;
        if self.parts[space].state == State::Withdrawn {
            return;
        }
        match packet.kind {
            '0' => self.connected(space, packet.json),
            '4' => self.refused(space),
            '1' => self.disconnected(space),
            '2' => match Event::parse(packet.ack, packet.json) {
                Some(event) => {
                    self.got_event(space, event.clone());
                    if self.scenario.sabotage == Some(Sabotage::Twice) {
                        self.got_event(space, event);
                    }
                }
                None => self.accuse(format!("the client cannot read {text}")),
            },
            '3' => self.got_ack(space, packet.ack, packet.json),
            _ => self.accuse(format!("the client gets {text}")),
        }
    }

    fn connected(&mut self, space: usize, json: &str) {
        let field = |name: &str| {
            let (_, rest) = json.split_once(&format!(r#""{name}":""#))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let part = &mut self.parts[space];
        let found = field("sid").and_then(|sid| self.books.find(&sid));
        let (State::Asking, Some(socket)) = (part.state, found) else {
            return self.accuse(format!("the client is connected to {} by itself", NAMES[space]));
        };
        let is_recovered = part.socket == Some(socket);
        let early = std::mem::take(&mut part.early);
        part.state = State::Connected(socket);
        (part.socket, part.stale, part.pid) = (Some(socket), None, field("pid"));
        if !is_recovered {
            part.offset = None;
            if let Some(event) = early.first() {
                let number = event.number;
                return self.accuse(format!("event {number} comes before CONNECT"));
            }
        }
        self.books.recovered += u8::from(is_recovered);
        early.into_iter().for_each(|event| self.got_event(space, event));
    }

    fn refused(&mut self, space: usize) {
        let part = &mut self.parts[space];
        if part.state != State::Asking || !part.early.is_empty() {
            return self.accuse(format!("the client is refused in {} by itself", NAMES[space]));
        }
        (part.state, part.stale) = (State::Idle, None);
    }

    fn disconnected(&mut self, space: usize) {
        let part = &mut self.parts[space];
        match (part.state, part.stale) {
            (State::Connected(socket), _) => {
                part.state = State::Idle;
                part.forget();
                let account = &self.books.sockets[socket];
                let id = &account.id;
                if !account.was_kicked() {
                    return self.accuse(format!("socket {id} is disconnected by nobody"));
                }
                if let Some(number) = account.missing_before_kick() {
                    self.accuse(format!("socket {id} is disconnected without event {number}"));
                }
            }
            // Both sides have left.
            (_, Some(socket)) if self.books.sockets[socket].was_kicked() => part.stale = None,
            _ => self.accuse(format!("the client is disconnected from {}", NAMES[space])),
        }
    }

    fn got_event(&mut self, space: usize, event: Event) {
        let part = &mut self.parts[space];
        let Event { number, ack, ref offset } = event;
        match part.state {
            State::Connected(socket) => {
                part.offset = offset.clone().or_else(|| part.offset.take());
                part.owes.extend(ack.map(|ack| (ack, number)));
                if let Err(broken) = self.books.sockets[socket].receive(number) {
                    self.accuse(broken);
                }
            }
            // It does not know any more that it was for the socket that it has left.
            _ if part.stale.is_some_and(|socket| self.books.sockets[socket].expects(number)) => {}
            State::Asking if part.pid.is_some() => part.early.push(event),
            _ => self.accuse(format!("event {number} comes for no socket of {}", NAMES[space])),
        }
    }

    fn got_ack(&mut self, space: usize, ack: Option<u8>, json: &str) {
        let part = &mut self.parts[space];
        let asked = part.asked.iter().position(|&number| Some(number) == ack);
        match (part.state, asked) {
            (State::Connected(_), Some(at)) => {
                let number = part.asked.remove(at);
                if json != format!("[{number}]") {
                    self.accuse(format!("request {number} is acknowledged by {json}"));
                }
            }
            (State::Idle | State::Asking, None) if part.stale.is_some() => {}
            _ => self.accuse(format!("the client gets an acknowledgement {ack:?} of nothing")),
        }
    }

    /// The first thing that the client still waits for, although nothing more is to come.
    pub(super) fn client_waits_for(&self) -> Option<String> {
        for (space, part) in self.parts.iter().enumerate() {
            let name = NAMES[space];
            let State::Connected(socket) = part.state else {
                if part.state == State::Asking {
                    return Some(format!("in the end the client still asks for {name}"));
                }
                continue;
            };
            let account = &self.books.sockets[socket];
            let seat = self.seats.iter().find(|seat| seat.socket == socket);
            let Some(seat) = seat.filter(|_| account.life == Life::Connected) else {
                return Some(format!("in the end socket {} is there on one side only", account.id));
            };
            if let Some(number) = account.missing() {
                return Some(format!(
                    "in the end socket {} has not got event {number}",
                    account.id
                ));
            }
            if let Some(number) = part.asked.first() {
                return Some(format!("in the end request {number} to {name} has no answer"));
            }
            if seat.taken != part.sent {
                return Some(format!("in the end events to {name} have not come"));
            }
        }
        None
    }
}

impl Part {
    /// The socket is over for the client.
    fn forget(&mut self) {
        self.early.clear();
        self.asked.clear();
        self.owes.clear();
        (self.sent, self.replied) = (0, None);
    }
}
