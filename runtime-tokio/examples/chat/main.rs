//! A chat in the browser: `npm ci --prefix tests/js && cargo run -p enginewire-tokio --example chat`.
//!
//! Page and sockets share one port of 127.0.0.1, that given as argument or 3000, until Ctrl-C. The events are those of
//! the official chat example.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use enginewire_tokio::{
    RequestHead, Response, ServerBuilder,
    socketio::{Io, Socket},
};
use serde::{Deserialize, Serialize};

const PAGE: &str = include_str!("index.html");

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

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let client = match fs::read(client_path()) {
        Ok(client) => Bytes::from(client),
        Err(error) => {
            eprintln!("cannot read {}: {error}", client_path().display());
            eprintln!("The official client is not installed: run `npm ci --prefix tests/js`.");
            return Ok(ExitCode::FAILURE);
        }
    };
    let port = env::args().nth(1).map_or(Ok(3000), |port| port.parse::<u16>());
    let io = Io::new();
    let server = ServerBuilder::new()
        .socketio(&io)
        .fallback(move |request| {
            let response = file(&request.head, &client);
            async { response }
        })
        .bind(("127.0.0.1", port.map_err(io::Error::other)?))
        .await?;
    println!("open http://{}/", server.local_addr());
    let (chat, users) = (io.namespace("/"), Arc::new(AtomicUsize::new(0)));
    tokio::select! {
        () = chat.serve_with(users, talk) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    Ok(ExitCode::SUCCESS)
}

/// One client, from its connection to its end. What it is called is a local variable.
async fn talk(mut socket: Socket, users: Arc<AtomicUsize>) {
    let others = socket.broadcast();
    let mut me: Option<String> = None;
    while let Some(event) = socket.recv_as::<FromClient>().await {
        // Sending fails only when the client is gone, of which `recv_as` tells next.
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

/// The response to a request for another path than that of the sockets.
fn file(head: &RequestHead, client: &Bytes) -> Response {
    match (head.method(), head.path()) {
        ("GET" | "HEAD", "/") => Response::new(200, "text/html; charset=utf-8", PAGE),
        ("GET" | "HEAD", "/socket.io.js") => {
            Response::new(200, "text/javascript; charset=utf-8", client.clone())
        }
        _ => Response::new(404, "text/plain; charset=utf-8", "There is no such page; try /\n"),
    }
}

/// Where npm puts the official client. Read when the example runs, so that it compiles without.
fn client_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/js/node_modules/socket.io-client/dist/socket.io.min.js")
}
