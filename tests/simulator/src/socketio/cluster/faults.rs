//! Nodes that crash, are cut off the bus, and come back.

use std::time::Duration;

use enginewire::Time;
use enginewire_socketio::hub::Hub;

use super::{
    bus::{BROKER, Carried},
    world::{ClusterWorld, Node},
};
use crate::{random::Random, socketio::ends::Net};

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
        if self.has_log && self.random.below(100_000) < self.manner.outages {
            (0..self.nodes.len()).for_each(|at| self.cut(at));
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
        match self.format.is_some() {
            true => self.start_wire(at),
            false => self.introduce(at),
        }
    }

    /// A node is gone, and others find out.
    pub(super) fn crash(&mut self, at: usize) {
        let Self { nodes, network, agenda, log, now, .. } = self;
        let (life, connection) = (nodes[at].life, nodes[at].connection);
        nodes[at].ends.vanish(&mut Net { network, agenda, log, now: *now });
        nodes[at] = Node { life, ..Node::default() };
        self.held.remove(&life);
        self.books.crashed(life);
        self.tell_lost(at, connection);
    }

    /// A node and the others do not reach each other for a while.
    fn cut(&mut self, at: usize) {
        // One that is about to be connected again has first to be.
        if self.nodes[at].hub.is_none() || self.nodes[at].is_cut {
            return;
        }
        let (now, life) = (self.now, self.nodes[at].life);
        self.books.totals.cuts += 1;
        self.nodes[at].heals_at = Some(now + self.random.shorter(CUT));
        self.nodes[at].is_cut = true;
        self.bus.tell_within(now, life, life, NOTICED, Carried::Down);
        self.tell_lost(at, self.nodes[at].connection);
        if self.format.is_some() {
            return;
        }
        for other in self.others(at) {
            self.bus.tell_within(now, other, life, NOTICED, Carried::Lost(other));
        }
    }

    fn heal(&mut self, at: usize) {
        self.nodes[at].heals_at = None;
        let life = self.nodes[at].life;
        self.bus.tell_within(self.now, life, life, NOTICED, Carried::Up);
        if self.format.is_none() {
            self.introduce(at);
        }
    }

    /// A node and the others hear of each other.
    fn introduce(&mut self, at: usize) {
        let (now, life) = (self.now, self.nodes[at].life);
        for other in self.others(at) {
            self.bus.tell_within(now, life, other, NOTICED, Carried::Joined(life));
            self.bus.tell_within(now, other, life, NOTICED, Carried::Joined(other));
        }
    }

    /// The other nodes find out that one is not on the bus any more, or the broker does.
    fn tell_lost(&mut self, at: usize, connection: u64) {
        let (now, life) = (self.now, self.nodes[at].life);
        if self.format.is_some() {
            let closed = Carried::Closed((life, connection));
            return self.bus.tell_within(now, life, BROKER, NOTICED, closed);
        }
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

/// Longest time that a node is down, is cut off, or that the bus takes nothing of it.
const DOWN: Duration = Duration::from_secs(20);
const CUT: Duration = Duration::from_secs(30);
const JAM: Duration = Duration::from_secs(10);

/// Longest time until a node is told of another, or of the bus.
const NOTICED: Duration = Duration::from_secs(8);
