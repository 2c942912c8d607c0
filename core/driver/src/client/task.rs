//! The task that has the connections of one session.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use enginewire::{ClientHub, LinkAction, LinkId, Time, Url};
use futures_io::AsyncWrite;

use super::{ClientCell, Shared, connect::connect};
use crate::{
    last_look::LastLook,
    reader::Reader,
    runtime::Runtime,
    scratch::{EntropyPool, Scratch},
    trace::{Span, trace},
    waiters::Shareable,
    writer::Writer,
};

/// Begins to open a session.
pub(super) fn start<R: Runtime>(shared: &Arc<Shared<R>>) -> Arc<ClientCell<R>> {
    let worked = shared.websocket_worked.load(Ordering::Relaxed);
    let config = Arc::clone(&shared.config);
    let now = shared.runtime.now();
    let hub = Scratch::with(|scratch| {
        let mut entropy = entropy(&mut scratch.entropy, &shared.runtime);
        ClientHub::new(now, &shared.url, config, worked, &mut entropy)
    });
    let cell = ClientCell::new(shared, hub);
    let span = Span::session(cell.id(), &shared.url);
    let task = Task {
        cell: Arc::clone(&cell),
        links: Vec::new(),
        sleep: None,
        last_look: LastLook::default(),
        span,
    };
    shared.runtime.spawn(task);
    cell
}

/// Does what the session asks for until it is over and all its connections have been closed.
struct Task<R: Runtime> {
    cell: Arc<ClientCell<R>>,
    links: Vec<Link<R>>,
    sleep: Option<(Time, Pin<Box<R::Sleep>>)>,
    last_look: LastLook,
    span: Span,
}

/// One connection.
struct Link<R: Runtime> {
    id: LinkId,
    state: State<R>,
}

type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<(S, SocketAddr)>> + Send>>;

enum State<R: Runtime> {
    Connecting(Connecting<R::Stream>),
    Open {
        stream: R::Stream,
        reader: Reader,
        writer: Writer,
        /// Nothing can be written any more. What the server has said before may still be read.
        broken: bool,
    },
}

impl<R: Runtime> Task<R> {
    /// One look at everything. Says whether another one is worth it.
    ///
    /// First at what has come, then at the clock, then at what the session wants: a ping that waits in a
    /// socket is in time, and a request is not sent on a connection whose end has come.
    fn drive(&mut self, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let mut more = true;
        for _ in 0..MAX_LOOKS {
            more = self.look_at_all(now, cx, scratch);
            if !more {
                break;
            }
        }
        let due = self.cell.lock_by_task().inner.hosted.hub.poll_timeout();
        if due.is_some_and(|due| due <= now) {
            self.look_again(now);
            self.cell.lock_by_task().inner.hosted.hub.handle_timeout(now);
        }
        self.act(now, cx, scratch) || more
    }

    /// The runtime may not have seen yet what lies in a socket. One look for all: if each of two deadlines
    /// that are close to each other had its own, the one would always come up during that of the other.
    fn look_again(&mut self, now: Time) {
        let awaited = self.cell.lock_by_task().inner.hosted.hub.awaited();
        if let Some(due) = awaited.filter(|&due| due <= now)
            && let Some(until) = self.last_look.before(due, now)
        {
            self.cell.lock_by_task().inner.hosted.hub.excuse(until);
        }
    }

    /// Looks at each connection once. Says whether another look is worth it.
    fn look_at_all(&mut self, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let mut more = false;
        for at in (0..self.links.len()).rev() {
            match self.look(at, now, cx, scratch) {
                Progress::Idle => {}
                Progress::More => more = true,
                Progress::Ended => {
                    self.links.swap_remove(at);
                    more = true;
                }
            }
        }
        more
    }

    /// Does what the session asks for, but not so much that nothing would be read for long. Says whether
    /// there was anything.
    fn act(&mut self, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        for acted in 0..MAX_ACTIONS {
            let action = {
                let runtime = &self.cell.shared().runtime;
                let mut entropy = entropy(&mut scratch.entropy, runtime);
                self.cell.lock_by_task().inner.hosted.hub.poll_action(now, &mut entropy)
            };
            let Some(action) = action else { return acted > 0 };
            match action {
                LinkAction::Connect(id) => self.connect(id),
                LinkAction::Write(id) => self.write(id, now, cx, scratch),
                LinkAction::Close(id) => self.close(id, cx),
            }
        }
        true
    }

    /// Begins to connect to where the session wants it.
    fn connect(&mut self, id: LinkId) {
        let url = self.cell.lock_by_task().inner.hosted.hub.address(id).cloned();
        let Some(url) = url else { return };
        let shared = Arc::clone(self.cell.shared());
        let connect = async move { connect_to(&shared, &url).await };
        self.links.push(Link { id, state: State::Connecting(Box::pin(connect)) });
    }

    /// Closes a connection that the session needs no more. Everything has been written, or is of no use
    /// to the server.
    fn close(&mut self, id: LinkId, cx: &mut Context<'_>) {
        let Some(at) = self.links.iter().position(|link| link.id == id) else { return };
        if let State::Open { mut stream, .. } = self.links.swap_remove(at).state {
            // One that encrypts says so to the server, if it can do so at once.
            let _ = Pin::new(&mut stream).poll_close(cx);
        }
    }

    /// Takes what the session has for a connection, and writes it once the lock has been released.
    fn write(&mut self, id: LinkId, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) {
        let Some(at) = self.links.iter().position(|link| link.id == id) else { return };
        let State::Open { stream, writer, broken, .. } = &mut self.links[at].state else { return };
        {
            let mut guard = self.cell.lock_by_task();
            guard.inner.hosted.hub.transmit(now, id, |bytes| {
                // It counts as blocked until it is lost.
                let taken = if *broken { 0 } else { bytes.len() };
                writer.output(&mut scratch.output).put_slice(&bytes[..taken]);
                taken
            });
        }
        match writer.poll_flush(stream, &mut scratch.output, cx, now) {
            Poll::Ready(Ok(())) => {}
            // It is told when the rest is out.
            Poll::Pending => {
                self.cell.lock_by_task().inner.hosted.hub.handle_blocked(now, id, writer.len());
            }
            Poll::Ready(Err(error)) => {
                *broken = true;
                self.cell.lock_by_task().inner.error = Some(error);
            }
        }
    }

    /// Looks at one connection.
    fn look(
        &mut self,
        at: usize,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Progress {
        let Link { id, state } = &mut self.links[at];
        let id = *id;
        match state {
            State::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => Progress::Idle,
                Poll::Ready(Ok((stream, peer_addr))) => {
                    let (reader, writer) = (Reader::default(), Writer::default());
                    *state = State::Open { stream, reader, writer, broken: false };
                    let mut guard = self.cell.lock_by_task();
                    // Until the session is open, the server may send it elsewhere.
                    if guard.inner.hosted.hub.session().handshake().is_none() {
                        guard.inner.peer_addr = Some(peer_addr);
                    }
                    guard.inner.hosted.hub.handle_connected(now, id);
                    Progress::More
                }
                Poll::Ready(Err(error)) => {
                    self.fail(now, id, error, ClientHub::handle_refused);
                    Progress::Ended
                }
            },
            State::Open { stream, reader, writer, broken } => {
                let mut progress = Progress::Idle;
                if writer.is_blocked() && !*broken {
                    let before = writer.len();
                    match writer.poll_flush(stream, &mut scratch.output, cx, now) {
                        Poll::Ready(Ok(())) => {
                            self.cell.lock_by_task().inner.hosted.hub.handle_writable(now, id);
                            progress = Progress::More;
                        }
                        Poll::Pending if writer.len() < before => {
                            let mut guard = self.cell.lock_by_task();
                            guard.inner.hosted.hub.handle_blocked(now, id, writer.len());
                        }
                        Poll::Pending => {}
                        Poll::Ready(Err(error)) => {
                            *broken = true;
                            self.cell.lock_by_task().inner.error = Some(error);
                        }
                    }
                }
                {
                    let mut guard = self.cell.lock_by_task();
                    if !guard.inner.hosted.hub.is_reading(id) {
                        guard.inner.paused = true;
                        return progress;
                    }
                }
                let runtime = &self.cell.shared().runtime;
                match reader.poll_read(runtime, stream, cx, &mut scratch.input) {
                    Poll::Pending => progress,
                    Poll::Ready(Ok(0)) => {
                        self.cell.lock_by_task().inner.hosted.hub.handle_eof(now, id);
                        // The session has it closed.
                        Progress::More
                    }
                    Poll::Ready(Ok(n)) => {
                        let bytes = &mut scratch.input[..n];
                        self.cell.lock_by_task().inner.hosted.hub.handle_bytes(now, id, bytes);
                        Progress::More
                    }
                    Poll::Ready(Err(error)) => {
                        self.fail(now, id, error, ClientHub::handle_lost);
                        Progress::Ended
                    }
                }
            }
        }
    }

    /// Tells the session that a connection is no more.
    fn fail(
        &self,
        now: Time,
        id: LinkId,
        error: io::Error,
        tell: impl FnOnce(&mut ClientHub, Time, LinkId),
    ) {
        trace!(DEBUG, error = %error, "connection failed");
        let mut guard = self.cell.lock_by_task();
        guard.inner.error = Some(error);
        tell(&mut guard.inner.hosted.hub, now, id);
    }

    /// Sees to it that the task is woken at the next deadline.
    fn poll_sleep(&mut self, now: Time, cx: &mut Context<'_>) -> Poll<()> {
        let mut guard = self.cell.lock_by_task();
        let due = guard.inner.hosted.hub.poll_timeout();
        guard.inner.armed = due;
        let session = guard.inner.hosted.hub.session();
        if session.is_closed() && !session.was_closed() {
            // The application need not wait for a closing handshake that it has not begun.
            guard.inner.hosted.done = true;
        }
        drop(guard);
        let Some(due) = due else {
            self.sleep = None;
            return Poll::Pending;
        };
        if due <= now {
            return Poll::Ready(());
        }
        let (_, sleep) = match &mut self.sleep {
            Some(sleep) if sleep.0 == due => sleep,
            other => {
                let sleep = self.cell.shared().runtime.sleep_until(due);
                other.insert((due, Box::pin(sleep)))
            }
        };
        sleep.as_mut().poll(cx).map(drop)
    }
}

impl<R: Runtime> Future for Task<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.cell.register_task(cx.waker());
        for _ in 0..ROUNDS {
            let now = this.cell.shared().runtime.now();
            let span = std::mem::take(&mut this.span);
            let more = span.in_scope(|| Scratch::with(|scratch| this.drive(now, cx, scratch)));
            this.span = span;
            if more {
                continue;
            }
            if this.links.is_empty() && this.cell.is_finished() {
                return Poll::Ready(());
            }
            if this.poll_sleep(now, cx).is_pending() {
                return Poll::Pending;
            }
            this.sleep = None;
        }
        // The others on this thread want their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Without its task a session has no connections: a runtime that shuts down ends it.
impl<R: Runtime> Drop for Task<R> {
    fn drop(&mut self) {
        self.cell.finish();
    }
}

/// What came of a look at a connection.
enum Progress {
    Idle,
    More,
    /// The connection is no more, and the session knows it.
    Ended,
}

/// Connects to the server at `to`, which may have been named by a redirect.
async fn connect_to<R: Runtime>(
    shared: &Shared<R>,
    to: &Url,
) -> io::Result<(R::Stream, SocketAddr)> {
    if to.is_secure() && !R::TLS {
        let why = "the server redirects to https, and this runtime brings no TLS";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    connect(&shared.runtime, to).await
}

/// Random bytes, fetched in bulk.
fn entropy<R: Runtime>(pool: &mut EntropyPool, runtime: &R) -> impl FnMut(&mut [u8]) {
    move |buffer: &mut [u8]| pool.fill(buffer, |buffer| runtime.fill_random(buffer))
}

/// How often the task goes through everything before it lets others have their turn.
const ROUNDS: usize = 8;

/// Looks at the connections before the session is asked what it wants: a server that never stops talking
/// must not keep it from answering.
const MAX_LOOKS: usize = 8;

/// Actions of the session before its connections are read again: more than it asks for at a time, unless
/// somebody writes as fast as the server reads.
const MAX_ACTIONS: usize = 16;
