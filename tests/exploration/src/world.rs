//! The state of everything, and the moves that lead from one to the next.

use std::{fmt, hash::Hasher, sync::Arc, time::Duration};

use enginewire::{
    Action, Admission, Body, Carrier, ClientAction, ClientConfig, ClientSession, ClientTimerKind,
    CloseReason, Config, Event, ExchangeId, Fingerprint, Message, Response, Revision, Route,
    Router, Session, SocketEnd, SocketId, Time, TimerKind, TransportFault, TransportKind, Url,
    codec::Frame,
};

use crate::network::{Answered, Connection, Down, Kind, Received, Up};

/// What both applications do, and what the network and the clocks may.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The revision of the protocol that both speak.
    pub revision: Revision,
    /// Who closes, at any time, if anybody does.
    pub closer: Option<Side>,
    /// How often the network may break a connection or refuse a WebSocket.
    pub faults: u8,
    /// How often a clock may move to its next deadline while something is on its way or still to be
    /// done. While nothing is, it may as often as it likes.
    pub ticks: u8,
    /// Whether WebSockets take one frame at a time and the body of a POST may come later than its
    /// head. Otherwise both happen at once.
    pub fine: bool,
    /// A rule that the harness itself breaks, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

impl Scenario {
    /// Nothing goes wrong and no clock moves while anything else can.
    pub const fn new(revision: Revision, closer: Option<Side>) -> Self {
        Self { revision, closer, faults: 0, ticks: 0, fine: false, sabotage: None }
    }
}

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A cache on the way answers a GET with what it has answered the one before.
    Cache,
    /// The server's application drops what it gets.
    Forgetful,
    /// Of two frames on their way to the server the second overtakes the first.
    Overtaking,
    /// The server answers a POST twice.
    Twice,
    /// The server's clock stands still.
    Stopped,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What leads from one state to the next. Connections go by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The application sends its next message.
    Send(Side),
    /// The application closes.
    Close(Side),
    /// What is next on this connection arrives at this side.
    Arrive(Side, usize),
    /// This connection takes a frame of this side.
    Write(Side, usize),
    /// The network breaks this connection.
    Cut(usize),
    /// Something on the way refuses the WebSocket that this connection is to become.
    Refuse(usize),
    /// The clock of this side moves to its next deadline.
    Tick(Side),
}

/// Both state machines, their applications, their clocks, and what is on its way.
#[derive(Clone)]
pub struct World {
    pub(crate) scenario: Scenario,
    router: Arc<Router>,
    pub(crate) client: ClientSession,
    pub(crate) server: Option<Session>,
    client_time: Time,
    server_time: Time,
    pub(crate) connections: Vec<Connection>,
    pub(crate) client_app: App,
    pub(crate) server_app: App,
    /// Something has happened after which a session may end without being closed and a message may be
    /// lost: a connection of the transport broke, or a side has waited for as long as it may.
    pub(crate) excused: bool,
    faults: u8,
    ticks: u8,
    /// What the cache of [`Sabotage::Cache`] holds.
    cached: Option<Response>,
    pub(crate) broken: Option<String>,
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
        let mut config = Config::default();
        config.allow_eio3 = true;
        config.ping_interval = PING_INTERVAL;
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

    /// All that can happen next.
    pub fn moves(&self) -> Vec<Move> {
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

    /// Whether nothing goes on until a clock moves.
    fn is_idle(&self) -> bool {
        let due = self.has_deadline(Side::Client) || self.has_deadline(Side::Server);
        due && self.steps().is_empty() && (self.is_half_closed() || !self.only_heartbeats())
    }

    /// Whether all has been said and done: nothing is on its way, and nothing is due but heartbeats of
    /// two sessions that live.
    pub(crate) fn is_final(&self) -> bool {
        self.steps().is_empty() && !self.is_idle()
    }

    /// Makes a move, one of [`moves`](Self::moves).
    pub fn make(&mut self, step: Move) {
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

    /// What the future depends on.
    pub(crate) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
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

    /// The move in words.
    pub fn describe(&self, step: Move) -> String {
        let what = |place: usize| {
            let Connection { name, kind, .. } = &self.connections[place];
            format!("{kind:?} {name}")
        };
        match step {
            Move::Send(side) => format!("{side} sends {:?}", message(side, self.app(side).sent)),
            Move::Close(side) => format!("{side} closes"),
            Move::Arrive(Side::Server, place) => {
                let item = self.connections[place].to_server.front();
                format!("at the server arrives on {}: {}", what(place), up_in_words(item))
            }
            Move::Arrive(Side::Client, place) => {
                let item = self.connections[place].to_client.front();
                format!("at the client arrives on {}: {}", what(place), down_in_words(item))
            }
            Move::Write(side, place) => format!("{side} writes a frame to {}", what(place)),
            Move::Cut(place) => format!("the network breaks {}", what(place)),
            Move::Refuse(place) => format!("the network refuses {}", what(place)),
            Move::Tick(Side::Client) => {
                format!("the client's clock moves on: {:?}", self.client.poll_timeout())
            }
            Move::Tick(Side::Server) => {
                let next = self.server.as_ref().and_then(Session::poll_timeout);
                format!("the server's clock moves on: {next:?}")
            }
        }
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
            Side::Server => self.server.as_ref().is_some_and(Session::is_open),
        }
    }

    pub(crate) fn is_closed(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client.is_closed(),
            Side::Server => self.server.as_ref().is_none_or(Session::is_closed),
        }
    }

    /// One side is over, and only its own clock can tell the other.
    fn is_half_closed(&self) -> bool {
        self.is_closed(Side::Client) != self.is_closed(Side::Server)
    }

    /// Whether both sides have moved to the WebSocket.
    pub(crate) fn is_upgraded(&self) -> bool {
        let server = self.server.as_ref().map(Session::transport);
        self.client.transport() == TransportKind::WebSocket
            && server == Some(TransportKind::WebSocket)
    }

    pub(crate) fn close_reason(&self, side: Side) -> Option<&CloseReason> {
        match side {
            Side::Client => self.client.close_reason(),
            Side::Server => self.server.as_ref().and_then(Session::close_reason),
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
        let server = self.server.as_ref().and_then(Session::poll_timeout);
        client.is_none_or(|(_, kind)| matches!(kind, C::Ping | C::Heartbeat))
            && server.is_none_or(|(_, kind)| matches!(kind, TimerKind::Ping | TimerKind::Heartbeat))
    }

    fn wants_write(&self, side: Side, connection: &Connection) -> bool {
        let on = SocketId(connection.name);
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
        self.ticks += u8::from(!self.is_idle());
        match (side, &mut self.server) {
            (Side::Client, _) => {
                use ClientTimerKind as C;
                let Some((deadline, kind)) = self.client.poll_timeout() else { return };
                self.excused |= matches!(kind, C::Open | C::Heartbeat | C::Close);
                self.client_time = deadline;
                self.client.handle_timeout(deadline);
            }
            (Side::Server, Some(server)) => {
                use TimerKind as S;
                let Some((deadline, kind)) = server.poll_timeout() else { return };
                self.excused |= matches!(kind, S::Heartbeat | S::Close);
                self.server_time = deadline;
                server.handle_timeout(deadline);
            }
            (Side::Server, None) => {}
        }
    }

    fn arrive_at_server(&mut self, place: usize) {
        let now = self.server_time;
        let connection = &mut self.connections[place];
        let nth = usize::from(
            self.scenario.sabotage == Some(Sabotage::Overtaking)
                && matches!(connection.to_server.get(1), Some(Up::Frame(_)))
                && matches!(connection.to_server.front(), Some(Up::Frame(_))),
        );
        let Some(item) = connection.to_server.remove(nth) else { return };
        let (name, kind) = (connection.name, connection.kind);
        match item {
            Up::Request(request) => {
                connection.accepted = true;
                return self.serve(place, request);
            }
            Up::Body(body) => {
                if let Some(server) = &mut self.server {
                    server.handle_body(now, ExchangeId(name), Body::Complete(body));
                }
                return;
            }
            Up::Frame(message) => {
                if let Some(server) = &mut self.server {
                    server.handle_socket_message(now, SocketId(name), message);
                }
                return;
            }
            Up::End | Up::Lost => {}
        }
        let ended = matches!(item, Up::End);
        connection.leave_server();
        let Some(server) = &mut self.server else { return };
        match kind {
            Kind::Socket => {
                let end = if ended { SocketEnd::Closed } else { SocketEnd::Failed };
                server.handle_socket_lost(now, SocketId(name), end);
            }
            Kind::Get | Kind::Post => server.handle_exchange_lost(now, ExchangeId(name)),
        }
    }

    fn serve(&mut self, place: usize, request: enginewire::Request) {
        let now = self.server_time;
        let Connection { name, kind, .. } = self.connections[place];
        let upgrade = kind == Kind::Socket;
        let route = self.router.route(&Received { request: &request, upgrade });
        let result = match (route, &mut self.server) {
            (Ok(Route::Open(opening)), None) => {
                let mut entropy = |buffer: &mut [u8]| buffer.fill(1);
                let first = Carrier::Exchange(ExchangeId(name));
                let opened = self.router.open(now, &mut entropy, opening, first);
                opened.map(|session| self.server = Some(session))
            }
            (Ok(Route::Session(known)), Some(server)) => {
                server.admit(&known).map(|admission| match admission {
                    Admission::Poll => server.handle_poll(now, ExchangeId(name)),
                    Admission::Post { binary } => {
                        server.handle_post(now, ExchangeId(name), binary);
                        if self.scenario.fine {
                            self.connections[place].to_server.push_front(Up::Body(request.body));
                        } else {
                            let body = Body::Complete(request.body);
                            server.handle_body(now, ExchangeId(name), body);
                        }
                    }
                    Admission::Upgrade { base64 } => {
                        server.handle_socket_open(now, SocketId(name), base64);
                        self.connections[place].push_down(Down::Open);
                    }
                })
            }
            (Err(reject), _) => Err(reject),
            (Ok(_), _) => return self.accuse(String::from("the client opens a second session")),
        };
        let Err(reject) = result else { return };
        let connection = &mut self.connections[place];
        connection.push_down(match upgrade {
            true => Down::Refused(reject.status()),
            false => Down::Answer(reject.response()),
        });
        connection.leave_server();
    }

    fn arrive_at_client(&mut self, place: usize) {
        let now = self.client_time;
        let connection = &mut self.connections[place];
        let Some(item) = connection.to_client.pop_front() else { return };
        let (name, kind, opened) = (connection.name, connection.kind, connection.opened);
        let (exchange, socket) = (ExchangeId(name), SocketId(name));
        match item {
            Down::Open => {
                connection.opened = true;
                return self.client.handle_socket_open(now, socket);
            }
            Down::Frame(message) => {
                return self.client.handle_socket_message(now, socket, message);
            }
            Down::Answer(_) | Down::Refused(_) | Down::End | Down::Lost => {}
        }
        connection.left_by_client = true;
        match item {
            Down::Answer(mut response) => {
                if self.scenario.sabotage == Some(Sabotage::Cache) && kind == Kind::Get {
                    // Not the handshake, without which there is nothing to be seen.
                    let cached = self.cached.take();
                    if self.client.handshake().is_some() {
                        self.cached = Some(response.clone());
                    }
                    response = cached.unwrap_or(response);
                }
                let body = response.body.clone();
                self.client.handle_answer(now, exchange, &Answered(&response), body);
            }
            Down::Refused(status) => {
                let fault = TransportFault::Status(status);
                self.client.handle_socket_refused(now, socket, fault);
            }
            Down::End => self.client.handle_socket_lost(now, socket, SocketEnd::Closed),
            Down::Lost if kind != Kind::Socket => {
                let fault = TransportFault::ConnectionLost;
                self.client.handle_exchange_lost(now, exchange, fault);
            }
            Down::Lost if opened => {
                self.client.handle_socket_lost(now, socket, SocketEnd::Failed);
            }
            Down::Lost => {
                let fault = TransportFault::ConnectionLost;
                self.client.handle_socket_refused(now, socket, fault);
            }
            Down::Open | Down::Frame(_) => {}
        }
    }

    /// Lets a WebSocket take a frame.
    fn write(&mut self, side: Side, place: usize) {
        let connection = &mut self.connections[place];
        let on = SocketId(connection.name);
        match side {
            Side::Client => {
                if let Some(frame) = self.client.poll_write(on) {
                    connection.push_up(Up::Frame(joined(frame)));
                }
            }
            Side::Server => {
                if let Some(frame) = self.server.as_mut().and_then(|s| s.poll_write(on)) {
                    connection.push_down(Down::Frame(joined(frame)));
                }
            }
        }
    }

    /// Takes all outputs of both sides, but for the frames that move by move are taken.
    fn settle(&mut self) {
        self.take_outputs();
        // The client has moved to a WebSocket that is already no more, and cannot know.
        let moved = self.client.transport() == TransportKind::WebSocket;
        self.excused |= moved && self.connections.iter().any(|c| c.cut || c.given_up);
        self.connections.retain(|connection| !connection.is_over());
        self.connections.sort_by_key(|connection| connection.kind);
    }

    fn take_outputs(&mut self) {
        if !self.scenario.fine {
            for place in 0..self.connections.len() {
                for side in [Side::Client, Side::Server] {
                    while self.wants_write(side, &self.connections[place]) {
                        self.write(side, place);
                    }
                }
            }
        }
        while let Some(action) = self.client.poll_action(self.client_time) {
            self.obey_client(action);
        }
        while let Some(action) = self.server.as_mut().and_then(Session::poll_action) {
            self.obey_server(action);
        }
        while let Some(event) = self.client.poll_event() {
            self.note(Side::Client, event);
        }
        while let Some(event) = self.server.as_mut().and_then(Session::poll_event) {
            self.note(Side::Server, event);
        }
    }

    fn obey_client(&mut self, action: ClientAction) {
        let (name, kind, request) = match action {
            ClientAction::Request(on, request) => {
                let kind = if request.method == "POST" { Kind::Post } else { Kind::Get };
                (on.0, kind, request)
            }
            ClientAction::OpenSocket(on, request) => (on.0, Kind::Socket, request),
            ClientAction::Abandon(ExchangeId(name)) | ClientAction::CloseSocket(SocketId(name)) => {
                let mut connections = self.connections.iter_mut();
                return match connections.find(|it| it.name == name && !it.left_by_client) {
                    Some(connection) => connection.leave_client(),
                    None => self.accuse(String::from("the client gives up what is over")),
                };
            }
        };
        let mut others = self.connections.iter().filter(|other| !other.left_by_client);
        if others.any(|other| other.kind == kind) {
            self.accuse(format!("the client has a second {kind:?} under way"));
        }
        self.connections.push(Connection::new(name, kind, request));
    }

    fn obey_server(&mut self, action: Action) {
        let (name, response) = match action {
            Action::Respond(on, response) => (on.0, Some(response)),
            Action::CloseSocket(on) => (on.0, None),
        };
        let known = self.connections.iter_mut().find(|connection| connection.name == name);
        let connection = known.filter(|connection| !connection.left_by_server);
        match (connection, response) {
            (Some(connection), Some(response)) => {
                connection.push_down(Down::Answer(response.clone()));
                let twice = self.scenario.sabotage == Some(Sabotage::Twice);
                let again = twice && connection.kind == Kind::Post;
                connection.leave_server();
                if again {
                    self.obey_server(Action::Respond(ExchangeId(name), response));
                }
            }
            (Some(connection), None) => {
                let lives = self.server.as_ref().is_some_and(|server| !server.is_closed());
                connection.given_up = lives;
                connection.push_down(Down::End);
                connection.leave_server();
            }
            (None, Some(_)) => self.accuse(String::from("an exchange is answered twice")),
            (None, None) => self.accuse(String::from("a WebSocket is closed twice")),
        }
    }

    fn note(&mut self, side: Side, event: Event) {
        let forgetful = self.scenario.sabotage == Some(Sabotage::Forgetful) && side == Side::Server;
        let app = match side {
            Side::Client => &mut self.client_app,
            Side::Server => &mut self.server_app,
        };
        if app.told {
            return self.accuse(format!("after its end {side} is told {event:?}"));
        }
        match event {
            Event::Message(_) if forgetful => {}
            Event::Message(came) => {
                let expected = message(side.other(), app.received);
                app.received += 1;
                let sent = self.app(side.other()).sent;
                if came != expected || self.app(side).received > sent {
                    self.accuse(format!("{side} gets {came:?} instead of {expected:?}"));
                }
            }
            Event::Opened if app.opened => self.accuse(format!("{side} opens twice")),
            Event::Opened => app.opened = true,
            Event::Closed(_) => app.told = true,
            Event::Upgraded | Event::Writable => {}
        }
    }

    pub(crate) fn accuse(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "the client",
            Self::Server => "the server",
        })
    }
}

/// What `side` sends as its `nth`: text, then bytes, which on polling take another form.
fn message(side: Side, nth: u8) -> Message {
    let name = if side == Side::Client { "client" } else { "server" };
    let text = format!("{name} {nth}");
    if nth.is_multiple_of(2) { text.into() } else { text.into_bytes().into() }
}

fn joined(frame: Frame) -> Message {
    let bytes: Vec<u8> = frame.prefix.into_iter().chain(frame.payload).collect();
    match frame.binary {
        true => bytes.into(),
        false => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

fn up_in_words(item: Option<&Up>) -> String {
    match item {
        Some(Up::Request(request)) => {
            format!("{} {:?}", request.method, String::from_utf8_lossy(&request.body))
        }
        item => item.map_or_else(String::new, |item| format!("{item:?}")),
    }
}

fn down_in_words(item: Option<&Down>) -> String {
    match item {
        Some(Down::Answer(response)) => {
            format!("{} {:?}", response.status, String::from_utf8_lossy(&response.body))
        }
        item => item.map_or_else(String::new, |item| format!("{item:?}")),
    }
}

/// Messages that each application sends.
pub(crate) const MESSAGES: u8 = 2;

/// What a proxy says that takes no WebSockets.
const BAD_GATEWAY: u16 = 502;

/// Shorter than in earnest, so that few moves of a clock lead past several deadlines: during an upgrade
/// a poll is sent back after 100 ms, then a ping comes, another poll is sent back, and it is too late.
const PING_INTERVAL: Duration = Duration::from_millis(150);
const PING_TIMEOUT: Duration = Duration::from_millis(350);
const UPGRADE_TIMEOUT: Duration = Duration::from_millis(250);
const CLOSE_TIMEOUT: Duration = Duration::from_millis(600);
