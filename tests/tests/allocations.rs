//! Small WebSocket messages cost the server no allocation once its buffers have grown. Sessions and clients that say
//! nothing cost little heap.
//!
//! What is measured has a thread to itself, and only what that thread allocates is counted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    backtrace::Backtrace,
    cell::Cell,
    future::Future,
    hint::black_box,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        LazyLock, OnceLock,
        atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use enginewire::{
    Event, Message, ServerHub as Hub,
    hub::{Output, ServerHubConfig},
};
use enginewire_heap::{Count, Counting};
use enginewire_tests::{client::Client, tls};
use enginewire_tokio::{
    ServerBuilder, Socket, Tokio, TransportKind,
    socketio::{self, Data, Io, Routes, SocketRef, State},
};
use rustls::{ClientConnection, StreamOwned};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use self::event_loop::EventLoop;

#[path = "../../core/examples/mio_echo/event_loop.rs"]
mod event_loop;

#[test]
fn messages_one_by_one_cost_nothing() {
    for server in [on_tokio, on_tokio_with_a_handler] {
        spend(server, &MESSAGE, 1, 1, echo).assert_nothing();
    }
}

#[test]
fn messages_in_batches_cost_nothing() {
    for server in [on_tokio, on_tokio_with_a_handler] {
        spend(server, &MESSAGE, 1, 16, echo).assert_nothing();
    }
}

#[test]
fn messages_of_several_sessions_cost_nothing() {
    for server in [on_tokio, on_tokio_with_a_handler] {
        spend(server, &MESSAGE, 16, 1, echo).assert_nothing();
    }
}

#[test]
fn messages_cost_a_hub_nothing() {
    for (sessions, batch) in [(1, 1), (1, 16), (16, 1)] {
        spend(on_a_hub, &MESSAGE, sessions, batch, echo).assert_nothing();
    }
}

#[test]
fn one_allocation_per_message_would_be_counted() {
    for server in [on_tokio, on_tokio_with_a_handler, on_a_hub] {
        let meter = spend(server, &MESSAGE, 1, 1, |message| {
            black_box(Box::new(0));
            message
        });
        assert_eq!(meter.allocations.load(SeqCst), MESSAGES);
    }
}

#[test]
fn event_of_a_kibibyte_costs_two_allocations() {
    // The message that came, and the one that goes. One that is cut by the end of a read costs one more.
    for batch in [1, 8] {
        let meter = spend(on_socketio, &EVENT, 1, batch, echo);
        let allocations = meter.allocations.load(SeqCst);
        assert!(allocations <= 2 * MESSAGES, "{allocations} for {MESSAGES} events");
    }
}

#[test]
fn broadcast_costs_nothing_per_recipient() {
    let [(few, few_bytes), (many, many_bytes)] = [1, 64].map(cost_of_broadcasts);
    // Not even one allocation more for 63 recipients more, nor one copy of the text.
    assert!(few >= BROADCASTS && many < few + BROADCASTS, "{few} and {many} allocations");
    let more = many_bytes.saturating_sub(few_bytes);
    assert!(more < 1024 * BROADCASTS, "{few_bytes} and {many_bytes} bytes");
}

#[test]
fn a_session_that_says_nothing_costs_little() {
    let limits: [(&str, Server, &Speech, _); 5] = [
        ("tokio", on_tokio, &MESSAGE, 3200),
        ("tokio with a handler", on_tokio_with_a_handler, &MESSAGE, 3200),
        ("hub", on_a_hub, &MESSAGE, 2560),
        ("Socket.IO on tokio", on_socketio, &EVENT, 5120),
        ("Socket.IO with handlers", on_socketio_with_handlers, &EVENT, 5120),
    ];
    for (name, server, speech, limit) in limits {
        let each = heap_of_a_session(server, speech);
        // Less than the state of a WebSocket and a session cannot be: then nothing was counted.
        assert!((500..limit).contains(&each), "{name}: {each} bytes each");
    }
}

#[test]
fn client_of_socketio_that_says_nothing_costs_little() {
    for transport in [TransportKind::WebSocket, TransportKind::Polling] {
        let each = heap_of_a_client(transport);
        assert!((2000..13_000).contains(&each), "{transport}: {each} bytes each");
    }
}

#[test]
fn session_with_tls_costs_little_beyond_rustls() {
    let bare = heap_of_a_connection(on_bare_rustls, |client| {
        client.write_all(b"a").unwrap();
        client.read_exact(&mut [0]).unwrap();
    });
    let ours = heap_of_a_connection(on_tokio_with_tls, |client| {
        client.write_all(Client::upgrade("").as_bytes()).unwrap();
        let mut byte = [0];
        // The open packet ends the response.
        while byte != *b"}" {
            client.read_exact(&mut byte).unwrap();
        }
    });
    // What rustls holds cannot be less: then it was not counted. A task of tokio-rustls keeps the room of its handshake,
    // so that there may be nothing beyond it.
    assert!(bare.min(ours) > 4000, "{bare} and {ours} bytes each");
    assert!(ours - bare < 5120, "{} bytes each beyond {bare}", ours - bare);
}

/// How a client begins, and what it says.
struct Speech {
    open: fn(SocketAddr) -> Client,
    text: fn(usize) -> String,
}

/// A message of 64 bytes, with its type digit before it.
const MESSAGE: Speech = Speech { open: Client::open_websocket, text: |i| format!("4{i:064}") };

/// An event of Socket.IO with an argument of 1 KiB.
const EVENT: Speech = Speech {
    open: |address| {
        let mut client = Client::open_websocket(address);
        client.send("40");
        assert!(client.text().starts_with("40{"));
        client
    },
    text: |i| format!(r#"42["echo","{i:01024}"]"#),
};

/// What each session does with each message: the answer to it.
type Application = fn(Message) -> Message;

fn echo(message: Message) -> Message {
    message
}

/// Serves so many sessions, all that there will be, on a thread whose allocations this meter counts.
type Server = fn(&'static Meter, usize, Application, mpsc::Sender<SocketAddr>);

/// Sends [`MESSAGES`] through a server that is warm, from each of `sessions` so many at a time as
/// `batch` says. What that cost the server.
fn spend(
    server: Server,
    speech: &Speech,
    sessions: usize,
    batch: usize,
    application: Application,
) -> &'static Meter {
    let meter: &Meter = Box::leak(Box::default());
    let (ready, address) = mpsc::channel();
    let server = thread::spawn(move || server(meter, sessions, application, ready));
    let address = address.recv().unwrap();
    let mut clients = Vec::new();
    for _ in 0..sessions {
        clients.push((speech.open)(address));
    }
    exchange(&mut clients, speech, WARM_UP, batch);
    meter.counting.store(true, SeqCst);
    exchange(&mut clients, speech, MESSAGES, batch);
    // Of the last message the server may have something to do still, of all others nothing.
    meter.counting.store(false, SeqCst);
    drop(clients);
    server.join().unwrap();
    meter
}

/// Has one of so many sockets send events that go to all of them. What that cost a server that is warm: allocations,
/// and their bytes.
fn cost_of_broadcasts(recipients: usize) -> (usize, usize) {
    let meter: &Meter = Box::leak(Box::default());
    let (ready, address) = mpsc::channel();
    let server = thread::spawn(move || on_socketio_to_all(meter, recipients, echo, ready));
    let address = address.recv().unwrap();
    let mut clients: Vec<_> = (0..recipients).map(|_| (EVENT.open)(address)).collect();
    for broadcast in 0..2 * BROADCASTS {
        if broadcast == BROADCASTS {
            meter.counting.store(true, SeqCst);
        }
        let text = (EVENT.text)(broadcast);
        clients[0].write(Client::frame(&text));
        for client in &mut clients {
            assert_eq!(client.text(), text);
        }
    }
    meter.counting.store(false, SeqCst);
    drop(clients);
    server.join().unwrap();
    (meter.allocations.load(SeqCst), meter.bytes.load(SeqCst))
}

/// Bytes of the server's heap that one more WebSocket session takes, which has said nothing yet.
fn heap_of_a_session(server: Server, speech: &Speech) -> isize {
    let meter: &Meter = Box::leak(Box::default());
    let (ready, address) = mpsc::channel();
    let server = thread::spawn(move || server(meter, 1 + 2 * IDLE, echo, ready));
    let address = address.recv().unwrap();
    let mut busy = [(speech.open)(address)];
    let mut idle = Vec::new();
    let mut live = [0; 2];
    for live in &mut live {
        idle.extend((0..IDLE).map(|_| (speech.open)(address)));
        // Once this has its answer, the server has done all that the others gave it to do.
        exchange(&mut busy, speech, 1, 1);
        *live = meter.live.load(SeqCst);
    }
    drop((busy, idle));
    server.join().unwrap();
    (live[1] - live[0]) / IDLE.cast_signed()
}

/// Bytes of the server's heap that one more connection with TLS takes, once `open` has done what comes first on it.
fn heap_of_a_connection(
    server: Server,
    open: fn(&mut StreamOwned<ClientConnection, TcpStream>),
) -> isize {
    let meter: &Meter = Box::leak(Box::default());
    let (ready, address) = mpsc::channel();
    let server = thread::spawn(move || server(meter, 2 * IDLE, echo, ready));
    let address = address.recv().unwrap();
    let mut clients = Vec::new();
    let mut live = [0; 2];
    for live in &mut live {
        for _ in 0..IDLE {
            let mut client = tls::connect(AUTHORITY.client(), address, "localhost");
            open(&mut client);
            clients.push(client);
        }
        *live = meter.live.load(SeqCst);
    }
    drop(clients);
    server.join().unwrap();
    (live[1] - live[0]) / IDLE.cast_signed()
}

/// The authority of servers with TLS.
static AUTHORITY: LazyLock<tls::Authority> = LazyLock::new(tls::Authority::default);

/// Bytes of heap that one more client of Socket.IO takes, which is connected and has said nothing yet.
fn heap_of_a_client(transport: TransportKind) -> isize {
    let (ready, address) = mpsc::channel();
    let server = thread::spawn(move || {
        on_socketio_with_handlers(Box::leak(Box::default()), 1 + IDLE, echo, ready);
    });
    let url = format!("http://{}", address.recv().unwrap());
    let clients = thread::spawn(move || {
        let meter: &Meter = Box::leak(Box::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        METER.set(Some(meter));
        let each = runtime.unwrap().block_on(async {
            let mut clients = Vec::with_capacity(1 + IDLE);
            let mut before = 0;
            for nth in 0..=IDLE {
                let client = socketio::ClientBuilder::new(&url).path("/engine.io/");
                let client = client.transports([transport]).build().unwrap();
                let socket = client.open().unwrap();
                socket.connected().await.unwrap();
                clients.push((client, socket));
                if nth == 0 {
                    before = meter.live.load(SeqCst);
                }
            }
            let each = (meter.live.load(SeqCst) - before) / IDLE.cast_signed();
            for (client, _) in clients {
                client.close().await;
            }
            each
        });
        METER.set(None);
        each
    });
    let each = clients.join().unwrap();
    server.join().unwrap();
    each
}

/// Has `n` messages answered with themselves.
fn exchange(clients: &mut [Client], speech: &Speech, n: usize, batch: usize) {
    for first in (0..n).step_by(batch * clients.len()) {
        let texts: Vec<_> = (first..first + batch).map(speech.text).collect();
        let frames: Vec<_> = texts.iter().flat_map(|text| Client::frame(text)).collect();
        for client in &mut *clients {
            client.write(&frames);
        }
        for client in &mut *clients {
            for text in &texts {
                assert_eq!(&client.text(), text);
            }
        }
    }
}

fn on_tokio(
    meter: &'static Meter,
    sessions: usize,
    application: Application,
    ready: mpsc::Sender<SocketAddr>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    METER.set(Some(meter));
    runtime.unwrap().block_on(serve(sessions, application, ready));
}

fn on_a_hub(
    meter: &'static Meter,
    sessions: usize,
    application: Application,
    ready: mpsc::Sender<SocketAddr>,
) {
    let mut config = ServerHubConfig::default();
    config.protocol.ping_interval = Duration::from_secs(3600);
    let hub = Hub::new(config, event_loop::entropy);
    let mut events = EventLoop::new(hub, "127.0.0.1:0".parse().unwrap()).unwrap();
    ready.send(events.local_addr().unwrap()).unwrap();
    METER.set(Some(meter));
    let mut closed = 0;
    while closed < sessions {
        events.drain(|hub, _, output| match output {
            Output::Event(session, Event::Message(message)) => {
                hub.send(session, application(message)).unwrap();
            }
            Output::Event(_, Event::Closed(_)) => closed += 1,
            _ => {}
        });
        if closed < sessions {
            events.wait(None).unwrap();
        }
    }
}

/// A server that ends with the last of its sessions.
async fn serve(sessions: usize, application: Application, ready: mpsc::Sender<SocketAddr>) {
    // The heartbeat is no message: none comes up in so long.
    let builder = ServerBuilder::on(Tokio::default()).ping_interval(Duration::from_secs(3600));
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    ready.send(server.local_addr()).unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..sessions {
        tasks.spawn(answer(server.accept().await.unwrap(), application));
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    server.close().await;
}

fn on_tokio_with_a_handler(
    meter: &'static Meter,
    sessions: usize,
    application: Application,
    ready: mpsc::Sender<SocketAddr>,
) {
    run_handler(meter, sessions, application, ready, |builder| builder);
}

fn on_tokio_with_tls(
    meter: &'static Meter,
    sessions: usize,
    application: Application,
    ready: mpsc::Sender<SocketAddr>,
) {
    let config = AUTHORITY.server(&AUTHORITY.issue(&["localhost"]));
    run_handler(meter, sessions, application, ready, |builder| builder.tls(config));
}

/// Bytes back and forth, one at a time.
fn on_bare_rustls(
    meter: &'static Meter,
    sessions: usize,
    _: Application,
    ready: mpsc::Sender<SocketAddr>,
) {
    let config = AUTHORITY.server(&AUTHORITY.issue(&["localhost"]));
    let acceptor = TlsAcceptor::from(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    METER.set(Some(meter));
    runtime.unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ready.send(listener.local_addr().unwrap()).unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..sessions {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let accept = acceptor.accept(stream);
            tasks.spawn(async move {
                let (mut stream, mut byte) = (accept.await.unwrap(), [0]);
                while stream.read(&mut byte).await.is_ok_and(|n| n > 0) {
                    stream.write_all(&byte).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    });
}

fn run_handler(
    meter: &'static Meter,
    sessions: usize,
    application: Application,
    ready: mpsc::Sender<SocketAddr>,
    change: impl FnOnce(ServerBuilder) -> ServerBuilder,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    METER.set(Some(meter));
    runtime.unwrap().block_on(async {
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let builder = ServerBuilder::on(Tokio::default()).ping_interval(Duration::from_secs(3600));
        let builder = builder.handler(move |socket, _| {
            let ended = ended.clone();
            async move {
                answer(socket, application).await;
                ended.send(()).unwrap();
            }
        });
        let server = change(builder).bind("127.0.0.1:0").await.unwrap();
        ready.send(server.local_addr()).unwrap();
        for _ in 0..sessions {
            ends.recv().await.unwrap();
        }
        server.close().await;
    });
}

fn on_socketio(
    meter: &'static Meter,
    sessions: usize,
    _: Application,
    ready: mpsc::Sender<SocketAddr>,
) {
    run_socketio(meter, sessions, ready, |io, ended| {
        let session = move |mut socket: socketio::Socket| {
            let ended = ended.clone();
            async move {
                while let Some(event) = socket.recv().await {
                    let text: &str = event.data().unwrap();
                    socket.emit("echo", text).await.unwrap();
                }
                ended.send(()).unwrap();
            }
        };
        let namespace = io.namespace("/");
        async move { namespace.serve(session).await }
    });
}

/// Each event goes to all sockets.
fn on_socketio_to_all(
    meter: &'static Meter,
    sessions: usize,
    _: Application,
    ready: mpsc::Sender<SocketAddr>,
) {
    run_socketio(meter, sessions, ready, |io, ended| {
        let session = move |mut socket: socketio::Socket| {
            let ended = ended.clone();
            async move {
                while let Some(event) = socket.recv().await {
                    let text: &str = event.data().unwrap();
                    socket.namespace().emit("echo", text).await.unwrap();
                }
                ended.send(()).unwrap();
            }
        };
        let namespace = io.namespace("/");
        async move { namespace.serve(session).await }
    });
}

fn on_socketio_with_handlers(
    meter: &'static Meter,
    sessions: usize,
    _: Application,
    ready: mpsc::Sender<SocketAddr>,
) {
    run_socketio(meter, sessions, ready, |io, ended| {
        let routes = Routes::new()
            .on("echo", async |socket: SocketRef, Data(text): Data<String>| {
                socket.emit("echo", &text).await
            })
            .on_disconnect(async |State(ended): State<Ended>| ended.send(()).unwrap())
            .with_state(ended);
        io.mount("/", routes)
    });
}

/// Told for each session that has ended.
type Ended = tokio::sync::mpsc::UnboundedSender<()>;

/// A server of Socket.IO that ends with the last of its sessions.
fn run_socketio<F: Future<Output = ()> + Send + 'static>(
    meter: &'static Meter,
    sessions: usize,
    ready: mpsc::Sender<SocketAddr>,
    serve: impl FnOnce(&Io, Ended) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    METER.set(Some(meter));
    runtime.unwrap().block_on(async {
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let io = Io::new();
        let builder = ServerBuilder::on(Tokio::default()).ping_interval(Duration::from_secs(3600));
        let builder = builder.socketio(&io).path("/engine.io/");
        let server = builder.bind("127.0.0.1:0").await.unwrap();
        let serving = tokio::spawn(serve(&io, ended));
        // The namespace is served from the first socket on.
        tokio::task::yield_now().await;
        ready.send(server.local_addr()).unwrap();
        for _ in 0..sessions {
            ends.recv().await.unwrap();
        }
        server.close().await;
        serving.await.unwrap();
    });
}

async fn answer(mut socket: Socket, application: Application) {
    while let Some(message) = socket.recv().await {
        socket.send(application(message)).await.unwrap();
    }
}

/// What a thread has allocated.
#[derive(Default)]
struct Meter {
    counting: AtomicBool,
    /// Allocations and reallocations while counting.
    allocations: AtomicUsize,
    /// Their bytes.
    bytes: AtomicUsize,
    /// Bytes allocated less bytes freed, counting or not.
    live: AtomicIsize,
    /// Where the first of them was.
    first: OnceLock<Backtrace>,
}

impl Meter {
    fn assert_nothing(&self) {
        let allocations = self.allocations.load(SeqCst);
        if let Some(first) = self.first.get() {
            panic!(
                "{MESSAGES} messages cost {allocations} allocations, the first of them here:\n{first}"
            );
        }
        assert_eq!(allocations, 0);
    }
}

thread_local! {
    /// The meter of a thread that is counted. Needs neither an allocation nor a destructor.
    static METER: Cell<Option<&'static Meter>> = const { Cell::new(None) };
}

#[global_allocator]
static ALLOCATOR: Counting<Metered> = Counting(Metered);

struct Metered;

// What counting allocates is not counted: the meter is taken away meanwhile.
impl Count for Metered {
    fn freed(&self, bytes: usize) {
        if let Some(meter) = METER.get() {
            meter.live.fetch_sub(bytes.cast_signed(), SeqCst);
        }
    }

    fn allocated(&self, bytes: usize) {
        let Some(meter) = METER.get() else { return };
        meter.live.fetch_add(bytes.cast_signed(), SeqCst);
        if !meter.counting.load(SeqCst) {
            return;
        }
        meter.allocations.fetch_add(1, SeqCst);
        meter.bytes.fetch_add(bytes, SeqCst);
        // What the backtrace allocates is not the server's.
        METER.set(None);
        meter.first.get_or_init(Backtrace::force_capture);
        METER.set(Some(meter));
    }
}

/// Messages until every buffer has grown to its size.
const WARM_UP: usize = 800;

const MESSAGES: usize = 10_000;

const BROADCASTS: usize = 200;

/// Sessions over which the heap of one is averaged, the room included that lists have left after they
/// have grown.
const IDLE: usize = 256;
