//! The examples of the core, driven by the official client on each transport.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_event_loop_on_mio_echoes() {
    echoes("mio_echo");
}

#[test]
fn plain_threads_echo() {
    echoes("threads_echo");
}

#[test]
fn a_game_loop_echoes() {
    echoes("game_loop");
}

fn echoes(name: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let build = ["build", "--quiet", "-p", "enginewire", "--example", name];
    let built = Command::new(env!("CARGO")).args(build).current_dir(tests).status().unwrap();
    assert!(built.success(), "the example does not build");
    // Beside the folder of this test's own binary.
    let here = std::env::current_exe().unwrap();
    let example = here.ancestors().nth(2).unwrap().join("examples").join(name);
    let mut server = Running(Command::new(example).stdout(Stdio::piped()).spawn().unwrap());
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();

    let script = Command::new("node")
        // The harness wants to know of a server, and need not start it.
        .args(["echoes.mjs", "--server", "true"])
        .env("PORT", port.trim())
        .current_dir(tests.join("js"))
        .output()
        .expect("node, version 20 or later");
    let report = String::from_utf8_lossy(&script.stderr);
    assert!(script.status.success(), "{report}");
}
