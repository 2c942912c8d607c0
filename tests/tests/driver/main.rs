//! The driver on real sockets, with clients that are only as polite as each test wants.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abuse;
mod backpressure;
mod cancel;
mod closing;
#[cfg(target_os = "linux")]
mod descriptors;
mod handles;
mod timeouts;

use std::time::Duration;

use enginewire_tests::client::{self, soon};
use enginewire_tokio::{Builder, Server, Socket, Tokio};

/// A server on a port of its own.
async fn serve(change: impl FnOnce(Builder) -> Builder) -> Server {
    change(Builder::new(Tokio::default())).bind("127.0.0.1:0").await.unwrap()
}

async fn accept(server: &Server) -> Socket {
    soon("a session to accept", server.accept()).await.unwrap()
}

/// Echoes every message of every session until the server closes.
async fn echo_all(server: &Server) {
    while let Some(mut socket) = server.accept().await {
        tokio::spawn(async move {
            while let Some(message) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Waits until the server holds nothing any more. There is no event for it, so it looks again each
/// time the runtime has had a turn.
async fn until_empty(server: &Server) {
    soon("all sessions and connections to end", async {
        while server.sessions() + server.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
