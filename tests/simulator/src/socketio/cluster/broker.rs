//! A broker between the nodes: channels, patterns, streams, counts and messages that are stored apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use enginewire_socketio::cluster::{
    RequestId,
    wire::{Command, Subscription},
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
    /// Messages that are stored apart.
    attachments: BTreeMap<u64, Bytes>,
}

/// Delivery of the broker to a node.
#[derive(Clone)]
pub(super) enum Delivery {
    Published { channel: Arc<str>, message: Bytes },
    Fetched { channel: Arc<str>, message: Bytes },
    Entry { stream: Arc<str>, id: String, fields: Vec<(&'static str, Bytes)> },
    Count { channel: Arc<str>, request: Option<RequestId>, subscribers: usize },
}

impl Broker {
    /// Carries out a command. Returns what it delivers, and to whom.
    pub(super) fn handle(&mut self, from: Link, command: Command) -> Vec<(Link, Delivery)> {
        if self.lost.contains(&from) {
            return Vec::new();
        }
        match command {
            Command::Subscribe(subscription) => {
                let is_new = self.subscriptions.entry(from).or_default().insert(subscription);
                assert!(is_new, "{from:?} subscribes twice");
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
            other => panic!("the broker knows no {other:?}"),
        }
        Vec::new()
    }

    /// A connection is lost.
    pub(super) fn lose(&mut self, link: Link) {
        self.subscriptions.remove(&link);
        self.lost.insert(link);
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

impl Delivery {
    /// The bytes that make it up, for the log.
    pub(super) fn bytes(&self) -> Vec<&[u8]> {
        match self {
            Self::Published { message, .. } | Self::Fetched { message, .. } => vec![message],
            Self::Entry { fields, .. } => fields.iter().map(|(_, value)| &value[..]).collect(),
            Self::Count { .. } => Vec::new(),
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
