//! The members of a namespace, driven by a script beside lists of all that they are in. Each operation is a letter
//! and what it needs; `n` is one byte, `0` for the first:
//!
//! | letter | operation |
//! |---|---|
//! | `i`n | a member with the id n comes |
//! | `o`n | member n goes |
//! | `j`n n, `l`n n | member n joins, or leaves, room n |
//! | `J`target n, `L`target n | the members of a target join, or leave, room n |
//! | `s`target | the members of a target are selected |
//! | `p`n | a broadcast of cost n is pushed to the sequencer |
//! | `d`, `u`n, `r` | its delivery ends; is suspended with a rest of cost n; the turn is taken again |
//!
//! A target is a number of rooms and the rooms, then as many as left out, each one byte. Room names and ids of members
//! overlap.

use std::collections::{BTreeSet, VecDeque};

use enginewire_socketio::{
    Room, SocketId,
    adapter::{Adapter, MemberKey, Sequencer, Target},
};

use crate::script::Script;

/// Runs the script. Returns how many members were selected.
pub fn run(data: &[u8]) -> usize {
    let mut script = Script::new(data);
    let mut world = World::new();
    while !script.is_empty() {
        world.step(&mut script);
        world.check();
    }
    world.finish()
}

struct World {
    adapter: Adapter<u32>,
    members: Vec<Member>,
    /// Keys of members that have gone.
    gone: Vec<MemberKey>,
    numbers: u32,
    selected: usize,
    turn: Turn,
}

struct Member {
    key: MemberKey,
    id: String,
    number: u32,
    rooms: BTreeSet<String>,
}

impl World {
    fn new() -> Self {
        Self {
            adapter: Adapter::new(&mut |bytes: &mut [u8]| bytes.fill(7)),
            members: Vec::new(),
            gone: Vec::new(),
            numbers: 0,
            selected: 0,
            turn: Turn::new(),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        const LETTERS: &[u8] = b"iojlJLspdur";
        let letter = match script.byte() {
            letter if LETTERS.contains(&letter) => letter,
            other => LETTERS[usize::from(other) % LETTERS.len()],
        };
        match letter {
            b'i' => self.insert(name(script)),
            b'o' => self.remove(script.byte()),
            b'j' | b'l' => {
                let (member, room) = (script.byte(), name(script));
                self.move_one(letter == b'j', member, &room);
            }
            b'J' | b'L' => {
                let (target, room) = (target(script), name(script));
                self.move_many(letter == b'J', &target, &room);
            }
            b's' => self.select(&target(script)),
            b'p' => self.turn.push(script.byte().into()),
            b'd' => self.turn.done(),
            b'u' => self.turn.suspend(script.byte().into()),
            _ => self.turn.resume(),
        }
    }

    fn insert(&mut self, id: String) {
        self.numbers += 1;
        let number = self.numbers;
        // A predecessor is ended first, as the adapter demands.
        if let Some(at) = self.members.iter().position(|member| member.id == id) {
            self.remove_at(at);
        }
        let key = self.adapter.insert(SocketId::from(&*id), number);
        assert!(!self.gone.contains(&key), "a key is not used again");
        self.members.push(Member { key, id, number, rooms: BTreeSet::new() });
    }

    fn at(&self, byte: u8) -> Option<usize> {
        usize::from(byte.wrapping_sub(b'0')).checked_rem(self.members.len())
    }

    fn remove(&mut self, byte: u8) {
        if let Some(at) = self.at(byte) {
            self.remove_at(at);
        }
        if let Some(&key) = self.gone.last() {
            assert!(self.adapter.remove(key).is_none());
            assert!(!self.adapter.join(key, "0") && !self.adapter.leave(key, "0"));
        }
    }

    fn remove_at(&mut self, at: usize) {
        let member = self.members.remove(at);
        let removed = self.adapter.remove(member.key).expect("it was there");
        assert_eq!((removed.id.as_str(), removed.member), (&*member.id, member.number));
        let rooms: BTreeSet<_> = removed.rooms.iter().map(|room| room.to_string()).collect();
        assert_eq!((&rooms, rooms.len()), (&member.rooms, removed.rooms.len()));
        self.gone.push(member.key);
    }

    fn move_one(&mut self, joins: bool, member: u8, room: &str) {
        let Some(at) = self.at(member) else { return };
        let Member { key, id, rooms, .. } = &mut self.members[at];
        let moves = match joins {
            true => *id != room && rooms.insert(room.to_owned()),
            false => rooms.remove(room),
        };
        let moved = match joins {
            true => self.adapter.join(*key, room),
            false => self.adapter.leave(*key, room),
        };
        assert_eq!(moved, moves);
    }

    fn move_many(&mut self, joins: bool, target: &Target, room: &str) {
        let mut count = 0;
        for member in self.members.iter_mut().filter(|member| member.matches(target)) {
            count += 1;
            match joins {
                true if member.id != room => drop(member.rooms.insert(room.to_owned())),
                true => {}
                false => drop(member.rooms.remove(room)),
            }
        }
        let rooms = vec![Room::from(room)];
        let moved = match joins {
            true => self.adapter.sockets_join(target, &rooms),
            false => self.adapter.sockets_leave(target, &rooms),
        };
        assert_eq!(moved, count);
    }

    fn select(&mut self, target: &Target) {
        let expected: BTreeSet<_> = self.selected_by(target);
        // Twice: the second may be of what the first has kept.
        for _ in 0..2 {
            let selection = self.adapter.select(target);
            let found: Vec<_> = selection.iter().map(|(key, number)| (key, *number)).collect();
            assert_eq!(found.len(), selection.len(), "each once");
            assert_eq!(selection.is_empty(), found.is_empty());
            assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), expected);
            let skipped = selection.skipped();
            let parts = selection.as_slice().iter().filter(|(key, _)| Some(*key) != skipped);
            assert!(parts.eq(&found));
            if let Some(skipped) = skipped {
                assert!(selection.as_slice().iter().any(|(key, _)| *key == skipped));
            }
        }
        let mut list = vec![(self.gone.first().copied(), 0)]
            .into_iter()
            .filter_map(|(key, n)| Some((key?, n)))
            .collect();
        self.adapter.select_into(target, &mut list);
        assert_eq!(list.len(), expected.len(), "each once");
        assert_eq!(list.into_iter().collect::<BTreeSet<_>>(), expected);
        self.selected += expected.len();
    }

    fn selected_by(&self, target: &Target) -> BTreeSet<(MemberKey, u32)> {
        let selected = self.members.iter().filter(|member| member.matches(target));
        selected.map(|member| (member.key, member.number)).collect()
    }

    fn check(&mut self) {
        let adapter = &self.adapter;
        assert_eq!(
            (adapter.len(), adapter.is_empty()),
            (self.members.len(), self.members.is_empty())
        );
        let listed: BTreeSet<_> = adapter.iter().map(|(key, _, number)| (key, *number)).collect();
        assert_eq!(listed, self.selected_by(&Target::all()));
        let mut rooms = BTreeSet::new();
        for Member { key, id, number, rooms: own } in &self.members {
            assert_eq!(adapter.find(id), Some(*key));
            assert_eq!(adapter.id(*key).map(SocketId::as_str), Some(&**id));
            assert_eq!(adapter.member(*key), Some(number));
            let listed: Vec<_> = adapter.rooms(*key).map(|room| room.to_string()).collect();
            assert_eq!(listed.len(), own.len());
            assert!(listed.iter().all(|room| own.contains(room) && adapter.is_in(*key, room)));
            assert!(adapter.is_in(*key, id) && !adapter.is_in(*key, "nowhere"));
            rooms.extend(own.iter().cloned());
        }
        assert_eq!(adapter.rooms_len(), rooms.len());
        for (room, count) in adapter.all_rooms() {
            let is_in = |member: &&Member| {
                member.id == room.as_str() || member.rooms.contains(room.as_str())
            };
            assert_eq!(count, self.members.iter().filter(is_in).count());
            assert!(rooms.remove(room.as_str()), "{room} is listed once");
            assert_eq!(adapter.room_len(room), count);
        }
        for key in self.gone.iter().rev().take(8) {
            assert!(adapter.member(*key).is_none() && adapter.rooms(*key).next().is_none());
        }
        self.turn.check();
    }

    fn finish(mut self) -> usize {
        while !self.members.is_empty() {
            self.remove_at(0);
        }
        self.check();
        let (first, second) = (self.adapter.next_ack(), self.adapter.next_ack());
        assert!(first < second);
        self.turn.finish();
        self.selected
    }
}

impl Member {
    fn matches(&self, target: &Target) -> bool {
        let is_in = |room: &Room| self.id == room.as_str() || self.rooms.contains(room.as_str());
        (target.rooms.is_empty() || target.rooms.iter().any(is_in))
            && !target.except.iter().any(is_in)
    }
}

fn name(script: &mut Script<'_>) -> String {
    char::from(b'0' + script.byte() % 16).to_string()
}

fn target(script: &mut Script<'_>) -> Target {
    let mut names = || {
        let count = script.byte() % 4;
        (0..count).map(|_| Room::from(name(script))).collect()
    };
    Target { rooms: names(), except: names() }
}

/// A sequencer, whose items are numbers, beside a list of what waits.
struct Turn {
    sequencer: Sequencer<u64>,
    queue: VecDeque<(u64, usize)>,
    delivering: Option<u64>,
    last: u64,
    delivered: Vec<u64>,
}

const LIMIT: usize = 500;

impl Turn {
    fn new() -> Self {
        Self {
            sequencer: Sequencer::new(LIMIT),
            queue: VecDeque::new(),
            delivering: None,
            last: 0,
            delivered: Vec::new(),
        }
    }

    fn push(&mut self, cost: usize) {
        self.last += 1;
        let is_direct = self.delivering.is_none() && self.queue.is_empty();
        let queued: usize = self.queue.iter().map(|(_, cost)| cost).sum();
        // The rest of a suspended item may go beyond the limit.
        let fits = cost <= LIMIT.saturating_sub(queued);
        match self.sequencer.push(self.last, cost) {
            Ok(item) => {
                assert!(is_direct || fits);
                self.queue.push_back((self.last, cost));
                let next = self.next();
                assert_eq!(item, next);
            }
            Err(full) => {
                assert_eq!(full.0, self.last);
                assert!(!is_direct && !fits);
            }
        }
    }

    /// The next to deliver, if the turn is free.
    fn next(&mut self) -> Option<u64> {
        if self.delivering.is_some() {
            return None;
        }
        self.delivering = self.queue.pop_front().map(|(item, _)| item);
        self.delivering
    }

    fn done(&mut self) {
        if let Some(item) = self.delivering.take() {
            self.delivered.push(item);
            let next = self.next();
            assert_eq!(self.sequencer.next(), next);
        }
    }

    fn suspend(&mut self, cost: usize) {
        if let Some(item) = self.delivering.take() {
            self.queue.push_front((item, cost));
            self.sequencer.suspend(item, cost);
        }
    }

    fn resume(&mut self) {
        let next = self.next();
        assert_eq!(self.sequencer.resume(), next);
    }

    fn check(&self) {
        assert_eq!(self.sequencer.is_busy(), self.delivering.is_some());
        assert_eq!(self.sequencer.len(), self.queue.len());
        assert_eq!(self.sequencer.is_empty(), self.queue.is_empty());
        assert_eq!(self.sequencer.queued(), self.queue.iter().map(|(_, cost)| cost).sum::<usize>());
    }

    fn finish(mut self) {
        self.resume();
        while self.delivering.is_some() {
            self.done();
        }
        self.check();
        assert!(self.delivered.is_sorted(), "in the order of pushing");
    }
}
