//! One session and everybody who waits for it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    task::Waker,
};

use enginewire::{
    CloseReason, Session, Sid, SocketId, Time,
    carrier::{Order, must_rearm},
};

use crate::{
    last_look::LastLook,
    runtime::Runtime,
    shared::{Armed, Shared, lock},
    trace::trace,
    waiters::{Shareable, Waiters},
    wakes::Wakes,
};

/// A session, shared by the connections that carry it and the handle that the application has.
///
/// Whoever does something to the session holds its lock for that long, then settles: hands the
/// session's actions to the connections they are for, and collects who is to be woken once the lock
/// is released. Nothing else is shared, and nothing is sent through channels.
pub(crate) struct SessionCell<R: Runtime> {
    /// The public name.
    pub(crate) id: u64,
    sid: Sid,
    pub(crate) shared: Arc<Shared<R>>,
    inner: Mutex<Inner>,
}

struct Inner {
    session: Session,
    /// Connections that carry the session now: a GET, a POST, a WebSocket, one that probes.
    carriers: Vec<Carrier>,
    waiters: Waiters,
    armed: Option<Armed>,
    last_look: LastLook,
    /// The directory has let go of the session.
    removed: bool,
}

struct Carrier {
    id: u64,
    waker: Waker,
    /// What the session wants of this connection.
    order: Option<Order>,
    /// The connection knows that it is wanted.
    woken: bool,
    /// The connection has stopped reading until the application catches up.
    paused: bool,
}

/// A session that the caller has to itself. Settles when dropped.
pub(crate) struct Guard<'a, R: Runtime> {
    cell: &'a Arc<SessionCell<R>>,
    inner: MutexGuard<'a, Inner>,
    /// These two act when they are dropped, which is after `inner` has been: fields go in order.
    wakes: Wakes,
    removal: Option<Removal<'a, R>>,
    /// The carrier that holds the guard, which need not be woken.
    carrier: Option<u64>,
    /// Nothing has happened that anybody else needs to know.
    settled: bool,
}

impl<R: Runtime> SessionCell<R> {
    pub(crate) fn new(shared: &Arc<Shared<R>>, session: Session) -> Arc<Self> {
        Arc::new(Self {
            id: shared.fresh_id(),
            sid: session.sid(),
            shared: Arc::clone(shared),
            inner: Mutex::new(Inner {
                session,
                carriers: Vec::new(),
                waiters: Waiters::default(),
                armed: None,
                last_look: LastLook::default(),
                removed: false,
            }),
        })
    }

    /// Locks the session for the application or the clock.
    pub(crate) fn lock(self: &Arc<Self>) -> Guard<'_, R> {
        Guard {
            cell: self,
            inner: lock(&self.inner),
            wakes: Wakes::default(),
            removal: None,
            carrier: None,
            settled: false,
        }
    }

    /// Locks the session for a connection that carries it.
    pub(crate) fn lock_as(self: &Arc<Self>, carrier: u64) -> Guard<'_, R> {
        let mut guard = self.lock();
        guard.carrier = Some(carrier);
        guard
    }

    pub(crate) fn handle_timeout(self: &Arc<Self>, now: Time) {
        let mut guard = self.lock();
        // Another thread may have armed a later one since this one came up.
        guard.inner.armed.take_if(|armed| armed.deadline <= now);
        let Inner { session, last_look, .. } = &mut *guard.inner;
        if let Some(due) = session.awaited().filter(|&due| due <= now)
            && let Some(until) = last_look.before(due, now)
        {
            session.excuse(until);
        }
        session.handle_timeout(now);
    }
}

impl<R: Runtime> Shareable for SessionCell<R> {
    type Session = Session;

    fn with<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Session, &mut Waiters, &mut bool) -> T,
    ) -> T {
        let mut guard = self.lock();
        let Guard { inner, settled, .. } = &mut guard;
        let Inner { session, waiters, .. } = &mut **inner;
        work(session, waiters, settled)
    }

    fn look<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        look(&lock(&self.inner).session)
    }

    fn now(&self) -> Time {
        self.shared.runtime.now()
    }

    fn id(&self) -> u64 {
        self.id
    }
}

impl<R: Runtime> Guard<'_, R> {
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.inner.session
    }

    /// Makes a connection one of those that carry the session.
    pub(crate) fn attach(&mut self, id: u64, waker: &Waker) {
        let waker = waker.clone();
        let carrier = Carrier { id, waker, order: None, woken: false, paused: false };
        self.inner.carriers.push(carrier);
        self.carrier = Some(id);
    }

    pub(crate) fn detach(&mut self, id: u64) {
        self.inner.carriers.retain(|carrier| carrier.id != id);
    }

    /// What the session wants of the connection that holds this guard. From now on it has to be
    /// woken for more, and to be read again if the session is not receiving.
    pub(crate) fn take_order(&mut self, waker: &Waker) -> Option<Order> {
        self.hand_out_actions();
        let Inner { session, carriers, .. } = &mut *self.inner;
        let me = self.carrier;
        let carrier = carriers.iter_mut().find(|carrier| Some(carrier.id) == me)?;
        if !carrier.waker.will_wake(waker) {
            carrier.waker = waker.clone();
        }
        carrier.woken = false;
        carrier.paused = !session.is_receiving();
        carrier.order.take()
    }

    #[inline]
    fn hand_out_actions(&mut self) {
        if self.inner.session.has_actions() {
            self.hand_out_some_actions();
        }
    }

    fn hand_out_some_actions(&mut self) {
        let Inner { session, carriers, .. } = &mut *self.inner;
        while let Some(action) = session.poll_action() {
            let (id, order) = Order::of(action);
            // A connection that is gone wants no answer.
            if let Some(carrier) = carriers.iter_mut().find(|carrier| carrier.id == id) {
                carrier.order = Some(order);
                if self.carrier != Some(id) && !carrier.woken {
                    carrier.woken = true;
                    self.wakes.push(carrier.waker.clone());
                }
            }
        }
    }

    fn settle(&mut self) {
        self.hand_out_actions();
        let Inner { session, carriers, waiters, .. } = &mut *self.inner;
        for carrier in carriers {
            if carrier.woken || self.carrier == Some(carrier.id) {
                continue;
            }
            let resumes = carrier.paused && session.is_receiving();
            if resumes || session.wants_write(SocketId(carrier.id)) {
                carrier.woken = true;
                self.wakes.push(carrier.waker.clone());
            }
        }
        waiters.wake(session, &mut self.wakes);
        self.settle_deadline();
        if self.inner.session.is_closed() && !self.inner.removed {
            self.inner.removed = true;
            let reason = self.inner.session.close_reason().cloned();
            self.removal = Some(Removal { cell: self.cell, reason });
        }
    }

    fn settle_deadline(&mut self) {
        let Inner { session, armed, .. } = &mut *self.inner;
        let shared = &self.cell.shared;
        let next = session.poll_timeout().map(|(deadline, _)| deadline);
        if must_rearm(armed.as_ref().map(|armed| armed.deadline), next) {
            if let Some(old) = armed.take() {
                shared.disarm(old);
            }
            if let Some(deadline) = next {
                let (new, timer) = shared.session_at(deadline, self.cell);
                *armed = Some(new);
                self.wakes.extend(timer);
            }
        }
    }
}

/// Takes a session that is over out of the directory, and tells: whoever listens may do something to the
/// session.
struct Removal<'a, R: Runtime> {
    cell: &'a SessionCell<R>,
    reason: Option<CloseReason>,
}

impl<R: Runtime> Drop for Removal<'_, R> {
    fn drop(&mut self) {
        if self.cell.shared.remove(&self.cell.sid) {
            trace!(DEBUG, session = self.cell.id, reason = ?self.reason, "session closed");
        }
    }
}

impl<R: Runtime> Drop for Guard<'_, R> {
    #[inline]
    fn drop(&mut self) {
        if !self.settled {
            self.settle();
        }
    }
}

impl<R: Runtime> fmt::Debug for SessionCell<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}
