//! From an output to a socket.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Buf;
use enginewire::{
    Time,
    carrier::{Outbox, Written},
    wire::Output,
};
use futures_io::AsyncWrite;

/// What one connection has to write.
#[derive(Debug, Default)]
pub(crate) struct Writer(Outbox);

impl Writer {
    /// Where the next bytes for this connection go.
    pub(crate) fn output<'a>(&'a mut self, shared: &'a mut Output) -> &'a mut Output {
        self.0.output(shared)
    }

    /// Whether the socket would not take everything.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.0.is_blocked()
    }

    /// When a peer that goes on taking nothing is given up, if something waits for it.
    pub(crate) fn deadline(&self, patience: Duration) -> Option<Time> {
        self.0.deadline(patience)
    }

    /// Writes what there is. `Pending` if the socket would not take everything.
    #[inline]
    pub(crate) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        shared: &mut Output,
        cx: &mut Context<'_>,
        now: Time,
    ) -> Poll<io::Result<()>> {
        match self.0.flush(shared, now, |output| poll_write(stream, output, cx)) {
            Ok(true) => {
                drop(self.0.take_empty());
                Poll::Ready(Ok(()))
            }
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

fn poll_write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    output: &Output,
    cx: &mut Context<'_>,
) -> io::Result<Written> {
    loop {
        match poll_write_once(stream, output, cx) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => return Ok(Written::Some(n)),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(Written::Blocked),
        }
    }
}

fn poll_write_once<S: AsyncWrite + Unpin>(
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
