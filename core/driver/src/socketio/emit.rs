//! Sending to one socket.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use enginewire::{Encoded, LayerContext, Time};
use enginewire_socketio::{AckId, Args, EncodeError, Session as _, TryEmitError, adapter::Target};

use super::{
    Delivered, EmitError,
    acks::{Answer, Asks},
    layer::SocketIoLayer,
    order::{How, Publishing},
    outgoing::Body,
    socket::SocketShared,
};
use crate::waiters::{Shareable, Ticket, Waiters};

/// Future of an event that waits for room. Made by `emit`.
///
/// Cancel safe: the event is queued if and only if the future has completed with `Ok`. It was encoded before. With
/// [recovery](super::IoBuilder::recovery) one that has its turn is sent even if the future is dropped.
#[must_use = "futures do nothing unless polled"]
pub struct Emit {
    socket: Arc<SocketShared>,
    state: State,
    mode: Mode,
    ticket: Ticket,
}

enum State {
    Failed(EncodeError),
    /// Until it is taken.
    Message(Option<Encoded>),
    /// To be logged for recovery, in the order of the namespace's broadcasts.
    Args(Args),
    /// Behind other events of the namespace.
    Published(Publishing),
}

/// Delivery that an event asks for.
pub(super) enum Mode {
    Event,
    Volatile,
    Ack { id: AckId, deadline: Time, answer: Answer, volatile: bool },
}

impl Emit {
    pub(super) fn new(
        socket: &Arc<SocketShared>,
        body: Result<Body, EncodeError>,
        mode: Mode,
    ) -> Self {
        let state = match body {
            Ok(Body::Message(message)) => State::Message(Some(message)),
            Ok(Body::Args(args)) => State::Args(args),
            Err(error) => State::Failed(error),
        };
        Self { socket: Arc::clone(socket), state, mode, ticket: Ticket::default() }
    }

    /// One that has nothing to send.
    pub(super) fn done(socket: &Arc<SocketShared>) -> Self {
        let (state, ticket) = (State::Message(None), Ticket::default());
        Self { socket: Arc::clone(socket), state, mode: Mode::Event, ticket }
    }
}

impl Future for Emit {
    type Output = Result<(), EmitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, state, mode, ticket } = &mut *self;
        loop {
            return match state {
                State::Failed(error) => Poll::Ready(Err(error.clone().into())),
                State::Message(None) => Poll::Ready(Ok(())),
                // It never waits.
                State::Message(message) if matches!(mode, Mode::Volatile) => {
                    let message = message.take().unwrap_or_else(|| Encoded::group([]));
                    Poll::Ready(socket.emit_or_drop(message))
                }
                State::Message(message) => socket.poll_emit(cx, ticket, message, mode),
                State::Args(args) => {
                    let volatile = matches!(mode, Mode::Volatile);
                    if !volatile {
                        ready!(socket.poll_room(cx, ticket))?;
                    }
                    *state = State::Published(socket.publish(args.clone(), volatile)?);
                    continue;
                }
                State::Published(publishing) => {
                    let delivered = ready!(publishing.poll(cx));
                    Poll::Ready(socket.outcome(delivered, matches!(mode, Mode::Volatile)))
                }
            };
        }
    }
}

impl SocketShared {
    fn poll_emit(
        &self,
        cx: &Context<'_>,
        ticket: &mut Ticket,
        message: &mut Option<Encoded>,
        mode: &Mode,
    ) -> Poll<Result<(), EmitError>> {
        let slot = self.slot;
        let copy = message.as_ref().map(|message| self.namespace.watch.copy(message));
        let send = |layer: &mut SocketIoLayer, cx: &mut LayerContext<'_>, encoded| {
            let (connection, mut wire) = layer.split(cx);
            let session = &mut wire;
            match mode {
                Mode::Event => connection.emit(slot, encoded, session),
                Mode::Volatile => connection.emit_volatile(slot, encoded, session),
                Mode::Ack { volatile: true, .. } if !session.is_idle() => {
                    Err(TryEmitError { message: encoded, reason: EmitError::NotIdle })
                }
                Mode::Ack { id, deadline, answer, .. } => {
                    connection.emit_with_ack(slot, encoded, *id, *deadline, answer.clone(), session)
                }
            }
            .map_err(|TryEmitError { message, reason }| match reason {
                EmitError::Full { .. } => Ok(message),
                reason => Err(reason),
            })
        };
        let sent = self.cell.poll_layer(cx, ticket, message, send);
        sent.map(|sent| {
            let sent = sent.unwrap_or(Err(EmitError::Disconnected));
            if let (Ok(()), Some(copy)) = (&sent, copy) {
                copy.sent(self);
            }
            self.count_dropped(&sent);
            sent
        })
    }

    /// Waits for room that no other task waits for.
    fn poll_room(&self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<Result<(), EmitError>> {
        let waits = |session: &mut _, waiters: &mut Waiters, _: &mut _| {
            waiters.poll_ready(session, cx, ticket)
        };
        let ready = ready!(self.cell.with(waits));
        let is_connected = ready.is_ok() && self.is_connected();
        Poll::Ready(if is_connected { Ok(()) } else { Err(EmitError::Disconnected) })
    }

    /// Delivers an event to this socket alone, in the order of the namespace's broadcasts.
    pub(super) fn publish(&self, args: Args, volatile: bool) -> Result<Publishing, EmitError> {
        let how = How { volatile, direct: true, ..How::default() };
        let target = Target::all().to(self.id.to_room());
        self.namespace.publish(&target, Body::Args(args), how)
    }

    /// Returns the result of an event that was delivered to this socket alone.
    pub(super) fn outcome(&self, delivered: Delivered, volatile: bool) -> Result<(), EmitError> {
        match delivered {
            Delivered { sockets: 1.., .. } => Ok(()),
            Delivered { skipped: 1.., .. } if volatile => Err(EmitError::NotIdle),
            _ => Err(EmitError::Disconnected),
        }
    }
}

impl Asks for Emit {
    fn forget_ack(&self, id: AckId) {
        self.socket.forget_ack(id);
    }
}

impl Drop for Emit {
    fn drop(&mut self) {
        if self.ticket.is_taken() {
            self.socket.cell.leave_room(&mut self.ticket);
        }
    }
}

impl fmt::Debug for Emit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit").finish_non_exhaustive()
    }
}
