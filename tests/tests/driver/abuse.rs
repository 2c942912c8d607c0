//! Requests that nobody should send. Afterwards the server serves, and holds nothing.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{client::Client, echo_all, serve, soon, until_empty};

/// The same numbers in every run (xorshift64).
struct Random(u64);

impl Random {
    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % n
    }
}

/// Cuts, doubles, swaps and changes bytes.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, b"\r\n\0:\x1e,; \xff"[random.below(9)]),
            4 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            _ => {
                bytes.remove(at);
                if bytes.is_empty() {
                    bytes.push(b'x');
                }
            }
        }
    }
}

fn samples(sid: &str) -> Vec<Vec<u8>> {
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    let mut websocket = Client::upgrade("").into_bytes();
    websocket.extend(Client::frame("4hello"));
    websocket.extend([0x89, 0x84, 1, 2, 3, 4, 5, 6, 7, 8]);
    let mut probe = Client::upgrade(&format!("&sid={sid}")).into_bytes();
    probe.extend(Client::frame("2probe"));
    probe.extend(Client::frame("5"));
    vec![
        b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n4a\x1e4bcd")
            .into_bytes(),
        format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             3;x=y\r\n4ab\r\n4\r\n\x1e4cd\r\n0\r\nT: t\r\n\r\n"
        )
        .into_bytes(),
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n")
            .into_bytes(),
        websocket,
        probe,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_2000_mutated_requests_the_server_serves_and_holds_nothing() {
    let server = serve(|builder| {
        let short = Duration::from_millis(200);
        builder
            .ping_interval(short)
            .ping_timeout(short)
            .head_timeout(short)
            .body_timeout(short)
            .idle_timeout(short)
            .linger(short)
            .close_timeout(short)
    })
    .await;
    let address = server.local_addr();
    let server = std::sync::Arc::new(server);
    let echo = tokio::spawn({
        let server = std::sync::Arc::clone(&server);
        async move { echo_all(&server).await }
    });
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..20 {
        let mut opener = Client::connect(address).await;
        let sid = opener.open_polling().await;
        let mut connections = tokio::task::JoinSet::new();
        for i in 0..100 {
            let samples = samples(&sid);
            let mut bytes = samples[(round + i) % samples.len()].clone();
            mutate(&mut random, &mut bytes);
            let (cut, reset) = (random.below(bytes.len() + 1), random.below(10) < 3);
            connections.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                // The server may have hung up already, which is its right.
                let _ = stream.write_all(&bytes[..cut]).await;
                tokio::task::yield_now().await;
                let _ = stream.write_all(&bytes[cut..]).await;
                if !reset {
                    let _ = stream.shutdown().await;
                    let mut answer = [0; 4096];
                    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut answer);
                    let _ = tokio::time::timeout(Duration::from_millis(50), read).await;
                }
            });
        }
        while let Some(result) = soon("a connection", connections.join_next()).await {
            result.unwrap();
        }
    }
    let mut client = Client::open_websocket(address).await;
    client.send("4still here").await;
    assert_eq!(client.text().await, "4still here");
    drop(client);
    until_empty(&server).await;
    soon("the server to close", server.close()).await;
    soon("the echo", echo).await.unwrap();
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_comes() {
    let server = serve(|builder| builder).await;
    let mut client = Client::connect(server.local_addr()).await;
    let sid = client.open_polling().await;
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    client
        .write(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n"))
        .await;
    assert_eq!(client.answer().await.status, 413);
    assert_eq!(server.sessions(), 1, "the session lives");
}

#[tokio::test]
async fn a_head_without_an_end_is_refused_at_its_limit() {
    let server = serve(|builder| builder).await;
    let mut client = Client::connect(server.local_addr()).await;
    client.write("GET /engine.io/ HTTP/1.1\r\nHost: a\r\n").await;
    client.write(format!("X: {}", "x".repeat(16_384))).await;
    assert_eq!(client.answer().await.status, 431);
    client.rest().await;
    until_empty(&server).await;
}
