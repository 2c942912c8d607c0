//! The state of everything, and the moves that lead from one to the next.

use std::{collections::BTreeSet, hash::Hasher, sync::Arc, time::Duration};

use enginewire::{
    ClientConfig, ClientSession, ClientTimerKind, CloseReason, Fingerprint, Message, Response,
    Router, ServerConfig, ServerSession, ServerTimerKind, Time, TransportKind, Url, WebSocketId,
};

use crate::{
    network::{Connection, Down},
    rules,
    scenario::{Move, Sabotage, Scenario, Side},
    search::{Change, System},
    states,
};

/// Both state machines, their applications, their clocks, and what is on its way.
#[derive(Clone)]
pub struct World {
    pub(crate) scenario: Scenario,
    pub(crate) router: Arc<Router>,
    pub(crate) client: ClientSession,
    pub(crate) server: Option<ServerSession>,
    pub(crate) client_time: Time,
    pub(crate) server_time: Time,
    pub(crate) connections: Vec<Connection>,
    pub(crate) client_app: App,
    pub(crate) server_app: App,
    /// Something has happened after which a session may end without being closed and a message may be
    /// lost: a connection of the transport broke, or a side has waited for as long as it may.
    pub(crate) excused: bool,
    faults: u8,
    ticks: u8,
    /// What the cache of [`Sabotage::Cache`] holds.
    pub(crate) cached: Option<Response>,
    pub(crate) broken: Option<String>,
}

impl System for World {
    type Move = Move;

    const MARK: &'static str = "upgraded";

    fn moves(&self) -> Vec<Move> {
        let mut moves = self.steps();
        if self.faults < self.scenario.faults {
            for (place, connection) in self.connections.iter().enumerate() {
                if !connection.cut {
                    moves.push(Move::Cut(place));
                }
                if connection.is_socket() && !connection.accepted && !connection.left_by_client {
                    moves.push(Move::Refuse(place));
                }
            }
        }
        if self.ticks < self.scenario.ticks || self.is_idle() {
            for side in [Side::Client, Side::Server] {
                if self.has_deadline(side) {
                    moves.push(Move::Tick(side));
                }
            }
        }
        moves
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Send(side) => self.send(side),
            Move::Close(Side::Client) => {
                self.client_app.has_closed = true;
                self.client.close(self.client_time);
            }
            Move::Close(Side::Server) => {
                self.server_app.has_closed = true;
                if let Some(server) = &mut self.server {
                    server.close(self.server_time);
                }
            }
            Move::Arrive(Side::Server, place) => self.arrive_at_server(place),
            Move::Arrive(Side::Client, place) => self.arrive_at_client(place),
            Move::Write(side, place) => self.write(side, place),
            Move::Cut(place) => {
                self.faults += 1;
                // Until the client moves there a WebSocket is only a probe.
                self.excused |= !self.connections[place].is_socket();
                self.connections[place].cut();
            }
            Move::Refuse(place) => {
                self.faults += 1;
                let connection = &mut self.connections[place];
                connection.leave_server();
                connection.to_client.push_back(Down::Refused(BAD_GATEWAY));
            }
            Move::Tick(side) => self.tick(side),
        }
        self.settle();
    }

    fn describe(&self, step: Move) -> String {
        self.in_words(step)
    }

    fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { scenario: _, router: _, client, server, client_time, server_time, .. } = self;
        let Self { connections, client_app, server_app, excused, faults, ticks, .. } = self;
        into.push(&(client_app, server_app, excused, faults, ticks, &self.cached));
        client.fingerprint(*client_time, into);
        into.push(&server.is_some());
        if let Some(server) = server {
            server.fingerprint(*server_time, into);
        }
        into.push(&connections.len());
        for connection in connections {
            connection.fingerprint(into);
        }
    }

    fn broken(&self) -> Option<String> {
        rules::broken(self)
    }

    fn is_final(&self) -> bool {
        self.steps().is_empty() && !self.is_idle()
    }

    fn is_marked(&self) -> bool {
        self.is_upgraded()
    }

    fn note_changes(&self, after: &Self, changes: &mut BTreeSet<Change>) {
        for side in [Side::Client, Side::Server] {
            let (before, after) = (self.state_name(side), after.state_name(side));
            if let (true, Some(after)) = (before != after, after) {
                changes.insert((side, before, after));
            }
        }
    }
}

/// How far an application is.
#[derive(Clone, Default, Hash)]
pub(crate) struct App {
    pub(crate) sent: u8,
    pub(crate) received: u8,
    pub(crate) has_closed: bool,
    pub(crate) opened: bool,
    pub(crate) told: bool,
}

impl World {
    /// Nothing has happened but that the client wants to open a session.
    pub fn new(scenario: Scenario) -> Self {
        let mut config = ServerConfig::default();
        config.allow_eio3 = true;
        config.ping_interval = if scenario.calm { CALM_PING_INTERVAL } else { PING_INTERVAL };
        config.ping_timeout = PING_TIMEOUT;
        config.upgrade_timeout = UPGRADE_TIMEOUT;
        config.close_timeout = CLOSE_TIMEOUT;
        let router = Arc::new(Router::new(config));
        #[expect(clippy::expect_used, reason = "it is one")]
        let url = Url::parse("http://a").expect("a URL");
        let mut config = ClientConfig::new(&url);
        config.revision = scenario.revision;
        // They would make each request another one.
        config.timestamp_requests = Some(false);
        config.upgrade_timeout = UPGRADE_TIMEOUT;
        config.close_timeout = CLOSE_TIMEOUT;
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let client = ClientSession::new(Time::ZERO, Arc::new(config), false, &mut entropy);
        let mut world = Self {
            scenario,
            router,
            client,
            server: None,
            client_time: Time::ZERO,
            server_time: Time::ZERO,
            connections: Vec::new(),
            client_app: App::default(),
            server_app: App::default(),
            excused: false,
            faults: 0,
            ticks: 0,
            cached: None,
            broken: None,
        };
        world.settle();
        world
    }

    /// What can happen next without a fault and without time.
    fn steps(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for side in [Side::Client, Side::Server] {
            let app = self.app(side);
            if self.is_open(side) && app.sent < MESSAGES {
                moves.push(Move::Send(side));
            }
            if self.scenario.closer == Some(side) && self.is_open(side) {
                moves.push(Move::Close(side));
            }
        }
        for (place, connection) in self.connections.iter().enumerate() {
            if !connection.to_server.is_empty() {
                moves.push(Move::Arrive(Side::Server, place));
            }
            if !connection.to_client.is_empty() {
                moves.push(Move::Arrive(Side::Client, place));
            }
            for side in [Side::Client, Side::Server] {
                if self.scenario.fine && self.wants_write(side, connection) {
                    moves.push(Move::Write(side, place));
                }
            }
        }
        moves
    }

    /// The name of a session's state, if there is one yet.
    pub(crate) fn state_name(&self, side: Side) -> Option<&'static str> {
        match side {
            Side::Client => Some(states::of_client(&self.client)),
            Side::Server => self.server.as_ref().map(states::of_server),
        }
    }

    /// Whether nothing goes on until a clock moves.
    fn is_idle(&self) -> bool {
        let due = self.has_deadline(Side::Client) || self.has_deadline(Side::Server);
        due && self.steps().is_empty() && (self.is_half_closed() || !self.only_heartbeats())
    }

    pub(crate) const fn app(&self, side: Side) -> &App {
        match side {
            Side::Client => &self.client_app,
            Side::Server => &self.server_app,
        }
    }

    fn is_open(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client.is_open(),
            Side::Server => self.server.as_ref().is_some_and(ServerSession::is_open),
        }
    }

    pub(crate) fn is_closed(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client.is_closed(),
            Side::Server => self.server.as_ref().is_none_or(ServerSession::is_closed),
        }
    }

    /// One side is over, and only its own clock can tell the other.
    fn is_half_closed(&self) -> bool {
        self.is_closed(Side::Client) != self.is_closed(Side::Server)
    }

    /// Whether both sides have moved to the WebSocket.
    pub(crate) fn is_upgraded(&self) -> bool {
        let server = self.server.as_ref().map(ServerSession::transport);
        self.client.transport() == TransportKind::WebSocket
            && server == Some(TransportKind::WebSocket)
    }

    pub(crate) fn close_reason(&self, side: Side) -> Option<&CloseReason> {
        match side {
            Side::Client => self.client.close_reason(),
            Side::Server => self.server.as_ref().and_then(ServerSession::close_reason),
        }
    }

    pub(crate) fn has_deadline(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client.poll_timeout().is_some(),
            Side::Server if self.scenario.sabotage == Some(Sabotage::Stopped) => false,
            Side::Server => self.server.as_ref().is_some_and(|s| s.poll_timeout().is_some()),
        }
    }

    /// Whether the next that is due on both sides is a heartbeat. What is due later comes up in its
    /// turn.
    fn only_heartbeats(&self) -> bool {
        use ClientTimerKind as C;
        let client = self.client.poll_timeout();
        let server = self.server.as_ref().and_then(ServerSession::poll_timeout);
        client.is_none_or(|(_, kind)| matches!(kind, C::Ping | C::Heartbeat))
            && server.is_none_or(|(_, kind)| {
                matches!(kind, ServerTimerKind::Ping | ServerTimerKind::Heartbeat)
            })
    }

    /// Whether nothing keeps an upgrade from its end: neither the network, nor a clock that has moved too
    /// early, nor a poll that the server is about to send back.
    fn is_unhindered(&self) -> bool {
        let server = self.server.as_ref().and_then(ServerSession::poll_timeout);
        let goes_on = matches!(server, Some((_, ServerTimerKind::Noop)));
        self.scenario.calm && !goes_on && self.faults == 0 && self.ticks == 0
    }

    pub(crate) fn wants_write(&self, side: Side, connection: &Connection) -> bool {
        let on = WebSocketId(connection.name);
        connection.is_socket()
            && match side {
                Side::Client => {
                    !connection.left_by_client && connection.opened && self.client.wants_write(on)
                }
                Side::Server => {
                    let server = self.server.as_ref();
                    !connection.left_by_server && server.is_some_and(|s| s.wants_write(on))
                }
            }
    }

    fn send(&mut self, side: Side) {
        let next = message(side, self.app(side).sent);
        let sent = match (side, &mut self.server) {
            (Side::Client, _) => self.client.send(next).is_ok(),
            (Side::Server, Some(server)) => server.send(next).is_ok(),
            (Side::Server, None) => false,
        };
        if !sent {
            self.accuse(format!("{side} is open and does not take a message"));
        }
        match side {
            Side::Client => self.client_app.sent += 1,
            Side::Server => self.server_app.sent += 1,
        }
    }

    fn tick(&mut self, side: Side) {
        let idle = self.is_idle();
        self.ticks += u8::from(!idle);
        let stuck = idle && self.is_unhindered();
        match (side, &mut self.server) {
            (Side::Client, _) => {
                use ClientTimerKind as C;
                let Some((deadline, kind)) = self.client.poll_timeout() else { return };
                self.excused |= matches!(kind, C::Open | C::Heartbeat | C::Close);
                if kind == C::Upgrade && stuck {
                    self.accuse(String::from(
                        "an upgrade stands still, and the client gives it up",
                    ));
                }
                self.client_time = deadline;
                self.client.handle_timeout(deadline);
            }
            (Side::Server, Some(server)) => {
                use ServerTimerKind as S;
                let Some((deadline, kind)) = server.poll_timeout() else { return };
                self.excused |= matches!(kind, S::Heartbeat | S::Close);
                self.server_time = deadline;
                server.handle_timeout(deadline);
            }
            (Side::Server, None) => {}
        }
    }

    pub(crate) fn accuse(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }
}

/// What `side` sends as its `nth`: text, then bytes, which on polling take another form.
pub(crate) fn message(side: Side, nth: u8) -> Message {
    let name = if side == Side::Client { "client" } else { "server" };
    let text = format!("{name} {nth}");
    if nth.is_multiple_of(2) { text.into() } else { text.into_bytes().into() }
}

/// What a proxy says that takes no WebSockets.
const BAD_GATEWAY: u16 = 502;

/// Messages that each application sends.
pub(crate) const MESSAGES: u8 = 2;

/// Shorter than in earnest, so that few moves of a clock lead past several deadlines: during an upgrade
/// a poll is sent back after 100 ms, then a ping comes, another poll is sent back, and it is too late.
const PING_INTERVAL: Duration = Duration::from_millis(150);
const CALM_PING_INTERVAL: Duration = Duration::from_millis(400);
const PING_TIMEOUT: Duration = Duration::from_millis(350);
const UPGRADE_TIMEOUT: Duration = Duration::from_millis(250);
const CLOSE_TIMEOUT: Duration = Duration::from_millis(600);
