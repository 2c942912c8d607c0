//! Streams that are trimmed while a node is away.

use enginewire_cluster::redis::{Format, StreamsConfig};
use enginewire_driver::socketio::RecoveryConfig;
use enginewire_tests::{
    client::{soon, until},
    host::Host,
    test_sockets::recv,
};

use crate::{
    faults::hasty,
    nodes::{Kind, Nodes},
    proxy::Proxy,
    server::RedisServer,
};

on_every_runtime!(entries_that_were_trimmed_while_a_node_was_away_are_counted_and_told);

fn entries_that_were_trimmed_while_a_node_was_away_are_counted_and_told<R: Host>() {
    const COUNT: u32 = 500;
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address());
    let urls = [server.url(), proxy.url()];
    let short = |bus| {
        let mut streams = StreamsConfig::default();
        streams.stream = Kind::Streams.prefix();
        // Redis keeps whole nodes of a hundred.
        streams.max_len = 100;
        hasty::<R>(bus).format(Format::Streams(streams))
    };
    let recovery = RecoveryConfig::default();
    let nodes = Nodes::<R>::with(&server, Kind::Streams, &urls, short, move |io| {
        io.recovery(recovery.clone())
    });
    let mut bert = nodes.connect(1);
    soon("all", nodes.ios[0].emit("n", &0)).unwrap();
    assert_eq!(recv(&mut bert).1, 0);
    nodes.emit_while_cut_off(&proxy, COUNT);
    let first = recv(&mut bert).1;
    for n in first + 1..=COUNT {
        assert_eq!(recv(&mut bert).1, n);
    }
    let missed = u64::from(first - 1);
    assert!(missed > 0, "the stream is longer than it was to be");
    assert_eq!(nodes.monitors[1].stats().trimmed, missed);
    assert_eq!(nodes.ios[1].stats().cluster_dropped, missed);
    assert_eq!((nodes.monitors[0].stats().trimmed, nodes.ios[0].stats().cluster_dropped), (0, 0));

    // A loss without a gap is none.
    proxy.cut();
    until("down", || !nodes.monitors[1].stats().is_up);
    soon("local", nodes.ios[0].emit("n", &COUNT)).unwrap();
    proxy.heal();
    assert_eq!(recv(&mut bert).1, COUNT);
    assert_eq!(nodes.monitors[1].stats().trimmed, missed);
}
