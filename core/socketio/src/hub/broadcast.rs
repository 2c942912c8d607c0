//! Events for many sockets, and their acknowledgements.

use core::time::Duration;

use enginewire::{Encoded, Time};
use serde::Serialize;
use slab::Slab;

use super::{
    Client, Delivered, GroupId, Hub, Output, Overflow, SocketKey, cluster::Asker, layer::Token,
    logging::Manner,
};
use crate::{
    AckError, AckId, Args, DisconnectReason, EmitError, EncodeError, Event, Name, SocketId,
    adapter::{Selection, Target},
    cluster::Missing,
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
    origin: Origin,
}

/// The one that a group's acknowledgements are for.
enum Origin {
    /// The application, and what other nodes have not responded.
    Here(Missing),
    Node(Asker),
}

impl Groups {
    /// Opens a group of the application with one recipient.
    fn open(&mut self) -> GroupId {
        self.insert(Origin::Here(Missing::default()))
    }

    /// Opens a group of another node with one recipient.
    pub(super) fn open_for(&mut self, asker: Asker) -> GroupId {
        self.insert(Origin::Node(asker))
    }

    fn insert(&mut self, origin: Origin) -> GroupId {
        self.serial += 1;
        let serial = self.serial;
        GroupId { index: self.slots.insert(Group { serial, pending: 1, origin }), serial }
    }

    fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.slots.get_mut(id.index).filter(|group| group.serial == id.serial)
    }

    /// Returns the node that a group is for, if it is another.
    fn asker(&mut self, id: GroupId) -> Option<&Asker> {
        match &self.get_mut(id)?.origin {
            Origin::Here(_) => None,
            Origin::Node(asker) => Some(asker),
        }
    }

    fn expect(&mut self, id: GroupId) {
        if let Some(group) = self.get_mut(id) {
            group.pending += 1;
        }
    }

    /// Counts one recipient less. Returns the origin of the group if it was the last.
    fn settle(&mut self, id: GroupId) -> Option<Origin> {
        let group = self.get_mut(id)?;
        group.pending -= 1;
        (group.pending == 0).then(|| self.slots.remove(id.index).origin)
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
    /// It had room before it waited for its place in the log.
    Late,
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
    /// [`Output::GroupAcknowledged`] follows for each of them, [`Output::RemoteAcknowledged`] for those of other nodes,
    /// and [`Output::GroupCompleted`] at the end. Those that came stay valid whatever the others do.
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
        self.publish_as(namespace, target, event, false)
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
        self.publish_as(namespace, target, event, true)
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
        let (args, encoded) = match self.has_others() {
            true => {
                let args = self.encoder.args(&self.connection.parser, event)?;
                let event = Event::from(args.clone());
                let encoded = index.map(|index| self.encode_asking(index, &event)).transpose()?;
                (Some(args), encoded)
            }
            false => (None, index.map(|index| self.encode_asking(index, event)).transpose()?),
        };
        // It counts this call as a recipient, so that it is not complete before its end.
        let group = self.groups.open();
        if let Some(args) = args {
            self.groups.expect(group);
            if let Err(missing) = self.ask_broadcast(namespace, target, args, timeout, group) {
                self.settle_remote(group, missing);
            }
        }
        if let (Some(index), Some((number, message))) = (index, encoded) {
            let deadline = self.now + timeout;
            self.deliver_acknowledged(index, target, message, number, deadline, group);
        }
        self.settle_group(group);
        self.drain_cluster();
        Ok(group)
    }
}

impl Hub {
    /// Publishes an event here and on other nodes.
    fn publish_as(
        &mut self,
        namespace: &str,
        target: &Target,
        event: &impl Outgoing,
        volatile: bool,
    ) -> Result<Delivered, EncodeError> {
        if self.has_log() {
            return self.publish_in_log(namespace, target, event, volatile);
        }
        let (index, manner) = (self.namespaces.find(namespace), Manner::volatile(volatile));
        if !self.has_others() {
            let Some(index) = index else { return Ok(Delivered::default()) };
            let message = self.encode_with_offset(index, event, manner)?;
            return Ok(self.deliver_message(index, target, message, manner));
        }
        let args = self.encoder.args(&self.connection.parser, event)?;
        let message = index.map(|index| self.encode_args(index, &args, manner)).transpose()?;
        let remote = self.tell_broadcast(namespace, target, args, volatile);
        let delivered = match (index, message) {
            (Some(index), Some(message)) => self.deliver_message(index, target, message, manner),
            _ => Delivered::default(),
        };
        Ok(Delivered { remote, ..delivered })
    }

    /// Encodes an event that sockets are to acknowledge under the number that this returns.
    pub(super) fn encode_asking(
        &mut self,
        namespace: usize,
        event: &impl Outgoing,
    ) -> Result<(AckId, Encoded), EncodeError> {
        let Self { namespaces, encoder, connection, .. } = self;
        let Some(namespace) = namespaces.get_mut(namespace) else {
            return Ok((AckId(0), Encoded::group([])));
        };
        let number = namespace.adapter.next_ack();
        let message = encoder.event(&connection.parser, &namespace.name, Some(number), event)?;
        encoder.shrink();
        Ok((number, message.into_shared()))
    }

    /// Delivers an event, which is logged for recovery as its manner says.
    pub(super) fn deliver_message(
        &mut self,
        index: usize,
        target: &Target,
        message: Encoded,
        manner: Manner,
    ) -> Delivered {
        let message = message.into_shared();
        if let Some(namespace) = self.namespaces.get_mut(index).filter(|_| manner.is_logged())
            && namespace.recovery.is_some()
        {
            namespace.log(self.now, target.clone(), &message, manner);
            self.namespaces.settle(index);
        }
        let how = match manner {
            Manner { volatile: true, .. } => How::Volatile,
            Manner { is_direct: true, .. } => How::Late,
            _ => How::Reliable,
        };
        self.deliver(index, target, &message, how)
    }

    pub(super) fn deliver_acknowledged(
        &mut self,
        index: usize,
        target: &Target,
        message: Encoded,
        number: AckId,
        deadline: Time,
        group: GroupId,
    ) -> Delivered {
        self.deliver(index, target, &message, How::Acknowledged(number, deadline, group))
    }

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
                How::Late => connection.emit_late(slot, message, cx.session),
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
        self.tell_acknowledged(group, id, Err(error));
    }

    pub(super) fn group_acknowledged(
        &mut self,
        group: GroupId,
        from: SocketId,
        result: Result<Args, AckError>,
    ) {
        self.tell_acknowledged(group, from, result);
        self.settle_group(group);
    }

    /// Tells the application or another node of an acknowledgement.
    ///
    /// Another node is told of those that came. Its deadline tells of the others.
    fn tell_acknowledged(
        &mut self,
        group: GroupId,
        from: SocketId,
        result: Result<Args, AckError>,
    ) {
        match (self.groups.asker(group).cloned(), result) {
            (None, result) => {
                self.outputs.push_back(Output::GroupAcknowledged(group, from, result));
            }
            (Some(asker), Ok(ack)) => self.respond_ack(&asker, ack),
            (Some(_), Err(_)) => {}
        }
    }

    /// Ends the wait of a group for other nodes.
    pub(super) fn settle_remote(&mut self, group: GroupId, missing: Missing) {
        if let Some(Group { origin: Origin::Here(of_group), .. }) = self.groups.get_mut(group) {
            *of_group = missing;
        }
        self.settle_group(group);
    }

    pub(super) fn settle_group(&mut self, group: GroupId) {
        match self.groups.settle(group) {
            Some(Origin::Here(missing)) => {
                self.outputs.push_back(Output::GroupCompleted(group, missing));
            }
            Some(Origin::Node(_)) => self.end_answering(),
            None => {}
        }
    }
}
