//! What an application does with a session, and who waits for it: the same on either side.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use enginewire::{
    ClientHub, CloseReason, Encoded, Event, Limits, Message, Revision, SendError, Session, Time,
    TransportKind, TrySendError,
};

use crate::wakes::{Wakes, register};

/// A session as an application sees it.
pub(crate) trait Duplex {
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError>;
    fn close(&mut self, now: Time);
    /// The same, for an application that takes no more events.
    fn abandon(&mut self, now: Time);
    fn poll_event(&mut self) -> Option<Event>;
    fn has_events(&self) -> bool;
    fn is_receiving(&self) -> bool;
    fn is_open(&self) -> bool;
    fn is_writable(&self) -> bool;
    fn has_room(&self) -> bool;
    fn queued(&self) -> usize;
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

    /// Looks at the session.
    fn look<T>(&self, look: impl FnOnce(&Self::Session) -> T) -> T;

    fn now(&self) -> Time;

    /// The public name.
    fn id(&self) -> u64;
}

/// Everybody of the application's who waits for one session.
#[derive(Default)]
pub(crate) struct Waiters {
    /// The task in `recv`.
    receiver: Option<Waker>,
    /// Tasks that wait for something else, and for what.
    waiting: Vec<(Until, Waker)>,
}

/// What a task waits for. The end of the session is enough for all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// So much room that it is worth another try.
    Room,
    /// Nothing is queued.
    Flushed,
    /// Nothing of the session is under way any more.
    Over,
}

impl Until {
    fn has_come(self, session: &impl Duplex) -> bool {
        match self {
            Self::Room => session.is_writable() || !session.is_open(),
            Self::Flushed => session.queued() == 0 || session.close_reason().is_some(),
            Self::Over => session.over().is_some(),
        }
    }
}

impl Waiters {
    /// Takes those for whom something has happened.
    #[inline]
    pub(crate) fn wake(&mut self, session: &impl Duplex, wakes: &mut Wakes) {
        if session.has_events() {
            wakes.extend(self.receiver.take());
        }
        if !self.waiting.is_empty() {
            let due = self.waiting.extract_if(.., |(until, _)| until.has_come(session));
            wakes.extend(due.map(|(_, waker)| waker));
        }
    }

    /// Nobody receives any more.
    pub(crate) fn forget_receiver(&mut self) {
        self.receiver = None;
    }

    /// Has the task in `recv` woken when there is an event.
    pub(crate) fn receive(&mut self, cx: &Context<'_>) {
        register(&mut self.receiver, cx.waker());
    }

    /// Takes `message` out of its place once there is room.
    pub(crate) fn poll_send(
        &mut self,
        session: &mut impl Duplex,
        cx: &Context<'_>,
        place: &mut Option<Encoded>,
    ) -> Poll<Result<(), SendError>> {
        let Some(message) = place.take() else { return Poll::Ready(Ok(())) };
        match session.send(message) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(TrySendError { message, reason: SendError::Full { .. } }) => {
                *place = Some(message);
                self.wait(Until::Room, cx);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error.reason)),
        }
    }

    /// Waits for room.
    pub(crate) fn poll_ready(
        &mut self,
        session: &impl Duplex,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        if !session.is_open() {
            return Poll::Ready(Err(SendError::Closed));
        }
        if !session.has_room() {
            self.wait(Until::Room, cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until everything queued is on its way.
    pub(crate) fn poll_flushed(
        &mut self,
        session: &impl Duplex,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        if session.close_reason().is_some() {
            return Poll::Ready(Err(SendError::Closed));
        }
        if session.queued() > 0 {
            self.wait(Until::Flushed, cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(
        &mut self,
        session: &impl Duplex,
        cx: &Context<'_>,
    ) -> Poll<CloseReason> {
        match session.over() {
            Some(reason) => Poll::Ready(reason.clone()),
            None => {
                self.wait(Until::Over, cx);
                Poll::Pending
            }
        }
    }

    /// Takes the next message, and along with it what comes behind it to `ahead`, until that counts for
    /// [`MAX_AHEAD`]: enough to share the price of the lock, too little to matter for what is unread.
    pub(crate) fn poll_recv(
        &mut self,
        session: &mut impl Duplex,
        settled: &mut bool,
        cx: &Context<'_>,
        ahead: &mut VecDeque<Event>,
    ) -> Poll<Option<Message>> {
        // Otherwise the peer may have to be read again. Nothing else follows from taking what has come.
        *settled = session.is_receiving();
        let mut first = None;
        let mut room = MAX_AHEAD;
        while let Some(event) = session.poll_event() {
            match event {
                Event::Message(message) => {
                    room = room.saturating_sub(message.len() + Limits::MESSAGE_OVERHEAD);
                    if first.is_none() {
                        first = Some(message);
                    } else {
                        ahead.push_back(Event::Message(message));
                    }
                    if room == 0 {
                        break;
                    }
                }
                // For whoever asks for events after the message.
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

    fn wait(&mut self, until: Until, cx: &Context<'_>) {
        let waits = |(of, waker): &(Until, Waker)| *of == until && waker.will_wake(cx.waker());
        if !self.waiting.iter().any(waits) {
            self.waiting.push((until, cx.waker().clone()));
        }
    }
}

impl Duplex for Session {
    #[inline]
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        self.send(message)
    }

    #[inline]
    fn close(&mut self, now: Time) {
        self.close(now);
    }

    fn abandon(&mut self, now: Time) {
        self.abandon(now);
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

    fn abandon(&mut self, now: Time) {
        // Delivers nothing any more.
        self.hub.close(now);
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

/// What messages taken together count for from which on no other is added.
const MAX_AHEAD: usize = 1024;

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
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

    fn hosted() -> Hosted {
        let url = Url::parse("http://a").unwrap();
        let mut config = ClientConfig::new(&url);
        config.limits.max_queued = 1;
        let config = Arc::new(config);
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        Hosted { hub: ClientHub::new(Time::ZERO, &url, config, false, &mut entropy), done: false }
    }

    #[test]
    fn who_waits_is_woken_by_what_it_waits_for_and_by_nothing_else() {
        let (mut session, mut waiters) = (hosted(), Waiters::default());
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let woken = |waiters: &mut Waiters, session: &Hosted| {
            waiters.wake(session, &mut Wakes::default());
            count.0.swap(0, Ordering::Relaxed)
        };

        session.hub.send("waits for the session to open").unwrap();
        assert!(waiters.poll_flushed(&session, &cx).is_pending());
        assert!(waiters.poll_closed(&session, &cx).is_pending());
        assert!(waiters.poll_closed(&session, &cx).is_pending(), "the same task once more");
        assert_eq!(woken(&mut waiters, &session), 0, "there is room, for which nobody waits");

        let mut place = Some("no room".into());
        assert!(waiters.poll_send(&mut session, &cx, &mut place).is_pending());
        session.hub.close(Time::ZERO);
        assert_eq!(woken(&mut waiters, &session), 1, "who waits for room need not any more");

        // Nothing is flushed any more; but the session's connections are still there.
        session.hub.abort();
        assert_eq!(woken(&mut waiters, &session), 1);
        assert!(waiters.poll_closed(&session, &cx).is_pending());
        assert_eq!(woken(&mut waiters, &session), 0);
        session.done = true;
        assert_eq!(woken(&mut waiters, &session), 1);
        assert!(waiters.poll_closed(&session, &cx).is_ready());
    }
}
