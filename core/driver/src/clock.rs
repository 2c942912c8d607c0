//! The clock of a runtime.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use enginewire::Time;

/// The clock of a [`Runtime`](crate::Runtime), for everything that does not know the runtime. Clones agree.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Instant(InstantClock),
    Function(Arc<dyn Fn() -> Time + Send + Sync>),
}

impl Clock {
    /// Makes a clock of a function, for example of a virtual one. Its time must never go backwards.
    pub fn of(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Source::Function(Arc::new(now)))
    }

    /// Returns the time since the clock's epoch. Never goes backwards.
    #[inline]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::Instant(clock) => clock.now(),
            Source::Function(now) => now(),
        }
    }
}

impl From<InstantClock> for Clock {
    fn from(clock: InstantClock) -> Self {
        Self(Source::Instant(clock))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// A monotonic clock that counts from the creation of this value. It is for a runtime whose timers
/// go by [`Instant`].
///
/// The default is the system's clock; [`InstantClock::of`] takes one that the runtime can pause.
#[derive(Clone, Copy, Debug)]
pub struct InstantClock {
    epoch: Instant,
    read: fn() -> Instant,
}

impl InstantClock {
    /// Makes a clock that reads the time with `read`, which must never go backwards.
    pub fn of(read: fn() -> Instant) -> Self {
        Self { epoch: read(), read }
    }

    /// Returns the time since the epoch.
    #[inline]
    pub fn now(&self) -> Time {
        Time::ZERO + (self.read)().saturating_duration_since(self.epoch)
    }

    /// Returns the instant of `time`. `None` if it is later than the system can count.
    pub fn instant(&self, time: Time) -> Option<Instant> {
        self.epoch.checked_add(Duration::from_nanos(time.as_nanos()))
    }
}

impl Default for InstantClock {
    fn default() -> Self {
        Self::of(Instant::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_as_far_from_another_as_their_times_are() {
        let clock = InstantClock::default();
        let (early, late) = (Time::from_millis(1), Time::from_millis(2500));
        let (early, late) = (clock.instant(early).unwrap(), clock.instant(late).unwrap());
        assert_eq!(late - early, Duration::from_millis(2499));
    }

    #[test]
    fn the_time_that_it_is_has_come() {
        let clock = InstantClock::default();
        let now = clock.now();
        assert!(clock.instant(now).unwrap() <= Instant::now());
        assert!(Clock::from(clock).now() >= now);
    }
}
