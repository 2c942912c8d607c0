//! A page in which the official client talks to an echo server:
//! `npm ci --prefix tests/js && cargo run -p enginewire-tokio --example browser`.
//!
//! Listens on two ports of 127.0.0.1, the page's and the Engine.IO server's, until SIGINT or SIGTERM:
//! 3000 and 3001, or those given as arguments.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use bytes::{Buf, Bytes};
use enginewire::{
    Cors, CorsOrigin, Time,
    wire::{
        Input, Output,
        http::{Config, Event, RequestHead, Response, Server as Http},
    },
};
use enginewire_tokio::{ServerBuilder, Socket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};

const PAGE: &[u8] = include_bytes!("index.html");

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let bundle = match fs::read(bundle_path()) {
        Ok(bundle) => Bytes::from(bundle),
        Err(error) => {
            eprintln!("{}: {error}", bundle_path().display());
            eprintln!("The official client is not installed: run `npm ci --prefix tests/js`.");
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut ports = env::args().skip(1).map(|port| port.parse::<u16>().map_err(io::Error::other));
    let mut port = |default| ports.next().unwrap_or(Ok(default));
    let pages = TcpListener::bind(("127.0.0.1", port(3000)?)).await?;
    let origin = format!("http://{}", pages.local_addr()?);
    let server = ServerBuilder::new()
        // The page comes from another port, which to a browser is another origin.
        .cors(Cors::new(CorsOrigin::Exact(origin.clone())))
        .bind(("127.0.0.1", port(3001)?))
        .await?;
    println!("open {origin}/?server=http://{}", server.local_addr());

    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    loop {
        tokio::select! {
            Some(socket) = server.accept() => { tokio::spawn(echo(socket)); }
            Ok((stream, _)) = pages.accept() => { tokio::spawn(serve_page(stream, bundle.clone())); }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
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

/// The two files of the page, by the HTTP half of the core. A connection that fails is its browser's
/// loss.
async fn serve_page(mut stream: TcpStream, bundle: Bytes) -> io::Result<()> {
    let mut http = Http::new(Time::ZERO, Arc::new(Config::default()));
    let (mut buffer, mut output) = (vec![0; 16 * 1024], Output::new());
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        let mut input = Input::new(&mut buffer[..n]);
        while let Some(event) = http.handle_bytes(Time::ZERO, &mut input, &mut output) {
            if let Event::Request(head) = event {
                http.respond(Time::ZERO, &file(&head, &bundle), &mut output);
            }
        }
        while output.has_remaining() {
            let n = stream.write(output.chunk()).await?;
            output.advance(n);
        }
        if http.is_closing() {
            return Ok(());
        }
    }
}

fn file(head: &RequestHead, bundle: &Bytes) -> Response {
    match head.path() {
        "/" => Response::new(200).with_body("text/html; charset=utf-8", PAGE),
        "/engine.io.js" => Response::new(200).with_body("text/javascript", bundle.clone()),
        // A browser asks for it unbidden.
        "/favicon.ico" => Response::new(204),
        _ => Response::new(404),
    }
}

fn bundle_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/js/node_modules/engine.io-client/dist/engine.io.min.js")
}
