//! Bounds: what is held for a server that does not respond, and for messages that are too large.

use std::time::Duration;

use enginewire_driver::socketio::TellError;
use enginewire_tests::{
    client::{soon, until},
    host::Host,
    test_sockets::recv,
};

use crate::{
    nodes::{KINDS, Kind, LONG, Nodes},
    proxy::Proxy,
    server::RedisServer,
};

on_every_runtime!(
    commands_in_flight_are_bounded_and_the_rest_waits_in_the_queue_of_the_server,
    message_beyond_the_limit_is_dropped_and_counted,
);

fn commands_in_flight_are_bounded_and_the_rest_waits_in_the_queue_of_the_server<R: Host>() {
    /// Bytes of a message, more than those of all its names.
    const SIZE: usize = 10_000;
    const COMMANDS: usize = 8;
    const QUEUE: usize = 200_000;

    for (max, most) in [((COMMANDS, usize::MAX), COMMANDS), ((usize::MAX, 3 * SIZE), 3)] {
        let server = RedisServer::start();
        let proxy = Proxy::start(server.address());
        let urls = [proxy.url(), server.url()];
        let nodes = Nodes::<R>::with(
            &server,
            Kind::Classic,
            &urls,
            |bus| {
                let bus = bus.max_in_flight(max.0).max_in_flight_bytes(max.1);
                bus.response_timeout(LONG).keep_alive(LONG)
            },
            |io| io.max_cluster_queue(QUEUE),
        );
        let mut bert = nodes.connect(1);
        proxy.silence();
        let payload = "x".repeat(SIZE);
        // The bus takes as many as it may, and the queue of the server the rest.
        let mut sent = 0;
        let mut is_full = false;
        while !is_full {
            let delivered = soon("local", nodes.ios[0].emit("n", &(sent, &payload))).unwrap();
            match delivered.remote {
                Ok(_) => sent += 1,
                Err(TellError::Full { max, .. }) => {
                    assert_eq!(max, QUEUE);
                    is_full = nodes.monitors[0].stats().in_flight >= most;
                }
                Err(error) => panic!("{error}"),
            }
            let stats = nodes.monitors[0].stats();
            assert!(stats.in_flight <= COMMANDS.max(most), "{stats:?}");
            assert!(stats.in_flight_bytes <= (most + 1) * (SIZE + 500), "{stats:?}");
            assert!(proxy.sent() < (COMMANDS + 4) * (SIZE + 500));
        }
        assert!(
            sent >= most + QUEUE / (SIZE + 500) - 1 && sent <= most + QUEUE / SIZE + 1,
            "{sent}"
        );
        proxy.heal();
        for n in 0..sent {
            let event = soon("an event", bert.recv()).unwrap();
            assert_eq!(event.data::<(usize, &str)>().unwrap(), (n, &*payload));
        }
        until("responses", || nodes.monitors[0].stats().in_flight == 0);
        assert_eq!(nodes.monitors[0].stats().lost, 0);
    }
}

fn message_beyond_the_limit_is_dropped_and_counted<R: Host>() {
    let server = RedisServer::start();
    for kind in KINDS {
        println!("{kind:?}");
        let urls = [server.url(), server.url()];
        let nodes = Nodes::<R>::with(
            &server,
            kind,
            &urls,
            |bus| bus.max_message(64 << 10),
            |io| io.ack_timeout(Duration::from_secs(5)),
        );
        let mut bert = nodes.connect(1);
        let large = "x".repeat(1 << 20);
        let io = &nodes.ios[0];
        soon("before", io.emit("n", &1)).unwrap();
        soon("large", io.emit("large", &large)).unwrap();
        soon("behind", io.emit("n", &2)).unwrap();
        assert_eq!((recv(&mut bert).1, recv(&mut bert).1), (1, 2));
        assert_eq!(nodes.monitors[1].stats().dropped, 1);
        assert!(nodes.monitors[1].stats().is_up);
    }
}
