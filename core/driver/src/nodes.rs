//! Other nodes that serve the same clients: where they are, and connections to them.

#[cfg(feature = "tls-no-provider")]
use std::sync::Arc;
use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf as _;
use enginewire::{
    HandOverFault, HttpRequest, Networks, NodeName, Sid, TrustedProxies,
    carrier::{self, HandOver, NodeState, Passage, Stream as _, Written},
    wire::{Output, proxy_protocol},
};
use futures_io::{AsyncRead as _, AsyncWrite as _};

#[cfg(feature = "tls-no-provider")]
use crate::tls::{self, ClientTls};
use crate::{
    peer::Peer,
    runtime::{BoxedStream, Runtime, Stream},
    shared::{Options, Shared},
    trace::trace,
    writer::Writer,
};

/// Address of another node, and how it is reached.
///
/// Made of a `SocketAddr` it is TCP, of which anyone on the way can read session ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    addr: SocketAddr,
    /// The name that the node's certificate has to be for.
    #[cfg(feature = "tls-no-provider")]
    host: Option<Arc<str>>,
}

impl NodeAddress {
    /// Makes the address of a node whose connections are encrypted.
    ///
    /// Its certificate has to be for `host`, a DNS name or an address that need not be where the node is. It is checked
    /// by [`ServerBuilder::nodes_tls`](crate::ServerBuilder::nodes_tls). A host that is neither cannot be reached.
    #[cfg(feature = "tls-no-provider")]
    pub fn tls(addr: SocketAddr, host: impl Into<String>) -> Self {
        Self { addr, host: Some(host.into().into()) }
    }

    /// Returns the address.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl From<SocketAddr> for NodeAddress {
    fn from(addr: SocketAddr) -> Self {
        Self {
            addr,
            #[cfg(feature = "tls-no-provider")]
            host: None,
        }
    }
}

/// The addresses of other nodes, and the way to them.
pub(crate) struct Nodes {
    addresses: Addresses,
    connect: Box<dyn Fn(Way) -> Connecting + Send + Sync>,
    #[cfg(feature = "tls-no-provider")]
    tls: ClientTls,
}

/// Finds the address of a node.
pub(crate) type Addresses = Box<dyn Fn(NodeName) -> Option<NodeAddress> + Send + Sync>;

/// The way to a node.
struct Way {
    to: SocketAddr,
    /// Header of the PROXY protocol, ahead of any encryption.
    header: Option<String>,
    /// The name of the node, and how its connection is encrypted.
    #[cfg(feature = "tls-no-provider")]
    tls: Option<(Arc<str>, ClientTls)>,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<BoxedStream>> + Send>>;

/// A connection to another node, which serves one request.
pub(crate) struct NodeLink {
    to: SocketAddr,
    state: State,
    writes: Writes,
}

enum State {
    Connecting(Connecting),
    Connected(BoxedStream),
    Failed(io::Error),
}

/// The sending side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Open,
    /// Shut down, or lost. The node may have responded before.
    Ended,
}

impl Nodes {
    pub(crate) fn new<R: Runtime>(runtime: R, addresses: Addresses) -> Self {
        Self {
            addresses,
            connect: Box::new(move |way| Box::pin(way.connect(runtime.clone()))),
            #[cfg(feature = "tls-no-provider")]
            tls: ClientTls::default(),
        }
    }

    /// Sets how the certificates of nodes are checked.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) fn with_tls(self, tls: ClientTls) -> Self {
        Self { tls, ..self }
    }

    /// Returns the address of the other node that has a session, if it has one.
    ///
    /// `this` is the name of this node: a session of its own that it does not have is over. A request that another node has
    /// handed over goes no further.
    pub(crate) fn owner(
        &self,
        sid: &Sid,
        this: Option<NodeName>,
        head: &dyn HttpRequest,
    ) -> Option<NodeAddress> {
        let node = sid.node().filter(|&node| Some(node) != this)?;
        if carrier::is_handed_over(head) {
            return None;
        }
        (self.addresses)(node)
    }

    /// Begins to connect to a node, and puts out the head of a request of `peer`.
    pub(crate) fn hand_over(
        &self,
        to: &NodeAddress,
        request: &HandOver,
        peer: &Peer,
        options: &Options,
        output: &mut Output,
    ) -> NodeLink {
        let way = Way {
            to: to.addr,
            header: introduce(to.addr, request, peer, options, output),
            #[cfg(feature = "tls-no-provider")]
            tls: to.host.clone().map(|host| (host, self.tls.clone())),
        };
        NodeLink {
            to: to.addr,
            state: State::Connecting((self.connect)(way)),
            writes: Writes::Open,
        }
    }
}

impl Way {
    async fn connect<R: Runtime>(self, runtime: R) -> io::Result<BoxedStream> {
        let mut stream = runtime.connect(self.to).await?;
        if let Some(header) = &self.header {
            write_all(&mut stream, header.as_bytes()).await?;
        }
        #[cfg(feature = "tls-no-provider")]
        if let Some((host, tls)) = &self.tls {
            let unsupported = |reason| io::Error::new(io::ErrorKind::Unsupported, reason);
            let config = tls.config().map_err(unsupported)?;
            return tls::connect(config, stream, host).await.map(BoxedStream::new);
        }
        Ok(BoxedStream::new(stream))
    }
}

impl NodeLink {
    /// Writes and reads as far as can be done now. The task is woken when more can be.
    pub(crate) fn pass(
        &mut self,
        cx: &mut Context<'_>,
        passage: Passage<'_>,
    ) -> Result<NodeState, HandOverFault> {
        if let State::Connecting(connecting) = &mut self.state {
            match connecting.as_mut().poll(cx) {
                Poll::Pending => return Ok(NodeState::Open),
                Poll::Ready(Ok(stream)) => self.state = State::Connected(stream),
                Poll::Ready(Err(error)) => self.state = State::Failed(error),
            }
        }
        let State::Connected(stream) = &mut self.state else {
            return Err(HandOverFault::Unreachable);
        };
        let Passage { to_node, is_last, room, from_node } = passage;
        if self.writes == Writes::Open && write(stream, cx, to_node, is_last).is_err() {
            self.writes = Writes::Ended;
        }
        if self.writes == Writes::Ended {
            // The node does not read what it has responded to already.
            to_node.clear();
        }
        Ok(read(stream, cx, room, from_node))
    }

    /// Tells an operator that the node has not responded.
    pub(crate) fn warn(&self, shared: &Shared, fault: HandOverFault) {
        let Some(times) = shared.warnings.nodes.count(shared.sessions.clock.now()) else { return };
        let cause: &dyn fmt::Display = match &self.state {
            State::Failed(error) => error,
            State::Connecting(_) | State::Connected(_) => &fault,
        };
        trace!(WARN, node = %self.to, error = %cause, times = times, "no response from a node");
    }
}

/// Writes as much as the stream takes, and shuts it down behind the last. An error means that it takes nothing more.
fn write(
    stream: &mut BoxedStream,
    cx: &mut Context<'_>,
    output: &mut Output,
    is_last: bool,
) -> Result<(), io::Error> {
    let mut writer = Writer { stream, cx };
    while output.has_remaining() {
        match writer.write(output)? {
            Written::Some(n) => output.advance(n),
            Written::Blocked => return Ok(()),
        }
    }
    if writer.flush()? && is_last {
        return match Pin::new(stream).poll_close(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(closed) => closed.and(Err(io::ErrorKind::BrokenPipe.into())),
        };
    }
    Ok(())
}

/// Reads at most `room` bytes.
fn read(
    stream: &mut BoxedStream,
    cx: &mut Context<'_>,
    mut room: usize,
    from_node: &mut dyn FnMut(&[u8]),
) -> NodeState {
    let mut chunk = [0; CHUNK];
    while room > 0 {
        let most = room.min(CHUNK);
        match Pin::new(&mut *stream).poll_read(cx, &mut chunk[..most]) {
            Poll::Pending => return NodeState::Open,
            Poll::Ready(Ok(0)) => return NodeState::Ended,
            Poll::Ready(Ok(n)) => {
                from_node(&chunk[..n]);
                room -= n;
                if room == 0 {
                    // Other tasks have their turn before there is more.
                    cx.waker().wake_by_ref();
                }
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(_)) => return NodeState::Ended,
        }
    }
    NodeState::Open
}

/// Writes all of `bytes`.
async fn write_all<S: Stream>(stream: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts out the head of a request, and in the way of nodes that are set up as this one whose it is.
///
/// Returns a header of the PROXY protocol if that is the way.
fn introduce(
    to: SocketAddr,
    request: &HandOver,
    peer: &Peer,
    options: &Options,
    output: &mut Output,
) -> Option<String> {
    if options.proxy_protocol.contains(to.ip()) {
        // The node sees the connection of the client before it, and the fields as that has sent them.
        let addresses = (!peer.is_nobody()).then_some((peer.addr, to));
        carrier::write_head(request, None, output);
        return Some(proxy_protocol::line(addresses));
    }
    let untrusting = TrustedProxies::new(Networks::new());
    let proxies = options.trusted_proxies.as_ref().unwrap_or(&untrusting);
    let client = Some(peer.addr.ip()).filter(|_| !peer.is_nobody());
    let (field, element) = proxies.element(client);
    carrier::write_head(request, Some((field, &element)), output);
    None
}

/// Bytes that are read at a time.
const CHUNK: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        task::Waker,
    };

    use super::*;

    /// Takes bytes, and sends them once it is flushed a second time.
    #[derive(Default)]
    struct Buffered {
        held: Vec<u8>,
        flushes: usize,
        sent: Arc<Mutex<Vec<u8>>>,
    }

    impl futures_io::AsyncRead for Buffered {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    impl futures_io::AsyncWrite for Buffered {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.held.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            if self.flushes < 2 {
                return Poll::Pending;
            }
            let held = std::mem::take(&mut self.held);
            self.sent.lock().unwrap().extend(held);
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn flush_that_had_to_wait_is_repeated_without_further_bytes() {
        let stream = Buffered::default();
        let sent = Arc::clone(&stream.sent);
        let mut stream = BoxedStream::new(stream);
        let cx = &mut Context::from_waker(Waker::noop());
        let mut output = Output::new();
        output.put_slice(b"head");
        for expected in ["", "head"] {
            write(&mut stream, cx, &mut output, false).unwrap();
            assert!(!output.has_remaining());
            assert_eq!(*sent.lock().unwrap(), expected.as_bytes());
        }
    }
}
