//! Clients of Socket.IO.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::poll_fn,
    ops::Deref,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use enginewire::{CloseReason, SendError, Text, TransportKind};
use enginewire_socketio::{
    AckId, Args, AskName, Asking, EncodeAs, Event, Name,
    testing::{Client, Update},
};
use futures_core::Stream;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use slab::Slab;

use crate::{
    connect_error,
    socket::{Sender, Socket},
    socketio::{
        AckError, ConnectError, DisconnectReason, EmitError, EncodeError, EventError, Parser,
        SocketId,
    },
    sync::lock,
    wakers::{WakerKey, WakerSet},
    wakes::Wakes,
};

/// Client of Socket.IO with one session, which connects to namespaces. Cheap to clone.
///
/// It speaks the protocol of Socket.IO 3 and later. The session closes with its last handle, as when a page is left.
/// Once it is lost, it is not opened again.
///
/// Messages are read when a future of the client or of one of its sockets is polled. A client whose test does not
/// receive is one that does not read. It responds to pings all the same, unless as many bytes are unread as
/// [`Limits::max_unread`](enginewire::Limits::max_unread) allows.
#[derive(Clone)]
pub struct TestClient {
    session: Arc<Session>,
}

/// Namespace that a [`TestClient`] is connected to.
///
/// Dropped, its events are ignored; [`disconnect`](Self::disconnect) leaves the namespace.
pub struct TestSocket {
    handle: Handle,
    namespace: Text,
    id: SocketId,
}

/// Event that a [`TestSocket`] has received. Reads as an [`enginewire_socketio::Event`].
pub struct TestEvent {
    event: Event,
    session: Arc<Session>,
    namespace: Text,
}

/// Reason why a test's client is not connected to a namespace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestConnectError {
    /// There is no session.
    #[error(transparent)]
    Session(#[from] connect_error::ConnectError),
    /// The server refuses.
    #[error("the server refuses: {}", .0.message())]
    Refused(ConnectError),
    /// The payload cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The client is connected to this namespace, or has asked for it.
    #[error("the client is connected to this namespace, or has asked for it")]
    Connected,
    /// The session was closed, or the server disconnected the client before it was connected.
    #[error("disconnected: {0}")]
    Disconnected(DisconnectReason),
}

/// One session.
struct Session {
    sender: Sender,
    state: Mutex<State>,
    waiters: Arc<Waiters>,
    /// Wakes all waiters.
    waker: Waker,
}

struct State {
    engine: Socket,
    client: Client,
    sockets: Slab<Slot>,
    /// The sockets of namespaces that are connected, or asked for.
    names: HashMap<Text, usize>,
    end: Option<DisconnectReason>,
}

/// The place of a socket in its session, which it gives up when it is dropped.
struct Handle {
    session: Arc<Session>,
    slot: usize,
}

/// A socket, as the session has it.
#[derive(Default)]
struct Slot {
    response: Option<Result<SocketId, ConnectError>>,
    events: VecDeque<Event>,
    /// Events without an acknowledgement, and acknowledgements that were not taken.
    acks: HashMap<AckId, Option<Args>>,
    end: Option<DisconnectReason>,
}

/// Tasks that wait for something of a session.
#[derive(Default)]
struct Waiters(Mutex<WakerSet>);

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut wakes = Wakes::default();
        lock(&self.0).wake_all(&mut wakes);
    }
}

impl TestClient {
    pub(super) fn new(engine: Socket, parser: Parser) -> Self {
        let waiters = Arc::<Waiters>::default();
        let state = State {
            client: Client::new(parser),
            sockets: Slab::new(),
            names: HashMap::new(),
            end: None,
            engine,
        };
        Self {
            session: Arc::new(Session {
                sender: state.engine.sender(),
                state: Mutex::new(state),
                waker: Waker::from(Arc::clone(&waiters)),
                waiters,
            }),
        }
    }

    /// Connects to a namespace. A missing slash at the start is added.
    ///
    /// # Errors
    ///
    /// The server refuses, the session is closed, or the client has asked for this namespace before.
    pub async fn connect(&self, namespace: &str) -> Result<TestSocket, TestConnectError> {
        self.ask::<()>(namespace, None).await
    }

    /// Connects to a namespace with a payload, which the server has as `auth`.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or as [`connect`](Self::connect).
    pub async fn connect_with<A: Serialize + ?Sized>(
        &self,
        namespace: &str,
        auth: &A,
    ) -> Result<TestSocket, TestConnectError> {
        self.ask(namespace, Some(auth)).await
    }

    async fn ask<A: Serialize + ?Sized>(
        &self,
        namespace: &str,
        auth: Option<&A>,
    ) -> Result<TestSocket, TestConnectError> {
        let namespace = full_name(namespace);
        let session = &self.session;
        let (handle, message) = {
            let mut state = lock(&session.state);
            if state.client.has(&namespace) && state.engine.close_reason().is_none() {
                return Err(TestConnectError::Connected);
            }
            let message = state.client.connect(&namespace, auth)?;
            let slot = state.insert(&namespace);
            (Handle { session: Arc::clone(session), slot }, message)
        };
        // If it fails, the session has ended, which is found next.
        let _ = session.sender.send(message).await;
        let response = session.wait(|state| {
            let Slot { response, end, .. } = &mut state.sockets[handle.slot];
            let response =
                response.take().map(|response| response.map_err(TestConnectError::Refused));
            response.or_else(|| end.map(|reason| Err(TestConnectError::Disconnected(reason))))
        });
        let id = response.await?;
        Ok(TestSocket { handle, namespace, id })
    }

    /// Returns the transport of the session.
    pub fn transport(&self) -> TransportKind {
        self.session.sender.transport()
    }

    /// Returns the Engine.IO session, to send what no client would.
    pub fn engine(&self) -> &Sender {
        &self.session.sender
    }

    /// Closes the session, and waits for that.
    pub async fn close(&self) -> CloseReason {
        self.session.sender.close().await
    }
}

impl TestSocket {
    /// Returns the id that the server has given.
    pub const fn id(&self) -> &SocketId {
        &self.id
    }

    /// Returns the name of the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the client, for further namespaces over the same session.
    pub fn client(&self) -> TestClient {
        TestClient { session: Arc::clone(&self.handle.session) }
    }

    /// Sends an event, waiting for room. A tuple is several arguments, `()` none, anything else one.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, the name is reserved, or the socket is disconnected.
    pub async fn emit<P: Serialize + ?Sized>(
        &self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        let message = lock(&self.session().state).client.emit(&self.namespace, name, payload)?;
        self.session().send(message).await
    }

    /// Sends an event, and waits for its acknowledgement.
    ///
    /// Events that come meanwhile are kept for [`recv`](Self::recv). There is no deadline but that of the caller.
    ///
    /// # Errors
    ///
    /// The event was not sent, the socket was disconnected, or the acknowledgement has another shape.
    pub async fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        &self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> Result<A, AckError> {
        let Handle { session, slot } = &self.handle;
        let (id, message) = {
            let mut state = lock(&session.state);
            let (id, message) = state.client.emit_with_ack(&self.namespace, name, payload)?;
            state.sockets[*slot].acks.insert(id, None);
            (id, message)
        };
        let _forgotten = Asked { handle: &self.handle, id };
        session.send(message).await?;
        let args = session.wait(|state| {
            let Slot { acks, end, .. } = &mut state.sockets[*slot];
            let args = acks.get_mut(&id).and_then(Option::take).map(Ok);
            args.or_else(|| end.map(|reason| Err(AckError::Disconnected(reason))))
        });
        Ok(args.await?.decode(0)?)
    }

    /// Receives the next event. `None` once the socket is disconnected and all events were taken.
    ///
    /// Cancel safe: an event is either returned or still there.
    pub async fn recv(&mut self) -> Option<TestEvent> {
        let Handle { session, slot } = &self.handle;
        let event = session.wait(|state| {
            let Slot { events, end, .. } = &mut state.sockets[*slot];
            match events.pop_front() {
                None if end.is_none() => None,
                event => Some(event),
            }
        });
        let event = event.await?;
        Some(TestEvent { event, session: Arc::clone(session), namespace: self.namespace.clone() })
    }

    /// Leaves the namespace, behind what was sent. Does nothing if the socket is disconnected.
    pub async fn disconnect(&mut self) {
        let Handle { session, slot } = &self.handle;
        let message = {
            let mut state = lock(&session.state);
            let Ok(message) = state.client.disconnect(&self.namespace) else { return };
            state.end(*slot, DisconnectReason::ClientLeft);
            message
        };
        // An error means that the session has ended first.
        let _ = session.send(message).await;
    }

    /// Returns why the socket is disconnected, once [`recv`](Self::recv) has found that it is.
    ///
    /// [`DisconnectReason::ServerLeft`] means that the server has disconnected this socket,
    /// [`DisconnectReason::ClientLeft`] that [`disconnect`](Self::disconnect) has. Others are of the session.
    pub fn reason(&self) -> Option<DisconnectReason> {
        lock(&self.session().state).sockets[self.handle.slot].end
    }

    fn session(&self) -> &Session {
        &self.handle.session
    }
}

impl TestEvent {
    /// Decodes the event as the variant of an enum that has its name, see [`Event::parse`].
    ///
    /// # Errors
    ///
    /// There is no such variant, or the arguments are of another shape. The error names the event.
    pub fn parse<'de, E: Deserialize<'de>>(&'de self) -> Result<E, EventError> {
        self.event.parse()
    }

    /// Acknowledges the event. Does nothing if the server expects that not.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the socket is disconnected.
    pub async fn acknowledge<P: Serialize + ?Sized>(&self, payload: &P) -> Result<(), EmitError> {
        let Some(id) = self.event.ack() else { return Ok(()) };
        let message = lock(&self.session.state).client.acknowledge(&self.namespace, id, payload)?;
        self.session.send(message).await
    }

    /// Acknowledges the event as its name says. See [`acknowledge`](Self::acknowledge).
    ///
    /// # Errors
    ///
    /// As [`acknowledge`](Self::acknowledge).
    pub async fn acknowledge_for<P: ?Sized, A, T: EncodeAs<A> + Serialize + ?Sized>(
        &self,
        _name: Asking<P, A>,
        payload: &T,
    ) -> Result<(), EmitError> {
        self.acknowledge(payload).await
    }
}

impl Deref for TestEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

impl Session {
    async fn send(&self, message: enginewire::Encoded) -> Result<(), EmitError> {
        self.sender.send(message).await.map_err(|error| match error {
            SendError::Full { queued, max } => EmitError::Full { queued, max },
            _ => EmitError::Disconnected,
        })
    }

    /// Reads messages until `look` finds what it looks for. It must find something once the session has ended.
    async fn wait<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut place = Place { waiters: &self.waiters, key: None };
        poll_fn(|cx| {
            // Before anything is looked at, so that nothing which comes behind it is missed.
            lock(&self.waiters.0).register(&mut place.key, cx.waker());
            let mut wakes = Wakes::default();
            let mut state = lock(&self.state);
            loop {
                if let Some(found) = look(&mut state) {
                    return Poll::Ready(found);
                }
                let cx = &mut Context::from_waker(&self.waker);
                let Poll::Ready(message) = Pin::new(&mut state.engine).poll_next(cx) else {
                    return Poll::Pending;
                };
                match message {
                    Some(message) => state.handle(message),
                    None => state.end_all(),
                }
                // It may be for another task.
                lock(&self.waiters.0).wake_all(&mut wakes);
            }
        })
        .await
    }
}

impl State {
    fn insert(&mut self, namespace: &Text) -> usize {
        let slot = self.sockets.insert(Slot { end: self.end, ..Slot::default() });
        self.names.insert(namespace.clone(), slot);
        slot
    }

    /// Hands a message to the socket that it is for.
    fn handle(&mut self, message: enginewire::Message) {
        let (namespace, update) = match self.client.handle_message(message) {
            Ok(Some(update)) => update,
            Ok(None) => return,
            Err(_) => {
                self.engine.abort();
                self.end_with(DisconnectReason::ParseError);
                return;
            }
        };
        // It may have been dropped.
        let Some(&at) = self.names.get(&namespace) else { return };
        let slot = &mut self.sockets[at];
        match update {
            Update::Connected(id) => slot.response = Some(Ok(id)),
            Update::Refused(error) => slot.response = Some(Err(error)),
            Update::Event(event) => slot.events.push_back(event),
            Update::Acknowledged(id, args) => {
                if let Some(place) = slot.acks.get_mut(&id) {
                    *place = Some(args);
                }
            }
            _ => self.end(at, DisconnectReason::ServerLeft),
        }
    }

    /// Ends one socket.
    fn end(&mut self, at: usize, reason: DisconnectReason) {
        let slot = &mut self.sockets[at];
        slot.end.get_or_insert(reason);
        self.names.retain(|_, slot| *slot != at);
    }

    /// The session has ended.
    fn end_all(&mut self) {
        let reason = self.engine.close_reason().unwrap_or(CloseReason::ForcedClose);
        self.end_with(DisconnectReason::from(&reason));
    }

    fn end_with(&mut self, reason: DisconnectReason) {
        self.end.get_or_insert(reason);
        for (_, slot) in &mut self.sockets {
            slot.end.get_or_insert(reason);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = lock(&self.session.state);
        let slot = state.sockets.remove(self.slot);
        state.names.retain(|_, slot| *slot != self.slot);
        drop(state);
        drop(slot);
    }
}

/// An acknowledgement that is waited for. Forgotten when dropped.
struct Asked<'a> {
    handle: &'a Handle,
    id: AckId,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let Handle { session, slot } = self.handle;
        lock(&session.state).sockets[*slot].acks.remove(&self.id);
    }
}

/// The place of a task among those that wait. Given up when dropped.
struct Place<'a> {
    waiters: &'a Waiters,
    key: WakerKey,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.waiters.0).remove(self.key);
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient").field("engine", self.engine()).finish_non_exhaustive()
    }
}

impl fmt::Debug for TestSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSocket")
            .field("namespace", &self.namespace)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}

/// Returns the name with its leading slash.
fn full_name(namespace: &str) -> Text {
    match namespace.starts_with('/') {
        true => namespace.into(),
        false => format!("/{namespace}").into(),
    }
}
