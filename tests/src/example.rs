//! Examples as processes.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A process that does not outlive the test.
pub struct Running(Child);

impl Running {
    /// Builds an example and starts it; gives the first line that it prints as well.
    pub fn start(package: &str, example: &str, args: &[&str]) -> (Self, String) {
        let build = ["build", "--quiet", "-p", package, "--example", example];
        let cargo = env::var_os("CARGO").expect("a test run by cargo");
        let built = Command::new(cargo).args(build).current_dir(folder()).status().unwrap();
        assert!(built.success(), "the example does not build");
        // Beside the folder of the test's own binary.
        let here = env::current_exe().unwrap();
        let binary = here.ancestors().nth(2).unwrap().join("examples").join(example);
        let mut command = Command::new(binary);
        let mut running = Self(command.args(args).stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        let stdout = running.0.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        (running, line.trim().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A script of `tests/js`, to be run by Node.js.
pub fn script(name: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(name).current_dir(folder().join("js"));
    node
}

/// Runs a script, which must end well.
pub fn succeed(script: &mut Command) {
    let output = script.output().expect("node, version 20 or later");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
