//! A hub as one of its connections sees it.

use alloc::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::{AskId, ConnectionId, Output, RequestId, SessionId, sessions::Sessions};
use crate::{
    carrier::{self, Compressors, Entry, HandOver, Held, Host, NodeState, Passage},
    exchange::{HttpRequest, Response},
    router::{HandOverFault, Opening, Refusal, Reject, Router},
    session::CarrierId,
    sid::Sid,
    time::Time,
    wire::{
        self,
        http::{self, RequestHead},
    },
};

/// The hub and the connection that is being driven.
pub(super) struct HubHost<'a> {
    pub(super) sessions: &'a mut Sessions,
    pub(super) on: ConnectionId,
}

/// A handshake and the application's decision about it.
pub(super) struct Asked {
    head: Arc<RequestHead>,
    /// The question, if the application is asked.
    pub(super) ask: Option<AskId>,
    pub(super) verdict: Option<Result<(), Refusal>>,
}

/// A request that is responded to elsewhere.
pub(super) enum Forwarded {
    /// For another path: the application's response.
    Application { id: RequestId, response: Option<Response> },
    /// For a session of another node. Its link is that of the connection.
    Node,
}

impl Host for HubHost<'_> {
    type Session = SessionId;
    type Handshake = Asked;
    type Request = Forwarded;
    type Guard<'a>
        = Guard<'a>
    where
        Self: 'a;

    fn router(&self) -> &Router {
        &self.sessions.router
    }

    fn http(&self) -> &Arc<http::Config> {
        &self.sessions.http
    }

    fn fresh_id(&mut self) -> u64 {
        self.sessions.fresh_id()
    }

    fn has_room(&self) -> bool {
        self.sessions.has_room()
    }

    fn find(&mut self, sid: &Sid) -> Option<SessionId> {
        self.sessions.find(sid)
    }

    fn ask(&mut self, head: RequestHead) -> Asked {
        let head = Arc::new(head);
        if !self.sessions.asks {
            return Asked { head, ask: None, verdict: Some(Ok(())) };
        }
        let ask = AskId { on: self.on, serial: self.sessions.fresh_id() };
        self.sessions.outputs.push_back(Output::Ask(ask, self.on, Arc::clone(&head)));
        Asked { head, ask: Some(ask), verdict: None }
    }

    fn verdict(&mut self, asked: &mut Asked) -> Option<Result<(), Refusal>> {
        asked.verdict.take()
    }

    fn open(
        &mut self,
        now: Time,
        opening: Opening,
        first: CarrierId,
        asked: Asked,
    ) -> Result<SessionId, Reject> {
        // There was room when the request came, but the application may have taken its time.
        if !self.has_room() {
            return Err(Reject::Unavailable);
        }
        let sessions = &mut *self.sessions;
        let session = sessions.router.open(now, &mut *sessions.entropy, opening, first)?;
        let id = sessions.insert(now, session, self.on, asked.head);
        sessions.touch(now, id).0.attach(first.number(), self.on);
        Ok(id)
    }

    fn lock<'a>(&'a mut self, now: Time, session: &'a SessionId, id: u64) -> Guard<'a> {
        let (entry, woken) = self.sessions.touch(now, *session);
        Guard { entry, woken, on: self.on, id }
    }

    fn forwards(&self) -> bool {
        self.sessions.forwards
    }

    fn forward(&mut self, head: RequestHead, body: Bytes) -> Forwarded {
        let id = RequestId { on: self.on, serial: self.sessions.fresh_id() };
        self.sessions.outputs.push_back(Output::Request(id, Arc::new(head), body));
        Forwarded::Application { id, response: None }
    }

    fn response(&mut self, request: &mut Forwarded) -> Option<Response> {
        match request {
            Forwarded::Application { response, .. } => response.take(),
            // It has a connection, and no response.
            Forwarded::Node => None,
        }
    }

    fn hands_over(&mut self, sid: &Sid, head: &dyn HttpRequest) -> bool {
        let this = self.sessions.router.config().node;
        let node = sid.node().filter(|&node| Some(node) != this);
        node.is_some_and(|node| self.sessions.nodes.contains(&node))
            && !carrier::is_handed_over(head)
    }

    fn hand_over(&mut self, request: HandOver, output: &mut wire::Output) -> Option<Forwarded> {
        self.sessions.links.insert(self.on, request.sid.node()?);
        carrier::write_head(&request, None, output);
        Some(Forwarded::Node)
    }

    fn relay(
        &mut self,
        _node: &mut Forwarded,
        passage: Passage<'_>,
    ) -> Result<NodeState, HandOverFault> {
        self.sessions.links.of(self.on).map_or(Ok(NodeState::Ended), |link| link.pass(passage))
    }

    fn compressors(&mut self) -> &mut Compressors {
        &mut self.sessions.compressors
    }
}

/// A session that the connection being driven has to itself.
pub(super) struct Guard<'a> {
    entry: &'a mut Entry<ConnectionId>,
    woken: &'a mut VecDeque<ConnectionId>,
    on: ConnectionId,
    /// The carrier.
    id: u64,
}

impl carrier::Guard for Guard<'_> {
    type Waker = ConnectionId;
    type Wakes = VecDeque<ConnectionId>;

    #[inline]
    fn held(&mut self) -> Held<'_, ConnectionId, VecDeque<ConnectionId>> {
        Held { entry: self.entry, id: self.id, waker: &self.on, wakes: self.woken }
    }
}
