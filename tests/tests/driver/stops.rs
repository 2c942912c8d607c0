//! A clock that jumps: a process that was stopped for longer than its heartbeat allows for, as when a
//! laptop is closed or a virtual machine is paused. Who has said something in the meantime must not be
//! taken for silent.

use std::{net::SocketAddr, thread, time::Duration};

use rustix::process::Signal;

use crate::{
    Host,
    client::{Client, until},
    program::Program,
};

on_every_runtime!(
    requests_that_came_during_a_stop_of_the_server_are_answered,
    sessions_whose_peers_have_answered_outlive_a_stop_of_the_server,
);

const POLLING: &str = "/engine.io/?EIO=4&transport=polling";

/// How long an answer may take, in milliseconds: long enough for all to be asked and one to be stopped.
const PATIENCE: u64 = 6000;

/// Longer than anything is waited for.
const STOP: Duration = Duration::from_millis(PATIENCE + 300);

/// Sessions of each kind.
const CROWD: usize = 20;

/// The event loop that stands in for any.
#[test]
fn sessions_outlive_a_stop_of_a_hub() {
    outlive(env!("CARGO_BIN_EXE_server-hub"), 0);
}

fn sessions_whose_peers_have_answered_outlive_a_stop_of_the_server<R: Host>() {
    on_one_thread_and_on_two(|workers| {
        let server = outlive(R::SERVER, workers);
        assert!(server.terminate().success());
    });
}

fn on_one_thread_and_on_two(test: impl Fn(u64) + Sync) {
    thread::scope(|threads| {
        for workers in [0, 2] {
            let test = &test;
            threads.spawn(move || test(workers));
        }
    });
}

/// Gives the server, in which nothing is left.
fn outlive(server: &str, workers: u64) -> Program {
    let heartbeat = [("PING_INTERVAL", 800), ("PING_TIMEOUT", PATIENCE), ("WORKERS", workers)];
    let server = Program::serve(server, 1024, &heartbeat);
    let address = server.address;
    let idle = server.descriptors();
    let mut websockets: Vec<_> = (0..CROWD).map(|_| Client::open_websocket(address)).collect();
    let mut pollings: Vec<_> = (0..CROWD).map(|_| Polling::open(address)).collect();
    let mut gone = (Client::open_websocket(address), Polling::open(address));

    // All are asked whether they are there.
    for client in websockets.iter_mut().chain([&mut gone.0]) {
        assert_eq!(client.next_frame(), (1, b"2".to_vec()));
    }
    for client in pollings.iter_mut().chain([&mut gone.1]) {
        assert_eq!(client.get.answer().body, "2");
        client.ask();
    }
    server.signal(Signal::STOP);
    for client in &mut websockets {
        client.send("3");
        client.send("4alive");
    }
    // On connections of which the server does not know yet.
    let mut posts: Vec<_> = pollings.iter().map(|_| Client::connect(address)).collect();
    for (client, post) in pollings.iter().zip(&mut posts) {
        post.request("POST", &client.target, "3\u{1e}4alive");
    }
    thread::sleep(STOP);
    server.signal(Signal::CONT);

    // A pong that is read so late is followed by the next ping at once.
    for client in &mut websockets {
        while client.text() != "4alive" {}
    }
    for post in &mut posts {
        assert_eq!(post.answer().body, "ok");
    }
    for client in &mut pollings {
        while !client.get.answer().body.contains("4alive") {
            client.ask();
        }
    }
    // Who has said nothing is found out nevertheless.
    assert_eq!(gone.0.next_frame().0, 8);
    assert_eq!(gone.1.get.answer().body, "1");

    for (client, post) in pollings.iter().zip(&mut posts) {
        post.request("POST", &client.target, "1");
        assert_eq!(post.answer().status, 200);
    }
    drop((websockets, pollings, posts, gone));
    until("the end of all connections", || server.descriptors() == idle);
    server
}

fn requests_that_came_during_a_stop_of_the_server_are_answered<R: Host>() {
    on_one_thread_and_on_two(|workers| {
        let numbers = [("HTTP_TIMEOUT", PATIENCE), ("WORKERS", workers)];
        let server = Program::serve(R::SERVER, 1024, &numbers);
        let idle = server.descriptors();
        let mut clients: Vec<_> = (0..CROWD)
            .map(|i| {
                let mut client = Client::connect(server.address);
                let target = format!("{POLLING}&sid={}", client.open_polling());
                let post =
                    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n4abcde");
                // Between two requests, in a head, in a body.
                let at = [0, 20, post.len() - 3][i % 3];
                client.write(&post[..at]);
                (client, target, post, at)
            })
            .collect();
        // All that was written has been read: the server has gone round since.
        let mut last = Client::connect(server.address);
        assert_eq!(last.get("/elsewhere").status, 404);
        server.signal(Signal::STOP);
        for (client, _, post, at) in &mut clients {
            client.write(&post[*at..]);
        }
        thread::sleep(STOP);
        server.signal(Signal::CONT);
        for (client, target, ..) in &mut clients {
            assert_eq!(client.answer().body, "ok");
            assert_eq!(client.get(target).body, "4abcde");
            client.request("POST", target, "1");
            assert_eq!(client.answer().status, 200);
        }
        drop((clients, last));
        until("the end of all connections", || server.descriptors() == idle);
        assert!(server.terminate().success());
    });
}

/// A session over polling, and the connection of its GETs.
struct Polling {
    get: Client,
    target: String,
}

impl Polling {
    /// Opens it, and asks for what it has.
    fn open(address: SocketAddr) -> Self {
        let mut get = Client::connect(address);
        let sid = get.open_polling();
        let target = format!("{POLLING}&sid={sid}");
        let mut polling = Self { get, target };
        polling.ask();
        polling
    }

    fn ask(&mut self) {
        self.get.request("GET", &self.target, "");
    }
}
