//! History of one socket: which events of the log were for it.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::hash::Hasher;

use enginewire::{Fingerprint, Time};

use super::{EntryId, shared};
use crate::id::Room;

/// Rooms that a socket has joined and left, by the numbers of events.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// The client has all of its events up to this one.
    pub(super) received: u64,
    /// The last event before it came to this node.
    pub(super) arrived: u64,
    /// The last event that it got when it was restored, and when that was.
    pub(super) resent: Option<(u64, Time)>,
    /// Rooms that it joined while it was connected: the last event before it did.
    ///
    /// Clients may choose the names and their number, so it is a tree.
    joined: BTreeMap<Room, Moment>,
    /// Rooms that it has left, oldest first.
    left: VecDeque<Stay>,
}

/// The last event before something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    pub(super) number: u64,
    /// The last entry of the cluster's log up to it, which other nodes know. It outlives the copy of the log.
    pub(super) id: Option<EntryId>,
}

/// A room that a socket was in for the events behind `after`, up to `until`.
#[derive(Clone, Debug, Hash)]
struct Stay {
    room: Room,
    after: Moment,
    until: Moment,
}

/// Bounds what a socket costs that joins and leaves all the time. The oldest are forgotten.
pub(crate) const MAX_STAYS: usize = 64;

impl History {
    pub(super) fn new(received: u64) -> Self {
        Self { received, arrived: received, ..Self::default() }
    }

    pub(super) fn join(&mut self, room: &Room, last: Moment) {
        self.joined.entry(room.clone()).or_insert(last);
    }

    /// Ends the stay in a room. Stays before the event `cut` are forgotten, as the log has.
    pub(super) fn leave(&mut self, room: &Room, last: Moment, cut: u64) {
        let after = self.joined.remove(room).unwrap_or_default();
        while self.left.front().is_some_and(|stay| stay.until.number <= cut) {
            self.left.pop_front();
        }
        if after.number.max(cut).max(self.received) < last.number {
            if self.left.len() == MAX_STAYS {
                self.left.pop_front();
            }
            self.left.push_back(Stay { room: room.clone(), after, until: last });
        }
    }

    /// Returns whether the socket was in a room when the event was logged. `rooms` are those it is in now, sorted.
    pub(super) fn was_in(&self, room: &str, number: u64, rooms: &[Room]) -> bool {
        let is_in = rooms.binary_search_by(|other| other.as_str().cmp(room)).is_ok();
        let since = || self.joined.get(room);
        let within = |stay: &Stay| stay.after.number < number && number <= stay.until.number;
        is_in && since().is_none_or(|after| number > after.number)
            || self.left.iter().any(|stay| stay.room == *room && within(stay))
    }

    /// Describes it by entries of the log that a cluster shares. `id_of` returns the last one up to a number.
    ///
    /// A room that it joined before the node knew of any entry is one that it was always in.
    pub(super) fn to_stays(&self, id_of: impl Fn(u64) -> Option<EntryId>) -> Vec<shared::Stay> {
        // Older entries may have come since then.
        let id_of = |moment: Moment| moment.id.or_else(|| id_of(moment.number));
        let joined = self.joined.iter().filter_map(|(room, after)| {
            let after = Some(id_of(*after)?);
            Some(shared::Stay { room: room.clone(), after, until: None })
        });
        let left = self.left.iter().filter_map(|stay| {
            let until = Some(id_of(stay.until)?);
            Some(shared::Stay { room: stay.room.clone(), after: id_of(stay.after), until })
        });
        joined.chain(left).collect()
    }

    /// The history of a socket of another node. `number_of` returns the number of the last event up to an entry.
    pub(super) fn of_stays(
        received: Option<u64>,
        stays: Vec<shared::Stay>,
        number_of: impl Fn(EntryId) -> u64,
    ) -> Self {
        let mut history = Self::new(received.unwrap_or_default());
        let moment = |id: Option<EntryId>| Moment { number: id.map_or(0, &number_of), id };
        for shared::Stay { room, after, until } in stays {
            let after = moment(after);
            match until {
                None => drop(history.joined.insert(room, after)),
                Some(_) if history.left.len() < MAX_STAYS => {
                    history.left.push_back(Stay { room, after, until: moment(until) });
                }
                Some(_) => {}
            }
        }
        history
    }

    /// Feeds all that the future depends on into `into`.
    pub(super) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        let Self { received, arrived, resent, joined, left } = self;
        into.push(&(received, arrived, resent.map(|(number, _)| number), joined, left));
        into.push_time(now, resent.map(|(_, at)| at));
    }
}
