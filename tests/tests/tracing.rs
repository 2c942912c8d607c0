//! What the feature `tracing` tells, and what it must not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    future::Future as _,
    io::{self, Write},
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use enginewire_tests::{refusing::Refusing, tls::Authority};
use enginewire_tokio::{
    Client, Refusal, Sender, ServerBuilder, TrustedProxies,
    enginewire::TransportKind,
    socketio::{Bus, BusEvent, ClientBuilder, Io, Message},
    testing::{MemoryBus, MemoryNetwork},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One request on a connection of its own; the whole answer.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What is told from now on, by this thread.
fn listen() -> (Log, impl Drop) {
    let log = Log::default();
    let listening = tell(log.clone());
    (log, listening)
}

/// Has a writer told of all events of this thread.
fn tell(writer: impl Write + Clone + Send + Sync + 'static) -> impl Drop {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing_subscriber::util::SubscriberInitExt::set_default(subscriber)
}

#[tokio::test]
async fn each_event_stands_in_the_span_of_its_connection_and_none_holds_a_session_id() {
    let (log, _listening) = listen();
    let server = ServerBuilder::new().bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr();
    let target = "/engine.io/?EIO=4&transport=polling";
    let rest = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let opened = ask(address, &format!("GET {target} {rest}\r\n")).await;
    let start = opened.find(r#""sid":""#).unwrap() + 7;
    let sid = &opened[start..start + 20];
    let mut socket = server.accept().await.unwrap();
    ask(address, &format!("GET {target}&sid=secret {rest}\r\n")).await;
    ask(address, &format!("POST {target}&sid={sid} {rest}Content-Length: 7\r\n\r\n4secret")).await;
    ask(address, &format!("POST {target}&sid={sid} {rest}Content-Length: 1\r\n\r\n1")).await;
    assert_eq!(socket.recv().await, Some("secret".into()));
    assert_eq!(socket.recv().await, None);
    server.close().await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for message in ["session opened", "request refused", "session closed"] {
        let line = log.lines().find(|line| line.contains(message));
        let line = line.unwrap_or_else(|| panic!("no {message:?} in\n{log}"));
        assert!(line.contains("connection{id="), "{line}");
        assert!(line.contains("peer=127.0.0.1:"), "{line}");
    }
    assert!(!log.contains(sid), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn the_events_of_a_client_stand_in_the_span_of_its_session() {
    let (log, _listening) = listen();
    let server = ServerBuilder::new().bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr();
    let url = format!("http://{address}/engine.io/?token=secret");
    let client = Client::connect(&url).await.unwrap();
    client.send("secret").await.unwrap();
    let sid = client.sid();
    let mut socket = server.accept().await.unwrap();
    assert_eq!(socket.recv().await, Some("secret".into()));
    drop(socket);
    client.close().await;
    server.close().await;
    let refused = Client::connect(&url).await.unwrap_err();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for message in ["session opened", "session closed", "connection failed"] {
        let is_it = |line: &&str| line.contains(message) && line.contains("session{id=");
        let line = log.lines().find(is_it);
        let line = line.unwrap_or_else(|| panic!("no {message:?} in\n{log}"));
        assert!(line.contains(&format!("server=\"{address}\"")), "{line}");
    }
    assert!(!log.contains(&sid) && !log.contains("secret"), "{log}");
    assert!(!format!("{refused} {refused:?} {client:?}").contains("secret"));
}

#[tokio::test]
async fn handlers_run_in_the_span_of_their_session_on_both_transports() {
    let (log, _listening) = listen();
    let io = Io::new();
    let clients = io.namespace("/");
    let builder = ServerBuilder::new().socketio(&io).trusted_proxies(
        // As behind a proxy: the span has the address of the client.
        TrustedProxies::parse("127.0.0.1").unwrap(),
    );
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr());
    let serving = clients.serve(|mut socket| async move {
        while let Some(mut event) = socket.recv().await {
            tracing::info!("handled {}", event.name());
            drop(event.ack().send(&()).await);
        }
    });
    let talking = async {
        for (transport, name) in
            [(TransportKind::WebSocket, "websocket"), (TransportKind::Polling, "polling")]
        {
            let client = ClientBuilder::new(&url).transports([transport]);
            let client = client.header("X-Forwarded-For", "203.0.113.9");
            let socket = client.connect().await.unwrap();
            socket.emit_with_ack::<(), _>(name, &()).await.unwrap();
        }
    };
    tokio::select! {
        _ = serving => unreachable!("the server is not closed"),
        () = talking => {}
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for message in ["handled websocket", "handled polling"] {
        let line = log.lines().find(|line| line.contains(message)).unwrap_or(&log);
        let [connection, session] = ["connection{id=", "session{id="].map(|span| line.find(span));
        assert!(connection.is_some() && connection < session, "{line}");
        assert!(line.contains("peer=203.0.113.9:0"), "{line}");
    }
}

#[tokio::test]
async fn refusals_name_the_client_behind_a_trusted_proxy() {
    let (log, _listening) = listen();
    let builder = ServerBuilder::new()
        .trusted_proxies(TrustedProxies::parse("127.0.0.1").unwrap())
        .allow_request(|_| async {
            // The exchange goes on in another turn of its task.
            tokio::task::yield_now().await;
            Err(Refusal::new("no"))
        });
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    for (query, client) in [
        ("EIO=4&transport=polling&sid=unknown", "203.0.113.1"),
        ("EIO=4&transport=none", "203.0.113.2"),
        ("EIO=4&transport=polling", "203.0.113.3"),
    ] {
        let fields = format!("Host: a\r\nConnection: close\r\nX-Forwarded-For: {client}");
        let request = format!("GET /engine.io/?{query} HTTP/1.1\r\n{fields}\r\n\r\n");
        assert!(ask(server.local_addr(), &request).await.starts_with("HTTP/1.1 4"));
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let is_it = |line: &str| {
            line.contains("request refused") && line.contains(&format!("peer={client}:0"))
        };
        assert!(log.lines().any(is_it), "{client} is not named in\n{log}");
    }
}

#[tokio::test]
async fn limit_that_is_reached_is_told_with_the_number_of_times() {
    let (log, _listening) = listen();
    let server = ServerBuilder::new().max_sessions(0).bind("127.0.0.1:0").await.unwrap();
    let request = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\
                   Connection: close\r\n\r\n";
    for _ in 0..3 {
        assert!(ask(server.local_addr(), request).await.starts_with("HTTP/1.1 503"));
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains("too many sessions")).unwrap_or(&log);
    assert!(line.contains("WARN") && line.contains("max=0 times=1"), "{line}");
}

#[tokio::test]
async fn node_that_cannot_be_reached_is_told_with_the_cause_and_asked_for_once_per_request() {
    let (log, _listening) = listen();
    let refusing = Refusing::new();
    let gone = refusing.address;
    let (asked, times_asked) = mpsc::channel();
    let builder = ServerBuilder::new().node(1).nodes(move |node| {
        asked.send(node).unwrap();
        Some(gone)
    });
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let request = "GET /engine.io/?EIO=4&transport=polling&sid=2--secretsecretsecre HTTP/1.1\r\n\
                   Host: a\r\nConnection: close\r\n\r\n";
    for _ in 0..3 {
        assert!(ask(server.local_addr(), request).await.starts_with("HTTP/1.1 503"));
    }
    assert_eq!(times_asked.try_iter().count(), 3);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    let [line] = warnings[..] else { panic!("{log}") };
    assert!(line.contains(&format!("node={gone} error=Connection refused")), "{line}");
    assert!(line.contains("no response from a node") && line.contains("times=1"), "{line}");
    assert!(!log.contains("secret"), "{log}");
}

/// Does something to a session as soon as it is told that it is over.
#[derive(Clone)]
struct Meddler {
    /// The span of whoever tells it.
    of: &'static str,
    sender: Arc<Mutex<Option<Sender>>>,
}

impl Write for Meddler {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let over = text.contains("session closed") && text.contains(self.of);
        let sender = self.sender.lock().unwrap().take_if(|_| over);
        if let Some(sender) = sender {
            // Whatever comes of it: it must come back.
            let _ = sender.try_send("too late");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn whoever_listens_may_use_the_session_that_is_spoken_of() {
    // Either side, told by the task that has its connections.
    for of in ["connection{id=", "session{id="] {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(meddle(of));
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(30)).expect("nothing waits for itself");
    }
}

async fn meddle(of: &'static str) {
    let meddler = Meddler { of, sender: Arc::default() };
    let _listening = tell(meddler.clone());
    let server = ServerBuilder::new().bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr());
    let client = Client::builder(&url).transports([TransportKind::WebSocket]).connect();
    let (client, socket) = (client.await.unwrap(), server.accept().await.unwrap());
    // Each session hears of the other's end on its connection.
    let (mut other, ended) = if of.starts_with('c') { (socket, client) } else { (client, socket) };
    *meddler.sender.lock().unwrap() = Some(other.sender());
    drop(ended);
    assert_eq!(other.recv().await, None);
    assert!(meddler.sender.lock().unwrap().is_none(), "nobody has told of the end");
}

/// Broadcasts once what is said is told.
#[derive(Clone)]
struct Broadcaster {
    of: &'static str,
    io: Arc<Mutex<Option<Io>>>,
}

impl Write for Broadcaster {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if String::from_utf8_lossy(bytes).contains(self.of)
            && let Some(io) = self.io.lock().unwrap().take()
        {
            let broadcast = pin!(io.emit("told", &()));
            let _ = broadcast.poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(io.stats().namespaces, 1);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A bus whose log has faults before anything else comes.
struct FaultyBus {
    bus: MemoryBus,
    faults: Vec<BusEvent>,
}

impl Bus for FaultyBus {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bus.poll_ready(cx)
    }

    fn send(&mut self, message: Message) {
        self.bus.send(message);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<BusEvent> {
        self.faults.pop().map_or_else(|| self.bus.poll_event(cx), Poll::Ready)
    }
}

#[test]
fn whoever_listens_may_use_the_server_that_is_spoken_of() {
    let of_bus = [
        "a node has joined",
        "a node of the cluster is lost",
        "is disconnected",
        "the log of the cluster has lost entries",
        "entries of the cluster's log are missing here",
    ];
    for of in ["socket connected"].into_iter().chain(of_bus) {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(broadcast_when_told(of));
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(30)).expect(of);
    }
}

async fn broadcast_when_told(of: &'static str) {
    let network = MemoryNetwork::new();
    let (bus, other) = (network.bus(), network.bus());
    let node = bus.node();
    let faults = vec![BusEvent::LogRewound, BusEvent::Missed(1)];
    let io = Io::builder().cluster(FaultyBus { bus, faults }).build();
    let _ = io.namespace("/");
    let broadcaster = Broadcaster { of, io: Arc::new(Mutex::new(Some(io.clone()))) };
    let _listening = tell(broadcaster.clone());
    let server = ServerBuilder::new().socketio(&io).bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr());
    let _socket = ClientBuilder::new(&url).build().unwrap().socket("/").open().unwrap();
    while io.stats().sockets == 0 {
        tokio::task::yield_now().await;
    }
    network.cut(node);
    while io.stats().nodes > 0 {
        tokio::task::yield_now().await;
    }
    drop(other);
    assert!(broadcaster.io.lock().unwrap().is_none(), "nobody has told that {of}");
}

#[tokio::test]
async fn client_without_tls_is_told_in_the_span_of_its_connection() {
    let (log, _listening) = listen();
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    let server = ServerBuilder::new().tls(config).bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    let peer = stream.local_addr().unwrap();
    drop(stream);
    server.close().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains("TLS handshake failed")).unwrap();
    let span = format!("connection{{id=0 peer={peer}}}");
    assert!(line.contains(&span) && line.contains("the peer does not speak TLS"), "{log}");
}
