//! The time that a peer is given whose deadline is looked at late.

use std::time::Duration;

use enginewire::Time;

/// What was given last.
#[derive(Clone, Copy, Default)]
pub(crate) struct Grace {
    until: Time,
    /// In a row, of which each was looked at late itself.
    given: usize,
}

impl Grace {
    /// Until when the peer has, for a deadline that is looked at now, unless it was in time or that was so too often.
    pub(crate) fn give(&mut self, due: Time, now: Time) -> Option<Time> {
        let late = now.since(due);
        if due > now || late <= PUNCTUAL {
            return None;
        }
        self.given = if due == self.until { self.given + 1 } else { 1 };
        if self.given > MOST {
            self.given = MOST;
            return None;
        }
        self.until = longest(late, now);
        Some(self.until)
    }
}

/// Until when a peer has at most, for a deadline that is looked at so late.
pub(crate) fn longest(late: Duration, now: Time) -> Time {
    now + if late > PUNCTUAL { late.clamp(SHORTEST, LONGEST) } else { Duration::ZERO }
}

const PUNCTUAL: Duration = Duration::from_millis(5);
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(20);
const MOST: usize = 8;
