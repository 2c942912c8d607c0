//! Time as the operating system tells it.

use std::time::{Duration, Instant};

use enginewire::Time;

/// The system's monotonic clock, counted from when this value was made, for a [`Runtime`] whose timers
/// go by [`Instant`].
///
/// [`Runtime`]: crate::Runtime
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// The time since the epoch. Never goes backwards.
    pub fn now(&self) -> Time {
        Time::ZERO + self.epoch.elapsed()
    }

    /// The instant of `time`. `None` if it is later than the system can count.
    pub fn instant(&self, time: Time) -> Option<Instant> {
        self.epoch.checked_add(Duration::from_nanos(time.as_nanos()))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self { epoch: Instant::now() }
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
