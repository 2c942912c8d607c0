//! Programs as processes: the examples, the test programs, scripts.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// What nothing takes as long as, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A process that does not outlive the test.
pub struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts a command, whose output is read by lines and whose input can be written.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = process.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process, lines }
    }

    /// The next line that it prints; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Some(line.trim().to_owned()),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {DEADLINE:?}"),
        }
    }

    /// Writes a line to its input.
    pub fn write(&mut self, line: &str) {
        let stdin = self.process.stdin.as_mut().expect("the input is open");
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Ends it without asking.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Closes its input, and waits until it has ended.
    pub fn end(mut self) -> ExitStatus {
        drop(self.process.stdin.take());
        while self.line().is_some() {}
        self.process.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An example, built and ready to run.
pub fn example(package: &str, example: &str) -> Command {
    build(&["-p", package, "--all-features", "--example", example]);
    Command::new(beside("examples").join(example))
}

/// The folder of the libraries for other languages that a package makes, built.
pub fn libraries(package: &str) -> PathBuf {
    build(&["-p", package, "--lib"]);
    beside("")
}

/// A WebAssembly for browsers, built: `file` is its place in the folder of that target.
pub fn wasm(what: &[&str], file: &str) -> PathBuf {
    const TARGET: &str = "wasm32-unknown-unknown";
    build(&[&["--target", TARGET], what].concat());
    // Not always beside that of the tests, which may be of a profile of their own.
    beside("..").join(TARGET).join("debug").join(file)
}

fn build(what: &[&str]) {
    let cargo = env::var_os("CARGO").expect("a test run by cargo");
    let build =
        Command::new(cargo).args(["build", "--quiet"]).args(what).current_dir(folder()).status();
    assert!(build.unwrap().success(), "{what:?} does not build");
}

/// A script of `tests/js`, to be run by Node.js, version 20 or later.
pub fn script(name: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(name).current_dir(folder().join("js"));
    node
}

/// Runs a suite of `tests/js`, which must pass. A path among its arguments is a command. Returns what it has printed.
pub fn suite(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = folder().join("js");
    assert!(folder.join("node_modules").is_dir(), "run `npm ci` in {} first", folder.display());
    let output = Command::new("node")
        .args(["--test-reporter=spec", name])
        .args(arguments.iter().map(|argument| quoted_if_path(argument)))
        .current_dir(&folder)
        .envs(environment.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("cannot run node, version 20 or later: {error}"));
    let report = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        // The summary repeats each failure in full.
        let failures = report.find("failing tests:").map_or(&*report, |start| &report[start..]);
        let errors = String::from_utf8_lossy(&output.stderr);
        panic!("{name} {arguments:?}: {}\n{errors}\n{failures}", output.status);
    }
    report.into_owned()
}

/// A program is named by a shell command: a path with a space in it needs quotes.
fn quoted_if_path(argument: &str) -> String {
    if Path::new(argument).is_absolute() { format!("'{argument}'") } else { argument.to_owned() }
}

/// The second opinion of `tests/python`.
pub fn python(arguments: &[&str]) -> Command {
    let mut bash = Command::new("./run.sh");
    bash.args(arguments).current_dir(folder().join("python"));
    bash
}

/// Whether a command ends well.
pub fn succeeds(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (&output.stdout, &output.stderr);
    Err(format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    ))
}

/// Runs a command, which must end well.
pub fn succeed(command: &mut Command) {
    if let Err(report) = succeeds(command) {
        panic!("{command:?}: {report}");
    }
}

/// A folder beside that of the test's own binary.
fn beside(name: &str) -> PathBuf {
    let here = env::current_exe().unwrap();
    here.ancestors().nth(2).unwrap().join(name)
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
