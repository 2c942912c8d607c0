//! The bus between the nodes, and the nodes that crash, are cut off it, and come back.

use std::time::Duration;

use enginewire::Time;
use enginewire_socketio::{
    adapter::Target,
    cluster::{Message, NodeId, Operation, Response, message_size},
    hub::Hub,
};

use super::{
    application::{number_of, position},
    books::Selected,
    world::{ClusterSabotage, ClusterWorld, MAX_WAITING, Node},
};
use crate::{random::Random, socketio::ends::Net};

/// What arrives at a node.
#[derive(Clone)]
pub(super) enum Carried {
    /// A message of another node.
    Message {
        from: u64,
        message: Message,
    },
    /// Another node is there, or is lost.
    Joined(u64),
    Lost(u64),
    /// The bus is disconnected, or connected again.
    Down,
    Up,
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
            assert!(waiting <= MAX_WAITING, "more waits for the bus than may: {waiting} bytes");
            self.check_leaving(at, &message);
            self.carry(at, message);
        }
    }

    /// A message leaves as what was to be sent.
    fn check_leaving(&mut self, at: usize, message: &Message) {
        let node = &mut self.nodes[at];
        match &message.operation {
            Operation::Broadcast(broadcast) => {
                let number = number_of(&broadcast.event);
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
        for other in 0..self.nodes.len() {
            let to = self.nodes[other].life;
            let is_for = message.to.is_none_or(|node| node.0 == to);
            if other == at || self.nodes[other].hub.is_none() || !is_for {
                continue;
            }
            let is_cut = [at, other].map(|at| self.nodes[at].heals_at.is_some()).contains(&true);
            let times = match is_cut {
                true => 0,
                false => {
                    let message = message.clone();
                    self.bus.send(now, from, to, Carried::Message { from, message })
                }
            };
            self.books.totals.lost += u64::from(times == 0);
            if times > 1 {
                self.books.totals.doubled += 1;
                self.mark_doubled(to, &message.operation);
            }
        }
    }

    /// What comes of a message that is doubled may come twice.
    fn mark_doubled(&mut self, to: u64, operation: &Operation) {
        let number = match operation {
            Operation::Broadcast(broadcast) => number_of(&broadcast.event),
            Operation::ServerSideEmit { event, .. } => number_of(event),
            Operation::Respond { request, .. } => {
                let asker = self.place(to).map(|at| &self.nodes[at]);
                let asked = asker.and_then(|node| node.requests.get(*request));
                asked.map_or(0, |asked| asked.number)
            }
            _ => return,
        };
        self.books.doubled(number);
    }

    /// Something arrives at a node.
    pub(super) fn arrive(&mut self, to: u64, carried: Carried) {
        // It may have crashed meanwhile.
        let Some(at) = self.place(to) else { return };
        let Node { hub, known, requests, is_down, heals_at, .. } = &mut self.nodes[at];
        let Some(hub) = hub else { return };
        match carried {
            Carried::Message { .. } if heals_at.is_some() => self.books.totals.lost += 1,
            Carried::Message { from, message } => return self.carried(at, from, message),
            Carried::Joined(life) => {
                assert_eq!(hub.insert_node(NodeId(life)), known.insert(NodeId(life)));
            }
            Carried::Lost(life) => {
                requests.lose(NodeId(life));
                assert_eq!(hub.remove_node(NodeId(life)), known.remove(&NodeId(life)));
            }
            Carried::Down | Carried::Up => {
                *is_down = matches!(carried, Carried::Down);
                hub.handle_cluster_connected(!*is_down);
            }
        }
        self.settle_node(at);
    }

    /// A message arrives, and is carried out.
    fn carried(&mut self, at: usize, from: u64, message: Message) {
        let Message { namespace, mut operation, .. } = message;
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
        self.expect(at, NodeId(from), &namespace, &operation);
        let message = (NodeId(from), namespace, operation);
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
        let Self { books, nodes, .. } = self;
        let node = &mut nodes[at];
        match operation {
            Operation::Broadcast(broadcast) => {
                let number = number_of(&broadcast.event);
                books.check_sent(from.0, namespace, number, &broadcast.target);
                books.deliver(node.life, number);
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

/// Nodes that come and go.
impl ClusterWorld {
    /// What was to happen to nodes happens, and seldom something else does.
    pub(super) fn change_nodes(&mut self) {
        for at in 0..self.nodes.len() {
            let is_due = |at: Option<Time>| at.is_some_and(|at| at <= self.now);
            let Node { starts_at, heals_at, resumes_at, .. } = &self.nodes[at];
            let due = [starts_at, heals_at, resumes_at].map(|at| is_due(*at));
            if due[0] {
                self.start(at);
            }
            if due[1] {
                self.heal(at);
            }
            if due[2] {
                self.nodes[at].resumes_at = None;
                self.collect(at);
            }
        }
        let happens = |random: &mut Random, times: u64| random.below(100_000) < times;
        let at = self.random.size(self.nodes.len()) - 1;
        if happens(&mut self.random, self.manner.crashes) && self.nodes[at].hub.is_some() {
            self.crash(at);
            self.books.totals.crashes += 1;
            self.nodes[at].starts_at = Some(self.now + self.random.shorter(DOWN));
        }
        if happens(&mut self.random, self.manner.cuts) {
            self.cut(at);
        }
        if happens(&mut self.random, self.manner.jams) && self.nodes[at].hub.is_some() {
            let until = self.now + self.random.shorter(JAM);
            self.nodes[at].resumes_at.get_or_insert(until);
        }
    }

    /// All nodes come back.
    pub(super) fn recover_nodes(&mut self) {
        for node in &mut self.nodes {
            for at in [&mut node.starts_at, &mut node.heals_at, &mut node.resumes_at] {
                if at.is_some() {
                    *at = Some(self.now);
                }
            }
        }
        self.change_nodes();
    }

    /// A node begins a life.
    pub(super) fn start(&mut self, at: usize) {
        self.lives += 1;
        let hub = Hub::new(self.config.clone(), self.random.fork(), self.random.fork());
        self.nodes[at] = Node { life: self.lives, hub: Some(hub), ..Node::default() };
        self.introduce(at);
    }

    /// A node is gone, and others find out.
    pub(super) fn crash(&mut self, at: usize) {
        let Self { nodes, network, agenda, log, now, .. } = self;
        let life = nodes[at].life;
        nodes[at].ends.vanish(&mut Net { network, agenda, log, now: *now });
        nodes[at] = Node { life, ..Node::default() };
        self.held.remove(&life);
        self.books.crashed(life);
        self.tell_lost(at);
    }

    /// A node and the others do not reach each other for a while.
    fn cut(&mut self, at: usize) {
        if self.nodes[at].hub.is_none() || self.nodes[at].heals_at.is_some() {
            return;
        }
        let (now, life) = (self.now, self.nodes[at].life);
        self.books.totals.cuts += 1;
        self.nodes[at].heals_at = Some(now + self.random.shorter(CUT));
        self.bus.tell_within(now, life, life, NOTICED, Carried::Down);
        self.tell_lost(at);
        for other in self.others(at) {
            self.bus.tell_within(now, other, life, NOTICED, Carried::Lost(other));
        }
    }

    fn heal(&mut self, at: usize) {
        self.nodes[at].heals_at = None;
        let life = self.nodes[at].life;
        self.bus.tell_within(self.now, life, life, NOTICED, Carried::Up);
        self.introduce(at);
    }

    /// A node and the others hear of each other.
    fn introduce(&mut self, at: usize) {
        let (now, life) = (self.now, self.nodes[at].life);
        for other in self.others(at) {
            self.bus.tell_within(now, life, other, NOTICED, Carried::Joined(life));
            self.bus.tell_within(now, other, life, NOTICED, Carried::Joined(other));
        }
    }

    fn tell_lost(&mut self, at: usize) {
        let (now, life) = (self.now, self.nodes[at].life);
        for other in self.nodes.iter().filter(|node| node.life != life && node.hub.is_some()) {
            self.bus.tell_within(now, life, other.life, NOTICED, Carried::Lost(life));
        }
    }

    /// The other nodes that are on the bus.
    fn others(&self, at: usize) -> Vec<u64> {
        let nodes =
            self.nodes.iter().enumerate().filter(|(other, node)| {
                *other != at && node.hub.is_some() && node.heals_at.is_none()
            });
        nodes.map(|(_, node)| node.life).collect()
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

/// Longest time that a node is down, is cut off, or that the bus takes nothing of it.
const DOWN: Duration = Duration::from_secs(20);
const CUT: Duration = Duration::from_secs(30);
const JAM: Duration = Duration::from_secs(10);

/// Longest time until a node is told of another, or of the bus.
const NOTICED: Duration = Duration::from_secs(8);
