//! The server: its handles, its accept loops, its end.

use std::{
    fmt,
    future::{Future, pending, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use enginewire::{IntoEncoded, SendError, carrier::GracePeriod, hub::Broadcast};
use futures_io::{AsyncRead, AsyncWrite};

#[cfg(feature = "tls-no-provider")]
use crate::tls::{InFlight, ServerTls, TlsConnection, TlsStats};
use crate::{
    connection::Connection,
    lifecycle::{Lifecycle, Phase},
    listen::BACKLOG,
    presence::Presence,
    proxied,
    runtime::{BoxedStream, Runtime},
    shared::Shared,
    socket::{Cell, Sender, Socket},
    stats::ServerStats,
    trace::trace,
    wakers::WakerKey,
    warnings::Warning,
};

/// A server that is listening.
///
/// Dropping it ends all sessions at once; [`close`](ServerHandle::close) drains queues first. It has the methods of a
/// [`ServerHandle`], of which [`handle`](Self::handle) makes more.
#[must_use = "dropping a server ends its sessions"]
pub struct Server {
    pub(crate) handle: ServerHandle,
}

/// A handle on a server for other tasks. Cheap to clone; does not keep the server alive.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) shared: Arc<Shared>,
}

impl Server {
    /// Accepts the next session. Returns `None` once the server is closing, and all sessions have been accepted that
    /// were open before: they take no messages any more, but may have brought some. Sessions that are not accepted are
    /// kept until the server is dropped. With a [handler](crate::ServerBuilder::handler) there are none.
    ///
    /// Cancel safe: a session is either returned or still there. Sessions that are not accepted wait; when as many
    /// do as the [backlog](crate::ServerBuilder::backlog) has places, handshakes are refused with status 503.
    pub async fn accept(&self) -> Option<Socket> {
        let mut accepting = Accepting { shared: &self.handle.shared, key: None };
        poll_fn(|cx| accepting.poll(cx)).await
    }

    /// Returns a handle for other tasks.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }
}

impl std::ops::Deref for Server {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

impl ServerHandle {
    /// Returns the address of the first listener; `0.0.0.0:0` if there is none.
    pub fn local_addr(&self) -> SocketAddr {
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        self.shared.local_addrs.first().copied().unwrap_or(none)
    }

    /// Returns the addresses of all listeners.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.shared.local_addrs
    }

    /// Returns the number of sessions that are open or closing.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.lifecycle.sessions()
    }

    /// Returns the number of TCP connections that are open, those between two requests included.
    pub fn connections(&self) -> usize {
        self.shared.sessions.lifecycle.connections()
    }

    /// Returns what the server holds, and how much it has opened and refused.
    pub fn stats(&self) -> ServerStats {
        let counters = &self.shared.counters;
        ServerStats {
            connections: self.connections(),
            sessions: self.sessions(),
            connections_opened: counters.connections_opened.count(),
            proxy_headers_failed: counters.proxy_headers_failed.count(),
            sessions_opened: counters.sessions_opened.count(),
            requests_refused: counters.requests_refused.count(),
            requests_handed_over: counters.requests_handed_over.count(),
            hand_overs_failed: counters.hand_overs_failed.count(),
        }
    }

    /// Returns counts of the TLS handshakes.
    #[cfg(feature = "tls-no-provider")]
    pub fn tls_stats(&self) -> TlsStats {
        self.shared.handshakes.stats()
    }

    /// Returns a sender to the session with this [`id`](Sender::id), unless it is closed.
    pub fn get(&self, id: u64) -> Option<Sender> {
        self.shared.sessions.get(id).map(|cell| Sender::new(Cell::Server(cell)))
    }

    /// Returns senders to all sessions that are open or closing, in no particular order.
    pub fn senders(&self) -> Vec<Sender> {
        let sender = |cell| Sender::new(Cell::Server(cell));
        self.shared.sessions.all().into_iter().map(sender).collect()
    }

    /// Queues a message for the sessions with these [`id`](Sender::id)s. It is encoded once.
    ///
    /// Returns how many took it, and how many did not: a session without room is passed by.
    pub fn broadcast(
        &self,
        to: impl IntoIterator<Item = u64>,
        message: impl IntoEncoded,
    ) -> Broadcast {
        let message = message.into_encoded().into_shared();
        let mut broadcast = Broadcast::default();
        for id in to {
            broadcast.count(match self.get(id) {
                Some(sender) => sender.try_send(&message).map_err(SendError::from),
                None => Err(SendError::Closed),
            });
        }
        broadcast
    }

    /// Queues a message for all sessions, as [`broadcast`](Self::broadcast) does.
    pub fn broadcast_all(&self, message: impl IntoEncoded) -> Broadcast {
        let message = message.into_encoded().into_shared();
        let mut broadcast = Broadcast::default();
        for sender in self.senders() {
            broadcast.count(sender.try_send(&message).map_err(SendError::from));
        }
        broadcast
    }

    /// Serves a connection that was accepted elsewhere. Examples are a Unix socket, a stream in
    /// memory, and a stream that decrypts.
    ///
    /// Spawn the future or await it, inside the runtime. It ends with the connection; dropping it ends the connection,
    /// and with it a [handler](crate::ServerBuilder::handler) that it polls. `peer_addr` is the address of
    /// the peer, which may be a [trusted proxy](crate::ServerBuilder::trusted_proxies). Costs one allocation more than a connection of a listener.
    pub fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer_addr: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        Connection::new(Arc::clone(&self.shared), BoxedStream::new(stream), peer_addr)
    }

    /// Closes the server, and waits until all sessions and connections have ended. New sessions are
    /// refused. Every session is closed as with [`Sender::close`], which drains its queue; its
    /// client may still connect for that. [Handlers](crate::ServerBuilder::handler) are waited for as well. After
    /// the [shutdown timeout](crate::ServerBuilder::shutdown_timeout) the rest is ended; handlers that remain go on
    /// by themselves.
    ///
    /// Cancel safe: once polled, the server closes whether or not anything waits for it.
    pub async fn close(&self) {
        self.shared.advance_to(Phase::Closing);
        self.finished().await;
    }

    /// Closes the sessions evenly spread over a time, and then the server.
    ///
    /// For deployments: clients come back to another server, not all at the same moment. New sessions are refused with
    /// status 503 from the beginning, and other sessions go on until it is their turn. Their queues are drained. The
    /// end is that of [`close`](Self::close), which also cuts a drain short. A second call waits for the first.
    ///
    /// Cancel safe: once polled, the server drains whether or not anything waits for it.
    pub async fn drain(&self, over: Duration) {
        self.shared.drain.get_or_init(|| over);
        self.shared.advance_to(Phase::Draining);
        self.finished().await;
    }

    /// Waits until nothing is left that the end waits for.
    async fn finished(&self) {
        let shared = &self.shared;
        let mut watch = Watch::new(shared);
        poll_fn(|cx| {
            watch.register(cx.waker());
            if shared.sessions.lifecycle.is_finished() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Ends the server now. What is queued is lost.
    pub fn abort(&self) {
        self.shared.advance_to(Phase::Aborting);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.abort();
        drop(self.handle.shared.backlog.drain());
    }
}

/// Ends the sessions of a draining server, and what is left of a closing one after its shutdown timeout.
pub(crate) async fn limit_shutdown<R: Runtime>(runtime: R, shared: Arc<Shared>) {
    drain(&runtime, &shared).await;
    let mut watch = Watch::new(&shared);
    let lifecycle = &shared.sessions.lifecycle;
    let clock = &shared.sessions.clock;
    let (mut limit, mut grace) = (None, GracePeriod::new());
    poll_fn(|cx| {
        watch.register(cx.waker());
        if lifecycle.is_finished() {
            return Poll::Ready(());
        }
        if lifecycle.phase() != Phase::Closing {
            return Poll::Pending;
        }
        let until = |deadline| (deadline, Box::pin(runtime.sleep_until(deadline)));
        let (deadline, sleep) =
            limit.get_or_insert_with(|| until(clock.now() + shared.options.shutdown_timeout));
        while sleep.as_mut().poll(cx).is_ready() {
            // After a pause of the process peers have not had the time that was theirs.
            let Some(extended) = grace.extend(*deadline, clock.now()) else {
                shared.advance_to(Phase::Aborting);
                return Poll::Ready(());
            };
            (*deadline, *sleep) = until(extended);
        }
        Poll::Pending
    })
    .await;
}

/// Closes the sessions of a draining server one after the other, and then the server.
///
/// Ends when the server does not run any more, in whatever way.
async fn drain<R: Runtime>(runtime: &R, shared: &Shared) {
    let sessions = &shared.sessions;
    let mut watch = Watch::new(shared);
    watch.until(|lifecycle| lifecycle.phase() != Phase::Running, pending::<()>()).await;
    let (over, begun) = (shared.drain.get().copied().unwrap_or_default(), sessions.clock.now());
    let all = sessions.all();
    #[expect(clippy::cast_precision_loss, reason = "a part of a time")]
    let due = |index: usize| begun + over.mul_f64(index as f64 / all.len() as f64);
    // Those whose clients have left by themselves need not be waited for.
    let is_over =
        |lifecycle: &Lifecycle| lifecycle.phase() != Phase::Draining || lifecycle.sessions() == 0;
    for (index, cell) in all.iter().enumerate() {
        while due(index) > sessions.clock.now() && !is_over(&sessions.lifecycle) {
            watch.until(is_over, runtime.sleep_until(due(index))).await;
        }
        if is_over(&sessions.lifecycle) {
            break;
        }
        cell.close(sessions.clock.now());
    }
    shared.advance_to(Phase::Closing);
}

/// Way of the connections of a listener to their tasks.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) shared: Arc<Shared>,
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: Option<ServerTls>,
}

/// A connection that a listener has accepted, and that the header of a proxy is still to come on.
pub(crate) struct Admitted {
    pub(crate) admission: Admission,
    /// Counts from the beginning, too: its task is polled at some later time.
    pub(crate) presence: Presence,
    /// Its handshake to come, which counts from the beginning: the listener keeps to their limit.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) in_flight: Option<InFlight>,
}

impl Admission {
    /// Spawns the task of a connection.
    fn spawn<R: Runtime>(&self, runtime: &R, stream: R::Stream, peer_addr: SocketAddr) {
        if self.shared.options.proxy_protocol.contains(peer_addr.ip()) {
            // The header comes before a TLS handshake: it is the proxy's, and the rest the client's.
            let admitted = Admitted {
                #[cfg(feature = "tls-no-provider")]
                in_flight: self.tls.as_ref().map(|_| InFlight::begin(&self.shared)),
                presence: Presence::of_connection(Arc::clone(&self.shared)),
                admission: self.clone(),
            };
            runtime.spawn(proxied::serve(runtime.clone(), stream, peer_addr, admitted));
            return;
        }
        #[cfg(feature = "tls-no-provider")]
        if let Some(tls) = &self.tls {
            let presence = Presence::of_connection(Arc::clone(&self.shared));
            let in_flight = InFlight::begin(&self.shared);
            let peer = peer_addr.into();
            return runtime.spawn(TlsConnection::new(presence, tls, stream, peer, in_flight));
        }
        runtime.spawn(Connection::new(Arc::clone(&self.shared), stream, peer_addr));
    }

    /// Returns the limit that has been reached, if one has, and its warning.
    fn reached(&self) -> Option<(&'static str, &Warning)> {
        let Shared { sessions, options, warnings, .. } = &*self.shared;
        if sessions.lifecycle.is_full(options.max_connections) {
            return Some(("too many connections", &warnings.connections));
        }
        #[cfg(feature = "tls-no-provider")]
        if self.tls.is_some() && self.shared.handshakes.in_flight() >= options.max_tls_handshakes {
            return Some(("too many TLS handshakes", &warnings.handshakes));
        }
        None
    }
}

/// The accept loop: ends with the server, and with nothing else.
pub(crate) async fn accept_connections<R: Runtime>(
    runtime: R,
    admission: Admission,
    listener: R::Listener,
) {
    let shared = &admission.shared;
    let _alive = Alive(shared);
    // Dropped before that: after the end of the server another may listen there at once.
    let listener = listener;
    let mut watch = Watch::new(shared);
    loop {
        match watch.until_accepted(&admission, runtime.accept(&listener)).await {
            None => return accept_the_last(&runtime, &admission, &listener).await,
            Some(Ok((stream, peer_addr))) => admission.spawn(&runtime, stream, peer_addr),
            Some(Err(error)) if is_of_one_connection(&error) => {}
            Some(Err(error)) => {
                let now = shared.sessions.clock.now();
                if let Some(times) = shared.warnings.accept.count(now) {
                    trace!(WARN, error = %error, times = times, "no connection could be accepted");
                }
                let retry = now + ACCEPT_RETRY;
                if watch.until_closing(runtime.sleep_until(retry)).await.is_none() {
                    return accept_the_last(&runtime, &admission, &listener).await;
                }
            }
        }
    }
}

/// Takes the connections that the system has completed by now: connections that are left to it are reset once
/// nothing listens any more, whatever their clients are about to say.
async fn accept_the_last<R: Runtime>(runtime: &R, admission: &Admission, listener: &R::Listener) {
    let shared = &admission.shared;
    let mut fresh = Vec::new();
    for _ in 0..BACKLOG {
        // A runtime knows of connections, and of what has come on them, only after it has asked the
        // system, as it does when it has waited; and it may not let a task have too many at a time.
        runtime.sleep_until(shared.sessions.clock.now() + LAST_ACCEPT).await;
        for (stream, peer_addr) in fresh.drain(..) {
            admission.spawn(runtime, stream, peer_addr);
        }
        if shared.sessions.lifecycle.phase() == Phase::Aborting {
            return;
        }
        let mut failed = false;
        loop {
            let mut accept = pin!(runtime.accept(listener));
            match poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx))).await {
                Poll::Ready(Ok(accepted)) => fresh.push(accepted),
                Poll::Ready(Err(error)) if is_of_one_connection(&error) => failed = true,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        if fresh.is_empty() && !failed {
            return;
        }
    }
}

/// How long a server that has closed waits for what its runtime may not have seen.
const LAST_ACCEPT: Duration = Duration::from_millis(1);

/// Errors that the connection brought with it, and that say nothing about the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// How long to wait when the system has no file descriptor or memory for another connection. Trying
/// again at once would only burn the processor until one is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Tells the server that a task has ended which its end waits for.
struct Alive<'a>(&'a Shared);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.sessions.leave();
    }
}

/// A task's interest in the phases of the server.
pub(crate) struct Watch<'a> {
    shared: &'a Shared,
    key: WakerKey,
}

impl<'a> Watch<'a> {
    pub(crate) const fn new(shared: &'a Shared) -> Self {
        Self { shared, key: None }
    }

    fn register(&mut self, waker: &Waker) {
        self.shared.sessions.lifecycle.watch(&mut self.key, waker);
    }

    /// The output of `work`, or `None` once `is_reached`.
    async fn until<T>(
        &mut self,
        is_reached: impl Fn(&Lifecycle) -> bool,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.register(cx.waker());
            if is_reached(&self.shared.sessions.lifecycle) {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// The output of `work`, or `None` once the server needs no more connections.
    pub(crate) async fn until_closing<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        self.until(|lifecycle| !lifecycle.is_serving(), work).await
    }

    /// The output of `work`, or `None` once it has to wait and the server needs no more connections.
    pub(crate) async fn while_serving<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.register(cx.waker());
            match work.as_mut().poll(cx) {
                Poll::Pending if !self.shared.sessions.lifecycle.is_serving() => Poll::Ready(None),
                output => output.map(Some),
            }
        })
        .await
    }

    /// The output of `accept`, which is not polled while there are too many connections. `None` once the
    /// server needs no more.
    async fn until_accepted<T>(
        &mut self,
        admission: &Admission,
        accept: impl Future<Output = T>,
    ) -> Option<T> {
        let mut told = false;
        let mut accept = pin!(accept);
        self.until_closing(poll_fn(|cx| {
            // Asked with each poll, because other listeners accept while this one waits.
            let Some((limit, warning)) = admission.reached() else {
                return accept.as_mut().poll(cx);
            };
            if !std::mem::replace(&mut told, true)
                && let Some(times) = warning.count(self.shared.sessions.clock.now())
            {
                trace!(
                    WARN,
                    limit = limit,
                    times = times,
                    "no more connections are accepted for now"
                );
            }
            Poll::Pending
        }))
        .await
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.shared.sessions.lifecycle.unwatch(self.key);
    }
}

/// A task's wait for a session.
pub(crate) struct Accepting<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) key: WakerKey,
}

impl Accepting<'_> {
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Socket>> {
        // A closing server gives out what it has, because messages that a session has taken are the application's.
        let is_closed = || self.shared.sessions.lifecycle.phase() >= Phase::Closing;
        self.shared.backlog.poll_pop(&mut self.key, cx, is_closed)
    }
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        self.shared.backlog.stop_waiting(self.key);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addrs", &self.local_addrs()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("local_addrs", &self.local_addrs())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
