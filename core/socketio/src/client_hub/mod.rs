//! A whole Socket.IO client as one value. It is for event loops of any kind, simulations, other languages and wasm.
//!
//! A [`ClientHub`] is a [`Manager`] on top of the [`ClientHub`](enginewire::ClientHub) of Engine.IO, which it makes anew
//! for each session. It has no sockets of its own: an event loop opens and closes connections as the outputs say, and
//! tells what happened to them.
//!
//! # The loop
//!
//! ```
//! use core::time::Duration;
//!
//! use enginewire::{Time, Url};
//! use enginewire_socketio::{
//!     Auth, Update,
//!     client_hub::{ClientHub, ClientHubConfig, ClientOutput},
//! };
//!
//! let url = Url::parse("http://localhost:3000")?;
//! let mut config = ClientHubConfig::new(&url);
//! config.engine.transports = [enginewire::TransportKind::WebSocket].into();
//! // In production the operating system's: it masks what goes over a WebSocket.
//! let mut hub = ClientHub::new(config, |bytes: &mut [u8]| bytes.fill(0));
//!
//! let now = Time::ZERO;
//! let socket = hub.open("/", Auth::None).expect("it is the first of this namespace");
//! hub.connect(now, socket);
//! // It waits until the socket is connected.
//! hub.emit(socket, "hello", "world")?;
//!
//! # let key = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//! #     Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n";
//! # let frame = |text: &str| [&[0x81, text.len() as u8], text.as_bytes()].concat();
//! # let open = r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
//! # let mut from_server = [key.as_bytes().to_vec(), frame(open), frame(r#"40{"sid":"abc"}"#),
//! #     frame(r#"42["welcome"]"#)].into_iter();
//! let (mut written, mut connection) = (Vec::new(), None);
//! loop {
//!     // Out: after any input or command, until there is nothing more.
//!     while let Some(output) = hub.poll() {
//!         match output {
//!             // The event loop.
//!             ClientOutput::Connect(on) => {
//!                 // To `hub.address(on)`. Here it is there at once.
//!                 hub.handle_connected(now, on);
//!                 connection = Some(on);
//!             }
//!             ClientOutput::Write(on) => hub.transmit(now, on, |bytes| {
//!                 written.extend_from_slice(bytes);
//!                 bytes.len() // As many as the socket has taken.
//!             }),
//!             ClientOutput::Close(_) => connection = None,
//!             // The application.
//!             ClientOutput::Update(_, Update::Event { event, .. }) => assert_eq!(event.name(), "welcome"),
//!             _ => {} // The socket was connected, or lost; an acknowledgement; room for more.
//!         }
//!     }
//!     // In: bytes of a connection. And time, see `poll_timeout`.
//!     let (Some(on), Some(mut bytes)) = (connection, from_server.next()) else { break };
//!     hub.handle_bytes(now, on, &mut bytes);
//! }
//! assert!(hub.is_connected(socket));
//! assert_eq!(hub.queued(socket), 0, "what waited has left, masked");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The duties of the loop are those of [`enginewire::ClientHub`]. An application without room of its own
//! [pauses](ClientHub::pause) a socket, and the server is slowed down.
//!
//! The example `blocking_chat` is a whole program, on blocking sockets.

mod config;
mod emit;
mod engine;
mod io;
mod output;
mod platform;

#[cfg(test)]
mod tests;

use alloc::{boxed::Box, collections::VecDeque, string::String, sync::Arc, vec::Vec};
use core::fmt;

use enginewire::{
    ClientConfig, ClientHub as Engine, ClientHubAction, CloseReason, Entropy, Event as EngineEvent,
    Time, TransportKind, Url,
};
use serde::Serialize;

pub use self::{
    config::ClientHubConfig,
    engine::ClientEngine,
    output::{ClientAskId, ClientOutput, ConnectionId},
    platform::{PlatformHub, PlatformSession, SessionNumber},
};
use crate::{
    EncodeError, SocketId,
    connection::{Fault, Slot},
    manager::{Auth, EndReason, Manager, ManagerEvent, Update},
    parser::Encoder,
};

/// A whole Socket.IO client: its sockets, over all sessions with one server.
///
/// Methods come in four families, as those of [`Hub`](crate::hub::Hub): *network inputs*, `handle_*`, which never fail;
/// *commands* of the application; *outputs*, [`poll`](Self::poll), [`transmit`](Self::transmit) and
/// [`poll_timeout`](Self::poll_timeout); and *getters*. `now` must never go backwards. The same inputs give the same
/// outputs, byte for byte.
///
/// **Loss, order, bounds.** Those of [`Manager`].
///
/// **Panics.** None, but those of functions and payloads that it is given.
///
/// `E` is the session under it: one with connections, for an event loop that has sockets. Platforms that make requests
/// and WebSockets themselves have a [`PlatformHub`].
pub struct ClientHub<E = Engine> {
    url: Url,
    config: Arc<ClientConfig>,
    entropy: Box<dyn Entropy + Send>,
    manager: Manager<ClientAskId>,
    /// The session, if there is one, and the number of the hub that has it.
    engine: Option<E>,
    serial: u32,
    /// Hubs of sessions that are over, with connections that are not.
    ending: Vec<(u32, E)>,
    /// A WebSocket has worked, and nothing has failed since.
    websocket_worked: bool,
    refusal: Option<String>,
    encoder: Encoder,
    /// Sockets with updates. Some may be paused.
    readable: VecDeque<Slot>,
    /// Output behind updates that come first.
    held: Option<ClientOutput>,
    paused: Vec<Slot>,
    is_closed: bool,
    /// The latest time that the hub was told.
    now: Time,
}

impl ClientHub {
    /// Creates a client without sockets. It connects once a socket is to be connected.
    ///
    /// `entropy` masks what goes over a WebSocket, and spreads reconnections. In production it is the operating system's.
    pub fn new(config: ClientHubConfig, entropy: impl Entropy + Send + 'static) -> Self {
        Self::with_entropy(config, entropy)
    }
}

impl<E: ClientEngine> ClientHub<E> {
    fn with_entropy(config: ClientHubConfig, entropy: impl Entropy + Send + 'static) -> Self {
        let ClientHubConfig { url, engine, mut manager } = config;
        manager.revision = engine.revision;
        let mut encoder = Encoder::new();
        encoder.set_max_attachments(manager.limits.max_attachments);
        Self {
            url,
            config: Arc::new(engine),
            entropy: Box::new(entropy),
            manager: Manager::new(Arc::new(manager)),
            engine: None,
            serial: 0,
            ending: Vec::new(),
            websocket_worked: false,
            refusal: None,
            encoder,
            readable: VecDeque::new(),
            held: None,
            paused: Vec::new(),
            is_closed: false,
            now: Time::ZERO,
        }
    }
}

/// Commands for sockets.
impl<E: ClientEngine> ClientHub<E> {
    /// Makes a socket of a namespace. [`connect`](Self::connect) connects it.
    ///
    /// A missing slash at the start is added. Returns `None` if there is a socket of this namespace, or the client was
    /// closed.
    pub fn open(&mut self, namespace: &str, auth: Auth) -> Option<Slot> {
        self.manager.open(namespace, auth)
    }

    /// Has a socket connected, again and again until it is disconnected or refused.
    pub fn connect(&mut self, now: Time, socket: Slot) {
        self.set_now(now);
        self.manager.connect(now, socket, &mut self.engine);
    }

    /// Gives the payload that [`ClientOutput::Auth`] asks for.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded. The socket is asked for still.
    pub fn authorize<A: Serialize + ?Sized>(
        &mut self,
        now: Time,
        socket: Slot,
        auth: Option<&A>,
    ) -> Result<(), EncodeError> {
        self.set_now(now);
        let auth = auth.map(|auth| self.manager.config().parser.payload(auth)).transpose()?;
        self.manager.authorize(now, socket, auth, &mut self.engine);
        Ok(())
    }

    /// Disconnects a socket for good, see [`Manager::disconnect`]. Returns the events that were not sent.
    pub fn disconnect(&mut self, now: Time, socket: Slot) -> usize {
        self.set_now(now);
        self.manager.disconnect(now, socket, &mut self.engine)
    }

    /// Lets go of a socket, which is disconnected. Returns the events that were not sent.
    pub fn release(&mut self, now: Time, socket: Slot) -> usize {
        self.set_now(now);
        self.paused.retain(|&paused| paused != socket);
        self.manager.release(now, socket, &mut self.engine)
    }

    /// Drops what waits for a connection, see [`Manager::forget_offline`]. Returns the number of events.
    pub fn forget_offline(&mut self, socket: Slot) -> usize {
        self.manager.forget_offline(socket)
    }

    /// Leaves the updates of a socket where they are. The server is slowed down once they are too many.
    pub fn pause(&mut self, socket: Slot) {
        if !self.paused.contains(&socket) {
            self.paused.push(socket);
        }
    }

    /// Gives the updates of a socket again.
    pub fn resume(&mut self, socket: Slot) {
        self.paused.retain(|&paused| paused != socket);
        if self.manager.is_readable(socket) && !self.readable.contains(&socket) {
            self.readable.push_back(socket);
        }
    }

    /// Disconnects all sockets for good, and closes the session behind what is queued.
    ///
    /// [`ClientOutput::Closed`] follows. The event loop goes on until [`is_finished`](Self::is_finished).
    pub fn close(&mut self, now: Time) {
        self.set_now(now);
        self.manager.close(now, &mut self.engine);
    }

    /// Makes the next attempt to connect now, if one waits for its delay. See [`Manager::retry_now`].
    pub fn retry_now(&mut self) {
        self.manager.retry_now();
    }

    /// Ends the session now, and closes all connections. What is queued is lost.
    ///
    /// Sockets that were not disconnected go on with the next session.
    pub fn abort(&mut self) {
        self.manager.abort(&mut self.engine);
        self.ending.iter_mut().for_each(|(_, engine)| engine.abort_now());
    }
}

/// Outputs. [`transmit`](Self::transmit) is among the methods of connections.
impl ClientHub {
    /// Returns the next task for the event loop, or the next event for the application.
    pub fn poll(&mut self) -> Option<ClientOutput> {
        let held = self.held.take();
        let event = match held.or_else(|| self.poll_other_event()) {
            Some(event) => event,
            None => return self.next_update().or_else(|| self.poll_action()),
        };
        // Updates that came before it are told before it.
        if let Some(update) = self.next_update() {
            self.held = Some(event);
            return Some(update);
        }
        Some(event)
    }

    /// Returns the next event for the application, having noted the sockets that have updates.
    fn poll_other_event(&mut self) -> Option<ClientOutput> {
        loop {
            return Some(match self.poll_event()? {
                ManagerEvent::Readable(socket) => {
                    self.readable.push_back(socket);
                    continue;
                }
                ManagerEvent::Auth(socket) => ClientOutput::Auth(socket),
                ManagerEvent::Writable(socket) => ClientOutput::Writable(socket),
                ManagerEvent::Acknowledged(_, ask, result) => {
                    ClientOutput::Acknowledged(ask, result)
                }
                ManagerEvent::Closed { unsent } => ClientOutput::Closed { unsent },
            });
        }
    }

    /// Returns the next task for connections: of the session, or of those that are over.
    pub fn poll_action(&mut self) -> Option<ClientOutput> {
        let (serial, action) =
            self.next_action(|engine, now, entropy| engine.poll_action(now, entropy))?;
        Some(match action {
            ClientHubAction::Connect(id) => ClientOutput::Connect(ConnectionId { serial, id }),
            ClientHubAction::Encrypt(id) => ClientOutput::Encrypt(ConnectionId { serial, id }),
            ClientHubAction::Write(id) => ClientOutput::Write(ConnectionId { serial, id }),
            ClientHubAction::Close(id) => ClientOutput::Close(ConnectionId { serial, id }),
        })
    }

    /// Takes the next update of a socket that is not paused.
    fn next_update(&mut self) -> Option<ClientOutput> {
        let Self { manager, engine, paused, readable, .. } = self;
        readable.retain(|&socket| !paused.contains(&socket) && manager.is_readable(socket));
        let &socket = readable.front()?;
        let update = manager.take_update(socket, engine)?;
        Some(ClientOutput::Update(socket, update))
    }
}

/// Outputs for drivers.
impl<E: ClientEngine> ClientHub<E> {
    /// Returns the next event for the application, without the updates of sockets.
    ///
    /// For drivers whose sockets are tasks: [`ManagerEvent::Readable`] tells which has
    /// [updates](Self::take_update), and [`poll_action`](Self::poll_action) gives the tasks for connections. Together
    /// they are what [`poll`](Self::poll) gives.
    pub fn poll_event(&mut self) -> Option<ManagerEvent<ClientAskId>> {
        self.take_engine_events();
        let event = self.manager.poll_event()?;
        self.is_closed |= matches!(event, ManagerEvent::Closed { .. });
        Some(event)
    }

    /// Takes the next update of a socket.
    pub fn take_update(&mut self, socket: Slot) -> Option<Update> {
        self.manager.take_update(socket, &mut self.engine)
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). It may be too early, never too late.
    ///
    /// Changes with any other call.
    pub fn poll_timeout(&self) -> Option<Time> {
        let engines = self.engine.iter().chain(self.ending.iter().map(|(_, engine)| engine));
        engines.filter_map(E::poll_timeout).chain(self.manager.poll_timeout()).min()
    }
}

/// Getters.
impl<E: ClientEngine> ClientHub<E> {
    /// Returns whether the server has connected a socket.
    pub fn is_connected(&self, socket: Slot) -> bool {
        self.manager.is_connected(socket)
    }

    /// Returns whether a socket is connected, or tries to be.
    pub fn is_active(&self, socket: Slot) -> bool {
        self.manager.is_active(socket)
    }

    /// Returns why a socket is not [active](Self::is_active). `None` before it is connected the first time.
    pub fn end_reason(&self, socket: Slot) -> Option<&EndReason> {
        self.manager.end_reason(socket)
    }

    /// Returns the id that a socket has on the server, while it is connected.
    pub fn id(&self, socket: Slot) -> Option<&SocketId> {
        self.manager.id(socket)
    }

    /// Returns the namespace of a socket.
    pub fn namespace(&self, socket: Slot) -> Option<&str> {
        self.manager.namespace(socket)
    }

    /// Returns the bytes of a socket that wait.
    ///
    /// They wait for a connection, or to be acknowledged with retries.
    pub fn queued(&self, socket: Slot) -> usize {
        self.manager.queued(socket)
    }

    /// Returns the fault of the server for which the last session was closed.
    pub const fn fault(&self) -> Option<&Fault> {
        self.manager.fault()
    }

    /// Returns the hub of the session, to look at. `None` while there is no session.
    pub const fn engine(&self) -> Option<&E> {
        self.engine.as_ref()
    }

    /// Returns the first line of the response that refused the last session.
    ///
    /// `None` if there was no such response, or no text in it. See [`Update::Failed`].
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Returns whether updates of a socket wait to be taken.
    pub fn is_readable(&self, socket: Slot) -> bool {
        self.manager.is_readable(socket)
    }

    /// Returns whether [`poll_action`](Self::poll_action) may have something.
    pub fn has_actions(&self) -> bool {
        let past = self.ending.iter().map(|(_, engine)| engine);
        self.manager.wants_open() || self.engine.iter().chain(past).any(E::has_actions)
    }

    /// Returns whether more is read: the application has not too much to catch up with.
    pub fn is_receiving(&self) -> bool {
        self.engine.as_ref().is_none_or(|engine| engine.session().is_receiving())
    }

    /// Returns whether a session has ended that has connections still.
    pub const fn is_ending(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Returns whether the client was closed. It may not be [finished](Self::is_finished).
    pub const fn is_closing(&self) -> bool {
        self.manager.is_closed()
    }

    /// Returns why the last session has ended or could not be opened.
    ///
    /// `None` if a socket was connected since.
    pub const fn last_failure(&self) -> Option<&CloseReason> {
        self.manager.last_failure()
    }

    /// Returns whether the application is asked for the payload of a socket.
    pub fn is_asking(&self, socket: Slot) -> bool {
        self.manager.is_asking(socket)
    }

    /// Returns how many sessions have ended or could not be opened, see [`Manager::failures`].
    pub const fn failures(&self) -> u64 {
        self.manager.failures()
    }

    /// Returns the manager, to look at.
    pub const fn manager(&self) -> &Manager<ClientAskId> {
        &self.manager
    }

    /// Returns the manager and its session.
    ///
    /// They are for drivers that encode events before they lock a client.
    pub const fn parts(&mut self) -> (&mut Manager<ClientAskId>, &mut Option<E>) {
        (&mut self.manager, &mut self.engine)
    }

    /// Returns whether the client was closed, and all its connections are.
    pub fn is_finished(&self) -> bool {
        self.is_closed && self.held.is_none() && self.engine.is_none() && self.ending.is_empty()
    }
}

impl<E: ClientEngine> ClientHub<E> {
    /// Tells the hub the time.
    ///
    /// Commands and outputs without a `now` are of the latest time that it was told.
    pub fn set_now(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    fn open_session(&mut self) {
        let Self { url, config, entropy, engine, serial, now, websocket_worked, .. } = self;
        *serial += 1;
        let worked = *websocket_worked;
        *engine = Some(E::open(*now, url, Arc::clone(config), worked, &mut **entropy));
    }

    /// Returns what `poll` gives first, of the sessions that are over and of the one that is not.
    fn next_action<A>(
        &mut self,
        mut poll: impl FnMut(&mut E, Time, &mut dyn Entropy) -> Option<A>,
    ) -> Option<(u32, A)> {
        self.take_engine_events();
        if self.manager.poll_open() {
            self.open_session();
        }
        let Self { engine, ending, serial, entropy, now, .. } = self;
        let current = engine.iter_mut().map(|engine| (*serial, engine));
        let past = ending.iter_mut().map(|(serial, engine)| (*serial, engine));
        let action = past
            .chain(current)
            .find_map(|(serial, engine)| Some((serial, poll(engine, *now, &mut **entropy)?)));
        if action.is_none() {
            ending.retain(|(_, engine)| !engine.is_finished());
        }
        action
    }

    fn engine_at(&mut self, serial: u32) -> Option<&mut E> {
        if serial == self.serial && self.engine.is_some() {
            return self.engine.as_mut();
        }
        let mut ending = self.ending.iter_mut();
        ending.find(|&&mut (past, _)| past == serial).map(|(_, engine)| engine)
    }

    fn find_engine_at(&self, serial: u32) -> Option<&E> {
        if serial == self.serial && self.engine.is_some() {
            return self.engine.as_ref();
        }
        self.ending.iter().find(|&&(past, _)| past == serial).map(|(_, engine)| engine)
    }

    /// Hands what happened to the session to the manager.
    fn take_engine_events(&mut self) {
        let Self { manager, now, entropy, .. } = self;
        while let Some(engine) = &mut self.engine {
            let Some(event) = engine.take_event() else { break };
            match event {
                EngineEvent::Opened => {
                    engine.hold(manager.unread());
                    let sid = engine.session().sid().map(String::from);
                    manager.handle_opened(*now, sid.as_deref(), engine);
                }
                EngineEvent::Message(message) => manager.handle_message(*now, message, engine),
                EngineEvent::Writable => manager.handle_writable(*now, engine),
                EngineEvent::Closed(reason) => {
                    let session = engine.session();
                    let worked = session.transport() == TransportKind::WebSocket
                        && session.handshake().is_some();
                    let failed = matches!(reason, CloseReason::TransportError(_));
                    self.websocket_worked = (self.websocket_worked || worked) && !failed;
                    let undelivered = session.undelivered();
                    self.refusal = session.refusal().map(String::from);
                    manager.handle_closed(*now, &reason, undelivered, &mut **entropy);
                    self.ending.extend(self.engine.take().map(|engine| (self.serial, engine)));
                }
                _ => {}
            }
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for ClientHub<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHub")
            .field("manager", &self.manager)
            .field("engine", &self.engine)
            .field("ending", &self.ending.len())
            .finish_non_exhaustive()
    }
}
