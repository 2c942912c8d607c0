//! Clients that come back on any node, over the streams of one server.

use std::{
    net::Ipv4Addr,
    sync::mpsc,
    time::{Duration, Instant},
};

use enginewire_cluster::redis::Redis;
use enginewire_driver::{
    Server, ServerBuilder,
    socketio::{Io, RecoveryConfig, SocketRef},
};
use enginewire_tests::{
    client::{soon, until},
    host::Host,
    process::{Running, script},
    sio_recovering::{Lost, Peer},
};

use crate::server::{RawClient, RedisServer};

on_every_runtime!(
    client_comes_back_on_another_node_with_what_it_missed,
    node_that_comes_later_reads_what_its_clients_missed,
    server_that_is_killed_costs_no_event_of_a_node,
    events_that_redis_refuses_to_log_are_delivered_here_without_delay,
    events_are_delivered_and_recovered_when_ids_of_entries_go_back,
    clients_change_between_nodes_of_ours_and_of_nodejs,
);

struct Node {
    io: Io,
    server: Server,
    sockets: mpsc::Receiver<SocketRef>,
}

impl Node {
    fn start<R: Host>(server: &RedisServer) -> Self {
        let redis = soon("a connection", Redis::<R>::builder(&server.url()).streams().connect());
        let builder = Io::builder().cluster(redis.unwrap());
        let io = builder.recovery(RecoveryConfig::default()).build();
        let (sender, sockets) = mpsc::channel();
        let namespace = io.namespace("/");
        R::default().spawn(async move {
            let serve = namespace.serve(move |mut socket| {
                let _ = sender.send((*socket).clone());
                async move { while socket.recv().await.is_some() {} }
            });
            serve.await;
        });
        let builder = ServerBuilder::on(R::default()).socketio(&io).path("/engine.io/");
        let server = soon("a listener", builder.bind("127.0.0.1:0")).unwrap();
        Self { io, server, sockets }
    }

    fn connect(&self) -> (Peer, SocketRef) {
        let mut peer = Peer::connect(self.server.local_addr());
        let socket = self.sockets.recv().unwrap();
        soon("an event", socket.emit("first", &0)).unwrap();
        assert_eq!(peer.event(), ("first".into(), 0));
        (peer, socket)
    }

    fn emit(&self, n: u32) {
        soon("a broadcast", self.io.emit("missed", &n)).unwrap();
    }

    /// Ends the connection of a client, and waits until the bus has its state.
    fn lose(&self, raw: &mut RawClient, peer: Peer) -> Lost {
        let Peer { client, lost } = peer;
        drop(client);
        until("the state", || is_kept(raw, &lost));
        lost
    }
}

fn is_kept(raw: &mut RawClient, lost: &Lost) -> bool {
    raw.command(&[b"EXISTS", format!("sio:session:{}", lost.pid).as_bytes()]) == ["1"]
}

fn numbers(missed: &[(String, u32)]) -> Vec<u32> {
    missed.iter().filter(|(name, _)| name == "missed").map(|(_, n)| *n).collect()
}

fn client_comes_back_on_another_node_with_what_it_missed<R: Host>() {
    let server = RedisServer::start();
    let mut raw = server.client();
    let nodes = [(); 2].map(|()| Node::start::<R>(&server));
    let (peer, socket) = nodes[0].connect();
    socket.join("room");
    let mut lost = nodes[0].lose(&mut raw, peer);
    let key = format!("sio:session:{}", lost.pid);
    let expires = raw.command(&[b"PTTL", key.as_bytes()])[0].parse::<u32>().unwrap();
    assert!((1..=120_000).contains(&expires), "{expires} ms");
    for node in [1, 0, 1, 1] {
        (1..=4).for_each(|n| nodes[n as usize % 2].emit(n));
        let other = nodes[0].io.broadcast().except("room");
        soon("a broadcast", other.emit("missed", &5)).unwrap();
        let back = lost.come_back(nodes[node].server.local_addr());
        assert!(back.is_recovered);
        assert_eq!(numbers(&back.missed), [1, 2, 3, 4]);
        assert!(!is_kept(&mut raw, &lost));
        let socket = nodes[node].sockets.recv().unwrap();
        assert_eq!((socket.recovered(), socket.rooms()), (true, vec!["room".to_owned()]));
        let mut peer = back.peer;
        soon("a broadcast", nodes[1 - node].io.to("room").emit("next", &6)).unwrap();
        assert_eq!(peer.event(), ("next".into(), 6));
        lost = nodes[node].lose(&mut raw, peer);
    }
    // One with another offset is a new client, and costs nothing.
    let refused = Lost { offset: Some("1-1".into()), ..lost.clone() };
    assert!(!refused.come_back(nodes[0].server.local_addr()).is_recovered);
    assert!(lost.come_back(nodes[1].server.local_addr()).is_recovered);
}

fn node_that_comes_later_reads_what_its_clients_missed<R: Host>() {
    /// More than are read at a time.
    const COUNT: u32 = 250;

    let server = RedisServer::start();
    let mut raw = server.client();
    let first = Node::start::<R>(&server);
    let lost = [(); 2].map(|()| first.connect().0).map(|peer| first.lose(&mut raw, peer));
    (0..COUNT).for_each(|n| first.emit(n));
    let second = Node::start::<R>(&server);
    second.emit(COUNT);
    for lost in lost {
        let back = lost.come_back(second.server.local_addr());
        assert!(back.is_recovered);
        assert!(numbers(&back.missed).into_iter().eq(0..=COUNT));
    }
}

fn server_that_is_killed_costs_no_event_of_a_node<R: Host>() {
    let mut server = RedisServer::start();
    let node = Node::start::<R>(&server);
    let (mut peer, _) = node.connect();
    node.emit(1);
    server.kill();
    (2..=20).for_each(|n| node.emit(n));
    server.restart();
    let is_up = || soon("a broadcast", node.io.emit("probe", &0)).unwrap().remote.is_ok();
    until("the bus", is_up);
    node.emit(21);
    let mut seen = Vec::new();
    while seen.last() != Some(&21) {
        let (name, n) = peer.event();
        if name == "missed" {
            seen.push(n);
        }
    }
    assert!(seen.into_iter().eq(1..=21));
}

/// As a server without memory does, or one whose user may not write.
fn events_that_redis_refuses_to_log_are_delivered_here_without_delay<R: Host>() {
    /// Each would wait for 5 s.
    const COUNT: u32 = 12;

    let server = RedisServer::start();
    let node = Node::start::<R>(&server);
    let (mut peer, _) = node.connect();
    let mut raw = server.client();
    assert_eq!(raw.command(&[b"ACL", b"SETUSER", b"default", b"-xadd"]), ["OK"]);
    let started = Instant::now();
    for n in 1..=COUNT {
        let delivered = soon("a broadcast", node.io.emit("missed", &n)).unwrap();
        assert!(delivered.remote.is_err(), "{delivered:?}");
        assert_eq!(peer.event(), ("missed".into(), n));
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(raw.command(&[b"ACL", b"SETUSER", b"default", b"+xadd"]), ["OK"]);
    assert_eq!(soon("a broadcast", node.io.emit("missed", &0)).unwrap().remote, Ok(0));
    assert_eq!(peer.event(), ("missed".into(), 0));
}

/// As behind a failover to a server whose clock is behind.
fn events_are_delivered_and_recovered_when_ids_of_entries_go_back<R: Host>() {
    let mut server = RedisServer::start();
    let nodes = [(); 2].map(|()| Node::start::<R>(&server));
    let (mut peer, _) = nodes[0].connect();
    let next = |peer: &mut Peer| loop {
        match peer.event() {
            (name, n) if name == "missed" => break n,
            _ => {}
        }
    };
    let broadcast = r#"{"packet":{"data":["missed",1]},"opts":{"rooms":[],"except":[]}}"#;
    let fields = ["uid", "f00dfeed00000000", "nsp", "/", "type", "3", "data", broadcast];
    let entry = ["XADD", "socket.io", "9999999999999-0"].into_iter().chain(fields);
    server.client().command(&entry.map(str::as_bytes).collect::<Vec<_>>());
    assert_eq!(next(&mut peer), 1);
    server.kill();
    server.restart();
    for node in &nodes {
        // Not logged on the node alone, which would keep its sockets then.
        let probe = || soon("a broadcast", node.io.broadcast().volatile().emit("probe", &0));
        until("the bus", || probe().unwrap().remote.is_ok());
    }
    nodes[1].emit(2);
    assert_eq!(next(&mut peer), 2);
    let lost = nodes[0].lose(&mut server.client(), peer);
    nodes[0].emit(3);
    let back = lost.come_back(nodes[1].server.local_addr());
    assert!(back.is_recovered);
    assert_eq!(numbers(&back.missed), [3]);
}

fn clients_change_between_nodes_of_ours_and_of_nodejs<R: Host>() {
    let server = RedisServer::start();
    let mut raw = server.client();
    let ours = Node::start::<R>(&server);
    let port = server.address().port().to_string();
    let mut theirs = Running::start(script("cluster-recovering.mjs").arg(port));
    let port = theirs.line().unwrap().parse::<u16>().unwrap();
    let addresses = [(Ipv4Addr::LOCALHOST, port).into(), ours.server.local_addr()];
    // From Node.js to ours, back, and there again.
    let mut peer = Peer::connect(addresses[0]);
    assert_eq!(peer.event(), ("first".into(), 0));
    let mut expected = 0;
    for to in [1, 0, 1, 0] {
        let Peer { client, lost } = peer;
        drop(client);
        until("the state", || is_kept(&mut raw, &lost));
        for room in ["room", "*", "other"] {
            expected += 1;
            theirs.write(&format!("{room} {expected}"));
            until("the entry", || is_logged(&mut raw, expected));
            expected += 1;
            match room {
                "*" => ours.emit(expected),
                room => {
                    soon("a broadcast", ours.io.to(room).emit("missed", &expected)).unwrap();
                }
            }
        }
        let back = lost.come_back(addresses[to]);
        assert!(back.is_recovered, "on {to}");
        let first = expected - 5;
        assert!(numbers(&back.missed).into_iter().eq(first..first + 4), "{:?}", back.missed);
        if to == 1 {
            let socket = ours.sockets.recv().unwrap();
            assert_eq!((socket.recovered(), socket.rooms()), (true, vec!["room".to_owned()]));
        }
        peer = back.peer;
        // It is there again, for both.
        for node in [0, 1] {
            expected += 1;
            match node {
                0 => theirs.write(&format!("room {expected}")),
                _ => ours.emit(expected),
            }
            assert_eq!(peer.event(), ("missed".into(), expected));
        }
    }
}

/// Whether the last entry of the stream is the event with this number.
fn is_logged(raw: &mut RawClient, number: u32) -> bool {
    let last = raw.command(&[b"XREVRANGE", b"socket.io", b"+", b"-", b"COUNT", b"1"]);
    last.iter().any(|field| field.contains(&format!(r#"["missed",{number}]"#)))
}
