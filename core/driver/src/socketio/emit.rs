//! Sending to one socket.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use enginewire::{Encoded, LayerContext, Time};
use enginewire_socketio::{AckId, EncodeError, TryEmitError, parser::Encoder};

use super::{EmitError, acks::Answer, layer::SocketIoLayer, socket::SocketShared};
use crate::waiters::Ticket;

/// Future of an event that waits for room. Made by `emit`.
///
/// Cancel safe: the event is queued if and only if the future has completed with `Ok`. It was encoded before.
#[must_use = "futures do nothing unless polled"]
pub struct Emit {
    socket: Arc<SocketShared>,
    message: Result<Option<Encoded>, EncodeError>,
    mode: Mode,
    ticket: Ticket,
}

/// What an event expects.
pub(super) enum Mode {
    Event,
    Volatile,
    Ack(AckId, Time, Answer),
}

impl Emit {
    pub(super) fn new(
        socket: &Arc<SocketShared>,
        message: Result<Encoded, EncodeError>,
        mode: Mode,
    ) -> Self {
        let socket = Arc::clone(socket);
        Self { socket, message: message.map(Some), mode, ticket: Ticket::default() }
    }
}

impl Future for Emit {
    type Output = Result<(), EmitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, message, mode, ticket } = &mut *self;
        let place = match message {
            Ok(None) => return Poll::Ready(Ok(())),
            Ok(place) => place,
            Err(error) => return Poll::Ready(Err(error.clone().into())),
        };
        let slot = socket.slot;
        let send = |layer: &mut SocketIoLayer, cx: &mut LayerContext<'_>, encoded| {
            let connection = &mut layer.connection;
            match mode {
                Mode::Event => connection.emit(slot, encoded, cx.session),
                Mode::Volatile => connection.emit_volatile(slot, encoded, cx.session),
                Mode::Ack(id, deadline, answer) => connection.emit_with_ack(
                    slot,
                    encoded,
                    *id,
                    *deadline,
                    answer.clone(),
                    cx.session,
                ),
            }
            .map_err(|TryEmitError { message, reason }| match reason {
                EmitError::Full { .. } => Ok(message),
                reason => Err(reason),
            })
        };
        let sent = socket.cell.poll_layer(cx, ticket, place, send);
        sent.map(|sent| sent.unwrap_or(Err(EmitError::Disconnected)))
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

/// Calls `encode` with the encoder of this thread, which keeps its buffer.
pub(super) fn with_encoder<T>(encode: impl FnOnce(&mut Encoder) -> T) -> T {
    thread_local! {
        static ENCODER: RefCell<Encoder> = const { RefCell::new(Encoder::new()) };
    }
    ENCODER.with(|encoder| match encoder.try_borrow_mut() {
        Ok(mut encoder) => {
            let result = encode(&mut encoder);
            encoder.shrink();
            result
        }
        // A payload that emits while it is being encoded.
        Err(_) => encode(&mut Encoder::new()),
    })
}
