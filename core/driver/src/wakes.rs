//! Wakers to be called once all locks have been released.

use std::{mem::ManuallyDrop, task::Waker};

/// Collects wakers, the first without an allocation, and calls them when dropped.
///
/// Declare it before the guard of a lock and it outlives that: user code and executors never run
/// under a lock of ours.
///
/// One is made for every operation on a session and is nearly always empty. Dropping it takes out what is
/// in it, so that an empty one has nothing to be dropped (`ManuallyDrop`).
#[derive(Default)]
pub(crate) struct Wakes(ManuallyDrop<Wakers>);

#[derive(Default)]
enum Wakers {
    #[default]
    None,
    One(Waker),
    Many(Vec<Waker>),
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Waker) {
        *self.0 = match std::mem::take(&mut *self.0) {
            Wakers::None => Wakers::One(waker),
            Wakers::One(first) => Wakers::Many(vec![first, waker]),
            Wakers::Many(mut wakers) => {
                wakers.push(waker);
                Wakers::Many(wakers)
            }
        };
    }

    #[inline(never)]
    fn wake_all(&mut self) {
        match std::mem::take(&mut *self.0) {
            Wakers::None => {}
            Wakers::One(waker) => waker.wake(),
            Wakers::Many(wakers) => wakers.into_iter().for_each(Waker::wake),
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
        if !matches!(*self.0, Wakers::None) {
            self.wake_all();
        }
    }
}

/// Keeps `slot` up to date with the task that polls, which is nearly always the same.
pub(crate) fn register(slot: &mut Option<Waker>, waker: &Waker) {
    if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
        *slot = Some(waker.clone());
    }
}
