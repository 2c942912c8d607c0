//! socketioxide as its documentation shows it: its layer on axum, and handlers of events.

use std::io;

use ::axum::Router;
use ::axum::serve::ListenerExt;
use ::socketioxide::SocketIo;
use ::socketioxide::extract::{AckSender, Data, SocketRef};
use ::tokio::net::TcpListener;
use bytes::Bytes;

use super::{LOOPBACK, Ready};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    // The only path that our clients know.
    let (layer, io) = SocketIo::builder().req_path("/engine.io").build_layer();
    io.ns("/", connected);
    let listener = TcpListener::bind(LOOPBACK).await?;
    ready.send(listener.local_addr()?).map_err(io::Error::other)?;
    let listener = listener.tap_io(|stream| {
        // A connection without it is slower, which is no more than a pity.
        let _ = stream.set_nodelay(true);
    });
    ::axum::serve(listener, Router::new().layer(layer)).await
}

// Where there is no room an event is lost here; the load generator would notice.
async fn connected(socket: SocketRef) {
    socket.on("echo", async |socket: SocketRef, Data::<String>(text)| {
        socket.emit("echo", &text).ok();
    });
    socket.on("echo_bin", async |socket: SocketRef, Data::<Bytes>(data)| {
        socket.emit("echo_bin", &data).ok();
    });
    socket.on("ack", async |ack: AckSender, Data::<String>(text)| {
        ack.send(&text).ok();
    });
    socket.on("broadcast", async |io: SocketIo, Data::<String>(text)| {
        io.emit("broadcast", &text).await.ok();
    });
}
