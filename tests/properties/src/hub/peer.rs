//! What peers send, and what they make of what they get.

use std::collections::VecDeque;

use enginewire::{Revision, hub::SessionId};

pub(super) fn get(query: &str) -> Vec<u8> {
    format!("GET /engine.io/?{query} HTTP/1.1\r\nHost: a\r\n\r\n").into()
}

pub(super) fn post(query: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST /engine.io/?{query} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub(super) fn upgrade(query: &str) -> Vec<u8> {
    format!(
        "GET /engine.io/?{query} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into()
}

/// A frame with a mask of zeros, cut where a length of 16 bits ends.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    let mut frame = vec![first];
    frame.extend(if length < 126 { vec![0x80 | low] } else { vec![0x80 | 126, high, low] });
    frame.extend([0; 4]);
    frame.extend(&payload[..length.into()]);
    frame
}

/// What a request that was sent waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A poll, which waits as long as its session likes.
    Poll,
    /// An answer that may take its time only if the application does.
    Open,
    Post,
    Upgrade,
}

/// A request that was sent and has not been answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) what: Sent,
    /// Of which session, if it is of one.
    pub(super) session: Option<SessionId>,
    /// By which the answer is read.
    pub(super) revision: Revision,
    /// No other has it.
    pub(super) serial: u64,
}

/// What has come, of what may have to do with a session.
#[derive(Debug)]
pub(super) enum Came {
    /// Status 200, for this request; whether its body is binary, and the body.
    Answer(Request, bool, Vec<u8>),
    /// The first byte of a frame, and its payload.
    Frame(u8, Vec<u8>),
}

/// Takes apart what a server writes, and complains if it is not what a server may write.
#[derive(Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// Requests that have not been answered, the oldest first.
    pub(super) waiting: VecDeque<Request>,
    pub(super) came: VecDeque<Came>,
    /// The connection has become a WebSocket.
    websocket: bool,
    /// A Close, or a last answer, has come.
    closed: bool,
}

impl Reader {
    pub(super) const fn is_websocket(&self) -> bool {
        self.websocket
    }

    /// `tidy` says that only whole requests were sent, so that answers can be told apart.
    pub(super) fn read(&mut self, bytes: &[u8], tidy: bool) {
        self.buffer.extend_from_slice(bytes);
        while let Some(used) = if self.websocket { self.frame() } else { self.answer(tidy) } {
            self.buffer.drain(..used);
        }
    }

    fn answer(&mut self, tidy: bool) -> Option<usize> {
        let end = self.buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.buffer[..end]).expect("heads are text");
        // Nobody has said that pages of other sites may read it.
        assert!(!head.contains("Access-Control-Allow"), "{head}");
        let status: u16 = head.strip_prefix("HTTP/1.1 ").expect("an answer")[..3].parse().unwrap();
        if status == 100 {
            return Some(end);
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut length: usize = length.map_or(0, |length| length.parse().unwrap());
        if !tidy {
            // What was asked may have been HEAD, which is answered without the body: then the next answer
            // follows, and no body begins like one.
            let behind = &self.buffer[end..];
            if behind.starts_with(ANSWER) {
                length = 0;
            } else if !behind.is_empty() && ANSWER.starts_with(behind) {
                return None;
            }
        }
        if self.buffer.len() < end + length {
            return None;
        }
        assert!(!self.closed, "an answer behind the last");
        self.closed = head.contains("Connection: close\r\n");
        let answered = self.waiting.pop_front();
        assert!(!tidy || answered.is_some() || matches!(status, 408 | 400 | 431), "{head}");
        if status == 101 {
            let upgraded = answered.is_some_and(|request| request.what == Sent::Upgrade);
            assert!(!tidy || upgraded, "{answered:?}");
            self.websocket = true;
        }
        if let (Some(request), 200, true) = (answered, status, tidy) {
            let binary = head.contains("Content-Type: application/octet-stream\r\n");
            let body = self.buffer[end..end + length].to_vec();
            self.came.push_back(Came::Answer(request, binary, body));
        }
        Some(end + length)
    }

    /// RFC 6455 section 5: one frame, not masked.
    fn frame(&mut self) -> Option<usize> {
        let &[first, second, ..] = &self.buffer[..] else { return None };
        assert!(matches!(first, 0x81 | 0x82 | 0x88 | 0x8a), "{first:#x}");
        assert!(!self.closed, "a frame behind the Close");
        let (length, head) = match second {
            126 => {
                let length = self.buffer.get(2..4)?;
                (usize::from(length[0]) << 8 | usize::from(length[1]), 4)
            }
            127 => panic!("no message is so long"),
            length => (usize::from(length), 2),
        };
        assert!(second < 128, "masked");
        let payload = self.buffer.get(head..head + length)?;
        if first == 0x81 {
            assert!(std::str::from_utf8(payload).is_ok());
        }
        self.closed = first == 0x88;
        if matches!(first, 0x81 | 0x82) {
            self.came.push_back(Came::Frame(first, payload.to_vec()));
        }
        Some(head + length)
    }
}

/// How every answer begins.
const ANSWER: &[u8] = b"HTTP/1.1 ";
