//! Costs of a broadcast in a cluster on Redis, of nodes of several kinds beside each other:
//!
//! ```text
//! cargo run --release --manifest-path tests/benches/cluster/Cargo.toml -- \
//!   [--rounds N] [--nodes N,N...] [--in-flight N,N...] [--kinds NAME,NAME...]
//! ```
//!
//! Nodes are Enginewire's on tokio with each format of its bus, socketioxide's with socketioxide-redis, and npm
//! `socket.io`'s with each official adapter (after `npm ci` in `tests/js`). Each is a process of its own with one worker
//! thread, and so is the `redis-server` (Debian's package of that name) that a run starts.
//!
//! Three rooms are measured: one with a member on each node, which shows what a broadcast costs a node; one of 1000
//! members, as many on each node, which shows what a recipient costs; and one with members on two nodes alone, which shows
//! what it costs the nodes that have none. A member of the first node has it send a text of 64 bytes to a room, as many
//! times as are in flight, and again once all members have all of them. Its event is part of the sender's costs.
//!
//! The texts are numbered: one that is lost, comes twice, early or late is a failure. There are no heartbeats. Costs are
//! the CPU clocks of the processes, all threads, user and kernel; the kernel tells the two apart by its ticks, and their
//! sum is exact. The load is this process, and is not counted. Kinds take turns and the figures are medians of the rounds,
//! so that a busy machine disturbs them but does not dominate; compare ratios within one run.

mod args;
mod client;
mod figures;
mod load;
mod nodes;
mod process;
mod redis;
mod spent;

use std::{env, process::ExitCode};

use crate::args::Command;

/// Result of a step. An error ends the run with a sentence; nothing recovers from it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match args::parse(env::args().skip(1)) {
        Ok(Command::Measure(options)) => load::measure(&options).await,
        Ok(Command::Serve { kind, redis }) => nodes::serve(kind, &redis).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
