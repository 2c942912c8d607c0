//! Connections that are of no more use, until their peers have closed them.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use enginewire::{Alarm, Time};
use futures_io::{AsyncRead, AsyncWrite};

use crate::{lifecycle::Phase, presence::Presence, scratch::Scratch, shared::Shared};

/// A connection that will not be served: it has failed, or the server is closing.
///
/// Tells the peer that nothing more comes, and reads until it has closed the connection: a socket that is closed with
/// bytes unread is reset, which may overtake what was written before. Completes then, or once the linger time is over.
pub(crate) struct Lingering<S> {
    stream: S,
    deadline: Deadline,
    /// The sending side is shut down.
    shut_down: bool,
    /// Bytes that may still come.
    credit: usize,
    // Dropped last: the end of a server waits for it.
    presence: Presence,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lingering<S> {
    pub(crate) fn new(presence: Presence, stream: S) -> Self {
        let deadline = Deadline::new(&presence, presence.shared().http.linger);
        Self { stream, deadline, shut_down: false, credit: MAX_READ, presence }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Lingering<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { stream, deadline, shut_down, credit, presence } = &mut *self;
        presence.register(cx.waker());
        let phase = presence.shared().sessions.lifecycle.phase();
        if deadline.has_expired() || phase == Phase::Aborting {
            return Poll::Ready(());
        }
        if !*shut_down {
            match Pin::new(&mut *stream).poll_close(cx) {
                Poll::Ready(Ok(())) => *shut_down = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        loop {
            let read = Scratch::with(|scratch| poll_read(stream, cx, &mut scratch.input));
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

fn poll_read(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    Pin::new(stream).poll_read(cx, buffer)
}

/// The time that a connection has.
pub(crate) struct Deadline {
    shared: Arc<Shared>,
    id: u64,
    at: Time,
    alarm: Alarm,
}

impl Deadline {
    pub(crate) fn new(presence: &Presence, time: Duration) -> Self {
        let (shared, id) = (Arc::clone(presence.shared()), presence.id());
        let at = shared.sessions.clock.now() + time;
        Self { shared, id, at, alarm: Alarm::new() }
    }

    pub(crate) fn has_expired(&mut self) -> bool {
        let now = self.shared.sessions.clock.now();
        self.alarm.expire(now);
        self.at <= now
    }

    /// Has the task woken when the time is over.
    pub(crate) fn arm(&mut self, cx: &Context<'_>) {
        self.shared.sessions.arm(self.id, &mut self.alarm, Some(self.at), cx.waker());
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.shared.sessions.arm(self.id, &mut self.alarm, None, Waker::noop());
    }
}

/// Bytes that are read of a client that is not served: more than it sends before it can know.
const MAX_READ: usize = 256 * 1024;
