//! Events for one socket, and acknowledgements.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use enginewire::{Encoded, Time};
use serde::Serialize;

use super::{
    AskId, Client, Hub, SocketKey,
    layer::Token,
    logging::Manner,
    sockets::{Membership, Socket},
};
use crate::{
    AckId, Args, Asking, EmitError, EncodeAs, EncodeError, Event, Name,
    adapter::Target,
    parser::{EnumEvent, NamedEvent, Outgoing},
};

/// Events for one socket.
///
/// All of them fail with [`EmitError`] if the payload cannot be encoded, there is no room, or the socket is
/// disconnected. After [`EmitError::Full`] comes [`Output::Writable`](super::Output::Writable).
impl Hub {
    /// Queues an event for a socket. A tuple is several arguments, `()` none, anything else one.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, there is no room, or the socket is disconnected.
    pub fn emit<P: Serialize + ?Sized>(
        &mut self,
        key: SocketKey,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        self.send(key, &NamedEvent::new(name.name(), payload))
    }

    /// Queues an event for a socket if it can be sent at once.
    ///
    /// All parts of it are sent, or none.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`EmitError::NotIdle`] if it would have to wait.
    pub fn emit_volatile<P: Serialize + ?Sized>(
        &mut self,
        key: SocketKey,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), EmitError> {
        self.send_volatile(key, &NamedEvent::new(name.name(), payload))
    }

    /// Queues a variant of an enum as the event of its name. Its fields are the arguments.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: Serialize + ?Sized>(
        &mut self,
        key: SocketKey,
        event: &E,
    ) -> Result<(), EmitError> {
        self.send(key, &EnumEvent::new(event))
    }

    /// Queues a received event for a socket as it came. Nothing is decoded.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn forward(&mut self, key: SocketKey, event: &Event) -> Result<(), EmitError> {
        self.send(key, event)
    }

    /// Queues an event that the client is to acknowledge within `timeout`.
    ///
    /// [`Output::Acknowledged`](super::Output::Acknowledged) follows, once. [`Duration::MAX`] waits until the socket is
    /// disconnected.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`EmitError::TooManyAcks`] if the client owes as many as it may.
    pub fn emit_with_ack<P: Serialize + ?Sized>(
        &mut self,
        now: Time,
        key: SocketKey,
        name: impl Name<P>,
        payload: &P,
        timeout: Duration,
    ) -> Result<AskId, EmitError> {
        self.send_with_ack(now, key, &NamedEvent::new(name.name(), payload), timeout)
    }

    /// Queues an event of any kind for a socket, with its attachments.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send(&mut self, key: SocketKey, event: &impl Outgoing) -> Result<(), EmitError> {
        if self.is_in_log(key) {
            let args = self.encoder.args(&self.connection.parser, event)?;
            return match self.send_in_log(key, args, false)? {
                Ok(()) => Ok(()),
                Err(event) => self.send_now(key, &event),
            };
        }
        self.send_now(key, event)
    }

    /// Queues an event for a socket, and logs it on this node.
    fn send_now(&mut self, key: SocketKey, event: &impl Outgoing) -> Result<(), EmitError> {
        let (member, message) = self.encode_for(key, event, false)?;
        let Some(Socket { session, slot, pid, .. }) = self.sockets.get(key) else {
            return Err(EmitError::Disconnected);
        };
        let (session, slot, is_logged) = (*session, *slot, pid.is_some());
        let copy = is_logged.then(|| message.clone());
        self.engine
            .with_layer(self.now, session, |client: &mut Client, cx| {
                client.send(slot, |connection| connection.emit(slot, message, cx.session))
            })
            .unwrap_or(Err(EmitError::Disconnected))?;
        // Nothing else was logged since the message has its offset.
        if let (Some(message), Some(id)) = (copy, self.id(key)) {
            let target = Target::all().to(id);
            if let Some(namespace) = self.namespaces.get_mut(member.namespace) {
                namespace.log(self.now, target, &message, Manner::default());
            }
            self.namespaces.settle(member.namespace);
        }
        Ok(())
    }

    /// Queues an event of any kind for a socket that can take it at once.
    ///
    /// # Errors
    ///
    /// As [`emit_volatile`](Self::emit_volatile).
    pub fn send_volatile(
        &mut self,
        key: SocketKey,
        event: &impl Outgoing,
    ) -> Result<(), EmitError> {
        if self.is_in_log(key) {
            let args = self.encoder.args(&self.connection.parser, event)?;
            return match self.send_in_log(key, args, true)? {
                Ok(()) => Ok(()),
                Err(event) => self.send_volatile_now(key, &event),
            };
        }
        self.send_volatile_now(key, event)
    }

    fn send_volatile_now(
        &mut self,
        key: SocketKey,
        event: &impl Outgoing,
    ) -> Result<(), EmitError> {
        let (_, message) = self.encode_for(key, event, true)?;
        let Some(Socket { session, slot, .. }) = self.sockets.get(key) else {
            return Err(EmitError::Disconnected);
        };
        let (session, slot) = (*session, *slot);
        self.engine
            .with_layer(self.now, session, |client: &mut Client, cx| {
                client.send(slot, |connection| connection.emit_volatile(slot, message, cx.session))
            })
            .unwrap_or(Err(EmitError::Disconnected))
    }

    /// Queues an event of any kind that the client is to acknowledge within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`emit_with_ack`](Self::emit_with_ack).
    pub fn send_with_ack(
        &mut self,
        now: Time,
        key: SocketKey,
        event: &impl Outgoing,
        timeout: Duration,
    ) -> Result<AskId, EmitError> {
        self.set_now(now);
        let member = self.member(key)?;
        let Self { namespaces, encoder, connection, sockets, engine, .. } = self;
        let (Some(socket), Some(namespace)) =
            (sockets.get(key), namespaces.get_mut(member.namespace))
        else {
            return Err(EmitError::Disconnected);
        };
        let number = namespace.adapter.next_ack();
        let parser = &connection.parser;
        let message = encoder.event(parser, &namespace.name, Some(number), event)?;
        encoder.shrink();
        let (slot, deadline) = (socket.slot, self.now + timeout);
        let ask = AskId { socket: key, number };
        engine
            .with_layer(self.now, socket.session, |client: &mut Client, cx| {
                client.send(slot, |connection| {
                    let token = Token::One(ask);
                    connection.emit_with_ack(slot, message, number, deadline, token, cx.session)
                })
            })
            .unwrap_or(Err(EmitError::Disconnected))?;
        Ok(ask)
    }

    /// Forgets an acknowledgement that the application does not wait for any more.
    ///
    /// Returns false if it has come, or its result is queued.
    pub fn forget(&mut self, ask: AskId) -> bool {
        let Some(Socket { session, slot, .. }) = self.sockets.get(ask.socket) else { return false };
        let (session, slot) = (*session, *slot);
        let forgotten = self.engine.with_layer(self.now, session, |client: &mut Client, _| {
            client.connection.forget_ack(slot, ask.number).is_some()
        });
        forgotten == Some(true)
    }

    /// Queues the acknowledgement of an event, see [`Event::ack`]. A tuple is several arguments, `()` none.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn acknowledge<P: Serialize + ?Sized>(
        &mut self,
        key: SocketKey,
        ack: AckId,
        payload: &P,
    ) -> Result<(), EmitError> {
        self.acknowledge_with(key, ack, payload, Vec::new())
    }

    /// Queues the acknowledgement that belongs to the name of an event.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn acknowledge_for<P: ?Sized, A, T: EncodeAs<A> + Serialize + ?Sized>(
        &mut self,
        key: SocketKey,
        _name: Asking<P, A>,
        ack: AckId,
        payload: &T,
    ) -> Result<(), EmitError> {
        self.acknowledge(key, ack, payload)
    }

    /// Queues the acknowledgement of an event.
    ///
    /// [`Attachment`](crate::Attachment)s in the payload stand for `attachments`.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn acknowledge_with<P: Serialize + ?Sized>(
        &mut self,
        key: SocketKey,
        ack: AckId,
        payload: &P,
        attachments: Vec<Bytes>,
    ) -> Result<(), EmitError> {
        self.member(key)?;
        let Self { encoder, connection, sockets, engine, .. } = self;
        let Some(socket) = sockets.get(key) else { return Err(EmitError::Disconnected) };
        let parser = &connection.parser;
        let message = encoder.ack(parser, &socket.namespace, ack, payload, attachments)?;
        encoder.shrink();
        let slot = socket.slot;
        engine
            .with_layer(self.now, socket.session, |client: &mut Client, cx| {
                client.send(slot, |connection| connection.acknowledge(slot, message, cx.session))
            })
            .unwrap_or(Err(EmitError::Disconnected))
    }
}

impl Hub {
    pub(super) fn member(&self, key: SocketKey) -> Result<Membership, EmitError> {
        let member = self.sockets.get(key).and_then(|socket| socket.member);
        member.ok_or(EmitError::Disconnected)
    }

    /// Returns whether events for a socket are logged by the cluster.
    fn is_in_log(&self, key: SocketKey) -> bool {
        self.sockets.get(key).is_some_and(|socket| socket.pid.is_some()) && self.has_log()
    }

    /// Checks whether there is room for an event for a socket.
    pub(super) fn check_room(&mut self, key: SocketKey) -> Result<(), EmitError> {
        let Some(Socket { session, slot, .. }) = self.sockets.get(key) else {
            return Err(EmitError::Disconnected);
        };
        let (session, slot) = (*session, *slot);
        let room = self.engine.with_layer(self.now, session, |client: &mut Client, cx| {
            client.check_room(slot, cx.session)
        });
        room.unwrap_or(Err(EmitError::Disconnected))
    }

    /// Encodes an event for one socket. It has an offset if the client may come back.
    fn encode_for(
        &mut self,
        key: SocketKey,
        event: &impl Outgoing,
        is_volatile: bool,
    ) -> Result<(Membership, Encoded), EmitError> {
        let member = self.member(key)?;
        let may_return = self.sockets.get(key).is_some_and(|socket| socket.pid.is_some());
        let message = match may_return {
            true => {
                let manner = Manner::volatile(is_volatile);
                self.encode_with_offset(member.namespace, event, manner)?
            }
            false => {
                let Self { namespaces, encoder, connection, .. } = self;
                let namespace = namespaces.get(member.namespace).ok_or(EmitError::Disconnected)?;
                let message = encoder.event(&connection.parser, &namespace.name, None, event)?;
                encoder.shrink();
                message
            }
        };
        Ok((member, message))
    }

    /// Encodes an event with its offset in the log of a namespace, if there is one.
    pub(super) fn encode_with_offset(
        &mut self,
        namespace: usize,
        event: &impl Outgoing,
        manner: Manner,
    ) -> Result<Encoded, EncodeError> {
        let Self { namespaces, encoder, connection, recovery, .. } = self;
        let parser = &connection.parser;
        if recovery.is_none() {
            let Some(namespace) = namespaces.get(namespace) else { return Ok(Encoded::group([])) };
            let message = encoder.event(parser, &namespace.name, None, event)?;
            encoder.shrink();
            return Ok(message);
        }
        let args = encoder.args(parser, event)?;
        self.encode_args(namespace, &args, manner)
    }

    /// Encodes the arguments of an event with its offset in the log of a namespace, if there is one.
    pub(super) fn encode_args(
        &mut self,
        namespace: usize,
        args: &Args,
        manner: Manner,
    ) -> Result<Encoded, EncodeError> {
        let Self { namespaces, encoder, connection, .. } = self;
        let Some(namespace) = namespaces.get(namespace) else { return Ok(Encoded::group([])) };
        let parser = &connection.parser;
        let message = namespace.encode_with_offset(encoder, parser, args, manner)?;
        encoder.shrink();
        // The log keeps it as well.
        Ok(if manner.volatile { message } else { message.into_shared() })
    }
}
