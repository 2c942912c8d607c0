//! Everything that was done, so that two runs can be compared.

use std::{collections::VecDeque, fmt};

/// A log of which the digest covers every byte, and of which the last lines are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Log {
    bytes: u64,
    digest: [u64; 2],
    last: VecDeque<String>,
}

impl Log {
    pub(crate) const fn new() -> Self {
        Self { bytes: 0, digest: [0xcbf2_9ce4_8422_2325, 0], last: VecDeque::new() }
    }

    pub(crate) fn line(&mut self, line: String) {
        self.data(line.as_bytes());
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// What went over a wire counts, but nobody wants to read it.
    pub(crate) fn data(&mut self, data: &[u8]) {
        let [mut fnv, mut sum] = self.digest;
        for &byte in data {
            fnv = (fnv ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            sum = sum.rotate_left(7).wrapping_add(fnv);
        }
        self.digest = [fnv, sum];
        self.bytes += u64::try_from(data.len()).unwrap_or(u64::MAX);
    }

    /// Bytes that were logged.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last lines, the newest one last.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {:016x}{:016x}", self.bytes, self.digest[0], self.digest[1])
    }
}

/// With `LOG` in the environment a failure shows what led to it.
impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("LOG").is_some() {
            self.last().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Lines that are kept: enough to see what led to a failure.
const KEPT: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_and_the_last_lines_are_kept() {
        let logged = |lines: &[&str]| {
            let mut log = Log::new();
            lines.iter().for_each(|line| log.line((*line).into()));
            log
        };
        assert_eq!(logged(&["a", "b"]), logged(&["a", "b"]));
        assert_ne!(logged(&["a", "b"]), logged(&["b", "a"]));
        let many = logged(&["x"; KEPT + 1]);
        assert_eq!((many.last().count(), many.bytes()), (KEPT, KEPT as u64 + 1));
    }
}
