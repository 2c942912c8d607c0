//! A connection of a server that begins with a TLS handshake.

use std::{
    future::Future,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_rustls::{FallibleAccept, TlsAcceptor, server};

use super::{
    TlsFault, TlsInfo,
    server::{End, Handshakes, ServerTls},
    stream::{TlsStream, Transport},
};
use crate::{
    connection::Connection,
    lifecycle::Phase,
    lingering::{Deadline, Lingering},
    peer::Peer,
    presence::Presence,
    runtime::Stream,
    shared::Shared,
    trace::{Span, trace},
};

/// The task of one TCP connection, which begins with a TLS handshake.
pub(crate) struct TlsConnection<S: Stream>(State<S>);

#[expect(clippy::large_enum_variant, reason = "most of its life it is the large one")]
enum State<S: Stream> {
    Handshake(Box<Handshake<S>>),
    /// The handshake has failed, or the server has ended it.
    Unserved(Box<Lingering<Transport<S>>>),
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

/// How a handshake ends.
type Outcome<S> = Result<server::TlsStream<Transport<S>>, (io::Error, Transport<S>)>;

impl<S: Stream> TlsConnection<S> {
    pub(crate) fn new(
        presence: Presence,
        tls: &ServerTls,
        stream: S,
        peer: Peer,
        in_flight: InFlight,
    ) -> Self {
        let transport = Transport::of_handshake(stream, Arc::clone(presence.shared()));
        let accept = TlsAcceptor::from(tls.config()).accept(transport);
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
                State::Unserved(lingering) => return Pin::new(&mut **lingering).poll(cx),
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
    /// Completes with the outcome; with none if the time is over, or the server ends at once.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome<S>>> {
        let Self { accept, deadline, in_flight, peer, span, presence } = self;
        presence.register(cx.waker());
        let has_expired = deadline.has_expired();
        if presence.shared().sessions.lifecycle.phase() == Phase::Aborting {
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
                if !transport.has_ended() {
                    in_flight.end = Some(End::Failed);
                    let error = TlsFault::explain_handshake(error);
                    span.in_scope(
                        || trace!(DEBUG, peer = %peer.addr, error = %error, "TLS handshake failed"),
                    );
                }
                State::Unserved(Box::new(Lingering::new(presence, transport)))
            }
        }
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
