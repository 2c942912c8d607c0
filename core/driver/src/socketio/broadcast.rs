//! Sending to many sockets.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use enginewire::Encoded;
use enginewire_socketio::{
    AckId, DisconnectReason, EncodeError, Event,
    adapter::{Full, Selection, Sequencer, Target},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    EmitError, SocketRef,
    acks::{AckStream, Answer, Group},
    emit::with_encoder,
    io::Overflow,
    namespace::NamespaceShared,
    rooms::Rooms,
    socket::SocketShared,
};
use crate::{sync::lock, waiters::Shareable, wakes::register};

/// Operator for many sockets of a namespace: whom, and how. One verb ends it.
///
/// ```no_run
/// # use enginewire_driver::socketio::Io;
/// # async fn example(io: Io) -> Result<(), enginewire_driver::socketio::EmitError> {
/// let chat = io.namespace("/chat");
/// chat.to(["de", "at"]).except("muted").emit("news", "Servus").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an operator does nothing by itself"]
#[derive(Clone)]
pub struct Broadcast {
    namespace: Arc<NamespaceShared>,
    target: Target,
    volatile: bool,
    timeout: Option<Duration>,
    attachments: Vec<Bytes>,
}

/// Numbers of sockets that a broadcast went to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Sockets that have it queued.
    pub sockets: usize,
    /// Sockets that were passed by.
    ///
    /// They had no room, or could not take a volatile event at once.
    pub skipped: usize,
    /// Sockets without room whose clients were disconnected for it, see [`Overflow::Disconnect`].
    pub disconnected: usize,
}

/// Broadcasts of a namespace in the order in which they are delivered.
pub(crate) struct Sequenced(Sequencer<Work>);

impl Sequenced {
    pub(super) const fn new() -> Self {
        Self(Sequencer::new(MAX_QUEUED))
    }
}

/// Bytes of broadcasts of a namespace that wait for others to be delivered.
const MAX_QUEUED: usize = 16 << 20;

/// A broadcast to be delivered.
struct Work {
    selection: Selection<Arc<SocketShared>>,
    message: Encoded,
    volatile: bool,
    ack: Option<(AckId, Duration, Arc<Group>)>,
    done: Arc<Done>,
}

/// The outcome of a [`Work`], and the task that waits for it.
#[derive(Default)]
struct Done(Mutex<(Option<Delivered>, Option<Waker>)>);

impl Broadcast {
    pub(super) fn new(namespace: &Arc<NamespaceShared>, target: Target) -> Self {
        let namespace = Arc::clone(namespace);
        Self { namespace, target, volatile: false, timeout: None, attachments: Vec::new() }
    }

    /// Adds rooms. A socket that is in several of them gets the event once.
    pub fn to(mut self, rooms: impl Rooms) -> Self {
        rooms.each(&mut |room| self.target.rooms.push(room.into()));
        self
    }

    /// Adds rooms, as [`to`](Self::to) does.
    #[doc(alias = "in")]
    pub fn within(self, rooms: impl Rooms) -> Self {
        self.to(rooms)
    }

    /// Leaves out the sockets that are in any of these rooms.
    pub fn except(mut self, rooms: impl Rooms) -> Self {
        rooms.each(&mut |room| self.target.except.push(room.into()));
        self
    }

    /// Passes by sockets that could not take the event at once.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets the deadline for acknowledgements. Default: [`IoBuilder::ack_timeout`](super::IoBuilder::ack_timeout).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds binary data that an [`Attachment`](enginewire_socketio::Attachment) of the payload stands for.
    pub fn attach(mut self, data: impl Into<Bytes>) -> Self {
        self.attachments.push(data.into());
        self
    }

    /// Sends an event to all of them. It is encoded once, before this returns.
    ///
    /// The future completes when all have it queued. All sockets of a namespace get broadcasts in the same order. What
    /// the same task sends next comes behind it. Dropping the future takes nothing back. A socket without room is
    /// disconnected or passed by, see [`Overflow`].
    pub fn emit<P: Serialize + ?Sized>(self, name: &str, payload: &P) -> Publish {
        Publish::new(self.begin(name, payload, None))
    }

    /// Sends a variant of an enum as the event of its name. See [`emit`](Self::emit).
    ///
    /// Its fields are the arguments.
    pub fn emit_event<E: Serialize + ?Sized>(mut self, event: &E) -> Publish {
        let attachments = std::mem::take(&mut self.attachments);
        let encode = |namespace: &NamespaceShared, ack| {
            let parser = namespace.parser();
            let attachments = attachments.clone();
            with_encoder(|encoder| {
                encoder.enum_event(parser, namespace.name(), ack, event, attachments)
            })
        };
        Publish::new(self.begin_with(encode, None))
    }

    /// Sends an event to all of them without waiting, even while others are being delivered.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or too many bytes wait to be delivered.
    pub fn try_emit<P: Serialize + ?Sized>(self, name: &str, payload: &P) -> Result<(), EmitError> {
        self.begin(name, payload, None).map(drop)
    }

    /// Sends an event to all of them, and returns their acknowledgements.
    ///
    /// Each has until the deadline. Acknowledgements that came are kept whatever the others do.
    pub fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        self,
        name: &str,
        payload: &P,
    ) -> AckStream<A> {
        let group = Group::new();
        let begun = self.begin(name, payload, Some(&group));
        AckStream::new(begun.map(|_| group))
    }

    /// Sends an event on as it came, with its name and arguments. Nothing is decoded.
    pub fn forward(self, event: &Event) -> Publish {
        let encode = |namespace: &NamespaceShared, _| {
            let parser = namespace.parser();
            with_encoder(|encoder| {
                encoder.forward(parser, namespace.name(), None, event.args(), None)
            })
        };
        Publish::new(self.begin_with(encode, None))
    }

    /// Returns the sockets that are connected to this server.
    pub fn sockets(&self) -> Vec<SocketRef> {
        self.members().into_iter().map(SocketRef::of_any).collect()
    }

    /// Has all of them join rooms.
    pub fn join(&self, rooms: impl Rooms) {
        for member in self.members() {
            SocketRef::of_any(member).join(&rooms);
        }
    }

    /// Has all of them leave rooms.
    pub fn leave(&self, rooms: impl Rooms) {
        for member in self.members() {
            SocketRef::of_any(member).leave(&rooms);
        }
    }

    /// Disconnects all of them from the namespace, see [`SocketRef::disconnect`].
    pub fn disconnect(&self) {
        self.members().iter().for_each(|member| member.disconnect_as(false));
    }

    /// Disconnects the clients of all of them, see [`SocketRef::disconnect_client`].
    pub fn disconnect_clients(&self) {
        self.members().iter().for_each(|member| member.disconnect_as(true));
    }

    fn members(&self) -> Vec<Arc<SocketShared>> {
        let mut members = Vec::new();
        for namespace in self.namespace.reached() {
            let selection = lock(&namespace.adapter).select(&self.target);
            members.extend(selection.iter().map(|(_, member)| Arc::clone(member)));
        }
        members
    }

    fn begin<P: Serialize + ?Sized>(
        mut self,
        name: &str,
        payload: &P,
        group: Option<&Arc<Group>>,
    ) -> Result<Vec<Arc<Done>>, EmitError> {
        let attachments = std::mem::take(&mut self.attachments);
        let encode = |namespace: &NamespaceShared, ack| {
            let parser = namespace.parser();
            let attachments = attachments.clone();
            with_encoder(|encoder| {
                encoder.event(parser, namespace.name(), ack, name, payload, attachments)
            })
        };
        self.begin_with(encode, group)
    }

    fn begin_with(
        self,
        encode: impl Fn(&NamespaceShared, Option<AckId>) -> Result<Encoded, EncodeError>,
        group: Option<&Arc<Group>>,
    ) -> Result<Vec<Arc<Done>>, EmitError> {
        let mut pending = Vec::new();
        for namespace in self.namespace.reached() {
            let ack = group.map(|group| (namespace.next_ack(), Arc::clone(group)));
            let message = encode(&namespace, ack.as_ref().map(|(id, _)| *id))?.into_shared();
            let timeout = self.timeout.unwrap_or(namespace.options().ack_timeout);
            let selection = lock(&namespace.adapter).select(&self.target);
            let ack = ack.map(|(id, group)| (id, timeout, group));
            let (volatile, done) = (self.volatile, Arc::new(Done::default()));
            let work = Work { selection, message, volatile, ack, done: Arc::clone(&done) };
            namespace.publish(work)?;
            pending.push(done);
        }
        if let Some(group) = group {
            group.seal();
        }
        Ok(pending)
    }
}

impl NamespaceShared {
    /// Delivers a broadcast in its turn, and those that come meanwhile, unless another task does.
    fn publish(&self, work: Work) -> Result<(), EmitError> {
        let cost = work.message.len();
        let mut work = match lock(&self.order).0.push(work, cost) {
            Ok(Some(work)) => work,
            Ok(None) => return Ok(()),
            Err(Full(_)) => {
                let max = MAX_QUEUED;
                return Err(EmitError::Full { queued: max, max });
            }
        };
        loop {
            let delivered = self.deliver(&work);
            let mut done = lock(&work.done.0);
            done.0 = Some(delivered);
            let waker = done.1.take();
            drop(done);
            if let Some(waker) = waker {
                waker.wake();
            }
            match lock(&self.order).0.next() {
                Some(next) => work = next,
                None => return Ok(()),
            }
        }
    }

    fn deliver(&self, work: &Work) -> Delivered {
        let mut delivered = Delivered::default();
        for (_, member) in work.selection.iter() {
            match member.deliver(work) {
                Ok(()) => delivered.sockets += 1,
                Err(EmitError::Full { .. })
                    if !work.volatile && self.options().overflow == Overflow::Disconnect =>
                {
                    member.abort(DisconnectReason::Overflow);
                    delivered.disconnected += 1;
                }
                Err(EmitError::Disconnected) => {}
                Err(_) => delivered.skipped += 1,
            }
        }
        delivered
    }
}

impl SocketShared {
    fn deliver(&self, work: &Work) -> Result<(), EmitError> {
        let message = work.message.clone();
        let Some((id, timeout, group)) = &work.ack else {
            return match work.volatile {
                true => self.emit_volatile(message),
                false => self.try_emit(message),
            };
        };
        group.expect();
        let deadline = self.cell.now() + *timeout;
        let answer = Answer::Many(Arc::clone(group), self.id.clone());
        let sent = self.try_send(|layer, cx| {
            layer.connection.emit_with_ack(self.slot, message, *id, deadline, answer, cx.session)
        });
        if let Err(error) = &sent {
            let reason = match error {
                EmitError::Disconnected => DisconnectReason::TransportClose,
                _ => DisconnectReason::Overflow,
            };
            let failed = Err(enginewire_socketio::AckError::Disconnected(reason));
            // Nothing waits before all are known.
            drop(group.complete(self.id.clone(), failed));
        }
        sent
    }
}

/// Future of a broadcast. It is sent whether or not this is polled.
#[must_use = "a broadcast may fail"]
pub struct Publish {
    /// Those of namespaces that are not delivered.
    pending: Result<Vec<Arc<Done>>, EmitError>,
    delivered: Delivered,
}

impl Publish {
    fn new(pending: Result<Vec<Arc<Done>>, EmitError>) -> Self {
        Self { pending, delivered: Delivered::default() }
    }
}

impl Future for Publish {
    type Output = Result<Delivered, EmitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { pending, delivered } = &mut *self;
        let pending = match pending {
            Ok(pending) => pending,
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        pending.retain(|done| {
            let mut done = lock(&done.0);
            match done.0 {
                Some(Delivered { sockets, skipped, disconnected }) => {
                    delivered.sockets += sockets;
                    delivered.skipped += skipped;
                    delivered.disconnected += disconnected;
                }
                None => register(&mut done.1, cx.waker()),
            }
            done.0.is_none()
        });
        if pending.is_empty() { Poll::Ready(Ok(*delivered)) } else { Poll::Pending }
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("namespace", &self.namespace.name())
            .field("target", &self.target)
            .field("volatile", &self.volatile)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish").finish_non_exhaustive()
    }
}
