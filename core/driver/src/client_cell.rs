//! One session of a client and everybody who waits for it.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use enginewire::{ClientHub, CloseReason, Time, wire::http::RequestHead};

use crate::{
    clock::Clock,
    connect_error::ConnectError,
    handshake::Handshake,
    sync::lock,
    trace::trace,
    waiters::{Hosted, Shareable, Ticket, Waiters},
    wakes::{Wakes, register},
};

/// The state that the sessions of one client share.
#[derive(Debug)]
pub(crate) struct ClientState {
    pub(crate) clock: Clock,
    /// The head that all requests have in common, for the application to look at.
    pub(crate) head: RequestHead,
    /// A WebSocket has worked, and nothing has failed since.
    pub(crate) websocket_worked: AtomicBool,
}

/// A session, shared by the task that has its connections and the handle that the application has.
pub(crate) struct ClientCell {
    /// The public name.
    id: u64,
    client: Arc<ClientState>,
    inner: Mutex<Inner>,
}

pub(crate) struct Inner {
    pub(crate) hosted: Hosted,
    waiters: Waiters,
    /// The task that has the connections.
    task: Option<Waker>,
    /// That task was woken, and has not taken the lock since.
    woken: bool,
    /// When that task wakes by itself.
    armed: Option<Time>,
    /// It has stopped reading until the application catches up.
    throttled: bool,
    /// The last error of the operating system on a connection.
    pub(crate) error: Option<io::Error>,
    /// The server's address, as the first connection has found it.
    pub(crate) peer_addr: Option<SocketAddr>,
    /// The beginning has been noticed, and the end.
    begun: bool,
    ended: bool,
}

/// How a session that is over was when it ended.
pub(crate) enum Over {
    /// The application had closed it, or let go of it.
    Closed,
    /// It was to go on.
    Lost,
}

/// A session that the caller has to itself. Settles when dropped.
pub(crate) struct Guard<'a> {
    cell: &'a ClientCell,
    pub(crate) inner: MutexGuard<'a, Inner>,
    /// These two act when they are dropped, which is after `inner` has been: fields go in order.
    wakes: Wakes,
    news: Option<News>,
    /// The task itself holds the guard, which need not be woken.
    by_task: bool,
    settled: bool,
}

impl ClientCell {
    pub(crate) fn new(client: &Arc<ClientState>, hub: ClientHub) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            client: Arc::clone(client),
            inner: Mutex::new(Inner {
                hosted: Hosted { hub, done: false },
                waiters: Waiters::default(),
                task: None,
                woken: false,
                armed: None,
                throttled: false,
                error: None,
                peer_addr: None,
                begun: false,
                ended: false,
            }),
        })
    }

    /// Locks the session for its task.
    pub(crate) fn lock_by_task(&self) -> Guard<'_> {
        let mut guard = self.lock();
        guard.by_task = true;
        guard
    }

    fn lock(&self) -> Guard<'_> {
        let (inner, wakes) = (lock(&self.inner), Wakes::default());
        Guard { cell: self, inner, wakes, news: None, by_task: false, settled: false }
    }

    /// Has the task woken when the session asks for something.
    pub(crate) fn register_task(&self, waker: &Waker) {
        register(&mut lock(&self.inner).task, waker);
    }

    /// The task has ended, and with it all connections.
    pub(crate) fn finish(&self) {
        let mut guard = self.lock_by_task();
        guard.inner.hosted.hub.abort();
        guard.inner.hosted.done = true;
    }

    pub(crate) fn abort(&self) {
        self.lock().inner.hosted.hub.abort();
    }

    /// Waits until the session is open, or over before that.
    pub(crate) fn poll_open(&self, cx: &Context<'_>) -> Poll<Result<Handshake, ConnectError>> {
        let mut guard = self.lock();
        guard.settled = true;
        let inner = &mut *guard.inner;
        let session = inner.hosted.hub.session();
        if let Some(reason) = session.close_reason().filter(|_| session.handshake().is_none()) {
            let reason = reason.clone();
            let to = session.url().authority().to_owned();
            let body = session.refusal().map(str::to_owned);
            let error = ConnectError::of_session(to, reason, body, inner.error.take());
            return Poll::Ready(Err(error));
        }
        if session.handshake().is_none() {
            inner.waiters.receive(cx);
            return Poll::Pending;
        }
        let head = self.client.head.clone();
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        Poll::Ready(Ok(Handshake::new(head, inner.peer_addr.unwrap_or(unknown))))
    }

    /// Gives up the place of a future that was dropped.
    pub(crate) fn leave(&self, ticket: &mut Ticket) {
        if ticket.is_taken() {
            self.lock().inner.waiters.leave(ticket);
        }
    }

    /// Waits until the session is over.
    pub(crate) fn poll_over(&self, cx: &Context<'_>, ticket: &mut Ticket) -> Poll<Over> {
        let mut guard = self.lock();
        guard.settled = true;
        let Inner { hosted, waiters, .. } = &mut *guard.inner;
        let was_closed = hosted.hub.session().was_closed();
        waiters
            .poll_closed(hosted, cx, ticket)
            .map(|_| if was_closed { Over::Closed } else { Over::Lost })
    }
}

impl Shareable for ClientCell {
    type Session = Hosted;

    fn with<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Hosted, &mut Waiters, &mut bool) -> T,
    ) -> T {
        let mut guard = self.lock();
        let Guard { inner, settled, .. } = &mut guard;
        let Inner { hosted, waiters, .. } = &mut **inner;
        work(hosted, waiters, settled)
    }

    fn inspect<T>(&self, inspect: impl FnOnce(&Hosted) -> T) -> T {
        inspect(&lock(&self.inner).hosted)
    }

    fn now(&self) -> Time {
        self.client.clock.now()
    }

    fn id(&self) -> u64 {
        self.id
    }
}

impl Guard<'_> {
    /// Notes what the task waits for until it takes the lock again. `idle` tells that it has nothing to write.
    pub(crate) fn settle_task(&mut self, due: Option<Time>, throttled: bool, idle: bool) {
        let Inner { hosted, woken, armed, throttled: is_throttled, .. } = &mut *self.inner;
        (*woken, *armed, *is_throttled) = (false, due, throttled);
        let session = hosted.hub.session();
        if idle && session.is_closed() && !session.was_closed() {
            // The application need not wait for the rest of a closing handshake that it has not begun.
            hosted.done = true;
        }
    }

    fn settle(&mut self) {
        let Inner { hosted, waiters, task, woken, armed, throttled, begun, ended, .. } =
            &mut *self.inner;
        waiters.wake(hosted, &mut self.wakes);
        let hub = &hosted.hub;
        let due = hub.poll_timeout();
        let sooner = due.is_some_and(|due| armed.is_none_or(|armed| due < armed));
        let session = hub.session();
        let resumes = *throttled && session.is_receiving();
        if !self.by_task && !*woken && (sooner || resumes || hub.has_actions()) {
            *woken = true;
            self.wakes.extend(task.clone());
        }
        if *ended {
            return;
        }
        if !*begun && session.handshake().is_some() {
            *begun = true;
            self.news.get_or_insert(News::of(self.cell.id)).opened = true;
        }
        if session.websocket_works() {
            self.cell.client.websocket_worked.store(true, Ordering::Relaxed);
        }
        if let Some(reason) = session.close_reason() {
            *ended = true;
            if matches!(reason, CloseReason::TransportError(_)) {
                self.cell.client.websocket_worked.store(false, Ordering::Relaxed);
            }
            self.news.get_or_insert(News::of(self.cell.id)).closed = Some(reason.clone());
        }
    }
}

/// Changes of a session, reported when this is dropped. The lock is free by then, because a
/// subscriber may work on the session.
struct News {
    id: u64,
    opened: bool,
    closed: Option<CloseReason>,
}

impl News {
    const fn of(id: u64) -> Self {
        Self { id, opened: false, closed: None }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        if self.opened {
            trace!(DEBUG, session = self.id, "session opened");
        }
        if let Some(reason) = &self.closed {
            trace!(DEBUG, session = self.id, reason = ?reason, "session closed");
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle();
        }
    }
}

impl fmt::Debug for ClientCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}
