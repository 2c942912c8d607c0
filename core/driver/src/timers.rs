//! The deadlines of a server, and the tasks that sleep until the first of them.

use std::{
    hash::Hash,
    task::{Context, Poll, Waker, ready},
};

use enginewire::{Alarm, Deadlines, Time};

use crate::{clock::Clock, runtime::Runtime, shards::Shards, sleep::Sleep, wakes::register};

/// Deadlines, each with the value that has one. One timer of the runtime serves a whole shard of them.
#[derive(Debug)]
pub(crate) struct Timers<T>(Shards<Shard<T>>);

#[derive(Debug)]
struct Shard<T> {
    deadlines: Deadlines<T>,
    /// When the task will look next.
    sleeps_until: Time,
    task: Option<Waker>,
}

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        let shard = || Shard { deadlines: Deadlines::new(), sleeps_until: Time::MAX, task: None };
        Self(Shards::new(shard))
    }

    /// Arms `alarm` for `next`, if that is earlier than before. Returns the task that sleeps too long then.
    ///
    /// `key` is the same for all calls with one alarm.
    #[must_use]
    pub(crate) fn rearm(
        &self,
        key: &impl Hash,
        alarm: &mut Alarm,
        next: Option<Time>,
        value: impl FnOnce() -> T,
    ) -> Option<Waker> {
        if !alarm.is_outdated(next) {
            return None;
        }
        let mut shard = self.0.lock(key);
        let old = shard.deadlines.rearm(alarm, next, value);
        let earlier = next.is_some_and(|next| next < shard.sleeps_until);
        let task = if earlier { shard.task.take() } else { None };
        drop(shard);
        // Not under the lock: it may be the last reference to a task.
        drop(old);
        task
    }

    /// Wakes the tasks, which look whether they are needed still.
    pub(crate) fn wake_tasks(&self) {
        for index in 0..self.0.len() {
            let waker = self.0.lock_at(index).task.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Returns the number of tasks to be run with [`keep_time`].
    pub(crate) const fn shards(&self) -> usize {
        self.0.len()
    }

    /// Hands the values whose deadlines have passed to `expired`. Returns the next deadline, for which the task
    /// is to sleep.
    fn expire(
        &self,
        index: usize,
        now: Time,
        cx: &Context<'_>,
        expired: impl Fn(Time, T),
    ) -> Option<Time> {
        loop {
            let value = {
                let mut shard = self.0.lock_at(index);
                match shard.deadlines.pop(now) {
                    Some(value) => value,
                    None => {
                        let next = shard.deadlines.first();
                        shard.sleeps_until = next.unwrap_or(Time::MAX);
                        register(&mut shard.task, cx.waker());
                        return next;
                    }
                }
            };
            expired(now, value);
        }
    }
}

/// Sleeps until one deadline of a shard after the other, and hands what expires to `expired`. Ends once
/// `is_finished`.
pub(crate) async fn keep_time<R: Runtime, T>(
    runtime: R,
    clock: Clock,
    timers: &Timers<T>,
    shard: usize,
    is_finished: impl Fn() -> bool,
    expired: impl Fn(Time, T),
) {
    let mut sleep = Sleep::default();
    // A deadline has passed, and other tasks have had their turn since.
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        loop {
            if is_finished() {
                return Poll::Ready(());
            }
            let now = clock.now();
            // Without a turn of their own, connections have not read what came together with the deadline.
            let until = if yielded { now } else { Time::ZERO };
            let next = timers.expire(shard, until, cx, &expired);
            let Some(next) = next else { return Poll::Pending };
            if next <= clock.now() {
                yielded = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            yielded = false;
            ready!(sleep.poll(&runtime, next, cx));
        }
    })
    .await;
}
