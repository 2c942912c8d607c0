//! An Engine.IO server that opens sessions for known users only: `cargo run -p enginewire-tokio --example engine_auth`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C. The token of
//! ada is `correct-horse`, for example `http://127.0.0.1:3000/?token=correct-horse`.

use std::{env, io, sync::Arc};

use enginewire_tokio::{Handshake, Refusal, ServerBuilder, Socket};

/// The user of a session.
struct User {
    name: &'static str,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let builder =
        ServerBuilder::new().allow_request(authenticate).handler(|socket, _| greet(socket));
    let server = builder.bind(address).await?;
    println!("listening on {}", server.local_addr());
    tokio::signal::ctrl_c().await?;
    server.close().await;
    Ok(())
}

/// Decides about a handshake, before there is a session. It may wait for a database.
async fn authenticate(handshake: Arc<Handshake>) -> Result<(), Refusal> {
    let refused = |message: &'static str| Refusal::new(message).with_status(401);
    let token = token(&handshake).ok_or_else(|| refused("no token"))?;
    let user = find_user(&token).ok_or_else(|| refused("unknown token"))?;
    // For the handler of the session.
    handshake.insert(user);
    Ok(())
}

/// The token of the header field, or of the query: pages cannot add fields to the request for a WebSocket.
fn token(handshake: &Handshake) -> Option<String> {
    let field = handshake.header("authorization").and_then(|value| value.strip_prefix(b"Bearer "));
    match field {
        Some(token) => String::from_utf8(token.to_vec()).ok(),
        None => handshake.query_value("token"),
    }
}

/// In earnest a look-up by a hash of the token, which is a secret.
fn find_user(token: &str) -> Option<User> {
    (token == "correct-horse").then_some(User { name: "ada" })
}

async fn greet(mut socket: Socket) {
    let Some(user) = socket.handshake().extension::<User>() else { return };
    let _ = socket.send(format!("hello, {}", user.name)).await;
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}
