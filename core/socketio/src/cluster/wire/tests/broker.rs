//! A broker in memory, between nodes that each have a cluster.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

use super::{super::Subscription, *};
use crate::cluster::{Cluster, ClusterEvent, NodeId};

/// A node: the requests of its cluster, and its wire.
pub(super) struct Node {
    pub(super) cluster: Cluster,
    pub(super) wire: Wire,
    subscriptions: BTreeSet<Subscription>,
    /// What came for it and was not answered by [`Broker::run`].
    pub(super) events: Vec<ClusterEvent>,
    pub(super) faults: Vec<WireError>,
    pub(super) nodes: usize,
}

/// Input of a node from the broker.
#[derive(Clone)]
enum Delivery {
    Published(Arc<str>, Bytes),
    Fetched(Arc<str>, Bytes),
    Entry(Arc<str>, String, Vec<(&'static str, Bytes)>),
    Counted(Arc<str>, Option<RequestId>, usize),
}

/// Carries commands at once, unless a test says otherwise.
pub(super) struct Broker {
    pub(super) nodes: Vec<Node>,
    pub(super) now: Time,
    pub(super) duplicates: bool,
    pub(super) reorders: bool,
    /// Whether a message to this node is lost.
    pub(super) loses: Box<dyn Fn(usize) -> bool>,
    entries: usize,
    stored: BTreeMap<u64, Bytes>,
    /// How many answers clients give to each broadcast, on each node.
    pub(super) clients: usize,
}

impl Broker {
    /// Nodes that all have the namespace `/`.
    pub(super) fn new(config: &WireConfig, nodes: u64) -> Self {
        let mut broker = Self {
            nodes: Vec::new(),
            now: at(0),
            duplicates: false,
            reorders: false,
            loses: Box::new(|_| false),
            entries: 0,
            stored: BTreeMap::new(),
            clients: 2,
        };
        for seed in 1..=nodes {
            broker.nodes.push(Node {
                cluster: Cluster::counting(1 << 20),
                wire: Wire::new(config.clone(), seed),
                subscriptions: BTreeSet::new(),
                events: Vec::new(),
                faults: Vec::new(),
                nodes: 0,
            });
        }
        for index in 0..broker.nodes.len() {
            broker.nodes[index].wire.handle_connected(broker.now, true);
            broker.nodes[index].wire.handle_namespace(broker.now, &namespace("/"), true);
            broker.run();
        }
        // Those that came first count the others.
        broker.advance(Duration::from_secs(5));
        broker
    }

    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.run();
            let timers = self
                .nodes
                .iter()
                .flat_map(|node| [node.wire.poll_timeout(), node.cluster.poll_timeout()]);
            match timers.flatten().min().filter(|next| *next <= end) {
                Some(next) => self.now = self.now.max(next),
                None => break,
            }
            for node in &mut self.nodes {
                node.wire.handle_timeout(self.now);
                node.cluster.handle_timeout(self.now);
            }
        }
        self.now = end;
        for node in &mut self.nodes {
            node.wire.handle_timeout(end);
            node.cluster.handle_timeout(end);
        }
        self.run();
    }

    /// Carries everything until nothing is left.
    pub(super) fn run(&mut self) {
        loop {
            let mut queue: VecDeque<(usize, Delivery)> = VecDeque::new();
            for index in 0..self.nodes.len() {
                let node = &mut self.nodes[index];
                while let Some(message) = node.cluster.poll_message() {
                    node.wire.send(self.now, message);
                }
                while let Some(command) = self.nodes[index].wire.poll_command() {
                    self.carry(index, command, &mut queue);
                }
            }
            if queue.is_empty() {
                let all = 0..self.nodes.len();
                if !all
                    .into_iter()
                    .map(|index| self.settle(index))
                    .fold(false, |any, this| any | this)
                {
                    return;
                }
                continue;
            }
            while let Some((index, delivery)) =
                if self.reorders { queue.pop_back() } else { queue.pop_front() }
            {
                let is_message = !matches!(delivery, Delivery::Counted(..));
                if is_message && (self.loses)(index) {
                    continue;
                }
                if is_message && self.duplicates && !matches!(delivery, Delivery::Fetched(..)) {
                    self.deliver(index, delivery.clone());
                }
                self.deliver(index, delivery);
            }
        }
    }

    fn carry(&mut self, index: usize, command: Command, queue: &mut VecDeque<(usize, Delivery)>) {
        match command {
            Command::Subscribe(subscription) => {
                let is_new = self.nodes[index].subscriptions.insert(subscription.clone());
                assert!(is_new, "{subscription:?} is subscribed to twice");
            }
            Command::Unsubscribe(subscription) => {
                let was = self.nodes[index].subscriptions.remove(&subscription);
                assert!(was, "{subscription:?} was not subscribed to");
            }
            Command::Publish { channel, message, is_sharded, attachment } => {
                let message = match attachment {
                    Some(head) => {
                        let id = self.stored.len() as u64;
                        self.stored.insert(id, message);
                        head.message(id).into()
                    }
                    None => message,
                };
                for (index, node) in self.nodes.iter().enumerate() {
                    let hits =
                        node.subscriptions.iter().filter(|one| hits(one, &channel, is_sharded));
                    let delivery = Delivery::Published(Arc::clone(&channel), message.clone());
                    queue.extend(hits.map(|_| (index, delivery.clone())));
                }
            }
            Command::Append { stream, fields, .. } => {
                self.entries += 1;
                for (index, node) in self.nodes.iter().enumerate() {
                    if node.subscriptions.contains(&Subscription::Stream(Arc::clone(&stream))) {
                        let id = format!("{}-0", self.entries);
                        queue.push_back((
                            index,
                            Delivery::Entry(Arc::clone(&stream), id, fields.clone()),
                        ));
                    }
                }
            }
            // The clusters here append nothing.
            Command::Store { .. } | Command::Take { .. } | Command::Read { .. } => {}
            Command::Count { channel, is_sharded, request } => {
                // Patterns do not count.
                let counts = |one: &&Subscription| {
                    !matches!(one, Subscription::Pattern(_)) && hits(one, &channel, is_sharded)
                };
                let count =
                    self.nodes.iter().flat_map(|node| &node.subscriptions).filter(counts).count();
                queue.push_back((index, Delivery::Counted(channel, request, count)));
            }
            Command::Fetch { channel, attachment } => {
                let message = self.stored[&attachment].clone();
                queue.push_back((index, Delivery::Fetched(channel, message)));
            }
        }
    }

    fn deliver(&mut self, index: usize, delivery: Delivery) {
        let wire = &mut self.nodes[index].wire;
        match delivery {
            Delivery::Published(channel, message) => {
                wire.handle_published(self.now, &channel, message)
            }
            Delivery::Fetched(channel, message) => wire.handle_fetched(self.now, &channel, message),
            Delivery::Entry(stream, id, fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
                wire.handle_entry(self.now, &stream, &id, &fields);
            }
            Delivery::Counted(channel, request, count) => {
                wire.handle_count(self.now, &channel, request, count);
            }
        }
        self.settle(index);
    }

    /// Hands events of a wire to its cluster, and answers the requests. Returns whether there were any.
    fn settle(&mut self, index: usize) -> bool {
        let node = &mut self.nodes[index];
        let mut any = false;
        while let Some(event) = node.wire.poll_event() {
            any = true;
            match event {
                WireEvent::Message { from, namespace, operation } => {
                    node.cluster.handle_message(from, namespace, operation);
                }
                WireEvent::Asked { request, nodes } => node.cluster.handle_count(request, nodes),
                WireEvent::Nodes(nodes) => {
                    node.nodes = nodes;
                    node.cluster.set_nodes(nodes);
                }
                WireEvent::Faulty(error) => node.faults.push(error),
                WireEvent::Joined(_)
                | WireEvent::Lost(_)
                | WireEvent::Appended { .. }
                | WireEvent::AppendFailed(_)
                | WireEvent::LogRewound
                | WireEvent::Logged { .. } => {}
            }
        }
        while let Some(event) = node.cluster.poll_event() {
            any = true;
            if let ClusterEvent::Operation { from, namespace, operation } = &event {
                for (request, response) in answers(operation, index, self.clients) {
                    node.cluster.respond(*from, namespace, request, response, 1).unwrap();
                }
            }
            node.events.push(event);
        }
        any
    }

    /// The events of a node since the last call.
    pub(super) fn events(&mut self, index: usize) -> Vec<ClusterEvent> {
        core::mem::take(&mut self.nodes[index].events)
    }
}

/// The answers that a node gives to a request.
fn answers(operation: &Operation, index: usize, clients: usize) -> Vec<(RequestId, Response)> {
    match operation {
        Operation::Broadcast(Broadcast { request: Some(request), .. }) => {
            let acks = (0..clients).map(|ack| (*request, Response::Ack(Args::ack(&ack).unwrap())));
            core::iter::once((*request, Response::Clients(clients))).chain(acks).collect()
        }
        Operation::FetchSockets { request, .. } => {
            vec![(*request, Response::Sockets(vec![socket(&format!("socket-{index}"))]))]
        }
        Operation::ServerSideEmit { request: Some(request), .. } => {
            vec![(*request, Response::Event(Args::ack(&(index,)).unwrap()))]
        }
        _ => Vec::new(),
    }
}

fn hits(subscription: &Subscription, channel: &str, is_sharded: bool) -> bool {
    match subscription {
        Subscription::Channel(name) => !is_sharded && **name == *channel,
        Subscription::Shard(name) => is_sharded && **name == *channel,
        Subscription::Pattern(glob) => !is_sharded && matches(glob.as_bytes(), channel.as_bytes()),
        Subscription::Stream(_) => false,
    }
}

/// Globs as Redis has them, but for ranges and negation in brackets.
pub(super) fn matches(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([], text) => text.is_empty(),
        ([b'*', glob @ ..], text) => (0..=text.len()).any(|skip| matches(glob, &text[skip..])),
        (_, []) => false,
        ([b'?', glob @ ..], [_, text @ ..]) => matches(glob, text),
        ([b'[', glob @ ..], [byte, text @ ..]) => {
            let end = glob.iter().position(|byte| *byte == b']').unwrap();
            glob[..end].contains(byte) && matches(&glob[end + 1..], text)
        }
        ([b'\\', wanted, glob @ ..] | [wanted, glob @ ..], [byte, text @ ..]) => {
            wanted == byte && matches(glob, text)
        }
    }
}

/// The responses to a request, and what is missing at its end if it has ended.
pub(super) type Outcome = (Vec<(NodeId, String)>, Option<(usize, usize)>);

/// The responses and the end of a request.
pub(super) fn outcome(events: Vec<ClusterEvent>) -> Outcome {
    let (mut responses, mut end) = (Vec::new(), None);
    for event in events {
        match event {
            ClusterEvent::Response(request, from, response) => {
                let operation = Operation::Respond { request, response };
                responses.push((from, shown(&operation)));
            }
            ClusterEvent::Completed(_, missing) => {
                assert!(end.is_none(), "a request ends once");
                end = Some((missing.nodes, missing.acks));
            }
            ClusterEvent::Operation { .. }
            | ClusterEvent::Appended { .. }
            | ClusterEvent::AppendedLate { .. }
            | ClusterEvent::Logged(..) => {}
        }
    }
    (responses, end)
}
