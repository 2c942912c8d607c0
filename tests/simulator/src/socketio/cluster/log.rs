//! The log that the nodes share: which events wait for their place in it, and when each is delivered.

use std::{collections::VecDeque, time::Duration};

use enginewire::Time;
use enginewire_socketio::{
    Payload,
    adapter::{EntryId, Target},
    cluster::{
        AppendId, Broadcast, LOG_TIMEOUT, LogEntry, LogRequest, LogResponse, Operation, RequestId,
        TellError,
    },
    hub::{Delivered, SocketKey},
};

use super::{
    books::Way,
    world::{ClusterSabotage, ClusterWorld, NAMESPACES, Node},
};

/// Events of one node that wait for their places, in the order of the calls.
#[derive(Default)]
pub(super) struct Pending {
    /// By namespace.
    events: [VecDeque<Event>; NAMESPACES.len()],
    appends: u64,
}

struct Event {
    /// The append that it waits for, and its deadline. `None`: it waits for those before it.
    append: Option<(AppendId, Time)>,
    number: u64,
    place: Place,
}

/// Place of an event in the log, as a node delivers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// None: whoever misses it does not get it later.
    Nowhere,
    Entry(EntryId),
    /// In the log of the node that has delivered it.
    Own,
}

impl Pending {
    /// A node has published an event. Returns whether it waits.
    fn push(
        &mut self,
        now: Time,
        namespace: usize,
        number: u64,
        is_appended: bool,
        place: Place,
    ) -> bool {
        let append = is_appended.then(|| {
            self.appends += 1;
            (AppendId(self.appends), now + LOG_TIMEOUT)
        });
        let waits = is_appended || !self.events[namespace].is_empty();
        if waits {
            self.events[namespace].push_back(Event { append, number, place });
        }
        waits
    }

    /// The bus tells the place of an event. Returns what is delivered now, each with its place.
    fn appended(&mut self, append: AppendId, entry: EntryId) -> Vec<(u64, Place)> {
        let mut delivered = Vec::new();
        for events in &mut self.events {
            let is_it = |event: &Event| event.append.is_some_and(|(of, _)| of == append);
            let Some(at) = events.iter().position(is_it) else { continue };
            // The log has passed those before it.
            for event in events.drain(..=at) {
                let place = match event.append {
                    Some((of, _)) if of == append => Place::Entry(entry),
                    _ => event.place,
                };
                delivered.push((event.number, place));
            }
            delivered.extend(released(events));
        }
        delivered
    }

    /// Appends end without a place whose deadline has passed.
    fn expire(&mut self, now: Time) -> Vec<(u64, Place)> {
        let mut delivered = Vec::new();
        for events in &mut self.events {
            let is_due = |event: &Event| event.append.is_none_or(|(_, deadline)| deadline <= now);
            while events.front().is_some_and(is_due) {
                delivered.extend(events.pop_front().map(|event| (event.number, event.place)));
            }
        }
        delivered
    }
}

/// Events that do not wait for places of their own, up to the first that does.
fn released(events: &mut VecDeque<Event>) -> Vec<(u64, Place)> {
    let count = events.iter().take_while(|event| event.append.is_none()).count();
    events.drain(..count).map(|event| (event.number, event.place)).collect()
}

/// Events that go by way of the log.
impl ClusterWorld {
    /// A node has published an event, and says what has become of it.
    pub(super) fn published(
        &mut self,
        at: usize,
        (namespace, number): (usize, u64),
        (is_volatile, is_local): (bool, bool),
        delivered: Delivered,
    ) {
        assert!(!matches!(delivered.remote, Err(TellError::Full { .. })), "the bus has room");
        let is_logged = !is_volatile && !is_local;
        let place = if is_logged { Place::Own } else { Place::Nowhere };
        let is_appended = is_logged && delivered.remote.is_ok();
        let waits = self.nodes[at].pending.push(self.now, namespace, number, is_appended, place);
        assert_eq!(waits, delivered.is_waiting, "event {number} waits for its place");
        if !waits {
            self.books.deliver_at(self.nodes[at].life, number, place);
        }
        if self.sabotage == Some(ClusterSabotage::Early) && is_appended {
            let (append, entry) =
                (AppendId(self.nodes[at].pending.appends), self.broker.next_entry());
            if let Some(hub) = &mut self.nodes[at].hub {
                hub.handle_appended(self.now, append, entry);
            }
        }
    }

    /// A node is told the time before its application does something: appends have their deadlines from then on.
    pub(super) fn wake(&mut self, at: usize) {
        let now = self.now;
        if let Some(hub) = self.nodes[at].hub.as_mut().filter(|_| self.has_log) {
            hub.handle_timeout(now);
            self.end_appends(at, now);
            self.settle_node(at);
        }
    }

    /// Sends an event to one socket of a node.
    pub(super) fn send_to_one(&mut self, at: usize) {
        // Whether the bus has room is not told.
        let Some(key) = self.any_socket(at).filter(|_| self.nodes[at].resumes_at.is_none()) else {
            return;
        };
        let (number, padding) = (self.books.next_number(), self.padding());
        let Self { now, nodes, books, .. } = self;
        let Node { hub: Some(hub), life, pending, told, is_down, .. } = &mut nodes[at] else {
            return;
        };
        let id = books.id(*life, key).to_owned();
        let namespace = books.namespace(&id);
        if hub.emit(key, "e", &(number, padding)).is_err() {
            return;
        }
        books.send((*now, number), *life, namespace, &Target::all().to(id), (Way::Usual, false));
        let is_appended = !*is_down;
        if is_appended {
            told.push_back(number);
        }
        if !pending.push(*now, namespace, number, is_appended, Place::Own) {
            books.deliver_at(*life, number, Place::Own);
        }
    }

    /// The bus tells a node the place of an event.
    pub(super) fn appended(&mut self, at: usize, append: AppendId, entry: EntryId) {
        let now = self.now;
        let due = self.nodes[at].pending.appended(append, entry);
        if due.is_empty() {
            self.books.placed_late(self.nodes[at].life, entry);
        }
        self.delivers(at, due);
        if let Some(hub) = &mut self.nodes[at].hub {
            hub.handle_appended(now, append, entry);
        }
        self.settle_node(at);
    }

    /// The deadlines of appends pass, or the bus is lost.
    pub(super) fn end_appends(&mut self, at: usize, until: Time) {
        let due = self.nodes[at].pending.expire(until);
        self.delivers(at, due);
    }

    fn delivers(&mut self, at: usize, due: Vec<(u64, Place)>) {
        let life = self.nodes[at].life;
        due.into_iter().for_each(|(number, place)| self.books.deliver_at(life, number, place));
    }

    /// The bus responds to a node.
    pub(super) fn log_responds(
        &mut self,
        at: usize,
        request: RequestId,
        mut response: LogResponse,
    ) {
        match &mut response {
            LogResponse::State(Some(_)) => self.books.totals.taken += 1,
            LogResponse::Entries(Some(entries)) => {
                self.books.totals.read += entries.len() as u64;
                match self.sabotage {
                    Some(ClusterSabotage::Skipped) if entries.len() > 1 => drop(entries.remove(1)),
                    Some(ClusterSabotage::Shifted) => shift(entries),
                    _ => {}
                }
            }
            _ => {}
        }
        let now = self.now;
        if let Some(hub) = &mut self.nodes[at].hub {
            hub.handle_log_response(now, request, response);
        }
        self.settle_node(at);
    }

    /// A socket was restored by a node.
    pub(super) fn restored(&mut self, at: usize, key: SocketKey, is_here: bool) {
        let Node { hub: Some(hub), life, .. } = &self.nodes[at] else { return };
        let Some(id) = hub.id(key).map(ToString::to_string) else { panic!("{key:?} has no id") };
        self.log.say(self.now, format!("{key:?} of node {life} restores {id}"));
        self.books.restored(self.now, *life, key, &id, is_here);
        self.books.check_rooms(*life, key, hub.rooms(key));
        let owner = hub.auth(key).and_then(owner_of).unwrap_or_default();
        if let Some(client) = self.clients.get_mut(&owner) {
            client.last = *life;
        }
    }
}

/// Lets the events of entries have the ids of those behind them.
fn shift(entries: &mut Vec<LogEntry>) {
    let ids: Vec<_> = entries.iter().skip(1).map(|entry| entry.id).collect();
    let first = entries.first().map(|entry| entry.id);
    entries.truncate(ids.len());
    entries.iter_mut().zip(ids).for_each(|(entry, id)| entry.id = id);
    // The one that was asked for is there.
    if let (Some(first), Some(entry)) = (first, entries.first().cloned()) {
        entries.insert(0, LogEntry { id: first, ..entry });
    }
}

/// The event that a request to the log adds to it.
pub(super) const fn appends(operation: &Operation) -> Option<&Broadcast> {
    match operation {
        Operation::Log(LogRequest::Append { broadcast, .. }) => Some(broadcast),
        _ => None,
    }
}

/// The client that asks to connect, by its payload.
pub(super) fn owner_of(auth: &Payload) -> Option<u64> {
    auth.to_value().ok()?.get("owner")?.as_u64()
}

/// Time in which a socket can be restored.
pub(super) const WINDOW: Duration = Duration::from_secs(20);
