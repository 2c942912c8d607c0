//! An Engine.IO server that echoes every message: `cargo run -p enginewire-async-std --example echo-async-std`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, until SIGINT or SIGTERM.

use std::{env, io};

use async_signal::{Signal, Signals};
use async_std::task;
use enginewire_async_std::{ServerBuilder, Socket};
use futures_lite::{StreamExt, future};

fn main() -> io::Result<()> {
    task::block_on(serve())
}

async fn serve() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let server = ServerBuilder::new().bind(address).await?;
    println!("listening on {}", server.local_addr());
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    loop {
        let stop = async {
            signals.next().await;
            None
        };
        let Some(socket) = future::or(server.accept(), stop).await else { break };
        task::spawn(echo(socket));
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
