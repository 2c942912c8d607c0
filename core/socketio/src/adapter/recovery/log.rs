//! Log of events, bounded in time, number and bytes.

use alloc::collections::VecDeque;
use core::{
    hash::{Hash, Hasher},
    time::Duration,
};

use enginewire::{Fingerprint, Time};

use super::{EntryId, history::Moment};
use crate::adapter::Target;

#[derive(Clone, Debug)]
pub(super) struct Log<E> {
    events: VecDeque<Event<E>>,
    /// The number of the last event. The first one of all has 1.
    last: u64,
    bytes: usize,
    /// The time of the last event that was cut off.
    cut_at: Option<Time>,
    /// The last event that is not in the log of the cluster.
    last_own: Option<(u64, Time)>,
    /// The last entry of the cluster's log, and its number.
    last_entry: Option<(EntryId, u64)>,
    /// No events are added before the ones behind this number.
    floor: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Event<E> {
    at: Time,
    /// The entry of the cluster's log that it is, or behind which it came.
    position: Option<EntryId>,
    /// It is not in the log of the cluster.
    is_own: bool,
    pub(super) target: Target,
    pub(super) payload: E,
    cost: usize,
    /// The event without an entry that it is, told of its entry late.
    pub(super) again: Option<u64>,
}

/// Shorter logs keep their storage.
const LEAST: usize = 32;

/// As many events can be added before the first one. Numbers have 48 bits.
const ROOM: u64 = 1 << 40;

impl<E> Log<E> {
    pub(super) const fn new() -> Self {
        Self {
            events: VecDeque::new(),
            last: 0,
            bytes: 0,
            cut_at: None,
            last_own: None,
            last_entry: None,
            floor: 0,
        }
    }

    /// Numbers events from so high a number that as many older ones find room before them.
    pub(super) fn leave_room(&mut self) {
        debug_assert!(self.last == 0, "nothing is logged yet");
        self.last = ROOM;
    }

    pub(super) fn push(
        &mut self,
        at: Time,
        id: Option<EntryId>,
        target: Target,
        payload: E,
        cost: usize,
    ) {
        self.last += 1;
        let is_own = id.is_none();
        match id {
            Some(id) => self.last_entry = Some((id, self.last)),
            None => self.last_own = Some((self.last, at)),
        }
        let position = self.last_entry.map(|(id, _)| id);
        self.bytes = self.bytes.saturating_add(cost);
        let again = None;
        self.events.push_back(Event { at, position, is_own, target, payload, cost, again });
    }

    /// Cuts off all events, and forgets which entries they were.
    ///
    /// No older ones are added later: among the numbers of sockets they would stand at a wrong place.
    pub(super) fn start_anew(&mut self) {
        while !self.events.is_empty() {
            self.pop();
        }
        self.last_entry = None;
        self.floor = self.last;
    }

    /// Adds an older event, unless the numbers have no room.
    pub(super) fn push_front(
        &mut self,
        at: Time,
        id: EntryId,
        target: Target,
        payload: E,
        cost: usize,
    ) {
        if self.cut_number() <= self.floor {
            return;
        }
        let position = Some(id);
        for own in self.events.iter_mut().take_while(|event| event.position.is_none()) {
            own.position = position;
        }
        if self.last_entry.is_none() {
            self.last_entry = Some((id, self.cut_number()));
        }
        self.bytes = self.bytes.saturating_add(cost);
        let (is_own, again) = (false, None);
        self.events.push_front(Event { at, position, is_own, target, payload, cost, again });
    }

    /// Adds an event once more that had no entry: it has one, behind all others.
    ///
    /// If it was cut off, so are all before the entry.
    pub(super) fn push_again(&mut self, at: Time, id: EntryId, number: u64)
    where
        E: Clone,
    {
        let index = number.checked_sub(self.cut_number() + 1).and_then(|it| it.try_into().ok());
        let event = index.and_then(|index: usize| self.events.get(index));
        // The number may be that of an older event by now, which was added later.
        let event = event.filter(|event| event.is_own);
        match event.map(|event| (event.target.clone(), event.payload.clone(), event.cost)) {
            Some((target, payload, cost)) => {
                self.push(at, Some(id), target, payload, cost);
                self.events.back_mut().into_iter().for_each(|event| event.again = Some(number));
            }
            None => {
                self.interrupt(at);
                self.last_entry = Some((id, self.last));
            }
        }
    }

    /// Cuts off the oldest events until the log is within its bounds.
    pub(super) fn cut(&mut self, max_events: usize, max_bytes: usize) {
        while self.events.len() > max_events || self.bytes > max_bytes {
            // None is added ahead of an event of this node alone: who has older ones would miss it without notice.
            if self.events.front().is_some_and(|event| event.is_own) {
                self.floor = self.cut_number() + 1;
            }
            self.pop();
        }
    }

    /// Cuts off events that were logged `age` ago or earlier.
    pub(super) fn expire(&mut self, now: Time, age: Duration) {
        while self.oldest().is_some_and(|at| at + age <= now) {
            self.pop();
        }
    }

    /// Cuts off all events, and leaves a number for others that are missing.
    pub(super) fn interrupt(&mut self, now: Time) {
        self.cut(0, 0);
        self.last += 1;
        self.last_own = Some((self.last, now));
        self.cut_at = Some(now);
    }

    fn pop(&mut self) {
        let Some(event) = self.events.pop_front() else {
            // An empty log has no bytes, whatever sum was cut short.
            self.bytes = 0;
            return;
        };
        self.bytes = self.bytes.saturating_sub(event.cost);
        self.cut_at = Some(event.at);
        if self.events.capacity() > LEAST && self.events.len() <= self.events.capacity() / 4 {
            self.events.shrink_to(self.events.len() * 2);
        }
    }

    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Returns the last event, and the last entry of the cluster's log up to it.
    pub(super) fn moment(&self) -> Moment {
        Moment { number: self.last, id: self.passed() }
    }

    /// Returns the number of the last event that is not in the log.
    pub(super) fn cut_number(&self) -> u64 {
        // There were at least as many events as the log has.
        self.last - self.events.len() as u64
    }

    pub(super) const fn cut_at(&self) -> Option<Time> {
        self.cut_at
    }

    pub(super) fn oldest(&self) -> Option<Time> {
        self.events.front().map(|event| event.at)
    }

    /// Returns the events behind the number `after`, with their numbers.
    pub(super) fn since(&self, after: u64) -> impl Iterator<Item = (u64, &Event<E>)> {
        let first = self.cut_number() + 1;
        let skip = usize::try_from(after.saturating_add(1).saturating_sub(first));
        let skip = skip.unwrap_or(usize::MAX).min(self.events.len());
        (first + skip as u64..).zip(self.events.range(skip..))
    }

    /// Returns the last event that is not in the log of the cluster.
    pub(super) const fn last_own(&self) -> Option<(u64, Time)> {
        self.last_own
    }

    /// Returns the first entry of the cluster's log.
    pub(super) fn first_id(&self) -> Option<EntryId> {
        self.events.iter().find(|event| !event.is_own)?.position
    }

    /// Returns the last entry of the cluster's log, which may have been cut off.
    pub(super) fn passed(&self) -> Option<EntryId> {
        self.last_entry.map(|(id, _)| id)
    }

    /// Returns the last event if it is an entry of the cluster's log.
    pub(super) fn last_entry(&self) -> Option<EntryId> {
        let (id, number) = self.last_entry?;
        (number == self.last).then_some(id)
    }

    /// Returns the number of an entry of the cluster's log. The last one may have been cut off.
    pub(super) fn number_of(&self, id: EntryId) -> Option<u64> {
        if let Some((_, number)) = self.last_entry.filter(|(last, _)| *last == id) {
            return Some(number);
        }
        let index = self.events.partition_point(|event| event.position < Some(id));
        let event = self.events.get(index)?;
        let is_it = event.position == Some(id) && !event.is_own;
        is_it.then(|| self.cut_number() + 1 + index as u64)
    }

    /// Returns the number of the last entry up to `id`, or of the last event that was cut off.
    pub(super) fn number_until(&self, id: EntryId) -> u64 {
        let until = self.events.partition_point(|event| event.position <= Some(id));
        let last = until.checked_sub(1).and_then(|last| self.events[last].position);
        last.and_then(|last| self.number_of(last)).unwrap_or_else(|| self.cut_number())
    }

    /// Returns the last entry of the cluster's log that has this number, or a lower one.
    pub(super) fn id_until(&self, number: u64) -> Option<EntryId> {
        if let Some((id, _)) = self.last_entry.filter(|(_, last)| *last <= number) {
            return Some(id);
        }
        let index = number.checked_sub(self.cut_number() + 1)?;
        self.events.get(usize::try_from(index).ok()?)?.position
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Feeds all that the future depends on into `into`.
    pub(super) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>)
    where
        E: Hash,
    {
        let Self { events, last, bytes, cut_at, last_own, last_entry, floor } = self;
        let own = last_own.map(|(number, _)| number);
        into.push(&(last, bytes, events.len(), own, last_entry, floor));
        into.push_time(now, *cut_at);
        into.push_time(now, last_own.map(|(_, at)| at));
        for Event { at, position, is_own, target, payload, cost, again } in events {
            into.push_time(now, Some(*at));
            into.push(&(position, is_own, &target.rooms, &target.except, payload, cost, again));
        }
    }
}
