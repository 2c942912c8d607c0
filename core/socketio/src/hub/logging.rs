//! Events that wait for their place in the log of the cluster.
//!
//! A hub delivers its own events as it does those of other nodes: in the order of the log, each with the id of its entry
//! as the offset.

use alloc::sync::Arc;

use enginewire::{Encoded, Text, Time};

use super::{Delivered, Hub, SocketKey, cluster::Node, namespaces::Before};
use crate::{
    Args, EmitError, EncodeError, Event, SocketId,
    adapter::{EntryId, Recovery, Target},
    cluster::{AppendId, Broadcast, LOG_TIMEOUT, LogResponse, RequestId, TellError, message_size},
    parser::Outgoing,
};

/// An event that waits for its place in the log, or for those before it.
pub(super) struct Pending {
    target: Target,
    event: Args,
    manner: Manner,
}

/// How an event is delivered that expects no acknowledgement.
#[derive(Clone, Copy, Default)]
pub(super) struct Manner {
    pub(super) volatile: bool,
    /// It is for one socket alone, which had room.
    pub(super) is_direct: bool,
    pub(super) place: Place,
}

/// Place of an event in the log of its namespace, if it is not volatile.
#[derive(Clone, Copy, Default)]
pub(super) enum Place {
    /// The next one.
    #[default]
    Next,
    /// An entry of the log that the cluster shares.
    Entry(EntryId),
    /// None: clients that miss it do not get it later.
    Never,
}

impl Manner {
    pub(super) const fn volatile(volatile: bool) -> Self {
        Self { volatile, is_direct: false, place: Place::Next }
    }

    pub(super) const fn is_logged(self) -> bool {
        !self.volatile && !matches!(self.place, Place::Never)
    }
}

/// Network inputs of a node whose bus has a log, see [`ClusterConfig::has_log`](crate::cluster::ClusterConfig::has_log).
impl Hub {
    /// Handles that the bus has added a broadcast of this node to the log.
    ///
    /// It is delivered here now. Entries of other nodes come with [`handle_cluster_message`](Self::handle_cluster_message),
    /// all in the order of the log.
    pub fn handle_appended(&mut self, now: Time, append: AppendId, entry: EntryId) {
        self.set_now(now);
        if let Some(node) = &mut self.node {
            node.cluster.handle_appended(append, entry);
            self.drain_cluster();
        }
    }

    /// Handles that the bus will not add a broadcast of this node to the log.
    ///
    /// It is delivered on this node alone, behind those before it.
    pub fn handle_append_failed(&mut self, now: Time, append: AppendId) {
        self.set_now(now);
        if let Some(node) = &mut self.node {
            node.cluster.handle_append_failed(append);
            self.handle_cluster_timeout();
        }
    }

    /// Handles that entries of the log were removed before this node has read them.
    ///
    /// To be called ahead of the entries behind them. Clients that may miss them get new sockets.
    pub fn handle_missed(&mut self, now: Time) {
        self.set_now(now);
        let now = self.now;
        self.namespaces.change_copies(|recovery| recovery.interrupt(now));
    }

    /// Handles that the log has gone back.
    ///
    /// Its entries from now on may have the ids of earlier ones. Clients recover from the entries that follow.
    pub fn handle_log_rewound(&mut self, now: Time) {
        self.set_now(now);
        self.namespaces.change_copies(Recovery::start_anew);
    }

    /// Handles a response of the bus to a request to its log.
    pub fn handle_log_response(&mut self, now: Time, request: RequestId, response: LogResponse) {
        self.set_now(now);
        if let Some(node) = &mut self.node {
            node.cluster.handle_log_response(request, response);
            self.drain_cluster();
        }
    }
}

impl Hub {
    /// Returns whether clients recover from a log that the cluster shares.
    pub(super) fn has_log(&self) -> bool {
        self.recovery.is_some() && self.node.as_deref().is_some_and(Node::has_log)
    }

    /// Publishes an event here and on other nodes, by way of the log unless it is volatile.
    pub(super) fn publish_in_log(
        &mut self,
        namespace: &str,
        target: &Target,
        event: &impl Outgoing,
        volatile: bool,
    ) -> Result<Delivered, EncodeError> {
        let event = self.encoder.args(&self.connection.parser, event)?;
        self.encoder.shrink();
        // A client that connects before the event has its place is to get it.
        let index = self.open_namespace(&Text::from(namespace));
        let delivered = self.publish_args(index, namespace, target, event, volatile);
        self.namespaces.settle(index);
        delivered
    }

    fn publish_args(
        &mut self,
        index: usize,
        namespace: &str,
        target: &Target,
        event: Args,
        volatile: bool,
    ) -> Result<Delivered, EncodeError> {
        let mut manner = Manner::volatile(volatile);
        let appended = match (self.has_others(), volatile) {
            (true, false) => {
                if let Err(full) = self.check_appending(index) {
                    let skipped = self.namespaces.select(namespace, target).len();
                    return Ok(Delivered { skipped, remote: Err(full), ..Delivered::default() });
                }
                Some(self.append(namespace, target, event.clone()))
            }
            (true, true) => None,
            (false, _) => {
                manner.place = Place::Never;
                None
            }
        };
        let (append, remote) = match appended {
            Some(Ok((append, nodes))) => (Some(append), Ok(nodes)),
            Some(Err(error)) => (None, Err(error)),
            None if volatile && self.has_others() => {
                (None, self.tell_broadcast(namespace, target, event.clone(), true))
            }
            None => (None, Ok(0)),
        };
        let pending = Pending { target: target.clone(), event, manner };
        let delivered = self.deliver_in_turn(index, append, pending)?;
        Ok(Delivered { remote, ..delivered })
    }

    /// Publishes an event for one socket by way of the log. Gives it back if the bus does not take it.
    pub(super) fn send_in_log(
        &mut self,
        key: SocketKey,
        event: Args,
        volatile: bool,
    ) -> Result<Result<(), Event>, EmitError> {
        let member = self.member(key)?;
        let Some(id) = self.id(key).map(SocketId::to_room) else {
            return Err(EmitError::Disconnected);
        };
        let Some(namespace) = self.namespaces.get(member.namespace) else {
            return Err(EmitError::Disconnected);
        };
        let (name, is_idle) = (namespace.name.clone(), namespace.appending.is_empty());
        if volatile && is_idle {
            return Ok(Err(event.into()));
        }
        let target = Target::all().to(id.clone());
        let manner = Manner { volatile, is_direct: true, place: Place::Next };
        let mut append = None;
        if !volatile {
            namespace.appending.check_direct(&id)?;
            self.check_room(key)?;
            match self.check_appending(member.namespace) {
                Err(TellError::Full { queued, max }) => {
                    return Err(EmitError::Full { queued, max });
                }
                _ => append = self.append(&name, &target, event.clone()).ok().map(|it| it.0),
            }
            if append.is_none() && is_idle {
                return Ok(Err(event.into()));
            }
        }
        self.queue(member.namespace, append, Pending { target, event, manner });
        Ok(Ok(()))
    }

    /// Delivers what waits for the end of an append, and what waits behind it.
    ///
    /// Without an entry the bus has failed. The event is delivered to the sockets of this node alone.
    pub(super) fn finish_append(
        &mut self,
        append: AppendId,
        namespace: &Arc<str>,
        entry: Option<EntryId>,
    ) {
        let Some(index) = self.namespaces.find(namespace) else { return };
        let place = entry.map_or(Place::Next, Place::Entry);
        let mut outcome = Some(place);
        let mut waits_for = Some(append);
        while let Some(namespace) = self.namespaces.get_mut(index)
            && let Some(mut pending) = namespace.appending.pop(waits_for.take())
        {
            let placed = outcome.take();
            pending.manner.place = placed.unwrap_or(pending.manner.place);
            // It was encoded once, and is encoded again with the offset.
            let delivered = self.deliver_pending(index, pending);
            if let (Some(Place::Next), Ok(_)) = (placed, delivered)
                && let Some(recovery) = self.recovery_of(index)
            {
                recovery.note_unplaced(append.0);
            }
        }
        self.namespaces.settle(index);
    }

    /// Notes the entry of an event that was delivered without one.
    pub(super) fn log_late(&mut self, append: AppendId, namespace: &str, entry: EntryId) {
        let now = self.now;
        let Some(index) = self.namespaces.find(namespace) else { return };
        if let Some(recovery) = self.recovery_of(index) {
            recovery.log_late(now, append.0, entry);
        }
        self.namespaces.settle(index);
    }

    fn recovery_of(&mut self, index: usize) -> Option<&mut Recovery<Before, Encoded>> {
        self.namespaces.get_mut(index)?.recovery.as_mut()
    }

    /// Delivers a broadcast of another node, unless the bus tells it a second time.
    pub(super) fn deliver_logged(
        &mut self,
        index: usize,
        target: Target,
        event: Args,
        volatile: bool,
        entry: Option<EntryId>,
    ) {
        let mut manner = Manner::volatile(volatile);
        if self.has_log() {
            // One without an entry is no part of the log.
            manner.place = entry.map_or(Place::Never, Place::Entry);
            let namespace = self.namespaces.get(index);
            let recovery = namespace.and_then(|namespace| namespace.recovery.as_ref());
            let has_entry = |entry| recovery.is_some_and(|recovery| recovery.has_entry(entry));
            if entry.is_some_and(has_entry) {
                return;
            }
        }
        // One that cannot be encoded is the other node's fault, and reaches nobody.
        let _ = self.deliver_pending(index, Pending { target, event, manner });
        self.namespaces.settle(index);
    }

    /// Delivers an event, or queues it if it waits for its place or for those before it.
    fn deliver_in_turn(
        &mut self,
        index: usize,
        append: Option<AppendId>,
        pending: Pending,
    ) -> Result<Delivered, EncodeError> {
        let namespace = self.namespaces.get(index);
        let is_idle = namespace.is_none_or(|namespace| namespace.appending.is_empty());
        if append.is_none() && is_idle {
            return self.deliver_pending(index, pending);
        }
        self.queue(index, append, pending);
        Ok(Delivered { is_waiting: true, ..Delivered::default() })
    }

    fn queue(&mut self, index: usize, append: Option<AppendId>, pending: Pending) {
        let Some(namespace) = self.namespaces.get_mut(index) else { return };
        let Pending { target, event, manner } = &pending;
        let cost = message_size(&namespace.name, target, event.payload().size());
        let direct = manner.is_direct.then(|| target.rooms.first().cloned()).flatten();
        namespace.appending.push(append, direct, pending, cost);
    }

    fn deliver_pending(
        &mut self,
        index: usize,
        pending: Pending,
    ) -> Result<Delivered, EncodeError> {
        let Pending { target, event, manner } = pending;
        let message = self.encode_args(index, &event, manner)?;
        Ok(self.deliver_message(index, &target, message, manner))
    }

    /// Checks whether another event may wait for its place.
    fn check_appending(&self, index: usize) -> Result<(), TellError> {
        let max = self.node.as_ref().map_or(0, |node| node.max_queued());
        let queued = self.namespaces.get(index).map_or(0, |it| it.appending.queued());
        if queued >= max { Err(TellError::Full { queued, max }) } else { Ok(()) }
    }

    /// Asks the bus to log an event. Returns the number of other nodes, too.
    fn append(
        &mut self,
        namespace: &str,
        target: &Target,
        event: Args,
    ) -> Result<(AppendId, usize), TellError> {
        let deadline = self.now + LOG_TIMEOUT;
        let node = self.node.as_mut().ok_or(TellError::Disconnected)?;
        let cost = message_size(namespace, target, event.payload().size());
        let broadcast = Broadcast::new(target.clone(), event);
        let append = node.cluster.append(deadline, &namespace.into(), broadcast, cost)?;
        Ok((append, node.cluster.nodes()))
    }
}
