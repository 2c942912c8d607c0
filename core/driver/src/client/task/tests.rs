//! The task of a session, polled by hand, towards a server's hub.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use enginewire::{Event, ServerHub, hub};
#[cfg(feature = "deflate")]
use enginewire::{PerMessageDeflate, TransportKind};
use futures_io::AsyncRead;

use super::*;
#[cfg(feature = "deflate")]
use crate::socket::Socket;
use crate::{
    client::builder::ClientBuilder,
    clock::Clock,
    runtime::{Runtime, Stream},
    sync::lock,
};

/// A runtime whose connections all lead to one hub.
#[derive(Clone, Debug, Default)]
struct Net(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now: Time,
    wires: Vec<Wire>,
    task: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("now", &self.now).finish_non_exhaustive()
    }
}

/// One TCP connection.
#[derive(Default)]
struct Wire {
    on: Option<hub::ConnectionId>,
    to_client: VecDeque<u8>,
    /// The room of the last read.
    room: usize,
    to_server: Vec<u8>,
    /// The socket takes nothing.
    blocked: bool,
    /// The runtime has not noticed yet that there is something to read.
    unnoticed: bool,
}

/// The client's end of a wire.
struct End {
    net: Net,
    at: usize,
}

impl Net {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }

    fn wait(&self, time: Duration) {
        let mut inner = self.inner();
        inner.now = inner.now + time;
    }

    fn poll_task(&self) {
        let mut task = self.inner().task.take().expect("the client has a task");
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(task.as_mut().poll(cx).is_pending(), "the session goes on");
        self.inner().task = Some(task);
    }

    /// Takes the bytes of the client to the hub, and those of the hub to the client. Returns the hub's events.
    fn serve(&self, server: &mut ServerHub) -> Vec<Event> {
        let mut inner = self.inner();
        let Inner { now, wires, .. } = &mut *inner;
        for wire in &mut *wires {
            let on = *wire.on.get_or_insert_with(|| server.handle_accepted(*now));
            if !wire.to_server.is_empty() {
                server.handle_bytes(*now, on, &mut std::mem::take(&mut wire.to_server));
            }
        }
        let mut events = Vec::new();
        while let Some(output) = server.poll() {
            match output {
                hub::Output::Write(on) => {
                    let wire = wires.iter_mut().find(|wire| wire.on == Some(on)).unwrap();
                    server.transmit(*now, on, |bytes| {
                        wire.to_client.extend(bytes);
                        bytes.len()
                    });
                }
                hub::Output::Event(_, event) => events.push(event),
                _ => {}
            }
        }
        events
    }
}

impl Stream for End {
    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &self.net.inner().wires[self.at];
        if wire.unnoticed || wire.to_client.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let wire = &mut self.net.inner().wires[self.at];
        wire.room = buffer.len();
        let bytes = wire.to_client.drain(..wire.to_client.len().min(buffer.len()));
        let n = buffer.iter_mut().zip(bytes).map(|(place, byte)| *place = byte).count();
        if n == 0 { Poll::Pending } else { Poll::Ready(Ok(n)) }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = &mut self.net.inner().wires[self.at];
        if wire.blocked {
            return Poll::Pending;
        }
        wire.to_server.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Runtime for Net {
    type Stream = End;
    type Listener = ();
    type Sleep = std::future::Pending<()>;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner().task = Some(Box::pin(task));
    }

    fn sleep_until(&self, _deadline: Time) -> Self::Sleep {
        std::future::pending()
    }

    fn clock(&self) -> Clock {
        let net = self.clone();
        Clock::of(move || net.inner().now)
    }

    async fn bind(&self, _address: SocketAddr) -> io::Result<()> {
        unreachable!("a client does not listen");
    }

    fn local_addr(&self, _listener: &()) -> io::Result<SocketAddr> {
        unreachable!("a client does not listen");
    }

    async fn accept(&self, _listener: &()) -> io::Result<(End, SocketAddr)> {
        unreachable!("a client does not listen");
    }

    async fn resolve(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        unreachable!("the URL has an address");
    }

    async fn connect(&self, _to: SocketAddr) -> io::Result<End> {
        let mut inner = self.inner();
        inner.wires.push(Wire::default());
        Ok(End { net: self.clone(), at: inner.wires.len() - 1 })
    }
}

#[test]
fn response_of_a_poll_does_not_overtake_the_probe_that_came_before_it() {
    let net = Net::default();
    let client = ClientBuilder::new(net.clone(), "http://127.0.0.1:80").build().unwrap();
    let mut opening = pin!(client.open());
    assert!(opening.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut server = ServerHub::new(hub::ServerHubConfig::default(), |buffer: &mut [u8]| {
        buffer.fill(7);
    });
    let probed = |wire: &Wire| {
        let bytes: Vec<_> = wire.to_client.iter().copied().collect();
        bytes.windows(6).any(|window| window == b"3probe")
    };
    for _ in 0..100 {
        net.poll_task();
        net.serve(&mut server);
        if net.inner().wires.iter().any(probed) {
            break;
        }
        net.wait(Duration::from_millis(5));
    }

    // Both have come, and the runtime has noticed the later of the two only.
    {
        let mut inner = net.inner();
        for wire in &mut inner.wires {
            wire.unnoticed = probed(wire);
        }
        let noticed = |wire: &&Wire| !wire.unnoticed && !wire.to_client.is_empty();
        assert_eq!(inner.wires.iter().filter(noticed).count(), 1, "the response of the poll");
        assert_eq!(inner.wires.iter().filter(|wire| wire.unnoticed).count(), 1, "the probe");
    }
    // The client has waited long enough to begin another poll.
    net.wait(Duration::from_millis(100));
    net.poll_task();
    let polls = |wire: &Wire| wire.to_server.starts_with(b"GET ");
    assert!(!net.inner().wires.iter().any(polls), "there is another poll");
    assert!(net.serve(&mut server).contains(&Event::Upgraded));
}

/// Opens a session over a WebSocket of a client that offers compression.
#[cfg(feature = "deflate")]
fn open_compressed(net: &Net, deflate: Option<PerMessageDeflate>) -> (ServerHub, Socket) {
    let builder = ClientBuilder::new(net.clone(), "http://127.0.0.1:80")
        .transports([TransportKind::WebSocket])
        .per_message_deflate(PerMessageDeflate::default());
    let client = builder.build().unwrap();
    let mut opening = pin!(client.open());
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(opening.as_mut().poll(cx).is_pending());
    let mut config = hub::ServerHubConfig::default();
    config.protocol.per_message_deflate = deflate;
    let mut server = ServerHub::new(config, |buffer: &mut [u8]| buffer.fill(7));
    for _ in 0..10 {
        net.poll_task();
        net.serve(&mut server);
    }
    let Poll::Ready(Ok(socket)) = opening.as_mut().poll(cx) else { panic!("it is not open") };
    (server, socket)
}

#[test]
#[cfg(feature = "deflate")]
fn reads_are_short_where_messages_may_be_compressed() {
    for (deflate, most) in [(None, 65 * 1024), (Some(PerMessageDeflate::default()), 4096)] {
        let net = Net::default();
        let (mut server, _socket) = open_compressed(&net, deflate);
        // A ping is to be read.
        net.wait(Duration::from_secs(25));
        server.handle_timeout(net.inner().now);
        net.serve(&mut server);
        net.poll_task();
        assert_eq!(net.inner().wires[0].room, most);
    }
}

#[test]
#[cfg(feature = "deflate")]
fn socket_that_takes_compressed_messages_again_is_read_again() {
    let net = Net::default();
    let (_server, socket) = open_compressed(&net, Some(PerMessageDeflate::default()));
    net.inner().wires[0].blocked = true;
    // More pings than have their pongs kept.
    let ping = [&[0x89, 125][..], &[b'x'; 125]].concat();
    net.inner().wires[0].to_client.extend(ping.repeat(300));
    net.poll_task();
    assert!(!net.inner().wires[0].to_client.is_empty(), "it is not read");
    socket.try_send(&*"x".repeat(5000)).unwrap();
    net.poll_task();
    net.inner().wires[0].blocked = false;
    net.poll_task();
    assert!(net.inner().wires[0].to_client.is_empty());
}
