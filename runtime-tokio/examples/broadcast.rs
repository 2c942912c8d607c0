//! A relay: each message goes to all other sessions: `cargo run -p enginewire-tokio --example broadcast`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C.

use std::{env, io};

use enginewire_tokio::{ServerBuilder, ServerHandle, Socket};

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let server = ServerBuilder::new().bind(address).await?;
    println!("listening on {}", server.local_addr());
    loop {
        tokio::select! {
            Some(socket) = server.accept() => { tokio::spawn(relay(server.handle(), socket)); }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    server.close().await;
    Ok(())
}

async fn relay(server: ServerHandle, mut socket: Socket) {
    let me = socket.id();
    while let Some(message) = socket.recv().await {
        let others = server.senders().into_iter().map(|sender| sender.id()).filter(|&id| id != me);
        // Encoded once, and never waiting: one session that does not keep up must not delay the others.
        let broadcast = server.broadcast(others, message);
        if broadcast.full > 0 {
            println!("{} of the other sessions had no room", broadcast.full);
        }
    }
}
