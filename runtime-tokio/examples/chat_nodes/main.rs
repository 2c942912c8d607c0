//! A chat on two nodes: `npm ci --prefix tests/js && cargo run -p enginewire-tokio --features redis --example chat_nodes`.
//!
//! It needs a server of Redis, at `REDIS_URL` or at `redis://127.0.0.1`. The nodes are on two ports of 127.0.0.1, that
//! given as argument and the next, or 3000 and 3001, until Ctrl-C. A page of one node talks with those of the other. On
//! two machines each would be a program of its own, behind a load balancer.

#[path = "../chat/page.rs"]
mod page;
#[path = "../chat/talk.rs"]
mod talk;

use std::{env, error::Error, future::ready, process::ExitCode};

// The crate for the runtime, by the name that the other files know it by.
use enginewire_tokio as runtime;
use runtime::{Server, ServerBuilder, redis::Redis, socketio::Io};

use self::{
    page::Page,
    talk::{Users, talk},
};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Some(page) = Page::load() else { return Ok(ExitCode::FAILURE) };
    let port = env::args().nth(1).map_or(Ok(3000), |port| port.parse::<u16>())?;
    let redis = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    // Both count in one place, because they are one program. Others would keep such a number in a database.
    let users = Users::default();
    let mut servers = Vec::new();
    for node in 0..2 {
        // A free port is of the system's choice, for each.
        let port = if port == 0 { 0 } else { port + node };
        servers.push(start(&redis, port, page.clone(), users.clone()).await?);
    }
    tokio::signal::ctrl_c().await?;
    // Sends what is queued, and tells the clients and the other node.
    for server in servers {
        server.close().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a node.
async fn start(redis: &str, port: u16, page: Page, users: Users) -> Result<Server, Box<dyn Error>> {
    let io = Io::builder().cluster(Redis::connect(redis).await?).build();
    let chat = io.namespace("/");
    let server = ServerBuilder::new()
        .socketio(&io)
        .fallback(move |request| ready(page.response(&request.head)))
        .bind(("127.0.0.1", port))
        .await?;
    println!("open http://{}/", server.local_addr());
    tokio::spawn(async move { chat.serve_with(users, talk).await });
    Ok(server)
}
