//! What a socket tells, and how it sends and receives.

use enginewire::{CloseReason, Encoded, Message, Revision, TransportKind};
use futures_util::{SinkExt, StreamExt};

use crate::{accept, client::Client, serve, soon};

#[tokio::test]
async fn a_socket_knows_its_handshake() {
    let server = serve(|builder| builder).await;
    let mut client = Client::connect(server.local_addr()).await;
    let target = "/engine.io/x?EIO=4&transport=polling&token=a%20b";
    client.write(format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Test: held\r\n\r\n")).await;
    assert_eq!(client.answer().await.status, 200);
    let socket = accept(&server).await;
    let handshake = socket.handshake();
    assert_eq!(handshake.path(), "/engine.io/x");
    assert_eq!(handshake.query(), "EIO=4&transport=polling&token=a%20b");
    assert_eq!(handshake.query_value("token").as_deref(), Some("a b"));
    assert_eq!(handshake.header("x-test"), Some(&b"held"[..]));
    assert_eq!(handshake.headers().count(), 2);
    assert!(socket.peer_addr().ip().is_loopback());
    assert_eq!(socket.revision(), Revision::V4);
    assert_eq!(socket.transport(), TransportKind::Polling);
    assert_eq!(socket.close_reason(), None);
    assert_eq!(server.sessions(), 1);
}

#[tokio::test]
async fn a_socket_follows_its_upgrade() {
    let server = serve(|builder| builder).await;
    let mut polling = Client::connect(server.local_addr()).await;
    let sid = polling.open_polling().await;
    let mut socket = accept(&server).await;
    let mut client = Client::connect(server.local_addr()).await;
    client.write(Client::upgrade(&format!("&sid={sid}"))).await;
    assert_eq!(client.answer().await.status, 101);
    client.send("2probe").await;
    assert_eq!(client.text().await, "3probe");
    client.send("5").await;
    client.send("4hello").await;
    assert_eq!(soon("a message", socket.recv()).await, Some("hello".into()));
    assert_eq!(socket.transport(), TransportKind::WebSocket);
    drop(client);
    assert_eq!(soon("the end", socket.recv()).await, None);
    assert_eq!(socket.close_reason(), Some(CloseReason::TransportClose));
}

#[tokio::test]
async fn frames_behind_the_upgrade_request_in_one_segment_count() {
    let server = serve(|builder| builder).await;
    let mut client = Client::connect(server.local_addr()).await;
    let mut segment = Client::upgrade("").into_bytes();
    segment.extend(Client::frame("4early"));
    client.write(segment).await;
    let mut socket = accept(&server).await;
    assert_eq!(soon("a message", socket.recv()).await, Some("early".into()));
    assert_eq!(client.answer().await.status, 101);
    assert!(client.text().await.starts_with("0{"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = serve(|builder| builder).await;
    let mut client = Client::connect(server.local_addr()).await;
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let open = request("/engine.io/?EIO=4&transport=polling");
    client.write(format!("{}{open}{}", request("/a"), request("/engine.io/?EIO=4"))).await;
    assert_eq!(client.answer().await.status, 404);
    assert_eq!(client.answer().await.status, 200);
    let refused = client.answer().await;
    assert_eq!(refused.body, r#"{"code":0,"message":"Transport unknown"}"#);
}

#[test]
fn any_number_of_requests_behind_a_waiting_one_fits_the_stack() {
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let thread = small.spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(requests_behind_a_waiting_one());
    });
    thread.unwrap().join().unwrap();
}

async fn requests_behind_a_waiting_one() {
    let server = serve(|builder| builder).await;
    let mut client = Client::connect(server.local_addr()).await;
    let sid = client.open_polling().await;
    let mut socket = accept(&server).await;
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    let post = format!("POST {target} HTTP/1.1\r\nHost:\r\nContent-Length:2\r\n\r\n4a");
    let mut pipelined = Client::connect(server.local_addr()).await;
    pipelined.write(format!("GET {target} HTTP/1.1\r\nHost:\r\n\r\n{}", post.repeat(140))).await;
    // What came before another request was answered has been read: the GET waits, and the others
    // behind it.
    assert_eq!(client.get("/elsewhere").await.status, 404);
    pipelined.write(post.repeat(500)).await;
    assert_eq!(client.get("/elsewhere").await.status, 404);
    socket.send("released").await.unwrap();
    assert_eq!(pipelined.answer().await.body, "4released");
    for _ in 0..640 {
        assert_eq!(pipelined.answer().await.body, "ok");
        assert_eq!(soon("a message", socket.recv()).await, Some("a".into()));
    }
}

#[tokio::test]
async fn a_socket_is_a_stream_and_a_sink() {
    let server = serve(|builder| builder).await;
    let mut client = Client::open_websocket(server.local_addr()).await;
    let socket = accept(&server).await;
    let (mut sink, mut stream) = SinkExt::<Message>::with::<_, _, _, enginewire::SendError>(
        socket,
        |message: Message| async { Ok(message) },
    )
    .split();
    client.send("4a").await;
    let message = soon("a message", stream.next()).await.unwrap();
    sink.send(message).await.unwrap();
    assert_eq!(client.text().await, "4a");
    sink.close().await.unwrap();
    assert_eq!(client.next_frame().await.0, 8);
}

#[tokio::test]
async fn a_broadcast_reaches_every_transport() {
    let server = serve(|builder| builder).await;
    let mut websocket = Client::open_websocket(server.local_addr()).await;
    let first = accept(&server).await;
    let mut polling = Client::connect(server.local_addr()).await;
    let sid = polling.open_polling().await;
    let second = accept(&server).await;
    let message = Encoded::shared(vec![1u8, 2, 3]);
    for sender in [first.sender(), second.sender()] {
        sender.try_send(message.clone()).unwrap();
    }
    assert_eq!(websocket.next_frame().await, (2, vec![1, 2, 3]));
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(polling.get(&target).await.body, "bAQID");
}

#[tokio::test]
async fn frames_behind_a_request_that_is_allowed_at_once_count() {
    let server = serve(|builder| builder.allow_request(|_| async { Ok(()) })).await;
    let mut client = Client::connect(server.local_addr()).await;
    let mut segment = Client::upgrade("").into_bytes();
    segment.extend(Client::frame("4early"));
    client.write(segment).await;
    assert_eq!(client.answer().await.status, 101);
    let mut socket = accept(&server).await;
    assert_eq!(soon("a message", socket.recv()).await, Some("early".into()));
}

#[tokio::test]
async fn a_request_may_be_refused_after_thinking_about_it() {
    let server = serve(|builder| {
        builder.allow_request(|handshake| async move {
            tokio::task::yield_now().await;
            match handshake.query_value("token") {
                Some(_) => Ok(()),
                None => Err("no token".into()),
            }
        })
    })
    .await;
    let mut client = Client::connect(server.local_addr()).await;
    let answer = client.get("/engine.io/?EIO=4&transport=polling").await;
    assert_eq!((answer.status, &*answer.body), (403, r#"{"code":4,"message":"no token"}"#));
    client.write(Client::upgrade("")).await;
    assert_eq!(client.answer().await.status, 403);
    let mut client = Client::connect(server.local_addr()).await;
    let mut segment = Client::upgrade("&token=1").into_bytes();
    segment.extend(Client::frame("4early"));
    client.write(segment).await;
    assert_eq!(client.answer().await.status, 101);
    let mut socket = accept(&server).await;
    assert_eq!(soon("a message", socket.recv()).await, Some("early".into()));
}
