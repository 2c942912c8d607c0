//! The namespaces of a node, each with an adapter of its own on the wire.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::ops::Bound;

use super::{
    super::RequestId,
    command::{Command, Subscription},
    config::{Format, WireConfig},
    heartbeat::Heartbeat,
    ids::Ids,
    subscriptions::Subscriptions,
};
use crate::Room;

/// A namespace of this node.
pub(super) struct Namespace {
    pub(super) uid: Arc<str>,
    /// The channel whose subscribers are counted, and to which requests go.
    pub(super) requests: Arc<str>,
    /// Rooms with members here that have a channel.
    rooms: BTreeSet<Room>,
    /// Requests whose nodes are to be counted.
    pub(super) asking: Vec<RequestId>,
    /// Other nodes at the last count, where they are counted.
    pub(super) counted: usize,
    /// Where nodes are known by them.
    pub(super) heartbeat: Option<Heartbeat>,
}

/// All namespaces of this node, by name.
#[derive(Default)]
pub(super) struct Namespaces {
    all: BTreeMap<Arc<str>, Namespace>,
    uids: BTreeSet<Arc<str>>,
}

impl Namespace {
    /// Returns the number of other nodes.
    fn nodes(&self) -> usize {
        self.heartbeat.as_ref().map_or(self.counted, Heartbeat::len)
    }
}

impl Namespaces {
    pub(super) fn get(&self, name: &str) -> Option<(&Arc<str>, &Namespace)> {
        self.all.get_key_value(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Namespace> {
        self.all.get_mut(name)
    }

    /// Whether an adapter is that of a namespace of this node.
    pub(super) fn is_own(&self, uid: &str) -> bool {
        self.uids.contains(uid)
    }

    /// The one that most nodes have as a rule: `/` if it exists. Those of functions begin with no slash.
    pub(super) fn first(&self) -> Option<&Namespace> {
        let mut paths = self.all.range::<str, _>((Bound::Included("/"), Bound::Unbounded));
        paths.next().map(|(_, namespace)| namespace).or_else(|| self.all.values().next())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Namespace)> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Namespace)> {
        self.all.iter_mut()
    }

    /// The largest number of other nodes of a namespace.
    pub(super) fn nodes(&self) -> usize {
        self.all.values().map(Namespace::nodes).max().unwrap_or(0)
    }

    /// The namespace whose name stands between `prefix#` and `end` in the name of a channel.
    pub(super) fn of_channel(
        &self,
        prefix: &str,
        channel: &str,
        end: &str,
    ) -> Option<(&Arc<str>, &Namespace)> {
        self.get(channel.strip_prefix(prefix)?.strip_prefix('#')?.strip_suffix(end)?)
    }

    /// The namespace whose responses come by a channel, the common one or that of this node.
    ///
    /// Names of namespaces may have `#` in them.
    pub(super) fn of_responses(
        &self,
        prefix: &str,
        channel: &str,
    ) -> Option<(&Arc<str>, &Namespace)> {
        self.of_channel(prefix, channel, "#").or_else(|| {
            let (rest, uid) = channel.strip_suffix('#')?.rsplit_once('#')?;
            self.of_channel(prefix, rest, "").filter(|(_, namespace)| *namespace.uid == *uid)
        })
    }

    /// Adds a namespace and its subscriptions. Returns false if it is known.
    pub(super) fn insert(
        &mut self,
        config: &WireConfig,
        ids: &Ids,
        name: &Arc<str>,
        subscriptions: &mut Subscriptions,
        commands: &mut VecDeque<Command>,
    ) -> bool {
        if self.all.contains_key(name) {
            return false;
        }
        // That of another namespace would go with this one.
        let mut attempt = 0;
        let uid = loop {
            let uid = ids.uid(name, attempt);
            if !self.is_own(&uid) {
                break uid;
            }
            attempt += 1;
        };
        for subscription in config.subscriptions(name, &uid) {
            subscriptions.insert(subscription, commands);
        }
        if let Format::Classic(_) = config.format
            && !self.is_covered(name)
        {
            // In this order: what is published in between may come twice, but is not lost.
            subscriptions.insert(config.pattern(name), commands);
            for inner in self.directly_inside(name) {
                subscriptions.remove(config.pattern(&inner), commands);
            }
        }
        let heartbeat = match &config.format {
            Format::Heartbeats(_) => Some(Heartbeat::default()),
            _ => None,
        };
        let namespace = Namespace {
            uid,
            requests: config.requests(name),
            rooms: BTreeSet::new(),
            asking: Vec::new(),
            counted: 0,
            heartbeat,
        };
        self.uids.insert(Arc::clone(&namespace.uid));
        self.all.insert(Arc::clone(name), namespace);
        true
    }

    /// Removes a namespace and its subscriptions.
    pub(super) fn remove(
        &mut self,
        config: &WireConfig,
        name: &str,
        subscriptions: &mut Subscriptions,
        commands: &mut VecDeque<Command>,
    ) {
        let Some(namespace) = self.all.remove(name) else { return };
        self.uids.remove(&namespace.uid);
        for room in &namespace.rooms {
            let channel = config.inner_channel(name, room);
            subscriptions.remove(Subscription::Shard(channel), commands);
        }
        for subscription in config.subscriptions(name, &namespace.uid) {
            subscriptions.remove(subscription, commands);
        }
        if let Format::Classic(_) = config.format
            && !self.is_covered(name)
        {
            for inner in self.directly_inside(name) {
                subscriptions.insert(config.pattern(&inner), commands);
            }
            subscriptions.remove(config.pattern(name), commands);
        }
    }

    /// Subscribes to the channel of a room, or ends that.
    pub(super) fn set_room(
        &mut self,
        config: &WireConfig,
        name: &str,
        room: &Room,
        exists: bool,
        subscriptions: &mut Subscriptions,
        commands: &mut VecDeque<Command>,
    ) {
        let Format::Sharded(mode) = config.format else { return };
        let Some(namespace) = self.all.get_mut(name).filter(|_| mode.has_channel(room)) else {
            return;
        };
        let has_changed = match exists {
            true => namespace.rooms.insert(room.clone()),
            false => namespace.rooms.remove(room),
        };
        if !has_changed {
            return;
        }
        let subscription = Subscription::Shard(config.inner_channel(name, room));
        match exists {
            true => subscriptions.insert(subscription, commands),
            false => subscriptions.remove(subscription, commands),
        }
    }

    /// Whether the pattern of another namespace matches all channels of this one.
    ///
    /// That of `/a` does for `/a#b`. With both, the broker would deliver each message twice.
    fn is_covered(&self, name: &str) -> bool {
        name.match_indices('#').any(|(at, _)| self.all.contains_key(&name[..at]))
    }

    /// The namespaces whose channels the pattern of this one matches, and no other of those.
    fn directly_inside(&self, name: &str) -> Vec<Arc<str>> {
        let start: Arc<str> = [name, "#"].concat().into();
        let inside = self.all.range(Arc::clone(&start)..).map(|(inner, _)| inner);
        let inside = inside.take_while(|inner| inner.starts_with(&*start));
        let is_direct = |inner: &&Arc<str>| {
            let between = inner.match_indices('#').map(|(at, _)| at).filter(|at| *at > name.len());
            !between.into_iter().any(|at| self.all.contains_key(&inner[..at]))
        };
        inside.filter(is_direct).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_whose_uid_another_has_gets_a_further_one() {
        let (config, ids) = (WireConfig::new(Format::Classic(Default::default())), Ids::new(1));
        let mut namespaces = Namespaces::default();
        namespaces.uids.insert(ids.uid("/", 0));
        let (mut subscriptions, mut commands) = Default::default();
        namespaces.insert(&config, &ids, &"/".into(), &mut subscriptions, &mut commands);
        assert_eq!(namespaces.get("/").unwrap().1.uid, ids.uid("/", 1));
    }
}
