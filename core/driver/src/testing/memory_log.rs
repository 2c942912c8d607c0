//! The log of a network in memory, and the states of sockets beside it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use enginewire_socketio::{
    PrivateId,
    adapter::{EntryId, SocketState},
    cluster::{
        AppendId, Broadcast, LogEntry, LogRequest, LogResponse, NodeId, Operation, ReadLimits,
    },
    payload::Payload,
};

use crate::socketio::BusEvent;

/// Entries that were added, numbered from 1, and states of sockets.
#[derive(Default)]
pub(super) struct MemoryLog {
    entries: VecDeque<Entry>,
    last: u64,
    states: HashMap<PrivateId, Box<SocketState<Payload>>>,
}

struct Entry {
    number: u64,
    from: NodeId,
    append: AppendId,
    namespace: Arc<str>,
    broadcast: Broadcast,
}

impl MemoryLog {
    /// Returns the number of the last entry.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn states(&self) -> usize {
        self.states.len()
    }

    pub(super) fn is_kept(&self, pid: &str) -> bool {
        self.states.keys().any(|kept| kept.as_str() == pid)
    }

    pub(super) fn forget_states(&mut self) -> usize {
        std::mem::take(&mut self.states).len()
    }

    pub(super) fn trim(&mut self, entries: usize) {
        self.entries.drain(..self.entries.len().saturating_sub(entries));
    }

    /// Adds an entry. Returns its number.
    pub(super) fn append(
        &mut self,
        from: NodeId,
        namespace: &Arc<str>,
        append: AppendId,
        broadcast: Broadcast,
    ) -> u64 {
        self.last += 1;
        let (number, namespace) = (self.last, Arc::clone(namespace));
        self.entries.push_back(Entry { number, from, append, namespace, broadcast });
        number
    }

    /// Returns the entry with this number, as a node is told of it.
    pub(super) fn event(&self, node: NodeId, number: u64) -> Option<BusEvent> {
        self.entries.iter().rfind(|entry| entry.number == number).map(|entry| entry.event(node))
    }

    /// Returns the entries behind the number `read`, as a node is told of them.
    pub(super) fn events(&self, node: NodeId, read: u64) -> Vec<BusEvent> {
        let missed = self.entries.iter().filter(|entry| entry.number > read);
        missed.map(|entry| entry.event(node)).collect()
    }

    /// Returns the number of the entry that a node is told of.
    pub(super) const fn number(event: &BusEvent) -> Option<u64> {
        match event {
            BusEvent::Appended { entry, .. } => Some(entry.sequence),
            BusEvent::Message { operation: Operation::Broadcast(broadcast), .. } => {
                match &broadcast.offset {
                    Some(entry) => Some(entry.sequence),
                    None => None,
                }
            }
            _ => None,
        }
    }

    /// Carries out a request that adds no entry.
    pub(super) fn respond(&mut self, namespace: &str, request: LogRequest) -> Option<BusEvent> {
        match request {
            LogRequest::Keep { state, .. } => {
                self.states.insert(state.pid, state);
                None
            }
            LogRequest::Take { pid, request } => {
                let response = LogResponse::State(self.states.remove(&pid));
                Some(BusEvent::Logged { request, response })
            }
            LogRequest::Read { from, until, limits, request } => {
                let response = LogResponse::Entries(self.read(namespace, from, until, limits));
                Some(BusEvent::Logged { request, response })
            }
            _ => None,
        }
    }

    fn read(
        &self,
        namespace: &str,
        from: EntryId,
        until: Option<EntryId>,
        limits: ReadLimits,
    ) -> Option<Vec<LogEntry>> {
        let of_namespace = self.entries.iter().filter(|entry| *entry.namespace == *namespace);
        let entries = of_namespace.map(Entry::to_entry).skip_while(|entry| entry.id < from);
        let entries = entries.take_while(|entry| until.is_none_or(|until| entry.id < until));
        let entries: Vec<_> = entries.collect();
        let bytes = entries.iter().map(|entry| entry.event.payload().size()).sum::<usize>();
        let fits = entries.len() <= limits.max_events && bytes <= limits.max_bytes;
        let is_there = entries.first().is_some_and(|entry| entry.id == from);
        (is_there && fits).then_some(entries)
    }
}

impl Entry {
    const fn id(&self) -> EntryId {
        EntryId { time: 0, sequence: self.number }
    }

    fn to_entry(&self) -> LogEntry {
        let Broadcast { target, event, .. } = &self.broadcast;
        LogEntry { id: self.id(), target: target.clone(), event: event.clone() }
    }

    fn event(&self, node: NodeId) -> BusEvent {
        if node == self.from {
            return BusEvent::Appended { append: self.append, entry: self.id() };
        }
        let broadcast = Broadcast { offset: Some(self.id()), ..self.broadcast.clone() };
        BusEvent::Message {
            from: self.from,
            namespace: Arc::clone(&self.namespace),
            operation: Operation::Broadcast(broadcast),
        }
    }
}
