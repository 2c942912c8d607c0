//! Names of channels and streams.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};

use super::{
    command::Subscription,
    config::{Format, StreamsConfig, SubscriptionMode, WireConfig},
};

impl WireConfig {
    /// The channel of a namespace, to which messages for all nodes go.
    ///
    /// Classic: broadcasts only. Its subscribers are counted, but for the classic format.
    pub(super) fn channel(&self, namespace: &str) -> Arc<str> {
        let prefix = &self.prefix;
        match self.format {
            Format::Heartbeats(_) => format!("{prefix}#{namespace}").into(),
            _ => format!("{prefix}#{namespace}#").into(),
        }
    }

    /// The channel of a room, or of a node by its uid.
    pub(super) fn inner_channel(&self, namespace: &str, name: &str) -> Arc<str> {
        format!("{}#{namespace}#{name}#", self.prefix).into()
    }

    /// The channel of requests.
    pub(super) fn requests(&self, namespace: &str) -> Arc<str> {
        match self.format {
            Format::Classic(_) => format!("{}-request#{namespace}#", self.prefix).into(),
            _ => self.channel(namespace),
        }
    }

    /// The channel of classic responses, of those for one node if there is a `uid`.
    pub(super) fn responses(&self, namespace: &str, uid: Option<&str>) -> Arc<str> {
        let prefix = &self.prefix;
        match uid {
            Some(uid) => format!("{prefix}-response#{namespace}#{uid}#").into(),
            None => format!("{prefix}-response#{namespace}#").into(),
        }
    }

    /// Whether messages go to channels of one shard.
    pub(super) fn is_sharded(&self) -> bool {
        match &self.format {
            Format::Sharded(_) => true,
            Format::Streams(streams) => streams.is_sharded,
            Format::Classic(_) | Format::Heartbeats(_) => false,
        }
    }

    /// The subscriptions that a namespace needs, but for the pattern of classic broadcasts.
    pub(super) fn subscriptions(&self, namespace: &str, uid: &str) -> Vec<Subscription> {
        let (channel, own) = (self.channel(namespace), || self.inner_channel(namespace, uid));
        match &self.format {
            Format::Classic(_) => [
                self.requests(namespace),
                self.responses(namespace, None),
                self.responses(namespace, Some(uid)),
            ]
            .map(Subscription::Channel)
            .into(),
            Format::Sharded(_) => [channel, own()].map(Subscription::Shard).into(),
            Format::Streams(streams) => {
                let channels = [channel, own()];
                let channels = channels.into_iter().map(|channel| match streams.is_sharded {
                    true => Subscription::Shard(channel),
                    false => Subscription::Channel(channel),
                });
                channels.chain(streams.all().into_iter().map(Subscription::Stream)).collect()
            }
            Format::Heartbeats(_) => [Subscription::Channel(channel)].into(),
        }
    }

    /// The pattern of the channels of classic broadcasts.
    ///
    /// PSUBSCRIBE takes it for a glob, so the characters of globs in names are escaped.
    pub(super) fn pattern(&self, namespace: &str) -> Subscription {
        let mut pattern = String::new();
        for character in self.channel(namespace).chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('*');
        Subscription::Pattern(pattern.into())
    }
}

impl SubscriptionMode {
    /// Whether a broadcast to this room alone, without acknowledgements, goes to the room's channel.
    ///
    /// All nodes need the same rule. A node of the reference compares the length in units of UTF-16 with that of the
    /// ids of sockets. It does not subscribe to the rooms of sockets whose ids have another length, and loses what is
    /// for them. So nodes of ours subscribe by the rule of the publisher.
    pub(super) fn has_channel(self, room: &str) -> bool {
        match self {
            Self::Static => false,
            Self::Dynamic => room.encode_utf16().take(ID + 1).count() != ID,
            Self::DynamicPrivate => true,
        }
    }
}

impl StreamsConfig {
    /// The stream to which operations of a namespace go.
    ///
    /// The reference's index is negative for some names, because it is the remainder of a signed hash.
    pub(super) fn stream(&self, namespace: &str) -> Arc<str> {
        if self.streams <= 1 {
            return self.stream.as_str().into();
        }
        let hash = namespace
            .encode_utf16()
            .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
        format!("{}-{}", self.stream, hash % i32::from(self.streams)).into()
    }

    /// All streams that a node of any implementation writes to.
    fn all(&self) -> Vec<Arc<str>> {
        if self.streams <= 1 {
            return [self.stream.as_str().into()].into();
        }
        let last = i32::from(self.streams) - 1;
        (-last..=last).map(|index| format!("{}-{index}", self.stream).into()).collect()
    }
}

/// The part of a channel's name without a room or a uid, for errors and logs.
///
/// A room can be the id of a client of Socket.IO 2, which is a secret.
pub(super) fn public_part(channel: &str) -> String {
    let end = channel.match_indices('#').nth(1).map_or(channel.len(), |(at, _)| at + 1);
    let shown = &channel[..end];
    match shown.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => [&shown[..at], ".."].concat(),
        None => shown.to_owned(),
    }
}

/// Characters of a socket's id.
const ID: usize = 20;

/// Characters of a channel's name that errors show.
const MAX_SHOWN: usize = 100;
