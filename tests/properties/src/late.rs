//! The time that a peer is given whose deadline is looked at late.

use std::time::Duration;

use enginewire::Time;

/// The grace period that was given last. Deadlines of an application have one in a row.
#[derive(Clone, Copy, Default)]
pub(crate) struct Grace(Time);

impl Grace {
    /// Until when the peer has, for a deadline that is looked at now, unless it was in time or had more already.
    pub(crate) fn give(&mut self, due: Time, now: Time) -> Option<Time> {
        let Self(last) = *self;
        self.0 = longest(due, now).filter(|_| due > last)?;
        Some(self.0)
    }
}

/// Until when a peer has at most, if a deadline is looked at late.
pub(crate) fn longest(due: Time, now: Time) -> Option<Time> {
    let late = now.since(due);
    (late > PUNCTUAL).then(|| now + late.clamp(SHORTEST, LONGEST))
}

const PUNCTUAL: Duration = Duration::from_millis(5);
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(20);
