//! The suites of `tests/js`: our servers, driven by the official JavaScript clients and asked about
//! each rule on the wire, and our clients, driven by the official server and by one that does what no
//! server should. The reference is held to the same scenarios, so that a failure is our fault and not
//! the scenario's. `tests/python` is a second opinion.
//!
//! `cargo test -p enginewire-tests --features interop`, once `npm ci` has been run in `tests/js`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// Both suites against one server, given by the arguments of `tests/js/harness.mjs`. Each server
/// binary has a line here.
macro_rules! suites {
    ($server:ident, $($argument:expr),+) => {
        mod $server {
            #[test]
            fn serves_the_official_clients() {
                super::run("interop.mjs", &[$($argument),+], "2");
            }

            #[test]
            fn keeps_the_rules_on_the_wire() {
                super::run("protocol.mjs", &[$($argument),+], "0");
            }
        }
    };
}

/// The same against a server of ours, and python-engineio's client.
macro_rules! our_suites {
    ($server:ident, $python:ident, $binary:literal) => {
        suites!($server, "--server", env!($binary));

        #[test]
        fn $python() {
            run_python(&["server", &quoted_if_path(env!($binary))]);
        }
    };
}

suites!(reference, "--reference");
our_suites!(server_hub, server_hub_talks_to_python, "CARGO_BIN_EXE_server-hub");
our_suites!(server_tokio, server_tokio_talks_to_python, "CARGO_BIN_EXE_server-tokio");
our_suites!(server_smol, server_smol_talks_to_python, "CARGO_BIN_EXE_server-smol");
our_suites!(server_async_std, server_async_std_talks_to_python, "CARGO_BIN_EXE_server-async-std");

/// The suite of the clients against one of them, given by the arguments of
/// `tests/js/client/harness.mjs`, and by the command and what it leaves out of `tests/python`. Each
/// client binary has a line here.
macro_rules! client_suites {
    ($client:ident, [$($argument:expr),+], [$($python:expr),+]) => {
        mod $client {
            #[test]
            fn keeps_the_contract() {
                super::run("client.mjs", &[$($argument),+], "0");
            }

            #[test]
            fn talks_to_python() {
                super::run_python(&["client", $($python),+]);
            }
        }
    };
}

client_suites!(
    reference_client,
    ["--reference"],
    // It ignores the close packet on WebSocket, which python-engineio sends.
    ["node ../js/reference-client.mjs", "server_close (websocket)", "server_close (upgrade)"]
);

client_suites!(
    client_tokio,
    ["--client", env!("CARGO_BIN_EXE_client-tokio")],
    [env!("CARGO_BIN_EXE_client-tokio")]
);
client_suites!(
    client_smol,
    ["--client", env!("CARGO_BIN_EXE_client-smol")],
    [env!("CARGO_BIN_EXE_client-smol")]
);
client_suites!(
    client_async_std,
    ["--client", env!("CARGO_BIN_EXE_client-async-std")],
    [env!("CARGO_BIN_EXE_client-async-std")]
);

#[test]
fn the_vectors_are_what_the_reference_parsers_write() {
    run("vectors.mjs", &["--check"], "0");
}

/// Runs `tests/python/run.sh` in its folder and panics with what it reports.
fn run_python(arguments: &[&str]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new("./run.sh")
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("python"))
        .output()
        .unwrap_or_else(|error| panic!("cannot run bash: {error}"));
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{errors}\n{report}", output.status);
}

/// Runs a script of `tests/js` and panics with the failures that it reports. `workers` are the
/// threads of our server: none but the main one for the rules on the wire, some of which say what
/// is answered together and need an application that has said it all; several for the clients.
fn run(script: &str, arguments: &[&str], workers: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
    assert!(folder.join("node_modules").is_dir(), "run `npm ci` in {} first", folder.display());
    let output = Command::new("node")
        .arg("--test-reporter=spec")
        .arg(script)
        .args(arguments.iter().map(|argument| quoted_if_path(argument)))
        .current_dir(&folder)
        .env("WORKERS", workers)
        .output()
        .unwrap_or_else(|error| panic!("cannot run node, version 20 or later: {error}"));
    if !output.status.success() {
        let report = String::from_utf8_lossy(&output.stdout);
        // The summary repeats each failure in full.
        let failures = report.find("failing tests:").map_or(&*report, |start| &report[start..]);
        let errors = String::from_utf8_lossy(&output.stderr);
        panic!("{script} {arguments:?}: {}\n{errors}\n{failures}", output.status);
    }
}

/// A server is named by a shell command: a path with a space in it needs quotes.
fn quoted_if_path(argument: &str) -> String {
    match PathBuf::from(argument).is_absolute() {
        true => format!("'{argument}'"),
        false => argument.to_owned(),
    }
}

/// One at a time: the heartbeats of the scenarios are short, and two suites would starve each other.
static TURN: Mutex<()> = Mutex::new(());
