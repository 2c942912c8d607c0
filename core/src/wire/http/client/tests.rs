//! The client against servers made of bytes.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};

use bytes::Buf;

use super::*;
use crate::exchange::HeaderLines;

mod answers;
mod limits;
mod refusals;
mod requests;
mod splits;

/// A client with small limits and a driver that obeys it, and keeps a log.
struct Wire {
    client: Client,
    log: Vec<String>,
}

impl Wire {
    const MAX_HEAD: usize = 200;
    const MAX_BODY: usize = 100;

    fn new() -> Self {
        let config = ClientConfig {
            max_head: Self::MAX_HEAD,
            max_body: Self::MAX_BODY,
            ..ClientConfig::default()
        };
        Self { client: Client::new(Arc::new(config)), log: Vec::new() }
    }

    /// The same after a request.
    fn asked(request: &Request) -> Self {
        let mut wire = Self::new();
        wire.ask(request);
        wire
    }

    /// Sends a request, which must be possible; gives its bytes.
    fn ask(&mut self, request: &Request) -> String {
        assert!(self.client.is_idle() && !self.client.is_closed());
        let mut out = Output::new();
        self.client.request(request, "example.com", &mut out);
        assert!(self.client.in_exchange() && !self.client.is_idle());
        String::from_utf8(out.copy_to_bytes(out.remaining()).into()).unwrap()
    }

    /// One read. Gives what the client has left, which is nothing but what follows an upgrade.
    fn feed(&mut self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut bytes = bytes.as_ref().to_vec();
        let mut input = Input::new(&mut bytes);
        while let Some(reply) = self.client.handle_bytes(&mut input) {
            self.on(reply);
            self.check();
        }
        self.check();
        let upgraded = matches!(self.client.state, State::Upgraded);
        assert!(input.is_empty() || upgraded, "{} bytes would be lost", input.len());
        input.rest().to_vec()
    }

    fn eof(&mut self) {
        if let Some(reply) = self.client.handle_eof() {
            self.on(reply);
        }
        assert!(self.client.handle_eof().is_none(), "lost twice");
    }

    /// Checks that the bytes held never exceed the limits.
    fn check(&self) {
        let held = self.client.held.len();
        match &self.client.state {
            State::Head(_) => assert!(held < Self::MAX_HEAD, "{held} held"),
            State::Body { body, .. } => {
                assert!(body.capacity() <= Self::MAX_BODY, "{} held", body.capacity());
                assert_eq!(held, 0);
            }
            _ => assert_eq!(held, 0),
        }
        if held == 0 {
            assert_eq!(self.client.held.capacity(), 0, "storage without bytes");
        }
    }

    fn on(&mut self, reply: Reply) {
        self.log.push(match reply {
            Reply::Response(head, body) => {
                format!("{} {:?}", head.status(), String::from_utf8_lossy(&body))
            }
            Reply::Upgraded(head) => format!("{} upgraded", head.status()),
            Reply::Fault(fault) => format!("fault: {fault}"),
            Reply::Lost => "lost".to_owned(),
        });
    }

    /// Where the client stands.
    fn standing(&self) -> &'static str {
        let client = &self.client;
        match (client.is_idle(), client.in_exchange(), client.is_closed()) {
            (true, false, false) => "idle",
            (false, true, false) => "in exchange",
            (false, false, true) => "closed",
            (false, false, false) => "upgraded",
            impossible => panic!("{impossible:?}"),
        }
    }
}

/// All that comes of bytes: the log, where the client stands behind them, what it left.
type Outcome = (Vec<String>, &'static str, String);

/// Returns the outcome of `bytes` in response to `request`. It is the same for the whole, for small
/// steps, and for two reads with any cut between them.
fn outcome(request: &Request, bytes: impl AsRef<[u8]>, eof: bool) -> Outcome {
    let bytes = bytes.as_ref();
    let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut wire = Wire::asked(request);
        let mut left = Vec::new();
        for piece in pieces {
            left.extend(wire.feed(piece));
        }
        if eof {
            wire.eof();
        }
        let standing = wire.standing();
        (wire.log, standing, String::from_utf8_lossy(&left).into_owned())
    };
    let whole = run(&mut core::iter::once(bytes));
    for step in [1, 2, 3, 16] {
        assert_eq!(run(&mut bytes.chunks(step)), whole, "in steps of {step}");
    }
    for cut in 1..bytes.len().min(400) {
        assert_eq!(run(&mut [&bytes[..cut], &bytes[cut..]].into_iter()), whole, "cut at {cut}");
    }
    whole
}

/// The same for a GET, of which one line of log comes.
fn one(bytes: impl AsRef<[u8]>, eof: bool) -> (String, &'static str) {
    let (log, standing, left) = outcome(&get(), bytes, eof);
    assert_eq!((log.len(), &*left), (1, ""), "{log:?}");
    (log[0].clone(), standing)
}

fn get() -> Request {
    Request {
        method: "GET",
        target: "/a?b=c".to_owned(),
        content_type: None,
        headers: HeaderLines::new(),
        body: Bytes::new(),
    }
}

fn post(body: impl Into<Bytes>) -> Request {
    Request {
        method: "POST",
        content_type: Some("text/plain;charset=UTF-8"),
        body: body.into(),
        ..get()
    }
}

fn get_with(lines: &'static str) -> Request {
    Request { headers: HeaderLines::from_static(lines), ..get() }
}

fn upgrade() -> Request {
    get_with("Connection: Upgrade\r\nUpgrade: websocket\r\n")
}

/// A 200 that ends where its length says.
fn sized(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
