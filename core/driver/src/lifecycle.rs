//! How far the end of a server has come, and what it waits for.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    task::Waker,
};

use crate::{
    shards::Shards,
    sync::lock,
    wakers::{WakerKey, WakerSet},
    wakes::Wakes,
};

/// The phase of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// No new sessions. Those that are there are closed one after the other.
    Draining,
    /// No new sessions; queues are drained. New connections only as long as a client may need one for that.
    Closing,
    /// No grace period: the server ends at once.
    Aborting,
}

/// The phase of a server, and everything that its end waits for.
///
/// All counters and the phase are sequentially consistent: of two tasks that change different ones and then look at
/// all, at least one sees the end.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    phase: AtomicU8,
    /// Connections, sessions and accept loops, all of which the end waits for.
    alive: AtomicUsize,
    /// The tasks among them that go on until nothing else is left.
    last: AtomicUsize,
    /// The sessions among them.
    sessions: AtomicUsize,
    /// Handlers, which the end waits for unless the server is aborting.
    handlers: AtomicUsize,
    /// Tasks that wait for a phase, or for the end.
    watchers: Mutex<WakerSet>,
    /// The tasks of connections.
    connections: Shards<WakerSet>,
    /// A watcher waits until there are fewer connections.
    wants_room: AtomicBool,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Running as u8),
            alive: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            handlers: AtomicUsize::new(0),
            watchers: Mutex::default(),
            connections: Shards::new(WakerSet::default),
            wants_room: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Running,
            1 => Phase::Draining,
            2 => Phase::Closing,
            _ => Phase::Aborting,
        }
    }

    /// Moves on to `phase`. Returns false if it has been reached already. [`wake_all`](Self::wake_all) follows.
    pub(crate) fn advance_to(&self, phase: Phase) -> bool {
        self.phase.fetch_max(phase as u8, Ordering::SeqCst) < phase as u8
    }

    /// Returns whether connections are of use: the server is running, or has sessions whose clients may come
    /// for what is queued, on whichever connection.
    pub(crate) fn is_serving(&self) -> bool {
        match self.phase() {
            Phase::Running | Phase::Draining => true,
            Phase::Closing => self.sessions.load(Ordering::SeqCst) > 0,
            Phase::Aborting => false,
        }
    }

    /// Returns whether the server ends at once, without a grace period.
    #[cfg(feature = "socketio")]
    pub(crate) fn is_aborting(&self) -> bool {
        self.phase() == Phase::Aborting
    }

    /// Returns whether nothing is left that the end waits for.
    pub(crate) fn is_finished(&self) -> bool {
        self.are_left(0)
    }

    /// Returns whether only tasks are left that go on until then.
    pub(crate) fn is_idle(&self) -> bool {
        self.are_left(self.last.load(Ordering::SeqCst))
    }

    /// Returns whether the end waits for so many tasks alone.
    fn are_left(&self, tasks: usize) -> bool {
        let handlers = match self.phase() {
            Phase::Running | Phase::Draining => return false,
            Phase::Closing => self.handlers.load(Ordering::SeqCst),
            Phase::Aborting => 0,
        };
        handlers == 0 && self.alive.load(Ordering::SeqCst) == tasks
    }

    /// Counts a task that the end waits for.
    pub(crate) fn enter(&self) {
        self.alive.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a task that goes on until nothing else [is left](Self::is_idle).
    #[cfg(feature = "socketio")]
    pub(crate) fn enter_last(&self) {
        self.last.fetch_add(1, Ordering::SeqCst);
        self.enter();
    }

    /// Counts a task of [`enter_last`](Self::enter_last) that ends. [`leave`](Self::leave) follows.
    #[cfg(feature = "socketio")]
    pub(crate) fn leave_last(&self) {
        self.last.fetch_sub(1, Ordering::SeqCst);
    }

    /// Counts a task that has ended. Returns whether the server is finished with it.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        self.alive.fetch_sub(1, Ordering::SeqCst);
        self.tell_end()
    }

    pub(crate) fn enter_handler(&self) {
        self.handlers.fetch_add(1, Ordering::SeqCst);
    }

    /// As [`leave`](Self::leave), for a handler.
    #[must_use]
    pub(crate) fn leave_handler(&self) -> bool {
        self.handlers.fetch_sub(1, Ordering::SeqCst);
        self.tell_end()
    }

    /// Wakes the watchers if the server is finished, or may be soon, and returns whether it is.
    fn tell_end(&self) -> bool {
        let finished = self.is_finished();
        if finished || self.is_idle() {
            self.wake_watchers();
        }
        finished
    }

    pub(crate) fn enter_session(&self) {
        self.sessions.fetch_add(1, Ordering::SeqCst);
        self.enter();
    }

    /// As [`leave`](Self::leave), for a session.
    #[must_use]
    pub(crate) fn leave_session(&self) -> bool {
        if self.sessions.fetch_sub(1, Ordering::SeqCst) == 1 && self.phase() != Phase::Running {
            // Connections that were kept for it are of no more use.
            self.wake_connections();
            self.wake_watchers();
        }
        self.leave()
    }

    /// Returns the number of sessions that are open or closing.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
    }

    /// Returns the number of connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.each().map(|wakers| wakers.len()).sum()
    }

    pub(crate) fn register_connection(&self, id: u64, key: &mut WakerKey, waker: &Waker) {
        self.connections.lock(&id).register(key, waker);
    }

    /// Removes a connection, and wakes the watchers that wait for that.
    pub(crate) fn remove_connection(&self, id: u64, key: WakerKey) {
        self.connections.lock(&id).remove(key);
        if self.wants_room.load(Ordering::SeqCst) && self.wants_room.swap(false, Ordering::SeqCst) {
            self.wake_watchers();
        }
    }

    /// Returns whether there are `max` connections or more. The watchers are woken then once there are fewer.
    pub(crate) fn is_full(&self, max: usize) -> bool {
        if self.connections() < max {
            return false;
        }
        self.wants_room.store(true, Ordering::SeqCst);
        // One that was removed in between has woken nobody.
        self.connections() >= max
    }

    /// Has a task woken at the next phase, at the end, and when connections become useless or fewer.
    pub(crate) fn watch(&self, key: &mut WakerKey, waker: &Waker) {
        lock(&self.watchers).register(key, waker);
    }

    pub(crate) fn unwatch(&self, key: WakerKey) {
        lock(&self.watchers).remove(key);
    }

    pub(crate) fn wake_all(&self) {
        self.wake_connections();
        self.wake_watchers();
    }

    fn wake_connections(&self) {
        let mut wakes = Wakes::default();
        self.connections.each().for_each(|wakers| wakers.wake_all(&mut wakes));
    }

    pub(crate) fn wake_watchers(&self) {
        let mut wakes = Wakes::default();
        lock(&self.watchers).wake_all(&mut wakes);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Wake};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn connection_that_ends_wakes_watchers_only_if_one_waits_for_room() {
        let (lifecycle, woken) = (Lifecycle::new(), Arc::new(Count::default()));
        lifecycle.watch(&mut None, &Waker::from(Arc::clone(&woken)));
        let connect = |id| {
            let mut key = None;
            lifecycle.register_connection(id, &mut key, Waker::noop());
            key
        };
        let (first, second) = (connect(1), connect(2));
        assert!(!lifecycle.is_full(3));
        lifecycle.remove_connection(1, first);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        let third = connect(3);
        assert!(lifecycle.is_full(2));
        lifecycle.remove_connection(2, second);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(!lifecycle.is_full(2));
        lifecycle.remove_connection(3, third);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }
}
