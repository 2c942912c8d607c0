//! The server, as the tasks see it that carry its sessions.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use enginewire::{
    CarrierId, HandOverFault, HttpRequest, Opening, Refusal, Reject, Response, Router, Sid, Time,
    carrier::{self, Compressors, HandOver, Held, Host, NodeState, Passage},
    wire::{Output, http},
};

#[cfg(feature = "tls-no-provider")]
use crate::tls::TlsInfo;
use crate::{
    cell::{Guard, SessionCell},
    handler::{Handling, OpenSlot},
    handshake::Handshake,
    nodes::{NodeAddress, NodeLink},
    peer::Peer,
    scratch::Supplies,
    shared::{FallbackRequest, Shared, Verdict},
    socket::{Cell, Socket},
    trace::{Span, is_logging, trace},
    wakes::Wakes,
};

/// A handshake and the application's decision about it.
pub(crate) struct Asked {
    handshake: Arc<Handshake>,
    verdict: Option<Verdict>,
}

/// A request that is responded to elsewhere.
pub(crate) enum Forwarded {
    /// For another path: the application's response.
    Application(Pin<Box<dyn Future<Output = Response> + Send>>),
    /// For a session of another node.
    Node(NodeLink),
}

/// The server, as the connection or the exchange sees it that a task drives.
pub(crate) struct ServerHost<'a, 'cx, 'slot> {
    shared: &'a Arc<Shared>,
    peer: &'a Peer,
    pub(crate) cx: &'a mut Context<'cx>,
    supplies: &'a mut Supplies,
    /// Where the handler of a session goes that the connection has to itself.
    slot: Option<&'a mut OpenSlot<'slot>>,
    /// The client of the request, for logs, if it may be another than the peer.
    client: Option<SocketAddr>,
    /// The node that the request is to be handed over to.
    owner: Option<NodeAddress>,
    /// Results of the TLS handshake of the connection.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: Option<&'a Arc<TlsInfo>>,
    /// Extensions of the request, for its handshake.
    #[cfg(feature = "tower")]
    pub(crate) extensions: ::http::Extensions,
}

impl<'a, 'cx, 'slot> ServerHost<'a, 'cx, 'slot> {
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        peer: &'a Peer,
        cx: &'a mut Context<'cx>,
        supplies: &'a mut Supplies,
        slot: Option<&'a mut OpenSlot<'slot>>,
    ) -> Self {
        Self {
            shared,
            peer,
            cx,
            supplies,
            slot,
            client: None,
            owner: None,
            #[cfg(feature = "tls-no-provider")]
            tls: None,
            #[cfg(feature = "tower")]
            extensions: ::http::Extensions::new(),
        }
    }
}

impl ServerHost<'_, '_, '_> {
    /// Returns whether the session of this connection has its handler here.
    pub(crate) fn has_handler(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.has_handler())
    }

    /// Lets the handler have what came, and reply to it before the connection writes.
    pub(crate) fn poll_handler(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.poll_handler();
            slot.take_session_wake();
        }
    }

    /// Returns the client that has sent a request.
    fn client(&self, head: &dyn HttpRequest) -> Peer {
        self.peer.of_request(self.shared.options.trusted_proxies.as_ref(), head)
    }

    /// Notes the client of a request that may be refused.
    fn note_client(&mut self, find: impl FnOnce(&Self) -> SocketAddr) {
        let is_of_use = self.shared.options.trusted_proxies.is_some() && is_logging();
        self.client = is_of_use.then(|| find(self));
    }

    /// Returns the waker for a session that this connection carries.
    fn waker(&self) -> &Waker {
        let here = self.slot.as_ref().and_then(|slot| slot.session_waker());
        here.unwrap_or_else(|| self.cx.waker())
    }

    /// Hands a new session to the application. Returns false if it takes none.
    fn hand_over(&mut self, cell: &Arc<SessionCell>, first: CarrierId, asked: Asked) -> bool {
        let Self { shared, slot, .. } = self;
        let peer_addr = asked.handshake.peer_addr();
        let socket = Socket::new(Cell::Server(Arc::clone(cell)), asked.handshake);
        let admit = || shared.sessions.insert(cell);
        let Some(handler) = &shared.hooks.handler else {
            return shared.backlog.push(socket, admit).map_err(|socket| socket.abort()).is_ok();
        };
        if !admit() {
            socket.abort();
            return false;
        }
        let span = Span::server_session(cell.id, peer_addr);
        let future = span.in_scope(|| (handler.hook)(socket));
        let handling = Handling::new(future, &shared.sessions, span);
        match slot {
            Some(slot) if matches!(first, CarrierId::WebSocket(_)) => slot.start(handling),
            _ => (handler.spawn)(handling),
        }
        true
    }
}

impl Host for ServerHost<'_, '_, '_> {
    type Session = Arc<SessionCell>;
    type Handshake = Asked;
    type Request = Forwarded;
    type Guard<'a>
        = CarrierGuard<'a>
    where
        Self: 'a;

    fn router(&self) -> &Router {
        &self.shared.router
    }

    fn http(&self) -> &Arc<http::Config> {
        &self.shared.http
    }

    fn fresh_id(&mut self) -> u64 {
        self.shared.fresh_id()
    }

    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn find(&mut self, sid: &Sid) -> Option<Arc<SessionCell>> {
        self.shared.sessions.find(sid)
    }

    fn ask(&mut self, head: http::RequestHead) -> Asked {
        let peer = self.client(&head);
        let handshake = Handshake::new(head, peer);
        #[cfg(feature = "tls-no-provider")]
        let handshake = handshake.with_tls(self.tls.cloned());
        #[cfg(feature = "tower")]
        let handshake = handshake.with_extensions(std::mem::take(&mut self.extensions));
        let handshake = Arc::new(handshake);
        let verdict = self.shared.hooks.allow.as_ref().map(|allow| allow(Arc::clone(&handshake)));
        Asked { handshake, verdict }
    }

    fn verdict(&mut self, asked: &mut Asked) -> Option<Result<(), Refusal>> {
        match &mut asked.verdict {
            None => Some(Ok(())),
            Some(verdict) => match verdict.as_mut().poll(self.cx) {
                Poll::Ready(verdict) => {
                    self.note_client(|_| asked.handshake.peer_addr());
                    Some(verdict)
                }
                Poll::Pending => None,
            },
        }
    }

    fn open(
        &mut self,
        now: Time,
        opening: Opening,
        first: CarrierId,
        asked: Asked,
    ) -> Result<Self::Session, Reject> {
        let shared = self.shared;
        let mut entropy = |buffer: &mut [u8]| self.supplies.entropy.fill(buffer);
        let session = shared.router.open(now, &mut entropy, opening, first)?;
        let cell = SessionCell::new(&shared.sessions, shared.fresh_id(), now, session);
        cell.lock().entry().0.attach(first.number(), self.cx.waker().clone());
        let handshake = Arc::clone(&asked.handshake);
        if !self.hand_over(&cell, first, asked) {
            return Err(Reject::Unavailable);
        }
        shared.counters.sessions_opened.add(1);
        trace!(DEBUG, session = cell.id, peer = %handshake.peer_addr(), "session opened");
        Ok(cell)
    }

    fn lock<'a>(&'a mut self, now: Time, session: &'a Self::Session, id: u64) -> CarrierGuard<'a> {
        CarrierGuard { guard: session.lock_as(now, id), waker: self.waker(), id }
    }

    fn forwards(&self) -> bool {
        self.shared.hooks.fallback.is_some()
    }

    fn forward(&mut self, head: http::RequestHead, body: Bytes) -> Forwarded {
        let peer_addr = self.client(&head).addr;
        let request = FallbackRequest { head, body, peer_addr };
        match &self.shared.hooks.fallback {
            Some(fallback) => Forwarded::Application(fallback(request)),
            None => {
                let response = std::future::ready(Reject::NotFound.response());
                Forwarded::Application(Box::pin(response))
            }
        }
    }

    fn response(&mut self, request: &mut Forwarded) -> Option<Response> {
        match request {
            Forwarded::Application(response) => match response.as_mut().poll(self.cx) {
                Poll::Ready(response) => Some(response),
                Poll::Pending => None,
            },
            // It has a connection, and no response.
            Forwarded::Node(_) => None,
        }
    }

    fn hands_over(&mut self, sid: &Sid, head: &dyn HttpRequest) -> bool {
        let nodes = self.shared.hooks.nodes.as_ref();
        let this = self.shared.router.config().node;
        self.owner = nodes.and_then(|nodes| nodes.owner(sid, this, head));
        self.owner.is_some()
    }

    fn hand_over(&mut self, request: HandOver, output: &mut Output) -> Option<Forwarded> {
        let to = self.owner.take()?;
        let Shared { hooks, options, counters, .. } = &**self.shared;
        let link = hooks.nodes.as_ref()?.hand_over(&to, &request, self.peer, options, output);
        counters.requests_handed_over.add(1);
        trace!(DEBUG, peer = %self.peer.addr, node = %to.addr(), "request handed over");
        Some(Forwarded::Node(link))
    }

    fn relay(
        &mut self,
        node: &mut Forwarded,
        passage: Passage<'_>,
    ) -> Result<NodeState, HandOverFault> {
        match node {
            Forwarded::Node(link) => link.pass(self.cx, passage),
            Forwarded::Application(_) => Ok(NodeState::Ended),
        }
    }

    fn compressors(&mut self) -> &mut Compressors {
        &mut self.supplies.compressors
    }

    fn begun(&mut self, head: &dyn HttpRequest) {
        self.note_client(|host| host.client(head).addr);
    }

    fn refused(&mut self, reject: &Reject) {
        // One that could not be handed over is counted as such.
        if !matches!(reject, Reject::HandOver(_)) {
            self.shared.counters.requests_refused.add(1);
        }
        let peer = self.client.unwrap_or(self.peer.addr);
        trace!(DEBUG, peer = %peer, reason = %reject, "request refused");
    }

    fn hand_over_failed(&mut self, node: &Forwarded, fault: HandOverFault) {
        self.shared.counters.hand_overs_failed.add(1);
        if let Forwarded::Node(link) = node {
            link.warn(self.shared, fault);
        }
    }

    fn failed(&mut self, event: &http::Event) {
        trace!(DEBUG, event = ?event, "exchange failed");
    }
}

/// A session that a connection or an exchange has to itself, and its task.
pub(crate) struct CarrierGuard<'a> {
    guard: Guard<'a>,
    waker: &'a Waker,
    id: u64,
}

impl carrier::Guard for CarrierGuard<'_> {
    type Waker = Waker;
    type Wakes = Wakes;

    #[inline]
    fn held(&mut self) -> Held<'_, Waker, Wakes> {
        let (entry, wakes) = self.guard.entry();
        Held { entry, id: self.id, waker: self.waker, wakes }
    }
}
