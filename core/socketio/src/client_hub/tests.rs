//! Client and server as values, on a virtual clock and a network that fails.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::time::Duration;

use enginewire::{Reconnect, TransportKind, hub::ConnectionId as ServerConnectionId};

use super::*;
use crate::{
    AckError, DisconnectReason, EmitError, Event, Update,
    adapter::{RecoveryConfig, Target},
    hub::{Hub, HubConfig, Output, SocketKey},
    manager::Offline,
    testing::wires::{Wires, counting},
};

mod closing;
mod events;
mod losses;
mod platform;
mod reports;

/// A client, a server, and the network between them.
struct World {
    client: ClientHub,
    server: Hub,
    server_config: HubConfig,
    wires: Wires,
    /// Connections, by the names that both sides have for them.
    links: BTreeMap<ConnectionId, ServerConnectionId>,
    now: Time,
    /// Connections are refused.
    is_down: bool,
    /// What the server's application has seen.
    seen: Vec<String>,
    /// The server's sockets, by their namespaces.
    sockets: BTreeMap<String, SocketKey>,
    /// What the client's application has seen.
    told: Vec<String>,
    /// The payload for the next request.
    token: u32,
    /// Connections that the client has asked for.
    attempts: usize,
    /// After so many outputs of client and server all connections are reset, once.
    cut_after: Option<usize>,
    /// The client's application asks a question when it is told that its socket is connected.
    asks_when_connected: bool,
    /// The server's application sends an event to each socket that connects, which the client's responds to.
    greets: bool,
}

impl World {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut ClientHubConfig)) -> Self {
        Self::of(HubConfig::default(), change)
    }

    fn of(server_config: HubConfig, change: impl FnOnce(&mut ClientHubConfig)) -> Self {
        let mut config = ClientHubConfig::new(&Url::parse("http://localhost").unwrap());
        config.manager.reconnect = Some(Reconnect::default().with_jitter(0.0));
        change(&mut config);
        Self {
            client: ClientHub::new(config, counting(2 << 32)),
            server: Hub::new(server_config.clone(), counting(0), counting(1 << 32)),
            server_config,
            wires: Wires::default(),
            links: BTreeMap::new(),
            now: Time::from_millis(1),
            is_down: false,
            seen: Vec::new(),
            sockets: BTreeMap::new(),
            told: Vec::new(),
            token: 0,
            attempts: 0,
            cut_after: None,
            asks_when_connected: false,
            greets: false,
        }
    }

    /// A client that is connected to `/`.
    fn connected() -> (Self, Slot) {
        let mut world = Self::new();
        let socket = world.socket("/");
        assert!(world.client.is_connected(socket));
        world.told();
        world.seen();
        (world, socket)
    }

    /// Makes a socket, and connects it. An upgrade is done by then.
    fn socket(&mut self, namespace: &str) -> Slot {
        let socket = self.client.open(namespace, Auth::None).unwrap();
        self.client.connect(self.now, socket);
        self.pass(SECOND);
        socket
    }

    /// Moves bytes until nothing moves.
    fn settle(&mut self) {
        loop {
            let mut any = false;
            while let Some(output) = self.client.poll() {
                any = true;
                if matches!(output, ClientOutput::Connect(_)) {
                    self.attempts += 1;
                }
                self.handle_client(output);
                self.wear();
            }
            while let Some(output) = self.wires.poll(&mut self.server, self.now) {
                any = true;
                self.handle_server(output);
                self.wear();
            }
            for (ours, theirs) in self.links.clone() {
                let Some(wire) = self.wires.0.get_mut(&theirs) else { continue };
                let mut written = core::mem::take(&mut wire.written);
                let ends = core::mem::take(&mut wire.is_shut) || wire.is_closed;
                if wire.is_closed {
                    self.wires.0.remove(&theirs);
                    self.links.remove(&ours);
                }
                any |= ends || !written.is_empty();
                self.client.handle_bytes(self.now, ours, &mut written);
                if ends {
                    self.client.handle_eof(self.now, ours);
                }
            }
            if !any {
                return;
            }
        }
    }

    fn handle_client(&mut self, output: ClientOutput) {
        match output {
            ClientOutput::Connect(on) if self.is_down => self.client.handle_refused(self.now, on),
            ClientOutput::Connect(on) => {
                assert_eq!(self.client.address(on).map(Url::authority), Some("localhost"));
                let theirs = self.wires.accept(&mut self.server, self.now);
                assert!(self.links.insert(on, theirs).is_none(), "{on:?} twice");
                assert!(self.client.handle_connected(self.now, on));
            }
            ClientOutput::Write(on) => {
                let mut written = Vec::new();
                self.client.transmit(self.now, on, |bytes| {
                    written.extend_from_slice(bytes);
                    bytes.len()
                });
                if let Some(&theirs) = self.links.get(&on) {
                    self.server.handle_bytes(self.now, theirs, &mut written);
                }
            }
            ClientOutput::Encrypt(on) => panic!("{on:?} is no tunnel"),
            ClientOutput::Close(on) => {
                if let Some(theirs) = self.links.remove(&on) {
                    self.server.handle_eof(self.now, theirs);
                    self.wires.lose(&mut self.server, self.now, theirs);
                }
            }
            ClientOutput::Auth(socket) => {
                self.token += 1;
                let auth = serde_json::json!({"token": self.token});
                self.client.authorize(self.now, socket, Some(&auth)).unwrap();
            }
            ClientOutput::Update(socket, update) => {
                if matches!(update, Update::Connected { .. }) && self.asks_when_connected {
                    let asked =
                        self.client.emit_with_ack(self.now, socket, "hello", &(), 10 * SECOND);
                    asked.unwrap();
                }
                if matches!(&update, Update::Event { event, .. } if event.name() == "state?") {
                    self.client.emit(socket, "state", &()).unwrap();
                }
                let text = match &update {
                    Update::Connected { recovered, .. } => format!("connected, {recovered}"),
                    Update::Event { event, connection } => {
                        if let Some(ack) = event.ack() {
                            let payload = format!("{} too", event.name());
                            let acknowledged =
                                self.client.acknowledge(socket, *connection, ack, &payload, vec![]);
                            acknowledged.unwrap();
                        }
                        shown(event)
                    }
                    Update::Disconnected { reason, unsent } => {
                        format!("disconnected: {reason}, {unsent}")
                    }
                    Update::Refused(error) => format!("refused: {}", error.message()),
                    Update::Failed(reason) => format!("failed: {reason}"),
                    Update::Waiting { attempt, delay } => format!("{attempt} in {delay:?}"),
                };
                self.told.push(text);
            }
            ClientOutput::Acknowledged(_, Ok(args)) => {
                self.told.push(format!("ack {}", args.payload().as_json().unwrap()));
            }
            ClientOutput::Acknowledged(_, Err(error)) => self.told.push(format!("no ack: {error}")),
            ClientOutput::Writable(_) => self.told.push("writable".into()),
            ClientOutput::Closed { unsent } => self.told.push(format!("closed, {unsent}")),
        }
    }

    fn handle_server(&mut self, output: Output) {
        match output {
            Output::Connect(key, request, _) => {
                let namespace = request.namespace.to_string();
                if namespace == "/forbidden" {
                    self.server.refuse(self.now, key, &"forbidden".into());
                    return;
                }
                let auth = request.auth.map(|auth| auth.as_json().unwrap().to_string());
                self.seen.push(format!("{namespace} {}", auth.as_deref().unwrap_or("-")));
                self.sockets.insert(namespace, key);
                self.server.accept(self.now, key);
                if self.greets {
                    self.server.emit(key, "state?", &()).unwrap();
                }
            }
            Output::Recovered(key, _) => {
                self.seen.push("recovered".into());
                self.sockets.insert("/".into(), key);
            }
            Output::Event(key, event) => {
                self.seen.push(shown(&event));
                if let (Some(ack), true) = (event.ack(), event.name() != "unanswered") {
                    let acknowledged = self.server.acknowledge(key, ack, &event.name());
                    assert!(acknowledged.is_ok());
                }
            }
            Output::Acknowledged(_, result) => {
                let text = result.map(|args| args.payload().as_json().unwrap().to_string());
                self.seen.push(format!("ack {}", text.unwrap_or_else(|error| error.to_string())));
            }
            Output::Disconnected(_, reason, _) => self.seen.push(format!("left: {reason}")),
            _ => {}
        }
    }

    /// Time passes, and all deadlines on the way.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        loop {
            let due =
                self.client.poll_timeout().into_iter().chain(self.server.poll_timeout()).min();
            let Some(due) = due.filter(|&due| due <= end) else { break };
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// Resets all connections, if it is time for that.
    fn wear(&mut self) {
        match &mut self.cut_after {
            Some(0) => {
                self.cut_after = None;
                self.reset();
            }
            Some(left) => *left -= 1,
            None => {}
        }
    }

    /// Resets all connections.
    fn cut(&mut self) {
        self.reset();
        self.settle();
    }

    fn reset(&mut self) {
        for (ours, theirs) in core::mem::take(&mut self.links) {
            self.client.handle_lost(self.now, ours);
            self.wires.lose(&mut self.server, self.now, theirs);
        }
    }

    /// The server's process ends, and none takes its place.
    fn kill_server(&mut self) {
        self.is_down = true;
        self.server = Hub::new(self.server_config.clone(), counting(5), counting(3 << 32));
        for (ours, _) in core::mem::take(&mut self.links) {
            self.client.handle_lost(self.now, ours);
        }
        self.wires = Wires::default();
        self.sockets.clear();
        self.settle();
    }

    fn emit(&mut self, socket: Slot, name: &str) -> Result<(), EmitError> {
        let result = self.client.emit(socket, name, &());
        self.settle();
        result
    }

    /// The server sends an event to the socket of `/`.
    fn server_emits(&mut self, name: &str) {
        let key = self.sockets["/"];
        self.server.emit(key, name, &()).unwrap();
        self.settle();
    }

    fn seen(&mut self) -> Vec<String> {
        core::mem::take(&mut self.seen)
    }

    fn told(&mut self) -> Vec<String> {
        core::mem::take(&mut self.told)
    }
}

fn shown(event: &Event) -> String {
    event.args().payload().as_json().unwrap().into()
}

const SECOND: Duration = Duration::from_secs(1);
