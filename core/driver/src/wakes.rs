//! Wakers to be called once all locks have been released.

use std::task::Waker;

/// Collects wakers, a few of them without an allocation, and calls them when dropped.
///
/// Declare it before the guard of a lock and it outlives that: user code and executors never run
/// under a lock of ours.
#[derive(Default)]
pub(crate) struct Wakes {
    few: [Option<Waker>; 3],
    more: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Waker) {
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker),
            None => self.more.push(waker),
        }
    }
}

impl Extend<Waker> for Wakes {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        wakers.into_iter().for_each(|waker| self.push(waker));
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        let few = self.few.iter_mut().filter_map(Option::take);
        few.chain(self.more.drain(..)).for_each(Waker::wake);
    }
}

/// Keeps `slot` up to date with the task that polls, which is nearly always the same.
pub(crate) fn register(slot: &mut Option<Waker>, waker: &Waker) {
    if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
        *slot = Some(waker.clone());
    }
}
