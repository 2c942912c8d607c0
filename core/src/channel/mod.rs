//! Parts that both ends of a session have in common.
//!
//! They are the queue to the peer, the events for the application, the bounds of both, and the words
//! for it.

mod close;
mod payload;
mod queue;
mod timers;

use alloc::{boxed::Box, collections::VecDeque};
use core::time::Duration;

pub use self::{
    close::{CloseReason, ProxyFault, RedirectFault, TransportFault, WebSocketEnd},
    queue::{SendError, TrySendError},
};
pub(crate) use self::{
    payload::{form_of, packets},
    queue::{PROBE, Queue, Queued},
    timers::{Kind, Timers},
};
pub(crate) use crate::progress::{Progress, time_for};
use crate::{encoded::Encoded, limits::Limits, packet::Message};

/// One HTTP request and its answer. On the server a name that the driver gives and that comes back in
/// [`ServerAction::Respond`](crate::ServerAction::Respond), which must not be used twice for one session; on the
/// client a name that the session gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// One WebSocket. On the server a name that the driver gives, which must not be used twice for one
/// session; on the client a name that the session gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebSocketId(pub u64);

/// Event of a session for its application.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A client's session is open. A server's is from the beginning.
    Opened,
    /// The peer sent a message.
    Message(Message),
    /// The session has moved to a WebSocket.
    Upgraded,
    /// After [`SendError::Full`]: there is room again.
    Writable,
    /// The session is over; the last event.
    Closed(CloseReason),
}

/// What waits in either direction.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Channel {
    pub(crate) queue: Queue,
    events: VecDeque<Event>,
    /// What the messages in `events` count for, as [`Limits::max_unread`] counts.
    unread: usize,
    /// The peer is being slowed down until the application has caught up.
    throttled: bool,
    /// It was, at some time since [`note_deadline`](Self::note_deadline).
    was_throttled: bool,
    /// There is an [`Event::Writable`] that nobody has looked at.
    writable_told: bool,
    /// Why this side closes, if the application has said so.
    closing_reason: Option<Box<CloseReason>>,
    /// Why the session is over. Boxed, as the other is: sessions are seldom over.
    close_reason: Option<Box<CloseReason>>,
}

impl Channel {
    /// Takes a message for the peer. Whether the session takes any is for the caller to know.
    #[inline]
    pub(crate) fn send(&mut self, message: Encoded, limits: &Limits) -> Result<(), TrySendError> {
        if message.parts() == 0 {
            return Ok(());
        }
        self.queue.push_message(message, limits).map_err(|message| {
            let (queued, max) = (self.queue.bytes(), limits.max_queued);
            TrySendError { message, reason: SendError::Full { queued, max } }
        })
    }

    /// A message of the peer came.
    #[inline]
    pub(crate) fn deliver(&mut self, message: Message, limits: &Limits) {
        self.deliver_unthrottled(message);
        self.hold(0, limits);
    }

    /// The same, of a peer that is not slowed down.
    #[inline]
    pub(crate) fn deliver_unthrottled(&mut self, message: Message) {
        self.unread += message.cost();
        self.events.push_back(Event::Message(message));
    }

    /// Something else happened that the application should know.
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// The application closes, for this reason.
    pub(crate) fn give_reason(&mut self, reason: CloseReason) {
        self.closing_reason = Some(Box::new(reason));
    }

    /// The session is over: drops what is queued, and says why. Once.
    pub(crate) fn finish(&mut self, reason: CloseReason) {
        self.queue.clear();
        let reason = match (reason, self.closing_reason.take()) {
            (CloseReason::ForcedClose, Some(reason)) => reason,
            (reason, _) => Box::new(reason),
        };
        self.tell(Event::Closed((*reason).clone()));
        self.close_reason = Some(reason);
    }

    /// Why the session is over, once it is.
    pub(crate) const fn close_reason(&self) -> Option<&CloseReason> {
        match &self.close_reason {
            Some(reason) => Some(reason),
            None => None,
        }
    }

    /// Tells writers that found no room once there is some.
    #[inline]
    pub(crate) fn tell_writable(&mut self, limits: &Limits) {
        if self.queue.take_writable(limits) && !self.writable_told {
            self.writable_told = true;
            self.events.push_back(Event::Writable);
        }
    }

    /// The next event. After a message, [`has_caught_up`](Self::has_caught_up) may be true.
    #[inline]
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        let event = self.take_event()?;
        if let Event::Message(message) = &event {
            self.give_back(message.cost());
        }
        Some(event)
    }

    /// The next event, of which a message still counts as unread.
    #[inline]
    pub(crate) fn take_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        match event {
            Event::Writable => self.writable_told = false,
            // Many sessions stay silent after it.
            Event::Opened if self.events.is_empty() => self.events = VecDeque::new(),
            _ => {}
        }
        Some(event)
    }

    /// The application has taken what a message of [`take_event`](Self::take_event) stands for.
    #[inline]
    pub(crate) const fn give_back(&mut self, cost: usize) {
        self.unread = self.unread.saturating_sub(cost);
    }

    /// The application has something to take that no message of this channel stands for.
    pub(crate) const fn hold(&mut self, cost: usize, limits: &Limits) {
        self.unread = self.unread.saturating_add(cost);
        if self.unread >= limits.max_unread {
            self.throttled = true;
            self.was_throttled = true;
        }
    }

    /// Nobody will take the events that wait.
    pub(crate) fn drop_events(&mut self) {
        self.events = VecDeque::new();
        self.unread = 0;
        self.writable_told = false;
    }

    /// Whether the peer is slowed down and need not be any more: [`resume`](Self::resume) it.
    #[inline]
    pub(crate) const fn has_caught_up(&self, limits: &Limits) -> bool {
        self.throttled && self.unread <= limits.max_unread / 2
    }

    pub(crate) const fn resume(&mut self) {
        self.throttled = false;
    }

    #[inline]
    pub(crate) const fn is_throttled(&self) -> bool {
        self.throttled
    }

    /// A deadline for the peer's silence has been set.
    pub(crate) const fn note_deadline(&mut self) {
        self.was_throttled = self.throttled;
        self.queue.note_deadline();
    }

    /// Whether the peer may only seem silent, as it was not read all the time since the deadline was
    /// set: its answer may well be waiting in the socket. Not one that has taken nothing of a full
    /// queue in all that time: if the application waits for room, nothing would ever change again.
    pub(crate) const fn excuses_silence(&self, limits: &Limits) -> bool {
        self.was_throttled && !self.queue.is_stuck(limits)
    }

    #[inline]
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) const fn unread(&self) -> usize {
        self.unread
    }

    /// Gives back the storage of a burst that is over, so that an idle session holds no more than it
    /// needs. Not after each burst: a busy session would have to ask for it again and again.
    pub(crate) fn shrink(&mut self) {
        self.queue.shrink();
        if self.events.is_empty() && self.events.capacity() > queue::KEPT {
            self.events = VecDeque::new();
        }
    }
}

/// The least time in which a peer has to answer: without any, a session would be over before its first
/// ping, and one whose application is slow would be looked at without end.
pub(crate) const MIN_PING_TIMEOUT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{encoded::IntoEncoded, packet::Revision};

    /// A channel on which so many messages have come and gone in either direction.
    fn after_a_burst_of(messages: usize) -> Channel {
        let (mut channel, limits) = (Channel::default(), Limits::default());
        for _ in 0..messages {
            channel.send("a".into_encoded(), &limits).unwrap();
            channel.deliver("b".into(), &limits);
        }
        while channel.queue.pop_frame(Revision::V4, false).is_some() {}
        while channel.poll_event().is_some() {}
        channel
    }

    #[test]
    fn storage_of_a_burst_is_given_back_and_that_of_a_few_messages_kept() {
        for (messages, kept) in [(queue::KEPT, queue::KEPT), (queue::KEPT + 1, 0)] {
            let mut channel = after_a_burst_of(messages);
            assert!(channel.events.capacity() >= messages);
            channel.shrink();
            assert_eq!((channel.events.capacity(), channel.queue.capacity()), (kept, kept));
        }
    }

    #[test]
    fn events_that_wait_are_kept_with_their_storage() {
        let mut channel = after_a_burst_of(100);
        channel.tell(Event::Upgraded);
        channel.shrink();
        assert_eq!(channel.poll_event(), Some(Event::Upgraded));
    }
}
