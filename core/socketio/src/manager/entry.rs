//! One socket of a manager: its state, and what waits in either direction.

use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

use enginewire::{Backoff, Encoded, Limits, Text, Time};

use super::{Auth, EndReason, Update, recovery::Place};
use crate::{acks::Acks, id::SocketId, packet::AckId};

/// One socket: a namespace that the client wants to be connected to.
#[derive(Clone)]
pub(super) struct Entry<T> {
    pub(super) serial: u32,
    pub(super) namespace: Text,
    /// Parameters behind the name, which only clients of Socket.IO 2 send.
    pub(super) query: Text,
    pub(super) auth: Auth,
    pub(super) state: State,
    /// Requests to connect it so far: the number of its connection.
    pub(super) connection: u32,
    pub(super) id: Option<SocketId>,
    pub(super) place: Place,
    /// It was connected on this session before, of which packets may still come.
    pub(super) is_stale: bool,
    /// The application has let go of it.
    pub(super) is_released: bool,
    /// The request that it waits for has another payload: of the socket that was in its place, or that of a recovery
    /// which is not wanted any more.
    pub(super) is_of_another: bool,
    pub(super) end: Option<EndReason>,
    /// Requests in a row that were refused.
    pub(super) refusals: Backoff,
    pub(super) next_ack: u128,
    pub(super) acks: Acks<T>,
    pub(super) offline: Waiting,
    pub(super) retries: Retries<T>,
    /// Somebody waits for room.
    pub(super) is_full: bool,
    /// Updates that were not taken, with the cost of each.
    pub(super) updates: VecDeque<(Update, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// It neither is connected nor is to be.
    Idle,
    /// It waits for a session.
    Waiting,
    /// The application is asked for a payload.
    Asking,
    /// It waits for the response of the server, until the deadline.
    Connecting(Time),
    Connected,
    /// It was disconnected while it waited for the response: when that comes, the server is told.
    Leaving,
    /// The same, and then it is to be connected anew, as the request was made with another payload. It waits for the
    /// response until the deadline.
    Rejoining(Time),
    /// It was refused, and asks again then.
    Refused(Time),
    /// The place is free.
    Free,
}

impl State {
    /// Returns whether a session is needed.
    pub(super) const fn is_active(self) -> bool {
        !matches!(self, Self::Idle | Self::Leaving | Self::Free)
    }

    /// Returns until when the server has to respond.
    pub(super) const fn response_deadline(self) -> Option<Time> {
        match self {
            Self::Connecting(deadline) | Self::Rejoining(deadline) => Some(deadline),
            _ => None,
        }
    }

    /// Gives the server until then to respond, if it has to.
    pub(super) fn extend(&mut self, until: Time) {
        if let Self::Connecting(deadline) | Self::Rejoining(deadline) = self {
            *deadline = until.max(*deadline);
        }
    }
}

/// Events that wait for a connection.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Waiting {
    events: VecDeque<(Encoded, Option<AckId>)>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, event: Encoded, ack: Option<AckId>) {
        self.bytes += cost(&event);
        self.events.push_back((event, ack));
    }

    pub(super) fn pop(&mut self) -> Option<(Encoded, Option<AckId>)> {
        let (event, ack) = self.events.pop_front()?;
        self.bytes -= cost(&event);
        if self.events.is_empty() {
            *self = Self::default();
        }
        Some((event, ack))
    }

    /// Puts one back that found no room.
    pub(super) fn push_front(&mut self, event: Encoded, ack: Option<AckId>) {
        self.bytes += cost(&event);
        self.events.push_front((event, ack));
    }

    /// Drops those whose acknowledgements have expired. The numbers are in order.
    pub(super) fn expire(&mut self, expired: &[AckId]) {
        if expired.is_empty() || self.events.is_empty() {
            return;
        }
        let bytes = &mut self.bytes;
        self.events.retain(|(event, ack)| {
            let is_expired = ack.is_some_and(|id| expired.binary_search(&id).is_ok());
            if is_expired {
                *bytes -= cost(event);
            }
            !is_expired
        });
    }

    /// Returns the numbers of those that are to be acknowledged, in order.
    pub(super) fn acks(&self) -> Vec<AckId> {
        let mut acks: Vec<_> = self.events.iter().filter_map(|(_, ack)| *ack).collect();
        acks.sort_unstable();
        acks
    }
}

/// Events that are sent until they are acknowledged, one at a time.
#[derive(Clone, Debug)]
pub(super) struct Retries<T> {
    pub(super) events: VecDeque<Retry<T>>,
    /// The first has left, and is to be acknowledged until then.
    pub(super) sent_until: Option<Time>,
    pub(super) bytes: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Retry<T> {
    pub(super) event: Encoded,
    pub(super) id: AckId,
    /// Times that it may still be sent.
    pub(super) left: u32,
    pub(super) timeout: Duration,
    pub(super) token: T,
    /// It has left before, and may have arrived.
    pub(super) was_sent: bool,
}

impl<T> Retries<T> {
    pub(super) const fn new() -> Self {
        Self { events: VecDeque::new(), sent_until: None, bytes: 0 }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of those that have never left.
    pub(super) fn unsent_len(&self) -> usize {
        // Only the first can have.
        self.events.len() - self.events.iter().take(1).filter(|retry| retry.was_sent).count()
    }

    pub(super) fn push(&mut self, retry: Retry<T>) {
        self.bytes += cost(&retry.event);
        self.events.push_back(retry);
    }

    /// Returns the event that is to be sent next.
    pub(super) fn unsent(&self) -> Option<&Encoded> {
        if self.sent_until.is_some() {
            return None;
        }
        self.events.front().map(|retry| &retry.event)
    }

    /// Notes that the first was sent.
    pub(super) fn sent(&mut self, now: Time) {
        if let Some(retry) = self.events.front_mut() {
            retry.left = retry.left.saturating_sub(1);
            retry.was_sent = true;
            self.sent_until = Some(now + retry.timeout);
        }
    }

    /// Takes the first, if it was acknowledged.
    pub(super) fn acknowledge(&mut self, id: AckId) -> Option<T> {
        // One that was sent before, and comes late, counts as well.
        self.events.front().filter(|retry| retry.id == id)?;
        self.pop().map(|retry| retry.token)
    }

    /// Notes that the first is not acknowledged any more. Takes it if it is not to be sent again.
    pub(super) fn fail(&mut self) -> Option<T> {
        self.sent_until.take()?;
        self.events.front().filter(|retry| retry.left == 0)?;
        self.pop().map(|retry| retry.token)
    }

    /// Returns when the first must have been acknowledged.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.sent_until.filter(|&deadline| deadline != Time::MAX)
    }

    pub(super) fn pop(&mut self) -> Option<Retry<T>> {
        let retry = self.events.pop_front()?;
        self.bytes -= cost(&retry.event);
        self.sent_until = None;
        if self.events.is_empty() {
            *self = Self::new();
        }
        Some(retry)
    }
}

impl<T> Entry<T> {
    /// Creates a socket. Its name has parameters behind it if `has_query`, and there is a `?` in it.
    pub(super) fn new(
        serial: u32,
        name: Text,
        has_query: bool,
        auth: Auth,
        refusals: Backoff,
    ) -> Self {
        let (namespace, query) = match name.find('?').filter(|_| has_query) {
            Some(mark) => (name.slice(0..mark), name.slice_from(mark + 1)),
            None => (name, Text::EMPTY),
        };
        Self {
            serial,
            namespace,
            query,
            auth,
            state: State::Idle,
            connection: 0,
            id: None,
            place: Place::default(),
            is_stale: false,
            is_released: false,
            is_of_another: false,
            end: None,
            refusals,
            next_ack: 0,
            acks: Acks::new(),
            offline: Waiting::default(),
            retries: Retries::new(),
            is_full: false,
            updates: VecDeque::new(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// The response came that a socket waited for which is to leave.
    pub(super) const fn arrive(&mut self) {
        self.state = if self.is_released { State::Free } else { State::Idle };
    }

    /// Returns the bytes that wait to be sent.
    pub(super) const fn queued(&self) -> usize {
        self.offline.bytes() + self.retries.bytes()
    }

    /// Queues a change. Of those that wait and count for nothing, old ones go.
    pub(super) fn push_change(&mut self, update: Update, cost: usize) {
        let is_attempt =
            |update: &Update| matches!(update, Update::Failed(_) | Update::Waiting { .. });
        if let Update::Failed(_) = update {
            // Only the last attempt in a row is of interest.
            while self.updates.back().is_some_and(|(last, _)| is_attempt(last)) {
                self.updates.pop_back();
            }
        }
        let is_free = |(_, cost): &(Update, usize)| *cost == 0;
        let changes = self.updates.iter().filter(|waiting| is_free(waiting)).count();
        if changes >= MAX_CHANGES
            && let Some(oldest) = self.updates.iter().position(is_free)
        {
            self.updates.remove(oldest);
        }
        self.updates.push_back((update, cost));
    }

    /// Returns the earliest deadline.
    pub(super) fn deadline(&self) -> Option<Time> {
        let refused = match self.state {
            State::Refused(due) => Some(due),
            _ => None,
        };
        refused.into_iter().chain(self.peer_deadline()).min()
    }

    /// Returns when something is due that the server has to do.
    pub(super) fn peer_deadline(&self) -> Option<Time> {
        let response = self.state.response_deadline();
        [response, self.acks.next(), self.retries.deadline()].into_iter().flatten().min()
    }

    /// Gives the server until then for what it has to do.
    pub(super) fn extend_deadlines(&mut self, until: Time) {
        self.state.extend(until);
        self.acks.postpone(until);
        self.retries.sent_until = self.retries.sent_until.map(|deadline| deadline.max(until));
    }
}

/// Cost of an event, as in the queue of a session.
pub(super) fn cost(event: &Encoded) -> usize {
    event.len() + event.parts() * Limits::MESSAGE_OVERHEAD
}

/// Changes that wait to be taken.
const MAX_CHANGES: usize = 64;
