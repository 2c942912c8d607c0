//! Requests to other nodes, and what is still to come for them.

use alloc::collections::{BTreeMap, BTreeSet};

use enginewire::Time;

use super::{Missing, NodeId, Response};

/// A request that is not complete.
pub(super) struct Request {
    pub(super) expected: Expected,
    pub(super) deadline: Time,
    pub(super) waiting: Waiting,
    pub(super) missing: Missing,
}

/// Responses that a request expects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Sockets,
    Acks,
    Event,
}

/// Responses that are to come for a request.
pub(super) enum Waiting {
    /// Nodes that have more to respond.
    Known(BTreeMap<NodeId, Progress>),
    Counted(Counted),
}

/// The responses of one node to a request.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// The number that is to come, once it is known.
    announced: Option<usize>,
    came: usize,
}

/// The responses of all nodes, where the bus says how many nodes there are.
///
/// An acknowledgement need not say of which node it is.
#[derive(Default)]
pub(super) struct Counted {
    /// The number of nodes, once the bus has said it.
    nodes: Option<usize>,
    /// Nodes that have responded, or said how often they will.
    heard: BTreeSet<NodeId>,
    /// Acknowledgements that are to come of those.
    announced: usize,
    /// Acknowledgements that came.
    came: usize,
    has_expired: bool,
}

impl Request {
    /// Notes that a node will respond no more.
    pub(super) fn lose(&mut self, node: NodeId) {
        if let Waiting::Known(waiting) = &mut self.waiting
            && let Some(progress) = waiting.remove(&node)
        {
            self.miss(progress);
        }
    }

    /// Notes the number of nodes that are to respond.
    pub(super) const fn expect(&mut self, nodes: usize) {
        if let Waiting::Counted(counted) = &mut self.waiting {
            counted.nodes = Some(nodes);
        }
    }

    /// Notes that the deadline has passed.
    pub(super) fn expire(&mut self) {
        match &mut self.waiting {
            Waiting::Known(waiting) => {
                for progress in core::mem::take(waiting).into_values() {
                    self.miss(progress);
                }
            }
            Waiting::Counted(counted) => {
                counted.has_expired = true;
                // Without a count there is at least the one that could have told it.
                let nodes = counted.nodes.unwrap_or(counted.heard.len() + 1);
                self.missing.nodes = nodes.saturating_sub(counted.heard.len());
                self.missing.acks = counted.announced.saturating_sub(counted.came);
            }
        }
    }

    /// Counts what a node has not responded.
    fn miss(&mut self, Progress { announced, came }: Progress) {
        match announced.filter(|_| self.expected == Expected::Acks) {
            Some(announced) => {
                let acks = announced.saturating_sub(came);
                self.missing.acks = self.missing.acks.saturating_add(acks);
            }
            None => self.missing.nodes += 1,
        }
    }
}

impl Expected {
    pub(super) fn matches<E, P>(self, response: &Response<E, P>) -> bool {
        self == match response {
            Response::Sockets(_) => Self::Sockets,
            Response::Clients(_) | Response::Ack(_) => Self::Acks,
            Response::Event(_) => Self::Event,
        }
    }
}

impl Waiting {
    /// Waits for each of some nodes.
    pub(super) fn for_nodes(nodes: &BTreeSet<NodeId>, expected: Expected) -> Self {
        let announced = if expected == Expected::Acks { None } else { Some(1) };
        Self::Known(nodes.iter().map(|&node| (node, Progress { announced, came: 0 })).collect())
    }

    /// Notes a response. Returns false if none was to come.
    pub(super) fn respond<E, P>(&mut self, from: NodeId, response: &Response<E, P>) -> bool {
        match self {
            Self::Known(waiting) => {
                let Some(progress) = waiting.get_mut(&from) else { return false };
                match (response, progress.announced) {
                    // Before their number, so many may come.
                    (Response::Ack(_), None) if progress.came >= MAX_EARLY => return false,
                    (Response::Clients(count), None) => progress.announced = Some(*count),
                    (Response::Clients(_), Some(_)) => return false,
                    _ => progress.came += 1,
                }
                if progress.is_complete() {
                    waiting.remove(&from);
                }
                true
            }
            Self::Counted(counted) => counted.respond(from, response),
        }
    }

    /// Returns whether nothing is to come any more.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Known(waiting) => waiting.is_empty(),
            Self::Counted(counted) => counted.is_complete(),
        }
    }
}

impl Progress {
    fn is_complete(self) -> bool {
        self.announced.is_some_and(|announced| self.came >= announced)
    }
}

impl Counted {
    fn respond<E, P>(&mut self, from: NodeId, response: &Response<E, P>) -> bool {
        match response {
            // Those of nodes that have not said their number yet may be among them.
            Response::Ack(_) if self.came >= self.announced.saturating_add(MAX_EARLY) => {
                return false;
            }
            Response::Ack(_) => self.came += 1,
            // Of nodes beyond the count, some may have come this moment.
            _ if self.heard.len() >= self.nodes.unwrap_or(0).max(MAX_EARLY) => return false,
            _ if !self.heard.insert(from) => return false,
            Response::Clients(count) => self.announced = self.announced.saturating_add(*count),
            _ => {}
        }
        true
    }

    fn is_complete(&self) -> bool {
        let all_heard = self.nodes.is_some_and(|nodes| self.heard.len() >= nodes);
        self.has_expired || all_heard && self.came >= self.announced
    }
}

/// Acknowledgements that are taken before their number is known, and nodes before theirs is.
const MAX_EARLY: usize = 65_536;
