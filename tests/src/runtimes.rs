//! The runtimes of the test servers. `WORKERS` is the number of worker threads, 0 or nothing a single thread: there, as
//! in the reference, what the application answers to one request is said before the next request is seen.

use std::{
    future::{Future, pending},
    io,
    pin::Pin,
    process::ExitCode,
    thread,
};

use async_executor::Executor;
use async_global_executor::GlobalExecutorConfig;
use async_signal::{Signal, Signals};
use enginewire_async_std::AsyncStd;
use enginewire_smol::Smol;
use enginewire_tokio::Tokio;
use futures_util::StreamExt;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::profile;

/// Completes when the process is to end.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a server on tokio until it ends.
///
/// # Errors
///
/// The runtime cannot start.
pub fn on_tokio<F>(program: impl FnOnce(Tokio, Stop) -> F) -> io::Result<ExitCode>
where
    F: Future<Output = ExitCode>,
{
    let mut builder = match workers() {
        0 => Builder::new_current_thread(),
        workers => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    let runtime = builder.enable_all().build()?;
    let status = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let stop = Box::pin(async move {
            terminate.recv().await;
        });
        Ok(program(Tokio::default(), stop).await)
    });
    // Whatever still waits for its time is not worth waiting for.
    runtime.shutdown_background();
    status
}

/// Runs a server on smol until it ends.
///
/// # Errors
///
/// Signals cannot be received.
pub fn on_smol<F>(program: impl FnOnce(Smol, Stop) -> F) -> io::Result<ExitCode>
where
    F: Future<Output = ExitCode>,
{
    static EXECUTOR: Executor<'static> = Executor::new();

    let stop = termination()?;
    for _ in 1..workers() {
        thread::spawn(|| async_io::block_on(EXECUTOR.run(pending::<()>())));
    }
    let runtime = Smol::spawning(|task| EXECUTOR.spawn(task).detach());
    Ok(async_io::block_on(EXECUTOR.run(program(runtime, stop))))
}

/// Runs a server on async-std until it ends.
///
/// # Errors
///
/// Signals cannot be received.
pub fn on_async_std<F>(program: impl FnOnce(AsyncStd, Stop) -> F) -> io::Result<ExitCode>
where
    F: Future<Output = ExitCode> + Send + 'static,
{
    let config = GlobalExecutorConfig::default().with_min_threads(workers().max(1));
    async_global_executor::init_with_config(config);
    let program = program(AsyncStd::default(), termination()?);
    // Not on the main thread, which would be one more.
    Ok(async_std::task::block_on(async_std::task::spawn(program)))
}

fn termination() -> io::Result<Stop> {
    let mut terminate = Signals::new([Signal::Term])?;
    Ok(Box::pin(async move {
        terminate.next().await;
    }))
}

fn workers() -> usize {
    profile::number("WORKERS").and_then(|workers| usize::try_from(workers).ok()).unwrap_or(0)
}
