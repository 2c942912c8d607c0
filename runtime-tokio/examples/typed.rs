//! A whiteboard whose events are two enums: `cargo run -p enginewire-tokio --example typed`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C. In a page or in Node.js:
//!
//! ```js
//! const socket = io("http://127.0.0.1:3000");
//! socket.on("board", ({ lines }) => lines.forEach(draw));
//! socket.on("drawn", draw);
//! socket.emit("draw", { from: [0, 0], to: [3, 4], color: "teal" }, (answer) => console.log(answer));
//! socket.emit("cursor", 3, 4);
//! socket.emit("clear");
//! ```

use std::{
    env, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{Io, Socket},
};
use serde::{Deserialize, Serialize};

/// The events of a client. The name of an event is that of the variant, its arguments are the fields.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromClient {
    /// No argument: `socket.emit("clear")`.
    Clear,
    /// One argument: `socket.emit("draw", { from: [0, 0], to: [3, 4], color: "teal" })`.
    Draw(Line),
    /// Two arguments: `socket.emit("cursor", 3, 4)`.
    Cursor(f32, f32),
}

/// The events for clients. They can borrow, because they are encoded before `emit_event` returns.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ToClient<'a> {
    /// Fields with names are one object: `socket.on("board", ({ lines }) => ..)`.
    Board {
        lines: &'a [Line],
    },
    Drawn(&'a Line),
    Cleared,
    Moved(&'a str, f32, f32),
}

/// The acknowledgement of an event: `{ lines: 7 }`, or `{ error: ".." }`.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Lines(usize),
    Error(String),
}

#[derive(Clone, Deserialize, Serialize)]
struct Line {
    from: (f32, f32),
    to: (f32, f32),
    color: String,
}

/// Drawing that all sockets share.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<Vec<Line>>>);

/// Lines on the board, so that no client can fill the memory.
const MOST_LINES: usize = 10_000;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let io = Io::new();
    // Before the server listens: the first client finds it then.
    let clients = io.namespace("/");
    let server = ServerBuilder::new().socketio(&io).bind(address).await?;
    println!("listening on {}", server.local_addr());
    tokio::select! {
        () = clients.serve_with(Board::default(), talk) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    Ok(())
}

/// One client, from its connection to its end.
async fn talk(mut socket: Socket, board: Board) {
    // Lines that others draw meanwhile come behind it, or are in it already.
    let shown = socket.emit_event(&ToClient::Board { lines: &board.lines() });
    // An error means that the client is gone, of which `recv` tells next.
    let _ = shown.await;
    while let Some(mut event) = socket.recv().await {
        let ack = event.ack();
        // `recv_as` does both steps at once, for events that are not acknowledged.
        let answer = match event.parse() {
            Ok(event) => handle(&socket, &board, event).await,
            // Unknown, or of another shape. The error names the event, the argument and the place.
            Err(error) => Answer::Error(error.to_string()),
        };
        let _ = ack.send(&answer).await;
    }
}

async fn handle(socket: &Socket, board: &Board, event: FromClient) -> Answer {
    let others = socket.broadcast();
    // Fails only if too many broadcasts wait to be delivered.
    let _ = match event {
        FromClient::Clear => {
            board.lines().clear();
            others.emit_event(&ToClient::Cleared).await
        }
        FromClient::Draw(line) => {
            if !board.push(&line) {
                return Answer::Error("the board is full".into());
            }
            others.emit_event(&ToClient::Drawn(&line)).await
        }
        FromClient::Cursor(x, y) => {
            // Volatile: a client that cannot take it at once does without, as the next one comes soon.
            others.volatile().emit_event(&ToClient::Moved(socket.id(), x, y)).await
        }
    };
    Answer::Lines(board.lines().len())
}

impl Board {
    /// Adds a line if there is room.
    fn push(&self, line: &Line) -> bool {
        let mut lines = self.lines();
        let has_room = lines.len() < MOST_LINES;
        if has_room {
            lines.push(line.clone());
        }
        has_room
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
