//! Senders that are no nodes.

use std::{net::TcpListener, thread, time::Duration};

use bytes::Bytes;
use enginewire::Reconnect;
use enginewire_cluster::redis::{Emitter, Redis, RedisFault};
use enginewire_driver::socketio::DisconnectReason;
use enginewire_tests::{
    client::{soon, until},
    host::Host,
    test_sockets::{names, recv, spawn},
};

use crate::{
    nodes::{KINDS, Kind, Nodes},
    proxy::Proxy,
    server::RedisServer,
    several::RedisCluster,
};

on_every_runtime!(
    emitter_reaches_the_sockets_of_all_nodes_that_it_selects,
    emitter_fails_while_redis_is_away_and_goes_on_afterwards,
    emitters_of_many_tasks_share_a_connection_that_ends_with_them,
    idle_emitter_waits_before_it_reconnects_to_a_redis_cluster,
);

fn emitter<R: Host>(url: &str, kind: Kind) -> Emitter {
    let reconnect = Reconnect::default().with_delay(Duration::from_millis(20));
    let builder = kind.apply(Redis::<R>::builder(url)).reconnect(reconnect);
    soon("a connection", builder.emitter()).unwrap()
}

fn emitter_reaches_the_sockets_of_all_nodes_that_it_selects<R: Host>() {
    let server = RedisServer::start();
    for kind in KINDS {
        println!("{kind:?}");
        let mut nodes = Nodes::<R>::new(&server, kind, 2);
        let emitter = emitter::<R>(&server.url(), kind);
        let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
        soon("all", emitter.emit("all", &1)).unwrap();
        soon("join", emitter.to(bert.id()).join(["x", "y"])).unwrap();
        let rooms = |nodes: &Nodes<R>| {
            nodes.ios[1].namespace("/").socket(bert.id()).map_or(0, |socket| socket.rooms().len())
        };
        until("rooms", || rooms(&nodes) == 2);
        nodes.until_heard("/", "x");
        soon("leave", emitter.to("x").leave("y")).unwrap();
        until("a room less", || rooms(&nodes) == 1);
        soon("some", emitter.to(["x", "z"]).emit("x", &1)).unwrap();
        soon("others", emitter.except("x").emit("others", &1)).unwrap();
        assert_eq!(names(&mut anna, 2), ["all", "others"]);
        assert_eq!(names(&mut bert, 2), ["all", "x"]);
        soon("one", emitter.to("x").emit("room", &1)).unwrap();
        assert_eq!(recv(&mut bert).0, "room");
        let data = Bytes::from_static(b"\x00\xff");
        soon("binary", emitter.emit("file", &("name", &data))).unwrap();
        for socket in [&mut anna, &mut bert] {
            let event = soon("an event", socket.recv()).unwrap();
            assert_eq!(event.data::<(&str, &[u8])>().unwrap(), ("name", &data[..]));
        }

        let mut events: Vec<_> =
            nodes.ios.iter().map(|io| io.namespace("/admin").server_events()).collect();
        nodes.until_known("/admin", 2);
        let mut carl = nodes.connect_to(1, "/admin");
        soon("event", emitter.of("/admin").server_side_emit("event", &7)).unwrap();
        for events in &mut events {
            let event = soon("an event", events.recv()).unwrap();
            assert_eq!((event.name(), event.data::<u8>().unwrap()), ("event", 7));
        }
        soon("admins", emitter.of("/admin").emit("admin", &1)).unwrap();
        assert_eq!(recv(&mut carl).0, "admin");
        soon("disconnect", emitter.of("/admin").disconnect(false)).unwrap();
        assert!(soon("the end", carl.recv()).is_none());
        assert_eq!(carl.reason(), Some(DisconnectReason::ServerLeft));

        // It is no node.
        let fetched = soon("sockets", nodes.ios[0].broadcast().fetch_sockets());
        assert_eq!((fetched.sockets.len(), nodes.ios[0].stats().nodes), (2, 1));
    }
    let refused = soon("an error", emitter::<R>(&server.url(), Kind::Classic).emit("connect", &1));
    assert!(matches!(refused.unwrap_err().fault(), RedisFault::Message(_)), "a reserved name");
}

fn emitter_fails_while_redis_is_away_and_goes_on_afterwards<R: Host>() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address());
    let nodes = Nodes::<R>::new(&server, Kind::Classic, 1);
    let mut anna = nodes.connect(0);
    let emitter = emitter::<R>(&proxy.url(), Kind::Classic);
    soon("all", emitter.emit("before", &1)).unwrap();
    // The response to it is lost, and that is told.
    proxy.silence();
    let sent = proxy.sent();
    let waiting = emitter.clone();
    let unknown = spawn::<R, _>(async move { waiting.emit("unknown", &1).await });
    until("the message", || proxy.sent() > sent);
    proxy.cut();
    let error = unknown("an error").unwrap_err();
    assert!(matches!(error.fault(), RedisFault::Lost(_)) && error.in_flight() == 1, "{error}");
    let error = soon("an error", emitter.emit("meanwhile", &1)).unwrap_err();
    assert!(matches!(error.fault(), RedisFault::Disconnected), "{error}");
    proxy.heal();
    until("a connection", || soon("all", emitter.emit("after", &1)).is_ok());
    let heard = [recv(&mut anna).0, recv(&mut anna).0, recv(&mut anna).0];
    assert_eq!(heard, ["before", "unknown", "after"], "Redis had it");
}

fn emitters_of_many_tasks_share_a_connection_that_ends_with_them<R: Host>() {
    const TASKS: u32 = 500;
    let server = RedisServer::start();
    let nodes = Nodes::<R>::new(&server, Kind::Classic, 1);
    let mut anna = nodes.connect(0);
    let mut raw = server.client();
    let mut clients = || {
        let list = raw.command(&[b"CLIENT", b"LIST"]).concat();
        list.matches("name=enginewire ").count()
    };
    let emitter = emitter::<R>(&server.url(), Kind::Classic);
    assert_eq!(clients(), 2);
    for n in 0..TASKS {
        let emitter = emitter.clone();
        R::default().spawn(async move { emitter.emit("n", &n).await.unwrap() });
    }
    let mut heard: Vec<_> = (0..TASKS).map(|_| recv(&mut anna).1).collect();
    heard.sort_unstable();
    assert!(heard.into_iter().eq(0..TASKS));
    drop(emitter);
    until("the end of the connection", || clients() == 1);
}

fn idle_emitter_waits_before_it_reconnects_to_a_redis_cluster<R: Host>() {
    let mut cluster = RedisCluster::start();
    let address = cluster.servers[0].address();
    let emitter = emitter::<R>(&cluster.urls(1)[0], Kind::Classic);
    cluster.servers[0].kill();
    // Stands for a server that lets nobody in.
    let killed = TcpListener::bind(address).unwrap();
    killed.set_nonblocking(true).unwrap();
    let mut attempts = 0;
    for _ in 0..50 {
        attempts += std::iter::from_fn(|| killed.accept().ok()).count();
        thread::sleep(Duration::from_millis(10));
    }
    // One before the loss is told, and one for each time that servers are tried.
    assert!(attempts <= 5, "{attempts}");
    until("another master", || soon("all", emitter.emit("n", &1)).is_ok());
}
