//! Clients whose requests and WebSockets are made by the platform.

use alloc::{string::ToString, vec::Vec};

use enginewire::{ClientAction, HttpResponse, Message, TransportFault, WebSocketEnd, WebSocketId};

use super::*;
use crate::Auth;

/// A client on a platform, which is the test.
struct Platform {
    hub: PlatformHub,
    socket: Slot,
    now: Time,
}

/// The head of a response.
struct Status(u16);

impl HttpResponse for Status {
    fn status(&self) -> u16 {
        self.0
    }

    fn header_nth(&self, _: &str, _: usize) -> Option<&[u8]> {
        None
    }
}

impl Platform {
    fn new(transport: TransportKind) -> Self {
        let mut config = ClientHubConfig::new(&Url::parse("http://localhost").unwrap());
        config.engine.transports = [transport].into();
        config.manager.reconnect = Some(Reconnect::default().with_jitter(0.0));
        let mut hub = PlatformHub::on_platform(config, counting(0));
        let (socket, now) = (hub.open("/", Auth::None).unwrap(), Time::from_millis(1));
        hub.connect(now, socket);
        Self { hub, socket, now }
    }

    /// A client whose socket is connected over a WebSocket.
    fn connected() -> (Self, SessionNumber, WebSocketId) {
        let mut platform = Self::new(TransportKind::WebSocket);
        let (session, on) = platform.opening();
        platform.opened(session, on);
        assert_eq!(platform.frames(session, on), ["40"]);
        platform.receive(session, on, r#"40{"sid":"id"}"#);
        assert!(platform.hub.is_connected(platform.socket));
        (platform, session, on)
    }

    /// The WebSocket that the client asks for.
    fn opening(&mut self) -> (SessionNumber, WebSocketId) {
        match self.hub.poll_platform_action() {
            Some((session, ClientAction::OpenWebSocket(on, _))) => (session, on),
            other => panic!("{other:?}"),
        }
    }

    fn opened(&mut self, session: SessionNumber, on: WebSocketId) {
        let now = self.now;
        self.hub.with_session(now, session, |engine| engine.handle_websocket_open(now, on, None));
        self.receive(session, on, OPEN);
    }

    fn receive(&mut self, session: SessionNumber, on: WebSocketId, text: &str) {
        let (now, message) = (self.now, Message::from(text));
        self.hub.with_session(now, session, |engine| {
            engine.session_mut().handle_websocket_message(now, on, message);
        });
    }

    fn lose(&mut self, session: SessionNumber, on: WebSocketId, end: WebSocketEnd) {
        let now = self.now;
        self.hub.with_session(now, session, |engine| engine.handle_websocket_lost(now, on, end));
    }

    fn block(&mut self, session: SessionNumber, on: WebSocketId, is_blocked: bool) {
        self.hub.with_session(self.now, session, |engine| engine.set_blocked(on, is_blocked));
    }

    fn frames(&mut self, session: SessionNumber, on: WebSocketId) -> Vec<String> {
        let mut frames = Vec::new();
        while let Some(Some(frame)) =
            self.hub.with_session(self.now, session, |engine| engine.poll_write(on))
        {
            let mut text: Vec<u8> = frame.prefix.into_iter().collect();
            text.extend_from_slice(&frame.payload);
            frames.push(String::from_utf8(text).unwrap());
        }
        frames
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.hub.handle_timeout(self.now);
    }

    fn updates(&mut self) -> Vec<String> {
        let updates = core::iter::from_fn(|| self.hub.take_update(self.socket));
        let name = |update| match update {
            Update::Connected { .. } => "connected".to_string(),
            Update::Disconnected { reason, .. } => reason.to_string(),
            Update::Waiting { delay, .. } => format!("waits {} ms", delay.as_millis()),
            other => format!("{other:?}"),
        };
        updates.map(name).collect()
    }
}

#[test]
fn requests_of_polling_are_asked_for_and_told_their_responses() {
    let mut platform = Platform::new(TransportKind::Polling);
    let now = platform.now;
    let (session, get) = match platform.hub.poll_platform_action() {
        Some((session, ClientAction::Request(on, request))) => {
            assert!(request.target.starts_with("/socket.io/?EIO=4&transport=polling"));
            (session, on)
        }
        other => panic!("{other:?}"),
    };
    platform.hub.with_session(now, session, |engine| {
        engine.session_mut().handle_response(now, get, &Status(200), OPEN.into());
    });
    let Some((_, ClientAction::Request(_, post))) = platform.hub.poll_platform_action() else {
        panic!("no POST");
    };
    assert_eq!((post.method, &*post.body), ("POST", b"40".as_slice()));
    platform.hub.handle_offline(now);
    let abandoned = core::iter::from_fn(|| platform.hub.poll_platform_action());
    let abandoned = abandoned.filter(|(_, action)| matches!(action, ClientAction::Abandon(_)));
    assert_eq!(abandoned.count(), 1);
}

#[test]
fn frame_that_waits_is_an_action_unless_the_websocket_is_blocked() {
    let (mut platform, session, on) = Platform::connected();
    assert!(!platform.hub.has_actions());
    platform.hub.emit(platform.socket, "a", &()).unwrap();
    assert!(platform.hub.has_actions());
    platform.block(session, on, true);
    assert!(!platform.hub.has_actions() && platform.frames(session, on).is_empty());
    platform.block(session, on, false);
    assert!(platform.hub.has_actions());
    assert_eq!(platform.frames(session, on), [r#"42["a"]"#]);
    assert!(!platform.hub.has_actions());
}

#[test]
fn heartbeat_that_is_judged_late_is_judged_by_what_has_arrived() {
    for has_pinged in [true, false] {
        let (mut platform, session, on) = Platform::connected();
        // The machine was asleep, and what came meanwhile is read after the timer.
        platform.pass(Duration::from_secs(600));
        assert!(platform.hub.is_connected(platform.socket), "it has a grace period");
        if has_pinged {
            platform.receive(session, on, "2");
            assert_eq!(platform.frames(session, on), ["3"]);
        }
        while platform.now < Time::from_millis(640_000)
            && let Some(due) = platform.hub.poll_timeout().filter(|_| !has_pinged)
            && platform.hub.is_connected(platform.socket)
        {
            platform.pass(due.since(platform.now));
        }
        platform.pass(Duration::from_millis(1));
        assert_eq!(platform.hub.is_connected(platform.socket), has_pinged);
    }
}

#[test]
fn network_that_goes_ends_the_session_and_one_that_comes_ends_the_delay() {
    let (mut platform, session, on) = Platform::connected();
    platform.hub.handle_offline(platform.now);
    assert_eq!(platform.updates(), ["connected", "transport close", "waits 1000 ms"]);
    match platform.hub.poll_platform_action() {
        Some((of, ClientAction::CloseWebSocket(closed))) => assert_eq!((of, closed), (session, on)),
        other => panic!("{other:?}"),
    }
    assert!(platform.hub.poll_platform_action().is_none(), "it waits");
    platform.hub.retry_now();
    let (again, on) = platform.opening();
    assert_ne!(again, session);
    platform.opened(again, on);
    platform.receive(again, on, r#"40{"sid":"id"}"#);
    assert_eq!(platform.updates(), ["connected"]);
}

#[test]
fn network_that_goes_during_an_attempt_is_not_the_fault_of_the_server() {
    let mut platform = Platform::new(TransportKind::WebSocket);
    platform.opening();
    platform.hub.handle_offline(platform.now);
    let updates = platform.updates();
    assert!(updates[0].starts_with("Failed(TransportError(Unreachable"), "{updates:?}");
}

#[test]
fn websocket_that_cannot_be_opened_is_a_failed_attempt() {
    let mut platform = Platform::new(TransportKind::WebSocket);
    let (session, on) = platform.opening();
    let now = platform.now;
    platform.hub.with_session(now, session, |engine| {
        engine.handle_websocket_refused(now, on, TransportFault::Unreachable);
    });
    let updates = platform.updates();
    assert!(updates[0].starts_with("Failed("), "{updates:?}");
    assert_eq!(updates[1..], ["waits 1000 ms"]);
    assert_eq!(platform.hub.failures(), 1);
}

#[test]
fn closed_client_is_finished_once_its_websocket_is_closed_or_has_had_its_time() {
    for is_closed in [true, false] {
        let (mut platform, session, on) = Platform::connected();
        platform.hub.close(platform.now);
        assert_eq!(platform.frames(session, on), ["41"]);
        let action = platform.hub.poll_platform_action();
        assert!(matches!(action, Some((_, ClientAction::CloseWebSocket(_)))), "{action:?}");
        while platform.hub.poll_event().is_some() {}
        assert!(platform.hub.poll_platform_action().is_none() && !platform.hub.is_finished());
        if is_closed {
            platform.lose(session, on, WebSocketEnd::Closed);
        } else {
            let due = platform.hub.poll_timeout().unwrap();
            platform.pass(due.since(platform.now));
        }
        assert!(platform.hub.poll_platform_action().is_none() && platform.hub.is_finished());
    }
}

const OPEN: &str = r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
