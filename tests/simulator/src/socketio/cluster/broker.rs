//! A broker between the nodes: channels, patterns, streams, counts and messages that are stored apart.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use enginewire::Time;
use enginewire_socketio::{
    adapter::EntryId,
    cluster::{
        RequestId,
        wire::{Command, Subscription},
    },
};

/// A node's connection to the broker: its life, and the number of the connection in that.
pub(super) type Link = (u64, u64);

/// A broker as the nodes of a cluster use it.
#[derive(Default)]
pub(super) struct Broker {
    subscriptions: BTreeMap<Link, BTreeSet<Subscription>>,
    /// Connections that are lost, on which nothing comes any more.
    lost: BTreeSet<Link>,
    /// The entries that each stream has had.
    streams: BTreeMap<Arc<str>, u64>,
    /// The log that nodes share, if they do.
    log: Option<Log>,
    /// A rule is broken: states that are taken stay.
    pub(super) keeps_states: bool,
    /// Messages that are stored apart.
    attachments: BTreeMap<u64, Bytes>,
}

/// The last entries of the streams, and the states of sockets.
struct Log {
    entries: BTreeMap<Arc<str>, VecDeque<(u64, Fields)>>,
    max_entries: usize,
    /// Each with the time at which it is forgotten.
    states: BTreeMap<Arc<str>, (Time, Bytes)>,
}

/// Names and values of the fields of an entry.
pub(super) type Fields = Vec<(&'static str, Bytes)>;

/// Delivery of the broker to a node.
#[derive(Clone)]
pub(super) enum Delivery {
    Published {
        channel: Arc<str>,
        message: Bytes,
    },
    Fetched {
        channel: Arc<str>,
        message: Bytes,
    },
    Entry {
        stream: Arc<str>,
        id: String,
        fields: Fields,
    },
    /// A stream is read from behind this entry on.
    Position {
        stream: Arc<str>,
        last: u64,
    },
    Taken {
        request: RequestId,
        value: Option<Bytes>,
    },
    Read {
        request: RequestId,
        entries: Vec<(u64, Fields)>,
    },
    Count {
        channel: Arc<str>,
        request: Option<RequestId>,
        subscribers: usize,
    },
}

impl Broker {
    /// A broker whose streams keep so many entries for clients that recover, if they do.
    pub(super) fn new(entries: Option<usize>) -> Self {
        let log =
            |max_entries| Log { entries: BTreeMap::new(), max_entries, states: BTreeMap::new() };
        Self { log: entries.map(log), ..Self::default() }
    }

    /// The id that the next entry of the only stream gets.
    pub(super) fn next_entry(&self) -> EntryId {
        EntryId { time: self.streams.values().next().map_or(1, |count| count + 1), sequence: 0 }
    }

    /// Carries out a command. Returns what it delivers, and to whom.
    ///
    /// `read` is the last entry that a node has got of a stream to which it subscribes.
    pub(super) fn handle(
        &mut self,
        now: Time,
        from: Link,
        command: Command,
        read: Option<u64>,
    ) -> Vec<(Link, Delivery)> {
        if self.lost.contains(&from) {
            return Vec::new();
        }
        match command {
            Command::Subscribe(subscription) => {
                let stream = match &subscription {
                    Subscription::Stream(stream) => Some(Arc::clone(stream)),
                    _ => None,
                };
                let is_new = self.subscriptions.entry(from).or_default().insert(subscription);
                assert!(is_new, "{from:?} subscribes twice");
                if let (Some(stream), Some(log)) = (stream, &self.log) {
                    let last = self.streams.get(&stream).copied().unwrap_or_default();
                    return log.missed(from, &stream, read.unwrap_or(last));
                }
            }
            Command::Unsubscribe(subscription) => {
                let of = self.subscriptions.entry(from).or_default();
                assert!(of.remove(&subscription), "{from:?} ends what it has not subscribed to");
            }
            Command::Publish { channel, mut message, is_sharded, attachment } => {
                if let Some(head) = attachment {
                    let id = self.attachments.len() as u64 + 1;
                    self.attachments.insert(id, message);
                    message = head.message(id).into();
                }
                let delivery = Delivery::Published { channel: Arc::clone(&channel), message };
                return self.to_subscribers(&delivery, |it| listens(it, &channel, is_sharded));
            }
            Command::Append { stream, fields, .. } => {
                let count = self.streams.entry(Arc::clone(&stream)).or_default();
                *count += 1;
                if let Some(log) = &mut self.log {
                    log.append(&stream, *count, &fields);
                }
                let id = format!("{count}-0");
                let delivery = Delivery::Entry { stream: Arc::clone(&stream), id, fields };
                let is_of =
                    |it: &Subscription| matches!(it, Subscription::Stream(of) if *of == stream);
                return self.to_subscribers(&delivery, is_of);
            }
            Command::Count { channel, is_sharded, request } => {
                let counts = |it: &Subscription| {
                    !matches!(it, Subscription::Pattern(_)) && listens(it, &channel, is_sharded)
                };
                let nodes = self.subscriptions.values().filter(|all| all.iter().any(counts));
                let subscribers = nodes.count();
                return vec![(from, Delivery::Count { channel, request, subscribers })];
            }
            Command::Fetch { channel, attachment } => {
                let message = self.attachments.get(&attachment).cloned();
                let message = message.unwrap_or_else(|| panic!("there is no {attachment}"));
                return vec![(from, Delivery::Fetched { channel, message })];
            }
            command => {
                let log = self.log.as_mut();
                let log = log.unwrap_or_else(|| panic!("the broker has no log for {command:?}"));
                let delivery = log.handle(now, command, self.keeps_states);
                return delivery.into_iter().map(|delivery| (from, delivery)).collect();
            }
        }
        Vec::new()
    }

    /// A connection is lost.
    pub(super) fn lose(&mut self, link: Link) {
        self.subscriptions.remove(&link);
        self.lost.insert(link);
    }

    pub(super) fn is_lost(&self, link: Link) -> bool {
        self.lost.contains(&link)
    }

    /// Whether nobody listens to anything.
    pub(super) fn is_idle(&self) -> bool {
        self.subscriptions.values().all(BTreeSet::is_empty)
    }

    /// One for each subscription, as Redis does it.
    fn to_subscribers(
        &self,
        delivery: &Delivery,
        listens: impl Fn(&Subscription) -> bool,
    ) -> Vec<(Link, Delivery)> {
        let each = self.subscriptions.iter().flat_map(|(link, all)| {
            all.iter().filter(|it| listens(it)).map(|_| (*link, delivery.clone()))
        });
        each.collect()
    }
}

impl Log {
    fn append(&mut self, stream: &Arc<str>, number: u64, fields: &Fields) {
        let entries = self.entries.entry(Arc::clone(stream)).or_default();
        entries.push_back((number, fields.clone()));
        if entries.len() > self.max_entries {
            entries.pop_front();
        }
    }

    /// The entries of a stream that a node has missed, which begins to read it behind `read`.
    fn missed(&self, to: Link, stream: &Arc<str>, read: u64) -> Vec<(Link, Delivery)> {
        let position = Delivery::Position { stream: Arc::clone(stream), last: read };
        let entries = self.entries.get(stream).into_iter().flatten();
        let missed = entries.filter(|(number, _)| *number > read).map(|(number, fields)| {
            let (stream, id) = (Arc::clone(stream), format!("{number}-0"));
            Delivery::Entry { stream, id, fields: fields.clone() }
        });
        [position].into_iter().chain(missed).map(|delivery| (to, delivery)).collect()
    }

    fn handle(&mut self, now: Time, command: Command, keeps_states: bool) -> Option<Delivery> {
        match command {
            Command::Store { key, value, lifetime } => {
                self.states.insert(key, (now + lifetime, value));
                None
            }
            Command::Take { request, key } => {
                let state = match keeps_states {
                    true => self.states.get(&key).cloned(),
                    false => self.states.remove(&key),
                };
                let value = state.filter(|(until, _)| now < *until).map(|(_, value)| value);
                Some(Delivery::Taken { request, value })
            }
            Command::Read { request, stream, from, until, count } => {
                let number = |id: &str| id.split('-').next().and_then(|id| id.parse::<u64>().ok());
                let from = from.parse::<EntryId>().unwrap_or_else(|error| panic!("{error}"));
                let is_in = |id: u64| {
                    let is_before = until == "+" || number(&until[1..]).is_some_and(|it| id < it);
                    EntryId { time: id, sequence: 0 } >= from && is_before
                };
                let entries = self.entries.get(&stream).into_iter().flatten();
                let entries = entries.filter(|(id, _)| is_in(*id)).take(count).cloned().collect();
                Some(Delivery::Read { request, entries })
            }
            other => panic!("the broker knows no {other:?}"),
        }
    }
}

impl Delivery {
    /// The bytes that make it up, for the log.
    pub(super) fn bytes(&self) -> Vec<&[u8]> {
        match self {
            Self::Published { message, .. } | Self::Fetched { message, .. } => vec![message],
            Self::Entry { fields, .. } => fields.iter().map(|(_, value)| &value[..]).collect(),
            Self::Count { .. } | Self::Position { .. } | Self::Taken { .. } | Self::Read { .. } => {
                Vec::new()
            }
        }
    }
}

fn listens(subscription: &Subscription, channel: &str, is_sharded: bool) -> bool {
    match subscription {
        Subscription::Channel(name) => !is_sharded && **name == *channel,
        Subscription::Shard(name) => is_sharded && **name == *channel,
        Subscription::Pattern(pattern) => {
            // Patterns here have one asterisk, at the end, and no character that is escaped.
            !is_sharded && pattern.strip_suffix('*').is_some_and(|name| channel.starts_with(name))
        }
        Subscription::Stream(_) => false,
    }
}
