//! The hub through its public API, on a virtual clock and with bytes of WebSockets.

mod abuse;
mod acks;
mod cluster;
mod connecting;
mod determinism;
mod ending;
mod http;
mod logging;
mod pressure;
mod recovery;
mod returning;
mod rooms;

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use enginewire::hub::ConnectionId;

use super::*;
use crate::{
    AckError, Args, ConnectError, EmitError, Event,
    cluster::Missing,
    payload::Payload,
    testing::wires::{Wire, Wires, counting},
};

/// It can be owned by another thread than the one that made it, or be behind a lock.
const _: fn(Hub) = |hub| drop::<Box<dyn Send>>(Box::new(hub));

/// An event loop around a hub, and an application that accepts everything unless it is told not to.
struct World {
    hub: Hub,
    now: Time,
    wires: Wires,
    /// Outputs for the application since the last look.
    seen: Vec<String>,
    /// Sockets that ask to connect and have no response.
    asking: Vec<SocketKey>,
    /// The application responds at once.
    accepts: bool,
    /// The application polls nothing.
    is_stuck: bool,
    events: Vec<(SocketKey, Event)>,
}

/// A client with one session over one WebSocket.
#[derive(Clone, Copy)]
struct Peer {
    on: ConnectionId,
    /// The socket that it connected first.
    key: SocketKey,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut HubConfig)) -> Self {
        let mut config = HubConfig::default();
        // Nothing but the deadlines of the test.
        config.engine.protocol.ping_interval = Duration::from_secs(100_000);
        change(&mut config);
        Self {
            hub: Hub::new(config, counting(0), counting(1 << 32)),
            now: Time::from_millis(1),
            wires: Wires::default(),
            seen: Vec::new(),
            asking: Vec::new(),
            accepts: true,
            is_stuck: false,
            events: Vec::new(),
        }
    }

    /// Opens a session over a WebSocket.
    fn open(&mut self) -> ConnectionId {
        self.open_with("EIO=4")
    }

    fn open_with(&mut self, query: &str) -> ConnectionId {
        let on = self.wires.accept(&mut self.hub, self.now);
        self.bytes(
            on,
            format!(
                "GET /socket.io/?{query}&transport=websocket HTTP/1.1\r\nHost: a\r\n\
                 Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ),
        );
        let written = core::mem::take(&mut self.wire(on).written);
        assert!(written.starts_with(b"HTTP/1.1 101 "), "{}", written.escape_ascii());
        on
    }

    /// A client that is connected to a namespace.
    fn connect(&mut self, namespace: &str) -> Peer {
        let on = self.open();
        let key = self.connect_on(on, namespace);
        Peer { on, key }
    }

    /// Connects a client that has a session to a namespace.
    fn connect_on(&mut self, on: ConnectionId, namespace: &str) -> SocketKey {
        self.says(on, &packet("0", namespace, ""));
        let connected = self.take(on);
        assert!(connected.starts_with('0'), "{connected}");
        self.seen.clear();
        self.hub.sockets.last().unwrap()
    }

    /// A message of Socket.IO comes.
    fn says(&mut self, on: ConnectionId, message: &str) {
        self.bytes(on, frame(0x81, format!("4{message}").as_bytes()));
    }

    fn says_binary(&mut self, on: ConnectionId, message: &[u8]) {
        self.bytes(on, frame(0x82, message));
    }

    fn bytes(&mut self, on: ConnectionId, bytes: impl AsRef<[u8]>) {
        self.hub.handle_bytes(self.now, on, &mut bytes.as_ref().to_vec());
        self.drain();
    }

    fn lose(&mut self, on: ConnectionId) {
        self.wires.lose(&mut self.hub, self.now, on);
        self.drain();
    }

    /// Everything ends, and nothing is left of it.
    fn end(mut self) {
        for on in self.wires.0.keys().copied().collect::<Vec<_>>() {
            self.lose(on);
        }
        // Sockets and events that were kept for clients that come back.
        self.pass(Duration::from_secs(500_000));
        let Self { hub, .. } = &mut self;
        assert_eq!((hub.sockets.len(), hub.namespaces.len(), hub.groups.len()), (0, 0, 0));
        assert!(hub.readable.is_empty() && hub.outputs.is_empty() && hub.retired.is_none());
        assert_eq!((hub.engine.sessions(), hub.engine.connections()), (0, 0));
        assert_eq!(hub.poll_timeout(), None);
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

    /// Does everything that the hub asks for.
    fn drain(&mut self) {
        while !self.is_stuck
            && let Some(output) = self.wires.poll(&mut self.hub, self.now)
        {
            self.handle(output);
        }
    }

    fn handle(&mut self, output: Output) {
        self.seen.push(describe(&self.hub, &output));
        match output {
            Output::Connect(key, ..) => match self.accepts {
                true => assert!(self.hub.accept(self.now, key)),
                false => self.asking.push(key),
            },
            Output::Event(key, event) => self.events.push((key, event)),
            _ => {}
        }
    }

    /// Outputs for the application since the last look.
    fn seen(&mut self) -> Vec<String> {
        core::mem::take(&mut self.seen)
    }

    /// Messages that were written since the last look, without the type of their Engine.IO packet.
    fn messages(&mut self, on: ConnectionId) -> Vec<String> {
        self.drain();
        let written = core::mem::take(&mut self.wire(on).written);
        let mut rest = &written[..];
        let mut messages = Vec::new();
        while let [kind, n, behind @ ..] = rest {
            let (n, behind) = match n {
                126 => (usize::from(u16::from_be_bytes([behind[0], behind[1]])), &behind[2..]),
                n => (usize::from(*n), behind),
            };
            let (payload, behind) = behind.split_at(n);
            messages.push(match kind {
                0x81 => {
                    let text = core::str::from_utf8(payload).unwrap();
                    text.strip_prefix('4').unwrap_or(text).to_string()
                }
                0x82 => format!("<{}>", payload.escape_ascii()),
                _ => format!("{kind:x}"),
            });
            rest = behind;
        }
        messages
    }

    /// The only message that was written since the last look.
    fn take(&mut self, on: ConnectionId) -> String {
        let mut messages = self.messages(on);
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    fn wire(&mut self, on: ConnectionId) -> &mut Wire {
        self.wires.0.get_mut(&on).unwrap()
    }

    /// Blocks the socket of a connection, or lets it take everything.
    fn set_blocked(&mut self, on: ConnectionId, is_blocked: bool) {
        self.wires.set_room(&mut self.hub, self.now, on, is_blocked.then_some(0));
        self.drain();
    }
}

/// One line for an output. Sockets have the number of their key.
fn describe(hub: &Hub, output: &Output) -> String {
    let name = |key: &SocketKey| format!("#{}", key.serial);
    match output {
        Output::Connect(key, request, _) => {
            let auth = request.auth.as_ref().and_then(Payload::as_json).unwrap_or_default();
            format!("{} asks {} {auth}", name(key), request.namespace).trim_end().into()
        }
        Output::Cancelled(key) => format!("{} cancelled", name(key)),
        Output::Recovered(key, before) => format!("{} recovered {}", name(key), name(before)),
        Output::Restored(key, data) => {
            format!("{} restored {}", name(key), data.as_json().unwrap())
        }
        Output::Event(key, event) => {
            let ack = event.ack().map(|id| format!(" ack {id}")).unwrap_or_default();
            format!("{} {}{ack}", name(key), event.args().payload().as_json().unwrap())
        }
        Output::Acknowledged(ask, result) => {
            format!("{} acked {}", name(&ask.socket()), shown(result))
        }
        Output::GroupAcknowledged(group, from, result) => {
            let from = hub.find("/", from).map_or_else(|| "gone".into(), |key| name(&key));
            format!("group {} {from} {}", group.serial, shown(result))
        }
        Output::RemoteAcknowledged(group, args) => {
            format!("group {} elsewhere {}", group.serial, args.payload().as_json().unwrap())
        }
        Output::GroupCompleted(group, missing) if missing.is_none() => {
            format!("group {} completed", group.serial)
        }
        Output::GroupCompleted(group, Missing { nodes, acks }) => {
            format!("group {} completed without {nodes} nodes, {acks} acks", group.serial)
        }
        Output::Writable(key) => format!("{} writable", name(key)),
        Output::Forgotten(key) => format!("{} forgotten", name(key)),
        Output::Disconnected(key, reason, rooms) => {
            let rooms: Vec<_> = rooms.iter().map(Room::as_str).collect();
            format!("{} left {rooms:?}: {reason}", name(key))
        }
        other => format!("{other:?}"),
    }
}

fn shown(result: &Result<Args, AckError>) -> String {
    match result {
        Ok(args) => args.payload().as_json().unwrap().into(),
        Err(AckError::Timeout) => "timeout".into(),
        Err(AckError::Disconnected(reason)) => reason.to_string(),
        Err(error) => error.to_string(),
    }
}

/// A packet without attachments.
fn packet(kind: &str, namespace: &str, payload: &str) -> String {
    match namespace {
        "/" => format!("{kind}{payload}"),
        _ => format!("{kind}{namespace},{payload}"),
    }
}

/// A masked frame with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([first]);
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

const SECOND: Duration = Duration::from_secs(1);
