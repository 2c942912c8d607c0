//! Ends of polls, sessions and servers.

use std::time::Duration;

use axum::Router;
use enginewire_tests::client::{soon, until};
use enginewire_tokio::ServerBuilder;
use tokio::sync::oneshot;

use crate::{Fixture, RUNTIME, listen, polling};

#[test]
fn client_that_vanishes_during_a_poll_ends_its_session() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    let sid = client.open_polling();
    let mut socket = fixture.accept();
    client.request("GET", &polling(&sid), "");
    until("the poll", || fixture.server.connections() == 1);
    client.pull_the_plug();
    drop(client);
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}

#[test]
fn second_poll_closes_the_session_and_both_are_responded_to() {
    let fixture = Fixture::layered(|builder| builder);
    let mut first = fixture.connect();
    let sid = first.open_polling();
    first.request("GET", &polling(&sid), "");
    until("the poll", || fixture.server.connections() == 1);
    let mut second = fixture.connect();
    second.request("GET", &polling(&sid), "");
    assert_eq!((first.answer().status, second.answer().status), (200, 400));
    fixture.until_empty();
}

#[test]
fn session_that_is_abandoned_between_two_polls_ends_by_its_heartbeat() {
    let fixture = Fixture::layered(|builder| {
        builder.ping_interval(Duration::from_millis(50)).ping_timeout(Duration::from_millis(50))
    });
    for _ in 0..20 {
        fixture.connect().open_polling();
    }
    fixture.until_empty();
}

#[test]
fn closing_server_ends_polls_in_flight_and_delivers_what_is_queued() {
    let fixture = Fixture::layered(|builder| builder);
    let (mut idle, mut busy) = (fixture.connect(), fixture.connect());
    let idle_sid = idle.open_polling();
    let _idle_socket = fixture.accept();
    let busy_sid = busy.open_polling();
    let busy_socket = fixture.accept();
    idle.request("GET", &polling(&idle_sid), "");
    until("the poll", || fixture.server.connections() == 1);
    soon("room", busy_socket.send("last")).unwrap();
    let server = std::sync::Arc::clone(&fixture.server);
    let closing = RUNTIME.spawn(async move { server.close().await });
    assert_eq!(idle.answer().body, "1");
    assert_eq!(busy.get(&polling(&busy_sid)).body, "4last");
    let last = busy.get(&polling(&busy_sid)).body;
    assert_eq!(last.split('\u{1e}').next_back(), Some("1"), "{last:?}");
    soon("the close", closing).unwrap();
    fixture.until_empty();
    let refused = busy.get("/engine.io/?EIO=4&transport=polling");
    assert_eq!(refused.status, 503);
}

#[test]
fn draining_server_refuses_new_sessions_and_ends_the_others_over_the_time() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    let sid = client.open_polling();
    client.request("GET", &polling(&sid), "");
    until("the poll", || fixture.server.connections() == 1);
    let server = std::sync::Arc::clone(&fixture.server);
    let draining = RUNTIME.spawn(async move { server.drain(Duration::from_millis(20)).await });
    assert_eq!(client.answer().body, "1");
    soon("the drain", draining).unwrap();
    assert_eq!(client.get("/engine.io/?EIO=4&transport=polling").status, 503);
}

#[test]
fn aborted_server_responds_to_polls_in_flight() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    let sid = client.open_polling();
    client.request("GET", &polling(&sid), "");
    until("the poll", || fixture.server.connections() == 1);
    fixture.server.abort();
    let answer = client.answer();
    assert_eq!(answer.status, 503, "{answer:?}");
    fixture.until_empty();
}

#[test]
fn request_that_waits_for_the_application_is_refused_by_an_abort() {
    let fixture = Fixture::layered(|builder| builder.allow_request(|_| std::future::pending()));
    let mut client = fixture.connect();
    client.request("GET", "/engine.io/?EIO=4&transport=polling", "");
    until("the request", || fixture.server.connections() == 1);
    fixture.server.abort();
    assert_eq!(client.answer().status, 503);
    fixture.until_empty();
}

/// As the guide has it: axum waits for connections, which wait for polls, which the close of the server ends.
#[test]
fn graceful_shutdown_of_axum_ends_once_the_server_has_closed() {
    let context = RUNTIME.enter();
    let server = std::sync::Arc::new(ServerBuilder::new().start().unwrap());
    drop(context);
    let (stop, stopped) = oneshot::channel::<()>();
    let (ended, end) = oneshot::channel();
    let application = Router::new().layer(server.layer());
    let closes = std::sync::Arc::clone(&server);
    let address = listen(|listener| async move {
        let served = axum::serve(listener, application).with_graceful_shutdown(async move {
            let _ = stopped.await;
            closes.close().await;
        });
        let _ = ended.send(served.await);
    });
    let fixture = Fixture { server, address };
    let mut polls = fixture.connect();
    let sid = polls.open_polling();
    polls.request("GET", &polling(&sid), "");
    let websocket = enginewire_tests::client::Client::open_websocket(fixture.address);
    until("the poll and the WebSocket", || fixture.server.connections() == 2);
    stop.send(()).unwrap();
    assert_eq!(polls.answer().body, "1");
    drop(websocket);
    soon("the end of axum", end).unwrap().unwrap();
}
