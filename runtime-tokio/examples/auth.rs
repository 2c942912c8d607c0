//! Users with a token, private messages and kicks: `cargo run -p enginewire-tokio --example auth`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C. The tokens are
//! `correct-horse` of ada, who is an administrator, and `battery-staple` of bob. In a page or in Node.js:
//!
//! ```js
//! const socket = io("http://127.0.0.1:3000", { auth: { token: "correct-horse" } });
//! socket.on("connect_error", (error) => console.log(error.message, error.data));
//! socket.on("told", (from, text) => console.log(from, text));
//! socket.emit("tell", "bob", "hello", (answer) => console.log(answer));
//! ```

use std::{
    collections::HashSet,
    env, io,
    sync::{Arc, Mutex, PoisonError},
};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{ConnectError, ConnectRequest, Io, Socket},
};
use serde::{Deserialize, Serialize};

/// The user of a socket: its data, of the type that `authorize` returns.
struct User {
    name: &'static str,
    is_admin: bool,
}

/// The payload that a client connects with, its option `auth`.
#[derive(Deserialize)]
struct Auth {
    token: String,
}

/// The data of a `connect_error`, by which a page knows what to do.
#[derive(Serialize)]
struct Reason {
    code: &'static str,
}

/// The names of users who were kicked, and may not come back.
#[derive(Clone, Default)]
struct Banned(Arc<Mutex<HashSet<String>>>);

impl Banned {
    fn insert(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn contains(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let (io, banned) = (Io::new(), Banned::default());
    // Before the server listens, so that nobody comes in unasked.
    let users = io.namespace("/").authorize({
        let banned = banned.clone();
        move |request| authorize(request, banned.clone())
    });
    let server = ServerBuilder::new().socketio(&io).bind(address).await?;
    println!("listening on {}", server.local_addr());
    tokio::select! {
        () = users.serve_with(banned, talk) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    Ok(())
}

/// Decides about a client, before it has a socket. It may wait for a database.
async fn authorize(request: ConnectRequest, banned: Banned) -> Result<User, ConnectError> {
    let refused = |message, code| ConnectError::new(message).with_data(&Reason { code });
    // Without a token, or with one that is no string.
    let Ok(Auth { token }) = request.auth() else { return Err(refused("no token", "NO_TOKEN")) };
    let user = find_user(&token).ok_or_else(|| refused("unknown token", "UNKNOWN_TOKEN"))?;
    if banned.contains(user.name) {
        return Err(refused("you were kicked", "KICKED"));
    }
    // A user with several windows has several sockets. This room has all of them.
    request.join(room_of(user.name));
    Ok(user)
}

/// In earnest a look-up by a hash of the token, which is a secret.
fn find_user(token: &str) -> Option<User> {
    match token {
        "correct-horse" => Some(User { name: "ada", is_admin: true }),
        "battery-staple" => Some(User { name: "bob", is_admin: false }),
        _ => None,
    }
}

/// The room of a user. With a prefix, so that no user can be called like another room.
fn room_of(name: &str) -> String {
    format!("user:{name}")
}

/// One socket of a user, from its connection to its end.
async fn talk(mut socket: Socket<User>, banned: Banned) {
    let User { name: me, is_admin } = *socket.data();
    while let Some(mut event) = socket.recv().await {
        let ack = event.ack();
        let answer = match event.name() {
            // To all sockets of a user; how many these are tells whether there is one.
            "tell" => match event.data::<(&str, &str)>() {
                Ok((name, text)) => {
                    let user = socket.within(room_of(name));
                    match user.emit("told", &(me, text)).await {
                        Ok(delivered) if delivered.sockets > 0 => "told",
                        _ => "not here",
                    }
                }
                Err(_) => "malformed",
            },
            "kick" if !is_admin => "only for administrators",
            "kick" => match event.data::<&str>() {
                Ok(name) => {
                    banned.insert(name);
                    // On each of their sockets `recv` returns `None`. The official client does not come back by itself.
                    socket.within(room_of(name)).disconnect();
                    "kicked"
                }
                Err(_) => "malformed",
            },
            _ => "unknown",
        };
        // Does nothing if the client has not asked for it. An error means that the client is gone.
        let _ = ack.send(answer).await;
    }
}
