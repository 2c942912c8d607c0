//! Until when something must have been done: what is due comes up at one moment, and at no other.

use std::{collections::BTreeMap, time::Duration};

use enginewire::{
    ClientSession, ClientTimerKind, CloseReason, Packet, Revision, Time, TransportFault,
};

use super::Model;

/// In the order in which those come up that are equal.
#[derive(Default)]
pub(super) struct Deadlines(BTreeMap<usize, (Time, ClientTimerKind)>);

impl Deadlines {
    pub(super) fn set(&mut self, kind: ClientTimerKind, deadline: Time) {
        self.0.insert(kind as usize, (deadline, kind));
    }

    pub(super) fn stop(&mut self, kind: ClientTimerKind) {
        self.0.remove(&(kind as usize));
    }

    pub(super) fn next(&self) -> Option<(Time, ClientTimerKind)> {
        self.0.values().copied().min_by_key(|(deadline, _)| *deadline)
    }

    /// When something is due that the server has to do.
    pub(super) fn peer_deadline(&self) -> Option<Time> {
        let awaited = self.0.values().filter(|(_, kind)| is_awaited(*kind));
        awaited.map(|(deadline, _)| *deadline).min()
    }

    /// Whether the server was to be heard before `time`.
    fn expects_life_before(&self, time: Time) -> bool {
        let deadline = self.0.get(&(ClientTimerKind::Heartbeat as usize));
        deadline.is_some_and(|(deadline, _)| *deadline < time)
    }

    fn postpone(&mut self, until: Time) {
        let awaited = self.0.values_mut().filter(|(_, kind)| is_awaited(*kind));
        awaited.for_each(|(deadline, _)| *deadline = (*deadline).max(until));
    }
}

/// The clock.
impl Model {
    pub(in crate::client_session) fn timeout(&mut self, now: Time) {
        let seen = |session: &ClientSession| {
            let outputs = (session.has_actions(), session.has_events(), session.queued());
            (outputs, session.poll_timeout(), session.is_closed())
        };
        let before = seen(&self.session);
        let due = self.deadlines.next().is_some_and(|(deadline, _)| deadline <= now);
        self.session.handle_timeout(now);
        assert!(due || seen(&self.session) == before, "nothing was due");
        let ends = self.expire(now);
        self.settle(ends);
        let next = self.session.poll_timeout();
        assert!(next.is_none_or(|(deadline, _)| deadline > now), "{next:?} is in the past");
    }

    /// The server is given until then for whatever it has to do.
    pub(in crate::client_session) fn extend_deadlines(&mut self, until: Time) {
        self.session.extend_deadlines(until);
        self.late |= self.deadlines.expects_life_before(until);
        self.deadlines.postpone(until);
        self.close_by = self.close_by.max(until);
        self.excused = self.excused.max(until);
        self.settle(None);
    }

    /// When a session of which nobody hears any more must be over, whatever its deadlines are.
    pub(super) fn latest_end(&self, now: Time) -> Time {
        let config = &self.config;
        let mut patience = if self.over.is_some() {
            Duration::ZERO
        } else if self.opened {
            // Once more if it may not have been the server who was silent.
            self.silence().saturating_mul(if self.unheard { 2 } else { 1 })
        } else {
            let tries_others = config.try_all_transports && !self.closing;
            let others = self.others.iter().filter(|_| tries_others);
            config.open_timeout + others.map(|_| config.open_timeout).sum::<Duration>()
        };
        if self.closing {
            patience = patience.min(config.close_timeout);
        }
        now.max(self.excused) + patience
    }

    fn expire(&mut self, now: Time) -> Option<CloseReason> {
        while let Some((_, kind)) = self.deadlines.next().filter(|(deadline, _)| *deadline <= now) {
            self.deadlines.stop(kind);
            let ends = match kind {
                ClientTimerKind::Open => self.fail(now, TransportFault::Timeout),
                ClientTimerKind::Get => self.get_failed(now, TransportFault::Timeout),
                ClientTimerKind::Post => self.post_failed(now, TransportFault::Timeout),
                ClientTimerKind::Ping => self.ask_for_life(now),
                ClientTimerKind::Heartbeat => self.miss_life(now),
                ClientTimerKind::Upgrade => {
                    self.probe = None;
                    None
                }
                ClientTimerKind::Rest => None,
                ClientTimerKind::Close => Some(CloseReason::ForcedClose),
            };
            if ends.is_some() {
                return ends;
            }
        }
        None
    }
}

/// The heartbeat.
impl Model {
    pub(super) fn start_heartbeat(&mut self, now: Time) {
        self.expect_life(now, self.silence());
        if self.config.revision == Revision::V3 {
            self.schedule_ping(now);
        }
    }

    /// A packet came on the transport.
    pub(super) fn hear(&mut self, now: Time, packet: &Packet) {
        match (self.config.revision, packet) {
            (Revision::V4, Packet::Ping(_)) => {
                self.expect_life(now, self.silence());
                // Of more than these the server will not miss one.
                self.pongs = (self.pongs + 1).min(16);
            }
            (Revision::V4, _) => {}
            (Revision::V3, packet) => {
                self.late |= self.deadlines.expects_life_before(now);
                self.expect_life(now, self.silence());
                if matches!(packet, Packet::Pong(_)) {
                    match std::mem::take(&mut self.late) {
                        true => self.deadlines.set(ClientTimerKind::Ping, now),
                        false => self.schedule_ping(now),
                    }
                }
            }
        }
    }

    /// How long the server may be silent.
    pub(super) fn silence(&self) -> Duration {
        let handshake = self.session.handshake().expect("the session is open");
        handshake.ping_interval.saturating_add(handshake.ping_timeout)
    }

    fn ask_for_life(&mut self, now: Time) -> Option<CloseReason> {
        (self.ping, self.late) = (true, false);
        let patience = self.session.handshake().expect("the session is open").ping_timeout;
        self.expect_life(now, patience);
        None
    }

    /// Nothing was heard. That is no wonder if nobody read, but no excuse for a server that has taken
    /// nothing all the time although it could.
    fn miss_life(&mut self, now: Time) -> Option<CloseReason> {
        let full = self.queued() >= self.config.limits.max_queued;
        if !self.unheard || (full && !self.took) {
            return Some(CloseReason::PingTimeout);
        }
        self.expect_life(now, self.silence());
        None
    }

    fn expect_life(&mut self, now: Time, patience: Duration) {
        self.deadlines.set(ClientTimerKind::Heartbeat, now + patience);
        (self.unheard, self.took) = (self.held, false);
    }

    fn schedule_ping(&mut self, now: Time) {
        let interval = self.session.handshake().expect("the session is open").ping_interval;
        self.deadlines.set(ClientTimerKind::Ping, now + interval);
    }
}

const fn is_awaited(kind: ClientTimerKind) -> bool {
    !matches!(kind, ClientTimerKind::Ping | ClientTimerKind::Rest)
}
