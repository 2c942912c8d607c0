//! Queue of clients for reads of the log. A namespace makes one read at a time.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::{mem, ops::RangeInclusive};

use crate::{adapter::EntryId, hub::SocketKey};

/// Clients in need of entries of the log, the oldest first.
///
/// The end of a read drives the clients with entries in it, and then the next reader. To drive all of them each time
/// would be quadratic work for many clients with unknown offsets.
#[derive(Default)]
pub(in crate::hub) struct Readers {
    /// By the serial number of the socket.
    by_turn: BTreeMap<u64, (SocketKey, EntryId)>,
    by_entry: BTreeSet<(EntryId, u64)>,
}

impl Readers {
    /// Adds a client in need of an entry.
    pub(super) fn insert(&mut self, key: SocketKey, entry: EntryId) {
        self.remove(key);
        self.by_turn.insert(key.serial, (key, entry));
        self.by_entry.insert((entry, key.serial));
    }

    /// Removes a client at the end of its return.
    pub(in crate::hub) fn remove(&mut self, key: SocketKey) {
        self.take(key.serial);
    }

    /// Takes out the oldest client.
    pub(super) fn next(&mut self) -> Option<SocketKey> {
        let (&serial, _) = self.by_turn.first_key_value()?;
        self.take(serial)
    }

    /// Takes out the clients in need of one of these entries.
    pub(super) fn found(&mut self, entries: RangeInclusive<EntryId>) -> Vec<SocketKey> {
        let (first, last) = entries.into_inner();
        if first > last {
            return Vec::new();
        }
        let range = (first, 0)..=(last, u64::MAX);
        let serials: Vec<_> = self.by_entry.range(range).map(|&(_, serial)| serial).collect();
        serials.into_iter().filter_map(|serial| self.take(serial)).collect()
    }

    /// Takes out all clients.
    pub(super) fn all(&mut self) -> Vec<SocketKey> {
        self.by_entry.clear();
        mem::take(&mut self.by_turn).into_values().map(|(key, _)| key).collect()
    }

    fn take(&mut self, serial: u64) -> Option<SocketKey> {
        let (key, entry) = self.by_turn.remove(&serial)?;
        self.by_entry.remove(&(entry, serial));
        Some(key)
    }
}
