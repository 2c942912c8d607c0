//! Commands for the broker.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use bytes::Bytes;

use super::channel::public_part;
use crate::cluster::{AppendId, RequestId};

/// Source of messages that a broker is asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subscription {
    /// A channel: SUBSCRIBE, or LISTEN.
    Channel(Arc<str>),
    /// All channels that a glob matches: PSUBSCRIBE. Names in it are escaped.
    Pattern(Arc<str>),
    /// A channel of one shard: SSUBSCRIBE. Each has its own slot in a cluster of Redis.
    Shard(Arc<str>),
    /// A stream: XREAD, from the entries on that are added from now on.
    Stream(Arc<str>),
}

/// Command for the broker. The order of commands is to be kept.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Subscribes. No messages are expected of it twice.
    Subscribe(Subscription),
    /// Ends a subscription.
    Unsubscribe(Subscription),
    /// Publishes a message: PUBLISH, SPUBLISH or NOTIFY.
    Publish {
        /// The channel.
        channel: Arc<str>,
        /// The message.
        message: Bytes,
        /// Whether it is a channel of one shard.
        is_sharded: bool,
        /// Where present, the message is to be stored, and published is what [`AttachmentHead::message`] returns.
        attachment: Option<AttachmentHead>,
    },
    /// Appends an entry to a stream: XADD.
    Append {
        /// The stream.
        stream: Arc<str>,
        /// Names and values of the fields.
        fields: Vec<(&'static str, Bytes)>,
        /// The length to which the stream is trimmed, about.
        max_len: usize,
        /// The append that it is, to be told to [`Cluster::handle_append_failed`] if the broker refuses it.
        ///
        /// [`Cluster::handle_append_failed`]: super::super::Cluster::handle_append_failed
        append: Option<AppendId>,
    },
    /// Stores the state of a socket: SET with PX.
    Store {
        /// The key, which is a secret.
        key: Arc<str>,
        /// The state.
        value: Bytes,
        /// The time after which it is removed.
        lifetime: Duration,
    },
    /// Takes out the state of a socket: GETDEL, or GET and DEL in one transaction.
    ///
    /// [`Wire::handle_taken`](super::Wire::handle_taken) takes the value.
    Take {
        /// The request that it is for.
        request: RequestId,
        /// The key, which is a secret.
        key: Arc<str>,
    },
    /// Reads entries of a stream: XRANGE with COUNT.
    ///
    /// [`Wire::handle_read`](super::Wire::handle_read) takes them.
    Read {
        /// The request that they are for.
        request: RequestId,
        /// The stream.
        stream: Arc<str>,
        /// The first entry, as XRANGE takes it.
        from: String,
        /// The last entry, as XRANGE takes it.
        until: String,
        /// The most entries that are read.
        count: usize,
    },
    /// Counts the subscribers of a channel: PUBSUB NUMSUB or PUBSUB SHARDNUMSUB.
    ///
    /// In a cluster of Redis it is the sum over all masters. [`Wire::handle_count`](super::Wire::handle_count) takes it.
    Count {
        /// The channel.
        channel: Arc<str>,
        /// Whether it is a channel of one shard.
        is_sharded: bool,
        /// The last request that waits for the number.
        request: Option<RequestId>,
    },
    /// Fetches a message that another node has stored apart.
    ///
    /// [`Wire::handle_fetched`](super::Wire::handle_fetched) takes it.
    Fetch {
        /// The channel.
        channel: Arc<str>,
        /// Its number.
        attachment: u64,
    },
}

/// Head of a message that is stored apart, as npm `@socket.io/postgres-adapter` does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentHead {
    pub(super) uid: Arc<str>,
    pub(super) kind: u8,
}

impl AttachmentHead {
    /// Returns the message that stands for the one that was stored under a number.
    pub fn message(&self, attachment: u64) -> String {
        // A uid has no characters that are escaped.
        let Self { uid, kind } = self;
        format!(r#"{{"uid":"{uid}","type":{kind},"attachmentId":"{attachment}"}}"#)
    }
}

impl Subscription {
    /// Returns the name of the channel, pattern or stream.
    pub fn name(&self) -> &str {
        let (Self::Channel(name) | Self::Pattern(name) | Self::Shard(name) | Self::Stream(name)) =
            self;
        name
    }
}

/// Without names of rooms, of which some are secrets.
impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Channel(_) => "Channel",
            Self::Pattern(_) => "Pattern",
            Self::Shard(_) => "Shard",
            Self::Stream(_) => "Stream",
        };
        f.debug_tuple(kind).field(&public_part(self.name())).finish()
    }
}

/// Without names of rooms and contents of messages, of which some are secrets.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribe(subscription) => {
                f.debug_tuple("Subscribe").field(subscription).finish()
            }
            Self::Unsubscribe(subscription) => {
                f.debug_tuple("Unsubscribe").field(subscription).finish()
            }
            Self::Publish { channel, message, is_sharded, attachment } => f
                .debug_struct("Publish")
                .field("channel", &public_part(channel))
                .field("bytes", &message.len())
                .field("is_sharded", is_sharded)
                .field("is_stored_apart", &attachment.is_some())
                .finish(),
            Self::Append { stream, fields, max_len, append } => {
                let bytes = fields.iter().map(|(_, value)| value.len()).sum::<usize>();
                f.debug_struct("Append")
                    .field("stream", stream)
                    .field("bytes", &bytes)
                    .field("max_len", max_len)
                    .field("append", append)
                    .finish()
            }
            Self::Store { value, lifetime, .. } => f
                .debug_struct("Store")
                .field("bytes", &value.len())
                .field("lifetime", lifetime)
                .finish_non_exhaustive(),
            Self::Take { request, .. } => {
                f.debug_struct("Take").field("request", request).finish_non_exhaustive()
            }
            Self::Read { request, stream, from, until, count } => f
                .debug_struct("Read")
                .field("request", request)
                .field("stream", stream)
                .field("from", from)
                .field("until", until)
                .field("count", count)
                .finish(),
            Self::Count { channel, is_sharded, request } => f
                .debug_struct("Count")
                .field("channel", &public_part(channel))
                .field("is_sharded", is_sharded)
                .field("request", request)
                .finish(),
            Self::Fetch { channel, attachment } => f
                .debug_struct("Fetch")
                .field("channel", &public_part(channel))
                .field("attachment", attachment)
                .finish(),
        }
    }
}
