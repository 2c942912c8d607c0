//! The server: what it gets, and what it says.

use std::collections::BTreeMap;

use enginewire::Message;
use enginewire_socketio::{
    Packet, PacketData,
    parser::{Decoder, Parser, ParserLimits},
};

use super::{
    model::{Heard, Model, NAMESPACES, RETRY_TIMEOUT},
    wire::ViewState,
};

/// What the server gets.
impl Model {
    /// Compares what was sent since the last look with the books.
    pub(super) fn look(&mut self) {
        while let Some(text) = self.session.as_mut().and_then(|wire| wire.sent.pop_front()) {
            let mut decoder = Decoder::new(&Parser::Json, ParserLimits::default());
            let packet = decoder.handle_message(Message::from(&*text));
            let packet = packet.expect("a packet in order").expect("a whole packet");
            self.gets(packet);
        }
    }

    fn gets(&mut self, packet: Packet) {
        let (is_wild, is_v3) = (self.is_wild, self.is_v3());
        let Some(wire) = &mut self.session else { return };
        let mut namespace = packet.namespace.to_string();
        namespace.truncate(namespace.find('?').unwrap_or(namespace.len()));
        let view = wire.view(&namespace);
        let state = view.state;
        match packet.data {
            PacketData::Connect(auth) => {
                use ViewState::{Apart, Disconnected};
                assert!(is_wild || matches!(state, Apart | Disconnected), "asked twice: {state:?}");
                assert!(!is_v3 || auth.is_none());
                view.state = ViewState::Requested;
                let fields: BTreeMap<String, String> =
                    auth.map(|auth| auth.decode().unwrap()).unwrap_or_default();
                view.auth = fields.get("user").cloned();
            }
            PacketData::Disconnect => {
                use ViewState::{Connected, Disconnected};
                assert!(is_wild || matches!(state, Connected | Disconnected), "left: {state:?}");
                (view.state, view.is_stale) = (ViewState::Apart, true);
            }
            PacketData::Event { ack, args } => {
                // It may cross the disconnection by the server if it waited for room.
                use ViewState::{Connected, Disconnected};
                assert!(is_wild || matches!(state, Connected | Disconnected), "sent: {state:?}");
                let number = args.decode::<u64>(1).unwrap();
                if let Some(id) = ack {
                    let before = wire.asked.insert((namespace, id.0), number);
                    let is_same = before.is_none_or(|before| before == number);
                    assert!(is_same, "number {id} is used twice in a session");
                }
                self.gets_event(number);
            }
            PacketData::Ack { .. } => {
                assert!(is_wild || state == ViewState::Connected, "acknowledged: {state:?}");
            }
            PacketData::ConnectError(_) => panic!("a client refuses"),
        }
    }

    fn gets_event(&mut self, number: u64) {
        self.reached.sent += 1;
        let at = self.owners[usize::try_from(number).unwrap()];
        let until = Some(self.now + RETRY_TIMEOUT);
        let socket = &mut self.sockets[at];
        let retries = &mut socket.retries;
        if let Some(nth) = retries.iter().position(|retry| retry.number == number) {
            assert_eq!(nth, 0, "{number} does not wait for those before it");
            let retry = &mut retries[0];
            assert_eq!(retry.until, None, "{number} is sent again before its time");
            retry.until = until;
            retry.times += 1;
            assert!(retry.times <= retry.most, "{number} is sent too often");
            return;
        }
        let queue =
            if socket.leaving.is_empty() { &mut socket.pending } else { &mut socket.leaving };
        assert_eq!(queue.pop_front(), Some(number), "sent twice, or out of order");
    }
}

/// What the server says.
impl Model {
    pub(super) fn server_connects(&mut self, namespace: usize, is_recoverable: bool) {
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        if self.state(namespace) != Some(ViewState::Requested) {
            return;
        }
        let said = self.said;
        let response = match (self.is_v3(), is_recoverable) {
            (true, _) => String::new(),
            (false, true) => format!(r#"{{"sid":"s{said}","pid":"p"}}"#),
            (false, false) => format!(r#"{{"sid":"s{said}"}}"#),
        };
        let was_connected = self.living(namespace).is_some_and(|(at, _)| self.is_connected(at));
        self.grants(namespace);
        self.says(format!("0{}{response}", head(namespace)).into());
        let Some((at, _)) = self.living(namespace).filter(|&(at, _)| self.is_connected(at)) else {
            return;
        };
        assert!(!was_connected || self.is_wild, "it is connected twice");
        let is_v3 = self.is_v3();
        let Some(wire) = &mut self.session else { return };
        if !self.is_wild && !is_v3 {
            assert_eq!(wire.view(namespace).auth, self.sockets[at].auth, "another's payload");
        }
    }

    /// The response to a request is on its way.
    fn grants(&mut self, namespace: &str) {
        let Some(wire) = &mut self.session else { return };
        let view = wire.view(namespace);
        (view.state, view.is_stale) = (ViewState::Connected, false);
        view.granted += 1;
    }

    pub(super) fn server_refuses(&mut self, namespace: usize) {
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        if self.state(namespace) != Some(ViewState::Requested) {
            return;
        }
        if let Some(wire) = &mut self.session {
            wire.view(namespace).state = ViewState::Apart;
        }
        let response = if self.is_v3() { r#""no""# } else { r#"{"message":"no"}"# };
        self.says(format!("4{}{response}", head(namespace)).into());
        let living = self.living(namespace);
        assert!(self.is_wild || living.is_none_or(|(at, _)| !self.is_connected(at)));
    }

    pub(super) fn server_disconnects(&mut self, namespace: usize) {
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        let Some(wire) = &mut self.session else { return };
        let view = wire.view(namespace);
        if view.state == ViewState::Connected {
            view.state = ViewState::Disconnected;
        } else if !view.is_stale {
            return;
        }
        if self.is_over() {
            return;
        }
        let before = self.living(namespace);
        let was =
            before.map(|(_, slot)| (self.manager.is_connected(slot), self.manager.is_active(slot)));
        self.says(format!("1{}", head(namespace)).into());
        let Some(((at, slot), (was_connected, was_active))) = before.zip(was) else { return };
        if self.is_over() {
            return;
        }
        if was_connected {
            assert!(!self.manager.is_active(slot), "the server has disconnected it");
            assert!(self.sockets[at].retries.is_empty());
        } else if !self.is_wild {
            assert_eq!(self.manager.is_active(slot), was_active, "it was the socket before");
        }
    }

    pub(super) fn server_emits(&mut self, namespace: usize, is_asking: bool) {
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        let ack = if is_asking { (self.said % 3).to_string() } else { String::new() };
        let text = format!("2{}{ack}[\"e\",{}]", head(namespace), self.said);
        self.says(text.into());
    }

    pub(super) fn server_acknowledges(&mut self, namespace: usize, back: usize) {
        if let Some(&(id, number)) = self.asked(namespace).iter().rev().nth(back % 8) {
            self.acknowledges(NAMESPACES[namespace % NAMESPACES.len()], id, number);
        }
    }

    /// The server acknowledges all that is waited for.
    pub(super) fn server_acknowledges_all(&mut self, namespace: usize) {
        for (id, number) in self.asked(namespace) {
            if self.is_waited_for(number) {
                self.acknowledges(NAMESPACES[namespace], id, number);
            }
        }
    }

    /// Events of a namespace that the server was to acknowledge, with their numbers for that.
    fn asked(&self, namespace: usize) -> Vec<(u128, u64)> {
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        let asked = self.session.iter().flat_map(|wire| &wire.asked);
        let of_it = asked.filter(|((of, _), _)| of == namespace);
        of_it.map(|((_, id), &number)| (*id, number)).collect()
    }

    fn acknowledges(&mut self, namespace: &str, id: u128, number: u64) {
        let at = self.owners[usize::try_from(number).unwrap()];
        let is_due = self.is_connected(at) && !self.is_over() && self.is_waited_for(number);
        self.says(format!("3{}{id}[{number}]", head(namespace)).into());
        let is_over = self.is_over();
        assert!(!is_due || is_over || !self.is_waited_for(number), "{number} was acknowledged");
    }

    fn is_waited_for(&self, number: u64) -> bool {
        let socket = &self.sockets[self.owners[usize::try_from(number).unwrap()]];
        socket.acks.contains_key(&number)
            || socket.retries.front().is_some_and(|retry| retry.number == number)
    }

    /// The server says something of any kind.
    pub(super) fn server_says(&mut self, message: Message) {
        self.is_wild = true;
        self.says(message);
    }

    pub(super) fn state(&self, namespace: &str) -> Option<ViewState> {
        let wire = self.session.as_ref().filter(|wire| wire.is_open)?;
        Some(wire.state(namespace))
    }

    /// Whether the session is over, or about to be.
    pub(super) fn is_over(&self) -> bool {
        self.session.as_ref().is_none_or(super::wire::Wire::is_over)
    }

    fn says(&mut self, message: Message) {
        let Some(wire) = &mut self.session else { return };
        if !wire.is_open || wire.is_aborted {
            return;
        }
        let cost = message.cost();
        wire.received += cost;
        let is_closed = wire.is_closed;
        let unread = self.manager.unread();
        let packet = match is_closed {
            true => None,
            false => {
                self.partial += cost;
                self.decoder.handle_message(message.clone()).unwrap_or_else(|_| {
                    self.partial = 0;
                    None
                })
            }
        };
        let heard = packet.and_then(|packet| self.may_hear(&packet));
        self.manager.handle_message(self.now, message, &mut self.session);
        if self.is_over() && !is_closed && self.manager.fault().is_some() {
            self.partial = 0;
        }
        self.heard(unread, heard);
        self.drain();
        self.look();
    }

    /// What an event or a refusal is to become, before it is handed in: of which socket it is, whether it must be told,
    /// or may be.
    fn may_hear(&mut self, packet: &Packet) -> Option<Hearing> {
        let cost = std::mem::take(&mut self.partial);
        let (is_refusal, number) = match &packet.data {
            PacketData::Event { args, .. } if !args.is_empty() => (false, args.decode(1).ok()),
            PacketData::ConnectError(_) => (true, None),
            _ => return None,
        };
        let namespace = packet.namespace.as_str();
        let view = self.session.as_mut()?.view(namespace);
        let (is_stale, granted) = (view.is_stale, view.granted);
        let is_waiting = view.state == ViewState::Connected;
        let living = self.living(namespace);
        let is_connected = living.is_some_and(|(at, _)| self.is_connected(at));
        let granted = granted + u32::from(!is_connected);
        // That of a socket which has left, or is about to.
        let is_late = !is_connected && (is_stale || is_waiting);
        let heard = Heard { is_refusal, number, cost, serial: self.serial, granted };
        Some(Hearing { at: living.map(|(at, _)| at), is_connected, is_late, heard })
    }

    fn heard(&mut self, unread: usize, hearing: Option<Hearing>) {
        self.said += 1;
        let is_told = self.manager.unread() > unread;
        let Some(Hearing { at, is_connected, is_late, heard }) = hearing else {
            return assert!(!is_told, "something is told that is no event");
        };
        if heard.is_refusal {
            assert!(!is_told || !is_connected, "a connected socket is told to be refused");
        } else {
            assert!(is_told || !is_connected || self.is_wild, "an event is not told");
            assert!(!is_told || !is_late || self.is_wild, "an event of the socket before is told");
        }
        if is_told {
            let at = at.expect("there is a socket");
            self.sockets[at].events.push_back(heard);
        }
    }
}

/// What an event of the server may become.
struct Hearing {
    at: Option<usize>,
    is_connected: bool,
    is_late: bool,
    heard: Heard,
}

/// What stands behind the type of a packet.
fn head(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}
