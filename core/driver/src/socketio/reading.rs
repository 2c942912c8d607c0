//! Reads of the log that the nodes of a cluster share.
//!
//! A namespace makes one at a time, because many clients come back for the same entries.

use std::{
    future::{Future, poll_fn},
    sync::{Arc, Mutex},
    task::Poll,
};

use enginewire::Time;
use enginewire_socketio::cluster::LogEntry;

use super::{namespace::NamespaceShared, outgoing::with_encoder};
use crate::{
    sync::lock,
    wakers::{WakerKey, WakerSet},
    wakes::Wakes,
};

/// Reads of the log by a namespace.
#[derive(Default)]
pub(crate) struct Reading(Mutex<ReadingState>);

#[derive(Default)]
struct ReadingState {
    is_busy: bool,
    /// Number of reads that have ended.
    ended: u64,
    waiting: WakerSet,
}

/// The right of a namespace to read the log, until it is dropped.
///
/// The read has it, and not the client for which it is made. Else one that asked and left over and over would have the log
/// read many times at once.
pub(super) struct Reader(Arc<NamespaceShared>);

impl Reading {
    /// Waits until the read that is now going on has ended, or the next one if there is none.
    ///
    /// Cancel safe.
    pub(super) fn ended(&self) -> impl Future<Output = ()> {
        let mut waiting = WaitingReader { reading: self, key: None };
        let ended = lock(&self.0).ended;
        poll_fn(move |cx| {
            let WaitingReader { reading, key } = &mut waiting;
            let mut state = lock(&reading.0);
            if state.ended != ended {
                return Poll::Ready(());
            }
            state.waiting.register(key, cx.waker());
            Poll::Pending
        })
    }
}

struct WaitingReader<'a> {
    reading: &'a Reading,
    key: WakerKey,
}

impl Drop for WaitingReader<'_> {
    fn drop(&mut self) {
        if self.key.is_some() {
            lock(&self.reading.0).waiting.remove(self.key);
        }
    }
}

impl Reader {
    /// Returns the right to read, unless a read is going on.
    pub(super) fn new(namespace: &Arc<NamespaceShared>) -> Option<Self> {
        let mut state = lock(&namespace.side.reading.0);
        let is_busy = std::mem::replace(&mut state.is_busy, true);
        (!is_busy).then(|| Self(Arc::clone(namespace)))
    }

    pub(super) const fn namespace(&self) -> &Arc<NamespaceShared> {
        &self.0
    }

    /// Ends a read, and adds its entries to the copy of the log. Returns their number.
    pub(super) fn finish(self, now: Time, entries: Vec<LogEntry>) -> usize {
        let count = entries.len();
        self.0.insert(now, entries);
        count
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.0.side.reading.0);
        state.is_busy = false;
        state.ended += 1;
        state.waiting.wake_all(&mut wakes);
        drop(state);
    }
}

impl NamespaceShared {
    /// Adds older entries to the copy of the log.
    fn insert(&self, now: Time, entries: Vec<LogEntry>) {
        let count = entries.len();
        let encoded = entries.into_iter().filter_map(|LogEntry { id, target, event }| {
            let offset = id.to_string();
            let message = with_encoder(&self.config().limits, |encoder| {
                encoder.forward(self.parser(), self.name(), None, &event, Some(&offset))
            });
            let message = message.ok()?.into_shared();
            let cost = message.len();
            Some((id, target, message, cost))
        });
        let encoded: Vec<_> = encoded.collect();
        // One that cannot be encoded reaches nobody here, as when it was sent.
        self.counters.cluster_dropped.add(count - encoded.len());
        let mut order = self.lock_order();
        let now = order.set_now(now);
        if let Some(recovery) = &mut order.recovery {
            recovery.log_before(now, encoded.into_iter());
        }
    }
}
