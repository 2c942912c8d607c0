//! The deadlines of one session: an array indexed by what each is for.

use crate::time::Time;

/// What a deadline of a [`Session`](super::Session) is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// Revision 4: the next ping is due.
    Ping,
    /// The peer has been silent for too long: a pong is missing (revision 4), or a ping (3).
    Heartbeat,
    /// An upgrade has been going on for too long.
    Upgrade,
    /// A poll during an upgrade is answered with a noop.
    Noop,
    /// A closing session waits no longer for the peer to take what is queued.
    Close,
}

impl TimerKind {
    const ALL: [Self; 5] = [Self::Ping, Self::Heartbeat, Self::Upgrade, Self::Noop, Self::Close];
}

/// At most one deadline for each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    deadlines: [Option<Time>; TimerKind::ALL.len()],
    /// The earliest of them. A driver asks for it after everything it does to a session, far more
    /// often than a deadline changes.
    next: Option<(Time, TimerKind)>,
}

impl Timers {
    pub(crate) fn set(&mut self, kind: TimerKind, deadline: Time) {
        self.change(kind, Some(deadline));
    }

    pub(crate) fn stop(&mut self, kind: TimerKind) {
        if self.is_set(kind) {
            self.change(kind, None);
        }
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }

    pub(crate) const fn is_set(&self, kind: TimerKind) -> bool {
        self.deadlines[kind as usize].is_some()
    }

    /// The earliest deadline; of equal ones the first of [`TimerKind`].
    pub(crate) const fn next(&self) -> Option<(Time, TimerKind)> {
        self.next
    }

    /// Takes the earliest deadline that `now` has reached.
    pub(crate) fn expire(&mut self, now: Time) -> Option<TimerKind> {
        let (_, kind) = self.next.filter(|&(deadline, _)| deadline <= now)?;
        self.stop(kind);
        Some(kind)
    }

    fn change(&mut self, kind: TimerKind, deadline: Option<Time>) {
        self.deadlines[kind as usize] = deadline;
        self.next = TimerKind::ALL
            .into_iter()
            .filter_map(|kind| Some((self.deadlines[kind as usize]?, kind)))
            .min_by_key(|&(deadline, _)| deadline);
    }
}
