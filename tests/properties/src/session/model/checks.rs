//! What holds at any time, and what holds in the end.

use core::time::Duration;

use enginewire::{
    Admission, BadRequest, Reject, Revision, Route, Router, ServerSession, SessionRequest,
    TransportKind, wire::http::RequestHead,
};

use super::{Model, State};

/// One of each kind, for [`ServerSession::admit`].
pub(super) struct Requests {
    get: SessionRequest,
    post: SessionRequest,
    upgrade: SessionRequest,
    upgrade_base64: SessionRequest,
    wrong_revision: SessionRequest,
}

impl Model {
    /// What holds at any time.
    pub(in crate::session) fn check(&self) {
        let session = &self.session;
        let closed = self.state == State::Closed;
        assert_eq!((session.is_open(), session.is_closed()), (self.state == State::Open, closed));
        self.check_deadline();
        assert!(closed || session.is_receiving() != self.held);
        let polls = self.current.is_none();
        assert_eq!(session.transport() == TransportKind::Polling, polls);
        self.check_admission();
        for &on in self.sockets.keys() {
            let is_probe = self.probe.as_ref().is_some_and(|probe| probe.on == on);
            assert!(!session.wants_write(on) || is_probe || (self.current == Some(on) && !closed));
        }

        if session.has_actions() {
            return;
        }
        let cost: usize = self.queue.iter().map(|sent| sent.cost).sum();
        assert_eq!(session.queued(), cost);
        let waiting =
            self.exchanges.values().filter(|exchange| exchange.is_get && exchange.waits());
        assert!(waiting.count() <= usize::from(polls && !closed));
        if let Some(get) = self.waiting_get() {
            assert!(self.queue.is_empty(), "a GET waits, and so does a message");
            if self.probe.as_ref().is_some_and(|probe| probe.probed) {
                // The client waits for it to end before it completes the upgrade.
                let soon = get.at + Duration::from_millis(100);
                assert!(session.poll_timeout().is_some_and(|(deadline, _)| deadline <= soon));
            }
        }
        if !session.has_events() && !closed {
            assert!(!self.writable, "there is room, and who was refused does not know");
            assert_eq!(self.unread, 0);
        }
        for socket in self.sockets.values() {
            assert_eq!(socket.must_close, socket.closed);
        }
        for (on, exchange) in &self.exchanges {
            let answered = exchange.answered || exchange.lost || exchange.status.is_none();
            assert!(answered, "{on:?} waits for an answer that could be given");
        }
    }

    /// What holds when everything is over and has been looked at.
    pub(in crate::session) fn check_end(&self) {
        assert!(self.ended && self.inbox.is_empty() && self.queue.is_empty());
        assert!(!self.session.has_actions() && !self.session.has_events());
        for (on, exchange) in &self.exchanges {
            assert!(exchange.answered || exchange.lost, "{on:?} has no answer");
        }
        for (on, socket) in &self.sockets {
            assert!(socket.closed || socket.lost, "{on:?} stays open");
        }
    }

    fn check_admission(&self) {
        let admit = |request| self.session.admit(request);
        let bad = |reason: BadRequest| Err(Reject::BadRequest(reason));
        let polling = |admission| match self.current {
            _ if self.state == State::Closed => Err(Reject::UnknownSession),
            Some(_) => bad(BadRequest::TransportMismatch),
            None => Ok(admission),
        };
        assert_eq!(admit(&self.requests.get), polling(Admission::Poll));
        assert_eq!(admit(&self.requests.post), polling(Admission::Post { binary: false }));
        for (request, base64) in
            [(&self.requests.upgrade, false), (&self.requests.upgrade_base64, true)]
        {
            let expected = match self.state {
                State::Closed => Err(Reject::UnknownSession),
                _ if self.config.allow_upgrades => Ok(Admission::Upgrade { base64 }),
                _ => bad(BadRequest::UpgradeRefused),
            };
            assert_eq!(admit(request), expected);
        }
        let expected = match self.state {
            State::Closed => Err(Reject::UnknownSession),
            _ => bad(BadRequest::RevisionMismatch),
        };
        assert_eq!(admit(&self.requests.wrong_revision), expected);
    }
}

impl Requests {
    pub(super) fn new(router: &Router, session: &ServerSession) -> Self {
        let (eio, other) = match session.revision() {
            Revision::V4 => (4, 3),
            Revision::V3 => (3, 4),
        };
        let request = |method, eio: u8, transport, upgrade| {
            let sid = session.sid();
            let query = format!("EIO={eio}&transport={transport}&sid={}", sid.as_str());
            match router.route(&head(method, &query, upgrade)) {
                Ok(Route::Session(request)) if request.sid == sid => request,
                other => panic!("{other:?} is no request of a session"),
            }
        };
        Self {
            get: request("GET", eio, "polling", false),
            post: request("POST", eio, "polling", false),
            upgrade: request("GET", eio, "websocket", true),
            upgrade_base64: request("GET", eio, "websocket&b64=1", true),
            wrong_revision: request("GET", other, "polling", false),
        }
    }
}

pub(super) fn head(method: &str, query: &str, upgrade: bool) -> RequestHead {
    let fields = if upgrade { "Connection: Upgrade\r\nUpgrade: websocket\r\n" } else { "" };
    let raw = format!("{method} /engine.io/?{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    RequestHead::parse(raw.as_bytes(), 100).expect("a head in order")
}
