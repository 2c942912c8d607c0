//! The test kit: real clients and a real server with memory between them. And connectors, on which it stands.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use enginewire_driver::{
    Client, CloseReason, ConnectError, Limits, ServerBuilder, TransportFault, TransportKind,
    socketio::{AckError, DisconnectReason, EmitError, Io, Parser, Socket, SocketRef},
    testing::{TestConnectError, TestLink, TestSocket},
};
use enginewire_tests::test_sockets::end;

use crate::{Host, sockets::run, soon, until};

on_every_runtime!(
    events_and_acknowledgements_go_both_ways,
    namespaces_share_a_session_and_may_refuse,
    session_uses_the_transports_that_it_is_told,
    parser_of_the_server_is_that_of_its_clients,
    client_that_knows_that_it_is_connected_is_a_member_and_misses_no_broadcast,
    cut_is_noticed_by_both_sides_and_a_new_session_opens,
    frozen_client_is_reported_by_the_heartbeat,
    thawed_client_has_lost_nothing,
    slow_network_takes_its_time,
    either_side_leaves_and_both_know_the_reason,
    client_that_does_not_receive_is_a_slow_one,
    dropped_handles_leave_as_a_page_does,
    server_of_a_link_closes_and_refuses,
    link_serves_engine_io_with_options,
    connector_that_fails_is_a_server_that_is_not_there,
    connector_may_encrypt,
);

/// Waits for a client, as every test does.
fn connect<R: Host>(link: &TestLink<R>) -> TestSocket {
    soon("a connection", link.connect("/")).unwrap()
}

/// The server's side of a socket, which it has soon after the client has its own.
fn of_server(io: &Io, socket: &TestSocket) -> SocketRef {
    let mut found = None;
    until("a socket", || {
        found = io.namespace(socket.namespace()).socket(socket.id());
        found.is_some()
    });
    found.unwrap()
}

/// Sends every event to all others, acknowledges it, and tells others of its end.
async fn chat(mut socket: Socket) {
    while let Some(mut event) = socket.recv().await {
        match event.name() {
            "leave" => socket.disconnect(),
            _ => {
                let _ = event.ack().send(&event.args().len()).await;
                let _ = socket.broadcast().forward(&event).await;
            }
        }
    }
    let reason = socket.reason().map_or("none", DisconnectReason::as_str);
    let _ = socket.broadcast().emit("left", reason).await;
}

fn recv(socket: &mut TestSocket) -> (String, String) {
    let event = soon("an event", socket.recv()).unwrap();
    (event.name().to_owned(), event.data().unwrap())
}

fn events_and_acknowledgements_go_both_ways<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let (mut anna, bert) = (connect(&link), connect(&link));
    assert_ne!(anna.id(), bert.id());
    soon("room", bert.emit("say", &"hello")).unwrap();
    assert_eq!(recv(&mut anna), ("say".into(), "hello".into()));
    let count: usize = soon("an ack", bert.emit_with_ack("say", &("a", "b"))).unwrap();
    assert_eq!(count, 3);
    let error = soon("an ack", bert.emit_with_ack::<String, _>("say", &())).unwrap_err();
    assert!(matches!(error, AckError::Decode(_)), "{error}");
    soon("room", bert.emit("png", &Bytes::from_static(b"png"))).unwrap();
    let names: Vec<_> = (0..3).map(|_| soon("an event", anna.recv()).unwrap()).collect();
    assert_eq!(names[2].data::<&[u8]>().unwrap(), b"png");
    assert!(bert.client().engine().close_reason().is_none());

    // The server asks.
    let socket = of_server(&io, &anna);
    let asking = socket.emit_with_ack::<u8, _>("age?", &());
    let (asked, answer) = mpsc::channel();
    R::default().spawn(async move { asked.send(asking.await).unwrap() });
    let question = soon("a question", anna.recv()).unwrap();
    soon("room", question.acknowledge(&42)).unwrap();
    assert_eq!(answer.recv_timeout(Duration::from_secs(20)).unwrap().unwrap(), 42);
    soon("nothing", names[0].acknowledge(&())).unwrap();
}

fn namespaces_share_a_session_and_may_refuse<R: Host>() {
    let io = Io::new();
    let guarded = io.namespace("/guarded").authorize(|request| async move {
        match request.auth::<Auth>() {
            Ok(auth) if auth.token == "secret" => Ok(()),
            _ => Err("no".into()),
        }
    });
    R::default().spawn(async move { guarded.serve(chat).await });
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let mut main = connect(&link);
    let client = main.client();
    let error = soon("a response", client.connect("guarded")).unwrap_err();
    assert!(matches!(&error, TestConnectError::Refused(error) if error.message() == "no"));
    let error = soon("a response", client.connect("/other")).unwrap_err();
    assert!(matches!(&error, TestConnectError::Refused(_)), "{error}");
    let mut guarded =
        soon("a response", client.connect_with("guarded", &Auth { token: "secret".into() }))
            .unwrap();
    assert_eq!((guarded.namespace(), main.namespace()), ("/guarded", "/"));
    let again = soon("an error", client.connect("/guarded")).unwrap_err();
    assert!(matches!(again, TestConnectError::Connected), "{again}");
    assert_eq!(link.server().sessions(), 1);

    // Each has its own events, whoever reads.
    soon("a broadcast", io.namespace("/guarded").emit("inner", "b")).unwrap();
    soon("a broadcast", io.emit("outer", "c")).unwrap();
    assert_eq!(recv(&mut main), ("outer".into(), "c".into()));
    assert_eq!(recv(&mut guarded), ("inner".into(), "b".into()));
    soon("leaving", guarded.disconnect());
    assert_eq!(end(&mut guarded), DisconnectReason::ClientLeft);
    let count: usize = soon("an ack", main.emit_with_ack("still there", &())).unwrap();
    assert_eq!(count, 1);
    until("an empty namespace", || io.namespace("/guarded").is_empty());
    soon("a response", client.connect_with("guarded", &Auth { token: "secret".into() })).unwrap();
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Auth {
    token: String,
}

fn session_uses_the_transports_that_it_is_told<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let upgraded = connect(&link);
    let open = |transports: Vec<TransportKind>| {
        let client = link.open_with(|client| client.transports(transports));
        let client = soon("a session", client).unwrap();
        soon("a connection", client.connect("/")).unwrap()
    };
    let polling = open(vec![TransportKind::Polling]);
    let websocket = open(vec![TransportKind::WebSocket]);
    assert_eq!(websocket.client().transport(), TransportKind::WebSocket);
    until("an upgrade", || upgraded.client().transport() == TransportKind::WebSocket);
    for socket in [&upgraded, &polling, &websocket] {
        let count: usize = soon("an ack", socket.emit_with_ack("a", &())).unwrap();
        assert_eq!(count, 1);
    }
    assert_eq!(polling.client().transport(), TransportKind::Polling);
    // Polling needs two at a time.
    assert!(link.connections() >= 3);
}

fn parser_of_the_server_is_that_of_its_clients<R: Host>() {
    let io = Io::builder().parser(Parser::MessagePack).build();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::with(ServerBuilder::on(R::default()).socketio(&io));
    let (mut anna, bert) = (connect(&link), connect(&link));
    soon("room", bert.emit("say", &"hello")).unwrap();
    assert_eq!(recv(&mut anna), ("say".into(), "hello".into()));
}

fn client_that_knows_that_it_is_connected_is_a_member_and_misses_no_broadcast<R: Host>() {
    let io = Io::new();
    let link = TestLink::<R>::new(&io);
    let namespace = io.namespace("/");
    for transport in [TransportKind::WebSocket, TransportKind::Polling].repeat(150) {
        let client = link.open_with(|client| client.transports([transport]));
        let client = soon("a session", client).unwrap();
        let mut socket = soon("a connection", client.connect("/")).unwrap();
        assert!(namespace.socket(socket.id()).is_some(), "over {transport}");
        soon("a broadcast", io.emit("news", &"a")).unwrap();
        assert_eq!(recv(&mut socket), ("news".into(), "a".into()));
    }
}

fn cut_is_noticed_by_both_sides_and_a_new_session_opens<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let mut anna = connect(&link);
    let other = link.another();
    let mut bert = connect(&other);
    // The server must know as well, or it waits for the next poll.
    let socket = of_server(&io, &bert);
    until("an upgrade", || socket.transport() == TransportKind::WebSocket);
    other.cut();
    assert!(matches!(
        end(&mut bert),
        DisconnectReason::TransportClose | DisconnectReason::TransportError
    ));
    let (name, reason) = recv(&mut anna);
    assert_eq!(name, "left");
    assert!(reason.starts_with("transport "), "{reason}");
    let error = soon("an error", bert.emit("late", &())).unwrap_err();
    assert_eq!(error, EmitError::Disconnected);
    let error = soon("an error", bert.client().connect("/")).unwrap_err();
    assert!(matches!(error, TestConnectError::Disconnected(_)), "{error}");

    let bert = connect(&other);
    soon("room", bert.emit("say", &"again")).unwrap();
    assert_eq!(recv(&mut anna), ("say".into(), "again".into()));
}

fn frozen_client_is_reported_by_the_heartbeat<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let heartbeat = Duration::from_millis(300);
    let builder = ServerBuilder::on(R::default()).socketio(&io);
    let link = TestLink::with(builder.ping_interval(heartbeat).ping_timeout(heartbeat));
    let mut anna = connect(&link);
    let other = link.another();
    let mut bert = connect(&other);
    other.freeze();
    assert_eq!(recv(&mut anna), ("left".into(), "ping timeout".into()));
    assert_eq!(end(&mut bert), DisconnectReason::PingTimeout);
}

fn thawed_client_has_lost_nothing<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let mut anna = connect(&link);
    let other = link.another();
    let mut bert = connect(&other);
    other.freeze();
    soon("room", anna.emit("say", &"to bert")).unwrap();
    soon("room", bert.emit("say", &"to anna")).unwrap();
    let count: usize = soon("an ack", anna.emit_with_ack("behind it", &"it")).unwrap();
    assert_eq!(count, 2);
    other.thaw();
    assert_eq!(recv(&mut bert), ("say".into(), "to bert".into()));
    assert_eq!(recv(&mut bert), ("behind it".into(), "it".into()));
    assert_eq!(recv(&mut anna), ("say".into(), "to anna".into()));
}

fn slow_network_takes_its_time<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let mut anna = connect(&link);
    let other = link.another();
    let bert = connect(&other);
    until("an upgrade", || bert.client().transport() == TransportKind::WebSocket);
    other.slow(100_000);
    let start = Instant::now();
    soon("room", bert.emit("say", &"x".repeat(20_000))).unwrap();
    assert_eq!(recv(&mut anna).1.len(), 20_000);
    assert!(start.elapsed() >= Duration::from_millis(199), "{:?}", start.elapsed());
    other.full_speed();
    other.delay(Duration::from_millis(100));
    let start = Instant::now();
    let _: usize = soon("an ack", bert.emit_with_ack("a", &"a")).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(199), "{:?}", start.elapsed());
}

fn either_side_leaves_and_both_know_the_reason<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let (mut anna, mut bert) = (connect(&link), connect(&link));
    soon("room", bert.emit("leave", &())).unwrap();
    assert_eq!(end(&mut bert), DisconnectReason::ServerLeft);
    assert_eq!(recv(&mut anna), ("left".into(), "server namespace disconnect".into()));
    assert_eq!(soon("an error", bert.emit("late", &())).unwrap_err(), EmitError::Disconnected);
    let error = soon("an error", bert.emit_with_ack::<u8, _>("late", &())).unwrap_err();
    assert!(matches!(error, AckError::Emit(EmitError::Disconnected)), "{error}");

    // The session goes on.
    let mut bert = soon("a connection", bert.client().connect("/")).unwrap();
    soon("leaving", bert.disconnect());
    soon("nothing", bert.disconnect());
    assert_eq!(end(&mut bert), DisconnectReason::ClientLeft);
    assert_eq!(recv(&mut anna), ("left".into(), "client namespace disconnect".into()));
    assert_eq!(soon("the end", bert.client().close()), CloseReason::ForcedClose);
    assert_eq!(end(&mut bert), DisconnectReason::ClientLeft);
}

fn client_that_does_not_receive_is_a_slow_one<R: Host>() {
    let io = Io::new();
    let (ended, reason) = mpsc::channel();
    run::<R, _>(&io, "/", move |socket| {
        let ended = ended.clone();
        async move { ended.send(socket.closed().await).unwrap() }
    });
    let builder = ServerBuilder::on(R::default()).socketio(&io);
    let mut limits = Limits::default();
    limits.max_queued = 10_000;
    let link = TestLink::with(builder.limits(limits));
    let mut limits = Limits::default();
    limits.max_unread = 10_000;
    let client =
        link.open_with(|client| client.limits(limits).transports([TransportKind::WebSocket]));
    let client = soon("a session", client).unwrap();
    let mut slow = soon("a connection", client.connect("/")).unwrap();
    let payload = "x".repeat(1000);
    let socket = of_server(&io, &slow);
    // More than the queue holds, less than the network does.
    for _ in 0..50 {
        soon("room", socket.emit("one", &payload)).unwrap();
    }
    let mut sent = 50;
    while !io.namespace("/").is_empty() {
        soon("a broadcast", io.emit("all", &payload)).unwrap();
        sent += 1;
        assert!(sent < 100_000, "it is never full");
    }
    assert_eq!(reason.recv_timeout(Duration::from_secs(20)), Ok(DisconnectReason::Overflow));
    // It receives what was there before, and the end.
    let mut received = 0;
    while soon("an event", slow.recv()).is_some() {
        received += 1;
    }
    assert!((20..sent).contains(&received), "{received} of {sent}: {:?}", slow.reason());
}

fn dropped_handles_leave_as_a_page_does<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let (mut anna, bert) = (connect(&link), connect(&link));
    let socket = of_server(&io, &bert);
    until("an upgrade", || socket.transport() == TransportKind::WebSocket);
    let client = bert.client();
    drop(bert);
    assert_eq!(io.namespace("/").len(), 2, "its session is there");
    drop(client);
    assert_eq!(recv(&mut anna), ("left".into(), "transport close".into()));
}

fn server_of_a_link_closes_and_refuses<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", chat);
    let link = TestLink::<R>::new(&io);
    let mut anna = connect(&link);
    let (server, reason) = (link.server(), soon_end(&mut anna));
    soon("the end", futures_util::future::join(server.close(), reason));
    assert_eq!((server.sessions(), server.connections()), (0, 0));
    let error = soon("an error", link.open()).unwrap_err();
    assert!(error.to_string().contains("no connection to the server"), "{error}");
}

/// Receives until the end.
async fn soon_end(socket: &mut TestSocket) {
    while socket.recv().await.is_some() {}
}

fn link_serves_engine_io_with_options<R: Host>() {
    let builder = ServerBuilder::on(R::default()).path("/live").add_trailing_slash(false);
    let link = TestLink::with(builder);
    let mut client = soon("a session", link.client().query("a", "1").connect()).unwrap();
    let mut session = soon("a session", link.server().accept()).unwrap();
    assert_eq!(session.handshake().query_value("a").as_deref(), Some("1"));
    assert_ne!(session.peer_addr(), client.peer_addr());
    soon("room", client.send("hello")).unwrap();
    assert_eq!(soon("a message", session.recv()), Some("hello".into()));
    // The server ends with its last link.
    let other = link.clone();
    drop(link);
    soon("room", session.send("there")).unwrap();
    assert_eq!(soon("a message", client.recv()), Some("there".into()));
    drop(other);
    assert_eq!(soon("the end", client.recv()), None);
}

fn connector_that_fails_is_a_server_that_is_not_there<R: Host>() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let client = Client::<R>::builder("http://nowhere:1").connector(move |url| {
        counted.fetch_add(1, SeqCst);
        async move {
            assert_eq!((url.host(), url.port()), ("nowhere", 1));
            Err::<(enginewire_tokio::Stream, _), _>(io::Error::other("no tunnel"))
        }
    });
    let error = soon("an error", client.connect()).unwrap_err();
    assert!(error.to_string().contains("no tunnel"), "{error}");
    let ConnectError::Session { reason, .. } = error else { panic!("{error}") };
    assert_eq!(reason, CloseReason::TransportError(TransportFault::Unreachable));
    assert_eq!(attempts.load(SeqCst), 1);
}

fn connector_may_encrypt<R: Host>() {
    let client = Client::<R>::builder("https://localhost").connector(|url| async move {
        assert!(url.is_secure());
        Err::<(enginewire_tokio::Stream, _), _>(io::Error::other("bad certificate"))
    });
    let error = soon("an error", client.connect()).unwrap_err();
    assert!(error.to_string().contains("bad certificate"), "{error}");
}
