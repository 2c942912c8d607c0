//! A protocol on top of a session: requests with ids, each with a response or a deadline.
//!
//! It runs on a [`ServerHub`] without sockets, on virtual time: `cargo run -p enginewire --example layer`.
//!
//! A request is the message `ID?TEXT`, its response `ID!TEXT`, either side may ask. Socket.IO is such a
//! layer, with acknowledgements for responses.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use enginewire::{
    CloseReason, Event, Layer, LayerContext, Message, SendError, ServerHub, Time,
    hub::{ConnectionId, Output, ServerHubConfig, SessionId},
};

/// Requests of the server to one client.
#[derive(Default)]
struct Calls {
    last: u64,
    /// Requests without a response, and when each expires.
    waiting: BTreeMap<u64, Time>,
    /// Results that the application has not taken.
    results: VecDeque<(u64, Result<Message, Failure>)>,
}

/// The reason why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    Expired,
    Closed(CloseReason),
}

impl Calls {
    /// Sends a request, whose result comes within [`PATIENCE`].
    fn call(&mut self, cx: &mut LayerContext<'_>, text: &str) -> Result<u64, SendError> {
        self.last += 1;
        cx.session.send(format!("{}?{text}", self.last))?;
        self.waiting.insert(self.last, cx.now + PATIENCE);
        Ok(self.last)
    }

    /// Takes a result, and gives the credit for its message back: the peer may send as much again.
    fn take(&mut self, cx: &mut LayerContext<'_>) -> Option<(u64, Result<String, Failure>)> {
        let (id, result) = self.results.pop_front()?;
        let text = result.map(|message| {
            cx.session.release(message.cost());
            // Only such messages are kept.
            let text = message.as_text().and_then(|text| text.split_once('!'));
            text.map_or_else(String::new, |(_, text)| text.to_owned())
        });
        Some((id, text))
    }

    fn finish(&mut self, cx: &mut LayerContext<'_>, id: u64, result: Result<Message, Failure>) {
        self.results.push_back((id, result));
        // The application has something to take.
        cx.notify();
    }
}

/// All of this happens under the lock of the session, if there is one.
impl Layer for Calls {
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: Event) {
        match event {
            Event::Message(message) => match message.as_text().and_then(parse) {
                Some((id, '!', _)) if self.waiting.remove(&id).is_some() => {
                    self.finish(cx, id, Ok(message));
                }
                Some((id, '?', text)) => {
                    // The only method that the server has.
                    let _ = cx.session.send(format!("{id}!{}", text.to_uppercase()));
                    cx.session.release(message.cost());
                }
                // The response to an expired request, or to none: nothing is kept of it.
                _ => cx.session.release(message.cost()),
            },
            Event::Closed(reason) => {
                for id in std::mem::take(&mut self.waiting).into_keys() {
                    self.finish(cx, id, Err(Failure::Closed(reason.clone())));
                }
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, cx: &mut LayerContext<'_>) {
        let expired: Vec<_> =
            self.waiting.iter().filter(|&(_, &due)| due <= cx.now).map(|(&id, _)| id).collect();
        for id in expired {
            self.waiting.remove(&id);
            self.finish(cx, id, Err(Failure::Expired));
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.waiting.values().min().copied()
    }
}

/// Splits a message into id, kind and text.
fn parse(message: &str) -> Option<(u64, char, &str)> {
    let at = message.find(['?', '!'])?;
    let (id, rest) = message.split_at(at);
    let kind = rest.chars().next()?;
    Some((id.parse().ok()?, kind, &rest[1..]))
}

/// The time that a client has for a response.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    let mut world = World::new();
    let mut lines = Vec::new();
    let mut print = |line: String| {
        println!("{line}");
        lines.push(line);
    };

    // The server asks twice, and the client responds to the second.
    world.call("name?");
    world.call("age?");
    print(format!("the client was asked {:?}", world.received()));
    world.client_sends("42!36");
    world.client_sends("2!36");
    print(format!("{:?}", world.results()));

    // It never responds to the first.
    world.pass(PATIENCE);
    print(format!("{:?} after {PATIENCE:?}", world.results()));

    // The client asks.
    world.client_sends("1?hello");
    print(format!("the client was told {:?}", world.received()));

    // The end of the session is the end of all requests.
    world.call("still there?");
    world.received();
    world.lose();
    print(format!("{:?}", world.results()));

    assert_eq!(
        lines,
        [
            r#"the client was asked ["1?name?", "2?age?"]"#,
            r#"[(2, Ok("36"))]"#,
            r#"[(1, Err(Expired))] after 5s"#,
            r#"the client was told ["1!HELLO"]"#,
            r#"[(3, Err(Closed(TransportError(ConnectionLost))))]"#,
        ]
    );
}

/// A server with one client on a WebSocket, and a clock that stands still.
struct World {
    hub: ServerHub,
    now: Time,
    connection: ConnectionId,
    session: Option<SessionId>,
    written: Vec<u8>,
    results: Vec<(u64, Result<String, Failure>)>,
}

impl World {
    fn new() -> Self {
        // In earnest the operating system's: session ids are secrets.
        let entropy = |buffer: &mut [u8]| buffer.fill(7);
        let mut hub = ServerHub::new(ServerHubConfig::default(), entropy);
        let now = Time::ZERO;
        let connection = hub.handle_accepted(now);
        let (session, written, results) = (None, Vec::new(), Vec::new());
        let mut world = Self { hub, now, connection, session, written, results };
        world.receive(
            b"GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n\
              Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        // The response and the open packet.
        world.written.clear();
        world
    }

    /// The server sends a request.
    fn call(&mut self, text: &str) {
        let call = |calls: &mut Calls, cx: &mut LayerContext<'_>| calls.call(cx, text);
        let Some(session) = self.session else { return };
        let called = self.hub.with_layer(self.now, session, call);
        assert!(matches!(called, Some(Ok(_))), "{called:?}");
        self.drive();
    }

    /// The client sends a short message.
    fn client_sends(&mut self, text: &str) {
        // A text frame, masked with zeros, with a message packet (type 4).
        let length = u8::try_from(text.len() + 1).unwrap_or(125);
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0, b'4'];
        frame.extend(text.as_bytes());
        self.receive(&frame);
    }

    /// Returns the messages that the client has received, which are short.
    fn received(&mut self) -> Vec<String> {
        let written = std::mem::take(&mut self.written);
        let mut messages = Vec::new();
        let mut rest = &written[..];
        while let [0x81, length, behind @ ..] = rest {
            let (payload, behind) = behind.split_at(usize::from(*length));
            messages.push(String::from_utf8_lossy(&payload[1..]).into_owned());
            rest = behind;
        }
        messages
    }

    /// Returns what the application has taken from the layer.
    fn results(&mut self) -> Vec<(u64, Result<String, Failure>)> {
        std::mem::take(&mut self.results)
    }

    /// Time passes.
    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.hub.handle_timeout(self.now);
        self.drive();
    }

    /// The connection is lost.
    fn lose(&mut self) {
        self.hub.handle_lost(self.now, self.connection);
        self.drive();
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.hub.handle_bytes(self.now, self.connection, &mut bytes.to_vec());
        self.drive();
    }

    /// The event loop, see [`enginewire::hub`].
    fn drive(&mut self) {
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Opened(session, ..) => {
                    self.session = Some(session);
                    self.hub.set_layer(self.now, session, Box::new(Calls::default()));
                }
                // The layer has something for the application.
                Output::Layer(session) => {
                    let Self { hub, now, results, .. } = self;
                    hub.with_layer(*now, session, |calls: &mut Calls, cx| {
                        results.extend(std::iter::from_fn(|| calls.take(cx)));
                    });
                }
                Output::Write(on) => {
                    let Self { hub, now, written, .. } = self;
                    hub.transmit(*now, on, |bytes| {
                        written.extend_from_slice(bytes);
                        bytes.len()
                    });
                }
                _ => {}
            }
        }
    }
}
