//! Events of this side that are still to be acknowledged.

use alloc::{collections::VecDeque, vec::Vec};
use core::hash::{Hash, Hasher};

use enginewire::{Fingerprint, Time};

use crate::packet::AckId;

/// Acknowledgements that one socket waits for. `T` says who waits.
#[derive(Clone, Debug)]
pub(crate) struct Acks<T> {
    /// In the order of their numbers, which grow with time.
    pending: VecDeque<Pending<T>>,
    /// At most the earliest deadline.
    next: Option<Time>,
}

#[derive(Clone, Debug)]
struct Pending<T> {
    id: AckId,
    deadline: Time,
    token: T,
}

impl<T> Acks<T> {
    pub(crate) const fn new() -> Self {
        Self { pending: VecDeque::new(), next: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn insert(&mut self, id: AckId, deadline: Time, token: T) {
        // Nearly always the last: two tasks may have drawn their numbers in another order.
        let at = self.pending.partition_point(|pending| pending.id < id);
        self.pending.insert(at, Pending { id, deadline, token });
        self.next = Some(self.next.map_or(deadline, |next| next.min(deadline)));
    }

    pub(crate) fn remove(&mut self, id: AckId) -> Option<T> {
        let at = self.pending.binary_search_by_key(&id, |pending| pending.id).ok()?;
        let pending = self.pending.remove(at)?;
        if self.pending.is_empty() {
            *self = Self::new();
        }
        Some(pending.token)
    }

    /// Removes those whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Time, mut expired: impl FnMut(AckId, T)) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        let mut next = None;
        for pending in core::mem::take(&mut self.pending) {
            if pending.deadline <= now {
                expired(pending.id, pending.token);
            } else {
                next = Some(next.map_or(pending.deadline, |next: Time| next.min(pending.deadline)));
                self.pending.push_back(pending);
            }
        }
        self.next = next;
    }

    /// Moves earlier deadlines to `until`.
    pub(crate) fn postpone(&mut self, until: Time) {
        for pending in &mut self.pending {
            pending.deadline = pending.deadline.max(until);
        }
        self.next = self.next.map(|next| next.max(until));
    }

    /// Removes all but those with these numbers, which are in order. Returns them in the order of their numbers.
    pub(crate) fn drain_but(&mut self, kept: &[AckId]) -> Vec<(AckId, T)> {
        let (mut removed, mut next) = (Vec::new(), None);
        for pending in core::mem::take(&mut self.pending) {
            if kept.binary_search(&pending.id).is_err() {
                removed.push((pending.id, pending.token));
            } else {
                next = Some(next.map_or(pending.deadline, |next: Time| next.min(pending.deadline)));
                self.pending.push_back(pending);
            }
        }
        self.next = next;
        removed
    }

    /// Removes all, in the order of their numbers.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (AckId, T)> {
        self.next = None;
        core::mem::take(&mut self.pending).into_iter().map(|pending| (pending.id, pending.token))
    }

    /// Returns when to call [`expire`](Self::expire), which may be too early.
    pub(crate) fn next(&self) -> Option<Time> {
        self.next.filter(|&next| next != Time::MAX)
    }

    /// Feeds what the future depends on into `into`.
    pub(crate) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>)
    where
        T: Hash,
    {
        let Self { pending, next } = self;
        into.push(&pending.len());
        for Pending { id, deadline, token } in pending {
            into.push(&(id, token));
            into.push_time(now, Some(*deadline));
        }
        into.push_time(now, *next);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn acks(deadlines: &[(u128, u64)]) -> Acks<u128> {
        let mut acks = Acks::new();
        for &(id, deadline) in deadlines {
            acks.insert(AckId(id), Time::from_millis(deadline), id);
        }
        acks
    }

    fn expire(acks: &mut Acks<u128>, millis: u64) -> Vec<u128> {
        let mut expired = Vec::new();
        acks.expire(Time::from_millis(millis), |_, token| expired.push(token));
        expired
    }

    #[test]
    fn each_expires_at_its_own_deadline() {
        let mut acks = acks(&[(1, 30), (0, 10), (2, 20)]);
        assert_eq!(acks.next(), Some(Time::from_millis(10)));
        assert_eq!(expire(&mut acks, 9), []);
        assert_eq!(expire(&mut acks, 10), [0]);
        assert_eq!(acks.next(), Some(Time::from_millis(20)));
        assert_eq!(expire(&mut acks, 50), [1, 2]);
        assert_eq!((acks.next(), acks.len()), (None, 0));
    }

    #[test]
    fn each_is_removed_once_whatever_the_order() {
        let mut acks = acks(&[(3, 1), (1, 1), (2, 1)]);
        assert_eq!(acks.remove(AckId(2)), Some(2));
        assert_eq!(acks.remove(AckId(2)), None);
        assert_eq!(acks.remove(AckId(4)), None);
        let rest: Vec<_> = acks.drain().collect();
        assert_eq!(rest, vec![(AckId(1), 1), (AckId(3), 3)]);
        assert_eq!(acks.next(), None);
    }

    #[test]
    fn those_that_have_not_left_are_kept_with_their_deadlines() {
        let mut acks = acks(&[(0, 10), (1, 20), (2, 30), (3, 40)]);
        let removed = acks.drain_but(&[AckId(1), AckId(3), AckId(7)]);
        assert_eq!(removed, vec![(AckId(0), 0), (AckId(2), 2)]);
        assert_eq!(acks.next(), Some(Time::from_millis(20)));
        assert_eq!(expire(&mut acks, 40), [1, 3]);
    }

    #[test]
    fn deadlines_are_postponed_and_none_is_made_earlier() {
        let mut acks = acks(&[(0, 10), (1, 50)]);
        acks.postpone(Time::from_millis(30));
        assert_eq!(acks.next(), Some(Time::from_millis(30)));
        assert_eq!(expire(&mut acks, 29), []);
        assert_eq!(expire(&mut acks, 30), [0]);
        assert_eq!(expire(&mut acks, 50), [1]);
    }

    #[test]
    fn one_that_never_expires_arms_nothing() {
        let mut acks = Acks::new();
        acks.insert(AckId(0), Time::MAX, ());
        assert_eq!(acks.next(), None);
        acks.expire(Time::from_millis(1 << 40), |_, ()| panic!("it has no deadline"));
        assert_eq!(acks.len(), 1);
    }

    #[test]
    fn storage_is_given_back_with_the_last() {
        let mut acks = acks(&[(0, 1), (1, 1)]);
        acks.remove(AckId(0));
        acks.remove(AckId(1));
        assert_eq!(acks.pending.capacity(), 0);
    }
}
