//! RFC 6455 rule by rule, for both roles. Names of cases follow the order of the Autobahn suite.

mod closing;
#[cfg(feature = "deflate")]
mod compression;
mod control;
mod framing;
mod limits;
mod messages;
mod random;
mod sending;

use alloc::{format, vec, vec::Vec};

use bytes::{Buf, Bytes};

use super::{Closed, Received, Role, Violation, WebSocket};
use crate::{
    deflate::DeflateParameters,
    packet::Message,
    text::Text,
    wire::{Arena, Input, Output},
};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A WebSocket to be tested, and the peer's way to write frames for it.
#[derive(Clone, Debug)]
struct Setup {
    role: Role,
    max_message: usize,
    max_fragments: usize,
    compression: Option<DeflateParameters>,
}

fn server() -> Setup {
    Setup { role: Role::Server, max_message: 1 << 20, max_fragments: 200, compression: None }
}

fn client() -> Setup {
    Setup { role: Role::Client { mask_seed: [7; 16] }, ..server() }
}

fn both() -> [Setup; 2] {
    [server(), client()]
}

/// All that was seen of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    received: Vec<Received>,
    /// First byte and payload of each frame that was sent.
    sent: Vec<(u8, Vec<u8>)>,
    closing: bool,
    closed: bool,
}

impl Setup {
    /// Whether the frames that it sends are masked; those of the peer are if these are not.
    const fn masks(&self) -> bool {
        matches!(self.role, Role::Client { .. })
    }

    fn socket(&self) -> WebSocket {
        WebSocket::new(self.role.clone(), self.max_message, self.max_fragments)
            .with_compression(self.compression.clone())
    }

    /// A frame from the peer, masked as its role demands, its length in the shortest form.
    fn frame(&self, first: u8, payload: &[u8]) -> Vec<u8> {
        raw(first, payload, (!self.masks()).then_some(MASK))
    }

    fn frames(&self, frames: &[(u8, &[u8])]) -> Vec<u8> {
        frames.iter().flat_map(|(first, payload)| self.frame(*first, payload)).collect()
    }

    /// Returns the outcome of `stream`, which is the same for all reads. The reads are the whole,
    /// single bytes, steps that fall together with no frame, and two with any cut between them. It
    /// is also the same with the start of something else behind it.
    fn decode(&self, stream: &[u8]) -> Outcome {
        let outcome = self.decode_part(stream);
        let with_more = [stream, &self.frame(FIN | PING, b"more")].concat();
        let mut more = self.decode_part(&with_more);
        if !outcome.closing {
            assert_eq!(more.sent.pop(), Some((FIN | PONG, b"more".to_vec())));
        }
        assert_eq!(more, outcome, "with a frame behind it");
        outcome
    }

    /// The same for a stream that ends inside a frame.
    fn decode_part(&self, stream: &[u8]) -> Outcome {
        let outcome = self.run(stream, [stream.len()]);
        for step in [1, 2, 3, 7, 1000] {
            let sizes = core::iter::repeat_n(step, stream.len() / step + 1);
            assert_eq!(self.run(stream, sizes), outcome, "in steps of {step}");
        }
        for cut in 1..stream.len().min(100) {
            assert_eq!(self.run(stream, [cut, stream.len()]), outcome, "cut at {cut}");
        }
        outcome
    }

    /// Hands over `stream` in reads of these sizes.
    fn run(&self, stream: &[u8], sizes: impl IntoIterator<Item = usize>) -> Outcome {
        let mut tested = Tested::new(self);
        let mut rest = stream;
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            tested.read(piece);
            rest = after;
        }
        assert!(rest.is_empty(), "the sizes do not cover the stream");
        tested.outcome()
    }

    /// The stream breaks a rule at its very end, and is refused with the code of that rule and
    /// nothing else.
    #[track_caller]
    fn refuses(&self, stream: &[u8], violation: &Violation) {
        let outcome = self.decode(stream);
        let closed = Received::Closed(Closed::Violation(violation.clone()));
        assert_eq!(outcome.received, [closed]);
        assert_eq!(outcome.sent, [(FIN | CLOSE, violation.code().to_be_bytes().to_vec())]);
        assert!(outcome.closed);
    }
}

/// A WebSocket with all that it has given so far.
struct Tested {
    socket: WebSocket,
    /// Whether its frames have to be masked.
    masked: bool,
    arena: Arena,
    out: Output,
    received: Vec<Received>,
}

impl Tested {
    fn new(setup: &Setup) -> Self {
        Self {
            socket: setup.socket(),
            masked: setup.masks(),
            arena: Arena::new(),
            out: Output::new(),
            received: Vec::new(),
        }
    }

    /// One read; gives how much was received through it.
    fn read(&mut self, bytes: &[u8]) -> usize {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let before = self.received.len();
        while let Some(received) =
            self.socket.handle_bytes(&mut input, &mut self.arena, &mut self.out)
        {
            self.received.push(received);
        }
        assert!(input.is_empty(), "None means that all was taken");
        self.received.len() - before
    }

    fn outcome(mut self) -> Outcome {
        let sent = self.out.copy_to_bytes(self.out.remaining());
        Outcome {
            received: self.received,
            sent: unframe(&sent, self.masked),
            closing: self.socket.is_closing(),
            closed: self.socket.is_closed(),
        }
    }
}

/// One frame, from the picture in section 5.2 and not from the code under test.
fn raw(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![first];
    let bit = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => frame.push(bit | u8::try_from(len).unwrap()),
        len @ 126..=65535 => {
            frame.push(bit | 126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(bit | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        frame.extend(mask);
    }
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
    frame
}

/// Takes frames apart, likewise; all of them must be masked, or none.
fn unframe(mut bytes: &[u8], masked: bool) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while bytes.has_remaining() {
        let first = bytes.get_u8();
        let second = bytes.get_u8();
        let has_mask = second & 0x80 != 0;
        assert_eq!(has_mask, masked);
        let len = match second & 0x7f {
            126 => usize::from(bytes.get_u16()),
            127 => usize::try_from(bytes.get_u64()).unwrap(),
            len => usize::from(len),
        };
        let mut mask = [0; 4];
        if has_mask {
            bytes.copy_to_slice(&mut mask);
        }
        let (payload, rest) = bytes.split_at(len);
        frames.push((first, payload.iter().enumerate().map(|(i, b)| b ^ mask[i % 4]).collect()));
        bytes = rest;
    }
    frames
}

fn text(text: &str) -> Received {
    Received::Message(text.into())
}

fn binary(bytes: &[u8]) -> Received {
    Received::Message(bytes.into())
}

fn closed_by_peer(code: Option<u16>, reason: &str) -> Received {
    Received::Closed(Closed::Peer { code, reason: reason.into() })
}
