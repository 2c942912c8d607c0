//! A slow application slows its peer, a slow peer its application. Neither costs memory, nor a message.

use std::{thread, time::Duration};

use enginewire::{Limits, SendError};
use enginewire_driver::ServerBuilder;

use crate::{
    Host, accept,
    client::{Client, within},
    serve, soon,
};

on_every_runtime!(
    a_slow_application_slows_its_peer_and_loses_nothing,
    a_slow_application_withholds_the_answer_to_a_post,
    a_slow_peer_fills_the_queue_and_no_more,
    many_senders_of_one_session_all_get_their_turn,
    a_peer_that_reads_no_answers_is_not_read,
);

fn small<R: Host>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    let mut limits = Limits::default();
    limits.max_unread = 64 * 1024;
    limits.max_queued = 64 * 1024;
    builder.limits(limits)
}

fn a_slow_application_slows_its_peer_and_loses_nothing<R: Host>() {
    // Before the session is there: it takes longer than the heartbeat.
    let count = 40_000;
    let stream: Vec<u8> = (0..count).flat_map(|i| Client::frame(&format!("4{i:01000}"))).collect();
    // The heartbeat must not take a peer that is not read for a silent one: any answer to a ping would
    // be behind what it has written, where this client never gets to.
    let server = serve::<R>(|builder| {
        let (interval, timeout) = (Duration::from_millis(50), Duration::from_millis(100));
        small(builder).ping_interval(interval).ping_timeout(timeout)
    });
    let mut client = Client::open_websocket(server.local_addr());
    let mut socket = accept(&server);
    let written = client.write_until_blocked(&stream);
    assert!(written < stream.len(), "40 MB went into a socket that nobody reads");
    let writer = thread::spawn(move || {
        client.write(&stream[written..]);
        client
    });
    for i in 0..count {
        let message = soon("a message", socket.recv());
        assert_eq!(message, Some(format!("{i:01000}").into()));
    }
    writer.join().unwrap();
}

fn a_slow_application_withholds_the_answer_to_a_post<R: Host>() {
    let server = serve::<R>(small);
    let mut get = Client::connect(server.local_addr());
    let sid = get.open_polling();
    let mut socket = accept(&server);
    let mut post = Client::connect(server.local_addr());
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    let body = vec![format!("4{}", "x".repeat(10_000)); 10].join("\u{1e}");
    post.request("POST", &target, &body);
    // Unread is more than may be.
    assert!(post.answer_within(Duration::from_millis(100)).is_none());
    let answer = thread::spawn(move || post.answer());
    for _ in 0..10 {
        soon("a message", socket.recv()).unwrap();
    }
    let answer = answer.join().unwrap();
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
}

fn a_slow_peer_fills_the_queue_and_no_more<R: Host>() {
    let server = serve::<R>(small);
    let mut client = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    let message = "x".repeat(10_000);
    let mut sent = 0;
    // What the kernel takes is not ours to bound: go on until it takes no more.
    let full = loop {
        match socket.try_send(&*message) {
            Ok(()) => sent += 1,
            Err(full) => match within(Duration::from_millis(300), socket.ready()) {
                Some(ready) => ready.unwrap(),
                None => break full,
            },
        }
        assert!(sent < 10_000, "100 MB went into a socket that nobody reads");
    };
    assert_eq!(full.message.len(), message.len(), "what was refused comes back");
    let SendError::Full { queued, max } = full.reason else { panic!("{full}") };
    assert!(queued <= max + message.len() + Limits::MESSAGE_OVERHEAD, "{queued} bytes are queued");
    // The peer wakes up: whoever waits can go on, and everything arrives.
    let last = thread::spawn(move || {
        soon("send", socket.send("last")).unwrap();
        socket
    });
    for _ in 0..sent {
        assert_eq!(client.text().len(), 10_001);
    }
    assert_eq!(client.text(), "4last");
    drop(last.join().unwrap());
}

fn many_senders_of_one_session_all_get_their_turn<R: Host>() {
    let server = serve::<R>(small);
    let mut client = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    let senders: Vec<_> = (0..20)
        .map(|_| {
            let sender = socket.sender();
            thread::spawn(move || {
                for _ in 0..50 {
                    soon("send", sender.send("x".repeat(1000))).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..20 * 50 {
        assert_eq!(client.text().len(), 1001);
    }
    for sender in senders {
        sender.join().unwrap();
    }
}

fn a_peer_that_reads_no_answers_is_not_read<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.headers(|_, _, headers| headers.push("X-Long", "x".repeat(1000)).unwrap())
    });
    let mut client = Client::connect(server.local_addr());
    let count = 40_000;
    let filler = "x".repeat(900);
    let request = format!("GET /engine.io/?EIO=4 HTTP/1.1\r\nHost: a\r\nX: {filler}\r\n\r\n");
    let stream = request.repeat(count).into_bytes();
    let written = client.write_until_blocked(&stream);
    assert!(written < stream.len(), "the answers to 40 MB of requests pile up");
    // It goes on where it was.
    let whole = written.div_ceil(request.len());
    for _ in 0..written / request.len() {
        assert_eq!(client.answer().status, 400);
    }
    client.write(&stream[written..whole * request.len()]);
    client.write(&request);
    for _ in 0..whole - written / request.len() + 1 {
        assert_eq!(client.answer().status, 400);
    }
}
