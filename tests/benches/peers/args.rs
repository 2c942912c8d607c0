//! The command line.

use std::path::PathBuf;

use crate::Result;
use crate::loads::{self, Load};
use crate::servers::{self, Peer, Serve};

pub(crate) enum Command {
    /// Be the server under test: started by [`crate::process::Server`].
    Serve {
        name: &'static str,
        serve: Serve,
        count_heap: bool,
    },
    Measure(Options),
    /// A moment of everything, for `cargo test --benches`.
    Smoke,
    Help,
}

pub(crate) struct Options {
    pub(crate) loads: Vec<&'static Load>,
    pub(crate) servers: Vec<&'static Peer>,
    pub(crate) rounds: usize,
    pub(crate) scale: Scale,
    /// Where the profiles go, if instructions are counted instead of CPU time.
    pub(crate) profiles: Option<PathBuf>,
    /// The executable of another build of this benchmark.
    pub(crate) other: Option<PathBuf>,
    /// Where to draw the figures.
    pub(crate) svg: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
}

impl Options {
    /// The chosen servers that can take `load`.
    pub(crate) fn suited(&self, load: &Load) -> Vec<&'static Peer> {
        self.servers.iter().copied().filter(|server| load.suits(server)).collect()
    }
}

/// How much of a load is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    /// An eighth: for a first look.
    Quick,
    /// So much that a count changes little with more, and Callgrind takes as long as a full run without it.
    Counted,
    /// As little as still passes through everything.
    Smoke,
}

impl Scale {
    pub(crate) fn of(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => full / 8,
            Self::Counted => full / 40,
            Self::Smoke => full / 100,
        }
    }
}

/// `cargo bench` passes `--bench`; `cargo test --benches` passes nothing, and then a smoke run
/// keeps `cargo test --all-targets` quick.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Command> {
    let mut args = args.peekable();
    if args.peek().is_none() {
        return Ok(Command::Smoke);
    }
    let mut loads = Vec::new();
    let mut servers = servers::ALL.iter().collect::<Vec<_>>();
    let mut rounds = None;
    let mut scale = Scale::Full;
    let (mut svg, mut html) = (None, None);
    let mut serve = None;
    let (mut profiles, mut other) = (None, None);
    let (mut broadcast, mut count_heap) = (false, false);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--bench" => {}
            "--test" => return Ok(Command::Smoke),
            "--help" | "-h" => return Ok(Command::Help),
            "--instructions" => profiles = Some(value()?.into()),
            "--quick" => scale = Scale::Quick,
            "--other" => other = Some(value()?.into()),
            "--rounds" => rounds = Some(value()?.parse::<usize>()?.max(1)),
            "--servers" => {
                servers = value()?.split(',').map(servers::named).collect::<Result<_>>()?
            }
            "--svg" => svg = Some(value()?.into()),
            "--html" => html = Some(value()?.into()),
            "--serve" => serve = Some(servers::named(&value()?)?),
            "--broadcast" => broadcast = true,
            "--count-heap" => count_heap = true,
            name if !name.starts_with('-') => loads.push(loads::named(name)?),
            unknown => return Err(format!("unknown option {unknown}\n{}", help()).into()),
        }
    }
    if let Some(server) = serve {
        let serve = if broadcast { server.broadcast } else { Some(server.serve) };
        let serve = serve.ok_or_else(|| format!("{} has no broadcast", server.name))?;
        return Ok(Command::Serve { name: server.name, serve, count_heap });
    }
    if profiles.is_some() {
        if scale == Scale::Quick {
            return Err("--quick has no effect on --instructions".into());
        }
        if let Some(load) = loads.iter().find(|load| load.counts_heap) {
            return Err(format!("{} counts no instructions", load.name).into());
        }
        scale = Scale::Counted;
    }
    if loads.is_empty() {
        let suits = |load: &&Load| profiles.is_none() || !load.counts_heap;
        loads = loads::ALL.iter().filter(suits).collect();
    }
    let rounds = rounds.unwrap_or(match scale {
        Scale::Full => 9,
        Scale::Counted => 1,
        Scale::Quick | Scale::Smoke => 3,
    });
    if other.is_none()
        && let Some(server) = servers.iter().find(|server| server.name.ends_with(servers::OTHER))
    {
        return Err(format!("{} needs --other", server.name).into());
    }
    Ok(Command::Measure(Options { loads, servers, rounds, scale, profiles, other, svg, html }))
}

pub(crate) fn help() -> String {
    let mut text = String::from(
        "peers [LOAD...] [--servers NAME,NAME...] [--other EXE] [--rounds N] [--quick | --instructions DIR] \
         [--svg FILE] [--html FILE]\n\
         without a LOAD all are run; without arguments at all only a smoke run; --instructions counts those \
         in user space instead of CPU time, with valgrind, and leaves profiles in DIR; NAME@other is the server of EXE, \
         another build of this benchmark\n\nloads\n",
    );
    for load in loads::ALL {
        text += &format!("  {:<12} {}, {}\n", load.name, load.what, load.unit);
    }
    text += "\nservers\n";
    for server in servers::ALL {
        text += &format!("  {:<20} {}\n", server.name, server.what);
    }
    text
}
