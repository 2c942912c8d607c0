//! Nodes of a cluster on a database of Postgres: `cargo run -p enginewire-tokio --example postgres`.
//!
//! The bus in `bus.rs` is a pattern for those who bring a broker of their own. Nodes of Node.js with npm
//! `@socket.io/postgres-adapter` belong to the same cluster. The first argument is the address, 127.0.0.1:3000 if there
//! is none, the second says where the database is, as `host=localhost user=chat dbname=chat`. It needs the table of that
//! adapter:
//!
//! ```sql
//! CREATE TABLE IF NOT EXISTS socket_io_attachments (
//!     id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea
//! );
//! ```
//!
//! Clients, on whatever node they are, meet in rooms. Each namespace is a world of its own:
//!
//! ```js
//! const socket = io("http://127.0.0.1:3000/team");
//! socket.on("say", (room, text) => console.log(`in ${room}: ${text}`));
//! socket.on("ready?", (callback) => callback(true));
//! socket.emit("join", "rust");
//! socket.emit("say", "rust", "hello");
//! console.log(await socket.emitWithAck("who", "rust"), await socket.emitWithAck("ready", "rust"));
//! ```

mod bus;
mod connection;

use std::{env, error::Error};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{DecodeError, Event, Io, Socket},
};

use self::bus::PostgresBus;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".into());
    let database = arguments.next().unwrap_or_else(|| "host=localhost user=postgres".into());
    let bus = PostgresBus::connect(&database).await?;
    let io = Io::builder().cluster(bus).build();
    // Any name: that of the channel in the database is made of it, and is quoted.
    let namespaces = io.namespaces_by(|_| std::future::ready(true));
    let server = ServerBuilder::new().socketio(&io).bind(address).await?;
    println!("listening on {}", server.local_addr());
    tokio::select! {
        () = namespaces.serve(talk) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    Ok(())
}

/// One client, from its connection to its end.
async fn talk(mut socket: Socket) {
    while let Some(event) = socket.recv().await {
        if let Err(error) = handle(&socket, event).await {
            println!("{}: {error}", socket.id());
        }
    }
}

async fn handle(socket: &Socket, mut event: Event) -> Result<(), DecodeError> {
    let ack = event.ack();
    match event.name() {
        "join" => socket.join(event.data::<&str>()?),
        "leave" => socket.leave(event.data::<&str>()?),
        // To the sockets of all nodes that are in a room, whatever it is that is said.
        "say" => {
            let room: &str = event.data()?;
            if let Ok(sent) = socket.within(room).forward(&event).await
                && let Err(error) = sent.remote
            {
                println!("to sockets of this node alone: {error}");
            }
        }
        // The ids of all of them.
        "who" => {
            let fetched = socket.within(event.data::<&str>()?).fetch_sockets().await;
            let ids: Vec<_> =
                fetched.sockets.iter().map(|socket| socket.id().to_string()).collect();
            let _ = ack.send(&ids).await;
            return Ok(());
        }
        // The number of those that are ready. The client of each says so.
        "ready" => {
            let room = event.data::<&str>()?;
            let answers = socket.within(room).emit_with_ack::<bool, _>("ready?", &()).all().await;
            let ready = answers.map_or(0, |answers| {
                let here = answers.responses.iter().filter(|(_, is_ready)| *is_ready);
                here.count() + answers.others.iter().filter(|it| matches!(it, Ok(true))).count()
            });
            let _ = ack.send(&ready).await;
            return Ok(());
        }
        "kick" => drop(socket.to(event.data::<&str>()?).disconnect()),
        _ => {}
    }
    let _ = ack.send(&()).await;
    Ok(())
}
