//! The examples of the core, driven by the official client on each transport.

use enginewire_tests::example::{Running, script, succeed};

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
    let (_server, port) = Running::start("enginewire", name, &[]);
    // The harness wants to know of a server, and need not start it.
    succeed(script("echoes.mjs").args(["--server", "true"]).env("PORT", port));
}
