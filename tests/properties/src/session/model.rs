//! What a session must do, kept beside one that does it.

mod checks;
mod heartbeat;
mod messages;
mod polling;
mod websocket;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use enginewire::{
    CarrierId, CloseReason, Event, ExchangeId, Revision, Route, Router, ServerAction, ServerConfig,
    ServerSession, Time, WebSocketId,
};

use self::{
    checks::{Requests, head},
    heartbeat::Heartbeat,
    polling::{Exchange, Post},
    websocket::{Probe, Socket},
};
use super::options::Options;
use crate::{Reached, sent::Sent};

pub(super) struct Model {
    pub(super) session: ServerSession,
    pub(super) reached: Reached,
    config: Arc<ServerConfig>,
    revision: Revision,
    /// The client can take nothing binary by polling.
    base64: bool,
    jsonp: bool,
    requests: Requests,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    sockets: BTreeMap<WebSocketId, Socket>,
    /// The POST that the session has not answered.
    post: Option<Post>,
    probe: Option<Probe>,
    heartbeat: Heartbeat,
    /// The WebSocket that is the transport.
    current: Option<WebSocketId>,
    state: State,
    /// When a session that closes is ended, whatever has not come out.
    closes: Option<Time>,
    /// The application has let go, and takes no more events.
    abandoned: bool,
    /// The open packet has come out.
    shaken: bool,
    /// What was sent and has not come out yet.
    queue: VecDeque<Sent>,
    /// A message was refused, and there has not been room since.
    full: bool,
    /// The application is to be told that there is room again.
    writable: bool,
    /// The events that the application must be given next, but for `Writable`.
    inbox: VecDeque<Event>,
    unread: usize,
    held: bool,
    /// A message of the last body was dropped.
    dropped: bool,
    /// The last event was taken.
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Closed,
}

/// Whether an operation ends the session.
enum Ends {
    No,
    With(CloseReason),
    Perhaps(Vec<CloseReason>),
}

impl Model {
    pub(super) fn open(options: &Options, now: Time) -> Self {
        let router = Router::new(options.config.clone());
        let Ok(Route::Open(opening)) =
            router.route(&head("GET", &options.query(), options.websocket))
        else {
            panic!("{} is a handshake", options.query());
        };
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0x5a);
        let first = options.first();
        let session = router.open(now, &mut entropy, opening, first).expect("both are served");
        let requests = Requests::new(&router, &session);
        let base64 = options.base64 || options.jsonp;
        let mut model = Self {
            session,
            reached: Reached::default(),
            config: Arc::clone(router.config()),
            revision: options.revision,
            base64,
            jsonp: options.jsonp,
            requests,
            exchanges: BTreeMap::new(),
            sockets: BTreeMap::new(),
            post: None,
            probe: None,
            heartbeat: Heartbeat::default(),
            current: None,
            state: State::Open,
            closes: None,
            abandoned: false,
            shaken: false,
            queue: VecDeque::new(),
            full: false,
            writable: false,
            inbox: VecDeque::new(),
            unread: 0,
            held: false,
            dropped: false,
            ended: false,
        };
        model.start_heartbeat(now);
        match first {
            CarrierId::Exchange(on) => {
                model.exchanges.insert(on, Exchange::new(true, now));
            }
            CarrierId::WebSocket(on) => {
                model.sockets.insert(on, Socket::new(base64));
                model.current = Some(on);
            }
        }
        if let Some(message) = &options.config.initial_packet {
            model.queue.push_back(Sent::new(message));
        }
        model
    }

    pub(super) fn close(&mut self, now: Time) {
        self.close_by(now, ServerSession::close);
    }

    pub(super) fn abandon(&mut self, now: Time) {
        self.abandoned = true;
        self.close_by(now, ServerSession::abandon);
        // The last one may have been among them.
        self.ended |= self.state == State::Closed;
        self.inbox.clear();
        self.unread = 0;
        self.writable = false;
    }

    fn close_by(&mut self, now: Time, close: fn(&mut ServerSession, Time)) {
        if self.state == State::Open {
            self.state = State::Closing;
            self.closes = Some(now + self.config.close_timeout);
            self.release();
        }
        close(&mut self.session, now);
        let ends = self.drained_perhaps();
        self.after(ends);
    }

    /// The peer is given until then for whatever it has to do.
    pub(super) fn extend_deadlines(&mut self, until: Time) {
        self.heartbeat.late |= self.heartbeat.silence.is_some_and(|due| due < until);
        let probe = self.probe.as_mut().map(|probe| &mut probe.deadline);
        let awaited =
            self.heartbeat.silence.as_mut().into_iter().chain(probe).chain(&mut self.closes);
        awaited.for_each(|deadline| *deadline = (*deadline).max(until));
        self.session.extend_deadlines(until);
        self.settle(Ends::No, false);
    }

    pub(super) fn abort(&mut self) {
        self.session.abort();
        let ends = match self.state {
            State::Closed => Ends::No,
            _ => Ends::With(CloseReason::ForcedClose),
        };
        self.settle(ends, false);
    }

    pub(super) fn timeout(&mut self, now: Time) {
        let seen = |session: &ServerSession| {
            let outputs = (session.has_actions(), session.has_events(), session.queued());
            (outputs, session.poll_timeout(), session.is_closed())
        };
        let before = seen(&self.session);
        let due = self.session.poll_timeout().is_some_and(|(deadline, _)| deadline <= now);
        if due && self.probe.as_ref().is_some_and(|probe| probe.probed) {
            self.may_be_noop();
        }
        let mut ends = self.beat(now);
        self.session.handle_timeout(now);
        assert!(due || seen(&self.session) == before, "nothing was due");
        let next = self.session.poll_timeout();
        assert!(next.is_none_or(|(deadline, _)| deadline > now), "{next:?} is in the past");
        if let Some(probe) = self.probe.take_if(|probe| probe.deadline <= now) {
            self.must_close(probe.on);
        }
        if self.state == State::Closing && self.closes.is_some_and(|deadline| deadline <= now) {
            // It has waited long enough for the peer to take what is queued.
            assert!(self.session.is_closed());
            ends = Ends::Perhaps(vec![CloseReason::PingTimeout, CloseReason::ForcedClose]);
        }
        self.settle(ends, false);
    }

    pub(super) fn take_actions(&mut self) {
        while self.session.has_actions() {
            match self.session.poll_action().expect("it says that it has one") {
                ServerAction::Respond(on, response) => self.responded(on, &response),
                ServerAction::CloseWebSocket(on) => {
                    let socket = self.sockets.get_mut(&on).expect("a WebSocket that was opened");
                    assert!(socket.must_close && !socket.closed, "{on:?}");
                    socket.closed = true;
                }
            }
        }
        assert!(self.session.poll_action().is_none());
    }

    /// Behind every operation that lets everything out before it ends the session of our own will.
    fn after(&mut self, ends: Ends) {
        self.settle(ends, true);
    }

    /// Behind every operation: whether the session is over, and as it should be.
    fn settle(&mut self, ends: Ends, lets_out: bool) {
        if self.state == State::Closed {
            return assert!(self.session.is_closed());
        }
        let reason = self.session.close_reason().cloned();
        match &ends {
            Ends::No => assert_eq!(reason, None),
            Ends::With(expected) => assert_eq!(reason.as_ref(), Some(expected)),
            Ends::Perhaps(reasons) => {
                assert!(
                    reason.as_ref().is_none_or(|reason| reasons.contains(reason)),
                    "{reason:?}"
                );
            }
        }
        let Some(reason) = reason else {
            let has_room = self.session.queued() <= self.config.limits.max_queued / 2;
            assert_eq!(self.session.is_writable(), has_room);
            if has_room && std::mem::take(&mut self.full) {
                self.writable = true;
            }
            return;
        };
        self.state = State::Closed;
        if reason == CloseReason::TransportClose {
            self.may_be_noop();
        }
        if let Some(post) = self.post.take() {
            self.answers(post.on, if post.withheld && !post.late { 200 } else { 400 });
        }
        if let Some(probe) = self.probe.take() {
            self.must_close(probe.on);
        }
        if let Some(on) = self.current
            && !self.sockets[&on].lost
        {
            self.must_close(on);
        }
        self.take_actions();
        let graceful = lets_out && reason == CloseReason::ForcedClose;
        assert!(!graceful || self.queue.is_empty(), "closed before everything was out");
        self.queue.clear();
        self.inbox.push_back(Event::Closed(reason));
    }

    /// A session that closes is over once all is out.
    fn drained_perhaps(&self) -> Ends {
        match self.state {
            State::Closing => Ends::Perhaps(vec![CloseReason::ForcedClose]),
            _ => Ends::No,
        }
    }

    fn polling_refused(&self) -> bool {
        self.state == State::Closed || self.current.is_some()
    }
}
