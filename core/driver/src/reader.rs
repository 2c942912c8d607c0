//! From a socket to a buffer.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::runtime::Stream;

/// Knowledge about the bytes that one connection has to read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The last read left room in its buffer: it took all there was.
    drained: bool,
}

impl Reader {
    /// Has the next read ask the socket, whatever the runtime knows of it.
    ///
    /// A runtime may notice late that there is something to read, and not in the order in which it came on several
    /// connections.
    pub(crate) const fn distrust(&mut self) {
        self.drained = false;
    }

    /// Reads once. 0 at the end.
    #[inline]
    pub(crate) fn poll_read<S: Stream>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        input: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.drained {
            ready!(stream.poll_readable(cx))?;
        }
        loop {
            match Pin::new(&mut *stream).poll_read(cx, input) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    self.drained = matches!(result, Poll::Ready(Ok(n)) if n < input.len());
                    return result;
                }
            }
        }
    }
}
