//! Rooms: joining, leaving, and who is where.

use alloc::vec::Vec;

use super::{
    Adapter, MemberKey, Membership, Occupant, RoomEntry,
    storage::{narrow, trim, wide},
};
use crate::id::Room;

impl<M: Clone> Adapter<M> {
    /// Joins a member to a room. Returns false if it is in there, or has left the namespace.
    ///
    /// # Panics
    ///
    /// With 2^32 rooms.
    pub fn join(&mut self, key: MemberKey, room: &str) -> bool {
        self.index(key).is_some_and(|index| self.join_index(index, room))
    }

    /// Removes a member from a room. Returns false if it is not in there. Its own room cannot be left.
    pub fn leave(&mut self, key: MemberKey, room: &str) -> bool {
        self.index(key).is_some_and(|index| self.leave_index(index, room))
    }

    /// Returns the rooms of a member, without its own. There are none if it has left the namespace.
    pub fn rooms(&self, key: MemberKey) -> impl Iterator<Item = &Room> {
        let rooms = self.index(key).map(|index| self.members[wide(index)].rooms.iter());
        rooms.into_iter().flatten().map(|membership| &self.rooms[wide(membership.room)].name)
    }

    /// Returns whether a member is in a room. It is always in its own.
    pub fn is_in(&self, key: MemberKey, room: &str) -> bool {
        let Some(index) = self.index(key) else { return false };
        self.members[wide(index)].id == *room
            || self.find_room(room).is_some_and(|room| self.position(index, room).is_some())
    }

    /// Returns the number of members of a room.
    pub fn room_len(&self, room: &str) -> usize {
        let joined = self.find_room(room).map_or(0, |room| self.rooms[wide(room)].occupants.len());
        joined + usize::from(self.find_index(room).is_some())
    }

    /// Returns the number of rooms, without those of the members' own.
    pub fn rooms_len(&self) -> usize {
        self.rooms.len()
    }

    /// Returns all rooms that were joined, in the order of their slots.
    ///
    /// With each comes the number of its members, as [`room_len`](Self::room_len) counts them.
    pub fn all_rooms(&self) -> impl Iterator<Item = (&Room, usize)> {
        self.rooms.iter().map(|(_, entry)| {
            let has_owner = self.find_index(&entry.name).is_some();
            (&entry.name, entry.occupants.len() + usize::from(has_owner))
        })
    }

    pub(super) fn find_room(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash(name);
        self.names.find(hash, |&room| self.rooms[wide(room)].name == *name).copied()
    }

    /// Returns where a room stands in the list of a member. Searches the shorter list.
    pub(super) fn position(&self, member: u32, room: u32) -> Option<usize> {
        let (rooms, occupants) =
            (&self.members[wide(member)].rooms, &self.rooms[wide(room)].occupants);
        if rooms.len() <= occupants.len() {
            return rooms.iter().position(|membership| membership.room == room);
        }
        let occupant = occupants.iter().find(|occupant| occupant.member == member)?;
        Some(wide(occupant.position))
    }

    pub(super) fn join_index(&mut self, member: u32, name: &str) -> bool {
        if self.members[wide(member)].id == *name {
            return false;
        }
        let room = match self.find_room(name) {
            Some(room) if self.position(member, room).is_some() => return false,
            Some(room) => room,
            None => self.open(name),
        };
        let entry = &mut self.rooms[wide(room)];
        let rooms = &mut self.members[wide(member)].rooms;
        let at = (narrow(rooms.len()), narrow(entry.occupants.len()));
        rooms.push(Membership { room, position: at.1 });
        entry.occupants.push(Occupant { member, position: at.0 });
        entry.cache = None;
        true
    }

    pub(super) fn leave_index(&mut self, member: u32, name: &str) -> bool {
        let room = self.find_room(name);
        let Some(position) = room.and_then(|room| self.position(member, room)) else {
            return false;
        };
        self.part(member, position);
        true
    }

    /// Parts a member from the room at `position` of its list. Returns the room.
    pub(super) fn part(&mut self, member: u32, position: usize) -> Room {
        let rooms = &mut self.members[wide(member)].rooms;
        let Membership { room, position: seat } = rooms.swap_remove(position);
        // The last room of the member has taken its place.
        if let Some(moved) = rooms.get(position) {
            self.rooms[wide(moved.room)].occupants[wide(moved.position)].position =
                narrow(position);
        }
        trim(rooms);

        let entry = &mut self.rooms[wide(room)];
        entry.cache = None;
        entry.occupants.swap_remove(wide(seat));
        // The last member of the room has taken its seat.
        if let Some(moved) = entry.occupants.get(wide(seat)) {
            self.members[wide(moved.member)].rooms[wide(moved.position)].position = seat;
        }
        trim(&mut entry.occupants);
        let name = entry.name.clone();
        if entry.occupants.is_empty() {
            self.close(room);
        }
        name
    }

    fn open(&mut self, name: &str) -> u32 {
        let hash = self.hasher.hash(name);
        let name = match self.find_index(name) {
            // Shares the text, and redacts it where the id does.
            Some(owner) => self.members[wide(owner)].id.to_room(),
            None => {
                let name = Room::from(name);
                self.changes.iter_mut().for_each(|changes| changes.push_back((name.clone(), true)));
                name
            }
        };
        let entry = RoomEntry { name, occupants: Vec::new(), cache: None };
        let room = narrow(self.rooms.insert(entry));
        let Self { rooms, names, hasher, .. } = self;
        names.insert_unique(hash, room, |&room| hasher.hash(&rooms[wide(room)].name));
        room
    }

    /// Removes a room that has no members, and gives storage back after many.
    fn close(&mut self, room: u32) {
        let RoomEntry { name, .. } = self.rooms.remove(wide(room));
        if let Ok(entry) = self.names.find_entry(self.hasher.hash(&name), |&other| other == room) {
            entry.remove();
        }
        if self.changes.is_some() && self.find_index(&name).is_none() {
            self.changes.iter_mut().for_each(|changes| changes.push_back((name.clone(), false)));
        }
        if !self.room_churn.remove(self.rooms.len()) {
            return;
        }
        let Self { rooms, names, hasher, members, .. } = self;
        // Rooms move into free slots, and with them the numbers by which they are known.
        rooms.compact(|entry, from, to| {
            let (from, to) = (narrow(from), narrow(to));
            for occupant in &entry.occupants {
                members[wide(occupant.member)].rooms[wide(occupant.position)].room = to;
            }
            if let Some(room) = names.find_mut(hasher.hash(&entry.name), |&room| room == from) {
                *room = to;
            }
            true
        });
        names.shrink_to_fit(|&room| hasher.hash(&rooms[wide(room)].name));
    }
}
