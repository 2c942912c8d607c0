//! The application's future for a session, polled by the task of the session's connection.
//!
//! A message then reaches the application, and its reply the socket, in one poll of one task. Sessions that begin with
//! polling have no connection of their own: their futures are spawned.

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::{cell::Sessions, socket::Socket, sync::lock, trace::Span};

/// Makes the future of a session.
pub(crate) type HandlerHook = Box<dyn Fn(Socket) -> HandlerFuture + Send + Sync>;

pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The application's handler, and how what it makes is spawned.
pub(crate) struct Handler {
    pub(crate) hook: HandlerHook,
    pub(crate) spawn: Box<dyn Fn(Handling) + Send + Sync>,
}

/// A handler at work on one session. The end of the server waits for it.
pub(crate) struct Handling {
    future: HandlerFuture,
    sessions: Arc<Sessions>,
    /// Within that of the connection that has opened the session, whichever task polls it.
    span: Span,
}

impl Handling {
    pub(crate) fn new(future: HandlerFuture, sessions: &Arc<Sessions>, span: Span) -> Self {
        sessions.lifecycle.enter_handler();
        Self { future, sessions: Arc::clone(sessions), span }
    }
}

impl Future for Handling {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { future, span, .. } = self.get_mut();
        span.in_scope(|| future.as_mut().poll(cx))
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.sessions.leave_handler();
    }
}

/// The place for a handler in the task of a connection.
pub(crate) struct Slot {
    flags: Arc<Flags>,
    connection: Waker,
    running: Option<Running>,
}

/// The known causes for which a connection is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its session alone: neither its stream nor a deadline.
    Session,
    Any,
}

/// The outcome of driving a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    /// It waits.
    Waits,
    /// It could go on, but other tasks have their turn first.
    Yields,
    Ended,
}

/// A handler that the task polls.
struct Running {
    handling: Handling,
    waker: Waker,
    /// Wakes the connection for what its session has.
    session: Waker,
}

/// A [`Slot`] while its connection is driven.
pub(crate) struct OpenSlot<'a> {
    flags: &'a Arc<Flags>,
    running: &'a mut Option<Running>,
    /// The handler has woken itself, so that other tasks have their turn.
    yields: bool,
}

impl Slot {
    pub(crate) fn new() -> Self {
        let flags = Arc::new(Flags::default());
        Self { connection: Waker::from(Arc::clone(&flags)), flags, running: None }
    }

    /// Opens the slot outside of a poll, for a connection whose task is still to be spawned.
    ///
    /// The first poll drives it.
    #[cfg(feature = "tower")]
    pub(crate) fn open(&mut self) -> OpenSlot<'_> {
        self.flags.set(CONNECTION);
        OpenSlot { flags: &self.flags, running: &mut self.running, yields: false }
    }

    /// Sets the waker of the task. Returns the one of the connection, which is always the same.
    pub(crate) fn set_task(&self, task: &Waker) -> &Waker {
        let old = lock(&self.flags.task).replace(task.clone());
        // Not under the lock: it may be the last reference to a task.
        drop(old);
        &self.connection
    }

    /// Polls the handler and the connection, the latter with `drive`, until neither has been woken by the other.
    ///
    /// Once the connection has ended, the second value is a handler that goes on without it.
    pub(crate) fn poll(
        &mut self,
        mut drive: impl FnMut(&mut Context<'_>, &mut OpenSlot<'_>, Cause) -> Driven,
    ) -> (Poll<()>, Option<Handling>) {
        let Self { flags, connection, running } = self;
        let mut slot = OpenSlot { flags, running, yields: false };
        let mut any = flags.begin();
        for _ in 0..TURNS {
            slot.poll_handler();
            any |= flags.take(CONNECTION);
            let session = flags.take(SESSION);
            if any || session {
                let cause = if any { Cause::Any } else { Cause::Session };
                match drive(&mut Context::from_waker(connection), &mut slot, cause) {
                    Driven::Waits => {}
                    Driven::Yields => {
                        flags.set(CONNECTION);
                        break;
                    }
                    Driven::Ended => {
                        // The handler may have waited for the end of its session.
                        slot.poll_handler();
                        let rest = slot.running.take().map(|running| running.handling);
                        return (Poll::Ready(()), rest);
                    }
                }
            }
            if flags.end() {
                return (Poll::Pending, None);
            }
            if slot.yields {
                break;
            }
            any = false;
        }
        flags.pass();
        (Poll::Pending, None)
    }
}

impl OpenSlot<'_> {
    /// Puts in a handler, which is polled as if it had been woken.
    pub(crate) fn start(&mut self, handling: Handling) {
        let waker = Waker::from(Arc::new(Half::<HANDLER>(Arc::clone(self.flags))));
        let session = Waker::from(Arc::new(Half::<SESSION>(Arc::clone(self.flags))));
        self.flags.set(HANDLER);
        *self.running = Some(Running { handling, waker, session });
    }

    pub(crate) const fn has_handler(&self) -> bool {
        self.running.is_some()
    }

    /// Returns the waker for the session whose handler is here.
    pub(crate) fn session_waker(&self) -> Option<&Waker> {
        self.running.as_ref().map(|running| &running.session)
    }

    /// Polls the handler if it has been woken.
    #[inline]
    pub(crate) fn poll_handler(&mut self) {
        if self.yields || !self.flags.take(HANDLER) {
            return;
        }
        let Some(Running { handling, waker, .. }) = &mut self.running else { return };
        if Pin::new(handling).poll(&mut Context::from_waker(waker)).is_ready() {
            *self.running = None;
        }
        self.yields = self.flags.has(HANDLER);
    }

    /// Forgets that the session has something for the connection, which takes it next.
    pub(crate) fn take_session_wake(&self) {
        self.flags.take(SESSION);
    }
}

/// The parts of a task that have been woken. The first wake outside of a poll wakes the task itself.
#[derive(Default)]
struct Flags {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

/// The task is being polled: whoever is woken has its turn in that poll.
const POLLING: u8 = 1;
/// By its stream, a timer or the server.
const CONNECTION: u8 = 2;
/// The connection, by nothing but its session.
const SESSION: u8 = 4;
const HANDLER: u8 = 8;

/// Turns of connection and handler before the other tasks of the thread have theirs.
const TURNS: usize = 4;

impl Flags {
    /// Begins a poll. Returns whether it may be for any reason, and not for those alone that are known.
    fn begin(&self) -> bool {
        let woken = self.state.fetch_or(POLLING, Ordering::AcqRel);
        woken & CONNECTION != 0 || woken & (SESSION | HANDLER) == 0
    }

    /// Takes the wakes of `halves`. Returns whether there were any.
    #[inline]
    fn take(&self, halves: u8) -> bool {
        let woken = self.has(halves);
        if woken {
            self.state.fetch_and(!halves, Ordering::AcqRel);
        }
        woken
    }

    #[inline]
    fn has(&self, halves: u8) -> bool {
        self.state.load(Ordering::Acquire) & halves != 0
    }

    /// Ends the poll, unless there has been another wake.
    fn end(&self) -> bool {
        self.state.compare_exchange(POLLING, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Ends the poll, to be polled again.
    fn pass(&self) {
        self.state.fetch_and(!POLLING, Ordering::AcqRel);
        self.wake_task();
    }

    /// Wakes one half. A wake outside of a poll is the task's.
    fn set(&self, half: u8) {
        if self.state.fetch_or(half, Ordering::AcqRel) == 0 {
            self.wake_task();
        }
    }

    fn wake_task(&self) {
        let task = lock(&self.task).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// Wakes the connection.
impl Wake for Flags {
    fn wake(self: Arc<Self>) {
        self.set(CONNECTION);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set(CONNECTION);
    }
}

/// Wakes one half of a task.
struct Half<const HALF: u8>(Arc<Flags>);

impl<const HALF: u8> Wake for Half<HALF> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.set(HALF);
    }
}
