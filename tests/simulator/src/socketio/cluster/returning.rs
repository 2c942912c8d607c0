//! Books about sockets that leave one node and come back to any.

use std::{collections::BTreeMap, time::Duration};

use enginewire::Time;
use enginewire_socketio::{adapter::EntryId, hub::SocketKey};

use super::{
    books::{Books, Owed, Sent},
    log::{Place, WINDOW},
    world::NAMESPACES,
};

/// The log that the nodes share, and how far each node has got in it.
#[derive(Default)]
pub(super) struct Places {
    /// The events of the log, by namespace.
    entries: [BTreeMap<EntryId, u64>; NAMESPACES.len()],
    nodes: BTreeMap<(u64, usize), NodeCopy>,
}

/// Copy of the log at a node.
#[derive(Clone, Default)]
struct NodeCopy {
    /// The last entry that has come.
    passed: Option<EntryId>,
    /// Events without an entry, each with the last entry before it.
    own: Vec<(Option<EntryId>, u64)>,
}

/// Stay of a socket at a node, or the time between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    Connected,
    Waiting {
        since: Time,
        /// The last entry that its node had got, and the number of its own events.
        until: (Option<EntryId>, usize),
    },
}

/// Entries for a socket that its last node has got, and that the node where it is now gets later.
#[derive(Default)]
pub(super) struct Ahead {
    until: Option<EntryId>,
    entries: BTreeMap<EntryId, u64>,
}

impl Places {
    fn of(&self, node: u64, namespace: usize) -> NodeCopy {
        self.nodes.get(&(node, namespace)).cloned().unwrap_or_default()
    }
}

impl Ahead {
    /// Whether an entry is for a socket that its rooms say it is for.
    fn is_for(&mut self, id: EntryId, matches: bool) -> bool {
        match Some(id) <= self.until {
            true => self.entries.remove(&id).is_some(),
            false => matches,
        }
    }

    /// Entries that a node should have got.
    pub(super) fn missing(&self) -> Option<u64> {
        self.entries.values().next().copied()
    }
}

impl Books {
    /// The broker adds an event to the log.
    pub(super) fn logged(&mut self, number: u64, id: EntryId) {
        if let Some(Sent { namespace, is_volatile: false, .. }) = self.sent.get(&number) {
            self.places.entries[*namespace].insert(id, number);
        }
    }

    /// A node delivers an event at its place in the log.
    pub(super) fn deliver_at(&mut self, node: u64, number: u64, place: Place) {
        let Some(Sent { namespace, target, is_volatile, .. }) = self.sent.get(&number) else {
            panic!("event {number} comes to node {node}, and nobody has sent it");
        };
        let copy = self.places.nodes.entry((node, *namespace)).or_default();
        match place {
            Place::Entry(id) => {
                let is_known = self.places.entries[*namespace].get(&id) == Some(&number);
                assert!(is_known, "event {number} is not the entry {id} of the log");
                assert!(copy.passed < Some(id), "entry {id} comes behind {:?}", copy.passed);
                copy.passed = Some(id);
            }
            Place::Own => copy.own.push((copy.passed, number)),
            Place::Nowhere => {}
        }
        for (id, account) in &mut self.accounts {
            let matches = account.matches(id, node, *namespace, target);
            let is_here = account.node == node && account.stay == Stay::Connected;
            let is_for = match place {
                Place::Entry(entry) if is_here && account.namespace == *namespace => {
                    account.ahead.is_for(entry, matches)
                }
                _ => matches,
            };
            if is_for {
                let owed = Owed { number, may_miss: *is_volatile, place };
                account.owed.push_back(owed);
            }
        }
    }

    /// A node begins to read the log behind an entry. All before that it reads when it has to.
    pub(super) fn starts(&mut self, node: u64, last: EntryId) {
        for namespace in 0..NAMESPACES.len() {
            let copy = self.places.nodes.entry((node, namespace)).or_default();
            copy.passed = copy.passed.max(Some(last));
        }
    }

    /// A node is told the entry of an event that it has delivered without one.
    pub(super) fn placed_late(&mut self, node: u64, id: EntryId) {
        let number = self.places.entries.iter().enumerate();
        let namespace = number.filter(|(_, entries)| entries.contains_key(&id)).map(|(at, _)| at);
        for namespace in namespace.collect::<Vec<_>>() {
            let copy = self.places.nodes.entry((node, namespace)).or_default();
            copy.passed = copy.passed.max(Some(id));
        }
    }

    /// A socket has lost its connection, and may come back.
    pub(super) fn waits(&mut self, now: Time, id: &str) {
        let Some(account) = self.accounts.get_mut(id) else { return };
        let copy = self.places.of(account.node, account.namespace);
        account.stay = Stay::Waiting { since: now, until: (copy.passed, copy.own.len()) };
        // It may be on its way. If not, it does not come any more.
        let lost = account.owed.iter_mut().filter(|owed| owed.place == Place::Nowhere);
        lost.for_each(|owed| owed.may_miss = true);
    }

    /// A node has restored a socket. `is_here` says that it was there before, and has waited since then.
    pub(super) fn restored(
        &mut self,
        now: Time,
        node: u64,
        key: SocketKey,
        id: &str,
        is_here: bool,
    ) {
        let Some(account) = self.accounts.get_mut(id) else {
            panic!("{id} comes back to node {node}, and was none");
        };
        let Stay::Waiting { since, until: (until, own) } = account.stay else {
            panic!("{id} is restored by node {node}, and is connected to {}", account.node);
        };
        assert!(!account.is_over, "{id} is restored by node {node}, and is over");
        let late = now.since(since);
        assert!(late < WINDOW + ON_THE_WAY, "{id} is restored by node {node} after {late:?}");
        let has_stayed = account.node == node;
        assert!(has_stayed || !is_here, "{id} has waited at another node than {node}");
        self.totals.restored[usize::from(!has_stayed)] += 1;

        let namespace = account.namespace;
        let copy = self.places.of(node, namespace);
        let of_last = self.places.of(account.node, namespace);
        let is_for = |number: &u64| {
            let sent = self.sent.get(number);
            sent.is_some_and(|sent| {
                sent.target.matches(|room| room == id || account.rooms.contains(room))
            })
        };
        // By the entry that each is, or that comes before it.
        let mut owed = BTreeMap::new();
        let mut turn = 0;
        let mut owe = |entry: Option<EntryId>, number: u64, may_miss: bool, place: Place| {
            turn += 1;
            owed.insert((entry, turn), Owed { number, may_miss, place });
        };
        let Ahead { until: before, entries } = std::mem::take(&mut account.ahead);
        let until = until.max(before);
        let mut ahead = BTreeMap::new();
        let mut last = None;
        let entries = entries.into_iter().map(|(entry, number)| (number, Place::Entry(entry)));
        let waiting = account.owed.drain(..).map(|it| (it.number, it.place, it.may_miss));
        let entries = entries.map(|(number, place)| (number, place, false));
        for (number, place, may_miss) in waiting.chain(entries) {
            match place {
                Place::Entry(entry) if Some(entry) > copy.passed => {
                    ahead.insert(entry, number);
                }
                Place::Entry(entry) => {
                    last = Some(entry);
                    owe(last, number, false, place);
                }
                Place::Nowhere => {}
                Place::Own if is_here => {
                    owe(last.max(own_before(&copy, number)), number, may_miss, place);
                }
                Place::Own if may_miss => {}
                // Its node had to be sure that it has this.
                Place::Own => {
                    panic!("{id} is restored by node {node}, and has not got event {number}")
                }
            }
        }
        for (&entry, number) in &self.places.entries[namespace] {
            // Its last node may have delivered it without its entry.
            let was_own = of_last.own.iter().any(|(_, own)| own == number);
            let is_new = Some(entry) > until || was_own;
            if is_new
                && Some(entry) <= copy.passed
                && is_for(number)
                && !account.got_own.contains(number)
            {
                owe(Some(entry), *number, was_own, Place::Entry(entry));
            }
        }
        for (nth, (before, number)) in copy.own.iter().enumerate() {
            let is_new = !is_here || nth >= own;
            if is_new && is_for(number) && !account.got_own.contains(number) {
                owe(*before, *number, !is_here, Place::Own);
            }
        }
        account.owed = owed.into_values().collect();
        self.totals.resent += account.owed.len() as u64;
        account.ahead = Ahead { until: until.filter(|it| Some(*it) > copy.passed), entries: ahead };
        (account.node, account.stay) = (node, Stay::Connected);
        account.restored += 1;
        self.keys.entry(node).or_default().insert(key, id.to_owned());
    }

    /// A client is told that it has its socket again, or another in place of it.
    pub(super) fn told_restored(&mut self, id: &str, before: Option<&str>, is_recovered: bool) {
        if is_recovered {
            assert_eq!(before, Some(id), "a client has recovered the socket of another");
            let was_restored = self.accounts.get(id).is_some_and(|account| account.restored > 0);
            assert!(was_restored, "{id} is said to be recovered, and no node has done so");
        } else if let Some(before) = before {
            assert_ne!(before, id, "{id} is not said to be recovered");
            self.totals.refused += 1;
            self.lost(before);
        }
    }
}

/// The last entry before an event that is a node's own.
fn own_before(copy: &NodeCopy, number: u64) -> Option<EntryId> {
    copy.own.iter().find(|(_, of)| *of == number).and_then(|(before, _)| *before)
}

/// Time between the end of a socket and the storing of its state, and between its taking and the restoration.
const ON_THE_WAY: Duration = Duration::from_secs(40);
