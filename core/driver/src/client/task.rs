//! The task of one session. It does the work of the session with sockets and a clock.
//!
//! Sockets are read and written without the lock. The bytes of a read are handed to the session
//! under one lock. The resulting connections, requests and frames are taken under the same. So a
//! message costs the task one lock in each direction. Where messages are to be compressed, that is done between two
//! locks: the application need not wait for it.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use enginewire::{ClientHub, Compressing, Time, Url, carrier::Outbox, wire::Output};
use futures_io::AsyncWrite;

use super::{
    Shared,
    connect::connect_tcp,
    host::{Host, HostAction, HostCell, HostGuard},
    stream::ClientStream,
};
use crate::{
    client_cell::ClientCell,
    reader::Reader,
    runtime::Runtime,
    scratch::{EntropyPool, Scratch},
    sleep::Sleep,
    trace::{Span, trace},
    waiters::Shareable,
    writer::Writer,
};

/// Begins to open a session.
pub(super) fn start<R: Runtime>(shared: &Arc<Shared<R>>) -> Arc<ClientCell> {
    let worked = shared.state.websocket_worked.load(Ordering::Relaxed);
    let config = Arc::clone(&shared.config);
    let now = shared.state.clock.now();
    let hub = Scratch::with(|scratch| {
        let mut entropy = entropy(&mut scratch.supplies.entropy);
        ClientHub::new(now, &shared.url, config, worked, &mut entropy)
    });
    let cell = ClientCell::new(&shared.state, hub);
    let span = Span::session(cell.id(), &shared.url);
    spawn(shared, &cell, span);
    cell
}

/// Starts the task of a client.
pub(crate) fn spawn<R: Runtime, C: HostCell>(shared: &Arc<Shared<R>>, cell: &Arc<C>, span: Span) {
    shared.runtime.spawn(Task {
        shared: Arc::clone(shared),
        cell: Arc::clone(cell),
        connections: Vec::new(),
        due: None,
        finished: false,
        sleep: Sleep::default(),
        waker: None,
        span,
    });
}

/// Does what the session asks for until it is closed and all its connections have ended.
struct Task<R: Runtime, C: HostCell> {
    shared: Arc<Shared<R>>,
    cell: Arc<C>,
    connections: Vec<Connection<R, Id<C>>>,
    /// The session's next deadline.
    due: Option<Time>,
    /// The session is closed and wants no connection.
    finished: bool,
    sleep: Sleep<R>,
    /// The waker that the session has.
    waker: Option<Waker>,
    span: Span,
}

/// Name of a connection of a client.
type Id<C> = <<C as HostCell>::Host as Host>::Id;

/// One connection.
struct Connection<R: Runtime, I> {
    id: I,
    state: State<R>,
    /// The session wants to have it read.
    reads: bool,
    /// Limit on the bytes of one read.
    max_read: u32,
    /// A WebSocket that may become the session's transport.
    probed: bool,
}

type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<(S, SocketAddr)>> + Send>>;

enum State<R: Runtime> {
    Connecting(Connecting<ClientStream<R::Stream>>),
    Open {
        stream: ClientStream<R::Stream>,
        peer_addr: SocketAddr,
        reader: Reader,
        outbox: Outbox,
        /// The connection cannot be written any more. Data that the server has sent before may
        /// still be read.
        broken: bool,
    },
}

/// An event of a connection, for the session.
enum Input {
    Connected(SocketAddr),
    Refused(io::Error),
    /// So many bytes are in the buffer.
    Bytes(usize),
    Eof,
    Failed(io::Error),
    /// The socket took everything again, or less than before and so many bytes are left.
    Written(usize),
    /// The connection cannot be written any more.
    Broken(io::Error),
}

/// The result of one lock on the session.
struct Exchanged<I> {
    /// A connection that has something to write.
    write: Option<I>,
    /// Messages that are to be compressed before.
    compressing: Option<Compressing>,
    /// A connection is to be read again, after it was not.
    resumed: bool,
    /// The session may ask for more.
    more: bool,
}

impl<R: Runtime, C: HostCell> Task<R, C> {
    /// One round: what came on all connections, then the clock and what the session wants. Returns whether another
    /// is worth it.
    ///
    /// First everything that came. A ping that waits in a socket is in time. A session that knows of the response
    /// to its probe does not begin another poll.
    fn drive(&mut self, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let (mut came, mut wants, mut drained) = (false, false, false);
        for _ in 0..MAX_READS {
            let mut any = false;
            for at in (0..self.connections.len()).rev() {
                if let Some(input) = self.poll_connection(at, now, cx, scratch) {
                    self.distrust_probed(at);
                    wants |= self.accept(at, now, scratch, input);
                    any = true;
                }
            }
            came |= any;
            if !any {
                drained = true;
                break;
            }
        }
        // Without any input, the application or the clock has woken the task.
        let due = self.due.is_some_and(|due| due <= now);
        let again = (wants || due || !came) && self.exchange(now, cx, scratch);
        again || !drained
    }

    /// Has a WebSocket that is probed tried for bytes, as its probe may have been answered before an input of another
    /// connection.
    fn distrust_probed(&mut self, other: usize) {
        for (at, connection) in self.connections.iter_mut().enumerate() {
            if at != other
                && connection.probed
                && let State::Open { reader, .. } = &mut connection.state
            {
                reader.distrust();
            }
        }
    }

    /// Hands an input to the session. Returns whether the session wants something.
    fn accept(&mut self, at: usize, now: Time, scratch: &mut Scratch, input: Input) -> bool {
        let Self { cell, connections, due, finished, .. } = self;
        let id = connections[at].id;
        let ended = matches!(input, Input::Refused(_) | Input::Failed(_));
        let mut guard = cell.lock_by_task();
        let hub = guard.host();
        handle(hub, now, id, input, scratch);
        for connection in connections.iter_mut() {
            connection.update(hub);
        }
        (*due, *finished) = (hub.poll_timeout(), hub.is_finished());
        let throttled = connections.iter().any(|connection| !connection.reads);
        let wants = hub.has_actions() || hub.is_ending();
        guard.settle_task(*due, throttled, false);
        drop(guard);
        if ended {
            connections.swap_remove(at);
        }
        wants
    }

    /// Connects, writes what waits, and reads. Returns what came of it, if anything did.
    fn poll_connection(
        &mut self,
        at: usize,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Option<Input> {
        let Connection { state, reads, max_read, .. } = &mut self.connections[at];
        match state {
            State::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => None,
                Poll::Ready(Ok((stream, peer_addr))) => {
                    let (reader, outbox) = (Reader::default(), Outbox::new());
                    *state = State::Open { stream, peer_addr, reader, outbox, broken: false };
                    Some(Input::Connected(peer_addr))
                }
                Poll::Ready(Err(error)) => Some(Input::Refused(error)),
            },
            State::Open { stream, reader, outbox, broken, .. } => {
                if outbox.is_blocked() && !*broken {
                    let before = outbox.len();
                    match flush(outbox, stream, &mut scratch.output, cx, now) {
                        Ok(false) if outbox.len() == before => {}
                        Ok(_) => return Some(Input::Written(outbox.len())),
                        Err(error) => {
                            *broken = true;
                            return Some(Input::Broken(error));
                        }
                    }
                }
                if !*reads {
                    return None;
                }
                let most = (*max_read as usize).min(scratch.input.len());
                match reader.poll_read(stream, cx, &mut scratch.input[..most]) {
                    Poll::Pending => None,
                    Poll::Ready(Ok(0)) => Some(Input::Eof),
                    Poll::Ready(Ok(n)) => Some(Input::Bytes(n)),
                    Poll::Ready(Err(error)) => Some(Input::Failed(error)),
                }
            }
        }
    }

    /// Tells the session the time and does what it asks for. Returns whether another round is worth it.
    fn exchange(&mut self, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let mut again = false;
        for _ in 0..MAX_ROUNDS {
            let exchanged = self.exchange_once(now, cx, scratch);
            let Exchanged { write, compressing, resumed, more } = exchanged;
            again |= resumed;
            let Some(id) = write else { return again };
            let compresses = compressing.is_some();
            if let Some(compressing) = compressing {
                self.compress(id, compressing, now, scratch);
            }
            self.write(id, now, cx, scratch);
            // What became of the session by that has not been asked.
            if !more && !compresses {
                return again;
            }
        }
        true
    }

    /// The part of [`exchange`](Self::exchange) under one lock: up to a connection that has something to write.
    fn exchange_once(
        &mut self,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Exchanged<Id<C>> {
        let Self { shared, cell, connections, due, finished, .. } = self;
        let mut closed = Vec::new();
        let mut guard = cell.lock_by_task();
        let hub = guard.host();
        if hub.poll_timeout().is_some_and(|due| due <= now) {
            hub.handle_timeout(now);
        }
        let (mut write, mut compressing) = (None, None);
        while let Some(action) = hub.poll_action(now, &mut entropy(&mut scratch.supplies.entropy)) {
            match action {
                HostAction::Connect(id) => {
                    let Some(url) = hub.address(id).cloned() else { continue };
                    let shared = Arc::clone(shared);
                    let connecting = Box::pin(async move { connect_to(&shared, &url).await });
                    let state = State::Connecting(connecting);
                    connections.push(Connection::new(id, state));
                    // To be polled, so that it wakes the task.
                    cx.waker().wake_by_ref();
                }
                HostAction::Encrypt(id) => {
                    let at = connections.iter().position(|it| it.id == id);
                    if let (Some(at), Some(url)) = (at, hub.address(id).cloned())
                        && let State::Open { stream, peer_addr, .. } =
                            connections.swap_remove(at).state
                    {
                        let shared = Arc::clone(shared);
                        let encrypting = Box::pin(async move {
                            Ok((shared.encryptor.encrypt(stream, &url).await?, peer_addr))
                        });
                        let state = State::Connecting(encrypting);
                        connections.push(Connection::new(id, state));
                        cx.waker().wake_by_ref();
                    }
                }
                HostAction::Close(id) => {
                    if let Some(at) = connections.iter().position(|it| it.id == id) {
                        closed.push(connections.swap_remove(at));
                    }
                }
                HostAction::Write(id) => {
                    let connection = connections.iter_mut().find(|it| it.id == id);
                    if let Some(connection) = connection
                        && let State::Open { .. } = connection.state
                    {
                        compressing = hub.pull(id);
                        if compressing.is_none() {
                            connection.take_output(now, hub, &mut scratch.output);
                        }
                        write = Some(id);
                        break;
                    }
                }
            }
        }
        // Once it is closed, the task tells so when everything has been written.
        let more = write.is_some() && (hub.has_actions() || hub.is_ending());
        let mut resumed = false;
        for connection in connections.iter_mut() {
            let stood_still = !connection.reads;
            connection.update(hub);
            resumed |= stood_still && connection.reads;
        }
        (*due, *finished) = (hub.poll_timeout(), hub.is_finished());
        let throttled = connections.iter().any(|connection| !connection.reads);
        guard.settle_task(*due, throttled, write.is_none());
        drop(guard);
        // One that encrypts tells the server, if it can do so at once. Everything has been written, or is of no use.
        for connection in closed {
            if let State::Open { mut stream, .. } = connection.state {
                let _ = Pin::new(&mut stream).poll_close(cx);
            }
        }
        Exchanged { write, compressing, resumed, more }
    }

    /// Compresses messages while the session is not locked, and takes all that is to be written for their connection.
    fn compress(
        &mut self,
        id: Id<C>,
        mut compressing: Compressing,
        now: Time,
        scratch: &mut Scratch,
    ) {
        compressing.run(&mut scratch.supplies.compressors);
        let mut guard = self.cell.lock_by_task();
        let hub = guard.host();
        hub.put_back(id, compressing);
        if let Some(connection) = self.connections.iter_mut().find(|it| it.id == id) {
            connection.take_output(now, hub, &mut scratch.output);
            // Its WebSocket was away, and with it the limit. Whether it reads again is for the next exchange to notice.
            connection.limit_reads(hub);
        }
    }

    /// Writes what the session has handed out for a connection.
    fn write(&mut self, id: Id<C>, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) {
        let connection = self.connections.iter_mut().find(|connection| connection.id == id);
        let Some(Connection { state: State::Open { stream, outbox, broken, .. }, .. }) = connection
        else {
            // Closed by what it was handed; nobody else must write it.
            return scratch.output.clear();
        };
        match flush(outbox, stream, &mut scratch.output, cx, now) {
            Ok(true) => {}
            Ok(false) => {
                let left = outbox.len();
                self.cell.lock_by_task().host().handle_blocked(now, id, left);
            }
            Err(error) => {
                *broken = true;
                self.cell.lock_by_task().host().note_error(error);
            }
        }
    }

    /// Waits for the next deadline.
    fn poll_sleep(&mut self, now: Time, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            self.sleep = Sleep::default();
            return Poll::Pending;
        };
        if due <= now {
            return Poll::Ready(());
        }
        self.sleep.poll(&self.shared.runtime, due, cx)
    }
}

impl<R: Runtime, I: Copy> Connection<R, I> {
    const fn new(id: I, state: State<R>) -> Self {
        Self { id, state, reads: true, max_read: u32::MAX, probed: false }
    }

    /// Takes from the session what is to be written.
    fn take_output(&mut self, now: Time, hub: &mut impl Host<Id = I>, output: &mut Output) {
        let State::Open { outbox, broken, .. } = &mut self.state else { return };
        hub.flush(now, self.id, |bytes| {
            // It counts as blocked until it is lost.
            let taken = if *broken { 0 } else { bytes.len() };
            outbox.output(output).put_slice(&bytes[..taken]);
            taken
        });
    }

    /// Notes how the session wants to have it read.
    fn update(&mut self, hub: &impl Host<Id = I>) {
        self.reads = hub.is_reading(self.id);
        self.limit_reads(hub);
        self.probed = hub.is_probing(self.id);
    }

    fn limit_reads(&mut self, hub: &impl Host<Id = I>) {
        self.max_read = hub.max_read(self.id).try_into().unwrap_or(u32::MAX);
    }
}

/// Hands what became of a connection to the client.
fn handle<H: Host>(hub: &mut H, now: Time, id: H::Id, input: Input, scratch: &mut Scratch) {
    match input {
        Input::Connected(peer_addr) => hub.handle_connected(now, id, peer_addr),
        Input::Bytes(n) => hub.handle_bytes(now, id, &mut scratch.input[..n]),
        Input::Eof => hub.handle_eof(now, id),
        Input::Written(0) => hub.handle_writable(now, id),
        Input::Written(left) => hub.handle_blocked(now, id, left),
        Input::Broken(error) => hub.note_error(error),
        Input::Refused(error) => {
            trace!(DEBUG, error = %error, "connection failed");
            hub.handle_refused(now, id, error);
        }
        Input::Failed(error) => {
            trace!(DEBUG, error = %error, "connection failed");
            hub.handle_lost(now, id, error);
        }
    }
}

impl<R: Runtime, C: HostCell> Future for Task<R, C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            this.cell.register_task(cx.waker());
            this.waker = Some(cx.waker().clone());
        }
        this.cell.poll_application(cx);
        for _ in 0..ROUNDS {
            let now = this.shared.state.clock.now();
            let span = std::mem::take(&mut this.span);
            let more = span.in_scope(|| Scratch::with(|scratch| this.drive(now, cx, scratch)));
            this.span = span;
            if more {
                continue;
            }
            if this.connections.is_empty() && this.finished {
                return Poll::Ready(());
            }
            if this.poll_sleep(now, cx).is_pending() {
                return Poll::Pending;
            }
        }
        // The other tasks on this thread want their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Without its task a session has no connections: a runtime that shuts down ends it.
impl<R: Runtime, C: HostCell> Drop for Task<R, C> {
    fn drop(&mut self) {
        self.cell.finish();
    }
}

/// Connects to the server at `to`, which may have been named by a redirect.
async fn connect_to<R: Runtime>(
    shared: &Shared<R>,
    to: &Url,
) -> io::Result<(ClientStream<R::Stream>, SocketAddr)> {
    if let Some(connector) = &shared.connector {
        let (stream, peer_addr) = connector(to.clone()).await?;
        return Ok((ClientStream::Brought(stream), peer_addr));
    }
    let (stream, peer_addr) = connect_tcp(&shared.runtime, to.host(), to.port()).await?;
    let stream = ClientStream::Runtime(stream);
    // After the race of addresses: one server sees one TLS handshake.
    let stream = if to.is_secure() { shared.encryptor.encrypt(stream, to).await? } else { stream };
    Ok((stream, peer_addr))
}

/// Random bytes, fetched in bulk.
fn entropy(pool: &mut EntropyPool) -> impl FnMut(&mut [u8]) {
    move |buffer: &mut [u8]| pool.fill(buffer)
}

/// Writes what there is. Returns whether that was all.
fn flush<S: AsyncWrite + Unpin>(
    outbox: &mut Outbox,
    stream: &mut S,
    shared: &mut Output,
    cx: &mut Context<'_>,
    now: Time,
) -> io::Result<bool> {
    let flushed = outbox.flush(shared, now, &mut Writer { stream, cx })?;
    if flushed {
        drop(outbox.take_empty());
    }
    Ok(flushed)
}

/// Reads of all connections before the session is asked what it wants: a server that never stops talking must not
/// keep it from responding.
const MAX_READS: usize = 8;

/// Rounds of everything before the task lets others have their turn.
const ROUNDS: usize = 8;

/// Writes in a row before connections are read again: more than a session asks for at a time, unless the application
/// writes as fast as the server reads.
const MAX_ROUNDS: usize = 16;

#[cfg(test)]
mod tests;
