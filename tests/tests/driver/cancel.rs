//! Futures dropped half-way: nothing is lost, nothing happens twice.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use enginewire::Message;

use crate::{accept, client::Client, serve, soon};

/// Polls a future once and drops it.
fn try_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn accept_loses_no_session() {
    let server = serve(|builder| builder).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        assert!(try_once(server.accept()).is_none());
        clients.push(Client::open_websocket(server.local_addr()).await);
        accept(&server).await;
    }
}

#[tokio::test]
async fn recv_loses_no_message() {
    let server = serve(|builder| builder).await;
    let mut client = Client::open_websocket(server.local_addr()).await;
    let mut socket = accept(&server).await;
    for i in 0..100 {
        let waiting = try_once(socket.recv());
        assert_eq!(waiting, None);
        client.send(&format!("4{i}")).await;
        let message = soon("a message", async {
            loop {
                // Given up again and again while the message is on its way.
                if let Some(message) = try_once(socket.recv()) {
                    break message;
                }
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(message.await, Some(Message::from(i.to_string())));
    }
}

#[tokio::test]
async fn send_queues_a_message_once_or_not_at_all() {
    let server = serve(|builder| {
        let mut limits = enginewire::Limits::default();
        limits.max_queued = 200;
        builder.limits(limits)
    })
    .await;
    let mut polling = Client::connect(server.local_addr()).await;
    let sid = polling.open_polling().await;
    let socket = accept(&server).await;
    let mut queued = Vec::new();
    for i in 0..10 {
        match try_once(socket.send(i.to_string())) {
            Some(result) => {
                result.unwrap();
                queued.push(format!("4{i}"));
            }
            None => assert!(try_once(socket.ready()).is_none()),
        }
    }
    assert!(queued.len() < 10, "the queue was never full");
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(polling.get(&target).await.body, queued.join("\u{1e}"));
    socket.ready().await.unwrap();
}

#[tokio::test]
async fn a_close_that_nobody_waits_for_goes_on() {
    let server = serve(|builder| builder).await;
    let mut client = Client::open_websocket(server.local_addr()).await;
    let socket = accept(&server).await;
    socket.send("last words").await.unwrap();
    assert!(try_once(socket.close()).is_none());
    assert_eq!(client.text().await, "4last words");
    assert_eq!(client.next_frame().await.0, 8);
    assert_eq!(socket.close().await.as_str(), "forced close");
}
