//! Commands of a wire as those of Redis.

use std::sync::Arc;

use enginewire_socketio::cluster::{
    AppendId, RequestId,
    wire::{Command, Subscription},
};

use super::{
    link::Responds,
    resp::{ServerError, Value},
};

/// Command that a response is to.
#[derive(Debug)]
pub(super) enum Sent {
    Subscribe(&'static str),
    Unsubscribe,
    Publish(&'static str),
    /// An entry of a stream, which may be an append to the log.
    Append(Option<AppendId>),
    /// The last entry of a stream, behind which reading is to begin.
    Last(Arc<str>),
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
            Self::Subscribe(name) | Self::Publish(name) => name,
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Append(_) => "XADD",
            Self::Last(_) => "XREVRANGE",
            Self::Count(..) => "PUBSUB",
            Self::Store => "SET",
            Self::Take(_) => "GETDEL",
            Self::Read(_) => "XRANGE",
        }
    }

    /// Returns whether messages are missed without the response.
    pub(super) const fn is_subscription(&self) -> bool {
        matches!(self, Self::Subscribe(_) | Self::Last(_))
    }
}

/// Hands a command to `push`, which sends it. Nothing is sent to leave a stream, which is the reader's to do.
pub(super) fn encode(command: Command, push: impl FnOnce(Sent, Responds, &[&[u8]])) {
    match command {
        Command::Subscribe(Subscription::Stream(stream)) => {
            let arguments = [b"XREVRANGE", stream.as_bytes(), b"+", b"-", b"COUNT", b"1"];
            push(Sent::Last(Arc::clone(&stream)), Responds::InTurn, &arguments);
        }
        Command::Unsubscribe(Subscription::Stream(_)) => {}
        Command::Subscribe(subscription) => {
            let name = match subscription {
                Subscription::Pattern(_) => "PSUBSCRIBE",
                Subscription::Shard(_) => "SSUBSCRIBE",
                _ => "SUBSCRIBE",
            };
            let arguments = [name.as_bytes(), subscription.name().as_bytes()];
            push(Sent::Subscribe(name), Responds::ByPush, &arguments);
        }
        Command::Unsubscribe(subscription) => {
            let name: &[u8] = match subscription {
                Subscription::Pattern(_) => b"PUNSUBSCRIBE",
                Subscription::Shard(_) => b"SUNSUBSCRIBE",
                _ => b"UNSUBSCRIBE",
            };
            push(Sent::Unsubscribe, Responds::ByPush, &[name, subscription.name().as_bytes()]);
        }
        Command::Publish { channel, message, is_sharded, .. } => {
            let name = if is_sharded { "SPUBLISH" } else { "PUBLISH" };
            let arguments = [name.as_bytes(), channel.as_bytes(), &message];
            push(Sent::Publish(name), Responds::InTurn, &arguments);
        }
        Command::Append { stream, fields, max_len, append } => {
            let max_len = max_len.to_string();
            let mut arguments: Vec<&[u8]> =
                vec![b"XADD", stream.as_bytes(), b"MAXLEN", b"~", max_len.as_bytes(), b"*"];
            arguments.extend(fields.iter().flat_map(|(name, value)| [name.as_bytes(), &value[..]]));
            push(Sent::Append(append), Responds::InTurn, &arguments);
        }
        Command::Count { channel, is_sharded, request } => {
            let how: &[u8] = if is_sharded { b"SHARDNUMSUB" } else { b"NUMSUB" };
            let arguments = [b"PUBSUB", how, channel.as_bytes()];
            push(Sent::Count(Arc::clone(&channel), request), Responds::InTurn, &arguments);
        }
        Command::Store { key, value, lifetime } => {
            let lifetime = lifetime.as_millis().to_string();
            let arguments = [b"SET", key.as_bytes(), &value, b"PX", lifetime.as_bytes()];
            push(Sent::Store, Responds::InTurn, &arguments);
        }
        Command::Take { request, key } => {
            push(Sent::Take(request), Responds::InTurn, &[b"GETDEL", key.as_bytes()]);
        }
        Command::Read { request, stream, from, until, count } => {
            let count = count.to_string();
            let (from, until) = (from.as_bytes(), until.as_bytes());
            let arguments = [b"XRANGE", stream.as_bytes(), from, until, b"COUNT", count.as_bytes()];
            push(Sent::Read(request), Responds::InTurn, &arguments);
        }
        // Others are for brokers that store messages apart.
        _ => {}
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
    is_of_connection || sent.is_subscription()
}
