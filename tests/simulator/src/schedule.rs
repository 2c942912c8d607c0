//! What is to happen, and when: the clock jumps from one to the next.

use std::{cmp::Reverse, collections::BinaryHeap};

use enginewire::Time;

/// Events in the order of their times; at the same time by class, and then first come first served.
#[derive(Debug)]
pub(crate) struct Schedule<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    count: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Time,
    class: u8,
    number: u64,
    event: E,
}

impl<E> Schedule<E> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), count: 0 }
    }

    pub(crate) fn push(&mut self, at: Time, class: u8, event: E) {
        self.count += 1;
        self.heap.push(Reverse(Entry { at, class, number: self.count, event }));
    }

    /// When the next event is due.
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl<E> Entry<E> {
    const fn key(&self) -> (Time, u8, u64) {
        (self.at, self.class, self.number)
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_class_then_turn() {
        let mut schedule = Schedule::new();
        let pushed = [(2, 0, 'd'), (1, 1, 'b'), (1, 0, 'a'), (1, 1, 'c')];
        for (at, class, event) in pushed {
            schedule.push(Time::from_millis(at), class, event);
        }
        assert_eq!(schedule.next(), Some(Time::from_millis(1)));
        let order: String = std::iter::from_fn(|| schedule.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
    }
}
