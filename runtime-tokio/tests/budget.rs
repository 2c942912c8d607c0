//! A handler that uses up the budget of tokio's cooperative scheduling in each poll.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use enginewire_tokio::{Client, Message, ServerBuilder, Socket, TransportKind};
use tokio::{sync::Semaphore, time::timeout};

/// Echoes, beside a source that always has something.
async fn echo_and_be_busy(mut socket: Socket, source: Arc<Semaphore>) {
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(message) => socket.send(message).await.unwrap(),
                None => break,
            },
            permit = source.acquire() => drop(permit),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_handler_does_not_silence_its_connection() {
    let source = Arc::new(Semaphore::new(1));
    let builder = ServerBuilder::new()
        .handler(move |socket, _| echo_and_be_busy(socket, Arc::clone(&source)));
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr());
    let client = Client::builder(&url).transports([TransportKind::WebSocket]).build().unwrap();
    let talk = async {
        let mut socket = client.open().await.unwrap();
        for text in ["a", "b", "c"] {
            socket.send(text).await.unwrap();
            assert_eq!(socket.recv().await, Some(Message::from(text)));
        }
        socket.close().await;
    };
    timeout(Duration::from_secs(20), talk).await.expect("the connection is silent");
}
