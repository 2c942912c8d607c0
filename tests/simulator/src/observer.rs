//! What a bystander sees of the HTTP on a connection.

/// Counts requests and answers as they are written, without the code that is under test.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    up: Scanner,
    down: Scanner,
    /// Bytes that either side has sent before the connection became a WebSocket.
    pub(crate) upgraded: Option<[u64; 2]>,
}

/// One direction.
#[derive(Debug, Default)]
struct Scanner {
    /// The head so far.
    head: Vec<u8>,
    /// Bytes of the body that are to come.
    body: u64,
    seen: u64,
    /// Heads that are complete.
    heads: u64,
}

impl Observer {
    /// The client has sent this. Gives back how many requests ended their heads in it.
    pub(crate) fn request(&mut self, bytes: &[u8]) -> u64 {
        if self.upgraded.is_some() {
            return 0;
        }
        let before = self.up.heads;
        self.up.scan(bytes, |_| false);
        self.up.heads - before
    }

    /// The server has sent this.
    pub(crate) fn answer(&mut self, bytes: &[u8]) {
        if self.upgraded.is_none()
            && let Some(down) = self.down.scan(bytes, |head| head.starts_with(b"HTTP/1.1 101 "))
        {
            self.upgraded = Some([self.up.seen, down]);
        }
    }

    pub(crate) const fn requests(&self) -> u64 {
        self.up.heads
    }

    pub(crate) const fn answers(&self) -> u64 {
        self.down.heads
    }

    /// Whether an answer has begun and is not complete.
    pub(crate) const fn is_within_answer(&self) -> bool {
        self.down.body > 0 || !self.down.head.is_empty()
    }
}

impl Scanner {
    /// Stops behind a head that `is_last`, and says how many bytes there were up to there.
    fn scan(&mut self, bytes: &[u8], is_last: impl Fn(&[u8]) -> bool) -> Option<u64> {
        let mut rest = bytes;
        while let Some((&first, behind)) = rest.split_first() {
            if self.body > 0 {
                let skipped = usize::try_from(self.body).map_or(rest.len(), |n| n.min(rest.len()));
                self.body -= skipped as u64;
                self.seen += skipped as u64;
                rest = &rest[skipped..];
                continue;
            }
            self.head.push(first);
            self.seen += 1;
            rest = behind;
            if self.head.ends_with(b"\r\n\r\n") {
                let head = std::mem::take(&mut self.head);
                self.heads += 1;
                self.body = content_length(&head);
                if is_last(&head) {
                    return Some(self.seen);
                }
            }
        }
        None
    }
}

fn content_length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let field = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    field.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_counted_however_they_are_cut() {
        let post = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        for size in 1..=post.len() {
            let mut observer = Observer::default();
            let requests: u64 = post.chunks(size).map(|bytes| observer.request(bytes)).sum();
            assert_eq!((requests, observer.requests(), observer.answers()), (2, 2, 0));
        }
    }

    #[test]
    fn an_answer_is_under_way_from_its_first_byte_to_its_last() {
        let answer = b"HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\n\r\n\r\n";
        for size in 0..=answer.len() {
            let mut observer = Observer::default();
            observer.answer(&answer[..size]);
            assert_eq!(observer.is_within_answer(), size > 0 && size < answer.len(), "{size}");
        }
    }

    #[test]
    fn behind_a_101_nothing_is_counted() {
        let mut observer = Observer::default();
        observer.request(b"GET / HTTP/1.1\r\n\r\n");
        observer.answer(b"HTTP/1.1 101 \r\n\r\n\x81\x00HTTP/1.1 200 \r\n\r\n");
        observer.answer(b"HTTP/1.1 200 \r\n\r\n");
        assert_eq!(observer.request(b"GET / HTTP/1.1\r\n\r\n"), 0);
        assert_eq!((observer.requests(), observer.answers()), (1, 1));
        assert_eq!(observer.upgraded, Some([18, 17]));
    }
}
