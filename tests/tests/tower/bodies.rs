//! Bodies of requests and responses: limits, rates, and clients that leave in their middle.

use std::time::Duration;

use enginewire_tests::client::{Client, soon, until};
use enginewire_tokio::{CloseReason, Socket};

use crate::{Fixture, polling};

#[test]
fn body_of_the_limit_is_a_message_and_one_byte_more_is_413() {
    let fixture = Fixture::layered(|builder| builder.max_payload(1000));
    let mut client = fixture.connect();
    let sid = client.open_polling();
    let mut socket = fixture.accept();
    client.request("POST", &polling(&sid), &format!("4{}", "a".repeat(999)));
    assert_eq!(client.answer().status, 200);
    let message = soon("a message", socket.recv()).unwrap();
    assert_eq!(message.as_text().unwrap().len(), 999);

    client.request("POST", &polling(&sid), &format!("4{}", "a".repeat(1000)));
    assert_eq!(client.answer().status, 413);
    // As with the reference, the session goes on.
    let mut client = fixture.connect();
    client.request("POST", &polling(&sid), "4b");
    assert_eq!(client.answer().status, 200);
    assert_eq!(soon("a message", socket.recv()).unwrap().as_text(), Some("b"));
}

#[test]
fn chunked_body_above_the_limit_is_413_before_its_end() {
    let fixture = Fixture::layered(|builder| builder.max_payload(1000));
    let mut client = fixture.connect();
    let sid = client.open_polling();
    begin_chunked(&mut client, &sid);
    for _ in 0..11 {
        client.write(format!("64\r\n{}\r\n", "a".repeat(100)));
    }
    assert_eq!(client.answer().status, 413);
    until("the end of the request", || fixture.server.connections() == 0);
    assert_eq!(fixture.server.sessions(), 1);
}

#[test]
fn body_in_chunks_is_the_message_that_it_would_be_whole() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    let sid = client.open_polling();
    let mut socket = fixture.accept();
    begin_chunked(&mut client, &sid);
    for byte in "4h\u{e9}llo".as_bytes() {
        client.write(b"1\r\n");
        client.write([*byte]);
        client.write(b"\r\n");
    }
    client.write(b"0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    let message = soon("a message", socket.recv()).unwrap();
    assert_eq!(message.as_text(), Some("h\u{e9}llo"));
    // The connection goes on, as behind any other body.
    client.request("POST", &polling(&sid), "4again");
    assert_eq!(client.answer().status, 200);
    let message = soon("another message", socket.recv()).unwrap();
    assert_eq!(message.as_text(), Some("again"));
}

#[test]
fn body_that_stands_still_is_408_and_ends_its_session() {
    let timeout = Duration::from_millis(100);
    let fixture = Fixture::layered(|builder| builder.body_timeout(timeout));
    let mut client = fixture.connect();
    let sid = client.open_polling();
    let mut socket = fixture.accept();
    begin_chunked(&mut client, &sid);
    client.write(b"1\r\n4\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}

#[test]
fn client_that_leaves_in_the_middle_of_a_body_ends_its_session() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    let sid = client.open_polling();
    let mut socket = fixture.accept();
    begin_chunked(&mut client, &sid);
    client.write(b"1\r\n4\r\n");
    drop(client);
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}

#[test]
fn second_post_at_the_same_time_closes_the_session() {
    let fixture = Fixture::layered(|builder| builder);
    let mut first = fixture.connect();
    let sid = first.open_polling();
    let mut socket = fixture.accept();
    begin_chunked(&mut first, &sid);
    until("the first", || fixture.server.connections() == 1);
    let mut second = fixture.connect();
    second.request("POST", &polling(&sid), "4a");
    assert_eq!(second.answer().status, 400);
    // What is still to come of the other is of no more use.
    assert_ne!(first.answer().status, 200);
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}

#[test]
fn large_response_arrives_whole_and_its_end_frees_the_session() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    let sid = client.open_polling();
    let socket = fixture.accept();
    let message = "0123456789abcdef".repeat(40_000);
    soon("room", socket.send(message.as_str())).unwrap();
    let answer = client.get(&polling(&sid));
    assert_eq!(answer.body[1..], message);
    assert_eq!(close(&socket, &mut client, &sid), Some(CloseReason::ForcedClose));
    fixture.until_empty();
}

fn close(socket: &Socket, client: &mut Client, sid: &str) -> Option<CloseReason> {
    let closing = std::thread::scope(|scope| {
        let closing = scope.spawn(|| soon("the close", socket.close()));
        client.get(&polling(sid));
        closing.join()
    });
    closing.unwrap();
    socket.close_reason()
}

fn begin_chunked(client: &mut Client, sid: &str) {
    let target = polling(sid);
    client
        .write(format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
}
