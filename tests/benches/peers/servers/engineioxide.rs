//! engineioxide as its documentation shows it: its service under hyper, and a handler that emits
//! what it is given.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use ::engineioxide::handler::EngineIoHandler;
use ::engineioxide::layer::EngineIoLayer;
use ::engineioxide::service::EngineIoService;
use ::engineioxide::{DisconnectReason, Socket, Str};
use ::hyper::server::conn::http1;
use ::tokio_tungstenite::tungstenite::Bytes;
use hyper_util::rt::TokioIo;

use super::{Ready, accept, serve_axum};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    run(ready, Echo).await
}

/// The same as a layer of axum.
pub(super) async fn behind_axum(ready: Ready) -> io::Result<()> {
    let layer = EngineIoLayer::new(Arc::new(Echo));
    serve_axum(ready, ::axum::Router::new().layer(layer)).await
}

/// Each message goes to every socket that has connected: engineioxide has no broadcast of its own.
pub(super) async fn broadcast(ready: Ready) -> io::Result<()> {
    run(ready, Broadcast::default()).await
}

async fn run(ready: Ready, handler: impl EngineIoHandler) -> io::Result<()> {
    let service = EngineIoService::new(Arc::new(handler));
    accept(ready, move |stream| {
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service.clone())
            .with_upgrades()
    })
    .await
}

#[derive(Clone, Debug)]
struct Echo;

impl EngineIoHandler for Echo {
    type Data = ();

    fn on_connect(self: Arc<Self>, _: Arc<Socket<()>>) {}

    fn on_disconnect(&self, _: Arc<Socket<()>>, _: DisconnectReason) {}

    // A full buffer loses the message here; the load generator would notice.
    fn on_message(self: &Arc<Self>, message: Str, socket: Arc<Socket<()>>) {
        socket.emit(message).ok();
    }

    fn on_binary(self: &Arc<Self>, data: Bytes, socket: Arc<Socket<()>>) {
        socket.emit_binary(data).ok();
    }
}

#[derive(Debug, Default)]
struct Broadcast {
    sockets: RwLock<Vec<Arc<Socket<()>>>>,
}

impl EngineIoHandler for Broadcast {
    type Data = ();

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<()>>) {
        self.sockets.write().unwrap_or_else(PoisonError::into_inner).push(socket);
    }

    fn on_disconnect(&self, socket: Arc<Socket<()>>, _: DisconnectReason) {
        let mut sockets = self.sockets.write().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|other| other.id != socket.id);
    }

    fn on_message(self: &Arc<Self>, message: Str, _: Arc<Socket<()>>) {
        for socket in &*self.sockets.read().unwrap_or_else(PoisonError::into_inner) {
            socket.emit(message.clone()).ok();
        }
    }

    fn on_binary(self: &Arc<Self>, data: Bytes, _: Arc<Socket<()>>) {
        for socket in &*self.sockets.read().unwrap_or_else(PoisonError::into_inner) {
            socket.emit_binary(data.clone()).ok();
        }
    }
}
