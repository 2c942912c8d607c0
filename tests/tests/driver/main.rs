//! The driver on real sockets, on every runtime, with clients that are only as polite as each test
//! wants. See `enginewire_tests::host`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

// For all modules at once.
#[macro_use(on_every_runtime)]
extern crate enginewire_tests;

mod abuse;
#[cfg(target_os = "linux")]
mod addresses;
mod backpressure;
mod behind_proxies;
mod cancel;
mod closing;
mod connect;
mod crowd;
#[cfg(target_os = "linux")]
mod descriptors;
mod handle;
mod handles;
#[cfg(target_os = "linux")]
mod kills;
mod ledger;
mod nodes;
mod nodes_tls;
mod probes;
#[cfg(target_os = "linux")]
mod program;
mod proxies;
mod reports;
mod resets;
mod seams;
mod session_handlers;
#[cfg(feature = "admin")]
mod sio_admin;
mod sio_broadcasts;
mod sio_client;
mod sio_closing;
mod sio_cluster;
mod sio_cluster_recovery;
mod sio_handlers;
mod sio_names;
mod sio_recovery;
mod sio_stats;
mod sockets;
#[cfg(target_os = "linux")]
mod stopped_clients;
#[cfg(target_os = "linux")]
mod stops;
mod strict;
#[cfg(target_os = "linux")]
mod terminate;
mod test_link;
mod timeouts;
mod tls;
mod tls_handshakes;

use std::sync::Arc;

use enginewire_async_std::AsyncStd;
use enginewire_driver::{Server, ServerBuilder, Socket};
use enginewire_smol::Smol;
use enginewire_tests::client::{self, soon, until};
use enginewire_tokio::Tokio;

/// A runtime that the suite runs on, and its programs.
trait Host: enginewire_tests::host::Host {
    /// The program in `tests/src/bin` that runs on it.
    #[cfg(target_os = "linux")]
    const SERVER: &str;
    /// The client that runs on it.
    #[cfg(target_os = "linux")]
    const CLIENT: &str;
}

impl Host for Tokio {
    #[cfg(target_os = "linux")]
    const SERVER: &str = env!("CARGO_BIN_EXE_server-tokio");
    #[cfg(target_os = "linux")]
    const CLIENT: &str = env!("CARGO_BIN_EXE_client-tokio");
}

impl Host for Smol {
    #[cfg(target_os = "linux")]
    const SERVER: &str = env!("CARGO_BIN_EXE_server-smol");
    #[cfg(target_os = "linux")]
    const CLIENT: &str = env!("CARGO_BIN_EXE_client-smol");
}

impl Host for AsyncStd {
    #[cfg(target_os = "linux")]
    const SERVER: &str = env!("CARGO_BIN_EXE_server-async-std");
    #[cfg(target_os = "linux")]
    const CLIENT: &str = env!("CARGO_BIN_EXE_client-async-std");
}

/// A server on a port of its own.
fn serve<R: Host>(change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>) -> Server {
    soon("a listener", change(ServerBuilder::on(R::default())).bind("127.0.0.1:0")).unwrap()
}

fn accept(server: &Server) -> Socket {
    soon("a session to accept", server.accept()).unwrap()
}

/// A server that echoes every message of every session until it closes.
fn serve_echo<R: Host>(change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>) -> Arc<Server> {
    let server = Arc::new(serve(change));
    R::default().spawn(echo_all::<R>(Arc::clone(&server)));
    server
}

async fn echo_all<R: Host>(server: Arc<Server>) {
    while let Some(mut socket) = server.accept().await {
        R::default().spawn(async move {
            while let Some(message) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Waits until the server holds nothing any more.
fn until_empty(server: &Server) {
    until("the end of all sessions and connections", || {
        server.sessions() + server.connections() == 0
    });
}
