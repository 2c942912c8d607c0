//! A chat for users who have logged in, on one port with the pages of an application of axum:
//! `npm ci --prefix tests/js && cargo run -p enginewire-tokio --features tower --example axum`.
//!
//! Pages, static files, sessions of `tower-sessions` and sockets share a port of 127.0.0.1, that given as argument or
//! 3000, until Ctrl-C. The form of the page logs in, without a password. A socket knows its user by the cookie.

use std::{env, io, path::PathBuf};

use axum::{
    Form, Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{Html, Redirect, Response},
    routing::{get, post},
};
use enginewire_tokio::{
    ServerBuilder,
    socketio::{ConnectError, ConnectRequest, Io, Socket},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_http::services::ServeDir;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

const PAGE: &str = include_str!("index.html");

/// A user who has logged in. Also the data of the user's sockets.
#[derive(Clone, Deserialize, Serialize)]
struct User {
    name: String,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let io = Io::new();
    let users = io.namespace("/").authorize(async |request: ConnectRequest| {
        let user = request.handshake().extension::<User>();
        user.map(|user| User::clone(&user)).ok_or_else(|| ConnectError::new("log in first"))
    });
    // Without a listener of its own.
    let server = ServerBuilder::new().socketio(&io).start()?;
    tokio::spawn(async move { users.serve(talk).await });

    // Plain HTTP: a browser sends no secure cookie.
    let sessions = SessionManagerLayer::new(MemoryStore::default()).with_secure(false);
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .nest_service("/client", ServeDir::new(client_path()))
        .layer(server.layer())
        // Each of these is in front of what is above: the session comes first.
        .layer(from_fn(recall_user))
        .layer(sessions);
    let port = env::args().nth(1).map_or(Ok(3000), |port| port.parse::<u16>());
    let listener = TcpListener::bind(("127.0.0.1", port.map_err(io::Error::other)?)).await?;
    println!("open http://{}/", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            let _ = tokio::signal::ctrl_c().await;
            // Sends what is queued, tells the clients, and ends their polls, for which axum waits.
            server.close().await;
        })
        .await
}

/// One client. What it says goes to everybody, with the name of its user.
async fn talk(mut socket: Socket<User>) {
    while let Some(event) = socket.recv().await {
        let (name, Ok(text)) = (&socket.data().name, event.data::<String>()) else { continue };
        // Fails only if too many broadcasts wait to be delivered.
        let _ = socket.namespace().emit("said", &(name, text)).await;
    }
}

/// Puts the user of the session into the extensions of the request: those of the handshake of a socket.
async fn recall_user(session: Session, mut request: Request, next: Next) -> Response {
    if let Ok(Some(user)) = session.get::<User>(USER).await {
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

async fn log_in(session: Session, Form(user): Form<User>) -> Result<Redirect, StatusCode> {
    session.insert(USER, user).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Result<Redirect, StatusCode> {
    session.flush().await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Redirect::to("/"))
}

/// Where npm puts the official client.
fn client_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/js/node_modules/socket.io-client/dist")
}

/// Name of the user in a session.
const USER: &str = "user";
