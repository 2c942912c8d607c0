//! Connections of one thread, polled by hand in the order that a test wants.

use std::{
    collections::VecDeque,
    future::{Future, Pending, pending},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::Waker,
    time::Duration,
};

use enginewire::{Config, Router, Url, wire::http};
use futures_io::{AsyncRead, AsyncWrite};

use super::*;
use crate::shared::{Options, lock};

/// A runtime of which only the clock is asked for anything.
#[derive(Clone, Debug)]
struct ByHand;

/// A stream that brings what it was given, one piece a read, and takes everything.
#[derive(Default)]
struct Script {
    reads: VecDeque<io::Result<Vec<u8>>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Runtime for ByHand {
    type Stream = Script;
    type Listener = ();
    type Sleep = Pending<()>;

    fn spawn(&self, _task: impl Future<Output = ()> + Send + 'static) {}

    fn sleep_until(&self, _deadline: Time) -> Pending<()> {
        pending()
    }

    fn now(&self) -> Time {
        Time::ZERO
    }

    async fn bind(&self, _address: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    fn local_addr(&self, _listener: &()) -> io::Result<SocketAddr> {
        Ok(anywhere())
    }

    async fn accept(&self, _listener: &()) -> io::Result<(Script, SocketAddr)> {
        pending().await
    }

    async fn connect(&self, _to: &Url) -> io::Result<(Script, SocketAddr)> {
        pending().await
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
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

fn server() -> Arc<Shared<ByHand>> {
    let http = http::Config::default();
    let options = Options {
        backlog: 16,
        write_timeout: Duration::from_secs(30),
        linger: http.linger,
        shutdown_timeout: Duration::from_secs(10),
    };
    let router = Router::new(Config::default());
    Arc::new(Shared::new(ByHand, router, http, None, options, anywhere()))
}

/// A connection on which so much comes, one piece a read, and what is written to it.
fn connection(
    server: &Arc<Shared<ByHand>>,
    reads: impl IntoIterator<Item = io::Result<&'static str>>,
) -> (Connection<ByHand>, Arc<Mutex<Vec<u8>>>) {
    let reads = reads.into_iter().map(|read| read.map(|text| text.as_bytes().to_vec())).collect();
    let stream = Script { reads, ..Script::default() };
    let written = Arc::clone(&stream.written);
    (Connection::new(Arc::clone(server), stream, anywhere()), written)
}

fn poll(connection: &mut Connection<ByHand>) -> Poll<()> {
    Pin::new(connection).poll(&mut Context::from_waker(Waker::noop()))
}

/// What has been written since the last look: the numbers of the answers.
fn answers(written: &Mutex<Vec<u8>>) -> Vec<String> {
    let bytes = std::mem::take(&mut *lock(written));
    let text = String::from_utf8_lossy(&bytes);
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].to_owned()).collect()
}

const ELSEWHERE: &str = "GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n";

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
