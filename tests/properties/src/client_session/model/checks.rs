//! What holds at any time, and what holds in the end.

use enginewire::{CloseReason, Time, TransportKind, WebSocketEnd};

use super::{Model, websocket::Way};
use crate::Reached;

impl Model {
    pub(in crate::client_session) fn check(&self) {
        let (session, limits) = (&self.session, &self.config.limits);
        assert_eq!(session.close_reason(), self.over.as_ref());
        assert_eq!((session.is_open(), session.is_closed()), (self.is_open(), self.over.is_some()));
        assert_eq!(session.handshake().is_some(), self.opened);
        assert_eq!(session.transport(), self.transport);
        let next = self.deadlines.next();
        assert_eq!(
            (session.poll_timeout(), session.peer_deadline()),
            (next, self.deadlines.peer_deadline())
        );
        assert!(self.over.is_some() || next.is_some(), "it would wait for ever");
        assert_eq!(session.queued(), self.queued());
        assert_eq!(session.is_receiving(), !self.held);
        assert_eq!(session.is_writable(), self.queued() <= limits.max_queued / 2);
    }

    /// The application closes, and the server takes everything: it all comes out, in no time.
    pub(in crate::client_session) fn part(mut self, now: Time) -> Reached {
        self.timeout(now);
        let before = self.over.is_some();
        self.close(now);
        for _ in 0..10_000 {
            while self.take_action(now) {}
            while self.take_event() {}
            if self.over.is_some() {
                break;
            }
            let last = self.sockets.len().wrapping_sub(1);
            if !self.opened {
                self.open(now, true);
                assert!(self.opened || self.over.is_some());
            } else if self.transport == TransportKind::WebSocket {
                while self.write(last) {}
            } else {
                self.answer_post(now, 200);
            }
        }
        assert!(self.over.is_some(), "{:?}", self.session);
        let forced = self.over == Some(CloseReason::ForcedClose);
        assert!(before || forced, "{:?}", self.over);
        self.check_end(now)
    }

    /// The server falls silent, and the application may have closed: it comes to an end either way, and
    /// in time.
    pub(in crate::client_session) fn leave_alone(mut self, mut now: Time) -> Reached {
        let latest = self.latest_end(now);
        for _ in 0..100 {
            while self.take_action(now) {}
            while self.take_event() {}
            let Some((deadline, _)) = self.session.poll_timeout() else { break };
            now = now.max(deadline);
            self.timeout(now);
        }
        assert!(now <= latest, "given up at {now}, and not by {latest}");
        assert!(self.over.is_some(), "{:?}", self.session);
        self.check_end(now)
    }

    /// Nothing is under way any more, and nothing brings it back.
    fn check_end(mut self, now: Time) -> Reached {
        while self.take_action(now) {}
        assert_eq!((self.get, self.post), (None, None), "given up without a word");
        for (on, way) in &self.ways {
            assert!(matches!(way, Way::Closed | Way::Lost), "{on:?} stays {way:?}");
        }
        self.answer_any(now, self.exchanges + 1);
        for index in 0..self.sockets.len() {
            self.socket_message(now, index, "4late".into());
            self.write(index);
            self.socket_lost(now, index, WebSocketEnd::Closed);
        }
        self.timeout(now);
        assert!(!self.take_action(now));
        while self.take_event() {}
        assert!(self.ended && !self.session.has_events());
        self.reached
    }
}
