//! The task that has the connections of one session.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use enginewire::{ClientHub, LinkAction, LinkId, Time, carrier::WRITE_CHUNK};
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
        excused: Time::ZERO,
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
    /// Until when a server that takes nothing of the last bytes is excused.
    excused: Time,
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
    /// The session has let go of it: it is closed once everything has been written, unless the server
    /// takes nothing for too long.
    Closing {
        stream: R::Stream,
        writer: Writer,
        since: Time,
    },
}

impl<R: Runtime> Task<R> {
    /// One look at everything. Says whether another one is worth it.
    ///
    /// First at what has come, then at the clock, then at what the session wants: a ping that waits in a
    /// socket is in time, and a request is not sent on a connection whose end has come.
    fn drive(&mut self, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        if self.closing_deadline().is_some_and(|due| due <= now) {
            self.look_again(now);
        }
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
        let due = self.closing_deadline().into_iter().chain(awaited).min();
        if let Some(due) = due.filter(|&due| due <= now)
            && let Some(until) = self.last_look.before(due, now)
        {
            self.excused = until;
            self.cell.lock_by_task().inner.hosted.hub.excuse(until);
        }
    }

    /// When the first of the connections that are closing is given up.
    fn closing_deadline(&self) -> Option<Time> {
        let closing = self.links.iter().filter_map(|link| match &link.state {
            State::Closing { writer, since, .. } => Some(closing_deadline(writer, *since)),
            _ => None,
        });
        closing.min().map(|deadline| deadline.max(self.excused))
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
                LinkAction::Connect(id) => {
                    let shared = Arc::clone(self.cell.shared());
                    let connect = async move { connect(&shared.runtime, &shared.url).await };
                    self.links.push(Link { id, state: State::Connecting(Box::pin(connect)) });
                }
                LinkAction::Write(id) => self.write(id, now, cx, scratch),
                LinkAction::Close(id) => self.close(id, now),
            }
        }
        true
    }

    /// The session has let go of a connection.
    fn close(&mut self, id: LinkId, now: Time) {
        let Some(at) = self.links.iter().position(|link| link.id == id) else { return };
        let link = self.links.swap_remove(at);
        if let State::Open { stream, writer, broken: false, .. } = link.state {
            let since = now;
            self.links.push(Link { id, state: State::Closing { stream, writer, since } });
        }
    }

    /// Takes what the session has for a connection, and writes it once the lock has been released.
    fn write(&mut self, id: LinkId, now: Time, cx: &mut Context<'_>, scratch: &mut Scratch) {
        let Some(at) = self.links.iter().position(|link| link.id == id) else { return };
        let State::Open { stream, writer, broken, .. } = &mut self.links[at].state else { return };
        if *broken {
            // It counts as blocked until it is lost.
            return self.cell.lock_by_task().inner.hosted.hub.transmit(now, id, |_| 0);
        }
        if !writer.is_blocked() {
            let mut room = WRITE_CHUNK;
            let mut guard = self.cell.lock_by_task();
            guard.inner.hosted.hub.transmit(now, id, |bytes| {
                let taken = &bytes[..bytes.len().min(room)];
                room -= taken.len();
                scratch.output.put_slice(taken);
                taken.len()
            });
        }
        match writer.poll_flush(stream, &mut scratch.output, cx, now) {
            Poll::Ready(Ok(())) => {
                self.cell.lock_by_task().inner.hosted.hub.handle_writable(now, id)
            }
            // It is told when the rest is out.
            Poll::Pending => {}
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
                    guard.inner.peer_addr.get_or_insert(peer_addr);
                    guard.inner.hosted.hub.handle_connected(now, id);
                    Progress::More
                }
                Poll::Ready(Err(error)) => {
                    self.fail(now, id, error, ClientHub::handle_refused);
                    Progress::Ended
                }
            },
            State::Closing { stream, writer, since } => {
                let written = writer.poll_flush(stream, &mut scratch.output, cx, now);
                let closed = match written {
                    Poll::Ready(Ok(())) => Pin::new(stream).poll_close(cx).is_ready(),
                    Poll::Ready(Err(_)) => true,
                    Poll::Pending => false,
                };
                let given_up = closing_deadline(writer, *since).max(self.excused) <= now;
                if closed || given_up { Progress::Ended } else { Progress::Idle }
            }
            State::Open { stream, reader, writer, broken } => {
                let mut progress = Progress::Idle;
                if writer.is_blocked() && !*broken {
                    match writer.poll_flush(stream, &mut scratch.output, cx, now) {
                        Poll::Ready(Ok(())) => {
                            self.cell.lock_by_task().inner.hosted.hub.handle_writable(now, id);
                            progress = Progress::More;
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
        let closing = self.closing_deadline();
        let mut guard = self.cell.lock_by_task();
        let due = guard.inner.hosted.hub.poll_timeout().into_iter().chain(closing).min();
        guard.inner.armed = due;
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

/// When a connection that is closing is given up, if nothing is written before.
fn closing_deadline(writer: &Writer, since: Time) -> Time {
    writer.deadline(PATIENCE).unwrap_or(since + PATIENCE).max(since + PATIENCE)
}

/// Random bytes, fetched in bulk.
fn entropy<R: Runtime>(pool: &mut EntropyPool, runtime: &R) -> impl FnMut(&mut [u8]) {
    move |buffer: &mut [u8]| pool.fill(buffer, |buffer| runtime.fill_random(buffer))
}

/// How often the task goes through everything before it lets others have their turn.
const ROUNDS: usize = 8;

/// How long a server may take nothing of the last bytes of a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the connections before the session is asked what it wants: a server that never stops talking
/// must not keep it from answering.
const MAX_LOOKS: usize = 8;

/// Actions of the session before its connections are read again: more than it asks for at a time, unless
/// somebody writes as fast as the server reads.
const MAX_ACTIONS: usize = 16;
