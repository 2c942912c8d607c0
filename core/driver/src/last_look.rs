//! The grace period of a peer whose deadline has passed.
//!
//! A runtime reports sockets and timers in an order of its own. A deadline can expire while the bytes
//! that would have met it lie in a socket, unread. How long to go on reading depends on the driver:
//!
//! - A driver that was on time has only to read what is there already. The deadline moves past the
//!   present moment and no further: sockets that are ready are read, then the peer is given up.
//! - A driver that was late was not reading either: the process was suspended (a laptop that was closed,
//!   a machine that was paused, `SIGSTOP`) or its runtime was overloaded. Its peers get a grace period.

use std::time::Duration;

use enginewire::Time;

/// The grace periods that one session or connection has been given.
#[derive(Debug, Default)]
pub(crate) struct LastLook {
    until: Time,
    /// Those that were given in a row.
    given: u8,
}

impl LastLook {
    /// The peer had to act by `due`, and `now` is not earlier. Gives the time until which to excuse it and
    /// to go on reading; `None` once that has been done.
    ///
    /// If a grace period itself ends late, the driver was not reading then either, and another one is
    /// given.
    pub(crate) fn before(&mut self, due: Time, now: Time) -> Option<Time> {
        let late = now.since(due);
        let on_time = late <= TOLERANCE;
        self.given = match due == self.until {
            true if on_time || self.given == MAX_PERIODS => return None,
            true => self.given + 1,
            false => 1,
        };
        self.until = now + if on_time { ONE_READ } else { late.clamp(MIN_GRACE, MAX_GRACE) };
        Some(self.until)
    }
}

/// How late a timer of a driver is that is on time: runtimes count deadlines in whole milliseconds and
/// round them up, and so does the timeout of `epoll_wait` (2 ms together). Besides, the scheduler may have
/// let another process finish its time slice (3 ms on Linux).
const TOLERANCE: Duration = Duration::from_millis(5);

/// The least by which a deadline can move: it expires again at once, but behind a read of the sockets that
/// are ready.
const ONE_READ: Duration = Duration::from_nanos(1);

/// Enough for a runtime that has fallen behind to go round several times: to accept a connection, to read
/// it, and to give the session what has come.
const MIN_GRACE: Duration = Duration::from_millis(20);

/// A driver that was late waits for as long again, as what the peer has sent in vain is retransmitted only
/// after a while. No longer than this: a peer has as much time to answer a ping by default.
const MAX_GRACE: Duration = Duration::from_secs(20);

/// Grace periods that end too late, one after the other: a driver without time at all must give up peers
/// too.
const MAX_PERIODS: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn driver_on_time_reads_once_and_does_not_wait() {
        for late in [0, 1, 5] {
            let mut look = LastLook::default();
            let now = at(1000 + late);
            let until = look.before(at(1000), now).unwrap();
            assert_eq!(until.since(now), ONE_READ);
            assert_eq!(look.before(until, now + Duration::from_millis(1)), None);
        }
    }

    #[test]
    fn driver_that_was_a_little_late_gives_a_short_grace_period() {
        let mut look = LastLook::default();
        assert_eq!(look.before(at(1000), at(1006)), Some(at(1026)));
        assert_eq!(look.before(at(1026), at(1027)), None);
    }

    #[test]
    fn driver_that_was_late_waits_for_as_long_again_but_not_for_ever() {
        let mut look = LastLook::default();
        assert_eq!(look.before(at(1000), at(4000)), Some(at(7000)));
        assert_eq!(look.before(at(7000), at(7000)), None);
        assert_eq!(look.before(at(10_000), at(1_000_000)), Some(at(1_020_000)));
    }

    #[test]
    fn grace_period_that_ends_late_is_repeated_but_not_for_ever() {
        let (mut look, mut due, mut periods) = (LastLook::default(), at(1000), 0);
        while let Some(until) = look.before(due, due + Duration::from_millis(50)) {
            (due, periods) = (until, periods + 1);
        }
        assert_eq!(periods, MAX_PERIODS);
    }

    #[test]
    fn peer_that_has_acted_has_a_grace_period_of_its_own_the_next_time() {
        let mut look = LastLook::default();
        for due in [1000, 2000, 3000] {
            assert_eq!(look.before(at(due), at(due)), Some(at(due) + ONE_READ));
        }
    }
}
