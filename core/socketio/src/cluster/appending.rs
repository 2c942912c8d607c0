//! Events that wait for their place in the log that a cluster shares.

use alloc::collections::{BTreeMap, VecDeque};

use super::AppendId;
use crate::{EmitError, id::Room};

/// Queue of events that wait for their place in the log.
///
/// They are in the order of the calls. A node delivers its own events as it does those of others: in the order of the log. Events that are not logged wait
/// behind those that are, so that all leave in the order of the calls. `T` is the owner's form of an event.
#[derive(Clone, Debug)]
pub struct Appending<T> {
    events: VecDeque<Waiting<T>>,
    /// The sum of their costs.
    queued: usize,
    /// The costs of those for one socket, by its own room.
    direct: BTreeMap<Room, usize>,
}

#[derive(Clone, Debug)]
struct Waiting<T> {
    /// The append whose end it waits for. `None`: it waits for those before it.
    append: Option<AppendId>,
    /// The room of the only socket that it is for.
    direct: Option<Room>,
    event: T,
    cost: usize,
}

impl<T> Appending<T> {
    /// Creates an empty queue.
    pub const fn new() -> Self {
        Self { events: VecDeque::new(), queued: 0, direct: BTreeMap::new() }
    }

    /// Returns whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the bytes that the events take, about.
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// Checks whether another event may wait for the socket with this room.
    ///
    /// Each of those that wait had room in its session, but all of them together may not have.
    ///
    /// # Errors
    ///
    /// [`EmitError::Full`]: 1 MiB waits for it already.
    pub fn check_direct(&self, room: &str) -> Result<(), EmitError> {
        match self.direct.get(room) {
            Some(&queued) if queued >= MAX_DIRECT => {
                Err(EmitError::Full { queued, max: MAX_DIRECT })
            }
            _ => Ok(()),
        }
    }

    /// Adds an event of `cost` bytes behind all others.
    ///
    /// It waits for the end of `append`, or only for the events before it. `direct` is the room of a socket if the
    /// event is for that alone.
    pub fn push(&mut self, append: Option<AppendId>, direct: Option<Room>, event: T, cost: usize) {
        let cost = cost.saturating_add(size_of::<Waiting<T>>());
        self.queued = self.queued.saturating_add(cost);
        if let Some(room) = &direct {
            let queued = self.direct.entry(room.clone()).or_default();
            *queued = queued.saturating_add(cost);
        }
        self.events.push_back(Waiting { append, direct, event, cost });
    }

    /// Takes the next event if it waits for the end of `append`.
    ///
    /// Without an append it takes one that waits for nothing any more.
    pub fn pop(&mut self, append: Option<AppendId>) -> Option<T> {
        let Waiting { direct, event, cost, .. } = match self.events.front() {
            Some(waiting) if waiting.append == append => self.events.pop_front()?,
            _ => return None,
        };
        self.queued = self.queued.saturating_sub(cost);
        if let Some(room) = direct
            && let Some(queued) = self.direct.get_mut(&room)
        {
            *queued = queued.saturating_sub(cost);
            if *queued == 0 {
                self.direct.remove(&room);
            }
        }
        if self.events.is_empty() {
            // Storage that a burst took is freed.
            *self = Self::new();
        }
        Some(event)
    }
}

impl<T> Default for Appending<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes for one socket that wait for the log, from which on further events are refused. The last may exceed it.
const MAX_DIRECT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_in_order_each_at_the_end_of_its_append() {
        let mut appending = Appending::new();
        for (append, event) in [(Some(1), 'a'), (None, 'b'), (Some(2), 'c')] {
            appending.push(append.map(AppendId), None, event, 10);
        }
        assert_eq!(appending.pop(Some(AppendId(2))), None);
        assert_eq!(appending.pop(None), None, "it waits for one before it");
        assert_eq!(appending.pop(Some(AppendId(1))), Some('a'));
        assert_eq!(appending.pop(None), Some('b'));
        assert_eq!(appending.pop(None), None);
        assert_eq!(appending.pop(Some(AppendId(2))), Some('c'));
        assert!(appending.is_empty() && appending.queued() == 0);
    }

    #[test]
    fn events_for_one_socket_count_with_all_that_they_take() {
        let mut appending = Appending::new();
        let mut events = 0;
        while appending.check_direct("socket").is_ok() {
            appending.push(Some(AppendId(events)), Some("socket".into()), (), 0);
            events += 1;
            assert!(appending.events.len() * size_of::<Waiting<()>>() <= appending.queued());
            assert!(events < 100_000, "{} bytes", appending.queued());
        }
        assert!(appending.check_direct("other").is_ok());
        assert!((0..events).all(|append| appending.pop(Some(AppendId(append))).is_some()));
        assert!(appending.is_empty() && appending.queued() == 0);
        assert!(appending.check_direct("socket").is_ok());
    }
}
