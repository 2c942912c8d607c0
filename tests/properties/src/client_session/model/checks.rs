//! What holds at any time, and what holds in the end.

use enginewire::{CloseReason, SocketEnd, Time, TransportKind};

use super::{Model, websocket::Way};
use crate::Reached;

impl Model {
    pub(super) fn after(&mut self) {
        if self.session.is_closed() {
            self.queue.clear();
            self.probe = None;
        }
        self.check();
    }

    pub(in crate::client_session) fn check(&self) {
        let (session, limits) = (&self.session, &self.config.limits);
        let queued: usize = self.queue.iter().map(|sent| sent.cost).sum();
        assert_eq!(session.queued(), queued);
        assert_eq!(session.is_receiving(), !self.held);
        assert_eq!(session.is_writable(), queued <= limits.max_queued / 2);
        assert_eq!(session.is_closed(), session.close_reason().is_some());
        assert!(!session.is_closed() || session.poll_timeout().is_none());
        assert!(session.is_closed() || session.poll_timeout().is_some(), "it would wait for ever");
        assert_eq!(session.handshake().is_some(), self.opened.is_some());
    }

    /// The application closes, and the server takes everything: it all comes out, in no time.
    pub(in crate::client_session) fn part(mut self, now: Time) -> Reached {
        self.timeout(now);
        let before = self.session.is_closed();
        self.close(now);
        for _ in 0..10_000 {
            while self.take_action(now) {}
            while self.take_event() {}
            if self.session.is_closed() {
                break;
            }
            let last = self.sockets.len().wrapping_sub(1);
            if self.opened.is_none() {
                self.open(now, true);
                assert!(self.opened.is_some() || self.session.is_closed());
            } else if self.session.transport() == TransportKind::WebSocket {
                while self.write(last) {}
            } else {
                self.answer_post(now, 200);
            }
        }
        assert!(self.session.is_closed(), "{:?}", self.session);
        let forced = self.session.close_reason() == Some(&CloseReason::ForcedClose);
        assert!(before || forced, "{:?}", self.session.close_reason());
        self.check_end(now)
    }

    /// The server falls silent, and the application may have closed: it comes to an end either way.
    pub(in crate::client_session) fn leave_alone(mut self, mut now: Time) -> Reached {
        for _ in 0..100 {
            while self.take_action(now) {}
            while self.take_event() {}
            let Some((deadline, _)) = self.session.poll_timeout() else { break };
            now = now.max(deadline);
            self.timeout(now);
        }
        assert!(self.session.is_closed(), "{:?}", self.session);
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
            self.socket_lost(now, index, SocketEnd::Closed);
        }
        self.timeout(now);
        assert!(!self.take_action(now));
        while self.take_event() {}
        assert!(self.told.closed && !self.session.has_events());
        self.reached
    }
}
