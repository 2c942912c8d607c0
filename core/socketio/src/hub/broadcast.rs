//! Events for many sockets, and their acknowledgements.

use core::time::Duration;

use enginewire::{Encoded, Time};
use serde::Serialize;
use slab::Slab;

use super::{Client, Delivered, GroupId, Hub, Output, Overflow, SocketKey, layer::Token};
use crate::{
    AckError, AckId, Args, DisconnectReason, EmitError, EncodeError, Event, Name, SocketId,
    adapter::{Selection, Target},
    parser::{NamedEvent, Outgoing},
};

/// Broadcasts whose acknowledgements have not all come.
#[derive(Default)]
pub(super) struct Groups {
    slots: Slab<Group>,
    /// The last serial number of a group.
    serial: u64,
}

struct Group {
    serial: u64,
    /// Recipients that have neither acknowledged nor failed.
    pending: usize,
}

impl Groups {
    /// Opens a group with one recipient.
    fn open(&mut self) -> GroupId {
        self.serial += 1;
        let serial = self.serial;
        GroupId { index: self.slots.insert(Group { serial, pending: 1 }), serial }
    }

    fn expect(&mut self, id: GroupId) {
        if let Some(group) = self.slots.get_mut(id.index).filter(|group| group.serial == id.serial)
        {
            group.pending += 1;
        }
    }

    /// Counts one recipient less. Returns whether it was the last.
    fn settle(&mut self, id: GroupId) -> bool {
        let group = self.slots.get_mut(id.index).filter(|group| group.serial == id.serial);
        let Some(group) = group else { return false };
        group.pending -= 1;
        let is_complete = group.pending == 0;
        if is_complete {
            self.slots.remove(id.index);
        }
        is_complete
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// How an event is delivered.
#[derive(Clone, Copy)]
enum How {
    Reliable,
    Volatile,
    Acknowledged(AckId, Time, GroupId),
}

/// Events for many sockets. They are encoded once, and reach all sockets of a namespace in the order of the calls.
impl Hub {
    /// Queues an event for all sockets that a target selects.
    ///
    /// A socket without room is disconnected or passed by, as [`HubConfig::overflow`](super::HubConfig::overflow) says.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the name is reserved.
    pub fn broadcast<P: Serialize + ?Sized>(
        &mut self,
        namespace: &str,
        target: &Target,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<Delivered, EncodeError> {
        self.publish(namespace, target, &NamedEvent::new(name.name(), payload))
    }

    /// Queues an event for the sockets that can take it at once.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    pub fn broadcast_volatile<P: Serialize + ?Sized>(
        &mut self,
        namespace: &str,
        target: &Target,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<Delivered, EncodeError> {
        self.publish_volatile(namespace, target, &NamedEvent::new(name.name(), payload))
    }

    /// Queues an event that each socket is to acknowledge within `timeout`.
    ///
    /// [`Output::GroupAcknowledged`] follows for each of them, and [`Output::GroupCompleted`] at the end. Those that
    /// came stay valid whatever the others do.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    pub fn broadcast_with_ack<P: Serialize + ?Sized>(
        &mut self,
        now: Time,
        namespace: &str,
        target: &Target,
        name: impl Name<P>,
        payload: &P,
        timeout: Duration,
    ) -> Result<GroupId, EncodeError> {
        self.publish_with_ack(
            now,
            namespace,
            target,
            &NamedEvent::new(name.name(), payload),
            timeout,
        )
    }

    /// Queues a received event for many sockets as it came. Nothing is decoded.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    pub fn forward_to(
        &mut self,
        namespace: &str,
        target: &Target,
        event: &Event,
    ) -> Result<Delivered, EncodeError> {
        self.publish(namespace, target, event)
    }

    /// Queues an event of any kind for many sockets, with its attachments.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    pub fn publish(
        &mut self,
        namespace: &str,
        target: &Target,
        event: &impl Outgoing,
    ) -> Result<Delivered, EncodeError> {
        let Some(index) = self.namespaces.find(namespace) else { return Ok(Delivered::default()) };
        let message = self.encode_with_offset(index, event, false)?.into_shared();
        if let Some(namespace) = self.namespaces.get_mut(index)
            && namespace.recovery.is_some()
        {
            namespace.log(self.now, target.clone(), &message);
            self.namespaces.settle(index);
        }
        Ok(self.deliver(index, target, &message, How::Reliable))
    }

    /// Queues an event of any kind for the sockets that can take it at once.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    pub fn publish_volatile(
        &mut self,
        namespace: &str,
        target: &Target,
        event: &impl Outgoing,
    ) -> Result<Delivered, EncodeError> {
        let Some(index) = self.namespaces.find(namespace) else { return Ok(Delivered::default()) };
        let message = self.encode_with_offset(index, event, true)?.into_shared();
        Ok(self.deliver(index, target, &message, How::Volatile))
    }

    /// Queues an event of any kind that each socket is to acknowledge.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    pub fn publish_with_ack(
        &mut self,
        now: Time,
        namespace: &str,
        target: &Target,
        event: &impl Outgoing,
        timeout: Duration,
    ) -> Result<GroupId, EncodeError> {
        self.set_now(now);
        let index = self.namespaces.find(namespace);
        let Self { namespaces, encoder, connection, .. } = self;
        let namespace = index.and_then(|index| namespaces.get_mut(index));
        let encoded = namespace.map(|namespace| {
            let number = namespace.adapter.next_ack();
            let parser = &connection.parser;
            let message = encoder.event(parser, &namespace.name, Some(number), event)?;
            encoder.shrink();
            Ok::<_, EncodeError>((number, message.into_shared()))
        });
        let encoded = encoded.transpose()?;
        // It counts this call as a recipient, so that it is not complete before its end.
        let group = self.groups.open();
        if let (Some(index), Some((number, message))) = (index, encoded) {
            let how = How::Acknowledged(number, self.now + timeout, group);
            self.deliver(index, target, &message, how);
        }
        self.settle_group(group);
        Ok(group)
    }
}

impl Hub {
    fn deliver(
        &mut self,
        namespace: usize,
        target: &Target,
        message: &Encoded,
        how: How,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        let Some(namespace) = self.namespaces.get_mut(namespace) else { return delivered };
        let selection: Selection<SocketKey> = namespace.adapter.select(target);
        for (_, &key) in &selection {
            match self.deliver_to(key, message.clone(), how) {
                Ok(()) => delivered.sockets += 1,
                Err(EmitError::Full { .. }) if self.disconnects(how) => delivered.disconnected += 1,
                Err(EmitError::Disconnected) => {}
                Err(_) => delivered.skipped += 1,
            }
        }
        delivered
    }

    fn disconnects(&self, how: How) -> bool {
        self.overflow == Overflow::Disconnect && !matches!(how, How::Volatile)
    }

    fn deliver_to(&mut self, key: SocketKey, message: Encoded, how: How) -> Result<(), EmitError> {
        let Some(socket) = self.sockets.get(key) else { return Err(EmitError::Disconnected) };
        let (session, slot) = (socket.session, socket.slot);
        let result = self.engine.with_layer(self.now, session, |client: &mut Client, cx| {
            let connection = &mut client.connection;
            let sent = match how {
                How::Reliable => connection.emit(slot, message, cx.session),
                How::Volatile => connection.emit_volatile(slot, message, cx.session),
                How::Acknowledged(number, deadline, group) => {
                    let token = Token::Many(group);
                    connection.emit_with_ack(slot, message, number, deadline, token, cx.session)
                }
            };
            sent.map_err(|error| error.reason)
        });
        let result = result.unwrap_or(Err(EmitError::Disconnected));
        if matches!(result, Err(EmitError::Full { .. })) && self.disconnects(how) {
            self.with_client(session, |client, cx| {
                client.connection.abort(DisconnectReason::Overflow, cx.session);
            });
        }
        if let How::Acknowledged(_, _, group) = how {
            match &result {
                Ok(()) => self.groups.expect(group),
                Err(error) => self.group_missed(group, key, error.clone()),
            }
        }
        result
    }

    /// Tells why a socket, which was not sent the event of a group, will not acknowledge it.
    fn group_missed(&mut self, group: GroupId, key: SocketKey, error: EmitError) {
        // It may have been disconnected since the last poll.
        if let Some(session) = self.sockets.get(key).map(|socket| socket.session) {
            self.drain(session);
        }
        let Some(socket) = self.sockets.get(key) else { return };
        let Some(id) = socket.id.clone() else { return };
        let error = socket.reason.map_or(AckError::Emit(error), AckError::Disconnected);
        self.outputs.push_back(Output::GroupAcknowledged(group, id, Err(error)));
    }

    pub(super) fn group_acknowledged(
        &mut self,
        group: GroupId,
        from: SocketId,
        result: Result<Args, AckError>,
    ) {
        self.outputs.push_back(Output::GroupAcknowledged(group, from, result));
        self.settle_group(group);
    }

    fn settle_group(&mut self, group: GroupId) {
        if self.groups.settle(group) {
            self.outputs.push_back(Output::GroupCompleted(group));
        }
    }
}
