//! In-memory adapter of a namespace: its members, their rooms, and whom a broadcast reaches.
//!
//! | value | for |
//! |---|---|
//! | [`Adapter`] | members and rooms, [`Selection`] of a [`Target`], numbers of acknowledgements |
//! | [`Sequencer`] | one order of broadcasts for all members |
//! | [`Recovery`] | the state of connections that broke, and the events that they missed |
//!
//! All of them are plain values that know no I/O, no clock and no format of packets. Their owner keeps those of one
//! namespace under one lock, and sends to members after unlocking.

mod fingerprint;
mod hasher;
mod members;
mod recovery;
mod rooms;
mod selection;
mod sequencer;
mod storage;
#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::fmt;

use enginewire::Entropy;
use hashbrown::HashTable;
use slab::Slab;

use self::{hasher::NameHasher, storage::Churn};
use crate::{
    id::{Room, SocketId},
    packet::AckId,
};

pub(crate) use self::recovery::MAX_STAYS;
pub use self::{
    members::Removed,
    recovery::{
        Claim, EntryId, InvalidEntryId, Kept, Missed, Offset, Recovery, RecoveryConfig, Restored,
        SocketState, Stay, Unrecoverable,
    },
    selection::{Selection, SelectionIter, Target},
    sequencer::{Full, Sequencer},
};

/// Members of a namespace and their rooms.
///
/// `M` is what the owner sends to: a shared handle, or a number.
///
/// # Rooms
///
/// A room exists while it has members. Joining and leaving cost the same however many members a room has. A client
/// that is in many rooms pays for the shorter of two lists when it joins or leaves one: its rooms, or the members.
///
/// The id of each member is also the name of a room, its own. That room costs nothing, the member cannot leave it,
/// and other members may join it. The listings of rooms leave it out.
///
/// # Order
///
/// Listings are in the order of slots, or in that of the lists of rooms. Both depend on nothing but the calls before.
/// Names are hashed with a key of the entropy, because clients choose them in many applications.
///
/// # Memory
///
/// Storage is given back after bursts: what is kept is at most a few times what is in use. A room that was selected
/// keeps a list of its members until one joins or leaves.
#[derive(Clone)]
pub struct Adapter<M> {
    members: Slab<Member<M>>,
    /// Indices of members by their id.
    directory: HashTable<u32>,
    rooms: Slab<RoomEntry<M>>,
    /// Indices of rooms by their name.
    names: HashTable<u32>,
    hasher: NameHasher,
    /// All members, as the last selection found them.
    everyone: Option<Arc<[(MemberKey, M)]>>,
    /// The number of the last selection that marked members.
    epoch: u32,
    /// The last serial number of a member.
    serial: u64,
    member_churn: Churn,
    room_churn: Churn,
    next_ack: u128,
    /// Rooms that came and went, if the owner watches them.
    changes: Option<VecDeque<(Room, bool)>>,
}

/// Key of a member while it is in the namespace. It is never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberKey {
    index: u32,
    serial: u64,
}

#[derive(Clone)]
struct Member<M> {
    id: SocketId,
    serial: u64,
    /// The last selection that has met this member.
    mark: u32,
    member: M,
    rooms: Vec<Membership>,
}

/// A room in the list of a member.
#[derive(Clone, Copy)]
struct Membership {
    room: u32,
    /// Where the member stands in the list of the room.
    position: u32,
}

#[derive(Clone)]
struct RoomEntry<M> {
    name: Room,
    occupants: Vec<Occupant>,
    /// The members, as the last selection found them.
    cache: Option<Arc<[(MemberKey, M)]>>,
}

/// A member in the list of a room.
#[derive(Clone, Copy)]
struct Occupant {
    member: u32,
    /// Where the room stands in the list of the member.
    position: u32,
}

impl<M: Clone> Adapter<M> {
    /// Creates an adapter without members. The key for hashing names is drawn from `entropy`.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        Self {
            members: Slab::new(),
            directory: HashTable::new(),
            rooms: Slab::new(),
            names: HashTable::new(),
            hasher: NameHasher::new(entropy),
            everyone: None,
            epoch: 0,
            serial: 0,
            member_churn: Churn::default(),
            room_churn: Churn::default(),
            next_ack: 0,
            changes: None,
        }
    }

    /// Notes from now on which rooms come and go, for [`poll_room`](Self::poll_room). Default: does not.
    ///
    /// A note costs an entry of a queue, and is kept until it is polled.
    pub fn watch_rooms(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// Returns the next room that came, with true, or that went, with false.
    ///
    /// A room comes with its first member, and goes with its last. The members' own rooms are among them. They come in the order in which it happened, if rooms are
    /// [watched](Self::watch_rooms).
    pub fn poll_room(&mut self) -> Option<(Room, bool)> {
        self.changes.as_mut()?.pop_front()
    }

    /// Returns the number for the next event to acknowledge, counting from zero.
    ///
    /// Events to one member and broadcasts share these numbers. So all recipients of a broadcast get the same bytes.
    pub const fn next_ack(&mut self) -> AckId {
        let id = AckId(self.next_ack);
        self.next_ack += 1;
        id
    }

    /// Joins the members that `target` selects to `rooms`. Returns how many members it selects.
    pub fn sockets_join(&mut self, target: &Target, rooms: &[Room]) -> usize {
        let selected = self.select_indices(target);
        for &member in &selected {
            for room in rooms {
                self.join_index(member, room);
            }
        }
        selected.len()
    }

    /// Removes the members that `target` selects from `rooms`. Returns how many members it selects.
    pub fn sockets_leave(&mut self, target: &Target, rooms: &[Room]) -> usize {
        let selected = self.select_indices(target);
        for &member in &selected {
            for room in rooms {
                self.leave_index(member, room);
            }
        }
        selected.len()
    }
}

impl<M> fmt::Debug for Adapter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter")
            .field("members", &self.members.len())
            .field("rooms", &self.rooms.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberKey({}.{})", self.index, self.serial)
    }
}
