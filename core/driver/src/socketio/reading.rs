//! Reads of the log that the nodes of a cluster share.
//!
//! A namespace makes one at a time, because many clients come back for the same entries.

mod queue;

use std::{
    future::{Future, poll_fn},
    sync::{Arc, Mutex},
    task::{Poll, Waker, ready},
};

use enginewire::Time;
use enginewire_socketio::{
    adapter::EntryId,
    cluster::{LogEntry, LogResponse},
};

use self::queue::{Outcome, Place, Queue};
use super::{namespace::NamespaceShared, outgoing::with_encoder};
use crate::{
    sync::lock,
    wakes::{Wakes, register},
};

/// Reads of the log by a namespace.
#[derive(Default)]
pub(crate) struct Reading(Mutex<ReadingState>);

#[derive(Default)]
struct ReadingState {
    queue: Queue,
    /// Number of readers that were dropped.
    ended: u64,
    /// The client for which the log is read.
    asker: Option<Waker>,
}

/// The right of a namespace to read the log, until it is dropped.
///
/// The read has it, and not the client for which it is made. Else one that asked and left over and over would have the log
/// read many times at once.
pub(super) struct Reader {
    namespace: Arc<NamespaceShared>,
    outcome: Outcome,
    /// The entries that the bus is asked for.
    range: Option<(EntryId, Option<EntryId>)>,
}

/// A client that waits. Dropped, it does so no more.
struct Waiting<'a> {
    reading: &'a Reading,
    place: Option<Place>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut wakes = Wakes::default();
        lock(&self.reading.0).queue.leave(place, &mut wakes);
    }
}

impl Reader {
    /// Waits for the right to read, for a client that needs an entry. `None`: it is to look for the entry again.
    ///
    /// Cancel safe.
    pub(super) async fn turn(namespace: &Arc<NamespaceShared>, entry: EntryId) -> Option<Self> {
        let reading = &namespace.side.reading;
        let place = lock(&reading.0).queue.enter(entry);
        let mut waiting = Waiting { reading, place };
        let has_turn = poll_fn(|cx| {
            let Some(place) = waiting.place else { return Poll::Ready(true) };
            let has_turn = ready!(lock(&reading.0).queue.poll(place, cx.waker()));
            waiting.place = None;
            Poll::Ready(has_turn)
        });
        has_turn.await.then(|| Self {
            namespace: Arc::clone(namespace),
            outcome: Outcome::NotThere,
            range: None,
        })
    }

    pub(super) const fn namespace(&self) -> &Arc<NamespaceShared> {
        &self.namespace
    }

    /// Notes that the bus is asked for entries.
    pub(super) const fn asks(mut self, range: (EntryId, Option<EntryId>)) -> Self {
        (self.outcome, self.range) = (Outcome::Unanswered, Some(range));
        self
    }

    /// Waits until the reader is dropped.
    ///
    /// Cancel safe.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let namespace = Arc::clone(&self.namespace);
        let ended = lock(&namespace.side.reading.0).ended;
        poll_fn(move |cx| {
            let mut state = lock(&namespace.side.reading.0);
            if state.ended != ended {
                return Poll::Ready(());
            }
            register(&mut state.asker, cx.waker());
            Poll::Pending
        })
    }

    /// Ends a read, and adds its entries to the copy of the log. Returns their number.
    ///
    /// Without a response the bus was disconnected, or has not responded in time.
    pub(super) fn finish(mut self, now: Time, response: Option<LogResponse>) -> usize {
        let Some(response) = response else { return 0 };
        self.outcome = Outcome::NotThere;
        let LogResponse::Entries(Some(entries)) = response else { return 0 };
        let count = entries.len();
        self.namespace.insert(now, entries);
        if let Some((from, until)) = self.range {
            self.outcome = Outcome::Found(from, until);
        }
        count
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.namespace.side.reading.0);
        state.ended += 1;
        wakes.extend(state.asker.take());
        state.queue.end(self.outcome, &mut wakes);
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
