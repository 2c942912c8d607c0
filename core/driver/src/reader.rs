//! From a socket to a buffer.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
};

use crate::runtime::Stream;

/// Knowledge about the bytes that one connection has to read.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The last read left room in its buffer: it took all there was. In the beginning there is nothing, as far as is
    /// known: what comes on a fresh connection does not overtake what came before on others.
    drained: bool,
    /// The next read does not rely on what the stream says.
    distrusted: bool,
    /// The last read was pending: its task is woken for the next bytes.
    waiting: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self { drained: true, distrusted: false, waiting: false }
    }
}

impl Reader {
    /// Has the next read try the socket, whatever the runtime knows of it.
    ///
    /// A runtime may notice late that there is something to read, and not in the order in which it came on several
    /// connections.
    pub(crate) const fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// Forgets that the task waits, as it has been woken, perhaps for this. Returns whether it did.
    pub(crate) const fn wake(&mut self) -> bool {
        mem::replace(&mut self.waiting, false)
    }

    /// Returns whether the task is woken once there is something to read.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Reads once. 0 at the end.
    #[inline]
    pub(crate) fn poll_read<S: Stream>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        input: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let distrusted = mem::take(&mut self.distrusted);
        self.waiting = self.drained && stream.poll_readable(cx)?.is_pending() && !distrusted;
        if self.waiting {
            return Poll::Pending;
        }
        loop {
            match Pin::new(&mut *stream).poll_read(cx, input) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    self.drained = matches!(result, Poll::Ready(Ok(n)) if n < input.len());
                    self.waiting = result.is_pending();
                    return result;
                }
            }
        }
    }
}
