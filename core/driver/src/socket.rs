//! The application's handle on a session.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use enginewire::{
    CloseReason, Encoded, Event, Message, Revision, SendError, TransportKind, TrySendError,
    wire::http::RequestHead,
};
use futures_core::Stream;
use futures_sink::Sink;

use crate::{
    cell::SessionCell,
    client::ClientCell,
    runtime::Runtime,
    waiters::{Duplex, Shareable, is_news},
};

/// One session, as the application sees it.
///
/// Receive with [`recv`](Self::recv) or as a [`Stream`], send with [`send`](Self::send),
/// [`try_send`](Self::try_send) or as a [`Sink`]; [`sender`](Self::sender) gives a handle to send
/// from elsewhere. What is not received is not read from the network either: the peer is slowed
/// down by TCP once [`Limits::max_unread`](enginewire::Limits::max_unread) is reached. Dropping the
/// socket closes the session as [`close`](Self::close) does, without waiting.
///
/// # Cancel safety
///
/// Every method that returns a future may be used in a `select`: dropped before it has completed, it
/// has done nothing (`close` has begun to close), and no message is lost.
pub struct Socket<R: Runtime> {
    sender: Sender<R>,
    handshake: Arc<Handshake>,
    /// What was taken from the session together with a message before it.
    ahead: VecDeque<Event>,
}

/// Sends to one session. Cheap to clone; does not keep the session open.
pub struct Sender<R: Runtime> {
    cell: Cell<R>,
}

/// A session of either side.
pub(crate) enum Cell<R: Runtime> {
    Server(Arc<SessionCell<R>>),
    Client(Arc<ClientCell<R>>),
}

/// The same for either side.
macro_rules! each {
    ($cell:expr, $name:ident => $work:expr) => {
        match &$cell {
            Cell::Server($name) => $work,
            Cell::Client($name) => $work,
        }
    };
}

/// The request that opened a session.
pub struct Handshake {
    head: RequestHead,
    peer_addr: SocketAddr,
}

impl Handshake {
    pub(crate) const fn new(head: RequestHead, peer_addr: SocketAddr) -> Self {
        Self { head, peer_addr }
    }

    /// The path, not decoded.
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// The query, not decoded. See [`enginewire::query::pairs`].
    pub fn query(&self) -> &str {
        self.head.query()
    }

    /// The value of a query parameter, decoded; the last one if there are several.
    pub fn query_value(&self, key: &str) -> Option<String> {
        enginewire::query::value(self.query(), key).map(std::borrow::Cow::into_owned)
    }

    /// The value of the first header field named `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.header(name)
    }

    /// All header fields, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head.headers()
    }

    /// The address of the TCP connection, which may be a proxy's.
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }
}

impl<R: Runtime> Socket<R> {
    pub(crate) const fn new(cell: Cell<R>, handshake: Arc<Handshake>) -> Self {
        Self { sender: Sender::new(cell), handshake, ahead: VecDeque::new() }
    }

    pub(crate) const fn cell(&self) -> &Cell<R> {
        &self.sender.cell
    }

    /// The next message. `None` once the session is over and everything received has been taken;
    /// [`close_reason`](Self::close_reason) then says why.
    ///
    /// Cancel safe: a message is either returned or still there.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next message, or whatever else happens: [`Event::Upgraded`], and [`Event::Closed`] as the
    /// last. `None` after that.
    ///
    /// Cancel safe: an event is either returned or still there.
    pub async fn recv_event(&mut self) -> Option<Event> {
        while let Some(event) = self.ahead.pop_front() {
            if is_news(&event) {
                return Some(event);
            }
        }
        poll_fn(|cx| {
            each!(self.sender.cell, cell => cell.with(|session, waiters, _| {
                waiters.poll_next_event(session, cx)
            }))
        })
        .await
    }

    fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<Message>> {
        let Self { sender, ahead, .. } = self;
        while let Some(event) = ahead.pop_front() {
            if let Event::Message(message) = event {
                return Poll::Ready(Some(message));
            }
        }
        each!(sender.cell, cell => cell.with(|session, waiters, settled| {
            waiters.poll_recv(session, settled, cx, ahead)
        }))
    }

    /// Queues a message, waiting for room if there is none.
    ///
    /// Cancel safe: the message has been queued if and only if the future has completed with `Ok`.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn send(&self, message: impl Into<Encoded>) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// Queues a message if there is room.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if there is none, or [`SendError::Closed`], and the message.
    pub fn try_send(&self, message: impl Into<Encoded>) -> Result<(), TrySendError> {
        self.sender.try_send(message)
    }

    /// Waits until [`try_send`](Self::try_send), having said that there is no room, is worth another
    /// try.
    ///
    /// Cancel safe: it changes nothing.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn ready(&self) -> Result<(), SendError> {
        self.sender.ready().await
    }

    /// Ends the session once what is queued has been let out, and waits for that; on the client's side
    /// also for the end of its connections. The peer has
    /// [`Config::close_timeout`](enginewire::Config::close_timeout) to take it.
    ///
    /// Cancel safe: once polled, the session closes whether or not anybody waits for it.
    pub async fn close(&self) -> CloseReason {
        self.sender.close().await
    }

    /// A handle that sends to this session from elsewhere.
    pub fn sender(&self) -> Sender<R> {
        self.sender.clone()
    }

    /// Why the session is over; `None` while it is not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        each!(self.sender.cell, cell => cell.look(|session| session.close_reason().cloned()))
    }

    /// The transport that carries messages now.
    pub fn transport(&self) -> TransportKind {
        each!(self.sender.cell, cell => cell.look(Duplex::transport))
    }

    /// The id of the session. **A secret**: whoever has it owns the session. For requests beside the
    /// session that must reach the same server, never for logs; those have [`id`](Self::id).
    pub fn sid(&self) -> String {
        each!(self.sender.cell, cell => cell.look(Duplex::sid))
    }

    /// The revision of the protocol that the client speaks.
    pub fn revision(&self) -> Revision {
        each!(self.sender.cell, cell => cell.look(Duplex::revision))
    }

    /// The request that opened the session. On the client's side: the path, query and header fields
    /// that all requests of the session have in common.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// The address at the other end of the TCP connection that opened the session, which may be a
    /// proxy's.
    pub fn peer_addr(&self) -> SocketAddr {
        self.handshake().peer_addr()
    }

    /// A name for the session that is not a secret, unlike the `sid`: unique in this server, and the
    /// one that logs show.
    pub fn id(&self) -> u64 {
        self.sender.id()
    }
}

impl<R: Runtime> Sender<R> {
    pub(crate) const fn new(cell: Cell<R>) -> Self {
        Self { cell }
    }

    /// As [`Socket::send`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn send(&self, message: impl Into<Encoded>) -> Result<(), SendError> {
        let mut message = Some(message.into());
        poll_fn(|cx| {
            each!(self.cell, cell => cell.with(|session, waiters, _| {
                waiters.poll_send(session, cx, &mut message)
            }))
        })
        .await
    }

    /// As [`Socket::try_send`]. A broadcast encodes once:
    ///
    /// ```
    /// # use enginewire_driver::{Runtime, Sender};
    /// fn broadcast<R: Runtime>(to: &[Sender<R>], text: &str) {
    ///     let message = enginewire::Encoded::shared(text);
    ///     for sender in to {
    ///         let _ = sender.try_send(message.clone());
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] or [`SendError::Closed`], and the message.
    pub fn try_send(&self, message: impl Into<Encoded>) -> Result<(), TrySendError> {
        let message = message.into();
        each!(self.cell, cell => cell.with(|session, _, _| Duplex::send(session, message)))
    }

    /// As [`Socket::ready`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn ready(&self) -> Result<(), SendError> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    /// As [`Socket::close`].
    pub async fn close(&self) -> CloseReason {
        self.begin_close();
        poll_fn(|cx| self.poll_closed(cx)).await
    }

    /// As [`Socket::id`].
    pub fn id(&self) -> u64 {
        each!(self.cell, cell => cell.id())
    }
}

impl<R: Runtime> Sender<R> {
    fn poll_ready(&self, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        each!(self.cell, cell => cell.with(|session, waiters, _| waiters.poll_ready(session, cx)))
    }

    fn poll_flushed(&self, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        each!(self.cell, cell => cell.with(|session, waiters, _| waiters.poll_flushed(session, cx)))
    }

    fn poll_closed(&self, cx: &Context<'_>) -> Poll<CloseReason> {
        each!(self.cell, cell => cell.with(|session, waiters, _| waiters.poll_closed(session, cx)))
    }

    fn begin_close(&self) {
        each!(self.cell, cell => {
            let now = cell.now();
            cell.with(|session, _, _| Duplex::close(session, now));
        });
    }

    /// The application has let go of the socket.
    fn release(&self) {
        each!(self.cell, cell => {
            let now = cell.now();
            cell.with(|session, waiters, _| {
                Duplex::abandon(session, now);
                waiters.forget_receiver();
            });
        });
    }
}

impl<R: Runtime> Clone for Sender<R> {
    fn clone(&self) -> Self {
        let cell = match &self.cell {
            Cell::Server(cell) => Cell::Server(Arc::clone(cell)),
            Cell::Client(cell) => Cell::Client(Arc::clone(cell)),
        };
        Self { cell }
    }
}

impl<R: Runtime> Drop for Socket<R> {
    fn drop(&mut self) {
        self.sender.release();
    }
}

/// The messages of the peer; ends with the session.
impl<R: Runtime> Stream for Socket<R> {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_recv(cx)
    }
}

/// Messages for the peer. Flushing waits until all have been handed to a transport, closing until
/// the session is over. Where a [`Sender`] has taken the room in between, a message can be refused
/// with [`SendError::Full`] although the sink was ready.
impl<R: Runtime, M: Into<Encoded>> Sink<M> for Socket<R> {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.sender.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), SendError> {
        Ok(self.sender.try_send(message)?)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.sender.poll_flushed(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.sender.begin_close();
        self.sender.poll_closed(cx).map(|_| Ok(()))
    }
}

impl<R: Runtime> fmt::Debug for Socket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id())
            .field("peer_addr", &self.peer_addr())
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> fmt::Debug for Sender<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &self.path())
            .field("peer_addr", &self.peer_addr)
            .finish_non_exhaustive()
    }
}
