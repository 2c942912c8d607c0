//! The server that each framework gets: what one client says, all others hear.
//!
//! ```sh
//! cargo run --manifest-path tests/frameworks/Cargo.toml --bin salvo
//! ```
//!
//! Each program prints its port, of 127.0.0.1, and has a page at `/` beside the sockets.

use std::io;

use enginewire_tokio::{
    Server, ServerBuilder,
    socketio::{Io, Socket},
};

/// Starts the server, without a listener.
///
/// # Errors
///
/// There is no runtime.
pub fn start() -> io::Result<Server> {
    let io = Io::new();
    let clients = io.namespace("/");
    let server = ServerBuilder::new().socketio(&io).start()?;
    tokio::spawn(async move { clients.serve(talk).await });
    Ok(server)
}

async fn talk(mut socket: Socket) {
    while let Some(event) = socket.recv().await {
        // Fails only if too many broadcasts wait to be delivered.
        let _ = socket.broadcast().forward(&event).await;
    }
}
