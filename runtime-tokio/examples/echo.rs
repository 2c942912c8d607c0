//! An Engine.IO server that echoes every message: `cargo run -p enginewire-tokio --example echo`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until Ctrl-C.

use std::{env, io};

use enginewire_tokio::{ServerBuilder, Socket};

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let server = ServerBuilder::new().bind(address).await?;
    println!("listening on {}", server.local_addr());
    loop {
        tokio::select! {
            Some(socket) = server.accept() => { tokio::spawn(echo(socket)); }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    // Lets out what is queued, and tells the clients.
    server.close().await;
    Ok(())
}

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}
