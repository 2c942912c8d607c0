//! The HTTP client. First byte: bit 1 ends with the end of the stream, bits 2 and 3 choose from
//! `LIMITS`. Four bytes: how what the server sends is cut into reads. Four bytes: one request after
//! the other, `g`et, `p`ost, `h`ead, `u`pgrade or the `l`ast. Rest: what the server sends. At each
//! `TURN` the client asks again if it may.

use std::sync::Arc;

use bytes::Bytes;
use enginewire::{
    HeaderLines, Request,
    wire::{
        Input, Output,
        http::{BodyLength, Client, ClientConfig, Reply, ResponseFault, ResponseHead},
    },
};

use crate::{
    http::{Refused, Taken},
    memory::Watch,
    naive::Naive,
    script::{Reads, Script},
};

/// Largest head, most fields, largest body.
const LIMITS: [(usize, usize, usize); 4] =
    [(200, 100, 100), (16_384, 100, 1_000_000), (64, 2, 10), (1000, 20, 70_000)];

/// Between what answers one request and what answers the next. Not sent.
const TURN: u8 = 0x1e;

/// Lines of a head that is parsed without an allocation.
const FEW_LINES: usize = 64;

/// Asks, and reads the answers, cut in two ways.
pub fn run(data: &[u8]) -> Taken {
    let mut script = Script::new(data);
    let flags = script.byte();
    let reads = Reads::read(&mut script);
    let requests = [(); 4].map(|()| script.byte());
    let turns: Vec<_> = script.rest().split(|&byte| byte == TURN).collect();
    let (max_head, max_headers, max_body) = LIMITS[usize::from(flags >> 2 & 3)];
    let mut config = ClientConfig::default();
    (config.max_head, config.max_headers, config.max_body) = (max_head, max_headers, max_body);
    let setup = Setup { config: Arc::new(config), requests, turns, ends: flags & 2 != 0 };

    let whole = setup.ask(Reads::WHOLE);
    assert_eq!(setup.ask(reads), whole);
    setup.holds_little(reads);
    setup.is_what_was_sent(&whole);
    whole.taken()
}

struct Setup<'a> {
    config: Arc<ClientConfig>,
    requests: [u8; 4],
    turns: Vec<&'a [u8]>,
    ends: bool,
}

/// All that was seen of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    log: Vec<Logged>,
    /// What belongs to the protocol after an upgrade.
    upgraded: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Logged {
    /// A request of this kind was sent.
    Asked(u8),
    Answer {
        head: Head,
        body: Bytes,
    },
    Upgraded(Head),
    Fault(ResponseFault),
    Lost,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    length: Option<BodyLength>,
}

impl Outcome {
    fn taken(&self) -> Taken {
        let mut taken = Taken::default();
        for logged in &self.log {
            match logged {
                Logged::Answer { body, .. } => {
                    taken.heads += 1;
                    taken.bodies.push(body.len());
                }
                Logged::Upgraded(_) => taken.heads += 1,
                Logged::Fault(fault) => {
                    taken.refused = Some(match fault {
                        ResponseFault::Message(fault) => fault.into(),
                        ResponseFault::BodyTooLarge { .. } => Refused::Body,
                        _ => Refused::Malformed,
                    });
                }
                Logged::Asked(_) | Logged::Lost => {}
            }
        }
        taken
    }
}

impl Setup<'_> {
    fn ask(&self, reads: Reads) -> Outcome {
        let mut client = Client::new(Arc::clone(&self.config));
        let mut outcome = Outcome::default();
        let mut requests = self.requests.into_iter().cycle();
        for turn in &self.turns {
            if client.is_idle() {
                let kind = requests.next().expect("they never end");
                outcome.log.push(Logged::Asked(kind));
                client.request(&request(kind), "a", &mut Output::new());
                assert!(client.in_exchange());
            }
            for read in reads.cut(turn) {
                let mut buffer = read.to_vec();
                let mut input = Input::new(&mut buffer);
                while let Some(reply) = client.handle_bytes(&mut input) {
                    self.see(reply, &client, &mut outcome);
                }
                match &mut outcome.upgraded {
                    Some(upgraded) => upgraded.extend_from_slice(input.rest()),
                    None => assert!(input.is_empty(), "{} bytes would be lost", input.len()),
                }
            }
        }
        if self.ends {
            if let Some(reply) = client.handle_eof() {
                self.see(reply, &client, &mut outcome);
            }
            assert!(client.handle_eof().is_none(), "lost twice");
            assert_eq!(client.is_closed(), outcome.upgraded.is_none());
        }
        outcome
    }

    fn see(&self, reply: Reply, client: &Client, outcome: &mut Outcome) {
        assert!(!client.in_exchange(), "there is one reply to a request");
        outcome.log.push(match reply {
            Reply::Response(head, body) => {
                assert!(body.len() <= self.config.max_body);
                assert!(!client.is_idle() || head.keep_alive());
                Logged::Answer { head: self.head(&head), body }
            }
            Reply::Upgraded(head) => {
                assert!(outcome.upgraded.replace(Vec::new()).is_none());
                assert!(!client.is_idle() && !client.is_closed());
                Logged::Upgraded(self.head(&head))
            }
            Reply::Fault(fault) => {
                assert!(client.is_closed());
                Logged::Fault(fault)
            }
            Reply::Lost => {
                assert!(client.is_closed());
                Logged::Lost
            }
        });
    }

    fn head(&self, head: &ResponseHead) -> Head {
        let mut size = 0;
        for (name, value) in head.headers() {
            size += name.len() + value.len();
            assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)));
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        assert!(size < self.config.max_head);
        assert!(head.headers().count() <= self.config.max_headers);
        Head {
            status: head.status(),
            headers: head.headers().map(|(name, value)| (name.into(), value.into())).collect(),
            length: head.body_length(),
        }
    }

    /// What is held follows what has come, and never exceeds a head and a body.
    fn holds_little(&self, reads: Reads) {
        let mut requests = self.requests.into_iter().cycle();
        let mut client = Client::new(Arc::clone(&self.config));
        let longest = self.turns.iter().map(|turn| turn.len()).max().unwrap_or(0);
        let mut buffer = Vec::with_capacity(longest);
        let (mut come, mut lines) = (0, 0);
        for turn in &self.turns {
            if client.is_idle() {
                let kind = requests.next().expect("they never end");
                client.request(&request(kind), "a", &mut Output::new());
            }
            let watch = Watch::start();
            for read in reads.cut(turn) {
                come += read.len();
                lines += read.iter().filter(|&&byte| byte == b'\n').count();
                buffer.clear();
                buffer.extend_from_slice(read);
                let mut input = Input::new(&mut buffer);
                while let Some(reply) = client.handle_bytes(&mut input) {
                    drop(reply);
                }
                // Storage doubles; while a head is parsed there are its bytes, its copy, and up to
                // two bytes for each of them, as a field costs eight and has at least four. The parser
                // has room on the stack for some fields; for more it takes four words for each line.
                let slots = if lines > FEW_LINES { lines.min(self.config.max_headers) } else { 0 };
                let head = 5 * come.min(self.config.max_head) + 4 * size_of::<usize>() * slots;
                let bound = head + 2 * come.min(self.config.max_body) + 256;
                assert!(watch.peak() <= bound, "{} held, {bound} allowed", watch.peak());
            }
        }
    }

    /// Every answer that was understood, and its body, is what stands in the stream, and nothing of
    /// the stream was passed over.
    fn is_what_was_sent(&self, outcome: &Outcome) {
        let stream = self.turns.concat();
        let mut naive = Naive::new(&stream);
        let mut asked = None;
        for logged in &outcome.log {
            match logged {
                Logged::Asked(kind) => assert_eq!(asked.replace(*kind), None),
                Logged::Answer { head, body } => {
                    let to_head = asked.take().expect("a request before its answer") == b'h';
                    let found = self.find(&mut naive, head);
                    let is = |field: &[u8], name: &str| field.eq_ignore_ascii_case(name.as_bytes());
                    let is_chunked = found.iter().any(|(name, _)| is(name, "transfer-encoding"));
                    match head.length {
                        _ if to_head || [204, 304].contains(&head.status) => {
                            assert!(body.is_empty());
                        }
                        Some(BodyLength::Chunked) => {
                            assert!(is_chunked);
                            assert_eq!(naive.chunked(), &body[..]);
                        }
                        Some(BodyLength::Sized(length)) => {
                            let mut lengths =
                                found.iter().filter(|(name, _)| is(name, "content-length"));
                            let value = lengths.next().map(|(_, value)| {
                                std::str::from_utf8(value).expect("digits").parse::<u64>()
                            });
                            assert_eq!((value, lengths.next()), (Some(Ok(length)), None));
                            assert!(!is_chunked);
                            assert_eq!(naive.sized(length), body);
                        }
                        None => {
                            assert!(self.ends && !is_chunked);
                            assert_eq!(naive.skip(u64::MAX), body);
                        }
                    }
                }
                Logged::Upgraded(head) => {
                    assert_eq!((asked.take(), head.status), (Some(b'u'), 101));
                    self.find(&mut naive, head);
                }
                // The last, unless it is a fault.
                Logged::Fault(ResponseFault::Unsolicited) => {
                    assert!(asked.is_none() && !naive.rest().is_empty());
                }
                Logged::Fault(_) | Logged::Lost => assert!(asked.take().is_some()),
            }
        }
        if let Some(upgraded) = &outcome.upgraded {
            assert_eq!(naive.rest(), upgraded);
        }
    }

    /// The fields of the next head of the stream, which is this one.
    fn find<'s>(&self, naive: &mut Naive<'s>, head: &Head) -> Vec<(&'s [u8], &'s [u8])> {
        let found = naive.answer();
        let fields = head.headers.iter().map(|(name, value)| (name.as_bytes(), &value[..]));
        assert!(found.length <= self.config.max_head);
        assert_eq!(found.status, head.status);
        assert!(found.fields.iter().copied().eq(fields), "{found:?}, not {head:?}");
        found.fields
    }
}

fn request(kind: u8) -> Request {
    let mut headers = HeaderLines::new();
    let mut push = |name, value| headers.push(name, value).expect("a header");
    match kind {
        b'u' => {
            push("Connection", "Upgrade");
            push("Upgrade", "websocket");
        }
        b'l' => push("Connection", "close"),
        _ => {}
    }
    let (method, body) = match kind {
        b'p' => ("POST", Bytes::from_static(b"4hello")),
        b'h' => ("HEAD", Bytes::new()),
        _ => ("GET", Bytes::new()),
    };
    Request { method, target: "/".into(), content_type: None, headers, body }
}
