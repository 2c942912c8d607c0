//! The tasks that wait for one thing.

use std::{num::NonZeroUsize, task::Waker};

use slab::Slab;

use crate::wakes::Wakes;

/// A set of tasks. Each is in it at most once, under the key that its future keeps, until it is removed.
#[derive(Debug, Default)]
pub(crate) struct WakerSet {
    wakers: Slab<Waker>,
}

/// The place of a task in a [`WakerSet`], counted from one.
pub(crate) type WakerKey = Option<NonZeroUsize>;

impl WakerSet {
    /// Inserts a task, or updates its waker.
    pub(crate) fn register(&mut self, key: &mut WakerKey, waker: &Waker) {
        match key.and_then(|key| self.wakers.get_mut(key.get() - 1)) {
            Some(old) => old.clone_from(waker),
            None => *key = NonZeroUsize::new(self.wakers.insert(waker.clone()) + 1),
        }
    }

    /// Takes all tasks out.
    #[cfg(feature = "socketio")]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Waker> {
        std::mem::take(&mut self.wakers).into_iter().map(|(_, waker)| waker)
    }

    /// Removes a task.
    pub(crate) fn remove(&mut self, key: WakerKey) {
        if let Some(key) = key {
            // It may have been taken out with all others.
            self.wakers.try_remove(key.get() - 1);
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
