//! The HTTP server. First byte: bit 0 holds answers back until a read has been used up, bit 1 ends
//! with the end of the stream instead of silence, bits 2 and 3 choose from `LIMITS`. Four bytes: how
//! the stream is cut into reads. Four bytes: what becomes of one request after the other, see
//! `Driver::request`. Rest: the stream.

use std::{iter, sync::Arc};

use bytes::{Buf as _, Bytes};
use enginewire::{
    Time,
    wire::{
        Input, Output,
        http::{BodyLength, Config, Event, Fault, RequestHead, Response, Server, TimerKind},
        ws,
    },
};

use crate::{
    memory::Watch,
    naive::Naive,
    script::{Reads, Script},
};

/// Largest head, most fields, largest body.
const LIMITS: [(usize, usize, usize); 4] =
    [(200, 100, 100), (16_384, 100, 1_000_000), (64, 2, 10), (1000, 20, 70_000)];

/// What was made of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Heads of requests, or answers.
    pub heads: usize,
    /// The length of each body.
    pub bodies: Vec<usize>,
    /// Why there are no more, if that was for something that came.
    pub refused: Option<Refused>,
}

/// Which limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// That of a head, by its first line alone.
    Line,
    /// The same, by all of it.
    Head,
    /// That of the fields in a head.
    Fields,
    /// That of a body.
    Body,
    /// None; something was not as it should be.
    Malformed,
}

impl From<&Fault> for Refused {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::LineTooLong { .. } => Self::Line,
            Fault::HeadTooLarge { .. } => Self::Head,
            Fault::TooManyHeaders { .. } => Self::Fields,
            _ => Self::Malformed,
        }
    }
}

/// Serves the stream, cut in two ways.
pub fn run(data: &[u8]) -> Taken {
    let mut script = Script::new(data);
    let flags = script.byte();
    let reads = Reads::read(&mut script);
    let answers = [(); 4].map(|()| script.byte());
    let stream = script.rest();
    let (max_head, max_headers, max_body) = LIMITS[usize::from(flags >> 2 & 3)];
    let mut config = Config::default();
    (config.max_head, config.max_headers, config.max_body) = (max_head, max_headers, max_body);
    let setup = Setup {
        config: Arc::new(config),
        answers,
        early: flags & 1 == 0,
        ends: flags & 2 != 0,
        hold: false,
    };

    let whole = setup.serve(stream, Reads::WHOLE);
    let cut = Setup { hold: flags & 1 != 0, ..setup };
    assert_eq!(cut.serve(stream, reads), whole);
    cut.holds_little(stream, reads);
    is_what_was_sent(stream, &whole, max_head);
    is_what_was_answered(&whole);
    whole.taken()
}

struct Setup {
    config: Arc<Config>,
    answers: [u8; 4],
    /// Some answers come before the body that was asked for.
    early: bool,
    ends: bool,
    hold: bool,
}

/// All that was seen of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    log: Vec<Logged>,
    answers: Vec<Answer>,
    written: Vec<u8>,
    /// What belongs to the protocol after an upgrade.
    upgraded: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Logged {
    Request {
        method: String,
        target: String,
        headers: Vec<(String, Vec<u8>)>,
        body: BodyLength,
    },
    Body(Bytes),
    BodyTooLarge,
    Fault(Fault),
    Lost,
    /// The answer came before the body was read, and the connection lives on behind it.
    Skipped,
    TimedOut(TimerKind),
}

/// What the client should find.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: Bytes,
    to_head: bool,
    /// It was told to continue before.
    may_continue: bool,
}

/// A driver that obeys the server, and keeps a record.
struct Driver<'a> {
    setup: &'a Setup,
    server: Server,
    out: Output,
    /// Into which it reads.
    buffer: Vec<u8>,
    now: Time,
    requests: usize,
    pending: Option<Pending>,
    /// Of the current request: whether it is HEAD, and whether it waits for `100 Continue`.
    current: (bool, bool),
    seen: Outcome,
}

enum Pending {
    Respond(Response),
    Upgrade(ws::AcceptKey),
}

impl Setup {
    fn serve(&self, stream: &[u8], reads: Reads) -> Outcome {
        let mut driver = Driver::new(self);
        for read in reads.cut(stream) {
            driver.read(read);
        }
        if self.ends {
            driver.end();
        } else {
            driver.wait();
        }
        driver.seen
    }

    /// The server never holds more than a head, what came in one read, and a body.
    fn holds_little(&self, stream: &[u8], reads: Reads) {
        let mut driver = Driver::new(self);
        let most = reads.cut(stream).map(<[u8]>::len).max().unwrap_or(0);
        // A buffer may be twice as long as what is in it, and may have moved on by as much.
        let bound = 4 * (self.config.max_head + most) + self.config.max_body + 1024;
        let watch = Watch::start();
        for read in reads.cut(stream) {
            driver.read(read);
            if driver.seen.upgraded.is_some() {
                break;
            }
            driver.seen = Outcome::new();
            driver.out = Output::new();
            assert!(watch.live() <= bound, "{} held, {bound} allowed", watch.live());
        }
    }
}

impl Outcome {
    const fn new() -> Self {
        Self { log: Vec::new(), answers: Vec::new(), written: Vec::new(), upgraded: None }
    }

    fn taken(&self) -> Taken {
        let mut taken = Taken::default();
        for logged in &self.log {
            match logged {
                Logged::Request { .. } => taken.heads += 1,
                Logged::Body(body) => taken.bodies.push(body.len()),
                Logged::BodyTooLarge => taken.refused = Some(Refused::Body),
                Logged::Fault(fault) => taken.refused = Some(fault.into()),
                Logged::Lost | Logged::Skipped | Logged::TimedOut(_) => {}
            }
        }
        taken
    }
}

impl<'a> Driver<'a> {
    fn new(setup: &'a Setup) -> Self {
        let now = Time::from_millis(1000);
        Self {
            setup,
            server: Server::new(now, Arc::clone(&setup.config)),
            out: Output::new(),
            // Before anyone looks at what the server allocates.
            buffer: Vec::with_capacity(4096),
            now,
            requests: 0,
            pending: None,
            current: (false, false),
            seen: Outcome::new(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        if let Some(upgraded) = &mut self.seen.upgraded {
            return upgraded.extend_from_slice(bytes);
        }
        assert!(self.server.wants_input(), "everything was answered, so it reads");
        self.handle(bytes);
        while self.answer() {
            self.handle(b"");
        }
        self.write();
        if self.server.in_exchange() {
            assert_eq!(self.server.poll_timeout().map(|(_, kind)| kind), Some(TimerKind::Body));
        }
    }

    fn write(&mut self) {
        while self.out.has_remaining() {
            let chunk = self.out.chunk();
            let n = chunk.len();
            self.seen.written.extend_from_slice(chunk);
            self.out.advance(n);
        }
    }

    fn handle(&mut self, bytes: &[u8]) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(bytes);
        let mut input = Input::new(&mut buffer);
        while let Some(event) = self.server.handle_bytes(self.now, &mut input, &mut self.out) {
            self.event(event);
            if !self.setup.hold {
                self.answer();
            }
        }
        match &mut self.seen.upgraded {
            Some(upgraded) => upgraded.extend_from_slice(input.rest()),
            None => assert!(input.is_empty(), "{} bytes would be lost", input.len()),
        }
        self.buffer = buffer;
    }

    fn event(&mut self, event: Event) {
        let max = self.setup.config.max_body;
        let logged = match event {
            Event::Request(head) => return self.request(&head),
            Event::Body(body) => {
                assert!(body.len() <= max);
                let answer = Response::new(200).with_body("text/html", body.clone());
                self.pending.get_or_insert(Pending::Respond(answer));
                Logged::Body(body)
            }
            Event::BodyTooLarge { max: limit } => {
                assert_eq!(limit, max);
                self.pending.get_or_insert(Pending::Respond(Response::new(413)));
                Logged::BodyTooLarge
            }
            Event::Fault(fault) => {
                self.pending = None;
                let answer = Response::from(&fault);
                self.expect(&answer);
                Logged::Fault(fault)
            }
            Event::Lost => {
                self.pending = None;
                Logged::Lost
            }
        };
        self.seen.log.push(logged);
    }

    /// What the application does with a request.
    fn request(&mut self, head: &RequestHead) {
        self.check(head);
        self.seen.log.push(Logged::Request {
            method: head.method().into(),
            target: head.target().into(),
            headers: head.headers().map(|(name, value)| (name.into(), value.into())).collect(),
            body: head.body_length(),
        });
        self.current = (head.method() == "HEAD", head.expects_continue());
        let action = self.setup.answers[self.requests % self.setup.answers.len()] % 8;
        self.requests += 1;
        let path = head.path().to_owned();
        let answer = match action {
            1 => Response::new(200).with_body("text/plain", path),
            2 => Response::new(404).with_body("text/plain", path).with_close(),
            3 => match ws::accept(head) {
                Ok(accept) => return self.pending = Some(Pending::Upgrade(accept)),
                Err(error) => Response::new(error.status()).with_headers(error.headers()),
            },
            4 => Response::new(204).with_headers("X-Empty: yes\r\n"),
            5 => Response::new(200).with_body("text/plain", vec![b'x'; Output::SHARE_FROM]),
            6 if self.setup.early => {
                self.server.read_body(self.now, &mut self.out);
                Response::new(200).with_body("text/plain", "early")
            }
            7 => Response::new(199),
            // The body is the answer.
            _ => return self.server.read_body(self.now, &mut self.out),
        };
        self.pending = Some(Pending::Respond(answer));
    }

    fn check(&self, head: &RequestHead) {
        let config = &self.setup.config;
        let count = |name: &str| head.header_values(name).count();
        let mut size = head.method().len() + head.target().len();
        for (name, value) in head.headers() {
            size += name.len() + value.len();
            assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)));
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        assert!(size < config.max_head && head.headers().count() <= config.max_headers);
        assert!(head.target().bytes().all(|byte| byte.is_ascii_graphic()));
        // What the two readings of a smuggled request rest on.
        assert!(count("content-length") <= 1 && count("host") <= 1);
        let chunked = count("transfer-encoding") > 0;
        assert_eq!(head.body_length() == BodyLength::Chunked, chunked);
        assert!(!chunked || count("content-length") == 0);
        assert!(count("host") == 1 || head.is_http_1_0());
        assert!(!(head.is_http_1_0() && (chunked || head.expects_continue())));
    }

    /// Answers if there is something to answer.
    fn answer(&mut self) -> bool {
        match self.pending.take() {
            None => return false,
            Some(Pending::Upgrade(accept)) => {
                self.expect(&Response::new(101));
                let early = self.server.accept_upgrade(&accept, b"X-Early: no\r\n", &mut self.out);
                self.seen.upgraded = Some(early.to_vec());
            }
            Some(Pending::Respond(answer)) => {
                self.expect(&answer);
                let unread = !matches!(self.seen.log.last(), Some(Logged::Body(_)));
                self.server.respond(self.now, &answer, &mut self.out);
                if unread && !self.server.is_closing() {
                    self.seen.log.push(Logged::Skipped);
                }
            }
        }
        assert!(!self.server.in_exchange());
        true
    }

    fn expect(&mut self, answer: &Response) {
        let (to_head, may_continue) = std::mem::take(&mut self.current);
        let (status, body) = (answer.status, answer.body.clone());
        self.seen.answers.push(Answer { status, body, to_head, may_continue });
    }

    /// The peer closes its side.
    fn end(&mut self) {
        if let Some(event) = self.server.handle_eof(self.now) {
            self.event(event);
        }
        assert_eq!(self.server.is_closed(), self.seen.upgraded.is_none());
        assert!(self.server.poll_timeout().is_none() && !self.server.wants_input());
        assert!(self.server.handle_eof(self.now).is_none(), "lost twice");
    }

    /// The peer says nothing more.
    fn wait(&mut self) {
        // A head or body that does not come, the time to linger.
        for _ in 0..3 {
            let Some((deadline, kind)) = self.server.poll_timeout() else { break };
            assert!(deadline > self.now);
            let early = Time::from_nanos(deadline.as_nanos() - 1);
            assert!(self.server.handle_timeout(early, &mut self.out).is_none());
            assert_eq!(self.server.poll_timeout(), Some((deadline, kind)));
            self.now = deadline;
            self.seen.log.push(Logged::TimedOut(kind));
            if let Some(event) = self.server.handle_timeout(deadline, &mut self.out) {
                self.event(event);
            }
            self.write();
        }
        assert_eq!(self.server.poll_timeout(), None);
        assert_eq!(self.server.is_closed(), self.seen.upgraded.is_none());
    }
}

/// Every request that was served, and its body, is what stands in the stream, and nothing of the
/// stream was passed over.
fn is_what_was_sent(stream: &[u8], outcome: &Outcome, max_head: usize) {
    let mut naive = Naive::new(stream);
    let mut head = None;
    for logged in &outcome.log {
        match logged {
            Logged::Request { method, target, headers, body } => {
                let found = naive.head();
                let fields = headers.iter().map(|(name, value)| (name.as_bytes(), &value[..]));
                assert!(found.length <= max_head);
                assert_eq!(found.method, method.as_bytes());
                assert_eq!(found.target, target.as_bytes());
                assert!(found.fields.iter().copied().eq(fields), "{found:?}, not {headers:?}");
                head = Some(*body);
            }
            Logged::Body(body) => match head.take().expect("a request before its body") {
                BodyLength::Sized(length) => assert_eq!(naive.sized(length), body),
                BodyLength::Chunked => assert_eq!(naive.chunked(), &body[..]),
            },
            // Skipped as far as it has come.
            Logged::Skipped => match head.take() {
                Some(BodyLength::Sized(length)) => {
                    naive.skip(length);
                }
                other => panic!("behind {other:?} nobody knows where the next request starts"),
            },
            // Whether the peer has begun to say something.
            Logged::TimedOut(TimerKind::Idle) => return assert!(naive.is_idle()),
            Logged::TimedOut(TimerKind::Head) => return assert!(!naive.is_idle()),
            _ => return,
        }
    }
    if let Some(upgraded) = &outcome.upgraded {
        assert_eq!(naive.rest(), upgraded);
    }
}

/// A client finds exactly the answers that were given.
fn is_what_was_answered(outcome: &Outcome) {
    let mut rest = &outcome.written[..];
    let mut answers = outcome.answers.iter().peekable();
    while let Some(answer) = answers.next() {
        let mut continued = !answer.may_continue;
        let (closes, body) = loop {
            let mut storage = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut storage);
            let parsed = response.parse(rest).expect("a response");
            let httparse::Status::Complete(end) = parsed else { panic!("a whole one") };
            rest = &rest[end..];
            if response.code == Some(100) {
                assert!(!std::mem::replace(&mut continued, true), "nobody waits for it");
                continue;
            }
            assert_eq!(response.code, Some(answer.status));
            let value = |name: &str| {
                let mut found = response.headers.iter().filter(|field| field.name == name);
                let value = found.next().map(|field| field.value);
                assert!(found.next().is_none(), "{name} is there twice");
                value
            };
            let length = value("Content-Length");
            let has_body = answer.status >= 200 && answer.status != 204;
            assert_eq!(length.is_some(), has_body);
            if let Some(length) = length {
                assert_eq!(length, answer.body.len().to_string().as_bytes());
            }
            let sent = if has_body && !answer.to_head { answer.body.len() } else { 0 };
            let (body, after) = rest.split_at(sent);
            rest = after;
            break (value("Connection") == Some(b"close"), body);
        };
        assert!(body.is_empty() || body == answer.body);
        assert!(!closes || answers.peek().is_none(), "an answer behind the last");
    }
    // Who was told to continue, and then did not.
    assert!(rest.is_empty() || rest == b"HTTP/1.1 100 Continue\r\n\r\n", "{}", rest.escape_ascii());
    let faults = outcome.log.iter().filter(|logged| matches!(logged, Logged::Fault(_)));
    assert!(faults.count() <= 1);
    let after_fault = outcome.log.iter().skip_while(|logged| !matches!(logged, Logged::Fault(_)));
    let end = [Logged::TimedOut(TimerKind::Linger)];
    assert!(iter::zip(after_fault.skip(1), &end).all(|(logged, end)| logged == end));
}
