//! A connection with a server that is made anew whenever it is lost.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use enginewire::{Backoff, Time};
use enginewire_driver::{Runtime, Sleep};

use super::{
    address::Address,
    dial::{Destination, Dialing, dial},
    error::{RedisError, RedisFault},
    link::{Incoming, Link, Responds},
    options::Shared,
    resp::{ServerError, Value},
    socket::Socket,
};

/// A connection that is made anew whenever it is lost. Commands have tags of type `T`.
///
/// Its owner bounds what is in flight.
pub(super) struct Transport<R: Runtime, T> {
    shared: Arc<Shared<R>>,
    /// The server that it is made with whenever it is made anew.
    destination: Destination,
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
    Lost(RedisError, Vec<T>),
}

/// Tag of a command. `None` is a ping.
pub(super) type Tag<T> = Option<T>;

/// Event of a [`Transport`].
pub(super) enum Event<T> {
    /// There is a connection again, without subscriptions.
    Opened,
    /// The connection was lost, or an attempt has failed. The commands had no response.
    Lost(RedisError, Vec<T>),
    Response(T, Result<Value, ServerError>),
    /// A message of a channel, or `None` if it was too large.
    Message(Bytes, Option<Bytes>),
    /// A subscription to the channel of a shard has ended, by the node or by the server.
    Unsubscribed {
        channel: Bytes,
        left: usize,
    },
}

impl<R: Runtime, T: Send + 'static> Transport<R, T> {
    /// Creates a connection that is made when it is polled.
    pub(super) fn new(shared: &Arc<Shared<R>>, destination: Destination) -> Self {
        let state = State::Dialing(dial(shared, destination.clone()));
        Self::with(shared, destination, state)
    }

    /// Creates a connection that is open, and is made anew with `destination`.
    pub(super) fn open(
        shared: &Arc<Shared<R>>,
        destination: Destination,
        socket: Socket<Tag<T>>,
    ) -> Self {
        Self::with(shared, destination, State::Open(Box::new(socket)))
    }

    fn with(shared: &Arc<Shared<R>>, destination: Destination, state: State<T>) -> Self {
        let backoff = Backoff::new(shared.options.reconnect.clone());
        Self { shared: Arc::clone(shared), destination, state, backoff, sleep: Sleep::default() }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Returns the server of the connection, if it is open.
    pub(super) fn address(&self) -> Option<Address> {
        match &self.state {
            State::Open(socket) => Some(socket.address.clone()),
            _ => None,
        }
    }

    /// Returns the number of commands in flight, and their bytes.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        match &self.state {
            State::Open(socket) => socket.link.in_flight(),
            _ => (0, 0),
        }
    }

    /// Sends a command, if the connection is open.
    pub(super) fn push(&mut self, tag: T, responds: Responds, arguments: &[&[u8]]) {
        self.with_link(Duration::ZERO, |link, deadline| {
            link.push(Some(tag), responds, deadline, arguments);
        });
    }

    /// Sends a command for which the server may take `patience` longer than for others.
    pub(super) fn push_patient(&mut self, tag: T, patience: Duration, arguments: &[&[u8]]) {
        self.with_link(patience, |link, deadline| {
            link.push(Some(tag), Responds::InTurn, deadline, arguments);
        });
    }

    /// Sends a command that is encoded, if the connection is open.
    pub(super) fn push_encoded(&mut self, tag: T, responds: Responds, command: &[u8]) {
        self.with_link(Duration::ZERO, |link, deadline| {
            link.push_encoded(Some(tag), responds, deadline, command);
        });
    }

    /// Has the next command be carried out although its slot is being moved here: after an ASK.
    pub(super) fn push_asking(&mut self) {
        self.with_link(Duration::ZERO, |link, deadline| {
            link.push(None, Responds::InTurn, deadline, &[b"ASKING"]);
        });
    }

    fn with_link(&mut self, patience: Duration, push: impl FnOnce(&mut Link<Tag<T>>, Time)) {
        let now = self.now();
        let deadline = now + self.shared.options.response_timeout.saturating_add(patience);
        if let State::Open(socket) = &mut self.state {
            if socket.link.in_flight().0 == 0 {
                // A silence before it is none of its server's.
                socket.heard = now;
            }
            push(&mut socket.link, deadline);
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
        if let State::Lost(..) = &self.state {
            return;
        }
        let (address, commands) = self.abandon();
        self.state = State::Lost(RedisError::new(address.as_ref(), fault), commands);
    }

    /// Makes the connection with another server at once. The commands in flight get no response.
    pub(super) fn redirect(&mut self, destination: Destination) {
        self.abandon();
        self.state = State::Dialing(dial(&self.shared, destination));
    }

    /// Returns the server, if there is one, and takes the commands in flight.
    fn abandon(&mut self) -> (Option<Address>, Vec<T>) {
        match &mut self.state {
            State::Open(socket) => {
                (Some(socket.address.clone()), socket.link.abandon().flatten().collect())
            }
            _ => (self.shared.url.addresses.first().cloned(), Vec::new()),
        }
    }

    /// Notes that the connection does what it is for: the next loss is followed by a short wait.
    pub(super) const fn settle(&mut self) {
        self.backoff.reset();
    }

    /// Completes with the next event.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event<T>> {
        loop {
            // Anew each time: one of these steps is that a deadline has passed.
            let now = self.now();
            match &mut self.state {
                State::Lost(..) => {
                    let wait = self.backoff.next(&mut fill_random).map(|wait| now + wait);
                    let lost = mem::replace(&mut self.state, State::Waiting(wait));
                    let State::Lost(error, commands) = lost else { continue };
                    return Poll::Ready(Event::Lost(error, commands));
                }
                State::Waiting(None) => return Poll::Pending,
                State::Waiting(Some(until)) if *until <= now => {
                    self.state = State::Dialing(dial(&self.shared, self.destination.clone()));
                }
                &mut State::Waiting(Some(until)) => {
                    if self.sleep.poll(&self.shared.runtime, until, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                State::Dialing(dialing) => match dialing.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(dialed)) => {
                        self.state = State::Open(Box::new(dialed.socket));
                        return Poll::Ready(Event::Opened);
                    }
                    Poll::Ready(Err(error)) => self.state = State::Lost(error, Vec::new()),
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
                Incoming::Unsubscribed { channel, left } => {
                    Ok(Some(Event::Unsubscribed { channel, left }))
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

/// Fills `buffer` with random bytes. They spread reconnections, and make ids that nobody else has.
///
/// # Panics
///
/// If the operating system has none to give.
#[expect(clippy::expect_used, reason = "ids of nodes would be the same")]
pub(super) fn fill_random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}
