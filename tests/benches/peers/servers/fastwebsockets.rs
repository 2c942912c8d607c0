//! The echo server among the examples of fastwebsockets, which takes the handshake from hyper.

use std::io;

use ::fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use ::hyper::body::{Bytes, Incoming};
use ::hyper::server::conn::http1;
use ::hyper::service::service_fn;
use ::hyper::{Request, Response};
use ::tokio::task;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;

use super::{Ready, accept};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    accept(ready, |stream| {
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(switch))
            .with_upgrades()
    })
    .await
}

async fn switch(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgrade) = upgrade::upgrade(&mut request)?;
    // An error is the end of its connection, which the load generator would notice.
    ::tokio::spawn(task::unconstrained(echo(upgrade)));
    Ok(response)
}

async fn echo(upgrade: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgrade.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}
