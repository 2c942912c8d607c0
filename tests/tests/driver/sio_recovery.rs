//! Connection state recovery: clients that come back, with raw clients.

use enginewire_driver::socketio::{DisconnectReason, Io, RecoveryConfig};

use crate::{
    Host,
    client::{Client, soon, until},
    sockets::{connect, serve_io, sockets},
};

on_every_runtime!(
    client_that_comes_back_gets_what_it_missed,
    client_that_comes_back_before_its_loss_is_noticed_takes_its_place,
    client_that_takes_its_place_does_so_in_each_namespace,
    data_of_sockets_that_never_come_back_may_do_anything_when_dropped,
);

/// The private id and the offset in what a client has received.
fn recovery_of(connected: &str, event: &str) -> String {
    let pid = connected.split('"').nth(7).unwrap();
    let offset = event.rsplit('"').nth(1).unwrap();
    format!(r#"40{{"pid":"{pid}","offset":"{offset}"}}"#)
}

fn client_that_comes_back_gets_what_it_missed<R: Host>() {
    let io = Io::builder().recovery(RecoveryConfig::default()).build();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut client = Client::open_websocket(server.local_addr());
    client.send("40");
    let connected = client.text();
    let socket = sockets.recv().unwrap();
    let id = socket.id().clone();
    socket.join("room");
    soon("an event", socket.emit("first", &())).unwrap();
    let first = client.text();
    drop(client);
    soon("the end", socket.closed());
    until("no members", || io.namespace("/").is_empty());
    for (room, n) in [("room", 1), ("other", 2), (id.as_str(), 3)] {
        soon("a broadcast", io.to(room).emit("missed", &n)).unwrap();
    }
    let mut client = Client::open_websocket(server.local_addr());
    client.send(&recovery_of(&connected, &first));
    let missed = [client.text(), client.text()];
    assert!(missed[0].starts_with(r#"42["missed",1,"#), "{missed:?}");
    assert!(missed[1].starts_with(r#"42["missed",3,"#), "{missed:?}");
    assert_eq!(client.text(), connected, "the same ids");
    let socket = sockets.recv().unwrap();
    assert!(socket.recovered());
    assert_eq!((socket.id(), socket.rooms()), (&id, vec!["room".to_owned()]));
    soon("a broadcast", io.to("room").emit("next", &())).unwrap();
    assert!(client.text().starts_with(r#"42["next","#));
    // Once: another that says the same is a new client.
    client.send("41");
    soon("the end", socket.closed());
    until("no members", || io.namespace("/").is_empty());
    let mut other = Client::open_websocket(server.local_addr());
    other.send(&recovery_of(&connected, &first));
    assert_ne!(other.text(), connected);
}

fn client_that_comes_back_before_its_loss_is_noticed_takes_its_place<R: Host>() {
    let io = Io::builder().recovery(RecoveryConfig::default()).build();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut client = Client::open_websocket(server.local_addr());
    client.send("40");
    let connected = client.text();
    let old = sockets.recv().unwrap();
    soon("an event", old.emit("first", &())).unwrap();
    let first = client.text();
    let mut again = Client::open_websocket(server.local_addr());
    again.send(&recovery_of(&connected, &first));
    assert_eq!(again.text(), connected);
    let new = sockets.recv().unwrap();
    assert_eq!(soon("the end", old.closed()), DisconnectReason::Replaced);
    assert!(new.is_connected());
    assert_eq!(io.namespace("/").len(), 1);
    soon("a broadcast", io.emit("next", &())).unwrap();
    assert!(again.text().starts_with(r#"42["next","#));
}

fn client_that_takes_its_place_does_so_in_each_namespace<R: Host>() {
    let io = Io::builder().recovery(RecoveryConfig::default()).build();
    let server = serve_io::<R>(&io);
    let namespaces = [io.namespace("/a"), io.namespace("/b")];
    let mut client = Client::open_websocket(server.local_addr());
    let before = namespaces.each_ref().map(|namespace| {
        client.send(&format!("40{},", namespace.name()));
        let connected = client.text();
        soon("a broadcast", namespace.emit("first", &())).unwrap();
        (connected, client.text())
    });
    let mut again = Client::open_websocket(server.local_addr());
    for (namespace, (connected, first)) in namespaces.iter().zip(&before) {
        let payload = recovery_of(connected, first).split_off(2);
        again.send(&format!("40{},{payload}", namespace.name()));
        assert_eq!(again.text(), *connected, "the same ids");
        // The first took the whole old session with it.
        until("no member of the old session", || {
            namespaces[1].len() == usize::from(namespace.name() == "/b")
        });
    }
}

/// Says so to everybody when it is dropped.
struct Farewell(Io);

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = soon("a broadcast", self.0.emit("farewell", &()));
    }
}

fn data_of_sockets_that_never_come_back_may_do_anything_when_dropped<R: Host>() {
    let mut recovery = RecoveryConfig::default();
    recovery.max_sessions = 1;
    let io = Io::builder().recovery(recovery).build();
    let others = io.clone();
    let members = io.namespace("/").authorize(move |_| {
        let io = others.clone();
        async { Ok(Farewell(io)) }
    });
    R::default().spawn(async move {
        members
            .serve(|socket| async move {
                socket.closed().await;
            })
            .await;
    });
    let server = serve_io::<R>(&io);
    let mut witness = connect(&server, "/");
    for _ in 0..2 {
        drop(connect(&server, "/"));
        until("one member", || io.namespace("/").len() == 1);
    }
    assert!(witness.text().starts_with(r#"42["farewell","#));
}
