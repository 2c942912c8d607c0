//! Sockets that stop reading.

use enginewire_driver::{
    Limits,
    socketio::{Io, Overflow},
};
use enginewire_tests::{
    client::{soon, until},
    profile::allow_open_files,
};

use crate::{Abused, FILES, Host, SOCKET, connect_all, kept};

on_every_runtime!(
    thousand_sockets_that_stop_reading_are_disconnected_by_broadcasts,
    thousand_sockets_that_stop_reading_are_passed_by,
);

const CLIENTS: usize = 1000;

/// Length of the text of a broadcast.
const TEXT: usize = 32 * 1024;

/// More broadcasts than a queue has room for and the kernel takes.
const BROADCASTS: usize = 60;

/// Memory that is held for all of them together: each broadcast once, and its place in each queue.
fn bound() -> usize {
    let places = Limits::default().max_queued / TEXT + 1;
    BROADCASTS * (TEXT + 1000)
        + CLIENTS * (SOCKET + places * Limits::MESSAGE_OVERHEAD)
        + kept(CLIENTS)
}

/// Broadcasts, all of which the witness gets, in order and at once.
fn broadcast(abused: &mut Abused) -> (usize, usize) {
    let text = "x".repeat(TEXT);
    let (mut disconnected, mut skipped) = (0, 0);
    for n in 0..BROADCASTS {
        let delivered = soon("a broadcast", abused.io.emit("n", &(n, &text))).unwrap();
        disconnected += delivered.disconnected;
        skipped += delivered.skipped;
        let received = abused.witness.text();
        assert!(received.starts_with(&format!(r#"42["n",{n},"xxx"#)), "{}", &received[..30]);
        abused.still_serves();
    }
    (disconnected, skipped)
}

fn thousand_sockets_that_stop_reading_are_disconnected_by_broadcasts<R: Host>() {
    allow_open_files(FILES);
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let clients = connect_all(&abused.server, CLIENTS);
    until("all members", || abused.io.namespace("/").len() == CLIENTS + 1);
    let (disconnected, _) = broadcast(&mut abused);
    assert_eq!(disconnected, CLIENTS);
    until("one member", || abused.io.namespace("/").len() == 1);
    abused.heap.assert_peak(bound());
    drop(clients);
    abused.end(CLIENTS);
}

fn thousand_sockets_that_stop_reading_are_passed_by<R: Host>() {
    allow_open_files(FILES);
    let io = Io::builder().overflow(Overflow::Skip).build();
    let mut abused = Abused::start::<R>(io, |builder| builder);
    let mut clients = connect_all(&abused.server, CLIENTS);
    until("all members", || abused.io.namespace("/").len() == CLIENTS + 1);
    let (disconnected, skipped) = broadcast(&mut abused);
    assert!(disconnected == 0 && skipped >= CLIENTS, "{disconnected} {skipped}");
    assert_eq!(abused.io.namespace("/").len(), CLIENTS + 1);
    abused.heap.assert_peak(bound());
    // One that reads again has what it was sent, up to the first that it was passed by for.
    for n in 0..Limits::default().max_queued / (TEXT + 1000) {
        assert!(clients[0].text().starts_with(&format!(r#"42["n",{n},"xxx"#)));
    }
    drop(clients);
    abused.end(CLIENTS);
}
