//! The bus between the nodes: messages as they are, or as bytes by way of a broker.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use enginewire::Time;
use enginewire_socketio::{
    adapter::{EntryId, Target},
    cluster::{
        LogRequest, Message, NodeId, Operation, Response, message_size,
        wire::{Command, Format, Subscription, Wire, WireConfig, WireEvent},
    },
    hub::Hub,
};

use super::{
    application::{acknowledgement_of, number_of, position},
    books::Selected,
    broker::{Delivery, Fields, Link},
    log::{Place, appends},
    world::{ClusterSabotage, ClusterWorld, MAX_WAITING, NAMESPACES, Node},
};
use crate::{
    log::Deed,
    world::{Next, TIMERS_LAST, rearm},
};

/// Arrival at a node, or at the broker.
#[derive(Clone)]
pub(super) enum Carried {
    /// A message of another node.
    Message {
        from: u64,
        message: Box<Message>,
    },
    /// Another node is there, or is lost.
    Joined(u64),
    Lost(u64),
    /// The bus is disconnected, or connected again.
    Down,
    Up,
    /// The broker has something for this connection of the node.
    Delivery {
        connection: u64,
        delivery: Delivery,
    },
    /// A node has a command for the broker, about an event, and has got a stream up to an entry.
    Command {
        link: Link,
        about: u64,
        read: Option<u64>,
        command: Command,
    },
    /// The broker finds out that a connection is lost.
    Closed(Link),
}

/// Messages.
impl ClusterWorld {
    /// Gives the bus what a node has for other nodes.
    pub(super) fn collect(&mut self, at: usize) {
        if self.nodes[at].resumes_at.is_some() {
            return;
        }
        let mut waiting = 0;
        while let Some(mut message) =
            self.nodes[at].hub.as_mut().and_then(Hub::poll_cluster_message)
        {
            if self.sabotage == Some(ClusterSabotage::Hidden)
                && let Operation::Respond { response: Response::Sockets(sockets), .. } =
                    &mut message.operation
            {
                sockets.pop();
            }
            waiting += size_of(&message);
            assert!(
                self.has_log || waiting <= MAX_WAITING,
                "more waits for the bus than may: {waiting} bytes"
            );
            self.check_leaving(at, &message);
            self.carry(at, message);
        }
    }

    /// A message leaves as what was to be sent.
    fn check_leaving(&mut self, at: usize, message: &Message) {
        let node = &mut self.nodes[at];
        let appended = appends(&message.operation);
        match &message.operation {
            Operation::Log(LogRequest::Take { request, .. } | LogRequest::Read { request, .. }) => {
                node.requests.pass(*request);
            }
            Operation::Log(_) if appended.is_none() => {}
            Operation::Broadcast(_) | Operation::Log(_) => {
                let number = about(&message.operation);
                assert_eq!(node.told.pop_front(), Some(number), "another event leaves");
            }
            Operation::Respond { request, response: Response::Sockets(sockets) } => {
                let rooms = |rooms: &[_]| rooms.iter().map(ToString::to_string).collect();
                let found = sockets.iter().map(|it| (it.id.to_string(), rooms(&it.rooms)));
                let found: Selected = found.collect();
                let to = message.to.unwrap_or(NodeId(0));
                let expected = node.described.entry((to, *request)).or_default();
                // For those before there was no room, or no bus.
                let nth = expected.iter().position(|expected| *expected == found);
                let Some(nth) = nth else {
                    panic!("node {} describes other sockets than {expected:?}", node.life)
                };
                expected.drain(..=nth);
            }
            _ => {}
        }
    }

    /// Sends a message to all nodes on the bus, or to one.
    fn carry(&mut self, at: usize, message: Message) {
        let (now, from) = (self.now, self.nodes[at].life);
        self.log.say(now, format!("{from} sends {message:?}"));
        if let Some(wire) = &mut self.nodes[at].wire {
            let about = about(&message.operation);
            wire.send(now, message);
            return self.settle_wire(at, about);
        }
        for other in 0..self.nodes.len() {
            let to = self.nodes[other].life;
            let is_for = message.to.is_none_or(|node| node.0 == to);
            if other == at || self.nodes[other].hub.is_none() || !is_for {
                continue;
            }
            let is_cut = self.nodes[at].is_cut || self.nodes[other].is_cut;
            let times = match is_cut {
                true => 0,
                false => {
                    let message = Box::new(message.clone());
                    self.bus.send(now, from, to, Carried::Message { from, message })
                }
            };
            self.books.totals.lost += u64::from(times == 0);
            if times > 1 {
                self.books.totals.doubled += 1;
                self.books.doubled(about(&message.operation));
            }
        }
    }

    /// Something arrives at a node, or at the broker.
    pub(super) fn arrive(&mut self, to: u64, carried: Carried) {
        match carried {
            Carried::Command { link, about, read, command } => {
                return self.command(link, about, read, command);
            }
            Carried::Closed(link) => return self.broker.lose(link),
            _ => {}
        }
        // It may have crashed meanwhile.
        let Some(at) = self.place(to) else { return };
        let Node { hub, known, requests, is_down, is_cut, .. } = &mut self.nodes[at];
        let Some(hub) = hub else { return };
        match carried {
            Carried::Message { .. } if *is_cut => self.books.totals.lost += 1,
            Carried::Message { from, message } => {
                let Message { namespace, operation, .. } = *message;
                return self.carried(at, NodeId(from), namespace, operation);
            }
            Carried::Delivery { connection, delivery } => {
                return self.delivered(at, connection, delivery);
            }
            Carried::Joined(life) => {
                assert_eq!(hub.insert_node(NodeId(life)), known.insert(NodeId(life)));
            }
            Carried::Lost(life) => {
                requests.lose(NodeId(life));
                assert_eq!(hub.remove_node(NodeId(life)), known.remove(&NodeId(life)));
            }
            Carried::Down | Carried::Up => {
                *is_down = matches!(carried, Carried::Down);
                *is_cut = *is_down;
                hub.handle_cluster_connected(!*is_down);
                if matches!(carried, Carried::Down) {
                    self.end_appends(at, Time::MAX);
                }
                self.connect_wire(at);
            }
            Carried::Command { .. } | Carried::Closed(_) => {}
        }
        self.settle_node(at);
    }

    /// A message arrives, and is carried out.
    fn carried(&mut self, at: usize, from: NodeId, namespace: Arc<str>, mut operation: Operation) {
        let is_broadcast = matches!(&operation, Operation::Broadcast(it) if !it.volatile);
        let mut times = 1;
        match self.sabotage {
            Some(ClusterSabotage::Widened) => {
                if let Operation::Broadcast(broadcast) = &mut operation {
                    broadcast.target.except.clear();
                }
            }
            Some(ClusterSabotage::Twice) if is_broadcast && self.random.chance(100) => times = 2,
            Some(ClusterSabotage::Lost) if is_broadcast && self.random.chance(100) => times = 0,
            _ => {}
        }
        self.expect(at, from, &namespace, &operation);
        let message = (from, namespace, operation);
        let mut messages = vec![message; times];
        if self.sabotage == Some(ClusterSabotage::Reordered) && is_broadcast {
            let life = self.nodes[at].life;
            match self.held.remove(&life) {
                Some(before) => messages.push(before),
                None => drop(self.held.insert(life, messages.remove(0))),
            }
        }
        for (from, namespace, operation) in messages {
            if let Some(hub) = &mut self.nodes[at].hub {
                hub.handle_cluster_message(self.now, from, namespace, operation);
            }
            self.settle_node(at);
        }
    }

    /// Writes down what a message is to do.
    fn expect(&mut self, at: usize, from: NodeId, namespace: &str, operation: &Operation) {
        let (now, namespace) = (self.now, position(namespace));
        let Self { books, nodes, adapters, has_log, .. } = self;
        let node = &mut nodes[at];
        match operation {
            Operation::Broadcast(broadcast) => {
                let number = number_of(&broadcast.event);
                let sender = books.sender(number);
                // With a wire each namespace of a node has a name of its own.
                let of = match node.wire.is_some() {
                    true => *adapters.entry(from).or_insert(sender),
                    false => from.0,
                };
                assert_eq!(of, sender, "{from:?} is two nodes");
                books.check_sent(namespace, number, &broadcast.target);
                let place = match broadcast.offset {
                    Some(entry) if *has_log && !broadcast.volatile => Place::Entry(entry),
                    _ => Place::Nowhere,
                };
                books.deliver_at(node.life, number, place);
            }
            Operation::ServerSideEmit { event, .. } => {
                node.events.push_back((from, number_of(event)));
            }
            Operation::FetchSockets { target, request } => {
                let selected = books.select(node.life, namespace, target);
                node.described.entry((from, *request)).or_default().push(selected);
            }
            Operation::Respond { request, response } => {
                node.requests.respond(from, *request, response);
            }
            _ => {}
        }
        books.carry_out(now, node.life, namespace, operation);
    }
}

/// Messages as bytes.
impl ClusterWorld {
    /// A node that has just started is on the bus by a wire.
    pub(super) fn start_wire(&mut self, at: usize) {
        let Some(format) = self.format.clone() else { return };
        let mut wire = Wire::new(WireConfig::new(format), self.random.next());
        assert!(wire.counts_nodes(), "hubs here count");
        wire.handle_connected(self.now, true);
        for name in NAMESPACES {
            wire.handle_namespace(self.now, &name.into(), true);
        }
        self.nodes[at].wire = Some(wire);
        self.settle_wire(at, 0);
    }

    /// The wire of a node is told of a connection that is lost, or of a new one.
    fn connect_wire(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(wire) = &mut node.wire else { return };
        node.connection += u64::from(!node.is_down);
        wire.handle_connected(self.now, !node.is_down);
        node.inbox.clear();
        node.is_fetching = false;
        self.settle_wire(at, 0);
    }

    /// The time of a wire has come.
    pub(super) fn wire_due(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.wire_armed = None;
        node.wire.iter_mut().for_each(|wire| wire.handle_timeout(self.now));
        self.settle_wire(at, 0);
    }

    /// Does what a wire asks for until it asks for nothing more. `about` is the event that a message is about.
    pub(super) fn settle_wire(&mut self, at: usize, about: u64) {
        let now = self.now;
        while let Some(wire) = &mut self.nodes[at].wire {
            if let Some(command) = wire.poll_command() {
                let Node { life, connection, is_cut, is_fetching, read, .. } = &mut self.nodes[at];
                let (life, link) = (*life, (*life, *connection));
                self.log.say(now, format!("{life}: {command:?}"));
                *is_fetching |= matches!(command, Command::Fetch { .. });
                let read = match &command {
                    Command::Subscribe(Subscription::Stream(stream)) => read.get(stream).copied(),
                    _ => None,
                };
                if *is_cut {
                    self.books.totals.lost += 1;
                } else {
                    let command = Carried::Command { link, about, read, command };
                    self.bus.send_surely(now, life, BROKER, command);
                }
            } else if let Some(event) = wire.poll_event() {
                self.wire_told(at, event);
            } else {
                break;
            }
        }
        let Node { wire, wire_armed, life, .. } = &mut self.nodes[at];
        let next = wire.as_ref().and_then(Wire::poll_timeout);
        if let Some(at) = rearm(wire_armed, next) {
            self.agenda.push(at, TIMERS_LAST, Next::ServerTimer(*life | OF_WIRE));
        }
    }

    fn wire_told(&mut self, at: usize, event: WireEvent) {
        let now = self.now;
        let Node { hub: Some(hub), requests, counted, .. } = &mut self.nodes[at] else { return };
        match event {
            WireEvent::Message { from, namespace, operation } => {
                self.carried(at, from, namespace, operation);
            }
            WireEvent::Nodes(nodes) => {
                *counted = nodes;
                hub.handle_nodes(nodes);
            }
            WireEvent::Asked { request, nodes } => {
                requests.expect(request, nodes);
                hub.handle_asked(now, request, nodes);
                self.settle_node(at);
            }
            WireEvent::Joined(_) | WireEvent::Lost(_) => {}
            WireEvent::Appended { append, entry } => self.appended(at, append, entry),
            WireEvent::Logged { request, response } => self.log_responds(at, request, response),
            other => panic!("a wire tells {other:?}"),
        }
    }

    /// The broker carries out a command.
    fn command(&mut self, link: Link, about: u64, read: Option<u64>, command: Command) {
        let now = self.now;
        if self.has_log && matches!(command, Command::Append { .. }) && !self.broker.is_lost(link) {
            self.books.logged(about, self.broker.next_entry());
        }
        for ((to, connection), delivery) in self.broker.handle(now, link, command, read) {
            let is_published = matches!(delivery, Delivery::Published { .. });
            let carried = Carried::Delivery { connection, delivery };
            if !is_published {
                // A stream is read until all of it has come, and so are responses.
                self.bus.send_surely(now, BROKER, to, carried);
                continue;
            }
            let times = self.bus.send(now, BROKER, to, carried);
            self.books.totals.lost += u64::from(times == 0);
            if times > 1 {
                self.books.totals.doubled += 1;
                self.books.doubled(about);
            }
        }
    }

    /// Something of the broker arrives at a node.
    fn delivered(&mut self, at: usize, connection: u64, delivery: Delivery) {
        let Node { is_cut, connection: current, inbox, is_fetching, .. } = &mut self.nodes[at];
        if *is_cut || connection != *current {
            self.books.totals.lost += 1;
            return;
        }
        match delivery {
            Delivery::Fetched { .. } => {
                *is_fetching = false;
                inbox.push_front(delivery);
            }
            _ => inbox.push_back(delivery),
        }
        // A message that is stored apart holds up those behind it.
        while !self.nodes[at].is_fetching
            && let Some(delivery) = self.nodes[at].inbox.pop_front()
        {
            self.take(at, delivery);
        }
    }

    fn take(&mut self, at: usize, delivery: Delivery) {
        let now = self.now;
        let Node { wire: Some(wire), life, read, .. } = &mut self.nodes[at] else { return };
        for bytes in delivery.bytes() {
            self.log.note_data(now, Deed::Carries(*life, bytes.len()), bytes);
        }
        match delivery {
            Delivery::Published { channel, message } => {
                wire.handle_published(now, &channel, message);
            }
            Delivery::Fetched { channel, message } => wire.handle_fetched(now, &channel, message),
            Delivery::Entry { stream, id, fields } => {
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| (*name, &value[..])).collect();
                wire.handle_entry(now, &stream, &id, &fields);
                let number = id.split('-').next().and_then(|number| number.parse().ok());
                read.extend(number.map(|number| (stream, number)));
            }
            Delivery::Position { stream, last } => {
                wire.handle_position(&stream, EntryId { time: last, sequence: 0 });
                read.insert(stream, last);
                self.books.starts(*life, EntryId { time: last, sequence: 0 });
            }
            Delivery::Taken { request, value } => wire.handle_taken(request, value.as_deref()),
            Delivery::Read { request, entries } => {
                let ids: Vec<_> = entries.iter().map(|(id, _)| format!("{id}-0")).collect();
                let fields = |(_, fields): &(u64, Fields)| -> Vec<(&str, Bytes)> { fields.clone() };
                let fields: Vec<_> = entries.iter().map(fields).collect();
                let fields: Vec<Vec<_>> = fields
                    .iter()
                    .map(|it| it.iter().map(|(name, value)| (*name, &value[..])).collect())
                    .collect();
                let page: Vec<_> = ids.iter().zip(&fields).map(|(id, it)| (&**id, &**it)).collect();
                wire.handle_read(request, &page, true);
            }
            Delivery::Count { channel, request, subscribers } => {
                wire.handle_count(now, &channel, request, subscribers);
            }
        }
        self.settle_wire(at, 0);
    }

    /// Tells a wire in which rooms its node has members.
    pub(super) fn tell_rooms(&mut self, at: usize) {
        // Others do not ask for it.
        if !matches!(self.format, Some(Format::Sharded(_))) {
            return;
        }
        let Node { hub: Some(hub), wire: Some(wire), rooms, .. } = &mut self.nodes[at] else {
            return;
        };
        let mut now_there = BTreeSet::new();
        for name in NAMESPACES {
            now_there.extend(hub.rooms_of(name).map(|(room, _)| (name, room.clone())));
            let keys = hub.sockets(name, &Target::all());
            let ids = keys.iter().filter_map(|key| hub.id(*key));
            now_there.extend(ids.map(|id| (name, id.to_room())));
        }
        let gone = rooms.difference(&now_there).map(|room| (room, false));
        let new = now_there.difference(rooms).map(|room| (room, true));
        for ((name, room), exists) in gone.chain(new) {
            wire.handle_room(self.now, name, room, exists);
        }
        *rooms = now_there;
        self.settle_wire(at, 0);
    }
}

/// The event that an operation is about, whose doubles are to be expected.
fn about(operation: &Operation) -> u64 {
    match operation {
        Operation::Broadcast(broadcast) => number_of(&broadcast.event),
        Operation::Log(_) => appends(operation).map_or(0, |broadcast| number_of(&broadcast.event)),
        Operation::ServerSideEmit { event, .. } => number_of(event),
        Operation::Respond { response: Response::Ack(args), .. } => acknowledgement_of(args).0,
        _ => 0,
    }
}

/// The bytes that a message takes, as its node counts them.
fn size_of(message: &Message) -> usize {
    let all = Target::all();
    let (target, payload) = match &message.operation {
        Operation::Broadcast(broadcast) => (&broadcast.target, broadcast.event.payload().size()),
        Operation::Join { target, rooms } | Operation::Leave { target, rooms } => {
            (target, rooms.iter().map(|room| room.len()).sum())
        }
        Operation::Disconnect { target, .. } | Operation::FetchSockets { target, .. } => {
            (target, 0)
        }
        Operation::ServerSideEmit { event, .. } => (&all, event.payload().size()),
        Operation::Respond { response, .. } => (&all, response.size()),
        _ => (&all, 0),
    };
    message_size(&message.namespace, target, payload)
}

/// The number of the broker among the ends of the bus.
pub(super) const BROKER: u64 = 0;

/// Tells the timer of a node's wire from that of its hub.
pub(super) const OF_WIRE: u64 = 1 << 62;
