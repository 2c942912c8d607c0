//! From an output to a socket.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use enginewire::{Time, wire::Output};
use futures_io::AsyncWrite;

/// What one connection has to write. Nothing, nearly always: a socket that takes everything at once
/// is written to from the thread's buffer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// What the socket would not take.
    pending: Option<Box<Output>>,
    /// When it last took something, or should have.
    progress: Time,
}

impl Writer {
    /// Where the next bytes for this connection go.
    pub(super) fn output<'a>(&'a mut self, shared: &'a mut Output) -> &'a mut Output {
        self.pending.as_deref_mut().unwrap_or(shared)
    }

    /// Whether the socket would not take everything.
    pub(super) const fn is_blocked(&self) -> bool {
        self.pending.is_some()
    }

    /// Since when the socket has taken nothing, if it should have.
    pub(super) fn stalled_since(&self) -> Option<Time> {
        self.pending.as_ref().map(|_| self.progress)
    }

    /// Writes what there is. `Pending` if the socket would not take everything.
    #[inline]
    pub(super) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        shared: &mut Output,
        cx: &mut Context<'_>,
        now: Time,
    ) -> Poll<io::Result<()>> {
        if self.pending.is_none() && shared.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush_some(stream, shared, cx, now)
    }

    fn poll_flush_some<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        shared: &mut Output,
        cx: &mut Context<'_>,
        now: Time,
    ) -> Poll<io::Result<()>> {
        let output = self.pending.as_deref_mut().unwrap_or(shared);
        while output.has_remaining() {
            match poll_write(stream, output, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    output.advance(n);
                    self.progress = now;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => {
                    // It must not be written to the next connection.
                    output.advance(output.remaining());
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    if self.pending.is_none() {
                        self.pending = Some(Box::new(std::mem::take(shared)));
                        self.progress = now;
                    }
                    return Poll::Pending;
                }
            }
        }
        self.pending = None;
        Poll::Ready(Ok(()))
    }
}

fn poll_write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    output: &Output,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let first = output.chunk();
    if first.len() == output.remaining() {
        return Pin::new(stream).poll_write(cx, first);
    }
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = output.chunks_vectored(&mut slices);
    Pin::new(stream).poll_write_vectored(cx, &slices[..filled])
}

/// Slices given to one `writev`: eight large messages with what stands between them.
const SLICES: usize = 16;
