//! Processes that are measured: their start, their CPU and memory, their end.

use std::{env, fs, path::PathBuf, process::Stdio, time::Duration};

use nix::{
    time::{ClockId, clock_getcpuclockid},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{Result, nodes::Kind, spent::Spent};

/// A running process. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    id: u32,
    clock: ClockId,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let started = command.kill_on_drop(true).spawn();
        let program = command.as_std().get_program().to_owned();
        let child = started.map_err(|error| format!("{}: {error}", program.display()))?;
        let id = child.id().ok_or("a process has ended at once")?;
        let clock = clock_getcpuclockid(Pid::from_raw(id.try_into()?))?;
        Ok(Self { child, id, clock })
    }

    /// Starts a node. Returns its port, too.
    pub(crate) async fn node(kind: Kind, redis: &str) -> Result<(Self, u16)> {
        let mut command = if kind.is_npm() {
            let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "npm.mjs"].iter().collect();
            let mut command = Command::new("node");
            command.arg(script).args([kind.name(), redis]).env("NODE_ENV", "production");
            command
        } else {
            let mut command = Command::new(env::current_exe()?);
            command.args(["--serve", kind.name(), redis]);
            command
        };
        let mut node = Self::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let output = node.child.stdout.take().ok_or("no pipe from a node")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let port = line.ok_or_else(|| format!("a node of {kind} has ended"))?.parse()?;
        Ok((node, port))
    }

    /// Returns the CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<Spent> {
        let whole = Duration::from(self.clock.now()?).as_secs_f64() * 1e6;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        // Behind the name, in which anything can be, `utime` and `stime` are the twelfth and the next.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name of a process")?;
        let mut ticks = fields.split_whitespace().skip(11);
        let mut next =
            || -> Result<f64> { Ok(ticks.next().ok_or("no ticks of a process")?.parse()?) };
        let (user, kernel) = (next()?, next()?);
        let share = if user + kernel == 0.0 { 0.0 } else { user / (user + kernel) };
        Ok(Spent { user: whole * share, whole })
    }

    /// Returns the bytes of memory that it has.
    pub(crate) fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("no memory of a process")?.parse::<f64>()? * 1024.0)
    }

    /// Ends it, and waits until it has.
    pub(crate) async fn end(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
