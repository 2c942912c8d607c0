//! WebSockets of both roles. First byte: `r` for a raw stream, `c` for a conversation in order, `w`
//! for what we write ourselves. Second byte: bit 0 makes us the client, bits 1 and 2 choose from
//! `MAX_MESSAGE`, bits 3 and 4 from `MAX_FRAGMENTS`. Third byte: how much of a raw stream comes
//! before we close, if that is less than 255. Four bytes: how the stream is cut into reads. Rest: the
//! stream, or what is said in `conversation` or `written`.

pub mod frames;
mod oracle;

use bytes::{Buf as _, Bytes};
use enginewire::{
    Message, Text,
    wire::{
        Arena, Input, Output,
        ws::{Closed, Received, Role, Violation, WebSocket},
    },
};

use self::frames::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, frame, unframe};
use crate::{
    memory::Watch,
    script::{Reads, Script},
};

const MAX_MESSAGE: [usize; 4] = [1000, 100, 5000, 20_000];
const MAX_FRAGMENTS: [usize; 4] = [usize::MAX, 1, 3, 200];

/// Reads the stream, holds the conversation, or writes and reads. How many messages were received.
pub fn run(data: &[u8]) -> usize {
    let mut script = Script::new(data);
    let mode = script.byte();
    let flags = script.byte();
    let close_at = script.byte();
    let setup = Setup {
        client: flags & 1 != 0,
        max_message: MAX_MESSAGE[usize::from(flags >> 1 & 3)],
        max_fragments: MAX_FRAGMENTS[usize::from(flags >> 3 & 3)],
        reads: Reads::read(&mut script),
    };
    match mode {
        b'r' => raw(&setup, close_at, script.rest()),
        b'c' => conversation(&setup, script),
        b'w' => written(&setup, script),
        other => match other % 3 {
            0 => raw(&setup, close_at, script.rest()),
            1 => conversation(&setup, script),
            _ => written(&setup, script),
        },
    }
}

struct Setup {
    client: bool,
    max_message: usize,
    max_fragments: usize,
    reads: Reads,
}

/// All that was seen of a WebSocket.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    received: Vec<Received>,
    written: Vec<u8>,
    closing: bool,
    closed: bool,
}

/// Any bytes: the same comes of them however they are cut, and tungstenite makes the same of them.
fn raw(setup: &Setup, close_at: u8, stream: &[u8]) -> usize {
    let close_at = (close_at < 255).then(|| usize::from(close_at).min(stream.len()));
    let whole = setup.decode(stream, Reads::WHOLE, close_at);
    assert_eq!(setup.decode(stream, setup.reads, close_at), whole);
    setup.holds_little(stream);

    // The end comes once and is the last; we answer with nothing but pongs and one Close.
    let ends = |received: &Received| matches!(received, Received::Closed(_));
    let end = whole.received.iter().position(ends);
    assert!(end.is_none_or(|end| end + 1 == whole.received.len()));
    assert_eq!(end.is_some(), whole.closed);
    let sent = unframe(&whole.written, setup.client);
    let close = sent.iter().position(|(first, _)| *first == FIN | CLOSE);
    assert_eq!(close.is_some(), whole.closing);
    assert!(close.is_none_or(|close| close + 1 == sent.len()));
    assert!(sent.iter().all(|(first, _)| [FIN | PONG, FIN | CLOSE].contains(first)));
    for received in &whole.received {
        if let Received::Message(message) = received {
            assert!(message.len() <= setup.max_message);
            assert!(
                message.as_text().is_none_or(|text| std::str::from_utf8(text.as_bytes()).is_ok())
            );
        }
    }
    if close_at.is_none() {
        oracle::compare(setup, stream, &whole.received);
    }
    messages(&whole.received)
}

/// Messages of the peer, cut into fragments with pings between them, come out as they went in, up to
/// the first that exceeds a limit. Each item is a kind (`t`ext, `b`inary, `p`ing, p`o`ng, `c`lose) and
/// what [`message`] makes of the rest; a message has in addition a number of cuts, up to seven, and a
/// byte for each.
fn conversation(setup: &Setup, mut script: Script<'_>) -> usize {
    let mut stream = Vec::new();
    let mut received = Vec::new();
    let mut sent = Vec::new();
    let mut put = |first: u8, payload: &[u8], mask: [u8; 4]| {
        stream.extend(frame(first, payload, (!setup.client).then_some(mask)));
    };
    'items: while !script.is_empty() {
        let kind = script.byte();
        let mask = [script.byte(), script.byte(), script.byte(), script.byte()];
        match kind {
            b'p' | b'o' => {
                let payload = script.take(125);
                put(FIN | if kind == b'p' { PING } else { PONG }, payload, mask);
                if kind == b'p' {
                    sent.push((FIN | PONG, payload.to_vec()));
                }
            }
            b'c' => {
                let code = match script.byte() {
                    n @ 0..=3 => 1000 + u16::from(n),
                    n @ 7..=14 => 1000 + u16::from(n),
                    n => 3000 + u16::from(n),
                };
                let reason = String::from_utf8_lossy(script.take(40)).into_owned();
                put(FIN | CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat(), mask);
                let (code, reason) = (Some(code), Text::from(reason));
                received.push(Received::Closed(Closed::Peer { code, reason }));
                sent.push((FIN | CLOSE, code.unwrap_or_default().to_be_bytes().to_vec()));
                break;
            }
            _ => {
                let message = message(kind, &mut script);
                let payload = message.payload();
                let cuts = usize::from(script.byte() % 8);
                let mut cuts = script.take(cuts).to_vec();
                cuts.sort_unstable();
                let ends = cuts.iter().map(|&cut| payload.len() * usize::from(cut) / 256);
                let mut start = 0;
                for (i, end) in ends.chain([payload.len()]).enumerate() {
                    if cuts.get(i).is_some_and(|cut| cut % 2 == 1) {
                        put(FIN | PING, &payload[start..end.min(start + 125)], mask);
                        let echo = payload[start..end.min(start + 125)].to_vec();
                        sent.push((FIN | PONG, echo));
                    }
                    let opcode = match i {
                        0 if message.is_binary() => BINARY,
                        0 => TEXT,
                        _ => CONTINUATION,
                    };
                    let fin = if i == cuts.len() { FIN } else { 0 };
                    put(fin | opcode, &payload[start..end], mask);
                    start = end;
                    let violation = if i == setup.max_fragments {
                        Violation::TooManyFragments { max: setup.max_fragments }
                    } else if end > setup.max_message {
                        Violation::TooBig { size: end as u64, max: setup.max_message }
                    } else {
                        continue;
                    };
                    sent.push((FIN | CLOSE, violation.code().to_be_bytes().to_vec()));
                    received.push(Received::Closed(Closed::Violation(violation)));
                    break 'items;
                }
                received.push(Received::Message(message));
            }
        }
    }
    let outcome = setup.decode(&stream, setup.reads, None);
    assert_eq!(outcome.received, received);
    assert_eq!(unframe(&outcome.written, setup.client), sent);
    messages(&received)
}

/// What one role writes the other reads, and tungstenite too. Each item is a kind (`t`ext, `b`inary,
/// `p`ing, `c`lose), a byte that comes before a message if it is below 128, and
/// what [`message`] makes of the rest.
fn written(setup: &Setup, mut script: Script<'_>) -> usize {
    let mut socket = setup.socket();
    let mut out = Output::new();
    let mut expected = Vec::new();
    while !script.is_empty() {
        let kind = script.byte();
        match kind {
            b'p' => socket.ping(script.take(130), &mut out),
            b'c' => {
                let code = Some(script.number()).filter(|&code| code > 0);
                let code = code.map(|code| u16::try_from(code).expect("made of two bytes"));
                let reason = String::from_utf8_lossy(script.take(200)).into_owned();
                socket.close(code, &reason, &mut out);
                let sendable = matches!(code, Some(1000..=1003 | 1007..=1014 | 3000..=4999));
                let end =
                    (0..=123.min(reason.len())).rev().find(|&end| reason.is_char_boundary(end));
                let reason = Text::from(&reason[..end.unwrap_or(0)]);
                expected.push(Received::Closed(match code {
                    Some(_) if sendable => Closed::Peer { code, reason },
                    _ => Closed::Peer { code: None, reason: Text::EMPTY },
                }));
                break;
            }
            _ => {
                let prefix = Some(script.byte()).filter(u8::is_ascii);
                let message = message(kind, &mut script);
                socket.write(message.is_binary(), prefix, message.payload(), &mut out);
                let whole: Bytes = prefix.into_iter().chain(message.payload().clone()).collect();
                expected.push(Received::Message(match message {
                    Message::Text(_) => {
                        Message::Text(Text::from_utf8(whole).expect("ASCII and text are text"))
                    }
                    Message::Binary(_) => Message::Binary(whole),
                }));
            }
        }
    }
    assert_eq!(socket.is_closing(), matches!(expected.last(), Some(Received::Closed(_))));
    let stream = out.copy_to_bytes(out.remaining());
    // As large as they come, in one frame each.
    let reader =
        Setup { client: !setup.client, max_message: 1 << 20, max_fragments: 1, reads: setup.reads };
    assert_eq!(reader.decode(&stream, setup.reads, None).received, expected);
    oracle::compare(&reader, &stream, &expected);
    messages(&expected)
}

fn messages(received: &[Received]) -> usize {
    received.iter().filter(|received| matches!(received, Received::Message(_))).count()
}

/// A length, how often what follows comes, and so many bytes; lossily so for text.
fn message(kind: u8, script: &mut Script<'_>) -> Message {
    let len = script.byte();
    let times = usize::from(script.byte());
    let bytes = script.take(len.into());
    if kind == b't' || (kind != b'b' && kind & 1 == 0) {
        Message::from(String::from_utf8_lossy(bytes).repeat(times % 64 + 1))
    } else {
        Message::from(bytes.repeat(times % 64 + 1))
    }
}

impl Setup {
    fn socket(&self) -> WebSocket {
        let role = if self.client { Role::Client { mask_seed: [7; 16] } } else { Role::Server };
        WebSocket::new(role, self.max_message, self.max_fragments)
    }

    fn decode(&self, stream: &[u8], reads: Reads, close_at: Option<usize>) -> Outcome {
        let mut socket = self.socket();
        let (mut arena, mut out) = (Arena::new(), Output::new());
        let mut received = Vec::new();
        let mut buffer = Vec::new();
        let (before, after) = stream.split_at(close_at.unwrap_or(stream.len()));
        for (part, closes) in [(before, close_at.is_some()), (after, false)] {
            for read in reads.cut(part) {
                buffer.clear();
                buffer.extend_from_slice(read);
                let mut input = Input::new(&mut buffer);
                while let Some(one) = socket.handle_bytes(&mut input, &mut arena, &mut out) {
                    received.push(one);
                }
                assert!(input.is_empty(), "None means that all was taken");
            }
            if closes {
                let before = received.len();
                socket.close(Some(1000), "done", &mut out);
                assert!(socket.is_closing() && received.len() == before);
            }
        }
        let (closing, closed) = (socket.is_closing(), socket.is_closed());
        let written = out.copy_to_bytes(out.remaining()).into();
        let lost = (!closed).then_some(Received::Closed(Closed::Lost));
        assert_eq!(socket.handle_eof(), lost);
        assert_eq!(socket.handle_eof(), None, "lost once");
        Outcome { received, written, closing, closed }
    }

    /// What is held follows what has come, twice that at most, and never exceeds the limit on
    /// messages, but for a control frame beside.
    fn holds_little(&self, stream: &[u8]) {
        let (mut socket, mut buffer) = (self.socket(), Vec::with_capacity(stream.len()));
        let watch = Watch::start();
        let mut come = 0;
        for read in self.reads.cut(stream) {
            come += read.len();
            buffer.clear();
            buffer.extend_from_slice(read);
            let mut input = Input::new(&mut buffer);
            let (mut arena, mut out) = (Arena::new(), Output::new());
            while let Some(received) = socket.handle_bytes(&mut input, &mut arena, &mut out) {
                drop(received);
            }
            drop((arena, out));
            let bound = 2 * come.min(self.max_message) + 256;
            assert!(watch.live() <= bound, "{} held, {bound} allowed", watch.live());
        }
    }
}
