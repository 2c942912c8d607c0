//! A client's side of its connection: frames, packets, and what it knows of its namespaces.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

/// A packet of the server.
#[derive(Debug, PartialEq)]
pub(super) struct Packet {
    pub(super) kind: u8,
    pub(super) namespace: String,
    pub(super) ack: Option<u64>,
    /// `Null` if there is none.
    pub(super) payload: Value,
}

/// Takes apart what the server writes on a WebSocket.
#[derive(Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// The response to the upgrade has come.
    is_open: bool,
    /// The server has closed.
    is_closed: bool,
    pub(super) packets: VecDeque<Packet>,
}

impl Reader {
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if !self.is_open {
            let end = self.buffer.windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = end else { return };
            self.is_open = self.buffer.starts_with(b"HTTP/1.1 101 ");
            let rest = self.buffer.split_off(end + 4);
            self.buffer = if self.is_open { rest } else { Vec::new() };
        }
        while let Some(used) = self.frame() {
            self.buffer.drain(..used);
        }
    }

    /// RFC 6455 section 5: one frame, not masked.
    fn frame(&mut self) -> Option<usize> {
        let &[first, second, ..] = &self.buffer[..] else { return None };
        let (length, head) = match second {
            126 => {
                (usize::from(u16::from_be_bytes([*self.buffer.get(2)?, *self.buffer.get(3)?])), 4)
            }
            length => (usize::from(length), 2),
        };
        assert!(second < 127, "longer than anything that is said");
        let payload = self.buffer.get(head..head + length)?.to_vec();
        assert!(!self.is_closed, "a frame behind the Close");
        match (first, &payload[..]) {
            (0x81, [b'4', packet @ ..]) => self.packets.push_back(Packet::read(packet)),
            // The handshake, pings, pongs, the end.
            (0x81, [b'0'..=b'3' | b'6', ..]) | (0x8a, _) => {}
            (0x88, _) => self.is_closed = true,
            _ => panic!("{first:#x} {}", payload.escape_ascii()),
        }
        Some(head + length)
    }
}

impl Packet {
    fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("packets are text here");
        let (kind, mut rest) = text.split_at_checked(1).expect("a packet has a type");
        let mut namespace = "/";
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (ack, rest) = rest.split_at(digits);
        Self {
            kind: kind.as_bytes()[0],
            namespace: namespace.into(),
            ack: ack.parse().ok(),
            payload: if rest.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(rest).expect("payloads are JSON")
            },
        }
    }
}

/// State of a client in a namespace that it is connected to.
pub(super) struct Connected {
    /// The number of its socket.
    pub(super) socket: usize,
}

/// A client with one connection.
#[derive(Default)]
pub(super) struct Client {
    pub(super) reader: Reader,
    pub(super) namespaces: BTreeMap<String, Connected>,
    /// Events that came before the answer to the request for their namespace.
    pub(super) early: BTreeMap<String, Vec<Packet>>,
    /// Requests that have no answer.
    pub(super) asking: BTreeMap<String, usize>,
    /// Namespaces that it has left, whose events may be on their way.
    pub(super) left: Vec<String>,
    /// Events that it is to acknowledge: namespace, number and what it says.
    pub(super) owed: VecDeque<(String, u64, u64)>,
}

impl Client {
    pub(super) fn ask(&mut self, namespace: &str) {
        *self.asking.entry(namespace.into()).or_default() += 1;
    }

    /// Takes the answer to a request.
    pub(super) fn answered(&mut self, namespace: &str) -> bool {
        let asking = self.asking.get_mut(namespace).filter(|asking| **asking > 0);
        asking.map(|asking| *asking -= 1).is_some()
    }
}

/// A request for a session on a WebSocket. It names the connection.
pub(super) fn upgrade(revision: u8, link: usize) -> Vec<u8> {
    format!(
        "GET /socket.io/?EIO={revision}&transport=websocket&link={link} HTTP/1.1\r\nHost: a\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into()
}
