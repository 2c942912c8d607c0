//! A chat in the browser: `npm ci --prefix tests/js && cargo run -p enginewire-smol --example chat-smol`.
//!
//! Page and sockets share one port of 127.0.0.1, that given as argument or 3000, until SIGINT or SIGTERM. The chat and
//! its page are those of the example on tokio.

#[path = "../../../runtime-tokio/examples/chat/page.rs"]
mod page;
#[path = "../../../runtime-tokio/examples/chat/talk.rs"]
mod talk;

use std::{env, future::ready, io, process::ExitCode};

use async_signal::{Signal, Signals};
// The crate for the runtime, by the name that the other files know it by.
use enginewire_smol as runtime;
use futures_lite::{StreamExt, future};
use runtime::{ServerBuilder, socketio::Io};

use self::{
    page::Page,
    talk::{Users, talk},
};

fn main() -> io::Result<ExitCode> {
    smol::block_on(serve())
}

async fn serve() -> io::Result<ExitCode> {
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
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let stop = async {
        signals.next().await;
    };
    future::or(chat.serve_with(Users::default(), talk), stop).await;
    // Sends what is queued, and tells the clients.
    server.close().await;
    Ok(ExitCode::SUCCESS)
}
