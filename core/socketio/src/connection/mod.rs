//! One client's session with its sockets, on the server.
//!
//! A [`Connection`] is fed by the messages of one Engine.IO session. It knows the namespaces that the client is
//! connected to, one slot for each, and nothing of other clients: rooms are the [`adapter`](crate::adapter)'s.

mod config;
mod error;
mod event;
mod fork;
mod parameters;
mod session;

#[cfg(test)]
pub(crate) mod tests;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::fmt;

use enginewire::{
    CloseReason, Encoded, Event as EngineEvent, Layer, LayerContext, Message, Revision, SendError,
    Text, Time, TrySendError, carrier::GracePeriod,
};
use serde::Serialize;

use self::parameters::auth_of_query;
pub use self::{
    config::ConnectionConfig,
    error::{AckError, ConnectError, EmitError, Fault, TryEmitError},
    event::{ConnectRequest, ConnectionEvent},
    session::Session,
};
use crate::{
    acks::Acks,
    event::Event,
    id::{PrivateId, SocketId},
    packet::{AckId, Packet, PacketData},
    parser::Decoder,
    payload::Payload,
    reason::DisconnectReason,
};

/// Name of a socket of a [`Connection`] or a [`Manager`](crate::Manager). It is not used twice by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub(crate) index: usize,
    pub(crate) serial: u32,
}

/// One client's session with its sockets, on the server.
///
/// Methods come in the four families of [`ServerSession`](enginewire::ServerSession): `handle_*` take what came,
/// commands of the application fail only for its own mistakes and limits, `poll_*` give outputs, getters look. All that
/// write take the session, and `now` where time matters.
///
/// `T` says who waits for an acknowledgement. It comes back with the result.
///
/// **Bounds.** Events that were not taken count as unread for the session, which reads no more beyond its
/// [`Limits::max_unread`](enginewire::Limits::max_unread). All sockets of a client share that, as they share one
/// connection: a namespace whose events are not taken stops the others. What is sent waits in the session's queue.
pub struct Connection<T> {
    config: Arc<ConnectionConfig>,
    revision: Revision,
    decoder: Decoder,
    slots: Vec<Entry<T>>,
    /// Names given to slots so far.
    serial: u32,
    /// Namespaces that the server has left, of which packets may still come.
    left: Vec<Text>,
    /// Responses that found no room. Nothing overtakes them.
    waiting: VecDeque<Encoded>,
    /// At most as many of those are events that a client had missed.
    missed: usize,
    /// Bytes that the parts of an incomplete packet count for.
    unread: usize,
    connect_deadline: Option<Time>,
    grace: GracePeriod,
    /// Slots that had no events before.
    readable: VecDeque<Slot>,
    outputs: VecDeque<ConnectionEvent<T>>,
    fault: Option<Fault>,
    is_closed: bool,
}

/// One namespace of the client.
#[derive(Clone)]
struct Entry<T> {
    serial: u32,
    namespace: Text,
    state: State,
    /// Events that the application has not taken, with what each counts for.
    events: VecDeque<(Event, usize)>,
    acks: Acks<T>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// The client waits for a response.
    Connecting,
    Connected,
    /// The socket is disconnected. The application has not released it.
    Ended,
    /// The place is free.
    Free,
}

impl<T> Connection<T> {
    /// Creates the connection of a session that has opened.
    ///
    /// Clients of revision 3, Socket.IO 2.x, ask for the namespace `/` without a packet.
    pub fn new(now: Time, config: Arc<ConnectionConfig>, revision: Revision) -> Self {
        let mut connection = Self {
            revision,
            decoder: Decoder::new(&config.parser, config.limits),
            slots: Vec::new(),
            serial: 0,
            left: Vec::new(),
            waiting: VecDeque::new(),
            missed: 0,
            unread: 0,
            connect_deadline: Some(now + config.connect_timeout),
            grace: GracePeriod::new(),
            readable: VecDeque::new(),
            outputs: VecDeque::new(),
            fault: None,
            is_closed: false,
            config,
        };
        if revision == Revision::V3 {
            let request = ConnectRequest { namespace: Text::from_static("/"), auth: None };
            connection.request(request);
        }
        connection
    }
}

/// Network inputs.
impl<T> Connection<T> {
    /// Handles a message of the client.
    ///
    /// It counts as unread until [`take_event`](Self::take_event) gives that back.
    pub fn handle_message(&mut self, now: Time, message: Message, session: &mut impl Session) {
        let cost = message.cost();
        if self.is_closed {
            return session.release(cost);
        }
        self.unread += cost;
        match self.decoder.handle_message(message) {
            Ok(None) => {}
            Ok(Some(packet)) => {
                let cost = core::mem::take(&mut self.unread);
                let kept = self.handle_packet(now, packet, cost, session);
                session.release(cost - kept);
            }
            Err(error) => self.fail(now, error.into(), session),
        }
    }

    /// Handles that the session has room again.
    pub fn handle_writable(&mut self, session: &mut impl Session) {
        while let Some(message) = self.waiting.pop_front() {
            if let Err(TrySendError { message, .. }) = session.send(message) {
                self.waiting.push_front(message);
                return;
            }
        }
    }

    /// Handles the end of the session.
    pub fn handle_closed(&mut self, reason: &CloseReason) {
        self.end(reason.into());
    }

    /// Handles a deadline that has passed. Does nothing before.
    ///
    /// A client whose deadline is handled late has a grace period, because its bytes may lie unread in a socket.
    pub fn handle_timeout(&mut self, now: Time, session: &mut impl Session) {
        if let Some(due) = self.poll_timeout().filter(|&due| due <= now)
            && let Some(until) = self.grace.extend_once(due, now)
        {
            self.connect_deadline = self.connect_deadline.map(|deadline| deadline.max(until));
            self.slots.iter_mut().for_each(|entry| entry.acks.postpone(until));
        }
        if self.connect_deadline.is_some_and(|deadline| deadline <= now) {
            self.fail(now, Fault::ConnectTimeout, session);
        }
        for (index, entry) in self.slots.iter_mut().enumerate() {
            let slot = Slot { index, serial: entry.serial };
            entry.acks.expire(now, |_, token| {
                let result = Err(AckError::Timeout);
                self.outputs.push_back(ConnectionEvent::Acknowledged(slot, token, result));
            });
        }
    }

    /// Returns what the packet still counts for.
    fn handle_packet(
        &mut self,
        now: Time,
        packet: Packet,
        cost: usize,
        session: &mut impl Session,
    ) -> usize {
        let Packet { mut namespace, data } = packet;
        let mut query = Text::EMPTY;
        if self.revision == Revision::V3
            && let Some(mark) = namespace.find('?')
        {
            query = namespace.slice_from(mark + 1);
            namespace = namespace.slice(0..mark);
        }
        let index = self.find(&namespace);
        let state = index.map(|index| self.slots[index].state);
        match (data, index, state) {
            (PacketData::Connect(auth), index, state) => match (index, state) {
                (_, Some(State::Connected)) => self.fail(now, Fault::ConnectedTwice, session),
                (index, _) => {
                    // A client that disconnects before it is connected, and connects again, says so by asking twice.
                    if let Some(index) = index {
                        self.cancel(index);
                    }
                    let auth = auth.or_else(|| auth_of_query(&query));
                    self.handle_connect(ConnectRequest { namespace, auth }, session);
                }
            },
            (PacketData::ConnectError(_), ..) => {
                self.fail(now, Fault::ConnectErrorFromClient, session);
            }
            (PacketData::Disconnect, Some(index), Some(State::Connecting)) => self.cancel(index),
            (PacketData::Disconnect, Some(index), _) => {
                self.end_slot(index, DisconnectReason::ClientLeft);
            }
            // An event without even a name: the reference calls no listener.
            (PacketData::Event { args, .. }, Some(_), Some(State::Connected))
                if args.is_empty() => {}
            (PacketData::Event { ack, args }, Some(index), Some(State::Connected)) => {
                let slot = self.slot(index);
                let events = &mut self.slots[index].events;
                if events.is_empty() {
                    self.readable.push_back(slot);
                }
                events.push_back((Event::new(args, ack), cost));
                return cost;
            }
            (PacketData::Ack { id, args }, Some(index), Some(State::Connected)) => {
                // One that comes late or twice stands for nothing.
                if let Some(token) = self.slots[index].acks.remove(id) {
                    let slot = self.slot(index);
                    self.outputs.push_back(ConnectionEvent::Acknowledged(slot, token, Ok(args)));
                }
            }
            // The client does not know yet that the server has left.
            _ if self.left.contains(&namespace) => {}
            _ => self.fail(now, Fault::NotConnected, session),
        }
        0
    }

    fn handle_connect(&mut self, request: ConnectRequest, session: &mut impl Session) {
        self.left.retain(|namespace| *namespace != request.namespace);
        let taken = self.slots.iter().filter(|entry| entry.state != State::Free).count();
        if taken >= self.config.max_namespaces {
            let error = ConnectError::new("too many namespaces");
            return self.send_connect_error(request.namespace, &error, session);
        }
        self.request(request);
    }

    fn request(&mut self, request: ConnectRequest) {
        self.serial += 1;
        // What was received may be a large message. The name is kept for as long as the socket.
        let namespace = match &*request.namespace {
            "/" => Text::from_static("/"),
            name => Text::from(name),
        };
        let entry = Entry {
            serial: self.serial,
            namespace,
            state: State::Connecting,
            events: VecDeque::new(),
            acks: Acks::new(),
        };
        let index = match self.slots.iter().position(|entry| entry.state == State::Free) {
            Some(index) => {
                self.slots[index] = entry;
                index
            }
            None => {
                // Nearly all clients have one.
                self.slots.reserve_exact(1);
                self.slots.push(entry);
                self.slots.len() - 1
            }
        };
        self.outputs.push_back(ConnectionEvent::Connect(self.slot(index), request));
    }
}

/// Responses and commands of the application.
impl<T> Connection<T> {
    /// Connects the client to the namespace that it asked for.
    ///
    /// `missed` are events that a client missed that has come back. They go before the response, as the reference has
    /// it. Returns false if the client no longer waits.
    pub fn accept(
        &mut self,
        slot: Slot,
        id: &SocketId,
        pid: Option<&PrivateId>,
        missed: impl IntoIterator<Item = Encoded>,
        session: &mut impl Session,
    ) -> bool {
        let Some(entry) = self.entry(slot).filter(|entry| entry.state == State::Connecting) else {
            return false;
        };
        entry.state = State::Connected;
        let namespace = entry.namespace.clone();
        self.connect_deadline = None;
        for message in missed {
            self.missed += 1;
            self.queue(message, session);
        }
        // Clients of 2.x know their ids themselves.
        let payload = (self.revision == Revision::V4).then(|| {
            let payload = Connected { sid: id.as_str(), pid: pid.map(PrivateId::as_str) };
            Payload::of(&payload)
        });
        let packet = Packet { namespace, data: PacketData::Connect(payload) };
        let message = self.control(&packet);
        self.respond(message, session);
        true
    }

    /// Refuses to connect the client to the namespace that it asked for.
    ///
    /// Returns false if the client no longer waits.
    pub fn refuse(&mut self, slot: Slot, error: &ConnectError, session: &mut impl Session) -> bool {
        let Some(entry) = self.entry(slot).filter(|entry| entry.state == State::Connecting) else {
            return false;
        };
        entry.state = State::Free;
        let namespace = core::mem::take(&mut entry.namespace);
        self.send_connect_error(namespace, error, session);
        true
    }

    /// Queues an event for a socket.
    ///
    /// # Errors
    ///
    /// There is no room, or the socket is disconnected. The event comes back.
    #[inline]
    pub fn emit(
        &mut self,
        slot: Slot,
        event: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        let is_connected = self.find_entry(slot).is_some_and(Entry::is_connected);
        self.send(is_connected, event, session)
    }

    /// Queues an event for a socket if it can be sent at once.
    ///
    /// All parts of it are sent, or none.
    ///
    /// # Errors
    ///
    /// It would have to wait, or the socket is disconnected. The event comes back.
    pub fn emit_volatile(
        &mut self,
        slot: Slot,
        event: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        if self.find_entry(slot).is_some_and(Entry::is_connected) && !session.is_idle() {
            return Err(TryEmitError { message: event, reason: EmitError::NotIdle });
        }
        self.emit(slot, event, session)
    }

    /// Queues an event for which there was room a moment ago. If others have taken that, it waits with the responses.
    ///
    /// # Errors
    ///
    /// The socket is disconnected. The event comes back.
    pub fn emit_late(
        &mut self,
        slot: Slot,
        event: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        match self.emit(slot, event, session) {
            Err(TryEmitError { message, reason: EmitError::Full { .. } }) => {
                self.missed += 1;
                self.waiting.push_back(message);
                Ok(())
            }
            result => result,
        }
    }

    /// Queues an event that the client is to acknowledge before `deadline`.
    ///
    /// [`ConnectionEvent::Acknowledged`] gives `token` back: with the arguments, at the deadline, or when the socket is
    /// disconnected.
    ///
    /// # Errors
    ///
    /// There is no room, the client owes too many acknowledgements, or the socket is disconnected. The event comes
    /// back.
    pub fn emit_with_ack(
        &mut self,
        slot: Slot,
        event: Encoded,
        id: AckId,
        deadline: Time,
        token: T,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        let max = self.config.max_pending_acks;
        if self.find_entry(slot).is_some_and(|entry| entry.acks.len() >= max) {
            let reason = EmitError::TooManyAcks { max };
            return Err(TryEmitError { message: event, reason });
        }
        self.emit(slot, event, session)?;
        if let Some(entry) = self.entry(slot) {
            entry.acks.insert(id, deadline, token);
        }
        Ok(())
    }

    /// Forgets an acknowledgement that nothing waits for any more. The socket owes one less.
    pub fn forget_ack(&mut self, slot: Slot, id: AckId) -> Option<T> {
        self.entry(slot)?.acks.remove(id)
    }

    /// Queues the acknowledgement of an event.
    ///
    /// The client waits for it even while events that it sent before are not taken.
    ///
    /// # Errors
    ///
    /// There is no room, or the socket is disconnected. The message comes back.
    pub fn acknowledge(
        &mut self,
        slot: Slot,
        message: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        self.emit(slot, message, session)
    }

    /// Disconnects a socket from its namespace, behind what is queued. The session goes on.
    pub fn disconnect(&mut self, slot: Slot, session: &mut impl Session) {
        let Some(index) = self.index(slot) else { return };
        match self.slots[index].state {
            State::Connected => {
                let namespace = self.slots[index].namespace.clone();
                let data = PacketData::Disconnect;
                let message = self.control(&Packet { namespace: namespace.clone(), data });
                self.respond(message, session);
                if self.left.len() >= self.config.max_namespaces {
                    self.left.remove(0);
                }
                self.left.push(namespace);
                self.end_slot(index, DisconnectReason::ServerLeft);
            }
            State::Connecting => self.cancel(index),
            State::Ended | State::Free => {}
        }
    }

    /// Disconnects all sockets of the client, and closes its session behind what is queued.
    pub fn disconnect_client(&mut self, now: Time, session: &mut impl Session) {
        for index in 0..self.slots.len() {
            self.disconnect(self.slot(index), session);
        }
        self.end(DisconnectReason::ForcedClose);
        session.close(now);
    }

    /// Closes the session because of `reason`, and ends all sockets. What is queued is sent first.
    pub fn close(&mut self, now: Time, reason: DisconnectReason, session: &mut impl Session) {
        self.end(reason);
        session.close(now);
    }

    /// Closes the session now because of `reason`, and ends all sockets. What is queued is lost.
    pub fn abort(&mut self, reason: DisconnectReason, session: &mut impl Session) {
        self.end(reason);
        session.abort(reason.close_reason());
    }

    /// Takes the next event of a socket, and gives back what it counts for.
    #[inline]
    pub fn take_event(&mut self, slot: Slot, session: &mut impl Session) -> Option<Event> {
        let entry = self.entry(slot)?;
        let (event, cost) = entry.events.pop_front()?;
        if entry.events.is_empty() && entry.events.capacity() > KEPT {
            entry.events = VecDeque::new();
        }
        session.release(cost);
        Some(event)
    }

    /// Lets go of a socket: its place can be used again. One that is connected is disconnected.
    pub fn release(&mut self, slot: Slot, session: &mut impl Session) {
        self.disconnect(slot, session);
        let Some(entry) = self.entry(slot) else { return };
        let cost = entry.events.drain(..).map(|(_, cost)| cost).sum();
        *entry = Entry::free();
        session.release(cost);
        if self.slots.iter().all(|entry| entry.state == State::Free) {
            self.slots = Vec::new();
        }
    }
}

/// Outputs.
impl<T> Connection<T> {
    /// Returns the next thing that happened. Events of the client come before everything else.
    #[inline]
    pub fn poll_event(&mut self) -> Option<ConnectionEvent<T>> {
        if let Some(slot) = self.readable.pop_front() {
            return Some(ConnectionEvent::Readable(slot));
        }
        let event = self.outputs.pop_front()?;
        // Most clients connect once, and are silent then. Acknowledgements come again and again.
        let is_ack = matches!(event, ConnectionEvent::Acknowledged(..));
        if self.outputs.is_empty() && (!is_ack || self.outputs.capacity() > KEPT) {
            self.outputs = VecDeque::new();
        }
        Some(event)
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). It may be too early, never too late.
    pub fn poll_timeout(&self) -> Option<Time> {
        let acks = self.slots.iter().filter_map(|entry| entry.acks.next());
        acks.chain(self.connect_deadline).min()
    }
}

/// Getters.
impl<T> Connection<T> {
    /// Returns whether [`poll_event`](Self::poll_event) has something.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.readable.is_empty() || !self.outputs.is_empty()
    }

    /// Returns whether a socket is connected.
    pub fn is_connected(&self, slot: Slot) -> bool {
        self.find_entry(slot).is_some_and(Entry::is_connected)
    }

    /// Returns whether a client waits for the response to its request.
    pub fn is_connecting(&self, slot: Slot) -> bool {
        self.find_entry(slot).is_some_and(|entry| entry.state == State::Connecting)
    }

    /// Returns whether events of a socket wait to be taken.
    pub fn is_readable(&self, slot: Slot) -> bool {
        self.find_entry(slot).is_some_and(|entry| !entry.events.is_empty())
    }

    /// Returns the sockets that are connected, in the order of their places.
    pub fn connected(&self) -> impl Iterator<Item = Slot> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, entry)| entry.is_connected()).map(|(index, entry)| slot(index, entry))
    }

    /// Returns the fault of the client for which its session was closed.
    pub const fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Returns the revision of Engine.IO that the client speaks. The third is that of Socket.IO 2.x.
    pub const fn revision(&self) -> Revision {
        self.revision
    }
}

impl<T> Connection<T> {
    fn find(&self, namespace: &str) -> Option<usize> {
        let is_it = |entry: &Entry<T>| {
            matches!(entry.state, State::Connecting | State::Connected)
                && entry.namespace == *namespace
        };
        self.slots.iter().position(is_it)
    }

    fn index(&self, slot: Slot) -> Option<usize> {
        self.find_entry(slot).map(|_| slot.index)
    }

    fn find_entry(&self, slot: Slot) -> Option<&Entry<T>> {
        self.slots.get(slot.index).filter(|entry| entry.serial == slot.serial)
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut Entry<T>> {
        self.slots.get_mut(slot.index).filter(|entry| entry.serial == slot.serial)
    }

    fn slot(&self, index: usize) -> Slot {
        slot(index, &self.slots[index])
    }

    fn send(
        &mut self,
        is_connected: bool,
        message: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        if !is_connected {
            return Err(TryEmitError { message, reason: EmitError::Disconnected });
        }
        if !self.waiting.is_empty() {
            // There may be room for what waits before the session tells.
            self.handle_writable(session);
        }
        if !self.waiting.is_empty() {
            let (queued, max) = session.queued();
            return Err(TryEmitError { message, reason: EmitError::Full { queued, max } });
        }
        session.send(message).map_err(|TrySendError { message, reason }| {
            let reason = match reason {
                SendError::Full { queued, max } => EmitError::Full { queued, max },
                _ => EmitError::Disconnected,
            };
            TryEmitError { message, reason }
        })
    }

    /// Encodes a packet of the protocol itself.
    fn control(&self, packet: &Packet) -> Encoded {
        // Its payload was made here, of strings: no parser fails on it.
        self.config.parser.packet(packet).unwrap_or_else(|_| Encoded::group([]))
    }

    /// Sends what the protocol itself has to say. It waits here if there is no room.
    fn respond(&mut self, message: Encoded, session: &mut impl Session) {
        self.queue(message, session);
        // Each was asked for. A client that asks so often and never reads would fill the memory.
        if self.waiting.len() > self.missed + self.config.max_namespaces + MAX_WAITING {
            self.fault = Some(Fault::TakesNoResponses);
            self.end(DisconnectReason::ForcedClose);
            session.abort(CloseReason::ForcedClose);
        }
    }

    fn queue(&mut self, message: Encoded, session: &mut impl Session) {
        if self.waiting.is_empty() {
            self.missed = 0;
            let sent = session.send(message);
            if let Err(TrySendError { message, reason: SendError::Full { .. } }) = sent {
                self.waiting.push_back(message);
            }
        } else if !self.is_closed {
            self.waiting.push_back(message);
        }
    }

    fn send_connect_error(
        &mut self,
        namespace: Text,
        error: &ConnectError,
        session: &mut impl Session,
    ) {
        let payload = match self.revision {
            Revision::V4 => error.payload(),
            Revision::V3 => error.payload_for_old_clients(),
        };
        let packet = Packet { namespace, data: PacketData::ConnectError(payload) };
        let message = self.control(&packet);
        self.respond(message, session);
    }

    /// The client no longer waits for a response.
    fn cancel(&mut self, index: usize) {
        let slot = self.slot(index);
        self.slots[index] = Entry::free();
        self.outputs.push_back(ConnectionEvent::Cancelled(slot));
    }

    fn end_slot(&mut self, index: usize, reason: DisconnectReason) {
        let slot = self.slot(index);
        let entry = &mut self.slots[index];
        entry.state = State::Ended;
        for (_, token) in entry.acks.drain() {
            let result = Err(AckError::Disconnected(reason));
            self.outputs.push_back(ConnectionEvent::Acknowledged(slot, token, result));
        }
        self.outputs.push_back(ConnectionEvent::Disconnected(slot, reason));
    }

    fn end(&mut self, reason: DisconnectReason) {
        self.is_closed = true;
        self.connect_deadline = None;
        self.waiting = VecDeque::new();
        self.left = Vec::new();
        for index in 0..self.slots.len() {
            match self.slots[index].state {
                State::Connecting => self.cancel(index),
                State::Connected => self.end_slot(index, reason),
                State::Ended | State::Free => {}
            }
        }
    }

    /// Closes the session because of a fault of the client.
    fn fail(&mut self, now: Time, fault: Fault, session: &mut impl Session) {
        if !self.is_closed {
            session.release(core::mem::take(&mut self.unread));
            self.fault = Some(fault);
            self.close(now, DisconnectReason::ForcedClose, session);
        }
    }
}

impl<T> Entry<T> {
    /// A place that can be used again. Names of slots begin with 1.
    fn free() -> Self {
        Self {
            serial: 0,
            namespace: Text::EMPTY,
            state: State::Free,
            events: VecDeque::new(),
            acks: Acks::new(),
        }
    }

    fn is_connected(&self) -> bool {
        self.state == State::Connected
    }
}

fn slot<T>(index: usize, entry: &Entry<T>) -> Slot {
    Slot { index, serial: entry.serial }
}

/// Payload of the packet that connects a client.
#[derive(Serialize)]
struct Connected<'a> {
    sid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<&'a str>,
}

impl<T: Send + 'static> Layer for Connection<T> {
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: EngineEvent) {
        match event {
            EngineEvent::Message(message) => self.handle_message(cx.now, message, cx.session),
            EngineEvent::Writable => self.handle_writable(cx.session),
            EngineEvent::Closed(reason) => self.handle_closed(&reason),
            _ => {}
        }
        if self.has_events() {
            cx.notify();
        }
    }

    fn handle_timeout(&mut self, cx: &mut LayerContext<'_>) {
        self.handle_timeout(cx.now, cx.session);
        if self.has_events() {
            cx.notify();
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.poll_timeout()
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("revision", &self.revision)
            .field("connected", &self.connected().count())
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// Places of queues that are kept when they are empty.
const KEPT: usize = 16;

/// Responses that wait for room, besides one for each namespace.
const MAX_WAITING: usize = 64;
