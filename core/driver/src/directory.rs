//! The sessions of a server by one of their names.

use std::{hash::Hash, sync::Arc};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::shards::Shards;

/// Values by key. Keys are made by this server: a peer can look one up, never put one in.
#[derive(Debug)]
pub(crate) struct Directory<K, T>(Shards<HashMap<K, Arc<T>, FixedState>>);

impl<K: Eq + Hash, T> Directory<K, T> {
    pub(crate) fn new() -> Self {
        Self(Shards::new(HashMap::default))
    }

    pub(crate) fn get(&self, key: &K) -> Option<Arc<T>> {
        self.0.lock(key).get(key).cloned()
    }

    pub(crate) fn insert(&self, key: K, value: Arc<T>) {
        self.0.lock(&key).insert(key, value);
    }

    pub(crate) fn remove(&self, key: &K) -> Option<Arc<T>> {
        self.0.lock(key).remove(key)
    }

    /// Returns all values, of one shard after the other.
    pub(crate) fn values(&self) -> Vec<Arc<T>> {
        self.0.each().flat_map(|shard| shard.values().cloned().collect::<Vec<_>>()).collect()
    }
}
