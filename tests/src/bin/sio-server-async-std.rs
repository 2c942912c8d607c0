//! The Socket.IO test server on async-std. `WORKERS` is the number of threads, 0 or nothing a single one: there,
//! as in the reference, what the application answers to one request is said before the next request
//! is seen.

use std::process::ExitCode;

use async_global_executor::GlobalExecutorConfig;
use async_signal::{Signal, Signals};
use async_std::task;
use enginewire_async_std::AsyncStd;
use enginewire_tests::{profile, sio_program as program};
use futures_util::StreamExt;

fn main() -> std::io::Result<ExitCode> {
    let workers = profile::number("WORKERS").and_then(|workers| usize::try_from(workers).ok());
    let config = GlobalExecutorConfig::default().with_min_threads(workers.unwrap_or(0).max(1));
    async_global_executor::init_with_config(config);
    let mut terminate = Signals::new([Signal::Term])?;
    let program = program::run(AsyncStd::default(), async move {
        terminate.next().await;
    });
    // Not on the main thread, which would be one more.
    Ok(task::block_on(task::spawn(program)))
}
