//! Whether the server is still there. Revision 4: it pings, and we answer. Revision 3: we ping, and
//! it answers.
//!
//! The deadlines belong to the session, not to a transport, so they survive an upgrade.

use super::{ClientSession, ClientTimerKind};
use crate::{
    channel::CloseReason,
    packet::{Packet, Revision},
    time::Time,
};

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
            self.schedule_ping(now);
        }
    }

    /// Revision 3: the next ping is due, and its answer from now on.
    pub(super) fn ping(&mut self, now: Time) {
        self.channel.shrink();
        self.channel.queue.push_ping();
        if let Some(handshake) = &self.handshake {
            let deadline = now + handshake.ping_timeout;
            self.set_deadline(deadline);
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
            let deadline = now + handshake.silence();
            self.set_deadline(deadline);
        }
    }

    fn set_deadline(&mut self, deadline: Time) {
        self.channel.note_deadline();
        self.timers.set(ClientTimerKind::Heartbeat, deadline);
    }

    fn schedule_ping(&mut self, now: Time) {
        if let Some(handshake) = &self.handshake {
            self.timers.set(ClientTimerKind::Ping, now + handshake.ping_interval);
        }
    }
}
