//! Telling the bus which rooms have members on this node.

use std::{
    iter,
    ops::{Deref, DerefMut},
    sync::{Arc, MutexGuard},
};

use enginewire_socketio::adapter::Adapter;

use crate::{
    socketio::{namespace::NamespaceShared, socket::SocketShared},
    sync::lock,
    wakes::Wakes,
};

type Members = Adapter<Arc<SocketShared>>;

/// The members of a namespace, locked to be changed.
///
/// Changes of rooms are told under the lock, so that they are told in the order in which they happen.
pub(in crate::socketio) struct AdapterGuard<'a> {
    adapter: MutexGuard<'a, Members>,
    namespace: &'a NamespaceShared,
    /// The task of the bus, which is woken behind all locks of the caller.
    wakes: &'a mut Wakes,
}

impl NamespaceShared {
    pub(in crate::socketio) fn lock_adapter<'a>(
        &'a self,
        wakes: &'a mut Wakes,
    ) -> AdapterGuard<'a> {
        AdapterGuard { adapter: lock(&self.adapter), namespace: self, wakes }
    }
}

impl Deref for AdapterGuard<'_> {
    type Target = Members;

    fn deref(&self) -> &Members {
        &self.adapter
    }
}

impl DerefMut for AdapterGuard<'_> {
    fn deref_mut(&mut self) -> &mut Members {
        &mut self.adapter
    }
}

impl Drop for AdapterGuard<'_> {
    fn drop(&mut self) {
        let Self { adapter, namespace, wakes } = self;
        if let Some(cluster) = &namespace.side.cluster {
            let changes = iter::from_fn(|| adapter.poll_room());
            cluster.tell_rooms(wakes, &namespace.name, changes);
        }
    }
}
