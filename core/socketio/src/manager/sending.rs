//! The way of packets into the session, and what waits for it.

use alloc::collections::VecDeque;

use enginewire::{Encoded, SendError, Text, Time, TrySendError};

use super::{
    Control, Link, Manager, ManagerEvent, Offline, Root,
    entry::{Entry, cost},
};
use crate::{
    connection::{EmitError, Session, Slot, TryEmitError},
    packet::{AckId, Packet, PacketData},
};

impl<T> Manager<T> {
    /// Tells the server that a socket leaves.
    pub(super) fn leave(&mut self, namespace: Text, session: &mut impl Session) {
        if namespace == *"/" {
            self.root = Root::Left;
        }
        self.left.insert(namespace.clone());
        if let Some(index) = self.find(&namespace) {
            self.entries[index].is_stale = true;
        }
        self.control(&Packet { namespace, data: PacketData::Disconnect }, session);
    }

    /// Sends a packet of the protocol itself, behind what waits.
    pub(super) fn control(&mut self, packet: &Packet, session: &mut impl Session) {
        // Payloads of applications were encoded before.
        let Ok(message) = self.config.parser.packet(packet) else { return };
        self.waiting.push_back(Control { message, is_event: false });
        self.flush_waiting(session);
    }

    /// Queues an event on the connection, or for the next. Returns false if it was dropped.
    pub(super) fn send(
        &mut self,
        slot: Slot,
        event: Encoded,
        ack: Option<AckId>,
        session: &mut impl Session,
    ) -> Result<bool, TryEmitError> {
        let is_connected = self.find_entry(slot).is_some_and(Entry::is_connected);
        if !is_connected {
            return self.send_offline(slot, event, ack);
        }
        match self.send_connected(slot, event, session) {
            Ok(()) => Ok(true),
            Err(TryEmitError { message, reason: EmitError::Disconnected }) => {
                self.send_offline(slot, message, ack)
            }
            Err(error) => Err(error),
        }
    }

    /// Queues a message on the connection of a socket, which is connected.
    ///
    /// [`EmitError::Disconnected`] says that the session has closed, which the manager is about to be told.
    pub(super) fn send_connected(
        &mut self,
        slot: Slot,
        message: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        let has_way = self.waiting.is_empty() || self.flush_waiting(session);
        let Some(entry) = self.entry(slot) else {
            return Err(TryEmitError { message, reason: EmitError::Disconnected });
        };
        if !has_way || !entry.offline.is_empty() {
            entry.is_full = true;
            let (queued, max) = session.queued();
            return Err(TryEmitError { message, reason: EmitError::Full { queued, max } });
        }
        session.send(message).map_err(|TrySendError { message, reason }| {
            let reason = match reason {
                SendError::Full { queued, max } => {
                    entry.is_full = true;
                    EmitError::Full { queued, max }
                }
                _ => EmitError::Disconnected,
            };
            TryEmitError { message, reason }
        })
    }

    pub(super) fn send_offline(
        &mut self,
        slot: Slot,
        event: Encoded,
        ack: Option<AckId>,
    ) -> Result<bool, TryEmitError> {
        if let Err(reason) = self.check_offline(slot, &event) {
            return Err(TryEmitError { message: event, reason });
        }
        let offline = self.config.offline;
        match (self.entry(slot), offline) {
            (Some(_), Offline::Drop) => Ok(false),
            (Some(entry), Offline::Buffer) => {
                entry.offline.push(event, ack);
                Ok(true)
            }
            _ => Err(TryEmitError { message: event, reason: EmitError::Disconnected }),
        }
    }

    /// Checks whether an event may wait for a connection.
    pub(super) fn check_offline(&mut self, slot: Slot, event: &Encoded) -> Result<(), EmitError> {
        let max = self.config.max_offline;
        let Some(entry) = self.entry(slot).filter(|entry| entry.end.is_none()) else {
            return Err(EmitError::Disconnected);
        };
        let queued = entry.queued();
        // One that is larger than the limit would never find room.
        if queued > 0 && queued + cost(event) > max {
            entry.is_full = true;
            return Err(EmitError::Full { queued, max });
        }
        Ok(())
    }

    /// Sends what waits as far as there is room.
    pub(super) fn flush(&mut self, now: Time, session: &mut impl Session) {
        if self.link != Link::Open || !self.flush_waiting(session) {
            return;
        }
        for index in 0..self.entries.len() {
            if !self.flush_entry(now, index, session) {
                break;
            }
        }
        self.close_unneeded(now, session);
    }

    /// Sends what waits of a socket. Returns whether the session has room for more.
    pub(super) fn flush_entry(
        &mut self,
        now: Time,
        index: usize,
        session: &mut impl Session,
    ) -> bool {
        let entry = &mut self.entries[index];
        if !entry.is_connected() {
            return true;
        }
        while let Some((event, ack)) = entry.offline.pop() {
            if let Err(TrySendError { message, .. }) = session.send(event) {
                entry.offline.push_front(message, ack);
                return false;
            }
        }
        if let Some(event) = entry.retries.unsent().cloned() {
            if session.send(event).is_err() {
                return false;
            }
            entry.retries.sent(now);
        }
        let (queued, max) = session.queued();
        if queued < max {
            self.tell_room(index);
        }
        true
    }

    /// Sends what nothing may overtake. Returns whether all of it has left.
    pub(super) fn flush_waiting(&mut self, session: &mut impl Session) -> bool {
        while let Some(Control { message, is_event }) = self.waiting.pop_front() {
            if let Err(TrySendError { message, .. }) = session.send(message) {
                self.waiting.push_front(Control { message, is_event });
                return false;
            }
        }
        self.waiting = VecDeque::new();
        true
    }

    /// Closes a session that no socket needs, once what waits has left.
    pub(super) fn close_unneeded(&mut self, now: Time, session: &mut impl Session) {
        if self.is_needed() {
            return;
        }
        match self.link {
            Link::Down | Link::Wanted => {
                self.link = Link::Down;
                self.reconnector = self.new_reconnector();
                return;
            }
            Link::Closing => return,
            Link::Opening | Link::Open => {}
        }
        self.give_grace(now);
        let is_late = self.close_by.is_some_and(|close_by| close_by <= now);
        if self.waiting.is_empty() || is_late || self.link == Link::Opening {
            self.link = Link::Closing;
            self.close_by = None;
            session.close(now);
        } else {
            self.close_by.get_or_insert(now + self.config.close_timeout);
        }
    }

    /// Tells a sender that found no room, if there is some.
    pub(super) fn tell_room(&mut self, index: usize) {
        let max = self.config.max_offline;
        let entry = &mut self.entries[index];
        let has_room = match entry.is_connected() {
            // On a connection only what has retries waits here.
            true => entry.offline.is_empty(),
            false => entry.queued() <= max / 2,
        };
        if (has_room || entry.end.is_some()) && core::mem::take(&mut entry.is_full) {
            let slot = self.slot(index);
            self.outputs.push_back(ManagerEvent::Writable(slot));
        }
    }
}
