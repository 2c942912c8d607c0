//! Sending to many sockets.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use enginewire_socketio::{
    AskName, Event, Name,
    adapter::Target,
    parser::{EnumEvent, NamedEvent, Outgoing},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Delivered, EmitError, SocketRef,
    acks::{AckStream, Group, OpenGroup},
    namespace::NamespaceShared,
    order::{How, Publishing},
    rooms::Rooms,
    socket::SocketShared,
};

/// Operator for many sockets of a namespace: whom, and how. One verb ends it.
///
/// In a [cluster](super::IoBuilder::cluster) it reaches the sockets of all nodes, also by the id of one, unless it is
/// [`local`](Self::local). That of a [pattern](super::Io::namespaces) reaches the namespaces that exist on this node,
/// each of them on all nodes: one that exists on other nodes alone is not reached.
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
    pub(super) namespace: Arc<NamespaceShared>,
    pub(super) target: Target,
    volatile: bool,
    compress: bool,
    /// Other nodes are told nothing.
    pub(super) local: bool,
    pub(super) timeout: Option<Duration>,
    attachments: Vec<Bytes>,
}

impl Broadcast {
    pub(super) fn new(namespace: &Arc<NamespaceShared>, target: Target) -> Self {
        let namespace = Arc::clone(namespace);
        let (volatile, local, timeout, attachments) = (false, false, None, Vec::new());
        Self { namespace, target, volatile, compress: true, local, timeout, attachments }
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

    /// Sets the deadline for acknowledgements, and for [`fetch_sockets`](Self::fetch_sockets). Default: [`IoBuilder::ack_timeout`](super::IoBuilder::ack_timeout).
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

    /// Adds binary data that an [`Attachment`](enginewire_socketio::Attachment) of the payload stands for.
    pub fn attach(mut self, data: impl Into<Bytes>) -> Self {
        self.attachments.push(data.into());
        self
    }

    /// Sends an event to all of them. It is encoded once, before this returns.
    ///
    /// The future completes when all have it queued. All sockets of a namespace get broadcasts in the same order. What
    /// the same task sends next comes behind it. A socket without room is disconnected or passed by, see
    /// [`Overflow`](super::Overflow).
    ///
    /// Of many sockets, 1024 at a time have it, and other tasks run in between. Dropping the future takes nothing back:
    /// it reaches the rest at once.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or 16 MiB of broadcasts wait in the namespace.
    pub fn emit<P: Serialize + ?Sized>(mut self, name: impl Name<P>, payload: &P) -> Publish {
        let event = self.named(name.name(), payload);
        Publish::new(self.begin(&event, None))
    }

    /// Sends a variant of an enum as the event of its name. See [`emit`](Self::emit).
    ///
    /// Its fields are the arguments.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: Serialize + ?Sized>(mut self, event: &E) -> Publish {
        let attachments = mem::take(&mut self.attachments);
        let event = EnumEvent::new(event).with_attachments(attachments);
        Publish::new(self.begin(&event, None))
    }

    /// Sends an event to all of them without waiting. If another is being delivered, the task that does so goes on with
    /// this one.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or too many bytes wait to be delivered.
    pub fn try_emit<P: Serialize + ?Sized>(
        mut self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        let event = self.named(name.name(), payload);
        self.begin(&event, None).map(drop)
    }

    /// Sends an event to all of them, and returns their acknowledgements.
    ///
    /// Each has until the deadline. Acknowledgements that came are kept whatever the others do.
    pub fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        mut self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> AckStream<A> {
        let group = Group::new();
        let event = self.named(name.name(), payload);
        let begun = self.begin(&event, Some(&group));
        AckStream::new(group, begun)
    }

    /// Sends an event on as it came, with its name and arguments. Nothing is decoded.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn forward(self, event: &Event) -> Publish {
        Publish::new(self.begin(event, None))
    }

    fn named<'a, P: Serialize + ?Sized>(
        &mut self,
        name: &'a str,
        payload: &'a P,
    ) -> NamedEvent<'a, P> {
        NamedEvent::new(name, payload).with_attachments(mem::take(&mut self.attachments))
    }

    /// Returns the sockets that are connected to this server. See [`SocketRef::downcast`] for their data.
    pub fn sockets(&self) -> Vec<SocketRef> {
        self.members().into_iter().map(SocketRef::of_any).collect()
    }

    pub(super) fn members(&self) -> Vec<Arc<SocketShared>> {
        let reached = self.namespace.reached().into_iter();
        reached.flat_map(|namespace| namespace.select(&self.target)).collect()
    }

    /// Publishes an event in each namespace. Returns the outcomes, to be waited for.
    fn begin(
        &self,
        event: &impl Outgoing,
        group: Option<&Arc<Group>>,
    ) -> Result<Vec<Publishing>, EmitError> {
        // Not complete before all namespaces have it.
        let _open = group.map(OpenGroup::new);
        let publish = |namespace: Arc<NamespaceShared>| {
            let timeout = self.timeout.unwrap_or(namespace.options().ack_timeout);
            let ack = group.map(|group| (namespace.next_ack(), timeout, OpenGroup::new(group)));
            let mut how = How { volatile: self.volatile, ack, ..How::default() };
            let body = namespace.encode_broadcast(event, self.local, &mut how, group)?;
            how.set_compression(self.compress);
            namespace.publish(&self.target, body.with_compression(self.compress), how)
        };
        self.namespace.reached().into_iter().map(publish).collect()
    }
}

/// Future of a broadcast. It is sent whether or not this is polled: dropping it delivers what is left.
#[must_use = "a broadcast may fail"]
pub struct Publish {
    /// Namespaces where it is not delivered yet.
    pending: Result<Vec<Publishing>, EmitError>,
    delivered: Delivered,
}

impl Publish {
    fn new(pending: Result<Vec<Publishing>, EmitError>) -> Self {
        let mut delivered = Delivered::default();
        if let Ok(pending) = &pending {
            delivered.remote = Publishing::all_remote(pending);
        }
        Self { pending, delivered }
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
        pending.retain(|publishing| match publishing.poll(cx) {
            Poll::Ready(Delivered { sockets, skipped, disconnected, remote, .. }) => {
                // The bus may have failed since it took the event.
                if remote.is_err() {
                    delivered.remote = remote;
                }
                delivered.sockets += sockets;
                delivered.skipped += skipped;
                delivered.disconnected += disconnected;
                false
            }
            Poll::Pending => true,
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
