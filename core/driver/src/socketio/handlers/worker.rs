//! The loop that handles the events of one socket.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    ptr,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use super::{
    Routes,
    handler::{Call, Entry, trace_sent},
    parts::{ConnectParts, DisconnectParts, EventParts, Rejection},
};
use crate::{
    socketio::{DisconnectReason, Socket, namespace::NamespaceShared},
    trace::trace,
};

/// Handles all that happens to one socket.
pub(super) async fn run<D: Any + Send + Sync>(
    routes: Arc<Routes<(), D>>,
    namespace: Arc<NamespaceShared>,
    mut socket: Socket<D>,
) {
    let outcome = {
        let mut handling = pin!(handle_all(&routes, &namespace, &mut socket));
        // Here and not in `serve`, because `on_disconnect` is to be told.
        let poll = |cx: &mut Context<'_>| {
            let poll = || handling.as_mut().poll(cx);
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(poll) => poll,
                Err(_) => Poll::Ready(Outcome::Panicked),
            }
        };
        poll_fn(poll).await
    };
    match outcome {
        Outcome::Ended => {}
        Outcome::Refused => return,
        Outcome::Panicked => {
            trace!(ERROR, "a handler has panicked");
            socket.disconnect();
        }
    }
    let reason = socket.reason().unwrap_or(DisconnectReason::ForcedClose);
    for entry in &routes.disconnect {
        let mut parts = DisconnectParts { socket: (*socket).clone(), reason };
        match entry.call(&mut parts, &(), None) {
            Ok(call) => _ = call.await,
            Err(rejection) => reject(&namespace, &rejection, "a disconnection was rejected"),
        }
    }
}

/// How the handling of a socket's events ended.
enum Outcome {
    Ended,
    /// The socket has not become what its handlers expect.
    Refused,
    Panicked,
}

async fn handle_all<D: 'static>(
    routes: &Routes<(), D>,
    namespace: &NamespaceShared,
    socket: &mut Socket<D>,
) -> Outcome {
    for entry in &routes.connect {
        let mut parts = ConnectParts { socket: (**socket).clone() };
        match entry.call(&mut parts, &(), None) {
            Ok(call) => _ = call.await,
            Err(rejection) => {
                reject(namespace, &rejection, "a connection was rejected");
                return Outcome::Refused;
            }
        }
    }
    let mut running = Running::new();
    loop {
        let received = running.beside(pin!(socket.recv())).await;
        let Some(event) = received else { break };
        let parts = EventParts { socket: (**socket).clone(), event };
        handle(routes, namespace, parts, &mut running).await;
    }
    running.at_most(0, |_| true).await;
    Outcome::Ended
}

/// Handles one event.
async fn handle<'r, D: 'static>(
    routes: &'r Routes<(), D>,
    namespace: &NamespaceShared,
    mut parts: EventParts<D>,
    running: &mut Running<'r, D>,
) {
    // Only what they return acknowledges: the rest is left to the handler.
    parts.event.set_answered(true);
    for entry in &routes.before {
        let ack = entry.acknowledges.then(|| parts.event.ack_again());
        match entry.call(&mut parts, &(), ack) {
            Ok(mut call) => {
                if running.beside(Pin::new(&mut call)).await {
                    return;
                }
            }
            Err(rejection) => return reject_event(routes, namespace, &parts, &rejection).await,
        }
    }
    let Some(entry) = routes.events.get(parts.event.name()).or(routes.fallback.as_ref()) else {
        trace!(DEBUG, namespace = namespace.name(), "an event has no handler");
        return;
    };
    if let Some(most) = entry.at_most {
        running.at_most(most.get() - 1, |other| ptr::eq(other, entry)).await;
    }
    parts.event.set_answered(entry.acknowledges);
    let ack = entry.acknowledges.then(|| parts.event.ack_again());
    match entry.call(&mut parts, &(), ack) {
        Ok(call) if entry.at_most.is_some() => running.start(entry, call).await,
        Ok(mut call) => _ = running.beside(Pin::new(&mut call)).await,
        Err(rejection) => reject_event(routes, namespace, &parts, &rejection).await,
    }
}

/// Answers an event that an extractor has rejected.
async fn reject_event<D>(
    routes: &Routes<(), D>,
    namespace: &NamespaceShared,
    parts: &EventParts<D>,
    rejection: &Rejection,
) {
    let Some(reply) = &routes.rejection else {
        return reject(namespace, rejection, "an event was rejected");
    };
    namespace.rejections.fetch_add(1, Ordering::Relaxed);
    // An extractor may have taken the other.
    let answer = reply(parts, rejection, parts.event.ack_again());
    if let Some(emit) = answer.and_then(|answer| answer.emit) {
        trace_sent(emit.await);
    }
}

/// Counts what no handler takes.
fn reject(namespace: &NamespaceShared, rejection: &Rejection, what: &'static str) {
    namespace.rejections.fetch_add(1, Ordering::Relaxed);
    trace!(WARN, namespace = namespace.name(), error = %rejection, what = what, "rejected by an extractor");
}

/// Calls of concurrent handlers, in the order in which they began.
struct Running<'r, D> {
    calls: Vec<(&'r Entry<EventParts<D>, ()>, Call)>,
}

impl<'r, D> Running<'r, D> {
    const fn new() -> Self {
        Self { calls: Vec::new() }
    }

    /// Waits for a future beside the calls.
    ///
    /// They are polled whenever it is not ready, which happens as soon as all that was received is handled.
    async fn beside<F: Future>(&mut self, mut future: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_pending() {
                self.poll(cx);
            }
            polled
        })
        .await
    }

    /// Waits until at most this many calls run.
    async fn at_most(&mut self, most: usize, counts: impl Fn(&Entry<EventParts<D>, ()>) -> bool) {
        let count = |this: &Self| this.calls.iter().filter(|(entry, _)| counts(entry)).count();
        poll_fn(|cx| {
            if count(self) > most {
                self.poll(cx);
            }
            if count(self) > most { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Polls a call once, and keeps it if it is not complete.
    async fn start(&mut self, entry: &'r Entry<EventParts<D>, ()>, mut call: Call) {
        let is_complete = poll_fn(|cx| Poll::Ready(Pin::new(&mut call).poll(cx).is_ready())).await;
        if !is_complete {
            self.calls.push((entry, call));
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        self.calls.retain_mut(|(_, call)| Pin::new(call).poll(cx).is_pending());
    }
}
