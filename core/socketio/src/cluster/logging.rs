//! Appends and requests to the log of the bus that were not responded to.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use enginewire::Time;

use super::{
    AppendId, Broadcast, Cluster, ClusterEvent, LogRequest, LogResponse, Operation, ReadLimits,
    RequestId, TellError,
};
use crate::{
    adapter::{EntryId, SocketState},
    id::PrivateId,
};

/// Appends and requests to the log, in the order in which they were made.
pub(super) struct Logging {
    appends: BTreeMap<AppendId, (Time, Arc<str>)>,
    /// The same by their namespaces. No queue is empty. Each append ends as the first of its queue.
    by_namespace: BTreeMap<Arc<str>, VecDeque<AppendId>>,
    last_append: u64,
    requests: BTreeMap<RequestId, Time>,
    /// Appends that have ended without an entry, and may have one.
    ended: BTreeMap<AppendId, Arc<str>>,
}

impl Logging {
    pub(super) const fn new() -> Self {
        Self {
            appends: BTreeMap::new(),
            by_namespace: BTreeMap::new(),
            last_append: 0,
            requests: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Returns whether no append waits, in either order.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.appends.is_empty() && self.by_namespace.is_empty()
    }

    /// Returns the oldest append of a namespace.
    fn first_of(&self, namespace: &str) -> Option<AppendId> {
        self.by_namespace.get(namespace)?.front().copied()
    }

    /// Removes an append, which is the oldest of its namespace.
    fn remove(&mut self, append: AppendId) -> Option<(Time, Arc<str>)> {
        let (deadline, namespace) = self.appends.remove(&append)?;
        if let Some(queue) = self.by_namespace.get_mut(&namespace) {
            debug_assert_eq!(queue.front(), Some(&append), "older ones have ended");
            queue.pop_front();
            if queue.is_empty() {
                self.by_namespace.remove(&namespace);
            }
        }
        Some((deadline, namespace))
    }

    pub(super) fn cancel(&mut self, request: RequestId) {
        self.requests.remove(&request);
    }

    /// Returns the deadline of the oldest append and of the oldest request.
    ///
    /// Deadlines behind them are later, unless their owner gives shorter times. Behind a grace period they wait for the
    /// first.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let append = self.appends.first_key_value().map(|(_, (deadline, _))| *deadline);
        let request = self.requests.first_key_value().map(|(_, deadline)| *deadline);
        append.into_iter().chain(request).min()
    }

    pub(super) fn extend_deadlines(&mut self, until: Time) {
        let appends = self.appends.values_mut().map(|(deadline, _)| deadline);
        // But for appends that have failed.
        let waiting = appends.filter(|deadline| **deadline > Time::ZERO);
        for deadline in waiting.chain(self.requests.values_mut()) {
            *deadline = until.max(*deadline);
        }
    }
}

/// The log of the bus. To be used with one that has a log.
impl<E, P> Cluster<E, P> {
    /// Adds a broadcast to the log, from where the other nodes get it.
    ///
    /// [`ClusterEvent::Appended`] follows, in the order of the log, or at the deadline.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn append(
        &mut self,
        deadline: Time,
        namespace: &Arc<str>,
        broadcast: Broadcast<E>,
        cost: usize,
    ) -> Result<AppendId, TellError> {
        let append = AppendId(self.logging.last_append + 1);
        let request = LogRequest::Append { append, broadcast };
        self.push(None, namespace, Operation::Log(request), cost)?;
        self.logging.last_append = append.0;
        self.logging.appends.insert(append, (deadline, Arc::clone(namespace)));
        let queue = self.logging.by_namespace.entry(Arc::clone(namespace)).or_default();
        queue.push_back(append);
        Ok(append)
    }

    /// Gives the state of a socket to the bus.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn keep_state(
        &mut self,
        namespace: &Arc<str>,
        state: Box<SocketState<P>>,
        lifetime: Duration,
        cost: usize,
    ) -> Result<(), TellError> {
        let request = LogRequest::Keep { state, lifetime };
        self.push(None, namespace, Operation::Log(request), cost)
    }

    /// Takes the state of a socket from the bus. [`ClusterEvent::Logged`] follows.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn take_state(
        &mut self,
        deadline: Time,
        namespace: &Arc<str>,
        pid: PrivateId,
        cost: usize,
    ) -> Result<RequestId, TellError> {
        let request = |request| LogRequest::Take { pid, request };
        self.request_of_log(deadline, namespace, request, cost)
    }

    /// Reads entries of the log. [`ClusterEvent::Logged`] follows.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn read_log(
        &mut self,
        deadline: Time,
        namespace: &Arc<str>,
        (from, until): (EntryId, Option<EntryId>),
        limits: ReadLimits,
        cost: usize,
    ) -> Result<RequestId, TellError> {
        let request = |request| LogRequest::Read { from, until, limits, request };
        self.request_of_log(deadline, namespace, request, cost)
    }

    /// Handles that the bus has added a broadcast to the log.
    ///
    /// If it was ended before, [`ClusterEvent::AppendedLate`] follows. Those of the same namespace that were asked for before it have failed: the
    /// log has passed them.
    pub fn handle_appended(&mut self, append: AppendId, entry: EntryId) {
        let Some((_, namespace)) = self.logging.appends.get(&append) else {
            let namespace = self.logging.ended.remove(&append);
            self.events.extend(namespace.map(|namespace| ClusterEvent::AppendedLate {
                append,
                namespace,
                entry,
            }));
            return;
        };
        let namespace = Arc::clone(namespace);
        while let Some(passed) = self.logging.first_of(&namespace).filter(|&first| first < append) {
            self.end_append(passed, None);
        }
        self.end_append(append, Some(entry));
    }

    /// Handles that the bus has not added a broadcast to the log, and will not.
    ///
    /// [`ClusterEvent::Appended`] without an entry follows, behind those that were asked for before it.
    /// [`handle_timeout`](Self::handle_timeout) tells it when they have ended.
    pub fn handle_append_failed(&mut self, append: AppendId) {
        if let Some((deadline, _)) = self.logging.appends.get_mut(&append) {
            *deadline = Time::ZERO;
        }
    }

    /// Handles a response of the bus to a request to its log.
    pub fn handle_log_response(&mut self, request: RequestId, response: LogResponse<E, P>) {
        if self.logging.requests.remove(&request).is_some() {
            self.events.push_back(ClusterEvent::Logged(request, Some(response)));
        }
    }

    /// Ends everything that waits for the log.
    pub(super) fn end_logging(&mut self) {
        self.expire_logging(Time::MAX);
    }

    pub(super) fn expire_logging(&mut self, now: Time) {
        let appends = self.logging.appends.iter();
        let due = appends.take_while(|(_, (deadline, _))| *deadline <= now).map(|(&id, _)| id);
        for append in due.collect::<Vec<_>>() {
            self.end_append(append, None);
        }
        let due = self.logging.requests.iter().take_while(|(_, deadline)| **deadline <= now);
        for request in due.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.logging.requests.remove(&request);
            self.events.push_back(ClusterEvent::Logged(request, None));
        }
    }

    fn end_append(&mut self, append: AppendId, entry: Option<EntryId>) {
        if let Some((deadline, namespace)) = self.logging.remove(append) {
            // The log never has one that it has refused.
            if entry.is_none() && deadline > Time::ZERO {
                self.logging.ended.insert(append, Arc::clone(&namespace));
                if self.logging.ended.len() > MAX_ENDED {
                    self.logging.ended.pop_first();
                }
            }
            self.events.push_back(ClusterEvent::Appended { append, namespace, entry });
        }
    }

    fn request_of_log(
        &mut self,
        deadline: Time,
        namespace: &Arc<str>,
        request: impl FnOnce(RequestId) -> LogRequest<E, P>,
        cost: usize,
    ) -> Result<RequestId, TellError> {
        let id = RequestId(self.last_request + 1);
        self.push(None, namespace, Operation::Log(request(id)), cost)?;
        self.last_request = id.0;
        self.logging.requests.insert(id, deadline);
        Ok(id)
    }
}

/// Limit on ended appends whose entries may come late. The oldest are forgotten.
///
/// A lost bus ends as many in one namespace at most: 16 MiB wait there, of 128 bytes or more each.
const MAX_ENDED: usize = (16 << 20) / 128;
