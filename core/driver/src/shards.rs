//! Values divided by key, so that threads seldom meet at one lock.

use std::{
    hash::{BuildHasher, Hash},
    sync::{Mutex, MutexGuard},
    thread::available_parallelism,
};

use foldhash::fast::FixedState;

use crate::sync::lock;

/// As many values as threads are likely to run, each behind a lock of its own.
#[derive(Debug)]
pub(crate) struct Shards<T>(Box<[Mutex<T>]>);

impl<T> Shards<T> {
    /// Makes one value for each shard.
    pub(crate) fn new(mut value: impl FnMut() -> T) -> Self {
        let shards = available_parallelism().map_or(1, |n| n.get().next_power_of_two().min(64));
        Self((0..shards).map(|_| Mutex::new(value())).collect())
    }

    /// Locks the value that `key` belongs to.
    ///
    /// Keys are made by this server, so a hasher that an attacker could predict is fine.
    pub(crate) fn lock(&self, key: &impl Hash) -> MutexGuard<'_, T> {
        // The low bits choose the shard, because hashbrown goes by others.
        let hash = FixedState::default().hash_one(key) >> 20;
        lock(&self.0[hash as usize & (self.0.len() - 1)])
    }

    /// Returns the number of shards.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Locks the value at `index`.
    pub(crate) fn lock_at(&self, index: usize) -> MutexGuard<'_, T> {
        lock(&self.0[index])
    }

    /// Locks one value after the other.
    pub(crate) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.0.iter().map(lock)
    }
}
