//! A server that has several addresses, of which some do not answer: on real sockets, with a name
//! service of the test's own.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use enginewire::{CloseReason, Time, TransportFault, TransportKind};
use enginewire_driver::{ClientBuilder, Clock, ConnectError, Runtime};
use enginewire_tests::refusing::Refusing;
use rustix::net::{AddressFamily, SocketType};

use crate::{Host, client::soon, serve_echo};

on_every_runtime!(
    an_address_that_never_answers_costs_the_delay_and_not_the_timeout,
    an_address_that_refuses_costs_nothing,
    addresses_that_all_refuse_are_named_in_the_error,
    addresses_that_never_answer_end_with_the_timeout,
);

/// A runtime for which every name has the same addresses.
#[derive(Clone, Debug)]
struct Resolving<R> {
    inner: R,
    addresses: Vec<SocketAddr>,
}

impl<R: Runtime> Runtime for Resolving<R> {
    type Stream = R::Stream;
    type Listener = R::Listener;
    type Sleep = R::Sleep;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.spawn(task);
    }

    fn sleep_until(&self, deadline: Time) -> R::Sleep {
        self.inner.sleep_until(deadline)
    }

    fn clock(&self) -> Clock {
        self.inner.clock()
    }

    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<R::Listener>> + Send {
        self.inner.bind(address)
    }

    fn local_addr(&self, listener: &R::Listener) -> io::Result<SocketAddr> {
        self.inner.local_addr(listener)
    }

    async fn accept(&self, listener: &R::Listener) -> io::Result<(R::Stream, SocketAddr)> {
        self.inner.accept(listener).await
    }

    async fn resolve(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.addresses.clone())
    }

    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<R::Stream>> + Send {
        self.inner.connect(to)
    }
}

/// An address whose backlog is full: the system drops what comes to it.
struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _backlog: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let mut backlog = Vec::new();
        for _ in 0..64 {
            match TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
                Ok(stream) => backlog.push(stream),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return Self { address, _listener: listener, _backlog: backlog };
                }
            }
        }
        panic!("a backlog of 0 has room for {} connections", backlog.len());
    }
}

fn to<R: Host>(addresses: &[SocketAddr]) -> ClientBuilder<Resolving<R>> {
    let runtime = Resolving { inner: R::default(), addresses: addresses.to_vec() };
    ClientBuilder::new(runtime, "http://server.test")
}

/// Opens a session with an echo server that has `others` before its own address. Says how long that
/// took.
fn opened<R: Host>(others: &[SocketAddr]) -> Duration {
    let server = serve_echo::<R>(|builder| builder);
    let addresses = [others, &[server.local_addr()]].concat();
    let builder = to::<R>(&addresses).transports([TransportKind::WebSocket]);
    let began = Instant::now();
    let mut client = soon("a session", builder.connect()).unwrap();
    let took = began.elapsed();
    assert_eq!(client.peer_addr(), server.local_addr());
    soon("a send", client.send("hello")).unwrap();
    assert_eq!(soon("an echo", client.recv()), Some("hello".into()));
    took
}

/// Connection Attempt Delay of RFC 8305.
const DELAY: Duration = Duration::from_millis(250);

/// Less than a system takes to try again, not to speak of the 20 s that a session may take to open.
const SOON: Duration = Duration::from_secs(5);

fn an_address_that_never_answers_costs_the_delay_and_not_the_timeout<R: Host>() {
    let holes = [BlackHole::new(), BlackHole::new()];
    let took = opened::<R>(&holes.each_ref().map(|hole| hole.address));
    assert!(took >= 2 * DELAY, "the holes were not tried: {took:?}");
    assert!(took < SOON, "{took:?}");
}

fn an_address_that_refuses_costs_nothing<R: Host>() {
    let refusing = [Refusing::new(), Refusing::new()];
    assert!(opened::<R>(&refusing.each_ref().map(|refusing| refusing.address)) < SOON);
}

fn addresses_that_all_refuse_are_named_in_the_error<R: Host>() {
    let refusing = [Refusing::new(), Refusing::new()];
    let addresses = refusing.each_ref().map(|refusing| refusing.address);
    match soon("a failure", to::<R>(&addresses).connect()) {
        Err(ConnectError::Session { reason, source: Some(error), .. }) => {
            assert_eq!(reason, CloseReason::TransportError(TransportFault::Unreachable));
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert!(error.to_string().starts_with(&addresses[0].to_string()), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

fn addresses_that_never_answer_end_with_the_timeout<R: Host>() {
    let hole = BlackHole::new();
    let builder = to::<R>(&[hole.address]).open_timeout(Duration::from_millis(300));
    match soon("a failure", builder.connect()) {
        Err(ConnectError::Session { reason, .. }) => {
            assert_eq!(reason, CloseReason::TransportError(TransportFault::Timeout));
        }
        other => panic!("{other:?}"),
    }
}
