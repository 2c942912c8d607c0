//! The application: its moves, and what the hub tells it.

use std::collections::{BTreeSet, VecDeque};

use enginewire_socketio::{
    AckError, EmitError, Event,
    adapter::Target,
    hub::{Delivered, Hub, Output, Overflow, SocketKey},
};

use super::{Ask, Asked, Entry, Group, Link, NAMESPACES, Out, ROOMS, Socket, State, World};

/// Moves of the application. It knows all that has happened.
impl World {
    pub(in crate::sio_hub) fn decide(&mut self, n: usize, accepts: bool) {
        self.drain();
        let asking = |(_, socket): &(usize, &Socket)| socket.state == State::Asking;
        let asking: Vec<_> = self.sockets.iter().enumerate().filter(asking).collect();
        let Some(at) = n.checked_rem(asking.len()) else { return };
        let (socket, key) = (asking[at].0, asking[at].1.key);
        if accepts {
            assert!(self.accept(socket), "it waits");
        } else {
            assert!(self.hub.refuse(self.now, key, &"no".into()), "it waits");
            self.sockets[socket].state = State::Ended;
        }
        self.drain();
    }

    /// Returns false if the client no longer waits, of which the hub tells next.
    fn accept(&mut self, socket: usize) -> bool {
        let Socket { key, state, id, .. } = &mut self.sockets[socket];
        if !self.hub.accept(self.now, *key) {
            return false;
        }
        *state = State::Connected;
        *id = self.hub.id(*key).map(|id| id.as_str().to_owned());
        assert!(id.is_some());
        true
    }

    pub(in crate::sio_hub) fn change_room(&mut self, n: usize, room: usize, joins: bool) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let Socket { key, rooms, state, .. } = &mut self.sockets[socket];
        let room = ROOMS[room % ROOMS.len()];
        let is_connected = *state == State::Connected;
        let (has_changed, expected) = match joins {
            true => (self.hub.join(*key, room), is_connected && rooms.insert(room.into())),
            false => (self.hub.leave(*key, room), is_connected && rooms.remove(room)),
        };
        assert_eq!(has_changed, expected, "{room}");
    }

    pub(in crate::sio_hub) fn emit(&mut self, n: usize, ask: Ask) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let serial = self.next_serial();
        let (key, now) = (self.sockets[socket].key, self.now);
        let (sent, what) = match ask {
            Ask::Nothing => (self.hub.emit(key, "n", &serial), Out::Event(serial)),
            Ask::Volatile => (self.hub.emit_volatile(key, "n", &serial), Out::Event(serial)),
            Ask::Within(timeout) => {
                let asked = self.hub.emit_with_ack(now, key, "q", &serial, timeout);
                let asked = asked.map(|ask| {
                    let asked = Asked { socket, serial, deadline: now + timeout };
                    assert!(self.asks.insert(ask, asked).is_none(), "{ask:?} is used twice");
                    self.sockets[socket].last_ask = Some(ask);
                });
                (asked, Out::Ask(serial))
            }
        };
        self.queued(socket, what, &sent, matches!(ask, Ask::Nothing));
        self.settle();
    }

    /// Notes what a client is to get, if the hub has taken it.
    fn queued(&mut self, socket: usize, what: Out, sent: &Result<(), EmitError>, is_logged: bool) {
        let is_connected = self.sockets[socket].state == State::Connected;
        assert_eq!(matches!(sent, Err(EmitError::Disconnected)), !is_connected, "{sent:?}");
        if sent.is_ok() {
            self.sockets[socket].out.push_back(Entry { what, is_logged, is_sure: true });
        }
    }

    pub(in crate::sio_hub) fn forget(&mut self, n: usize) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        if let Some(ask) = self.sockets[socket].last_ask {
            let is_asked = self.asks.remove(&ask).is_some();
            assert_eq!(self.hub.forget(ask), is_asked, "{ask:?}");
        }
    }

    pub(in crate::sio_hub) fn acknowledge(&mut self, n: usize) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let Socket { key, unanswered, .. } = &mut self.sockets[socket];
        let Some((number, serial)) = unanswered.pop_front() else { return };
        let sent = self.hub.acknowledge(*key, number, &serial);
        self.queued(socket, Out::Ack(serial, serial), &sent, false);
        self.settle();
    }

    pub(in crate::sio_hub) fn broadcast(
        &mut self,
        namespace: usize,
        room: usize,
        except: usize,
        ask: Ask,
    ) {
        self.drain();
        let mut target = Target::all();
        target.rooms.extend(ROOMS.get(room).map(|&room| room.into()));
        target.except.extend(ROOMS.get(except).map(|&room| room.into()));
        let (serial, namespace) = (self.next_serial(), NAMESPACES[namespace % NAMESPACES.len()]);
        match ask {
            Ask::Nothing => self.publish(namespace, &target, serial, true, |hub, target| {
                hub.broadcast(namespace, target, "n", &serial).unwrap()
            }),
            Ask::Volatile => self.publish(namespace, &target, serial, false, |hub, target| {
                hub.broadcast_volatile(namespace, target, "n", &serial).unwrap()
            }),
            Ask::Within(timeout) => {
                let selected = self.selected(namespace, &target);
                let now = self.now;
                let asked =
                    self.hub.broadcast_with_ack(now, namespace, &target, "q", &serial, timeout);
                let id = |&socket: &usize| self.sockets[socket].id.clone().unwrap();
                let pending = selected.iter().map(id).collect();
                let group = Group { serial, pending, deadline: now + timeout };
                assert!(self.groups.insert(asked.unwrap(), group).is_none(), "it is used twice");
                let entry = Entry { what: Out::Ask(serial), is_logged: false, is_sure: false };
                selected.iter().for_each(|&socket| self.sockets[socket].out.push_back(entry));
            }
        }
        self.settle();
    }

    pub(in crate::sio_hub) fn forward(&mut self, n: usize, namespace: usize) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        // Once, so that a number that comes says which of the events it is.
        let Some((event, serial)) = self.sockets[socket].last.take() else { return };
        let namespace = NAMESPACES[namespace % NAMESPACES.len()];
        self.publish(namespace, &Target::all(), serial, true, |hub, target| {
            hub.forward_to(namespace, target, &event).unwrap()
        });
        self.settle();
    }

    fn publish(
        &mut self,
        namespace: &str,
        target: &Target,
        serial: u64,
        is_reliable: bool,
        send: impl FnOnce(&mut Hub, &Target) -> Delivered,
    ) {
        let selected = self.selected(namespace, target);
        let Delivered { sockets, skipped, disconnected, .. } = send(&mut self.hub, target);
        assert_eq!(sockets + skipped + disconnected, selected.len());
        assert!(disconnected == 0 || is_reliable && self.overflow == Overflow::Disconnect);
        assert!(skipped == 0 || !is_reliable || self.overflow == Overflow::Skip);
        let is_logged = is_reliable && self.window.is_some();
        let is_sure = sockets == selected.len();
        let entry = Entry { what: Out::Event(serial), is_logged, is_sure };
        for socket in selected {
            self.sockets[socket].out.push_back(entry);
        }
        if is_logged {
            // Those who are away miss it, and get it when they come back.
            let is_away = |socket: &&mut Socket| {
                matches!(socket.state, State::Kept(_)) && socket.is_in(namespace, target)
            };
            for socket in self.sockets.iter_mut().filter(is_away) {
                socket.out.push_back(Entry { is_sure: true, ..entry });
            }
        }
    }

    /// The members that a target selects, as the hub says and as the rooms say.
    fn selected(&mut self, namespace: &str, target: &Target) -> Vec<usize> {
        let is_in = |(_, socket): &(usize, &Socket)| {
            socket.state == State::Connected && socket.is_in(namespace, target)
        };
        let selected: Vec<_> = self.sockets.iter().enumerate().filter(is_in).collect();
        let keys: BTreeSet<_> = selected.iter().map(|(_, socket)| socket.key).collect();
        let found = self.hub.sockets(namespace, target);
        assert_eq!(found.len(), keys.len(), "each once");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), keys);
        selected.into_iter().map(|(socket, _)| socket).collect()
    }

    pub(in crate::sio_hub) fn disconnect(&mut self, n: usize, is_client: bool) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let key = self.sockets[socket].key;
        match is_client {
            true => self.hub.disconnect_client(self.now, key),
            false => self.hub.disconnect(key),
        }
        self.drain();
    }

    pub(in crate::sio_hub) fn pause(&mut self, n: usize, pauses: bool) {
        self.drain();
        let Some(socket) = self.socket(n) else { return };
        let key = self.sockets[socket].key;
        if pauses {
            self.hub.pause(key)
        } else {
            self.hub.resume(key)
        }
        self.settle();
    }

    pub(in crate::sio_hub) fn close(&mut self) {
        self.hub.close(self.now);
        self.drain();
    }

    pub(in crate::sio_hub) fn abort(&mut self) {
        self.hub.abort(self.now);
        self.drain();
    }
}

/// Outputs for the application.
impl World {
    pub(super) fn find(&self, key: SocketKey) -> Option<usize> {
        self.sockets.iter().position(|socket| socket.key == key)
    }

    fn known(&self, key: SocketKey) -> usize {
        self.find(key).unwrap_or_else(|| panic!("{key:?} was never heard of"))
    }

    pub(super) fn hear(&mut self, output: Output) {
        match output {
            Output::Connect(key, request, head) => {
                self.reached.opened = true;
                let socket = self.insert(key, &request.namespace, head.query());
                self.assert_unrecoverable(socket);
                if self.accepts {
                    self.accept(socket);
                }
            }
            Output::Cancelled(key) => {
                let socket = self.known(key);
                assert_eq!(self.sockets[socket].state, State::Asking);
                self.sockets[socket].state = State::Ended;
            }
            Output::Recovered(key, before) => self.recovered(key, before),
            Output::Event(key, event) => self.event(key, event),
            Output::Acknowledged(ask, result) => {
                let asked = self.asks.remove(&ask).expect("it is asked and not settled");
                let socket = &mut self.sockets[asked.socket];
                match result {
                    Ok(args) => {
                        let is_wild = self.links[socket.link].is_wild;
                        let answer = args.decode::<u64>(0).ok();
                        assert!(is_wild || answer == Some(asked.serial), "{answer:?}");
                    }
                    Err(AckError::Timeout) => assert!(asked.deadline <= self.now, "too early"),
                    Err(error) => {
                        assert!(!self.hub.is_connected(socket.key), "{error:?}");
                    }
                }
                let is_it = |entry: &&mut Entry| entry.what == Out::Ask(asked.serial);
                if let Some(entry) = socket.out.iter_mut().find(is_it) {
                    entry.is_sure = false;
                }
            }
            Output::GroupAcknowledged(id, from, result) => {
                let group = self.groups.get_mut(&id).expect("the group is open");
                assert!(group.pending.remove(from.as_str()), "{from:?} is not asked, or again");
                match result {
                    Ok(args) => {
                        let of = |socket: &&Socket| socket.id.as_deref() == Some(from.as_str());
                        let mut is_wild = self.sockets.iter().filter(of);
                        let is_wild = is_wild.any(|socket| self.links[socket.link].is_wild);
                        let answer = args.decode::<u64>(0).ok();
                        assert!(is_wild || answer == Some(group.serial), "{answer:?}");
                    }
                    Err(AckError::Timeout) => assert!(group.deadline <= self.now, "too early"),
                    Err(_) => {}
                }
            }
            Output::GroupCompleted(id, _) => {
                let group = self.groups.remove(&id).expect("the group is open");
                assert!(group.pending.is_empty(), "{:?} are open", group.pending);
            }
            Output::Writable(key) => drop(self.known(key)),
            Output::Disconnected(key, reason, rooms) => {
                let socket = self.known(key);
                let has_pid = self.links[self.sockets[socket].link].revision == 4;
                let Socket { state, incoming, rooms: known, .. } = &mut self.sockets[socket];
                assert_eq!(*state, State::Connected);
                assert_eq!(rooms.into_iter().collect::<BTreeSet<_>>(), *known);
                let missing = incoming.iter().find(|(_, is_sure)| *is_sure);
                assert!(missing.is_none(), "{missing:?} was sent before the end");
                let is_kept = has_pid && self.window.is_some() && reason.is_recoverable();
                *state = if is_kept { State::Kept(self.now) } else { State::Ended };
            }
            Output::Forgotten(key) => {
                let socket = self.known(key);
                let state = self.sockets[socket].state;
                assert!(matches!(state, State::Kept(_)), "{state:?}");
                self.sockets[socket].state = State::Ended;
            }
            other => panic!("nothing asks for {other:?}"),
        }
    }

    pub(super) fn insert(&mut self, key: SocketKey, namespace: &str, query: &str) -> usize {
        assert_eq!(self.find(key), None, "{key:?} is used twice");
        let (_, link) = query.rsplit_once("link=").expect("each link has a number");
        self.sockets.push(Socket {
            key,
            link: link.parse().unwrap(),
            namespace: namespace.into(),
            state: State::Asking,
            id: None,
            rooms: BTreeSet::new(),
            is_told: false,
            out: VecDeque::new(),
            incoming: VecDeque::new(),
            unanswered: VecDeque::new(),
            last: None,
            last_ask: None,
            pid: None,
            offset: None,
            return_of: None,
            successor: None,
        });
        self.sockets.len() - 1
    }

    /// Nobody who comes back in time is asked for.
    fn assert_unrecoverable(&self, socket: usize) {
        let Socket { link, ref namespace, .. } = self.sockets[socket];
        let Link { claim: Some(claim), is_wild: false, .. } = self.links[link] else { return };
        let heir = &self.sockets[self.heir(claim)];
        if let (State::Kept(since), Some(window), true) = (heir.state, self.window, self.recovers)
            && heir.namespace == *namespace
        {
            // One that has nothing to show for what it got may be turned away.
            assert!(self.now >= since + window, "it has come back in time");
        }
    }

    fn recovered(&mut self, key: SocketKey, before: SocketKey) {
        let before = self.known(before);
        let socket = match self.find(key) {
            Some(socket) => socket,
            None => {
                let namespace = self.hub.namespace(key).unwrap().to_owned();
                let query = self.hub.handshake(key).unwrap().query().to_owned();
                self.insert(key, &namespace, &query)
            }
        };
        let link = &self.links[self.sockets[socket].link];
        let claimed = link.claim.map(|claim| self.heir(claim));
        assert!(claimed == Some(before) || link.is_wild, "another comes back");
        let Socket { state, id, namespace, rooms, out, pid, offset, successor, .. } =
            &mut self.sockets[before];
        let since = match *state {
            State::Kept(since) => since,
            state => panic!("{state:?}"),
        };
        assert!(self.is_late || self.window.is_some_and(|window| self.now < since + window));
        *state = State::Ended;
        *successor = Some(socket);
        let (id, namespace, rooms) = (id.clone(), namespace.clone(), rooms.clone());
        let (pid, offset) = (pid.clone(), offset.clone());
        let mut missed = std::mem::take(out);
        missed.retain(|entry| entry.is_logged);
        for entry in &mut missed {
            entry.is_sure |= self.overflow == Overflow::Disconnect;
        }
        assert_eq!(self.hub.id(key).map(|id| id.as_str()), id.as_deref());
        let socket = &mut self.sockets[socket];
        assert_eq!(socket.namespace, namespace);
        missed.append(&mut socket.out);
        (socket.out, socket.rooms, socket.id) = (missed, rooms, id);
        (socket.pid, socket.offset, socket.return_of) = (pid, offset, Some(before));
        socket.state = State::Connected;
    }

    fn event(&mut self, key: SocketKey, event: Event) {
        let socket = self.known(key);
        let socket = &mut self.sockets[socket];
        assert!(socket.state == State::Connected, "{:?}", socket.state);
        let is_wild = self.links[socket.link].is_wild;
        let serial = event.data::<u64>().ok().filter(|_| event.name() == "n");
        let place = serial.and_then(|serial| {
            let is_it = |&(said, _): &(u64, bool)| said == serial;
            socket.incoming.iter().position(is_it)
        });
        let Some((place, serial)) = place.zip(serial) else {
            return assert!(is_wild, "{event:?} was not said, or is not for this socket");
        };
        let missing = socket.incoming.drain(..=place).take(place).find(|(_, is_sure)| *is_sure);
        assert!(missing.is_none(), "{missing:?} was said before {serial}");
        self.reached.received += 1;
        if let Some(number) = event.ack() {
            socket.unanswered.push_back((number, serial));
        }
        socket.last = Some((event, serial));
    }
}
