//! Reconnection: a policy, and the value that decides when to open the next session.

use core::time::Duration;

use crate::{entropy::Entropy, time::Time};

/// How long to wait before a lost connection is tried again, and how often.
///
/// The defaults are those of the reference's Socket.IO client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reconnect {
    /// Wait before the first attempt; each further one waits twice as long. Default 1 s.
    pub delay: Duration,
    /// The longest wait. Default 5 s.
    pub max_delay: Duration,
    /// Largest part of a wait that chance adds or takes, from 0 to 1. Default 0.5.
    ///
    /// With it, clients that were cut off at once do not come back at once. No wait is longer than
    /// [`max_delay`](Self::max_delay): near it, chance takes more than it adds.
    pub jitter: f64,
    /// How many times in a row it is tried again before it is given up. Default `None`: without end.
    pub attempts: Option<u32>,
}

/// Setters, for a chain.
impl Reconnect {
    /// Replaces [`delay`](Self::delay).
    #[must_use]
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Replaces [`max_delay`](Self::max_delay).
    #[must_use]
    pub const fn with_max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Replaces [`jitter`](Self::jitter).
    #[must_use]
    pub const fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// Replaces [`attempts`](Self::attempts).
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(5),
            jitter: 0.5,
            attempts: None,
        }
    }
}

/// Where the attempts of a [`Reconnect`] stand.
///
/// ```
/// use enginewire::{Backoff, Reconnect};
/// # let mut entropy = |buffer: &mut [u8]| buffer.fill(0);
///
/// let mut backoff = Backoff::new(Reconnect::default());
/// // The connection was lost: wait for so long, and try.
/// let wait = backoff.next(&mut entropy).expect("attempts have no end by default");
/// assert!(wait.as_millis() >= 500 && wait.as_millis() <= 1500);
/// // It worked: the next loss starts from the beginning.
/// backoff.reset();
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: Reconnect,
    attempts: u32,
}

impl Backoff {
    /// Before the first attempt.
    pub const fn new(policy: Reconnect) -> Self {
        Self { policy, attempts: 0 }
    }

    /// How long to wait before the next attempt; `None` once there have been enough.
    pub fn next(&mut self, entropy: &mut dyn Entropy) -> Option<Duration> {
        if self.policy.attempts.is_some_and(|max| self.attempts >= max) {
            return None;
        }
        let doubled = 1u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        self.attempts = self.attempts.saturating_add(1);
        let wait = self.policy.delay.saturating_mul(doubled).min(self.policy.max_delay);
        let jitter = if self.policy.jitter > 0.0 { self.policy.jitter.min(1.0) } else { 0.0 };
        let mut random = [0; 4];
        entropy.fill(&mut random);
        let random = f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX);
        let (wait, longest) = (wait.as_secs_f64(), self.policy.max_delay.as_secs_f64());
        // Evenly between the two, also where the longest wait is the upper one: cutting off there would have most
        // clients come back at the same moment after a long outage.
        let (shortest, longest) = (wait * (1.0 - jitter), (wait * (1.0 + jitter)).min(longest));
        let wait = Duration::try_from_secs_f64(shortest + (longest - shortest) * random);
        Some(wait.unwrap_or(Duration::MAX).min(self.policy.max_delay))
    }

    /// Attempts since the last success.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// An attempt has succeeded.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Decides when a client opens its next session.
///
/// A loop around it opens a session when [`poll_open`](Self::poll_open) says so, and tells what becomes of it.
///
/// ```
/// use enginewire::{Reconnect, Reconnector, Time};
/// # let mut entropy = |buffer: &mut [u8]| buffer.fill(0);
///
/// let mut reconnector = Reconnector::new(Reconnect::default());
/// assert!(reconnector.poll_open(), "the first session is opened at once");
/// reconnector.handle_opened();
///
/// // The session was lost: the next one is opened after the delay of the policy.
/// reconnector.handle_lost(Time::ZERO, &mut entropy);
/// assert!(!reconnector.poll_open());
/// let due = reconnector.poll_timeout().expect("it waits");
/// reconnector.handle_timeout(due);
/// assert!(reconnector.poll_open());
/// ```
#[derive(Clone, Debug)]
pub struct Reconnector {
    backoff: Backoff,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A session is to be opened.
    Due,
    /// It is being opened, or open.
    Busy,
    Waiting(Time),
    Ended,
}

impl Reconnector {
    /// Makes the value for a client that has had no session. The first one is due at once.
    pub const fn new(policy: Reconnect) -> Self {
        Self { backoff: Backoff::new(policy), state: State::Due }
    }

    /// The session is open. The next loss starts with the first delay again.
    pub const fn handle_opened(&mut self) {
        self.backoff.reset();
    }

    /// The session was lost, or could not be opened for a reason that may pass.
    pub fn handle_lost(&mut self, now: Time, entropy: &mut dyn Entropy) {
        if self.state != State::Ended {
            self.state = match self.backoff.next(entropy) {
                Some(wait) => State::Waiting(now + wait),
                None => State::Ended,
            };
        }
    }

    /// No further session is wanted: the application has closed, or the failure is permanent.
    pub const fn stop(&mut self) {
        self.state = State::Ended;
    }

    /// The clock has moved. Calling it before the deadline does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.state = State::Due;
        }
    }

    /// Ends the delay before the next attempt, if there is one.
    pub const fn retry_now(&mut self) {
        if let State::Waiting(_) = self.state {
            self.state = State::Due;
        }
    }

    /// Returns true, once, if a session is to be opened now.
    pub fn poll_open(&mut self) -> bool {
        let due = self.state == State::Due;
        if due {
            self.state = State::Busy;
        }
        due
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout).
    pub const fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Waiting(until) => Some(until),
            State::Due | State::Busy | State::Ended => None,
        }
    }

    /// Returns whether no further session is opened.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Returns the attempts since the last session that opened.
    pub const fn attempts(&self) -> u32 {
        self.backoff.attempts()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn waits(policy: Reconnect, random: u8, n: usize) -> Vec<u128> {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(random);
        let mut backoff = Backoff::new(policy);
        let waits = core::iter::from_fn(|| backoff.next(&mut entropy)).take(n);
        waits.map(|wait| wait.as_millis()).collect()
    }

    fn policy(jitter: f64) -> Reconnect {
        let (delay, max_delay) = (Duration::from_millis(100), Duration::from_millis(500));
        Reconnect { delay, max_delay, jitter, attempts: None }
    }

    #[test]
    fn setters_replace_one_option_each() {
        let (second, default) = (Duration::from_secs(9), Reconnect::default());
        let with = |change: fn(&mut Reconnect)| {
            let mut policy = Reconnect::default();
            change(&mut policy);
            policy
        };
        for (set, expected) in [
            (default.clone().with_delay(second), with(|p| p.delay = Duration::from_secs(9))),
            (
                default.clone().with_max_delay(second),
                with(|p| p.max_delay = Duration::from_secs(9)),
            ),
            (default.clone().with_jitter(0.25), with(|p| p.jitter = 0.25)),
            (default.with_attempts(3), with(|p| p.attempts = Some(3))),
        ] {
            assert_eq!(set, expected);
        }
    }

    #[test]
    fn each_wait_is_twice_the_last_up_to_the_longest() {
        assert_eq!(waits(policy(0.0), 9, 6), [100, 200, 400, 500, 500, 500]);
        let never = Reconnect { attempts: Some(0), ..policy(0.0) };
        assert!(waits(never, 0, 6).is_empty());
    }

    #[test]
    fn jitter_goes_both_ways_and_never_beyond_the_longest() {
        assert_eq!(waits(policy(0.5), 0, 4), [50, 100, 200, 250]);
        assert_eq!(waits(policy(0.5), 0xff, 4), [150, 300, 500, 500]);
        assert_eq!(waits(policy(7.0), 0, 2), [0, 0]);
        assert_eq!(waits(policy(f64::NAN), 0, 2), [100, 200]);
    }

    #[test]
    fn jitter_spreads_the_longest_wait_too() {
        assert_eq!(waits(policy(0.5), 0x80, 5)[2..], [350, 375, 375]);
    }

    #[test]
    fn attempts_are_counted_from_the_last_success() {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0x80);
        let mut backoff = Backoff::new(Reconnect { attempts: Some(2), ..policy(0.0) });
        assert!(backoff.next(&mut entropy).is_some() && backoff.next(&mut entropy).is_some());
        assert_eq!((backoff.next(&mut entropy), backoff.attempts()), (None, 2));
        backoff.reset();
        assert_eq!(backoff.next(&mut entropy), Some(Duration::from_millis(100)));
    }

    #[test]
    fn any_number_of_attempts_and_any_delay_saturate() {
        let forever = Reconnect { delay: Duration::MAX, max_delay: Duration::MAX, ..policy(0.0) };
        let mut backoff = Backoff { policy: forever, attempts: u32::MAX };
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0);
        assert!(backoff.next(&mut entropy).is_some());
        assert_eq!(backoff.attempts(), u32::MAX);
    }

    #[test]
    fn reconnector_waits_after_each_loss_and_ends_with_the_attempts() {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0x80);
        let mut reconnector = Reconnector::new(Reconnect::default().with_attempts(2));
        let mut now = Time::ZERO;
        for _ in 0..3 {
            assert!(reconnector.poll_open() && !reconnector.poll_open());
            reconnector.handle_lost(now, &mut entropy);
            if let Some(due) = reconnector.poll_timeout() {
                reconnector.handle_timeout(now);
                assert!(!reconnector.poll_open(), "not before its time");
                now = due;
                reconnector.handle_timeout(now);
            }
        }
        assert!(reconnector.is_ended() && !reconnector.poll_open());
    }

    #[test]
    fn reconnector_is_due_at_once_when_told_so_while_it_waits() {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0x80);
        let mut reconnector = Reconnector::new(Reconnect::default().with_attempts(1));
        assert!(reconnector.poll_open());
        reconnector.retry_now();
        assert!(!reconnector.poll_open(), "a session is being opened");
        reconnector.handle_lost(Time::ZERO, &mut entropy);
        assert!(!reconnector.poll_open());
        reconnector.retry_now();
        assert!(reconnector.poll_open() && reconnector.poll_timeout().is_none());
        reconnector.handle_lost(Time::ZERO, &mut entropy);
        reconnector.retry_now();
        assert!(reconnector.is_ended() && !reconnector.poll_open(), "the attempts have ended");
    }

    #[test]
    fn reconnector_starts_with_the_first_delay_again_after_a_session_that_opened() {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0);
        let mut reconnector = Reconnector::new(policy(0.0));
        let mut next_due = |opens: bool| {
            if opens {
                reconnector.handle_opened();
                assert_eq!(reconnector.attempts(), 0);
            }
            reconnector.handle_lost(Time::ZERO, &mut entropy);
            (reconnector.poll_timeout(), reconnector.attempts())
        };
        for (opens, millis, attempts) in [(false, 100, 1), (false, 200, 2), (true, 100, 1)] {
            let due = Time::from_millis(millis);
            assert_eq!(next_due(opens), (Some(due), attempts));
        }
    }

    #[test]
    fn stopped_reconnector_opens_nothing_more() {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(0);
        let mut reconnector = Reconnector::new(Reconnect::default());
        assert!(reconnector.poll_open());
        reconnector.handle_opened();
        reconnector.stop();
        reconnector.handle_lost(Time::ZERO, &mut entropy);
        assert!(reconnector.is_ended());
        assert_eq!(reconnector.poll_timeout(), None);
    }
}
