//! Counts of a bus, while the server has it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// Handle that tells how a bus is doing, while a server has it. Cheap to clone.
#[derive(Clone)]
pub struct RedisMonitor(pub(super) Arc<Counters>);

/// Counts of a bus, from [`RedisMonitor::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisStats {
    /// Whether the bus carries messages.
    pub is_up: bool,
    /// Commands that have no response yet.
    pub in_flight: usize,
    /// Their bytes.
    pub in_flight_bytes: usize,
    /// Connections that were made, the first among them.
    pub connections: u64,
    /// Commands whose response was lost with a connection. They were carried out or not.
    pub lost: u64,
    /// Commands that the server has refused, without a fault of the connection.
    pub refused: u64,
    /// Messages of other programs that were dropped: they cannot be read, or are too large.
    pub dropped: u64,
    /// Entries of streams that were trimmed before they were read.
    ///
    /// A Redis before version 7 does not tell how many they were: each gap counts as one there.
    pub trimmed: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) is_up: AtomicBool,
    pub(super) in_flight: AtomicUsize,
    pub(super) in_flight_bytes: AtomicUsize,
    pub(super) connections: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) trimmed: AtomicU64,
}

impl RedisMonitor {
    /// Returns the counts of this moment.
    pub fn stats(&self) -> RedisStats {
        let counters = &*self.0;
        let Counters { is_up, in_flight, in_flight_bytes, connections, .. } = counters;
        let Counters { lost, refused, dropped, trimmed, .. } = counters;
        RedisStats {
            is_up: is_up.load(Ordering::Relaxed),
            in_flight: in_flight.load(Ordering::Relaxed),
            in_flight_bytes: in_flight_bytes.load(Ordering::Relaxed),
            connections: connections.load(Ordering::Relaxed),
            lost: lost.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            dropped: dropped.load(Ordering::Relaxed),
            trimmed: trimmed.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for RedisMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisMonitor").field(&self.stats()).finish()
    }
}
