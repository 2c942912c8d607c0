//! A slot whose connection is a closure, and a handler that counts.

use std::sync::atomic::AtomicUsize;

use enginewire::Time;

use super::*;
use crate::clock::Clock;

/// The task of a slot: says how often it was woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A slot in a task, and what was polled in which order: `c` the connection, `h` the handler.
struct Harness {
    slot: Slot,
    task: Arc<Task>,
    polled: Arc<Mutex<String>>,
    /// Polls of the handler that remain until it is ready.
    left: Arc<AtomicUsize>,
    /// The waker that the handler was polled with last.
    handler: Arc<Mutex<Option<Waker>>>,
    /// Woken by the handler's next poll.
    wakes: Arc<Mutex<Option<Waker>>>,
}

impl Harness {
    fn new() -> Self {
        let task = Arc::new(Task::default());
        let slot = Slot::new();
        slot.set_task(&Waker::from(Arc::clone(&task)));
        Self {
            slot,
            task,
            polled: Arc::default(),
            left: Arc::new(AtomicUsize::new(usize::MAX)),
            handler: Arc::default(),
            wakes: Arc::default(),
        }
    }

    /// A harness whose handler runs, and waits.
    fn with_handler() -> Self {
        let mut harness = Self::new();
        let mut handling = Some(harness.handling());
        let result = harness.poll(|_, slot| {
            if let Some(handling) = handling.take() {
                slot.start(handling);
            }
        });
        assert!(result.is_pending());
        assert_eq!(harness.take(), "ch", "it is polled in the same poll of the task");
        harness
    }

    fn handling(&self) -> Handling {
        let polled = Arc::clone(&self.polled);
        let (left, handler) = (Arc::clone(&self.left), Arc::clone(&self.handler));
        let wakes = Arc::clone(&self.wakes);
        let future = Box::pin(std::future::poll_fn(move |cx| {
            lock(&polled).push('h');
            *lock(&handler) = Some(cx.waker().clone());
            lock(&wakes).take().into_iter().for_each(Waker::wake);
            match left.fetch_sub(1, Ordering::Relaxed) {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }));
        let sessions = Arc::new(Sessions::new(Clock::of(|| Time::ZERO)));
        Handling::new(future, &sessions, Span::default())
    }

    fn poll(&mut self, mut drive: impl FnMut(&Waker, &mut OpenSlot<'_>)) -> Poll<()> {
        let polled = Arc::clone(&self.polled);
        let (result, rest) = self.slot.poll(|cx, slot, cause| {
            lock(&polled).push(if cause == Cause::Any { 'c' } else { 's' });
            drive(cx.waker(), slot);
            Driven::Waits
        });
        assert!(rest.is_none());
        result
    }

    fn take(&self) -> String {
        std::mem::take(&mut *lock(&self.polled))
    }

    fn woken(&self) -> usize {
        self.task.0.swap(0, Ordering::Relaxed)
    }

    fn handler_waker(&self) -> Waker {
        lock(&self.handler).clone().unwrap()
    }

    fn session_waker(&self) -> Waker {
        self.slot.running.as_ref().unwrap().session.clone()
    }
}

#[test]
fn poll_without_a_wake_drives_the_connection() {
    let mut harness = Harness::with_handler();
    assert!(harness.poll(|_, _| {}).is_pending());
    assert_eq!(harness.take(), "c");
}

#[test]
fn only_what_was_woken_is_polled() {
    let mut harness = Harness::with_handler();
    let connection = harness.slot.connection.clone();
    let (handler, session) = (harness.handler_waker(), harness.session_waker());
    for (waker, polled) in [(&connection, "c"), (&handler, "h"), (&session, "s")] {
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(harness.woken(), 1, "a task is woken once until it is polled");
        assert!(harness.poll(|_, _| {}).is_pending());
        assert_eq!(harness.take(), polled);
    }
    session.wake_by_ref();
    connection.wake_by_ref();
    handler.wake_by_ref();
    assert!(harness.poll(|_, _| {}).is_pending());
    assert_eq!((harness.take().as_str(), harness.woken()), ("hc", 1));
}

#[test]
fn halves_that_wake_each_other_do_not_wake_the_task() {
    let mut harness = Harness::with_handler();
    let (handler, session) = (harness.handler_waker(), harness.session_waker());
    let mut left = 2;
    let connection = harness.slot.connection.clone();
    connection.wake_by_ref();
    harness.woken();
    let result = harness.poll(|_, slot| {
        if left > 0 {
            left -= 1;
            handler.wake_by_ref();
            slot.poll_handler();
            // The handler has sent something, which the connection takes now.
            session.wake_by_ref();
            slot.take_session_wake();
            handler.wake_by_ref();
        }
    });
    assert!(result.is_pending());
    assert_eq!((harness.take().as_str(), harness.woken()), ("chh", 0));
}

#[test]
fn connection_whose_session_is_changed_by_the_handler_is_driven_in_the_same_poll() {
    let mut harness = Harness::with_handler();
    *lock(&harness.wakes) = Some(harness.session_waker());
    harness.handler_waker().wake();
    assert_eq!(harness.woken(), 1);
    assert!(harness.poll(|_, _| {}).is_pending());
    assert_eq!((harness.take().as_str(), harness.woken()), ("hs", 0));
}

#[test]
fn halves_that_keep_waking_each_other_let_other_tasks_run() {
    let mut harness = Harness::with_handler();
    let handler = harness.handler_waker();
    let result = harness.poll(|connection, _| {
        connection.wake_by_ref();
        handler.wake_by_ref();
    });
    assert!(result.is_pending());
    assert_eq!(harness.take().len(), 2 * TURNS - 1);
    assert_eq!(harness.woken(), 1, "it goes on later");
    assert!(harness.poll(|_, _| {}).is_pending());
    assert_eq!(harness.take(), "hc");
}

#[test]
fn connection_that_yields_lets_other_tasks_run() {
    let mut harness = Harness::with_handler();
    let mut turns = 0;
    let (result, _) = harness.slot.poll(|_, _, _| {
        turns += 1;
        Driven::Yields
    });
    assert!(result.is_pending());
    assert_eq!((turns, harness.woken()), (1, 1));
    assert!(harness.poll(|_, _| {}).is_pending());
    assert_eq!(harness.take(), "c", "it goes on");
}

#[test]
fn handler_that_yields_lets_other_tasks_run() {
    let mut harness = Harness::with_handler();
    for _ in 0..3 {
        *lock(&harness.wakes) = Some(harness.handler_waker());
        harness.handler_waker().wake();
        harness.slot.connection.wake_by_ref();
        harness.woken();
        assert!(harness.poll(|_, slot| slot.poll_handler()).is_pending());
        assert_eq!((harness.take().as_str(), harness.woken()), ("hc", 1));
    }
}

#[test]
fn handler_that_has_ended_is_dropped() {
    let mut harness = Harness::with_handler();
    harness.left.store(0, Ordering::Relaxed);
    let handler = harness.handler_waker();
    handler.wake_by_ref();
    assert!(harness.poll(|_, slot| assert!(!slot.has_handler())).is_pending());
    assert_eq!(harness.take(), "h");
    assert!(harness.slot.running.is_none());
    handler.wake();
    assert!(harness.poll(|_, _| {}).is_pending());
    assert_eq!(harness.take(), "", "a late wake is for nobody");
}

#[test]
fn handler_outlives_a_connection_that_ends() {
    let mut harness = Harness::with_handler();
    let handler = harness.handler_waker();
    let (result, rest) = harness.slot.poll(|_, _, _| {
        handler.wake_by_ref();
        Driven::Ended
    });
    assert!(result.is_ready());
    assert_eq!(harness.take(), "h", "it is told of the end before it is moved");
    let mut rest = rest.expect("the handler has not ended");
    assert!(Pin::new(&mut rest).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn handler_that_ends_with_its_connection_is_not_given_back() {
    let mut harness = Harness::with_handler();
    harness.left.store(0, Ordering::Relaxed);
    let handler = harness.handler_waker();
    let (result, rest) = harness.slot.poll(|_, _, _| {
        handler.wake_by_ref();
        Driven::Ended
    });
    assert!(result.is_ready() && rest.is_none());
}

#[test]
fn task_that_moves_is_woken_where_it_is_now() {
    let harness = Harness::with_handler();
    let moved = Arc::new(Task::default());
    harness.slot.set_task(&Waker::from(Arc::clone(&moved)));
    harness.handler_waker().wake();
    assert_eq!((harness.woken(), moved.0.load(Ordering::Relaxed)), (0, 1));
}
