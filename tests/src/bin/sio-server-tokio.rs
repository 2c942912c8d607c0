//! The Socket.IO test server on tokio. `WORKERS` is the number of worker threads, 0 or nothing the current
//! thread: there, as in the reference, what the application answers to one request is said before
//! the next request is seen.

use std::process::ExitCode;

use enginewire_tests::{profile, sio_program as program};
use enginewire_tokio::Tokio;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

fn main() -> std::io::Result<ExitCode> {
    let mut builder = match profile::number("WORKERS").map(usize::try_from) {
        Some(Ok(workers @ 1..)) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
        _ => Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build()?;
    let status = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(program::run(Tokio::default(), async move {
            terminate.recv().await;
        })
        .await)
    });
    // Whatever a `!later` still waits for is not worth waiting for.
    runtime.shutdown_background();
    status
}
