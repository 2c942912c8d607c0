//! socketioxide as its documentation shows it: its layer on axum, and handlers of events.

use std::io;

use ::axum::Router;
use ::socketioxide::SocketIo;
use ::socketioxide::extract::{AckSender, Data, SocketRef};
use bytes::Bytes;

use super::{Ready, serve_axum};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    // The only path that our clients know.
    let (layer, io) = SocketIo::builder().req_path("/engine.io").build_layer();
    io.ns("/", connected);
    serve_axum(ready, Router::new().layer(layer)).await
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
