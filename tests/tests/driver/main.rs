//! The driver on real sockets, on every runtime, with clients that are only as polite as each test
//! wants. A test is a function of the runtime; the server's tasks run on threads of the runtime's, the
//! test and its clients block their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Makes tests of functions that take a runtime. Each such file calls it with all of them: one that
/// is left out is dead code, of which the compiler tells.
macro_rules! on_every_runtime {
    ($($test:ident),+ $(,)?) => {
        on_every_runtime!(tokio: enginewire_tokio::Tokio, $($test),+);
        on_every_runtime!(smol: enginewire_smol::Smol, $($test),+);
        on_every_runtime!(async_std: enginewire_async_std::AsyncStd, $($test),+);
    };
    ($module:ident: $runtime:ty, $($test:ident),+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    <$runtime as crate::Host>::host(super::$test::<$runtime>);
                }
            )+
        }
    };
}

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
mod probes;
#[cfg(target_os = "linux")]
mod program;
mod proxies;
mod reports;
mod resets;
mod seams;
mod session_handlers;
mod sio_broadcasts;
mod sio_client;
mod sio_closing;
mod sio_cluster;
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

use std::sync::{Arc, LazyLock};

use enginewire_async_std::AsyncStd;
use enginewire_driver::{Runtime, Server, ServerBuilder, Socket};
use enginewire_smol::Smol;
use enginewire_tests::client::{self, soon, until};
use enginewire_tokio::Tokio;

/// A runtime that the suite runs on.
trait Host: Runtime + Default {
    /// The program in `tests/src/bin` that runs on it.
    #[cfg(target_os = "linux")]
    const SERVER: &str;
    /// The client that runs on it.
    #[cfg(target_os = "linux")]
    const CLIENT: &str;

    /// Does `work` on the calling thread, where it may use the runtime, whose tasks run elsewhere.
    fn host<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
}

impl Host for Tokio {
    #[cfg(target_os = "linux")]
    const SERVER: &str = env!("CARGO_BIN_EXE_server-tokio");
    #[cfg(target_os = "linux")]
    const CLIENT: &str = env!("CARGO_BIN_EXE_client-tokio");

    fn host<T>(work: impl FnOnce() -> T) -> T {
        static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
            // So little stack that whoever lets a peer use it up is found out.
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            // And with one worker alone nothing could overtake anything.
            let workers =
                std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
            builder.worker_threads(workers).thread_stack_size(512 * 1024);
            builder.enable_all().build().unwrap()
        });
        let _context = RUNTIME.enter();
        work()
    }
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
