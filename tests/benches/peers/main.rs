//! What a server costs: CPU per message, round trip and handshake, heap per idle session, for Enginewire
//! and its peers side by side in one run.
//!
//! ```text
//! cargo bench -p enginewire-tests --bench peers
//! cargo bench -p enginewire-tests --bench peers -- --html peers.html
//! cargo bench -p enginewire-tests --bench peers -- echo64x1 polling --servers engineioxide,epoll --rounds 9
//! ```
//!
//! This process is the load generator: one thread, preformed frames, every byte of every answer
//! compared. Each measurement starts its server anew, as `peers --serve NAME` in a process of its
//! own, and takes from it what the load cost: the CPU clock of that process, user and kernel, all
//! threads, and beside it the part that is not the kernel's. Wall time is not looked at, so a busy machine disturbs the figures but does not
//! dominate them; what is left of the disturbance is met by taking turns (A B C, A B C, ...) and by
//! medians. Nothing here is a gate.
//!
//! The kernel tells user from kernel by what runs at its ticks of some milliseconds: of a load shorter than
//! some hundred ticks (`--quick`), only the whole means anything.
//!
//! How many messages a server finds at each wake-up depends on how quick the client and the machine
//! are, and with it how much of a figure is the kernel's: compare ratios within one run, never
//! figures of two. `taskset -c 0` in front holds both sides on one CPU, which narrows the spread on a busy
//! machine and flatters no server, but hides what waking another CPU costs.

mod args;
mod chart;
mod frame;
mod heap;
mod loads;
mod patience;
mod process;
mod servers;
mod smoke;
mod table;

use std::process::ExitCode;

use enginewire_progress::Progress;

use crate::args::{Command, Options};
use crate::process::Server;
use crate::table::Figures;

/// What goes wrong here ends the run with a sentence; nothing recovers from it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let done = match args::parse(std::env::args().skip(1)) {
        Ok(Command::Serve { name, serve, count_heap }) => process::serve(name, serve, count_heap),
        Ok(Command::Measure(options)) => measure(&options),
        Ok(Command::Smoke) => smoke::run(),
        Ok(Command::Help) => {
            println!("{}", args::help());
            Ok(())
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs each chosen load in turns over the chosen servers and prints what was found.
///
/// A server that fails is left out of the rest of that load, and the end says why.
fn measure(options: &Options) -> Result<()> {
    patience::raise_open_files()?;
    let mut figures = Figures { counted: options.profiles.is_some(), ..Figures::default() };
    let mut progress = Progress::stderr();
    let plan = options.loads.iter().map(|load| (load, options.suited(load)));
    let plan: Vec<_> = plan.collect();
    let mut left: usize = plan.iter().map(|(_, servers)| servers.len() * options.rounds).sum();
    for (load, servers) in plan {
        for round in 1..=options.rounds {
            for &server in &servers {
                progress.report(|elapsed| {
                    let (name, rounds) = (server.name, options.rounds);
                    let seconds = elapsed.as_secs();
                    let load = load.name;
                    format!("{load}: {name}, round {round} of {rounds}; {left} left, {seconds} s")
                });
                left -= 1;
                if figures.has_failed(load, server) {
                    continue;
                }
                let run = Server::start(
                    server,
                    load,
                    options.profiles.as_deref(),
                    options.other.as_deref(),
                );
                match run.and_then(|mut server| load.run(&mut server, options.scale)) {
                    Ok(figure) => figures.add(load, server, figure),
                    Err(error) => figures.fail(load, server, error.to_string()),
                }
            }
        }
    }
    drop(progress);
    println!("{}", figures.table(&options.servers));
    if let Some(path) = &options.svg {
        std::fs::write(path, chart::svg(&figures))?;
    }
    if let Some(path) = &options.html {
        std::fs::write(path, chart::html(&figures))?;
    }
    Ok(())
}
