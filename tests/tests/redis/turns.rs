//! Turns: what waits for what on one bus, on servers whose responses are those of a test.

use std::{future::poll_fn, thread, time::Duration};

use enginewire::Reconnect;
use enginewire_cluster::redis::{Format, Redis, StreamsConfig};
use enginewire_driver::socketio::{Bus, BusEvent};
use enginewire_tests::{
    client::{soon, until, within},
    host::Host,
};

use crate::{nodes::LONG, scripted::ScriptedServer};

on_every_runtime!(
    bus_is_up_before_subscriptions_that_came_later_are_confirmed,
    stream_is_read_while_the_end_of_another_is_not_known,
);

fn bus_is_up_before_subscriptions_that_came_later_are_confirmed<R: Host>() {
    let server = ScriptedServer::start();
    let reconnect = Reconnect::default().with_delay(Duration::from_millis(5));
    let builder = Redis::<R>::builder(&server.url()).response_timeout(LONG).reconnect(reconnect);
    let script = thread::spawn(move || {
        drop(server.accept());
        let mut connection = server.accept();
        // Nothing is confirmed until there is a later one, and that never is.
        let mut commands = vec![connection.command()];
        while !commands.last().unwrap()[1].contains("/later") {
            commands.push(connection.command());
        }
        commands.pop();
        for command in commands {
            connection.respond(&command);
        }
        connection
    });
    let mut bus = soon("a connection", builder.connect()).unwrap();
    let monitor = bus.monitor();
    bus.handle_namespace(&"/".into(), true);
    let event = soon("a loss", poll_fn(|cx| bus.poll_event(cx)));
    assert!(matches!(event, BusEvent::Down(_)), "{event:?}");
    until("subscriptions", || {
        let event = within(Duration::ZERO, poll_fn(|cx| bus.poll_event(cx)));
        assert!(event.is_none(), "{event:?}");
        monitor.stats().in_flight > 0
    });
    bus.handle_namespace(&"/later".into(), true);
    let event = soon("confirmations", poll_fn(|cx| bus.poll_event(cx)));
    assert!(matches!(event, BusEvent::Up), "{event:?}");
    script.join().unwrap();
}

fn stream_is_read_while_the_end_of_another_is_not_known<R: Host>() {
    let server = ScriptedServer::start();
    let mut streams = StreamsConfig::default();
    streams.streams = 8;
    let builder = Redis::<R>::builder(&server.url()).response_timeout(LONG);
    let builder = builder.format(Format::Streams(streams));
    let script = thread::spawn(move || {
        let mut connection = server.accept();
        let mut known = None;
        loop {
            let command = connection.command();
            if command[0] == "XREVRANGE" && known.replace(command[1].clone()).is_some() {
                break;
            }
            connection.respond(&command);
        }
        let mut reader = server.accept();
        // It does not wait: the other stream may be known before there is an entry.
        let reads = [(); 2].map(|()| {
            let command = reader.command();
            reader.respond(&command);
            command[..4].join(" ")
        });
        (reads, connection, reader)
    });
    let mut bus = soon("a connection", builder.connect()).unwrap();
    for name in 0..16 {
        bus.handle_namespace(&format!("/{name}").into(), true);
    }
    until("reads", || {
        let event = within(Duration::ZERO, poll_fn(|cx| bus.poll_event(cx)));
        assert!(!matches!(event, Some(BusEvent::Down(_))), "{event:?}");
        script.is_finished()
    });
    let (reads, ..) = script.join().unwrap();
    assert_eq!(reads, ["XREAD COUNT 100 STREAMS"; 2]);
}
