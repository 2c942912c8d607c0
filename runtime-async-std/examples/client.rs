//! An Engine.IO client: `cargo run -p enginewire-async-std --example client-async-std`, with the example `echo-async-std`
//! beside it.
//!
//! Connects to the server given as argument, http://127.0.0.1:3000 if there is none, sends three
//! messages, prints what comes back, and closes.

use std::env;

use enginewire_async_std::{Client, ConnectError};

fn main() -> Result<(), ConnectError> {
    async_std::task::block_on(chat())
}

async fn chat() -> Result<(), ConnectError> {
    let url = env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:3000".into());
    let mut socket = Client::connect(&url).await?;
    println!("connected over {}", socket.transport());
    for text in ["one", "two", "three"] {
        // Fails only once the session is over, which `recv` tells as well.
        let _ = socket.send(text).await;
        match socket.recv().await {
            Some(message) => println!("{message:?} over {}", socket.transport()),
            None => break,
        }
    }
    println!("{}", socket.close().await);
    Ok(())
}
