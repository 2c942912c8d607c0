//! Files that clients share, without a copy on the server: `cargo run -p enginewire-tokio --example binary`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C. In a page, where `file` is
//! that of an `<input type="file">`, or in Node.js with a `Buffer`:
//!
//! ```js
//! const socket = io("http://127.0.0.1:3000");
//! socket.on("new", ({ name, data }) => console.log(`${name}: ${data.byteLength} bytes`));
//! socket.emit("put", { name: file.name, data: file }, (size) => console.log(`the server has ${size} bytes`));
//! socket.emit("get", "cat.jpg");
//! socket.on("file", ({ name, data }) => open(URL.createObjectURL(new Blob([data]))));
//! ```

use std::{
    collections::BTreeMap,
    env, io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use enginewire_tokio::{
    ServerBuilder,
    socketio::{Attachment, DecodeError, Event, Io, Socket},
};
use serde::{Deserialize, Serialize};

/// A file in an event. The binary data travel beside the JSON; an [`Attachment`] is their number.
#[derive(Deserialize, Serialize)]
struct File<'a> {
    name: &'a str,
    data: Attachment,
}

/// The files that the server has.
type Files = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// Files that the server has at most: with the limit on a message this bounds their memory.
const MOST_FILES: usize = 100;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let io = Io::new();
    // Before the server listens: the first client finds it then.
    let clients = io.namespace("/");
    // Messages have at most 1 000 000 bytes unless there is another limit.
    let builder = ServerBuilder::new().socketio(&io).max_payload(8_000_000);
    let server = builder.bind(address).await?;
    println!("listening on {}", server.local_addr());
    tokio::select! {
        () = clients.serve_with(Files::default(), talk) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    Ok(())
}

/// One client, from its connection to its end.
async fn talk(mut socket: Socket, files: Files) {
    while let Some(event) = socket.recv().await {
        if let Err(error) = handle(&socket, event, &files).await {
            // It names the event, the argument and the place.
            println!("{error}");
        }
    }
}

async fn handle(socket: &Socket, mut event: Event, files: &Files) -> Result<(), DecodeError> {
    let ack = event.ack();
    // Sending fails when this client is gone, of which `recv` tells next, or too many broadcasts wait.
    match event.name() {
        "put" => {
            let file: File<'_> = event.data()?;
            // A part of what was received, which lives as long as this does.
            let Some(data) = event.attachment(&file.data) else { return Ok(()) };
            let size = data.len();
            let is_kept = keep(files, file.name, data.clone());
            if is_kept {
                // Attachment 0 is the first that is given to `attach`. All recipients share one buffer.
                let new = File { name: file.name, data: Attachment::new(0) };
                let _ = socket.broadcast().attach(data).emit("new", &new).await;
            }
            let _ = ack.send(&is_kept.then_some(size)).await;
        }
        "get" => {
            let name: &str = event.data()?;
            let found = files.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
            let _ = match found {
                Some(data) => {
                    let file = File { name, data: Attachment::new(0) };
                    socket.emitter().attach(data).emit("file", &file).await
                }
                None => socket.emit("missing", name).await,
            };
        }
        _ => {}
    }
    Ok(())
}

/// Keeps a file if there is room, or if it takes the place of another.
fn keep(files: &Files, name: &str, data: Bytes) -> bool {
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    let has_room = files.len() < MOST_FILES || files.contains_key(name);
    if has_room {
        files.insert(name.to_owned(), data);
    }
    has_room
}
