//! Socket.IO of Enginewire on tokio, as its first example shows it, and with handlers.

use std::io;

use ::tokio::spawn;
use bytes::Bytes;
use enginewire_driver::ServerBuilder;
#[cfg(feature = "admin")]
use enginewire_driver::socketio::admin::Admin;
use enginewire_driver::socketio::{Ack, Data, Io, Routes, Socket, SocketRef};
use enginewire_tokio::Tokio;

use super::{LOOPBACK, Ready, serve_axum};

/// A task for each socket that takes its events.
pub(super) async fn stream(ready: Ready) -> io::Result<()> {
    run(ready, |io| {
        let namespace = io.namespace("/");
        spawn(async move { namespace.serve(talk).await });
    })
    .await
}

/// The same with an admin UI of which no page is there.
#[cfg(feature = "admin")]
pub(super) async fn with_admin(ready: Ready) -> io::Result<()> {
    let io = Io::builder().admin(Admin::without_auth()).build();
    let namespace = io.namespace("/");
    spawn(async move { namespace.serve(talk).await });
    accept(ready, &io).await
}

/// The same, as a layer of axum.
pub(super) async fn behind_axum(ready: Ready) -> io::Result<()> {
    let io = Io::new();
    let namespace = io.namespace("/");
    spawn(async move { namespace.serve(talk).await });
    let server = builder(&io).start()?;
    serve_axum(ready, ::axum::Router::new().layer(server.layer())).await
}

/// A table of handlers.
pub(super) async fn handlers(ready: Ready) -> io::Result<()> {
    let routes = Routes::new()
        .on("echo", async |socket: SocketRef, Data(text): Data<String>| {
            socket.emit("echo", &text).await
        })
        .on("echo_bin", async |socket: SocketRef, Data(data): Data<Bytes>| {
            socket.emit("echo_bin", &data).await
        })
        .on("ack", async |ack: Ack, Data(text): Data<String>| ack.send(&text).await)
        .on("broadcast", async |socket: SocketRef, Data(text): Data<String>| {
            // An error is told by the load generator, which would wait.
            let _ = socket.namespace().emit("broadcast", &text).await;
        });
    run(ready, |io| drop(spawn(io.mount("/", routes)))).await
}

/// Sends other events than those that are expected.
pub(super) async fn misnames(ready: Ready) -> io::Result<()> {
    let routes = Routes::new().on("echo", async |socket: SocketRef| socket.emit("ohce", "").await);
    run(ready, |io| drop(spawn(io.mount("/", routes)))).await
}

/// Has no namespace that a client could connect to.
pub(super) async fn refuses(ready: Ready) -> io::Result<()> {
    run(ready, |_| {}).await
}

async fn run(ready: Ready, serve: impl FnOnce(&Io)) -> io::Result<()> {
    let io = Io::new();
    serve(&io);
    accept(ready, &io).await
}

async fn accept(ready: Ready, io: &Io) -> io::Result<()> {
    let server = builder(io).bind(LOOPBACK).await?;
    ready.send(server.local_addr()).map_err(io::Error::other)?;
    while server.accept().await.is_some() {}
    Ok(())
}

fn builder(io: &Io) -> ServerBuilder<Tokio> {
    // The only path that our clients know.
    ServerBuilder::on(Tokio::default()).socketio(io).path("/engine.io/")
}

// An event of another shape, and one that could not be sent, are lost here; the load generator would notice.
async fn talk(mut socket: Socket) {
    while let Some(mut event) = socket.recv().await {
        let _ = match event.name() {
            "echo" => {
                let Ok(text) = event.data::<String>() else { continue };
                socket.emit("echo", &text).await
            }
            "echo_bin" => {
                let Ok(data) = event.data::<Bytes>() else { continue };
                socket.emit("echo_bin", &data).await
            }
            "ack" => {
                let ack = event.ack();
                let Ok(text) = event.data::<String>() else { continue };
                ack.send(&text).await
            }
            "broadcast" => {
                let Ok(text) = event.data::<String>() else { continue };
                socket.namespace().emit("broadcast", &text).await.map(drop)
            }
            _ => continue,
        };
    }
}
