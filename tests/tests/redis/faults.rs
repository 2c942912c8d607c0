//! Faults: Redis is killed, connections are dropped, the network is silent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use enginewire::Reconnect;
use enginewire_cluster::redis::{RedisBuilder, SubscriptionMode};
use enginewire_driver::socketio::{Io, TellError};
use enginewire_tests::{
    client::{soon, until},
    host::Host,
    test_sockets::recv,
};

use crate::{
    nodes::{Kind, Nodes},
    proxy::Proxy,
    server::RedisServer,
};

on_every_runtime!(
    redis_that_is_killed_and_started_again_under_load_costs_what_was_meanwhile,
    node_that_is_cut_off_hears_again_of_all_its_rooms_and_namespaces,
    silent_network_is_noticed_and_told,
    streams_lose_nothing_while_a_node_is_cut_off,
    node_that_redis_ends_as_too_slow_comes_back,
);

const KINDS: [Kind; 3] = [Kind::Classic, Kind::Sharded(SubscriptionMode::Dynamic), Kind::Streams];

pub(crate) fn hasty<R: Host>(builder: RedisBuilder<R>) -> RedisBuilder<R> {
    let reconnect = Reconnect::default().with_delay(Duration::from_millis(20));
    builder.reconnect(reconnect.with_max_delay(Duration::from_millis(100)))
}

/// Broadcasts numbers until it is stopped. Returns whether other nodes were told of each.
fn load(io: &Io, stop: &Arc<AtomicBool>) -> thread::JoinHandle<Vec<Result<usize, TellError>>> {
    let (io, stop) = (io.clone(), Arc::clone(stop));
    thread::spawn(move || {
        let mut told = Vec::new();
        while !stop.load(SeqCst) {
            let number = u32::try_from(told.len()).unwrap();
            told.push(soon("local", io.emit("n", &number)).unwrap().remote);
            // So that a client of a loaded machine comes along.
            thread::sleep(Duration::from_micros(300));
        }
        told
    })
}

/// Waits until a node knows that its bus is down. The bus knows it a moment before.
fn until_alone(io: &Io) {
    let fetch = || soon("sockets", io.broadcast().fetch_sockets());
    until("a node alone", || fetch().remote == Err(TellError::Disconnected));
}

/// Broadcasts an event until other nodes are told of it, which they are once.
pub(crate) fn emit_to_others(io: &Io, name: &str) {
    until("a bus", || soon("an event", io.emit(name, &0)).unwrap().remote.is_ok());
}

fn redis_that_is_killed_and_started_again_under_load_costs_what_was_meanwhile<R: Host>() {
    for kind in KINDS {
        let mut server = RedisServer::start();
        let urls = [server.url(), server.url()];
        let mut nodes = Nodes::<R>::with(&server, kind, &urls, hasty, |io| io);
        let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
        nodes.join(1, &bert, "room");
        let stop = Arc::new(AtomicBool::new(false));
        let load = load(&nodes.ios[0], &stop);
        let mut heard = vec![recv(&mut bert).1];
        server.kill();
        until("both down", || nodes.monitors.iter().all(|monitor| !monitor.stats().is_up));
        // Local sockets have everything meanwhile.
        let mut own = 0;
        for _ in 0..50 {
            assert_eq!(recv(&mut anna).1, own);
            own += 1;
        }
        until_alone(&nodes.ios[0]);
        let fetched = soon("sockets", nodes.ios[0].broadcast().fetch_sockets());
        assert_eq!(fetched.sockets.len(), 1);
        server.restart();
        until("both up", || nodes.monitors.iter().all(|monitor| monitor.stats().is_up));
        stop.store(true, SeqCst);
        let told = load.join().unwrap();
        emit_to_others(&nodes.ios[0], "end");
        loop {
            let (name, number) = recv(&mut bert);
            if name == "end" {
                break;
            }
            heard.push(number);
        }
        assert!(heard.is_sorted_by(|a, b| a < b), "in order, and none twice");
        for number in own..u32::try_from(told.len()).unwrap() {
            assert_eq!(recv(&mut anna).1, number, "no local event is lost");
        }
        let refused = told.iter().filter(|told| told.is_err()).count();
        let lost = told.len() - refused - heard.len();
        let stats = nodes.monitors[0].stats();
        println!(
            "{kind:?}: {} sent, {} heard, {refused} not told, {lost} lost, {} of them without a response",
            told.len(),
            heard.len(),
            stats.lost
        );
        assert!(refused > 0 && stats.connections >= 2);
        // The room has its subscription again, and requests reach all.
        soon("room", nodes.ios[0].to("room").emit("room", &0)).unwrap();
        assert_eq!(recv(&mut bert).0, "room");
        let fetched = soon("sockets", nodes.ios[0].broadcast().fetch_sockets());
        assert_eq!((fetched.sockets.len(), fetched.missing.is_none()), (2, true));
    }
}

fn node_that_is_cut_off_hears_again_of_all_its_rooms_and_namespaces<R: Host>() {
    for kind in KINDS {
        let server = RedisServer::start();
        let proxy = Proxy::start(server.address());
        let urls = [server.url(), proxy.url()];
        let mut nodes = Nodes::<R>::with(&server, kind, &urls, hasty, |io| io);
        let _projects: Vec<_> =
            nodes.ios.iter().map(|io| io.namespaces("/project/{id}").unwrap()).collect();
        let mut bert = nodes.connect(1);
        proxy.cut();
        until("down", || !nodes.monitors[1].stats().is_up);
        until_alone(&nodes.ios[1]);
        // What comes to be meanwhile is subscribed to as well.
        let bert_there = nodes.ios[1].namespace("/").socket(bert.id()).unwrap();
        bert_there.join("room");
        let mut carl = nodes.connect_to(1, "/project/1");
        let sent = soon("local", nodes.ios[1].emit("local", &1)).unwrap();
        assert_eq!((sent.sockets, sent.remote), (1, Err(TellError::Disconnected)));
        assert_eq!(recv(&mut bert).0, "local");
        proxy.heal();
        nodes.until_known("/", 2);
        nodes.until_known("/project/1", 1);
        nodes.until_heard("/", "room");
        soon("room", nodes.ios[0].to("room").emit("room", &1)).unwrap();
        let project = nodes.ios[0].namespace("/project/1");
        soon("project", project.emit("project", &1)).unwrap();
        assert_eq!((recv(&mut bert).0, recv(&mut carl).0), ("room".into(), "project".into()));
    }
}

fn silent_network_is_noticed_and_told<R: Host>() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address());
    let urls = [proxy.url(), server.url()];
    let nodes = Nodes::<R>::with(
        &server,
        Kind::Classic,
        &urls,
        |bus| {
            let bus = hasty(bus).connect_timeout(Duration::from_secs(3));
            bus.keep_alive(Duration::from_millis(100)).response_timeout(Duration::from_secs(2))
        },
        |io| io,
    );
    let mut bert = nodes.connect(1);
    proxy.silence();
    // Nothing is sent: it asks by itself.
    until("down", || !nodes.monitors[0].stats().is_up);
    until_alone(&nodes.ios[0]);
    let told = soon("down", nodes.ios[0].emit("down", &0)).unwrap().remote;
    assert_eq!(told, Err(TellError::Disconnected));
    proxy.heal();
    emit_to_others(&nodes.ios[0], "up");
    assert_eq!(recv(&mut bert).0, "up");
    assert!(nodes.monitors[0].stats().connections >= 2);
}

fn streams_lose_nothing_while_a_node_is_cut_off<R: Host>() {
    const COUNT: u32 = 500;
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address());
    let urls = [server.url(), proxy.url()];
    let nodes = Nodes::<R>::with(&server, Kind::Streams, &urls, hasty, |io| io);
    let mut bert = nodes.connect(1);
    soon("all", nodes.ios[0].emit("n", &0)).unwrap();
    assert_eq!(recv(&mut bert).1, 0);
    nodes.emit_while_cut_off(&proxy, COUNT);
    for n in 1..=COUNT {
        assert_eq!(recv(&mut bert).1, n);
    }
}

fn node_that_redis_ends_as_too_slow_comes_back<R: Host>() {
    const LIMIT: &str = "pubsub 1mb 1mb 0";
    let server = RedisServer::with(&["--client-output-buffer-limit", LIMIT]);
    let proxy = Proxy::start(server.address());
    let urls = [server.url(), proxy.url()];
    let nodes = Nodes::<R>::with(&server, Kind::Classic, &urls, hasty, |io| io);
    let mut bert = nodes.connect(1);
    proxy.silence();
    // More than the buffers of the system hold as well.
    let payload = "x".repeat(100_000);
    let mut raw = server.client();
    let mut clients =
        || raw.command(&[b"CLIENT", b"LIST"]).concat().matches("=enginewire ").count();
    assert_eq!(clients(), 2);
    until("the end of the slow one", || {
        // For nobody, so that no client has to come along.
        soon("local", nodes.ios[0].to("nobody").emit("n", &payload)).unwrap();
        clients() == 1
    });
    proxy.heal();
    until("a node that is back", || clients() == 2 && nodes.monitors[1].stats().connections == 2);
    until("up", || nodes.monitors[1].stats().is_up);
    soon("end", nodes.ios[0].emit("end", &0)).unwrap();
    assert_eq!(recv(&mut bert).0, "end");
}
