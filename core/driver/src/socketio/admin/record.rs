//! Changes and events that wait to be shown.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::Waker,
    time::SystemTime,
};

use enginewire::Encoded;
use enginewire_socketio::{DisconnectReason, Event, Room, SocketId};

use super::page::Listing;
use crate::{
    socketio::{namespace::NamespaceShared, socket::SocketShared},
    stats::Counter,
    sync::lock,
    wakes::register,
};

/// A change, and when it happened.
pub(crate) struct Record {
    pub(crate) at: SystemTime,
    pub(crate) change: Change,
}

/// Something that pages are told.
pub(crate) enum Change {
    /// A socket is connected, and in these rooms.
    Connected(Arc<SocketShared>, Vec<Room>),
    /// The client of a socket has moved to a WebSocket.
    Upgraded(Arc<str>, SocketId),
    /// The application says that the data of a socket have changed.
    Data(Arc<SocketShared>),
    Disconnected(Arc<str>, SocketId, DisconnectReason),
    /// A socket has joined a room, or left it.
    Room(Arc<str>, SocketId, Room, bool),
    Received(Arc<str>, SocketId, Event),
    /// An event was sent, as it was encoded.
    Sent(Arc<NamespaceShared>, SocketId, Encoded),
    /// A page has connected, and is to have all sockets.
    Page(Box<Listing>),
}

impl Change {
    /// Returns the bytes that it holds, about.
    fn cost(&self) -> usize {
        size_of::<Record>()
            + match self {
                Self::Received(_, _, event) => event.args().payload().size(),
                Self::Sent(_, _, message) => message.len(),
                Self::Connected(_, rooms) => rooms.iter().map(|room| room.len()).sum(),
                Self::Room(_, _, room, _) => room.len(),
                Self::Page(listing) => listing.cost(),
                _ => 0,
            }
    }
}

/// Changes that wait for the task of the admin UI, bounded.
///
/// It is locked under the locks of adapters, and nothing is locked under it.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    records: VecDeque<Record>,
    cost: usize,
    task: Option<Waker>,
}

impl Queue {
    /// Queues a change. Returns the task to be woken, behind all locks.
    pub(crate) fn push(&self, record: Record) -> Option<Waker> {
        let cost = record.change.cost();
        // A page that is not told of all sockets shows nothing. There is one such change for each page.
        let is_page = matches!(record.change, Change::Page(_));
        let mut state = lock(&self.state);
        let is_full =
            state.records.len() >= MAX_RECORDS || state.cost.saturating_add(cost) > MAX_COST;
        if is_full && !is_page {
            self.dropped.add(1);
            let task = state.task.take();
            drop(state);
            drop(record);
            return task;
        }
        state.cost += cost;
        state.records.push_back(record);
        state.task.take()
    }

    /// Takes the first changes, or has the task that polls woken when there is one.
    pub(super) fn take(&self, waker: &Waker) -> Vec<Record> {
        let mut state = lock(&self.state);
        let count = state.records.len().min(BATCH);
        let batch: Vec<_> = state.records.drain(..count).collect();
        state.cost -= batch.iter().map(|record| record.change.cost()).sum::<usize>();
        if batch.is_empty() {
            register(&mut state.task, waker);
        }
        batch
    }

    /// Forgets all changes, and the task.
    pub(super) fn clear(&self) {
        let State { records, task, .. } = std::mem::take(&mut *lock(&self.state));
        drop((records, task));
    }

    /// Counts a change that was taken and could not be shown.
    pub(super) fn drop_one(&self) {
        self.dropped.add(1);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.count()
    }
}

/// Limit on the changes that wait.
const MAX_RECORDS: usize = 16_384;

/// Limit on the bytes that they hold.
const MAX_COST: usize = 8 << 20;

/// Changes that are shown before other tasks have their turn.
const BATCH: usize = 128;

#[cfg(test)]
mod tests {
    use enginewire_socketio::Args;

    use super::*;

    fn left() -> Record {
        let change = Change::Disconnected("/".into(), "id".into(), DisconnectReason::ClientLeft);
        Record { at: SystemTime::UNIX_EPOCH, change }
    }

    fn received(bytes: usize) -> Record {
        let event = Event::from(Args::event("said", &"a".repeat(bytes)).unwrap());
        let change = Change::Received("/".into(), "id".into(), event);
        Record { at: SystemTime::UNIX_EPOCH, change }
    }

    #[test]
    fn changes_come_out_in_their_order_in_batches() {
        let queue = Queue::default();
        for size in 0..BATCH + 1 {
            queue.push(received(size));
        }
        let size = |record: &Record| match &record.change {
            Change::Received(_, _, event) => event.data::<&str>().unwrap().len(),
            _ => unreachable!("no other was queued"),
        };
        let batch = queue.take(Waker::noop());
        assert!(batch.iter().map(size).eq(0..BATCH));
        assert!(queue.take(Waker::noop()).iter().map(size).eq([BATCH]));
        assert_eq!(lock(&queue.state).cost, 0);
    }

    #[test]
    fn too_many_changes_are_dropped_and_counted() {
        let queue = Queue::default();
        for _ in 0..MAX_RECORDS + 3 {
            queue.push(left());
        }
        assert_eq!((lock(&queue.state).records.len(), queue.dropped()), (MAX_RECORDS, 3));
        queue.clear();
        queue.push(left());
        assert_eq!((queue.take(Waker::noop()).len(), queue.dropped()), (1, 3));
    }

    #[test]
    fn too_many_bytes_are_dropped_and_counted() {
        let queue = Queue::default();
        queue.push(received(MAX_COST / 2));
        queue.push(received(MAX_COST / 2));
        queue.push(received(10));
        assert_eq!((queue.take(Waker::noop()).len(), queue.dropped()), (2, 1));
        // A single one that is too large is none.
        queue.push(received(MAX_COST));
        assert_eq!(queue.dropped(), 2);
    }

    #[test]
    fn task_is_woken_once_for_what_comes_while_it_waits() {
        let queue = Queue::default();
        assert!(queue.push(left()).is_none());
        assert_eq!(queue.take(Waker::noop()).len(), 1);
        assert!(queue.take(Waker::noop()).is_empty());
        assert!(queue.push(left()).is_some());
        assert!(queue.push(left()).is_none());
    }
}
