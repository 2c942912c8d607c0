//! A connection of a server that begins with a TLS handshake.

use std::{
    future::Future,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use enginewire::{Alarm, Time};
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::{FallibleAccept, TlsAcceptor, server};

use super::{
    TlsFault, TlsInfo,
    server::{End, Handshakes, ServerTls},
    stream::{TlsStream, Transport},
};
use crate::{
    connection::Connection,
    lifecycle::Phase,
    peer::Peer,
    presence::Presence,
    runtime::Stream,
    scratch::Scratch,
    shared::Shared,
    trace::{Span, trace},
};

/// The task of one TCP connection, which begins with a TLS handshake.
pub(crate) struct TlsConnection<S: Stream>(State<S>);

#[expect(clippy::large_enum_variant, reason = "most of its life it is the large one")]
enum State<S: Stream> {
    Handshake(Box<Handshake<S>>),
    Refused(Box<Refused<S>>),
    Open(Connection<TlsStream<S>>),
    Ended,
}

struct Handshake<S> {
    accept: FallibleAccept<Transport<S>>,
    deadline: Deadline,
    in_flight: InFlight,
    peer: Peer,
    span: Span,
    // Dropped last: the end of a server waits for it.
    presence: Presence,
}

/// A connection whose handshake has failed, until the client has seen why.
struct Refused<S> {
    transport: Transport<S>,
    deadline: Deadline,
    /// The sending side is shut down.
    shut_down: bool,
    /// Bytes that may still come.
    credit: usize,
    // Dropped last, as before.
    presence: Presence,
}

/// How a handshake ends.
type Outcome<S> = Result<server::TlsStream<Transport<S>>, (io::Error, Transport<S>)>;

impl<S: Stream> TlsConnection<S> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        tls: &ServerTls,
        stream: S,
        peer: Peer,
        in_flight: InFlight,
    ) -> Self {
        let mut presence = Presence::new(shared);
        // Counted from here on; the waker comes with the first poll.
        presence.register(Waker::noop());
        let accept = TlsAcceptor::from(tls.config()).accept(Transport::new(stream));
        Self(State::Handshake(Box::new(Handshake {
            accept: accept.into_fallible(),
            deadline: Deadline::new(&presence, presence.shared().options.tls_handshake_timeout),
            in_flight,
            span: Span::connection(presence.id(), peer.addr),
            peer,
            presence,
        })))
    }
}

impl<S: Stream> Future for TlsConnection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.0 {
                State::Open(connection) => return Pin::new(connection).poll(cx),
                State::Refused(refused) => return refused.poll(cx),
                State::Ended => return Poll::Ready(()),
                State::Handshake(handshake) => {
                    let outcome = ready!(handshake.poll(cx));
                    if let State::Handshake(handshake) = mem::replace(&mut self.0, State::Ended) {
                        self.0 = handshake.end(outcome);
                    }
                }
            }
        }
    }
}

impl<S: Stream> Handshake<S> {
    /// Completes with the outcome; with none if the time or the server is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome<S>>> {
        let Self { accept, deadline, in_flight, peer, span, presence } = self;
        presence.register(cx.waker());
        let has_expired = deadline.has_expired();
        if !presence.shared().sessions.lifecycle.is_serving() {
            return Poll::Ready(None);
        }
        span.in_scope(|| match Pin::new(accept).poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if has_expired => {
                trace!(DEBUG, peer = %peer.addr, "TLS handshake timed out");
                in_flight.end = Some(End::TimedOut);
                Poll::Ready(None)
            }
            Poll::Pending => {
                deadline.arm(cx);
                Poll::Pending
            }
        })
    }

    /// Goes on to what follows the handshake.
    fn end(self, outcome: Option<Outcome<S>>) -> State<S> {
        // Dropped from the last to the first: the presence after all else, as above.
        let Self { presence, span, peer, mut in_flight, deadline: _deadline, accept: _accept } =
            self;
        match outcome {
            None => State::Ended,
            Some(Ok(stream)) => {
                in_flight.end = Some(End::Completed);
                let info = Arc::new(TlsInfo::of(stream.get_ref().1));
                let stream = TlsStream::new(stream);
                State::Open(Connection::encrypted(presence, stream, peer, info))
            }
            Some(Err((error, transport))) => {
                in_flight.end = Some(End::Failed);
                let error = TlsFault::explain_handshake(error);
                span.in_scope(
                    || trace!(DEBUG, peer = %peer.addr, error = %error, "TLS handshake failed"),
                );
                State::Refused(Box::new(Refused::new(presence, transport)))
            }
        }
    }
}

impl<S: Stream> Refused<S> {
    fn new(presence: Presence, transport: Transport<S>) -> Self {
        let deadline = Deadline::new(&presence, presence.shared().http.linger);
        Self { transport, deadline, shut_down: false, credit: MAX_REFUSED, presence }
    }

    /// Reads until the client has closed the connection: a socket that is closed with bytes unread is reset, which may
    /// overtake the alert that says why.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { transport, deadline, shut_down, credit, presence } = self;
        presence.register(cx.waker());
        let phase = presence.shared().sessions.lifecycle.phase();
        if deadline.has_expired() || phase == Phase::Aborting {
            return Poll::Ready(());
        }
        if !*shut_down {
            match Pin::new(&mut *transport).poll_close(cx) {
                Poll::Ready(Ok(())) => *shut_down = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        loop {
            let read = Scratch::with(|scratch| poll_read(transport, cx, &mut scratch.input));
            match read {
                Poll::Ready(Ok(n)) if 0 < n && n < *credit => *credit -= n,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    deadline.arm(cx);
                    return Poll::Pending;
                }
            }
        }
    }
}

fn poll_read<S: Stream>(
    transport: &mut Transport<S>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    Pin::new(transport).poll_read(cx, buffer)
}

/// The time that a connection has.
struct Deadline {
    shared: Arc<Shared>,
    id: u64,
    at: Time,
    alarm: Alarm,
}

impl Deadline {
    fn new(presence: &Presence, time: Duration) -> Self {
        let (shared, id) = (Arc::clone(presence.shared()), presence.id());
        let at = shared.sessions.clock.now() + time;
        Self { shared, id, at, alarm: Alarm::new() }
    }

    fn has_expired(&mut self) -> bool {
        let now = self.shared.sessions.clock.now();
        self.alarm.expire(now);
        self.at <= now
    }

    /// Has the task woken when the time is over.
    fn arm(&mut self, cx: &Context<'_>) {
        self.shared.sessions.arm(self.id, &mut self.alarm, Some(self.at), cx.waker());
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.shared.sessions.arm(self.id, &mut self.alarm, None, Waker::noop());
    }
}

/// A handshake that goes on, counted.
pub(crate) struct InFlight {
    shared: Arc<Shared>,
    /// How it has ended; not at all if it ends with the server.
    end: Option<End>,
}

impl InFlight {
    /// Counts one that begins now, or once the header of a proxy has come.
    pub(crate) fn begin(shared: &Arc<Shared>) -> Self {
        shared.handshakes.begin();
        Self { shared: Arc::clone(shared), end: None }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        Handshakes::end(&self.shared, self.end);
    }
}

/// Bytes that are read of a client that was refused: more than it sends before it can know.
const MAX_REFUSED: usize = 256 * 1024;
