//! The examples of the core, driven by the official client on each transport, or against the official
//! server.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use enginewire_tests::process::{Running, example, script, succeed};

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
    let mut server = Running::start(&mut example("enginewire", name));
    let port = server.line().expect("a port");
    // The harness wants to know of a server, and need not start it.
    succeed(script("echoes.mjs").args(["--server", "true"]).env("PORT", port));
}

#[test]
fn a_client_on_blocking_sockets_has_its_messages_echoed() {
    let mut server = Running::start(script("reference-server.mjs").env("PORT", "0"));
    let port = server.line().expect("a port");
    let url = format!("http://127.0.0.1:{port}");
    let mut client = Running::start(example("enginewire", "blocking_client").arg(url));
    assert_eq!(client.line().as_deref(), Some("connected over polling"));
    client.write("before");
    // They may come in either order.
    let mut lines = [client.line(), client.line()].map(Option::unwrap_or_default);
    lines.sort();
    assert_eq!(lines, ["before", "upgraded"]);
    client.write("after");
    assert_eq!(client.line().as_deref(), Some("after"));
    assert!(client.end().success());
}
