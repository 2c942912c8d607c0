//! Clients that come back to any node of a cluster whose nodes share a log.

mod readers;

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::time::Duration;

pub(super) use self::readers::Readers;
use super::{Hub, SocketKey, namespaces::Namespace};
use crate::{
    ConnectRequest, PrivateId,
    adapter::{Claim, SocketState, Target},
    cluster::{
        LOG_TIMEOUT, LogEntry, LogResponse, ReadLimits, RequestId, Restoration, RestorationStep,
        TellError, message_size,
    },
    payload::Payload,
};

/// State of a socket, as it was taken from the bus.
pub(super) type Taken = Box<SocketState<Payload>>;

/// Reason for which a client that comes back waits.
pub(super) enum Returning {
    /// The bus.
    Bus(Box<Waiting>),
    /// The application, which is asked about it.
    Application(Option<Taken>),
}

pub(super) struct Waiting {
    restoration: Restoration,
    request: ConnectRequest,
    /// The state that was taken.
    state: Option<Taken>,
    /// The request to the log that it waits for. `None`: it waits for the read of another client.
    asked: Option<RequestId>,
}

/// Request to the log, and for whom it is made.
pub(super) enum LogAsker {
    /// A read for this socket.
    Read(Arc<str>, SocketKey),
    /// The state of a socket for this one.
    Take(Arc<str>, PrivateId, SocketKey),
}

impl Hub {
    /// Begins to restore the socket that a client claims. Gives the request back if it claims none.
    pub(super) fn begin_to_return(
        &mut self,
        key: SocketKey,
        request: ConnectRequest,
    ) -> Option<ConnectRequest> {
        let Some(claim) = request.auth.as_ref().and_then(Claim::of).filter(|_| self.has_log())
        else {
            return Some(request);
        };
        // All entries from now on are in the copy of the log.
        let index = self.open_namespace(&request.namespace);
        let restoration = Restoration::new(self.now, claim);
        let waiting = Waiting { restoration, request, state: None, asked: None };
        if let (Some(socket), Some(namespace)) =
            (self.sockets.get_mut(key), self.namespaces.get_mut(index))
        {
            socket.returning = Some(Returning::Bus(Box::new(waiting)));
            namespace.returning.insert(key, None);
        }
        self.return_on(key);
        None
    }

    /// Takes the next steps of a client that comes back.
    fn return_on(&mut self, key: SocketKey) {
        loop {
            let Self { namespaces, sockets, node, now, .. } = self;
            let Some(socket) = sockets.get_mut(key) else { return };
            let (Some(index), Some(node)) = (namespaces.find(&socket.namespace), node) else {
                return;
            };
            let Some(Returning::Bus(waiting)) = &mut socket.returning else { return };
            let Some(namespace) = namespaces.get_mut(index).filter(|_| waiting.asked.is_none())
            else {
                return;
            };
            let Some(recovery) = &namespace.recovery else { return };
            #[cfg(test)]
            {
                node.returns += 1;
            }
            let (limits, max) = (recovery.config(), recovery.config().max_sessions);
            let limits = ReadLimits { max_events: limits.max_events, max_bytes: limits.max_bytes };
            let (name, deadline) = (Arc::from(&*namespace.name), *now + LOG_TIMEOUT);
            let cost = message_size(&name, &Target::all(), 0);
            let is_full = node.logged.len() >= max;
            let cluster = &mut node.cluster;
            let asked = match waiting.restoration.next(*now, recovery) {
                RestorationStep::Read(from, _) if namespace.is_reading => {
                    return namespace.readers.insert(key, from);
                }
                RestorationStep::Read(from, until) if !is_full => {
                    let asked = cluster.read_log(deadline, &name, (from, until), limits, cost);
                    namespace.is_reading = asked.is_ok();
                    asked.map(|request| (request, LogAsker::Read(name, key)))
                }
                RestorationStep::Take if !is_full => {
                    let pid = waiting.restoration.claim().pid;
                    let asked = cluster.take_state(deadline, &name, pid, cost);
                    asked.map(|request| (request, LogAsker::Take(name, pid, key)))
                }
                RestorationStep::Restore => return self.finish_return(key, true),
                RestorationStep::Refuse => return self.finish_return(key, false),
                _ => Err(TellError::Full { queued: node.logged.len(), max }),
            };
            match asked {
                Ok((request, asker)) => {
                    waiting.asked = Some(request);
                    node.logged.insert(request, asker);
                    return;
                }
                Err(_) => waiting.restoration.handle_failure(*now),
            }
        }
    }

    /// Goes on with a client for which all is ready that can be, or that is a new one.
    fn finish_return(&mut self, key: SocketKey, is_ready: bool) {
        let skips = self.recovery.as_ref().is_some_and(|config| config.skip_authorize);
        let Some(socket) = self.sockets.get_mut(key) else { return };
        let Some(Returning::Bus(waiting)) = socket.returning.take() else { return };
        let Waiting { restoration, request, state, .. } = *waiting;
        if is_ready
            && let Some(index) = self.namespaces.find(&request.namespace)
            && let Some(namespace) = self.namespaces.get_mut(index)
        {
            namespace.claim(key, restoration.claim().pid);
        }
        if is_ready && !skips {
            socket.returning = Some(Returning::Application(state));
        } else {
            let is_recovered = is_ready && self.recover(key, state);
            self.leave_return(key);
            if is_recovered {
                return;
            }
        }
        self.ask(key, request);
    }

    /// Ends the return of a client that no longer waits. Returns whether the application does not know of it.
    pub(super) fn cancel_return(&mut self, key: SocketKey) -> bool {
        let Some(socket) = self.sockets.get_mut(key) else { return false };
        let (state, is_hidden) = match socket.returning.take() {
            Some(Returning::Bus(waiting)) => (waiting.state, true),
            Some(Returning::Application(state)) => (state, false),
            None => return false,
        };
        let namespace = Arc::from(&*socket.namespace);
        self.leave_return(key);
        self.give_back(&namespace, state);
        if is_hidden {
            self.sockets.remove(key);
        }
        is_hidden
    }

    /// Ends the return of a client, and shares the state of its socket if that waits still.
    pub(super) fn leave_return(&mut self, key: SocketKey) {
        let namespace = self.sockets.get(key).map(|socket| &socket.namespace);
        let Some(index) = namespace.and_then(|namespace| self.namespaces.find(namespace)) else {
            return;
        };
        let left = self.namespaces.get_mut(index).and_then(|namespace| namespace.leave_return(key));
        if let Some((pid, data)) = left {
            self.share_state(index, &pid, data);
        }
        self.namespaces.settle(index);
    }

    /// Handles the end of a request to the log. Without a response the bus has failed.
    pub(super) fn finish_log_request(&mut self, request: RequestId, response: Option<LogResponse>) {
        let asker = self.node.as_mut().and_then(|node| node.logged.remove(&request));
        match asker {
            Some(LogAsker::Read(namespace, key)) => {
                let entries = response.map(|response| match response {
                    LogResponse::Entries(Some(entries)) => entries,
                    _ => Vec::new(),
                });
                self.finish_read(&namespace, key, entries);
            }
            Some(LogAsker::Take(namespace, pid, key)) => {
                let state = match response {
                    Some(LogResponse::State(state)) => state,
                    // It may have the state: the socket waits on.
                    _ => return self.finish_take(&namespace, key, None),
                };
                if state.is_none() {
                    // Another node has it, or its time is over.
                    self.forget_waiting(&namespace, &pid);
                }
                self.finish_take(&namespace, key, state);
            }
            None => {}
        }
    }

    /// Adds entries to the copy of the log, for which clients wait. `None`: the bus has failed.
    fn finish_read(&mut self, name: &str, key: SocketKey, entries: Option<Vec<LogEntry>>) {
        if let Some(Returning::Bus(waiting)) = self.returning_mut(key) {
            waiting.asked = None;
            waiting.restoration.handle_read();
        }
        let now = self.now;
        let Self { namespaces, encoder, connection, .. } = self;
        let Some(index) = namespaces.find(name) else { return };
        let Some(namespace) = namespaces.get_mut(index) else { return };
        namespace.is_reading = false;
        let ready = match entries {
            Some(entries) => {
                let first_entry =
                    |namespace: &Namespace| namespace.recovery.as_ref()?.first_entry();
                let (before, last) = (first_entry(namespace), entries.last().map(|entry| entry.id));
                namespace.log_before(now, encoder, &connection.parser, entries);
                let first = first_entry(namespace).filter(|first| Some(*first) != before);
                let brought = first.zip(last).map(|(first, last)| first..=last);
                brought.map_or_else(Vec::new, |brought| namespace.readers.found(brought))
            }
            // A bus without responses keeps no client waiting.
            None => namespace.readers.all(),
        };
        self.return_on(key);
        ready.into_iter().for_each(|key| self.return_on(key));
        // Up to the next read: clients before it have no need of one by now.
        while let Some(next) = self.next_reader(name) {
            self.return_on(next);
        }
        if let Some(index) = self.namespaces.find(name) {
            self.namespaces.settle(index);
        }
    }

    /// Takes the next client out of the queue of readers. `None` during a read.
    fn next_reader(&mut self, name: &str) -> Option<SocketKey> {
        let index = self.namespaces.find(name)?;
        let namespace = self.namespaces.get_mut(index).filter(|namespace| !namespace.is_reading)?;
        namespace.readers.next()
    }

    fn finish_take(&mut self, namespace: &Arc<str>, key: SocketKey, state: Option<Taken>) {
        let now = self.now;
        match self.returning_mut(key) {
            Some(Returning::Bus(waiting)) => {
                waiting.asked = None;
                waiting.restoration.handle_state(now, state.as_deref());
                waiting.state = state;
                self.return_on(key);
            }
            // Its client no longer waits.
            _ => self.give_back(namespace, state),
        }
    }

    fn returning_mut(&mut self, key: SocketKey) -> Option<&mut Returning> {
        self.sockets.get_mut(key)?.returning.as_mut()
    }

    fn forget_waiting(&mut self, namespace: &str, pid: &PrivateId) {
        let Some(index) = self.namespaces.find(namespace) else { return };
        if let Some(namespace) = self.namespaces.get_mut(index)
            && let Some(recovery) = &mut namespace.recovery
        {
            recovery.forget(pid);
        }
        self.namespaces.settle(index);
    }

    /// Gives the state of a socket that was taken back to the bus.
    fn give_back(&mut self, namespace: &Arc<str>, state: Option<Taken>) {
        if let Some(state) = state {
            // Without room its client gets a new socket.
            let lifetime = self.recovery.as_ref().map_or(Duration::ZERO, |it| it.window);
            let _ = self.keep_state(namespace, state, lifetime);
        }
    }

    /// Gives the state of a socket that waits to the bus. Without a bus it waits on this node alone.
    ///
    /// A socket reserved for returning clients waits here as well, until their returns have ended.
    pub(super) fn share_state(&mut self, index: usize, pid: &PrivateId, data: Payload) {
        if !self.has_log() {
            return;
        }
        let claimed = self.namespaces.get_mut(index);
        let Some(data) = claimed.and_then(|namespace| namespace.set_aside(pid, data)) else {
            return;
        };
        let mut mark = [0; 8];
        self.entropy.fill(&mut mark);
        let mark = u64::from_le_bytes(mark);
        let Some(namespace) = self.namespaces.get(index) else { return };
        let Some(recovery) = &namespace.recovery else { return };
        let Some(state) = recovery.state(pid, mark) else { return };
        let Some(lifetime) = recovery.remaining(self.now, &state.pid) else { return };
        let SocketState { id, pid, rooms, received, stays, .. } = state;
        let state = SocketState { id, pid, rooms, data, received, stays, mark };
        let name = Arc::from(&*namespace.name);
        if self.keep_state(&name, Box::new(state), lifetime).is_ok()
            && let Some(namespace) = self.namespaces.get_mut(index)
            && let Some(recovery) = &mut namespace.recovery
        {
            recovery.mark(&pid, mark);
        }
    }

    fn keep_state(
        &mut self,
        namespace: &Arc<str>,
        state: Taken,
        lifetime: Duration,
    ) -> Result<(), TellError> {
        let Some(node) = &mut self.node else { return Ok(()) };
        let cost = message_size(namespace, &Target::all(), state.size());
        node.cluster.keep_state(namespace, state, lifetime, cost)
    }
}
