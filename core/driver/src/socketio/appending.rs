//! Events that wait for their place in the log that a cluster shares.
//!
//! A node delivers its own events as it does those of others: in the order of the log, each with the id of its entry as the
//! offset. What is not to be logged waits behind those that are, so that all leave in the order of the calls.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use enginewire::Time;
use enginewire_socketio::{
    Room,
    adapter::{EntryId, Target},
    cluster::{AppendId, TellError, message_size},
};

use super::{
    Delivered, EmitError,
    cluster::{ClusterShared, Tell, Told},
    namespace::NamespaceShared,
    order::{Behind, Done, How, Logging, Order},
    outgoing::Body,
};
use crate::wakes::Wakes;

/// Events that wait for their place in the log, in the order of the calls.
#[derive(Default)]
pub(super) struct Appending {
    events: VecDeque<Waiting>,
    /// The sum of their costs.
    queued: usize,
    /// The costs of those for one socket, by its own room.
    direct: HashMap<Room, usize>,
}

/// The append of an event and the number of other nodes, or why it is not logged.
type Appended = Result<(AppendId, usize), TellError>;

/// An event that waits.
struct Waiting {
    /// The append whose end it waits for. `None`: it waits for those before it.
    append: Option<AppendId>,
    target: Target,
    body: Body,
    how: How,
    done: Arc<Done>,
    cost: usize,
}

impl Appending {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the bytes that the events take, about.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    /// Returns an error if too much waits for a socket. It had room for what waits, but not for all of that together.
    fn check_direct(&self, target: &Target) -> Result<(), EmitError> {
        let waiting = target.rooms.first().and_then(|room| self.direct.get(room));
        match waiting {
            Some(&queued) if queued >= MAX_DIRECT => {
                Err(EmitError::Full { queued, max: MAX_DIRECT })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn push(
        &mut self,
        namespace: &str,
        append: Option<AppendId>,
        target: &Target,
        body: Body,
        how: How,
        done: &Arc<Done>,
    ) {
        let cost = message_size(namespace, target, body.size()) + WAITING;
        self.queued += cost;
        if let (true, Some(room)) = (how.direct, target.rooms.first()) {
            *self.direct.entry(room.clone()).or_default() += cost;
        }
        let (target, done) = (target.clone(), Arc::clone(done));
        self.events.push_back(Waiting { append, target, body, how, done, cost });
    }

    /// Takes the next event that waits for `append`, or for nothing.
    fn pop(&mut self, append: Option<AppendId>) -> Option<Waiting> {
        let waiting = match self.events.front() {
            Some(waiting) if waiting.append == append => self.events.pop_front()?,
            _ => return None,
        };
        self.queued -= waiting.cost;
        if let (true, Some(room)) = (waiting.how.direct, waiting.target.rooms.first())
            && let Some(queued) = self.direct.get_mut(room)
        {
            *queued -= waiting.cost;
            if *queued == 0 {
                self.direct.remove(room);
            }
        }
        if self.events.is_empty() {
            // Storage that a burst took is freed.
            *self = Self::default();
        }
        Some(waiting)
    }
}

impl Order {
    /// Asks the cluster to log an event. `None` if it is not to be logged.
    ///
    /// Returns the number of other nodes, too.
    ///
    /// # Errors
    ///
    /// Too much waits for one socket.
    pub(super) fn append(
        &mut self,
        namespace: &Arc<NamespaceShared>,
        log: &Arc<ClusterShared>,
        target: &Target,
        body: &Body,
        how: &mut How,
        wakes: &mut Wakes,
    ) -> Result<Option<Appended>, EmitError> {
        let Body::Args(args) = body else { return Ok(None) };
        if how.volatile || !matches!(how.logging, Logging::Next) {
            return Ok(None);
        }
        if how.direct {
            self.appending.check_direct(target)?;
        }
        let tell = how.tell.take().map(|Tell { event, .. }| event);
        let Some(event) = tell.or_else(|| how.direct.then(|| args.clone())) else {
            // For this node alone, as the application has said.
            how.logging = Logging::Never;
            return Ok(None);
        };
        let appended = log.append(namespace, target, event, wakes);
        if appended.is_err() {
            // Counted alone: a subscriber of traces must not be called under this lock.
            namespace.counters.cluster_dropped.add(1);
        }
        Ok(Some(appended))
    }
}

impl NamespaceShared {
    /// Returns the cluster, if its nodes share the log from which clients recover.
    pub(super) fn log(&self) -> Option<&Arc<ClusterShared>> {
        self.cluster().filter(|cluster| cluster.has_log() && self.is_recovering())
    }

    /// Delivers an event whose place in the log is known, and what waits behind it.
    ///
    /// Without an entry the bus has failed. It is delivered to the sockets of this node alone. Returns the number of
    /// sockets that are selected.
    pub(super) fn handle_appended(
        &self,
        now: Time,
        append: AppendId,
        entry: Option<EntryId>,
    ) -> usize {
        let mut behind = Behind::default();
        let mut failed = Vec::new();
        let mut turn = None;
        let mut order = self.lock_order();
        order.set_now(now);
        let mut outcome = Some(entry);
        let mut next = order.appending.pop(Some(append));
        while let Some(Waiting { target, body, mut how, done, .. }) = next {
            let mut told = Told::default();
            match outcome.take() {
                Some(Some(entry)) => how.logging = Logging::Entry(entry),
                Some(None) => {
                    self.counters.cluster_dropped.add(1);
                    told.remote = Err(TellError::Disconnected);
                }
                None => {}
            }
            match self.enqueue(&mut order, &target, body, how, &done, &mut told, &mut behind) {
                Ok(work) => turn = turn.or(work),
                Err(_) => failed.push(done),
            }
            next = order.appending.pop(None);
        }
        drop(order);
        let selected = behind.selected;
        drop(behind);
        // Their arguments were encoded once, and are encoded again with the offset.
        self.counters.cluster_dropped.add(failed.len());
        failed.into_iter().for_each(|done| done.complete(Delivered::default()));
        if let Some(work) = turn {
            self.deliver_from(work);
        }
        selected
    }
}

/// Bytes for one socket that wait for the log, from which on further events are refused. The last may exceed it.
const MAX_DIRECT: usize = 1 << 20;

/// Bytes that an event takes here besides its message.
const WAITING: usize = size_of::<Waiting>() + size_of::<Done>();

#[cfg(test)]
mod tests {
    use enginewire_socketio::Args;

    use super::*;

    /// Lets the smallest event wait for a socket.
    fn push(appending: &mut Appending, append: u64) {
        let how = How { direct: true, ..How::default() };
        let body = Body::Args(Args::from_values(Vec::new()));
        let target = Target::all().to("socket");
        appending.push("/", Some(AppendId(append)), &target, body, how, &Arc::default());
    }

    #[test]
    fn events_count_with_all_that_they_take() {
        let mut appending = Appending::default();
        let target = Target::all().to("socket");
        let mut events = 0;
        while appending.check_direct(&target).is_ok() {
            push(&mut appending, events);
            events += 1;
            assert!(appending.events.len() * size_of::<Waiting>() <= appending.queued());
            assert!(events < 10_000, "{} bytes", appending.queued());
        }
        assert!(appending.check_direct(&Target::all().to("other")).is_ok());
        assert!((0..events).all(|append| appending.pop(Some(AppendId(append))).is_some()));
        assert!(appending.is_empty() && appending.queued() == 0);
        assert!(appending.check_direct(&target).is_ok());
    }
}
