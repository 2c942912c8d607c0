//! Sending to a server.

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
use enginewire::Encoded;
use enginewire_socketio::{
    AckId, Args, AskName, DecodeError, EmitError, EncodeError, Name,
    parser::{EnumEvent, NamedEvent, Outgoing},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{interface::Mode, socket::SocketShared};
use crate::{
    socketio::{
        acks::{AckFuture, Asks, Pending},
        outgoing::with_compression,
    },
    waiters::Ticket,
};

/// Future of an event that waits for room. Made by `emit`.
///
/// Cancel safe: the event is queued if and only if the future has completed with `Ok`. It was encoded before.
#[must_use = "futures do nothing unless polled"]
pub struct ClientEmit {
    socket: Arc<SocketShared>,
    /// The event, until it is taken.
    message: Result<Option<Encoded>, EncodeError>,
    mode: Mode,
    ticket: Ticket,
}

impl ClientEmit {
    pub(super) fn new(
        socket: &Arc<SocketShared>,
        message: Result<Option<Encoded>, EncodeError>,
        mode: Mode,
    ) -> Self {
        Self { socket: Arc::clone(socket), message, mode, ticket: Ticket::default() }
    }
}

impl Future for ClientEmit {
    type Output = Result<(), EmitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, message, mode, ticket } = &mut *self;
        match message {
            Ok(message) => socket.poll_emit(cx, ticket, message, mode),
            Err(error) => Poll::Ready(Err(error.clone().into())),
        }
    }
}

impl Drop for ClientEmit {
    fn drop(&mut self) {
        if self.ticket.is_taken() {
            self.socket.leave_room(&mut self.ticket, &self.mode);
        }
    }
}

impl Asks for ClientEmit {
    fn forget_ack(&self, id: AckId) {
        self.socket.forget_ack(id);
    }
}

/// Sends to the server with options.
#[must_use = "an emitter does nothing by itself"]
#[derive(Clone)]
pub struct ClientEmitter<'a> {
    socket: &'a Arc<SocketShared>,
    timeout: Option<Duration>,
    retries: Option<u32>,
    attachments: Vec<Bytes>,
    volatile: bool,
    compress: bool,
}

impl<'a> ClientEmitter<'a> {
    pub(super) const fn new(socket: &'a Arc<SocketShared>) -> Self {
        Self {
            socket,
            timeout: None,
            retries: None,
            attachments: Vec::new(),
            volatile: false,
            compress: true,
        }
    }

    /// Drops events that cannot be sent at once, all parts of them or none.
    ///
    /// Events that are to be acknowledged are sent as others.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets the deadline for acknowledgements, with retries that of each time.
    ///
    /// [`Duration::MAX`] is the end of the connection.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends an event up to so many times again, until the server acknowledges it.
    ///
    /// It is for [`emit_with_ack`](Self::emit_with_ack). Such events leave one after the other, and a lost connection
    /// does not end them. The server may get an event more than once.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
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

    /// Sends an event, see [`ClientRef::emit`](super::ClientRef::emit).
    pub fn emit<P: Serialize + ?Sized>(mut self, name: impl Name<P>, payload: &P) -> ClientEmit {
        let event = self.named(name.name(), payload);
        self.send(&event)
    }

    /// Sends a variant of an enum as the event of its name. Its fields are the arguments.
    pub fn emit_event<E: Serialize + ?Sized>(mut self, event: &E) -> ClientEmit {
        let attachments = mem::take(&mut self.attachments);
        self.send(&EnumEvent::new(event).with_attachments(attachments))
    }

    /// Sends an event on as it came, with its name and arguments. Nothing is decoded.
    pub fn forward(self, event: &enginewire_socketio::Event) -> ClientEmit {
        self.send(event)
    }

    /// Sends an event if there is room, see [`ClientRef::try_emit`](super::ClientRef::try_emit).
    ///
    /// # Errors
    ///
    /// As [`ClientRef::try_emit`](super::ClientRef::try_emit); [`EmitError::NotIdle`] for a volatile event that would
    /// have had to wait.
    pub fn try_emit<P: Serialize + ?Sized>(
        mut self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        let event = self.named(name.name(), payload);
        let message = self.encode(None, &event)?;
        self.socket.try_emit(message, &self.mode())
    }

    /// Sends an event, and waits for its acknowledgement. See
    /// [`ClientRef::emit_with_ack`](super::ClientRef::emit_with_ack).
    #[doc(alias = "call")]
    pub fn emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> ClientAckFuture<A> {
        self.ask(name.name(), payload, |args| args.decode(0))
    }

    /// Sends an event, and waits for its acknowledgement as it comes.
    pub fn emit_with_ack_args<P: Serialize + ?Sized>(
        self,
        name: impl Name<P>,
        payload: &P,
    ) -> ClientAckFuture<Args> {
        self.ask(name.name(), payload, |args| Ok(args.clone()))
    }

    fn named<'b, P: Serialize + ?Sized>(
        &mut self,
        name: &'b str,
        payload: &'b P,
    ) -> NamedEvent<'b, P> {
        NamedEvent::new(name, payload).with_attachments(mem::take(&mut self.attachments))
    }

    fn encode(&self, ack: Option<AckId>, event: &impl Outgoing) -> Result<Encoded, EncodeError> {
        let message = self.socket.encode(ack, event)?;
        Ok(with_compression(message, self.compress))
    }

    const fn mode(&self) -> Mode {
        if self.volatile { Mode::Volatile } else { Mode::Event }
    }

    fn send(self, event: &impl Outgoing) -> ClientEmit {
        let message = self.encode(None, event).map(Some);
        ClientEmit::new(self.socket, message, self.mode())
    }

    fn ask<A, P: Serialize + ?Sized>(
        mut self,
        name: &str,
        payload: &P,
        decode: fn(&Args) -> Result<A, DecodeError>,
    ) -> ClientAckFuture<A> {
        let socket = self.socket;
        let (options, id) = (socket.options(), socket.next_ack());
        let event = self.named(name, payload);
        let message = self.encode(Some(id), &event).map(Some);
        let timeout = self.timeout.unwrap_or(options.ack_timeout);
        let pending = Arc::new(Pending::default());
        let answer = Arc::clone(&pending);
        let mode = match self.retries.unwrap_or(options.retries) {
            0 => Mode::Ack { id, deadline: socket.now() + timeout, pending: answer },
            retries => Mode::Retries { id, retries, timeout, pending: answer },
        };
        AckFuture::new(ClientEmit::new(socket, message, mode), pending, id, decode)
    }
}

/// Future of an acknowledgement of the server. Made by `emit_with_ack`.
///
/// Dropped, it forgets the acknowledgement. The event is sent if the future was polled and there was room.
pub type ClientAckFuture<A> = AckFuture<A, ClientEmit>;

impl fmt::Debug for ClientEmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientEmit").finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientEmitter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientEmitter")
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("volatile", &self.volatile)
            .finish_non_exhaustive()
    }
}
