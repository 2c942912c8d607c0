//! The body of a response.

use std::{
    convert::Infallible,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use enginewire::{Time, carrier};
use http_body::{Frame, SizeHint};

use crate::{cell::SessionCell, host::ServerHost, peer::Peer, scratch::Scratch, shared::Shared};

/// The body of a response of a server.
///
/// While a large one is written, its session is told that the client reads.
#[derive(Default)]
pub struct Body {
    rest: Bytes,
    sending: Option<Box<Sending>>,
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
        Self { rest: body, sending: None }
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
        Self { rest: body, sending: Some(Box::new(sending)) }
    }

    /// Takes what is sent next.
    pub(super) fn next_piece(&mut self) -> Option<Bytes> {
        let Some(sending) = &mut self.sending else {
            return (!self.rest.is_empty()).then(|| mem::take(&mut self.rest));
        };
        // The HTTP server asks for the next piece once it has room.
        let written = mem::replace(&mut sending.written, self.rest.len().min(PIECE));
        sending.with_host(|response, now, host| {
            if let Some(response) = response {
                response.note_written(now, host, written);
            }
        });
        if self.rest.is_empty() {
            self.sending = None;
            return None;
        }
        Some(self.rest.split_to(sending.written))
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
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_piece().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.sending.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// Without the content, which in a handshake holds the session id.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("rest", &self.rest.len()).finish_non_exhaustive()
    }
}

/// Size of the pieces of a large body, in bytes. The HTTP server takes some ahead of its socket, which tells nothing of
/// the client: hyper takes 16 pieces, so that these make 256 KiB.
const PIECE: usize = 16 * 1024;
