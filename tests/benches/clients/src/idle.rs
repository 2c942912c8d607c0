//! Heap of a client that is connected and says nothing.

use std::time::Duration;

use enginewire_tokio::{
    TransportKind,
    socketio::{Client, ClientBuilder, ClientSocket},
};

use crate::{Result, heap, server::Server};

const CLIENTS: usize = 1000;

/// Prints it, over WebSocket and over polling.
pub(crate) fn measure() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for transport in [TransportKind::WebSocket, TransportKind::Polling] {
        let server = Server::start(0)?;
        let bytes = runtime.block_on(idle(&server.url(), transport))?;
        println!("idle over {transport}: {bytes} bytes of heap for each of {CLIENTS} clients");
    }
    Ok(())
}

async fn idle(url: &str, transport: TransportKind) -> Result<usize> {
    // Storage that all share is not a client's.
    let first = connect(url, transport).await?;
    let before = heap::live();
    let mut clients = Vec::with_capacity(CLIENTS);
    let places = heap::live() - before;
    for _ in 0..CLIENTS {
        clients.push(connect(url, transport).await?);
    }
    let after = settled().await?;
    drop((clients, first));
    Ok((after - before - places) / CLIENTS)
}

async fn connect(url: &str, transport: TransportKind) -> Result<(Client, ClientSocket)> {
    let client = ClientBuilder::new(url).transports([transport]).build()?;
    let socket = client.open()?;
    socket.connected().await?;
    Ok((client, socket))
}

/// Returns the bytes of the heap once they do not change any more: tasks may be at work.
async fn settled() -> Result<usize> {
    let mut last = 0;
    for _ in 0..100 {
        let now = heap::live();
        if now == last {
            return Ok(now);
        }
        last = now;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the heap did not come to rest".into())
}
