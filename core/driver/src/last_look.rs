//! A last look at what has come before a peer is taken for silent.
//!
//! A runtime watches sockets and timers in an order of its own, and a timer comes up although what the
//! peer has said lies in a socket, unread: always when the process was stopped for longer than the peer
//! had time (a laptop that was closed, a machine that was paused, `SIGSTOP`), and with bad luck when it
//! was for a moment. So nobody is given up when the time has come, but a little later, if nothing has
//! been read by then.

use std::time::Duration;

use enginewire::Time;

/// The last look that one session or connection has been given.
#[derive(Debug, Default)]
pub(crate) struct LastLook {
    until: Time,
    /// Those that were given in a row.
    given: u8,
}

impl LastLook {
    /// The peer had to act by `due`, and `now` is later. Gives the time until which to excuse it and to go
    /// on reading; `None` once that has been done.
    ///
    /// If the look itself ends late, nobody was listening then either, and another one is given.
    pub(crate) fn before(&mut self, due: Time, now: Time) -> Option<Time> {
        let late = now.since(due);
        self.given = match due == self.until {
            true if late <= LOOK || self.given == MAX_LOOKS => return None,
            true => self.given + 1,
            false => 1,
        };
        self.until = now + late.clamp(LOOK, MAX_EXCUSE);
        Some(self.until)
    }
}

/// Enough for a runtime that is not overloaded to go round several times: to accept a connection, to read
/// it, and to give the session what has come. What comes up later than this was not looked after.
const LOOK: Duration = Duration::from_millis(20);

/// Who was away himself waits for as long again, as what the peer has sent in vain comes again only after
/// a while. No longer than this: a peer has as much time to answer a ping, if nobody says otherwise.
const MAX_EXCUSE: Duration = Duration::from_secs(20);

/// Looks at most that end too late, one after the other: somebody without time at all must give up peers
/// too.
const MAX_LOOKS: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn who_was_punctual_takes_one_short_look() {
        let mut look = LastLook::default();
        assert_eq!(look.before(at(1000), at(1001)), Some(at(1021)));
        assert_eq!(look.before(at(1021), at(1022)), None);
    }

    #[test]
    fn who_was_away_waits_for_as_long_again_but_not_for_ever() {
        let mut look = LastLook::default();
        assert_eq!(look.before(at(1000), at(4000)), Some(at(7000)));
        assert_eq!(look.before(at(7000), at(7000)), None);
        assert_eq!(look.before(at(10_000), at(1_000_000)), Some(at(1_020_000)));
    }

    #[test]
    fn a_look_that_ends_too_late_is_repeated_but_not_for_ever() {
        let (mut look, mut due, mut looks) = (LastLook::default(), at(1000), 0);
        while let Some(until) = look.before(due, due + Duration::from_millis(50)) {
            (due, looks) = (until, looks + 1);
        }
        assert_eq!(looks, MAX_LOOKS);
    }

    #[test]
    fn a_peer_that_has_done_something_has_a_look_of_its_own_the_next_time() {
        let mut look = LastLook::default();
        for due in [1000, 2000, 3000] {
            assert_eq!(look.before(at(due), at(due)), Some(at(due + 20)));
        }
    }
}
