//! Where a head ends.

use core::ops::Range;

use super::{fault::Fault, start_line::RequestLine};

/// Looks for the end of a head in bytes that arrive piece by piece, each byte once.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where the start line begins: behind the empty lines that came before it.
    start: usize,
    /// Where the current line begins.
    line: usize,
    /// Everything before this was looked at.
    searched: usize,
    empty_lines: usize,
    max_empty_lines: usize,
    /// Progress in a request line. The status line of a response is left to the parser.
    request_line: Option<RequestLine>,
}

impl Scan {
    /// RFC 9112 section 2.2: a server should ignore at least one empty line before the request line,
    /// as old clients sent one behind a body. More than a few are no client's habit.
    const MAX_EMPTY_LINES: usize = 4;

    /// For the head of a request.
    pub(super) const fn request() -> Self {
        Self::new(Self::MAX_EMPTY_LINES, Some(RequestLine::START))
    }

    /// For the head of an answer, before which no empty line is excused.
    pub(super) const fn answer() -> Self {
        Self::new(0, None)
    }

    const fn new(max_empty_lines: usize, request_line: Option<RequestLine>) -> Self {
        Self { start: 0, line: 0, searched: 0, empty_lines: 0, max_empty_lines, request_line }
    }

    /// The range of the first complete head in `bytes`, its empty line included, or `None` if more
    /// bytes are needed. Between two calls `bytes` may only grow.
    ///
    /// A line feed without a carriage return is refused as soon as it is seen, and so is a byte that
    /// cannot stand where it does in a request line. A head of more than `max` bytes is refused as soon as
    /// `max` bytes are there without its end.
    pub(super) fn find(&mut self, bytes: &[u8], max: usize) -> Result<Option<Range<usize>>, Fault> {
        let from = self.searched;
        match self.search(bytes, max) {
            // The parser checks the line of a complete head.
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => self.check_request_line(bytes, from).map(|()| None),
            Err(fault) => {
                // As far as the bytes would have been looked at if they had come one by one.
                let end = match fault {
                    Fault::LineTooLong { .. } | Fault::HeadTooLarge { .. } => {
                        bytes.len().min(self.start.saturating_add(max))
                    }
                    _ => self.searched,
                };
                self.check_request_line(&bytes[..end], from)?;
                Err(fault)
            }
        }
    }

    /// Checks the bytes of a request line behind the first `from`, which were checked before.
    fn check_request_line(&mut self, bytes: &[u8], from: usize) -> Result<(), Fault> {
        let Some(line) = &mut self.request_line else { return Ok(()) };
        let mut from = from;
        if from <= self.start {
            // Whatever came before was empty lines.
            (from, *line) = (self.start, RequestLine::START);
        }
        *line = line.check(bytes.get(from..).unwrap_or_default(), from - self.start)?;
        Ok(())
    }

    fn search(&mut self, bytes: &[u8], max: usize) -> Result<Option<Range<usize>>, Fault> {
        let from = self.searched;
        for at in memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at) {
            if at - self.start >= max {
                break;
            }
            self.searched = at + 1;
            if at == self.line || bytes[at - 1] != b'\r' {
                return Err(Fault::BareLineFeed { at: at - self.start });
            }
            if at == self.line + 1 {
                if self.line > self.start {
                    return Ok(Some(self.start..at + 1));
                }
                self.empty_lines += 1;
                if self.empty_lines > self.max_empty_lines {
                    return Err(Fault::EmptyLines { max: self.max_empty_lines });
                }
                self.start = at + 1;
            }
            self.line = at + 1;
        }
        if bytes.len() - self.start >= max {
            let in_start_line = self.line == self.start;
            return Err(if in_start_line {
                Fault::LineTooLong { max }
            } else {
                Fault::HeadTooLarge { max }
            });
        }
        self.searched = bytes.len();
        Ok(None)
    }

    /// How many bytes at the front are empty lines. The caller drops them: from now on `bytes` start
    /// behind them.
    pub(super) fn skip_empty_lines(&mut self) -> usize {
        let skipped = self.start;
        self.start = 0;
        self.line -= skipped;
        self.searched -= skipped;
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// Feeds `bytes` whole or one by one and tells where the head was found, or the fault.
    fn scan(bytes: &[u8], max: usize, step: usize) -> Result<Option<Range<usize>>, Fault> {
        let mut scan = Scan::request();
        let mut end = 0;
        while end < bytes.len() {
            end = (end + step).min(bytes.len());
            if let Some(range) = scan.find(&bytes[..end], max)? {
                return Ok(Some(range));
            }
        }
        Ok(None)
    }

    fn both(bytes: &[u8], max: usize) -> Result<Option<Range<usize>>, Fault> {
        let whole = scan(bytes, max, usize::MAX);
        for step in 1..4 {
            assert_eq!(scan(bytes, max, step), whole, "in steps of {step}");
        }
        whole
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(both(HEAD, 1000), Ok(Some(0..HEAD.len())));
        assert_eq!(both(&HEAD[..HEAD.len() - 1], 1000), Ok(None));
        let trailing = [HEAD, b"\n\r\n\r\nrest"].concat();
        assert_eq!(both(&trailing, 1000), Ok(Some(0..HEAD.len())));
    }

    #[test]
    fn a_few_empty_lines_before_it_are_skipped() {
        let bytes = [&b"\r\n\r\n"[..], HEAD].concat();
        assert_eq!(both(&bytes, HEAD.len()), Ok(Some(4..bytes.len())));
        for rest in [HEAD, b"\0", b"\n"] {
            let bytes = [&b"\r\n".repeat(5)[..], rest].concat();
            assert_eq!(both(&bytes, 1000), Err(Fault::EmptyLines { max: 4 }));
        }
    }

    #[test]
    fn no_empty_line_may_come_before_an_answer() {
        let refused = Err(Fault::EmptyLines { max: 0 });
        assert_eq!(Scan::answer().find(b"\r\n", 100), refused);
        assert_eq!(Scan::answer().find(b"\r\nHTTP/1.1 200 OK\r\n\r\n", 100), refused);
        assert_eq!(Scan::answer().find(b"HTTP/1.1 200 OK\r\n\r\n", 100), Ok(Some(0..19)));
    }

    #[test]
    fn a_bare_line_feed_is_refused_at_once() {
        assert_eq!(both(b"\n", 1000), Err(Fault::BareLineFeed { at: 0 }));
        assert_eq!(both(b"\r\n\nG", 1000), Err(Fault::BareLineFeed { at: 0 }));
        assert_eq!(both(b"GET / HTTP/1.1\nHost", 1000), Err(Fault::BareLineFeed { at: 14 }));
        let second = b"GET / HTTP/1.1\r\nb\r\n\n";
        assert_eq!(both(second, 1000), Err(Fault::BareLineFeed { at: 19 }));
    }

    #[test]
    fn a_head_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let max = HEAD.len();
        assert_eq!(both(HEAD, max), Ok(Some(0..max)));
        assert_eq!(both(HEAD, max - 1), Err(Fault::HeadTooLarge { max: max - 1 }));
        assert_eq!(both(&HEAD[..max - 1], max - 1), Err(Fault::HeadTooLarge { max: max - 1 }));
        assert_eq!(both(&HEAD[..max - 2], max - 1), Ok(None));
        assert_eq!(both(HEAD, 15), Err(Fault::LineTooLong { max: 15 }));
    }

    #[test]
    fn skipped_empty_lines_can_be_dropped_between_two_pieces() {
        let mut scan = Scan::request();
        assert_eq!(scan.find(b"\r\n\r\nGE", 100), Ok(None));
        assert_eq!(scan.skip_empty_lines(), 4);
        assert_eq!(scan.find(b"GET /\r\n\r\n", 100), Ok(Some(0..9)));
    }

    #[test]
    fn no_byte_is_looked_at_twice() {
        let mut scan = Scan::request();
        assert_eq!(scan.find(b"GET / HTTP", 100), Ok(None));
        // Would be refused if it were searched again.
        assert_eq!(scan.find(b"\n\n\n\n\n\n\n\n\n\n/1.1\r\n", 100), Ok(None));
    }
}
