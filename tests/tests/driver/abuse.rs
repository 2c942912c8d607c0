//! Requests that nobody should send. Afterwards the server serves, and holds nothing.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use enginewire_tests::random::Random;

use crate::{Host, client::Client, serve, serve_echo, soon, until_empty};

on_every_runtime!(
    after_2000_mutated_requests_the_server_serves_and_holds_nothing,
    a_body_that_says_it_is_too_large_is_refused_before_it_comes,
    a_head_without_an_end_is_refused_at_its_limit,
);

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

fn after_2000_mutated_requests_the_server_serves_and_holds_nothing<R: Host>() {
    let server = serve_echo::<R>(|builder| {
        let short = Duration::from_millis(200);
        builder
            .ping_interval(short)
            .ping_timeout(short)
            .head_timeout(short)
            .body_timeout(short)
            .idle_timeout(short)
            .linger(short)
            .close_timeout(short)
    });
    let address = server.local_addr();
    let mut random = Random::new(1);
    for round in 0..20 {
        let mut opener = Client::connect(address);
        let sid = opener.open_polling();
        thread::scope(|connections| {
            for i in 0..100 {
                let samples = samples(&sid);
                let mut bytes = samples[(round + i) % samples.len()].clone();
                mutate(&mut random, &mut bytes);
                let (cut, reset) = (random.below(bytes.len() + 1), random.below(10) < 3);
                connections.spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    // The server may have hung up already, which is its right.
                    let _ = stream.write_all(&bytes[..cut]);
                    thread::yield_now();
                    let _ = stream.write_all(&bytes[cut..]);
                    if !reset {
                        let _ = stream.shutdown(Shutdown::Write);
                        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                        let _ = stream.read(&mut [0; 4096]);
                    }
                });
            }
        });
    }
    let mut client = Client::open_websocket(address);
    client.send("4still here");
    assert_eq!(client.text(), "4still here");
    drop(client);
    until_empty(&server);
    soon("the server to close", server.close());
}

fn a_body_that_says_it_is_too_large_is_refused_before_it_comes<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    client.write(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n"));
    assert_eq!(client.answer().status, 413);
    assert_eq!(server.sessions(), 1, "the session lives");
}

fn a_head_without_an_end_is_refused_at_its_limit<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    client.write("GET /engine.io/ HTTP/1.1\r\nHost: a\r\n");
    client.write(format!("X: {}", "x".repeat(16_384)));
    assert_eq!(client.answer().status, 431);
    client.rest();
    until_empty(&server);
}
