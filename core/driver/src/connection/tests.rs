//! Connections of one thread, polled by hand in the order that a test wants.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use enginewire::{Router, ServerConfig, Time, wire::http};
use futures_io::{AsyncRead, AsyncWrite};

use super::*;
use crate::{
    cell::Sessions,
    clock::Clock,
    handler::{Handler, Handling},
    server::Accepting,
    shared::{AllowHook, Hooks, Options, Verdict},
    socket::{Cell, Socket},
    sync::lock,
    waiters::Shareable as _,
};

/// A stream that brings what it was given, one piece a read, and takes everything.
#[derive(Default)]
struct Script {
    reads: VecDeque<io::Result<Vec<u8>>>,
    /// Reads that were tried since this was last taken.
    tried: usize,
    /// The runtime has not noticed that there is something to read.
    late: bool,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Stream for Script {
    fn poll_readable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.late { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.tried += 1;
        let Some(read) = self.reads.pop_front() else { return Poll::Pending };
        Poll::Ready(read.map(|bytes| {
            buffer[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        lock(&self.written).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

fn server() -> Arc<Shared> {
    server_with(16, None)
}

fn server_with(backlog: usize, allow: Option<AllowHook>) -> Arc<Shared> {
    server_of(ServerConfig::default(), backlog, allow)
}

fn server_of(config: ServerConfig, backlog: usize, allow: Option<AllowHook>) -> Arc<Shared> {
    let options = Options { backlog, ..Options::default() };
    server_with_hooks(config, options, Hooks { allow, ..Hooks::default() })
}

fn server_with_hooks(config: ServerConfig, options: Options, hooks: Hooks) -> Arc<Shared> {
    let sessions = Arc::new(Sessions::new(Clock::of(|| Time::ZERO)));
    let (router, http) = (Router::new(config), http::Config::default());
    Arc::new(Shared::new(sessions, router, http, hooks, options, vec![anywhere()]))
}

/// A connection on which so much comes, one piece a read, and what is written to it.
fn connection(
    server: &Arc<Shared>,
    reads: impl IntoIterator<Item = io::Result<&'static str>>,
) -> (Connection<Script>, Arc<Mutex<Vec<u8>>>) {
    let reads = reads.into_iter().map(|read| read.map(|text| text.as_bytes().to_vec())).collect();
    let stream = Script { reads, ..Script::default() };
    let written = Arc::clone(&stream.written);
    (Connection::new(Arc::clone(server), stream, anywhere()), written)
}

fn accept(server: &Shared, cx: &Context<'_>) -> Poll<Option<Socket>> {
    Accepting { shared: server, key: None }.poll(cx)
}

fn poll(connection: &mut Connection<Script>) -> Poll<()> {
    Pin::new(connection).poll(&mut Context::from_waker(Waker::noop()))
}

/// Returns the status codes of the responses written since the last call.
fn answers(written: &Mutex<Vec<u8>>) -> Vec<String> {
    let bytes = std::mem::take(&mut *lock(written));
    let text = String::from_utf8_lossy(&bytes);
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].to_owned()).collect()
}

const ELSEWHERE: &str = "GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n";

const OPEN: &str = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";

const UPGRADE: &str = "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn what_a_connection_that_breaks_had_to_say_is_not_said_to_another() {
    let server = server();
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    let (mut broken, _) = connection(&server, [Ok(UPGRADE), Err(reset)]);
    let (mut other, written) = connection(&server, [Ok(ELSEWHERE)]);
    assert!(poll(&mut broken).is_ready());
    assert!(poll(&mut other).is_pending());
    assert_eq!(answers(&written), ["404"]);
}

#[test]
fn what_a_connection_has_to_say_when_its_turn_ends_is_not_said_to_another() {
    let server = server();
    let requests = std::iter::repeat_n(ELSEWHERE, ROUNDS - 1).chain([UPGRADE]).map(Ok);
    let (mut busy, written) = connection(&server, requests);
    let (mut other, others) = connection(&server, [Ok(ELSEWHERE)]);
    assert!(poll(&mut busy).is_pending());
    assert!(poll(&mut other).is_pending());
    assert_eq!(answers(&others), ["404"]);
    assert!(poll(&mut busy).is_pending());
    let answers = answers(&written);
    assert_eq!((answers.len(), answers.last().map(String::as_str)), (ROUNDS, Some("101")));
}

/// Says how often it was woken.
#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_connection_that_waits_for_the_peer_s_close_is_not_looked_at_until_it_comes() {
    let server = server();
    let (mut connection, written) = connection(&server, [Ok(UPGRADE)]);
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(Arc::clone(&alarm));
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut connection).poll(&mut cx).is_pending());
    let Poll::Ready(Some(socket)) = accept(&server, &cx) else { panic!("no session") };
    // More than is taken from a session at a time.
    socket.try_send(vec![0; 100_000]).unwrap();
    drop(socket);
    alarm.0.store(0, Ordering::Relaxed);
    assert!(Pin::new(&mut connection).poll(&mut cx).is_pending());
    assert!(lock(&written).ends_with(&[0x88, 0]), "all is out, and the Close behind it");
    assert_eq!(alarm.0.load(Ordering::Relaxed), 0);
}

#[test]
fn everybody_who_waits_for_a_session_learns_of_one_and_of_the_end() {
    let server = server();
    let alarms = [Arc::new(Alarm::default()), Arc::new(Alarm::default())];
    let woken = || alarms.iter().map(|alarm| alarm.0.swap(0, Ordering::Relaxed)).min();
    let mut waiting = alarms.each_ref().map(|_| Accepting { shared: &server, key: None });
    let mut wait = || {
        for (alarm, accepting) in alarms.iter().zip(&mut waiting) {
            let waker = Waker::from(Arc::clone(alarm));
            assert!(accepting.poll(&Context::from_waker(&waker)).is_pending());
        }
    };
    wait();
    let (mut connection, _) = connection(&server, [Ok(UPGRADE)]);
    assert!(poll(&mut connection).is_pending());
    // Whoever does not wait any more may have been the one that was woken.
    assert_eq!(woken(), Some(1));
    let cx = Context::from_waker(Waker::noop());
    assert!(matches!(accept(&server, &cx), Poll::Ready(Some(_))));
    wait();
    server.advance_to(Phase::Closing);
    assert_eq!(woken(), Some(1));
    drop(waiting);
    assert!(alarms.iter().all(|alarm| Arc::strong_count(alarm) == 1), "they are forgotten");
}

#[test]
fn sessions_that_were_let_in_together_do_not_exceed_the_backlog() {
    let verdict = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&verdict);
    let allow = move |_: Arc<crate::Handshake>| -> Verdict {
        let asked = Arc::clone(&asked);
        Box::pin(std::future::poll_fn(move |_| match asked.load(Ordering::Relaxed) {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }))
    };
    let server = server_with(2, Some(Box::new(allow)));
    let mut connections: Vec<_> = (0..4).map(|_| connection(&server, [Ok(OPEN)])).collect();
    for (connection, _) in &mut connections {
        assert!(poll(connection).is_pending());
    }
    verdict.store(1, Ordering::Relaxed);
    let mut all = Vec::new();
    for (connection, written) in &mut connections {
        let _ = poll(connection);
        all.extend(answers(written));
    }
    assert_eq!(all, ["200", "200", "503", "503"]);
    assert_eq!(server.sessions.lifecycle.sessions(), 2);
}

#[test]
fn an_answer_that_had_to_wait_for_the_one_before_it_is_not_forgotten() {
    let server = server();
    let (mut first, written) = connection(&server, [Ok(OPEN)]);
    assert!(poll(&mut first).is_pending());
    let opened = String::from_utf8(std::mem::take(&mut *lock(&written))).unwrap();
    let sid = opened.split('"').nth(3).unwrap();
    let cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(socket)) = accept(&server, &cx) else { panic!("no session") };
    let get = OPEN.replace(" HTTP", &format!("&sid={sid} HTTP"));
    let (mut second, written) = connection(&server, []);
    second.stream.reads.push_back(Ok(get.repeat(2).into_bytes()));
    assert!(poll(&mut second).is_pending());
    // Too large for one answer.
    for _ in 0..2 {
        socket.try_send(vec![0; 600_000]).unwrap();
    }
    assert!(poll(&mut second).is_pending());
    assert_eq!(answers(&written), ["200", "200"]);
}

#[test]
fn a_peer_is_read_again_once_nothing_but_its_close_is_of_interest() {
    let mut config = ServerConfig::default();
    config.limits.max_unread = 1;
    let server = server_of(config, 16, None);
    let (mut connection, written) = connection(&server, [Ok(UPGRADE)]);
    assert!(poll(&mut connection).is_pending());
    let cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(socket)) = accept(&server, &cx) else { panic!("no session") };
    // A message, masked with zeros: from now on the application has too much to catch up with.
    connection.stream.reads.push_back(Ok(b"\x81\x82\0\0\0\x004a".to_vec()));
    assert!(poll(&mut connection).is_pending());
    let Cell::Server(cell) = socket.cell() else { panic!("a session of a server") };
    cell.with(|session, _, _| session.abort());
    lock(&written).clear();
    connection.stream.reads.push_back(Ok(b"\x88\x80\0\0\0\0".to_vec()));
    assert!(poll(&mut connection).is_ready(), "the closing handshake is complete");
    assert!(lock(&written).ends_with(&[0x88, 0]));
}

/// A server whose handlers run in `spawned` where no connection polls them.
fn server_with_handler<F: Future<Output = ()> + Send + 'static>(
    handle: impl Fn(Socket) -> F + Send + Sync + 'static,
) -> (Arc<Shared>, Arc<Mutex<Vec<Handling>>>) {
    let spawned = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&spawned);
    let spawn = Box::new(move |handling| lock(&to).push(handling));
    let handler = Some(Handler { hook: Box::new(move |socket| Box::pin(handle(socket))), spawn });
    let hooks = Hooks { handler, ..Hooks::default() };
    let mut config = ServerConfig::default();
    config.limits.max_unread = MAX_UNREAD;
    // There is no backlog, as nobody accepts.
    let options = Options { backlog: 0, ..Options::default() };
    (server_with_hooks(config, options, hooks), spawned)
}

/// Bytes that a session with a handler may have unread.
const MAX_UNREAD: usize = 10_000;

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

#[test]
fn handler_replies_in_the_poll_that_brought_the_message() {
    let (server, spawned) = server_with_handler(echo);
    let (mut connection, written) = connection(&server, [Ok(UPGRADE)]);
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(Arc::clone(&alarm));
    let mut cx = Context::from_waker(&waker);
    for text in [1, 16] {
        assert!(Pin::new(&mut connection).poll(&mut cx).is_pending());
        assert_eq!(alarm.0.load(Ordering::Relaxed), 0, "nothing is left to do");
        lock(&written).clear();
        let texts = b"\x81\x82\0\0\0\x004a".repeat(text);
        connection.stream.reads.push_back(Ok(texts));
        assert!(Pin::new(&mut connection).poll(&mut cx).is_pending());
        assert_eq!(*lock(&written), b"\x81\x024a".repeat(text));
    }
    assert!(lock(&spawned).is_empty());
}

#[test]
fn handler_of_a_session_that_begins_with_polling_is_spawned() {
    let (server, spawned) = server_with_handler(echo);
    let (mut connection, written) = connection(&server, [Ok(OPEN)]);
    assert!(poll(&mut connection).is_pending());
    assert_eq!((answers(&written), lock(&spawned).len()), (vec!["200".to_owned()], 1));
}

#[test]
fn handler_at_work_is_spawned_when_its_connection_ends() {
    let (server, spawned) = server_with_handler(|socket| async move {
        echo(socket).await;
        std::future::pending().await
    });
    let (mut connection, _) = connection(&server, [Ok(UPGRADE), Ok("")]);
    assert!(poll(&mut connection).is_ready());
    drop(connection);
    assert_eq!((lock(&spawned).len(), server.sessions.lifecycle.sessions()), (1, 0));
}

#[test]
fn end_of_a_server_waits_for_handlers_unless_it_is_aborted() {
    let (server, spawned) = server_with_handler(|_| std::future::pending());
    let lifecycle = &server.sessions.lifecycle;
    let (mut connection, _) = connection(&server, [Ok(UPGRADE), Ok("")]);
    assert!(poll(&mut connection).is_ready());
    drop(connection);
    server.advance_to(Phase::Closing);
    assert!(!lifecycle.is_finished());
    lock(&spawned).clear();
    assert!(lifecycle.is_finished());

    let (server, _spawned) = server_with_handler(|_| std::future::pending());
    let (mut connection, _) = self::connection(&server, [Ok(UPGRADE), Ok("")]);
    assert!(poll(&mut connection).is_ready());
    drop(connection);
    server.advance_to(Phase::Aborting);
    assert!(server.sessions.lifecycle.is_finished());
}

#[test]
fn closing_server_starts_no_handler_for_a_handshake_that_it_was_deciding_about() {
    let decide = Arc::new(AtomicUsize::new(0));
    let decided = Arc::clone(&decide);
    let allow = move |_: Arc<crate::Handshake>| -> Verdict {
        let decided = Arc::clone(&decided);
        Box::pin(std::future::poll_fn(move |_| match decided.load(Ordering::Relaxed) {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }))
    };
    let started = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&started);
    let hook = Box::new(move |socket| -> crate::handler::HandlerFuture {
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(echo(socket))
    });
    let handler = Some(Handler { hook, spawn: Box::new(drop) });
    let hooks = Hooks { allow: Some(Box::new(allow)), handler, ..Hooks::default() };
    let server = server_with_hooks(ServerConfig::default(), Options::default(), hooks);
    let (mut connection, written) = connection(&server, [Ok(OPEN)]);
    assert!(poll(&mut connection).is_pending());
    server.advance_to(Phase::Closing);
    decide.store(1, Ordering::Relaxed);
    let _ = poll(&mut connection);
    assert_eq!(answers(&written), ["503"]);
    assert_eq!((started.load(Ordering::Relaxed), server.sessions.lifecycle.sessions()), (0, 0));
}

#[test]
fn connection_of_a_server_with_a_handler_lets_other_tasks_run() {
    for server in [server(), server_with_handler(echo).0] {
        let requests = std::iter::repeat_n(ELSEWHERE, 2 * ROUNDS).map(Ok);
        let (mut connection, written) = connection(&server, requests);
        assert!(poll(&mut connection).is_pending());
        assert_eq!(answers(&written).len(), ROUNDS);
    }
}

#[test]
fn request_and_upgrade_are_read_although_the_runtime_has_not_noticed_them() {
    let server = server();
    let (mut first, polled) = connection(&server, [Ok(OPEN)]);
    first.stream.late = true;
    assert!(poll(&mut first).is_pending());
    assert_eq!(first.stream.tried, 0, "a fresh connection waits to be told");
    assert!(poll(&mut first).is_pending());
    let opened = String::from_utf8(std::mem::take(&mut *lock(&polled))).unwrap();
    let sid = opened.split('"').nth(3).unwrap();
    first.stream.reads.push_back(Ok(ELSEWHERE.as_bytes().to_vec()));
    assert!(poll(&mut first).is_pending());
    assert_eq!(answers(&polled), ["404"]);

    let (mut second, written) = connection(&server, []);
    second.stream.late = true;
    assert!(poll(&mut second).is_pending());
    let upgrade = UPGRADE.replace(" HTTP", &format!("&sid={sid} HTTP"));
    let frames: [&[u8]; 2] = [b"\x81\x86\0\0\0\x002probe", b"\x81\x81\0\0\0\x005"];
    for (read, reply) in [upgrade.as_bytes(), frames[0]].into_iter().zip([&b"101"[..], b"3probe"]) {
        second.stream.reads.push_back(Ok(read.to_vec()));
        assert!(poll(&mut second).is_pending());
        let written = std::mem::take(&mut *lock(&written));
        assert!(written.windows(reply.len()).any(|part| part == reply));
    }
    second.stream.reads.push_back(Ok(frames[1].to_vec()));
    assert!(poll(&mut second).is_pending());
    // It is the session's from now on: what wakes its task is mostly the session.
    second.stream.tried = 0;
    assert!(poll(&mut second).is_pending());
    assert_eq!(second.stream.tried, 0);
    let get = OPEN.replace(" HTTP", &format!("&sid={sid} HTTP"));
    first.stream.reads.push_back(Ok(get.into_bytes()));
    assert!(poll(&mut first).is_pending());
    assert_eq!(answers(&polled), ["400"], "the session has left polling");
}

#[test]
fn pending_read_is_tried_once_a_poll() {
    for server in [server(), server_with_handler(echo).0] {
        let (mut connection, written) = connection(&server, [Ok(UPGRADE)]);
        assert!(poll(&mut connection).is_pending());
        connection.stream.tried = 0;
        assert!(poll(&mut connection).is_pending());
        assert_eq!(std::mem::take(&mut connection.stream.tried), 1);
        lock(&written).clear();
        connection.stream.reads.push_back(Ok(b"\x81\x82\0\0\0\x004a".to_vec()));
        assert!(poll(&mut connection).is_pending());
        assert_eq!(connection.stream.tried, 2, "the message, and nothing behind it");
    }
}

#[test]
fn message_from_elsewhere_is_written_without_a_read() {
    let (server, _spawned) = server_with_handler(echo);
    let (mut connection, written) = connection(&server, [Ok(UPGRADE)]);
    assert!(poll(&mut connection).is_pending());
    lock(&written).clear();
    connection.stream.tried = 0;
    let session = server.sessions.all().pop().unwrap();
    session.with(|session, _, _| session.send("a")).unwrap();
    assert!(poll(&mut connection).is_pending());
    assert_eq!((&**lock(&written), connection.stream.tried), (&b"\x81\x024a"[..], 0));
}

#[test]
fn peer_is_read_again_once_its_handler_has_caught_up() {
    let gate = Arc::new(Mutex::new((false, Waker::noop().clone())));
    let guard = Arc::clone(&gate);
    let (server, _spawned) = server_with_handler(move |socket| {
        let guard = Arc::clone(&guard);
        async move {
            std::future::poll_fn(|cx| {
                let mut gate = lock(&guard);
                gate.1 = cx.waker().clone();
                if gate.0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            echo(socket).await;
        }
    });
    let (mut connection, written) = connection(&server, [Ok(UPGRADE)]);
    // The first is more than may be unread, so the second stays where it is.
    let mut large = b"\x81\xfe".to_vec();
    large.extend(20_000u16.to_be_bytes());
    large.extend([0; 4]);
    large.resize(8 + 20_000, b'4');
    connection.stream.reads.extend([Ok(large), Ok(b"\x81\x82\0\0\0\x004b".to_vec())]);
    assert!(poll(&mut connection).is_pending());
    assert_eq!(connection.stream.reads.len(), 1);
    lock(&gate).0 = true;
    let waker = lock(&gate).1.clone();
    waker.wake();
    assert!(poll(&mut connection).is_pending());
    assert!(connection.stream.reads.is_empty());
    assert!(lock(&written).ends_with(b"\x81\x024b"), "both were echoed");
}
