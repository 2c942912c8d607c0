//! Clients that wait for reads of the log, in the order in which they came.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    task::{Poll, Waker},
};

use enginewire_socketio::adapter::EntryId;

use crate::wakes::{Wakes, register};

/// The clients of a namespace that wait, and the right to read, which one of them has.
///
/// The end of a read wakes those whose entries it has brought, and hands the right to the next one. With all of them woken
/// each time, many clients with offsets that are nowhere would cost quadratic work.
#[derive(Default)]
pub(super) struct Queue {
    /// A client has the right to read.
    is_busy: bool,
    sleeping: BTreeMap<Place, (EntryId, Option<Waker>)>,
    /// The same by the entry that each needs.
    by_entry: BTreeSet<(EntryId, Place)>,
    /// Clients that were woken, and whether they have the right to read.
    woken: BTreeMap<Place, bool>,
    last: Place,
}

/// Number of a client that waits.
pub(super) type Place = u64;

/// End of a read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// The copy of the log has the entries from this one on, up to the other, which it had before.
    Found(EntryId, Option<EntryId>),
    /// The entry is not in the log, or it was not read.
    NotThere,
    /// The bus does not respond.
    Unanswered,
}

impl Queue {
    /// Adds a client that needs an entry. Returns its place, or `None` if it has the right to read at once.
    pub(super) fn enter(&mut self, entry: EntryId) -> Option<Place> {
        if !mem::replace(&mut self.is_busy, true) {
            return None;
        }
        self.last += 1;
        self.sleeping.insert(self.last, (entry, None));
        self.by_entry.insert((entry, self.last));
        Some(self.last)
    }

    /// Completes when the client of a place is woken. Returns whether it has the right to read.
    pub(super) fn poll(&mut self, place: Place, waker: &Waker) -> Poll<bool> {
        if let Some(has_turn) = self.woken.remove(&place) {
            return Poll::Ready(has_turn);
        }
        if let Some((_, slot)) = self.sleeping.get_mut(&place) {
            register(slot, waker);
        }
        Poll::Pending
    }

    /// Removes a client that waits no more.
    pub(super) fn leave(&mut self, place: Place, wakes: &mut Wakes) {
        if let Some((entry, _)) = self.sleeping.remove(&place) {
            self.by_entry.remove(&(entry, place));
        } else if self.woken.remove(&place) == Some(true) {
            self.end(Outcome::NotThere, wakes);
        }
    }

    /// Ends the right of a client to read.
    pub(super) fn end(&mut self, outcome: Outcome, wakes: &mut Wakes) {
        match outcome {
            Outcome::Found(from, until) => {
                // Others may need the same entry. What is behind the copy has not come yet.
                let last = until.map_or((from, Place::MAX), |until| (until, 0));
                let found: Vec<_> = self.by_entry.range((from, 0)..last).copied().collect();
                found.into_iter().for_each(|(_, place)| self.wake(place, false, wakes));
            }
            Outcome::NotThere => {}
            Outcome::Unanswered => {
                let all: Vec<_> = self.sleeping.keys().copied().collect();
                all.into_iter().for_each(|place| self.wake(place, false, wakes));
            }
        }
        match self.sleeping.first_key_value() {
            Some((&next, _)) => self.wake(next, true, wakes),
            None => self.is_busy = false,
        }
    }

    fn wake(&mut self, place: Place, has_turn: bool, wakes: &mut Wakes) {
        if let Some((entry, waker)) = self.sleeping.remove(&place) {
            self.by_entry.remove(&(entry, place));
            self.woken.insert(place, has_turn);
            wakes.extend(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn entry(sequence: u64) -> EntryId {
        EntryId { time: 1, sequence }
    }

    fn poll(queue: &mut Queue, place: Place) -> Poll<bool> {
        queue.poll(place, Waker::noop())
    }

    fn end(queue: &mut Queue, outcome: Outcome) {
        queue.end(outcome, &mut Wakes::default());
    }

    /// A queue whose first client reads, and others that need these entries.
    fn waiting<const N: usize>(entries: [u64; N]) -> (Queue, [Place; N]) {
        let mut queue = Queue::default();
        assert_eq!(queue.enter(entry(0)), None);
        let places = entries.map(|sequence| queue.enter(entry(sequence)).unwrap());
        places.iter().for_each(|&place| assert!(poll(&mut queue, place).is_pending()));
        (queue, places)
    }

    #[test]
    fn read_wakes_the_next_client_and_those_whose_entries_it_has_brought() {
        let (mut queue, [next, older, inside, behind]) = waiting([9, 1, 3, 5]);
        end(&mut queue, Outcome::Found(entry(2), Some(entry(5))));
        assert_eq!(poll(&mut queue, next), Poll::Ready(true));
        assert_eq!(poll(&mut queue, inside), Poll::Ready(false));
        assert!(poll(&mut queue, older).is_pending() && poll(&mut queue, behind).is_pending());
        // Of those behind the copy, the same entry alone.
        let same = queue.enter(entry(9)).unwrap();
        end(&mut queue, Outcome::Found(entry(9), None));
        assert_eq!(poll(&mut queue, older), Poll::Ready(true));
        assert_eq!(poll(&mut queue, same), Poll::Ready(false));
        assert!(poll(&mut queue, behind).is_pending());
        end(&mut queue, Outcome::NotThere);
        assert_eq!(poll(&mut queue, behind), Poll::Ready(true));
        end(&mut queue, Outcome::NotThere);
        assert_eq!(queue.enter(entry(1)), None);
    }

    #[test]
    fn client_that_leaves_hands_its_turn_on() {
        let (mut queue, [next, second, third]) = waiting([1, 2, 3]);
        let leave = |queue: &mut Queue, place| queue.leave(place, &mut Wakes::default());
        leave(&mut queue, second);
        end(&mut queue, Outcome::NotThere);
        leave(&mut queue, next);
        assert_eq!(poll(&mut queue, third), Poll::Ready(true));
        end(&mut queue, Outcome::NotThere);
        assert!(!queue.is_busy && queue.woken.is_empty() && queue.by_entry.is_empty());
    }

    #[test]
    fn bus_that_does_not_respond_keeps_no_client_waiting() {
        let (mut queue, places) = waiting([3, 2, 1]);
        end(&mut queue, Outcome::Unanswered);
        assert!(places.into_iter().all(|place| poll(&mut queue, place) == Poll::Ready(false)));
        assert_eq!(queue.enter(entry(1)), None);
    }

    /// With all woken by each read it would be 50 million times.
    #[test]
    fn many_clients_with_entries_that_are_nowhere_are_woken_once_each() {
        const CLIENTS: u64 = 10_000;
        let mut queue = Queue::default();
        assert_eq!(queue.enter(entry(0)), None);
        let places: Vec<_> = (1..=CLIENTS).filter_map(|n| queue.enter(entry(n))).collect();
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        assert!(places.iter().all(|&place| queue.poll(place, &waker).is_pending()));
        for &place in &places {
            end(&mut queue, Outcome::NotThere);
            assert_eq!(queue.poll(place, &waker), Poll::Ready(true));
        }
        assert_eq!(counter.0.load(SeqCst), places.len());
    }
}
