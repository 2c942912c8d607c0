//! The order of broadcasts in a namespace, and what clients missed that come back.

use std::{
    any::Any,
    iter,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use enginewire::{Encoded, Time};
use enginewire_socketio::{
    AckId, Args, DisconnectReason, EncodeError, TryEmitError,
    adapter::{Full, Recovery, RecoveryConfig, Selection, Sequencer, Target},
};

use super::{
    EmitError,
    acks::{Answer, OpenGroup},
    broadcast::Delivered,
    io::Overflow,
    namespace::NamespaceShared,
    outgoing::{Body, with_encoder},
    socket::SocketShared,
};
use crate::{sync::lock, waiters::Shareable, wakes::register};

/// The application's data of a socket.
pub(super) type SocketData = Arc<dyn Any + Send + Sync>;

/// The order of a namespace's broadcasts.
///
/// Its lock is taken before that of the adapter, and before those of sessions.
pub(crate) struct Order {
    sequencer: Sequencer<Work>,
    /// There if clients may come back and recover what they missed.
    pub(super) recovery: Option<Recovery<SocketData, Encoded>>,
    /// The latest time that any socket was told.
    now: Time,
}

/// A broadcast to be delivered.
struct Work {
    selection: Selection<Arc<SocketShared>>,
    message: Encoded,
    how: How,
    done: Arc<Done>,
}

/// How an event is delivered.
#[derive(Default)]
pub(super) struct How {
    pub(super) volatile: bool,
    /// It goes to one socket alone, which had room.
    pub(super) direct: bool,
    pub(super) ack: Option<(AckId, Duration, OpenGroup)>,
}

/// The outcome of a [`Work`], and the task that waits for it.
#[derive(Default)]
pub(super) struct Done(Mutex<(Option<Delivered>, Option<Waker>)>);

impl Done {
    /// Returns the outcome, if there is one.
    pub(super) fn get(&self) -> Option<Delivered> {
        lock(&self.0).0
    }

    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Delivered> {
        let mut state = lock(&self.0);
        match state.0 {
            Some(delivered) => Poll::Ready(delivered),
            None => {
                register(&mut state.1, cx.waker());
                Poll::Pending
            }
        }
    }

    fn complete(&self, delivered: Delivered) {
        let mut state = lock(&self.0);
        state.0 = Some(delivered);
        let waker = state.1.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Order {
    pub(super) fn new(recovery: Option<&RecoveryConfig>) -> Self {
        let recovery = recovery.cloned();
        Self {
            sequencer: Sequencer::new(MAX_QUEUED),
            recovery: recovery
                .map(|config| Recovery::new(config, &mut crate::runtime::fill_random)),
            now: Time::ZERO,
        }
    }

    /// Notes the time, and forgets what is too old to be recovered.
    pub(super) fn set_now(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        if let Some(recovery) = &mut self.recovery {
            recovery.handle_timeout(self.now);
        }
        self.now
    }

    /// Encodes an event with its offset, under which it is logged unless it is volatile.
    fn stamp(
        &mut self,
        namespace: &NamespaceShared,
        target: &Target,
        args: &Args,
        volatile: bool,
    ) -> Result<Encoded, EncodeError> {
        let Some(recovery) = &mut self.recovery else {
            return with_encoder(|encoder| {
                encoder.forward(namespace.parser(), namespace.name(), None, args, None)
            });
        };
        let offset = if volatile { recovery.latest() } else { recovery.upcoming() };
        let offset = offset.to_string();
        let message = with_encoder(|encoder| {
            encoder.forward(namespace.parser(), namespace.name(), None, args, Some(&offset))
        });
        let message = message?.into_shared();
        if !volatile {
            recovery.stamp(self.now, target.clone(), message.clone(), message.len());
        }
        Ok(message)
    }
}

/// The order of a namespace, locked.
pub(super) struct OrderGuard<'a> {
    order: MutexGuard<'a, Order>,
    /// Dropped behind the lock, since it is the application's.
    dropped: Vec<SocketData>,
}

impl Deref for OrderGuard<'_> {
    type Target = Order;

    fn deref(&self) -> &Order {
        &self.order
    }
}

impl DerefMut for OrderGuard<'_> {
    fn deref_mut(&mut self) -> &mut Order {
        &mut self.order
    }
}

impl Drop for OrderGuard<'_> {
    fn drop(&mut self) {
        if let Some(recovery) = &mut self.order.recovery {
            self.dropped.extend(iter::from_fn(|| recovery.poll_dropped()));
        }
    }
}

impl NamespaceShared {
    pub(super) fn lock_order(&self) -> OrderGuard<'_> {
        OrderGuard { order: lock(&self.order), dropped: Vec::new() }
    }

    /// Returns whether clients may come back and recover what they missed.
    pub(super) fn is_recovering(&self) -> bool {
        self.options().recovery.is_some()
    }

    /// Delivers an event in its turn, and those that come meanwhile, unless another task does.
    pub(super) fn publish(
        &self,
        target: &Target,
        body: Body,
        how: How,
    ) -> Result<Arc<Done>, EmitError> {
        let done = Arc::new(Done::default());
        let (mut order, selection, message) = match body {
            Body::Message(message) => {
                let selection = lock(&self.adapter).select(target);
                (self.lock_order(), selection, message.into_shared())
            }
            // Selected and logged at one moment: whoever is not a member yet finds it in the log.
            Body::Args(args) => {
                let mut order = self.lock_order();
                let selection = lock(&self.adapter).select(target);
                let now = selection.iter().next().map(|(_, member)| member.cell.now());
                order.set_now(now.unwrap_or(Time::ZERO));
                let message = order.stamp(self, target, &args, how.volatile)?;
                (order, selection, message)
            }
        };
        let cost = message.len();
        let work = Work { selection, message, how, done: Arc::clone(&done) };
        let turn = order.sequencer.push(work, cost);
        drop(order);
        match turn {
            Ok(Some(work)) => self.deliver_from(work),
            Ok(None) => {}
            Err(Full(work)) => {
                drop(work);
                return Err(EmitError::Full { queued: MAX_QUEUED, max: MAX_QUEUED });
            }
        }
        Ok(done)
    }

    /// Delivers a broadcast, and those that wait behind it.
    fn deliver_from(&self, mut work: Work) {
        loop {
            let delivered = self.deliver(&work);
            work.done.complete(delivered);
            let next = lock(&self.order).sequencer.next();
            match next {
                Some(next) => work = next,
                None => return,
            }
        }
    }

    fn deliver(&self, work: &Work) -> Delivered {
        let mut delivered = Delivered::default();
        let disconnects = !work.how.volatile && self.options().overflow == Overflow::Disconnect;
        for (_, member) in work.selection.iter() {
            match member.deliver(work) {
                Ok(()) => delivered.sockets += 1,
                Err(EmitError::Full { .. }) if disconnects => {
                    member.abort(DisconnectReason::Overflow);
                    delivered.disconnected += 1;
                }
                Err(EmitError::Disconnected) => {}
                Err(_) => delivered.skipped += 1,
            }
        }
        delivered
    }
}

impl SocketShared {
    fn deliver(&self, work: &Work) -> Result<(), EmitError> {
        let message = work.message.clone();
        let Some((id, timeout, group)) = &work.how.ack else {
            return match work.how {
                How { volatile: true, .. } => self.emit_volatile(message),
                How { direct: true, .. } => self.emit_late(message),
                _ => self.emit_message(message),
            };
        };
        let (group, volatile) = (group.group(), work.how.volatile);
        group.expect();
        let deadline = self.cell.now() + *timeout;
        let answer = Answer::Many(Arc::clone(group), self.id.clone());
        let sent = self.try_send(|layer, cx| {
            if volatile && !cx.session.is_idle() {
                return Err(TryEmitError { message, reason: EmitError::NotIdle });
            }
            layer.connection.emit_with_ack(self.slot, message, *id, deadline, answer, cx.session)
        });
        if let Err(error) = &sent {
            let reason = match error {
                EmitError::Disconnected => DisconnectReason::TransportClose,
                _ => DisconnectReason::Overflow,
            };
            let failed = Err(enginewire_socketio::AckError::Disconnected(reason));
            if let Some(waker) = group.complete(self.id.clone(), failed) {
                waker.wake();
            }
        }
        sent
    }
}

/// Bytes of broadcasts of a namespace that wait for others to be delivered.
const MAX_QUEUED: usize = 16 << 20;
