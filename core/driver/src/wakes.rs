//! Wakers to be called once all locks have been released.

use std::task::Waker;

/// Collects wakers, the first without an allocation, and calls them when dropped.
///
/// Declare it before the guard of a lock and it outlives that: user code and executors never run
/// under a lock of ours.
#[derive(Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }
}

impl Extend<Waker> for Wakes {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        wakers.into_iter().for_each(|waker| self.push(waker));
    }
}

impl Drop for Wakes {
    #[inline]
    fn drop(&mut self) {
        if let Some(first) = self.first.take() {
            first.wake();
            std::mem::take(&mut self.more).into_iter().for_each(Waker::wake);
        }
    }
}

/// Keeps `slot` up to date with the task that polls, which is nearly always the same.
pub(crate) fn register(slot: &mut Option<Waker>, waker: &Waker) {
    if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
        *slot = Some(waker.clone());
    }
}
