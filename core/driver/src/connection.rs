//! One TCP connection of a server, one task.
//!
//! The state is [`carrier::Connection`]; the task reads and writes the stream around it. Written as a state
//! machine and not as an `async fn`, because its size is what an idle connection costs.

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use enginewire::{
    WebSocketEnd,
    carrier::{self, Follow},
};

#[cfg(feature = "tls-no-provider")]
use crate::tls::TlsInfo;
use crate::{
    cell::SessionCell,
    handler::{Cause, Driven, OpenSlot, Slot},
    host::{Asked, Forwarded, ServerHost},
    lifecycle::Phase,
    peer::Peer,
    presence::Presence,
    reader::Reader,
    runtime::Stream,
    scratch::Scratch,
    shared::Shared,
    trace::Span,
    writer::Writer,
};

/// The task of one TCP connection.
pub(crate) struct Connection<S> {
    stream: S,
    peer: Peer,
    #[cfg(feature = "tls-no-provider")]
    tls: Option<Arc<TlsInfo>>,
    reader: Reader,
    state: carrier::Connection<Arc<SessionCell>, Asked, Forwarded>,
    /// The sending side is to be shut down, and then has been.
    shutdown: Shutdown,
    /// There if the server has a handler.
    slot: Option<Box<Slot>>,
    span: Span,
    // Dropped last: the end of a server waits for it.
    presence: Presence,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    No,
    Due,
    Done,
}

impl<S: Stream> Connection<S> {
    pub(crate) fn new(shared: Arc<Shared>, stream: S, peer: impl Into<Peer>) -> Self {
        Self::present(Presence::of_connection(shared), stream, peer.into())
    }

    /// Makes the task of a connection whose TLS handshake is done.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) fn encrypted(presence: Presence, stream: S, peer: Peer, tls: Arc<TlsInfo>) -> Self {
        let mut connection = Self::present(presence, stream, peer);
        connection.tls = Some(tls);
        connection
    }

    /// Makes the task of a connection that has entered the server before.
    pub(crate) fn present(presence: Presence, stream: S, peer: Peer) -> Self {
        let shared = presence.shared();
        let now = shared.sessions.clock.now();
        shared.set_wall_clock(now);
        let state = carrier::Connection::new(now, Arc::clone(&shared.http));
        let slot = shared.hooks.handler.is_some().then(|| Box::new(Slot::new()));
        Self::with_state(presence, stream, peer, state, slot)
    }

    /// Makes the task of a WebSocket whose handshake another HTTP server has answered.
    ///
    /// `slot` has the handler of its session, if that began with it.
    #[cfg(feature = "tower")]
    pub(crate) fn upgraded(
        shared: Arc<Shared>,
        stream: S,
        peer: Peer,
        upgrade: carrier::Upgrade<Arc<SessionCell>>,
        slot: Option<Box<Slot>>,
    ) -> Self {
        let limits = &shared.router.config().limits;
        let state = carrier::Connection::websocket(upgrade, limits);
        Self::with_state(Presence::of_connection(shared), stream, peer, state, slot)
    }

    /// Makes the task of a connection that another HTTP server has handed over, and that is another node's.
    #[cfg(feature = "tower")]
    pub(crate) fn relayed(
        shared: Arc<Shared>,
        stream: S,
        peer: Peer,
        state: carrier::Connection<Arc<SessionCell>, Asked, Forwarded>,
    ) -> Self {
        Self::with_state(Presence::of_connection(shared), stream, peer, state, None)
    }

    fn with_state(
        presence: Presence,
        stream: S,
        peer: Peer,
        state: carrier::Connection<Arc<SessionCell>, Asked, Forwarded>,
        slot: Option<Box<Slot>>,
    ) -> Self {
        Self {
            state,
            slot,
            span: Span::connection(presence.id(), peer.addr),
            presence,
            stream,
            peer,
            #[cfg(feature = "tls-no-provider")]
            tls: None,
            reader: Reader::default(),
            shutdown: Shutdown::No,
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
        let Self { presence, stream, reader, state, peer, .. } = self;
        let shared = presence.shared();
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
        let Scratch { input, connection: scratch, supplies, .. } = scratch;
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
                let most = state.max_read().min(input.len());
                read = reader.poll_read(stream, cx, &mut input[..most]);
            }
            let waits = is_reading && read.is_pending();
            let mut host = ServerHost::new(shared, peer, cx, supplies, slot.as_deref_mut());
            #[cfg(feature = "tls-no-provider")]
            {
                host.tls = self.tls.as_ref();
            }
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
        let Self { presence, state, .. } = self;
        if let Some(next) = state.next_alarm(&presence.shared().http) {
            presence.arm(&mut state.alarm, next, cx.waker());
        }
    }
}

impl<S: Stream> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut slot = this.slot.take();
        if !this.presence.is_woken_by(cx.waker()) {
            let waker = slot.as_ref().map_or(cx.waker(), |slot| slot.set_task(cx.waker()));
            this.presence.register_as(cx.waker(), waker);
        }
        let span = std::mem::take(&mut this.span);
        let (result, rest) = span.in_scope(|| match &mut slot {
            None => (this.poll_alone(cx), None),
            Some(slot) => slot.poll(|cx, slot, cause| this.advance(cx, Some(slot), cause)),
        });
        (this.span, this.slot) = (span, slot);
        if let (Some(handling), Some(handler)) = (rest, &this.presence.shared().hooks.handler) {
            (handler.spawn)(handling);
        }
        result
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        let Self { presence, state, peer, .. } = self;
        let shared = presence.shared();
        let now = shared.sessions.clock.now();
        Scratch::with(|Scratch { connection: scratch, supplies, .. }| {
            let cx = &mut Context::from_waker(Waker::noop());
            let mut host = ServerHost::new(shared, peer, cx, supplies, None);
            // Nothing to do if the connection has come to its end by itself.
            state.lose(now, WebSocketEnd::Closed, &mut host, scratch);
        });
        presence.disarm(&mut state.alarm);
    }
}

/// Rounds of reading and writing before a task lets others have their turn.
const ROUNDS: usize = 32;
