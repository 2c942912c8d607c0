//! Whether the server is still there. Revision 4: it pings, and we answer. Revision 3: we ping, and
//! it answers.
//!
//! The deadlines belong to the session, not to a transport, so they survive an upgrade.

use core::time::Duration;

use super::{ClientSession, ClientTimerKind, State};
use crate::{
    channel::CloseReason,
    packet::{Packet, Revision},
    time::Time,
};

/// Network inputs.
impl ClientSession {
    /// Counts bytes that moved on a connection of this session.
    ///
    /// They are signs of life, at a lowest rate. A ping may wait behind a large message or response, so the server has
    /// longer for it while these are read. In the time for a ping or a pong the bytes must be as many as
    /// 1 KiB a second makes. 4 KiB is the least. Count bytes that were read, ahead of the message or response that
    /// they complete. Count bytes that a socket has taken after it was full. Others tell nothing of the server.
    pub fn handle_progress(&mut self, now: Time, bytes: usize) {
        if self.handshake.is_none() || self.state == State::Closed {
            return;
        }
        if let Some(patience) = self.progress.add(bytes) {
            self.channel.note_deadline();
            self.timers.postpone(&[ClientTimerKind::Heartbeat], now + patience);
        }
    }
}

impl ClientSession {
    pub(super) fn start_heartbeat(&mut self, now: Time) {
        self.expect_life(now);
        if self.config.revision == Revision::V3 {
            self.schedule_ping(now);
        }
    }

    /// In revision 3 any packet tells that the server lives. In revision 4 only a ping does, as in
    /// the reference: the server is bound to send one, whatever else it sends.
    pub(super) fn note_traffic(&mut self, now: Time, packet: &Packet) {
        if self.config.revision == Revision::V3 || matches!(packet, Packet::Ping(_)) {
            let deadline = self.timers.deadline(ClientTimerKind::Heartbeat);
            self.excused |= deadline.is_some_and(|due| due < now);
            self.expect_life(now);
        }
    }

    /// Revision 4: the server wants to know whether we are there.
    pub(super) fn handle_ping(&mut self, _now: Time) {
        if self.config.revision == Revision::V4 {
            self.channel.shrink();
            self.channel.queue.push_pong();
        }
    }

    /// Revision 3: the server is there, and is asked again in a while.
    pub(super) fn handle_pong(&mut self, now: Time) {
        if self.config.revision == Revision::V3 {
            // Read late, the pong must not put off the next ping, for which the server's time has been running.
            match core::mem::take(&mut self.excused) {
                true => self.timers.set(ClientTimerKind::Ping, now),
                false => self.schedule_ping(now),
            }
        }
    }

    /// Revision 3: the next ping is due, and its answer from now on.
    pub(super) fn ping(&mut self, now: Time) {
        self.channel.shrink();
        self.channel.queue.push_ping();
        self.excused = false;
        if let Some(handshake) = &self.handshake {
            self.set_deadline(now, handshake.ping_timeout);
        }
    }

    /// The server was silent for too long, or seems so: if we did not read all the time because the
    /// application is slow, what it said may well be waiting.
    pub(super) fn heartbeat_missed(&mut self, now: Time) {
        if self.channel.excuses_silence(&self.config.limits) {
            self.expect_life(now);
        } else {
            self.finish(CloseReason::PingTimeout);
        }
    }

    fn expect_life(&mut self, now: Time) {
        if let Some(handshake) = &self.handshake {
            self.set_deadline(now, handshake.silence());
        }
    }

    fn set_deadline(&mut self, now: Time, patience: Duration) {
        self.channel.note_deadline();
        self.progress.restart(patience);
        self.timers.set(ClientTimerKind::Heartbeat, now + patience);
    }

    fn schedule_ping(&mut self, now: Time) {
        if let Some(handshake) = &self.handshake {
            self.timers.set(ClientTimerKind::Ping, now + handshake.ping_interval);
        }
    }
}
