//! The share of a task in the life of its server.

#[cfg(feature = "tower")]
use std::task::Context;
use std::{sync::Arc, task::Waker};

use enginewire::{Alarm, Time};

use crate::{shared::Shared, wakers::WakerKey};

/// A task that carries sessions. The end of the server waits until it is dropped, and each phase wakes it.
pub(crate) struct Presence {
    id: u64,
    shared: Arc<Shared>,
    registered: WakerKey,
    /// The waker of the task.
    waker: Option<Waker>,
    /// The end of the server waits for the task as for a handler: until it is aborted.
    is_as_handler: bool,
}

impl Presence {
    /// Enters the server. Counts as a connection once it is registered.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.sessions.lifecycle.enter();
        Self { id: shared.fresh_id(), shared, registered: None, waker: None, is_as_handler: false }
    }

    /// Enters the server as a TCP connection, counted from now on. Its task registers with its first poll.
    pub(crate) fn of_connection(shared: Arc<Shared>) -> Self {
        shared.counters.connections_opened.add(1);
        let mut presence = Self::new(shared);
        presence.register(Waker::noop());
        presence
    }

    /// Has the end of the server wait for the task as for a handler, because nobody may poll it again.
    #[cfg(feature = "tower")]
    fn count_as_handler(&mut self) {
        self.shared.sessions.lifecycle.enter_handler();
        self.shared.sessions.leave();
        self.is_as_handler = true;
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns whether `task` is what was registered.
    pub(crate) fn is_woken_by(&self, task: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|waker| waker.will_wake(task))
    }

    /// Registers `waker` on behalf of `task`.
    pub(crate) fn register_as(&mut self, task: &Waker, waker: &Waker) {
        self.waker = Some(task.clone());
        self.register(waker);
    }

    /// Registers what is woken by the phases of the server.
    pub(crate) fn register(&mut self, waker: &Waker) {
        let lifecycle = &self.shared.sessions.lifecycle;
        lifecycle.register_connection(self.id, &mut self.registered, waker);
    }

    /// Arms `alarm`, which is always the same, to wake `waker`.
    pub(crate) fn arm(&self, alarm: &mut Alarm, next: Option<Time>, waker: &Waker) {
        self.shared.sessions.arm(self.id, alarm, next, waker);
    }

    /// Disarms `alarm`, before the end.
    pub(crate) fn disarm(&self, alarm: &mut Alarm) {
        self.arm(alarm, None, Waker::noop());
    }
}

/// A task that carries no connection of its own, from when it has had to wait first.
#[cfg(feature = "tower")]
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    presence: Option<Presence>,
    alarm: Alarm,
    is_as_handler: bool,
}

#[cfg(feature = "tower")]
impl Waiting {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, presence: None, alarm: Alarm::new(), is_as_handler: false }
    }

    /// Has the end of the server wait for the task as for a handler, because nobody may poll it again.
    pub(crate) fn count_as_handler(&mut self) {
        self.is_as_handler = true;
        self.presence.iter_mut().for_each(Presence::count_as_handler);
    }

    /// Notes that the task was woken.
    pub(crate) fn expire(&mut self, now: Time) {
        self.alarm.expire(now);
    }

    /// Has the task woken by phases of the server, and at a deadline.
    pub(crate) fn wait(&mut self, deadline: Option<Time>, cx: &Context<'_>) {
        let presence = self.presence.get_or_insert_with(|| {
            let mut presence = Presence::new(Arc::clone(&self.shared));
            if self.is_as_handler {
                presence.count_as_handler();
            }
            presence
        });
        if !presence.is_woken_by(cx.waker()) {
            // It would wake the task that was here before.
            presence.disarm(&mut self.alarm);
            presence.register_as(cx.waker(), cx.waker());
            // The phase may have changed before.
            if !self.shared.sessions.lifecycle.is_serving() {
                cx.waker().wake_by_ref();
            }
        }
        if deadline.is_some() {
            presence.arm(&mut self.alarm, deadline, cx.waker());
        }
    }
}

#[cfg(feature = "tower")]
impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(presence) = &self.presence {
            presence.disarm(&mut self.alarm);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let Self { shared, id, registered, is_as_handler, .. } = self;
        shared.sessions.lifecycle.remove_connection(*id, *registered);
        match is_as_handler {
            true => shared.sessions.leave_handler(),
            false => shared.sessions.leave(),
        }
    }
}
