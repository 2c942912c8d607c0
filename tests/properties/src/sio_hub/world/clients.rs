//! The clients: their moves, and the packets that come to them.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{Link, MASK, MAX_LINKS, NAMESPACES, Out, Said, Socket, World};
use crate::sio_hub::wire::{Client, Connected, Packet, upgrade};
use crate::websocket::frames::{BINARY, FIN, TEXT, frame};

/// Moves of clients.
impl World {
    pub(in crate::sio_hub) fn open(&mut self, revision: u8) {
        self.open_link(revision);
        self.settle();
    }

    fn open_link(&mut self, revision: u8) -> Option<usize> {
        if self.links.iter().filter(|link| !link.is_gone).count() >= MAX_LINKS {
            return None;
        }
        let (on, link) = (self.hub.handle_accepted(self.now), self.links.len());
        let mut client = Client::default();
        if revision == 3 {
            client.ask("/");
        }
        self.links.push(Link {
            on,
            client,
            unread: VecDeque::new(),
            room: None,
            has_ended: false,
            is_gone: false,
            is_deserted: false,
            is_wild: false,
            revision,
            claim: None,
        });
        // By which it is known to whom a socket belongs.
        self.sends(link, upgrade(revision, link), None);
        Some(link)
    }

    pub(in crate::sio_hub) fn connect(&mut self, n: usize, namespace: usize) {
        let (Some(link), namespace) = (self.link(n), NAMESPACES[namespace % NAMESPACES.len()])
        else {
            return;
        };
        let Link { client, .. } = &mut self.links[link];
        let is_known = client.namespaces.contains_key(namespace);
        if is_known || client.asking.get(namespace).is_some_and(|&asking| asking > 0) {
            return;
        }
        client.ask(namespace);
        self.says(link, "0", namespace, "", None);
    }

    pub(in crate::sio_hub) fn leave_namespace(&mut self, n: usize, namespace: usize) {
        let Some(link) = self.link(n) else { return };
        let Link { client, .. } = &mut self.links[link];
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        if client.namespaces.remove(namespace).is_some() {
            client.left.push(namespace.into());
            client.owed.retain(|(of, ..)| of != namespace);
            self.says(link, "1", namespace, "", None);
        }
    }

    pub(in crate::sio_hub) fn say(&mut self, n: usize, namespace: usize, wants_ack: bool) {
        let Some(link) = self.link(n) else { return };
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        let Some(connected) = self.links[link].client.namespaces.get(namespace) else { return };
        let socket = connected.socket;
        let serial = self.next_serial();
        let number = if wants_ack { serial.to_string() } else { String::new() };
        let payload = format!("{number}{}", json!(["n", serial]));
        self.says(link, "2", namespace, &payload, Some(Said { socket, serial }));
    }

    pub(in crate::sio_hub) fn answer(&mut self, n: usize) {
        let Some(link) = self.link(n) else { return };
        if let Some((namespace, number, serial)) = self.links[link].client.owed.pop_front() {
            self.says(link, "3", &namespace, &format!("{number}[{serial}]"), None);
        }
    }

    pub(in crate::sio_hub) fn raw(&mut self, n: usize, is_binary: bool, bytes: &[u8]) {
        let Some(link) = self.link(n) else { return };
        self.links[link].is_wild = true;
        let sent = match is_binary {
            true => frame(FIN | BINARY, bytes, MASK),
            false => {
                frame(FIN | TEXT, format!("4{}", String::from_utf8_lossy(bytes)).as_bytes(), MASK)
            }
        };
        self.sends(link, sent, None);
        self.settle();
    }

    /// The client of a socket comes back on a new connection. It may not know that it is cut off.
    pub(in crate::sio_hub) fn come_back(&mut self, n: usize) {
        let Some(claim) = self.socket(n).map(|socket| self.heir(socket)) else { return };
        let Socket { pid, offset, namespace, .. } = &self.sockets[claim];
        let Some(pid) = pid.clone() else { return };
        let mut payload = json!({ "pid": pid });
        if let Some(offset) = offset {
            payload["offset"] = json!(offset);
        }
        let namespace = namespace.clone();
        let before = self.sockets[claim].link;
        let Some(link) = self.open_link(4) else { return };
        for n in 0..link {
            let has_tried = self.links[n].claim.is_some_and(|other| self.heir(other) == claim);
            self.links[n].is_deserted |= n == before || has_tried;
        }
        self.links[link].claim = Some(claim);
        self.links[link].client.ask(&namespace);
        self.says(link, "0", &namespace, &payload.to_string(), None);
    }

    /// The socket that has the place of another.
    pub(super) fn heir(&self, mut socket: usize) -> usize {
        while let Some(successor) = self.sockets[socket].successor {
            socket = successor;
        }
        socket
    }

    fn says(&mut self, link: usize, kind: &str, namespace: &str, rest: &str, said: Option<Said>) {
        let namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
        let packet = format!("4{kind}{namespace}{rest}");
        self.sends(link, frame(FIN | TEXT, packet.as_bytes(), MASK), said);
        self.settle();
    }

    fn sends(&mut self, link: usize, bytes: Vec<u8>, said: Option<Said>) {
        let Link { has_ended: false, is_gone: false, unread, .. } = &mut self.links[link] else {
            return;
        };
        unread.push_back((bytes, said));
        self.read(link);
    }

    /// Reads what has come, as long as the hub wants that.
    pub(super) fn read(&mut self, link: usize) {
        let on = self.links[link].on;
        while !self.links[link].is_gone && self.hub.is_reading(on) {
            let Link { unread, is_wild, .. } = &mut self.links[link];
            let Some((mut bytes, said)) = unread.pop_front() else { return };
            if let Some(Said { socket, serial }) = said
                && self.hub.is_connected(self.sockets[socket].key)
            {
                let is_sure = !*is_wild && !self.is_late;
                self.sockets[socket].incoming.push_back((serial, is_sure));
            }
            self.hub.handle_bytes(self.now, on, &mut bytes);
        }
    }

    pub(in crate::sio_hub) fn eof(&mut self, n: usize) {
        let Some(link) = self.link(n) else { return };
        let Link { on, has_ended, is_gone, unread, .. } = &mut self.links[link];
        if !*is_gone && unread.is_empty() && !std::mem::replace(has_ended, true) {
            self.hub.handle_eof(self.now, *on);
            self.settle();
        }
    }

    pub(in crate::sio_hub) fn lose(&mut self, n: usize) {
        if let Some(link) = self.link(n) {
            self.lose_link(link);
            self.settle();
        }
    }

    pub(super) fn lose_link(&mut self, link: usize) {
        let Link { on, is_gone, unread, .. } = &mut self.links[link];
        if !std::mem::replace(is_gone, true) {
            unread.clear();
            self.hub.handle_lost(self.now, *on);
        }
    }

    pub(in crate::sio_hub) fn let_out(&mut self, n: usize, room: Option<usize>) {
        let Some(link) = self.link(n) else { return };
        let Link { on, is_gone, room: current, .. } = &mut self.links[link];
        *current = room;
        if !*is_gone {
            self.hub.handle_writable(self.now, *on);
            self.settle();
        }
    }
}

/// Packets for clients.
impl World {
    pub(super) fn receive(&mut self, link: usize, packet: Packet) {
        if self.links[link].is_deserted {
            return;
        }
        let is_wild = self.links[link].is_wild;
        let comes_back = self.links[link].claim.is_some();
        let client = &mut self.links[link].client;
        let namespace = packet.namespace.clone();
        match packet.kind {
            b'0' => {
                assert!(client.answered(&namespace) || is_wild, "nobody asked for {namespace}");
                self.told(link, &namespace, &packet.payload);
            }
            b'1' => {
                let is_known = client.namespaces.remove(&namespace).is_some();
                client.owed.retain(|(of, ..)| *of != namespace);
                assert!(is_known || is_wild || client.left.contains(&namespace), "{namespace}");
            }
            b'2' | b'3' => {
                if let Some(connected) = client.namespaces.get(&namespace) {
                    let socket = connected.socket;
                    self.get(link, socket, &packet);
                } else if comes_back
                    && client.asking.get(&namespace).is_some_and(|&asking| asking > 0)
                    // That it asks again, having left, is another matter: these are still the old socket's.
                    && !client.left.contains(&namespace)
                {
                    client.early.entry(namespace).or_default().push(packet);
                } else {
                    assert!(is_wild || client.left.contains(&namespace), "not connected");
                }
            }
            b'4' => assert!(client.answered(&namespace) || is_wild, "nobody asked"),
            kind => panic!("a packet of type {kind}"),
        }
    }

    /// The client is told that it is connected.
    fn told(&mut self, link: usize, namespace: &str, payload: &Value) {
        let is_it = |socket: &Socket| {
            socket.link == link
                && socket.namespace == *namespace
                && !socket.is_told
                && socket.id.is_some()
        };
        let Some(socket) = self.sockets.iter().position(is_it) else {
            return assert!(self.links[link].is_wild, "nobody was accepted");
        };
        let told = &mut self.sockets[socket];
        told.is_told = true;
        if let Some(sid) = payload.get("sid") {
            assert_eq!(sid.as_str(), told.id.as_deref());
        }
        let pid = payload.get("pid").and_then(Value::as_str).map(str::to_owned);
        assert!(told.return_of.is_none() || told.pid == pid, "it has another secret");
        told.pid = pid;
        let client = &mut self.links[link].client;
        client.namespaces.insert(namespace.into(), Connected { socket });
        for packet in client.early.remove(namespace).unwrap_or_default() {
            self.get(link, socket, &packet);
        }
    }

    /// A socket's client gets an event, or an acknowledgement.
    pub(super) fn get(&mut self, link: usize, socket: usize, packet: &Packet) {
        let Packet { kind, namespace, ack, payload } = packet;
        let first = payload[if *kind == b'2' { 1 } else { 0 }].as_u64();
        let serial = first.expect("each has a number");
        let what = match (kind, ack) {
            (b'2', None) => Out::Event(serial),
            (b'2', Some(number)) => {
                self.links[link].client.owed.push_back((namespace.clone(), *number, serial));
                Out::Ask(serial)
            }
            (_, number) => Out::Ack(number.expect("it has the number of its event"), serial),
        };
        let socket = &mut self.sockets[socket];
        if socket.successor.is_some() {
            // It was on its way already when the client came back on another connection.
            return;
        }
        loop {
            let Some(entry) = socket.out.pop_front() else {
                panic!("{what:?} is not for this socket, or has come twice");
            };
            if entry.what == what {
                break;
            }
            assert!(!entry.is_sure, "{what:?} has come before {entry:?}");
        }
        if let Some(offset) = payload.as_array().and_then(|args| args.last()?.as_str()) {
            socket.offset = Some(offset.to_owned());
        }
        self.reached.sent += 1;
    }
}
