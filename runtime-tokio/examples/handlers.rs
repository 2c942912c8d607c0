//! A chat with handlers: `cargo run -p enginewire-tokio --example handlers`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C. The events are those of the
//! official chat example; the example `chat` is the same without handlers, and with a page.

use std::{
    env, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{Data, EmitError, Event, Io, Reply, Routes, SocketRef, State},
};
use serde::Serialize;

/// The number of users, which all handlers share.
type Users = Arc<AtomicUsize>;

/// The name of a socket's user, once it is known.
#[derive(Default)]
struct Me(OnceLock<String>);

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

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let io = Io::new();
    let routes = Routes::new()
        .before(known)
        .on("add user", add_user)
        .on("new message", new_message)
        .on("typing", typing)
        .on("stop typing", stop_typing)
        .on_disconnect(left)
        .with_state(Users::default());
    // Before the server listens: the first client finds it then.
    let chat = io.namespace("/").authorize(async |_| Ok(Me::default())).mount(routes);
    let server = ServerBuilder::new().socketio(&io).bind(address).await?;
    println!("listening on {}", server.local_addr());
    tokio::select! {
        () = chat => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    Ok(())
}

type Socket = SocketRef<Me>;

/// Lets users say something once their name is known.
async fn known(socket: Socket, event: Event) -> Result<(), Reply<&'static str>> {
    match socket.data().0.get() {
        None if event.name() != "add user" => Err(Reply("add user first")),
        _ => Ok(()),
    }
}

async fn add_user(
    socket: Socket,
    Data(name): Data<String>,
    State(users): State<Users>,
) -> Result<(), EmitError> {
    if socket.data().0.set(name).is_err() {
        return Ok(());
    }
    let num_users = users.fetch_add(1, SeqCst) + 1;
    socket.emit_event(&ToClient::Login { num_users }).await?;
    tell(&socket, |username| ToClient::UserJoined { username, num_users }).await
}

async fn new_message(socket: Socket, Data(message): Data<String>) -> Result<(), EmitError> {
    tell(&socket, |username| ToClient::NewMessage { username, message: &message }).await
}

async fn typing(socket: Socket) -> Result<(), EmitError> {
    tell(&socket, |username| ToClient::Typing { username }).await
}

async fn stop_typing(socket: Socket) -> Result<(), EmitError> {
    tell(&socket, |username| ToClient::StopTyping { username }).await
}

async fn left(socket: Socket, State(users): State<Users>) -> Result<(), EmitError> {
    if socket.data().0.get().is_none() {
        return Ok(());
    }
    let num_users = users.fetch_sub(1, SeqCst) - 1;
    tell(&socket, |username| ToClient::UserLeft { username, num_users }).await
}

/// Sends an event about a user to all others.
async fn tell<'a>(
    socket: &'a Socket,
    event: impl FnOnce(&'a str) -> ToClient<'a>,
) -> Result<(), EmitError> {
    if let Some(username) = socket.data().0.get() {
        socket.broadcast().emit_event(&event(username)).await?;
    }
    Ok(())
}
