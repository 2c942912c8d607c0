//! Turns: what waits for what on one bus, on servers whose responses are those of a test.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    thread,
    time::Duration,
};

use enginewire::Reconnect;
use enginewire_cluster::redis::{Format, Redis, StreamsConfig, SubscriptionMode};
use enginewire_driver::socketio::{Bus, BusEvent};
use enginewire_socketio::{
    adapter::Target,
    cluster::{Message, Operation},
};
use enginewire_tests::{
    client::{soon, until, within},
    host::Host,
};

use crate::{nodes::LONG, scripted::ScriptedServer};

on_every_runtime!(
    messages_without_an_event_do_not_hold_up_other_tasks,
    bus_is_up_before_subscriptions_that_came_later_are_confirmed,
    subscriptions_of_other_masters_do_not_stand_for_those_of_the_opening,
    stream_is_read_while_the_end_of_another_is_not_known,
    stream_is_checked_behind_a_read_that_took_long,
    messages_that_are_sent_together_are_written_together,
);

fn messages_without_an_event_do_not_hold_up_other_tasks<R: Host>() {
    /// More than are read from a socket at a time.
    const COUNT: usize = 5000;

    let server = ScriptedServer::start();
    let url = server.url();
    let flood = thread::spawn(move || {
        let mut connection = server.accept();
        // Nothing comes before the first command.
        connection.command();
        connection.write(&">3\r\n+message\r\n+socket.io#/#\r\n+garbage\r\n".repeat(COUNT));
        connection
    });
    let builder = Redis::<R>::builder(&url).response_timeout(LONG);
    let mut bus = soon("a connection", builder.connect()).unwrap();
    let monitor = bus.monitor();
    bus.handle_namespace(&"/".into(), true);
    let mut most = 0;
    let all = poll_fn(|cx| {
        let before = monitor.stats().dropped;
        assert!(bus.poll_event(cx).is_pending());
        let dropped = monitor.stats().dropped;
        most = most.max(dropped - before);
        if dropped == COUNT as u64 { Poll::Ready(()) } else { Poll::Pending }
    });
    soon("all messages", all);
    assert!(most <= 128, "{most} in one turn");
    flood.join().unwrap();
}

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

fn subscriptions_of_other_masters_do_not_stand_for_those_of_the_opening<R: Host>() {
    /// By their names they have slots of the first and of the second server.
    const NAMESPACES: [&str; 2] = ["/{bar}", "/{foo}"];

    let servers = [0; 2].map(|_| ScriptedServer::start());
    let url = servers[0].url();
    let [first, second] =
        servers.each_ref().map(|server| format!("*2\r\n+127.0.0.1\r\n:{}\r\n", server.port()));
    let slots = format!("*2\r\n*3\r\n:0\r\n:8191\r\n{first}*3\r\n:8192\r\n:16383\r\n{second}");
    let (is_slow, confirmed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    for (number, server) in servers.into_iter().enumerate() {
        let (slots, is_slow, confirmed) =
            (slots.clone(), Arc::clone(&is_slow), Arc::clone(&confirmed));
        let is_second = number == 1;
        thread::spawn(move || {
            let mut connections = 0;
            loop {
                let mut connection = server.accept_of_cluster();
                connections += 1;
                while let Some(command) = connection.next_command() {
                    match &*command[0] {
                        "CLUSTER" => {
                            connection.write(&slots);
                            continue;
                        }
                        "PUBSUB" if is_second && connections == 1 => {
                            is_slow.store(true, SeqCst);
                            break;
                        }
                        "SSUBSCRIBE" if is_second => {
                            until("the other one", || !is_slow.load(SeqCst));
                        }
                        _ => {}
                    }
                    connection.respond(&command);
                    if command[0] == "SSUBSCRIBE" && !is_second {
                        confirmed.fetch_add(1, SeqCst);
                    }
                }
            }
        });
    }
    let reconnect = Reconnect::default().with_delay(Duration::from_millis(5));
    let builder = Redis::<R>::builder(&url).response_timeout(LONG).reconnect(reconnect);
    let builder = builder.sharded(SubscriptionMode::Static);
    let mut bus = soon("a connection", builder.connect()).unwrap();
    let monitor = bus.monitor();
    let [of_first, of_second] = NAMESPACES.map(Into::into);
    bus.handle_namespace(&of_second, true);
    let event = soon("a loss", poll_fn(|cx| bus.poll_event(cx)));
    assert!(matches!(event, BusEvent::Down(_)), "{event:?}");
    let poll = |bus: &mut Redis<R>, time| within(time, poll_fn(|cx| bus.poll_event(cx)));
    until("subscriptions", || {
        let event = poll(&mut bus, Duration::ZERO);
        assert!(event.is_none(), "{event:?}");
        monitor.stats().in_flight > 0
    });
    bus.handle_namespace(&of_first, true);
    until("later subscriptions", || {
        let event = poll(&mut bus, Duration::ZERO);
        assert!(event.is_none(), "{event:?}");
        confirmed.load(SeqCst) == 2
    });
    let event = poll(&mut bus, Duration::from_millis(200));
    assert!(event.is_none(), "those of the second server are not confirmed: {event:?}");
    is_slow.store(false, SeqCst);
    until("all subscriptions", || {
        matches!(soon("an event", poll_fn(|cx| bus.poll_event(cx))), BusEvent::Up)
    });
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
        let mut reads = Vec::new();
        while reads.len() < 2 {
            let command = reader.command();
            reader.respond(&command);
            if command[0] == "XREAD" {
                reads.push(command[..4].join(" "));
            }
        }
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

fn stream_is_checked_behind_a_read_that_took_long<R: Host>() {
    let server = ScriptedServer::start();
    let builder = Redis::<R>::builder(&server.url()).response_timeout(LONG);
    let builder = builder.format(Format::Streams(StreamsConfig::default()));
    let script = thread::spawn(move || {
        let mut connection = server.accept();
        loop {
            let command = connection.command();
            connection.respond(&command);
            if command[0] == "XREVRANGE" {
                break;
            }
        }
        let mut reader = server.accept();
        // The second read is the first that may wait.
        for reads in 1..=2 {
            let command = loop {
                let command = reader.command();
                if command[0] == "XREAD" {
                    break command;
                }
                reader.respond(&command);
            };
            if reads == 2 {
                thread::sleep(Duration::from_millis(1200));
            }
            reader.respond(&command);
        }
        (reader.command(), connection, reader)
    });
    let mut bus = soon("a connection", builder.connect()).unwrap();
    bus.handle_namespace(&"/".into(), true);
    until("reads", || {
        let event = within(Duration::ZERO, poll_fn(|cx| bus.poll_event(cx)));
        assert!(!matches!(event, Some(BusEvent::Down(_))), "{event:?}");
        script.is_finished()
    });
    let (next, ..) = script.join().unwrap();
    assert_eq!(next[0], "XINFO");
}

fn messages_that_are_sent_together_are_written_together<R: Host>() {
    const COUNT: usize = 50;

    let server = ScriptedServer::start();
    let builder = Redis::<R>::builder(&server.url()).response_timeout(LONG);
    let script = thread::spawn(move || server.accept());
    let mut bus = soon("a connection", builder.connect()).unwrap();
    let mut connection = script.join().unwrap();
    bus.handle_namespace(&"/".into(), true);
    let sent = poll_fn(|cx| {
        for _ in 0..COUNT {
            assert!(bus.poll_ready(cx).is_ready());
            let operation = Operation::Leave { target: Target::all(), rooms: vec!["r".into()] };
            bus.send(Message { to: None, namespace: "/".into(), operation });
        }
        // On one machine, bytes are there as soon as they are written.
        assert!(connection.is_quiet(), "a part of the messages is written");
        bus.poll_flush(cx);
        Poll::Ready(())
    });
    soon("messages", sent);
    let mut published = 0;
    while published < COUNT {
        published += usize::from(connection.command()[0] == "PUBLISH");
    }
}
