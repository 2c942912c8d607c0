//! The application's handles on a socket.

use std::{
    any::{Any, TypeId},
    fmt,
    future::poll_fn,
    marker::PhantomData,
    mem,
    net::SocketAddr,
    ops::Deref,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use enginewire::{Encoded, LayerContext, TransportKind};
use enginewire_socketio::{
    AckId, Args, AskName, DisconnectReason, EncodeError, EventError, Name, PrivateId, SocketId,
    TryEmitError,
    adapter::{MemberKey, Target},
    parser::{EnumEvent, NamedEvent, Parser},
    payload::{DecodeError, Payload},
};
use futures_core::Stream;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    EmitError, Io,
    acks::{AckFuture, Answer, Pending},
    broadcast::Broadcast,
    emit::{Emit, Mode},
    event::Event,
    layer::SocketIoLayer,
    namespace::{Namespace, NamespaceShared},
    observer::Mark,
    outgoing::Body,
    rooms::Rooms,
};
use crate::{
    cell::SessionCell, handshake::Handshake, sync::lock, trace::trace, waiters::Shareable,
    wakers::WakerKey, wakes::Wakes,
};

/// One client in one namespace, for the task that receives.
///
/// Events that the client sends wait in it from the first, so that none is lost before the first
/// [`recv`](Self::recv). Those that are not received are not read from the network either: TCP slows the client down
/// once [`Limits::max_unread`](enginewire::Limits::max_unread) is reached. That holds back the other namespaces of the
/// same client, which share the connection. Dropping the socket disconnects the client from the namespace.
///
/// It has the methods of a [`SocketRef`]. `D` is what the namespace's
/// [`authorize`](super::Namespace::authorize) returned.
#[must_use = "dropping a socket disconnects the client"]
pub struct Socket<D = ()> {
    handle: SocketRef<D>,
}

/// A handle on a socket, for tasks that send. Cheap to clone.
///
/// It does not keep the client connected. Once the socket is disconnected, sending fails.
pub struct SocketRef<D = ()> {
    pub(super) shared: Arc<SocketShared>,
    data: PhantomData<fn() -> D>,
}

/// A socket, as the server has it.
pub(crate) struct SocketShared {
    pub(super) cell: Arc<SessionCell>,
    pub(super) slot: enginewire_socketio::Slot,
    pub(super) id: SocketId,
    pub(super) namespace: Arc<NamespaceShared>,
    pub(super) handshake: Arc<Handshake>,
    pub(super) auth: Option<Box<Payload>>,
    pub(super) data: Arc<dyn Any + Send + Sync>,
    pub(super) is_recovered: bool,
    /// The secret under which the client may come back.
    pub(super) pid: Option<PrivateId>,
    /// Why it is disconnected, once it is.
    pub(super) reason: Arc<OnceLock<DisconnectReason>>,
    /// The application has it.
    pub(super) is_handed_over: AtomicBool,
    /// The place in the adapter.
    pub(super) member: OnceLock<MemberKey>,
    /// The rooms that it was in when it was disconnected.
    pub(super) left: Mutex<Vec<String>>,
    pub(super) mark: Mark,
}

impl SocketShared {
    pub(super) fn parser(&self) -> &Parser {
        &self.namespace.config().parser
    }

    /// Calls `f` with the connection of the client. `None` once its session has ended.
    fn with<T>(&self, f: impl FnOnce(&mut SocketIoLayer, &mut LayerContext<'_>) -> T) -> Option<T> {
        self.cell.with_layer(f)
    }

    /// Queues a message if there is room that no task waits for.
    pub(super) fn emit_message(&self, message: Encoded) -> Result<(), EmitError> {
        self.observed(message, |message| {
            self.try_send(|layer, cx| {
                let (connection, mut wire) = layer.split(cx);
                connection.emit(self.slot, message, &mut wire)
            })
        })
    }

    /// Sends a message with `send`, and tells that it was sent.
    pub(super) fn observed(
        &self,
        message: Encoded,
        send: impl FnOnce(Encoded) -> Result<(), EmitError>,
    ) -> Result<(), EmitError> {
        let copy = self.namespace.watch.copy(&message);
        send(message)?;
        copy.sent(self);
        Ok(())
    }

    pub(super) fn emit_volatile(&self, message: Encoded) -> Result<(), EmitError> {
        let sent = self.observed(message, |message| {
            self.try_send(|layer, cx| {
                let (connection, mut wire) = layer.split(cx);
                connection.emit_volatile(self.slot, message, &mut wire)
            })
        });
        // Behind tasks that wait for room, too.
        sent.map_err(|error| match error {
            EmitError::Full { .. } => EmitError::NotIdle,
            error => error,
        })
    }

    /// Sends a volatile event to this socket alone, which is counted if it is dropped.
    pub(super) fn emit_or_drop(&self, message: Encoded) -> Result<(), EmitError> {
        let sent = self.emit_volatile(message);
        self.count_dropped(&sent);
        sent
    }

    pub(super) fn count_dropped(&self, sent: &Result<(), EmitError>) {
        if matches!(sent, Err(EmitError::NotIdle)) {
            self.namespace.counters.volatile_dropped.add(1);
        }
    }

    /// Queues an event for which there was room a moment ago.
    pub(super) fn emit_late(&self, message: Encoded) -> Result<(), EmitError> {
        self.observed(message, |message| {
            let sent = self.with(|layer, cx| {
                let (connection, mut wire) = layer.split(cx);
                connection.emit_late(self.slot, message, &mut wire)
            });
            match sent {
                Some(sent) => sent.map_err(|error| error.reason),
                None => Err(EmitError::Disconnected),
            }
        })
    }

    /// Sends with `send` if there is room that no task waits for.
    pub(super) fn try_send(
        &self,
        send: impl FnOnce(&mut SocketIoLayer, &mut LayerContext<'_>) -> Result<(), TryEmitError>,
    ) -> Result<(), EmitError> {
        let full = |queued, max| Err(EmitError::Full { queued, max });
        let sent =
            self.cell.try_layer(full, |layer, cx| send(layer, cx).map_err(|error| error.reason));
        sent.unwrap_or(Err(EmitError::Disconnected))
    }

    /// Delivers an event in the order of the namespace's broadcasts, if there is room.
    fn try_publish(&self, args: Args, volatile: bool) -> Result<(), EmitError> {
        if !volatile {
            self.try_send(|layer, cx| {
                let message = Encoded::group([]);
                let (connection, mut wire) = layer.split(cx);
                connection.emit(self.slot, message, &mut wire)
            })?;
        }
        match self.publish(args, volatile)?.finish() {
            Some(delivered) => self.outcome(delivered, volatile),
            // Another task will.
            None => Ok(()),
        }
    }

    /// Returns whether a handle with data of this type is one of this socket. One without data always is.
    fn fits<D: Any>(&self) -> bool {
        self.data.is::<D>() || TypeId::of::<D>() == TypeId::of::<()>()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.with(|layer, _| layer.connection.is_connected(self.slot)).unwrap_or(false)
    }

    /// Tells the log of the namespace which rooms the socket is in, beside the adapter.
    pub(super) fn change_rooms(&self, rooms: impl Rooms, joins: bool) {
        let Some(&member) = self.member.get() else { return };
        // Woken behind the locks.
        let mut wakes = Wakes::default();
        let mut recorder = self.namespace.watch.recorder();
        let mut order = self.pid.as_ref().map(|pid| (pid, self.namespace.lock_order()));
        let mut adapter = self.namespace.lock_adapter(&mut wakes);
        rooms.each(&mut |room| {
            let changed =
                if joins { adapter.join(member, room) } else { adapter.leave(member, room) };
            if changed {
                recorder.changed(self, room, joins);
            }
            if let Some((pid, order)) = order.as_mut().filter(|_| changed)
                && let Some(recovery) = &mut order.recovery
            {
                let room = room.into();
                if joins { recovery.joined(pid, &room) } else { recovery.left(pid, &room) }
            }
        });
    }

    pub(super) fn forget_ack(&self, id: AckId) {
        self.with(|layer, _| layer.connection.forget_ack(self.slot, id));
    }

    /// Notes that the application has the socket. Returns false if it had it before.
    pub(super) fn hand_over(&self) -> bool {
        !self.is_handed_over.swap(true, Ordering::SeqCst)
    }

    /// The application has let go of the socket.
    pub(super) fn release(&self) {
        self.with(|layer, cx| layer.release(self.slot, cx));
    }

    fn disconnect(&self) {
        self.with(|layer, cx| {
            let (connection, mut wire) = layer.split(cx);
            connection.disconnect(self.slot, &mut wire);
            layer.settle(cx);
        });
    }

    pub(super) fn disconnect_client(&self) {
        self.with(|layer, cx| {
            let (now, (connection, mut wire)) = (cx.now, layer.split(cx));
            connection.disconnect_client(now, &mut wire);
            layer.settle(cx);
        });
    }

    pub(super) fn disconnect_as(&self, client: bool) {
        if client { self.disconnect_client() } else { self.disconnect() }
    }

    /// Ends the session of the client for `reason`.
    pub(super) fn abort(&self, reason: DisconnectReason) {
        self.with(|layer, cx| {
            let (connection, mut wire) = layer.split(cx);
            connection.abort(reason, &mut wire);
            layer.settle(cx);
        });
    }

    pub(super) fn rooms(&self) -> Vec<String> {
        let adapter = lock(&self.namespace.adapter);
        match self.member.get().filter(|&&member| adapter.member(member).is_some()) {
            Some(&member) => adapter.rooms(member).map(|room| room.as_str().to_owned()).collect(),
            None => {
                drop(adapter);
                lock(&self.left).clone()
            }
        }
    }
}

impl<D: Any + Send + Sync> Socket<D> {
    /// Wraps a socket, if its data are of this type, or if the application does not want them.
    pub(super) fn new(shared: Arc<SocketShared>) -> Option<Self> {
        let fits = shared.fits::<D>();
        // Dropped, it disconnects the client.
        let socket = Self { handle: SocketRef { shared, data: PhantomData } };
        if !fits {
            trace!(ERROR, "the data of a socket are of another type than its namespace's handle");
        }
        fits.then_some(socket)
    }
}

impl<D> Socket<D> {
    /// Receives the next event. `None` once the socket is disconnected, and everything received has been taken.
    ///
    /// [`reason`](SocketRef::reason) then tells why.
    ///
    /// Cancel safe: an event is either returned or still there.
    pub async fn recv(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Receives the next event as a variant of an enum, see [`Event::parse`].
    ///
    /// Cancel safe as [`recv`](Self::recv) is.
    pub async fn recv_as<E: DeserializeOwned>(&mut self) -> Option<Result<E, UnknownEvent>> {
        let event = self.recv().await?;
        Some(event.parse().map_err(|error| UnknownEvent { event, error }))
    }

    fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let shared = &self.handle.shared;
        // An event is large: it is moved out of the queue to here, and not through results.
        let mut event = None;
        let waits = shared.cell.take_from_layer(|layer: &mut SocketIoLayer, lcx| {
            event = layer.connection.take_event(shared.slot, lcx.session);
            let waits = event.is_none() && shared.reason.get().is_none();
            if waits {
                layer.wait_for_event(shared.slot, cx);
            }
            waits
        });
        match event {
            Some(event) => {
                shared.namespace.watch.received(shared, &event);
                Poll::Ready(Some(Event::new(event, Arc::clone(shared))))
            }
            None if waits == Some(true) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

/// Event that [`Socket::recv_as`] could not decode. It can still be acknowledged.
///
/// That of a client, from [`ClientSocket::recv_as`](super::ClientSocket::recv_as), has a
/// [`ClientEvent`](super::ClientEvent).
#[derive(Debug)]
#[non_exhaustive]
pub struct UnknownEvent<E = Event> {
    /// The event.
    pub event: E,
    /// The reason.
    pub error: EventError,
}

impl<E: Deref<Target = enginewire_socketio::Event>> fmt::Display for UnknownEvent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It names the event.
        self.error.fmt(f)
    }
}

impl<E: Deref<Target = enginewire_socketio::Event> + fmt::Debug> std::error::Error
    for UnknownEvent<E>
{
}

impl<D: Any + Send + Sync> SocketRef<D> {
    pub(super) fn new(shared: Arc<SocketShared>) -> Option<Self> {
        shared.fits::<D>().then_some(Self { shared, data: PhantomData })
    }

    /// Returns the data, see [`Namespace::authorize`].
    ///
    /// # Panics
    ///
    /// Never: a handle is only made where the type fits.
    #[expect(clippy::expect_used, reason = "all constructors check the type, or have `D = ()`")]
    pub fn data(&self) -> &D {
        let nothing: &dyn Any = &();
        let data = self.shared.data.downcast_ref().or_else(|| nothing.downcast_ref());
        data.expect("the type was checked")
    }
}

impl SocketRef {
    /// A handle that knows nothing of the socket's data.
    pub(super) const fn of_any(shared: Arc<SocketShared>) -> Self {
        Self { shared, data: PhantomData }
    }

    /// Returns a handle that knows the socket's data. `None` if they are of another type.
    ///
    /// Handles of [`Broadcast::sockets`] know nothing of them.
    pub fn downcast<D: Any + Send + Sync>(&self) -> Option<SocketRef<D>> {
        SocketRef::new(Arc::clone(&self.shared))
    }
}

impl<D> SocketRef<D> {
    /// Returns the id: unique, and not a secret but for clients of Socket.IO 2.x.
    pub fn id(&self) -> &SocketId {
        &self.shared.id
    }

    /// Returns the request that opened the session of the client.
    pub fn handshake(&self) -> &Handshake {
        &self.shared.handshake
    }

    /// Returns the address of the client, see [`Handshake::peer_addr`].
    pub fn peer_addr(&self) -> SocketAddr {
        self.shared.handshake.peer_addr()
    }

    /// Decodes what the client gave as `auth` when it connected to the namespace.
    ///
    /// # Errors
    ///
    /// It is of another shape. Of a client that gave nothing it is an empty object.
    pub fn auth<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        decode_auth(self.shared.auth.as_deref())
    }

    /// Returns a parameter of the namespace's pattern.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.shared.namespace.parameters.get(name)
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> Namespace<D> {
        Namespace::new(Arc::clone(&self.shared.namespace))
    }

    /// Returns the server.
    pub fn io(&self) -> Io {
        self.shared.namespace.io()
    }

    /// Returns whether the client is connected.
    pub fn is_connected(&self) -> bool {
        self.shared.is_connected()
    }

    /// Returns whether the client has come back.
    ///
    /// It then has the rooms, the data and the id that it had before.
    pub fn recovered(&self) -> bool {
        self.shared.is_recovered
    }

    /// Returns the transport that carries events now.
    pub fn transport(&self) -> TransportKind {
        self.shared.cell.inspect(|session| session.transport())
    }

    /// Returns why the socket is disconnected. `None` while it is not.
    pub fn reason(&self) -> Option<DisconnectReason> {
        self.shared.reason.get().copied()
    }

    /// Waits until the socket is disconnected.
    ///
    /// Cancel safe: it changes nothing.
    pub async fn closed(&self) -> DisconnectReason {
        let mut closing = Closing { shared: &self.shared, key: None };
        poll_fn(|cx| closing.poll(cx)).await
    }

    /// Sends an event, waiting for room if there is none.
    ///
    /// A tuple is several arguments, `()` none, anything else one. Binary data, such as `Bytes` or `serde_bytes`, goes
    /// as attachments, at any depth; a `Vec<u8>` is an array of numbers to serde. The payload is encoded before this
    /// returns.
    ///
    /// Cancel safe: the event is queued if and only if the future has completed with `Ok`.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the socket is disconnected.
    pub fn emit<P: Serialize + ?Sized>(&self, name: impl Name<P>, payload: &P) -> Emit {
        self.emitter().emit(name, payload)
    }

    /// Sends an event if there is room that no task waits for.
    ///
    /// # Errors
    ///
    /// There is no room, the payload cannot be encoded, or the socket is disconnected.
    pub fn try_emit<P: Serialize + ?Sized>(
        &self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        self.emitter().try_emit(name, payload)
    }

    /// Sends a variant of an enum as the event of its name.
    ///
    /// Its fields are the arguments. See [`emit`](Self::emit) and [`Event::parse`].
    pub fn emit_event<E: Serialize + ?Sized>(&self, event: &E) -> Emit {
        let event = EnumEvent::new(event);
        Emit::new(&self.shared, self.shared.namespace.encode(&event, None), Mode::Event)
    }

    /// Sends an event, and waits for its acknowledgement.
    ///
    /// It fails at the deadline of [`IoBuilder::ack_timeout`](super::IoBuilder::ack_timeout), and at once when the
    /// socket is disconnected. A process that did not run at the deadline waits for up to 20 s more, once. A handler may
    /// wait for it: acknowledgements do not pass through [`recv`](Socket::recv). But one that comes behind
    /// [`Limits::max_unread`](enginewire::Limits::max_unread) bytes of events that nothing receives is not read.
    #[doc(alias = "call")]
    pub fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        &self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> AckFuture<A> {
        self.emitter().emit_with_ack(name, payload)
    }

    /// Sends an event on as it came, with its name and arguments. Nothing is decoded.
    pub fn forward(&self, event: &enginewire_socketio::Event) -> Emit {
        Emit::new(&self.shared, self.shared.namespace.encode(event, None), Mode::Event)
    }

    /// Returns an [`Emitter`], to send with options.
    pub const fn emitter(&self) -> Emitter<'_> {
        Emitter {
            shared: &self.shared,
            timeout: None,
            attachments: Vec::new(),
            volatile: false,
            compress: true,
        }
    }

    /// Returns an [`Emitter`] whose events are sent at once or dropped.
    pub const fn volatile(&self) -> Emitter<'_> {
        self.emitter().volatile()
    }

    /// Returns an [`Emitter`] with another deadline for acknowledgements.
    pub const fn timeout(&self, timeout: Duration) -> Emitter<'_> {
        self.emitter().timeout(timeout)
    }

    /// Joins rooms. Does nothing once the socket is disconnected.
    ///
    /// Other nodes need not know it yet: a bus with channels for rooms subscribes to that of a room with its first member
    /// on this node, some milliseconds later.
    pub fn join(&self, rooms: impl Rooms) {
        self.shared.change_rooms(rooms, true);
    }

    /// Leaves rooms.
    pub fn leave(&self, rooms: impl Rooms) {
        self.shared.change_rooms(rooms, false);
    }

    /// Returns the rooms that the socket is in, without that of its own id.
    ///
    /// Once it is disconnected, those that it was in.
    pub fn rooms(&self) -> Vec<String> {
        self.shared.rooms()
    }

    /// Returns an operator for all sockets in any of these rooms, but this one.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// Returns an operator for all sockets in any of these rooms.
    ///
    /// This one is included if it is in one of them.
    pub fn within(&self, rooms: impl Rooms) -> Broadcast {
        Broadcast::new(&self.shared.namespace, Target::default()).to(rooms)
    }

    /// Returns an operator for all sockets of the namespace but this one.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(&self.shared.namespace, Target::default()).except(&self.shared.id)
    }

    /// Disconnects the socket from its namespace, behind what is queued.
    ///
    /// Official clients do not come back by themselves.
    pub fn disconnect(&self) {
        self.shared.disconnect();
    }

    /// Disconnects all sockets of the client, and closes its session behind what is queued.
    pub fn disconnect_client(&self) {
        self.shared.disconnect_client();
    }
}

/// Waits for the end of a socket.
struct Closing<'a> {
    shared: &'a SocketShared,
    key: WakerKey,
}

impl Closing<'_> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<DisconnectReason> {
        let Self { shared, key } = self;
        // Under the lock that the end is told under.
        let polled = shared.with(|layer, _| match shared.reason.get() {
            Some(&reason) => Poll::Ready(reason),
            None => {
                layer.wait_for_end(shared.slot, key, cx);
                Poll::Pending
            }
        });
        polled.unwrap_or(Poll::Ready(DisconnectReason::ForcedClose))
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if self.key.is_some() {
            self.shared.with(|layer, _| layer.forget_end(self.shared.slot, self.key));
        }
    }
}

/// Sends to one socket with options.
#[must_use = "an emitter does nothing by itself"]
#[derive(Clone)]
pub struct Emitter<'a> {
    shared: &'a Arc<SocketShared>,
    timeout: Option<Duration>,
    attachments: Vec<Bytes>,
    volatile: bool,
    compress: bool,
}

impl Emitter<'_> {
    /// Drops events that cannot be sent at once, all parts of them or none.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets the deadline for acknowledgements. [`Duration::MAX`] is that of the socket's end.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Leaves the event out of compression, on any transport. See [`Encoded::without_compression`].
    ///
    /// [`Encoded::without_compression`]: enginewire::Encoded::without_compression
    #[cfg(feature = "deflate")]
    #[doc(alias = "compress")]
    pub const fn without_compression(mut self) -> Self {
        self.compress = false;
        self
    }

    /// Adds binary data that an [`Attachment`](enginewire_socketio::Attachment) of the payload stands for. Nothing is
    /// copied.
    pub fn attach(mut self, data: impl Into<Bytes>) -> Self {
        self.attachments.push(data.into());
        self
    }

    fn encode<P: Serialize + ?Sized>(
        &mut self,
        ack: Option<AckId>,
        name: &str,
        payload: &P,
    ) -> Result<Body, EncodeError> {
        let attachments = mem::take(&mut self.attachments);
        let event = NamedEvent::new(name, payload).with_attachments(attachments);
        let body = self.shared.namespace.encode(&event, ack)?;
        Ok(body.with_compression(self.compress))
    }

    /// Sends an event, see [`SocketRef::emit`]. One that is volatile is sent at once or fails.
    pub fn emit<P: Serialize + ?Sized>(mut self, name: impl Name<P>, payload: &P) -> Emit {
        let message = self.encode(None, name.name(), payload);
        let mode = if self.volatile { Mode::Volatile } else { Mode::Event };
        Emit::new(self.shared, message, mode)
    }

    /// Sends an event if there is room, see [`SocketRef::try_emit`].
    ///
    /// # Errors
    ///
    /// As [`SocketRef::try_emit`]; [`EmitError::NotIdle`] for a volatile event that would have had to wait.
    pub fn try_emit<P: Serialize + ?Sized>(
        mut self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        match self.encode(None, name.name(), payload)? {
            Body::Args(args) => self.shared.try_publish(args, self.volatile),
            Body::Message(message) if self.volatile => self.shared.emit_or_drop(message),
            Body::Message(message) => self.shared.emit_message(message),
        }
    }

    /// Sends an event, and waits for its acknowledgement. See [`SocketRef::emit_with_ack`].
    #[doc(alias = "call")]
    pub fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> AckFuture<A> {
        self.ask(name.name(), payload, |args| args.decode(0))
    }

    /// Sends an event, and waits for its acknowledgement as it comes. See [`SocketRef::emit_with_ack`].
    pub fn emit_with_ack_args<P: Serialize + ?Sized>(
        self,
        name: impl Name<P>,
        payload: &P,
    ) -> AckFuture<Args> {
        self.ask(name.name(), payload, |args| Ok(args.clone()))
    }

    fn ask<A, P: Serialize + ?Sized>(
        mut self,
        name: &str,
        payload: &P,
        decode: fn(&Args) -> Result<A, DecodeError>,
    ) -> AckFuture<A> {
        let shared = self.shared;
        let id = shared.namespace.next_ack();
        let message = self.encode(Some(id), name, payload);
        let timeout = self.timeout.unwrap_or(shared.namespace.options().ack_timeout);
        let deadline = shared.cell.now() + timeout;
        let pending = Arc::new(Pending::default());
        let answer = Answer::One(Arc::clone(&pending));
        let mode = Mode::Ack { id, deadline, answer, volatile: self.volatile };
        AckFuture::new(Emit::new(shared, message, mode), pending, id, decode)
    }
}

pub(super) fn decode_auth<'de, T: Deserialize<'de>>(
    auth: Option<&'de Payload>,
) -> Result<T, DecodeError> {
    match auth {
        Some(auth) => auth.decode(),
        None => Payload::empty_object().decode(),
    }
}

impl<D> Deref for Socket<D> {
    type Target = SocketRef<D>;

    fn deref(&self) -> &SocketRef<D> {
        &self.handle
    }
}

impl<D> Stream for Socket<D> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_recv(cx)
    }
}

impl<D> Drop for Socket<D> {
    fn drop(&mut self) {
        self.handle.shared.release();
    }
}

impl<D> Clone for SocketRef<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), data: PhantomData }
    }
}

impl<D> fmt::Debug for Socket<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.handle).finish()
    }
}

impl<D> fmt::Debug for SocketRef<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketRef")
            .field("id", &self.shared.id)
            .field("namespace", &self.shared.namespace.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Emitter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter").field("volatile", &self.volatile).finish_non_exhaustive()
    }
}
