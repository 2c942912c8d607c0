//! The suites of `tests/js`: our servers, driven by the official JavaScript clients and asked about
//! each rule on the wire, and our clients, driven by the official server and by one that does what no
//! server should. The reference is held to the same scenarios, so that a failure is our fault and not
//! the scenario's.
//!
//! `cargo test -p enginewire-tests --features interop`, once `npm ci` has been run in `tests/js`.

use std::sync::{Mutex, PoisonError};

use enginewire_tests::process::{self, succeed};

/// Both suites against one server, given by the arguments of `tests/js/harness.mjs`. Each server
/// binary has a line here.
macro_rules! suites {
    ($server:ident, $($argument:expr),+ $(; $($name:literal),+)?) => {
        mod $server {
            #[test]
            fn serves_the_official_clients() {
                let environment = &[("WORKERS", "2") $($(, ($name, "1"))+)?];
                super::run("interop.mjs", &[$($argument),+], environment);
            }

            #[test]
            fn keeps_the_rules_on_the_wire() {
                let environment = &[("WORKERS", "0") $($(, ($name, "1"))+)?];
                super::run("protocol.mjs", &[$($argument),+], environment);
            }
        }
    };
}

suites!(reference, "--reference");
suites!(server_hub, "--server", env!("CARGO_BIN_EXE_server-hub"));
suites!(server_tokio, "--server", env!("CARGO_BIN_EXE_server-tokio"));
suites!(server_tokio_with_a_handler, "--server", env!("CARGO_BIN_EXE_server-tokio"); "HANDLER");
suites!(server_axum, "--server", env!("CARGO_BIN_EXE_server-axum"));
suites!(server_smol, "--server", env!("CARGO_BIN_EXE_server-smol"));
suites!(server_async_std, "--server", env!("CARGO_BIN_EXE_server-async-std"));

/// Compression by one server of each kind: what a connection does with it does not depend on the runtime.
#[test]
fn servers_compress_for_npm_ws_and_browsers() {
    for arguments in [
        &["--reference"][..],
        &["--server", env!("CARGO_BIN_EXE_server-hub")],
        &["--server", env!("CARGO_BIN_EXE_server-tokio")],
    ] {
        run("compression.mjs", arguments, &[("WORKERS", "2")]);
    }
}

/// The suite of the clients against one of them, given by the arguments of
/// `tests/js/client/running.mjs`. Each client binary has a line here.
macro_rules! client_suite {
    ($client:ident, $($argument:expr),+) => {
        #[test]
        fn $client() {
            run("client.mjs", &[$($argument),+], &[("WORKERS", "0")]);
        }
    };
}

client_suite!(the_official_client_keeps_the_contract, "--reference");
client_suite!(client_tokio_keeps_the_contract, "--client", env!("CARGO_BIN_EXE_client-tokio"));
client_suite!(client_smol_keeps_the_contract, "--client", env!("CARGO_BIN_EXE_client-smol"));
client_suite!(
    client_async_std_keeps_the_contract,
    "--client",
    env!("CARGO_BIN_EXE_client-async-std")
);

/// python-engineio with ours is in `matrix`; here the second opinion is heard on the first.
#[test]
fn the_official_client_talks_to_python() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // It ignores the close packet on WebSocket, which python-engineio sends.
    let left_out = ["server_close (websocket)", "server_close (upgrade)"];
    let mut arguments = vec!["client", "node ../js/reference-client.mjs"];
    arguments.extend(left_out);
    succeed(&mut process::python(&arguments));
}

#[test]
fn the_vectors_are_what_the_reference_parsers_write() {
    run("vectors.mjs", &["--check"], &[]);
    run("cluster-vectors.mjs", &["--check"], &[]);
}

/// Runs a suite. `WORKERS` in the environment are the threads of our server: none but the main one for the rules on
/// the wire, some of which say what is answered together and need an application that has said it all; several for the
/// clients.
fn run(script: &str, arguments: &[&str], environment: &[(&str, &str)]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    process::suite(script, arguments, environment);
}

/// One at a time: the heartbeats of the scenarios are short, and two suites would starve each other.
static TURN: Mutex<()> = Mutex::new(());
