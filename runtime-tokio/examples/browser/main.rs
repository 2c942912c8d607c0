//! A page in which the official client talks to an echo server:
//! `npm ci --prefix tests/js && cargo run -p enginewire-tokio --example browser`.
//!
//! Page and sessions share one port of 127.0.0.1, that given as argument or 3000, until Ctrl-C.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bytes::Bytes;
use enginewire_tokio::{RequestHead, Response, ServerBuilder, Socket};

const PAGE: &str = include_str!("index.html");

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let client = match fs::read(client_path()) {
        Ok(client) => Bytes::from(client),
        Err(error) => {
            eprintln!("cannot read {}: {error}", client_path().display());
            eprintln!("The official client is not installed: run `npm ci --prefix tests/js`.");
            return Ok(ExitCode::FAILURE);
        }
    };
    let port = env::args().nth(1).map_or(Ok(3000), |port| port.parse::<u16>());
    let server = ServerBuilder::new()
        .fallback(move |request| {
            let response = file(&request.head, &client);
            async { response }
        })
        .bind(("127.0.0.1", port.map_err(io::Error::other)?))
        .await?;
    println!("open http://{}/", server.local_addr());
    loop {
        tokio::select! {
            Some(socket) = server.accept() => { tokio::spawn(echo(socket)); }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    server.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

/// The response to a request for another path than that of the sessions.
fn file(head: &RequestHead, client: &Bytes) -> Response {
    match (head.method(), head.path()) {
        ("GET" | "HEAD", "/") => Response::new(200, "text/html; charset=utf-8", PAGE),
        ("GET" | "HEAD", "/engine.io.js") => {
            Response::new(200, "text/javascript; charset=utf-8", client.clone())
        }
        _ => Response::new(404, "text/plain; charset=utf-8", "There is no such page; try /\n"),
    }
}

/// Where npm puts the official client. Read when the example runs, so that it compiles without.
fn client_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/js/node_modules/engine.io-client/dist/engine.io.min.js")
}
