//! The end of sessions and of servers.

use std::time::Duration;

use enginewire::SendError;
use tokio::net::TcpStream;

use crate::{accept, client::Client, serve, soon, until_empty};

#[tokio::test]
async fn a_dropped_socket_lets_out_what_is_queued_and_closes() {
    let server = serve(|builder| builder).await;
    let mut client = Client::open_websocket(server.local_addr()).await;
    let socket = accept(&server).await;
    let sender = socket.sender();
    for i in 0..100 {
        socket.try_send(i.to_string()).unwrap();
    }
    drop(socket);
    assert_eq!(sender.try_send("x").unwrap_err().reason, SendError::Closed);
    for i in 0..100 {
        assert_eq!(client.text().await, format!("4{i}"));
    }
    assert_eq!(client.next_frame().await, (8, vec![]));
    drop(client);
    until_empty(&server).await;
}

#[tokio::test]
async fn after_both_close_frames_the_server_does_not_wait_for_its_peer() {
    // For longer than this test may take.
    let server = serve(|builder| builder.linger(Duration::from_secs(60))).await;
    let mut client = Client::open_websocket(server.local_addr()).await;
    // Masked, with a mask of zeros: a Close.
    client.write([0x88, 0x80, 0, 0, 0, 0]).await;
    assert_eq!(client.next_frame().await, (8, vec![]));
    until_empty(&server).await;
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn a_server_closes_gracefully() {
    let server = serve(|builder| builder).await;
    let address = server.local_addr();
    let mut websocket = Client::open_websocket(address).await;
    let first = accept(&server).await;
    let mut polling = Client::connect(address).await;
    let sid = polling.open_polling().await;
    let second = accept(&server).await;
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    polling.request("GET", &target, "").await;
    let idle = Client::connect(address).await;
    for i in 0..1000 {
        first.send(format!("{i}")).await.unwrap();
    }
    let closing = tokio::spawn(async move {
        server.close().await;
        server
    });
    for i in 0..1000 {
        assert_eq!(websocket.text().await, format!("4{i}"));
    }
    assert_eq!(websocket.next_frame().await.0, 8);
    // Masked, with a mask of zeros: the answer to the Close.
    websocket.write([0x88, 0x80, 0, 0, 0, 0]).await;
    assert!(websocket.rest().await.is_empty());
    assert_eq!(polling.answer().await.body, "1");
    drop((polling, idle));
    let server = soon("the server to close", closing).await.unwrap();
    assert_eq!((server.sessions(), server.connections()), (0, 0));
    assert!(server.accept().await.is_none());
    assert_eq!(first.close_reason().unwrap().as_str(), "forced close");
    assert_eq!(second.try_send("x").unwrap_err().reason, SendError::Closed);
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
}

#[tokio::test]
async fn a_server_does_not_wait_for_ever_for_its_peers() {
    let server = serve(|builder| builder.shutdown_timeout(Duration::from_millis(100))).await;
    let mut client = Client::connect(server.local_addr()).await;
    client.open_polling().await;
    let socket = accept(&server).await;
    socket.try_send("nobody fetches this").unwrap();
    soon("the server to close", server.close()).await;
    assert_eq!((server.sessions(), server.connections()), (0, 0));
    assert_eq!(socket.close_reason().unwrap().as_str(), "forced close");
}

#[tokio::test]
async fn a_dropped_server_ends_everything_at_once() {
    let server = serve(|builder| builder).await;
    let address = server.local_addr();
    let client = Client::open_websocket(address).await;
    let mut socket = accept(&server).await;
    drop(server);
    assert_eq!(soon("the end", socket.recv()).await, None);
    client.rest().await;
    soon("the listener to go", async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn more_sessions_than_the_backlog_holds_are_refused() {
    let server = serve(|builder| builder.backlog(2)).await;
    let mut client = Client::connect(server.local_addr()).await;
    client.open_polling().await;
    client.open_polling().await;
    let answer = client.get("/engine.io/?EIO=4&transport=polling").await;
    assert_eq!(answer.status, 503, "{}", answer.head);
    accept(&server).await;
    client.open_polling().await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer_our_close_is_cut_off() {
    let server = serve(|builder| builder.linger(Duration::from_millis(50))).await;
    let mut client = Client::open_websocket(server.local_addr()).await;
    drop(accept(&server).await);
    assert_eq!(client.next_frame().await.0, 8);
    until_empty(&server).await;
}
