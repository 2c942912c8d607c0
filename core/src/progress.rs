//! Bytes as signs of life. A peer in the middle of a slow transfer is not silent.
//!
//! A ping or a pong can wait behind megabytes of data. A deadline for it would end a session whose peer sends or
//! reads all the time. So bytes that move extend the deadline, at a lowest rate: otherwise a byte a minute would
//! keep a session for ever.

use core::time::Duration;

/// Counts the bytes that move before a deadline for a sign of life.
///
/// ```text
/// the deadline is set, `patience` from now    restart(patience)
/// bytes move, in either direction             add(bytes): Some(patience) extends the deadline
/// ```
///
/// The deadline is extended by the whole patience whenever as many bytes have moved as
/// [`LOWEST_RATE`] makes in that time. A transfer at that rate or above is therefore always extended
/// in time, and a slower one never more often than its bytes have paid for.
///
/// Only bytes that tell of the peer may be counted: those that were read, and those that a socket has
/// taken after it was full. Bytes that fill a buffer of the kernel go nowhere if the peer is dead.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Progress {
    /// The time that the deadline gave.
    patience: Duration,
    /// Bytes since the deadline was set, but for those that have extended it.
    moved: u64,
}

impl Progress {
    /// Starts to count, because a deadline has been set that expires after `patience`.
    #[inline]
    pub(crate) const fn restart(&mut self, patience: Duration) {
        self.patience = patience;
        self.moved = 0;
    }

    /// Counts bytes that moved. Returns the time by which to extend the deadline once they suffice,
    /// and goes on with those that are left over, as if they had moved one by one.
    #[inline]
    pub(crate) fn add(&mut self, bytes: usize) -> Option<Duration> {
        self.moved = self.moved.saturating_add(bytes as u64);
        let enough = enough(self.patience);
        if self.moved < enough {
            return None;
        }
        self.moved %= enough;
        Some(self.patience)
    }
}

/// Time that so many bytes need at the lowest rate.
pub(crate) fn time_for(bytes: usize) -> Duration {
    Duration::from_millis((bytes as u64).saturating_mul(1000) / LOWEST_RATE)
}

/// Bytes that must move within `patience`.
fn enough(patience: Duration) -> u64 {
    let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    (millis.saturating_mul(LOWEST_RATE) / 1000).max(LEAST)
}

/// Bytes in a second: a little less than the 1.2 kB/s of a GSM data call at 9600 bit/s, the slowest
/// line that carries HTTP. With the default patience of a client, 45 s, that makes 45 KiB.
const LOWEST_RATE: u64 = 1024;

/// Bytes that a deadline of any length needs, of which few are a transfer at all: heads of requests and
/// short messages keep nothing from passing, so a peer that sends them can send its pings and pongs.
const LEAST: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(45);
    const ENOUGH: usize = 45 * 1024;

    fn progress(patience: Duration) -> Progress {
        let mut progress = Progress::default();
        progress.restart(patience);
        progress
    }

    #[test]
    fn bytes_at_the_lowest_rate_extend_the_deadline_in_time_whatever_the_pieces() {
        for piece in [1, 7, 1024, 1460, ENOUGH - 1, ENOUGH] {
            let mut progress = progress(PATIENCE);
            let (mut moved, mut extensions) = (0, 0);
            while extensions < 3 {
                moved += piece;
                extensions += usize::from(progress.add(piece).is_some());
                assert_eq!(extensions, moved / ENOUGH, "pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_byte_a_minute_extends_no_deadline() {
        let mut progress = progress(PATIENCE);
        for _ in 0..60 * 24 {
            assert_eq!(progress.add(1), None);
            progress.restart(PATIENCE);
        }
    }

    #[test]
    fn bytes_before_the_deadline_was_set_do_not_count() {
        let mut progress = progress(PATIENCE);
        assert_eq!(progress.add(ENOUGH - 1), None);
        progress.restart(PATIENCE);
        assert_eq!(progress.add(ENOUGH - 1), None);
        assert_eq!(progress.add(1), Some(PATIENCE));
    }

    #[test]
    fn one_large_piece_extends_a_deadline_once_and_leaves_what_smaller_ones_would() {
        let mut progress = progress(PATIENCE);
        assert_eq!(progress.add(100 * ENOUGH + 1), Some(PATIENCE));
        assert_eq!(progress.add(ENOUGH - 2), None);
        assert_eq!(progress.add(1), Some(PATIENCE));
    }

    #[test]
    fn short_messages_extend_no_short_deadline() {
        let patience = Duration::from_millis(400);
        let mut progress = progress(patience);
        assert_eq!(progress.add(4095), None);
        assert_eq!(progress.add(1), Some(patience));
    }

    #[test]
    fn the_time_for_bytes_is_that_of_the_lowest_rate() {
        assert_eq!(time_for(0), Duration::ZERO);
        assert_eq!(time_for(1023), Duration::from_millis(999));
        assert_eq!(time_for(ENOUGH), PATIENCE);
        assert_eq!(time_for(usize::MAX), Duration::from_millis(u64::MAX / LOWEST_RATE));
    }

    #[test]
    fn a_deadline_that_never_expires_and_any_number_of_bytes_saturate() {
        assert_eq!(enough(Duration::MAX), u64::MAX / 1000);
        let mut progress = progress(PATIENCE);
        progress.moved = u64::MAX - 1;
        assert_eq!(progress.add(usize::MAX), Some(PATIENCE));
    }
}
