//! The clock of a runtime.

use std::{
    fmt,
    time::{Duration, Instant},
};

use enginewire::Time;

/// A monotonic clock, counted from when this value was made. Copies agree.
///
/// It is what a [`Runtime`](crate::Runtime) gives to everything else, which does not know the runtime. The default is
/// the system's; [`Clock::of`] takes one that a runtime can pause.
#[derive(Clone, Copy)]
pub struct Clock {
    epoch: Instant,
    read: fn() -> Instant,
}

impl Clock {
    /// Makes a clock that reads the time with `read`, which must never go backwards.
    pub fn of(read: fn() -> Instant) -> Self {
        Self { epoch: read(), read }
    }

    /// Returns the time since the epoch. Never goes backwards.
    #[inline]
    pub fn now(&self) -> Time {
        Time::ZERO + (self.read)().saturating_duration_since(self.epoch)
    }

    /// Returns the instant of `time`. `None` if it is later than the system can count.
    pub fn instant(&self, time: Time) -> Option<Instant> {
        self.epoch.checked_add(Duration::from_nanos(time.as_nanos()))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::of(Instant::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_as_far_from_another_as_their_times_are() {
        let clock = Clock::default();
        let (early, late) = (Time::from_millis(1), Time::from_millis(2500));
        let (early, late) = (clock.instant(early).unwrap(), clock.instant(late).unwrap());
        assert_eq!(late - early, Duration::from_millis(2499));
    }

    #[test]
    fn the_time_that_it_is_has_come() {
        let clock = Clock::default();
        let now = clock.now();
        assert!(clock.instant(now).unwrap() <= Instant::now());
        assert!(clock.now() >= now);
    }
}
