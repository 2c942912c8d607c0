//! Members of a namespace, by key and by id.

use alloc::vec::Vec;

use super::{
    Adapter, Member, MemberKey,
    storage::{narrow, wide},
};
use crate::id::{Room, SocketId};

/// Member that has left the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed<M> {
    /// Its id.
    pub id: SocketId,
    /// Target that the owner sent to.
    pub member: M,
    /// The rooms that it was in, without its own.
    pub rooms: Vec<Room>,
}

impl<M: Clone> Adapter<M> {
    /// Inserts a member, which is in no room but its own.
    ///
    /// An id that another member still has is taken from it: `find` and the own room then name the new one. End such
    /// a predecessor first.
    ///
    /// # Panics
    ///
    /// With 2^32 members.
    pub fn insert(&mut self, id: SocketId, member: M) -> MemberKey {
        let hash = self.hasher.hash(&id);
        self.serial += 1;
        let serial = self.serial;
        let entry = Member { id, serial, mark: 0, member, rooms: Vec::new() };
        let index = narrow(self.members.insert(entry));
        self.everyone = None;

        let Self { members, directory, hasher, .. } = self;
        let id = |&index: &u32| &members[wide(index)].id;
        match directory.find_mut(hash, |other| *id(other) == members[wide(index)].id) {
            Some(other) => *other = index,
            None => {
                directory.insert_unique(hash, index, |other| hasher.hash(id(other)));
                self.note_own_room(index, true);
            }
        }
        MemberKey { index, serial }
    }

    /// Removes a member from the namespace and from all of its rooms. Returns `None` if it has left before.
    pub fn remove(&mut self, key: MemberKey) -> Option<Removed<M>> {
        let index = self.index(key)?;
        let mut rooms = Vec::with_capacity(self.members[wide(index)].rooms.len());
        while let Some(position) = self.members[wide(index)].rooms.len().checked_sub(1) {
            rooms.push(self.part(index, position));
        }
        rooms.reverse();

        let hash = self.hasher.hash(&self.members[wide(index)].id);
        // A successor with the same id keeps its place.
        if let Ok(entry) = self.directory.find_entry(hash, |&other| other == index) {
            entry.remove();
            self.note_own_room(index, false);
        }
        let Member { id, member, .. } = self.members.remove(wide(index));
        self.everyone = None;
        if self.member_churn.remove(self.members.len()) {
            let Self { members, directory, hasher, .. } = self;
            members.shrink_to_fit();
            directory.shrink_to_fit(|&index| hasher.hash(&members[wide(index)].id));
        }
        Some(Removed { id, member, rooms })
    }

    /// Returns the member with this id.
    pub fn find(&self, id: &str) -> Option<MemberKey> {
        self.find_index(id).map(|index| self.key(index))
    }

    /// Returns what the owner sends to, unless the member has left.
    pub fn member(&self, key: MemberKey) -> Option<&M> {
        self.index(key).map(|index| &self.members[wide(index)].member)
    }

    /// Returns the id of a member, unless it has left.
    pub fn id(&self, key: MemberKey) -> Option<&SocketId> {
        self.index(key).map(|index| &self.members[wide(index)].id)
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether the namespace has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns all members in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (MemberKey, &SocketId, &M)> {
        self.members.iter().map(|(index, entry)| {
            (MemberKey { index: narrow(index), serial: entry.serial }, &entry.id, &entry.member)
        })
    }

    /// Notes that the own room of a member has come or gone, unless others are in it.
    fn note_own_room(&mut self, index: u32, exists: bool) {
        if self.changes.is_none() {
            return;
        }
        let room = self.members[wide(index)].id.to_room();
        let is_joined = self.find_room(&room).is_some();
        self.changes.iter_mut().filter(|_| !is_joined).for_each(|changes| {
            changes.push_back((room.clone(), exists));
        });
    }

    pub(super) fn find_index(&self, id: &str) -> Option<u32> {
        let hash = self.hasher.hash(id);
        self.directory.find(hash, |&index| self.members[wide(index)].id == *id).copied()
    }

    pub(super) fn index(&self, key: MemberKey) -> Option<u32> {
        let entry = self.members.get(wide(key.index))?;
        (entry.serial == key.serial).then_some(key.index)
    }

    pub(super) fn key(&self, index: u32) -> MemberKey {
        MemberKey { index, serial: self.members[wide(index)].serial }
    }
}
