//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever happened to another thread that held the lock: the state machines behind our
/// locks are left between two of their methods, never inside one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
