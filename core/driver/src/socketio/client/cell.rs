//! A client behind a lock, and the tasks that wait for it.

mod handles;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    future::Future,
    io, mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use enginewire::{CloseReason, Time};
use enginewire_socketio::{
    AckError, EncodeError, ManagerEvent, Payload, Slot,
    client_hub::{ClientAskId, ClientEngine, ClientHub},
};

use super::{
    event::Update,
    interface::{AuthHook, Options, Taken},
};
use crate::{
    clock::Clock,
    connect_error::ConnectError,
    socketio::{
        acks::{Answer, Pending},
        session::{caught, poll_task},
    },
    sync::lock,
    waiters::Waiters,
    wakers::WakerSet,
    wakes::{Wakes, register},
};

/// A client, shared by the task that has its connections and the handles of the application.
pub(super) struct ClientCell<E> {
    clock: Clock,
    /// Host and port of the server.
    to: String,
    pub(super) options: Options,
    inner: Mutex<Inner<E>>,
    /// Payloads that the application is making. The task polls them.
    authorizing: Mutex<Vec<(Slot, Authorizing)>>,
    /// There are such, or sockets that need one. Whoever sets it wakes the task.
    authorizes: AtomicBool,
}

type Authorizing = Pin<Box<dyn Future<Output = Result<Payload, EncodeError>> + Send>>;

pub(super) struct Inner<E> {
    pub(super) hub: ClientHub<E>,
    sockets: BTreeMap<Slot, Box<SocketState>>,
    acks: HashMap<ClientAskId, Arc<Pending>>,
    /// Tasks whose event waits for room, and is to be acknowledged by then.
    asking: BTreeMap<(Time, ClientAskId), Waker>,
    /// Tasks among them whose time is up.
    late: Vec<Waker>,
    /// Sockets that need a payload.
    due: Vec<Slot>,
    /// The task that has the connections.
    task: Option<Waker>,
    /// That task was woken, and has not taken the lock since.
    woken: bool,
    /// When that task wakes by itself.
    armed: Option<Time>,
    /// It has stopped reading until the application catches up.
    throttled: bool,
    /// The last error of the operating system on a connection.
    error: Option<io::Error>,
    /// Events that were not sent, once the client is closed.
    unsent: Option<usize>,
    closing: WakerSet,
    /// The task was told that nothing is left to do.
    is_told: bool,
    /// The task has ended.
    is_done: bool,
}

/// Tasks that wait for one socket, and its options.
#[derive(Default)]
struct SocketState {
    waiters: Waiters,
    /// Tasks that wait for a change of its connection.
    changes: WakerSet,
    /// Failed sessions of the client when it was opened.
    failures_before: u64,
    /// Whether it was connected, whether it had ended, and the failures when those were last woken.
    seen: (bool, bool, u64),
    auth: Option<AuthHook>,
}

/// A client that the caller has to itself. Settles when dropped.
pub(super) struct Guard<'a, E: ClientEngine> {
    pub(super) inner: MutexGuard<'a, Inner<E>>,
    /// It acts when it is dropped, which is after `inner` has been: fields go in order.
    wakes: Wakes,
    authorizes: &'a AtomicBool,
    /// The task itself holds the guard, which need not be woken.
    by_task: bool,
    /// Waiting tasks need not be woken: nothing has changed for them.
    settled: bool,
}

impl<E: ClientEngine> ClientCell<E> {
    pub(super) fn new(hub: ClientHub<E>, options: Options, clock: Clock, to: &str) -> Arc<Self> {
        Arc::new(Self {
            clock,
            to: to.to_owned(),
            options,
            inner: Mutex::new(Inner {
                hub,
                sockets: BTreeMap::new(),
                acks: HashMap::new(),
                asking: BTreeMap::new(),
                late: Vec::new(),
                due: Vec::new(),
                task: None,
                woken: false,
                armed: None,
                throttled: false,
                error: None,
                unsent: None,
                closing: WakerSet::default(),
                is_told: false,
                is_done: false,
            }),
            authorizing: Mutex::default(),
            authorizes: AtomicBool::new(false),
        })
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn lock(&self) -> Guard<'_, E> {
        let (inner, wakes, authorizes) = (lock(&self.inner), Wakes::default(), &self.authorizes);
        Guard { inner, wakes, authorizes, by_task: false, settled: false }
    }

    /// Locks the client for its task, which need not be woken then.
    pub(super) fn lock_by_task(&self) -> Guard<'_, E> {
        let mut guard = self.lock();
        guard.by_task = true;
        guard
    }

    /// Has the task woken when the client asks for something.
    pub(super) fn register_task(&self, waker: &Waker) {
        register(&mut lock(&self.inner).task, waker);
    }

    /// Polls futures of the application that the client waits for.
    pub(super) fn poll_application(&self, cx: &mut Context<'_>) {
        if !self.authorizes.swap(false, Ordering::Acquire) {
            return;
        }
        let due = mem::take(&mut lock(&self.inner).due);
        let mut authorizing = mem::take(&mut *lock(&self.authorizing));
        for slot in due {
            // A request is authorized by what was made for it, not for the one before.
            authorizing.retain(|(of, _)| *of != slot);
            let hook = lock(&self.inner).sockets.get(&slot).and_then(|state| state.auth.clone());
            let Some(hook) = hook else { continue };
            match caught(|| hook()) {
                Some(future) => authorizing.push((slot, future)),
                None => self.authorize(slot, None),
            }
        }
        authorizing.retain_mut(|(slot, future)| {
            if !lock(&self.inner).hub.is_asking(*slot) {
                // The connection is lost, or the socket is not wanted any more.
                return false;
            }
            match poll_task(future, cx) {
                Poll::Pending => true,
                Poll::Ready(auth) => {
                    self.authorize(*slot, auth.and_then(Result::ok));
                    false
                }
            }
        });
        if !authorizing.is_empty() {
            self.authorizes.store(true, Ordering::Release);
            *lock(&self.authorizing) = authorizing;
        }
    }

    /// Notes that the task has ended, and with it all connections.
    pub(super) fn finish(&self) {
        let mut guard = self.lock_by_task();
        guard.inner.is_done = true;
        guard.inner.hub.abort();
        let Guard { inner, wakes, .. } = &mut guard;
        let pending: Vec<_> = inner.acks.drain().map(|(_, pending)| pending).collect();
        for pending in pending {
            let reason = enginewire_socketio::DisconnectReason::ForcedClose;
            let result = Err(AckError::Disconnected(reason));
            wakes.extend(Answer::One(pending).complete(result));
        }
        inner.closing.wake_all(wakes);
        drop(guard);
        let authorizing = mem::take(&mut *lock(&self.authorizing));
        drop(authorizing);
    }

    /// Gives the payload that a request to connect waits for.
    ///
    /// `None` ends the socket: its function has panicked, or makes what cannot be encoded, which does not pass.
    fn authorize(&self, slot: Slot, auth: Option<Payload>) {
        let now = self.now();
        let mut guard = self.lock_by_task();
        let (manager, session) = guard.inner.hub.parts();
        match auth {
            Some(auth) => drop(manager.authorize(now, slot, Some(auth), session)),
            None => drop(manager.disconnect(now, slot, session)),
        }
    }
}

impl<E: ClientEngine> Inner<E> {
    /// Notes the last error of a connection, to be told if the session cannot be opened.
    pub(super) fn note_error(&mut self, error: io::Error) {
        self.error = Some(error);
    }

    /// Handles deadlines that have passed: of the hub, and of tasks whose event waits for room.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.hub.handle_timeout(now);
        while let Some(first) = self.asking.first_entry()
            && first.key().0 <= now
        {
            self.late.push(first.remove());
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let asking = self.asking.first_key_value().map(|((deadline, _), _)| *deadline);
        self.hub.poll_timeout().into_iter().chain(asking).min()
    }

    /// Makes an update of the application's.
    fn tell(&mut self, update: enginewire_socketio::Update, to: &str) -> Taken {
        use enginewire_socketio::Update as Told;
        Taken::Other(match update {
            Told::Event { event, connection } => return Taken::Event(event, connection),
            Told::Connected { id, recovered } => {
                // It was of an attempt before.
                self.error = None;
                Update::Connected { id, recovered }
            }
            Told::Disconnected { reason, unsent } => Update::Disconnected { reason, unsent },
            Told::Refused(error) => Update::Refused(error),
            Told::Failed(reason) => Update::Failed(self.connect_error(reason, to)),
            Told::Waiting { attempt, delay } => Update::Waiting { attempt, delay },
            // All that the core has are above.
            _ => Update::Waiting { attempt: 0, delay: Duration::ZERO },
        })
    }

    fn connect_error(&mut self, reason: CloseReason, to: &str) -> ConnectError {
        let body = self.hub.refusal().map(str::to_owned);
        ConnectError::of_session(to.to_owned(), reason, body, self.error.take())
    }
}

impl SocketState {
    /// Wakes the tasks that wait for the socket, if something has happened to it.
    fn wake<E: ClientEngine>(
        &mut self,
        hub: &ClientHub<E>,
        slot: Slot,
        is_done: bool,
        wakes: &mut Wakes,
    ) {
        let is_over = is_done || hub.end_reason(slot).is_some();
        let now = (hub.is_connected(slot), is_over, hub.failures());
        if mem::replace(&mut self.seen, now) == now {
            return;
        }
        // They stay until their futures leave.
        self.changes.wake_all(wakes);
        if is_over {
            self.waiters.wake_receiver(wakes);
            self.waiters.wake_all_for_room(wakes);
        }
    }
}

impl<E: ClientEngine> Guard<'_, E> {
    /// Notes what the task waits for until it takes the lock again.
    pub(super) fn settle_task(&mut self, due: Option<Time>, throttled: bool) {
        let Inner { woken, armed, throttled: is_throttled, .. } = &mut *self.inner;
        (*woken, *armed, *is_throttled) = (false, due, throttled);
    }

    fn settle(&mut self) {
        let Self { inner, wakes, authorizes, by_task, .. } = self;
        let inner = &mut **inner;
        while let Some(event) = inner.hub.poll_event() {
            match event {
                ManagerEvent::Readable(slot) => {
                    if let Some(state) = inner.sockets.get_mut(&slot) {
                        state.waiters.wake_receiver(wakes);
                    }
                }
                ManagerEvent::Auth(slot) => inner.due.push(slot),
                ManagerEvent::Acknowledged(_, ask, result) => {
                    if let Some(pending) = inner.acks.remove(&ask) {
                        wakes.extend(Answer::One(pending).complete(result));
                    }
                }
                ManagerEvent::Closed { unsent } => inner.unsent = Some(unsent),
                ManagerEvent::Writable(slot) => {
                    if let Some(state) = inner.sockets.get_mut(&slot) {
                        state.waiters.wake_first_for_room(wakes);
                    }
                }
                _ => {}
            }
        }
        for (&slot, state) in &mut inner.sockets {
            state.wake(&inner.hub, slot, inner.is_done, wakes);
        }
        let ends = inner.hub.is_finished();
        if ends {
            // Not before: the session is over as soon as its last bytes are handed out, which are yet to be written.
            wakes.extend(inner.closing.drain());
        }
        wakes.extend(inner.late.drain(..));
        let due = inner.poll_timeout();
        let sooner = due.is_some_and(|due| inner.armed.is_none_or(|armed| due < armed));
        let resumes = inner.throttled && inner.hub.is_receiving();
        let wants = sooner || resumes || ends || inner.hub.has_actions();
        let is_due = !inner.due.is_empty();
        if is_due {
            authorizes.store(true, Ordering::Release);
        }
        // The task itself may have looked at that before its last input was settled.
        let is_over = ends && !mem::replace(&mut inner.is_told, ends);
        if is_due || is_over || (!*by_task && !inner.woken && wants) {
            inner.woken = true;
            wakes.extend(inner.task.clone());
        }
    }
}

impl<E: ClientEngine> Drop for Guard<'_, E> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle();
        }
    }
}

impl<E> fmt::Debug for ClientCell<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCell").field("to", &self.to).finish_non_exhaustive()
    }
}
