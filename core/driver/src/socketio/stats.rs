//! Counts for operators: what a server holds, and what was lost or refused.

use std::{collections::HashSet, sync::Arc};

use enginewire_socketio::adapter::Target;

use super::namespace::NamespaceShared;
use crate::{stats::Counter, sync::lock, waiters::Shareable};

/// Counts of a server or of a namespace, see [`Io::stats`](super::Io::stats).
///
/// Sockets, namespaces, rooms and bytes are those of this moment. The others count from the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Namespaces that exist, those of patterns included.
    pub namespaces: usize,
    /// Sockets that are connected.
    pub sockets: usize,
    /// Rooms with at least one member.
    ///
    /// The rooms of the sockets' own ids are not counted.
    pub rooms: usize,
    /// Bytes that wait to be sent to the clients of the sockets.
    pub queued: usize,
    /// Volatile events that a socket could not take at once.
    pub volatile_dropped: u64,
    /// Events of broadcasts that a socket has missed for want of room.
    ///
    /// See [`Overflow::Skip`](super::Overflow::Skip).
    pub skipped: u64,
    /// Clients that were disconnected because a broadcast found no room.
    ///
    /// See [`Overflow::Disconnect`](super::Overflow::Disconnect).
    pub overflows: u64,
    /// Events that a client has not acknowledged in time.
    pub ack_timeouts: u64,
    /// Acknowledgements of clients' events that the application has taken and dropped.
    pub acks_dropped: u64,
    /// Events and sockets that an extractor has rejected.
    ///
    /// See [`Routes::on_rejection`](super::Routes::on_rejection).
    pub rejections: u64,
    /// Other nodes of the cluster. 0 for a single namespace.
    pub nodes: usize,
    /// Operations for or of other nodes that were dropped.
    ///
    /// The bus was down, its queue was full, or too many broadcasts or server-side events waited here. Entries of the log
    /// that the nodes share which were removed before this node has read them count for no single namespace.
    pub cluster_dropped: u64,
    /// Changes and events that the admin UI was not told of, because too many waited.
    ///
    /// See the feature `admin`. 0 for a single namespace.
    pub admin_dropped: u64,
}

/// The counters of a namespace. Those of a pattern are shared by its namespaces.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) volatile_dropped: Counter,
    pub(super) skipped: Counter,
    pub(super) overflows: Counter,
    pub(super) ack_timeouts: Counter,
    pub(super) acks_dropped: Counter,
    pub(super) rejections: Counter,
    pub(super) cluster_dropped: Counter,
}

impl Stats {
    /// Counts what namespaces hold that share their counters.
    pub(super) fn of(counters: &Counters, namespaces: &[Arc<NamespaceShared>]) -> Self {
        let mut stats = Self {
            volatile_dropped: counters.volatile_dropped.count(),
            skipped: counters.skipped.count(),
            overflows: counters.overflows.count(),
            ack_timeouts: counters.ack_timeouts.count(),
            acks_dropped: counters.acks_dropped.count(),
            rejections: counters.rejections.count(),
            cluster_dropped: counters.cluster_dropped.count(),
            ..Self::default()
        };
        for namespace in namespaces.iter().filter(|namespace| !namespace.is_pattern()) {
            let adapter = lock(&namespace.adapter);
            stats.namespaces += 1;
            stats.sockets += adapter.len();
            stats.rooms += adapter.rooms_len();
        }
        stats
    }

    /// Adds what namespaces with other counters hold, but for the bytes: a client may be in several.
    pub(super) fn add(&mut self, other: &Self) {
        self.namespaces += other.namespaces;
        self.sockets += other.sockets;
        self.rooms += other.rooms;
        self.volatile_dropped += other.volatile_dropped;
        self.skipped += other.skipped;
        self.overflows += other.overflows;
        self.ack_timeouts += other.ack_timeouts;
        self.acks_dropped += other.acks_dropped;
        self.rejections += other.rejections;
        self.cluster_dropped += other.cluster_dropped;
    }

    /// Counts the bytes that wait for the clients of these namespaces, each client once.
    pub(super) fn queued<'a>(
        namespaces: impl IntoIterator<Item = &'a Arc<NamespaceShared>>,
    ) -> usize {
        let mut clients = HashSet::new();
        let mut queued = 0;
        for namespace in namespaces {
            // Selected, so that no socket is locked under the lock of the adapter.
            let members = lock(&namespace.adapter).select(&Target::all());
            for (_, member) in &members {
                if clients.insert(member.cell.id()) {
                    queued += member.cell.inspect(|session| session.queued());
                }
            }
        }
        queued
    }
}
