//! Clients of ours that stay for long, with the heap counted.

use std::time::Duration;

use enginewire_driver::{
    Reconnect,
    socketio::{ClientBuilder, ClientSocket, Io, Update},
};
use enginewire_tests::client::{soon, until};

use crate::{Abused, Host};

on_every_runtime!(
    client_that_stays_holds_no_more_than_at_first,
    client_that_is_lost_over_and_over_holds_no_more_than_at_first,
);

/// What a queue or a table may have grown by meanwhile, and none of what was exchanged.
const GROWTH: usize = 8 * 1024;

fn join<R: Host>(abused: &Abused) -> ClientSocket {
    let url = format!("http://{}", abused.server.local_addr());
    let quick = Reconnect::default().with_delay(Duration::from_millis(1)).with_jitter(0.0);
    let builder = ClientBuilder::on(R::default(), &url).path("/engine.io/");
    let quick = quick.with_max_delay(Duration::from_millis(10));
    soon("a connection", builder.reconnect(quick).connect()).unwrap()
}

/// An acknowledgement each way, and an event each way.
fn exchange(socket: &mut ClientSocket, n: u64) {
    assert_eq!(soon("an answer", socket.emit_with_ack::<u64, _>("say", &n)).unwrap(), n);
    soon("an event", socket.emit("back", &n)).unwrap();
    assert_eq!(soon("its echo", socket.recv()).unwrap().data::<u64>().unwrap(), n);
}

fn client_that_stays_holds_no_more_than_at_first<R: Host>() {
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let mut socket = join::<R>(&abused);
    for n in 0..1000 {
        exchange(&mut socket, n);
    }
    let before = abused.heap.live();
    for n in 0..5000 {
        exchange(&mut socket, n);
    }
    until("the heap of before", || abused.heap.live() <= before + GROWTH);
    abused.still_serves();
    drop(socket);
    abused.end(1);
}

fn client_that_is_lost_over_and_over_holds_no_more_than_at_first<R: Host>() {
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let handle = abused.server.handle();
    let witness = handle.senders()[0].id();
    let mut socket = join::<R>(&abused);
    let mut before = None;
    for n in 0..200 {
        exchange(&mut socket, n);
        for session in handle.senders().iter().filter(|session| session.id() != witness) {
            session.abort();
        }
        let is_back = |update| matches!(update, Some(Update::Connected { .. }));
        while !is_back(soon("the connection", socket.next())) {}
        if n == 50 {
            before = Some(abused.heap.live());
        }
    }
    exchange(&mut socket, 0);
    let before = before.unwrap();
    until("the heap of before", || abused.heap.live() <= before + 4 * GROWTH);
    abused.still_serves();
    drop(socket);
    abused.end(1);
}
