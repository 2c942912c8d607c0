//! Reports on standard error how far long work is, so that standard output stays the result.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A line of progress: rewritten in place on a terminal, else a plain line every few seconds.
///
/// Dropping it clears the line, so that the result stands where the line stood.
#[derive(Debug)]
pub struct Progress<W: Write = io::Stderr> {
    output: W,
    terminal: bool,
    started: Instant,
    due: Duration,
}

impl Progress {
    /// Reports on standard error.
    pub fn stderr() -> Self {
        let output = io::stderr();
        let terminal = output.is_terminal();
        Self::new(output, terminal)
    }
}

impl<W: Write> Progress<W> {
    /// Reports to `output`, which is a terminal or not.
    pub fn new(output: W, terminal: bool) -> Self {
        Self { output, terminal, started: Instant::now(), due: Duration::ZERO }
    }

    /// Prints a line if the last one is old enough; `line` is called only then.
    ///
    /// It gets the time since the start.
    pub fn report(&mut self, line: impl FnOnce(Duration) -> String) {
        let elapsed = self.started.elapsed();
        if elapsed < self.due {
            return;
        }
        self.due = elapsed + if self.terminal { REWRITE } else { PLAIN };
        let line = line(elapsed);
        // Work does not end because its progress cannot be told.
        let _ = if self.terminal {
            let shown: String = line.chars().take(COLUMNS).collect();
            write!(self.output, "\r{shown}{ERASE_TO_END}").and_then(|()| self.output.flush())
        } else {
            writeln!(self.output, "{line}")
        };
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        if self.terminal && self.due > Duration::ZERO {
            let _ = write!(self.output, "\r{ERASE_TO_END}").and_then(|()| self.output.flush());
        }
    }
}

/// Between two rewrites on a terminal: quick enough to be seen moving.
const REWRITE: Duration = Duration::from_millis(100);

/// Between two plain lines: a log of an hour has some hundreds.
const PLAIN: Duration = Duration::from_secs(5);

/// A longer line would wrap on a terminal of usual width, and could not be rewritten.
const COLUMNS: usize = 79;

/// "Erase in Line" of ECMA-48.
const ERASE_TO_END: &str = "\x1b[K";

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(terminal: bool, lines: &[&str]) -> String {
        let mut output = Vec::new();
        let mut progress = Progress::new(&mut output, terminal);
        for line in lines {
            progress.due = progress.due.min(progress.started.elapsed());
            progress.report(|_| (*line).to_owned());
        }
        drop(progress);
        String::from_utf8_lossy(&output).into_owned()
    }

    #[test]
    fn a_file_gets_plain_lines() {
        assert_eq!(reported(false, &["one", "two"]), "one\ntwo\n");
    }

    #[test]
    fn a_terminal_gets_one_line_that_is_cleared_at_the_end() {
        assert_eq!(reported(true, &["one", "two"]), "\rone\x1b[K\rtwo\x1b[K\r\x1b[K");
    }

    #[test]
    fn a_line_wider_than_a_terminal_is_cut() {
        let shown = reported(true, &[&"x".repeat(200)]);
        assert_eq!(shown.matches('x').count(), COLUMNS);
    }

    #[test]
    fn a_line_before_its_time_is_not_even_made() {
        let mut output = Vec::new();
        let mut progress = Progress::new(&mut output, false);
        progress.report(|_| "first".into());
        progress.report(|_| unreachable!("five seconds have not passed"));
        drop(progress);
        assert_eq!(output, b"first\n");
    }

    #[test]
    fn unused_progress_leaves_a_terminal_alone() {
        assert_eq!(reported(true, &[]), "");
    }
}
