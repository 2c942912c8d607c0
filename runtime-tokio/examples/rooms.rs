//! Rooms that clients join, leave and talk in: `cargo run -p enginewire-tokio --example rooms`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C. In a page or in Node.js:
//!
//! ```js
//! const socket = io("http://127.0.0.1:3000", { auth: { name: "ada" } });
//! socket.on("joined", (room, name) => console.log(`${name} has joined ${room}`));
//! socket.on("said", (room, name, text) => console.log(`${name} in ${room}: ${text}`));
//! socket.on("left", (room, name) => console.log(`${name} has left ${room}`));
//! socket.emit("join", "rust", (members) => console.log(members));
//! socket.emit("say", "rust", "hello");
//! ```

use std::{env, io};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{ConnectError, ConnectRequest, DecodeError, Event, Io, Namespace, Socket},
};
use serde::Deserialize;

/// The data of a socket: the payload that its client connects with, its option `auth`.
#[derive(Deserialize)]
struct Person {
    name: String,
}

/// Rooms that a client is in at most. A room costs memory, and its name is the client's choice.
const MOST_ROOMS: usize = 20;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let io = Io::new();
    let people = io.namespace("/").authorize(introduce);
    let server = ServerBuilder::new().socketio(&io).bind(address).await?;
    println!("listening on {}", server.local_addr());
    tokio::select! {
        () = people.serve(talk) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    Ok(())
}

async fn introduce(request: ConnectRequest) -> Result<Person, ConnectError> {
    request.auth().map_err(|_| ConnectError::new("a name, please"))
}

/// One client, from its connection to its end.
async fn talk(mut socket: Socket<Person>) {
    while let Some(event) = socket.recv().await {
        if let Err(error) = handle(&socket, event).await {
            println!("{}: {error}", socket.id());
        }
    }
    // The client has left, or was lost. The rooms that it was in are still known; it gets nothing any more.
    for room in socket.rooms() {
        let _ = socket.to(&room).emit("left", &(&room, &socket.data().name)).await;
    }
}

async fn handle(socket: &Socket<Person>, mut event: Event) -> Result<(), DecodeError> {
    let (ack, me) = (event.ack(), &socket.data().name);
    // Sending fails when this client is gone, of which `recv` tells next, or too many broadcasts wait.
    match event.name() {
        "join" => {
            let room: &str = event.data()?;
            if socket.rooms().len() < MOST_ROOMS {
                socket.join(room);
                // To the others: `to` leaves out the socket that it is called on, `within` does not.
                let _ = socket.to(room).emit("joined", &(room, me)).await;
            }
            let _ = ack.send(&members(&socket.namespace(), room)).await;
        }
        "leave" => {
            let room: &str = event.data()?;
            socket.leave(room);
            let _ = socket.to(room).emit("left", &(room, me)).await;
            let _ = ack.send(&()).await;
        }
        "say" => {
            let (room, text): (&str, &str) = event.data()?;
            // Anybody can send to a room, so a member only if the server says so.
            let is_member = socket.rooms().iter().any(|own| own == room);
            if is_member {
                let _ = socket.within(room).emit("said", &(room, me, text)).await;
            }
            let _ = ack.send(&is_member).await;
        }
        _ => {}
    }
    Ok(())
}

/// The names of those who are in a room.
fn members(people: &Namespace<Person>, room: &str) -> Vec<String> {
    let sockets = people.to(room).sockets();
    let people = sockets.iter().filter_map(|socket| socket.downcast::<Person>());
    let mut names: Vec<_> = people.map(|socket| socket.data().name.clone()).collect();
    names.sort();
    names
}
