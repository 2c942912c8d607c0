//! The suite of `tests/js/sio`: our Socket.IO servers, driven by the official JavaScript clients and asked about each
//! rule on the wire, and python-socketio as a second opinion; our clients, driven by the official server and by one that
//! does what no server should. The reference is held to the same scenarios.
//!
//! `cargo test -p enginewire-tests --features interop`, once `npm ci` has been run in `tests/js`.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use enginewire_tests::process::{self, succeed};

/// The suite against a server, given by the arguments of `tests/js/harness.mjs`. Each server binary has a line here.
macro_rules! suite {
    ($server:ident, $($argument:expr),+) => {
        #[test]
        fn $server() {
            run("sio/interop.mjs", &[$($argument),+]);
        }
    };
}

suite!(the_reference_passes, "--reference");
suite!(the_reference_differs_as_named, "--reference", "--differences");
suite!(tokio_serves_the_official_clients, "--server", env!("CARGO_BIN_EXE_sio-server-tokio"));
suite!(hub_serves_the_official_clients, "--server", env!("CARGO_BIN_EXE_sio-server-hub"));
suite!(axum_serves_the_official_clients, "--server", env!("CARGO_BIN_EXE_sio-server-axum"));
suite!(smol_serves_the_official_clients, "--server", env!("CARGO_BIN_EXE_sio-server-smol"));
suite!(
    async_std_serves_the_official_clients,
    "--server",
    env!("CARGO_BIN_EXE_sio-server-async-std")
);

/// The suite of the admin UI against a server.
macro_rules! admin_suite {
    ($server:ident, $($argument:expr),+) => {
        #[test]
        fn $server() {
            run("sio/admin.mjs", &[$($argument),+]);
        }
    };
}

admin_suite!(the_reference_tells_its_admin_ui, "--reference");
admin_suite!(the_reference_tells_its_admin_ui_otherwise, "--reference", "--differences");
admin_suite!(tokio_tells_its_admin_ui, "--server", env!("CARGO_BIN_EXE_sio-server-tokio"));
admin_suite!(smol_tells_its_admin_ui, "--server", env!("CARGO_BIN_EXE_sio-server-smol"));

/// The suite of the clients against one of them, given by the arguments of `tests/js/client/running.mjs`. Each client
/// binary has a line here.
macro_rules! client_suite {
    ($client:ident, $($argument:expr),+) => {
        #[test]
        fn $client() {
            run("sio/client.mjs", &[$($argument),+]);
        }
    };
}

client_suite!(the_official_client_keeps_the_contract, "--reference");
client_suite!(the_official_client_differs_as_named, "--reference", "--differences");
client_suite!(client_tokio_keeps_the_contract, "--client", env!("CARGO_BIN_EXE_client-tokio"));
client_suite!(client_smol_keeps_the_contract, "--client", env!("CARGO_BIN_EXE_client-smol"));
client_suite!(
    client_async_std_keeps_the_contract,
    "--client",
    env!("CARGO_BIN_EXE_client-async-std")
);

#[test]
fn tokio_serves_python() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let server = format!("'{}'", env!("CARGO_BIN_EXE_sio-server-tokio"));
    succeed(&mut process::python(&["sio-server", &server]));
}

#[test]
fn the_reference_serves_python() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/sio/reference-server.mjs");
    let server = format!("node '{}'", script.display());
    succeed(&mut process::python(&["sio-server", &server]));
}

#[test]
fn python_serves_client_tokio() {
    python_serves(&format!("'{}'", env!("CARGO_BIN_EXE_client-tokio")));
}

#[test]
fn python_serves_the_official_client() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/sio/reference-client.mjs");
    python_serves(&format!("node '{}'", script.display()));
}

/// Drives a client with the server of python-socketio.
fn python_serves(client: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    succeed(&mut process::python(&["sio-client", client]));
}

fn run(suite: &str, arguments: &[&str]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    process::suite(suite, arguments, &[]);
}

/// One at a time: some scenarios are about a second in which a client must connect.
static TURN: Mutex<()> = Mutex::new(());
