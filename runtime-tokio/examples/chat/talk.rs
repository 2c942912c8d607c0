//! The chat: events in, events out. It is the same on each runtime.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use serde::{Deserialize, Serialize};

use super::runtime::socketio::Socket;

/// The number of users, which all sockets share.
pub(crate) type Users = Arc<AtomicUsize>;

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

/// One client, from its connection to its end. What it is called is a local variable.
pub(crate) async fn talk(mut socket: Socket, users: Users) {
    let others = socket.broadcast();
    let mut me: Option<String> = None;
    while let Some(event) = socket.recv_as::<FromClient>().await {
        // Sending fails when the client is gone, of which `recv_as` tells next, or too many broadcasts wait.
        let _ = match (event, &me) {
            (Ok(FromClient::AddUser(username)), None) => {
                let num_users = users.fetch_add(1, SeqCst) + 1;
                let _ = socket.emit_event(&ToClient::Login { num_users }).await;
                let joined = ToClient::UserJoined { username: &username, num_users };
                let told = others.clone().emit_event(&joined).await;
                me = Some(username);
                told
            }
            (Ok(FromClient::NewMessage(message)), Some(username)) => {
                let said = ToClient::NewMessage { username, message: &message };
                others.clone().emit_event(&said).await
            }
            (Ok(FromClient::Typing), Some(username)) => {
                others.clone().emit_event(&ToClient::Typing { username }).await
            }
            (Ok(FromClient::StopTyping), Some(username)) => {
                others.clone().emit_event(&ToClient::StopTyping { username }).await
            }
            // Out of turn, unknown or malformed.
            _ => continue,
        };
    }
    if let Some(username) = &me {
        let num_users = users.fetch_sub(1, SeqCst) - 1;
        let _ = others.emit_event(&ToClient::UserLeft { username, num_users }).await;
    }
}
