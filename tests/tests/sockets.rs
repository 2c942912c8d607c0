//! The official clients of Socket.IO 4, 3 and 2 on our servers.
//!
//! `cargo test -p enginewire-tests --features interop --test sockets`, once `npm ci` has been run in `tests/js`.

use enginewire_tests::process::{script, succeed};

#[test]
fn official_clients_work_with_the_server_on_tokio() {
    serves_the_official_clients(env!("CARGO_BIN_EXE_sio-server-tokio"));
}

#[test]
fn official_clients_work_with_the_server_on_smol() {
    serves_the_official_clients(env!("CARGO_BIN_EXE_sio-server-smol"));
}

#[test]
fn official_clients_work_with_the_server_on_async_std() {
    serves_the_official_clients(env!("CARGO_BIN_EXE_sio-server-async-std"));
}

fn serves_the_official_clients(server: &str) {
    let server = format!("'{server}'");
    // What a client does in time is judged elsewhere: on a loaded machine it may take its own.
    let environment = [("WORKERS", "2"), ("PING_TIMEOUT", "10000")];
    succeed(script("sockets.mjs").args(["--server", &server]).envs(environment));
}
