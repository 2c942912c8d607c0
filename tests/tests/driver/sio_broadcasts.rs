//! Broadcasts to more sockets than are reached at a time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use enginewire_driver::{
    Server,
    socketio::{Io, Publish},
};
use enginewire_tests::profile::allow_open_files;

use crate::{
    Host,
    client::{Client, soon},
    sockets::{connect, serve_io},
};

on_every_runtime!(large_broadcasts_let_other_tasks_run_and_reach_everybody_in_order);

/// More than twice as many as are reached at a time.
const COUNT: usize = 2100;

fn large_broadcasts_let_other_tasks_run_and_reach_everybody_in_order<R: Host>() {
    // One runtime after the other: both ends of each connection are open files of this process.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    allow_open_files(2 * COUNT as u64 + 14_000);

    let io = Io::new();
    let _ = io.namespace("/");
    let server = serve_io::<R>(&io);
    let mut clients: Vec<_> = (0..COUNT).map(|_| connect(&server, "/")).collect();

    // Polled as its task would be, it gives others a turn after each part.
    let waker = Waker::noop();
    let mut a = Box::pin(io.emit("a", &1));
    assert!(a.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    let b = io.emit("b", &2);
    assert_eq!(soon("both", a).unwrap().sockets, COUNT);
    assert_eq!(soon("both", b).unwrap().sockets, COUNT);

    // One that does not wait delivers those before it too, whose tasks are told.
    let mut c = Box::pin(io.emit("c", &3));
    let panics = Waker::from(Arc::new(Panics));
    assert!(c.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
    io.broadcast().try_emit("d", &4).unwrap();
    let told = c.as_mut().poll(&mut Context::from_waker(waker));
    assert!(matches!(told, Poll::Ready(Ok(delivered)) if delivered.sockets == COUNT), "{told:?}");

    // Dropped before and after it is polled, and never looked at again.
    drop(io.emit("e", &5));
    let mut f: Box<Publish> = Box::new(io.emit("f", &6));
    assert!(std::pin::Pin::new(&mut f).poll(&mut Context::from_waker(waker)).is_pending());
    drop(f);
    std::mem::forget(io.emit("g", &7));
    let asked = io.broadcast().timeout(Duration::ZERO).emit_with_ack::<(), _>("h", &8).all();
    assert_eq!(soon("acknowledgements", asked).unwrap().failed.len(), COUNT);

    let events = ["a", "b", "c", "d", "e", "f", "g"];
    for client in &mut clients {
        for (n, event) in (1..).zip(events) {
            assert_eq!(client.text(), format!("42[\"{event}\",{n}]"));
        }
        assert_eq!(client.text(), r#"420["h",8]"#);
    }
    close(server, clients);
}

fn close(server: Server, clients: Vec<Client>) {
    drop(clients);
    soon("the end", server.close());
}

/// A task that cannot be woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}
