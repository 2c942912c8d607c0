//! Events of a client, and acknowledgements.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use enginewire::{Encoded, Time};
use serde::Serialize;

use super::{ClientAskId, ClientEngine, ClientHub};
use crate::{
    AckId, EmitError, Name,
    connection::Slot,
    parser::{NamedEvent, Outgoing},
};

/// Events.
///
/// They wait for a connection while there is none, as [`ManagerConfig::offline`](crate::ManagerConfig::offline) says.
/// After [`EmitError::Full`] comes [`ClientOutput::Writable`](super::ClientOutput::Writable).
impl<E: ClientEngine> ClientHub<E> {
    /// Queues an event. A tuple is several arguments, `()` none, anything else one.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, there is no room, or the socket was disconnected for good.
    pub fn emit<P: Serialize + ?Sized>(
        &mut self,
        socket: Slot,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        self.send(socket, &NamedEvent::new(name.name(), payload))
    }

    /// Queues an event of any kind, with its attachments.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send(&mut self, socket: Slot, event: &impl Outgoing) -> Result<(), EmitError> {
        let message = self.encode(socket, None, event)?;
        let sent = self.manager.emit(socket, message, &mut self.engine);
        sent.map_err(|error| error.reason)
    }

    /// Queues an event of any kind if it can be sent at once. All parts of it are sent, or none.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`EmitError::NotIdle`] if it would have to wait.
    pub fn send_volatile(&mut self, socket: Slot, event: &impl Outgoing) -> Result<(), EmitError> {
        let message = self.encode(socket, None, event)?;
        let sent = self.manager.emit_volatile(socket, message, &mut self.engine);
        sent.map_err(|error| error.reason)
    }

    /// Queues an event that the server is to acknowledge within `timeout`.
    ///
    /// [`ClientOutput::Acknowledged`](super::ClientOutput::Acknowledged) follows, once.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`EmitError::TooManyAcks`] if the server owes as many as it may.
    pub fn emit_with_ack<P: Serialize + ?Sized>(
        &mut self,
        now: Time,
        socket: Slot,
        name: impl Name<P>,
        payload: &P,
        timeout: Duration,
    ) -> Result<ClientAskId, EmitError> {
        self.send_with_ack(now, socket, &NamedEvent::new(name.name(), payload), timeout)
    }

    /// Queues an event of any kind that the server is to acknowledge within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`emit_with_ack`](Self::emit_with_ack).
    pub fn send_with_ack(
        &mut self,
        now: Time,
        socket: Slot,
        event: &impl Outgoing,
        timeout: Duration,
    ) -> Result<ClientAskId, EmitError> {
        self.set_now(now);
        let number = self.manager.next_ack(socket);
        let message = self.encode(socket, Some(number), event)?;
        let ask = ClientAskId { socket, number };
        let (manager, engine) = (&mut self.manager, &mut self.engine);
        let sent = manager.emit_with_ack(socket, message, number, now + timeout, ask, engine);
        sent.map(|()| ask).map_err(|error| error.reason)
    }

    /// Queues an event of any kind that is sent up to `retries` times again.
    ///
    /// It is, until the server acknowledges it.
    ///
    /// See [`Manager::emit_with_retries`](crate::Manager::emit_with_retries).
    /// [`ClientOutput::Acknowledged`](super::ClientOutput::Acknowledged) follows, once.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send_with_retries(
        &mut self,
        now: Time,
        socket: Slot,
        event: &impl Outgoing,
        retries: u32,
        timeout: Duration,
    ) -> Result<ClientAskId, EmitError> {
        self.set_now(now);
        let number = self.manager.next_ack(socket);
        let message = self.encode(socket, Some(number), event)?;
        let ask = ClientAskId { socket, number };
        let (manager, engine) = (&mut self.manager, &mut self.engine);
        let sent =
            manager.emit_with_retries(now, socket, message, number, retries, timeout, ask, engine);
        sent.map(|()| ask).map_err(|error| error.reason)
    }

    /// Forgets an acknowledgement that the application does not wait for any more.
    ///
    /// Returns false if it has come, its result is queued, or the event has retries.
    pub fn forget(&mut self, ask: ClientAskId) -> bool {
        self.manager.forget_ack(ask.socket, ask.number).is_some()
    }

    /// Queues the acknowledgement of an event, which came on this connection.
    ///
    /// Both are in [`Update::Event`](crate::Update::Event). A tuple is several arguments, `()` none.
    /// [`Attachment`](crate::Attachment)s in the payload stand for `attachments`.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`EmitError::Disconnected`] if that connection is lost.
    pub fn acknowledge<P: Serialize + ?Sized>(
        &mut self,
        socket: Slot,
        connection: u32,
        ack: AckId,
        payload: &P,
        attachments: Vec<Bytes>,
    ) -> Result<(), EmitError> {
        let Self { manager, encoder, engine, .. } = self;
        let namespace = manager.namespace(socket).ok_or(EmitError::Disconnected)?;
        let message =
            encoder.ack(&manager.config().parser, namespace, ack, payload, attachments)?;
        encoder.shrink();
        let sent = manager.acknowledge(socket, connection, message, engine);
        sent.map_err(|error| error.reason)
    }

    fn encode(
        &mut self,
        socket: Slot,
        ack: Option<AckId>,
        event: &impl Outgoing,
    ) -> Result<Encoded, EmitError> {
        let Self { manager, encoder, .. } = self;
        let namespace = manager.namespace(socket).ok_or(EmitError::Disconnected)?;
        let message = encoder.event(&manager.config().parser, namespace, ack, event)?;
        encoder.shrink();
        Ok(message)
    }
}
