//! A chat in the browser: `npm ci --prefix tests/js && cargo run -p enginewire-tokio --example chat`.
//!
//! Page and sockets share one port of 127.0.0.1, that given as argument or 3000, until Ctrl-C. The events are those of
//! the official chat example. A folder as second argument has another page, as `core/browser/README.md` shows. `talk.rs` is the chat, `page.rs` the page; both are the same on other runtimes.

mod page;
mod talk;

use std::{env, future::ready, io, process::ExitCode};

// The crate for the runtime, by the name that the other files know it by.
use enginewire_tokio as runtime;
use runtime::{ServerBuilder, socketio::Io};

use self::{
    page::Page,
    talk::{Users, talk},
};

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let Some(page) = Page::load() else { return Ok(ExitCode::FAILURE) };
    let port = env::args().nth(1).map_or(Ok(3000), |port| port.parse::<u16>());
    let io = Io::new();
    // Before the server listens: the first client finds it then.
    let chat = io.namespace("/");
    let server = ServerBuilder::new()
        .socketio(&io)
        // Requests for all other paths than that of the sockets.
        .fallback(move |request| ready(page.response(&request.head)))
        .bind(("127.0.0.1", port.map_err(io::Error::other)?))
        .await?;
    println!("open http://{}/", server.local_addr());
    tokio::select! {
        () = chat.serve_with(Users::default(), talk) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    // Sends what is queued, and tells the clients.
    server.close().await;
    Ok(ExitCode::SUCCESS)
}
