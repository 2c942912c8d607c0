//! Log of events, bounded in time, number and bytes.

use alloc::collections::VecDeque;
use core::{
    hash::{Hash, Hasher},
    time::Duration,
};

use enginewire::{Fingerprint, Time};

use crate::adapter::Target;

#[derive(Clone, Debug)]
pub(super) struct Log<E> {
    events: VecDeque<Event<E>>,
    /// The number of the last event. The first one of all has 1.
    last: u64,
    bytes: usize,
    /// The time of the last event that was cut off.
    cut_at: Option<Time>,
}

#[derive(Clone, Debug)]
pub(super) struct Event<E> {
    at: Time,
    pub(super) target: Target,
    pub(super) payload: E,
    cost: usize,
}

/// Shorter logs keep their storage.
const LEAST: usize = 32;

impl<E> Log<E> {
    pub(super) const fn new() -> Self {
        Self { events: VecDeque::new(), last: 0, bytes: 0, cut_at: None }
    }

    pub(super) fn push(&mut self, at: Time, target: Target, payload: E, cost: usize) {
        self.last += 1;
        self.bytes = self.bytes.saturating_add(cost);
        self.events.push_back(Event { at, target, payload, cost });
    }

    /// Cuts off the oldest events until the log is within its bounds.
    pub(super) fn cut(&mut self, max_events: usize, max_bytes: usize) {
        while self.events.len() > max_events || self.bytes > max_bytes {
            self.pop();
        }
    }

    /// Cuts off events that were logged `age` ago or earlier.
    pub(super) fn expire(&mut self, now: Time, age: Duration) {
        while self.oldest().is_some_and(|at| at + age <= now) {
            self.pop();
        }
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
        let Self { events, last, bytes, cut_at } = self;
        into.push(&(last, bytes, events.len()));
        into.push_time(now, *cut_at);
        for Event { at, target, payload, cost } in events {
            into.push_time(now, Some(*at));
            into.push(&(&target.rooms, &target.except, payload, cost));
        }
    }
}
