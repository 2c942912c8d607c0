//! Peers that send nothing, or too little, hold nothing for ever.

use std::time::Duration;

use enginewire::CloseReason;

use crate::{accept, client::Client, serve, soon, until_empty};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = serve(|builder| builder.idle_timeout(SHORT)).await;
    let client = Client::connect(server.local_addr()).await;
    assert!(client.rest().await.is_empty());
    until_empty(&server).await;
}

#[tokio::test]
async fn a_head_that_takes_too_long_gets_408() {
    let server = serve(|builder| builder.head_timeout(SHORT)).await;
    let mut client = Client::connect(server.local_addr()).await;
    client.write("GET /engine.io/ HTTP/1.1\r\nHost: a\r\nX: ").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 408);
    client.rest().await;
    until_empty(&server).await;
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_extend_the_time_for_a_head() {
    let server = serve(|builder| builder.head_timeout(SHORT)).await;
    let mut client = Client::connect(server.local_addr()).await;
    client.write("GET /").await;
    let status = soon("an answer", async {
        // For longer than the timeout, if nobody stops it.
        for _ in 0..1000 {
            client.write("x").await;
            if let Ok(answer) = tokio::time::timeout(SHORT / 10, client.answer()).await {
                return answer.status;
            }
        }
        panic!("a byte at a time went on for ever");
    });
    assert_eq!(status.await, 408);
}

#[tokio::test]
async fn a_body_that_takes_too_long_ends_its_session() {
    let server = serve(|builder| builder.body_timeout(SHORT)).await;
    let mut client = Client::connect(server.local_addr()).await;
    let sid = client.open_polling().await;
    let mut socket = accept(&server).await;
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    client
        .write(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n4half"))
        .await;
    assert_eq!(client.answer().await.status, 408);
    assert_eq!(soon("the end", socket.recv()).await, None);
    assert!(matches!(socket.close_reason(), Some(CloseReason::TransportError(_))));
    client.rest().await;
    until_empty(&server).await;
}

#[tokio::test]
async fn a_silent_websocket_is_ended_by_the_heartbeat() {
    let server = serve(|builder| builder.ping_interval(SHORT).ping_timeout(SHORT)).await;
    let mut client = Client::open_websocket(server.local_addr()).await;
    let mut socket = accept(&server).await;
    assert_eq!(client.next_frame().await, (1, b"2".to_vec()));
    assert_eq!(soon("the end", socket.recv()).await, None);
    assert_eq!(socket.close_reason(), Some(CloseReason::PingTimeout));
    assert_eq!(client.next_frame().await.0, 8);
    drop(client);
    until_empty(&server).await;
}

#[tokio::test]
async fn a_websocket_that_does_not_read_is_ended_by_the_heartbeat() {
    let server =
        serve(|builder| builder.ping_interval(SHORT).ping_timeout(SHORT).linger(SHORT)).await;
    let _client = Client::open_websocket(server.local_addr()).await;
    let socket = accept(&server).await;
    let message = "x".repeat(100_000);
    let ended = soon("the end", async { while socket.send(&*message).await.is_ok() {} });
    ended.await;
    assert_eq!(socket.close().await, CloseReason::PingTimeout);
    until_empty(&server).await;
}
