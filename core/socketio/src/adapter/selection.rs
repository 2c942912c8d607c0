//! Selection: the members that a broadcast is for.

use alloc::{sync::Arc, vec::Vec};
use core::slice;

use super::{Adapter, Member, MemberKey, storage::wide};
use crate::id::Room;

/// Recipients of a broadcast, by the rooms that they are in.
///
/// They are the members of any of `rooms`, or all members if `rooms` is empty, without the members of any of
/// `except`. The id of a socket is the name of its own room, in both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Rooms whose members are selected. Empty: all members.
    pub rooms: Vec<Room>,
    /// Rooms whose members are left out.
    pub except: Vec<Room>,
}

impl Target {
    /// Returns the target of all members.
    pub const fn all() -> Self {
        Self { rooms: Vec::new(), except: Vec::new() }
    }

    /// Adds a room, or the id of a socket.
    #[must_use]
    pub fn to(mut self, room: impl Into<Room>) -> Self {
        self.rooms.push(room.into());
        self
    }

    /// Leaves out the members of a room, or a socket by its id.
    #[must_use]
    pub fn except(mut self, room: impl Into<Room>) -> Self {
        self.except.push(room.into());
        self
    }

    /// Returns whether a socket is selected of whose rooms `is_in` tells, its own among them.
    pub fn matches(&self, mut is_in: impl FnMut(&str) -> bool) -> bool {
        (self.rooms.is_empty() || self.rooms.iter().any(|room| is_in(room)))
            && !self.except.iter().any(|room| is_in(room))
    }
}

/// Members that a target selects, each once.
///
/// A selection of all members, or of one room, shares its list with others. One socket that is left out, as the
/// sender is, does not change that.
#[derive(Clone, Debug)]
pub struct Selection<M> {
    members: Members<M>,
    /// A member of the list that is not selected.
    skip: Option<MemberKey>,
}

#[derive(Clone, Debug)]
enum Members<M> {
    One([(MemberKey, M); 1]),
    Shared(Arc<[(MemberKey, M)]>),
    Listed(Vec<(MemberKey, M)>),
}

impl<M> Selection<M> {
    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.as_slice().len() - usize::from(self.skip.is_some())
    }

    /// Returns whether no member is selected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the members in order.
    pub fn iter(&self) -> SelectionIter<'_, M> {
        SelectionIter { list: self.as_slice().iter(), skip: self.skip }
    }

    /// Returns the members together with the one to skip, for delivering in parts.
    pub fn as_slice(&self) -> &[(MemberKey, M)] {
        match &self.members {
            Members::One(one) => one,
            Members::Shared(list) => list,
            Members::Listed(list) => list,
        }
    }

    /// Returns the member of [`as_slice`](Self::as_slice) that is not selected.
    pub const fn skipped(&self) -> Option<MemberKey> {
        self.skip
    }
}

impl<'a, M> IntoIterator for &'a Selection<M> {
    type Item = (MemberKey, &'a M);
    type IntoIter = SelectionIter<'a, M>;

    fn into_iter(self) -> SelectionIter<'a, M> {
        self.iter()
    }
}

/// Iterator over the members of a [`Selection`].
#[derive(Clone, Debug)]
pub struct SelectionIter<'a, M> {
    list: slice::Iter<'a, (MemberKey, M)>,
    skip: Option<MemberKey>,
}

impl<'a, M> Iterator for SelectionIter<'a, M> {
    type Item = (MemberKey, &'a M);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, member) = self.list.find(|(key, _)| Some(*key) != self.skip)?;
        Some((*key, member))
    }
}

/// Source of the members of a target, once its names were looked up.
#[derive(Clone, Copy)]
enum Source {
    Everyone,
    Nobody,
    Socket(u32),
    Room(u32),
    /// More than one of them.
    Several,
}

impl<M: Clone> Adapter<M> {
    /// Selects the members of a target, each once.
    ///
    /// Clones one shared list if the target is all members or one room, without at most one socket. Other targets
    /// cost a visit of every member of their rooms.
    pub fn select(&mut self, target: &Target) -> Selection<M> {
        let skip = match self.source(&target.except) {
            Source::Socket(index) => Some(index),
            Source::Everyone | Source::Nobody => None,
            Source::Room(_) | Source::Several => return self.select_by_marks(target),
        };
        let source =
            if target.rooms.is_empty() { Source::Everyone } else { self.source(&target.rooms) };
        let (members, skip) = match source {
            Source::Everyone => (self.everyone(), skip),
            Source::Room(room) => {
                (self.occupants(room), skip.filter(|&skip| self.position(skip, room).is_some()))
            }
            Source::Socket(index) if skip != Some(index) => {
                let one = [(self.key(index), self.members[wide(index)].member.clone())];
                return Selection { members: Members::One(one), skip: None };
            }
            Source::Socket(_) | Source::Nobody => {
                return Selection { members: Members::Listed(Vec::new()), skip: None };
            }
            Source::Several => return self.select_by_marks(target),
        };
        Selection { members: Members::Shared(members), skip: skip.map(|index| self.key(index)) }
    }

    /// Selects the members of a target into `into`, in place of what is there.
    ///
    /// Allocates nothing if `into` has room.
    pub fn select_into(&mut self, target: &Target, into: &mut Vec<(MemberKey, M)>) {
        into.clear();
        self.visit(target, |index, entry| {
            into.push((MemberKey { index, serial: entry.serial }, entry.member.clone()));
        });
    }

    pub(super) fn select_indices(&mut self, target: &Target) -> Vec<u32> {
        let mut selected = Vec::new();
        self.visit(target, |index, _| selected.push(index));
        selected
    }

    fn select_by_marks(&mut self, target: &Target) -> Selection<M> {
        let mut list = Vec::new();
        self.select_into(target, &mut list);
        Selection { members: Members::Listed(list), skip: None }
    }

    /// Visits each member of a target once. Members are marked with the number of this visit.
    fn visit(&mut self, target: &Target, mut each: impl FnMut(u32, &Member<M>)) {
        let epoch = self.next_epoch();
        for name in &target.except {
            self.mark(name, epoch, &mut |_, _| {});
        }
        for name in &target.rooms {
            self.mark(name, epoch, &mut each);
        }
        if target.rooms.is_empty() {
            let all = self.members.iter().filter(|(_, entry)| entry.mark != epoch);
            all.for_each(|(index, entry)| each(super::storage::narrow(index), entry));
        }
    }

    /// Marks the members of a room, and calls `each` with those that had no mark.
    fn mark(&mut self, name: &str, epoch: u32, each: &mut impl FnMut(u32, &Member<M>)) {
        let (owner, room) = (self.find_index(name), self.find_room(name));
        let Self { members, rooms, .. } = self;
        let occupants = room.map_or(&[][..], |room| &rooms[wide(room)].occupants);
        for index in owner.into_iter().chain(occupants.iter().map(|occupant| occupant.member)) {
            let entry = &mut members[wide(index)];
            if entry.mark != epoch {
                entry.mark = epoch;
                each(index, entry);
            }
        }
    }

    /// Returns a number that no member is marked with.
    fn next_epoch(&mut self) -> u32 {
        if self.epoch == u32::MAX {
            // New members have the mark 0, which is never an epoch.
            self.members.iter_mut().for_each(|(_, entry)| entry.mark = 0);
            self.epoch = 0;
        }
        self.epoch += 1;
        self.epoch
    }

    /// Resolves names. Nobody is in a room that does not exist.
    fn source(&self, names: &[Room]) -> Source {
        let mut source = Source::Nobody;
        for name in names {
            source = match (self.find_index(name), self.find_room(name), source) {
                (None, None, source) => source,
                (Some(index), None, Source::Nobody) => Source::Socket(index),
                (Some(index), None, Source::Socket(same)) if index == same => Source::Socket(index),
                (None, Some(room), Source::Nobody) => Source::Room(room),
                (None, Some(room), Source::Room(same)) if room == same => Source::Room(room),
                _ => return Source::Several,
            };
        }
        source
    }

    fn everyone(&mut self) -> Arc<[(MemberKey, M)]> {
        let Self { members, everyone, .. } = self;
        let list = everyone.get_or_insert_with(|| {
            let key = |index, entry: &Member<M>| MemberKey {
                index: super::storage::narrow(index),
                serial: entry.serial,
            };
            members.iter().map(|(index, entry)| (key(index, entry), entry.member.clone())).collect()
        });
        list.clone()
    }

    fn occupants(&mut self, room: u32) -> Arc<[(MemberKey, M)]> {
        let Self { members, rooms, .. } = self;
        let entry = &mut rooms[wide(room)];
        let occupants = &entry.occupants;
        let list = entry.cache.get_or_insert_with(|| {
            let member = |occupant: &super::Occupant| {
                let (index, entry) = (occupant.member, &members[wide(occupant.member)]);
                (MemberKey { index, serial: entry.serial }, entry.member.clone())
            };
            occupants.iter().map(member).collect()
        });
        list.clone()
    }

    #[cfg(test)]
    pub(super) const fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }
}
