//! Nodes on a Redis Cluster of three masters: what each operation needs, and slots that move.

use std::{
    future::poll_fn,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    thread,
    time::Duration,
};

use enginewire_cluster::redis::{Redis, SubscriptionMode};
use enginewire_driver::socketio::Bus as _;
use enginewire_socketio::{
    adapter::Target,
    cluster::{Message, Operation},
};
use enginewire_tests::{
    client::{soon, until},
    host::Host,
    test_sockets::recv,
};

use crate::{
    faults::hasty,
    nodes::{Kind, Nodes},
    server::RedisServer,
    several::RedisCluster,
};

on_every_runtime!(
    nodes_on_three_masters_are_one_cluster,
    slots_that_move_take_channels_and_streams_along,
    subscriptions_that_end_while_the_bus_is_down_stay_on_no_master,
    number_that_one_master_refuses_is_no_number,
    message_for_a_server_that_is_not_connected_wakes_the_task_of_the_bus,
);

/// With streams whose requests go by channels of all servers.
const KINDS: [Kind; 3] = [Kind::Classic, Kind::Sharded(SubscriptionMode::Dynamic), Kind::Streams];

/// Rooms that have slots on all masters.
const ROOMS: u32 = 12;

impl<R: Host> Nodes<R> {
    pub(crate) fn on(cluster: &RedisCluster, kind: Kind, count: usize) -> Self {
        let clients = cluster.servers.iter().map(RedisServer::client).collect();
        Self::with_clients(clients, kind, &cluster.urls(count), hasty, |io| io)
    }
}

fn nodes_on_three_masters_are_one_cluster<R: Host>() {
    let mut cluster = RedisCluster::start();
    for kind in KINDS {
        println!("{kind:?}");
        let mut nodes = Nodes::<R>::on(&cluster, kind, 3);
        let mut sockets = [0, 1, 2].map(|node| nodes.connect(node));
        let base = nodes.subscriptions();
        for room in 0..ROOMS {
            for (node, socket) in sockets.iter().enumerate().skip(1) {
                nodes.join(node, socket, &format!("room {room}"));
            }
            nodes.until_heard_by(2, "/", &format!("room {room}"));
        }
        for (from, io) in nodes.ios.iter().enumerate() {
            for room in 0..ROOMS {
                let sent =
                    soon("a room", io.to(format!("room {room}")).emit("room", &room)).unwrap();
                assert!(sent.remote.is_ok(), "{kind:?}");
            }
            soon("all", io.emit("all", &0)).unwrap();
            for socket in &mut sockets[1..] {
                // Channels of rooms may overtake each other, and that of all.
                let mut heard: Vec<_> = (0..=ROOMS).map(|_| recv(socket)).collect();
                heard.sort_unstable();
                assert_eq!(heard.remove(0).0, "all");
                assert!(
                    heard.iter().map(|(_, number)| *number).eq(0..ROOMS),
                    "{kind:?} from {from}"
                );
            }
            assert_eq!(recv(&mut sockets[0]).0, "all");
            let fetched = soon("sockets", io.broadcast().fetch_sockets());
            assert_eq!((fetched.sockets.len(), fetched.missing.is_none()), (3, true), "{kind:?}");
        }
        // One connection with each master at most, and another that reads the stream.
        let most = if kind == Kind::Streams { 12 } else { 9 };
        until("connections of these nodes alone", || {
            let clients = (0..3).map(|server| {
                let list = cluster.command(server, &["CLIENT", "LIST"]).concat();
                list.matches("name=enginewire ").count()
            });
            clients.sum::<usize>() <= most
        });
        for room in 0..ROOMS {
            for (io, socket) in nodes.ios.iter().zip(&sockets) {
                io.namespace("/").socket(socket.id()).unwrap().leave(format!("room {room}"));
            }
        }
        until("rooms without a channel", || nodes.subscriptions() == base);
        for monitor in &nodes.monitors {
            let stats = monitor.stats();
            assert_eq!((stats.lost, stats.refused, stats.dropped, stats.is_up), (0, 0, 0, true));
        }
    }
    let emitter = soon("an emitter", Redis::<R>::emitter(&cluster.urls(2)[1])).unwrap();
    soon("a message", emitter.to("nobody").emit("n", &0)).unwrap();
}

/// Numbers of broadcasts to a room and to all, while the slots of their channels and of the stream move.
fn slots_that_move_take_channels_and_streams_along<R: Host>() {
    let mut cluster = RedisCluster::start();
    for kind in [Kind::Sharded(SubscriptionMode::Dynamic), Kind::Streams] {
        let mut nodes = Nodes::<R>::on(&cluster, kind, 2);
        let mut anna = nodes.connect(1);
        nodes.join(1, &anna, "room");
        let prefix = kind.prefix();
        let keys = match kind {
            Kind::Streams => vec![prefix],
            _ => vec![format!("{prefix}#/#"), format!("{prefix}#/#room#")],
        };
        let (io, stop) = (nodes.ios[0].clone(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let load = thread::spawn(move || {
            let mut number = 0_u32;
            while !stopped.load(SeqCst) {
                for sent in [io.to("room").emit("room", &number), io.emit("all", &number)] {
                    assert!(soon("a broadcast", sent).unwrap().remote.is_ok(), "the bus stays up");
                }
                number += 1;
                // So that a client of a loaded machine comes along.
                thread::sleep(Duration::from_micros(300));
            }
            number
        });
        for key in &keys {
            let owner = cluster.owner(key);
            cluster.move_slot(key, owner, (owner + 1) % 3);
            cluster.move_slot(key, (owner + 1) % 3, (owner + 2) % 3);
            cluster.move_slot(key, (owner + 2) % 3, owner);
        }
        stop.store(true, SeqCst);
        let sent = load.join().unwrap();
        // Both arrive again at once, and behind all others.
        nodes.until_known("/", 2);
        nodes.until_heard("/", "room");
        for sent in [nodes.ios[0].to("room").emit("room", &sent), nodes.ios[0].emit("all", &sent)] {
            assert!(soon("an end", sent).unwrap().remote.is_ok());
        }
        let mut heard = [Vec::new(), Vec::new()];
        while heard.iter().any(|numbers| numbers.last() != Some(&sent)) {
            let (name, number) = recv(&mut anna);
            heard[usize::from(name == "all")].push(number);
        }
        for numbers in &heard {
            assert!(numbers.is_sorted_by(|a, b| a < b), "in order, and none twice: {numbers:?}");
        }
        println!(
            "{kind:?}: {sent} sent each, {} and {} heard",
            heard[0].len() - 1,
            heard[1].len() - 1
        );
        if kind == Kind::Streams {
            assert!(heard.iter().all(|numbers| numbers.iter().copied().eq(0..=sent)), "none lost");
        }
        for monitor in &nodes.monitors {
            let stats = monitor.stats();
            assert_eq!((stats.lost, stats.refused, stats.trimmed, stats.is_up), (0, 0, 0, true));
        }
    }
}

fn subscriptions_that_end_while_the_bus_is_down_stay_on_no_master<R: Host>() {
    let mut cluster = RedisCluster::start();
    let kind = Kind::Sharded(SubscriptionMode::Dynamic);
    let killed = cluster.owner(&kind.requests("/"));
    let mut nodes = Nodes::<R>::on(&cluster, kind, 1);
    let anna = nodes.connect(0);
    for room in 0..ROOMS {
        nodes.join(0, &anna, &format!("room {room}"));
    }
    cluster.servers[killed].kill();
    until("down", || !nodes.monitors[0].stats().is_up);
    // It cannot come up, because nobody has the slot of the namespace.
    for room in 0..ROOMS {
        nodes.ios[0].namespace("/").socket(anna.id()).unwrap().leave(format!("room {room}"));
    }
    nodes.forget(killed);
    until("masters without rooms", || {
        (0..ROOMS).all(|room| nodes.heard_by("/", &format!("room {room}")) == 0)
    });
}

fn number_that_one_master_refuses_is_no_number<R: Host>() {
    let mut cluster = RedisCluster::start();
    let nodes = Nodes::<R>::on(&cluster, Kind::Classic, 2);
    until("a count", || nodes.ios[0].stats().nodes == 1);
    assert_eq!(cluster.command(1, &["ACL", "SETUSER", "default", "-pubsub"]), ["OK"]);
    let before = nodes.monitors[0].stats().refused;
    let io = nodes.ios[0].clone();
    let request = thread::spawn(move || soon("sockets", io.broadcast().fetch_sockets()));
    until("a refusal", || nodes.monitors[0].stats().refused > before);
    cluster.command(1, &["ACL", "SETUSER", "default", "+pubsub"]);
    // The number that the next count brings is that of all.
    assert!(request.join().unwrap().missing.is_none());
    assert_eq!(nodes.ios[0].stats().nodes, 1);
}

fn message_for_a_server_that_is_not_connected_wakes_the_task_of_the_bus<R: Host>() {
    let mut cluster = RedisCluster::start();
    let kind = Kind::Sharded(SubscriptionMode::Dynamic);
    let owner = cluster.owner(&kind.requests("/"));
    let url = &cluster.urls(3)[(owner + 1) % 3];
    let mut bus = soon("a connection", kind.apply(Redis::<R>::builder(url)).connect()).unwrap();
    let monitor = bus.monitor();
    bus.handle_namespace(&"/".into(), true);
    let mut is_sent = false;
    let carried_out = poll_fn(|cx| {
        if mem::replace(&mut is_sent, true) {
            let _ = bus.poll_event(cx);
            let stats = monitor.stats();
            let is_done = stats.connections > 1 && stats.in_flight == 0;
            return if is_done { Poll::Ready(()) } else { Poll::Pending };
        }
        // From here on the bus is polled only when it has asked for that.
        assert!(bus.poll_ready(cx).is_ready());
        let operation = Operation::Leave { target: Target::all(), rooms: vec!["r".into()] };
        bus.send(Message { to: None, namespace: "/".into(), operation });
        bus.poll_flush(cx);
        Poll::Pending
    });
    soon("a message", carried_out);
}
