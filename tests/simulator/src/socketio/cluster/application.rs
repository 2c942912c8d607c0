//! Random moves of the applications of all nodes and clients, and what they are told.

use std::{collections::BTreeSet, time::Duration};

use enginewire::Time;
use enginewire_socketio::{
    AckId, Args, Event, Payload, Slot,
    adapter::Target,
    cluster::{Missing, RequestId, TellError, wire::Format},
    hub::{AnswerId, ClusterOutput, GroupId, Output, ServerSideEmitError, SocketKey},
    parser::NamedEvent,
};

use super::{
    books::Way,
    log::owner_of,
    requests::{Kind, Nodes},
    world::{ClusterSabotage, ClusterWorld, MAX_QUEUED, NAMESPACES, Node},
};

/// Moves of an application that come later.
pub(super) enum Late {
    /// A node of this life answers a server-side event.
    Answer(u64, AnswerId, u64),
    /// A client acknowledges an event.
    Acknowledge { owner: u64, on: (Slot, u32), ack: AckId, id: String, number: u64 },
}

/// Outputs for the application of a node.
impl ClusterWorld {
    pub(super) fn node_told(&mut self, at: usize, output: Output) {
        match output {
            Output::Connect(key, ..) => self.accept(at, key),
            Output::Cancelled(_) | Output::Writable(_) => {}
            Output::GroupAcknowledged(group, id, _) => {
                let (node, request) = self.group(at, group);
                node.requests.local(request, &id);
            }
            Output::RemoteAcknowledged(group, args) => {
                let times = 1 + u8::from(self.sabotage == Some(ClusterSabotage::Again));
                (0..times).for_each(|_| self.acknowledged(at, group, &args));
            }
            Output::GroupCompleted(group, missing) => {
                let (node, request) = self.group(at, group);
                node.groups.remove(&group);
                self.completed(at, request, missing);
            }
            Output::Disconnected(key, reason, rooms) => {
                let life = self.nodes[at].life;
                self.log.say(self.now, format!("{key:?} of node {life} is over: {reason}"));
                self.books.check_rooms(life, key, rooms.iter());
                let may_return = self.has_log && reason.is_recoverable();
                self.books.disconnected(self.now, life, key, may_return);
            }
            Output::Cluster(output) => self.cluster_told(at, output),
            Output::Recovered(key, _) => self.restored(at, key, true),
            Output::Restored(key, data) => {
                let owner = self.nodes[at].hub.as_ref().and_then(|hub| owner_of(hub.auth(key)?));
                assert_eq!(data.decode().ok(), owner, "the data of {key:?} are another's");
                self.restored(at, key, false);
            }
            Output::Forgotten(_) if self.has_log => {}
            other => panic!("a node is told {other:?}"),
        }
    }

    fn group(&mut self, at: usize, group: GroupId) -> (&mut Node, RequestId) {
        let node = &mut self.nodes[at];
        let request = node.groups.get(&group).copied();
        let request = request.unwrap_or_else(|| panic!("{group:?} has ended"));
        (node, request)
    }

    fn accept(&mut self, at: usize, key: SocketKey) {
        let now = self.now;
        let Node { hub: Some(hub), life, .. } = &mut self.nodes[at] else { return };
        let owner = hub.auth(key).and_then(owner_of).unwrap_or_default();
        if !hub.accept(now, key) {
            return;
        }
        let (Some(id), Some(namespace)) = (hub.id(key), hub.namespace(key)) else {
            panic!("{key:?} is nowhere")
        };
        let (id, life) = (id.to_string(), *life);
        self.books.open(now, life, position(namespace), key, &id);
        if let Ok(data) = Payload::new(&owner) {
            assert!(hub.set_data(key, data));
        }
        if let Some(client) = self.clients.get_mut(&owner) {
            let before = std::mem::replace(&mut client.last, life);
            self.books.totals.moved += u64::from(before != 0 && before != life);
        }
        for _ in 0..self.random.below(4) {
            self.change_room(at, key, true);
        }
    }

    fn acknowledged(&mut self, at: usize, group: GroupId, args: &Args) {
        let (node, request) = self.group(at, group);
        let number = node.requests.get(request).map_or(0, |asked| asked.number);
        let (of, id) = acknowledgement_of(args);
        assert_eq!(of, number, "{id} acknowledges another event");
        self.books.check_acknowledged(&id, number);
        let may_double = self.books.is_doubled(number);
        self.nodes[at].requests.acknowledged(request, &id, may_double);
        self.books.totals.acknowledged += 1;
    }

    fn completed(&mut self, at: usize, request: RequestId, missing: Missing) {
        let missing = match self.sabotage {
            Some(ClusterSabotage::Endless) => return,
            Some(ClusterSabotage::Liar) => Missing::default(),
            _ => missing,
        };
        self.nodes[at].requests.complete(self.now, request, missing);
        let totals = &mut self.books.totals;
        totals.requests[usize::from(!missing.is_none())] += 1;
        totals.missing[0] += missing.nodes as u64;
        totals.missing[1] += missing.acks as u64;
    }

    fn cluster_told(&mut self, at: usize, output: ClusterOutput) {
        let life = self.nodes[at].life;
        match output {
            ClusterOutput::Event(from, _, event, answer) => {
                let number = number_of(event.args());
                let expected = self.nodes[at].events.pop_front();
                assert_eq!(expected, Some((from, number)), "events for the application of {life}");
                let Some(answer) = answer else { return };
                match self.random.below(10) {
                    0 => {}
                    1..4 => self.later(Duration::from_secs(10), Late::Answer(life, answer, number)),
                    _ => self.answer(life, answer, number),
                }
            }
            ClusterOutput::Answer(request, from, args) => {
                let number = self.nodes[at].requests.told(request, from, Kind::Event);
                assert_eq!(args.decode(0).ok(), Some(number), "the answer to another event");
            }
            ClusterOutput::Sockets(request, from, _) => {
                self.nodes[at].requests.told(request, from, Kind::Sockets);
            }
            ClusterOutput::Completed(request, missing) => self.completed(at, request, missing),
            other => panic!("a node is told {other:?}"),
        }
    }

    fn answer(&mut self, life: u64, answer: AnswerId, number: u64) {
        let Some(at) = self.place(life) else { return };
        if let Some(hub) = &mut self.nodes[at].hub {
            // Without the bus the deadline of the other node tells.
            drop(hub.answer(answer, &number));
        }
    }
}

impl Node {
    /// The number of the other nodes, as it knows it.
    fn reaches(&self) -> usize {
        match self.wire.is_some() {
            true => self.counted,
            false => self.known.len(),
        }
    }

    /// The nodes that a request of this moment waits for.
    fn waits_for(&self) -> Nodes {
        match self.wire.is_some() {
            _ if self.is_down => Nodes::Untold(self.reaches()),
            true => Nodes::Counted(None),
            false => Nodes::Known(self.known.clone()),
        }
    }
}

/// Moves of nodes.
impl ClusterWorld {
    pub(super) fn act(&mut self) {
        let at = self.random.size(self.nodes.len()) - 1;
        if self.nodes[at].hub.is_none() {
            return;
        }
        self.wake(at);
        if self.has_log && self.random.chance(150) {
            self.send_to_one(at);
            return self.settle_node(at);
        }
        let namespace = self.random.size(NAMESPACES.len()) - 1;
        let target = self.target(at);
        match self.random.below(100) {
            0..45 => self.broadcast(at, namespace, &target, false, false),
            45..50 => self.broadcast(at, namespace, &target, true, false),
            50..54 => self.broadcast(at, namespace, &target, false, true),
            54..66 => self.ask_sockets(at, namespace, &target),
            66..72 => self.fetch(at, namespace, &target),
            72..78 => self.emit_to_nodes(at, namespace),
            78..90 => {
                let joins = self.random.chance(600);
                self.change_rooms(at, namespace, &target, joins);
            }
            90..96 => {
                if let Some(key) = self.any_socket(at) {
                    let joins = self.random.chance(600);
                    self.change_room(at, key, joins);
                }
            }
            96 => self.disconnect(at, namespace),
            _ => self.check_selection(at, namespace, &target),
        }
        self.settle_node(at);
    }

    /// Sends an event to all sockets of `/`. Returns its number.
    pub(super) fn send_to_all(&mut self, at: usize) -> u64 {
        self.wake(at);
        self.broadcast(at, 0, &Target::all(), false, false);
        self.settle_node(at);
        self.books.last()
    }

    fn broadcast(
        &mut self,
        at: usize,
        namespace: usize,
        target: &Target,
        is_volatile: bool,
        is_local: bool,
    ) {
        let (number, padding) = (self.books.next_number(), self.padding());
        let Self { now, nodes, books, has_log, .. } = self;
        let Node { hub: Some(hub), life, .. } = &mut nodes[at] else { return };
        books.send((*now, number), *life, namespace, target, (Way::Usual, is_volatile));
        if !*has_log {
            books.deliver(*life, number);
        }
        let (name, payload) = (NAMESPACES[namespace], (number, padding));
        let sent = match (is_volatile, is_local) {
            (true, _) => hub.broadcast_volatile(name, target, "e", &payload),
            (_, true) => hub.local(|hub| hub.broadcast(name, target, "e", &payload)),
            _ => hub.broadcast(name, target, "e", &payload),
        };
        let Ok(delivered) = sent else { panic!("{sent:?}") };
        if self.has_log {
            self.published(at, (namespace, number), (is_volatile, is_local), delivered);
        }
        if is_local {
            assert_eq!(delivered.remote, Ok(0), "others are told");
        } else if self.check_told(at, delivered.remote) {
            self.nodes[at].told.push_back(number);
        }
    }

    /// Checks whether others are told of an operation, and returns that.
    fn check_told(&mut self, at: usize, remote: Result<usize, TellError>) -> bool {
        let node = &self.nodes[at];
        let untold = match remote {
            Ok(nodes) => {
                assert_eq!(nodes, node.reaches(), "nodes that are told");
                assert!(!node.is_down, "others are told without a bus");
                return true;
            }
            Err(TellError::Disconnected) => {
                assert!(node.is_down, "the bus is there");
                0
            }
            Err(TellError::Full { .. }) => {
                assert!(node.resumes_at.is_some(), "the bus takes all");
                1
            }
            other => panic!("{other:?}"),
        };
        self.books.totals.untold[untold] += 1;
        false
    }

    /// Sends an event that sockets of all nodes are to acknowledge.
    fn ask_sockets(&mut self, at: usize, namespace: usize, target: &Target) {
        // Whether others are told is seen only if the message leaves at once.
        if self.nodes[at].resumes_at.is_some() {
            return;
        }
        let (number, padding, timeout) = (self.books.next_number(), self.padding(), self.timeout());
        // Streams carry what is not to be answered, channels the rest.
        let way = match self.format {
            Some(Format::Streams(_)) => Way::Request,
            _ => Way::Usual,
        };
        let Self { now, nodes, books, has_log, .. } = self;
        let waits_for = nodes[at].waits_for();
        let Node { hub: Some(hub), life, requests, groups, told, .. } = &mut nodes[at] else {
            return;
        };
        books.send((*now, number), *life, namespace, target, (way, false));
        books.deliver(*life, number);
        let local: BTreeSet<_> = books.select(*life, namespace, target).into_keys().collect();
        let (name, payload) = (NAMESPACES[namespace], (number, padding));
        let group = match *has_log {
            // Its last argument is no text, which clients would take for an offset.
            true => {
                hub.broadcast_with_ack(*now, name, target, "e", &(payload.0, [payload.1]), timeout)
            }
            false => hub.broadcast_with_ack(*now, name, target, "e", &payload, timeout),
        };
        let Ok(group) = group else { panic!("{group:?}") };
        let request = match waits_for {
            Nodes::Untold(_) => RequestId(UNTOLD + number),
            _ => {
                told.push_back(number);
                requests.next()
            }
        };
        groups.insert(group, request);
        requests.insert(request, (Kind::Acks, number), *now + timeout, waits_for, local);
    }

    fn fetch(&mut self, at: usize, namespace: usize, target: &Target) {
        let timeout = self.timeout();
        let now = self.now;
        let Node { hub: Some(hub), .. } = &mut self.nodes[at] else { return };
        let asked = hub.fetch_sockets(now, NAMESPACES[namespace], target, timeout);
        self.asked(at, asked, (Kind::Sockets, 0), now + timeout);
    }

    /// Hands an event to the applications of other nodes, of which an answer may be expected.
    fn emit_to_nodes(&mut self, at: usize, namespace: usize) {
        let (number, timeout, is_asking) =
            (self.books.next_number(), self.timeout(), self.random.chance(700));
        let (now, event) = (self.now, NamedEvent::new("s", &number));
        let Node { hub: Some(hub), .. } = &mut self.nodes[at] else { return };
        let name = NAMESPACES[namespace];
        if is_asking {
            let asked = hub.server_side_emit_with_ack(now, name, &event, timeout);
            let asked = asked.map_err(told_by);
            self.asked(at, asked, (Kind::Event, number), now + timeout);
        } else {
            let remote = hub.server_side_emit(name, &event).map_err(told_by);
            self.check_told(at, remote);
        }
    }

    fn asked(
        &mut self,
        at: usize,
        asked: Result<RequestId, TellError>,
        about: (Kind, u64),
        deadline: Time,
    ) {
        let node = &mut self.nodes[at];
        let remote = asked.map(|_| node.reaches());
        if let Ok(request) = asked {
            // Those to the log have ids as well, and are seen when they leave.
            let is_next = request == node.requests.next();
            assert!(is_next || (self.has_log && node.resumes_at.is_some()), "ids of requests");
            let nodes = node.waits_for();
            node.requests.insert(request, about, deadline, nodes, BTreeSet::new());
        }
        self.check_told(at, remote);
    }

    fn change_rooms(&mut self, at: usize, namespace: usize, target: &Target, joins: bool) {
        let rooms = [self.room().into(), self.room().into()];
        let Self { now, nodes, books, .. } = self;
        let Node { hub: Some(hub), life, .. } = &mut nodes[at] else { return };
        let name = NAMESPACES[namespace];
        let delivered = match joins {
            true => hub.sockets_join(name, target, &rooms),
            false => hub.sockets_leave(name, target, &rooms),
        };
        assert_eq!(delivered.sockets, books.select(*life, namespace, target).len());
        books.change_rooms(*now, *life, namespace, (target, &rooms), joins);
        self.check_told(at, delivered.remote);
    }

    fn change_room(&mut self, at: usize, key: SocketKey, joins: bool) {
        let room = self.room();
        let Self { now, nodes, books, .. } = self;
        let Node { hub: Some(hub), life, .. } = &mut nodes[at] else { return };
        let changes = match joins {
            true => hub.join(key, &room),
            false => hub.leave(key, &room),
        };
        let id = books.id(*life, key).to_owned();
        assert_eq!(changes, books.change_room(*now, &id, &room, joins), "{id} and {room}");
    }

    /// Disconnects the members of a room of all nodes.
    fn disconnect(&mut self, at: usize, namespace: usize) {
        let (room, close, now) = (self.room(), self.random.chance(300), self.now);
        let Some(hub) = &mut self.nodes[at].hub else { return };
        let target = Target::all().to(room).except("room 0").except("room 1");
        let delivered = hub.disconnect_sockets(now, NAMESPACES[namespace], &target, close);
        self.check_told(at, delivered.remote);
    }

    fn check_selection(&mut self, at: usize, namespace: usize, target: &Target) {
        let Self { nodes, books, .. } = self;
        let Node { hub: Some(hub), life, .. } = &mut nodes[at] else { return };
        let keys = hub.sockets(NAMESPACES[namespace], target);
        let ids = keys.iter().filter_map(|key| hub.id(*key)).map(ToString::to_string);
        let ids: Vec<_> = ids.collect();
        let expected = books.select(*life, namespace, target);
        let set: BTreeSet<_> = ids.iter().cloned().collect();
        assert_eq!(set.len(), ids.len(), "a socket is selected twice");
        assert_eq!(set, expected.into_keys().collect(), "{target:?}");
        for key in keys {
            let queued = hub.session(key).map_or(0, |session| session.queued());
            assert!(queued < MAX_QUEUED + MESSAGE, "{queued} bytes wait for {key:?}");
        }
    }

    pub(super) fn any_socket(&mut self, at: usize) -> Option<SocketKey> {
        let keys = self.books.of_node(self.nodes[at].life);
        keys.get(self.random.size(keys.len()) - 1).copied()
    }

    fn target(&mut self, at: usize) -> Target {
        let mut target = Target::all();
        for _ in 0..self.random.below(3) {
            target = target.to(self.room());
        }
        for _ in 0..self.random.below(2) {
            target = target.except(self.room());
        }
        // The id of a socket is that of its room, on whatever node it is.
        let of = if self.random.chance(500) { at } else { self.random.size(self.nodes.len()) - 1 };
        let Some(key) = self.any_socket(of) else { return target };
        let id = self.books.id(self.nodes[of].life, key).to_owned();
        match self.random.below(10) {
            0 => target.to(id),
            1..4 => target.except(id),
            _ => target,
        }
    }

    fn room(&mut self) -> String {
        format!("room {}", self.random.below(ROOMS))
    }

    pub(super) fn padding(&mut self) -> String {
        let size = if self.random.chance(50) { 2000 } else { 60 };
        "x".repeat(self.random.size(size))
    }

    fn timeout(&mut self) -> Duration {
        Duration::from_millis(1) + self.random.shorter(Duration::from_secs(9))
    }
}

/// Clients.
impl ClusterWorld {
    /// A client gets an event.
    pub(super) fn receive(&mut self, owner: u64, on: (Slot, u32), id: &str, event: &Event) {
        let number = number_of(event.args());
        self.books.receive(self.now, id, number, !self.bus.manner.reorders);
        let Some(ack) = event.ack() else { return };
        match self.random.below(10) {
            0 => {}
            1..4 => {
                let late = Late::Acknowledge { owner, on, ack, id: id.to_owned(), number };
                self.later(Duration::from_secs(10), late);
            }
            _ => self.acknowledge(owner, on, ack, id, number),
        }
    }

    fn acknowledge(&mut self, owner: u64, on: (Slot, u32), ack: AckId, id: &str, number: u64) {
        let Some(client) = self.clients.get_mut(&owner) else { return };
        let (slot, connection) = on;
        let payload = ((number, id),);
        if client.hub.acknowledge(slot, connection, ack, &payload, Vec::new()).is_ok() {
            self.books.acknowledges(id, number);
        }
    }

    /// Clients that are not connected connect, and seldom one leaves.
    pub(super) fn move_clients(&mut self) {
        let now = self.now;
        for owner in 1..=self.clients.len() as u64 {
            let Some(client) = self.clients.get_mut(&owner).filter(|it| !it.is_closed) else {
                continue;
            };
            let mut moves = false;
            if self.has_log && client.random.below(100_000) < self.manner.breaks {
                client.hub.abort();
                moves = true;
            }
            if client.random.below(100_000) < self.manner.moves {
                client.seats.iter().for_each(|seat| {
                    client.hub.disconnect(now, seat.slot);
                });
                moves = true;
            } else if client.seats.iter().any(|seat| !client.hub.is_active(seat.slot))
                && client.random.chance(50)
            {
                client.seats.iter().for_each(|seat| client.hub.connect(now, seat.slot));
                moves = true;
            }
            if moves {
                self.settle_client(owner);
            }
        }
    }

    pub(super) fn act_late(&mut self) {
        while let Some(entry) = self.late.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                Late::Answer(life, answer, number) => {
                    self.answer(life, answer, number);
                    if let Some(at) = self.place(life) {
                        self.settle_node(at);
                    }
                }
                Late::Acknowledge { owner, on, ack, id, number } => {
                    self.acknowledge(owner, on, ack, &id, number);
                    self.settle_client(owner);
                }
            }
        }
    }

    fn later(&mut self, within: Duration, late: Late) {
        let at = self.now + self.random.shorter(within);
        let turn = self.random.next();
        self.late.insert((at, turn), late);
    }
}

fn told_by(error: ServerSideEmitError) -> TellError {
    match error {
        ServerSideEmitError::Tell(error) => error,
        other => panic!("{other}"),
    }
}

/// The event that an acknowledgement is of, and the socket. It is one argument: official adapters carry no more.
pub(super) fn acknowledgement_of(args: &Args) -> (u64, String) {
    let ((number, id),) = args.decode(0).unwrap_or_else(|error| panic!("{error}"));
    (number, id)
}

/// The number of an event.
pub(super) fn number_of(event: &Args) -> u64 {
    event.decode(1).unwrap_or_else(|error| panic!("{error}"))
}

/// The place of a namespace among those of the world.
pub(super) fn position(namespace: &str) -> usize {
    let at = NAMESPACES.iter().position(|name| *name == namespace);
    at.unwrap_or_else(|| panic!("there is no namespace {namespace}"))
}

/// Rooms of each namespace.
const ROOMS: u64 = 12;

/// More than the bytes of any event.
const MESSAGE: usize = 4000;

/// From here on ids of requests are those that others were not told of.
const UNTOLD: u64 = 1 << 60;
