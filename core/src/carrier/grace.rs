//! The grace period of a peer whose deadline passed while the process did not run.
//!
//! A process can be stopped: a laptop is closed, a machine is paused, or `SIGSTOP` comes. Then it finds deadlines
//! that have passed although the peer has acted in time: its bytes lie unread in a socket. Such a deadline is
//! extended before the peer counts as silent.

use core::time::Duration;

use crate::time::Time;

/// The grace period that a session, a connection or the like has had last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GracePeriod {
    until: Time,
    /// Grace periods given in a row.
    given: u8,
}

impl GracePeriod {
    /// Returns the state of one that has had none.
    pub const fn new() -> Self {
        Self { until: Time::ZERO, given: 0 }
    }

    /// Returns the end of the last grace period.
    pub const fn until(&self) -> Time {
        self.until
    }

    /// Returns the end of a grace period for a deadline `due`.
    ///
    /// `None` if the deadline expires, as one does that is handled in time. A grace period that itself ends late is repeated,
    /// because nothing was read during it either.
    pub fn extend(&mut self, due: Time, now: Time) -> Option<Time> {
        let late = now.since(due);
        if late <= PUNCTUAL {
            return None;
        }
        self.given = match due == self.until {
            true if self.given == MAX_GIVEN => return None,
            true => self.given + 1,
            false => 1,
        };
        self.until = now + late.clamp(MIN_GRACE, MAX_GRACE);
        Some(self.until)
    }

    /// Returns the end of a grace period, unless `due` lies within the last.
    ///
    /// As [`extend`](Self::extend), but none is repeated: for deadlines of an application, which an event loop with a
    /// coarse timer would move again and again. Others that are late with such a `due` have none either.
    pub fn extend_once(&mut self, due: Time, now: Time) -> Option<Time> {
        if due <= self.until { None } else { self.extend(due, now) }
    }
}

/// The delay up to which a deadline counts as handled in time: runtimes count deadlines in whole milliseconds
/// and round them up, and so does the timeout of `epoll_wait` (2 ms together). Besides, the scheduler may have
/// let another process finish its time slice (3 ms on Linux).
const PUNCTUAL: Duration = Duration::from_millis(5);

/// Several turns of a runtime that has fallen behind: to accept a connection, to read it, and to give the
/// session what came.
const MIN_GRACE: Duration = Duration::from_millis(20);

/// The default ping timeout of the reference. What a peer sent to a process that did not run is sent again
/// after a while, so the grace period is as long as the delay, up to this.
const MAX_GRACE: Duration = Duration::from_secs(20);

/// Grace periods in a row: peers of a process that has no time at all must expire too.
const MAX_GIVEN: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn punctual_deadline_expires() {
        let mut grace = GracePeriod::default();
        assert_eq!(grace.extend(at(1000), at(1000)), None);
        assert_eq!(grace.extend(at(1000), at(1005)), None);
    }

    #[test]
    fn late_deadline_is_extended_by_the_delay_within_a_bound() {
        let mut grace = GracePeriod::default();
        assert_eq!(grace.extend(at(1000), at(4000)), Some(at(7000)));
        assert_eq!(grace.extend(at(7000), at(7000)), None);
        assert_eq!(grace.extend(at(10_000), at(1_000_000)), Some(at(1_020_000)));
    }

    #[test]
    fn late_grace_period_is_repeated_a_bounded_number_of_times() {
        let (mut grace, mut due, mut given) = (GracePeriod::default(), at(1000), 0);
        while let Some(until) = grace.extend(due, due + Duration::from_millis(50)) {
            (due, given) = (until, given + 1);
        }
        assert_eq!(given, MAX_GIVEN);
    }

    #[test]
    fn grace_period_of_an_application_is_not_repeated_nor_is_there_one_within_it() {
        let mut grace = GracePeriod::default();
        assert_eq!(grace.extend_once(at(1000), at(1005)), None);
        assert_eq!(grace.extend_once(at(1000), at(1500)), Some(at(2000)));
        assert_eq!(grace.extend_once(at(1600), at(1700)), None);
        assert_eq!(grace.extend_once(at(2000), at(9000)), None);
        assert_eq!(grace.extend_once(at(2001), at(9000)), Some(at(15_999)));
    }

    #[test]
    fn another_late_deadline_has_a_grace_period_of_its_own() {
        let mut grace = GracePeriod::default();
        for due in [1000, 2000, 3000] {
            assert_eq!(grace.extend(at(due), at(due + 30)), Some(at(due + 60)));
        }
    }
}
