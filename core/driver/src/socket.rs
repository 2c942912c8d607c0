//! The application's handles on a session.

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
    CloseReason, Event, IntoEncoded, Layer, LayerContext, Message, Revision, SendError,
    TransportKind, TrySendError,
};
use futures_core::Stream;
use futures_sink::Sink;

use crate::{
    cell::SessionCell,
    client_cell::ClientCell,
    handshake::Handshake,
    waiters::{Duplex, Shareable, Ticket, is_news},
};

/// One session, as the application sees it.
///
/// Receive with [`recv`](Self::recv) or as a [`Stream`], send with [`send`](Self::send),
/// [`try_send`](Self::try_send) or as a [`Sink`]. [`sender`](Self::sender) gives a handle to send
/// from elsewhere, and [`split`](Self::split) takes the two halves apart. Messages that are not received are not read
/// from the network either: TCP slows the peer down once
/// [`Limits::max_unread`](enginewire::Limits::max_unread) is reached. Dropping the
/// socket closes the session as [`close`](Self::close) does, without waiting.
///
/// # Cancel safety
///
/// Every method that returns a future may be used in a `select`: dropped before it has completed, it
/// has done nothing (`close` has begun to close), and no message is lost.
///
/// [`Sink`]: https://docs.rs/futures-sink/0.3/futures_sink/trait.Sink.html
/// [`Stream`]: https://docs.rs/futures-core/0.3/futures_core/stream/trait.Stream.html
#[must_use = "dropping a socket closes its session"]
pub struct Socket {
    sender: Sender,
    handshake: Arc<Handshake>,
    /// Events that were taken from the session together with a message before them.
    ahead: VecDeque<Event>,
    /// The sink's place among the tasks that wait.
    ticket: Ticket,
}

/// The receiving half of a [`Socket`]. Dropping it closes the session.
#[must_use = "dropping a receiver closes its session"]
#[derive(Debug)]
pub struct Receiver(Socket);

/// Sends to one session, and closes it. Cheap to clone; does not keep the session open.
pub struct Sender {
    cell: Cell,
}

/// A session of either side.
pub(crate) enum Cell {
    Server(Arc<SessionCell>),
    Client(Arc<ClientCell>),
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

/// A future's place among the tasks that wait for a session. Gives it up when dropped.
struct Place<'a> {
    cell: &'a Cell,
    ticket: Ticket,
}

impl<'a> Place<'a> {
    fn of(cell: &'a Cell) -> Self {
        Self { cell, ticket: Ticket::default() }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.cell.leave(&mut self.ticket);
    }
}

impl Cell {
    fn leave(&self, ticket: &mut Ticket) {
        if ticket.is_taken() {
            each!(*self, cell => cell.with(|_, waiters, _| waiters.leave(ticket)));
        }
    }
}

impl Socket {
    pub(crate) fn new(cell: Cell, handshake: Arc<Handshake>) -> Self {
        Self {
            sender: Sender::new(cell),
            handshake,
            ahead: VecDeque::new(),
            ticket: Ticket::default(),
        }
    }

    pub(crate) const fn cell(&self) -> &Cell {
        &self.sender.cell
    }

    #[cfg(feature = "socketio")]
    pub(crate) fn shared_handshake(&self) -> Arc<Handshake> {
        Arc::clone(&self.handshake)
    }

    /// Receives the next message. Returns `None` once the session is closed and everything received has been
    /// taken; [`close_reason`](Self::close_reason) then tells why.
    ///
    /// Cancel safe: a message is either returned or still there.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Receives the next message or other event: [`Event::Upgraded`], and [`Event::Closed`] as the
    /// last. Returns `None` after that.
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

    /// Returns a handle that sends to this session from elsewhere.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Splits the socket into its halves, for two tasks.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender.clone(), Receiver(self))
    }

    /// Returns the request that opened the session. On the client's side: the path, query and header fields
    /// that all requests of the session have in common.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Returns the address of the client, see [`Handshake::peer_addr`]. On the client's side: that of the TCP
    /// connection, which may be a proxy's.
    pub fn peer_addr(&self) -> SocketAddr {
        self.handshake.peer_addr()
    }

    /// Puts a protocol on top of a server's session. Events of the session go to `layer` from now
    /// on.
    ///
    /// [`recv`](Self::recv) returns no further messages then. Returns false for a client's session.
    pub fn set_layer(&self, layer: impl Layer) -> bool {
        match &self.sender.cell {
            Cell::Server(cell) => {
                cell.set_layer(Box::new(layer));
                true
            }
            Cell::Client(_) => false,
        }
    }

    /// Waits until `poll`, called with the layer, has a result. It is called now, and then whenever
    /// the layer [notifies](LayerContext::notify). Returns `None` if there is no layer of that
    /// type.
    ///
    /// Cancel safe if `poll` is.
    pub async fn layer<L: Layer, T>(
        &mut self,
        mut poll: impl FnMut(&mut L, &mut LayerContext<'_>) -> Poll<T>,
    ) -> Option<T> {
        poll_fn(|cx| {
            let Cell::Server(cell) = &self.sender.cell else { return Poll::Ready(None) };
            // Before the call, so that nothing which happens behind it is missed.
            cell.wait_for_layer(cx);
            match self.sender.with_layer(&mut poll) {
                Some(Poll::Pending) => Poll::Pending,
                Some(Poll::Ready(result)) => Poll::Ready(Some(result)),
                None => Poll::Ready(None),
            }
        })
        .await
    }
}

/// The half that sends.
impl Socket {
    /// Queues a message, waiting for room if there is none.
    ///
    /// See [`Sender::send`].
    ///
    /// Cancel safe: the message has been queued if and only if the future has completed with `Ok`.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn send(&self, message: impl IntoEncoded) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// Queues a message if there is room that no task waits for.
    ///
    /// See [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if there is none, or [`SendError::Closed`], and the message.
    pub fn try_send(&self, message: impl IntoEncoded) -> Result<(), TrySendError> {
        self.sender.try_send(message)
    }

    /// Waits until `try_send` is worth another try.
    ///
    /// See [`Sender::ready`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn ready(&self) -> Result<(), SendError> {
        self.sender.ready().await
    }

    /// Closes the session once its queue has been drained, and waits for that.
    ///
    /// See [`Sender::close`].
    pub async fn close(&self) -> CloseReason {
        self.sender.close().await
    }

    /// Closes for a reason of the application's.
    ///
    /// See [`Sender::close_with`].
    pub async fn close_with(&self, reason: &'static str) -> CloseReason {
        self.sender.close_with(reason).await
    }

    /// Ends the session now.
    ///
    /// See [`Sender::abort`].
    pub fn abort(&self) {
        self.sender.abort();
    }

    /// Returns whether a message that is sent now goes out now.
    ///
    /// See [`Sender::is_idle`].
    pub fn is_idle(&self) -> bool {
        self.sender.is_idle()
    }

    /// Returns why the session is closed.
    ///
    /// See [`Sender::close_reason`].
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.sender.close_reason()
    }

    /// Returns the transport that carries messages now.
    ///
    /// See [`Sender::transport`].
    pub fn transport(&self) -> TransportKind {
        self.sender.transport()
    }

    /// Returns the subprotocol that the server has chosen.
    ///
    /// See [`Sender::subprotocol`].
    pub fn subprotocol(&self) -> Option<String> {
        self.sender.subprotocol()
    }

    /// Returns the id of the session, **a secret**.
    ///
    /// See [`Sender::sid`].
    pub fn sid(&self) -> String {
        self.sender.sid()
    }

    /// Returns the revision of the protocol.
    ///
    /// See [`Sender::revision`].
    pub fn revision(&self) -> Revision {
        self.sender.revision()
    }

    /// Returns a name of the session that is not a secret.
    ///
    /// See [`Sender::id`].
    pub fn id(&self) -> u64 {
        self.sender.id()
    }

    /// Calls `f` with the layer on top of the session.
    ///
    /// See [`Sender::with_layer`].
    pub fn with_layer<L: Layer, T>(
        &self,
        f: impl FnOnce(&mut L, &mut LayerContext<'_>) -> T,
    ) -> Option<T> {
        self.sender.with_layer(f)
    }
}

impl Receiver {
    /// As [`Socket::recv`].
    pub async fn recv(&mut self) -> Option<Message> {
        self.0.recv().await
    }

    /// As [`Socket::recv_event`].
    pub async fn recv_event(&mut self) -> Option<Event> {
        self.0.recv_event().await
    }

    /// As [`Socket::handshake`].
    pub fn handshake(&self) -> &Handshake {
        self.0.handshake()
    }

    /// Joins the halves again. Other clones of the sender stay valid.
    pub fn join(self) -> Socket {
        self.0
    }
}

impl Sender {
    pub(crate) const fn new(cell: Cell) -> Self {
        Self { cell }
    }

    /// Queues a message, waiting for room if there is none. Tasks that wait are served in order.
    ///
    /// Cancel safe: the message has been queued if and only if the future has completed with `Ok`.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn send(&self, message: impl IntoEncoded) -> Result<(), SendError> {
        let mut message = Some(message.into_encoded());
        let mut place = Place::of(&self.cell);
        poll_fn(|cx| {
            each!(self.cell, cell => cell.queue(|session, waiters| {
                waiters.poll_send(session, cx, &mut place.ticket, &mut message)
            }))
        })
        .await
    }

    /// Queues a message if there is room that no task waits for.
    ///
    /// For many sessions, [`ServerHandle::broadcast`](crate::ServerHandle::broadcast) encodes once; so do clones of one
    /// [`Encoded::shared`](enginewire::Encoded::shared).
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if there is none, or [`SendError::Closed`], and the message.
    pub fn try_send(&self, message: impl IntoEncoded) -> Result<(), TrySendError> {
        let message = message.into_encoded();
        each!(self.cell, cell => cell.queue(|session, waiters| waiters.try_send(session, message)))
    }

    /// Waits until [`try_send`](Self::try_send), having found no room, is worth another try.
    ///
    /// Cancel safe: it changes nothing.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn ready(&self) -> Result<(), SendError> {
        let mut place = Place::of(&self.cell);
        poll_fn(|cx| self.poll_ready(cx, &mut place.ticket)).await
    }

    /// Closes the session once its queue has been drained, and waits for that. On the client's side
    /// it also waits for the end of its connections. The peer has
    /// [`ServerConfig::close_timeout`](enginewire::ServerConfig::close_timeout) to take the queue.
    ///
    /// Cancel safe: once polled, the session closes whether or not anything waits for it.
    pub async fn close(&self) -> CloseReason {
        self.begin_close();
        let mut place = Place::of(&self.cell);
        poll_fn(|cx| self.poll_closed(cx, &mut place.ticket)).await
    }

    /// As [`close`](Self::close), for a reason that [`close_reason`](Self::close_reason) and logs then show as
    /// [`CloseReason::Application`].
    pub async fn close_with(&self, reason: &'static str) -> CloseReason {
        let reason = CloseReason::Application(reason);
        each!(self.cell, cell => {
            let now = cell.now();
            cell.with(|session, _, _| Duplex::close_with(session, now, reason));
        });
        self.close().await
    }

    /// Ends the session now. What is queued is lost.
    pub fn abort(&self) {
        each!(self.cell, cell => cell.with(|session, _, _| Duplex::abort(session)));
    }

    /// Returns whether a message that is sent now goes out now, see
    /// [`ServerSession::is_idle`](enginewire::ServerSession::is_idle). For messages that are worth sending only at once.
    pub fn is_idle(&self) -> bool {
        each!(self.cell, cell => cell.inspect(Duplex::is_idle))
    }

    /// Returns why the session is closed; `None` while it is not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        each!(self.cell, cell => cell.inspect(|session| session.close_reason().cloned()))
    }

    /// Returns the transport that carries messages now.
    pub fn transport(&self) -> TransportKind {
        each!(self.cell, cell => cell.inspect(Duplex::transport))
    }

    /// Returns the subprotocol that the server has chosen for the WebSocket of a client's session.
    ///
    /// `None` while polling is the transport, if none was
    /// [offered](crate::ClientBuilder::protocols), and on the server's side, whose
    /// [hook](crate::ServerBuilder::subprotocol) chooses.
    pub fn subprotocol(&self) -> Option<String> {
        let Cell::Client(cell) = &self.cell else { return None };
        cell.inspect(|session| session.hub.session().subprotocol().map(str::to_owned))
    }

    /// Returns the id of the session. **A secret**: its owner owns the session. For requests beside the
    /// session that must reach the same server, never for logs; those have [`id`](Self::id).
    pub fn sid(&self) -> String {
        each!(self.cell, cell => cell.inspect(Duplex::sid))
    }

    /// Returns the revision of the protocol that the client speaks.
    pub fn revision(&self) -> Revision {
        each!(self.cell, cell => cell.inspect(Duplex::revision))
    }

    /// Returns a name of the session that is not a secret, unlike the `sid`. It is unique in this
    /// server. [`ServerHandle::get`](crate::ServerHandle::get) takes it, and logs show it.
    pub fn id(&self) -> u64 {
        each!(self.cell, cell => cell.id())
    }

    /// Calls `f` with the [`Layer`] on top of the session, under its lock. `None` if it has none of that type.
    pub fn with_layer<L: Layer, T>(
        &self,
        f: impl FnOnce(&mut L, &mut LayerContext<'_>) -> T,
    ) -> Option<T> {
        match &self.cell {
            Cell::Server(cell) => cell.with_layer(f),
            Cell::Client(_) => None,
        }
    }
}

impl Sender {
    fn poll_ready(&self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<Result<(), SendError>> {
        each!(self.cell, cell => cell.with(|session, waiters, _| {
            waiters.poll_ready(session, cx, ticket)
        }))
    }

    fn poll_flushed(&self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<Result<(), SendError>> {
        each!(self.cell, cell => cell.with(|session, waiters, _| {
            waiters.poll_flushed(session, cx, ticket)
        }))
    }

    fn poll_closed(&self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<CloseReason> {
        each!(self.cell, cell => cell.with(|session, waiters, _| {
            waiters.poll_closed(session, cx, ticket)
        }))
    }

    fn begin_close(&self) {
        each!(self.cell, cell => {
            let now = cell.now();
            cell.with(|session, _, _| Duplex::close(session, now));
        });
    }

    /// The application has dropped the socket.
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

impl Clone for Sender {
    fn clone(&self) -> Self {
        let cell = match &self.cell {
            Cell::Server(cell) => Cell::Server(Arc::clone(cell)),
            Cell::Client(cell) => Cell::Client(Arc::clone(cell)),
        };
        Self { cell }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.sender.cell.leave(&mut self.ticket);
        self.sender.release();
    }
}

/// The messages of the peer; ends with the session.
impl Stream for Socket {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_recv(cx)
    }
}

/// Messages for the peer. Flushing waits until all have been handed to a transport, closing until
/// the session is closed. Where a [`Sender`] has taken the room in between, a message can be refused
/// with [`SendError::Full`] although the sink was ready.
impl<M: IntoEncoded> Sink<M> for Socket {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Self { sender, ticket, .. } = self.get_mut();
        sender.poll_ready(cx, ticket)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), SendError> {
        Ok(self.sender.try_send(message)?)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Self { sender, ticket, .. } = self.get_mut();
        sender.poll_flushed(cx, ticket)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Self { sender, ticket, .. } = self.get_mut();
        sender.begin_close();
        sender.poll_closed(cx, ticket).map(|_| Ok(()))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id())
            .field("peer_addr", &self.peer_addr())
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("id", &self.id()).finish_non_exhaustive()
    }
}
