//! A bare WebSocket echo: the WebSocket half of `wire` on a TCP stream, without Engine.IO.

use std::{io, sync::Arc};

use bytes::Buf;
use enginewire::{
    PerMessageDeflate, Time,
    codec::Frame,
    wire::{
        Arena, Input, Output,
        http::{self, Event, Response, Server},
        ws::{self, Received, Role, WebSocket},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The largest message echoed.
const MAX_MESSAGE: usize = 16 << 20;

/// Serves one connection: any path, each message sent back as it came.
///
/// # Errors
///
/// The connection's.
pub async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut output = Output::new();
    let mut http = Server::new(Time::ZERO, Arc::new(http::Config::default()));
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        let mut input = Input::new(&mut buffer[..n]);
        let event = http.handle_bytes(Time::ZERO, &mut input, &mut output);
        if let Some(Event::Request(head)) = event {
            match ws::accept(&head) {
                Ok(accept) => {
                    let (deflate, fields) = ws::accept_deflate(&head, &options()).unzip();
                    let fields = fields.unwrap_or_default();
                    let mut early =
                        http.accept_upgrade(&accept, fields.as_bytes(), &mut output).to_vec();
                    early.extend_from_slice(input.rest());
                    let mut ws = WebSocket::new(Role::Server, MAX_MESSAGE, usize::MAX);
                    if let Some(deflate) = deflate {
                        ws = ws.with_deflate(deflate);
                    }
                    return echo(stream, ws, output, buffer, early).await;
                }
                Err(error) => {
                    http.respond(Time::ZERO, &Response::new(error.status()), &mut output);
                }
            }
        }
        flush(&mut stream, &mut output).await?;
        if http.is_closing() {
            return Ok(());
        }
    }
}

async fn echo(
    mut stream: TcpStream,
    mut ws: WebSocket,
    mut output: Output,
    mut buffer: Vec<u8>,
    mut early: Vec<u8>,
) -> io::Result<()> {
    let mut arena = Arena::new();
    let mut n = 0;
    loop {
        let read = if early.is_empty() { &mut buffer[..n] } else { &mut early[..] };
        let mut input = Input::new(read);
        while let Some(received) = ws.handle_bytes(&mut input, &mut arena, &mut output) {
            if let Received::Message(message) = received {
                ws.write_frame(&Frame::from_message(message), &mut arena, &mut output);
            }
        }
        early.clear();
        flush(&mut stream, &mut output).await?;
        if ws.is_closed() {
            break;
        }
        n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
    }
    stream.shutdown().await?;
    // Until the peer closes too: closing first could reset what it has not read yet.
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// All messages are compressed, as the suite expects, and refer to those before them if the client lets them.
fn options() -> PerMessageDeflate {
    let mut options = PerMessageDeflate::default();
    options.threshold = 0;
    options.server_context_takeover = true;
    options.client_context_takeover = true;
    options
}

async fn flush(stream: &mut TcpStream, output: &mut Output) -> io::Result<()> {
    while output.has_remaining() {
        let n = stream.write(output.chunk()).await?;
        output.advance(n);
    }
    Ok(())
}
