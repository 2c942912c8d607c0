//! A server without a file descriptor for another connection: those that it has go on, the others
//! wait and are served as soon as there is one.
//!
//! The server is a process of its own, with a limit of its own.

use std::time::{Duration, Instant};

use crate::{
    Host,
    client::{Client, until},
    program::Program,
};

on_every_runtime!(a_server_out_of_descriptors_serves_those_it_has_and_then_the_others);

/// Open files that the server may have.
const LIMIT: usize = 64;

fn a_server_out_of_descriptors_serves_those_it_has_and_then_the_others<R: Host>() {
    // A heartbeat that is slower than the test, and one thread.
    let server = Program::serve(R::SERVER, LIMIT, &[("WORKERS", 0)]);
    let idle = server.descriptors();
    let free = LIMIT - idle;
    let mut websocket = Client::open_websocket(server.address);
    let mut polling = Client::connect(server.address);
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={}", polling.open_polling());
    let mut accepted = Vec::new();
    for _ in 0..free - 2 {
        accepted.push(Client::open_websocket(server.address));
    }
    assert_eq!(server.descriptors(), LIMIT);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        // The system completes the connection, the server cannot take it.
        let mut client = Client::connect(server.address);
        client.write(Client::upgrade(""));
        waiting.push(client);
    }

    let (started, spent) = (Instant::now(), server.processor_time());
    for client in &mut waiting {
        let early = client.answer_within(WATCHED / 4);
        assert!(early.is_none(), "{early:?} without a descriptor");
    }
    let (watched, spent) = (started.elapsed(), server.processor_time() - spent);
    assert!(spent < watched / 5, "{spent:?} of {watched:?} were spent on waiting");
    for i in 0..100 {
        let text = format!("4{i}");
        websocket.send(&text);
        assert_eq!(websocket.text(), text);
        polling.request("POST", &target, &text);
        assert_eq!(polling.answer().status, 200);
        assert_eq!(polling.get(&target).body, text);
    }
    assert_eq!(server.descriptors(), LIMIT);

    accepted.truncate(accepted.len() - waiting.len());
    for client in &mut waiting {
        assert_eq!(client.answer().status, 101);
        assert!(client.text().starts_with("0{"));
    }
    accepted.clear();
    waiting.clear();
    let mut fresh = Client::open_websocket(server.address);
    for client in [&mut fresh, &mut websocket] {
        client.send("4still here");
        assert_eq!(client.text(), "4still here");
    }
    // A session over polling would be waited for.
    polling.request("POST", &target, "1");
    assert_eq!(polling.answer().status, 200);
    drop((fresh, websocket, polling));
    until("all descriptors to be free again", || server.descriptors() == idle);
    assert!(server.terminate().success());
}

/// How long the server is watched while it can do nothing.
const WATCHED: Duration = Duration::from_millis(600);
