//! A session and the connections that carry it.

use alloc::{boxed::Box, vec::Vec};
use core::{any::Any, task::Waker};

use super::{GracePeriod, Layer, LayerContext};
use crate::{
    deadlines::Alarm,
    session::{ServerAction, ServerSession, WebSocketId},
    time::Time,
};

/// A session, its carriers, and the [`Layer`] on top of it.
///
/// Its carriers are the exchanges and the WebSockets that its packets take.
///
/// `W` wakes a connection: a task's waker in a driver, a name in a [`ServerHub`](crate::ServerHub). After any change of the
/// session, [`settle`](Self::settle) hands its actions to the connections that they are for.
#[derive(Debug)]
pub struct Entry<W> {
    session: ServerSession,
    carriers: Vec<Carrier<W>>,
    layer: Option<Box<dyn Layer>>,
    /// The deadline that the owner has armed.
    pub alarm: Alarm,
    grace: GracePeriod,
    /// The latest time that the entry was told.
    now: Time,
}

/// An exchange or a WebSocket of a session.
#[derive(Debug)]
struct Carrier<W> {
    id: u64,
    waker: W,
    /// The action for this carrier that its connection has not taken.
    action: Option<ServerAction>,
    /// The connection was woken, and has not taken the lock since.
    woken: bool,
    /// The connection does not read until the application has caught up.
    throttled: bool,
    /// The connection's socket takes no bytes.
    blocked: bool,
}

/// Consequences of a [`settle`](Entry::settle) for the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Settled {
    /// The layer has something for the application.
    pub notified: bool,
}

impl<W: Clone> Entry<W> {
    /// Wraps a session that opened at `now`.
    pub const fn new(now: Time, session: ServerSession) -> Self {
        Self {
            session,
            carriers: Vec::new(),
            layer: None,
            alarm: Alarm::new(),
            grace: GracePeriod::new(),
            now,
        }
    }

    /// Returns the session.
    #[inline]
    pub const fn session(&self) -> &ServerSession {
        &self.session
    }

    /// Returns the session, to be changed. [`settle`](Self::settle) follows.
    #[inline]
    pub const fn session_mut(&mut self) -> &mut ServerSession {
        &mut self.session
    }

    /// Returns whether any connection carries the session.
    pub const fn is_carried(&self) -> bool {
        !self.carriers.is_empty()
    }

    /// Notes the time, which a layer is told in [`settle`](Self::settle).
    #[inline]
    pub const fn set_now(&mut self, now: Time) {
        if now.as_nanos() > self.now.as_nanos() {
            self.now = now;
        }
    }

    /// Returns the latest time that the entry was told.
    pub const fn now(&self) -> Time {
        self.now
    }
}

/// Connections.
impl<W: Clone> Entry<W> {
    /// Adds the exchange or WebSocket `id`, whose connection `waker` wakes.
    pub fn attach(&mut self, id: u64, waker: W) {
        // Most sessions have one at a time.
        self.carriers.reserve_exact(1);
        self.carriers.push(Carrier {
            id,
            waker,
            action: None,
            woken: false,
            throttled: false,
            blocked: false,
        });
    }

    /// Removes the exchange or WebSocket `id`.
    pub fn detach(&mut self, id: u64) {
        self.carriers.retain(|carrier| carrier.id != id);
    }

    /// Takes the action for the carrier `id`.
    ///
    /// From now on the connection is woken for the next one, for frames, and to read again if the session is
    /// throttled.
    #[inline]
    pub fn take_action(
        &mut self,
        id: u64,
        waker: &W,
        wakes: &mut impl Extend<W>,
    ) -> Option<ServerAction> {
        self.hand_out_actions(Some(id), wakes);
        let throttled = !self.session.is_receiving();
        let carrier = self.carriers.iter_mut().find(|carrier| carrier.id == id)?;
        carrier.waker.clone_from(waker);
        carrier.woken = false;
        carrier.throttled = throttled;
        carrier.action.take()
    }

    /// Notes whether the socket of the carrier `id` takes bytes.
    ///
    /// A connection that is blocked is not woken for frames, and its session is not
    /// [idle](ServerSession::is_idle).
    pub fn set_blocked(&mut self, id: u64, blocked: bool) {
        if let Some(carrier) = self.carriers.iter_mut().find(|carrier| carrier.id == id) {
            carrier.blocked = blocked;
            self.session.set_blocked(WebSocketId(id), blocked);
        }
    }

    /// Returns whether the only connection has been woken, and will take what is queued.
    ///
    /// A further message in the queue is then nothing to [`settle`](Self::settle).
    #[inline]
    pub fn is_expected(&self) -> bool {
        matches!(&*self.carriers, [carrier] if carrier.woken) && !self.session.has_actions()
    }

    /// Hands the session's actions to connections and its events to the layer.
    ///
    /// Collects the connections to be woken in `wakes`, but not that of the carrier `by`.
    #[inline]
    pub fn settle(&mut self, by: Option<u64>, wakes: &mut impl Extend<W>) -> Settled
    where
        W: FromWaker,
    {
        let mut settled = Settled::default();
        if self.layer.is_some() {
            settled.notified = self.drain_to_layer(wakes);
        }
        self.hand_out_actions(by, wakes);
        let Self { session, carriers, .. } = self;
        for carrier in carriers {
            if carrier.woken || by == Some(carrier.id) {
                continue;
            }
            let resumes = carrier.throttled && session.is_receiving();
            let writes = !carrier.blocked && session.wants_write(WebSocketId(carrier.id));
            if resumes || writes {
                carrier.woken = true;
                wakes.extend([carrier.waker.clone()]);
            }
        }
        settled
    }

    #[inline]
    fn hand_out_actions(&mut self, by: Option<u64>, wakes: &mut impl Extend<W>) {
        if self.session.has_actions() {
            self.hand_out_some_actions(by, wakes);
        }
    }

    fn hand_out_some_actions(&mut self, by: Option<u64>, wakes: &mut impl Extend<W>) {
        while let Some(action) = self.session.poll_action() {
            let id = action.carrier();
            // A connection that was lost needs no response.
            if let Some(carrier) = self.carriers.iter_mut().find(|carrier| carrier.id == id) {
                carrier.action = Some(action);
                if by != Some(id) && !core::mem::replace(&mut carrier.woken, true) {
                    wakes.extend([carrier.waker.clone()]);
                }
            }
        }
    }
}

/// Deadlines.
impl<W: Clone> Entry<W> {
    /// Handles the deadlines that have passed.
    ///
    /// The peer has a grace period first if the process was late.
    pub fn handle_timeout(&mut self, now: Time, wakes: &mut impl Extend<W>) -> Settled
    where
        W: FromWaker,
    {
        self.set_now(now);
        self.alarm.expire(now);
        self.expire(now);
        let mut settled = Settled::default();
        if self.layer_deadline().is_some_and(|due| due <= now) {
            settled.notified = self.with_context(wakes, |layer, cx| layer.handle_timeout(cx));
        }
        settled
    }

    /// Handles the deadlines of the session that have passed.
    pub(super) fn expire(&mut self, now: Time) {
        if let Some(due) = self.session.peer_deadline().filter(|&due| due <= now)
            && let Some(until) = self.grace.extend(due, now)
        {
            self.session.extend_deadlines(until);
        }
        self.session.handle_timeout(now);
    }

    /// Returns the next deadline of the session and its layer.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Time> {
        let session = self.session.poll_timeout().map(|(deadline, _)| deadline);
        match &self.layer {
            None => session,
            Some(_) => session.into_iter().chain(self.layer_deadline()).min(),
        }
    }

    /// The deadlines of a layer end with its session, so that nothing keeps a closed one.
    fn layer_deadline(&self) -> Option<Time> {
        let layer = self.layer.as_deref().filter(|_| !self.session.is_closed());
        layer.and_then(Layer::poll_timeout)
    }
}

/// The layer.
impl<W: Clone> Entry<W> {
    /// Puts a layer on top of the session. Events that wait go to it in the next [`settle`](Self::settle).
    pub fn set_layer(&mut self, layer: Box<dyn Layer>) {
        self.layer = Some(layer);
    }

    /// Calls `f` with the layer and its session. `None` if there is none of that type.
    pub fn with_layer<L: Layer, T>(
        &mut self,
        wakes: &mut impl Extend<W>,
        f: impl FnOnce(&mut L, &mut LayerContext<'_>) -> T,
    ) -> (Option<T>, Settled)
    where
        W: FromWaker,
    {
        let mut result = None;
        let is_it = |layer: &dyn Layer| (layer as &dyn Any).is::<L>();
        let notified = self.layer.as_deref().is_some_and(is_it)
            && self.with_context(wakes, |layer, cx| {
                result = (layer as &mut dyn Any).downcast_mut().map(|layer| f(layer, cx));
            });
        (result, Settled { notified })
    }

    fn drain_to_layer(&mut self, wakes: &mut impl Extend<W>) -> bool
    where
        W: FromWaker,
    {
        if !self.session.has_events() {
            return false;
        }
        self.with_context(wakes, |layer, cx| {
            while let Some(event) = cx.session.take_event() {
                layer.handle_event(cx, event);
            }
        })
    }

    fn with_context(
        &mut self,
        wakes: &mut impl Extend<W>,
        work: impl FnOnce(&mut dyn Layer, &mut LayerContext<'_>),
    ) -> bool
    where
        W: FromWaker,
    {
        let Some(layer) = &mut self.layer else { return false };
        let mut wake = |waker: Waker| wakes.extend(W::from_waker(waker));
        let mut cx = LayerContext {
            now: self.now,
            session: &mut self.session,
            notified: false,
            wakes: &mut wake,
        };
        work(&mut **layer, &mut cx);
        cx.notified
    }
}

/// How a layer's wakers are called.
pub trait FromWaker: Sized {
    /// Returns a waker to be called once locks have been released.
    ///
    /// `None` if it was called here, because there are none.
    fn from_waker(waker: Waker) -> Option<Self>;
}

impl FromWaker for Waker {
    fn from_waker(waker: Waker) -> Option<Self> {
        Some(waker)
    }
}
