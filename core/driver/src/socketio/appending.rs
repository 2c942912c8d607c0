//! Events that wait for their place in the log that a cluster shares.
//!
//! A node delivers its own events as it does those of others: in the order of the log, each with the id of its entry as the
//! offset. What is not to be logged waits behind those that are, so that all leave in the order of the calls.

use std::sync::Arc;

use enginewire::Time;
use enginewire_socketio::{
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

/// The append of an event and the number of other nodes, or why it is not logged.
type Appended = Result<(AppendId, usize), TellError>;

/// An event that waits for its place, or for those before it.
pub(super) struct Waiting {
    target: Target,
    body: Body,
    how: How,
    done: Arc<Done>,
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
        if let (true, Some(room)) = (how.direct, target.rooms.first()) {
            self.appending.check_direct(room)?;
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

    /// Lets an event wait for the end of an append, or for those before it.
    pub(super) fn wait(
        &mut self,
        namespace: &str,
        append: Option<AppendId>,
        target: &Target,
        body: Body,
        how: How,
        done: &Arc<Done>,
    ) {
        let cost = message_size(namespace, target, body.size()) + size_of::<Done>();
        let direct = target.rooms.first().filter(|_| how.direct).cloned();
        let waiting = Waiting { target: target.clone(), body, how, done: Arc::clone(done) };
        self.appending.push(append, direct, waiting, cost);
    }
}

impl NamespaceShared {
    /// Returns the cluster, if its nodes share the log from which clients recover.
    pub(super) fn log(&self) -> Option<&Arc<ClusterShared>> {
        self.cluster().filter(|cluster| cluster.has_log() && self.is_recovering())
    }

    /// Notes the entry of an event that was delivered without one.
    pub(super) fn log_late(&self, now: Time, append: AppendId, entry: EntryId) {
        let mut order = self.lock_order();
        let now = order.set_now(now);
        if let Some(recovery) = &mut order.recovery {
            recovery.log_late(now, append.0, entry);
        }
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
            let is_unplaced = told.remote.is_err();
            match self.enqueue(&mut order, &target, body, how, &done, &mut told, &mut behind) {
                Ok(work) => {
                    turn = turn.or(work);
                    if let (true, Some(recovery)) = (is_unplaced, &mut order.recovery) {
                        recovery.note_unplaced(append.0);
                    }
                }
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
