//! What a bystander sees of the HTTP and the frames on a connection.

use std::collections::VecDeque;

/// Counts requests and answers as they are written, and knows what the packets in them amount to,
/// without the code that is under test.
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
    /// The head so far, of a request, an answer or a frame.
    head: Vec<u8>,
    /// Bytes of the body that are to come.
    body: u64,
    seen: u64,
    /// Heads that are complete.
    heads: u64,
    /// The last of them was of a POST.
    posts: bool,
    content: Content,
    packet: Packet,
    /// What has been written and was not read when it was last asked for, in order.
    unread: VecDeque<(u64, Content)>,
}

/// What the packets in a body or a frame amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: u64,
    /// There is a ping or a pong among them.
    pub(crate) beat: bool,
}

/// The beginning of the packet that is being read, as much as tells what it is.
#[derive(Debug, Default)]
struct Packet {
    start: [u8; 4],
    len: usize,
}

impl Observer {
    /// The client has sent this. Gives back how many requests ended their heads in it.
    pub(crate) fn request(&mut self, bytes: &[u8]) -> u64 {
        if self.upgraded.is_some() {
            self.up.frames(bytes);
            return 0;
        }
        let before = self.up.heads;
        self.up.scan(bytes, |_| false);
        self.up.heads - before
    }

    /// The server has sent this. Gives back how many answers ended their heads in it.
    pub(crate) fn answer(&mut self, bytes: &[u8]) -> u64 {
        let before = self.down.heads;
        if self.upgraded.is_some() {
            self.down.frames(bytes);
        } else if let Some(frames) =
            self.down.scan(bytes, |head| head.starts_with(b"HTTP/1.1 101 "))
        {
            self.upgraded = Some([self.up.seen, self.down.seen]);
            self.down.frames(frames);
        }
        self.down.heads - before
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

    /// Whether a POST has been sent, at least its head, and not been answered.
    pub(crate) const fn owes_post(&self) -> bool {
        self.up.posts && self.down.heads < self.up.heads
    }

    /// What was in the bodies and frames of the client, or of the server, that have been read whole
    /// since this was last asked for. `read` counts all that was read of this direction.
    pub(crate) fn read(&mut self, of_client: bool, read: u64) -> Content {
        let scanner = if of_client { &mut self.up } else { &mut self.down };
        let mut all = Content::default();
        while let Some(&(end, content)) = scanner.unread.front()
            && end <= read
        {
            scanner.unread.pop_front();
            all.bytes += content.bytes;
            all.beat |= content.beat;
        }
        all
    }
}

impl Scanner {
    /// Stops behind a head that `is_last`, and gives back what is behind it.
    fn scan<'a>(&mut self, bytes: &'a [u8], is_last: impl Fn(&[u8]) -> bool) -> Option<&'a [u8]> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.body > 0 {
                rest = self.skip(rest, None);
                continue;
            }
            self.head.push(rest[0]);
            self.seen += 1;
            rest = &rest[1..];
            if self.head.ends_with(b"\r\n\r\n") {
                let head = std::mem::take(&mut self.head);
                self.heads += 1;
                self.posts = head.starts_with(b"POST ");
                self.body = content_length(&head);
                if is_last(&head) {
                    return Some(rest);
                }
            }
        }
        None
    }

    /// The same, once there are frames: each is taken for a whole message, as nobody here sends parts.
    fn frames(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.body > 0 {
                // Of a ping or pong there is but one byte, behind a mask or not.
                let mask = if self.head[1] & 0x80 > 0 { self.head[self.head.len() - 4] } else { 0 };
                // What is in a binary frame is a message, whatever it begins with.
                let is_text = self.head[0] & 0x0f == 1;
                rest = self.skip(rest, Some(if is_text { rest[0] ^ mask } else { MESSAGE }));
                continue;
            }
            if self.head.len() >= 2 && self.head.len() == frame_head(&self.head) {
                self.head.clear();
            }
            self.head.push(rest[0]);
            self.seen += 1;
            rest = &rest[1..];
            if self.head.len() >= 2 && self.head.len() == frame_head(&self.head) {
                self.body = frame_body(&self.head);
            }
        }
    }

    /// Passes by what there is of the body, whose packet begins with `first` if it is a frame. Gives back
    /// what is behind it.
    fn skip<'a>(&mut self, bytes: &'a [u8], first: Option<u8>) -> &'a [u8] {
        let size = usize::try_from(self.body).map_or(bytes.len(), |body| body.min(bytes.len()));
        let (body, behind) = bytes.split_at(size);
        match first {
            Some(first) => self.packet.push(&[first], body.len()),
            None => {
                for (index, part) in body.split(|&byte| byte == SEPARATOR).enumerate() {
                    if index > 0 {
                        self.content.beat |= self.packet.end();
                    }
                    self.packet.push(part, part.len());
                }
            }
        }
        self.body -= size as u64;
        self.seen += size as u64;
        self.content.bytes += size as u64;
        if self.body == 0 {
            self.content.beat |= self.packet.end();
            self.unread.push_back((self.seen, std::mem::take(&mut self.content)));
        }
        behind
    }
}

impl Packet {
    /// More of it, of which only the beginning may be known.
    fn push(&mut self, start: &[u8], len: usize) {
        let room = self.start.len().saturating_sub(self.len).min(start.len());
        let from = self.len.min(self.start.len());
        self.start[from..from + room].copy_from_slice(&start[..room]);
        self.len += len;
    }

    /// Nothing more of it follows: says whether it was a ping or a pong. In the text payloads of
    /// revision 3, which begin with a length, the first packet is looked at.
    fn end(&mut self) -> bool {
        let Self { start, len } = std::mem::take(self);
        let kind = if len >= 3 && start.starts_with(b"1:") { start[2] } else { start[0] };
        (len == 1 || (len >= 3 && start.starts_with(b"1:"))) && matches!(kind, b'2' | b'3')
    }
}

/// Bytes of the head of a frame that begins like this.
fn frame_head(start: &[u8]) -> usize {
    let mask = if start[1] & 0x80 > 0 { 4 } else { 0 };
    let length = match start[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + mask
}

/// Bytes behind this head of a frame.
fn frame_body(head: &[u8]) -> u64 {
    let length = match head[1] & 0x7f {
        126 => &head[2..4],
        127 => &head[2..10],
        _ => return u64::from(head[1] & 0x7f),
    };
    length.iter().fold(0, |length, &byte| length << 8 | u64::from(byte))
}

/// The length of the body that follows this head.
pub(crate) fn content_length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let field = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    field.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// What a message begins with.
const MESSAGE: u8 = b'4';

/// What stands between the packets of a payload of revision 4.
const SEPARATOR: u8 = 0x1e;

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

    #[test]
    fn what_packets_amount_to_is_known_once_they_have_been_read_whole() {
        let cases: [(&[u8], Content); 6] = [
            (b"2", Content { bytes: 1, beat: true }),
            (b"4a\x1e3", Content { bytes: 4, beat: true }),
            (b"4a\x1e3x", Content { bytes: 5, beat: false }),
            (b"1:33:4ab", Content { bytes: 8, beat: true }),
            (b"3:4ab", Content { bytes: 5, beat: false }),
            (b"42", Content { bytes: 2, beat: false }),
        ];
        for (body, content) in cases {
            let mut post = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
            post.push_str(std::str::from_utf8(body).unwrap());
            for size in 1..=post.len() {
                let mut observer = Observer::default();
                post.as_bytes().chunks(size).for_each(|bytes| {
                    observer.request(bytes);
                });
                assert!(observer.owes_post());
                let end = post.len() as u64;
                assert_eq!(observer.read(true, end - 1), Content::default());
                assert_eq!(observer.read(true, end), content, "{body:?} by {size}");
                assert_eq!(observer.read(true, end), Content::default());
                observer.answer(b"HTTP/1.1 200 OK\r\n\r\n");
                assert!(!observer.owes_post());
            }
        }
    }

    #[test]
    fn frames_are_known_whoever_has_masked_them() {
        let head = b"HTTP/1.1 101 \r\n\r\n";
        // A pong, an empty message, one of 200 bytes that begins like a pong, a ping, and a message that is
        // the byte of a pong.
        let plain =
            [&b"\x81\x013\x81\x00\x81\x7e\x00\xc8"[..], &[b'3'; 200], b"\x81\x012\x82\x013"]
                .concat();
        let masked = b"\x81\x81\x07\0\0\x014\x81\x81\x07\0\0\x013";
        for size in 1..=plain.len() {
            let mut observer = Observer::default();
            let all = [head, &plain[..]].concat();
            all.chunks(size).for_each(|bytes| {
                observer.answer(bytes);
            });
            masked.chunks(size).for_each(|bytes| {
                observer.request(bytes);
            });
            let at = head.len() as u64;
            assert_eq!(observer.read(false, at + 3), Content { bytes: 1, beat: true });
            assert_eq!(observer.read(false, at + 209), Content { bytes: 200, beat: false });
            assert_eq!(observer.read(false, at + 212), Content { bytes: 1, beat: true });
            assert_eq!(observer.read(false, at + 215), Content { bytes: 1, beat: false });
            assert_eq!(observer.read(true, 7), Content { bytes: 1, beat: true });
            assert_eq!(observer.read(true, 14), Content { bytes: 1, beat: false });
        }
    }
}
