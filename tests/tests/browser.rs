//! The example `browser` of the tokio crate in headless Chromium: the page connects with the official
//! client, upgrades and echoes.

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
fn the_page_connects_upgrades_and_echoes() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let build = ["build", "--quiet", "-p", "enginewire-tokio", "--example", "browser"];
    let built = Command::new(env!("CARGO")).args(build).current_dir(tests).status().unwrap();
    assert!(built.success(), "the example does not build");
    // Beside the folder of this test's own binary.
    let here = std::env::current_exe().unwrap();
    let example = here.ancestors().nth(2).unwrap().join("examples/browser");
    let mut server =
        Running(Command::new(example).args(["0", "0"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let stdout = server.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("open ").expect("the example prints its address");

    let script = Command::new("node")
        .args(["browser.mjs", url])
        .current_dir(tests.join("js"))
        .output()
        .expect("node, version 20 or later");
    let report = String::from_utf8_lossy(&script.stderr);
    assert!(script.status.success(), "{report}");
}
