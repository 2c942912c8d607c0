//! What all connections, sessions and handles of one server share.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hash},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread::available_parallelism,
    time::Duration,
};

use enginewire::{DeadlineKey, Deadlines, Router, Sid, Time, wire::http};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;

use crate::{
    cell::SessionCell,
    runtime::Runtime,
    server::AllowHook,
    socket::Socket,
    waiters::Shareable,
    wakes::{Wakes, register},
};

/// One server.
pub(crate) struct Shared<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) router: Router,
    pub(crate) http: Arc<http::Config>,
    pub(crate) allow: Option<AllowHook>,
    pub(crate) options: Options,
    pub(crate) local_addr: SocketAddr,
    shards: Box<[Shard<R>]>,
    /// Names for connections and exchanges.
    next_id: AtomicU64,
    phase: AtomicU8,
    /// Connections, sessions and the accept loop, all of which the end waits for.
    alive: AtomicUsize,
    /// The sessions among them.
    live: AtomicUsize,
    accepted: Mutex<Accepted<R>>,
    /// Whoever waits for the phase to change: the accept loop and the closer.
    watchers: Mutex<Slab<Waker>>,
}

/// What only the driver needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Sessions that may wait for `Server::accept`.
    pub(crate) backlog: usize,
    /// How long a peer may take to read an HTTP answer, without any progress.
    pub(crate) write_timeout: Duration,
    /// How long the end of a connection may take.
    pub(crate) linger: Duration,
    /// How long `Server::close` waits for peers.
    pub(crate) shutdown_timeout: Duration,
}

/// How far the end of the server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// No new sessions; what is queued is let out. New connections only as long as a client may need one
    /// for that.
    Closing,
    /// Nothing is waited for any more.
    Aborting,
}

/// A part of the sessions, connections and deadlines, so that threads seldom meet.
struct Shard<R: Runtime> {
    /// Keyed by ids that this server made, so a hasher that an attacker could predict is fine: a
    /// peer can look ids up, never put one in.
    sessions: Mutex<HashMap<Sid, Arc<SessionCell<R>>, FixedState>>,
    connections: Mutex<Slab<Waker>>,
    timer: Mutex<Timer<R>>,
}

/// The deadlines of a shard and the one task that sleeps until the first of them.
struct Timer<R: Runtime> {
    deadlines: Deadlines<Due<R>>,
    /// When the task will look next.
    sleeps_until: Time,
    task: Option<Waker>,
}

/// What to do when a deadline comes up.
enum Due<R: Runtime> {
    Wake(Waker),
    Session(Arc<SessionCell<R>>),
}

/// Sessions on their way to `Server::accept`.
struct Accepted<R: Runtime> {
    sockets: VecDeque<Socket<R>>,
    /// All who wait. One that is woken may take another turn, so all are.
    waiting: Slab<Waker>,
}

/// Names a deadline, and the shard that it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armed {
    pub(crate) deadline: Time,
    shard: usize,
    key: DeadlineKey,
}

/// A connection's entry in the list of those to be told about the end.
#[derive(Debug)]
pub(crate) struct Registered {
    shard: usize,
    key: usize,
}

impl<R: Runtime> Shared<R> {
    pub(crate) fn new(
        runtime: R,
        router: Router,
        http: http::Config,
        allow: Option<AllowHook>,
        options: Options,
        local_addr: SocketAddr,
    ) -> Self {
        let shards = available_parallelism().map_or(1, |n| n.get().next_power_of_two().min(64));
        Self {
            runtime,
            router,
            http: Arc::new(http),
            allow,
            options,
            local_addr,
            shards: (0..shards).map(|_| Shard::new()).collect(),
            next_id: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Running as u8),
            alive: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            accepted: Mutex::new(Accepted { sockets: VecDeque::new(), waiting: Slab::new() }),
            watchers: Mutex::new(Slab::new()),
        }
    }

    /// A name that no connection, exchange or session of this server has had.
    pub(crate) fn fresh_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Closing,
            _ => Phase::Aborting,
        }
    }
}

/// Sessions.
impl<R: Runtime> Shared<R> {
    pub(crate) fn find(&self, sid: &Sid) -> Option<Arc<SessionCell<R>>> {
        lock(&self.shards[self.shard_of(sid)].sessions).get(sid).cloned()
    }

    /// Puts a session where its requests find it, unless the server is closing.
    fn insert(&self, sid: Sid, cell: &Arc<SessionCell<R>>) -> bool {
        let mut sessions = lock(&self.shards[self.shard_of(&sid)].sessions);
        // Whoever closes sets the phase first and then walks the shards: one of us sees the other.
        if self.phase() != Phase::Running {
            return false;
        }
        sessions.insert(sid, Arc::clone(cell));
        self.live.fetch_add(1, Ordering::AcqRel);
        self.alive.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Says whether it was there: a session may be refused before.
    pub(crate) fn remove(&self, sid: &Sid) -> bool {
        let removed = lock(&self.shards[self.shard_of(sid)].sessions).remove(sid);
        if removed.is_some() {
            if self.live.fetch_sub(1, Ordering::AcqRel) == 1 && self.phase() != Phase::Running {
                // Those that were kept for it are of no more use.
                self.wake_connections();
                self.wake_watchers();
            }
            self.leave();
        }
        removed.is_some()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.sessions).len()).sum()
    }

    fn shard_of(&self, key: &impl Hash) -> usize {
        // The low bits choose the shard, hashbrown goes by others.
        (FixedState::default().hash_one(key) >> 20) as usize & (self.shards.len() - 1)
    }
}

/// The way of new sessions to `Server::accept`.
impl<R: Runtime> Shared<R> {
    /// Whether a new session would find a place.
    pub(crate) fn has_room(&self) -> bool {
        self.phase() == Phase::Running && lock(&self.accepted).sockets.len() < self.options.backlog
    }

    /// Puts a new session where its requests and `Server::accept` find it; gives it back if the server is
    /// closing, or has as many as may wait.
    pub(crate) fn open(
        &self,
        sid: Sid,
        cell: &Arc<SessionCell<R>>,
        socket: Socket<R>,
    ) -> Result<(), Socket<R>> {
        let mut wakes = Wakes::default();
        // Whoever finds nothing here although the server is closing knows that nothing will come.
        let mut accepted = lock(&self.accepted);
        // Others may have come since there was room, while the application was asked.
        if accepted.sockets.len() >= self.options.backlog || !self.insert(sid, cell) {
            return Err(socket);
        }
        accepted.sockets.push_back(socket);
        wakes.extend(accepted.waiting.iter().map(|(_, waker)| waker.clone()));
        Ok(())
    }

    /// Nobody will accept them any more.
    pub(crate) fn drop_accepted(&self) {
        let sockets = std::mem::take(&mut lock(&self.accepted).sockets);
        drop(sockets);
    }

    /// Remembers under `key` who waits, until [`stop_accepting`](Self::stop_accepting).
    pub(crate) fn poll_accept(
        &self,
        key: &mut Option<usize>,
        cx: &Context<'_>,
    ) -> Poll<Option<Socket<R>>> {
        let mut accepted = lock(&self.accepted);
        match accepted.sockets.pop_front() {
            // Also of a server that is closing: what the session has taken is the application's.
            Some(socket) => Poll::Ready(Some(socket)),
            None if self.phase() != Phase::Running => Poll::Ready(None),
            None => {
                keep(&mut accepted.waiting, key, cx.waker());
                Poll::Pending
            }
        }
    }

    pub(crate) fn stop_accepting(&self, key: Option<usize>) {
        if let Some(key) = key {
            lock(&self.accepted).waiting.try_remove(key);
        }
    }
}

/// Connections, and the end.
impl<R: Runtime> Shared<R> {
    /// Something that the end has to wait for has begun.
    pub(crate) fn enter(&self) {
        self.alive.fetch_add(1, Ordering::AcqRel);
    }

    /// Something that the end has to wait for is over.
    pub(crate) fn leave(&self) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 && self.phase() != Phase::Running {
            self.wake_watchers();
            self.wake_timers();
        }
    }

    /// Whether connections are of use: the server is running, or has sessions whose clients may have to
    /// ask for what is queued still, on whichever connection.
    pub(crate) fn is_serving(&self) -> bool {
        match self.phase() {
            Phase::Running => true,
            Phase::Closing => self.live.load(Ordering::Acquire) > 0,
            Phase::Aborting => false,
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.phase() != Phase::Running && self.alive.load(Ordering::Acquire) == 0
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.connections).len()).sum()
    }

    pub(crate) fn register_connection(&self, id: u64, waker: &Waker) -> Registered {
        let shard = self.shard_of(&id);
        let key = lock(&self.shards[shard].connections).insert(waker.clone());
        Registered { shard, key }
    }

    pub(crate) fn unregister_connection(&self, registered: &Registered) {
        lock(&self.shards[registered.shard].connections).try_remove(registered.key);
    }

    /// Registers a task that wants to know of the next phase, and of the end.
    pub(crate) fn watch(&self, key: &mut Option<usize>, waker: &Waker) {
        keep(&mut lock(&self.watchers), key, waker);
    }

    pub(crate) fn unwatch(&self, key: Option<usize>) {
        if let Some(key) = key {
            lock(&self.watchers).try_remove(key);
        }
    }

    /// Moves on to `phase`, which tells everybody.
    pub(crate) fn advance_to(&self, phase: Phase) {
        if self.phase.fetch_max(phase as u8, Ordering::AcqRel) >= phase as u8 {
            return;
        }
        {
            let mut wakes = Wakes::default();
            let accepted = lock(&self.accepted);
            wakes.extend(accepted.waiting.iter().map(|(_, waker)| waker.clone()));
        }
        let now = self.runtime.now();
        for shard in &self.shards {
            let cells: Vec<_> = lock(&shard.sessions).values().cloned().collect();
            for cell in cells {
                cell.with(|session, _, _| match phase {
                    Phase::Aborting => session.abort(),
                    _ => session.close(now),
                });
            }
        }
        self.wake_connections();
        self.wake_watchers();
        self.wake_timers();
    }

    fn wake_connections(&self) {
        for shard in &self.shards {
            let mut wakes = Wakes::default();
            wakes.extend(lock(&shard.connections).iter().map(|(_, waker)| waker.clone()));
        }
    }

    fn wake_watchers(&self) {
        let mut wakes = Wakes::default();
        wakes.extend(lock(&self.watchers).iter().map(|(_, waker)| waker.clone()));
    }

    fn wake_timers(&self) {
        for shard in &self.shards {
            let waker = lock(&shard.timer).task.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Deadlines.
impl<R: Runtime> Shared<R> {
    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    pub(crate) fn wake_at(&self, deadline: Time, id: u64, waker: &Waker) -> Armed {
        let (armed, timer) = self.arm(deadline, self.shard_of(&id), Due::Wake(waker.clone()));
        if let Some(timer) = timer {
            timer.wake();
        }
        armed
    }

    /// Gives the timer's task as well, if that has to be woken: the caller holds a lock.
    pub(crate) fn session_at(
        &self,
        deadline: Time,
        cell: &Arc<SessionCell<R>>,
    ) -> (Armed, Option<Waker>) {
        self.arm(deadline, self.shard_of(&cell.id), Due::Session(Arc::clone(cell)))
    }

    pub(crate) fn disarm(&self, armed: Armed) {
        let due = lock(&self.shards[armed.shard].timer).deadlines.disarm(armed.key);
        // Not under the lock: it may be the last reference to a task.
        drop(due);
    }

    fn arm(&self, deadline: Time, shard: usize, due: Due<R>) -> (Armed, Option<Waker>) {
        let mut timer = lock(&self.shards[shard].timer);
        let key = timer.deadlines.arm(deadline, due);
        let earlier = deadline < timer.sleeps_until;
        let task = if earlier { timer.task.take() } else { None };
        (Armed { deadline, shard, key }, task)
    }

    /// Does what is due in a shard. Says when to look again.
    fn expire(&self, shard: usize, now: Time, cx: &Context<'_>) -> Option<Time> {
        loop {
            let due = {
                let mut timer = lock(&self.shards[shard].timer);
                let Some(due) = timer.deadlines.pop(now) else {
                    let next = timer.deadlines.first();
                    timer.sleeps_until = next.unwrap_or(Time::MAX);
                    register(&mut timer.task, cx.waker());
                    return next;
                };
                due
            };
            match due {
                Due::Wake(waker) => waker.wake(),
                Due::Session(cell) => cell.handle_timeout(now),
            }
        }
    }
}

/// The task that sleeps until the next deadline of a shard, and ends with the server.
pub(crate) async fn keep_time<R: Runtime>(shared: Arc<Shared<R>>, shard: usize) {
    let mut sleep: Option<(Time, std::pin::Pin<Box<R::Sleep>>)> = None;
    std::future::poll_fn(|cx| {
        loop {
            let next = shared.expire(shard, shared.runtime.now(), cx);
            if shared.is_finished() {
                return Poll::Ready(());
            }
            let Some(next) = next else { return Poll::Pending };
            if next <= shared.runtime.now() {
                // Expiring took so long that a last look has ended which nobody has taken yet.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let (_, timer) = match &mut sleep {
                Some(current) if current.0 == next => current,
                other => other.insert((next, Box::pin(shared.runtime.sleep_until(next)))),
            };
            // Woken early, a runtime's timer may be pending although its time has come.
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            sleep = None;
        }
    })
    .await;
}

impl<R: Runtime> Shard<R> {
    fn new() -> Self {
        Self {
            sessions: Mutex::new(HashMap::default()),
            connections: Mutex::new(Slab::new()),
            timer: Mutex::new(Timer {
                deadlines: Deadlines::new(),
                sleeps_until: Time::MAX,
                task: None,
            }),
        }
    }
}

/// Keeps the place of a task among those who wait up to date.
fn keep(waiting: &mut Slab<Waker>, key: &mut Option<usize>, waker: &Waker) {
    match key.and_then(|key| waiting.get_mut(key)) {
        Some(old) => old.clone_from(waker),
        None => *key = Some(waiting.insert(waker.clone())),
    }
}

/// Locks, whatever happened to another thread that held the lock: the state machines behind our
/// locks are left between two of their methods, never inside one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
