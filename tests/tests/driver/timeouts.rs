//! Peers that send nothing, or too little, hold nothing for ever.

use std::time::Duration;

use enginewire::CloseReason;

use crate::{Host, accept, client::Client, serve, soon, until_empty};

on_every_runtime!(
    a_connection_that_says_nothing_is_closed,
    a_head_that_takes_too_long_gets_408,
    a_byte_now_and_then_does_not_extend_the_time_for_a_head,
    a_body_that_takes_too_long_ends_its_session,
    a_silent_websocket_is_ended_by_the_heartbeat,
    a_websocket_that_does_not_read_is_ended_by_the_heartbeat,
);

const SHORT: Duration = Duration::from_millis(100);

fn a_connection_that_says_nothing_is_closed<R: Host>() {
    let server = serve::<R>(|builder| builder.idle_timeout(SHORT));
    let client = Client::connect(server.local_addr());
    assert!(client.rest().is_empty());
    until_empty(&server);
}

fn a_head_that_takes_too_long_gets_408<R: Host>() {
    let server = serve::<R>(|builder| builder.head_timeout(SHORT));
    let mut client = Client::connect(server.local_addr());
    client.write("GET /engine.io/ HTTP/1.1\r\nHost: a\r\nX: ");
    let answer = client.answer();
    assert_eq!(answer.status, 408);
    client.rest();
    until_empty(&server);
}

fn a_byte_now_and_then_does_not_extend_the_time_for_a_head<R: Host>() {
    let server = serve::<R>(|builder| builder.head_timeout(SHORT));
    let mut client = Client::connect(server.local_addr());
    client.write("GET /");
    // For longer than the timeout, if nobody stops it.
    let answered = (0..1000).find_map(|_| {
        client.write("x");
        client.answer_within(SHORT / 10)
    });
    let Some(answer) = answered else { panic!("a byte at a time went on for ever") };
    assert_eq!(answer.status, 408);
}

fn a_body_that_takes_too_long_ends_its_session<R: Host>() {
    let server = serve::<R>(|builder| builder.body_timeout(SHORT));
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let mut socket = accept(&server);
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    client.write(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n4half"));
    assert_eq!(client.answer().status, 408);
    assert_eq!(soon("the end", socket.recv()), None);
    assert!(matches!(socket.close_reason(), Some(CloseReason::TransportError(_))));
    client.rest();
    until_empty(&server);
}

fn a_silent_websocket_is_ended_by_the_heartbeat<R: Host>() {
    let server = serve::<R>(|builder| builder.ping_interval(SHORT).ping_timeout(SHORT));
    let mut client = Client::open_websocket(server.local_addr());
    let mut socket = accept(&server);
    assert_eq!(client.next_frame(), (1, b"2".to_vec()));
    assert_eq!(soon("the end", socket.recv()), None);
    assert_eq!(socket.close_reason(), Some(CloseReason::PingTimeout));
    assert_eq!(client.next_frame().0, 8);
    drop(client);
    until_empty(&server);
}

fn a_websocket_that_does_not_read_is_ended_by_the_heartbeat<R: Host>() {
    let server =
        serve::<R>(|builder| builder.ping_interval(SHORT).ping_timeout(SHORT).linger(SHORT));
    let _client = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    let message = "x".repeat(100_000);
    soon("the end", async { while socket.send(&*message).await.is_ok() {} });
    assert_eq!(soon("close", socket.close()), CloseReason::PingTimeout);
    until_empty(&server);
}
