//! The body of a response.

use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use enginewire::{HandOverFault, Time, carrier};
use http_body::{Frame, SizeHint};

use super::relaying::Relaying;
use crate::{cell::SessionCell, host::ServerHost, peer::Peer, scratch::Scratch, shared::Shared};

/// The body of a response of a server.
///
/// While a large one is written, its session is told that the client reads. That of another
/// [node](crate::ServerBuilder::nodes) passes as it comes.
pub struct Body(Kind);

/// Error of a body whose rest does not come.
///
/// The node that has the session has ended its connection, or has sent nothing for too long. HTTP servers end the
/// connection of the client then, or reset its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node that has the session {0}")]
pub struct BodyError(HandOverFault);

enum Kind {
    Whole(Bytes),
    /// Large, and not written yet.
    Large(Bytes, Box<Sending>),
    Relayed {
        /// Never locked: so that a body can be shared between threads, as its bytes could.
        relaying: Mutex<Box<Relaying>>,
        /// Bytes that are still to come, if that is known.
        left: Option<u64>,
    },
}

/// The session of a large response.
struct Sending {
    shared: Arc<Shared>,
    peer: Peer,
    /// Until the end.
    response: Option<carrier::Sending<Arc<SessionCell>>>,
    /// Size of the last piece.
    written: usize,
}

impl Body {
    pub(super) const fn new(body: Bytes) -> Self {
        Self(Kind::Whole(body))
    }

    /// Makes the body of a response that a client may read more slowly than it may be silent.
    pub(super) fn sending(
        body: Bytes,
        shared: &Arc<Shared>,
        peer: Peer,
        response: carrier::Sending<Arc<SessionCell>>,
    ) -> Self {
        let shared = Arc::clone(shared);
        let sending = Sending { shared, peer, response: Some(response), written: 0 };
        Self(Kind::Large(body, Box::new(sending)))
    }

    /// Makes the body of a response of another node.
    pub(super) fn relayed(mut relaying: Box<Relaying>) -> Self {
        let left = relaying.body_length();
        if left == Some(0) {
            return Self::default();
        }
        relaying.begin_body();
        Self(Kind::Relayed { relaying: Mutex::new(relaying), left })
    }

    /// Takes what is sent next.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.0 {
            Kind::Whole(rest) => {
                let piece = (!rest.is_empty()).then(|| mem::take(rest));
                Poll::Ready(piece.map(Ok))
            }
            Kind::Large(rest, sending) => {
                // The HTTP server asks for the next piece once it has room.
                let written = mem::replace(&mut sending.written, rest.len().min(PIECE));
                sending.with_host(|response, now, host| {
                    if let Some(response) = response {
                        response.note_written(now, host, written);
                    }
                });
                if rest.is_empty() {
                    *self = Self::default();
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Ok(rest.split_to(sending.written))))
            }
            Kind::Relayed { relaying, left } => {
                let relaying = relaying.get_mut().unwrap_or_else(PoisonError::into_inner);
                let piece = ready!(relaying.poll_body(cx));
                *left = relaying.body_length();
                // Its connection ends with the last piece.
                if !matches!(piece, Some(Ok(_))) || *left == Some(0) {
                    *self = Self::default();
                }
                Poll::Ready(piece.map(|piece| piece.map_err(BodyError)))
            }
        }
    }
}

impl Sending {
    fn with_host(
        &mut self,
        work: impl FnOnce(
            &mut Option<carrier::Sending<Arc<SessionCell>>>,
            Time,
            &mut ServerHost<'_, '_, '_>,
        ),
    ) {
        let Self { shared, peer, response, .. } = self;
        let now = shared.sessions.clock.now();
        Scratch::with(|Scratch { supplies, .. }| {
            let cx = &mut Context::from_waker(Waker::noop());
            work(response, now, &mut ServerHost::new(shared, peer, cx, supplies, None));
        });
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.with_host(|response, now, host| {
            if let Some(response) = response.take() {
                response.end(now, host);
            }
        });
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(rest) => rest.is_empty(),
            Kind::Large(..) | Kind::Relayed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(rest) | Kind::Large(rest, _) => SizeHint::with_exact(rest.len() as u64),
            Kind::Relayed { left, .. } => left.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::new(Bytes::new())
    }
}

/// Without the content, which in a handshake holds the session id.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = http_body::Body::size_hint(self).exact();
        f.debug_struct("Body").field("rest", &rest).finish_non_exhaustive()
    }
}

/// Size of the pieces of a large body, in bytes. The HTTP server takes some ahead of its socket, which tells nothing of
/// the client: hyper takes 16 pieces, so that these make 256 KiB.
const PIECE: usize = 16 * 1024;
