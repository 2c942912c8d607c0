//! Sequencer: one order of broadcasts for all members of a namespace.

use alloc::collections::VecDeque;

/// Error of a queue that has no room. It gives the item back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct Full<T>(pub T);

/// Order of broadcasts whose deliverers run at the same time.
///
/// A broadcast is delivered outside the lock of the namespace, one member after the other. Two that were delivered at
/// once would reach members in different orders. So one caller at a time has the turn to deliver. Others leave their
/// broadcasts in a queue.
///
/// # Use
///
/// All calls are made under the lock of the namespace, deliveries outside of it.
///
/// 1. [`push`](Self::push) a broadcast. If it returns one, the caller has the turn and delivers that one.
/// 2. After each delivery call [`next`](Self::next), and deliver what it returns. `None` ends the turn.
/// 3. A deliverer that stops in between, to let other tasks run, calls [`suspend`](Self::suspend) with the rest of its
///    broadcast. Somebody must then call [`resume`](Self::resume), such as a caller that waits: see [`iter`](Self::iter).
///
/// Members that have left since a broadcast was pushed take no part in it.
///
/// Events to single members keep the same order only if they are pushed too.
#[derive(Debug)]
pub struct Sequencer<T> {
    queue: VecDeque<(T, usize)>,
    /// The sum of the costs in the queue.
    queued: usize,
    limit: usize,
    /// A caller has the turn.
    busy: bool,
}

impl<T> Sequencer<T> {
    /// Creates a sequencer whose queue holds items up to a total cost of `limit`.
    ///
    /// Costs are bytes by convention.
    pub const fn new(limit: usize) -> Self {
        Self { queue: VecDeque::new(), queued: 0, limit, busy: false }
    }

    /// Adds an item behind all others. Returns the item to deliver if the caller now has the turn.
    ///
    /// That is `item` itself, or an older one after [`suspend`](Self::suspend).
    ///
    /// # Errors
    ///
    /// [`Full`] gives the item back if the queue has no room for its cost.
    pub fn push(&mut self, item: T, cost: usize) -> Result<Option<T>, Full<T>> {
        if !self.busy && self.queue.is_empty() {
            self.busy = true;
            return Ok(Some(item));
        }
        if cost > self.limit.saturating_sub(self.queued) {
            return Err(Full(item));
        }
        self.queue.push_back((item, cost));
        self.queued += cost;
        Ok(self.resume())
    }

    /// Ends a delivery. Returns the next item to deliver; without one, the turn is free.
    ///
    /// Only the caller that has the turn may call it.
    #[expect(clippy::should_implement_trait, reason = "it ends a turn, and goes on after `None`")]
    pub fn next(&mut self) -> Option<T> {
        let next = self.queue.pop_front();
        self.busy = next.is_some();
        if let Some((_, cost)) = &next {
            self.queued -= cost;
        }
        if self.queue.is_empty() && self.queue.capacity() > Self::KEPT {
            self.queue = VecDeque::new();
        }
        next.map(|(item, _)| item)
    }

    /// Ends the turn in the middle of a delivery. What is left of the item comes before all others.
    ///
    /// Only the caller that has the turn may call it. It fits always, whatever the limit.
    pub fn suspend(&mut self, rest: T, cost: usize) {
        self.queue.push_front((rest, cost));
        self.queued = self.queued.saturating_add(cost);
        self.busy = false;
    }

    /// Takes the turn if it is free and an item waits. Returns that item.
    pub fn resume(&mut self) -> Option<T> {
        if self.busy {
            return None;
        }
        self.next()
    }

    /// Returns the items that wait, the next one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.queue.iter().map(|(item, _)| item)
    }

    /// Returns whether a caller has the turn.
    pub const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Returns the number of items that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns whether no item waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the total cost of the items that wait.
    pub const fn queued(&self) -> usize {
        self.queued
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Places that an empty queue keeps.
    const KEPT: usize = 32;
}
