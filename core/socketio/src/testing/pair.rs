//! A hub and its clients on a virtual clock.

use alloc::{boxed::Box, collections::VecDeque, string::String, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use enginewire::{
    ClientConfig, ClientConnectionId, ClientHub, ClientHubAction, CloseReason, Encoded, Entropy,
    Event, IntoEncoded, Message, SendError, Text, Time, TransportKind, Url, hub::ConnectionId,
};
use serde::Serialize;

use super::{
    Client, Update,
    wires::{Wires, counting},
};
use crate::{
    AckId, EmitError, Name,
    hub::{Hub, HubConfig, Output},
    parser::Parser,
};

/// A [`Hub`] and clients of it on a virtual clock, in one value.
///
/// Bytes move when [`poll`](Self::poll) or [`recv`](Self::recv) is called and when [time passes](Self::pass), and in no
/// other way. The same calls give the same results, byte for byte: ids and randomness are counted.
///
/// Each client is a [`ClientHub`] of Engine.IO and a [`Client`] on top of it. Methods that take a [`ClientId`] panic if
/// it is that of another pair.
pub struct Pair {
    /// The server.
    pub hub: Hub,
    now: Time,
    wires: Wires,
    clients: Vec<Peer>,
    /// Outputs for the application that came while a client was looked at.
    outputs: VecDeque<Output>,
    url: Url,
    path: String,
    parser: Parser,
    entropy: Box<dyn Entropy + Send>,
}

/// Client of a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(usize);

/// A client and its connections.
struct Peer {
    engine: ClientHub,
    client: Client,
    links: Vec<Link>,
    is_frozen: bool,
    messages: VecDeque<Message>,
}

/// A connection, by the names that both sides have for it.
struct Link {
    ours: ClientConnectionId,
    theirs: ConnectionId,
    /// The hub did not want to read what the client has.
    is_blocked: bool,
}

impl Pair {
    /// Creates a server without clients.
    ///
    /// # Panics
    ///
    /// Never: the URL of the server is valid.
    #[expect(clippy::expect_used, reason = "the address is a constant")]
    pub fn new(config: HubConfig) -> Self {
        let (path, parser) =
            (config.engine.protocol.path.clone(), config.connection.parser.clone());
        Self {
            hub: Hub::new(config, counting(0), counting(1 << 32)),
            now: Time::from_millis(1),
            wires: Wires::default(),
            clients: Vec::new(),
            outputs: VecDeque::new(),
            url: Url::parse("http://localhost").expect("it is a URL"),
            path,
            parser,
            entropy: Box::new(counting(2 << 32)),
        }
    }

    /// Returns the time. It moves with [`pass`](Self::pass) alone.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Returns the next output of the hub for the application.
    ///
    /// Outputs for the event loop are done: bytes are moved until there is another, or nothing moves.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if let Some(output) = self.wires.poll(&mut self.hub, self.now) {
                return Some(output);
            }
            if !self.exchange() {
                return None;
            }
        }
    }

    /// Lets time pass, and keeps every deadline on the way.
    ///
    /// Outputs that come meanwhile are kept for [`poll`](Self::poll).
    pub fn pass(&mut self, duration: Duration) {
        self.settle();
        let end = self.now + duration;
        while let Some(deadline) = self.next_deadline().filter(|&deadline| deadline <= end) {
            self.now = self.now.max(deadline);
            self.hub.handle_timeout(self.now);
            for peer in &mut self.clients {
                peer.engine.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    fn next_deadline(&mut self) -> Option<Time> {
        let clients = self.clients.iter().filter_map(|peer| peer.engine.poll_timeout());
        clients.chain(self.hub.poll_timeout()).min()
    }

    /// Moves bytes until nothing moves.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.wires.poll(&mut self.hub, self.now) {
                self.outputs.push_back(output);
            }
            if !self.exchange() {
                return;
            }
        }
    }

    /// Moves bytes between the buffers of the hub and the clients. Returns whether any moved.
    fn exchange(&mut self) -> bool {
        let Self { hub, now, wires, clients, entropy, .. } = self;
        let mut any = false;
        for peer in clients.iter_mut().filter(|peer| !peer.is_frozen) {
            any |= peer.exchange(hub, *now, wires, &mut **entropy);
        }
        any
    }
}

/// Clients.
impl Pair {
    /// Begins to open a session over a WebSocket.
    pub fn open(&mut self) -> ClientId {
        self.open_with(|config| config.transports = [TransportKind::WebSocket].into())
    }

    /// Begins to open a session with options: its transports, a query, header fields.
    pub fn open_with(&mut self, change: impl FnOnce(&mut ClientConfig)) -> ClientId {
        let mut config = ClientConfig::new(&self.url);
        config.path.clone_from(&self.path);
        change(&mut config);
        let config = Arc::new(config);
        let engine = ClientHub::new(self.now, &self.url, config, false, &mut *self.entropy);
        self.clients.push(Peer {
            engine,
            client: Client::new(self.parser.clone()),
            links: Vec::new(),
            is_frozen: false,
            messages: VecDeque::new(),
        });
        ClientId(self.clients.len() - 1)
    }

    /// Asks to connect a client to a namespace. [`Update::Connected`] or [`Update::Refused`] follows.
    ///
    /// It may be called before the session is open.
    ///
    /// # Errors
    ///
    /// The session is closed, or has no room.
    pub fn connect(&mut self, client: ClientId, namespace: &str) -> Result<(), EmitError> {
        self.run(client, |client| Ok((client.connect::<()>(namespace, None)?, ())))
    }

    /// Asks to connect a client to a namespace with a payload.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or as [`connect`](Self::connect).
    pub fn connect_with<A: Serialize + ?Sized>(
        &mut self,
        client: ClientId,
        namespace: &str,
        auth: &A,
    ) -> Result<(), EmitError> {
        self.run(client, |client| Ok((client.connect(namespace, Some(auth))?, ())))
    }

    /// Sends an event of a client. A tuple is several arguments, `()` none, anything else one.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, the name is reserved, the namespace is not connected, or there is no room.
    pub fn emit<P: Serialize + ?Sized>(
        &mut self,
        client: ClientId,
        namespace: &str,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        self.run(client, |client| Ok((client.emit(namespace, name, payload)?, ())))
    }

    /// Sends an event of a client that the server is to acknowledge. [`Update::Acknowledged`] has the same number.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_with_ack<P: Serialize + ?Sized>(
        &mut self,
        client: ClientId,
        namespace: &str,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<AckId, EmitError> {
        self.run(client, |client| {
            let (ack, message) = client.emit_with_ack(namespace, name, payload)?;
            Ok((message, ack))
        })
    }

    /// Acknowledges an event that the server has sent with this number.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn acknowledge<P: Serialize + ?Sized>(
        &mut self,
        client: ClientId,
        namespace: &str,
        ack: AckId,
        payload: &P,
    ) -> Result<(), EmitError> {
        self.run(client, |client| Ok((client.acknowledge(namespace, ack, payload)?, ())))
    }

    /// Has a client leave a namespace.
    ///
    /// # Errors
    ///
    /// The namespace is not connected, or the session is closed.
    pub fn disconnect(&mut self, client: ClientId, namespace: &str) -> Result<(), EmitError> {
        self.run(client, |client| Ok((client.disconnect(namespace)?, ())))
    }

    /// Sends a message of a client as it is, whatever the protocol says about it.
    ///
    /// # Errors
    ///
    /// The session is closed, or there is no room.
    pub fn send(&mut self, client: ClientId, message: impl IntoEncoded) -> Result<(), EmitError> {
        let sent = self.clients[client.0].engine.send(message);
        sent.map_err(|error| match error.reason {
            SendError::Full { queued, max } => EmitError::Full { queued, max },
            _ => EmitError::Disconnected,
        })
    }

    /// Returns the next update of a client, and the namespace that it is about.
    ///
    /// Bytes are moved until nothing moves. Outputs that come meanwhile are kept for [`poll`](Self::poll).
    ///
    /// # Panics
    ///
    /// If the server broke the protocol.
    pub fn recv(&mut self, client: ClientId) -> Option<(Text, Update)> {
        self.settle();
        let Peer { client, messages, .. } = &mut self.clients[client.0];
        while let Some(message) = messages.pop_front() {
            match client.handle_message(message) {
                Ok(None) => {}
                Ok(update) => return update,
                Err(fault) => panic!("the server broke the protocol: {fault}"),
            }
        }
        None
    }

    /// Takes the messages that a client has received, instead of their updates.
    ///
    /// The client does not learn of them. It is for tests of what stands on the wire.
    pub fn messages(&mut self, client: ClientId) -> Vec<Message> {
        self.settle();
        self.clients[client.0].messages.drain(..).collect()
    }

    /// Begins to close the session of a client.
    pub fn close(&mut self, client: ClientId) {
        self.clients[client.0].engine.close(self.now);
    }

    /// Returns why the session of a client is closed. `None` while it is not.
    pub fn close_reason(&self, client: ClientId) -> Option<&CloseReason> {
        self.clients[client.0].engine.session().close_reason()
    }

    /// Returns the transport of a client's session.
    pub fn transport(&self, client: ClientId) -> TransportKind {
        self.clients[client.0].engine.session().transport()
    }

    fn run<T>(
        &mut self,
        client: ClientId,
        command: impl FnOnce(&mut Client) -> Result<(Encoded, T), EmitError>,
    ) -> Result<T, EmitError> {
        let (message, result) = command(&mut self.clients[client.0].client)?;
        self.send(client, message)?;
        Ok(result)
    }
}

/// Faults of the network.
impl Pair {
    /// Resets the connections of a client. Bytes in flight are lost.
    pub fn cut(&mut self, client: ClientId) {
        let Self { hub, now, wires, clients, .. } = self;
        let Peer { engine, links, .. } = &mut clients[client.0];
        for Link { ours, theirs, .. } in links.drain(..) {
            wires.lose(hub, *now, theirs);
            engine.handle_lost(*now, ours);
        }
    }

    /// Stops the bytes of a client in both directions, without a word to either side.
    ///
    /// Buffers take [`FROZEN_ROOM`] bytes of the server on each connection.
    pub fn freeze(&mut self, client: ClientId) {
        self.set_frozen(client, true);
    }

    /// Ends [`freeze`](Self::freeze). What was sent meanwhile arrives.
    pub fn thaw(&mut self, client: ClientId) {
        self.set_frozen(client, false);
    }

    fn set_frozen(&mut self, client: ClientId, is_frozen: bool) {
        let Self { hub, now, wires, clients, .. } = self;
        let peer = &mut clients[client.0];
        if peer.is_frozen != is_frozen {
            peer.is_frozen = is_frozen;
            for link in &peer.links {
                wires.set_room(hub, *now, link.theirs, is_frozen.then_some(FROZEN_ROOM));
            }
        }
    }
}

impl Peer {
    /// Moves what there is to move. Returns whether that was something.
    fn exchange(
        &mut self,
        hub: &mut Hub,
        now: Time,
        wires: &mut Wires,
        entropy: &mut dyn Entropy,
    ) -> bool {
        let Self { engine, links, messages, .. } = self;
        let mut any = false;
        for link in links.iter_mut().filter(|link| link.is_blocked && hub.is_reading(link.theirs)) {
            link.is_blocked = false;
            engine.handle_writable(now, link.ours);
        }
        while let Some(action) = engine.poll_action(now, entropy) {
            any = true;
            match action {
                ClientHubAction::Connect(ours) => {
                    links.push(Link { ours, theirs: wires.accept(hub, now), is_blocked: false });
                    engine.handle_connected(now, ours);
                }
                // Its links have no proxy.
                ClientHubAction::Encrypt(_) => {}
                ClientHubAction::Write(ours) => {
                    let Some(link) = links.iter_mut().find(|link| link.ours == ours) else {
                        continue;
                    };
                    let mut written = Vec::new();
                    link.is_blocked = !hub.is_reading(link.theirs);
                    engine.transmit(now, ours, |bytes| match link.is_blocked {
                        true => 0,
                        false => {
                            written.extend_from_slice(bytes);
                            bytes.len()
                        }
                    });
                    hub.handle_bytes(now, link.theirs, &mut written);
                }
                ClientHubAction::Close(ours) => {
                    if let Some(at) = links.iter().position(|link| link.ours == ours) {
                        let Link { theirs, .. } = links.swap_remove(at);
                        hub.handle_eof(now, theirs);
                        wires.lose(hub, now, theirs);
                    }
                }
            }
        }
        links.retain(|link| {
            let Some(wire) = wires.0.get_mut(&link.theirs) else { return false };
            let mut written = core::mem::take(&mut wire.written);
            let (ends, is_closed) = (core::mem::take(&mut wire.is_shut), wire.is_closed);
            any |= ends || is_closed || !written.is_empty();
            engine.handle_bytes(now, link.ours, &mut written);
            if ends || is_closed {
                engine.handle_eof(now, link.ours);
            }
            if is_closed {
                wires.0.remove(&link.theirs);
            }
            !is_closed
        });
        while let Some(event) = engine.poll_event() {
            if let Event::Message(message) = event {
                messages.push_back(message);
            }
        }
        any
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("hub", &self.hub)
            .field("now", &self.now)
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

/// Bytes that the buffers of a frozen connection take: the part of an operating system.
pub const FROZEN_ROOM: usize = 64 * 1024;
