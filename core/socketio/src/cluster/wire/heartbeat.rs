//! Nodes that are known by their messages, and lost by silence.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use enginewire::Time;

use super::{super::RequestId, config::HeartbeatsConfig};

/// The other nodes of a namespace, and the requests that wait for them.
#[derive(Default)]
pub(super) struct Heartbeat {
    /// When each was last heard.
    nodes: BTreeMap<Arc<str>, Time>,
    /// Requests of this node, with the nodes that have not responded.
    waiting: BTreeMap<RequestId, Waiting>,
    /// When the next heartbeat is due.
    next: Option<Time>,
}

struct Waiting {
    silent: BTreeSet<Arc<str>>,
    /// Nodes that have responded.
    heard: BTreeSet<Arc<str>>,
    expires: Time,
}

impl Heartbeat {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Notes a message of a node. Returns whether it is new, or `None` if there are too many.
    pub(super) fn hear(&mut self, now: Time, uid: &str, config: &HeartbeatsConfig) -> Option<bool> {
        if let Some(last) = self.nodes.get_mut(uid) {
            *last = now;
            return Some(false);
        }
        if self.nodes.len() >= config.max_nodes {
            return None;
        }
        self.nodes.insert(uid.into(), now);
        Some(true)
    }

    /// Removes a node. Calls `asked` with each request that waited for it, and the number of nodes to respond now.
    pub(super) fn lose(&mut self, uid: &str, mut asked: impl FnMut(RequestId, usize)) -> bool {
        if self.nodes.remove(uid).is_none() {
            return false;
        }
        for (&request, waiting) in &mut self.waiting {
            if waiting.silent.remove(uid) {
                asked(request, waiting.nodes());
            }
        }
        self.waiting.retain(|_, waiting| !waiting.silent.is_empty());
        true
    }

    /// Notes a request of this node to all nodes that are known. Returns their number.
    ///
    /// Beyond `max` requests it is not noted, and its number does not change.
    pub(super) fn ask(&mut self, request: RequestId, expires: Time, max: usize) -> usize {
        let silent: BTreeSet<_> = self.nodes.keys().cloned().collect();
        let nodes = silent.len();
        if nodes > 0 && self.waiting.len() < max {
            self.waiting.insert(request, Waiting { silent, heard: BTreeSet::new(), expires });
        }
        nodes
    }

    /// Notes the response of a node. Returns the number of nodes to respond, if it has changed.
    ///
    /// It changes when a node responds that was not known, so that another one is not left out in its place.
    pub(super) fn respond(&mut self, request: RequestId, uid: &str) -> Option<usize> {
        let waiting = self.waiting.get_mut(&request)?;
        if let Some(uid) = waiting.silent.take(uid) {
            waiting.heard.insert(uid);
            if waiting.silent.is_empty() {
                self.waiting.remove(&request);
            }
            return None;
        }
        let is_new = waiting.heard.len() < MAX_UNKNOWN && waiting.heard.insert(uid.into());
        is_new.then(|| waiting.nodes())
    }

    /// The nodes that are silent for longer than the timeout.
    pub(super) fn silent(&self, now: Time, config: &HeartbeatsConfig) -> Vec<Arc<str>> {
        let silent = self.nodes.iter().filter(|(_, last)| **last + config.timeout < now);
        silent.map(|(uid, _)| Arc::clone(uid)).collect()
    }

    /// Forgets the requests whose deadline has passed.
    pub(super) fn expire(&mut self, now: Time) {
        self.waiting.retain(|_, waiting| waiting.expires > now);
    }

    /// Whether a heartbeat is due.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// Starts the time to the next heartbeat anew, and returns when it is due.
    pub(super) fn restart(&mut self, now: Time, config: &HeartbeatsConfig) -> Time {
        *self.next.insert(now + config.interval)
    }

    /// Sends no heartbeats until the next [`restart`](Self::restart).
    pub(super) const fn pause(&mut self) {
        self.next = None;
    }

    pub(super) fn uids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.nodes.keys()
    }

    pub(super) const fn next(&self) -> Option<Time> {
        self.next
    }
}

impl Waiting {
    fn nodes(&self) -> usize {
        self.silent.len() + self.heard.len()
    }
}

/// Limit on the nodes that have responded to a request, for a neighbour that makes up names.
const MAX_UNKNOWN: usize = 4096;
