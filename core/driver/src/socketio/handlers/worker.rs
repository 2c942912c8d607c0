//! The loop that handles the events of one socket.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    ptr,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    Routes,
    answer::Answer,
    handler::{Call, Entry},
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
        let mut parts = EventParts { socket: (**socket).clone(), event };
        handle(routes, namespace, &mut parts, &mut running).await;
    }
    running.at_most(0, |_| true).await;
    Outcome::Ended
}

/// Handles one event.
async fn handle<'r, D: 'static>(
    routes: &'r Routes<(), D>,
    namespace: &NamespaceShared,
    parts: &mut EventParts<D>,
    running: &mut Running<'r, D>,
) {
    // Here nothing but a return value acknowledges: the rest is left to the handler.
    parts.event.set_answered(true);
    for entry in &routes.before {
        let ack = entry.acknowledges.then(|| parts.event.ack_again());
        let called = entry.call(parts, &(), ack);
        let mut call =
            called.unwrap_or_else(|rejection| fail(routes, namespace, parts, &rejection));
        if running.beside(Pin::new(&mut call)).await {
            return;
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
    let called = entry.call(parts, &(), ack);
    let mut call = called.unwrap_or_else(|rejection| fail(routes, namespace, parts, &rejection));
    match entry.at_most {
        Some(_) => running.start(entry, call).await,
        None => _ = running.beside(Pin::new(&mut call)).await,
    }
}

/// Answers an event that an extractor has rejected.
fn fail<D>(
    routes: &Routes<(), D>,
    namespace: &NamespaceShared,
    parts: &EventParts<D>,
    rejection: &Rejection,
) -> Call {
    let Some(reply) = &routes.rejection else {
        reject(namespace, rejection, "an event was rejected");
        return Call::failed(Answer::default());
    };
    namespace.counters.rejections.add(1);
    // An extractor may have taken the other.
    Call::failed(reply(parts, rejection, parts.event.ack_again()).unwrap_or_default())
}

/// Counts what no handler takes.
fn reject(namespace: &NamespaceShared, rejection: &Rejection, what: &'static str) {
    namespace.counters.rejections.add(1);
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

    /// Adds a call, and polls it once. It is kept if it is not complete.
    fn start(
        &mut self,
        entry: &'r Entry<EventParts<D>, ()>,
        call: Call,
    ) -> impl Future<Output = ()> + Send {
        self.calls.push((entry, call));
        poll_fn(|cx| {
            if let Some((_, call)) = self.calls.last_mut()
                && Pin::new(call).poll(cx).is_ready()
            {
                self.calls.pop();
            }
            Poll::Ready(())
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        self.calls.retain_mut(|(_, call)| Pin::new(call).poll(cx).is_pending());
    }
}
