//! Books: what each socket is to get from all nodes, and who is in which room of which node.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Add,
};

use enginewire::Time;
use enginewire_socketio::{Room, adapter::Target, cluster::Operation, hub::SocketKey};

use super::{
    log::Place,
    returning::{Ahead, Places, Stay},
};

/// The books about the sockets of all nodes.
#[derive(Default)]
pub(super) struct Books {
    /// By id. Those that are over stay until their client knows.
    pub(super) accounts: BTreeMap<String, Account>,
    /// The ids of the sockets that each node has.
    pub(super) keys: BTreeMap<u64, BTreeMap<SocketKey, String>>,
    pub(super) sent: BTreeMap<u64, Sent>,
    pub(super) places: Places,
    /// The number of the last event.
    last: u64,
    pub(super) totals: ClusterTotals,
}

/// Outcome of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterTotals {
    /// Sockets that were accepted.
    pub sockets: u64,
    /// Sockets of a client that was at another node before.
    pub moved: u64,
    /// Events that were sent to sockets of all nodes.
    pub sent: u64,
    /// Events that clients got, and those of them that were sent by another node.
    pub received: [u64; 2],
    /// Operations of other nodes that were carried out.
    pub carried: u64,
    /// Messages of the bus that were lost, and those that were doubled.
    pub lost: u64,
    /// See there.
    pub doubled: u64,
    /// Requests to other nodes that ended with all responses, and without some.
    pub requests: [u64; 2],
    /// Responses that did not come: of nodes, and acknowledgements.
    pub missing: [u64; 2],
    /// Acknowledgements of sockets of other nodes.
    pub acknowledged: u64,
    /// Operations that other nodes were not told of, because the bus was down, or the queue full.
    pub untold: [u64; 2],
    /// Sockets that were restored where they had been before, and on other nodes.
    pub restored: [u64; 2],
    /// Clients that came back, and got a new socket.
    pub refused: u64,
    /// States of sockets that the bus has given to nodes.
    pub taken: u64,
    /// Entries of the log that were read for clients that came back.
    pub read: u64,
    /// Events that sockets had missed when they were restored.
    pub resent: u64,
    /// Nodes that crashed, and those that were cut off.
    pub crashes: u64,
    /// See there.
    pub cuts: u64,
}

/// Sockets by their ids, with their rooms.
pub(super) type Selected = BTreeMap<String, BTreeSet<String>>;

/// One socket.
pub(super) struct Account {
    /// The node that it is at, or was at last.
    pub(super) node: u64,
    pub(super) namespace: usize,
    pub(super) rooms: BTreeSet<String>,
    /// Its rooms, each time from when on it was in them.
    history: Vec<(Time, BTreeSet<String>)>,
    /// Events that its node has sent to it, and that have not come.
    pub(super) owed: VecDeque<Owed>,
    pub(super) ahead: Ahead,
    /// Events without a place in the log of the cluster that have come.
    pub(super) got_own: BTreeSet<u64>,
    /// By node and way the last event that has come.
    got: BTreeMap<(u64, Way), u64>,
    /// Events that its client has acknowledged.
    acknowledged: BTreeSet<u64>,
    pub(super) stay: Stay,
    /// Times that a node has restored it.
    pub(super) restored: u64,
    /// No node has such a socket any more.
    pub(super) is_over: bool,
    /// The client has not.
    is_lost: bool,
}

pub(super) struct Owed {
    pub(super) number: u64,
    /// It may be missing.
    pub(super) may_miss: bool,
    pub(super) place: Place,
}

/// Way of an event to other nodes. The order is that of a node and a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Usual,
    /// That of requests, where it is another.
    Request,
}

/// An event for the sockets of all nodes.
pub(super) struct Sent {
    node: u64,
    at: Time,
    pub(super) namespace: usize,
    pub(super) target: Target,
    pub(super) is_volatile: bool,
    way: Way,
    /// The bus has doubled it, or may have.
    is_doubled: bool,
}

impl Books {
    pub(super) const fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The number of the last event.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn open(
        &mut self,
        now: Time,
        node: u64,
        namespace: usize,
        key: SocketKey,
        id: &str,
    ) {
        let account = Account {
            node,
            namespace,
            rooms: BTreeSet::new(),
            history: vec![(now, BTreeSet::new())],
            owed: VecDeque::new(),
            ahead: Ahead::default(),
            got_own: BTreeSet::new(),
            got: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            stay: Stay::Connected,
            restored: 0,
            is_over: false,
            is_lost: false,
        };
        let before = self.accounts.insert(id.to_owned(), account);
        assert!(before.is_none(), "{id} is the id of two sockets");
        self.keys.entry(node).or_default().insert(key, id.to_owned());
        self.totals.sockets += 1;
    }

    pub(super) fn id(&self, node: u64, key: SocketKey) -> &str {
        let id = self.keys.get(&node).and_then(|keys| keys.get(&key));
        id.unwrap_or_else(|| panic!("{key:?} is no socket of node {node}"))
    }

    /// The namespace of a socket.
    pub(super) fn namespace(&self, id: &str) -> usize {
        self.accounts.get(id).map_or(0, |account| account.namespace)
    }

    /// The keys of the sockets of a node.
    pub(super) fn of_node(&self, node: u64) -> Vec<SocketKey> {
        self.keys.get(&node).into_iter().flat_map(BTreeMap::keys).copied().collect()
    }

    /// The sockets of a node that a target selects, each with its rooms, its own among them.
    pub(super) fn select(&self, node: u64, namespace: usize, target: &Target) -> Selected {
        let ids = self.keys.get(&node).into_iter().flat_map(BTreeMap::values);
        let accounts = ids.filter_map(|id| Some((id, self.accounts.get(id)?)));
        let selected = accounts.filter(|(id, it)| it.matches(id, node, namespace, target));
        let rooms = |id: &String, account: &Account| {
            account.rooms.iter().cloned().chain([id.clone()]).collect()
        };
        selected.map(|(id, account)| (id.clone(), rooms(id, account))).collect()
    }

    /// A node sends an event to sockets of all nodes.
    pub(super) fn send(
        &mut self,
        (now, number): (Time, u64),
        node: u64,
        namespace: usize,
        target: &Target,
        (way, is_volatile): (Way, bool),
    ) {
        let (target, is_doubled) = (target.clone(), false);
        let sent = Sent { node, at: now, namespace, target, is_volatile, way, is_doubled };
        self.sent.insert(number, sent);
        self.totals.sent += 1;
    }

    /// A node delivers an event to its sockets.
    pub(super) fn deliver(&mut self, node: u64, number: u64) {
        self.deliver_at(node, number, Place::Nowhere);
    }

    /// The node that has sent an event.
    pub(super) fn sender(&self, number: u64) -> u64 {
        let sent = self.sent.get(&number).map(|sent| sent.node);
        sent.unwrap_or_else(|| panic!("event {number} comes, and nobody has sent it"))
    }

    /// An event comes to a node as it was sent.
    pub(super) fn check_sent(&self, namespace: usize, number: u64, target: &Target) {
        let is_same = |sent: &Sent| sent.namespace == namespace && same(&sent.target, target);
        let is_same = self.sent.get(&number).is_some_and(is_same);
        assert!(is_same, "event {number} comes otherwise than it was sent");
    }

    pub(super) fn doubled(&mut self, number: u64) {
        if let Some(sent) = self.sent.get_mut(&number) {
            sent.is_doubled = true;
        }
    }

    pub(super) fn is_doubled(&self, number: u64) -> bool {
        self.sent.get(&number).is_some_and(|sent| sent.is_doubled)
    }

    /// An event comes to the client of a socket. `is_ordered` is whether the bus keeps the order of each node.
    pub(super) fn receive(&mut self, now: Time, id: &str, number: u64, is_ordered: bool) {
        let Some(account) = self.accounts.get_mut(id) else { panic!("there is no socket {id}") };
        let Some(sent) = self.sent.get(&number) else {
            panic!("{id} gets event {number}, which nobody has sent")
        };
        let is_remote = sent.node != account.node;
        self.totals.received[0] += 1;
        self.totals.received[1] += u64::from(is_remote);
        assert!(account.was_meant(id, sent, now), "{id} gets event {number}, which is not for it");
        let last = account.got.insert((sent.node, sent.way), number).unwrap_or_default();
        assert!(
            number > last || sent.is_doubled || !is_ordered,
            "{id} gets event {number} of node {} behind {last}",
            sent.node
        );
        while let Some(owed) = account.owed.pop_front() {
            if owed.number == number {
                if owed.place == Place::Own {
                    account.got_own.insert(number);
                    // It is the same event at its entry.
                    account.owed.retain(|owed| owed.number != number);
                }
                return;
            }
            let lost = owed.number;
            assert!(owed.may_miss, "{id} gets event {number}, and has not got {lost}");
        }
        panic!("{id} gets event {number} twice, or its node has not sent it");
    }

    pub(super) fn acknowledges(&mut self, id: &str, number: u64) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.acknowledged.insert(number);
        }
    }

    /// An acknowledgement comes to the node that waits for it.
    pub(super) fn check_acknowledged(&self, id: &str, number: u64) {
        let account = self.accounts.get(id);
        let is_true = account.is_none_or(|account| account.acknowledged.contains(&number));
        assert!(is_true, "{id} has not acknowledged event {number}");
    }

    /// Joins a room, or leaves it. Returns whether that changes anything.
    pub(super) fn change_room(&mut self, now: Time, id: &str, room: &str, joins: bool) -> bool {
        let Some(account) = self.accounts.get_mut(id) else { panic!("there is no socket {id}") };
        let rooms = &mut account.rooms;
        let changes = if joins { rooms.insert(room.to_owned()) } else { rooms.remove(room) };
        if changes {
            account.history.push((now, account.rooms.clone()));
        }
        changes
    }

    /// A node changes the rooms of its sockets.
    pub(super) fn change_rooms(
        &mut self,
        now: Time,
        node: u64,
        namespace: usize,
        (target, rooms): (&Target, &[Room]),
        joins: bool,
    ) {
        for id in self.select(node, namespace, target).into_keys() {
            for room in rooms {
                self.change_room(now, &id, room, joins);
            }
        }
    }

    /// A node carries out an operation of another.
    pub(super) fn carry_out(&mut self, now: Time, node: u64, namespace: usize, with: &Operation) {
        match with {
            Operation::Join { target, rooms } => {
                self.change_rooms(now, node, namespace, (target, rooms), true);
            }
            Operation::Leave { target, rooms } => {
                self.change_rooms(now, node, namespace, (target, rooms), false);
            }
            _ => {}
        }
        self.totals.carried += 1;
    }

    pub(super) fn check_rooms<'a>(
        &self,
        node: u64,
        key: SocketKey,
        rooms: impl Iterator<Item = &'a Room>,
    ) {
        let rooms: BTreeSet<_> = rooms.map(|room| room.as_str().to_owned()).collect();
        let account = self.accounts.get(self.id(node, key));
        assert_eq!(Some(&rooms), account.map(|account| &account.rooms), "rooms of {key:?}");
    }

    /// A node has lost a socket, which may come back if it says so.
    pub(super) fn disconnected(&mut self, now: Time, node: u64, key: SocketKey, may_return: bool) {
        let Some(id) = self.keys.get_mut(&node).and_then(|keys| keys.remove(&key)) else {
            panic!("{key:?} of node {node} is over twice");
        };
        if may_return {
            return self.waits(now, &id);
        }
        if let Some(account) = self.accounts.get_mut(&id) {
            account.is_over = true;
            if account.is_lost {
                self.accounts.remove(&id);
            }
        }
    }

    /// A node is gone, with all its sockets.
    pub(super) fn crashed(&mut self, node: u64) {
        for key in self.of_node(node) {
            self.disconnected(Time::ZERO, node, key, false);
        }
    }

    /// The client knows nothing of this socket any more.
    pub(super) fn lost(&mut self, id: &str) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.is_lost = true;
            if account.is_over {
                self.accounts.remove(id);
            }
        }
    }

    /// The client of this socket is connected at both sides and has got all.
    pub(super) fn check_complete(&self, id: &str) {
        let Some(account) = self.accounts.get(id) else { panic!("there is no socket {id}") };
        let is_there = !account.is_over && account.stay == Stay::Connected;
        assert!(is_there, "{id} is there on one side only");
        let missing = account.owed.iter().find(|owed| !owed.may_miss).map(|owed| owed.number);
        let missing = missing.or(account.ahead.missing());
        assert_eq!(missing, None, "{id} has not got all");
    }

    /// A socket has got this event, the last of its node, if it was there when it was sent.
    pub(super) fn check_got(&self, id: &str, number: u64) {
        let (Some(account), Some(sent)) = (self.accounts.get(id), self.sent.get(&number)) else {
            panic!("there is no {id}, or no event {number}")
        };
        let was_there = account.history.first().is_some_and(|(since, _)| *since <= sent.at);
        let got = account.got.get(&(sent.node, sent.way));
        assert!(!was_there || got == Some(&number), "{id} has not got event {number}");
    }

    pub(super) fn check_none_left(&self) {
        let left = self.keys.values().find(|keys| !keys.is_empty());
        assert_eq!(left, None, "sockets are left in the books");
    }
}

impl Account {
    pub(super) fn matches(&self, id: &str, node: u64, namespace: usize, target: &Target) -> bool {
        self.node == node
            && self.stay == Stay::Connected
            && self.namespace == namespace
            && !self.is_over
            && target.matches(|room| room == id || self.rooms.contains(room))
    }

    /// Whether the target of an event has selected it at any moment since it was sent.
    fn was_meant(&self, id: &str, sent: &Sent, now: Time) -> bool {
        let ends = self.history.iter().skip(1).map(|(until, _)| *until).chain([now]);
        let mut states = self.history.iter().zip(ends).filter(|(_, until)| *until >= sent.at);
        self.namespace == sent.namespace
            && states.any(|((_, rooms), _)| {
                sent.target.matches(|room| room == id || rooms.contains(room))
            })
    }
}

/// Whether two targets are the same, in whatever order the rooms are.
fn same(one: &Target, other: &Target) -> bool {
    let set = |rooms: &[Room]| rooms.iter().cloned().collect::<BTreeSet<_>>();
    set(&one.rooms) == set(&other.rooms) && set(&one.except) == set(&other.except)
}

impl Add for ClusterTotals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let add = |one: [u64; 2], other: [u64; 2]| [one[0] + other[0], one[1] + other[1]];
        Self {
            sockets: self.sockets + other.sockets,
            moved: self.moved + other.moved,
            sent: self.sent + other.sent,
            received: add(self.received, other.received),
            carried: self.carried + other.carried,
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            requests: add(self.requests, other.requests),
            missing: add(self.missing, other.missing),
            acknowledged: self.acknowledged + other.acknowledged,
            untold: add(self.untold, other.untold),
            restored: add(self.restored, other.restored),
            refused: self.refused + other.refused,
            taken: self.taken + other.taken,
            read: self.read + other.read,
            resent: self.resent + other.resent,
            crashes: self.crashes + other.crashes,
            cuts: self.cuts + other.cuts,
        }
    }
}
