//! Who is asked whether he is still there, and who is taken for gone: each at one moment, and at no
//! other.

use std::time::Duration;

use enginewire::{CloseReason, Packet, Revision, ServerTimerKind, Time};

use super::{Ends, Model, State};

#[derive(Clone, Copy, Default)]
pub(super) struct Heartbeat {
    /// When the next ping is due, if that is ours to send.
    ping: Option<Time>,
    /// Until when the peer must have been heard.
    pub(super) silence: Option<Time>,
    /// It was given more time for what is not a pong, which happens once.
    extended: bool,
    /// Its answer may be in what was not read since `silence` was set.
    excused: bool,
    /// The peer was given longer because the driver was late.
    pub(super) late: bool,
}

impl Model {
    pub(super) fn start_heartbeat(&mut self, now: Time) {
        match self.revision {
            Revision::V4 => self.heartbeat.ping = Some(now + self.config.ping_interval),
            Revision::V3 => self.expect_something(now),
        }
    }

    /// A packet came on the transport.
    pub(super) fn hear(&mut self, now: Time, packet: &Packet) {
        let awaited = self.heartbeat.silence.is_some();
        match (self.revision, packet) {
            (Revision::V3, _) => self.expect_something(now),
            (Revision::V4, Packet::Pong(_)) => {
                let late =
                    self.heartbeat.late || self.heartbeat.silence.is_some_and(|due| due < now);
                let ping = Some(if late { now } else { now + self.config.ping_interval });
                self.heartbeat = Heartbeat { ping, ..Heartbeat::default() };
            }
            (Revision::V4, _) if awaited && !self.heartbeat.extended => {
                self.heartbeat.extended = true;
                self.expect_something(now);
            }
            (Revision::V4, _) => {}
        }
    }

    /// The application does not read any more.
    pub(super) fn stop_reading(&mut self) {
        self.heartbeat.excused |= self.held;
    }

    /// What the heartbeat does when the clock has moved.
    pub(super) fn beat(&mut self, now: Time) -> Ends {
        if self.state == State::Closed {
            return Ends::No;
        }
        if let Some(due) = self.heartbeat.ping.take_if(|ping| *ping <= now) {
            (self.heartbeat.extended, self.heartbeat.late) = (false, false);
            // The time for the pong counts from when the ping was due, unless that was long ago.
            let rounding = Duration::from_millis(2).min(self.config.ping_timeout / 16);
            self.expect_something(if now.since(due) <= rounding { due } else { now });
            return Ends::No;
        }
        if self.heartbeat.silence.is_none_or(|silence| silence > now) {
            return Ends::No;
        }
        // Who waits for the answer to a POST cannot send another one.
        let cannot = self.post.as_ref().is_some_and(|post| post.withheld && post.late);
        if !self.heartbeat.excused && !cannot {
            return Ends::With(CloseReason::PingTimeout);
        }
        self.expect_something(now);
        if cannot {
            return Ends::No;
        }
        // No excuse for a peer that has taken nothing all the time although it could.
        if self.session.queued() < self.config.limits.max_queued {
            return Ends::No;
        }
        Ends::Perhaps(vec![CloseReason::PingTimeout])
    }

    pub(super) fn check_deadline(&self) {
        let next = self.session.poll_timeout();
        // A peer that falls silent is always noticed.
        assert_eq!(next.is_none(), self.state == State::Closed);
        let Some((deadline, kind)) = next else {
            return assert_eq!(self.session.peer_deadline(), None);
        };
        let Heartbeat { ping, silence, .. } = self.heartbeat;
        let probe = self.probe.as_ref().map(|probe| probe.deadline);
        let awaited = silence.into_iter().chain(probe).chain(self.closes).min();
        assert_eq!(self.session.peer_deadline(), awaited);
        let own = ping.into_iter().chain(awaited).min().expect("one of them");
        assert!(deadline <= own, "{kind:?} at {deadline:?}, when it should be {own:?}");
        match kind {
            ServerTimerKind::Ping => assert_eq!(Some(deadline), ping),
            ServerTimerKind::Heartbeat => assert_eq!(Some(deadline), silence),
            ServerTimerKind::Close => assert_eq!(Some(deadline), self.closes),
            ServerTimerKind::Upgrade => {
                assert_eq!(Some(deadline), self.probe.as_ref().map(|probe| probe.deadline));
            }
            ServerTimerKind::Noop => assert!(self.probe.as_ref().is_some_and(|probe| probe.probed)),
        }
    }

    /// A peer that could send nothing has as long as ever from now on.
    pub(super) fn free(&mut self, now: Time) {
        if self.heartbeat.silence.is_some() {
            self.expect_something(now);
        }
    }

    fn expect_something(&mut self, now: Time) {
        let (interval, timeout) = (self.config.ping_interval, self.config.ping_timeout);
        let longest = if self.revision == Revision::V4 { timeout } else { interval + timeout };
        self.heartbeat.silence = Some(now + longest);
        self.heartbeat.excused = self.held;
    }
}
