//! Requests of other nodes that this one is to answer.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use enginewire::Time;

use super::{
    super::{RequestId, Response},
    incoming::{Asked, Reply},
};

/// A request of another node.
#[derive(Clone)]
pub(super) struct Foreign {
    pub(super) namespace: Arc<str>,
    /// The adapter that asks, unless it has not said it.
    pub(super) uid: Option<Arc<str>>,
    pub(super) request: Arc<str>,
    pub(super) reply: Reply,
    /// It came by a stream, and so the response goes there.
    pub(super) is_streamed: bool,
}

/// The requests of other nodes, each under a number of this node.
#[derive(Default)]
pub(super) struct ForeignRequests {
    requests: BTreeMap<RequestId, (Time, Foreign)>,
    /// The deadlines of the requests, in order.
    deadlines: BTreeSet<(Time, RequestId)>,
    last: u64,
}

impl Foreign {
    pub(super) fn new(
        namespace: Arc<str>,
        uid: Option<Arc<str>>,
        Asked { request, reply }: Asked,
        is_streamed: bool,
    ) -> Self {
        Self { namespace, uid, request, reply, is_streamed }
    }
}

impl ForeignRequests {
    /// Takes a request until its deadline. If there are too many, that with the next deadline is forgotten.
    pub(super) fn insert(&mut self, expires: Time, max: usize, foreign: Foreign) -> RequestId {
        if self.requests.len() >= max.max(1)
            && let Some((_, next)) = self.deadlines.pop_first()
        {
            self.requests.remove(&next);
        }
        self.last += 1;
        let id = RequestId(self.last);
        self.deadlines.insert((expires, id));
        self.requests.insert(id, (expires, foreign));
        id
    }

    /// Notes a response, and returns the request if it is to be sent. The last response ends the request.
    pub(super) fn respond(&mut self, id: RequestId, response: &Response) -> Option<Foreign> {
        let (_, foreign) = self.requests.get_mut(&id)?;
        let is_last = match (&mut foreign.reply, response) {
            (Reply::Acks { clients: clients @ None, came }, Response::Clients(number)) => {
                *clients = Some(*number);
                *came >= *number
            }
            (Reply::Acks { clients, came }, Response::Ack(_)) => {
                *came += 1;
                clients.is_some_and(|clients| *came >= clients)
            }
            (Reply::Event, Response::Event(_)) => true,
            (
                Reply::Sockets | Reply::SocketIds | Reply::Rooms | Reply::Owner,
                Response::Sockets(_),
            ) => true,
            // Not a response to this.
            _ => return None,
        };
        if is_last { self.remove(id) } else { Some(foreign.clone()) }
    }

    /// Forgets the requests of a namespace that exists no longer.
    pub(super) fn remove_namespace(&mut self, namespace: &str) {
        let Self { requests, deadlines, .. } = self;
        requests.retain(|&id, (expires, foreign)| {
            let stays = *foreign.namespace != *namespace;
            if !stays {
                deadlines.remove(&(*expires, id));
            }
            stays
        });
    }

    /// Moves earlier deadlines to `until`.
    pub(super) fn extend_deadlines(&mut self, until: Time) {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline < until
        {
            self.deadlines.pop_first();
            if let Some((expires, _)) = self.requests.get_mut(&id) {
                *expires = until;
                self.deadlines.insert((until, id));
            }
        }
    }

    /// Forgets the requests whose deadline has passed.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.remove(id);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    fn remove(&mut self, id: RequestId) -> Option<Foreign> {
        let (expires, foreign) = self.requests.remove(&id)?;
        self.deadlines.remove(&(expires, id));
        Some(foreign)
    }
}
