//! Inputs of the session and of the clock.

use alloc::vec::Vec;

use enginewire::{ClientSession, CloseReason, Entropy, Message, Revision, Sid, Time};

use super::{
    Control, EndReason, Left, Link, Manager, ManagerEvent, Root, Update,
    entry::{Entry, State},
};
use crate::{
    connection::{AckError, Fault, Session, Slot},
    event::Event,
    packet::{AckId, Packet, PacketData},
    parser::Decoder,
    payload::Args,
    reason::DisconnectReason,
};

/// Network inputs.
impl<T> Manager<T> {
    /// Handles a session that has opened.
    ///
    /// `sid` is its id, of which those of sockets are made towards a server of Socket.IO 2. The session is to
    /// [hold](enginewire::ClientSession::hold) what is [unread](Self::unread).
    pub fn handle_opened(&mut self, now: Time, sid: Option<&str>, session: &mut impl Session) {
        if self.link != Link::Opening {
            return;
        }
        self.sid = sid.and_then(Sid::parse).filter(|_| self.config.revision == Revision::V3);
        self.link = Link::Open;
        self.root = Root::Expected;
        self.fault = None;
        self.decoder = Decoder::new(&self.config.parser, self.config.limits);
        for index in 0..self.entries.len() {
            if self.entries[index].state == State::Waiting {
                self.begin(now, index, session);
            }
        }
        self.close_unneeded(now, session);
    }

    /// Handles a message of the server.
    ///
    /// It counts as unread until [`take_update`](Self::take_update) gives that back.
    pub fn handle_message(&mut self, now: Time, message: Message, session: &mut impl Session) {
        let cost = message.cost();
        if self.fault.is_some() || self.link != Link::Open {
            return session.release(cost);
        }
        self.partial += cost;
        match self.decoder.handle_message(message) {
            Ok(None) => {}
            Ok(Some(packet)) => {
                let cost = core::mem::take(&mut self.partial);
                let kept = self.handle_packet(now, packet, cost, session);
                session.release(cost - kept);
                self.flush(now, session);
            }
            Err(error) => {
                session.release(core::mem::take(&mut self.partial));
                self.fail(error.into(), session);
            }
        }
    }

    /// Handles that the session has room again.
    pub fn handle_writable(&mut self, now: Time, session: &mut impl Session) {
        self.flush(now, session);
    }

    /// Handles the end of the session, or that none could be opened.
    ///
    /// `undelivered` is the number of messages that it had queued, see
    /// [`ClientSession::undelivered`](enginewire::ClientSession::undelivered).
    pub fn handle_closed(
        &mut self,
        now: Time,
        reason: &CloseReason,
        undelivered: usize,
        entropy: &mut dyn Entropy,
    ) {
        let link = core::mem::replace(&mut self.link, Link::Down);
        self.partial = 0;
        self.close_by = None;
        self.left = Left::default();
        self.next_ack = 0;
        let waiting = core::mem::take(&mut self.waiting);
        let events = waiting.iter().filter(|Control { is_event, .. }| *is_event).count();
        let unsent = undelivered + events;
        let lost = match &self.fault {
            Some(Fault::NoResponse) => DisconnectReason::TransportError,
            Some(_) => DisconnectReason::ParseError,
            None => reason.into(),
        };
        for index in 0..self.entries.len() {
            let entry = &mut self.entries[index];
            entry.is_stale = false;
            match entry.state {
                State::Connected => {
                    entry.state = State::Waiting;
                    self.drop_connection(index, lost, unsent);
                }
                State::Leaving => entry.arrive(),
                State::Asking | State::Connecting(_) | State::Rejoining(_) | State::Refused(_) => {
                    entry.state = State::Waiting;
                }
                State::Waiting | State::Idle | State::Free => {}
            }
        }
        if self.is_closed {
            self.unsent += unsent;
            return self.tell_closed();
        }
        if link == Link::Closing || !self.is_needed() {
            // It was not needed. If it is by now, nothing speaks against another.
            self.reconnector = self.new_reconnector();
            if self.is_needed() {
                self.ask_open();
            }
            return;
        }
        self.wait(now, link == Link::Opening, reason, entropy);
    }

    /// Handles a deadline that has passed. Does nothing before.
    ///
    /// A server whose deadline is handled late has a grace period, because its bytes may lie unread in a socket.
    pub fn handle_timeout(&mut self, now: Time, session: &mut impl Session) {
        self.give_grace(now);
        for index in 0..self.entries.len() {
            self.expire(now, index, session);
        }
        if let Some(reconnector) = &mut self.reconnector {
            reconnector.handle_timeout(now);
        }
        if self.link == Link::Down && self.is_needed() && self.reconnector.is_some() {
            self.ask_open();
        }
        self.flush(now, session);
        self.close_unneeded(now, session);
    }

    /// Extends what the server has to do, if the process was late.
    pub(super) fn give_grace(&mut self, now: Time) {
        let awaited = self.entries.iter().filter_map(Entry::peer_deadline);
        let first = awaited.chain(self.close_by).min();
        if let Some(due) = first.filter(|&due| due <= now)
            && let Some(until) = self.grace.extend_once(due, now)
        {
            self.entries.iter_mut().for_each(|entry| entry.extend_deadlines(until));
            self.close_by = self.close_by.map(|close_by| close_by.max(until));
        }
    }

    fn expire(&mut self, now: Time, index: usize, session: &mut impl Session) {
        let slot = self.slot(index);
        let entry = &mut self.entries[index];
        match entry.state {
            state if state.response_deadline().is_some_and(|deadline| deadline <= now) => {
                if session.is_receiving() {
                    self.fail(Fault::NoResponse, session);
                } else {
                    // It may lie unread, as the application has too much to catch up with.
                    entry.state.extend(now + self.config.response_timeout);
                }
            }
            State::Refused(due) if due <= now => {
                entry.state = State::Waiting;
                if self.link == Link::Open {
                    self.begin(now, index, session);
                }
            }
            _ => {}
        }
        let entry = &mut self.entries[index];
        let (mut expired, mut ids): (Vec<T>, Vec<AckId>) = Default::default();
        entry.acks.expire(now, |id, token| {
            ids.push(id);
            expired.push(token);
        });
        entry.offline.expire(&ids);
        if entry.retries.deadline().is_some_and(|deadline| deadline <= now) {
            expired.extend(entry.retries.fail());
        }
        if !expired.is_empty() {
            self.fail_all(slot, expired, AckError::Timeout);
            self.tell_room(index);
        }
    }

    /// Waits for the next attempt, or gives up.
    fn wait(
        &mut self,
        now: Time,
        has_failed: bool,
        reason: &CloseReason,
        entropy: &mut dyn Entropy,
    ) {
        let next = self.reconnector.as_mut().and_then(|reconnector| {
            reconnector.handle_lost(now, entropy);
            Some((reconnector.attempts(), reconnector.poll_timeout()?))
        });
        self.failure = Some(reason.clone());
        self.failures += 1;
        if next.is_none() {
            // The application may connect again.
            self.reconnector = self.new_reconnector();
        }
        for index in 0..self.entries.len() {
            if self.entries[index].state != State::Waiting {
                continue;
            }
            if has_failed {
                self.push_change(index, Update::Failed(reason.clone()));
            }
            match next {
                Some((attempt, due)) => {
                    let delay = due.since(now);
                    self.push_change(index, Update::Waiting { attempt, delay });
                }
                None => {
                    let ended = EndReason::Failed(reason.clone());
                    self.end(now, index, ended, &mut None::<ClientSession>);
                }
            }
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
        let Packet { namespace, data } = packet;
        if namespace == *"/" {
            self.root = match data {
                PacketData::Connect(_) => Root::Connected,
                PacketData::ConnectError(_) | PacketData::Disconnect => Root::Left,
                _ => self.root,
            };
        }
        let Some(index) = self.find(&namespace) else { return 0 };
        let (slot, entry) = (self.slot(index), &mut self.entries[index]);
        match (data, entry.state) {
            (PacketData::Connect(response), State::Connecting(_)) => {
                self.connected(now, index, response.as_ref(), session);
            }
            (PacketData::Connect(_), State::Leaving) => {
                entry.arrive();
                self.leave(namespace, session);
            }
            (PacketData::ConnectError(_), State::Leaving) => entry.arrive(),
            (PacketData::Connect(_), State::Rejoining(_)) => {
                self.leave(namespace, session);
                self.begin(now, index, session);
            }
            (PacketData::ConnectError(_), State::Rejoining(_)) => self.begin(now, index, session),
            // That of the connection before.
            (PacketData::Disconnect, State::Connecting(_)) if entry.is_stale => {}
            // Those of Socket.IO 2 connect everybody to `/`, whether it was asked for or not.
            (PacketData::Connect(_), _) if self.config.revision == Revision::V3 => {}
            (PacketData::Connect(_) | PacketData::ConnectError(_), State::Connected) => {
                self.fail(Fault::ConnectedTwice, session);
            }
            (PacketData::ConnectError(payload), State::Connecting(_)) => {
                self.refused(now, index, &payload, cost, session);
                return cost;
            }
            (PacketData::Event { ack, args }, State::Connected | State::Connecting(_)) => {
                // An event without even a name is none. One of the connection before is not of this.
                if args.is_empty() || (entry.is_stale && !entry.is_connected()) {
                    return 0;
                }
                let event = Event::new(args, ack);
                entry.place.note(&event);
                // Those that were missed come before the response.
                let connection = entry.connection;
                self.note_readable(index);
                self.unread += cost;
                let update = Update::Event { event, connection };
                self.entries[index].updates.push_back((update, cost));
                return cost;
            }
            (PacketData::Ack { id, args }, State::Connected) => self.acknowledged(slot, id, args),
            (PacketData::Disconnect, State::Connected | State::Connecting(_)) => {
                if entry.is_connected() {
                    self.drop_connection(index, DisconnectReason::ServerLeft, 0);
                }
                self.end(now, index, EndReason::ServerLeft, session);
            }
            _ => {}
        }
        0
    }

    fn acknowledged(&mut self, slot: Slot, id: AckId, args: Args) {
        let entry = &mut self.entries[slot.index];
        // One that comes late or twice stands for nothing.
        let token = entry.acks.remove(id).or_else(|| entry.retries.acknowledge(id));
        if let Some(token) = token {
            self.outputs.push_back(ManagerEvent::Acknowledged(slot, token, Ok(args)));
            self.tell_room(slot.index);
        }
    }

    /// Closes the session because of a fault of the server. It is tried again.
    pub(super) fn fail(&mut self, fault: Fault, session: &mut impl Session) {
        if self.fault.is_none() {
            self.fault = Some(fault);
            session.abort(CloseReason::Application("fault of the server"));
        }
    }
}
