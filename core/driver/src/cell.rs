//! One session and everybody who waits for it.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use enginewire::{
    CloseReason, Encoded, Event, Limits, Message, Revision, SendError, Session, Sid, SocketId,
    Time, TransportKind, TrySendError, carrier::Order,
};

use crate::{
    runtime::Runtime,
    shared::{Armed, Shared, lock},
    socket::Handshake,
    trace::trace,
    wakes::{Wakes, register},
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
    pub(crate) handshake: Arc<Handshake>,
    inner: Mutex<Inner>,
}

struct Inner {
    session: Session,
    /// Connections that carry the session now: a GET, a POST, a WebSocket, one that probes.
    carriers: Vec<Carrier>,
    /// The task in `recv`.
    receiver: Option<Waker>,
    /// Tasks that wait for room, or for the end.
    waiting: Vec<Waker>,
    armed: Option<Armed>,
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
    pub(crate) fn new(
        shared: &Arc<Shared<R>>,
        session: Session,
        handshake: Arc<Handshake>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: shared.fresh_id(),
            sid: session.sid(),
            shared: Arc::clone(shared),
            handshake,
            inner: Mutex::new(Inner {
                session,
                carriers: Vec::new(),
                receiver: None,
                waiting: Vec::new(),
                armed: None,
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
        guard.inner.armed = None;
        guard.inner.session.handle_timeout(now);
    }

    pub(crate) fn close(self: &Arc<Self>, now: Time) {
        self.lock().inner.session.close(now);
    }

    pub(crate) fn abort(self: &Arc<Self>) {
        self.lock().inner.session.abort();
    }

    /// The application has let go of its handle.
    pub(crate) fn release(self: &Arc<Self>, now: Time) {
        let mut guard = self.lock();
        guard.inner.session.close(now);
        guard.inner.receiver = None;
    }

    pub(crate) fn try_send(self: &Arc<Self>, message: Encoded) -> Result<(), TrySendError> {
        self.lock().inner.session.send(message)
    }

    /// Takes `message` out of its place once there is room.
    pub(crate) fn poll_send(
        self: &Arc<Self>,
        cx: &Context<'_>,
        place: &mut Option<Encoded>,
    ) -> Poll<Result<(), SendError>> {
        let Some(message) = place.take() else { return Poll::Ready(Ok(())) };
        let mut guard = self.lock();
        match guard.inner.session.send(message) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(TrySendError { message, reason: SendError::Full { .. } }) => {
                *place = Some(message);
                guard.wait(cx);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error.reason)),
        }
    }

    /// Waits for room.
    pub(crate) fn poll_ready(self: &Arc<Self>, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        let mut guard = self.lock();
        if !guard.inner.session.is_open() {
            return Poll::Ready(Err(SendError::Closed));
        }
        if !guard.inner.session.has_room() {
            guard.wait(cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until everything queued is on its way.
    pub(crate) fn poll_flushed(self: &Arc<Self>, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        let mut guard = self.lock();
        if guard.inner.session.close_reason().is_some() {
            return Poll::Ready(Err(SendError::Closed));
        }
        if guard.inner.session.queued() > 0 {
            guard.wait(cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(self: &Arc<Self>, cx: &Context<'_>) -> Poll<CloseReason> {
        let mut guard = self.lock();
        match guard.inner.session.close_reason() {
            Some(reason) => Poll::Ready(reason.clone()),
            None => {
                guard.wait(cx);
                Poll::Pending
            }
        }
    }

    /// Takes the next message, and along with it those behind it to `ahead`, until they count for
    /// [`MAX_AHEAD`]: enough to share the price of the lock, too few to matter for what is unread.
    pub(crate) fn poll_recv(
        self: &Arc<Self>,
        cx: &Context<'_>,
        ahead: &mut VecDeque<Message>,
    ) -> Poll<Option<Message>> {
        let mut guard = self.lock();
        let session = &mut guard.inner.session;
        let was_receiving = session.is_receiving();
        let mut first = None;
        let mut room = MAX_AHEAD;
        while let Some(event) = session.poll_event() {
            let Event::Message(message) = event else { continue };
            room = room.saturating_sub(message.len() + Limits::MESSAGE_OVERHEAD);
            if first.is_none() {
                first = Some(message);
            } else {
                ahead.push_back(message);
            }
            if room == 0 {
                break;
            }
        }
        if was_receiving {
            // Nothing else follows from taking what has come.
            guard.settled = true;
        }
        if first.is_some() {
            return Poll::Ready(first);
        }
        if guard.inner.session.is_closed() {
            return Poll::Ready(None);
        }
        register(&mut guard.inner.receiver, cx.waker());
        Poll::Pending
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        lock(&self.inner).session.close_reason().cloned()
    }

    pub(crate) fn transport(&self) -> TransportKind {
        lock(&self.inner).session.transport()
    }

    pub(crate) fn revision(&self) -> Revision {
        lock(&self.inner).session.revision()
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
        let Some(carrier) = carriers.iter_mut().find(|carrier| Some(carrier.id) == me) else {
            return None;
        };
        if !carrier.waker.will_wake(waker) {
            carrier.waker = waker.clone();
        }
        carrier.woken = false;
        carrier.paused = !session.is_receiving();
        carrier.order.take()
    }

    fn wait(&mut self, cx: &Context<'_>) {
        let waiting = &mut self.inner.waiting;
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
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
        let Inner { session, carriers, receiver, waiting, .. } = &mut *self.inner;
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
        if session.has_events() {
            self.wakes.extend(receiver.take());
        }
        let closed = session.is_closed();
        if !waiting.is_empty() && (closed || session.is_writable()) {
            self.wakes.extend(waiting.drain(..));
        }
        self.settle_deadline();
        if closed && !self.inner.removed {
            self.inner.removed = true;
            trace!(DEBUG, session = self.cell.id, reason = ?self.inner.session.close_reason(), "session closed");
            self.removal = Some(Removal(self.cell));
        }
    }

    /// Deadlines move away with nearly every packet and are looked at again when they come up; only
    /// one that has come nearer must be armed now.
    fn settle_deadline(&mut self) {
        let Inner { session, armed, .. } = &mut *self.inner;
        let shared = &self.cell.shared;
        match (session.poll_timeout(), &*armed) {
            (Some((next, _)), Some(current)) if current.deadline <= next => {}
            (None, None) => {}
            (next, _) => {
                if let Some(old) = armed.take() {
                    shared.disarm(old);
                }
                *armed = next.map(|(deadline, _)| shared.session_at(deadline, self.cell));
            }
        }
    }
}

/// What messages taken together count for from which on no other is added.
const MAX_AHEAD: usize = 1024;

/// Takes a session that is over out of the directory.
struct Removal<'a, R: Runtime>(&'a SessionCell<R>);

impl<R: Runtime> Drop for Removal<'_, R> {
    fn drop(&mut self) {
        self.0.shared.remove(&self.0.sid);
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
