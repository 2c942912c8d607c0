//! Many clients at the same time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use enginewire_tests::profile::allow_open_files;

use crate::{Host, client::Client, serve_echo, soon, until_empty};

on_every_runtime!(five_thousand_connections_at_once_are_served);

fn five_thousand_connections_at_once_are_served<R: Host>() {
    // One runtime after the other: both ends of each connection are open files of this process.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    allow_open_files(2 * CONNECTIONS as u64 + 1000);

    // No ping takes the place of an answer.
    let never = Duration::from_secs(3600);
    let server = serve_echo::<R>(|builder| builder.backlog(CONNECTIONS).ping_interval(never));
    let polling = "/engine.io/?EIO=4&transport=polling";
    // Nobody waits for anybody: all connect, then all have their answers.
    let mut websockets = Vec::new();
    let mut pollings = Vec::new();
    for _ in 0..CONNECTIONS / 2 {
        let mut client = Client::connect(server.local_addr());
        client.write(Client::upgrade(""));
        websockets.push(client);
        let mut client = Client::connect(server.local_addr());
        client.request("GET", polling, "");
        pollings.push((client, String::new()));
    }
    for client in &mut websockets {
        assert_eq!(client.answer().status, 101);
        assert!(client.text().starts_with("0{"));
    }
    for (client, target) in &mut pollings {
        *target = format!("{polling}&sid={}", client.opened());
    }
    assert_eq!((server.sessions(), server.connections()), (CONNECTIONS, CONNECTIONS));

    for round in 0..3 {
        for (i, client) in websockets.iter_mut().enumerate() {
            client.send(&format!("4{round} {i}"));
        }
        for (i, (client, target)) in pollings.iter_mut().enumerate() {
            client.request("POST", target, &format!("4{round} {i}"));
        }
        for (i, client) in websockets.iter_mut().enumerate() {
            assert_eq!(client.text(), format!("4{round} {i}"));
        }
        for (client, target) in &mut pollings {
            assert_eq!(client.answer().body, "ok");
            client.request("GET", target, "");
        }
        for (i, (client, _)) in pollings.iter_mut().enumerate() {
            assert_eq!(client.answer().body, format!("4{round} {i}"));
        }
    }
    for (client, target) in &mut pollings {
        // A session over polling would be waited for.
        client.request("POST", target, "1");
    }
    for (client, _) in &mut pollings {
        assert_eq!(client.answer().status, 200);
    }
    drop((websockets, pollings));
    until_empty(&server);
    soon("the server to close", server.close());
}

const CONNECTIONS: usize = 5000;
