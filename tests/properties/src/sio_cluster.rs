//! A node and what others send it, driven by a script beside a list of who has still to respond. Each operation is a
//! letter and what it needs; `n` is one byte, `0` for the first:
//!
//! | letter | operation |
//! |---|---|
//! | `i`n, `o`n | node n comes, or is lost |
//! | `q`kind n | a request for sockets, acknowledgements or an answer, which may take n |
//! | `r`node request kind n | a node responds to a request with sockets, a number of clients, an acknowledgement or an answer |
//! | `c`n | request n is cancelled |
//! | `t`n | n passes |
//! | `p` | a message is carried |
//! | `d` | the bus is disconnected, or comes back |

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use enginewire::Time;
use enginewire_socketio::{
    adapter::Target,
    cluster::{
        Broadcast, Cluster, ClusterEvent, Missing, NodeId, Operation, RequestId, Response,
        TellError,
    },
};

use crate::{late::Grace, script::Script};

/// Runs the script. Returns how many requests were complete with a response.
pub fn run(data: &[u8]) -> usize {
    let mut script = Script::new(data);
    let mut world = World::new();
    while !script.is_empty() {
        world.step(&mut script);
        world.check();
    }
    world.finish()
}

/// The cost of each message, and how many there is room for.
const COST: usize = 10;
const ROOM: usize = 32;

struct World {
    cluster: Cluster<u8, ()>,
    namespace: Arc<str>,
    now: Time,
    grace: Grace,
    nodes: BTreeSet<u64>,
    /// Messages that wait, each for one node or all.
    messages: VecDeque<Option<NodeId>>,
    requests: Vec<Asked>,
    events: VecDeque<ClusterEvent<u8, ()>>,
    answered: usize,
    is_connected: bool,
}

/// A request as the model has it.
struct Asked {
    id: RequestId,
    kind: u8,
    deadline: Time,
    /// The number that each node has announced, and how many of it came.
    waiting: BTreeMap<u64, (Option<usize>, usize)>,
    missing: Missing,
    has_response: bool,
    is_over: bool,
}

impl World {
    fn new() -> Self {
        Self {
            cluster: Cluster::new(COST * ROOM),
            namespace: "/".into(),
            now: Time::ZERO,
            grace: Grace::default(),
            nodes: BTreeSet::new(),
            messages: VecDeque::new(),
            requests: Vec::new(),
            events: VecDeque::new(),
            answered: 0,
            is_connected: true,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        const LETTERS: &[u8] = b"ioqrrctpd";
        let letter = match script.byte() {
            letter if LETTERS.contains(&letter) => letter,
            other => LETTERS[usize::from(other) % LETTERS.len()],
        };
        match letter {
            b'i' => {
                let node = few(script);
                assert_eq!(self.cluster.insert_node(NodeId(node)), self.nodes.insert(node));
            }
            b'o' => {
                let node = few(script);
                assert_eq!(self.cluster.remove_node(NodeId(node)), self.nodes.remove(&node));
                self.requests.iter_mut().for_each(|asked| asked.lose(node));
                self.settle();
            }
            b'q' => {
                let kind = script.byte() % 3;
                let patience = Duration::from_millis(script.byte().into());
                self.ask(kind, self.now + patience);
            }
            b'r' => {
                let (node, request) = (few(script), script.byte());
                let response = match script.byte() % 4 {
                    0 => Response::Sockets(Vec::new()),
                    1 => Response::Clients(usize::from(script.byte() % 4)),
                    2 => Response::Ack(script.byte()),
                    _ => Response::Event(script.byte()),
                };
                self.respond(node, request, response);
            }
            b'c' => {
                let at = usize::from(script.byte().wrapping_sub(b'0'));
                let Some(asked) = self.requests.get_mut(at) else { return };
                self.cluster.cancel(asked.id);
                asked.is_over = true;
            }
            b't' => {
                self.now = self.now + Duration::from_millis(few(script) * 20);
                let open = self.requests.iter_mut().filter(|asked| !asked.is_over);
                let mut open: Vec<_> = open.map(|asked| &mut asked.deadline).collect();
                let first = open.iter().map(|deadline| **deadline).min();
                if let Some(until) = first.and_then(|due| self.grace.give(due, self.now)) {
                    open.iter_mut().for_each(|deadline| **deadline = until.max(**deadline));
                }
                self.cluster.handle_timeout(self.now);
                let due = |asked: &&mut Asked| asked.deadline <= self.now;
                self.requests.iter_mut().filter(due).for_each(Asked::expire);
                self.settle();
            }
            b'd' => {
                self.is_connected ^= true;
                self.cluster.set_connected(self.is_connected);
            }
            _ => {
                let message = self.cluster.poll_message();
                assert_eq!(message.map(|message| message.to), self.messages.pop_front());
            }
        }
    }

    fn ask(&mut self, kind: u8, deadline: Time) {
        let (cluster, namespace, target) = (&mut self.cluster, &self.namespace, Target::all());
        let result = match kind {
            0 => cluster.fetch_sockets(deadline, namespace, target, COST),
            1 => {
                let (request, timeout, offset) = (None, None, None);
                let broadcast =
                    Broadcast { target, event: 1, volatile: false, request, timeout, offset };
                cluster.broadcast_with_ack(deadline, namespace, broadcast, COST)
            }
            _ => cluster.server_side_emit_with_ack(deadline, namespace, 1, COST),
        };
        if !self.is_connected {
            assert_eq!(result, Err(TellError::Disconnected));
            return;
        }
        if self.messages.len() == ROOM {
            assert_eq!(result, Err(TellError::Full { queued: COST * ROOM, max: COST * ROOM }));
            return;
        }
        self.messages.push_back(None);
        let id = result.expect("there is room");
        assert!(self.requests.iter().all(|asked| asked.id != id), "used twice");
        let announced = if kind == 1 { None } else { Some(1) };
        let waiting = self.nodes.iter().map(|&node| (node, (announced, 0))).collect();
        let missing = Missing::default();
        let (has_response, is_over) = (false, false);
        self.requests.push(Asked { id, kind, deadline, waiting, missing, has_response, is_over });
        self.settle();
    }

    fn respond(&mut self, node: u64, request: u8, response: Response<u8, ()>) {
        let asked = self.requests.get_mut(usize::from(request.wrapping_sub(b'0')));
        let id = asked.as_ref().map_or(RequestId(999), |asked| asked.id);
        if let Some(asked) = asked
            && asked.takes(node, &response)
        {
            let response = response.clone();
            self.events.push_back(ClusterEvent::Response(id, NodeId(node), response));
        }
        let operation = Operation::Respond { request: id, response };
        self.cluster.handle_message(NodeId(node), Arc::clone(&self.namespace), operation);
        self.settle();
    }

    /// Ends what is complete, the oldest first.
    fn settle(&mut self) {
        for asked in &mut self.requests {
            if !asked.is_over && asked.waiting.is_empty() {
                asked.is_over = true;
                self.answered += usize::from(asked.has_response);
                self.events.push_back(ClusterEvent::Completed(asked.id, asked.missing));
            }
        }
        // All of them: what is cancelled later has been told.
        while let Some(event) = self.cluster.poll_event() {
            assert_eq!(Some(event), self.events.pop_front());
        }
        assert!(self.events.is_empty(), "not told: {:?}", self.events);
    }

    fn check(&self) {
        assert_eq!(self.cluster.nodes(), self.nodes.len());
        assert_eq!(self.cluster.queued(), COST * self.messages.len());
        let open = self.requests.iter().filter(|asked| !asked.is_over);
        assert_eq!(self.cluster.poll_timeout(), open.map(|asked| asked.deadline).min());
    }

    fn finish(mut self) -> usize {
        self.now = Time::MAX;
        self.cluster.handle_timeout(self.now);
        self.requests.iter_mut().for_each(Asked::expire);
        self.settle();
        self.check();
        assert_eq!(self.cluster.poll_timeout(), None, "every request ends");
        self.answered
    }
}

impl Asked {
    /// Whether a response counts.
    fn takes(&mut self, node: u64, response: &Response<u8, ()>) -> bool {
        let kind = match response {
            Response::Sockets(_) => 0,
            Response::Clients(_) | Response::Ack(_) => 1,
            _ => 2,
        };
        if self.is_over || kind != self.kind {
            return false;
        }
        let Some((announced, came)) = self.waiting.get_mut(&node) else { return false };
        if let Response::Clients(count) = response {
            if announced.is_some() {
                return false;
            }
            *announced = Some(*count);
        } else {
            *came += 1;
        }
        if announced.is_some_and(|announced| *came >= announced) {
            self.waiting.remove(&node);
        }
        self.has_response = true;
        true
    }

    fn lose(&mut self, node: u64) {
        match self.waiting.remove(&node) {
            Some((None, _)) => self.missing.nodes += 1,
            Some((Some(announced), came)) if self.kind == 1 => {
                self.missing.acks += announced - came;
            }
            // It has announced its one response, and has not given it.
            Some(_) => self.missing.nodes += 1,
            None => {}
        }
    }

    fn expire(&mut self) {
        for node in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.lose(node);
        }
    }
}

fn few(script: &mut Script<'_>) -> u64 {
    u64::from(script.byte() % 4)
}
