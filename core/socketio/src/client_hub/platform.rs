//! Clients on platforms that make HTTP requests and WebSockets themselves.

use alloc::{sync::Arc, vec::Vec};

use enginewire::{
    ClientAction, ClientConfig, ClientSession, CloseReason, Encoded, Entropy, Event as EngineEvent,
    Time, TransportFault, TrySendError, Url, WebSocketEnd, WebSocketId, carrier::GracePeriod,
    codec::Frame,
};

use super::{ClientEngine, ClientHub, ClientHubConfig};
use crate::connection::Session;

/// Client whose requests and WebSockets are made by the platform.
///
/// The loop around it does the [actions](Self::poll_platform_action), tells the
/// [sessions](Self::with_session) what came of them, and takes frames of WebSockets from these.
pub type PlatformHub = ClientHub<PlatformSession>;

/// Session of Engine.IO whose requests and WebSockets are made by the platform.
///
/// It is a [`ClientSession`] that knows its WebSockets, and gives a server whose deadline is handled late a grace period.
#[derive(Debug)]
pub struct PlatformSession {
    session: ClientSession,
    grace: GracePeriod,
    sockets: Vec<Socket>,
}

/// A WebSocket.
#[derive(Debug)]
struct Socket {
    on: WebSocketId,
    state: SocketState,
}

#[derive(Debug, PartialEq, Eq)]
enum SocketState {
    Opening,
    Open,
    /// It takes no frames for now.
    Blocked,
    /// It is in its closing handshake, which is given up at this time.
    Closing(Time),
}

/// Number of a session, of all that a client has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionNumber(u32);

impl PlatformSession {
    /// Returns the session, for all network inputs but those of WebSockets that open and close.
    pub const fn session_mut(&mut self) -> &mut ClientSession {
        &mut self.session
    }

    /// Handles a WebSocket that was asked for, and is open. See [`ClientSession::handle_websocket_open`].
    pub fn handle_websocket_open(&mut self, now: Time, on: WebSocketId, subprotocol: Option<&str>) {
        self.set_state(on, SocketState::Open);
        self.session.handle_websocket_open(now, on, subprotocol);
    }

    /// Handles a WebSocket that was asked for, and could not be opened.
    pub fn handle_websocket_refused(&mut self, now: Time, on: WebSocketId, fault: TransportFault) {
        self.forget(on);
        self.session.handle_websocket_refused(now, on, fault);
    }

    /// Handles the end of a WebSocket, whichever side has closed it.
    pub fn handle_websocket_lost(&mut self, now: Time, on: WebSocketId, end: WebSocketEnd) {
        self.forget(on);
        self.session.handle_websocket_lost(now, on, end);
    }

    /// Handles a WebSocket that takes no frames for now, or takes them again.
    ///
    /// Meanwhile messages stay in the queue of the session, where they are bounded and count.
    pub fn set_blocked(&mut self, on: WebSocketId, is_blocked: bool) {
        match is_blocked {
            true => self.set_state(on, SocketState::Blocked),
            false => self.set_state(on, SocketState::Open),
        }
    }

    /// Returns the next frame for a WebSocket that is open.
    pub fn poll_write(&mut self, on: WebSocketId) -> Option<Frame> {
        let is_open = self.sockets.iter().any(|it| it.on == on && it.state == SocketState::Open);
        if is_open { self.session.poll_write(on) } else { None }
    }

    fn poll_action(&mut self, now: Time) -> Option<ClientAction> {
        let action = self.session.poll_action(now)?;
        match action {
            ClientAction::OpenWebSocket(on, _) => {
                self.sockets.push(Socket { on, state: SocketState::Opening });
            }
            ClientAction::CloseWebSocket(on) => {
                let by = now + self.session.config().linger;
                if let Some(socket) = self.sockets.iter_mut().find(|socket| socket.on == on) {
                    socket.state = SocketState::Closing(by);
                }
            }
            ClientAction::Request(..) | ClientAction::Abandon(_) => {}
        }
        Some(action)
    }

    /// Notes what a WebSocket is in, unless it is being closed.
    fn set_state(&mut self, on: WebSocketId, state: SocketState) {
        let is_it = |it: &&mut Socket| it.on == on && !matches!(it.state, SocketState::Closing(_));
        if let Some(socket) = self.sockets.iter_mut().find(is_it) {
            socket.state = state;
        }
    }

    fn forget(&mut self, on: WebSocketId) {
        self.sockets.retain(|socket| socket.on != on);
    }

    fn give_grace(&mut self, now: Time) {
        if let Some(due) = self.session.peer_deadline().filter(|&due| due <= now)
            && let Some(until) = self.grace.extend(due, now)
        {
            self.session.extend_deadlines(until);
        }
    }
}

impl ClientEngine for PlatformSession {
    fn open(
        now: Time,
        _url: &Url,
        config: Arc<ClientConfig>,
        websocket_worked: bool,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let session = ClientSession::new(now, config, websocket_worked, entropy);
        Self { session, grace: GracePeriod::new(), sockets: Vec::new() }
    }

    fn session(&self) -> &ClientSession {
        &self.session
    }

    fn take_event(&mut self) -> Option<EngineEvent> {
        self.session.take_event()
    }

    fn hold(&mut self, cost: usize) {
        self.session.hold(cost);
    }

    fn abort_now(&mut self) {
        self.session.abort();
        self.sockets.clear();
    }

    fn handle_timeout(&mut self, now: Time) {
        self.give_grace(now);
        self.session.handle_timeout(now);
        self.sockets.retain(|it| !matches!(it.state, SocketState::Closing(by) if by <= now));
    }

    fn poll_timeout(&self) -> Option<Time> {
        let session = self.session.poll_timeout().map(|(due, _)| due);
        let closing = self.sockets.iter().filter_map(|socket| match socket.state {
            SocketState::Closing(by) => Some(by),
            _ => None,
        });
        closing.chain(session).min()
    }

    fn has_actions(&self) -> bool {
        let wants_write =
            |it: &Socket| it.state == SocketState::Open && self.session.wants_write(it.on);
        self.session.has_actions() || self.sockets.iter().any(wants_write)
    }

    fn is_finished(&self) -> bool {
        self.session.is_closed() && !self.session.has_actions() && self.sockets.is_empty()
    }
}

impl Session for PlatformSession {
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        self.session.send(message)
    }

    fn is_idle(&self) -> bool {
        self.session.is_idle()
    }

    fn queued(&self) -> (usize, usize) {
        Session::queued(&self.session)
    }

    fn is_receiving(&self) -> bool {
        self.session.is_receiving()
    }

    fn release(&mut self, cost: usize) {
        self.session.release(cost);
    }

    fn close(&mut self, now: Time) {
        // The time for the close begins now, whatever was missed before.
        self.give_grace(now);
        self.session.close(now);
    }

    fn abort(&mut self, reason: CloseReason) {
        self.session.abort_with(reason);
    }
}

/// Clients on a platform that makes requests and WebSockets itself.
impl PlatformHub {
    /// Creates a client without sockets, for requests and WebSockets of a platform.
    ///
    /// Otherwise as [`new`](ClientHub::new). Such platforms mask frames and keep cookies themselves, too.
    pub fn on_platform(config: ClientHubConfig, entropy: impl Entropy + Send + 'static) -> Self {
        Self::with_entropy(config, entropy)
    }

    /// Returns the next task for the platform.
    ///
    /// It is of the session, or of those that are over.
    pub fn poll_platform_action(&mut self) -> Option<(SessionNumber, ClientAction)> {
        let action = self.next_action(|engine, now, _| engine.poll_action(now));
        action.map(|(serial, action)| (SessionNumber(serial), action))
    }

    /// Calls `work` with a session, for a network input or the frames of a WebSocket.
    ///
    /// Returns `None` if the session is over, and all of its WebSockets are closed.
    pub fn with_session<T>(
        &mut self,
        now: Time,
        number: SessionNumber,
        work: impl FnOnce(&mut PlatformSession) -> T,
    ) -> Option<T> {
        self.set_now(now);
        let result = self.engine_at(number.0).map(work);
        self.take_engine_events();
        result
    }

    /// Returns a session, to look at.
    pub fn session(&self, number: SessionNumber) -> Option<&ClientSession> {
        self.find_engine_at(number.0).map(PlatformSession::session)
    }

    /// Handles that the platform has lost the network: the session is closed at once.
    ///
    /// Its sockets are told "transport close", and the connection is tried again. An attempt to connect fails with
    /// [`TransportFault::Unreachable`].
    pub fn handle_offline(&mut self, now: Time) {
        self.set_now(now);
        if let Some(engine) = &mut self.engine {
            let reason = match engine.session.handshake() {
                Some(_) => CloseReason::TransportClose,
                None => CloseReason::TransportError(TransportFault::Unreachable),
            };
            engine.session.abort_with(reason);
        }
        self.take_engine_events();
    }
}
