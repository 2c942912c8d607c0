//! Masters that are killed, and what takes their places. On one runtime: it takes seconds, and is the same on each.

use std::{future::poll_fn, time::Duration};

use enginewire_cluster::redis::{Redis, SubscriptionMode};
use enginewire_driver::socketio::{Bus as _, BusEvent, TellError};
use enginewire_tests::{
    client::{soon, until, until_within},
    host::Host,
    refusing::Refusing,
    test_sockets::{names, recv},
};

use crate::{
    faults::{emit_to_others, hasty},
    nodes::{Kind, Nodes},
    server::{RedisServer, SECOND_PORT},
    several::{RedisCluster, Watched},
};

on_every_runtime!(
    tokio: ::enginewire_tokio::Tokio,
    master_that_is_killed_is_replaced_by_its_replica,
    master_that_is_killed_is_replaced_by_the_one_that_the_sentinel_names,
    master_that_becomes_a_replica_keeps_no_subscriptions,
    server_that_was_taken_out_of_the_redis_cluster_is_left
);

fn master_that_is_killed_is_replaced_by_its_replica<R: Host>() {
    let kinds = [Kind::Sharded(SubscriptionMode::Dynamic), Kind::Classic];
    let channel = kinds[0].requests("/");
    let mut cluster = RedisCluster::with_replica_of(Some(&channel));
    let owner = cluster.owner(&channel);
    // A classic node is at the one that is killed, and another is not.
    let mut nodes = kinds.map(|kind| Nodes::<R>::on(&cluster, kind, 3));
    let mut annas = nodes.each_mut().map(|nodes| {
        let anna = nodes.connect((owner + 1) % 3);
        nodes.join((owner + 1) % 3, &anna, "room");
        anna
    });
    cluster.servers[owner].kill();
    let monitors = || nodes.iter().flat_map(|nodes| &nodes.monitors);
    until("a loss in each", || {
        nodes.iter().all(|nodes| nodes.monitors.iter().any(|monitor| !monitor.stats().is_up))
    });
    // The bus knows it a moment before the node does.
    until("the news", || {
        let told = soon("local", nodes[0].ios[owner].emit("local", &0)).unwrap();
        told.remote == Err(TellError::Disconnected)
    });
    until("all up", || monitors().all(|monitor| monitor.stats().is_up));
    for (nodes, anna) in nodes.iter_mut().zip(&mut annas) {
        nodes.forget(owner);
        nodes.until_known("/", 3);
        nodes.until_heard("/", "room");
        emit_to_others(&nodes.ios[owner], "all");
        soon("a room", nodes.ios[owner].to("room").emit("room", &1)).unwrap();
        soon("a room", nodes.ios[owner].to("room").emit("room", &2)).unwrap();
        soon("all", nodes.ios[owner].emit("end", &1)).unwrap();
        // Each once, in whichever order the channels of the room and of all come.
        let mut heard = names(anna, 4);
        heard.sort_unstable();
        assert_eq!(heard, ["all", "end", "room", "room"], "{:?}", nodes.kind);
        let fetched = soon("sockets", nodes.ios[owner].broadcast().fetch_sockets());
        assert_eq!((fetched.sockets.len(), fetched.missing.is_none()), (1, true));
    }
}

fn master_that_is_killed_is_replaced_by_the_one_that_the_sentinel_names<R: Host>() {
    let mut servers = Watched::start();
    // The first of the sentinels does not respond.
    let absent = Refusing::new();
    let url = format!("redis://{},{}", absent.address, servers.sentinel.address());
    let sentinel = |url: &str| hasty(Redis::<R>::builder(url)).sentinel(Watched::NAME);
    let mut bus = soon("a connection", sentinel(&url).connect()).unwrap();
    bus.handle_namespace(&"/".into(), true);
    let clients = vec![servers.master.client()];
    let nodes = Nodes::<R>::with_clients(
        clients,
        Kind::Streams,
        &[url.clone(), url],
        |bus| hasty(bus).sentinel(Watched::NAME),
        |io| io,
    );
    let mut anna = nodes.connect(1);
    soon("all", nodes.ios[0].emit("before", &1)).unwrap();
    assert_eq!(recv(&mut anna).0, "before");
    assert_eq!(servers.named(), servers.master.address());

    servers.kill_master();
    // The number of the nodes is told before.
    let error = loop {
        match soon("the loss", poll_fn(|cx| bus.poll_event(cx))) {
            BusEvent::Down(error) => break error,
            event => assert!(matches!(event, BusEvent::Nodes(_)), "{event:?}"),
        }
    };
    assert!(error.to_string().contains(&servers.master.address().to_string()), "{error}");
    until("both down", || nodes.monitors.iter().all(|monitor| !monitor.stats().is_up));
    until("both up", || nodes.monitors.iter().all(|monitor| monitor.stats().is_up));
    assert_eq!(servers.named(), servers.replica.address());
    emit_to_others(&nodes.ios[0], "behind");
    assert_eq!(recv(&mut anna).0, "behind");
    let event = soon("another master", poll_fn(|cx| bus.poll_event(cx)));
    assert!(matches!(event, BusEvent::Up), "{event:?}");
}

fn master_that_becomes_a_replica_keeps_no_subscriptions<R: Host>() {
    // Redis ends those of shards itself, and tells so.
    let kind = Kind::Classic;
    let channel = kind.requests("/");
    let mut cluster = RedisCluster::with_replica_of(Some(&channel));
    // Each node is at another master.
    let owner = cluster.owner(&channel);
    let mut nodes = Nodes::<R>::on(&cluster, kind, 3);
    let _anna = nodes.connect((owner + 1) % 3);
    assert_eq!(cluster.command(3, &["CLUSTER", "FAILOVER"]), ["OK"]);
    until("a failover", || cluster.command(3, &["ROLE"])[0] == "master");
    // It is found out when the owners of slots are asked for the next time, which is each ten seconds, or the time after
    // that if the server that is asked has not heard of it.
    until_within(Duration::from_secs(60), "no subscriptions at the replica", || {
        cluster.clients[owner].subscribers(&channel) == 0
    });
    nodes.until_known("/", 3);
    until("all up", || nodes.monitors.iter().all(|monitor| monitor.stats().is_up));
    emit_to_others(&nodes.ios[owner], "up");
    let fetched = soon("sockets", nodes.ios[owner].broadcast().fetch_sockets());
    assert_eq!((fetched.sockets.len(), fetched.missing.is_none()), (1, true));
}

fn server_that_was_taken_out_of_the_redis_cluster_is_left<R: Host>() {
    let mut cluster = RedisCluster::start();
    let out = RedisServer::with(&["--cluster-enabled", "yes", "--cluster-port", SECOND_PORT]);
    let urls =
        [format!("{},{}", out.url(), cluster.servers[0].address()), cluster.servers[1].url()];
    let clients = cluster.servers.iter().map(RedisServer::client).collect();
    let mut nodes = Nodes::<R>::with_clients(clients, Kind::Classic, &urls, hasty, |io| io);
    let mut anna = nodes.connect(1);
    emit_to_others(&nodes.ios[0], "passed by");
    assert_eq!(recv(&mut anna).0, "passed by");
    // It is found out when the owners of slots are asked for the next time.
    assert_eq!(cluster.command(0, &["CLUSTER", "RESET", "SOFT"]), ["OK"]);
    nodes.forget(0);
    nodes.until_known("/", 2);
    until("both up", || nodes.monitors.iter().all(|monitor| monitor.stats().is_up));
    emit_to_others(&nodes.ios[0], "left");
    assert_eq!(recv(&mut anna).0, "left");
}
