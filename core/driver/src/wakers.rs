//! The tasks that wait for one thing.

use std::task::Waker;

use slab::Slab;

use crate::wakes::Wakes;

/// A set of tasks. Each is in it at most once, under the key that its future keeps, until it is removed.
#[derive(Debug, Default)]
pub(crate) struct WakerSet {
    wakers: Slab<Waker>,
}

/// The place of a task in a [`WakerSet`].
pub(crate) type WakerKey = Option<usize>;

impl WakerSet {
    /// Inserts a task, or updates its waker.
    pub(crate) fn register(&mut self, key: &mut WakerKey, waker: &Waker) {
        match key.and_then(|key| self.wakers.get_mut(key)) {
            Some(old) => old.clone_from(waker),
            None => *key = Some(self.wakers.insert(waker.clone())),
        }
    }

    /// Removes a task.
    pub(crate) fn remove(&mut self, key: WakerKey) {
        if let Some(key) = key {
            self.wakers.try_remove(key);
        }
    }

    /// Collects all tasks, to be woken once the lock around this set has been released.
    pub(crate) fn wake_all(&self, wakes: &mut Wakes) {
        wakes.extend(self.wakers.iter().map(|(_, waker)| waker.clone()));
    }

    /// Returns the number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }
}
