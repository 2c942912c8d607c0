//! Counts of a Socket.IO server.

use std::{sync::mpsc, time::Duration};

use enginewire_driver::{
    Limits,
    socketio::{AckError, Data, EmitError, Event, Io, Overflow, Routes, Socket, Stats},
};

use crate::{
    Host,
    client::{soon, until},
    serve,
    sockets::{connect, serve_io, sockets},
};

on_every_runtime!(
    stats_count_what_is_there,
    stats_count_acknowledgements_that_do_not_come,
    stats_count_what_finds_no_room,
    stats_count_rejections,
);

fn stats_count_what_is_there<R: Host>() {
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let _ = io.namespaces("/project/{id}").unwrap();
    let server = serve_io::<R>(&io);
    let [mut one, two] = [(); 2].map(|()| connect(&server, "/"));
    sockets.recv().unwrap().join(["a", "b"]);
    sockets.recv().unwrap().join("b");
    for project in 1..=2 {
        one.send(&format!("40/project/{project},"));
        assert!(one.text().starts_with("40/project/"));
    }
    let counts = |stats: Stats| (stats.namespaces, stats.sockets, stats.rooms);
    assert_eq!(counts(io.stats()), (3, 4, 2));
    assert_eq!(counts(io.namespace("/").stats()), (1, 2, 2));
    assert_eq!(counts(io.namespace("/project/1").stats()), (1, 1, 0));
    drop((one, two));
    until("the end of all sockets", || io.stats().sockets == 0);
    // The one that was asked for by its name stays.
    let left = Stats::default();
    until("the end of the rest", || counts(io.stats()) == (2, left.sockets, left.rooms));
}

fn stats_count_acknowledgements_that_do_not_come<R: Host>() {
    let io = Io::builder().ack_timeout(Duration::from_millis(10)).build();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    let socket = sockets.recv().unwrap();
    let asked = soon("the deadline", socket.emit_with_ack::<(), _>("ask", &()));
    assert!(matches!(asked, Err(AckError::Timeout)), "{asked:?}");
    let all = soon("the deadline", io.emit_with_ack::<(), _>("ask", &()).all()).unwrap();
    assert_eq!(all.failed.len(), 1);
    assert_eq!((client.text(), client.text()), (r#"420["ask"]"#.into(), r#"421["ask"]"#.into()));
    assert_eq!(io.stats().ack_timeouts, 2);

    // What the application does with the acknowledgements of its events.
    let (sender, events) = mpsc::channel();
    let namespace = io.namespace("/acks");
    R::default().spawn(async move {
        let session = move |mut socket: Socket| {
            let sender = sender.clone();
            async move {
                while let Some(event) = socket.recv().await {
                    sender.send(event).unwrap();
                }
            }
        };
        namespace.serve(session).await;
    });
    let mut client = connect(&server, "/acks");
    let mut next = |text: &str| -> Event {
        client.send(text);
        events.recv().unwrap()
    };
    drop(next(r#"42/acks,1["dropped"]"#).ack());
    drop(next(r#"42/acks,["not asked for"]"#).ack());
    soon("an ack", next(r#"42/acks,2["sent"]"#).ack().send(&())).unwrap();
    assert_eq!((io.stats().acks_dropped, io.namespace("/").stats().acks_dropped), (1, 0));
}

fn stats_count_what_finds_no_room<R: Host>() {
    let limited = |io: &Io| {
        serve::<R>(|builder| {
            let mut limits = Limits::default();
            limits.max_queued = 100_000;
            builder.socketio(io).path("/engine.io/").limits(limits)
        })
    };
    let large = "x".repeat(90_000);

    let io = Io::new();
    let (sockets_of_io, server) = (sockets::<R>(&io), limited(&io));
    let slow = connect(&server, "/");
    sockets_of_io.recv().unwrap();
    until("a disconnection", || {
        assert_eq!(io.stats().overflows, 0);
        soon("a broadcast", io.emit("n", &large)).unwrap().disconnected == 1
    });
    assert_eq!((io.stats().overflows, io.stats().skipped), (1, 0));
    drop(slow);

    let io = Io::builder().overflow(Overflow::Skip).build();
    let (sockets_of_io, server) = (sockets::<R>(&io), limited(&io));
    let slow = connect(&server, "/");
    let socket = sockets_of_io.recv().unwrap();
    let (mut skipped, mut dropped, mut queued) = (0, 0, 0);
    until("everything that may not find room", || {
        skipped += soon("a broadcast", io.emit("n", &large)).unwrap().skipped as u64;
        let cursor = soon("a broadcast", io.broadcast().volatile().emit("cursor", &1)).unwrap();
        dropped += cursor.skipped as u64;
        let cursors = [
            socket.volatile().try_emit("cursor", &1),
            soon("a volatile event", socket.volatile().emit("cursor", &1)),
        ];
        dropped +=
            cursors.iter().filter(|sent| matches!(sent, Err(EmitError::NotIdle))).count() as u64;
        queued = queued.max(io.stats().queued);
        skipped > 0 && dropped > 3 && queued >= large.len()
    });
    let stats = io.stats();
    assert_eq!((stats.skipped, stats.volatile_dropped, stats.overflows), (skipped, dropped, 0));
    drop(slow);
}

fn stats_count_rejections<R: Host>() {
    let io = Io::new();
    let routes = Routes::new().on("number", async |Data(_): Data<u32>| {});
    R::default().spawn(io.mount("/", routes));
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    client.send(r#"42["number","none"]"#);
    client.send(r#"42["number",1]"#);
    until("a rejection", || io.stats().rejections == 1);
    assert_eq!(io.namespace("/").rejections(), 1);
}
