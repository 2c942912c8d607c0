//! The body of a request that another HTTP server receives.

use alloc::vec::Vec;

use super::GracePeriod;
use crate::{
    progress::Progress,
    session::Body,
    time::Time,
    wire::http::{self, Fault, append},
};

/// A body in pieces.
///
/// Has the limit, the timeout and the lowest rate of the own HTTP server.
///
/// Copies the pieces: each may be a slice of a buffer that is much larger.
#[derive(Debug)]
pub struct Gathering {
    received: Vec<u8>,
    max: usize,
    deadline: Time,
    progress: Progress,
    grace: GracePeriod,
}

impl Gathering {
    /// Begins a body at `now`, of which at least `announced` bytes are to come.
    ///
    /// Returns `None` if that is more than [`max_body`](http::Config::max_body).
    pub fn new(now: Time, config: &http::Config, announced: u64) -> Option<Self> {
        if announced > config.max_body as u64 {
            return None;
        }
        let mut progress = Progress::default();
        progress.restart(config.body_timeout);
        Some(Self {
            received: Vec::new(),
            max: config.max_body,
            deadline: now + config.body_timeout,
            progress,
            grace: GracePeriod::new(),
        })
    }

    /// Takes the next piece. Returns `false` if the body is too large.
    #[must_use]
    pub fn receive(&mut self, now: Time, piece: &[u8]) -> bool {
        if piece.len() > self.max - self.received.len() {
            return false;
        }
        append(&mut self.received, piece, self.max);
        if let Some(patience) = self.progress.add(piece.len()) {
            self.deadline = self.deadline.max(now + patience);
        }
        true
    }

    /// Ends the body.
    pub fn finish(self) -> Body {
        Body::Complete(self.received.into())
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub const fn deadline(&self) -> Time {
        self.deadline
    }

    /// Handles the deadline. Returns the fault of the client if it has passed.
    ///
    /// Does nothing before the deadline. The client has a grace period first if the process was late.
    pub fn handle_timeout(&mut self, now: Time, config: &http::Config) -> Option<Fault> {
        if now < self.deadline {
            return None;
        }
        if let Some(until) = self.grace.extend(self.deadline, now) {
            self.deadline = until;
            return None;
        }
        Some(Fault::BodyTimeout { after: config.body_timeout })
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bytes::Bytes;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(8);

    fn config() -> http::Config {
        let mut config = http::Config::default();
        config.max_body = 10_000;
        config.body_timeout = TIMEOUT;
        config
    }

    fn gathering() -> Gathering {
        Gathering::new(Time::ZERO, &config(), 0).unwrap()
    }

    #[test]
    fn body_is_the_same_in_pieces_of_any_size() {
        let whole: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for size in [1, 7, 4096, 10_000] {
            let mut body = gathering();
            assert!(whole.chunks(size).all(|piece| body.receive(Time::ZERO, piece)));
            assert!(body.receive(Time::ZERO, b""));
            assert_eq!(body.finish(), Body::Complete(Bytes::from(whole.clone())), "{size}");
        }
        assert_eq!(gathering().finish(), Body::Complete(Bytes::new()));
    }

    #[test]
    fn body_above_the_limit_is_refused_as_soon_as_that_is_certain() {
        assert!(Gathering::new(Time::ZERO, &config(), 10_000).is_some());
        assert!(Gathering::new(Time::ZERO, &config(), 10_001).is_none());
        assert!(Gathering::new(Time::ZERO, &config(), u64::MAX).is_none());
        let mut body = gathering();
        assert!(body.receive(Time::ZERO, &[0; 9_999]));
        assert!(!body.receive(Time::ZERO, &[0; 2]));
        assert!(body.receive(Time::ZERO, &[0; 1]));
    }

    #[test]
    fn deadline_moves_with_the_lowest_rate_and_not_with_less() {
        let mut body = gathering();
        let deadline = Time::ZERO + TIMEOUT;
        assert_eq!(body.deadline(), deadline);
        // 1 KiB a second makes 8 KiB.
        assert!(body.receive(Time::from_millis(1000), &[0; 8 * 1024 - 1]));
        assert_eq!(body.deadline(), deadline);
        assert!(body.receive(Time::from_millis(2000), &[0; 1]));
        assert_eq!(body.deadline(), Time::from_millis(2000) + TIMEOUT);
    }

    #[test]
    fn deadline_is_a_fault_once_it_has_passed() {
        let mut body = gathering();
        let deadline = body.deadline();
        let before = deadline.since(Time::ZERO) - Duration::from_nanos(1);
        assert_eq!(body.handle_timeout(Time::ZERO + before, &config()), None);
        let fault = body.handle_timeout(deadline, &config());
        assert_eq!(fault, Some(Fault::BodyTimeout { after: TIMEOUT }));
    }

    #[test]
    fn late_process_extends_the_deadline_first() {
        let mut body = gathering();
        let late = body.deadline() + Duration::from_secs(1);
        assert_eq!(body.handle_timeout(late, &config()), None);
        assert_eq!(body.deadline(), late + Duration::from_secs(1));
        let deadline = body.deadline();
        assert!(body.handle_timeout(deadline, &config()).is_some());
    }
}
