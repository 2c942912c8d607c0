//! The chat: events in, events out. It knows no sockets and no bytes.

use std::collections::BTreeMap;

use enginewire::Time;
use enginewire_socketio::{
    EmitError, EncodeError,
    adapter::Target,
    hub::{Hub, Output, SocketKey},
    parser::EnumEvent,
};
use serde::{Deserialize, Serialize};

/// The events of a client. The name of a variant is the name of the event, its fields are the arguments.
#[derive(Deserialize)]
enum FromClient {
    #[serde(rename = "add user")]
    AddUser(String),
    #[serde(rename = "new message")]
    NewMessage(String),
    #[serde(rename = "typing")]
    Typing,
    #[serde(rename = "stop typing")]
    StopTyping,
}

/// The events for clients.
#[derive(Serialize)]
#[serde(rename_all_fields = "camelCase")]
enum ToClient<'a> {
    #[serde(rename = "login")]
    Login { num_users: usize },
    #[serde(rename = "user joined")]
    UserJoined { username: &'a str, num_users: usize },
    #[serde(rename = "user left")]
    UserLeft { username: &'a str, num_users: usize },
    #[serde(rename = "new message")]
    NewMessage { username: &'a str, message: &'a str },
    #[serde(rename = "typing")]
    Typing { username: &'a str },
    #[serde(rename = "stop typing")]
    StopTyping { username: &'a str },
}

/// The names of those who have told theirs.
#[derive(Default)]
pub(crate) struct Chat {
    users: BTreeMap<SocketKey, String>,
}

impl Chat {
    /// Handles what the hub has for an application.
    pub(crate) fn handle(&mut self, hub: &mut Hub, now: Time, output: Output) {
        let result = match output {
            Output::Connect(socket, request, _) => {
                match &*request.namespace {
                    "/" => hub.accept(now, socket),
                    _ => hub.refuse(now, socket, &"Invalid namespace".into()),
                };
                Ok(())
            }
            // An event that is unknown or malformed is ignored.
            Output::Event(socket, event) => match event.parse() {
                Ok(event) => self.handle_event(hub, socket, event),
                Err(_) => Ok(()),
            },
            Output::Disconnected(socket, ..) => self.handle_end(hub, socket),
            _ => Ok(()),
        };
        if let Err(error) = result {
            eprintln!("{error}");
        }
    }

    fn handle_event(
        &mut self,
        hub: &mut Hub,
        socket: SocketKey,
        event: FromClient,
    ) -> Result<(), EncodeError> {
        match (event, self.users.get(&socket)) {
            (FromClient::AddUser(username), None) => {
                let num_users = self.users.len() + 1;
                // Full or gone: a client that takes nothing is disconnected by the next broadcast.
                let login = ToClient::Login { num_users };
                if let Err(EmitError::Encode(error)) = hub.emit_event(socket, &login) {
                    return Err(error);
                }
                tell(hub, socket, &ToClient::UserJoined { username: &username, num_users })?;
                self.users.insert(socket, username);
                Ok(())
            }
            (FromClient::NewMessage(message), Some(username)) => {
                tell(hub, socket, &ToClient::NewMessage { username, message: &message })
            }
            (FromClient::Typing, Some(username)) => {
                tell(hub, socket, &ToClient::Typing { username })
            }
            (FromClient::StopTyping, Some(username)) => {
                tell(hub, socket, &ToClient::StopTyping { username })
            }
            // Out of turn.
            _ => Ok(()),
        }
    }

    fn handle_end(&mut self, hub: &mut Hub, socket: SocketKey) -> Result<(), EncodeError> {
        let Some(username) = self.users.remove(&socket) else { return Ok(()) };
        let num_users = self.users.len();
        tell(hub, socket, &ToClient::UserLeft { username: &username, num_users })
    }
}

/// Sends an event to all others.
fn tell(hub: &mut Hub, socket: SocketKey, event: &ToClient<'_>) -> Result<(), EncodeError> {
    let Some(id) = hub.id(socket) else { return Ok(()) };
    let others = Target::all().except(id);
    hub.publish("/", &others, &EnumEvent::new(event))?;
    Ok(())
}
