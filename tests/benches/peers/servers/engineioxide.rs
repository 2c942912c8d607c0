//! engineioxide as its documentation shows it: its service under hyper, and a handler that emits
//! what it is given.

use std::io;
use std::sync::Arc;

use ::engineioxide::handler::EngineIoHandler;
use ::engineioxide::service::EngineIoService;
use ::engineioxide::{DisconnectReason, Socket, Str};
use ::hyper::server::conn::http1;
use ::tokio_tungstenite::tungstenite::Bytes;
use hyper_util::rt::TokioIo;

use super::{Ready, accept};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    let service = EngineIoService::new(Arc::new(Echo));
    accept(ready, move |stream| {
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service.clone())
            .with_upgrades()
    })
    .await
}

#[derive(Debug)]
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
