//! A connection with a server that is made anew whenever it is lost.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use enginewire::{Backoff, Time};
use enginewire_driver::Runtime;

use super::{
    error::{RedisError, RedisFault},
    link::{Incoming, Responds},
    options::Shared,
    resp::{ServerError, Value},
    socket::{Dialing, Socket, dial},
};

/// A connection that is made anew whenever it is lost. Commands have tags of type `T`.
///
/// Its owner bounds what is in flight: it asks [`has_room`](Self::has_room).
pub(super) struct Transport<R: Runtime, T> {
    shared: Arc<Shared<R>>,
    state: State<T>,
    backoff: Backoff,
    sleep: Sleep<R>,
}

enum State<T> {
    /// The next attempt is made then. `None` if there have been enough.
    Waiting(Option<Time>),
    Dialing(Dialing<Tag<T>>),
    Open(Box<Socket<Tag<T>>>),
    /// Lost, which is to be told.
    Lost(RedisFault, Vec<T>),
}

/// Tag of a command. `None` is a ping.
type Tag<T> = Option<T>;

/// Event of a [`Transport`].
pub(super) enum Event<T> {
    /// There is a connection again, without subscriptions.
    Opened,
    /// The connection was lost, or an attempt has failed. The commands had no response.
    Lost(RedisFault, Vec<T>),
    Response(T, Result<Value, ServerError>),
    /// A message of a channel, or `None` if it was too large.
    Message(bytes::Bytes, Option<bytes::Bytes>),
}

impl<R: Runtime, T: Send + 'static> Transport<R, T> {
    /// Creates a connection that is made when it is polled.
    pub(super) fn new(shared: &Arc<Shared<R>>) -> Self {
        Self::with(shared, State::Dialing(dial(shared)))
    }

    /// Creates a connection that is open.
    pub(super) async fn connect(shared: &Arc<Shared<R>>) -> Result<Self, RedisError> {
        let socket = dial(shared).await.map_err(|fault| shared.error(fault, 0))?;
        Ok(Self::with(shared, State::Open(Box::new(socket))))
    }

    fn with(shared: &Arc<Shared<R>>, state: State<T>) -> Self {
        let backoff = Backoff::new(shared.options.reconnect.clone());
        Self { shared: Arc::clone(shared), state, backoff, sleep: Sleep::default() }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Returns whether another command may be in flight.
    pub(super) fn has_room(&self) -> bool {
        let (commands, bytes) = self.in_flight();
        let options = &self.shared.options;
        self.is_open() && commands < options.max_in_flight && bytes < options.max_in_flight_bytes
    }

    /// Returns the number of commands in flight, and their bytes.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        match &self.state {
            State::Open(socket) => socket.link.in_flight(),
            _ => (0, 0),
        }
    }

    /// Sends a command, if the connection is open. The server may take `patience` longer than for others.
    pub(super) fn push(
        &mut self,
        tag: T,
        responds: Responds,
        patience: Duration,
        arguments: &[&[u8]],
    ) {
        let now = self.now();
        let deadline = now + self.shared.options.response_timeout.saturating_add(patience);
        if let State::Open(socket) = &mut self.state {
            if socket.link.in_flight().0 == 0 {
                // A silence before it is none of its server's.
                socket.heard = now;
            }
            socket.link.push(Some(tag), responds, deadline, arguments);
        }
    }

    /// Writes commands, as far as the stream takes them. Errors are told by [`poll`](Self::poll).
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) {
        if let State::Open(socket) = &mut self.state
            && let Poll::Ready(Err(error)) = socket.poll_flush(cx)
        {
            self.fail(RedisFault::lost(error));
            // To be told.
            cx.waker().wake_by_ref();
        }
    }

    /// Gives the connection up, which [`poll`](Self::poll) tells.
    pub(super) fn fail(&mut self, fault: RedisFault) {
        let commands = match &mut self.state {
            State::Open(socket) => socket.link.abandon().flatten().collect(),
            State::Lost(..) => return,
            State::Waiting(_) | State::Dialing(_) => Vec::new(),
        };
        self.state = State::Lost(fault, commands);
    }

    /// Notes that the connection does what it is for: the next loss is followed by a short wait.
    pub(super) const fn settle(&mut self) {
        self.backoff.reset();
    }

    /// Completes with the next event.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event<T>> {
        loop {
            let now = self.now();
            match &mut self.state {
                State::Lost(..) => {
                    let wait = self.backoff.next(&mut fill_random).map(|wait| now + wait);
                    let lost = mem::replace(&mut self.state, State::Waiting(wait));
                    let State::Lost(fault, commands) = lost else { continue };
                    return Poll::Ready(Event::Lost(fault, commands));
                }
                State::Waiting(None) => return Poll::Pending,
                State::Waiting(Some(until)) if *until <= now => {
                    self.state = State::Dialing(dial(&self.shared));
                }
                &mut State::Waiting(Some(until)) => {
                    if self.sleep.poll(&self.shared.runtime, until, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                State::Dialing(dialing) => match dialing.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(socket)) => {
                        self.state = State::Open(Box::new(socket));
                        return Poll::Ready(Event::Opened);
                    }
                    Poll::Ready(Err(fault)) => self.fail(fault),
                },
                State::Open(_) => {
                    if let Poll::Ready(event) = self.poll_open(now, cx) {
                        match event {
                            Ok(Some(event)) => return Poll::Ready(event),
                            Ok(None) => {}
                            Err(fault) => self.fail(fault),
                        }
                    } else {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Completes with an event, or when time has passed that changes something.
    fn poll_open(
        &mut self,
        now: Time,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Event<T>>, RedisFault>> {
        let Self { shared, state, sleep, .. } = self;
        let State::Open(socket) = state else { return Poll::Ready(Ok(None)) };
        let flushed = socket.poll_flush(cx);
        if let Poll::Ready(Err(error)) = flushed {
            return Poll::Ready(Err(RedisFault::lost(error)));
        }
        if let Poll::Ready(incoming) = socket.poll_next(cx, now) {
            return Poll::Ready(match incoming? {
                Incoming::Response(None, _) => Ok(None),
                Incoming::Response(Some(tag), response) => Ok(Some(Event::Response(tag, response))),
                Incoming::Message { channel, message } => {
                    Ok(Some(Event::Message(channel, message)))
                }
                Incoming::Unsubscribed => {
                    let moved = ServerError::from("MOVED the channel");
                    Err(RedisFault::of_command("SSUBSCRIBE", &moved))
                }
            });
        }

        // Nothing is left to be read: silence is the server's.
        let options = &shared.options;
        let deadline = match socket.link.deadline() {
            // A busy server that still sends is not silent.
            Some(deadline) => deadline.max(socket.heard + options.response_timeout),
            None => socket.heard + options.keep_alive,
        };
        if now < deadline {
            return sleep.poll(&shared.runtime, deadline, cx).map(|()| Ok(None));
        }
        if socket.link.deadline().is_some() {
            return Poll::Ready(Err(RedisFault::Silent(now.since(socket.heard))));
        }
        let deadline = now + options.response_timeout;
        socket.link.push(None, Responds::InTurn, deadline, &[b"PING"]);
        // Written in the next round.
        Poll::Ready(Ok(None))
    }

    fn now(&self) -> Time {
        self.shared.runtime.clock().now()
    }
}

/// A timer of the runtime that is set again when its time changes.
pub(super) struct Sleep<R: Runtime>(Option<(Time, Pin<Box<R::Sleep>>)>);

impl<R: Runtime> Sleep<R> {
    /// Completes at `deadline`, or before: the caller looks again.
    pub(super) fn poll(&mut self, runtime: &R, deadline: Time, cx: &mut Context<'_>) -> Poll<()> {
        let (_, sleep) = match &mut self.0 {
            // It is left where it is when it moves away, and set again when it has passed.
            Some(current) if current.0 <= deadline => current,
            other => other.insert((deadline, Box::pin(runtime.sleep_until(deadline)))),
        };
        let slept = sleep.as_mut().poll(cx).map(drop);
        if slept.is_ready() {
            self.0 = None;
        }
        slept
    }
}

impl<R: Runtime> Default for Sleep<R> {
    fn default() -> Self {
        Self(None)
    }
}

/// Fills `buffer` with random bytes. They spread reconnections, and make ids that nobody else has.
///
/// # Panics
///
/// If the operating system has none to give.
#[expect(clippy::expect_used, reason = "ids of nodes would be the same")]
pub(super) fn fill_random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}
