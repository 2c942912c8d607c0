//! How to test an application on virtual time: hours pass in milliseconds, and deadlines are exact.
//!
//! Two things make it possible. With `start_paused` the clock of `tokio::time` stands still while any task can
//! run, and jumps to the next deadline when none can; the server reads that clock. And connections are streams
//! of memory (`tokio::io::duplex`), because the clock does not know of bytes that are on their way through
//! the system's sockets. A server without a listener, [`ServerBuilder::start`], takes them from
//! [`serve`](enginewire_tokio::ServerHandle::serve).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, time::Duration};

use enginewire_tokio::{CloseReason, Server, ServerBuilder, Socket, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, advance, sleep, timeout},
};

/// The intervals that a server has by default.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What the application under test would do: it sends every message back.
async fn echo(mut socket: Socket) -> Option<CloseReason> {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
    socket.close_reason()
}

/// A client that does what a test tells it, and nothing else. For a polite one take
/// `enginewire_tokio::Client` on real sockets, without virtual time.
struct Client(DuplexStream);

impl Client {
    /// Opens a session over WebSocket.
    async fn open(server: &Server) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        tokio::spawn(server.serve(Stream(theirs), peer));
        let mut client = Self(ours);
        let request = "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n\
                       Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.0.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.0.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        assert!(client.recv().await.unwrap().starts_with("0{"), "the open packet");
        client
    }

    /// Sends a short packet in a text frame. A mask of zeros leaves the payload as it is.
    async fn send(&mut self, packet: &str) {
        let mut frame = vec![0x81, 0x80 | u8::try_from(packet.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(packet.as_bytes());
        self.0.write_all(&frame).await.unwrap();
    }

    /// Receives the next packet, `None` at the closing handshake.
    async fn recv(&mut self) -> Option<String> {
        let (opcode, length) = (self.0.read_u8().await.unwrap(), self.0.read_u8().await.unwrap());
        // Longer frames say their length in the two bytes that follow.
        let length = if length == 126 { self.0.read_u16().await.unwrap() } else { length.into() };
        let mut payload = vec![0; length.into()];
        self.0.read_exact(&mut payload).await.unwrap();
        (opcode == 0x81).then(|| String::from_utf8(payload).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_heartbeats_passes_at_once() {
    let server = ServerBuilder::new().start().unwrap();
    let mut client = Client::open(&server).await;
    let session = tokio::spawn(echo(server.accept().await.unwrap()));
    let (real, start) = (std::time::Instant::now(), Instant::now());
    for beat in 1..=144 {
        // The clock jumps to the next ping, because nothing else is to be done.
        assert_eq!(client.recv().await.as_deref(), Some("2"));
        assert_eq!(start.elapsed(), PING_INTERVAL * beat);
        client.send("3").await;
    }
    assert_eq!(start.elapsed(), Duration::from_secs(3600));
    assert!(real.elapsed() < Duration::from_secs(60), "an hour took {:?}", real.elapsed());

    // The session is as alive as it was at the beginning.
    client.send("4hello").await;
    assert_eq!(client.recv().await.as_deref(), Some("4hello"));
    drop(client);
    assert_eq!(session.await.unwrap(), Some(CloseReason::TransportClose));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_times_out_at_the_exact_time() {
    let server = ServerBuilder::new().start().unwrap();
    let mut client = Client::open(&server).await;
    let start = Instant::now();
    let session = tokio::spawn(echo(server.accept().await.unwrap()));
    // A ping, which this client does not respond to.
    assert_eq!(client.recv().await.as_deref(), Some("2"));
    assert_eq!(session.await.unwrap(), Some(CloseReason::PingTimeout));
    assert_eq!(start.elapsed(), PING_INTERVAL + PING_TIMEOUT);
    assert_eq!(client.recv().await, None, "the server closes");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_application_runs_on_the_same_clock() {
    let server = ServerBuilder::new().start().unwrap();
    let mut client = Client::open(&server).await;
    let mut socket = server.accept().await.unwrap();
    // An application that wants a message within 10 s, as it might of a login.
    let start = Instant::now();
    let login = tokio::spawn(async move {
        match timeout(Duration::from_secs(10), socket.recv()).await {
            Ok(_) => CloseReason::ForcedClose,
            Err(_) => socket.close_with("no login").await,
        }
    });
    assert_eq!(client.recv().await, None, "the server closes");
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!(login.await.unwrap(), CloseReason::Application("no login"));
}

#[tokio::test(start_paused = true)]
async fn closing_the_server_gives_a_slow_client_its_shutdown_timeout() {
    let timeout = Duration::from_secs(600);
    let server = ServerBuilder::new()
        // The session would not wait for so long, nor a peer that does not respond to pings.
        .close_timeout(2 * timeout)
        .ping_interval(2 * timeout)
        .shutdown_timeout(timeout)
        .start()
        .unwrap();
    let client = Client::open(&server).await;
    let socket = server.accept().await.unwrap();
    // More than the stream of memory takes while the client does not read.
    socket.send("x".repeat(200_000)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    server.close().await;
    assert_eq!(start.elapsed(), timeout);
    assert_eq!((server.sessions(), server.connections()), (0, 0));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn closing_the_server_goes_on_behind_a_pause_of_the_process() {
    let server = ServerBuilder::new().start().unwrap();
    let mut client = Client::open(&server).await;
    let socket = server.accept().await.unwrap();
    for n in 0..200 {
        socket.send(format!("{n} {}", "x".repeat(1000))).await.unwrap();
    }
    // The stream of memory is full.
    sleep(Duration::from_secs(1)).await;
    let close = tokio::spawn(async move { server.close().await });
    sleep(Duration::from_secs(1)).await;
    // As if the process had been stopped: nothing runs until the clock has jumped.
    advance(Duration::from_secs(60)).await;
    for n in 0..200 {
        let packet = client.recv().await.unwrap();
        assert!(packet.starts_with(&format!("4{n} ")));
    }
    drop(client);
    close.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connection_is_kept_for_longer_than_the_minute_of_a_load_balancer() {
    let server = ServerBuilder::new().start().unwrap();
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(server.serve(Stream(theirs), SocketAddr::from(([192, 0, 2, 1], 1))));
    let mut response = [0; 256];
    for pause in [0, 60, 74] {
        sleep(Duration::from_secs(pause)).await;
        ours.write_all(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let read = ours.read(&mut response).await.unwrap();
        assert!(response[..read].starts_with(b"HTTP/1.1 404 "), "after {pause} s");
    }
    let before = Instant::now();
    assert_eq!(ours.read(&mut response).await.unwrap(), 0);
    assert_eq!(before.elapsed().as_secs(), 75);
}
