//! Sessions on the way to the application.

use std::{
    collections::VecDeque,
    sync::Mutex,
    task::{Context, Poll},
};

use crate::{
    sync::lock,
    wakers::{WakerKey, WakerSet},
    wakes::Wakes,
};

/// A bounded queue of values that tasks wait for.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    max: usize,
    queue: Mutex<Queue<T>>,
}

#[derive(Debug)]
struct Queue<T> {
    values: VecDeque<T>,
    /// All tasks that wait. One that is woken may take another turn, so all are.
    waiting: WakerSet,
}

impl<T> Backlog<T> {
    pub(crate) fn new(max: usize) -> Self {
        let queue = Queue { values: VecDeque::new(), waiting: WakerSet::default() };
        Self { max, queue: Mutex::new(queue) }
    }

    pub(crate) fn has_room(&self) -> bool {
        lock(&self.queue).values.len() < self.max
    }

    /// Queues a value, unless there is no room or `admit`, called under the lock, says no. Gives it back then.
    pub(crate) fn push(&self, value: T, admit: impl FnOnce() -> bool) -> Result<(), T> {
        let mut wakes = Wakes::default();
        let mut queue = lock(&self.queue);
        if queue.values.len() >= self.max || !admit() {
            return Err(value);
        }
        queue.values.push_back(value);
        queue.waiting.wake_all(&mut wakes);
        Ok(())
    }

    /// Takes the next value, or `None` if there is none and `is_closed`. Remembers under `key` who waits.
    pub(crate) fn poll_pop(
        &self,
        key: &mut WakerKey,
        cx: &Context<'_>,
        is_closed: impl FnOnce() -> bool,
    ) -> Poll<Option<T>> {
        let mut queue = lock(&self.queue);
        match queue.values.pop_front() {
            Some(value) => Poll::Ready(Some(value)),
            None if is_closed() => Poll::Ready(None),
            None => {
                queue.waiting.register(key, cx.waker());
                Poll::Pending
            }
        }
    }

    pub(crate) fn stop_waiting(&self, key: WakerKey) {
        lock(&self.queue).waiting.remove(key);
    }

    /// Wakes the tasks that wait, because the backlog is closed.
    pub(crate) fn wake_all(&self) {
        let mut wakes = Wakes::default();
        lock(&self.queue).waiting.wake_all(&mut wakes);
    }

    /// Takes all values.
    pub(crate) fn drain(&self) -> VecDeque<T> {
        std::mem::take(&mut lock(&self.queue).values)
    }
}
