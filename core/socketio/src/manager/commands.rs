//! Commands of the application.

use alloc::vec::Vec;
use core::time::Duration;

use enginewire::{Backoff, CloseReason, Encoded, Revision, Text, Time};

use super::{
    Auth, Control, EndReason, Link, Manager, ManagerEvent,
    entry::{Entry, Retry, State},
};
use crate::{
    connection::{AckError, EmitError, Session, Slot, TryEmitError},
    packet::AckId,
    payload::Payload,
    reason::DisconnectReason,
};

/// Commands.
impl<T> Manager<T> {
    /// Makes a socket of a namespace. [`connect`](Self::connect) connects it.
    ///
    /// A missing slash at the start is added. For a server of Socket.IO 2 parameters may follow the name, as in
    /// `/chat?token=1`. Returns `None` if there is a socket of this namespace, or the manager was closed.
    pub fn open(&mut self, namespace: &str, auth: Auth) -> Option<Slot> {
        let name: Text = match namespace.starts_with('/') {
            true => namespace.into(),
            false => ["/", namespace].concat().into(),
        };
        self.serial += 1;
        let refusals = self.policy().with_attempts(self.config.refused_attempts);
        let has_query = self.config.revision == Revision::V3;
        let mut entry = Entry::new(self.serial, name, has_query, auth, Backoff::new(refusals));
        entry.is_stale = self.left.contains(&entry.namespace);
        entry.next_ack = self.next_ack;
        let taken =
            self.find(&entry.namespace).is_some_and(|index| !self.entries[index].is_released);
        if self.is_closed || taken {
            return None;
        }
        let is_free = |place: &Entry<T>| match place.state {
            State::Free => true,
            // The server has not responded to the last of this namespace.
            State::Leaving => place.is_released && place.namespace == entry.namespace,
            _ => false,
        };
        let leaving = |place: &Entry<T>| place.state == State::Leaving && is_free(place);
        let leaving = self.entries.iter().position(leaving);
        let free = leaving.or_else(|| self.entries.iter().position(is_free));
        let index = free.unwrap_or(self.entries.len());
        match self.entries.get_mut(index) {
            Some(place) if place.state == State::Leaving => {
                let has_none = matches!((&place.auth, &entry.auth), (Auth::None, Auth::None));
                let is_of_another = !has_none || place.query != entry.query || place.is_of_another;
                *place = Entry { state: State::Leaving, is_of_another, ..entry };
            }
            Some(place) => *place = entry,
            None => {
                if index == 0 {
                    // Most clients have no more than one.
                    self.entries.reserve_exact(1);
                }
                self.entries.push(entry);
            }
        }
        Some(self.slot(index))
    }

    /// Has a socket connected, again and again until it is disconnected or refused.
    ///
    /// Does nothing if that is so already, or once the manager is closed.
    pub fn connect(&mut self, now: Time, slot: Slot, session: &mut impl Session) {
        let (is_closed, timeout) = (self.is_closed, self.config.response_timeout);
        let Some(entry) = self.entry(slot).filter(|_| !is_closed) else { return };
        let is_leaving = entry.state == State::Leaving;
        entry.state = match entry.state {
            State::Idle => State::Waiting,
            // The request that was made is as good as another, unless the application says what is in it.
            State::Leaving if !entry.is_of_another && !matches!(entry.auth, Auth::Ask) => {
                State::Connecting(now + timeout)
            }
            State::Leaving => State::Rejoining(now + timeout),
            _ => return,
        };
        entry.end = None;
        self.close_by = None;
        if is_leaving {
            return;
        }
        match self.link {
            Link::Open => {
                self.begin(now, slot.index, session);
                // It may be connected already.
                self.flush(now, session);
            }
            Link::Down => self.ask_open(),
            Link::Wanted | Link::Opening | Link::Closing => {}
        }
    }

    /// Gives the payload that the application was asked for.
    ///
    /// Returns false if it is not asked any more.
    pub fn authorize(
        &mut self,
        now: Time,
        slot: Slot,
        auth: Option<Payload>,
        session: &mut impl Session,
    ) -> bool {
        let is_asking = self.entry(slot).is_some_and(|entry| entry.state == State::Asking);
        if is_asking {
            self.request(now, slot.index, auth.as_ref(), session);
            self.flush(now, session);
        }
        is_asking
    }

    /// Draws the number of an event that is to be acknowledged, to encode it with.
    pub fn next_ack(&mut self, slot: Slot) -> AckId {
        let Some(entry) = self.entry(slot) else { return AckId(0) };
        let id = AckId(entry.next_ack);
        entry.next_ack += 1;
        id
    }

    /// Queues an event.
    ///
    /// # Errors
    ///
    /// There is no room, or the socket was disconnected for good. The event comes back. [`ManagerEvent::Writable`]
    /// tells when there is room.
    pub fn emit(
        &mut self,
        slot: Slot,
        event: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        self.send(slot, event, None, session).map(drop)
    }

    /// Queues an event if it can be sent at once. All parts of it are sent, or none.
    ///
    /// # Errors
    ///
    /// It would have to wait, or the socket is not connected. The event comes back.
    pub fn emit_volatile(
        &mut self,
        slot: Slot,
        event: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        let reason = match self.entry(slot) {
            Some(entry) if entry.is_connected() && entry.offline.is_empty() => {
                if self.waiting.is_empty() && session.is_idle() {
                    return self.send_connected(slot, event, session);
                }
                EmitError::NotIdle
            }
            Some(entry) if entry.end.is_none() => EmitError::NotIdle,
            _ => EmitError::Disconnected,
        };
        Err(TryEmitError { message: event, reason })
    }

    /// Queues an event that the server is to acknowledge before `deadline`.
    ///
    /// [`ManagerEvent::Acknowledged`] gives `token` back: with the arguments, at the deadline, or when the connection
    /// is lost. An event that has not left by its deadline does not leave any more.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), or the server owes too many acknowledgements.
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
        if self.entry(slot).is_some_and(|entry| entry.acks.len() >= max) {
            let reason = EmitError::TooManyAcks { max };
            return Err(TryEmitError { message: event, reason });
        }
        let is_kept = self.send(slot, event, Some(id), session)?;
        if let Some(entry) = self.entry(slot) {
            if is_kept {
                entry.acks.insert(id, deadline, token);
            } else {
                let result = Err(AckError::NotSent);
                self.outputs.push_back(ManagerEvent::Acknowledged(slot, token, result));
            }
        }
        Ok(())
    }

    /// Queues an event that is sent up to `retries` times again, until it is acknowledged.
    ///
    /// Such events leave one after the other, in the order of the calls: the next when the last is acknowledged, or
    /// given up. A lost connection does not end them, but each time that it is sent counts, and the end of the socket
    /// does. `timeout` is for each time.
    /// The server may get an event more than once.
    ///
    /// # Errors
    ///
    /// There is no room, or the socket was disconnected for good. The event comes back.
    #[expect(clippy::too_many_arguments, reason = "all of them say how, as for `emit_with_ack`")]
    pub fn emit_with_retries(
        &mut self,
        now: Time,
        slot: Slot,
        event: Encoded,
        id: AckId,
        retries: u32,
        timeout: Duration,
        token: T,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        self.check_offline(slot, &event)
            .map_err(|reason| TryEmitError { message: event.clone(), reason })?;
        if let Some(entry) = self.entry(slot) {
            let left = retries.saturating_add(1);
            entry.retries.push(Retry { event, id, left, timeout, token, was_sent: false });
        }
        self.flush(now, session);
        Ok(())
    }

    /// Forgets an acknowledgement that nothing waits for any more. The event is sent nevertheless.
    pub fn forget_ack(&mut self, slot: Slot, id: AckId) -> Option<T> {
        self.entry(slot)?.acks.remove(id)
    }

    /// Queues the acknowledgement of an event that came on a connection.
    ///
    /// # Errors
    ///
    /// There is no room, or that connection is lost: the server does not wait for it any more. The message comes back.
    pub fn acknowledge(
        &mut self,
        slot: Slot,
        connection: u32,
        message: Encoded,
        session: &mut impl Session,
    ) -> Result<(), TryEmitError> {
        let is_of_it =
            |entry: &mut Entry<T>| entry.connection == connection && entry.is_connected();
        if self.entry(slot).is_some_and(is_of_it) {
            // It does not wait for the next one.
            return self.send_connected(slot, message, session);
        }
        Err(TryEmitError { message, reason: EmitError::Disconnected })
    }

    /// Drops the events of a socket that wait for a connection, those with retries too. Returns their number.
    ///
    /// Acknowledgements of theirs fail. One with retries that was sent is dropped as well: it does not count, and fails
    /// with [`AckError::Timeout`].
    pub fn forget_offline(&mut self, slot: Slot) -> usize {
        self.drop_waiting(slot, &AckError::Timeout)
    }

    /// Drops what waits of a socket. An event that was sent before fails with `sent`, as it may have arrived.
    fn drop_waiting(&mut self, slot: Slot, sent: &AckError) -> usize {
        let Some(entry) = self.entry(slot) else { return 0 };
        let waiting = core::mem::take(&mut entry.offline);
        let unsent = waiting.len() + entry.retries.unsent_len();
        let tokens: Vec<_> =
            waiting.acks().iter().filter_map(|&id| entry.acks.remove(id)).collect();
        self.fail_all(slot, tokens, AckError::NotSent);
        while let Some(retry) = self.entries[slot.index].retries.pop() {
            let error = if retry.was_sent { sent.clone() } else { AckError::NotSent };
            self.fail_all(slot, [retry.token], error);
        }
        self.tell_room(slot.index);
        unsent
    }

    /// Disconnects a socket for good, in whatever state it is. What was queued on its connection leaves first.
    ///
    /// Returns the number of events that waited for a connection: they are dropped, and acknowledgements fail.
    /// [`connect`](Self::connect) may connect it again.
    pub fn disconnect(&mut self, now: Time, slot: Slot, session: &mut impl Session) -> usize {
        let Some(entry) = self.entry(slot) else { return 0 };
        let state = entry.state;
        if state == State::Connected {
            // They leave before the server is told.
            let events = core::iter::from_fn(|| entry.offline.pop());
            let events = events.map(|(message, _)| Control { message, is_event: true });
            let events: Vec<_> = events.collect();
            self.waiting.extend(events);
            let namespace = self.entries[slot.index].namespace.clone();
            self.leave(namespace, session);
            self.drop_connection(slot.index, DisconnectReason::ClientLeft, 0);
        }
        self.end(now, slot.index, EndReason::Left, session);
        self.drop_waiting(slot, &AckError::Disconnected(DisconnectReason::ClientLeft))
    }

    /// Lets go of a socket, which is disconnected if it is connected. Its place can be used again.
    pub fn release(&mut self, now: Time, slot: Slot, session: &mut impl Session) -> usize {
        let unsent = self.disconnect(now, slot, session);
        let Some(entry) = self.entry(slot) else { return unsent };
        let cost = entry.updates.drain(..).map(|(_, cost)| cost).sum();
        entry.is_released = true;
        let next_ack = entry.next_ack;
        if entry.state != State::Leaving {
            entry.state = State::Free;
        }
        self.next_ack = self.next_ack.max(next_ack);
        self.give_back(cost, session);
        unsent
    }

    /// Disconnects all sockets for good, and closes the session behind what is queued.
    ///
    /// [`ManagerEvent::Closed`] follows when there is no session any more.
    pub fn close(&mut self, now: Time, session: &mut impl Session) {
        if self.is_closed {
            return;
        }
        for index in 0..self.entries.len() {
            let slot = self.slot(index);
            self.unsent += self.disconnect(now, slot, session);
        }
        self.is_closed = true;
        if self.link == Link::Down {
            self.tell_closed();
        }
    }

    /// Makes the next attempt to connect now, if one waits for its delay.
    ///
    /// It is for platforms that tell when the network is back.
    pub fn retry_now(&mut self) {
        if self.link == Link::Down
            && self.is_needed()
            && let Some(reconnector) = &mut self.reconnector
        {
            reconnector.retry_now();
            self.ask_open();
        }
    }

    /// Closes the session now. What is queued is lost. Sockets go on with the next one.
    pub fn abort(&mut self, session: &mut impl Session) {
        if !matches!(self.link, Link::Down | Link::Wanted) {
            session.abort(CloseReason::ForcedClose);
        }
    }
}
