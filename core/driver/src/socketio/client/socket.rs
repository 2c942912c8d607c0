//! The handles on a socket of a client.

use std::{
    fmt,
    future::poll_fn,
    ops::Deref,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use enginewire::{Encoded, Time, TransportKind};
use enginewire_socketio::{
    AckId, AskName, EmitError, EncodeError, Name, Slot, SocketId, parser::Outgoing,
};
use futures_core::Stream;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Handle,
    emit::{ClientAckFuture, ClientEmit, ClientEmitter},
    error::ClientError,
    event::{ClientEvent, Update},
    interface::{Mode, Options, Taken},
};
use crate::{
    socketio::{outgoing::with_encoder, socket::UnknownEvent},
    waiters::Ticket,
    wakers::WakerKey,
};

/// One socket of a client, for the task that receives.
///
/// It is a namespace, over all connections to the server.
///
/// It has the methods of a [`ClientRef`]. Dropping it disconnects it.
///
/// ```no_run
/// # use enginewire_driver::{Runtime, socketio::{ClientBuilder, ClientError, Update}};
/// # async fn example<R: Runtime>(builder: ClientBuilder<R>) -> Result<(), ClientError> {
/// let mut socket = builder.connect().await?;
/// socket.emit("hello", "world").await.ok();
/// while let Some(update) = socket.next().await {
///     match update {
///         Update::Event(event) => println!("{}", event.name()),
///         Update::Disconnected { reason, .. } => println!("lost: {reason}"),
///         Update::Connected { recovered, .. } => println!("back, {recovered}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a socket that is dropped is disconnected"]
pub struct ClientSocket {
    handle: ClientRef,
}

/// Handle on a socket of a client, for any task. Cheap to clone.
#[derive(Clone)]
pub struct ClientRef {
    shared: Arc<SocketShared>,
}

/// A socket, as all handles on it share it.
pub(super) struct SocketShared {
    handle: Arc<Handle>,
    slot: Slot,
    namespace: String,
    next_ack: AtomicU64,
}

impl SocketShared {
    pub(super) fn new(handle: Arc<Handle>, slot: Slot, namespace: &str) -> Arc<Self> {
        let namespace = namespace.to_owned();
        Arc::new(Self { handle, slot, namespace, next_ack: AtomicU64::new(0) })
    }

    pub(super) fn options(&self) -> &Options {
        self.handle.cell.options()
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn now(&self) -> Time {
        self.handle.cell.now()
    }

    pub(super) fn next_ack(&self) -> AckId {
        AckId(self.next_ack.fetch_add(1, Ordering::Relaxed).into())
    }

    pub(super) fn encode(
        &self,
        ack: Option<AckId>,
        event: &impl Outgoing,
    ) -> Result<Encoded, EncodeError> {
        let options = self.options();
        with_encoder(&options.limits, |encoder| {
            encoder.event(&options.parser, &self.namespace, ack, event)
        })
    }

    pub(super) fn poll_emit(
        &self,
        cx: &Context<'_>,
        ticket: &mut Ticket,
        message: &mut Option<Encoded>,
        mode: &Mode,
    ) -> Poll<Result<(), EmitError>> {
        self.handle.cell.poll_emit(cx, self.slot, ticket, message, mode)
    }

    pub(super) fn try_emit(&self, message: Encoded, mode: &Mode) -> Result<(), EmitError> {
        self.handle.cell.try_emit(self.slot, message, mode)
    }

    pub(super) fn leave_room(&self, ticket: &mut Ticket, mode: &Mode) {
        self.handle.cell.leave_room(self.slot, ticket, mode);
    }

    pub(super) fn forget_ack(&self, id: AckId) {
        self.handle.cell.forget_ack(self.slot, id);
    }
}

impl ClientSocket {
    pub(super) const fn new(shared: Arc<SocketShared>) -> Self {
        Self { handle: ClientRef { shared } }
    }

    /// Returns a handle for other tasks.
    pub fn handle(&self) -> ClientRef {
        self.handle.clone()
    }

    /// Receives the next event, over all connections. `None` once none will come.
    ///
    /// That is so when the socket was disconnected by either side, refused, or given up: see
    /// [`end_reason`](ClientRef::end_reason). Cancel safe.
    pub async fn recv(&mut self) -> Option<ClientEvent> {
        while let Some(update) = self.next().await {
            if let Update::Event(event) = update {
                return Some(event);
            }
        }
        None
    }

    /// Receives the next event or change of the connection, in their order.
    ///
    /// `None` as of [`recv`](Self::recv). Changes that nobody looks at do not pile up: the oldest go. Cancel safe.
    pub async fn next(&mut self) -> Option<Update> {
        poll_fn(|cx| self.poll_update(cx)).await
    }

    /// Receives the next event as the variant of an enum that has its name. See
    /// [`Event::parse`](enginewire_socketio::Event::parse).
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// There is no such variant, or the arguments are of another shape. The error has the event.
    pub async fn recv_as<E: DeserializeOwned>(
        &mut self,
    ) -> Option<Result<E, UnknownEvent<ClientEvent>>> {
        let event = self.recv().await?;
        Some(event.parse().map_err(|error| UnknownEvent { event, error }))
    }

    fn poll_update(&mut self, cx: &Context<'_>) -> Poll<Option<Update>> {
        let shared = &self.handle.shared;
        shared.handle.cell.poll_update(cx, shared.slot).map(|taken| {
            Some(match taken? {
                Taken::Event(event, connection) => {
                    Update::Event(ClientEvent::new(event, Arc::clone(shared), connection))
                }
                Taken::Other(update) => update,
            })
        })
    }
}

impl ClientRef {
    /// Sends an event, waiting for room. A tuple is several arguments, `()` none, anything else one.
    ///
    /// While there is no connection it waits in the socket, as [`ClientBuilder::offline`](super::ClientBuilder::offline)
    /// says. The payload is encoded before this returns.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the socket was disconnected for good.
    pub fn emit<P: Serialize + ?Sized>(&self, name: impl Name<P>, payload: &P) -> ClientEmit {
        self.emitter().emit(name, payload)
    }

    /// Sends a variant of an enum as the event of its name, see [`emit`](Self::emit).
    pub fn emit_event<E: Serialize + ?Sized>(&self, event: &E) -> ClientEmit {
        self.emitter().emit_event(event)
    }

    /// Sends an event if there is room that no task waits for.
    ///
    /// # Errors
    ///
    /// There is no room, the payload cannot be encoded, or the socket was disconnected for good.
    pub fn try_emit<P: Serialize + ?Sized>(
        &self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        self.emitter().try_emit(name, payload)
    }

    /// Sends an event, and waits for the server's acknowledgement.
    ///
    /// It has until [`ClientBuilder::ack_timeout`](super::ClientBuilder::ack_timeout), and fails at once when the
    /// connection is lost, unless the event waits for one still.
    pub fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        &self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> ClientAckFuture<A> {
        self.emitter().emit_with_ack(name, payload)
    }

    /// Sends an event on as it came, see [`emit`](Self::emit). Nothing is decoded.
    pub fn forward(&self, event: &enginewire_socketio::Event) -> ClientEmit {
        self.emitter().forward(event)
    }

    /// Returns an emitter whose events are dropped if they cannot be sent at once.
    pub const fn volatile(&self) -> ClientEmitter<'_> {
        self.emitter().volatile()
    }

    /// Returns an emitter with a deadline for acknowledgements.
    pub const fn timeout(&self, timeout: Duration) -> ClientEmitter<'_> {
        self.emitter().timeout(timeout)
    }

    /// Returns an emitter whose events are sent until the server acknowledges them, see [`ClientEmitter::retries`].
    pub const fn retries(&self, retries: u32) -> ClientEmitter<'_> {
        self.emitter().retries(retries)
    }

    /// Returns an emitter with binary data, see [`ClientEmitter::attach`].
    pub fn attach(&self, data: impl Into<Bytes>) -> ClientEmitter<'_> {
        self.emitter().attach(data)
    }

    const fn emitter(&self) -> ClientEmitter<'_> {
        ClientEmitter::new(&self.shared)
    }

    /// Has the socket connected again, after it was disconnected or refused.
    pub fn connect(&self) {
        self.shared.handle.cell.connect(self.shared.slot);
    }

    /// Disconnects the socket for good, in whatever state it is. What was queued on its connection leaves first.
    ///
    /// Returns the number of events that waited for a connection, which are dropped.
    pub fn disconnect(&self) -> usize {
        self.shared.handle.cell.disconnect(self.shared.slot)
    }

    /// Drops the events that wait for a connection. Returns their number.
    pub fn forget_offline(&self) -> usize {
        self.shared.handle.cell.forget_offline(self.shared.slot)
    }

    /// Waits until the socket is connected.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// It is not tried any more: the socket was disconnected, refused, or given up.
    pub async fn connected(&self) -> Result<(), ClientError> {
        Connected { shared: &self.shared, key: None }.wait(false).await
    }

    /// Waits for the outcome of the first attempt.
    pub(super) async fn first_connection(&self) -> Result<(), ClientError> {
        Connected { shared: &self.shared, key: None }.wait(true).await
    }

    /// Returns whether the server has connected the socket.
    pub fn is_connected(&self) -> bool {
        self.shared.handle.cell.is_connected(self.shared.slot)
    }

    /// Returns whether the socket is connected, or tries to be.
    pub fn is_active(&self) -> bool {
        self.shared.handle.cell.is_active(self.shared.slot)
    }

    /// Returns why the socket is not connected, and does not try to be. `None` while it does.
    pub fn end_reason(&self) -> Option<ClientError> {
        self.shared.handle.cell.end_reason(self.shared.slot)
    }

    /// Returns the id that the socket has on the server, while it is connected.
    pub fn id(&self) -> Option<SocketId> {
        self.shared.handle.cell.id(self.shared.slot)
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &str {
        self.shared.namespace()
    }

    /// Returns the transport of the connection. `None` while there is none.
    pub fn transport(&self) -> Option<TransportKind> {
        self.shared.handle.cell.transport()
    }

    /// Returns the bytes that wait for a connection, or to be acknowledged with retries.
    pub fn queued(&self) -> usize {
        self.shared.handle.cell.queued(self.shared.slot)
    }
}

/// Waits until a socket is connected.
struct Connected<'a> {
    shared: &'a SocketShared,
    key: WakerKey,
}

impl Connected<'_> {
    async fn wait(mut self, first: bool) -> Result<(), ClientError> {
        let Self { shared, key } = &mut self;
        poll_fn(|cx| shared.handle.cell.poll_connected(cx, shared.slot, key, first)).await
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.shared.handle.cell.stop_waiting_for_change(self.shared.slot, self.key);
    }
}

impl Deref for ClientSocket {
    type Target = ClientRef;

    fn deref(&self) -> &ClientRef {
        &self.handle
    }
}

/// Stream of the updates of [`ClientSocket::next`].
impl Stream for ClientSocket {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        self.poll_update(cx)
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        self.handle.shared.handle.cell.release(self.handle.shared.slot);
    }
}

impl fmt::Debug for ClientSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSocket").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRef").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}
