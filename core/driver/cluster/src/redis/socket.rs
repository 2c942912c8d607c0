//! One connection with a server, with its bytes.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use enginewire::Time;
use enginewire_driver::{Runtime, Stream, connect_tcp};
use futures_io::{AsyncRead as _, AsyncWrite as _};

use super::{
    error::RedisFault,
    link::{Incoming, Link, Responds},
    options::Shared,
};

/// A stream, and the commands on it.
pub(super) struct Socket<T> {
    stream: Box<dyn Stream>,
    pub(super) link: Link<T>,
    /// When something has come for the last time.
    pub(super) heard: Time,
    is_flushed: bool,
    buffer: Box<[u8]>,
}

impl<T> Socket<T> {
    fn new(stream: Box<dyn Stream>, now: Time, max_message: usize) -> Self {
        let buffer = vec![0; READ].into();
        Self { stream, link: Link::new(max_message), heard: now, is_flushed: true, buffer }
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

/// A connection that is being made.
pub(super) type Dialing<T> = Pin<Box<dyn Future<Output = Result<Socket<T>, RedisFault>> + Send>>;

/// Connects, encrypts and logs in, within the time for all of it.
pub(super) fn dial<R: Runtime, T: Send + 'static>(shared: &Arc<Shared<R>>) -> Dialing<T> {
    let shared = Arc::clone(shared);
    Box::pin(async move {
        let Shared { runtime, options, counters, .. } = &*shared;
        let deadline = runtime.clock().now() + options.connect_timeout;
        let mut sleep = pin!(runtime.sleep_until(deadline));
        let mut opening = pin!(open(&shared));
        let stream = poll_fn(|cx| match opening.as_mut().poll(cx) {
            Poll::Pending => sleep
                .as_mut()
                .poll(cx)
                .map(|_| Err(RedisFault::unreachable(io::Error::from(io::ErrorKind::TimedOut)))),
            opened => opened,
        });
        let stream = stream.await?;
        counters.connections.fetch_add(1, Ordering::Relaxed);
        Ok(Socket::new(stream, runtime.clock().now(), options.max_message))
    })
}

async fn open<R: Runtime>(shared: &Shared<R>) -> Result<Box<dyn Stream>, RedisFault> {
    let Shared { runtime, url, options, .. } = shared;
    let connected = connect_tcp(runtime, &url.host, url.port).await;
    let (stream, _) = connected.map_err(RedisFault::unreachable)?;
    let stream: Box<dyn Stream> = match url.is_encrypted {
        false => Box::new(stream),
        #[cfg(feature = "tls-no-provider")]
        true => {
            let tls = options.tls.clone();
            let encrypted = enginewire_driver::tls::encrypt(stream, &url.host, tls).await;
            Box::new(encrypted.map_err(RedisFault::unreachable)?)
        }
        #[cfg(not(feature = "tls-no-provider"))]
        true => {
            let error = io::Error::new(io::ErrorKind::Unsupported, "the feature `tls` is off");
            return Err(RedisFault::unreachable(error));
        }
    };

    // Nothing comes that was not asked for until the first subscription.
    let mut socket = Socket::new(stream, runtime.clock().now(), options.max_message);
    let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
    if let Some(password) = &url.password {
        let user = url.user.as_deref().unwrap_or("default");
        hello.extend([b"AUTH", user.as_bytes(), password.as_bytes()]);
    }
    if !options.name.is_empty() {
        hello.extend([b"SETNAME", options.name.as_bytes()]);
    }
    socket.link.push((), Responds::InTurn, Time::MAX, &hello);
    if url.database != 0 {
        let database = url.database.to_string();
        socket.link.push((), Responds::InTurn, Time::MAX, &[b"SELECT", database.as_bytes()]);
    }
    while socket.link.in_flight().0 > 0 {
        let incoming = poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = socket.poll_flush(cx) {
                return Poll::Ready(Err(RedisFault::lost(error)));
            }
            socket.poll_next(cx, Time::ZERO)
        });
        if let Incoming::Response((), Err(error)) = incoming.await? {
            return Err(RedisFault::of_greeting(&error));
        }
    }
    Ok(socket.stream)
}

/// Bytes that are read at a time.
const READ: usize = 16 << 10;
