//! The order of broadcasts in a namespace, and what clients missed that come back.

use std::{
    any::Any,
    iter, mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use enginewire::{Encoded, Time};
use enginewire_socketio::{
    AckError, AckId, Args, DisconnectReason, EncodeError, TryEmitError,
    adapter::{EntryId, Full, Recovery, RecoveryConfig, Selection, Sequencer, Target},
    cluster::{Appending, TellError},
};

use super::{
    Delivered, EmitError, Overflow,
    acks::{Answer, OpenGroup},
    appending::Waiting,
    cluster::{Request, Tell, Told},
    namespace::NamespaceShared,
    outgoing::{Body, args_with_compression, with_encoder},
    session::caught,
    socket::SocketShared,
};
use crate::{sync::lock, waiters::Shareable, wakes::Wakes};

/// The application's data of a socket.
pub(super) type SocketData = Arc<dyn Any + Send + Sync>;

/// The order of a namespace's broadcasts.
///
/// Its lock is taken before that of the adapter, and before those of sessions.
pub(crate) struct Order {
    sequencer: Sequencer<Work>,
    /// There if clients may come back and recover what they missed.
    pub(super) recovery: Option<Recovery<SocketData, Encoded>>,
    /// Events that wait for their place in the log of the cluster.
    pub(super) appending: Appending<Waiting>,
    /// The latest time that any socket was told.
    now: Time,
}

/// A broadcast to be delivered.
pub(super) struct Work {
    selection: Selection<Arc<SocketShared>>,
    /// Entries of the selection that have been visited.
    visited: usize,
    delivered: Delivered,
    message: Encoded,
    how: How,
    done: Arc<Done>,
}

/// Tasks to be woken behind the lock of an order, and selections to be dropped there.
///
/// A selection may hold the last of a socket, and that the application's data.
#[derive(Default)]
pub(super) struct Behind {
    pub(super) wakes: Wakes,
    selections: Vec<Selection<Arc<SocketShared>>>,
    /// Sockets that events were for.
    pub(super) selected: usize,
}

/// How an event is delivered.
#[derive(Default)]
pub(super) struct How {
    pub(super) volatile: bool,
    /// It goes to one socket alone, which had room.
    pub(super) direct: bool,
    pub(super) ack: Option<(AckId, Duration, OpenGroup)>,
    /// The part of it that other nodes are told.
    pub(super) tell: Option<Tell>,
    pub(super) logging: Logging,
    /// It comes from another node, and so waits for no place in the log.
    pub(super) is_remote: bool,
}

/// Place of an event in the log of its namespace, if it is neither volatile nor to be acknowledged.
#[derive(Clone, Copy, Default)]
pub(super) enum Logging {
    /// The next one.
    #[default]
    Next,
    /// An entry of the log that the cluster shares.
    Entry(EntryId),
    /// None: clients that miss it do not get it later.
    Never,
}

impl How {
    /// Tells other nodes whether the event may be compressed.
    pub(super) fn set_compression(&mut self, is_allowed: bool) {
        self.tell = self.tell.take().map(|Tell { event, acks }| {
            let event = args_with_compression(event, is_allowed);
            Tell { event, acks }
        });
    }
}

/// The outcome of a [`Work`], and who waits for it.
#[derive(Default)]
pub(super) struct Done(Mutex<DoneState>);

#[derive(Default)]
struct DoneState {
    outcome: Option<Delivered>,
    waiter: Waiter,
}

/// Waiter for a [`Work`], which can take the turn to deliver it.
#[derive(Default)]
enum Waiter {
    /// A future that was not polled yet.
    #[default]
    Future,
    Task(Waker),
    Nobody,
}

impl Done {
    fn poll(&self, cx: &Context<'_>) -> Poll<Delivered> {
        let mut state = lock(&self.0);
        match (state.outcome, &mut state.waiter) {
            (Some(delivered), _) => return Poll::Ready(delivered),
            (None, Waiter::Task(waker)) => waker.clone_from(cx.waker()),
            (None, waiter) => *waiter = Waiter::Task(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Returns whether anything waits, and adds its waker if it is a task.
    fn has_waiter(&self, wakers: &mut Vec<Waker>) -> bool {
        match &lock(&self.0).waiter {
            Waiter::Task(waker) => wakers.push(waker.clone()),
            Waiter::Future => {}
            Waiter::Nobody => return false,
        }
        true
    }

    /// Notes that nothing waits any more. Returns the outcome, if there is one.
    fn forget(&self) -> Option<Delivered> {
        let mut state = lock(&self.0);
        let waiter = mem::replace(&mut state.waiter, Waiter::Nobody);
        let outcome = state.outcome;
        drop(state);
        drop(waiter);
        outcome
    }

    pub(super) fn complete(&self, delivered: Delivered) {
        let mut state = lock(&self.0);
        state.outcome = Some(delivered);
        let waiter = mem::replace(&mut state.waiter, Waiter::Nobody);
        drop(state);
        if let Waiter::Task(waker) = waiter {
            waker.wake();
        }
    }
}

/// An event that was published, for the future that waits for its delivery.
///
/// Dropped, it is delivered nevertheless.
pub(super) struct Publishing {
    pub(super) namespace: Arc<NamespaceShared>,
    pub(super) done: Arc<Done>,
    pub(super) told: Told,
}

impl Publishing {
    /// Returns the number of other nodes that are told of an event in several namespaces.
    ///
    /// They are the same nodes.
    pub(super) fn all_remote(all: &[Self]) -> Result<usize, TellError> {
        all.iter().try_fold(0, |most, publishing| Ok(publishing.told.remote?.max(most)))
    }

    /// Takes the acknowledgements of other nodes that are awaited.
    pub(super) const fn take_request(&mut self) -> Option<Request> {
        self.told.request.take()
    }

    /// Waits for the delivery, and takes part in it if no other task does.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Delivered> {
        // The task is registered before it looks for the turn: whoever gives that up afterwards wakes it.
        if let Poll::Ready(delivered) = self.done.poll(cx) {
            return Poll::Ready(delivered);
        }
        if self.namespace.take_turn() { self.done.poll(cx) } else { Poll::Pending }
    }

    /// Delivers the event now. Returns `None` if another task is about to.
    pub(super) fn finish(&self) -> Option<Delivered> {
        let outcome = self.done.forget();
        if outcome.is_none() && self.namespace.take_turn() { self.done.forget() } else { outcome }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Order {
    /// Creates the order of a namespace. Its log may be one that the cluster shares.
    pub(super) fn new(recovery: Option<&RecoveryConfig>, is_shared: bool) -> Self {
        let new = if is_shared { Recovery::shared } else { Recovery::new };
        Self {
            sequencer: Sequencer::new(usize::MAX),
            recovery: recovery.map(|config| new(config.clone(), &mut crate::runtime::fill_random)),
            appending: Appending::default(),
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
        how: &How,
    ) -> Result<Encoded, EncodeError> {
        let Some(recovery) = &mut self.recovery else {
            return with_encoder(&namespace.config().limits, |encoder| {
                encoder.forward(namespace.parser(), namespace.name(), None, args, None)
            });
        };
        let (offset, entry) = match how.logging {
            _ if how.volatile => (recovery.latest_offset(), None),
            Logging::Never => (recovery.latest_offset(), None),
            Logging::Next => (recovery.upcoming().to_string(), None),
            Logging::Entry(entry) => (entry.to_string(), Some(entry)),
        };
        let message = with_encoder(&namespace.config().limits, |encoder| {
            encoder.forward(namespace.parser(), namespace.name(), None, args, Some(&offset))
        });
        let message = message?.into_shared();
        if !how.volatile && !matches!(how.logging, Logging::Never) {
            recovery.log(self.now, entry, target.clone(), message.clone(), message.len());
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

    /// Publishes an event: in its turn, and with those that come meanwhile, unless another task delivers.
    ///
    /// The first [`CHUNK`] sockets have it at once if the turn is free. Polling what this returns goes on.
    pub(super) fn publish(
        self: &Arc<Self>,
        target: &Target,
        body: Body,
        mut how: How,
    ) -> Result<Publishing, EmitError> {
        let done = Arc::new(Done::default());
        let mut told = Told::default();
        let mut behind = Behind::default();
        let mut order = self.lock_room()?;
        if let Logging::Entry(entry) = how.logging
            && order.recovery.as_ref().is_some_and(|recovery| recovery.has_entry(entry))
        {
            // The bus tells it a second time.
            drop(order);
            done.complete(Delivered::default());
            return Ok(Publishing { namespace: Arc::clone(self), done, told });
        }
        let append = match self.log() {
            Some(log) => order.append(self, log, target, &body, &mut how, &mut behind.wakes)?,
            None => None,
        };
        // What other nodes send comes before what is not in the log yet: places are told by the bus behind it.
        let waits = !how.is_remote && !order.appending.is_empty();
        let mut turn = None;
        match append {
            Some(Ok((append, nodes))) => {
                told.remote = Ok(nodes);
                order.wait(self.name(), Some(append), target, body, how, &done);
            }
            Some(Err(error)) if waits => {
                told.remote = Err(error);
                order.wait(self.name(), None, target, body, how, &done);
            }
            None if waits => {
                told = self.tell(target, how.volatile, how.tell.take(), &mut behind.wakes);
                order.wait(self.name(), None, target, body, how, &done);
            }
            append => {
                told.remote = append.map_or(Ok(0), |appended| appended.map(|(_, nodes)| nodes));
                turn =
                    self.enqueue(&mut order, target, body, how, &done, &mut told, &mut behind)?;
            }
        }
        drop(order);
        drop(behind);
        if let Some(work) = turn {
            self.deliver_from(work);
        }
        Ok(Publishing { namespace: Arc::clone(self), done, told })
    }

    /// Takes an event into the order. Returns the one to be delivered if nobody else does so.
    #[expect(clippy::too_many_arguments, reason = "parts of an event, which callers have apart")]
    pub(super) fn enqueue(
        &self,
        order: &mut Order,
        target: &Target,
        body: Body,
        mut how: How,
        done: &Arc<Done>,
        told: &mut Told,
        behind: &mut Behind,
    ) -> Result<Option<Work>, EmitError> {
        // Under the lock of the order, as clients become members: one that knows that it is connected is one.
        let selection = lock(&self.adapter).select(target);
        let message = match body {
            Body::Message(message) => message.into_shared(),
            // Selected and logged at one moment: whoever is not a member yet finds it in the log.
            Body::Args(args) => {
                let now = selection.iter().next().map(|(_, member)| member.cell.now());
                order.set_now(now.unwrap_or(Time::ZERO));
                match order.stamp(self, target, &args, &how) {
                    Ok(message) => message,
                    Err(error) => {
                        behind.selections.push(selection);
                        return Err(error.into());
                    }
                }
            }
        };
        // Before the next broadcast, so that both leave in this order.
        if let tell @ Some(_) = how.tell.take() {
            *told = self.tell(target, how.volatile, tell, &mut behind.wakes);
        }
        let (cost, done) = (message.len(), Arc::clone(done));
        let mut delivered = Delivered::default();
        delivered.remote = told.remote;
        behind.selected += selection.as_slice().len();
        let work = Work { selection, visited: 0, delivered, message, how, done };
        order.sequencer.push(work, cost).map_err(|Full(_)| FULL)
    }

    /// Locks the order once it has room for another broadcast.
    fn lock_room(&self) -> Result<OrderGuard<'_>, EmitError> {
        loop {
            let order = self.lock_order();
            if order.sequencer.queued() < MAX_QUEUED && order.appending.queued() < MAX_QUEUED {
                return Ok(order);
            }
            drop(order);
            // What waits may be left to a future that is not polled.
            if !self.take_turn() {
                return Err(FULL);
            }
        }
    }

    /// Delivers what waits, if the turn is free. Returns false if it is not.
    fn take_turn(&self) -> bool {
        let turn = lock(&self.order).sequencer.resume();
        turn.map(|work| self.deliver_from(work)).is_some()
    }

    /// Delivers a broadcast, and those that wait behind it.
    ///
    /// After each [`CHUNK`] of sockets it gives up the turn if only tasks wait that can take it.
    pub(super) fn deliver_from(&self, mut work: Work) {
        let mut left = CHUNK;
        loop {
            self.deliver(&mut work, &mut left);
            if work.is_delivered() {
                // A waker is not ours.
                caught(|| work.done.complete(work.delivered));
                let next = lock(&self.order).sequencer.next();
                match next {
                    Some(next) => work = next,
                    None => return,
                }
            } else {
                match self.yield_turn(work) {
                    Some(back) => work = back,
                    None => return,
                }
                left = CHUNK;
            }
        }
    }

    /// Gives up the turn, and wakes the tasks that can take it. Returns `work` if nobody would for one that waits.
    fn yield_turn(&self, work: Work) -> Option<Work> {
        let mut order = lock(&self.order);
        let mut wakers = Vec::new();
        let mut waiting = iter::once(&work).chain(order.sequencer.iter());
        let is_left = waiting.any(|work| !work.done.has_waiter(&mut wakers));
        drop(waiting);
        if is_left {
            return Some(work);
        }
        let cost = work.message.len();
        order.sequencer.suspend(work, cost);
        drop(order);
        for waker in wakers {
            caught(|| waker.wake());
        }
        None
    }

    /// Delivers a broadcast to as many sockets as are `left`.
    fn deliver(&self, work: &mut Work, left: &mut usize) {
        let disconnects = !work.how.volatile && self.options().overflow == Overflow::Disconnect;
        let (entries, skipped) = (work.selection.as_slice(), work.selection.skipped());
        let end = entries.len().min(work.visited + *left);
        let chunk = &entries[work.visited..end];
        let mut delivered = work.delivered;
        for (_, member) in chunk.iter().filter(|(key, _)| Some(*key) != skipped) {
            // One that panics, such as a waker, must not keep the turn.
            match caught(|| member.deliver(work, disconnects)) {
                Some(Ok(())) => delivered.sockets += 1,
                Some(Err(EmitError::Full { .. })) if disconnects => delivered.disconnected += 1,
                Some(Err(EmitError::Disconnected)) => {}
                Some(Err(_)) | None => delivered.skipped += 1,
            }
        }
        let (before, counters) = (work.delivered, &self.counters);
        let passed_by = delivered.skipped - before.skipped;
        let counter =
            if work.how.volatile { &counters.volatile_dropped } else { &counters.skipped };
        counter.add(passed_by);
        counters.overflows.add(delivered.disconnected - before.disconnected);
        *left -= chunk.len();
        (work.visited, work.delivered) = (end, delivered);
    }
}

impl Work {
    fn is_delivered(&self) -> bool {
        self.visited == self.selection.as_slice().len()
    }
}

impl SocketShared {
    /// Delivers a broadcast. `disconnects` says that a client without room is disconnected.
    fn deliver(&self, work: &Work, disconnects: bool) -> Result<(), EmitError> {
        if let Some((_, _, group)) = &work.how.ack {
            group.group().expect();
        }
        let sent = self.send(work);
        let Err(error) = &sent else { return sent };
        if disconnects && matches!(error, EmitError::Full { .. }) {
            self.abort(DisconnectReason::Overflow);
        }
        if let Some((_, _, group)) = &work.how.ack {
            let reason = self.reason.get().copied();
            let error =
                reason.map_or_else(|| AckError::Emit(error.clone()), AckError::Disconnected);
            if let Some(waker) = group.group().complete(self.id.clone(), Err(error)) {
                waker.wake();
            }
        }
        sent
    }

    fn send(&self, work: &Work) -> Result<(), EmitError> {
        let message = work.message.clone();
        let Some((id, timeout, group)) = &work.how.ack else {
            return match work.how {
                How { volatile: true, .. } => self.emit_volatile(message),
                How { direct: true, .. } => self.emit_late(message),
                _ => self.emit_message(message),
            };
        };
        let volatile = work.how.volatile;
        let deadline = self.cell.now() + *timeout;
        let answer = Answer::Many(Arc::clone(group.group()), self.id.clone());
        self.observed(message, |message| {
            self.try_send(|layer, cx| {
                if volatile && !cx.session.is_idle() {
                    return Err(TryEmitError { message, reason: EmitError::NotIdle });
                }
                let (connection, mut wire) = layer.split(cx);
                connection.emit_with_ack(self.slot, message, *id, deadline, answer, &mut wire)
            })
        })
    }
}

/// Sockets that a task delivers to before it lets others run.
const CHUNK: usize = 1024;

/// Bytes of broadcasts of a namespace that wait for others to be delivered. The last may exceed it.
const MAX_QUEUED: usize = 16 << 20;

const FULL: EmitError = EmitError::Full { queued: MAX_QUEUED, max: MAX_QUEUED };
