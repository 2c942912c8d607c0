//! A server in a process of its own, and the pipe by which it is asked what it has spent.
//!
//! The server's first line on standard output is its address. Each line on its standard input is a
//! question answered by one line: `cpu` (microseconds of user and of kernel) or `heap` (bytes). The end of the input, which
//! also comes when the load generator dies, ends it.

use std::io::{self, BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::loads::Load;
use crate::servers::{Peer, Serve};
use crate::{Result, heap};

/// A running server, as the load generator sees it. Dropping it, also in a panic, kills the
/// process and waits for its end.
pub(crate) struct Server {
    pub(crate) peer: &'static Peer,
    pub(crate) address: SocketAddr,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _child: Reaped,
}

impl Server {
    pub(crate) fn start(peer: &'static Peer, load: &Load) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", peer.name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if load.broadcasts {
            command.arg("--broadcast");
        }
        if load.counts_heap {
            command.arg("--count-heap");
        }
        let mut child = Reaped(command.spawn()?);
        let questions = child.0.stdin.take().ok_or("no pipe to the server")?;
        let answers = child.0.stdout.take().ok_or("no pipe from the server")?;
        let mut answers = BufReader::new(answers).lines();
        let address = next(&mut answers)?.parse()?;
        Ok(Self { peer, address, questions, answers, _child: child })
    }

    /// CPU time that the server has used since its start, of all its threads.
    pub(crate) fn cpu(&mut self) -> Result<Cpu> {
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
pub(crate) struct Cpu {
    pub(crate) user: Duration,
    pub(crate) kernel: Duration,
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
            "heap" => println!("{}", heap::live()),
            unknown => return Err(format!("unknown question {unknown}").into()),
        }
    }
    Ok(())
}
