//! The Socket.IO test server on smol. `WORKERS` is the number of threads, 0 or nothing the main thread alone:
//! there, as in the reference, what the application answers to one request is said before the next
//! request is seen.

use std::{future::pending, process::ExitCode, thread};

use async_executor::Executor;
use async_signal::{Signal, Signals};
use enginewire_smol::Smol;
use enginewire_tests::{profile, sio_program as program};
use futures_util::StreamExt;

static EXECUTOR: Executor<'static> = Executor::new();

fn main() -> std::io::Result<ExitCode> {
    let mut terminate = Signals::new([Signal::Term])?;
    for _ in 1..profile::number("WORKERS").unwrap_or(0) {
        thread::spawn(|| async_io::block_on(EXECUTOR.run(pending::<()>())));
    }
    let runtime = Smol::spawning(|task| EXECUTOR.spawn(task).detach());
    let program = program::run(runtime, async move {
        terminate.next().await;
    });
    Ok(async_io::block_on(EXECUTOR.run(program)))
}
