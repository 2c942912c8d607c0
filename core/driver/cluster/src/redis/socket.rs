//! One connection with a server, with its bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use enginewire::Time;
use enginewire_driver::Stream;
use futures_io::{AsyncRead as _, AsyncWrite as _};

use super::{
    address::Address,
    error::RedisFault,
    link::{Incoming, Link},
};

/// A stream, and the commands on it.
pub(super) struct Socket<T> {
    /// The server.
    pub(super) address: Address,
    stream: Box<dyn Stream>,
    pub(super) link: Link<T>,
    /// When something has come for the last time.
    pub(super) heard: Time,
    is_flushed: bool,
    buffer: Box<[u8]>,
}

impl<T> Socket<T> {
    pub(super) fn new(
        address: Address,
        stream: Box<dyn Stream>,
        now: Time,
        max_message: usize,
    ) -> Self {
        let (link, buffer) = (Link::new(max_message), vec![0; READ].into());
        Self { address, stream, link, heard: now, is_flushed: true, buffer }
    }

    /// Returns the same connection for commands with other tags. No command may be in flight.
    pub(super) fn retag<U>(self, max_message: usize) -> Socket<U> {
        let Self { address, stream, heard, is_flushed, buffer, .. } = self;
        Socket { address, stream, link: Link::new(max_message), heard, is_flushed, buffer }
    }

    /// Writes commands. Completes when all are written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.link.output().is_empty() {
            self.is_flushed = false;
            match ready!(Pin::new(&mut self.stream).poll_write(cx, self.link.output()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.link.wrote(bytes),
            }
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Completes with the next thing that comes. Reads no further than to that.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        now: Time,
    ) -> Poll<Result<Incoming<T>, RedisFault>> {
        loop {
            if let Some(incoming) = self.link.poll()? {
                return Poll::Ready(Ok(incoming));
            }
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut self.buffer);
            match ready!(read).map_err(RedisFault::lost)? {
                0 => {
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, "it has closed it");
                    return Poll::Ready(Err(RedisFault::lost(error)));
                }
                bytes => {
                    self.heard = now;
                    self.link.receive(&self.buffer[..bytes]);
                }
            }
        }
    }
}

/// Bytes that are read at a time.
const READ: usize = 16 << 10;
