//! What a driver does with what the two sides put out.

use enginewire::{
    ClientAction, Event, ExchangeId, Message, ServerAction, ServerSession, TransportKind,
    WebSocketId, codec::Frame,
};

use crate::{
    network::{Connection, Down, Kind, Up},
    scenario::{Sabotage, Side},
    world::{World, message},
};

impl World {
    /// Lets a WebSocket take a frame.
    pub(crate) fn write(&mut self, side: Side, place: usize) {
        let connection = &mut self.connections[place];
        let on = WebSocketId(connection.name);
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
    pub(crate) fn settle(&mut self) {
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
        while let Some(action) = self.server.as_mut().and_then(ServerSession::poll_action) {
            self.obey_server(action);
        }
        while let Some(event) = self.client.poll_event() {
            self.note(Side::Client, event);
        }
        while let Some(event) = self.server.as_mut().and_then(ServerSession::poll_event) {
            self.note(Side::Server, event);
        }
    }

    fn obey_client(&mut self, action: ClientAction) {
        let (name, kind, request) = match action {
            ClientAction::Request(on, request) => {
                let kind = if request.method == "POST" { Kind::Post } else { Kind::Get };
                (on.0, kind, request)
            }
            ClientAction::OpenWebSocket(on, request) => (on.0, Kind::Socket, request),
            ClientAction::Abandon(ExchangeId(name))
            | ClientAction::CloseWebSocket(WebSocketId(name)) => {
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

    fn obey_server(&mut self, action: ServerAction) {
        let (name, response) = match action {
            ServerAction::Respond(on, response) => (on.0, Some(response)),
            ServerAction::CloseWebSocket(on) => (on.0, None),
        };
        let sabotage = self.scenario.sabotage;
        let known = self.connections.iter_mut().find(|connection| connection.name == name);
        let connection = known.filter(|connection| !connection.left_by_server);
        match (connection, response) {
            (Some(connection), Some(response)) => {
                let mute = sabotage == Some(Sabotage::Mute) && connection.kind == Kind::Post;
                if !mute {
                    connection.push_down(Down::Answer(response.clone()));
                }
                let twice = sabotage == Some(Sabotage::Twice);
                let again = twice && connection.kind == Kind::Post;
                connection.leave_server();
                if again {
                    self.obey_server(ServerAction::Respond(ExchangeId(name), response));
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
            other => self.accuse(format!("{side} is told of an unknown {other:?}")),
        }
    }
}

fn joined(frame: Frame) -> Message {
    let bytes: Vec<u8> = frame.prefix.into_iter().chain(frame.payload).collect();
    match frame.binary {
        true => bytes.into(),
        false => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}
