//! Books about requests to other nodes: what came for them, and what is still to come.

use std::collections::{BTreeMap, BTreeSet};

use enginewire::Time;
use enginewire_socketio::cluster::{Missing, NodeId, RequestId, Response};

/// The requests of one node.
#[derive(Default)]
pub(super) struct Requests {
    open: BTreeMap<RequestId, Asked>,
    /// The last that others were told of.
    last: u64,
}

/// One request.
pub(super) struct Asked {
    /// The event that it is about, or 0 for one that asks for sockets.
    pub(super) number: u64,
    pub(super) deadline: Time,
    kind: Kind,
    nodes: Nodes,
    heard: BTreeMap<NodeId, Heard>,
    /// Sockets of this node that have not acknowledged it.
    local: BTreeSet<String>,
    /// Sockets of other nodes that have.
    acknowledged: BTreeSet<String>,
    /// Nodes of which the application has got the response.
    told: BTreeSet<NodeId>,
}

/// Responses that are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Acks,
    Sockets,
    Event,
}

/// Nodes that a request waits for.
pub(super) enum Nodes {
    Known(BTreeSet<NodeId>),
    /// The number that the bus has told, if it has.
    Counted(Option<usize>),
    /// So many, of which none was asked.
    Untold(usize),
}

/// Responses of one node.
#[derive(Default)]
struct Heard {
    announced: Option<usize>,
    came: usize,
    /// It is lost: nothing that comes any more counts.
    is_lost: bool,
}

impl Requests {
    /// The id of the next request that others are told of.
    pub(super) const fn next(&self) -> RequestId {
        RequestId(self.last + 1)
    }

    /// A node asks others.
    pub(super) fn insert(
        &mut self,
        request: RequestId,
        (kind, number): (Kind, u64),
        deadline: Time,
        nodes: Nodes,
        local: BTreeSet<String>,
    ) {
        if !matches!(nodes, Nodes::Untold(_)) {
            self.last = self.last.max(request.0);
        }
        let asked = Asked {
            number,
            deadline,
            kind,
            nodes,
            heard: BTreeMap::new(),
            local,
            acknowledged: BTreeSet::new(),
            told: BTreeSet::new(),
        };
        let before = self.open.insert(request, asked);
        assert!(before.is_none(), "{request:?} is made twice");
    }

    /// A request to the log has left.
    pub(super) fn pass(&mut self, request: RequestId) {
        self.last = self.last.max(request.0);
    }

    pub(super) fn get(&self, request: RequestId) -> Option<&Asked> {
        self.open.get(&request)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// A response comes from another node.
    pub(super) fn respond(&mut self, from: NodeId, request: RequestId, response: &Response) {
        if let Some(asked) = self.open.get_mut(&request) {
            asked.respond(from, response);
        }
    }

    /// The node is told that another is lost.
    pub(super) fn lose(&mut self, node: NodeId) {
        for asked in self.open.values_mut() {
            if matches!(&asked.nodes, Nodes::Known(nodes) if nodes.contains(&node)) {
                asked.heard.entry(node).or_default().is_lost = true;
            }
        }
    }

    /// The node is told how many others a request has reached.
    pub(super) fn expect(&mut self, request: RequestId, count: usize) {
        if let Some(Asked { nodes: Nodes::Counted(nodes), .. }) = self.open.get_mut(&request) {
            *nodes = Some(count);
        }
    }

    /// A socket of this node has acknowledged a broadcast, or will not.
    pub(super) fn local(&mut self, request: RequestId, id: &str) {
        let asked = self.open.get_mut(&request);
        let is_expected = asked.is_some_and(|asked| asked.local.remove(id));
        assert!(is_expected, "{id} ends {request:?}, which does not wait for it");
    }

    /// The application is told of an acknowledgement of a socket of another node.
    pub(super) fn acknowledged(&mut self, request: RequestId, id: &str, may_double: bool) {
        let Some(asked) = self.open.get_mut(&request) else {
            panic!("{request:?} is acknowledged, and not open");
        };
        let is_new = asked.acknowledged.insert(id.to_owned());
        assert!(is_new || may_double, "{id} acknowledges {request:?} twice");
    }

    /// The application is told of the response of another node.
    pub(super) fn told(&mut self, request: RequestId, from: NodeId, kind: Kind) -> u64 {
        let Some(asked) = self.open.get_mut(&request).filter(|asked| asked.kind == kind) else {
            panic!("{from:?} responds to {request:?}, which does not ask for {kind:?}");
        };
        assert!(asked.heard.contains_key(&from), "{from:?} has not responded to {request:?}");
        assert!(asked.told.insert(from), "{from:?} responds to {request:?} twice");
        asked.number
    }

    /// A request ends, and tells what is missing. Returns the event that it was about.
    pub(super) fn complete(&mut self, now: Time, request: RequestId, missing: Missing) -> u64 {
        let Some(asked) = self.open.remove(&request) else {
            panic!("{request:?} ends twice");
        };
        assert!(now <= asked.deadline, "{request:?} ends after its deadline");
        assert!(asked.local.is_empty(), "{request:?} ends without sockets of this node");
        let is_over = asked.is_complete() || now == asked.deadline;
        assert!(is_over, "{request:?} ends, and has time for what is to come");
        let expected = asked.missing();
        assert_eq!(missing, expected, "what {request:?} lacks is not what it says");
        if asked.kind != Kind::Acks {
            assert_eq!(asked.told.len(), asked.responded(), "responses to {request:?} are hidden");
        }
        asked.number
    }

    /// Checks that no request goes on that has ended.
    pub(super) fn check(&self, now: Time) {
        for (request, asked) in &self.open {
            assert!(now <= asked.deadline, "{request:?} goes on behind its deadline");
            let is_complete = asked.is_complete() && asked.local.is_empty();
            assert!(!is_complete, "{request:?} has got all responses, and goes on");
        }
    }
}

impl Asked {
    fn respond(&mut self, from: NodeId, response: &Response) {
        let kind = match response {
            Response::Sockets(_) => Kind::Sockets,
            Response::Event(_) => Kind::Event,
            _ => Kind::Acks,
        };
        let is_waited_for = match &self.nodes {
            Nodes::Known(nodes) => nodes.contains(&from),
            Nodes::Counted(_) => true,
            Nodes::Untold(_) => false,
        };
        if kind != self.kind || !is_waited_for {
            return;
        }
        let heard = self.heard.entry(from).or_default();
        if heard.is_lost || (kind == Kind::Acks && heard.is_complete()) && self.is_known() {
            return;
        }
        let heard = self.heard.entry(from).or_default();
        match response {
            // Only the first counts.
            Response::Clients(count) => heard.announced = heard.announced.or(Some(*count)),
            Response::Ack(_) => heard.came += 1,
            _ => (heard.announced, heard.came) = (Some(1), 1),
        }
    }

    const fn is_known(&self) -> bool {
        matches!(self.nodes, Nodes::Known(_))
    }

    /// The number of nodes that have responded.
    fn responded(&self) -> usize {
        self.heard.values().filter(|heard| heard.announced.is_some()).count()
    }

    /// Whether nothing is to come from other nodes.
    fn is_complete(&self) -> bool {
        match &self.nodes {
            Nodes::Known(nodes) => nodes.iter().all(|node| {
                self.heard.get(node).is_some_and(|heard| heard.is_complete() || heard.is_lost)
            }),
            Nodes::Counted(count) => {
                let (announced, came) = self.acks();
                count.is_some_and(|count| self.responded() >= count) && came >= announced
            }
            Nodes::Untold(_) => true,
        }
    }

    /// Acknowledgements that nodes have announced, and those that came.
    fn acks(&self) -> (usize, usize) {
        let of = |heard: &Heard| (heard.announced.unwrap_or_default(), heard.came);
        self.heard.values().map(of).fold((0, 0), |sum, heard| (sum.0 + heard.0, sum.1 + heard.1))
    }

    fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        match &self.nodes {
            Nodes::Known(nodes) => {
                for node in nodes {
                    match self.heard.get(node).map(|heard| (heard.announced, heard.came)) {
                        Some((Some(announced), came)) => {
                            missing.acks += announced.saturating_sub(came);
                        }
                        _ => missing.nodes += 1,
                    }
                }
            }
            Nodes::Counted(count) => {
                let (announced, came) = self.acks();
                // Without a count there is at least the one that could have told it.
                let count = count.unwrap_or(self.responded() + 1);
                missing.nodes = count.saturating_sub(self.responded());
                missing.acks = announced.saturating_sub(came);
            }
            Nodes::Untold(count) => missing.nodes = *count,
        }
        missing
    }
}

impl Heard {
    fn is_complete(&self) -> bool {
        self.announced.is_some_and(|announced| self.came >= announced)
    }
}
