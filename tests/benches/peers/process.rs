//! A server in a process of its own, and the pipe by which it is asked what it has spent.
//!
//! The server's first line on standard output is its address. Each line on its standard input is a
//! question answered by one line: `cpu` (microseconds of user and of kernel), `heap` (bytes) or `mark` (nothing, but
//! Callgrind writes a file). The end of the input, which also comes when the load generator dies, ends it.

use std::fs;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::loads::{Figure, Load};
use crate::servers::{OTHER, Peer, Serve};
use crate::{Result, heap};

/// A running server, as the load generator sees it. Dropping it, also in a panic, kills the
/// process and waits for its end.
pub(crate) struct Server {
    pub(crate) peer: &'static Peer,
    pub(crate) address: SocketAddr,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    callgrind: Option<Callgrind>,
    _child: Reaped,
}

impl Server {
    /// Starts the server; under Callgrind, if its instructions are to be counted, with profiles in `profiles`.
    ///
    /// One of another build is that of the executable `other`.
    pub(crate) fn start(
        peer: &'static Peer,
        load: &Load,
        profiles: Option<&Path>,
        other: Option<&Path>,
    ) -> Result<Self> {
        let (served, program) = match (peer.name.strip_suffix(OTHER), other) {
            (Some(name), Some(other)) => (name, other.to_owned()),
            _ => (peer.name, std::env::current_exe()?),
        };
        let name = format!("{}-{}", load.name, peer.name);
        let callgrind = profiles.map(|folder| Callgrind::new(folder, &name)).transpose()?;
        let mut command = match &callgrind {
            Some(callgrind) => callgrind.command(&program),
            None => Command::new(program),
        };
        command.args(["--serve", served]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if load.broadcasts {
            command.arg("--broadcast");
        }
        if load.counts_heap {
            command.arg("--count-heap");
        }
        let spawned = command.spawn();
        let spawned = spawned.map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let mut child = Reaped(spawned);
        let questions = child.0.stdin.take().ok_or("no pipe to the server")?;
        let answers = child.0.stdout.take().ok_or("no pipe from the server")?;
        let mut answers = BufReader::new(answers).lines();
        let address = next(&mut answers)?.parse()?;
        Ok(Self { peer, address, questions, answers, callgrind, _child: child })
    }

    /// Returns what one of `count` units of `work` costs: microseconds of CPU, or instructions.
    pub(crate) fn cost_of(
        &mut self,
        count: usize,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Figure> {
        if self.callgrind.is_some() {
            self.ask("mark")?;
            work()?;
            self.ask("mark")?;
            let counted = self.callgrind.as_ref().map_or(Ok(0), Callgrind::read)?;
            return Ok(Figure { whole: counted as f64 / count as f64, user: None, early: 0.0 });
        }
        let before = self.cpu()?;
        work()?;
        let after = self.cpu()?;
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / count as f64;
        let user = each(after.user.saturating_sub(before.user));
        let kernel = each(after.kernel.saturating_sub(before.kernel));
        Ok(Figure { whole: user + kernel, user: Some(user), early: 0.0 })
    }

    /// CPU time that the server has used since its start, of all its threads.
    fn cpu(&mut self) -> Result<Cpu> {
        let line = self.ask("cpu")?;
        let (user, kernel) = line.split_once(' ').ok_or("two figures are a CPU time")?;
        Ok(Cpu {
            user: Duration::from_micros(user.parse()?),
            kernel: Duration::from_micros(kernel.parse()?),
        })
    }

    /// Live bytes on the server's heap, once they no longer change: the last task of a session that
    /// was just opened or closed may still be running.
    pub(crate) fn settled_heap(&mut self) -> Result<i64> {
        let mut last = i64::MIN;
        for _ in 0..200 {
            let now = self.ask("heap")?.parse()?;
            if now == last {
                return Ok(now);
            }
            last = now;
            thread::sleep(Duration::from_millis(25));
        }
        Err("the server's heap did not come to rest".into())
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.questions, "{question}")?;
        next(&mut self.answers)
    }
}

/// CPU time by where it was spent.
///
/// The kernel tells its two parts apart by what runs at its ticks of some milliseconds; their sum is exact.
#[derive(Clone, Copy)]
struct Cpu {
    user: Duration,
    kernel: Duration,
}

/// Counts the instructions of a server in user space: all its threads, from one mark to the next.
///
/// Unlike a time they are nearly the same in each run, and have no part of the kernel's in them.
struct Callgrind {
    /// Files are named like this, and numbered.
    path: PathBuf,
}

impl Callgrind {
    fn new(folder: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let callgrind = Self { path: folder.join(name) };
        for file in callgrind.files() {
            fs::remove_file(file)?;
        }
        Ok(callgrind)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--tool=callgrind", "--dump-before=*process*mark*"]);
        command.arg(format!("--callgrind-out-file={}", self.path.display())).arg(program);
        command
    }

    /// Returns the files that have been written, in their order.
    fn files(&self) -> Vec<PathBuf> {
        let numbered = (1..).map(|nth| format!("{}.{nth}", self.path.display()).into());
        numbered.take_while(|file: &PathBuf| file.exists()).collect()
    }

    /// Reads the count of the last file, which the last mark has completed.
    fn read(&self) -> Result<u64> {
        let files = self.files();
        let text = fs::read_to_string(files.last().ok_or("Callgrind has written nothing")?)?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        Ok(total.ok_or("Callgrind has written no total")?.parse()?)
    }
}

/// Has Callgrind write its counts, and start anew.
#[inline(never)]
fn mark() {
    std::hint::black_box(());
}

struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Either fails only if the process has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn next(answers: &mut Lines<BufReader<ChildStdout>>) -> Result<String> {
    Ok(answers.next().ok_or("the server's process has ended")??)
}

/// The other side: runs the server `name` and answers questions until the input ends.
pub(crate) fn serve(name: &'static str, serve: Serve, count_heap: bool) -> Result<()> {
    if count_heap {
        heap::count();
    }
    let (ready, address) = mpsc::channel();
    thread::spawn(move || {
        let Err(error) = serve(ready) else { return };
        eprintln!("{name}: {error}");
        std::process::exit(1);
    });
    println!("{}", address.recv()?);
    for question in io::stdin().lines() {
        match question?.as_str() {
            "cpu" => {
                let spent = getrusage(UsageWho::RUSAGE_SELF)?;
                let micros = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
                println!("{} {}", micros(spent.user_time()), micros(spent.system_time()));
            }
            "mark" => {
                mark();
                println!();
            }
            "heap" => println!("{}", heap::live()),
            unknown => return Err(format!("unknown question {unknown}").into()),
        }
    }
    Ok(())
}
