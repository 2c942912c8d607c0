//! Enginewire on tokio, as its first example shows it.

use std::io;

use enginewire_tokio::Server;

use super::{LOOPBACK, Ready};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    let server = Server::builder().bind(LOOPBACK).await?;
    ready.send(server.local_addr()).map_err(io::Error::other)?;
    while let Some(mut socket) = server.accept().await {
        ::tokio::spawn(async move {
            while let Some(message) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        });
    }
    Ok(())
}
