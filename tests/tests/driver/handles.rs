//! What a socket tells, and how it sends and receives.

use enginewire::{CloseReason, Encoded, Limits, Message, Revision, TransportKind};
use futures_lite::future::yield_now;
use futures_util::{SinkExt, StreamExt};

use crate::{
    Host, accept,
    client::{Client, until},
    serve, soon, until_empty,
};

on_every_runtime!(
    a_runtime_resolves_names_and_connects_to_addresses,
    a_socket_knows_its_handshake,
    a_socket_follows_its_upgrade,
    frames_behind_the_upgrade_request_in_one_segment_count,
    pipelined_requests_are_answered_in_order,
    any_number_of_requests_behind_a_waiting_one_fits_the_stack,
    a_socket_is_a_stream_and_a_sink,
    a_broadcast_reaches_every_transport,
    frames_behind_a_request_that_is_allowed_at_once_count,
    a_request_may_be_refused_after_thinking_about_it,
);

fn a_runtime_resolves_names_and_connects_to_addresses<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let (runtime, address) = (R::default(), server.local_addr());
    let addresses = soon("addresses", runtime.resolve("localhost", address.port())).unwrap();
    assert!(addresses.contains(&address), "{addresses:?}");
    let stream = soon("a connection", runtime.connect(address)).unwrap();
    until("the connection to be accepted", || server.connections() == 1);
    drop(stream);
    until_empty(&server);
    // Where nobody listens.
    let nowhere = ([127, 0, 0, 1], 1).into();
    assert!(soon("a refusal", runtime.connect(nowhere)).is_err());
    assert!(soon("a failure", runtime.resolve("no such name", 1)).is_err());
}

fn a_socket_knows_its_handshake<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    let target = "/engine.io/x?EIO=4&transport=polling&token=a%20b";
    client.write(format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Test: held\r\n\r\n"));
    assert_eq!(client.answer().status, 200);
    let socket = accept(&server);
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

fn a_socket_follows_its_upgrade<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut polling = Client::connect(server.local_addr());
    let sid = polling.open_polling();
    let mut socket = accept(&server);
    let mut client = Client::move_to_websocket(server.local_addr(), &sid);
    client.send("4hello");
    assert_eq!(soon("a message", socket.recv()), Some("hello".into()));
    assert_eq!(socket.transport(), TransportKind::WebSocket);
    drop(client);
    assert_eq!(soon("the end", socket.recv()), None);
    assert_eq!(socket.close_reason(), Some(CloseReason::TransportClose));
}

fn frames_behind_the_upgrade_request_in_one_segment_count<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    let mut segment = Client::upgrade("").into_bytes();
    segment.extend(Client::frame("4early"));
    client.write(segment);
    let mut socket = accept(&server);
    assert_eq!(soon("a message", socket.recv()), Some("early".into()));
    assert_eq!(client.answer().status, 101);
    assert!(client.text().starts_with("0{"));
}

fn pipelined_requests_are_answered_in_order<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let open = request("/engine.io/?EIO=4&transport=polling");
    client.write(format!("{}{open}{}", request("/a"), request("/engine.io/?EIO=4")));
    assert_eq!(client.answer().status, 404);
    assert_eq!(client.answer().status, 200);
    let refused = client.answer();
    assert_eq!(refused.body, r#"{"code":0,"message":"Transport unknown"}"#);
}

/// On tokio, that is: its threads have little stack here.
fn any_number_of_requests_behind_a_waiting_one_fits_the_stack<R: Host>() {
    // Each POST waits until the application has taken its message.
    let mut limits = Limits::default();
    limits.max_unread = 1;
    let server = serve::<R>(|builder| builder.limits(limits));
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let mut socket = accept(&server);
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    let post = format!("POST {target} HTTP/1.1\r\nHost:\r\nContent-Length:2\r\n\r\n4a");
    let mut pipelined = Client::connect(server.local_addr());
    pipelined.write(format!("GET {target} HTTP/1.1\r\nHost:\r\n\r\n{}", post.repeat(140)));
    assert_eq!(pipelined.answer().body, "6", "a GET that waits is released by what is behind it");
    pipelined.write(post.repeat(500));
    for _ in 0..640 {
        assert_eq!(soon("a message", socket.recv()), Some("a".into()));
        assert_eq!(pipelined.answer().body, "ok");
    }
}

fn a_socket_is_a_stream_and_a_sink<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    let (mut sink, mut stream) = SinkExt::<Message>::with::<_, _, _, enginewire::SendError>(
        socket,
        |message: Message| async { Ok(message) },
    )
    .split();
    client.send("4a");
    let message = soon("a message", stream.next()).unwrap();
    soon("send", sink.send(message)).unwrap();
    assert_eq!(client.text(), "4a");
    soon("close", sink.close()).unwrap();
    assert_eq!(client.next_frame().0, 8);
}

fn a_broadcast_reaches_every_transport<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut websocket = Client::open_websocket(server.local_addr());
    let first = accept(&server);
    let mut polling = Client::connect(server.local_addr());
    let sid = polling.open_polling();
    let second = accept(&server);
    let message = Encoded::shared(vec![1u8, 2, 3]);
    for sender in [first.sender(), second.sender()] {
        sender.try_send(message.clone()).unwrap();
    }
    assert_eq!(websocket.next_frame(), (2, vec![1, 2, 3]));
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(polling.get(&target).body, "bAQID");
}

fn frames_behind_a_request_that_is_allowed_at_once_count<R: Host>() {
    let server = serve::<R>(|builder| builder.allow_request(|_| async { Ok(()) }));
    let mut client = Client::connect(server.local_addr());
    let mut segment = Client::upgrade("").into_bytes();
    segment.extend(Client::frame("4early"));
    client.write(segment);
    assert_eq!(client.answer().status, 101);
    let mut socket = accept(&server);
    assert_eq!(soon("a message", socket.recv()), Some("early".into()));
}

fn a_request_may_be_refused_after_thinking_about_it<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.allow_request(|handshake| async move {
            yield_now().await;
            match handshake.query_value("token") {
                Some(_) => Ok(()),
                None => Err("no token".into()),
            }
        })
    });
    let mut client = Client::connect(server.local_addr());
    let answer = client.get("/engine.io/?EIO=4&transport=polling");
    assert_eq!((answer.status, &*answer.body), (403, r#"{"code":4,"message":"no token"}"#));
    client.write(Client::upgrade(""));
    assert_eq!(client.answer().status, 403);
    let mut client = Client::connect(server.local_addr());
    let mut segment = Client::upgrade("&token=1").into_bytes();
    segment.extend(Client::frame("4early"));
    client.write(segment);
    assert_eq!(client.answer().status, 101);
    let mut socket = accept(&server);
    assert_eq!(soon("a message", socket.recv()), Some("early".into()));
}
