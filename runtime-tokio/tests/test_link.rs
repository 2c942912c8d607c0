//! An application of Socket.IO on virtual time: real clients and a real server, connected by memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use enginewire_tokio::{
    ServerBuilder, TransportKind,
    socketio::{
        AckError, Asking, Attachment, Bus, BusEvent, DisconnectReason, EmitError, Io, Message,
        Named, RecoveryConfig, Socket,
    },
    testing::{TestLink, TestSocket},
};
use tokio::time::{Instant, timeout};

const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Time that an event waits for its place in the log of a cluster.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);

/// Time after which something has not come.
const DAY: Duration = Duration::from_secs(86_400);

/// The application under test: it passes events on, and reports who leaves.
async fn talk(mut socket: Socket) {
    while let Some(event) = socket.recv().await {
        let _ = socket.broadcast().forward(&event).await;
    }
    let reason = socket.reason().map_or("none", DisconnectReason::as_str);
    let _ = socket.broadcast().emit("left", reason).await;
}

fn start() -> (Io, TestLink) {
    let io = Io::new();
    let link = TestLink::new(&io);
    let chat = io.namespace("/");
    tokio::spawn(async move { chat.serve(talk).await });
    (io, link)
}

async fn on_websocket(link: &TestLink) -> TestSocket {
    let open = link.open_with(|client| client.transports([TransportKind::WebSocket]));
    open.await.unwrap().connect("/").await.unwrap()
}

async fn left(socket: &mut TestSocket) -> String {
    let event = socket.recv().await.unwrap();
    assert_eq!(event.name(), "left");
    event.data().unwrap()
}

#[tokio::test(start_paused = true)]
async fn silent_client_is_reported_at_the_exact_time_of_the_heartbeat() {
    let (_, link) = start();
    let mut anna = on_websocket(&link).await;
    let laptop = link.another();
    let real = std::time::Instant::now();
    let start = Instant::now();
    let mut bert = on_websocket(&laptop).await;
    assert_eq!(start.elapsed(), Duration::ZERO, "a handshake takes no time");
    laptop.freeze();
    assert_eq!(left(&mut anna).await, "ping timeout");
    assert_eq!(start.elapsed(), PING_INTERVAL + PING_TIMEOUT);
    assert!(bert.recv().await.is_none());
    assert_eq!(bert.reason(), Some(DisconnectReason::PingTimeout));
    assert!(real.elapsed() < Duration::from_secs(20), "it took {:?}", real.elapsed());
}

#[tokio::test(start_paused = true)]
async fn client_whose_loss_is_noticed_late_misses_nothing_whatever_delay_is_configured() {
    let mut recovery = RecoveryConfig::default();
    (recovery.window, recovery.max_delay) = (Duration::from_secs(10), Duration::from_secs(1));
    let io = Io::builder().recovery(recovery).build();
    let (link, namespace) = (TestLink::new(&io), io.namespace("/"));
    let laptop = link.another();
    let mut client = laptop.client().connect().await.unwrap();
    client.send("0").await.unwrap();
    let connected = client.recv().await.unwrap().as_text().unwrap().to_owned();
    laptop.freeze();
    io.emit("missed", &1).await.unwrap();
    tokio::time::sleep(PING_INTERVAL + PING_TIMEOUT + Duration::from_secs(8)).await;
    assert!(namespace.is_empty(), "its loss is noticed");

    let mut client = link.client().connect().await.unwrap();
    let pid = connected.split('"').nth(7).unwrap();
    client.send(format!(r#"0{{"pid":"{pid}"}}"#)).await.unwrap();
    let missed = client.recv().await.unwrap();
    assert!(missed.as_text().unwrap().starts_with(r#"2["missed",1,"#), "{missed:?}");
    assert_eq!(client.recv().await.unwrap().as_text(), Some(&*connected));
}

#[tokio::test(start_paused = true)]
async fn clients_that_are_there_are_kept_for_a_day() {
    let (io, link) = start();
    let polling = link.open_with(|client| client.transports([TransportKind::Polling]));
    let polling = polling.await.unwrap().connect("/").await.unwrap();
    let (mut websocket, upgraded) = (on_websocket(&link).await, link.connect("/").await.unwrap());
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(upgraded.client().transport(), TransportKind::WebSocket);
    assert_eq!(io.namespace("/").len(), 3);
    polling.emit("say", &"still here").await.unwrap();
    assert_eq!(websocket.recv().await.unwrap().data::<&str>().unwrap(), "still here");
}

#[tokio::test(start_paused = true)]
async fn client_that_is_thawed_before_its_deadline_stays() {
    let (io, link) = start();
    let laptop = link.another();
    let (anna, mut bert) = (on_websocket(&link).await, on_websocket(&laptop).await);
    for _ in 0..10 {
        laptop.freeze();
        tokio::time::sleep(PING_TIMEOUT - Duration::from_millis(1)).await;
        laptop.thaw();
        anna.emit("say", &"hello").await.unwrap();
        assert_eq!(bert.recv().await.unwrap().data::<&str>().unwrap(), "hello");
    }
    assert_eq!(io.namespace("/").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn question_to_a_frozen_client_ends_at_its_deadline() {
    let (io, link) = start();
    let anna = on_websocket(&link).await;
    let socket = io.namespace("/").socket(anna.id()).unwrap();
    link.freeze();
    let start = Instant::now();
    let error = socket.emit_with_ack::<u8, _>("age?", &()).await.unwrap_err();
    assert!(matches!(error, AckError::Timeout), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

const SAY: Named<String> = Named::new("say");
const LENGTH: Asking<String, usize> = Asking::new("length");

#[tokio::test(start_paused = true)]
async fn names_type_what_a_client_of_a_test_sends_and_acknowledges() {
    let io = Io::new();
    let (link, chat) = (TestLink::new(&io), io.namespace("/"));
    let serving = chat.clone();
    let session = |mut socket: Socket| async move {
        while let Some(mut event) = socket.recv().await {
            if let Some(text) = event.data_of(LENGTH) {
                let _ = event.ack_for(LENGTH).send(&text.unwrap().len()).await;
            } else if let Some(text) = event.data_of(SAY) {
                let _ = socket.emit(SAY, &text.unwrap()).await;
            }
        }
    };
    tokio::spawn(async move { serving.serve(session).await });
    let mut anna = on_websocket(&link).await;
    anna.emit(SAY, "hello").await.unwrap();
    assert_eq!(anna.recv().await.unwrap().data_of(SAY).unwrap().unwrap(), "hello");
    assert_eq!(anna.emit_with_ack(LENGTH, "hello").await.unwrap(), 5);

    let asked = tokio::spawn(chat.socket(anna.id()).unwrap().emit_with_ack(LENGTH, "hi"));
    anna.recv().await.unwrap().acknowledge_for(LENGTH, &2).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn acknowledgement_carries_binary_data_without_a_copy() {
    const PICTURE: Asking<(), (String, Attachment)> = Asking::new("picture");
    let io = Io::new();
    let (link, chat) = (TestLink::new(&io), io.namespace("/"));
    let session = |mut socket: Socket| async move {
        while let Some(mut event) = socket.recv().await {
            let (png, payload) = (Bytes::from_static(b"png"), ("cat.png", Attachment::new(0)));
            let _ = match event.name() {
                "picture" => event.ack_for(PICTURE).attach(png).send(&payload).await,
                "missing" => event.ack().send(&payload).await,
                _ => event.ack().attach(png).try_send(&payload),
            };
        }
    };
    tokio::spawn(async move { chat.serve(session).await });
    let anna = on_websocket(&link).await;
    for name in ["any", "picture"] {
        let picture = anna.emit_with_ack::<(String, Bytes), _>(name, &()).await.unwrap();
        assert_eq!(picture, ("cat.png".into(), Bytes::from_static(b"png")));
    }
    // There is no attachment of this number: nothing is sent.
    let missing = timeout(PING_TIMEOUT, anna.emit_with_ack::<(), _>("missing", &())).await;
    assert!(missing.is_err(), "{missing:?}");
}

#[tokio::test(start_paused = true)]
async fn rooms_of_a_namespace_are_listed_with_their_sizes() {
    let (io, link) = start();
    let chat = io.namespace("/");
    assert!(chat.rooms().is_empty());
    let (anna, bert) = (on_websocket(&link).await, on_websocket(&link).await);
    let [of_anna, of_bert] = [&anna, &bert].map(|client| chat.socket(client.id()).unwrap());
    of_anna.join(["rust", "de"]);
    of_bert.join("rust");
    assert_eq!(chat.rooms(), BTreeMap::from([("de".into(), 1), ("rust".into(), 2)]));
    assert_eq!(["rust", "none"].map(|room| chat.room_len(room)), [2, 0]);
    assert_eq!(chat.room_len(anna.id()), 1, "its own room, which is not listed");
    of_bert.join(anna.id());
    assert_eq!(chat.rooms()[anna.id().as_str()], 2);
    of_bert.disconnect();
    of_bert.closed().await;
    while chat.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(chat.rooms(), BTreeMap::from([("de".into(), 1), ("rust".into(), 1)]));
}

#[tokio::test(start_paused = true)]
async fn rooms_of_a_pattern_are_those_of_all_its_namespaces() {
    let io = Io::new();
    let (link, projects) = (TestLink::new(&io), io.namespaces("/project/{id}").unwrap());
    let serving = projects.clone();
    let session = |mut socket: Socket| async move {
        socket.join("editors");
        let _ = socket.emit("joined", &()).await;
        while socket.recv().await.is_some() {}
    };
    tokio::spawn(async move { serving.serve(session).await });
    let client = link.open().await.unwrap();
    let mut sockets = Vec::new();
    for name in ["/project/1", "/project/2"] {
        let mut socket = client.connect(name).await.unwrap();
        assert_eq!(socket.recv().await.unwrap().name(), "joined");
        assert_eq!(io.find(name).unwrap().rooms(), BTreeMap::from([("editors".into(), 1)]));
        sockets.push(socket);
    }
    assert_eq!(projects.rooms(), BTreeMap::from([("editors".into(), 2)]));
    assert_eq!(projects.room_len("editors"), 2);
}

#[tokio::test(start_paused = true)]
async fn broadcast_tells_why_each_client_was_not_asked() {
    let io = Io::builder().max_pending_acks(1).build();
    let (link, chat) = (TestLink::new(&io), io.namespace("/"));
    tokio::spawn(async move { chat.serve(talk).await });
    let (busy, gone) = (on_websocket(&link).await, on_websocket(&link).await);
    // Kept: dropped, it would owe nothing.
    let _owed = io.to(busy.id()).emit_with_ack::<u8, _>("age?", &());
    // Its task, which takes it out of the namespace, has not run yet.
    io.namespace("/").socket(gone.id()).unwrap().disconnect();
    let failed = io.emit_with_ack::<u8, _>("age?", &()).all().await.unwrap().failed;
    let [(of_busy, owes), (of_gone, left)] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!((of_busy, of_gone), (busy.id(), gone.id()));
    assert!(matches!(owes, AckError::Emit(EmitError::TooManyAcks { max: 1 })), "{owes}");
    assert!(matches!(left, AckError::Disconnected(DisconnectReason::ServerLeft)), "{left}");
    assert!(io.namespace("/").socket(busy.id()).is_some(), "it is not slow on the wire");
}

#[tokio::test(start_paused = true)]
async fn slow_network_delays_by_the_bytes_that_it_carries() {
    let (_, link) = start();
    let slow = link.another();
    let (mut anna, bert) = (on_websocket(&link).await, on_websocket(&slow).await);
    slow.slow(100);
    let start = Instant::now();
    // Event and frame add 20 bytes.
    bert.emit("say", &"x".repeat(980)).await.unwrap();
    anna.recv().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    slow.full_speed();
    slow.delay(Duration::from_secs(3));
    let start = Instant::now();
    anna.emit("say", &"hello").await.unwrap();
    let mut bert = bert;
    bert.recv().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn client_that_asks_for_nothing_is_closed_after_the_connect_timeout() {
    let (_, link) = start();
    let start = Instant::now();
    let mut silent = link.client().connect().await.unwrap();
    assert_eq!(silent.recv().await, None);
    assert_eq!(start.elapsed(), Duration::from_secs(45));
}

#[tokio::test(start_paused = true)]
async fn connection_over_a_frozen_network_is_given_up_in_time() {
    let link = TestLink::with(ServerBuilder::new());
    link.freeze();
    let start = Instant::now();
    let opening = link.client().open_timeout(Duration::from_secs(7)).connect();
    assert!(timeout(Duration::from_secs(60), opening).await.unwrap().is_err());
    assert_eq!(start.elapsed(), Duration::from_secs(7));
}

/// A bus with a log that takes no message.
struct Jammed;

impl Bus for Jammed {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn send(&mut self, _: Message) {}

    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<BusEvent> {
        Poll::Pending
    }

    fn counts_nodes(&self) -> bool {
        true
    }

    fn has_log(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_jammed_bus_does_not_take_ends_at_its_deadline() {
    let io = Io::builder().cluster(Jammed).recovery(RecoveryConfig::default()).build();
    let link = TestLink::new(&io);
    let _namespace = io.namespace("/");
    let mut anna = on_websocket(&link).await;
    let start = Instant::now();
    // It waits for its place in the log, and is delivered without one.
    let sent = tokio::spawn(io.emit("late", &1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Sooner than what the task of the bus waits for.
    let asked = io.broadcast().timeout(Duration::from_secs(2)).fetch_sockets();
    let missing = timeout(DAY, asked).await.unwrap().missing;
    assert_eq!((missing.nodes, start.elapsed()), (1, Duration::from_secs(3)));
    let event = timeout(DAY, anna.recv()).await.unwrap().unwrap();
    assert_eq!((event.name(), start.elapsed()), ("late", LOG_TIMEOUT));
    assert_eq!(sent.await.unwrap().unwrap().sockets, 1);
}
