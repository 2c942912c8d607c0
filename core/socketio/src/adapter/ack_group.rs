//! Acknowledgements of a broadcast.

use alloc::{collections::VecDeque, vec::Vec};

use super::storage::{narrow, wide};
use crate::{AckError, DisconnectReason, SocketId};

/// Acknowledgement of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckResponse<A> {
    /// The member, or `None` for one of another node.
    ///
    /// Nodes do not name them to each other.
    pub from: Option<SocketId>,
    /// Its answer.
    pub result: Result<A, AckError>,
}

/// Acknowledgements of one broadcast, in the order in which they come.
///
/// The group is complete when each member of this node has answered or disconnected, and each announced one of other
/// nodes has answered. It is also complete when it has expired. Answers wait until they are polled, even then.
///
/// `A` is the type of an answer.
#[derive(Debug)]
pub struct AckGroup<A> {
    /// The members in the order of their selection, and whether they are settled.
    members: Vec<(SocketId, bool)>,
    /// Positions in `members`, sorted by id.
    by_id: Vec<u32>,
    /// Members that are not settled.
    pending: usize,
    remote: Remote,
    responses: VecDeque<AckResponse<A>>,
    expired: bool,
}

/// State of other nodes, as far as it is known.
#[derive(Debug)]
struct Remote {
    /// Nodes that will announce how many members they have. `None`: not known yet.
    nodes: Option<usize>,
    /// Nodes that have announced it.
    announced: usize,
    /// Members that were announced.
    members: usize,
    /// Members that have answered.
    answered: usize,
}

impl<A> AckGroup<A> {
    /// Creates a group of the members of this node, in the order of their selection.
    pub fn new(members: impl IntoIterator<Item = SocketId>) -> Self {
        let members: Vec<_> = members.into_iter().map(|id| (id, false)).collect();
        let mut by_id: Vec<u32> = (0..narrow(members.len())).collect();
        by_id.sort_by(|&a, &b| members[wide(a)].0.cmp(&members[wide(b)].0));
        let remote = Remote { nodes: Some(0), announced: 0, members: 0, answered: 0 };
        let pending = members.len();
        Self { members, by_id, pending, remote, responses: VecDeque::new(), expired: false }
    }

    /// Creates a group that other nodes take part in. It waits for [`expect_nodes`](Self::expect_nodes).
    pub fn clustered(members: impl IntoIterator<Item = SocketId>) -> Self {
        let mut group = Self::new(members);
        group.remote.nodes = None;
        group
    }

    /// Records the answer of a member. Returns false if it is not expected: only the first one counts.
    pub fn answer(&mut self, from: &str, result: Result<A, AckError>) -> bool {
        if self.expired {
            return false;
        }
        let first = self.by_id.partition_point(|&at| self.members[wide(at)].0.as_str() < from);
        let found = self.by_id[first..].iter().map(|&at| wide(at));
        let mut same = found.take_while(|&at| self.members[at].0 == *from);
        let Some(at) = same.find(|&at| !self.members[at].1) else { return false };
        let (id, settled) = &mut self.members[at];
        *settled = true;
        self.pending -= 1;
        self.responses.push_back(AckResponse { from: Some(id.clone()), result });
        true
    }

    /// Fails the acknowledgement of a member that has disconnected. Returns false if none is expected.
    pub fn disconnected(&mut self, from: &str, reason: DisconnectReason) -> bool {
        self.answer(from, Err(AckError::Disconnected(reason)))
    }

    /// Tells the number of other nodes, each of which announces its members.
    ///
    /// Tell a smaller number when a node is lost that has not announced any.
    pub const fn expect_nodes(&mut self, nodes: usize) {
        self.remote.nodes = Some(nodes);
    }

    /// Records that another node expects answers of `members` members, none perhaps.
    ///
    /// Answers of that node may come before it.
    pub const fn expect_remote(&mut self, members: usize) {
        if !self.expired {
            self.remote.announced += 1;
            self.remote.members = self.remote.members.saturating_add(members);
        }
    }

    /// Records the answer of a member of another node. Returns false if none is expected.
    pub fn answer_remote(&mut self, result: Result<A, AckError>) -> bool {
        if self.expired || (self.has_heard_nodes() && self.remote.answered >= self.remote.members) {
            return false;
        }
        self.remote.answered += 1;
        self.responses.push_back(AckResponse { from: None, result });
        true
    }

    /// Fails all acknowledgements that have not come, at the deadline.
    ///
    /// Acknowledgements of members come in order, then those of other nodes. Members of nodes that have not announced any cannot
    /// be counted, see [`missing_nodes`](Self::missing_nodes).
    pub fn expire(&mut self) {
        if self.is_complete() {
            return;
        }
        self.expired = true;
        let missing = self.members.iter().filter(|(_, settled)| !settled);
        let missing = missing.map(|(id, _)| Some(id.clone()));
        let remote = self.remote.members.saturating_sub(self.remote.answered);
        let remote = core::iter::repeat_n(None, remote);
        let failed = |from| AckResponse { from, result: Err(AckError::Timeout) };
        self.responses.extend(missing.chain(remote).map(failed));
    }

    /// Returns the next answer, in the order in which they came.
    pub fn poll(&mut self) -> Option<AckResponse<A>> {
        self.responses.pop_front()
    }

    /// Returns whether nothing more will come than what can be polled now.
    pub const fn is_complete(&self) -> bool {
        self.expired
            || (self.pending == 0
                && self.has_heard_nodes()
                && self.remote.answered >= self.remote.members)
    }

    /// Returns the members of this node that have neither answered nor disconnected, in order.
    ///
    /// After the group has expired, they are those that timed out.
    pub fn unanswered(&self) -> impl Iterator<Item = &SocketId> {
        self.members.iter().filter(|(_, settled)| !settled).map(|(id, _)| id)
    }

    /// Returns the number of other nodes that have not announced their members. `None` if not known.
    pub const fn missing_nodes(&self) -> Option<usize> {
        match self.remote.nodes {
            Some(nodes) => Some(nodes.saturating_sub(self.remote.announced)),
            None => None,
        }
    }

    const fn has_heard_nodes(&self) -> bool {
        matches!(self.missing_nodes(), Some(0))
    }
}
