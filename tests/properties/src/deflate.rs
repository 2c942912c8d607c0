//! permessage-deflate. The first byte has the level and whether contexts are kept, the second the windows. Behind them
//! come records: a kind, a length in two bytes, and so many bytes. They are the payload of a compressed message that a
//! peer made up, or a message to be compressed by one of our roles and inflated by the other.

use bytes::{Buf, Bytes};
use enginewire::{
    Message, PerMessageDeflate,
    codec::Frame,
    wire::{
        Arena, Input, Output,
        http::{RequestHead, ResponseHead},
        ws::{self, ClientKey, Closed, Received, Role, Violation, WebSocket},
    },
};
use miniz_oxide::{
    DataFormat, MZError, MZFlush, MZStatus,
    inflate::stream::{InflateState, inflate},
};

use crate::memory::Watch;

/// The most that a message may have.
const MAX: usize = 200_000;

/// Sends and receives what the bytes say: so many messages came through.
pub fn run(data: &[u8]) -> usize {
    let [setting, windows, rest @ ..] = data else { return 0 };
    let options = options(*setting, *windows);
    let mut pair = Pair::new(&options);
    let mut messages = 0;
    let mut rest = rest;
    while let [kind, high, low, bytes @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(bytes.len());
        let (bytes, behind) = bytes.split_at(len);
        messages += match kind % 4 {
            0 => made_up(&options, kind & 4 == 0, bytes),
            kind => pair.exchange(kind, bytes),
        };
        rest = behind;
    }
    messages
}

fn options(setting: u8, windows: u8) -> PerMessageDeflate {
    let mut options = PerMessageDeflate::default();
    options.threshold = usize::from(setting >> 6) * 50;
    options.level = setting % 16;
    options.server_context_takeover = setting & 16 != 0;
    options.client_context_takeover = setting & 32 != 0;
    options.server_max_window_bits = 9 + windows % 7;
    options.client_max_window_bits = 9 + windows / 16 % 7;
    options
}

/// Heap of two sockets, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// What one keeps that has compressed a message, and one that has inflated it.
    pub kept: [usize; 2],
    /// What is left of both once they are dropped.
    pub left: usize,
}

/// Counts what contexts cost, or sockets that keep none. Compressors of the thread do not count.
pub fn contexts(bits: u8, takeover: bool) -> Cost {
    let mut options = PerMessageDeflate::default();
    options.server_context_takeover = takeover;
    options.client_context_takeover = takeover;
    options.server_max_window_bits = bits;
    options.client_max_window_bits = bits;
    let message = Message::from("chat message ".repeat(10_000));
    let mut arenas = [Arena::new(), Arena::new()];
    let mut cost = Cost { kept: [0; 2], left: 0 };
    // The first time it is what the thread keeps.
    for _ in 0..2 {
        let all = Watch::start();
        let mut pair = agreed(&options);
        let watch = Watch::start();
        let mut out = Output::new();
        let frame = Frame::from_message(message.clone());
        pair[0].write_frame(&frame, &mut arenas[0], &mut out);
        let sent = out.copy_to_bytes(out.remaining()).to_vec();
        drop(out);
        let to_compress = watch.live() - sent.capacity();
        let watch = Watch::start();
        let received = receive(&mut pair[1], &mut arenas[1], &sent, 1000);
        assert!(received == [Received::Message(message.clone())], "another message came");
        drop(received);
        cost.kept = [to_compress, watch.live()];
        drop((pair, frame, sent));
        cost.left = all.live();
    }
    cost
}

/// Both ends of a connection that have agreed on these options.
fn agreed(options: &PerMessageDeflate) -> [WebSocket; 2] {
    let key = ClientKey::new(&mut |nonce: &mut [u8]| nonce.fill(1)).offering_deflate(options);
    let fields = String::from_utf8(key.headers().into_bytes().to_vec()).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let request = RequestHead::parse(request.as_bytes(), 100).unwrap();
    let (server, fields) = ws::accept_deflate(&request, options).expect("our own offer");
    let fields = String::from_utf8(fields.into_bytes().to_vec()).unwrap();
    let response = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
    let response = ResponseHead::parse(response.as_bytes(), 100).unwrap();
    let client = key.deflate(&response).unwrap().expect("our own answer");
    let role = Role::Client { mask_seed: [3; 16] };
    [
        WebSocket::new(Role::Server, MAX, 100).with_deflate(server),
        WebSocket::new(role, MAX, 100).with_deflate(client),
    ]
}

/// What a socket makes of bytes that come in steps.
fn receive(socket: &mut WebSocket, arena: &mut Arena, bytes: &[u8], step: usize) -> Vec<Received> {
    let (mut bytes, mut out) = (bytes.to_vec(), Output::new());
    let mut all = Vec::new();
    for piece in bytes.chunks_mut(step) {
        let mut input = Input::new(piece);
        while let Some(received) = socket.handle_bytes(&mut input, arena, &mut out) {
            all.push(received);
        }
    }
    all
}

/// A payload that nobody compressed: the same at any split, and what another library makes of it.
fn made_up(options: &PerMessageDeflate, to_server: bool, payload: &[u8]) -> usize {
    let frame = frame(to_server, payload);
    let receiver = |step: usize| {
        let [server, client] = agreed(options);
        let mut socket = if to_server { server } else { client };
        receive(&mut socket, &mut Arena::new(), &frame, step)
    };
    let whole = receiver(frame.len());
    for step in [1, 7] {
        assert_eq!(receiver(step), whole, "in steps of {step}");
    }
    let second = second_opinion(payload);
    match &*whole {
        [Received::Message(message)] => {
            assert!(message.len() <= MAX);
            if let Some(second) = second {
                assert!(second == *message.payload(), "another library inflates other bytes");
            }
            1
        }
        [Received::Closed(Closed::Violation(Violation::TooBig { .. }))] => {
            assert!(second.is_none_or(|bytes| bytes.len() > MAX), "it was not too large");
            0
        }
        [Received::Closed(Closed::Violation(Violation::NotDeflated))] => 0,
        other => panic!("{other:?}"),
    }
}

/// A binary message in one frame, masked with zeros on its way to a server.
fn frame(to_server: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xc2];
    let bit = if to_server { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => frame.push(bit | u8::try_from(len).unwrap()),
        len => {
            frame.push(bit | 126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    frame.extend(if to_server { &[0; 4][..] } else { &[] });
    frame.extend(payload);
    frame
}

/// What `miniz_oxide` makes of a payload, at most one byte more than may be. `None` if it refuses it, or if the stream
/// ends before its last byte: what is behind that is for nobody else to say.
fn second_opinion(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.is_empty() {
        return None;
    }
    let input = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut state = InflateState::new_boxed(DataFormat::Raw);
    let mut out = vec![0; MAX + 1];
    let (mut taken, mut given) = (0, 0);
    while given < out.len() {
        let result = inflate(&mut state, &input[taken..], &mut out[given..], MZFlush::None);
        taken += result.bytes_consumed;
        given += result.bytes_written;
        match result.status {
            Ok(MZStatus::Ok) if result.bytes_consumed + result.bytes_written > 0 => {}
            Ok(MZStatus::Ok) | Err(MZError::Buf) => break,
            _ => return None,
        }
    }
    out.truncate(given);
    Some(out)
}

/// Both ends, of which each compresses what the other inflates.
struct Pair {
    ends: [WebSocket; 2],
    arenas: [Arena; 2],
}

impl Pair {
    fn new(options: &PerMessageDeflate) -> Self {
        Self { ends: agreed(options), arenas: [Arena::new(), Arena::new()] }
    }

    /// Sends a message one way. `kind` says which, and whether it is long.
    fn exchange(&mut self, kind: u8, bytes: &[u8]) -> usize {
        let payload = if kind == 3 { bytes.repeat(40) } else { bytes.to_vec() };
        if payload.len() > MAX {
            return 0;
        }
        let message = match String::from_utf8(payload) {
            Ok(text) => Message::from(text),
            Err(error) => Message::from(Bytes::from(error.into_bytes())),
        };
        let from = usize::from(kind % 2);
        let mut out = Output::new();
        let frame = Frame::from_message(message.clone());
        self.ends[from].write_frame(&frame, &mut self.arenas[from], &mut out);
        let bytes = out.copy_to_bytes(out.remaining());
        let to = 1 - from;
        let received = receive(&mut self.ends[to], &mut self.arenas[to], &bytes, 1000);
        assert!(received == [Received::Message(message)], "another message came");
        1
    }
}
