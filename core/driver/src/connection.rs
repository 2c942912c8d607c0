//! One TCP connection of a server, one task.
//!
//! The state is [`carrier::Connection`]; the task reads and writes the stream around it. Written as a state
//! machine and not as an `async fn`, because its size is what an idle connection costs.

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use enginewire::{
    CarrierId, ExchangeId, Opening, Refusal, Reject, Response, Router, Sid, Time, WebSocketEnd,
    WebSocketId,
    carrier::{self, Follow, Held, Host},
    wire::http,
};

use crate::{
    cell::{Due, Guard, SessionCell},
    handler::{Cause, Driven, Handling, OpenSlot, Slot},
    handshake::Handshake,
    lifecycle::Phase,
    reader::Reader,
    runtime::Stream,
    scratch::{EntropyPool, Scratch},
    shared::{FallbackRequest, Shared, Verdict},
    socket::{Cell, Socket},
    trace::{Span, trace},
    wakers::WakerKey,
    wakes::Wakes,
    writer::Writer,
};

/// The task of one TCP connection.
pub(crate) struct Connection<S> {
    id: u64,
    shared: Arc<Shared>,
    stream: S,
    peer_addr: SocketAddr,
    reader: Reader,
    state: carrier::Connection<Arc<SessionCell>, Asked, Forwarded>,
    /// The sending side is to be shut down, and then has been.
    shutdown: Shutdown,
    registered: WakerKey,
    /// The waker of the task.
    waker: Option<Waker>,
    /// There if the server has a handler.
    slot: Option<Box<Slot>>,
    span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    No,
    Due,
    Done,
}

/// A handshake and the application's decision about it.
pub(crate) struct Asked {
    handshake: Arc<Handshake>,
    verdict: Option<Verdict>,
}

/// A request for another path, and the application's response.
pub(crate) struct Forwarded(Pin<Box<dyn Future<Output = Response> + Send>>);

impl<S: Stream> Connection<S> {
    pub(crate) fn new(shared: Arc<Shared>, stream: S, peer_addr: SocketAddr) -> Self {
        shared.sessions.lifecycle.enter();
        let id = shared.fresh_id();
        let mut registered = None;
        // Counted from here on; the waker comes with the first poll.
        shared.sessions.lifecycle.register_connection(id, &mut registered, Waker::noop());
        let now = shared.sessions.clock.now();
        shared.set_wall_clock(now);
        Self {
            id,
            state: carrier::Connection::new(now, Arc::clone(&shared.http)),
            slot: shared.hooks.handler.is_some().then(|| Box::new(Slot::new())),
            shared,
            stream,
            peer_addr,
            reader: Reader::default(),
            shutdown: Shutdown::No,
            registered,
            waker: None,
            span: Span::connection(id, peer_addr),
        }
    }

    /// Drives a connection of a server without a handler.
    fn poll_alone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.advance(cx, None, Cause::Any) {
            Driven::Waits => Poll::Pending,
            Driven::Yields => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Driven::Ended => Poll::Ready(()),
        }
    }

    /// Goes on until nothing more can be done now, or long enough, and arms the alarm.
    ///
    /// A session that is opened on the way has its handler put into `slot`.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        slot: Option<&mut OpenSlot<'_>>,
        cause: Cause,
    ) -> Driven {
        let driven = Scratch::with(|scratch| self.drive(cx, scratch, slot, cause));
        if driven != Driven::Ended {
            self.arm(cx);
        }
        driven
    }

    fn drive(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        mut slot: Option<&mut OpenSlot<'_>>,
        cause: Cause,
    ) -> Driven {
        let Self { shared, stream, reader, state, peer_addr, .. } = self;
        let now = shared.sessions.clock.now();
        if shared.sessions.lifecycle.phase() == Phase::Aborting {
            return Driven::Ended;
        }
        if cause == Cause::Any {
            // Runtimes that tell late of what came would let it be overtaken by what came after.
            if reader.wake() && state.expects_input() {
                reader.distrust();
            }
            state.handle_timeout(now, &shared.http);
            // The task may have been woken because the stream takes bytes again.
            state.handle_writable();
        }
        let Scratch { input, connection: scratch, entropy, .. } = scratch;
        for round in 0..ROUNDS {
            if self.shutdown == Shutdown::Due {
                match Pin::new(&mut *stream).poll_close(cx) {
                    Poll::Ready(Ok(())) => self.shutdown = Shutdown::Done,
                    Poll::Ready(Err(_)) => return Driven::Ended,
                    Poll::Pending => {}
                }
            }
            let is_reading = state.is_reading() && self.shutdown != Shutdown::Due;
            let mut read = Poll::Pending;
            let knows = cause == Cause::Session && reader.is_waiting();
            if is_reading && !knows {
                read = reader.poll_read(stream, cx, input);
            }
            let waits = is_reading && read.is_pending();
            let mut host = ServerHost {
                shared,
                peer_addr: *peer_addr,
                cx,
                entropy,
                slot: slot.as_deref_mut(),
            };
            match read {
                Poll::Ready(Ok(0)) => state.receive_eof(now, &mut host, scratch),
                Poll::Ready(Ok(n)) => state.receive(now, &mut host, scratch, &mut input[..n]),
                Poll::Ready(Err(_)) => {
                    state.lose(now, WebSocketEnd::Failed, &mut host, scratch);
                    return Driven::Ended;
                }
                // The first time, a session may have woken the task.
                Poll::Pending if round > 0 => return Driven::Waits,
                Poll::Pending => {}
            }
            if host.has_handler() {
                if !waits {
                    state.exchange(now, &mut host, scratch, false);
                }
                host.poll_handler();
            }
            let waker = host.cx.waker().clone();
            let mut writer = Writer { stream, cx: &mut Context::from_waker(&waker) };
            if state.transmit(now, &mut host, scratch, &mut writer).is_err() {
                state.lose(now, WebSocketEnd::Failed, &mut host, scratch);
                return Driven::Ended;
            }
            let running = shared.sessions.lifecycle.is_serving();
            match state.conclude(now, running, &shared.http, scratch) {
                // The task will be woken for the next bytes.
                Follow::Nothing | Follow::Write if waits => return Driven::Waits,
                Follow::Nothing | Follow::Write => {}
                Follow::Shutdown => self.shutdown = Shutdown::Due,
                Follow::End => {
                    state.lose(now, WebSocketEnd::Closed, &mut host, scratch);
                    return Driven::Ended;
                }
            }
        }
        Driven::Yields
    }

    /// Arms the alarm for the next deadline.
    fn arm(&mut self, cx: &Context<'_>) {
        let Self { shared, state, id, .. } = self;
        if let Some(next) = state.next_alarm(&shared.http) {
            let due = || Due::Connection(cx.waker().clone());
            let timer = shared.sessions.timers.rearm(id, &mut state.alarm, next, due);
            if let Some(timer) = timer {
                timer.wake();
            }
        }
    }
}

impl<S: Stream> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut slot = this.slot.take();
        if !this.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            this.waker = Some(cx.waker().clone());
            let waker = slot.as_ref().map_or(cx.waker(), |slot| slot.set_task(cx.waker()));
            let lifecycle = &this.shared.sessions.lifecycle;
            lifecycle.register_connection(this.id, &mut this.registered, waker);
        }
        let span = std::mem::take(&mut this.span);
        let (result, rest) = span.in_scope(|| match &mut slot {
            None => (this.poll_alone(cx), None),
            Some(slot) => slot.poll(|cx, slot, cause| this.advance(cx, Some(slot), cause)),
        });
        (this.span, this.slot) = (span, slot);
        if let (Some(handling), Some(handler)) = (rest, &this.shared.hooks.handler) {
            (handler.spawn)(handling);
        }
        result
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        let Self { shared, state, peer_addr, id, .. } = self;
        let now = shared.sessions.clock.now();
        Scratch::with(|Scratch { connection: scratch, entropy, .. }| {
            let cx = &mut Context::from_waker(Waker::noop());
            let mut host = ServerHost { shared, peer_addr: *peer_addr, cx, entropy, slot: None };
            // Nothing to do if the connection has come to its end by itself.
            state.lose(now, WebSocketEnd::Closed, &mut host, scratch);
        });
        let due = || Due::Connection(Waker::noop().clone());
        let timer = shared.sessions.timers.rearm(id, &mut state.alarm, None, due);
        debug_assert!(timer.is_none());
        shared.sessions.lifecycle.remove_connection(*id, self.registered);
        shared.sessions.leave();
        if shared.options.max_connections < usize::MAX {
            shared.sessions.lifecycle.wake_watchers();
        }
    }
}

/// The server, as the connection sees it that a task drives.
struct ServerHost<'a, 'cx, 'slot> {
    shared: &'a Arc<Shared>,
    peer_addr: SocketAddr,
    cx: &'a mut Context<'cx>,
    entropy: &'a mut EntropyPool,
    /// Where the handler of a session goes that the connection has to itself.
    slot: Option<&'a mut OpenSlot<'slot>>,
}

impl ServerHost<'_, '_, '_> {
    /// Returns whether the session of this connection has its handler here.
    fn has_handler(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.has_handler())
    }

    /// Lets the handler have what came, and reply to it before the connection writes.
    fn poll_handler(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.poll_handler();
            slot.take_session_wake();
        }
    }

    /// Returns the waker for a session that this connection carries.
    fn waker(&self) -> &Waker {
        let here = self.slot.as_ref().and_then(|slot| slot.session_waker());
        here.unwrap_or_else(|| self.cx.waker())
    }

    /// Hands a new session to the application. Returns false if it takes none.
    fn hand_over(&mut self, cell: &Arc<SessionCell>, first: CarrierId, asked: Asked) -> bool {
        let Self { shared, slot, .. } = self;
        let socket = Socket::new(Cell::Server(Arc::clone(cell)), asked.handshake);
        let admit = || shared.sessions.insert(cell);
        let Some(handler) = &shared.hooks.handler else {
            return shared.backlog.push(socket, admit).map_err(|socket| socket.abort()).is_ok();
        };
        if !admit() {
            socket.abort();
            return false;
        }
        let handling = Handling::new((handler.hook)(socket), &shared.sessions);
        match slot {
            Some(slot) if matches!(first, CarrierId::WebSocket(_)) => slot.start(handling),
            _ => (handler.spawn)(handling),
        }
        true
    }
}

impl Host for ServerHost<'_, '_, '_> {
    type Session = Arc<SessionCell>;
    type Handshake = Asked;
    type Request = Forwarded;
    type Guard<'a>
        = ConnectionGuard<'a>
    where
        Self: 'a;

    fn router(&self) -> &Router {
        &self.shared.router
    }

    fn http(&self) -> &Arc<http::Config> {
        &self.shared.http
    }

    fn fresh_id(&mut self) -> u64 {
        self.shared.fresh_id()
    }

    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn find(&mut self, sid: &Sid) -> Option<Arc<SessionCell>> {
        self.shared.sessions.find(sid)
    }

    fn ask(&mut self, head: http::RequestHead) -> Asked {
        let handshake = Arc::new(Handshake::new(head, self.peer_addr));
        let verdict = self.shared.hooks.allow.as_ref().map(|allow| allow(Arc::clone(&handshake)));
        Asked { handshake, verdict }
    }

    fn verdict(&mut self, asked: &mut Asked) -> Option<Result<(), Refusal>> {
        match &mut asked.verdict {
            None => Some(Ok(())),
            Some(verdict) => match verdict.as_mut().poll(self.cx) {
                Poll::Ready(verdict) => Some(verdict),
                Poll::Pending => None,
            },
        }
    }

    fn open(
        &mut self,
        now: Time,
        opening: Opening,
        first: CarrierId,
        asked: Asked,
    ) -> Result<Self::Session, Reject> {
        let shared = self.shared;
        let mut entropy = |buffer: &mut [u8]| self.entropy.fill(buffer);
        let session = shared.router.open(now, &mut entropy, opening, first)?;
        let cell = SessionCell::new(&shared.sessions, shared.fresh_id(), now, session);
        let (CarrierId::Exchange(ExchangeId(id)) | CarrierId::WebSocket(WebSocketId(id))) = first;
        cell.lock().entry().0.attach(id, self.cx.waker().clone());
        if !self.hand_over(&cell, first, asked) {
            return Err(Reject::Unavailable);
        }
        trace!(DEBUG, session = cell.id, peer = %self.peer_addr, "session opened");
        Ok(cell)
    }

    fn lock<'a>(
        &'a mut self,
        now: Time,
        session: &'a Self::Session,
        id: u64,
    ) -> ConnectionGuard<'a> {
        ConnectionGuard { guard: session.lock_as(now, id), waker: self.waker(), id }
    }

    fn forwards(&self) -> bool {
        self.shared.hooks.fallback.is_some()
    }

    fn forward(&mut self, head: http::RequestHead, body: Bytes) -> Forwarded {
        let request = FallbackRequest { head, body, peer_addr: self.peer_addr };
        match &self.shared.hooks.fallback {
            Some(fallback) => Forwarded(fallback(request)),
            None => Forwarded(Box::pin(std::future::ready(Reject::NotFound.response()))),
        }
    }

    fn response(&mut self, request: &mut Forwarded) -> Option<Response> {
        match request.0.as_mut().poll(self.cx) {
            Poll::Ready(response) => Some(response),
            Poll::Pending => None,
        }
    }

    fn refused(&mut self, reject: &Reject) {
        trace!(DEBUG, peer = %self.peer_addr, reason = %reject, "request refused");
    }

    fn failed(&mut self, event: &http::Event) {
        trace!(DEBUG, event = ?event, "exchange failed");
    }
}

/// A session that a connection has to itself, and the task of that connection.
struct ConnectionGuard<'a> {
    guard: Guard<'a>,
    waker: &'a Waker,
    id: u64,
}

impl carrier::Guard for ConnectionGuard<'_> {
    type Waker = Waker;
    type Wakes = Wakes;

    #[inline]
    fn held(&mut self) -> Held<'_, Waker, Wakes> {
        let (entry, wakes) = self.guard.entry();
        Held { entry, id: self.id, waker: self.waker, wakes }
    }
}

/// Rounds of reading and writing before a task lets others have their turn.
const ROUNDS: usize = 32;
