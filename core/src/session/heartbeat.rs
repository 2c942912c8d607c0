//! Signs of life. In revision 4 the server pings and the client answers. In revision 3 the client
//! pings and the server answers.
//!
//! The deadlines belong to the session, not to a transport, so they survive an upgrade.

use core::time::Duration;

use super::{CloseReason, ServerSession, ServerTimerKind, TransportFault};
use crate::{packet::Revision, time::Time};

/// Network inputs.
impl ServerSession {
    /// Counts bytes that were read on a connection of this session. They are signs of life, at a
    /// minimum rate.
    ///
    /// A pong, or a ping of revision 3, may wait behind a large message or POST. So the client has longer for it
    /// while these come. It has as long again whenever as many bytes have moved as 1 KiB a second makes in that
    /// time, and 4 KiB at least.
    #[inline]
    pub fn handle_progress(&mut self, now: Time, bytes: usize) {
        if self.timers.is_set(ServerTimerKind::Heartbeat)
            && let Some(patience) = self.progress.add(bytes)
        {
            self.extend(ServerTimerKind::Heartbeat, now + patience);
        }
    }

    /// Counts bytes that a socket of this session has taken after it was full. They show that the
    /// client reads.
    ///
    /// Besides what [`handle_progress`](Self::handle_progress) does, a session that is closing has longer
    /// to let out what is queued. Bytes that a socket takes before it is full tell nothing of the client.
    pub fn handle_written(&mut self, now: Time, bytes: usize) {
        self.handle_progress(now, bytes);
        if self.timers.is_set(ServerTimerKind::Close)
            && let Some(patience) = self.closing.add(bytes)
        {
            self.extend(ServerTimerKind::Close, now + patience);
            self.close_deadline = self.timers.deadline(ServerTimerKind::Close);
        }
    }

    /// Moves a deadline, but never to an earlier time.
    fn extend(&mut self, kind: ServerTimerKind, deadline: Time) {
        if kind == ServerTimerKind::Heartbeat {
            self.channel.note_deadline();
        }
        self.timers.postpone(&[kind], deadline);
    }
}

impl ServerSession {
    pub(super) fn start_heartbeat(&mut self, now: Time) {
        match self.revision {
            Revision::V4 => self.timers.set(ServerTimerKind::Ping, now + self.config.ping_interval),
            Revision::V3 => self.expect_ping(now),
        }
    }

    /// Any packet tells that the peer lives. In revision 3 that is all there is to it; in revision 4
    /// the pong is still wanted, but its deadline is moved once: a pong can be stuck behind other
    /// traffic on a slow line.
    #[inline]
    pub(super) fn note_traffic(&mut self, now: Time, is_pong: bool) {
        match self.revision {
            Revision::V3 => self.expect_ping(now),
            Revision::V4 => {
                let awaited = self.timers.is_set(ServerTimerKind::Heartbeat);
                if awaited && !self.extended && !is_pong {
                    self.extended = true;
                    self.expect_pong(now);
                }
            }
        }
    }

    /// Queues the ping that was due at `due`, whether or not the transport can take it now.
    ///
    /// The time for its pong counts from `due` if the timer was on time, so that what timers are rounded
    /// by does not add up. It counts from `now` if the driver was late.
    pub(super) fn ping(&mut self, now: Time, due: Time) {
        self.channel.shrink();
        self.channel.queue.push_ping();
        (self.extended, self.excused) = (false, false);
        let rounding = TIMER_ROUNDING.min(self.config.ping_timeout / 16);
        self.expect_pong(if now.since(due) <= rounding { due } else { now });
        self.answer_poll();
    }

    /// The peer was silent for too long, or seems so: if we did not read all the time because the
    /// application is slow, its answer may well be waiting in the socket. While a POST is withheld from a
    /// session that is closing there is no way for it; how long that lasts is limited.
    pub(super) fn heartbeat_missed(&mut self, now: Time) {
        if !self.channel.excuses_silence(&self.config.limits) && !self.withholds_late_post() {
            return self.finish(CloseReason::PingTimeout);
        }
        self.expect_life(now);
    }

    /// The peer could not send anything. If it has to, it has as long for that as ever from now on.
    pub(super) fn heartbeat_freed(&mut self, now: Time) {
        if self.timers.is_set(ServerTimerKind::Heartbeat) {
            self.expect_life(now);
        }
    }

    fn expect_life(&mut self, now: Time) {
        match self.revision {
            Revision::V4 => self.expect_pong(now),
            Revision::V3 => self.expect_ping(now),
        }
    }

    pub(super) fn handle_ping(&mut self, _now: Time) {
        match self.revision {
            Revision::V4 => self.finish_wrong_direction(),
            Revision::V3 => {
                self.channel.shrink();
                self.channel.queue.push_pong();
                self.answer_poll();
            }
        }
    }

    /// A pong that nobody asked for moves the next ping as well, as in the reference.
    pub(super) fn handle_pong(&mut self, now: Time) {
        match self.revision {
            Revision::V3 => self.finish_wrong_direction(),
            Revision::V4 => {
                let deadline = self.timers.deadline(ServerTimerKind::Heartbeat);
                self.timers.stop(ServerTimerKind::Heartbeat);
                // Read late, the pong must not put off the next ping, for which the client's time has been running.
                let late =
                    core::mem::take(&mut self.excused) || deadline.is_some_and(|due| due < now);
                let wait = if late { Duration::ZERO } else { self.config.ping_interval };
                self.timers.set(ServerTimerKind::Ping, now + wait);
            }
        }
    }

    fn finish_wrong_direction(&mut self) {
        self.finish(CloseReason::TransportError(TransportFault::HeartbeatDirection));
    }

    fn expect_pong(&mut self, now: Time) {
        self.set_deadline(now, self.config.ping_timeout);
    }

    fn expect_ping(&mut self, now: Time) {
        let silence = self.config.ping_interval.saturating_add(self.config.ping_timeout);
        self.set_deadline(now, silence);
    }

    fn set_deadline(&mut self, now: Time, patience: Duration) {
        self.channel.note_deadline();
        self.progress.restart(patience);
        self.timers.set(ServerTimerKind::Heartbeat, now + patience);
    }
}

/// Time by which the timers of an idle event loop are late at most. Most count milliseconds and
/// round up, and so does the system's wait behind them.
const TIMER_ROUNDING: Duration = Duration::from_millis(2);
