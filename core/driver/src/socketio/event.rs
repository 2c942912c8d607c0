//! Events of a client, and their acknowledgement.

use std::{fmt, marker::PhantomData, mem, ops::Deref, sync::Arc};

use bytes::Bytes;
use enginewire::Encoded;
use enginewire_socketio::{AckId, Asking, EncodeAs, EncodeError, EventError};
use serde::{Deserialize, Serialize};

use super::{
    EmitError,
    emit::{Emit, Mode},
    outgoing::{Body, with_encoder},
    socket::SocketShared,
};

/// Event that a client has sent.
///
/// Reads as an [`enginewire_socketio::Event`], and can be acknowledged with [`ack`](Self::ack).
#[derive(Clone)]
pub struct Event {
    event: enginewire_socketio::Event,
    socket: Arc<SocketShared>,
    is_answered: bool,
}

impl Event {
    pub(super) const fn new(event: enginewire_socketio::Event, socket: Arc<SocketShared>) -> Self {
        Self { event, socket, is_answered: false }
    }

    /// Takes the acknowledgement. The second does nothing, nor does that of an event that expects none.
    pub fn ack(&mut self) -> Ack {
        let id = self.event.ack().filter(|_| !mem::replace(&mut self.is_answered, true));
        Ack { id, socket: Arc::clone(&self.socket), is_counted: true, attachments: Vec::new() }
    }

    /// Takes the acknowledgement that belongs to the name of the event. See [`ack`](Self::ack).
    ///
    /// It can only be sent with what the name says. Whether the event has this name is not looked at: that is for
    /// [`data_of`](enginewire_socketio::Event::data_of), [`parse`](Self::parse) or a `match` of the application.
    pub fn ack_for<P: ?Sized, A>(&mut self, _name: Asking<P, A>) -> AckOf<A> {
        self.ack().into()
    }

    /// Returns the acknowledgement whether or not it was taken, for handlers that take it from the event.
    pub(super) fn ack_again(&self) -> Ack {
        let (id, socket) = (self.event.ack(), Arc::clone(&self.socket));
        Ack { id, socket, is_counted: false, attachments: Vec::new() }
    }

    /// Sets whether the acknowledgement counts as taken.
    pub(super) const fn set_answered(&mut self, is_answered: bool) {
        self.is_answered = is_answered;
    }

    /// Decodes the event as the variant of an enum that has its name.
    ///
    /// The fields of the variant are the arguments: a unit variant has none, a newtype variant one, a tuple variant
    /// several, a struct variant one object.
    ///
    /// # Errors
    ///
    /// There is no such variant, or the arguments are of another shape. The error names the event.
    pub fn parse<'de, E: Deserialize<'de>>(&'de self) -> Result<E, EventError> {
        self.event.parse()
    }
}

impl Deref for Event {
    type Target = enginewire_socketio::Event;

    fn deref(&self) -> &Self::Target {
        &self.event
    }
}

/// Acknowledgement of an event, to be sent once.
///
/// Dropped, it sends nothing: the client waits for its own deadline. [`Stats::acks_dropped`](super::Stats::acks_dropped)
/// counts it.
#[doc(alias = "AckSender")]
#[must_use = "the client waits for the acknowledgement"]
pub struct Ack {
    /// Until it is sent.
    id: Option<AckId>,
    socket: Arc<SocketShared>,
    is_counted: bool,
    attachments: Vec<Bytes>,
}

impl Ack {
    /// Returns whether the client expects an acknowledgement.
    pub const fn is_expected(&self) -> bool {
        self.id.is_some()
    }

    /// Adds binary data that an [`Attachment`](enginewire_socketio::Attachment) of the payload stands for. Nothing is
    /// copied.
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use enginewire_driver::socketio::{Attachment, EmitError, Event};
    /// # async fn acknowledge(mut event: Event, picture: Bytes) -> Result<(), EmitError> {
    /// event.ack().attach(picture).send(&("cat.png", Attachment::new(0))).await
    /// # }
    /// ```
    pub fn attach(mut self, data: impl Into<Bytes>) -> Self {
        self.attachments.push(data.into());
        self
    }

    /// Sends the acknowledgement, waiting for room. A tuple is several arguments, `()` none.
    ///
    /// Does nothing if the client expects none. The payload is encoded before this returns.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the socket is disconnected.
    pub fn send<P: Serialize + ?Sized>(mut self, payload: &P) -> Emit {
        match self.encode(payload) {
            Some(message) => Emit::new(&self.socket, message.map(Body::Message), Mode::Event),
            None => Emit::done(&self.socket),
        }
    }

    /// Sends the acknowledgement if there is room.
    ///
    /// # Errors
    ///
    /// There is no room, the payload cannot be encoded, or the socket is disconnected.
    pub fn try_send<P: Serialize + ?Sized>(mut self, payload: &P) -> Result<(), EmitError> {
        match self.encode(payload) {
            Some(message) => self.socket.emit_message(message?),
            None => Ok(()),
        }
    }

    /// Encodes the acknowledgement, if one is expected.
    fn encode<P: Serialize + ?Sized>(
        &mut self,
        payload: &P,
    ) -> Option<Result<Encoded, EncodeError>> {
        let (id, socket) = (self.id.take()?, &self.socket);
        let (parser, namespace) = (socket.parser(), socket.namespace.name());
        let limits = &socket.namespace.config().limits;
        let attachments = mem::take(&mut self.attachments);
        Some(with_encoder(limits, |encoder| {
            encoder.ack(parser, namespace, id, payload, attachments)
        }))
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if self.id.is_some() && self.is_counted {
            self.socket.namespace.counters.acks_dropped.add(1);
        }
    }
}

/// Acknowledgement of an event that says what it is acknowledged with, to be sent once.
///
/// [`Event::ack_for`] takes it out of an event. Handlers have it as an extractor. See [`Ack`].
///
/// ```
/// # use enginewire_driver::socketio::{Asking, Socket};
/// const SUM: Asking<(u32, u32), u32> = Asking::new("sum");
///
/// async fn calculate(mut socket: Socket) {
///     while let Some(mut event) = socket.recv().await {
///         if let Some(Ok((a, b))) = event.data_of(SUM) {
///             let _ = event.ack_for(SUM).send(&(a + b)).await;
///         }
///     }
/// }
/// ```
#[must_use = "the client waits for the acknowledgement"]
pub struct AckOf<A> {
    ack: Ack,
    response: PhantomData<fn(A)>,
}

impl<A> AckOf<A> {
    /// Returns whether the client expects an acknowledgement.
    pub const fn is_expected(&self) -> bool {
        self.ack.is_expected()
    }

    /// Adds binary data, see [`Ack::attach`].
    pub fn attach(mut self, data: impl Into<Bytes>) -> Self {
        self.ack = self.ack.attach(data);
        self
    }

    /// Sends the acknowledgement, waiting for room. See [`Ack::send`].
    ///
    /// # Errors
    ///
    /// As [`Ack::send`].
    pub fn send<T: EncodeAs<A> + Serialize + ?Sized>(self, payload: &T) -> Emit {
        self.ack.send(payload)
    }

    /// Sends the acknowledgement if there is room.
    ///
    /// # Errors
    ///
    /// As [`Ack::try_send`].
    pub fn try_send<T: EncodeAs<A> + Serialize + ?Sized>(
        self,
        payload: &T,
    ) -> Result<(), EmitError> {
        self.ack.try_send(payload)
    }
}

/// For applications that know what the event is acknowledged with.
impl<A> From<Ack> for AckOf<A> {
    fn from(ack: Ack) -> Self {
        Self { ack, response: PhantomData }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}

impl<A> fmt::Debug for AckOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckOf").field("id", &self.ack.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("id", &self.id).finish_non_exhaustive()
    }
}
