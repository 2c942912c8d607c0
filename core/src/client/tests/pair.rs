//! A client's and a server's session with a network between them.
//!
//! It delivers what is under way in any order that two transports and three connections allow, and may cut
//! the WebSocket.

use alloc::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::{
    config::ServerConfig,
    router::{Route, Router},
    session::{Admission, Body, CarrierId, ServerAction, ServerSession, ServerTimerKind},
    wire::http::RequestHead,
};

/// What is on its way. Messages of one WebSocket keep their order, all else is free.
#[derive(Debug)]
enum Travelling {
    Request(ExchangeId, Request),
    Answer(ExchangeId, u16, Bytes),
    Upgrade(WebSocketId, Request),
    Upgraded(WebSocketId),
    Refused(WebSocketId, u16),
    ToServer(WebSocketId, Option<Message>),
    ToClient(WebSocketId, Option<Message>),
}

impl Travelling {
    /// Whether `other`, which set out later, must not arrive earlier.
    fn precedes(&self, other: &Self) -> bool {
        let way = |item: &Self| match item {
            Self::Upgrade(on, _) | Self::ToServer(on, _) => Some((*on, true)),
            Self::Upgraded(on) | Self::Refused(on, _) | Self::ToClient(on, _) => Some((*on, false)),
            Self::Request(..) | Self::Answer(..) => None,
        };
        way(self).is_some() && way(self) == way(other)
    }
}

struct Net {
    client: ClientSession,
    router: Router,
    server: Option<ServerSession>,
    now: Time,
    travelling: VecDeque<Travelling>,
    sockets: Vec<WebSocketId>,
    /// What each side has sent and received.
    sent: [u32; 2],
    client_events: Vec<Event>,
    server_events: Vec<Event>,
}

impl Net {
    fn new(change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        change(&mut config);
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let client = ClientSession::new(Time::ZERO, Arc::new(config), false, &mut entropy);
        let mut config = ServerConfig::default();
        config.allow_eio3 = true;
        let mut net = Self {
            client,
            router: Router::new(config),
            server: None,
            now: Time::ZERO,
            travelling: VecDeque::new(),
            sockets: Vec::new(),
            sent: [0; 2],
            client_events: Vec::new(),
            server_events: Vec::new(),
        };
        net.settle();
        net
    }

    /// Takes all outputs of both sides.
    fn settle(&mut self) {
        while let Some(action) = self.client.poll_action(self.now) {
            match action {
                ClientAction::Request(on, request) => {
                    self.travelling.push_back(Travelling::Request(on, request));
                }
                ClientAction::OpenWebSocket(on, request) => {
                    self.sockets.push(on);
                    self.travelling.push_back(Travelling::Upgrade(on, request));
                }
                ClientAction::CloseWebSocket(on) => {
                    self.travelling.push_back(Travelling::ToServer(on, None));
                }
                ClientAction::Abandon(_) => {}
            }
        }
        for &on in &self.sockets {
            while let Some(frame) = self.client.poll_write(on) {
                self.travelling.push_back(Travelling::ToServer(on, Some(joined(frame))));
            }
        }
        self.client_events.extend(core::iter::from_fn(|| self.client.poll_event()));
        let Some(server) = &mut self.server else { return };
        while let Some(action) = server.poll_action() {
            self.travelling.push_back(match action {
                ServerAction::Respond(on, response) => {
                    Travelling::Answer(on, response.status, response.body)
                }
                ServerAction::CloseWebSocket(on) => Travelling::ToClient(on, None),
            });
        }
        for &on in &self.sockets {
            while let Some(frame) = server.poll_write(on) {
                self.travelling.push_back(Travelling::ToClient(on, Some(joined(frame))));
            }
        }
        self.server_events.extend(core::iter::from_fn(|| server.poll_event()));
    }

    /// Lets one of the things arrive that can.
    fn deliver(&mut self, choice: usize) {
        let free: Vec<_> = (0..self.travelling.len())
            .filter(|&i| !(0..i).any(|j| self.travelling[j].precedes(&self.travelling[i])))
            .collect();
        let Some(&at) = free.get(choice % free.len().max(1)) else { return };
        let item = self.travelling.remove(at).unwrap();
        self.arrive(item);
        self.settle();
    }

    fn arrive(&mut self, item: Travelling) {
        let now = self.now;
        match item {
            Travelling::Request(on, request) => self.serve(on, request),
            Travelling::Answer(on, status, body) => {
                self.client.handle_response(now, on, &Answer { status, fields: &[] }, body);
            }
            Travelling::Upgrade(on, request) => self.upgrade(on, &request),
            Travelling::Upgraded(on) => self.client.handle_websocket_open(now, on, None),
            Travelling::Refused(on, status) => {
                self.client.handle_websocket_refused(now, on, TransportFault::Status(status));
            }
            Travelling::ToServer(on, message) => {
                let Some(server) = &mut self.server else { return };
                match message {
                    Some(message) => server.handle_websocket_message(now, on, message),
                    None => server.handle_websocket_lost(now, on, WebSocketEnd::Closed),
                }
            }
            Travelling::ToClient(on, message) => match message {
                Some(message) => self.client.handle_websocket_message(now, on, message),
                None => self.client.handle_websocket_lost(now, on, WebSocketEnd::Closed),
            },
        }
    }

    fn head(request: &Request, upgrade: bool) -> RequestHead {
        let fields = if upgrade { "Connection: Upgrade\r\nUpgrade: websocket\r\n" } else { "" };
        let kind =
            request.content_type.map_or_else(String::new, |t| format!("Content-Type: {t}\r\n"));
        let Request { method, target, body, .. } = request;
        let length = body.len();
        let raw = format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{kind}{fields}\r\n"
        );
        RequestHead::parse(raw.as_bytes(), 100).unwrap()
    }

    fn serve(&mut self, on: ExchangeId, request: Request) {
        let head = Self::head(&request, false);
        let reject = match (self.router.route(&head), &mut self.server) {
            (Ok(Route::Open(opening)), None) => {
                let mut entropy = |buffer: &mut [u8]| buffer.fill(1);
                let first = CarrierId::Exchange(on);
                let opened = self.router.open(self.now, &mut entropy, opening, first);
                self.server = Some(opened.unwrap());
                return;
            }
            (Ok(Route::Session(known)), Some(server)) => match server.admit(&known) {
                Ok(Admission::Poll) => return server.handle_poll(self.now, on),
                Ok(Admission::Post { binary }) => {
                    server.handle_post(self.now, on, binary);
                    return server.handle_body(self.now, on, Body::Complete(request.body));
                }
                Ok(Admission::Upgrade { .. }) => panic!("an upgrade is no exchange"),
                Err(reject) => reject,
            },
            (route, _) => panic!("{route:?}"),
        };
        let response = reject.response();
        self.travelling.push_back(Travelling::Answer(on, response.status, response.body));
    }

    fn upgrade(&mut self, on: WebSocketId, request: &Request) {
        let route = self.router.route(&Self::head(request, true));
        let (Ok(Route::Session(known)), Some(server)) = (route, &mut self.server) else {
            panic!("an upgrade of a session")
        };
        self.travelling.push_back(match server.admit(&known) {
            Ok(Admission::Upgrade { base64 }) => {
                server.handle_websocket_open(self.now, on, base64);
                Travelling::Upgraded(on)
            }
            other => Travelling::Refused(on, other.unwrap_err().status()),
        });
    }

    /// The network loses a WebSocket with all that is on it.
    fn cut(&mut self) {
        for on in core::mem::take(&mut self.sockets) {
            let known = self.travelling.iter().any(|item| matches!(item, Travelling::Upgrade(..)));
            self.travelling.retain(|item| {
                !matches!(
                    item,
                    Travelling::ToServer(..)
                        | Travelling::ToClient(..)
                        | Travelling::Upgraded(..)
                        | Travelling::Refused(..)
                        | Travelling::Upgrade(..)
                )
            });
            if let Some(server) = self.server.as_mut().filter(|_| !known) {
                server.handle_websocket_lost(self.now, on, WebSocketEnd::Failed);
            }
            self.client.handle_websocket_refused(self.now, on, TransportFault::ConnectionLost);
            self.client.handle_websocket_lost(self.now, on, WebSocketEnd::Failed);
        }
        self.settle();
    }

    fn client_sends(&mut self) {
        if self.client.send(format!("{}", self.sent[0])).is_ok() {
            self.sent[0] += 1;
        }
        self.settle();
    }

    fn server_sends(&mut self) {
        let Some(server) = &mut self.server else { return };
        if server.send(format!("{}", self.sent[1])).is_ok() {
            self.sent[1] += 1;
        }
        self.settle();
    }

    /// Lets time pass until the next deadline of either side.
    fn tick(&mut self) {
        let client = self.client.poll_timeout().map(|next| next.0);
        let server = self.server.as_ref().and_then(|server| Some(server.poll_timeout()?.0));
        if let Some(next) = client.into_iter().chain(server).min() {
            self.now = self.now.max(next);
            self.client.handle_timeout(self.now);
            if let Some(server) = &mut self.server {
                server.handle_timeout(self.now);
            }
        }
        self.settle();
    }

    /// Delivers everything, and lets no more time pass than an upgrade makes a GET wait.
    fn quiesce(&mut self) {
        for _ in 0..10_000 {
            if !self.travelling.is_empty() {
                self.deliver(0);
                continue;
            }
            let server = self.server.as_ref().and_then(ServerSession::poll_timeout);
            if !matches!(server, Some((_, ServerTimerKind::Noop))) {
                return;
            }
            self.tick();
        }
        panic!("there is no end to it: {:?}", self.travelling);
    }

    fn received(events: &[Event]) -> Vec<String> {
        let messages = events.iter().filter_map(|event| match event {
            Event::Message(message) => message.as_text().map(ToString::to_string),
            _ => None,
        });
        messages.collect()
    }
}

fn joined(frame: Frame) -> Message {
    let bytes: Vec<u8> = frame.prefix.into_iter().chain(frame.payload).collect();
    match frame.binary {
        true => bytes.into(),
        false => String::from_utf8(bytes).unwrap().into(),
    }
}

fn numbers(n: u32) -> Vec<String> {
    (0..n).map(|i| i.to_string()).collect()
}

#[test]
fn an_undisturbed_pair_upgrades_and_closes() {
    for revision in [Revision::V4, Revision::V3] {
        let mut net = Net::new(|config| config.revision = revision);
        net.client_sends();
        net.quiesce();
        net.server_sends();
        net.quiesce();
        assert_eq!(net.client_events[..1], [Event::Opened]);
        assert!(net.client_events.contains(&Event::Upgraded));
        assert_eq!(net.server_events, [message("0"), Event::Upgraded]);
        net.client.close(net.now);
        net.settle();
        net.quiesce();
        assert_eq!(net.client_events.last(), Some(&Event::Closed(CloseReason::ForcedClose)));
        assert_eq!(net.server_events.last(), Some(&Event::Closed(CloseReason::TransportClose)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_message_is_lost_doubled_or_moved_whatever_the_network_does(
        v3: bool,
        steps in prop::collection::vec((0u8..12, any::<usize>()), 0..120),
    ) {
        let revision = if v3 { Revision::V3 } else { Revision::V4 };
        let mut net = Net::new(|config| config.revision = revision);
        for (step, choice) in steps {
            match step {
                0 | 1 => net.client_sends(),
                2 | 3 => net.server_sends(),
                4 if choice % 8 == 0 => net.cut(),
                5 if choice % 4 == 0 => net.tick(),
                _ => net.deliver(choice),
            }
        }
        net.quiesce();
        let at_server = Net::received(&net.server_events);
        let at_client = Net::received(&net.client_events);
        let closed = net.client.is_closed() || net.server.as_ref().is_none_or(ServerSession::is_closed);
        if closed {
            // What came is the beginning of what was sent.
            prop_assert_eq!(&at_server[..], &numbers(net.sent[0])[..at_server.len()]);
            prop_assert_eq!(&at_client[..], &numbers(net.sent[1])[..at_client.len()]);
        } else {
            prop_assert_eq!(at_server, numbers(net.sent[0]));
            prop_assert_eq!(at_client, numbers(net.sent[1]));
        }
    }

    #[test]
    fn what_was_sent_before_a_close_arrives(
        steps in prop::collection::vec((0u8..10, any::<usize>()), 0..60),
    ) {
        let mut net = Net::new(|_| {});
        for (step, choice) in steps {
            match step {
                0..=2 => net.client_sends(),
                _ => net.deliver(choice),
            }
        }
        net.client.close(net.now);
        net.settle();
        net.quiesce();
        prop_assert_eq!(net.client.close_reason(), Some(&CloseReason::ForcedClose));
        if net.server.is_some() {
            prop_assert_eq!(Net::received(&net.server_events), numbers(net.sent[0]));
        }
    }
}
