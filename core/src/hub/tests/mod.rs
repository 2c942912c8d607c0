//! The hub through its public API, on a virtual clock and sockets made of buffers.

mod asking;
mod determinism;
mod ending;
mod forwarding;
mod nodes;
mod pressure;
mod seams;
mod sessions;
mod timeouts;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use super::*;
use crate::{Event, NodeName, session::SendError, wire::http::RequestHead};

/// It can be owned by another thread than the one that made it, or be behind a lock.
const _: fn(ServerHub) = |hub| drop::<Box<dyn Send>>(Box::new(hub));

/// An event loop around a hub.
struct World {
    hub: ServerHub,
    now: Time,
    /// Effects of the loop on each connection.
    sockets: BTreeMap<ConnectionId, Socket>,
    /// Everything that the hub has said, in order.
    log: Vec<String>,
    asked: Vec<(AskId, ConnectionId, Arc<RequestHead>)>,
    opened: Vec<SessionId>,
    notified: Vec<SessionId>,
    requests: Vec<(RequestId, Arc<RequestHead>, bytes::Bytes)>,
    /// Connections to other nodes that are to be made, and those of their clients.
    handed_over: Vec<(ConnectionId, NodeName, ConnectionId)>,
    events: Vec<(SessionId, Event)>,
    /// Messages are sent back.
    echoes: bool,
}

/// The loop's side of a connection.
#[derive(Default)]
struct Socket {
    /// Bytes that have been written and not looked at.
    written: Vec<u8>,
    /// How much more can be written, if there is a limit.
    room: Option<usize>,
    /// How often `Read` came.
    resumed: usize,
    shut_down: bool,
    closed: bool,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn echoing() -> Self {
        let mut world = Self::new();
        world.echoes = true;
        world
    }

    fn with(change: impl FnOnce(&mut ServerHubConfig)) -> Self {
        let mut config = ServerHubConfig::default();
        change(&mut config);
        let mut last = 0u8;
        let entropy = move |buffer: &mut [u8]| {
            last = last.wrapping_add(1);
            buffer.fill(last);
        };
        Self {
            hub: ServerHub::new(config, entropy),
            now: Time::from_millis(1),
            sockets: BTreeMap::new(),
            log: Vec::new(),
            asked: Vec::new(),
            opened: Vec::new(),
            notified: Vec::new(),
            requests: Vec::new(),
            handed_over: Vec::new(),
            events: Vec::new(),
            echoes: false,
        }
    }

    fn accept(&mut self) -> ConnectionId {
        let on = self.hub.handle_accepted(self.now);
        assert!(self.sockets.insert(on, Socket::default()).is_none());
        self.drain();
        on
    }

    /// Bytes come, and everything that follows is done.
    fn bytes(&mut self, on: ConnectionId, bytes: impl AsRef<[u8]>) {
        self.hub.handle_bytes(self.now, on, &mut bytes.as_ref().to_vec());
        self.drain();
    }

    fn request(&mut self, on: ConnectionId, method: &str, query: &str, body: &str) {
        self.bytes(on, request(method, query, body));
    }

    fn get(&mut self, on: ConnectionId, query: &str) -> String {
        self.request(on, "GET", query, "");
        self.take(on)
    }

    fn post(&mut self, on: ConnectionId, query: &str, body: &str) -> String {
        self.request(on, "POST", query, body);
        self.take(on)
    }

    /// Opens a session over polling; gives the query of its requests.
    fn open_polling(&mut self, on: ConnectionId) -> (SessionId, String) {
        let answer = self.get(on, "transport=polling");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let sid = answer.split('"').nth(3).unwrap();
        (self.opened.pop().unwrap(), format!("transport=polling&sid={sid}"))
    }

    /// The question that waits.
    fn question(&mut self) -> AskId {
        let (ask, ..) = self.asked.pop().unwrap();
        ask
    }

    /// Opens a session over WebSocket.
    fn open_websocket(&mut self) -> (SessionId, ConnectionId) {
        let on = self.accept();
        self.bytes(on, upgrade("transport=websocket"));
        let answer = self.take(on);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("\r\n\r\n\u{1}"), "the open packet comes along: {answer:?}");
        (self.opened.pop().unwrap(), on)
    }

    /// Takes what has been written since the last look, each byte as a character. The first byte of
    /// a text frame is then a `\u{1}`.
    fn take(&mut self, on: ConnectionId) -> String {
        let written = core::mem::take(&mut self.socket(on).written);
        written.iter().map(|&byte| char::from(byte & 0x7f)).collect()
    }

    /// The payloads of the text frames that have been written since the last look.
    fn texts(&mut self, on: ConnectionId) -> Vec<String> {
        let written = core::mem::take(&mut self.socket(on).written);
        let mut rest = &written[..];
        let mut texts = Vec::new();
        while let [0x81, n @ 0..=125, behind @ ..] = rest {
            let (text, behind) = behind.split_at(usize::from(*n));
            texts.push(String::from_utf8(text.to_vec()).unwrap());
            rest = behind;
        }
        assert!(rest.is_empty(), "not a text frame: {rest:?}");
        texts
    }

    fn events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events).into_iter().map(|(_, event)| event).collect()
    }

    fn socket(&mut self, on: ConnectionId) -> &mut Socket {
        self.sockets.get_mut(&on).unwrap()
    }

    /// Lets the peer take so many bytes.
    fn let_out(&mut self, on: ConnectionId, bytes: usize) {
        self.socket(on).room = Some(bytes);
        self.hub.handle_writable(self.now, on);
        self.drain();
    }

    /// Does everything that the hub asks for.
    fn drain(&mut self) {
        while let Some(output) = self.hub.poll() {
            self.log.push(format!("{} {output:?}", self.now));
            match output {
                Output::Write(on) => {
                    let Self { hub, sockets, now, log, .. } = self;
                    let socket = sockets.get_mut(&on).unwrap();
                    hub.transmit(*now, on, |bytes| {
                        let n = bytes.len().min(socket.room.unwrap_or(usize::MAX));
                        socket.written.extend_from_slice(&bytes[..n]);
                        socket.room = socket.room.map(|room| room - n);
                        log.push(format!("{:?}", &bytes[..n]));
                        n
                    });
                }
                Output::Read(on) => self.socket(on).resumed += 1,
                Output::Shutdown(on) => self.socket(on).shut_down = true,
                Output::Close(on) => self.socket(on).closed = true,
                Output::Ask(ask, on, head) => self.asked.push((ask, on, head)),
                Output::Opened(session, ..) => self.opened.push(session),
                Output::Layer(session) => self.notified.push(session),
                Output::Request(request, head, body) => self.requests.push((request, head, body)),
                Output::HandOver(on, node, client) => {
                    assert!(self.sockets.insert(on, Socket::default()).is_none());
                    self.handed_over.push((on, node, client));
                }
                Output::Event(session, event) => {
                    if let (Event::Message(message), true) = (&event, self.echoes) {
                        self.hub.send(session, message.clone()).unwrap();
                    }
                    self.events.push((session, event));
                }
            }
        }
    }

    /// Time passes, and every deadline on the way is kept.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.hub.poll_timeout().filter(|&deadline| deadline <= end) {
            self.now = self.now.max(deadline);
            self.hub.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn is_open(&self, on: ConnectionId) -> bool {
        !self.sockets[&on].closed
    }

    /// The last connection ends when the peer has had all the time to close it, and not before.
    fn assert_lingers(&mut self, on: ConnectionId) {
        self.pass(seconds(1));
        assert!(self.is_open(on), "it is not waited for");
        self.pass(seconds(1));
        assert!(!self.is_open(on), "it is waited for for too long");
        self.assert_empty();
    }

    /// Asserts that nothing is left of what there was.
    fn assert_empty(&mut self) {
        assert_eq!((self.hub.sessions(), self.hub.connections()), (0, 0));
        assert!(self.hub.poll().is_none());
        assert_eq!(self.hub.poll_timeout(), None);
        self.hub.sessions.assert_empty();
    }
}

impl Sessions {
    fn assert_empty(&self) {
        assert!(self.links.is_empty());
        assert_eq!(self.deadlines.len(), 0);
        assert_eq!(self.living(), 0);
    }
}

fn request(method: &str, query: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} /engine.io/?EIO=4&{query} HTTP/1.1\r\nHost: a\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

fn upgrade(query: &str) -> String {
    format!(
        "GET /engine.io/?EIO=4&{query} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A masked frame with a mask of zeros.
fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = Vec::from([0x80 | opcode]);
    match payload.len() {
        n @ ..126 => frame.push(0x80 | u8::try_from(n).unwrap()),
        n => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(n).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(1, payload)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
