//! One session, shared by the connections that carry it and the handles of the application.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Waker},
};

use enginewire::{
    Alarm, CloseReason, Layer, LayerContext, ServerSession, Sid, Time,
    carrier::{Entry, Settled},
};

use crate::{
    clock::Clock,
    directory::Directory,
    lifecycle::{Lifecycle, Phase},
    sync::lock,
    timers::Timers,
    trace::trace,
    waiters::{Shareable, Waiters},
    wakes::Wakes,
};

#[cfg(feature = "socketio")]
mod layered;

/// The sessions of one server, and what they need when something has happened to them.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) timers: Timers<Due>,
    by_sid: Directory<Sid, SessionCell>,
    by_id: Directory<u64, SessionCell>,
}

/// The owner of a deadline.
#[derive(Debug)]
pub(crate) enum Due {
    Connection(Waker),
    Session(Arc<SessionCell>),
}

/// A session behind a lock.
///
/// A task holds the lock while it does something to the session, then settles: actions go to the connections
/// that they are for, and the tasks to be woken are collected until the lock is released. Nothing else is shared,
/// and nothing goes through channels.
pub(crate) struct SessionCell {
    /// The public name.
    pub(crate) id: u64,
    sid: Sid,
    sessions: Arc<Sessions>,
    inner: Mutex<Inner>,
}

struct Inner {
    entry: Entry<Waker>,
    waiters: Waiters,
    /// The directory has forgotten the session.
    removed: bool,
}

/// A session that the caller has to itself. Settles when dropped.
pub(crate) struct Guard<'a> {
    cell: &'a Arc<SessionCell>,
    inner: MutexGuard<'a, Inner>,
    /// These two act when they are dropped, which is after `inner` has been: fields go in order.
    wakes: Wakes,
    removal: Option<Removal<'a>>,
    /// The carrier that holds the guard, whose task need not be woken.
    by: Option<u64>,
    /// No other task needs to know of a change.
    settled: bool,
}

impl Sessions {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            lifecycle: Lifecycle::new(),
            timers: Timers::new(),
            by_sid: Directory::new(),
            by_id: Directory::new(),
        }
    }

    pub(crate) fn find(&self, sid: &Sid) -> Option<Arc<SessionCell>> {
        self.by_sid.get(sid)
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<SessionCell>> {
        self.by_id.get(&id)
    }

    /// Returns all sessions that are open or closing.
    pub(crate) fn all(&self) -> Vec<Arc<SessionCell>> {
        self.by_sid.values()
    }

    /// Inserts a session, unless the server is closing.
    pub(crate) fn insert(&self, cell: &Arc<SessionCell>) -> bool {
        self.lifecycle.enter_session();
        self.by_id.insert(cell.id, Arc::clone(cell));
        self.by_sid.insert(cell.sid, Arc::clone(cell));
        // A server that closes sets the phase and then visits all sessions: one of the two sees the other.
        if self.lifecycle.phase() == Phase::Running {
            return true;
        }
        self.remove(cell);
        false
    }

    /// Removes a session. Returns false if it was not there, because it was refused before.
    fn remove(&self, cell: &SessionCell) -> bool {
        let removed = self.by_sid.remove(&cell.sid).is_some();
        if removed {
            self.by_id.remove(&cell.id);
            if self.lifecycle.leave_session() {
                self.timers.wake_tasks();
            }
        }
        removed
    }

    /// Returns whether the server takes no more sessions.
    #[cfg(feature = "socketio")]
    pub(crate) fn is_closing(&self) -> bool {
        self.lifecycle.phase() != Phase::Running
    }

    /// Moves on to `phase`, which tells all tasks. Closing and aborting end all sessions.
    pub(crate) fn advance_to(&self, phase: Phase) -> bool {
        if !self.lifecycle.advance_to(phase) {
            return false;
        }
        let now = self.clock.now();
        let ending = if phase >= Phase::Closing { self.all() } else { Vec::new() };
        for cell in ending {
            match phase {
                Phase::Aborting => cell.with(|session, _, _| session.abort()),
                _ => cell.close(now),
            }
        }
        self.lifecycle.wake_all();
        self.timers.wake_tasks();
        true
    }

    /// Counts a task that has ended.
    pub(crate) fn leave(&self) {
        if self.lifecycle.leave() {
            self.timers.wake_tasks();
        }
    }

    /// Counts a handler that has ended.
    pub(crate) fn leave_handler(&self) {
        if self.lifecycle.leave_handler() {
            self.timers.wake_tasks();
        }
    }

    /// Arms `alarm` of the task of this id to wake `waker`, or disarms it.
    pub(crate) fn arm(&self, id: u64, alarm: &mut Alarm, next: Option<Time>, waker: &Waker) {
        let due = || Due::Connection(waker.clone());
        if let Some(timer) = self.timers.rearm(&id, alarm, next, due) {
            timer.wake();
        }
    }

    pub(crate) fn expired(now: Time, due: Due) {
        match due {
            Due::Connection(waker) => waker.wake(),
            Due::Session(cell) => cell.handle_timeout(now),
        }
    }
}

impl SessionCell {
    pub(crate) fn new(
        sessions: &Arc<Sessions>,
        id: u64,
        now: Time,
        session: ServerSession,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            sid: session.sid(),
            sessions: Arc::clone(sessions),
            inner: Mutex::new(Inner {
                entry: Entry::new(now, session),
                waiters: Waiters::default(),
                removed: false,
            }),
        })
    }

    /// Locks the session for the application or the clock.
    pub(crate) fn lock(self: &Arc<Self>) -> Guard<'_> {
        Guard {
            cell: self,
            inner: lock(&self.inner),
            wakes: Wakes::default(),
            removal: None,
            by: None,
            settled: false,
        }
    }

    /// Locks the session for a connection that carries it.
    #[inline]
    pub(crate) fn lock_as(self: &Arc<Self>, now: Time, carrier: u64) -> Guard<'_> {
        let mut guard = self.lock();
        guard.by = Some(carrier);
        guard.inner.entry.set_now(now);
        guard
    }

    /// Closes the session behind what is queued.
    pub(crate) fn close(self: &Arc<Self>, now: Time) {
        self.with(|session, _, _| session.close(now));
    }

    /// Puts a layer on top of the session.
    pub(crate) fn set_layer(self: &Arc<Self>, layer: Box<dyn Layer>) {
        let now = self.now();
        let mut guard = self.lock();
        guard.inner.entry.set_now(now);
        guard.inner.entry.set_layer(layer);
    }

    /// Calls `f` with the layer of the session, if it has one of that type.
    pub(crate) fn with_layer<L: Layer, T>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut L, &mut LayerContext<'_>) -> T,
    ) -> Option<T> {
        let now = self.now();
        let mut guard = self.lock();
        let Guard { inner, wakes, .. } = &mut guard;
        inner.entry.set_now(now);
        let (result, settled) = inner.entry.with_layer(wakes, f);
        guard.notify(settled);
        result
    }

    /// Calls `f`, which takes something of the layer or waits for it, as [`with_layer`](Self::with_layer) does.
    ///
    /// `f` needs no time, and nothing of it is for other tasks unless the session was throttled.
    #[cfg(feature = "socketio")]
    pub(crate) fn take_from_layer<L: Layer, T>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut L, &mut LayerContext<'_>) -> T,
    ) -> Option<T> {
        let mut guard = self.lock();
        let Guard { inner, wakes, settled, .. } = &mut guard;
        // Otherwise the peer may have to be read again.
        *settled = inner.entry.session().is_receiving();
        let (result, notified) = inner.entry.with_layer(wakes, f);
        guard.notify(notified);
        result
    }

    /// Has the task that polls woken when the layer notifies, or the session ends.
    pub(crate) fn wait_for_layer(self: &Arc<Self>, cx: &Context<'_>) {
        lock(&self.inner).waiters.receive(cx);
    }

    fn handle_timeout(self: &Arc<Self>, now: Time) {
        let mut guard = self.lock();
        let Guard { inner, wakes, .. } = &mut guard;
        let settled = inner.entry.handle_timeout(now, wakes);
        guard.notify(settled);
    }
}

impl Shareable for SessionCell {
    type Session = ServerSession;

    fn with<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut ServerSession, &mut Waiters, &mut bool) -> T,
    ) -> T {
        let mut guard = self.lock();
        let Guard { inner, settled, .. } = &mut guard;
        let Inner { entry, waiters, .. } = &mut **inner;
        work(entry.session_mut(), waiters, settled)
    }

    /// In a burst, the first message has woken everything that there is to wake.
    fn queue<T>(self: &Arc<Self>, work: impl FnOnce(&mut ServerSession, &mut Waiters) -> T) -> T {
        let mut guard = self.lock();
        let Guard { inner, settled, .. } = &mut guard;
        let Inner { entry, waiters, .. } = &mut **inner;
        let result = work(entry.session_mut(), waiters);
        *settled = entry.is_expected() && !waiters.is_awaited();
        result
    }

    fn inspect<T>(&self, inspect: impl FnOnce(&ServerSession) -> T) -> T {
        inspect(lock(&self.inner).entry.session())
    }

    fn now(&self) -> Time {
        self.sessions.clock.now()
    }

    fn id(&self) -> u64 {
        self.id
    }
}

impl Guard<'_> {
    /// Returns the entry, and the tasks to be woken once it is unlocked.
    #[inline]
    pub(crate) fn entry(&mut self) -> (&mut Entry<Waker>, &mut Wakes) {
        (&mut self.inner.entry, &mut self.wakes)
    }

    fn notify(&mut self, settled: Settled) {
        if settled.notified {
            self.inner.waiters.wake_receiver(&mut self.wakes);
        }
    }

    fn settle(&mut self) {
        let Self { cell, inner, wakes, .. } = self;
        let Inner { entry, waiters, removed } = &mut **inner;
        if entry.settle(self.by, wakes).notified {
            waiters.wake_receiver(wakes);
        }
        waiters.wake(entry.session_mut(), wakes);
        let next = entry.poll_timeout();
        let timers = &cell.sessions.timers;
        let due = || Due::Session(Arc::clone(cell));
        wakes.extend(timers.rearm(&cell.id, &mut entry.alarm, next, due));
        if entry.session().is_closed() && !*removed {
            *removed = true;
            let reason = entry.session().close_reason().cloned();
            self.removal = Some(Removal { cell, reason });
        }
    }
}

/// Removes a closed session from the directory, and tells: a listener may use the session.
struct Removal<'a> {
    cell: &'a SessionCell,
    reason: Option<CloseReason>,
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        if self.cell.sessions.remove(self.cell) {
            trace!(DEBUG, session = self.cell.id, reason = ?self.reason, "session closed");
        }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.settled {
            self.settle();
        }
    }
}

impl fmt::Debug for SessionCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}
