//! The deadlines of many sessions and connections in one queue. A driver then needs only one timer.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use slab::Slab;

use crate::time::Time;

/// Things that wait for a point in time.
///
/// Meant to be used lazily. A deadline that moves further away, as a heartbeat's does with every packet, is left
/// where it is. When it comes up the owner looks at its state and arms the next one. That makes a busy session cost
/// nothing here, which is why a heap does, and no timer wheel is needed.
///
/// Equal deadlines come up in the order in which they were armed.
#[derive(Debug)]
pub struct Deadlines<T> {
    /// May name entries that have been disarmed.
    heap: BinaryHeap<Reverse<(Time, u64, usize)>>,
    entries: Slab<Entry<T>>,
    /// How often anything was armed; makes every arming unique.
    armed: u64,
}

/// Names one armed deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineKey {
    index: usize,
    serial: u64,
}

#[derive(Debug)]
struct Entry<T> {
    serial: u64,
    value: T,
}

/// The one deadline of something that has armed at most one.
///
/// Deadlines move away with nearly every packet. They stay armed where they were and are armed anew when
/// they expire; only one that has come nearer is armed at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    armed: Option<(Time, DeadlineKey)>,
}

impl Alarm {
    /// Returns an alarm for which nothing is armed.
    pub const fn new() -> Self {
        Self { armed: None }
    }

    /// Returns whether [`Deadlines::rearm`] would change anything, as `next` is the deadline now.
    #[inline]
    pub const fn is_outdated(&self, next: Option<Time>) -> bool {
        match (&self.armed, next) {
            (Some((armed, _)), Some(next)) => next.as_nanos() < armed.as_nanos(),
            (None, None) => false,
            _ => true,
        }
    }

    /// Forgets the armed deadline if it has expired.
    pub fn expire(&mut self, now: Time) -> bool {
        self.armed.take_if(|(deadline, _)| *deadline <= now).is_some()
    }
}

impl<T> Deadlines<T> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { heap: BinaryHeap::new(), entries: Slab::new(), armed: 0 }
    }

    /// Makes `value` come up at `deadline`.
    pub fn arm(&mut self, deadline: Time, value: T) -> DeadlineKey {
        self.armed += 1;
        let serial = self.armed;
        let index = self.entries.insert(Entry { serial, value });
        self.heap.push(Reverse((deadline, serial, index)));
        DeadlineKey { index, serial }
    }

    /// Takes a value out before its time. `None` if it has come up already.
    pub fn disarm(&mut self, key: DeadlineKey) -> Option<T> {
        self.entries.get(key.index).filter(|entry| entry.serial == key.serial)?;
        let entry = self.entries.remove(key.index);
        // What was disarmed stays in the heap until its time. Never more of that than of what is
        // armed, or short-lived connections would fill the memory.
        if self.heap.len() > 2 * self.entries.len() + SLACK {
            let entries = &self.entries;
            self.heap.retain(|Reverse((_, serial, index))| is_armed(entries, *serial, *index));
        }
        Some(entry.value)
    }

    /// Arms `alarm` for `next`, unless it is armed for an earlier time. Returns a value that was disarmed.
    pub fn rearm(
        &mut self,
        alarm: &mut Alarm,
        next: Option<Time>,
        value: impl FnOnce() -> T,
    ) -> Option<T> {
        if !alarm.is_outdated(next) {
            return None;
        }
        let old = alarm.armed.take().and_then(|(_, key)| self.disarm(key));
        alarm.armed = next.map(|deadline| (deadline, self.arm(deadline, value())));
        old
    }

    /// The earliest deadline.
    pub fn first(&mut self) -> Option<Time> {
        loop {
            let &Reverse((deadline, serial, index)) = self.heap.peek()?;
            if is_armed(&self.entries, serial, index) {
                return Some(deadline);
            }
            self.heap.pop();
        }
    }

    /// Takes the value whose deadline is the earliest that `now` has reached.
    pub fn pop(&mut self, now: Time) -> Option<T> {
        self.first().filter(|&deadline| deadline <= now)?;
        let Reverse((_, _, index)) = self.heap.pop()?;
        Some(self.entries.remove(index).value)
    }

    /// Number of values that wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn is_armed<T>(entries: &Slab<Entry<T>>, serial: u64, index: usize) -> bool {
    entries.get(index).is_some_and(|entry| entry.serial == serial)
}

/// Disarmed entries that are not worth a walk over the heap.
const SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn values_come_up_by_deadline_then_by_arming() {
        let mut deadlines = Deadlines::new();
        for (at, value) in [(30, 'd'), (10, 'a'), (20, 'b'), (20, 'c')] {
            deadlines.arm(ms(at), value);
        }
        assert_eq!(deadlines.first(), Some(ms(10)));
        assert_eq!(deadlines.pop(ms(9)), None);
        let due: Vec<_> = core::iter::from_fn(|| deadlines.pop(ms(20))).collect();
        assert_eq!(due, ['a', 'b', 'c']);
        assert_eq!((deadlines.first(), deadlines.len()), (Some(ms(30)), 1));
    }

    #[test]
    fn a_disarmed_value_never_comes_up() {
        let mut deadlines = Deadlines::new();
        let first = deadlines.arm(ms(1), 'a');
        assert_eq!(deadlines.disarm(first), Some('a'));
        let second = deadlines.arm(ms(2), 'b');
        assert_eq!(deadlines.disarm(first), None, "its place has been taken by another");
        assert_eq!(deadlines.first(), Some(ms(2)));
        assert_eq!(deadlines.pop(ms(2)), Some('b'));
        assert_eq!(deadlines.disarm(second), None);
        assert!(deadlines.is_empty() && deadlines.first().is_none());
    }

    #[test]
    fn alarm_is_armed_anew_only_for_an_earlier_deadline_or_none() {
        let (mut deadlines, mut alarm) = (Deadlines::new(), Alarm::default());
        assert_eq!(deadlines.rearm(&mut alarm, Some(ms(10)), || 'a'), None);
        assert_eq!(deadlines.rearm(&mut alarm, Some(ms(20)), || 'b'), None);
        assert_eq!(deadlines.first(), Some(ms(10)), "it expires early and is armed anew then");
        assert_eq!(deadlines.rearm(&mut alarm, Some(ms(5)), || 'c'), Some('a'));
        assert_eq!((deadlines.first(), deadlines.len()), (Some(ms(5)), 1));
        assert!(!alarm.expire(ms(4)));
        assert_eq!(deadlines.pop(ms(5)), Some('c'));
        assert!(alarm.expire(ms(5)) && !alarm.is_outdated(None));
        deadlines.rearm(&mut alarm, Some(ms(30)), || 'd');
        assert_eq!(deadlines.rearm(&mut alarm, None, || 'e'), Some('d'));
        assert!(deadlines.is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn disarming_leaves_nothing_behind() {
        let mut deadlines = Deadlines::new();
        let kept = deadlines.arm(ms(60_000), 0);
        for i in 0..100_000 {
            let key = deadlines.arm(ms(60_000), i);
            deadlines.disarm(key);
            assert!(deadlines.heap.len() <= 2 * deadlines.len() + SLACK + 1);
        }
        assert_eq!(deadlines.disarm(kept), Some(0));
    }
}
