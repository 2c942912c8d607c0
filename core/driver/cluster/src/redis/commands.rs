//! Commands of a wire as those of Redis.

use std::sync::Arc;

use enginewire_socketio::cluster::{
    AppendId, RequestId,
    wire::{Command, Subscription},
};

use super::{
    link::Responds,
    resp::{ServerError, Value},
    servers::Place,
};

/// Command that a response is to.
#[derive(Debug)]
pub(super) enum Sent {
    Subscribe {
        name: &'static str,
        is_of_opening: bool,
    },
    /// A subscription that a server of a Redis Cluster has ended, because the slot of the channel has moved.
    Resubscribe,
    Unsubscribe,
    Publish(&'static str),
    /// An entry of a stream, which may be an append to the log.
    Append(Option<AppendId>),
    /// The last entry of a stream, behind which reading is to begin.
    Last {
        stream: Arc<str>,
        is_of_opening: bool,
    },
    /// The subscribers of a channel, for the requests up to one.
    Count(Arc<str>, Option<RequestId>),
    Store,
    /// The state of a socket, for a request.
    Take(RequestId),
    /// Entries of a stream, for a request.
    Read(RequestId),
}

impl Sent {
    /// Returns the name of the command, for errors.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Subscribe { name, .. } | Self::Publish(name) => name,
            Self::Resubscribe => "SSUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Append(_) => "XADD",
            Self::Last { .. } => "XREVRANGE",
            Self::Count(..) => "PUBSUB",
            Self::Store => "SET",
            Self::Take(_) => "GETDEL",
            Self::Read(_) => "XRANGE",
        }
    }

    /// Returns whether it is of the subscriptions that follow each new connection.
    pub(super) const fn is_of_opening(&self) -> bool {
        match self {
            Self::Subscribe { is_of_opening, .. } | Self::Last { is_of_opening, .. } => {
                *is_of_opening
            }
            _ => false,
        }
    }
}

/// Hands a command to `push`, which sends it. Nothing is sent to leave a stream, which is the reader's to do.
///
/// A subscription is marked if it `is_of_opening`: of those that follow each new connection.
pub(super) fn encode(
    command: Command,
    is_of_opening: bool,
    push: impl FnOnce(Sent, Place<'_>, Responds, &[&[u8]]),
) {
    match command {
        Command::Subscribe(Subscription::Stream(stream)) => {
            let arguments = [b"XREVRANGE", stream.as_bytes(), b"+", b"-", b"COUNT", b"1"];
            let place = Place::Key(stream.as_bytes());
            let sent = Sent::Last { stream: Arc::clone(&stream), is_of_opening };
            push(sent, place, Responds::InTurn, &arguments);
        }
        Command::Unsubscribe(Subscription::Stream(_)) => {}
        Command::Subscribe(subscription) => {
            let name = match subscription {
                Subscription::Pattern(_) => "PSUBSCRIBE",
                Subscription::Shard(_) => "SSUBSCRIBE",
                _ => "SUBSCRIBE",
            };
            let arguments = [name.as_bytes(), subscription.name().as_bytes()];
            let sent = Sent::Subscribe { name, is_of_opening };
            push(sent, place(&subscription), Responds::ByPush, &arguments);
        }
        Command::Unsubscribe(subscription) => {
            let (name, responds): (&[u8], _) = match subscription {
                Subscription::Pattern(_) => (b"PUNSUBSCRIBE", Responds::ByPush),
                Subscription::Shard(_) => (b"SUNSUBSCRIBE", Responds::Fenced),
                _ => (b"UNSUBSCRIBE", Responds::ByPush),
            };
            let arguments = [name, subscription.name().as_bytes()];
            push(Sent::Unsubscribe, place(&subscription), responds, &arguments);
        }
        Command::Publish { channel, message, is_sharded, .. } => {
            let name = if is_sharded { "SPUBLISH" } else { "PUBLISH" };
            let place = if is_sharded { Place::Key(channel.as_bytes()) } else { Place::Any };
            let arguments = [name.as_bytes(), channel.as_bytes(), &message];
            push(Sent::Publish(name), place, Responds::InTurn, &arguments);
        }
        Command::Append { stream, fields, max_len, append } => {
            let max_len = max_len.to_string();
            let mut arguments: Vec<&[u8]> =
                vec![b"XADD", stream.as_bytes(), b"MAXLEN", b"~", max_len.as_bytes(), b"*"];
            arguments.extend(fields.iter().flat_map(|(name, value)| [name.as_bytes(), &value[..]]));
            push(Sent::Append(append), Place::Key(stream.as_bytes()), Responds::InTurn, &arguments);
        }
        Command::Count { channel, is_sharded, request } => {
            let how: &[u8] = if is_sharded { b"SHARDNUMSUB" } else { b"NUMSUB" };
            let arguments = [b"PUBSUB", how, channel.as_bytes()];
            let sent = Sent::Count(Arc::clone(&channel), request);
            push(sent, Place::Every, Responds::InTurn, &arguments);
        }
        Command::Store { key, value, lifetime } => {
            let lifetime = lifetime.as_millis().to_string();
            let arguments = [b"SET", key.as_bytes(), &value, b"PX", lifetime.as_bytes()];
            push(Sent::Store, Place::Key(key.as_bytes()), Responds::InTurn, &arguments);
        }
        Command::Take { request, key } => {
            let key = key.as_bytes();
            push(Sent::Take(request), Place::Key(key), Responds::InTurn, &[b"GETDEL", key]);
        }
        Command::Read { request, stream, from, until, count } => {
            let count = count.to_string();
            let (from, until) = (from.as_bytes(), until.as_bytes());
            let arguments = [b"XRANGE", stream.as_bytes(), from, until, b"COUNT", count.as_bytes()];
            let place = Place::Key(stream.as_bytes());
            push(Sent::Read(request), place, Responds::InTurn, &arguments);
        }
        // Others are for brokers that store messages apart.
        _ => {}
    }
}

/// Returns the command that renews a subscription to the channel of a shard.
pub(super) const fn resubscribe(channel: &[u8]) -> (Sent, Place<'_>, Responds, [&[u8]; 2]) {
    (Sent::Resubscribe, Place::Key(channel), Responds::ByPush, [b"SSUBSCRIBE", channel])
}

/// The servers that deliver what is subscribed to.
fn place(subscription: &Subscription) -> Place<'_> {
    match subscription {
        Subscription::Shard(channel) => Place::Key(channel.as_bytes()),
        _ => Place::Any,
    }
}

/// Returns the number in the response to `PUBSUB NUMSUB` of one channel.
pub(super) fn count(response: &Value) -> Option<usize> {
    match response.as_array()? {
        [_, Value::Integer(count)] => usize::try_from(*count).ok(),
        _ => None,
    }
}

/// Returns whether a connection is of no use when the server responds with this error.
///
/// It is made anew then, with a growing wait: the server may be another one the next time, or allow more. A message that
/// the user may not publish is one that is lost, but without a subscription all messages are.
pub(super) fn is_fatal(sent: &Sent, error: &ServerError) -> bool {
    let is_of_connection = matches!(
        error.kind(),
        "ASK"
            | "CLUSTERDOWN"
            | "CROSSSLOT"
            | "LOADING"
            | "MASTERDOWN"
            | "MOVED"
            | "NOAUTH"
            | "READONLY"
    );
    let is_subscription =
        matches!(sent, Sent::Subscribe { .. } | Sent::Last { .. } | Sent::Resubscribe);
    is_of_connection || is_subscription
}
