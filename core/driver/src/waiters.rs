//! Operations of an application on a session, and the tasks that wait for it. They are the same on
//! either side.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use enginewire::{
    ClientHub, CloseReason, Encoded, Event, Message, Revision, SendError, ServerSession, Time,
    TransportKind, TrySendError,
};

use crate::wakes::{Wakes, register};

/// A session as an application sees it.
pub(crate) trait Duplex {
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError>;
    fn close(&mut self, now: Time);
    fn close_with(&mut self, now: Time, reason: CloseReason);
    /// The same, for an application that takes no more events.
    fn abandon(&mut self, now: Time);
    fn abort(&mut self);
    fn is_idle(&self) -> bool;
    fn poll_event(&mut self) -> Option<Event>;
    fn has_events(&self) -> bool;
    fn is_receiving(&self) -> bool;
    fn is_open(&self) -> bool;
    fn is_writable(&self) -> bool;
    fn has_room(&self) -> bool;
    fn queued(&self) -> usize;
    fn max_queued(&self) -> usize;
    fn close_reason(&self) -> Option<&CloseReason>;
    /// The same, once nothing of the session is under way any more.
    fn over(&self) -> Option<&CloseReason>;
    fn transport(&self) -> TransportKind;
    fn revision(&self) -> Revision;
    /// The id, a secret.
    fn sid(&self) -> String;
}

/// A session behind a lock.
pub(crate) trait Shareable {
    type Session: Duplex;

    /// Works on the session. Afterwards whoever has to know is woken, unless `work` has set its third
    /// argument: then nothing has happened that anybody else needs to know.
    fn with<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Self::Session, &mut Waiters, &mut bool) -> T,
    ) -> T;

    /// Queues a message with `work`, which changes nothing else.
    fn queue<T>(self: &Arc<Self>, work: impl FnOnce(&mut Self::Session, &mut Waiters) -> T) -> T {
        self.with(|session, waiters, _| work(session, waiters))
    }

    /// Looks at the session.
    fn inspect<T>(&self, inspect: impl FnOnce(&Self::Session) -> T) -> T;

    fn now(&self) -> Time;

    /// The public name.
    fn id(&self) -> u64;
}

/// The tasks of the application that wait for one session.
///
/// Each has the [`Ticket`] of its future, which leaves nothing behind when it is dropped.
#[derive(Default)]
pub(crate) struct Waiters {
    /// The task in `recv`.
    receiver: Option<Waker>,
    /// Tasks that wait for room, in the order in which they began to.
    room: BTreeMap<u64, RoomWaiter>,
    /// Tasks that wait for something else.
    others: BTreeMap<u64, (Until, Waker)>,
    /// The last ticket that was given.
    last: u64,
}

/// The place of a future among the [`Waiters`].
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

impl Ticket {
    /// Returns whether the future waits.
    pub(crate) const fn is_taken(&self) -> bool {
        self.0.is_some()
    }
}

struct RoomWaiter {
    waker: Waker,
    /// It is its turn, and its task knows.
    woken: bool,
}

/// The condition that a task waits for. The end of the session is enough for all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The queue is empty.
    Flushed,
    /// The session has ended, and no part of it is under way.
    Over,
}

impl Until {
    fn holds(self, session: &impl Duplex) -> bool {
        match self {
            Self::Flushed => session.queued() == 0 || session.close_reason().is_some(),
            Self::Over => session.over().is_some(),
        }
    }
}

impl Waiters {
    /// Collects the tasks for which something has happened.
    #[inline]
    pub(crate) fn wake(&mut self, session: &impl Duplex, wakes: &mut Wakes) {
        if session.has_events() {
            self.wake_receiver(wakes);
        }
        if !self.room.is_empty() {
            self.wake_for_room(session, wakes);
        }
        if !self.others.is_empty() {
            self.others.retain(|_, (until, waker)| {
                let due = until.holds(session);
                if due {
                    wakes.push(waker.clone());
                }
                !due
            });
        }
    }

    /// Wakes the first task in line, which passes the turn on; at the end of the session all of them.
    fn wake_for_room(&mut self, session: &impl Duplex, wakes: &mut Wakes) {
        if !session.is_open() {
            self.wake_all_for_room(wakes);
        } else if session.is_writable() {
            self.wake_first_for_room(wakes);
        }
    }

    /// Wakes the first task in line for room, unless it knows that it is its turn.
    pub(crate) fn wake_first_for_room(&mut self, wakes: &mut Wakes) {
        if let Some(mut first) = self.room.first_entry()
            && !std::mem::replace(&mut first.get_mut().woken, true)
        {
            wakes.push(first.get().waker.clone());
        }
    }

    /// Wakes all tasks that wait for room: there will be none.
    pub(crate) fn wake_all_for_room(&mut self, wakes: &mut Wakes) {
        let all = std::mem::take(&mut self.room);
        wakes.extend(all.into_values().map(|waiter| waiter.waker));
    }

    /// Wakes the task in `recv`.
    pub(crate) fn wake_receiver(&mut self, wakes: &mut Wakes) {
        wakes.extend(self.receiver.take());
    }

    /// Forgets the task in `recv`.
    pub(crate) fn forget_receiver(&mut self) {
        self.receiver = None;
    }

    /// Has the task in `recv` woken when there is an event.
    pub(crate) fn receive(&mut self, cx: &Context<'_>) {
        register(&mut self.receiver, cx.waker());
    }

    /// Queues a message if there is room that no task waits for.
    pub(crate) fn try_send(
        &self,
        session: &mut impl Duplex,
        message: Encoded,
    ) -> Result<(), TrySendError> {
        if session.is_open() && self.is_awaited() {
            let (queued, max) = (session.queued(), session.max_queued());
            return Err(TrySendError { message, reason: SendError::Full { queued, max } });
        }
        session.send(message)
    }

    /// Takes `message` out of its place once there is room and it is the turn of `ticket`.
    pub(crate) fn poll_send(
        &mut self,
        session: &mut impl Duplex,
        cx: &Context<'_>,
        ticket: &mut Ticket,
        place: &mut Option<Encoded>,
    ) -> Poll<Result<(), SendError>> {
        let Some(message) = place.take() else { return Poll::Ready(Ok(())) };
        if session.is_open() && !self.is_first(ticket) {
            *place = Some(message);
            self.wait_for_room(ticket, cx);
            return Poll::Pending;
        }
        match session.send(message) {
            Ok(()) => {
                self.leave(ticket);
                Poll::Ready(Ok(()))
            }
            Err(TrySendError { message, reason: SendError::Full { .. } }) => {
                *place = Some(message);
                self.wait_for_room(ticket, cx);
                Poll::Pending
            }
            Err(error) => {
                self.leave(ticket);
                Poll::Ready(Err(error.reason))
            }
        }
    }

    /// Waits for room, and for the turn of `ticket`.
    pub(crate) fn poll_ready(
        &mut self,
        session: &impl Duplex,
        cx: &Context<'_>,
        ticket: &mut Ticket,
    ) -> Poll<Result<(), SendError>> {
        if !session.is_open() {
            self.leave(ticket);
            return Poll::Ready(Err(SendError::Closed));
        }
        if !session.has_room() || !self.is_first(ticket) {
            self.wait_for_room(ticket, cx);
            return Poll::Pending;
        }
        self.leave(ticket);
        Poll::Ready(Ok(()))
    }

    /// Waits until all queued messages were handed to a transport.
    pub(crate) fn poll_flushed(
        &mut self,
        session: &impl Duplex,
        cx: &Context<'_>,
        ticket: &mut Ticket,
    ) -> Poll<Result<(), SendError>> {
        if session.close_reason().is_some() {
            return Poll::Ready(Err(SendError::Closed));
        }
        if session.queued() > 0 {
            self.wait(Until::Flushed, ticket, cx);
            return Poll::Pending;
        }
        self.leave(ticket);
        Poll::Ready(Ok(()))
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(
        &mut self,
        session: &impl Duplex,
        cx: &Context<'_>,
        ticket: &mut Ticket,
    ) -> Poll<CloseReason> {
        match session.over() {
            Some(reason) => {
                self.leave(ticket);
                Poll::Ready(reason.clone())
            }
            None => {
                self.wait(Until::Over, ticket, cx);
                Poll::Pending
            }
        }
    }

    /// Takes the next message, and further ones to `ahead`, until those count for [`MAX_AHEAD`]: enough to
    /// share the price of the lock, too little to matter for what is unread.
    pub(crate) fn poll_recv(
        &mut self,
        session: &mut impl Duplex,
        settled: &mut bool,
        cx: &Context<'_>,
        ahead: &mut VecDeque<Event>,
    ) -> Poll<Option<Message>> {
        // Otherwise the peer may have to be read again. Nothing else follows from taking an event.
        *settled = session.is_receiving();
        let mut first = None;
        let mut room = MAX_AHEAD;
        while let Some(event) = session.poll_event() {
            match event {
                Event::Message(message) => {
                    room = room.saturating_sub(message.cost());
                    if first.is_none() {
                        first = Some(message);
                    } else {
                        ahead.push_back(Event::Message(message));
                    }
                    if room == 0 {
                        break;
                    }
                }
                // For a caller that asks for events after the message.
                event if first.is_some() => ahead.push_back(event),
                _ => {}
            }
        }
        if first.is_some() {
            return Poll::Ready(first);
        }
        if session.close_reason().is_some() {
            return Poll::Ready(None);
        }
        self.receive(cx);
        Poll::Pending
    }

    /// Takes the next event that the application cannot know without being told.
    pub(crate) fn poll_next_event(
        &mut self,
        session: &mut impl Duplex,
        cx: &Context<'_>,
    ) -> Poll<Option<Event>> {
        while let Some(event) = session.poll_event() {
            if is_news(&event) {
                return Poll::Ready(Some(event));
            }
        }
        if session.close_reason().is_some() {
            return Poll::Ready(None);
        }
        self.receive(cx);
        Poll::Pending
    }

    /// Removes a future. If it was its turn to use room, the next in line has it.
    pub(crate) fn leave(&mut self, ticket: &mut Ticket) {
        if let Some(id) = ticket.0.take() {
            self.others.remove(&id);
            self.room.remove(&id);
        }
    }

    /// Returns whether a task waits for room.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.room.is_empty()
    }

    /// Returns whether no other task waits for room, or only such that came later.
    pub(crate) fn is_first(&self, ticket: &Ticket) -> bool {
        match (self.room.first_key_value(), ticket.0) {
            (None, _) => true,
            (Some((&first, _)), Some(id)) => first >= id,
            (Some(_), None) => false,
        }
    }

    pub(crate) fn wait_for_room(&mut self, ticket: &mut Ticket, cx: &Context<'_>) {
        let id = self.id(ticket);
        let waiter = RoomWaiter { waker: cx.waker().clone(), woken: false };
        match self.room.get_mut(&id) {
            Some(old) => *old = waiter,
            None => drop(self.room.insert(id, waiter)),
        }
    }

    fn wait(&mut self, until: Until, ticket: &mut Ticket, cx: &Context<'_>) {
        let id = self.id(ticket);
        self.others.insert(id, (until, cx.waker().clone()));
    }

    fn id(&mut self, ticket: &mut Ticket) -> u64 {
        *ticket.0.get_or_insert_with(|| {
            self.last += 1;
            self.last
        })
    }
}

impl Duplex for ServerSession {
    #[inline]
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        self.send(message)
    }

    #[inline]
    fn close(&mut self, now: Time) {
        self.close(now);
    }

    fn close_with(&mut self, now: Time, reason: CloseReason) {
        self.close_with(now, reason);
    }

    fn abandon(&mut self, now: Time) {
        self.abandon(now);
    }

    fn abort(&mut self) {
        self.abort();
    }

    fn is_idle(&self) -> bool {
        self.is_idle()
    }

    #[inline]
    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    #[inline]
    fn has_events(&self) -> bool {
        self.has_events()
    }

    #[inline]
    fn is_receiving(&self) -> bool {
        self.is_receiving()
    }

    #[inline]
    fn is_open(&self) -> bool {
        self.is_open()
    }

    #[inline]
    fn is_writable(&self) -> bool {
        self.is_writable()
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.has_room()
    }

    #[inline]
    fn queued(&self) -> usize {
        self.queued()
    }

    #[inline]
    fn max_queued(&self) -> usize {
        self.config().limits.max_queued
    }

    #[inline]
    fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason()
    }

    #[inline]
    fn transport(&self) -> TransportKind {
        self.transport()
    }

    #[inline]
    fn revision(&self) -> Revision {
        self.revision()
    }

    fn over(&self) -> Option<&CloseReason> {
        self.close_reason()
    }

    fn sid(&self) -> String {
        self.sid().as_str().to_owned()
    }
}

/// A client's session, and whether its task has ended.
pub(crate) struct Hosted {
    pub(crate) hub: ClientHub,
    pub(crate) done: bool,
}

impl Duplex for Hosted {
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        self.hub.send(message)
    }

    fn close(&mut self, now: Time) {
        self.hub.close(now);
    }

    fn close_with(&mut self, now: Time, reason: CloseReason) {
        self.hub.close_with(now, reason);
    }

    fn abandon(&mut self, now: Time) {
        // Delivers nothing any more.
        self.hub.close(now);
    }

    fn abort(&mut self) {
        self.hub.abort();
    }

    fn is_idle(&self) -> bool {
        self.hub.session().is_idle()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.hub.poll_event()
    }

    fn has_events(&self) -> bool {
        self.hub.session().has_events()
    }

    fn is_receiving(&self) -> bool {
        self.hub.session().is_receiving()
    }

    fn is_open(&self) -> bool {
        self.hub.session().is_open()
    }

    fn is_writable(&self) -> bool {
        self.hub.session().is_writable()
    }

    fn has_room(&self) -> bool {
        self.hub.session().has_room()
    }

    fn queued(&self) -> usize {
        self.hub.session().queued()
    }

    fn max_queued(&self) -> usize {
        self.hub.session().config().limits.max_queued
    }

    fn close_reason(&self) -> Option<&CloseReason> {
        self.hub.session().close_reason()
    }

    fn transport(&self) -> TransportKind {
        self.hub.session().transport()
    }

    fn revision(&self) -> Revision {
        self.hub.session().revision()
    }

    fn over(&self) -> Option<&CloseReason> {
        self.close_reason().filter(|_| self.done)
    }

    fn sid(&self) -> String {
        self.hub.session().sid().unwrap_or_default().to_owned()
    }
}

/// Whether the application cannot know of an event without being told: the others follow from its
/// having a socket, and from waiting for room.
pub(crate) const fn is_news(event: &Event) -> bool {
    !matches!(event, Event::Opened | Event::Writable)
}

/// Cost of the messages taken together from which on no other is added.
const MAX_AHEAD: usize = 1024;

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use enginewire::{ClientConfig, Url};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A task that waits, and counts how often it was woken.
    struct Task {
        count: Arc<Count>,
        waker: Waker,
        ticket: Ticket,
        message: Option<Encoded>,
    }

    impl Task {
        fn new(message: &'static str) -> Self {
            let count = Arc::new(Count::default());
            let waker = Waker::from(Arc::clone(&count));
            Self { count, waker, ticket: Ticket::default(), message: Some(message.into()) }
        }

        fn cx(&self) -> Context<'_> {
            Context::from_waker(&self.waker)
        }

        fn send(&mut self, waiters: &mut Waiters, session: &mut Hosted) -> bool {
            let cx = Context::from_waker(&self.waker);
            let Self { ticket, message, .. } = self;
            waiters.poll_send(session, &cx, ticket, message).is_ready()
        }

        fn woken(&self) -> usize {
            self.count.0.swap(0, Ordering::Relaxed)
        }
    }

    fn hosted() -> Hosted {
        let url = Url::parse("http://a").unwrap();
        let mut config = ClientConfig::new(&url);
        config.limits.max_queued = 1;
        let config = Arc::new(config);
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        Hosted { hub: ClientHub::new(Time::ZERO, &url, config, false, &mut entropy), done: false }
    }

    fn settle(waiters: &mut Waiters, session: &Hosted) {
        waiters.wake(session, &mut Wakes::default());
    }

    #[test]
    fn waiting_task_is_woken_by_its_condition_only() {
        let (mut session, mut waiters) = (hosted(), Waiters::default());
        let (mut flush, mut close, mut send) = (Task::new(""), Task::new(""), Task::new("full"));
        session.hub.send("waits for the session to open").unwrap();
        let cx = Context::from_waker(&flush.waker);
        assert!(waiters.poll_flushed(&session, &cx, &mut flush.ticket).is_pending());
        for _ in 0..2 {
            let cx = Context::from_waker(&close.waker);
            assert!(waiters.poll_closed(&session, &cx, &mut close.ticket).is_pending());
        }
        settle(&mut waiters, &session);
        assert_eq!((flush.woken(), close.woken()), (0, 0), "there is room, for which none waits");

        assert!(!send.send(&mut waiters, &mut session));
        session.hub.close(Time::ZERO);
        settle(&mut waiters, &session);
        assert_eq!(send.woken(), 1, "a session that is closing has no room any more");

        // Nothing is flushed any more; but the session's connections are still there.
        session.hub.abort();
        settle(&mut waiters, &session);
        assert_eq!((flush.woken(), close.woken()), (1, 0));
        session.done = true;
        settle(&mut waiters, &session);
        assert_eq!(close.woken(), 1);
        let cx = Context::from_waker(&close.waker);
        assert!(waiters.poll_closed(&session, &cx, &mut close.ticket).is_ready());
    }

    #[test]
    fn dropped_future_leaves_nothing_behind() {
        let (mut session, mut waiters) = (hosted(), Waiters::default());
        session.hub.send("no room is left").unwrap();
        for _ in 0..3 {
            let (mut send, mut ready) = (Task::new("a"), Task::new("b"));
            let (mut flush, mut close) = (Task::new("c"), Task::new("d"));
            assert!(!send.send(&mut waiters, &mut session));
            let cx = Context::from_waker(&ready.waker);
            assert!(waiters.poll_ready(&session, &cx, &mut ready.ticket).is_pending());
            let cx = flush.cx();
            let _ = waiters.poll_flushed(&session, &cx, &mut Ticket::default());
            waiters.others.clear();
            let cx = Context::from_waker(&flush.waker);
            assert!(waiters.poll_flushed(&session, &cx, &mut flush.ticket).is_pending());
            let cx = Context::from_waker(&close.waker);
            assert!(waiters.poll_closed(&session, &cx, &mut close.ticket).is_pending());
            for task in [&mut send, &mut ready, &mut flush, &mut close] {
                waiters.leave(&mut task.ticket);
            }
            assert!(waiters.room.is_empty() && waiters.others.is_empty());
        }
    }

    #[test]
    fn waiting_senders_are_served_in_order() {
        let (mut session, mut waiters) = (hosted(), Waiters::default());
        let (mut first, mut second) = (Task::new("1"), Task::new("2"));
        session.hub.send("no room is left").unwrap();
        assert!(!first.send(&mut waiters, &mut session));
        assert!(!second.send(&mut waiters, &mut session));
        // There is room again.
        let mut session = hosted();
        settle(&mut waiters, &session);
        assert_eq!((first.woken(), second.woken()), (1, 0));
        assert!(!second.send(&mut waiters, &mut session), "the first is before it");
        let refused = waiters.try_send(&mut session, "3".into()).unwrap_err();
        assert!(matches!(refused.reason, SendError::Full { .. }), "both are before it");
        // The first gives up, so it is the turn of the second.
        waiters.leave(&mut first.ticket);
        settle(&mut waiters, &session);
        assert_eq!(second.woken(), 1);
        assert!(second.send(&mut waiters, &mut session));
        assert!(waiters.room.is_empty());
    }
}
