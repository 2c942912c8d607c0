//! The log that the nodes of streams share, and the states of sockets beside it.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::ToString,
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use enginewire::Time;

use super::{
    Wire,
    command::Command,
    config::{Format, StreamsConfig},
    event::{WireEvent, WireFault},
    messages::Sender,
    session,
};
use crate::{
    adapter::EntryId,
    cluster::{
        AppendId, Broadcast, LogEntry, LogRequest, LogResponse, Operation, ReadLimits, RequestId,
    },
    id::PrivateId,
};

/// Requests to the log that the broker has not answered, and how far streams were read.
///
/// Numbers of requests grow, and all wait equally long. So the first of each kind expires first; behind a grace period
/// those that follow wait for it.
#[derive(Default)]
pub(super) struct Log {
    takes: BTreeMap<RequestId, (Time, PrivateId)>,
    reads: BTreeMap<RequestId, Reading>,
    /// Responses that wait until this node was told of the entries in them.
    held: BTreeMap<RequestId, Held>,
    /// The same by stream, with the entry that they wait for.
    held_until: BTreeSet<(Arc<str>, EntryId, RequestId)>,
    positions: BTreeMap<Arc<str>, Position>,
}

/// How far a stream was handled.
struct Position {
    /// The last entry that was handled, or behind which it is read.
    last: EntryId,
    /// The stream is read from an older entry on, so that a further one may have the id of one that was lost.
    may_go_back: bool,
}

/// Entries that are being read.
struct Reading {
    expires: Time,
    namespace: Arc<str>,
    stream: Arc<str>,
    from: EntryId,
    until: Option<EntryId>,
    limits: ReadLimits,
    entries: Vec<LogEntry>,
    bytes: usize,
}

struct Held {
    expires: Time,
    stream: Arc<str>,
    last: EntryId,
    entries: Vec<LogEntry>,
}

/// Names and values of the fields of an entry of a stream.
pub type EntryFields<'a> = &'a [(&'a str, &'a [u8])];

/// Field of an entry that this node knows its append by. The reference's nodes pass over it.
pub(super) const APPEND: &str = "append";

impl Log {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let take = self.takes.first_key_value().map(|(_, (expires, _))| *expires);
        let read = self.reads.first_key_value().map(|(_, reading)| reading.expires);
        let held = self.held.first_key_value().map(|(_, held)| held.expires);
        [take, read, held].into_iter().flatten().min()
    }

    /// Waits until then for what the broker has to answer.
    pub(super) fn extend_deadlines(&mut self, until: Time) {
        let takes = self.takes.values_mut().map(|(expires, _)| expires);
        let reads = self.reads.values_mut().map(|reading| &mut reading.expires);
        let held = self.held.values_mut().map(|held| &mut held.expires);
        takes.chain(reads).chain(held).for_each(|expires| *expires = until.max(*expires));
    }

    /// Forgets what the broker does not answer. The owner has its own deadlines.
    pub(super) fn expire(&mut self, now: Time) {
        while self.takes.first_entry().is_some_and(|take| take.get().0 <= now) {
            self.takes.pop_first();
        }
        while self.reads.first_entry().is_some_and(|read| read.get().expires <= now) {
            self.reads.pop_first();
        }
        while self.held.first_entry().is_some_and(|held| held.get().expires <= now)
            && let Some((request, Held { stream, last, .. })) = self.held.pop_first()
        {
            self.held_until.remove(&(stream, last, request));
        }
    }

    pub(super) fn forget_requests(&mut self) {
        let positions = core::mem::take(&mut self.positions);
        *self = Self { positions, ..Self::default() };
    }
}

impl Position {
    const fn at(last: EntryId) -> Self {
        Self { last, may_go_back: false }
    }
}

/// The log that the nodes share. There is one with [`Format::Streams`].
impl Wire {
    /// Returns whether the nodes share a log.
    ///
    /// [`send`](Self::send) then takes [`Operation::Log`] as well.
    pub const fn has_log(&self) -> bool {
        matches!(self.config.format, Format::Streams(_))
    }

    /// Handles that a stream is read from behind an entry on.
    ///
    /// When reading begins it is the last one, or `0-0` if there is none. Without it entries that were read of the log
    /// wait until a later one is read. One that is older than the entries so far says that the broker has lost some.
    /// [`WireEvent::LogRewound`] follows if another gets the id of one of those.
    pub fn handle_position(&mut self, stream: &str, id: EntryId) {
        let position = self.log.positions.entry(stream.into()).or_insert(Position::at(id));
        position.may_go_back = id < position.last;
        position.last = position.last.max(id);
        self.release(stream);
    }

    /// Handles the answer to a [`Command::Take`]: the value, if there was one.
    pub fn handle_taken(&mut self, request: RequestId, value: Option<&[u8]>) {
        let Some((_, pid)) = self.log.takes.remove(&request) else { return };
        let max = self.config.max_message;
        let state = value.map(|value| match value.len() {
            size if size > max => Err(WireFault::TooLarge { size, max }),
            _ => session::read(value, &pid),
        });
        let state = match state.transpose() {
            Ok(state) => state.map(Box::new),
            Err(fault) => {
                // Its name is a secret.
                self.publisher_fault("", fault);
                None
            }
        };
        let response = LogResponse::State(state);
        self.events.push_back(WireEvent::Logged { request, response });
    }

    /// Handles the answer to a [`Command::Read`].
    ///
    /// The entries are in order, each with its id and its fields. Entries that cannot be read are left out. `is_complete`
    /// says whether these are all that the command has selected. If not, those behind them are read next. Without an
    /// entry the log cannot be read, and the response is that there is nothing.
    pub fn handle_read(
        &mut self,
        request: RequestId,
        entries: &[(&str, EntryFields<'_>)],
        is_complete: bool,
    ) {
        let Some(mut reading) = self.log.reads.remove(&request) else { return };
        let mut last = None;
        for (id, fields) in entries {
            let Ok(id) = id.parse::<EntryId>() else { continue };
            last = Some(id);
            let is_first = reading.entries.is_empty();
            let broadcast = self.read_logged(&reading.namespace, fields);
            match broadcast {
                Some(Broadcast { target, event, .. }) if !is_first || id == reading.from => {
                    reading.bytes = reading.bytes.saturating_add(event.payload().size());
                    reading.entries.push(LogEntry { id, target, event });
                }
                // The one that was asked for is not there, or no event.
                _ if is_first => return self.respond_to_read(request, None),
                _ => {}
            }
            let ReadLimits { max_events, max_bytes } = reading.limits;
            if reading.entries.len() > max_events || reading.bytes > max_bytes {
                return self.respond_to_read(request, None);
            }
        }
        match last {
            Some(last) if !is_complete || entries.len() >= PAGE => {
                let next = EntryId { sequence: last.sequence.saturating_add(1), ..last };
                self.read_on(request, reading, next);
            }
            // Responding with what there is would say that nothing is behind it.
            None if !is_complete => self.respond_to_read(request, None),
            _ if reading.entries.is_empty() => self.respond_to_read(request, None),
            last => self.hold(request, reading, last),
        }
    }

    pub(super) fn send_log(&mut self, now: Time, namespace: &Arc<str>, request: LogRequest) {
        let Format::Streams(streams) = &self.config.format else {
            return self.refuse(now, namespace, request);
        };
        let expires = now + self.config.request_timeout;
        match request {
            LogRequest::Append { append, broadcast } => self.append(namespace, append, broadcast),
            LogRequest::Keep { state, lifetime } => match session::write(&state) {
                Ok(value) => {
                    let (key, lifetime) = (streams.key(&state.pid), lifetime.min(MAX_LIFETIME));
                    let lifetime = lifetime.max(Duration::from_millis(1));
                    self.commands.push_back(Command::Store { key, value, lifetime });
                }
                Err(error) => self.payload_fault(namespace, error),
            },
            LogRequest::Take { pid, request } => {
                self.log.takes.insert(request, (expires, pid));
                self.commands.push_back(Command::Take { request, key: streams.key(&pid) });
            }
            LogRequest::Read { from, until, limits, request } => {
                let (namespace, stream) = (Arc::clone(namespace), streams.stream(namespace));
                let (entries, bytes) = (Vec::new(), 0);
                let reading =
                    Reading { expires, namespace, stream, from, until, limits, entries, bytes };
                self.read_on(request, reading, from);
            }
        }
    }

    /// Handles an entry of this node.
    pub(super) fn handle_own_entry(&mut self, id: EntryId, append: Option<&[u8]>) {
        let append = append.and_then(|append| core::str::from_utf8(append).ok()?.parse().ok());
        if let Some(append) = append {
            self.events.push_back(WireEvent::Appended { append: AppendId(append), entry: id });
        }
    }

    /// Tells that the log has gone back, if this entry says so.
    pub(super) fn rewind(&mut self, stream: &str, id: EntryId) {
        if let Some(position) = self.log.positions.get_mut(stream)
            && position.may_go_back
            && id <= position.last
        {
            *position = Position::at(id);
            self.events.push_back(WireEvent::LogRewound);
        }
    }

    /// Notes that all of a stream up to an entry was handled.
    pub(super) fn passed(&mut self, stream: &str, id: EntryId) {
        match self.log.positions.get_mut(stream) {
            Some(position) => position.last = position.last.max(id),
            None => drop(self.log.positions.insert(stream.into(), Position::at(id))),
        }
        if !self.log.held.is_empty() {
            self.release(stream);
        }
    }

    fn append(&mut self, namespace: &Arc<str>, append: AppendId, broadcast: Broadcast) {
        let failed = WireEvent::AppendFailed(append);
        let Some((name, of)) = self.namespaces.get(namespace) else {
            // This node is closed.
            return self.events.push_back(failed);
        };
        let sender = Sender { uid: &of.uid, namespace: name };
        match self.config.operation(&sender, &Operation::Broadcast(broadcast), None) {
            Ok(mut command) => {
                if let Command::Append { fields, append: of, .. } = &mut command {
                    let number = itoa::Buffer::new().format(append.0).as_bytes().to_vec();
                    // The data stay the last.
                    fields.insert(fields.len() - 1, (APPEND, number.into()));
                    *of = Some(append);
                }
                self.commands.push_back(command);
            }
            Err(error) => {
                self.payload_fault(namespace, error);
                self.events.push_back(failed);
            }
        }
    }

    /// Responds to a request for a log that is not there.
    fn refuse(&mut self, now: Time, namespace: &Arc<str>, request: LogRequest) {
        let (request, response) = match request {
            LogRequest::Append { append, broadcast } => {
                self.events.push_back(WireEvent::AppendFailed(append));
                return self.ask(now, namespace, &Operation::Broadcast(broadcast));
            }
            LogRequest::Keep { .. } => return,
            LogRequest::Take { request, .. } => (request, LogResponse::State(None)),
            LogRequest::Read { request, .. } => (request, LogResponse::Entries(None)),
        };
        self.events.push_back(WireEvent::Logged { request, response });
    }

    /// Reads a page of entries, from one on.
    fn read_on(&mut self, request: RequestId, reading: Reading, from: EntryId) {
        let until = reading.until.map(|until| format!("({until}"));
        let command = Command::Read {
            request,
            stream: Arc::clone(&reading.stream),
            from: from.to_string(),
            until: until.unwrap_or_else(|| "+".into()),
            count: PAGE,
        };
        self.commands.push_back(command);
        self.log.reads.insert(request, reading);
    }

    /// Responds when all entries up to the last one were handled as such.
    fn hold(&mut self, request: RequestId, reading: Reading, last: Option<EntryId>) {
        let Reading { expires, stream, entries, .. } = reading;
        let last = last.or_else(|| entries.last().map(|entry| entry.id));
        let Some(last) = last else { return self.respond_to_read(request, None) };
        self.log.held_until.insert((Arc::clone(&stream), last, request));
        let held = Held { expires, stream: Arc::clone(&stream), last, entries };
        self.log.held.insert(request, held);
        self.release(&stream);
    }

    fn release(&mut self, stream: &str) {
        let Some((stream, position)) = self.log.positions.get_key_value(stream) else { return };
        let first = (Arc::clone(stream), EntryId { time: 0, sequence: 0 }, RequestId(0));
        let last = (Arc::clone(stream), position.last, RequestId(u64::MAX));
        let due: Vec<_> = self.log.held_until.range(first..=last).cloned().collect();
        for due in due {
            self.log.held_until.remove(&due);
            let (.., request) = due;
            if let Some(Held { entries, .. }) = self.log.held.remove(&request) {
                self.respond_to_read(request, Some(entries));
            }
        }
    }

    fn respond_to_read(&mut self, request: RequestId, entries: Option<Vec<LogEntry>>) {
        let response = LogResponse::Entries(entries);
        self.events.push_back(WireEvent::Logged { request, response });
    }
}

impl StreamsConfig {
    /// The key of the state of a socket.
    fn key(&self, pid: &PrivateId) -> Arc<str> {
        [self.sessions.as_str(), pid.as_str()].concat().into()
    }
}

/// Entries of a stream that are read at a time, as the reference reads them.
const PAGE: usize = 100;

/// Longest time that a state is kept. Redis refuses times that overflow with its clock.
const MAX_LIFETIME: Duration = Duration::from_secs(i32::MAX as u64);
