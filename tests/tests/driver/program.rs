//! The test server as a process of its own, watched through `/proc`.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Signal, kill_process},
};

use crate::client::until;

/// The test server. Does not outlive the test.
pub(crate) struct Program {
    process: Child,
    /// What it says.
    output: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    /// Open files that it may have.
    limit: usize,
}

impl Program {
    /// Starts `server`, one of the programs, in the profile `bench` with these numbers in its
    /// environment.
    pub(crate) fn serve(server: &str, limit: usize, numbers: &[(&str, u64)]) -> Self {
        Self::start(server, limit, numbers).unwrap()
    }

    /// Starts `server` where another one has been, once nobody else is there.
    pub(crate) fn serve_at(server: &str, port: u16) -> Self {
        let mut program = None;
        until("the address to be free", || {
            program = Self::start(server, 1024, &[("PORT", port.into())]);
            program.is_some()
        });
        program.unwrap()
    }

    /// `None` if it cannot listen.
    fn start(server: &str, limit: usize, numbers: &[(&str, u64)]) -> Option<Self> {
        let mut process = Command::new("sh")
            .args(["-c", &format!("ulimit -n {limit} && exec \"$0\"")])
            .arg(server)
            .env("PROFILE", "bench")
            .envs(numbers.iter().map(|(name, number)| (name, number.to_string())))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut port, mut output) =
            (String::new(), BufReader::new(process.stdout.take().unwrap()));
        output.read_line(&mut port).unwrap();
        let Ok(port) = port.trim().parse() else {
            process.wait().unwrap();
            return None;
        };
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Some(Self { process, output, address, limit })
    }

    /// File descriptors in use that the limit is about: it bounds their numbers, and whoever runs
    /// the tests may have left open some that are beyond it.
    pub(crate) fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap();
        let numbers = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse());
        let limit = self.limit;
        numbers.filter(|number| number.as_ref().is_ok_and(|&number: &usize| number < limit)).count()
    }

    /// What all threads have used so far, in the kernel and outside.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // Fields 14 and 15, counted from one. The second is a name in parentheses.
        let (_, from_third) = stat.rsplit_once(") ").unwrap();
        let ticks: u64 =
            from_third.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / clock_ticks_per_second())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Asks the server to end.
    pub(crate) fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Asks the server, started with `TELL`, to end: how many messages its application was given, by what
    /// each client calls itself. That fits into a pipe.
    pub(crate) fn terminate_and_tell(mut self) -> (ExitStatus, BTreeMap<String, u64>) {
        self.signal(Signal::TERM);
        let status = self.wait();
        let mut told = String::new();
        self.output.read_to_string(&mut told).unwrap();
        let lines = told.lines().map(|line| {
            let (name, messages) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), messages.parse().unwrap())
        });
        (status, lines.collect())
    }

    /// Waits for the server's end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the server's end", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Either fails only if the process has ended and was waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
