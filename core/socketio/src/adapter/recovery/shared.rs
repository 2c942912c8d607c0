//! Recovery in a cluster: the copy of its log, and sockets that change nodes.

use alloc::vec::Vec;
use core::time::Duration;

use enginewire::Time;

use super::{EntryId, Kept, Living, Recovery, Waiting, history::History};
use crate::{
    adapter::Target,
    id::{PrivateId, Room, SocketId},
};

/// State of a socket whose connection broke, in the form that any node can restore.
///
/// `D` is the application's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketState<D> {
    /// Its id.
    pub id: SocketId,
    /// The secret id under which it is restored.
    pub pid: PrivateId,
    /// Its rooms, without its own.
    pub rooms: Vec<Room>,
    /// The application's data.
    pub data: D,
    /// The client has all entries up to this one, if that is known.
    pub received: Option<EntryId>,
    /// Rooms that it was not in for all the time.
    pub stays: Vec<Stay>,
    /// Number of this state, by which its node knows it again.
    pub mark: u64,
}

impl<D> SocketState<D> {
    /// Replaces the application's data.
    pub fn with_data<T>(self, data: T) -> SocketState<T> {
        let Self { id, pid, rooms, data: _, received, stays, mark } = self;
        SocketState { id, pid, rooms, data, received, stays, mark }
    }
}

/// Time that a socket was in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The room.
    pub room: Room,
    /// The last entry before it joined. `None`: it was in the room before.
    pub after: Option<EntryId>,
    /// The last entry before it left. `None`: it is still in the room.
    pub until: Option<EntryId>,
}

/// Recovery in a cluster whose nodes share a log.
///
/// Each node has a copy of the latest entries, those of other nodes among them. So a socket of another node is restored
/// as one of its own, once its state is there.
impl<D, E: Clone> Recovery<D, E> {
    /// Logs an event under the id that the cluster's log gave it.
    ///
    /// Ids grow from call to call. At one that does not the copy [starts anew](Self::start_anew). An event without one is
    /// this node's alone. Sockets that may miss it are not given to other nodes.
    pub fn log(&mut self, now: Time, id: Option<EntryId>, target: Target, event: E, cost: usize) {
        if id.is_some() && id <= self.log.passed() {
            self.start_anew();
        }
        self.log.push(now, id, target, event, cost);
        self.log.cut(self.config.max_events, self.config.max_bytes);
    }

    /// Notes that entries of the cluster's log are missing here, behind those that were logged.
    ///
    /// Sockets that may miss them are restored no more, neither here nor by another node.
    pub fn interrupt(&mut self, now: Time) {
        self.log.interrupt(now);
    }

    /// Forgets all entries, because the log of the cluster has gone back.
    ///
    /// A broker does so that fails over to an older copy of itself. Its later entries may have the ids of those that were
    /// lost. Clients whose last event is older get new sockets, and so do those that may miss an event.
    pub fn start_anew(&mut self) {
        self.log.start_anew();
    }

    /// Notes that the last event has no entry because its append has ended without one.
    ///
    /// The log of the cluster may have it nevertheless, and tell so later: see [`log_late`](Self::log_late). Appends end
    /// in the order of their numbers.
    pub fn note_unplaced(&mut self, append: u64) {
        let cut = self.log.cut_number();
        // As many stay as the log has events. Numbers of events grow with those of appends, so the first are the oldest.
        while let Some(first) = self.unplaced.first_entry()
            && *first.get() <= cut
        {
            first.remove();
        }
        self.unplaced.insert(append, self.log.last());
    }

    /// Logs the entry of an event that [had none](Self::note_unplaced). It is not delivered once more.
    ///
    /// Sockets that come to this node later miss it if they have the entries before it. Those that were here have it.
    pub fn log_late(&mut self, now: Time, append: u64, id: EntryId) {
        if Some(id) <= self.log.passed() {
            self.start_anew();
        }
        // One that is not known was cut off long ago.
        let number = self.unplaced.remove(&append).unwrap_or_default();
        self.log.push_again(now, id, number);
        self.log.cut(self.config.max_events, self.config.max_bytes);
    }

    /// Adds older entries of the cluster's log. Those that the copy has already are left out.
    ///
    /// They are to be in order, and without a gap up to the first entry of the copy. None is added ahead of an event of this
    /// node alone that was cut off.
    pub fn log_before(
        &mut self,
        now: Time,
        entries: impl DoubleEndedIterator<Item = (EntryId, Target, E, usize)>,
    ) {
        let first = self.log.first_id();
        for (id, target, event, cost) in entries.rev() {
            if first.is_none_or(|first| id < first) {
                self.log.push_front(now, id, target, event, cost);
            }
        }
        self.log.cut(self.config.max_events, self.config.max_bytes);
    }

    /// Returns whether the log is a copy of one that a cluster [shares](Self::shared).
    pub const fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Returns whether the log has the event with this offset, and all behind it.
    pub fn has_offset(&self, offset: &str) -> bool {
        let number = self.number_of(offset);
        number.is_some_and(|number| number >= self.log.cut_number())
    }

    /// Returns whether the copy has an entry, or had it last.
    ///
    /// It comes a second time then.
    pub fn has_entry(&self, id: EntryId) -> bool {
        self.log.number_of(id).is_some()
    }

    /// Returns the first entry of the copy.
    pub fn first_entry(&self) -> Option<EntryId> {
        self.log.first_id()
    }

    /// Describes a socket that waits for its client, so that any node can restore it.
    ///
    /// `None` if it is not known, or if it may miss an event that is this node's alone. Once the state is given away it is
    /// to be [marked](Self::mark), because another node may restore it then.
    pub fn state(&self, pid: &PrivateId, mark: u64) -> Option<SocketState<()>> {
        let Waiting { at, socket: Living { id, history }, kept, .. } = self.find_waiting(pid)?;
        // Later than its connection broke it has received nothing.
        let is_late = |sent: Time| sent + self.config.max_delay > *at;
        let own = self.log.last_own().filter(|&(number, _)| number > history.received);
        if own.is_some_and(|(_, at)| is_late(at)) {
            return None;
        }
        Some(SocketState {
            id: id.clone(),
            pid: *pid,
            rooms: kept.rooms.clone(),
            data: (),
            received: self.log.id_until(history.received),
            stays: history.to_stays(|number| self.log.id_until(number)),
            mark,
        })
    }

    /// Returns the time for which a socket that waits can still be restored.
    pub fn remaining(&self, now: Time, pid: &PrivateId) -> Option<Duration> {
        let until = self.find_waiting(pid)?.at + self.config.window;
        Some(until.since(now))
    }

    /// Notes that the state of a socket that waits was given away.
    ///
    /// It is no longer [restored](Self::restore) until the state is [taken back](Self::reclaim).
    pub fn mark(&mut self, pid: &PrivateId, mark: u64) {
        let waiting = self.serials.get(pid).and_then(|serial| self.waiting.get_mut(serial));
        if let Some(waiting) = waiting {
            waiting.mark = Some(mark);
        }
    }

    /// Returns whether a socket waits here that no other node knows of.
    pub fn is_own(&self, pid: &PrivateId) -> bool {
        self.find_waiting(pid).is_some_and(|waiting| waiting.mark.is_none())
    }

    /// Takes back a socket that waits here.
    ///
    /// Its state, which has this mark, was taken from the bus. Returns false if it is not here, or in another state.
    pub fn reclaim(&mut self, pid: &PrivateId, mark: u64) -> bool {
        let waiting = self.serials.get(pid).and_then(|serial| self.waiting.get_mut(serial));
        let Some(waiting) = waiting.filter(|waiting| waiting.mark == Some(mark)) else {
            return false;
        };
        waiting.mark = None;
        true
    }

    /// Returns whether the state of a socket that waits was given away.
    pub(super) fn is_given(&self, pid: &PrivateId) -> bool {
        self.find_waiting(pid).is_some_and(|waiting| waiting.mark.is_some())
    }

    /// Forgets a socket that waits: another node has restored it, or nobody will.
    pub fn forget(&mut self, pid: &PrivateId) {
        let waiting = self.take_waiting(pid);
        self.dropped.extend(waiting.map(|waiting| waiting.kept.data));
    }

    /// Keeps a socket of another node, to be [restored](Self::restore) at once.
    ///
    /// The copy must have the entry that its client received last: see [`has_offset`](Self::has_offset).
    pub fn adopt(&mut self, now: Time, state: SocketState<D>) {
        self.forget(&state.pid);
        let SocketState { id, pid, mut rooms, data, received, stays, mark: _ } = state;
        let received = received.and_then(|id| self.log.number_of(id));
        let number = |id| self.log.number_until(id);
        let mut history = History::of_stays(received, stays, number);
        history.arrived = self.log.last();
        rooms.sort_unstable();
        let (socket, kept) = (Living { id, history }, Kept { pid, rooms, data });
        self.insert_waiting(Waiting { at: now, socket, kept, mark: None });
    }

    fn find_waiting(&self, pid: &PrivateId) -> Option<&Waiting<D>> {
        self.waiting.get(self.serials.get(pid)?)
    }
}
