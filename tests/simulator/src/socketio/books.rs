//! Books: what each socket is to get, who is where, and what is to be acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Add,
    time::Duration,
};

use enginewire::Time;
use enginewire_socketio::{
    AckError, Room,
    adapter::Target,
    hub::{AskId, GroupId, SocketKey},
};

/// The books about all sockets.
#[derive(Default)]
pub(super) struct Books {
    /// By id. Those that are over stay until their client knows.
    accounts: BTreeMap<String, Account>,
    keys: BTreeMap<SocketKey, String>,
    asks: BTreeMap<AskId, Ask>,
    groups: BTreeMap<GroupId, BTreeSet<String>>,
    /// The number of the last event.
    last: u64,
    /// Time in which a client can come back, if it can.
    pub(super) window: Option<Duration>,
    pub(super) totals: Totals,
}

/// Outcome of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sockets that were accepted.
    pub sockets: u64,
    /// The most that were connected at the same time.
    pub most: u64,
    /// Events that clients got.
    pub received: u64,
    /// Events that the server got.
    pub taken: u64,
    /// Times that a socket was recovered.
    pub recovered: u64,
    /// Clients that were disconnected because they had no room.
    pub overflows: u64,
    /// Acknowledgements that came, failed at the deadline, and with the end of a socket.
    pub acknowledged: [u64; 3],
    /// Volatile events that were dropped.
    pub dropped: u64,
}

impl Add for Totals {
    type Output = Self;

    /// Of two worlds, of which `most` counts both.
    fn add(self, other: Self) -> Self {
        let of = |nth: usize| self.acknowledged[nth] + other.acknowledged[nth];
        Self {
            sockets: self.sockets + other.sockets,
            most: self.most + other.most,
            received: self.received + other.received,
            taken: self.taken + other.taken,
            recovered: self.recovered + other.recovered,
            overflows: self.overflows + other.overflows,
            acknowledged: [of(0), of(1), of(2)],
            dropped: self.dropped + other.dropped,
        }
    }
}

/// One socket. One that comes back is the same.
pub(super) struct Account {
    pub(super) namespace: usize,
    pub(super) key: SocketKey,
    pub(super) pid: Option<String>,
    pub(super) life: Life,
    rooms: BTreeSet<String>,
    /// Events that were sent to it, and have not come.
    owed: VecDeque<Owed>,
    /// The number of the last event that has come.
    got: u64,
    /// The server has disconnected it, when this event was the last.
    kicked: Option<u64>,
    /// Events of the client that have come over this connection.
    pub(super) taken: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Connected,
    /// It has lost its connection at this time, and may come back.
    Waiting(Time),
    Over,
}

struct Owed {
    number: u64,
    kind: Kind,
}

/// Promise about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It comes, also after a recovery.
    Reliable,
    /// It comes while the connection lives.
    Acknowledged,
    /// It may be missing.
    Optional,
}

struct Ask {
    key: SocketKey,
    deadline: Time,
}

impl Books {
    pub(super) fn new(window: Option<Duration>) -> Self {
        Self { window, ..Self::default() }
    }

    pub(super) const fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn open(&mut self, namespace: usize, key: SocketKey, id: &str) {
        let account = Account {
            namespace,
            key,
            pid: None,
            life: Life::Connected,
            rooms: BTreeSet::new(),
            owed: VecDeque::new(),
            got: 0,
            kicked: None,
            taken: 0,
        };
        let before = self.accounts.insert(id.to_owned(), account);
        assert!(before.is_none(), "{id} is the id of two sockets");
        self.keys.insert(key, id.to_owned());
        self.totals.sockets += 1;
        let connected = self.accounts.values().filter(|it| it.life == Life::Connected).count();
        self.totals.most = self.totals.most.max(connected as u64);
    }

    pub(super) fn id(&self, key: SocketKey) -> Option<&str> {
        self.keys.get(&key).map(String::as_str)
    }

    pub(super) fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.get(id)
    }

    pub(super) fn account_mut(&mut self, id: &str) -> &mut Account {
        self.accounts.get_mut(id).unwrap_or_else(|| panic!("there is no socket {id}"))
    }

    pub(super) fn of(&mut self, key: SocketKey) -> &mut Account {
        let id = self.keys.get(&key).unwrap_or_else(|| panic!("{key:?} is no socket"));
        self.accounts.get_mut(id).unwrap_or_else(|| panic!("there is no socket {id}"))
    }

    /// The keys of connected sockets, in the order of their ids.
    pub(super) fn connected(&self) -> Vec<SocketKey> {
        let connected = self.accounts.values().filter(|it| it.life == Life::Connected);
        connected.map(|account| account.key).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }

    /// The connected sockets of a namespace that a target selects.
    pub(super) fn select(&self, namespace: usize, target: &Target) -> BTreeSet<SocketKey> {
        let members = self.accounts.iter().filter(|(id, account)| {
            account.life == Life::Connected && account.matches(id, namespace, target)
        });
        members.map(|(_, account)| account.key).collect()
    }

    /// An event is sent to all that a target selects. Those that may come back will have missed it.
    pub(super) fn broadcast(&mut self, namespace: usize, target: &Target, number: u64, kind: Kind) {
        for (id, account) in &mut self.accounts {
            if account.life != Life::Over && account.matches(id, namespace, target) {
                let is_there = account.life == Life::Connected || kind == Kind::Reliable;
                let kind = if is_there { kind } else { Kind::Optional };
                account.owed.push_back(Owed { number, kind });
            }
        }
    }

    /// An event is sent to one socket.
    pub(super) fn send(&mut self, key: SocketKey, number: u64, kind: Kind) {
        self.of(key).owed.push_back(Owed { number, kind });
    }

    pub(super) fn receive(&mut self, id: &str, number: u64) {
        self.totals.received += 1;
        let account = self.account_mut(id);
        assert!(number > account.got, "{id} gets event {number} twice or out of order");
        while let Some(owed) = account.owed.pop_front() {
            if owed.number == number {
                account.got = number;
                return;
            }
            let lost = owed.number;
            assert!(
                owed.kind == Kind::Optional,
                "{id} gets event {number}, and has not got {lost}"
            );
            assert!(lost < number, "{id} gets event {number}, which is not for it");
        }
        panic!("{id} gets event {number}, which is not for it");
    }

    /// Joins a room, or leaves it. Returns whether that changes anything.
    pub(super) fn change_room(&mut self, key: SocketKey, room: &str, joins: bool) -> bool {
        let rooms = &mut self.of(key).rooms;
        if joins { rooms.insert(room.to_owned()) } else { rooms.remove(room) }
    }

    pub(super) fn check_rooms<'a>(
        &mut self,
        key: SocketKey,
        rooms: impl Iterator<Item = &'a Room>,
    ) {
        let rooms: BTreeSet<_> = rooms.map(|room| room.as_str().to_owned()).collect();
        assert_eq!(rooms, self.of(key).rooms, "rooms of {key:?}");
    }

    pub(super) fn kick(&mut self, key: SocketKey) {
        let last = self.last;
        self.of(key).kicked.get_or_insert(last);
    }

    pub(super) fn disconnected(&mut self, now: Time, key: SocketKey, may_return: bool) {
        let waits = self.asks.iter().find(|(_, ask)| ask.key == key);
        assert!(
            waits.is_none(),
            "{waits:?} is over and owes an acknowledgement",
            waits = waits.map(|it| it.0)
        );
        let may_return = may_return && self.window.is_some();
        let account = self.of(key);
        assert_eq!(account.life, Life::Connected, "{key:?} is over twice");
        account.life = if may_return { Life::Waiting(now) } else { Life::Over };
        for owed in &mut account.owed {
            if owed.kind == Kind::Acknowledged {
                owed.kind = Kind::Optional;
            }
        }
    }

    pub(super) fn recovered(&mut self, key: SocketKey, before: SocketKey) {
        self.totals.recovered += 1;
        let Some(id) = self.keys.remove(&before) else {
            panic!("{before:?} comes back, which is none")
        };
        let account = self.account_mut(&id);
        assert!(
            matches!(account.life, Life::Waiting(_)),
            "{id} comes back, and is {:?}",
            account.life
        );
        (account.life, account.key, account.taken) = (Life::Connected, key, 0);
        self.keys.insert(key, id);
    }

    pub(super) fn forgotten(&mut self, now: Time, key: SocketKey) {
        let Some(window) = self.window else { panic!("{key:?} is forgotten without recovery") };
        let account = self.of(key);
        let Life::Waiting(since) = account.life else {
            panic!("{key:?} is forgotten, and did not wait")
        };
        assert!(now >= since + window, "{key:?} is forgotten after {:?}", now.since(since));
        account.life = Life::Over;
    }

    /// A client that has this secret id gets a new socket, or is asked about.
    pub(super) fn check_new(&self, now: Time, pid: &str) {
        let Some(window) = self.window else { return };
        let old = self.accounts.iter().find(|(_, account)| account.pid.as_deref() == Some(pid));
        if let Some((id, Account { life: Life::Waiting(since), .. })) = old {
            assert!(now >= *since + window, "{id} is not recovered after {:?}", now.since(*since));
        }
    }

    /// The client is disconnected from its socket by the server.
    pub(super) fn client_kicked(&mut self, id: &str) {
        let account = self.account_mut(id);
        let Some(last) = account.kicked else { panic!("{id} is disconnected by nobody") };
        let missing =
            account.owed.iter().find(|owed| owed.number <= last && owed.kind == Kind::Reliable);
        assert!(
            missing.is_none(),
            "{id} is disconnected before event {:?}",
            missing.map(|it| it.number)
        );
    }

    /// The client knows nothing of this socket any more.
    pub(super) fn close(&mut self, id: &str) {
        if let Some(account) = self.accounts.get(id)
            && account.life == Life::Over
        {
            self.keys.remove(&account.key);
            self.accounts.remove(id);
        }
    }

    /// Forgets the sockets that are over, when all clients have gone.
    pub(super) fn close_all(&mut self) {
        self.accounts.retain(|_, account| account.life != Life::Over);
    }

    pub(super) fn asked(&mut self, ask: AskId, deadline: Time) {
        self.asks.insert(ask, Ask { key: ask.socket(), deadline });
    }

    pub(super) fn acknowledged(&mut self, now: Time, ask: AskId, error: Option<AckError>) {
        let Some(Ask { deadline, .. }) = self.asks.remove(&ask) else {
            panic!("{ask:?} comes to an end twice");
        };
        assert!(now <= deadline, "{ask:?} comes to an end after its deadline");
        if error == Some(AckError::Timeout) {
            assert!(now == deadline, "{ask:?} expires before its deadline");
        }
        self.count(error);
    }

    fn count(&mut self, error: Option<AckError>) {
        let kind = match error {
            None => 0,
            Some(AckError::Timeout) => 1,
            Some(_) => 2,
        };
        self.totals.acknowledged[kind] += 1;
    }

    pub(super) fn asked_many(&mut self, group: GroupId, recipients: BTreeSet<String>) {
        self.groups.insert(group, recipients);
    }

    pub(super) fn group_acknowledged(&mut self, group: GroupId, id: &str, error: Option<AckError>) {
        let expected = self.groups.get_mut(&group).is_some_and(|group| group.remove(id));
        assert!(expected, "{id} acknowledges {group:?}, which is not expected");
        self.count(error);
    }

    pub(super) fn group_completed(&mut self, group: GroupId) {
        let left = self.groups.remove(&group);
        assert_eq!(left.map(|left| left.len()), Some(0), "{group:?} is complete");
    }

    pub(super) fn check_no_asks(&self) {
        assert!(self.asks.is_empty(), "acknowledgements are waited for: {}", self.asks.len());
        assert!(self.groups.is_empty(), "broadcasts wait for acknowledgements");
    }
}

impl Account {
    fn matches(&self, id: &str, namespace: usize, target: &Target) -> bool {
        self.namespace == namespace
            && target.matches(|room| room == id || self.rooms.contains(room))
    }

    /// The first event that should have come and has not.
    pub(super) fn missing(&self) -> Option<u64> {
        self.owed.iter().find(|owed| owed.kind != Kind::Optional).map(|owed| owed.number)
    }
}
